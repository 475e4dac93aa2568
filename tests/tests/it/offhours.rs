//! Cloud Custodian's own off-hours filters against neap's reading of the same policies and tags.
//!
//! The filters, from its Python package, are asked every quarter of an hour of fortnights in which
//! clocks change. They match through a whole local hour; neap has an edge at its beginning. Two
//! things differ, and no other: an hour that clocks pass over, in which the filters never match,
//! has its edge as clocks do; and of an hour that comes twice, which the filters match twice, the
//! edge to stop is in the second.

use std::collections::{BTreeMap, BTreeSet};

use config::schedule::{OffHours, Reading};
use fleet::Timestamp;
use jiff::tz::TimeZone;
use planner::idle::rule::ScheduleKind;
use planner::idle::schedule::Span;
use serde_json::{Value, json};

/// A quarter of an hour.
const QUARTER: i64 = 900;

/// Fortnights that hold a change of clocks of America, Europe or Australia, or two.
const FORTNIGHTS: [&str; 5] =
    ["2027-03-08", "2027-03-22", "2027-09-27", "2027-10-25", "2027-11-01"];

/// A policy's options as Cloud Custodian spells them, and the tags of a resource.
struct Case {
    options: Value,
    tags: &'static [(&'static str, &'static str)],
}

const TAG: &str = "maid_offhours";

fn tagged(value: &'static str) -> Case {
    let tags: &[(&str, &str)] = Box::leak(Box::new([(TAG, value)]));
    Case { options: json!({ "default_tz": "et" }), tags }
}

/// The policies and tags of its documentation: of the off-hours page and of the examples for
/// machines and groups.
fn documented() -> Vec<Case> {
    let policy = |options, tags| Case { options, tags };
    let downtime = json!({
        "weekends": false, "default_tz": "pt", "tag": "downtime", "opt-out": true,
        "onhour": 8, "offhour": 20,
    });
    let holidays = json!({
        "tag": "custodian_downtime", "default_tz": "et", "onhour": 6,
        "skip-days": ["2027-03-15", "2027-03-31", "2027-10-29", "2017-12-25"],
    });
    let after_hours = json!({
        "default_tz": "pt", "onhour": 12, "stop_tag": "StopAfterHours",
        "start_tag": "StartAfterHours",
    });
    vec![
        tagged(""),
        tagged("on"),
        tagged("off"),
        tagged("off=(M-F,19);on=(M-F,7)"),
        tagged("off=[(M-F,21),(U,18)];on=[(M-F,6),(U,10)];tz=pt"),
        tagged("offu3du28M-Fu2c18u29u3btzu3dAustraliau2fSydney"),
        tagged("off=u5bu28M-Fu2c18u29u2cu28Su2c13u29u5d"),
        tagged("off=(M-F,18);tz=Australia/Sydney"),
        tagged("off=[(M-F,18),(S,13)]"),
        policy(downtime.clone(), &[]),
        policy(downtime.clone(), &[("downtime", "off")]),
        policy(downtime, &[("Downtime", "off=(M-U,9);on=(M-U,3)")]),
        policy(holidays, &[("custodian_downtime", "")]),
        policy(
            after_hours.clone(),
            &[("StopAfterHours", "off=(M-F,18);tz=est"), ("StartAfterHours", "on=(M-F,8)")],
        ),
        policy(after_hours.clone(), &[("StopAfterHours", "off=(M-F,18);tz=est")]),
        policy(after_hours, &[("StartAfterHours", "on=(M-F,8)")]),
    ]
}

/// What else the grammar allows.
fn others() -> Vec<Case> {
    let policy = |options, tags| Case { options, tags };
    let mut cases = vec![
        tagged("off=(M-U,5);on=(M-U,2)"),
        tagged("off=(M-U,2);on=(M-U,12)"),
        tagged("off=(M-U,9);on=(M-U,1)"),
        tagged("off=(M-U,1);on=(M-U,17)"),
        tagged("off=(F-M,20);on=(S-T,9);tz=europe/london"),
        tagged("off=(M-U,6);on=(M-U,2);tz=australia/lord_howe"),
        tagged("\"off=(m-f,01);on=(m-f,013);\""),
        tagged("tz=Asia/Kathmandu"),
        policy(json!({ "default_tz": "utc" }), &[("MAID_OffHours", "ON")]),
        policy(json!({ "default_tz": "utc", "weekends-only": true }), &[(TAG, "")]),
        policy(json!({ "default_tz": "America/New_York" }), &[("env", "dev")]),
        policy(
            json!({ "default_tz": "et", "fallback-schedule": "off=(M-F,20);tz=bst" }),
            &[("env", "dev")],
        ),
        // Not understood, by either side.
        tagged("off=(M-F,24);on=(M-F,7)"),
        tagged("off=(M-F,19);on=(M-F,7);zebra"),
        tagged("zebra=blue"),
        tagged("tz=mars/olympus"),
        tagged("off=(M-F,seven);on=(x,7)"),
    ];
    let zones = [
        "tz=pdt",
        "tz=pt",
        "tz=pst",
        "tz=ast",
        "tz=at",
        "tz=est",
        "tz=edt",
        "tz=et",
        "tz=cst",
        "tz=cdt",
        "tz=ct",
        "tz=mst",
        "tz=mdt",
        "tz=mt",
        "tz=gmt",
        "tz=gt",
        "tz=bst",
        "tz=ist",
        "tz=cet",
        "tz=it",
        "tz=jst",
        "tz=kst",
        "tz=sgt",
        "tz=aet",
        "tz=brt",
        "tz=nzst",
        "tz=utc",
        "tz=hst",
        "tz=est5edt",
        "tz=etc/gmt+8",
        "tz=asia/shanghai",
        "tz=asia/ho_chi_minh",
    ];
    cases.extend(zones.map(tagged));
    cases
}

/// The policies of Cloud Custodian, one that stops and one that starts.
fn policies(options: &Value) -> (Value, Value) {
    let side = |tag: &str| {
        let mut options = options.clone();
        let map = options.as_object_mut().unwrap();
        if let Some(tag) = map.remove(tag) {
            map.insert("tag".into(), tag);
        }
        map.retain(|key, _| key != "stop_tag" && key != "start_tag");
        options
    };
    (side("stop_tag"), side("start_tag"))
}

/// The same as neap has it.
fn ours(options: &Value) -> OffHours {
    let text = |key: &str| options[key].as_str().map(str::to_owned);
    let both = text("tag").unwrap_or_else(|| OffHours::TAG.into());
    let hour = |key: &str, base| options[key].as_i64().map_or(base, |hour| hour as i8);
    let days = options["skip-days"].as_array().cloned().unwrap_or_default();
    OffHours {
        stop_tag: text("stop_tag").unwrap_or_else(|| both.clone()),
        start_tag: text("start_tag").unwrap_or(both),
        default_tz: text("default_tz").unwrap(),
        onhour: hour("onhour", OffHours::ONHOUR),
        offhour: hour("offhour", OffHours::OFFHOUR),
        weekends: options["weekends"].as_bool().unwrap_or(true),
        weekends_only: options["weekends-only"].as_bool().unwrap_or(false),
        opt_out: options["opt-out"].as_bool().unwrap_or(false),
        fallback_schedule: text("fallback-schedule"),
        skip_days: days.iter().map(|day| day.as_str().unwrap().parse().unwrap()).collect(),
    }
}

fn span(day: &str) -> Span {
    let from = Timestamp::parse(&format!("{day}T00:00:00Z")).unwrap();
    Span { from, until: Timestamp(from.0 + 14 * 86_400) }
}

/// neap's edges of a resource: to stop, and to start.
fn edges(case: &Case, within: Span) -> [BTreeSet<i64>; 2] {
    let tags: BTreeMap<String, String> =
        case.tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let mut found = [BTreeSet::new(), BTreeSet::new()];
    if let Reading::Hours(edges) = ours(&case.options).read(&tags) {
        let acts = |up: bool| match edges.kind() {
            ScheduleKind::Both => true,
            ScheduleKind::StopOnly => !up,
            ScheduleKind::StartOnly => up,
        };
        for edge in edges.edges(within).into_iter().filter(|edge| acts(edge.up)) {
            found[usize::from(edge.up)].insert(edge.at.0);
        }
    }
    found
}

/// Moments a quarter apart as stretches, the last of each included.
fn stretches(moments: &Value) -> Vec<(i64, i64)> {
    let mut found: Vec<(i64, i64)> = Vec::new();
    for moment in moments.as_array().unwrap().iter().map(|moment| moment.as_i64().unwrap()) {
        match found.last_mut().filter(|(_, last)| *last + QUARTER == moment) {
            Some((_, last)) => *last = moment,
            None => found.push((moment, moment)),
        }
    }
    found
}

/// Whether clocks of some zone of the cases jump forward at a moment.
fn is_jump(at: i64) -> bool {
    let zones = ["America/New_York", "Australia/Lord_Howe"];
    zones.iter().any(|name| {
        let zone = TimeZone::get(name).unwrap();
        let offset = |at| zone.to_offset(jiff::Timestamp::from_second(at).unwrap()).seconds();
        offset(at) > offset(at - 1)
    })
}

/// Edges and stretches of one side, compared; how many edges were in hours that never came.
fn compare(
    what: &str,
    up: bool,
    edges: &BTreeSet<i64>,
    theirs: &[(i64, i64)],
    span: Span,
) -> usize {
    let shown = |at: i64| Timestamp(at).to_string();
    for (first, last) in theirs {
        let inside: Vec<i64> = edges.range(first..=last).copied().collect();
        let [edge] = inside[..] else {
            // The hour began before the fortnight.
            assert_eq!(*first, span.from.0, "{what}: no edge at {}", shown(*first));
            continue;
        };
        let twice = last + QUARTER - first > 3600;
        assert!(edge == *first || (twice && !up), "{what}: edge at {}", shown(edge));
        assert!(!twice || up || edge > *first, "{what}: the second time, {}", shown(edge));
    }
    let matched = |edge: &&i64| theirs.iter().any(|(from, to)| (from..=to).contains(edge));
    let skipped: Vec<i64> = edges.iter().filter(|edge| !matched(edge)).copied().collect();
    for edge in &skipped {
        assert!(is_jump(*edge), "{what}: an edge at {} that they do not have", shown(*edge));
    }
    skipped.len()
}

/// Runs cases over all fortnights; how many edges there were, and how many of them in hours that
/// never came.
fn run(cases: &[Case]) -> (usize, usize) {
    let all = || cases.iter().flat_map(|case| FORTNIGHTS.map(|day| (case, span(day))));
    let asked: Vec<Value> = all()
        .map(|(case, span)| {
            let (off, on) = policies(&case.options);
            let tags: BTreeMap<_, _> = case.tags.iter().copied().collect();
            json!({ "off": off, "on": on, "tags": tags, "from": span.from.0, "until": span.until.0 })
        })
        .collect();
    let answers = tests::peers::script("offhours.py", &[&Value::from(asked).to_string()]);
    let answers: Vec<[Value; 2]> = serde_json::from_str(&answers).unwrap();
    let (mut count, mut skipped) = (0, 0);
    for ((case, span), answer) in all().zip(&answers) {
        for (side, up) in [false, true].into_iter().enumerate() {
            let found = &edges(case, span)[side];
            let what = format!("{} {:?} from {}, up {up}", case.options, case.tags, span.from);
            skipped += compare(&what, up, found, &stretches(&answer[side]), span);
            count += found.len();
        }
    }
    assert_eq!(answers.len(), cases.len() * FORTNIGHTS.len());
    (count, skipped)
}

#[test]
fn the_documented_examples_have_the_same_hours() {
    let (edges, skipped) = run(&documented());
    assert!(edges > 1000, "{edges}");
    assert_eq!(skipped, 0);
}

#[test]
fn the_rest_of_the_grammar_has_the_same_hours_but_for_those_that_never_come() {
    let (edges, skipped) = run(&others());
    assert!(edges > 3000, "{edges}");
    // Hour 2 of 14 March in New York, to start and to stop.
    assert_eq!(skipped, 2);
}
