//! `quiet_hours`: when a channel is not to be disturbed, and by what it is all the same.

use fleet::alert::Severity;
use fleet::{Seconds, Timestamp};
use serde::Serialize;

use super::freeze::Weekly;
use super::keys::alert::quiet_hours as known;
use super::reader::Entry;
use super::zone::{Zone, zone};

/// Hours in which a channel is told only what cannot wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuietHours {
    /// The zone its times are in.
    pub timezone: Zone,
    pub hours: Weekly,
    /// What is at least so bad is told all the same; `None` is nothing.
    pub except: Option<Severity>,
}

/// The longest quiet: an alert is no news any more three days after it came about, and then it is
/// given up.
const LONGEST: Seconds = Seconds::hours(66);

impl QuietHours {
    /// Until when it is quiet; `None` where it is not at `now`.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.hours.open_until(&self.timezone, now)
    }

    /// Whether an alert that is so bad waits for the end of it.
    pub fn holds(&self, severity: Severity) -> bool {
        self.except.is_none_or(|least| severity < least)
    }

    /// Whether alerts may be held too long; zones that change their clocks are an hour's matter.
    fn is_too_long(&self) -> bool {
        // A fortnight hour by hour, of which every two weeks are alike; days of a month may lie as
        // close to each other as those of a week.
        let hours = Weekly { of_month: Vec::new(), ..self.hours.clone() };
        let moments = (0..14 * 24).map(|hour| Timestamp(0) + Seconds::hours(hour));
        let left = |at: Timestamp| Some(hours.open_until(&self.timezone, at)?.since(at));
        moments.filter_map(left).any(|left| left > LONGEST)
    }
}

/// Reads `22:00-08:00`, which is every day, and weekly windows.
fn hours(text: &str) -> Option<Weekly> {
    Weekly::parse(text).or_else(|| Weekly::parse(&format!("daily {text}")))
}

/// Reads `{ timezone = "Asia/Shanghai", hours = "22:00-08:00", except = "critical" }`.
pub(super) fn quiet_hours(entry: &Entry<'_>) -> Option<QuietHours> {
    let table = entry.table()?;
    let expected = "an IANA time zone such as `\"Asia/Shanghai\"` or `\"UTC\"`";
    let timezone =
        table.required(&known::TIMEZONE, expected).and_then(|entry| zone(&entry, expected));
    let expected = "hours such as `22:00-08:00`, or of some days such as `Sat,Sun 00:00-24:00` or \
                    `first Thu 20:00-24:00`";
    let hours_entry = table.required(&known::HOURS, expected);
    let hours = hours_entry.as_ref().and_then(|entry| entry.parsed(hours, expected));
    let except = table.get(&known::EXCEPT).map_or(Some(Some(Severity::Critical)), |entry| {
        entry.choice(&[
            ("critical", Some(Severity::Critical)),
            ("warning", Some(Severity::Warning)),
            ("nothing", None),
        ])
    });
    table.finish();
    let quiet = QuietHours { timezone: timezone?, hours: hours?, except: except? };
    if quiet.is_too_long() {
        let hint = "an alert is given up three days after it came about".to_owned();
        let expected = format!("quiet of at most {LONGEST} at a time");
        hours_entry.as_ref()?.unexpected(&expected, Some(hint));
        return None;
    }
    Some(quiet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(timezone: &str, text: &str) -> QuietHours {
        QuietHours {
            timezone: Zone::new(timezone).unwrap(),
            hours: hours(text).unwrap(),
            except: Some(Severity::Critical),
        }
    }

    fn hold(quiet: &QuietHours, severity: Severity, now: &str) -> String {
        let until = quiet.until(Timestamp::parse(now).unwrap());
        let held = until.filter(|_| quiet.holds(severity));
        held.map_or("-".to_owned(), |until| until.to_string())
    }

    #[test]
    fn nights_are_local_and_what_cannot_wait_does_not() {
        // Shanghai is eight hours ahead all year.
        let nights = quiet("Asia/Shanghai", "22:00-08:00");
        let held = |severity, now| hold(&nights, severity, now);
        assert_eq!(held(Severity::Warning, "2026-03-02T13:59:59Z"), "-");
        assert_eq!(held(Severity::Warning, "2026-03-02T14:00:00Z"), "2026-03-03T00:00:00Z");
        assert_eq!(held(Severity::Info, "2026-03-02T23:59:59Z"), "2026-03-03T00:00:00Z");
        assert_eq!(held(Severity::Info, "2026-03-03T00:00:00Z"), "-");
        assert_eq!(held(Severity::Critical, "2026-03-02T16:00:00Z"), "-");
        let silent = QuietHours { except: None, ..nights.clone() };
        assert_eq!(
            hold(&silent, Severity::Critical, "2026-03-02T16:00:00Z"),
            "2026-03-03T00:00:00Z"
        );
    }

    /// Clocks in Berlin jumped from 02:00 to 03:00 on 2026-03-29 and back on 2026-10-25.
    #[test]
    fn a_night_ends_by_the_clock_on_the_wall() {
        let nights = quiet("Europe/Berlin", "22:00-06:00");
        let info = Severity::Info;
        assert_eq!(hold(&nights, info, "2026-03-28T22:00:00Z"), "2026-03-29T04:00:00Z");
        assert_eq!(hold(&nights, info, "2026-10-24T22:00:00Z"), "2026-10-25T05:00:00Z");
    }

    #[test]
    fn quiet_that_outlasts_news_is_known() {
        for (text, too_long) in [
            ("22:00-08:00", false),
            ("Fri 18:00-Mon 08:00", false),
            ("Fri 12:00-Mon 12:00", true),
            ("00:00-24:00", true),
            ("Mon-Thu 00:00-24:00", true),
            ("08:00-08:00", true),
            ("first Thu 00:00-24:00", false),
            ("first Mon-Wed 00:00-24:00", true),
        ] {
            assert_eq!(quiet("Europe/Berlin", text).is_too_long(), too_long, "{text}");
        }
    }
}
