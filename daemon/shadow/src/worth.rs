//! What the sized groups cost and what they would have cost otherwise: units times seconds, at the
//! price of a unit.
//!
//! A saving is the difference to one of several courses, while neap sized the group. What commitments
//! (reservations, Savings Plans) cost all the same is never part of it.

use std::collections::BTreeMap;

use fleet::money::Currency;
use fleet::rent::{MoneyBaseline, UnitPrice};
use fleet::{Seconds, ServiceName, Timestamp};
use planner::policy::Policy;
use serde::{Deserialize, Serialize};

use super::{Scores, Step};

/// How long a service must have run without neap before that is a baseline.
pub const BEFORE_MIN: Seconds = Seconds::days(7);
/// Seconds of an hour, as prices count it.
const HOUR: i128 = 3600;

/// A group over a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// Seconds in which its units were counted.
    pub seconds: u64,
    /// The most units in them.
    pub units_max: u32,
    /// Its units, times seconds.
    pub unit_seconds: u64,
}

impl Stand {
    /// Counts units that stood for so long.
    pub fn take(&mut self, units: u32, span: Seconds) {
        self.seconds += span.0;
        self.units_max = self.units_max.max(units);
        self.unit_seconds += u64::from(units) * span.0;
    }

    /// What standing at the most units would have come to.
    pub fn at_peak(&self) -> u64 {
        u64::from(self.units_max) * self.seconds
    }
}

/// What a service's day comes to in money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worth {
    /// What a unit cost an hour, in millionths of a currency, when that was last known.
    pub unit: Option<(u64, Currency)>,
    /// The whole day.
    pub held: Stand,
    /// The part of it in which neap sized it.
    pub acted: Stand,
    /// That part, as the native scaler would have sized it.
    pub native: Stand,
}

/// What a service saved in some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SavedBy {
    /// What it would have cost under the baseline, in millionths.
    pub baseline_micro: i128,
    /// What it did cost meanwhile.
    pub paid_micro: i128,
}

impl SavedBy {
    /// The difference; below zero where it cost more.
    pub fn saved_micro(&self) -> i128 {
        self.baseline_micro - self.paid_micro
    }
}

/// How a service was sized before neap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    pub stand: Stand,
    /// Neap has sized it since.
    pub over: bool,
}

impl Before {
    /// Whether it is long enough to compare with.
    pub fn is_enough(&self) -> bool {
        self.stand.seconds >= BEFORE_MIN.0
    }
}

impl Worth {
    /// What came to it under a baseline, at the day's price of a unit; `None` where the price or the
    /// baseline is not known.
    pub fn saved(&self, baseline: MoneyBaseline, before: Option<&Before>) -> Option<SavedBy> {
        let (price, _) = self.unit?;
        let acted = &self.acted;
        // Seconds of a baseline that is known for a part alone.
        let (units, paid) = match baseline {
            MoneyBaseline::Peak => (i128::from(acted.at_peak()), i128::from(acted.unit_seconds)),
            MoneyBaseline::Before => {
                let stand = before.filter(|before| before.is_enough())?.stand;
                let (all, seconds) = (i128::from(stand.unit_seconds), i128::from(stand.seconds));
                let paid = i128::from(acted.unit_seconds);
                (all * i128::from(acted.seconds) / seconds.max(1), paid)
            }
            MoneyBaseline::Native => {
                let native = &self.native;
                if acted.seconds > 0 && native.seconds == 0 {
                    return None;
                }
                let (seconds, known) = (i128::from(acted.seconds), i128::from(native.seconds));
                let paid = i128::from(acted.unit_seconds) * known / seconds.max(1);
                (i128::from(native.unit_seconds), paid)
            }
        };
        let price = i128::from(price);
        Some(SavedBy { baseline_micro: units * price / HOUR, paid_micro: paid * price / HOUR })
    }

    /// What the day cost, in millionths of its currency.
    pub fn paid(&self) -> Option<(i128, Currency)> {
        let (price, currency) = self.unit?;
        Some((i128::from(self.held.unit_seconds) * i128::from(price) / HOUR, currency))
    }
}

/// What of commitments was left unused, by scope, in millionths.
pub type Unused = BTreeMap<String, u64>;

impl Scores {
    /// What a unit of a service costs an hour: the operator's word first, then what was read.
    pub fn unit_price(&self, policy: &Policy, name: &ServiceName) -> Option<UnitPrice> {
        let pool = policy.services.get(name).map(|service| &service.pool);
        let usd = pool.and_then(|pool| pool.price_usd_hourly);
        let usd = usd.filter(|usd| (0.0..=1e6).contains(usd));
        usd.map(UnitPrice::configured).or_else(|| self.prices.get(name).cloned())
    }

    /// Takes in a cycle: what the groups cost, and what was left of commitments meanwhile.
    pub(super) fn take_worth(
        &mut self,
        at: Timestamp,
        policy: &Policy,
        step: &Step,
        acts: &dyn Fn(&ServiceName) -> bool,
        native: &dyn Fn(&ServiceName) -> Option<u32>,
    ) {
        let mut hourly: Vec<u64> = vec![0; self.commitments.len()];
        for row in &step.compared {
            let Some(units) = row.desired else { continue };
            let name = &row.service;
            let price = self.unit_price(policy, name);
            let acts = acts(name);
            let day = self.days.entry(at.utc_day()).or_default();
            ensure(&mut self.before, name);
            ensure(&mut day.services, name);
            let (Some(before), Some(card)) =
                (self.before.get_mut(name), day.services.get_mut(name))
            else {
                continue;
            };
            before.over |= acts;
            if !before.over {
                before.stand.take(units, step.span);
            }
            let worth = &mut card.worth;
            worth.held.take(units, step.span);
            if acts {
                worth.acted.take(units, step.span);
                if let Some(native) = native(name) {
                    worth.native.take(native, step.span);
                }
            }
            let Some(price) = price else { continue };
            worth.unit = Some((price.hourly_micro, price.currency));
            let Some(service) = policy.services.get(name) else { continue };
            for (hourly, commitment) in hourly.iter_mut().zip(&self.commitments) {
                if commitment.currency == price.currency && commitment.covers(&service.pool.group) {
                    *hourly += u64::from(units).saturating_mul(price.hourly_micro);
                }
            }
        }
        let unused = self.unused.entry(at.utc_day()).or_default();
        for (used, commitment) in hourly.into_iter().zip(&self.commitments) {
            // By the second: a commitment that is not used in one hour is not used in another.
            let idle = u128::from(commitment.hourly_micro.saturating_sub(used));
            let micro = idle * u128::from(step.span.0) / HOUR.cast_unsigned();
            *unused.entry(commitment.scope()).or_default() +=
                u64::try_from(micro).unwrap_or(u64::MAX);
        }
        let first = at.utc_day() - super::KEPT_DAYS;
        self.unused.retain(|day, _| *day > first);
        self.before.retain(|name, _| policy.services.contains_key(name));
    }
}

/// Makes what is kept of a service where there is nothing yet; its name is copied only then.
fn ensure<T: Default>(all: &mut BTreeMap<ServiceName, T>, name: &ServiceName) {
    if !all.contains_key(name) {
        all.insert(name.clone(), T::default());
    }
}

#[cfg(test)]
mod tests {
    use fleet::rent::Commitment;
    use fleet::{AccountId, GroupRef, ProviderName, Region};

    use super::*;

    const USD: Currency = Currency::Usd;

    fn stand(seconds: u64, units_max: u32, unit_seconds: u64) -> Stand {
        Stand { seconds, units_max, unit_seconds }
    }

    #[test]
    fn a_saving_is_the_difference_to_the_course_that_is_named() {
        // Ten hours at 0.1 USD a unit: 10 units at most, 60 unit-hours; the native scaler had 70.
        let worth = Worth {
            unit: Some((100_000, USD)),
            held: stand(36_000, 10, 60 * 3600),
            acted: stand(36_000, 10, 60 * 3600),
            native: stand(36_000, 9, 70 * 3600),
        };
        let before = |seconds: u64, units: u64| Before {
            stand: stand(seconds, 12, units * seconds),
            over: true,
        };
        let saved = |baseline, before: Option<&Before>| {
            worth.saved(baseline, before).map(|saved| saved.saved_micro())
        };
        assert_eq!(saved(MoneyBaseline::Peak, None), Some(4_000_000));
        assert_eq!(saved(MoneyBaseline::Native, None), Some(1_000_000));
        let enough = before(BEFORE_MIN.0, 8);
        assert_eq!(saved(MoneyBaseline::Before, Some(&enough)), Some(2_000_000));
        // It may have been cheaper before: that is said, and not hidden.
        let cheaper = before(BEFORE_MIN.0, 5);
        assert_eq!(saved(MoneyBaseline::Before, Some(&cheaper)), Some(-1_000_000));
        assert_eq!(saved(MoneyBaseline::Before, Some(&before(3600, 8))), None, "too short");
        assert_eq!(saved(MoneyBaseline::Before, None), None);
        let unpriced = Worth { unit: None, ..worth };
        assert_eq!(unpriced.saved(MoneyBaseline::Peak, None), None, "unknown is not zero");
        let unseen = Worth { native: Stand::default(), ..worth };
        assert_eq!(unseen.saved(MoneyBaseline::Native, None), None);
        // The native scaler was watched in half of the time: that half is compared with its like.
        let half = Worth { native: stand(18_000, 9, 35 * 3600), ..worth };
        let half = half.saved(MoneyBaseline::Native, None).map(|saved| saved.saved_micro());
        assert_eq!(half, Some(500_000));
        assert_eq!(worth.paid(), Some((6_000_000, USD)));
    }

    #[test]
    fn a_commitment_covers_its_own_places() {
        let group = |provider: &str, account: &str, region: &str| GroupRef {
            provider: ProviderName::new(provider).unwrap(),
            account: AccountId::new(account).unwrap(),
            region: Region::new(region).unwrap(),
            name: "web".to_owned(),
        };
        let mut commitment = Commitment {
            provider: ProviderName::new("aws").unwrap(),
            account: None,
            region: None,
            hourly_micro: 1,
            currency: USD,
        };
        let here = group("aws", "1", "eu-west-1");
        assert!(commitment.covers(&here) && !commitment.covers(&group("gcp", "1", "eu-west-1")));
        assert_eq!(commitment.scope(), "aws");
        commitment.region = Region::new("us-east-1");
        assert!(!commitment.covers(&here));
        assert_eq!(commitment.scope(), "aws/*/us-east-1");
        commitment.account = AccountId::new("2");
        assert!(!commitment.covers(&group("aws", "1", "us-east-1")));
        assert!(commitment.covers(&group("aws", "2", "us-east-1")));
        assert_eq!(commitment.scope(), "aws/2/us-east-1");
    }
}
