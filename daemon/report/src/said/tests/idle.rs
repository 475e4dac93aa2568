//! Idle resources, their stories, and records in brief.

use ::journal::CycleBrief;
use ::journal::records::idle::{Folded, IdleEntry, PowerIntent};
use fleet::money::{Currency, Price, Saving, Sum};
use fleet::resource::{Power, ResourceId, ResourceKind};
use fleet::signs::{
    Clue, FactName, Holder, NoSaving, PriceSource, Protection, RoleSign, StillPaid, UnknownFact,
};
use fleet::stop::StopMode;
use fleet::usage::Signal;
use fleet::{OrTold, RuleName};
use planner::idle::evidence::{Evidence, Lack, Row as Numbers, Use, Verdict};
use planner::idle::memory::Scope;
use planner::idle::pattern::Pattern;
use planner::idle::plan::{
    Because, FoundBy, IdleHold, IdlePlan, PowerAction, Risk, Stage as IdleStage, Verb,
};
use planner::idle::reasons::{
    ApprovalReason, ExemptReason, LastLook, NotIdle, RiskReason, ScheduleGap, StartFailure,
};
use planner::idle::rule::Limits;
use planner::idle::schedule::Switch;
use planner::idle::snapshot::{Ask, IdleSnapshot, PowerOutcome, PowerResult, Request};
use planner::snapshot::{Disk, KillSwitch};

use super::*;
use crate::idle::rows::Row;
use crate::idle::story::{Event, StoryLine};

const IDLE: &str = "planner/src/idle/plan.rs";
const EVIDENCE: &str = "planner/src/idle/evidence.rs";

pub(super) fn rule() -> RuleName {
    RuleName("forgotten-7".to_owned())
}

fn pattern() -> Pattern {
    Pattern { up: [0xF_FF80, 0xF_FF80, 0xF_FF80, 0xF_FF80, 0xF_FF80, 0, 0], weeks: 5 }
}

fn uses() -> Vec<Use> {
    let (signal, at) = (Signal::NetworkIn, AT);
    let above = |hours| Use::Above {
        signal,
        value_milli: 123_456_789,
        limit_milli: 102_400_000,
        at,
        hours,
    };
    vec![
        above(1),
        above(17),
        Use::Starved { credits_milli: 120, at },
        Use::Holder(Holder::Resource("i-0123".to_owned()).into()),
    ]
}

fn lacks() -> Vec<Lack> {
    let (signal, look_back) = (Signal::Cpu, Seconds::days(35));
    vec![
        Lack::TooYoung { since: Some(AT), look_back },
        Lack::TooYoung { since: None, look_back },
        Lack::Unmeasured { signal },
        Lack::Gaps { signal, hours: 700, of: 840 },
        Lack::Stale { signal, newest: Some(AT) },
        Lack::Stale { signal, newest: None },
        Lack::Unread(Clue::Usage.into()),
    ]
}

pub(super) fn scopes() -> Vec<Scope> {
    let GroupId { provider, account, .. } = group();
    vec![
        Scope::Account { provider: provider.clone(), account: account.clone() },
        Scope::Rule { rule: rule(), provider, account },
        Scope::Tag { rule: rule(), value: "team-5".to_owned() },
    ]
}

pub(super) fn failed() -> StartFailure {
    StartFailure::Fault(Box::new(fault(FaultKind::OutOfCapacity)))
}

fn risk() -> Risk {
    let scarce = RiskReason::Scarce { class: "p4d.24xlarge".to_owned() };
    Risk { milli: 302, why: [scarce, RiskReason::AddressChanges].map(OrTold::Value).into() }
}

fn powers() -> Vec<Power> {
    vec![
        Power::Running,
        Power::Starting,
        Power::Stopping,
        Power::Stopped { charged: None },
        Power::Gone,
        Power::Other("rebooting".to_owned()),
    ]
}

fn idle_holds() -> Vec<IdleHold> {
    let text = |text: &str| text.to_owned();
    let (left, until) = (SPAN, LATER);
    let mut holds = vec![
        IdleHold::IdleByTheClock(pattern()),
        IdleHold::FindingOnly,
        IdleHold::NotOptedIn { tag: text("neap:managed=true") },
        IdleHold::ProtectTag { tag: text("neap:protect=yes") },
        IdleHold::InScalingGroup(text("checkout-asg")),
        IdleHold::Orchestrated { by: text("EKS"), tag: text("aws:eks:cluster-name") },
        IdleHold::InTargetGroup(text("web-80")),
        IdleHold::LocalDisk,
        IdleHold::Accelerator,
        IdleHold::ForwardsTraffic,
        IdleHold::SpotTerminates,
        IdleHold::Protected(Protection::Termination.into()),
        IdleHold::PassiveRole(RoleSign::ReplicaOfCluster(text("db-2")).into()),
        IdleHold::Alarm(text("disk-full-3")),
        IdleHold::OwnHost,
        IdleHold::Unread(UnknownFact { fact: FactName::Billing, fault: None }.into()),
        IdleHold::SavesNothing(NoSaving::Subscription.into()),
        IdleHold::CannotHibernate,
        IdleHold::RestartRisk(risk()),
        IdleHold::Exempt { why: ExemptReason::Refused { by: li() }.into(), until },
        IdleHold::ObserveMode,
        IdleHold::RuleObserves,
        IdleHold::FirstDays { left },
        IdleHold::InGrace { left },
        IdleHold::NeedsApproval { id: text("3f2a9c01b7de"), why: ApprovalReason::Rule.into() },
        IdleHold::KillSwitch(thrown().into()),
        IdleHold::Frozen { name: text("year-end"), until },
        IdleHold::DiskFull,
        IdleHold::NotSteady { since: AT, until },
        IdleHold::Surge { matched: 100, before: 1 },
        IdleHold::AboveDayCap { due: 12, cap: 5, scope: scopes().remove(0).into() },
        IdleHold::BlastRadius { scope: scopes().remove(1).into(), done: 3, cap: 4, until },
        IdleHold::ScheduledUp { schedule: rule() },
        IdleHold::Woken { by: li(), until },
        IdleHold::ByHand { up: true, until },
        IdleHold::ByHand { up: false, until },
        IdleHold::OrderOpen { since: AT },
        IdleHold::RetryLater { at: LATER, why: failed().into() },
        IdleHold::WaitsFor { resource: text("i-0456") },
        IdleHold::ScheduleUnread(ScheduleGap::Uncovered { at: AT }.into()),
        IdleHold::OptedOut,
        IdleHold::OneSided,
        IdleHold::AsScheduled,
        IdleHold::NotIdleNow(NotIdle::NoSamples.into()),
        IdleHold::Gone,
        IdleHold::AlreadyStopped { at: AT },
        IdleHold::InShadow,
        IdleHold::KeyUnusable { key: text("key/1"), state: text("Disabled") },
    ];
    holds.extend(uses().into_iter().map(IdleHold::InUse));
    holds.extend(lacks().into_iter().map(IdleHold::NotEnoughData));
    holds.extend(powers().into_iter().map(IdleHold::NotRunning));
    holds.extend(powers().into_iter().map(IdleHold::Changing));
    holds
}

fn becauses() -> Vec<Because> {
    let switch = |up| Switch { at: AT, up };
    vec![
        Because::Idle { rule: rule() },
        Because::Schedule { rule: rule(), switch: switch(true) },
        Because::Schedule { rule: rule(), switch: switch(false) },
        Because::Wake { by: li(), until: LATER },
    ]
}

#[test]
fn idle_findings_say_the_same() {
    all_agree(IDLE, "IdleHold", &idle_holds());
    all_agree(EVIDENCE, "Use", &uses());
    all_agree(EVIDENCE, "Lack", &lacks());
    all_agree(IDLE, "Because", &becauses());
    let verbs = [Verb::Stop(StopMode::Plain), Verb::Stop(StopMode::Hibernate), Verb::Start];
    all_agree(IDLE, "Verb", &verbs);
    agree(&risk());
    agree(&Risk::default());
    let mut verdicts = vec![Verdict::AlwaysIdle, Verdict::IdleByTheClock(pattern())];
    verdicts.extend(uses().into_iter().map(|by| Verdict::InUse { by }));
    verdicts.extend(lacks().into_iter().map(Verdict::NotEnoughData));
    all_agree(EVIDENCE, "Verdict", &verdicts);
    let marked =
        |grace_left| IdleStage::Marked { at: AT, grace_left, approval: Some("3f2a".to_owned()) };
    let on = |up, next: Option<bool>| IdleStage::OnSchedule {
        up,
        next: next.map(|up| Switch { at: LATER, up }),
    };
    let mut stages = vec![
        IdleStage::Kept,
        IdleStage::Candidate,
        marked(Seconds::ZERO),
        marked(SPAN),
        IdleStage::Stopped { at: AT },
        on(true, Some(false)),
        on(false, Some(true)),
        on(true, None),
    ];
    stages.extend(verbs.map(IdleStage::Acting));
    all_agree(IDLE, "Stage", &stages);
    let (known, named): (Vec<Power>, Vec<Power>) =
        powers().into_iter().partition(|power| !matches!(power, Power::Other(_)));
    known.iter().for_each(agree);
    assert!(named.iter().all(|power| power.chinese() == power.to_string()));
}

pub(super) fn resource() -> ResourceId {
    let GroupId { provider, account, region, .. } = group();
    ResourceId { provider, account, region, kind: ResourceKind::Instance, id: "i-0789".to_owned() }
}

fn signal_rows() -> Vec<Numbers> {
    let row = |signal, limit_milli| Numbers {
        signal,
        limit_milli,
        high_milli: 1_234,
        most_milli: 2_345_678,
        most_at: AT,
        hours: 838,
        of: 840,
        above: 2,
    };
    let limited = Signal::ALL.map(|signal| row(signal, Some(3_000)));
    limited.into_iter().chain(Signal::ALL.map(|signal| row(signal, None))).collect()
}

fn row(saving: Option<Saving>) -> Row {
    Row {
        resource: resource(),
        name: "build-box".to_owned(),
        class: Some("t3.micro".to_owned()),
        rule: FoundBy::Rule(rule()),
        verdict: Some(Verdict::AlwaysIdle.kind()),
        stage: IdleStage::Candidate,
        approval: None,
        holds: idle_holds(),
        numbers: Some(Evidence {
            from: AT,
            until: LATER,
            rows: signal_rows(),
            looked_at: Some(Clue::Targets { serving: 0, of: 3 }.into()),
            verdict: Verdict::AlwaysIdle,
        }),
        saving,
        stopped_at: None,
    }
}

fn outcomes() -> Vec<PowerOutcome> {
    let outcome = |(up, because, result)| PowerOutcome {
        decision: "69a53ebc-5f3e.0".to_owned(),
        resource: resource(),
        up,
        mode: None,
        because,
        at: AT,
        result,
    };
    let mut results = vec![
        PowerResult::Taken,
        PowerResult::Moved { found: LastLook::Gone.into() },
        PowerResult::Withheld,
        PowerResult::Failed { fault: fault(FaultKind::Refused) },
    ];
    let seen = [None, Some(true), Some(false)];
    results.extend(seen.map(|effect_seen| PowerResult::Unconfirmed { effect_seen }));
    all_agree("planner/src/idle/snapshot.rs", "PowerResult", &results);
    let because = becauses().into_iter().cycle();
    let up = [true, false].into_iter().cycle();
    up.zip(because).zip(results).map(|((up, why), result)| outcome((up, why, result))).collect()
}

#[test]
fn stories_of_resources_say_the_same() {
    let price = Price {
        hourly_micro: 10_400,
        currency: Currency::Usd,
        source: PriceSource::File("prices.toml".to_owned()).into(),
        as_of: AT,
    };
    let all = StillPaid::All(NoSaving::Subscription.into());
    let still_paid = [StillPaid::Disks, StillPaid::ElasticAddress, StillPaid::Backups, all];
    let still_paid = still_paid.map(OrTold::Value);
    let saving = |price: Option<Price>, hourly_micro, still_paid: &[OrTold<StillPaid>]| {
        let still_paid = still_paid.to_vec();
        Some(Saving { resource: resource(), price, hourly_micro, still_paid })
    };
    let rows = [
        row(None),
        row(saving(Some(price), Some(10_400), &still_paid)),
        row(saving(None, Some(0), &[])),
        row(saving(None, None, &still_paid)),
    ];
    let mut events = vec![
        Event::Agreed { by: li() },
        Event::Refused { by: li() },
        Event::Wake { by: li(), until: LATER },
        Event::Exempt { by: li(), until: LATER },
        Event::Alert("build-box".to_owned()),
    ];
    events.extend(outcomes().into_iter().map(|outcome| Event::Ended(Box::new(outcome))));
    all_agree("daemon/report/src/idle/story.rs", "Event", &events);
    let (power, stage, verdict) = (Power::Running, IdleStage::Candidate, Verdict::AlwaysIdle);
    let (name, numbers, holds) = (FoundBy::Rule(rule()), signal_rows(), idle_holds());
    let mut lines = vec![
        StoryLine::Head { row: &rows[0], power: Some(&power), looked_at: Some(AT) },
        StoryLine::Rule(&name),
        StoryLine::Schedule(&name),
        StoryLine::Verdict(&verdict),
        StoryLine::Stage(&stage),
        StoryLine::Event(AT, &events[0]),
    ];
    lines.extend(numbers.iter().map(StoryLine::Numbers));
    lines.extend(holds.iter().map(StoryLine::Held));
    lines.extend(rows.iter().map(StoryLine::Saving));
    all_agree("daemon/report/src/idle/story.rs", "StoryLine", &lines);
    for row in &rows {
        let both = [Language::English, Language::Chinese].map(|of| evidence(row, of));
        assert_eq!(numbers_in(&both[0]), numbers_in(&both[1]));
        assert_eq!(english_words(&both[1]), None);
    }
    let mut total = Sum::default();
    assert_eq!(sum(&total, Language::Chinese), "0");
    total.add(Some((1_000_000, Currency::Usd)));
    total.add(None);
    assert_eq!(sum(&total, Language::Chinese), "730.00 USD + 1 个价格未知");
}

#[test]
fn records_in_brief_say_the_same() {
    let change = Change::Minimum { from: Units(9), to: Units(10) };
    let acted = |dry_run| (name("checkout"), change, dry_run);
    agree(&CycleBrief { services: 5, actions: vec![acted(true), acted(false)] });
    let asks = [
        Ask::Approve { id: "3f2a".to_owned() },
        Ask::Reject { id: "3f2b".to_owned() },
        Ask::Wake { resource: "i-0789".to_owned(), until: LATER },
        Ask::Exempt { resource: "i-0789".to_owned(), until: LATER },
        Ask::Release { rule: rule() },
    ];
    let snapshot = IdleSnapshot {
        taken_at: AT,
        kill_switch: KillSwitch::Clear,
        freezes: Vec::new(),
        disk: Disk::Ample,
        unread: Vec::new(),
        population: Default::default(),
        matched: Default::default(),
        seen: Vec::new(),
        requests: asks.into_iter().map(|ask| Request { by: li(), at: AT, ask }).collect(),
        outcomes: Vec::new(),
    };
    let look = Folded::default().record(&snapshot, &IdlePlan::default(), Default::default());
    let intent = PowerIntent {
        decision: "69a53ebc-5f3e.0".to_owned(),
        at: AT,
        action: PowerAction {
            resource: resource(),
            created_at: None,
            started_at: None,
            verb: Verb::Start,
            because: becauses().remove(0),
            limits: Limits::default(),
        },
    };
    let entries = [
        IdleEntry::Checkpoint(Box::default()),
        IdleEntry::Look(Box::new(look)),
        IdleEntry::Verdicts(Vec::new()),
        IdleEntry::Intents(vec![intent]),
        IdleEntry::Outcomes(outcomes()),
    ];
    all_agree("daemon/journal/src/records/idle.rs", "IdleEntry", &entries);
}
