//! Sixty machines of twelve kinds on each cloud, from a fresh start: exactly the right ones are
//! stopped, each once and at its hour, and every other one says why it is not.
//!
//! Five weeks of hours are in the cloud before the program starts; then it looks once an hour for
//! thirty-six hours of test time. Machines are marked and kept for a day of grace; a permission is taken
//! back meanwhile, a batch comes, a machine's metrics end. Of the stops the answer to one is lost,
//! and one is the program's own end. People approve one and have another machine back. Two machines
//! live by a schedule. And a clock that jumps brings no stop nearer.

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use fleet::{Seconds, Timestamp};
use serde_json::Value;
use tests::clock::{TestClock, TestTime, locked};
use tests::idle::{Act, Done, Fleet, Kind, OPT_IN, Site, done};
use tests::neap::{Killer, Neap};
use tests::peers::{Alibaba, Fault, Rule, Then};
use tests::world::{Amazon, Days, Stage};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
/// 2026-03-02T12:00:00Z, a Monday.
const START: Timestamp = Timestamp(1_772_452_800);
const EACH: usize = 5;
/// How long a machine takes to go down or to come up.
const TURNING: Seconds = Seconds(90);
const PATIENCE: Duration = Duration::from_secs(300);

/// So many hours into the day.
const fn hour(n: i64) -> Timestamp {
    Timestamp(START.0 + n * 3600)
}

/// The owner of `idle-4` takes the permission back.
const TAKEN_BACK: i64 = 10;
/// What was marked at first is due.
const DUE: i64 = 24;
/// A person agrees to a stop of `idle-3`, and the program dies of it.
const AGREED: i64 = 26;
/// Somebody wants `idle-0` up, until a while later.
const WOKEN: i64 = 28;
const WOKEN_UNTIL: i64 = 32;
const END: i64 = 36;

/// Looks once an hour; all that counts as idle, and what is kept from the first week on.
fn config<C: Site>(stage: &Stage<C>, defaults: &str, tables: &str) -> String {
    let words = stage.words();
    format!(
        "mode = \"act\"\npoll_interval = \"1h\"\nidle_interval = \"1h\"\n{}\n[idle_defaults]\n\
         observe_first = \"0s\"\nmark_tag = true\n{defaults}{tables}",
        stage.provider(&[words.region])
    )
}

/// A rule for machines with this value of the tag `fleet`.
fn rule(name: &str, mode: &str, more: &str) -> String {
    format!(
        "\n[[idle]]\nname = \"{name}\"\nmode = \"{mode}\"\nmatch = {{ tags = {{ fleet = \
         [\"{name}\"] }} }}\nidle_when = {{ cpu_max_percent = 3.0, network_max_kib_per_second = \
         5.0, disk_max_ops_per_second = 2.0, memory_max_percent = 40.0, for = \"35d\" }}\n{more}\n"
    )
}

const NIGHTS: &str = "\n[[schedule]]\nname = \"nights\"\nmode = \"act\"\nmatch = { tags = { \
                      schedule = [\"nights\"] } }\ntimezone = \"UTC\"\nup = \"daily 00:00-06:00\"\n";

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    out.into_owned()
}

/// Every row of `neap idle`, by the machine's name and the rule.
fn rows(neap: &Neap) -> BTreeMap<(String, String), Value> {
    let told = said(&neap.output(&["idle", "--all", "--format", "json"]));
    let told: Value = serde_json::from_str(&told).expect("an object on stdout");
    let rows = told["resources"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    rows.map(|row| ((text(&row["name"]), text(&row["rule"])), row.clone())).collect()
}

fn holds(row: &Value) -> Vec<&str> {
    row["holds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The program, for what happens while it sleeps.
#[derive(Clone, Default)]
struct Program {
    neap: Arc<OnceLock<Neap>>,
    killer: Arc<Mutex<Option<Killer>>>,
}

impl Program {
    fn neap(&self) -> &Neap {
        self.neap.get().expect("it was placed before its clock went")
    }

    fn kill(&self) {
        if let Some(killer) = locked(&self.killer).take() {
            killer.kill();
        }
    }
}

/// A day of a fleet that is told hour by hour.
fn telling<C: Site>(stage: &Arc<Stage<C>>, fleet: &Arc<Fleet>, hours: &[Timestamp]) -> Days<C> {
    let mut days = Days::until(stage, *hours.last().expect("some hours"));
    for at in hours.iter().copied() {
        let fleet = Arc::clone(fleet);
        days.event(at, move |stage: &Stage<C>| fleet.tell(&**stage, at));
    }
    days
}

fn sixty_machines<C: Site>(cloud: fn(TestTime) -> C) {
    let stage = Stage::at(Fleet::made_at(START), cloud);
    let fleet = Fleet::new(&stage, START, (&Kind::ALL, EACH), |kind, n| match (kind, n) {
        (Kind::Idle, 3) => "asked",
        _ => "boxes",
    });
    let fleet = Arc::new(fleet);
    assert_eq!(fleet.machines.len(), 60);
    stage.turning_takes(TURNING);
    let program = Program::default();
    let hours: Vec<Timestamp> = (1..=END).map(hour).collect();
    let mut days = telling(&stage, &fleet, &hours);
    people(&mut days, &fleet, &program);
    trouble(&mut days, &program);
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let rules = [
        rule("boxes", "act", "blast_radius = { hour = 2, day = \"20%\" }"),
        rule("asked", "approve", ""),
        NIGHTS.to_owned(),
    ];
    let config = config(&stage, "grace = \"24h\"\n", &rules.concat());
    let placed = program.neap.set(Neap::on(BINARY, &config, &clock));
    assert!(placed.is_ok(), "it is placed once");
    let neap = program.neap();
    said(&neap.output(&["check"]));

    let first = neap.start(&clock);
    *locked(&program.killer) = Some(first.killer());
    let died = first.wait(PATIENCE);
    assert_eq!((died.code(), stage.time.now()), (None, hour(AGREED)), "{}", first.stderr());
    stage.door().settle();
    let second = neap.start(&clock);
    let ended = second.wait(PATIENCE);
    assert!(ended.success(), "{ended}: {}", second.stderr());

    let (told, asked) = done(&**stage);
    assert_eq!(told, expected(&fleet), "what the cloud was told, and when");
    let orders = told.iter().filter(|done| matches!(done.act, Act::Stop | Act::Start));
    assert_eq!(asked, orders.cloned().collect::<Vec<_>>(), "each order was rehearsed, once");
    every_machine_says_why(neap, &fleet);
    each_story_is_told(neap, &fleet);
    said(&neap.output(&["journal", "verify"]));
    said(&neap.output(&["replay"]));
    said(&neap.output(&["check"]));
}

/// What people do: one takes a permission back, one agrees to a stop, one wants a machine up.
fn people<C: Site>(days: &mut Days<C>, fleet: &Fleet, program: &Program) {
    let withdrawn = fleet.named("idle-4").id.clone();
    days.event(hour(TAKEN_BACK), move |stage: &Stage<C>| stage.untag(&withdrawn, OPT_IN));
    let approver = program.clone();
    days.event(hour(AGREED), move |_| {
        let neap = approver.neap();
        let row = &rows(neap)[&("idle-3".to_owned(), "asked".to_owned())];
        let approval = row["approval"].as_str().unwrap_or_else(|| panic!("{row:#}"));
        said(&neap.output(&["approve", approval]));
    });
    let sleeper = program.clone();
    days.event(hour(WOKEN), move |_| {
        let until = hour(WOKEN_UNTIL).to_string();
        said(&sleeper.neap().output(&["wake", "idle-0", "--until", &until]));
    });
}

/// What goes wrong: the answer to the one stop of an hour is lost, and the program dies before it
/// hears that of another. A rehearsal comes before each.
fn trouble<C: Site>(days: &mut Days<C>, program: &Program) {
    days.event(hour(DUE + 1), |stage: &Stage<C>| {
        stage.door().inject(Rule::on("StopInstances", Fault::cut_after()).after(1).times(1));
    });
    let victim = program.clone();
    days.event(hour(AGREED), move |stage: &Stage<C>| {
        let victim = victim.clone();
        let dies = Fault::after(move || {
            victim.kill();
            Then::Cut
        });
        stage.door().inject(Rule::on("StopInstances", dies).after(1).times(1));
    });
}

/// All that a cloud is told in the day.
fn expected(fleet: &Fleet) -> Vec<Done> {
    let id = |name: &str| fleet.named(name).id.clone();
    let mut all: Vec<Done> = Vec::new();
    let mut add = |n, act, id| all.push(Done { at: hour(n), act, id });
    for name in ["idle-0", "idle-1", "idle-2", "idle-3", "idle-4", "batch-4", "dark-3"] {
        add(0, Act::Mark, id(name));
    }
    // Stops wait until looks have been regular for three hours. The first night's start comes one
    // look before midnight, the second's two: to be up has taken until the look that saw it.
    for name in ["cron-3", "cron-4"] {
        add(3, Act::Stop, id(name));
        add(11, Act::Start, id(name));
        add(18, Act::Stop, id(name));
        add(34, Act::Start, id(name));
    }
    add(TAKEN_BACK, Act::Unmark, id("idle-4"));
    add(21, Act::Unmark, id("batch-4"));
    // Two an hour: the third waits. A mark is off once the stop is known to be taken.
    let mut idle = ["idle-0", "idle-1", "idle-2"].map(id);
    idle.sort();
    for (id, at) in idle.into_iter().zip([DUE, DUE, DUE + 1]) {
        add(at, Act::Stop, id.clone());
        add(at + 1, Act::Unmark, id);
    }
    add(AGREED, Act::Stop, id("idle-3"));
    // By the program's second life, which looks first.
    add(AGREED, Act::Unmark, id("idle-3"));
    add(WOKEN, Act::Start, id("idle-0"));
    all.sort();
    all
}

/// The verdict, the stage and the first reason of a machine at the end of the day, as they begin.
fn end_of(kind: Kind, n: usize) -> (&'static str, &'static str, &'static str) {
    const IDLE: &str = "always idle";
    const USED: &str = "in use";
    const UNKNOWN: &str = "not enough data";
    const FREE: &str = "candidate";
    const KEPT: &str = "kept";
    match (kind, n) {
        // It runs, and its hours below are missing.
        (Kind::Idle, 0) => (UNKNOWN, KEPT, "not enough data: cpu has "),
        (Kind::Idle, 4) => (IDLE, FREE, "its owner has not set the tag `neap:managed=true`"),
        (Kind::Idle, _) => (UNKNOWN, "stopped since ", "neap stopped it at "),
        (Kind::Nightly, 3 | 4) => (USED, KEPT, "in use: "),
        (Kind::Nightly, _) => (
            "idle by the clock",
            KEPT,
            "idle by the clock: used Mon-Sun 00:00-06:00 in 5 weeks; a schedule `up = \"Mon-Sun \
             00:00-06:00\"` would save 126 hours a week",
        ),
        (Kind::Monthly, _) => (USED, KEPT, "in use: "),
        (Kind::Standby, 0) => (IDLE, FREE, "idle by its nature (tag `neap:role=standby`)"),
        (Kind::Standby, 1) => (IDLE, FREE, "idle by its nature (tag `db-role=replica`)"),
        (Kind::Standby, 2) => (IDLE, FREE, "idle by its nature (tag `ha-role=passive`)"),
        (Kind::Standby, 3) => (IDLE, FREE, "idle by its nature (tag `role=secondary`)"),
        (Kind::Standby, _) => (IDLE, FREE, "idle by its nature (name `db-standby-4`)"),
        (Kind::Bastion, 0) => (IDLE, FREE, "idle by its nature (tag `role=bastion`)"),
        (Kind::Bastion, 1) => (IDLE, FREE, "idle by its nature (tag `Role=jumphost`)"),
        (Kind::Bastion, 2) => (IDLE, FREE, "idle by its nature (name `bastion-2`)"),
        (Kind::Bastion, _) => (USED, KEPT, "in use: network_"),
        (Kind::Starved, _) => (USED, KEPT, "in use: its CPU credits ran out"),
        (Kind::Cache, _) => (USED, KEPT, "in use: memory was "),
        (Kind::Gpu, _) => (IDLE, FREE, "it has an accelerator"),
        (Kind::Scaled, _) => (IDLE, FREE, "a member of scaling group `"),
        (Kind::Protected, 0) => (IDLE, FREE, "protected by its tag `neap:protect=true`"),
        (Kind::Protected, 1) => (IDLE, FREE, "protected by its tag `neap:protect=ask ops first`"),
        (Kind::Protected, 4) => (IDLE, FREE, "stop protection is on"),
        (Kind::Protected, _) => (IDLE, FREE, "termination protection is on"),
        (Kind::Subscribed, _) => (IDLE, FREE, "a stop would save nothing: "),
        (Kind::Unknown, 2) => (UNKNOWN, KEPT, "not enough data: cpu has "),
        // It was marked, and is not stopped on what is not known any more.
        (Kind::Unknown, 3) => (UNKNOWN, "marked, due", "not enough data: cpu has nothing since "),
        (Kind::Unknown, 4) => (UNKNOWN, KEPT, "not enough data: disk_ops was never measured"),
        (Kind::Unknown, _) => (UNKNOWN, KEPT, "not enough data: cpu was never measured"),
    }
}

fn every_machine_says_why(neap: &Neap, fleet: &Fleet) {
    let mut rows = rows(neap);
    let mut wrong = Vec::new();
    for machine in &fleet.machines {
        let asked = machine.name == "idle-3";
        let rule = if asked { "asked" } else { "boxes" };
        let row = rows.remove(&(machine.name.clone(), rule.to_owned()));
        let row = row.unwrap_or_else(|| panic!("nothing is said of {}", machine.name));
        let (verdict, stage, hold) = end_of(machine.kind, machine.n);
        let begins = |field: &str, with| row[field].as_str().is_some_and(|t| t.starts_with(with));
        let all = holds(&row);
        let first = all.first().is_some_and(|first| first.starts_with(hold));
        // Of a GPU it is also said that it may not be had again; of what is not opted in not every
        // fact is asked.
        let more = machine.kind == Kind::Gpu || machine.name == "idle-4";
        let alone = more || all.len() == 1;
        if row["verdict"] != verdict || !begins("stage", stage) || !first || !alone {
            let (found, at) = (&row["verdict"], &row["stage"]);
            wrong.push(format!("{}: {found}, {at}, {all:?}", machine.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in ["cron-3", "cron-4"] {
        let row = rows.remove(&(name.to_owned(), "nights".to_owned())).expect("it is scheduled");
        assert_eq!(row["stage"], "scheduled up, down at 2026-03-04T06:00:00Z", "{row:#}");
        assert_eq!(holds(&row), ["as scheduled"]);
    }
    assert!(rows.is_empty(), "more is listed than there is: {:?}", rows.keys());
}

/// `neap explain` tells what happened to a machine, in order.
fn each_story_is_told(neap: &Neap, fleet: &Fleet) {
    let told = |name: &str, events: &[&str]| {
        let story = said(&neap.output(&["explain", &fleet.named(name).id]));
        let mut rest = story.as_str();
        for event in events {
            let Some((_, after)) = rest.split_once(event) else {
                panic!("{name}: no `{event}` where it belongs in\n{story}")
            };
            rest = after;
        }
    };
    let marked = "has been idle and is stopped after a grace of 1d";
    told("idle-0", &[marked, "stop ", "asked for it to be up until ", "start taken"]);
    told(
        "idle-3",
        &[marked, "agreed to a stop", "stop sent, the answer was lost, the effect is there"],
    );
    told("idle-4", &[marked, "is not stopped: its owner took the permission back"]);
    told("batch-4", &[marked, "is not stopped: it is in use again"]);
    told("cron-3", &["stop taken (schedule `nights`", "start taken (schedule `nights`"]);
    told("gpu-0", &["always idle", "it has an accelerator"]);
    let mut idle = ["idle-0", "idle-1", "idle-2"];
    idle.sort_by_key(|name| &fleet.named(name).id);
    told(idle[2], &[marked, "stop sent, the answer was lost, the effect is there"]);
}

#[test]
fn the_right_ones_of_sixty_machines_are_stopped_on_aws() {
    sixty_machines(Amazon::start);
}

#[test]
fn the_right_ones_of_sixty_machines_are_stopped_on_alibaba_cloud() {
    sixty_machines(Alibaba::start);
}

/// Machines that are all idle, opted in and marked, under caps that would let them go at once.
const MARKED: usize = 12;
const GRACE: i64 = 10;
/// Looks, an hour apart, before the first jump and before the second: long enough for stops to go on.
const BEFORE: i64 = 3;
const BETWEEN: i64 = 4;
const JUMPS: [Seconds; 2] = [Seconds::days(1), Seconds::days(10)];

/// Grace is time spent looking: what is left of it when the clock jumps is left after it, too.
fn jumps_bring_no_stop_nearer<C: Site>(cloud: fn(TestTime) -> C) {
    let stage = Stage::at(Fleet::made_at(START), cloud);
    let fleet = Arc::new(Fleet::new(&stage, START, (&[Kind::Idle], MARKED), |_, _| "boxes"));
    let once = move |n: i64| hour(BEFORE + n) + JUMPS[0];
    let twice = move |n: i64| once(BETWEEN + n) + JUMPS[1];
    // The hour that a jump is in counts as little as the jump.
    let due = GRACE - (BEFORE - 1) - (BETWEEN - 1);
    let before = (1..BEFORE).map(hour).chain((1..BETWEEN).map(once));
    let hours: Vec<Timestamp> = before.chain((1..=due + 2).map(twice)).collect();
    let mut days = telling(&stage, &fleet, &hours);
    let program = Program::default();
    for (at, to) in [(hour(BEFORE), once(0)), (once(BETWEEN), twice(0))] {
        // The cloud goes on meanwhile, and all its hours are idle.
        let told = Arc::clone(&fleet);
        days.event(at, move |stage: &Stage<C>| {
            stage.time.set(to);
            told.tell(&**stage, to);
        });
        let looker = program.clone();
        days.event(to + Seconds::hours(2), move |_| {
            let rows = rows(looker.neap());
            assert_eq!(rows.len(), MARKED);
            for row in rows.values() {
                let holds = holds(row);
                assert!(holds.len() == 2 && holds[0].ends_with("of grace left"), "{holds:?}");
                assert!(holds[1].starts_with("the clock jumped"), "{holds:?}");
            }
        });
    }
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let wide = "{ hour = \"100%\", day = \"100%\" }";
    let defaults = format!("grace = \"{GRACE}h\"\naccount_blast_radius = {wide}\n");
    let rule = rule("boxes", "act", &format!("blast_radius = {wide}"));
    let placed = program.neap.set(Neap::on(BINARY, &config(&stage, &defaults, &rule), &clock));
    assert!(placed.is_ok(), "it is placed once");
    let running = program.neap().start(&clock);
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", running.stderr());

    let (told, _) = done(&**stage);
    let at = |act| told.iter().filter(move |done| done.act == act).map(|done| done.at);
    assert_eq!(at(Act::Mark).collect::<Vec<_>>(), [START; MARKED]);
    assert_eq!(at(Act::Stop).collect::<Vec<_>>(), [twice(due); MARKED], "all when it is over");
    said(&program.neap().output(&["replay"]));
}

#[test]
fn clocks_that_jump_a_day_and_ten_bring_no_stop_nearer_on_aws() {
    jumps_bring_no_stop_nearer(Amazon::start);
}

#[test]
fn clocks_that_jump_a_day_and_ten_bring_no_stop_nearer_on_alibaba_cloud() {
    jumps_bring_no_stop_nearer(Alibaba::start);
}
