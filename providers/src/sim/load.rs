//! The load on a service: daily and weekly shape, drift, noise, bursts, jobs and what befalls it.

use fleet::{Seconds, Timestamp};

use super::random::Stream;

/// What arrives at a service, as a function of time and seed. Rates are per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// The mean over an ordinary weekday, noise apart.
    pub base: f64,
    /// Height of the daily wave relative to `base`, 0 to 1.
    pub daily: f64,
    /// Height of the half-daily wave relative to `base`: a second peak.
    pub half_daily: f64,
    /// The hour (UTC) of the daily peak, 0 to 24.
    pub peak_hour: f64,
    /// Saturdays and Sundays relative to weekdays.
    pub weekend: f64,
    /// Standard deviation of the noise from minute to minute, relative.
    pub noise: f64,
    /// Standard deviation of the slow drift (20 minutes and 5 hours), relative.
    pub drift: f64,
    /// Bursts out of nowhere.
    pub bursts: Option<Bursts>,
    /// Work that comes at a time of day.
    pub jobs: Vec<Job>,
    /// What befalls this load at a set time.
    pub episodes: Vec<Episode>,
}

/// Bursts out of nowhere: a rise within three minutes, a stay, a slower fall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    pub one_hour_in: u32,
    /// Their mean height per second; each is between half and one and a half of it.
    pub height: f64,
    /// How long they last, at most an hour.
    pub lasting: Seconds,
}

/// Work that comes every day at the same time, a few minutes sooner or later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Job {
    /// Time of day, UTC.
    pub at: Seconds,
    pub lasting: Seconds,
    /// How much it brings per second.
    pub rate: f64,
}

/// What befalls a load at a set time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Episode {
    /// A launch day: the load climbs to `factor` times the usual, stays, and comes back.
    Launch {
        /// When it begins to climb.
        from: Timestamp,
        /// How long it climbs, and later falls.
        rise: Seconds,
        stay: Seconds,
        /// How many times the usual.
        factor: f64,
    },
    /// An outage upstream: nearly nothing arrives, and much of what does fails.
    Outage {
        /// When it begins; the load falls within a minute.
        from: Timestamp,
        /// When it ends; the load is back within five minutes.
        until: Timestamp,
        /// What still arrives, as a share of the usual.
        remaining: f64,
        /// Errors per second, as a share of the usual load.
        errors: f64,
        /// The share of hosts that fail their health check meanwhile.
        unhealthy: f64,
    },
}

/// What an outage does at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Distress {
    /// Errors per second.
    pub errors: f64,
    /// The share of hosts that fail their health check.
    pub unhealthy: f64,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// The streams of one load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chances {
    noise: Stream,
    fast_drift: Stream,
    slow_drift: Stream,
    bursts: Stream,
    jobs: Stream,
}

impl Chances {
    /// Chances of one service, the same for a seed whatever other services there are.
    pub fn of(seed: u64, service: &str) -> Chances {
        let stream = |purpose: &str| Stream::named(seed, &format!("load/{service}/{purpose}"));
        Chances {
            noise: stream("noise"),
            fast_drift: stream("fast drift"),
            slow_drift: stream("slow drift"),
            bursts: stream("bursts"),
            jobs: stream("jobs"),
        }
    }
}

impl Load {
    /// The mean rate per second over the minute that holds `at`.
    pub(crate) fn rate(&self, chances: &Chances, at: Timestamp) -> f64 {
        let minute = at.0.div_euclid(MINUTE);
        let noise = 1.0 + self.noise * chances.noise.bell(minute as u64);
        (self.smooth(chances, at) * noise).max(0.0)
    }

    fn smooth(&self, chances: &Chances, at: Timestamp) -> f64 {
        let mut drift = 0.0;
        if self.drift > 0.0 {
            let fast = wander(chances.fast_drift, at.0, 20 * MINUTE);
            let slow = wander(chances.slow_drift, at.0, 5 * HOUR);
            drift = self.drift * (0.6 * fast + 0.8 * slow);
        }
        let own = self.expected(at) * (1.0 + drift).max(0.0);
        (own + self.burst(chances, at.0) + self.work(chances, at.0)) * self.factor(at)
    }

    /// The rate without chance and without what befalls it: what a capacity planner would expect.
    pub(crate) fn expected(&self, at: Timestamp) -> f64 {
        let hour = at.0.rem_euclid(DAY) as f64 / HOUR as f64;
        let turn = (hour - self.peak_hour) / 24.0 * std::f64::consts::TAU;
        let wave = 1.0 + self.daily * turn.cos() + self.half_daily * (2.0 * turn).cos();
        self.base * wave.max(0.0) * self.week(at.0)
    }

    /// The day's factor, blended within two hours of midnight.
    fn week(&self, at: i64) -> f64 {
        let day = at.div_euclid(DAY);
        let of = |day: i64| {
            // Day 0, 1970-01-01, was a Thursday.
            if matches!((day + 3).rem_euclid(7), 5 | 6) { self.weekend } else { 1.0 }
        };
        let hour = at.rem_euclid(DAY) as f64 / HOUR as f64;
        let (other, share) = if hour < 2.0 {
            (of(day - 1), 0.5 - hour / 4.0)
        } else if hour > 22.0 {
            (of(day + 1), (hour - 22.0) / 4.0)
        } else {
            return of(day);
        };
        of(day) * (1.0 - share) + other * share
    }

    fn burst(&self, chances: &Chances, at: i64) -> f64 {
        let Some(bursts) = self.bursts else { return 0.0 };
        let lasting = (bursts.lasting.0 as i64).clamp(MINUTE, HOUR);
        let slot = at.div_euclid(HOUR);
        (slot - 1..=slot)
            .filter(|slot| chances.bursts.one_in(*slot as u64, bursts.one_hour_in))
            .map(|slot| {
                // Draws of one slot sit a million slots apart: the first says whether, the
                // others when and how high.
                let begins = chances.bursts.unit(slot as u64 + 1_000_000_000);
                let begins = slot * HOUR + (begins * HOUR as f64) as i64;
                let height = 0.5 + chances.bursts.unit(slot as u64 + 2_000_000_000);
                bursts.height * height * trapezoid(at - begins, 3 * MINUTE, lasting)
            })
            .sum()
    }

    fn work(&self, chances: &Chances, at: i64) -> f64 {
        let today = at.div_euclid(DAY);
        let mut rate = 0.0;
        for (index, job) in self.jobs.iter().enumerate() {
            for day in today - 1..=today {
                let shift = chances.jobs.bell((day as u64) * 64 + index as u64) * 90.0;
                let begins = day * DAY + job.at.0 as i64 + shift as i64;
                rate += job.rate * trapezoid(at - begins, 4 * MINUTE, job.lasting.0 as i64);
            }
        }
        rate
    }

    /// What the episodes make of the load.
    fn factor(&self, at: Timestamp) -> f64 {
        self.episodes.iter().map(|episode| episode.factor(at)).product()
    }

    /// What the outages add to errors and sick hosts.
    pub(crate) fn distress(&self, at: Timestamp) -> Distress {
        let mut distress = Distress::default();
        for episode in &self.episodes {
            if let Episode::Outage { from, until, errors, unhealthy, .. } = *episode
                && from <= at
                && at < until
            {
                distress.errors += errors * self.expected(at);
                distress.unhealthy = distress.unhealthy.max(unhealthy);
            }
        }
        distress
    }
}

impl Job {
    /// Whether the job runs within `[from, to)` on any day, ten minutes early or late included.
    pub(crate) fn touches(&self, from: Timestamp, to: Timestamp) -> bool {
        let early = 10 * MINUTE;
        (-1..=1).any(|day| {
            let begins = (from.0.div_euclid(DAY) + day) * DAY + self.at.0 as i64 - early;
            let ends = begins + self.lasting.0 as i64 + 2 * early;
            begins < to.0 && from.0 < ends
        })
    }
}

impl Episode {
    fn factor(&self, at: Timestamp) -> f64 {
        match *self {
            Episode::Launch { from, rise, stay, factor } => {
                let rise_s = (rise.0 as i64).max(1);
                let lasting = 2 * rise_s + stay.0 as i64;
                1.0 + (factor - 1.0) * trapezoid_even(at.0 - from.0, rise_s, lasting)
            }
            Episode::Outage { from, until, remaining, .. } => {
                let back = 5 * MINUTE;
                if at < from || at.0 >= until.0 + back {
                    1.0
                } else if at < until {
                    remaining
                } else {
                    remaining + (1.0 - remaining) * (at.0 - until.0) as f64 / back as f64
                }
            }
        }
    }
}

/// 0 to 1 within `rise`, 1, and back to 0 over the last third.
fn trapezoid(age: i64, rise: i64, lasting: i64) -> f64 {
    if age < 0 || age >= lasting {
        return 0.0;
    }
    let up = (age + 30) as f64 / rise as f64;
    let down = (lasting - age) as f64 / (lasting as f64 / 3.0);
    up.min(down).min(1.0)
}

/// 0 to 1 within `rise`, 1, and back to 0 within `rise`.
fn trapezoid_even(age: i64, rise: i64, lasting: i64) -> f64 {
    if age < 0 || age >= lasting {
        return 0.0;
    }
    (age as f64 / rise as f64).min((lasting - age) as f64 / rise as f64).min(1.0)
}

/// Chance that wanders: drawn at knots, smooth in between.
fn wander(stream: Stream, at: i64, knot: i64) -> f64 {
    let index = at.div_euclid(knot);
    let t = at.rem_euclid(knot) as f64 / knot as f64;
    let eased = t * t * (3.0 - 2.0 * t);
    stream.bell(index as u64) * (1.0 - eased) + stream.bell((index + 1) as u64) * eased
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-02T00:00:00Z, a Monday.
    const MONDAY: i64 = 1_772_409_600;

    fn shop() -> Load {
        Load {
            base: 500.0,
            daily: 0.6,
            peak_hour: 12.0,
            weekend: 0.5,
            noise: 0.02,
            drift: 0.03,
            ..Load::default()
        }
    }

    fn mean(load: &Load, from: i64, minutes: i64) -> f64 {
        let chances = Chances::of(3, "shop");
        let sum: f64 = (0..minutes).map(|m| load.rate(&chances, Timestamp(from + m * 60))).sum();
        sum / minutes as f64
    }

    #[test]
    fn days_have_a_peak_and_weekends_are_quieter() {
        let load = shop();
        let noon = mean(&load, MONDAY + 12 * HOUR - 1800, 60);
        let night = mean(&load, MONDAY + 23 * HOUR, 60);
        assert!(noon > 3.0 * night, "{noon} and {night}");
        let saturday = mean(&load, MONDAY + 5 * DAY + 12 * HOUR - 1800, 60);
        assert!((0.4..0.6).contains(&(saturday / noon)), "{saturday} and {noon}");
    }

    #[test]
    fn an_outage_takes_the_load_away_and_brings_errors() {
        let (from, until) = (Timestamp(MONDAY + 10 * HOUR), Timestamp(MONDAY + 11 * HOUR));
        let outage = Episode::Outage { from, until, remaining: 0.05, errors: 0.2, unhealthy: 0.5 };
        let load = Load { episodes: vec![outage], ..shop() };
        let before = mean(&load, from.0 - 600, 10);
        assert!(mean(&load, from.0, 10) < 0.08 * before);
        assert!(mean(&load, until.0 + 300, 10) > 0.8 * before);
        assert!(load.distress(from).errors > 50.0);
        assert_eq!(load.distress(until), Distress::default());
    }

    #[test]
    fn a_launch_multiplies_the_load_for_a_while() {
        let (rise, stay) = (Seconds::minutes(30), Seconds::hours(2));
        let from = Timestamp(MONDAY + 10 * HOUR);
        let launch = Episode::Launch { from, rise, stay, factor: 3.0 };
        let load = Load { episodes: vec![launch], ..shop() };
        let on_top = mean(&load, from.0 + 1800, 60) / mean(&shop(), from.0 + 1800, 60);
        assert!((on_top - 3.0).abs() < 0.01, "{on_top}");
        assert_eq!(mean(&load, from.0 + 4 * HOUR, 60), mean(&shop(), from.0 + 4 * HOUR, 60));
    }

    #[test]
    fn bursts_come_about_as_often_as_said() {
        let bursts = Bursts { one_hour_in: 6, height: 100.0, lasting: Seconds::minutes(20) };
        let load = Load { bursts: Some(bursts), ..Load::default() };
        let chances = Chances::of(5, "bursty");
        let busy = (0..30 * 24 * 60)
            .filter(|m| load.rate(&chances, Timestamp(MONDAY + m * 60)) > 0.0)
            .count();
        // 720 hours, one in six with a burst of 20 minutes: 2400 minutes.
        assert!((1700..3100).contains(&busy), "{busy}");
    }
}
