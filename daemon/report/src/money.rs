//! What the sized fleet costs an hour and what was saved this month, from scorecards.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use fleet::money::Currency;
use fleet::rent::{MoneyBaseline, Unpriced};
use fleet::{ServiceName, Timestamp};
use planner::policy::Policy;
use serde_json::{Value, json};
use shadow::Scores;

/// Names that stand in a line; more are counted.
const NAMES: usize = 3;

/// Millionths of currencies; what is below zero was paid on top.
pub type Amounts = BTreeMap<Currency, i128>;

/// What was saved in some days, in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// What the baseline would have cost, in millionths.
    pub baseline_micro: i128,
    /// What was paid at list prices meanwhile.
    pub paid_micro: i128,
    /// What of the difference commitments may have paid for: it is not claimed.
    pub unclaimed_micro: i128,
}

impl Saved {
    /// What is claimed; below zero where it cost more.
    pub fn claimed_micro(&self) -> i128 {
        self.baseline_micro - self.paid_micro - self.unclaimed_micro
    }

    /// The same as a share of the baseline, in percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.claimed_micro() as f64 / (self.baseline_micro.max(1)) as f64
    }
}

/// What the sized fleet costs and saved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Money {
    /// What it costs an hour.
    pub hourly: Amounts,
    /// The services that are sized.
    pub services: usize,
    /// Those of them that have no known price, and why.
    pub unpriced: BTreeMap<ServiceName, Unpriced>,
    /// What savings are reckoned against.
    pub baseline: MoneyBaseline,
    /// Days of the month that are in it.
    pub days: u32,
    /// What was saved this month.
    pub saved: BTreeMap<Currency, Saved>,
    /// Services that neap sized this month and of which the baseline is not known.
    pub no_baseline: Vec<ServiceName>,
    /// Whether neap sized any service this month.
    pub acted: bool,
}

impl Money {
    /// What a policy's services cost now, and what they saved in the month so far. `units` has their
    /// sizes, `why` knows of those whose price was asked for.
    pub fn of(
        policy: &Policy,
        scores: &Scores,
        now: Timestamp,
        units: impl Fn(&ServiceName) -> Option<u32>,
        why: &BTreeMap<ServiceName, Unpriced>,
    ) -> Money {
        let mut money = Money::saved_in(scores, month(now.utc_day()));
        for name in policy.services.keys() {
            money.services += 1;
            let Some(price) = scores.unit_price(policy, name) else {
                let why = why.get(name).cloned().unwrap_or(Unpriced::NotRead);
                money.unpriced.insert(name.clone(), why);
                continue;
            };
            let micro = i128::from(price.hourly_micro) * i128::from(units(name).unwrap_or(0));
            *money.hourly.entry(price.currency).or_default() += micro;
        }
        money
    }

    /// What the services of some days cost an hour on the average, and what they saved in the month
    /// up to the last of them.
    pub fn of_days(scores: &Scores, days: RangeInclusive<i64>) -> Money {
        let mut money = Money::saved_in(scores, month(*days.end()));
        let mut held: BTreeMap<&ServiceName, Held> = BTreeMap::new();
        for day in scores.days.range(days).map(|(_, day)| day) {
            for (name, card) in &day.services {
                let held = held.entry(name).or_default();
                held.seconds += i128::from(card.worth.held.seconds);
                if let Some((micro, currency)) = card.worth.paid() {
                    held.paid = Some((held.paid.map_or(0, |(paid, _)| paid) + micro, currency));
                    held.priced_seconds += i128::from(card.worth.held.seconds);
                }
            }
        }
        money.services = held.len();
        for (name, held) in held {
            match held.paid.filter(|_| held.priced_seconds > 0) {
                Some((micro, currency)) => {
                    let hourly = micro * 3600 / held.priced_seconds;
                    *money.hourly.entry(currency).or_default() += hourly;
                }
                None => {
                    let why = Unpriced::NotRead;
                    money.unpriced.insert(name.clone(), why);
                }
            }
        }
        money
    }

    fn saved_in(scores: &Scores, days: RangeInclusive<i64>) -> Money {
        let baseline = scores.baseline;
        let mut money = Money { baseline, ..Money::default() };
        for (_, day) in scores.days.range(days.clone()) {
            money.days += 1;
            for (name, card) in &day.services {
                let worth = &card.worth;
                if worth.acted.seconds == 0 {
                    continue;
                }
                money.acted = true;
                let saved = worth.saved(baseline, scores.before.get(name));
                let Some((saved, (_, currency))) = saved.zip(worth.unit) else {
                    let unknown = worth.unit.is_some() && !money.no_baseline.contains(name);
                    if unknown {
                        money.no_baseline.push(name.clone());
                    }
                    continue;
                };
                let all = money.saved.entry(currency).or_default();
                all.baseline_micro += saved.baseline_micro;
                all.paid_micro += saved.paid_micro;
            }
        }
        money.no_baseline.sort();
        money.leave_out_commitments(scores, days);
        money
    }

    /// What commitments paid for all the same is not claimed, and never more than there is.
    fn leave_out_commitments(&mut self, scores: &Scores, days: RangeInclusive<i64>) {
        for commitment in &scores.commitments {
            let Some(saved) = self.saved.get_mut(&commitment.currency) else { continue };
            let scope = commitment.scope();
            let unused = scores.unused.range(days.clone()).filter_map(|(_, day)| day.get(&scope));
            let unused: i128 = unused.map(|micro| i128::from(*micro)).sum();
            let left = (saved.baseline_micro - saved.paid_micro - saved.unclaimed_micro).max(0);
            saved.unclaimed_micro += unused.min(left);
        }
    }

    /// How many services have a known price.
    pub fn priced(&self) -> usize {
        self.services.saturating_sub(self.unpriced.len())
    }

    /// What there is to say, the most telling first; none where nothing is sized.
    pub fn lines(&self) -> Vec<MoneyLine> {
        if self.services == 0 {
            return Vec::new();
        }
        let mut lines = Vec::new();
        if self.priced() > 0 {
            lines.push(MoneyLine::Costs {
                hourly: self.hourly.clone(),
                priced: self.priced(),
                services: self.services,
            });
        }
        for (currency, saved) in &self.saved {
            let (currency, saved, baseline) = (*currency, *saved, self.baseline);
            lines.push(MoneyLine::Saved { currency, saved, baseline });
        }
        if !self.acted {
            lines.push(MoneyLine::NothingActed);
        }
        if !self.no_baseline.is_empty() {
            let (named, more) = first(self.no_baseline.iter().map(ToString::to_string).collect());
            lines.push(MoneyLine::NoBaseline { named, more, baseline: self.baseline });
        }
        if !self.unpriced.is_empty() {
            let mut named: Vec<(ServiceName, Unpriced)> =
                self.unpriced.iter().map(|(name, why)| (name.clone(), why.clone())).collect();
            let more = named.len().saturating_sub(NAMES);
            named.truncate(NAMES);
            lines.push(MoneyLine::Unpriced { named, more });
        }
        lines
    }

    /// As JSON has it: whole currencies, and the lines in English.
    pub fn json(&self) -> Value {
        let whole = |micro: i128| micro as f64 / 1e6;
        let hourly: BTreeMap<String, f64> =
            self.hourly.iter().map(|(c, micro)| (c.to_string(), whole(*micro))).collect();
        let saved: BTreeMap<String, Value> = self
            .saved
            .iter()
            .map(|(currency, saved)| {
                let told = json!({
                    "saved": whole(saved.claimed_micro()),
                    "baseline": whole(saved.baseline_micro),
                    "paid_at_list_prices": whole(saved.paid_micro),
                    "not_claimed": whole(saved.unclaimed_micro),
                });
                (currency.to_string(), told)
            })
            .collect();
        let unpriced: BTreeMap<&str, String> =
            self.unpriced.iter().map(|(name, why)| (name.as_str(), why.to_string())).collect();
        let lines: Vec<String> = self.lines().iter().map(ToString::to_string).collect();
        json!({
            "hourly": hourly,
            "services": self.services,
            "priced": self.priced(),
            "unpriced": unpriced,
            "baseline": self.baseline,
            "saved_this_month": saved,
            "no_baseline": self.no_baseline,
            "lines": lines,
        })
    }
}

/// What a service cost in some days.
#[derive(Default)]
struct Held {
    seconds: i128,
    priced_seconds: i128,
    paid: Option<(i128, Currency)>,
}

/// The days of the month up to a day.
fn month(last: i64) -> RangeInclusive<i64> {
    // The day of the month by the calendar's own text: `2026-11-25`.
    let text = Timestamp(last * 86_400).to_string();
    let of_month = text.get(8..10).and_then(|day| day.parse::<i64>().ok()).unwrap_or(1);
    last - (of_month - 1)..=last
}

fn first(mut names: Vec<String>) -> (Vec<String>, usize) {
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    (names, more)
}

/// A line on money.
#[derive(Clone, Debug, PartialEq)]
pub enum MoneyLine {
    /// What the fleet costs an hour.
    Costs { hourly: Amounts, priced: usize, services: usize },
    /// What was saved this month.
    Saved { currency: Currency, saved: Saved, baseline: MoneyBaseline },
    /// No service acts: nothing can have been saved.
    NothingActed,
    /// Services whose baseline is not known.
    NoBaseline { named: Vec<String>, more: usize, baseline: MoneyBaseline },
    /// Services whose price is not known, and why.
    Unpriced { named: Vec<(ServiceName, Unpriced)>, more: usize },
}

/// `12.40 USD + 3.00 CNY`.
pub(crate) fn amounts(all: &Amounts) -> String {
    let told: Vec<String> = all.iter().map(|(currency, micro)| amount(*micro, *currency)).collect();
    told.join(" + ")
}

/// `12.40 USD`.
pub(crate) fn amount(micro: i128, currency: Currency) -> String {
    format!("{:.2} {currency}", micro as f64 / 1e6)
}

impl std::fmt::Display for MoneyLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let more =
            |more: usize| if more > 0 { format!(", and {more} more") } else { String::new() };
        match self {
            MoneyLine::Costs { hourly, priced, services } => write!(
                f,
                "the sized fleet costs {} an hour ({priced} of {services} services have a price)",
                amounts(hourly)
            ),
            MoneyLine::Saved { currency, saved, baseline } => {
                let claimed = saved.claimed_micro();
                match claimed < 0 {
                    true => write!(
                        f,
                        "cost this month: {} more than {baseline}, at list prices",
                        amount(-claimed, *currency)
                    )?,
                    false => write!(
                        f,
                        "saved this month: {} ({:.1}%) against {baseline}, at list prices",
                        amount(claimed, *currency),
                        saved.percent()
                    )?,
                }
                if saved.unclaimed_micro > 0 {
                    let unclaimed = amount(saved.unclaimed_micro, *currency);
                    write!(f, "; {unclaimed} that commitments pay for is not claimed")?;
                }
                Ok(())
            }
            MoneyLine::NothingActed => {
                f.write_str("saved this month: nothing, neap sized no service")
            }
            MoneyLine::NoBaseline { named, more: rest, baseline } => {
                write!(f, "{baseline} is not known: {}{}", named.join(", "), more(*rest))
            }
            MoneyLine::Unpriced { named, more: rest } => {
                let told: Vec<String> =
                    named.iter().map(|(name, why)| format!("{name} ({why})")).collect();
                write!(f, "no known price: {}{}", told.join(", "), more(*rest))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fleet::rent::{Commitment, UnitPrice};
    use fleet::{ProviderName, Seconds};
    use planner::policy::{Budgets, Mode};
    use planner::stage::Promotion;
    use shadow::{DayScores, Scorecard, Stand, Worth};

    use super::*;
    use crate::said::Said as _;

    /// 2026-11-25.
    const DAY: i64 = 20_782;

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    /// A day of 24 hours with so many units at most and on the average, at 0.1 an hour each.
    fn day(most: u32, mean: u64, currency: Option<Currency>, acted: bool) -> Scorecard {
        let stand = Stand { seconds: 86_400, units_max: most, unit_seconds: mean * 86_400 };
        let none = Stand::default();
        let worth = Worth {
            unit: currency.map(|currency| (100_000, currency)),
            held: stand,
            acted: if acted { stand } else { none },
            native: none,
        };
        Scorecard { worth, ..Scorecard::default() }
    }

    /// Two days of the month, and one of the month before.
    fn scores() -> Scores {
        let mut scores = Scores::default();
        for at in [DAY - 30, DAY - 1, DAY] {
            let services = BTreeMap::from([
                (name("checkout"), day(20, 10, Some(Currency::Usd), true)),
                (name("mail"), day(9, 5, Some(Currency::Usd), false)),
                (name("search"), day(8, 4, None, true)),
                (name("shop-cn"), day(10, 8, Some(Currency::Cny), true)),
            ]);
            scores.days.insert(at, DayScores { services, questioned: Vec::new() });
        }
        scores
    }

    fn told(money: &Money) -> String {
        let lines = money.lines();
        let both = lines.iter().map(|line| format!("{line}\n{}\n", line.chinese()));
        both.collect()
    }

    #[test]
    fn only_what_acts_saves_and_currencies_are_not_added_up() {
        let money = Money::of_days(&scores(), DAY - 1..=DAY);
        assert_eq!((money.services, money.priced(), money.days), (4, 3, 2));
        // 10 + 5 units at 0.1 USD, 8 at 0.1 CNY.
        assert_eq!(money.hourly[&Currency::Usd], 1_500_000);
        assert_eq!(money.hourly[&Currency::Cny], 800_000);
        // 10 units fewer than the peak, for two days of 24 hours, at 0.1 USD.
        assert_eq!(money.saved[&Currency::Usd].claimed_micro(), 48_000_000);
        assert_eq!(money.saved[&Currency::Usd].percent(), 50.0);
        assert_eq!(money.saved[&Currency::Cny].claimed_micro(), 9_600_000);
        assert_eq!(money.unpriced.keys().collect::<Vec<_>>(), [&name("search")]);
        let text = told(&money);
        assert!(text.contains("saved this month: 48.00 USD (50.0%) against each day's peak size"));
        assert!(text.contains("no known price: search (not read yet)"), "{text}");
        assert!(text.contains("本月节省：48.00 USD（50.0%），相对每天的峰值规模"), "{text}");
    }

    #[test]
    fn what_a_commitment_pays_for_is_not_claimed() {
        let mut scores = scores();
        scores.commitments = vec![Commitment {
            provider: ProviderName::new("aws").unwrap(),
            account: None,
            region: None,
            hourly_micro: 1,
            currency: Currency::Usd,
        }];
        let unused = |micro: u64| BTreeMap::from([("aws".to_owned(), micro)]);
        scores.unused = BTreeMap::from([(DAY - 30, unused(900_000_000)), (DAY, unused(8_000_000))]);
        let saved = Money::of_days(&scores, DAY..=DAY).saved[&Currency::Usd];
        assert_eq!((saved.unclaimed_micro, saved.claimed_micro()), (8_000_000, 40_000_000));
        // However large it is: never more is left out than there is, and nothing turns into a loss.
        scores.unused.insert(DAY, unused(u64::MAX / 2));
        let saved = Money::of_days(&scores, DAY..=DAY).saved[&Currency::Usd];
        assert_eq!(saved.claimed_micro(), 0);
        let text = told(&Money::of_days(&scores, DAY..=DAY));
        assert!(text.contains("that commitments pay for is not claimed"), "{text}");
    }

    #[test]
    fn a_baseline_that_is_not_known_is_named() {
        let mut scores = scores();
        scores.baseline = MoneyBaseline::Before;
        let money = Money::of_days(&scores, DAY..=DAY);
        assert!(money.saved.is_empty());
        assert_eq!(money.no_baseline, [name("checkout"), name("shop-cn")]);
        let text = told(&money);
        assert!(
            text.contains("the mean size before neap is not known: checkout, shop-cn"),
            "{text}"
        );
    }

    #[test]
    fn the_live_figure_counts_the_units_that_there_are() {
        let mut policy = Policy {
            mode: Mode::Act,
            poll_interval: Seconds(60),
            budgets: Budgets::default(),
            spend_ceiling_usd_milli_hourly: None,
            services: BTreeMap::new(),
            promotion: Promotion::default(),
        };
        let none =
            Money::of(&policy, &scores(), Timestamp(DAY * 86_400), |_| None, &BTreeMap::new());
        assert!(none.lines().is_empty(), "nothing is sized");
        policy.mode = Mode::Observe;
        let price = UnitPrice { hourly_micro: 96_000, ..UnitPrice::configured(0.0) };
        let mut scores = scores();
        scores.prices.insert(name("gone"), price);
        let money =
            Money::of(&policy, &scores, Timestamp(DAY * 86_400), |_| Some(3), &BTreeMap::new());
        assert!(money.hourly.is_empty(), "what is not in the policy costs nothing here");
    }

    #[test]
    fn a_month_begins_on_its_first_day() {
        assert_eq!(month(DAY), DAY - 24..=DAY);
        let first = DAY - 24;
        assert_eq!(month(first), first..=first);
        assert_eq!(month(first - 1), first - 31..=first - 1, "October has 31 days");
    }
}
