//! The only door to time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fleet::Timestamp;
use providers::Now;

/// Wall-clock time and waiting for it. Deadlines of calls use the monotonic clock instead.
#[async_trait]
pub trait Clock: Now {
    /// Waits until the wall clock shows `at`; at once where it already does.
    async fn sleep_until(&self, at: Timestamp);

    /// Whether it stands still while work is done: then all work is waited for before it moves.
    fn stands_still(&self) -> bool;
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
    /// Sleeps in slices of at most a minute, so that a wall clock set forward or back is noticed.
    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left = at.since(self.now());
            if left.0 == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_secs(left.0.min(60))).await;
        }
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

    fn stands_still(&self) -> bool {
        true
    }
}

/// A clock that a test moves from outside, over a unix socket.
///
/// One JSON object a line. The daemon greets with `{"hello":PID}`; the test answers every line but
/// a point's with `{"now":SECONDS}`. `{"sleep_until":SECONDS}` waits until the test has moved the
/// world there; `{"point":NAME}` waits at a place where the test may end the process.
#[cfg(feature = "test-clock")]
pub mod test {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

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
            let seconds = answer.ok().and_then(|a| a.get("now").and_then(Value::as_i64));
            let mut now = self.now.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            *now = Timestamp(seconds.unwrap_or(at.0));
        }

        fn stands_still(&self) -> bool {
            true
        }
    }
}
