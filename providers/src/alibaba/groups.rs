//! Reads scaling groups: listings of a region side by side, each listing's pages in order, details
//! as they are due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet::group::{Activity, GroupState, NativePolicy, ScheduledAction};
use fleet::{AccountId, Fault, FaultKind, GroupId, Region, Timestamp};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::access::{Access, Seat};
use super::endpoint::Product;
use super::params::Params;
use super::translate::{
    self, ActivitiesPage, Base, Group, GroupsPage, Member, MembersPage, Rule, RulesPage, TasksPage,
};
use crate::Deadline;
use crate::call::Call;
use crate::home::Home;
use crate::places::{self, GroupAnswers};
use crate::remembered::ACTIVITIES_SPAN;

pub(super) const DESCRIBE_GROUPS: Call = Call::read("ess", "DescribeScalingGroups");
pub(super) const DESCRIBE_MEMBERS: Call = Call::read("ess", "DescribeScalingInstances");
pub(super) const DESCRIBE_ACTIVITIES: Call = Call::read("ess", "DescribeScalingActivities");
pub(super) const DESCRIBE_RULES: Call = Call::read("ess", "DescribeScalingRules");
pub(super) const DESCRIBE_TASKS: Call = Call::read("ess", "DescribeScheduledTasks");

/// Records of a page, of all listings but that of members. [ESS API reference]
pub(super) const PAGE: usize = 50;
/// Members of a page. [ESS API reference]
const MEMBERS_PAGE: usize = 100;
/// Names or ids of groups in one call. [ESS API reference]
pub(super) const NAMES: usize = 20;
/// Up to so many groups their members are asked for group by group; of more, the whole region's
/// members are listed, which takes fewer calls.
const GROUP_BY_GROUP: usize = 20;
/// Pages that one listing may have: 100,000 members.
const PAGES_MAX: usize = 1000;
/// Pages of a group's activities: the newest 500.
const ACTIVITY_PAGES_MAX: usize = 10;
/// How the ids of groups begin.
const ID_PREFIX: &str = "asg-";

/// A page of a numbered listing: how many records there are, and those of the page.
trait NumberedPage: DeserializeOwned {
    type Record;
    fn take(self) -> (usize, Vec<Self::Record>);
}

macro_rules! page {
    ($page:ty, $record:ty, $field:ident) => {
        impl NumberedPage for $page {
            type Record = $record;
            fn take(self) -> (usize, Vec<$record>) {
                (self.total_count, self.$field)
            }
        }
    };
}

page!(GroupsPage, Group, scaling_groups);
page!(MembersPage, Member, scaling_instances);
page!(ActivitiesPage, translate::ActivityOnWire, scaling_activities);
page!(RulesPage, Rule, scaling_rules);
page!(TasksPage, translate::Task, scheduled_tasks);

/// Reads a listing page by page, until it is whole or `enough` says so.
async fn listed<P: NumberedPage>(
    seat: &Seat,
    call: Call,
    params: Params,
    size: usize,
    deadline: Deadline,
    enough: impl Fn(&[P::Record], usize) -> bool,
) -> Result<Vec<P::Record>, Fault> {
    let mut all = Vec::new();
    for number in 1..=PAGES_MAX {
        let asked = params.clone().with("PageNumber", number).with("PageSize", size);
        let page: P = seat.call(call, Product::Ess, asked, deadline).await?;
        let (total, mut records) = page.take();
        let last = records.is_empty();
        all.append(&mut records);
        if last || all.len() >= total || enough(&all, number) {
            return Ok(all);
        }
    }
    Err(call.endless(PAGES_MAX))
}

fn never<T>(_: &[T], _: usize) -> bool {
    false
}

async fn groups_listed(
    seat: &Seat,
    params: Params,
    deadline: Deadline,
) -> Result<Vec<Base>, Fault> {
    let wire = listed::<GroupsPage>(seat, DESCRIBE_GROUPS, params, PAGE, deadline, never).await?;
    Ok(wire.into_iter().map(translate::group).collect())
}

/// The members of groups: of one, of the region's, or of the groups of some instances.
pub(super) async fn members_listed(
    seat: &Seat,
    params: Params,
    deadline: Deadline,
) -> Result<Vec<Member>, Fault> {
    listed::<MembersPage>(seat, DESCRIBE_MEMBERS, params, MEMBERS_PAGE, deadline, never).await
}

/// Reads these groups of a region, one answer a name.
pub(super) async fn by_name(
    seat: &Arc<Seat>,
    home: &Home,
    names: BTreeSet<String>,
    deadline: Deadline,
) -> GroupAnswers {
    let now = seat.now();
    let soft = deadline.of_details();
    // Of many groups the region's members are listed, beside the groups themselves.
    let many = names.len() > GROUP_BY_GROUP;
    let of_region = async {
        match many {
            true => Some(members_listed(seat, seat.params(), deadline).await),
            false => None,
        }
    };
    let (bases, members, ()) =
        tokio::join!(bases(seat, names, deadline), of_region, sweeps(seat, soft));
    let mut answers = GroupAnswers::new();
    let (mut found, mut asked) = (Vec::new(), Vec::new());
    for (name, base) in bases {
        match base {
            Ok(base) => {
                found.push(base);
                asked.push(name);
            }
            Err(fault) => {
                answers.insert(name, Err(fault));
            }
        }
    }
    let filled = match members {
        Some(members) => shared_out(seat, found, members, deadline).await,
        None => each_with_members(seat, found, deadline).await,
    };
    let whole: Vec<Base> = filled.iter().filter_map(|base| base.clone().ok()).collect();
    activities_due(seat, &whole, soft).await;
    for (name, base) in asked.into_iter().zip(filled) {
        answers.insert(name, base.map(|base| assembled(seat, home, base, now)));
    }
    seat.remembered().forget(now);
    answers
}

/// Reads one group past the cache of activities.
pub(super) async fn fresh(
    seat: &Arc<Seat>,
    id: &GroupId,
    deadline: Deadline,
) -> Result<GroupState, Fault> {
    let now = seat.now();
    let soft = deadline.of_details();
    let (base, (), activities) = tokio::join!(
        one(seat, &id.id, deadline),
        sweeps(seat, soft),
        activities_of(seat, &id.id, now - ACTIVITIES_SPAN, soft),
    );
    let mut whole = each_with_members(seat, vec![base?], deadline).await;
    let base = whole.pop().unwrap_or_else(|| Err(missing(seat, &id.id)))?;
    if let Ok(activities) = activities {
        seat.remembered().keep_activities(&base, now, activities);
    }
    Ok(assembled(seat, &Home::of(id), base, now))
}

/// One group by its id, without its members.
pub(super) async fn one(seat: &Seat, id: &str, deadline: Deadline) -> Result<Base, Fault> {
    let params = seat.params().with_list("ScalingGroupIds", [id]);
    let found = groups_listed(seat, params, deadline).await?;
    found.into_iter().find(|base| base.id == id).ok_or_else(|| missing(seat, id))
}

/// One group by its name or its id, with its members.
pub(super) async fn whole(seat: &Seat, name: &str, deadline: Deadline) -> Result<Base, Fault> {
    let parameter = match name.starts_with(ID_PREFIX) {
        true => "ScalingGroupIds",
        false => "ScalingGroupNames",
    };
    let params = seat.params().with_list(parameter, [name]);
    let found = groups_listed(seat, params, deadline).await?;
    let found = found.into_iter().find(|base| base.name == name || base.id == name);
    let mut base = found.ok_or_else(|| missing(seat, name))?;
    let params = seat.params().with("ScalingGroupId", &base.id);
    fill(&mut base, members_listed(seat, params, deadline).await?);
    Ok(base)
}

/// Reads all groups of a region, without their activities.
pub(super) async fn all(
    seat: &Arc<Seat>,
    home: &Home,
    deadline: Deadline,
) -> Result<Vec<GroupState>, Fault> {
    let now = seat.now();
    let (bases, members, ()) = tokio::join!(
        groups_listed(seat, seat.params(), deadline),
        members_listed(seat, seat.params(), deadline),
        sweeps(seat, deadline.of_details()),
    );
    let mut members = by_group(members?);
    let whole = |mut base: Base| {
        let own = members.remove(&base.id).unwrap_or_default();
        fill(&mut base, own);
        assembled(seat, home, base, now)
    };
    Ok(bases?.into_iter().map(whole).collect())
}

fn missing(seat: &Seat, what: &str) -> Fault {
    DESCRIBE_GROUPS.fault(FaultKind::Missing, format!("no group `{what}` in `{}`", seat.region))
}

/// Everything known of a group.
fn assembled(seat: &Seat, home: &Home, base: Base, read_at: Timestamp) -> GroupState {
    let id = base.id.clone();
    seat.members().keep([&base.name, &base.id], &base.instances, read_at);
    let remembered = seat.remembered();
    let refresh = remembered.refresh(&id, read_at);
    let serving = translate::members_serving(&base.own.warming);
    GroupState { refresh, serving, ..base.shown(home, &id, &remembered, read_at) }
}

/// The groups of these names or ids: calls under way together, each answering for its own.
async fn bases(
    seat: &Arc<Seat>,
    names: BTreeSet<String>,
    deadline: Deadline,
) -> BTreeMap<String, Result<Base, Fault>> {
    let (ids, plain): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| name.starts_with(ID_PREFIX));
    let mut jobs = JoinSet::new();
    for (parameter, wanted) in [("ScalingGroupIds", ids), ("ScalingGroupNames", plain)] {
        for batch in wanted.chunks(NAMES) {
            let (seat, batch) = (Arc::clone(seat), batch.to_vec());
            jobs.spawn(async move {
                let params = seat.params().with_list(parameter, &batch);
                let answer = groups_listed(&seat, params, deadline).await;
                answers_of(&seat, batch, answer)
            });
        }
    }
    let mut read = BTreeMap::new();
    while let Some(done) = jobs.join_next().await {
        read.extend(done.unwrap_or_default());
    }
    read
}

fn answers_of(
    seat: &Seat,
    asked: Vec<String>,
    answer: Result<Vec<Base>, Fault>,
) -> BTreeMap<String, Result<Base, Fault>> {
    let found = |name: &str| match &answer {
        Err(fault) => Err(fault.clone()),
        Ok(bases) => bases
            .iter()
            .find(|base| base.name == name || base.id == name)
            .cloned()
            .ok_or_else(|| missing(seat, name)),
    };
    asked.into_iter().map(|name| (name.clone(), found(&name))).collect()
}

fn by_group(members: Vec<Member>) -> BTreeMap<String, Vec<Member>> {
    let mut groups: BTreeMap<String, Vec<Member>> = BTreeMap::new();
    for member in members {
        groups.entry(member.scaling_group_id.clone()).or_default().push(member);
    }
    groups
}

fn fill(base: &mut Base, members: Vec<Member>) {
    let warmed_up =
        |member: &Member| Some((member.instance_id.clone(), translate::has_warmed_up(member)?));
    base.own.warming = members.iter().filter_map(warmed_up).collect();
    base.buys_spot |= members.iter().any(Member::is_spot);
    base.instances = members.into_iter().map(translate::member).collect();
    // A listing that moved under our feet may show one twice.
    base.instances.sort_by(|a, b| a.id.cmp(&b.id));
    base.instances.dedup_by(|a, b| a.id == b.id);
}

/// The groups with their share of the region's members.
async fn shared_out(
    seat: &Arc<Seat>,
    bases: Vec<Base>,
    members: Result<Vec<Member>, Fault>,
    deadline: Deadline,
) -> Vec<Result<Base, Fault>> {
    let mut members = match members {
        Ok(members) => by_group(members),
        Err(fault) => return bases.into_iter().map(|_| Err(fault.clone())).collect(),
    };
    let mut whole: Vec<Result<Base, Fault>> = Vec::with_capacity(bases.len());
    let mut torn = Vec::new();
    for mut base in bases {
        let own = members.remove(&base.id).unwrap_or_default();
        fill(&mut base, own);
        // The listing took many pages: a group that changed meanwhile is read by itself.
        if base.instances.len() != base.own.instances_listed && torn.len() < GROUP_BY_GROUP {
            torn.push((whole.len(), base.clone()));
        }
        whole.push(Ok(base));
    }
    let (places, again): (Vec<usize>, Vec<Base>) = torn.into_iter().unzip();
    for (place, base) in places.into_iter().zip(each_with_members(seat, again, deadline).await) {
        whole[place] = base;
    }
    whole
}

/// The groups with their members, each asked for by itself.
async fn each_with_members(
    seat: &Arc<Seat>,
    bases: Vec<Base>,
    deadline: Deadline,
) -> Vec<Result<Base, Fault>> {
    places::each(bases, DESCRIBE_MEMBERS.lost(), |mut base| {
        let seat = Arc::clone(seat);
        async move {
            let params = seat.params().with("ScalingGroupId", &base.id);
            fill(&mut base, members_listed(&seat, params, deadline).await?);
            Ok(base)
        }
    })
    .await
}

/// Reads rules and tasks of the whole region where they are due.
async fn sweeps(seat: &Seat, deadline: Deadline) {
    let now = seat.now();
    let due = {
        let remembered = seat.remembered();
        remembered.policies.is_due(now) || remembered.scheduled.is_due(now)
    };
    if !due {
        return;
    }
    let (rules, tasks) = tokio::join!(
        rules_listed(seat, deadline),
        listed::<TasksPage>(seat, DESCRIBE_TASKS, seat.params(), PAGE, deadline, never),
    );
    let tasks = tasks.and_then(|tasks| tasks_by_group(&tasks, rules.as_ref(), now));
    let policies = rules.map(|rules| {
        let mut groups: BTreeMap<String, Vec<NativePolicy>> = BTreeMap::new();
        for rule in &rules {
            groups.entry(rule.scaling_group_id.clone()).or_default().push(translate::rule(rule));
        }
        groups
    });
    let mut remembered = seat.remembered();
    remembered.policies.keep(now, policies);
    remembered.scheduled.keep(now, tasks);
}

async fn rules_listed(seat: &Seat, deadline: Deadline) -> Result<Vec<Rule>, Fault> {
    let params = seat.params().with("ShowAlarmRules", true);
    listed::<RulesPage>(seat, DESCRIBE_RULES, params, PAGE, deadline, never).await
}

/// Tasks by group; one that executes a rule belongs to the rule's group.
fn tasks_by_group(
    tasks: &[translate::Task],
    rules: Result<&Vec<Rule>, &Fault>,
    now: Timestamp,
) -> Result<BTreeMap<String, Vec<ScheduledAction>>, Fault> {
    let mut groups: BTreeMap<String, Vec<ScheduledAction>> = BTreeMap::new();
    for task in tasks {
        let Some(action) = translate::task(task, now) else { continue };
        let group = if task.scaling_group_id.is_empty() {
            let rules = rules.map_err(Fault::clone)?;
            let rule = rules.iter().find(|rule| rule.scaling_rule_ari == task.scheduled_action);
            rule.map(|rule| &rule.scaling_group_id)
        } else {
            Some(&task.scaling_group_id)
        };
        if let Some(group) = group {
            groups.entry(group.clone()).or_default().push(action);
        }
    }
    Ok(groups)
}

async fn activities_due(seat: &Arc<Seat>, found: &[Base], deadline: Deadline) {
    let now = seat.now();
    let due: Vec<Base> =
        seat.remembered().activities_due(found, now).into_iter().cloned().collect();
    let since = now - ACTIVITIES_SPAN;
    let mut jobs = JoinSet::new();
    for base in due {
        let seat = Arc::clone(seat);
        jobs.spawn(async move {
            if let Ok(list) = activities_of(&seat, &base.id, since, deadline).await {
                seat.remembered().keep_activities(&base, now, list);
            }
        });
    }
    while jobs.join_next().await.is_some() {}
}

/// Activities of one group since then and those under way, newest first.
pub(super) async fn activities_of(
    seat: &Seat,
    id: &str,
    since: Timestamp,
    deadline: Deadline,
) -> Result<Vec<Activity>, Fault> {
    let params = seat.params().with("ScalingGroupId", id);
    let counts = |a: &Activity| a.ended_at.is_none() || a.started_at >= since;
    // Newest first: a page that ends before `since` is the last that matters.
    let enough = |wire: &[translate::ActivityOnWire], number: usize| {
        let last = wire.last().map(translate::activities).unwrap_or_default();
        number >= ACTIVITY_PAGES_MAX || last.first().is_some_and(|a| !counts(a))
    };
    let wire =
        listed::<ActivitiesPage>(seat, DESCRIBE_ACTIVITIES, params, PAGE, deadline, enough).await?;
    if let Some((task, at)) = translate::refresh(&wire, seat.now()) {
        seat.remembered().keep_refresh(id, task, at);
    }
    let mut all: Vec<Activity> =
        wire.iter().flat_map(translate::activities).filter(counts).collect();
    all.sort_by(|a, b| (b.started_at, &a.id).cmp(&(a.started_at, &b.id)));
    Ok(all)
}

/// Reads these groups of one account and region; whatever happens, each has an answer.
pub(super) async fn of_place(
    access: &Access,
    account: &AccountId,
    region: &Region,
    names: BTreeSet<String>,
    deadline: Deadline,
) -> GroupAnswers {
    let wanted = names.clone();
    let read = async {
        let seat = access.seat(DESCRIBE_GROUPS, account, region)?;
        let home = access.settings.home(account, region);
        Ok(by_name(&seat, &home, wanted, deadline).await)
    };
    // Every call inside ends at the deadline; the moment more is for putting the answers together.
    let answers = DESCRIBE_GROUPS.by(deadline.and_a_moment(), read).await;
    answers
        .unwrap_or_else(|fault| names.into_iter().map(|name| (name, Err(fault.clone()))).collect())
}
