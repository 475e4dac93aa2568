//! What instances did, put together from CloudMonitor's metrics.
//!
//! A signal takes up to three metrics, and the four that every instance has take nine. Calls name up
//! to 50 instances and hold up to 1,440 values, so that 35 days of hourly values of 50 instances are
//! 30 calls a metric and 270 for the four signals: 5.4 calls an instance, once. A million calls a
//! month are free, of which a thirtieth may be used up in a day: 6,000 instances are back-filled at
//! once, more of them over several days. From then on an hour of 50 instances is 9 calls.

use std::collections::BTreeMap;

use fleet::metric::{MetricQuery, Sample, Statistic, WhenMissing};
use fleet::resource::ResourceKind;
use fleet::usage::{Signal, UsageQuery};
use fleet::{Fault, FaultKind, Seconds, Timestamp};

use crate::alibaba::metrics::{DESCRIBE_METRICS, Several};
use crate::intervals;
use crate::places::SamplesAnswer;

/// The metrics of instances.
pub(super) const NAMESPACE: &str = "acs_ecs_dashboard";
/// The dimension that names an instance.
pub(in crate::alibaba) const INSTANCE: &str = "instanceId";
const BITS_OF_A_BYTE: f64 = 8.0;

/// One metric of a signal, and whether an interval without it has no sample.
struct Part(&'static str, bool);

/// Without it there is no sample.
const NEEDED: bool = true;
/// It adds to the others where it is.
const ADDED: bool = false;

/// How a signal is put together.
struct Recipe {
    parts: &'static [Part],
    /// What a value is divided by to be in the signal's unit.
    divisor: f64,
    /// A dimension besides the instance.
    also: Option<(&'static str, &'static str)>,
}

impl Recipe {
    const fn of(parts: &'static [Part]) -> Recipe {
        Recipe { parts, divisor: 1.0, also: None }
    }

    /// The recipe of a signal. Of rates the maxima are summed, so that use is never understated.
    const fn for_signal(signal: Signal) -> Recipe {
        match signal {
            Signal::Cpu => Recipe::of(&[Part("CPUUtilization", NEEDED)]),
            Signal::NetworkIn => Recipe {
                divisor: BITS_OF_A_BYTE,
                ..Recipe::of(&[
                    Part("IntranetInRate", NEEDED),
                    Part("InternetInRate", ADDED),
                    Part("VPC_PublicIP_InternetInRate", ADDED),
                ])
            },
            Signal::NetworkOut => Recipe {
                divisor: BITS_OF_A_BYTE,
                ..Recipe::of(&[
                    Part("IntranetOutRate", NEEDED),
                    Part("InternetOutRate", ADDED),
                    Part("VPC_PublicIP_InternetOutRate", ADDED),
                ])
            },
            Signal::DiskOps => {
                Recipe::of(&[Part("DiskReadIOPS", NEEDED), Part("DiskWriteIOPS", NEEDED)])
            }
            Signal::Memory => Recipe::of(&[Part("memory_usedutilization", NEEDED)]),
            Signal::Connections => Recipe {
                also: Some(("state", "ESTABLISHED")),
                ..Recipe::of(&[Part("net_tcpconnection", NEEDED)])
            },
            Signal::Gpu => Recipe::of(&[Part("gpu_gpu_usedutilization", NEEDED)]),
            Signal::CreditsLeft => Recipe::of(&[Part("CPUCreditBalance", NEEDED)]),
        }
    }
}

/// What several series of one instance come to: its busiest GPU, and all of its public addresses.
pub(in crate::alibaba) fn several(query: &MetricQuery) -> Several {
    match query.metric.as_str() {
        "gpu_gpu_usedutilization" => Several::Greatest,
        _ => Several::Sum,
    }
}

/// The one metric of a signal that an agent measures.
pub(super) fn of_agent(signal: Signal) -> Option<&'static str> {
    match (signal, Recipe::for_signal(signal).parts) {
        (Signal::Memory | Signal::Connections | Signal::Gpu, [Part(metric, _)]) => Some(metric),
        _ => None,
    }
}

/// The metrics that these queries come to, and which of them belong to which query.
pub(super) struct SignalsAsked {
    /// One query after the other.
    pub(super) metrics: Vec<MetricQuery>,
    /// By query: what it needs of them, or why it cannot be asked.
    plans: Vec<Result<(Signal, std::ops::Range<usize>), Fault>>,
}

impl SignalsAsked {
    pub(super) fn of(queries: &[UsageQuery], step: Seconds) -> SignalsAsked {
        let mut asked = SignalsAsked { metrics: Vec::new(), plans: Vec::new() };
        for query in queries {
            let plan = asked.add(query, step);
            asked.plans.push(plan);
        }
        asked
    }

    fn add(
        &mut self,
        query: &UsageQuery,
        step: Seconds,
    ) -> Result<(Signal, std::ops::Range<usize>), Fault> {
        let refused = |why: String| DESCRIBE_METRICS.fault(FaultKind::Refused, why);
        if query.resource.kind != ResourceKind::Instance {
            return Err(refused(format!("a {} has no usage here", query.resource.kind)));
        }
        let refused_step = || refused(format!("a step of {} s", step.0));
        let period = intervals::step(step).ok_or_else(refused_step)?;
        let recipe = Recipe::for_signal(query.signal);
        let mut dimensions = BTreeMap::from([(INSTANCE.to_owned(), query.resource.id.clone())]);
        dimensions.extend(recipe.also.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let from = self.metrics.len();
        self.metrics.extend(recipe.parts.iter().map(|Part(metric, _)| MetricQuery {
            provider: query.resource.provider.clone(),
            account: query.resource.account.clone(),
            region: query.resource.region.clone(),
            namespace: NAMESPACE.to_owned(),
            metric: (*metric).to_owned(),
            statistic: match query.signal.is_least() {
                true => Statistic::Minimum,
                false => Statistic::Maximum,
            },
            dimensions: dimensions.clone(),
            period,
            when_missing: WhenMissing::Unknown,
        }));
        Ok((query.signal, from..self.metrics.len()))
    }

    /// One answer a query.
    pub(super) fn answers(self, read: &[SamplesAnswer]) -> Vec<SamplesAnswer> {
        let of = |plan: Result<(Signal, std::ops::Range<usize>), Fault>| {
            let (signal, range) = plan?;
            let read = read.get(range).unwrap_or_default();
            together(&Recipe::for_signal(signal), read)
        };
        self.plans.into_iter().map(of).collect()
    }
}

/// The sums of a signal's metrics, where all that are needed have a value.
fn together(recipe: &Recipe, read: &[SamplesAnswer]) -> SamplesAnswer {
    let mut sums: BTreeMap<Timestamp, (usize, f64)> = BTreeMap::new();
    for (Part(_, needed), answer) in recipe.parts.iter().zip(read) {
        for sample in answer.as_ref().map_err(Fault::clone)? {
            let (count, sum) = sums.entry(sample.start).or_default();
            *count += usize::from(*needed);
            *sum += sample.value / recipe.divisor;
        }
    }
    let due = recipe.parts.iter().filter(|Part(_, needed)| *needed).count();
    let whole = sums.into_iter().filter(|(_, (count, _))| *count == due);
    Ok(whole.map(|(start, (_, value))| Sample { start, value }).collect())
}

#[cfg(test)]
mod tests {
    use fleet::resource::ResourceId;
    use fleet::{AccountId, ProviderName, Region};

    use super::*;

    fn query(kind: ResourceKind, signal: Signal) -> UsageQuery {
        UsageQuery {
            resource: ResourceId {
                provider: ProviderName::new("ali").unwrap(),
                account: AccountId::new("default").unwrap(),
                region: Region::new("eu-central-1").unwrap(),
                kind,
                id: "i-1".to_owned(),
            },
            signal,
            sampled_every: Seconds(60),
        }
    }

    fn samples(values: &[(i64, f64)]) -> SamplesAnswer {
        Ok(values
            .iter()
            .map(|(at, value)| Sample { start: Timestamp(*at), value: *value })
            .collect())
    }

    #[test]
    fn traffic_is_summed_in_bytes_where_the_private_part_is_known() {
        let recipe = Recipe::for_signal(Signal::NetworkIn);
        let read =
            [samples(&[(0, 80.0), (60, 8.0)]), samples(&[]), samples(&[(60, 16.0), (120, 8.0)])];
        assert_eq!(together(&recipe, &read), samples(&[(0, 10.0), (60, 3.0)]));
    }

    #[test]
    fn disk_operations_need_both_halves_and_a_fault_of_one_is_a_fault_of_all() {
        let recipe = Recipe::for_signal(Signal::DiskOps);
        let read = [samples(&[(0, 1.0), (60, 2.0)]), samples(&[(60, 3.0)])];
        assert_eq!(together(&recipe, &read), samples(&[(60, 5.0)]));
        let lost = Err(DESCRIBE_METRICS.fault(FaultKind::TimedOut, "late"));
        assert_eq!(together(&recipe, &[samples(&[(0, 1.0)]), lost.clone()]), lost);
    }

    #[test]
    fn queries_come_back_in_their_order() {
        let queries = [
            query(ResourceKind::Instance, Signal::Cpu),
            query(ResourceKind::Volume, Signal::Cpu),
            query(ResourceKind::Instance, Signal::CreditsLeft),
            query(ResourceKind::Instance, Signal::Connections),
        ];
        let asked = SignalsAsked::of(&queries, Seconds(3600));
        let names: Vec<(&str, Statistic)> =
            asked.metrics.iter().map(|m| (m.metric.as_str(), m.statistic)).collect();
        assert_eq!(
            names,
            [
                ("CPUUtilization", Statistic::Maximum),
                ("CPUCreditBalance", Statistic::Minimum),
                ("net_tcpconnection", Statistic::Maximum),
            ]
        );
        assert_eq!(asked.metrics[2].dimensions["state"], "ESTABLISHED");
        let read = [samples(&[(0, 1.0)]), samples(&[(0, 2.0)]), samples(&[])];
        let answers = asked.answers(&read);
        assert_eq!(answers[0], samples(&[(0, 1.0)]));
        assert_eq!(answers[1].as_ref().unwrap_err().detail, "a volume has no usage here");
        assert_eq!((&answers[2], &answers[3]), (&samples(&[(0, 2.0)]), &samples(&[])));
    }

    #[test]
    fn every_network_address_counts_and_the_busiest_gpu() {
        let of = |signal| {
            let asked = SignalsAsked::of(&[query(ResourceKind::Instance, signal)], Seconds(300));
            several(&asked.metrics[0])
        };
        assert_eq!((of(Signal::Gpu), of(Signal::NetworkIn)), (Several::Greatest, Several::Sum));
    }
}
