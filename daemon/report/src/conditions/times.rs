//! How long what is wrong has to last before it is told, and to be gone before that is told.

use fleet::Seconds;
use fleet::alert::{Condition, Severity};

/// Who newly joins what is told already is told at least so many cycles later: five hundred services
/// that fail one after the other are a few messages.
pub const AGAIN_AFTER_CYCLES: u64 = 30;

/// So many cycles, at most as many minutes, and never fewer than two: a fleet that is looked at
/// every two seconds is told of within seconds, one that is looked at every five minutes not after
/// hours.
pub(super) fn cycles(poll: Seconds, count: u64) -> Seconds {
    if count == 0 {
        return Seconds::ZERO;
    }
    let by_cycles = Seconds(poll.0.saturating_mul(count));
    let least = Seconds(poll.0.saturating_mul(count.min(2)));
    by_cycles.min(Seconds::minutes(count)).max(least)
}

/// After how many cycles it is told, where nothing says otherwise. A group's shortness has lasted
/// for its lead time when it is found.
pub fn rings_after_cycles(of: Condition) -> u64 {
    match of {
        Condition::DemandUnknown => 10,
        Condition::AtMaximum | Condition::Discovery | Condition::DemandDoubted => 3,
        Condition::OrderRefused
        | Condition::GroupShort
        | Condition::OutageShape
        | Condition::PromiseUsedUp
        | Condition::KillSwitch
        | Condition::Journal => 0,
    }
}

/// After how many cycles without it people are told that it is over.
pub fn resolves_after_cycles(of: Condition) -> u64 {
    match of {
        Condition::KillSwitch => 0,
        Condition::GroupShort => 2,
        Condition::DemandUnknown | Condition::Discovery | Condition::Journal => 3,
        Condition::OutageShape | Condition::DemandDoubted => 5,
        // An order that is refused is given again in the next cycle, if it is still wanted.
        Condition::OrderRefused | Condition::AtMaximum => 10,
        Condition::PromiseUsedUp => 60,
    }
}

/// After how long what lasts is told again, be it the same.
pub fn rings_again_after(severity: Severity) -> Seconds {
    match severity {
        Severity::Critical => Seconds::hours(4),
        Severity::Warning | Severity::Info => Seconds::hours(12),
    }
}
