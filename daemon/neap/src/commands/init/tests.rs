//! Tests of what is found, guessed and printed, on fleets of every shape.

use std::collections::{BTreeMap, BTreeSet};

use fleet::feed::{Feed, FeedKind, FeedSource, Goal, GoalKind, Surveyed, UnitShape, WatchedMetric};
use fleet::group::{
    Activity, ActivityKind, ActivityStatus, Cause, GroupState, Instance, Lifecycle, NativePolicy,
    NativePolicyKind, Owner, Process, ScheduledAction, WarmPool,
};
use fleet::metric::{MetricQuery, Sample, Statistic};
use fleet::money::{Currency, Price};
use fleet::signs::PriceSource;
use fleet::{AccountId, Fault, FaultKind, GroupId, Seconds, Timestamp, Units};
use proptest::prelude::*;

use super::find::{self, Queues};
use super::guess::{self, Load, Read};
use super::render::{Found, render};
use super::*;

const NOW: i64 = 1_772_434_800;
const DAYS: i64 = 15;

pub(super) fn group(name: &str, region: &str) -> GroupState {
    GroupState {
        id: GroupId {
            provider: ProviderName::new("aws").unwrap(),
            account: AccountId::new("default").unwrap(),
            region: Region::new(region).unwrap(),
            id: format!("arn:{region}:{name}"),
        },
        name: name.to_owned(),
        read_at: Timestamp(NOW),
        desired: Units(3),
        min: Units(2),
        max: Units(9),
        instances: Vec::new(),
        tags: BTreeMap::new(),
        suspended: BTreeSet::new(),
        refresh: None,
        policies: Vec::new(),
        scheduled: Vec::new(),
        owner: None,
        new_instances_protected: false,
        health_check_grace: Seconds(0),
        warm_up: None,
        activities: Vec::new(),
        serving: Default::default(),
        buys_spot: false,
        warm_pool: None,
    }
}

pub(super) fn member(id: &str) -> Instance {
    Instance {
        id: id.to_owned(),
        lifecycle: Lifecycle::InService,
        weight: Units(1),
        protected: false,
        healthy: true,
        launched_at: None,
        zone: None,
        instance_type: None,
    }
}

fn args(regions: &[&str]) -> InitArgs {
    InitArgs {
        provider: Cloud::Aws,
        regions: regions.iter().map(|region| (*region).to_owned()).collect(),
        account_roles: Vec::new(),
        external_id: None,
        endpoint_url: None,
    }
}

fn of(name: &str, units: u32) -> Surveyed {
    let instances = (0..units).map(|n| member(&format!("i-{name}-{n}"))).collect();
    let state = GroupState { instances, desired: Units(units), ..group(name, "eu-west-1") };
    let shapes = vec![UnitShape { class: "c6i.large".to_owned(), weight: 1 }];
    Surveyed { shapes, history: Some(Vec::new()), ..Surveyed::bare(state) }
}

fn behind(balancer: &str, target_group: &str, target_groups: u32) -> Feed {
    let via = match balancer.split('/').next() {
        Some("app") => FeedKind::Application,
        Some("net") => FeedKind::Network,
        _ => FeedKind::Classic,
    };
    Feed {
        via,
        balancer: Some(balancer.to_owned()),
        target_group: Some(format!("targetgroup/{target_group}/73e2")),
        target_groups: Some(target_groups),
        known_by: FeedSource::Attachment,
    }
}

fn launch(at: i64, seconds: i64) -> Activity {
    Activity {
        id: at.to_string(),
        started_at: Timestamp(at),
        ended_at: Some(Timestamp(at + seconds)),
        kind: ActivityKind::Launch,
        status: ActivityStatus::Successful,
        cause: Cause::UserRequest,
        cause_text: String::new(),
        capacity_set_to: None,
        launch: None,
    }
}

fn native(name: &str, scales_in: bool) -> NativePolicy {
    let kind = NativePolicyKind::TargetTracking;
    NativePolicy { name: name.to_owned(), kind, enabled: true, scales_in }
}

fn wave(at: i64, low: f64, high: f64) -> f64 {
    let angle = (at % 86_400) as f64 / 86_400.0 * std::f64::consts::TAU;
    low + (high - low) * (0.5 - 0.5 * angle.cos())
}

/// Loads by a word of their dimensions: least and most of a day, by the second or in percent.
type Loads<'a> = &'a [(&'a str, &'a str, f64, f64)];

/// Answers as a source does that knows these metrics.
fn answered(loads: Loads<'_>, query: &MetricQuery, days: i64) -> Vec<Sample> {
    let dimensions: Vec<&str> = query.dimensions.values().map(String::as_str).collect();
    let dimensions = dimensions.join(" ");
    let known = loads.iter().find(|(metric, of, ..)| query.metric == *metric && dimensions == *of);
    let Some((_, _, low, high)) = known else { return Vec::new() };
    let step = i64::from(query.period.seconds());
    let each = match query.statistic {
        Statistic::Sum => step as f64,
        _ => 1.0,
    };
    let from = NOW - days * 86_400;
    let at = |n: i64| from + n * step;
    (0..days * 86_400 / step)
        .map(|n| Sample { start: Timestamp(at(n)), value: wave(at(n), *low, *high) * each })
        .collect()
}

fn denied() -> Fault {
    Fault {
        kind: FaultKind::Denied { permission: Some("cloudwatch:GetMetricData".to_owned()) },
        operation: "GetMetricData".to_owned(),
        detail: "no\nway".to_owned(),
        request_id: None,
    }
}

/// What a cloud answers of a metric, so many days back.
type Answer<'a> = &'a dyn Fn(&MetricQuery, i64) -> Result<Vec<Sample>, Fault>;

/// All that the program does between reading and printing.
fn printed_with(all: &[Surveyed], answer: Answer<'_>, queues: &[&str]) -> String {
    let args = args(&["eu-west-1", "us-east-1"]);
    let sized: Vec<&Surveyed> = all.iter().filter(|one| why_left(&one.group).is_none()).collect();
    let place = (AccountId::new("default").unwrap(), Region::new("eu-west-1").unwrap());
    let queues = Queues::from([(place, queues.iter().map(|queue| (*queue).to_owned()).collect())]);
    let ways = find::ways(Cloud::Aws, &sized, &queues);
    let read = |asked: Vec<MetricQuery>, days: i64| -> Read {
        asked.iter().map(|query| (query.key(), answer(query, days))).collect()
    };
    let day = read(
        sized
            .iter()
            .flat_map(|one| guess::asked_of_a_day(Cloud::Aws, one, &ways[&one.group.id]))
            .collect(),
        1,
    );
    let loads: Vec<Load> =
        sized.iter().map(|one| guess::load(Cloud::Aws, one, &ways[&one.group.id], &day)).collect();
    let weeks = sized
        .iter()
        .zip(&loads)
        .flat_map(|(one, load)| guess::asked_of_weeks(Cloud::Aws, one, load));
    let weeks = read(weeks.collect(), DAYS);
    let price = Price {
        hourly_micro: 96_000,
        currency: Currency::Usd,
        source: PriceSource::AwsPriceList.into(),
        as_of: Timestamp(NOW),
    };
    let mut found = Found::default();
    found.prices.insert(("eu-west-1".to_owned(), "c6i.large".to_owned()), Ok(Some(price)));
    for (one, load) in sized.iter().zip(loads) {
        found.guesses.push(guess::guess(
            Cloud::Aws,
            one,
            &ways[&one.group.id],
            load,
            (&day, &weeks),
        ));
    }
    let left = |one: &'_ Surveyed| why_left(&one.group);
    found.left = all.iter().filter_map(|one| Some((one, left(one)?))).collect();
    let faults: BTreeMap<String, Fault> = day
        .values()
        .filter_map(|answer| answer.as_ref().err())
        .map(|fault| (fault.operation.clone(), fault.clone()))
        .collect();
    found.unread = faults.into_values().collect();
    render(&args, &found)
}

fn printed(all: &[Surveyed], loads: Loads<'_>) -> String {
    printed_with(all, &|query, days| Ok(answered(loads, query, days)), &[])
}

/// The lines of one service.
fn service<'a>(text: &'a str, name: &str) -> &'a str {
    let at =
        text.find(&format!("name = \"{name}\"")).unwrap_or_else(|| panic!("no {name} in\n{text}"));
    let from = text[..at].rfind("\n\n").map_or(0, |at| at + 2);
    let end = text[at..].find("\n\n# `").map_or(text.len(), |end| at + end);
    &text[from..end]
}

/// What is printed, without the groups of which the CPU is the load.
fn parsed(text: &str) -> config::Config {
    crate::settings::parse("neap.toml", text).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

const CPU: &str = "CPUUtilization";

/// A metric, what it is of, and its least and most in a day.
type Wave = (&'static str, &'static str, f64, f64);

/// Two services behind one load balancer, one of which its policy says the capacity of.
fn shop() -> (Vec<Surveyed>, Vec<Wave>) {
    let goal = Goal { policy: "req-per-target".to_owned(), kind: GoalKind::RequestsPerUnit(40.0) };
    let mut checkout = of("checkout-asg", 10);
    checkout.feeds = vec![behind("app/shop/50dc", "checkout", 2)];
    checkout.goals = vec![goal];
    checkout.group.policies = vec![native("req-per-target", true)];
    checkout.history =
        Some((1..=20).map(|n| launch(NOW - 86_400 * 20 - n * 100, 20 + n)).collect());
    let mut search = of("search-asg", 6);
    search.feeds = vec![behind("app/shop/50dc", "search", 2)];
    search.goals = vec![Goal { policy: "cpu60".to_owned(), kind: GoalKind::CpuPercent(60.0) }];
    search.group.policies = vec![native("cpu60", false)];
    search.group.warm_up = Some(Seconds(400));
    let loads = vec![
        ("RequestCount", "app/shop/50dc", 150.0, 750.0),
        ("RequestCount", "app/shop/50dc targetgroup/checkout/73e2", 100.0, 500.0),
        ("RequestCount", "app/shop/50dc targetgroup/search/73e2", 50.0, 250.0),
        ("HealthyHostCount", "app/shop/50dc targetgroup/checkout/73e2", 10.0, 10.0),
        (CPU, "checkout-asg", 13.3, 66.7),
        (CPU, "search-asg", 13.6, 68.2),
    ];
    (vec![checkout, search], loads)
}

#[test]
fn what_is_printed_reads_as_if_somebody_had_looked() {
    let (mut all, loads) = shop();
    let evidence = "tag `eks:nodegroup-name`\nmode = \"act\"".to_owned();
    let owner = Some(Owner { name: "EKS".to_owned(), evidence });
    all.push(Surveyed::bare(GroupState { owner, ..group("nodes", "eu-west-1") }));
    all.push(Surveyed::bare(GroupState { max: Units(0), ..group("old", "eu-west-1") }));
    let mut lag = of("lag-asg", 2);
    lag.group.warm_pool = Some(WarmPool { min: 2, size: Some(2), state: "Stopped".to_owned() });
    all.push(lag);
    let text = printed(&all, &loads);
    insta::assert_snapshot!(text);
    let config = parsed(&text);
    assert_eq!(config.policy.services.len(), 2);
    assert_eq!(config.policy.mode, planner::policy::Mode::Observe);
}

/// A small one: the grammar of CPU as a load is another's, and this is all that is relied on.
#[test]
fn a_group_that_nothing_feeds_is_sized_by_its_cpu() {
    let mut render_cpu = of("render-cpu", 6);
    render_cpu.group.min = Units(0);
    let text = printed(&[render_cpu], &[(CPU, "render-cpu", 20.0, 80.0)]);
    let text = service(&text, "render-cpu");
    for line in [
        "demand = \"cpu\"\n",
        "(20% to 80% in the last day)",
        "target_utilisation = \"70%\"\n",
        "\nmin = 1\n",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(!text.contains("capacity_per_unit") && !text.contains("utilisation = {"), "{text}");
}

/// Units that never use their CPU are there for something else: by CPU they would be taken away.
#[test]
fn cpu_that_is_never_used_sizes_nothing() {
    for (most, sizes) in [(0.4, false), (4.0, false), (9.9, false), (12.0, true)] {
        let text = printed(&[of("cache", 5)], &[(CPU, "cache", 0.2, most)]);
        let said = text.replace("\n# ", " ");
        assert_eq!(text.contains("\n[[service]]\nname = \"cache\""), sizes, "{most}: {text}");
        assert_eq!(said.contains("`demand = \"network\"`"), !sizes, "{most}: {text}");
    }
}

#[test]
fn where_nothing_is_found_that_is_said() {
    let text = printed(&[], &[]).replace("\n# ", " ");
    assert!(text.contains("No scaling group was found in eu-west-1, us-east-1."), "{text}");
}

/// Alone behind a load balancer that tells nothing by target group.
#[test]
fn what_has_samples_is_chosen() {
    let mut web = of("web", 5);
    web.feeds = vec![behind("app/web/1", "web", 1)];
    let both = [
        ("RequestCount", "app/web/1", 10.0, 50.0),
        ("RequestCount", "app/web/1 targetgroup/web/73e2", 10.0, 50.0),
    ];
    for (loads, dimensions) in [(&both[..], 2), (&both[..1], 1), (&both[1..], 2)] {
        let config = parsed(&printed(std::slice::from_ref(&web), loads));
        let service = config.policy.services.values().next().unwrap();
        let [query] = &service.demand[..] else { panic!("{service:?}") };
        assert_eq!(query.dimensions.len(), dimensions);
        assert_eq!(query.when_missing, fleet::metric::WhenMissing::Zero);
        // Nobody measured CPU: it is learned, and nothing is claimed.
        assert_eq!(service.pool.capacity_per_unit, planner::policy::CapacityPerUnit::Learn);
    }
}

#[test]
fn a_network_balancer_that_others_share_tells_nothing_of_one_group() {
    let mut game = of("game", 4);
    game.feeds = vec![behind("net/game/1", "game", 3)];
    let loads = [("ProcessedBytes", "net/game/1", 1e6, 5e6), (CPU, "game", 20.0, 60.0)];
    let text = printed(std::slice::from_ref(&game), &loads);
    let said = service(&text, "game").replace("\n# ", " ");
    assert!(said.contains("demand = \"cpu\""), "{said}");
    assert!(
        said.contains("`game` sends to 3 target groups and counts for all of them alone"),
        "{said}"
    );
    game.feeds = vec![behind("net/game/1", "game", 1)];
    let config = parsed(&printed(&[game], &loads));
    let service = config.policy.services.values().next().unwrap();
    assert_eq!(service.demand[0].metric, "ProcessedBytes");
}

#[test]
fn a_group_in_several_target_groups_carries_their_sum() {
    let mut web = of("web", 5);
    web.feeds = vec![
        behind("app/in/1", "public", 2),
        behind("app/out/2", "inner", 1),
        behind("app/in/1", "new", 2),
    ];
    let loads = [
        ("RequestCount", "app/in/1 targetgroup/public/73e2", 10.0, 50.0),
        ("RequestCount", "app/out/2 targetgroup/inner/73e2", 5.0, 20.0),
        (CPU, "web", 14.0, 65.3),
    ];
    let text = printed(&[web], &loads);
    let config = parsed(&text);
    let service = config.policy.services.values().next().unwrap();
    assert_eq!(service.demand.len(), 2);
    let said = text.replace("\n# ", " ");
    assert!(said.contains("`RequestCount` of in, new had no sample in the last day"), "{said}");
    // 70/s on 5 units at 65.3 %: 15/s at 70 %.
    let planner::policy::CapacityPerUnit::Given(per_unit) = service.pool.capacity_per_unit else {
        panic!("{text}")
    };
    assert!((per_unit - 15.0).abs() < 0.5, "{per_unit}");
}

/// Blue and green: two groups behind one target group.
#[test]
fn requests_of_a_target_group_are_nobodys_while_two_groups_serve_it() {
    let mut blue = of("blue", 5);
    blue.feeds = vec![behind("app/web/1", "web", 1)];
    let mut green = of("green", 4);
    green.feeds.clone_from(&blue.feeds);
    let loads = [
        ("RequestCount", "app/web/1 targetgroup/web/73e2", 10.0, 50.0),
        (CPU, "blue", 20.0, 60.0),
        (CPU, "green", 20.0, 60.0),
    ];
    let text = printed(&[blue.clone(), green.clone()], &loads).replace("\n# ", " ");
    assert_eq!(text.matches("demand = \"cpu\"").count(), 2, "{text}");
    assert!(
        text.contains("Target group `web` also feeds `green`, and its requests are not told apart"),
        "{text}"
    );
    // Green stands empty: blue has it all.
    green.group.desired = Units(0);
    green.group.instances.clear();
    let text = printed(&[blue, green], &loads);
    assert!(
        service(&text, "blue").contains("demand = [{ namespace = \"AWS/ApplicationELB\""),
        "{text}"
    );
}

#[test]
fn what_could_not_be_read_is_said_and_the_rest_is_printed() {
    let (all, _) = shop();
    let text = printed_with(&all, &|_, _| Err(denied()), &[]);
    let config = parsed(&text);
    assert_eq!(config.policy.services.len(), 2);
    for service in config.policy.services.values() {
        assert!(service.demand[0].dimensions.contains_key("TargetGroup"));
        assert_eq!(
            service.demand[0].when_missing,
            fleet::metric::WhenMissing::Unknown,
            "nobody saw it"
        );
    }
    assert!(text.replace("\n# ", " ").contains("Its samples could not be read."), "{text}");
    let denied_so =
        "- `GetMetricData` denied, permission `cloudwatch:GetMetricData` is missing: no way";
    assert!(text.contains(denied_so), "{text}");
    // Without a load balancer nothing is left to go by.
    let text = printed_with(&[of("worker", 3)], &|_, _| Err(denied()), &[]);
    assert!(text.contains("#[[service]]\n#name = \"worker\"\n#demand = \"cpu\"\n"), "{text}");
    let blank = parsed_without_services(&text);
    assert!(blank, "{text}");
}

/// A configuration without a service is refused for that alone.
fn parsed_without_services(text: &str) -> bool {
    match crate::settings::parse("neap.toml", text) {
        Ok(config) => config.policy.services.is_empty(),
        Err(faults) => faults.iter().all(|fault| fault.key.starts_with("service")),
    }
}

#[test]
fn queues_are_found_by_policies_and_as_a_weak_guess_by_name() {
    let mut worker = of("worker-asg", 5);
    worker.group.tags = BTreeMap::from([("team".to_owned(), "jobs".to_owned())]);
    let loads = [
        ("NumberOfMessagesSent", "jobs", 1.0, 9.0),
        ("NumberOfMessagesSent", "jobs-high", 1.0, 9.0),
    ];
    let by_name = |queues: &[&str]| {
        printed_with(
            std::slice::from_ref(&worker),
            &|query, days| Ok(answered(&loads, query, days)),
            queues,
        )
    };
    let text = by_name(&["mail", "jobs", "jobs-dlq"]);
    assert!(text.contains("A weak guess") && text.contains("QueueName = \"jobs\""), "{text}");
    parsed(&text);
    assert!(by_name(&["jobs", "jobs-high"]).contains("#demand"), "two that fit are none");
    assert!(by_name(&["mail"]).contains("#demand"));
    let mut watched = worker.clone();
    watched.watched = vec![WatchedMetric {
        policy: "backlog-out".to_owned(),
        namespace: "AWS/SQS".to_owned(),
        metric: "ApproximateNumberOfMessagesVisible".to_owned(),
        dimensions: BTreeMap::from([("QueueName".to_owned(), "jobs".to_owned())]),
    }];
    let text = printed(&[watched], &loads);
    assert!(
        text.replace("\n# ", " ").contains("whose backlog its policy `backlog-out` looks at"),
        "{text}"
    );
    assert_eq!(
        parsed(&text).policy.services.values().next().unwrap().demand[0].metric,
        "NumberOfMessagesSent"
    );
}

#[test]
fn lead_times_are_the_slow_launches_and_the_warm_up_and_never_short() {
    let lead = |history: Option<Vec<Activity>>, warm_up: u64| {
        let mut one = of("web", 3);
        (one.history, one.group.warm_up) = (history, Some(Seconds(warm_up)));
        let text = printed(&[one], &[(CPU, "web", 20.0, 60.0)]);
        let line =
            text.lines().find_map(|line| line.strip_prefix("lead_time = ")).unwrap().to_owned();
        (line, text.replace("\n# ", " "))
    };
    let launches = |seconds: i64| Some((0..30).map(|n| launch(n * 1_000, seconds)).collect());
    let table = [
        (None, 0, "\"5m\"", "not known: a guess"),
        (Some(Vec::new()), 0, "\"5m\"", "No launch in the last six weeks"),
        (
            launches(32),
            0,
            "\"5m\"",
            "Of 30 launches in six weeks nine in ten were in service within 32s",
        ),
        (launches(32), 400, "\"8m\"", "A unit then warms up for 6m40s"),
        (launches(700), 0, "\"12m\"", "within 11m40s"),
        (launches(500_000), 0, "\"1d\"", "within"),
    ];
    for (history, warm_up, expected, evidence) in table {
        let (line, text) = lead(history, warm_up);
        assert_eq!(line, expected);
        assert!(text.contains(evidence), "{evidence} in\n{text}");
    }
    // One that came out of a warm pool is no cold one.
    let mut warm = launch(5, 10);
    warm.cause_text = "an instance was started from the warm pool".to_owned();
    assert!(lead(Some(vec![warm]), 0).1.contains("No launch"));
}

#[test]
fn weights_spot_schedules_and_policies_are_named() {
    let mut game = of("game", 3);
    game.shapes = vec![
        UnitShape { class: "c6i.large".to_owned(), weight: 2 },
        UnitShape { class: "c6i.xlarge".to_owned(), weight: 4 },
    ];
    game.group.buys_spot = true;
    game.group.scheduled = vec![ScheduledAction {
        name: "workday".to_owned(),
        at: None,
        recurrence: Some("0 6 * * 1-5 (Europe/Dublin)".to_owned()),
        desired: Some(Units(10)),
        min: Some(Units(6)),
        max: None,
    }];
    game.group.policies = vec![native("out", true), native("in", true)];
    let loads = [(CPU, "game", 20.0, 60.0)];
    let text = printed(std::slice::from_ref(&game), &loads).replace("\n# ", " ");
    for said in [
        "Units are weights: `c6i.large` counts 2, `c6i.xlarge` counts 4. Spot machines",
        "Scheduled action `workday` sets minimum 6, capacity 10 at `0 6 * * 1-5 (Europe/Dublin)`.",
        "Policies `out` and `in` take units away, so neap writes the minimum alone",
        "price_usd_hourly = 0.048\n",
        "for 2 units, spot costs less",
    ] {
        assert!(text.contains(said), "{said} in\n{text}");
    }
    game.group.suspended = BTreeSet::from([Process::AlarmNotification]);
    let text = printed(&[game], &loads).replace("\n# ", " ");
    assert!(!text.contains("take units away"), "suspended policies take nothing");
    assert!(text.contains("Its alarms are suspended"), "{text}");
}

/// Groups of one name in two regions, and one that is called like the name made of both.
#[test]
fn every_service_has_a_name_of_its_own() {
    let there = |name: &str, region: &str| {
        let mut one = of(name, 3);
        one.group.id.region = Region::new(region).unwrap();
        one.group.id.id = format!("arn:{region}:{name}");
        one.feeds = vec![behind("app/web/1", name, 9)];
        one
    };
    let all =
        [there("web", "eu-west-1"), there("web", "us-east-1"), there("web-us-east-1", "eu-west-1")];
    let text = printed_with(&all, &|_, _| Err(denied()), &[]);
    let names: Vec<String> =
        parsed(&text).policy.services.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["web-eu-west-1", "web-us-east-1", "web-us-east-1-2"]);
}

#[test]
fn roles_and_regions_are_checked_before_anything_is_asked() {
    let role =
        |text: &str| InitArgs { account_roles: vec![text.to_owned()], ..args(&["eu-west-1"]) };
    assert!(aws_config(&role("arn:aws:iam::111122223333:role/neap-read")).is_ok());
    assert!(aws_config(&args(&[" "])).is_err());
    assert!(aws_config(&role("neap")).unwrap_err().to_string().contains("role ARN"));
}

proptest! {
    /// Whatever things are called, what is printed is one configuration, and comments stay comments.
    #[test]
    fn names_of_others_never_become_configuration(
        name in "[ -~\n]{1,40}",
        policy in "[ -~\n]{1,80}",
        target_group in "[ -~]{1,30}",
        tag in "[ -~\n]{0,30}",
        fed in any::<bool>(),
    ) {
        let mut one = of(&name, 3);
        one.group.tags = BTreeMap::from([("team".to_owned(), tag)]);
        one.group.policies = vec![native(&policy, true)];
        one.goals = vec![Goal { policy: policy.clone(), kind: GoalKind::RequestsPerUnit(3.0) }];
        if fed {
            one.feeds = vec![behind("app/web/1", &target_group, 2)];
        }
        let text = printed_with(&[one], &|_, _| Err(denied()), &[]);
        prop_assert!(text.lines().all(|line| !line.starts_with("# demand")));
        match crate::settings::parse("neap.toml", &text) {
            Ok(config) => prop_assert!(config.policy.services.len() <= 1),
            Err(faults) => prop_assert!(faults.iter().all(|f| f.key.starts_with("service")), "{:?}\n{}", faults, text),
        }
    }
}
