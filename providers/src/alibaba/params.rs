//! Parameters of a call, flattened as the vendor's RPC style wants them.

use std::fmt::Display;

use serde_json::Value;

/// Named parameters of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// No parameters.
    pub fn new() -> Params {
        Params::default()
    }

    /// Adds one.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Params {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds one, if there is any.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Display>) -> Params {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a list: `NAME.1`, `NAME.2`, …
    #[must_use]
    pub fn with_list<T: Display>(
        mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Params {
        for (n, value) in (1..).zip(values) {
            self.0.push((format!("{name}.{n}"), value.to_string()));
        }
        self
    }

    /// Adds pairs: `NAME.1.Key`, `NAME.1.Value`, …
    #[must_use]
    pub fn with_pairs<'a>(
        mut self,
        name: &str,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Params {
        for (n, (key, value)) in (1..).zip(pairs) {
            self.0.push((format!("{name}.{n}.Key"), key.to_owned()));
            self.0.push((format!("{name}.{n}.Value"), value.to_owned()));
        }
        self
    }

    /// The flat form of a JSON object. Nulls are left out.
    pub fn from_json(object: &Value) -> Params {
        let mut params = Params::new();
        for (name, value) in object.as_object().into_iter().flatten() {
            params.flatten(name, value);
        }
        params
    }

    fn flatten(&mut self, name: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::String(text) => self.0.push((name.to_owned(), text.clone())),
            Value::Bool(_) | Value::Number(_) => self.0.push((name.to_owned(), value.to_string())),
            Value::Array(items) => {
                for (n, item) in (1..).zip(items) {
                    self.flatten(&format!("{name}.{n}"), item);
                }
            }
            Value::Object(fields) => {
                for (field, item) in fields {
                    self.flatten(&format!("{name}.{field}"), item);
                }
            }
        }
    }

    /// Name and value in the order in which the official SDKs send them: plain values and lists of
    /// them first, then what has fields of its own, each by name.
    pub fn into_pairs(self) -> Vec<(String, String)> {
        let mut pairs = self.0;
        // Stable: members of a list stay in the order of their numbers.
        pairs.sort_by(|(a, _), (b, _)| place(a).cmp(&place(b)));
        pairs
    }
}

/// Whether a parameter is a field of something, such as `Tag.1.Key` or `SystemDisk.Size`, and the
/// name of the whole.
fn place(name: &str) -> (bool, &str) {
    let (whole, rest) = name.split_once('.').unwrap_or((name, ""));
    let nested = rest.split('.').any(|part| !part.is_empty() && part.parse::<u32>().is_err());
    (nested, whole)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(params: Params) -> String {
        let pairs = params.into_pairs().into_iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lists_are_counted_from_one() {
        let params = Params::new()
            .with("RegionId", "eu-west-1")
            .with_some("NextToken", None::<&str>)
            .with_list("InstanceId", ["i-1", "i-2"])
            .with_pairs("Tag", [("env", "dev"), ("empty", "")]);
        assert_eq!(
            text(params),
            "InstanceId.1=i-1 InstanceId.2=i-2 RegionId=eu-west-1 Tag.1.Key=env Tag.1.Value=dev \
             Tag.2.Key=empty Tag.2.Value="
        );
    }

    #[test]
    fn nested_values_come_after_plain_ones() {
        let object = json!({
            "DataDisk": [{"Category": "ssd", "Size": 100}], "SystemDisk": {"Size": 40},
            "Amount": 1, "Ids": ["a", "b"], "DryRun": true, "None": null, "Empty": []
        });
        assert_eq!(
            text(Params::from_json(&object)),
            "Amount=1 DryRun=true Ids.1=a Ids.2=b DataDisk.1.Category=ssd DataDisk.1.Size=100 \
             SystemDisk.Size=40"
        );
    }
}
