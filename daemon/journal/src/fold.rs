//! What the records say when they are read in order: the state that the next one builds on.

use std::collections::{BTreeMap, BTreeSet};

use fleet::metric::MetricKey;
use fleet::{Seconds, ServiceName, Timestamp};
use planner::memory::Memory;
use planner::policy::{Budgets, LeadTimeRule, Mode, Policy, ServicePolicy};
use planner::stage::{Gate, Promotion, RegretLimits};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::dictionary::Dictionary;
use super::engine::Tree;
use super::fault::BadBody;
use super::format::{CountsOfV1, CountsOfV2, CountsOfV3, Format};
use super::frame::Frame;
use super::head::{Mark, OlderMark};
use super::memory::{MemoryOfV2, MemoryOfV5, MemoryOfV6, MemoryOfV8};
use super::mirror::{Mirror, Patch, Unfit};
use super::outbox::AlertEntry;
use super::pack::{pack, unpack};
use super::record::{Intent, Outcome, SampleBatch};
use super::samples;
use super::usage::{self, UsageDay};
use super::{CycleId, DecisionId, PolicyDigest};

/// The body of a cycle's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CycleBody {
    pub(crate) taken_at: Timestamp,
    pub(crate) policy: PolicyDigest,
    pub(crate) planner_revision: u32,
    pub(crate) patch: Patch,
}

/// The body of a checkpoint: what the records after it build on, so that nothing before it is
/// needed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckpointBody {
    /// Where the checkpoint stands.
    pub(crate) before: Mark,
    pub(crate) memory: Memory,
    pub(crate) metrics: Vec<MetricKey>,
    pub(crate) open: Vec<Intent>,
    pub(crate) last_cycle: Option<CycleId>,
}

/// The body of a checkpoint from before there were so many trees, or so much in a memory.
#[derive(Deserialize)]
struct OlderCheckpoint<At, Learned> {
    before: At,
    memory: Learned,
    metrics: Vec<MetricKey>,
    open: Vec<Intent>,
    last_cycle: Option<CycleId>,
}

impl<At: Into<Mark>, Learned: Into<Memory>> From<OlderCheckpoint<At, Learned>> for CheckpointBody {
    fn from(old: OlderCheckpoint<At, Learned>) -> CheckpointBody {
        let OlderCheckpoint { before, memory, metrics, open, last_cycle } = old;
        let (before, memory) = (before.into(), memory.into());
        CheckpointBody { before, memory, metrics, open, last_cycle }
    }
}

impl CheckpointBody {
    /// The checkpoint that a record holds.
    pub(crate) fn of(frame: &Frame) -> Result<CheckpointBody, BadBody> {
        let body = &frame.body;
        match frame.format {
            Format::V1 => older::<OlderMark<CountsOfV1>, MemoryOfV2>(body),
            Format::V2 => older::<OlderMark<CountsOfV2>, MemoryOfV2>(body),
            Format::V3 => older::<OlderMark<CountsOfV3>, MemoryOfV5>(body),
            Format::V4 | Format::V5 => older::<Mark, MemoryOfV5>(body),
            Format::V6 => older::<Mark, MemoryOfV6>(body),
            Format::V7 | Format::V8 => older::<Mark, MemoryOfV8>(body),
            Format::V9 => decode(body),
        }
    }
}

fn older<At, Learned>(body: &[u8]) -> Result<CheckpointBody, BadBody>
where
    At: DeserializeOwned + Into<Mark>,
    Learned: DeserializeOwned + Into<Memory>,
{
    decode::<OlderCheckpoint<At, Learned>>(body).map(Into::into)
}

/// The body of a policy's record. Its digest is that of `policy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicyBody {
    pub(crate) digest: PolicyDigest,
    pub(crate) policy: Vec<u8>,
    pub(crate) source: String,
}

/// Encodes a body that is packed whole.
pub(crate) fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    // A `Vec` takes any length, and the bodies hold nothing that postcard refuses.
    wrap(&postcard::to_stdvec(body).expect("a body serializes"))
}

/// Packs bytes whole, with their length in front.
pub(crate) fn wrap(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    super::wire::put(&mut out, plain.len() as u64);
    out.extend_from_slice(&pack(&[], plain));
    out
}

/// Unpacks what [`wrap`] packed.
pub(crate) fn unwrap(mut body: &[u8]) -> Result<Vec<u8>, BadBody> {
    let length = super::wire::take(&mut body).ok_or(BadBody::Short)?;
    Ok(unpack(&[], body, length)?)
}

/// Decodes what [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadBody> {
    super::decode(&unwrap(body)?)
}

/// The state after the records read so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fold {
    /// The parts of the newest cycle; `None` before the first checkpoint.
    pub(crate) mirror: Option<Mirror>,
    pub(crate) dictionary: Dictionary<MetricKey>,
    /// What was told of resources since the checkpoint.
    pub(crate) usage: usage::UsageSoFar,
    pub(crate) open: BTreeMap<DecisionId, Intent>,
    pub(crate) last_cycle: Option<CycleId>,
    pub(crate) last_taken_at: Option<Timestamp>,
    /// The checkpoint the state builds on.
    pub(crate) checkpoint: Option<super::RecordId>,
    /// Policies recorded since that checkpoint, with their bodies.
    pub(crate) policies: BTreeMap<PolicyDigest, Vec<u8>>,
}

/// What a record held.
#[derive(Debug)]
pub(crate) enum Held {
    Samples(Vec<SampleBatch>),
    Cycle(CycleBody),
    Checkpoint(Box<CheckpointBody>),
    Intent(Intent),
    Outcome(Outcome),
    Policy(PolicyBody),
    Alert(AlertEntry),
    Usage(Vec<UsageDay>),
    /// What it is, its readers know.
    Idle(Vec<u8>),
    /// Likewise.
    Shadow(Vec<u8>),
    /// Likewise.
    Stories(Vec<u8>),
}

/// Why a record that is sound as bytes says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it cannot be read: {0}")]
    Body(#[from] BadBody),
    #[error("it builds on a checkpoint that is not there")]
    NoCheckpoint,
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("its digest is not that of its policy")]
    Digest,
}

impl Fold {
    /// Reads the next record.
    pub(crate) fn step(&mut self, frame: &Frame) -> Result<Held, Unreadable> {
        match frame.tree {
            Tree::Samples => samples::decode(&mut self.dictionary, &frame.body)
                .map(Held::Samples)
                .ok_or(Unreadable::Body(BadBody::NoSamples)),
            Tree::Cycles => self.cycle(frame),
            Tree::Intents => {
                let intent: Intent = plain(&frame.body)?;
                self.open.insert(intent.id, intent.clone());
                Ok(Held::Intent(intent))
            }
            Tree::Outcomes => {
                let outcome: Outcome = plain(&frame.body)?;
                if outcome.is_final() {
                    self.open.remove(&outcome.id);
                }
                Ok(Held::Outcome(outcome))
            }
            Tree::Alerts => plain(&frame.body).map(Held::Alert),
            Tree::Checkpoints => self.checkpoint(frame),
            Tree::Policies => {
                let body: PolicyBody = decode(&frame.body)?;
                if digest_of(&body.policy) != body.digest {
                    return Err(Unreadable::Digest);
                }
                self.policies.insert(body.digest, frame.body.clone());
                Ok(Held::Policy(body))
            }
            Tree::Usage => usage::decode(&mut self.usage, &frame.body)
                .map(Held::Usage)
                .ok_or(Unreadable::Body(BadBody::NoUsage)),
            Tree::Idle => Ok(Held::Idle(unwrap(&frame.body)?)),
            Tree::Shadow => Ok(Held::Shadow(unwrap(&frame.body)?)),
            Tree::Stories => Ok(Held::Stories(unwrap(&frame.body)?)),
        }
    }

    fn cycle(&mut self, frame: &Frame) -> Result<Held, Unreadable> {
        let body: CycleBody = plain(&frame.body)?;
        let mirror = self.mirror.as_mut().ok_or(Unreadable::NoCheckpoint)?;
        if let Err(unfit) = mirror.follow(&body.patch) {
            self.mirror = None;
            return Err(unfit.into());
        }
        self.last_cycle = Some(CycleId(frame.id));
        self.last_taken_at = Some(body.taken_at);
        Ok(Held::Cycle(body))
    }

    fn checkpoint(&mut self, frame: &Frame) -> Result<Held, Unreadable> {
        let body = CheckpointBody::of(frame)?;
        self.mirror = Some(Mirror::of_memory(&body.memory));
        self.dictionary = Dictionary::new(body.metrics.clone());
        self.usage = usage::UsageSoFar::default();
        self.open = body.open.iter().map(|intent| (intent.id, intent.clone())).collect();
        self.last_cycle = body.last_cycle;
        self.last_taken_at = body.last_cycle.map(CycleId::at);
        self.checkpoint = Some(frame.id);
        self.policies.clear();
        Ok(Held::Checkpoint(Box::new(body)))
    }
}

fn plain<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    Ok(super::decode(body)?)
}

/// A policy of the first two formats; a later one begins so, too.
#[derive(Deserialize)]
struct PolicyOfV2 {
    mode: Mode,
    poll_interval: Seconds,
    budgets: Budgets,
    spend_ceiling_usd_milli_hourly: Option<u64>,
    services: BTreeMap<ServiceName, ServicePolicy>,
}

/// What the third format has behind it; what a later one has begins so, too.
#[derive(Deserialize)]
struct PromotionOfV3 {
    gated: BTreeSet<ServiceName>,
    gate: Gate,
    regret: RegretLimits,
}

/// What format 9 has behind all that: what is stored of services where it is not the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct PolicySinceV9 {
    /// Services whose lead time is the measured one.
    measured: BTreeSet<ServiceName>,
}

impl PolicySinceV9 {
    fn of(policy: &Policy) -> PolicySinceV9 {
        let measured = policy
            .services
            .iter()
            .filter(|(_, service)| service.pool.lead_time_rule == LeadTimeRule::Measured);
        PolicySinceV9 { measured: measured.map(|(name, _)| name.clone()).collect() }
    }

    fn put(self, services: &mut BTreeMap<ServiceName, ServicePolicy>) {
        for name in self.measured {
            if let Some(service) = services.get_mut(&name) {
                service.pool.lead_time_rule = LeadTimeRule::Measured;
            }
        }
    }
}

/// The plain encoding of a policy. [`policy_of`] reads it.
pub(crate) fn plain_policy(policy: &Policy) -> Vec<u8> {
    // A `Vec` takes any length, and a policy holds nothing that postcard refuses.
    let mut bytes = postcard::to_stdvec(policy).expect("a policy serializes");
    let since_v9 = PolicySinceV9::of(policy);
    if since_v9 != PolicySinceV9::default() {
        bytes.extend(postcard::to_stdvec(&since_v9).expect("names serialize"));
    }
    bytes
}

/// The policy in its plain encoding.
///
/// Where it ends tells its format. Its frame does not: a checkpoint carries a policy on as it is, and
/// the first programs that wrote format 4 had no promotions of rules.
pub(crate) fn policy_of(plain: &[u8]) -> Result<Policy, postcard::Error> {
    let (policy, rest) = postcard::take_from_bytes::<PolicyOfV2>(plain)?;
    let PolicyOfV2 { mode, poll_interval, budgets, spend_ceiling_usd_milli_hourly, mut services } =
        policy;
    let (promotion, since_v9) =
        if rest.is_empty() { Default::default() } else { read_promotion(rest)? };
    since_v9.put(&mut services);
    Ok(Policy { mode, poll_interval, budgets, spend_ceiling_usd_milli_hourly, services, promotion })
}

fn read_promotion(bytes: &[u8]) -> Result<(Promotion, PolicySinceV9), postcard::Error> {
    let (promotion, rest) = postcard::take_from_bytes::<PromotionOfV3>(bytes)?;
    let PromotionOfV3 { gated, gate, regret } = promotion;
    let ((rules, wrong_stops), rest) =
        if rest.is_empty() { Default::default() } else { postcard::take_from_bytes(rest)? };
    let since_v9 =
        if rest.is_empty() { PolicySinceV9::default() } else { postcard::from_bytes(rest)? };
    Ok((Promotion { gated, gate, regret, rules, wrong_stops }, since_v9))
}

/// The identity of a policy in its plain encoding.
pub(crate) fn digest_of(policy: &[u8]) -> PolicyDigest {
    PolicyDigest(super::frame::truncated(&blake3::hash(policy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_of_before_there_were_promotions_and_of_before_rules_had_them_are_read() {
        let policy = Policy {
            mode: Mode::Act,
            poll_interval: fleet::Seconds(60),
            budgets: Budgets::default(),
            spend_ceiling_usd_milli_hourly: None,
            services: BTreeMap::new(),
            promotion: Promotion {
                gated: [ServiceName::new("web").unwrap()].into(),
                ..Promotion::default()
            },
        };
        let plain = postcard::to_stdvec(&policy).unwrap();
        assert_eq!(policy_of(&plain).unwrap(), policy);
        // An empty map and a share of nothing are a byte each.
        assert_eq!(policy_of(&plain[..plain.len() - 2]).unwrap(), policy);
        assert_eq!(plain_policy(&policy), plain, "nothing stands behind what is the default");
        let promotion = postcard::to_stdvec(&policy.promotion).unwrap();
        let older = policy_of(&plain[..plain.len() - promotion.len()]).unwrap();
        assert_eq!(older, Policy { promotion: Promotion::default(), ..policy.clone() });
        assert!(policy_of(&plain[..plain.len() - promotion.len() - 1]).is_err());
    }
}
