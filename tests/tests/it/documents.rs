//! The documents: links lead somewhere, both languages say the same, and whoever is on call finds every hold, alert and exit code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fleet::FaultKind;
use fleet::alert::{Condition, Severity};
use journal::JournalFault;
use page::metrics::catalogue;
use planner::idle::plan::IdleHold;
use planner::plan::Hold;
use report::conditions::{
    AGAIN_AFTER_CYCLES, resolves_after_cycles, rings_after_cycles, rings_again_after,
};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");

/// The longest that the README may be.
const README_LINES: usize = 250;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("`tests` lies in the workspace").into()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

fn markdown_below(dir: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.sort();
    for path in paths {
        // What mdBook renders lies beside its sources.
        if path.is_dir() && path.file_name().is_some_and(|name| name != "book") {
            markdown_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The README in both languages, and all below `docs/`.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md"), root().join("README.zh.md")];
    markdown_below(&root().join("docs"), &mut found);
    assert!(found.len() > 30, "only {} documents found", found.len());
    found
}

/// A book's pages by their path below its sources; without the table of contents.
fn pages(language: &str) -> BTreeMap<String, String> {
    let source = root().join("docs").join(language).join("src");
    let mut found = Vec::new();
    markdown_below(&source, &mut found);
    let name = |path: &Path| path.strip_prefix(&source).expect("below").display().to_string();
    let all = found.iter().map(|path| (name(path), read(path)));
    all.filter(|(name, _)| name != "SUMMARY.md").collect()
}

/// A document's lines, and whether each is one of code.
fn lines(text: &str) -> Vec<(bool, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        // Four blanks begin a block of code, seven one in a list; a list's text has three or five.
        let blanks = line.len() - line.trim_start_matches(' ').len();
        lines.push((fenced || blanks == 4 || blanks > 5, line));
    }
    lines
}

/// What a document says in no language: the levels of its headings, its lines of code without what
/// follows two spaces and without comments, and the names in its sentences.
fn bones(text: &str) -> (Vec<usize>, Vec<&str>, BTreeSet<String>) {
    let (mut levels, mut code, mut prose) = (Vec::new(), Vec::new(), String::new());
    for (is_code, line) in lines(text) {
        if is_code {
            let said = line.trim().split("  ").next().unwrap_or_default();
            code.extend(Some(said).filter(|said| !said.is_empty() && !said.starts_with('#')));
        } else {
            levels.extend(
                line.starts_with('#').then(|| line.len() - line.trim_start_matches('#').len()),
            );
            prose.push_str(line);
            prose.push('\n');
        }
    }
    let names = prose.split('`').skip(1).step_by(2);
    let names = names.map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "));
    (levels, code, names.collect())
}

/// Where a document in the other language says something else.
fn differences(name: &str, english: &str, chinese: &str) -> Vec<String> {
    let (levels, code, names) = bones(english);
    let (levels_too, code_too, names_too) = bones(chinese);
    let mut faults = Vec::new();
    if levels != levels_too {
        faults.push(format!("{name}: the sections are {levels:?} and {levels_too:?}"));
    }
    let line = code.iter().zip(&code_too).find(|(one, other)| one != other);
    faults.extend(line.map(|(one, other)| format!("{name}: the code has `{one}` and `{other}`")));
    if code.len() != code_too.len() {
        faults.push(format!("{name}: {} and {} lines of code", code.len(), code_too.len()));
    }
    let lacks = |name: &str, of: &str, what: &str| format!("{name}: `{what}` is not in {of}");
    faults.extend(names.difference(&names_too).map(|what| lacks(name, "Chinese", what)));
    faults.extend(names_too.difference(&names).map(|what| lacks(name, "English", what)));
    faults
}

#[test]
fn the_readme_says_the_same_in_both_languages() {
    let (english, chinese) = (read(&root().join("README.md")), read(&root().join("README.zh.md")));
    let (levels, code, names) = bones(&english);
    assert!(levels.len() > 6 && code.len() > 20 && names.len() > 25, "little was compared");
    none(differences("README", &english, &chinese));
}

#[test]
fn the_readme_is_read_in_one_go() {
    for name in ["README.md", "README.zh.md"] {
        let lines = read(&root().join(name)).lines().count();
        assert!(lines <= README_LINES, "{name} has {lines} lines, at most {README_LINES}");
    }
}

#[test]
fn both_books_say_the_same() {
    let (english, chinese) = (pages("en"), pages("zh"));
    let names = |book: &BTreeMap<String, String>| book.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&english), names(&chinese), "the pages");
    let code: usize = english.values().map(|page| bones(page).1.len()).sum();
    assert!(english.len() > 15 && code > 200, "little was compared");
    let both = english.iter().map(|(name, page)| (name, page, &chinese[name]));
    none(both.flat_map(|(name, page, other)| differences(name, page, other)).collect());
}

/// The targets of a document's links and pictures.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, line) in lines(text).into_iter().filter(|(is_code, _)| !is_code) {
        // Names in code hold no links.
        let said: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let mut rest = said.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            let (target, next) = after.split_once(')').unwrap_or((after, ""));
            found.push(target.to_owned());
            rest = next;
        }
    }
    found
}

/// What a heading is linked by, as mdBook and forges make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in lines(text).into_iter().filter(|(is_code, _)| !is_code) {
        if line.starts_with('#') {
            found.insert(anchor(line.trim_start_matches('#')));
        }
        let ids = line.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next());
        found.extend(ids.map(str::to_owned));
    }
    found
}

/// Terraform takes the policies from their files; CloudFormation cannot, and holds the same.
#[test]
fn roles_are_made_of_the_policies_that_are_shipped() {
    let systemd = root().join("systemd");
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_str(&read(&systemd.join(name)))
            .unwrap_or_else(|why| panic!("{name}: {why}"))
    };
    let template = json("aws-roles.cfn.json");
    for (resource, policy) in
        [("Observer", "aws-observer-policy.json"), ("Actor", "aws-actor-policy.json")]
    {
        let held = &template["Resources"][resource]["Properties"]["PolicyDocument"];
        assert_eq!(held, &json(policy), "{resource}: a policy changed; put it into the template");
    }
    assert_eq!(template["Resources"]["Actor"]["Condition"], "Acts", "nobody acts unasked");
    for cloud in ["aws", "alibaba"] {
        let text = read(&systemd.join(format!("{cloud}-roles.tf")));
        for role in ["observer", "actor"] {
            let named = format!("file(\"${{path.module}}/{cloud}-{role}-policy.json\")");
            assert_eq!(text.matches(&named).count(), 1, "{cloud}: {named}");
        }
        let count = |bracket: char| text.matches(bracket).count();
        assert_eq!((count('{'), count('[')), (count('}'), count(']')), "{cloud}");
        assert!(text.contains("default     = false"), "{cloud}: nobody acts unasked");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut faults = Vec::new();
    let mut looked_at = 0;
    for path in documents() {
        let dir = path.parent().expect("a file lies in a folder");
        for link in links(&read(&path)) {
            if link.starts_with("https://") || link.starts_with("http://") {
                continue;
            }
            looked_at += 1;
            let (file, place) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { dir.join(file) };
            if !target.is_file() {
                faults.push(format!("{}: no file `{link}`", shown(&path)));
            } else if !place.is_empty() && !anchors(&read(&target)).contains(place) {
                faults.push(format!("{}: no heading `{link}`", shown(&path)));
            }
        }
    }
    assert!(looked_at > 60, "only {looked_at} links found");
    none(faults);
}

#[test]
fn anchors_are_those_of_the_renderers() {
    assert_eq!(anchor(" When the journal does not open"), "when-the-journal-does-not-open");
    assert_eq!(anchor(" Prometheus 的告警"), "prometheus-的告警");
    assert_eq!(anchor(" `[page]`, and more"), "page-and-more");
}

#[test]
fn the_table_of_contents_has_every_page() {
    for language in ["en", "zh"] {
        let contents = read(&root().join("docs").join(language).join("src/SUMMARY.md"));
        let listed: BTreeSet<String> = links(&contents).into_iter().collect();
        let there: BTreeSet<String> = pages(language).into_keys().collect();
        assert_eq!(listed, there, "{language}");
    }
}

/// Lists an enum's variants by name. The match is complete, so a new variant has to be listed here
/// before this compiles, and in the runbook before the test passes.
macro_rules! variants {
    ($list:ident of $of:ident: $($variant:ident)*) => {
        fn $list() -> BTreeSet<String> {
            let _is_complete = |value: &$of| match value { $($of::$variant { .. } => (),)* };
            [$(stringify!($variant)),*].into_iter().map(kebab).collect()
        }
    };
}

fn kebab(name: &str) -> String {
    let mut word = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(c.to_ascii_lowercase());
    }
    word
}

variants! { holds of Hold:
    RightSize KillSwitch ObserveOnly Frozen Owned NativePolicy Override Unobserved GroupUnread
    NoDemand DemandStale DemandIncomplete Provisional Censored Absurd NoForecast ForecastDistrusted
    CapacityUnknown GroupIsChanging WarmingUp UnknownMembers Refreshing Suspended AtBound
    CoolingDown HoldWindow Dwelling StepLimit OverBudget Protected OutageShape BillingMinimum
    OrderUnconfirmed OutOfCapacity DiskReserve SpendCeiling EventFloor Shadow Canary OfferVoid
    Unproven Unconfirmed SensorStuck FullBelow FellAlone Disagree
    SizedBy Undiscovered Deploying LaunchesFail Hours HoursFloor
}

variants! { holds_of_machines of IdleHold:
    InUse IdleByTheClock NotEnoughData NotRunning FindingOnly NotOptedIn ProtectTag InScalingGroup
    Orchestrated InTargetGroup LocalDisk Accelerator ForwardsTraffic SpotTerminates Protected
    PassiveRole Alarm OwnHost Unread SavesNothing CannotHibernate RestartRisk Exempt ObserveMode
    RuleObserves FirstDays InGrace NeedsApproval KillSwitch Frozen DiskFull NotSteady Surge
    AboveDayCap BlastRadius ScheduledUp Woken ByHand OrderOpen Changing RetryLater WaitsFor
    ScheduleUnread OptedOut OneSided AsScheduled NotIdleNow Gone AlreadyStopped InShadow
    KeyUnusable
}

variants! { faults_of_clouds of FaultKind:
    Throttled Unreachable Unconfirmed Conflict OutOfCapacity Denied Missing Refused Unreadable
    TimedOut
}

variants! { faults_of_journals of JournalFault:
    Unusable Locked Absent OtherWorld Damaged DoesNotOpen Full Failed OtherFormat Socket NoSuch
}

#[test]
fn holds_are_documented_under_the_words_that_are_printed() {
    for hold in [Hold::RightSize, Hold::ObserveOnly, Hold::Unobserved, Hold::DiskReserve] {
        assert_eq!(kebab(&format!("{hold:?}")), hold.word());
    }
    let printed = [FaultKind::OutOfCapacity, FaultKind::TimedOut].map(|kind| kind.word());
    assert_eq!(printed, ["out of capacity", "timed out"]);
}

/// Product code below a folder: no tests.
fn product_code(folder: &str) -> String {
    let mut dirs = vec![root().join(folder)];
    let mut code = String::new();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("a folder of sources") {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && name != "tests" && name != "target" {
                dirs.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = read(&path);
                code.push_str(text.split("#[cfg(test)]").next().unwrap_or_default());
            }
        }
    }
    code
}

/// The kinds of alerts that the planner raises: the words behind the rule in `{rule}/marked`, and
/// those of alerts that no rule raises.
fn kinds_of_alerts() -> BTreeSet<String> {
    // Made by the daemon: the summaries, of a clock that was set, and what `neap alert test` sends.
    let mut kinds = BTreeSet::from(["digest", "clock", "test"].map(str::to_owned));
    kinds.extend(Condition::ALL.map(|of| of.word().to_owned()));
    let source = product_code("planner/src");
    for after in source.split(".alert(").skip(1).chain(source.split("let about = ").skip(1)) {
        let call = after.split(';').next().unwrap_or_default();
        for text in call.split('"').skip(1).step_by(2) {
            let word = text.rsplit('/').next().unwrap_or_default();
            let is_kind = text.contains("}/") || call.contains(&format!("Critical, \"{text}\""));
            kinds.extend(Some(word.to_owned()).filter(|_| is_kind));
        }
    }
    for after in source.split("key: format!(\"").skip(1) {
        let key = after.split('"').next().unwrap_or_default();
        let mut words = key.split('/').filter(|word| !word.contains('{') && *word != "idle");
        kinds.extend(words.next_back().map(str::to_owned));
    }
    kinds
}

#[test]
fn kinds_of_alerts_are_found_in_the_sources() {
    let kinds = kinds_of_alerts();
    for kind in ["marked", "taken-back", "day-cap", "no-start", "fell-back", "regret", "all"] {
        assert!(kinds.contains(kind), "{kind} of {kinds:?}");
    }
}

fn alerts_of_prometheus() -> BTreeSet<String> {
    let rules = read(&root().join("monitoring/alerts.yml"));
    let named = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    named.map(str::to_owned).collect()
}

fn help(of: &[&str]) -> String {
    let ran = Command::new(BINARY).args(of).arg("--help").output().expect("neap runs");
    assert!(ran.status.success(), "{of:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("neap prints UTF-8")
}

/// The exit codes, as `neap --help` tells them: `Exit codes: 0 done; 1 …; 2 …; 3 …`.
fn exit_codes() -> BTreeSet<String> {
    let help = help(&[]);
    let (_, after) = help.split_once("Exit codes:").expect("the exit codes are told");
    let told = after.split_once('.').map_or(after, |(told, _)| told).split(';');
    let codes = told.filter_map(|part| part.split_whitespace().next());
    let codes: BTreeSet<String> = codes.map(str::to_owned).collect();
    assert!(codes.iter().all(|code| code.parse::<u8>().is_ok()), "{codes:?}");
    codes
}

/// The first cells of each table of a page, without their ticks.
fn tables(page: &str) -> Vec<BTreeSet<String>> {
    let mut tables = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        let Some(row) = line.strip_prefix("| ").or_else(|| line.strip_prefix("|-")) else {
            inside = false;
            continue;
        };
        if !inside {
            tables.push(BTreeSet::new());
            inside = true;
        } else if let Some(table) = tables.last_mut().filter(|_| !line.starts_with("|-")) {
            let cell = row.split(" | ").next().unwrap_or_default().replace('`', "");
            assert!(table.insert(cell.trim().to_owned()), "`{cell}` is there twice");
        }
    }
    tables
}

#[test]
fn the_runbook_has_every_hold_alert_fault_and_exit_code() {
    let spaced =
        |words: BTreeSet<String>| words.iter().map(|word| word.replace('-', " ")).collect();
    let wanted: [(&str, BTreeSet<String>); 7] = [
        ("holds of services", holds()),
        ("holds of machines", holds_of_machines()),
        ("alerts", kinds_of_alerts()),
        ("alerts of Prometheus", alerts_of_prometheus()),
        ("faults of a cloud", spaced(faults_of_clouds())),
        ("faults of a journal", faults_of_journals()),
        ("exit codes", exit_codes()),
    ];
    for language in ["en", "zh"] {
        let page = pages(language).remove("runbook.md").expect("the runbook");
        // The first table says where to look first.
        let tables: Vec<_> = tables(&page).into_iter().skip(1).collect();
        assert_eq!(tables.len(), wanted.len(), "{language}: the tables");
        for (table, (what, wanted)) in tables.iter().zip(&wanted) {
            assert_eq!(table, wanted, "{language}: {what}");
        }
    }
}

/// How long each condition lasts before it is told, and is gone before that is told.
#[test]
fn the_page_on_operations_has_every_condition_with_its_times() {
    let cycles = |language: &str, count: u64| match (language, count) {
        ("en", 0) => "at once".to_owned(),
        ("en", count) => format!("{count} cycles"),
        (_, 0) => "立即".to_owned(),
        (_, count) => format!("{count} 个周期"),
    };
    for language in ["en", "zh"] {
        let page = pages(language).remove("operations.md").expect("the page");
        for of in Condition::ALL {
            let start = format!("| `{}` |", of.word());
            let mut rows = page.lines().filter(|line| line.starts_with(&start));
            let row = rows.next().unwrap_or_else(|| panic!("{language}: no `{}`", of.word()));
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
            let rings = cycles(language, rings_after_cycles(of));
            let is_due = of == Condition::GroupShort || cells[2].starts_with(&rings);
            assert!(is_due, "{row}: expected {rings}");
            let over = cycles(language, resolves_after_cycles(of));
            assert_eq!(cells[3].trim(), over, "{row}");
        }
        let hours = rings_again_after(Severity::Critical).0 / 3600;
        let again = rings_again_after(Severity::Warning).0 / 3600;
        let told = match language {
            "en" => format!("`critical` every {hours} hours, the rest every {again} hours"),
            _ => format!("`critical` 每 {hours} 小时一次，其余每 {again} 小时一次"),
        };
        assert!(page.contains(&told), "{language}: {told}");
        assert!(page.contains(&cycles(language, AGAIN_AFTER_CYCLES)), "{language}");
    }
}

#[test]
fn the_page_on_metrics_has_every_metric() {
    let pages = ["en", "zh"].map(|language| pages(language).remove("metrics.md").expect("there"));
    let mut faults = Vec::new();
    for metric in catalogue::ALL {
        let series = &metric.series()[0];
        let name = series.strip_suffix("_bucket").unwrap_or(series);
        let row = format!("| `{name}` |");
        faults.extend(pages.iter().filter(|page| !page.contains(&row)).map(|_| name.to_owned()));
    }
    none(faults);
}

/// What is typed after `neap` in a document: in blocks of code, and as a name in a sentence.
fn typed(text: &str) -> Vec<Vec<String>> {
    let (_, code, names) = bones(text);
    let code = code.into_iter().map(|line| line.trim_start_matches("$ ").to_owned());
    let all = code.chain(names).filter_map(|line| line.strip_prefix("neap ").map(str::to_owned));
    let words = all.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words.filter(|words| !words.is_empty()).collect()
}

fn commands_in(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    listed.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn every_command_and_option_of_the_documents_exists() {
    let commands = commands_in(&help(&[]));
    assert!(commands.len() > 20, "{commands:?}");
    let mut helps = BTreeMap::from([(Vec::new(), help(&[]))]);
    let (mut faults, mut looked_at) = (Vec::new(), 0);
    for path in documents() {
        for words in typed(&read(&path)) {
            looked_at += 1;
            let said = format!("{}: `neap {}`", shown(&path), words.join(" "));
            let mut of: Vec<&str> = Vec::new();
            if !words[0].starts_with('-') {
                of.push(&words[0]);
            }
            if of.first().is_some_and(|word| !commands.iter().any(|command| command == word)) {
                faults.push(said);
                continue;
            }
            let nested = matches!(words[0].as_str(), "journal" | "alert");
            of.extend(words.get(1).filter(|_| nested).map(String::as_str));
            let help = helps.entry(of.iter().map(|word| (*word).to_owned()).collect());
            let help = help.or_insert_with(|| self::help(&of)).clone();
            let options = words.iter().filter(|word| word.starts_with("--"));
            faults.extend(options.filter(|option| !help.contains(*option)).map(|_| said.clone()));
        }
    }
    assert!(looked_at > 60, "only {looked_at} commands found");
    none(faults);
}

/// What cargo has by itself, of what the documents type.
const CARGO: [&str; 4] = ["build", "install", "run", "test"];

/// What is quoted with backticks in the texts of a source: in strings alone, without what is filled in.
fn quoted_in_texts(source: &str) -> BTreeSet<String> {
    let product = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n").replace("\\\"", "'");
    let texts = code.split('"').skip(1).step_by(2);
    let quoted = texts.flat_map(|text| text.split('`').skip(1).step_by(2));
    quoted.filter(|name| !name.contains(['{', '\n'])).map(str::to_owned).collect()
}

/// Whoever reads that something is held, and by what it is released, finds a command, a key or a value
/// of that name.
#[test]
fn what_texts_tell_people_to_use_exists() {
    let commands = commands_in(&help(&[]));
    let reference = read(&root().join("docs/en/src/reference/configuration.md"));
    let promote = help(&["promote"]);
    let is_known = |name: &str| {
        let words: Vec<&str> = name.split_whitespace().collect();
        match words.as_slice() {
            ["neap", command, ..] => commands.iter().any(|known| known == command),
            [key, "=", value @ ..] => {
                reference.contains(&format!("### `{key}`"))
                    && reference.contains(value.join(" ").trim_matches(['\'', '"']))
            }
            [option] if option.starts_with("--") => promote.contains(option),
            [word] => reference.contains(&format!("`{word}`")),
            _ => false,
        }
    };
    let sources = [
        "planner/src/display.rs",
        "planner/src/idle/display.rs",
        "planner/src/answer.rs",
        "planner/src/stage.rs",
        "planner/src/reasons.rs",
        "daemon/report/src/said/plan.rs",
        "daemon/report/src/said/idle.rs",
        "daemon/report/src/said/answer.rs",
        "daemon/report/src/said/stage.rs",
    ];
    let (mut faults, mut looked_at) = (Vec::new(), 0);
    for source in sources {
        let names = quoted_in_texts(&read(&root().join(source)));
        looked_at += names.len();
        let unknown = names.into_iter().filter(|name| !is_known(name));
        faults.extend(unknown.map(|name| format!("{source}: `{name}`")));
    }
    none(faults);
    assert!(looked_at > 15, "only {looked_at} names in texts");
}

#[test]
fn every_command_of_cargo_that_the_readme_types_exists() {
    let aliases = read(&root().join(".cargo/config.toml"));
    for name in ["README.md", "README.zh.md"] {
        let text = read(&root().join(name));
        let typed = lines(&text)
            .into_iter()
            .filter_map(|(is_code, line)| line.trim().strip_prefix("cargo ").filter(|_| is_code));
        let typed: Vec<&str> = typed.filter_map(|line| line.split(' ').next()).collect();
        assert!(typed.len() >= 2, "{name}: {typed:?}");
        for command in typed {
            let is_alias = aliases.lines().any(|line| line.starts_with(&format!("{command} = ")));
            assert!(is_alias || CARGO.contains(&command), "{name}: `cargo {command}`");
        }
    }
}

#[test]
fn the_configurations_of_the_clouds_are_sound() {
    for page in ["aws.md", "alibaba.md"] {
        let text = pages("en").remove(page).expect("the page");
        let (_, after) = text.split_once("```toml\n").expect("a configuration");
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("neap.toml");
        fs::write(&file, after.split("```").next().unwrap_or_default()).expect("a file");
        let ran = Command::new(BINARY).arg("check").arg("--config").arg(&file).output();
        let ran = ran.expect("neap runs");
        assert!(ran.status.success(), "{page}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}
