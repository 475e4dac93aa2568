//! What is told of conditions: each begins once, ends once and is never ended unbegun, whatever
//! comes, and whenever neap is started anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use fleet::alert::{Condition, LINES_MAX, Severity};
use fleet::{Change, Fault, FaultKind, Seconds, Timestamp, Units};
use journal::records::Promise;
use journal::records::conditions::{OpenConditions, Owed, ThreadKey};
use journal::{Journal, Options, World};
use planner::plan::{Bound, Hold};
use planner::reasons::SwitchThrown;
use planner::snapshot::{GroupView, NoAnswer};
use proptest::prelude::*;

use super::find::owed;
use super::*;
use crate::Language;
use crate::said::Said as _;

const START: Timestamp = Timestamp(1_772_798_400);
const POLL: Seconds = Seconds(60);

fn key(of: Condition, scope: &str) -> ThreadKey {
    ThreadKey { of, scope: scope.to_owned() }
}

fn found(of: Condition, scope: &str, subject: &str) -> Found {
    let after_cycles = rings_after_cycles(of);
    let severity = Severity::Warning;
    Found { key: key(of, scope), subject: subject.to_owned(), severity, why: why(of), after_cycles }
}

fn fault(kind: FaultKind) -> Fault {
    let (operation, detail) = ("SetDesiredCapacity".to_owned(), "AccessDenied".to_owned());
    Fault { kind, operation, detail, request_id: Some("7f1c".to_owned()) }
}

/// What each may be held to be wrong for.
fn why(of: Condition) -> Trouble {
    let denied = || fault(FaultKind::Denied { permission: None });
    match of {
        Condition::OrderRefused => Trouble::Order {
            change: Change::Desired { from: Units(4), to: Units(9) },
            fault: denied(),
        },
        Condition::GroupShort => Trouble::Short {
            told: Units(20),
            has: Units(5),
            since: Seconds::minutes(12),
            cloud: Some("There is no Spot capacity available".to_owned()),
        },
        Condition::DemandUnknown => Trouble::Held(Hold::NoDemand { fault: Some(denied()) }),
        Condition::OutageShape => {
            Trouble::Held(Hold::OutageShape { fallen: 3, of: 4, since: START })
        }
        Condition::DemandDoubted => Trouble::Held(Hold::FellAlone { since: START, until: START }),
        Condition::PromiseUsedUp => {
            Trouble::Missed(Promise { promised: 0.005, missed: 0.012, days: 27.25 })
        }
        Condition::AtMaximum => {
            Trouble::Held(Hold::AtBound { bound: Bound::PolicyMax, value: Units(60) })
        }
        Condition::KillSwitch => {
            Trouble::Thrown(SwitchThrown::Exists { path: "/etc/neap/stop".to_owned() }.into())
        }
        Condition::Journal => Trouble::NotWritten("no room is left".to_owned()),
        Condition::Discovery => Trouble::Undiscovered(NoAnswer {
            fault: fault(FaultKind::Unreachable),
            since: START,
            known_at: Some(START),
        }),
    }
}

/// People who are told, and what the journal keeps between two lives.
struct Bench {
    folder: tempfile::TempDir,
    journal: Option<Journal>,
    open: OpenConditions,
    now: Timestamp,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenConditions::default();
        let mut bench = Bench { folder, journal: None, open, now: START };
        bench.restart();
        bench
    }

    fn restart(&mut self) {
        self.journal = None;
        let options = Options { reserve_bytes: 0, ..Options::default() };
        let (journal, _) = Journal::open(self.folder.path(), World::Real, options).unwrap();
        let open = journal.open_conditions();
        assert_eq!(open.told().collect::<Vec<_>>(), self.open.told().collect::<Vec<_>>());
        (self.journal, self.open) = (Some(journal), open);
    }

    /// A cycle, and what is told after it.
    fn cycle(&mut self, found: Vec<Found>, unknown: Unknown) -> Vec<Telling> {
        let assessment = Assessment { found, unknown };
        let events = follow(self.now, POLL, assessment, &mut self.open);
        let notices = events.iter().map(|event| notice(event, self.now)).collect();
        let journal = self.journal.as_ref().unwrap();
        journal.enqueue_notices(self.now, notices, &self.open).unwrap();
        self.now = self.now + POLL;
        events
    }

    fn run(&mut self, cycles: u64, found: &[Found]) -> Vec<Say> {
        let mut said = Vec::new();
        for _ in 0..cycles {
            said.extend(self.cycle(found.to_vec(), Unknown::default()).iter().map(|e| e.said));
        }
        said
    }
}

const SUBJECTS: [&str; 4] = ["cart", "shop", "till", "web"];

fn scope_of(subject: &str) -> &'static str {
    if subject < "t" { "aws/1" } else { "ali/2" }
}

/// What a cycle says of each: it is so, it is not, nobody knows; and whether neap was started anew.
fn lives() -> impl Strategy<Value = Vec<(Vec<u8>, bool)>> {
    let states = prop::collection::vec(0u8..6, SUBJECTS.len() * 3);
    // States last, so that some ring and some are over.
    let stretch = (states, 1usize..40, prop::bool::weighted(0.1));
    let stretches = prop::collection::vec(stretch, 1..12);
    stretches.prop_map(|all| {
        let cycles = all.into_iter().flat_map(|(states, count, restart)| {
            (0..count).map(move |n| (states.clone(), restart && n == 0))
        });
        cycles.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_begins_once_and_ends_once_whenever_neap_is_started_anew(lives in lives()) {
        const OF: [Condition; 3] =
            [Condition::DemandUnknown, Condition::OrderRefused, Condition::AtMaximum];
        let mut bench = Bench::new();
        let mut begun: BTreeMap<ThreadKey, Timestamp> = BTreeMap::new();
        let mut found_at: BTreeMap<(Condition, &str), Timestamp> = BTreeMap::new();
        let judge = |events: &[Telling], begun: &mut BTreeMap<ThreadKey, Timestamp>, now| {
            for event in events {
                let was = begun.contains_key(&event.key);
                match event.said {
                    Say::Begins => {
                        assert!(!was, "{event:?} twice");
                        begun.insert(event.key.clone(), now);
                    }
                    Say::Grows | Say::Lasts => assert!(was, "{event:?} unbegun"),
                    Say::Over => {
                        assert_eq!(begun.remove(&event.key), Some(event.since), "{event:?}");
                    }
                }
                assert!(!event.subjects.is_empty());
            }
        };
        for (cycle, (states, restart)) in lives.iter().enumerate() {
            if *restart {
                bench.restart();
            }
            let (mut now_found, mut unknown) = (Vec::new(), Unknown::default());
            for (place, state) in states.iter().enumerate() {
                let of = OF[place % 3];
                let subject = SUBJECTS[place / 3];
                match state {
                    0 | 1 => {
                        found_at.entry((of, subject)).or_insert(bench.now);
                        now_found.push(found(of, scope_of(subject), subject));
                    }
                    // It comes and goes.
                    2 if cycle % 2 == 0 => {
                        found_at.entry((of, subject)).or_insert(bench.now);
                        now_found.push(found(of, scope_of(subject), subject));
                    }
                    3 => drop(unknown.by_name.insert((of, subject.to_owned()))),
                    _ => {}
                }
            }
            let now = bench.now;
            let events = bench.cycle(now_found, unknown);
            for event in events.iter().filter(|event| event.said == Say::Begins) {
                for subject in event.subjects.keys() {
                    let first = found_at[&(event.key.of, subject.as_str())];
                    let after = Seconds(rings_after_cycles(event.key.of) * 60);
                    assert!(now.since(first) >= after, "{event:?} too soon");
                }
            }
            judge(&events, &mut begun, now);
        }
        // All of it, for long enough: everybody knows. None of it, for long enough: it is over.
        let all: Vec<Found> = OF
            .iter()
            .flat_map(|of| SUBJECTS.map(|subject| found(*of, scope_of(subject), subject)))
            .collect();
        for _ in 0..=AGAIN_AFTER_CYCLES {
            let now = bench.now;
            judge(&bench.cycle(all.clone(), Unknown::default()), &mut begun, now);
        }
        let keys: BTreeSet<ThreadKey> = all.iter().map(|found| found.key.clone()).collect();
        prop_assert_eq!(begun.keys().cloned().collect::<BTreeSet<_>>(), keys);
        for _ in 0..=60 {
            let now = bench.now;
            judge(&bench.cycle(Vec::new(), Unknown::default()), &mut begun, now);
        }
        prop_assert!(begun.is_empty() && bench.open.is_empty());
        bench.restart();
        prop_assert!(bench.open.is_empty());
    }

    /// Each ordered unit comes a boot after its order: nobody is told of a group that only grows.
    #[test]
    fn a_group_that_grows_is_not_short(orders in prop::collection::vec(0u32..3, 10..80), boot in 1usize..6) {
        let lead = Seconds(60 * boot as u64);
        let (mut desired, mut before) = (4, None);
        let mut ordered = Vec::new();
        for (minute, more) in orders.iter().enumerate() {
            desired += more;
            ordered.push(desired);
            let in_service = minute.checked_sub(boot).map_or(4, |then| ordered[then]);
            let now = START + Seconds(60 * minute as u64);
            before = owed(before.as_ref(), &view(desired, in_service, now), now);
            prop_assert!(before.is_none_or(|owed: Owed| now.since(owed.since) <= lead));
        }
    }
}

fn view(desired: u32, in_service: u32, now: Timestamp) -> GroupView {
    let id = fleet::GroupId {
        provider: fleet::ProviderName::new("aws").unwrap(),
        account: fleet::AccountId::new("1").unwrap(),
        region: fleet::Region::new("eu-west-1").unwrap(),
        id: "web".to_owned(),
    };
    GroupView { in_service: Units(in_service), ..GroupView::at_rest(id, now, Units(desired)) }
}

#[test]
fn what_comes_and_goes_rings_once_and_does_not_end() {
    let mut bench = Bench::new();
    let blind = [found(Condition::DemandUnknown, "aws/1", "web")];
    let mut said = Vec::new();
    for _ in 0..100 {
        said.extend(bench.run(1, &blind));
        said.extend(bench.run(2, &[]));
    }
    assert_eq!(said, [Say::Begins]);
    // A short blindness each half hour is nothing.
    let mut bench = Bench::new();
    for _ in 0..20 {
        assert_eq!(bench.run(4, &blind), []);
        assert_eq!(bench.run(26, &[]), []);
    }
    assert!(bench.open.is_empty());
}

#[test]
fn what_lasts_is_told_again_by_the_hours_and_what_is_worse_at_once() {
    let mut bench = Bench::new();
    let refused = |severity| Found { severity, ..found(Condition::OrderRefused, "aws/1", "web") };
    let warning = [refused(Severity::Warning)];
    assert_eq!(bench.run(1, &warning), [Say::Begins]);
    assert_eq!(bench.run(12 * 60 - 1, &warning), []);
    assert_eq!(bench.run(1, &warning), [Say::Lasts]);
    assert_eq!(bench.run(1, &[refused(Severity::Critical)]), [Say::Grows]);
    assert_eq!(bench.run(4 * 60 - 1, &[refused(Severity::Critical)]), []);
    assert_eq!(bench.run(1, &[refused(Severity::Critical)]), [Say::Lasts]);
    assert_eq!(bench.run(10, &[]), []);
    assert_eq!(bench.run(1, &[]), [Say::Over]);
}

#[test]
fn five_hundred_services_of_an_account_are_one_message() {
    let blind = |count: usize| -> Vec<Found> {
        let names = (0..count).map(|n| format!("svc-{n:03}"));
        names.map(|name| found(Condition::DemandUnknown, "aws/1", &name)).collect()
    };
    let mut bench = Bench::new();
    let mut events = Vec::new();
    for _ in 0..40 {
        events.extend(bench.cycle(blind(500), Unknown::default()));
    }
    assert_eq!(events.len(), 1);
    let told = notice(&events[0], bench.now);
    assert_eq!(told.alert.title, "500 services of aws/1: demand or group cannot be read");
    assert_eq!(told.title_zh, "aws/1 的 500 个服务：无法读取需求或伸缩组");
    assert!(told.alert.lines.len() <= LINES_MAX && told.names.len() == 500);
    assert_eq!(told.alert.lines[10], "and 490 more");
    // One after the other: a message each half hour, and one that all of it is over.
    let mut bench = Bench::new();
    let mut said = Vec::new();
    for minute in 0..500 {
        said.extend(bench.run(1, &blind(minute + 1)));
    }
    said.extend(bench.run(4, &[]));
    assert_eq!((said[0], said[said.len() - 1]), (Say::Begins, Say::Over));
    assert!(said.len() <= 2 + 500 / 30, "{}", said.len());
}

#[test]
fn while_nobody_can_tell_nothing_begins_or_ends() {
    let mut bench = Bench::new();
    let short = [found(Condition::GroupShort, "aws/1", "web")];
    assert_eq!(bench.run(1, &short), [Say::Begins]);
    let by_name = Unknown {
        by_name: [(Condition::GroupShort, "web".to_owned())].into(),
        ..Unknown::default()
    };
    let by_provider = Unknown { of_providers: vec!["aws".to_owned()], ..Unknown::default() };
    let no_cycle = Unknown { all_but: Some(Condition::Journal), ..Unknown::default() };
    for unknown in [by_name, by_provider, no_cycle] {
        for _ in 0..30 {
            assert_eq!(bench.cycle(Vec::new(), unknown.clone()), []);
        }
    }
    assert_eq!(bench.run(2, &[]), []);
    assert_eq!(bench.run(1, &[]), [Say::Over]);
}

#[test]
fn times_follow_the_polls_within_minutes() {
    let told = |poll: u64, count| times::cycles(Seconds(poll), count).to_string();
    let told = |poll| [0, 1, 3, 10].map(|count| told(poll, count)).join(" ");
    assert_eq!(told(2), "0s 2s 6s 20s");
    assert_eq!(told(60), "0s 1m 3m 10m");
    assert_eq!(told(300), "0s 5m 10m 10m");
}

#[test]
fn a_clock_that_was_set_back_leaves_nothing_for_ever() {
    let mut bench = Bench::new();
    let thrown = [found(Condition::Discovery, "aws", "aws")];
    assert_eq!(bench.run(4, &thrown), [Say::Begins]);
    bench.run(1, &[]);
    bench.now = START - Seconds::days(400);
    bench.run(3, &[]);
    assert_eq!(bench.run(1, &[]), [Say::Over]);
}

/// What is said of each condition, in both languages.
#[test]
fn each_is_worded_in_both_languages() {
    let mut text = String::new();
    for of in Condition::ALL {
        let subject = match of {
            Condition::KillSwitch | Condition::Journal => of.word(),
            Condition::Discovery => "aws/eu-west-1",
            _ => "web",
        };
        let scope = match of {
            Condition::KillSwitch | Condition::Journal => OF_NEAP,
            Condition::Discovery => "aws",
            _ => "aws/123456789012",
        };
        let severity = Severity::Warning;
        for said in [Say::Begins, Say::Grows, Say::Lasts, Say::Over] {
            let many = said == Say::Grows;
            if many && matches!(of, Condition::KillSwitch | Condition::Journal) {
                continue;
            }
            let other = if of == Condition::Discovery { "aws/eu-north-1" } else { "cart" };
            let names = if many { vec![other, subject] } else { vec![subject] };
            let known = |_: &&str| Some(why(of)).filter(|_| said != Say::Over);
            let subjects = names.iter().map(|name| ((*name).to_owned(), known(name))).collect();
            let (key, since) = (key(of, scope), START);
            let event = Telling { key, said, severity, since, subjects, left: None };
            let told = notice(&event, START + Seconds::minutes(34));
            let _ = writeln!(text, "{}\n  {}", told.alert.key, told.alert.title);
            told.alert.lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
            let _ = writeln!(text, "  {}", told.title_zh);
            told.lines_zh.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
            assert_eq!(told.alert.lines.len(), told.lines_zh.len());
        }
    }
    let unknown = NoAnswer { fault: fault(FaultKind::TimedOut), since: START, known_at: None };
    for why in [
        Trouble::ReserveOnly,
        Trouble::Unread(fault(FaultKind::TimedOut)),
        Trouble::Undiscovered(unknown),
    ] {
        let _ = writeln!(text, "{}\n{}", why, why.said(Language::Chinese));
    }
    insta::assert_snapshot!(text);
}
