//! Which number of a group is written, and why.

use std::fmt;

use fleet::Units;
use fleet::group::{NativePolicy, NativePolicyKind, Process};
use serde::{Deserialize, Serialize};

use crate::motion::deployment;
use crate::policy::{Actuate, ServicePolicy};
use crate::snapshot::GroupView;

/// Why that number of a group is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WrittenBecause {
    /// `actuate` says so.
    Configured,
    /// A policy of the group's own takes units away: what it must leave is the minimum.
    ScalesIn {
        /// The first such policy.
        policy: String,
    },
    /// The group has no policy of its own that is switched on.
    NoPolicy,
    /// Its policies never take units away: above a minimum that was raised it would grow for ever.
    NeverScaleIn {
        /// So many.
        policies: u32,
    },
    /// Its policies would take units away, and their alarms are suspended.
    AlarmsSuspended,
    /// Its policies could not be read: a minimum that was raised for them would stay.
    Unread,
}

impl fmt::Display for WrittenBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WrittenBecause::Configured => f.write_str("`actuate` says so"),
            WrittenBecause::ScalesIn { policy } => {
                write!(f, "the group's own policy `{policy}` takes units away, above the minimum")
            }
            WrittenBecause::NoPolicy => f.write_str("no policy of the group's own is switched on"),
            WrittenBecause::NeverScaleIn { policies: 1 } => {
                f.write_str("the group's own policy never takes units away")
            }
            WrittenBecause::NeverScaleIn { policies } => {
                write!(f, "none of the group's {policies} own policies takes units away")
            }
            WrittenBecause::AlarmsSuspended => f.write_str(
                "the group's own policies do nothing while AlarmNotification is suspended",
            ),
            WrittenBecause::Unread => f.write_str("the group's own policies could not be read"),
        }
    }
}

/// Which number is written, and why: the minimum where a native policy takes units away, so that both
/// leave each other room. Elsewhere nothing would take away what a minimum once asked for.
///
/// ```
/// use fleet::names::{NOWHERE, SIMULATED_REGION};
/// use fleet::{AccountId, GroupId, ProviderName, Region, Timestamp, Units};
/// use planner::snapshot::GroupView;
///
/// let id = GroupId {
///     provider: ProviderName::new("sim").expect("a name"),
///     account: AccountId::new(NOWHERE).expect("a name"),
///     region: Region::new(SIMULATED_REGION).expect("a name"),
///     id: "checkout-asg".to_owned(),
/// };
/// let view = GroupView::at_rest(id, Timestamp(0), Units(4));
/// assert!(planner::scalers_in(&view).next().is_none());
/// ```
pub fn written_because(service: &ServicePolicy, view: &GroupView) -> (Actuate, WrittenBecause) {
    if let Some(chosen) = service.pool.actuate {
        return (chosen, WrittenBecause::Configured);
    }
    if let Some(policy) = scalers_in(view).find(|policy| !policy.is_unread()) {
        return (Actuate::Floor, WrittenBecause::ScalesIn { policy: policy.name.clone() });
    }
    let own = || view.policies.iter().filter(|policy| policy.enabled && !policy.is_unread());
    let because = if view.policies.iter().any(NativePolicy::is_unread) {
        WrittenBecause::Unread
    } else if own().any(|policy| policy.scales_in) {
        WrittenBecause::AlarmsSuspended
    } else {
        match u32::try_from(own().count()).unwrap_or(u32::MAX) {
            0 => WrittenBecause::NoPolicy,
            policies => WrittenBecause::NeverScaleIn { policies },
        }
    };
    (Actuate::Desired, because)
}

/// Which number is written.
pub fn actuate(service: &ServicePolicy, view: &GroupView) -> Actuate {
    if let Some(chosen) = service.pool.actuate {
        return chosen;
    }
    let scales_in = scalers_in(view).any(|policy| !policy.is_unread());
    if scales_in { Actuate::Floor } else { Actuate::Desired }
}

/// The native policies that take units away and act: one that is off, that only ever adds, or whose
/// alarms are suspended is none. A deployment suspends alarms for minutes, and is no reason to write
/// another number meanwhile.
pub fn scalers_in(view: &GroupView) -> impl Iterator<Item = &NativePolicy> {
    let silent = view.aside.suspended.contains(&Process::AlarmNotification)
        && deployment(view, view.read_at).is_none();
    // A forecast of the cloud's own waits for no alarm.
    let acts = move |policy: &&NativePolicy| {
        policy.enabled
            && policy.scales_in
            && (!silent || policy.is_unread() || policy.kind == NativePolicyKind::Predictive)
    };
    view.policies.iter().filter(acts)
}

/// What that number is now.
pub(crate) fn written(service: &ServicePolicy, view: &GroupView) -> Units {
    match actuate(service, view) {
        Actuate::Desired => view.desired,
        Actuate::Floor => view.min,
    }
}
