//! Who brought a stopped machine back, and what becomes of one that the cloud brought back or that
//! does not stay up.

use fleet::alert::Severity;
use fleet::comeback::Started;
use fleet::resource::{Facts, Power, ResourceKind, Subject};
use fleet::{Fault, FaultKind, Seconds, Timestamp};

use super::answers::pause;
use super::decide::{Look, is_up};
use super::evidence::{Evidence, Use, Verdict};
use super::memory::{COMES_BACK, Care, Mark, Stopped};
use super::snapshot::Seen;

/// A start this long before the cloud's own is expected may be the cloud's.
const EXPECTED_WITHIN: Seconds = Seconds::hours(1);
/// How long the cloud's own start is left alone: it does its upkeep then, and the newest samples that
/// a stop is checked against are those of three hours.
const SETTLES: Seconds = Seconds::hours(4);
/// Hours that a start itself may show as use.
const HOURS_OF_A_START: u32 = 2;

/// Who started a machine that neap had stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Starter {
    /// Somebody, who wants it.
    Somebody,
    /// The cloud, which lets nothing be down for longer.
    Cloud,
    /// Nothing tells.
    Unknown,
}

/// The cloud's events first, then when it said that it would; without either nobody can tell.
fn starter(facts: &Facts, stopped: &Stopped, now: Timestamp) -> Starter {
    let told = facts.comeback.started.known().copied().flatten();
    match (told.filter(|told| told.at() >= stopped.at), stopped.kept.restarts_at) {
        (Some(Started::ByCloud { .. }), _) => Starter::Cloud,
        (Some(Started::ByOrder { .. }), _) => Starter::Somebody,
        (None, Some(at)) if now + EXPECTED_WITHIN >= at => Starter::Cloud,
        (None, Some(_)) => Starter::Somebody,
        (None, None) => Starter::Unknown,
    }
}

fn facts(seen: &Seen) -> Option<&Facts> {
    match &seen.resource.subject {
        Subject::Machine(facts) => Some(facts),
        Subject::Part(_) => None,
    }
}

impl Care {
    /// Since when it has been up by the cloud's own doing, still under the mark and the agreement by
    /// which it was stopped before.
    pub(super) fn rests_again(&self) -> Option<Timestamp> {
        self.mark.as_ref().and_then(|mark| mark.restarted_at)
    }
}

/// Whether what speaks against a stop is the rest itself, of which there are no samples, or the start
/// after it.
pub(super) fn is_of_the_rest(evidence: &Evidence, since: Timestamp) -> bool {
    match &evidence.verdict {
        Verdict::AlwaysIdle | Verdict::NotEnoughData(_) => true,
        Verdict::InUse { by: Use::Above { at, hours, .. } } => {
            let around = (since - Seconds::hours(1))..(since + Seconds::hours(1));
            *hours <= HOURS_OF_A_START && around.contains(at)
        }
        Verdict::InUse { .. } | Verdict::IdleByTheClock(_) => false,
    }
}

impl Look<'_> {
    /// Remembers until when a stopped machine may be down.
    pub(super) fn remember_rest(&mut self, seen: &Seen) {
        let at = facts(seen).and_then(|facts| facts.comeback.starts_itself_at);
        let now_down = matches!(seen.resource.power, Power::Stopped { .. });
        if self.revision < COMES_BACK || !now_down {
            return;
        }
        if let (Some(at), Some(stopped)) = (at, &mut self.care(&seen.resource.id).stopped) {
            stopped.kept.restarts_at = Some(at);
        }
    }

    /// Somebody else than neap has started it: a person, or the cloud that had to.
    pub(super) fn started_by_others(
        &mut self,
        seen: &Seen,
        before: Option<Power>,
        until: Timestamp,
    ) {
        let (id, now) = (&seen.resource.id, self.now);
        let database = self.revision >= COMES_BACK && id.kind == ResourceKind::Database;
        let stopped = self.care(id).stopped.clone().filter(|_| database);
        let who = stopped.zip(facts(seen)).map(|(stopped, facts)| starter(facts, &stopped, now));
        match who {
            None | Some(Starter::Somebody) => self.started_by_hand(seen, until),
            Some(Starter::Cloud) => self.started_by_cloud(seen),
            // Its events may tell once it is up.
            Some(Starter::Unknown) if seen.resource.power == Power::Starting => {
                self.care(id).power = before;
            }
            Some(Starter::Unknown) => self.started_unseen(seen),
        }
    }

    /// It is stopped again under the same agreement: the mark and what was agreed to are as before.
    fn started_by_cloud(&mut self, seen: &Seen) {
        let (id, now) = (&seen.resource.id, self.now);
        let care = self.care(id);
        let Some(stopped) = care.stopped.take() else { return };
        let again = |mark| Mark { tagged: false, restarted_at: Some(now), ..mark };
        care.mark = stopped.kept.mark.map(again);
        care.asked = stopped.kept.asked;
        let given = care.approvals().find_map(|approval| approval.given.clone());
        let mut lines = vec![format!("neap had stopped it at {}", stopped.at)];
        lines.extend(given.map(|(by, at)| {
            format!("it is stopped again while it is idle, as {by} agreed to at {at}")
        }));
        let title = format!(
            "{} ({id}) was started by the cloud, which lets it be down for no longer",
            seen.resource.name
        );
        let about = format!("{}/started-by-cloud", stopped.rule);
        self.alert(Severity::Info, &about, Some(seen), title, lines);
    }

    /// Nobody can tell whether a person wants it: that is not held against the rule, and a person is
    /// asked before it is stopped again.
    fn started_unseen(&mut self, seen: &Seen) {
        let id = &seen.resource.id;
        self.drop_mark(id);
        let care = self.care(id);
        care.asked = None;
        let Some(stopped) = care.stopped.take() else { return };
        let title = format!(
            "{} ({id}) runs again, and the cloud does not tell who started it",
            seen.resource.name
        );
        let about = format!("{}/started-by-unknown", stopped.rule);
        let lines = vec!["it is not stopped again without another agreement".to_owned()];
        self.alert(Severity::Info, &about, Some(seen), title, lines);
    }

    /// How long what the cloud started is left alone yet.
    pub(super) fn settles(&mut self, seen: &Seen) -> Seconds {
        let (id, now) = (&seen.resource.id, self.now);
        let since = self.care(id).rests_again();
        Seconds(since.map_or(0, |since| SETTLES.0.saturating_sub(now.since(since).0)))
    }

    /// A start that the cloud took and that did not last: people are told at once, in its words.
    pub(super) fn fell_back(&mut self, seen: &Seen, newly: bool) {
        let now = self.now;
        let resource = &seen.resource;
        let words = facts(seen).and_then(|facts| facts.comeback.fell.clone());
        let Some(words) = words.filter(|_| self.revision >= COMES_BACK) else { return };
        if is_up(&resource.power) {
            return;
        }
        let care = self.care(&resource.id);
        let (Some(starting), None) = (&mut care.starting, &care.open) else { return };
        let fault = Fault {
            kind: FaultKind::Refused,
            operation: "Start".to_owned(),
            detail: words.clone(),
            request_id: None,
        };
        let told = starting.fault.as_ref() == Some(&fault);
        if starting.tries == 0 || told && !newly {
            return;
        }
        starting.next = now + pause(starting.tries);
        starting.fault = Some(fault);
        if told {
            return;
        }
        starting.escalated = true;
        let since = starting.since;
        let title =
            format!("{} ({}) was started and went down again: {words}", resource.name, resource.id);
        let lines = vec![
            format!("wanted since {since}"),
            "neap goes on trying; look at the keys of its disks and at its image".to_owned(),
        ];
        self.alert(Severity::Critical, "fell-back", Some(seen), title, lines);
    }
}
