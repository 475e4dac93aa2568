//! Alerts in the outbox: told once a while, kept until they are settled, known again after a kill.

use std::collections::{BTreeMap, BTreeSet};

use fleet::alert::{Alert, Condition, Severity};

use super::*;
use crate::records::{Announced, Dispatch, Member, Notice, OpenConditions, ThreadKey, ThreadState};

fn alert(key: &str, severity: Severity, at: Timestamp) -> Alert {
    Alert {
        key: key.to_string(),
        severity,
        at,
        title: format!("about {key}"),
        lines: vec!["a line".to_string()],
        subject: None,
        owner: Some("team-a".to_string()),
    }
}

#[test]
fn an_alert_waits_until_every_channel_is_done_with_it() {
    on_each_engine(|bench| {
        let (journal, _) = bench.open();
        let alerts = [alert("a", Severity::Info, START), alert("b", Severity::Critical, START)];
        let ids = journal.enqueue(&alerts).unwrap();
        journal.settle(START, "chat", &ids[..1], &Delivery::Sent).unwrap();
        let why = Delivery::GaveUp("it answers 404".to_string());
        journal.settle(START, "pager", &ids, &why).unwrap();
        let seen = |journal: &Journal| -> Vec<(RecordId, Alert, Vec<String>)> {
            let pending = journal.outbox().into_iter();
            pending.map(|p| (p.id, p.alert, p.settled.into_iter().collect())).collect()
        };
        let settled = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = [
            (ids[0], alerts[0].clone(), settled(&["chat", "pager"])),
            (ids[1], alerts[1].clone(), settled(&["pager"])),
        ];
        assert_eq!(seen(&journal), expected);
        let waits = |channel: &str, least: Severity| -> Vec<RecordId> {
            journal.waiting(channel, least).iter().map(|pending| pending.id).collect()
        };
        assert_eq!(waits("chat", Severity::Info), ids[1..]);
        assert_eq!(waits("pager", Severity::Info), []);
        assert_eq!(waits("mail", Severity::Info), ids);
        assert_eq!(waits("mail", Severity::Warning), ids[1..]);
        drop(journal);
        let (journal, _) = bench.open();
        assert_eq!(seen(&journal), expected);
        assert_eq!(journal.reader().verify().unwrap().damage, []);
        let entries: Vec<AlertEntry> = journal
            .reader()
            .entries(Timestamp(0)..Timestamp(i64::MAX))
            .filter_map(|entry| match entry.unwrap().kind {
                EntryKind::Alert(entry) => Some(entry),
                _ => None,
            })
            .collect();
        assert_eq!(entries.len(), 5);
        assert_eq!(entries[0], AlertEntry::Raised(alerts[0].clone()));
    });
}

#[test]
fn a_repeat_is_not_told_unless_it_is_worse_or_late() {
    on_each_engine(|bench| {
        // What was told is known after a restart, too: each time the journal is opened anew.
        let told = |minutes: u64, key: &str, severity: Severity| {
            let (journal, _) = bench.open();
            let at = START + Seconds::minutes(minutes);
            journal.enqueue(&[alert(key, severity, at)]).unwrap().len()
        };
        assert_eq!(told(0, "a", Severity::Warning), 1);
        assert_eq!(told(5, "a", Severity::Warning), 0);
        assert_eq!(told(6, "b", Severity::Info), 1);
        assert_eq!(told(7, "a", Severity::Critical), 1);
        assert_eq!(told(8, "a", Severity::Warning), 0);
        assert_eq!(told(7 + 6 * 60, "a", Severity::Info), 1);
    });
}

#[test]
fn what_is_no_news_any_more_leaves_the_outbox() {
    on_each_engine(|bench| {
        let (journal, _) = bench.open();
        journal.enqueue(&[alert("a", Severity::Info, START)]).unwrap();
        let later = START + OUTBOX_AGE;
        let ids = journal.enqueue(&[alert("b", Severity::Info, later)]).unwrap();
        let kept = |journal: &Journal| -> Vec<RecordId> {
            journal.outbox().iter().map(|pending| pending.id).collect()
        };
        assert_eq!(kept(&journal), ids);
        drop(journal);
        assert_eq!(kept(&bench.open().0), ids);
    });
}

#[test]
fn a_digest_is_for_its_channel_alone_and_is_there_once() {
    on_each_engine(|bench| {
        let (journal, _) = bench.open();
        let post = |key: &str, channel: &str, at: Timestamp| {
            let alert = alert(key, Severity::Info, at);
            let dispatch = Dispatch { channel: channel.to_owned(), names: Vec::new(), chart: None };
            (alert, dispatch)
        };
        let whole = [post("digest/a", "chat", START), post("digest/a/chart", "chat", START)];
        journal.enqueue_digest(&whole).unwrap();
        let keys = |journal: &Journal, channel: &str| -> Vec<String> {
            let waiting = journal.waiting(channel, Severity::Critical);
            waiting.into_iter().map(|pending| pending.alert.key).collect()
        };
        // Whatever the channel's least severity is.
        assert_eq!(keys(&journal, "chat"), ["digest/a", "digest/a/chart"]);
        assert_eq!(keys(&journal, "mail"), [""; 0]);
        let first = journal.waiting("chat", Severity::Info)[0].id;
        journal.settle(START, "chat", &[first], &Delivery::Sent).unwrap();
        drop(journal);
        // After a kill the same is made anew: what was sent is not put there again.
        let (journal, _) = bench.open();
        let later = START + Seconds::hours(70);
        journal.enqueue_digest(&[post("digest/a", "chat", later), whole[1].clone()]).unwrap();
        assert_eq!(keys(&journal, "chat"), ["digest/a/chart"]);
        assert!(journal.has_raised("digest/a") && !journal.has_raised("digest/b"));
        assert_eq!(journal.outbox().len(), 2);
        assert_eq!(journal.outbox()[1].digest.as_ref(), Some(&whole[1].1));
        assert_eq!(journal.reader().verify().unwrap().damage, []);
    });
}

fn thread() -> ThreadKey {
    ThreadKey { of: Condition::DemandUnknown, scope: "aws/1".to_owned() }
}

/// What is open, and the message that it began with.
pub(super) fn begun(at: Timestamp) -> (OpenConditions, Notice) {
    let severity = Severity::Warning;
    let member = Member { since: at, gone_since: None, stands: true, severity };
    let named = BTreeSet::from(["web".to_owned()]);
    let told = Announced { first_at: at, at, severity, named: named.clone(), ever: named };
    let members = BTreeMap::from([("web".to_owned(), member)]);
    let standing = ThreadState { members, told: Some(told) };
    let threads = BTreeMap::from([(thread(), standing.clone())]);
    let open = OpenConditions { threads, owed: BTreeMap::new() };
    (open, notice(at, Some(standing)))
}

fn notice(at: Timestamp, left: Option<ThreadState>) -> Notice {
    Notice {
        alert: alert("condition/demand-unknown/aws/1", Severity::Warning, at),
        title_zh: "无法读取".to_owned(),
        lines_zh: Vec::new(),
        names: vec!["web".to_owned()],
        key: thread(),
        left,
    }
}

#[test]
fn what_is_open_is_known_after_a_restart_for_as_long_as_it_lasts() {
    on_each_engine(|bench| {
        let (journal, _) = bench.open();
        let (open, begins) = begun(START);
        journal.enqueue_notices(START, vec![begins], &open).unwrap();
        let pending = &journal.waiting("chat", Severity::Info)[0];
        assert_eq!(pending.chinese.as_ref().map(|alert| alert.title.as_str()), Some("无法读取"));
        assert_eq!(pending.names, ["web"]);
        drop(journal);
        // Cycle after cycle for weeks: all of it stands in the days that are read at a start.
        let mut now = START;
        for _ in 0..20 {
            let (journal, _) = bench.open();
            assert_eq!(journal.open_conditions(), open);
            for _ in 0..12 {
                now = now + Seconds::hours(2);
                journal.enqueue_notices(now, Vec::new(), &open).unwrap();
            }
            drop(journal);
        }
        let (journal, _) = bench.open();
        let written = journal.reader().entries(Timestamp(0)..Timestamp(i64::MAX)).count();
        assert!((20..=22).contains(&written), "{written}: once a day");
        journal.enqueue_notices(now, vec![notice(now, None)], &OpenConditions::default()).unwrap();
        drop(journal);
        let (journal, _) = bench.open();
        assert!(journal.open_conditions().is_empty());
        // An hour later it begins anew: the window of other alerts is not for these.
        let (again, begins) = begun(now + Seconds::hours(1));
        journal.enqueue_notices(now + Seconds::hours(1), vec![begins], &again).unwrap();
        assert_eq!(journal.outbox().len(), 2);
    });
}
