//! Metrics as the file names them.

use std::collections::BTreeMap;

use fleet::metric::{MetricQuery, SOURCE_ACCOUNT, Statistic, WhenMissing};
use fleet::{AccountId, ProviderName, Region, Seconds, Step};

use super::defaults::Defaults;
use super::keys::Key;
use super::keys::service::metric as of_metric;
use super::prometheus::promql;
use super::provider::{ProviderConfig, Providers};
use super::reader::{Entry, Table, did_you_mean, either};
use crate::Checks;

/// Somewhere in a cloud.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub provider: ProviderName,
    pub account: AccountId,
    pub region: Region,
}

/// What metrics are read against: the providers, and where the service's own pool lives.
pub(super) struct Surroundings<'a> {
    pub providers: &'a Providers,
    /// Where a metric is looked for unless it says otherwise; `None` where the pool is faulty.
    pub home: Option<Place>,
}

impl Surroundings<'_> {
    /// Reads `provider_key`, `account` and `region`; each may be left out where only one is possible.
    ///
    /// `None` with a fault noted, or where the provider itself is faulty.
    pub fn place(&self, table: &Table<'_>, provider_key: &Key) -> Option<Place> {
        let (account, region) = (table.get(&of_metric::ACCOUNT), table.get(&of_metric::REGION));
        let name = self.provider(table, provider_key)?;
        let config = self.providers.read.get(&name)?;
        let home = self.home.as_ref().filter(|home| home.provider == name);
        let account = match account {
            Some(entry) => known(&entry, AccountId::new, &config.accounts(), "account"),
            None => home
                .map(|home| home.account.clone())
                .or_else(|| only(table, &of_metric::ACCOUNT, config.accounts())),
        };
        let region = match region {
            Some(entry) if config.has_every_region() => {
                entry.name(Region::new, "the name of a region")
            }
            Some(entry) => known(&entry, Region::new, &config.regions(), "region"),
            None => home.map(|home| home.region.clone()).or_else(|| match config {
                any if any.has_every_region() => {
                    table.missing(
                        &of_metric::REGION,
                        "a region, since its provider looks in all",
                        None,
                    );
                    None
                }
                some => only(table, &of_metric::REGION, some.regions()),
            }),
        };
        Some(Place { provider: name, account: account?, region: region? })
    }

    /// Reads the name of a provider, which may be left out where only one is possible: of one that
    /// measures under `from`, of one that holds groups under any other key.
    pub fn provider(&self, table: &Table<'_>, key: &Key) -> Option<ProviderName> {
        match table.get(key) {
            Some(entry) if key.name == of_metric::FROM.name => self.provider_name(&entry),
            Some(entry) => self.cloud_name(&entry),
            None => self.only_provider(table, key),
        }
    }

    fn only_provider(&self, table: &Table<'_>, key: &Key) -> Option<ProviderName> {
        if let Some(home) = &self.home {
            return Some(home.provider.clone());
        }
        let names = if key.name == of_metric::FROM.name {
            self.providers.named.iter().cloned().collect()
        } else {
            self.clouds()
        };
        match names.as_slice() {
            [] => {
                let hint = "add a table `[provider.NAME]` with `kind`".to_owned();
                table.missing(key, "the name of a provider, of which there is none", Some(hint));
                None
            }
            [one] => ProviderName::new(one.clone()),
            several => {
                table.missing(key, &either(several), None);
                None
            }
        }
    }

    /// The names of all providers that hold groups.
    fn clouds(&self) -> Vec<String> {
        self.providers.named.difference(&self.providers.sources).cloned().collect()
    }

    /// The name of a provider of this file that holds groups.
    pub(super) fn cloud_name(&self, entry: &Entry<'_>) -> Option<ProviderName> {
        let name = self.provider_name(entry)?;
        if self.providers.sources.contains(name.as_str()) {
            let message = format!(
                "`{name}` is a source of metrics and holds no groups, expected {}",
                either(&self.clouds())
            );
            entry.fault(message, None);
            return None;
        }
        Some(name)
    }

    /// Whether a metric is of a source that speaks PromQL; no such source is a home.
    fn speaks_promql(&self, table: &Table<'_>) -> bool {
        let Providers { named, sources, .. } = self.providers;
        match table.get(&of_metric::FROM) {
            Some(entry) => entry.as_text().is_some_and(|name| sources.contains(name)),
            None => self.home.is_none() && named.len() == 1 && named == sources,
        }
    }

    /// The source of a metric: it has neither accounts nor regions.
    fn source(&self, table: &Table<'_>) -> Option<Place> {
        let provider = self.provider(table, &of_metric::FROM)?;
        let config = self.providers.read.get(&provider)?;
        let (account, region) = (config.accounts().pop()?, config.regions().pop()?);
        Some(Place { provider, account, region })
    }

    /// The account whose metric a monitoring account is asked for, which AWS alone has.
    fn source_account(&self, entry: &Entry<'_>, place: Option<&Place>) -> Option<String> {
        let text = entry.text("the id of an AWS account")?;
        let config = place.and_then(|place| self.providers.read.get(&place.provider));
        if config.is_some_and(|config| !matches!(config, ProviderConfig::Aws(_))) {
            let message = "a metric of another account than the one that is asked is had from a \
                           provider of kind `aws` alone";
            entry.key_fault(message.to_owned(), None);
            return None;
        }
        let digits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        if !digits && text != "{account}" {
            entry.unexpected("twelve digits such as `\"111122223333\"`, or `\"{account}\"`", None);
            return None;
        }
        Some(text.to_owned())
    }

    /// Notes that PromQL is asked of a provider that does not speak it.
    fn no_promql(&self, entry: &Entry<'_>, place: &Place) {
        let sources: Vec<String> = self.providers.sources.iter().cloned().collect();
        let hint = match sources.first() {
            Some(source) => format!("name it: `from = \"{source}\"`"),
            None => "add a table `[provider.NAME]` with `kind = \"prometheus\"`".to_owned(),
        };
        let message = format!(
            "`query` is PromQL, which `{}` does not speak; expected a metric from a provider of kind \
             `prometheus`",
            place.provider
        );
        entry.key_fault(message, Some(hint));
    }

    /// The name of a provider of this file.
    pub(super) fn provider_name(&self, entry: &Entry<'_>) -> Option<ProviderName> {
        let found = entry.text("the name of a provider")?;
        if !self.providers.named.contains(found) {
            let names: Vec<String> = self.providers.named.iter().cloned().collect();
            let hint = did_you_mean(found, names.iter().map(String::as_str))
                .or_else(|| Some(format!("add a table `[provider.{found}]` with `kind`")));
            let message = format!("unknown provider `{found}`, expected {}", either(&names));
            entry.fault(message, hint);
            return None;
        }
        ProviderName::new(found)
    }
}

/// A name that must be among the provider's own.
pub(super) fn known<T: PartialEq + ToString>(
    entry: &Entry<'_>,
    new: impl Fn(String) -> Option<T>,
    among: &[T],
    what: &str,
) -> Option<T> {
    let found = entry.name(new, &format!("the name of an {what}").replace("an r", "a r"))?;
    if among.contains(&found) {
        return Some(found);
    }
    let names: Vec<String> = among.iter().map(ToString::to_string).collect();
    if !names.is_empty() {
        let hint = did_you_mean(&found.to_string(), names.iter().map(String::as_str))
            .or_else(|| Some(format!("add it to the provider's `{what}s`")));
        entry.unexpected(&format!("{}, as its provider has", either(&names)), hint);
    }
    None
}

/// The only possibility, or a fault that names them all.
fn only<T: ToString + Clone>(table: &Table<'_>, key: &Key, among: Vec<T>) -> Option<T> {
    match among.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            table.missing(key, &either(&names), None);
            None
        }
    }
}

/// What a metric is for, which decides its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Demand,
    Utilisation,
    Errors,
    HealthyHosts,
}

impl Purpose {
    fn statistic(self) -> Statistic {
        match self {
            Purpose::Demand | Purpose::Errors => Statistic::Sum,
            Purpose::Utilisation => Statistic::Average,
            // The worst moment of the interval is the one that tells an outage.
            Purpose::HealthyHosts => Statistic::Minimum,
        }
    }
}

/// Reads a metric.
pub(super) fn metric(
    table: &Table<'_>,
    around: &Surroundings<'_>,
    purpose: Purpose,
) -> Option<MetricQuery> {
    if around.speaks_promql(table) {
        return promql(table, around.source(table));
    }
    let place = around.place(table, &of_metric::FROM);
    if let Some(entry) = table.get(&of_metric::QUERY) {
        around.no_promql(&entry, &place?);
        return None;
    }
    let namespace = table
        .required(&of_metric::NAMESPACE, "one such as `\"AWS/ApplicationELB\"`")
        .and_then(|entry| entry.text("a namespace"));
    let name = table
        .required(&of_metric::METRIC, "the name of a metric such as `\"RequestCount\"`")
        .and_then(|entry| entry.text("the name of a metric"));
    let limits = place.as_ref().and_then(|place| Limits::of(around, place, table.checks()));
    let stat = table.get(&of_metric::STAT);
    let default = match namespace.zip(name) {
        Some((namespace, name)) if is_rate(namespace, name) => Statistic::Average,
        _ => purpose.statistic(),
    };
    let statistic = stat.as_ref().map_or(Some(default), statistic);
    let folds = table.get(&of_metric::PERIOD);
    let period = folds.as_ref().map_or(Step::new(METRIC_PERIOD), period);
    let within = limits.is_none_or(|limits| {
        let stat = stat.as_ref().zip(statistic).is_none_or(|(e, s)| limits.statistic(e, s));
        let period = folds.as_ref().zip(period).is_none_or(|(e, p)| limits.period(e, p));
        stat && period
    });
    let dimensions =
        table.get(&of_metric::DIMENSIONS).map_or(Some(BTreeMap::new()), |e| dimensions(&e));
    let source = match table.get(&of_metric::SOURCE_ACCOUNT) {
        Some(entry) => around.source_account(&entry, place.as_ref()).map(Some),
        None => Some(None),
    };
    let when_missing = table
        .get(&of_metric::WHEN_MISSING)
        .map_or(Some(WhenMissing::Unknown), |e| e.choice(&WHEN_MISSING));
    table.finish();
    let place = place.filter(|_| within)?;
    let mut dimensions = dimensions?;
    dimensions.extend(source?.map(|account| (SOURCE_ACCOUNT.to_owned(), account)));
    Some(MetricQuery {
        provider: place.provider,
        account: place.account,
        region: place.region,
        namespace: namespace?.to_owned(),
        metric: name?.to_owned(),
        statistic: statistic?,
        dimensions,
        period: period?,
        when_missing: when_missing?,
    })
}

/// What a source cannot answer, said here rather than in every cycle.
struct Limits {
    periods: &'static [u32],
}

impl Limits {
    fn of(around: &Surroundings<'_>, place: &Place, checks: &Checks) -> Option<Limits> {
        let kind = around.providers.read.get(&place.provider)?.kind();
        (checks.metric_periods)(kind).map(|periods| Limits { periods })
    }

    fn statistic(&self, entry: &Entry<'_>, statistic: Statistic) -> bool {
        let percentile = matches!(statistic, Statistic::Percentile(_));
        if percentile {
            let expected = "`Sum`, `Average`, `Minimum`, `Maximum` or `SampleCount`";
            entry.unexpected(expected, Some("CloudMonitor has no percentiles".to_owned()));
        }
        !percentile
    }

    fn period(&self, entry: &Entry<'_>, period: Step) -> bool {
        let known = self.periods.contains(&period.seconds());
        if !known {
            let names: Vec<String> =
                self.periods.iter().map(|&s| Seconds(u64::from(s)).to_string()).collect();
            let hint = "CloudMonitor folds samples into these periods".to_owned();
            entry.unexpected(&either(&names), Some(hint));
        }
        known
    }
}

/// The step of a metric in seconds.
pub(super) const METRIC_PERIOD: u32 = Defaults::METRIC_PERIOD.0 as u32;
pub(super) const WHEN_MISSING: [(&str, WhenMissing); 2] =
    [("unknown", WhenMissing::Unknown), ("zero", WhenMissing::Zero)];

fn statistic(entry: &Entry<'_>) -> Option<Statistic> {
    const STATISTICS: [(&str, Statistic); 5] = [
        ("Sum", Statistic::Sum),
        ("Average", Statistic::Average),
        ("Minimum", Statistic::Minimum),
        ("Maximum", Statistic::Maximum),
        ("SampleCount", Statistic::SampleCount),
    ];
    let expected =
        "`Sum`, `Average`, `Minimum`, `Maximum`, `SampleCount` or a percentile such as `p99`";
    let found = entry.text(expected)?;
    if let Some((_, statistic)) = STATISTICS.iter().find(|(word, _)| *word == found) {
        return Some(*statistic);
    }
    let percentile = found
        .strip_prefix('p')
        .filter(|digits| digits.chars().all(|c| c.is_ascii_digit() || c == '.'))
        .and_then(|digits| digits.parse::<f64>().ok())
        .filter(|percentile| *percentile > 0.0 && *percentile < 100.0);
    if percentile.is_none() {
        entry.unexpected(expected, did_you_mean(found, STATISTICS.iter().map(|(word, _)| *word)));
    }
    percentile.map(Statistic::Percentile)
}

/// 1, 5, 10, 15 or 30 seconds, or whole minutes up to a day: what some source can fold.
pub(super) fn period(entry: &Entry<'_>) -> Option<Step> {
    let found = entry.duration(Seconds(1)..=Seconds::days(1))?;
    if found.0 % 60 != 0 && ![1, 5, 10, 15, 30].contains(&found.0) {
        entry.unexpected("`1s`, `5s`, `10s`, `15s`, `30s` or whole minutes", None);
        return None;
    }
    u32::try_from(found.0).ok().and_then(Step::new)
}

fn dimensions(entry: &Entry<'_>) -> Option<BTreeMap<String, String>> {
    let table = entry.table()?;
    let entries = table.entries();
    let read: BTreeMap<String, String> = entries
        .iter()
        .filter_map(|e| Some((e.key().to_owned(), e.text("the dimension's value")?.to_owned())))
        .collect();
    (read.len() == entries.len()).then_some(read)
}

/// Whether a metric is known to report nothing instead of zero.
pub fn known_sparse(query: &MetricQuery) -> bool {
    let load_balancer = ["AWS/ApplicationELB", "AWS/ELB", "AWS/NetworkELB"];
    load_balancer.contains(&query.namespace.as_str())
        && (query.metric == "RequestCount"
            || query.metric.starts_with("HTTPCode_")
            || query.metric.ends_with("ErrorCount")
            || query.metric == "NewFlowCount")
}

/// How often a metric of AWS comes where nobody pays for more.
pub fn known_spacing(query: &MetricQuery) -> Option<Step> {
    let basic = query.namespace == "AWS/EC2" && !query.metric.starts_with("StatusCheckFailed");
    basic.then_some(Step::FIVE_MINUTES)
}

/// The mean CPU utilisation of a group's members: what a cloud measures of every group by itself, by the
/// group's name. Alibaba Cloud measures members alone; its adapter takes the mean.
pub(super) fn own_utilisation(
    config: &ProviderConfig,
    place: &Place,
    group: &str,
) -> Option<MetricQuery> {
    let (namespace, dimension, period) = match config {
        ProviderConfig::Prometheus(_) => return None,
        ProviderConfig::Alibaba(_) => ("acs_ecs_dashboard", "scalingGroup", Step::MINUTE),
        // Basic monitoring reports every five minutes; detailed monitoring answers too.
        ProviderConfig::Aws(_) => ("AWS/EC2", "AutoScalingGroupName", Step::FIVE_MINUTES),
        // The simulated cloud spells its metrics as AWS does.
        ProviderConfig::Sim(_) => ("AWS/EC2", "AutoScalingGroupName", Step::MINUTE),
    };
    Some(MetricQuery {
        provider: place.provider.clone(),
        account: place.account.clone(),
        region: place.region.clone(),
        namespace: namespace.to_owned(),
        metric: "CPUUtilization".to_owned(),
        statistic: Statistic::Average,
        dimensions: BTreeMap::from([(dimension.to_owned(), group.to_owned())]),
        period,
        when_missing: WhenMissing::Unknown,
    })
}

/// What AWS measures of the traffic of a group's units by the group's name: their sum is its load in
/// bytes per second. Other clouds measure none.
pub(super) fn own_traffic(
    config: &ProviderConfig,
    place: &Place,
    group: &str,
) -> Option<Vec<MetricQuery>> {
    let ProviderConfig::Aws(_) = config else { return None };
    let cpu = own_utilisation(config, place, group)?;
    let traffic = ["NetworkIn", "NetworkOut"].map(|metric| MetricQuery {
        metric: metric.to_owned(),
        statistic: Statistic::Sum,
        ..cpu.clone()
    });
    Some(traffic.into())
}

/// What counts a group's units in service as far back as samples are kept, where its cloud counts them
/// and measures its utilisation; nobody has to have switched that on.
pub fn counted_size(utilisation: &MetricQuery) -> Option<MetricQuery> {
    let by_group = utilisation.dimensions.keys().eq(["AutoScalingGroupName"]);
    (utilisation.namespace == "AWS/EC2" && by_group).then(|| MetricQuery {
        namespace: "AWS/AutoScaling".to_owned(),
        metric: "GroupInServiceInstances".to_owned(),
        statistic: Statistic::Average,
        when_missing: WhenMissing::Unknown,
        ..utilisation.clone()
    })
}

/// Whether a metric is itself a rate of total load, so that its average is, too.
pub fn known_rate(query: &MetricQuery) -> bool {
    is_rate(&query.namespace, &query.metric)
        || (query.namespace == fleet::metric::PROMQL && !is_mean(&query.metric))
}

/// Whether the outermost of a query folds what it finds into a mean or an extreme.
fn is_mean(query: &str) -> bool {
    let folds = ["avg", "min", "max", "quantile", "group", "stddev"];
    let outermost = query.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    folds.contains(&outermost)
}

fn is_rate(namespace: &str, metric: &str) -> bool {
    namespace.starts_with("acs_") && metric.to_ascii_lowercase().ends_with("qps")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(provider: &str, more: &str) -> Result<Vec<MetricQuery>, String> {
        let text = format!(
            "{provider}\n[[service]]\nname = \"shop\"\n\
             demand = [{{ namespace = \"A\", metric = \"M\", when_missing = \"zero\"{more} }}]\n\
             [[service.pool]]\ngroup = \"shop\"\ncapacity_per_unit = 5\nmin = 1\nmax = 9\n"
        );
        let config = crate::tests_parse(&text);
        let config =
            config.map_err(|faults| faults.iter().map(ToString::to_string).collect::<String>());
        config
            .map(|config| config.policy.services.values().flat_map(|s| s.demand.clone()).collect())
    }

    const AWS: &str = "[provider.aws]\nkind = \"aws\"\nregions = [\"eu-west-1\"]";

    #[test]
    fn a_metric_of_another_account_is_named_by_its_digits_and_on_aws_alone() {
        let source = |provider: &str, account: &str| {
            let more = format!(", source_account = \"{account}\"");
            let queries = read(provider, &more)?;
            Ok::<_, String>(queries[0].source_account().map(str::to_owned))
        };
        assert_eq!(source(AWS, "444455556666"), Ok(Some("444455556666".to_owned())));
        assert_eq!(source(AWS, "{account}"), Ok(Some("{account}".to_owned())));
        for wrong in ["", "default", "4444", "44445555666x"] {
            assert!(source(AWS, wrong).is_err(), "{wrong}");
        }
        let elsewhere = source("[provider.sim]\nkind = \"sim\"", "444455556666");
        assert!(elsewhere.is_err_and(|why| why.contains("`aws` alone")));
        assert_eq!(read(AWS, "").unwrap()[0].source_account(), None);
    }
}
