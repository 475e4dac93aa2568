//! Stops, starts and marks one machine, once.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_ec2::types::Tag;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use fleet::resource::{ResourceId, ResourceKind};
use fleet::stop::StopMode;
use fleet::{Fault, FaultKind};

use super::super::access::{Access, Seat};
use super::super::thin::Service;
use super::databases;
use crate::call::Call;
use crate::{Deadline, PowerOrder, PowerSwitch};

pub(in super::super) const STOP_INSTANCES: Call = Call::write("ec2", "StopInstances");
pub(in super::super) const START_INSTANCES: Call = Call::write("ec2", "StartInstances");
pub(in super::super) const CREATE_TAGS: Call = Call::write("ec2", "CreateTags");
pub(in super::super) const DELETE_TAGS: Call = Call::write("ec2", "DeleteTags");
pub(in super::super) const STOP_DATABASE: Call = Call::write("rds", "StopDBInstance");
pub(in super::super) const START_DATABASE: Call = Call::write("rds", "StartDBInstance");
pub(in super::super) const ADD_TAGS: Call = Call::write("rds", "AddTagsToResource");
pub(in super::super) const REMOVE_TAGS: Call = Call::write("rds", "RemoveTagsFromResource");

/// Asking changes nothing, so it may be repeated.
const MAY_STOP: Call = Call::read("ec2", "StopInstances");
const MAY_START: Call = Call::read("ec2", "StartInstances");

/// What EC2 answers to a rehearsal that it would have obeyed.
const REHEARSED: &str = "DryRunOperation";
/// The tag by which people hand a machine over: never written here, nor taken away.
const OPT_IN_TAG: &str = "neap:managed";

/// A handle that can stop, start and mark this machine and nothing else.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) access: Arc<Access>,
    pub(super) resource: ResourceId,
}

impl Switch {
    async fn seat(&self, call: Call, deadline: Deadline) -> Result<Arc<Seat>, Fault> {
        let seat = self.access.seat(call, &self.resource.account, &self.resource.region);
        let seat = tokio::time::timeout_at(deadline.0, seat).await;
        seat.unwrap_or_else(|_| Err(call.unsent("not sent before the deadline, no clients yet")))
    }

    fn no_power(&self, call: Call) -> Fault {
        let kind = self.resource.kind;
        call.fault(FaultKind::Refused, format!("a {kind} is neither stopped nor started"))
    }

    /// Sends an order to EC2, or asks whether it would be obeyed.
    async fn instance(
        &self,
        call: Call,
        order: PowerOrder,
        rehearse: bool,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let seat = self.seat(call, deadline).await?;
        let id = &self.resource.id;
        match order {
            PowerOrder::Stop(mode) => {
                let request = seat.ec2_once.stop_instances().instance_ids(id);
                let request = request.hibernate(mode == StopMode::Hibernate).dry_run(rehearse);
                let send = async { obeyed(call, request.send().await, rehearse) };
                seat.gated(call, deadline, Box::pin(send)).await
            }
            PowerOrder::Start => {
                let request = seat.ec2_once.start_instances().instance_ids(id);
                let request = request.dry_run(rehearse);
                let send = async { obeyed(call, request.send().await, rehearse) };
                seat.gated(call, deadline, Box::pin(send)).await
            }
        }
    }

    async fn database(&self, order: PowerOrder, deadline: Deadline) -> Result<(), Fault> {
        let call = match order {
            PowerOrder::Stop(StopMode::Plain) => STOP_DATABASE,
            PowerOrder::Stop(StopMode::Hibernate) => {
                let why = "a database cannot be hibernated";
                return Err(STOP_DATABASE.fault(FaultKind::Refused, why));
            }
            PowerOrder::Start => START_DATABASE,
        };
        let seat = self.seat(call, deadline).await?;
        let fields = [("DBInstanceIdentifier".to_owned(), self.resource.id.clone())];
        seat.query(call, Service::Rds, &fields, deadline).await.map(drop)
    }

    async fn tag_instance(
        &self,
        key: &str,
        value: Option<&str>,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let call = if value.is_some() { CREATE_TAGS } else { DELETE_TAGS };
        let seat = self.seat(call, deadline).await?;
        let id = &self.resource.id;
        match value {
            Some(value) => {
                let tag = Tag::builder().key(key).value(value).build();
                let send = seat.ec2_once.create_tags().resources(id).tags(tag).send();
                seat.call(call, deadline, send).await.map(drop)
            }
            None => {
                let tag = Tag::builder().key(key).build();
                let send = seat.ec2_once.delete_tags().resources(id).tags(tag).send();
                seat.call(call, deadline, send).await.map(drop)
            }
        }
    }

    async fn tag_database(
        &self,
        key: &str,
        value: Option<&str>,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let call = if value.is_some() { ADD_TAGS } else { REMOVE_TAGS };
        let seat = self.seat(call, deadline).await?;
        // Tags go by ARN, which has the account's number in it.
        let found = databases::described(&seat, &self.resource.id, deadline).await?;
        let mut fields = vec![("ResourceName".to_owned(), found.arn)];
        match value {
            Some(value) => {
                fields.push(("Tags.Tag.1.Key".to_owned(), key.to_owned()));
                fields.push(("Tags.Tag.1.Value".to_owned(), value.to_owned()));
            }
            None => fields.push(("TagKeys.member.1".to_owned(), key.to_owned())),
        }
        seat.query(call, Service::Rds, &fields, deadline).await.map(drop)
    }
}

#[async_trait]
impl PowerSwitch for Switch {
    fn resource(&self) -> &ResourceId {
        &self.resource
    }

    async fn rehearse(&self, order: PowerOrder, deadline: Deadline) -> Result<bool, Fault> {
        let call = match order {
            PowerOrder::Stop(_) => MAY_STOP,
            PowerOrder::Start => MAY_START,
        };
        match self.resource.kind {
            ResourceKind::Instance => {
                self.instance(call, order, true, deadline).await.map(|()| true)
            }
            // RDS cannot be asked.
            ResourceKind::Database => Ok(false),
            _ => Err(self.no_power(call)),
        }
    }

    async fn order(
        &self,
        order: PowerOrder,
        _decision: &str,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let call = match order {
            PowerOrder::Stop(_) => STOP_INSTANCES,
            PowerOrder::Start => START_INSTANCES,
        };
        match self.resource.kind {
            ResourceKind::Instance => self.instance(call, order, false, deadline).await,
            ResourceKind::Database => self.database(order, deadline).await,
            _ => Err(self.no_power(call)),
        }
    }

    async fn tag(&self, key: &str, value: Option<&str>, deadline: Deadline) -> Result<(), Fault> {
        if key == OPT_IN_TAG {
            let why = format!("`{OPT_IN_TAG}` is people's to write");
            return Err(CREATE_TAGS.fault(FaultKind::Refused, why));
        }
        match self.resource.kind {
            ResourceKind::Instance => self.tag_instance(key, value, deadline).await,
            ResourceKind::Database => self.tag_database(key, value, deadline).await,
            kind => Err(CREATE_TAGS.fault(FaultKind::Refused, format!("a {kind} is not marked"))),
        }
    }
}

/// What came of an order. A rehearsal that succeeds comes back as an error of a name of its own.
pub(in super::super) fn obeyed<T, E>(
    call: Call,
    answer: Result<T, SdkError<E, HttpResponse>>,
    rehearse: bool,
) -> Result<(), Fault>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Ok(_) => Ok(()),
        Err(error) if rehearse && error.code() == Some(REHEARSED) => Ok(()),
        Err(error) => Err(call.failed(&error)),
    }
}
