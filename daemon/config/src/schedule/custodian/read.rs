//! The grammar of the tag's value, as Cloud Custodian's `ScheduleParser` has it.

use std::borrow::Cow;

use jiff::civil::Weekday;
use planner::idle::reasons::TagFault;

use super::zones::{NamedZone, zone_of};

/// What a value says, before its hours are read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `off`.
    OptedOut,
    /// Anything else, plain.
    Hours(String),
}

/// The hours of one side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Side {
    /// On which days at which hours.
    pub hours: Vec<(Vec<Weekday>, i8)>,
    pub zone: NamedZone,
}

/// What cannot stand in the tags of some services, and how it is written there.
const ESCAPES: [(&str, &str); 9] = [
    ("u28", "("),
    ("u29", ")"),
    ("u5b", "["),
    ("u5d", "]"),
    ("u2c", ","),
    ("u3b", ";"),
    ("u3d", "="),
    ("u2f", "/"),
    ("u2d", "-"),
];

const DAYS: [(&str, Weekday); 7] = [
    ("m", Weekday::Monday),
    ("t", Weekday::Tuesday),
    ("w", Weekday::Wednesday),
    ("h", Weekday::Thursday),
    ("f", Weekday::Friday),
    ("s", Weekday::Saturday),
    ("u", Weekday::Sunday),
];

/// A tag's value in plain text: lower case, escapes undone, quotes taken off.
pub(super) fn value(text: &str) -> Value {
    let mut plain = text.to_lowercase();
    for (escape, meant) in ESCAPES {
        plain = plain.replace(escape, meant);
    }
    let plain = plain.trim_matches('\'').trim_matches('"');
    // Blanks around it are nothing to Cloud Custodian but part of the value, so that it would act
    // on a resource whose owner wrote `off `.
    match plain.trim() {
        "off" => Value::OptedOut,
        plain => Value::Hours(plain.to_owned()),
    }
}

/// The hours of the side `off` or `on` of a plain value, or why it has none.
pub(super) fn side(
    value: &str,
    side: &str,
    default: &[(Vec<Weekday>, i8)],
    default_tz: &str,
) -> Result<Side, TagFault> {
    let (mut tz, mut hours) = (Cow::Borrowed(default_tz), default.to_vec());
    for piece in value.split(';').filter(|piece| !piece.is_empty()) {
        let found = piece.split('=').collect::<Vec<_>>();
        match found.as_slice() {
            // Beside hours it hides one side of them from Cloud Custodian.
            ["on"] if !value.contains("on=") && !value.contains("off=") => {}
            ["tz", ""] => {}
            ["tz", name] => tz = Cow::Borrowed(name),
            [key @ ("on" | "off"), list] => {
                // The other side is read, too: a value that is half understood is not.
                let read = list_of(list).ok_or_else(|| {
                    let (key, list) = ((*key).to_owned(), (*list).to_owned());
                    TagFault::NoHours { key, list }
                })?;
                if *key == side {
                    hours = read;
                }
            }
            [key, _] if matches!(key.trim(), "on" | "off" | "tz") => {
                return Err(TagFault::Blank { key: key.trim().to_owned() });
            }
            [key, _] => return Err(TagFault::UnknownKey { key: (*key).to_owned() }),
            _ => return Err(TagFault::NoPair { piece: piece.to_owned() }),
        }
    }
    let zone = zone_of(&tz).ok_or_else(|| TagFault::UnknownZone { name: tz.into_owned() })?;
    Ok(Side { hours, zone })
}

/// `(m-f,19)`, `[(m-f,21),(u,18)]`.
fn list_of(text: &str) -> Option<Vec<(Vec<Weekday>, i8)>> {
    let flat = text.replace(['[', ']'], "");
    let read = |part: &str| {
        let part = part.replace(['(', ')'], "");
        let (days, hour) = part.split_once(',')?;
        let digits = !hour.is_empty() && hour.bytes().all(|b| b.is_ascii_digit());
        let hour = digits.then(|| hour.parse::<i8>().ok()).flatten()?;
        (hour < 24).then_some((days_of(days)?, hour))
    };
    flat.split(",(").map(read).collect()
}

/// `m`, `m-f`, and over the end of the week `f-m`.
fn days_of(text: &str) -> Option<Vec<Weekday>> {
    let day = |word: &str| DAYS.iter().find(|(name, _)| *name == word).map(|(_, day)| *day);
    if let Some(day) = day(text) {
        return Some(vec![day]);
    }
    let (first, last) = text.split_once('-')?;
    let (mut at, last) = (day(first)?, day(last)?);
    let mut days = vec![at];
    while at != last {
        at = at.next();
        days.push(at);
    }
    Some(days)
}
