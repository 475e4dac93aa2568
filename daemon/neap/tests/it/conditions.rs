//! What a cycle says is wrong: by holds, by results of orders, by what groups are short of, and of
//! what it cannot tell.

use std::collections::BTreeMap;

use fleet::alert::{Condition, Severity};
use fleet::{
    AccountId, Change, Fault, FaultKind, GroupId, Place, ProviderName, Region, Seconds,
    ServiceName, Step, Timestamp, Units,
};
use journal::records::OpenConditions;
use journal::{CycleId, RecordId};
use planner::plan::{Action, Bound, DecidedBy, Finding, Hold, Plan, Sizing, What};
use planner::policy::{Policy, Share};
use planner::reasons::SwitchThrown;
use planner::snapshot::{
    DemandView, Disk, GroupView, KillSwitch, NoAnswer, NoForecast, Observation, OrderResult,
    SignalsView, Snapshot, Window,
};
use planner::{Memory, Milli};
use report::Turn;
use report::conditions::{Assessment, Cycle, Found, Trouble, find};

/// 2026-03-02T00:00:00Z.
const START: Timestamp = Timestamp(1_772_409_600);

const CONFIG: &str = r#"
mode = "act"
[provider.aws]
kind = "aws"
regions = ["ap-southeast-1"]
[[service]]
name = "web"
demand = [{ namespace = "AWS/ApplicationELB", metric = "RequestCount", dimensions = { LoadBalancer = "app/one/50dc" } }]
[[service.pool]]
group = "web"
capacity_per_unit = 40
lead_time = "4m"
"#;

fn web() -> ServiceName {
    ServiceName::new("web").unwrap()
}

fn group() -> GroupId {
    GroupId {
        provider: ProviderName::new("aws").unwrap(),
        account: AccountId::new("123456789012").unwrap(),
        region: Region::new("ap-southeast-1").unwrap(),
        id: "web".to_owned(),
    }
}

fn fault(kind: FaultKind) -> Fault {
    let (operation, detail) = ("Call".to_owned(), "words of the cloud".to_owned());
    Fault { kind, operation, detail, request_id: None }
}

/// A fleet of one service, and what is said of it cycle by cycle.
struct Bench {
    policy: Policy,
    memory: Memory,
    open: OpenConditions,
    launches: BTreeMap<ServiceName, String>,
    turn: Turn,
}

impl Bench {
    fn new(config: &str) -> Bench {
        let policy = neap::settings::parse("neap.toml", config).expect("a sound file").policy;
        let demand = DemandView::unknown(Step::MINUTE);
        let seen = Observation {
            group: Ok(GroupView::at_rest(group(), START, Units(4))),
            demand,
            forecast: Err(NoForecast::NoData),
            signals: SignalsView::default(),
            outcomes: Vec::new(),
            lead_times: Vec::new(),
            past: Vec::new(),
            launched: Vec::new(),
            hours: Vec::new(),
        };
        let snapshot = Snapshot {
            taken_at: START,
            kill_switch: KillSwitch::Clear,
            freezes: Vec::new(),
            floors: Vec::new(),
            disk: Disk::Ample,
            acknowledged: Vec::new(),
            undiscovered: BTreeMap::new(),
            services: BTreeMap::from([(web(), seen)]),
            requests: Vec::new(),
        };
        let id = CycleId(RecordId::at_or_after(START));
        Bench {
            policy,
            memory: Memory::default(),
            open: OpenConditions::default(),
            launches: BTreeMap::new(),
            turn: Turn { id, snapshot, plan: Plan::default(), results: Vec::new() },
        }
    }

    fn find(&mut self) -> Assessment {
        let cycle = Cycle {
            turn: &self.turn,
            policy: &self.policy,
            memory: &self.memory,
            launches: &self.launches,
        };
        find(&cycle, &mut self.open)
    }

    fn held(config: &str, hold: Hold) -> Assessment {
        let mut bench = Bench::new(config);
        let (service, what, sizing) = (Some(web()), What::Held, None);
        bench.turn.plan.findings.push(Finding { service, what, hold, sizing });
        bench.find()
    }

    fn ordered(change: Change, result: OrderResult) -> Assessment {
        let mut bench = Bench::new(CONFIG);
        let sizing = Sizing {
            demand_milli: None,
            capacity_milli: None,
            level: None,
            sized_for_milli: None,
            needed_lead: None,
            needed_hold: None,
            needed_reactive: None,
            decided_by: DecidedBy::ReactiveFloor,
            wanted: change.to(),
            trade: None,
            window: Window::default(),
        };
        let action = Action { service: web(), group: group(), change, sizing, dry_run: false };
        bench.turn.results.push((action, result));
        bench.find()
    }

    /// A minute later, with so many units.
    fn minute(&mut self, desired: u32, in_service: u32) -> Vec<Found> {
        let now = self.turn.snapshot.taken_at + Seconds(60);
        self.turn.snapshot.taken_at = now;
        let seen = self.turn.snapshot.services.get_mut(&web()).unwrap();
        seen.group = Ok(GroupView {
            in_service: Units(in_service),
            ..GroupView::at_rest(group(), now, Units(desired))
        });
        self.find().found
    }
}

fn brief(assessment: &Assessment) -> Vec<(&'static str, &str, Severity, u64)> {
    let found = assessment.found.iter();
    found.map(|f| (f.key.of.word(), f.subject.as_str(), f.severity, f.after_cycles)).collect()
}

#[test]
fn each_hold_that_somebody_must_hear_of_is_found_and_no_other() {
    use Severity::{Critical, Warning};
    let denied = || fault(FaultKind::Denied { permission: None });
    let at = |bound| Hold::AtBound { bound, value: Units(9) };
    for (hold, expected) in [
        (Hold::GroupUnread { fault: denied() }, Some(("demand-unknown", Warning, 10))),
        (Hold::NoDemand { fault: None }, Some(("demand-unknown", Warning, 10))),
        (
            Hold::DemandStale { age: Seconds(900), limit: Seconds(600) },
            Some(("demand-unknown", Warning, 10)),
        ),
        (Hold::DemandIncomplete { missing: Share::ALL }, Some(("demand-unknown", Warning, 10))),
        (Hold::Unobserved, Some(("demand-unknown", Warning, 10))),
        (Hold::OutageShape { fallen: 2, of: 3, since: START }, Some(("outage-shape", Critical, 0))),
        (Hold::FellAlone { since: START, until: START }, Some(("demand-doubted", Warning, 3))),
        (
            Hold::Disagree {
                since: START,
                demand_milli: Milli::whole(3),
                with_milli: Milli::whole(9),
            },
            Some(("demand-doubted", Warning, 3)),
        ),
        (at(Bound::PolicyMax), Some(("at-maximum", Warning, 3))),
        (at(Bound::CloudMax), Some(("at-maximum", Warning, 3))),
        (Hold::SpendCeiling { usd_milli_hourly: 5 }, Some(("at-maximum", Warning, 3))),
        (at(Bound::PolicyMin), None),
        (at(Bound::CloudMin), None),
        (Hold::RightSize, None),
        (Hold::Provisional, None),
        (Hold::CoolingDown { until: START }, None),
    ] {
        let told = Bench::held(CONFIG, hold.clone());
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(word, severity, after)| (word, "web", severity, after))
            .collect();
        assert_eq!(brief(&told), expected, "{hold:?}");
        // What does not act wakes nobody.
        let observe = CONFIG.replace("\"act\"", "\"observe\"");
        let told = Bench::held(&observe, hold);
        assert!(told.found.iter().all(|found| found.severity == Severity::Info));
    }
}

#[test]
fn an_order_that_is_refused_is_told_at_once_and_one_that_may_pass_later() {
    let grow = Change::Desired { from: Units(4), to: Units(9) };
    let shrink = Change::Desired { from: Units(9), to: Units(4) };
    let floor = Change::Minimum { from: Units(4), to: Units(9) };
    let denied = || FaultKind::Denied { permission: None };
    for (kind, after) in [
        (denied(), 0),
        (FaultKind::Refused, 0),
        (FaultKind::Missing, 0),
        (FaultKind::Unreadable, 0),
        (FaultKind::Throttled { retry_after: None }, 3),
        (FaultKind::Unreachable, 3),
        (FaultKind::TimedOut, 3),
        (FaultKind::OutOfCapacity, 3),
        (FaultKind::Conflict { found: Units(3) }, 3),
    ] {
        let told = Bench::ordered(grow, OrderResult::Failed { fault: fault(kind.clone()) });
        assert_eq!(brief(&told), [("order-refused", "web", Severity::Critical, after)], "{kind:?}");
    }
    for (change, severity) in [(shrink, Severity::Warning), (floor, Severity::Critical)] {
        let told = Bench::ordered(change, OrderResult::Failed { fault: fault(denied()) });
        assert_eq!(brief(&told), [("order-refused", "web", severity, 0)]);
    }
    for result in [
        OrderResult::Applied,
        OrderResult::Stopped,
        OrderResult::Moved { found: Units(5) },
        OrderResult::Contested { found: Units(5), restored: true },
        OrderResult::Unconfirmed { effect_seen: None },
        OrderResult::Failed { fault: fault(FaultKind::Unconfirmed) },
    ] {
        assert_eq!(brief(&Bench::ordered(grow, result.clone())), [], "{result:?}");
    }
}

#[test]
fn a_group_is_short_once_its_lead_time_is_over_with_the_words_of_the_cloud() {
    let mut bench = Bench::new(CONFIG);
    bench.launches.insert(web(), "no capacity in this zone".to_owned());
    assert_eq!(bench.minute(4, 4), []);
    // Ordered now, due in four minutes.
    for _ in 0..5 {
        assert_eq!(bench.minute(20, 5), []);
    }
    let found = bench.minute(20, 5);
    let [Found { key, why: Trouble::Short { told, has, cloud, .. }, severity, .. }] =
        found.as_slice()
    else {
        panic!("{found:?}");
    };
    assert_eq!((key.of, key.scope.as_str()), (Condition::GroupShort, "aws"));
    assert_eq!((*told, *has, *severity), (Units(20), Units(5), Severity::Warning));
    assert_eq!(cloud.as_deref(), Some("no capacity in this zone"));
    // Somebody lowers it to what is there: nothing is owed.
    assert_eq!(bench.minute(5, 5), []);
    // What came late is paid; more that was ordered meanwhile is due later.
    (0..7).for_each(|_| assert!(bench.minute(9, 5).len() <= 1));
    assert_eq!(bench.minute(14, 9), []);
    assert_eq!(bench.minute(14, 9), []);
}

#[test]
fn what_cannot_be_seen_is_neither_wrong_nor_right() {
    let mut bench = Bench::new(CONFIG);
    for _ in 0..7 {
        bench.minute(20, 5);
    }
    let seen = bench.turn.snapshot.services.get_mut(&web()).unwrap();
    seen.group = Err(fault(FaultKind::Unreachable));
    let told = bench.find();
    for of in [Condition::GroupShort, Condition::OrderRefused, Condition::AtMaximum] {
        assert!(told.unknown.by_name.contains(&(of, "web".to_owned())), "{of:?}");
    }
    // And what was owed is owed still.
    assert_eq!(bench.minute(20, 5).len(), 1);
}

#[test]
fn what_is_wrong_with_neap_itself_is_found() {
    let mut bench = Bench::new(CONFIG);
    let why = SwitchThrown::Exists { path: "stop".to_owned() };
    bench.turn.snapshot.kill_switch = KillSwitch::Thrown { why: why.into() };
    bench.turn.snapshot.disk = Disk::ReserveOnly;
    let place = Place {
        provider: ProviderName::new("aws").unwrap(),
        account: AccountId::new("123456789012").unwrap(),
        region: Region::new("eu-west-1").unwrap(),
    };
    let missing = NoAnswer { fault: fault(FaultKind::TimedOut), since: START, known_at: None };
    bench.turn.snapshot.undiscovered.insert(place.clone(), missing.clone());
    let told = bench.find();
    assert_eq!(
        brief(&told),
        [
            ("kill-switch", "kill-switch", Severity::Warning, 0),
            ("journal", "journal", Severity::Critical, 0),
            ("discovery", "aws/123456789012/eu-west-1", Severity::Warning, 3),
        ]
    );
    // Services that are away meanwhile are not over it.
    assert_eq!(told.unknown.of_providers, ["aws"]);
    assert_eq!(told.found[2].key.scope, "aws");
    // Where its groups are known their services are there, and those that are not there are gone.
    bench.turn.snapshot.undiscovered.insert(place, NoAnswer { known_at: Some(START), ..missing });
    assert!(bench.find().unknown.of_providers.is_empty());
    assert!(told.unknown.known.contains("web"));
}
