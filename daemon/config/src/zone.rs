//! Time zones by their IANA names, and the moments that local times are.

use std::fmt;

use fleet::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Disambiguation, TimeZone};
use serde::{Serialize, Serializer};

use super::reader::{Entry, did_you_mean};

/// An IANA time zone that means one thing only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Why a text is no time zone here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAZone {
    /// An abbreviation that means several zones, or none of their changes of clocks.
    Ambiguous(&'static str),
    /// `Etc/GMT+8` lies eight hours WEST of Greenwich.
    Reversed,
    /// An offset from UTC: it knows no change of clocks.
    Offset,
    /// The database does not know it.
    Unknown,
}

/// Abbreviations people write, and the zones they may have meant.
const AMBIGUOUS: [(&str, &str); 31] = [
    ("AEDT", "`Australia/Sydney`"),
    ("AEST", "`Australia/Sydney` or `Australia/Brisbane`"),
    ("AST", "`America/Halifax` or `Asia/Riyadh`"),
    ("BRT", "`America/Sao_Paulo`"),
    ("BST", "`Europe/London` or `Asia/Dhaka`"),
    ("CDT", "`America/Chicago` or `America/Havana`"),
    ("CET", "`Europe/Berlin` or `Europe/Paris`"),
    ("CEST", "`Europe/Berlin` or `Europe/Paris`"),
    ("CST", "`Asia/Shanghai`, `America/Chicago` or `America/Havana`"),
    ("CST6CDT", "`America/Chicago`"),
    ("EDT", "`America/New_York`"),
    ("EET", "`Europe/Helsinki` or `Africa/Cairo`"),
    ("EEST", "`Europe/Helsinki` or `Africa/Cairo`"),
    ("EST", "`America/New_York` or `America/Panama`"),
    ("EST5EDT", "`America/New_York`"),
    ("GMT", "`UTC` or `Europe/London`"),
    ("HKT", "`Asia/Hong_Kong`"),
    ("HST", "`Pacific/Honolulu`"),
    ("IST", "`Asia/Kolkata`, `Asia/Jerusalem` or `Europe/Dublin`"),
    ("JST", "`Asia/Tokyo`"),
    ("KST", "`Asia/Seoul`"),
    ("MDT", "`America/Denver`"),
    ("MSK", "`Europe/Moscow`"),
    ("MST", "`America/Denver` or `America/Phoenix`"),
    ("NZST", "`Pacific/Auckland`"),
    ("PDT", "`America/Los_Angeles`"),
    ("PRC", "`Asia/Shanghai`"),
    ("PST", "`America/Los_Angeles` or `Asia/Manila`"),
    ("SGT", "`Asia/Singapore`"),
    ("WET", "`Europe/Lisbon`"),
    ("WIB", "`Asia/Jakarta`"),
];

impl Zone {
    /// The zone of this name: `UTC` or `Area/City`.
    ///
    /// # Errors
    /// Where it could mean another zone than its reader thinks, or is not known.
    pub fn new(name: &str) -> Result<Zone, NotAZone> {
        let upper = name.to_ascii_uppercase();
        if let Some((_, meant)) = AMBIGUOUS.iter().find(|(word, _)| *word == upper) {
            return Err(NotAZone::Ambiguous(meant));
        }
        if upper.starts_with("ETC/GMT") && upper.contains(['+', '-']) {
            return Err(NotAZone::Reversed);
        }
        let digits = upper.trim_start_matches("UTC").trim_start_matches("GMT");
        if digits.starts_with(['+', '-']) {
            return Err(NotAZone::Offset);
        }
        if upper != "UTC" && !name.contains('/') {
            return Err(NotAZone::Unknown);
        }
        TimeZone::get(name).map(Zone).map_err(|_| NotAZone::Unknown)
    }

    /// The zone of any name in the database, in any case: for texts whose grammar fixes what its
    /// abbreviations mean.
    pub(crate) fn in_database(name: &str) -> Option<Zone> {
        TimeZone::get(name).ok().map(Zone)
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The local date at a moment.
    pub fn date(&self, at: Timestamp) -> Option<Date> {
        Some(self.0.to_datetime(jiff::Timestamp::from_second(at.0).ok()?).date())
    }

    /// The moment a window opens: where clocks show a time twice, the first.
    pub(super) fn opens(&self, local: DateTime) -> Option<Timestamp> {
        self.moment(local, Disambiguation::Earlier)
    }

    /// The moment people and timers take a local time for: where clocks show it twice the first,
    /// where they pass over it as much later.
    pub fn begins(&self, local: DateTime) -> Option<Timestamp> {
        self.moment(local, Disambiguation::Compatible)
    }

    /// The first moment that clocks show this time or a later one of its day: where they show it
    /// twice the first, where they pass over it the moment they do.
    pub(crate) fn starts(&self, local: DateTime) -> Option<Timestamp> {
        if !matches!(self.0.to_ambiguous_timestamp(local).offset(), AmbiguousOffset::Gap { .. }) {
            return self.opens(local);
        }
        let after = jiff::Timestamp::from_second(self.closes(local)?.0 + 1).ok()?;
        let change = self.0.preceding(after).next()?;
        Some(Timestamp(change.timestamp().as_second()))
    }

    /// Whether clocks show this date at all; one that a change of the date line skips has no hour.
    pub(crate) fn has(&self, date: Date) -> bool {
        date.to_zoned_datetime(self.0.clone()).is_ok_and(|start| start.date() == date)
    }

    /// Clocks at a moment, with the offset from UTC: `Mon 2026-09-28 08:30 +08:00`.
    pub(crate) fn shown(&self, at: Timestamp) -> String {
        match jiff::Timestamp::from_second(at.0) {
            Ok(at) => {
                at.to_zoned_datetime(self.0.clone()).strftime("%a %Y-%m-%d %H:%M %:z").to_string()
            }
            Err(_) => at.to_string(),
        }
    }

    /// The moment a window closes: where clocks show a time twice, the second. So a freeze never
    /// is shorter than it is written.
    pub(crate) fn closes(&self, local: DateTime) -> Option<Timestamp> {
        self.moment(local, Disambiguation::Later)
    }

    /// From each moment on, how many seconds local time is ahead of UTC: at `from`, and at every
    /// change of clocks until `until`.
    pub(crate) fn clock(&self, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, i32)> {
        let Ok(first) = jiff::Timestamp::from_second(from.0) else { return Vec::new() };
        let changes = self
            .0
            .following(first)
            .map(|change| (Timestamp(change.timestamp().as_second()), change.offset().seconds()));
        std::iter::once((from, self.0.to_offset(first).seconds()))
            .chain(changes.take_while(|(at, _)| *at < until))
            .collect()
    }

    fn moment(&self, local: DateTime, rule: Disambiguation) -> Option<Timestamp> {
        let moment = self.0.to_ambiguous_timestamp(local).disambiguate(rule).ok()?;
        Some(Timestamp(moment.as_second()))
    }
}

impl Default for Zone {
    fn default() -> Zone {
        Zone(TimeZone::UTC)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The zone that an entry names.
pub(super) fn zone(entry: &Entry<'_>, expected: &str) -> Option<Zone> {
    let hint = match Zone::new(entry.text(expected)?) {
        Ok(zone) => return Some(zone),
        Err(NotAZone::Ambiguous(meant)) => {
            format!("abbreviations mean several zones; write {meant}")
        }
        Err(NotAZone::Reversed) => {
            "the sign of `Etc/GMT` zones is the opposite of what it seems; name a city's zone"
                .to_owned()
        }
        Err(NotAZone::Offset) => {
            "an offset knows no change of clocks; name a city's zone, such as `Asia/Shanghai` for \
             `+08:00`"
                .to_owned()
        }
        Err(NotAZone::Unknown) => {
            let names: Vec<String> =
                jiff::tz::db().available().map(|name| name.to_string()).collect();
            let found = entry.as_text().unwrap_or_default();
            did_you_mean(found, names.iter().map(String::as_str).filter(|n| n.contains('/')))
                .unwrap_or_else(|| "zones are named `Area/City`".to_owned())
        }
    };
    entry.unexpected(expected, Some(hint));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_mean_one_thing() {
        for name in ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/Argentina/Buenos_Aires"] {
            assert_eq!(Zone::new(name).unwrap().name(), name);
        }
        for name in ["CST", "IST", "EST", "cst", "GMT", "PST"] {
            assert!(matches!(Zone::new(name), Err(NotAZone::Ambiguous(_))), "{name}");
        }
        assert_eq!(Zone::new("Etc/GMT+8"), Err(NotAZone::Reversed));
        for name in ["+08:00", "-0500", "UTC+8", "GMT-3"] {
            assert_eq!(Zone::new(name), Err(NotAZone::Offset), "{name}");
        }
        for name in ["", "Mars/Olympus", "Berlin", "Europe"] {
            assert_eq!(Zone::new(name), Err(NotAZone::Unknown), "{name}");
        }
    }
}
