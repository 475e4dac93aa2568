//! When a machine is to be up, as the planner reads it: plain spans of UTC.

use fleet::{OrTold, RuleName, Timestamp};
use serde::{Deserialize, Serialize};

use super::reasons::ScheduleFault;
use super::rule::ScheduleKind;

/// A span of time, its end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends.
    pub until: Timestamp,
}

impl Span {
    /// Whether a moment lies in it.
    pub fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// A machine's schedule around now.
///
/// ```
/// use fleet::{RuleName, Timestamp};
/// use planner::idle::rule::ScheduleKind;
/// use planner::idle::schedule::{ScheduleView, Span, Switch};
///
/// let span = |from, until| Span { from: Timestamp(from), until: Timestamp(until) };
/// let view = ScheduleView {
///     rule: RuleName("office".to_owned()),
///     up: vec![span(25_200, 68_400)],
///     covers: span(0, 86_400),
///     zone: "UTC".to_owned(),
///     kind: ScheduleKind::StopOnly,
///     order: 0,
///     fault: None,
///     opted_out: false,
/// };
/// assert_eq!(view.is_up(Timestamp(25_200)), Some(true));
/// // The end is not included, and what is not covered is not guessed at.
/// assert_eq!(view.is_up(Timestamp(68_400)), Some(false));
/// assert_eq!(view.is_up(Timestamp(86_400)), None);
/// assert_eq!(view.next(Timestamp(0)), Some(Switch { at: Timestamp(25_200), up: true }));
/// // What only stops starts nothing, whatever its schedule's kind allows.
/// assert!(!view.may_start(ScheduleKind::Both) && view.may_stop(ScheduleKind::Both));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleView {
    /// The schedule that it is under.
    pub rule: RuleName,
    /// Spans during which it is to be up, rising and apart, from a week before now to a week
    /// after. Within what it covers, the time between them is time to be down.
    pub up: Vec<Span>,
    /// What `up` covers.
    pub covers: Span,
    /// The zone that it was written in, for people.
    pub zone: String,
    /// Which way its own text acts; the schedule's kind narrows it further.
    pub kind: ScheduleKind,
    /// Its place in the order of starts; stops go the other way.
    pub order: i32,
    /// Why its tags could not be understood: then nothing is done.
    pub fault: Option<OrTold<ScheduleFault>>,
    /// It has said that it wants to be left out.
    pub opted_out: bool,
}

/// A moment at which a schedule changes its mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    pub at: Timestamp,
    /// Whether it is up from then on.
    pub up: bool,
}

impl ScheduleView {
    /// Whether it may be started under a schedule of this kind.
    pub fn may_start(&self, rule: ScheduleKind) -> bool {
        ![self.kind, rule].contains(&ScheduleKind::StopOnly)
    }

    /// Whether it may be stopped under a schedule of this kind.
    pub fn may_stop(&self, rule: ScheduleKind) -> bool {
        ![self.kind, rule].contains(&ScheduleKind::StartOnly)
    }

    /// Whether it is to be up at a moment; `None` outside of what is covered.
    pub fn is_up(&self, at: Timestamp) -> Option<bool> {
        self.covers.contains(at).then(|| self.up.iter().any(|span| span.contains(at)))
    }

    /// The switches after `at`, in order.
    pub fn switches_after(&self, at: Timestamp) -> impl Iterator<Item = Switch> + '_ {
        self.switches().filter(move |switch| switch.at > at)
    }

    /// The next switch after `at`, as far as is covered.
    pub fn next(&self, at: Timestamp) -> Option<Switch> {
        self.switches_after(at).next()
    }

    /// The last switch at or before `at`.
    pub fn last_switch(&self, at: Timestamp) -> Option<Switch> {
        self.switches().take_while(|switch| switch.at <= at).last()
    }

    fn switches(&self) -> impl Iterator<Item = Switch> + '_ {
        let ends = |span: &Span| {
            [Switch { at: span.from, up: true }, Switch { at: span.until, up: false }]
        };
        let inside = self.covers;
        self.up
            .iter()
            .flat_map(ends)
            .filter(move |switch| inside.from < switch.at && switch.at < inside.until)
    }
}
