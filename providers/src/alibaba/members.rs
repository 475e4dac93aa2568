//! Metrics of a whole group. CloudMonitor has them of each member alone: members are asked for 50 a
//! call, and what they say is averaged.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet::group::{Instance, Lifecycle};
use fleet::metric::{MetricQuery, Sample, Statistic};
use fleet::{Fault, FaultKind, Seconds, Timestamp};

use super::access::Seat;
use super::estate::INSTANCE;
use super::groups;
use super::metrics::{self, DESCRIBE_METRICS, Several};
use crate::Deadline;
use crate::places::{self, SamplesAnswer};

/// The dimension of neap's own that names a group instead of an instance.
pub const GROUP: &str = "scalingGroup";
/// How long members that were read count: groups are read in each cycle anyway.
const AGE: Seconds = Seconds::minutes(5);

/// A member whose metrics count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    id: String,
    /// Before that it had no metrics.
    launched_at: Option<Timestamp>,
}

/// The members of groups as they were read last, by the group's name and by its id.
#[derive(Debug, Default)]
pub(super) struct KnownMembers(BTreeMap<String, (Timestamp, Arc<[Counted]>)>);

impl KnownMembers {
    /// Keeps what was read of a group.
    pub(super) fn keep(&mut self, names: [&str; 2], instances: &[Instance], now: Timestamp) {
        let serves = instances.iter().filter(|one| one.lifecycle == Lifecycle::InService);
        let counted = |one: &Instance| Counted { id: one.id.clone(), launched_at: one.launched_at };
        let members: Arc<[Counted]> = serves.map(counted).collect();
        for name in names {
            self.0.insert(name.to_owned(), (now, Arc::clone(&members)));
        }
        self.0.retain(|_, (at, _)| at.apart(now) <= AGE);
    }

    fn fresh(&self, name: &str, now: Timestamp) -> Option<Arc<[Counted]>> {
        let (at, members) = self.0.get(name)?;
        (at.apart(now) <= AGE).then(|| Arc::clone(members))
    }
}

/// What a query comes to.
enum Plan {
    /// It is asked as it is.
    Plain(usize),
    /// It is the mean of these.
    Mean(std::ops::Range<usize>, Arc<[Counted]>),
    /// It cannot be asked.
    Failed(Fault),
}

/// Reads queries of one account and region, those about whole groups among them: one answer each, in
/// their order.
pub(super) async fn samples(
    seat: &Arc<Seat>,
    queries: Vec<MetricQuery>,
    several: fn(&MetricQuery) -> Several,
    span: (Timestamp, Timestamp),
    deadline: Deadline,
) -> Vec<SamplesAnswer> {
    let mut names: Vec<String> = queries.iter().filter_map(group_of).cloned().collect();
    if names.is_empty() {
        return metrics::samples(seat, queries, several, span, deadline).await;
    }
    names.sort();
    names.dedup();
    let read = places::each(names.clone(), DESCRIBE_METRICS.lost(), |name| {
        let seat = Arc::clone(seat);
        async move { of_group(&seat, &name, deadline).await }
    });
    let members: BTreeMap<String, Result<Arc<[Counted]>, Fault>> =
        names.into_iter().zip(read.await).collect();
    let mut asked = Vec::new();
    let plan = |query: MetricQuery| match group_of(&query).and_then(|name| members.get(name)) {
        None => {
            asked.push(query);
            Plan::Plain(asked.len() - 1)
        }
        Some(Err(fault)) => Plan::Failed(fault.clone()),
        Some(Ok(_)) if query.statistic != Statistic::Average => Plan::Failed(no_mean(&query)),
        Some(Ok(members)) => {
            let from = asked.len();
            asked.extend(members.iter().map(|member| of_member(&query, member)));
            Plan::Mean(from..asked.len(), Arc::clone(members))
        }
    };
    let plans: Vec<Plan> = queries.into_iter().map(plan).collect();
    let read = metrics::samples(seat, asked, several, span, deadline).await;
    let answer = |plan| match plan {
        Plan::Plain(index) => read[index].clone(),
        Plan::Failed(fault) => Err(fault),
        Plan::Mean(range, members) => mean(&members, &read[range]),
    };
    plans.into_iter().map(answer).collect()
}

/// The group that a query is about.
fn group_of(query: &MetricQuery) -> Option<&String> {
    query.dimensions.get(GROUP)
}

fn no_mean(query: &MetricQuery) -> Fault {
    let why = format!("stat `{}` of a whole group, expected `Average`", query.statistic);
    DESCRIBE_METRICS.fault(FaultKind::Refused, why)
}

fn of_member(query: &MetricQuery, member: &Counted) -> MetricQuery {
    let mut own = query.clone();
    own.dimensions.remove(GROUP);
    own.dimensions.insert(INSTANCE.to_owned(), member.id.clone());
    own
}

/// The members of a group, as they were read last or afresh.
async fn of_group(seat: &Seat, name: &str, deadline: Deadline) -> Result<Arc<[Counted]>, Fault> {
    let now = seat.now();
    if let Some(members) = seat.members().fresh(name, now) {
        return Ok(members);
    }
    let base = groups::whole(seat, name, deadline).await?;
    let mut known = seat.members();
    known.keep([&base.name, &base.id], &base.instances, now);
    known.fresh(name, now).ok_or_else(|| DESCRIBE_METRICS.lost())
}

/// The mean of what members say in each interval. One in which fewer than half of those speak that
/// were there already has no sample: a few would stand for all.
fn mean(members: &[Counted], answers: &[SamplesAnswer]) -> SamplesAnswer {
    let mut sums: BTreeMap<Timestamp, (f64, usize)> = BTreeMap::new();
    for answer in answers {
        for Sample { start, value } in answer.as_ref().map_err(Clone::clone)? {
            let (sum, count) = sums.entry(*start).or_default();
            *sum += value;
            *count += 1;
        }
    }
    let there = |at: Timestamp| {
        members.iter().filter(|one| one.launched_at.is_none_or(|launched| launched <= at)).count()
    };
    let enough = sums.into_iter().filter(|(start, (_, count))| count * 2 >= there(*start));
    Ok(enough.map(|(start, (sum, count))| Sample { start, value: sum / count as f64 }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, launched_at: Option<i64>) -> Counted {
        Counted { id: id.to_owned(), launched_at: launched_at.map(Timestamp) }
    }

    fn says(values: &[(i64, f64)]) -> SamplesAnswer {
        let sample = |(at, value): &(i64, f64)| Sample { start: Timestamp(*at), value: *value };
        Ok(values.iter().map(sample).collect())
    }

    #[test]
    fn a_mean_is_of_those_who_speak_and_of_no_minority() {
        let members = [member("a", None), member("b", Some(0)), member("c", Some(120))];
        let read = [
            says(&[(0, 10.0), (60, 20.0), (120, 30.0)]),
            says(&[(0, 30.0), (120, 50.0)]),
            says(&[]),
        ];
        // The third came later: two of two, one of two, two of three.
        assert_eq!(mean(&members, &read), says(&[(0, 20.0), (60, 20.0), (120, 40.0)]));
        let silent = [says(&[(120, 30.0)]), says(&[]), says(&[])];
        assert_eq!(mean(&members, &silent), says(&[]), "one of three stands for nobody");
        assert_eq!(mean(&[], &[]), says(&[]), "an empty group has no load to learn from");
        let lost = Err(DESCRIBE_METRICS.lost());
        let with_a_fault = [says(&[(0, 10.0)]), lost.clone(), says(&[])];
        assert_eq!(mean(&members, &with_a_fault), lost, "a part would pass for the whole");
    }

    #[test]
    fn members_count_while_they_are_fresh_under_both_names() {
        let instance = |id: &str, lifecycle| Instance {
            id: id.to_owned(),
            lifecycle,
            weight: fleet::Units(1),
            protected: false,
            healthy: true,
            launched_at: None,
            zone: None,
            instance_type: None,
        };
        let mut known = KnownMembers::default();
        let all = [instance("a", Lifecycle::InService), instance("b", Lifecycle::Pending)];
        known.keep(["web", "asg-1"], &all, Timestamp(0));
        for name in ["web", "asg-1"] {
            assert_eq!(
                known.fresh(name, Timestamp(300)).as_deref(),
                Some(&[member("a", None)][..])
            );
            assert_eq!(known.fresh(name, Timestamp(301)), None);
        }
        // A clock that was set back leaves nothing from the future in force for ever.
        assert_eq!(known.fresh("web", Timestamp(-301)), None);
        known.keep(["api", "asg-2"], &[], Timestamp(301));
        assert_eq!(known.0.len(), 2);
    }
}
