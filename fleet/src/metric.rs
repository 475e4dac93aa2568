//! Metrics: what to ask a source for, and what it answers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AccountId, ProviderName, Region, Step, Timestamp};

/// The namespace of a query in PromQL, whose text is the metric's name.
pub const PROMQL: &str = "promql";

/// The namespace of what neap makes of other metrics: no source is asked for it, and none has one that
/// begins with a colon.
pub const MADE: &str = ":neap";

/// The metric of [`MADE`] that is mean utilisation times units in service: how many units would be busy
/// if each of them were fully so.
pub const BUSY_UNITS: &str = "BusyUnits";

/// The dimension that stands for the account whose metric it is, where another one is asked that
/// watches over it. No cloud has a dimension of this name: CloudWatch allows none that begins so.
pub const SOURCE_ACCOUNT: &str = ":account";

/// How a source folds what happened within an interval into one number.
///
/// ```
/// use fleet::metric::Statistic;
///
/// assert_eq!(Statistic::Sum.to_string(), "Sum");
/// assert_eq!(Statistic::Percentile(99.5).to_string(), "p99.5");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Statistic {
    /// The sum; divided by the period it is a rate per second.
    Sum,
    /// The mean.
    Average,
    /// The smallest value.
    Minimum,
    /// The largest value.
    Maximum,
    /// How many values were seen.
    SampleCount,
    /// A percentile above 0 and below 100, such as 99.0.
    Percentile(f64),
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statistic::Sum => f.write_str("Sum"),
            Statistic::Average => f.write_str("Average"),
            Statistic::Minimum => f.write_str("Minimum"),
            Statistic::Maximum => f.write_str("Maximum"),
            Statistic::SampleCount => f.write_str("SampleCount"),
            Statistic::Percentile(p) => write!(f, "p{p}"),
        }
    }
}

/// What a missing sample means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenMissing {
    /// Nothing is known about the interval.
    #[default]
    Unknown,
    /// Nothing happened: zero. Honoured only while `heartbeat` of the same source arrives.
    Zero,
}

/// One metric of one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricQuery {
    /// The provider to ask, which need not be the one that holds the group.
    pub provider: ProviderName,
    /// The account to ask in.
    pub account: AccountId,
    /// The region to ask in.
    pub region: Region,
    /// The namespace, such as `AWS/ApplicationELB`.
    pub namespace: String,
    /// The metric's name, such as `RequestCount`.
    pub metric: String,
    /// How an interval is folded.
    pub statistic: Statistic,
    /// The dimensions, all of which must match.
    pub dimensions: BTreeMap<String, String>,
    /// The length of an interval.
    pub period: Step,
    /// What a missing sample means.
    pub when_missing: WhenMissing,
}

impl MetricQuery {
    /// Whether neap makes it of other metrics, so that no source is to be asked.
    pub fn is_made(&self) -> bool {
        self.namespace == MADE
    }

    /// The account whose metric it is, where it is another than the one that is asked.
    pub fn source_account(&self) -> Option<&str> {
        self.dimensions.get(SOURCE_ACCOUNT).map(String::as_str)
    }

    /// The dimensions that the cloud knows.
    pub fn own_dimensions(&self) -> impl Iterator<Item = (&String, &String)> {
        self.dimensions.iter().filter(|(name, _)| *name != SOURCE_ACCOUNT)
    }

    /// A stable key for stores and journals: equal queries have equal keys.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    ///
    /// use fleet::metric::{MetricQuery, Statistic, WhenMissing};
    /// use fleet::{AccountId, ProviderName, Region, Step};
    ///
    /// let query = MetricQuery {
    ///     provider: ProviderName::new("aws").expect("a name"),
    ///     account: AccountId::new("default").expect("a name"),
    ///     region: Region::new("eu-west-1").expect("a name"),
    ///     namespace: "AWS/SQS".to_owned(),
    ///     metric: "NumberOfMessagesSent".to_owned(),
    ///     statistic: Statistic::Sum,
    ///     dimensions: BTreeMap::from([("QueueName".to_owned(), "a".to_owned())]),
    ///     period: Step::MINUTE,
    ///     when_missing: WhenMissing::Unknown,
    /// };
    /// let key = query.key();
    /// assert_eq!(key.0, "aws/default/eu-west-1/AWS/SQS/NumberOfMessagesSent/Sum/60/QueueName=a");
    /// // How a gap is read changes nothing of the samples that are stored.
    /// assert_eq!(MetricQuery { when_missing: WhenMissing::Zero, ..query }.key(), key);
    /// ```
    pub fn key(&self) -> MetricKey {
        let mut key = format!(
            "{}/{}/{}/{}/{}/{}/{}",
            self.provider,
            self.account,
            self.region,
            self.namespace,
            self.metric,
            self.statistic,
            self.period.seconds()
        );
        for (name, value) in &self.dimensions {
            key.push_str(&format!("/{name}={value}"));
        }
        MetricKey(key)
    }
}

/// The identity of a metric's series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricKey(pub String);

impl fmt::Display for MetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One value of one interval, as a source answered it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The START of the interval, UTC, a whole multiple of the metric's period.
    pub start: Timestamp,
    /// The value, never NaN; a `Sum` is NOT yet divided by the period.
    pub value: f64,
}
