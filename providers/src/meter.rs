//! What a source of metrics bills for, counted and kept within the configured budget.

use std::sync::{Mutex, PoisonError};

use fleet::{Seconds, Timestamp};

/// A month of the budget, and of every "a month" this adapter prints.
pub(crate) const MONTH: Seconds = Seconds::days(30);
/// The bucket holds this share of a month's budget: a day's worth, enough for a first back-fill.
const BUCKET_SHARE: u64 = 30;

/// What one account may still ask for.
#[derive(Debug)]
pub(crate) struct Meter {
    /// What is counted, for people.
    unit: &'static str,
    budget: Option<u64>,
    bucket: Mutex<Bucket>,
}

/// Tokens in units times a month's seconds, so that refilling needs no fractions.
#[derive(Debug)]
struct Bucket {
    tokens: u128,
    at: Timestamp,
    read: u64,
}

impl Meter {
    /// A full bucket.
    pub(crate) fn new(unit: &'static str, budget: Option<u64>, now: Timestamp) -> Meter {
        let tokens = u128::from(budget.unwrap_or(0) / BUCKET_SHARE) * u128::from(MONTH.0);
        Meter { unit, budget, bucket: Mutex::new(Bucket { tokens, at: now, read: 0 }) }
    }

    /// Takes so many units, all or none.
    ///
    /// # Errors
    /// In words with the budget's figures, and when there will be enough.
    pub(crate) fn take(&self, count: u64, now: Timestamp) -> Result<(), (String, Seconds)> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = self.budget {
            let size = u128::from(budget / BUCKET_SHARE) * u128::from(MONTH.0);
            let gained = u128::from(now.since(bucket.at).0) * u128::from(budget);
            bucket.tokens = (bucket.tokens + gained).min(size);
            bucket.at = bucket.at.max(now);
            let cost = u128::from(count) * u128::from(MONTH.0);
            if cost > bucket.tokens {
                let left = bucket.tokens / u128::from(MONTH.0);
                let wait = (cost - bucket.tokens).div_ceil(u128::from(budget.max(1)));
                let wait = Seconds(u64::try_from(wait).unwrap_or(u64::MAX));
                return Err((
                    format!(
                        "the API budget of {budget} {} a month has {left} left now, this call \
                         needs {count}",
                        self.unit
                    ),
                    wait,
                ));
            }
            bucket.tokens -= cost;
        }
        bucket.read += count;
        Ok(())
    }

    /// Units taken so far.
    pub(crate) fn read(&self) -> u64 {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner).read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_budget_metrics_are_only_counted() {
        let meter = Meter::new("metrics", None, Timestamp(0));
        assert_eq!(meter.take(1_000_000, Timestamp(0)), Ok(()));
        assert_eq!(meter.take(5, Timestamp(0)), Ok(()));
        assert_eq!(meter.read(), 1_000_005);
    }

    #[test]
    fn a_budget_is_a_days_worth_at_once_and_refills_evenly() {
        // 300 a month: a bucket of 10, one more every 2.4 h.
        let meter = Meter::new("metrics", Some(300), Timestamp(0));
        assert_eq!(meter.take(10, Timestamp(0)), Ok(()));
        let (why, wait) = meter.take(1, Timestamp(0)).unwrap_err();
        assert_eq!(why, "the API budget of 300 metrics a month has 0 left now, this call needs 1");
        assert_eq!(wait, Seconds(8640));
        assert!(meter.take(1, Timestamp(8639)).is_err());
        assert_eq!(meter.take(1, Timestamp(8640)), Ok(()));
        assert!(meter.take(11, Timestamp(10_000_000)).is_err(), "never more than the bucket");
        assert_eq!(meter.take(10, Timestamp(10_000_000)), Ok(()));
        assert_eq!(meter.read(), 21, "refused calls are not counted");
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let meter = Meter::new("metrics", Some(300), Timestamp(100_000));
        assert_eq!(meter.take(10, Timestamp(100_000)), Ok(()));
        assert!(meter.take(1, Timestamp(0)).is_err());
        assert!(meter.take(1, Timestamp(100_000)).is_err());
    }
}
