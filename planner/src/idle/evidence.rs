//! What the hours of a look-back say: a verdict with the numbers that a person can check it by.

use std::collections::BTreeMap;

use fleet::resource::{Part, Resource, Subject};
use fleet::signs::{Clue, Holder};
use fleet::usage::{Code, HOUR, Hours, Signal};
use fleet::{OrTold, Seconds, Step, Timestamp};
use serde::{Deserialize, Serialize};

use super::pattern::{Offsets, Pattern, pattern};
use super::rule::IdleRule;

/// What a resource did over a rule's look-back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The first hour looked at.
    pub from: Timestamp,
    /// The end of the last hour that is over and told.
    pub until: Timestamp,
    /// A row a signal that counts or was measured.
    pub rows: Vec<Row>,
    /// For parts: what was looked at.
    pub looked_at: Option<OrTold<Clue>>,
    /// What it comes to.
    pub verdict: Verdict,
}

/// A signal's hours in five numbers, in thousandths of its unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub signal: Signal,
    /// Up to where idle goes; `None` where the rule sets no limit.
    pub limit_milli: Option<u64>,
    /// The 0.99 quantile of the hours' greatest values; of credits, the 0.01 quantile.
    pub high_milli: u64,
    /// The greatest value of all; of credits, the least.
    pub most_milli: u64,
    pub most_at: Timestamp,
    /// Hours with a sample.
    pub hours: u32,
    /// Hours looked at.
    pub of: u32,
    /// Hours above the limit.
    pub above: u32,
}

/// What a resource is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Below every limit in every hour; for parts: used by nothing for as long as the rule asks.
    AlwaysIdle,
    /// Idle at the same hours of every week, and in use at others.
    IdleByTheClock(Pattern),
    /// In use.
    InUse {
        /// What shows it.
        by: Use,
    },
    /// Too little is known.
    NotEnoughData(Lack),
}

/// What a resource is, without the numbers that say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictKind {
    /// [`Verdict::AlwaysIdle`].
    AlwaysIdle,
    /// [`Verdict::IdleByTheClock`].
    IdleByTheClock,
    /// [`Verdict::InUse`].
    InUse,
    /// [`Verdict::NotEnoughData`].
    NotEnoughData,
}

/// What shows that a resource is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Use {
    /// A signal above its limit.
    Above {
        signal: Signal,
        /// The greatest value, in thousandths.
        value_milli: u64,
        limit_milli: u64,
        at: Timestamp,
        hours: u32,
    },
    /// CPU credits ran out: it would do more if it could.
    Starved {
        /// The least it had, in thousandths of a credit.
        credits_milli: u64,
        at: Timestamp,
    },
    /// Something uses it.
    Holder(OrTold<Holder>),
}

/// What is missing for a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lack {
    /// It was made, or first seen unused, too short a time ago.
    TooYoung {
        /// Since when there could be samples; `None` where the cloud does not tell.
        since: Option<Timestamp>,
        /// How far back the rule looks.
        look_back: Seconds,
    },
    /// A signal that must be measured never was.
    Unmeasured { signal: Signal },
    /// Hours are missing.
    Gaps {
        signal: Signal,
        /// Hours with a sample.
        hours: u32,
        /// Hours looked at.
        of: u32,
    },
    /// The newest hours are missing.
    Stale {
        signal: Signal,
        /// The newest hour with a sample.
        newest: Option<Timestamp>,
    },
    /// What uses it could not be read.
    Unread(OrTold<Clue>),
}

/// Signals that must be measured of every machine.
const ALWAYS_MEASURED: [Signal; 4] =
    [Signal::Cpu, Signal::NetworkIn, Signal::NetworkOut, Signal::DiskOps];
/// How long after its end an hour may still be told.
const SETTLING: Seconds = Seconds(1800);
/// Hours in a row that may be missing at most: a longer gap can hide a job, whatever the share of
/// hours that are there.
const GAP_HOURS: u32 = 2;
/// Whole hours at the end that may be missing at most.
const STALE_HOURS: u32 = 3;
/// A burstable machine with less is starved, in thousandths of a credit.
const STARVED_MILLI: u64 = 1000;
/// A machine earns credits for so long after its start before their lack says something.
const CREDITS_EARNED: Seconds = Seconds::days(1);
/// With less than this a short history is no history.
const SHORTEST_HISTORY: Seconds = Seconds::days(1);

/// What is looked at for a verdict.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    pub rule: &'a IdleRule,
    pub resource: &'a Resource,
    pub hours: &'a BTreeMap<Signal, Hours>,
    /// Local time, for the pattern.
    pub offsets: &'a Offsets,
    /// For parts: since when neap has seen it unused.
    pub seen_unused_since: Option<Timestamp>,
    pub now: Timestamp,
}

/// Says what a resource is by a rule.
pub fn judge(look: &Look<'_>) -> Evidence {
    match &look.resource.subject {
        Subject::Machine(_) => machine(look),
        Subject::Part(part) => self::part(look, part),
    }
}

fn part(look: &Look<'_>, part: &Part) -> Evidence {
    let look_back = look.rule.look_back;
    let since = part.unused_since.or(look.seen_unused_since);
    let verdict = match part.used_by.known() {
        None => Verdict::NotEnoughData(Lack::Unread(part.looked_at.clone())),
        Some(Some(holder)) => Verdict::InUse { by: Use::Holder(holder.clone()) },
        Some(None) => match since {
            Some(since) if look.now.since(since) >= look_back => Verdict::AlwaysIdle,
            since => Verdict::NotEnoughData(Lack::TooYoung { since, look_back }),
        },
    };
    Evidence {
        from: look.now - look_back,
        until: look.now,
        rows: Vec::new(),
        looked_at: Some(part.looked_at.clone()),
        verdict,
    }
}

fn machine(look: &Look<'_>) -> Evidence {
    let hour = Step::new(HOUR as u32).unwrap_or(Step::MINUTE);
    let until = (look.now - SETTLING).floor_to(hour);
    let wanted = (look.now - look.rule.look_back).floor_to(hour);
    let born = look.resource.created_at;
    let short = look.rule.accept_short_history;
    let from = match born {
        Some(born) if short && born > wanted => (born + Seconds(HOUR as u64 - 1)).floor_to(hour),
        _ => wanted,
    };
    let scans: Vec<Scan> =
        Signal::ALL.into_iter().filter_map(|signal| Scan::of(look, signal, from, until)).collect();
    let verdict = match lack(look, &scans, from, until) {
        // Use is use, however little else is known.
        _ if busy(&scans).is_some_and(|above| above > look.rule.forgiven_hours) => {
            in_use_or_clock(look, &scans, from, until)
        }
        _ if starved(&scans).is_some() => in_use(&scans),
        Some(lack) => Verdict::NotEnoughData(lack),
        None => Verdict::AlwaysIdle,
    };
    Evidence {
        from,
        until,
        rows: scans.into_iter().filter_map(|scan| scan.row).collect(),
        looked_at: None,
        verdict,
    }
}

/// A signal's hours, looked at once.
struct Scan {
    signal: Signal,
    row: Option<Row>,
    newest: Option<Timestamp>,
    /// The most hours in a row without a sample, those before the newest one.
    longest_gap: u32,
    /// Hours above the limit, the running one included.
    above: Vec<Timestamp>,
    required: bool,
}

impl Scan {
    /// `None` for a signal that neither counts nor was measured.
    fn of(look: &Look<'_>, signal: Signal, from: Timestamp, until: Timestamp) -> Option<Scan> {
        let limit_milli = look.rule.limits.0.get(&signal).copied();
        let required = ALWAYS_MEASURED.contains(&signal)
            || look.rule.require.contains(&signal)
            || signal == Signal::CreditsLeft && look.resource.signals.contains(&signal);
        let Some(hours) = look.hours.get(&signal) else {
            let nothing = Scan {
                signal,
                row: None,
                newest: None,
                longest_gap: 0,
                above: Vec::new(),
                required,
            };
            return required.then_some(nothing);
        };
        let limit = limit_milli.map(|milli| highest_code_up_to(signal, milli));
        let from = match (signal, look.resource.started_at) {
            (Signal::CreditsLeft, Some(started)) => from.max(started + CREDITS_EARNED),
            _ => from,
        };
        let mut codes: Vec<Code> = Vec::with_capacity(900);
        let mut most: Option<(Code, Timestamp)> = None;
        let (mut newest, mut above, mut counted) = (None, Vec::new(), 0u32);
        let (mut gap, mut longest_gap) = (0u32, 0u32);
        let each_hour = (from.0..=look.now.0).step_by(HOUR as usize).map(Timestamp);
        // The running hour counts as use, and not as history.
        for (at, code) in each_hour.zip(hours.from(from)) {
            if !code.is_missing() {
                let worse = |a: Code, b: Code| if signal.is_least() { a < b } else { a > b };
                if most.is_none_or(|(most, _)| worse(code, most)) {
                    most = Some((code, at));
                }
                if limit.is_some_and(|limit| code > limit) {
                    above.push(at);
                }
                if at < until {
                    counted += 1;
                    newest = Some(at);
                    longest_gap = longest_gap.max(std::mem::take(&mut gap));
                }
                codes.push(code);
            } else {
                gap += 1;
            }
        }
        let of = u32::try_from(until.since(from).0 / HOUR as u64).unwrap_or(u32::MAX);
        let row = most.map(|(code, most_at)| Row {
            signal,
            limit_milli,
            high_milli: quantile_milli(signal, &mut codes),
            most_milli: milli(code),
            most_at,
            hours: counted,
            of,
            above: u32::try_from(above.len()).unwrap_or(u32::MAX),
        });
        let scan = Scan { signal, row, newest, longest_gap, above, required };
        (scan.row.is_some() || required).then_some(scan)
    }

    /// Whether it has a say in the verdict.
    fn counts(&self) -> bool {
        self.row.as_ref().is_some_and(|row| row.limit_milli.is_some())
    }
}

/// Codes up to this one are at or below a limit.
fn highest_code_up_to(signal: Signal, limit_milli: u64) -> Code {
    let limit = limit_milli as f64 / 1000.0;
    let code = Code::of(signal, limit);
    let fits = |code: Code| code.value().is_some_and(|value| value <= limit * (1.0 + 1e-9));
    if fits(code) { code } else { Code::from_raw(code.raw().saturating_sub(1)) }
}

fn milli(code: Code) -> u64 {
    (code.value().unwrap_or(0.0) * 1000.0).round() as u64
}

fn quantile_milli(signal: Signal, codes: &mut [Code]) -> u64 {
    let rank = match signal.is_least() {
        true => codes.len() / 100,
        false => (codes.len() * 99).div_ceil(100).saturating_sub(1),
    };
    if codes.is_empty() {
        return 0;
    }
    milli(*codes.select_nth_unstable(rank).1)
}

/// Hours above any limit.
fn busy(scans: &[Scan]) -> Option<u32> {
    let mut hours: Vec<Timestamp> = scans.iter().flat_map(|scan| &scan.above).copied().collect();
    hours.sort_unstable();
    hours.dedup();
    (!hours.is_empty()).then(|| u32::try_from(hours.len()).unwrap_or(u32::MAX))
}

fn starved(scans: &[Scan]) -> Option<&Row> {
    let credits = scans.iter().find(|scan| scan.signal == Signal::CreditsLeft)?;
    credits.row.as_ref().filter(|row| row.most_milli < STARVED_MILLI)
}

fn in_use(scans: &[Scan]) -> Verdict {
    let share = |row: &Row| row.most_milli as f64 / row.limit_milli.unwrap_or(0).max(1) as f64;
    let rows = scans.iter().filter(|scan| !scan.above.is_empty());
    let worst =
        rows.filter_map(|scan| scan.row.as_ref()).max_by(|a, b| share(a).total_cmp(&share(b)));
    let by = match (worst, starved(scans)) {
        (Some(row), _) => Use::Above {
            signal: row.signal,
            value_milli: row.most_milli,
            limit_milli: row.limit_milli.unwrap_or(0),
            at: row.most_at,
            hours: row.above,
        },
        (None, Some(row)) => Use::Starved { credits_milli: row.most_milli, at: row.most_at },
        (None, None) => Use::Holder(Holder::Nothing.into()),
    };
    Verdict::InUse { by }
}

fn in_use_or_clock(look: &Look<'_>, scans: &[Scan], from: Timestamp, until: Timestamp) -> Verdict {
    let known = lack(look, scans, from, until).is_none() && starved(scans).is_none();
    let mut hours: Vec<Timestamp> = scans.iter().flat_map(|scan| &scan.above).copied().collect();
    hours.sort_unstable();
    hours.dedup();
    match pattern(&hours, from, until, look.offsets).filter(|_| known) {
        Some(pattern) => Verdict::IdleByTheClock(pattern),
        None => in_use(scans),
    }
}

/// What is missing for calling it idle.
fn lack(look: &Look<'_>, scans: &[Scan], from: Timestamp, until: Timestamp) -> Option<Lack> {
    let (rule, born) = (look.rule, look.resource.created_at);
    let history = born.map(|born| look.now.since(born));
    let old_enough = match rule.accept_short_history {
        true => history.is_some_and(|history| history >= SHORTEST_HISTORY),
        false => history.is_some_and(|history| history >= rule.look_back),
    };
    if !old_enough {
        return Some(Lack::TooYoung { since: born, look_back: rule.look_back });
    }
    for scan in scans.iter().filter(|scan| scan.required || scan.counts()) {
        let signal = scan.signal;
        let Some(row) = &scan.row else { return Some(Lack::Unmeasured { signal }) };
        let covered = f64::from(row.hours) >= rule.coverage.fraction() * f64::from(row.of);
        if !covered || scan.longest_gap > GAP_HOURS {
            return Some(Lack::Gaps { signal, hours: row.hours, of: row.of });
        }
        let fresh = until - Seconds(u64::from(STALE_HOURS) * HOUR as u64);
        if scan.newest.is_none_or(|newest| newest < fresh) && row.of > 0 {
            return Some(Lack::Stale { signal, newest: scan.newest });
        }
    }
    (until <= from).then_some(Lack::TooYoung { since: born, look_back: rule.look_back })
}
