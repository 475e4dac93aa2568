//! Reads groups: in full batches, a region apart from the others, and details as they are due.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsOutput;
use aws_sdk_autoscaling::operation::describe_policies::DescribePoliciesOutput;
use aws_sdk_autoscaling::operation::describe_scaling_activities::DescribeScalingActivitiesOutput;
use aws_sdk_autoscaling::operation::describe_scheduled_actions::DescribeScheduledActionsOutput;
use aws_sdk_autoscaling::types::{Filter, ScalingPolicy, ScheduledUpdateGroupAction};
use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::Filter as InstanceFilter;
use fleet::group::{Activity, GroupState};
use fleet::{AccountId, Fault, FaultKind, GroupId, ProviderName, Region, Timestamp};
use tokio::task::JoinSet;

use super::Probe;
use super::access::{Access, Seat};
use super::metrics::{self, GET_METRIC_DATA};
use super::pages::pages_of;
use super::translate::{self, Base};
use crate::Deadline;
use crate::call::Call;
use crate::places::Answers;
use crate::remembered::ACTIVITIES_SPAN;

pub(super) const DESCRIBE_GROUPS: Call = Call::read("autoscaling", "DescribeAutoScalingGroups");
pub(super) const DESCRIBE_POLICIES: Call = Call::read("autoscaling", "DescribePolicies");
pub(super) const DESCRIBE_SCHEDULED: Call = Call::read("autoscaling", "DescribeScheduledActions");
pub(super) const DESCRIBE_ACTIVITIES: Call = Call::read("autoscaling", "DescribeScalingActivities");
pub(super) const DESCRIBE_REFRESHES: Call = Call::read("autoscaling", "DescribeInstanceRefreshes");
pub(super) const DESCRIBE_INSTANCES: Call = Call::read("ec2", "DescribeInstances");

/// Groups in one call, and records in one page of any Auto Scaling call. [API reference]
pub(super) const PAGE: usize = 100;
const PAGE_I32: i32 = 100;
/// Pages of activities: the newest 5,000.
const ACTIVITY_PAGES_MAX: usize = 50;
/// From so many groups on, one sweep of the account's activities is cheaper than asking for each.
const ACTIVITY_SWEEP_FROM: usize = 20;
/// Instance refreshes asked for in a cycle; the call takes one group at a time.
const REFRESHES_MAX: usize = 30;
/// Instances in one page of `DescribeInstances`. [EC2 API reference]
pub(super) const INSTANCES_PAGE: i32 = 1000;
/// Values of one filter of `DescribeInstances`. [EC2 API reference]
pub(super) const FILTER_VALUES: usize = 200;
/// Launch times asked for in a cycle.
const LAUNCHES_MAX: usize = 2000;

/// Details may not cost the groups their answer: they get this share of the time left, in percent.
const DETAILS_SHARE: u32 = 80;

/// What is left for putting answers together after the last call was given up.
pub(super) const CUT_OFF_SPARE: Duration = Duration::from_millis(50);

/// Reads these groups of a region, one answer a name.
pub(super) async fn by_name(
    seat: &Arc<Seat>,
    provider: &ProviderName,
    account: &AccountId,
    names: BTreeSet<String>,
    deadline: Deadline,
) -> Answers {
    let now = seat.now();
    let soft = sooner(deadline);
    let (bases, ()) = tokio::join!(bases(seat, names, deadline), sweeps(seat, soft));
    let (found, mut answers) = sorted_out(bases);
    details(seat, &found, soft).await;
    for base in found {
        let name = base.name.clone();
        let answer = match foreign(account, &base) {
            Some(fault) => Err(fault),
            None => Ok(assembled(seat, provider, account, base, now)),
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
    let soft = sooner(deadline);
    let wanted = BTreeSet::from([name.clone()]);
    let (mut bases, (), activities, refresh) = tokio::join!(
        bases(seat, wanted, deadline),
        sweeps(seat, soft),
        activities_of(seat, &name, now - ACTIVITIES_SPAN, soft),
        refresh_of(seat, &name, soft),
    );
    let base = bases.remove(&name).ok_or_else(gone)??;
    if base.arn != id.id {
        return Err(gone());
    }
    {
        let mut details = seat.details();
        if let Ok(activities) = activities {
            details.remembered.keep_activities(&base, now, activities);
        }
        if let Some(refresh) = refresh {
            details.keep_refresh(&base.arn, now, refresh);
        }
    }
    Ok(assembled(seat, &id.provider, &id.account, base, now))
}

/// Reads all groups of a region, without their activities, refreshes and launch times.
pub(super) async fn all(
    seat: &Arc<Seat>,
    provider: &ProviderName,
    account: &AccountId,
    deadline: Deadline,
) -> Result<Vec<GroupState>, Fault> {
    let now = seat.now();
    let (bases, ()) = tokio::join!(every_base(seat, deadline), sweeps(seat, sooner(deadline)));
    let whole = |base| assembled(seat, provider, account, base, now);
    Ok(bases?.into_iter().map(whole).collect())
}

pub(super) fn sooner(deadline: Deadline) -> Deadline {
    Deadline::within(deadline.left() * DETAILS_SHARE / 100)
}

fn missing(seat: &Seat, what: &str) -> Fault {
    DESCRIBE_GROUPS.fault(FaultKind::Missing, format!("no group `{what}` in `{}`", seat.region))
}

fn unreadable(why: String) -> Fault {
    DESCRIBE_GROUPS.fault(FaultKind::Unreadable, why)
}

fn sorted_out(bases: BTreeMap<String, Result<Base, Fault>>) -> (Vec<Base>, Answers) {
    let (mut found, mut answers) = (Vec::new(), Answers::new());
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

/// Everything known of a group. Its account is called as the caller called it, so that what was
/// asked for is found again; the ARN tells accounts apart all the same.
fn assembled(
    seat: &Seat,
    provider: &ProviderName,
    account: &AccountId,
    base: Base,
    read_at: Timestamp,
) -> GroupState {
    let mut details = seat.details();
    let mut instances = base.instances.clone();
    for instance in &mut instances {
        instance.launched_at = details.launched_at(&instance.id, read_at);
    }
    GroupState {
        policies: details.remembered.native_policies(&base.name, read_at),
        scheduled: details.remembered.scheduled_actions(&base.name, read_at),
        activities: details.remembered.activities(&base.arn, read_at),
        refresh: details.refresh(&base, read_at),
        id: GroupId {
            provider: provider.clone(),
            account: account.clone(),
            region: seat.region.clone(),
            id: base.arn,
        },
        name: base.name,
        read_at,
        desired: base.desired,
        min: base.min,
        max: base.max,
        instances,
        tags: base.tags,
        suspended: base.suspended.into_iter().collect(),
        owner: base.owner,
        new_instances_protected: base.new_instances_protected,
        health_check_grace: base.health_check_grace,
        warm_up: base.warm_up,
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

/// Groups of these names, or all: by name, each as read or in words why it makes no sense.
async fn listed(
    seat: &Seat,
    names: Option<&[String]>,
    deadline: Deadline,
) -> Result<BTreeMap<String, Result<Base, String>>, Fault> {
    let request = seat
        .autoscaling
        .describe_auto_scaling_groups()
        .set_auto_scaling_group_names(names.map(<[String]>::to_vec))
        .max_records(PAGE_I32);
    let mut found = BTreeMap::new();
    let take = |page: DescribeAutoScalingGroupsOutput| {
        for group in page.auto_scaling_groups() {
            let name = group.auto_scaling_group_name().unwrap_or_default().to_owned();
            found.insert(name, translate::group(group));
        }
    };
    seat.listing(DESCRIBE_GROUPS, pages_of!(request), deadline, take).await?;
    Ok(found)
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

async fn every_policy(seat: &Seat, deadline: Deadline) -> Result<Vec<ScalingPolicy>, Fault> {
    let request = seat.autoscaling.describe_policies().max_records(PAGE_I32);
    let mut all = Vec::new();
    let take = |page: DescribePoliciesOutput| all.extend(page.scaling_policies.unwrap_or_default());
    seat.listing(DESCRIBE_POLICIES, pages_of!(request), deadline, take).await?;
    Ok(all)
}

async fn every_scheduled(
    seat: &Seat,
    deadline: Deadline,
) -> Result<Vec<ScheduledUpdateGroupAction>, Fault> {
    let request = seat.autoscaling.describe_scheduled_actions().max_records(PAGE_I32);
    let mut all = Vec::new();
    let take = |page: DescribeScheduledActionsOutput| {
        all.extend(page.scheduled_update_group_actions.unwrap_or_default());
    };
    seat.listing(DESCRIBE_SCHEDULED, pages_of!(request), deadline, take).await?;
    Ok(all)
}

/// Reads what is due of groups that were found.
async fn details(seat: &Arc<Seat>, found: &[Base], deadline: Deadline) {
    activities_due(seat, found, deadline).await;
    tokio::join!(refreshes_due(seat, found, deadline), launches_due(seat, found, deadline));
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

/// Activities of one group since then, newest first.
pub(super) async fn activities_of(
    seat: &Seat,
    name: &str,
    since: Timestamp,
    deadline: Deadline,
) -> Result<Vec<Activity>, Fault> {
    let mut all = listed_activities(seat, Some(name), since, deadline).await?;
    Ok(all.remove(name).unwrap_or_default())
}

/// Activities since then, by group, newest first: of one group, or of the whole account.
///
/// AWS lists those under way first and the others by their start, newest first; so a page whose
/// ended ones all began earlier is the last that matters.
async fn listed_activities(
    seat: &Seat,
    name: Option<&str>,
    since: Timestamp,
    deadline: Deadline,
) -> Result<BTreeMap<String, Vec<Activity>>, Fault> {
    let since_text = aws_smithy_types::DateTime::from_secs(since.0)
        .fmt(aws_smithy_types::date_time::Format::DateTime)
        .unwrap_or_default();
    let mut request = seat
        .autoscaling
        .describe_scaling_activities()
        .set_auto_scaling_group_name(name.map(str::to_owned))
        .max_records(PAGE_I32);
    if name.is_none() {
        // Spares AWS the account's six weeks. It also hides what began earlier and is still under
        // way, so a group that is asked for by itself does without.
        let filter = Filter::builder().name("StartTimeLowerBound").values(&since_text);
        request = request.filters(filter.build());
    }
    let mut groups: BTreeMap<String, Vec<Activity>> = BTreeMap::new();
    let mut read = 0;
    let take = |page: DescribeScalingActivitiesOutput| {
        read += 1;
        // One group's newest are what is wanted of it; of an account, half would look like all.
        let last = read == ACTIVITY_PAGES_MAX && name.is_some();
        let mut older = false;
        for raw in page.activities() {
            let Some(activity) = translate::activity(raw) else { continue };
            let ended = activity.ended_at.is_some();
            older |= ended && activity.started_at < since;
            if !ended || activity.started_at >= since {
                let of = raw.auto_scaling_group_name().or(name).unwrap_or_default();
                groups.entry(of.to_owned()).or_default().push(activity);
            }
        }
        if older || last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let pages = pages_of!(request);
    seat.listing_until(DESCRIBE_ACTIVITIES, pages, ACTIVITY_PAGES_MAX, deadline, take).await?;
    for list in groups.values_mut() {
        list.sort_by(|a, b| (b.started_at, &a.id).cmp(&(a.started_at, &b.id)));
    }
    Ok(groups)
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
                seat.details().keep_refresh(&base.arn, now, answer);
            }
        });
    }
    while jobs.join_next().await.is_some() {}
}

/// The refresh under way in a group; `None` while the call is left alone after it failed.
///
/// Asked once, without another attempt: where it fails, it may fail for every group, and the
/// groups' own reading must not wait for that.
async fn refresh_of(
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

async fn launches(
    seat: &Seat,
    ids: &[String],
    deadline: Deadline,
) -> Result<BTreeMap<String, Timestamp>, Fault> {
    // A filter, not `InstanceIds`: of an instance that is gone it answers nothing, where the list
    // would fail as a whole.
    let filter = (!ids.is_empty()).then(|| {
        InstanceFilter::builder().name("instance-id").set_values(Some(ids.to_vec())).build()
    });
    let request = seat
        .ec2
        .describe_instances()
        .max_results(INSTANCES_PAGE)
        .set_filters(filter.map(|filter| vec![filter]));
    let mut found = BTreeMap::new();
    let take = |page: DescribeInstancesOutput| {
        for instance in page.reservations().iter().flat_map(|r| r.instances()) {
            if let (Some(id), Some(at)) = (instance.instance_id(), instance.launch_time()) {
                found.insert(id.to_owned(), translate::stamp(at));
            }
        }
    };
    seat.listing(DESCRIBE_INSTANCES, pages_of!(request), deadline, take).await?;
    Ok(found)
}

/// Reads these groups of one account and region; whatever happens, each has an answer.
pub(super) async fn of_place(
    access: &Access,
    account: &AccountId,
    region: &Region,
    names: BTreeSet<String>,
    deadline: Deadline,
) -> Answers {
    let wanted = names.clone();
    let read = async {
        let seat = access.seat(DESCRIBE_GROUPS, account, region).await?;
        Ok(by_name(&seat, &access.settings.provider, account, wanted, deadline).await)
    };
    // Every call inside ends at the deadline; the moment more is for putting the answers together.
    let cut = deadline.0 + CUT_OFF_SPARE;
    let read = tokio::time::timeout_at(cut, read).await;
    match read.unwrap_or_else(|_| Err(DESCRIBE_GROUPS.timed_out())) {
        Ok(answers) => answers,
        Err(fault) => names.into_iter().map(|name| (name, Err(fault.clone()))).collect(),
    }
}

/// The credentials lead into another account than the configuration names.
fn foreign(wanted: &AccountId, base: &Base) -> Option<Fault> {
    let found = &base.account;
    let named = wanted.as_str().bytes().all(|b| b.is_ascii_digit());
    (named && found != wanted).then(|| {
        let why = format!("the credentials belong to account `{found}`, expected `{wanted}`");
        DESCRIBE_GROUPS.fault(FaultKind::Refused, why)
    })
}

/// Tries every call of the observer's role once.
pub(super) async fn probe(
    access: &Access,
    account: AccountId,
    region: Region,
    deadline: Deadline,
) -> Probe {
    let seat = match access.seat(DESCRIBE_GROUPS, &account, &region).await {
        Ok(seat) => seat,
        Err(fault) => {
            return Probe { account, region, identity: Err(fault), calls: BTreeMap::new() };
        }
    };
    let now = seat.now();
    let (identity, bases, policies, scheduled, activities, metrics, instances) = tokio::join!(
        seat.identity(deadline),
        listed(&seat, None, deadline),
        every_policy(&seat, deadline),
        every_scheduled(&seat, deadline),
        listed_activities(&seat, None, now - ACTIVITIES_SPAN, deadline),
        metrics::probe(&seat, deadline),
        launches(&seat, &[], deadline),
    );
    let first = bases.as_ref().ok().and_then(|bases| bases.keys().next().cloned());
    let mut calls = BTreeMap::from([
        (DESCRIBE_GROUPS.permission(), bases.map(drop)),
        (DESCRIBE_POLICIES.permission(), policies.map(drop)),
        (DESCRIBE_SCHEDULED.permission(), scheduled.map(drop)),
        (DESCRIBE_ACTIVITIES.permission(), activities.map(drop)),
        (GET_METRIC_DATA.permission(), metrics),
        (DESCRIBE_INSTANCES.permission(), instances.map(drop)),
    ]);
    if let Some(name) = first
        && let Some(refresh) = refresh_of(&seat, &name, deadline).await
    {
        calls.insert(DESCRIBE_REFRESHES.permission(), refresh.map(drop));
    }
    Probe { account, region, identity, calls }
}
