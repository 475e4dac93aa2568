//! Silence that is no zero: of a metric that never had a sample, and of one that is silent for longer
//! than it ever was while its units work.
//!
//! A load balancer that was replaced has no requests any more, as one without traffic has none.

use fleet::metric::{MetricQuery, WhenMissing};
use fleet::{Fault, FaultKind, Seconds, Timestamp};
use planner::policy::ServicePolicy;

use super::{Held, Store};

/// Silence is believed for so long, however steady the metric was.
const BELIEVED: Seconds = Seconds::minutes(30);
/// Silence is believed for so many times the longest that there was.
const TIMES: u64 = 2;
/// Below this utilisation in percent units do nothing but what they do without any load.
const IDLE_BELOW_PERCENT: f64 = 10.0;

/// Why there are no samples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Silence {
    #[error("{of} never had a sample: are its name, its dimensions and its region right?")]
    Never { of: String },
    #[error(
        "{of} has had no sample since {since}, and was never silent for so long: was it replaced?"
    )]
    Since { of: String, since: Timestamp },
}

impl Held {
    /// Takes in that a sample of then is coming.
    pub(super) fn note_silence(&mut self, start: Timestamp) {
        let newest = self.series.end().filter(|newest| *newest < start);
        if let Some(newest) = newest {
            self.silent_longest = self.silent_longest.max(start.since(newest));
        }
    }

    /// Whether it has been silent for longer than it ever was, by then.
    pub(super) fn is_silent_too_long(&self, start: Timestamp) -> bool {
        let believed = BELIEVED.max(Seconds(self.silent_longest.0.saturating_mul(TIMES)));
        self.series.end().is_some_and(|newest| newest < start && start.since(newest) > believed)
    }
}

impl Store {
    /// Whether utilisation says that nothing is done: then silence is believed however long it lasts.
    pub(super) fn is_idle(&self, service: &ServicePolicy, start: Timestamp) -> bool {
        let Some(query) = &service.utilisation else { return false };
        let percent = self.value(query, start.floor_to(query.period));
        // The newest interval of a coarser metric is not over yet.
        let before = || self.value(query, start.floor_to(query.period) - query.period.span());
        percent.or_else(before).is_some_and(|percent| percent < IDLE_BELOW_PERCENT)
    }

    /// Why a metric that was read has no samples, where that is to be said.
    pub(super) fn silence(
        &self,
        query: &MetricQuery,
        service: &ServicePolicy,
        now: Timestamp,
    ) -> Option<Fault> {
        let held = self.metrics.get(&query.key()).filter(|held| held.back_filled)?;
        let newest = held.series.end().filter(|_| !held.series.is_empty());
        let lately = now - query.period.span();
        let zero = query.when_missing == WhenMissing::Zero;
        let why = match newest {
            _ if query.is_made() => return None,
            None => Silence::Never { of: of(query) },
            // Of one that is not silent at zero, its age says enough.
            Some(since) if zero && held.is_silent_too_long(lately) => {
                if self.is_idle(service, lately) {
                    return None;
                }
                Silence::Since { of: of(query), since: since + query.period.span() }
            }
            Some(_) => return None,
        };
        Some(Fault {
            kind: FaultKind::Missing,
            operation: format!("sample of {}", query.metric),
            detail: why.to_string(),
            request_id: None,
        })
    }
}

/// A metric and what it is of.
pub fn named(query: &MetricQuery) -> String {
    format!("`{}` of {}", query.metric, of(query))
}

/// What a metric is of: the values of its dimensions, which people know it by.
fn of(query: &MetricQuery) -> String {
    let values: Vec<String> = query.dimensions.values().map(|value| format!("`{value}`")).collect();
    if values.is_empty() { format!("`{}`", query.namespace) } else { values.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fleet::metric::{Sample, Statistic};
    use fleet::{AccountId, ProviderName, Region, Step};

    use super::*;

    const NOW: Timestamp = Timestamp(1_772_452_800);

    fn query(metric: &str, when_missing: WhenMissing) -> MetricQuery {
        MetricQuery {
            provider: ProviderName::new("aws").unwrap(),
            account: AccountId::new("default").unwrap(),
            region: Region::new("eu-west-1").unwrap(),
            namespace: "AWS/ApplicationELB".to_owned(),
            metric: metric.to_owned(),
            statistic: Statistic::Average,
            dimensions: BTreeMap::from([("LoadBalancer".to_owned(), "app/x/old".to_owned())]),
            period: Step::MINUTE,
            when_missing,
        }
    }

    /// A store with the requests of a load balancer, minutes ago, and the CPU of its units all the time.
    fn known(requests: impl Iterator<Item = u64>, cpu: f64) -> (Store, ServicePolicy) {
        let text = "[provider.sim]\nkind = \"sim\"\n[[service]]\nname = \"shop\"\n\
                    demand = [{ namespace = \"A\", metric = \"M\" }]\n\
                    [[service.pool]]\ngroup = \"shop\"\ncapacity_per_unit = 5\n";
        let config = crate::settings::parse("neap.toml", text).unwrap();
        let mut service = config.policy.services.into_values().next().unwrap();
        let demand = query("RequestCount", WhenMissing::Zero);
        let utilisation = query("CPUUtilization", WhenMissing::Unknown);
        let mut store = Store::default();
        let sample = |ago: u64, value| Sample { start: NOW - Seconds::minutes(ago), value };
        let mut read: Vec<Sample> =
            requests.map(|ago| sample(ago, 50.0 + ago as f64 % 7.0)).collect();
        read.reverse();
        store.back_fill(&demand, &read.into());
        let busy: Vec<Sample> = (1..1_000).rev().map(|ago| sample(ago, cpu)).collect();
        store.back_fill(&utilisation, &busy.into());
        (service.demand, service.utilisation) = (vec![demand], Some(utilisation));
        (store, service)
    }

    fn value(store: &Store, service: &ServicePolicy, ago: u64) -> Option<f64> {
        store.demand_value(&service.demand[0], NOW - Seconds::minutes(ago), service)
    }

    fn said(store: &Store, service: &ServicePolicy) -> Option<String> {
        store.silence(&service.demand[0], service, NOW).map(|fault| fault.to_string())
    }

    #[test]
    fn a_load_balancer_that_was_replaced_has_no_load_of_nothing() {
        // Its last sample is two hours old, and its units work on.
        let (store, service) = known(120..900, 60.0);
        assert_eq!(value(&store, &service, 100), Some(0.0), "a quiet quarter of an hour");
        assert_eq!(value(&store, &service, 5), None);
        let said = said(&store, &service).unwrap();
        assert!(said.contains("`app/x/old` has had no sample since"), "{said}");
        assert!(said.contains("was it replaced?"), "{said}");
    }

    #[test]
    fn a_load_that_ended_is_one_of_nothing() {
        for cpu in [0.0, 1.5, 9.9] {
            let (store, service) = known(120..900, cpu);
            assert_eq!(value(&store, &service, 5), Some(0.0), "{cpu}");
            assert_eq!(said(&store, &service), None);
        }
        // Nights without any request are nothing new.
        let nightly = (200..900).filter(|ago| !(500..620).contains(ago));
        let (store, service) = known(nightly, 60.0);
        assert_eq!(value(&store, &service, 5), Some(0.0));
        assert_eq!(said(&store, &service), None);
    }

    #[test]
    fn what_never_had_a_sample_is_named() {
        let (store, service) = known(std::iter::empty(), 60.0);
        assert_eq!(value(&store, &service, 5), None);
        let said = said(&store, &service).unwrap();
        assert!(said.contains("`app/x/old` never had a sample"), "{said}");
        // Before it was asked for nobody knows.
        assert_eq!(Store::default().silence(&service.demand[0], &service, NOW), None);
    }
}
