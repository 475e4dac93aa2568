//! The guards of a group in motion, and what its operator has to know of it.

use fleet::Units;

use super::{Docket, Passage, Stopped, unconfirmed};
use crate::motion::{deployment, looks_like_deployment, not_serving};
use crate::plan::Hold;

/// What its operator has to know of a group, whatever is done.
pub(super) fn notes(docket: &Docket<'_, '_>) -> Vec<Hold> {
    let (view, mut notes) = (docket.view, Vec::new());
    if view.owner.is_some() {
        return notes;
    }
    if let Some(why) = &view.aside.launch_failed {
        let short = Units(view.desired.0.saturating_sub(view.in_service.0));
        notes.push(Hold::LaunchesFail { short, why: why.clone() });
    }
    // What lasts longer than a deployment is how the group is kept: said, and no reason to wait.
    let suspended = &view.aside.suspended;
    if looks_like_deployment(suspended) && deployment(view, docket.snapshot.taken_at).is_none() {
        let names: Vec<String> = suspended.iter().map(ToString::to_string).collect();
        notes.push(Hold::Suspended { process: names.join("`, `") });
    }
    notes
}

/// A group that somebody else is at, or of which too little is known.
pub(super) fn changing(passage: &mut Passage<'_>) -> Result<(), Stopped> {
    let docket = passage.docket;
    let view = docket.view;
    passage.stop_if(view.terminate_suspended, || Hold::Suspended {
        process: "Terminate".to_owned(),
    })?;
    if let Some(until) = deployment(view, docket.snapshot.taken_at) {
        let suspended = view.aside.suspended.iter().cloned().collect();
        return passage.stop(Hold::Deploying { suspended, until });
    }
    if let Some(id) = &view.refresh {
        return passage.stop(Hold::Refreshing { id: id.clone() });
    }
    if let Some(order) = &docket.memory.orders.open {
        return passage.stop(unconfirmed(order));
    }
    let units = view.unknown;
    passage.stop_if(units > Units(0), || Hold::UnknownMembers { units })
}

/// Members that come and go. A size is absolute, so that those on their way out change nothing; those that
/// do not serve yet may never, and the cloud may take those that do.
pub(super) fn in_motion(passage: &mut Passage<'_>, kept: Units) -> Result<(), Stopped> {
    let view = passage.docket.view;
    let (pending, terminating) = (view.pending, view.terminating);
    // What cannot be had serves nothing, and what it cannot serve is not counted.
    let missing = pending > Units(0) && view.out_of_capacity;
    passage.stop_if(missing, || Hold::OutOfCapacity { short: pending })?;
    let idle = not_serving(view);
    if idle == Units(0) {
        return Ok(());
    }
    let why = if pending == Units(0) && view.warming > Units(0) {
        Hold::WarmingUp { units: view.warming }
    } else {
        Hold::GroupIsChanging { pending, terminating }
    };
    passage.narrow(Units(kept.0.saturating_add(idle.0)), why)
}
