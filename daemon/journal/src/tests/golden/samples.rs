//! Samples of what the journal encodes by itself: the parts of a cycle, metrics and usage.

use fleet::group::{Process, ServingSign, WarmPool};
use fleet::metric::{MetricKey, Sample};
use fleet::usage::{Code, Day, Signal};
use fleet::{Level, Step};
use planner::Milli;
use planner::memory::{Doubt, Fell, Growth, Proven, ServiceMemory, Serving, Slot};
use planner::plan::{Action, DecidedBy, Finding, Hold, Sizing, What};
use planner::policy::{ActiveFreeze, EventFloor, FreezeScope, Share};
use planner::snapshot::{
    Aside, DemandView, GroupView, Hours, KillSwitch, Launched, Observation, OrderOutcome,
    PastInterval, Record, ReducedForecast, SignalsView, Trend, Undiscovered,
};
use planner::stage::{Stage, StageAsk, StageMemory, StageRequest, Stages, Why};

use super::super::super::dictionary::Dictionary;
use super::super::super::mirror::{Patch, put_behind, read_behind};
use super::super::super::{pack, samples, usage};
use super::*;

pub(super) fn observation() -> Observation {
    let group = GroupView {
        read_at: at(50),
        refresh: None,
        policies: Vec::new(),
        scheduled: Vec::new(),
        owner: None,
        newest_foreign_activity: None,
        ..group_view()
    };
    let demand = DemandView {
        step: Step::MINUTE,
        settled: Some(point(1)),
        provisional: vec![point(2)],
        newly_settled: vec![point(3)],
        fastest_rise: 1.5,
        recent_low: Some(2.5),
        missing: Share::percent(5),
        fault: None,
        utilisation: Some(0.75),
        settling: Seconds(6),
    };
    let forecast = ReducedForecast {
        origin: at(1),
        levels: vec![Level::new(0.5).unwrap(), Level::new(0.9).unwrap()],
        lead_milli: [100, 200].map(Milli::whole).into(),
        hold_milli: [300, 500].map(Milli::whole).into(),
        next_milli: [50, 60].map(Milli::whole).into(),
        model: text("model"),
        window: window(),
        recent_loss_milli: Milli::whole(7),
        last_value_loss_milli: Milli::whole(8),
        record: Some(Record { covered_milli: 900, bias_milli: -10 }),
    };
    let applied = OrderOutcome {
        decision: text("decision"),
        at: at(7),
        change: desired(),
        result: OrderResult::Applied,
    };
    Observation {
        group: Ok(group),
        demand,
        forecast: Ok(forecast),
        signals: SignalsView { errors: Trend::Usual, healthy_hosts: Trend::Worse },
        outcomes: vec![applied],
        lead_times: vec![Seconds(200)],
        past: Vec::new(),
        launched: vec![Launched { took: Seconds(500), told_by: ServingSign::Targets, warm: true }],
        hours: Vec::new(),
    }
}

fn sizing() -> Sizing {
    Sizing {
        demand_milli: Some(Milli::whole(1)),
        capacity_milli: Some(Milli::whole(2)),
        level: None,
        sized_for_milli: Some(Milli::whole(3)),
        needed_lead: Some(Units(4)),
        needed_hold: Some(Units(5)),
        needed_reactive: Some(Units(6)),
        decided_by: DecidedBy::LastTrusted,
        wanted: Units(7),
        trade: None,
        window: window(),
    }
}

pub(super) fn action() -> Action {
    Action {
        service: service(),
        group: group(),
        change: desired(),
        sizing: sizing(),
        dry_run: true,
    }
}

pub(super) fn finding(service: Option<ServiceName>) -> Finding {
    Finding { service, what: What::Noted, hold: Hold::Provisional, sizing: None }
}

pub(super) fn stage() -> StageMemory {
    StageMemory {
        stage: Stage::Promoted,
        since: at(1),
        why: Why::Demoted { by: text("by") },
        shrank_at: Some(at(2)),
        regretted: 3,
    }
}

pub(super) fn request() -> StageRequest {
    StageRequest { by: text("by"), at: at(1), ask: StageAsk::DemoteAll }
}

fn snapshot() -> Snapshot {
    Snapshot {
        taken_at: at(60),
        kill_switch: KillSwitch::Thrown { why: told("kill switch") },
        freezes: vec![ActiveFreeze {
            name: text("freeze"),
            scope: FreezeScope::All,
            services: vec![service()],
            until: at(61),
        }],
        floors: vec![EventFloor {
            name: text("event"),
            services: vec![service()],
            floor: Units(9),
            from: at(62),
            until: at(63),
        }],
        disk: Disk::ReserveOnly,
        acknowledged: vec![service()],
        services: [(service(), observation())].into(),
        requests: vec![request()],
        undiscovered: Undiscovered::new(),
    }
}

/// What its past vouches for and how it grew, and nothing else.
pub(super) fn service_memory() -> ServiceMemory {
    let slot = Slot { most: Units(2).into(), vouched: Units(3).into() };
    let proven = Proven {
        newest: 1,
        lately: [(0, slot)].into_iter().collect(),
        days: [(0, Units(4).into())].into_iter().collect(),
        unbudgeted: Units(6),
        fell: Some(Fell { at: Timestamp(7), back_at_milli: Milli::whole(8) }),
    };
    let growth = Growth { step: Some(Units(9)), surplus: Units(10), ..Growth::default() };
    let doubt = Doubt { settled_at: Some(at(11)), ..Doubt::default() };
    let serving = Serving { cold: vec![480], warm: vec![60], told_by: ServingSign::Targets };
    ServiceMemory { proven, growth, doubt, serving, ..ServiceMemory::default() }
}

/// The first cycle of a journal, whose record tells every part that there is.
pub(super) fn cycle(golden: &mut Golden) {
    let plan =
        Plan { actions: vec![action()], findings: vec![finding(Some(service())), finding(None)] };
    let mut memory = Memory::default();
    memory.services.insert(service(), service_memory());
    memory.stages = Stages {
        all: Some(stage()),
        services: [(service(), stage())].into(),
        rules: [(fleet::RuleName(text("rule")), stage())].into(),
    };
    let patch: Patch = Mirror::default().advance(&snapshot(), &plan, &memory);
    type Fields = (Vec<ServiceName>, u32, Vec<u8>, u32, Vec<u8>);
    let bytes = postcard::to_stdvec(&patch).unwrap();
    let (new, list_length, list, length, packed): Fields = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(new, [service()]);
    // How the packing spells it may differ from one version of zstd to the next.
    let list = pack::unpack(&[], &list, list_length.into()).unwrap();
    golden.bytes("a cycle's list of parts", &list);
    golden.bytes("a cycle's parts", &pack::unpack(&[], &packed, length.into()).unwrap());
    let mut mirror = Mirror::default();
    mirror.follow(&patch).unwrap();
    let back = mirror.reflect().unwrap();
    assert_eq!((back.snapshot, back.plan, back.memory), (snapshot(), plan, memory));
}

/// What parts got since stands behind them, and nowhere where there is nothing.
pub(super) fn behind(golden: &mut Golden) {
    let (plan, memory) = (Plan::default(), Memory::default());
    let parts_of = |snapshot: &Snapshot| {
        let patch = Mirror::default().advance(snapshot, &plan, &memory);
        let mut mirror = Mirror::default();
        mirror.follow(&patch).unwrap();
        assert_eq!(&mirror.reflect().unwrap().snapshot, snapshot);
        let bytes = postcard::to_stdvec(&patch).unwrap();
        let (_, _, _, length, packed): (Vec<ServiceName>, u32, Vec<u8>, u32, Vec<u8>) =
            postcard::from_bytes(&bytes).unwrap();
        pack::unpack(&[], &packed, length.into()).unwrap()
    };
    let without = parts_of(&snapshot());
    let mut with = snapshot();
    let seen = with.services.get_mut(&service()).unwrap();
    let (from, until) = (at(70), at(71));
    seen.hours =
        vec![Hours { at: text("hours"), from, until, min: Some(Units(1)), max: Some(Units(2)) }];
    seen.group.as_mut().unwrap().aside = Aside {
        suspended: [Process::AlarmNotification, Process::Other(text("process"))].into(),
        deploying_since: Some(at(72)),
        launch_failed: Some(text("launch failed")),
        machines: Some(3),
        buys_spot: true,
        warm_pool: Some(WarmPool { min: 4, size: Some(5), state: text("warm") }),
    };
    let with = parts_of(&with);
    assert!(with.len() > without.len());
    golden.bytes("a cycle's parts with what stands behind them", &with);
}

/// What the past told stands behind the demand, where it told anything.
pub(super) fn past(golden: &mut Golden) {
    let demand = observation().demand;
    let told = vec![PastInterval {
        start: at(0),
        demand_milli: Milli::whole(300_000),
        utilisation_milli: 550,
        units: Units(6),
    }];
    let part = |past: &Vec<PastInterval>| {
        let mut bytes = postcard::to_stdvec(&demand).unwrap();
        put_behind(&mut bytes, past);
        bytes
    };
    assert_eq!(part(&Vec::new()), postcard::to_stdvec(&demand).unwrap());
    golden.bytes("a demand's part with a past", &part(&told));
    for past in [told, Vec::new()] {
        assert_eq!(read_behind(&part(&past)).unwrap(), (demand.clone(), past));
    }
}

pub(super) fn metrics(golden: &mut Golden) {
    let sample = |start: i64, value: f64| Sample { start: at(start), value };
    let batch = |metric: &str, samples: Vec<Sample>| SampleBatch {
        metric: MetricKey(text(metric)),
        seen_at: at(200),
        samples,
    };
    let batches = [
        batch("whole", vec![sample(0, 12.0), sample(60, 0.0)]),
        batch("single", vec![sample(0, 0.5)]),
        batch("double", vec![sample(60, 0.1), sample(0, -0.0)]),
    ];
    let body = samples::encode(&mut Dictionary::default(), &batches);
    golden.bytes("samples", &fold::unwrap(&body).unwrap());
    assert_eq!(samples::decode(&mut Dictionary::default(), &body).unwrap(), batches);
}

pub(super) fn usage(golden: &mut Golden) {
    let day = |signal: Signal, day: i64| {
        let mut hours = Day::EMPTY;
        hours.set(3, Code::from_raw(700));
        hours.set(23, Code::from_raw(2047));
        UsageDay { resource: resource_id(), signal, day, hours }
    };
    let days: Vec<UsageDay> = (20_000..).zip(Signal::ALL).map(|(n, s)| day(s, n)).collect();
    let body = usage::encode(&mut usage::UsageSoFar::default(), &days);
    golden.bytes("usage", &fold::unwrap(&body).unwrap());
    assert_eq!(usage::decode(&mut usage::UsageSoFar::default(), &body).unwrap(), days);
}
