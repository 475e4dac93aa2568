//! What is told of what was found out, and how a terminal shows it.

use std::fmt;

use anstyle::{AnsiColor, Style};
use fleet::group::NativePolicy;
use fleet::{AccountId, Fault, Seconds};
use planner::policy::Actuate;
use providers::{Limit, Outcome, Room, Untried};
use serde::{Serialize, Serializer};

use super::facts::OPT_IN;
use crate::output::shown;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mark {
    /// In place.
    Ok,
    /// To be known.
    Note,
    /// Something goes without, or may.
    Warning,
    /// A service is not sized while this lasts.
    Stops,
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Mark::Ok => "ok",
            Mark::Note => "note",
            Mark::Warning => "warning",
            Mark::Stops => "stops",
        }
    }

    fn style(self) -> Style {
        match self {
            Mark::Ok => AnsiColor::Green.on_default(),
            Mark::Note => Style::new(),
            Mark::Warning => AnsiColor::Yellow.on_default(),
            Mark::Stops => AnsiColor::Red.on_default(),
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Finding {
    pub(super) mark: Mark,
    /// What it is about: a place, a service or a metric.
    pub(super) about: String,
    #[serde(rename = "text", serialize_with = "worded")]
    pub(super) what: What,
    /// What people may run or add.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
}

fn worded<S: Serializer>(what: &What, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(what)
}

impl Finding {
    /// Whether a service is not sized while this lasts.
    pub(crate) fn stops(&self) -> bool {
        self.mark == Mark::Stops
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// No credentials, or none that are known.
    NoIdentity(Fault),
    /// Whose the credentials are.
    Identity(String),
    /// They belong to another account than the configuration names.
    OtherAccount { found: AccountId },
    /// So many permissions were tried and are there.
    Allowed { tried: usize, worked_out: usize },
    /// It is missing.
    Denied { permission: String, writes: bool, why: Outcome },
    /// It could not be found out.
    Unknown { permission: String, fault: Fault },
    /// Nothing is claimed of these.
    Untried { permissions: Vec<String>, why: Untried },
    /// There is room to grow, or not.
    Room(Room),
    /// A limit that is not known.
    NoRoom(Fault),
    /// The group could not be read.
    NoGroup(Fault),
    /// What would be written, and the cloud's own policies.
    Writes { number: Actuate, policies: Vec<NativePolicy> },
    /// A policy of the cloud's own takes away what neap adds.
    Undone { policy: String },
    /// The tag is missing.
    Untagged,
    /// Somebody else's.
    Owned { owner: String, evidence: String },
    /// The cloud starts no machine in it.
    LaunchSuspended,
    /// The cloud ends no machine in it.
    TerminateSuspended,
    /// The group's own maximum is below the policy's.
    LowMaximum { own: u32, policy: u32 },
    /// The group's own minimum is above the policy's.
    HighMinimum { own: u32, policy: u32 },
    /// No sample in a day.
    NoSample,
    /// No sample in a day of what is silent while nothing happens, such as errors.
    Quiet,
    /// The metric could not be read.
    Unread(Fault),
    /// Samples are further apart than the period says.
    Sparse { apart: Seconds, period: Seconds },
    /// The newest sample is old.
    Stale { age: Seconds },
    /// Gaps that are unknown rather than zero.
    Gaps { samples: usize, intervals: usize },
    /// As it should be.
    Sampled { samples: usize, intervals: usize, age: Seconds },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::NoIdentity(fault) => write!(f, "who the credentials belong to is unknown: {fault}"),
            What::Identity(arn) => write!(f, "credentials of `{arn}`"),
            What::OtherAccount { found } => {
                write!(f, "the credentials belong to account `{found}`: nothing is read or changed with them")
            }
            What::Allowed { tried, worked_out: 0 } => write!(f, "{tried} permissions tried and there"),
            What::Allowed { tried, worked_out } => write!(
                f,
                "{tried} permissions tried and there; {worked_out} more are there by what the cloud \
                 works out of the policies"
            ),
            What::Denied { permission, writes, why } => {
                let role = if *writes { "actor's" } else { "observer's" };
                write!(f, "permission `{permission}` of the {role} role is missing")?;
                match why {
                    Outcome::Failed(fault) => write!(f, ": {fault}"),
                    _ => f.write_str(", by what the cloud works out of the policies"),
                }
            }
            What::Unknown { permission, fault } => {
                write!(f, "whether permission `{permission}` is there is unknown: {fault}")
            }
            What::Untried { permissions, why } => {
                let names = permissions.join(", ");
                match why {
                    Untried::NoDryRun => write!(
                        f,
                        "not tried, since the cloud has no dry run of them and does not work them out \
                         for these credentials: {names}"
                    ),
                    Untried::NoGroup => write!(f, "not tried, for want of a group: {names}"),
                    Untried::NoInstance => write!(f, "not tried, for want of an instance: {names}"),
                    Untried::NoTaggedInstance => write!(
                        f,
                        "not tried, for want of an instance that carries `{} = {}`: {names}",
                        OPT_IN.0, OPT_IN.1
                    ),
                    Untried::NoBalancer => {
                        write!(f, "not tried, for want of what they are about: {names}")
                    }
                }
            }
            What::Room(room) => write_room(f, room),
            What::NoRoom(fault) => write!(f, "a limit is not known: {fault}"),
            What::NoGroup(fault) => write!(f, "its group cannot be read: {fault}"),
            What::Writes { number, policies } => {
                let number = match number {
                    Actuate::Desired => "the desired capacity",
                    Actuate::Floor => "the minimum",
                };
                write!(f, "neap writes {number}; ")?;
                if policies.is_empty() {
                    return f.write_str("the group has no scaling policy of its own");
                }
                f.write_str("the group's own policies:")?;
                policies.iter().enumerate().try_for_each(|(n, policy)| {
                    let comma = if n == 0 { "" } else { "," };
                    let off = if policy.enabled { "" } else { ", switched off" };
                    let down = if policy.scales_in { "scales in" } else { "does not scale in" };
                    write!(f, "{comma} `{}` ({down}{off})", policy.name)
                })
            }
            What::Undone { policy } => write!(
                f,
                "the group's own policy `{policy}` scales in, and would undo the desired capacity that \
                 neap writes: let it grow alone (`actuate = \"floor\"`), or disable its scale-in"
            ),
            What::Untagged => write!(
                f,
                "the group does not carry `{} = {}`: the policies that are shipped let neap change \
                 only what does",
                OPT_IN.0, OPT_IN.1
            ),
            What::Owned { owner, evidence } => {
                write!(f, "the group is owned by {owner} (`{evidence}`): neap does not size it")
            }
            What::LaunchSuspended => {
                f.write_str("the group's process `Launch` is suspended: it does not grow")
            }
            What::TerminateSuspended => {
                f.write_str("the group's process `Terminate` is suspended: it does not shrink")
            }
            What::LowMaximum { own, policy } => write!(
                f,
                "the group's own maximum is {own}, below the {policy} of `max`: growth stops at {own}"
            ),
            What::HighMinimum { own, policy } => write!(
                f,
                "the group's own minimum is {own}, above the {policy} of `min`: removals stop at {own}"
            ),
            What::NoSample => f.write_str(
                "never had a sample in the last day: look at the spelling of name and dimensions and at \
                 the region; a load balancer that was replaced has a new name",
            ),
            What::Quiet => f.write_str(
                "no sample in the last day, as where there was nothing to count; if there was, look at the \
                 spelling of name and dimensions",
            ),
            What::Unread(fault) => write!(f, "cannot be read: {fault}"),
            What::Sparse { apart, period } => write!(
                f,
                "samples are {apart} apart and `period` is {period}: set `period = \"{apart}\"`, or have \
                 the source report more often"
            ),
            What::Stale { age } => write!(f, "the newest sample is {age} old"),
            What::Gaps { samples, intervals } => write!(
                f,
                "{samples} samples in {intervals} intervals of the last day: where the source reports \
                 nothing at zero, `when_missing = \"zero\"` tells a quiet time from a lost metric"
            ),
            What::Sampled { samples, intervals, age } => {
                write!(f, "{samples} samples in {intervals} intervals of the last day, the newest {age} old")
            }
        }
    }
}

fn write_room(f: &mut fmt::Formatter<'_>, room: &Room) -> fmt::Result {
    let Room { limit, used, needed, groups, unknown, .. } = room;
    match &room.what {
        Limit::Vcpus => {
            write!(
                f,
                "{used} of {limit} vCPUs of on-demand machines are in use; the groups may need {needed} more"
            )?;
        }
        Limit::Addresses(networks) => {
            let networks = networks.join("`, `");
            write!(f, "{limit} addresses are free in `{networks}`; the groups may need {needed}")?;
        }
        Limit::GroupSize => {
            write!(f, "a group may have at most {limit} members; the largest maximum is {needed}")?;
        }
    }
    if !groups.is_empty() {
        write!(f, " (`{}`)", groups.join("`, `"))?;
    }
    if room.missing() > 0 {
        write!(f, ": {} are missing", room.missing())?;
    }
    if !unknown.is_empty() {
        write!(
            f,
            "; what `{}` may need is unknown: no member tells its type",
            unknown.join("`, `")
        )?;
    }
    Ok(())
}

/// All findings, for a terminal: what each is about stands once.
pub(crate) fn listed(findings: &[Finding], colour: bool) -> String {
    let mut text = String::new();
    let mut last = "";
    for finding in findings {
        if finding.about != last {
            text.push_str(&format!("\n{}\n", shown(&finding.about)));
            last = &finding.about;
        }
        let style = if colour { finding.mark.style() } else { Style::new() };
        let word = finding.mark.word();
        let told = shown(&finding.what.to_string());
        text.push_str(&format!("  {style}{word:<8}{style:#} {told}\n"));
        if let Some(mend) = &finding.mend {
            text.push_str(&format!("           {}\n", shown(mend)));
        }
    }
    let count = |mark: Mark| findings.iter().filter(|finding| finding.mark == mark).count();
    let (stops, warnings) = (count(Mark::Stops), count(Mark::Warning));
    text.push_str(&match (stops, warnings) {
        (0, 0) => "\neverything that was tried is in place\n".to_owned(),
        _ => format!("\n{stops} stop something, {warnings} are warnings\n"),
    });
    text
}
