//! The time of the program under test: it stands still until the program waits, then the test moves it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use fleet::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The time that a test, its peers and the program share; the program's clock may be wrong.
#[derive(Clone, Debug)]
pub struct TestTime {
    now: Arc<AtomicI64>,
    ahead: Arc<AtomicI64>,
}

impl TestTime {
    /// A time that stands at `start`.
    pub fn starting(start: Timestamp) -> TestTime {
        TestTime { now: Arc::new(AtomicI64::new(start.0)), ahead: Arc::default() }
    }

    /// From now on the program's clock is so many seconds ahead of it, or behind.
    pub fn set_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::SeqCst);
    }

    /// How far the program's clock is ahead of it.
    fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::SeqCst)
    }

    /// What the program's clock shows.
    pub fn shown(&self) -> Timestamp {
        Timestamp(self.now().0 + self.ahead())
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    /// Moves it; never back.
    pub fn set(&self, to: Timestamp) {
        self.now.fetch_max(to.0, Ordering::SeqCst);
    }
}

impl providers::Now for TestTime {
    fn now(&self) -> Timestamp {
        TestTime::now(self)
    }
}

/// What the test wants of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Go,
    /// It dies here, at once and without notice (`kill -9`).
    Kill,
    /// It is asked to end (`kill -TERM`), and goes on as it will.
    Terminate,
}

/// The world around the program: what happens while it sleeps, and what strikes it where.
pub trait World: Send {
    /// Lets everything happen that is due up to `to`.
    ///
    /// The shared time shows `to` once this is back, not before.
    fn advance(&mut self, to: Timestamp) -> Verdict;

    /// The program has come to a named point.
    fn point(&mut self, _name: &str) -> Verdict {
        Verdict::Go
    }
}

/// The clock's end in the test: a socket that the program connects to.
#[derive(Debug)]
pub struct TestClock {
    shared: Arc<Shared>,
    folder: TempDir,
}

struct Shared {
    time: TestTime,
    world: Mutex<Box<dyn World>>,
    children: Mutex<BTreeMap<u32, Arc<Mutex<Child>>>>,
    arrived: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("time", &self.time).finish_non_exhaustive()
    }
}

impl TestClock {
    /// Starts to listen; `time` is moved by the program's sleeps.
    ///
    /// # Panics
    /// Where there is no place for a socket.
    pub fn start(time: TestTime, world: Box<dyn World>) -> TestClock {
        let folder = TempDir::new().expect("a folder for the socket");
        let listener = UnixListener::bind(folder.path().join("clock")).expect("a socket");
        let shared = Arc::new(Shared {
            time,
            world: Mutex::new(world),
            children: Mutex::default(),
            arrived: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        TestClock { shared, folder }
    }

    /// The socket's path.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    /// The folder it lies in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The time it shows.
    pub fn time(&self) -> &TestTime {
        &self.shared.time
    }

    /// Makes a process known, so that a [`Verdict::Kill`] can reach it.
    pub(crate) fn adopt(&self, pid: u32, child: Arc<Mutex<Child>>) {
        locked(&self.shared.children).insert(pid, child);
        self.shared.arrived.notify_all();
    }
}

impl Shared {
    /// Answers one program until it is gone.
    fn serve(&self, stream: UnixStream) {
        let mut wire = BufReader::new(stream);
        let mut pid = 0;
        let mut line = String::new();
        while wire.read_line(&mut line).is_ok_and(|length| length > 0) {
            let said: Value = serde_json::from_str(&line).unwrap_or_default();
            line.clear();
            let answer = if let Some(hello) = said["hello"].as_u64() {
                pid = u32::try_from(hello).expect("a process id");
                Some(json!({ "now": self.time.shown().0 }))
            } else if let Some(until) = said["sleep_until"].as_i64() {
                self.slept(pid, Timestamp(until))
            } else {
                self.reached(pid, said["point"].as_str().unwrap_or_default())
            };
            let Some(answer) = answer else { return };
            if writeln!(wire.get_mut(), "{answer}").is_err() {
                return;
            }
        }
    }

    fn slept(&self, pid: u32, until: Timestamp) -> Option<Value> {
        let mut world = locked(&self.world);
        let ahead = self.time.ahead();
        let until = Timestamp(until.0 - ahead).max(self.time.now());
        let verdict = world.advance(until);
        self.time.set(until);
        self.carry_out(pid, verdict)?;
        let is_set = self.time.ahead() != ahead;
        Some(json!({ "now": self.time.shown().0, "set": is_set }))
    }

    fn reached(&self, pid: u32, name: &str) -> Option<Value> {
        let verdict = locked(&self.world).point(name);
        self.carry_out(pid, verdict)?;
        Some(json!({ "go": true }))
    }

    fn carry_out(&self, pid: u32, verdict: Verdict) -> Option<()> {
        match verdict {
            Verdict::Go => Some(()),
            Verdict::Terminate => {
                signal(pid, "TERM");
                Some(())
            }
            Verdict::Kill => {
                kill(&self.child(pid));
                None
            }
        }
    }

    /// The process of that id; waits for [`TestClock::adopt`], which the greeting may overtake.
    fn child(&self, pid: u32) -> Arc<Mutex<Child>> {
        let children = locked(&self.children);
        let (children, late) = self
            .arrived
            .wait_timeout_while(children, Duration::from_secs(30), |all| !all.contains_key(&pid))
            .expect("no thread panicked with the lock");
        assert!(!late.timed_out(), "process {pid} speaks to the clock and was not started by us");
        Arc::clone(&children[&pid])
    }
}

/// Sends a signal by name, such as `TERM` or `HUP`.
///
/// # Panics
/// Where there is no such process.
pub fn signal(pid: u32, name: &str) {
    let kill = format!("kill -{name} {pid}");
    let sent = std::process::Command::new("sh").args(["-c", &kill]).status();
    assert!(sent.is_ok_and(|status| status.success()), "SIG{name} to {pid}");
}

/// Ends a process at once, and waits until it is gone.
pub(crate) fn kill(child: &Mutex<Child>) {
    let mut child = locked(child);
    let _ = child.kill();
    let _ = child.wait();
}

/// The lock, whoever panicked while holding it: tests go on to tell what they saw.
pub fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
