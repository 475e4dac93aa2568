//! Stamps of rows: the forms they are written in, and the grid that they are meant to lie on.

use fleet::{Step, Timestamp};

/// Seconds that a stamp may be off its step: collectors that are busy come a little late.
const JITTER: i64 = 2;

/// The usual form is read by hand, which is many times faster than a general parser; any other
/// goes there, and numbers are seconds since 1970, or a thousandth of one and less.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    usual_stamp(text.as_bytes()).or_else(|| epoch(text)).or_else(|| Timestamp::parse(text))
}

/// From here on a number is none of seconds: they would be those of the year 5138.
const SECONDS_MAX: i128 = 100_000_000_000;

/// `1767225600`, `1767225600.25`, `1767225600000`, to the nearest second.
fn epoch(text: &str) -> Option<Timestamp> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 19 || !digits(whole) || !digits(part) {
        return None;
    }
    let mut number: i128 = whole.parse().ok()?;
    let mut unit = 1;
    while number / unit >= SECONDS_MAX {
        unit *= 1000;
    }
    let half_up = unit == 1 && part.as_bytes().first().is_some_and(|digit| *digit >= b'5');
    number = (number + unit / 2) / unit + i128::from(half_up);
    i64::try_from(number).ok().map(Timestamp)
}

/// `YYYY-MM-DDTHH:MM:SSZ`, the days counted as in Hinnant, "chrono-compatible low-level date
/// algorithms".
fn usual_stamp(text: &[u8]) -> Option<Timestamp> {
    let shape = b"0000-00-00T00:00:00Z";
    let digits = |range: std::ops::Range<usize>| {
        text[range].iter().fold(0i64, |number, digit| number * 10 + i64::from(digit - b'0'))
    };
    let fits = text.len() == shape.len()
        && text.iter().zip(shape).all(|(found, shape)| {
            if *shape == b'0' { found.is_ascii_digit() } else { found == shape }
        });
    if !fits {
        return None;
    }
    let (year, month, day) = (digits(0..4), digits(5..7), digits(8..10));
    let (hour, minute, second) = (digits(11..13), digits(14..16), digits(17..19));
    let sound = (1..=12).contains(&month)
        && (1..=28).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !sound {
        // The last days of months are left to the general parser.
        return None;
    }
    let year = year - i64::from(month <= 2);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468;
    Some(Timestamp(days * 86_400 + hour * 3600 + minute * 60 + second))
}

/// The distance that most neighbours of rising `stamps` keep, of which there must be two.
pub(super) fn step(stamps: &[Timestamp]) -> Option<Step> {
    let mut gaps: Vec<i64> = stamps.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    gaps.sort_unstable();
    // Of two in the middle the shorter: where rows are missing, the distance is a multiple.
    let median = *gaps.get(gaps.len().checked_sub(1)? / 2)?;
    let minutes = (median + 30) / 60 * 60;
    // Both ends may be off.
    let is_near = minutes > 0 && (median - minutes).abs() <= 2 * JITTER;
    // What keeps exactly to a step of 61 seconds means it.
    let wanders = || gaps.iter().any(|gap| *gap % median.max(1) != 0);
    let seconds = if is_near && wanders() { minutes } else { median };
    Step::new(u32::try_from(seconds).ok()?)
}

/// Moves stamps that are a second or two off their step to it; how many were.
pub(super) fn snap(stamps: &mut [Timestamp], step: Step) -> usize {
    let step = i64::from(step.seconds());
    // With less between them, nobody can tell whose a stamp is.
    if step < 10 * JITTER {
        return 0;
    }
    let phase = phase(stamps, step);
    let mut moved = 0;
    for stamp in stamps {
        let off = off(*stamp, phase, step);
        if off != 0 && off.abs() <= JITTER {
            stamp.0 -= off;
            moved += 1;
        }
    }
    moved
}

/// How far a stamp is behind the nearest point of a grid.
fn off(stamp: Timestamp, phase: i64, step: i64) -> i64 {
    let after = (stamp.0 - phase).rem_euclid(step);
    if after > step / 2 { after - step } else { after }
}

/// Where within a step the grid lies: on round times where all are near them, else where most are.
fn phase(stamps: &[Timestamp], step: i64) -> i64 {
    if stamps.iter().all(|stamp| off(*stamp, 0, step).abs() <= JITTER) {
        return 0;
    }
    let mut phases: Vec<i64> = stamps.iter().map(|stamp| stamp.0.rem_euclid(step)).collect();
    phases.sort_unstable();
    let runs = phases.chunk_by(|one, other| one == other);
    let most = runs.max_by_key(|run| (run.len(), -run[0]));
    most.map_or(0, |run| run[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read_in_every_usual_form() {
        // 2026-01-01T00:00:00Z.
        const AT: i64 = 1_767_225_600;
        for (text, at) in [
            ("2026-01-01T00:00:00Z", Some(AT)),
            (" 2026-01-01T00:00:00Z ", Some(AT)),
            ("2026-01-31T00:00:00Z", Some(AT + 30 * 86_400)),
            ("2026-01-01T01:00:00+01:00", Some(AT)),
            ("1767225600", Some(AT)),
            ("1767225600.0", Some(AT)),
            ("1767225600.49", Some(AT)),
            ("1767225600.5", Some(AT + 1)),
            ("1767225600000", Some(AT)),
            ("1767225600499", Some(AT)),
            ("1767225600500", Some(AT + 1)),
            ("1767225600000000", Some(AT)),
            ("1767225600000000000", Some(AT)),
            ("99999999999999999999999", None),
            ("-5", None),
            ("1767225600.x", None),
            ("1e9", None),
            (".5", None),
            ("", None),
            ("2026-01-01", None),
        ] {
            assert_eq!(parse(text).map(|stamp| stamp.0), at, "{text}");
        }
    }

    #[test]
    fn a_second_or_two_is_jitter_and_more_is_none() {
        let snapped = |seconds: &[i64]| {
            let mut stamps: Vec<Timestamp> = seconds.iter().copied().map(Timestamp).collect();
            let step = step(&stamps).unwrap();
            let moved = snap(&mut stamps, step);
            (step.seconds(), moved, stamps.iter().map(|stamp| stamp.0).collect::<Vec<_>>())
        };
        assert_eq!(snapped(&[0, 61, 119, 180]), (60, 2, vec![0, 60, 120, 180]));
        assert_eq!(snapped(&[1, 59, 121, 179, 242]), (60, 5, vec![0, 60, 120, 180, 240]));
        assert_eq!(snapped(&[0, 299, 602, 1500]), (300, 2, vec![0, 300, 600, 1500]));
        // A collector that asks 17 seconds past every minute.
        assert_eq!(snapped(&[17, 77, 138, 197]), (60, 1, vec![17, 77, 137, 197]));
        assert_eq!(snapped(&[0, 60, 123, 180]), (60, 0, vec![0, 60, 123, 180]));
        // It keeps to 61 seconds exactly.
        assert_eq!(snapped(&[0, 61, 122, 244]), (61, 0, vec![0, 61, 122, 244]));
        assert_eq!(snapped(&[0, 5, 10, 16]), (5, 0, vec![0, 5, 10, 16]));
    }
}
