//! A memory made fit for a clock that was set.
//!
//! Where it was set back, what was noted at a time that is still to come would else last until that time is there: a
//! budget would not drain, a hold would not end, newer samples would count as older. Each such time
//! becomes one that takes nothing away: what restrains begins now and lasts for its usual length,
//! what permits is forgotten. Where it was set ahead, what restrains has lasted no longer for that.

use fleet::{Seconds, Timestamp};

use crate::growth::Growth;
use crate::memory::{
    Bucket, ChangeLog, Count, Doubt, FleetMemory, Memory, Orders, Proven, ServiceMemory,
    ViolationAccount, Witness,
};
use crate::stage::{StageMemory, Stages};

/// Somebody else's change is respected for an hour where nothing else is said, and seldom for longer
/// than this.
const LEASE: Seconds = Seconds::days(1);

/// The two clocks: when the memory was left, by the one that was ahead, and now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// When it was left.
    pub left: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// The memory that was `left` at a later time than `now`, as if all of it had been noted by now. One
/// that was not is given back as it is.
pub fn rewound(mut memory: Memory, left: Timestamp, now: Timestamp) -> Memory {
    let clocks = Clocks { left, now };
    let Memory { fleet, services, stages } = &mut memory;
    let FleetMemory { removals, accounts } = fleet;
    clocks.bucket(removals);
    accounts.values_mut().for_each(|bucket| clocks.bucket(bucket));
    services.values_mut().for_each(|memory| clocks.service(memory));
    let Stages { all, services, rules } = stages;
    let all = all.iter_mut().chain(services.values_mut()).chain(rules.values_mut());
    all.for_each(|stage| clocks.stage(stage));
    memory
}

/// The memory under a clock that was set ahead by `by` and shows `now`: no hold, budget or stage has
/// lasted any longer for that.
pub fn delayed(mut memory: Memory, by: Seconds, now: Timestamp) -> Memory {
    let later = |at: &mut Timestamp| *at = (*at + by).min(now.max(*at));
    let Memory { fleet, services, stages } = &mut memory;
    let buckets = fleet.accounts.values_mut().chain([&mut fleet.removals]);
    buckets.for_each(|bucket| later(&mut bucket.at));
    for service in services.values_mut() {
        later(&mut service.removals.at);
        let Orders { expected: _, open, changed_at, grew_at } = &mut service.orders;
        open.iter_mut().for_each(|open| later(&mut open.at));
        changed_at.iter_mut().chain(grew_at).for_each(later);
        // It ends as much later.
        service.lease.iter_mut().for_each(|lease| lease.until = lease.until + by);
        service.fall.iter_mut().for_each(|fall| later(&mut fall.since));
        service.dwell.iter_mut().for_each(|dwell| later(&mut dwell.since));
        service.proven.fell.iter_mut().for_each(|fell| later(&mut fell.at));
        let against = service.doubt.witness.against.iter_mut();
        against.for_each(|against| later(&mut against.since));
    }
    let Stages { all, services, rules } = stages;
    for stage in all.iter_mut().chain(services.values_mut()).chain(rules.values_mut()) {
        later(&mut stage.since);
        stage.shrank_at.iter_mut().for_each(later);
    }
    memory
}

impl Clocks {
    /// What has begun has begun by now.
    pub(crate) fn began(self, at: &mut Timestamp) {
        *at = self.now.min(*at);
    }

    /// Likewise, where it has begun at all.
    pub(crate) fn may_have_begun(self, at: &mut Option<Timestamp>) {
        at.iter_mut().for_each(|at| self.began(at));
    }

    /// What permits something and is still to come permits nothing.
    fn permits(self, at: &mut Option<Timestamp>) {
        *at = at.filter(|at| *at <= self.now);
    }

    /// What was to last for a while from when the memory was left lasts as long from now. What had
    /// ended by that clock may not have ended by this one: it lasts for its `usual` length at most.
    pub(crate) fn ends(self, at: &mut Timestamp, usual: Seconds) {
        let lasts = if *at > self.left { at.since(self.left) } else { usual };
        *at = (self.now + lasts).min(*at);
    }

    /// What was drawn was drawn by now: it has not drained meanwhile.
    fn bucket(self, bucket: &mut Bucket) {
        let Bucket { used_milli: _, at } = bucket;
        self.began(at);
    }

    fn stage(self, stage: &mut StageMemory) {
        let StageMemory { stage: _, since, why: _, shrank_at, regretted: _ } = stage;
        self.began(since);
        self.may_have_begun(shrank_at);
    }

    fn service(self, memory: &mut ServiceMemory) {
        let ServiceMemory {
            group: _,
            violations,
            calibration: _,
            in_service,
            ordered,
            removals,
            orders,
            lease,
            quality: _,
            bands,
            fall,
            capacity,
            lead_times: _,
            dwell,
            last_trusted: _,
            censored,
            proven,
            growth,
            doubt,
            serving: _,
        } = memory;
        self.violations(violations);
        self.changes(in_service);
        self.changes(ordered);
        self.bucket(removals);
        let Orders { expected: _, open, changed_at, grew_at } = orders;
        open.iter_mut().for_each(|open| self.began(&mut open.at));
        self.may_have_begun(changed_at);
        self.may_have_begun(grew_at);
        lease.iter_mut().for_each(|lease| self.ends(&mut lease.until, LEASE));
        // No interval that is over is compared with what was forecast for one that is to come.
        bands.retain(|band| band.origin <= self.now);
        fall.iter_mut().for_each(|fall| self.began(&mut fall.since));
        self.began(&mut capacity.at);
        dwell.iter_mut().for_each(|dwell| self.began(&mut dwell.since));
        censored.iter_mut().for_each(|censored| self.began(&mut censored.newest));
        self.proven(proven);
        self.growth(growth);
        self.doubt(doubt);
    }

    /// What was counted stays counted, in the newest quarter of a day.
    fn violations(self, account: &mut ViolationAccount) {
        let ViolationAccount { counted, quarters } = account;
        self.may_have_begun(counted);
        let newest = u32::try_from(self.now.0.div_euclid(crate::learn::QUARTER)).unwrap_or(0);
        let mut moved: Vec<(u32, Count)> = Vec::new();
        for (quarter, count) in quarters.drain(..) {
            let quarter = quarter.min(newest);
            match moved.last_mut().filter(|(last, _)| *last == quarter) {
                Some((_, known)) => {
                    known.intervals = known.intervals.saturating_add(count.intervals);
                    known.violations = known.violations.saturating_add(count.violations);
                }
                None => moved.push((quarter, count)),
            }
        }
        *quarters = moved;
    }

    /// The value that is in force is so by now.
    fn changes(self, log: &mut ChangeLog) {
        let ChangeLog { entries } = log;
        let Some((_, newest)) = entries.last().copied().filter(|(at, _)| *at > self.now) else {
            return;
        };
        entries.retain(|(at, _)| *at < self.now);
        entries.push((self.now, newest));
    }

    /// Sizes that were vouched for at another time of day vouch for none now: a budget is asked until
    /// the past is known again.
    fn proven(self, proven: &mut Proven) {
        if proven.is_later_than(self.now) {
            proven.forget();
        }
        if let Some(fell) = &mut proven.fell {
            self.began(&mut fell.at);
        }
    }

    fn growth(self, growth: &mut Growth) {
        let Growth { full, carries: _, highest, beyond, step: _, surplus: _ } = growth;
        full.iter_mut().for_each(|full| self.may_have_begun(&mut full.served_from));
        highest.iter_mut().for_each(|highest| self.began(&mut highest.since));
        *beyond = beyond.filter(|(at, _)| *at <= self.now);
    }

    /// Only what confirms a fall, or settled one, is forgotten.
    fn doubt(self, doubt: &mut Doubt) {
        let Doubt { settled_at, fallen_milli: _, witness } = doubt;
        self.permits(settled_at);
        let Witness {
            compared,
            lately: _,
            together,
            now: _,
            before: _,
            since,
            against,
            disagreed: _,
        } = witness;
        self.may_have_begun(compared);
        self.permits(together);
        self.began(since);
        against.iter_mut().for_each(|against| self.began(&mut against.since));
    }
}
