//! Names of what people agree to: hashes of the values, so that a name stands for nothing else.

use serde::Serialize;

/// Hexadecimal digits of a name. 64 bits are short enough to be typed, and nobody finds another
/// value with the same name by chance.
const DIGITS: usize = 16;

/// The name of what is agreed to: a hash of the bytes that the journal would store. `kind` tells
/// agreements apart whose values are alike.
pub(crate) fn name_of(kind: &str, agreed: &impl Serialize) -> String {
    // A `Vec` takes any length, and the vocabulary holds nothing that postcard refuses.
    let bytes = postcard::to_stdvec(&(kind, agreed)).expect("the vocabulary serializes");
    blake3::hash(&bytes).to_hex()[..DIGITS].to_owned()
}

/// Whether a name is of this value: `now` is what the value is named now, `before` what it was named
/// before names were made of bytes.
pub(crate) fn agrees(
    agreed: &str,
    now: impl FnOnce() -> String,
    before: impl FnOnce() -> String,
) -> bool {
    if older::is_one(agreed) { before() == agreed } else { now() == agreed }
}

/// Names as they were before they were made of bytes: hashes of `Debug` text.
///
/// Nothing is named so any more. Names of before stand in requests and memories that were recorded:
/// a replay judges those as they were judged, and what was open at the upgrade is still agreed to.
/// A name is void once the text of its value changes, which is the safe side.
pub mod older {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use crate::policy::Policy;
    use crate::stage::{self, Promotion, StageAsk, StageRequest, Stages};
    use fleet::resource::Resource;
    use fleet::stop::StopMode;
    use fleet::{RuleName, ServiceName};

    /// Hexadecimal digits of such a name.
    const DIGITS: usize = 12;

    /// Whether a name was given so.
    pub fn is_one(name: &str) -> bool {
        name.len() == DIGITS
    }

    /// 48 bits of FNV-1a.
    fn name_of(text: &str) -> String {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{:012x}", hash >> 16)
    }

    /// What a rule's promotion was agreed to by; see [`stage::terms`].
    pub fn terms(rule: &impl Debug) -> String {
        name_of(&format!("{rule:?}"))
    }

    /// See [`stage::bound_to`].
    pub(crate) fn bound_to(policy: &Policy, stages: &Stages, name: &ServiceName) -> String {
        let service = policy.services.get(name);
        let gated = policy.promotion.gated.contains(name);
        let Promotion { gate, regret, .. } = &policy.promotion;
        let stage = stages.service(name).map(|memory| (memory.stage, memory.since));
        let (mode, budgets) = (policy.mode, &policy.budgets);
        // What came later had no word then.
        let service = format!("{service:?}").replace("lead_time_rule: AtLeast, ", "");
        name_of(&format!(
            "{name}|{mode}|{gated}|{gate:?}|{regret:?}|{budgets:?}|{stage:?}|{service}"
        ))
    }

    /// See [`stage::bound_to_rule`].
    pub(crate) fn bound_to_rule(
        policy: &Policy,
        stages: &Stages,
        name: &RuleName,
        terms: Option<&String>,
    ) -> String {
        let Promotion { gate, regret, wrong_stops, .. } = &policy.promotion;
        let stage = stages.rule(name).map(|memory| (memory.stage, memory.since));
        let mode = policy.mode;
        name_of(&format!(
            "rule {name}|{mode}|{gate:?}|{regret:?}|{wrong_stops}|{stage:?}|{terms:?}"
        ))
    }

    /// The name of an approval.
    pub(crate) fn approval(
        resource: &Resource,
        rule: &RuleName,
        mode: StopMode,
        since: i64,
    ) -> String {
        let born = resource.created_at.map_or(0, |at| at.0);
        let started = resource.started_at.map_or(0, |at| at.0);
        name_of(&format!("{}|{born}|{started}|{rule}|{mode:?}|{since}", resource.id))
    }

    /// A request that no cycle has taken in, under its name of now. `terms` are those of the rules,
    /// each by its name of before: the policy has them by their names of now alone.
    pub fn renamed(
        request: StageRequest,
        policy: &Policy,
        stages: &Stages,
        terms: &BTreeMap<RuleName, String>,
    ) -> StageRequest {
        let StageAsk::PromoteGatedRule { rule, anyway, bound_to } = &request.ask else {
            return request;
        };
        if *bound_to != bound_to_rule(policy, stages, rule, terms.get(rule)) {
            return request;
        }
        let bound_to = stage::bound_to_rule(policy, stages, rule);
        let ask = StageAsk::PromoteGatedRule { rule: rule.clone(), anyway: *anyway, bound_to };
        StageRequest { ask, ..request }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_its_kind_and_value_alone() {
        let name = name_of("service", &(1u8, "a"));
        assert_eq!((name.len(), older::is_one(&name)), (16, false));
        assert_eq!(name, name_of("service", &(1u8, "a")));
        for other in [name_of("rule", &(1u8, "a")), name_of("service", &(2u8, "a"))] {
            assert_ne!(name, other);
        }
        let never = || unreachable!("it is asked for the name of its own kind alone");
        assert!(agrees(&name, || name.clone(), never));
        assert!(agrees("0123456789ab", never, || "0123456789ab".to_owned()));
        assert!(!agrees("0123456789ab", never, || name.clone()));
    }
}
