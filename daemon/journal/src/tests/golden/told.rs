//! Samples of what others write into the journal: alerts, stories and idle looks.

use std::collections::{BTreeMap, BTreeSet};

use fleet::RuleName;
use fleet::alert::{Alert, Condition, Severity};
use fleet::money::Saving;
use fleet::resource::{Fact, Part, Power, Resource, Subject};
use planner::idle::evidence::{Evidence, Verdict};
use planner::idle::memory::{IdleDelta, IdleMemory};
use planner::idle::plan::{Because, FoundBy, IdleFinding, IdlePlan, PowerAction, Stage, Verb};
use planner::idle::rule::{IdlePolicy, Limits};
use planner::idle::snapshot::{IdleSnapshot, PowerOutcome, PowerResult, Seen};
use planner::snapshot::{KillSwitch, Observation};

use super::super::super::records::conditions::{
    Announced, Member, Notice, OpenConditions, Owed, ThreadKey, ThreadState,
};
use super::super::super::records::digest::{Chart, ChartDay, Dispatch};
use super::super::super::records::explanation::{Explanation, Load, Promise};
use super::super::super::records::idle::{Checkpoint, IdleEntry, Judged, LookRecord, PowerIntent};
use super::super::super::stories::Stories;
use super::samples::{action, finding, observation, stage};
use super::*;

fn rule() -> RuleName {
    RuleName(text("rule"))
}

fn alert() -> Alert {
    Alert {
        key: text("key"),
        severity: Severity::Critical,
        at: at(1),
        title: text("title"),
        lines: vec![text("line")],
        subject: Some(text("subject")),
        owner: Some(text("owner")),
    }
}

fn thread() -> ThreadKey {
    ThreadKey { of: Condition::DemandUnknown, scope: text("scope") }
}

fn standing() -> ThreadState {
    let member =
        Member { since: at(1), gone_since: Some(at(2)), stands: true, severity: Severity::Warning };
    let told = Announced {
        first_at: at(3),
        at: at(4),
        severity: Severity::Warning,
        named: BTreeSet::from([text("named")]),
        ever: BTreeSet::from([text("ever")]),
    };
    ThreadState { members: BTreeMap::from([(text("member"), member)]), told: Some(told) }
}

fn notice() -> Notice {
    Notice {
        alert: alert(),
        title_zh: text("title in Chinese"),
        lines_zh: vec![text("line in Chinese")],
        names: vec![text("name")],
        key: thread(),
        left: Some(standing()),
    }
}

pub(super) fn alerts(golden: &mut Golden) {
    let day = ChartDay {
        day: 20_000,
        unit_seconds: [1, 2, 3],
        usd_micro: [4, 5, 6],
        violations: [7, 8],
        priced: true,
    };
    let digest = Dispatch {
        channel: text("channel"),
        names: vec![text("name")],
        chart: Some(Chart { days: vec![day] }),
    };
    every!(golden, AlertEntry {
        Raised(alert()),
        Sent { alert: record_id(4), channel: text("channel"), at: at(2) },
        GaveUp { alert: record_id(4), channel: text("channel"), at: at(2), why: text("why") },
        Digest(alert(), digest),
        Notice(notice()),
        Conditions(OpenConditions {
            threads: BTreeMap::from([(thread(), standing())]),
            owed: BTreeMap::from([(service(), Owed { units: Units(7), since: at(6) })]),
        }),
    });
}

fn explanation() -> Explanation {
    Explanation {
        service: service(),
        taken_at: at(1),
        seen: Some(Observation { launched: Vec::new(), ..observation() }),
        action: Some(action()),
        findings: vec![finding(Some(service()))],
        next: at(2),
        since: Some(at(3)),
        outcome: Some(OrderResult::Applied),
        promise: Some(Promise { promised: 0.005, missed: 0.25, days: 7.5 }),
        stage: Some(stage()),
        lead: None,
        writes: None,
        load: Load::PerSecond,
    }
}

pub(super) fn stories(golden: &mut Golden) {
    every!(golden, Stories {
        Cycle { services: 7, told: vec![explanation()] },
        Shadow { cycle: cycle_id(), told: vec![explanation()] },
    });
}

fn seen() -> Seen {
    let part = Part {
        used_by: Fact::Known(None),
        unused_since: Some(at(1)),
        looked_at: told("looked at"),
    };
    let resource = Resource {
        id: resource_id(),
        name: text("name"),
        read_at: at(2),
        created_at: None,
        started_at: None,
        power: Power::Running,
        zone: None,
        class: None,
        platform: None,
        size_gib: Some(8),
        tags: BTreeMap::new(),
        sampled_every: Seconds(300),
        signals: BTreeSet::new(),
        subject: Subject::Part(part),
    };
    Seen {
        resource,
        rule: Some(rule()),
        evidence: Some(evidence()),
        schedule: None,
        last_hour: None,
        saving: Some(saving()),
    }
}

fn evidence() -> Evidence {
    Evidence {
        from: at(1),
        until: at(2),
        rows: Vec::new(),
        looked_at: None,
        verdict: Verdict::AlwaysIdle,
    }
}

fn saving() -> Saving {
    Saving { resource: resource_id(), price: None, hourly_micro: Some(3), still_paid: Vec::new() }
}

fn idle_finding() -> IdleFinding {
    IdleFinding {
        resource: Some(resource_id()),
        rule: FoundBy::from(&rule()),
        stage: Stage::Candidate,
        holds: Vec::new(),
        risk: None,
    }
}

fn power_action() -> PowerAction {
    PowerAction {
        resource: resource_id(),
        created_at: Some(at(1)),
        started_at: Some(at(2)),
        verb: Verb::Start,
        because: Because::Idle { rule: rule() },
        limits: Limits::default(),
    }
}

fn power_intent() -> PowerIntent {
    PowerIntent { decision: text("decision"), at: at(3), action: power_action() }
}

fn power_outcome() -> PowerOutcome {
    PowerOutcome {
        decision: text("decision"),
        resource: resource_id(),
        up: true,
        mode: None,
        because: Because::Idle { rule: rule() },
        at: at(4),
        result: PowerResult::Taken,
    }
}

fn idle_memory() -> IdleMemory {
    IdleMemory { rules: [(rule(), Default::default())].into(), ..IdleMemory::default() }
}

fn look() -> LookRecord {
    LookRecord {
        revision: 1,
        snapshot: IdleSnapshot {
            taken_at: at(1),
            kill_switch: KillSwitch::Clear,
            freezes: Vec::new(),
            disk: Disk::Ample,
            unread: Vec::new(),
            population: BTreeMap::new(),
            matched: [(rule(), 3)].into(),
            seen: Vec::new(),
            requests: Vec::new(),
            outcomes: vec![power_outcome()],
        },
        changed: vec![seen()],
        gone: vec![resource_id()],
        plan: IdlePlan {
            actions: vec![power_action()],
            tags: Vec::new(),
            findings: vec![idle_finding()],
            alerts: Vec::new(),
        },
        findings_gone: vec![(Some(resource_id()), FoundBy::from(&rule()))],
        delta: IdleDelta { rules: [(rule(), None)].into(), ..IdleDelta::default() },
    }
}

pub(super) fn idle(golden: &mut Golden) {
    let checkpoint = Checkpoint {
        policy: IdlePolicy { protect_tag: text("protect"), ..IdlePolicy::default() },
        memory: idle_memory(),
        seen: vec![seen()],
        findings: vec![idle_finding()],
        open: vec![power_intent()],
        unseen: vec![power_outcome()],
    };
    let judged = Judged {
        resource: resource_id(),
        name: text("name"),
        class: Some(text("class")),
        rule: rule(),
        evidence: evidence(),
        saving: Some(saving()),
        at: at(1),
    };
    every!(golden, IdleEntry {
        Checkpoint(Box::new(checkpoint)),
        Look(Box::new(look())),
        Verdicts(vec![judged]),
        Intents(vec![power_intent()]),
        Outcomes(vec![power_outcome()]),
    });
}
