//! Tries each permission once by the smallest call that tells, and changes nothing. ECS is asked by
//! dry runs; what has none is said to be untried.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use fleet::{AccountId, Fault, FaultKind, GroupId, Place};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::access::Seat;
use super::endpoint::Product;
use super::estate::{self, INSTANCES};
use super::groups::{
    DESCRIBE_ACTIVITIES, DESCRIBE_GROUPS, DESCRIBE_MEMBERS, DESCRIBE_RULES, DESCRIBE_TASKS,
};
use super::metrics::{self, DESCRIBE_METRICS};
use super::params::Params;
use super::regions::DESCRIBE_REGIONS;
use super::{Alibaba, cost, rooms};
use crate::call::Call;
use crate::trial::{shell_word, statement_in};
use crate::{Deadline, Growth, Identity, Outcome, Purpose, Room, Trial, Trials, Tried, Untried};

const GET_CALLER_IDENTITY: Call = Call::read("sts", "GetCallerIdentity");

/// The code by which the cloud says that it would have done it.
const WOULD: &str = "DryRunOperation";
/// The tag by which people hand a group or machine over.
const OPT_IN: (&str, &str) = ("neap:managed", "true");
/// Records of a page: the least that every product takes.
const FEW: usize = 10;
/// The policies that are shipped.
const POLICIES: [&str; 2] = [
    include_str!("../../../systemd/alibaba-observer-policy.json"),
    include_str!("../../../systemd/alibaba-actor-policy.json"),
];

/// What came of each call, by permission.
pub(super) type Outcomes = BTreeMap<String, Outcome>;

#[async_trait]
impl Trials for Alibaba {
    async fn tried(&self, place: &Place, writes: bool, deadline: Deadline) -> Tried {
        match self.access.seat(DESCRIBE_GROUPS, &place.account, &place.region) {
            Ok(seat) => tried(&seat, writes, deadline).await,
            Err(fault) => Tried { identity: Err(fault), trials: Vec::new() },
        }
    }

    async fn rooms(
        &self,
        place: &Place,
        growth: &[Growth],
        deadline: Deadline,
    ) -> Vec<Result<Room, Fault>> {
        match self.access.seat(DESCRIBE_GROUPS, &place.account, &place.region) {
            Ok(seat) => rooms::read(&seat, growth, deadline).await,
            Err(fault) => vec![Err(fault)],
        }
    }

    fn tag_command(
        &self,
        group: &GroupId,
        _name: &str,
        (key, value): (&str, &str),
    ) -> Option<String> {
        let (region, id) = (&group.region, shell_word(&group.id));
        let (key, value) = (shell_word(key), shell_word(value));
        Some(format!(
            "aliyun ess TagResources --version 2022-02-22 --force --RegionId {region} \
             --ResourceType scalinggroup --ResourceIds.1 {id} --Tags.1.Key {key} \
             --Tags.1.Value {value}"
        ))
    }

    fn statement(&self, permission: &str) -> String {
        statement_in(&POLICIES, permission)
    }
}

async fn tried(seat: &Arc<Seat>, writes: bool, deadline: Deadline) -> Tried {
    let identity = who(seat, deadline).await;
    if identity
        .as_ref()
        .is_err_and(|fault| matches!(fault.kind, FaultKind::Denied { permission: None }))
    {
        // Without credentials every call would say the same.
        return Tried { identity, trials: Vec::new() };
    }
    let (groups, machines, parts) = tokio::join!(
        of_groups(seat, deadline),
        of_machines(seat, writes, deadline),
        estate::tried(seat, deadline),
    );
    let mut known: Outcomes = groups;
    known.extend(machines);
    known.extend(parts);
    known.extend(rooms::outcomes(seat, deadline).await);
    let needed = cost::required_permissions();
    let write = if writes { needed.write } else { Vec::new() };
    let read = needed.read.into_iter().map(|name| (name, false));
    let mut wanted: Vec<(String, bool)> =
        read.chain(write.into_iter().map(|name| (name, true))).collect();
    wanted.sort();
    let trial = |(permission, writes): (String, bool)| {
        let outcome = known.get(&permission).cloned();
        let outcome = outcome.unwrap_or(Outcome::Untried(Untried::NoDryRun));
        Trial { purpose: purpose(&permission), permission, writes, outcome }
    };
    Tried { identity, trials: wanted.into_iter().map(trial).collect() }
}

/// What a permission is for.
fn purpose(permission: &str) -> Purpose {
    let limits =
        [rooms::ACCOUNT_ATTRIBUTES, rooms::LIMITATION, rooms::SWITCHES.call, DESCRIBE_REGIONS];
    match permission.split(':').next() {
        _ if limits.iter().any(|call| call.permission() == permission) => Purpose::Limits,
        Some("ess") => Purpose::Groups,
        _ if permission == DESCRIBE_METRICS.permission() => Purpose::Groups,
        _ => Purpose::Machines,
    }
}

/// Whose the credentials are. Needs no permission.
async fn who(seat: &Seat, deadline: Deadline) -> Result<Identity, Fault> {
    let answer: Value =
        seat.call(GET_CALLER_IDENTITY, Product::Sts, Params::new(), deadline).await?;
    let account = answer["AccountId"].as_str().and_then(AccountId::new);
    let arn = answer["Arn"].as_str().unwrap_or_default().to_owned();
    account.map(|account| Identity { account, arn }).ok_or_else(|| {
        GET_CALLER_IDENTITY.fault(FaultKind::Unreadable, "an answer without an account")
    })
}

/// What came of a call that changes nothing. A dry run says yes with an error.
pub(super) fn outcome<T>(answer: Result<T, Fault>) -> Outcome {
    match answer {
        Ok(_) => Outcome::Works,
        Err(fault) if fault.detail.starts_with(WOULD) => Outcome::Works,
        Err(fault) => Outcome::Failed(fault),
    }
}

async fn of_groups(seat: &Arc<Seat>, deadline: Deadline) -> Outcomes {
    let few = seat.params().with("PageNumber", 1).with("PageSize", FEW);
    let mut jobs = JoinSet::new();
    for call in [DESCRIBE_GROUPS, DESCRIBE_MEMBERS, DESCRIBE_RULES, DESCRIBE_TASKS] {
        let (seat, few) = (Arc::clone(seat), few.clone());
        jobs.spawn(
            async move { (call, seat.call::<Value>(call, Product::Ess, few, deadline).await) },
        );
    }
    let mut known = Outcomes::new();
    let mut first = None;
    while let Some(done) = jobs.join_next().await {
        let Ok((call, answer)) = done else { continue };
        if let (DESCRIBE_GROUPS_NAME, Ok(page)) = (call.operation, &answer) {
            first = page["ScalingGroups"][0]["ScalingGroupId"].as_str().map(str::to_owned);
        }
        known.insert(call.permission(), outcome(answer));
    }
    let activities = match first {
        None => Outcome::Untried(Untried::NoGroup),
        Some(id) => {
            let asked = few.with("ScalingGroupId", id);
            let read = seat.call::<Value>(DESCRIBE_ACTIVITIES, Product::Ess, asked, deadline);
            outcome(read.await)
        }
    };
    known.insert(DESCRIBE_ACTIVITIES.permission(), activities);
    let metrics = outcome(metrics::probe(seat, deadline).await);
    known.insert(cost::QUERY_METRICS.to_owned(), metrics.clone());
    known.insert(DESCRIBE_METRICS.permission(), metrics);
    known
}

const DESCRIBE_GROUPS_NAME: &str = DESCRIBE_GROUPS.operation;

/// Without the permission a listing of instances is empty and no error: only a dry run tells.
async fn of_machines(seat: &Seat, writes: bool, deadline: Deadline) -> Outcomes {
    let ask = |params: Params| seat.call::<Value>(INSTANCES.call, Product::Ecs, params, deadline);
    let listed = ask(seat.params().with("DryRun", true)).await;
    let mut known = Outcomes::from([(INSTANCES.call.permission(), outcome(listed))]);
    if !writes {
        return known;
    }
    let tagged = seat.params().with("MaxResults", FEW).with_pairs("Tag", [OPT_IN]);
    let tagged = ask(tagged).await;
    let machine = tagged.ok().and_then(|page| {
        let all = page.pointer("/Instances/Instance").and_then(Value::as_array)?.first()?.clone();
        Some((all["InstanceId"].as_str()?.to_owned(), all["Status"] == json!("Running")))
    });
    for (call, fits) in [(estate::STOP, true), (estate::START, false)] {
        let outcome = match &machine {
            None => Outcome::Untried(Untried::NoTaggedInstance),
            // The other order is refused for the machine's state alone, or for want of permission.
            Some((id, runs)) => {
                let params = seat.params().with("BatchOptimization", "AllTogether");
                let params = params.with_list("InstanceId", [id]).with("DryRun", true);
                let asked = Call::read(call.service, call.operation);
                let answer = seat.call::<Value>(asked, Product::Ecs, params, deadline).await;
                match answer {
                    Err(fault) if *runs != fits && fault.detail.starts_with(WRONG_STATUS) => {
                        Outcome::Works
                    }
                    answer => outcome(answer),
                }
            }
        };
        known.insert(call.permission(), outcome);
    }
    known
}

/// What a machine answers that is in the wrong state, after it was seen whether one may ask.
const WRONG_STATUS: &str = "IncorrectInstanceStatus";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_says_yes_with_an_error() {
        let of = |code| {
            let fault = super::super::fault::of_code(INSTANCES.call, code, "why");
            outcome::<()>(Err(fault))
        };
        assert_eq!(of("DryRunOperation"), Outcome::Works);
        assert!(matches!(of("Forbidden.RAM"), Outcome::Failed(_)));
        assert_eq!(outcome(Ok(())), Outcome::Works);
    }

    #[test]
    fn what_is_missing_is_told_as_the_statement_of_the_shipped_policy() {
        let write = statement_in(&POLICIES, "ess:ModifyScalingGroup");
        let write: Value = serde_json::from_str(&write).unwrap();
        assert_eq!(write["Resource"], "acs:ess:*:*:scalinggroup/*");
        assert_eq!(write["Condition"]["StringEquals"]["acs:ResourceTag/neap:managed"], "true");
        let read: Value =
            serde_json::from_str(&statement_in(&POLICIES, "cms:DescribeMetricList")).unwrap();
        assert_eq!(read["Action"], "cms:DescribeMetricList");
    }
}
