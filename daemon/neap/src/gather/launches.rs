//! How long launches took: from the order until a new unit was in service, and until it served.

use std::collections::{BTreeMap, BTreeSet};

use fleet::group::{
    Activity, ActivityKind, ActivityStatus, GroupState, Instance, Lifecycle, MembersServing,
    ServingSign,
};
use fleet::{GroupId, Seconds, ServiceName, Timestamp};
use planner::policy::PoolPolicy;
use planner::snapshot::Launched;

/// A launch that begins so long after our order is of that order.
const OURS_WITHIN: Seconds = Seconds(120);
/// Clouds stamp what they begin by their own clocks.
const CLOCKS_DIFFER: Seconds = Seconds(5);
/// An order that the cloud names counts for a launch that began so long after it.
const ORDER_WITHIN: Seconds = Seconds::minutes(10);
/// Between looks farther apart than this, or than three polls, nobody knows when a unit began to serve.
const LOOKS_APART: Seconds = Seconds::minutes(5);
/// Hosts that are not healthy by then are not waited for.
const HOSTS_WITHIN: Seconds = Seconds::hours(1);

/// What is known of launches since this program started.
#[derive(Default)]
pub struct Launches {
    /// Activities whose time was taken, by id, and when they ended.
    seen: BTreeMap<String, Timestamp>,
    members: BTreeMap<ServiceName, Members>,
    hosts: BTreeMap<ServiceName, Vec<AwaitedHosts>>,
    /// Services of whose members it could not be read whether they serve.
    unread: BTreeSet<ServiceName>,
}

/// The members of a group, and whether each was seen to serve.
struct Members {
    group: GroupId,
    looked_at: Timestamp,
    serve: BTreeMap<String, bool>,
}

/// A launch whose hosts are to become healthy.
struct AwaitedHosts {
    ordered_at: Timestamp,
    in_service_at: Timestamp,
    /// So many hosts were in service with it.
    hosts: u64,
    warm: bool,
}

/// A look at a group.
pub struct Look<'a> {
    pub state: &'a GroupState,
    pub pool: &'a PoolPolicy,
    /// When we gave orders to it lately.
    pub ours: &'a [Timestamp],
    /// When the last cycle looked.
    pub last_taken_at: Option<Timestamp>,
    pub taken_at: Timestamp,
    pub poll_interval: Seconds,
    /// The end of the first interval from a time on in which at least so many hosts were healthy; where
    /// the service measures that.
    pub healthy: Option<&'a dyn Fn(Timestamp, u64) -> Option<Timestamp>>,
}

/// What a look found.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// From orders to being in service.
    pub in_service: Vec<Seconds>,
    /// From orders to serving.
    pub launched: Vec<Launched>,
    /// Why it cannot be read whether members serve, where it could until now.
    pub unread: Option<String>,
}

impl Launches {
    /// Forgets activities that ended before the last cycle: they are not looked at again.
    pub fn forget(&mut self, last_taken_at: Option<Timestamp>) {
        self.seen.retain(|_, ended| last_taken_at.is_none_or(|at| *ended > at));
    }

    /// Forgets services that are gone.
    pub fn retain(&mut self, is_there: impl Fn(&ServiceName) -> bool) {
        self.members.retain(|name, _| is_there(name));
        self.hosts.retain(|name, _| is_there(name));
        self.unread.retain(|name| is_there(name));
    }

    /// Takes in a look at a service's group.
    pub fn look(&mut self, name: &ServiceName, look: &Look<'_>) -> Found {
        let mut found = Found::default();
        self.ended(name, look, &mut found);
        match &look.state.serving {
            MembersServing::Told { by, .. } => {
                self.unread.remove(name);
                self.members(name, look, *by, &mut found.launched);
            }
            MembersServing::Untold => {
                self.unread.remove(name);
                self.members.remove(name);
            }
            MembersServing::Unread(why) => {
                found.unread = self.unread.insert(name.clone()).then(|| why.clone());
            }
        }
        self.hosts(name, look, &mut found.launched);
        found
    }

    /// Launches that ended since the last cycle. Where nothing else tells when they serve, they do once
    /// they have warmed up.
    fn ended(&mut self, name: &ServiceName, look: &Look<'_>, found: &mut Found) {
        let warm_up = look.pool.warm_up.max(look.state.warm_up.unwrap_or_default());
        for activity in look.state.activities.iter().rev() {
            let Some(ended) = activity.ended_at else { continue };
            let launched = activity.kind == ActivityKind::Launch
                && activity.status == ActivityStatus::Successful;
            let new = look.last_taken_at.is_none_or(|last| ended > last);
            if !launched || !new || self.seen.insert(activity.id.clone(), ended).is_some() {
                continue;
            }
            let ordered_at = look.ordered_at(activity.started_at, Some(activity));
            let took = ended.since(ordered_at);
            let warm = is_warm(Some(activity));
            found.in_service.push(took);
            if look.state.serving != MembersServing::Untold {
                continue;
            }
            if look.healthy.is_some() {
                let hosts = look.hosts_in_service();
                let in_service_at = ended;
                let awaited = AwaitedHosts { ordered_at, in_service_at, hosts, warm };
                self.hosts.entry(name.clone()).or_default().push(awaited);
            } else {
                let (took, told_by) = (took + warm_up, ServingSign::WarmUp);
                found.launched.push(Launched { took, told_by, warm });
            }
        }
    }

    /// Members that were not there or did not serve at the last look, and serve now.
    fn members(
        &mut self,
        name: &ServiceName,
        look: &Look<'_>,
        told_by: ServingSign,
        launched: &mut Vec<Launched>,
    ) {
        let (state, now) = (look.state, look.taken_at);
        let apart = LOOKS_APART.max(Seconds(look.poll_interval.0.saturating_mul(3)));
        let before = self.members.remove(name).filter(|before| before.group == state.id);
        // What the program did not watch may have served for long.
        let last = before.as_ref().map(|before| before.looked_at);
        let last = last.filter(|last| now.apart(*last) <= apart);
        let before = before.map(|before| before.serve).unwrap_or_default();
        let mut serve = BTreeMap::new();
        for member in &state.instances {
            let known = before.get(&member.id).copied();
            let serves = known == Some(true) || look.serves(member);
            let counts = matches!(member.lifecycle, Lifecycle::InService | Lifecycle::Pending);
            if !counts && known.is_none() {
                // One that was set aside, or is on its way out, is none that was launched.
                serve.insert(member.id.clone(), true);
                continue;
            }
            if serves
                && known != Some(true)
                && let Some(last) = last
                && let Some((began, activity)) = look.began(member)
                && (known.is_some() || now.since(began) <= now.since(last) + apart)
            {
                let took = now.since(look.ordered_at(began, activity));
                launched.push(Launched { took, told_by, warm: is_warm(activity) });
            }
            serve.insert(member.id.clone(), serves);
        }
        let group = state.id.clone();
        self.members.insert(name.clone(), Members { group, looked_at: now, serve });
    }

    /// Launches whose hosts became healthy.
    fn hosts(&mut self, name: &ServiceName, look: &Look<'_>, launched: &mut Vec<Launched>) {
        let Some(healthy) = look.healthy.filter(|_| look.state.serving == MembersServing::Untold)
        else {
            self.hosts.remove(name);
            return;
        };
        let Some(awaited) = self.hosts.get_mut(name) else { return };
        awaited.retain(|launch| {
            let AwaitedHosts { ordered_at, in_service_at, hosts, warm } = *launch;
            if let Some(at) = healthy(in_service_at, hosts) {
                let (took, told_by) = (at.since(ordered_at), ServingSign::HealthyHosts);
                launched.push(Launched { took, told_by, warm });
                return false;
            }
            look.taken_at.since(in_service_at) < HOSTS_WITHIN
        });
    }
}

impl Look<'_> {
    /// When the capacity was ordered that something was begun for: by us where we did, else when the
    /// cloud says that it was, else when it was begun.
    fn ordered_at(&self, began: Timestamp, activity: Option<&Activity>) -> Timestamp {
        let before = |at: &Timestamp, within: Seconds| {
            *at <= began + CLOCKS_DIFFER && began.since(*at) <= within
        };
        let ours = self.ours.iter().copied().filter(|at| before(at, OURS_WITHIN)).max();
        let told = activity.and_then(|activity| activity.launch.as_ref()?.ordered_at);
        let told = told.filter(|at| before(at, ORDER_WITHIN));
        ours.or(told).unwrap_or(began).min(began)
    }

    /// When a member's launch began, and the activity that tells of it, where one does.
    fn began(&self, member: &Instance) -> Option<(Timestamp, Option<&Activity>)> {
        let is_of = |activity: &&Activity| {
            let launch = activity.launch.as_ref();
            launch.and_then(|launch| launch.instance.as_ref()) == Some(&member.id)
        };
        match self.state.activities.iter().find(is_of) {
            Some(activity) => Some((activity.started_at, Some(activity))),
            None => member.launched_at.map(|at| (at, None)),
        }
    }

    fn serves(&self, member: &Instance) -> bool {
        member.lifecycle == Lifecycle::InService
            && member.healthy
            && !self.state.serving.awaits(&member.id)
    }

    fn hosts_in_service(&self) -> u64 {
        self.state.instances.iter().filter(|member| self.serves(member)).count() as u64
    }
}

fn is_warm(activity: Option<&Activity>) -> bool {
    activity.and_then(|activity| activity.launch.as_ref()).is_some_and(|launch| launch.warm)
}

#[cfg(test)]
mod tests;
