//! How long the page's views take, and how heavy they are, over a month of a large fleet.

#[allow(dead_code, reason = "the policy is made from a configuration here")]
#[path = "../../journal/src/tests/made_fleet.rs"]
mod made_fleet;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::{self, Config};
use criterion::{Criterion, criterion_group, criterion_main};
use fleet::Seconds;
use journal::records::Explanation;
use journal::{CycleId, Journal, NewCycle, Options, SampleBatch, World};
use neap::clock::System;
use page::{Access, Board, Latest, Page, Site};
use report::Turn;

const SERVICES: usize = 2_000;
const DAYS: usize = 30;
/// A cycle a minute on the last day, and one every two hours before: a story is read from the
/// checkpoint of its day on, however long the journal is.
const SPARSE_MINUTES: usize = 120;
const MINUTES_A_DAY: usize = 1_440;

fn config(dir: &std::path::Path) -> Config {
    let mut text = String::from(
        "state_dir = \"state\"\n[provider.sim]\nkind = \"sim\"\n[page]\nlisten = \"127.0.0.1:0\"\n",
    );
    for service in 0..SERVICES {
        let name = made_fleet::name(service);
        write!(
            text,
            "[[service]]\nname = \"{name}\"\n\
             demand = [{{ from = \"sim\", namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", \
             stat = \"Sum\", dimensions = {{ LoadBalancer = \"app/{name}/1\" }} }}]\n\
             [[service.pool]]\nprovider = \"sim\"\ngroup = \"{name}-asg\"\ncapacity_per_unit = 40\n\
             lead_time = \"4m\"\nmin = 1\nmax = 400\n"
        )
        .expect("text takes text");
    }
    let path = dir.join("neap.toml");
    std::fs::write(&path, text).expect("room on the disk");
    neap::settings::load(&path).expect("a sound configuration")
}

/// A month in the journal, its last day on the board, and the page over both.
struct Run {
    _dir: tempfile::TempDir,
    page: Page,
    decisions: Decisions,
}

/// Where decisions and records are shown.
#[derive(Default)]
struct Decisions {
    /// Of the newest cycle that made any.
    newest: String,
    /// From the middle of a day of a cycle a minute.
    midday: String,
    /// From three weeks before.
    old: String,
    /// The record of the cycle at midday.
    record: String,
}

impl Run {
    fn new(runtime: &tokio::runtime::Runtime) -> Run {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = config(dir.path());
        let options = Options { reserve_bytes: 0, ..Options::default() };
        let opened = Journal::open(&dir.path().join("state"), World::Real, options);
        let journal = Arc::new(opened.expect("a new journal opens").0);
        let digest = journal.record_policy(&config.policy, "", made_fleet::START).expect("room");
        let board = Board::default();
        let policy = Arc::new(config.policy.clone());
        let capacity: BTreeMap<_, _> =
            config.policy.services.keys().map(|name| (name.clone(), 40.0)).collect();
        let mut memory = made_fleet::memory_at_start(SERVICES);
        let mut decisions = Decisions::default();
        let began = Instant::now();
        let last_day = (DAYS - 1) * MINUTES_A_DAY;
        let minutes = (0..last_day).step_by(SPARSE_MINUTES);
        for minute in minutes.chain(last_day..DAYS * MINUTES_A_DAY) {
            let turn = made_fleet::turn(SERVICES, minute);
            let known = (&*policy, &turn.memory);
            let stories = Explanation::of_actions(&turn.snapshot, &turn.plan, known);
            let cycle = NewCycle {
                policy: digest,
                planner_revision: planner::memory::REVISION,
                snapshot: &turn.snapshot,
                plan: &turn.plan,
                memory_before: &memory,
                memory_after: &turn.memory,
                stories: &stories,
            };
            let id: CycleId = journal.record_cycle(&cycle, &turn.samples).expect("room");
            memory = turn.memory;
            if let Some(action) = turn.plan.actions.first() {
                let href = format!("/decision/{id}/{}", action.service);
                if minute < MINUTES_A_DAY * 7 {
                    decisions.old.clone_from(&href);
                }
                if minute < last_day + MINUTES_A_DAY / 2 {
                    decisions.midday.clone_from(&href);
                    decisions.record = format!("/journal/{id}");
                }
                decisions.newest = href;
            }
            if minute >= last_day {
                let next = turn.snapshot.taken_at;
                let turn =
                    Turn { id, snapshot: turn.snapshot, plan: turn.plan, results: Vec::new() };
                board.cycle(Latest {
                    turn,
                    policy: Arc::clone(&policy),
                    capacity: capacity.clone(),
                    modes: BTreeMap::new(),
                    offers: BTreeMap::new(),
                    rule_offers: BTreeMap::new(),
                    money: report::money::Money::default(),
                    next,
                    took: Duration::ZERO,
                    ended: Instant::now(),
                    unresolved: 0,
                    calls: BTreeMap::new(),
                    metrics_read: BTreeMap::new(),
                    accounts: BTreeMap::new(),
                });
            }
        }
        println!("a month of {SERVICES} services written in {:?}", began.elapsed());
        println!("{} bytes on disk", journal.bytes().expect("its files are there"));
        let settings = config.page.expect("there is a page");
        let access = Access::open(&settings).expect("no secrets to read");
        let (asked, _) = tokio::sync::mpsc::channel(1);
        let site = Site::new(&journal, board, access, asked, Arc::new(System));
        let page = runtime.block_on(Page::open(&settings, site)).expect("a free port");
        Run { _dir: dir, page, decisions }
    }
}

/// A page's bytes.
fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the page is open");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("it listens");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    answer
}

fn views(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let run = Run::new(&runtime);
    let address = run.page.address().expect("it is open");
    let service = format!("/service/{}", made_fleet::name(7));
    let Decisions { newest, midday, old, record } = &run.decisions;
    let hour = |minute: usize, kind: &str| {
        let from = made_fleet::START + Seconds::minutes(minute as u64);
        format!("/journal?since={from}&until={}&kind={kind}", from + Seconds::hours(1))
    };
    let (last_week, midnight) = ((DAYS - 8) * MINUTES_A_DAY, (DAYS - 1) * MINUTES_A_DAY);
    let (older, hour, decided) =
        (hour(last_week, ""), hour(midnight, ""), hour(midnight, "decisions"));
    let views = [
        "/",
        "/?q=19&only=look",
        &service,
        newest,
        midday,
        old,
        record,
        "/journal",
        "/journal?kind=orders",
        &older,
        &hour,
        &decided,
    ];
    for view in views {
        let began = Instant::now();
        let bytes = get(address, view).len();
        println!("{view}: {bytes} bytes, first answer in {:?}", began.elapsed());
        criterion.bench_function(view, |bencher| bencher.iter(|| get(address, view)));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = views
}
criterion_main!(benches);
