//! The bytes of every record: samples of each, and of each variant of each enum.
//!
//! What stands here is on disks: a record whose bytes change cannot be read from journals of before.
//! New variants and fields go to the end, and only with a way to read older records. The planner's
//! own types have their bytes in its tests.

mod samples;
#[path = "../../../../../planner/tests/stored/mod.rs"]
mod stored;
mod told;

use std::fmt::{Debug, Write};

use fleet::{Seconds, ServiceName, Units};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::fold::{CheckpointBody, CycleBody, PolicyBody};
use super::super::head::{self, Head, Mark};
use super::*;
use stored::{
    at, desired, every, group, group_view, point, resource_id, service, text, told, window,
};

/// Lines of `what bytes`.
#[derive(Default)]
struct Golden {
    lines: String,
}

impl Golden {
    /// Adds a sample, which must be the same when it is read back.
    fn add<T>(&mut self, value: &T)
    where
        T: Serialize + DeserializeOwned + Debug,
    {
        let path = std::any::type_name::<T>();
        self.named(path.rsplit("::").next().unwrap_or(path), value);
    }

    fn named<T>(&mut self, name: &str, value: &T)
    where
        T: Serialize + DeserializeOwned + Debug,
    {
        let bytes = postcard::to_stdvec(value).unwrap();
        let back: T = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(format!("{back:?}"), format!("{value:?}"), "{name}");
        self.bytes(name, &bytes);
    }

    /// Adds a record whose fields only its own module knows, from the same fields in a tuple; what
    /// it is read as stands beside its bytes.
    fn read<T>(&mut self, fields: &impl Serialize) -> T
    where
        T: Serialize + DeserializeOwned + Debug,
    {
        let bytes = postcard::to_stdvec(fields).unwrap();
        let record: T = postcard::from_bytes(&bytes).unwrap();
        writeln!(self.lines, "{record:?}").unwrap();
        self.add(&record);
        record
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.lines, "{name} {hex}").unwrap();
    }

    #[track_caller]
    fn assert(self, name: &str) {
        insta::with_settings!({
            snapshot_path => "bytes",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, self.lines);
        });
    }
}

fn record_id(sequence: u64) -> RecordId {
    RecordId::in_era(0, at(0), Instance(0x5f3e_9a10), sequence)
}

fn cycle_id() -> CycleId {
    CycleId(record_id(300))
}

fn sample_intent() -> Intent {
    Intent {
        id: cycle_id().decision(2),
        at: at(1),
        service: service(),
        group: group(),
        change: desired(),
    }
}

fn mark(sequence: u64) -> Mark {
    let counts = std::array::from_fn(|tree| 10 + tree as u64);
    Mark { id: record_id(sequence), hash: [7; 16], counts }
}

#[test]
fn ids_heads_and_frames_keep_their_bytes() {
    let mut golden = Golden::default();
    for tree in engine::Tree::ALL {
        golden.bytes(&format!("Tree {}", tree.name()), &[tree.index() as u8]);
    }
    golden.add(&Instance(0x5f3e_9a10));
    golden.add(&record_id(300));
    golden.bytes("RecordId as a key", &record_id(300).to_key());
    golden.add(&cycle_id());
    golden.add(&cycle_id().decision(2));
    golden.add(&PolicyDigest([9; 16]));
    every!(golden, World { Real, Simulation { seed: 300, scenario: text("scenario") } });
    golden.add(&mark(5));
    let head = Head {
        format: head::FORMAT,
        writes: 300,
        instance: Instance(0x5f3e_9a10),
        world: World::Real,
        anchor: mark(6),
        end: mark(7),
    };
    golden.add(&head);
    let dir = tempfile::tempdir().unwrap();
    HeadFile::open(dir.path()).unwrap().write(&mut head.clone()).unwrap();
    let file = std::fs::read(dir.path().join(head::FILE)).unwrap();
    let place = &file[file.len() / 2..];
    let (body, hash) = place.split_at(place.len() - 16);
    let end = body.iter().rposition(|byte| *byte != 0).unwrap();
    golden.bytes("a place of the high-water file", &body[..=end]);
    golden.bytes("and its checksum", hash);
    let (frame, _) = frame::seal(engine::Tree::Alerts, record_id(300), 9, [3; 16], b"body");
    golden.bytes("a frame", &frame);
    golden.assert("frames");
}

#[test]
fn bodies_keep_their_bytes() {
    let mut golden = Golden::default();
    golden.add(&sample_intent());
    golden.add(&outcome(cycle_id().decision(2), at(3), OrderResult::Moved { found: Units(5) }));
    let policy =
        PolicyBody { digest: PolicyDigest([9; 16]), policy: vec![1, 2, 3], source: text("source") };
    golden.add(&policy);
    golden.add(&CheckpointBody {
        before: mark(5),
        memory: Memory {
            services: [(service(), samples::service_memory())].into(),
            ..Memory::default()
        },
        metrics: vec![fleet::metric::MetricKey(text("metric"))],
        open: vec![sample_intent()],
        last_cycle: Some(cycle_id()),
    });
    let (of_v5, later) = memory::cut(samples::service_memory());
    golden.add(&of_v5);
    golden.bytes("what a memory has beyond format 5", &memory::taught(&later));
    let patch = (vec![service()], 1u32, vec![2u8], 3u32, vec![4u8, 5]);
    golden.read::<CycleBody>(&(at(1), PolicyDigest([9; 16]), 3u32, patch));
    golden.bytes("a body packed whole, unpacked", &fold::unwrap(&fold::encode(&policy)).unwrap());
    samples::cycle(&mut golden);
    samples::behind(&mut golden);
    samples::metrics(&mut golden);
    samples::usage(&mut golden);
    samples::past(&mut golden);
    golden.assert("bodies");
}

#[test]
fn what_others_record_keeps_its_bytes() {
    let mut golden = Golden::default();
    told::alerts(&mut golden);
    told::stories(&mut golden);
    told::idle(&mut golden);
    golden.assert("told");
}
