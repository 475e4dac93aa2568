//! When samples arrive: a reading before the next one can be there buys nothing.

use std::collections::VecDeque;

use fleet::{Seconds, Timestamp};

/// So many of the newest arrivals are looked at: an hour of samples five minutes apart.
const LOOKED_AT: usize = 12;
/// With fewer than so many, nothing is known of a source.
const KNOWN_FROM: usize = 3;
/// A source that is later than so many spacings is none that anything is known of.
const LATE_MAX: u64 = 4;

/// When a metric's samples were first seen.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// How long after its start each was seen first, the newest last.
    ages: VecDeque<Seconds>,
    /// The start of the newest.
    newest: Option<Timestamp>,
    /// When a sample that was known turned out another.
    corrected_at: Option<Timestamp>,
    /// When it was last read.
    read_at: Option<Timestamp>,
}

impl Arrivals {
    /// Takes in a reading: the start of the newest sample that is known after it, and whether one
    /// that was known is another now.
    pub fn note(&mut self, newest: Option<Timestamp>, corrected: bool, now: Timestamp) {
        let first = self.read_at.is_none();
        self.read_at = Some(now);
        if corrected {
            self.corrected_at = Some(now);
        }
        let Some(newest) = newest.filter(|newest| self.newest != Some(*newest)) else { return };
        let is_later = self.newest.is_some_and(|before| newest > before);
        self.newest = Some(newest);
        // What the first reading brings has been there for who knows how long.
        if is_later && !first && newest <= now {
            self.ages.push_back(now.since(newest));
            if self.ages.len() > LOOKED_AT {
                self.ages.pop_front();
            }
        }
    }

    /// Whether a new sample may be there, of a source whose samples are `spacing` apart and that may
    /// be read every `poll`. The next one is asked for from one poll before it would be there by the
    /// earliest of the last arrivals, and then in every poll until it is. What a source corrects is
    /// asked for at every chance, and so is what nothing is known of.
    pub fn is_due(&self, spacing: Seconds, poll: Seconds, now: Timestamp) -> bool {
        let (Some(newest), Some(read_at)) = (self.newest, self.read_at) else { return true };
        let known = self.ages.len() >= KNOWN_FROM && spacing.0 >= 2 * poll.0;
        let earliest = self.ages.iter().min().copied().unwrap_or(Seconds::ZERO);
        let lately = Seconds(spacing.0 * LOOKED_AT as u64);
        let corrects = self.corrected_at.is_some_and(|at| now.apart(at) < lately);
        let absurd = newest > now || earliest.0 > LATE_MAX * spacing.0;
        if !known || corrects || absurd {
            return true;
        }
        // Whatever a clock has shown: once in a spacing it is read.
        now.apart(read_at) >= spacing || now.since(newest).0 + poll.0 >= spacing.0 + earliest.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: Seconds = Seconds(60);
    const SPACING: Seconds = Seconds(300);

    /// When each sample was first seen, and how often was asked. `lags` is how long after its start
    /// each is there; the source is read as `asks` says.
    fn seen(lags: &[u64], asks: impl Fn(&Arrivals, Timestamp) -> bool) -> (Vec<i64>, usize) {
        let (mut arrivals, mut first, mut asked) = (Arrivals::default(), Vec::new(), 0);
        let there = |sample: usize, now: i64| now >= sample as i64 * 300 + lags[sample] as i64;
        let end = lags.len() as i64 * 300;
        for now in (0..end).step_by(60) {
            if !asks(&arrivals, Timestamp(now)) {
                continue;
            }
            asked += 1;
            let newest = (0..lags.len()).rev().find(|sample| there(*sample, now));
            while first.len() < newest.map_or(0, |newest| newest + 1) {
                first.push(now);
            }
            let newest = newest.map(|sample| Timestamp(sample as i64 * 300));
            arrivals.note(newest, false, Timestamp(now));
        }
        (first, asked)
    }

    fn due(arrivals: &Arrivals, now: Timestamp) -> bool {
        arrivals.is_due(SPACING, POLL, now)
    }

    #[test]
    fn what_comes_evenly_is_seen_as_soon_and_asked_for_half_as_often() {
        for lag in [300, 310, 359, 400, 480, 599, 660, 900] {
            let lags = vec![lag; 288];
            let (always, all) = seen(&lags, |_, _| true);
            let (seldom, some) = seen(&lags, due);
            assert_eq!(seldom, always, "{lag}");
            assert!(some * 2 < all, "{lag}: {some} of {all}");
        }
    }

    #[test]
    fn what_is_late_is_asked_for_every_minute_and_what_is_early_costs_at_most_what_it_gained() {
        // A source that is now early and now late by up to four minutes.
        for seed in 0..200_u64 {
            let mut state = seed;
            let mut random = |most: u64| {
                state =
                    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
                (state >> 33) % most
            };
            let lags: Vec<u64> = (0..288).map(|_| 320 + random(240)).collect();
            let (always, _) = seen(&lags, |_, _| true);
            let (seldom, _) = seen(&lags, due);
            for (sample, (soon, late)) in always.iter().zip(&seldom).enumerate() {
                // How old the first was nobody saw.
                let recent = lags.get(sample.saturating_sub(LOOKED_AT).max(1)..sample);
                // Never later than a minute after the best of the last hour.
                let best = recent.into_iter().flatten().min().copied().unwrap_or(0) as i64;
                let by = (sample as i64 * 300 + best + 60).max(soon + 59);
                assert!(*late <= by, "seed {seed}, sample {sample}: {late} and not {soon}");
            }
        }
    }

    #[test]
    fn what_is_corrected_and_what_is_not_known_is_asked_for_every_time() {
        let mut arrivals = Arrivals::default();
        assert!(due(&arrivals, Timestamp(0)), "never read");
        for sample in 0..6 {
            let start = Timestamp(sample * 300);
            arrivals.note(Some(start), false, start + Seconds(360));
        }
        let now = Timestamp(5 * 300 + 360);
        assert!(!due(&arrivals, now + POLL));
        assert!(due(&arrivals, now + Seconds(240)) && due(&arrivals, now + Seconds(3000)));
        assert!(arrivals.is_due(Seconds(60), POLL, now + POLL), "each minute brings one");
        arrivals.note(Some(Timestamp(5 * 300)), true, now);
        assert!(due(&arrivals, now + POLL), "it corrects what it told");
    }

    #[test]
    fn a_clock_that_was_set_stops_no_reading() {
        let mut arrivals = Arrivals::default();
        for sample in 0..20 {
            let start = Timestamp(1_000_000 + sample * 300);
            arrivals.note(Some(start), false, start + Seconds(360));
        }
        let newest = 1_000_000 + 19 * 300;
        for back in [60, 600, 86_400, 900_000] {
            let now = newest - back;
            assert!((0..6).any(|poll| due(&arrivals, Timestamp(now + poll * 60))), "{back} back");
        }
        // All that is known was seen by a clock that was ahead by a day.
        let mut ahead = Arrivals::default();
        for sample in 0..20 {
            let start = Timestamp(1_000_000 + sample * 300);
            ahead.note(Some(start), false, start + Seconds(86_400 + 360));
        }
        assert!(due(&ahead, Timestamp(newest + 400)));
    }
}
