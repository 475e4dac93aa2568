//! The only door to time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fleet::{ClockJump, Seconds, Step, Timestamp};
use journal::SET_BACK;
use providers::Now;

/// Wall-clock time and waiting for it. Deadlines of calls use the monotonic clock instead.
#[async_trait]
pub trait Clock: Now {
    /// Waits for as long as it is from now until `at`, whatever the wall clock does meanwhile; not at all
    /// where that is over.
    async fn sleep_until(&self, at: Timestamp);

    /// How much time has gone by since some moment, whatever the wall clock did.
    fn steady(&self) -> Duration;

    /// Whether it stands still while work is done: then all work is waited for before it moves.
    fn stands_still(&self) -> bool;
}

/// The next whole multiple of `interval`; ticks that went by during a slow cycle are left out.
pub fn next_tick(now: Timestamp, interval: Seconds) -> Timestamp {
    let step = u32::try_from(interval.0).ok().and_then(Step::new);
    step.map_or(now + interval, |step| now.floor_to(step) + interval)
}

/// When the turn after one that began at `began` is due: never more than `interval` from now, however
/// far the clock was set back meanwhile, and not at the same tick again.
pub fn next_turn(began: Timestamp, now: Timestamp, interval: Seconds) -> Timestamp {
    let from = if began.since(now) < interval { now.max(began) } else { now };
    next_tick(from, interval).min(now + interval)
}

/// A wall clock that gained more than this against the monotonic one was set, or the machine slept. What
/// gained less is late, as after a slow cycle, and holds that end by time are meant to bear that. A turn
/// whose writes hang for hours is no jump, since both clocks go on.
const SET_AHEAD: Seconds = Seconds::minutes(15);

/// Lays the wall clock beside the monotonic one.
#[derive(Clone, Copy, Debug)]
pub struct ClockWatch {
    wall: Timestamp,
    steady: Duration,
}

impl ClockWatch {
    /// From now on.
    pub fn starting(clock: &dyn Clock) -> ClockWatch {
        ClockWatch { wall: clock.now(), steady: clock.steady() }
    }

    /// Whether the wall clock, which shows `now`, was set since it was looked at last: back by what begins
    /// an era in the journal, or ahead.
    pub fn look(&mut self, now: Timestamp, steady: Duration) -> Option<ClockJump> {
        let passed = Seconds(steady.saturating_sub(self.steady).as_secs());
        let expected = self.wall + passed;
        *self = ClockWatch { wall: now, steady };
        let jump = ClockJump { expected, shows: now };
        let least = if jump.is_back() { SET_BACK } else { SET_AHEAD };
        (jump.by() > least).then_some(jump)
    }
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Now for System {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that is passed in")]
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_second())
    }
}

#[async_trait]
impl Clock for System {
    async fn sleep_until(&self, at: Timestamp) {
        tokio::time::sleep(Duration::from_secs(at.since(self.now()).0)).await;
        // A wall clock that is slowed down a little is not there yet.
        let left = at.since(self.now());
        if left <= Seconds(2) {
            tokio::time::sleep(Duration::from_secs(left.0)).await;
        }
    }

    fn steady(&self) -> Duration {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        BEGAN.get_or_init(Instant::now).elapsed()
    }

    fn stands_still(&self) -> bool {
        false
    }
}

/// A simulation's clock: stands still while work is done and moves in whole sleeps, so that what
/// happens does not depend on how fast the machine is.
#[derive(Debug)]
pub struct Simulated {
    now: AtomicI64,
    speed: f64,
}

impl Simulated {
    /// A clock that shows `start`, and sleeps `speed` simulated seconds in one real second.
    ///
    /// A `speed` that is not a positive number sleeps not at all.
    pub fn new(start: Timestamp, speed: f64) -> Simulated {
        Simulated { now: AtomicI64::new(start.0), speed }
    }
}

impl Now for Simulated {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Clock for Simulated {
    async fn sleep_until(&self, at: Timestamp) {
        let span = at.since(self.now()).0;
        let real = span as f64 / self.speed;
        if real.is_finite() && real > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(real)).await;
        }
        self.now.fetch_max(at.0, Ordering::SeqCst);
    }

    /// It is never set.
    fn steady(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.now().0).unwrap_or(0))
    }

    fn stands_still(&self) -> bool {
        true
    }
}

/// A clock that a test moves from outside, over a unix socket.
///
/// One JSON object a line. The daemon greets with `{"hello":PID}`; the test answers every line but
/// a point's with `{"now":SECONDS}`. `{"sleep_until":SECONDS}` waits until the test has moved the
/// world there; with `"set":true` in the answer the clock was set meanwhile. `{"point":NAME}` waits at
/// a place where the test may end the process.
#[cfg(feature = "test-clock")]
pub mod test {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use async_trait::async_trait;
    use fleet::Timestamp;
    use providers::Now;
    use serde_json::{Value, json};

    use super::Clock;

    /// The environment variable with the socket's path.
    pub const SOCKET_VARIABLE: &str = "NEAP_TEST_CLOCK";

    /// The clock's end in the daemon.
    #[derive(Debug)]
    pub struct Remote {
        now: Mutex<Timestamp>,
        /// How much time has gone by.
        steady: Mutex<Duration>,
        wire: Arc<Mutex<BufReader<UnixStream>>>,
    }

    impl Remote {
        /// Connects and learns the time.
        ///
        /// # Errors
        /// Where the socket cannot be reached.
        pub fn connect(path: &Path) -> std::io::Result<Remote> {
            let stream = UnixStream::connect(path)?;
            let remote = Remote {
                now: Mutex::new(Timestamp(0)),
                steady: Mutex::default(),
                wire: Arc::new(Mutex::new(BufReader::new(stream))),
            };
            remote.ask(&json!({ "hello": std::process::id() }));
            Ok(remote)
        }

        /// Stops at a named point until the test says go (or ends the process).
        pub fn point(&self, name: &str) {
            self.ask(&json!({ "point": name }));
        }

        fn ask(&self, question: &Value) {
            let answer = exchange(&self.wire, question);
            if let Some(seconds) = answer.get("now").and_then(Value::as_i64) {
                let mut now = self.now.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                *now = Timestamp(seconds);
            }
        }
    }

    /// The one connection of this process.
    ///
    /// # Errors
    /// Where the socket cannot be reached.
    pub fn remote(path: &Path) -> std::io::Result<Arc<Remote>> {
        static REMOTE: Mutex<Option<Arc<Remote>>> = Mutex::new(None);
        let mut known = REMOTE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(remote) = &*known {
            return Ok(Arc::clone(remote));
        }
        let remote = Arc::new(Remote::connect(path)?);
        *known = Some(Arc::clone(&remote));
        Ok(remote)
    }

    /// A test that is gone takes the daemon with it.
    fn exchange(wire: &Mutex<BufReader<UnixStream>>, question: &Value) -> Value {
        let mut wire = wire.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut line = String::new();
        let answered =
            writeln!(wire.get_mut(), "{question}").and_then(|()| wire.read_line(&mut line));
        match answered.map(|_| serde_json::from_str(&line)) {
            Ok(Ok(answer)) => answer,
            _ => std::process::exit(70),
        }
    }

    impl Now for Remote {
        fn now(&self) -> Timestamp {
            *self.now.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
        }
    }

    #[async_trait]
    impl Clock for Remote {
        async fn sleep_until(&self, at: Timestamp) {
            let wire = Arc::clone(&self.wire);
            let question = json!({ "sleep_until": at.0 });
            let answer = tokio::task::spawn_blocking(move || exchange(&wire, &question)).await;
            let answer = answer.unwrap_or_default();
            let shows = Timestamp(answer.get("now").and_then(Value::as_i64).unwrap_or(at.0));
            let is_set = answer.get("set").and_then(Value::as_bool).unwrap_or(false);
            let mut now = self.now.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let passed = if is_set { at.since(*now) } else { shows.since(*now) };
            *now = shows;
            let mut steady = self.steady.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            *steady += Duration::from_secs(passed.0);
        }

        fn steady(&self) -> Duration {
            *self.steady.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
        }

        fn stands_still(&self) -> bool {
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_turn_is_an_interval_away_at_most_whatever_the_clock_does(
            began in 0i64..2_000_000_000,
            moved in -40_000_000i64..40_000_000,
            interval in 1u64..4_000,
        ) {
            let (began, interval) = (Timestamp(began), Seconds(interval));
            let now = Timestamp(began.0 + moved);
            let next = next_turn(began, now, interval);
            prop_assert!(next > now && next.since(now) <= interval);
            if moved.unsigned_abs() < interval.0 {
                prop_assert!(next > began, "the same tick twice");
            }
            if moved >= 0 {
                prop_assert_eq!(next, next_tick(now, interval));
                prop_assert_eq!(next.0.rem_euclid(interval.0 as i64), 0);
            }
        }

        #[test]
        fn a_clock_that_was_set_is_seen_once_and_one_that_is_adjusted_is_not(
            start in 0i64..2_000_000_000,
            steps in proptest::collection::vec((0u64..4_000, -100_000i64..100_000), 1..30),
        ) {
            let (mut wall, mut steady) = (start, Duration::from_millis(700));
            let mut watch = ClockWatch { wall: Timestamp(wall), steady };
            for (passed, set) in steps {
                steady += Duration::from_secs(passed);
                let expected = wall + passed as i64;
                wall = expected + set;
                let seen = watch.look(Timestamp(wall), steady);
                let jump = ClockJump { expected: Timestamp(expected), shows: Timestamp(wall) };
                prop_assert_eq!(seen, (!(-30..=900).contains(&set)).then_some(jump));
                prop_assert_eq!(watch.look(Timestamp(wall), steady), None);
            }
        }
    }

    #[test]
    fn a_clock_that_runs_faster_is_late_and_was_not_set() {
        let (mut wall, mut steady) = (Timestamp(0), Duration::ZERO);
        let mut watch = ClockWatch { wall, steady };
        for (seconds, speed) in [(1, 60), (2, 60), (5, 60), (60, 2), (1, 600), (14, 60)] {
            wall = wall + Seconds(seconds * speed);
            steady += Duration::from_secs(seconds);
            assert_eq!(watch.look(wall, steady), None, "{seconds} s at {speed}");
        }
    }

    #[tokio::test]
    async fn what_is_slept_is_a_span_of_the_monotonic_clock() {
        let began = System.steady();
        System.sleep_until(System.now() + Seconds(1)).await;
        let slept = System.steady() - began;
        assert!(slept >= Duration::from_secs(1), "{slept:?}");
        System.sleep_until(System.now() - Seconds::days(1)).await;
        assert!(System.steady() - began < Duration::from_secs(60));
    }
}
