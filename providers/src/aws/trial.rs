//! Tries each permission once by the smallest call that tells, and changes nothing: EC2 is asked by
//! dry runs, and what has no dry run is worked out of the policies where that may be asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::{Filter, InstanceAttributeName, Tag};
use fleet::{AccountId, Fault, GroupId, Place, Region};
use roxmltree::Document;

use super::access::{Access, Seat};
use super::estate::{obeyed, trial as estate};
use super::groups::{DESCRIBE_REFRESHES, refresh_of};
use super::listings::{
    DESCRIBE_ACTIVITIES, DESCRIBE_GROUPS, DESCRIBE_INSTANCES, DESCRIBE_POLICIES, DESCRIBE_SCHEDULED,
};
use super::metrics::{self, GET_METRIC_DATA};
use super::regions::DESCRIBE_REGIONS;
use super::thin::Service;
use super::{Aws, cost, endpoint, rooms, xml};
use crate::call::Call;
use crate::trial::{shell_word, statement_in};
use crate::{Deadline, Growth, Identity, Outcome, Purpose, Room, Trial, Trials, Tried, Untried};

/// Works out what policies allow. Nobody needs to have it: without it less is known.
const SIMULATE: Call = Call::read("iam", "SimulatePrincipalPolicy");

/// The tag by which people hand a group or machine over.
const OPT_IN: (&str, &str) = ("neap:managed", "true");
/// A tag of neap's own, for rehearsals of marking.
const OWN_TAG: &str = "neap:check";
/// The policies that are shipped.
const POLICIES: [&str; 2] = [
    include_str!("../../../systemd/aws-observer-policy.json"),
    include_str!("../../../systemd/aws-actor-policy.json"),
];

/// What came of each call, by permission.
pub(super) type Outcomes = BTreeMap<String, Outcome>;

#[async_trait]
impl Trials for Aws {
    async fn tried(&self, place: &Place, writes: bool, deadline: Deadline) -> Tried {
        tried(&self.access, place, writes, deadline).await
    }

    async fn rooms(
        &self,
        place: &Place,
        growth: &[Growth],
        deadline: Deadline,
    ) -> Vec<Result<Room, Fault>> {
        rooms::read(&self.access, place, growth, deadline).await
    }

    fn tag_command(
        &self,
        group: &GroupId,
        name: &str,
        (key, value): (&str, &str),
    ) -> Option<String> {
        let tag = shell_word(&format!(
            "ResourceId={name},ResourceType=auto-scaling-group,Key={key},Value={value},\
             PropagateAtLaunch=false"
        ));
        let region = &group.region;
        Some(format!("aws autoscaling create-or-update-tags --region {region} --tags {tag}"))
    }

    fn statement(&self, permission: &str) -> String {
        statement_in(&POLICIES, permission)
    }
}

/// What came of a call that changes nothing.
pub(super) fn outcome<T>(answer: Result<T, Fault>) -> Outcome {
    answer.map_or_else(Outcome::Failed, |_| Outcome::Works)
}

/// Rehearses a call of EC2, which then says whether it would have been obeyed.
macro_rules! rehearsed {
    ($seat:expr, $call:expr, $deadline:expr, $request:expr) => {{
        let request = $request.dry_run(true);
        let send = async { obeyed($call, request.send().await, true) };
        ($call.permission(), outcome($seat.gated($call, $deadline, Box::pin(send)).await))
    }};
}

async fn tried(access: &Arc<Access>, place: &Place, writes: bool, deadline: Deadline) -> Tried {
    let seat = access.seat(DESCRIBE_GROUPS, &place.account, &place.region);
    let seat = match DESCRIBE_GROUPS.by(deadline, seat).await {
        Ok(seat) => seat,
        Err(fault) => return Tried { identity: Err(fault), trials: Vec::new() },
    };
    let identity = seat.who(deadline).await;
    if identity
        .as_ref()
        .is_err_and(|fault| matches!(fault.kind, fleet::FaultKind::Denied { permission: None }))
    {
        // Without credentials every call would say the same.
        return Tried { identity, trials: Vec::new() };
    }
    let (groups, instances, parts, prices) = tokio::join!(
        Box::pin(of_groups(&seat, deadline)),
        Box::pin(of_instances(&seat, writes, deadline)),
        Box::pin(estate::outcomes(&seat, deadline)),
        Box::pin(estate::prices(access, &place.account, &place.region, deadline)),
    );
    let mut known: Outcomes = groups;
    known.extend(instances);
    known.extend(parts);
    known.extend(prices);
    known.extend(rooms::outcomes(&seat, deadline).await);
    let wanted = wanted(writes);
    let open: Vec<(String, bool)> =
        wanted.iter().filter(|(permission, _)| is_open(known.get(permission))).cloned().collect();
    let worked_out = worked_out(access, place, identity.as_ref().ok(), &open, deadline).await;
    let trial = |(permission, writes): (String, bool)| {
        let outcome = worked_out.get(&permission).or_else(|| known.get(&permission)).cloned();
        let outcome = outcome.unwrap_or(Outcome::Untried(Untried::NoDryRun));
        Trial { purpose: purpose(&permission), permission, writes, outcome }
    };
    Tried { identity, trials: wanted.into_iter().map(trial).collect() }
}

/// The permissions that are tried, and whether each is the actor's.
fn wanted(writes: bool) -> Vec<(String, bool)> {
    let needed = cost::required_permissions();
    let write = if writes { needed.write } else { Vec::new() };
    let mut all: Vec<(String, bool)> = needed.read.into_iter().map(|name| (name, false)).collect();
    all.extend(write.into_iter().map(|name| (name, true)));
    all.sort();
    all
}

/// What a permission is for.
fn purpose(permission: &str) -> Purpose {
    let is = |call: Call| call.permission() == permission;
    match permission.split(':').next() {
        _ if is(rooms::GET_QUOTA) || is(rooms::DESCRIBE_SUBNETS) => Purpose::Limits,
        _ if is(DESCRIBE_REGIONS) => Purpose::Limits,
        Some("autoscaling") => Purpose::Groups,
        _ if is(GET_METRIC_DATA) || is(DESCRIBE_INSTANCES) => Purpose::Groups,
        _ => Purpose::Machines,
    }
}

/// Whether no call told of a permission.
fn is_open(outcome: Option<&Outcome>) -> bool {
    matches!(outcome, None | Some(Outcome::Untried(_)))
}

/// The calls that groups and their metrics are read by.
async fn of_groups(seat: &Arc<Seat>, deadline: Deadline) -> Outcomes {
    let scaling = &seat.autoscaling;
    let (groups, policies, scheduled, activities, metrics) = tokio::join!(
        seat.call(
            DESCRIBE_GROUPS,
            deadline,
            scaling.describe_auto_scaling_groups().max_records(1).send()
        ),
        seat.call(DESCRIBE_POLICIES, deadline, scaling.describe_policies().max_records(1).send()),
        seat.call(
            DESCRIBE_SCHEDULED,
            deadline,
            scaling.describe_scheduled_actions().max_records(1).send()
        ),
        seat.call(
            DESCRIBE_ACTIVITIES,
            deadline,
            scaling.describe_scaling_activities().max_records(1).send()
        ),
        metrics::probe(seat, deadline),
    );
    let first = groups.as_ref().ok().and_then(|page| page.auto_scaling_groups().first());
    let first = first.and_then(|group| group.auto_scaling_group_name()).map(str::to_owned);
    let refreshes = match first {
        None => Outcome::Untried(Untried::NoGroup),
        Some(name) => match refresh_of(seat, &name, deadline).await {
            None => Outcome::Untried(Untried::NoDryRun),
            Some(answer) => outcome(answer),
        },
    };
    BTreeMap::from([
        (DESCRIBE_GROUPS.permission(), outcome(groups)),
        (DESCRIBE_POLICIES.permission(), outcome(policies)),
        (DESCRIBE_SCHEDULED.permission(), outcome(scheduled)),
        (DESCRIBE_ACTIVITIES.permission(), outcome(activities)),
        (DESCRIBE_REFRESHES.permission(), refreshes),
        (GET_METRIC_DATA.permission(), outcome(metrics)),
    ])
}

/// The calls about instances; those of the switch are rehearsed on a machine that was handed over.
async fn of_instances(seat: &Seat, writes: bool, deadline: Deadline) -> Outcomes {
    let any = instance(seat, None, deadline).await;
    let mut known = Outcomes::new();
    let attribute = estate::DESCRIBE_ATTRIBUTE;
    let of_any = match &any {
        Ok(Some(id)) => {
            let request = seat.ec2_once.describe_instance_attribute().instance_id(id);
            let request = request.attribute(InstanceAttributeName::DisableApiStop);
            rehearsed!(seat, attribute, deadline, request).1
        }
        _ => Outcome::Untried(Untried::NoInstance),
    };
    known.insert(attribute.permission(), of_any);
    known.insert(DESCRIBE_INSTANCES.permission(), outcome(any));
    if !writes {
        return known;
    }
    let (stop, start, mark, unmark) = estate::SWITCH;
    let managed = instance(seat, Some(OPT_IN), deadline).await.ok().flatten();
    let Some(id) = managed else {
        let untried = Outcome::Untried(Untried::NoTaggedInstance);
        known.extend([stop, start, mark, unmark].map(|call| (call.permission(), untried.clone())));
        return known;
    };
    let tag = Tag::builder().key(OWN_TAG).value(OPT_IN.1).build();
    let ec2 = &seat.ec2_once;
    // Rehearsals may be repeated.
    let ask = |call: Call| Call::read(call.service, call.operation);
    known.extend([
        rehearsed!(seat, ask(stop), deadline, ec2.stop_instances().instance_ids(&id)),
        rehearsed!(seat, ask(start), deadline, ec2.start_instances().instance_ids(&id)),
        rehearsed!(seat, ask(mark), deadline, ec2.create_tags().resources(&id).tags(tag.clone())),
        rehearsed!(seat, ask(unmark), deadline, ec2.delete_tags().resources(&id).tags(tag)),
    ]);
    known
}

/// An instance that is not ended, with this tag if any is asked for.
async fn instance(
    seat: &Seat,
    tag: Option<(&str, &str)>,
    deadline: Deadline,
) -> Result<Option<String>, Fault> {
    let living = ["pending", "running", "stopping", "stopped"].map(str::to_owned).to_vec();
    let state = Filter::builder().name("instance-state-name").set_values(Some(living)).build();
    let mut request = seat.ec2.describe_instances().max_results(5).filters(state);
    if let Some((key, value)) = tag {
        request =
            request.filters(Filter::builder().name(format!("tag:{key}")).values(value).build());
    }
    let page: DescribeInstancesOutput =
        seat.call(DESCRIBE_INSTANCES, deadline, request.send()).await?;
    let mut all = page.reservations().iter().flat_map(|reservation| reservation.instances());
    Ok(all.find_map(|instance| instance.instance_id().map(str::to_owned)))
}

/// What the cloud works out of the policies of these credentials, where they may ask.
async fn worked_out(
    access: &Access,
    place: &Place,
    who: Option<&Identity>,
    open: &[(String, bool)],
    deadline: Deadline,
) -> Outcomes {
    let role = access.settings.entered(SIMULATE, &place.account).ok().and_then(|(_, role)| role);
    let role = role.map(|role| role.role_arn.as_str().to_owned());
    let Some(who) = who else { return Outcomes::new() };
    let Some(source) = role.or_else(|| principal(&who.arn)) else { return Outcomes::new() };
    let home = endpoint::identity_home(&place.region);
    let Ok(seat) = SIMULATE.by(deadline, access.seat(SIMULATE, &place.account, &home)).await else {
        return Outcomes::new();
    };
    let mut by_resource: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (permission, writes) in open {
        let resource = match writes {
            true => resource(&who.arn, &place.region, &who.account, permission),
            false => "*".to_owned(),
        };
        by_resource.entry(resource).or_default().push(permission);
    }
    let mut known = Outcomes::new();
    for (resource, actions) in by_resource {
        let Ok(answers) = simulated(&seat, &source, &resource, &actions, deadline).await else {
            // Whoever may not ask once may not ask again.
            return known;
        };
        let said =
            |(action, yes)| (action, if yes { Outcome::WorkedOut } else { Outcome::Forbidden });
        known.extend(answers.into_iter().map(said));
    }
    known
}

async fn simulated(
    seat: &Seat,
    source: &str,
    resource: &str,
    actions: &[&str],
    deadline: Deadline,
) -> Result<BTreeMap<String, bool>, Fault> {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut fields = vec![
        field("PolicySourceArn", source),
        field("ResourceArns.member.1", resource),
        field("ContextEntries.member.1.ContextKeyName", "aws:ResourceTag/neap:managed"),
        field("ContextEntries.member.1.ContextKeyType", "string"),
        field("ContextEntries.member.1.ContextKeyValues.member.1", OPT_IN.1),
        field("ContextEntries.member.2.ContextKeyName", "aws:TagKeys"),
        field("ContextEntries.member.2.ContextKeyType", "stringList"),
        field("ContextEntries.member.2.ContextKeyValues.member.1", OWN_TAG),
    ];
    fields.extend(
        (1..).zip(actions).map(|(n, action)| field(&format!("ActionNames.member.{n}"), action)),
    );
    let text = seat.query(SIMULATE, Service::Identity, &fields, deadline).await?;
    let page = Document::parse(&text).map_err(|error| {
        SIMULATE.fault(fleet::FaultKind::Unreadable, format!("not XML: {error}"))
    })?;
    let one = |node| {
        let decision = xml::text(node, "EvalDecision")?;
        Some((xml::text(node, "EvalActionName")?.to_owned(), decision == "allowed"))
    };
    Ok(xml::listed(&page, "EvaluationResults").filter_map(one).collect())
}

/// The user or role whose policies are worked out; `None` for a root user, who has none.
fn principal(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, partition, _, _, account, name] = parts[..] else { return None };
    if let Some(role) = name.strip_prefix("assumed-role/") {
        let role = role.split('/').next()?;
        return Some(format!("arn:{partition}:iam::{account}:role/{role}"));
    }
    name.starts_with("user/").then(|| format!("arn:{partition}:iam::{account}:{name}"))
}

/// Something that an action of the actor's is about. It need not be there to be asked about.
fn resource(arn: &str, region: &Region, account: &AccountId, permission: &str) -> String {
    let partition = arn.split(':').nth(1).unwrap_or("aws");
    let of =
        |service: &str, name: &str| format!("arn:{partition}:{service}:{region}:{account}:{name}");
    match permission.split(':').next() {
        Some("autoscaling") => of(
            "autoscaling",
            "autoScalingGroup:00000000-0000-0000-0000-000000000000:autoScalingGroupName/neap-check",
        ),
        Some("ec2") => of("ec2", "instance/i-00000000000000000"),
        Some("rds") => of("rds", "db:neap-check"),
        _ => "*".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_goes_by_its_role_and_root_by_nothing() {
        for (arn, principal_arn) in [
            (
                "arn:aws:sts::111122223333:assumed-role/neap/i-0a",
                Some("arn:aws:iam::111122223333:role/neap"),
            ),
            ("arn:aws-cn:sts::1:assumed-role/neap/neap", Some("arn:aws-cn:iam::1:role/neap")),
            ("arn:aws:iam::1:user/ops/ann", Some("arn:aws:iam::1:user/ops/ann")),
            ("arn:aws:iam::1:root", None),
            ("", None),
        ] {
            assert_eq!(principal(arn).as_deref(), principal_arn, "{arn}");
        }
    }

    #[test]
    fn what_is_missing_is_told_as_the_statement_of_the_shipped_policy() {
        let read = statement_in(&POLICIES, "ec2:DescribeInstances");
        let read: serde_json::Value = serde_json::from_str(&read).unwrap();
        assert_eq!(read["Action"], "ec2:DescribeInstances");
        assert_eq!(read["Resource"], "*");
        let write = statement_in(&POLICIES, "autoscaling:SetDesiredCapacity");
        let write: serde_json::Value = serde_json::from_str(&write).unwrap();
        assert_eq!(write["Condition"]["StringEquals"]["aws:ResourceTag/neap:managed"], "true");
        assert_eq!(write["Effect"], "Allow");
    }

    #[test]
    fn every_permission_is_told_of_and_the_actors_only_where_wanted() {
        let needed = cost::required_permissions();
        assert_eq!(wanted(true).len(), needed.read.len() + needed.write.len());
        assert!(wanted(false).iter().all(|(_, writes)| !writes));
        assert_eq!(wanted(false).len(), needed.read.len());
    }
}
