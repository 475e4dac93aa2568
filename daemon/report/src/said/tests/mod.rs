//! Every variant says the same in both languages: the same numbers and names, and no English words
//! among the Chinese ones.

mod idle;
mod money;
mod reasons;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use ::journal::records::{Load, Promise};
use fleet::group::{Process, ScheduledAction, ServingSign, WarmPool};
use fleet::{
    AccountId, AccountKey, Change, ClockJump, Fault, FaultKind, GroupId, Level, Place,
    ProviderName, Region, Seconds, ServiceName, Step, Timestamp, Units,
};
use planner::lead::{Launches, Lead, LeadFrom, Measured};
use planner::plan::{Action, Bound, BudgetOf, DecidedBy, Finding, Hold, Sizing, Trade, What};
use planner::policy::{Actuate, FreezeScope, Share};
use planner::reasons::{AbsurdNumber, Author, ForeignChange, SwitchThrown, UnusableForecast};
use planner::snapshot::{
    DemandPoint, DemandView, GroupView, NoAnswer, NoForecast, Observation, OrderResult, Record,
    SignalsView, Window,
};
use planner::stage::{Missing, Stage, StageAsk, StageMemory, StageRequest, Why};
use planner::{Milli, WrittenBecause};
use shadow::ShadowEntry;

use super::*;
use crate::Reason;
use crate::explanation::{Broken, Line, Quality};

const AT: Timestamp = Timestamp(1_772_434_800);
const LATER: Timestamp = Timestamp(1_772_438_461);
const FAR: Timestamp = Timestamp(i64::MAX);
const SPAN: Seconds = Seconds(5_027);

/// Runs of digits, with what is behind a point.
fn numbers_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = text
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|run| run.trim_matches('.').to_owned())
        .filter(|run| !run.is_empty())
        .collect();
    found.sort();
    found
}

fn quoted(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    found.sort_unstable();
    found
}

/// Two English words or more in a row, beside names.
fn english_words(text: &str) -> Option<String> {
    let unquoted: Vec<&str> = text.split('`').step_by(2).collect();
    let ascii = |c: char| if c.is_ascii() { c } else { ' ' };
    let parted: String = unquoted.join("`").chars().map(ascii).collect();
    let mut run: Vec<&str> = Vec::new();
    for word in parted.split(' ') {
        let word = word.trim_matches([',', ';', ':', '(', ')']);
        match word.len() > 1 && word.chars().all(|c| c.is_ascii_alphabetic()) {
            true => run.push(word),
            false => run.clear(),
        }
        if run.len() > 1 {
            return Some(run.join(" "));
        }
    }
    None
}

fn agree(said: &(impl Said + Debug)) {
    let (english, chinese) = (said.said(Language::English), said.said(Language::Chinese));
    assert!(chinese.chars().any(|c| ('\u{4e00}'..'\u{a000}').contains(&c)), "{said:?}: {chinese}");
    assert!(english.is_ascii() || english.contains('→'), "{english}");
    assert_eq!(numbers_in(&english), numbers_in(&chinese), "{english}\n{chinese}");
    assert_eq!(quoted(&english), quoted(&chinese), "{english}\n{chinese}");
    assert_eq!(english_words(&chinese), None, "{chinese}");
}

/// The variants of an enum, as its source has them.
fn variants(file: &str, name: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let source = std::fs::read_to_string(path).unwrap();
    // What borrows has a lifetime behind its name.
    let heads = [format!("pub enum {name} {{\n"), format!("pub enum {name}<'a> {{\n")];
    let (_, body) = heads.iter().find_map(|head| source.split_once(head)).unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let heads = body.lines().filter_map(|line| line.strip_prefix("    "));
    let heads = heads.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    heads.map(head).collect()
}

fn head(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric()).collect()
}

/// All of them agree, and none is left out.
fn all_agree<T: Said + Debug>(file: &str, name: &str, all: &[T]) {
    all.iter().for_each(agree);
    let seen: BTreeSet<String> = all.iter().map(|one| head(&format!("{one:?}"))).collect();
    assert_eq!(seen, variants(file, name), "{name}");
}

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn li() -> String {
    "li.wei".to_owned()
}

fn fault(kind: FaultKind) -> Fault {
    let request_id = Some("request-8".to_owned());
    Fault { kind, operation: "DescribeGroups".to_owned(), detail: "E17".to_owned(), request_id }
}

fn faults() -> Vec<Fault> {
    let permission = Some("autoscaling:Set".to_owned());
    vec![
        fault(FaultKind::Throttled { retry_after: Some(SPAN) }),
        fault(FaultKind::Unreachable),
        fault(FaultKind::Unconfirmed),
        fault(FaultKind::Conflict { found: Units(7) }),
        fault(FaultKind::OutOfCapacity),
        fault(FaultKind::Denied { permission: None }),
        fault(FaultKind::Denied { permission }),
        fault(FaultKind::Missing),
        fault(FaultKind::Refused),
        fault(FaultKind::Unreadable),
        Fault { detail: String::new(), request_id: None, ..fault(FaultKind::TimedOut) },
    ]
}

fn whys() -> Vec<Why> {
    vec![
        Why::New,
        Why::Promoted { by: li(), anyway: false },
        Why::Promoted { by: li(), anyway: true },
        Why::Demoted { by: li() },
        Why::RegretViolations { violations: 31, intervals: 1440 },
        Why::RegretRemovals { removals: 3 },
        Why::RegretRestarts { restarts: 3 },
        Why::NewJournal,
    ]
}

fn no_forecasts() -> Vec<NoForecast> {
    vec![
        NoForecast::TooLittleHistory { have: 17, need: 120 },
        NoForecast::WaitingForRefit,
        NoForecast::Unusable { why: UnusableForecast::Values.into() },
        NoForecast::NoData,
    ]
}

fn thrown() -> SwitchThrown {
    SwitchThrown::Exists { path: "/etc/neap/stop".to_owned() }
}

fn absurd() -> AbsurdNumber {
    AbsurdNumber::Demand { value: "1000000000000000000".to_owned(), at: AT }
}

fn holds() -> Vec<Hold> {
    let decided = |kind| fault(kind);
    let text = |text: &str| text.to_owned();
    let share = Share::percent(25);
    let mut holds = vec![
        Hold::RightSize,
        Hold::KillSwitch { why: thrown().into() },
        Hold::ObserveOnly,
        Hold::Frozen { name: text("year-end"), scope: FreezeScope::Decreases, until: LATER },
        Hold::Frozen { name: text("year-end"), scope: FreezeScope::All, until: FAR },
        Hold::Owned { owner: text("Karpenter"), evidence: text("karpenter.sh/nodepool") },
        Hold::NativePolicy { name: text("cpu-50") },
        Hold::Override {
            who: ForeignChange::Desired { by: Author::User }.into(),
            from: Units(3),
            to: Units(14),
            until: LATER,
        },
        Hold::Unobserved,
        Hold::GroupUnread { fault: decided(FaultKind::TimedOut) },
        Hold::NoDemand { fault: None },
        Hold::NoDemand { fault: Some(decided(FaultKind::Missing)) },
        Hold::DemandStale { age: SPAN, limit: Seconds(600) },
        Hold::DemandIncomplete { missing: share },
        Hold::Provisional,
        Hold::Censored,
        Hold::Absurd { what: absurd().into() },
        Hold::ForecastDistrusted { loss_percent: 142 },
        Hold::CapacityUnknown { have: 3, need: 30 },
        Hold::GroupIsChanging { pending: Units(2), terminating: Units(1) },
        Hold::WarmingUp { units: Units(1) },
        Hold::UnknownMembers { units: Units(2) },
        Hold::Refreshing { id: text("refresh-9") },
        Hold::Suspended { process: text("Terminate") },
        Hold::CoolingDown { until: LATER },
        Hold::HoldWindow { needed: Units(9), window: SPAN },
        Hold::Dwelling { most: Units(12), until: LATER },
        Hold::StepLimit { step: Units(20) },
        Hold::Protected { protected: Units(4) },
        Hold::OutageShape { fallen: 5, of: 11, since: AT },
        Hold::FellAlone { since: AT, until: LATER },
        Hold::Disagree {
            since: AT,
            demand_milli: Milli::whole(300_000),
            with_milli: Milli::whole(900_000),
        },
        Hold::BillingMinimum { until: LATER },
        Hold::OrderUnconfirmed { decision: text("69a53ebc-11.0") },
        Hold::OutOfCapacity { short: Units(6) },
        Hold::DiskReserve,
        Hold::SpendCeiling { usd_milli_hourly: 12_345 },
        Hold::EventFloor { name: text("singles-day"), floor: Units(40), until: LATER },
        Hold::Canary { share, left: Units(0), refills_at: LATER },
        Hold::Canary { share, left: Units(1), refills_at: FAR },
        Hold::OfferVoid { by: li() },
        Hold::Unproven { kept: Units(9), until: LATER },
        Hold::Unconfirmed {
            demand_milli: Milli::whole(1_000_000_000),
            known_milli: Milli::whole(650_000),
        },
        Hold::SensorStuck { units: Units(16) },
        Hold::FullBelow { carries_milli: Milli::whole(35_200), given_milli: Milli::whole(39_000) },
        Hold::SizedBy { service: ServiceName::new("checkout").unwrap() },
        Hold::Deploying {
            suspended: vec![Process::AlarmNotification, Process::ScheduledActions],
            until: LATER,
        },
        Hold::LaunchesFail { short: Units(4), why: text("no free addresses in the subnet") },
        Hold::Hours { at: text("Mon-Fri 20:00-07:00"), max: Units(0), until: LATER },
        Hold::HoursFloor { at: text("Mon-Fri 07:00-20:00"), floor: Units(4), until: LATER },
    ];
    let since = AT;
    holds.extend([None, Some(LATER)].map(|known_at| {
        let GroupId { provider, account, region, .. } = group();
        let why = Box::new(NoAnswer { fault: fault(FaultKind::TimedOut), since, known_at });
        Hold::Undiscovered { place: Place { provider, account, region }, why }
    }));
    holds.extend(no_forecasts().into_iter().map(|why| Hold::NoForecast { why }));
    holds.extend(whys().into_iter().map(|why| Hold::Shadow { why, since: AT }));
    let bounds = [Bound::PolicyMin, Bound::PolicyMax, Bound::CloudMin, Bound::CloudMax];
    holds.extend(bounds.map(|bound| Hold::AtBound { bound, value: Units(8) }));
    let budgets = [
        BudgetOf::Group,
        BudgetOf::Account(AccountKey::of(&group().provider, &group().account)),
        BudgetOf::Fleet,
    ];
    let over = |budget| Hold::OverBudget { budget, left: Units(0), refills_at: LATER };
    holds.extend(budgets.map(over));
    holds
}

fn sizing(decided_by: DecidedBy) -> Sizing {
    let trade = Trade {
        units: Units(8),
        violations_millionths: [11_000, 4_200, 42],
        unit_usd_micro_hourly: Some(400_000),
    };
    Sizing {
        demand_milli: Some(Milli::whole(657_250)),
        capacity_milli: Some(Milli::whole(40_000)),
        level: Level::new(0.9869).ok(),
        sized_for_milli: Some(Milli::whole(720_000)),
        needed_lead: Some(Units(19)),
        needed_hold: None,
        needed_reactive: Some(Units(18)),
        decided_by,
        wanted: Units(19),
        trade: Some(trade),
        window: Window {
            sample_age: Seconds(121),
            poll_interval: Seconds(60),
            lead_time: Seconds(267),
            hold: Seconds(900),
        },
    }
}

fn sizings() -> Vec<Sizing> {
    let event = DecidedBy::Event { name: "singles-day".to_owned(), until: LATER };
    let hours = DecidedBy::Hours { at: "Mon-Fri 07:00-20:00".to_owned(), until: LATER };
    let by = [
        DecidedBy::Forecast,
        DecidedBy::ReactiveFloor,
        DecidedBy::Minimum,
        DecidedBy::Maximum,
        DecidedBy::LastTrusted,
        event,
        hours,
    ];
    let whole = by.clone().map(sizing);
    let unknown = by.map(|by| Sizing {
        demand_milli: None,
        capacity_milli: None,
        level: None,
        sized_for_milli: None,
        needed_lead: None,
        needed_reactive: None,
        ..sizing(by)
    });
    whole.into_iter().chain(unknown).collect()
}

fn group() -> GroupId {
    GroupId {
        provider: ProviderName::new("sim").unwrap(),
        account: AccountId::new("default").unwrap(),
        region: Region::new("eu-1").unwrap(),
        id: "checkout-asg".to_owned(),
    }
}

fn in_part(mut seen: Observation) -> Observation {
    seen.demand.missing = Share::ALL;
    seen
}

fn observation(group: Result<GroupView, Fault>, fault: Option<Fault>, known: bool) -> Observation {
    let settled = DemandPoint { start: AT, value: 657.25, censored: false };
    Observation {
        group,
        demand: DemandView {
            step: Step::MINUTE,
            settled: known.then_some(settled),
            provisional: Vec::new(),
            newly_settled: Vec::new(),
            fastest_rise: 0.0,
            recent_low: None,
            missing: Share::NONE,
            fault,
            utilisation: None,
            settling: SPAN,
        },
        forecast: Err(NoForecast::NoData),
        signals: SignalsView::default(),
        outcomes: Vec::new(),
        lead_times: Vec::new(),
        past: Vec::new(),
        launched: Vec::new(),
        hours: Vec::new(),
    }
}

fn view() -> GroupView {
    GroupView {
        min: Units(2),
        max: Units(80),
        in_service: Units(8),
        pending: Units(1),
        ..GroupView::at_rest(group(), AT, Units(9))
    }
}

fn results() -> Vec<OrderResult> {
    let found = Units(7);
    let mut results = vec![
        OrderResult::Applied,
        OrderResult::Contested { found, restored: true },
        OrderResult::Contested { found, restored: false },
        OrderResult::Moved { found },
        OrderResult::Owned {
            owner: fleet::group::Owner {
                name: "Karpenter".to_owned(),
                evidence: "karpenter.sh/nodepool".to_owned(),
            },
        },
        OrderResult::Stopped,
    ];
    results.extend(faults().into_iter().map(|fault| OrderResult::Failed { fault }));
    let seen = [None, Some(true), Some(false)];
    results.extend(seen.map(|effect_seen| OrderResult::Unconfirmed { effect_seen }));
    results
}

impl Debug for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const PLAN: &str = "planner/src/plan.rs";
const STAGE: &str = "planner/src/stage.rs";

#[test]
fn decisions_and_holds_say_the_same() {
    all_agree(PLAN, "Hold", &holds());
    let (from, to) = (Units(9), Units(10));
    all_agree(
        "fleet/src/change.rs",
        "Change",
        &[Change::Desired { from, to }, Change::Minimum { from, to }],
    );
    all_agree("planner/src/snapshot.rs", "NoForecast", &no_forecasts());
    faults().iter().for_each(agree);
    let kinds: BTreeSet<String> =
        faults().iter().map(|fault| head(&format!("{:?}", fault.kind))).collect();
    assert_eq!(kinds, variants("fleet/src/fault.rs", "FaultKind"));
    let reasons: Vec<Reason> = sizings().iter().map(Reason::of).collect();
    reasons.iter().for_each(agree);
    let by: BTreeSet<String> =
        reasons.iter().map(|reason| head(&format!("{:?}", reason.decided_by))).collect();
    assert_eq!(by, variants(PLAN, "DecidedBy"));
    let trade = sizing(DecidedBy::Forecast).trade.unwrap();
    agree(&trade);
    agree(&Trade { units: Units(1), unit_usd_micro_hourly: None, ..trade });
    let results = results();
    let endings: Vec<Ending<'_>> = results.iter().map(Ending).collect();
    all_agree("planner/src/snapshot.rs", "OrderResult", &endings);
}

#[test]
fn stages_and_gates_say_the_same() {
    let share = Share::percent(25);
    all_agree(STAGE, "Stage", &[Stage::Shadow, Stage::Canary { share }, Stage::Promoted]);
    all_agree(STAGE, "Why", &whys());
    let missing = [
        Missing::Time { have: SPAN, need: Seconds::days(7) },
        Missing::Decisions { have: 3, need: 10 },
        Missing::Violations { would: 12_345, most: 5_000 },
        Missing::Cost { per_mille: 1_234, most: 1_050, usd: None },
        Missing::Cost { per_mille: 1_234, most: 1_050, usd: Some([100.5, 124.0]) },
        Missing::Forecast,
        Missing::WrongStops { wrong: 2, stops: 11, most: Share::percent(10) },
    ];
    all_agree("planner/src/stage/gate.rs", "Missing", &missing);
    let promote = |share, anyway| StageAsk::Promote {
        service: name("checkout"),
        share,
        anyway,
        bound_to: "1a2b3c".to_owned(),
    };
    let forgotten = || fleet::RuleName("forgotten-7".to_owned());
    let promote_rule = |anyway| {
        let bound_to = "1a2b3c".to_owned();
        StageAsk::PromoteGatedRule { rule: forgotten(), anyway, bound_to }
    };
    let asks = [
        promote(None, false),
        promote(Some(share), true),
        StageAsk::PromoteRule { rule: forgotten() },
        StageAsk::Demote { service: name("checkout") },
        StageAsk::DemoteRule { rule: forgotten() },
        StageAsk::DemoteAll,
        promote_rule(false),
        promote_rule(true),
        StageAsk::StartedAgain {
            rule: forgotten(),
            resource: "i-0123".to_owned(),
            stopped_at: LATER,
        },
        StageAsk::Acknowledge { service: name("checkout") },
        StageAsk::AcknowledgeAll,
        StageAsk::NewJournal,
    ];
    for ask in asks {
        let request = StageRequest { by: li(), at: AT, ask };
        agree(&request);
        agree(&ShadowEntry::Asked(request));
    }
    agree(&ShadowEntry::Scores(Box::default()));
    agree(&ShadowEntry::Rules(Box::default()));
    agree(&ShadowEntry::Minimums(Vec::new()));
    agree(&ShadowEntry::Prices([].into()));
    agree(&ShadowEntry::Counted(Box::default(), Box::default()));
    for (expected, shows) in [(AT, LATER), (LATER, AT)] {
        agree(&ShadowEntry::Clock(ClockJump { expected, shows }));
    }
}

#[test]
fn explanations_say_the_same() {
    let sizing = sizing(DecidedBy::Forecast);
    let change = Change::Desired { from: Units(18), to: Units(19) };
    let action = |dry_run| Action {
        service: name("checkout"),
        group: group(),
        change,
        sizing: sizing.clone(),
        dry_run,
    };
    let hold = Hold::StepLimit { step: Units(20) };
    let finding = Finding { service: None, what: What::Noted, hold, sizing: None };
    let memory = StageMemory {
        stage: Stage::Canary { share: Share::percent(25) },
        since: AT,
        why: Why::Promoted { by: li(), anyway: true },
        shrank_at: None,
        regretted: 0,
    };
    let missing = || fault(FaultKind::Missing);
    let seen = [
        observation(Ok(view()), None, true),
        observation(Ok(view()), Some(missing()), true),
        in_part(observation(Ok(view()), Some(missing()), true)),
        observation(Err(missing()), Some(missing()), false),
        observation(Err(missing()), None, false),
    ];
    let promise = Promise { promised: 0.005, missed: 0.012, days: 27.25 };
    let record = Some(Record { covered_milli: 876, bias_milli: -830 });
    let unknown = sizings().pop().unwrap();
    let (dry, wet) = (action(true), action(false));
    let applied = OrderResult::Applied;
    let broken = |units| Broken { service: &wet.service, promise: &promise, units };
    let leads = leads();
    let mut lines = vec![
        Line::Action(&dry),
        Line::Action(&wet),
        Line::Because(&sizing, Load::PerSecond),
        Line::Because(&sizing, Load::BusyUnits),
        Line::Found(&finding),
        Line::Group(None, Load::PerSecond),
        Line::Stage(&memory),
        Line::Needed(&sizing, Load::PerSecond),
        Line::Needed(&sizing, Load::BusyUnits),
        Line::Needed(&unknown, Load::PerSecond),
        Line::Trade(sizing.trade.as_ref().unwrap()),
        Line::Window(&sizing.window, None),
        Line::Order(&applied),
        Line::Quality(Quality { loss: Some(0.463), record, kept: Some(&promise) }),
        Line::Quality(Quality { loss: None, record, kept: None }),
        Line::Promise(broken(None)),
        Line::Promise(broken(Some((Units(19), 17)))),
    ];
    lines.extend(leads.iter().map(|lead| Line::Window(&sizing.window, Some(lead))));
    lines.extend(seen.iter().map(|seen| Line::Group(Some(seen), Load::BusyUnits)));
    let text = |text: &str| text.to_owned();
    let whys = [
        WrittenBecause::Configured,
        WrittenBecause::ScalesIn { policy: text("cpu-50") },
        WrittenBecause::NoPolicy,
        WrittenBecause::NeverScaleIn { policies: 1 },
        WrittenBecause::NeverScaleIn { policies: 3 },
        WrittenBecause::AlarmsSuspended,
        WrittenBecause::Unread,
    ];
    all_agree("planner/src/writes.rs", "WrittenBecause", &whys);
    let writes: Vec<(Actuate, WrittenBecause)> = whys
        .into_iter()
        .flat_map(|why| [(Actuate::Desired, why.clone()), (Actuate::Floor, why)])
        .collect();
    lines.extend(writes.iter().map(Line::Writes));
    let beside = [Some(Timestamp(AT.0 + 60)), None].map(|at| {
        let mut view = view();
        view.scheduled = vec![ScheduledAction {
            name: text("night"),
            at,
            recurrence: Some(text("0 20 * * 1-5")),
            desired: None,
            min: Some(Units(2)),
            max: Some(Units(7)),
        }];
        view.aside.suspended = [Process::AlarmNotification, Process::Launch].into();
        view.aside.machines = Some(5);
        view.aside.buys_spot = true;
        view.aside.warm_pool = Some(WarmPool { min: 2, size: Some(3), state: text("Stopped") });
        observation(Ok(view), None, true)
    });
    lines.extend(beside.iter().map(|seen| Line::Group(Some(seen), Load::PerSecond)));
    lines.iter().for_each(agree);
    let since = Line::Since { at: AT, next: LATER };
    agree(&since);
    lines.push(since);
    let seen: BTreeSet<String> = lines.iter().map(|line| head(&format!("{line:?}"))).collect();
    assert_eq!(seen, variants("daemon/report/src/explanation/lines.rs", "Line"));
}

/// Lead times of every origin.
fn leads() -> Vec<Lead> {
    let launches = |count, seconds| Some(Launches { count, took: Seconds(seconds) });
    let of = |decided_by, measured, in_service| Lead {
        time: Seconds(480),
        decided_by,
        measured,
        in_service,
    };
    let by = |told_by| Some(Measured { told_by, cold: launches(5, 307), warm: launches(2, 41) });
    let mut leads = vec![
        of(LeadFrom::Operator, None, None),
        of(LeadFrom::Operator, None, launches(6, 32)),
        of(LeadFrom::Measured, by(ServingSign::WarmUp), launches(6, 32)),
    ];
    let signs = [ServingSign::Targets, ServingSign::Member, ServingSign::HealthyHosts];
    leads.extend(signs.map(|sign| of(LeadFrom::Measured, by(sign), None)));
    let cold = Measured { told_by: ServingSign::Targets, cold: launches(1, 200), warm: None };
    leads.push(of(LeadFrom::Operator, Some(cold), None));
    leads
}
