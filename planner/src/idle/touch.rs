//! What is never touched, and why.

use std::collections::BTreeMap;

use fleet::Fault;
use fleet::comeback::DiskKeys;
use fleet::resource::{Fact, Facts, PublicAddress, Purchase, Resource, Saves, Subject};
use fleet::signs::{FactName, Protection, RoleSign, UnknownFact};
use fleet::stop::StopMode;

use super::plan::IdleHold;
use super::reasons::RiskReason;
use super::rule::{IdlePolicy, StopPreference};

/// Tags of orchestrators: how a key begins, and whose it is.
const ORCHESTRATORS: [(&str, &str); 20] = [
    ("karpenter.sh/", "Karpenter"),
    ("karpenter.k8s.aws/", "Karpenter"),
    ("kubernetes.io/cluster/", "Kubernetes"),
    ("k8s.io/", "Kubernetes"),
    ("eks:", "EKS"),
    ("aws:eks:", "EKS"),
    ("alpha.eksctl.io/", "EKS"),
    ("aws:ecs:", "ECS"),
    ("AmazonECSManaged", "ECS"),
    ("aws:elasticmapreduce:", "EMR"),
    ("aws:batch", "Batch"),
    ("AWSBatchServiceTag", "Batch"),
    ("elasticbeanstalk:", "Elastic Beanstalk"),
    ("aws:ec2:fleet-id", "EC2 Fleet"),
    ("aws:ec2spot:fleet-request-id", "Spot Fleet"),
    ("ack.aliyun.com", "ACK"),
    ("k8s.aliyun.com", "ACK"),
    ("acs:emr", "E-MapReduce"),
    ("acs:batchcompute", "BatchCompute"),
    ("spotinst:", "Spot by NetApp"),
];

/// Tags of orchestrators by key and value.
const ORCHESTRATOR_VALUES: [(&str, &str, &str); 2] =
    [("Vendor", "Databricks", "Databricks"), ("managed-by", "slurm", "Slurm")];

/// Tags that say what a machine is for.
const ROLE_TAGS: [&str; 5] = ["neap:role", "role", "Role", "db-role", "ha-role"];

/// Roles that are idle by their nature.
const PASSIVE_ROLES: [&str; 26] = [
    "standby",
    "replica",
    "secondary",
    "slave",
    "passive",
    "backup",
    "failover",
    "dr",
    "witness",
    "arbiter",
    "quorum",
    "bastion",
    "jump",
    "jumphost",
    "jumpbox",
    "vpn",
    "nat",
    "gateway",
    "dns",
    "ntp",
    "license",
    "licence",
    "domain-controller",
    "dc",
    "keepalived",
    "vrrp",
];

/// Among the roles, those a name may hold for other reasons.
const NOT_IN_NAMES: [&str; 4] = ["dr", "dc", "gateway", "backup"];

/// What a stop asks of a machine, besides idleness.
#[derive(Clone, Copy, Debug)]
pub(super) struct StopTerms<'a> {
    pub policy: &'a IdlePolicy,
    pub stop: StopPreference,
    pub accept_restart_risk: bool,
}

/// Every reason for which this machine must not be stopped, the weightiest first.
pub(super) fn untouchable(resource: &Resource, asked: &StopTerms<'_>) -> Vec<IdleHold> {
    let Subject::Machine(facts) = &resource.subject else { return vec![IdleHold::FindingOnly] };
    let mut holds = Vec::new();
    let own = asked.policy.own_host.as_ref();
    holds.extend(own.filter(|own| **own == resource.id.id).map(|_| IdleHold::OwnHost));
    let tag = &asked.policy.protect_tag;
    let protected = resource.tags.get(tag).filter(|value| !value.eq_ignore_ascii_case("false"));
    holds.extend(protected.map(|value| IdleHold::ProtectTag { tag: format!("{tag}={value}") }));
    holds.extend(orchestrator(&resource.tags));
    holds.extend(passive_role(&resource.tags, &resource.name));
    by_facts(facts, asked, &mut holds);
    holds
}

fn by_facts(facts: &Facts, asked: &StopTerms<'_>, holds: &mut Vec<IdleHold>) {
    let mut fact = |fact: FactName, hold: Result<Option<IdleHold>, Unread>| match hold {
        Ok(hold) => holds.extend(hold),
        Err(Unread(fault)) => holds.push(IdleHold::Unread(UnknownFact { fact, fault }.into())),
    };
    let yes = |fact: &Fact<bool>, hold: IdleHold| read(fact).map(|yes| yes.then_some(hold));
    let group = read(&facts.scaling_group);
    fact(FactName::ScalingGroup, group.map(|group| group.clone().map(IdleHold::InScalingGroup)));
    let targets = read(&facts.targets).map(|targets| targets.first().cloned());
    fact(FactName::TargetGroups, targets.map(|target| target.map(IdleHold::InTargetGroup)));
    fact(FactName::LocalDisks, yes(&facts.local_disk, IdleHold::LocalDisk));
    let accelerator = yes(&facts.accelerator, IdleHold::Accelerator);
    let accelerator = accelerator.map(|hold| hold.filter(|_| !asked.accept_restart_risk));
    fact(FactName::Accelerators, accelerator);
    fact(FactName::Forwarding, yes(&facts.forwards_traffic, IdleHold::ForwardsTraffic));
    let spot = read(&facts.purchase).map(|purchase| {
        let ends = *purchase == Purchase::Spot { terminates: true };
        ends.then_some(IdleHold::SpotTerminates)
    });
    fact(FactName::Purchase, spot);
    let on = |protection: Protection| IdleHold::Protected(protection.into());
    fact(FactName::StopProtection, yes(&facts.stop_protected, on(Protection::Stop)));
    let termination = yes(&facts.termination_protected, on(Protection::Termination));
    fact(FactName::TerminationProtection, termination);
    let alarm = read(&facts.alarms).map(|alarms| alarms.first().cloned().map(IdleHold::Alarm));
    fact(FactName::Alarms, alarm);
    let replica = read(&facts.replica).map(|what| what.clone().map(IdleHold::PassiveRole));
    fact(FactName::Replica, replica);
    let saves = read(&facts.saves).map(|saves| match saves {
        Saves::Yes => None,
        Saves::No(why) => Some(IdleHold::SavesNothing(why.clone())),
    });
    fact(FactName::Billing, saves);
    if asked.stop == StopPreference::Hibernate {
        let can = read(&facts.hibernation);
        fact(FactName::Hibernation, can.map(|can| (!can).then_some(IdleHold::CannotHibernate)));
    }
    fact(FactName::PublicAddress, read(&facts.public_address).map(|_| None));
    fact(FactName::BurstCredits, read(&facts.burstable).map(|_| None));
    let keys = read(&facts.comeback.keys).map(|keys| match keys {
        DiskKeys::Usable => None,
        DiskKeys::Unusable { key, state } => {
            Some(IdleHold::KeyUnusable { key: key.clone(), state: state.clone() })
        }
    });
    // Keys of another account often cannot be read: whoever accepts the risk of a start accepts that.
    let keys = if asked.accept_restart_risk { keys.or(Ok(None)) } else { keys };
    fact(FactName::DiskKeys, keys);
}

/// Why a fact is not known; `None` where it was not asked yet.
struct Unread(Option<Box<Fault>>);

fn read<T>(fact: &Fact<T>) -> Result<&T, Unread> {
    match fact {
        Fact::Known(fact) => Ok(fact),
        Fact::Unread(fault) => Err(Unread(Some(fault.clone()))),
        Fact::Unasked => Err(Unread(None)),
    }
}

/// The way to stop that is wanted and possible; `None` where hibernation is a must and cannot be.
pub(super) fn stop_mode(resource: &Resource, wanted: StopPreference) -> Option<StopMode> {
    let Subject::Machine(facts) = &resource.subject else { return None };
    let can = facts.hibernation.known().copied().unwrap_or(false);
    match wanted {
        StopPreference::Plain => Some(StopMode::Plain),
        StopPreference::Hibernate => can.then_some(StopMode::Hibernate),
        StopPreference::HibernateIfPossible if can => Some(StopMode::Hibernate),
        StopPreference::HibernateIfPossible => Some(StopMode::Plain),
    }
}

fn orchestrator(tags: &BTreeMap<String, String>) -> Option<IdleHold> {
    let by_key = tags.keys().find_map(|key| {
        let found = ORCHESTRATORS.iter().find(|(prefix, _)| key.starts_with(prefix))?;
        Some((found.1, key.clone()))
    });
    let by_value = || {
        ORCHESTRATOR_VALUES.iter().find_map(|(key, value, by)| {
            let found = tags.get(*key).filter(|found| *found == value)?;
            Some((*by, format!("{key}={found}")))
        })
    };
    let (by, tag) = by_key.or_else(by_value)?;
    Some(IdleHold::Orchestrated { by: by.to_owned(), tag })
}

/// A role that is idle by its nature, by tag; by name where no tag `neap:role` says otherwise.
fn passive_role(tags: &BTreeMap<String, String>, name: &str) -> Option<IdleHold> {
    let is_passive = |word: &str| PASSIVE_ROLES.contains(&word.to_ascii_lowercase().as_str());
    for key in ROLE_TAGS {
        let Some(value) = tags.get(key) else { continue };
        if is_passive(value) || words(value).any(&is_passive) {
            let tag = RoleSign::Tag { key: key.to_owned(), value: value.clone() };
            return Some(IdleHold::PassiveRole(tag.into()));
        }
        if key == "neap:role" {
            return None;
        }
    }
    let telling = |word: &&str| {
        is_passive(word) && !NOT_IN_NAMES.contains(&word.to_ascii_lowercase().as_str())
    };
    let sign = || IdleHold::PassiveRole(RoleSign::Name(name.to_owned()).into());
    words(name).find(telling).map(|_| sign())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty())
}

/// What a stop loses besides time, for people.
pub(super) fn losses(facts: &Facts) -> Vec<RiskReason> {
    let mut losses = Vec::new();
    if facts.public_address.known() == Some(&PublicAddress::Ephemeral) {
        losses.push(RiskReason::AddressChanges);
    }
    if facts.burstable.known() == Some(&true) {
        losses.push(RiskReason::CreditsLost);
    }
    losses
}
