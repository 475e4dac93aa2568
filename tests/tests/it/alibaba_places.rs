//! What takes more than one look at Alibaba Cloud: the metrics of a whole group, the regions of an account,
//! and what feeds a group.

use std::sync::Arc;
use std::time::Duration;

use fleet::feed::FeedKind;
use fleet::metric::{MetricQuery, Statistic};
use fleet::{AccountId, FaultKind, GroupRef, Place, ProviderName, Region, Seconds, Timestamp};
use providers::alibaba::{Alibaba as Adapter, GROUP_DIMENSION, Settings};
use providers::contract::plain_query;
use providers::{Deadline, Inventory, Metrics};
use serde_json::json;
use tests::clock::TestTime;
use tests::peers::{Alibaba, Fault, NewScalingGroup, NewServerGroup, Point, Rule, settings};

/// 2026-03-02T12:00:00Z.
const START: Timestamp = Timestamp(1_772_452_800);
const REGION: &str = "ap-southeast-1";
const CPU: (&str, &str) = ("acs_ecs_dashboard", "CPUUtilization");

struct Bench {
    cloud: Alibaba,
    adapter: Adapter,
}

fn bench(change: impl FnOnce(&mut Settings)) -> Bench {
    let time = TestTime::starting(START);
    let cloud = Alibaba::start(time.clone());
    let mut settings = settings(&cloud, &[REGION]);
    change(&mut settings);
    let adapter = Adapter::new(settings, Arc::new(time));
    Bench { cloud, adapter }
}

fn by() -> Deadline {
    Deadline::within(Duration::from_secs(20))
}

fn reference(name: &str) -> GroupRef {
    GroupRef {
        provider: ProviderName::new("ali").expect("a name"),
        account: AccountId::new("default").expect("a name"),
        region: Region::new(REGION).expect("a region"),
        name: name.to_owned(),
    }
}

/// The mean CPU of a whole group.
fn mean(group: &str) -> MetricQuery {
    let mut query = plain_query(&reference(group), CPU.0, CPU.1, "unused");
    query.statistic = Statistic::Average;
    query.dimensions = [(GROUP_DIMENSION.to_owned(), group.to_owned())].into();
    query
}

#[tokio::test(flavor = "multi_thread")]
async fn the_utilisation_of_a_group_is_the_mean_of_its_members_asked_fifty_a_call() {
    for (members, calls) in [(1, 1), (50, 1), (51, 2), (120, 3)] {
        let bench = bench(|_| {});
        bench.cloud.create_group(&NewScalingGroup::new(REGION, "web", 1, 500, members));
        let at = START - Seconds(300);
        for (n, id) in bench.cloud.members("web").iter().enumerate() {
            let point = Point { start: at, value: 10.0 + (n % 2) as f64 * 20.0 };
            bench.cloud.put_metric(CPU.0, CPU.1, &[("instanceId", id)], &[point]);
        }
        let span = (START - Seconds(600), START);
        let read = bench.adapter.samples(&[mean("web")], span.0, span.1, by()).await.remove(0);
        let read = read.expect("readable");
        assert_eq!(read.len(), 1, "{read:?}");
        let odd = f64::from(members / 2);
        let expected = 10.0 + 20.0 * odd / f64::from(members);
        assert!((read[0].value - expected).abs() < 1e-9, "{members}: {read:?}, not {expected}");
        assert_eq!(bench.cloud.count("DescribeMetricList"), calls, "{members} members");
        // By its id as by its name, and without asking for the members again.
        let listed = bench.cloud.count("DescribeScalingInstances");
        let id = bench.cloud.group_id("web");
        let again = bench.adapter.samples(&[mean(&id)], span.0, span.1, by()).await.remove(0);
        assert_eq!(again.expect("readable").len(), 1);
        assert_eq!(bench.cloud.count("DescribeScalingInstances"), listed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_not_there_or_another_statistic_is_a_fault_of_that_query_alone() {
    let bench = bench(|_| {});
    bench.cloud.create_group(&NewScalingGroup::new(REGION, "web", 1, 9, 2));
    let greatest = MetricQuery { statistic: Statistic::Maximum, ..mean("web") };
    let asked = [mean("gone"), greatest, mean("web")];
    let read = bench.adapter.samples(&asked, START - Seconds(600), START, by()).await;
    let kinds: Vec<Option<FaultKind>> =
        read.into_iter().map(|answer| answer.err().map(|fault| fault.kind)).collect();
    assert_eq!(kinds, [Some(FaultKind::Missing), Some(FaultKind::Refused), None]);
}

fn regions(adapter: &Adapter) -> Vec<String> {
    adapter.places().iter().map(|Place { region, .. }| region.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_that_nobody_named_are_found_and_the_last_answer_stands() {
    let bench = bench(|settings| settings.every_region = true);
    assert!(bench.adapter.seeks_places());
    assert_eq!(regions(&bench.adapter), [REGION], "until there is an answer");
    for fault in [Fault::Denied, Fault::Broken, Fault::Throttled] {
        let rule = bench.cloud.inject(Rule::on("DescribeRegions", fault));
        bench.adapter.find_places(by()).await.expect_err("no answer");
        assert_eq!(regions(&bench.adapter), [REGION]);
        bench.cloud.remove(rule);
    }
    bench.adapter.find_places(by()).await.expect("an answer");
    let found = ["ap-southeast-1", "cn-beijing", "cn-hangzhou", "eu-central-1"];
    assert_eq!(regions(&bench.adapter), found);
    bench.cloud.inject(Rule::on("DescribeRegions", Fault::Broken));
    bench.adapter.find_places(by()).await.expect_err("no answer");
    assert_eq!(regions(&bench.adapter), found, "the last good answer stands");
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_that_are_named_are_not_looked_for() {
    let bench = bench(|_| {});
    bench.adapter.find_places(by()).await.expect("nothing to do");
    assert_eq!((regions(&bench.adapter), bench.cloud.calls().len()), (vec![REGION.to_owned()], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_tells_attachments_kept_machines_and_containers_and_names_what_it_could_not_read()
{
    let bench = bench(|_| {});
    for name in ["web", "jobs", "pods"] {
        bench.cloud.create_group(&NewScalingGroup::new(REGION, name, 1, 9, 2));
    }
    bench.cloud.create_server_group(NewServerGroup {
        product: "alb",
        id: "sgp-web".to_owned(),
        balancers: vec!["alb-1".to_owned()],
        servers: Vec::new(),
    });
    let alb = json!([{ "ServerGroupId": "sgp-web", "Type": "ALB", "Port": 80, "Weight": 100 }]);
    bench.cloud.show_group("web", json!({ "ServerGroups": alb, "LoadBalancerIds": ["lb-1"] }));
    bench.cloud.show_group("jobs", json!({ "ScalingPolicy": "recycle", "StoppedCapacity": 4 }));
    bench.cloud.show_group("pods", json!({ "GroupType": "ECI" }));
    let place = Place::of(&reference("web"));
    let survey = bench.adapter.survey(&place, by()).await.expect("readable");
    let of = |name: &str| {
        survey.groups.iter().find(|one| one.group.name == name).expect("it was listed")
    };
    let feeds: Vec<_> = of("web")
        .feeds
        .iter()
        .map(|feed| (feed.via, feed.balancer.as_deref(), feed.target_group.as_deref()))
        .collect();
    assert_eq!(
        feeds,
        [
            (FeedKind::Application, Some("alb-1"), Some("sgp-web")),
            (FeedKind::Classic, Some("lb-1"), None),
        ]
    );
    assert_eq!(of("web").shapes[0].class, "ecs.g7.large");
    assert!(of("web").group.warm_pool.is_none() && of("web").history.is_some());
    assert_eq!(of("jobs").group.warm_pool.as_ref().and_then(|pool| pool.size), Some(4));
    assert!(survey.unread.is_empty(), "{:?}", survey.unread);
    // Without the load balancers' products the groups are known all the same.
    bench.cloud.inject(Rule::on("ListServerGroups", Fault::Denied));
    let survey = bench.adapter.survey(&place, by()).await.expect("readable");
    assert_eq!((survey.groups.len(), survey.unread.len()), (3, 1), "{:?}", survey.unread);
    let web = survey.groups.iter().find(|one| one.group.name == "web").expect("it was listed");
    assert_eq!(web.feeds[0].balancer, None, "which is not known");
}
