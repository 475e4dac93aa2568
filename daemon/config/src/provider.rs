//! `[provider.NAME]`: the clouds and metric sources.

use std::collections::{BTreeMap, BTreeSet};

use fleet::names::{NOWHERE, SIMULATED_ACCOUNT, SIMULATED_REGION};
use fleet::{AccountId, ProviderName, Region, Seconds, Timestamp};
use serde::Serialize;

use super::keys::provider::{
    alibaba as of_alibaba, alibaba_budget, aws as of_aws, aws_account, aws_budget, sim as of_sim,
};
use super::keys::root::top;
use super::prometheus::{PrometheusConfig, prometheus};
use super::reader::{Entry, Table};

/// A configured cloud or metric source.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ProviderConfig {
    /// Alibaba Cloud.
    Alibaba(AlibabaConfig),
    /// Amazon Web Services.
    Aws(AwsConfig),
    /// Prometheus, or a store that answers as it does.
    Prometheus(Box<PrometheusConfig>),
    /// The simulated cloud.
    Sim(SimConfig),
}

/// `kind = "alibaba"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlibabaConfig {
    /// The regions to look in; at least one, but where all are.
    pub regions: Vec<Region>,
    /// Whether all regions that an account has are looked in.
    pub every_region: bool,
    /// The accounts to look in; at least one. Without `accounts` in the file it is the account of
    /// the default chain of credentials, named `default`.
    pub accounts: Vec<CloudAccount>,
    /// Whether endpoints inside the region's VPC are used.
    pub vpc_endpoints: bool,
    /// Another address for every product, for private endpoints and tests.
    pub endpoint_url: Option<String>,
    /// Calls for metrics in a month of 30 days, in each account.
    pub metric_calls_monthly: u64,
}

/// `kind = "aws"`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AwsConfig {
    /// The regions to look in; at least one, but where all are.
    pub regions: Vec<Region>,
    /// Whether all regions that an account has are looked in.
    pub every_region: bool,
    /// The accounts to look in; at least one. Without `accounts` in the file it is the account of
    /// the SDK's own credentials, named `default`.
    pub accounts: Vec<CloudAccount>,
    /// Another address for every service, for private endpoints and tests.
    pub endpoint_url: Option<String>,
    /// What reading metrics may cost.
    pub api_budget: ApiBudget,
}

/// An account and the role to read and write it with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CloudAccount {
    /// The account's id, taken from the role where there is one.
    pub id: AccountId,
    /// The role to assume; `None` uses the credentials that are found as they are.
    pub role_arn: Option<String>,
    /// The external id that the role's trust asks for.
    pub external_id: Option<String>,
}

/// What reading metrics may cost in a month of 30 days. The stricter limit holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ApiBudget {
    /// Metrics read; `None` is no limit.
    pub metrics_monthly: Option<u64>,
    /// Millionths of a US dollar; `None` is no limit.
    pub usd_micros_monthly: Option<u64>,
}

/// `kind = "sim"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SimConfig {
    /// What every random draw comes from: the same seed gives the same world.
    pub seed: u64,
    /// When the simulated clock starts.
    pub start: Timestamp,
    /// How long the simulation runs; `None` is until it is stopped.
    pub duration: Option<Seconds>,
    /// How much faster than real time its clock runs; `None` is as fast as the machine can.
    pub speed: Option<u32>,
    /// The world by name, such as `day`.
    pub scenario: String,
    /// Machines beside its groups, which may be idle.
    #[serde(skip_serializing_if = "is_zero")]
    pub machines: u32,
}

/// A world without machines is written as it was before there were any.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field's address")]
fn is_zero(machines: &u32) -> bool {
    *machines == 0
}

impl SimConfig {
    /// The account of every simulated group.
    pub const ACCOUNT: &str = SIMULATED_ACCOUNT;
    /// The region of every simulated group.
    pub const REGION: &str = SIMULATED_REGION;
    /// The seed where none is given.
    const SEED: u64 = 1;
    /// A Monday at midnight UTC, so that a week begins at its beginning.
    const START: Timestamp = Timestamp(1_772_409_600);
    /// A simulated day in a minute and a half.
    const SPEED: u32 = 1000;
    /// More than this a machine of ordinary size does not hold.
    const MACHINES_MAX: u64 = 200_000;
    /// Faster than this no machine computes a cycle of a minute.
    const SPEED_MAX: u64 = 1_000_000;
}

impl CloudAccount {
    /// The account of the credentials that are found.
    pub const DEFAULT: &str = "default";
}

impl ProviderConfig {
    /// Its kind, as the file spells it.
    pub fn kind(&self) -> &'static str {
        match self {
            ProviderConfig::Alibaba(_) => "alibaba",
            ProviderConfig::Aws(_) => "aws",
            ProviderConfig::Prometheus(_) => PROMETHEUS,
            ProviderConfig::Sim(_) => "sim",
        }
    }

    /// Whether any region may be named, since it looks in all.
    pub fn has_every_region(&self) -> bool {
        match self {
            ProviderConfig::Alibaba(alibaba) => alibaba.every_region,
            ProviderConfig::Aws(aws) => aws.every_region,
            ProviderConfig::Prometheus(_) | ProviderConfig::Sim(_) => false,
        }
    }

    /// The regions it looks in; empty where any name goes.
    pub fn regions(&self) -> Vec<Region> {
        match self {
            ProviderConfig::Alibaba(alibaba) => alibaba.regions.clone(),
            ProviderConfig::Aws(aws) => aws.regions.clone(),
            ProviderConfig::Prometheus(_) => Region::new(NOWHERE).into_iter().collect(),
            ProviderConfig::Sim(_) => Region::new(SimConfig::REGION).into_iter().collect(),
        }
    }

    /// The accounts it looks in.
    pub fn accounts(&self) -> Vec<AccountId> {
        let ids = |accounts: &[CloudAccount]| accounts.iter().map(|a| a.id.clone()).collect();
        match self {
            ProviderConfig::Alibaba(alibaba) => ids(&alibaba.accounts),
            ProviderConfig::Aws(aws) => ids(&aws.accounts),
            ProviderConfig::Prometheus(_) => AccountId::new(NOWHERE).into_iter().collect(),
            ProviderConfig::Sim(_) => AccountId::new(SimConfig::ACCOUNT).into_iter().collect(),
        }
    }
}

/// The providers of a file: those that could be read, and the names of all.
#[derive(Default)]
pub(super) struct Providers {
    pub read: BTreeMap<ProviderName, ProviderConfig>,
    pub named: BTreeSet<String>,
    /// The names of those that measure and hold no groups.
    pub sources: BTreeSet<String>,
}

/// Reads `[provider.*]`.
pub(super) fn providers(root: &Table<'_>) -> Providers {
    let mut providers = Providers::default();
    let Some(table) = root.get(&top::PROVIDER).and_then(|entry| entry.table()) else {
        return providers;
    };
    let entries = table.entries();
    for entry in &entries {
        providers.named.insert(entry.key().to_owned());
        let Some(name) = name(entry) else { continue };
        let Some(table) = entry.table() else { continue };
        if table.get(&of_aws::KIND).is_some_and(|kind| kind.as_text() == Some(PROMETHEUS)) {
            providers.sources.insert(name.to_string());
        }
        if let Some(config) = provider(&table) {
            providers.read.insert(name, config);
        }
    }
    check_one_clock(&entries, &providers.read);
    providers
}

/// A provider's name stands in keys and in names of files.
fn name(entry: &Entry<'_>) -> Option<ProviderName> {
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if entry.key().is_empty() || !entry.key().chars().all(sound) {
        let message = format!(
            "a provider is named `{}`, expected ASCII letters, digits, `-` and `_`",
            entry.key()
        );
        entry.key_fault(message, None);
        return None;
    }
    ProviderName::new(entry.key())
}

/// A simulation brings its own clock, on which no real cloud runs.
fn check_one_clock(entries: &[Entry<'_>], read: &BTreeMap<ProviderName, ProviderConfig>) {
    let is_sim = |provider: &ProviderConfig| matches!(provider, ProviderConfig::Sim(_));
    if read.len() < 2 || !read.values().any(is_sim) {
        return;
    }
    let of_sim =
        |e: &&Entry<'_>| read.iter().any(|(name, p)| name.as_str() == e.key() && is_sim(p));
    for entry in entries.iter().filter(of_sim) {
        let message = format!(
            "`provider.{}` is simulated beside another provider, expected it alone: a simulation has \
             a clock of its own",
            entry.key()
        );
        entry.key_fault(message, None);
    }
}

/// The kind of a source of metrics.
const PROMETHEUS: &str = "prometheus";

/// What `kind` may say.
#[derive(Clone, Copy)]
enum Kind {
    Alibaba,
    Aws,
    Prometheus,
    Sim,
    NotBuilt(&'static str),
}

fn provider(table: &Table<'_>) -> Option<ProviderConfig> {
    const KINDS: [(&str, Kind); 9] = [
        ("alibaba", Kind::Alibaba),
        ("aws", Kind::Aws),
        (PROMETHEUS, Kind::Prometheus),
        ("sim", Kind::Sim),
        ("azure", Kind::NotBuilt("Azure")),
        ("google", Kind::NotBuilt("Google Cloud")),
        ("huawei", Kind::NotBuilt("Huawei Cloud")),
        ("tencent", Kind::NotBuilt("Tencent Cloud")),
        ("kubernetes", Kind::NotBuilt("Kubernetes")),
    ];
    let entry =
        table.required(&of_aws::KIND, "`\"alibaba\"`, `\"aws\"`, `\"prometheus\"` or `\"sim\"`")?;
    let known = entry.as_text().is_some_and(|word| KINDS.iter().any(|(kind, _)| *kind == word));
    let kind = match known {
        true => entry.choice(&KINDS)?,
        // Offers the kinds that work only.
        false => entry.choice(&KINDS[..4])?,
    };
    if let Some((message, hint)) =
        not_built(kind, entry.as_text().unwrap_or_default(), entry.checks().built)
    {
        entry.fault(format!("{}: {message}", entry.found()), Some(hint));
        return None;
    }
    let config = match kind {
        Kind::Alibaba => Some(ProviderConfig::Alibaba(alibaba(table))),
        Kind::Aws => Some(ProviderConfig::Aws(aws(table))),
        Kind::Prometheus => prometheus(table).map(Box::new).map(ProviderConfig::Prometheus),
        _ => Some(ProviderConfig::Sim(sim(table))),
    };
    table.finish();
    config
}

/// What to say of a kind that is not built in, and what helps.
fn not_built(kind: Kind, word: &str, built: &[&str]) -> Option<(String, String)> {
    match kind {
        Kind::NotBuilt(what) => {
            let kinds: Vec<String> = built.iter().map(|word| format!("`{word}`")).collect();
            let hint = format!("kinds of this version: {}", kinds.join(", "));
            Some((format!("{what} is not built in yet"), hint))
        }
        Kind::Alibaba | Kind::Aws | Kind::Prometheus | Kind::Sim if built.contains(&word) => None,
        Kind::Alibaba | Kind::Aws | Kind::Prometheus | Kind::Sim => {
            let hint = format!(
                "build neap with it: `cargo build --release -p neap --features {word}`; packages \
                 have every kind"
            );
            Some(("this program was built without it".to_owned(), hint))
        }
    }
}

fn alibaba(table: &Table<'_>) -> AlibabaConfig {
    let checks = table.checks();
    let free = checks.alibaba_free_metric_calls_monthly;
    let budget = table.get(&of_alibaba::API_BUDGET).and_then(|entry| entry.table());
    let metric_calls = budget.and_then(|table| {
        let calls =
            table.get(&alibaba_budget::METRIC_CALLS_PER_MONTH).and_then(|e| e.whole(1..=u64::MAX));
        table.finish();
        calls
    });
    let role = |arn: &str| (checks.role_account)("alibaba", arn).ok();
    AlibabaConfig {
        every_region: every_region(table),
        regions: regions(table, "ap-southeast-1"),
        accounts: accounts(table, "acs:ram::1234567890123456:role/neap", role),
        vpc_endpoints: table
            .get(&of_alibaba::VPC_ENDPOINTS)
            .and_then(|entry| entry.flag())
            .unwrap_or(false),
        endpoint_url: table.get(&of_alibaba::ENDPOINT_URL).and_then(|entry| endpoint(&entry)),
        metric_calls_monthly: metric_calls.unwrap_or(free),
    }
}

fn aws(table: &Table<'_>) -> AwsConfig {
    let role = |arn: &str| (table.checks().role_account)("aws", arn).ok();
    AwsConfig {
        every_region: every_region(table),
        regions: regions(table, "eu-west-1"),
        accounts: accounts(table, "arn:aws:iam::111122223333:role/neap", role),
        endpoint_url: table.get(&of_aws::ENDPOINT_URL).and_then(|entry| endpoint(&entry)),
        api_budget: table
            .get(&of_aws::API_BUDGET)
            .and_then(|e| e.table())
            .map_or_else(ApiBudget::default, |table| api_budget(&table)),
    }
}

/// Stands for all regions that an account has.
const ALL: &str = "all";

fn every_region(table: &Table<'_>) -> bool {
    table.get(&of_aws::REGIONS).is_some_and(|entry| entry.as_text() == Some(ALL))
}

fn regions(table: &Table<'_>, example: &str) -> Vec<Region> {
    if every_region(table) {
        return Vec::new();
    }
    let expected = format!("a list of regions such as `[\"{example}\"]`, or `\"all\"`");
    let Some(entry) = table.required(&of_aws::REGIONS, &expected) else { return Vec::new() };
    if entry.list_is_empty() {
        entry.unexpected(&expected, None);
    }
    let one = format!("a region such as `\"{example}\"`");
    let members = entry.list(&expected);
    members.iter().filter_map(|member| member.name(Region::new, &one)).collect()
}

fn endpoint(entry: &Entry<'_>) -> Option<String> {
    let expected = "an address such as `\"https://vpce.example.com\"`";
    let url = entry.text(expected)?;
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
        entry.unexpected(expected, None);
        return None;
    }
    Some(url.to_owned())
}

/// Reads `accounts`; `role` finds the account in a role's ARN, `example` is one.
fn accounts(
    table: &Table<'_>,
    example: &str,
    role: impl Fn(&str) -> Option<AccountId>,
) -> Vec<CloudAccount> {
    let Some(entry) = table.get(&of_aws::ACCOUNTS) else {
        let id = AccountId::new(CloudAccount::DEFAULT);
        return id
            .map(|id| CloudAccount { id, role_arn: None, external_id: None })
            .into_iter()
            .collect();
    };
    if entry.list_is_empty() {
        let hint = "leave `accounts` out to use the credentials' own account".to_owned();
        entry.unexpected("at least one account", Some(hint));
    }
    let mut accounts: Vec<CloudAccount> = Vec::new();
    for member in entry.tables() {
        let Some(account) = account(&member, example, &role) else { continue };
        if accounts.iter().any(|other| other.id == account.id) {
            member.fault(format!("account `{}` is there twice, expected once", account.id), None);
            continue;
        }
        accounts.push(account);
    }
    accounts
}

fn account(
    table: &Table<'_>,
    example: &str,
    role: impl Fn(&str) -> Option<AccountId>,
) -> Option<CloudAccount> {
    let expected = format!("a role such as `\"{example}\"`");
    let entry = table.required(&aws_account::ROLE_ARN, &expected);
    let external_id = table
        .get(&aws_account::EXTERNAL_ID)
        .and_then(|e| e.text("the external id that the role asks for"));
    table.finish();
    let entry = entry?;
    let arn = entry.text(&expected)?;
    let Some(id) = role(arn) else {
        entry.unexpected(&expected, None);
        return None;
    };
    let (role_arn, external_id) = (Some(arn.to_owned()), external_id.map(str::to_owned));
    Some(CloudAccount { id, role_arn, external_id })
}

fn api_budget(table: &Table<'_>) -> ApiBudget {
    let metrics =
        table.get(&aws_budget::METRICS_PER_MONTH).and_then(|entry| entry.whole(1..=u64::MAX));
    let usd = table.get(&aws_budget::USD_PER_MONTH).and_then(|e| e.positive("US dollars above 0"));
    table.finish();
    ApiBudget {
        metrics_monthly: metrics,
        // Saturates at 18 trillion dollars.
        usd_micros_monthly: usd.map(|usd| (usd * 1e6).round() as u64),
    }
}

fn sim(table: &Table<'_>) -> SimConfig {
    let day = Seconds::days(1);
    let scenarios = table.checks().scenarios;
    SimConfig {
        seed: table
            .get(&of_sim::SEED)
            .and_then(|entry| entry.whole(0..=u64::MAX))
            .unwrap_or(SimConfig::SEED),
        start: table
            .get(&of_sim::START)
            .and_then(|entry| {
                entry.parsed(Timestamp::parse, "a moment such as `\"2026-03-02T00:00:00Z\"`")
            })
            .unwrap_or(SimConfig::START),
        duration: table
            .get(&of_sim::DURATION)
            .and_then(|entry| entry.duration(Seconds::minutes(1)..=Seconds(366 * day.0))),
        speed: speed(table),
        scenario: table
            .get(&of_sim::SCENARIO)
            .and_then(|entry| {
                let known: Vec<_> = scenarios.iter().map(|name| (*name, *name)).collect();
                entry.choice(&known)
            })
            .or(scenarios.first().copied())
            .unwrap_or_default()
            .to_owned(),
        machines: table
            .get(&of_sim::MACHINES)
            .and_then(|entry| entry.whole(0..=SimConfig::MACHINES_MAX))
            .and_then(|machines| u32::try_from(machines).ok())
            .unwrap_or(0),
    }
}

fn speed(table: &Table<'_>) -> Option<u32> {
    let Some(entry) = table.get(&of_sim::SPEED) else { return Some(SimConfig::SPEED) };
    if entry.as_text() == Some("max") {
        return None;
    }
    if entry.as_text().is_some() {
        entry.unexpected("`\"max\"` or how many times faster than real time, such as `1000`", None);
        return None;
    }
    entry.whole(1..=SimConfig::SPEED_MAX).and_then(|speed| u32::try_from(speed).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_not_built_in_says_how_to_build_it() {
        let built = ["sim"];
        let told = |kind, word| {
            let (message, hint) = not_built(kind, word, &built).unwrap();
            format!("{message}\n{hint}")
        };
        insta::assert_snapshot!(told(Kind::Aws, "aws"), @"
        this program was built without it
        build neap with it: `cargo build --release -p neap --features aws`; packages have every kind
        ");
        insta::assert_snapshot!(told(Kind::NotBuilt("Azure"), "azure"), @"
        Azure is not built in yet
        kinds of this version: `sim`
        ");
        assert_eq!(not_built(Kind::Sim, "sim", &built), None);
    }
}
