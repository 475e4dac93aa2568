//! A simulated group as the cloud shows it.

use std::collections::BTreeMap;

use fleet::group::{
    Activity, GroupState, Instance, Lifecycle, MembersServing, Owner, ScheduledAction, ServingSign,
};
use fleet::{GroupId, Seconds, Timestamp, Units};

use super::{Body, Machine, Phase, Setting};
use crate::sim::random::Stream;
use crate::sim::scenario::GroupSpec;

impl Body {
    /// What the cloud never gives twice.
    pub fn id(&self, setting: &Setting) -> GroupId {
        let spec = &setting.spec;
        let place = format!("{}/{}/{}", spec.account, spec.region, spec.name);
        let unique = Stream::named(setting.seed, &place).bits(u64::from(self.generation));
        GroupId {
            provider: setting.provider.clone(),
            account: spec.account.clone(),
            region: spec.region.clone(),
            id: format!("arn:sim:{}:{}:{unique:016x}:{}", spec.region, spec.account, spec.name),
        }
    }

    /// The group as its inventory shows it.
    pub fn state(&self, setting: &Setting) -> GroupState {
        let spec = &setting.spec;
        let recent = self.at - Seconds::hours(1);
        GroupState {
            id: self.id(setting),
            name: spec.name.clone(),
            read_at: self.at,
            desired: Units(self.desired),
            min: Units(self.min),
            max: Units(self.max),
            instances: self.machines.iter().map(|m| self.instance(setting, m)).collect(),
            tags: self.tags(spec),
            suspended: self.suspended.clone(),
            refresh: self.refresh.as_ref().map(|refresh| refresh.id.clone()),
            policies: spec.policies.clone(),
            scheduled: self.scheduled_actions(spec),
            owner: spec.owner.clone().or_else(|| Owner::by_request(&spec.tags)),
            new_instances_protected: spec.new_instances_protected,
            health_check_grace: spec.health_check_grace,
            warm_up: spec.warm_up,
            activities: self.activities_since(recent),
            serving: self.members_serving(setting),
            buys_spot: false,
            warm_pool: None,
        }
    }

    fn members_serving(&self, setting: &Setting) -> MembersServing {
        if !setting.spec.shows_serving {
            return MembersServing::Untold;
        }
        let waits =
            |machine: &&Machine| machine.phase == Phase::Serving && !machine.serves(self.at);
        let waiting = self.machines.iter().filter(waits).map(|m| self.instance_id(setting, m));
        MembersServing::Told { by: ServingSign::Targets, waiting: waiting.collect() }
    }

    fn instance_id(&self, setting: &Setting, machine: &Machine) -> String {
        format!("i-{}-{}-{}", setting.spec.name, self.generation, machine.serial)
    }

    fn tags(&self, spec: &GroupSpec) -> BTreeMap<String, String> {
        let mut tags = spec.tags.clone();
        if let Some(owner) = &spec.owner {
            tags.insert(owner.evidence.clone(), "owned".to_owned());
        }
        tags
    }

    fn scheduled_actions(&self, spec: &GroupSpec) -> Vec<ScheduledAction> {
        let both = spec.scheduled.iter().zip(&self.schedule);
        both.filter_map(|(action, next)| {
            Some(ScheduledAction {
                name: action.name.clone(),
                at: Some((*next)?),
                recurrence: action.every.map(|every| format!("every {every}")),
                desired: action.desired.map(Units),
                min: action.min.map(Units),
                max: action.max.map(Units),
            })
        })
        .collect()
    }

    fn instance(&self, setting: &Setting, machine: &Machine) -> Instance {
        let spec = &setting.spec;
        Instance {
            id: self.instance_id(setting, machine),
            lifecycle: match machine.phase {
                Phase::Booting { .. } => Lifecycle::Pending,
                Phase::Serving => Lifecycle::InService,
                Phase::Draining { .. } => Lifecycle::Terminating,
            },
            weight: Units(spec.weight.max(1)),
            protected: machine.protected,
            healthy: machine.healthy,
            launched_at: Some(machine.launched_at),
            zone: spec.zones.get(machine.zone).cloned(),
            instance_type: Some(spec.instance_type.clone()),
        }
    }

    /// What the group began since then, newest first.
    pub fn activities_since(&self, since: Timestamp) -> Vec<Activity> {
        self.activities.iter().rev().filter(|a| a.started_at >= since).cloned().collect()
    }
}
