//! The world behind the seam's traits: each call looks at it, and changes what it is told to.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use fleet::group::{Activity, Cause, GroupState};
use fleet::metric::{MetricQuery, Sample};
use fleet::{Change, Fault, FaultKind, GroupId, GroupRef, Place, Timestamp};

use super::faults::{CallAnswer, all_by, fault, missing, one_by, refusal};
use super::{Key, State, World, key_of, key_of_id, series_name};
use crate::sim::group::{Body, Setting};
use crate::sim::scenario::{Calls, Delivery, MetricName, Trouble};
use crate::sim::series::keeps;
use crate::{Deadline, Estate, GroupWriter, Inventory, Metrics, Provider, Retention, Samples};

const READ: &str = "DescribeAutoScalingGroups";
const ACTIVITIES: &str = "DescribeScalingActivities";
const SAMPLES: &str = "GetMetricData";
const SET_DESIRED: &str = "SetDesiredCapacity";
const SET_MINIMUM: &str = "UpdateAutoScalingGroup";

impl World {
    fn look<T>(
        &self,
        state: &mut State,
        key: &Key,
        operation: &str,
        show: impl FnOnce(&Setting, &Body) -> T,
    ) -> CallAnswer<T> {
        if let Some(trouble) = self.meets(state, Calls::Inventory, Some(&key.2), &key.1) {
            let permission = format!("autoscaling:{operation}");
            return World::spoiled(operation, &permission, trouble);
        }
        let now = self.now();
        let found = state.settings.get(key).zip(state.bodies.get_mut(key));
        let Some((setting, body)) = found else {
            return CallAnswer::Now(Err(missing(operation, &key.2)));
        };
        body.advance(setting, now);
        if !body.exists {
            return CallAnswer::Now(Err(missing(operation, &key.2)));
        }
        CallAnswer::Now(Ok(show(setting, body)))
    }

    /// As [`World::look`], for the group with this id and no other of its name.
    fn look_by_id<T>(
        &self,
        state: &mut State,
        id: &GroupId,
        operation: &str,
        show: impl FnOnce(&Setting, &Body) -> T,
    ) -> CallAnswer<T> {
        let key = key_of_id(id);
        let answer = self.look(state, &key, operation, |setting, body| {
            (body.id(setting) == *id).then(|| show(setting, body))
        });
        match answer {
            CallAnswer::Now(Ok(Some(shown))) => CallAnswer::Now(Ok(shown)),
            CallAnswer::Now(Ok(None)) => CallAnswer::Now(Err(missing(operation, &id.id))),
            CallAnswer::Now(Err(fault)) => CallAnswer::Now(Err(fault)),
            CallAnswer::AtDeadline(fault) => CallAnswer::AtDeadline(fault),
        }
    }

    fn read_samples(
        &self,
        state: &mut State,
        query: &MetricQuery,
        (from, to): (Timestamp, Timestamp),
    ) -> CallAnswer<Vec<Sample>> {
        if let Some(trouble) = self.meets(state, Calls::Metrics, None, &query.region) {
            return World::spoiled(SAMPLES, "cloudwatch:GetMetricData", trouble);
        }
        if !query.period.seconds().is_multiple_of(60) {
            let period = query.period.span();
            let why = format!("period {period} is not a whole number of minutes");
            return CallAnswer::Now(Err(fault(FaultKind::Refused, SAMPLES, why)));
        }
        if let Some(recorded) = state.recorded.get(&series_name(query)) {
            return CallAnswer::Now(Ok(recorded.samples(query, from, to)));
        }
        let now = self.now();
        let name = MetricName {
            namespace: query.namespace.clone(),
            metric: query.metric.clone(),
            dimensions: query.dimensions.clone(),
        };
        let found = state.metrics.get(&(query.account.clone(), query.region.clone(), name));
        let Some((key, kind)) = found else { return CallAnswer::Now(Ok(Vec::new())) };
        let group = state.settings.get(key).zip(state.bodies.get_mut(key));
        let Some((setting, body)) = group else { return CallAnswer::Now(Ok(Vec::new())) };
        body.advance(setting, now);
        let samples = self.shared.source.samples((setting, body, *kind), query, (from, to), now);
        CallAnswer::Now(Ok(samples))
    }

    /// Carries out an order, or refuses it.
    fn order(&self, id: &GroupId, change: Change, decision: &str) -> CallAnswer<()> {
        let operation = operation(change);
        let now = self.now();
        let key = key_of_id(id);
        let mut guard = self.state();
        let state = &mut *guard;
        state.writes += 1;
        let trouble = self.meets(state, Calls::Writes, Some(&key.2), &key.1);
        if let Some(other @ (Trouble::Throttled | Trouble::Unreachable | Trouble::Denied)) = trouble
        {
            let permission = format!("autoscaling:{operation}");
            return CallAnswer::Now(Err(refusal(operation, &permission, other)));
        }
        let found = state.settings.get(&key).zip(state.bodies.get_mut(&key));
        let Some((setting, body)) = found else {
            return CallAnswer::Now(Err(missing(operation, &id.id)));
        };
        body.advance(setting, now);
        if !body.exists || body.id(setting) != *id {
            return CallAnswer::Now(Err(missing(operation, &id.id)));
        }
        let done = body.set(setting, change, Some(decision), Cause::UserRequest);
        self.changed(state, now);
        let lost = || fault(FaultKind::Unconfirmed, operation, "the answer was lost");
        match (trouble, done) {
            (Some(Trouble::Slow), _) => CallAnswer::AtDeadline(lost()),
            (Some(_), _) => CallAnswer::Now(Err(lost())),
            (None, Ok(())) => CallAnswer::Now(Ok(())),
            (None, Err(why)) => CallAnswer::Now(Err(fault(FaultKind::Refused, operation, why))),
        }
    }
}

impl Provider for World {
    fn inventory(&self) -> &dyn Inventory {
        self
    }

    fn metrics(&self) -> &dyn Metrics {
        self
    }

    fn writer(&self, group: &GroupId) -> Box<dyn GroupWriter> {
        Box::new(Writer { world: self.clone(), group: group.clone() })
    }

    fn estate(&self) -> Option<&dyn Estate> {
        Some(self)
    }
}

#[async_trait]
impl Inventory for World {
    async fn groups(
        &self,
        wanted: &[GroupRef],
        deadline: Deadline,
    ) -> Vec<Result<GroupState, Fault>> {
        let answers = {
            let mut state = self.state();
            let answers = wanted
                .iter()
                .map(|group| {
                    let show = |setting: &Setting, body: &Body| body.state(setting);
                    self.look(&mut state, &key_of(group), READ, show)
                })
                .collect();
            self.save_now_and_then(&mut state);
            answers
        };
        all_by(deadline, answers).await
    }

    async fn group(&self, id: &GroupId, deadline: Deadline) -> Result<GroupState, Fault> {
        let show = |setting: &Setting, body: &Body| body.state(setting);
        let answer = self.look_by_id(&mut self.state(), id, READ, show);
        one_by(deadline, answer).await
    }

    fn places(&self) -> Vec<Place> {
        let provider = &self.shared.provider;
        let place = |key: &Key| Place {
            provider: provider.clone(),
            account: key.0.clone(),
            region: key.1.clone(),
        };
        let places: BTreeSet<Place> = self.state().settings.keys().map(place).collect();
        places.into_iter().collect()
    }

    async fn discover(&self, place: &Place, deadline: Deadline) -> Result<Vec<GroupState>, Fault> {
        let answer = {
            let mut state = self.state();
            let here = |key: &&Key| key.0 == place.account && key.1 == place.region;
            let keys: Vec<Key> = state.settings.keys().filter(here).cloned().collect();
            match self.meets(&mut state, Calls::Inventory, None, &place.region) {
                Some(trouble) => World::spoiled(READ, &format!("autoscaling:{READ}"), trouble),
                None => {
                    let mut found = Vec::new();
                    for key in keys {
                        let show = |setting: &Setting, body: &Body| body.state(setting);
                        let seen = self.look(&mut state, &key, READ, show);
                        if let CallAnswer::Now(Ok(group)) = seen {
                            found.push(group);
                        }
                    }
                    CallAnswer::Now(Ok(found))
                }
            }
        };
        one_by(deadline, answer).await
    }

    async fn activities(
        &self,
        id: &GroupId,
        since: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<Activity>, Fault> {
        let show = |_: &Setting, body: &Body| body.activities_since(since);
        let answer = self.look_by_id(&mut self.state(), id, ACTIVITIES, show);
        one_by(deadline, answer).await
    }

    fn activities_are_of_one_member(&self) -> bool {
        true
    }
}

#[async_trait]
impl Metrics for World {
    async fn readings(
        &self,
        queries: &[MetricQuery],
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> Vec<Result<Samples, Fault>> {
        self.shared.metrics_read.fetch_add(queries.len() as u64, Ordering::Relaxed);
        let answers = {
            let mut state = self.state();
            queries.iter().map(|query| self.read_samples(&mut state, query, (from, to))).collect()
        };
        let answers = all_by(deadline, answers).await;
        answers.into_iter().map(|answer| answer.map(Samples::from)).collect()
    }

    fn keeps(&self, query: &MetricQuery) -> Retention {
        let Delivery { settled, usd_micros_per_thousand_metrics, .. } = self.shared.source.delivery;
        Retention {
            history: keeps(query.period.span()),
            settling: settled,
            usd_micros_per_thousand_metrics,
        }
    }

    fn metrics_read(&self) -> u64 {
        self.shared.metrics_read.load(Ordering::Relaxed)
    }
}

/// A handle on one group of the world.
struct Writer {
    world: World,
    group: GroupId,
}

#[async_trait]
impl GroupWriter for Writer {
    fn group(&self) -> &GroupId {
        &self.group
    }

    async fn set(&self, change: Change, decision: &str, deadline: Deadline) -> Result<(), Fault> {
        if deadline.left().is_zero() {
            let why = "the deadline had passed before anything was sent";
            return Err(fault(FaultKind::Unreachable, operation(change), why));
        }
        let answer = self.world.order(&self.group, change, decision);
        one_by(deadline, answer).await
    }
}

/// There is no group of this name.
pub(super) fn no_group(name: &str) -> Fault {
    missing(READ, name)
}

fn operation(change: Change) -> &'static str {
    match change {
        Change::Desired { .. } => SET_DESIRED,
        Change::Minimum { .. } => SET_MINIMUM,
    }
}
