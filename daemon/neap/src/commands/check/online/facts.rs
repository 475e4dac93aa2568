//! What was found out about clouds, as plain values.

use std::collections::BTreeMap;

use fleet::group::GroupState;
use fleet::metric::{MetricQuery, Sample};
use fleet::{Fault, Place, Seconds, ServiceName, Timestamp};
use planner::policy::{Actuate, Mode, Policy, ServicePolicy};
use planner::snapshot::GroupView;
use providers::{Growth, Room, Tried};

/// The tag by which people hand a group over.
pub(super) const OPT_IN: (&str, &str) = ("neap:managed", "true");

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) now: Timestamp,
    /// Whether anything is changed at all.
    pub(super) acts: bool,
    /// Whether machines are looked at one by one.
    pub(super) watches_machines: bool,
    pub(super) services: Vec<ServiceFacts>,
    pub(super) metrics: Vec<Read>,
    pub(super) places: Vec<PlaceFacts>,
}

/// One service and its group.
#[derive(Clone, Debug)]
pub(super) struct ServiceFacts {
    pub(super) name: ServiceName,
    pub(super) place: Place,
    /// Whether this one is changed.
    pub(super) acts: bool,
    /// The bounds of the policy.
    pub(super) min: u32,
    pub(super) max: Option<u32>,
    pub(super) group: Result<GroupState, Fault>,
    /// Which number would be written, where the group is known.
    pub(super) writes: Option<Actuate>,
    /// The command that hands the group over, where its cloud asks for that.
    pub(super) tag_command: Option<String>,
}

/// As what a metric is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedAs {
    /// Without it nothing is decided.
    Demand,
    /// As utilisation or signal.
    Beside,
}

/// A metric and a day of it.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) query: MetricQuery,
    pub(super) asked: Vec<(ServiceName, AskedAs)>,
    /// Intervals that young may still be on their way.
    pub(super) settling: Seconds,
    pub(super) read: Result<Vec<Sample>, Fault>,
}

/// One account and region.
#[derive(Clone, Debug)]
pub(super) struct PlaceFacts {
    pub(super) place: Place,
    pub(super) tried: Tried,
    pub(super) rooms: Vec<Result<Room, Fault>>,
    /// By permission, the statement that allows it.
    pub(super) statements: BTreeMap<String, String>,
}

impl ServiceFacts {
    pub(super) fn of(
        policy: &Policy,
        name: &ServiceName,
        service: &ServicePolicy,
        group: Result<GroupState, Fault>,
        now: Timestamp,
    ) -> ServiceFacts {
        let view = |state| GroupView::of(state, now, service.pool.warm_up, &[]);
        let writes = group.as_ref().ok().map(|state| planner::actuate(service, &view(state)));
        ServiceFacts {
            name: name.clone(),
            place: Place::of(&service.pool.group),
            acts: policy.mode == Mode::Act && service.mode == Mode::Act,
            min: service.pool.min.0,
            max: service.pool.max.map(|max| max.0),
            group,
            writes,
            tag_command: None,
        }
    }

    /// How far the group may grow: to the smaller of both maxima, in machines of its smallest weight.
    pub(super) fn growth(&self) -> Option<Growth> {
        let state = self.group.as_ref().ok()?;
        let largest = self.max.map_or(state.max.0, |max| max.min(state.max.0));
        let weight = state.instances.iter().map(|one| one.weight.0.max(1)).min().unwrap_or(1);
        let first = state.instances.first();
        let class = state.instances.iter().find_map(|one| one.instance_type.clone());
        Some(Growth {
            group: state.id.clone(),
            name: state.name.clone(),
            class,
            member: first.map(|one| one.id.clone()),
            machines: u64::from(largest.saturating_sub(state.desired.0).div_ceil(weight)),
            largest: u64::from(largest),
        })
    }
}
