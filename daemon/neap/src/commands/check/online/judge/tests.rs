//! What is told of facts, whatever they are.

use std::collections::BTreeMap;

use fleet::group::{GroupState, NativePolicy, NativePolicyKind};
use fleet::metric::{MetricQuery, Sample, Statistic};
use fleet::{
    AccountId, Fault, FaultKind, GroupId, Place, ProviderName, Region, ServiceName, Step,
    Timestamp, Units,
};
use providers::{Identity, Limit, Room, Tried};

use super::*;

const NOW: Timestamp = Timestamp(1_790_553_600);

fn place(account: &str) -> Place {
    Place {
        provider: ProviderName::new("aws").unwrap(),
        account: AccountId::new(account).unwrap(),
        region: Region::new("eu-west-1").unwrap(),
    }
}

fn state() -> GroupState {
    let Place { provider, account, region } = place("default");
    GroupState {
        id: GroupId { provider, account, region, id: "arn/web".to_owned() },
        name: "web".to_owned(),
        read_at: NOW,
        desired: Units(4),
        min: Units(1),
        max: Units(10),
        instances: Vec::new(),
        tags: BTreeMap::from([("neap:managed".to_owned(), "true".to_owned())]),
        suspended: Default::default(),
        refresh: None,
        policies: Vec::new(),
        scheduled: Vec::new(),
        owner: None,
        new_instances_protected: false,
        health_check_grace: Seconds::ZERO,
        warm_up: None,
        activities: Vec::new(),
        serving: Default::default(),
        buys_spot: false,
        warm_pool: None,
    }
}

fn service(acts: bool, state: GroupState) -> ServiceFacts {
    ServiceFacts {
        name: ServiceName::new("web").unwrap(),
        place: place("default"),
        acts,
        min: 1,
        max: Some(10),
        group: Ok(state),
        writes: Some(Actuate::Desired),
        tag_command: Some("tag it".to_owned()),
    }
}

fn worst(found: &[Finding]) -> Mark {
    found.iter().map(|finding| finding.mark).max().unwrap()
}

fn fault(kind: FaultKind) -> Fault {
    let (operation, detail) = ("DescribeThings".to_owned(), "why".to_owned());
    Fault { kind, operation, detail, request_id: None }
}

#[test]
fn what_stands_in_the_way_stops_a_service_that_acts_and_is_a_note_for_one_that_does_not() {
    let policy = |scales_in, enabled| NativePolicy {
        name: "cpu".to_owned(),
        kind: NativePolicyKind::TargetTracking,
        enabled,
        scales_in,
    };
    let owner = |name: &str| Owner { name: name.to_owned(), evidence: "tag".to_owned() };
    let fine = state();
    let untagged = GroupState { tags: BTreeMap::new(), ..state() };
    let other = BTreeMap::from([("neap:managed".to_owned(), "no".to_owned())]);
    let cases = [
        (fine, false),
        (untagged, true),
        (GroupState { tags: other, ..state() }, true),
        (GroupState { owner: Some(owner("Karpenter")), ..state() }, true),
        (GroupState { owner: Some(owner(Owner::NEAP)), ..state() }, false),
        (GroupState { policies: vec![policy(true, true)], ..state() }, true),
        (GroupState { policies: vec![policy(false, true), policy(true, false)], ..state() }, false),
    ];
    for (group, in_the_way) in cases {
        let acting = of_service(&service(true, group.clone()));
        assert_eq!(worst(&acting) == Mark::Stops, in_the_way, "{acting:?}");
        let observing = of_service(&service(false, group));
        assert_eq!(worst(&observing), Mark::Note, "{observing:?}");
    }
    let gone = ServiceFacts { group: Err(fault(FaultKind::Missing)), ..service(false, state()) };
    assert_eq!(worst(&of_service(&gone)), Mark::Stops, "nothing is decided of what is not there");
}

#[test]
fn a_tag_is_asked_for_only_where_the_cloud_has_it_and_with_its_command() {
    let untagged = GroupState { tags: BTreeMap::new(), ..state() };
    let told = of_service(&service(true, untagged.clone()));
    let mend: Vec<_> = told.iter().filter_map(|finding| finding.mend.as_deref()).collect();
    assert_eq!(mend, ["tag it"]);
    let simulated = ServiceFacts { tag_command: None, ..service(true, untagged) };
    assert_eq!(worst(&of_service(&simulated)), Mark::Note);
}

#[test]
fn bounds_of_the_group_that_are_narrower_than_the_policys_are_told() {
    let found = |max, own_max, own_min, writes| {
        let group = GroupState { max: Units(own_max), min: Units(own_min), ..state() };
        let facts = ServiceFacts { max, writes: Some(writes), ..service(true, group) };
        let told = of_service(&facts);
        told.iter()
            .filter(|finding| {
                finding.mark != Mark::Note || matches!(finding.what, What::HighMinimum { .. })
            })
            .count()
    };
    assert_eq!(found(Some(10), 10, 1, Actuate::Desired), 0);
    assert_eq!(found(Some(20), 10, 1, Actuate::Desired), 1);
    assert_eq!(found(None, 10, 3, Actuate::Desired), 1);
    assert_eq!(found(None, 10, 3, Actuate::Floor), 0, "that minimum is the one neap writes");
}

fn metric(
    starts: impl IntoIterator<Item = i64>,
    period: u32,
    when_missing: WhenMissing,
    asked: AskedAs,
) -> Read {
    let Place { provider, account, region } = place("default");
    let samples =
        starts.into_iter().map(|ago| Sample { start: NOW - Seconds(ago as u64), value: 1.0 });
    Read {
        query: MetricQuery {
            provider,
            account,
            region,
            namespace: "AWS/SQS".to_owned(),
            metric: "NumberOfMessagesSent".to_owned(),
            statistic: Statistic::Sum,
            dimensions: BTreeMap::new(),
            period: Step::new(period).unwrap(),
            when_missing,
        },
        asked: vec![(ServiceName::new("web").unwrap(), asked)],
        settling: Seconds(120),
        read: Ok(samples.collect()),
    }
}

fn told(metric: &Read) -> (Mark, String) {
    let facts = Facts {
        now: NOW,
        acts: true,
        watches_machines: false,
        services: Vec::new(),
        metrics: Vec::new(),
        places: Vec::new(),
    };
    let (mark, what) = sampled(metric, &facts);
    (mark, what.to_string())
}

/// Every minute of the last day, but the newest so many.
fn minutes(skipped: i64) -> impl Iterator<Item = i64> {
    (1 + skipped..=1440).rev().map(|minute| minute * 60)
}

#[test]
fn a_metric_is_judged_by_its_last_day() {
    use AskedAs::{Beside, Demand};
    use WhenMissing::{Unknown, Zero};
    let cases = [
        (metric(minutes(0), 60, Unknown, Demand), Mark::Ok, "1440 samples in 1440 intervals"),
        (metric(minutes(4), 60, Unknown, Demand), Mark::Ok, "the newest 4m old"),
        (metric(minutes(9), 60, Unknown, Demand), Mark::Warning, "the newest sample is 9m old"),
        (metric(minutes(600), 60, Zero, Demand), Mark::Ok, "840 samples"),
        (metric([], 60, Unknown, Demand), Mark::Stops, "never had a sample"),
        (metric([], 60, Zero, Demand), Mark::Warning, "never had a sample"),
        (metric([], 60, Unknown, Beside), Mark::Warning, "never had a sample"),
        (metric([], 60, Zero, Beside), Mark::Note, "as where there was nothing to count"),
        (
            metric((1..=288).rev().map(|n| n * 300), 60, Unknown, Demand),
            Mark::Warning,
            "samples are 5m apart and `period` is 1m: set `period = \"5m\"`",
        ),
        (
            metric(minutes(0).filter(|ago| *ago < 40_000), 60, Unknown, Demand),
            Mark::Warning,
            "666 samples in 1440 intervals",
        ),
        (metric([60], 60, Zero, Demand), Mark::Ok, "1 samples in 1440"),
    ];
    for (metric, mark, words) in cases {
        let (found, text) = told(&metric);
        assert_eq!(found, mark, "{text}");
        assert!(text.contains(words), "{text}, expected {words}");
    }
    for kind in [FaultKind::TimedOut, FaultKind::Denied { permission: None }, FaultKind::Unreadable]
    {
        let unread = Read { read: Err(fault(kind)), ..metric([], 60, Unknown, Demand) };
        assert_eq!(told(&unread).0, Mark::Stops);
        let asked = vec![(ServiceName::new("web").unwrap(), Beside)];
        assert_eq!(told(&Read { asked, ..unread }).0, Mark::Warning);
    }
}

fn trial(permission: &str, writes: bool, purpose: Purpose, outcome: Outcome) -> Trial {
    Trial { permission: permission.to_owned(), writes, purpose, outcome }
}

fn asked(account: &str, identity: Result<&str, Fault>, trials: Vec<Trial>) -> PlaceFacts {
    let identity = identity.map(|found| Identity {
        account: AccountId::new(found).unwrap(),
        arn: format!("arn:aws:iam::{found}:role/neap"),
    });
    PlaceFacts {
        place: place(account),
        tried: Tried { identity, trials },
        rooms: Vec::new(),
        statements: BTreeMap::from([("a:Read".to_owned(), "{}".to_owned())]),
    }
}

fn facts(acts: bool, watches_machines: bool) -> Facts {
    Facts {
        now: NOW,
        acts,
        watches_machines,
        services: vec![service(acts, state())],
        metrics: Vec::new(),
        places: Vec::new(),
    }
}

#[test]
fn a_missing_permission_is_as_grave_as_what_goes_without_it() {
    let denied = Outcome::Failed(fault(FaultKind::Denied { permission: None }));
    let cases = [
        // Purpose, writes, acts, watches machines, expected.
        (Purpose::Groups, false, false, false, Mark::Stops),
        (Purpose::Groups, true, false, false, Mark::Note),
        (Purpose::Groups, true, true, false, Mark::Stops),
        (Purpose::Machines, false, true, false, Mark::Note),
        (Purpose::Machines, false, true, true, Mark::Warning),
        (Purpose::Machines, true, false, true, Mark::Note),
        (Purpose::Machines, true, true, true, Mark::Warning),
        (Purpose::Limits, false, true, true, Mark::Note),
    ];
    for (purpose, writes, acts, watches, mark) in cases {
        for outcome in [denied.clone(), Outcome::Forbidden] {
            let place = asked(
                "default",
                Ok("111122223333"),
                vec![trial("a:Read", writes, purpose, outcome)],
            );
            let found = of_place(&place, &facts(acts, watches));
            let missing = found.iter().find(|one| matches!(one.what, What::Denied { .. })).unwrap();
            assert_eq!((missing.mark, missing.mend.as_deref()), (mark, Some("{}")), "{purpose:?}");
        }
        // A call that failed on the way tells nothing of a permission.
        let lost = Outcome::Failed(fault(FaultKind::Throttled { retry_after: None }));
        let place = asked("default", Ok("1"), vec![trial("a:Read", writes, purpose, lost)]);
        let found = of_place(&place, &facts(acts, watches));
        assert!(
            found.iter().all(|one| one.mark <= Mark::Warning && one.mend.is_none()),
            "{found:?}"
        );
    }
}

#[test]
fn what_was_not_tried_is_never_counted_as_there() {
    let trials = vec![
        trial("a:One", false, Purpose::Groups, Outcome::Works),
        trial("a:Two", true, Purpose::Groups, Outcome::WorkedOut),
        trial("a:Three", true, Purpose::Groups, Outcome::Untried(Untried::NoDryRun)),
        trial("a:Four", true, Purpose::Machines, Outcome::Untried(Untried::NoTaggedInstance)),
        trial("a:Five", true, Purpose::Machines, Outcome::Untried(Untried::NoDryRun)),
    ];
    let found = of_place(&asked("default", Ok("1"), trials), &facts(true, true));
    let text = listed_of(&found);
    insta::assert_snapshot!(text, @r"
    ok credentials of `arn:aws:iam::1:role/neap`
    ok 1 permissions tried and there; 1 more are there by what the cloud works out of the policies
    note not tried, since the cloud has no dry run of them and does not work them out for these credentials: a:Three, a:Five
    note not tried, for want of an instance that carries `neap:managed = true`: a:Four
    ");
}

fn listed_of(found: &[Finding]) -> String {
    let word = |mark| serde_json::to_value(mark).unwrap().as_str().unwrap().to_owned();
    found.iter().map(|one| format!("{} {}\n", word(one.mark), one.what)).collect()
}

#[test]
fn credentials_of_another_account_or_of_nobody_stop_the_place() {
    let mark = |place: &PlaceFacts| worst(&of_place(place, &facts(false, false)));
    assert_eq!(mark(&asked("111122223333", Ok("111122223333"), Vec::new())), Mark::Ok);
    assert_eq!(mark(&asked("111122223333", Ok("999900001111"), Vec::new())), Mark::Stops);
    assert_eq!(mark(&asked("default", Ok("999900001111"), Vec::new())), Mark::Ok);
    let nobody = Err(fault(FaultKind::Denied { permission: None }));
    assert_eq!(mark(&asked("default", nobody, Vec::new())), Mark::Stops);
    for kind in [FaultKind::TimedOut, FaultKind::Denied { permission: Some("sts:Who".to_owned()) }]
    {
        assert_eq!(mark(&asked("default", Err(fault(kind)), Vec::new())), Mark::Warning);
    }
}

#[test]
fn a_limit_in_the_way_is_a_warning_and_one_that_is_unknown_a_note() {
    let room = |limit, unknown: &[&str]| Room {
        what: Limit::Vcpus,
        limit,
        used: 20,
        needed: 44,
        groups: vec!["web".to_owned()],
        unknown: unknown.iter().map(|name| (*name).to_owned()).collect(),
    };
    let told = |room| {
        let place = PlaceFacts { rooms: vec![room], ..asked("default", Ok("1"), Vec::new()) };
        let found = of_place(&place, &facts(true, false));
        let last = found.last().unwrap();
        (last.mark, last.what.to_string())
    };
    assert_eq!(told(Ok(room(64, &[]))).0, Mark::Ok);
    let (mark, text) = told(Ok(room(32, &[])));
    assert_eq!(mark, Mark::Warning);
    assert_eq!(
        text,
        "20 of 32 vCPUs of on-demand machines are in use; the groups may need 44 more (`web`): 32 are \
         missing"
    );
    assert_eq!(told(Ok(room(64, &["idle"]))).0, Mark::Note);
    assert_eq!(told(Err(fault(FaultKind::TimedOut))).0, Mark::Note);
}
