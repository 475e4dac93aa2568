//! The bytes of what the shadow records: samples of each record, and of each variant of each enum.
//!
//! What stands here is on disks: a record whose bytes change cannot be read from journals of before.
//! New variants and fields go to the end, and only with a way to read older records.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{Debug, Write};

use fleet::money::Currency;
use fleet::rent::UnitPrice;
use fleet::signs::PriceSource;
use fleet::{ClockJump, RuleName, Units};
use planner::idle::memory::IdleMemory;
use planner::idle::plan::Because;
use planner::idle::snapshot::{PowerOutcome, PowerResult};
use planner::snapshot::{OrderOutcome, OrderResult};
use planner::stage::{StageAsk, StageRequest};
use serde::de::DeserializeOwned;

use super::*;
use stored::{at, desired, every, group, resource_id, service, text};

#[path = "../../../planner/tests/stored/mod.rs"]
mod stored;

/// Lines of `what bytes`.
#[derive(Default)]
struct Golden {
    lines: String,
}

impl Golden {
    /// Adds a sample, which must be the same when it is read back.
    fn named<T>(&mut self, name: &str, value: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let bytes = postcard::to_stdvec(value).unwrap();
        let back: T = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(back, *value, "{name}");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.lines, "{name} {hex}").unwrap();
    }

    /// A record whose fields only its own module knows, from the same fields in a tuple; what it is
    /// read as is written down, too.
    fn read<T>(&mut self, fields: &impl Serialize) -> T
    where
        T: DeserializeOwned + Debug,
    {
        let record: T = postcard::from_bytes(&postcard::to_stdvec(fields).unwrap()).unwrap();
        writeln!(self.lines, "{record:?}").unwrap();
        record
    }
}

fn rule() -> RuleName {
    RuleName(text("rule"))
}

fn power_outcome() -> PowerOutcome {
    PowerOutcome {
        decision: text("decision"),
        resource: resource_id(),
        up: true,
        mode: None,
        because: Because::Idle { rule: rule() },
        at: at(4),
        result: PowerResult::Taken,
    }
}

fn idle_memory() -> IdleMemory {
    IdleMemory { rules: [(rule(), Default::default())].into(), ..IdleMemory::default() }
}

fn tally(first: u64) -> Tally {
    Tally { unit_seconds: first, usd_micro: first + 1, intervals: 3, violations: 4, orders: 5 }
}

fn scores() -> DayScores {
    let card = Scorecard {
        actual: tally(10),
        would: tally(20),
        priced: true,
        cycles: 6,
        disagreements: 7,
        largest_disagreement: 8,
        peak: Peak::default(),
        worth: Worth::default(),
    };
    let questioned = Questioned {
        service: service(),
        at: at(1),
        cycle: "69a534c5-5f3e9a10-12c".parse().unwrap(),
        change: desired(),
        doubt: Doubt::Differs { actual: Units(9) },
        severity: 500,
    };
    DayScores { services: [(service(), card)].into(), questioned: vec![questioned] }
}

/// The scorecards of a day, and a group in the middle of a boot.
fn saved(golden: &mut Golden) -> Saved {
    let applied = OrderOutcome {
        decision: text("replay"),
        at: at(7),
        change: desired(),
        result: OrderResult::Applied,
    };
    let booting = VecDeque::from([(at(5), 6u32)]);
    let group = (1u32, 2u32, 3u32, true, booting, vec![applied]);
    let groups = BTreeMap::from([(service(), group)]);
    golden.read(&(20_000i64, at(1), Some(at(2)), scores(), groups))
}

fn saved_rules(golden: &mut Golden) -> SavedRules {
    let card = RuleCard {
        stops: 1,
        wrong: 2,
        down_seconds: 3,
        saved_micro: [(Currency::Usd, 4)].into(),
        unpriced_seconds: 5,
        stopped_by_others: 6,
        kept_running: 7,
    };
    let scores = RuleScores { days: [(20_000, [(rule(), card)].into())].into() };
    let down = (resource_id(), rule(), true, at(2), false);
    golden.read(&(at(1), scores, idle_memory(), vec![down], vec![power_outcome()]))
}

#[test]
fn what_the_shadow_records_keeps_its_bytes() {
    let mut golden = Golden::default();
    every!(golden, Doubt {
        TooSmall { needed: Units(1) },
        NeverNeeded { needed: Units(2) },
        Differs { actual: Units(3) },
    });
    let saved = Box::new(saved(&mut golden));
    let rules = Box::new(saved_rules(&mut golden));
    let peaks = BTreeMap::from([(service(), Peak { units: 1, seconds: 2, unit_seconds: 3 })]);
    let group = group();
    let (before, from, ours) = (Units(2), Units(3), Units(300));
    let kept = KeptMinimum { service: service(), group, before, from, ours };
    let sources = vec![PriceSource::AwsPriceList, PriceSource::AwsSpot, PriceSource::AlibabaSpot];
    let price = UnitPrice { hourly_micro: 96_000, currency: Currency::Cny, sources, as_of: at(3) };
    let stand = |units_max| Stand { seconds: 2, units_max, unit_seconds: 300 };
    let worth = Worth {
        unit: Some((96_000, Currency::Usd)),
        held: stand(1),
        acted: stand(2),
        native: stand(3),
    };
    let aside = DayAside {
        peaks: peaks.clone(),
        worths: [(service(), worth)].into(),
        unused: [(text("aws"), 400)].into(),
        before: [(service(), Before { stand: stand(4), over: true })].into(),
    };
    every!(golden, ShadowEntry {
        Scores(saved.clone()),
        Asked(StageRequest { by: text("by"), at: at(1), ask: StageAsk::DemoteAll }),
        Rules(rules),
        Scored(saved.clone(), peaks.clone()),
        Minimums(vec![kept]),
        Clock(ClockJump { expected: at(1), shows: at(2) }),
        Prices([(service(), price)].into()),
        Counted(saved, Box::new(aside)),
    });
    insta::with_settings!({
        snapshot_path => "bytes",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("shadow", golden.lines);
    });
}
