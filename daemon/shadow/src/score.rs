//! Scorecards: what really happened and what would have, by service and day.

use std::collections::BTreeMap;

use fleet::money::Currency;
use fleet::rent::{Commitment, MoneyBaseline, UnitPrice};
use fleet::{Seconds, ServiceName, Timestamp};
use planner::policy::Policy;
use serde::{Deserialize, Serialize};

use super::worth::{Before, Unused, Worth};
use super::{Account, Compared, Questioned, Step, rank};

/// Days of scorecards that are kept at hand.
pub const KEPT_DAYS: i64 = 35;
/// The most questionable decisions of a day that are kept.
const QUESTIONED_A_DAY: usize = 50;

/// What a course of a service cost and missed; whole numbers, so that sums are the same in any
/// order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Units it had, times seconds.
    pub unit_seconds: u64,
    /// What they cost in millionths of a US dollar, where a unit's price is known.
    pub usd_micro: u64,
    /// Intervals that settled.
    pub intervals: u32,
    /// Those among them whose demand was above the capacity in service.
    pub violations: u32,
    /// How often its size was changed.
    pub orders: u32,
}

impl Tally {
    /// Units it had, times hours.
    pub fn unit_hours(&self) -> f64 {
        self.unit_seconds as f64 / 3600.0
    }

    /// What they cost in US dollars.
    pub fn usd(&self) -> f64 {
        self.usd_micro as f64 / 1e6
    }

    /// The share of intervals that were violations.
    pub fn violated_share(&self) -> f64 {
        f64::from(self.violations) / f64::from(self.intervals.max(1))
    }

    fn add(&mut self, more: &Tally) {
        self.unit_seconds += more.unit_seconds;
        self.usd_micro += more.usd_micro;
        self.intervals += more.intervals;
        self.violations += more.violations;
        self.orders += more.orders;
    }

    fn count(&mut self, account: &Account, price_usd: f64) {
        self.unit_seconds += (account.unit_hours * 3600.0).round() as u64;
        self.usd_micro += (account.unit_hours * price_usd * 1e6).round() as u64;
        self.intervals += account.intervals as u32;
        self.violations += account.violations as u32;
    }
}

/// A service's day, or the sum of some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scorecard {
    /// What really happened, whoever was in charge.
    pub actual: Tally,
    /// What would have, if neap had acted since the scorecard began.
    pub would: Tally,
    /// Whether a unit's price was known.
    pub priced: bool,
    /// Cycles that both sizes were known in.
    pub cycles: u32,
    /// Those among them in which they differed.
    pub disagreements: u32,
    /// The most units they differed by.
    pub largest_disagreement: u32,
    /// What a group of a fixed size would have been; it has a place of its own in the journal.
    #[serde(skip)]
    pub peak: Peak,
    /// What it comes to in money; it has a place of its own in the journal, too.
    #[serde(skip)]
    pub worth: Worth,
}

/// A group of a fixed size, each day's largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peak {
    /// The most units that there really were.
    pub units: u32,
    /// Seconds that units were counted in.
    pub seconds: u32,
    /// Each day's most units, times seconds.
    pub unit_seconds: u64,
}

impl Scorecard {
    /// What each day's most units would have cost in US dollars, at the price that was really paid.
    pub fn peak_usd(&self) -> Option<f64> {
        let of = self.peak.unit_seconds as f64 / self.actual.unit_seconds as f64;
        (self.priced && self.actual.unit_seconds > 0).then(|| self.actual.usd() * of)
    }

    /// Adds another day's.
    pub fn add(&mut self, more: &Scorecard) {
        self.actual.add(&more.actual);
        self.would.add(&more.would);
        self.priced |= more.priced;
        self.cycles += more.cycles;
        self.disagreements += more.disagreements;
        self.largest_disagreement = self.largest_disagreement.max(more.largest_disagreement);
        self.peak.seconds += more.peak.seconds;
        self.peak.units = self.peak.units.max(more.peak.units);
        self.peak.unit_seconds += more.peak.unit_seconds;
    }

    /// What a cycle adds, so long after the one before. `resized` says whether the group's size is
    /// another than in that.
    fn take(&mut self, row: &Compared, span: Seconds, price: Option<&UnitPrice>, resized: bool) {
        let price = price.filter(|price| price.currency == Currency::Usd);
        let price = price.map(|price| price.hourly_micro as f64 / 1e6);
        self.priced |= price.is_some();
        self.actual.count(&row.real, price.unwrap_or(0.0));
        self.would.count(&row.other, price.unwrap_or(0.0));
        self.actual.orders += u32::from(resized);
        self.would.orders += row.other.changes as u32;
        if let (Some(_), Some(desired)) = (row.capacity, row.desired) {
            let peak = &mut self.peak;
            peak.seconds += span.0 as u32;
            peak.units = peak.units.max(desired);
            peak.unit_seconds = u64::from(peak.units) * u64::from(peak.seconds);
        }
        if let (Some(desired), Some(would)) = (row.desired, row.would) {
            self.cycles += 1;
            self.disagreements += u32::from(desired != would);
            self.largest_disagreement = self.largest_disagreement.max(desired.abs_diff(would));
        }
    }
}

/// The scorecards of a day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DayScores {
    pub services: BTreeMap<ServiceName, Scorecard>,
    /// The most questionable decisions, by the day on which they turned out so, the worst first.
    pub questioned: Vec<Questioned>,
}

/// The scorecards of the last days.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// By day of UTC, see [`Timestamp::utc_day`].
    pub days: BTreeMap<i64, DayScores>,
    /// What units cost an hour, as it was read; the operator's word is in the policy.
    pub prices: BTreeMap<ServiceName, UnitPrice>,
    /// How services were sized before neap.
    pub before: BTreeMap<ServiceName, Before>,
    /// What is paid whether machines run or not.
    pub commitments: Vec<Commitment>,
    /// What of it was left unused, by day.
    pub unused: BTreeMap<i64, Unused>,
    /// What savings are reckoned against.
    pub baseline: MoneyBaseline,
}

impl Scores {
    /// The sum of a service's days since a moment, and how many days have a scorecard; the day of
    /// the moment counts whole.
    pub fn since(&self, service: &ServiceName, from: Timestamp) -> (Scorecard, u32) {
        let mut sum = Scorecard::default();
        let mut days = 0;
        for scores in self.days.range(from.utc_day()..).map(|(_, scores)| scores) {
            if let Some(card) = scores.services.get(service) {
                sum.add(card);
                days += 1;
            }
        }
        (sum, days)
    }

    /// The most questionable decisions since a moment, the worst first.
    pub fn questioned(&self, from: Timestamp, most: usize) -> Vec<Questioned> {
        let days = self.days.range(from.utc_day()..).flat_map(|(_, scores)| &scores.questioned);
        rank(days.filter(|questioned| questioned.at >= from).cloned().collect(), most)
    }

    /// Takes in a cycle. `resized` says of a service whether its size is another than before.
    pub(super) fn take(
        &mut self,
        at: Timestamp,
        policy: &Policy,
        step: &Step,
        resized: &dyn Fn(&Compared) -> bool,
    ) {
        self.days.entry(at.utc_day()).or_default();
        for row in &step.compared {
            let price = self.unit_price(policy, &row.service);
            let day = self.days.entry(at.utc_day()).or_default();
            if !day.services.contains_key(&row.service) {
                day.services.insert(row.service.clone(), Scorecard::default());
            }
            if let Some(card) = day.services.get_mut(&row.service) {
                card.take(row, step.span, price.as_ref(), resized(row));
            }
        }
        self.days.retain(|kept, _| kept + KEPT_DAYS > at.utc_day());
    }

    /// Takes in decisions that turned out questionable now; an earlier day is written down already.
    pub(super) fn question(&mut self, now: Timestamp, mut questioned: Vec<Questioned>) {
        let day = self.days.entry(now.utc_day()).or_default();
        day.questioned.append(&mut questioned);
        day.questioned = rank(std::mem::take(&mut day.questioned), QUESTIONED_A_DAY);
    }
}
