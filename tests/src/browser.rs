//! Headless Chromium for the tests: what drives it, installed once into a folder that git ignores.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const LOCK: &str = include_str!("../browser/package-lock.json");
/// What lies in `tests/browser`.
const FILES: [&str; 5] =
    ["package.json", "package-lock.json", "page.mjs", "secured.mjs", "walk.mjs"];
const CHROMIUM: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];

/// The browser.
///
/// # Panics
/// Where there is none.
pub fn chromium() -> &'static str {
    let found = CHROMIUM.into_iter().find(|path| Path::new(path).exists());
    found.expect("no Chromium\n\nhint: install the package `chromium`")
}

/// Runs a script of `tests/browser` and hands back what it printed.
///
/// # Panics
/// Where the script fails; with what it said.
pub fn script(name: &str, with: &Value) -> Value {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        install().unwrap_or_else(|error| panic!("what drives the browser: {error:#}"))
    });
    let run = Command::new("node").arg(name).arg(with.to_string()).current_dir(folder).output();
    let run = run.unwrap_or_else(|error| panic!("node: {error}"));
    let text = said(name, &run).unwrap_or_else(|error| panic!("{error:#}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"))
}

fn said(what: &str, run: &Output) -> Result<String> {
    if !run.status.success() {
        bail!("{what}: {}: {}", run.status, String::from_utf8_lossy(&run.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&run.stdout).into_owned())
}

/// Made anew where the list of packages changed or an earlier attempt was cut off.
fn install() -> Result<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tests.parent().context("no workspace")?.join(".peers").join("browser");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?; // Given back when the file is closed, also by a crash.
    for name in FILES {
        fs::copy(tests.join("browser").join(name), folder.join(name))?;
    }
    let stamp = folder.join("node_modules").join("installed.json");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == LOCK) {
        return Ok(folder);
    }
    eprintln!("installing what drives the browser into {}", folder.display());
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&folder)
        .output();
    let npm = npm.context("`npm` does not start\n\nhint: install Node.js 18 or newer, with npm")?;
    said("npm ci", &npm).context("the package registry does not answer, or lacks a version")?;
    fs::write(&stamp, LOCK)?;
    Ok(folder)
}
