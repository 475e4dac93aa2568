//! What a source of metrics bills for, counted and kept within the configured budget.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleet::{Fault, FaultKind, Now, Seconds};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::call::Call;
use crate::cost::MONTH;

/// The bucket holds this share of a month's budget: a day's worth, enough for a first back-fill.
const BUCKET_SHARE: u64 = 30;
/// The latest moment that the limiter is shown: its own arithmetic ends after 584 years.
const LATEST: Duration = Duration::from_secs(500 * 365 * 86_400);

/// A clock that was set back and then moves on by more than so many seconds at once was set ahead.
const LEAP: u64 = 3_600;

/// What one account may still ask for.
#[derive(Debug)]
pub(crate) struct Meter {
    /// What is counted, for people.
    unit: &'static str,
    limit: Option<Limit>,
    read: AtomicU64,
}

/// A month's budget.
#[derive(Debug)]
struct Limit {
    per_month: u64,
    /// `None` where the budget is less than one a day: nothing fits.
    bucket: Option<Bucket>,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, MeterClock, NoOpMiddleware<Duration>>;

/// Our clock, as the limiter reads it.
#[derive(Debug)]
struct MeterClock {
    ours: Arc<dyn Now>,
    shown: Mutex<Shown>,
}

/// What the limiter was shown last. A clock that is set back neither fills nor empties the bucket, nor
/// does one that is set ahead again by as much; in between the bucket fills as time goes by.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    /// Our second when it was looked at.
    ours: u64,
    /// The second that was shown.
    shown: u64,
    /// How far our clock was set back and not ahead again.
    behind: u64,
}

impl Shown {
    fn look(&mut self, now: u64) -> u64 {
        self.behind = self.behind.saturating_add(self.ours.saturating_sub(now));
        let passed = now.saturating_sub(self.ours);
        // Metrics are read at least every quarter of an hour: so long a leap is the clock's.
        let again = if passed > LEAP { passed.min(self.behind) } else { 0 };
        self.behind -= again;
        self.ours = now;
        self.shown = self.shown.saturating_add(passed - again).min(LATEST.as_secs());
        self.shown
    }
}

impl Clock for MeterClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let now = u64::try_from(self.ours.now().0).unwrap_or(0);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_secs(shown.look(now))
    }
}

/// Why a call is over the budget.
struct Over {
    /// What is left now.
    left: u64,
    /// When there will be enough.
    wait: Duration,
}

/// The same, for people.
#[derive(Debug, thiserror::Error)]
#[error(
    "the API budget of {per_month} {unit} a month has {left} left now, this call needs {needed}"
)]
struct OverBudget {
    per_month: u64,
    unit: &'static str,
    left: u64,
    needed: u64,
}

impl Limit {
    fn new(per_month: u64, now: Arc<dyn Now>) -> Limit {
        let size = u32::try_from(per_month / BUCKET_SHARE).unwrap_or(u32::MAX);
        let bucket = NonZeroU32::new(size).and_then(|size| {
            let quota = Quota::with_period(each(per_month))?.allow_burst(size);
            let clock = MeterClock { ours: now, shown: Mutex::default() };
            Some(RateLimiter::direct_with_clock(quota, clock))
        });
        Limit { per_month, bucket }
    }

    fn take(&self, count: u64) -> Result<(), Over> {
        let each = each(self.per_month);
        let of = |count: u64| each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        let never = |left| Over { left, wait: of(count - left) };
        let Some(wanted) = u32::try_from(count).ok().and_then(NonZeroU32::new) else {
            return if count == 0 { Ok(()) } else { Err(never(0)) };
        };
        let Some(bucket) = &self.bucket else { return Err(never(0)) };
        match bucket.check_n(wanted) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(bucket.clock().now());
                let lacking = wait.as_nanos().div_ceil(each.as_nanos().max(1));
                let lacking = u64::try_from(lacking).unwrap_or(u64::MAX);
                Err(Over { left: count.saturating_sub(lacking), wait })
            }
            Err(more_than_a_day) => Err(never(u64::from(more_than_a_day.0).min(count))),
        }
    }
}

/// How long a budget takes to grow by one.
fn each(per_month: u64) -> Duration {
    let nanos = Duration::from_secs(MONTH.0).as_nanos() / u128::from(per_month.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX).max(1))
}

impl Meter {
    /// A full bucket.
    pub(crate) fn new(unit: &'static str, budget: Option<u64>, now: Arc<dyn Now>) -> Meter {
        let limit = budget.map(|per_month| Limit::new(per_month, now));
        Meter { unit, limit, read: AtomicU64::new(0) }
    }

    /// Takes so many units for a call, all or none.
    ///
    /// # Errors
    /// [`FaultKind::Throttled`] until there will be enough.
    pub(crate) fn take(&self, call: Call, count: u64) -> Result<(), Fault> {
        if let Some(limit) = &self.limit {
            limit.take(count).map_err(|Over { left, wait }| {
                let seconds = wait.as_nanos().div_ceil(1_000_000_000);
                let wait = Seconds(seconds.try_into().unwrap_or(u64::MAX));
                let (per_month, unit) = (limit.per_month, self.unit);
                call.fault(
                    FaultKind::Throttled { retry_after: Some(wait) },
                    OverBudget { per_month, unit, left, needed: count },
                )
            })?;
        }
        self.read.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// Units taken so far.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use fleet::Timestamp;

    use super::*;

    const CALL: Call = Call::read("cloudwatch", "GetMetricData");

    #[derive(Debug, Default)]
    struct Hand(AtomicI64);

    impl Now for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::Relaxed))
        }
    }

    impl Hand {
        fn at(seconds: i64) -> Arc<Hand> {
            Arc::new(Hand(AtomicI64::new(seconds)))
        }

        fn set(&self, seconds: i64) {
            self.0.store(seconds, Ordering::Relaxed);
        }
    }

    fn meter(budget: Option<u64>, hand: &Arc<Hand>) -> Meter {
        Meter::new("metrics", budget, Arc::clone(hand) as Arc<dyn Now>)
    }

    #[test]
    fn without_a_budget_metrics_are_only_counted() {
        let meter = meter(None, &Hand::at(0));
        assert_eq!(meter.take(CALL, 1_000_000), Ok(()));
        assert_eq!(meter.take(CALL, 5), Ok(()));
        assert_eq!(meter.read(), 1_000_005);
    }

    #[test]
    fn a_budget_is_a_days_worth_at_once_and_refills_evenly() {
        // 300 a month: a bucket of 10, one more every 2.4 h.
        let hand = Hand::at(0);
        let meter = meter(Some(300), &hand);
        assert_eq!(meter.take(CALL, 10), Ok(()));
        let fault = meter.take(CALL, 1).unwrap_err();
        let why = "the API budget of 300 metrics a month has 0 left now, this call needs 1";
        assert_eq!(fault.detail, why);
        assert_eq!(fault.kind, FaultKind::Throttled { retry_after: Some(Seconds(8640)) });
        hand.set(8639);
        assert!(meter.take(CALL, 1).is_err());
        hand.set(8640);
        assert_eq!(meter.take(CALL, 1), Ok(()));
        hand.set(10_000_000);
        assert!(meter.take(CALL, 11).is_err(), "never more than the bucket");
        assert_eq!(meter.take(CALL, 7), Ok(()));
        let fault = meter.take(CALL, 5).unwrap_err();
        assert!(fault.detail.contains("has 3 left now, this call needs 5"), "{fault}");
        assert_eq!(fault.kind, FaultKind::Throttled { retry_after: Some(Seconds(2 * 8640)) });
        assert_eq!(meter.take(CALL, 3), Ok(()));
        assert_eq!(meter.read(), 21, "refused calls are not counted");
    }

    #[test]
    fn a_budget_of_less_than_one_a_day_lets_nothing_through() {
        for budget in [0, 29] {
            assert!(meter(Some(budget), &Hand::at(0)).take(CALL, 1).is_err(), "{budget}");
        }
    }

    #[test]
    fn the_largest_budget_and_the_latest_moment_are_no_fault() {
        let hand = Hand::at(0);
        let meter = meter(Some(u64::MAX), &hand);
        hand.set(i64::MAX);
        assert_eq!(meter.take(CALL, 1_000_000), Ok(()));
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_and_takes_nothing() {
        let hand = Hand::at(100_000);
        let meter = meter(Some(300), &hand);
        assert_eq!(meter.take(CALL, 9), Ok(()));
        hand.set(0);
        assert_eq!(meter.take(CALL, 1), Ok(()));
        assert!(meter.take(CALL, 1).is_err());
        hand.set(100_000);
        assert!(meter.take(CALL, 1).is_err());
    }

    #[test]
    fn a_clock_that_was_ahead_leaves_a_bucket_that_fills_again_once_it_is_right() {
        let hand = Hand::at(400 * 86_400);
        let meter = meter(Some(300), &hand);
        assert_eq!(meter.take(CALL, 10), Ok(()));
        for minute in 0..8_640 / 60 {
            hand.set(1_000 + minute * 60);
            assert!(meter.take(CALL, 1).is_err(), "minute {minute}");
        }
        hand.set(1_000 + 8_640);
        assert_eq!(meter.take(CALL, 1), Ok(()));
    }
}
