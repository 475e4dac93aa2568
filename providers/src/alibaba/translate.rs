//! Answers of ESS into the fleet's vocabulary; what is not understood is said, never guessed.

use std::collections::BTreeMap;

use fleet::group::{
    Activity, ActivityKind, ActivityStatus, Cause, Instance, Lifecycle, MembersServing,
    NativePolicy, NativePolicyKind, Process, ScheduledAction, ServingSign, WarmPool,
};
use fleet::text::shortened;
use fleet::{Timestamp, Units};
use serde::Deserialize;

use super::owner;
use crate::listed::ListedGroup;

/// The policy by which machines that are taken away are stopped and kept.
const RECYCLE: &str = "recycle";
/// How the cloud calls the state that they wait in.
const STOPPED: &str = "Stopped";
/// The longest cause of an activity, in characters.
const CAUSE_CHARS: usize = 300;

/// A page of `DescribeScalingGroups`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GroupsPage {
    pub(super) total_count: usize,
    pub(super) scaling_groups: Vec<Group>,
}

/// A scaling group on the wire.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Group {
    scaling_group_id: String,
    scaling_group_name: String,
    min_size: u32,
    max_size: u32,
    desired_capacity: Option<u32>,
    #[serde(default = "yes")]
    enable_desired_capacity: bool,
    total_capacity: u32,
    #[serde(default)]
    total_instance_count: usize,
    #[serde(default)]
    removing_capacity: u32,
    #[serde(default)]
    removing_wait_capacity: u32,
    lifecycle_state: String,
    #[serde(default)]
    suspended_processes: Vec<String>,
    #[serde(default)]
    system_suspended: bool,
    #[serde(default, rename = "MultiAZPolicy")]
    multi_az_policy: String,
    on_demand_percentage_above_base_capacity: Option<u32>,
    #[serde(default)]
    scaling_policy: String,
    #[serde(default)]
    stopped_capacity: u32,
    #[serde(default)]
    tags: Vec<Tag>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    #[serde(alias = "Key")]
    pub(super) tag_key: String,
    #[serde(default, alias = "Value")]
    pub(super) tag_value: String,
}

/// A page of `DescribeScalingInstances`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MembersPage {
    pub(super) total_count: usize,
    pub(super) scaling_instances: Vec<Member>,
}

/// A member of a group on the wire.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Member {
    pub(super) scaling_group_id: String,
    pub(super) instance_id: String,
    lifecycle_state: String,
    #[serde(default)]
    health_status: String,
    /// Whether it still warms up.
    #[serde(default)]
    warmup_state: String,
    #[serde(default)]
    creation_type: String,
    #[serde(default)]
    entrusted: bool,
    #[serde(default)]
    spot_strategy: String,
    weighted_capacity: Option<u32>,
    zone_id: Option<String>,
    created_time: Option<String>,
    creation_time: Option<String>,
}

impl Member {
    /// Whether the cloud can take it back at any time.
    pub(super) fn is_spot(&self) -> bool {
        self.spot_strategy.starts_with("Spot")
    }
}

/// A page of `DescribeScalingActivities`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ActivitiesPage {
    pub(super) total_count: usize,
    pub(super) scaling_activities: Vec<ActivityOnWire>,
}

/// A scaling activity on the wire: one of the vendor's covers any number of instances.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(super) struct ActivityOnWire {
    scaling_activity_id: String,
    /// The refresh of the group's instances that it is a part of.
    instance_refresh_task_id: Option<String>,
    start_time: String,
    end_time: Option<String>,
    status_code: String,
    cause: String,
    description: String,
    error_code: Option<String>,
    status_message: String,
    trigger_source_type: String,
    scaling_instance_number: usize,
    created_capacity: usize,
    started_capacity: usize,
    destroyed_capacity: usize,
    stopped_capacity: usize,
}

impl ActivityOnWire {
    fn refresh_task(&self) -> Option<&str> {
        self.instance_refresh_task_id.as_deref().filter(|task| !task.is_empty())
    }
}

/// The refresh that the newest activities of a group are a part of, and when it was last at work: it
/// replaces members by ordinary activities, batch after batch.
pub(super) fn refresh(wire: &[ActivityOnWire], now: Timestamp) -> Option<(String, Timestamp)> {
    let parts = wire.iter().filter_map(|activity| {
        let task = activity.refresh_task()?;
        let over = matches!(activity.status_code.as_str(), "Successful" | "Failed" | "Warning");
        let ended = activity.end_time.as_deref().and_then(stamp).filter(|_| over);
        Some((task.to_owned(), ended.unwrap_or(now)))
    });
    parts.max_by_key(|(_, at)| *at)
}

/// A page of `DescribeScalingRules`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RulesPage {
    pub(super) total_count: usize,
    pub(super) scaling_rules: Vec<Rule>,
}

/// A scaling rule on the wire.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(super) struct Rule {
    pub(super) scaling_group_id: String,
    pub(super) scaling_rule_ari: String,
    scaling_rule_name: String,
    scaling_rule_type: String,
    adjustment_type: String,
    adjustment_value: i64,
    disable_scale_in: bool,
    predictive_scaling_mode: String,
    step_adjustments: Vec<StepOnWire>,
    alarms: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct StepOnWire {
    scaling_adjustment: i64,
}

/// A page of `DescribeScheduledTasks`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TasksPage {
    pub(super) total_count: usize,
    pub(super) scheduled_tasks: Vec<Task>,
}

/// A scheduled task on the wire.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(super) struct Task {
    pub(super) scaling_group_id: String,
    pub(super) scheduled_action: String,
    scheduled_task_name: String,
    task_enabled: bool,
    launch_time: String,
    recurrence_type: String,
    recurrence_value: String,
    recurrence_end_time: String,
    desired_capacity: Option<u32>,
    min_value: Option<u32>,
    max_value: Option<u32>,
}

/// A group as two listings tell it, without its activities, rules and tasks.
pub(super) type Base = ListedGroup<OfAlibaba>;

/// What Alibaba Cloud alone tells of a group.
#[derive(Clone, Debug)]
pub(super) struct OfAlibaba {
    /// Whether the cloud keeps a desired capacity for it; older groups have none.
    pub(super) has_desired: bool,
    pub(super) instances_listed: usize,
    /// Members, by id, for which the cloud keeps whether they have warmed up; and whether they have.
    pub(super) warming: BTreeMap<String, bool>,
}

/// Reads a group; its members come later.
pub(super) fn group(group: Group) -> Base {
    let tags: BTreeMap<String, String> =
        group.tags.into_iter().map(|tag| (tag.tag_key, tag.tag_value)).collect();
    let mut suspended: Vec<Process> =
        group.suspended_processes.iter().map(|name| process(name)).collect();
    // Neither takes any order: what the operator sees is the vendor's own word.
    if group.lifecycle_state != "Active" {
        suspended.extend([Process::Launch, Process::Terminate]);
        suspended.push(Process::Other(group.lifecycle_state));
    }
    if group.system_suspended {
        suspended.extend([Process::Launch, Process::Terminate]);
        suspended.push(Process::Other("SystemSuspended".to_owned()));
    }
    let leaving = group.removing_capacity + group.removing_wait_capacity;
    let kept = group.desired_capacity.filter(|_| group.enable_desired_capacity);
    Base {
        id: group.scaling_group_id,
        name: group.scaling_group_name,
        desired: Units(kept.unwrap_or(group.total_capacity.saturating_sub(leaving))),
        min: Units(group.min_size),
        max: Units(group.max_size),
        instances: Vec::new(),
        owner: owner::owner(&tags),
        buys_spot: matches!(group.multi_az_policy.as_str(), "COST_OPTIMIZED" | "COMPOSABLE")
            && group.on_demand_percentage_above_base_capacity.is_some_and(|share| share < 100),
        // Machines that were stopped rather than released start faster than new ones.
        warm_pool: (group.scaling_policy == RECYCLE).then(|| WarmPool {
            min: 0,
            size: Some(group.stopped_capacity),
            state: STOPPED.to_owned(),
        }),
        tags,
        suspended,
        own: OfAlibaba {
            has_desired: kept.is_some(),
            instances_listed: group.total_instance_count,
            warming: BTreeMap::new(),
        },
    }
}

fn process(name: &str) -> Process {
    // The two spellings: what is answered, and what Suspend and Resume take.
    match name.to_ascii_lowercase().replace('-', "").as_str() {
        "scaleout" => Process::Launch,
        "scalein" => Process::Terminate,
        "alarmnotification" => Process::AlarmNotification,
        "scheduledaction" | "scheduledactions" => Process::ScheduledActions,
        _ => Process::Other(name.to_owned()),
    }
}

/// Reads a member.
pub(super) fn member(member: Member) -> Instance {
    let launched = member.created_time.or(member.creation_time);
    // Added by hand and not entrusted: taken out of the group it would go on costing.
    let attached = member.creation_type == "Attached" && !member.entrusted;
    Instance {
        lifecycle: lifecycle(&member.lifecycle_state),
        weight: Units(member.weighted_capacity.filter(|weight| *weight > 0).unwrap_or(1)),
        protected: member.lifecycle_state == "Protected" || attached,
        healthy: !member.health_status.eq_ignore_ascii_case("unhealthy"),
        launched_at: launched.as_deref().and_then(stamp),
        zone: member.zone_id,
        instance_type: None,
        id: member.instance_id,
    }
}

/// Whether a member has warmed up, where the cloud keeps that of it.
pub(super) fn has_warmed_up(member: &Member) -> Option<bool> {
    match member.warmup_state.as_str() {
        "WaitingForInstanceWarmup" => Some(false),
        "InstanceWarmupFinish" => Some(true),
        // `NoNeedWarmup`, and what this version does not know.
        _ => None,
    }
}

/// Which members serve, by whether they have warmed up. Where the cloud keeps that of none, it tells
/// nothing.
pub(super) fn members_serving(warming: &BTreeMap<String, bool>) -> MembersServing {
    if warming.is_empty() {
        return MembersServing::Untold;
    }
    let waiting = warming.iter().filter(|(_, warmed_up)| !**warmed_up);
    let waiting = waiting.map(|(id, _)| id.clone()).collect();
    MembersServing::Told { by: ServingSign::Member, waiting }
}

/// A protected member serves; one that was stopped to save money is kept for later.
fn lifecycle(state: &str) -> Lifecycle {
    match state {
        "InService" | "Protected" => Lifecycle::InService,
        "Pending" | "Pending:Wait" => Lifecycle::Pending,
        "Removing" | "Removing:Wait" => Lifecycle::Terminating,
        "Standby" | "Stopped" => Lifecycle::Standby,
        other => Lifecycle::Unknown(other.to_owned()),
    }
}

/// Reads a scaling rule. A simple or step rule does something only where an alarm leads to it.
pub(super) fn rule(rule: &Rule) -> NativePolicy {
    let exact = rule.adjustment_type == "TotalCapacity";
    let alarmed = !rule.alarms.is_empty();
    let (kind, enabled, scales_in) = match rule.scaling_rule_type.as_str() {
        "SimpleScalingRule" => {
            (NativePolicyKind::Simple, alarmed, exact || rule.adjustment_value < 0)
        }
        "StepScalingRule" => {
            let down = rule.step_adjustments.iter().any(|step| step.scaling_adjustment < 0);
            (NativePolicyKind::Step, alarmed, exact || down)
        }
        "TargetTrackingScalingRule" => {
            (NativePolicyKind::TargetTracking, true, !rule.disable_scale_in)
        }
        // It moves the group's bounds by tasks of its own, in both directions.
        "PredictiveScalingRule" => {
            (NativePolicyKind::Predictive, rule.predictive_scaling_mode != "PredictOnly", true)
        }
        other => (NativePolicyKind::Other(other.to_owned()), true, true),
    };
    NativePolicy { name: rule.scaling_rule_name.clone(), kind, enabled, scales_in }
}

/// Reads a scheduled task; `None` where it is off or over.
pub(super) fn task(task: &Task, now: Timestamp) -> Option<ScheduledAction> {
    let at = stamp(&task.launch_time).filter(|at| *at >= now);
    let recurs = !task.recurrence_type.is_empty();
    let over = stamp(&task.recurrence_end_time).is_some_and(|end| end < now);
    if !task.task_enabled || over || (at.is_none() && !recurs) {
        return None;
    }
    let recurrence = || format!("{} {}", task.recurrence_type, task.recurrence_value);
    Some(ScheduledAction {
        name: task.scheduled_task_name.clone(),
        at,
        recurrence: recurs.then(|| recurrence().trim().to_owned()),
        desired: task.desired_capacity.map(Units),
        min: task.min_value.map(Units),
        max: task.max_value.map(Units),
    })
}

/// Reads a scaling activity as one of ours an instance; none for one without an id or a start.
pub(super) fn activities(wire: &ActivityOnWire) -> Vec<Activity> {
    let Some(started_at) = stamp(&wire.start_time) else { return Vec::new() };
    if wire.scaling_activity_id.is_empty() {
        return Vec::new();
    }
    let launched = wire.created_capacity + wire.started_capacity;
    let ended = wire.destroyed_capacity + wire.stopped_capacity;
    let text = wire.description.to_lowercase();
    let kind = if launched > ended || (launched == ended && text.starts_with("add")) {
        ActivityKind::Launch
    } else if ended > launched || text.starts_with("remove") || text.starts_with("delete") {
        ActivityKind::Terminate
    } else {
        ActivityKind::Other
    };
    let no_capacity = wire
        .error_code
        .as_deref()
        .is_some_and(|code| code.ends_with("NoStock") || code.starts_with("OutOfStock"));
    let status = match wire.status_code.as_str() {
        "Successful" => ActivityStatus::Successful,
        "Rejected" => ActivityStatus::Cancelled,
        "Failed" | "Warning" => ActivityStatus::Failed { no_capacity },
        _ => ActivityStatus::InProgress,
    };
    // Why it failed stands in code and message, what began it in the cause.
    let words = match (&status, &wire.error_code) {
        (ActivityStatus::Failed { .. }, Some(code)) => {
            let why = format!("{code}: {}", wire.status_message.replace('\n', " "));
            format!("{}\n{}", shortened(&wire.cause, CAUSE_CHARS), shortened(&why, CAUSE_CHARS))
        }
        _ => shortened(&wire.cause, CAUSE_CHARS).into_owned(),
    };
    let moved = launched.max(ended).max(wire.scaling_instance_number).max(1);
    let one = |n: usize| Activity {
        id: match moved {
            1 => wire.scaling_activity_id.clone(),
            _ => format!("{}/{n}", wire.scaling_activity_id),
        },
        started_at,
        ended_at: wire
            .end_time
            .as_deref()
            .and_then(stamp)
            .filter(|_| status != ActivityStatus::InProgress),
        kind,
        status,
        cause: match wire.refresh_task() {
            Some(_) => Cause::Upkeep,
            None => cause(&wire.trigger_source_type, &wire.cause),
        },
        cause_text: words.clone(),
        capacity_set_to: capacity_set_to(&wire.cause),
        launch: None,
    };
    (1..=moved).map(one).collect()
}

/// Who or what caused an activity: by the type of its source, and by the documented wording where
/// the source is the service itself.
fn cause(source: &str, text: &str) -> Cause {
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    match source {
        "Api" => Cause::UserRequest,
        "Cms" => Cause::NativePolicy,
        _ if says(&["scheduled task", "scheduled action"]) => Cause::Schedule,
        _ if says(&["unhealthy", "health check"]) => Cause::Health,
        _ if says(&["alarm", "event-triggered task"]) => Cause::NativePolicy,
        _ if says(&["rebalanc", "instance refresh", "maximum lifetime", "spot"]) => Cause::Upkeep,
        _ if says(&["user requests", "a user request"]) => Cause::UserRequest,
        _ => Cause::Unknown,
    }
}

/// The capacity that the cause says was set: `… changing the Total Capacity from "1" to "2".`
fn capacity_set_to(text: &str) -> Option<Units> {
    let lower = text.to_lowercase();
    let (_, rest) = lower.split_once("capacity from ")?;
    let (_, to) = rest.split_once(" to ")?;
    let digits = to.trim_start_matches(['"', '\\', ' ']);
    let digits = digits.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(Units)
}

/// A point in time, to the second or to the minute.
pub(super) fn stamp(text: &str) -> Option<Timestamp> {
    let whole = || text.strip_suffix('Z').map(|minute| format!("{minute}:00Z"));
    Timestamp::parse(text).or_else(|| Timestamp::parse(&whole()?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn whole() -> Value {
        json!({
            "ScalingGroupId": "asg-1", "ScalingGroupName": "web", "MinSize": 1, "MaxSize": 9,
            "DesiredCapacity": 4, "EnableDesiredCapacity": true, "TotalCapacity": 5,
            "TotalInstanceCount": 5, "RemovingCapacity": 1, "LifecycleState": "Active",
            "SuspendedProcesses": ["ScaleIn", "HealthCheck"], "SomethingNew": {"x": 1},
            "Tags": [{"TagKey": "env", "TagValue": "prod", "Propagate": false}]
        })
    }

    fn read(group: Value) -> Result<Base, serde_json::Error> {
        serde_json::from_value(group).map(super::group)
    }

    fn without(field: &str) -> Value {
        let mut group = whole();
        group.as_object_mut().unwrap().remove(field);
        group
    }

    #[test]
    fn a_group_is_put_into_our_words() {
        let base = read(whole()).unwrap();
        assert_eq!((base.min, base.desired, base.max), (Units(1), Units(4), Units(9)));
        assert_eq!(base.suspended, [Process::Terminate, Process::Other("HealthCheck".into())]);
        assert_eq!(base.tags["env"], "prod");
        assert!(base.own.has_desired);
    }

    #[test]
    fn a_group_without_a_desired_capacity_has_what_it_will_have() {
        let base = read(without("DesiredCapacity")).unwrap();
        assert_eq!(
            (base.desired, base.own.has_desired),
            (Units(4), false),
            "five, one of them leaves"
        );
        let mut off = whole();
        off["EnableDesiredCapacity"] = json!(false);
        assert!(!read(off).unwrap().own.has_desired);
    }

    #[test]
    fn what_decisions_rest_on_must_be_there() {
        for field in ["MinSize", "MaxSize", "TotalCapacity", "LifecycleState", "ScalingGroupId"] {
            let why = read(without(field)).unwrap_err().to_string();
            assert_eq!(why, format!("missing field `{field}`"));
        }
    }

    #[test]
    fn a_group_that_takes_no_orders_says_why() {
        let mut group = whole();
        group["LifecycleState"] = json!("Deleting");
        let suspended = read(group).unwrap().suspended;
        assert!(suspended.contains(&Process::Other("Deleting".to_owned())), "{suspended:?}");
        assert!(suspended.contains(&Process::Launch), "{suspended:?}");
    }

    #[test]
    fn members_are_put_into_our_words() {
        let of = |state: &str, kind: &str| {
            let wire = json!({
                "ScalingGroupId": "asg-1", "InstanceId": "i-1", "LifecycleState": state,
                "HealthStatus": "Healthy", "CreationType": kind, "ZoneId": "z",
                "WeightedCapacity": 2, "CreatedTime": "2026-03-02T12:00:30Z"
            });
            member(serde_json::from_value(wire).unwrap())
        };
        let plain = of("InService", "AutoCreated");
        assert_eq!((plain.weight, plain.protected, plain.healthy), (Units(2), false, true));
        assert_eq!(plain.launched_at, Some(Timestamp(1_772_452_830)));
        assert!(of("InService", "Attached").protected, "it would be detached and go on costing");
        assert!(of("Protected", "AutoCreated").protected);
        let table = [
            ("InService", Lifecycle::InService),
            ("Protected", Lifecycle::InService),
            ("Pending", Lifecycle::Pending),
            ("Pending:Wait", Lifecycle::Pending),
            ("Removing", Lifecycle::Terminating),
            ("Removing:Wait", Lifecycle::Terminating),
            ("Standby", Lifecycle::Standby),
            ("Stopped", Lifecycle::Standby),
            ("Strange", Lifecycle::Unknown("Strange".to_owned())),
        ];
        for (state, expected) in table {
            assert_eq!(of(state, "AutoCreated").lifecycle, expected, "{state}");
        }
    }

    #[test]
    fn members_that_warm_up_do_not_serve_yet_where_the_cloud_keeps_that() {
        let serving = |states: &[Option<&str>]| {
            let wire = states.iter().enumerate().map(|(n, state)| {
                json!({
                    "ScalingGroupId": "asg-1", "InstanceId": format!("i-{n}"),
                    "LifecycleState": "InService", "WarmupState": state.unwrap_or_default()
                })
            });
            let members: Vec<Member> =
                wire.map(|wire| serde_json::from_value(wire).unwrap()).collect();
            let known = |m: &Member| Some((m.instance_id.clone(), has_warmed_up(m)?));
            members_serving(&members.iter().filter_map(known).collect())
        };
        let told = |waiting: &[&str]| {
            let waiting = waiting.iter().map(|id| (*id).to_owned()).collect();
            MembersServing::Told { by: ServingSign::Member, waiting }
        };
        let (none, waits, done) =
            (Some("NoNeedWarmup"), Some("WaitingForInstanceWarmup"), Some("InstanceWarmupFinish"));
        assert_eq!(serving(&[none, None, Some("Strange")]), MembersServing::Untold);
        assert_eq!(serving(&[none, waits, done]), told(&["i-1"]));
        assert_eq!(serving(&[done, none]), told(&[]));
        assert_eq!(serving(&[]), MembersServing::Untold);
    }

    #[test]
    fn an_activity_of_many_instances_is_one_of_ours_each() {
        let wire = json!({
            "ScalingActivityId": "asa-1", "StartTime": "2026-03-02T12:00Z",
            "EndTime": "2026-03-02T12:03Z", "StatusCode": "Successful", "TriggerSourceType": "Api",
            "Description": "Add \"2\" ECS instance", "CreatedCapacity": 2,
            "Cause": "A user requests to execute scaling rule \"asr-1\", changing the Total \
                      Capacity from \"1\" to \"3\"."
        });
        let read = activities(&serde_json::from_value(wire).unwrap());
        let ids: Vec<&str> = read.iter().map(|a| a.id.as_str()).collect();
        assert_eq!(ids, ["asa-1/1", "asa-1/2"]);
        let first = &read[0];
        assert_eq!(first.kind, ActivityKind::Launch);
        assert_eq!(first.cause, Cause::UserRequest);
        assert_eq!(first.capacity_set_to, Some(Units(3)));
        assert_eq!(first.started_at, Timestamp(1_772_452_800));
        assert_eq!(first.ended_at, Some(Timestamp(1_772_452_980)));
    }

    #[test]
    fn the_states_of_an_activity() {
        let of = |status: &str, error: Option<&str>| {
            let wire = ActivityOnWire {
                scaling_activity_id: "asa".to_owned(),
                start_time: "2026-03-02T12:00Z".to_owned(),
                status_code: status.to_owned(),
                error_code: error.map(str::to_owned),
                ..ActivityOnWire::default()
            };
            activities(&wire)[0].status
        };
        assert_eq!(of("InProgress", None), ActivityStatus::InProgress);
        assert_eq!(of("Successful", None), ActivityStatus::Successful);
        assert_eq!(of("Rejected", None), ActivityStatus::Cancelled);
        let failed = |no_capacity| ActivityStatus::Failed { no_capacity };
        assert_eq!(of("Failed", Some("OperationDenied.NoStock")), failed(true));
        assert_eq!(of("Warning", Some("QuotaExceeded")), failed(false));
    }

    #[test]
    fn activities_of_a_refresh_tell_of_it_and_are_upkeep() {
        let part = |task: Option<&str>, status: &str, end: Option<&str>| ActivityOnWire {
            scaling_activity_id: "asa".to_owned(),
            start_time: "2026-03-02T12:00Z".to_owned(),
            end_time: end.map(str::to_owned),
            status_code: status.to_owned(),
            instance_refresh_task_id: task.map(str::to_owned),
            trigger_source_type: "Api".to_owned(),
            ..ActivityOnWire::default()
        };
        let now = Timestamp(1_772_456_400);
        let over = part(Some("ir-1"), "Successful", Some("2026-03-02T12:03Z"));
        let running = part(Some("ir-2"), "InProgress", None);
        let other = part(None, "InProgress", None);
        let told = |wire: &[ActivityOnWire]| refresh(wire, now).map(|(id, at)| (id, at.0));
        assert_eq!(activities(&over)[0].cause, Cause::Upkeep);
        assert_eq!(activities(&other)[0].cause, Cause::UserRequest);
        assert_eq!(told(&[part(Some(""), "InProgress", None)]), None);
        assert_eq!(told(&[other, over.clone()]), Some(("ir-1".to_owned(), 1_772_452_980)));
        assert_eq!(told(&[over, running]), Some(("ir-2".to_owned(), now.0)));
    }

    #[test]
    fn what_is_stopped_and_kept_is_told_from_what_is_released() {
        let kept = |policy: &str| {
            let mut group = whole();
            group["ScalingPolicy"] = policy.into();
            group["StoppedCapacity"] = 3.into();
            read(group).unwrap().warm_pool
        };
        let pool = kept("recycle").unwrap();
        assert_eq!((pool.size, pool.state.as_str(), pool.min), (Some(3), "Stopped", 0));
        assert_eq!((kept("release"), kept("forcerelease")), (None, None));
    }

    #[test]
    fn spot_machines_show_in_a_groups_policy_and_in_its_members() {
        let spot = |policy: &str, share: u32| {
            let mut group = whole();
            group["MultiAZPolicy"] = policy.into();
            group["OnDemandPercentageAboveBaseCapacity"] = share.into();
            read(group).unwrap().buys_spot
        };
        assert!(spot("COST_OPTIMIZED", 70));
        assert!(!spot("COST_OPTIMIZED", 100) && !spot("PRIORITY", 70));
        assert!(!read(whole()).unwrap().buys_spot);
        let member = |strategy: &str| {
            let wire = json!({
                "ScalingGroupId": "asg-1", "InstanceId": "i-1", "LifecycleState": "InService",
                "SpotStrategy": strategy
            });
            serde_json::from_value::<Member>(wire).unwrap().is_spot()
        };
        assert!(member("SpotWithPriceLimit") && member("SpotAsPriceGo"));
        assert!(!member("NoSpot") && !member(""));
    }

    #[test]
    fn a_failed_activity_says_what_began_it_and_why_it_failed() {
        let words = |error: Option<&str>| {
            let wire = ActivityOnWire {
                scaling_activity_id: "asa".to_owned(),
                start_time: "2026-03-02T12:00Z".to_owned(),
                status_code: "Failed".to_owned(),
                error_code: error.map(str::to_owned),
                status_message: "Fail to create instances.".to_owned(),
                cause: "A user requests it.".to_owned(),
                ..ActivityOnWire::default()
            };
            activities(&wire)[0].cause_text.clone()
        };
        let told = "A user requests it.\nQuotaExceeded: Fail to create instances.";
        assert_eq!(words(Some("QuotaExceeded")), told);
        assert_eq!(words(None), "A user requests it.");
    }

    #[test]
    fn the_source_tells_the_cause() {
        let table = [
            ("Api", "", Cause::UserRequest),
            ("Cms", "", Cause::NativePolicy),
            ("Ess", "A scheduled task executes scaling rule", Cause::Schedule),
            ("Ess", "An unhealthy instance is removed", Cause::Health),
            ("Ess", "Something else", Cause::Unknown),
            ("", "", Cause::Unknown),
        ];
        for (source, text, expected) in table {
            assert_eq!(cause(source, text), expected, "{source} {text}");
        }
    }

    #[test]
    fn rules_say_whether_they_scale_in() {
        let of = |wire: Value| {
            let policy = rule(&serde_json::from_value(wire).unwrap());
            (policy.enabled, policy.scales_in)
        };
        let alarms = json!([{"AlarmTaskId": "a"}]);
        let table = [
            (json!({"ScalingRuleType": "SimpleScalingRule", "AdjustmentValue": -1}), (false, true)),
            (
                json!({"ScalingRuleType": "SimpleScalingRule", "AdjustmentValue": 2, "Alarms": alarms}),
                (true, false),
            ),
            (
                json!({"ScalingRuleType": "SimpleScalingRule", "AdjustmentType": "TotalCapacity",
                       "AdjustmentValue": 2, "Alarms": alarms}),
                (true, true),
            ),
            (
                json!({"ScalingRuleType": "StepScalingRule", "Alarms": alarms,
                       "StepAdjustments": [{"ScalingAdjustment": -1}]}),
                (true, true),
            ),
            (json!({"ScalingRuleType": "TargetTrackingScalingRule"}), (true, true)),
            (
                json!({"ScalingRuleType": "TargetTrackingScalingRule", "DisableScaleIn": true}),
                (true, false),
            ),
            (
                json!({"ScalingRuleType": "PredictiveScalingRule",
                       "PredictiveScalingMode": "PredictOnly"}),
                (false, true),
            ),
            (json!({"ScalingRuleType": "NeverHeardOf"}), (true, true)),
        ];
        for (wire, expected) in table {
            assert_eq!(of(wire.clone()), expected, "{wire}");
        }
    }

    #[test]
    fn tasks_that_are_over_or_off_are_left_out() {
        let now = Timestamp(1_772_452_800);
        let of = |launch: &str, recurs: &str, end: &str, on: bool| {
            let wire = json!({
                "ScheduledTaskName": "t", "TaskEnabled": on, "LaunchTime": launch,
                "RecurrenceType": recurs, "RecurrenceValue": "1", "RecurrenceEndTime": end,
                "MinValue": 3
            });
            task(&serde_json::from_value(wire).unwrap(), now)
        };
        let next = of("2026-03-02T13:00Z", "", "", true).unwrap();
        assert_eq!((next.at, next.min), (Some(Timestamp(1_772_456_400)), Some(Units(3))));
        let daily = of("2026-03-01T13:00Z", "Daily", "2026-04-01T00:00Z", true).unwrap();
        assert_eq!(daily.recurrence.as_deref(), Some("Daily 1"));
        assert!(of("2026-03-02T11:00Z", "", "", true).is_none(), "it was");
        assert!(of("2026-03-01T13:00Z", "Daily", "2026-03-02T00:00Z", true).is_none(), "ended");
        assert!(of("2026-03-02T13:00Z", "", "", false).is_none(), "off");
    }
}
