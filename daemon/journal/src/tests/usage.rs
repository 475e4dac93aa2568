//! Usage and idle records: hours that come back, in little room, for longer than all else.

use std::collections::BTreeMap;

use fleet::resource::{ResourceId, ResourceKind};
use fleet::usage::{Code, Day, HOURS_A_DAY, Signal};
use fleet::{AccountId, ProviderName, Region};
use rand_like::Noise;

use super::super::usage as codec;
use super::*;
use crate::records::idle::IdleEntry;

/// Whatever is known of each day of each signal.
type Known = BTreeMap<(ResourceId, Signal, i64), Day>;

mod rand_like {
    //! Noise that repeats.

    /// A source of numbers that depend on the seed alone.
    pub struct Noise(pub u64);

    impl Noise {
        pub fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = self.0;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ (x >> 31)
        }

        pub fn share(&mut self) -> f64 {
            (self.next() >> 11) as f64 / (1u64 << 53) as f64
        }

        /// About normal, of mean 0 and deviation 1.
        pub fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.share()).sum::<f64>() - 6.0
        }
    }
}

fn resource(number: u64) -> ResourceId {
    let mut noise = Noise(number);
    ResourceId {
        provider: ProviderName::new("aws").unwrap(),
        account: AccountId::new("111122223333").unwrap(),
        region: Region::new("ap-southeast-1").unwrap(),
        kind: ResourceKind::Instance,
        id: format!("i-0{:016x}", noise.next()),
    }
}

/// What a machine does in an hour: a wave over the day or none, jobs now and then, and noise.
fn value(resource: u64, signal: Signal, hour: i64, noise: &mut Noise) -> f64 {
    let mut kind = Noise(resource * 8 + signal as u64);
    let size = 10f64.powf(kind.share() * 3.0 - 0.5);
    let wave = if kind.share() < 0.5 { 0.5 } else { 0.0 };
    let phase = (hour % 24) as f64 / 24.0 * std::f64::consts::TAU;
    let job = if noise.share() < 0.02 { 20.0 } else { 1.0 };
    let base = size * (1.0 + wave * phase.sin()) * job;
    let spread = if signal == Signal::Cpu { 0.15 } else { 0.4 };
    base * (spread * noise.normal()).exp()
}

const FOUR: [Signal; 4] = [Signal::Cpu, Signal::NetworkIn, Signal::NetworkOut, Signal::DiskOps];

/// The hours `hours` of a day of some resources.
fn days(resources: u64, day: i64, hours: std::ops::Range<usize>) -> Vec<UsageDay> {
    let mut all = Vec::new();
    for number in 0..resources {
        for signal in FOUR {
            let mut packed = Day::EMPTY;
            for hour in hours.clone() {
                let at = day * HOURS_A_DAY as i64 + hour as i64;
                let mut noise = Noise((number << 40) ^ ((signal as u64) << 32) ^ at as u64);
                packed.set(hour, Code::of(signal, value(number, signal, at, &mut noise)));
            }
            all.push(UsageDay { resource: resource(number), signal, day, hours: packed });
        }
    }
    all
}

/// What a reader puts together.
fn read(reader: &Reader, from_day: i64) -> Known {
    let mut known = Known::new();
    let see = &mut |resource: &ResourceId, signal, day, hours: &Day| {
        let key = (resource.clone(), signal, day);
        lay_over(known.entry(key).or_insert(Day::EMPTY), hours);
    };
    reader.visit_usage(from_day, see).unwrap();
    known
}

/// What is known after these were recorded in order.
fn laid_out<'d>(all: impl Iterator<Item = &'d UsageDay>) -> Known {
    let mut known = Known::new();
    for day in all {
        let key = (day.resource.clone(), day.signal, day.day);
        lay_over(known.entry(key).or_insert(Day::EMPTY), &day.hours);
    }
    known
}

#[test]
fn hours_come_back_and_later_ones_count() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        let first = START.utc_day();
        let mut wrote = Vec::new();
        let put = |wrote: &mut Vec<UsageDay>, journal: &Journal, at, days: Vec<UsageDay>| {
            journal.record_usage(at, &days).unwrap();
            wrote.extend(days);
        };
        put(&mut wrote, &journal, START, days(3, first - 40, 0..24));
        bench.record(&journal, 2, 0..1);
        put(&mut wrote, &journal, START, days(5, first, 0..7));
        let mut other = days(2, first, 5..9);
        other[0].hours.set(6, Code::from_raw(2047));
        other.push(UsageDay { hours: Day::EMPTY, ..other[1].clone() });
        put(&mut wrote, &journal, START, other);
        // Behind a checkpoint names are told anew.
        bench.record(&journal, 2, 1440..1441);
        put(&mut wrote, &journal, START + Seconds::days(1), days(4, first + 1, 0..24));
        put(&mut wrote, &journal, START + Seconds::days(1), Vec::new());
        let expected = laid_out(wrote.iter());
        assert_eq!(read(&journal.reader(), i64::MIN), expected);
        drop(journal);
        let (journal, _) = bench.open();
        put(&mut wrote, &journal, START + Seconds::days(1), days(6, first + 1, 3..4));
        let mut expected = laid_out(wrote.iter());
        assert_eq!(read(&journal.reader(), i64::MIN), expected);
        expected.retain(|(_, _, day), _| *day >= first);
        assert_eq!(read(&journal.reader(), first), expected);
        let report = journal.reader().verify().unwrap();
        assert_eq!(report.damage, []);
    });
}

#[test]
fn a_month_of_a_signal_takes_a_kibibyte_at_most_however_it_arrives() {
    const RESOURCES: u64 = 200;
    for hours_a_record in [24, 6, 1] {
        let engine = Arc::new(MemoryEngine::default());
        let mut bench = Bench::new(EngineKind::Memory(engine));
        let (journal, _) = bench.open();
        let first = START.utc_day();
        for day in 0..31 {
            // The checkpoint of the day.
            bench.record(&journal, 0, 1440 * day as usize..1440 * day as usize + 1);
            for hour in (0..24).step_by(hours_a_record) {
                let at = START + Seconds::days(day as u64) + Seconds::hours(hour as u64);
                let batch = days(RESOURCES, first + day, hour..hour + hours_a_record);
                journal.record_usage(at, &batch).unwrap();
            }
        }
        let reader = journal.reader();
        let bytes: usize =
            source::Walk::new(reader.source(), &[engine::Tree::Usage], RecordId::FIRST)
                .map(|entry| entry.unwrap().1)
                .map(|(key, value)| key.len() + value.len())
                .sum();
        let each = bytes / (RESOURCES as usize * FOUR.len());
        println!("{hours_a_record} hours a record: {each} bytes a resource and signal a month");
        assert!(each <= 1024, "{each} bytes with {hours_a_record} hours a record");
        let known = read(&reader, first);
        let expected: Vec<UsageDay> =
            (0..31).flat_map(|day| days(RESOURCES, first + day, 0..24)).collect();
        assert_eq!(known, laid_out(expected.iter()), "and not a bit is lost");
    }
}

#[test]
fn usage_outlives_the_days_it_was_recorded_on() {
    on_each_engine(|mut bench| {
        bench.retention = Retention {
            max_age: Seconds::days(2),
            max_size_bytes: u64::MAX,
            usage_age: Seconds::days(6),
        };
        let (journal, _) = bench.open();
        let first = START.utc_day();
        // A back-fill, before the first checkpoint of all.
        let mut wrote = days(2, first - 1, 0..24);
        journal.record_usage(START, &wrote).unwrap();
        for day in 0..12 {
            let at = START + Seconds::days(day);
            bench.record(&journal, 2, 1440 * day as usize..1440 * day as usize + 2);
            let mut new = days(3, first + day as i64, 0..24);
            if day == 1 {
                // A correction of the day before: what is carried must not undo it.
                let mut late = days(1, first, 5..6);
                late[0].hours.set(5, Code::from_raw(2000));
                new.extend(late);
            }
            journal.record_usage(at, &new).unwrap();
            wrote.extend(new);
            journal.compact(at).unwrap();
            let mut expected = laid_out(wrote.iter());
            let kept = first + day as i64 - 6;
            expected.retain(|(_, _, day), _| *day >= kept);
            assert_eq!(read(&journal.reader(), kept), expected, "after {day} days");
            assert_eq!(journal.reader().verify().unwrap().damage, []);
        }
        let oldest = read(&journal.reader(), i64::MIN).into_keys().map(|(_, _, day)| day).min();
        assert!(oldest >= Some(first + 11 - 8), "what is too old is let go in the end");
        drop(journal);
        let (journal, _) = bench.open();
        assert_eq!(journal.reader().verify().unwrap().damage, []);
    });
}

#[test]
fn the_size_limit_holds_for_usage_too() {
    on_each_engine(|mut bench| {
        bench.retention = Retention {
            max_age: Seconds::days(2),
            max_size_bytes: 1,
            usage_age: Seconds::days(400),
        };
        let (journal, _) = bench.open();
        let first = START.utc_day();
        for day in 0..4 {
            bench.record(&journal, 2, 1440 * day..1440 * day + 1);
            journal
                .record_usage(bench.wrote[day].0.at(), &days(1, first + day as i64, 0..24))
                .unwrap();
        }
        journal.compact(START + Seconds::days(3)).unwrap();
        let left: Vec<i64> =
            read(&journal.reader(), i64::MIN).into_keys().map(|(_, _, day)| day).collect();
        assert_eq!(left, [first + 3; 4]);
    });
}

#[test]
fn damaged_usage_is_no_usage() {
    let mut told = codec::UsageSoFar::default();
    let wrote = days(3, 20_000, 0..24);
    let body = codec::encode(&mut told, &wrote);
    let back = codec::decode(&mut codec::UsageSoFar::default(), &body);
    assert_eq!(back, Some(wrote));
    let plain = fold::unwrap(&body).unwrap();
    for cut in 0..plain.len() {
        let body = fold::wrap(&plain[..cut]);
        let back = codec::decode(&mut codec::UsageSoFar::default(), &body);
        assert_eq!(back, None, "cut at {cut}");
    }
    // A record that builds on one that is missing.
    let next = codec::encode(&mut told, &days(3, 20_001, 0..24));
    assert_eq!(codec::decode(&mut codec::UsageSoFar::default(), &next), None);
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Said {
    Marked(ResourceId),
    Stopped { id: String, saved: Option<u64> },
}

#[test]
fn idle_records_come_back_both_ways_and_fit_into_the_chain() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        bench.record(&journal, 2, 0..1);
        let said: Vec<Said> = (0..30)
            .map(|n| match n % 2 {
                0 => Said::Marked(resource(n)),
                _ => Said::Stopped { id: format!("i-{n}"), saved: (n % 3 == 0).then_some(n) },
            })
            .collect();
        let mut wrote = Vec::new();
        for (n, entry) in (0u64..).zip(&said) {
            let at = START + Seconds::hours(n);
            let id = journal.record_idle(at, entry, n % 7 == 0).unwrap();
            assert_eq!(id.at(), at);
            wrote.push((id, entry.clone()));
        }
        drop(journal);
        let (journal, _) = bench.open();
        let reader = journal.reader();
        let all = Timestamp(0)..Timestamp(i64::MAX);
        let forth: Vec<_> = reader.idle::<Said>(all.clone()).collect::<Result<_, _>>().unwrap();
        assert_eq!(forth, wrote);
        let mut back: Vec<_> =
            reader.idle_newest_first::<Said>(all.clone()).collect::<Result<_, _>>().unwrap();
        back.reverse();
        assert_eq!(back, wrote);
        let part = START + Seconds::hours(3)..START + Seconds::hours(5);
        for ids in [
            reader.idle::<Said>(part.clone()).map(|e| e.unwrap().0).collect::<Vec<_>>(),
            reader.idle_newest_first::<Said>(part).map(|e| e.unwrap().0).collect(),
        ] {
            assert_eq!(ids.len(), 2);
            assert!(ids.contains(&wrote[3].0) && ids.contains(&wrote[4].0));
        }
        let shown = reader.entries(all.clone()).filter_map(|entry| match entry.unwrap().kind {
            EntryKind::Idle(body) => Some(body),
            _ => None,
        });
        let shown: Vec<Said> = shown.map(|body| decode(&body).unwrap()).collect();
        assert!(shown.iter().eq(wrote.iter().map(|(_, said)| said)));
        assert!(reader.idle::<[String; 30]>(all).next().unwrap().is_err());
        assert_eq!(reader.verify().unwrap().damage, []);
    });
}

#[test]
fn idle_records_are_read_as_what_they_are() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        bench.record(&journal, 2, 0..1);
        journal.record_idle(START, &IdleEntry::Verdicts(Vec::new()), true).unwrap();
        let reader = journal.reader();
        let all = reader.entries(Timestamp(0)..Timestamp(i64::MAX));
        let told = all.filter_map(|entry| match entry.unwrap().kind {
            EntryKind::Idle(body) => Some(idle::read(&body)),
            _ => None,
        });
        assert_eq!(told.collect::<Vec<_>>(), [Ok(IdleEntry::Verdicts(Vec::new()))]);
        let torn = idle::read(&[2, 1]).unwrap_err();
        assert_eq!(torn, BadBody::Encoding(postcard::Error::DeserializeUnexpectedEnd));
    });
}

#[test]
fn idle_records_that_are_durable_survive_a_closing_without_a_flush() {
    let bench = Bench::new(EngineKind::Sled);
    let (journal, _) = bench.open();
    journal.record_idle(START, &1u8, true).unwrap();
    let head = head::read(&bench.path().join(DIRECTORY)).unwrap().0.unwrap();
    assert_eq!(head.end.id.sequence(), 1, "the high-water file knows it");
    journal.record_idle(START, &2u8, false).unwrap();
    let head = head::read(&bench.path().join(DIRECTORY)).unwrap().0.unwrap();
    assert_eq!(head.end.id.sequence(), 1);
    assert_eq!(journal.reader().idle::<u8>(Timestamp(0)..Timestamp(i64::MAX)).count(), 2);
}
