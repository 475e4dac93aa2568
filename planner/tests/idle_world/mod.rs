//! A small world for the tests of idle resources: machines, a rule, a schedule and looks at them.
#![allow(dead_code, reason = "each test program uses its own part of the world")]

use std::collections::{BTreeMap, BTreeSet};

use fleet::resource::{Fact, Facts, Part, Power, Resource, ResourceId, ResourceKind, Subject};
use fleet::signs::Clue;
use fleet::stop::OptIn;
use fleet::usage::Signal;
use fleet::{AccountId, Fault, FaultKind, ProviderName, Region, RuleName, Seconds, Timestamp};
use planner::idle::evidence::{Evidence, Verdict};
use planner::idle::memory::{IdleMemory, RuleMemory, Scope, Watch, idle_delta};
use planner::idle::plan::{IdleHold, IdlePlan, PowerAction, Stage, Verb};
use planner::idle::rule::{
    Cap, IdlePolicy, IdleRule, Limits, Radius, RuleMode, ScheduleKind, ScheduleRule, Select,
    StopPreference,
};
use planner::idle::schedule::{ScheduleView, Span};
use planner::idle::snapshot::{Ask, IdleSnapshot, PowerOutcome, PowerResult, Request, Seen};
use planner::idle::{check_idle, plan};
use planner::policy::{Mode, Share};
use planner::snapshot::{Disk, KillSwitch};

/// A Monday noon.
pub const START: Timestamp = Timestamp(1_772_452_800);
pub const EVERY: Seconds = Seconds::minutes(5);

pub fn name(text: &str) -> RuleName {
    RuleName(text.to_owned())
}

pub fn id_of(kind: ResourceKind, text: &str) -> ResourceId {
    ResourceId {
        provider: ProviderName::new("sim").unwrap(),
        account: AccountId::new("one").unwrap(),
        region: Region::new("sim-1").unwrap(),
        kind,
        id: format!("i-{text}"),
    }
}

pub fn id(text: &str) -> ResourceId {
    id_of(ResourceKind::Instance, text)
}

pub fn account() -> Scope {
    let ResourceId { provider, account, .. } = id("a");
    Scope::Account { provider, account }
}

pub fn fault(kind: FaultKind) -> Fault {
    Fault { kind, operation: "Call".to_owned(), detail: String::new(), request_id: None }
}

/// A machine that nothing keeps from being stopped.
pub fn machine(text: &str) -> Resource {
    let facts = Facts::unhindered();
    let born = START - Seconds::days(400);
    Resource {
        id: id(text),
        name: text.to_owned(),
        read_at: START,
        created_at: Some(born),
        started_at: Some(born),
        power: Power::Running,
        zone: Some("z".to_owned()),
        class: Some("m.large".to_owned()),
        platform: None,
        size_gib: None,
        tags: BTreeMap::from([("neap:managed".to_owned(), "true".to_owned())]),
        sampled_every: Seconds(300),
        signals: BTreeSet::from([
            Signal::Cpu,
            Signal::NetworkIn,
            Signal::NetworkOut,
            Signal::DiskOps,
        ]),
        subject: Subject::Machine(Box::new(facts)),
    }
}

pub fn volume(text: &str) -> Resource {
    let part = Part {
        used_by: Fact::Known(None),
        unused_since: Some(START - Seconds::days(100)),
        looked_at: Clue::Attachments.into(),
    };
    Resource {
        id: id_of(ResourceKind::Volume, text),
        subject: Subject::Part(part),
        signals: BTreeSet::new(),
        ..machine(text)
    }
}

pub fn evidence(verdict: Verdict) -> Evidence {
    let (from, until) = (START - Seconds::days(35), START);
    Evidence { from, until, rows: Vec::new(), looked_at: None, verdict }
}

pub fn cap(at_least: u32) -> Cap {
    Cap { share: Share::percent(0), at_least }
}

pub fn wide() -> Radius {
    Radius { hour: cap(1000), day: cap(1000) }
}

/// Acts after an hour of grace and without first days, one and all.
pub fn idle_rule() -> IdleRule {
    IdleRule {
        name: name("idle"),
        mode: RuleMode::Act,
        select: Select { kinds: BTreeSet::from(ResourceKind::ALL), ..Select::default() },
        limits: Limits(BTreeMap::from([
            (Signal::Cpu, 5_000),
            (Signal::NetworkIn, 60_000),
            (Signal::NetworkOut, 60_000),
            (Signal::DiskOps, 1_000),
        ])),
        require: BTreeSet::new(),
        look_back: Seconds::days(35),
        coverage: Share::percent(95),
        accept_short_history: false,
        forgiven_hours: 0,
        grace: Seconds::hours(1),
        observe_first: Seconds::ZERO,
        stop: StopPreference::Plain,
        mark_tag: false,
        owner_tag: Some("owner".to_owned()),
        opt_in: OptIn::default(),
        accept_restart_risk: false,
        exempt_after_restart: Seconds::days(14),
        radius: wide(),
        group_tag: None,
    }
}

pub fn schedule_rule() -> ScheduleRule {
    ScheduleRule {
        name: name("office"),
        mode: RuleMode::Act,
        select: idle_rule().select,
        kind: ScheduleKind::Both,
        only_if_idle: Limits::default(),
        opt_in: OptIn::default(),
        stop: StopPreference::Plain,
        order_tag: None,
        start_lead: Seconds::minutes(3),
        start_escalation: Seconds::minutes(20),
        accept_restart_risk: false,
        radius: wide(),
    }
}

/// Up from 7:00 to 19:00 UTC on every day.
pub fn office() -> ScheduleView {
    let midnight = Timestamp(START.0 - 12 * 3600);
    let day = |n: i64| {
        let at = |hour: i64| Timestamp(midnight.0 + n * 86_400 + hour * 3600);
        Span { from: at(7), until: at(19) }
    };
    ScheduleView {
        rule: name("office"),
        up: (-7..30).map(day).collect(),
        covers: Span { from: START - Seconds::days(7), until: START + Seconds::days(30) },
        zone: "UTC".to_owned(),
        kind: ScheduleKind::Both,
        order: 0,
        fault: None,
        opted_out: false,
    }
}

#[derive(Clone, Debug)]
pub struct World {
    pub policy: IdlePolicy,
    pub snapshot: IdleSnapshot,
    pub memory: IdleMemory,
    /// The last plan.
    pub plan: IdlePlan,
    pub alerts: Vec<String>,
    decisions: u32,
}

impl World {
    /// One machine `a` that has always been idle, watched for long.
    pub fn new() -> World {
        let mut world = World::empty();
        world.add(machine("a"));
        world
    }

    pub fn empty() -> World {
        let policy = IdlePolicy {
            mode: Mode::Act,
            interval: EVERY,
            rules: vec![idle_rule()],
            schedules: vec![schedule_rule()],
            account_radius: wide(),
            protect_tag: "neap:protect".to_owned(),
            own_host: None,
        };
        let watch = Watch {
            looked_at: Some(START - EVERY),
            steady_since: Some(START - Seconds::days(30)),
            watched: Seconds::days(30),
        };
        let known = RuleMemory { matched: Some((0, 1)), ..RuleMemory::default() };
        let rules = ["idle", "office"].map(|rule| (name(rule), known.clone()));
        World {
            policy,
            snapshot: IdleSnapshot {
                taken_at: START,
                kill_switch: KillSwitch::Clear,
                freezes: Vec::new(),
                disk: Disk::Ample,
                unread: Vec::new(),
                population: BTreeMap::from([(account(), 100)]),
                matched: BTreeMap::new(),
                seen: Vec::new(),
                requests: Vec::new(),
                outcomes: Vec::new(),
            },
            memory: IdleMemory { watch, rules: BTreeMap::from(rules), ..IdleMemory::default() },
            plan: IdlePlan::default(),
            alerts: Vec::new(),
            decisions: 0,
        }
    }

    /// One machine `a` under the schedule alone.
    pub fn scheduled() -> World {
        let mut world = World::new();
        world.on_schedule("a", office());
        world
    }

    pub fn add(&mut self, resource: Resource) {
        self.snapshot.seen.push(Seen {
            resource,
            rule: Some(name("idle")),
            evidence: Some(evidence(Verdict::AlwaysIdle)),
            schedule: None,
            last_hour: None,
            saving: None,
        });
    }

    pub fn on_schedule(&mut self, text: &str, view: ScheduleView) {
        let seen = self.seen(text);
        (seen.rule, seen.evidence, seen.schedule) = (None, None, Some(view));
    }

    pub fn rule(&mut self) -> &mut IdleRule {
        &mut self.policy.rules[0]
    }

    pub fn schedule(&mut self) -> &mut ScheduleRule {
        &mut self.policy.schedules[0]
    }

    pub fn seen(&mut self, text: &str) -> &mut Seen {
        let wanted = format!("i-{text}");
        self.snapshot.seen.iter_mut().find(|seen| seen.resource.id.id == wanted).unwrap()
    }

    pub fn resource(&mut self, text: &str) -> &mut Resource {
        &mut self.seen(text).resource
    }

    pub fn facts(&mut self) -> &mut Facts {
        match &mut self.resource("a").subject {
            Subject::Machine(facts) => facts,
            Subject::Part(_) => panic!("`a` is a part"),
        }
    }

    pub fn tag(&mut self, key: &str, value: &str) {
        self.resource("a").tags.insert(key.to_owned(), value.to_owned());
    }

    pub fn power(&mut self, text: &str, power: Power) {
        self.resource(text).power = power;
    }

    pub fn down(&mut self, text: &str) {
        self.power(text, Power::Stopped { charged: Some(false) });
    }

    /// Somebody starts it now, and the listing tells when.
    pub fn start_by_hand(&mut self, text: &str) {
        let now = self.now();
        let resource = self.resource(text);
        (resource.power, resource.started_at) = (Power::Running, Some(now));
    }

    pub fn verdict(&mut self, text: &str, verdict: Verdict) {
        self.seen(text).evidence = Some(evidence(verdict));
    }

    pub fn now(&self) -> Timestamp {
        self.snapshot.taken_at
    }

    pub fn ask(&mut self, ask: Ask) {
        let request = Request { by: "ann".to_owned(), at: self.now(), ask };
        self.snapshot.requests.push(request);
    }

    /// One look: checked, equal if repeated, remembered; what came before it is used up.
    pub fn look(&mut self) -> &IdlePlan {
        let (told, next) = plan(&self.policy, &self.snapshot, &self.memory);
        let again = plan(&self.policy, &self.snapshot, &self.memory);
        assert_eq!((&told, &next), (&again.0, &again.1));
        let broken = check_idle(&self.policy, &self.snapshot, &self.memory, &told);
        assert_eq!(broken, [], "{told:#?}");
        let mut applied = self.memory.clone();
        idle_delta(&self.memory, &next).apply(&mut applied);
        assert_eq!(applied, next);
        self.memory = next;
        self.alerts.extend(told.alerts.iter().map(|alert| alert.title.clone()));
        self.plan = told;
        self.snapshot.requests.clear();
        self.snapshot.outcomes.clear();
        &self.plan
    }

    /// The next look is so much later.
    pub fn wait(&mut self, span: Seconds) -> &mut World {
        self.snapshot.taken_at = self.now() + span;
        self
    }

    /// Looks at the usual interval until an order is given or `span` is over; whether one was.
    pub fn run(&mut self, span: Seconds) -> bool {
        let until = self.now() + span;
        loop {
            if !self.look().actions.is_empty() {
                return true;
            }
            if self.now() >= until {
                return false;
            }
            self.wait(EVERY);
        }
    }

    /// How every order of the last plan ended; the machines follow where it was taken.
    pub fn answer(&mut self, result: &PowerResult) {
        for action in self.plan.actions.clone() {
            let done = matches!(
                result,
                PowerResult::Taken | PowerResult::Unconfirmed { effect_seen: Some(true) }
            );
            if done {
                self.follow(&action);
            }
            self.report(&action, result);
        }
    }

    /// The cloud took every order of the last plan, and no machine follows.
    pub fn report_all_taken(&mut self) {
        for action in self.plan.actions.clone() {
            self.report(&action, &PowerResult::Taken);
        }
    }

    pub fn report(&mut self, action: &PowerAction, result: &PowerResult) {
        self.decisions += 1;
        let mode = match action.verb {
            Verb::Stop(mode) => Some(mode),
            Verb::Start => None,
        };
        let outcome = PowerOutcome {
            decision: format!("{}/x", self.decisions),
            resource: action.resource.clone(),
            up: mode.is_none(),
            mode,
            because: action.because.clone(),
            at: self.now(),
            result: result.clone(),
        };
        self.snapshot.outcomes.push(outcome);
    }

    /// The machine does as it was told.
    pub fn follow(&mut self, action: &PowerAction) {
        let now = self.now();
        let of = |seen: &&mut Seen| seen.resource.id == action.resource;
        let Some(seen) = self.snapshot.seen.iter_mut().find(of) else { return };
        match action.verb {
            Verb::Stop(_) => seen.resource.power = Power::Stopped { charged: Some(false) },
            Verb::Start => {
                (seen.resource.power, seen.resource.started_at) = (Power::Running, Some(now));
            }
        }
    }

    /// Why nothing is done about `a`, by every rule.
    pub fn holds(&self) -> Vec<IdleHold> {
        let of_a = self
            .plan
            .findings
            .iter()
            .filter(|finding| finding.resource.as_ref().is_some_and(|id| id.id == "i-a"));
        of_a.flat_map(|finding| finding.holds.clone()).collect()
    }

    pub fn stage(&self) -> Stage {
        let of_a = |id: &Option<ResourceId>| id.as_ref().is_some_and(|id| id.id == "i-a");
        let found = self.plan.findings.iter().find(|finding| of_a(&finding.resource));
        found.unwrap().stage.clone()
    }

    pub fn care(&self, text: &str) -> planner::idle::memory::Care {
        self.memory.cares.get(&id(text)).cloned().unwrap_or_default()
    }

    /// `a` is marked, its grace is over, it is stopped, and the cloud took it.
    pub fn stopped() -> World {
        let mut world = World::new();
        assert!(world.run(Seconds::hours(2)));
        world.answer(&PowerResult::Taken);
        world.wait(EVERY).look();
        world
    }

    /// On a schedule, stopped by it in the evening; the last plan starts it in the morning.
    pub fn kept_down() -> World {
        let mut world = World::scheduled();
        assert!(world.run(Seconds::hours(10)));
        assert_eq!(world.now(), START + Seconds::hours(7));
        world.answer(&PowerResult::Taken);
        assert!(world.wait(EVERY).run(Seconds::hours(24)));
        assert_eq!(world.plan.actions[0].verb, Verb::Start);
        world
    }
}
