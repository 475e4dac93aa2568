//! What machines did, from CloudWatch: each signal is one metric, or a sum of several.

use std::collections::BTreeMap;

use fleet::metric::{MetricQuery, Sample, Statistic, WhenMissing};
use fleet::resource::ResourceKind;
use fleet::usage::{Signal, UsageQuery};
use fleet::{Fault, FaultKind, Seconds, Step, Timestamp};

use super::super::Aws;
use super::super::metrics::GET_METRIC_DATA;
use super::alarms::{AGENT, AGENT_METRICS, DATABASE, INSTANCE};
use crate::{Deadline, Metrics, intervals};

/// How a signal is put together.
#[derive(Clone, Debug, PartialEq)]
struct Recipe {
    namespace: &'static str,
    /// Metrics that are added up, as far as they are there.
    metrics: Vec<&'static str>,
    /// What they are divided by: the seconds that one sample counts, or 1.
    divisor: f64,
}

/// Reads usage, one answer a query, in the order asked.
pub(super) async fn read(
    aws: &Aws,
    queries: &[UsageQuery],
    (from, to): (Timestamp, Timestamp),
    step: Seconds,
    deadline: Deadline,
) -> Vec<Result<Vec<Sample>, Fault>> {
    let Some(step) = intervals::step(step) else {
        let why = format!("no step of {} s", step.0);
        let fault = GET_METRIC_DATA.fault(FaultKind::Refused, why);
        return queries.iter().map(|_| Err(fault.clone())).collect();
    };
    let mut asked = Vec::new();
    let mut parts = Vec::new();
    for query in queries {
        let recipe = recipe(query);
        let first = asked.len();
        if let Some(recipe) = &recipe {
            asked.extend(recipe.metrics.iter().map(|name| metric(query, recipe, name, step)));
        }
        parts.push((recipe, first..asked.len()));
    }
    let answers = Metrics::samples(aws, &asked, from, to, deadline).await;
    let whole = |(recipe, range): (Option<Recipe>, std::ops::Range<usize>)| match recipe {
        Some(recipe) => added(answers.get(range).unwrap_or_default(), recipe.divisor),
        None => {
            let why = "this signal is not told of this kind";
            Err(GET_METRIC_DATA.fault(FaultKind::Refused, why))
        }
    };
    parts.into_iter().map(whole).collect()
}

fn recipe(query: &UsageQuery) -> Option<Recipe> {
    let apart = Seconds(query.sampled_every.0.max(1)).0 as f64;
    let plain = |namespace, name| Recipe { namespace, metrics: vec![name], divisor: 1.0 };
    let agent = |signal| {
        let (_, name) = AGENT_METRICS.iter().find(|(of, _)| *of == signal)?;
        Some(plain(AGENT, *name))
    };
    match query.resource.kind {
        ResourceKind::Instance => {
            const EC2: &str = "AWS/EC2";
            // These count what happened in the time of a sample.
            let counted = |metrics| Some(Recipe { namespace: EC2, metrics, divisor: apart });
            match query.signal {
                Signal::Cpu => Some(plain(EC2, "CPUUtilization")),
                Signal::NetworkIn => counted(vec!["NetworkIn"]),
                Signal::NetworkOut => counted(vec!["NetworkOut"]),
                // The first two are volumes' on newer machines, the others local disks' and older
                // machines'.
                Signal::DiskOps => {
                    counted(vec!["EBSReadOps", "EBSWriteOps", "DiskReadOps", "DiskWriteOps"])
                }
                Signal::CreditsLeft => Some(plain(EC2, "CPUCreditBalance")),
                Signal::Memory | Signal::Gpu | Signal::Connections => agent(query.signal),
            }
        }
        ResourceKind::Database => {
            const RDS: &str = "AWS/RDS";
            match query.signal {
                Signal::Cpu => Some(plain(RDS, "CPUUtilization")),
                Signal::NetworkIn => Some(plain(RDS, "NetworkReceiveThroughput")),
                Signal::NetworkOut => Some(plain(RDS, "NetworkTransmitThroughput")),
                Signal::DiskOps => Some(Recipe {
                    namespace: RDS,
                    metrics: vec!["ReadIOPS", "WriteIOPS"],
                    divisor: 1.0,
                }),
                Signal::Connections => Some(plain(RDS, "DatabaseConnections")),
                Signal::CreditsLeft => Some(plain(RDS, "CPUCreditBalance")),
                Signal::Memory | Signal::Gpu => None,
            }
        }
        _ => None,
    }
}

fn metric(query: &UsageQuery, recipe: &Recipe, name: &str, period: Step) -> MetricQuery {
    let id = &query.resource;
    let dimension = if id.kind == ResourceKind::Database { DATABASE } else { INSTANCE };
    MetricQuery {
        provider: id.provider.clone(),
        account: id.account.clone(),
        region: id.region.clone(),
        namespace: recipe.namespace.to_owned(),
        metric: name.to_owned(),
        statistic: match query.signal.is_least() {
            true => Statistic::Minimum,
            false => Statistic::Maximum,
        },
        dimensions: BTreeMap::from([(dimension.to_owned(), id.id.clone())]),
        period,
        when_missing: WhenMissing::Unknown,
    }
}

/// The sum of what is there at each moment. The maxima need not have been at the same time: the sum
/// is never too low.
fn added(parts: &[Result<Vec<Sample>, Fault>], divisor: f64) -> Result<Vec<Sample>, Fault> {
    let mut sums: BTreeMap<Timestamp, f64> = BTreeMap::new();
    for part in parts {
        for sample in part.as_ref().map_err(Clone::clone)? {
            *sums.entry(sample.start).or_default() += sample.value / divisor;
        }
    }
    Ok(sums.into_iter().map(|(start, value)| Sample { start, value }).collect())
}

#[cfg(test)]
mod tests {
    use fleet::resource::ResourceId;
    use fleet::{AccountId, ProviderName, Region};

    use super::*;

    fn query(kind: ResourceKind, signal: Signal) -> UsageQuery {
        UsageQuery {
            resource: ResourceId {
                provider: ProviderName::new("aws").unwrap(),
                account: AccountId::new("default").unwrap(),
                region: Region::new("eu-west-1").unwrap(),
                kind,
                id: "x-1".to_owned(),
            },
            signal,
            sampled_every: Seconds(300),
        }
    }

    #[test]
    fn what_is_counted_in_a_sample_becomes_a_rate() {
        let of = |kind, signal| {
            let recipe = recipe(&query(kind, signal))?;
            Some(format!("{}/{} / {}", recipe.namespace, recipe.metrics.join("+"), recipe.divisor))
        };
        let instance = |signal| of(ResourceKind::Instance, signal).unwrap();
        assert_eq!(instance(Signal::Cpu), "AWS/EC2/CPUUtilization / 1");
        assert_eq!(instance(Signal::NetworkIn), "AWS/EC2/NetworkIn / 300");
        let disks = "AWS/EC2/EBSReadOps+EBSWriteOps+DiskReadOps+DiskWriteOps / 300";
        assert_eq!(instance(Signal::DiskOps), disks);
        assert_eq!(instance(Signal::Memory), "CWAgent/mem_used_percent / 1");
        let database = |signal| of(ResourceKind::Database, signal);
        let rate = "AWS/RDS/NetworkReceiveThroughput / 1";
        assert_eq!(database(Signal::NetworkIn).as_deref(), Some(rate));
        assert_eq!(database(Signal::Gpu), None);
        assert_eq!(of(ResourceKind::Volume, Signal::DiskOps), None);
    }

    #[test]
    fn credits_are_told_by_their_least_and_all_else_by_its_most() {
        let of = |signal| {
            let query = query(ResourceKind::Instance, signal);
            let recipe = recipe(&query).unwrap();
            let metric = metric(&query, &recipe, recipe.metrics[0], Step::MINUTE);
            (metric.statistic, metric.dimensions["InstanceId"].clone())
        };
        assert_eq!(of(Signal::CreditsLeft), (Statistic::Minimum, "x-1".to_owned()));
        assert_eq!(of(Signal::Cpu), (Statistic::Maximum, "x-1".to_owned()));
    }

    #[test]
    fn metrics_that_are_not_there_leave_no_gap_and_one_that_failed_fails_the_sum() {
        let samples = |all: &[(i64, f64)]| {
            let one =
                |(start, value): &(i64, f64)| Sample { start: Timestamp(*start), value: *value };
            Ok(all.iter().map(one).collect::<Vec<_>>())
        };
        let parts =
            [samples(&[(0, 300.0), (3600, 600.0)]), samples(&[(3600, 300.0)]), samples(&[])];
        assert_eq!(added(&parts, 300.0), samples(&[(0, 1.0), (3600, 3.0)]));
        let failed = GET_METRIC_DATA.fault(FaultKind::TimedOut, "late");
        assert_eq!(added(&[samples(&[(0, 1.0)]), Err(failed.clone())], 1.0), Err(failed));
    }
}
