//! Floors of known events and of hours: from one lead window before they begin until their end.

use fleet::{Seconds, ServiceName, Timestamp, Units};

use crate::plan::{DecidedBy, Hold};
use crate::policy::EventFloor;
use crate::sizing::Wish;
use crate::snapshot::Hours;

/// What asks for a least size.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Floor<'a> {
    /// An event.
    Event(&'a EventFloor),
    /// Hours of the service's own, with the least size in them.
    Hours(&'a Hours, Units),
}

impl Floor<'_> {
    fn units(self) -> Units {
        match self {
            Floor::Event(event) => event.floor,
            Floor::Hours(_, units) => units,
        }
    }

    fn until(self) -> Timestamp {
        match self {
            Floor::Event(event) => event.until,
            Floor::Hours(hours, _) => hours.until,
        }
    }

    fn hold(self) -> Hold {
        match self {
            Floor::Event(event) => Hold::EventFloor {
                name: event.name.clone(),
                floor: event.floor,
                until: event.until,
            },
            Floor::Hours(Hours { at, until, .. }, floor) => {
                Hold::HoursFloor { at: at.clone(), floor, until: *until }
            }
        }
    }

    fn decides(self) -> DecidedBy {
        match self {
            Floor::Event(EventFloor { name, until, .. }) => {
                DecidedBy::Event { name: name.clone(), until: *until }
            }
            Floor::Hours(Hours { at, until, .. }, _) => {
                DecidedBy::Hours { at: at.clone(), until: *until }
            }
        }
    }
}

/// Where floors come from.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub events: &'a [EventFloor],
    /// Of the service's own.
    pub hours: &'a [Hours],
}

/// The events and hours whose floors ask for more than demand does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lift<'a> {
    now: Option<Floor<'a>>,
    /// Begins before units taken away now could be back.
    soon: Option<Floor<'a>>,
    /// What was wanted without them.
    below: Units,
}

impl Lift<'_> {
    /// The reason why `kept` units stay, where it is a floor in force.
    pub fn holds(&self, kept: Units) -> Option<Hold> {
        self.now.filter(|floor| floor.units() == kept).map(Floor::hold)
    }

    /// The same where it is one that begins soon.
    pub fn holds_for_soon(&self, kept: Units) -> Option<Hold> {
        self.soon.filter(|floor| floor.units() == kept).map(Floor::hold)
    }

    /// What was wanted without the floor in force, where that was less than `to`.
    pub fn below(&self, to: Units) -> Option<Units> {
        self.now.map(|_| self.below).filter(|below| *below < to)
    }
}

/// The highest floor under way `ahead` from now; of equal ones the one that ends last.
fn highest<'a>(
    sources: Sources<'a>,
    name: &ServiceName,
    at: Timestamp,
    ahead: Seconds,
) -> Option<Floor<'a>> {
    let is_on = |from, until| at + ahead >= from && at < until;
    let events = sources.events.iter().filter(|event| {
        let ours = event.services.is_empty() || event.services.contains(name);
        ours && is_on(event.from, event.until)
    });
    let hours = sources.hours.iter().filter(|hours| is_on(hours.from, hours.until));
    let hours = hours.filter_map(|hours| Some(Floor::Hours(hours, hours.min?)));
    events.map(Floor::Event).chain(hours).max_by_key(|floor| (floor.units(), floor.until()))
}

/// Raises `wish` to the floors in force, where it wants less.
pub(crate) fn lift<'a>(
    wish: &mut Wish,
    sources: Sources<'a>,
    name: &ServiceName,
    at: Timestamp,
) -> Lift<'a> {
    let window = wish.sizing.window;
    let below = wish.grow_to;
    // What is ordered now is in service a lead window later: then they have begun.
    let now = highest(sources, name, at, window.lead()).filter(|floor| floor.units() > below);
    if let Some(floor) = now {
        wish.grow_to = floor.units();
        wish.provisional_calls_for_less = false;
        wish.sizing.wanted = floor.units();
        wish.sizing.decided_by = floor.decides();
    }
    let kept = wish.shrink_to.max(wish.grow_to);
    let ahead = window.hold_ahead();
    let soon = highest(sources, name, at, ahead).filter(|floor| floor.units() > kept);
    wish.shrink_to = soon.map_or(kept, Floor::units);
    if now.is_some() || soon.is_some() {
        wish.hold_keeps = (wish.shrink_to > wish.grow_to).then_some((wish.shrink_to, window.hold));
    }
    Lift { now, soon, below }
}
