//! When machines are to be up: an operator's hours or a resource's tag in, spans of UTC out.
//!
//! Zones, holidays and tags end here: the planner sees spans alone. There is no clock; every
//! function is told what time it is.

pub mod custodian;
mod hours;
mod spans;
mod switches;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use fleet::{RuleName, Seconds, Timestamp};
use planner::idle::reasons::ScheduleFault;
use planner::idle::rule::ScheduleKind;
use planner::idle::schedule::{ScheduleView, Span};
use serde::Serialize;

use crate::CalendarRule;

pub use custodian::{Edges, OffHours, Reading};
pub use hours::{Days, NamedCalendar, UpHours, UpWindow};
pub use switches::LocalSwitch;

/// How far ahead the next switches are looked for: beyond the longest holidays.
const SWITCHES_AHEAD: Seconds = Seconds::days(60);

/// Where the hours of a schedule are written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hours {
    /// In the configuration.
    Own(UpHours),
    /// In each resource's tags, as Cloud Custodian reads them.
    CloudCustodian(OffHours),
}

impl Hours {
    /// The calendar that they follow.
    pub fn calendar(&self) -> Option<&CalendarRule> {
        match self {
            Hours::Own(hours) => hours.calendar.as_ref().map(|calendar| &calendar.rule),
            Hours::CloudCustodian(_) => None,
        }
    }

    /// The hours of one resource around `now`; `None` where it has no tag that would give it any.
    pub fn view(
        &self,
        rule: &RuleName,
        tags: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Option<ScheduleView> {
        let covers = spans::around(now);
        let mut view = ScheduleView {
            rule: rule.clone(),
            up: Vec::new(),
            covers,
            zone: String::new(),
            kind: self.kind(tags),
            order: 0,
            fault: None,
            opted_out: false,
        };
        match self {
            Hours::Own(hours) => {
                view.zone = hours.timezone.to_string();
                view.up = hours.spans(covers);
            }
            Hours::CloudCustodian(policy) => match policy.read(tags) {
                Reading::Untagged => return None,
                Reading::OptedOut => view.opted_out = true,
                Reading::Fault(fault) => view.fault = Some(ScheduleFault::Hours(fault).into()),
                Reading::Hours(edges) => {
                    view.zone = edges.zones();
                    (view.up, view.covers) = edges.spans(covers);
                }
            },
        }
        Some(view)
    }

    /// Which way a resource's tags let it be switched; a schedule's own kind narrows it further.
    pub fn kind(&self, tags: &BTreeMap<String, String>) -> ScheduleKind {
        match self {
            Hours::Own(_) => ScheduleKind::Both,
            Hours::CloudCustodian(policy) => match policy.read(tags) {
                Reading::Hours(edges) => edges.kind(),
                Reading::Untagged | Reading::OptedOut | Reading::Fault(_) => ScheduleKind::Both,
            },
        }
    }

    /// The next switches after `now`, at most `count`, in UTC and local time: for hours in tags,
    /// those of a resource that has none where such have any, and else of one whose tag is empty.
    pub fn next_switches(&self, now: Timestamp, count: usize) -> Vec<LocalSwitch> {
        let covers = Span { from: spans::around(now).from, until: now + SWITCHES_AHEAD };
        let (up, known, zone) = match self {
            Hours::Own(hours) => (hours.spans(covers), covers, hours.timezone.clone()),
            Hours::CloudCustodian(policy) => {
                let Some(edges) = policy.for_most() else { return Vec::new() };
                let (up, known) = edges.spans(covers);
                (up, known, edges.zone().clone())
            }
        };
        let switches = switches::after(&up, known, now).into_iter().take(count);
        switches.map(|switch| LocalSwitch::of(switch, &zone)).collect()
    }
}
