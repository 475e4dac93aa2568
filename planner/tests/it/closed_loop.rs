//! The planner against a small simulated group: what it orders, boots, serves and is measured
//! again. Whatever sensor, boot and capacity error there is, orders settle near what is needed.

use fleet::{Change, Seconds, Step, Timestamp, Units};
use planner::Memory;
use planner::demand::{Assembly, Member};
use planner::plan::{Hold, Plan};
use planner::policy::{Budgets, CapacityPerUnit, Policy};
use planner::snapshot::{DemandPoint, DemandView, NoForecast, OrderOutcome, OrderResult, Snapshot};

use crate::world::{self, World, forecast, name};

/// Utilisation from which the daemon marks a sample as a lower bound.
const FULL: f64 = 0.9;

/// What measures utilisation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sensor {
    /// The truth, within a hundredth.
    Honest,
    /// The same number whatever happens.
    Stuck(f64),
    /// None.
    Absent,
}

/// A load on a group of which the planner knows what a source would tell it.
#[derive(Clone, Debug)]
struct Case {
    /// Demand from the beginning, and from the hundredth minute on.
    before: f64,
    after: f64,
    /// What a unit carries, and what the configuration says of it.
    carries: f64,
    given: CapacityPerUnit,
    units: u32,
    boot: i64,
    /// Minutes until a sample can be read.
    late: i64,
    sensor: Sensor,
    /// What is measured is what is served, not what is offered.
    served: bool,
    /// A forecast is there, and demand was seen for an hour before.
    history: bool,
    /// A sample that is wrong: its minute and value.
    absurd: Vec<(i64, f64)>,
    /// The minute in which demand changes.
    change: i64,
    minutes: i64,
}

impl Case {
    fn flat(demand: f64, units: u32, carries: f64, given: f64) -> Case {
        Case {
            before: demand,
            after: demand,
            carries,
            given: CapacityPerUnit::Given(given),
            units,
            boot: 4,
            late: 2,
            sensor: Sensor::Honest,
            served: false,
            history: false,
            absurd: Vec::new(),
            change: 100,
            minutes: 400,
        }
    }

    fn offered(&self, minute: i64) -> f64 {
        // A little uneven, as all loads are.
        let base = if minute < self.change { self.before } else { self.after };
        base * (1.0 + 0.005 * (minute.rem_euclid(5) - 2) as f64 / 2.0)
    }
}

/// What came of a case.
#[derive(Debug)]
struct Run {
    /// Units ordered at the end of each minute.
    ordered: Vec<u32>,
    /// Units in service in each minute.
    served: Vec<u32>,
    plans: Vec<Plan>,
    memory: Memory,
}

impl Run {
    fn most(&self) -> u32 {
        self.ordered.iter().copied().max().unwrap_or(0)
    }

    /// The first minute from `from` on with enough in service.
    fn reached(&self, from: i64, units: u32) -> Option<i64> {
        let served = self.served.iter().enumerate().skip(from as usize);
        served.filter(|(_, n)| **n >= units).map(|(i, _)| i as i64).next()
    }

    fn said(&self, hold: impl Fn(&Hold) -> bool) -> bool {
        self.plans.iter().flat_map(|plan| &plan.findings).any(|finding| hold(&finding.hold))
    }

    /// The spread of the orders of the last hour.
    fn unrest(&self) -> u32 {
        let last = &self.ordered[self.ordered.len() - 60..];
        last.iter().max().unwrap() - last.iter().min().unwrap()
    }
}

/// What decides: from what is seen, how many units to have.
type Decide<'a> = dyn FnMut(&Policy, &Snapshot, &mut Memory) -> (Plan, Option<Change>) + 'a;

fn ours(policy: &Policy, snapshot: &Snapshot, memory: &mut Memory) -> (Plan, Option<Change>) {
    let (plan, next) = planner::plan(policy, snapshot, memory);
    let wrong = planner::check_plan(policy, snapshot, memory, &plan);
    assert!(wrong.is_empty(), "{wrong:?}\n{plan:#?}");
    *memory = next;
    let change = plan.actions.first().map(|action| action.change);
    (plan, change)
}

fn run(case: &Case) -> Run {
    play(case, &mut ours)
}

fn play(case: &Case, decide: &mut Decide<'_>) -> Run {
    let mut world = World::new();
    world.policy.budgets = Budgets::default();
    world.pool().capacity_per_unit = case.given;
    world.pool().lead_time = Seconds(case.boot as u64 * 60);
    world.pool().max = Some(Units(5_000));
    world.view().max = Units(5_000);
    let start = Timestamp::parse(world::START).unwrap();
    let at = |minute: i64| Timestamp(start.0 + minute * 60);
    // The minute from which each unit serves.
    let mut ready: Vec<i64> = vec![-10_000; case.units as usize];
    let mut desired = case.units;
    let mut points: Vec<DemandPoint> = Vec::new();
    let mut utilisations: Vec<(Timestamp, f64)> = Vec::new();
    let mut measure = |minute: i64, there: u32, points: &mut Vec<DemandPoint>| {
        let offered = case.offered(minute);
        let room = f64::from(there) * case.carries;
        let noise = 1.0 + 0.01 * (minute.rem_euclid(7) - 3) as f64 / 3.0;
        let utilisation = match case.sensor {
            Sensor::Honest => Some((offered / room.max(1e-9) * noise).min(1.0)),
            Sensor::Stuck(value) => Some(value),
            Sensor::Absent => None,
        };
        let value = if case.served { offered.min(room) } else { offered };
        let wrong = case.absurd.iter().find(|(when, _)| *when == minute);
        let value = wrong.map_or(value, |(_, wrong)| *wrong);
        let censored = utilisation.is_some_and(|u| u >= FULL);
        points.push(DemandPoint { start: at(minute), value, censored });
        utilisations.extend(utilisation.map(|u| (at(minute), u)));
        utilisations.clone()
    };
    let earliest = if case.history { -60 } else { -case.late };
    let mut known = Vec::new();
    for minute in earliest..0 {
        known = measure(minute, case.units, &mut points);
    }
    let (mut ordered, mut served, mut plans) = (Vec::new(), Vec::new(), Vec::new());
    let mut outcomes = Vec::new();
    for minute in 0..case.minutes {
        let now = at(minute);
        let there = ready.iter().filter(|ready| **ready <= minute).count() as u32;
        world.snapshot.taken_at = now;
        let view = world.view();
        (view.desired, view.in_service) = (Units(desired), Units(there));
        view.pending = Units(ready.len() as u32 - there);
        view.read_at = now;
        let shown: Vec<DemandPoint> = points
            .iter()
            .filter(|p| p.start + Seconds(60 * case.late as u64) <= now)
            .copied()
            .collect();
        let counted = world.memory.services.get(&name("web")).and_then(|m| m.violations.counted);
        let mut how = Assembly {
            taken_at: now,
            step: Step::MINUTE,
            settling: Seconds(120),
            lead: Seconds(60 * (case.boot + case.late + 1) as u64),
            counted,
            fixed_capacity: 0.0,
            utilisation: None,
        };
        let recent = &shown[shown.len().saturating_sub(120)..];
        let members = [Member { points: recent, fault: None, parts: &[] }];
        let settled = DemandView::from_members(&members, &how).settled;
        how.utilisation = settled
            .and_then(|point| known.iter().find(|(at, _)| *at == point.start))
            .map(|(_, utilisation)| *utilisation);
        let seen = world.seen("web");
        seen.demand = DemandView::from_members(&members, &how);
        seen.forecast = match settled {
            // A lone sample beyond all others is left out of what is forecast from.
            Some(point) if case.history => {
                Ok(forecast(now, point.value.min(1e4), point.value.min(1e4)))
            }
            _ => Err(NoForecast::TooLittleHistory { have: 30, need: 288 }),
        };
        seen.outcomes = std::mem::take(&mut outcomes);
        let (plan, change) = decide(&world.policy, &world.snapshot, &mut world.memory);
        if let Some(change) = change {
            let to = change.to().0;
            while (ready.len() as u32) < to {
                ready.push(minute + case.boot);
            }
            ready.truncate(to as usize);
            desired = to;
            outcomes.push(OrderOutcome {
                decision: format!("{minute}/web"),
                at: now,
                change,
                result: OrderResult::Applied,
            });
        }
        ordered.push(desired);
        served.push(there);
        plans.push(plan);
        let there = ready.iter().filter(|ready| **ready <= minute).count() as u32;
        known = measure(minute, there, &mut points);
    }
    Run { ordered, served, plans, memory: world.memory }
}

/// The rule of before: each full sample multiplies what demand and its rise ask for, whatever is
/// on its way. It only grows here: what counts is how soon it has enough.
fn before(case: &Case) -> Run {
    let CapacityPerUnit::Given(given) = case.given else { panic!("a given capacity") };
    let (mut count, mut newest) = (0u32, None);
    play(case, &mut |_, snapshot, _| {
        let seen = &snapshot.services[&name("web")];
        let demand = &seen.demand;
        let point = demand.provisional.last().or(demand.settled.as_ref()).copied();
        match point {
            Some(point) if point.censored && newest != Some(point.start) => {
                (count, newest) = (count + 1, Some(point.start));
            }
            Some(point) if point.censored => {}
            _ => count = 0,
        }
        let now = demand.settled.iter().chain(&demand.provisional).map(|p| p.value);
        let rise = if case.history { 0.0 } else { demand.fastest_rise };
        let asked = (now.fold(0.0, f64::max) + rise) * 1.5f64.powi(count.min(6) as i32);
        let from = seen.group.as_ref().unwrap().desired;
        let to = Units((asked / given).ceil() as u32).min(Units(5_000));
        (Plan::default(), (to > from).then_some(Change::Desired { from, to }))
    })
}

/// What is needed in hindsight: for what a unit carries, and for what it is said to.
fn need(case: &Case) -> u32 {
    let CapacityPerUnit::Given(given) = case.given else { panic!("a given capacity") };
    let most = case.offered(case.change + 4).max(case.before);
    (most / case.carries.min(given)).ceil() as u32
}

fn needed_by_given(case: &Case) -> u32 {
    let CapacityPerUnit::Given(given) = case.given else { panic!("a given capacity") };
    (case.offered(case.change + 4) / given).ceil() as u32
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }
}

fn any_case(seed: u64) -> Case {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1);
    for _ in 0..3 {
        dice.next();
    }
    let carries = dice.between(5.0, 200.0);
    let after = carries * dice.between(4.0, 80.0);
    let given = carries * 2f64.powf(dice.between(-1.0, 1.0));
    let overload = dice.between(1.0, 3.0);
    let step_up = dice.next() < 0.5;
    let before = if step_up { after / overload } else { after };
    // Long before, so that what a unit carries was seen, or soon after the start.
    let change = if dice.next() < 0.5 { 100 } else { 8 };
    let enough = (before / carries.min(given)).ceil();
    let enough = if step_up { (enough / 0.85).ceil() } else { enough };
    let units = if step_up { enough } else { (enough / overload).ceil() };
    let sensor = match dice.between(0.0, 10.0) {
        0.0..6.0 => Sensor::Honest,
        6.0..7.0 => Sensor::Stuck(1.0),
        7.0..8.5 => Sensor::Stuck(dice.next()),
        _ => Sensor::Absent,
    };
    let boot = dice.between(1.0, 15.99) as i64;
    Case {
        before,
        boot,
        sensor,
        late: dice.between(1.0, 3.99) as i64,
        served: dice.next() < 0.2,
        history: dice.next() < 0.5,
        change,
        // Beyond the hours after which the past may vouch for a smaller size.
        minutes: change + 480 + 12 * boot,
        ..Case { after, ..Case::flat(after, units as u32, carries, given) }
    }
}

#[test]
fn orders_settle_near_what_is_needed_and_as_soon_as_before() {
    let mut wrong = Vec::new();
    for seed in 0..1000 {
        let case = any_case(seed);
        let run = run(&case);
        let (most, needed) = (run.most(), need(&case));
        let told = format!("seed {seed}: {needed} needed, {most} ordered at most, {case:?}");
        // Half as many again as were needed; a unit is rounded up, and noise is three in a hundred.
        // What a sensor that is stuck says is tried until units have doubled.
        let factor = match (case.sensor, case.served) {
            (Sensor::Stuck(value), _) if value >= FULL => 2.5,
            (_, true) => 1.65,
            (_, false) => 1.5 * 1.03,
        };
        let began = f64::from(case.units);
        let bound = (factor * f64::from(needed)).ceil().max(began);
        if f64::from(most) > bound {
            wrong.push(format!("beyond {bound}: {told}"));
        }
        if run.unrest() > 2 + needed / 10 {
            wrong.push(format!("moves by {} in the last hour: {told}", run.unrest()));
        }
        // As soon as before, and a sample later where the first is to be confirmed. Where a unit
        // carries far less than given, each step waits until the one before it has been measured.
        let enough = (case.offered(case.change + 4) / case.carries).ceil() as u32;
        let from = if case.before < case.after { case.change } else { 0 };
        let blind = match case.sensor {
            Sensor::Stuck(value) => value < FULL,
            _ => case.sensor == Sensor::Absent,
        };
        // Before demand changes the old rule may have driven the size up already.
        let before = self::before(&case).reached(from, enough);
        let before =
            before.map(|at| if from > 0 { at.max(from + case.boot + case.late) } else { at });
        let reached = run.reached(from, enough);
        let steps = match case.given {
            _ if case.served => 3,
            CapacityPerUnit::Given(given) if given > 1.4 * case.carries => 1,
            // What was tried for a stuck sensor before is not tried again.
            CapacityPerUnit::Given(given)
                if given > case.carries && case.sensor != Sensor::Honest =>
            {
                1
            }
            _ => 0,
        };
        let later = 3 + steps * (case.boot + case.late + 6);
        match (reached, before) {
            // Nothing tells that the capacity given is too high, or that demand is held back.
            _ if blind && (case.served || enough > needed_by_given(&case)) => {}
            (Some(reached), Some(before)) if reached <= before + later => {}
            (_, Some(before)) => {
                wrong.push(format!("reached at {reached:?}, before at {before}: {told}"));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_on_its_way_is_not_multiplied() {
    for (demand, boot, late) in [(520.0, 4, 2), (520.0, 9, 3), (700.0, 15, 2), (900.0, 1, 1)] {
        for history in [false, true] {
            let case =
                Case { after: demand, boot, late, history, ..Case::flat(300.0, 10, 50.0, 40.0) };
            let (run, needed) = (run(&case), need(&case));
            assert!(run.most() <= needed * 3 / 2 + 1, "{} of {needed}: {case:?}", run.most());
            assert!(run.reached(100, needed).is_some_and(|at| at <= 100 + boot + late + 2));
        }
    }
}

#[test]
fn a_flat_load_settles_though_the_capacity_given_is_not_quite_right() {
    for (error, boot) in [(0.975, 3), (0.975, 12), (1.05, 3), (1.2, 5), (1.6, 2), (0.7, 4)] {
        for history in [false, true] {
            let case = Case { boot, history, ..Case::flat(800.0, 22, 40.0, 40.0 * error) };
            let (run, needed) = (run(&case), need(&case));
            assert!(run.most() <= (needed * 3 / 2).max(24), "{} of {needed}: {case:?}", run.most());
            assert!(run.unrest() <= 1, "{:?}: {case:?}", run.ordered);
        }
    }
    let run = run(&Case { boot: 3, ..Case::flat(800.0, 22, 40.0, 39.0) });
    assert_eq!((run.most(), run.ordered.last()), (23, Some(&23)));
    assert!(run.said(|hold| {
        matches!(hold, Hold::FullBelow { given_milli, .. } if given_milli.to_string() == "39")
    }));
}

#[test]
fn a_sample_that_nothing_confirms_buys_one_step_and_is_given_back() {
    for value in [5e3, 5e4, 1e6, 1e9] {
        for (history, absurd) in [
            (false, vec![(100, value)]),
            (true, vec![(100, value)]),
            (true, vec![(100, value), (130, value)]),
        ] {
            let last = absurd.last().unwrap().0 as usize;
            let sensor = Sensor::Absent;
            let case = Case { history, absurd, sensor, ..Case::flat(600.0, 20, 40.0, 40.0) };
            let run = run(&case);
            let before = run.ordered[99];
            assert!(run.most() <= 2 * before.max(run.ordered[last - 1]), "{:?}", run.ordered);
            assert!(run.said(|hold| matches!(hold, Hold::Unconfirmed { .. })));
            // As far as a wait of its own takes, and no further by the budgets that all share.
            let after = run.ordered[last + 30];
            assert!(after <= before + 1, "{before}, then {after}: {:?}", &run.ordered[95..]);
        }
    }
}

#[test]
fn a_sensor_that_is_stuck_is_named_and_multiplies_no_more() {
    for value in [1.0, 0.97, 0.92] {
        for (units, boot) in [(10, 1), (10, 4), (8, 15), (30, 4)] {
            for history in [false, true] {
                let sensor = Sensor::Stuck(value);
                let case = Case { sensor, boot, history, ..Case::flat(300.0, units, 50.0, 40.0) };
                let run = run(&case);
                let bound = 17.max(units + units / 8 + 1);
                assert!(run.most() <= bound, "{}: {case:?}", run.most());
                assert_eq!(run.unrest(), 0, "{case:?}");
                let named = run.said(|hold| matches!(hold, Hold::SensorStuck { .. }));
                assert!(named, "{case:?}: {:?}", run.memory.services[&name("web")].growth);
            }
        }
    }
}

#[test]
fn a_stuck_sensor_teaches_no_capacity_and_no_endless_growth() {
    for value in [1.0, 0.95, 0.9] {
        let given = CapacityPerUnit::Learn;
        let sensor = Sensor::Stuck(value);
        let run = run(&Case { given, sensor, ..Case::flat(300.0, 10, 50.0, 40.0) });
        assert!(run.most() <= 22, "{value}: {:?}", run.ordered);
    }
}

#[test]
fn a_sensor_that_is_full_now_and_then_does_not_drive_the_size_up() {
    let case =
        Case { sensor: Sensor::Stuck(0.5), minutes: 600, ..Case::flat(300.0, 10, 50.0, 40.0) };
    // Full for five minutes of each half hour, whatever there is.
    let run = play(&case, &mut |policy, snapshot, memory| {
        let mut snapshot = snapshot.clone();
        let demand = &mut snapshot.services.get_mut(&name("web")).unwrap().demand;
        let full = |at: Timestamp| at.0.rem_euclid(1800) < 300;
        if demand.settled.is_some_and(|point| full(point.start)) {
            demand.utilisation = Some(1.0);
        }
        for point in demand.settled.iter_mut().chain(&mut demand.provisional) {
            point.censored = full(point.start);
        }
        ours(policy, &snapshot, memory)
    });
    assert!(run.most() <= 17, "{:?}", run.ordered);
}

#[test]
fn the_second_sample_confirms_the_first() {
    let mut case = Case::flat(400.0, 12, 50.0, 40.0);
    (case.after, case.sensor) = (3_000.0, Sensor::Absent);
    let run = run(&case);
    let first = 100 + run.ordered[100..].iter().position(|n| *n > run.ordered[99]).unwrap();
    assert_eq!(run.ordered[first], 2 * run.ordered[first - 1]);
    assert!(run.ordered[first + 1] >= 75, "{:?}", &run.ordered[95..]);
}
