//! A group as a cloud's listing shows it, and with what is remembered of it.

use std::collections::BTreeMap;

use fleet::group::{GroupState, Instance, Lifecycle, MembersServing, Owner, Process, WarmPool};
use fleet::{Seconds, Timestamp, Units};

use crate::home::Home;
use crate::remembered::Remembered;

/// A group as a listing shows it, without what other calls add. `O` is what one cloud alone tells.
#[derive(Clone, Debug)]
pub(crate) struct ListedGroup<O> {
    /// Its id, which a group made anew does not share.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) desired: Units,
    pub(crate) min: Units,
    pub(crate) max: Units,
    pub(crate) instances: Vec<Instance>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) suspended: Vec<Process>,
    pub(crate) owner: Option<Owner>,
    /// Whether it may buy spot machines.
    pub(crate) buys_spot: bool,
    /// Machines that stand ready.
    pub(crate) warm_pool: Option<WarmPool>,
    pub(crate) own: O,
}

impl<O> ListedGroup<O> {
    /// What a scaling activity would change: equal prints mean that nothing has happened.
    pub(crate) fn print(&self) -> String {
        let mut print = format!("{} {} {}", self.desired.0, self.min.0, self.max.0);
        for instance in &self.instances {
            print.push_str(&format!(" {} {:?}", instance.id, instance.lifecycle));
        }
        print
    }

    /// Whether it has not got what it was told to have.
    pub(crate) fn is_short(&self) -> bool {
        let here = self.instances.iter().filter(|instance| {
            matches!(instance.lifecycle, Lifecycle::InService | Lifecycle::Pending)
        });
        here.map(|instance| instance.weight.0).sum::<u32>() < self.desired.0
    }

    /// The group at `home` with what is remembered of it: its policies and scheduled actions go by
    /// `rules_of`, its name or its id. What not every cloud has is left at nothing.
    pub(crate) fn shown(
        self,
        home: &Home,
        rules_of: &str,
        remembered: &Remembered,
        read_at: Timestamp,
    ) -> GroupState {
        GroupState {
            policies: remembered.native_policies(rules_of, read_at),
            scheduled: remembered.scheduled_actions(rules_of, read_at),
            activities: remembered.activities(&self.id, read_at),
            refresh: None,
            id: home.group(self.id),
            name: self.name,
            read_at,
            desired: self.desired,
            min: self.min,
            max: self.max,
            instances: self.instances,
            tags: self.tags,
            suspended: self.suspended.into_iter().collect(),
            owner: self.owner,
            buys_spot: self.buys_spot,
            warm_pool: self.warm_pool,
            new_instances_protected: false,
            health_check_grace: Seconds::ZERO,
            warm_up: None,
            serving: MembersServing::Untold,
        }
    }
}
