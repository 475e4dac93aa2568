//! Floors of known events: from one lead window before an event until its end.

use fleet::{Seconds, ServiceName, Timestamp, Units};

use crate::plan::{DecidedBy, Hold};
use crate::policy::EventFloor;
use crate::sizing::Wish;

/// The events whose floors ask for more than demand does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lift<'a> {
    now: Option<&'a EventFloor>,
    /// Begins before units taken away now could be back.
    soon: Option<&'a EventFloor>,
    /// What was wanted without them.
    below: Units,
}

impl Lift<'_> {
    /// The reason why `kept` units stay, where it is an event that takes place.
    pub fn holds(&self, kept: Units) -> Option<Hold> {
        self.now.filter(|event| event.floor == kept).map(hold)
    }

    /// The same where it is one that begins soon.
    pub fn holds_for_soon(&self, kept: Units) -> Option<Hold> {
        self.soon.filter(|event| event.floor == kept).map(hold)
    }

    /// What was wanted without the event that takes place, where that was less than `to`.
    pub fn below(&self, to: Units) -> Option<Units> {
        self.now.map(|_| self.below).filter(|below| *below < to)
    }
}

fn hold(event: &EventFloor) -> Hold {
    Hold::EventFloor { name: event.name.clone(), floor: event.floor, until: event.until }
}

/// The highest floor of the events under way `ahead` from now; of equal ones the one that ends
/// last.
fn highest<'a>(
    floors: &'a [EventFloor],
    name: &ServiceName,
    at: Timestamp,
    ahead: Seconds,
) -> Option<&'a EventFloor> {
    let concerns = |event: &&EventFloor| {
        let ours = event.services.is_empty() || event.services.contains(name);
        ours && at + ahead >= event.from && at < event.until
    };
    floors.iter().filter(concerns).max_by_key(|event| (event.floor, event.until))
}

/// Raises `wish` to the floors in force, where it wants less.
pub(crate) fn lift<'a>(
    wish: &mut Wish,
    floors: &'a [EventFloor],
    name: &ServiceName,
    at: Timestamp,
) -> Lift<'a> {
    let window = wish.sizing.window;
    let below = wish.grow_to;
    // What is ordered now is in service a lead window later: then the event has begun.
    let now = highest(floors, name, at, window.lead()).filter(|event| event.floor > below);
    if let Some(event) = now {
        wish.grow_to = event.floor;
        wish.provisional_calls_for_less = false;
        wish.sizing.wanted = event.floor;
        wish.sizing.decided_by = DecidedBy::Event { name: event.name.clone(), until: event.until };
    }
    let kept = wish.shrink_to.max(wish.grow_to);
    let soon = highest(floors, name, at, window.hold_ahead()).filter(|event| event.floor > kept);
    wish.shrink_to = soon.map_or(kept, |event| event.floor);
    if now.is_some() || soon.is_some() {
        wish.hold_keeps = (wish.shrink_to > wish.grow_to).then_some((wish.shrink_to, window.hold));
    }
    Lift { now, soon, below }
}
