//! Sizes that a service's own past vouches for: down to them, removals need no budget.
//!
//! A budget of removals bounds what a lie of the metrics can do, and takes hours for a fall that
//! comes every evening. A daily fall is told from an accident by what the service wanted before: for
//! longer than an accident usually lasts, at this time of the last days, or not long ago.

use fleet::{Seconds, Timestamp, Units};
use serde::{Deserialize, Serialize};

/// The length of a slot: over recorded loads, longer ones cost more and protected from no more.
const SLOT_SECONDS: i64 = 300;
/// Five hours. What was right longer ago says little, however it is compared with former days.
const SLOTS_KEPT: u32 = 60;
/// What nobody asked for in so many whole slots and the one under way, 35 to 40 minutes, is not
/// needed: metrics that tell too little are found or mended sooner.
const BELIEVED_AFTER: u32 = 7;
/// As long a silence is none: metrics are read every quarter of an hour at least.
const SILENCE_MAX: u32 = 3;
/// A sharp fall is doubted for longer than it takes for a size to be believed.
const FALL_BELIEVED_AFTER: Seconds = Seconds::hours(1);
/// Days are compared by half hours.
const SLOTS_PER_HALF: u32 = 6;
/// Half hours of a day.
const HALVES: u32 = 48;
/// Days that are compared.
const DAYS: u32 = 3;
/// Half hours kept: those of the days before, and of today.
const HALVES_KEPT: u32 = HALVES * (DAYS + 1);
/// Slots that what is expected is told from: the newest may have begun with the lie.
const EXPECTED_FROM: u32 = 4;

/// The sizes that demand asked for, as far as they vouch for a smaller one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// The newest slot: five minutes, counted from 1970.
    pub newest: u32,
    /// The slots of the last five hours, by number modulo 60. Empty or 60 long.
    pub lately: Vec<Option<Slot>>,
    /// The largest size of each half hour of the last four days, by number modulo 192. Empty or 192
    /// long.
    pub days: Vec<Option<Units>>,
    /// Units of the newest order that no budget was asked for.
    pub unbudgeted: Units,
    /// A sharp fall of demand that time has not told from an accident yet.
    pub fell: Option<Fell>,
}

/// What was asked for in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The largest size that was wanted.
    pub most: Units,
    /// The same, and not less than was vouched for meanwhile: a lie vouches for nothing later.
    pub vouched: Units,
}

/// Demand that fell sharply out of its band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fell {
    pub at: Timestamp,
    /// It was a dip once demand is back here, in thousandths per second.
    pub back_at_milli: u64,
}

/// The slot that `at` lies in.
fn slot(at: Timestamp) -> Option<u32> {
    u32::try_from(at.0.div_euclid(SLOT_SECONDS)).ok()
}

impl Proven {
    /// The smallest size that the past vouches for at `at`, if any: what nobody wanted more than
    /// for the last 35 to 40 minutes; what is left at this time of day on each of three days of what
    /// there was before; or what was right between that and five hours ago, grown as it has since
    /// then on the last days.
    pub(crate) fn size(&self, at: Timestamp) -> Option<Units> {
        self.size_where(at, self.fell.is_some())
    }

    /// The same where demand is `doubted`, as after a sharp fall, or is not.
    pub(crate) fn size_where(&self, at: Timestamp, doubted: bool) -> Option<Units> {
        let now = slot(at)?;
        [self.lasted(now), self.usual(now), self.before(now, doubted)].into_iter().flatten().min()
    }

    /// When what is wanted now will have lasted long enough to be believed.
    pub(crate) fn believed_at(&self, at: Timestamp, wanted: Units) -> Timestamp {
        let now = slot(at).unwrap_or(0);
        let more = |number: &u32| self.slot(*number).is_some_and(|slot| slot.most > wanted);
        let last = (now.saturating_sub(BELIEVED_AFTER)..=now).rev().find(more).unwrap_or(now);
        Timestamp(i64::from(last + BELIEVED_AFTER + 1) * SLOT_SECONDS)
    }

    /// The slot of a number, where it is known.
    fn slot(&self, number: u32) -> Option<Slot> {
        let kept = number <= self.newest && self.newest - number < SLOTS_KEPT;
        *self.lately.get((number % SLOTS_KEPT) as usize).filter(|_| kept)?
    }

    /// The most that was wanted in `slots`.
    fn most(&self, slots: std::ops::RangeInclusive<u32>) -> Option<Units> {
        slots.filter_map(|number| self.slot(number)).map(|slot| slot.most).max()
    }

    /// The most that was wanted in the slots that make a size believed, where at most one of them
    /// is not known.
    fn lasted(&self, now: u32) -> Option<Units> {
        let slots = now.checked_sub(BELIEVED_AFTER)?..=now;
        let known = slots.clone().filter(|number| self.slot(*number).is_some()).count();
        self.most(slots).filter(|_| known >= BELIEVED_AFTER as usize)
    }

    /// The most of the hour before this half hour, times the largest part of it that was left on
    /// any of the last days.
    fn usual(&self, now: u32) -> Option<Units> {
        let half = now / SLOTS_PER_HALF;
        let begin = half * SLOTS_PER_HALF;
        let hour = self.most(begin.checked_sub(2 * SLOTS_PER_HALF)?..=begin - 1)?;
        let left = |day: u32| {
            let then = half.checked_sub(day * HALVES + 2)?;
            let before = self.half(then)?.max(self.half(then + 1)?);
            part(hour, self.half(then + 2)?, before)
        };
        let left: Option<Vec<Units>> = (1..=DAYS).map(left).collect();
        left?.into_iter().max()
    }

    /// The least of what was right before the slots that make a size believed, grown as on the
    /// middle one of the last days; while demand is doubted, as on the one that it grew most, and
    /// for the next half hour too.
    fn before(&self, now: u32, doubted: bool) -> Option<Units> {
        let old = now.saturating_sub(SLOTS_KEPT)..now.saturating_sub(BELIEVED_AFTER);
        let until = if doubted { now + SLOTS_PER_HALF } else { now };
        // Slots of one half hour have grown alike.
        let halves = old.start / SLOTS_PER_HALF..=old.end / SLOTS_PER_HALF;
        let grown = |half: u32| {
            let within = half * SLOTS_PER_HALF..(half + 1) * SLOTS_PER_HALF;
            let slots = within.filter(|number| old.contains(number));
            let least = slots.filter_map(|number| self.slot(number)).map(|s| s.vouched).min()?;
            let mut grown = self.growths(half, least, now..=until);
            grown.sort_unstable();
            // Days of which nothing is known come first.
            let known = &grown[grown.iter().take_while(|size| size.is_none()).count()..];
            let at = if doubted { known.len().checked_sub(1)? } else { known.len() / 2 };
            *known.get(at)?
        };
        halves.filter_map(grown).min()
    }

    /// What `size` would have become from the half hour `then` to the most of the slots at the ends
    /// of `now`, as it grew on each of the last days.
    fn growths(
        &self,
        then: u32,
        size: Units,
        now: std::ops::RangeInclusive<u32>,
    ) -> [Option<Units>; DAYS as usize] {
        let [first, last] = [*now.start(), *now.end()].map(|slot| slot / SLOTS_PER_HALF);
        let grown = |day: u32| {
            let back = |half: u32| half.checked_sub(day * HALVES).and_then(|half| self.half(half));
            let (before, after) = back(then).zip(back(first).max(back(last)))?;
            part(size, after.max(before), before)
        };
        std::array::from_fn(|day| grown(day as u32 + 1))
    }

    /// What would be wanted at `at`, had demand gone on as on each of the last days: for a time in
    /// which it cannot be believed.
    pub(crate) fn expected(&self, at: Timestamp) -> Option<Units> {
        let now = slot(at)?;
        // Of hours ago nothing is carried on.
        let newest = Some(self.newest).filter(|newest| now.saturating_sub(*newest) < SLOTS_KEPT)?;
        // On each of the days, so that one that rose alone orders nothing.
        let least = |number: u32| {
            let most = self.slot(number)?.most;
            let grown = self.growths(number / SLOTS_PER_HALF, most, now..=now + SLOTS_PER_HALF);
            // A day of which nothing is known is the least.
            grown.into_iter().min()?
        };
        (newest.saturating_sub(EXPECTED_FROM - 1)..=newest).filter_map(least).max()
    }

    /// The largest size of a half hour, by its number since 1970.
    fn half(&self, number: u32) -> Option<Units> {
        *self.days.get((number % HALVES_KEPT) as usize)?
    }

    /// Notes that demand fell, or that a fall is over: it was a dip, or has lasted. `settled_milli`
    /// is what demand is now.
    pub(crate) fn note_fall(&mut self, at: Timestamp, fall: Option<Fell>, settled_milli: u64) {
        let over = |fell: &Fell| {
            settled_milli >= fell.back_at_milli || at.since(fell.at) >= FALL_BELIEVED_AFTER
        };
        self.fell = fall.or(self.fell).filter(|fell| !over(fell));
    }

    /// Notes what is wanted at `at`, when `size` was vouched for ([`Proven::size`]).
    pub(crate) fn record(&mut self, at: Timestamp, wanted: Units, size: Option<Units>) {
        let Some(now) = slot(at).filter(|now| *now >= self.newest) else { return };
        let vouched = size.map_or(wanted, |size| size.max(wanted));
        let mut entry = Slot { most: wanted, vouched };
        let before = self.slot(self.newest);
        self.lately.resize(SLOTS_KEPT as usize, None);
        self.days.resize(HALVES_KEPT as usize, None);
        let silence = now - self.newest;
        if let Some(before) = before.filter(|_| silence <= SILENCE_MAX) {
            let most = before.most.max(wanted);
            let between = Slot { most, vouched: before.vouched.max(vouched) };
            (self.newest + 1..now).for_each(|slot| self.put(slot, Some(between)));
            if silence == 0 {
                entry = between;
            }
        } else {
            // What nobody saw is not what was there a ring before.
            (self.newest + 1..now).rev().take(SLOTS_KEPT as usize).for_each(|n| self.put(n, None));
        }
        self.put(now, Some(entry));
        self.put_half(now / SLOTS_PER_HALF, wanted);
        self.newest = now;
    }

    fn put(&mut self, number: u32, slot: Option<Slot>) {
        self.lately[(number % SLOTS_KEPT) as usize] = slot;
    }

    fn put_half(&mut self, half: u32, wanted: Units) {
        let known = self.newest / SLOTS_PER_HALF;
        for unseen in (known + 1..=half).rev().take(HALVES_KEPT as usize) {
            self.days[(unseen % HALVES_KEPT) as usize] = None;
        }
        let kept = &mut self.days[(half % HALVES_KEPT) as usize];
        *kept = (*kept).max(Some(wanted));
    }
}

/// `of` times `now` over `before`, rounded up; `None` where there was nothing before.
fn part(of: Units, now: Units, before: Units) -> Option<Units> {
    let exact = u64::from(of.0) * u64::from(now.0);
    let part = exact.div_ceil(u64::from(before.0).max(1));
    (before.0 > 0 || now.0 == 0).then(|| Units(u32::try_from(part).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_772_409_600);

    fn minutes(n: u64) -> Timestamp {
        START + Seconds::minutes(n)
    }

    fn note(proven: &mut Proven, minute: u64, wanted: u32) {
        let size = proven.size(minutes(minute));
        proven.record(minutes(minute), Units(wanted), size);
    }

    /// Recorded minute by minute.
    fn past(from: u64, until: u64, wanted: impl Fn(u64) -> u32) -> Proven {
        let mut proven = Proven::default();
        (from..until).for_each(|n| note(&mut proven, n, wanted(n)));
        proven
    }

    #[test]
    fn what_has_lasted_for_forty_minutes_is_believed_and_nothing_sooner() {
        let fell = |until| past(0, until, |n| if n < 120 { 20 } else { 8 });
        assert_eq!(fell(120 + 30).size(minutes(150)), Some(Units(20)));
        assert_eq!(fell(120 + 40).size(minutes(160)), Some(Units(8)));
        let believed_at = fell(121).believed_at(minutes(121), Units(8));
        assert_eq!(believed_at, minutes(155));
    }

    #[test]
    fn nothing_is_vouched_for_by_a_past_with_gaps() {
        assert_eq!(past(0, 30, |_| 8).size(minutes(30)), None);
        let mut gap = past(0, 100, |_| 8);
        note(&mut gap, 130, 8);
        assert_eq!(gap.size(minutes(130)), None);
        // Samples every ten minutes leave none.
        let mut seldom = Proven::default();
        (0..12).for_each(|n| note(&mut seldom, n * 10, 8));
        assert_eq!(seldom.size(minutes(110)), Some(Units(8)));
    }

    #[test]
    fn an_evening_is_believed_once_it_fell_alike_on_three_days() {
        let evening = |n: u64| if n % 1440 < 1080 { 20 } else { 8 };
        let days = |days: u64| past(0, days * 1440 + 1080, evening);
        let at = |days: u64| minutes(days * 1440 + 1080);
        assert_eq!(days(3).size(at(3)), Some(Units(8)));
        assert_eq!(days(2).size(at(2)), Some(Units(20)));
        // One evening without a fall, and it waits.
        let busy = past(0, 3 * 1440 + 1080, |n| if n / 1440 == 1 { 20 } else { evening(n) });
        assert_eq!(busy.size(at(3)), Some(Units(20)));
    }

    #[test]
    fn a_burst_gives_back_what_it_took_and_a_morning_does_not_go_back_to_the_night() {
        let burst = |n: u64| if (5000..5030).contains(&n) { 60 } else { 8 };
        assert_eq!(past(0, 5030, burst).size(minutes(5030)), Some(Units(8)));
        let morning = |n: u64| if n % 1440 < 480 { 5 } else { 20 };
        let grown = past(0, 3 * 1440 + 540, morning);
        assert_eq!(grown.size(minutes(3 * 1440 + 540)), Some(Units(20)));
    }

    #[test]
    fn a_lie_vouches_for_nothing_later() {
        let lied = past(0, 5160, |n| if (5000..5030).contains(&n) { 5 } else { 20 });
        assert_eq!(lied.size(minutes(5160)), Some(Units(20)));
    }

    #[test]
    fn while_demand_cannot_be_believed_it_is_expected_to_rise_as_on_former_days() {
        let rising = |n: u64| 10 + (n % 1440 / 30) as u32;
        let until = 3 * 1440 + 600;
        let known = past(0, until, rising);
        let expected = known.expected(minutes(until + 60)).unwrap();
        assert!((Units(32)..=Units(34)).contains(&expected), "{expected}");
        // One of three days that does not rise is enough to order nothing.
        let flat = past(0, until, |n| if n / 1440 == 1 { 10 } else { rising(n) });
        assert_eq!(flat.expected(minutes(until + 60)), Some(Units(29)));
        assert_eq!(known.expected(minutes(until + 300)), None);
    }
}
