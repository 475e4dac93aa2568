//! What a lie of the metrics costs: demand that is told to be less than it is, for half an hour, in
//! one service, in an account, in all. Never more violations than the budgets alone allow.

use std::collections::BTreeMap;

use fleet::{AccountId, Change, Seconds, ServiceName, Step, Timestamp, Units};
use planner::Memory;
use planner::demand::{Assembly, Member};
use planner::memory::Proven;
use planner::policy::{Budgets, Policy};
use planner::snapshot::{
    DemandPoint, DemandView, GroupView, Observation, OrderOutcome, OrderResult, SignalsView, Trend,
    Window,
};

use crate::world::{World, daily, name, observation, service_policy, shaped};

/// Boots take so many minutes.
const BOOT: usize = 4;
/// Days before the first lie.
const DAYS: usize = 4;
const DAY: usize = 1440;
/// Two services an account.
const SERVICES: usize = 6;
/// How long damage is counted: the lie and what it takes to grow back.
const WATCHED: usize = 90;

/// Numbers that look random and are the same everywhere.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    /// From 0 up to 1.
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.roll() * (high - low)
    }
}

/// One service's true load by the minute: a day and a night, and noise.
#[derive(Clone)]
struct Load {
    peak: f64,
    night: f64,
    /// The hour of the peak.
    hour: f64,
    noise: Vec<f64>,
}

impl Load {
    fn new(dice: &mut Dice) -> Load {
        let noisy = dice.between(0.005, 0.05);
        Load {
            peak: 100.0 * dice.between(3.0, 80.0),
            night: dice.between(0.15, 0.7),
            hour: dice.between(0.0, 24.0),
            noise: (0..DAY * (DAYS + 2)).map(|_| dice.between(-noisy, noisy)).collect(),
        }
    }

    /// Without noise.
    fn usual(&self, minute: usize) -> f64 {
        daily(self.peak, self.night, self.hour, minute)
    }

    fn at(&self, minute: usize) -> f64 {
        self.usual(minute) * (1.0 + self.noise[minute])
    }
}

/// Whose metrics lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Liars {
    One,
    Account,
    All,
}

/// Metrics that tell `share` of the truth.
#[derive(Clone, Copy, Debug)]
struct Lie {
    from: usize,
    minutes: usize,
    share: f64,
    liars: Liars,
    /// Whether errors tell of it.
    signals: bool,
}

impl Lie {
    fn tells(&self, service: usize, minute: usize) -> f64 {
        let theirs = match self.liars {
            Liars::One => service == 0,
            Liars::Account => service < 2,
            Liars::All => true,
        };
        let lies = theirs && (self.from..self.from + self.minutes).contains(&minute);
        if lies { self.share } else { 1.0 }
    }
}

/// A fleet under its planner.
#[derive(Clone)]
struct Fleet {
    policy: Policy,
    memory: Memory,
    names: Vec<ServiceName>,
    loads: Vec<Load>,
    told: Vec<Vec<DemandPoint>>,
    /// Units in service and minutes left of those that boot.
    groups: Vec<(u32, Vec<(usize, u32)>)>,
    outcomes: Vec<Vec<OrderOutcome>>,
    minute: usize,
    /// Whether the past may vouch for sizes.
    vouches: bool,
}

const MONDAY: &str = "2026-03-02T00:00:00Z";

fn at(minute: usize) -> Timestamp {
    Timestamp::parse(MONDAY).unwrap() + Seconds::minutes(minute as u64)
}

impl Fleet {
    fn new(seed: u64, vouches: bool) -> Fleet {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut world = World::empty();
        world.policy.budgets = Budgets::default();
        let names: Vec<ServiceName> = (0..SERVICES).map(|i| name(&format!("s{i}"))).collect();
        for (i, service) in names.iter().enumerate() {
            let mut policy = service_policy(service.as_str());
            policy.pool.max = None;
            policy.pool.group.account = AccountId::new(format!("account-{}", i / 2)).unwrap();
            world.policy.services.insert(service.clone(), policy);
        }
        let loads: Vec<Load> = (0..SERVICES).map(|_| Load::new(&mut dice)).collect();
        Fleet {
            policy: world.policy,
            memory: Memory::default(),
            names,
            told: vec![Vec::new(); SERVICES],
            groups: loads
                .iter()
                .map(|l| ((l.at(0) / 100.0).ceil() as u32 + 1, Vec::new()))
                .collect(),
            loads,
            outcomes: vec![Vec::new(); SERVICES],
            minute: 0,
            vouches,
        }
    }

    fn observe(&mut self, service: usize, lie: Option<&Lie>) -> Observation {
        let (now, load) = (at(self.minute), &self.loads[service]);
        let own = self.memory.services.get(&self.names[service]);
        let (_, booting) = &self.groups[service];
        let pending: u32 = booting.iter().map(|(_, units)| units).sum();
        let window = Window {
            sample_age: Seconds(60),
            poll_interval: Seconds(60),
            lead_time: Seconds::minutes(BOOT as u64),
            hold: Seconds::minutes(15),
        };
        let points = &self.told[service];
        let newest = points.last().copied();
        let forecast = newest
            .map(|point| shaped(point, at(0), |minute| load.usual(minute), [BOOT + 2, 17], window));
        let told = Assembly {
            taken_at: now,
            step: Step::MINUTE,
            settling: Seconds(60),
            lead: window.lead(),
            counted: own.and_then(|memory| memory.violations.counted),
            fixed_capacity: 0.0,
            utilisation: None,
        };
        let blank = observation(self.names[service].as_str(), now);
        let sick = lie.is_some_and(|lie| lie.signals && lie.tells(service, self.minute) < 1.0);
        let (in_service, _) = self.groups[service];
        let group = blank.group.map(|view| {
            let mut id = view.id;
            id.account = AccountId::new(format!("account-{}", service / 2)).unwrap();
            GroupView {
                in_service: Units(in_service),
                pending: Units(pending),
                ..GroupView::at_rest(id, now, Units(in_service + pending))
            }
        });
        Observation {
            group,
            demand: DemandView::from_members(&[Member { points, fault: None, parts: &[] }], &told),
            forecast: forecast.ok_or(planner::snapshot::NoForecast::NoData),
            signals: SignalsView {
                errors: if sick { Trend::Worse } else { Trend::Usual },
                healthy_hosts: Trend::Unknown,
            },
            outcomes: std::mem::take(&mut self.outcomes[service]),
            lead_times: Vec::new(),
            past: Vec::new(),
            launched: Vec::new(),
            hours: Vec::new(),
        }
    }

    /// One minute; the services that had too little.
    fn step(&mut self, lie: Option<&Lie>) -> u32 {
        for (in_service, booting) in &mut self.groups {
            booting.retain_mut(|(left, units)| {
                *left -= 1;
                *in_service += if *left == 0 { *units } else { 0 };
                *left > 0
            });
        }
        let seen: BTreeMap<ServiceName, Observation> =
            (0..SERVICES).map(|i| (self.names[i].clone(), self.observe(i, lie))).collect();
        let mut world = World::empty();
        world.snapshot.taken_at = at(self.minute);
        world.snapshot.services = seen;
        if !self.vouches {
            for own in self.memory.services.values_mut() {
                own.proven = Proven::default();
            }
        }
        let (plan, memory) = planner::plan(&self.policy, &world.snapshot, &self.memory);
        let wrong = planner::check_plan(&self.policy, &world.snapshot, &self.memory, &plan);
        assert!(wrong.is_empty(), "{wrong:?}");
        self.memory = memory;
        for action in &plan.actions {
            let service = self.names.iter().position(|n| *n == action.service).unwrap();
            self.apply(service, action.change);
        }
        let mut short = 0;
        for service in 0..SERVICES {
            let demand = self.loads[service].at(self.minute);
            short += u32::from(demand > f64::from(self.groups[service].0) * 100.0);
            let share = lie.map_or(1.0, |lie| lie.tells(service, self.minute));
            let point =
                DemandPoint { start: at(self.minute), value: demand * share, censored: false };
            self.told[service].push(point);
            let surplus = self.told[service].len().saturating_sub(120);
            self.told[service].drain(..surplus);
        }
        self.minute += 1;
        short
    }

    fn apply(&mut self, service: usize, change: Change) {
        let (in_service, booting) = &mut self.groups[service];
        let (from, to) = (change.from().0, change.to().0);
        if to > from {
            booting.push((BOOT, to - from));
        } else {
            let mut less = from - to;
            while let Some((_, units)) = booting.last_mut().filter(|_| less > 0) {
                let gone = less.min(*units);
                (*units, less) = (*units - gone, less - gone);
                if *units == 0 {
                    booting.pop();
                }
            }
            *in_service -= less;
        }
        self.outcomes[service].push(OrderOutcome {
            decision: format!("{}/{service}", self.minute),
            at: at(self.minute),
            change,
            result: OrderResult::Applied,
        });
    }

    fn run_to(&mut self, minute: usize) {
        while self.minute < minute {
            self.step(None);
        }
    }

    /// Minutes that a lie makes too short, beyond those that are short without it.
    fn damage(&self, lie: &Lie) -> i64 {
        let watch = |lie: Option<&Lie>| -> u32 {
            let mut fleet = self.clone();
            (0..WATCHED).map(|_| fleet.step(lie)).sum()
        };
        i64::from(watch(Some(lie))) - i64::from(watch(None))
    }

    fn size(&self) -> u32 {
        self.groups.iter().map(|(units, _)| units).sum()
    }
}

/// When a lie begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    /// On the first day, of which no other tells.
    New,
    /// After four days.
    Known,
}

/// Minutes too short with the past's word, and with budgets alone, by kind of lie.
fn campaign(begins: Begins) -> BTreeMap<String, [i64; 2]> {
    let mut all: BTreeMap<String, [i64; 2]> = BTreeMap::new();
    for seed in 1..=10 {
        let mut dice = Dice(seed * 77 + 5);
        let mut fleets = [Fleet::new(seed, true), Fleet::new(seed, false)];
        let (first, length, count) = match begins {
            Begins::New => (420, 900.0, 2),
            Begins::Known => (DAYS * DAY - 60, 1300.0, 4),
        };
        let mut minutes: Vec<usize> =
            (0..count).map(|_| first + (dice.roll() * length) as usize).collect();
        minutes.sort_unstable();
        for from in minutes {
            for fleet in &mut fleets {
                fleet.run_to(from);
            }
            for liars in [Liars::One, Liars::Account, Liars::All] {
                for signals in [false, true] {
                    let minutes = 20 + (dice.roll() * 11.0) as usize;
                    let lie = Lie { from, minutes, share: dice.between(0.3, 0.5), liars, signals };
                    let [new, old] = [&fleets[0], &fleets[1]].map(|fleet| fleet.damage(&lie));
                    let sum = all.entry(format!("{liars:?}, signals: {signals}")).or_default();
                    *sum = [sum[0] + new, sum[1] + old];
                }
            }
        }
        let [new, old] = fleets.map(|fleet| fleet.size());
        assert!(
            begins == Begins::New || new <= old,
            "seed {seed}: {new} units stand, {old} with budgets alone"
        );
    }
    println!("{all:?}");
    all
}

fn total(all: &BTreeMap<String, [i64; 2]>) -> [i64; 2] {
    all.values().fold([0, 0], |sum, of| [sum[0] + of[0], sum[1] + of[1]])
}

#[test]
fn no_lie_costs_more_than_the_budgets_alone_would_allow() {
    let all = campaign(Begins::Known);
    for (kind, [new, old]) in &all {
        assert!(new <= old, "{kind}: {new} minutes too short, {old} with budgets alone");
    }
    let [new, old] = total(&all);
    assert!(new * 4 < old, "{new} minutes too short in all, {old} with budgets alone");
}

#[test]
fn lies_of_the_first_day_cost_no_more_than_with_the_budgets_alone() {
    let [new, old] = total(&campaign(Begins::New));
    assert!(new <= old, "{new} minutes too short in all, {old} with budgets alone");
}
