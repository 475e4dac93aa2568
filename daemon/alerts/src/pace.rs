//! How often a channel is told something: receivers cut off those who send too much.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use config::Rate;

/// At most so many messages in any window of time.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    limit: Option<(usize, Duration)>,
    /// When those of the last window were over, oldest first.
    over: VecDeque<Instant>,
}

impl Pace {
    /// A second of the rate lasts `second`; messages before were over so long before `now`.
    pub fn new(rate: Option<Rate>, second: Duration, before: &[Duration], now: Instant) -> Pace {
        let limit = rate.map(|rate| {
            let count = usize::try_from(rate.count).unwrap_or(usize::MAX);
            (count, window(rate, second))
        });
        let mut over: Vec<Instant> =
            before.iter().map(|ago| now.checked_sub(*ago).unwrap_or(now)).collect();
        over.sort();
        Pace { limit, over: over.into() }
    }

    /// How many may begin at `now`.
    pub fn left(&mut self, now: Instant) -> usize {
        let Some((count, window)) = self.limit else { return usize::MAX };
        self.over.retain(|over| now.saturating_duration_since(*over) < window);
        count.saturating_sub(self.over.len())
    }

    /// How long after `now` the next may begin, where none may now.
    pub fn wait(&mut self, now: Instant) -> Duration {
        if self.left(now) > 0 {
            return Duration::ZERO;
        }
        let window = self.limit.map_or(Duration::ZERO, |(_, window)| window);
        let oldest = self.over.front().copied().unwrap_or(now);
        window.saturating_sub(now.saturating_duration_since(oldest))
    }

    /// Notes messages that were over at `now`: whatever their receiver counts came before.
    pub fn note(&mut self, messages: usize, now: Instant) {
        if self.limit.is_some() {
            self.over.extend(std::iter::repeat_n(now, messages));
        }
    }
}

/// How long the stretch of a rate lasts.
pub(super) fn window(rate: Rate, second: Duration) -> Duration {
    second.saturating_mul(u32::try_from(rate.per.0).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use fleet::Seconds;

    use super::*;

    #[test]
    fn no_window_has_more_than_the_limit() {
        let start = Instant::now();
        let rate = Rate { count: 6, per: Seconds(60) };
        // Four that the process before sent, one of them long ago.
        let before = [20, 10, 0, 70].map(Duration::from_secs);
        let mut pace = Pace::new(Some(rate), Duration::from_secs(1), &before, start);
        assert_eq!((pace.left(start), pace.wait(start)), (3, Duration::ZERO));
        let mut sent = Vec::new();
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            if pace.left(now) > 0 {
                assert_eq!(pace.wait(now), Duration::ZERO);
                pace.note(1, now);
                sent.push(second);
            } else {
                assert!(pace.wait(now) > Duration::ZERO);
            }
        }
        assert_eq!(sent[..10], [0, 1, 2, 40, 50, 60, 61, 62, 63, 100].map(|second: u64| second));
        assert!(sent.windows(7).all(|seven| seven[6] - seven[0] >= 60), "{sent:?}");
        let mut free = Pace::new(None, Duration::from_secs(1), &[], start);
        free.note(1000, start);
        assert_eq!((free.left(start), free.wait(start)), (usize::MAX, Duration::ZERO));
    }
}
