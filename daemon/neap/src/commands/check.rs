//! `neap check`: every fault of the configuration at once, and what running it costs.

mod advice;
mod coming;
mod cost;
mod hours;
mod idle;
mod online;
mod sources;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use config::calendars::Calendars;
use config::{self, AlertChannel, Config, ConfigFault, SecretFile};
use fleet::metric::{MetricQuery, WhenMissing};
use fleet::{ServiceName, Timestamp};
use planner::policy::{CapacityPerUnit, LeadTimeRule, Mode, PoolPolicy, ServicePolicy};
use serde::Serialize;

use super::removals;
use crate::assemble;
use crate::options::Format;
use crate::options::{ConfigOption, FormatOption, NO};
use advice::{Advice, Severity, floors_beyond, general_advice, service_advice};
use coming::Coming;
use cost::{Cost, costs};
use idle::Idle;
use online::Finding;

const EXAMPLES: &str = "\
Examples:
  neap check --config /etc/neap/neap.toml
  neap check --format json | jq '.faults'
  neap check --schema > neap.schema.json

  neap check --online

Reads the file, and the files of holidays that it names. With `--online` it also asks the clouds:
every permission, metric, tag and limit is tried, and nothing is changed. Exits with 1 if there are
faults, or if something that was tried keeps a service from being sized.";

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
    /// Ask the clouds whether everything is in place: permissions, metrics, tags, owners, limits.
    #[arg(long)]
    pub online: bool,
    /// Print the JSON Schema of the configuration, for editors, and read no file.
    #[arg(long, conflicts_with_all = ["path", "format", "online"])]
    pub schema: bool,
}

/// Checks a configuration.
///
/// # Errors
/// Where stdout cannot be written.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    if args.schema {
        let schema = serde_json::to_string_pretty(&config::schema())?;
        writeln!(crate::output::stdout(), "{schema}")?;
        return Ok(ExitCode::from(crate::options::DONE));
    }
    let parsed = crate::settings::load(&args.config.path).and_then(with_sound_secrets);
    let online = match &parsed {
        Ok(config) if args.online => Some(online::run(config)?),
        _ => None,
    };
    let text = match (&parsed, args.format.format) {
        (Ok(config), Format::Human) => {
            format!("{}: no faults\n{}", args.config.path.display(), report_now(config))
        }
        (Err(faults), Format::Human) => listed(faults),
        (Ok(config), Format::Json) => {
            let (report, online) = (Some(report_now(config)), online.as_deref());
            json(&CheckAnswer { faults: &[], report, online })?
        }
        (Err(faults), Format::Json) => json(&CheckAnswer { faults, report: None, online: None })?,
    };
    crate::output::stdout().write_all(text.as_bytes())?;
    let stops = online.iter().flatten().any(Finding::stops);
    if let (Format::Human, Some(findings)) = (args.format.format, &online) {
        let colour = crate::options::colored(&std::io::stdout());
        let text = online::listed(findings, colour);
        crate::output::painted_stdout().write_all(text.as_bytes())?;
    }
    Ok(ExitCode::from(if parsed.is_ok() && !stops { crate::options::DONE } else { NO }))
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
    /// What the clouds said, where they were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<&'a [Finding]>,
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
    /// The removal budgets, in words.
    removals: String,
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
    /// Which number of the group is written, in words.
    writes: &'static str,
    /// The hours that bound its size, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hours: Vec<String>,
    /// What the calendar says for the next days, where the service has one.
    coming: Option<Coming>,
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
        advice.extend(hours::advice(&calendars, name, service));
    }
    Report {
        mode: config.policy.mode,
        poll_interval: config.policy.poll_interval.to_string(),
        removals: removals::worded(&config.policy.budgets),
        services: (config.policy.services.iter())
            .map(|(n, s)| lines(n, s, config, (&calendars, now)))
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
        fleet::alert::Severity::Info => "everything",
        fleet::alert::Severity::Warning => "warnings and worse",
        fleet::alert::Severity::Critical => "what is critical",
    };
    let quiet = if alert.quiet_hours.is_none() { "" } else { ", with quiet hours" };
    let digest = alert.digest.as_ref().map_or_else(String::new, |rule| format!(", a {rule}"));
    format!("{}: {least} by {}{worded}{hashed}{quiet}{digest}", alert.name, alert.kind)
}

fn lines(
    name: &ServiceName,
    service: &ServicePolicy,
    config: &Config,
    (calendars, now): (&Calendars, Timestamp),
) -> ServiceLines {
    let pool = &service.pool;
    let upper = match pool.max {
        Some(max) => format!("{} to {}", pool.min.0, max),
        None => format!("{} or more, up to the group's own maximum", pool.min),
    };
    let counted = service.busy_units().zip(service.utilisation.as_ref());
    let demand = match counted {
        Some((_, query)) => vec![format!("busy units: {}, times units in service", shown(query))],
        None => service.demand.iter().map(shown).collect(),
    };
    let capacity = match (pool.capacity_per_unit, &service.utilisation) {
        (CapacityPerUnit::Given(capacity), _) if counted.is_some() => {
            format!("a unit is full when {capacity} of it is busy")
        }
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
        demand,
        promise: format!("at most {} of intervals above capacity", service.violation_budget),
        capacity,
        timing: format!(
            "{}, warm-up {}, cooldown {}, hold window {}, override lease {}",
            lead_time(pool),
            pool.warm_up,
            pool.cooldown,
            pool.hold_window,
            pool.override_lease
        ),
        writes: hours::writes(pool.actuate),
        hours: calendars.hours(name).iter().map(hours::in_words).collect(),
        coming: Coming::of(calendars, name, now),
    }
}

/// Which lead time is planned with, as far as the configuration tells.
fn lead_time(pool: &PoolPolicy) -> String {
    match pool.lead_time_rule {
        LeadTimeRule::AtLeast => format!("lead time {} or longer, as measured", pool.lead_time),
        LeadTimeRule::Measured => {
            format!("lead time as measured ({} until then)", pool.lead_time)
        }
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

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.mode {
            Mode::Observe => "nothing is changed",
            Mode::Act => "groups are changed",
        };
        writeln!(f, "mode {}, {what}; a cycle every {}", self.mode, self.poll_interval)?;
        writeln!(f, "removal budgets {}; tune, simulate and what-if keep to them", self.removals)?;
        writeln!(
            f,
            "  against metrics that tell too little; sizes that a service's past proves need none"
        )?;
        for service in &self.services {
            writeln!(f, "\nservice `{}`, mode {}", service.name, service.mode)?;
            writeln!(f, "  group     {}, {}", service.group, service.units)?;
            for metric in &service.demand {
                writeln!(f, "  demand    {metric}")?;
            }
            writeln!(f, "  promise   {}", service.promise)?;
            writeln!(f, "  capacity  {}", service.capacity)?;
            writeln!(f, "  timing    {}", service.timing)?;
            writeln!(f, "  writes    {}", service.writes)?;
            service.hours.iter().try_for_each(|hours| writeln!(f, "  hours     {hours}"))?;
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
        removal budgets group 10% per 10m; account 5% per 1h; fleet 2% per 1h; tune, simulate and what-if keep to them
          against metrics that tell too little; sizes that a service's past proves need none

        service `batch`, mode observe
          group     aws/eu-west-1/batch-asg, 0 to 9 units
          demand    `Batch` `Load` (Average, 1m) from aws/eu-west-1
          promise   at most 0.5% of intervals above capacity
          capacity  12.5 a second and unit
          timing    lead time 5m or longer, as measured, warm-up 0s, cooldown 5m, hold window 15m, override lease 1h
          writes    the desired capacity; the minimum where a policy of the group's own scales in

        service `checkout`, mode act
          group     aws/eu-west-1/checkout-asg, 1 unit or more, up to the group's own maximum
          demand    `AWS/ApplicationELB` `RequestCount` (Sum, 1m) from aws/eu-west-1
          promise   at most 0.5% of intervals above capacity
          capacity  learned from `AWS/EC2` `CPUUtilization` (Average, 5m) from aws/eu-west-1, full at 70%
          timing    lead time 5m or longer, as measured, warm-up 0s, cooldown 5m, hold window 15m, override lease 1h
          writes    the desired capacity: `actuate` says so

        provider `aws` (aws): groups 2, metrics 4; about 118080 calls and 146880 metrics a month, 1.47 USD
        warning: page: whoever reaches `0.0.0.0:7317` may look: `viewing = "token"` asks who
        warning: provider aws: `http://proxy.example.com:8080` is not encrypted: credentials' signatures go in clear
        warning: provider aws: 146880 metrics a month are expected and `metrics_per_month` is 100000: neap will read less often than `poll_interval`
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
        // Two a minute for 30 days and, as its samples are five minutes apart, utilisation twice in
        // that time, at 0.01 USD per 1,000.
        assert_eq!(cost.metrics_read_monthly, 2 * 43_200 + 2 * 8_640);
        assert!((cost.usd_monthly - 1.0368).abs() < 1e-9, "{}", cost.usd_monthly);
    }

    #[test]
    fn a_target_at_which_samples_count_as_full_is_warned_of() {
        let with = |target: &str| {
            let pool = format!("actuate = \"desired\"\ntarget_utilisation = \"{target}\"");
            shown(&AWS.replace("actuate = \"desired\"", &pool))
        };
        for (target, warned) in [("70%", false), ("80%", false), ("86%", true), ("95%", true)] {
            let said = format!(
                "`target_utilisation` is {target}, and from 90% on a sample counts as full"
            );
            assert_eq!(with(target).contains(&said), warned, "{target}");
        }
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
        removal budgets group 10% per 10m; account 5% per 1h; fleet 2% per 1h; tune, simulate and what-if keep to them
          against metrics that tell too little; sizes that a service's past proves need none

        service `shop`, mode observe
          group     sim/sim-1/shop, 1 to 30 units
          demand    `A` `M` (Sum, 1m, missing is zero) from sim/sim-1
          promise   at most 0.5% of intervals above capacity
          capacity  5 a second and unit
          timing    lead time 5m or longer, as measured, warm-up 0s, cooldown 5m, hold window 15m, override lease 1h
          writes    the desired capacity; the minimum where a policy of the group's own scales in
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
        let json =
            json(&CheckAnswer { faults: &[], report: Some(report(&config, NOW)), online: None })
                .unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let coming = &json["services"][0]["coming"];
        insta::assert_snapshot!(coming, @r#"{"calendar":{"holidays":"holidays built-in `CN`","timezone":"Asia/Shanghai"},"days":[{"from":"2026-10-01","kind":"rest","name":"National Day","to":"2026-10-07"},{"from":"2026-10-10","kind":"working","name":"National Day","to":"2026-10-10"}],"events":[{"again":13,"floor":null,"from":"2026-09-28T18:00:00Z","name":"batch","until":"2026-09-28T19:30:00Z"},{"again":0,"floor":40,"from":"2026-10-09T16:00:00Z","name":"10.10","until":"2026-10-10T16:00:00Z"}]}"#);
    }

    #[test]
    fn json_holds_faults_and_report_alike() {
        let config = crate::settings::parse("neap.toml", AWS).unwrap();
        let sound =
            json(&CheckAnswer { faults: &[], report: Some(report(&config, NOW)), online: None })
                .unwrap();
        let sound: serde_json::Value = serde_json::from_str(&sound).unwrap();
        assert_eq!(sound["faults"].as_array().map(Vec::len), Some(0));
        assert_eq!(sound["costs"][0]["metrics"], 4);
        let faults = crate::settings::parse("neap.toml", "mode = 1").unwrap_err();
        let faulty = json(&CheckAnswer { faults: &faults, report: None, online: None }).unwrap();
        let faulty: serde_json::Value = serde_json::from_str(&faulty).unwrap();
        assert_eq!(faulty["faults"][1]["line"], 1);
        assert_eq!(faulty["faults"][1]["key"], "mode");
    }
}
