//! What the operator allows: idle rules, and how much at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fleet::resource::{Power, Resource, ResourceKind};
use fleet::stop::OptIn;
use fleet::usage::Signal;
use fleet::{AccountId, ProviderName, Region, RuleName, Seconds};
use serde::{Deserialize, Serialize};

use crate::policy::{Mode, Share};

/// All that is allowed to be stopped and started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IdlePolicy {
    /// The mode of the whole daemon: in `observe` nothing is stopped, whatever a rule says.
    pub mode: Mode,
    /// How often the resources are looked at.
    pub interval: Seconds,
    /// The rules, in the order written: the first that selects a resource has it.
    pub rules: Vec<IdleRule>,
    pub schedules: Vec<ScheduleRule>,
    /// What one account may lose at once, beside what each rule says.
    pub account_radius: Radius,
    /// The tag that nothing is stopped under, with any value but `false`: `neap:protect`.
    pub protect_tag: String,
    /// The id of the instance that neap runs on, where it runs on one.
    pub own_host: Option<String>,
}

/// Which resources are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Select {
    /// Only of this provider.
    pub provider: Option<ProviderName>,
    /// Only of these accounts; empty is all that the provider names.
    pub accounts: BTreeSet<AccountId>,
    /// Only of these regions; empty is all that the provider names.
    pub regions: BTreeSet<Region>,
    /// Only of these kinds.
    pub kinds: BTreeSet<ResourceKind>,
    /// Each tag must have one of its values; an empty list is satisfied by any value.
    pub tags: BTreeMap<String, Vec<String>>,
    /// Not where one of these tags has one of its values.
    pub not_tags: BTreeMap<String, Vec<String>>,
    /// Only these ids; empty is all.
    pub ids: BTreeSet<String>,
}

impl Select {
    /// Whether a resource is meant.
    pub fn selects(&self, resource: &Resource) -> bool {
        let id = &resource.id;
        let tag = |key: &String, values: &Vec<String>| {
            let found = resource.tags.get(key);
            found.is_some_and(|value| values.is_empty() || values.contains(value))
        };
        self.provider.as_ref().is_none_or(|provider| *provider == id.provider)
            && (self.accounts.is_empty() || self.accounts.contains(&id.account))
            && (self.regions.is_empty() || self.regions.contains(&id.region))
            && self.kinds.contains(&id.kind)
            && (self.ids.is_empty() || self.ids.contains(&id.id))
            && self.tags.iter().all(|(key, values)| tag(key, values))
            && !self.not_tags.iter().any(|(key, values)| tag(key, values))
    }
}

/// Who decides on a stop.
///
/// ```
/// use planner::idle::rule::RuleMode;
///
/// // Unless somebody says otherwise, a rule only shows what it would do.
/// assert_eq!(RuleMode::default(), RuleMode::Observe);
/// assert!(RuleMode::Approve.acts() && RuleMode::Act.acts());
/// assert!(!RuleMode::Observe.acts() && !RuleMode::Shadow.acts());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleMode {
    /// Nobody: what would be done is shown.
    #[default]
    Observe,
    /// A person, one by one.
    Approve,
    /// The rule.
    Act,
    /// Nobody: it may act and is in shadow, until it is promoted.
    Shadow,
}

impl RuleMode {
    /// Whether anything is stopped or started.
    pub fn acts(self) -> bool {
        matches!(self, RuleMode::Approve | RuleMode::Act)
    }
}

impl fmt::Display for RuleMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuleMode::Observe => "observe",
            RuleMode::Approve => "approve",
            RuleMode::Act => "act",
            RuleMode::Shadow => "shadow",
        })
    }
}

/// Up to where each signal of an idle resource goes, in thousandths of its unit. A signal without
/// a limit is shown and does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits(pub BTreeMap<Signal, u64>);

/// How a machine is to be stopped, where the cloud and the machine allow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopPreference {
    /// The way that saves: a plain stop, on Alibaba Cloud in economical mode.
    #[default]
    Plain,
    /// Hibernated where its prerequisites hold; held where they do not.
    Hibernate,
    /// Hibernated where its prerequisites hold, a plain stop otherwise.
    HibernateIfPossible,
}

/// So many stops at most: the greater of a number and a share.
///
/// ```
/// use planner::idle::rule::Radius;
///
/// // 5 % an hour, rounded down, and one at least.
/// let hour = Radius::default().hour;
/// assert_eq!([0, 10, 59, 60].map(|machines| hour.of(machines)), [1, 1, 2, 3]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// Of the instances of the account or tag group, running or stopped.
    pub share: Share,
    /// At least so many, however small the account.
    pub at_least: u32,
}

impl Cap {
    /// Stops allowed among so many instances.
    pub fn of(self, population: u32) -> u32 {
        let share = (self.share.fraction() * f64::from(population)).floor() as u32;
        share.max(self.at_least)
    }
}

/// How much may be stopped within an hour and within a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Radius {
    /// Within any hour.
    pub hour: Cap,
    /// Within any day. More than that falling due at once is held whole.
    pub day: Cap,
}

impl Default for Radius {
    /// 5 % an hour and 20 % a day, at least 1 and 3.
    fn default() -> Radius {
        Radius {
            hour: Cap { share: Share::percent(5), at_least: 1 },
            day: Cap { share: Share::percent(20), at_least: 3 },
        }
    }
}

/// What counts as idle, and what may be done about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdleRule {
    pub name: RuleName,
    /// Who decides.
    pub mode: RuleMode,
    /// Which resources.
    pub select: Select,
    /// Up to where idle goes. For kinds without power it is empty.
    pub limits: Limits,
    /// Signals that must be measured, besides processor, network and disk, which always must.
    pub require: BTreeSet<Signal>,
    /// How far back it looks, 35 days unless told otherwise, since a monthly batch is a cycle.
    pub look_back: Seconds,
    /// The share of the look-back's hours that must have a sample.
    pub coverage: Share,
    /// Whether a resource younger than the look-back is judged by what there is.
    pub accept_short_history: bool,
    /// Hours above a limit that are forgiven in the whole look-back: patch days. 0 unless told.
    pub forgiven_hours: u32,
    /// How long a mark stands before the stop, in time during which neap was looking.
    pub grace: Seconds,
    /// How long the rule only watches after it was first in force.
    pub observe_first: Seconds,
    pub stop: StopPreference,
    /// Whether a mark is written on the resource as a tag, too.
    pub mark_tag: bool,
    /// The tag that names whom to tell.
    pub owner_tag: Option<String>,
    /// The tag without which nothing is stopped.
    pub opt_in: OptIn,
    /// Whether machines that may not come back (accelerators, scarce types) are stopped, too.
    pub accept_restart_risk: bool,
    /// How long a resource is left alone after somebody started it again by hand.
    pub exempt_after_restart: Seconds,
    /// What the rule may stop at once, of an account and of a tag group.
    pub radius: Radius,
    /// The tag whose values make the groups that `radius` counts in, besides accounts.
    pub group_tag: Option<String>,
}

/// Which way a schedule acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// It starts and stops.
    #[default]
    Both,
    /// It stops and never starts.
    StopOnly,
    /// It starts and never stops.
    StartOnly,
}

/// When machines are to be up. The windows themselves come with each resource, as spans of UTC:
/// zones, holidays and tags are read outside of the planner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRule {
    pub name: RuleName,
    /// Who decides.
    pub mode: RuleMode,
    /// Which resources.
    pub select: Select,
    /// Which way it acts.
    pub kind: ScheduleKind,
    /// Whether a running machine is stopped at its hour only if it is idle by then: the limits
    /// that its last hour must keep. Empty stops by the clock alone.
    pub only_if_idle: Limits,
    /// The tag without which nothing is stopped.
    pub opt_in: OptIn,
    pub stop: StopPreference,
    /// The tag that holds the order: lower numbers start first and stop last.
    pub order_tag: Option<String>,
    /// How long a machine takes to be up before that was measured.
    pub start_lead: Seconds,
    /// How long a start is tried before people are told that a machine does not come back.
    pub start_escalation: Seconds,
    /// Whether machines that may not come back are stopped, too.
    pub accept_restart_risk: bool,
    /// What the schedule may stop at once.
    pub radius: Radius,
}

/// Whether a state is one of the two in which a schedule or rule may give an order.
pub fn is_steady(power: &Power) -> bool {
    matches!(power, Power::Running | Power::Stopped { .. })
}
