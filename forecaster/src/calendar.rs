//! Which earlier moment is alike: local days, working or at rest, and events that come again.

use fleet::Timestamp;
use serde::{Deserialize, Serialize};

const DAY_SECONDS: i64 = 86_400;

/// Days that a lookup goes back at most, from the origin: the longest public holiday and the
/// weekends around it. All lookups of days stay within it, so that a forecast, which sees a short
/// frame, finds what training found in a long one.
const REACH_DAYS: i64 = 12;

/// Days that the last time of an event may lie back.
const EVENT_REACH_DAYS: i64 = 56;

/// How far from a week an event's time of last week may be: its zone may have changed its clocks.
const WEEK_SLACK_SECONDS: i64 = 2 * 3600;

/// Days of history any feature looks back without a calendar.
const LOOKBACK_DAYS: i64 = 8;

/// What people do on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DayKind {
    /// A working day, a make-up working Saturday too.
    #[default]
    Working,
    /// A weekend or a public holiday.
    Rest,
}

/// One local day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// What people do on it.
    pub kind: DayKind,
    /// Whether that is not what they do on its weekday: a holiday in the week, work on a weekend.
    pub moved: bool,
}

/// One time that an event takes place; those of one name are the same event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// The event.
    pub name: String,
    /// Its beginning.
    pub from: Timestamp,
    /// Its end, the first moment after it.
    pub until: Timestamp,
}

/// The calendar that the users of a service live by, for some months: a plain value, made where
/// zones and holidays are known.
///
/// With it "yesterday" is the newest day of the same kind at the same local time, and "a week back"
/// the same weekday of last week where that was a day of the same kind, else the same as yesterday.
/// An event that comes again looks at its own last time, and nothing else looks at an event.
/// A moment outside the days covered is looked up as if there were no calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// From each moment on, local time is so many seconds ahead of UTC; rising.
    clock: Vec<(Timestamp, i32)>,
    /// The first day covered, counted from 1970-01-01.
    first: i64,
    days: Vec<Day>,
    /// By beginning.
    events: Vec<Occurrence>,
    /// Seconds that the longest event takes.
    longest: i64,
}

impl Calendar {
    /// A calendar of the days from `first` on, counted from 1970-01-01 in local time. `clock` says
    /// from when on local time is so many seconds ahead of UTC; its first entry holds for all time
    /// before, and without any local time is UTC. Events without length are left out.
    ///
    /// ```
    /// use fleet::Timestamp;
    /// use forecaster::{Calendar, Day, DayKind};
    ///
    /// // Thursday and Friday of 1970, eight hours ahead of UTC; that Friday people rested.
    /// let day = |kind, moved| Day { kind, moved };
    /// let days = vec![day(DayKind::Working, false), day(DayKind::Rest, true)];
    /// let calendar = Calendar::new(vec![(Timestamp(0), 8 * 3600)], 0, days, Vec::new());
    /// assert_eq!(calendar.day_at(Timestamp(0)), Some(day(DayKind::Working, false)));
    /// // Local midnight is at 16:00 UTC.
    /// assert_eq!(calendar.day_at(Timestamp(16 * 3600)), Some(day(DayKind::Rest, true)));
    /// assert_eq!(calendar.day_at(Timestamp(40 * 3600)), None);
    /// ```
    pub fn new(
        mut clock: Vec<(Timestamp, i32)>,
        first: i64,
        days: Vec<Day>,
        mut events: Vec<Occurrence>,
    ) -> Calendar {
        clock.sort_unstable();
        events.retain(|event| event.from < event.until);
        events.sort_by(|a, b| (a.from, a.until, &a.name).cmp(&(b.from, b.until, &b.name)));
        let lengths = events.iter().map(|event| event.until.0.saturating_sub(event.from.0));
        let longest = lengths.max().unwrap_or(0);
        Calendar { clock, first, days, events, longest }
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty() && self.events.is_empty()
    }

    /// The local day at a moment; `None` outside the days covered.
    pub fn day_at(&self, at: Timestamp) -> Option<Day> {
        self.day(self.local(at.0).div_euclid(DAY_SECONDS))
    }

    /// Days of history that lookups need.
    pub(crate) fn lookback_days(&self) -> usize {
        let unlike = self.days.windows(2).any(|pair| pair[0] != pair[1]);
        let days = if self.events.is_empty() && !unlike {
            LOOKBACK_DAYS
        } else {
            self.longest_pause().map_or(REACH_DAYS + 1, |pause| pause.max(REACH_DAYS) + 1)
        };
        usize::try_from(days).unwrap_or(0)
    }

    /// Days between two times of the same event, where that is within reach.
    fn longest_pause(&self) -> Option<i64> {
        let pauses = self.events.iter().enumerate().filter_map(|(index, event)| {
            let before =
                self.events[..index].iter().rev().find(|other| other.name == event.name)?;
            let days = event.from.since(before.from).0 / DAY_SECONDS.unsigned_abs() + 1;
            let days = i64::try_from(days).ok()?;
            (days <= EVENT_REACH_DAYS).then_some(days)
        });
        pauses.max()
    }

    /// Seconds of local time at `at`, as if the local clock showed UTC.
    pub(crate) fn local(&self, at: i64) -> i64 {
        at + self.ahead_of_utc(at)
    }

    fn ahead_of_utc(&self, at: i64) -> i64 {
        let later = self.clock.partition_point(|(from, _)| from.0 <= at);
        self.clock.get(later.saturating_sub(1)).map_or(0, |(_, seconds)| i64::from(*seconds))
    }

    /// The moment that the local clock shows `local`: where it shows it twice the first, where it
    /// never does as much later as the clock jumped.
    fn moment(&self, local: i64) -> i64 {
        let before = self.ahead_of_utc(local - DAY_SECONDS);
        let after = self.ahead_of_utc(local + DAY_SECONDS);
        let shown = |ahead: i64| self.ahead_of_utc(local - ahead) == ahead;
        if before != after && !shown(before) && shown(after) {
            local - after
        } else {
            local - before
        }
    }

    fn day(&self, number: i64) -> Option<Day> {
        self.days.get(usize::try_from(number.checked_sub(self.first)?).ok()?).copied()
    }

    /// The weekday whose rhythm the day at `at` follows, Sunday 0: on a day that was moved that of
    /// the last ordinary day of its kind.
    pub(crate) fn weekday(&self, at: i64) -> i64 {
        let number = self.local(at).div_euclid(DAY_SECONDS);
        let own = self.day(number).unwrap_or_default();
        let model = (1..=REACH_DAYS).map(|back| number - back).find(|&earlier| {
            self.day(earlier).is_some_and(|day| !day.moved && day.kind == own.kind)
        });
        let followed = if own.moved { model.unwrap_or(number) } else { number };
        (followed + 4).rem_euclid(7)
    }

    /// The `nth` newest moment that is like `target` and not after `origin`, or the one of last
    /// week. The answer is `None` where the calendar knows nothing of `target`, `Some(None)` where
    /// no such moment is within reach.
    pub(crate) fn alike(
        &self,
        target: i64,
        origin: i64,
        weekly: bool,
        nth: usize,
    ) -> Option<Option<i64>> {
        let event = self.event_at(target);
        if let Some(event) = event
            && self.times_before(event, target, origin).next().is_some()
        {
            return Some(self.time_before(event, target, origin, weekly, nth));
        }
        let local = self.local(target);
        let (day, time) = (local.div_euclid(DAY_SECONDS), local.rem_euclid(DAY_SECONDS));
        let kind = self.day(day)?.kind;
        let at = |number: i64| self.moment(number * DAY_SECONDS + time);
        let usual = |number: i64| {
            let same = self.day(number).is_some_and(|earlier| earlier.kind == kind);
            same && at(number) <= origin && (event.is_some() || self.event_at(at(number)).is_none())
        };
        if weekly {
            let mut weeks = (1..).map(|weeks| day - 7 * weeks);
            let last_week = weeks.find(|&number| at(number) <= origin)?;
            if usual(last_week) {
                return Some(Some(at(last_week)));
            }
        }
        let newest = (day - 1).min(self.local(origin).div_euclid(DAY_SECONDS));
        let mut alike = (0..REACH_DAYS).map(|back| newest - back).filter(|&number| usual(number));
        Some(alike.nth(nth - 1).map(at))
    }

    /// The event that takes place at `at`; of several the one that began last.
    fn event_at(&self, at: i64) -> Option<&Occurrence> {
        let begun = self.events.partition_point(|event| event.from.0 <= at);
        let recent = self.events[..begun].iter().rev();
        recent
            .take_while(|event| event.from.0.saturating_add(self.longest) > at)
            .find(|event| event.until.0 > at)
    }

    /// The moments of earlier times of `event` that lie as far from its beginning as `target`,
    /// newest first.
    fn times_before<'c>(
        &'c self,
        event: &'c Occurrence,
        target: i64,
        origin: i64,
    ) -> impl Iterator<Item = i64> + 'c {
        let begun = self.events.partition_point(|other| other.from < event.from);
        let elapsed = target.saturating_sub(event.from.0);
        let oldest = event.from.0.saturating_sub(EVENT_REACH_DAYS * DAY_SECONDS);
        let earlier = self.events[..begun].iter().rev();
        earlier
            .take_while(move |other| other.from.0 >= oldest)
            .filter(move |other| other.name == event.name)
            .map(move |other| (other, other.from.0.saturating_add(elapsed)))
            .filter(move |(other, moment)| *moment < other.until.0)
            .map(|(_, moment)| moment)
            .filter(move |moment| *moment <= origin)
    }

    fn time_before(
        &self,
        event: &Occurrence,
        target: i64,
        origin: i64,
        weekly: bool,
        nth: usize,
    ) -> Option<i64> {
        let a_week_back = |moment: &i64| {
            let off = target.saturating_sub(*moment) - 7 * DAY_SECONDS;
            off.abs() <= WEEK_SLACK_SECONDS
        };
        let last_week = self.times_before(event, target, origin).find(a_week_back);
        last_week
            .filter(|_| weekly)
            .or_else(|| self.times_before(event, target, origin).nth(nth - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    /// Days from 2026-01-01, a Thursday, that rest on weekends and on the days named.
    fn calendar(
        clock: &[(i64, i32)],
        moved: &[(i64, DayKind)],
        events: &[(&str, i64, i64)],
    ) -> Calendar {
        let first = 20_454_i64;
        let days = (first..first + 120).map(|number| {
            let weekend = matches!((number + 4).rem_euclid(7), 0 | 6);
            let usual = if weekend { DayKind::Rest } else { DayKind::Working };
            let kind = moved.iter().find(|(n, _)| first + n == number).map_or(usual, |m| m.1);
            Day { kind, moved: kind != usual }
        });
        let events = events.iter().map(|&(name, from, until)| Occurrence {
            name: name.to_owned(),
            from: Timestamp(from),
            until: Timestamp(until),
        });
        let clock = clock.iter().map(|&(from, ahead)| (Timestamp(from), ahead)).collect();
        Calendar::new(clock, first, days.collect(), events.collect())
    }

    fn at(text: &str) -> i64 {
        Timestamp::parse(text).unwrap().0
    }

    /// Yesterday's and last week's counterpart of a moment, seen from an hour before it.
    fn looked_up(calendar: &Calendar, text: &str) -> String {
        let target = at(text);
        let of = |weekly| match calendar.alike(target, target - HOUR, weekly, 1) {
            Some(Some(moment)) => Timestamp(moment).to_string(),
            Some(None) => "out of reach".to_owned(),
            None => "not covered".to_owned(),
        };
        format!("{} | {}", of(false), of(true))
    }

    #[test]
    fn a_day_looks_at_days_of_its_kind() {
        // Thursday 15 January is a holiday, Saturday 17 makes up for it.
        let moved = [(14, DayKind::Rest), (16, DayKind::Working)];
        let calendar = calendar(&[], &moved, &[]);
        let found: Vec<String> = [
            ("Wednesday 14", "2026-01-14T09:00:00Z"),
            ("holiday Thursday 15", "2026-01-15T09:00:00Z"),
            ("Friday 16", "2026-01-16T09:00:00Z"),
            ("make-up Saturday 17", "2026-01-17T09:00:00Z"),
            ("Sunday 18", "2026-01-18T09:00:00Z"),
            ("Monday 19", "2026-01-19T09:00:00Z"),
            ("Thursday 22", "2026-01-22T09:00:00Z"),
            ("Saturday 24", "2026-01-24T09:00:00Z"),
            ("beyond", "2027-01-24T09:00:00Z"),
        ]
        .map(|(day, text)| format!("{day}: {}", looked_up(&calendar, text)))
        .into();
        insta::assert_snapshot!(found.join("\n"), @r"
        Wednesday 14: 2026-01-13T09:00:00Z | 2026-01-07T09:00:00Z
        holiday Thursday 15: 2026-01-11T09:00:00Z | 2026-01-11T09:00:00Z
        Friday 16: 2026-01-14T09:00:00Z | 2026-01-09T09:00:00Z
        make-up Saturday 17: 2026-01-16T09:00:00Z | 2026-01-16T09:00:00Z
        Sunday 18: 2026-01-15T09:00:00Z | 2026-01-11T09:00:00Z
        Monday 19: 2026-01-17T09:00:00Z | 2026-01-12T09:00:00Z
        Thursday 22: 2026-01-21T09:00:00Z | 2026-01-21T09:00:00Z
        Saturday 24: 2026-01-18T09:00:00Z | 2026-01-18T09:00:00Z
        beyond: not covered | not covered
        ");
        let weekdays = [14, 15, 16, 17, 18, 19]
            .map(|day| calendar.weekday(at(&format!("2026-01-{day}T09:00:00Z"))));
        assert_eq!(weekdays, [3, 0, 5, 5, 0, 1]);
    }

    #[test]
    fn the_local_clock_is_followed_through_its_changes() {
        // An hour ahead until 29 March, then two, as in Berlin; back again some days later.
        let clock = [
            (at("2026-01-01T00:00:00Z"), 3600),
            (at("2026-03-29T01:00:00Z"), 7200),
            (at("2026-04-12T01:00:00Z"), 3600),
        ];
        let calendar = calendar(&clock, &[], &[]);
        let found: Vec<String> = [
            ("Monday after the change, 09:00 local", "2026-03-30T07:00:00Z"),
            ("Sunday of the change, 01:30 local", "2026-03-29T00:30:00Z"),
            ("Sunday of the change, 03:30 local", "2026-03-29T01:30:00Z"),
            ("the next Sunday, 02:30, which last Sunday had not", "2026-04-05T00:30:00Z"),
            ("Sunday of the change back, 02:30 the first time", "2026-04-12T00:30:00Z"),
            ("the same, the second time", "2026-04-12T01:30:00Z"),
            ("Sunday after, 02:30, which last Sunday had twice", "2026-04-19T01:30:00Z"),
        ]
        .map(|(what, text)| format!("{what}: {}", looked_up(&calendar, text)))
        .into();
        insta::assert_snapshot!(found.join("\n"), @r"
        Monday after the change, 09:00 local: 2026-03-27T08:00:00Z | 2026-03-23T08:00:00Z
        Sunday of the change, 01:30 local: 2026-03-28T00:30:00Z | 2026-03-22T00:30:00Z
        Sunday of the change, 03:30 local: 2026-03-28T02:30:00Z | 2026-03-22T02:30:00Z
        the next Sunday, 02:30, which last Sunday had not: 2026-04-04T00:30:00Z | 2026-03-29T01:30:00Z
        Sunday of the change back, 02:30 the first time: 2026-04-11T00:30:00Z | 2026-04-05T00:30:00Z
        the same, the second time: 2026-04-11T00:30:00Z | 2026-04-05T00:30:00Z
        Sunday after, 02:30, which last Sunday had twice: 2026-04-18T01:30:00Z | 2026-04-12T00:30:00Z
        ");
    }

    #[test]
    fn an_event_looks_at_its_last_time_and_nothing_else_looks_at_it() {
        let day = |text: &str| (at(text), at(text) + 24 * HOUR);
        let (first, second) = (day("2026-02-02T00:00:00Z"), day("2026-03-03T00:00:00Z"));
        let events = [
            ("sale", first.0, first.1),
            ("sale", second.0, second.1),
            ("batch", at("2026-03-10T02:00:00Z"), at("2026-03-10T03:00:00Z")),
            ("batch", at("2026-03-11T02:00:00Z"), at("2026-03-11T03:00:00Z")),
            ("batch", at("2026-03-12T01:00:00Z"), at("2026-03-12T02:00:00Z")),
            ("launch", at("2026-04-01T10:00:00Z"), at("2026-04-01T12:00:00Z")),
        ];
        let calendar = calendar(&[], &[], &events);
        let found: Vec<String> = [
            ("the sale comes again", "2026-03-03T09:00:00Z"),
            ("the first sale", "2026-02-02T09:00:00Z"),
            ("the day after", "2026-03-04T09:00:00Z"),
            ("the week after", "2026-03-10T09:00:00Z"),
            ("a batch in a zone that changed its clocks", "2026-03-12T01:20:00Z"),
            ("the hour it left", "2026-03-12T02:20:00Z"),
            ("a launch", "2026-04-01T11:00:00Z"),
            ("the day after the launch", "2026-04-02T11:00:00Z"),
        ]
        .map(|(what, text)| format!("{what}: {}", looked_up(&calendar, text)))
        .into();
        insta::assert_snapshot!(found.join("\n"), @r"
        the sale comes again: 2026-02-02T09:00:00Z | 2026-02-02T09:00:00Z
        the first sale: 2026-01-30T09:00:00Z | 2026-01-26T09:00:00Z
        the day after: 2026-03-02T09:00:00Z | 2026-02-25T09:00:00Z
        the week after: 2026-03-09T09:00:00Z | 2026-03-09T09:00:00Z
        a batch in a zone that changed its clocks: 2026-03-11T02:20:00Z | 2026-03-11T02:20:00Z
        the hour it left: 2026-03-09T02:20:00Z | 2026-03-05T02:20:00Z
        a launch: 2026-03-31T11:00:00Z | 2026-03-25T11:00:00Z
        the day after the launch: 2026-03-31T11:00:00Z | 2026-03-26T11:00:00Z
        ");
        assert_eq!(calendar.lookback_days(), 31);
    }

    #[test]
    fn days_that_are_all_alike_are_looked_up_as_without_a_calendar() {
        let calendar = Calendar::new(Vec::new(), 20_000, vec![Day::default(); 700], Vec::new());
        let origin = at("2026-02-10T09:17:00Z");
        for ahead in [0, 60, 3600, 40_000, 86_400, 90_000, 700_000] {
            for (weekly, period) in [(false, 86_400), (true, 7 * 86_400)] {
                let back = period * ((ahead + period - 1) / period).max(1);
                let found = calendar.alike(origin + ahead, origin, weekly, 1);
                assert_eq!(found, Some(Some(origin + ahead - back)), "{ahead} {weekly}");
            }
        }
        assert_eq!(calendar.alike(origin, origin, false, 7), Some(Some(origin - 7 * 86_400)));
        assert_eq!(calendar.lookback_days(), 8);
        assert!(Calendar::default().is_empty() && !calendar.is_empty());
    }
}
