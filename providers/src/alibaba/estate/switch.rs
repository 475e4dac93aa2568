//! Stops, starts and marks one resource, once.

use std::sync::Arc;

use async_trait::async_trait;
use fleet::resource::{ResourceId, ResourceKind};
use fleet::stop::{OptIn, StopMode};
use fleet::{Fault, FaultKind};
use serde::Deserialize;
use serde_json::Value;

use crate::alibaba::access::{Access, Seat};
use crate::alibaba::endpoint::Product;
use crate::alibaba::fault;
use crate::alibaba::params::Params;
use crate::call::Call;
use crate::{Deadline, PowerOrder, PowerSwitch};

pub(in crate::alibaba) const STOP: Call = Call::write("ecs", "StopInstances");
pub(in crate::alibaba) const START: Call = Call::write("ecs", "StartInstances");
pub(in crate::alibaba) const TAG: Call = Call::write("ecs", "TagResources");
pub(in crate::alibaba) const UNTAG: Call = Call::write("ecs", "UntagResources");

/// The code by which the cloud says that it would have done it.
const WOULD: &str = "DryRunOperation";

/// A handle that stops, starts and marks this resource and nothing else.
///
/// A stop always says that processors and memory are given back, since an account's default may be
/// either. Where the machine is not fit for that the cloud keeps charging without a word: only a
/// fresh reading tells.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) access: Arc<Access>,
    pub(super) resource: ResourceId,
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

impl Switch {
    fn seat(&self, call: Call) -> Result<Arc<Seat>, Fault> {
        self.access.seat(call, &self.resource.account, &self.resource.region)
    }

    /// The call and the parameters of an order. All together: a dry run of the other kind always
    /// says yes. [ECS API reference]
    fn order_of(&self, order: PowerOrder, seat: &Seat) -> Result<(Call, Params), Fault> {
        let params = || {
            seat.params()
                .with("BatchOptimization", "AllTogether")
                .with_list("InstanceId", [&self.resource.id])
        };
        let (call, params) = match order {
            PowerOrder::Stop(StopMode::Plain) => {
                (STOP, params().with("StoppedMode", "StopCharging"))
            }
            PowerOrder::Start => (START, params()),
            PowerOrder::Stop(StopMode::Hibernate) => {
                let why = "the cloud hibernates by invitation only";
                return Err(STOP.fault(FaultKind::Refused, why));
            }
        };
        if self.resource.kind != ResourceKind::Instance {
            let why = format!("a {} is neither stopped nor started here", self.resource.kind);
            return Err(call.fault(FaultKind::Refused, why));
        }
        Ok((call, params))
    }

    /// What the answer says of the one instance that was named.
    fn taken(&self, call: Call, answer: Ordered) -> Result<(), Fault> {
        let all = answer.instance_responses.instance_response;
        let Some(own) = all.into_iter().find(|one| one.instance_id == self.resource.id) else {
            let why = format!("an answer that says nothing of `{}`", self.resource.id);
            return Err(call.fault(call.unanswered(), why));
        };
        match own.code.as_str() {
            "200" => Ok(()),
            code => Err(fault::of_code(call, code, &own.message)),
        }
    }
}

#[async_trait]
impl PowerSwitch for Switch {
    fn resource(&self) -> &ResourceId {
        &self.resource
    }

    async fn rehearse(&self, order: PowerOrder, deadline: Deadline) -> Result<bool, Fault> {
        let seat = self.seat(STOP)?;
        let (call, params) = self.order_of(order, &seat)?;
        // It changes nothing: without an answer nothing has happened.
        let call = Call::read(call.service, call.operation);
        let params = params.with("DryRun", true);
        match seat.call::<Value>(call, Product::Ecs, params, deadline).await {
            // "Yes, you could have" is said with an error.
            Err(fault) if fault.detail.starts_with(WOULD) => Ok(true),
            Err(fault) => Err(fault),
            Ok(_) => {
                Err(call.fault(FaultKind::Unreadable, "a dry run answered as if it were none"))
            }
        }
    }

    async fn order(
        &self,
        order: PowerOrder,
        _decision: &str,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let seat = self.seat(STOP)?;
        let (call, params) = self.order_of(order, &seat)?;
        let answer = seat.call::<Ordered>(call, Product::Ecs, params, deadline).await?;
        self.taken(call, answer)
    }

    async fn tag(&self, key: &str, value: Option<&str>, deadline: Deadline) -> Result<(), Fault> {
        let call = if value.is_some() { TAG } else { UNTAG };
        if key == OptIn::default().key {
            let why = format!("`{key}` is the owner's to write, never neap's");
            return Err(call.fault(FaultKind::Refused, why));
        }
        let kind = match self.resource.kind {
            ResourceKind::Instance => "instance",
            ResourceKind::Volume => "disk",
            ResourceKind::Snapshot => "snapshot",
            ResourceKind::Database | ResourceKind::Address | ResourceKind::LoadBalancer => {
                let why = format!("a {} is not marked here", self.resource.kind);
                return Err(call.fault(FaultKind::Refused, why));
            }
        };
        let seat = self.seat(call)?;
        let params =
            seat.params().with_list("ResourceId", [&self.resource.id]).with("ResourceType", kind);
        let params = match value {
            Some(value) => params.with_pairs("Tag", [(key, value)]),
            None => params.with_list("TagKey", [key]),
        };
        seat.call::<Value>(call, Product::Ecs, params, deadline).await.map(drop)
    }
}
