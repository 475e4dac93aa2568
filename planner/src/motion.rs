//! A group in motion: deployments, and members that come and go.

use std::collections::BTreeSet;

use fleet::group::Process;
use fleet::{Seconds, Timestamp, Units};

use crate::snapshot::GroupView;

/// What looks like a deployment for longer than this is how the group is kept.
pub const DEPLOYS_AT_MOST: Seconds = Seconds::days(1);

/// A deployment suspends at least so many processes at once.
const SUSPENDED_AT_ONCE: usize = 3;

/// Whether these are suspended as a deployment suspends them: alarms, schedules and some upkeep at once,
/// as AWS CloudFormation, CodeDeploy and Elastic Beanstalk do. One alone may be an operator's for ever.
///
/// ```
/// use std::collections::BTreeSet;
///
/// use fleet::group::Process::{AlarmNotification, Other, ScheduledActions};
/// use planner::looks_like_deployment;
///
/// let rebalancing = Other("AZRebalance".to_owned());
/// let all = BTreeSet::from([AlarmNotification, ScheduledActions, rebalancing.clone()]);
/// assert!(looks_like_deployment(&all));
/// assert!(!looks_like_deployment(&BTreeSet::from([rebalancing, ScheduledActions])));
/// ```
pub fn looks_like_deployment(suspended: &BTreeSet<Process>) -> bool {
    let both = [Process::AlarmNotification, Process::ScheduledActions];
    suspended.len() >= SUSPENDED_AT_ONCE && both.iter().all(|process| suspended.contains(process))
}

/// Until when what is suspended counts as a deployment, where it does at `at`.
pub(crate) fn deployment(view: &GroupView, at: Timestamp) -> Option<Timestamp> {
    if !looks_like_deployment(&view.aside.suspended) {
        return None;
    }
    let until = view.aside.deploying_since.unwrap_or(at) + DEPLOYS_AT_MOST;
    (at < until).then_some(until)
}

/// Units that the size counts and that serve nothing: on their way in, warming up, sick, or set aside.
///
/// A smaller size takes away what the cloud likes, and that may be units that serve, while none of the
/// others ever comes to serve: of a size of `to` at least `to` less these do.
pub(crate) fn not_serving(view: &GroupView) -> Units {
    let counted = view.desired.0.max(view.in_service.0.saturating_add(view.pending.0));
    let serving = view.in_service.0.saturating_sub(view.warming.0);
    Units(counted.saturating_sub(serving))
}
