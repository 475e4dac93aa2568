//! Scaling groups: members that boot and leave, the history of it, and what the cloud refuses.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{Seconds, Timestamp};
use serde_json::{Value, json};

use super::Ids;
use super::ecs::{Machine, NewEcs};
use super::wire::{Refusal, Request, minute};

/// Groups, activities, rules or tasks on one page.
const PAGE_MAX: i64 = 50;
/// Members on one page.
const MEMBERS_MAX: i64 = 100;
/// The vSwitch of every group, and its free addresses.
pub(super) const SWITCH: (&str, u32) = ("vsw-bp1", 250);
/// The processes that can be suspended, as calls name them and as groups show them.
const PROCESSES: [(&str, &str); 5] = [
    ("scalein", "ScaleIn"),
    ("scaleout", "ScaleOut"),
    ("healthcheck", "HealthCheck"),
    ("alarmnotification", "AlarmNotification"),
    ("scheduledaction", "ScheduledAction"),
];

/// A scaling group to make.
#[derive(Clone, Debug)]
pub struct NewScalingGroup {
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// Its minimum size.
    pub min: u32,
    /// Its maximum size.
    pub max: u32,
    /// Its first size; `None` for a group without a desired capacity, which starts at its minimum.
    pub desired: Option<u32>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

impl NewScalingGroup {
    /// A group without tags.
    pub fn new(region: &str, name: &str, min: u32, max: u32, desired: u32) -> NewScalingGroup {
        let (region, name, desired) = (region.into(), name.into(), Some(desired));
        NewScalingGroup { region, name, min, max, desired, tags: Vec::new() }
    }
}

/// What a group's changes need of the cloud.
pub(crate) struct Shop<'a> {
    pub now: Timestamp,
    pub boot: Seconds,
    pub removal: Seconds,
    pub ids: &'a mut Ids,
    pub machines: &'a mut BTreeMap<String, Machine>,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub id: String,
    /// Groups made later have larger numbers.
    pub number: u64,
    pub region: String,
    pub name: String,
    pub min: u32,
    pub max: u32,
    pub desired: Option<u32>,
    pub active: bool,
    pub suspended: BTreeSet<&'static str>,
    /// The cloud has no more machines than this.
    pub stock: Option<u32>,
    pub members: BTreeMap<String, Member>,
    pub rules: Vec<Value>,
    pub tasks: Vec<Value>,
    /// What the cloud shows of it besides, or instead: an object.
    pub shows: Value,
    tags: Vec<(String, String)>,
    created: Timestamp,
    activities: Vec<Activity>,
    /// By client token: what was asked, and what was answered.
    tokens: BTreeMap<String, (BTreeMap<String, String>, Value)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    created: Timestamp,
    in_service: Timestamp,
    leaves: Option<Timestamp>,
    pub attached: bool,
    protected: bool,
    standby: bool,
    activity: String,
    /// A state that a test made up.
    pub strange: Option<String>,
}

#[derive(Clone, Debug)]
struct Activity {
    id: String,
    cause: String,
    trigger: &'static str,
    started: Timestamp,
    ends: Timestamp,
    created: Vec<String>,
    destroyed: Vec<String>,
    failure: Option<(&'static str, &'static str)>,
    total: usize,
    attached: usize,
}

const NO_STOCK: (&str, &str) = (
    "OperationDenied.NoStock",
    "The specified ECS resource is out of stock in this region. Please try again later.",
);

impl Member {
    fn state(&self, now: Timestamp) -> &str {
        match self {
            Member { strange: Some(strange), .. } => strange,
            Member { leaves: Some(_), .. } => "Removing",
            Member { in_service, .. } if *in_service > now => "Pending",
            Member { standby: true, .. } => "Standby",
            Member { protected: true, .. } => "Protected",
            _ => "InService",
        }
    }
}

impl Activity {
    fn status(&self, now: Timestamp) -> &'static str {
        let changed = !(self.created.is_empty() && self.destroyed.is_empty());
        match (self.failure, self.ends > now) {
            (Some(_), _) if !changed => "Failed",
            (_, true) => "InProgress",
            (Some(_), false) => "Warning",
            (None, false) => "Successful",
        }
    }

    fn shown(&self, group: &str, account: &str, now: Timestamp) -> Value {
        let (word, count) = match (self.created.len(), self.destroyed.len()) {
            (0, gone) if gone > 0 => ("Remove", gone),
            (new, _) => ("Add", new),
        };
        let status = self.status(now);
        let mut shown = json!({
            "ScalingActivityId": self.id,
            "ScalingGroupId": group,
            "Cause": self.cause,
            "Description": format!("{word} \"{count}\" ECS instance"),
            "StartTime": minute(self.started),
            "StatusCode": status,
            "Progress": if status == "InProgress" { 50 } else { 100 },
            "ScalingInstanceNumber": count,
            "TotalCapacity": self.total.to_string(),
            "AttachedCapacity": self.attached.to_string(),
            "AutoCreatedCapacity": (self.total - self.attached).to_string(),
            "CreatedCapacity": self.created.len(),
            "DestroyedCapacity": self.destroyed.len(),
            "StartedCapacity": 0,
            "StoppedCapacity": 0,
            "CreatedInstances": self.created,
            "DestroyedInstances": self.destroyed,
            "StartedInstances": [],
            "StoppedInstances": [],
            "TriggerSourceType": self.trigger,
            "TriggerSourceId": if self.trigger == "Api" { account } else { "" },
        });
        if status != "InProgress" {
            shown["EndTime"] = minute(self.ends).into();
            let done = if word == "Add" { "added" } else { "removed" };
            shown["StatusMessage"] = format!("\"{count}\" ECS instances are {done}").into();
        }
        if let Some((code, message)) = self.failure {
            shown["ErrorCode"] = code.into();
            shown["ErrorMessage"] = message.into();
            shown["StatusMessage"] = format!("Fail to create instances: {message}").into();
        }
        shown
    }
}

impl Group {
    pub fn new(new: &NewScalingGroup, shop: &mut Shop<'_>) -> Group {
        let mut group = Group {
            id: shop.ids.next("asg-bp1"),
            number: shop.ids.0,
            region: new.region.clone(),
            name: new.name.clone(),
            min: new.min,
            max: new.max,
            desired: new.desired,
            active: true,
            suspended: BTreeSet::new(),
            stock: None,
            members: BTreeMap::new(),
            rules: Vec::new(),
            tasks: Vec::new(),
            shows: Value::Null,
            tags: new.tags.clone(),
            created: shop.now,
            activities: Vec::new(),
            tokens: BTreeMap::new(),
        };
        // Its first members have always been there.
        let long_ago = Timestamp(shop.now.0 - 86_400);
        for _ in 0..new.desired.unwrap_or(new.min) {
            group.launch(long_ago, long_ago, "", shop);
        }
        group
    }

    fn launch(
        &mut self,
        at: Timestamp,
        in_service: Timestamp,
        activity: &str,
        shop: &mut Shop<'_>,
    ) -> String {
        let new =
            NewEcs { group: Some(self.id.clone()), ..NewEcs::new(&self.region, "ecs.g7.large") };
        let id = Machine::launch(&new, at, shop.ids, shop.machines);
        self.join(&id, at, in_service, false, activity);
        id
    }

    pub fn join(
        &mut self,
        id: &str,
        created: Timestamp,
        in_service: Timestamp,
        attached: bool,
        activity: &str,
    ) {
        let member = Member {
            created,
            in_service,
            leaves: None,
            attached,
            protected: false,
            standby: false,
            activity: activity.to_owned(),
            strange: None,
        };
        self.members.insert(id.to_owned(), member);
    }

    /// Members that have left by `now` are gone, and their machines with them.
    pub fn tick(&mut self, now: Timestamp, machines: &mut BTreeMap<String, Machine>) {
        self.members.retain(|id, member| {
            let stays = member.leaves.is_none_or(|at| at > now);
            if !stays && !member.attached {
                machines.remove(id);
            }
            stays
        });
    }

    /// Members that do not leave.
    pub fn total(&self) -> u32 {
        self.members.values().filter(|member| member.leaves.is_none()).count() as u32
    }

    pub fn in_service(&self, at: Timestamp) -> u32 {
        let serves = |member: &&Member| ["InService", "Protected"].contains(&member.state(at));
        self.members.values().filter(serves).count() as u32
    }

    fn busy(&self, now: Timestamp) -> bool {
        self.activities.iter().any(|activity| activity.ends > now)
    }

    /// Launches or removes until the group has `to` members, as far as that goes.
    pub fn scale(
        &mut self,
        to: u32,
        why: &str,
        trigger: &'static str,
        shop: &mut Shop<'_>,
    ) -> String {
        let have = self.total();
        let mut activity = self.begin(&format!("{why}, {}", change(have, to)), trigger, shop);
        if to > have && !self.suspended.contains("ScaleOut") {
            let room = self.stock.map_or(u32::MAX, |stock| stock.saturating_sub(have));
            activity.ends = Timestamp(shop.now.0 + shop.boot.0 as i64);
            for _ in 0..room.min(to - have) {
                let id = self.launch(shop.now, activity.ends, &activity.id, shop);
                activity.created.push(id);
            }
            if to - have > room {
                activity.failure = Some(NO_STOCK);
            }
        }
        if to < have && !self.suspended.contains("ScaleIn") {
            let free = self.members.iter().filter(|(_, member)| {
                member.leaves.is_none() && !member.protected && !member.standby
            });
            let mut oldest: Vec<(Timestamp, String)> =
                free.map(|(id, member)| (member.created, id.clone())).collect();
            oldest.sort();
            let ids = oldest.into_iter().map(|(_, id)| id).take((have - to) as usize);
            self.leave(ids.collect(), &mut activity, shop);
        }
        self.finish(activity)
    }

    fn begin(&self, cause: &str, trigger: &'static str, shop: &mut Shop<'_>) -> Activity {
        Activity {
            id: shop.ids.next("asa-bp1"),
            cause: format!("{cause}."),
            trigger,
            started: shop.now,
            ends: shop.now,
            created: Vec::new(),
            destroyed: Vec::new(),
            failure: None,
            total: 0,
            attached: 0,
        }
    }

    fn leave(&mut self, ids: Vec<String>, activity: &mut Activity, shop: &mut Shop<'_>) {
        activity.ends = Timestamp(shop.now.0 + shop.removal.0 as i64);
        for id in ids {
            if let Some(member) = self.members.get_mut(&id) {
                member.leaves = Some(activity.ends);
            }
            activity.destroyed.push(id);
        }
        self.tick(shop.now, shop.machines);
    }

    fn finish(&mut self, mut activity: Activity) -> String {
        let staying = self.members.values().filter(|member| member.leaves.is_none());
        (activity.total, activity.attached) =
            staying.fold((0, 0), |(all, of), m| (all + 1, of + usize::from(m.attached)));
        let id = activity.id.clone();
        self.activities.push(activity);
        id
    }

    /// Brings the members to what the group wants, if it wants anything else.
    pub fn reconcile(&mut self, why: &str, trigger: &'static str, shop: &mut Shop<'_>) {
        let want = self.desired.unwrap_or(self.total()).clamp(self.min, self.max);
        if self.active && want != self.total() {
            self.scale(want, why, trigger, shop);
        }
    }

    /// Changes the sizes as a call does.
    pub fn modify(
        &mut self,
        min: u32,
        max: u32,
        desired: Option<u32>,
        shop: &mut Shop<'_>,
    ) -> Result<(), String> {
        if min > max {
            return Err(format!("MinSize {min} is above MaxSize {max}"));
        }
        if desired.is_some_and(|desired| !(min..=max).contains(&desired)) {
            return Err(format!("DesiredCapacity {desired:?} is not within {min} and {max}"));
        }
        let before = self.desired;
        (self.min, self.max) = (min, max);
        self.desired = desired.or(before).map(|desired| desired.clamp(min, max));
        let why = match (before, self.desired) {
            (Some(from), Some(to)) if from != to => format!(
                "A user requests to modify the Desired Capacity from \"{from}\" to \"{to}\""
            ),
            _ => "A user requests to modify the scaling group".to_owned(),
        };
        self.reconcile(&why, "Api", shop);
        Ok(())
    }

    /// As the cloud shows it.
    pub fn shown(&self, now: Timestamp) -> Value {
        let count =
            |state: &str| self.members.values().filter(|member| member.state(now) == state).count();
        let tags: Vec<Value> = self
            .tags
            .iter()
            .map(|(k, v)| json!({ "TagKey": k, "TagValue": v, "Propagate": false }))
            .collect();
        let mut shown = json!({
            "ScalingGroupId": self.id,
            "ScalingGroupName": self.name,
            "RegionId": self.region,
            "MinSize": self.min,
            "MaxSize": self.max,
            "EnableDesiredCapacity": self.desired.is_some(),
            "LifecycleState": if self.active { "Active" } else { "Inactive" },
            "TotalCapacity": self.members.len(),
            "TotalInstanceCount": self.members.len(),
            "ActiveCapacity": count("InService"),
            "PendingCapacity": count("Pending"),
            "RemovingCapacity": count("Removing"),
            "StandbyCapacity": count("Standby"),
            "ProtectedCapacity": count("Protected"),
            "StoppedCapacity": 0,
            "PendingWaitCapacity": 0,
            "RemovingWaitCapacity": 0,
            "InitCapacity": 0,
            "CreationTime": minute(self.created),
            "ModificationTime": minute(self.created),
            "DefaultCooldown": 300,
            "GroupType": "ECS",
            "VSwitchId": SWITCH.0,
            "VSwitchIds": [SWITCH.0],
            "HealthCheckType": "ECS",
            "HealthCheckTypes": ["ECS"],
            "MultiAZPolicy": "PRIORITY",
            "ScalingPolicy": "release",
            "RemovalPolicies": ["OldestScalingConfiguration", "OldestInstance"],
            "SuspendedProcesses": self.suspended,
            "SystemSuspended": false,
            "GroupDeletionProtection": false,
            "Tags": tags,
        });
        if let Some(desired) = self.desired {
            shown["DesiredCapacity"] = desired.into();
        }
        for (field, value) in self.shows.as_object().into_iter().flatten() {
            shown[field] = value.clone();
        }
        shown
    }

    fn member(&self, id: &str, now: Timestamp, machines: &BTreeMap<String, Machine>) -> Value {
        let member = &self.members[id];
        let machine = machines.get(id);
        let healthy = machine.is_some_and(|machine| machine.status(now) == "Running");
        json!({
            "InstanceId": id,
            "ScalingGroupId": self.id,
            "LifecycleState": member.state(now),
            "HealthStatus": if healthy { "Healthy" } else { "Unhealthy" },
            "CreationType": if member.attached { "Attached" } else { "AutoCreated" },
            "CreationTime": minute(member.created),
            "CreatedTime": member.created.to_string(),
            "WeightedCapacity": 1,
            "ZoneId": format!("{}-a", self.region),
            "WarmupState": "NoNeedWarmup",
            "SpotStrategy": "NoSpot",
            "Entrusted": false,
            "ScalingActivityId": member.activity,
        })
    }
}

fn change(from: u32, to: u32) -> String {
    format!("changing the Total Capacity from \"{from}\" to \"{to}\"")
}

/// Answers a call.
pub(super) fn answer(
    request: &Request,
    groups: &mut BTreeMap<String, Group>,
    account: &str,
    mut shop: Shop<'_>,
    page_groups: Option<usize>,
) -> Result<Value, Refusal> {
    let now = shop.now;
    if request.operation == "DescribeLimitation" {
        return Ok(json!({ "MaxNumberOfMaxSize": 2000, "MaxNumberOfScalingGroups": 50 }));
    }
    if let Some(start) = request.operation.strip_prefix("Describe") {
        return describe(request, groups, account, start, &shop, page_groups);
    }
    let id = request.required("ScalingGroupId")?;
    let region = request.text("RegionId");
    let group = groups.get_mut(id);
    let group = group.filter(|group| region.is_none_or(|region| group.region == region));
    let group = group.ok_or_else(no_such_group)?;
    let mut asked = request.parameters.clone();
    asked.insert("Action".into(), request.operation.clone());
    let token = asked.remove("ClientToken");
    if token.as_ref().is_some_and(|token| !token.is_ascii() || token.len() > 64) {
        return Err(request.invalid("ClientToken", "is longer than 64 ASCII characters"));
    }
    if let Some((before, answer)) = token.as_ref().and_then(|token| group.tokens.get(token)) {
        if *before != asked {
            let message = "The request uses the same client token as a previous, but \
                           non-identical request.";
            return Err(Refusal::new(400, "IdempotentParameterMismatch", message));
        }
        return Ok(answer.clone());
    }
    let lively = ["ScaleWithAdjustment", "RemoveInstances", "EnterStandby", "ExitStandby"];
    if !group.active && lively.contains(&request.operation.as_str()) {
        let message = "The current status of the specified scaling group does not support this \
                       action.";
        return Err(Refusal::new(403, "IncorrectScalingGroupStatus", message));
    }
    let answer = match request.operation.as_str() {
        "ModifyScalingGroup" => {
            let size = |name: &str| request.number(name, 0..=2000);
            let min = size("MinSize")?.map_or(group.min, |min| min as u32);
            let max = size("MaxSize")?.map_or(group.max, |max| max as u32);
            let desired = size("DesiredCapacity")?.map(|desired| desired as u32);
            if request.flag("DisableDesiredCapacity")? == Some(true) {
                group.desired = None;
            }
            let modified = group.modify(min, max, desired, &mut shop);
            modified.map_err(|why| Refusal::new(400, "InvalidParameter", why))?;
            json!({})
        }
        "ScaleWithAdjustment" => adjust(request, group, &mut shop)?,
        "RemoveInstances" => remove(request, group, &mut shop)?,
        "SetInstancesProtection" => {
            request.required("ProtectedFromScaleIn")?;
            let protected = request.flag("ProtectedFromScaleIn")? == Some(true);
            for id in members(request, group, 20)? {
                group.members.get_mut(&id).expect("it was found").protected = protected;
            }
            json!({})
        }
        "EnterStandby" | "ExitStandby" => {
            let standby = request.operation == "EnterStandby";
            let from = if standby { "InService" } else { "Standby" };
            let ids = members(request, group, 20)?;
            if ids.iter().any(|id| group.members[id].state(now) != from) {
                let message = "The current status of the instance does not support this action.";
                return Err(Refusal::new(403, "IncorrectInstanceStatus", message));
            }
            for id in &ids {
                group.members.get_mut(id).expect("it was found").standby = standby;
            }
            let cause = format!("A user requests {}", request.operation);
            let activity = group.begin(&cause, "Api", &mut shop);
            json!({ "ScalingActivityId": group.finish(activity) })
        }
        "SuspendProcesses" | "ResumeProcesses" => {
            let listed = request.list("Processes", 100)?;
            if listed.is_empty() {
                return Err(request.invalid("Processes", "is empty"));
            }
            for process in listed {
                let bare = process.to_ascii_lowercase().replace('-', "");
                let known = PROCESSES.iter().find(|(name, _)| *name == bare);
                let (_, shown) = known.ok_or_else(|| request.invalid("Processes", "is unknown"))?;
                if request.operation == "SuspendProcesses" {
                    group.suspended.insert(shown);
                } else {
                    group.suspended.remove(shown);
                }
            }
            group.reconcile("The Total Capacity is not the Desired Capacity", "Ess", &mut shop);
            json!({})
        }
        _ => return Err(Refusal::no_such_operation()),
    };
    if let Some(token) = token {
        group.tokens.insert(token, (asked, answer.clone()));
    }
    Ok(answer)
}

fn no_such_group() -> Refusal {
    let message = "The specified scaling group does not exist.";
    Refusal::new(404, "InvalidScalingGroupId.NotFound", message)
}

fn adjust(request: &Request, group: &mut Group, shop: &mut Shop<'_>) -> Result<Value, Refusal> {
    let kinds = ["QuantityChangeInCapacity", "PercentChangeInCapacity", "TotalCapacity"];
    request.required("AdjustmentValue")?;
    request.required("AdjustmentType")?;
    request.flag("SyncActivity")?;
    let base = i64::from(group.desired.unwrap_or(group.total()));
    let value = |range| request.number("AdjustmentValue", range).map(Option::unwrap_or_default);
    let wanted = match request.word("AdjustmentType", &kinds)? {
        Some("TotalCapacity") => value(0..=2000)?,
        Some("QuantityChangeInCapacity") => base + value(-1000..=1000)?,
        _ => {
            let change = base * value(-100..=10_000)? / 100;
            let least = request.number("MinAdjustmentMagnitude", 1..=1000)?.unwrap_or(0);
            base + change.signum() * change.abs().max(least)
        }
    };
    let to = wanted.clamp(group.min.into(), group.max.into()) as u32;
    let why = "A user requests to execute ScaleWithAdjustment";
    // "The scaling group has no ongoing scaling activities", with a desired capacity or without.
    if group.busy(shop.now) {
        let message = "You cannot perform scaling activities on the specified scaling group \
                       because a scaling activity is in progress.";
        return Err(Refusal::new(403, "ScalingActivityInProgress", message));
    }
    if group.desired.is_some() {
        group.desired = Some(to);
        let id = group.scale(to, why, "Api", shop);
        return Ok(json!({ "ScalingActivityId": id, "ActivityType": "CapacityChange" }));
    }
    Ok(json!({ "ScalingActivityId": group.scale(to, why, "Api", shop) }))
}

fn remove(request: &Request, group: &mut Group, shop: &mut Shop<'_>) -> Result<Value, Refusal> {
    // Machines are kept only where the group's own policy is to recycle, and ours is to release.
    request.word("RemovePolicy", &["recycle", "release"])?;
    let decrease = request.flag("DecreaseDesiredCapacity")?.unwrap_or(true);
    let ids = members(request, group, 1000)?;
    let left = group.total().saturating_sub(ids.len() as u32);
    if left < group.min && (decrease || group.desired.is_none()) {
        let message = "To remove the instances, the total capacity will be less than the MinSize.";
        return Err(Refusal::new(400, "IncorrectCapacity.MinSize", message));
    }
    if decrease {
        group.desired = group.desired.map(|n| n.saturating_sub(ids.len() as u32).max(group.min));
    }
    let cause = format!("A user requests to remove instances, {}", change(group.total(), left));
    let mut activity = group.begin(&cause, "Api", shop);
    group.leave(ids, &mut activity, shop);
    let id = group.finish(activity);
    group.reconcile("The Total Capacity is not the Desired Capacity", "Ess", shop);
    Ok(json!({ "ScalingActivityId": id }))
}

/// The members that a call names.
fn members(request: &Request, group: &Group, most: usize) -> Result<Vec<String>, Refusal> {
    let mut ids = request.list("InstanceIds", most)?;
    if ids.is_empty() {
        return Err(request.invalid("InstanceIds", "is empty"));
    }
    let there = |id: &String| group.members.get(id).is_some_and(|m| m.leaves.is_none());
    if request.flag("IgnoreInvalidInstance")? == Some(true) {
        ids.retain(there);
    }
    if !ids.iter().all(there) {
        let message = "The specified instance does not exist in the scaling group.";
        return Err(Refusal::new(404, "InvalidInstanceId.NotFound", message));
    }
    Ok(ids)
}

fn describe(
    request: &Request,
    groups: &BTreeMap<String, Group>,
    account: &str,
    what: &str,
    shop: &Shop<'_>,
    page_groups: Option<usize>,
) -> Result<Value, Refusal> {
    let now = shop.now;
    let region = request.required("RegionId")?;
    let of = request.text("ScalingGroupId");
    let mut groups: Vec<&Group> = groups.values().filter(|group| group.region == region).collect();
    groups.sort_by_key(|group| group.number);
    if what != "ScalingGroups" {
        groups.retain(|group| of.is_none_or(|id| group.id == id));
        if of.is_some() && groups.is_empty() {
            return Err(no_such_group());
        }
    }
    let in_list = |listed: &[String], value: &str| {
        listed.is_empty() || listed.iter().any(|listed| listed == value)
    };
    match what {
        "ScalingGroups" => {
            let ids = request.list("ScalingGroupIds", 20)?;
            let names = request.list("ScalingGroupNames", 20)?;
            let tags = request.tags("Tags");
            let start = request.text("ScalingGroupName").map(|name| name.trim_end_matches('*'));
            groups.retain(|group| {
                let tagged = |(key, value): &(String, Option<String>)| {
                    let same = |v: &String| value.as_ref().is_none_or(|value| value == v);
                    group.tags.iter().any(|(k, v)| k == key && same(v))
                };
                in_list(&ids, &group.id)
                    && in_list(&names, &group.name)
                    && start.is_none_or(|start| group.name.starts_with(start))
                    && tags.iter().all(tagged)
            });
            let all = groups.into_iter().map(|group| group.shown(now)).collect();
            request.page(what, all, PAGE_MAX, page_groups)
        }
        "ScalingInstances" => {
            let ids = request.list("InstanceIds", 200)?;
            let mut states = request.list("LifecycleStates", 10)?;
            states.extend(request.text("LifecycleState").map(str::to_owned));
            let mut kinds = request.list("CreationTypes", 10)?;
            kinds.extend(request.text("CreationType").map(str::to_owned));
            let health = request.text("HealthStatus");
            let shown = |group: &&Group| {
                let group = *group;
                let all = group.members.keys().map(move |id| group.member(id, now, shop.machines));
                all.collect::<Vec<_>>()
            };
            let mut all: Vec<Value> = groups.iter().flat_map(shown).collect();
            let text =
                |member: &Value, field: &str| member[field].as_str().unwrap_or("").to_owned();
            all.retain(|member| {
                in_list(&ids, &text(member, "InstanceId"))
                    && in_list(&states, &text(member, "LifecycleState"))
                    && in_list(&kinds, &text(member, "CreationType"))
                    && health.is_none_or(|health| text(member, "HealthStatus") == health)
            });
            let mut page = request.page(what, all, MEMBERS_MAX, None)?;
            page["TotalSpotCount"] = 0.into();
            Ok(page)
        }
        "ScalingActivities" => {
            let ids = request.list("ScalingActivityIds", 20)?;
            if of.is_none() && ids.is_empty() {
                request.required("ScalingGroupId")?;
            }
            let status = request.text("StatusCode");
            let mut all: Vec<(&Group, &Activity)> = groups
                .iter()
                .flat_map(|group| group.activities.iter().map(move |activity| (*group, activity)))
                .filter(|(_, activity)| in_list(&ids, &activity.id))
                .filter(|(_, activity)| status.is_none_or(|code| activity.status(now) == code))
                .collect();
            all.sort_by_key(|(_, activity)| {
                std::cmp::Reverse((activity.started, activity.id.clone()))
            });
            let all = all.iter().map(|(group, a)| a.shown(&group.id, account, now)).collect();
            request.page(what, all, PAGE_MAX, None)
        }
        "ScalingRules" => {
            let all = groups.iter().flat_map(|group| group.rules.clone()).collect();
            request.page(what, all, PAGE_MAX, None)
        }
        "ScheduledTasks" => {
            let all = groups.iter().flat_map(|group| group.tasks.clone()).collect();
            request.page(what, all, PAGE_MAX, None)
        }
        "LifecycleHooks" => request.page(what, Vec::new(), PAGE_MAX, None),
        _ => Err(Refusal::no_such_operation()),
    }
}
