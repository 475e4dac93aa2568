//! Calls about machines: what the peer says and does, corrected as the cloud has it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use bytes::Bytes;

use super::wire::{Refusal, Request};
use super::{Answer, Shared, machines};
use crate::clock::locked;

impl Shared {
    pub(super) async fn instances(&self, request: &Request) -> Result<Result<Answer, Refusal>> {
        let answer = self.pass(request).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let elastic = self.elastic_addresses(request, &text).await?;
        let state = locked(&self.state);
        let text = state.groups.launch_times(&text);
        let corrected =
            state.machines.instances(&text, (&request.region, self.time.now()), &elastic);
        Ok(Ok(Answer { body: Bytes::from(corrected), ..answer }))
    }

    /// The addresses that stay, which the peer does not tell from the others.
    async fn elastic_addresses(&self, request: &Request, text: &str) -> Result<BTreeSet<String>> {
        if !text.contains("<ipOwnerId>") {
            return Ok(BTreeSet::new());
        }
        let form = BTreeMap::from([
            ("Action".to_owned(), "DescribeAddresses".to_owned()),
            ("Version".to_owned(), "2016-11-15".to_owned()),
        ]);
        let answer = self.pass(&request.with_form(form)).await?;
        Ok(machines::public_addresses(&String::from_utf8_lossy(&answer.body)))
    }

    /// Stops or starts instances, as far as the cloud would.
    pub(super) async fn power(&self, request: &Request) -> Result<Result<Answer, Refusal>> {
        if request.form.get("DryRun").is_some_and(|text| text == "true") {
            return self.pass(request).await.map(Ok);
        }
        let ids = request.form.iter().filter(|(name, _)| name.starts_with("InstanceId."));
        let mut form: BTreeMap<String, String> =
            ids.map(|(name, id)| (name.clone(), id.clone())).collect();
        form.insert("Action".into(), "DescribeInstances".into());
        form.insert("Version".into(), "2016-11-15".into());
        let seen = self.pass(&request.with_form(form)).await?;
        let seen = machines::instances_in(&String::from_utf8_lossy(&seen.body));
        let now = self.time.now();
        for machine in &seen {
            let judged = locked(&self.state).machines.judge(request, machine, now);
            if let Err(refusal) = judged {
                return Ok(Err(refusal));
            }
        }
        let answer = self.pass(request).await?;
        if answer.status.is_success() {
            let mut state = locked(&self.state);
            for machine in &seen {
                state.machines.moved(request, machine, now);
            }
        }
        Ok(Ok(answer))
    }

    pub(super) async fn power_of_database(
        &self,
        request: &Request,
    ) -> Result<Result<Answer, Refusal>> {
        let id = request.form.get("DBInstanceIdentifier").cloned().unwrap_or_default();
        let now = self.time.now();
        let settled = locked(&self.state).machines.is_settled(&request.region, &id, now);
        if !settled {
            let message = format!("Instance {id} is not in a state that allows this.");
            return Ok(Err(Refusal::new(400, "InvalidDBInstanceState", message)));
        }
        let answer = self.pass(request).await?;
        if answer.status.is_success() {
            locked(&self.state).machines.database_moved(request, &id, now);
        }
        Ok(Ok(answer))
    }

    pub(super) async fn databases(&self, request: &Request) -> Result<Result<Answer, Refusal>> {
        let answer = self.pass(request).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let now = self.time.now();
        let corrected = locked(&self.state).machines.databases(&text, &request.region, now);
        Ok(Ok(Answer { body: Bytes::from(corrected), ..answer }))
    }

    pub(super) async fn health(&self, request: &Request) -> Result<Result<Answer, Refusal>> {
        let answer = self.pass(request).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let now = self.time.now();
        let state = locked(&self.state);
        let corrected = state.groups.target_health(&state.machines.target_health(&text), now);
        drop(state);
        Ok(Ok(Answer { body: Bytes::from(corrected), ..answer }))
    }
}
