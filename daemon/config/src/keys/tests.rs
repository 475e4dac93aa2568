//! What is declared of keys, held against the readers, the schema for editors and the documents.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use toml::{Table, Value};

use super::{Key, Kind, Preset, Rule, Section, all_sections, root};
use crate::schema::as_json;
use crate::{Config, ConfigFault, ReferenceLanguage, parse, reference as reference_page, schema};

/// What examples are read with: a cloud, a source, a calendar and a service.
const AROUND: &str = r#"
[provider.aws]
kind = "aws"
regions = ["eu-west-1"]
accounts = [{ role_arn = "arn:aws:iam::111122223333:role/neap" }]

[provider.prom]
kind = "prometheus"
url = "https://prometheus.example.com"

[calendar.cn]
timezone = "Asia/Shanghai"

[[service]]
name = "checkout"
demand = [{ namespace = "AWS/ApplicationELB", metric = "RequestCount" }]
pool = [{ group = "checkout-asg", capacity_per_unit = 50 }]
"#;

/// The folder of the repository.
fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut above = here.ancestors();
    above.find(|folder| folder.join("config.example.toml").is_file()).unwrap().to_owned()
}

/// Both who judge a file: the readers and the schema.
struct Judges {
    folder: tempfile::TempDir,
    schema: Validator,
}

impl Judges {
    fn new() -> Judges {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        file("holidays.csv", "2026-10-01,rest,National Day\n");
        file("prices.csv", "aws,*,instance,t3.micro,*,0.0104,USD,2026-10-01\n");
        file("chat.json.j2", "{\"text\": {{ title }}}");
        let schema = jsonschema::draft7::new(&schema()).unwrap();
        Judges { folder, schema }
    }

    fn read(&self, document: &Table) -> Result<Config, Vec<ConfigFault>> {
        let file = self.folder.path().join("neap.toml");
        parse(
            &file.display().to_string(),
            &toml::to_string(document).unwrap(),
            &crate::test_checks::CHECKS,
        )
    }

    fn faults_by_schema(&self, document: &Table) -> Vec<String> {
        let json = as_json(&Value::Table(document.clone()));
        let told =
            |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
        self.schema.iter_errors(&json).map(told).collect()
    }

    /// What the two say, where one of them says something else than expected.
    fn unlike(&self, what: &str, document: &Table, is_sound: bool) -> String {
        let (read, by_schema) = (self.read(document), self.faults_by_schema(document));
        if read.is_ok() == is_sound && by_schema.is_empty() == is_sound {
            return String::new();
        }
        let faults: Vec<String> =
            read.err().unwrap_or_default().iter().map(|f| format!("  {f}\n")).collect();
        let file = toml::to_string(document).unwrap();
        format!(
            "== {what}: sound is {is_sound}\n{}  schema: {by_schema:?}\n{file}\n",
            faults.concat()
        )
    }
}

/// Every section with the top of the file.
fn all() -> impl Iterator<Item = &'static Section> {
    std::iter::once(&root::top::SECTION).chain(all_sections())
}

/// Every key, with a section that takes it: each that has it of its own or from another.
fn keys() -> impl Iterator<Item = (&'static Section, &'static Key)> {
    all().flat_map(|section| section.all_keys().map(move |key| (section, key)))
}

fn value(text: &str) -> Value {
    let document: Table =
        format!("value = {text}").parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    document["value"].clone()
}

/// The example of a section, with what it needs around it.
fn document(section: &Section) -> Table {
    let mut document: Table =
        section.example.parse().unwrap_or_else(|e| panic!("{}: {e}", section.heading));
    for (key, value) in AROUND.parse::<Table>().unwrap() {
        document.entry(key).or_insert(value);
    }
    document
}

fn table_at<'d>(document: &'d mut Table, way: &[&str]) -> &'d mut Table {
    way.iter().fold(document, |table, part| {
        let mut value = &mut table[*part];
        if let Value::Array(members) = value {
            value = &mut members[0];
        }
        value.as_table_mut().unwrap()
    })
}

/// The section's example with a key of this value, and all that the key needs and excludes.
fn with(section: &Section, key: &Key, value: Value) -> Table {
    let mut document = document(section);
    let table = table_at(&mut document, section.at);
    table.insert(key.name.to_owned(), value);
    if key.name == "query" {
        table.insert("from".to_owned(), Value::from("prom"));
    }
    let needs_match = ["opt_out", "fallback_schedule"].contains(&key.name);
    if needs_match || section.heading.contains("cloud-custodian") && key.name == "kinds" {
        table.insert("match".to_owned(), self::value("{ ids = [\"i-1\"] }"));
    }
    // Numbers that must fit each other.
    match key.name {
        "cycle_deadline" => drop(table.insert("poll_interval".to_owned(), Value::from("1h"))),
        "min" => drop(table.remove("max")),
        "max" => drop(table.remove("min")),
        _ => {}
    }
    section.rules.iter().for_each(|rule| make_room(table, key, rule));
    for rule in section.rules {
        if let Rule::NeededWhere(of, words, needed) = rule
            && table.get(of.name).and_then(Value::as_str).is_some_and(|word| words.contains(&word))
        {
            add(table, needed);
        }
    }
    document
}

fn add(table: &mut Table, keys: &[&Key]) {
    for key in keys.iter().filter(|key| !key.example.is_empty()) {
        table.entry(key.name).or_insert_with(|| value(key.example));
    }
}

fn has(keys: &[&Key], key: &Key) -> bool {
    keys.iter().any(|other| other.name == key.name)
}

fn make_room(table: &mut Table, key: &Key, rule: &Rule) {
    match rule {
        Rule::OneOf(sets) => {
            let Some(own) = sets.iter().find(|set| has(set, key)) else { return };
            let others = sets.iter().filter(|set| !has(set, key)).flat_map(|set| set.iter());
            others.for_each(|other| drop(table.remove(other.name)));
            add(table, own);
        }
        Rule::Apart(one, other) => {
            let gone = if has(one, key) {
                other
            } else if has(other, key) {
                one
            } else {
                return;
            };
            gone.iter().for_each(|key| drop(table.remove(key.name)));
        }
        Rule::Together(keys) if has(keys, key) => add(table, keys),
        Rule::OnlyWhere(of, words, keys) if has(keys, key) => {
            table.insert(of.name.to_owned(), Value::from(words[0]));
        }
        Rule::OnlyWhere(..) | Rule::NeededWhere(..) | Rule::Together(_) | Rule::AnyOf(_) => {}
    }
}

/// A value of no type that the key takes.
fn of_another_type(kind: &Kind) -> Value {
    match kind {
        Kind::Flag => Value::from("true"),
        Kind::Only("true" | "false") => Value::from("true"),
        _ => Value::from(true),
    }
}

/// The first and last value of a range, and those beside them.
fn edges(kind: &Kind) -> Vec<(Value, bool)> {
    let whole = |number: u64| Value::from(i64::try_from(number).unwrap());
    match kind {
        Kind::Whole(least, most) => {
            let mut edges = vec![(whole(*least), true)];
            if *most < i64::MAX as u64 {
                edges.extend([(whole(*most), true), (whole(most + 1), false)]);
            }
            edges.push((Value::from(i64::try_from(*least).unwrap() - 1), false));
            edges
        }
        Kind::Positive => vec![(whole(0), false), (Value::from(0.001), true)],
        Kind::NotNegative => vec![(whole(0), true), (Value::from(-0.1), false)],
        Kind::Percent => vec![(whole(0), true), (whole(100), true), (Value::from(100.1), false)],
        Kind::Either(kinds) => kinds.iter().flat_map(edges).collect(),
        _ => Vec::new(),
    }
}

fn none(wrong: &str) {
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_example_of_every_section_and_key_is_taken_by_readers_and_schema() {
    let judges = Judges::new();
    let mut wrong = String::new();
    for section in all() {
        wrong += &judges.unlike(section.heading, &document(section), true);
    }
    for (section, key) in keys().filter(|(_, key)| !key.example.is_empty()) {
        let document = with(section, key, value(key.example));
        wrong += &judges.unlike(&format!("{} {}", section.heading, key.name), &document, true);
    }
    none(&wrong);
}

#[test]
fn a_default_says_what_leaving_the_key_out_says() {
    let judges = Judges::new();
    let mut wrong = String::new();
    for (section, key) in keys() {
        let Preset::Is(default) = key.preset else { continue };
        let written = with(section, key, value(default));
        let mut left_out = written.clone();
        table_at(&mut left_out, section.at).remove(key.name);
        let what = format!("{} {} = {default}", section.heading, key.name);
        wrong += &judges.unlike(&what, &written, true);
        wrong += &judges.unlike(&what, &left_out, true);
        // As it is printed: the places of secrets in the file differ.
        let printed =
            |document| judges.read(document).ok().map(|c| serde_json::to_value(c).unwrap());
        if printed(&written) != printed(&left_out) {
            wrong += &format!("== {what} is another configuration than without it\n");
        }
    }
    none(&wrong);
}

#[test]
fn a_key_that_is_required_is_missed() {
    let judges = Judges::new();
    let mut wrong = String::new();
    for (section, key) in keys().filter(|(_, key)| matches!(key.preset, Preset::Required)) {
        let mut document = document(section);
        table_at(&mut document, section.at).remove(key.name);
        wrong +=
            &judges.unlike(&format!("{} without {}", section.heading, key.name), &document, false);
    }
    none(&wrong);
}

#[test]
fn a_value_of_another_type_or_beyond_its_limits_is_refused() {
    let judges = Judges::new();
    let mut wrong = String::new();
    for (section, key) in keys() {
        let what = format!("{} {}", section.heading, key.name);
        wrong += &judges.unlike(&what, &with(section, key, of_another_type(&key.kind)), false);
        for (value, is_sound) in edges(&key.kind) {
            wrong +=
                &judges.unlike(&format!("{what} = {value}"), &with(section, key, value), is_sound);
        }
        if let Kind::Duration(least, most) = key.kind {
            // How long is more than a pattern knows.
            let taken = |seconds: u64| {
                let text = fleet::Seconds(seconds).to_string();
                judges.read(&with(section, key, Value::from(text))).is_ok()
            };
            let below = least.0.checked_sub(1).is_some_and(taken);
            if !taken(least.0) || !taken(most.0) || taken(most.0 + 1) || below {
                wrong += &format!("== {what} is not from {least} to {most}\n");
            }
        }
    }
    none(&wrong);
}

/// The words between backticks of a text.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn a_choice_has_the_words_that_its_reader_takes() {
    let judges = Judges::new();
    let mut seen = 0;
    for (section, key) in keys() {
        let (words, wrong) = match key.kind {
            Kind::Choice(words) | Kind::List(&Kind::Choice(words)) => {
                let of_a_list = matches!(key.kind, Kind::List(_));
                (words, value(if of_a_list { "[\"qqq\"]" } else { "\"qqq\"" }))
            }
            _ => continue,
        };
        let what = format!("{} {}", section.heading, key.name);
        let document = with(section, key, wrong);
        let faults = judges.read(&document).unwrap_err();
        assert!(!judges.faults_by_schema(&document).is_empty(), "{what}");
        let (_, expected) = faults[0].message.split_once("expected ").unwrap();
        let words: BTreeSet<String> = words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(quoted(expected), words, "{what}: {}", faults[0]);
        seen += 1;
    }
    assert!(seen > 30, "{seen} choices");
}

#[test]
fn a_key_that_is_not_declared_is_unknown_and_all_others_are() {
    let judges = Judges::new();
    let below = keys().flat_map(|(_, key)| key.kind.tables());
    let mut tables: BTreeSet<&str> = below.map(|section| section.heading).collect();
    tables.insert(root::top::SECTION.heading);
    for section in all() {
        let mut document = document(section);
        table_at(&mut document, section.at).insert("qqqqqq".to_owned(), Value::from(1));
        let faults = judges.read(&document).unwrap_err();
        assert!(!judges.faults_by_schema(&document).is_empty(), "{}", section.heading);
        let fault = faults.iter().find(|fault| fault.message.contains("unknown key")).unwrap();
        let known = quoted(fault.hint.as_deref().unwrap());
        let declared: BTreeSet<String> =
            section.all_keys().map(|key| key.name.to_owned()).collect();
        if !tables.contains(section.heading) {
            // Its keys stand in tables of other sections, which have more.
            continue;
        }
        let undeclared: Vec<&String> = known.difference(&declared).collect();
        assert!(undeclared.is_empty(), "{}: {undeclared:?}", section.heading);
    }
}

/// Text of some shape: what the pattern says is what the reader says.
#[test]
fn patterns_take_what_readers_take() {
    let shares = "0.5% 100% 5 % 101% 5 -1% .5% 5.% 1e1% %";
    let samples: [(&str, &str, &str); 15] = [
        ("[promotion]", "worse_by", shares),
        ("[service_defaults]", "violation_budget", "0.5%;0%;0.0%;100%;101%"),
        (
            "[budgets]",
            "group",
            "10% per 10m;10%per 10m;10 per 10m;10% per 1w2d;10% per 10m, at least 2;10% per 10m,at least 2;10% per 10m, 2;10% per 10;10% per ",
        ),
        ("[journal]", "max_size", "40 GiB;40GiB;40;40 gib;1.5 GiB;1 TB; 1 TB"),
        ("[promotion]", "shadow_for", "1h30m;1w;90s;30;s;1m1h;1h 30m;1.5h;-1h;"),
        ("[[alert]]", "rate", "10 per 1m;10per 1m;10 per 1;x per 1m;10  per  1m"),
        (
            "[[freeze]]",
            "weekly",
            "Mon-Fri 08:30-20:00;Sat,Sun 00:00-24:00;daily 22:00-06:00;Fri 18:00-Mon 08:00;Mon;mon 08:00-09:00;Mon 8:00-9:00;Mon 08:00-24:01;Mon,Wed-Fri 08:00-09:00;Fri 18:00-Mon 24:00;first Thu 02:00-04:00;second,last Mon-Wed 02:00-04:00;last Fri 18:00-Mon 08:00;first daily 02:00-04:00;fifth-and-half Mon 02:00-04:00;first thu 02:00-04:00;first Thu",
        ),
        (
            "[[event]]",
            "yearly",
            "11-11;11-11 20:00-24:00;11-10 20:00-11-12 02:00;11;2026-11-11;11-11 20:00",
        ),
        (
            "[[schedule]]",
            "up",
            "Sat,Sun;daily;working 08:00-09:00;Mon-Fri 08:30-20:00;Fri 18:00-Mon 08:00;none;first Thu;last Fri 18:00-20:00;last Fri 18:00-Mon 08:00;first working_days;first daily;sixth Mon",
        ),
        (
            "quiet_hours",
            "hours",
            "22:00-08:00;daily 22:00-08:00;Fri 18:00-Mon 08:00;22-08;Mon;first Thu 22:00-08:00;first 22:00-08:00",
        ),
        ("digest", "at", "09:00;9:00;24:00;09:00:00"),
        ("digest", "on", "Mon;Monday;mon"),
        ("[calendar.NAME]", "rest_days", "Sat,Sun;Fri-Sat;none;daily;sat;"),
        (
            "[[freeze]]",
            "until",
            "2027-12-27;2027-12-27T18:00;2027-12-27 18:00;2027-12-27T18:00Z;27.12.2027;2027-12-27T18:00:30",
        ),
        ("[idle_defaults]", "opt_in_tag", "neap:managed=true;neap:managed;=true;a=b=c"),
    ];
    let judges = Judges::new();
    let mut wrong = String::new();
    let (mut good, mut bad) = (0, 0);
    for (heading, name, texts) in samples {
        let heading = format!("`{heading}`");
        let section = all().find(|section| section.heading == heading).unwrap();
        let key = section.all_keys().find(|key| key.name == name).unwrap();
        let texts: Vec<&str> = if texts.contains(';') {
            texts.split(';').collect()
        } else {
            texts.split(' ').collect()
        };
        for text in texts {
            let document = with(section, key, Value::from(text));
            let is_sound = judges.read(&document).is_ok();
            if is_sound {
                good += 1
            } else {
                bad += 1
            }
            wrong += &judges.unlike(&format!("{heading} {name} = {text:?}"), &document, is_sound);
        }
    }
    none(&wrong);
    assert!(good > 30 && bad > 30, "{good} sound, {bad} not");
}

#[test]
fn what_is_said_of_keys_is_said_in_both_languages() {
    let mut ids = BTreeSet::new();
    for section in all() {
        assert!(ids.insert(crate::schema::id(section)), "{} is there twice", section.heading);
        assert!(section.text.trim().ends_with('.'), "{}", section.heading);
        assert!(section.zh.ends_with('。'), "{}", section.heading);
        let names: BTreeSet<&str> = section.all_keys().map(|key| key.name).collect();
        assert_eq!(names.len(), section.all_keys().count(), "{} has a key twice", section.heading);
        for key in section.keys {
            assert!(key.text.trim().ends_with('.'), "{}: {}", section.heading, key.name);
            assert!(key.zh.ends_with('。'), "{}: {}", section.heading, key.name);
            assert!(!key.zh.is_ascii(), "{}: {}", section.heading, key.name);
            let needs_unit = !edges(&key.kind).is_empty();
            assert_eq!(key.unit.is_some(), needs_unit, "{}: {}", section.heading, key.name);
        }
    }
}

/// `NEAP_BLESS=1` writes the pages anew.
#[test]
fn the_reference_in_the_documents_is_the_one_that_is_generated() {
    let languages = [("en", ReferenceLanguage::English), ("zh", ReferenceLanguage::Chinese)];
    for (folder, language) in languages {
        let page = reference_page(language);
        let file = repository().join(format!("docs/{folder}/src/reference/configuration.md"));
        if std::env::var_os("NEAP_BLESS").is_some() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &page).unwrap();
        }
        let found = fs::read_to_string(&file).unwrap_or_default();
        assert!(found == page, "{} is out of date: NEAP_BLESS=1 writes it anew", file.display());
        let lines: Vec<&str> = found.lines().filter(|line| line.starts_with("### `")).collect();
        let declared: Vec<&Key> = all().flat_map(|section| section.keys.iter().copied()).collect();
        assert_eq!(lines.len(), declared.len());
        for (line, key) in lines.iter().zip(&declared) {
            assert_eq!(*line, format!("### `{}`", key.name));
        }
        let names: BTreeSet<&str> = declared.iter().map(|key| key.name).collect();
        assert!(names.len() >= 158, "{} keys", names.len());
    }
}

/// The pieces of TOML in a document.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("```toml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0))
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "md") {
            found.push(path);
        }
    }
}

#[test]
fn configurations_of_the_documents_keep_the_schema() {
    let judges = Judges::new();
    let mut texts: Vec<(String, String)> = Vec::new();
    for file in ["config.example.toml", "packaging/neap.toml"] {
        let text = fs::read_to_string(repository().join(file)).unwrap();
        assert!(judges.read(&text.parse().unwrap()).is_ok(), "{file}");
        texts.push((file.to_owned(), text));
    }
    let mut files = vec![repository().join("README.md"), repository().join("README.zh.md")];
    pages(&repository().join("docs"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        texts.extend(blocks(&text).map(|block| (file.display().to_string(), block.to_owned())));
    }
    let (mut sound, mut wrong) = (0, String::new());
    for (file, text) in &texts {
        // A piece is judged as it is, or with what it needs around it.
        let Ok(alone) = text.parse::<Table>() else { continue };
        let mut around = alone.clone();
        AROUND.parse::<Table>().unwrap().into_iter().for_each(|(key, value)| {
            around.entry(key).or_insert(value);
        });
        let taken = [alone, around].into_iter().find(|document| judges.read(document).is_ok());
        let Some(document) = taken else { continue };
        sound += 1;
        let faults = judges.faults_by_schema(&document);
        if !faults.is_empty() {
            wrong += &format!("== {file}\n{text}{faults:?}\n");
        }
    }
    none(&wrong);
    assert!(sound >= 80, "{sound} of {} are sound", texts.len());
}

/// Files whose faults no schema sees: names of other tables, numbers that do not fit each other.
const BEYOND_A_SCHEMA: [&str; 6] = [
    "holidays-of-another-file",
    "min-above-max",
    "prices-of-another-file",
    "twice-the-same",
    "two-pools-to-size",
    "unknown-provider",
];

#[test]
fn faulty_configurations_are_refused_by_the_schema_where_it_can_know() {
    let judges = Judges::new();
    let folder = repository().join("daemon");
    let mut found = Vec::new();
    faulty(&folder, &mut found);
    assert!(found.len() >= 30, "{} files", found.len());
    let mut passed = BTreeSet::new();
    for file in found {
        // What is no TOML at all every editor sees.
        let Ok(document) = fs::read_to_string(&file).unwrap().parse::<Table>() else { continue };
        if judges.faults_by_schema(&document).is_empty() {
            passed.insert(file.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    let expected: BTreeSet<String> =
        BEYOND_A_SCHEMA.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(passed, expected);
}

fn faulty(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_toml = path.extension().is_some_and(|ext| ext == "toml");
        if path.is_dir() {
            faulty(&path, found);
        } else if is_toml && path.with_extension("expected").is_file() {
            found.push(path);
        }
    }
}
