//! What a reload changes, key by key.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::Config;

/// A key whose value differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The dotted key, such as `policy.services.checkout.pool.max`.
    pub key: String,
    /// Its value before; `None` where it is new.
    pub before: Option<String>,
    /// Its value after; `None` where it is gone.
    pub after: Option<String>,
    /// Takes effect after a restart only.
    pub needs_restart: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "`{}`: {before} -> {after}", self.key)?,
            (None, Some(after)) => write!(f, "`{}`: new, {after}", self.key)?,
            (Some(before), None) => write!(f, "`{}`: gone, was {before}", self.key)?,
            (None, None) => write!(f, "`{}`", self.key)?,
        }
        if self.needs_restart { f.write_str(" (after a restart)") } else { Ok(()) }
    }
}

/// Every key whose value differs, by key.
///
/// The journal's directory, the page's address, where traces go, clouds and sources are fixed while the
/// process runs; all else takes effect with the next cycle.
pub fn differences(before: &Config, after: &Config) -> Vec<Difference> {
    let (old, new) = (flat(before), flat(after));
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| Difference {
            key: key.clone(),
            before: old.get(key).cloned(),
            after: new.get(key).cloned(),
            needs_restart: is_fixed(key),
        })
        .collect()
}

fn is_fixed(key: &str) -> bool {
    let under = |prefix: &&str| {
        key.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let fixed = ["state_dir", "approvers", "page.listen", "page.tls", "providers", "trace"];
    fixed.iter().any(under)
}

fn flat(config: &Config) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    // A configuration is plain data with text keys, which JSON always holds.
    let value = serde_json::to_value(config).unwrap_or(Value::Null);
    flatten("", &value, &mut flat);
    flat
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                flatten(&join(key), member, into);
            }
        }
        Value::Array(members) => {
            for (at, member) in members.iter().enumerate() {
                // People count from one; what has a name is known by it.
                let name = member.get("name").and_then(Value::as_str);
                let key = name.map_or_else(|| (at + 1).to_string(), str::to_owned);
                flatten(&join(&key), member, into);
            }
        }
        Value::Null => {}
        scalar => {
            into.insert(path.to_owned(), scalar.to_string());
        }
    }
}
