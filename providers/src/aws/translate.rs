//! AWS's own types into the fleet's vocabulary; what is not understood is said, never guessed.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types as aws;
use aws_smithy_types::DateTime;
use fleet::group::{
    Activity, ActivityKind, ActivityStatus, Instance, Lifecycle, NativePolicy, NativePolicyKind,
    Process, ScheduledAction, WarmPool,
};
use fleet::{AccountId, Seconds, Timestamp, Units, text};

use super::{cause, owner};
use crate::listed::ListedGroup;

/// The longest cause of an activity, in characters.
const CAUSE_CHARS: usize = 300;

/// A group as one call tells it; its id is its ARN.
pub(super) type Base = ListedGroup<OfAws>;

/// What AWS alone tells of a group.
#[derive(Clone, Debug)]
pub(super) struct OfAws {
    pub(super) account: AccountId,
    pub(super) new_instances_protected: bool,
    pub(super) health_check_grace: Seconds,
    pub(super) warm_up: Option<Seconds>,
    /// The target groups that its members are registered in.
    pub(super) target_groups: BTreeSet<String>,
    /// Its members were made from more than one template: a refresh may be under way.
    pub(super) mixed_templates: bool,
}

/// Why a group makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Senseless {
    #[error("a group without a name")]
    Nameless,
    #[error("`{group}` has no {what}")]
    Absent { group: String, what: &'static str },
    #[error("`{group}` has a {what} of {found}")]
    Size { group: String, what: &'static str, found: i32 },
    #[error("`{group}` has an ARN of `{arn}`")]
    Arn { group: String, arn: String },
    #[error("`{group}`: {why}")]
    Member { group: String, why: SenselessMember },
}

/// Why a member of a group makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SenselessMember {
    #[error("an instance without an id")]
    Nameless,
    #[error("`{id}` has a weight of `{weight}`")]
    Weight { id: String, weight: String },
}

/// Reads a group.
///
/// # Errors
/// Where a number that decisions rest on is absent or senseless.
pub(super) fn group(group: &aws::AutoScalingGroup) -> Result<Base, Senseless> {
    let name = group.auto_scaling_group_name().ok_or(Senseless::Nameless)?.to_owned();
    let absent = |what| Senseless::Absent { group: name.clone(), what };
    let arn = group.auto_scaling_group_arn().ok_or_else(|| absent("ARN"))?;
    let account = account_in(arn)
        .ok_or_else(|| Senseless::Arn { group: name.clone(), arn: arn.to_owned() })?;
    let size = |value: Option<i32>, what| {
        let found = value.ok_or_else(|| absent(what))?;
        let senseless = |_| Senseless::Size { group: name.clone(), what, found };
        u32::try_from(found).map(Units).map_err(senseless)
    };
    let tags: BTreeMap<String, String> = group
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
        .collect();
    let mut instances = Vec::with_capacity(group.instances().len());
    for member in group.instances() {
        let read = instance(member);
        instances.push(read.map_err(|why| Senseless::Member { group: name.clone(), why })?);
    }
    instances.sort_by(|a: &Instance, b: &Instance| a.id.cmp(&b.id));
    let principal = group.operator().and_then(|operator| operator.principal());
    Ok(Base {
        id: arn.to_owned(),
        desired: size(group.desired_capacity(), "desired capacity")?,
        min: size(group.min_size(), "minimum size")?,
        max: size(group.max_size(), "maximum size")?,
        instances,
        owner: owner::owner(principal, &tags),
        buys_spot: buys_spot(group),
        warm_pool: warm_pool(group),
        tags,
        suspended: group
            .suspended_processes()
            .iter()
            .filter_map(|suspended| suspended.process_name())
            .map(process)
            .collect(),
        own: OfAws {
            account,
            new_instances_protected: group.new_instances_protected_from_scale_in().unwrap_or(false),
            health_check_grace: seconds(group.health_check_grace_period()).unwrap_or(Seconds::ZERO),
            warm_up: seconds(group.default_instance_warmup()),
            target_groups: target_groups(group),
            mixed_templates: mixed_templates(group.instances()),
        },
        name,
    })
}

/// The target groups, by ARN, in either of the two fields that tell of them.
fn target_groups(group: &aws::AutoScalingGroup) -> BTreeSet<String> {
    let sources = group.traffic_sources().iter().filter_map(|source| source.identifier());
    let all = group.target_group_arns().iter().map(String::as_str).chain(sources);
    all.filter(|arn| arn.contains(":targetgroup/")).map(str::to_owned).collect()
}

/// Whether a group buys spot machines beside others: all but a base and a share are. One whose launch
/// template asks for spot alone does not tell.
fn buys_spot(group: &aws::AutoScalingGroup) -> bool {
    let mixed = group.mixed_instances_policy().and_then(|mixed| mixed.instances_distribution());
    let share = mixed.map(|mixed| mixed.on_demand_percentage_above_base_capacity().unwrap_or(100));
    share.is_some_and(|share| share < 100)
}

fn warm_pool(group: &aws::AutoScalingGroup) -> Option<WarmPool> {
    let count = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
    group.warm_pool_configuration().map(|pool| WarmPool {
        min: count(pool.min_size()).unwrap_or(0),
        size: count(group.warm_pool_size()),
        state: pool.pool_state().map_or("Stopped", |state| state.as_str()).to_owned(),
    })
}

fn instance(instance: &aws::Instance) -> Result<Instance, SenselessMember> {
    let id = instance.instance_id().ok_or(SenselessMember::Nameless)?;
    let weight = match instance.weighted_capacity() {
        None => 1,
        Some(text) => text.parse().map_err(|_| {
            let (id, weight) = (id.to_owned(), text.to_owned());
            SenselessMember::Weight { id, weight }
        })?,
    };
    let lifecycle = match instance.lifecycle_state() {
        Some(state) => lifecycle(state.as_str()),
        None => Lifecycle::Unknown(String::new()),
    };
    Ok(Instance {
        id: id.to_owned(),
        lifecycle,
        weight: Units(weight),
        protected: instance.protected_from_scale_in().unwrap_or(false),
        healthy: instance.health_status().is_none_or(|s| !s.eq_ignore_ascii_case("unhealthy")),
        launched_at: None,
        zone: instance.availability_zone().map(str::to_owned),
        instance_type: instance.instance_type().map(str::to_owned),
    })
}

/// The states of the lifecycle, as the user guide lists them.
///
/// `Quarantined` and `Detaching` are on their way out; a root volume being replaced is an instance
/// that comes back; `…:Retained` is kept for people to look at, serves nobody and never ends by
/// itself, so it must not count as on its way.
fn lifecycle(state: &str) -> Lifecycle {
    match state {
        "InService" => Lifecycle::InService,
        "Pending" | "Pending:Wait" | "Pending:Proceed" => Lifecycle::Pending,
        "ReplacingRootVolume"
        | "ReplacingRootVolume:Wait"
        | "ReplacingRootVolume:Proceed"
        | "RootVolumeReplaced" => Lifecycle::Pending,
        "Terminating:Retained" => Lifecycle::Standby,
        "Terminating"
        | "Terminating:Wait"
        | "Terminating:Proceed"
        | "Terminated"
        | "Quarantined"
        | "Detaching"
        | "Detached" => Lifecycle::Terminating,
        "EnteringStandby" | "Standby" => Lifecycle::Standby,
        warmed if warmed.starts_with("Warmed:") => Lifecycle::Standby,
        other => Lifecycle::Unknown(other.to_owned()),
    }
}

fn process(name: &str) -> Process {
    match name {
        "Launch" => Process::Launch,
        "Terminate" => Process::Terminate,
        "AlarmNotification" => Process::AlarmNotification,
        "ScheduledActions" => Process::ScheduledActions,
        other => Process::Other(other.to_owned()),
    }
}

fn mixed_templates(instances: &[aws::Instance]) -> bool {
    let template = |instance: &aws::Instance| {
        let template = instance.launch_template();
        (
            instance.launch_configuration_name().map(str::to_owned),
            template.and_then(|t| t.launch_template_id()).map(str::to_owned),
            template.and_then(|t| t.version()).map(str::to_owned),
        )
    };
    instances.windows(2).any(|pair| template(&pair[0]) != template(&pair[1]))
}

/// The account in an ARN: `arn:PARTITION:SERVICE:REGION:ACCOUNT:…`.
fn account_in(arn: &str) -> Option<AccountId> {
    arn.split(':').nth(4).and_then(AccountId::new)
}

/// The name in a group's ARN: `…:autoScalingGroup:UUID:autoScalingGroupName/NAME`.
pub(super) fn name_in(arn: &str) -> Option<&str> {
    arn.split_once(":autoScalingGroupName/").map(|(_, name)| name).filter(|n| !n.is_empty())
}

/// Reads a scaling policy. Those that set an exact capacity may go either way, so they scale in.
pub(super) fn policy(policy: &aws::ScalingPolicy) -> NativePolicy {
    let exact = policy.adjustment_type() == Some("ExactCapacity");
    let forecast_only = policy
        .predictive_scaling_configuration()
        .and_then(|predictive| predictive.mode())
        .is_some_and(|mode| mode.as_str() == "ForecastOnly");
    let (kind, scales_in) = match policy.policy_type().unwrap_or("SimpleScaling") {
        "TargetTrackingScaling" => {
            let target = policy.target_tracking_configuration();
            let never = target.and_then(|target| target.disable_scale_in()).unwrap_or(false);
            (NativePolicyKind::TargetTracking, !never)
        }
        "StepScaling" => {
            let steps = policy.step_adjustments();
            let down = steps.iter().any(|step| step.scaling_adjustment().unwrap_or(0) < 0);
            (NativePolicyKind::Step, exact || down)
        }
        "SimpleScaling" => {
            (NativePolicyKind::Simple, exact || policy.scaling_adjustment().unwrap_or(0) < 0)
        }
        // "Predictive scaling doesn't scale in" (EC2 Auto Scaling user guide).
        "PredictiveScaling" => (NativePolicyKind::Predictive, false),
        other => (NativePolicyKind::Other(other.to_owned()), true),
    };
    NativePolicy {
        name: policy.policy_name().unwrap_or_default().to_owned(),
        kind,
        enabled: policy.enabled().unwrap_or(true) && !forecast_only,
        scales_in,
    }
}

/// Reads a scheduled action; `None` where it is over.
pub(super) fn scheduled(
    action: &aws::ScheduledUpdateGroupAction,
    now: Timestamp,
) -> Option<ScheduledAction> {
    let at = action.start_time().map(stamp).filter(|at| *at >= now);
    let over = action.end_time().map(stamp).is_some_and(|end| end < now);
    if over || (at.is_none() && action.recurrence().is_none()) {
        return None;
    }
    let units = |value: Option<i32>| value.and_then(|v| u32::try_from(v).ok()).map(Units);
    let recurrence = match (action.recurrence(), action.time_zone()) {
        (Some(cron), Some(zone)) => Some(format!("{cron} ({zone})")),
        (Some(cron), None) => Some(cron.to_owned()),
        (None, _) => None,
    };
    Some(ScheduledAction {
        name: action.scheduled_action_name().unwrap_or_default().to_owned(),
        at,
        recurrence,
        desired: units(action.desired_capacity()),
        min: units(action.min_size()),
        max: units(action.max_size()),
    })
}

/// The id of a refresh that is not over; a status this version does not know counts as not over.
pub(super) fn refresh(refresh: &aws::InstanceRefresh) -> Option<String> {
    let status = refresh.status().map_or("", |status| status.as_str());
    let over = ["Successful", "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"];
    (!over.contains(&status)).then(|| refresh.instance_refresh_id().unwrap_or("?").to_owned())
}

/// Reads a scaling activity; `None` for one without an id or a start.
pub(super) fn activity(activity: &aws::Activity) -> Option<Activity> {
    let message = activity.status_message().unwrap_or_default();
    let status = match activity.status_code().map_or("", |code| code.as_str()) {
        "Successful" => ActivityStatus::Successful,
        "Cancelled" => ActivityStatus::Cancelled,
        "Failed" => ActivityStatus::Failed { no_capacity: cause::no_capacity(message) },
        _ => ActivityStatus::InProgress,
    };
    let words = activity.cause().unwrap_or_default();
    let description = activity.description().unwrap_or_default();
    let kind = cause::kind(description);
    Some(Activity {
        id: activity.activity_id()?.to_owned(),
        started_at: activity.start_time().map(stamp)?,
        ended_at: activity.end_time().map(stamp),
        kind,
        status,
        cause: cause::cause(words),
        capacity_set_to: cause::capacity_set_to(words),
        launch: (kind == ActivityKind::Launch).then(|| cause::launch(description, words)),
        cause_text: {
            let short = |text: &str| text::shortened(text, CAUSE_CHARS).into_owned();
            match status {
                // Why it failed stands in the message, what began it in the cause.
                ActivityStatus::Failed { .. } if !message.is_empty() => {
                    format!("{}\n{}", short(words), short(&message.replace('\n', " ")))
                }
                _ => short(words),
            }
        },
    })
}

/// A point in time in whole seconds.
pub(super) fn stamp(time: &DateTime) -> Timestamp {
    Timestamp(time.secs())
}

fn seconds(value: Option<i32>) -> Option<Seconds> {
    value.and_then(|value| u64::try_from(value).ok()).map(Seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str =
        "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:0a:autoScalingGroupName/we:b";

    fn whole() -> aws::builders::AutoScalingGroupBuilder {
        aws::AutoScalingGroup::builder()
            .auto_scaling_group_name("we:b")
            .auto_scaling_group_arn(ARN)
            .min_size(1)
            .max_size(9)
            .desired_capacity(4)
    }

    fn member(id: &str, state: &str, weight: Option<&str>) -> aws::Instance {
        aws::Instance::builder()
            .instance_id(id)
            .lifecycle_state(state.into())
            .set_weighted_capacity(weight.map(str::to_owned))
            .health_status("Healthy")
            .protected_from_scale_in(false)
            .launch_configuration_name("one")
            .build()
    }

    #[test]
    fn a_group_is_put_into_our_words() {
        let tag = aws::TagDescription::builder().key("env").value("prod").build();
        let suspended = |name| aws::SuspendedProcess::builder().process_name(name).build();
        let read = whole()
            .instances(member("i-2", "Pending:Wait", Some("4")))
            .instances(member("i-1", "InService", Some("2")))
            .tags(tag)
            .suspended_processes(suspended("Terminate"))
            .suspended_processes(suspended("AZRebalance"))
            .new_instances_protected_from_scale_in(true)
            .health_check_grace_period(300)
            .default_instance_warmup(120)
            .build();
        let read = group(&read).unwrap();
        assert_eq!((read.min, read.desired, read.max), (Units(1), Units(4), Units(9)));
        assert_eq!(read.own.account.as_str(), "111122223333");
        let members: Vec<_> = read
            .instances
            .iter()
            .map(|i| (i.id.as_str(), i.lifecycle.clone(), i.weight.0))
            .collect();
        assert_eq!(
            members,
            [("i-1", Lifecycle::InService, 2), ("i-2", Lifecycle::Pending, 4)],
            "in the order of their ids, with their weights"
        );
        assert_eq!(read.suspended, [Process::Terminate, Process::Other("AZRebalance".into())]);
        assert_eq!(
            (read.own.health_check_grace, read.own.warm_up),
            (Seconds(300), Some(Seconds(120)))
        );
        assert!(read.own.new_instances_protected && !read.own.mixed_templates && !read.is_short());
        assert_eq!(name_in(&read.id), Some("we:b"));
    }

    #[test]
    fn a_warm_pool_is_told_with_its_size_and_state() {
        use aws::WarmPoolState::{Running, Stopped};
        let pool = |state: Option<aws::WarmPoolState>| {
            let with =
                aws::WarmPoolConfiguration::builder().min_size(2).set_pool_state(state).build();
            let raw = whole().warm_pool_configuration(with).warm_pool_size(3).build();
            group(&raw).unwrap().warm_pool.map(|pool| (pool.min, pool.size, pool.state))
        };
        assert_eq!(pool(Some(Running)), Some((2, Some(3), "Running".to_owned())));
        for state in [None, Some(Stopped)] {
            assert_eq!(pool(state), Some((2, Some(3), "Stopped".to_owned())));
        }
        assert_eq!(group(&whole().build()).unwrap().warm_pool, None);
    }

    #[test]
    fn a_group_that_mixes_spot_machines_in_says_so() {
        let with = |share: Option<i32>| {
            let spread = aws::InstancesDistribution::builder()
                .set_on_demand_percentage_above_base_capacity(share)
                .build();
            let mixed = aws::MixedInstancesPolicy::builder().instances_distribution(spread).build();
            group(&whole().mixed_instances_policy(mixed).build()).unwrap().buys_spot
        };
        assert_eq!([Some(0), Some(50), Some(100), None].map(with), [true, true, false, false]);
        assert!(!group(&whole().build()).unwrap().buys_spot);
    }

    #[test]
    fn what_decisions_rest_on_must_make_sense() {
        let why = |builder: aws::builders::AutoScalingGroupBuilder| {
            group(&builder.build()).map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(why(aws::AutoScalingGroup::builder()), "a group without a name");
        assert_eq!(why(whole().set_auto_scaling_group_arn(None)), "`we:b` has no ARN");
        assert_eq!(why(whole().set_desired_capacity(None)), "`we:b` has no desired capacity");
        assert_eq!(why(whole().min_size(-1)), "`we:b` has a minimum size of -1");
        let heavy = member("i-1", "InService", Some("two"));
        assert_eq!(why(whole().instances(heavy)), "`we:b`: `i-1` has a weight of `two`");
    }

    #[test]
    fn every_state_of_the_lifecycle_has_its_place() {
        let place = |state: &str| format!("{:?}", lifecycle(state));
        for state in aws::LifecycleState::values() {
            assert!(!place(state).starts_with("Unknown"), "{state}");
        }
        let table = [
            ("InService", "InService"),
            ("Pending", "Pending"),
            ("Pending:Wait", "Pending"),
            ("Pending:Proceed", "Pending"),
            ("Terminating:Wait", "Terminating"),
            ("Terminating:Retained", "Standby"),
            ("EnteringStandby", "Standby"),
            ("Standby", "Standby"),
            ("Detaching", "Terminating"),
            ("Warmed:Stopped", "Standby"),
            ("Warmed:Pending:Wait", "Standby"),
            ("Dancing", "Unknown(\"Dancing\")"),
        ];
        for (state, expected) in table {
            assert_eq!(place(state), expected, "{state}");
        }
    }

    #[test]
    fn members_of_two_templates_hint_at_a_refresh() {
        let versioned = |id: &str, version: &str| {
            let template = aws::LaunchTemplateSpecification::builder()
                .launch_template_id("lt-1")
                .version(version)
                .build();
            aws::Instance::builder().instance_id(id).launch_template(template).build()
        };
        let mixed = |a, b| {
            let read =
                whole().instances(versioned("i-1", a)).instances(versioned("i-2", b)).build();
            group(&read).unwrap().own.mixed_templates
        };
        assert!(!mixed("3", "3"));
        assert!(mixed("3", "4"));
    }

    #[test]
    fn policies_tell_whether_they_may_take_units_away() {
        let step = |by| {
            aws::StepAdjustment::builder().scaling_adjustment(by).metric_interval_lower_bound(0.0)
        };
        let tracking = |never| {
            aws::TargetTrackingConfiguration::builder()
                .target_value(50.0)
                .disable_scale_in(never)
                .build()
        };
        let predictive = |mode: &str| {
            aws::PredictiveScalingConfiguration::builder()
                .set_metric_specifications(Some(Vec::new()))
                .mode(mode.into())
                .build()
        };
        let of = |kind: &str| aws::ScalingPolicy::builder().policy_name("p").policy_type(kind);
        let read = |builder: aws::builders::ScalingPolicyBuilder| {
            let policy = policy(&builder.build());
            format!("{:?} enabled {} in {}", policy.kind, policy.enabled, policy.scales_in)
        };
        let target = of("TargetTrackingScaling");
        let table = [
            (
                read(target.clone().target_tracking_configuration(tracking(false))),
                "TargetTracking enabled true in true",
            ),
            (
                read(target.clone().target_tracking_configuration(tracking(true))),
                "TargetTracking enabled true in false",
            ),
            (read(target.enabled(false)), "TargetTracking enabled false in true"),
            (
                read(of("StepScaling").step_adjustments(step(2).build())),
                "Step enabled true in false",
            ),
            (
                read(of("StepScaling").step_adjustments(step(-1).build())),
                "Step enabled true in true",
            ),
            (read(of("SimpleScaling").scaling_adjustment(-1)), "Simple enabled true in true"),
            (
                read(of("SimpleScaling").scaling_adjustment(3).adjustment_type("ExactCapacity")),
                "Simple enabled true in true",
            ),
            (
                read(
                    of("PredictiveScaling")
                        .predictive_scaling_configuration(predictive("ForecastOnly")),
                ),
                "Predictive enabled false in false",
            ),
            (
                read(
                    of("PredictiveScaling")
                        .predictive_scaling_configuration(predictive("ForecastAndScale")),
                ),
                "Predictive enabled true in false",
            ),
            (read(of("Quantum")), "Other(\"Quantum\") enabled true in true"),
        ];
        for (found, expected) in table {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn scheduled_actions_that_are_over_are_left_out() {
        let at = |seconds| Some(DateTime::from_secs(seconds));
        let read = |start, end, cron: Option<&str>| {
            let action = aws::ScheduledUpdateGroupAction::builder()
                .scheduled_action_name("night")
                .set_start_time(start)
                .set_end_time(end)
                .set_recurrence(cron.map(str::to_owned))
                .time_zone("Asia/Shanghai")
                .min_size(2)
                .build();
            scheduled(&action, Timestamp(1000)).map(|a| (a.at.map(|at| at.0), a.recurrence))
        };
        let cron = Some("0 9 * * *");
        let text = Some("0 9 * * * (Asia/Shanghai)".to_owned());
        assert_eq!(read(at(2000), None, None), Some((Some(2000), None)));
        assert_eq!(read(at(500), None, None), None, "it has run");
        assert_eq!(read(at(500), None, cron), Some((None, text.clone())), "it runs again");
        assert_eq!(read(at(2000), at(900), cron), None, "it has ended");
        assert_eq!(read(None, at(9000), cron), Some((None, text)));
    }

    #[test]
    fn a_refresh_is_on_until_it_is_known_to_be_over() {
        let on = |status: &str| {
            let builder = aws::InstanceRefresh::builder().instance_refresh_id("r-1");
            refresh(&builder.status(status.into()).build()).is_some()
        };
        for status in ["Pending", "InProgress", "Cancelling", "Baking", "Sleeping"] {
            assert!(on(status), "{status}");
        }
        for status in ["Successful", "Failed", "Cancelled", "RollbackSuccessful"] {
            assert!(!on(status), "{status}");
        }
    }

    #[test]
    fn activities_are_put_into_our_words() {
        let builder = aws::Activity::builder()
            .activity_id("a-1")
            .start_time(DateTime::from_secs(1000))
            .description("Launching a new EC2 instance: i-1")
            .cause("a user request changing the desired capacity from 2 to 3.");
        let read = activity(&builder.clone().status_code("PreInService".into()).build()).unwrap();
        assert_eq!((read.status, read.ended_at), (ActivityStatus::InProgress, None));
        assert_eq!(read.capacity_set_to, Some(Units(3)));
        let failed = builder
            .status_code("Failed".into())
            .status_message("We currently do not have sufficient t3.micro capacity")
            .end_time(DateTime::from_secs(1060))
            .cause("é".repeat(1000))
            .build();
        let read = activity(&failed).unwrap();
        assert_eq!(read.status, ActivityStatus::Failed { no_capacity: true });
        assert_eq!(read.ended_at, Some(Timestamp(1060)));
        assert!(
            read.cause_text.ends_with("é…\nWe currently do not have sufficient t3.micro capacity")
        );
        assert_eq!(read.cause_text.matches('é').count(), CAUSE_CHARS - 1, "and a sign of it");
        assert!(activity(&aws::Activity::builder().activity_id("a-2").build()).is_none());
    }
}
