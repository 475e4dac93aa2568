//! Clocks that are set: every record is found by its time, whatever a clock that was ahead left.

use proptest::prelude::*;

use super::super::eras::{SET_BACK, UNTOLD};
use super::*;

/// What happens between two cycles.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many minutes pass.
    Pass(u64),
    /// The clock is set ahead.
    Ahead(u64),
    /// The clock is set back.
    Back(u64),
    /// It is told, as by a daemon that saw it.
    Told,
    Reopened,
    Compacted,
}

fn event() -> impl Strategy<Value = Event> {
    let days = |most: u64| 1..most * 24 * 60;
    prop_oneof![
        4 => (1u64..300).prop_map(Event::Pass),
        1 => days(400).prop_map(Event::Ahead),
        1 => days(400).prop_map(Event::Back),
        1 => (1u64..15).prop_map(Event::Back),
        1 => Just(Event::Told),
        1 => Just(Event::Reopened),
        1 => Just(Event::Compacted),
    ]
}

/// A fleet's cycle at another time than its own.
fn turn_at(n: usize, at: Timestamp) -> Turn {
    let mut turn = turn(2, n);
    turn.snapshot.taken_at = at;
    for seen in turn.snapshot.services.values_mut() {
        if let Ok(group) = &mut seen.group {
            group.read_at = at;
        }
    }
    turn
}

/// Of the time `at`, those that bear it or, at a start of an era, count as it.
fn at_its_time(reader: &Reader, bench: &Bench, place: usize) -> bool {
    let (id, turn, _) = &bench.wrote[place];
    let at = turn.snapshot.taken_at;
    // Another era has that time, too, or a later cycle bears it.
    let later = bench.wrote[place + 1..].iter();
    let mut times = later.map(|(later, turn, _)| (later.at(), turn.snapshot.taken_at));
    let is_covered = id.at() != at || times.any(|(bears, taken)| bears <= at || taken <= at);
    is_covered || reader.cycle_at(at).unwrap().map(|cycle| cycle.id) == Some(*id)
}

fn play(mut bench: Bench, events: &[Event]) -> Result<(), TestCaseError> {
    let mut journal = bench.open().0;
    let mut now = START;
    for (n, event) in events.iter().enumerate() {
        match *event {
            Event::Pass(minutes) | Event::Ahead(minutes) => now = now + Seconds::minutes(minutes),
            Event::Back(minutes) => now = (now - Seconds::minutes(minutes)).max(Timestamp(0)),
            Event::Told => drop(journal.tell_time(now)),
            Event::Compacted => drop(journal.compact(now).unwrap()),
            Event::Reopened => {
                drop(journal);
                journal = bench.open().0;
                journal.tell_time(now);
            }
        }
        bench.record_turn(&journal, 2, turn_at(n, now));
        let (newest, ..) = bench.wrote.last().unwrap();
        let lifted = newest.at().since(now);
        prop_assert!(lifted <= UNTOLD, "{now}: it bears {}", newest.at());
        let found = journal.reader().cycle_at(newest.at()).unwrap().map(|cycle| cycle.id);
        prop_assert_eq!(found, Some(*newest));
    }
    for pair in bench.wrote.windows(2) {
        prop_assert!(pair[0].0 < pair[1].0);
    }
    let reader = journal.reader();
    prop_assert_eq!(reader.verify().unwrap().damage, []);
    let kept = bench.wrote.iter().position(|(id, ..)| reader.cycle(*id).is_ok());
    let first = kept.expect("the newest cycle");
    let all = Timestamp(0)..Timestamp(i64::MAX);
    let read: Vec<CycleRecord> = reader.cycles(all).collect::<Result<_, _>>().unwrap();
    let ids: Vec<CycleId> = read.iter().map(|cycle| cycle.id).collect();
    prop_assert_eq!(ids, bench.wrote[first..].iter().map(|(id, ..)| *id).collect::<Vec<_>>());
    for (place, read) in (first..).zip(&read) {
        let (id, turn, before) = &bench.wrote[place];
        prop_assert_eq!((&read.snapshot, &read.plan), (&turn.snapshot, &turn.plan));
        prop_assert_eq!((&read.memory_before, &read.memory_after), (before, &turn.memory));
        prop_assert!(at_its_time(&reader, &bench, place), "{id} of {}", turn.snapshot.taken_at);
        let entry = reader.entry(id.0).unwrap().map(|entry| entry.kind);
        prop_assert_eq!(entry, Some(EntryKind::Cycle(Box::new(read.clone()))));
        // A second of time has all that counts as written in it.
        let at = reader.written_at(id.0).unwrap();
        let mut second = reader.cycles(at..at + Seconds(1)).map(|cycle| cycle.unwrap().id);
        prop_assert!(second.any(|found| found == *id));
    }
    drop((reader, journal));
    let reader = bench.reader();
    let again: Vec<CycleRecord> =
        reader.cycles(Timestamp(0)..Timestamp(i64::MAX)).collect::<Result<_, _>>().unwrap();
    prop_assert_eq!(again, read);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_clock_does_every_cycle_is_found_by_its_time(
        events in proptest::collection::vec(event(), 1..24),
    ) {
        let engine = EngineKind::Memory(Arc::new(MemoryEngine::default()));
        play(Bench::new(engine), &events)?;
    }
}

#[test]
fn a_clock_that_was_ahead_for_a_moment_leaves_nothing_that_finds_nothing_by_time() {
    on_each_engine(|mut bench| {
        let ahead = Seconds::days(400);
        let (journal, _) = bench.open();
        let minute = |n: u64| START + Seconds::minutes(n);
        bench.record_turn(&journal, 2, turn_at(0, minute(0)));
        bench.record_turn(&journal, 2, turn_at(1, minute(1) + ahead));
        let last_ahead = bench.wrote[1].0;
        // Right again, after a restart that the journal's end is far ahead of.
        drop(journal);
        let (journal, _) = bench.open();
        assert!(journal.tell_time(minute(2)));
        for n in 2..5 {
            bench.record_turn(&journal, 2, turn_at(n as usize, minute(n)));
        }
        let reader = journal.reader();
        let found = |at| reader.cycle_at(at).unwrap().map(|cycle| cycle.id);
        let written = |n: usize| Some(bench.wrote[n].0);
        assert_eq!([0, 2, 3, 4].map(|n| found(minute(n))), [0, 2, 3, 4].map(written));
        // By the time it bore, as long as nothing else has that time; the newest of all otherwise.
        assert_eq!(found(minute(1) + ahead), Some(last_ahead));
        let none_has = [minute(5), minute(0) + ahead, minute(2) + ahead, Timestamp(i64::MAX / 2)];
        assert_eq!(none_has.map(found), [written(4); 4]);
        assert_eq!(reader.written_at(last_ahead.0), Ok(minute(2)));
        let since = reader.verify_since(minute(3)).unwrap();
        assert_eq!((since.damage, since.cycles), (Vec::new(), 3));
        // It is removed with the day in which it counts as written.
        bench.retention.max_age = Seconds::days(7);
        bench.record_turn(&journal, 2, turn_at(5, minute(0) + Seconds::days(1)));
        drop((reader, journal));
        let (journal, _) = bench.open();
        assert_eq!(journal.compact(minute(0) + Seconds::days(7)).unwrap().days, 0);
        assert_eq!(journal.compact(minute(0) + Seconds::days(9)).unwrap().days, 1);
        let reader = journal.reader();
        assert!(reader.cycle(last_ahead).is_err());
        assert_eq!(reader.verify().unwrap().damage, []);
        assert_eq!(reader.cycles(Timestamp(0)..Timestamp(i64::MAX)).count(), 1);
    });
}

#[test]
fn a_clock_set_back_by_little_begins_no_era_and_one_that_is_told_does_at_once() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        assert!(!journal.tell_time(START));
        bench.record_turn(&journal, 2, turn_at(0, START));
        assert!(!journal.tell_time(START - SET_BACK));
        bench.record_turn(&journal, 2, turn_at(1, START - SET_BACK));
        assert_eq!(bench.wrote[1].0.at(), START);
        let back = START - SET_BACK - Seconds(1);
        assert!(journal.tell_time(back));
        assert!(!journal.tell_time(back), "once");
        bench.record_turn(&journal, 2, turn_at(2, back));
        assert_eq!((bench.wrote[2].0.at(), bench.wrote[2].0.0.era()), (back, 1));
        bench.assert_cycles(&journal.reader());
    });
}

#[test]
fn samples_that_a_clock_took_that_was_ahead_arrived_when_it_was_set_right() {
    on_each_engine(|mut bench| {
        let ahead = START + Seconds::days(3);
        let (journal, _) = bench.open();
        bench.record_turn(&journal, 2, turn_at(0, START));
        let sample = |start| fleet::metric::Sample { start, value: 7.0 };
        let metric = fleet::metric::MetricKey("of the future".to_string());
        let (seen_at, samples) = (ahead, vec![sample(ahead - Seconds::minutes(1))]);
        let batch = SampleBatch { metric: metric.clone(), seen_at, samples };
        journal.record_samples(ahead, std::slice::from_ref(&batch)).unwrap();
        let right = START + Seconds::minutes(5);
        assert!(journal.tell_time(right));
        // Even before anything is written in the new era.
        for cycles in 0..2 {
            let mut found = Vec::new();
            let lost = journal.reader().sound_samples(START, |of, seen_at, sample| {
                found.extend((*of == metric).then_some((seen_at, sample.start)));
            });
            assert_eq!(lost, Ok(Vec::new()));
            assert_eq!(found, [(right, ahead - Seconds::minutes(1))], "{cycles}");
            bench.record_turn(&journal, 2, turn_at(cycles + 1, right));
        }
    });
}
