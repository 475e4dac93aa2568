//! What a calendar is for: clock changes, public holidays, work on a Saturday, sales that come
//! again. Each load is generated from what people do by their own clock, and forecast with and
//! without the calendar that says so.

use fleet::{Level, Step, Timestamp};
use forecaster::{
    Calendar, Day, DayKind, ModelKind, Occurrence, QuantileForecast, Series, ServiceForecaster,
    Windows, forecast_once,
};
use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Moment, ToSpan};
use proptest::prelude::*;

/// A quarter of an hour: fine enough for an hour to show, coarse enough to be quick.
const STEP_SECONDS: u32 = 900;

/// Where people live, and which days are not what their weekday says.
struct Country {
    zone: TimeZone,
    moved: Vec<(Date, DayKind)>,
    events: Vec<(&'static str, Moment, Moment)>,
}

impl Country {
    fn new(zone: &str, moved: &[(Date, DayKind)]) -> Country {
        let zone = TimeZone::get(zone).unwrap();
        Country { zone, moved: moved.to_vec(), events: Vec::new() }
    }

    fn kind(&self, day: Date) -> DayKind {
        let moved = self.moved.iter().find(|(date, _)| *date == day);
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        let usual = if weekend { DayKind::Rest } else { DayKind::Working };
        moved.map_or(usual, |(_, kind)| *kind)
    }

    fn is_moved(&self, day: Date) -> bool {
        self.moved.iter().any(|(date, _)| *date == day)
    }

    /// The load at a moment: nights are quiet, people come at seven and leave at six, and on a day
    /// of rest a third of them come at ten. During an event it is three times that.
    fn load(&self, at: Moment) -> f64 {
        let local = self.zone.to_datetime(at);
        let hour = f64::from(local.hour()) + f64::from(local.minute()) / 60.0;
        let (from, until, height) = match self.kind(local.date()) {
            DayKind::Working => (7.0, 18.0, 900.0),
            DayKind::Rest => (10.0, 20.0, 300.0),
        };
        let ramp = |since: f64| (since / 0.75).clamp(0.0, 1.0);
        let busy = ramp(hour - from).min(ramp(until - hour));
        let hash = (at.as_second() as u32 / STEP_SECONDS).wrapping_mul(2_654_435_769) >> 8;
        let noise = f64::from(hash) / f64::from(1 << 24) - 0.5;
        let times = if self.events.iter().any(|(_, from, until)| *from <= at && at < *until) {
            3.0
        } else {
            1.0
        };
        (100.0 + height * busy) * (1.0 + 0.06 * noise) * times
    }

    fn series(&self, from: &str, until: &str) -> Series {
        let (from, until): (Moment, Moment) = (from.parse().unwrap(), until.parse().unwrap());
        let count = (until.as_second() - from.as_second()) / i64::from(STEP_SECONDS);
        let at = |i: i64| Moment::from_second(from.as_second() + i * i64::from(STEP_SECONDS));
        let values = (0..count).map(|i| Some(self.load(at(i).unwrap())));
        let step = Step::new(STEP_SECONDS).unwrap();
        Series::from_values(Timestamp(from.as_second()), step, values).unwrap()
    }

    /// The calendar of 2026.
    fn calendar(&self) -> Calendar {
        let first = date(2025, 12, 1);
        let number = first.since(date(1970, 1, 1)).unwrap().get_days();
        let days = (0..450i32).map(|n| {
            let day = first + n.days();
            Day { kind: self.kind(day), moved: self.is_moved(day) }
        });
        let start =
            self.zone.to_timestamp(first.to_datetime(jiff::civil::Time::midnight())).unwrap();
        let mut clock = vec![(Timestamp(start.as_second()), self.zone.to_offset(start).seconds())];
        clock.extend(
            self.zone.following(start).take(3).map(|change| {
                (Timestamp(change.timestamp().as_second()), change.offset().seconds())
            }),
        );
        let events = self.events.iter().map(|(name, from, until)| Occurrence {
            name: (*name).to_owned(),
            from: Timestamp(from.as_second()),
            until: Timestamp(until.as_second()),
        });
        Calendar::new(clock, i64::from(number), days.collect(), events.collect())
    }

    /// Mean distance of the median from what will happen in the next `steps`, without and with the
    /// calendar, as shares of the mean load to come.
    fn errors(&self, from: &str, until: &str, steps: usize) -> (f64, f64) {
        let plain = self.series(from, until);
        let mut informed = plain.clone();
        informed.set_calendar(self.calendar());
        (self.error(&plain, steps), self.error(&informed, steps))
    }

    fn error(&self, series: &Series, steps: usize) -> f64 {
        let forecast = forecast(series, ModelKind::Auto, steps);
        let truths = forecast.steps().map(|(stamp, row)| {
            let truth = self.load(Moment::from_second(stamp.0).unwrap());
            ((row[1] - truth).abs(), truth)
        });
        let (off, total) =
            truths.fold((0.0, 0.0), |sum, (off, truth)| (sum.0 + off, sum.1 + truth));
        off / total
    }
}

fn forecast(series: &Series, model: ModelKind, steps: usize) -> QuantileForecast {
    let levels: Vec<Level> = [0.1, 0.5, 0.9].map(|level| Level::new(level).unwrap()).into();
    forecast_once(series, model, steps, &levels).unwrap().0
}

/// People set their clocks, so by UTC the morning comes an hour earlier in spring and an hour later
/// in autumn. Yesterday and last week are looked up by the local clock: the forecast has the
/// morning where people will have it, at once and not after days of errors.
#[test]
fn after_a_clock_change_the_forecast_follows_local_time() {
    let berlin = Country::new("Europe/Berlin", &[]);
    for (what, from, until) in [
        ("spring", "2026-02-15T00:00:00Z", "2026-03-30T03:30:00Z"),
        ("autumn", "2026-09-13T00:00:00Z", "2026-10-26T03:30:00Z"),
    ] {
        let (plain, informed) = berlin.errors(from, until, 20);
        assert!(informed < 0.05, "{what}: {informed:.3} with, {plain:.3} without a calendar");
        assert!(
            plain > 2.0 * informed,
            "{what}: {informed:.3} with, {plain:.3} without a calendar"
        );
    }
}

/// Half an hour ahead of UTC or not, and no clock change: a calendar of a zone alone does no harm.
#[test]
fn between_clock_changes_a_zone_makes_no_difference_worth_naming() {
    let country = Country::new("Asia/Kolkata", &[]);
    let (plain, informed) = country.errors("2026-01-04T00:00:00Z", "2026-02-12T00:30:00Z", 20);
    assert!(informed < plain + 0.01, "{informed:.3} with, {plain:.3} without a calendar");
}

/// The Spring Festival of 2026: off from Sunday 15 to Monday 23 February, at work on Saturdays 14
/// and 28.
fn china() -> Country {
    let mut moved: Vec<(Date, DayKind)> =
        [16, 17, 18, 19, 20, 23].map(|day| (date(2026, 2, day), DayKind::Rest)).into();
    moved.extend([14, 28].map(|day| (date(2026, 2, day), DayKind::Working)));
    moved.extend([(date(2026, 1, 1), DayKind::Rest), (date(2026, 1, 2), DayKind::Rest)]);
    moved.push((date(2026, 1, 4), DayKind::Working));
    Country::new("Asia/Shanghai", &moved)
}

#[test]
fn a_make_up_working_saturday_is_forecast_as_work() {
    // Seen from five in the morning in Shanghai.
    let (plain, informed) = china().errors("2026-01-05T00:00:00Z", "2026-02-13T21:00:00Z", 28);
    assert!(informed < 0.1, "{informed:.3} with, {plain:.3} without a calendar");
    assert!(plain > 3.0 * informed, "{informed:.3} with, {plain:.3} without a calendar");
}

#[test]
fn a_public_holiday_is_forecast_as_rest_and_the_day_after_as_work() {
    for (what, until) in [
        ("the first weekday of the holiday", "2026-02-15T21:00:00Z"),
        ("the fourth", "2026-02-18T21:00:00Z"),
        ("the first day back at work", "2026-02-23T21:00:00Z"),
    ] {
        let (plain, informed) = china().errors("2026-01-05T00:00:00Z", until, 28);
        assert!(informed < 0.12, "{what}: {informed:.3} with, {plain:.3} without a calendar");
        assert!(plain > informed, "{what}: {informed:.3} with, {plain:.3} without a calendar");
    }
}

/// A sale on the tenth of the month, a whole day of Shanghai: three times the load.
#[test]
fn a_sale_that_comes_again_is_forecast_from_its_last_time_and_leaves_no_echo() {
    let mut country = Country::new("Asia/Shanghai", &[]);
    for month in [8, 9] {
        let midnight = date(2026, month, 10).at(0, 0, 0, 0);
        let from = country.zone.to_timestamp(midnight).unwrap();
        country.events.push(("sale", from, from + 24.hours()));
    }
    let yesterday = ModelKind::SeasonalDay;
    let mean = |series: &Series| {
        let rows = forecast(series, yesterday, 16);
        rows.steps().map(|(_, row)| row[1]).sum::<f64>() / 16.0
    };
    for (what, until, times) in [
        ("the sale's morning", "2026-09-10T00:00:00Z", 3.0),
        ("the morning after", "2026-09-11T00:00:00Z", 1.0),
    ] {
        let mut series = country.series("2026-07-20T00:00:00Z", until);
        series.set_calendar(country.calendar());
        let ratio = mean(&series) / 1000.0;
        assert!((ratio / times - 1.0).abs() < 0.15, "{what}: {ratio:.2} times an ordinary day");
    }
}

/// A batch at two in the night of Shanghai, for users in Berlin: when Berlin's clocks change, the
/// batch does not move.
#[test]
fn a_batch_in_another_zone_stays_at_its_own_time() {
    let mut country = Country::new("Europe/Berlin", &[]);
    let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
    for n in 0..60i32 {
        let day = date(2026, 2, 10) + n.days();
        let from = shanghai.to_timestamp(day.at(2, 0, 0, 0)).unwrap();
        country.events.push(("batch", from, from + 1.hours()));
    }
    // The Monday after, from 18:00 UTC on: an hour of batch.
    let mut series = country.series("2026-02-15T00:00:00Z", "2026-03-30T18:00:00Z");
    series.set_calendar(country.calendar());
    let found = forecast(&series, ModelKind::SeasonalDay, 4);
    for (stamp, row) in found.steps() {
        let truth = country.load(Moment::from_second(stamp.0).unwrap());
        assert!((row[1] / truth - 1.0).abs() < 0.15, "{stamp}: {} in place of {truth}", row[1]);
    }
}

/// A calendar that says nothing, and one whose days are all alike by UTC, leave every bit as it is.
#[test]
fn a_calendar_that_says_nothing_new_changes_no_bit() {
    let country = Country::new("Europe/Berlin", &[]);
    let plain = country.series("2026-02-15T00:00:00Z", "2026-03-30T03:30:00Z");
    let mut empty = plain.clone();
    empty.set_calendar(Calendar::default());
    let mut alike = plain.clone();
    alike.set_calendar(Calendar::new(Vec::new(), 20_000, vec![Day::default(); 900], Vec::new()));
    let windows = Windows::new(1, 2, 8).unwrap();
    let service = |series: &Series| {
        let mut service = ServiceForecaster::new(series.step(), ModelKind::Auto);
        service.refit(series, windows).unwrap();
        format!("{:?}", service.forecast(series, windows).unwrap())
    };
    for model in ModelKind::ALL {
        let expected = forecast(&plain, model, 20);
        assert_eq!(forecast(&empty, model, 20), expected, "{model}");
        assert_eq!(forecast(&alike, model, 20), expected, "{model}");
    }
    assert_eq!(service(&empty), service(&plain));
    assert_eq!(service(&alike), service(&plain));
}

/// Any calendar at all, times that no clock shows among them.
fn any_calendar() -> impl Strategy<Value = Calendar> {
    let start = 1_767_225_600_i64;
    let moment = move || {
        prop_oneof![
            9 => (-10i64..30 * 86_400).prop_map(move |s| start + s),
            1 => prop::sample::select(vec![i64::MIN, 0, i64::MAX]),
        ]
        .prop_map(Timestamp)
    };
    let day = (any::<bool>(), any::<bool>()).prop_map(|(rest, moved)| Day {
        kind: if rest { DayKind::Rest } else { DayKind::Working },
        moved,
    });
    let event = (prop::sample::select(vec!["sale", "batch"]), moment(), moment())
        .prop_map(|(name, from, until)| Occurrence { name: name.to_owned(), from, until });
    (
        prop::collection::vec((moment(), -50_000i32..50_000), 0..4),
        prop_oneof![4 => 20_440i64..20_470, 1 => any::<i64>()],
        prop::collection::vec(day, 0..40),
        prop::collection::vec(event, 0..8),
    )
        .prop_map(|(clock, first, days, events)| Calendar::new(clock, first, days, events))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    /// Nothing ahead of an origin is looked up, which would be outside its frame.
    #[test]
    fn any_calendar_gives_a_sane_forecast(calendar in any_calendar(), hours in 250usize..420) {
        let values = (0..hours).map(|i| Some(100.0 + f64::from((i * 37 % 24) as u32)));
        let hour = Step::new(3600).unwrap();
        let mut series = Series::from_values(Timestamp(1_767_225_600), hour, values).unwrap();
        series.set_calendar(calendar);
        for model in ModelKind::ALL {
            let found = forecast(&series, model, 6);
            for (_, row) in found.steps() {
                prop_assert!(row.iter().all(|value| value.is_finite() && *value >= 0.0));
                prop_assert!(row.windows(2).all(|pair| pair[0] <= pair[1]));
            }
        }
    }
}
