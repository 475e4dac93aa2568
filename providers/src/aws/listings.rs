//! The listings that groups are read from, each in full.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsOutput;
use aws_sdk_autoscaling::operation::describe_policies::DescribePoliciesOutput;
use aws_sdk_autoscaling::operation::describe_scaling_activities::DescribeScalingActivitiesOutput;
use aws_sdk_autoscaling::operation::describe_scheduled_actions::DescribeScheduledActionsOutput;
use aws_sdk_autoscaling::types::{Filter, ScalingPolicy, ScheduledUpdateGroupAction};
use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::Filter as InstanceFilter;
use fleet::group::Activity;
use fleet::{Fault, Timestamp};

use super::access::Seat;
use super::pages::pages_of;
use super::translate::{self, Base, Senseless};
use crate::Deadline;
use crate::call::Call;

pub(super) const DESCRIBE_GROUPS: Call = Call::read("autoscaling", "DescribeAutoScalingGroups");
pub(super) const DESCRIBE_POLICIES: Call = Call::read("autoscaling", "DescribePolicies");
pub(super) const DESCRIBE_SCHEDULED: Call = Call::read("autoscaling", "DescribeScheduledActions");
pub(super) const DESCRIBE_ACTIVITIES: Call = Call::read("autoscaling", "DescribeScalingActivities");
pub(super) const DESCRIBE_INSTANCES: Call = Call::read("ec2", "DescribeInstances");

/// Groups in one call, and records in one page of any Auto Scaling call. [API reference]
pub(super) const PAGE: usize = 100;
pub(super) const PAGE_I32: i32 = 100;
/// Pages of activities: the newest 5,000.
const ACTIVITY_PAGES_MAX: usize = 50;
/// Instances in one page of `DescribeInstances`. [EC2 API reference]
pub(super) const INSTANCES_PAGE: i32 = 1000;

/// Groups of these names, or all: by name, each as read or why it makes no sense.
pub(super) async fn listed(
    seat: &Seat,
    names: Option<&[String]>,
    deadline: Deadline,
) -> Result<BTreeMap<String, Result<Base, Senseless>>, Fault> {
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

pub(super) async fn every_policy(
    seat: &Seat,
    deadline: Deadline,
) -> Result<Vec<ScalingPolicy>, Fault> {
    let request = seat.autoscaling.describe_policies().max_records(PAGE_I32);
    let mut all = Vec::new();
    let take = |page: DescribePoliciesOutput| all.extend(page.scaling_policies.unwrap_or_default());
    seat.listing(DESCRIBE_POLICIES, pages_of!(request), deadline, take).await?;
    Ok(all)
}

pub(super) async fn every_scheduled(
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
pub(super) async fn listed_activities(
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

pub(super) async fn launches(
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
