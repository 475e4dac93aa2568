//! Machines: those of scaling groups and those of nobody, which stop and start.

use std::collections::BTreeMap;

use fleet::{Seconds, Timestamp};
use serde_json::{Value, json};

use super::wire::{Refusal, Request, minute};
use super::{Account, Ids};

/// A machine to make.
#[derive(Clone, Debug)]
pub struct NewEcs {
    /// Its region.
    pub region: String,
    /// Its type, such as `ecs.g7.large`.
    pub instance_type: String,
    /// Its name.
    pub name: String,
    /// `PostPaid` or `PrePaid`.
    pub charge_type: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Disks that are lost when it stops: how many, and GiB each.
    pub local_disks: Option<(u32, u32)>,
    /// The id of the scaling group that it belongs to.
    pub group: Option<String>,
    /// How long it is made and boots.
    pub boots: Seconds,
    /// What the cloud shows of it besides, or instead: an object.
    pub shows: Value,
}

impl NewEcs {
    /// A machine that is paid by use and has nothing remarkable.
    pub fn new(region: &str, instance_type: &str) -> NewEcs {
        NewEcs {
            region: region.into(),
            instance_type: instance_type.into(),
            name: "machine".into(),
            charge_type: "PostPaid".into(),
            tags: Vec::new(),
            local_disks: None,
            group: None,
            boots: Seconds(0),
            shows: Value::Null,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Machine {
    new: NewEcs,
    created: Timestamp,
    started: Timestamp,
    runs: bool,
    /// Until then it is being made.
    made: Timestamp,
    /// When it is what `runs` says.
    settles: Timestamp,
    stopped_mode: &'static str,
}

impl Machine {
    pub fn launch(
        new: &NewEcs,
        now: Timestamp,
        ids: &mut Ids,
        machines: &mut BTreeMap<String, Machine>,
    ) -> String {
        let id = ids.next("i-bp1");
        let machine = Machine {
            new: new.clone(),
            created: now,
            started: now,
            runs: true,
            made: Timestamp(now.0 + new.boots.0 as i64 / 2),
            settles: now + new.boots,
            stopped_mode: NOT_STOPPED,
        };
        machines.insert(id.clone(), machine);
        id
    }

    pub fn status(&self, now: Timestamp) -> &'static str {
        match (self.runs, self.settles > now) {
            (true, false) => "Running",
            (true, true) if self.made > now => "Pending",
            (true, true) => "Starting",
            (false, true) => "Stopping",
            (false, false) => "Stopped",
        }
    }

    /// Shows something else of it from now on.
    pub fn show(&mut self, fields: &Value) {
        for (field, value) in fields.as_object().into_iter().flatten() {
            self.new.shows[field] = value.clone();
        }
    }

    /// A tag is gone from now on.
    pub fn untag(&mut self, key: &str) {
        self.new.tags.retain(|(tag, _)| tag != key);
    }

    fn shown(&self, id: &str, now: Timestamp) -> Value {
        let new = &self.new;
        let family = new.instance_type.rsplit_once('.').map_or("", |(family, _)| family);
        let (cpu, memory) = size_of(&new.instance_type);
        let tags: Vec<Value> =
            new.tags.iter().map(|(k, v)| json!({ "TagKey": k, "TagValue": v })).collect();
        let mut shown = json!({
            "InstanceId": id,
            "InstanceName": new.name,
            "HostName": new.name,
            "RegionId": new.region,
            "ZoneId": format!("{}-a", new.region),
            "Status": self.status(now),
            "StoppedMode": self.stopped_mode,
            "InstanceType": new.instance_type,
            "InstanceTypeFamily": family,
            "InstanceChargeType": new.charge_type,
            "Cpu": cpu,
            "Memory": memory * 1024,
            "GPUAmount": 0,
            "GPUSpec": "",
            "SpotStrategy": "NoSpot",
            "CreationTime": minute(self.created),
            "StartTime": minute(self.started),
            "ExpiredTime": "2099-12-31T15:59Z",
            "InstanceNetworkType": "vpc",
            "DeletionProtection": false,
            "OSType": "linux",
            "Tags": { "Tag": tags },
            "SecurityGroupIds": { "SecurityGroupId": ["sg-bp1"] },
            "PublicIpAddress": { "IpAddress": [] },
            "InnerIpAddress": { "IpAddress": [] },
            "EipAddress": { "AllocationId": "", "IpAddress": "", "InternetChargeType": "" },
            "VpcAttributes": {
                "VpcId": "vpc-bp1",
                "VSwitchId": "vsw-bp1",
                "NatIpAddress": "",
                "PrivateIpAddress": { "IpAddress": ["172.16.0.1"] },
            },
            "OperationLocks": { "LockReason": [] },
        });
        if let Some((amount, capacity)) = new.local_disks {
            shown["LocalStorageAmount"] = amount.into();
            shown["LocalStorageCapacity"] = capacity.into();
        }
        if let Some(group) = &new.group {
            let tag = json!({ "TagKey": "acs:autoscaling:scalingGroupId", "TagValue": group });
            shown["Tags"]["Tag"].as_array_mut().expect("a list").push(tag);
        }
        for (field, value) in new.shows.as_object().into_iter().flatten() {
            shown[field] = value.clone();
        }
        shown
    }

    /// Why the cloud itself holds it.
    fn is_locked(&self) -> bool {
        let locks = self.new.shows["OperationLocks"]["LockReason"].as_array();
        locks.is_some_and(|locks| !locks.is_empty())
    }

    /// The mode that it stops in: what was asked for does not apply to every machine.
    fn mode(&self, asked: Option<&str>) -> &'static str {
        let economical = self.new.charge_type == "PostPaid"
            && self.new.local_disks.is_none()
            && self.new.shows["InstanceNetworkType"] != "classic";
        match asked {
            Some("StopCharging") if economical => "StopCharging",
            Some("StopCharging") => NOT_STOPPED,
            _ => "KeepCharging",
        }
    }
}

const NOT_STOPPED: &str = "Not-applicable";

/// Types that the stand-in knows, with their cores and GiB.
const TYPES: [(&str, u32, u32); 8] = [
    ("ecs.c7.large", 2, 4),
    ("ecs.g7.large", 2, 8),
    ("ecs.g7.xlarge", 4, 16),
    ("ecs.g7.2xlarge", 8, 32),
    ("ecs.gn6i-c4g1.xlarge", 4, 15),
    ("ecs.i3.xlarge", 4, 32),
    ("ecs.r7.large", 2, 16),
    ("ecs.t6-c1m2.large", 2, 4),
];

fn size_of(kind: &str) -> (u32, u32) {
    let known = TYPES.iter().find(|(name, ..)| *name == kind);
    known.map_or((2, 8), |(_, cpu, memory)| (*cpu, *memory))
}

/// Answers a call; starting and stopping take `pace` seconds each.
pub(super) fn answer(
    request: &Request,
    account: &mut Account,
    now: Timestamp,
    pace: i64,
) -> Result<Value, Refusal> {
    if request.operation == "DescribeRegions" {
        let all = ["cn-hangzhou", "cn-beijing", "ap-southeast-1", "eu-central-1"].map(|region| {
            let endpoint = format!("ecs.{region}.aliyuncs.com");
            json!({ "RegionId": region, "RegionEndpoint": endpoint, "LocalName": region })
        });
        return Ok(json!({ "Regions": { "Region": all } }));
    }
    if request.operation == "DescribeInstanceTypes" {
        return types(request);
    }
    let region = request.required("RegionId")?;
    match request.operation.as_str() {
        "DescribeAccountAttributes" => attributes(request, account, region),
        "DescribeInstances" => instances(request, account, region, now),
        "DescribeInstanceStatus" => {
            let wanted = request.list("InstanceId", 100)?;
            let shown = |(id, machine): (&String, &Machine)| {
                let here = machine.new.region == region;
                let meant = wanted.is_empty() || wanted.contains(id);
                let status = machine.status(now);
                (here && meant).then(|| json!({ "InstanceId": id, "Status": status }))
            };
            let all: Vec<Value> = account.machines.iter().filter_map(shown).collect();
            let mut page = request.page("All", all, 50, None)?;
            page["InstanceStatuses"] = json!({ "InstanceStatus": page["All"].take() });
            page.as_object_mut().expect("an object").remove("All");
            Ok(page)
        }
        "StopInstances" | "StartInstances" => turn(request, account, region, now, pace),
        "DescribePrice" => price(request),
        "TagResources" | "UntagResources" => tag(request, account, region),
        _ => Err(Refusal::no_such_operation()),
    }
}

/// Processors that machines paid by use may have in a region.
pub const VCPUS_MAX: u32 = 64;

/// Limits of the account; processors that are in use are those of machines paid by use.
fn attributes(request: &Request, account: &Account, region: &str) -> Result<Value, Refusal> {
    let paid_by_use = account.machines.values().filter(|machine| {
        machine.new.region == region && machine.new.charge_type == "PostPaid" && machine.runs
    });
    let used: u32 = paid_by_use.map(|machine| size_of(&machine.new.instance_type).0).sum();
    let known = [
        ("max-postpaid-instance-vcpu-count", VCPUS_MAX),
        ("used-postpaid-instance-vcpu-count", used),
    ];
    let wanted = request.list("AttributeName", 8)?;
    let meant = known
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name));
    let items: Vec<Value> = meant
        .map(|(name, value)| {
            let value = json!({ "Value": value.to_string(), "InstanceChargeType": "PostPaid" });
            json!({ "AttributeName": name, "AttributeValues": { "ValueItem": [value] } })
        })
        .collect();
    Ok(json!({ "AccountAttributeItems": { "AccountAttributeItem": items } }))
}

/// What a disk costs an hour, by GiB.
const DISK: f64 = 0.0014;

fn price(request: &Request) -> Result<Value, Refusal> {
    let kinds = ["instance", "disk"];
    let priced = |resource: &str, hourly: f64| {
        let price = json!({ "OriginalPrice": hourly, "TradePrice": hourly, "DiscountPrice": 0.0 });
        let mut detail = price.clone();
        detail["Resource"] = resource.into();
        (price, detail)
    };
    let (mut price, details) = if request.word("ResourceType", &kinds)? == Some("disk") {
        request.required("DataDisk.1.Category")?;
        request.required("DataDisk.1.Size")?;
        let size = request.number("DataDisk.1.Size", 20..=65_536)?.unwrap_or(20);
        let (price, detail) = priced("dataDisk", DISK * size as f64);
        (price, vec![detail])
    } else {
        let name = request.required("InstanceType")?;
        let Some((_, cpu, memory)) = TYPES.iter().find(|(known, ..)| *known == name) else {
            let message =
                "The specified InstanceType does not exist or beyond the permitted range.";
            return Err(Refusal::new(403, "InvalidInstanceType.ValueNotSupported", message));
        };
        let hourly = f64::from(*cpu) * 0.1 + f64::from(*memory) * 0.025;
        let (_, machine) = priced("instanceType", hourly);
        let (_, disk) = priced("systemDisk", DISK * 40.0);
        (priced("", hourly + DISK * 40.0).0, vec![machine, disk])
    };
    price["Currency"] = "CNY".into();
    price["DetailInfos"] = json!({ "DetailInfo": details });
    Ok(json!({ "PriceInfo": { "Price": price, "Rules": { "Rule": [] } } }))
}

/// Writes tags on machines, or takes them away.
fn tag(request: &Request, account: &mut Account, region: &str) -> Result<Value, Refusal> {
    if request.required("ResourceType")? != "instance" {
        return Err(request.invalid("ResourceType", "is not known here"));
    }
    let ids = request.list("ResourceId", 50)?;
    let (tags, keys) = (request.tags("Tag"), request.list("TagKey", 20)?);
    for id in &ids {
        let machine = account.machines.get_mut(id).filter(|machine| machine.new.region == region);
        let Some(machine) = machine else {
            let message = "The specified ResourceIds are not found in our records.";
            return Err(Refusal::new(404, "InvalidResourceId.NotFound", message));
        };
        let written = |key: &String| keys.contains(key) || tags.iter().any(|(tag, _)| tag == key);
        machine.new.tags.retain(|(key, _)| !written(key));
        let new = tags.iter().map(|(key, value)| (key.clone(), value.clone().unwrap_or_default()));
        machine.new.tags.extend(new);
    }
    Ok(json!({}))
}

fn types(request: &Request) -> Result<Value, Refusal> {
    let wanted = request.list("InstanceTypes", 10)?;
    let family = request.text("InstanceTypeFamily");
    let length = request.number("MaxResults", 1..=1600)?.unwrap_or(1600) as usize;
    let known = TYPES.iter().filter(|(name, ..)| {
        let meant = wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
        meant && family.is_none_or(|family| name.starts_with(&format!("{family}.")))
    });
    let all = known.map(|(name, cpu, memory)| {
        let family = name.rsplit_once('.').map_or("", |(family, _)| family);
        let mut shown = json!({
            "InstanceTypeId": name,
            "InstanceTypeFamily": family,
            "CpuCoreCount": cpu,
            "MemorySize": f64::from(*memory),
            "GPUAmount": 0,
            "LocalStorageCategory": "",
        });
        match family {
            "ecs.gn6i-c4g1" => shown["GPUAmount"] = 1.into(),
            "ecs.i3" => {
                shown["LocalStorageAmount"] = 1.into();
                shown["LocalStorageCategory"] = "local_ssd_pro".into();
            }
            "ecs.t6-c1m2" => {
                shown["InitialCredit"] = 60.into();
                shown["BaselineCredit"] = 24.into();
            }
            _ => {}
        }
        shown
    });
    let (shown, token) = request.slice(all.collect(), length)?;
    let token = token.unwrap_or_default();
    Ok(json!({ "InstanceTypes": { "InstanceType": shown }, "NextToken": token }))
}

fn instances(
    request: &Request,
    account: &Account,
    region: &str,
    now: Timestamp,
) -> Result<Value, Refusal> {
    if request.flag("DryRun")? == Some(true) {
        let message = "Request validation has been passed with DryRun flag set.";
        return Err(Refusal::new(400, "DryRunOperation", message));
    }
    let ids: Option<Vec<String>> = match request.text("InstanceIds") {
        None => None,
        Some(text) => Some(
            serde_json::from_str(text)
                .map_err(|_| request.invalid("InstanceIds", "is no JSON array of ids"))?,
        ),
    };
    if ids.as_ref().is_some_and(|ids| ids.len() > 100) {
        return Err(request.invalid("InstanceIds", "has more than 100 ids"));
    }
    let tags = request.tags("Tag");
    let same = |name: &str, value: &Value| {
        request.text(name).is_none_or(|wanted| value.as_str() == Some(wanted))
    };
    let mut all: Vec<Value> = Vec::new();
    for (id, machine) in &account.machines {
        let shown = machine.shown(id, now);
        let carries = |(key, value): &(String, Option<String>)| {
            let has = shown["Tags"]["Tag"].as_array().expect("a list");
            has.iter().any(|tag| {
                tag["TagKey"] == **key && value.as_ref().is_none_or(|v| tag["TagValue"] == **v)
            })
        };
        let fields = ["Status", "InstanceType", "InstanceChargeType", "InstanceName", "ZoneId"];
        if machine.new.region == region
            && ids.as_ref().is_none_or(|ids| ids.contains(id))
            && fields.iter().all(|field| same(field, &shown[*field]))
            && tags.iter().all(carries)
        {
            all.push(shown);
        }
    }
    let length = request.number("MaxResults", 1..=100)?;
    if length.is_none() && request.text("NextToken").is_none() {
        let mut page = request.page("All", all, 100, None)?;
        page["Instances"] = json!({ "Instance": page["All"].take() });
        page.as_object_mut().expect("an object").remove("All");
        return Ok(page);
    }
    let (shown, token) = request.slice(all, length.unwrap_or(10) as usize)?;
    Ok(json!({ "Instances": { "Instance": shown }, "NextToken": token.unwrap_or_default() }))
}

/// Stops or starts machines: those that cannot be are told apart in the answer.
fn turn(
    request: &Request,
    account: &mut Account,
    region: &str,
    now: Timestamp,
    pace: i64,
) -> Result<Value, Refusal> {
    let start = request.operation == "StartInstances";
    let ids = request.list("InstanceId", 100)?;
    if ids.is_empty() {
        request.required("InstanceId.1")?;
    }
    request.flag("ForceStop")?;
    let mode = request.word("StoppedMode", &["StopCharging", "KeepCharging"])?;
    let batch = request.word("BatchOptimization", &["AllTogether", "SuccessFirst"])?;
    let dry = request.flag("DryRun")? == Some(true);
    let mut responses = Vec::new();
    for id in &ids {
        let machine = account.machines.get(id).filter(|machine| machine.new.region == region);
        let status = machine.map_or("", |machine| machine.status(now));
        let wanted = if start { "Stopped" } else { "Running" };
        let gone = |machine: &Machine| {
            let stock = account.stock.get(&machine.new.instance_type);
            let kept = machine.stopped_mode == "KeepCharging";
            start && !kept && stock.is_some_and(|left| *left == 0)
        };
        let (code, message) = match machine {
            None => ("InvalidInstanceId.NotFound", "The specified InstanceId does not exist."),
            Some(_) if status != wanted => (
                "IncorrectInstanceStatus",
                "The current status of the resource does not support this operation.",
            ),
            Some(machine) if machine.is_locked() => (
                "InstanceLockedForSecurity",
                "The specified operation is denied as your instance is locked for security reasons.",
            ),
            Some(machine) if gone(machine) => (
                "OperationDenied.NoStock",
                "The requested resource is sold out in the specified zone.",
            ),
            Some(_) => ("200", "success"),
        };
        responses.push((id, code, message, status));
    }
    let refused = responses.iter().find(|(_, code, ..)| *code != "200");
    if let (true, Some((_, code, message, _))) = (batch != Some("SuccessFirst"), refused) {
        let status = if code.ends_with("NotFound") { 404 } else { 403 };
        return Err(Refusal::new(status, code, *message));
    }
    if dry {
        let message = "Request validation has been passed with DryRun flag set.";
        return Err(Refusal::new(400, "DryRunOperation", message));
    }
    let mut shown = Vec::new();
    for (id, code, message, before) in responses {
        if let ("200", Some(machine)) = (code, account.machines.get_mut(id)) {
            machine.runs = start;
            machine.settles = Timestamp(now.0 + pace);
            machine.stopped_mode = if start { NOT_STOPPED } else { machine.mode(mode) };
            if start {
                machine.started = now;
                if let Some(left) = account.stock.get_mut(&machine.new.instance_type) {
                    *left = left.saturating_sub(1);
                }
            }
        }
        shown.push(json!({
            "InstanceId": id,
            "Code": code,
            "Message": message,
            "PreviousStatus": before,
            "CurrentStatus": account.machines.get(id).map_or("", |machine| machine.status(now)),
        }));
    }
    Ok(json!({ "InstanceResponses": { "InstanceResponse": shown } }))
}
