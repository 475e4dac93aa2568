//! What makes demand doubtful though it arrives: utilisation that does not fall with it.
//!
//! What units were busy with is measured apart from demand. Where demand falls and that does not,
//! one of the two is wrong: a metric that is absent and taken for zero, targets that are no longer
//! scraped, a unit that changed, a sensor that is stuck. Which one it is nobody can tell, so no size
//! follows from it that makes units busier than they were when the two agreed.

use fleet::{Seconds, Timestamp, Units};
use serde::{Deserialize, Serialize};

use crate::Milli;
use crate::memory::ServiceMemory;
use crate::numbers::{milli, sane};
use crate::plan::Hold;
use crate::snapshot::{GroupView, Observation};

/// A fall of demand by less than this part of it, in percent, is not compared: noise is as large.
const FALL_PERCENT: u64 = 20;
/// Utilisation falls by this part of the fall of a unit's demand at least, in percent. The rest is what
/// units do without any demand.
const FOLLOWS_PERCENT: u64 = 40;
/// Once they disagree it is this part: what demand truly loses meanwhile, utilisation loses too.
const FOLLOWS_AGAIN_PERCENT: u64 = 75;
/// Demand that gains so much of what it is from one interval to the next, in percent, comes back.
const BACK_PERCENT: u64 = 30;
/// Below this utilisation, in thousandths, a sensor says nothing.
const SAYS_MILLI: u64 = 50;
/// The highest demand of this span and of the one before is what later demand is compared with.
const SPAN: Seconds = Seconds::hours(12);
/// What is measured while demand is near its highest moves what is known of it by one part in so many.
const NEWS: i128 = 8;
/// Where the two have disagreed for so long in all, utilisation follows something else than demand.
const ACCEPTED_AFTER: Seconds = Seconds::days(1);
/// One unit in so many may come or go while utilisation is measured.
const STEADY_PART: u64 = 20;
/// Both are seen to have fallen so long before or after demand is seen to have fallen.
const SEEN_WITHIN: Seconds = Seconds::minutes(15);
/// A disagreement that nothing confirms for so long is over: utilisation is not measured any more.
const UNCONFIRMED_AFTER: Seconds = Seconds::hours(1);

/// What a service remembers of doubts in its demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Falls of others up to then hold the service no more: its own demand came back, somebody
    /// acknowledged its fall, or the new level has lasted.
    pub settled_at: Option<Timestamp>,
    /// While demand is out of its band: that of the newest three intervals, in thousandths per second.
    pub fallen_milli: Option<[Milli; 3]>,
    /// What utilisation says of demand.
    pub witness: Witness,
}

/// What utilisation says of demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// The newest interval in which both were measured.
    pub compared: Option<Timestamp>,
    /// Demand lately.
    pub lately: Option<Work>,
    /// The newest interval in which both fell at once.
    pub together: Option<Timestamp>,
    /// The highest demand of a unit since `since`.
    pub now: Option<Work>,
    /// The same of the span before.
    pub before: Option<Work>,
    pub since: Timestamp,
    /// Demand has fallen and utilisation has not.
    pub against: Option<Against>,
    /// For how long the two have disagreed, less how long they have fallen together.
    pub disagreed: Seconds,
}

/// Demand, and how busy it kept units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// In thousandths per second.
    pub demand_milli: Milli,
    /// The same of each unit.
    pub each_milli: Milli,
    /// How busy each of them was, in thousandths.
    pub utilisation_milli: u64,
}

/// A disagreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    pub since: Timestamp,
    /// The most that units were busy with since then.
    pub busy_milli: u64,
    /// Demand of the newest interval, in thousandths per second.
    pub demand_milli: Milli,
    /// What it is compared with.
    pub with: Work,
}

/// How an interval's demand and utilisation compare with those of a higher demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Demand is not less by enough to tell.
    Near,
    /// Both fell.
    Together,
    /// Demand alone fell.
    Apart,
}

impl Work {
    /// `follows` is the part of the fall of a unit's demand that its utilisation must have lost, in
    /// percent.
    fn compare(&self, now: &Work, follows: u64) -> Verdict {
        let (before, after) = (self.each_milli.get(), now.each_milli.get());
        let lost = before - after;
        if lost <= 0.0 || lost * 100.0 < before * FALL_PERCENT as f64 {
            return Verdict::Near;
        }
        let (busy, less) = (self.utilisation_milli, now.utilisation_milli);
        let less = busy.saturating_sub(less) as f64;
        let follows = follows as f64 * lost * busy as f64;
        if less * before * 100.0 >= follows { Verdict::Together } else { Verdict::Apart }
    }

    /// Whether `now` is a demand that is less by so much that it could be told.
    fn is_above(&self, now: &Work) -> bool {
        let kept = self.demand_milli.get() * (100 - FALL_PERCENT) as f64;
        now.demand_milli.get() * 100.0 < kept
    }

    /// Moves to what was measured now, slowly.
    fn follow(&mut self, now: &Work) {
        if self.outdoes(now) {
            return;
        }
        let milli = |known: Milli, now: Milli| {
            Milli::nearest(known.get() + (now.get() - known.get()) / NEWS as f64)
        };
        self.demand_milli = milli(self.demand_milli, now.demand_milli);
        self.each_milli = milli(self.each_milli, now.each_milli);
        self.utilisation_milli = nearer(self.utilisation_milli, now.utilisation_milli);
    }

    /// Takes in what was measured at a demand that is as high, or nearly.
    fn learn(&mut self, now: &Work) {
        if self.outdoes(now) {
            return;
        }
        let each = self.each_milli.max(now.each_milli);
        let scaled = |work: &Work| {
            let of_each = work.each_milli.get().max(f64::MIN_POSITIVE);
            (work.utilisation_milli as f64 * each.get() / of_each).min(1e9) as u64
        };
        self.utilisation_milli = nearer(scaled(self), scaled(now));
        self.each_milli = each;
        self.demand_milli = self.demand_milli.max(now.demand_milli);
    }

    /// Whether so much more demand would keep a unit so little busier that it is none.
    fn outdoes(&self, now: &Work) -> bool {
        let of = |each: Milli, busy: u64| each.get() * busy as f64;
        let known = of(now.each_milli, self.utilisation_milli);
        of(self.each_milli, now.utilisation_milli) * 100.0 < known * FOLLOWS_PERCENT as f64
    }
}

/// A part of the way from what is known to what was measured.
fn nearer(known: u64, measured: u64) -> u64 {
    let by = (i128::from(measured) - i128::from(known)) / NEWS;
    u64::try_from(i128::from(known) + by).unwrap_or(0)
}

impl Witness {
    /// What demand is compared with.
    fn highest(&self) -> Option<&Work> {
        self.now.iter().chain(&self.before).max_by_key(|work| work.each_milli)
    }

    /// Whether demand that fell, as was seen at `since`, fell together with utilisation.
    pub(crate) fn confirms(&self, since: Timestamp) -> bool {
        let lately = |at: Timestamp| at + SEEN_WITHIN >= since;
        self.against.is_none() && self.together.is_some_and(lately)
    }

    /// Forgets what demand is compared with: somebody vouches for what it is now.
    pub(crate) fn acknowledge(&mut self) {
        *self = Witness { compared: self.compared, since: self.since, ..Witness::default() };
    }

    /// Takes in an interval, in which `busy_milli` thousandths of units were busy.
    fn take(&mut self, start: Timestamp, step: Seconds, now: Work, busy_milli: u64) {
        self.compared = Some(start);
        // Demand that comes back at once is judged as if nothing had been.
        let still = |against: &Against| {
            let back = now.demand_milli.get() * (100 - BACK_PERCENT) as f64;
            back < against.demand_milli.get() * 100.0
        };
        let doubted = self.against.as_ref().is_some_and(still);
        let follows = if doubted { FOLLOWS_AGAIN_PERCENT } else { FOLLOWS_PERCENT };
        let measures = [self.lately, self.highest().copied()];
        let [lately, highest] =
            measures.map(|with| with.map_or(Verdict::Near, |with| with.compare(&now, follows)));
        // Of what is contradicted by both, the less busy one keeps more.
        let apart = [lately, highest]
            .into_iter()
            .zip(measures)
            .filter_map(|(verdict, with)| with.filter(|_| verdict == Verdict::Apart))
            .min_by_key(|with| with.utilisation_milli);
        // Fewer units do not bring demand back.
        let gone = |against: &Against| against.with.is_above(&now).then_some(against.with);
        let near = doubted && (lately, highest) == (Verdict::Near, Verdict::Near);
        let apart = apart.or_else(|| self.against.as_ref().filter(|_| near).and_then(gone));
        if let Some(with) = apart {
            self.disagree(start, step, now.demand_milli, busy_milli, with);
            return;
        }
        self.against = None;
        if highest == Verdict::Together {
            self.disagreed = Seconds(self.disagreed.0.saturating_sub(step.0));
        }
        if lately == Verdict::Together {
            (self.lately, self.together) = (Some(now), Some(start));
        }
        match &mut self.lately {
            Some(lately) => lately.follow(&now),
            None => self.lately = Some(now),
        }
        if start.since(self.since) >= SPAN && self.now.is_some() {
            (self.before, self.now) = (self.now.take(), None);
        }
        match &mut self.now {
            Some(known) if known.compare(&now, FOLLOWS_PERCENT) == Verdict::Near => {
                known.learn(&now)
            }
            Some(_) => {}
            None => (self.now, self.since) = (Some(now), start),
        }
    }

    fn disagree(
        &mut self,
        start: Timestamp,
        step: Seconds,
        demand_milli: Milli,
        busy_milli: u64,
        with: Work,
    ) {
        self.disagreed = self.disagreed + step;
        // Demand of nothing at all is never accepted while units work.
        if self.disagreed >= ACCEPTED_AFTER && demand_milli > Milli::ZERO {
            let Witness { compared, disagreed, .. } = *self;
            *self = Witness { compared, disagreed, since: start, ..Witness::default() };
            return;
        }
        let new = Against { since: start, busy_milli, demand_milli, with };
        let before = self.against.unwrap_or(new);
        let busy_milli = before.busy_milli.max(busy_milli);
        self.against = Some(Against { busy_milli, demand_milli, ..before });
    }
}

/// Compares the newest settled interval's demand with what utilisation says.
pub(crate) fn follow(
    at: Timestamp,
    view: &GroupView,
    seen: &Observation,
    memory: &mut ServiceMemory,
) {
    let witness = &memory.doubt.witness;
    let (demand, step) = (&seen.demand, seen.demand.step.span());
    let silent = witness.compared.is_none_or(|last| at.since(last) >= UNCONFIRMED_AFTER);
    let over = silent && witness.against.is_some();
    let new = demand.settled.filter(|point| witness.compared.is_none_or(|at| point.start > at));
    let measured = new.zip(demand.utilisation).filter(|_| demand.missing.fraction() == 0.0);
    let work = measured.and_then(|(point, utilisation)| {
        let units = u64::from(steady(point.start, view, memory)?.0) * 1000;
        let utilisation_milli = (sane(utilisation)? * 1000.0).round() as u64;
        let demand_milli = milli(point.value)?;
        let busy = u128::from(units) * u128::from(utilisation_milli) / 1000;
        let each_milli = Milli::nearest(demand_milli.get() * 1000.0 / units.max(1) as f64);
        let work = Work { demand_milli, each_milli, utilisation_milli };
        // A sample that nothing confirms is no measure for later ones.
        let known = crate::growth::proven_milli(work.demand_milli, memory) == work.demand_milli;
        (known && units > 0).then_some((point.start, work, u64::try_from(busy).ok()?))
    });
    let witness = &mut memory.doubt.witness;
    if over {
        witness.against = None;
    }
    if let Some((start, work, busy_milli)) = work {
        witness.take(start, step, work, busy_milli);
    }
}

/// Units in service from `start` until now, if hardly any came or went: a change that is seen now may
/// have been at any time since the look before.
fn steady(start: Timestamp, view: &GroupView, memory: &ServiceMemory) -> Option<Units> {
    let log = &memory.in_service;
    let since = log.entries.iter().filter(|(at, _)| *at > start).map(|(_, units)| *units);
    let all = || log.at(start).into_iter().chain(since.clone());
    let fresh = log.entries.len() <= 1 && view.pending == Units(0);
    let first = log.at(start).or(fresh.then_some(view.in_service))?;
    let (least, most) = (all().min().unwrap_or(first), all().max().unwrap_or(first));
    (u64::from(most.0 - least.0) * STEADY_PART <= u64::from(most.0)).then_some(view.in_service)
}

/// Down to which size demand may be believed although utilisation contradicts it, and why no
/// further; `None` where it does not.
pub(crate) fn limit(memory: &ServiceMemory) -> Option<(Units, Hold)> {
    let Doubt { witness, .. } = &memory.doubt;
    let Against { since, busy_milli, demand_milli, with } = witness.against?;
    if with.utilisation_milli < SAYS_MILLI {
        return None;
    }
    // As many units as keep each no busier than when the two agreed.
    let units = busy_milli.div_ceil(with.utilisation_milli);
    let hold = Hold::Disagree { since, demand_milli, with_milli: with.demand_milli };
    Some((Units(u32::try_from(units).unwrap_or(u32::MAX)), hold))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Seconds = Seconds(60);

    /// Demand per second and how busy each of `units` is, minute by minute.
    fn after(minutes: impl IntoIterator<Item = (u64, u64, f64)>) -> ServiceMemory {
        let mut memory = ServiceMemory::default();
        for (minute, (demand, units, utilisation)) in minutes.into_iter().enumerate() {
            let work = Work {
                demand_milli: Milli::whole(demand * 1000),
                each_milli: Milli::whole(demand * 1000 / units),
                utilisation_milli: (utilisation * 1000.0) as u64,
            };
            let busy_milli = (units as f64 * utilisation * 1000.0) as u64;
            memory.doubt.witness.take(Timestamp(minute as i64 * 60), STEP, work, busy_milli);
        }
        memory
    }

    fn units(memory: &ServiceMemory) -> Option<u32> {
        limit(memory).map(|(units, _)| units.0)
    }

    fn steady(minutes: usize) -> impl Iterator<Item = (u64, u64, f64)> {
        std::iter::repeat_n((900, 24, 0.65), minutes)
    }

    #[test]
    fn demand_that_falls_alone_takes_no_unit_that_works() {
        let mild = after(steady(60).chain([(700, 24, 0.65); 30]));
        assert_eq!(units(&mild), Some(24));
        for lie in [0, 9, 90, 450] {
            let lied = after(steady(60).chain([(lie, 24, 0.65); 30]));
            assert_eq!(units(&lied), Some(24), "{lie}");
            // What is left of the fleet works as hard, whatever the sensor says later.
            let stuck = after(steady(60).chain([(lie, 24, 0.65); 3]).chain([(lie, 20, 0.65); 30]));
            assert_eq!(units(&stuck), Some(24), "{lie}");
        }
        assert_eq!(units(&after(steady(60).chain([(800, 24, 0.65); 30]))), None, "noise");
    }

    #[test]
    fn a_fall_that_utilisation_shows_is_one() {
        for share in [0.1, 0.3, 0.5, 0.75] {
            for idle in [0.0, 0.1, 0.3] {
                let demand = (900.0 * share) as u64;
                let busy = idle + (0.65 - idle) * share;
                let fell = after(steady(60).chain([(demand, 24, busy); 30]));
                assert_eq!(units(&fell), None, "{share} {idle}");
                assert!(fell.doubt.witness.confirms(Timestamp(61 * 60)));
            }
        }
    }

    #[test]
    fn the_doubt_ends_with_the_lie_and_after_a_day() {
        let lied = || steady(60).chain([(300, 24, 0.65); 90]);
        assert_eq!(units(&after(lied().chain([(900, 24, 0.65)]))), None);
        let days =
            |hours: usize| steady(60).chain(std::iter::repeat_n((300, 24, 0.65), hours * 60));
        assert_eq!(units(&after(days(23))), Some(24));
        assert_eq!(units(&after(days(25))), None);
        // Nothing at all is never a level.
        let absent = steady(60).chain(std::iter::repeat_n((0, 24, 0.65), 3000));
        assert_eq!(units(&after(absent)), Some(24));
    }

    #[test]
    fn a_sensor_that_follows_something_else_holds_no_night_for_ever() {
        let day = |minute: usize| if minute % 1440 < 720 { (900, 24, 0.6) } else { (200, 24, 0.6) };
        let nights = |days: usize| after((0..days * 1440 - 60).map(day));
        assert_eq!(units(&nights(1)), Some(24));
        assert_eq!(units(&nights(5)), None);
    }

    #[test]
    fn dearer_requests_and_absurd_samples_do_not_hold_for_long() {
        // Twice as dear from one deployment on: the next evening is one.
        let dear = steady(600).chain([(900, 24, 0.95); 120]).chain([(300, 24, 0.4); 30]);
        assert_eq!(units(&after(dear)), None);
        let absurd = steady(60).chain([(900_000, 24, 0.65); 2]).chain(steady(10));
        assert_eq!(units(&after(absurd)), None);
    }
}
