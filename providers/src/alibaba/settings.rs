//! What the operator says about Alibaba Cloud alone, beside what every cloud is told.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::ops::{Deref, DerefMut};

use fleet::{ProviderName, Region};

use super::endpoint::Network;
use crate::{CloudSettings, RoleSyntax};

/// Calls for metrics that are free in a month, over all calls that read metrics.
pub const FREE_METRIC_CALLS_A_MONTH: u64 = 1_000_000;
/// The periods that CMS folds samples into, in seconds. [CMS API reference]
pub const PERIODS: [u32; 5] = [15, 60, 300, 900, 3600];
/// Where an instance asks about itself.
const METADATA_URL: &str = "http://100.100.100.200";

/// Everything an [`super::Alibaba`] is made from. What it has in common with other clouds' is read
/// and set as if it were its own.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What every cloud is told. Beyond the free calls for metrics the cloud refuses them, unless
    /// pay-as-you-go is switched on for the account.
    pub common: CloudSettings<RamRoles>,
    /// From where endpoints are reached.
    pub network: Network,
    /// Where an instance asks about itself.
    pub metadata_url: String,
    /// What the default chain of credentials looks at besides files.
    pub environment: Environment,
}

impl Settings {
    /// The default chain of credentials in these regions, with the documented defaults.
    pub fn new(provider: ProviderName, regions: Vec<Region>) -> Settings {
        let mut common = CloudSettings::new(provider, regions);
        common.budget.per_month = Some(FREE_METRIC_CALLS_A_MONTH);
        Settings {
            common,
            network: Network::Public,
            metadata_url: METADATA_URL.to_owned(),
            environment: Environment::of_process(),
        }
    }
}

impl Deref for Settings {
    type Target = CloudSettings<RamRoles>;

    fn deref(&self) -> &CloudSettings<RamRoles> {
        &self.common
    }
}

impl DerefMut for Settings {
    fn deref_mut(&mut self) -> &mut CloudSettings<RamRoles> {
        &mut self.common
    }
}

/// Environment variables. Debug output names them and hides their values.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process that the vendor's tools read, and `HOME`.
    pub fn of_process() -> Environment {
        Environment::of_raw(std::env::vars_os())
    }

    /// What is no text is none of ours: no key, address or folder can be meant by it.
    fn of_raw(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let ours = |name: &str| name.starts_with("ALIBABA_CLOUD_") || name == "HOME";
        let texts = variables.into_iter().filter_map(text);
        Environment::of(texts.filter(|(name, _)| ours(name)))
    }

    /// These alone.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
        Environment(variables.into_iter().collect())
    }

    /// A variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a variable says yes.
    pub(super) fn says_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// How Alibaba Cloud writes the ARN of a RAM role: `acs:ram::DIGITS:role/NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RamRoles {}

impl RoleSyntax for RamRoles {
    const EXAMPLE: &'static str = "acs:ram::1234567890123456:role/neap";

    fn account(text: &str) -> Option<&str> {
        let (account, name) = text.strip_prefix("acs:ram::")?.split_once(":role/")?;
        let sound =
            !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty();
        sound.then_some(account)
    }
}

/// The ARN of a RAM role, such as `acs:ram::1234567890123456:role/neap`.
pub type RoleArn = crate::RoleArn<RamRoles>;
/// An account that is entered by assuming a RAM role in it.
pub type RoleAccount = crate::RoleAccount<RamRoles>;

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::NotARoleArn;

    #[test]
    fn only_role_arns_are_role_arns() {
        let account = |text| RoleArn::parse(text).map(|arn| arn.account().to_string());
        assert_eq!(account("acs:ram::1234567890123456:role/neap").unwrap(), "1234567890123456");
        for wrong in [
            "",
            "neap",
            "acs:ram::1234567890123456:role/",
            "acs:ram::12a:role/neap",
            "acs:ram:::role/neap",
            "acs:ram::1234567890123456:user/neap",
            "arn:aws:iam::111122223333:role/neap",
        ] {
            let fault = NotARoleArn { found: wrong.into(), example: RamRoles::EXAMPLE };
            assert_eq!(account(wrong), Err(fault), "{wrong}");
        }
    }

    #[test]
    fn an_environment_hides_its_values() {
        let environment = Environment::of([("A".to_owned(), "hidden".to_owned())]);
        assert_eq!(format!("{environment:?}"), r#"{"A"}"#);
    }

    #[test]
    fn variables_that_are_no_text_are_passed_over() {
        let pair = |name: &[u8], value: &[u8]| {
            (OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec()))
        };
        let read = Environment::of_raw([
            pair(b"ODD", b"\xff\xfe"),
            pair(b"\xc3(", b"x"),
            pair(b"ALIBABA_CLOUD_\xff", b"x"),
            pair(b"ALIBABA_CLOUD_REGION", b"\x80"),
            pair(b"ALIBABA_CLOUD_ACCESS_KEY_ID", b"LTAIx"),
            pair(b"HOME", b"\xed\xa0\x80"),
            pair(b"PATH", b"/bin"),
        ]);
        assert_eq!(read.0.keys().collect::<Vec<_>>(), ["ALIBABA_CLOUD_ACCESS_KEY_ID"]);
        assert_eq!(read.get("ALIBABA_CLOUD_ACCESS_KEY_ID"), Some("LTAIx"));
    }
}
