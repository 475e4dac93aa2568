//! Metrics that are no load per second, or come more seldom than they are read.

use config::{Config, ProviderConfig};
use fleet::metric::{MetricQuery, PROMQL, Statistic};
use planner::policy::ServicePolicy;

/// What is said of the metrics of a service: demand and capacity are per second.
pub(super) fn doubts(config: &Config, service: &ServicePolicy) -> Vec<String> {
    let demand = service.demand.iter().filter_map(|query| doubt(query, true));
    // Errors are held against what is usual, so that any window will do.
    let others = [&service.utilisation, &service.signals.errors].into_iter().flatten();
    let seldom = service.metrics().filter_map(|query| seldom(config, query));
    demand.chain(others.filter_map(|query| doubt(query, false))).chain(seldom).collect()
}

/// That a cloud gives a metric more seldom than it is read, unless it is paid to.
fn seldom(config: &Config, query: &MetricQuery) -> Option<String> {
    // The simulated cloud spells its metrics as AWS does, and has them by the minute.
    let of_aws = matches!(config.providers.get(&query.provider), Some(ProviderConfig::Aws(_)));
    let every = config::known_spacing(query).filter(|_| of_aws)?;
    (query.period < every).then(|| {
        let (every, read) = (every.span(), query.period.span());
        format!(
            "`{}` comes every {every} without detailed monitoring, and is read every {read}: \
             `period = \"{every}\"`",
            query.metric
        )
    })
}

fn doubt(query: &MetricQuery, per_second: bool) -> Option<String> {
    if query.namespace == PROMQL {
        return of_promql(&query.metric, per_second);
    }
    let counted = query.statistic == Statistic::SampleCount && per_second;
    counted.then(|| {
        format!(
            "`SampleCount` of `{}` is how many came within {}, and demand is read as a load per \
             second; `Sum` is divided by its period",
            query.metric,
            query.period.span()
        )
    })
}

/// Without Prometheus built in nobody reads PromQL.
#[cfg(not(feature = "prometheus"))]
fn of_promql(_: &str, _: bool) -> Option<String> {
    None
}

#[cfg(feature = "prometheus")]
fn of_promql(text: &str, per_second: bool) -> Option<String> {
    use crate::adapters::prometheus::{NotPerSecond, not_per_second};

    match not_per_second(text)? {
        NotPerSecond::Counter { metric } => Some(format!(
            "`{metric}` is named as a counter, which tells all that came since its start; \
             `rate(…)` makes it a load per second"
        )),
        NotPerSecond::Within { .. } if !per_second => None,
        NotPerSecond::Within { function, window: Some(window) } => Some(format!(
            "`{function}(…)` tells what came within {window}, and demand is read as a load per \
             second; `rate(…)` is one, and so is what is divided by {}",
            window.0
        )),
        NotPerSecond::Within { function, window: None } => Some(format!(
            "`{function}(…)` tells what came within its window, and demand is read as a load per \
             second; `rate(…)` is one"
        )),
    }
}

#[cfg(all(test, feature = "prometheus"))]
mod tests {
    /// The warnings of a service whose demand is this.
    fn warned(demand: &str, more: &str) -> Vec<String> {
        let text = format!(
            "[provider.aws]\nkind = \"aws\"\nregions = [\"eu-west-1\"]\n\
             [provider.prom]\nkind = \"prometheus\"\nurl = \"http://127.0.0.1:9090\"\n\
             [[service]]\nname = \"shop\"\ndemand = [{demand}]\n{more}\n\
             [[service.pool]]\nprovider = \"aws\"\ngroup = \"shop\"\ncapacity_per_unit = 5\n"
        );
        let config = crate::settings::parse("neap.toml", &text).unwrap();
        let service = config.policy.services.values().next().unwrap();
        super::doubts(&config, service)
    }

    fn promql(query: &str) -> Vec<String> {
        warned(&format!("{{ from = \"prom\", query = '''{query}''' }}"), "")
    }

    #[test]
    fn a_counter_and_a_count_by_window_are_warned_of_and_a_rate_is_not() {
        assert_eq!(promql("sum(rate(a_total[1m]))"), Vec::<String>::new());
        let counter = promql("sum( # rate(a_total[1m])\n a_total)");
        assert!(counter[0].starts_with("`a_total` is named as a counter"), "{counter:?}");
        let within = promql("sum(increase(a_total[5m]))");
        assert!(within[0].contains("within 5m") && within[0].ends_with("by 300"), "{within:?}");
        assert!(promql("sum(idelta(a_total[5m]))")[0].contains("within its window"));
    }

    #[test]
    fn errors_may_come_by_any_window_and_not_as_a_counter() {
        let errors = |query: &str| {
            let signals =
                format!("signals = {{ errors = {{ from = \"prom\", query = '{query}' }} }}");
            warned("{ from = \"prom\", query = 'load' }", &signals).len()
        };
        assert_eq!(errors("sum(increase(errors_total[5m]))"), 0);
        assert_eq!(errors("sum(errors_total)"), 1);
    }

    #[test]
    fn a_metric_of_basic_monitoring_that_is_read_by_the_minute_is_warned_of() {
        let of = |metric: &str, more: &str| {
            let of = format!("from = \"aws\", namespace = \"AWS/EC2\", metric = \"{metric}\"");
            warned(&format!("{{ {of}, stat = \"Sum\"{more} }}"), "")
        };
        let network = of("NetworkIn", "");
        assert!(network[0].contains("every 5m") && network[0].contains("read every 1m"));
        assert_eq!(of("NetworkIn", ", period = \"5m\"").len(), 0);
        assert_eq!(of("StatusCheckFailed", "").len(), 0);
    }

    #[test]
    fn a_sum_is_divided_by_its_period_and_a_number_of_samples_is_not() {
        let of = |stat: &str| {
            let metric = "from = \"aws\", namespace = \"A\", metric = \"M\", period = \"5m\"";
            warned(&format!("{{ {metric}, stat = \"{stat}\" }}"), "")
        };
        assert_eq!(of("Sum"), Vec::<String>::new());
        assert!(of("SampleCount")[0].contains("how many came within 5m"));
    }
}
