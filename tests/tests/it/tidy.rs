//! The house rules that a compiler does not check: what the pure crates may not name or depend on, and how files begin.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

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

/// What cargo knows of our own crates: of each, its folder and the others that it needs to be built.
fn our_crates() -> BTreeMap<String, (PathBuf, BTreeSet<String>)> {
    let run = Command::new(env!("CARGO"))
        .args(["metadata", "--frozen", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let metadata: Value = serde_json::from_slice(&run.stdout).expect("cargo prints JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<String> = packages.iter().map(|package| text(&package["name"])).collect();
    let of = |package: &Value| {
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let folder = manifest.parent().expect("a manifest lies in a folder").to_owned();
        let needs = package["dependencies"].as_array().expect("dependencies").iter();
        let needs = needs.filter(|dependency| dependency["kind"].is_null());
        let needs = needs.map(|dependency| text(&dependency["name"]));
        (text(&package["name"]), (folder, needs.filter(|name| ours.contains(name)).collect()))
    };
    packages.iter().map(of).collect()
}

/// The lines of a picture in ARCHITECTURE.md: behind each name and its arrow, the names it points at.
fn pictured(heading: &str) -> BTreeMap<String, BTreeSet<String>> {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map reads");
    let (_, below) = map.split_once(heading).unwrap_or_else(|| panic!("no `{heading}`"));
    let picture = below.split("```").nth(1).unwrap_or_default();
    let arrows = picture.lines().filter_map(|line| line.split_once('→'));
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    let arrows = arrows.map(|(from, to)| (from.trim().to_owned(), words(to)));
    arrows.collect()
}

#[test]
fn the_picture_of_the_crates_is_what_cargo_knows() {
    let known: BTreeMap<String, BTreeSet<String>> = our_crates()
        .into_iter()
        .filter(|(name, _)| !["tests", "all-tests"].contains(&name.as_str()))
        .map(|(name, (_, needs))| (name, needs))
        .collect();
    assert!(known.len() > 8, "only {} crates found", known.len());
    let mut pictured = pictured("## Crates");
    for needs in pictured.values_mut() {
        needs.remove("–");
    }
    assert_eq!(pictured, known);
}

#[test]
fn dependencies_point_inward() {
    let crates = our_crates();
    let needs = |name: &str| crates[name].1.iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(needs("fleet"), Vec::<&str>::new());
    assert_eq!(needs("forecaster"), ["fleet"]);
    assert_eq!(needs("planner"), ["fleet", "forecaster"]);
    assert_eq!(needs("providers"), ["fleet"]);
    for name in ["alerts", "config", "journal", "page", "report", "shadow"] {
        let clouds = closure(name)
            .into_iter()
            .filter(|other| other.starts_with("aws-") || other == "providers");
        assert_eq!(clouds.collect::<Vec<_>>(), Vec::<String>::new(), "{name}");
    }
}

/// The module at the top of the program that a file belongs to.
fn module_of(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("daemon/neap/src/")?;
    Some(inside.split('/').next()?.trim_end_matches(".rs"))
}

/// The modules that a file names behind `crate::`, its unit tests left out.
fn modules_named(source: &str) -> BTreeSet<String> {
    let code: String = code_lines(source).map(|(_, line)| format!("{line}\n")).collect();
    let mut found = BTreeSet::new();
    for named in code.split("crate::").skip(1) {
        let several = named.strip_prefix('{').and_then(|list| list.split_once('}'));
        let list = several.map_or(named, |(list, _)| list);
        let names = list.split(',').take(if several.is_some() { usize::MAX } else { 1 });
        let name = |text: &str| {
            text.trim()
                .split(|c: char| !(c == '_' || c.is_ascii_lowercase()))
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        found.extend(names.map(name));
    }
    found.remove("");
    found
}

#[test]
fn modules_of_the_program_need_only_those_below_them() {
    let sources = rust_files();
    let modules: BTreeSet<&str> = sources.iter().filter_map(|(file, _)| module_of(file)).collect();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, source) in &sources {
        let Some(module) = module_of(file) else { continue };
        for named in modules_named(source) {
            if named != module && modules.contains(named.as_str()) {
                edges.entry(module.to_owned()).or_default().insert(named);
            }
        }
    }
    assert!(edges.len() > 8, "only {} modules found", edges.len());
    assert_eq!(pictured("## Modules of the program"), edges);
    // Taken away from the bottom: what is left over is a circle.
    let mut left = edges;
    loop {
        let above: BTreeSet<String> = left.keys().cloned().collect();
        let before = left.len();
        left.retain(|_, below| below.iter().any(|name| above.contains(name)));
        if left.len() == before {
            break;
        }
    }
    assert_eq!(left, BTreeMap::new(), "these need each other");
}

/// What a public item begins with, `pub` and modifiers apart.
const ITEMS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];

/// The name of the item that a line begins, where it is public and none of a field, a variant or a
/// re-export.
fn public_item(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub ")?;
    let mut words = rest.split_whitespace();
    let first = words.next()?;
    let (mut kind, mut name) = (first, words.next()?);
    while matches!(kind, "async" | "unsafe" | "extern") || (kind == "const" && name == "fn") {
        (kind, name) = (name, words.next()?);
    }
    ITEMS.contains(&kind).then(|| name.split(['(', '<', ':', ';', '{', '=']).next().unwrap_or(name))
}

/// Whether a doc comment stands above a line, attributes between them apart.
fn is_documented(above: &[&str]) -> bool {
    let mut in_attribute = false;
    for line in above.iter().rev().map(|line| line.trim()) {
        if in_attribute || line.starts_with("#[") {
            in_attribute = !line.starts_with("#[");
        } else if line.ends_with(")]") {
            in_attribute = true;
        } else {
            return line.starts_with("///") || line.starts_with("#![doc");
        }
    }
    false
}

#[test]
fn public_functions_and_types_are_documented() {
    let (mut faults, mut items) = (Vec::new(), 0);
    for (file, source) in rust_files() {
        if ["tests", "golden", "benches", "build.rs"].iter().any(|name| file.contains(name)) {
            continue;
        }
        let product = source.split("\n#[cfg(test)]\n").next().unwrap_or_default();
        let lines: Vec<&str> = product.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            // What a macro makes has the comment that the macro is given.
            let named = public_item(line).filter(|name| !name.starts_with('$'));
            let Some(name) = named else { continue };
            items += 1;
            if !is_documented(&lines[..at]) {
                faults.push(format!("{file}:{}: `{name}` has no comment", at + 1));
            }
        }
    }
    assert!(items > 500, "only {items} public items found, so nothing was checked");
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn a_missing_comment_is_found_behind_attributes_and_modifiers() {
    assert_eq!(public_item("    pub const fn bare(self) -> u8 {"), Some("bare"));
    assert_eq!(public_item("pub struct Bare<T> {"), Some("Bare"));
    assert_eq!(public_item("    pub field: u8,"), None);
    assert_eq!(public_item("pub(crate) fn inner() {}"), None);
    assert_eq!(public_item("pub use fleet::Units;"), None);
    assert!(is_documented(&["/// Said.", "#[derive(", "    Debug,", ")]", "#[must_use]"]));
    assert!(!is_documented(&["fn before() {}", "", "#[derive(Debug)]"]));
}

/// Lines of product code that a file may have without saying why it has more.
const LINES_MAX: usize = 500;

#[test]
fn a_long_file_says_why() {
    let mut faults = Vec::new();
    for (file, source) in rust_files() {
        let is_test = ["tests", "golden", "benches"].iter().any(|name| file.contains(name));
        let product = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = product.lines().count();
        let head: String = source.lines().map_while(|line| line.strip_prefix("//!")).collect();
        if !is_test && lines > LINES_MAX && !head.contains("one file") {
            faults.push(format!(
                "{file}: {lines} lines, expected at most {LINES_MAX}, or why it is one file"
            ));
        }
    }
    none(faults);
}

#[test]
fn a_type_is_found_by_its_name() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, source) in rust_files() {
        if ["tests", "golden", "benches"].iter().any(|name| file.contains(name)) {
            continue;
        }
        for (_, line) in code_lines(&source) {
            let mut words = words(line).skip_while(|word| ["pub", "crate", "super"].contains(word));
            if let (Some("struct" | "enum"), Some(name)) = (words.next(), words.next()) {
                places.entry(name.to_owned()).or_default().push(file.clone());
            }
        }
    }
    assert!(places.len() > 300, "only {} types found", places.len());
    let vague = ["Args", "Answer", "Asked", "Told"];
    let faults = vague.iter().filter_map(|name| {
        let files = places.get(*name).filter(|files| files.len() > 1)?;
        Some(format!("`{name}` stands in {}", files.join(", ")))
    });
    none(faults.collect());
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
    for (name, (folder, _)) in our_crates() {
        let text = fs::read_to_string(folder.join("Cargo.toml")).expect("the manifest reads");
        assert!(text.contains("[lints]\nworkspace = true"), "{name} has its own lints");
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
