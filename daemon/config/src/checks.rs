//! What the parser asks of those who know better: it is handed in, so that this crate knows no cloud and
//! no receiver.

use fleet::AccountId;
use serde::Serialize;

use crate::Message;

/// Checks of what a configuration says, made by those who will have to do with it.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// Kinds of providers that this program is built with.
    pub built: &'static [&'static str],
    /// The account that a role of a kind of cloud is in.
    pub role_account: fn(kind: &str, arn: &str) -> Result<AccountId, NotARole>,
    /// The periods in seconds that a kind of cloud folds samples into, where it has only some.
    pub metric_periods: fn(kind: &str) -> Option<&'static [u32]>,
    /// Metric calls that Alibaba Cloud makes free in a month.
    pub alibaba_free_metric_calls_monthly: u64,
    /// Where a Prometheus store answers.
    pub store_url: fn(&str) -> Result<StoreUrl, NotAStore>,
    /// A query in one line.
    pub promql: fn(&str) -> Result<String, NotPromql>,
    /// The scenarios of the simulated cloud; the first is the default.
    pub scenarios: &'static [&'static str],
    /// Whether a template makes JSON of every alert.
    pub template: fn(&Message) -> Result<(), BodyFault>,
}

/// Why a text is no role of a kind of cloud.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotARole {
    /// Why, in words.
    pub why: String,
}

/// The address of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StoreUrl {
    /// The address, without a slash at its end.
    pub text: String,
    /// Whether nobody on the way can read what is sent.
    #[serde(skip)]
    pub encrypted: bool,
    /// Whether it is on this machine.
    #[serde(skip)]
    pub local: bool,
}

/// Why a text is no address of a store. It never repeats the text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAStore {
    /// What it holds instead.
    pub holds: String,
    /// Whether a name or a password stands in it.
    pub credential: bool,
}

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotPromql {
    /// What is wrong.
    pub what: String,
    /// Whether it is a variable that a dashboard would have filled in.
    pub variable: bool,
}

/// What is wrong with the template of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyFault {
    /// The line of the template.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}
