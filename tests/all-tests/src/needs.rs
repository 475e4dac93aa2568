//! The programs that tests need, the Debian packages that have them, and the tests that need them.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A program that some tests need.
#[derive(Debug)]
pub(crate) struct Need {
    /// What it is called.
    pub name: &'static str,
    /// A command that ends well where it is there.
    probe: &'static [&'static str],
    /// A file that must be there too.
    file: Option<&'static str>,
    /// Debian's packages that have it; none where no package helps.
    packages: &'static [&'static str],
    /// What the names of the tests that need it hold.
    pub tests: &'static [&'static str],
}

/// Whoever writes a test that needs one of these adds it here: without the program that test fails.
pub(crate) const NEEDS: [Need; 5] = [
    Need {
        name: "Python's venv",
        probe: &["python3", "-c", "import ensurepip, venv"],
        file: None,
        packages: &["python3", "python3-venv"],
        tests: &[
            "accounts::",
            "alibaba_",
            "aws_contract::",
            "aws_estate::",
            "faults::",
            "foreseen::",
            "hours::",
            "idle_day::",
            "init::",
            "kills::",
            "offhours::",
            "peers::",
            "prometheus::drives::",
            "restore::",
            "signals::",
            "the_day::",
            "two_clouds::",
        ],
    },
    Need {
        name: "Prometheus",
        probe: &["promtool", "--version"],
        file: None,
        packages: &["prometheus"],
        tests: &["monitoring::", "prometheus::"],
    },
    Need {
        name: "Chromium and a Chinese font",
        probe: &["chromium", "--version"],
        file: Some("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
        packages: &["chromium", "fonts-noto-cjk"],
        tests: &["browser::"],
    },
    Need {
        name: "Node.js and npm",
        probe: &["sh", "-c", "node --version && npm --version"],
        file: None,
        packages: &["nodejs", "npm"],
        tests: &["browser::"],
    },
    Need {
        name: "mounts in a namespace of one's own",
        probe: &[
            "sh",
            "-c",
            "[ \"$(id -u)\" = 0 ] || user=--map-root-user; unshare ${user:-} --mount true",
        ],
        file: None,
        packages: &[],
        tests: &["a_really_full_disk_lets_the_journal_go_on_with_its_reserve"],
    },
];

impl Need {
    fn is_met(&self) -> bool {
        let mut command = Command::new(self.probe[0]);
        command.args(&self.probe[1..]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
            && self.file.is_none_or(|file| Path::new(file).exists())
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        match self.packages {
            [] => Ok(()),
            packages => write!(f, " (Debian: {})", packages.join(" ")),
        }
    }
}

/// What is not there.
pub(crate) fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !need.is_met()).collect()
}

/// Installs what is missing.
///
/// # Errors
/// Why it did not, or why not all of it.
pub(crate) fn install(missing: &[&Need]) -> Result<(), String> {
    let mut packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    // Debian's npm is for Debian's Node.js: one from elsewhere brings its own.
    if has("npm") {
        packages.retain(|package| *package != "npm");
    }
    if packages.is_empty() {
        return Ok(());
    }
    if !has("apt-get") {
        return Err("there is no apt-get".to_owned());
    }
    let user = Command::new("id").arg("-u").output().map_err(|error| format!("id: {error}"))?;
    if user.stdout.trim_ascii() != b"0" {
        return Err("only root may install packages".to_owned());
    }
    eprintln!("all-tests: installs {}", packages.join(" "));
    apt_get(&["update"])?;
    apt_get(&[["install", "--yes", "--no-install-recommends"].as_slice(), &packages].concat())
}

/// Services that a package brings are not started: tests start their own.
fn apt_get(arguments: &[&str]) -> Result<(), String> {
    // Packaging may install what it needs at the same time, and two runs of apt do not mix.
    let mut command = Command::new("flock");
    command.arg(std::env::temp_dir().join("neap-apt.lock")).arg("apt-get");
    command.arg("--quiet").args(arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    let run = command.stdin(Stdio::null()).output().map_err(|error| format!("apt-get: {error}"))?;
    if run.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&run.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("apt-get {}: {last}", arguments[0]))
}

fn has(command: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", command]).output();
    found.is_ok_and(|found| found.status.success())
}
