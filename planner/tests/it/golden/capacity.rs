//! Samples of what is stored of services: policy, snapshot, plan, memory and stages.

use std::collections::BTreeMap;

use fleet::group::{
    ActivityKind, ActivityStatus, Cause, NativePolicyKind, Owner, Process, ServingSign,
};
use fleet::metric::{MetricKey, MetricQuery, Statistic, WhenMissing};
use fleet::{
    AccountKey, Change, GroupRef, Level, Place, RuleName, Seconds, ServiceName, Step, Units,
};
use planner::Milli;
use planner::memory::{
    Against, Band, Bucket, Calibration, Carries, Censored, ChangeLog, Count, Doubt, Dwell,
    Expected, Fall, Fell, FieldChange, FleetMemory, Full, Growth, Highest, LearnedCapacity, Lease,
    ListDelta, Memory, MemoryDelta, OpenOrder, Orders, Proven, Quality, RingDelta, ServiceMemory,
    Serving, Slot, ViolationAccount, Witness, Work,
};
use planner::plan::{Action, Bound, BudgetOf, DecidedBy, Finding, Hold, Plan, Sizing, Trade, What};
use planner::policy::{
    ActiveFreeze, Actuate, Budget, Budgets, CapacityPerUnit, EventFloor, FreezeScope, LeadTimeRule,
    Mode, Policy, PoolPolicy, ServicePolicy, Share, Signals,
};
use planner::snapshot::{
    DemandView, Disk, KillSwitch, Launched, NoAnswer, NoForecast, Observation, OrderOutcome,
    OrderResult, Record, ReducedForecast, SignalsView, Snapshot, Trend,
};
use planner::stage::{
    Evidence, Gate, Missing, Promotion, RegretLimits, RuleEvidence, Stage, StageAsk, StageMemory,
    StageRequest, Stages, Why,
};

use super::stored::{activity, native, scheduled};
use super::{
    Golden, account, at, desired, every, fault, group_view, point, provider, region, service, text,
    told, window,
};

fn metric(name: &str) -> MetricQuery {
    MetricQuery {
        provider: provider(),
        account: account(),
        region: region(),
        namespace: text("namespace"),
        metric: text(name),
        statistic: Statistic::Sum,
        dimensions: [(text("dimension"), text("value"))].into(),
        period: Step::MINUTE,
        when_missing: WhenMissing::Zero,
    }
}

fn budget(share: u32) -> Budget {
    Budget { share: Share::percent(share), at_least: Units(1), per: Seconds(600) }
}

fn service_policy() -> ServicePolicy {
    ServicePolicy {
        mode: Mode::Act,
        demand: vec![metric("demand")],
        fixed_capacity: 0.5,
        utilisation: Some(metric("utilisation")),
        signals: Signals {
            errors: Some(metric("errors")),
            healthy_hosts: Some(metric("healthy hosts")),
        },
        pool: PoolPolicy {
            group: GroupRef {
                provider: provider(),
                account: account(),
                region: region(),
                name: text("group"),
            },
            capacity_per_unit: CapacityPerUnit::Given(50.0),
            target_utilisation: Share::percent(70),
            lead_time: Seconds(1),
            lead_time_rule: LeadTimeRule::AtLeast,
            warm_up: Seconds(2),
            actuate: Some(Actuate::Floor),
            min: Units(3),
            max: Some(Units(4)),
            cooldown: Seconds(5),
            hold_window: Seconds(6),
            override_lease: Seconds(7),
            max_step_up: Some(Units(8)),
            price_usd_hourly: Some(0.25),
            billing_minimum: Seconds(9),
        },
        violation_budget: Share::percent(1),
        upstreams: vec![text("upstream")],
    }
}

fn promotion() -> Promotion {
    Promotion {
        gated: [service()].into(),
        gate: Gate {
            shadow_for: Seconds(1),
            decisions: 2,
            worse_by: Share::percent(3),
            dearer_by: Share::percent(4),
        },
        regret: RegretLimits { times_budget: 5, violations: 6, removals: 7 },
        rules: [(RuleName(text("rule")), text("terms"))].into(),
        wrong_stops: Share::percent(8),
    }
}

fn freeze() -> ActiveFreeze {
    ActiveFreeze {
        name: text("freeze"),
        scope: FreezeScope::All,
        services: vec![service()],
        until: at(60),
    }
}

fn floor() -> EventFloor {
    EventFloor {
        name: text("event"),
        services: vec![service()],
        floor: Units(9),
        from: at(120),
        until: at(180),
    }
}

pub(super) fn policy(golden: &mut Golden) {
    every!(golden, Statistic { Sum, Average, Minimum, Maximum, SampleCount, Percentile(99.0) });
    every!(golden, WhenMissing { Unknown, Zero });
    golden.add(&metric("metric"));
    golden.add(&MetricKey(text("key")));
    every!(golden, Mode { Observe, Act });
    every!(golden, CapacityPerUnit { Given(50.0), Learn });
    every!(golden, Actuate { Desired, Floor });
    every!(golden, FreezeScope { Decreases, All });
    golden.add(&Share::percent(30));
    golden.add(&service_policy());
    golden.add(&promotion());
    golden.add(&freeze());
    golden.add(&floor());
    golden.add(&Policy {
        mode: Mode::Act,
        poll_interval: Seconds(60),
        budgets: Budgets {
            group: Some(budget(10)),
            account: Some(budget(5)),
            fleet: Some(budget(2)),
        },
        spend_ceiling_usd_milli_hourly: Some(700),
        services: [(service(), service_policy())].into(),
        promotion: promotion(),
    });
}

pub(super) fn group(golden: &mut Golden) {
    every!(golden, NativePolicyKind {
        TargetTracking,
        Step,
        Simple,
        Predictive,
        Other(text("kind")),
    });
    every!(golden, ActivityKind { Launch, Terminate, Other });
    every!(golden, ActivityStatus {
        InProgress,
        Successful,
        Failed { no_capacity: true },
        Cancelled,
    });
    every!(golden, Cause { UserRequest, NativePolicy, Schedule, Health, Upkeep, Unknown });
    golden.add(&native());
    golden.add(&scheduled());
    golden.add(&activity());
    golden.add(&group_view());
}

fn demand() -> DemandView {
    DemandView {
        step: Step::MINUTE,
        settled: Some(point(1)),
        provisional: vec![point(2)],
        newly_settled: vec![point(3), point(4)],
        fastest_rise: 1.5,
        recent_low: Some(2.5),
        missing: Share::percent(5),
        fault: Some(fault()),
        utilisation: Some(0.75),
        settling: Seconds(6),
    }
}

fn forecast() -> ReducedForecast {
    ReducedForecast {
        origin: at(1),
        levels: vec![Level::new(0.5).unwrap(), Level::new(0.9).unwrap()],
        lead_milli: [1, 2].map(Milli::whole).into(),
        hold_milli: [3, 4].map(Milli::whole).into(),
        next_milli: [5, 6].map(Milli::whole).into(),
        model: text("model"),
        window: window(),
        recent_loss_milli: Milli::whole(7),
        last_value_loss_milli: Milli::whole(8),
        record: Some(Record { covered_milli: 900, bias_milli: -10 }),
    }
}

fn outcome() -> OrderOutcome {
    OrderOutcome {
        decision: text("decision"),
        at: at(7),
        change: desired(),
        result: OrderResult::Contested { found: Units(5), restored: true },
    }
}

fn observation() -> Observation {
    Observation {
        group: Ok(group_view()),
        demand: demand(),
        forecast: Ok(forecast()),
        signals: SignalsView { errors: Trend::Usual, healthy_hosts: Trend::Worse },
        outcomes: vec![outcome()],
        lead_times: vec![Seconds(200)],
        past: Vec::new(),
        launched: Vec::new(),
        hours: Vec::new(),
    }
}

pub(super) fn snapshot(golden: &mut Golden) {
    every!(golden, KillSwitch { Clear, Thrown { why: told("why") } });
    every!(golden, Disk { Ample, ReserveOnly });
    every!(golden, NoForecast {
        TooLittleHistory { have: 1, need: 2 },
        WaitingForRefit,
        Unusable { why: told("why") },
        NoData,
    });
    every!(golden, Trend { Unknown, Usual, Worse });
    every!(golden, OrderResult {
        Applied,
        Contested { found: Units(5), restored: true },
        Moved { found: Units(6) },
        Stopped,
        Failed { fault: fault() },
        Unconfirmed { effect_seen: Some(true) },
        Owned { owner: Owner { name: text("name"), evidence: text("evidence") } },
    });
    every!(golden, ServingSign { WarmUp, Targets, Member, HealthyHosts });
    golden.add(&launched(ServingSign::WarmUp));
    golden.add(&outcome());
    golden.add(&demand());
    golden.add(&forecast());
    let unread = Observation {
        group: Err(fault()),
        forecast: Err(NoForecast::WaitingForRefit),
        ..observation()
    };
    golden.add(&unread);
    golden.add(&Snapshot {
        taken_at: at(8),
        kill_switch: KillSwitch::Thrown { why: told("kill switch") },
        freezes: vec![freeze()],
        floors: vec![floor()],
        disk: Disk::ReserveOnly,
        acknowledged: vec![service()],
        services: [(service(), observation())].into(),
        requests: vec![request(StageAsk::DemoteAll)],
        undiscovered: [(place(), no_answer())].into(),
    });
}

fn place() -> Place {
    Place { provider: provider(), account: account(), region: region() }
}

fn no_answer() -> NoAnswer {
    NoAnswer { fault: fault(), since: at(1), known_at: Some(at(2)) }
}

fn sizing() -> Sizing {
    Sizing {
        demand_milli: Some(Milli::whole(1)),
        capacity_milli: Some(Milli::whole(2)),
        level: Some(Level::new(0.9).unwrap()),
        sized_for_milli: Some(Milli::whole(3)),
        needed_lead: Some(Units(4)),
        needed_hold: Some(Units(5)),
        needed_reactive: Some(Units(6)),
        decided_by: DecidedBy::LastTrusted,
        wanted: Units(7),
        trade: Some(Trade {
            units: Units(8),
            violations_millionths: [9, 10, 11],
            unit_usd_micro_hourly: Some(12),
        }),
        window: window(),
    }
}

fn holds(golden: &mut Golden) {
    every!(golden, Hold {
        RightSize,
        KillSwitch { why: told("why") },
        ObserveOnly,
        Frozen { name: text("name"), scope: FreezeScope::All, until: at(1) },
        Owned { owner: text("owner"), evidence: text("evidence") },
        NativePolicy { name: text("name") },
        Override { who: told("who"), from: Units(1), to: Units(2), until: at(3) },
        Unobserved,
        GroupUnread { fault: fault() },
        NoDemand { fault: Some(fault()) },
        DemandStale { age: Seconds(1), limit: Seconds(2) },
        DemandIncomplete { missing: Share::percent(1) },
        Provisional,
        Censored,
        Absurd { what: told("what") },
        NoForecast { why: NoForecast::NoData },
        ForecastDistrusted { loss_percent: 130 },
        CapacityUnknown { have: 1, need: 2 },
        GroupIsChanging { pending: Units(1), terminating: Units(2) },
        WarmingUp { units: Units(1) },
        UnknownMembers { units: Units(1) },
        Refreshing { id: text("id") },
        Suspended { process: text("process") },
        AtBound { bound: Bound::CloudMax, value: Units(1) },
        CoolingDown { until: at(1) },
        HoldWindow { needed: Units(1), window: Seconds(2) },
        Dwelling { most: Units(1), until: at(2) },
        StepLimit { step: Units(1) },
        OverBudget { budget: BudgetOf::Fleet, left: Units(1), refills_at: at(2) },
        Protected { protected: Units(1) },
        OutageShape { fallen: 1, of: 2, since: at(3) },
        BillingMinimum { until: at(1) },
        OrderUnconfirmed { decision: text("decision") },
        OutOfCapacity { short: Units(1) },
        DiskReserve,
        SpendCeiling { usd_milli_hourly: 1 },
        EventFloor { name: text("name"), floor: Units(1), until: at(2) },
        Shadow { why: Why::New, since: at(1) },
        Canary { share: Share::percent(1), left: Units(2), refills_at: at(3) },
        OfferVoid { by: text("by") },
        Unproven { kept: Units(1), until: at(2) },
        Unconfirmed { demand_milli: Milli::whole(300), known_milli: Milli::whole(1) },
        SensorStuck { units: Units(300) },
        FullBelow { carries_milli: Milli::whole(1), given_milli: Milli::whole(300) },
        FellAlone { since: at(1), until: at(2) },
        Disagree { since: at(1), demand_milli: Milli::whole(2), with_milli: Milli::whole(300) },
        SizedBy { service: ServiceName::new("web").unwrap() },
        Undiscovered { place: place(), why: no_answer().into() },
        Deploying { suspended: vec![Process::Launch, Process::Other(text("process"))], until: at(1) },
        LaunchesFail { short: Units(1), why: text("why") },
        Hours { at: text("at"), max: Units(1), until: at(2) },
        HoursFloor { at: text("at"), floor: Units(1), until: at(2) },
    });
}

pub(super) fn plan(golden: &mut Golden) {
    every!(golden, Change {
        Desired { from: Units(3), to: Units(4) },
        Minimum { from: Units(5), to: Units(6) },
    });
    every!(golden, DecidedBy {
        Forecast,
        ReactiveFloor,
        Minimum,
        Maximum,
        LastTrusted,
        Event { name: text("event"), until: at(1) },
        Hours { at: text("at"), until: at(1) },
    });
    every!(golden, What { Held, Narrowed { wanted: Units(1), to: Units(2) }, Noted });
    every!(golden, Bound { PolicyMin, PolicyMax, CloudMin, CloudMax });
    every!(golden, BudgetOf { Group, Account(account_key("account")), Fleet });
    holds(golden);
    golden.add(&sizing());
    let action = Action {
        service: service(),
        group: super::group(),
        change: desired(),
        sizing: sizing(),
        dry_run: true,
    };
    let finding = Finding {
        service: Some(service()),
        what: What::Narrowed { wanted: Units(5), to: Units(4) },
        hold: Hold::Provisional,
        sizing: Some(sizing()),
    };
    golden.add(&Plan { actions: vec![action], findings: vec![finding] });
}

fn bucket(used_milli: u64) -> Bucket {
    Bucket { used_milli, at: at(1) }
}

fn orders() -> Orders {
    Orders {
        expected: Some(Expected { desired: Units(1), min: Units(2), max: Units(3) }),
        open: Some(OpenOrder { decision: Some(text("decision")), change: desired(), at: at(4) }),
        changed_at: Some(at(5)),
        grew_at: Some(at(6)),
    }
}

fn lease() -> Lease {
    Lease { who: told("who"), from: Units(1), to: Units(2), until: at(3) }
}

fn band() -> Band {
    Band { origin: at(1), demand_milli: Milli::whole(2), low_milli: Milli::whole(3) }
}

fn fall() -> Fall {
    Fall { since: at(1), back_at_milli: Milli::whole(2), outage: Some((3, 4)) }
}

fn capacity() -> LearnedCapacity {
    LearnedCapacity {
        estimates_milli: [1, 2].map(Milli::whole).into(),
        highest_milli: Milli::whole(3),
        at: at(4),
    }
}

fn calibration() -> Calibration {
    Calibration { depth_micro: Some(-1), headroom_micro: Some(2), spread_micro: Some(3) }
}

fn fell() -> Fell {
    Fell { at: at(1), back_at_milli: Milli::whole(2) }
}

fn slot() -> Slot {
    Slot { most: Units(2).into(), vouched: Units(3).into() }
}

fn growth() -> Growth {
    Growth {
        full: Some(Full {
            from: Units(1),
            at: Units(2),
            demand_milli: Milli::whole(3),
            ordered: Units(4),
            served_from: Some(at(5)),
            stuck: true,
        }),
        carries: Some(Carries {
            milli: Milli::whole(6),
            first_milli: Some(Milli::whole(7)),
            doubted: true,
        }),
        highest: Some(Highest {
            now_milli: Milli::whole(8),
            before_milli: Milli::whole(9),
            since: at(10),
        }),
        beyond: Some((at(11), Milli::whole(12))),
        step: Some(Units(13)),
        surplus: Units(14),
    }
}

fn launched(told_by: ServingSign) -> Launched {
    Launched { took: Seconds(300), told_by, warm: true }
}

fn serving() -> Serving {
    Serving { told_by: ServingSign::Targets, cold: vec![301, 302], warm: vec![40] }
}

fn doubt() -> Doubt {
    let work = |n| Work {
        demand_milli: Milli::whole(n),
        each_milli: Milli::whole(n + 1),
        utilisation_milli: n + 2,
    };
    Doubt {
        settled_at: Some(at(1)),
        fallen_milli: Some([1, 2, 300].map(Milli::whole)),
        witness: Witness {
            compared: Some(at(2)),
            lately: Some(work(20)),
            together: Some(at(23)),
            now: Some(work(3)),
            before: Some(work(6)),
            since: at(9),
            against: Some(Against {
                since: at(10),
                busy_milli: 11,
                demand_milli: Milli::whole(12),
                with: work(24),
            }),
            disagreed: Seconds(13),
        },
    }
}

fn service_memory() -> ServiceMemory {
    ServiceMemory {
        group: Some(super::group()),
        violations: ViolationAccount {
            counted: Some(at(1)),
            quarters: vec![(2, Count { intervals: 3, violations: 4 })],
        },
        calibration: calibration(),
        in_service: ChangeLog { entries: vec![(at(5), Units(6))] },
        ordered: ChangeLog { entries: vec![(at(7), Units(8)), (at(9), Units(10))] },
        removals: bucket(11),
        orders: orders(),
        lease: Some(lease()),
        quality: Quality::Distrusted,
        bands: vec![band()],
        fall: Some(fall()),
        capacity: capacity(),
        lead_times: vec![12, 13],
        dwell: Some(Dwell { since: at(14), most: Units(15) }),
        last_trusted: Some(Units(16)),
        censored: Some(Censored { count: 17, newest: at(18) }),
        proven: Proven {
            newest: 2,
            lately: [(0, slot())].into_iter().collect(),
            days: [(1, Units(2).into())].into_iter().collect(),
            unbudgeted: Units(19),
            fell: Some(fell()),
        },
        growth: growth(),
        doubt: doubt(),
        serving: serving(),
    }
}

/// A key as it stands in a record.
fn account_key(key: &str) -> AccountKey {
    postcard::from_bytes(&postcard::to_stdvec(key).unwrap()).unwrap()
}

fn fleet() -> FleetMemory {
    FleetMemory {
        removals: bucket(1),
        accounts: [(account_key("aws/111122223333"), bucket(2))].into(),
    }
}

fn ring<T>(value: T) -> RingDelta<T> {
    RingDelta { places: 4, put: vec![(2, Some(value)), (3, None)] }
}

fn list<T>(push: T) -> ListDelta<T> {
    ListDelta { drop: 1, keep: 2, push: vec![push] }
}

pub(super) fn memory(golden: &mut Golden) {
    every!(golden, Quality { Trusted, Distrusted });
    golden.add(&service_memory());
    golden.add(&Memory {
        fleet: fleet(),
        services: [(service(), service_memory())].into(),
        stages: stages(),
    });
    every!(golden, FieldChange {
        Group(Some(super::group())),
        Counted(Some(at(1))),
        Quarters(list((2, Count { intervals: 3, violations: 4 }))),
        Calibration(calibration()),
        InService(list((at(5), Units(6)))),
        Ordered(list((at(7), Units(8)))),
        Removals(bucket(11)),
        Orders(orders()),
        Lease(Some(lease())),
        Quality(Quality::Distrusted),
        Bands(list(band())),
        Fall(Some(fall())),
        Capacity(capacity()),
        LeadTimes(list(12)),
        Dwell(Some(Dwell { since: at(14), most: Units(15) })),
        LastTrusted(Some(Units(16))),
        Censored(Some(Censored { count: 17, newest: at(18) })),
        Lately { newest: 1, slots: ring(slot()) },
        Days(ring(Units(2).into())),
        Unbudgeted(Units(1)),
        Fell(Some(fell())),
        Growth(growth()),
        Doubt(doubt()),
        Serving(serving()),
    });
    golden.add(&MemoryDelta {
        fleet: Some(fleet()),
        changed: BTreeMap::from([(service(), vec![FieldChange::Quality(Quality::Trusted)])]),
        gone: vec![service()],
        stages: Some(stages()),
    });
}

fn stage_memory(why: Why) -> StageMemory {
    StageMemory {
        stage: Stage::Canary { share: Share::percent(20) },
        since: at(1),
        why,
        shrank_at: Some(at(2)),
        regretted: 3,
    }
}

fn stages() -> Stages {
    Stages {
        all: Some(stage_memory(Why::Demoted { by: text("all") })),
        services: [(service(), stage_memory(Why::New))].into(),
        rules: [(RuleName(text("rule")), stage_memory(Why::New))].into(),
    }
}

fn request(ask: StageAsk) -> StageRequest {
    StageRequest { by: text("by"), at: at(1), ask }
}

pub(super) fn stage(golden: &mut Golden) {
    let rule = || RuleName(text("rule"));
    every!(golden, Stage { Shadow, Canary { share: Share::percent(20) }, Promoted });
    every!(golden, Why {
        New,
        Promoted { by: text("by"), anyway: true },
        Demoted { by: text("by") },
        RegretViolations { violations: 1, intervals: 2 },
        RegretRemovals { removals: 3 },
        RegretRestarts { restarts: 4 },
        NewJournal,
    });
    every!(golden, StageAsk {
        Promote {
            service: service(),
            share: Some(Share::percent(20)),
            anyway: true,
            bound_to: text("bound to")
        },
        PromoteRule { rule: rule() },
        Demote { service: service() },
        DemoteRule { rule: rule() },
        DemoteAll,
        PromoteGatedRule { rule: rule(), anyway: true, bound_to: text("bound to") },
        StartedAgain { rule: rule(), resource: text("resource"), stopped_at: at(1) },
        Acknowledge { service: service() },
        AcknowledgeAll,
        NewJournal,
    });
    golden.add(&stages());
    golden.add(&request(StageAsk::Demote { service: service() }));
    every!(golden, Missing {
        Time { have: Seconds(1), need: Seconds(2) },
        Decisions { have: 3, need: 4 },
        Violations { would: 5, most: 6 },
        Cost { per_mille: 7, most: 8, usd: Some([1.5, 2.5]) },
        Forecast,
        WrongStops { wrong: 9, stops: 10, most: Share::percent(11) },
    });
    golden.add(&Evidence {
        shadow_for: Seconds(1),
        decisions: 2,
        intervals: 3,
        violations_actual: 4,
        violations_would: 5,
        unit_hours_actual: 6.5,
        unit_hours_would: 7.5,
        usd: Some([8.5, 9.5]),
        forecast_trusted: true,
    });
    golden.add(&RuleEvidence { shadow_for: Seconds(1), stops: 2, wrong: 3 });
}
