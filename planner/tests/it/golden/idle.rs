//! Samples of what is stored of idle machines: resources, rules, looks, plans and memory.

use fleet::alert::{Alert, Severity};
use fleet::comeback::{Comeback, DiskKeys, Started};
use fleet::money::{Currency, Price, Saving};
use fleet::resource::{
    Fact, Facts, Part, Power, PublicAddress, Purchase, Resource, ResourceKind, Saves, Subject,
};
use fleet::stop::{OptIn, StopMode};
use fleet::usage::{Code, Signal};
use fleet::{RuleName, Seconds};
use planner::idle::evidence::{Evidence, Lack, Row, Use, Verdict};
use planner::idle::memory::{
    Approval, ByHand, Care, Exempt, IdleDelta, IdleMemory, Kept, Mark, Open, RuleMemory, Scope,
    Starting, Starts, Stopped, Wake, Watch,
};
use planner::idle::pattern::{Offsets, Pattern};
use planner::idle::plan::{
    Because, IdleFinding, IdleHold, IdlePlan, PowerAction, Risk, Stage, TagAction, Verb,
};
use planner::idle::reasons::{ScheduleFault, ScheduleGap, TagFault};
use planner::idle::rule::{
    Cap, IdlePolicy, IdleRule, Limits, Radius, RuleMode, ScheduleKind, ScheduleRule, Select,
    StopPreference,
};
use planner::idle::schedule::{ScheduleView, Span, Switch};
use planner::idle::snapshot::{
    Ask, IdleSnapshot, PowerOutcome, PowerResult, Request, Seen, Unread,
};
use planner::policy::{Mode, Share};
use planner::snapshot::{Disk, KillSwitch};

use super::{Golden, account, at, every, fault, provider, region, resource_id, text, told};

fn name(rule: &str) -> RuleName {
    RuleName(text(rule))
}

fn facts() -> Facts {
    Facts {
        scaling_group: Fact::Known(Some(text("scaling group"))),
        targets: Fact::Known(vec![text("target")]),
        local_disk: Fact::Known(true),
        accelerator: Fact::Unasked,
        forwards_traffic: Fact::Known(false),
        purchase: Fact::Known(Purchase::Dedicated),
        stop_protected: Fact::Unread(Box::new(fault())),
        termination_protected: Fact::Known(false),
        alarms: Fact::Known(vec![text("alarm")]),
        replica: Fact::Known(Some(told("replica"))),
        hibernation: Fact::Known(true),
        saves: Fact::Known(Saves::No(told("saves"))),
        public_address: Fact::Known(PublicAddress::Elastic),
        burstable: Fact::Unasked,
        comeback: Comeback::default(),
    }
}

fn comeback() -> Comeback {
    Comeback {
        keys: Fact::Known(DiskKeys::Unusable { key: text("key"), state: text("state") }),
        fell: Some(text("fell")),
        starts_itself_at: Some(at(1)),
        started: Fact::Known(Some(Started::ByCloud { at: at(2) })),
    }
}

fn part() -> Part {
    Part {
        used_by: Fact::Known(Some(told("used by"))),
        unused_since: Some(at(1)),
        looked_at: told("looked at"),
    }
}

fn machine() -> Resource {
    Resource {
        id: resource_id(),
        name: text("name"),
        read_at: at(1),
        created_at: Some(at(2)),
        started_at: Some(at(3)),
        power: Power::Running,
        zone: Some(text("zone")),
        class: Some(text("class")),
        platform: Some(text("platform")),
        size_gib: Some(4),
        tags: [(text("key"), text("value"))].into(),
        sampled_every: Seconds(300),
        signals: [Signal::NetworkIn].into(),
        subject: Subject::Machine(Box::new(facts())),
    }
}

pub(super) fn resource(golden: &mut Golden) {
    type Flag = Fact<bool>;
    every!(golden, ResourceKind { Instance, Database, Volume, Address, LoadBalancer, Snapshot });
    every!(golden, Flag { Known(true), Unread(Box::new(fault())), Unasked });
    every!(golden, Power {
        Running,
        Starting,
        Stopping,
        Stopped { charged: Some(true) },
        Gone,
        Other(text("other")),
    });
    every!(golden, Subject { Machine(Box::new(facts())), Part(part()) });
    golden.add(&Subject::Machine(Box::new(Facts { comeback: comeback(), ..facts() })));
    every!(golden, Purchase { OnDemand, Spot { terminates: true }, Subscription, Dedicated });
    every!(golden, Saves { Yes, No(told("no")) });
    every!(golden, PublicAddress { None, Ephemeral, Elastic });
    every!(
        golden,
        Signal { Cpu, NetworkIn, NetworkOut, DiskOps, Memory, Connections, Gpu, CreditsLeft }
    );
    golden.add(&Code::of(Signal::Cpu, 12.5));
    golden.add(&machine());
}

fn limits() -> Limits {
    Limits([(Signal::Cpu, 5_000), (Signal::DiskOps, 7_000)].into())
}

fn select() -> Select {
    Select {
        provider: Some(provider()),
        accounts: [account()].into(),
        regions: [region()].into(),
        kinds: [ResourceKind::Instance].into(),
        tags: [(text("tag"), vec![text("value")])].into(),
        not_tags: [(text("not tag"), vec![text("not value")])].into(),
        ids: [text("i-0abc")].into(),
    }
}

fn radius() -> Radius {
    Radius {
        hour: Cap { share: Share::percent(1), at_least: 2 },
        day: Cap { share: Share::percent(3), at_least: 4 },
    }
}

fn opt_in() -> OptIn {
    OptIn { key: text("opt in"), value: text("yes") }
}

fn idle_rule() -> IdleRule {
    IdleRule {
        name: name("rule"),
        mode: RuleMode::Approve,
        select: select(),
        limits: limits(),
        require: [Signal::Memory].into(),
        look_back: Seconds(1),
        coverage: Share::percent(2),
        accept_short_history: true,
        forgiven_hours: 3,
        grace: Seconds(4),
        observe_first: Seconds(5),
        stop: StopPreference::HibernateIfPossible,
        mark_tag: false,
        owner_tag: Some(text("owner")),
        opt_in: opt_in(),
        accept_restart_risk: true,
        exempt_after_restart: Seconds(6),
        radius: radius(),
        group_tag: Some(text("group")),
    }
}

fn schedule_rule() -> ScheduleRule {
    ScheduleRule {
        name: name("schedule"),
        mode: RuleMode::Act,
        select: select(),
        kind: ScheduleKind::StopOnly,
        only_if_idle: limits(),
        opt_in: opt_in(),
        stop: StopPreference::Hibernate,
        order_tag: Some(text("order")),
        start_lead: Seconds(1),
        start_escalation: Seconds(2),
        accept_restart_risk: true,
        radius: radius(),
    }
}

pub(super) fn rule(golden: &mut Golden) {
    every!(golden, RuleMode { Observe, Approve, Act, Shadow });
    every!(golden, StopPreference { Plain, Hibernate, HibernateIfPossible });
    every!(golden, StopMode { Plain, Hibernate });
    every!(golden, ScheduleKind { Both, StopOnly, StartOnly });
    golden.add(&idle_rule());
    golden.add(&schedule_rule());
    golden.add(&IdlePolicy {
        mode: Mode::Act,
        interval: Seconds(300),
        rules: vec![idle_rule()],
        schedules: vec![schedule_rule()],
        account_radius: radius(),
        protect_tag: text("protect"),
        own_host: Some(text("own host")),
    });
}

fn pattern() -> Pattern {
    Pattern { up: [1, 2, 3, 4, 5, 6, 7], weeks: 8 }
}

fn row() -> Row {
    Row {
        signal: Signal::Cpu,
        limit_milli: Some(1),
        high_milli: 2,
        most_milli: 3,
        most_at: at(4),
        hours: 5,
        of: 6,
        above: 7,
    }
}

fn judged() -> Evidence {
    Evidence {
        from: at(1),
        until: at(2),
        rows: vec![row()],
        looked_at: Some(told("looked at")),
        verdict: Verdict::AlwaysIdle,
    }
}

pub(super) fn evidence(golden: &mut Golden) {
    every!(golden, Use {
        Above { signal: Signal::Cpu, value_milli: 1, limit_milli: 2, at: at(3), hours: 4 },
        Starved { credits_milli: 1, at: at(2) },
        Holder(told("holder")),
    });
    every!(golden, Lack {
        TooYoung { since: Some(at(1)), look_back: Seconds(2) },
        Unmeasured { signal: Signal::Gpu },
        Gaps { signal: Signal::Cpu, hours: 1, of: 2 },
        Stale { signal: Signal::Cpu, newest: Some(at(1)) },
        Unread(told("unread")),
    });
    every!(golden, Verdict {
        AlwaysIdle,
        IdleByTheClock(pattern()),
        InUse { by: Use::Holder(told("holder")) },
        NotEnoughData(Lack::Unread(told("unread"))),
    });
    golden.add(&Offsets(vec![(at(1), -3600)]));
    golden.add(&judged());
}

fn saving() -> Saving {
    Saving {
        resource: resource_id(),
        price: Some(Price {
            hourly_micro: 1,
            currency: Currency::Cny,
            source: told("source"),
            as_of: at(2),
        }),
        hourly_micro: Some(3),
        still_paid: vec![told("still paid")],
    }
}

fn span() -> Span {
    Span { from: at(1), until: at(2) }
}

fn switch() -> Switch {
    Switch { at: at(1), up: true }
}

fn schedule_view() -> ScheduleView {
    ScheduleView {
        rule: name("schedule"),
        up: vec![span()],
        covers: Span { from: at(0), until: at(3) },
        zone: text("zone"),
        kind: ScheduleKind::StartOnly,
        order: -1,
        fault: Some(told("fault")),
        opted_out: true,
    }
}

fn outcome() -> PowerOutcome {
    PowerOutcome {
        decision: text("decision"),
        resource: resource_id(),
        up: false,
        mode: Some(StopMode::Hibernate),
        because: Because::Idle { rule: name("rule") },
        at: at(1),
        result: PowerResult::Withheld,
    }
}

fn by_tag() -> Scope {
    Scope::Tag { rule: name("rule"), value: text("value") }
}

pub(super) fn snapshot(golden: &mut Golden) {
    every!(golden, Currency { Usd, Cny });
    golden.add(&saving());
    golden.add(&switch());
    golden.add(&schedule_view());
    let unknown = TagFault::UnknownZone { name: text("zone") };
    let fault_of = ScheduleFault::Hours(unknown.clone());
    let unread = ScheduleView { fault: Some(fault_of.clone().into()), ..schedule_view() };
    golden.named("ScheduleView with a fault that is a value", &unread);
    every!(golden, ScheduleGap { Uncovered { at: at(1) }, Fault(fault_of) });
    every!(golden, ScheduleFault {
        Hours(unknown),
        Order { tag: text("tag"), text: text("text") },
    });
    every!(golden, TagFault {
        Differ { first: text("first"), second: text("second") },
        NoHours { key: text("key"), list: text("list") },
        Blank { key: text("key") },
        UnknownKey { key: text("key") },
        NoPair { piece: text("piece") },
        UnknownZone { name: text("zone") },
    });
    every!(golden, Ask {
        Approve { id: text("id") },
        Reject { id: text("id") },
        Wake { resource: text("resource"), until: at(1) },
        Exempt { resource: text("resource"), until: at(1) },
        Release { rule: name("rule") },
    });
    every!(golden, PowerResult {
        Taken,
        Moved { found: told("found") },
        Withheld,
        Failed { fault: fault() },
        Unconfirmed { effect_seen: Some(false) },
    });
    golden.add(&outcome());
    let seen = Seen {
        resource: machine(),
        rule: Some(name("rule")),
        evidence: Some(judged()),
        schedule: Some(schedule_view()),
        last_hour: Some(Err(told("last hour"))),
        saving: Some(saving()),
    };
    golden.add(&seen);
    let unread = Unread {
        provider: provider(),
        account: account(),
        region: region(),
        kind: ResourceKind::Volume,
        fault: fault(),
    };
    golden.add(&IdleSnapshot {
        taken_at: at(1),
        kill_switch: KillSwitch::Clear,
        freezes: Vec::new(),
        disk: Disk::Ample,
        unread: vec![unread],
        population: [(by_tag(), 2)].into(),
        matched: [(name("rule"), 3)].into(),
        seen: vec![seen],
        requests: vec![Request { by: text("by"), at: at(4), ask: Ask::Approve { id: text("id") } }],
        outcomes: vec![outcome()],
    });
}

fn risk() -> Risk {
    Risk { milli: 20, why: vec![told("why")] }
}

fn holds(golden: &mut Golden) {
    every!(golden, IdleHold {
        InUse(Use::Holder(told("holder"))),
        IdleByTheClock(pattern()),
        NotEnoughData(Lack::Unread(told("unread"))),
        NotRunning(Power::Starting),
        FindingOnly,
        NotOptedIn { tag: text("tag") },
        ProtectTag { tag: text("tag") },
        InScalingGroup(text("group")),
        Orchestrated { by: text("by"), tag: text("tag") },
        InTargetGroup(text("target")),
        LocalDisk,
        Accelerator,
        ForwardsTraffic,
        SpotTerminates,
        Protected(told("protected")),
        PassiveRole(told("role")),
        Alarm(text("alarm")),
        OwnHost,
        Unread(told("unread")),
        SavesNothing(told("nothing")),
        CannotHibernate,
        RestartRisk(risk()),
        Exempt { why: told("why"), until: at(1) },
        ObserveMode,
        RuleObserves,
        FirstDays { left: Seconds(1) },
        InGrace { left: Seconds(1) },
        NeedsApproval { id: text("id"), why: told("why") },
        KillSwitch(told("kill switch")),
        Frozen { name: text("name"), until: at(1) },
        DiskFull,
        NotSteady { since: at(1), until: at(2) },
        Surge { matched: 1, before: 2 },
        AboveDayCap { due: 1, cap: 2, scope: told("scope") },
        BlastRadius { scope: told("scope"), done: 1, cap: 2, until: at(3) },
        ScheduledUp { schedule: name("schedule") },
        Woken { by: text("by"), until: at(1) },
        ByHand { up: true, until: at(1) },
        OrderOpen { since: at(1) },
        Changing(Power::Stopping),
        RetryLater { at: at(1), why: told("why") },
        WaitsFor { resource: text("resource") },
        ScheduleUnread(told("unread")),
        OptedOut,
        OneSided,
        AsScheduled,
        NotIdleNow(told("not idle")),
        Gone,
        AlreadyStopped { at: at(1) },
        InShadow,
        KeyUnusable { key: text("key"), state: text("state") },
    });
}

pub(super) fn plan(golden: &mut Golden) {
    every!(golden, Verb { Stop(StopMode::Hibernate), Start });
    every!(golden, Because {
        Idle { rule: name("rule") },
        Schedule { rule: name("schedule"), switch: switch() },
        Wake { by: text("by"), until: at(1) },
    });
    every!(golden, Stage {
        Kept,
        Candidate,
        Marked { at: at(1), grace_left: Seconds(2), approval: Some(text("approval")) },
        Acting(Verb::Start),
        Stopped { at: at(1) },
        OnSchedule { up: true, next: Some(switch()) },
    });
    holds(golden);
    let action = PowerAction {
        resource: resource_id(),
        created_at: Some(at(1)),
        started_at: Some(at(2)),
        verb: Verb::Start,
        because: Because::Wake { by: text("by"), until: at(3) },
        limits: limits(),
    };
    let finding = IdleFinding {
        resource: Some(resource_id()),
        rule: planner::idle::plan::FoundBy::from(&name("rule")),
        stage: Stage::Candidate,
        holds: vec![IdleHold::LocalDisk, IdleHold::Gone],
        risk: Some(risk()),
    };
    let alert = Alert {
        key: text("key"),
        severity: Severity::Info,
        at: at(1),
        title: text("title"),
        lines: Vec::new(),
        subject: None,
        owner: None,
    };
    golden.add(&IdlePlan {
        actions: vec![action],
        tags: vec![TagAction {
            resource: resource_id(),
            key: text("key"),
            value: Some(text("value")),
        }],
        findings: vec![finding],
        alerts: vec![alert],
    });
}

fn approval(given: bool) -> Approval {
    Approval { id: text("id"), given: given.then(|| (text("by"), at(1))) }
}

fn care() -> Care {
    Care {
        created_at: Some(at(1)),
        power: Some(Power::Running),
        known_since: Some(at(2)),
        power_since: Some(at(3)),
        mark: Some(Mark {
            rule: name("rule"),
            at: at(4),
            at_watched: Seconds(5),
            approval: approval(true),
            tagged: true,
            restarted_at: None,
        }),
        stopped: Some(Stopped {
            at: at(6),
            rule: name("rule"),
            by_schedule: true,
            decision: text("decision"),
            mode: StopMode::Hibernate,
            kept: Kept::default(),
        }),
        exempt: Some(Exempt { until: at(7), why: told("why") }),
        open: Some(Open { up: true, at: at(8), drawn: vec![by_tag()] }),
        by_hand: Some(ByHand { up: true, at: at(9), until: at(10) }),
        wake: Some(Wake { until: at(11), by: text("by") }),
        starting: Some(Starting {
            since: at(12),
            tries: 13,
            next: at(14),
            fault: Some(fault()),
            escalated: true,
        }),
        unused_since: Some(at(15)),
        asked: Some(approval(false)),
    }
}

fn watch() -> Watch {
    Watch { looked_at: Some(at(1)), steady_since: Some(at(2)), watched: Seconds(3) }
}

fn rule_memory() -> RuleMemory {
    RuleMemory {
        since_watched: Seconds(1),
        stops: 2,
        taken_back: 3,
        matched: Some((4, 5)),
        matched_before: Some(6),
        released_until: Some(at(7)),
    }
}

fn starts() -> Starts {
    Starts { took: vec![1, 2], good: 3, without_capacity: 4 }
}

pub(super) fn memory(golden: &mut Golden) {
    every!(golden, Scope {
        Account { provider: provider(), account: account() },
        Rule { rule: name("rule"), provider: provider(), account: account() },
        Tag { rule: name("rule"), value: text("value") },
    });
    golden.add(&care());
    let kept = Kept { restarts_at: Some(at(1)), mark: care().mark, asked: Some(approval(true)) };
    for mode in [StopMode::Plain, StopMode::Hibernate] {
        let stopped = care().stopped.map(|stopped| Stopped { mode, kept: kept.clone(), ..stopped });
        golden.add(&Care { stopped, ..Care::default() });
    }
    for tagged in [false, true] {
        let mark = care().mark.map(|mark| Mark { tagged, restarted_at: Some(at(5)), ..mark });
        golden.add(&Care { mark, ..Care::default() });
    }
    golden.add(&IdleMemory {
        watch: watch(),
        rules: [(name("rule"), rule_memory())].into(),
        cares: [(resource_id(), care())].into(),
        stops: [(by_tag(), vec![at(1)])].into(),
        starts: [(text("zone/type"), starts())].into(),
    });
    golden.add(&IdleDelta {
        watch: watch(),
        rules: [(name("rule"), Some(rule_memory())), (name("gone"), None)].into(),
        cares: [(resource_id(), Some(care()))].into(),
        stops: [(by_tag(), Some(vec![at(1)]))].into(),
        starts: [(text("zone/type"), Some(starts()))].into(),
    });
}
