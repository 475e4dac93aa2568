//! Journals of earlier formats: they are read, and go on as new ones.

use planner::memory::{Doubt, Proven, ServiceMemory};

use super::*;

/// A journal of four cycles, two intents and one outcome, as the version before left it. Its store
/// is missing: the export tail holds all records.
fn older(bench: &Bench) -> Vec<(engine::Tree, engine::Entry)> {
    copied("format-1", bench);
    tail::read(&bench.path().join(DIRECTORY))
}

/// Puts the files that an earlier version left in the place of a journal.
fn copied(version: &str, bench: &Bench) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests").join(version);
    let to = bench.path().join(DIRECTORY);
    std::fs::create_dir_all(&to).unwrap();
    for name in [head::FILE, tail::FILE] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn format_of(bench: &Bench) -> u32 {
    head::read(&bench.path().join(DIRECTORY)).unwrap().0.unwrap().format
}

#[test]
fn an_older_journal_is_read_as_it_is() {
    let engine = Arc::new(MemoryEngine::default());
    let bench = Bench::new(EngineKind::Memory(Arc::clone(&engine)));
    let records = older(&bench);
    let write = |(tree, (key, value))| engine::Write { tree, key, value };
    let writes: Vec<engine::Write> = records.into_iter().map(write).collect();
    assert!(writes.iter().all(|write| write.value[0] == format::Format::V1.number()));
    engine::Engine::apply(&*engine, &writes).unwrap();
    let reader = bench.reader();
    let report = reader.verify().unwrap();
    assert_eq!((report.cycles, report.records), (4, writes.len() as u64));
    // The tail lacks the one record that stands before the first checkpoint.
    let missing: Vec<String> = report.damage.iter().map(|damage| damage.what.clone()).collect();
    assert_eq!(missing, ["1 records are missing before it"]);
    reader.visit_usage(0, &mut |_, _, _, _| panic!("it knows of no usage")).unwrap();
    assert_eq!(reader.idle::<u8>(Timestamp(0)..Timestamp(i64::MAX)).count(), 0);
    assert_eq!(reader.idle_newest_first::<u8>(Timestamp(0)..Timestamp(i64::MAX)).count(), 0);
    drop(reader);
    assert_eq!(format_of(&bench), 1, "reading changes nothing");
    let (journal, recovered) = bench.open();
    assert_eq!(format_of(&bench), head::FORMAT);
    assert_eq!(recovered.open_intents.len(), 1);
    assert!(journal.outbox().is_empty());
}

#[test]
fn an_older_journal_without_its_store_is_rebuilt_and_goes_on() {
    let mut bench = Bench::new(EngineKind::Sled);
    older(&bench);
    let (journal, recovered) = bench.open();
    assert_eq!(format_of(&bench), head::FORMAT);
    assert_eq!(recovered.open_intents.len(), 1);
    let (memory, at) = recovered.memory.unwrap();
    assert_eq!(at, START + Seconds::minutes(3));
    bench.wrote.push((recovered.last_cycle.unwrap(), turn(3, 3), memory));
    assert!(journal.outbox().is_empty());
    journal.record_idle(at, &7u8, true).unwrap();
    bench.record(&journal, 3, 4..6);
    bench.record(&journal, 3, 1440..1442);
    assert_eq!(journal.reader().verify().unwrap().damage, []);
    drop(journal);
    let (journal, _) = bench.open();
    let reader = journal.reader();
    let report = reader.verify().unwrap();
    assert_eq!((report.damage, report.cycles), (Vec::new(), 8));
    let all = Timestamp(0)..Timestamp(i64::MAX);
    assert_eq!(reader.idle::<u8>(all).next().unwrap().unwrap().1, 7);
    // A day of the old format is removed like any other.
    bench.retention.max_age = Seconds::ZERO;
    drop((reader, journal));
    let (journal, _) = bench.open();
    assert_eq!(journal.compact(START + Seconds::days(2)).unwrap().days, 1);
    assert_eq!(journal.reader().verify().unwrap().damage, []);
}

#[test]
fn a_later_format_is_refused_by_its_number() {
    let bench = Bench::new(EngineKind::Sled);
    drop(bench.open());
    let dir = bench.path().join(DIRECTORY);
    let mut head = head::read(&dir).unwrap().0.unwrap();
    head.format = 10;
    HeadFile::open(&dir).unwrap().write(&mut head).unwrap();
    let fault = bench.try_open().unwrap_err();
    assert!(matches!(fault, JournalFault::OtherFormat { found: 10, expected: 9, .. }), "{fault}");
}

/// Takes over a journal of a simulated day, and goes on with it through the next day's checkpoint.
/// Its store is missing: the export tail holds all records. Memories of so many `services` were in
/// its checkpoint.
fn goes_on(version: &str, format: format::Format, services: usize, cycles: usize) {
    let bench = Bench::new(EngineKind::Sled);
    copied(version, &bench);
    let records = tail::read(&bench.path().join(DIRECTORY));
    assert!(records.iter().all(|(_, (_, value))| value[0] == format.number()));
    assert_eq!(format_of(&bench), u32::from(format.number()));
    let world = World::Simulation { seed: 7, scenario: "day".to_string() };
    let (journal, recovered) = Journal::open(bench.path(), world.clone(), bench.options()).unwrap();
    assert_eq!(format_of(&bench), head::FORMAT);
    let (memory, at) = recovered.memory.unwrap();
    let reader = journal.reader();
    let all = Timestamp(0)..Timestamp(i64::MAX);
    let read: Vec<CycleRecord> = reader.cycles(all).collect::<Result<_, _>>().unwrap();
    assert_eq!((read.len(), read[0].memory_before.services.len()), (cycles, services));
    // The planner of today knows more and need not come to the same plans; it takes them as they are.
    assert!(read.iter().all(|cycle| cycle.planner_revision <= planner::memory::REVISION));
    assert!(read.windows(2).all(|two| two[0].memory_after == two[1].memory_before));
    let last = &read[cycles - 1];
    assert_eq!(last.memory_after, memory);
    let proven = |service: &ServiceMemory| service.proven != Proven::default();
    assert_eq!(memory.services.values().any(proven), format >= format::Format::V6);
    let doubted = |service: &ServiceMemory| service.doubt != Doubt::default();
    assert_eq!(memory.services.values().any(doubted), format >= format::Format::V7);
    let policy = reader.policy(last.policy).unwrap().policy;
    let mut before = memory;
    for minutes in [1, 1440] {
        let mut snapshot = last.snapshot.clone();
        snapshot.taken_at = at + Seconds::minutes(minutes);
        let (plan, after) = planner::plan(&policy, &snapshot, &before);
        let policy = journal.record_policy(&policy, "", snapshot.taken_at).unwrap();
        let cycle = NewCycle {
            policy,
            planner_revision: planner::memory::REVISION,
            snapshot: &snapshot,
            plan: &plan,
            memory_before: &before,
            memory_after: &after,
            stories: &[],
        };
        let id = journal.record_cycle(&cycle, &[]).unwrap();
        assert_eq!(reader.cycle(id).unwrap().memory_after, after);
        before = after;
    }
    assert!(before.services.values().all(proven));
    drop((reader, journal));
    let (journal, recovered) = Journal::open(bench.path(), world, bench.options()).unwrap();
    assert_eq!(recovered.memory.unwrap().0, before);
    let report = journal.reader().verify().unwrap();
    assert_eq!((report.damage, report.cycles), (Vec::new(), cycles as u64 + 2));
}

/// Six cycles from the beginning, with an order and its outcome.
#[test]
fn a_journal_without_promotions_is_rebuilt_and_goes_on() {
    goes_on("format-2", format::Format::V2, 0, 6);
}

/// Three cycles from midnight on: the checkpoint before them holds the memories of two services.
#[test]
fn a_journal_without_evidence_is_rebuilt_and_goes_on() {
    goes_on("format-5", format::Format::V5, 2, 3);
}

/// Like the one before, with what vouches for sizes, and without what makes demand doubtful.
#[test]
fn a_journal_without_doubts_is_rebuilt_and_goes_on() {
    goes_on("format-6", format::Format::V6, 2, 3);
}

/// Like the one before, with doubts in its memories, and without eras: a clock that is set back begins
/// the second.
#[test]
fn a_journal_without_eras_is_rebuilt_and_begins_one_when_the_clock_is_set_back() {
    goes_on("format-7", format::Format::V7, 2, 3);
    let bench = Bench::new(EngineKind::Sled);
    copied("format-7", &bench);
    let world = World::Simulation { seed: 7, scenario: "day".to_string() };
    let (journal, recovered) = Journal::open(bench.path(), world, bench.options()).unwrap();
    let (memory, at) = recovered.memory.unwrap();
    let back = at - Seconds::days(400);
    assert!(journal.tell_time(back));
    let reader = journal.reader();
    let last = reader.cycle(recovered.last_cycle.unwrap()).unwrap();
    let snapshot = Snapshot { taken_at: back, ..last.snapshot.clone() };
    let cycle = NewCycle {
        policy: last.policy,
        planner_revision: last.planner_revision,
        snapshot: &snapshot,
        plan: &last.plan,
        memory_before: &memory,
        memory_after: &memory,
        stories: &[],
    };
    let id = journal.record_cycle(&cycle, &[]).unwrap();
    assert_eq!((id.at(), id.0.era()), (back, 1));
    assert_eq!(reader.cycle_at(back).unwrap().map(|cycle| cycle.id), Some(id));
    assert_eq!(reader.verify().unwrap().damage, []);
}

/// Like the one before, with eras, and without what launches took until they served.
#[test]
fn a_journal_without_serving_times_is_rebuilt_and_goes_on() {
    goes_on("format-8", format::Format::V8, 2, 3);
}

/// What a policy got in format 9 stands behind the rest, where it is not the default.
#[test]
fn a_policy_that_measures_lead_times_is_read_as_it_was() {
    let bench = Bench::new(EngineKind::Sled);
    copied("format-8", &bench);
    let world = World::Simulation { seed: 7, scenario: "day".to_string() };
    let (journal, recovered) = Journal::open(bench.path(), world, bench.options()).unwrap();
    let reader = journal.reader();
    let last = reader.cycle(recovered.last_cycle.unwrap()).unwrap();
    let usual = reader.policy(last.policy).unwrap().policy;
    let plain = fold::plain_policy(&usual);
    let mut measures = usual.clone();
    let service = measures.services.values_mut().next().unwrap();
    service.pool.lead_time_rule = planner::policy::LeadTimeRule::Measured;
    let longer = fold::plain_policy(&measures);
    assert!(longer.starts_with(&plain) && longer.len() > plain.len());
    assert_ne!(fold::digest_of(&longer), fold::digest_of(&plain));
    assert_eq!(fold::policy_of(&longer).unwrap(), measures);
    assert_eq!(fold::policy_of(&plain).unwrap(), usual);
}

/// A journal of the third format: six cycles of two services, one of them waiting in shadow, with
/// scorecards. It tells no stories; the cycles after it do.
#[test]
fn a_journal_without_stories_is_followed_and_tells_them_from_then_on() {
    let bench = Bench::new(EngineKind::Sled);
    copied("format-3", &bench);
    let records = tail::read(&bench.path().join(DIRECTORY));
    assert!(records.iter().all(|(_, (_, value))| value[0] == format::Format::V3.number()));
    assert_eq!(format_of(&bench), 3);
    let world = World::Simulation { seed: 7, scenario: "day".to_string() };
    let (journal, recovered) = Journal::open(bench.path(), world, bench.options()).unwrap();
    assert_eq!(format_of(&bench), head::FORMAT);
    let reader = journal.reader();
    let all = Timestamp(0)..Timestamp(i64::MAX);
    let cycles: Vec<CycleRecord> = reader.cycles(all.clone()).collect::<Result<_, _>>().unwrap();
    let last = cycles[5].clone();
    let (memory, at) = recovered.memory.unwrap();
    assert_eq!((cycles.len(), &last.memory_after), (6, &memory));
    let waiting = memory.stages.services.keys().map(ToString::to_string);
    assert_eq!(waiting.collect::<Vec<_>>(), ["render"]);
    let scored = reader.entries(all.clone()).map(Result::unwrap);
    assert_eq!(scored.filter(|entry| matches!(entry.kind, EntryKind::Shadow(_))).count(), 2);
    assert!(reader.cycles_in_brief(all.clone()).unwrap().is_none());
    let acted = cycles[0].plan.actions[0].service.clone();
    assert_eq!(reader.story(cycles[0].id, &acted).unwrap(), None);
    let policy = reader.policy(last.policy).unwrap().policy;
    let mut snapshot = cycles[0].snapshot.clone();
    snapshot.taken_at = at + Seconds::minutes(1);
    let (plan, after) = (cycles[0].plan.clone(), memory.clone());
    let stories = Explanation::of_actions(&snapshot, &plan, (&policy, &after));
    let cycle = NewCycle {
        policy: last.policy,
        planner_revision: planner::memory::REVISION,
        snapshot: &snapshot,
        plan: &plan,
        memory_before: &memory,
        memory_after: &after,
        stories: &stories,
    };
    let id = journal.record_cycle(&cycle, &[]).unwrap();
    let told = reader.story(id, &acted).unwrap();
    assert_eq!(told.as_ref(), stories.first());
    let followed = reader.cycle(id).unwrap();
    let policy = reader.policy(followed.policy).unwrap().policy;
    let known = (&policy, &followed.memory_after);
    let explained = Explanation::new(&acted, &followed.snapshot, &followed.plan, known);
    assert_eq!(told, Some(explained));
    // The whole range may lack some; from the first that was told on, none is lacking.
    assert!(reader.cycles_in_brief(all).unwrap().is_none());
    let since = reader.cycles_in_brief(id.at()..Timestamp(i64::MAX)).unwrap().unwrap();
    let briefs: Vec<_> = since.collect::<Result<_, _>>().unwrap();
    let expected = CycleInBrief { id, services: 2, told: stories };
    assert_eq!(briefs, [expected]);
    assert_eq!(reader.verify().unwrap().damage, []);
}
