//! `cargo all-tests`: installs the programs that tests need, runs every test, and names at the end what was not run.
//!
//! It depends on nothing, so it is built in a second and shares no features with what it tests.

mod needs;

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;

use needs::Need;

/// How many tests did what.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Count {
    /// Adds what a program of tests says at its end, `test result: ok. 3 passed; 0 failed; …`.
    fn add(&mut self, line: &str) {
        let Some((_, told)) = line.strip_prefix("test result: ").and_then(|l| l.split_once(". "))
        else {
            return;
        };
        for part in told.split("; ") {
            let Some((n, what)) = part.split_once(' ') else { continue };
            let Ok(n) = n.parse::<u64>() else { continue };
            match what.trim() {
                "passed" => self.passed += n,
                "failed" => self.failed += n,
                "ignored" | "filtered out" => self.skipped += n,
                _ => {}
            }
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(is_good) if is_good => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("all-tests: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<bool> {
    let missing = needs::missing();
    // Packages come while the tests are built.
    let (built, installed) = thread::scope(|scope| {
        let installed = scope.spawn(|| needs::install(&missing));
        let built = cargo_test().arg("--no-run").status();
        (built, installed.join().unwrap_or_else(|_| Err("the installation broke off".to_owned())))
    });
    if !built?.success() {
        return Ok(false);
    }
    let missing = if missing.is_empty() { missing } else { needs::missing() };
    let (status, count) = test(&missing)?;
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    let mut said = summary(&missing, &installed, &count);
    if is_ci && count.skipped > 0 {
        said.push_str("This is CI, where a test that was not run is a failure.\n");
    }
    io::stdout().write_all(said.as_bytes())?;
    Ok(status.success() && !(is_ci && count.skipped > 0))
}

fn cargo_test() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--workspace", "--no-fail-fast"]);
    command
}

/// Runs every test that can be, and shows what they say as they say it.
fn test(missing: &[&Need]) -> io::Result<(ExitStatus, Count)> {
    let mut command = cargo_test();
    command.arg("--").stdout(Stdio::piped());
    for name in missing.iter().flat_map(|need| need.tests) {
        command.args(["--skip", name]);
    }
    let mut child = command.spawn()?;
    let mut count = Count::default();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).split(b'\n') {
            let line = line?;
            count.add(&String::from_utf8_lossy(&line));
            let mut stdout = io::stdout().lock();
            stdout.write_all(&line)?;
            stdout.write_all(b"\n")?;
        }
    }
    Ok((child.wait()?, count))
}

fn summary(missing: &[&Need], installed: &Result<(), String>, count: &Count) -> String {
    let mut said = String::from("\n");
    if count.skipped > 0 {
        said.push_str(&format!("{} tests were NOT RUN:\n", count.skipped));
        for need in missing {
            said.push_str(&format!("  {} need {need}\n", need.tests.join(" ")));
        }
        if let Err(why) = installed {
            said.push_str(&format!("It was not installed: {why}.\n"));
        }
    }
    said.push_str(&format!(
        "{} passed, {} failed, {} skipped\n",
        count.passed, count.failed, count.skipped
    ));
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_of_tests_say_is_added_up() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.00s",
            "test said::tests::result ... ok",
            "test result: FAILED. 10 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 2s",
        ] {
            count.add(line);
        }
        assert_eq!(count, Count { passed: 13, failed: 1, skipped: 3 });
    }

    #[test]
    fn what_was_not_run_is_named_with_its_reason() {
        let missing: Vec<&Need> =
            needs::NEEDS.iter().filter(|need| need.name == "Prometheus").collect();
        let count = Count { passed: 7, failed: 0, skipped: 2 };
        let said = summary(&missing, &Err("only root may install packages".to_owned()), &count);
        assert_eq!(
            said,
            "\n2 tests were NOT RUN:\n  monitoring:: prometheus:: need Prometheus (Debian: prometheus)\n\
             It was not installed: only root may install packages.\n7 passed, 0 failed, 2 skipped\n"
        );
    }
}
