//! What a key means where the file leaves it out.

use fleet::{Seconds, Units};
use planner::policy::Share;

/// The documented defaults of the configuration; those of guards are beside
/// [`planner::policy::Budgets`] and [`planner::policy::PoolPolicy`].
pub struct Defaults;

impl Defaults {
    /// A cycle a minute: the finest step that clouds bill as ordinary metrics.
    pub const POLL_INTERVAL: Seconds = Seconds::minutes(1);
    /// A cycle has most of a poll interval, so that the next one starts on time.
    pub const CYCLE_DEADLINE_SHARE: Share = Share::percent(75);
    /// Where the journal lives.
    pub const STATE_DIR: &str = "/var/lib/neap";
    /// The kill switch: outside /run, so that it outlives a reboot.
    pub const KILL_SWITCH: &str = "/etc/neap/stop";
    /// A year and a month: this year's peak can be held against last year's.
    pub const JOURNAL_AGE: Seconds = Seconds::days(395);
    /// Thirteen months and a few days: a batch of the year's end is seen a second time.
    pub const USAGE_AGE: Seconds = Seconds::days(400);
    /// What a year of 500 groups needs at most: 40 GiB.
    pub const JOURNAL_SIZE_BYTES: u64 = 40 << 30;
    /// Four times the reserve: with less, nothing would be left to keep.
    pub const JOURNAL_SIZE_LEAST_BYTES: u64 = 256 << 20;
    /// One interval in 200 may exceed capacity.
    pub const VIOLATION_BUDGET: f64 = 0.005;
    /// One unit is the least that serves at all.
    pub const POOL_MIN: Units = Units(1);
    /// What booting an ordinary image takes, until the group's own activities are measured.
    pub const LEAD_TIME: Seconds = Seconds::minutes(5);
    /// In service is fully useful, unless the operator knows better.
    pub const WARM_UP: Seconds = Seconds::ZERO;
    /// Linux instances are billed by the second, a minute at least.
    pub const BILLING_MINIMUM: Seconds = Seconds::minutes(1);
    /// How often what may be idle is looked at: the step of basic monitoring.
    pub const IDLE_INTERVAL: Seconds = Seconds::minutes(5);
    /// A monthly batch is a cycle: five weeks hold one of each weekday of a month.
    pub const LOOK_BACK: Seconds = Seconds::days(35);
    /// The share of the look-back's hours that must have a sample.
    pub const COVERAGE: Share = Share::percent(95);
    /// A new rule watches for a week before it stops anything.
    pub const OBSERVE_FIRST: Seconds = Seconds::days(7);
    /// Somebody who started a machine again by hand has two weeks to use it.
    pub const EXEMPT_AFTER_RESTART: Seconds = Seconds::days(14);
    /// How long a start is tried before people are told.
    pub const START_ESCALATION: Seconds = Seconds::minutes(30);
    /// The tag that nothing is stopped under.
    pub const PROTECT_TAG: &str = "neap:protect";
    /// The group whose members may approve.
    pub const APPROVERS: &str = "neap-approvers";
    /// The step of a metric.
    pub const METRIC_PERIOD: Seconds = Seconds::minutes(1);

    /// [`Defaults::VIOLATION_BUDGET`] as a share.
    pub fn violation_budget() -> Share {
        Share::from_fraction(Defaults::VIOLATION_BUDGET).unwrap_or(Share::NONE)
    }
}
