//! Python packages that the tests need, installed once into a folder of the repository that git ignores.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::alibaba::{KEY, SECRET};

const REQUIREMENTS: &str = include_str!("../../peers/requirements.txt");

/// The interpreter of the virtual environment that has the peers' packages.
///
/// Made on first use, by whichever test process comes first; the others wait for it. Made anew
/// where the list of packages changed or an earlier attempt was cut off.
///
/// # Panics
/// Where there is no `python3` with `venv`, or the packages cannot be fetched.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| install().unwrap_or_else(|error| panic!("the tests' peers: {error:#}")))
}

/// Runs a script of `tests/peers` and hands back what it printed.
///
/// # Panics
/// Where the script fails; with what it said.
pub fn script(name: &str, arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
    let run = Command::new(python())
        .arg(&path)
        .args(arguments)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    said(name, &run).unwrap_or_else(|error| panic!("{error:#}"))
}

/// One call by boto3, the independent witness; what it read, or its account of the refusal.
///
/// # Panics
/// Where boto3 cannot make sense of the answer.
pub fn witness(url: &str, region: &str, service: &str, operation: &str, with: &Value) -> Value {
    let text = script("cloud.py", &[url, region, service, operation, &with.to_string()]);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{operation}: {error}: {text}"))
}

/// One call by Alibaba Cloud's own SDK, in the clock of the stand-in at `url` and with its key.
///
/// # Panics
/// Where the SDK cannot make sense of the answer.
pub fn aliyun(url: &str, region: &str, product: &str, operation: &str, with: &Value) -> Value {
    aliyun_as(&[KEY, SECRET], url, region, product, operation, with)
}

/// The same with a key, its secret and, for a session, its token.
///
/// # Panics
/// Where the SDK cannot make sense of the answer.
pub fn aliyun_as(
    key: &[&str],
    url: &str,
    region: &str,
    product: &str,
    operation: &str,
    with: &Value,
) -> Value {
    let with = with.to_string();
    let call = [url, region, product, operation, with.as_str()];
    let text = script("aliyun.py", &[call.as_slice(), key].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{operation}: {error}: {text}"))
}

fn said(what: &str, run: &Output) -> Result<String> {
    if !run.status.success() {
        bail!("{what}: {}: {}", run.status, String::from_utf8_lossy(&run.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&run.stdout).into_owned())
}

fn install() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let peers = root.join(".peers");
    fs::create_dir_all(&peers)?;
    let lock = File::create(peers.join("lock"))?;
    lock.lock()?; // Given back when the file is closed, also by a crash.
    let venv = peers.join("venv");
    let python = venv.join("bin").join("python");
    let stamp = venv.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == REQUIREMENTS) {
        return Ok(python);
    }
    if venv.exists() {
        fs::remove_dir_all(&venv)?;
    }
    eprintln!("installing the tests' peers into {}", venv.display());
    let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).output();
    let made = made.context("`python3` does not start\n\nhint: install Python 3.9 or newer")?;
    said("python3 -m venv", &made)
        .context("no virtual environment\n\nhint: install the package `python3-venv`")?;
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join("requirements.txt");
    let pip = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(["--no-deps", "--requirement"])
        .arg(&list)
        .output()?;
    said("pip install", &pip).context("the package index does not answer, or lacks a version")?;
    fs::write(&stamp, REQUIREMENTS)?;
    Ok(python)
}
