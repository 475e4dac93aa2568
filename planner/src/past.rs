//! What a group's past tells: how large it was before anybody watched, and what a unit carried then.
//!
//! A size that is not certain is none: capacity that is learned from a wrong one, and demand that is
//! counted with it, would be wrong by as much.

use std::collections::BTreeMap;

use fleet::group::{Activity, ActivityKind, ActivityStatus, GroupState, Lifecycle};
use fleet::{Seconds, Step, Timestamp, Units};

use crate::memory::ChangeLog;
use crate::numbers::milli;
use crate::snapshot::{PAST_MAX, PastInterval};

/// No member takes so long from its launch to service.
const BOOT_MAX: Seconds = Seconds::hours(1);
/// From so many activities on a cloud may have left out older ones.
const ACTIVITIES_MAX: usize = 500;
/// The past of this span is enough, where it has enough intervals that tell something.
const LATELY: Seconds = Seconds::days(1);
/// Below and from these utilisations, in thousandths, an interval does not tell what a unit carries.
const TELLS_MILLI: std::ops::Range<u16> = 100..900;

/// How many units a group had in service, as far back as that is certain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PastSizes {
    /// From when on it had how many, oldest first.
    log: ChangeLog,
    /// What was counted of intervals, by their start.
    counted: BTreeMap<Timestamp, f64>,
    /// How long the counted intervals are.
    step: Seconds,
}

impl PastSizes {
    /// Counts back from what is in service at `state.read_at`.
    ///
    /// `activities` are all since `since`, in any order. Where each is about one member
    /// (`one_each`), what it did is undone; where not, the size is known since the newest alone.
    ///
    /// ```
    /// # let state: fleet::group::GroupState = serde_json::from_str(r#"{"id":{"provider":"aws",
    /// # "account":"111122223333","region":"eu-west-1","id":"arn"},"name":"web","read_at":6000,
    /// # "desired":2,"min":0,"max":9,"instances":[{"id":"i-1","lifecycle":"InService","weight":1,
    /// # "protected":false,"healthy":true,"launched_at":100,"zone":null,"instance_type":null},
    /// # {"id":"i-2","lifecycle":"InService","weight":1,"protected":false,"healthy":true,
    /// # "launched_at":3000,"zone":null,"instance_type":null}],"tags":{},"suspended":[],
    /// # "refresh":null,"policies":[],"scheduled":[],"owner":null,"new_instances_protected":false,
    /// # "health_check_grace":0,"warm_up":null,"activities":[],
    /// # "buys_spot":false,"warm_pool":null,"serving":"Untold"}"#).expect("a group");
    /// use fleet::group::{Activity, ActivityKind, ActivityStatus, Cause};
    /// use fleet::{Timestamp, Units};
    /// use planner::past::PastSizes;
    ///
    /// // Two members, the second of which was launched at 3000 and in service at 3060.
    /// let launched = Activity {
    ///     id: "a-1".to_owned(),
    ///     started_at: Timestamp(3000),
    ///     ended_at: Some(Timestamp(3060)),
    ///     kind: ActivityKind::Launch,
    ///     status: ActivityStatus::Successful,
    ///     cause: Cause::Unknown,
    ///     cause_text: String::new(),
    ///     capacity_set_to: None,
    ///     launch: None,
    /// };
    /// let sizes = PastSizes::of(&state, &[launched.clone()], Timestamp(0), true);
    /// let at = |from, to| sizes.steady(Timestamp(from), Timestamp(to));
    /// assert_eq!(at(4000, 4300), Some(Units(2)));
    /// assert_eq!(at(1000, 1300), Some(Units(1)));
    /// assert_eq!((at(3000, 3300), at(6000, 6300)), (None, None));
    /// assert_eq!(sizes.mean(Timestamp(3000), Timestamp(3120)), Some(1.5));
    /// // Of a cloud that does not tell how many an activity was about.
    /// let sizes = PastSizes::of(&state, &[launched], Timestamp(0), false);
    /// assert_eq!(sizes.steady(Timestamp(1000), Timestamp(1300)), None);
    /// ```
    pub fn of(
        state: &GroupState,
        activities: &[Activity],
        since: Timestamp,
        one_each: bool,
    ) -> PastSizes {
        let changes = changes(activities);
        let cut = activities.len() >= ACTIVITIES_MAX;
        let oldest = activities.iter().map(|activity| activity.started_at).min();
        let since = oldest.filter(|_| cut).map_or(since, |oldest| oldest.max(since));
        // A cloud that tells less may have forgotten how its members came.
        let newest = state.instances.iter().filter_map(|member| member.launched_at).max();
        let since = newest.filter(|_| !one_each).map_or(since, |newest| newest.max(since));
        let one_each = one_each && state.instances.iter().all(|member| member.weight == Units(1));
        let mut units = state.in_service().0;
        let mut log = vec![(state.read_at, Units(units))];
        for (at, change) in changes {
            if at <= since {
                break;
            }
            if at > state.read_at {
                return PastSizes::default();
            }
            log.push((at, Units(units)));
            let before = match change {
                Change::Came if one_each => units.checked_sub(1),
                Change::Went if one_each => units.checked_add(1),
                Change::Came | Change::Went | Change::Unknown => None,
            };
            // Members that are still there were there: whatever contradicts that is not certain.
            let before = before.filter(|before| *before >= there_at(state, at));
            let Some(before) = before else { return PastSizes::known(log) };
            units = before;
        }
        log.push((since, Units(units)));
        PastSizes::known(log)
    }

    /// The newest first, as it was counted.
    fn known(mut newest_first: Vec<(Timestamp, Units)>) -> PastSizes {
        newest_first.reverse();
        let log = ChangeLog { entries: newest_first };
        PastSizes { log, ..PastSizes::default() }
    }

    /// Takes in what the cloud itself counted of intervals: it goes before what is counted back.
    pub fn count(&mut self, step: Step, samples: impl IntoIterator<Item = (Timestamp, f64)>) {
        self.step = step.span();
        let sound = |(_, units): &(Timestamp, f64)| (0.0..1e6).contains(units);
        self.counted = samples.into_iter().filter(sound).collect();
    }

    /// Since when anything is known; `None` where nothing is.
    pub fn since(&self) -> Option<Timestamp> {
        let counted = self.counted.keys().next().copied();
        let log = self.log.entries.first().map(|(at, _)| *at);
        counted.into_iter().chain(log).min()
    }

    /// Units in service from `from` until `to`, if none came or went.
    pub fn steady(&self, from: Timestamp, to: Timestamp) -> Option<Units> {
        if let Some(mut counted) = self.counted_in(from, to) {
            let first = *counted.first()?;
            let steady = first.fract() == 0.0 && counted.drain(..).all(|units| units == first);
            return steady.then_some(Units(first as u32));
        }
        let last = self.log.entries.last()?.0;
        let changed = self.log.entries.iter().any(|(at, _)| *at > from && *at < to);
        if changed || to > last { None } else { self.log.at(from) }
    }

    /// The mean of the units in service from `from` until `to`.
    pub fn mean(&self, from: Timestamp, to: Timestamp) -> Option<f64> {
        if let Some(counted) = self.counted_in(from, to) {
            return Some(counted.iter().sum::<f64>() / counted.len() as f64);
        }
        let known = self.log.entries.last().is_some_and(|(last, _)| to <= *last);
        let mean = self.log.mean_milli(from, to).filter(|_| known)?;
        Some(mean as f64 / 1000.0)
    }

    /// What was counted of each interval from `from` until `to`, where all of them were.
    fn counted_in(&self, from: Timestamp, to: Timestamp) -> Option<Vec<f64>> {
        let step = self.step.0.max(1);
        let counted: Vec<f64> = self.counted.range(from..to).map(|(_, units)| *units).collect();
        let all = usize::try_from(to.since(from).0 / step).ok()?;
        (all > 0 && counted.len() == all).then_some(counted)
    }
}

/// What an activity did to the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Came,
    Went,
    /// Nobody can tell, or it is still under way.
    Unknown,
}

/// What changed the size and when, newest first.
fn changes(activities: &[Activity]) -> Vec<(Timestamp, Change)> {
    let change = |activity: &Activity| {
        let ended = activity.ended_at.unwrap_or(activity.started_at);
        match (activity.kind, activity.status) {
            (_, ActivityStatus::Failed { .. } | ActivityStatus::Cancelled) => None,
            // What is under way is in no service yet.
            (ActivityKind::Launch, ActivityStatus::InProgress) => None,
            (ActivityKind::Launch, ActivityStatus::Successful) => Some((ended, Change::Came)),
            // It serves nobody from the beginning of its end.
            (ActivityKind::Terminate, _) => Some((activity.started_at, Change::Went)),
            (ActivityKind::Other, _) => Some((ended, Change::Unknown)),
        }
    };
    let mut changes: Vec<_> = activities.iter().filter_map(change).collect();
    changes.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    changes
}

/// Members in service that had been launched long before then.
fn there_at(state: &GroupState, at: Timestamp) -> u32 {
    let in_service = state.instances.iter().filter(|i| i.lifecycle == Lifecycle::InService);
    let was_there = |launched: Timestamp| launched + BOOT_MAX <= at;
    let there = in_service.filter(|member| member.launched_at.is_some_and(was_there)).count();
    u32::try_from(there).unwrap_or(u32::MAX)
}

/// Of an interval's demand per second, its mean utilisation (0 to 1) and its size: what is handed to
/// a plan of it; `None` where it does not tell what a unit carries.
pub fn interval(
    start: Timestamp,
    demand: f64,
    utilisation: f64,
    units: Units,
) -> Option<PastInterval> {
    let utilisation_milli = (utilisation * 1000.0).round();
    let tells = f64::from(TELLS_MILLI.start)..f64::from(TELLS_MILLI.end);
    let within = tells.contains(&utilisation_milli);
    let demand_milli = milli(demand).filter(|demand| *demand > crate::Milli::ZERO)?;
    (within && units > Units(0)).then_some(PastInterval {
        start,
        demand_milli,
        utilisation_milli: utilisation_milli as u16,
        units,
    })
}

/// The intervals of `all` (oldest first) that tell most of what a unit carries: the busiest ones of the
/// last day, or of more where that day has too few. What units do without any demand counts least in
/// them.
pub fn telling(all: &[PastInterval]) -> Vec<PastInterval> {
    let Some(newest) = all.last() else { return Vec::new() };
    let lately = all.partition_point(|interval| interval.start + LATELY <= newest.start);
    let enough = all.len() - lately >= PAST_MAX;
    let from = if enough { lately } else { all.len().saturating_sub(PAST_MAX) };
    let mut picked = all[from..].to_vec();
    picked.sort_by_key(|interval| std::cmp::Reverse((interval.utilisation_milli, interval.start)));
    picked.truncate(PAST_MAX);
    picked.sort_by_key(|interval| interval.start);
    picked
}
