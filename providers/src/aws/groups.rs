//! Reads groups: in full batches, a region apart from the others, and details as they are due.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use fleet::group::GroupState;
use fleet::{AccountId, Fault, FaultKind, GroupId, Region, Timestamp};
use tokio::task::JoinSet;

use super::access::{Access, Seat};
use super::health;
use super::listings::{
    DESCRIBE_GROUPS, PAGE, PAGE_I32, activities_of, every_policy, every_scheduled, launches,
    listed, listed_activities,
};
use super::translate::{self, Base, OfAws};
use crate::Deadline;
use crate::call::Call;
use crate::home::Home;
use crate::places::GroupAnswers;
use crate::remembered::ACTIVITIES_SPAN;

pub(super) const DESCRIBE_REFRESHES: Call = Call::read("autoscaling", "DescribeInstanceRefreshes");

/// From so many groups on, one sweep of the account's activities is cheaper than asking for each.
const ACTIVITY_SWEEP_FROM: usize = 20;
/// Instance refreshes asked for in a cycle; the call takes one group at a time.
const REFRESHES_MAX: usize = 30;
/// Values of one filter of `DescribeInstances`. [EC2 API reference]
pub(super) const FILTER_VALUES: usize = 200;
/// Launch times asked for in a cycle.
const LAUNCHES_MAX: usize = 2000;

/// Reads these groups of a region, one answer a name.
pub(super) async fn by_name(
    seat: &Arc<Seat>,
    home: &Home,
    names: BTreeSet<String>,
    deadline: Deadline,
) -> GroupAnswers {
    let now = seat.now();
    let soft = deadline.of_details();
    let (bases, ()) = tokio::join!(bases(seat, names, deadline), sweeps(seat, soft));
    let (found, mut answers) = sorted_out(bases);
    details(seat, &found, soft).await;
    for base in found {
        let name = base.name.clone();
        let answer = match foreign(&home.account, &base) {
            Some(fault) => Err(fault),
            None => Ok(assembled(seat, home, base, now)),
        };
        answers.insert(name, answer);
    }
    seat.details().forget(now);
    answers
}

/// Reads one group past the caches of activities and refreshes.
pub(super) async fn fresh(
    seat: &Arc<Seat>,
    id: &GroupId,
    deadline: Deadline,
) -> Result<GroupState, Fault> {
    let gone = || missing(seat, &id.id);
    let name = translate::name_in(&id.id).ok_or_else(gone)?.to_owned();
    let now = seat.now();
    let soft = deadline.of_details();
    let wanted = BTreeSet::from([name.clone()]);
    let (mut bases, (), activities, refresh) = tokio::join!(
        bases(seat, wanted, deadline),
        sweeps(seat, soft),
        activities_of(seat, &name, now - ACTIVITIES_SPAN, soft),
        refresh_of(seat, &name, soft),
    );
    let base = bases.remove(&name).ok_or_else(gone)??;
    if base.id != id.id {
        return Err(gone());
    }
    {
        let mut details = seat.details();
        if let Ok(activities) = activities {
            details.remembered.keep_activities(&base, now, activities);
        }
        if let Some(refresh) = refresh {
            details.keep_refresh(&base.id, now, refresh);
        }
    }
    Ok(assembled(seat, &Home::of(id), base, now))
}

/// Reads all groups of a region, without their activities, refreshes and launch times.
pub(super) async fn all(
    seat: &Arc<Seat>,
    home: &Home,
    deadline: Deadline,
) -> Result<Vec<GroupState>, Fault> {
    let now = seat.now();
    let (bases, ()) = tokio::join!(every_base(seat, deadline), sweeps(seat, deadline.of_details()));
    let whole = |base| assembled(seat, home, base, now);
    Ok(bases?.into_iter().map(whole).collect())
}

fn missing(seat: &Seat, what: &str) -> Fault {
    DESCRIBE_GROUPS.fault(FaultKind::Missing, format!("no group `{what}` in `{}`", seat.region))
}

fn unreadable(why: impl Display) -> Fault {
    DESCRIBE_GROUPS.fault(FaultKind::Unreadable, why)
}

fn sorted_out(bases: BTreeMap<String, Result<Base, Fault>>) -> (Vec<Base>, GroupAnswers) {
    let (mut found, mut answers) = (Vec::new(), GroupAnswers::new());
    for (name, base) in bases {
        match base {
            Ok(base) => found.push(base),
            Err(fault) => {
                answers.insert(name, Err(fault));
            }
        }
    }
    (found, answers)
}

/// Everything known of a group.
fn assembled(seat: &Seat, home: &Home, mut base: Base, read_at: Timestamp) -> GroupState {
    let mut details = seat.details();
    for instance in &mut base.instances {
        instance.launched_at = details.launched_at(&instance.id, read_at);
    }
    let refresh = details.refresh(&base, read_at);
    let serving = details.members_serving(&base, read_at);
    let OfAws { new_instances_protected, health_check_grace, warm_up, .. } = base.own;
    let name = base.name.clone();
    GroupState {
        refresh,
        new_instances_protected,
        health_check_grace,
        warm_up,
        serving,
        ..base.shown(home, &name, &details.remembered, read_at)
    }
}

/// The groups of these names: batches under way together, each answering for its own.
async fn bases(
    seat: &Arc<Seat>,
    names: BTreeSet<String>,
    deadline: Deadline,
) -> BTreeMap<String, Result<Base, Fault>> {
    let all: Vec<String> = names.into_iter().collect();
    let mut jobs = JoinSet::new();
    for batch in all.chunks(PAGE) {
        let (seat, batch) = (Arc::clone(seat), batch.to_vec());
        jobs.spawn(async move { batch_of(&seat, batch, deadline).await });
    }
    let mut answers = BTreeMap::new();
    while let Some(batch) = jobs.join_next().await {
        answers.extend(batch.unwrap_or_default());
    }
    for name in all {
        let lost = || Err(unreadable(format!("reading `{name}` was broken off")));
        answers.entry(name.clone()).or_insert_with(lost);
    }
    answers
}

async fn batch_of(
    seat: &Seat,
    names: Vec<String>,
    deadline: Deadline,
) -> BTreeMap<String, Result<Base, Fault>> {
    match listed(seat, Some(&names), deadline).await {
        Err(fault) => names.into_iter().map(|name| (name, Err(fault.clone()))).collect(),
        Ok(mut found) => names
            .into_iter()
            .map(|name| {
                let answer = match found.remove(&name) {
                    Some(base) => base.map_err(unreadable),
                    None => Err(missing(seat, &name)),
                };
                (name, answer)
            })
            .collect(),
    }
}

async fn every_base(seat: &Seat, deadline: Deadline) -> Result<Vec<Base>, Fault> {
    let found = listed(seat, None, deadline).await?;
    found.into_values().map(|base| base.map_err(unreadable)).collect()
}

/// Reads policies and scheduled actions of the whole region where they are due.
async fn sweeps(seat: &Seat, deadline: Deadline) {
    let now = seat.now();
    let (policies, scheduled) = {
        let details = seat.details();
        (details.remembered.policies.is_due(now), details.remembered.scheduled.is_due(now))
    };
    tokio::join!(
        async {
            if policies {
                let read = every_policy(seat, deadline).await.map(|all| {
                    by_group(all, |p| p.auto_scaling_group_name(), |p| Some(translate::policy(p)))
                });
                seat.details().remembered.policies.keep(now, read);
            }
        },
        async {
            if scheduled {
                let read = every_scheduled(seat, deadline).await.map(|all| {
                    by_group(all, |a| a.auto_scaling_group_name(), |a| translate::scheduled(a, now))
                });
                seat.details().remembered.scheduled.keep(now, read);
            }
        },
    );
}

fn by_group<A, T>(
    all: Vec<A>,
    name: impl Fn(&A) -> Option<&str>,
    read: impl Fn(&A) -> Option<T>,
) -> BTreeMap<String, Vec<T>> {
    let mut groups: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for one in &all {
        if let (Some(name), Some(value)) = (name(one), read(one)) {
            groups.entry(name.to_owned()).or_default().push(value);
        }
    }
    groups
}

/// Reads what is due of groups that were found.
async fn details(seat: &Arc<Seat>, found: &[Base], deadline: Deadline) {
    activities_due(seat, found, deadline).await;
    // Who is young is known by launch times.
    let serving = async {
        launches_due(seat, found, deadline).await;
        health::read_due(seat, found, deadline).await;
    };
    tokio::join!(refreshes_due(seat, found, deadline), serving);
}

async fn activities_due(seat: &Arc<Seat>, found: &[Base], deadline: Deadline) {
    let now = seat.now();
    let due: Vec<Base> = {
        let details = seat.details();
        details.remembered.activities_due(found, now).into_iter().cloned().collect()
    };
    let since = now - ACTIVITIES_SPAN;
    if due.len() >= ACTIVITY_SWEEP_FROM {
        // Where the sweep fails (it may be slow in an old account), what is known stands.
        if let Ok(mut swept) = listed_activities(seat, None, since, deadline).await {
            let mut details = seat.details();
            for base in &due {
                let list = swept.remove(&base.name).unwrap_or_default();
                details.remembered.keep_activities(base, now, list);
            }
        }
        return;
    }
    let mut jobs = JoinSet::new();
    for base in due {
        let seat = Arc::clone(seat);
        jobs.spawn(async move {
            if let Ok(list) = activities_of(&seat, &base.name, since, deadline).await {
                seat.details().remembered.keep_activities(&base, now, list);
            }
        });
    }
    while jobs.join_next().await.is_some() {}
}

async fn refreshes_due(seat: &Arc<Seat>, found: &[Base], deadline: Deadline) {
    let now = seat.now();
    let due: Vec<Base> = {
        let details = seat.details();
        let due = details.refreshes_due(found, now);
        due.into_iter().take(REFRESHES_MAX).cloned().collect()
    };
    let mut jobs = JoinSet::new();
    for base in due {
        let seat = Arc::clone(seat);
        jobs.spawn(async move {
            if let Some(answer) = refresh_of(&seat, &base.name, deadline).await {
                seat.details().keep_refresh(&base.id, now, answer);
            }
        });
    }
    while jobs.join_next().await.is_some() {}
}

/// The refresh under way in a group; `None` while the call is left alone after it failed.
///
/// Asked once, without another attempt: where it fails, it may fail for every group, and the
/// groups' own reading must not wait for that.
pub(super) async fn refresh_of(
    seat: &Seat,
    name: &str,
    deadline: Deadline,
) -> Option<Result<Option<String>, Fault>> {
    let rest = seat.details().refreshes_rest(seat.now());
    if rest {
        return None;
    }
    // Newest first: one page tells whether any is not over.
    let send = seat
        .once
        .describe_instance_refreshes()
        .auto_scaling_group_name(name)
        .max_records(PAGE_I32)
        .send();
    let page = seat.call(DESCRIBE_REFRESHES, deadline, send).await;
    Some(page.map(|page| page.instance_refreshes().iter().find_map(translate::refresh)))
}

async fn launches_due(seat: &Seat, found: &[Base], deadline: Deadline) {
    let now = seat.now();
    let due = seat.details().launches_due(found, now, LAUNCHES_MAX);
    for ids in due.chunks(FILTER_VALUES) {
        let answer = launches(seat, ids, deadline).await;
        let failed = answer.is_err();
        seat.details().keep_launches(ids, now, answer);
        if failed {
            return;
        }
    }
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
        let seat = access.seat(DESCRIBE_GROUPS, account, region).await?;
        let home = access.settings.home(account, region);
        Ok(by_name(&seat, &home, wanted, deadline).await)
    };
    // Every call inside ends at the deadline; the moment more is for putting the answers together.
    let answers = DESCRIBE_GROUPS.by(deadline.and_a_moment(), read).await;
    answers
        .unwrap_or_else(|fault| names.into_iter().map(|name| (name, Err(fault.clone()))).collect())
}

/// The credentials lead into another account than the configuration names.
fn foreign(wanted: &AccountId, base: &Base) -> Option<Fault> {
    let found = &base.own.account;
    let named = wanted.as_str().bytes().all(|b| b.is_ascii_digit());
    (named && found != wanted).then(|| {
        let why = format!("the credentials belong to account `{found}`, expected `{wanted}`");
        DESCRIBE_GROUPS.fault(FaultKind::Refused, why)
    })
}
