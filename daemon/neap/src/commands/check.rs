//! `neap check`: every fault of the configuration at once, and what running it costs.

mod coming;
mod idle;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use config::calendars::Calendars;
use config::{
    self, AlertChannel, ApiBudget, Config, ConfigFault, ProviderConfig, SecretFile, Viewing,
};
use planner::metric::{MetricQuery, Statistic, WhenMissing};
use planner::policy::{Actuate, CapacityPerUnit, Mode, ServicePolicy};
use planner::{ProviderName, ServiceName, Timestamp};
use providers::{Expected, Volume};
use serde::Serialize;

use crate::adapters;
use crate::assemble;
use crate::options::Format;
use crate::options::{ConfigOption, FormatOption, NO};
use coming::Coming;
use idle::Idle;

const EXAMPLES: &str = "\
Examples:
  neap check --config /etc/neap/neap.toml
  neap check --format json | jq '.faults'
  neap check --schema > neap.schema.json

Reads the file, and the files of holidays that it names. Calls no cloud; `neap plan` tries the
credentials. Exits with 1 if there are faults.";

/// What `neap check` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigOption,
    /// How the answer looks.
    #[command(flatten)]
    pub format: FormatOption,
    /// Print the JSON Schema of the configuration, for editors, and read no file.
    #[arg(long, conflicts_with_all = ["path", "format"])]
    pub schema: bool,
}

/// Checks a configuration.
///
/// # Errors
/// Where stdout cannot be written.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    if args.schema {
        let schema = serde_json::to_string_pretty(&config::schema())?;
        writeln!(std::io::stdout(), "{schema}")?;
        return Ok(ExitCode::from(crate::options::DONE));
    }
    let parsed = crate::settings::load(&args.config.path).and_then(with_sound_secrets);
    let text = match (&parsed, args.format.format) {
        (Ok(config), Format::Human) => {
            format!("{}: no faults\n{}", args.config.path.display(), report_now(config))
        }
        (Err(faults), Format::Human) => listed(faults),
        (Ok(config), Format::Json) => {
            json(&CheckAnswer { faults: &[], report: Some(report_now(config)) })?
        }
        (Err(faults), Format::Json) => json(&CheckAnswer { faults, report: None })?,
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::from(if parsed.is_ok() { crate::options::DONE } else { NO }))
}

/// Looks at secrets too, as far as they can be read from here.
fn with_sound_secrets(config: Config) -> Result<Config, Vec<ConfigFault>> {
    let mut seen = config.clone();
    seen.alerts.retain(|alert| alert.secrets().all(SecretFile::is_readable));
    if let Some(page) = &mut seen.page {
        page.tokens.retain(|token| token.file.is_readable());
        page.proxy.take_if(|proxy| !proxy.secret.is_readable());
    }
    if let Some(trace) = &mut seen.trace {
        trace.headers.take_if(|headers| !headers.is_readable());
    }
    crate::app::open(&seen).map(|_| config)
}

/// What `--format json` prints.
#[derive(Serialize)]
struct CheckAnswer<'a> {
    faults: &'a [ConfigFault],
    #[serde(flatten)]
    report: Option<Report>,
}

fn json(answer: &CheckAnswer<'_>) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(answer)? + "\n")
}

fn listed(faults: &[ConfigFault]) -> String {
    let mut text: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
    let _ = match faults.len() {
        1 => writeln!(text, "1 fault"),
        count => writeln!(text, "{count} faults"),
    };
    text
}

/// What a sound configuration comes to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    mode: Mode,
    poll_interval: String,
    services: Vec<ServiceLines>,
    templates: Vec<String>,
    freezes: Vec<String>,
    /// What is said of idle resources and schedules, where anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<Idle>,
    /// Where people are told, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alerts: Vec<String>,
    costs: Vec<Cost>,
    advice: Vec<Advice>,
}

/// One service, in words.
#[derive(Clone, Debug, Serialize)]
struct ServiceLines {
    name: String,
    mode: Mode,
    group: String,
    units: String,
    demand: Vec<String>,
    promise: String,
    capacity: String,
    timing: String,
    /// What the calendar says for the next days, where the service has one.
    coming: Option<Coming>,
}

/// What reading one provider comes to in a month of 30 days.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Cost {
    provider: ProviderName,
    kind: &'static str,
    groups: u64,
    metrics: u64,
    calls_monthly: u64,
    metrics_read_monthly: u64,
    usd_monthly: f64,
    /// Calls among them that count against a month's free ones, and how many those are.
    #[serde(skip_serializing_if = "Option::is_none")]
    free_calls: Option<FreeCalls>,
    /// Metrics of one group of every template, which come on top for each group that matches.
    metrics_each_templated_group: u64,
}

/// Calls that are free up to a number a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct FreeCalls {
    expected: u64,
    free: u64,
}

/// Something that is allowed and may not be meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Advice {
    severity: Severity,
    about: String,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Warning,
    Suggestion,
}

/// The report of now, with what is wrong with the files of sources as far as they can be read.
fn report_now(config: &Config) -> Report {
    let mut report = report(config, assemble::begins(config));
    report.advice.extend(sources::faulty_files(config));
    report
}

/// What a sound configuration comes to, at `now`.
pub fn report(config: &Config, now: Timestamp) -> Report {
    let costs = costs(config);
    let calendars = Calendars::of(config);
    let mut advice = general_advice(config, &costs);
    advice.extend(calendars.warnings(now).into_iter().map(|(about, text)| Advice {
        severity: Severity::Warning,
        about,
        text,
    }));
    for (name, service) in &config.policy.services {
        advice.extend(service_advice(config, name, service));
        advice.extend(floors_beyond(&calendars, name, service));
    }
    Report {
        mode: config.policy.mode,
        poll_interval: config.policy.poll_interval.to_string(),
        services: (config.policy.services.iter())
            .map(|(n, s)| lines(n, s, config, Coming::of(&calendars, n, now)))
            .collect(),
        templates: config.templates.iter().map(|t| t.name.clone()).collect(),
        freezes: config.freezes.iter().map(|freeze| freeze.name.clone()).collect(),
        idle: Idle::of(config, now),
        alerts: config.alerts.iter().map(told).collect(),
        costs,
        advice,
    }
}

/// A channel in words; never its address.
fn told(alert: &AlertChannel) -> String {
    let hashed = if alert.message.hash.is_empty() { "" } else { ", with names hashed" };
    let worded = match &alert.message.template {
        Some(template) => format!(", worded by `{}`", template.source),
        None => String::new(),
    };
    let least = match alert.min_severity {
        planner::alert::Severity::Info => "everything",
        planner::alert::Severity::Warning => "warnings and worse",
        planner::alert::Severity::Critical => "what is critical",
    };
    let quiet = if alert.quiet_hours.is_none() { "" } else { ", with quiet hours" };
    let digest = alert.digest.as_ref().map_or_else(String::new, |rule| format!(", a {rule}"));
    format!("{}: {least} by {}{worded}{hashed}{quiet}{digest}", alert.name, alert.kind)
}

fn lines(
    name: &ServiceName,
    service: &ServicePolicy,
    config: &Config,
    coming: Option<Coming>,
) -> ServiceLines {
    let pool = &service.pool;
    let upper = match pool.max {
        Some(max) => format!("{} to {}", pool.min.0, max),
        None => format!("{} or more, up to the group's own maximum", pool.min),
    };
    let capacity = match (pool.capacity_per_unit, &service.utilisation) {
        (CapacityPerUnit::Given(capacity), _) => format!("{capacity} a second and unit"),
        (CapacityPerUnit::Learn, Some(query)) => {
            format!("learned from {}, full at {}", shown(query), pool.target_utilisation)
        }
        (CapacityPerUnit::Learn, None) => "to be learned, from nothing".to_owned(),
    };
    ServiceLines {
        name: name.to_string(),
        mode: if config.policy.mode == Mode::Observe { Mode::Observe } else { service.mode },
        group: pool.group.to_string(),
        units: upper,
        demand: service.demand.iter().map(shown).collect(),
        promise: format!("at most {} of intervals above capacity", service.violation_budget),
        capacity,
        timing: format!(
            "lead time {}, warm-up {}, cooldown {}, hold window {}, override lease {}",
            pool.lead_time, pool.warm_up, pool.cooldown, pool.hold_window, pool.override_lease
        ),
        coming,
    }
}

fn shown(query: &MetricQuery) -> String {
    let zero = if query.when_missing == WhenMissing::Zero { ", missing is zero" } else { "" };
    if query.namespace == fleet::metric::PROMQL {
        let (text, every) = (&query.metric, query.period.span());
        return format!("`{text}` (PromQL, {every}{zero}) from {}", query.provider);
    }
    format!(
        "`{}` `{}` ({}, {}{zero}) from {}/{}",
        query.namespace,
        query.metric,
        query.statistic,
        query.period.span(),
        query.provider,
        query.region
    )
}

fn costs(config: &Config) -> Vec<Cost> {
    config
        .providers
        .iter()
        .map(|(name, provider)| {
            let watched = watched(config, name);
            let expected = expected(config, provider, &watched);
            let templated = config.templates.iter().flat_map(|t| metrics_of(&t.service, name));
            Cost {
                provider: name.clone(),
                kind: provider.kind(),
                groups: watched.values().map(|seen| seen.groups).sum(),
                metrics: watched.values().map(|seen| seen.metrics).sum(),
                calls_monthly: expected.calls_total(),
                metrics_read_monthly: expected.metrics,
                usd_monthly: expected.usd_micros as f64 / 1e6,
                free_calls: matches!(provider, ProviderConfig::Alibaba(_)).then(|| FreeCalls {
                    expected: adapters::alibaba_metric_calls(&expected),
                    free: adapters::ALIBABA_FREE_METRIC_CALLS_MONTHLY,
                }),
                metrics_each_templated_group: templated.count() as u64,
            }
        })
        .collect()
}

/// What watching all that costs; reading a simulated cloud is free.
fn expected(config: &Config, provider: &ProviderConfig, watched: &Watched) -> Expected {
    let volumes = watched.values().map(|seen| Volume {
        groups: seen.groups,
        metrics: seen.metrics,
        metric_kinds: u64::try_from(seen.kinds.len()).unwrap_or(u64::MAX),
        poll_interval: config.policy.poll_interval,
    });
    let of_volume = |volume| adapters::expected_calls(provider, volume);
    volumes.map(of_volume).fold(Expected::default(), |sum, place| sum.plus(&place))
}

fn metrics_of<'s>(
    service: &'s ServicePolicy,
    provider: &'s ProviderName,
) -> impl Iterator<Item = &'s MetricQuery> {
    service.metrics().filter(move |query| query.provider == *provider)
}

/// What is watched by account and region, as calls go to each place by itself.
type Watched = BTreeMap<(String, String), Seen>;

/// What is watched in one place.
#[derive(Default)]
struct Seen {
    groups: u64,
    /// Distinct metrics.
    metrics: u64,
    /// Namespace, name and period of them.
    kinds: BTreeSet<(String, String, u32)>,
}

fn watched(config: &Config, provider: &ProviderName) -> Watched {
    let mut watched = Watched::new();
    let mut seen = BTreeSet::new();
    for service in config.policy.services.values() {
        let group = &service.pool.group;
        if group.provider == *provider {
            let place = (group.account.to_string(), group.region.to_string());
            watched.entry(place).or_default().groups += 1;
        }
        for query in metrics_of(service, provider) {
            if seen.insert(query.key()) {
                let place = (query.account.to_string(), query.region.to_string());
                let here = watched.entry(place).or_default();
                here.metrics += 1;
                let (namespace, name) = (query.namespace.clone(), query.metric.clone());
                here.kinds.insert((namespace, name, query.period.seconds()));
            }
        }
    }
    watched
}

fn general_advice(config: &Config, costs: &[Cost]) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut warn = |about: &str, text: String| {
        advice.push(Advice { severity: Severity::Warning, about: about.to_owned(), text });
    };
    if let Some(page) = config.page.as_ref().filter(|page| !page.listen.ip().is_loopback())
        && page.viewing == Viewing::Open
    {
        let listen = page.listen;
        warn(
            "page",
            format!("whoever reaches `{listen}` may look: `viewing = \"token\"` asks who"),
        );
    }
    let of_alerts = config.alerts.iter().flat_map(|alert| {
        alert.secrets().map(move |secret| (format!("alert {}", alert.name), secret))
    });
    let of_traces = config.trace.iter().filter_map(|trace| trace.headers.as_ref());
    let secrets = of_alerts.chain(of_traces.map(|secret| ("trace".to_owned(), secret)));
    for (about, secret) in secrets.filter(|(_, secret)| !secret.is_readable()) {
        let path = secret.path().display();
        let text = format!(
            "`{path}` cannot be read from here: the daemon must be able to, or it does not start"
        );
        warn(&about, text);
    }
    for (name, provider) in &config.providers {
        let about = format!("provider {name}");
        let cost = costs.iter().find(|cost| cost.provider == *name);
        let (url, over) = match provider {
            ProviderConfig::Alibaba(alibaba) => {
                let limit = alibaba.metric_calls_monthly;
                (&alibaba.endpoint_url, cost.and_then(|cost| over_free_calls(cost, limit)))
            }
            ProviderConfig::Aws(aws) => {
                (&aws.endpoint_url, cost.and_then(|cost| over_budget(cost, aws.api_budget)))
            }
            // Its address is judged with its credentials, where it is read.
            ProviderConfig::Prometheus(_) | ProviderConfig::Sim(_) => continue,
        };
        let url = url.as_deref().unwrap_or_default();
        if url.starts_with("http://") && !is_local(url) {
            warn(&about, format!("`{url}` is not encrypted: credentials' signatures go in clear"));
        }
        if let Some(text) = over {
            warn(&about, text);
        }
    }
    advice
}

fn is_local(url: &str) -> bool {
    let host = url.trim_start_matches("http://");
    ["localhost", "127.", "[::1]"].iter().any(|local| host.starts_with(local))
}

fn over_free_calls(cost: &Cost, limit: u64) -> Option<String> {
    let FreeCalls { expected, free } = cost.free_calls?;
    if expected > limit {
        return Some(format!(
            "{expected} metric calls a month are expected and `metric_calls_per_month` is {limit}: \
             neap will read less often than `poll_interval`"
        ));
    }
    (expected > free).then(|| {
        format!(
            "{expected} metric calls a month are expected and {free} are free: without \
             pay-as-you-go CloudMonitor refuses the rest"
        )
    })
}

fn over_budget(cost: &Cost, budget: ApiBudget) -> Option<String> {
    let read = cost.metrics_read_monthly;
    if let Some(limit) = budget.metrics_monthly.filter(|limit| read > *limit) {
        return Some(format!(
            "{read} metrics a month are expected and `metrics_per_month` is {limit}: neap will read \
             less often than `poll_interval`"
        ));
    }
    let usd = budget.usd_micros_monthly? as f64 / 1e6;
    (cost.usd_monthly > usd).then(|| {
        format!(
            "{:.2} USD a month are expected and `usd_per_month` is {usd:.2}: neap will read less \
             often than `poll_interval`",
            cost.usd_monthly
        )
    })
}

fn service_advice(config: &Config, name: &ServiceName, service: &ServicePolicy) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut add = |severity, text: String| {
        advice.push(Advice { severity, about: format!("service {name}"), text });
    };
    for query in &service.demand {
        if config::known_sparse(query) && query.when_missing == WhenMissing::Unknown {
            let metric = &query.metric;
            let text = format!(
                "`{metric}` reports nothing at zero: `when_missing = \"zero\"` tells a quiet hour \
                 from a lost metric"
            );
            add(Severity::Suggestion, text);
        }
        let total = matches!(query.statistic, Statistic::Sum | Statistic::SampleCount);
        if !total && !config::known_rate(query) {
            let text = format!(
                "demand is total load, and `{}` of `{}` does not grow with it",
                query.statistic, query.metric
            );
            add(Severity::Warning, text);
        }
    }
    let acts = config.policy.mode == Mode::Act && service.mode == Mode::Act;
    if acts && service.pool.actuate == Some(Actuate::Desired) {
        let text = "`actuate = \"desired\"` needs a group without scale-in policies of its own; \
                    `neap plan` reads whether it has any";
        add(Severity::Warning, text.to_owned());
    }
    let ceiling = config.policy.spend_ceiling_usd_milli_hourly;
    if ceiling.is_some() && service.pool.price_usd_hourly.is_none() {
        let text = "no `price_usd_hourly`: its cost does not count towards `spend_usd_hourly`";
        add(Severity::Warning, text.to_owned());
    }
    if acts && service.pool.max.is_none() {
        let text = "no `max`: the group's own maximum alone limits growth and spending";
        add(Severity::Warning, text.to_owned());
    }
    if service.signals == planner::policy::Signals::default() {
        let text = "no `signals`: an outage of this service alone looks like a quiet hour";
        add(Severity::Suggestion, text.to_owned());
    }
    advice
}

/// Floors that a service's own maximum cuts.
fn floors_beyond(
    calendars: &Calendars,
    name: &ServiceName,
    service: &ServicePolicy,
) -> Vec<Advice> {
    let Some(max) = service.pool.max else { return Vec::new() };
    let beyond = calendars.events(name).filter_map(|event| {
        let floor = event.floor.filter(|floor| floor.units > max)?;
        Some(Advice {
            severity: Severity::Warning,
            about: format!("service {name}"),
            text: format!("event `{}` asks for {}, and `max` is {max}", event.name, floor.units),
        })
    });
    beyond.collect()
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.mode {
            Mode::Observe => "nothing is changed",
            Mode::Act => "groups are changed",
        };
        writeln!(f, "mode {}, {what}; a cycle every {}", self.mode, self.poll_interval)?;
        for service in &self.services {
            writeln!(f, "\nservice `{}`, mode {}", service.name, service.mode)?;
            writeln!(f, "  group     {}, {}", service.group, service.units)?;
            for metric in &service.demand {
                writeln!(f, "  demand    {metric}")?;
            }
            writeln!(f, "  promise   {}", service.promise)?;
            writeln!(f, "  capacity  {}", service.capacity)?;
            writeln!(f, "  timing    {}", service.timing)?;
            if let Some(coming) = &service.coming {
                write!(f, "{coming}")?;
            }
        }
        if !self.templates.is_empty() {
            let names = self.templates.join("`, `");
            writeln!(f, "\ntemplates `{names}`: a service for every group that matches")?;
        }
        if !self.freezes.is_empty() {
            writeln!(f, "\nfreezes `{}`", self.freezes.join("`, `"))?;
        }
        if let Some(idle) = &self.idle {
            write!(f, "{idle}")?;
        }
        if !self.alerts.is_empty() {
            f.write_str("\n")?;
            self.alerts.iter().try_for_each(|alert| writeln!(f, "alert {alert}"))?;
        }
        f.write_str("\n")?;
        self.costs.iter().try_for_each(|cost| writeln!(f, "{cost}"))?;
        self.advice.iter().try_for_each(|advice| {
            let word = if advice.severity == Severity::Warning { "warning" } else { "suggestion" };
            writeln!(f, "{word}: {}: {}", advice.about, advice.text)
        })
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (groups, metrics) = (self.groups, self.metrics);
        write!(
            f,
            "provider `{}` ({}): groups {groups}, metrics {metrics}",
            self.provider, self.kind
        )?;
        let (calls, read, usd) = (self.calls_monthly, self.metrics_read_monthly, self.usd_monthly);
        match self.kind {
            "sim" => f.write_str("; reading costs nothing")?,
            _ => write!(f, "; about {calls} calls and {read} metrics a month, {usd:.2} USD")?,
        }
        if let Some(FreeCalls { expected, free }) = self.free_calls {
            write!(f, "; {expected} of {free} free metric calls")?;
        }
        match self.metrics_each_templated_group {
            0 => Ok(()),
            each => write!(f, "; {each} metrics more for each group of a template"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-09-28, a Monday.
    const NOW: Timestamp = Timestamp(1_790_553_600);

    fn shown(text: &str) -> String {
        match crate::settings::parse("neap.toml", text) {
            Ok(config) => report(&config, NOW).to_string(),
            Err(faults) => listed(&faults),
        }
    }

    const AWS: &str = r#"
mode = "act"
[page]
listen = "0.0.0.0:7317"
certificate_file = "page.pem"
key_file = "page.key"
viewing = "open"
[provider.aws]
kind = "aws"
regions = ["eu-west-1"]
api_budget = { metrics_per_month = 100_000 }
endpoint_url = "http://proxy.example.com:8080"
[[service]]
name = "checkout"
demand = [{ namespace = "AWS/ApplicationELB", metric = "RequestCount", dimensions = { LoadBalancer = "app/checkout/50dc" } }]
[[service.pool]]
group = "checkout-asg"
actuate = "desired"
[[service]]
name = "batch"
mode = "observe"
demand = [{ namespace = "Batch", metric = "Load", stat = "Average" }]
signals = { errors = { namespace = "Batch", metric = "Errors" } }
[[service.pool]]
group = "batch-asg"
capacity_per_unit = 12.5
min = 0
max = 9
"#;

    #[test]
    fn a_sound_configuration_is_told_with_its_cost_and_what_may_not_be_meant() {
        insta::assert_snapshot!(shown(AWS), @r#"
        mode act, groups are changed; a cycle every 1m

        service `batch`, mode observe
          group     aws/eu-west-1/batch-asg, 0 to 9 units
          demand    `Batch` `Load` (Average, 1m) from aws/eu-west-1
          promise   at most 0.5% of intervals above capacity
          capacity  12.5 a second and unit
          timing    lead time 5m, warm-up 0s, cooldown 5m, hold window 15m, override lease 1h

        service `checkout`, mode act
          group     aws/eu-west-1/checkout-asg, 1 unit or more, up to the group's own maximum
          demand    `AWS/ApplicationELB` `RequestCount` (Sum, 1m) from aws/eu-west-1
          promise   at most 0.5% of intervals above capacity
          capacity  learned from `AWS/EC2` `CPUUtilization` (Average, 5m) from aws/eu-west-1, full at 70%
          timing    lead time 5m, warm-up 0s, cooldown 5m, hold window 15m, override lease 1h

        provider `aws` (aws): groups 2, metrics 4; about 118080 calls and 172800 metrics a month, 1.73 USD
        warning: page: whoever reaches `0.0.0.0:7317` may look: `viewing = "token"` asks who
        warning: provider aws: `http://proxy.example.com:8080` is not encrypted: credentials' signatures go in clear
        warning: provider aws: 172800 metrics a month are expected and `metrics_per_month` is 100000: neap will read less often than `poll_interval`
        warning: service batch: demand is total load, and `Average` of `Load` does not grow with it
        suggestion: service checkout: `RequestCount` reports nothing at zero: `when_missing = "zero"` tells a quiet hour from a lost metric
        warning: service checkout: `actuate = "desired"` needs a group without scale-in policies of its own; `neap plan` reads whether it has any
        warning: service checkout: no `max`: the group's own maximum alone limits growth and spending
        suggestion: service checkout: no `signals`: an outage of this service alone looks like a quiet hour
        "#);
    }

    #[test]
    fn metrics_that_two_services_share_are_read_once() {
        let text = AWS.replace("namespace = \"Batch\", metric = \"Load\", stat = \"Average\"", "namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", dimensions = { LoadBalancer = \"app/checkout/50dc\" }");
        let config = crate::settings::parse("neap.toml", &text).unwrap();
        let cost = &costs(&config)[0];
        // Demand, the errors of one, and the utilisation that the other learns from.
        assert_eq!((cost.groups, cost.metrics), (2, 3));
        // 3 metrics a minute for 30 days at 0.01 USD per 1,000.
        assert_eq!(cost.metrics_read_monthly, 3 * 43_200);
        assert!((cost.usd_monthly - 1.296).abs() < 1e-9, "{}", cost.usd_monthly);
    }

    const SHOP: &str = r#"
[provider.sim]
kind = "sim"
[calendar.cn]
timezone = "Asia/Shanghai"
holidays = "CN"
[[service]]
name = "shop"
calendar = "cn"
demand = [{ namespace = "A", metric = "M", when_missing = "zero" }]
signals = { errors = { namespace = "A", metric = "E" } }
[[service.pool]]
group = "shop"
capacity_per_unit = 5
max = 30
[[event]]
name = "10.10"
timezone = "Asia/Shanghai"
yearly = "10-10"
floor = 40
expires = 2026-10-12
[[event]]
name = "batch"
timezone = "Asia/Shanghai"
weekly = "daily 02:00-03:30"
[[event]]
name = "launch"
timezone = "UTC"
from = 2026-06-01T09:00
until = 2026-06-01T21:00
floor = 5
services = ["shop"]
"#;

    #[test]
    fn the_days_to_come_are_told_with_their_holidays_and_events() {
        insta::assert_snapshot!(shown(SHOP), @r"
        mode observe, nothing is changed; a cycle every 1m

        service `shop`, mode observe
          group     sim/sim-1/shop, 1 to 30 units
          demand    `A` `M` (Sum, 1m, missing is zero) from sim/sim-1
          promise   at most 0.5% of intervals above capacity
          capacity  5 a second and unit
          timing    lead time 5m, warm-up 0s, cooldown 5m, hold window 15m, override lease 1h
          calendar  days of Asia/Shanghai, holidays built-in `CN`
          coming    2026-10-01 to 2026-10-07 at rest: National Day
          coming    2026-10-10 at work: National Day
          coming    event `batch` from 2026-09-28T18:00:00Z until 2026-09-28T19:30:00Z, and 13 times more
          coming    event `10.10` from 2026-10-09T16:00:00Z until 2026-10-10T16:00:00Z, at least 40 units

        provider `sim` (sim): groups 1, metrics 2; reading costs nothing
        warning: event launch: its floor expired at 2026-06-01T21:00:00Z and does nothing any more
        warning: service shop: event `10.10` asks for 40 units, and `max` is 30 units
        ");
    }

    #[test]
    fn a_year_without_holidays_is_a_warning_before_it_begins() {
        let config = crate::settings::parse("neap.toml", SHOP).unwrap();
        let told = |now: &str| {
            let report = report(&config, Timestamp::parse(now).unwrap());
            let warnings =
                report.advice.iter().filter(|advice| advice.about.starts_with("calendar"));
            warnings.map(|advice| format!("{}: {}", advice.about, advice.text)).collect::<String>()
        };
        assert_eq!(told("2026-11-20T00:00:00Z"), "");
        insta::assert_snapshot!(told("2026-12-05T00:00:00Z"), @r"calendar cn: built-in `CN` has no day of 2027: its holidays count as ordinary days; name a newer file with `holidays_file`");
        let json = json(&CheckAnswer { faults: &[], report: Some(report(&config, NOW)) }).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let coming = &json["services"][0]["coming"];
        insta::assert_snapshot!(coming, @r#"{"calendar":{"holidays":"holidays built-in `CN`","timezone":"Asia/Shanghai"},"days":[{"from":"2026-10-01","kind":"rest","name":"National Day","to":"2026-10-07"},{"from":"2026-10-10","kind":"working","name":"National Day","to":"2026-10-10"}],"events":[{"again":13,"floor":null,"from":"2026-09-28T18:00:00Z","name":"batch","until":"2026-09-28T19:30:00Z"},{"again":0,"floor":40,"from":"2026-10-09T16:00:00Z","name":"10.10","until":"2026-10-10T16:00:00Z"}]}"#);
    }

    #[test]
    fn json_holds_faults_and_report_alike() {
        let config = crate::settings::parse("neap.toml", AWS).unwrap();
        let sound = json(&CheckAnswer { faults: &[], report: Some(report(&config, NOW)) }).unwrap();
        let sound: serde_json::Value = serde_json::from_str(&sound).unwrap();
        assert_eq!(sound["faults"].as_array().map(Vec::len), Some(0));
        assert_eq!(sound["costs"][0]["metrics"], 4);
        let faults = crate::settings::parse("neap.toml", "mode = 1").unwrap_err();
        let faulty = json(&CheckAnswer { faults: &faults, report: None }).unwrap();
        let faulty: serde_json::Value = serde_json::from_str(&faulty).unwrap();
        assert_eq!(faulty["faults"][1]["line"], 1);
        assert_eq!(faulty["faults"][1]["key"], "mode");
    }
}
