//! What is guessed of a group from what was found, each guess with what it rests on. Pure.

use std::collections::BTreeMap;
use std::fmt;

use config::Defaults;
use fleet::feed::{GoalKind, Surveyed};
use fleet::group::{ActivityKind, ActivityStatus, NativePolicy, Process};
use fleet::metric::{MetricKey, MetricQuery, Sample, Statistic, WhenMissing};
use fleet::{Fault, Seconds, Timestamp};

use super::Cloud;
use super::find::{self, NoWay, Part, WayKind, Ways};
use super::fit::{Fit, NoFit, Past, STEP, fit};

/// Samples by metric, or why there are none.
pub(super) type Read = BTreeMap<MetricKey, Result<Vec<Sample>, Fault>>;

/// A target utilisation beyond this leaves no room to see that a unit is full.
const TARGET_MAX_PERCENT: f64 = 85.0;

/// Units whose CPU is never busier are limited by something else, or by nothing.
const CPU_TELLS_PERCENT: f64 = 10.0;

/// All that is guessed of a group.
#[derive(Clone, Debug)]
pub(super) struct Guess<'a> {
    pub(super) one: &'a Surveyed,
    pub(super) load: Load,
    /// What feeds it and tells nothing.
    pub(super) none: Vec<NoWay>,
    pub(super) capacity: Capacity,
    pub(super) target: Target,
    pub(super) utilisation: Option<MetricQuery>,
    pub(super) errors: Option<MetricQuery>,
    pub(super) healthy_hosts: Option<MetricQuery>,
    pub(super) lead: Lead,
}

/// What the load of a group is taken to be.
#[derive(Clone, Debug)]
pub(super) enum Load {
    /// A sum of metrics.
    Metrics {
        kind: WayKind,
        parts: Vec<Measured>,
        /// Parts that had no sample, and were left out.
        silent: Vec<Part>,
    },
    /// The CPU that its units are busy with.
    Cpu(Measured),
    /// Nothing that could be found.
    None(Unsized),
}

/// A metric, with what was seen of it.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) part: Part,
    /// Least and most of the last day; `None` where nothing could be read.
    pub(super) range: Option<(f64, f64)>,
}

/// Why a group cannot be sized yet.
#[derive(Clone, Debug)]
pub(super) enum Unsized {
    /// Nothing was found that feeds it, and there are no samples of its CPU.
    Nothing {
        /// Metrics that were asked for and had no sample.
        asked: Vec<MetricQuery>,
    },
    /// Nothing was found that feeds it, and its units do next to nothing with their CPU.
    Unused {
        /// The most of the last day, in percent.
        most: f64,
    },
    /// Samples could not be read.
    Unread(Fault),
}

impl fmt::Display for Unsized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsized::Nothing { asked } => {
                let mut names: Vec<String> = asked
                    .iter()
                    .map(|query| {
                        let of: Vec<&str> = query.dimensions.values().map(String::as_str).collect();
                        format!("`{}` of {}", query.metric, of.join(", "))
                    })
                    .collect();
                names.dedup();
                write!(
                    f,
                    "No load balancer, queue or stream with samples was found, and these had no \
                     sample in the last day: {}.",
                    names.join("; ")
                )
            }
            Unsized::Unused { most } => write!(
                f,
                "No load balancer, queue or stream with samples was found, and its CPU was never \
                 above {most:.0}% in the last day: something else may be what its units are for. If \
                 that is traffic, write `demand = \"network\"` and a `capacity_per_unit` in bytes a \
                 second. If it is CPU all the same, the lines below do."
            ),
            Unsized::Unread(fault) => {
                write!(f, "Nothing that feeds it was found, and no samples could be read: {fault}.")
            }
        }
    }
}

/// What one unit carries.
#[derive(Clone, Debug)]
pub(super) enum Capacity {
    /// What the group's own policy holds steady, in requests per second.
    Policy {
        policy: String,
        per_unit: f64,
        /// The CPU in percent that it means, by the days measured.
        cpu_then: Option<f64>,
    },
    /// Measured.
    Fitted(Fit),
    /// Not known yet.
    Learn(NoFit),
    /// What is asked of CPU needs none.
    Itself,
}

/// How full a unit should be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) percent: f64,
    /// The policy that says so.
    pub(super) policy: Option<String>,
}

/// How long a unit takes from the order until it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    pub(super) value: Seconds,
    /// Launches of the last weeks; `None` where they could not be read.
    pub(super) launches: Option<usize>,
    /// How long nine in ten of them took at most.
    pub(super) slow: Option<Seconds>,
    /// How long a unit then warms up, as the group says.
    pub(super) warm_up: Option<Seconds>,
}

/// A metric as it is read here: in intervals that are laid side by side.
pub(super) fn at_step(query: &MetricQuery) -> MetricQuery {
    MetricQuery { period: STEP, ..query.clone() }
}

/// What was seen of a metric.
enum Seen {
    Samples(f64, f64),
    Silent,
    Unknown,
}

fn seen(read: &Read, query: &MetricQuery) -> Seen {
    match read.get(&at_step(query).key()) {
        Some(Ok(samples)) if !samples.is_empty() => {
            let values = || samples.iter().map(|sample| a_second(query, sample.value));
            Seen::Samples(values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max))
        }
        Some(Ok(_)) => Seen::Silent,
        Some(Err(_)) | None => Seen::Unknown,
    }
}

/// A value of an interval of [`STEP`], by the second where it is a sum.
fn a_second(query: &MetricQuery, value: f64) -> f64 {
    match query.statistic {
        Statistic::Sum | Statistic::SampleCount => value / f64::from(STEP.seconds()),
        _ => value,
    }
}

/// What has to be read of the last day to choose: all that may tell of a group.
pub(super) fn asked_of_a_day(cloud: Cloud, one: &Surveyed, ways: &Ways) -> Vec<MetricQuery> {
    let mut asked: Vec<MetricQuery> = Vec::new();
    for part in ways.ways.iter().flat_map(|way| &way.parts) {
        asked.push(at_step(&part.query));
        let [_, healthy] = find::signals(cloud, one, part);
        asked.extend(healthy.as_ref().map(at_step));
    }
    asked.push(at_step(&find::cpu(cloud, one)));
    asked
}

/// The load of a group, by what has samples.
pub(super) fn load(cloud: Cloud, one: &Surveyed, ways: &Ways, day: &Read) -> Load {
    let mut asked = Vec::new();
    for way in &ways.ways {
        let (mut parts, mut silent, mut any) = (Vec::new(), Vec::new(), false);
        for part in &way.parts {
            match seen(day, &part.query) {
                Seen::Samples(low, high) => {
                    any = true;
                    let mut part = part.clone();
                    if config::known_sparse(&part.query) {
                        // Only of what was seen can it be told that it is silent.
                        part.query.when_missing = WhenMissing::Zero;
                    }
                    parts.push(Measured { part, range: Some((low, high)) });
                }
                Seen::Unknown => parts.push(Measured { part: part.clone(), range: None }),
                Seen::Silent => silent.push(part.clone()),
            }
        }
        if any || (!parts.is_empty() && silent.is_empty()) {
            return Load::Metrics { kind: way.kind.clone(), parts, silent };
        }
        asked.extend(way.parts.iter().map(|part| part.query.clone()));
    }
    let cpu = find::cpu(cloud, one);
    match (seen(day, &cpu), day.get(&at_step(&cpu).key())) {
        (Seen::Samples(_, most), _) if most < CPU_TELLS_PERCENT => {
            Load::None(Unsized::Unused { most })
        }
        (Seen::Samples(low, high), _) => {
            let part = Part { query: cpu, feed: None };
            Load::Cpu(Measured { part, range: Some((low, high)) })
        }
        (_, Some(Err(fault))) => Load::None(Unsized::Unread(fault.clone())),
        _ => {
            asked.push(cpu);
            Load::None(Unsized::Nothing { asked })
        }
    }
}

/// What has to be read of two weeks, once the load is known: it, CPU and size.
pub(super) fn asked_of_weeks(cloud: Cloud, one: &Surveyed, load: &Load) -> Vec<MetricQuery> {
    let Load::Metrics { parts, .. } = load else { return Vec::new() };
    let parts = parts.iter().map(|measured| at_step(&measured.part.query));
    let beside = [Some(find::cpu(cloud, one)), find::size(cloud, one)];
    parts.chain(beside.iter().flatten().map(at_step)).collect()
}

/// All that is guessed of a group.
pub(super) fn guess<'a>(
    cloud: Cloud,
    one: &'a Surveyed,
    ways: &Ways,
    load: Load,
    (day, weeks): (&Read, &Read),
) -> Guess<'a> {
    let target = target(one);
    let has = |query: &MetricQuery| matches!(seen(day, query), Seen::Samples(..));
    let cpu = Some(find::cpu(cloud, one)).filter(has);
    let (mut errors, mut healthy_hosts) = (None, None);
    if let Load::Metrics { parts, .. } = &load
        && let Some(first) = parts.first()
    {
        let [all_errors, healthy] = find::signals(cloud, one, &first.part);
        (errors, healthy_hosts) = (all_errors, healthy.filter(has));
    }
    let capacity = match &load {
        Load::Metrics { parts, .. } => capacity(cloud, one, parts, &target, weeks),
        Load::Cpu(_) | Load::None(_) => Capacity::Itself,
    };
    let measures = matches!(load, Load::Metrics { .. });
    Guess {
        one,
        load,
        none: ways.none.clone(),
        capacity,
        target,
        utilisation: cpu.filter(|_| measures),
        errors,
        healthy_hosts,
        lead: lead(one),
    }
}

fn target(one: &Surveyed) -> Target {
    let usual = planner::policy::PoolPolicy::TARGET_UTILISATION.fraction() * 100.0;
    let held = one.goals.iter().find_map(|goal| match goal.kind {
        GoalKind::CpuPercent(percent) => Some((percent, goal.policy.clone())),
        GoalKind::RequestsPerUnit(_) => None,
    });
    match held {
        Some((percent, policy)) => {
            let percent = percent.clamp(1.0, TARGET_MAX_PERCENT).round();
            Target { percent, policy: Some(policy) }
        }
        None => Target { percent: usual, policy: None },
    }
}

fn samples_of<'a>(read: &'a Read, query: &MetricQuery) -> &'a [Sample] {
    match read.get(&at_step(query).key()) {
        Some(Ok(samples)) => samples,
        Some(Err(_)) | None => &[],
    }
}

fn capacity(
    cloud: Cloud,
    one: &Surveyed,
    parts: &[Measured],
    target: &Target,
    weeks: &Read,
) -> Capacity {
    let all = |query: &MetricQuery| samples_of(weeks, query);
    // A sum is known where each of its parts is, but for those that are silent at zero.
    let mut sum: BTreeMap<Timestamp, (f64, usize)> = BTreeMap::new();
    let steady = parts.iter().filter(|one| one.part.query.when_missing == WhenMissing::Unknown);
    let needed = steady.count().max(1);
    for measured in parts {
        let query = &measured.part.query;
        let counts = usize::from(parts.len() == 1 || query.when_missing == WhenMissing::Unknown);
        for sample in all(query) {
            let entry = sum.entry(sample.start).or_default();
            entry.0 += a_second(query, sample.value);
            entry.1 += counts;
        }
    }
    let whole = |(at, (value, parts)): (Timestamp, (f64, usize))| {
        (parts >= needed || needed == 1).then_some((at, value))
    };
    let load: BTreeMap<Timestamp, f64> = sum.into_iter().filter_map(whole).collect();
    let weighted = one.shapes.iter().any(|shape| shape.weight != 1);
    let sizes = find::size(cloud, one);
    let sizes = sizes.as_ref().map_or(&[][..], |query| samples_of(weeks, query));
    let past = Past::of(&one.group, one.history.as_deref(), sizes, weighted);
    let fitted = fit(&load, all(&find::cpu(cloud, one)), &past);
    let requests = parts.iter().all(|one| one.part.query.metric.contains("RequestCount"));
    let held = one.goals.iter().find_map(|goal| match goal.kind {
        GoalKind::RequestsPerUnit(per_unit) if requests || cloud == Cloud::Alibaba => {
            Some((goal.policy.clone(), per_unit))
        }
        _ => None,
    });
    match (held, fitted) {
        (Some((policy, per_unit)), fitted) => {
            let cpu_then = fitted.ok().map(|fit| per_unit / fit.when_full * 100.0);
            Capacity::Policy { policy, per_unit, cpu_then }
        }
        (None, Ok(fit)) if fit.at(target.percent) > 0.0 => Capacity::Fitted(fit),
        (None, Ok(_)) => Capacity::Learn(NoFit::NoSamples { what: "the load" }),
        (None, Err(why)) => Capacity::Learn(why),
    }
}

fn lead(one: &Surveyed) -> Lead {
    // A unit out of a warm pool says nothing of one that is started from nothing.
    let cold = |text: &str| !text.contains("warm pool");
    let launches = one.history.as_ref().map(|all| {
        let done = all.iter().filter(|activity| {
            activity.kind == ActivityKind::Launch
                && activity.status == ActivityStatus::Successful
                && cold(&activity.cause_text)
        });
        let mut spans: Vec<Seconds> =
            done.filter_map(|a| Some(a.ended_at?.since(a.started_at))).collect();
        spans.sort_unstable();
        spans
    });
    let slow = launches.as_ref().filter(|spans| !spans.is_empty());
    let slow = slow.map(|spans| spans[(spans.len() - 1) * 9 / 10]);
    let warm_up = one.group.warm_up.filter(|span| span.0 > 0);
    // In service is not yet serving: less than the default is taken for true only once it is measured.
    let until = slow.unwrap_or_default() + warm_up.unwrap_or_default();
    let value = Seconds(until.0.div_ceil(60) * 60).max(Defaults::LEAD_TIME).min(Seconds::days(1));
    Lead { value, launches: launches.map(|spans| spans.len()), slow, warm_up }
}

impl Guess<'_> {
    /// Whether what was found is enough to size the group.
    pub(super) fn sizes(&self, cloud: Cloud) -> bool {
        match (&self.load, &self.capacity) {
            (Load::None(_), _) => false,
            // There it cannot be learned without a metric that has samples.
            (Load::Metrics { .. }, Capacity::Learn(_)) if cloud == Cloud::Alibaba => {
                self.utilisation.is_some()
            }
            _ => true,
        }
    }
}

/// The policies of the cloud's own that take units away: neap then writes the minimum.
pub(super) fn scales_in(one: &Surveyed) -> Vec<&NativePolicy> {
    if one.group.suspended.contains(&Process::AlarmNotification) {
        return Vec::new();
    }
    one.group.policies.iter().filter(|policy| policy.enabled && policy.scales_in).collect()
}
