//! Cloud Custodian's off-hours: tags such as `off=(M-F,19);on=(M-F,7);tz=pt`, understood as it does.
//!
//! Cloud Custodian acts at hours: in the hour of an edge it stops or starts, and a run that is
//! missed is an action that is missed. Here the edges make a level: up from an hour to start until
//! the next hour to stop. An hour that clocks pass over, which Cloud Custodian never sees, is the
//! moment they do; of a repeated hour the start takes the first and the stop the last.
//!
//! A side that a tag does not name has the policy's own hour, as in Cloud Custodian, where one
//! policy stops and another starts. What it reads in part only, or by accident, is a fault here.

mod read;
mod zones;

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan;
use jiff::civil::{Date, Time, Weekday};
use planner::idle::reasons::TagFault;
use planner::idle::rule::ScheduleKind;
use planner::idle::schedule::{Span, Switch};
use serde::Serialize;

use super::spans::laid_together;
use crate::Zone;
use read::{Side, Value};

pub use zones::{NamedZone, zone_of};

/// How far back edges are looked for: what was the last before a view began. Longer than a week,
/// since days may be skipped.
const DAYS_BEFORE: i32 = 40;

/// What a policy of Cloud Custodian's says for resources whose tag does not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OffHours {
    /// The tag that holds the hours to stop; keys are compared in lower case.
    pub stop_tag: String,
    /// The tag that holds the hours to start, most often the same.
    pub start_tag: String,
    /// The zone of tags that name none, as the policy spells it.
    pub default_tz: String,
    /// The hour to start.
    pub onhour: i8,
    /// The hour to stop.
    pub offhour: i8,
    /// Whether machines stay down for the weekend.
    pub weekends: bool,
    /// Whether they are down for the weekend alone.
    pub weekends_only: bool,
    /// Whether resources without the tag have the policy's hours.
    pub opt_out: bool,
    /// What a resource without the tag is taken to say.
    pub fallback_schedule: Option<String>,
    /// Local dates on which nothing is switched.
    pub skip_days: BTreeSet<Date>,
}

/// What a resource's tags come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// It has no tag, and the policy has hours only for those that do.
    Untagged,
    /// It wants to be left out.
    OptedOut,
    /// Its tag is not understood, and why.
    Fault(TagFault),
    /// Its hours.
    Hours(Edges),
}

/// The hours at which a resource is to be stopped and started.
#[derive(Clone, Debug, PartialEq)]
pub struct Edges {
    off: Side,
    on: Side,
    skip_days: BTreeSet<Date>,
    kind: ScheduleKind,
}

impl OffHours {
    /// Cloud Custodian's own name of the tag.
    pub const TAG: &str = "maid_offhours";
    /// Its hour to start.
    pub const ONHOUR: i8 = 7;
    /// Its hour to stop.
    pub const OFFHOUR: i8 = 19;

    /// Whether a resource has hours by its tag alone.
    pub fn is_by_tag(&self) -> bool {
        !self.opt_out && self.fallback_schedule.is_none()
    }

    /// What a resource's tags come to.
    pub fn read(&self, tags: &BTreeMap<String, String>) -> Reading {
        let value = |key: &str| match tag(tags, key) {
            Ok(found) => Ok(found.or(self.fallback_schedule.as_deref())),
            Err(fault) => Err(fault),
        };
        let (off, on) = match (value(&self.stop_tag), value(&self.start_tag)) {
            (Ok(off), Ok(on)) => (self.value(off), self.value(on)),
            (Err(fault), _) | (_, Err(fault)) => return Reading::Fault(fault),
        };
        let kind = match (acts(&off), acts(&on)) {
            (true, true) => ScheduleKind::Both,
            (true, false) => ScheduleKind::StopOnly,
            (false, true) => ScheduleKind::StartOnly,
            (false, false) if matches!((&off, &on), (None, None)) => return Reading::Untagged,
            (false, false) => return Reading::OptedOut,
        };
        let hours = |value: Option<Value>| match value {
            Some(Value::Hours(text)) => text,
            // A side that does not act has the policy's hour, so that the other has an end.
            Some(Value::OptedOut) | None => String::new(),
        };
        match (self.side(&hours(off), "off"), self.side(&hours(on), "on")) {
            (Ok(off), Ok(on)) => {
                Reading::Hours(Edges { off, on, skip_days: self.skip_days.clone(), kind })
            }
            (Err(fault), _) | (_, Err(fault)) => Reading::Fault(fault),
        }
    }

    /// The hours of a resource whose tag is empty.
    ///
    /// # Errors
    /// Where the policy's own zone is not known.
    pub fn by_default(&self) -> Result<Edges, TagFault> {
        let (off, on) = (self.side("", "off")?, self.side("", "on")?);
        Ok(Edges { off, on, skip_days: self.skip_days.clone(), kind: ScheduleKind::Both })
    }

    /// The hours that most resources have: those without the tag where they have any, and else those
    /// whose tag is empty. `None` where they are left out, or the policy's own zone is not known.
    pub fn for_most(&self) -> Option<Edges> {
        match self.read(&BTreeMap::new()) {
            Reading::Hours(edges) => Some(edges),
            Reading::Untagged => self.by_default().ok(),
            Reading::OptedOut | Reading::Fault(_) => None,
        }
    }

    fn value(&self, found: Option<&str>) -> Option<Value> {
        match found {
            Some(text) => Some(read::value(text)),
            None => self.opt_out.then(|| Value::Hours(String::new())),
        }
    }

    fn side(&self, text: &str, side: &str) -> Result<Side, TagFault> {
        let is_off = side == "off";
        let (hour, alone) = match is_off {
            true => (self.offhour, Weekday::Friday),
            false => (self.onhour, Weekday::Monday),
        };
        let week = Weekday::Monday.cycle_forward();
        let days = match (self.weekends_only, self.weekends) {
            (true, _) => vec![alone],
            (false, true) => week.take(5).collect(),
            (false, false) => week.take(7).collect(),
        };
        read::side(text, side, &[(days, hour)], &self.default_tz)
    }
}

fn acts(value: &Option<Value>) -> bool {
    matches!(value, Some(Value::Hours(_)))
}

/// The value of the tag of this key in whatever case, where it means one thing.
fn tag<'t>(tags: &'t BTreeMap<String, String>, key: &str) -> Result<Option<&'t str>, TagFault> {
    let key = key.to_lowercase();
    let mut found = tags.iter().filter(|(other, _)| other.to_lowercase() == key);
    let Some((first, value)) = found.next() else { return Ok(None) };
    match found.find(|(_, other)| *other != value) {
        None => Ok(Some(value)),
        Some((second, _)) => Err(TagFault::Differ { first: first.clone(), second: second.clone() }),
    }
}

impl Edges {
    /// Which way the resource's tags let it be switched.
    pub fn kind(&self) -> ScheduleKind {
        self.kind
    }

    /// The zone of the hours to start.
    pub fn zone(&self) -> &Zone {
        &self.on.zone.zone
    }

    /// The zones, for people, with what their abbreviations mean.
    pub fn zones(&self) -> String {
        let (off, on) = (self.off.zone.to_string(), self.on.zone.to_string());
        if off == on { on } else { format!("{on} to start, {off} to stop") }
    }

    /// Every hour to switch within `covers`, in order: those that change nothing, too. Where both
    /// fall on one moment the start is the last word.
    pub fn edges(&self, covers: Span) -> Vec<Switch> {
        let off = self.of(&self.off, false, covers);
        let mut edges: Vec<Switch> = off.chain(self.of(&self.on, true, covers)).collect();
        edges.retain(|edge| covers.contains(edge.at));
        edges.sort_by_key(|edge| (edge.at, edge.up));
        edges
    }

    /// When it is up within `covers`, and what of `covers` is known: nothing is before the first
    /// edge of weeks that are skipped.
    pub fn spans(&self, covers: Span) -> (Vec<Span>, Span) {
        let before = fleet::Seconds::days(u64::from(DAYS_BEFORE.unsigned_abs()));
        let edges = self.edges(Span { from: covers.from - before, until: covers.until });
        let Some(first) = edges.first() else {
            return (Vec::new(), Span { from: covers.until, until: covers.until });
        };
        let known = Span { from: covers.from.max(first.at), until: covers.until };
        let ends = edges.iter().skip(1).map(|edge| edge.at).chain([covers.until]);
        let spans = edges.iter().zip(ends).filter(|(edge, _)| edge.up);
        let spans = spans.map(|(edge, until)| Span { from: edge.at, until }).collect();
        (laid_together(spans, known), known)
    }

    fn of<'s>(
        &'s self,
        side: &'s Side,
        up: bool,
        covers: Span,
    ) -> impl Iterator<Item = Switch> + use<'s> {
        let zone = &side.zone.zone;
        let days = zone.date(covers.from).zip(zone.date(covers.until)).map(|(first, last)| {
            let first = first.checked_sub(1.day()).unwrap_or(first);
            first.series(1.day()).take_while(move |date| *date <= last)
        });
        let days = days.into_iter().flatten();
        let days = days.filter(|date| zone.has(*date) && !self.skip_days.contains(date));
        days.flat_map(move |date| {
            let hours = side.hours.iter().filter(move |(days, _)| days.contains(&date.weekday()));
            hours.filter_map(move |(_, hour)| {
                let local = date.to_datetime(Time::new(*hour, 0, 0, 0).ok()?);
                let at = if up { zone.starts(local) } else { zone.closes(local) };
                Some(Switch { at: at?, up })
            })
        })
    }
}
