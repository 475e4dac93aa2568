//! Numbers as people read them: moments that may never come, sizes side by side.

use std::fmt;

use fleet::Timestamp;

use crate::plan::Trade;

/// A moment that may never come.
///
/// ```
/// use fleet::Timestamp;
/// use planner::When;
///
/// assert_eq!(When(Timestamp(0)).to_string(), "1970-01-01T00:00:00Z");
/// assert_eq!(When(Timestamp(i64::MAX)).to_string(), "never");
/// assert_eq!(When(Timestamp(i64::MAX)).comes(), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct When(pub Timestamp);

impl When {
    /// The moment, where it comes.
    pub fn comes(self) -> Option<Timestamp> {
        (self.0.0 != i64::MAX).then_some(self.0)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.comes() {
            Some(at) => write!(f, "{at}"),
            None => f.write_str("never"),
        }
    }
}

/// A size beside others, see [`Trade::sizes`].
#[derive(Clone, Debug)]
pub struct TradeSize {
    pub units: u32,
    /// The share of time in which they are expected to be too few.
    pub missed: Missed,
    /// What they cost an hour in US dollars, where that is known.
    pub usd_hourly: Option<String>,
}

impl Trade {
    /// The size in the middle, one unit fewer where any is left, and one more.
    pub fn sizes(&self) -> impl Iterator<Item = TradeSize> {
        let [fewer, same, more] = self.violations_millionths;
        let (units, price) = (self.units.0, self.unit_usd_micro_hourly);
        let one_fewer = units.checked_sub(1).filter(|units| *units > 0);
        let sizes = [
            Some((units, same)),
            one_fewer.map(|units| (units, fewer)),
            Some((units.saturating_add(1), more)),
        ];
        sizes.into_iter().flatten().map(move |(units, millionths)| TradeSize {
            units,
            missed: Missed(millionths),
            usd_hourly: price.map(|price| {
                let usd = u128::from(price) * u128::from(units) / 10_000;
                format!("{}.{:02}", usd / 100, usd % 100)
            }),
        })
    }
}

/// `8 units: 0.42% missed, 3.20 USD/h; 7: 1.1% missed, 2.80 USD/h; 9: 0.16% missed, 3.60 USD/h`
impl fmt::Display for Trade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, TradeSize { units, missed, usd_hourly }) in self.sizes().enumerate() {
            match (index, units) {
                (0, 1) => f.write_str("1 unit")?,
                (0, units) => write!(f, "{units} units")?,
                (_, units) => write!(f, "; {units}")?,
            }
            write!(f, ": {missed} missed")?;
            if let Some(usd) = usd_hourly {
                write!(f, ", {usd} USD/h")?;
            }
        }
        Ok(())
    }
}

/// A share in millionths with two digits that count, as a share of a hundred.
///
/// ```
/// use planner::Missed;
///
/// assert_eq!(Missed(4_200).percent().as_deref(), Some("0.42%"));
/// assert_eq!(Missed(11_900).percent().as_deref(), Some("1.1%"));
/// // So little is no number to decide by.
/// assert_eq!(Missed(99).percent(), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Missed(pub u32);

impl Missed {
    /// The digits; `None` below a hundredth of a percent.
    pub fn percent(self) -> Option<String> {
        let millionths = self.0;
        match millionths {
            0..100 => None,
            100..10_000 => {
                Some(format!("{}.{:02}%", millionths / 10_000, millionths % 10_000 / 100))
            }
            _ => Some(format!("{}.{}%", millionths / 10_000, millionths % 10_000 / 1000)),
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.percent().as_deref().unwrap_or("less than 0.01%"))
    }
}
