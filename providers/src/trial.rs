//! The seam for trying things out: whether each permission is there and whether there is room to
//! grow, asked by calls that change nothing.

use async_trait::async_trait;
use fleet::{AccountId, Fault, GroupId, Place};

use crate::Deadline;

/// What a cloud answers to those who ask whether everything is in place. Changes nothing.
#[async_trait]
pub trait Trials: Send + Sync {
    /// Tries each permission of the observer's role in one place, and those of the actor's role where
    /// `writes` says so. One answer a permission, in the order of the cloud's own names; a call that
    /// fails answers for itself alone.
    async fn tried(&self, place: &Place, writes: bool, deadline: Deadline) -> Tried;

    /// The limits of one place that stand around the growth of groups in it. One answer a limit; one
    /// that cannot be read is a fault, and spoils no other.
    async fn rooms(
        &self,
        place: &Place,
        growth: &[Growth],
        deadline: Deadline,
    ) -> Vec<Result<Room, Fault>>;

    /// How people give a group the tag that hands it over, as a command line; `None` where the cloud's
    /// tool has none.
    fn tag_command(&self, group: &GroupId, name: &str, tag: (&str, &str)) -> Option<String>;

    /// A statement of a policy that allows an action, to be added to the role that lacks it.
    fn statement(&self, permission: &str) -> String;
}

/// What came of the trials in one account and region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The account that the credentials really belong to, and who they are there.
    pub identity: Result<Identity, Fault>,
    /// One for each permission.
    pub trials: Vec<Trial>,
}

/// Whose credentials they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub account: AccountId,
    /// The user or role, as the cloud names it.
    pub arn: String,
}

/// What came of trying one permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// As the cloud names it, such as `ec2:StartInstances`.
    pub permission: String,
    /// Whether it is the actor's rather than the observer's.
    pub writes: bool,
    /// What goes without it.
    pub purpose: Purpose,
    pub outcome: Outcome,
}

/// What a permission is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Groups and their metrics: without it services are not sized, or not safely.
    Groups,
    /// Machines one by one, and what may be idle.
    Machines,
    /// What is known of limits, for people.
    Limits,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call was answered, or its dry run.
    Works,
    /// The cloud works it out of the policies, and says yes; the call itself was not made.
    WorkedOut,
    /// The cloud works it out of the policies, and says no.
    Forbidden,
    /// It was not tried, so nothing is claimed.
    Untried(Untried),
    /// The call failed: denied, or without an answer that tells.
    Failed(Fault),
}

/// Why something was not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untried {
    /// The cloud has no dry run of it, and does not work it out for these credentials.
    NoDryRun,
    /// There is no group that it could be asked about.
    NoGroup,
    /// There is no instance that it could be asked about.
    NoInstance,
    /// No instance carries the tag that hands a machine over, and without one it is refused by design.
    NoTaggedInstance,
    /// There is no load balancer that it could be asked about.
    NoBalancer,
}

/// How much a group may still grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    pub group: GroupId,
    /// Its name, for people.
    pub name: String,
    /// The instance type of its members, where known.
    pub class: Option<String>,
    /// A member of it, where it has any.
    pub member: Option<String>,
    /// Machines that may come on top of those it has.
    pub machines: u64,
    /// The largest size that it may get.
    pub largest: u64,
}

/// A limit that stands around the growth of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub what: Limit,
    /// How much there may be.
    pub limit: u64,
    /// How much of it is in use.
    pub used: u64,
    /// How much more the groups may need.
    pub needed: u64,
    /// The groups that need it, by name.
    pub groups: Vec<String>,
    /// Groups whose need is not known, since they have no member whose type tells it.
    pub unknown: Vec<String>,
}

impl Room {
    /// How much is missing if all groups grow as far as they may.
    pub fn missing(&self) -> u64 {
        self.used.saturating_add(self.needed).saturating_sub(self.limit)
    }
}

/// What is limited.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Processors of on-demand machines of the usual families in a region.
    Vcpus,
    /// Free addresses of these networks.
    Addresses(Vec<String>),
    /// The size of one group.
    GroupSize,
}

/// The statement of a shipped policy that allows an action, cut down to that action.
#[cfg(any(feature = "alibaba", feature = "aws"))]
pub(crate) fn statement_in(policies: &[&str], permission: &str) -> String {
    let allows = |statement: &serde_json::Value| {
        let actions = statement["Action"].as_array();
        statement["Effect"] == "Allow"
            && actions.is_some_and(|all| all.iter().any(|action| action == permission))
    };
    let parsed = policies.iter().filter_map(|text| serde_json::from_str(text).ok());
    let mut statements = parsed.flat_map(|policy: serde_json::Value| {
        policy["Statement"].as_array().cloned().unwrap_or_default()
    });
    let plain = || serde_json::json!({ "Effect": "Allow", "Resource": "*" });
    let mut statement = statements.find(allows).unwrap_or_else(plain);
    statement["Action"] = permission.into();
    statement.to_string()
}

/// A word of a command line, as a shell takes it whatever it holds.
#[cfg(any(feature = "alibaba", feature = "aws"))]
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:=,/@%+".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(feature = "alibaba", feature = "aws"))]
    #[test]
    fn a_word_of_a_command_is_taken_whole_by_a_shell() {
        assert_eq!(shell_word("Key=neap:managed,Value=true"), "Key=neap:managed,Value=true");
        assert_eq!(shell_word("my group"), "'my group'");
        assert_eq!(shell_word("a'b; rm -rf ~"), "'a'\\''b; rm -rf ~'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn what_is_missing_is_what_does_not_fit_and_never_overflows() {
        let room = |limit, used, needed| {
            let (groups, unknown) = (Vec::new(), Vec::new());
            Room { what: Limit::Vcpus, limit, used, needed, groups, unknown }.missing()
        };
        for (limit, used, needed, missing) in [
            (64, 20, 44, 0),
            (64, 20, 45, 1),
            (0, 0, 0, 0),
            (5, 9, 0, 4),
            (0, u64::MAX, u64::MAX, u64::MAX),
        ] {
            assert_eq!(room(limit, used, needed), missing);
        }
    }
}
