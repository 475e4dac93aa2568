//! How accounts and regions are entered: credentials, and one set of clients for each pair.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_autoscaling::config::retry::RetryPartition;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use fleet::{AccountId, Fault, FaultKind, Region, Timestamp};
use tokio::sync::OnceCell;

use super::details::Details;
use super::http;
use super::known::Known;
use super::settings::{RoleAccount, Settings};
use super::thin::{self, Thin};
use crate::call::Call;
use crate::gates::Gates;
use crate::meter::Meter;
use crate::places::{OnePer, Place};
use crate::regions::FoundRegions;
use crate::{Deadline, Identity, Now};

/// How we are called in CloudTrail: the user agent's app name and the role's session name.
const SELF: &str = "neap";
/// Attempts of a read, the first included.
const ATTEMPTS: u32 = 4;
/// The longest wait of the SDK between two attempts of a read.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

const GET_CALLER_IDENTITY: Call = Call::read("sts", "GetCallerIdentity");

/// The SDK's clock is ours, so that tests run days in minutes; but it never stands still.
///
/// The SDK's rate control, once throttled, lets calls through as its clock goes by, and waits for
/// ever on a clock that does not move (or only in whole seconds): so real time is added since ours
/// last moved.
#[derive(Debug)]
struct SdkTime {
    ours: Arc<dyn Now>,
    shown: Mutex<Shown>,
}

/// Our clock when it last moved, when that was, and what the SDK was told last.
#[derive(Clone, Copy, Debug)]
struct Shown {
    moved_to: Timestamp,
    moved_at: Instant,
    told: SystemTime,
}

impl SdkTime {
    fn new(ours: Arc<dyn Now>) -> SdkTime {
        let moved_to = ours.now();
        let shown = Shown { moved_to, moved_at: Instant::now(), told: UNIX_EPOCH };
        SdkTime { ours, shown: Mutex::new(shown) }
    }
}

impl TimeSource for SdkTime {
    fn now(&self) -> SystemTime {
        let now = self.ours.now();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let set_back = now < shown.moved_to;
        if now != shown.moved_to {
            (shown.moved_to, shown.moved_at) = (now, Instant::now());
        }
        let base = UNIX_EPOCH + Duration::from_secs(u64::try_from(now.0).unwrap_or(0));
        let here = base + shown.moved_at.elapsed();
        shown.told = if set_back { here } else { shown.told.max(here) };
        shown.told
    }
}

/// Makes clients for accounts and regions, once each, when they are first needed.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) settings: Settings,
    /// The regions of accounts, where they are looked for.
    pub(super) found: FoundRegions,
    now: Arc<dyn Now>,
    /// Instead of the SDK's own chain.
    credentials: Option<SharedCredentialsProvider>,
    base: OnceCell<SdkConfig>,
    http: reqwest::Client,
    seats: OnePer<Place, Seat>,
    meters: OnePer<AccountId, Meter>,
}

/// The clients of one account in one region, and what is remembered of it.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) region: Region,
    pub(super) autoscaling: aws_sdk_autoscaling::Client,
    /// Makes one attempt and no more: for writes, and for what may as well wait a cycle.
    pub(super) once: aws_sdk_autoscaling::Client,
    pub(super) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(super) ec2: aws_sdk_ec2::Client,
    /// Makes one attempt and no more.
    pub(super) ec2_once: aws_sdk_ec2::Client,
    /// For services without an SDK here.
    pub(super) thin: Thin,
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) meter: Arc<Meter>,
    pub(super) details: Mutex<Details>,
    pub(super) known: Mutex<Known>,
    gates: Gates,
    now: Arc<dyn Now>,
}

impl Seat {
    pub(super) fn now(&self) -> Timestamp {
        self.now.now()
    }

    /// What is remembered; whoever panicked while holding it left nothing half done that matters.
    pub(super) fn details(&self) -> std::sync::MutexGuard<'_, Details> {
        self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of its instances.
    pub(super) fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one call, when there is room for it, and gives it up at the deadline.
    ///
    /// On the heap: the SDK's futures are so large that a few of them side by side fill a stack.
    pub(super) fn call<'a, T, E>(
        &'a self,
        call: Call,
        deadline: Deadline,
        send: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>
    where
        T: Send + 'a,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        let send = Box::pin(send);
        Box::pin(async move {
            let sorted = async { send.await.map_err(|error| call.failed(&error)) };
            self.gated(call, deadline, sorted).await
        })
    }

    /// The same for a call that is not the SDK's.
    pub(super) async fn gated<T>(
        &self,
        call: Call,
        deadline: Deadline,
        send: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let room = self.gates.enter(call.effect);
        let Ok(_room) = tokio::time::timeout_at(deadline.0, room).await else {
            return Err(call.unsent("not sent before the deadline, too many calls under way"));
        };
        call.by(deadline, send).await
    }

    /// Whose the credentials are. Needs no permission.
    pub(super) async fn who(&self, deadline: Deadline) -> Result<Identity, Fault> {
        let send = self.sts.get_caller_identity().send();
        let answer = self.call(GET_CALLER_IDENTITY, deadline, send).await?;
        let arn = answer.arn().unwrap_or_default().to_owned();
        let account = answer.account().and_then(AccountId::new);
        account.map(|account| Identity { account, arn }).ok_or_else(|| {
            GET_CALLER_IDENTITY.fault(FaultKind::Unreadable, "an answer without an account")
        })
    }
}

impl Access {
    pub(super) fn new(
        settings: Settings,
        now: Arc<dyn Now>,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Access {
        let http = thin::client(&settings.timeouts);
        Access {
            settings,
            found: FoundRegions::default(),
            now,
            credentials,
            base: OnceCell::new(),
            http,
            seats: OnePer::default(),
            meters: OnePer::default(),
        }
    }

    /// Metrics read in all accounts.
    pub(super) fn metrics_read(&self) -> u64 {
        self.meters.all().iter().map(|meter| meter.read()).sum()
    }

    /// The clients of an account in a region.
    ///
    /// # Errors
    /// Refused for an account that is not configured.
    pub(super) async fn seat(
        &self,
        call: Call,
        account: &AccountId,
        region: &Region,
    ) -> Result<Arc<Seat>, Fault> {
        let (account, role) = self.settings.entered(call, account)?;
        let place = (account, region.clone());
        if let Some(seat) = self.seats.get(&place) {
            return Ok(seat);
        }
        let base = self.base.get_or_init(|| self.load()).await;
        let config = self.config(base, role, region).await;
        Ok(self.seats.get_or_make(place, |(account, region)| self.make(&config, account, region)))
    }

    async fn load(&self) -> SdkConfig {
        let first = self.settings.regions.first().map_or("us-east-1", Region::as_str);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(aws_config::Region::new(first.to_owned()))
            .app_name(AppName::new(SELF).expect("the name is sound"))
            .http_client(http::client())
            .time_source(SdkTime::new(Arc::clone(&self.now)))
            .timeout_config(self.timeouts())
            .retry_config(reading());
        if let Some(url) = &self.settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(credentials) = &self.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        loader.load().await
    }

    fn timeouts(&self) -> TimeoutConfig {
        let timeouts = self.settings.timeouts;
        TimeoutConfig::builder()
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.attempt)
            .operation_attempt_timeout(timeouts.attempt)
            .operation_timeout(timeouts.read)
            .build()
    }

    /// The configuration of an account in a region. A role is assumed in the region it is used
    /// in, so that another region's failure stays there.
    async fn config(
        &self,
        base: &SdkConfig,
        role: Option<&RoleAccount>,
        region: &Region,
    ) -> SdkConfig {
        let region = aws_config::Region::new(region.as_str().to_owned());
        let builder = base.to_builder().region(region.clone());
        let Some(role) = role else { return builder.build() };
        let mut assume = AssumeRoleProvider::builder(role.role_arn.as_str())
            .configure(base)
            .region(region)
            .session_name(SELF);
        if let Some(id) = &role.external_id {
            assume = assume.external_id(id);
        }
        let provider = assume.build().await;
        builder.credentials_provider(SharedCredentialsProvider::new(provider)).build()
    }

    fn make(&self, config: &SdkConfig, account: &AccountId, region: &Region) -> Seat {
        // The SDK shares its rate limits among clients of the same partition: one account's
        // throttling must not slow another's.
        let partition = |what: &str| {
            RetryPartition::new(format!(
                "{SELF}/{}/{account}/{region}/{what}",
                self.settings.provider
            ))
        };
        let timeouts = self.settings.timeouts;
        let once = TimeoutConfig::builder()
            .connect_timeout(timeouts.connect)
            .operation_timeout(timeouts.write)
            .build();
        let budget = self.settings.budget;
        let meter = self.meters.get_or_make(account.clone(), |_| {
            Meter::new("metrics", budget.per_month, Arc::clone(&self.now))
        });
        Seat {
            region: region.clone(),
            autoscaling: aws_sdk_autoscaling::Client::from_conf(
                aws_sdk_autoscaling::config::Builder::from(config)
                    .retry_partition(partition("autoscaling"))
                    .build(),
            ),
            once: aws_sdk_autoscaling::Client::from_conf(
                aws_sdk_autoscaling::config::Builder::from(config)
                    .retry_partition(partition("once"))
                    .retry_config(RetryConfig::disabled())
                    .timeout_config(once.clone())
                    .build(),
            ),
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(
                aws_sdk_cloudwatch::config::Builder::from(config)
                    .retry_partition(partition("cloudwatch"))
                    .build(),
            ),
            ec2: aws_sdk_ec2::Client::from_conf(
                aws_sdk_ec2::config::Builder::from(config)
                    .retry_partition(partition("ec2"))
                    .build(),
            ),
            ec2_once: aws_sdk_ec2::Client::from_conf(
                aws_sdk_ec2::config::Builder::from(config)
                    .retry_partition(partition("ec2-once"))
                    .retry_config(RetryConfig::disabled())
                    .timeout_config(once)
                    .build(),
            ),
            thin: Thin::new(self.http.clone(), config, region, timeouts),
            sts: aws_sdk_sts::Client::new(config),
            meter,
            details: Mutex::default(),
            known: Mutex::default(),
            gates: Gates::new(budget.calls_at_once),
            now: Arc::clone(&self.now),
        }
    }
}

/// The SDK slows down when it is throttled and repeats what failed on the way; the caller's
/// deadline ends it.
fn reading() -> RetryConfig {
    RetryConfig::adaptive().with_max_attempts(ATTEMPTS).with_max_backoff(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Standing(Mutex<i64>);

    impl Now for Standing {
        fn now(&self) -> Timestamp {
            Timestamp(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    #[test]
    fn the_sdks_clock_goes_on_while_ours_stands_and_follows_where_it_jumps() {
        let ours = Arc::new(Standing(Mutex::new(1_000)));
        let sdk = SdkTime::new(Arc::clone(&ours) as Arc<dyn Now>);
        let seconds = || sdk.now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        let first = seconds();
        let later = (0..1_000_000).map(|_| seconds()).find(|now| *now > first);
        assert!(first >= 1_000.0 && later.is_some_and(|later| later < 1_900.0));
        *ours.0.lock().unwrap_or_else(PoisonError::into_inner) = 2_000;
        assert!((2_000.0..2_900.0).contains(&seconds()));
        *ours.0.lock().unwrap_or_else(PoisonError::into_inner) = 500;
        assert!((500.0..1_400.0).contains(&seconds()), "a clock that is set back is believed");
    }
}
