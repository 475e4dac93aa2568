//! How accounts and regions are entered: keys, and the limits of each account and region.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::{AccountId, Fault, FaultKind, Region, Timestamp};
use governor::clock::QuantaClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use serde::de::DeserializeOwned;

use super::credentials::Keyring;
use super::endpoint::Product;
use super::known::Known;
use super::members::KnownMembers;
use super::params::Params;
use super::settings::{RoleAccount, Settings};
use super::transport::Transport;
use crate::call::{Call, Effect};
use crate::gates::Gates;
use crate::http::first_words;
use crate::meter::Meter;
use crate::places::{OnePer, Place};
use crate::regions::FoundRegions;
use crate::remembered::Remembered;
use crate::retry::attempts;
use crate::{Deadline, Now};

/// Calls a second of one operation in one account: half of what CloudMonitor documents, since the
/// account's other users share it.
const METRIC_CALLS_A_SECOND: NonZeroU32 = NonZeroU32::new(25).unwrap();
/// The same of the other products, which publish no limit: what a busy cycle needs and no more.
const CALLS_A_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();

type Limiter = RateLimiter<&'static str, HashMapStateStore<&'static str>, QuantaClock>;

/// Makes seats for accounts and regions, once each, when they are first needed.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) settings: Arc<Settings>,
    /// The regions of accounts, where they are looked for.
    pub(super) found: FoundRegions,
    transport: Arc<Transport>,
    now: Arc<dyn Now>,
    accounts: OnePer<AccountId, Account>,
    seats: OnePer<Place, Seat>,
}

/// What all regions of an account share.
#[derive(Debug)]
struct Account {
    keyring: Keyring,
    meter: Meter,
    limiter: Limiter,
    metric_limiter: Limiter,
}

/// One account in one region, and what is remembered of it.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) region: Region,
    settings: Arc<Settings>,
    transport: Arc<Transport>,
    account: Arc<Account>,
    remembered: Mutex<Remembered>,
    estate: Mutex<Known>,
    members: Mutex<KnownMembers>,
    gates: Gates,
    now: Arc<dyn Now>,
}

impl Access {
    pub(super) fn new(settings: Settings, now: Arc<dyn Now>) -> Access {
        let settings = Arc::new(settings);
        let transport = Arc::new(Transport::new(Arc::clone(&settings), Arc::clone(&now)));
        let (accounts, seats) = (OnePer::default(), OnePer::default());
        let found = FoundRegions::default();
        Access { settings, found, transport, now, accounts, seats }
    }

    /// Calls for metrics made in all accounts.
    pub(super) fn metric_calls(&self) -> u64 {
        self.accounts.all().iter().map(|account| account.meter.read()).sum()
    }

    /// The seat of an account in a region.
    ///
    /// # Errors
    /// Refused for an account that is not configured.
    pub(super) fn seat(
        &self,
        call: Call,
        account: &AccountId,
        region: &Region,
    ) -> Result<Arc<Seat>, Fault> {
        let (account, role) = self.settings.entered(call, account)?;
        let place = (account, region.clone());
        Ok(self.seats.get_or_make(place, |(account, region)| Seat {
            region: region.clone(),
            settings: Arc::clone(&self.settings),
            transport: Arc::clone(&self.transport),
            account: self.account(account, role),
            remembered: Mutex::default(),
            estate: Mutex::default(),
            members: Mutex::default(),
            gates: Gates::new(self.settings.budget.calls_at_once),
            now: Arc::clone(&self.now),
        }))
    }

    fn account(&self, name: &AccountId, role: Option<&RoleAccount>) -> Arc<Account> {
        self.accounts.get_or_make(name.clone(), |_| Account {
            keyring: Keyring::new(self.settings.environment.clone(), role.cloned()),
            meter: Meter::new(
                "metric calls",
                self.settings.budget.per_month,
                Arc::clone(&self.now),
            ),
            limiter: RateLimiter::hashmap(Quota::per_second(CALLS_A_SECOND)),
            metric_limiter: RateLimiter::hashmap(Quota::per_second(METRIC_CALLS_A_SECOND)),
        })
    }
}

impl Seat {
    pub(super) fn now(&self) -> Timestamp {
        self.now.now()
    }

    /// The parameters of a call that only names the region.
    pub(super) fn params(&self) -> Params {
        Params::new().with("RegionId", self.region.as_str())
    }

    /// What is remembered; whoever panicked while holding it left nothing half done that matters.
    pub(super) fn remembered(&self) -> MutexGuard<'_, Remembered> {
        locked(&self.remembered)
    }

    /// What is remembered of instances.
    pub(super) fn estate(&self) -> MutexGuard<'_, Known> {
        locked(&self.estate)
    }

    /// The members of groups, as they were read last.
    pub(super) fn members(&self) -> MutexGuard<'_, KnownMembers> {
        locked(&self.members)
    }

    /// Counts a call for metrics against the month's budget.
    pub(super) fn count_metric_call(&self, call: Call) -> Result<(), Fault> {
        self.account.meter.take(call, 1)
    }

    /// Makes one call when there is room for it, and gives it up at the deadline. A read that was
    /// throttled or lost on the way is made again; a write is sent once.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        call: Call,
        product: Product,
        params: Params,
        deadline: Deadline,
    ) -> Result<T, Fault> {
        let limit = deadline.0.min(tokio::time::Instant::now() + self.settings.timeouts.read);
        let once = || self.once(call, product, &params, deadline);
        let body = attempts(call, limit, once).await?;
        serde_json::from_slice(&body).map_err(|error| {
            let why = match error.classify() {
                serde_json::error::Category::Data => error.to_string(),
                _ => format!("not JSON: {}", first_words(&body)),
            };
            let kind = match call.effect {
                Effect::Read => FaultKind::Unreadable,
                Effect::Write => FaultKind::Unconfirmed,
            };
            call.fault(kind, why)
        })
    }

    async fn once(
        &self,
        call: Call,
        product: Product,
        params: &Params,
        deadline: Deadline,
    ) -> Result<Vec<u8>, Fault> {
        let timeout = self.settings.timeouts.one_attempt(call.effect);
        let limiter = match product {
            Product::Cms => &self.account.metric_limiter,
            _ => &self.account.limiter,
        };
        let ready = async {
            limiter.until_key_ready(&call.operation).await;
            let room = self.gates.enter(call.effect).await;
            let keys = self.account.keyring.keys(&self.transport, &self.region, timeout).await;
            (room, keys)
        };
        let Ok((_room, keys)) = tokio::time::timeout_at(deadline.0, ready).await else {
            return Err(call.unsent("not sent before the deadline"));
        };
        let keys = keys?;
        let send = self.transport.rpc(call, (product, &self.region), params, &keys, timeout);
        match tokio::time::timeout_at(deadline.0, send).await {
            Ok(answer) => {
                let denied =
                    |fault: &Fault| matches!(fault.kind, FaultKind::Denied { permission: None });
                if answer.as_ref().is_err_and(denied) {
                    self.account.keyring.renew().await;
                }
                answer
            }
            Err(_) => Err(call.timed_out()),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
