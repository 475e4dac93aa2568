//! What to make of the numbers: which budget keeps the promise, what it saves, and at what price.

use std::fmt;

use planner::policy::Share;
use serde::Serialize;

use super::setting::{Family, Setting};
use super::study::Row;

/// A promise at more than so many times perfect foresight's cost is mostly paid for by margin.
const SANE_COST: f64 = 3.0;

/// A promise that costs so much more than the next looser one is worth a second thought.
const SANE_STEP: f64 = 1.25;

/// The promises that are weighed against each other.
const PROMISES: [Share; 6] = {
    const fn millionths(millionths: u32) -> Share {
        match Share::from_millionths(millionths) {
            Some(share) => share,
            None => Share::ALL,
        }
    }
    [
        millionths(1_000),
        millionths(2_500),
        millionths(5_000),
        millionths(10_000),
        millionths(20_000),
        millionths(50_000),
    ]
};

/// What is told about one promise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The share of steps that may find too little capacity.
    pub promise: f64,
    /// The cheapest of neap's settings that kept it; where none did, the one with the fewest
    /// violations.
    pub recommended: Row,
    /// Whether it was kept.
    pub kept: bool,
    /// Where the promise is not to be had at a sane price: what there is to choose from.
    pub price: Option<Price>,
    /// Against what runs today.
    pub saving: Option<Saving>,
}

/// A promise that costs too much, or more than there is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Price {
    /// The next looser promise that can be kept, and the cheapest setting that does.
    pub looser: Option<(f64, Row)>,
    /// The cheapest other policy that kept the promise.
    pub other: Option<Row>,
}

/// Today's policy against neap.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Saving {
    /// What runs today.
    pub today: Row,
    /// The cheapest of neap's settings with no more violations; where there is none, the one with
    /// the fewest.
    pub neap: Row,
    /// Whether it has no more violations than today's policy.
    pub as_few: bool,
    /// The share of today's cost that it saves; below 0 where it costs more.
    pub saved: f64,
}

impl Advice {
    /// Weighs `rows`, of which at least one is neap's.
    pub fn of(rows: &[Row], promise: Share, today: Option<Setting>) -> Option<Advice> {
        let kept = cheapest(rows, promise.fraction(), is_neap);
        let closest = fewest(rows)?;
        let recommended = kept.unwrap_or(closest);
        let looser = PROMISES.into_iter().filter(|share| *share > promise).find_map(|share| {
            let row = cheapest(rows, share.fraction(), is_neap)?;
            Some((share.fraction(), row.clone()))
        });
        let dear = recommended.cost > SANE_COST
            || looser.as_ref().is_some_and(|(_, row)| recommended.cost > SANE_STEP * row.cost);
        let price = (kept.is_none() || dear).then(|| Price {
            looser,
            other: cheapest(rows, promise.fraction(), |row| !is_neap(row)).cloned(),
        });
        let today = today.and_then(|today| rows.iter().find(|row| row.setting == today));
        Some(Advice {
            promise: promise.fraction(),
            recommended: recommended.clone(),
            kept: kept.is_some(),
            price,
            saving: today.map(|today| Saving::of(rows, today, closest)),
        })
    }
}

impl Saving {
    fn of(rows: &[Row], today: &Row, fewest: &Row) -> Saving {
        let within = cheapest(rows, today.violations, is_neap);
        let neap = within.unwrap_or(fewest).clone();
        let saved = 1.0 - neap.cost / today.cost;
        Saving { today: today.clone(), as_few: within.is_some(), saved, neap }
    }
}

fn is_neap(row: &Row) -> bool {
    row.family == Family::Neap
}

/// Neap's row with the fewest violations, the cheapest of several.
fn fewest(rows: &[Row]) -> Option<&Row> {
    let of = |row: &&Row| (row.violations, row.cost);
    rows.iter().filter(|row| is_neap(row)).min_by(|a, b| {
        let ((few, cost), (others_few, others_cost)) = (of(a), of(b));
        few.total_cmp(&others_few).then(cost.total_cmp(&others_cost))
    })
}

/// The cheapest row with at most so many violations.
fn cheapest(rows: &[Row], violations: f64, wanted: impl Fn(&Row) -> bool) -> Option<&Row> {
    let within = rows.iter().filter(|row| wanted(row) && row.violations <= violations);
    within.min_by(|a, b| a.cost.total_cmp(&b.cost))
}

/// A share as percent: `0.5%`, `0.042%`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.1 { format!("{percent:.3}%") } else { format!("{percent:.2}%") }
}

/// A promise as the operator writes it.
pub(super) fn promised(share: f64) -> String {
    format!("{}%", (share * 1e6).round() / 1e4)
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(saving) = &self.saving {
            writeln!(f, "{saving}")?;
        }
        let Row { setting, violations, cost, .. } = &self.recommended;
        let (promise, came_to) = (promised(self.promise), percent(*violations));
        let verdict = if self.kept { "keeps" } else { "comes closest to" };
        write!(
            f,
            "recommended: violation_budget = \"{setting}\" {verdict} a promise of {promise}: \
             {came_to} at {cost:.2} times perfect foresight"
        )?;
        match &self.price {
            Some(price) => write!(f, "\n{}", self.at_a_price(price)),
            None => Ok(()),
        }
    }
}

impl Advice {
    fn at_a_price(&self, price: &Price) -> String {
        let (promise, Row { cost, mean_units, .. }) = (promised(self.promise), &self.recommended);
        let mut text = if self.kept {
            format!(
                "price: the promise of {promise} can be kept, but it costs {cost:.2} times perfect \
                 foresight ({mean_units:.1} units on the mean)"
            )
        } else {
            format!(
                "price: no setting of neap kept the promise of {promise} here; the closest cost \
                 {cost:.2} times perfect foresight ({mean_units:.1} units on the mean)"
            )
        };
        match &price.looser {
            Some((share, row)) => {
                let less = 100.0 * (1.0 - row.cost / cost);
                text += &format!(
                    "; a promise of {} costs {:.2} ({:.1} units), {less:.0}% less",
                    promised(*share),
                    row.cost,
                    row.mean_units
                );
            }
            None => text += "; no looser promise up to 5% was kept either",
        }
        match &price.other {
            Some(row) if !self.kept || row.cost < *cost => {
                text += &format!("; {} {} keeps it at {:.2}", row.family, row.setting, row.cost);
            }
            Some(_) => text += "; no other policy keeps it for less",
            None => text += "; no other policy keeps it at all",
        }
        text
    }
}

impl fmt::Display for Saving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { family, setting, violations, cost, mean_units, .. } = &self.today;
        let came_to = percent(*violations);
        writeln!(
            f,
            "today: {family} {setting} has {came_to} violations at {cost:.2} times perfect foresight"
        )?;
        let Row { setting, violations, mean_units: units, .. } = &self.neap;
        let percent_saved = 100.0 * self.saved;
        let verdict = if percent_saved < 0.0 {
            format!("costs {:.0}% more", -percent_saved)
        } else {
            format!("saves {percent_saved:.0}%")
        };
        write!(
            f,
            "saving: neap at {setting} {verdict} ({units:.1} units on the mean in place of \
             {mean_units:.1}) with {} violations",
            percent(*violations)
        )?;
        if self.as_few {
            return Ok(());
        }
        write!(f, "; no setting of neap has as few as today's policy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(setting: Setting, percent: f64, cost: f64) -> Row {
        let (family, violations) = (setting.family(), percent / 100.0);
        Row { family, setting, violations, cost, mean_units: 10.0 * cost, changes_a_day: 40.0 }
    }

    fn neap(budget_millionths: u32, percent: f64, cost: f64) -> Row {
        row(Setting::Neap(Share::from_millionths(budget_millionths).unwrap()), percent, cost)
    }

    fn promise() -> Share {
        Share::from_millionths(5_000).unwrap()
    }

    fn told(rows: &[Row], today: Option<Setting>) -> String {
        Advice::of(rows, promise(), today).unwrap().to_string()
    }

    #[test]
    fn the_cheapest_setting_that_keeps_the_promise_is_recommended_with_its_saving() {
        let today = Setting::Hpa(0.5);
        let rows = [
            neap(1_000, 0.08, 1.6),
            neap(2_500, 0.3, 1.45),
            neap(5_000, 0.6, 1.4),
            neap(10_000, 1.0, 1.3),
            row(today, 0.4, 2.0),
        ];
        insta::assert_snapshot!(told(&rows, Some(today)), @r#"
        today: hpa 0.5 has 0.40% violations at 2.00 times perfect foresight
        saving: neap at 0.25% saves 28% (14.5 units on the mean in place of 20.0) with 0.30% violations
        recommended: violation_budget = "0.25%" keeps a promise of 0.5%: 0.30% at 1.45 times perfect foresight
        "#);
    }

    #[test]
    fn a_promise_that_is_dear_is_told_with_its_price() {
        let rows = [
            neap(5_000, 0.45, 3.6),
            neap(10_000, 0.9, 2.4),
            row(Setting::Quantile(0.99), 0.5, 4.2),
            row(Setting::Hpa(0.2), 0.5, 5.0),
        ];
        insta::assert_snapshot!(told(&rows, None), @r#"
        recommended: violation_budget = "0.5%" keeps a promise of 0.5%: 0.45% at 3.60 times perfect foresight
        price: the promise of 0.5% can be kept, but it costs 3.60 times perfect foresight (36.0 units on the mean); a promise of 1% costs 2.40 (24.0 units), 33% less; no other policy keeps it for less
        "#);
    }

    #[test]
    fn a_promise_that_nobody_keeps_is_told() {
        let rows = [neap(1_000, 1.5, 3.9), neap(5_000, 2.2, 2.0), row(Setting::Hpa(0.2), 3.0, 4.0)];
        insta::assert_snapshot!(told(&rows, Some(Setting::Hpa(0.2))), @r#"
        today: hpa 0.2 has 3.00% violations at 4.00 times perfect foresight
        saving: neap at 0.5% saves 50% (20.0 units on the mean in place of 40.0) with 2.20% violations
        recommended: violation_budget = "0.1%" comes closest to a promise of 0.5%: 1.50% at 3.90 times perfect foresight
        price: no setting of neap kept the promise of 0.5% here; the closest cost 3.90 times perfect foresight (39.0 units on the mean); a promise of 2% costs 3.90 (39.0 units), 0% less; no other policy keeps it at all
        "#);
    }

    #[test]
    fn a_dearer_neap_is_not_called_a_saving() {
        let rows = [neap(5_000, 0.2, 1.5), row(Setting::Units(12), 0.3, 1.2)];
        let text = told(&rows, Some(Setting::Units(12)));
        assert!(text.contains("neap at 0.5% costs 25% more (15.0 units"), "{text}");
        let rows = [neap(5_000, 0.2, 1.5), row(Setting::Units(30), 0.0, 3.2)];
        let text = told(&rows, Some(Setting::Units(30)));
        assert!(text.contains("neap at 0.5% saves 53%"), "{text}");
        assert!(text.contains("; no setting of neap has as few as today's policy\n"), "{text}");
    }
}
