//! The chance that a stopped machine does not come back when it is wanted.

use std::collections::BTreeMap;

use fleet::OrTold;
use fleet::resource::{Facts, Purchase, Resource, Subject};

use super::memory::Starts;
use super::plan::Risk;
use super::reasons::RiskReason;
use super::touch::losses;

/// Above this chance, in thousandths, a stop is proposed and not done.
pub(super) const RISK_MOST_MILLI: u32 = 50;

/// How type names of scarce machines begin, and how scarce they are, in thousandths: accelerators,
/// very large memory, bare metal. No vendor publishes figures; these err on the careful side.
const SCARCE: [(&str, u32); 24] = [
    ("p2.", 200),
    ("p3", 200),
    ("p4", 300),
    ("p5", 300),
    ("p6", 300),
    ("g3", 150),
    ("g4", 150),
    ("g5", 150),
    ("g6", 150),
    ("inf", 150),
    ("trn", 250),
    ("dl1", 200),
    ("f1.", 150),
    ("f2.", 150),
    ("vt1", 150),
    ("x1", 80),
    ("x2", 80),
    ("u-", 200),
    ("hpc", 100),
    ("ecs.gn", 200),
    ("ecs.vgn", 200),
    ("ecs.ebm", 100),
    ("ecs.scc", 150),
    ("ecs.re", 80),
];

/// What is taken for the chance with any ordinary type, in thousandths.
const ORDINARY_MILLI: u32 = 2;

/// Where starts of a machine are counted: its zone and type.
pub(super) fn starts_key(resource: &Resource) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "?".to_owned());
    format!("{}/{}/{}", resource.id.provider, part(&resource.zone), part(&resource.class))
}

/// The chance that a start of this machine fails, and what a stop loses.
pub(super) fn risk(resource: &Resource, starts: &BTreeMap<String, Starts>) -> Risk {
    let mut risk = Risk { milli: ORDINARY_MILLI, why: Vec::new() };
    let Subject::Machine(facts) = &resource.subject else { return Risk::default() };
    let class = resource.class.as_deref().unwrap_or_default();
    let scarce = SCARCE.iter().find(|(prefix, _)| class.starts_with(prefix));
    if let Some((_, milli)) = scarce.filter(|_| !class.is_empty()) {
        risk.add(*milli, RiskReason::Scarce { class: class.to_owned() });
    } else if class.contains("metal") {
        risk.add(100, RiskReason::BareMetal { class: class.to_owned() });
    }
    by_purchase(facts, &mut risk);
    if let Some(seen) = starts.get(&starts_key(resource)).filter(|s| s.without_capacity > 0) {
        let (bad, all) = (seen.without_capacity, seen.good + seen.without_capacity);
        // Laplace's rule of succession, so that one failure is no certainty.
        let milli = (u64::from(bad) + 1) * 1000 / (u64::from(all) + 2);
        let of = RiskReason::NoCapacity { failed: bad, of: all };
        risk.add(u32::try_from(milli).unwrap_or(1000), of);
    }
    risk.why.extend(losses(facts).into_iter().map(OrTold::Value));
    risk
}

fn by_purchase(facts: &Facts, risk: &mut Risk) {
    if let Some(Purchase::Spot { .. }) = facts.purchase.known() {
        risk.add(100, RiskReason::Spot);
    }
}

impl Risk {
    fn add(&mut self, milli: u32, why: RiskReason) {
        self.milli = (self.milli + milli).min(1000);
        self.why.push(why.into());
    }
}
