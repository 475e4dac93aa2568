//! Which metrics may be a group's load, by what feeds it: the surest first. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fleet::feed::{Feed, FeedKind, Surveyed};
use fleet::metric::{MetricQuery, Statistic, WhenMissing};
use fleet::{GroupId, Step};

use super::Cloud;

/// One way to measure the load of a group: metrics whose sum it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Way {
    pub(super) kind: WayKind,
    pub(super) parts: Vec<Part>,
}

/// One metric of a load, and what it counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) query: MetricQuery,
    pub(super) feed: Option<Feed>,
}

/// Why a metric is taken for the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WayKind {
    /// What load balancers send to the group's own target groups.
    TargetGroups,
    /// All that the load balancers get, as nobody else is behind them.
    WholeBalancers,
    /// What arrives in a queue or stream that a policy of the group looks at.
    Queue {
        /// The policy.
        policy: String,
    },
    /// What arrives in a queue that is called as the group or one of its tags.
    QueueOfThatName {
        /// The queue.
        queue: String,
        /// What it is called as.
        word: String,
    },
}

/// Why something that feeds a group tells nothing of its load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoWay {
    /// Other groups in service are behind the same target group.
    SharedTargetGroup { target_group: String, others: Vec<String> },
    /// The load balancer does not count by target group, and has several.
    NotByTargetGroup { balancer: String, target_groups: Option<u32> },
    /// Nobody knows which load balancer sends to the target group.
    NoBalancer { target_group: String },
    /// A policy looks at a metric of which nobody can tell whether it is a load.
    Unknown { policy: String, metric: String },
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoWay::SharedTargetGroup { target_group, others } => write!(
                f,
                "Target group `{}` also feeds {}, and its requests are not told apart by group.",
                short(target_group),
                listed(others)
            ),
            NoWay::NotByTargetGroup { balancer, target_groups: Some(several) } => write!(
                f,
                "Load balancer `{}` sends to {several} target groups and counts for all of them \
                 alone.",
                short(balancer)
            ),
            NoWay::NotByTargetGroup { balancer, target_groups: None } => write!(
                f,
                "Load balancer `{}` may send to others, too, and counts for all of them alone.",
                short(balancer)
            ),
            NoWay::NoBalancer { target_group } => write!(
                f,
                "It is attached to target group `{}`, and no load balancer that sends to it was \
                 found.",
                short(target_group)
            ),
            NoWay::Unknown { policy, metric } => write!(
                f,
                "Policy `{policy}` looks at `{metric}`: if that grows with the load whatever the \
                 number of units, it can be named here."
            ),
        }
    }
}

/// What is known of the ways to a group's load.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ways {
    /// The surest first.
    pub(super) ways: Vec<Way>,
    /// What leads nowhere.
    pub(super) none: Vec<NoWay>,
}

/// An account in a region.
type Home = (fleet::AccountId, fleet::Region);

/// The queues that metrics were listed of, by place.
pub(super) type Queues = BTreeMap<Home, Vec<String>>;

/// The ways to each group's load.
pub(super) fn ways(cloud: Cloud, all: &[&Surveyed], queues: &Queues) -> BTreeMap<GroupId, Ways> {
    let places: Vec<Home> = all.iter().map(|one| home(one)).collect();
    let mut behind: BTreeMap<(&Home, &str), Vec<&Surveyed>> = BTreeMap::new();
    for (one, place) in all.iter().zip(&places) {
        let serves = one.group.desired.0 > 0 || !one.group.instances.is_empty();
        for feed in one.feeds.iter().filter(|_| serves) {
            if let Some(target_group) = &feed.target_group {
                behind.entry((place, target_group.as_str())).or_default().push(one);
            }
        }
    }
    let each = |(one, place): (&&Surveyed, &Home)| {
        let others = |target_group: &str| -> Vec<String> {
            let all = behind.get(&(place, target_group)).into_iter().flatten();
            let others = all.filter(|other| other.group.id != one.group.id);
            others
                .map(|other| other.group.name.clone())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        };
        let named = queues.get(place).map_or(&[][..], Vec::as_slice);
        (one.group.id.clone(), ways_of(cloud, one, &others, named))
    };
    all.iter().zip(&places).map(each).collect()
}

fn home(one: &Surveyed) -> Home {
    (one.group.id.account.clone(), one.group.id.region.clone())
}

fn ways_of(
    cloud: Cloud,
    one: &Surveyed,
    others: &dyn Fn(&str) -> Vec<String>,
    queues: &[String],
) -> Ways {
    let mut found = Ways::default();
    let mut feeds = Vec::new();
    for feed in &one.feeds {
        let target_group = feed.target_group.as_deref().unwrap_or_default();
        let shared = others(target_group);
        if feed.balancer.is_none() {
            found.none.push(NoWay::NoBalancer { target_group: target_group.to_owned() });
        } else if !shared.is_empty() && feed.target_group.is_some() {
            let target_group = target_group.to_owned();
            found.none.push(NoWay::SharedTargetGroup { target_group, others: shared });
        } else {
            feeds.push(feed);
        }
    }
    // A part of the load is no load: all feeds are told, or none.
    let all_told = feeds.len() == one.feeds.len();
    if !feeds.is_empty() && all_told {
        let by_target_group = feeds.iter().map(|feed| by_target_group(cloud, one, feed));
        if let Some(parts) = by_target_group.collect::<Option<Vec<Part>>>() {
            found.ways.push(Way { kind: WayKind::TargetGroups, parts });
        }
        let whole = feeds.iter().map(|feed| whole_balancer(cloud, one, feed));
        if let Some(parts) = whole.collect::<Option<Vec<Part>>>() {
            found.ways.push(Way { kind: WayKind::WholeBalancers, parts });
        }
        for feed in &feeds {
            let told = by_target_group_metric(cloud, feed.via).is_some();
            if let (Some(balancer), Some(_), false) = (&feed.balancer, &feed.target_group, told)
                && feed.target_groups != Some(1)
            {
                let (balancer, target_groups) = (balancer.clone(), feed.target_groups);
                found.none.push(NoWay::NotByTargetGroup { balancer, target_groups });
            }
        }
    }
    queues_watched(cloud, one, &mut found);
    if one.feeds.is_empty() && found.ways.is_empty() {
        found.ways.extend(queues_of_that_name(cloud, one, queues));
    }
    found
}

/// What a queue's or stream's metric of arriving work is called, by the namespace and the dimension
/// that policies look at.
const ARRIVALS: [(&str, &str, &str); 3] = [
    ("AWS/SQS", "QueueName", "NumberOfMessagesSent"),
    ("AWS/Kinesis", "StreamName", "IncomingRecords"),
    ("AWS/AmazonMQ", "Queue", "EnqueueCount"),
];

fn queues_watched(cloud: Cloud, one: &Surveyed, found: &mut Ways) {
    if cloud != Cloud::Aws {
        return;
    }
    // Several policies may look at one queue.
    let mut seen = BTreeSet::new();
    let mut by_policy: BTreeMap<&str, Vec<Part>> = BTreeMap::new();
    for watched in &one.watched {
        let arrives = ARRIVALS.iter().find(|(namespace, dimension, _)| {
            watched.namespace == *namespace && watched.dimensions.contains_key(*dimension)
        });
        match arrives {
            Some((namespace, ..)) if !seen.insert((*namespace, &watched.dimensions)) => {}
            Some((namespace, _, metric)) => {
                let dimensions = watched.dimensions.clone();
                let query = query(one, namespace, metric, Statistic::Sum, dimensions);
                by_policy.entry(&watched.policy).or_default().push(Part { query, feed: None });
            }
            None if !is_mean(&watched.namespace) => found.none.push(NoWay::Unknown {
                policy: watched.policy.clone(),
                metric: format!("{} {}", watched.namespace, watched.metric),
            }),
            None => {}
        }
    }
    // Work comes from load balancers where there are some; a queue is beside it then.
    let ways = by_policy
        .into_iter()
        .map(|(policy, parts)| Way { kind: WayKind::Queue { policy: policy.to_owned() }, parts });
    found.ways.extend(ways);
}

/// Namespaces whose metrics are means of the group or counts of its machines, and no load.
fn is_mean(namespace: &str) -> bool {
    ["AWS/EC2", "AWS/AutoScaling", "AWS/ApplicationELB", "AWS/NetworkELB", "AWS/ELB", "CWAgent"]
        .contains(&namespace)
}

/// Words that say nothing of what a group does.
const EMPTY_WORDS: [&str; 16] = [
    "asg",
    "prod",
    "production",
    "true",
    "false",
    "worker",
    "workers",
    "group",
    "auto",
    "scaling",
    "live",
    "main",
    "default",
    "staging",
    "yes",
    "no",
];

/// Queues whose name is a word of the group's name or tags. A weak guess.
fn queues_of_that_name(cloud: Cloud, one: &Surveyed, queues: &[String]) -> Vec<Way> {
    if cloud != Cloud::Aws {
        return Vec::new();
    }
    let of = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !c.is_alphanumeric());
        parts.map(str::to_lowercase).collect()
    };
    let tags = one.group.tags.iter().filter(|(key, _)| !key.starts_with("aws:"));
    let tags = tags.flat_map(|(_, value)| of(value));
    let words: BTreeSet<String> = of(&one.group.name).into_iter().chain(tags).collect();
    let telling = |word: &String| word.len() >= 3 && !EMPTY_WORDS.contains(&word.as_str());
    let words: BTreeSet<String> = words.into_iter().filter(telling).collect();
    let mut ways = Vec::new();
    for queue in queues {
        let dead = ["dlq", "dead", "deadletter"];
        let parts = of(queue);
        if parts.iter().any(|part| dead.contains(&part.as_str())) {
            continue;
        }
        if let Some(word) = parts.iter().find(|part| words.contains(*part)) {
            let dimensions = BTreeMap::from([("QueueName".to_owned(), queue.clone())]);
            let query = query(one, "AWS/SQS", "NumberOfMessagesSent", Statistic::Sum, dimensions);
            let (queue, word) = (queue.clone(), word.clone());
            let kind = WayKind::QueueOfThatName { queue, word };
            ways.push(Way { kind, parts: vec![Part { query, feed: None }] });
        }
    }
    // Two that fit are none that is known.
    if ways.len() == 1 { ways } else { Vec::new() }
}

fn query(
    one: &Surveyed,
    namespace: &str,
    metric: &str,
    statistic: Statistic,
    dimensions: BTreeMap<String, String>,
) -> MetricQuery {
    let id = &one.group.id;
    MetricQuery {
        provider: id.provider.clone(),
        account: id.account.clone(),
        region: id.region.clone(),
        namespace: namespace.to_owned(),
        metric: metric.to_owned(),
        statistic,
        dimensions,
        period: Step::MINUTE,
        when_missing: WhenMissing::Unknown,
    }
}

/// How a kind of load balancer counts.
struct Counted {
    namespace: &'static str,
    metric: &'static str,
    statistic: Statistic,
}

fn by_target_group_metric(cloud: Cloud, via: FeedKind) -> Option<Counted> {
    let counted = |namespace, metric, statistic| Some(Counted { namespace, metric, statistic });
    match (cloud, via) {
        (Cloud::Aws, FeedKind::Application) => {
            counted("AWS/ApplicationELB", "RequestCount", Statistic::Sum)
        }
        (Cloud::Alibaba, FeedKind::Application) => {
            counted("acs_alb", "ServerGroupQPS", Statistic::Average)
        }
        _ => None,
    }
}

fn balancer_metric(cloud: Cloud, via: FeedKind) -> Option<Counted> {
    let counted = |namespace, metric, statistic| Some(Counted { namespace, metric, statistic });
    match (cloud, via) {
        (Cloud::Aws, FeedKind::Application) => {
            counted("AWS/ApplicationELB", "RequestCount", Statistic::Sum)
        }
        // Connections may live for hours: bytes tell the work better.
        (Cloud::Aws, FeedKind::Network) => {
            counted("AWS/NetworkELB", "ProcessedBytes", Statistic::Sum)
        }
        (Cloud::Aws, FeedKind::Gateway) => {
            counted("AWS/GatewayELB", "ProcessedBytes", Statistic::Sum)
        }
        (Cloud::Aws, FeedKind::Classic) => counted("AWS/ELB", "RequestCount", Statistic::Sum),
        (Cloud::Alibaba, FeedKind::Application) => {
            counted("acs_alb", "LoadBalancerQPS", Statistic::Average)
        }
        (Cloud::Alibaba, FeedKind::Classic) => {
            counted("acs_slb_dashboard", "InstanceQps", Statistic::Average)
        }
        (Cloud::Alibaba, FeedKind::Network | FeedKind::Gateway) | (_, FeedKind::Other) => None,
    }
}

/// The dimensions by which a cloud names a feed.
fn dimensions(cloud: Cloud, feed: &Feed, with_target_group: bool) -> BTreeMap<String, String> {
    let (balancer, target_group) = match (cloud, feed.via) {
        (Cloud::Aws, FeedKind::Classic) => ("LoadBalancerName", "TargetGroup"),
        (Cloud::Aws, _) => ("LoadBalancer", "TargetGroup"),
        (Cloud::Alibaba, FeedKind::Classic) => ("instanceId", "vServerGroupId"),
        (Cloud::Alibaba, _) => ("loadBalancerId", "serverGroupId"),
    };
    let balancer = feed.balancer.as_ref().map(|value| (balancer.to_owned(), value.clone()));
    let group = feed.target_group.as_ref().filter(|_| with_target_group);
    balancer
        .into_iter()
        .chain(group.map(|value| (target_group.to_owned(), value.clone())))
        .collect()
}

fn by_target_group(cloud: Cloud, one: &Surveyed, feed: &Feed) -> Option<Part> {
    feed.target_group.as_ref()?;
    let Counted { namespace, metric, statistic } = by_target_group_metric(cloud, feed.via)?;
    let query = query(one, namespace, metric, statistic, dimensions(cloud, feed, true));
    Some(Part { query, feed: Some(feed.clone()) })
}

/// A load balancer's own count, where all that it gets goes to this group.
fn whole_balancer(cloud: Cloud, one: &Surveyed, feed: &Feed) -> Option<Part> {
    let alone = feed.target_group.is_none() || feed.target_groups == Some(1);
    let counted = balancer_metric(cloud, feed.via).filter(|_| alone)?;
    let Counted { namespace, metric, statistic } = counted;
    let query = query(one, namespace, metric, statistic, dimensions(cloud, feed, false));
    Some(Part { query, feed: Some(feed.clone()) })
}

/// Signs of an outage beside a load: errors, and hosts that are healthy.
pub(super) fn signals(cloud: Cloud, one: &Surveyed, part: &Part) -> [Option<MetricQuery>; 2] {
    let (Cloud::Aws, Some(feed)) = (cloud, &part.feed) else { return [None, None] };
    let by_target_group = part.query.dimensions.contains_key("TargetGroup");
    let (errors, namespace) = match feed.via {
        FeedKind::Application => (Some("HTTPCode_Target_5XX_Count"), "AWS/ApplicationELB"),
        FeedKind::Classic => (Some("HTTPCode_Backend_5XX"), "AWS/ELB"),
        FeedKind::Network => (None, "AWS/NetworkELB"),
        FeedKind::Gateway => (None, "AWS/GatewayELB"),
        FeedKind::Other => return [None, None],
    };
    let errors = errors.map(|metric| {
        let dimensions = dimensions(cloud, feed, by_target_group);
        let sum = query(one, namespace, metric, Statistic::Sum, dimensions);
        MetricQuery { when_missing: WhenMissing::Zero, ..sum }
    });
    let healthy = query(
        one,
        namespace,
        "HealthyHostCount",
        Statistic::Minimum,
        // Hosts are counted by target group alone.
        dimensions(cloud, feed, true),
    );
    [errors, Some(healthy)]
}

/// The mean CPU utilisation of a group, as the configuration's `learn` names it.
pub(super) fn cpu(cloud: Cloud, one: &Surveyed) -> MetricQuery {
    let (namespace, dimension, period) = match cloud {
        Cloud::Aws => ("AWS/EC2", "AutoScalingGroupName", Step::FIVE_MINUTES),
        Cloud::Alibaba => ("acs_ecs_dashboard", "scalingGroup", Step::MINUTE),
    };
    let dimensions = BTreeMap::from([(dimension.to_owned(), one.group.name.clone())]);
    let cpu = query(one, namespace, "CPUUtilization", Statistic::Average, dimensions);
    MetricQuery { period, ..cpu }
}

/// The number of units in service that the cloud measures of a group, where that is switched on.
pub(super) fn size(cloud: Cloud, one: &Surveyed) -> Option<MetricQuery> {
    let weighted = one.shapes.iter().any(|shape| shape.weight != 1);
    let metric = if weighted { "GroupInServiceCapacity" } else { "GroupInServiceInstances" };
    let dimensions = BTreeMap::from([("AutoScalingGroupName".to_owned(), one.group.name.clone())]);
    let size = query(one, "AWS/AutoScaling", metric, Statistic::Average, dimensions);
    (cloud == Cloud::Aws).then_some(size)
}

/// A load balancer or target group as people call it: `app/shop/50dc` is `shop`.
pub(super) fn short(name: &str) -> &str {
    let mut parts = name.split('/');
    match (parts.next(), parts.next()) {
        (Some(_), Some(name)) => name,
        _ => name,
    }
}

/// Names in a sentence.
pub(super) fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match &quoted[..] {
        [] => String::new(),
        [one] => one.clone(),
        [firsts @ .., last] => format!("{} and {last}", firsts.join(", ")),
    }
}
