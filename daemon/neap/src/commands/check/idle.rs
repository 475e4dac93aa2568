//! What may be stopped while it is idle, and the next times that schedules switch.

use std::fmt;

use fleet::resource::ResourceKind;
use fleet::{ProviderName, Seconds, Timestamp};
use planner::idle::rule::{
    Cap, IdleRule, Limits, Radius, RuleMode, ScheduleKind, ScheduleRule, Select, StopPreference,
};
use planner::policy::{Mode, Share};
use serde::Serialize;

use config::schedule::{Hours, LocalSwitch};
use config::{Config, IdleConfig, ProviderConfig};

/// How many switches are told.
const SWITCHES: usize = 5;

/// Rules and schedules, in words.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Idle {
    rules: Vec<Rule>,
    schedules: Vec<Schedule>,
    prices: Option<String>,
    reading: Vec<Reading>,
}

/// What it costs to know what machines do, by the hundred: how many a rule finds is not known
/// before it runs.
#[derive(Clone, Debug, Serialize)]
struct Reading {
    provider: ProviderName,
    usd_monthly_per_100_idle: f64,
    usd_monthly_per_100_in_use: f64,
}

#[derive(Clone, Debug, Serialize)]
struct Rule {
    name: String,
    mode: RuleMode,
    what: String,
}

#[derive(Clone, Debug, Serialize)]
struct Schedule {
    name: String,
    mode: RuleMode,
    what: String,
    hours: String,
    next: Vec<LocalSwitch>,
}

/// Where prices are from, and what becomes of those in the other currency.
fn priced(idle: &IdleConfig) -> Option<String> {
    let prices = &idle.prices;
    let listed = (!prices.is_empty()).then(|| format!("{} of {}", prices.len(), prices.source));
    let rate = idle.cny_per_usd.map(|rate| match idle.currency {
        Some(currency) => format!("in {currency}, at {} CNY for a USD", rate.rate()),
        None => "`cny_per_usd` converts nothing without `currency`".to_owned(),
    });
    let said: Vec<String> = listed.into_iter().chain(rate).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

impl Idle {
    /// What a configuration says; `None` where it says nothing of idle resources.
    pub fn of(config: &Config, now: Timestamp) -> Option<Idle> {
        let idle = &config.idle;
        if idle.is_empty() {
            return None;
        }
        let observes = config.policy.mode == Mode::Observe;
        let mode = |mode| if observes { RuleMode::Observe } else { mode };
        let rules = idle.policy.rules.iter().map(|rule| Rule {
            name: rule.name.to_string(),
            mode: mode(rule.mode),
            what: rule_line(rule),
        });
        let schedules = idle.policy.schedules.iter().map(|rule| schedule(rule, idle, mode, now));
        let usd = |every| crate::adapters::aws_usage_usd_micros(100, every) as f64 / 1e6;
        let looked_at = |name: &ProviderName| {
            let selects = idle.policy.rules.iter().map(|rule| &rule.select);
            selects
                .filter(|select| select.kinds.iter().any(|kind| kind.has_power()))
                .any(|select| select.provider.as_ref().is_none_or(|only| only == name))
        };
        let charged = config.providers.iter().filter(|(name, provider)| {
            matches!(provider, ProviderConfig::Aws(_)) && looked_at(name)
        });
        let reading = charged.map(|(name, _)| Reading {
            provider: name.clone(),
            usd_monthly_per_100_idle: usd(idle.policy.interval.max(Seconds::hours(1))),
            usd_monthly_per_100_in_use: usd(Seconds::days(1)),
        });
        Some(Idle {
            reading: reading.collect(),
            rules: rules.collect(),
            schedules: schedules.collect(),
            prices: priced(idle),
        })
    }
}

fn schedule(
    rule: &ScheduleRule,
    idle: &IdleConfig,
    mode: impl Fn(RuleMode) -> RuleMode,
    now: Timestamp,
) -> Schedule {
    let hours = idle.hours.get(&rule.name);
    let way = match rule.kind {
        ScheduleKind::Both => "stopped and started",
        ScheduleKind::StopOnly => "stopped, never started",
        ScheduleKind::StartOnly => "started, never stopped",
    };
    let if_idle = match rule.only_if_idle.0.is_empty() {
        true => String::new(),
        false => format!(", stopped only at {}", limits(&rule.only_if_idle)),
    };
    Schedule {
        name: rule.name.to_string(),
        mode: mode(rule.mode),
        what: format!("{} {way}{if_idle}", selected(&rule.select)),
        hours: hours.map(hours_line).unwrap_or_default(),
        next: hours.map_or_else(Vec::new, |hours| hours.next_switches(now, SWITCHES)),
    }
}

fn hours_line(hours: &Hours) -> String {
    match hours {
        Hours::Own(own) => {
            let up: Vec<String> = own.up.iter().map(ToString::to_string).collect();
            let calendar =
                own.calendar.as_ref().map(|named| format!(", calendar `{}`", named.name));
            let exceptions = match own.exceptions.len() {
                0 => String::new(),
                1 => ", 1 exception".to_owned(),
                count => format!(", {count} exceptions"),
            };
            let (up, calendar) = (up.join(" and "), calendar.unwrap_or_default());
            format!("up {up} in {}{calendar}{exceptions}", own.timezone)
        }
        Hours::CloudCustodian(policy) => {
            let tags = match policy.stop_tag == policy.start_tag {
                true => format!("tag `{}`", policy.stop_tag),
                false => format!("tags `{}` and `{}`", policy.stop_tag, policy.start_tag),
            };
            let zone = policy.by_default().map(|edges| edges.zones()).unwrap_or_default();
            let fallback = policy.fallback_schedule.as_ref().map(|schedule| {
                let zone = policy.for_most().map(|edges| format!(" in {}", edges.zones()));
                format!(", without it `{schedule}`{}", zone.unwrap_or_default())
            });
            let fallback = fallback.unwrap_or_default();
            format!("Cloud Custodian's {tags}, where empty in {zone}{fallback}")
        }
    }
}

fn rule_line(rule: &IdleRule) -> String {
    let selected = selected(&rule.select);
    let short = if rule.accept_short_history { " or as long as there is" } else { "" };
    let idle = match rule.limits.0.is_empty() {
        true => format!("unused for {}", rule.look_back),
        false => format!("at {} for {}{short}", limits(&rule.limits), rule.look_back),
    };
    if !rule.select.kinds.iter().any(|kind| kind.has_power()) {
        return format!("{selected} {idle}: told, never touched");
    }
    let stop = match rule.stop {
        StopPreference::Plain => "stopped",
        StopPreference::Hibernate => "hibernated",
        StopPreference::HibernateIfPossible => "hibernated or stopped",
    };
    let (key, value) = (&rule.opt_in.key, &rule.opt_in.value);
    let Radius { hour, day } = rule.radius;
    format!(
        "{selected} {idle}: {stop} {} after the mark where tag `{key}` is `{value}`, at most {} an \
         hour and {} a day, from {} on",
        rule.grace,
        cap(hour),
        cap(day),
        rule.observe_first
    )
}

fn cap(cap: Cap) -> String {
    match (cap.share, cap.at_least) {
        (Share::NONE, count) => count.to_string(),
        (share, 0) => share.to_string(),
        (share, count) => format!("{share} or {count}"),
    }
}

/// As in `cpu up to 3 %, network_in up to 5120 B/s`.
fn limits(limits: &Limits) -> String {
    let one = |(signal, milli): (&fleet::usage::Signal, &u64)| {
        let limit = format!("{signal} up to {} {}", *milli as f64 / 1000.0, signal.unit());
        limit.trim_end().to_owned()
    };
    limits.0.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// As in `instances of aws with tag env dev or test`.
fn selected(select: &Select) -> String {
    let names = |kind: &ResourceKind| match kind {
        ResourceKind::Address => "addresses".to_owned(),
        kind => format!("{}s", kind.word().replace('_', " ")),
    };
    let mut text = select.kinds.iter().map(names).collect::<Vec<_>>().join(", ");
    if let Some(provider) = &select.provider {
        text += &format!(" of {provider}");
    }
    let listed = |what: &str, names: Vec<String>| match names.is_empty() {
        true => String::new(),
        false => format!(" {what} {}", names.join(", ")),
    };
    text += &listed("of account", select.accounts.iter().map(ToString::to_string).collect());
    text += &listed("in", select.regions.iter().map(ToString::to_string).collect());
    let tag = |(key, values): (&String, &Vec<String>)| match values.as_slice() {
        [] => format!("`{key}`"),
        values => format!("`{key}` {}", values.join(" or ")),
    };
    text += &listed("with tag", select.tags.iter().map(tag).collect());
    text += &listed("without tag", select.not_tags.iter().map(tag).collect());
    text + &listed("named", select.ids.iter().cloned().collect())
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\n")?;
        for rule in &self.rules {
            writeln!(f, "idle rule `{}`, mode {}: {}", rule.name, rule.mode, rule.what)?;
        }
        for schedule in &self.schedules {
            let (name, mode) = (&schedule.name, schedule.mode);
            writeln!(f, "schedule `{name}`, mode {mode}: {}", schedule.what)?;
            writeln!(f, "  hours     {}", schedule.hours)?;
            schedule.next.iter().try_for_each(|next| writeln!(f, "  next      {next}"))?;
        }
        self.reading.iter().try_for_each(|reading| {
            writeln!(
                f,
                "{}: reading what 100 machines do costs up to {:.2} USD a month while they look idle, \
                 {:.2} while they are in use",
                reading.provider, reading.usd_monthly_per_100_idle, reading.usd_monthly_per_100_in_use
            )
        })?;
        self.prices.iter().try_for_each(|prices| writeln!(f, "prices: {prices}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
mode = "act"
[provider.sim]
kind = "sim"
[[idle]]
name = "dev-boxes"
mode = "act"
provider = "sim"
match = { tags = { env = ["dev", "test"], team = [] }, not_tags = { tier = ["core"] } }
idle_when = { cpu_max_percent = 3.0, network_max_kib_per_second = 5.0 }
grace = "2d"
blast_radius = { hour = 2, day = "20%" }
[[idle]]
name = "volumes"
kinds = ["volume", "address"]
match = { ids = ["vol-1"] }
grace = "0s"
[[schedule]]
name = "office-hours"
mode = "approve"
match = { tags = { schedule = ["office"] } }
timezone = "America/New_York"
up = ["Mon-Fri 08:30-20:00", "Sat 10:00-12:00"]
exceptions = [{ date = 2026-10-30, up = "none" }]
only_if_idle = { cpu_max_percent = 5 }
[[schedule]]
name = "offhours"
grammar = "cloud-custodian"
default_tz = "cst"
kind = "stop-only"
"#;

    #[test]
    fn rules_are_told_in_a_line_and_schedules_with_their_next_switches() {
        let config = crate::settings::parse("neap.toml", TEXT).unwrap();
        // 2026-10-29, a Thursday; clocks go back on 1 November.
        let now = Timestamp::parse("2026-10-29T12:00:00Z").unwrap();
        let idle = Idle::of(&config, now).unwrap();
        insta::assert_snapshot!(idle.to_string(), @r"
        idle rule `dev-boxes`, mode act: instances of sim with tag `env` dev or test, `team` without tag `tier` core at cpu up to 3 %, network_in up to 5120 B/s, network_out up to 5120 B/s for 35d: stopped 2d after the mark where tag `neap:managed` is `true`, at most 2 an hour and 20% or 3 a day, from 7d on
        idle rule `volumes`, mode observe: volumes, addresses named vol-1 unused for 35d: told, never touched
        schedule `office-hours`, mode approve: instances with tag `schedule` office stopped and started, stopped only at cpu up to 5 %
          hours     up Mon,Tue,Wed,Thu,Fri 08:30-20:00 and Sat 10:00-12:00 in America/New_York, 1 exception
          next      up   2026-10-29T12:30:00Z, Thu 2026-10-29 08:30 -04:00
          next      down 2026-10-30T00:00:00Z, Thu 2026-10-29 20:00 -04:00
          next      up   2026-10-31T14:00:00Z, Sat 2026-10-31 10:00 -04:00
          next      down 2026-10-31T16:00:00Z, Sat 2026-10-31 12:00 -04:00
          next      up   2026-11-02T13:30:00Z, Mon 2026-11-02 08:30 -05:00
        schedule `offhours`, mode observe: instances stopped, never started
          hours     Cloud Custodian's tag `maid_offhours`, where empty in America/Chicago (`cst` is that here, not China)
          next      down 2026-10-30T00:00:00Z, Thu 2026-10-29 19:00 -05:00
          next      up   2026-10-30T12:00:00Z, Fri 2026-10-30 07:00 -05:00
          next      down 2026-10-31T00:00:00Z, Fri 2026-10-30 19:00 -05:00
          next      up   2026-11-02T13:00:00Z, Mon 2026-11-02 07:00 -06:00
          next      down 2026-11-03T01:00:00Z, Mon 2026-11-02 19:00 -06:00
        ");
        let json = serde_json::to_value(&idle).unwrap();
        insta::assert_snapshot!(json["schedules"][0]["next"][0], @r#"{"at":"2026-10-29T12:30:00Z","local":"Thu 2026-10-29 08:30 -04:00","to":"up"}"#);
        assert!(idle.reading.is_empty(), "a simulated cloud costs nothing to read");
        let real = "mode = \"observe\"\n[provider.aws]\nkind = \"aws\"\nregions = \
                    [\"eu-west-1\"]\n[[idle]]\nname = \"all\"\ngrace = \"1d\"\nidle_when = { \
                    cpu_max_percent = 3.0 }\nmatch = { tags = { env = [\"dev\"] } }\n";
        let config = crate::settings::parse("neap.toml", real).unwrap();
        let told = Idle::of(&config, now).unwrap().to_string();
        let line = "aws: reading what 100 machines do costs up to 7.92 USD a month while they look \
                    idle, 0.33 while they are in use\n";
        assert!(told.ends_with(line), "{told}");
        let observing = TEXT.replacen("mode = \"act\"", "mode = \"observe\"", 1);
        let config = crate::settings::parse("neap.toml", &observing).unwrap();
        let idle = Idle::of(&config, now).unwrap();
        assert!(idle.rules.iter().all(|rule| rule.mode == RuleMode::Observe));
    }
}
