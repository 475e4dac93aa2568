//! Where keys come from, in the order of the vendor's own default chain: environment, OIDC, the
//! CLI's profile, the instance's RAM role; and roles that are assumed with them.
//!
//! [alibabacloud-credentials 1.0.12]

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleet::text::without_mark;
use fleet::{Fault, FaultKind, Region, Seconds, Timestamp};
use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::endpoint::Product;
use super::params::Params;
use super::settings::{Environment, RoleAccount};
use super::sign::{Keys, target};
use super::transport::Transport;
use crate::call::Call;

/// How we are called in the logs of an account whose role is assumed.
const SESSION: &str = "neap";
/// How long keys of an assumed role are asked for.
const DURATION_SECONDS: u64 = 3600;
/// Keys are renewed so long before they expire, as the official SDKs do.
const RENEW_BEFORE: Seconds = Seconds::minutes(15);
/// Keys that cannot be renewed are used up to so long before they expire.
const USE_UNTIL: Seconds = Seconds::minutes(1);
/// How long keys that cannot be renewed are used before that is tried again.
const RENEW_AGAIN: Seconds = Seconds::minutes(1);
/// How long a token of the metadata service is good for.
const METADATA_TOKEN_SECONDS: &str = "21600";

const ASSUME_ROLE: Call = Call::read("sts", "AssumeRole");
const ASSUME_ROLE_WITH_OIDC: Call = Call::read("sts", "AssumeRoleWithOIDC");
const RAM_ROLE: Call = Call::read("ecs", "RamRoleCredentials");
const PROFILE: Call = Call::read("ram", "Credentials");

/// A way to come by keys.
#[derive(Clone, Debug)]
enum Source {
    /// They were given and do not expire as far as we know.
    Given(Keys),
    /// The role of the instance we run on.
    Instance { role: Option<String>, hardened: bool },
    /// A role, assumed with other keys.
    Role { with: Box<Source>, role_arn: String, external_id: Option<String>, session: String },
    /// A role, assumed with a token that a cluster wrote into a file (RRSA).
    Oidc { role_arn: String, provider_arn: String, token_file: PathBuf, session: String },
}

/// Keys of one account: asked for once at a time, and renewed before they expire.
#[derive(Debug)]
pub(super) struct Keyring {
    environment: Environment,
    role: Option<RoleAccount>,
    held: Mutex<Option<Held>>,
}

#[derive(Clone, Debug)]
struct Held {
    keys: Keys,
    expires_at: Option<Timestamp>,
    renew_at: Option<Timestamp>,
}

impl Held {
    fn until(keys: Keys, expires_at: Timestamp) -> Held {
        let renew_at = Some(expires_at - RENEW_BEFORE);
        Held { keys, expires_at: Some(expires_at), renew_at }
    }
}

impl Keyring {
    pub(super) fn new(environment: Environment, role: Option<RoleAccount>) -> Keyring {
        Keyring { environment, role, held: Mutex::default() }
    }

    /// Keys that are good for now. Whoever comes while they are being fetched waits for them.
    pub(super) async fn keys(
        &self,
        transport: &Transport,
        region: &Region,
        timeout: Duration,
    ) -> Result<Keys, Fault> {
        let mut held = self.held.lock().await;
        let now = transport.now();
        if let Some(held) = held.as_ref().filter(|held| held.renew_at.is_none_or(|at| now < at)) {
            return Ok(held.keys.clone());
        }
        let fetched = async {
            let source = self.source()?;
            fetch(&source, transport, region, timeout).await
        };
        match (fetched.await, held.as_mut()) {
            (Ok(new), _) => Ok(held.insert(new).keys.clone()),
            (Err(_), Some(old)) if old.expires_at.is_some_and(|at| now + USE_UNTIL < at) => {
                old.renew_at = Some(now + RENEW_AGAIN);
                Ok(old.keys.clone())
            }
            (Err(fault), _) => Err(fault),
        }
    }

    /// Forgets what is held, after the cloud did not know it.
    pub(super) async fn renew(&self) {
        *self.held.lock().await = None;
    }

    fn source(&self) -> Result<Source, Fault> {
        let source = chain(&self.environment);
        let denied = FaultKind::Denied { permission: None };
        let source = source.map_err(|why| PROFILE.fault(denied, why))?;
        Ok(match &self.role {
            None => source,
            Some(role) => Source::Role {
                with: Box::new(source),
                role_arn: role.role_arn.to_string(),
                external_id: role.external_id.clone(),
                session: SESSION.to_owned(),
            },
        })
    }
}

/// Why nothing gives keys.
#[derive(Debug, thiserror::Error)]
enum NoSource {
    #[error(
        "no credentials: neither ALIBABA_CLOUD_ACCESS_KEY_ID and _SECRET nor an OIDC role are set, \
         there is no ~/.aliyun/config.json, and the instance's role is disabled"
    )]
    NothingSetUp,
    #[error("`{path}`: {why}", path = path.display())]
    Cli { path: PathBuf, why: UnfitProfile },
}

/// Why a profile of the CLI gives no keys.
#[derive(Debug, thiserror::Error)]
enum UnfitProfile {
    #[error("{0}")]
    Unreadable(io::Error),
    /// The parser's words would quote what it found, which may be a secret: its place is enough.
    #[error("no configuration of the CLI, at line {line}")]
    NotOfTheCli { line: usize },
    #[error("no profile `{0}`")]
    Missing(String),
    #[error("profile `{0}` leads in a circle")]
    Circle(String),
    #[error(
        "profile `{name}` has mode `{mode}`, expected AK, StsToken, RamRoleArn, \
         ChainableRamRoleArn, EcsRamRole or OIDC"
    )]
    Mode { name: String, mode: String },
}

/// The first of the chain that is set up.
fn chain(environment: &Environment) -> Result<Source, NoSource> {
    let get = |name: &str| environment.get(name);
    if let (Some(id), Some(secret)) =
        (get("ALIBABA_CLOUD_ACCESS_KEY_ID"), get("ALIBABA_CLOUD_ACCESS_KEY_SECRET"))
    {
        return Ok(Source::Given(Keys {
            access_key_id: id.to_owned(),
            access_key_secret: secret.into(),
            security_token: get("ALIBABA_CLOUD_SECURITY_TOKEN").map(SecretString::from),
            provider: Cow::Borrowed("default/env"),
        }));
    }
    if let (Some(role_arn), Some(provider_arn), Some(token_file)) = (
        get("ALIBABA_CLOUD_ROLE_ARN"),
        get("ALIBABA_CLOUD_OIDC_PROVIDER_ARN"),
        get("ALIBABA_CLOUD_OIDC_TOKEN_FILE"),
    ) {
        return Ok(Source::Oidc {
            role_arn: role_arn.to_owned(),
            provider_arn: provider_arn.to_owned(),
            token_file: token_file.into(),
            session: get("ALIBABA_CLOUD_ROLE_SESSION_NAME").unwrap_or(SESSION).to_owned(),
        });
    }
    let hardened = environment.says_true("ALIBABA_CLOUD_IMDSV1_DISABLED");
    let profile = get("HOME").map(|home| Path::new(home).join(".aliyun").join("config.json"));
    let disabled = environment.says_true("ALIBABA_CLOUD_CLI_PROFILE_DISABLED");
    if let Some(path) = profile.filter(|path| !disabled && path.is_file()) {
        return profile_source(&path, get("ALIBABA_CLOUD_PROFILE"), hardened)
            .map_err(|why| NoSource::Cli { path, why });
    }
    if environment.says_true("ALIBABA_CLOUD_ECS_METADATA_DISABLED") {
        return Err(NoSource::NothingSetUp);
    }
    Ok(Source::Instance { role: get("ALIBABA_CLOUD_ECS_METADATA").map(str::to_owned), hardened })
}

/// The CLI's configuration, as `aliyun configure` writes it.
#[derive(Deserialize)]
struct CliConfig {
    #[serde(default)]
    current: String,
    #[serde(default)]
    profiles: Vec<CliProfile>,
}

#[derive(Clone, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct CliProfile {
    name: String,
    mode: String,
    access_key_id: String,
    access_key_secret: SecretString,
    sts_token: SecretString,
    ram_role_arn: String,
    ram_session_name: String,
    role_session_name: String,
    external_id: String,
    ram_role_name: String,
    source_profile: String,
    oidc_provider_arn: String,
    oidc_token_file: PathBuf,
}

/// Profiles that a profile may lead through.
const SOURCE_PROFILES_MAX: usize = 5;

fn profile_source(path: &Path, name: Option<&str>, hardened: bool) -> Result<Source, UnfitProfile> {
    let text = std::fs::read_to_string(path).map_err(UnfitProfile::Unreadable)?;
    let config: CliConfig = serde_json::from_str(without_mark(&text))
        .map_err(|error| UnfitProfile::NotOfTheCli { line: error.line() })?;
    let name = name.unwrap_or(&config.current);
    of_profile(&config, name, SOURCE_PROFILES_MAX, hardened)
}

fn of_profile(
    config: &CliConfig,
    name: &str,
    depth: usize,
    hardened: bool,
) -> Result<Source, UnfitProfile> {
    let profile = config.profiles.iter().find(|profile| profile.name == name);
    let profile = profile.ok_or_else(|| UnfitProfile::Missing(name.to_owned()))?.clone();
    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let given = |provider: &'static str, token: Option<SecretString>| {
        Source::Given(Keys {
            access_key_id: profile.access_key_id.clone(),
            access_key_secret: profile.access_key_secret.clone(),
            security_token: token,
            provider: Cow::Borrowed(provider),
        })
    };
    let role = |with: Source| Source::Role {
        with: Box::new(with),
        role_arn: profile.ram_role_arn.clone(),
        external_id: filled(&profile.external_id),
        session: filled(&profile.ram_session_name).unwrap_or_else(|| SESSION.to_owned()),
    };
    Ok(match profile.mode.as_str() {
        "AK" => given("default/cli_profile/static_ak", None),
        "StsToken" => given("default/cli_profile/static_sts", Some(profile.sts_token.clone())),
        "RamRoleArn" => role(given("default/cli_profile/static_ak", None)),
        "EcsRamRole" => Source::Instance { role: filled(&profile.ram_role_name), hardened },
        "ChainableRamRoleArn" if depth > 0 => {
            role(of_profile(config, &profile.source_profile, depth - 1, hardened)?)
        }
        "ChainableRamRoleArn" => return Err(UnfitProfile::Circle(name.to_owned())),
        "OIDC" => Source::Oidc {
            role_arn: profile.ram_role_arn.clone(),
            provider_arn: profile.oidc_provider_arn.clone(),
            token_file: profile.oidc_token_file.clone(),
            session: filled(&profile.role_session_name).unwrap_or_else(|| SESSION.to_owned()),
        },
        other => {
            let (name, mode) = (name.to_owned(), other.to_owned());
            return Err(UnfitProfile::Mode { name, mode });
        }
    })
}

async fn fetch(
    source: &Source,
    transport: &Transport,
    region: &Region,
    timeout: Duration,
) -> Result<Held, Fault> {
    match source {
        Source::Given(keys) => Ok(Held { keys: keys.clone(), expires_at: None, renew_at: None }),
        Source::Instance { role, hardened } => {
            of_instance(role.as_deref(), *hardened, transport, timeout).await
        }
        Source::Role { with, role_arn, external_id, session } => {
            let base = Box::pin(fetch(with, transport, region, timeout)).await?;
            let params = Params::new()
                .with("DurationSeconds", DURATION_SECONDS)
                .with_some("ExternalId", external_id.as_ref())
                .with("RoleArn", role_arn)
                .with("RoleSessionName", session);
            let place = (Product::Sts, region);
            let body = transport.rpc(ASSUME_ROLE, place, &params, &base.keys, timeout).await?;
            of_sts(ASSUME_ROLE, &body, format!("ram_role_arn/{}", base.keys.provider))
        }
        Source::Oidc { role_arn, provider_arn, token_file, session } => {
            let call = ASSUME_ROLE_WITH_OIDC;
            // Written anew by the cluster, so read anew each time.
            let token = tokio::fs::read_to_string(token_file).await.map_err(|error| {
                let why = format!("`{}`: {error}", token_file.display());
                call.fault(FaultKind::Denied { permission: None }, why)
            })?;
            let asked = oidc_target(
                role_arn,
                provider_arn,
                without_mark(&token).trim(),
                session,
                transport.now(),
            );
            let body = transport.unsigned(call, region, &asked, timeout).await?;
            of_sts(call, &body, "oidc_role_arn".to_owned())
        }
    }
}

/// The unsigned request that trades a cluster's token for keys.
pub(super) fn oidc_target(
    role_arn: &str,
    provider_arn: &str,
    token: &str,
    session: &str,
    at: Timestamp,
) -> String {
    let (duration, at) = (DURATION_SECONDS.to_string(), at.to_string());
    let parameters = [
        ("Action", ASSUME_ROLE_WITH_OIDC.operation),
        ("Format", "JSON"),
        ("Version", Product::Sts.version()),
        ("DurationSeconds", &duration),
        ("RoleArn", role_arn),
        ("OIDCProviderArn", provider_arn),
        ("OIDCToken", token),
        ("RoleSessionName", session),
        ("Timestamp", &at),
    ];
    target("/", &parameters.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    credentials: Temporary,
}

/// Keys with an end, as STS and the metadata service give them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Temporary {
    access_key_id: String,
    access_key_secret: SecretString,
    security_token: SecretString,
    expiration: String,
}

impl Temporary {
    fn held(self, call: Call, provider: String) -> Result<Held, Fault> {
        let expires_at = Timestamp::parse(&self.expiration).ok_or_else(|| {
            let why = format!("keys that expire at `{}`", self.expiration);
            call.fault(FaultKind::Unreadable, why)
        })?;
        let keys = Keys {
            access_key_id: self.access_key_id,
            access_key_secret: self.access_key_secret,
            security_token: Some(self.security_token),
            provider: Cow::Owned(provider),
        };
        Ok(Held::until(keys, expires_at))
    }
}

fn of_sts(call: Call, body: &[u8], provider: String) -> Result<Held, Fault> {
    let assumed: Assumed =
        serde_json::from_slice(body).map_err(|error| unreadable(call, &error))?;
    assumed.credentials.held(call, provider)
}

/// Names the place and not the value: it may be a secret.
fn unreadable(call: Call, error: &serde_json::Error) -> Fault {
    let why = format!("no keys in the answer, line {} column {}", error.line(), error.column());
    call.fault(FaultKind::Unreadable, why)
}

async fn of_instance(
    role: Option<&str>,
    hardened: bool,
    transport: &Transport,
    timeout: Duration,
) -> Result<Held, Fault> {
    const FOLDER: &str = "/latest/meta-data/ram/security-credentials/";
    let ttl = ("X-aliyun-ecs-metadata-token-ttl-seconds", METADATA_TOKEN_SECONDS.to_owned());
    let token =
        transport.metadata(RAM_ROLE, Method::PUT, "/latest/api/token", Some(ttl), timeout).await;
    let header = match token {
        Ok(token) => Some(("X-aliyun-ecs-metadata-token", token)),
        // Older images have no tokens; an instance that insists on them refuses what follows.
        Err(_) if !hardened => None,
        Err(fault) => return Err(fault),
    };
    let get = |path: String| {
        let header = header.clone();
        async move { transport.metadata(RAM_ROLE, Method::GET, &path, header, timeout).await }
    };
    let role = match role {
        Some(role) => role.to_owned(),
        None => get(FOLDER.to_owned()).await?.trim().to_owned(),
    };
    let body = get(format!("{FOLDER}{role}")).await?;
    let keys: Temporary =
        serde_json::from_str(&body).map_err(|error| unreadable(RAM_ROLE, &error))?;
    keys.held(RAM_ROLE, "ecs_ram_role".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::of(variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    fn told<E: std::fmt::Display>(source: Result<Source, E>) -> String {
        match source {
            Ok(Source::Given(keys)) => format!("{} by {}", keys.access_key_id, keys.provider),
            Ok(Source::Instance { role, hardened }) => format!("instance {role:?} {hardened}"),
            Ok(Source::Role { with, role_arn, external_id, session }) => {
                format!("{role_arn} {external_id:?} as {session} with {}", told(Ok::<_, E>(*with)))
            }
            Ok(Source::Oidc { role_arn, session, .. }) => format!("oidc {role_arn} as {session}"),
            Err(why) => why.to_string(),
        }
    }

    const PROFILES: &str = r#"{"current": "two", "profiles": [
        {"name": "one", "mode": "AK", "access_key_id": "ak-1", "access_key_secret": "s"},
        {"name": "two", "mode": "RamRoleArn", "access_key_id": "ak-2", "access_key_secret": "s",
         "ram_role_arn": "acs:ram::1:role/a", "ram_session_name": "me", "external_id": "x"},
        {"name": "three", "mode": "ChainableRamRoleArn", "source_profile": "two",
         "ram_role_arn": "acs:ram::2:role/b"},
        {"name": "circle", "mode": "ChainableRamRoleArn", "source_profile": "circle"},
        {"name": "four", "mode": "EcsRamRole", "ram_role_name": "r"},
        {"name": "five", "mode": "CloudSSO"}
    ]}"#;

    #[test]
    fn the_chain_has_the_vendors_order() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".aliyun");
        let home = home.path().to_str().unwrap();
        let oidc = [
            ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/r"),
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/p"),
            ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token"),
            ("HOME", home),
        ];
        let keys =
            [("ALIBABA_CLOUD_ACCESS_KEY_ID", "ak"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s")];
        let all: Vec<_> = keys.into_iter().chain(oidc).collect();
        let bare = [("HOME", home)];
        assert_eq!(told(chain(&environment(&bare))), "instance None false");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("config.json"), PROFILES).unwrap();
        let profile = |name: &str| {
            told(chain(&environment(&[("HOME", home), ("ALIBABA_CLOUD_PROFILE", name)])))
        };
        let two = r#"acs:ram::1:role/a Some("x") as me with ak-2 by default/cli_profile/static_ak"#;
        assert_eq!(told(chain(&environment(&bare))), two, "the current profile");
        assert_eq!(profile("one"), "ak-1 by default/cli_profile/static_ak");
        assert_eq!(profile("three"), format!("acs:ram::2:role/b None as neap with {two}"));
        assert_eq!(profile("four"), r#"instance Some("r") false"#);
        assert!(profile("circle").contains("leads in a circle"), "{}", profile("circle"));
        assert!(profile("five").contains("mode `CloudSSO`, expected AK"), "{}", profile("five"));
        assert!(profile("six").contains("no profile `six`"), "{}", profile("six"));
        assert_eq!(told(chain(&environment(&oidc))), "oidc acs:ram::1:role/r as neap");
        assert_eq!(told(chain(&environment(&all))), "ak by default/env");
        let none = [("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")];
        assert!(told(chain(&environment(&none))).starts_with("no credentials: neither"));
    }

    #[test]
    fn a_broken_profile_shows_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, "{\"profiles\": [\n{\"access_key_secret\": hidden}]}").unwrap();
        let told = told(profile_source(&path, None, false));
        assert!(told.contains("at line 2") && !told.contains("hidden"), "{told}");
    }
}
