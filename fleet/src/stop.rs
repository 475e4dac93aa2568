//! How a machine is stopped, and the tag that allows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The tag by which the owner of a resource lets neap stop it. neap never writes it.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use fleet::stop::OptIn;
///
/// let tagged = |value: &str| BTreeMap::from([("neap:managed".to_owned(), value.to_owned())]);
/// assert!(OptIn::default().holds(&tagged("true")));
/// // The value counts, to the letter.
/// assert!(!OptIn::default().holds(&tagged("True")));
/// assert!(!OptIn::default().holds(&BTreeMap::new()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptIn {
    /// The tag's key, `neap:managed` unless told otherwise.
    pub key: String,
    /// The tag's value, `true` unless told otherwise.
    pub value: String,
}

impl Default for OptIn {
    fn default() -> OptIn {
        OptIn { key: "neap:managed".to_owned(), value: "true".to_owned() }
    }
}

impl OptIn {
    /// Whether a resource has it.
    pub fn holds(&self, tags: &BTreeMap<String, String>) -> bool {
        tags.get(&self.key).is_some_and(|value| *value == self.value)
    }
}

/// How a machine is stopped: what a cloud is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMode {
    #[default]
    /// Down, processors and memory given back and not paid for (Alibaba's `StopCharging`).
    Plain,
    /// Its memory written to disk first.
    Hibernate,
}
