//! The guards of a change that a service's hours ask for.

use fleet::Units;

use super::{
    Passage, Stopped, all_frozen, both_ways, changing, cooling_down, frozen, lower_bound, others,
    protected,
};
use crate::hours::Bound;
use crate::plan::{Hold, What};
use crate::policy::{Actuate, EventFloor, FreezeScope};
use crate::snapshot::{Disk, Hours};

/// The reason that they are.
pub(super) fn bounded(bound: Bound<'_>) -> Hold {
    let Hours { at, until, .. } = bound.hours;
    Hold::Hours { at: at.clone(), max: bound.max, until: *until }
}

/// Down to what its hours allow. That is the operator's own word: what doubts demand and what waits for
/// proof does not hold it; what restrains a change of the group does.
pub(super) fn by_hours(
    passage: &mut Passage<'_>,
    hours: Bound<'_>,
    floor: Units,
    writes: Actuate,
) -> Result<(), Stopped> {
    both_ways(passage)?;
    let docket = passage.docket;
    passage.stop_if(docket.snapshot.disk == Disk::ReserveOnly, || Hold::DiskReserve)?;
    if let Some(freeze) = all_frozen(docket, FreezeScope::Decreases) {
        return passage.stop(frozen(freeze));
    }
    others(passage, writes)?;
    changing(passage)?;
    let bound = lower_bound(docket, writes);
    passage.narrow(floor, Hold::AtBound { bound, value: floor })?;
    let ours = |event: &&EventFloor| {
        event.stands() && (event.services.is_empty() || event.services.contains(docket.name))
    };
    if let Some(event) = docket.snapshot.floors.iter().find(ours) {
        let (name, floor, until) = (event.name.clone(), event.floor, event.until);
        passage.narrow(floor, Hold::EventFloor { name, floor, until })?;
    }
    cooling_down(passage)?;
    protected(passage, writes)?;
    passage.find(What::Noted, bounded(hours));
    Ok(())
}
