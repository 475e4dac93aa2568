//! `[[freeze]]`: times in which changes are restrained, and which of them are open now.

use std::fmt;

use fleet::{ServiceName, Timestamp};
use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time, Weekday};
use planner::policy::{ActiveFreeze, FreezeScope};
use serde::{Serialize, Serializer};

use super::keys::root::top;
use super::keys::times::freeze as known;
use super::reader::{Entry, Table, did_you_mean};
use super::weeks::OfMonth;
use super::zone::{Zone, zone};

/// A rule that opens freeze windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FreezeRule {
    /// Its name, for people.
    pub name: String,
    /// What it restrains.
    pub scope: FreezeScope,
    /// The services it is for; empty is all.
    pub services: Vec<ServiceName>,
    /// The zone its times are in.
    pub timezone: Zone,
    /// When it is open.
    pub window: FreezeWindow,
}

/// When a freeze is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FreezeWindow {
    /// Once: from the first moment on, up to and without the second, local time.
    Once {
        /// Its beginning.
        from: DateTime,
        /// Its end.
        until: DateTime,
    },
    /// Every week.
    Weekly(Weekly),
}

/// A window that opens every week, or on some of a month's days, on each of `days` at `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// The days it opens on, Monday first, each once; never empty.
    pub days: Vec<Weekday>,
    /// Which of a month's days of these names; empty is all of them.
    pub of_month: Vec<OfMonth>,
    /// When it opens.
    pub from: Time,
    /// Days after the opening day on which it closes: 0 to 7.
    pub days_later: u8,
    /// When it closes; midnight with `days_later = 1` is the end of the opening day.
    pub until: Time,
}

pub(super) const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// What a weekly window should look like, for messages.
pub(super) const WEEKLY: &str = "a weekly window such as `Mon-Fri 08:30-20:00`, `Sat,Sun 00:00-24:00`, `daily 22:00-06:00` or \
     `Fri 18:00-Mon 08:00`, or of a month such as `first Thu 02:00-04:00` or `last Fri 18:00-20:00`";

impl Weekly {
    /// Reads `Mon-Fri 08:30-20:00`, `Sat,Sun 00:00-24:00`, `daily 22:00-06:00` (closes the day
    /// after) and `Fri 18:00-Mon 08:00` (one stretch); with `first`, `second,fourth` or `last` before
    /// the days, of each month alone.
    pub fn parse(text: &str) -> Option<Weekly> {
        let (of_month, text) = OfMonth::split(text);
        // Every day of a month has a name.
        if !of_month.is_empty() && text.starts_with("daily") {
            return None;
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            [days, times] => {
                let (from, until) = times.split_once('-')?;
                let (from, (until, extra)) = (time_of_day(from)?, end_of_window(until)?);
                let overnight = u8::from(extra || until <= from);
                let days = days_of(days)?;
                Some(Weekly { days, of_month, from, days_later: overnight, until })
            }
            [day, middle, end] => {
                let (from, last) = middle.split_once('-')?;
                let (first, last) = (day_of(day)?, day_of(last)?);
                let (from, (until, extra)) = (time_of_day(from)?, end_of_window(end)?);
                let apart = last.since(Weekday::Monday) - first.since(Weekday::Monday);
                let days = u8::try_from(apart.rem_euclid(7)).ok()? + u8::from(extra);
                let days_later = if days == 0 && until <= from { 7 } else { days };
                Some(Weekly { days: vec![first], of_month, from, days_later, until })
            }
            _ => None,
        }
    }
}

/// As an operator would write it.
impl fmt::Display for Weekly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |day: Weekday| DAYS.iter().find(|(_, d)| *d == day).map_or("", |(w, _)| *w);
        let days: Vec<&str> = self.days.iter().map(|day| word(*day)).collect();
        let from = self.from.strftime("%H:%M");
        let until = self.until.strftime("%H:%M");
        for (at, which) in self.of_month.iter().enumerate() {
            write!(f, "{}{which}", if at > 0 { "," } else { "" })?;
        }
        f.write_str(if self.of_month.is_empty() { "" } else { " " })?;
        write!(f, "{} {from}-{until}", days.join(","))?;
        match self.days_later {
            0 => Ok(()),
            1 => f.write_str(" the day after"),
            days => write!(f, " {days} days after"),
        }
    }
}

impl Serialize for Weekly {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `08:30`; two digits each.
pub(super) fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| {
        let sound = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        sound.then(|| part.parse::<i8>().ok()).flatten()
    };
    Time::new(digits(hour)?, digits(minute)?, 0, 0).ok()
}

/// Like [`time_of_day`], and the end of the day, which is midnight and `true`: a day more. It is
/// written `24:00`, or `23:59` as where a day has no such hour: nobody means its last minute to be
/// left out, and what begins at midnight follows without a gap.
pub(super) fn end_of_window(text: &str) -> Option<(Time, bool)> {
    match text {
        "24:00" | "23:59" => Some((Time::midnight(), true)),
        text => Some((time_of_day(text)?, false)),
    }
}

pub(super) fn day_of(word: &str) -> Option<Weekday> {
    DAYS.iter().find(|(name, _)| *name == word).map(|(_, day)| *day)
}

/// `daily`, `Mon`, `Mon-Fri`, `Sat,Sun`, `Fri-Mon`.
pub(super) fn days_of(text: &str) -> Option<Vec<Weekday>> {
    if text == "daily" {
        return Some(DAYS.iter().map(|(_, day)| *day).collect());
    }
    let mut chosen = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (day_of(first)?, day_of(last)?);
        chosen.push(day);
        while day != last {
            day = day.next();
            chosen.push(day);
        }
    }
    Some(DAYS.iter().map(|(_, day)| *day).filter(|day| chosen.contains(day)).collect())
}

/// How many days around now are looked through: the longest weekly window, and a day.
const DAYS_AROUND: i32 = 8;

/// The freezes that are open at `now`, in the order of the rules.
///
/// Looks at the moment alone, never at what was open before, so a window that opened while neap was
/// down counts. `until` is when the freeze really ends: windows that touch are one. A freeze without
/// end in the next days is said to end when they do.
pub fn freezes_active(rules: &[FreezeRule], now: Timestamp) -> Vec<ActiveFreeze> {
    rules
        .iter()
        .filter_map(|rule| {
            Some(ActiveFreeze {
                name: rule.name.clone(),
                scope: rule.scope,
                services: rule.services.clone(),
                until: rule.open_until(now)?,
            })
        })
        .collect()
}

impl FreezeRule {
    fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        until(&self.windows_around(now), now)
    }

    /// Every window that may be open at `now` or touch one that is, by opening time.
    fn windows_around(&self, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let zone = &self.timezone;
        match &self.window {
            FreezeWindow::Once { from, until } => {
                zone.opens(*from).zip(zone.closes(*until)).into_iter().collect()
            }
            FreezeWindow::Weekly(weekly) => weekly.windows_around(zone, now),
        }
    }
}

/// The end of the windows that are open at `now`; those that touch are one.
fn until(windows: &[(Timestamp, Timestamp)], now: Timestamp) -> Option<Timestamp> {
    let open = windows.iter().filter(|(from, until)| *from <= now && now < *until);
    let mut end = open.map(|(_, until)| *until).max()?;
    // By opening time, so one pass finds every window that touches.
    for (from, until) in windows {
        if *from <= end {
            end = end.max(*until);
        }
    }
    Some(end)
}

impl Weekly {
    /// Until when it is open in a zone at `now`; `None` where it is not.
    pub(super) fn open_until(&self, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
        until(&self.windows_around(zone, now), now)
    }

    fn windows_around(&self, zone: &Zone, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let Some(today) = zone.date(now) else { return Vec::new() };
        self.local_windows(today, today)
            .filter_map(|(from, until)| zone.opens(from).zip(zone.closes(until)))
            .collect()
    }

    /// The local windows of every day that may have one open from `first` to `last`, or one that
    /// touches one that is.
    pub(super) fn local_windows(
        &self,
        first: Date,
        last: Date,
    ) -> impl Iterator<Item = (DateTime, DateTime)> + '_ {
        let from = first.checked_sub(DAYS_AROUND.days()).unwrap_or(first);
        let until = last.checked_add(DAYS_AROUND.days()).unwrap_or(last);
        from.series(1.day())
            .take_while(move |date| *date <= until)
            .filter(|date| self.opens_on(*date))
            .filter_map(|date| self.local_window(date))
    }

    /// Whether a window opens on the date.
    pub(crate) fn opens_on(&self, date: Date) -> bool {
        let of_month = self.of_month.is_empty() || self.of_month.iter().any(|which| which.is(date));
        of_month && self.days.contains(&date.weekday())
    }

    pub(crate) fn local_window(&self, date: Date) -> Option<(DateTime, DateTime)> {
        let last = date.checked_add(i32::from(self.days_later).days()).ok()?;
        Some((date.to_datetime(self.from), last.to_datetime(self.until)))
    }
}

const SCOPES: [(&str, FreezeScope); 2] =
    [("decreases", FreezeScope::Decreases), ("all", FreezeScope::All)];

/// Reads every `[[freeze]]`; `services` are the names there are, `None` where templates add more.
pub(super) fn freezes(root: &Table<'_>, services: Option<&[String]>) -> Vec<FreezeRule> {
    let tables = root.get(&top::FREEZE).map_or_else(Vec::new, |entry| entry.tables());
    tables.iter().filter_map(|table| freeze(table, services)).collect()
}

fn freeze(table: &Table<'_>, services: Option<&[String]>) -> Option<FreezeRule> {
    let name = table.required(&known::NAME, "the freeze's name").and_then(|e| e.text("a name"));
    let expected = "an IANA time zone such as `\"Europe/Berlin\"` or `\"UTC\"`";
    let timezone =
        table.required(&known::TIMEZONE, expected).and_then(|entry| zone(&entry, expected));
    let scope = table
        .get(&known::SCOPE)
        .map_or(Some(FreezeScope::default()), |entry| entry.choice(&SCOPES));
    let for_services = table.get(&known::SERVICES).map(|entry| service_names(&entry, services));
    let window = window(table);
    table.finish();
    Some(FreezeRule {
        name: name?.to_owned(),
        scope: scope?,
        services: for_services.unwrap_or_default(),
        timezone: timezone?,
        window: window?,
    })
}

pub(super) fn service_names(entry: &Entry<'_>, known: Option<&[String]>) -> Vec<ServiceName> {
    let members = entry.list("a list of services such as `[\"checkout\"]`");
    if members.is_empty() && entry.list_is_empty() {
        let hint = "leave `services` out to mean all of them".to_owned();
        entry.unexpected("at least one service", Some(hint));
    }
    members.iter().filter_map(|member| service_name(member, known)).collect()
}

fn service_name(entry: &Entry<'_>, known: Option<&[String]>) -> Option<ServiceName> {
    let name = entry.name(ServiceName::new, "a service's name")?;
    if let Some(known) = known.filter(|known| !known.iter().any(|n| n == name.as_str())) {
        let hint = did_you_mean(name.as_str(), known.iter().map(String::as_str));
        entry.fault(format!("unknown service `{name}`, expected one of this file"), hint);
    }
    Some(name)
}

fn window(table: &Table<'_>) -> Option<FreezeWindow> {
    let (weekly, from, until) =
        (table.get(&known::WEEKLY), table.get(&known::FROM), table.get(&known::UNTIL));
    match (weekly, from, until) {
        (Some(weekly), None, None) => {
            weekly.parsed(Weekly::parse, WEEKLY).map(FreezeWindow::Weekly)
        }
        (None, Some(from), Some(until)) => {
            let (start, end) = (local_time(&from), local_time(&until));
            let (start, end) = (start?, end?);
            if end <= start {
                until.unexpected(&format!("an end after `{start}`"), None);
                return None;
            }
            Some(FreezeWindow::Once { from: start, until: end })
        }
        (Some(weekly), ..) => {
            let message = "a freeze has `weekly` and `from` or `until`, expected one of both ways";
            weekly.key_fault(message.to_owned(), None);
            None
        }
        (None, from, _) => {
            let missing = if from.is_none() { &known::FROM } else { &known::UNTIL };
            let hint = "or name a weekly window with `weekly = \"Mon-Fri 08:30-20:00\"`".to_owned();
            table.missing(missing, LOCAL_TIME, Some(hint));
            None
        }
    }
}

/// What a local time should look like, for messages.
pub(super) const LOCAL_TIME: &str = "a local time such as `2026-12-24` or `2026-12-24T18:00`";

/// A local date or date and time, as text or as TOML's own; never with an offset, as the zone is
/// named beside it.
pub(super) fn local_time(entry: &Entry<'_>) -> Option<DateTime> {
    let text = match entry.as_datetime() {
        Some(text) => text,
        None => entry.text(LOCAL_TIME)?.to_owned(),
    };
    let time_part = text.split_once(['T', 't', ' ']).map_or("", |(_, time)| time);
    let has_offset = time_part.contains(['Z', 'z', '+', '-', '[']);
    let read = text.parse::<DateTime>().ok().filter(|_| !has_offset);
    if read.is_none() {
        let hint = has_offset.then(|| "the zone stands in `timezone`, leave out the offset".into());
        entry.unexpected(LOCAL_TIME, hint);
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(timezone: &str, window: FreezeWindow) -> FreezeRule {
        FreezeRule {
            name: "test".into(),
            scope: FreezeScope::Decreases,
            services: Vec::new(),
            timezone: Zone::new(timezone).unwrap(),
            window,
        }
    }

    fn weekly(timezone: &str, text: &str) -> FreezeRule {
        rule(timezone, FreezeWindow::Weekly(Weekly::parse(text).unwrap()))
    }

    /// Until when the rule's freeze is open at `now`; `-` where it is not.
    fn until(rule: &FreezeRule, now: &str) -> String {
        let now = Timestamp::parse(now).unwrap();
        let open = freezes_active(std::slice::from_ref(rule), now);
        open.first().map_or("-".into(), |freeze| freeze.until.to_string())
    }

    #[test]
    fn a_weekly_window_is_local_time_and_ends_exclusively() {
        // Shanghai is eight hours ahead all year; 2026-03-02 is a Monday.
        let office = weekly("Asia/Shanghai", "Mon-Fri 08:30-20:00");
        assert_eq!(until(&office, "2026-03-02T00:29:59Z"), "-");
        assert_eq!(until(&office, "2026-03-02T00:30:00Z"), "2026-03-02T12:00:00Z");
        assert_eq!(until(&office, "2026-03-02T11:59:59Z"), "2026-03-02T12:00:00Z");
        assert_eq!(until(&office, "2026-03-02T12:00:00Z"), "-");
        assert_eq!(until(&office, "2026-03-07T04:00:00Z"), "-", "Saturday");
    }

    #[test]
    fn windows_over_midnight_and_over_days() {
        let night = weekly("UTC", "Fri 22:00-06:00");
        assert_eq!(until(&night, "2026-03-07T05:00:00Z"), "2026-03-07T06:00:00Z");
        assert_eq!(until(&night, "2026-03-06T05:00:00Z"), "-", "the night before");
        let weekend = weekly("UTC", "Fri 18:00-Mon 08:00");
        assert_eq!(until(&weekend, "2026-03-08T12:00:00Z"), "2026-03-09T08:00:00Z");
        assert_eq!(until(&weekend, "2026-03-09T08:00:00Z"), "-");
        let most_of_a_week = weekly("UTC", "Mon 08:00-Mon 07:00");
        assert_eq!(until(&most_of_a_week, "2026-03-09T06:59:59Z"), "2026-03-09T07:00:00Z");
        assert_eq!(until(&most_of_a_week, "2026-03-09T07:30:00Z"), "-");
    }

    #[test]
    fn windows_that_touch_are_one() {
        let weekend = weekly("UTC", "Sat,Sun 00:00-24:00");
        assert_eq!(until(&weekend, "2026-03-07T10:00:00Z"), "2026-03-09T00:00:00Z");
        let always = weekly("UTC", "daily 00:00-24:00");
        assert!(*until(&always, "2026-03-07T10:00:00Z") >= *"2026-03-14T00:00:00Z");
    }

    /// The dates of a year on which a window opens, in UTC.
    fn opens(text: &str, year: i16) -> Vec<String> {
        let weekly = Weekly::parse(text).unwrap();
        let days = jiff::civil::date(year, 1, 1).series(1.day());
        let days = days.take_while(|date| date.year() == year);
        days.filter(|date| weekly.opens_on(*date))
            .map(|d| d.strftime("%m-%d").to_string())
            .collect()
    }

    #[test]
    fn windows_of_a_month_open_on_some_of_its_days() {
        // 2026-01-01 was a Thursday.
        let first = opens("first Thu 02:00-04:00", 2026).join(" ");
        assert_eq!(
            first,
            "01-01 02-05 03-05 04-02 05-07 06-04 07-02 08-06 09-03 10-01 11-05 12-03"
        );
        let fifth = opens("fifth Mon 02:00-04:00", 2026).join(" ");
        assert_eq!(fifth, "03-30 06-29 08-31 11-30");
        let last = opens("last Fri 18:00-20:00", 2026).join(" ");
        assert_eq!(last, "01-30 02-27 03-27 04-24 05-29 06-26 07-31 08-28 09-25 10-30 11-27 12-25");
        assert_eq!(opens("last Thu 18:00-20:00", 2024)[1], "02-29", "a leap day");
        for day in DAYS.map(|(word, _)| word) {
            let every = opens(&format!("{day} 02:00-04:00"), 2027);
            let all = opens(&format!("first,second,third,fourth,fifth {day} 02:00-04:00"), 2027);
            assert_eq!(all, every);
            for which in ["first", "second", "third", "fourth", "last"] {
                assert_eq!(opens(&format!("{which} {day} 02:00-04:00"), 2027).len(), 12);
            }
            let either = opens(&format!("fourth,fifth {day} 02:00-04:00"), 2027);
            let last = opens(&format!("last {day} 02:00-04:00"), 2027);
            assert!(last.iter().all(|date| either.contains(date)), "{day}");
        }
    }

    #[test]
    fn a_stretch_of_a_month_ends_in_the_next_one() {
        let weekend = weekly("UTC", "last Fri 18:00-Mon 08:00");
        assert_eq!(until(&weekend, "2026-07-31T17:59:59Z"), "-");
        assert_eq!(until(&weekend, "2026-08-02T12:00:00Z"), "2026-08-03T08:00:00Z");
        assert_eq!(until(&weekend, "2026-08-09T12:00:00Z"), "-", "the next weekend");
        // The first Thursday is one by the clock on the wall: in Shanghai it begins on Wednesday.
        let patches = weekly("Asia/Shanghai", "first Thu 02:00-04:00");
        assert_eq!(until(&patches, "2026-04-01T18:30:00Z"), "2026-04-01T20:00:00Z");
        assert_eq!(until(&patches, "2026-04-08T18:30:00Z"), "-");
    }

    /// Clocks in Berlin jumped from 02:00 to 03:00 on 2026-03-29.
    #[test]
    fn a_window_in_the_gap_of_spring_is_still_there() {
        let gap = weekly("Europe/Berlin", "daily 02:15-02:45");
        let ends = until(&gap, "2026-03-29T01:00:00Z");
        assert_eq!(ends, "2026-03-29T01:45:00Z", "03:45 in summer time");
        let around = weekly("Europe/Berlin", "daily 01:00-04:00");
        assert_eq!(until(&around, "2026-03-29T00:00:00Z"), "2026-03-29T02:00:00Z", "two hours");
        assert_eq!(until(&around, "2026-03-29T02:00:00Z"), "-");
    }

    /// Clocks in Berlin showed 02:00 to 03:00 twice on 2026-10-25.
    #[test]
    fn a_window_in_the_fold_of_autumn_lasts_through_both_hours() {
        let fold = weekly("Europe/Berlin", "daily 02:15-02:45");
        assert_eq!(until(&fold, "2026-10-25T00:14:59Z"), "-");
        assert_eq!(until(&fold, "2026-10-25T00:15:00Z"), "2026-10-25T01:45:00Z");
        assert_eq!(until(&fold, "2026-10-25T00:50:00Z"), "2026-10-25T01:45:00Z", "between both");
        assert_eq!(until(&fold, "2026-10-25T01:45:00Z"), "-");
    }

    #[test]
    fn a_single_window_is_local_too() {
        let from = "2026-12-24T00:00".parse().unwrap();
        let end = "2026-12-27T00:00".parse().unwrap();
        let holiday = rule("America/New_York", FreezeWindow::Once { from, until: end });
        assert_eq!(until(&holiday, "2026-12-24T04:59:59Z"), "-");
        assert_eq!(until(&holiday, "2026-12-24T05:00:00Z"), "2026-12-27T05:00:00Z");
        assert_eq!(until(&holiday, "2026-12-27T05:00:00Z"), "-");
    }

    #[test]
    fn weekly_windows_read_strictly() {
        let shown = |text| Weekly::parse(text).map(|weekly| weekly.to_string());
        assert_eq!(
            shown("Fri-Mon 22:00-06:00").unwrap(),
            "Mon,Fri,Sat,Sun 22:00-06:00 the day after"
        );
        assert_eq!(shown("Mon 00:00-24:00").unwrap(), "Mon 00:00-00:00 the day after");
        assert_eq!(shown("Fri 18:00-Fri 24:00").unwrap(), "Fri 18:00-00:00 the day after");
        assert_eq!(
            shown("second,last Mon,Tue 08:00-09:00").unwrap(),
            "second,last Mon,Tue 08:00-09:00"
        );
        for bad in [
            "",
            "Mon",
            "08:00-20:00",
            "Mon 8:00-20:00",
            "Mon 08:00",
            "Mon 24:00-08:00",
            "Mon 08:60-20:00",
            "Mon 25:00-26:00",
            "monday 08:00-20:00",
            "Mon- 08:00-20:00",
            "Mon,, 08:00-20:00",
            "Mon-Fri 08:00-20:00 UTC",
            "first 08:00-20:00",
            "first daily 08:00-20:00",
            "First Thu 08:00-20:00",
            "first thu 08:00-20:00",
            "fifth-and-half Mon 08:00-20:00",
            "sixth Mon 08:00-20:00",
            "first,,third Mon 08:00-20:00",
            "first,penultimate Mon 08:00-20:00",
            "Mon first 08:00-20:00",
            "first first Mon 08:00-20:00",
        ] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
