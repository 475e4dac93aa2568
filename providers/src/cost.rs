//! What an adapter needs and what watching costs, whatever the cloud.

use std::collections::BTreeMap;

use fleet::Seconds;

/// A month of a budget, and of everything that is told "a month".
#[cfg(any(feature = "alibaba", feature = "aws", feature = "prometheus"))]
pub(crate) const MONTH: Seconds = Seconds::days(30);

/// The permissions of the two roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// What the observer's role needs: enough for `check`, `plan` and mode `observe`.
    pub read: Vec<String>,
    /// What the actor's role needs besides.
    pub write: Vec<String>,
}

/// How much is watched in one account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    pub groups: u64,
    /// Distinct metrics.
    pub metrics: u64,
    /// How often they are read in a month, in all; see [`reads_a_month`].
    pub metric_reads: u64,
    /// Kinds among them: the same name and period, of different resources.
    pub metric_kinds: u64,
    /// Time between two cycles.
    pub poll_interval: Seconds,
}

/// What that comes to in a month of 30 days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Calls by permission.
    pub calls: BTreeMap<String, u64>,
    /// Metrics read.
    pub metrics: u64,
    /// Their price in millionths of a US dollar; the other calls are free.
    pub usd_micros: u64,
}

/// How often in a month a metric is read: once a cycle, or twice a sample where samples come so seldom
/// that most cycles find none.
///
/// ```
/// use fleet::Seconds;
/// use providers::reads_a_month;
///
/// assert_eq!(reads_a_month(Seconds(60), Seconds(60)), 43_200);
/// assert_eq!(reads_a_month(Seconds(300), Seconds(60)), 2 * 8_640);
/// ```
pub fn reads_a_month(spacing: Seconds, poll_interval: Seconds) -> u64 {
    let a_month = |span: Seconds| Seconds::days(30).0 / span.0.max(1);
    a_month(poll_interval).min(2 * a_month(spacing))
}

#[cfg(any(feature = "alibaba", feature = "aws", feature = "prometheus"))]
impl Volume {
    /// Cycles in a month.
    pub(crate) fn cycles(self) -> u64 {
        times_a_month(self.poll_interval)
    }

    /// How often in a month something is read that is due each `span`, and never more often than
    /// once a cycle.
    #[cfg(any(feature = "alibaba", feature = "aws"))]
    pub(crate) fn each_cycle_at_most(self, span: Seconds) -> u64 {
        times_a_month(span).min(self.cycles())
    }
}

/// How often in a month something happens each `span`.
#[cfg(any(feature = "alibaba", feature = "aws", feature = "prometheus"))]
pub(crate) fn times_a_month(span: Seconds) -> u64 {
    MONTH.0.div_ceil(span.0.max(1))
}

/// Pages of a listing.
#[cfg(any(feature = "alibaba", feature = "aws"))]
pub(crate) fn pages(records: u64, page: usize) -> u64 {
    records.div_ceil(u64::try_from(page).unwrap_or(u64::MAX))
}

impl Expected {
    /// All calls together.
    pub fn calls_total(&self) -> u64 {
        self.calls.values().sum()
    }

    /// The sum of two, for the whole of several accounts and regions.
    pub fn plus(mut self, other: &Expected) -> Expected {
        for (call, count) in &other.calls {
            *self.calls.entry(call.clone()).or_default() += count;
        }
        self.metrics += other.metrics;
        self.usd_micros += other.usd_micros;
        self
    }
}

#[cfg(all(test, any(feature = "alibaba", feature = "aws")))]
impl Permissions {
    /// Fails where the policies that are shipped for a cloud allow another thing than what is called.
    pub(crate) fn assert_shipped(mut self, cloud: &str) {
        let allowed = |role: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/");
            let text = std::fs::read_to_string(format!("{folder}{cloud}-{role}-policy.json"));
            let policy: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
            let statements = policy["Statement"].as_array().unwrap();
            let mut actions: Vec<String> = statements
                .iter()
                .filter(|statement| statement["Effect"] == "Allow")
                .flat_map(|statement| statement["Action"].as_array().unwrap())
                .map(|action| action.as_str().unwrap().to_owned())
                .collect();
            actions.sort();
            actions
        };
        // Whatever changes something reaches what carries the tag, and nothing else.
        let text = format!("{}/../systemd/{cloud}-actor-policy.json", env!("CARGO_MANIFEST_DIR"));
        let actor: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(text).unwrap()).unwrap();
        let statements = actor["Statement"].as_array().unwrap().iter();
        for statement in statements.filter(|statement| statement["Effect"] == "Allow") {
            let equal = statement["Condition"]["StringEquals"].as_object();
            let tagged = equal.is_some_and(|equal| {
                let tag = |key: &str| key.ends_with(":ResourceTag/neap:managed");
                equal.iter().any(|(key, value)| tag(key) && value == "true")
            });
            // Keys carry no tag of ours: a grant is for what EC2 starts, and for nothing of neap's own.
            let condition = &statement["Condition"];
            let granted = statement["Action"]
                .as_array()
                .is_some_and(|all| all.len() == 1 && all[0] == "kms:CreateGrant")
                && condition["Bool"]["kms:GrantIsForAWSResource"] == "true"
                && condition["StringLike"]["kms:ViaService"].as_str().is_some();
            assert!((tagged || granted) && statement["Resource"] != "*", "{cloud}: {statement:#}");
        }
        self.read.sort();
        self.write.sort();
        assert_eq!(allowed("observer"), self.read);
        assert_eq!(allowed("actor"), self.write);
    }
}
