//! A fleet whose cycles change as real ones do: new samples, forecasts and sizes, most of it as
//! before.

use std::collections::BTreeMap;

use fleet::metric::{MetricKey, Sample};
use fleet::{
    AccountId, Change, Fault, FaultKind, GroupId, Level, Place, ProviderName, Region, Seconds,
    ServiceName, Step, Timestamp, Units,
};
use planner::Milli;
use planner::memory::{
    Bucket, ChangeLog, Count, Growth, Highest, Memory, Proven, ServiceMemory, Slot,
};
use planner::plan::{Action, DecidedBy, Finding, Hold, Plan, Sizing, Trade, What};
use planner::policy::{Budgets, EventFloor, Mode, Policy, Share};
use planner::snapshot::{
    DemandPoint, DemandView, Disk, GroupView, KillSwitch, NoAnswer, NoForecast, Observation,
    Record, ReducedForecast, SignalsView, Snapshot, Undiscovered, Window,
};
use planner::stage::Promotion;

use super::SampleBatch;

/// 2026-03-02T00:00:00Z.
pub const START: Timestamp = Timestamp(1_772_409_600);

/// One cycle of a fleet.
pub struct Turn {
    pub snapshot: Snapshot,
    pub plan: Plan,
    pub memory: Memory,
    pub samples: Vec<SampleBatch>,
}

/// A number in [0, 1) that depends on its arguments alone.
fn noise(a: u64, b: u64, c: u64) -> f64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ c;
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    (x >> 11) as f64 / (1u64 << 53) as f64
}

/// Requests of a minute: a day's wave with noise, whole as a count is.
fn requests(service: usize, minute: i64) -> f64 {
    let phase = (minute % 1440) as f64 / 1440.0 * std::f64::consts::TAU;
    let size = 3_000.0 + 40_000.0 * noise(service as u64, 0, 1);
    let shape = 1.0 - 0.6 * phase.cos();
    (size * shape * (0.9 + 0.2 * noise(service as u64, minute as u64, 2))).round()
}

fn demand(service: usize, minute: i64) -> DemandPoint {
    DemandPoint {
        start: Timestamp(minute * 60),
        value: requests(service, minute) / 60.0,
        censored: false,
    }
}

pub fn name(service: usize) -> ServiceName {
    ServiceName::new(format!("service-{service:04}")).unwrap()
}

pub fn group_id(service: usize) -> GroupId {
    GroupId {
        provider: ProviderName::new("aws").unwrap(),
        account: AccountId::new("111122223333").unwrap(),
        region: Region::new("ap-southeast-1").unwrap(),
        id: format!(
            "arn:aws:autoscaling:ap-southeast-1:111122223333:autoScalingGroup:\
             6f3a1c{service:026x}:autoScalingGroupName/service-{service:04}-asg"
        ),
    }
}

pub fn policy(services: usize) -> Policy {
    Policy {
        mode: if services.is_multiple_of(2) { Mode::Observe } else { Mode::Act },
        poll_interval: Seconds(60),
        budgets: Budgets::default(),
        spend_ceiling_usd_milli_hourly: None,
        services: BTreeMap::new(),
        promotion: Promotion::default(),
    }
}

fn units(service: usize, minute: i64) -> u32 {
    // A size holds for ten minutes.
    (requests(service, minute - minute.rem_euclid(10)) / 60.0 / 40.0).ceil() as u32 + 1
}

fn group(service: usize, minute: i64) -> GroupView {
    let desired = Units(units(service, minute));
    let read_at = Timestamp(minute * 60 - (service % 3) as i64);
    GroupView {
        min: Units(2),
        max: Units(60),
        ..GroupView::at_rest(group_id(service), read_at, desired)
    }
}

fn window() -> Window {
    Window {
        sample_age: Seconds(180),
        poll_interval: Seconds(60),
        lead_time: Seconds(240),
        hold: Seconds(900),
    }
}

fn forecast(service: usize, minute: i64) -> ReducedForecast {
    let levels = [0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999];
    let base = requests(service, minute) / 60.0 * 1000.0;
    let spread = |lane: u64| -> Vec<Milli> {
        (1u64..)
            .zip(levels)
            .map(|(n, level)| {
                let wobble = noise(service as u64, minute as u64, 10 * lane + n);
                Milli::whole((base * (0.8 + 0.4 * level + 0.02 * n as f64 + 0.01 * wobble)) as u64)
            })
            .collect()
    };
    ReducedForecast {
        origin: Timestamp((minute - 3) * 60),
        levels: levels.iter().map(|level| Level::new(*level).unwrap()).collect(),
        lead_milli: spread(1),
        hold_milli: spread(2),
        next_milli: spread(3),
        model: "linear".to_string(),
        window: window(),
        recent_loss_milli: Milli::whole((base * noise(service as u64, minute as u64, 7)) as u64),
        last_value_loss_milli: Milli::whole(
            (base * noise(service as u64, minute as u64, 8)) as u64,
        ),
        record: Some(Record { covered_milli: 893, bias_milli: -(base as i64) / 9 }),
    }
}

fn sizing(service: usize, minute: i64) -> Sizing {
    let forecast = forecast(service, minute);
    let wanted = Units(units(service, minute));
    Sizing {
        demand_milli: Some(Milli::whole((demand(service, minute).value * 1000.0) as u64)),
        capacity_milli: Some(Milli::whole(40_000)),
        level: Some(forecast.levels[4]),
        sized_for_milli: Some(forecast.lead_milli[4]),
        needed_lead: Some(wanted),
        needed_hold: Some(wanted),
        needed_reactive: Some(Units(wanted.0.saturating_sub(1))),
        decided_by: DecidedBy::Forecast,
        wanted,
        trade: Some(Trade {
            units: wanted,
            violations_millionths: [11_000, 4_800, 1_900],
            unit_usd_micro_hourly: Some(96_000),
        }),
        window: window(),
    }
}

fn memory(service: usize, minute: i64) -> ServiceMemory {
    let mut memory = ServiceMemory { group: Some(group_id(service)), ..ServiceMemory::default() };
    memory.violations.counted = Some(Timestamp((minute - 3) * 60));
    for quarter in 0..=minute / 360 - START.0 / 21_600 {
        let intervals = (minute - START.0 / 60 - quarter * 360).clamp(0, 360) as u32;
        let violations = intervals / 200;
        let place = u32::try_from(quarter).unwrap() + 82_000;
        memory.violations.quarters.push((place, Count { intervals, violations }));
    }
    memory.calibration.depth_micro =
        Some(4_000_000 + (minute - START.0 / 60) * 37 + service as i64);
    memory.calibration.headroom_micro = Some(1_000_000 + service as i64);
    let since = Timestamp((minute - minute.rem_euclid(10)) * 60);
    let entries = vec![(since, Units(units(service, minute)))];
    memory.in_service = ChangeLog { entries: entries.clone() };
    memory.ordered = ChangeLog { entries };
    memory.removals = Bucket { used_milli: service as u64, at: since };
    memory.lead_times = vec![181, 195, 202, 240];
    memory.last_trusted = Some(Units(units(service, minute)));
    memory.proven = proven(service, minute);
    memory.growth = growth(service, minute);
    memory.doubt.settled_at = (minute % 7 == 0).then(|| Timestamp(minute * 60));
    memory
}

/// What four days leave behind, as the planner keeps it.
fn proven(service: usize, minute: i64) -> Proven {
    let most = |from: i64, length: usize| {
        let minutes = (from..=minute).take(length);
        Units(minutes.map(|minute| units(service, minute)).max().unwrap_or_default())
    };
    let (newest, half) = (minute / 5, minute / 30);
    let number = |number: i64| u32::try_from(number).unwrap();
    let slot = |slot: i64| {
        let most = most(5 * slot, 5).into();
        (number(slot), Slot { most, vouched: most })
    };
    let lately = (newest - 59..=newest).map(slot).collect();
    let days = (half - 191..=half).map(|half| (number(half), most(30 * half, 30).into())).collect();
    Proven {
        newest: number(newest),
        lately,
        days,
        unbudgeted: Units(service as u32 % 3),
        fell: None,
    }
}

/// The highest demand lately, by the hour.
fn growth(service: usize, minute: i64) -> Growth {
    let hour = minute - minute.rem_euclid(60);
    let most = |hour: i64| {
        let all = (hour..hour + 60).map(|minute| requests(service, minute));
        Milli::whole((all.fold(0.0, f64::max) * 1000.0) as u64)
    };
    let since = Timestamp(hour * 60);
    let highest = Highest { now_milli: most(hour), before_milli: most(hour - 60), since };
    Growth { highest: Some(highest), ..Growth::default() }
}

fn samples(service: usize, minute: i64) -> Vec<SampleBatch> {
    let key = |metric: &str| {
        MetricKey(format!(
            "aws/111122223333/ap-southeast-1/AWS/ApplicationELB/{metric}/60/\
             LoadBalancer=app/service-{service:04}/50dc6c495c0c9188"
        ))
    };
    let at = |start: i64, value: f64| Sample { start: Timestamp(start * 60), value };
    let seen_at = Timestamp(minute * 60);
    // A new point, and one that was corrected now and then.
    let mut counts = vec![at(minute - 1, requests(service, minute - 1))];
    if noise(service as u64, minute as u64, 4) < 0.3 {
        counts.insert(0, at(minute - 2, requests(service, minute - 2) + 17.0));
    }
    let utilisation = 40.0 + 30.0 * noise(service as u64, minute as u64, 5);
    vec![
        SampleBatch { metric: key("RequestCount/Sum"), seen_at, samples: counts },
        SampleBatch {
            metric: key("CPUUtilization/Average"),
            seen_at,
            samples: vec![at(minute - 1, utilisation)],
        },
    ]
}

/// The memory before the first cycle.
pub fn memory_at_start(services: usize) -> Memory {
    memory_of(services, START.0 / 60 - 1)
}

fn memory_of(services: usize, minute: i64) -> Memory {
    let mut all = Memory::default();
    all.fleet.removals = Bucket { used_milli: 7, at: Timestamp(minute * 60) };
    all.services = (0..services).map(|n| (name(n), memory(n, minute))).collect();
    all
}

fn observation(service: usize, minute: i64) -> Observation {
    let is_new = service % 50 == 49;
    Observation {
        group: Ok(group(service, minute)),
        demand: DemandView {
            step: Step::MINUTE,
            settled: Some(demand(service, minute - 3)),
            provisional: vec![demand(service, minute - 2), demand(service, minute - 1)],
            newly_settled: vec![demand(service, minute - 3)],
            fastest_rise: 10.0 + 5.0 * noise(service as u64, (minute / 30) as u64, 6),
            recent_low: Some(80.0 + 5.0 * noise(service as u64, (minute / 30) as u64, 7)),
            missing: Share::NONE,
            fault: None,
            utilisation: Some(0.4 + 0.3 * noise(service as u64, minute as u64, 5)),
            settling: Seconds(120),
        },
        forecast: if is_new {
            Err(NoForecast::TooLittleHistory { have: 7, need: 288 })
        } else {
            Ok(forecast(service, minute))
        },
        signals: SignalsView::default(),
        outcomes: Vec::new(),
        lead_times: Vec::new(),
        past: Vec::new(),
        launched: Vec::new(),
        hours: Vec::new(),
    }
}

/// A sale that begins in an hour.
fn sale(at: Timestamp) -> EventFloor {
    EventFloor {
        name: "11.11".to_owned(),
        services: vec![name(0)],
        floor: Units(40),
        from: at + Seconds::hours(1),
        until: at + Seconds::hours(25),
    }
}

/// A region that gives no answer.
fn silent(since: Timestamp) -> Undiscovered {
    let GroupId { provider, account, region, .. } = group_id(0);
    let (operation, detail) = ("ListGroups".to_owned(), "too many".to_owned());
    let fault = Fault { kind: FaultKind::TimedOut, operation, detail, request_id: None };
    let why = NoAnswer { fault, since, known_at: None };
    BTreeMap::from([(Place { provider, account, region }, why)])
}

/// The cycle number `cycle`, a minute each.
pub fn turn(services: usize, cycle: usize) -> Turn {
    let minute = START.0 / 60 + cycle as i64;
    let taken_at = Timestamp(minute * 60);
    let mut plan = Plan::default();
    for service in 0..services {
        let (from, to) = (units(service, minute - 1), units(service, minute));
        if to > from {
            plan.actions.push(Action {
                service: name(service),
                group: group_id(service),
                change: Change::Desired { from: Units(from), to: Units(to) },
                sizing: sizing(service, minute),
                dry_run: false,
            });
        }
        plan.findings.push(Finding {
            service: Some(name(service)),
            what: What::Held,
            hold: Hold::RightSize,
            sizing: Some(sizing(service, minute)),
        });
    }
    let seen = |service| (name(service), observation(service, minute));
    Turn {
        snapshot: Snapshot {
            taken_at,
            kill_switch: KillSwitch::Clear,
            freezes: Vec::new(),
            floors: if cycle % 3 == 1 { vec![sale(taken_at)] } else { Vec::new() },
            disk: Disk::Ample,
            acknowledged: Vec::new(),
            undiscovered: if cycle % 4 < 2 { BTreeMap::new() } else { silent(taken_at) },
            requests: Vec::new(),
            services: (0..services).map(seen).collect(),
        },
        plan,
        memory: memory_of(services, minute),
        samples: (0..services).flat_map(|service| samples(service, minute)).collect(),
    }
}
