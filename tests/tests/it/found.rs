//! Groups are looked for while the program runs: a cloud that is away at the start, a region that never
//! answers, groups that come and go, with restarts and reloads in between.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use fleet::{ServiceName, Timestamp};
use journal::{CycleRecord, Reader};
use serde_json::Value;
use tests::clock::{TestClock, locked, signal};
use tests::neap::{Killer, Neap, Running};
use tests::page::{LISTEN, Served, until};
use tests::peers::{Fault, NewGroup, Rule};
use tests::story::{FAR, PATIENCE, START, Story, findings, minutes, step, turns};
use tests::world::{Minute, REGION, Stage};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
const LISTING: &str = "DescribeAutoScalingGroups";
const TEMPLATE: &str = r#"
[[service_template]]
match = { tags = { "neap:scale" = ["yes"] } }
demand = [{ namespace = "AWS/ApplicationELB", metric = "RequestCount", stat = "Sum", dimensions = { LoadBalancer = "{group}" } }]
pool = { capacity_per_unit = 10.0, actuate = "desired", min = 1, max = 60, lead_time = "2m" }
"#;

/// A group of twelve units that the template matches.
fn tagged(name: &str) -> NewGroup {
    let tags = vec![("neap:scale".to_owned(), "yes".to_owned())];
    NewGroup { tags, ..NewGroup::new(name, 1, 60, 12) }
}

fn story(end: u64) -> Story {
    let mut story = Story::until(minutes(end));
    story.tables = TEMPLATE;
    story
}

fn tag(stage: &Stage, group: &str, scale: &str) {
    let parameters = [
        ("Tags.member.1.ResourceId", group),
        ("Tags.member.1.ResourceType", "auto-scaling-group"),
        ("Tags.member.1.Key", "neap:scale"),
        ("Tags.member.1.Value", scale),
        ("Tags.member.1.PropagateAtLaunch", "false"),
    ];
    stage.somebody().autoscaling("CreateOrUpdateTags", &parameters);
}

/// Units ordered in a minute.
fn desired(seen: &Mutex<Vec<Minute>>, minute: u64) -> u32 {
    let seen = locked(seen);
    let found = seen.iter().find(|seen| seen.at == minutes(minute));
    found.unwrap_or_else(|| panic!("minute {minute} was not seen")).desired
}

fn ends_well(running: &Running) {
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", running.stderr());
}

fn cycles(neap: &Neap) -> Vec<CycleRecord> {
    let reader = Reader::open(&neap.path("state")).expect("a journal");
    reader
        .cycles(Timestamp(0)..Timestamp(i64::MAX / 2))
        .map(|cycle| cycle.expect("sound"))
        .collect()
}

fn is_whole(neap: &Neap) {
    for command in [&["journal", "verify"][..], &["replay"]] {
        let output = neap.output(command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// What a turn says of places that give no answer.
fn silent(turn: &Value) -> Vec<String> {
    let all = turn["findings"].as_array().into_iter().flatten();
    let ours = all.filter(|finding| finding["hold"] == "undiscovered");
    ours.map(|finding| finding["text"].as_str().unwrap_or_default().to_owned()).collect()
}

fn count(text: &str, words: &str) -> usize {
    text.lines().filter(|line| line.contains(words)).count()
}

#[test]
fn a_cloud_that_is_away_at_the_start_is_found_within_a_minute_of_its_return() {
    let mut story = story(16);
    story.stage.service(REGION, &tagged("web"));
    let seen = story.days.serve("web", REGION, step(100.0, minutes(1), 300.0));
    story.stage.proxy.inject(Rule::on(LISTING, Fault::Broken));
    story.days.event(minutes(8), |stage| stage.proxy.heal());
    let config = story.config("act");
    let clock = TestClock::start(story.stage.time.clone(), Box::new(story.days));
    let neap = Neap::on(BINARY, &config, &clock);
    let running = neap.start(&clock);
    ends_well(&running);
    let taken_at = |turn: &Value| turn["taken_at"].as_str().and_then(Timestamp::parse);
    let mut told = turns(&running);
    // At the end the signal is sent; a slow machine begins another turn before it is there.
    told.retain(|turn| taken_at(turn).expect("a time") < minutes(16));
    assert_eq!(told.len(), 16, "a turn a minute, whoever is away");
    let places = silent(&told[2]);
    assert!(!places.is_empty() && places[0].contains("none of its groups is known"), "{places:?}");
    assert_eq!(silent(&told[15]), Vec::<String>::new());
    assert_eq!(desired(&seen, 7), 12);
    assert!(desired(&seen, 10) >= 30, "{} units: {}", desired(&seen, 10), running.stderr());
    let log = running.stderr();
    for (words, times) in [
        ("groups cannot be looked for", 2),
        ("groups are found again", 2),
        ("a template was found", 1),
    ] {
        assert_eq!(count(&log, words), times, "{words}: {log}");
    }
    is_whole(&neap);
}

#[test]
fn a_new_group_is_sized_within_minutes_while_one_region_never_answers() {
    let mut story = story(22);
    story.stage.service(REGION, &tagged("web"));
    let web = story.days.serve("web", REGION, step(100.0, minutes(3), 300.0));
    let late = story.days.serve("late", REGION, step(300.0, minutes(200), 300.0));
    story.stage.proxy.inject(Rule::on(LISTING, Fault::Denied).in_region(FAR));
    story.days.event(minutes(6), |stage| stage.service(REGION, &tagged("late")));
    let (_, neap, turns) = story.run(BINARY);
    assert!(desired(&web, 6) >= 30, "{} units", desired(&web, 6));
    // Five minutes until it is looked for, and one until the next cycle.
    assert!(desired(&late, 14) >= 30, "{} units", desired(&late, 14));
    let last = turns.last().expect("turns");
    assert!(!findings(last, "late").is_empty());
    let silent = silent(last);
    assert!(silent.len() == 1 && silent[0].contains(FAR), "{silent:?}");
    is_whole(&neap);
}

/// The life that an event meets.
type Life = Arc<Mutex<Option<(u32, Killer)>>>;

/// Runs to the first death and on to the end.
fn two_lives(story: Story, died_at: u64, life: &Life) -> (Neap, String) {
    let mut story = story;
    let killed = Arc::clone(life);
    story.days.event(minutes(died_at), move |_| {
        if let Some((_, killer)) = locked(&killed).take() {
            killer.kill();
        }
    });
    let config = story.config("act");
    let clock = TestClock::start(story.stage.time.clone(), Box::new(story.days));
    let neap = Neap::on(BINARY, &config, &clock);
    let running = neap.start(&clock);
    *locked(life) = Some((running.pid(), running.killer()));
    assert!(!running.wait(PATIENCE).success(), "it was killed: {}", running.stderr());
    let running = neap.start(&clock);
    *locked(life) = Some((running.pid(), running.killer()));
    ends_well(&running);
    let log = running.stderr();
    (neap, log)
}

#[test]
fn what_was_learned_of_a_group_is_there_when_it_is_back() {
    let mut story = story(84);
    story.stage.service(REGION, &tagged("web"));
    story.stage.service(REGION, &tagged("other"));
    let web = story.days.serve("web", REGION, step(100.0, minutes(72), 300.0));
    story.days.serve("other", REGION, step(100.0, minutes(200), 100.0));
    let life = Life::default();
    story.days.event(minutes(8), |stage| tag(stage, "web", "no"));
    story.days.event(minutes(68), |stage| tag(stage, "web", "yes"));
    let reloaded = Arc::clone(&life);
    story.days.event(minutes(50), move |_| {
        if let Some((pid, _)) = &*locked(&reloaded) {
            signal(*pid, "HUP");
        }
    });
    let (neap, log) = two_lives(story, 30, &life);
    assert_eq!(count(&log, "matches no template any more"), 1, "{log}");
    let name = ServiceName::new("web").expect("a name");
    let mut before = (0, 0);
    let (mut here, mut away) = (BTreeSet::new(), BTreeSet::new());
    for cycle in cycles(&neap) {
        let minute = cycle.taken_at().since(START).0 / 60;
        let own = cycle.memory_after.services.get(&name);
        let own = own.unwrap_or_else(|| panic!("forgotten in minute {minute}"));
        let is_here = cycle.snapshot.services.contains_key(&name);
        if is_here {
            here.insert(minute)
        } else {
            away.insert(minute)
        };
        let totals = own.violations.totals();
        assert!(totals.0 >= before.0, "minute {minute}: {totals:?} after {before:?}");
        let acts = cycle.plan.actions.iter().any(|action| action.service == name);
        assert!(is_here || !acts, "minute {minute}: who is away is left alone");
        before = totals;
    }
    let (gone, back) = (away.first().expect("gone"), away.last().expect("back"));
    assert!((9..=15).contains(gone) && (68..=75).contains(back), "{away:?}");
    assert_eq!(away.len() as u64, back - gone + 1, "gone once: {here:?}");
    assert!(desired(&web, 80) >= 30, "{} units: {log}", desired(&web, 80));
    is_whole(&neap);
}

#[test]
fn a_restart_while_the_cloud_is_away_forgets_no_group() {
    let mut story = story(26);
    story.stage.service(REGION, &tagged("web"));
    let web = story.days.serve("web", REGION, step(100.0, minutes(12), 300.0));
    story.days.event(minutes(9), |stage| {
        stage.proxy.inject(Rule::on(LISTING, Fault::Broken));
    });
    story.days.event(minutes(17), |stage| stage.proxy.heal());
    let (neap, log) = two_lives(story, 10, &Life::default());
    let name = ServiceName::new("web").expect("a name");
    for cycle in cycles(&neap) {
        assert!(cycle.snapshot.services.contains_key(&name), "{}: {log}", cycle.taken_at());
    }
    assert_eq!(desired(&web, 16), desired(&web, 9), "nothing is done blindly");
    // The group is read by its name in every cycle, whether or not it is found again.
    assert!(desired(&web, 19) >= 30, "{} units: {log}", desired(&web, 19));
    is_whole(&neap);
}

#[test]
fn what_waits_for_a_cloud_is_told_by_status() {
    let mut story = story(400);
    story.stage.service(REGION, &tagged("web"));
    story.days.serve("web", REGION, step(100.0, minutes(300), 100.0));
    story.stage.proxy.inject(Rule::on(LISTING, Fault::Denied).in_region(FAR));
    let told: Arc<Mutex<Option<String>>> = Arc::default();
    let folder: Arc<Mutex<Option<(std::path::PathBuf, u32)>>> = Arc::default();
    let (asked, at) = (Arc::clone(&told), Arc::clone(&folder));
    story.days.event(minutes(4), move |_| {
        let Some((folder, pid)) = &*locked(&at) else { return };
        let mut command = std::process::Command::new(BINARY);
        let run = command.args(["status", "--state-dir", "state"]).current_dir(folder).output();
        let output = run.expect("it runs");
        *locked(&asked) = Some(String::from_utf8_lossy(&output.stdout).into_owned());
        signal(*pid, "TERM");
    });
    let config = story.config("act");
    let clock = TestClock::start(story.stage.time.clone(), Box::new(story.days));
    let neap = Neap::on(BINARY, &config, &clock);
    let running = neap.start(&clock);
    *locked(&folder) = Some((neap.folder().to_path_buf(), running.pid()));
    ends_well(&running);
    let told = locked(&told).clone().unwrap_or_default();
    let line = format!("groups cannot be looked for in aws/{FAR} since {START}");
    assert!(told.contains(&line) && told.contains("none of its groups is known"), "{told}");
    assert!(told.contains("\nweb "), "{told}");
}

#[test]
fn a_place_that_never_answered_is_told_to_whoever_probes() {
    let config = format!(
        "mode = \"observe\"\npoll_interval = \"2s\"\n[provider.aws]\nkind = \"aws\"\n\
         regions = [\"{REGION}\"]\nendpoint_url = \"http://127.0.0.1:1\"\n{TEMPLATE}\n[page]\n{LISTEN}"
    );
    let served = Served::start(Neap::new(BINARY, &config));
    let line = format!("groups cannot be looked for in aws/{REGION} since ");
    let told = until("the place is named", || {
        let told = served.get("/readyz");
        assert_eq!(told.status, 200, "nobody gains by starting it anew: {}", told.body);
        told.body.contains(&line).then_some(told.body)
    });
    assert!(told.contains("none of its groups is known"), "{told}");
    let metrics = served.get("/metrics").body;
    assert!(metrics.contains("neap_places_without_answer 1\n"), "{metrics}");
}
