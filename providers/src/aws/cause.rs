//! What a scaling activity was about, told from the wording that AWS documents.
//!
//! AWS gives the cause of an activity as a sentence only; the sentences are those of the EC2 Auto
//! Scaling user guide ("Verify a scaling activity", "Troubleshoot"). What is not recognised is
//! [`Cause::Unknown`], which never counts in anybody's favour.

use fleet::group::{ActivityKind, Cause, Launch};
use fleet::{Timestamp, Units};

use super::xml;

/// Words of a cause; the one that comes first in the text is the root of what follows.
const WORDS: &[(&str, Cause)] = &[
    ("a user request", Cause::UserRequest),
    ("user initiated", Cause::UserRequest),
    ("a monitor alarm", Cause::NativePolicy),
    ("triggered policy", Cause::NativePolicy),
    ("target tracking", Cause::NativePolicy),
    ("predictive scaling", Cause::NativePolicy),
    ("scheduled action", Cause::Schedule),
    ("health check", Cause::Health),
    ("health-check", Cause::Health),
    ("unhealthy", Cause::Health),
    ("instance refresh", Cause::Upkeep),
    ("rebalanc", Cause::Upkeep),
    ("to balance instances", Cause::Upkeep),
    ("instance lifetime", Cause::Upkeep),
    ("maintenance", Cause::Upkeep),
    ("interruption", Cause::Upkeep),
    ("warm pool", Cause::Upkeep),
];

/// Words of a launch that found no machine.
const NO_CAPACITY: &[&str] = &[
    "insufficientinstancecapacity",
    "unfulfillablecapacity",
    "insufficient capacity",
    "do not have sufficient",
    "no spot capacity",
];

/// Who or what caused an activity.
pub(super) fn cause(text: &str) -> Cause {
    let text = text.to_lowercase();
    WORDS
        .iter()
        .filter_map(|(words, cause)| text.find(words).map(|at| (at, *cause)))
        .min_by_key(|(at, _)| *at)
        .map_or(Cause::Unknown, |(_, cause)| cause)
}

/// The desired capacity that the cause says was set: "… changing the desired capacity from 4 to 6".
pub(super) fn capacity_set_to(text: &str) -> Option<Units> {
    let (_, rest) = text.split_once("changing the desired capacity from ")?;
    let (_, to) = rest.split_once(" to ")?;
    let digits = to.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(Units)
}

/// What a launch's description and cause tell of it.
pub(super) fn launch(description: &str, cause: &str) -> Launch {
    let instance = description.rsplit(": ").next().filter(|id| id.starts_with("i-"));
    Launch {
        instance: instance.map(|id| id.trim().to_owned()),
        ordered_at: ordered_at(cause),
        warm: description.to_lowercase().contains("from warm pool"),
    }
}

/// When the desired capacity was set that led to a launch: the newest of the sentences of its cause
/// that say so, each of which begins with `At` and the time.
fn ordered_at(cause: &str) -> Option<Timestamp> {
    let sentences =
        cause.split("At ").filter(|text| text.contains("changing the desired capacity"));
    sentences.filter_map(|text| xml::moment(text.split_whitespace().next()?)).max()
}

/// Whether the cause speaks of an instance refresh.
pub(super) fn of_refresh(text: &str) -> bool {
    text.to_lowercase().contains("instance refresh")
}

/// Whether a failed activity failed for want of machines.
pub(super) fn no_capacity(status_message: &str) -> bool {
    let text = status_message.to_lowercase();
    NO_CAPACITY.iter().any(|words| text.contains(words))
}

/// What an activity did. Filling a warm pool starts an instance that serves nobody yet.
pub(super) fn kind(description: &str) -> ActivityKind {
    let text = description.to_lowercase();
    if text.contains("into warm pool") || text.contains("in warm pool") {
        ActivityKind::Other
    } else if text.starts_with("launching") {
        ActivityKind::Launch
    } else if text.starts_with("terminating") {
        ActivityKind::Terminate
    } else {
        ActivityKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_wording_tells_the_cause() {
        let table = [
            (
                "At 2026-01-05T08:00:10Z a user request explicitly set group desired capacity \
                 changing the desired capacity from 4 to 6. At 2026-01-05T08:00:14Z an instance \
                 was started in response to a difference between desired and actual capacity, \
                 increasing the capacity from 4 to 6.",
                Cause::UserRequest,
            ),
            (
                "At 2026-01-05T08:00:10Z a user request update of AutoScalingGroup constraints \
                 to min: 2, max: 9, desired: 4 changing the desired capacity from 2 to 4.",
                Cause::UserRequest,
            ),
            (
                "At 2026-01-05T08:00:10Z instance i-0a was taken out of service in response to a \
                 user request, shrinking the capacity from 2 to 1.",
                Cause::UserRequest,
            ),
            (
                "At 2026-01-05T08:00:10Z a monitor alarm TargetTracking-web-AlarmHigh in state \
                 ALARM triggered policy cpu50 changing the desired capacity from 2 to 3.",
                Cause::NativePolicy,
            ),
            (
                "At 2026-01-05T08:00:10Z a predictive scaling policy raised the capacity.",
                Cause::NativePolicy,
            ),
            (
                "At 2026-01-05T08:00:10Z a scheduled action update of AutoScalingGroup \
                 constraints to min: 0, max: 10, desired: 5.",
                Cause::Schedule,
            ),
            (
                "At 2026-01-05T08:00:10Z an instance was taken out of service in response to an \
                 EC2 health check indicating it has been terminated or stopped.",
                Cause::Health,
            ),
            (
                "At 2026-01-05T08:00:10Z an instance was launched in response to an unhealthy \
                 instance needing to be replaced.",
                Cause::Health,
            ),
            (
                "At 2026-01-05T08:00:10Z an instance was taken out of service in response to an \
                 instance refresh.",
                Cause::Upkeep,
            ),
            (
                "At 2026-01-05T08:00:10Z instances were launched to balance instances in zones \
                 eu-west-1a with other zones.",
                Cause::Upkeep,
            ),
            (
                "At 2026-01-05T08:00:14Z an instance was started in response to a difference \
                 between desired and actual capacity, increasing the capacity from 4 to 6.",
                Cause::Unknown,
            ),
            ("", Cause::Unknown),
        ];
        for (text, expected) in table {
            assert_eq!(cause(text), expected, "{text}");
        }
    }

    #[test]
    fn the_capacity_that_was_set_is_read() {
        let table = [
            ("a user request changing the desired capacity from 4 to 6.", Some(6)),
            ("changing the desired capacity from 4 to 16 At T more, from 1 to 2.", Some(16)),
            ("changing the desired capacity from 6 to 0", Some(0)),
            ("increasing the capacity from 4 to 6.", None),
            ("changing the desired capacity from 4", None),
            ("changing the desired capacity from 4 to many", None),
            ("changing the desired capacity from 4 to 99999999999999999999.", None),
        ];
        for (text, expected) in table {
            assert_eq!(capacity_set_to(text), expected.map(Units), "{text}");
        }
    }

    #[test]
    fn a_launch_counts_from_the_order_that_led_to_it() {
        let cause = "At 2026-03-02T12:00:00Z a user request explicitly set group desired capacity \
                     changing the desired capacity from 8 to 9.  At 2026-03-02T12:00:05Z a monitor \
                     alarm high in state ALARM triggered policy p changing the desired capacity \
                     from 9 to 14.  At 2026-03-02T12:00:19Z an instance was started in response to \
                     a difference between desired and actual capacity, increasing the capacity \
                     from 8 to 14.";
        let plain = launch("Launching a new EC2 instance: i-0a1", cause);
        let ordered_at = Some(Timestamp(1_772_452_805));
        let expected = Launch { instance: Some("i-0a1".to_owned()), ordered_at, warm: false };
        assert_eq!(plain, expected);
        let warm = launch("Launching a new EC2 instance from warm pool: i-0a1", cause);
        assert_eq!(warm, Launch { warm: true, ..expected });
        // What is not told is not guessed.
        let told_nothing =
            launch("Launching a new EC2 instance.  Status Reason: none left", "At once");
        assert_eq!(told_nothing, Launch::default());
        let senseless = "At noon somebody was changing the desired capacity from 1 to 2";
        assert_eq!(launch("", senseless).ordered_at, None);
    }

    #[test]
    fn the_first_sentence_is_the_root() {
        let text = "At T a scheduled action set the desired capacity. At U a user request did.";
        assert_eq!(cause(text), Cause::Schedule);
    }

    #[test]
    fn a_want_of_machines_is_told_from_other_failures() {
        for text in [
            "We currently do not have sufficient c7g.large capacity in the Availability Zone you \
             requested (eu-west-1b). Launching EC2 instance failed.",
            "Could not launch On-Demand Instances. InsufficientInstanceCapacity - none left.",
            "Could not launch Spot Instances. UnfulfillableCapacity - no capacity.",
            "There is no Spot capacity available that matches your request.",
        ] {
            assert!(no_capacity(text), "{text}");
        }
        for text in [
            "",
            "The image id 'ami-1' does not exist. Launching EC2 instance failed.",
            "You have requested more vCPU capacity than your current vCPU limit allows.",
        ] {
            assert!(!no_capacity(text), "{text}");
        }
    }

    #[test]
    fn descriptions_tell_what_was_done() {
        let table = [
            ("Launching a new EC2 instance: i-0a", ActivityKind::Launch),
            ("Launching a new EC2 instance from warm pool: i-0a", ActivityKind::Launch),
            ("Launching a new EC2 instance into warm pool: i-0a", ActivityKind::Other),
            ("Terminating EC2 instance: i-0a", ActivityKind::Terminate),
            ("Moving EC2 instance to Standby: i-0a", ActivityKind::Other),
            ("", ActivityKind::Other),
        ];
        for (text, expected) in table {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
