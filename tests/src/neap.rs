//! The real binary in a folder of its own: configuration, state, and what it printed.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::clock::{TestClock, kill, locked, signal};
use crate::peers::{KEY, SECRET};

/// A place for the binary to run in. What it leaves there outlives the process and ends with this.
#[derive(Debug)]
pub struct Neap {
    binary: PathBuf,
    folder: TempDir,
    clock: Option<PathBuf>,
    credentials: bool,
}

/// A running `neap run`; killed with its owner.
#[derive(Debug)]
pub struct Running {
    child: Arc<Mutex<Child>>,
    pid: u32,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// Ends a process at once, without notice.
#[derive(Clone, Debug)]
pub struct Killer(Arc<Mutex<Child>>);

impl Killer {
    /// Kills it, and waits until it is gone.
    pub fn kill(&self) {
        kill(&self.0);
    }
}

impl Neap {
    /// A place with this configuration. The state dir is `state` in it, the kill switch `stop`.
    ///
    /// `binary` is `env!("CARGO_BIN_EXE_neap-test")`, which only tests know.
    ///
    /// # Panics
    /// As all the following: where the machine refuses.
    pub fn new(binary: &str, config: &str) -> Neap {
        let folder = TempDir::new().expect("a folder");
        let neap = Neap { binary: binary.into(), folder, clock: None, credentials: true };
        neap.configure(config);
        neap
    }

    /// The same, with the time of a test.
    pub fn on(binary: &str, config: &str, clock: &TestClock) -> Neap {
        Neap { clock: Some(clock.socket()), ..Neap::new(binary, config) }
    }

    /// Writes another configuration.
    pub fn configure(&self, config: &str) {
        let head = "state_dir = \"state\"\nkill_switch = \"stop\"\n";
        fs::write(self.path("neap.toml"), format!("{head}{config}")).expect("the file is written");
    }

    /// Writes a file that nobody else may read.
    pub fn secret(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).expect("the file is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    }

    /// From now on it runs by the time of this machine.
    pub fn without_clock(self) -> Neap {
        Neap { clock: None, ..self }
    }

    /// From now on there are no credentials.
    pub fn without_credentials(self) -> Neap {
        Neap { credentials: false, ..self }
    }

    /// The folder it runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command to its end: `neap ARGUMENTS --config neap.toml`.
    pub fn output(&self, arguments: &[&str]) -> Output {
        let run = self.command(arguments).stdin(Stdio::null()).output();
        run.unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()))
    }

    /// Runs a command that reads no configuration by itself.
    pub fn output_alone(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.binary);
        let run = command.args(arguments).current_dir(self.folder.path()).output();
        run.unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()))
    }

    /// Starts `neap run`, under this clock.
    pub fn start(&self, clock: &TestClock) -> Running {
        let running = self.start_alone();
        clock.adopt(running.pid, Arc::clone(&running.child));
        running
    }

    /// Starts `neap run`, under no clock of a test.
    pub fn start_alone(&self) -> Running {
        let (stdout, stderr) = (self.path("stdout.log"), self.path("stderr.log"));
        let appended = |path: &Path| {
            let file = fs::OpenOptions::new().create(true).append(true).open(path);
            Stdio::from(file.expect("a file for its words"))
        };
        let child = self
            .command(&["run", "--format", "json"])
            .stdin(Stdio::null())
            .stdout(appended(&stdout))
            .stderr(appended(&stderr))
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()));
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        Running { child, pid, stdout, stderr }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.args(["--config", "neap.toml"]);
        command
    }

    /// Runs a command that reads no configuration by itself, with the credentials of a cloud.
    pub fn output_bare(&self, arguments: &[&str]) -> Output {
        let run = self.bare(arguments).stdin(Stdio::null()).output();
        run.unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()))
    }

    /// A command as it is given, with the credentials of a cloud.
    pub fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            let of_a_cloud =
                |name: &str| ["AWS_", "ALIBABA_CLOUD_"].iter().any(|cloud| name.starts_with(cloud));
            if name.to_str().is_some_and(of_a_cloud) {
                command.env_remove(name);
            }
        }
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
        let nowhere = self.path("no-such-file");
        command.env("AWS_CONFIG_FILE", &nowhere).env("AWS_SHARED_CREDENTIALS_FILE", &nowhere);
        command.env("HOME", &nowhere);
        if self.credentials {
            command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
            command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", KEY);
            command.env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET);
        }
        if let Some(socket) = &self.clock {
            command.env("NEAP_TEST_CLOCK", socket);
        }
        command
    }
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it at once, without notice.
    pub fn kill(&self) {
        kill(&self.child);
    }

    /// A hand that ends it at once, from wherever something strikes.
    pub fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.child))
    }

    /// Sends a signal by name, such as `TERM` or `HUP`.
    pub fn signal(&self, name: &str) {
        signal(self.pid, name);
    }

    /// Whether it has ended, and how.
    pub fn ended(&self) -> Option<ExitStatus> {
        locked(&self.child).try_wait().expect("a child of ours")
    }

    /// Waits until it ends, at most `patience` of real time.
    pub fn wait(&self, patience: Duration) -> ExitStatus {
        let give_up = Instant::now() + patience;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            let left = give_up > Instant::now();
            assert!(left, "still running after {patience:?}; it said\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it said on stderr so far, earlier runs in the same place included.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// What it printed so far, earlier runs in the same place included.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        kill(&self.child);
    }
}

fn read(path: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = fs::File::open(path) {
        let _ = file.read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}
