//! Scorecards of idle rules and schedules: what they would have stopped or did stop, by day.

use std::collections::BTreeMap;

use fleet::money::{Currency, Saving};
use fleet::{RuleName, Seconds, Timestamp};
use serde::{Deserialize, Serialize};

use super::KEPT_DAYS;

/// A rule's day, or the sum of some: what it did where it acts, else what it would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCard {
    pub stops: u32,
    /// Those among them whose machine was used or started again within a week.
    pub wrong: u32,
    /// How long machines were, or would have been, down and idle, in seconds.
    pub down_seconds: u64,
    /// What that saved, in millionths of a currency.
    pub saved_micro: BTreeMap<Currency, u64>,
    /// How much of it is of machines without a known price, in seconds.
    pub unpriced_seconds: u64,
    /// Machines that somebody else stopped or ended, before neap would have or after.
    pub stopped_by_others: u32,
    /// Machines that would have been stopped and ran on, idle, for a week.
    pub kept_running: u32,
}

impl RuleCard {
    /// Adds another day's.
    pub fn add(&mut self, more: &RuleCard) {
        self.stops += more.stops;
        self.wrong += more.wrong;
        self.down_seconds += more.down_seconds;
        for (currency, micro) in &more.saved_micro {
            *self.saved_micro.entry(*currency).or_default() += micro;
        }
        self.unpriced_seconds += more.unpriced_seconds;
        self.stopped_by_others += more.stopped_by_others;
        self.kept_running += more.kept_running;
    }

    /// Adds a time in which a machine was down.
    pub(super) fn save(&mut self, saving: Option<&Saving>, span: Seconds) {
        self.down_seconds += span.0;
        let known = saving.and_then(|saving| Some((saving.hourly_micro?, saving.price.as_ref()?)));
        match known {
            Some((hourly, price)) => {
                let micro = hourly.saturating_mul(span.0) / 3600;
                *self.saved_micro.entry(price.currency).or_default() += micro;
            }
            None => self.unpriced_seconds += span.0,
        }
    }

    /// Machines times hours that were down.
    pub fn down_hours(&self) -> f64 {
        self.down_seconds as f64 / 3600.0
    }

    /// What was saved: `12.30 USD`; hours without a price are told beside it, and in no sum.
    pub fn saved(&self) -> String {
        self.saved_by(", ", &|hours| format!("{hours} h unpriced"))
    }

    /// The same, with other words for the hours without a price.
    pub fn saved_by(&self, between: &str, unpriced: &dyn Fn(String) -> String) -> String {
        let sums = self.saved_micro.iter();
        let sums = sums.map(|(currency, micro)| format!("{:.2} {currency}", *micro as f64 / 1e6));
        let hours = (self.unpriced_seconds > 0)
            .then(|| unpriced(format!("{:.1}", self.unpriced_seconds as f64 / 3600.0)));
        let parts: Vec<String> = sums.chain(hours).collect();
        if parts.is_empty() { "–".to_owned() } else { parts.join(between) }
    }
}

/// The scorecards of the last days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleScores {
    /// By day of UTC, see [`Timestamp::utc_day`].
    pub days: BTreeMap<i64, BTreeMap<RuleName, RuleCard>>,
}

impl RuleScores {
    /// The sum of a rule's days since a moment, and how many days have a scorecard; the day of the
    /// moment counts whole.
    pub fn since(&self, rule: &RuleName, from: Timestamp) -> (RuleCard, u32) {
        let mut sum = RuleCard::default();
        let mut days = 0;
        for card in self.days.range(from.utc_day()..).filter_map(|(_, cards)| cards.get(rule)) {
            sum.add(card);
            days += 1;
        }
        (sum, days)
    }

    /// The rules that the newest day has a card of: others are gone from the configuration.
    pub fn newest(&self) -> impl Iterator<Item = &RuleName> {
        self.days.last_key_value().into_iter().flat_map(|(_, cards)| cards.keys())
    }

    /// The cards of a day so far.
    pub(super) fn day(&self, at: Timestamp) -> BTreeMap<RuleName, RuleCard> {
        self.days.get(&at.utc_day()).cloned().unwrap_or_default()
    }

    /// Takes in the cards of a day so far, and lets the oldest day go.
    pub(super) fn put(&mut self, at: Timestamp, cards: BTreeMap<RuleName, RuleCard>) {
        self.days.retain(|kept, _| kept + KEPT_DAYS > at.utc_day());
        self.days.insert(at.utc_day(), cards);
    }
}
