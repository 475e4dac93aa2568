//! The policy of a simulation: the keys of a service, all optional.

use std::path::Path;

use anyhow::{Context, bail};
use fleet::{AccountId, GroupRef, NoDuration, ProviderName, Region, Seconds, Units};
use planner::policy::{
    Actuate, Budget, Budgets, CapacityPerUnit, LeadTimeRule, Mode, PoolPolicy, ServicePolicy,
    Share, Signals,
};
use serde::Deserialize;

use crate::options::Expected;

/// The keys of a service that mean something without a cloud.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    violation_budget: Option<Percent>,
    min: Option<u32>,
    max: Option<u32>,
    max_step_up: Option<u32>,
    cooldown: Option<Duration>,
    hold_window: Option<Duration>,
    warm_up: Option<Duration>,
    #[serde(default)]
    budgets: BudgetKeys,
}

/// `[budgets]`, as in the daemon's configuration.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetKeys {
    group: Option<RemovalBudget>,
    account: Option<RemovalBudget>,
    fleet: Option<RemovalBudget>,
}

/// `10% per 10m`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct RemovalBudget(Budget);

impl TryFrom<String> for RemovalBudget {
    type Error = Expected;
    fn try_from(text: String) -> Result<RemovalBudget, Expected> {
        let read = config::removal_budget(&text);
        let expected = "a budget such as `10% per 10m` or `10% per 10m, at least 2`";
        read.map(RemovalBudget).ok_or_else(|| Expected::of(&text, "budget", expected))
    }
}

/// `0.5%`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Percent(Share);

impl TryFrom<String> for Percent {
    type Error = Expected;
    fn try_from(text: String) -> Result<Percent, Expected> {
        percent(&text).map(Percent)
    }
}

/// Reads a share such as `0.5%`.
pub fn percent(text: &str) -> Result<Share, Expected> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    number
        .and_then(|percent| Share::from_fraction(percent / 100.0))
        .ok_or_else(|| Expected::of(text, "share", "a percentage such as `0.5%`"))
}

/// Reads a promise such as `0.5%`: a share that is not nothing.
pub fn promise(text: &str) -> Result<Share, Expected> {
    let share = percent(text)?;
    if share > Share::NONE { Ok(share) } else { Err(Expected::Only("more than 0%")) }
}

/// `5m`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Duration(Seconds);

impl TryFrom<String> for Duration {
    type Error = NoDuration;
    fn try_from(text: String) -> Result<Duration, NoDuration> {
        text.parse().map(Duration)
    }
}

impl PolicyFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read; its first fault, with line and column.
    pub fn read(path: &Path) -> anyhow::Result<PolicyFile> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading `{}`", path.display()))?;
        PolicyFile::parse(&text).map_err(|fault| anyhow::anyhow!("{}:{fault}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<PolicyFile> {
        let file: PolicyFile = toml::from_str(text).map_err(|fault| {
            let at = fault.span().map_or(0, |span| span.start).min(text.len());
            let before = &text.as_bytes()[..at];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            anyhow::anyhow!("{line}:{column}: {}", fault.message())
        })?;
        if let (Some(min), Some(max)) = (file.min, file.max)
            && min > max
        {
            bail!("1:1: `min = {min}` is above `max = {max}`, expected no more than it");
        }
        Ok(file)
    }

    /// How much may be taken away; a budget without a key is as in `usual`.
    pub fn budgets(&self, usual: Budgets) -> Budgets {
        let of = |key: Option<RemovalBudget>, usual| key.map(|budget| budget.0).or(usual);
        let BudgetKeys { group, account, fleet } = self.budgets;
        Budgets {
            group: of(group, usual.group),
            account: of(account, usual.account),
            fleet: of(fleet, usual.fleet),
        }
    }

    /// The service that is simulated: a unit serves 1000, so that every load has the same grain.
    /// Without keys at least 1 unit, no upper bound and no limit of steps.
    pub fn service(&self, lead_time: Seconds) -> ServicePolicy {
        let span = |value: Option<Duration>, usual: Seconds| value.map_or(usual, |d| d.0);
        ServicePolicy {
            mode: Mode::Act,
            demand: Vec::new(),
            fixed_capacity: 0.0,
            utilisation: None,
            signals: Signals::default(),
            pool: PoolPolicy {
                group: GroupRef {
                    provider: named(ProviderName::new("simulation")),
                    account: named(AccountId::new("default")),
                    region: named(Region::new("local")),
                    name: "group".to_owned(),
                },
                capacity_per_unit: CapacityPerUnit::Given(super::trace::UNIT),
                target_utilisation: PoolPolicy::TARGET_UTILISATION,
                lead_time,
                lead_time_rule: LeadTimeRule::AtLeast,
                warm_up: span(self.warm_up, Seconds::ZERO),
                actuate: Some(Actuate::Desired),
                min: Units(self.min.unwrap_or(1)),
                max: self.max.map(Units),
                cooldown: span(self.cooldown, PoolPolicy::COOLDOWN),
                hold_window: span(self.hold_window, PoolPolicy::HOLD_WINDOW),
                override_lease: PoolPolicy::OVERRIDE_LEASE,
                max_step_up: self.max_step_up.map(Units),
                price_usd_hourly: None,
                billing_minimum: Seconds::ZERO,
            },
            violation_budget: self.violation_budget.map_or(BUDGET, |percent| percent.0),
            upstreams: Vec::new(),
        }
    }
}

/// The promise where the policy makes none.
const BUDGET: Share = match Share::from_millionths(5_000) {
    Some(share) => share,
    None => Share::NONE,
};

fn named<T>(name: Option<T>) -> T {
    name.expect("a constant name is not empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_optional_and_an_unknown_one_is_a_fault() {
        let service = PolicyFile::parse("").unwrap().service(Seconds(300));
        assert_eq!(service.violation_budget.to_string(), "0.5%");
        assert_eq!((service.pool.min, service.pool.max), (Units(1), None));
        let parsed = PolicyFile::parse("violation_budget = \"2%\"\nmin = 3\nhold_window = \"1h\"");
        let service = parsed.unwrap().service(Seconds(300));
        assert_eq!(service.violation_budget, Share::percent(2));
        assert_eq!((service.pool.min, service.pool.hold_window), (Units(3), Seconds(3600)));
        let parsed = PolicyFile::parse("[budgets]\ngroup = \"20% per 5m, at least 2\"").unwrap();
        let budgets = parsed.budgets(Budgets::default());
        let group = config::removal_budget("20% per 5m, at least 2");
        assert_eq!(budgets, Budgets { group, ..Budgets::default() });
        let fault = |text| PolicyFile::parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(fault("min = 1\nmaximum = 3"), @r#"2:1: unknown field `maximum`, expected one of `violation_budget`, `min`, `max`, `max_step_up`, `cooldown`, `hold_window`, `warm_up`, `budgets`"#);
        insta::assert_snapshot!(fault("violation_budget = 0.5"), @r#"1:20: invalid type: floating point `0.5`, expected a string"#);
        insta::assert_snapshot!(fault("violation_budget = \"0.5\""), @r#"1:20: `0.5` is no share, expected a percentage such as `0.5%`"#);
        insta::assert_snapshot!(fault("[budgets]\nfleet = \"2%\""), @r#"2:9: `2%` is no budget, expected a budget such as `10% per 10m` or `10% per 10m, at least 2`"#);
        insta::assert_snapshot!(fault("cooldown = \"5\""), @r#"1:12: `5` is no duration, expected whole numbers with units, such as `90s`, `5m` or `1h30m`"#);
        insta::assert_snapshot!(fault("min = 5\nmax = 3"), @r#"1:1: `min = 5` is above `max = 3`, expected no more than it"#);
    }
}
