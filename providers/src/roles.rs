//! Accounts that are entered by assuming a role in them, and how much is asked of each.

use std::fmt;
use std::marker::PhantomData;

use fleet::AccountId;

/// How a cloud writes the ARN of a role.
pub trait RoleSyntax {
    /// An ARN such as it is expected.
    const EXAMPLE: &'static str;

    /// The account that a role lives in; `None` where the text is no role's ARN.
    fn account(text: &str) -> Option<&str>;
}

/// An account that is entered by assuming a role in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleAccount<S> {
    pub role_arn: RoleArn<S>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
}

/// The ARN of a role of one cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArn<S> {
    text: String,
    account: AccountId,
    syntax: PhantomData<S>,
}

/// Why a text is no ARN of a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no role ARN, expected one such as `{example}`")]
pub struct NotARoleArn {
    pub found: String,
    /// What one looks like.
    pub example: &'static str,
}

impl<S: RoleSyntax> RoleArn<S> {
    /// Reads a role's ARN.
    ///
    /// # Errors
    /// Where it is not written as the cloud writes them.
    pub fn parse(text: &str) -> Result<RoleArn<S>, NotARoleArn> {
        let account = S::account(text).and_then(AccountId::new);
        let fault = || NotARoleArn { found: text.to_owned(), example: S::EXAMPLE };
        let account = account.ok_or_else(fault)?;
        Ok(RoleArn { text: text.to_owned(), account, syntax: PhantomData })
    }
}

impl<S> RoleArn<S> {
    /// The account the role lives in.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<S> fmt::Display for RoleArn<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How much may be asked, account by account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What the source of metrics counts, in a month of 30 days: metrics that CloudWatch bills for,
    /// or calls to CloudMonitor, of which so many are free. `None` for no limit.
    ///
    /// Kept as a bucket that holds a thirtieth (a day's worth) and refills evenly, so that a
    /// restart, which starts it full, never exceeds the month by more than that.
    pub per_month: Option<u64>,
    /// Calls under way at the same time, in one account and region.
    pub calls_at_once: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { per_month: None, calls_at_once: 8 }
    }
}
