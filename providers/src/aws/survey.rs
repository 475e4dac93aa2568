//! What feeds the groups of a region: attachments, policies and their alarms, warm pools, six weeks of
//! activities. Read once, for a first configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsOutput;
use aws_sdk_autoscaling::types as aws;
use fleet::feed::{
    Feed, FeedKind, FeedSource, Goal, GoalKind, Survey, Surveyed, UnitShape, WatchedMetric,
};
use fleet::group::{Activity, GroupState};
use fleet::{Fault, Seconds};
use tokio::task::JoinSet;

use super::access::Seat;
use super::estate;
use super::groups;
use super::listings::{DESCRIBE_GROUPS, PAGE_I32, activities_of, every_policy};
use super::pages::pages_of;
use crate::Deadline;
use crate::home::Home;

/// How far back Auto Scaling keeps activities. [API reference of `DescribeScalingActivities`]
const HISTORY: Seconds = Seconds::days(42);

/// Target groups by ARN, with the load balancers that send to each.
type Routes = BTreeMap<String, BTreeSet<String>>;
/// The metrics of an alarm: namespace, name and dimensions.
pub(super) type AlarmMetric = (String, String, BTreeMap<String, String>);

/// Reads all groups of a region and what feeds them. What cannot be read beside the groups is named.
pub(super) async fn of_place(
    seat: &Arc<Seat>,
    home: &Home,
    deadline: Deadline,
) -> Result<Survey, Fault> {
    let soft = deadline.of_details();
    let (states, raw, policies, routes, queues) = tokio::join!(
        groups::all(seat, home, deadline),
        every_raw(seat, soft),
        every_policy(seat, soft),
        estate::routes(seat, soft),
        estate::queues(seat, soft),
    );
    let states = states?;
    let mut unread = Vec::new();
    let mut known = |fault: Fault| unread.push(fault);
    let raw = raw.map_err(&mut known).unwrap_or_default();
    let policies = policies.map_err(&mut known).unwrap_or_default();
    let routes = routes.map_err(&mut known).ok();
    let queues = queues.map_err(&mut known).unwrap_or_default();
    let alarms = alarms_of(seat, &policies, soft).await.map_err(&mut known).unwrap_or_default();
    let mut histories = histories(seat, &states, soft).await;
    let mut groups = Vec::with_capacity(states.len());
    for state in states {
        let of_group = |policy: &&aws::ScalingPolicy| {
            policy.auto_scaling_group_name() == Some(state.name.as_str())
        };
        let policies: Vec<&aws::ScalingPolicy> = policies.iter().filter(of_group).collect();
        let history = histories.remove(&state.name).and_then(|read| read.map_err(&mut known).ok());
        let mut found = Surveyed { history, ..Surveyed::bare(state) };
        if let Some(raw) = raw.get(&found.group.name) {
            attached(raw, routes.as_ref(), &mut found);
        }
        for policy in policies {
            governed(policy, &alarms, routes.as_ref(), &mut found);
        }
        found.feeds.sort();
        found
            .feeds
            .dedup_by(|a, b| (&a.balancer, &a.target_group) == (&b.balancer, &b.target_group));
        found.watched.sort();
        found.watched.dedup();
        groups.push(found);
    }
    // The same call fails for many groups in the same way: once is enough.
    let mut said = BTreeSet::new();
    unread.retain(|fault| said.insert((fault.operation.clone(), fault.kind.word())));
    Ok(Survey { groups, queues, unread })
}

/// Groups as AWS tells them, by name: attachments stand there alone.
async fn every_raw(
    seat: &Seat,
    deadline: Deadline,
) -> Result<BTreeMap<String, aws::AutoScalingGroup>, Fault> {
    let request = seat.autoscaling.describe_auto_scaling_groups().max_records(PAGE_I32);
    let mut found = BTreeMap::new();
    let take = |page: DescribeAutoScalingGroupsOutput| {
        for group in page.auto_scaling_groups.unwrap_or_default() {
            let name = group.auto_scaling_group_name().unwrap_or_default().to_owned();
            found.insert(name, group);
        }
    };
    seat.listing(DESCRIBE_GROUPS, pages_of!(request), deadline, take).await?;
    Ok(found)
}

/// The metrics of the alarms that policies name, by the alarm's name.
async fn alarms_of(
    seat: &Seat,
    policies: &[aws::ScalingPolicy],
    deadline: Deadline,
) -> Result<BTreeMap<String, Vec<AlarmMetric>>, Fault> {
    // What target tracking holds steady stands in the policy; its alarms say no more.
    let own = policies.iter().filter(|policy| policy.target_tracking_configuration().is_none());
    let names = own.flat_map(|policy| policy.alarms()).filter_map(|alarm| alarm.alarm_name());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    estate::alarm_metrics(seat, names.into_iter().collect(), deadline).await
}

/// What the groups did in six weeks, by name; those that may be sized alone.
async fn histories(
    seat: &Arc<Seat>,
    groups: &[GroupState],
    deadline: Deadline,
) -> BTreeMap<String, Result<Vec<Activity>, Fault>> {
    let since = seat.now() - HISTORY;
    let mut jobs = JoinSet::new();
    for group in groups.iter().filter(|group| group.owner.is_none() && group.max.0 > 0) {
        let (seat, name) = (Arc::clone(seat), group.name.clone());
        jobs.spawn(async move {
            let read = activities_of(&seat, &name, since, deadline).await;
            (name, read)
        });
    }
    let mut found = BTreeMap::new();
    while let Some(done) = jobs.join_next().await {
        found.extend(done.ok());
    }
    found
}

/// What the group itself tells: attachments, warm pool, machines.
fn attached(raw: &aws::AutoScalingGroup, routes: Option<&Routes>, found: &mut Surveyed) {
    let sources = raw.traffic_sources().iter().filter(|source| source.r#type() != Some("elb"));
    let arns = raw.target_group_arns().iter().map(String::as_str);
    let arns: BTreeSet<&str> = arns.chain(sources.filter_map(|s| s.identifier())).collect();
    for arn in arns {
        found.feeds.extend(of_target_group(arn, routes));
    }
    let sources = raw.traffic_sources().iter().filter(|source| source.r#type() == Some("elb"));
    let names = raw.load_balancer_names().iter().map(String::as_str);
    let names: BTreeSet<&str> = names.chain(sources.filter_map(|s| s.identifier())).collect();
    found.feeds.extend(names.into_iter().map(|name| Feed {
        via: FeedKind::Classic,
        balancer: Some(name.to_owned()),
        target_group: None,
        target_groups: None,
        known_by: FeedSource::Attachment,
    }));
    found.shapes = shapes(raw);
}

/// The load balancers that send to a target group; one without where none is known.
fn of_target_group(arn: &str, routes: Option<&Routes>) -> Vec<Feed> {
    let Some(target_group) = in_metrics(arn) else { return Vec::new() };
    let feed = |balancer: Option<&String>| Feed {
        via: balancer.map_or(FeedKind::Other, |arn| kind(arn)),
        balancer: balancer.and_then(|arn| in_metrics(arn)),
        target_group: Some(target_group.clone()),
        target_groups: balancer.zip(routes).map(|(arn, routes)| {
            let sends = routes.values().filter(|balancers| balancers.contains(arn)).count();
            u32::try_from(sends).unwrap_or(u32::MAX)
        }),
        known_by: FeedSource::Attachment,
    };
    match routes.and_then(|routes| routes.get(arn)) {
        Some(balancers) if !balancers.is_empty() => {
            balancers.iter().map(|balancer| feed(Some(balancer))).collect()
        }
        _ => vec![feed(None)],
    }
}

/// What metrics call a load balancer or a target group: the end of its ARN.
fn in_metrics(arn: &str) -> Option<String> {
    let end = arn.splitn(6, ':').nth(5)?;
    let end = end.strip_prefix("loadbalancer/").unwrap_or(end);
    Some(end.to_owned()).filter(|end| !end.is_empty())
}

/// The kind of a load balancer: its ARN says so.
fn kind(arn: &str) -> FeedKind {
    match in_metrics(arn).as_deref().and_then(|name| name.split_once('/')) {
        Some(("app", _)) => FeedKind::Application,
        Some(("net", _)) => FeedKind::Network,
        Some(("gwy", _)) => FeedKind::Gateway,
        _ => FeedKind::Other,
    }
}

/// The types that the group is made of: those that it names, else those that it has.
fn shapes(raw: &aws::AutoScalingGroup) -> Vec<UnitShape> {
    let weight = |text: Option<&str>| text.and_then(|text| text.parse().ok());
    let template = raw.mixed_instances_policy().and_then(|mixed| mixed.launch_template());
    let named = template.into_iter().flat_map(|template| template.overrides());
    let named =
        named.filter_map(|one| Some((one.instance_type()?, weight(one.weighted_capacity()))));
    let named: BTreeMap<&str, Option<u32>> = named.collect();
    let mut counts: BTreeMap<(&str, u32), usize> = BTreeMap::new();
    for member in raw.instances() {
        if let Some(class) = member.instance_type() {
            let own = weight(member.weighted_capacity());
            // A member that tells none has what its type is named with.
            let counts_for = own.or_else(|| named.get(class).copied().flatten()).unwrap_or(1);
            *counts.entry((class, counts_for)).or_default() += 1;
        }
    }
    for (class, counts_for) in named {
        counts.entry((class, counts_for.unwrap_or(1))).or_default();
    }
    let mut all: Vec<_> = counts.into_iter().collect();
    all.sort_by_key(|((_, _), count)| std::cmp::Reverse(*count));
    let shape =
        |((class, weight), _): ((&str, u32), usize)| UnitShape { class: class.to_owned(), weight };
    all.into_iter().map(shape).collect()
}

/// What a policy tells: what it holds steady, what it looks at, and which target group it names.
fn governed(
    policy: &aws::ScalingPolicy,
    alarms: &BTreeMap<String, Vec<AlarmMetric>>,
    routes: Option<&Routes>,
    found: &mut Surveyed,
) {
    let name = policy.policy_name().unwrap_or_default();
    let mut watch = |(namespace, metric, dimensions): AlarmMetric| {
        found.watched.push(WatchedMetric {
            policy: name.to_owned(),
            namespace,
            metric,
            dimensions,
        });
    };
    let named = policy.alarms().iter().filter_map(|alarm| alarms.get(alarm.alarm_name()?));
    named.flatten().cloned().for_each(&mut watch);
    let Some(tracking) = policy.target_tracking_configuration() else { return };
    if let Some(custom) = tracking.customized_metric_specification() {
        customized(custom).into_iter().for_each(&mut watch);
    }
    let Some(predefined) = tracking.predefined_metric_specification() else { return };
    let value = tracking.target_value().filter(|value| value.is_finite() && *value > 0.0);
    let kind = match predefined.predefined_metric_type().map_or("", |kind| kind.as_str()) {
        // The metric counts requests in a minute.
        "ALBRequestCountPerTarget" => value.map(|value| GoalKind::RequestsPerUnit(value / 60.0)),
        "ASGAverageCPUUtilization" => value.map(GoalKind::CpuPercent),
        _ => None,
    };
    found.goals.extend(kind.map(|kind| Goal { policy: name.to_owned(), kind }));
    let label = predefined.resource_label().and_then(labelled);
    if let Some((balancer, target_group)) = label {
        // Attachments say the same and more, where they could be read.
        let known = |feed: &Feed| feed.target_group.as_deref() == Some(target_group);
        found.feeds.retain(|feed| !known(feed) || feed.balancer.is_some());
        if !found.feeds.iter().any(known) {
            let sends = |balancers: &&BTreeSet<String>| {
                balancers.iter().any(|arn| in_metrics(arn).as_deref() == Some(balancer))
            };
            let shared = routes.map(|routes| routes.values().filter(sends).count());
            found.feeds.push(Feed {
                via: FeedKind::Application,
                balancer: Some(balancer.to_owned()),
                target_group: Some(target_group.to_owned()),
                target_groups: shared.and_then(|count| u32::try_from(count).ok()),
                known_by: FeedSource::Policy(name.to_owned()),
            });
        }
    }
}

/// The load balancer and the target group in a label: `app/NAME/ID/targetgroup/NAME/ID`.
fn labelled(label: &str) -> Option<(&str, &str)> {
    let at = label.find("/targetgroup/")?;
    Some((&label[..at], &label[at + 1..]))
}

/// The metrics of a customized specification: its own, or those that it is reckoned from.
fn customized(custom: &aws::CustomizedMetricSpecification) -> Vec<AlarmMetric> {
    let own = custom.metric_name().zip(custom.namespace());
    let own = own.map(|(metric, namespace)| {
        (namespace.to_owned(), metric.to_owned(), dimensions(custom.dimensions()))
    });
    let reckoned = custom.metrics().iter().filter_map(|query| query.metric_stat()?.metric());
    let reckoned = reckoned.filter_map(|metric| {
        let dimensions = dimensions(metric.dimensions());
        Some((metric.namespace()?.to_owned(), metric.metric_name()?.to_owned(), dimensions))
    });
    own.into_iter().chain(reckoned).collect()
}

fn dimensions(all: &[aws::MetricDimension]) -> BTreeMap<String, String> {
    let pair = |one: &aws::MetricDimension| Some((one.name()?.to_owned(), one.value()?.to_owned()));
    all.iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str =
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/shop/50dc";
    const CHECKOUT: &str =
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/checkout/73e2";
    const SEARCH: &str =
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/search/9a31";

    fn routes() -> Routes {
        let shop = || BTreeSet::from([SHOP.to_owned()]);
        BTreeMap::from([(CHECKOUT.to_owned(), shop()), (SEARCH.to_owned(), shop())])
    }

    fn surveyed() -> Surveyed {
        use fleet::{AccountId, GroupId, ProviderName, Region, Timestamp, Units};
        Surveyed::bare(GroupState {
            id: GroupId {
                provider: ProviderName::new("aws").unwrap(),
                account: AccountId::new("111122223333").unwrap(),
                region: Region::new("eu-west-1").unwrap(),
                id: "arn".to_owned(),
            },
            name: "checkout-asg".to_owned(),
            read_at: Timestamp(0),
            desired: Units(1),
            min: Units(1),
            max: Units(9),
            instances: Vec::new(),
            tags: BTreeMap::new(),
            suspended: BTreeSet::new(),
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
        })
    }

    fn tracking(label: &str) -> aws::ScalingPolicy {
        let predefined = aws::PredefinedMetricSpecification::builder()
            .predefined_metric_type(aws::MetricType::AlbRequestCountPerTarget)
            .resource_label(label)
            .build();
        let tracking = aws::TargetTrackingConfiguration::builder()
            .predefined_metric_specification(predefined)
            .target_value(2400.0)
            .build();
        let policy =
            aws::ScalingPolicy::builder().policy_name("req").policy_type("TargetTrackingScaling");
        policy.target_tracking_configuration(tracking).build()
    }

    #[test]
    fn attachments_name_the_load_balancer_and_who_shares_it() {
        let raw = aws::AutoScalingGroup::builder()
            .target_group_arns(CHECKOUT)
            .traffic_sources(
                aws::TrafficSourceIdentifier::builder()
                    .identifier(CHECKOUT)
                    .r#type("elbv2")
                    .build(),
            )
            .traffic_sources(
                aws::TrafficSourceIdentifier::builder().identifier("old").r#type("elb").build(),
            )
            .load_balancer_names("old")
            .build();
        let mut found = surveyed();
        attached(&raw, Some(&routes()), &mut found);
        let shown: Vec<_> = found
            .feeds
            .iter()
            .map(|f| (f.via, f.balancer.as_deref(), f.target_group.as_deref(), f.target_groups))
            .collect();
        assert_eq!(
            shown,
            [
                (
                    FeedKind::Application,
                    Some("app/shop/50dc"),
                    Some("targetgroup/checkout/73e2"),
                    Some(2)
                ),
                (FeedKind::Classic, Some("old"), None, None),
            ],
            "each once, however often it is named"
        );
    }

    /// Where target groups may not be read, the policy's label has what is missing.
    #[test]
    fn a_policys_label_stands_in_for_load_balancers_that_cannot_be_read() {
        let raw = aws::AutoScalingGroup::builder().target_group_arns(CHECKOUT).build();
        for (routes, known_by) in
            [(None, FeedSource::Policy("req".to_owned())), (Some(routes()), FeedSource::Attachment)]
        {
            let mut found = surveyed();
            attached(&raw, routes.as_ref(), &mut found);
            governed(
                &tracking("app/shop/50dc/targetgroup/checkout/73e2"),
                &BTreeMap::new(),
                routes.as_ref(),
                &mut found,
            );
            let [feed] = &found.feeds[..] else { panic!("{:?}", found.feeds) };
            assert_eq!(feed.balancer.as_deref(), Some("app/shop/50dc"));
            assert_eq!(feed.known_by, known_by);
            assert_eq!(found.goals[0].kind, GoalKind::RequestsPerUnit(40.0));
        }
    }

    #[test]
    fn what_a_policy_looks_at_is_read_from_its_alarms_and_its_formula() {
        let queue = || aws::MetricDimension::builder().name("QueueName").value("jobs").build();
        let metric = aws::Metric::builder()
            .namespace("AWS/SQS")
            .metric_name("ApproximateNumberOfMessagesVisible")
            .dimensions(queue())
            .build();
        let stat = aws::TargetTrackingMetricStat::builder().metric(metric).stat("Sum").build();
        let query =
            aws::TargetTrackingMetricDataQuery::builder().id("m1").metric_stat(stat).build();
        let reckoned =
            aws::TargetTrackingMetricDataQuery::builder().id("e1").expression("m1 / 2").build();
        let custom =
            aws::CustomizedMetricSpecification::builder().metrics(query).metrics(reckoned).build();
        let tracking = aws::TargetTrackingConfiguration::builder()
            .customized_metric_specification(custom)
            .target_value(10.0)
            .build();
        let formula = aws::ScalingPolicy::builder()
            .policy_name("backlog")
            .target_tracking_configuration(tracking)
            .build();
        let alarm = aws::Alarm::builder().alarm_name("deep").build();
        let step = aws::ScalingPolicy::builder()
            .policy_name("out")
            .policy_type("StepScaling")
            .alarms(alarm)
            .build();
        let alarms = BTreeMap::from([(
            "deep".to_owned(),
            vec![(
                "AWS/SQS".to_owned(),
                "X".to_owned(),
                BTreeMap::from([("QueueName".to_owned(), "more".to_owned())]),
            )],
        )]);
        let mut found = surveyed();
        governed(&formula, &alarms, None, &mut found);
        governed(&step, &alarms, None, &mut found);
        let shown: Vec<_> = found
            .watched
            .iter()
            .map(|w| (w.policy.as_str(), w.dimensions["QueueName"].as_str()))
            .collect();
        assert_eq!(shown, [("backlog", "jobs"), ("out", "more")]);
        assert!(found.goals.is_empty() && found.feeds.is_empty());
    }

    #[test]
    fn machines_are_those_that_are_there_before_those_that_are_named() {
        let member = |id: &str, class: &str, weight: &str| {
            aws::Instance::builder()
                .instance_id(id)
                .instance_type(class)
                .weighted_capacity(weight)
                .build()
        };
        let named = |class: &str, weight: &str| {
            aws::LaunchTemplateOverrides::builder()
                .instance_type(class)
                .weighted_capacity(weight)
                .build()
        };
        let template = aws::LaunchTemplate::builder()
            .overrides(named("c6i.2xlarge", "8"))
            .overrides(named("c6i.large", "2"));
        let spread = aws::InstancesDistribution::builder()
            .on_demand_percentage_above_base_capacity(0)
            .build();
        let mixed = aws::MixedInstancesPolicy::builder()
            .launch_template(template.build())
            .instances_distribution(spread);
        let raw = aws::AutoScalingGroup::builder()
            .instances(member("i-1", "c6i.large", "2"))
            .instances(member("i-2", "c6i.xlarge", "4"))
            .instances(member("i-3", "c6i.xlarge", "4"))
            .mixed_instances_policy(mixed.build())
            .build();
        let mut found = surveyed();
        attached(&raw, None, &mut found);
        let shown: Vec<_> = found.shapes.iter().map(|s| (s.class.as_str(), s.weight)).collect();
        assert_eq!(shown, [("c6i.xlarge", 4), ("c6i.large", 2), ("c6i.2xlarge", 8)]);
    }
}
