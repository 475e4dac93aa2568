//! Instances, apart from groups: inventory, status, stop and start, types and prices.

use std::collections::BTreeMap;

use planner::{AccountId, Fault, FaultKind, Region, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::endpoint::Product;
use super::params::Params;
use super::{Alibaba, translate};
use crate::Deadline;
use crate::call::Call;

const DESCRIBE: Call = Call::read("ecs", "DescribeInstances");
const STATUS: Call = Call::read("ecs", "DescribeInstanceStatus");
const TYPES: Call = Call::read("ecs", "DescribeInstanceTypes");
const PRICE: Call = Call::read("ecs", "DescribePrice");
const STOP: Call = Call::write("ecs", "StopInstances");
const START: Call = Call::write("ecs", "StartInstances");

/// Records of a page, and ids of one call. [ECS API reference]
const PAGE: usize = 100;
/// Records of a page of statuses. [ECS API reference]
const STATUS_PAGE: usize = 50;
/// Pages that one listing may have: 100,000 instances.
const PAGES_MAX: usize = 1000;

/// An instance as ECS shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct EcsInstance {
    /// Its id.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// Where it stands.
    pub status: EcsStatus,
    /// Its type, such as `ecs.g7.large`.
    pub instance_type: String,
    /// Its zone.
    pub zone: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// How it is paid for.
    pub charge: Charge,
    /// Whether it costs less while it is stopped, as the cloud says.
    pub stopped_mode: Option<StoppedMode>,
    /// Whether it runs on the spot market, where it may be taken at any time.
    pub spot: bool,
    /// Disks that live in the host and are lost with it.
    pub local_disks: u32,
    /// Graphics processors.
    pub gpus: u32,
    /// Whether the cloud refuses to release it.
    pub deletion_protected: bool,
    /// Why the cloud itself holds it, such as `security` or `financial`.
    pub locks: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// Where an instance stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EcsStatus {
    /// Being made.
    Pending,
    /// On its way up.
    Starting,
    /// Serving.
    Running,
    /// On its way down.
    Stopping,
    /// Stopped.
    Stopped,
    /// A state this version does not know: nothing may be concluded from it.
    Unknown(String),
}

impl EcsStatus {
    fn of(text: &str) -> EcsStatus {
        match text {
            "Pending" => EcsStatus::Pending,
            "Starting" => EcsStatus::Starting,
            "Running" => EcsStatus::Running,
            "Stopping" => EcsStatus::Stopping,
            "Stopped" => EcsStatus::Stopped,
            other => EcsStatus::Unknown(other.to_owned()),
        }
    }
}

/// How an instance is paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charge {
    /// By the second.
    PayAsYouGo,
    /// In advance: stopping it saves nothing.
    Subscription,
    /// In a way this version does not know.
    Unknown(String),
}

/// Whether a stopped instance goes on costing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoppedMode {
    /// Its processors and memory are given back: it costs its disks alone, and may not come back
    /// where there is no stock, with another public address.
    StopCharging,
    /// It costs as if it ran.
    KeepCharging,
}

impl StoppedMode {
    fn word(self) -> &'static str {
        match self {
            StoppedMode::StopCharging => "StopCharging",
            StoppedMode::KeepCharging => "KeepCharging",
        }
    }

    fn of(text: &str) -> Option<StoppedMode> {
        [StoppedMode::StopCharging, StoppedMode::KeepCharging]
            .into_iter()
            .find(|m| m.word() == text)
    }
}

/// A type of instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceType {
    /// Its name, such as `ecs.g7.large`.
    pub id: String,
    /// Virtual processors.
    pub cpus: u32,
    /// Memory in GiB.
    pub memory_gib: f64,
    /// Graphics processors.
    pub gpus: u32,
    /// Disks that live in the host.
    pub local_disks: u32,
    /// Credits that a burstable one may hold; `None` for others.
    pub burst_credits_max: Option<u32>,
}

/// A price as the cloud names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// What is paid, after discounts, for an hour.
    pub hourly: f64,
    /// `USD` or `CNY`.
    pub currency: String,
}

/// What ECS answered about each instance of a stop or start.
pub type Outcomes = BTreeMap<String, Result<(), Fault>>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstancesPage {
    instances: Wrapped,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wrapped {
    #[serde(default)]
    instance: Vec<OnWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OnWire {
    instance_id: String,
    status: String,
    instance_type: String,
    #[serde(default)]
    instance_name: String,
    #[serde(default)]
    zone_id: String,
    creation_time: Option<String>,
    instance_charge_type: String,
    #[serde(default)]
    stopped_mode: String,
    #[serde(default)]
    spot_strategy: String,
    #[serde(default)]
    local_storage_amount: Option<u32>,
    #[serde(default, rename = "GPUAmount")]
    gpu_amount: Option<u32>,
    #[serde(default)]
    deletion_protection: bool,
    #[serde(default)]
    operation_locks: Locks,
    #[serde(default)]
    tags: Tags,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Locks {
    lock_reason: Vec<Lock>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Lock {
    lock_reason: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Tags {
    tag: Vec<translate::Tag>,
}

impl From<OnWire> for EcsInstance {
    fn from(wire: OnWire) -> EcsInstance {
        EcsInstance {
            id: wire.instance_id,
            name: wire.instance_name,
            status: EcsStatus::of(&wire.status),
            instance_type: wire.instance_type,
            zone: wire.zone_id,
            created_at: wire.creation_time.as_deref().and_then(translate::stamp),
            charge: match wire.instance_charge_type.as_str() {
                "PostPaid" => Charge::PayAsYouGo,
                "PrePaid" => Charge::Subscription,
                other => Charge::Unknown(other.to_owned()),
            },
            stopped_mode: StoppedMode::of(&wire.stopped_mode),
            spot: wire.spot_strategy.starts_with("Spot"),
            local_disks: wire.local_storage_amount.unwrap_or(0),
            gpus: wire.gpu_amount.unwrap_or(0),
            deletion_protected: wire.deletion_protection,
            locks: wire.operation_locks.lock_reason.into_iter().map(|l| l.lock_reason).collect(),
            tags: wire.tags.tag.into_iter().map(|t| (t.tag_key, t.tag_value)).collect(),
        }
    }
}

impl Alibaba {
    /// All instances of a region that carry these tags; of all tags where there are none.
    ///
    /// # Errors
    /// Where any page could not be read: half a list would pass for the whole.
    pub async fn instances(
        &self,
        account: &AccountId,
        region: &Region,
        tags: &BTreeMap<String, String>,
        deadline: Deadline,
    ) -> Result<Vec<EcsInstance>, Fault> {
        let base = Params::new()
            .with("MaxResults", PAGE)
            .with("RegionId", region.as_str())
            .with_pairs("Tag", tags.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let params = base.clone().with_some("NextToken", token);
            let page: InstancesPage = self.ecs(DESCRIBE, account, region, params, deadline).await?;
            found.extend(page.instances.instance.into_iter().map(EcsInstance::from));
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(found);
            }
        }
        Err(DESCRIBE.fault(FaultKind::Unreadable, format!("more than {PAGES_MAX} pages")))
    }

    /// These instances as they are now; those that are not there are left out.
    ///
    /// # Errors
    /// As [`Alibaba::instances`].
    pub async fn instances_by_id(
        &self,
        account: &AccountId,
        region: &Region,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<Vec<EcsInstance>, Fault> {
        let mut found = Vec::new();
        for batch in ids.chunks(PAGE) {
            let params = Params::new()
                .with("InstanceIds", json!(batch))
                .with("MaxResults", PAGE)
                .with("RegionId", region.as_str());
            let page: InstancesPage = self.ecs(DESCRIBE, account, region, params, deadline).await?;
            found.extend(page.instances.instance.into_iter().map(EcsInstance::from));
        }
        Ok(found)
    }

    /// Where these instances stand, without the rest.
    ///
    /// # Errors
    /// As [`Alibaba::instances`].
    pub async fn statuses(
        &self,
        account: &AccountId,
        region: &Region,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<BTreeMap<String, EcsStatus>, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Page {
            instance_statuses: Statuses,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Statuses {
            #[serde(default)]
            instance_status: Vec<One>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct One {
            instance_id: String,
            status: String,
        }
        let mut found = BTreeMap::new();
        for batch in ids.chunks(STATUS_PAGE) {
            let params = Params::new()
                .with("PageNumber", 1)
                .with("PageSize", STATUS_PAGE)
                .with("RegionId", region.as_str())
                .with_list("InstanceId", batch);
            let page: Page = self.ecs(STATUS, account, region, params, deadline).await?;
            let all = page.instance_statuses.instance_status.into_iter();
            found.extend(all.map(|one| (one.instance_id, EcsStatus::of(&one.status))));
        }
        Ok(found)
    }

    /// Orders up to 100 instances to stop, each by itself: one that cannot leaves the others to.
    ///
    /// The mode is always said, since the account's default may be either. A `dry_run` checks
    /// permission and state and changes nothing.
    ///
    /// # Errors
    /// As [`crate::GroupWriter::set`]; per instance in the outcomes.
    pub async fn stop(
        &self,
        account: &AccountId,
        region: &Region,
        ids: &[String],
        mode: StoppedMode,
        dry_run: bool,
        deadline: Deadline,
    ) -> Result<Outcomes, Fault> {
        let params = batch(ids, region, dry_run).with("StoppedMode", mode.word());
        self.ordered(STOP, account, region, ids, params, dry_run, deadline).await
    }

    /// Orders up to 100 instances to start, each by itself. One for which there is no machine left
    /// is [`FaultKind::OutOfCapacity`] in the outcomes.
    ///
    /// # Errors
    /// As [`Alibaba::stop`].
    pub async fn start(
        &self,
        account: &AccountId,
        region: &Region,
        ids: &[String],
        dry_run: bool,
        deadline: Deadline,
    ) -> Result<Outcomes, Fault> {
        let params = batch(ids, region, dry_run);
        self.ordered(START, account, region, ids, params, dry_run, deadline).await
    }

    #[expect(clippy::too_many_arguments, reason = "one place for both orders")]
    async fn ordered(
        &self,
        call: Call,
        account: &AccountId,
        region: &Region,
        ids: &[String],
        params: Params,
        dry_run: bool,
        deadline: Deadline,
    ) -> Result<Outcomes, Fault> {
        if ids.len() > PAGE {
            let why = format!("{} instances at once, expected at most {PAGE}", ids.len());
            return Err(call.fault(FaultKind::Refused, why));
        }
        let answer = self.ecs::<Ordered>(call, account, region, params, deadline).await;
        let answer = match answer {
            // The vendor says "yes, you could have" with an error.
            Err(fault) if dry_run && fault.detail.starts_with("DryRunOperation") => {
                return Ok(ids.iter().map(|id| (id.clone(), Ok(()))).collect());
            }
            answer => answer?,
        };
        let mut outcomes = Outcomes::new();
        for one in answer.instance_responses.instance_response {
            let outcome = match one.code.as_str() {
                "200" => Ok(()),
                code => Err(super::fault::of_code(call, code, &one.message)),
            };
            outcomes.insert(one.instance_id, outcome);
        }
        for id in ids {
            outcomes.entry(id.clone()).or_insert_with(|| {
                Err(call.fault(FaultKind::Unconfirmed, format!("no answer about `{id}`")))
            });
        }
        Ok(outcomes)
    }

    /// All types of instances that a region knows.
    ///
    /// # Errors
    /// As [`Alibaba::instances`].
    pub async fn instance_types(
        &self,
        account: &AccountId,
        region: &Region,
        deadline: Deadline,
    ) -> Result<Vec<InstanceType>, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Page {
            instance_types: Types,
            next_token: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Types {
            #[serde(default)]
            instance_type: Vec<One>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct One {
            instance_type_id: String,
            cpu_core_count: u32,
            memory_size: f64,
            #[serde(default, rename = "GPUAmount")]
            gpu_amount: Option<u32>,
            #[serde(default)]
            local_storage_amount: Option<u32>,
            #[serde(default)]
            initial_credit: Option<u32>,
        }
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let params = Params::new().with("MaxResults", PAGE).with_some("NextToken", token);
            let page: Page = self.ecs(TYPES, account, region, params, deadline).await?;
            found.extend(page.instance_types.instance_type.into_iter().map(|one| InstanceType {
                id: one.instance_type_id,
                cpus: one.cpu_core_count,
                memory_gib: one.memory_size,
                gpus: one.gpu_amount.unwrap_or(0),
                local_disks: one.local_storage_amount.unwrap_or(0),
                burst_credits_max: one.initial_credit,
            }));
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(found);
            }
        }
        Err(TYPES.fault(FaultKind::Unreadable, format!("more than {PAGES_MAX} pages")))
    }

    /// What a type costs by the hour, its system disk left out where the cloud prices it apart.
    ///
    /// # Errors
    /// As any read; an answer without a price is unreadable, never zero.
    pub async fn price(
        &self,
        account: &AccountId,
        region: &Region,
        instance_type: &str,
        deadline: Deadline,
    ) -> Result<Price, Fault> {
        let params = Params::new()
            .with("InstanceType", instance_type)
            .with("PriceUnit", "Hour")
            .with("RegionId", region.as_str())
            .with("ResourceType", "instance");
        let answer: Value = self.ecs(PRICE, account, region, params, deadline).await?;
        let price = &answer["PriceInfo"]["Price"];
        let details = price["DetailInfos"]["DetailInfo"].as_array();
        let of_type = details.into_iter().flatten().find(|part| part["Resource"] == "instanceType");
        let hourly = of_type.unwrap_or(price)["TradePrice"].as_f64();
        let hourly = hourly.filter(|price| price.is_finite() && *price > 0.0);
        match (hourly, price["Currency"].as_str()) {
            (Some(hourly), Some(currency)) => Ok(Price { hourly, currency: currency.to_owned() }),
            _ => Err(PRICE.fault(FaultKind::Unreadable, "an answer without a price")),
        }
    }

    async fn ecs<T: DeserializeOwned>(
        &self,
        call: Call,
        account: &AccountId,
        region: &Region,
        params: Params,
        deadline: Deadline,
    ) -> Result<T, Fault> {
        let seat = self.access.seat(call, account, region)?;
        seat.call(call, Product::Ecs, params, deadline).await
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ordered {
    #[serde(default)]
    instance_responses: Responses,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Responses {
    instance_response: Vec<Response>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    instance_id: String,
    code: String,
    #[serde(default)]
    message: String,
}

/// A dry run of the whole batch; for real each instance by itself, since a dry run of that kind
/// always says yes. [ECS API reference]
fn batch(ids: &[String], region: &Region, dry_run: bool) -> Params {
    let how = if dry_run { "AllTogether" } else { "SuccessFirst" };
    Params::new()
        .with("BatchOptimization", how)
        .with_some("DryRun", dry_run.then_some(true))
        .with("RegionId", region.as_str())
        .with_list("InstanceId", ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_put_into_our_words() {
        let page = json!({"Instances": {"Instance": [{
            "InstanceId": "i-1", "InstanceName": "web", "Status": "Stopped", "ZoneId": "z",
            "InstanceType": "ecs.g7.large", "InstanceChargeType": "PostPaid",
            "CreationTime": "2026-03-02T12:00Z", "StoppedMode": "StopCharging",
            "SpotStrategy": "NoSpot", "DeletionProtection": true, "GPUAmount": 1,
            "OperationLocks": {"LockReason": [{"LockReason": "financial"}]},
            "Tags": {"Tag": [{"TagKey": "env", "TagValue": "开发"}]}, "New": 1
        }]}, "NextToken": ""});
        let page: InstancesPage = serde_json::from_value(page).unwrap();
        let read: Vec<EcsInstance> = page.instances.instance.into_iter().map(Into::into).collect();
        let one = &read[0];
        assert_eq!(one.status, EcsStatus::Stopped);
        assert_eq!(one.charge, Charge::PayAsYouGo);
        assert_eq!(one.stopped_mode, Some(StoppedMode::StopCharging));
        assert_eq!((one.spot, one.gpus, one.deletion_protected), (false, 1, true));
        assert_eq!(one.locks, ["financial"]);
        assert_eq!(one.tags["env"], "开发");
        assert_eq!(one.created_at, Some(Timestamp(1_772_452_800)));
    }

    #[test]
    fn a_state_that_is_not_known_is_no_other() {
        assert_eq!(EcsStatus::of("Hibernated"), EcsStatus::Unknown("Hibernated".to_owned()));
        assert_eq!(StoppedMode::of("Not-applicable"), None);
    }

    #[test]
    fn a_dry_run_is_of_the_whole_batch() {
        let region = Region::new("eu-central-1").unwrap();
        let text = |dry| format!("{:?}", batch(&["i-1".to_owned()], &region, dry));
        assert!(text(true).contains("AllTogether") && text(true).contains("DryRun"));
        assert!(text(false).contains("SuccessFirst") && !text(false).contains("DryRun"));
    }
}
