//! Sizes that a service's own past vouches for: down to them, removals need no budget.
//!
//! A budget of removals bounds what a lie of the metrics can do, and takes hours for a fall that
//! comes every evening. A daily fall is told from an accident by what the service wanted before: for
//! longer than an accident usually lasts, at this time of the last days, or not long ago.

use std::num::NonZeroU32;
use std::ops::Range;

use fleet::{Seconds, Timestamp, Units};
use serde::{Deserialize, Serialize};

use crate::Milli;
use crate::ring::Ring;

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
    /// The slots of the last five hours.
    pub lately: Ring<Slot, { SLOTS_KEPT as usize }>,
    /// The largest size of each half hour of the last four days.
    pub days: Ring<Size, { HALVES_KEPT as usize }>,
    /// Units of the newest order that no budget was asked for.
    pub unbudgeted: Units,
    /// A sharp fall of demand that time has not told from an accident yet.
    pub fell: Option<Fell>,
}

/// What was asked for in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The largest size that was wanted.
    pub most: Size,
    /// The same, and not less than was vouched for meanwhile: a lie vouches for nothing later.
    pub vouched: Size,
}

/// A size that takes no more room where it may be unknown: a fleet's rings are copied every cycle.
///
/// ```
/// use fleet::Units;
/// use planner::memory::Size;
///
/// assert_eq!(Units::from(Size::from(Units(12))), Units(12));
/// assert_eq!(size_of::<Option<Size>>(), size_of::<Units>());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Units", into = "Units")]
pub struct Size(
    /// One more than the size, which is less than the largest number.
    NonZeroU32,
);

impl From<Units> for Size {
    fn from(units: Units) -> Size {
        Size(NonZeroU32::MIN.saturating_add(units.0))
    }
}

impl From<Size> for Units {
    fn from(size: Size) -> Units {
        Units(size.0.get() - 1)
    }
}

/// Demand that fell sharply out of its band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fell {
    pub at: Timestamp,
    /// It was a dip once demand is back here, in thousandths per second.
    pub back_at_milli: Milli,
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
        let more =
            |number: &u32| self.slot(*number).is_some_and(|slot| Units::from(slot.most) > wanted);
        let last = (now.saturating_sub(BELIEVED_AFTER)..=now).rev().find(more).unwrap_or(now);
        Timestamp(i64::from(last + BELIEVED_AFTER + 1) * SLOT_SECONDS)
    }

    /// Whether its newest slot lies beyond the one that follows `at`: no clock that is right has been
    /// there.
    pub(crate) fn is_later_than(&self, at: Timestamp) -> bool {
        slot(at).is_none_or(|now| self.newest > now + 1)
    }

    /// Forgets what vouches for sizes; a fall that is doubted stays so.
    pub(crate) fn forget(&mut self) {
        let Proven { newest: _, lately: _, days: _, unbudgeted, fell } = *self;
        *self = Proven { unbudgeted, fell, ..Proven::default() };
    }

    /// The slot of a number, where it is known.
    fn slot(&self, number: u32) -> Option<Slot> {
        self.slots(number..number.saturating_add(1)).next()
    }

    /// The slots of `numbers` that are known, in their order.
    fn slots(&self, numbers: Range<u32>) -> impl Iterator<Item = Slot> {
        let kept = self.newest.saturating_sub(SLOTS_KEPT - 1)..self.newest.saturating_add(1);
        self.lately.range(numbers.start.max(kept.start)..numbers.end.min(kept.end)).flatten()
    }

    /// The most that was wanted in `slots`, and how many of them are known.
    fn most(&self, slots: Range<u32>) -> Option<(Units, u32)> {
        let known = self.slots(slots).map(|slot| slot.most);
        let of_two = |(a, n): (Size, u32), (b, m): (Size, u32)| (a.max(b), n + m);
        known.map(|most| (most, 1)).reduce(of_two).map(|(most, known)| (most.into(), known))
    }

    /// The most that was wanted in the slots that make a size believed, where at most one of them
    /// is not known.
    fn lasted(&self, now: u32) -> Option<Units> {
        let (most, known) = self.most(now.checked_sub(BELIEVED_AFTER)?..now + 1)?;
        (known >= BELIEVED_AFTER).then_some(most)
    }

    /// What is usually left at this time of day; see [`Proven::size`].
    pub(crate) fn usual_at(&self, at: Timestamp) -> Option<Units> {
        self.usual(slot(at)?)
    }

    /// The most of the hour before this half hour, times the largest part of it that was left on
    /// any of the last days.
    fn usual(&self, now: u32) -> Option<Units> {
        let half = now / SLOTS_PER_HALF;
        let begin = half * SLOTS_PER_HALF;
        let (hour, _) = self.most(begin.checked_sub(2 * SLOTS_PER_HALF)?..begin)?;
        let left = |day: u32| {
            let then = half.checked_sub(day * HALVES + 2)?;
            let before = self.half(then)?.max(self.half(then + 1)?);
            part(hour, self.half(then + 2)?, before)
        };
        // Of every one of the days.
        (1..=DAYS).try_fold(Units(0), |most, day| left(day).map(|left| most.max(left)))
    }

    /// The least of what was right before the slots that make a size believed, grown as on the
    /// middle one of the last days; while demand is doubted, as on the one that it grew most, and
    /// for the next half hour too.
    fn before(&self, now: u32, doubted: bool) -> Option<Units> {
        let old = now.saturating_sub(SLOTS_KEPT)..now.saturating_sub(BELIEVED_AFTER);
        let until = if doubted { now + SLOTS_PER_HALF } else { now };
        let after = self.on_former_days([now, until].map(|slot| slot / SLOTS_PER_HALF));
        let mut least = None;
        let mut begin = old.start;
        while begin < old.end {
            // Slots of one half hour have grown alike.
            let half = begin / SLOTS_PER_HALF;
            let end = old.end.min((half + 1) * SLOTS_PER_HALF);
            let vouched = self.slots(begin..end).map(|slot| slot.vouched).min().map(Units::from);
            begin = end;
            // What does not shrink needs no comparison with what is less already.
            let less = |size: &Units| least.is_none_or(|least| *size < least);
            let Some(size) = vouched.filter(less) else { continue };
            let mut grown = self.growths(half, size, after);
            grown.sort_unstable();
            // Days of which nothing is known come first.
            let known = &grown[grown.iter().take_while(|size| size.is_none()).count()..];
            let at = if doubted { known.len().checked_sub(1) } else { Some(known.len() / 2) };
            least = at.and_then(|at| *known.get(at)?).filter(less).or(least);
        }
        least
    }

    /// The most of two half hours, on each of the last days.
    fn on_former_days(&self, halves: [u32; 2]) -> [Option<Units>; DAYS as usize] {
        let back = |half: u32, day: u32| self.half(half.checked_sub(day * HALVES)?);
        std::array::from_fn(|day| {
            let [first, last] = halves.map(|half| back(half, day as u32 + 1));
            first.max(last)
        })
    }

    /// What `size` would have become from the half hour `then` to a later one, as it grew `after`
    /// that on each of the last days.
    fn growths(
        &self,
        then: u32,
        size: Units,
        after: [Option<Units>; DAYS as usize],
    ) -> [Option<Units>; DAYS as usize] {
        let before = self.on_former_days([then, then]);
        std::array::from_fn(|day| {
            let (before, after) = before[day].zip(after[day])?;
            // Where nothing ran, before or after, nothing grew.
            let idle = (before.max(after) == Units(0)).then_some(size);
            part(size, after.max(before), before).or(idle)
        })
    }

    /// What would be wanted at `at`, had demand gone on as on each of the last days: for a time in
    /// which it cannot be believed.
    pub(crate) fn expected(&self, at: Timestamp) -> Option<Units> {
        let now = slot(at)?;
        // Of hours ago nothing is carried on.
        let newest = Some(self.newest).filter(|newest| now.saturating_sub(*newest) < SLOTS_KEPT)?;
        let after = self.on_former_days([now, now + SLOTS_PER_HALF].map(|n| n / SLOTS_PER_HALF));
        // On each of the days, so that one that rose alone orders nothing.
        let least = |number: u32| {
            let most = self.slot(number)?.most.into();
            let grown = self.growths(number / SLOTS_PER_HALF, most, after);
            // A day of which nothing is known is the least.
            grown.into_iter().min()?
        };
        (newest.saturating_sub(EXPECTED_FROM - 1)..=newest).filter_map(least).max()
    }

    /// The largest size of a half hour, by its number since 1970.
    fn half(&self, number: u32) -> Option<Units> {
        self.days.get(number).map(Units::from)
    }

    /// Notes that demand fell, or that a fall is over: it was a dip, or has lasted. `settled_milli`
    /// is what demand is now.
    pub(crate) fn note_fall(&mut self, at: Timestamp, fall: Option<Fell>, settled_milli: Milli) {
        let over = |fell: &Fell| {
            settled_milli >= fell.back_at_milli || at.since(fell.at) >= FALL_BELIEVED_AFTER
        };
        self.fell = fall.or(self.fell).filter(|fell| !over(fell));
    }

    /// Notes what is wanted at `at`, when `size` was vouched for ([`Proven::size`]).
    pub(crate) fn record(&mut self, at: Timestamp, wanted: Units, size: Option<Units>) {
        let Some(now) = slot(at).filter(|now| *now >= self.newest) else { return };
        let vouched = size.map_or(wanted, |size| size.max(wanted)).into();
        let wanted = Size::from(wanted);
        let mut entry = Slot { most: wanted, vouched };
        let before = self.slot(self.newest);
        let silence = now - self.newest;
        if let Some(before) = before.filter(|_| silence <= SILENCE_MAX) {
            let most = before.most.max(wanted);
            let between = Slot { most, vouched: before.vouched.max(vouched) };
            (self.newest + 1..now).for_each(|slot| self.lately.put(slot, Some(between)));
            if silence == 0 {
                entry = between;
            }
        } else {
            // What nobody saw is not what was there a ring before.
            (self.newest + 1..now)
                .rev()
                .take(SLOTS_KEPT as usize)
                .for_each(|n| self.lately.put(n, None));
        }
        self.lately.put(now, Some(entry));
        self.put_half(now / SLOTS_PER_HALF, wanted);
        self.newest = now;
    }

    fn put_half(&mut self, half: u32, wanted: Size) {
        let known = self.newest / SLOTS_PER_HALF;
        for unseen in (known + 1..=half).rev().take(HALVES_KEPT as usize) {
            self.days.put(unseen, None);
        }
        self.days.put(half, self.days.get(half).max(Some(wanted)));
    }
}

/// `of` times `now` over `before`, rounded up; `None` where there was nothing before that it could be
/// a part of.
fn part(of: Units, now: Units, before: Units) -> Option<Units> {
    let exact = u64::from(of.0) * u64::from(now.0);
    let part = exact.div_ceil(u64::from(before.0).max(1));
    (before.0 > 0).then(|| Units(u32::try_from(part).unwrap_or(u32::MAX)))
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
    fn hours_in_which_nothing_ran_say_nothing_of_one_in_which_something_does() {
        // It was woken six hours ago, on the fourth day or later on.
        for idle_until in [4320, 4320 + 1080, 4320 + 300] {
            let woken = |n: u64| if n < idle_until { 0 } else { 20 };
            let until = idle_until + 360;
            assert_eq!(past(0, until, woken).size(minutes(until)), Some(Units(20)), "{idle_until}");
        }
        // A burst out of nothing goes back to nothing, as any other.
        let burst = |n: u64| if (5000..5030).contains(&n) { 20 } else { 0 };
        assert_eq!(past(0, 5030, burst).size(minutes(5030)), Some(Units(0)));
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
