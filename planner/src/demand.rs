//! From the samples of a demand's metrics to what the planner reads of it.

use std::collections::BTreeMap;

use fleet::{Fault, Seconds, Step, Timestamp};

use crate::numbers::sane;
use crate::policy::Share;
use crate::snapshot::{DemandPoint, DemandView};

/// At most so many newly settled intervals are handed to the account: an hour of minutes.
const NEWLY_SETTLED_MAX: usize = 64;
/// The fastest rise is looked for this far back.
const RISE_WITHIN: Seconds = Seconds::hours(1);
/// Of the rise within a single interval, at most this share of what it rose to counts: a load that
/// stepped up is not about to do so again.
const JUMP_SHARE: f64 = 0.45;
/// The lowest demand is looked for this far back.
const LOW_WITHIN: Seconds = Seconds::hours(1);

/// One metric of a demand, as known at the time of the decision.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The newest revision of each interval, oldest first, per second. Give at least an hour and
    /// the last value there is, however old.
    pub points: &'a [DemandPoint],
    /// Why nothing arrives, or a part alone, where the source said so.
    pub fault: Option<&'a Fault>,
    /// The starts of intervals of which the source knew a part alone, oldest first: their values, if
    /// there are any, may raise a size and never lower one.
    pub parts: &'a [Timestamp],
}

/// How the members of a demand are put together.
#[derive(Clone, Copy, Debug)]
pub struct Assembly {
    /// Now.
    pub taken_at: Timestamp,
    /// The length of an interval.
    pub step: Step,
    /// Intervals whose end is younger than this may still change.
    pub settling: Seconds,
    /// Over how long the fastest rise is taken: the whole lead window.
    pub lead: Seconds,
    /// The newest interval that the account of violations has counted
    /// ([`crate::memory::ViolationAccount::counted`]).
    pub counted: Option<Timestamp>,
    /// Demand that fixed pools serve, per second: subtracted from the sum.
    pub fixed_capacity: f64,
    /// Mean utilisation over the settled interval, 0 to 1, where measured.
    pub utilisation: Option<f64>,
}

/// An interval of the sum.
#[derive(Clone, Copy)]
struct Summed {
    point: DemandPoint,
    /// How much of the value was measured in the interval itself, not carried on.
    measured: f64,
    members: usize,
    /// A member is known in part alone.
    part: bool,
}

impl DemandView {
    /// The sum of `members`: a missing member counts with its last value, and its share shows in
    /// [`DemandView::missing`].
    ///
    /// An interval in which no member has a sample is not there. While a member is known in part
    /// alone, nobody knows how much is missing: all of it counts as missing. Numbers that cannot be
    /// demand are handed on as they are, for the planner to refuse by name.
    ///
    /// ```
    /// use fleet::{Seconds, Step, Timestamp};
    /// use planner::demand::{Assembly, Member};
    /// use planner::snapshot::{DemandPoint, DemandView};
    ///
    /// let point = |start, value| DemandPoint { start: Timestamp(start), value, censored: false };
    /// let (web, jobs) = ([point(0, 90.0), point(60, 120.0)], [point(0, 10.0)]);
    /// let members = [&web[..], &jobs[..]].map(|points| Member { points, fault: None, parts: &[] });
    /// let how = Assembly {
    ///     taken_at: Timestamp(240),
    ///     step: Step::MINUTE,
    ///     settling: Seconds(60),
    ///     lead: Seconds::minutes(5),
    ///     counted: None,
    ///     fixed_capacity: 30.0,
    ///     utilisation: None,
    /// };
    /// let view = DemandView::from_members(&members, &how);
    /// // 120 and the last 10 that were seen, less what fixed pools serve.
    /// assert_eq!(view.settled.map(|newest| newest.value), Some(100.0));
    /// assert!(view.missing > planner::policy::Share::NONE);
    /// ```
    pub fn from_members(members: &[Member<'_>], how: &Assembly) -> DemandView {
        let all = sum(members, how);
        let settled_by = |p: &DemandPoint| p.start + how.step.span() + how.settling <= how.taken_at;
        let split = all.partition_point(|s| settled_by(&s.point));
        let (old, young) = all.split_at(split);
        let newly: Vec<DemandPoint> = old
            .iter()
            .filter(|s| how.counted.is_none_or(|counted| s.point.start > counted))
            // An interval with a member missing is judged as far as it is known.
            .map(|s| s.point)
            .collect();
        let skip = newly.len().saturating_sub(NEWLY_SETTLED_MAX);
        DemandView {
            step: how.step,
            settled: old.last().map(|s| s.point),
            provisional: young.iter().map(|s| s.point).collect(),
            newly_settled: newly[skip..].to_vec(),
            fastest_rise: fastest_rise(&all, how),
            recent_low: recent_low(old, newly.first()),
            missing: old.last().or(young.last()).map_or(Share::NONE, |s| missing(s, members)),
            fault: members.iter().find_map(|member| member.fault.cloned()),
            utilisation: how.utilisation,
            settling: how.settling,
        }
    }
}

fn sum(members: &[Member<'_>], how: &Assembly) -> Vec<Summed> {
    // Intervals that have begun only: a stamp from the future is a broken clock's.
    let known = |point: &&DemandPoint| point.start < how.taken_at;
    let mut starts: BTreeMap<Timestamp, ()> = BTreeMap::new();
    for member in members {
        starts.extend(member.points.iter().filter(known).map(|point| (point.start, ())));
    }
    let mut next = vec![0usize; members.len()];
    let mut out = Vec::with_capacity(starts.len());
    for &start in starts.keys() {
        let (mut total, mut measured, mut count, mut censored) = (0.0, 0.0, 0, false);
        let part = members.iter().any(|member| member.parts.binary_search(&start).is_ok());
        for (member, next) in members.iter().zip(&mut next) {
            while member.points.get(*next).is_some_and(|p| p.start <= start) {
                *next += 1;
            }
            let Some(last) = next.checked_sub(1).map(|i| member.points[i]) else { continue };
            total += last.value;
            if last.start == start {
                measured += last.value;
                count += 1;
                censored |= last.censored;
            }
        }
        let value = net(total, how.fixed_capacity);
        out.push(Summed {
            point: DemandPoint { start, value, censored },
            measured: if total > 0.0 { measured / total } else { 0.0 },
            members: count,
            part,
        });
    }
    out
}

/// What the fixed pools leave; a number that cannot be demand stays what it is.
fn net(total: f64, fixed: f64) -> f64 {
    let fixed = sane(fixed).unwrap_or(0.0);
    if total >= 0.0 { (total - fixed).max(0.0) } else { total }
}

/// The share of demand whose members have no sample in this interval: by what they last measured,
/// and by their number for those that never did or where all is zero.
fn missing(newest: &Summed, members: &[Member<'_>]) -> Share {
    let count = members.len().max(1);
    let never = members.iter().filter(|m| m.points.is_empty()).count();
    if newest.part {
        return Share::ALL;
    }
    if newest.members == members.len() {
        return Share::NONE;
    }
    let by_number = (count - newest.members.min(count)) as f64 / count as f64;
    let known = 1.0 - never as f64 / count as f64;
    let by_value = if newest.measured > 0.0 { 1.0 - newest.measured * known } else { by_number };
    Share::from_fraction(by_value.clamp(0.0, 1.0)).unwrap_or(Share::ALL)
}

/// The lowest of the settled intervals of the hour before the first new one, or before the newest.
fn recent_low(settled: &[Summed], new: Option<&DemandPoint>) -> Option<f64> {
    let until = new.or(settled.last().map(|newest| &newest.point))?.start;
    let lately = settled.iter().rev().skip_while(|s| s.point.start >= until);
    let lately = lately.take_while(|s| s.point.start >= until - LOW_WITHIN);
    lately.filter(|s| !s.part).filter_map(|s| sane(s.point.value)).reduce(f64::min)
}

/// The largest gain from one interval to a later one, at most a lead window apart, in the last
/// hour. From a part to the whole nothing is gained.
fn fastest_rise(all: &[Summed], how: &Assembly) -> f64 {
    let from = how.taken_at - RISE_WITHIN.max(Seconds(how.lead.0.saturating_mul(2)));
    let lately = all.iter().filter(|s| s.point.start >= from);
    let (points, parts): (Vec<(Timestamp, f64)>, Vec<bool>) =
        lately.filter_map(|s| Some(((s.point.start, sane(s.point.value)?), s.part))).unzip();
    let points = without_lone_peaks(points);
    let mut fastest = 0.0f64;
    for (i, (start, value)) in points.iter().enumerate() {
        let within =
            points[i + 1..].iter().take_while(|(later, _)| later.since(*start) <= how.lead);
        let (mut before, mut steady) = (*value, 0.0);
        for ((_, later), pair) in within.zip(parts[i..].windows(2)) {
            if matches!(pair, [true, false]) {
                break;
            }
            steady += (later - before).clamp(0.0, later * JUMP_SHARE);
            before = *later;
            fastest = fastest.max((later - value).min(steady));
        }
    }
    fastest
}

/// A value that stands alone counts for at most twice the higher of its neighbours, and the highest
/// of all, where it stands alone, for no more than the second: what a source once got wrong is no
/// rise. The newest value is left as it is, since nothing tells yet.
fn without_lone_peaks(points: Vec<(Timestamp, f64)>) -> Vec<(Timestamp, f64)> {
    let mut out = points.clone();
    for i in 0..points.len().saturating_sub(1) {
        let before = i.checked_sub(1).map_or(0.0, |before| points[before].1);
        out[i].1 = points[i].1.min(2.0 * before.max(points[i + 1].1));
    }
    let earlier = out.iter().enumerate().take(out.len().saturating_sub(1));
    let Some(top) = earlier.max_by(|a, b| a.1.1.total_cmp(&b.1.1)).map(|(i, _)| i) else {
        return out;
    };
    let others = out.iter().enumerate().filter(|(i, _)| *i != top);
    let second = others.map(|(_, (_, value))| *value).fold(0.0, f64::max);
    out[top].1 = out[top].1.min(second);
    out
}
