//! What the operator says about AWS: regions, accounts, where to reach it, and how much to ask.

use std::fmt;

use fleet::{AccountId, ProviderName, Region};

use crate::Timeouts;
use crate::places::Entered;

/// Everything an [`super::Aws`] is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `NAME` of `[provider.NAME]`.
    pub provider: ProviderName,
    /// The regions that `discover` and `probe` look at; groups and metrics name their own.
    pub regions: Vec<Region>,
    /// The accounts, each through a role; empty for the one account that the SDK's own chain of
    /// credentials belongs to.
    pub accounts: Vec<RoleAccount>,
    /// Where every service is reached instead of AWS's own endpoints.
    pub endpoint_url: Option<String>,
    /// How long a single call may take.
    pub timeouts: Timeouts,
    /// How much may be asked, account by account.
    pub budget: Budget,
}

impl Settings {
    /// The SDK's own chain of credentials in these regions, with the documented defaults.
    pub fn new(provider: ProviderName, regions: Vec<Region>) -> Settings {
        Settings {
            provider,
            regions,
            accounts: Vec::new(),
            endpoint_url: None,
            timeouts: Timeouts::default(),
            budget: Budget::default(),
        }
    }
}

/// An account that is entered by assuming a role in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleAccount {
    /// The role.
    pub role_arn: RoleArn,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
}

impl Entered for RoleAccount {
    fn account(&self) -> &AccountId {
        self.role_arn.account()
    }
}

/// The ARN of an IAM role, such as `arn:aws:iam::111122223333:role/neap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArn {
    text: String,
    account: AccountId,
}

/// Why a text is no ARN of an IAM role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no role ARN, expected one such as `arn:aws:iam::111122223333:role/neap`")]
pub struct NotARoleArn {
    /// What was found.
    pub found: String,
}

impl RoleArn {
    /// Reads a role's ARN in any partition.
    ///
    /// # Errors
    /// Where it is not `arn:PARTITION:iam::TWELVE DIGITS:role/NAME`.
    pub fn parse(text: &str) -> Result<RoleArn, NotARoleArn> {
        let fault = || NotARoleArn { found: text.to_owned() };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [arn, partition, iam, region, account, role] = parts[..] else {
            return Err(fault());
        };
        let sound = arn == "arn"
            && partition.starts_with("aws")
            && iam == "iam"
            && region.is_empty()
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && role.strip_prefix("role/").is_some_and(|name| !name.is_empty());
        let account = AccountId::new(account).filter(|_| sound).ok_or_else(fault)?;
        Ok(RoleArn { text: text.to_owned(), account })
    }

    /// The account the role lives in.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How much may be asked, account by account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Metrics that CloudWatch may bill for in a month of 30 days; `None` for no limit.
    ///
    /// Kept as a bucket that holds a thirtieth (a day's worth) and refills evenly, so that a
    /// restart, which starts it full, never exceeds the month by more than that.
    pub metrics_per_month: Option<u64>,
    /// Calls under way at the same time, in one account and region.
    pub calls_at_once: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { metrics_per_month: None, calls_at_once: 8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_role_arns_are_role_arns() {
        let account = |text| RoleArn::parse(text).map(|arn| arn.account().to_string());
        assert_eq!(account("arn:aws:iam::111122223333:role/neap").unwrap(), "111122223333");
        assert_eq!(account("arn:aws-cn:iam::111122223333:role/a/b").unwrap(), "111122223333");
        for wrong in [
            "",
            "neap",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::1111:role/neap",
            "arn:aws:iam::111122223333:user/neap",
            "arn:aws:iam:eu-west-1:111122223333:role/neap",
            "arn:aws:s3:::bucket",
        ] {
            assert_eq!(account(wrong), Err(NotARoleArn { found: wrong.into() }), "{wrong}");
        }
    }
}
