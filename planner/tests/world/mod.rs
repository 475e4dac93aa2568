//! A small world for the planner's tests: policies, observations and cycles without a cloud.
#![allow(dead_code, reason = "each test program uses its own part of the world")]

use std::collections::BTreeMap;

use fleet::group::{Activity, ActivityKind, ActivityStatus, Cause, NativePolicy, NativePolicyKind};
use fleet::{
    AccountId, GroupId, GroupRef, Level, ProviderName, Region, Seconds, ServiceName, Step,
    Timestamp, Units,
};
use planner::memory::{Count, Proven, Slot};
use planner::plan::Plan;
use planner::policy::{
    Budgets, CapacityPerUnit, LeadTimeRule, Mode, Policy, PoolPolicy, ServicePolicy, Share, Signals,
};
use planner::snapshot::{
    DemandPoint, DemandView, Disk, GroupView, KillSwitch, NoForecast, Observation, OrderOutcome,
    OrderResult, ReducedForecast, SignalsView, Snapshot, Window,
};
use planner::stage::Promotion;
use planner::{Memory, Milli};

pub const START: &str = "2026-03-02T12:00:00Z";

pub fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

/// Fleet and memory, and the next snapshot to be planned for.
#[derive(Clone, Debug)]
pub struct World {
    pub policy: Policy,
    pub snapshot: Snapshot,
    pub memory: Memory,
}

impl World {
    /// One service `web`: 100/s a unit, 10 units in service, 950/s of demand, no budgets, a
    /// forecast as high as demand.
    pub fn new() -> World {
        let mut world = World::empty();
        world.add("web");
        world
    }

    pub fn empty() -> World {
        World {
            policy: Policy {
                mode: Mode::Act,
                poll_interval: Seconds(60),
                budgets: Budgets { group: None, account: None, fleet: None },
                spend_ceiling_usd_milli_hourly: None,
                services: BTreeMap::new(),
                promotion: Promotion::default(),
            },
            snapshot: Snapshot {
                taken_at: Timestamp::parse(START).unwrap(),
                kill_switch: KillSwitch::Clear,
                freezes: Vec::new(),
                floors: Vec::new(),
                disk: Disk::Ample,
                acknowledged: Vec::new(),
                undiscovered: BTreeMap::new(),
                requests: Vec::new(),
                services: BTreeMap::new(),
            },
            memory: Memory::default(),
        }
    }

    pub fn add(&mut self, service: &str) {
        let name = name(service);
        self.policy.services.insert(name.clone(), service_policy(service));
        let seen = observation(service, self.snapshot.taken_at);
        self.snapshot.services.insert(name, seen);
    }

    pub fn service(&mut self, service: &str) -> &mut ServicePolicy {
        self.policy.services.get_mut(&name(service)).unwrap()
    }

    pub fn pool(&mut self) -> &mut PoolPolicy {
        &mut self.service("web").pool
    }

    pub fn seen(&mut self, service: &str) -> &mut Observation {
        self.snapshot.services.get_mut(&name(service)).unwrap()
    }

    /// Of the ten units of the group so many are in service, on their way in, and on their way out.
    pub fn moving(&mut self, in_service: u32, pending: u32, terminating: u32) {
        let view = self.view();
        (view.in_service, view.pending) = (Units(in_service), Units(pending));
        view.terminating = Units(terminating);
    }

    pub fn view(&mut self) -> &mut GroupView {
        self.seen("web").group.as_mut().unwrap()
    }

    pub fn demand(&mut self) -> &mut DemandView {
        &mut self.seen("web").demand
    }

    /// Makes the next fall of demand none that surprises.
    pub fn expect_any_fall(&mut self) {
        self.memory.services.values_mut().for_each(|memory| memory.bands.clear());
    }

    /// A service that was watched for two days, and wanted so many units for the last five hours.
    pub fn wanted_lately(&mut self, service: &str, units: u32) {
        let at = self.snapshot.taken_at;
        let number = |seconds: i64| u32::try_from(at.0 / seconds).unwrap();
        let memory = self.memory.services.get_mut(&name(service)).unwrap();
        memory.violations.quarters = vec![(number(6 * 3600) - 8, Count::default())];
        let newest = number(300);
        let slot = Slot { most: Units(units).into(), vouched: Units(units).into() };
        let lately = (newest - 59..=newest).map(|number| (number, slot)).collect();
        memory.proven = Proven { newest, lately, ..Proven::default() };
    }

    /// Demand of the newest settled interval, and a forecast that expects the same to go on.
    pub fn set_demand(&mut self, value: f64) {
        self.demand_of("web", value);
    }

    pub fn demand_of(&mut self, service: &str, value: f64) {
        let at = self.snapshot.taken_at;
        let seen = self.seen(service);
        seen.demand.settled = Some(settled_at(at, value));
        seen.demand.provisional.clear();
        seen.demand.newly_settled = vec![settled_at(at, value)];
        seen.forecast = Ok(forecast(at, value, value));
    }

    /// Demand of the newest settled interval; what is forecast stays.
    pub fn set_demand_only(&mut self, value: f64) {
        let at = self.snapshot.taken_at;
        self.demand().settled = Some(settled_at(at, value));
        self.demand().newly_settled = vec![settled_at(at, value)];
    }

    /// What the forecast expects at most in the lead and in the hold window, at every level.
    pub fn expect(&mut self, lead: f64, hold: f64) {
        let at = self.snapshot.taken_at;
        let seen = self.seen("web");
        let now = seen.demand.settled.map_or(lead, |p| p.value);
        let mut made = forecast(at, lead, hold);
        made.next_milli = band(now);
        seen.forecast = Ok(made);
    }

    pub fn no_forecast(&mut self) {
        self.seen("web").forecast = Err(NoForecast::TooLittleHistory { have: 30, need: 288 });
    }

    /// The group has so many units, all in service.
    pub fn units(&mut self, units: u32) {
        let view = self.view();
        (view.desired, view.in_service) = (Units(units), Units(units));
    }

    /// Plans the snapshot, keeps the memory, and moves on by a minute. What was ordered is applied
    /// at once where `applied`.
    pub fn cycle(&mut self, applied: bool) -> Plan {
        let (plan, memory) = planner::plan(&self.policy, &self.snapshot, &self.memory);
        let wrong = planner::check_plan(&self.policy, &self.snapshot, &self.memory, &plan);
        assert!(wrong.is_empty(), "{wrong:?}\n{plan:#?}");
        self.memory = memory;
        let at = self.snapshot.taken_at;
        self.snapshot.taken_at = at + Seconds(60);
        self.snapshot.acknowledged.clear();
        self.snapshot.requests.clear();
        for seen in self.snapshot.services.values_mut() {
            seen.outcomes.clear();
            seen.demand.newly_settled.clear();
            if let Some(point) = &mut seen.demand.settled {
                point.start = point.start + Seconds(60);
            }
            if let Ok(view) = &mut seen.group {
                view.read_at = at + Seconds(60);
            }
        }
        for action in plan.actions.iter().filter(|action| applied && !action.dry_run) {
            let seen = self.snapshot.services.get_mut(&action.service).unwrap();
            let view = seen.group.as_mut().unwrap();
            match action.change {
                fleet::Change::Desired { to, .. } => {
                    (view.desired, view.in_service) = (to, to);
                }
                fleet::Change::Minimum { to, .. } => view.min = to,
            }
            seen.outcomes.push(OrderOutcome {
                decision: format!("{}/{}", at, action.service),
                at,
                change: action.change,
                result: OrderResult::Applied,
            });
        }
        plan
    }

    /// Plans without moving on, as text: one line an action and a finding.
    pub fn plan(&self) -> String {
        let (plan, _) = planner::plan(&self.policy, &self.snapshot, &self.memory);
        let wrong = planner::check_plan(&self.policy, &self.snapshot, &self.memory, &plan);
        assert!(wrong.is_empty(), "{wrong:?}\n{plan:#?}");
        text(&plan)
    }
}

pub fn text(plan: &Plan) -> String {
    let actions = plan.actions.iter().map(|action| format!("> {action}"));
    let findings = plan.findings.iter().map(|finding| format!("- {finding}"));
    actions.chain(findings).collect::<Vec<_>>().join("\n")
}

/// The newest interval that has settled a minute ago.
pub fn settled_at(at: Timestamp, value: f64) -> DemandPoint {
    DemandPoint { start: at - Seconds(180), value, censored: false }
}

pub fn levels() -> Vec<Level> {
    [0.05, 0.5, 0.9, 0.99, 0.995].map(|level| Level::new(level).unwrap()).into()
}

fn milli(value: f64) -> Milli {
    // As tests always had it; what is small has its digits.
    if value < 1.0 { Milli::per_second(value) } else { Milli::whole((value * 1000.0) as u64) }
}

fn band(value: f64) -> Vec<Milli> {
    [0.9, 1.0, 1.0, 1.0, 1.0].map(|share| milli(value * share)).into()
}

pub fn forecast(at: Timestamp, lead: f64, hold: f64) -> ReducedForecast {
    ReducedForecast {
        origin: at - Seconds(180),
        levels: levels(),
        lead_milli: vec![milli(lead); 5],
        hold_milli: vec![milli(hold.max(lead)); 5],
        next_milli: band(lead),
        model: "linear".to_owned(),
        window: Window {
            sample_age: Seconds(120),
            poll_interval: Seconds(60),
            lead_time: Seconds(240),
            hold: Seconds(900),
        },
        recent_loss_milli: Milli::whole(10),
        last_value_loss_milli: Milli::whole(20),
        record: None,
    }
}

pub fn group_ref(service: &str) -> GroupRef {
    GroupRef {
        provider: ProviderName::new("aws").unwrap(),
        account: AccountId::new("111122223333").unwrap(),
        region: Region::new("eu-west-1").unwrap(),
        name: format!("{service}-asg"),
    }
}

pub fn service_policy(service: &str) -> ServicePolicy {
    ServicePolicy {
        mode: Mode::Act,
        demand: Vec::new(),
        fixed_capacity: 0.0,
        utilisation: None,
        signals: Signals::default(),
        pool: PoolPolicy {
            group: group_ref(service),
            capacity_per_unit: CapacityPerUnit::Given(100.0),
            target_utilisation: PoolPolicy::TARGET_UTILISATION,
            lead_time: Seconds(240),
            lead_time_rule: LeadTimeRule::AtLeast,
            warm_up: Seconds(0),
            actuate: None,
            min: Units(1),
            max: Some(Units(100)),
            cooldown: PoolPolicy::COOLDOWN,
            hold_window: PoolPolicy::HOLD_WINDOW,
            override_lease: PoolPolicy::OVERRIDE_LEASE,
            max_step_up: None,
            price_usd_hourly: None,
            billing_minimum: Seconds(0),
        },
        violation_budget: Share::from_fraction(0.005).unwrap(),
        upstreams: Vec::new(),
    }
}

pub fn observation(service: &str, at: Timestamp) -> Observation {
    let group = group_ref(service);
    let id = GroupId {
        provider: group.provider,
        account: group.account,
        region: group.region,
        id: format!("arn:{service}"),
    };
    Observation {
        group: Ok(GroupView { max: Units(50), ..GroupView::at_rest(id, at, Units(10)) }),
        demand: DemandView {
            settled: Some(settled_at(at, 950.0)),
            ..DemandView::unknown(Step::MINUTE)
        },
        forecast: Ok(forecast(at, 950.0, 950.0)),
        signals: SignalsView::default(),
        outcomes: Vec::new(),
        lead_times: Vec::new(),
        past: Vec::new(),
        launched: Vec::new(),
        hours: Vec::new(),
    }
}

pub fn native_policy(scales_in: bool) -> NativePolicy {
    NativePolicy {
        name: "cpu-50".to_owned(),
        kind: NativePolicyKind::TargetTracking,
        enabled: true,
        scales_in,
    }
}

pub fn activity(at: Timestamp, cause: Cause, text: &str) -> Activity {
    Activity {
        id: "a-1".to_owned(),
        started_at: at,
        ended_at: None,
        kind: ActivityKind::Other,
        status: ActivityStatus::Successful,
        cause,
        cause_text: text.to_owned(),
        capacity_set_to: None,
        launch: None,
    }
}

/// A load per second at a minute since midnight: a peak around an hour, and a share of it at night.
pub fn daily(peak: f64, night: f64, hour: f64, minute: usize) -> f64 {
    let turn = (minute as f64 / 60.0 - hour) / 24.0 * std::f64::consts::TAU;
    peak * (night + (1.0 - night) * (1.0 + turn.cos()) / 2.0)
}

/// A forecast that knows what demand `usually` is at a minute since `midnight`, and believes what it is
/// told: for a lead and a hold window of so many minutes from `newest` on.
pub fn shaped(
    newest: DemandPoint,
    midnight: Timestamp,
    usually: impl Fn(usize) -> f64,
    [lead, hold]: [usize; 2],
    window: Window,
) -> ReducedForecast {
    let known = newest.start.since(midnight).0 as usize / 60;
    let ahead = |minutes: usize| {
        let most = (known + 1..=known + minutes).map(&usually).fold(0.0, f64::max);
        [0.97, 1.0, 1.03, 1.06, 1.07]
            .map(|wide| newest.value * most / usually(known) * wide * 1000.0)
            .map(|milli| Milli::whole(milli as u64))
            .to_vec()
    };
    ReducedForecast {
        origin: newest.start,
        levels: levels(),
        lead_milli: ahead(lead),
        hold_milli: ahead(hold),
        next_milli: ahead(1),
        model: "shape".to_owned(),
        window,
        recent_loss_milli: Milli::whole(10),
        last_value_loss_milli: Milli::whole(20),
        record: None,
    }
}
