//! What a machine does: a function of its stream of chance, the signal and the time.

use fleet::metric::Sample;
use fleet::usage::{HOUR, Signal};
use fleet::{Seconds, Timestamp};

use super::super::random::Stream;
use super::super::scenario::{Delivery, Gap};
use super::super::steps::Steps;
use super::faults::LATE_BY;
use super::profile::{HOUR_SECONDS, Profile};
use super::spec::EstateFaults;

/// What an agent or hypervisor reports at once.
const BLOCK: i64 = 300;
const BLOCKS: i64 = HOUR / BLOCK;

/// A signal of a machine, and all that its samples depend on.
pub(super) struct SignalTold<'a> {
    pub profile: Profile,
    pub chance: Stream,
    pub signal: Signal,
    /// It reports from here on.
    pub born: Timestamp,
    /// When it ran; `None` is always.
    pub ups: Option<&'a Steps>,
    pub delivery: Delivery,
    /// Gaps and delays of the scenario that concern it.
    pub gaps: Vec<&'a Gap>,
    /// Spans that are lost for good.
    pub lost: Vec<(Timestamp, Timestamp)>,
    pub faults: EstateFaults,
    pub now: Timestamp,
}

impl SignalTold<'_> {
    /// Samples of intervals of `step`, a whole number of minutes, that start in `[from, to)`.
    pub fn samples(&self, from: Timestamp, to: Timestamp, step: Seconds) -> Vec<Sample> {
        let step = step.0 as i64;
        let level = Level::of(self.profile, self.chance, self.signal);
        let first = from.0.div_euclid(step) + i64::from(from.0.rem_euclid(step) > 0);
        let last = (to.0.min(self.now.0) - 1).div_euclid(step);
        let mut samples = Vec::with_capacity(usize::try_from(last + 1 - first).unwrap_or(0));
        for index in first..=last {
            let start = index * step;
            let value = match step == HOUR && self.is_plain(start) {
                true => Some(level.peak(start.div_euclid(HOUR))),
                false => self.folded(&level, start, step),
            };
            samples.extend(value.map(|value| Sample { start: Timestamp(start), value }));
        }
        samples
    }

    /// Whether nothing but the machine's work decides what this hour tells.
    fn is_plain(&self, start: i64) -> bool {
        let (begins, ends) = (Timestamp(start), Timestamp(start + HOUR));
        begins >= self.born
            && self.now >= ends + self.delivery.after + LATE_BY
            && self.ups.is_none_or(|ups| ups.area(begins, ends) == HOUR_SECONDS)
            && !self.gaps.iter().any(|gap| gap.from < ends && gap.until > begins)
            && !self.lost.iter().any(|(from, until)| *from < ends && *until > begins)
    }

    /// The worst of what was reported in an interval, as far as it is seen by now.
    fn folded(&self, level: &Level, start: i64, step: i64) -> Option<f64> {
        let blocks = start.div_euclid(BLOCK)..=(start + step - 1).div_euclid(BLOCK);
        blocks
            .filter(|block| self.is_told(*block * BLOCK))
            .map(|block| level.value(block))
            .reduce(|a, b| self.signal.fold(a, b))
    }

    /// Whether the report of these five minutes is there by now.
    fn is_told(&self, start: i64) -> bool {
        let begins = Timestamp(start);
        let ends = Timestamp(start + BLOCK);
        if begins < self.born || self.ups.is_some_and(|ups| ups.at(begins) != Some(1)) {
            return false;
        }
        if self.lost.iter().any(|(from, until)| *from <= begins && begins < *until) {
            return false;
        }
        let mut late = Seconds::ZERO;
        for gap in self.gaps.iter().filter(|gap| (gap.from..gap.until).contains(&begins)) {
            match gap.late {
                Some(by) => late = late.max(by),
                None => return false,
            }
        }
        if self.faults.is_late(self.chance, start.div_euclid(HOUR)) {
            late = late.max(LATE_BY);
        }
        self.now >= ends + self.delivery.after + late
    }
}

/// How high a signal goes, at work and at rest.
struct Level {
    profile: Profile,
    chance: Stream,
    noise: Stream,
    least: bool,
    rest: (f64, f64),
    work: (f64, f64),
}

impl Level {
    fn of(profile: Profile, chance: Stream, signal: Signal) -> Level {
        let (rest, work) = match (profile, signal) {
            // Throttled to its baseline: it would do more if it could.
            (Profile::Starved, Signal::Cpu) => ((3.0, 4.5), (3.0, 4.5)),
            (Profile::Starved, Signal::CreditsLeft) => ((0.1, 0.6), (0.1, 0.6)),
            (Profile::Starved | Profile::Cache, Signal::NetworkIn | Signal::NetworkOut) => {
                ((20.0, 50.0), (20.0, 50.0))
            }
            (Profile::Starved | Profile::Cache, Signal::DiskOps) => ((0.05, 0.6), (0.05, 0.6)),
            (Profile::Cache, Signal::Cpu) => ((0.5, 2.0), (0.5, 2.0)),
            (Profile::Cache, Signal::Memory) => ((91.0, 95.0), (91.0, 95.0)),
            // Its processors wait for the accelerator; or only disk operations would tell.
            (Profile::GpuBox | Profile::Unmeasured, Signal::Cpu) => ((0.4, 1.5), (0.4, 1.5)),
            (Profile::GpuBox | Profile::Unmeasured, Signal::NetworkIn | Signal::NetworkOut) => {
                ((10.0, 40.0), (10.0, 40.0))
            }
            (Profile::GpuBox, Signal::DiskOps) => ((0.05, 0.6), (0.05, 0.6)),
            (_, Signal::Cpu) => ((0.3, 1.5), (25.0, 90.0)),
            (_, Signal::NetworkIn | Signal::NetworkOut) => ((10.0, 50.0), (1e6, 2e7)),
            (_, Signal::DiskOps) => ((0.05, 0.6), (50.0, 500.0)),
            (_, Signal::Memory) => ((18.0, 24.0), (40.0, 70.0)),
            (_, Signal::Connections) => ((0.0, 0.0), (8.0, 120.0)),
            (_, Signal::Gpu) => ((0.0, 0.0), (70.0, 99.0)),
            (_, Signal::CreditsLeft) => ((400.0, 576.0), (60.0, 300.0)),
        };
        let noise = chance.fork(300 + signal as u64);
        Level { profile, chance, noise, least: signal.is_least(), rest, work }
    }

    /// The worst value of an hour.
    fn peak(&self, hour: i64) -> f64 {
        let (low, high) = match self.profile.works(self.chance, hour) {
            true => self.work,
            false => self.rest,
        };
        low + (high - low) * self.noise.unit(hour as u64)
    }

    /// The worst value of a block: one of an hour's has the hour's.
    fn value(&self, block: i64) -> f64 {
        let hour = block.div_euclid(BLOCKS);
        let peak = self.peak(hour);
        let bits = self.noise.bits(hour as u64);
        if (bits % BLOCKS as u64) as i64 == block.rem_euclid(BLOCKS) {
            return peak;
        }
        let share = 0.4 + 0.5 * self.noise.fork(1).unit(block as u64);
        if self.least { peak / share } else { peak * share }
    }
}
