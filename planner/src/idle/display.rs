//! Findings in words for people.

use std::fmt;

use fleet::usage::Signal;

use super::evidence::{Lack, Row, Use, Verdict, VerdictKind};
use super::plan::{IdleHold, Risk, Stage};
use super::snapshot::PowerResult;

impl fmt::Display for VerdictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::AlwaysIdle => f.write_str("always idle"),
            Verdict::IdleByTheClock(pattern) => {
                write!(f, "idle by the clock: used {pattern} in {} weeks", pattern.weeks)
            }
            Verdict::InUse { by } => write!(f, "in use: {by}"),
            Verdict::NotEnoughData(lack) => write!(f, "not enough data: {lack}"),
        }
    }
}

impl Verdict {
    /// What it comes to, without its numbers.
    pub fn kind(&self) -> VerdictKind {
        match self {
            Verdict::AlwaysIdle => VerdictKind::AlwaysIdle,
            Verdict::IdleByTheClock(_) => VerdictKind::IdleByTheClock,
            Verdict::InUse { .. } => VerdictKind::InUse,
            Verdict::NotEnoughData(_) => VerdictKind::NotEnoughData,
        }
    }
}

impl VerdictKind {
    /// A short, stable word for tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            VerdictKind::AlwaysIdle => "always idle",
            VerdictKind::IdleByTheClock => "idle by the clock",
            VerdictKind::InUse => "in use",
            VerdictKind::NotEnoughData => "not enough data",
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { signal, most_milli, most_at, hours, of, above, .. } = self;
        let (most, least) = if signal.is_least() { ("least", "1 %") } else { ("most", "99 %") };
        write!(f, "{signal}: {most} {} at {most_at}", signal.amount(*most_milli))?;
        write!(f, ", {least} of hours {}", signal.amount(self.high_milli))?;
        if let Some(limit) = self.limit_milli {
            write!(f, ", limit {}, {above} hours above", signal.amount(limit))?;
        }
        write!(f, "; {hours} of {of} hours")
    }
}

impl Row {
    /// The most against the limit: `cpu 0.8 of 3.0 %`.
    pub fn brief(&self) -> String {
        let most = self.signal.amount(self.most_milli);
        match self.limit_milli {
            Some(limit) => format!("{} {most} of {}", self.signal, self.signal.amount(limit)),
            None => format!("{} {most}", self.signal),
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Use::Above { signal, value_milli, limit_milli, at, hours } => write!(
                f,
                "{signal} was {} at {at}, limit {}, {hours} {} above",
                signal.amount(*value_milli),
                signal.amount(*limit_milli),
                if *hours == 1 { "hour" } else { "hours" },
            ),
            Use::Starved { credits_milli, at } => write!(
                f,
                "its CPU credits ran out ({} left at {at}): it would do more if it could",
                Signal::CreditsLeft.amount(*credits_milli)
            ),
            Use::Holder(holder) => write!(f, "used by {holder}"),
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::TooYoung { since: Some(since), look_back } => {
                write!(f, "known since {since}, the rule looks back {look_back}")
            }
            Lack::TooYoung { since: None, look_back } => {
                write!(f, "its age is not known, the rule looks back {look_back}")
            }
            Lack::Unmeasured { signal } => write!(f, "{signal} was never measured"),
            Lack::Gaps { signal, hours, of } => {
                write!(f, "{signal} has {hours} of {of} hours")
            }
            Lack::Stale { signal, newest: Some(newest) } => {
                write!(f, "{signal} has nothing since {newest}")
            }
            Lack::Stale { signal, newest: None } => write!(f, "{signal} has nothing new"),
            Lack::Unread(what) => write!(f, "{what} could not be read"),
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a start may fail with a chance of {:.1} %", f64::from(self.milli) / 10.0)?;
        if !self.why.is_empty() {
            let why: Vec<String> = self.why.iter().map(ToString::to_string).collect();
            write!(f, ": {}", why.join("; "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Kept => f.write_str("kept"),
            Stage::Candidate => f.write_str("candidate"),
            Stage::Marked { grace_left, .. } if grace_left.0 == 0 => f.write_str("marked, due"),
            Stage::Marked { grace_left, .. } => write!(f, "marked, {grace_left} of grace left"),
            Stage::Acting(verb) => write!(f, "{verb} now"),
            Stage::Stopped { at } => write!(f, "stopped since {at}"),
            Stage::OnSchedule { up, next } => {
                f.write_str(if *up { "scheduled up" } else { "scheduled down" })?;
                match next {
                    Some(next) => {
                        write!(f, ", {} at {}", if next.up { "up" } else { "down" }, next.at)
                    }
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for IdleHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdleHold::InUse(by) => write!(f, "in use: {by}"),
            IdleHold::IdleByTheClock(pattern) => write!(
                f,
                "idle by the clock: used {pattern} in {} weeks; a schedule `up = \"{pattern}\"` \
                 would save {} hours a week",
                pattern.weeks,
                pattern.idle_hours()
            ),
            IdleHold::NotEnoughData(lack) => write!(f, "not enough data: {lack}"),
            IdleHold::NotRunning(power) => write!(f, "it is {power}"),
            IdleHold::FindingOnly => f.write_str("neap stops no such thing: it is for you to end"),
            IdleHold::NotOptedIn { tag } => write!(f, "its owner has not set the tag `{tag}`"),
            IdleHold::ProtectTag { tag } => write!(f, "protected by its tag `{tag}`"),
            IdleHold::InScalingGroup(group) => write!(f, "a member of scaling group `{group}`"),
            IdleHold::Orchestrated { by, tag } => write!(f, "{by} owns it (tag `{tag}`)"),
            IdleHold::InTargetGroup(target) => write!(f, "registered in `{target}`"),
            IdleHold::LocalDisk => f.write_str("a stop would destroy the data of its local disks"),
            IdleHold::Accelerator => f.write_str("it has an accelerator that may not be had again"),
            IdleHold::ForwardsTraffic => f.write_str("it forwards other machines' traffic"),
            IdleHold::SpotTerminates => f.write_str("a spot machine that would end for good"),
            IdleHold::Protected(what) => write!(f, "{what} is on"),
            IdleHold::PassiveRole(what) => {
                write!(f, "idle by its nature ({what}): a standby, a replica or a way in")
            }
            IdleHold::Alarm(name) => write!(f, "its alarm `{name}` is in state ALARM"),
            IdleHold::OwnHost => f.write_str("neap runs on it"),
            IdleHold::Unread(what) => write!(f, "a fact could not be read: {what}"),
            IdleHold::SavesNothing(why) => write!(f, "a stop would save nothing: {why}"),
            IdleHold::CannotHibernate => f.write_str("it cannot be hibernated"),
            IdleHold::RestartRisk(risk) => write!(f, "it may not come back: {risk}"),
            IdleHold::Exempt { why, until } => write!(f, "left alone until {until}: {why}"),
            IdleHold::ObserveMode => f.write_str("mode is `observe`"),
            IdleHold::RuleObserves => f.write_str("the rule's mode is `observe`"),
            IdleHold::FirstDays { left } => {
                write!(f, "the rule only watches at first, for another {left}")
            }
            IdleHold::InGrace { left } => write!(f, "marked, {left} of grace left"),
            IdleHold::NeedsApproval { id, why } => {
                write!(f, "waits for `neap approve {id}`: {why}")
            }
            IdleHold::KillSwitch(why) => write!(f, "the kill switch is thrown: {why}"),
            IdleHold::Frozen { name, until } => write!(f, "freeze `{name}` until {until}"),
            IdleHold::DiskFull => f.write_str("the journal's disk is full"),
            IdleHold::NotSteady { since, until } => write!(
                f,
                "the clock jumped or neap was not looking: looks are regular since {since}, stops \
                 go on at {until}"
            ),
            IdleHold::Surge { matched, before } => write!(
                f,
                "the rule finds {matched} resources idle, {before} the day before: after a look, \
                 `neap release RULE`"
            ),
            IdleHold::AboveDayCap { due, cap, scope } => write!(
                f,
                "{due} stops fall due in {scope}, a day allows {cap}: after a look, `neap release \
                 RULE`"
            ),
            IdleHold::BlastRadius { scope, done, cap, until } => {
                write!(f, "{done} of {cap} stops are used up in {scope}, next at {until}")
            }
            IdleHold::ScheduledUp { schedule } => write!(f, "schedule `{schedule}` wants it up"),
            IdleHold::Woken { by, until } => write!(f, "{by} wants it up until {until}"),
            IdleHold::ByHand { up, until } => {
                let what = if *up { "started" } else { "stopped" };
                write!(f, "somebody {what} it: left so until {until}")
            }
            IdleHold::OrderOpen { since } => {
                write!(f, "an order of {since} is open: its result is looked for first")
            }
            IdleHold::Changing(power) => write!(f, "it is {power}"),
            IdleHold::RetryLater { at, why } => write!(f, "tried again at {at}: {why}"),
            IdleHold::WaitsFor { resource } => write!(f, "waits for `{resource}`"),
            IdleHold::ScheduleUnread(text) => write!(f, "its schedule is not understood: {text}"),
            IdleHold::OptedOut => f.write_str("it opted out of the schedule"),
            IdleHold::OneSided => f.write_str("the schedule only goes the other way"),
            IdleHold::AsScheduled => f.write_str("as scheduled"),
            IdleHold::NotIdleNow(what) => write!(f, "the schedule stops what is idle: {what}"),
            IdleHold::Gone => f.write_str("it is gone"),
            IdleHold::AlreadyStopped { at } => write!(f, "neap stopped it at {at}"),
            IdleHold::InShadow => {
                f.write_str("the rule is in shadow, a stop is shown only: `neap promote RULE`")
            }
            IdleHold::KeyUnusable { key, state } => write!(
                f,
                "it would not start again: the key `{key}` of its disks is in state `{state}`"
            ),
        }
    }
}

/// How an order ended, after its verb: `stop taken`.
impl fmt::Display for PowerResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PowerResult::Taken => f.write_str("taken"),
            PowerResult::Moved { found } => write!(f, "not sent: {found}"),
            PowerResult::Withheld => f.write_str("not sent: stopped by kill switch or mode"),
            PowerResult::Failed { fault } => write!(f, "failed: {fault}"),
            PowerResult::Unconfirmed { effect_seen: Some(true) } => {
                f.write_str("sent, the answer was lost, the effect is there")
            }
            PowerResult::Unconfirmed { effect_seen: Some(false) } => {
                f.write_str("sent, the answer was lost, no effect was seen")
            }
            PowerResult::Unconfirmed { effect_seen: None } => {
                f.write_str("sent, no answer; looked at before anything else")
            }
        }
    }
}
