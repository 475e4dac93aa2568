//! The house rules that a compiler does not check: what the pure crates may not name or depend on, and how files begin.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates that must be functions of their arguments.
const PURE: [&str; 3] = ["fleet", "forecaster", "planner"];

/// Names that bring in time, chance, tasks, threads, logs, or an order that varies.
const BANNED_NAMES: [&str; 20] = [
    "async",
    "await",
    "SystemTime",
    "Instant",
    "HashMap",
    "HashSet",
    "rand",
    "rand_chacha",
    "rand_distr",
    "tracing",
    "tokio",
    "thread",
    "thread_local",
    "print",
    "println",
    "eprint",
    "eprintln",
    "OnceLock",
    "LazyLock",
    "unsafe",
];

/// Paths into the standard library that reach outside the process or its arguments.
const BANNED_PATHS: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::io",
    "std::process",
    "std::os",
    "static mut",
    "include_bytes!",
];

/// Crates (or prefixes ending in `-`) that may not appear in a pure crate's closure of dependencies.
const BANNED_CRATES: [&str; 16] = [
    "tokio",
    "mio",
    "async-trait",
    "async-std",
    "reqwest",
    "hyper",
    "tracing",
    "tracing-",
    "log4rs",
    "env_logger",
    "aws-",
    "sled",
    "providers",
    "journal",
    "config",
    "neap",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("`tests` lies in the workspace").into()
}

/// All files below `dir`, build products and hidden folders left out.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.expect("a readable entry").path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ours = matches!(name, ".ci" | ".github" | ".gitignore") || !name.starts_with('.');
        if path.is_dir() {
            if ours && name != "target" && name != "neap-state" && name != "__pycache__" {
                files(&path, found);
            }
        } else if ours {
            found.push(path);
        }
    }
}

fn all_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&root(), &mut found);
    found
}

fn rust_files() -> Vec<(String, String)> {
    let rust: Vec<_> = all_files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| (shown(&path), fs::read_to_string(&path).expect("source is UTF-8")))
        .collect();
    assert!(rust.len() > 20, "only {} source files found, so nothing was checked", rust.len());
    rust
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The code of a file without comments, and without the unit tests at its end.
fn code_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    source
        .lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .map(|(n, line)| (n + 1, line.split("//").next().unwrap_or_default()))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

fn impurities(file: &str, source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (n, line) in code_lines(source) {
        let named = words(line).filter(|word| BANNED_NAMES.contains(word)).map(str::to_owned);
        let reached = BANNED_PATHS.iter().filter(|path| line.contains(**path));
        for what in named.chain(reached.map(|path| (*path).to_owned())) {
            faults.push(format!("{file}:{n}: `{what}` in a pure crate"));
        }
    }
    faults
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_pure_crates_name_nothing_impure() {
    let pure = |file: &str| PURE.iter().any(|name| file.starts_with(&format!("{name}/src/")));
    let sources = rust_files();
    let looked_at = sources.iter().filter(|(file, _)| pure(file)).count();
    assert!(looked_at > 8, "only {looked_at} pure files found");
    let inside = sources.iter().filter(|(file, _)| pure(file));
    none(inside.flat_map(|(file, source)| impurities(file, source)).collect());
}

#[test]
fn the_purity_check_sees_what_it_must() {
    let source = "//! async in words is fine.\nuse std::collections::HashMap; // why\nlet a = 1;\n\
                  async fn f() { std::fs::read(\"x\"); }\n#[cfg(test)]\nmod tests { use rand::Rng; }";
    let found = impurities("f.rs", source);
    assert_eq!(
        found,
        [
            "f.rs:2: `HashMap` in a pure crate",
            "f.rs:4: `async` in a pure crate",
            "f.rs:4: `std::fs` in a pure crate",
        ]
    );
}

/// The crates that `name` is built from, itself included, on this machine.
fn closure(name: &str) -> BTreeSet<String> {
    let run = Command::new(env!("CARGO"))
        .args(["tree", "--frozen", "--prefix", "none", "--edges", "normal,build"])
        .args(["--format", "{p}", "--package", name])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).expect("cargo prints UTF-8");
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_pure_crates_depend_on_nothing_impure() {
    let mut faults = Vec::new();
    for name in PURE {
        let crates = closure(name);
        assert!(crates.contains(name) && crates.contains("serde"), "closure of {name}: {crates:?}");
        for found in &crates {
            let banned =
                |ban: &&str| found == *ban || (ban.ends_with('-') && found.starts_with(*ban));
            if BANNED_CRATES.iter().any(banned) {
                faults.push(format!("`{name}` depends on `{found}`"));
            }
        }
    }
    none(faults);
}

#[test]
fn dependencies_point_inward() {
    let ours = ["fleet", "forecaster", "planner", "providers", "neap", "tests"];
    let of = |name: &str| {
        let all = closure(name);
        ours.into_iter().filter(|other| *other != name && all.contains(*other)).collect::<Vec<_>>()
    };
    assert_eq!(of("fleet"), Vec::<&str>::new());
    assert_eq!(of("forecaster"), ["fleet"]);
    assert_eq!(of("planner"), ["fleet", "forecaster"]);
    assert_eq!(of("providers"), ["fleet"]);
    assert_eq!(of("neap"), ["fleet", "forecaster", "planner", "providers"]);
    for name in ["journal", "config", "report", "alerts"] {
        let clouds = closure(name)
            .into_iter()
            .filter(|other| other.starts_with("aws-") || other == "providers");
        assert_eq!(clouds.collect::<Vec<_>>(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_file_begins_with_a_sentence() {
    let mut faults = Vec::new();
    for (file, source) in rust_files() {
        let head: String = source
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .take_while(|line| !line.trim().is_empty())
            .collect();
        let head = head.trim();
        if head.len() < 15 || !head.ends_with(['.', ':']) {
            faults.push(format!("{file}:1: begins with `{head}`, expected a `//!` sentence"));
        }
    }
    none(faults);
}

#[test]
fn nothing_is_left_half_done() {
    // In pieces, or this file would be its own first fault.
    let left: Vec<String> =
        [("to", "do!("), ("unimple", "mented!("), ("db", "g!("), ("#[ig", "nore")]
            .iter()
            .map(|(a, b)| format!("{a}{b}"))
            .collect();
    let mut faults = Vec::new();
    for (file, source) in rust_files() {
        for (n, line) in source.lines().enumerate() {
            for word in left.iter().filter(|word| line.contains(word.as_str())) {
                faults.push(format!("{file}:{}: `{word}` is left", n + 1));
            }
        }
    }
    none(faults);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let places: Vec<String> =
        [("/wo", "rk/"), ("/tmp/", "wt"), ("/ro", "ot/"), ("/ho", "me/"), ("/Use", "rs/")]
            .iter()
            .map(|(a, b)| format!("{a}{b}"))
            .collect();
    let mut faults = Vec::new();
    for path in all_files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (n, line) in text.lines().enumerate() {
            for place in places.iter().filter(|place| line.contains(place.as_str())) {
                faults.push(format!("{}:{}: `{place}`", shown(&path), n + 1));
            }
        }
    }
    none(faults);
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let manifests = all_files().into_iter().filter(|path| path.ends_with("Cargo.toml"));
    let members: Vec<PathBuf> =
        manifests.filter(|path| *path != root().join("Cargo.toml")).collect();
    assert!(members.len() > 10, "only {} crates found", members.len());
    for path in members {
        let text = fs::read_to_string(&path).expect("the manifest reads");
        assert!(text.contains("[lints]\nworkspace = true"), "{} has its own lints", shown(&path));
    }
}

/// Cargo makes a program of each `tests/NAME.rs` and `tests/NAME/main.rs` of a crate.
#[test]
fn each_crate_has_one_program_of_tests_or_says_why_not() {
    let (mut programs, mut faults) = (0, Vec::new());
    for (file, source) in rust_files() {
        let Some((of, name)) = file.rsplit_once("tests/") else { continue };
        let is_program = !name.contains('/') || name.ends_with("/main.rs");
        if !is_program || !root().join(of).join("Cargo.toml").exists() {
            continue;
        }
        programs += 1;
        let head = source.lines().map_while(|line| line.strip_prefix("//!"));
        let gives_reason = head.collect::<String>().contains("program of its own");
        if name != "it/main.rs" && !gives_reason {
            faults.push(format!(
                "{file}:1: expected a module of `{of}tests/it`, or why it is a program of its own"
            ));
        }
    }
    assert!(programs > 3, "only {programs} programs of tests found");
    none(faults);
}

/// Words in backquotes that begin like a path of the repository.
fn paths_in(text: &str) -> Vec<&str> {
    let tops = [
        ".ci/",
        "daemon/",
        "docs/",
        "fleet/",
        "forecaster/",
        "packaging/",
        "planner/",
        "providers/",
        "systemd/",
        "tests/",
    ];
    let words = text.split('`').skip(1).step_by(2);
    words.filter(|word| tops.iter().any(|top| word.starts_with(top))).collect()
}

#[test]
fn every_file_that_guides_and_records_of_decisions_name_is_there() {
    let mut documents = vec![root().join("CONTRIBUTING.md"), root().join("SECURITY.md")];
    files(&root().join("docs/adr"), &mut documents);
    let (mut named, mut faults) = (0, Vec::new());
    for document in documents {
        let text = fs::read_to_string(&document).expect("the document reads");
        for path in paths_in(&text).into_iter().filter(|path| !path.contains("NAME")) {
            named += 1;
            if !root().join(path).exists() {
                faults.push(format!("{}: there is no `{path}`", shown(&document)));
            }
        }
    }
    assert!(named > 40, "only {named} paths found");
    none(faults);
}
