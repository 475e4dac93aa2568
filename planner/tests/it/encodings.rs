//! What is journaled and shown: small, and the same when read back.

use fleet::{OrTold, RuleName, Seconds, Timestamp, Units};
use planner::idle::plan::{FoundBy, IdleHold};
use planner::idle::reasons::LastLook;
use planner::memory::{Memory, MemoryDelta, delta};
use planner::plan::{DecidedBy, Hold, Plan};
use planner::reasons::{Author, ForeignChange};
use planner::snapshot::Snapshot;

use crate::world::{World, name};

fn through_postcard<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> (T, usize) {
    let bytes = postcard::to_allocvec(value).unwrap();
    (postcard::from_bytes(&bytes).unwrap(), bytes.len())
}

#[test]
fn plan_snapshot_and_memory_survive_the_journals_encoding() {
    let mut world = World::new();
    world.no_forecast();
    world.set_demand_only(1450.0);
    let (plan, memory) = planner::plan(&world.policy, &world.snapshot, &world.memory);
    assert_eq!(through_postcard::<Plan>(&plan).0, plan);
    assert_eq!(through_postcard::<Snapshot>(&world.snapshot).0, world.snapshot);
    assert_eq!(through_postcard::<Memory>(&memory).0, memory);
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

/// Two days of minutes with a daily shape and noise: what the memory costs on disk.
#[test]
fn a_cycles_delta_is_small_and_a_services_memory_stays_below_its_bound() {
    let mut world = World::new();
    let (mut bytes, mut cycles, mut quiet, mut largest) = (0, 0, usize::MAX, 0);
    for minute in 0..2 * 1440u32 {
        let hour = f64::from(minute % 1440) / 60.0;
        let ripple = f64::from(minute.wrapping_mul(2_654_435_761) % 101) / 101.0 - 0.5;
        let value = (300.0 + 1500.0 * (1.0 - (hour - 12.0).abs() / 12.0)) * (1.0 + 0.1 * ripple);
        world.set_demand(value);
        let before = world.memory.clone();
        let _ = world.cycle(true);
        let change = delta(&before, &world.memory);
        let size = through_postcard::<MemoryDelta>(&change).1;
        assert_eq!(change.apply(&before), world.memory);
        (bytes, cycles, quiet) = (bytes + size, cycles + 1, quiet.min(size));
        largest = largest.max(through_postcard(&world.memory.services[&name("web")]).1);
    }
    let mean = bytes / cycles;
    assert!(mean <= 100, "a cycle's delta is {mean} bytes on the mean");
    assert!(largest <= 1024, "a service's memory is {largest} bytes");
    // Nothing new arrived: nothing to say but that.
    let before = world.memory.clone();
    world.snapshot.taken_at = world.snapshot.taken_at + Seconds(1);
    let _ = world.cycle(false);
    let size = through_postcard(&delta(&before, &world.memory)).1;
    assert!(size <= 60, "a quiet cycle's delta is {size} bytes");
}

/// Records of earlier versions name reasons by their number: new ones come last.
#[test]
fn reasons_keep_their_numbers() {
    let first = |bytes: Vec<u8>| bytes[0];
    let decided = |by: &DecidedBy| first(postcard::to_allocvec(by).unwrap());
    let held = |hold: &Hold| first(postcard::to_allocvec(hold).unwrap());
    let (name, until) = ("sale".to_owned(), Timestamp(0));
    let event = DecidedBy::Event { name: name.clone(), until };
    assert_eq!(
        [DecidedBy::Forecast, DecidedBy::LastTrusted, event].map(|by| decided(&by)),
        [0, 4, 5]
    );
    let floor = Hold::EventFloor { name, floor: Units(1), until };
    let holds = [Hold::RightSize, Hold::SpendCeiling { usd_milli_hourly: 1 }, floor];
    assert_eq!(holds.map(|hold| held(&hold)), [0, 35, 36]);
}

/// What an old record tells as a text stays the text that it was, byte for byte, and compares equal
/// to the value that says the same now; a value is no sentence on the wire.
#[test]
fn texts_of_old_records_stay_and_values_are_no_sentences() {
    let text = "its minimum, by a scheduled action".to_owned();
    let old = postcard::to_allocvec(&(Units(7), &text, Units(9))).unwrap();
    type Kept = (Units, OrTold<ForeignChange>, Units);
    let read: Kept = postcard::from_bytes(&old).unwrap();
    assert!(matches!(&read, (Units(7), OrTold::Told(told), Units(9)) if *told == text));
    assert_eq!(postcard::to_allocvec(&read).unwrap(), old);
    let value = ForeignChange::Minimum { by: Author::Schedule };
    let new: Kept = (Units(7), value.clone().into(), Units(9));
    assert_eq!(new, read);
    let other = OrTold::Value(ForeignChange::Maximum { by: Author::Schedule });
    assert_ne!(read.1, other);
    let bytes = postcard::to_allocvec(&new).unwrap();
    // A text of one character, 1, and the value behind it.
    assert_eq!(bytes, [7, 1, 1, 2, 0, 9]);
    let again: Kept = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(again.1.value(), Some(&value));
    // Of a reason inside a reason, too.
    let hold: OrTold<LastLook> = LastLook::Held(Box::new(IdleHold::Exempt {
        why: OrTold::Told("li asked for it".to_owned()),
        until: Timestamp(60),
    }))
    .into();
    let (again, _) = through_postcard(&hold);
    assert!(again.value().is_some());
    assert_eq!(again, hold);
    // Who reads JSON reads the sentence.
    let json = serde_json::to_string(&new.1).unwrap();
    assert_eq!(json, format!("\"{text}\""));
    assert_eq!(serde_json::from_str::<OrTold<ForeignChange>>(&json).unwrap(), new.1);
}

/// What a wish found was written under the name `wake`, which a rule may have, too.
#[test]
fn a_wish_and_a_rule_of_its_name_are_told_apart() {
    let name = |name: &str| FoundBy::Rule(RuleName(name.to_owned()));
    let old = postcard::to_allocvec("wake").unwrap();
    assert_eq!(postcard::from_bytes::<FoundBy>(&old).unwrap(), FoundBy::Wake);
    assert_eq!(postcard::to_allocvec(&FoundBy::Wake).unwrap(), old);
    for rule in ["dev", "wake", "waker"] {
        assert_eq!(through_postcard(&name(rule)).0, name(rule));
        assert_eq!(serde_json::to_string(&name(rule)).unwrap(), format!("\"{rule}\""));
    }
    assert_eq!(postcard::to_allocvec(&name("dev")).unwrap(), postcard::to_allocvec("dev").unwrap());
    assert!(name("dev") < FoundBy::Wake && FoundBy::Wake < name("zeta"));
    assert!(name("wake") < FoundBy::Wake);
}
