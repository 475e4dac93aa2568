//! An alert as JSON: what of it may leave, and in which words.

use std::borrow::Cow;

use config::{BodyFault, Field, Message, Template};
use fleet::Timestamp;
use fleet::alert::{Alert, BEGUN, OVER, Severity};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Letter;

/// The version of neap's own words.
const VERSION: u32 = 1;
/// Hexadecimal digits of a hash: enough to tell the resources of a fleet apart.
const HASH_DIGITS: usize = 12;
/// Steps that a template may take: one that never ends is stopped.
const FUEL: u64 = 100_000;

/// Words two made-up alerts, one with all that an alert may have and one with the least.
///
/// # Errors
/// Where the template makes no JSON of one of them.
pub fn check(message: &Message) -> Result<(), BodyFault> {
    let full = Alert {
        key: "idle/marked/aws/eu-west-1/i-0123456789abcdef0".to_owned(),
        severity: Severity::Warning,
        at: Timestamp(1_772_409_600),
        title: "`build-box` will be \"stopped\"".to_owned(),
        lines: vec!["one line".to_owned(), "another".to_owned()],
        subject: Some("aws/eu-west-1/i-0123456789abcdef0".to_owned()),
        owner: Some("team-a".to_owned()),
    };
    let least = Alert { lines: Vec::new(), subject: None, owner: None, ..full.clone() };
    for alert in [full, least] {
        body(message, b"", &Letter::of("0".to_owned(), &alert))?;
    }
    Ok(())
}

/// The body of a request that tells a letter.
///
/// # Errors
/// Where the template makes no JSON of it.
pub fn body(message: &Message, salt: &[u8], letter: &Letter<'_>) -> Result<String, BodyFault> {
    let parts = parts(message, salt, letter);
    match &message.template {
        None => Ok(Value::Object(parts).to_string()),
        Some(template) => rendered(template, parts),
    }
}

/// What may leave of an alert, with names hashed where the operator wants them so.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AlertParts {
    pub key: Option<String>,
    pub severity: Option<Severity>,
    pub at: Option<Timestamp>,
    pub title: Option<String>,
    pub lines: Vec<String>,
    pub subject: Option<String>,
    pub owner: Option<String>,
    /// What messages about the same have in common: the key, or a hash of it where the key may not
    /// leave.
    pub thread: String,
    /// Whether it says that what the thread began with is over.
    pub over: bool,
}

impl AlertParts {
    /// What `message` may say of an alert; names are hidden behind hashes that `salt` makes.
    pub fn of(message: &Message, salt: &[u8], letter: &Letter<'_>) -> AlertParts {
        let alert = letter.alert;
        let hidden = Hidden::of(message, salt, letter);
        let may = |field: Field| message.fields.contains(&field);
        let text = |field: Field, text: &str| may(field).then(|| hidden.in_text(text).into_owned());
        let begun = begun(alert);
        let thread = begun.as_deref().unwrap_or(&alert.key);
        AlertParts {
            key: text(Field::Key, &alert.key),
            severity: may(Field::Severity).then_some(alert.severity),
            at: may(Field::At).then_some(alert.at),
            title: text(Field::Title, &alert.title),
            lines: alert.lines.iter().filter_map(|line| text(Field::Lines, line)).collect(),
            subject: alert.subject.as_ref().and_then(|subject| text(Field::Subject, subject)),
            owner: alert.owner.as_ref().and_then(|owner| text(Field::Owner, owner)),
            thread: text(Field::Key, thread).unwrap_or_else(|| hash(salt, thread)),
            over: begun.is_some(),
        }
    }
}

/// The key of the alert that this one ends: a mark that was taken off again, a condition that is
/// over.
pub(super) fn begun(alert: &Alert) -> Option<String> {
    if let Some(about) = alert.key.strip_prefix(OVER) {
        return Some(format!("{BEGUN}{about}"));
    }
    let subject = alert.subject.as_deref()?;
    let about = alert.key.strip_suffix(subject)?.strip_suffix("/unmarked/")?;
    Some(format!("{about}/marked/{subject}"))
}

/// The parts that a template may use.
fn parts(message: &Message, salt: &[u8], letter: &Letter<'_>) -> Map<String, Value> {
    let told = AlertParts::of(message, salt, letter);
    let mut parts = Map::new();
    parts.insert("version".to_owned(), json!(VERSION));
    parts.insert("id".to_owned(), json!(letter.id));
    for (word, field) in Field::ALL.into_iter().filter(|(_, f)| message.fields.contains(f)) {
        let value = match field {
            Field::Key => json!(told.key),
            Field::Severity => json!(told.severity),
            Field::At => json!(told.at.map(|at| at.to_string())),
            Field::Title => json!(told.title),
            Field::Lines => json!(told.lines),
            Field::Subject => json!(told.subject),
            Field::Owner => json!(told.owner),
        };
        parts.insert(word.to_owned(), value);
    }
    parts
}

/// A name in a form that says nothing of it, and that is the same each time.
pub(super) fn hash(salt: &[u8], name: &str) -> String {
    let digest = hex::encode(Sha256::new().chain_update(salt).chain_update(name).finalize());
    format!("sha256:{}", &digest[..HASH_DIGITS])
}

/// Names that leave as hashes alone.
struct Hidden<'a>(Vec<(&'a str, String)>);

impl<'a> Hidden<'a> {
    fn of(message: &Message, salt: &[u8], letter: &Letter<'a>) -> Hidden<'a> {
        let alert = letter.alert;
        let mut names = Vec::new();
        let hash = |name: &str| hash(salt, name);
        let more = letter.digest.iter().flat_map(|digest| &digest.names);
        let subjects = alert.subject.iter().chain(letter.names).chain(more).map(String::as_str);
        for subject in subjects.filter(|_| hides(message, Field::Subject)) {
            names.push((subject, hash(subject)));
            // Words for people leave provider and region out.
            if let Some(id) = subject.splitn(3, '/').nth(2).filter(|id| !id.is_empty()) {
                names.push((id, hash(subject)));
            }
        }
        if let Some(owner) = alert.owner.as_deref().filter(|_| hides(message, Field::Owner)) {
            names.push((owner, hash(owner)));
        }
        Hidden(names)
    }

    fn in_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut told = Cow::Borrowed(text);
        for (name, hash) in &self.0 {
            if told.contains(name) {
                told = Cow::Owned(replaced(&told, name, hash));
            }
        }
        told
    }
}

fn hides(message: &Message, field: Field) -> bool {
    message.hash.contains(&field)
}

/// Replaces a name where it stands as a word of its own: `ops` is no part of `stops`.
fn replaced(text: &str, name: &str, by: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in text.match_indices(name) {
        let end = at + found.len();
        let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        if !inside(text[..at].chars().next_back()) && !inside(text[end..].chars().next()) {
            told.push_str(&text[from..at]);
            told.push_str(by);
            from = end;
        }
    }
    told.push_str(&text[from..]);
    told
}

/// Values are written as JSON, so that no title can break out of its quotes.
fn rendered(template: &Template, parts: Map<String, Value>) -> Result<String, BodyFault> {
    let fault = |error: minijinja::Error| {
        let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let what = format!("the template fails: {what}");
        BodyFault { line: error.line().unwrap_or(1), what }
    };
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Json);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let compiled = environment.template_from_str(&template.text).map_err(fault)?;
    let body = compiled.render(Serde(&parts)).map_err(fault)?;
    match serde_json::from_str::<serde::de::IgnoredAny>(&body) {
        Ok(_) => Ok(body),
        Err(error) => {
            let what = format!(
                "what the template makes is not JSON: {error}; values bring their own quotes, \
                 expected such as `{{\"text\": {{{{ title }}}}}}`"
            );
            Err(BodyFault { line: 1, what })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use journal::records::Dispatch;

    fn alert() -> Alert {
        Alert {
            key: "idle/marked/aws/eu-west-1/i-0abc".to_owned(),
            severity: Severity::Critical,
            at: Timestamp(1_772_409_600),
            title: "`i-0abc` of ops \"stops\"".to_owned(),
            lines: vec!["i-0abcd is another".to_owned()],
            subject: Some("aws/eu-west-1/i-0abc".to_owned()),
            owner: Some("ops".to_owned()),
        }
    }

    fn letter(alert: &Alert) -> Letter<'_> {
        Letter::of("r-1".to_owned(), alert)
    }

    fn with(template: &str, fields: &[Field]) -> Message {
        let template = Template { source: "t".to_owned(), text: template.to_owned() };
        let fields = fields.iter().copied().collect();
        Message { template: Some(template), fields, ..Message::default() }
    }

    #[test]
    fn all_of_it_leaves_unless_the_operator_says_otherwise() {
        insta::assert_snapshot!(body(&Message::default(), b"", &letter(&alert())).unwrap(), @r#"{"at":"2026-03-02T00:00:00Z","id":"r-1","key":"idle/marked/aws/eu-west-1/i-0abc","lines":["i-0abcd is another"],"owner":"ops","severity":"critical","subject":"aws/eu-west-1/i-0abc","title":"`i-0abc` of ops \"stops\"","version":1}"#);
        let fields = [Field::Title, Field::Severity].into();
        let little = Message { fields, ..Message::default() };
        insta::assert_snapshot!(body(&little, b"", &letter(&alert())).unwrap(), @r#"{"id":"r-1","severity":"critical","title":"`i-0abc` of ops \"stops\"","version":1}"#);
    }

    #[test]
    fn a_hashed_name_stands_nowhere() {
        let hash = [Field::Subject, Field::Owner].into();
        let message = Message { hash, ..Message::default() };
        let told = body(&message, b"salt", &letter(&alert())).unwrap();
        insta::assert_snapshot!(told, @r#"{"at":"2026-03-02T00:00:00Z","id":"r-1","key":"idle/marked/sha256:a5b401694a8c","lines":["i-0abcd is another"],"owner":"sha256:d32596e75653","severity":"critical","subject":"sha256:a5b401694a8c","title":"`sha256:a5b401694a8c` of sha256:d32596e75653 \"stops\"","version":1}"#);
        assert!(!told.contains("i-0abc\"") && !told.contains(" ops "));
        assert_ne!(told, body(&message, b"pepper", &letter(&alert())).unwrap());
    }

    #[test]
    fn every_name_of_a_condition_is_hashed_and_what_ends_it_shares_its_thread() {
        let names = ["cart".to_owned(), "shop".to_owned()];
        let lines = vec!["cart: denied".to_owned(), "shop: denied, shopping".to_owned()];
        let key = "condition/demand-unknown/aws/1".to_owned();
        let alert = Alert { key, subject: None, owner: None, lines, ..alert() };
        let message = Message { hash: [Field::Subject].into(), ..Message::default() };
        let letter = Letter { names: &names, ..letter(&alert) };
        let told = AlertParts::of(&message, b"salt", &letter);
        assert!(!told.lines[0].contains("cart") && told.lines[1].ends_with(", shopping"));
        assert!(!told.over);
        let over = Alert { key: "recovered/demand-unknown/aws/1".to_owned(), ..alert.clone() };
        let ended = AlertParts::of(&message, b"salt", &super::Letter::of("r-2".to_owned(), &over));
        assert!(ended.over);
        assert_eq!(ended.thread, told.thread);
    }

    #[test]
    fn every_name_of_a_digest_is_hashed_as_it_is_in_an_alert() {
        let names = vec!["aws/eu-west-1/i-0abc".to_owned(), "checkout".to_owned()];
        let digest = Dispatch { channel: "ops".to_owned(), names, chart: None };
        let lines = vec!["to be approved: i-0abc; checkout 0.7%, checkouts".to_owned()];
        let alert = Alert { subject: None, lines, ..alert() };
        let letter = Letter { digest: Some(&digest), ..letter(&alert) };
        let message = Message { hash: [Field::Subject].into(), ..Message::default() };
        let told = AlertParts::of(&message, b"salt", &letter);
        assert_eq!(
            told.lines,
            ["to be approved: sha256:a5b401694a8c; sha256:8b143bc5d8a6 0.7%, checkouts"]
        );
        assert_eq!(AlertParts::of(&Message::default(), b"salt", &letter).lines, alert.lines);
    }

    #[test]
    fn a_mark_that_is_taken_off_ends_the_one_that_was_set() {
        let told = |key: &str, message: &Message| {
            let alert = Alert { key: key.to_owned(), ..alert() };
            let told = AlertParts::of(message, b"salt", &letter(&alert));
            (told.thread, told.over)
        };
        let (mark, off) =
            ("idle/dev/marked/aws/eu-west-1/i-0abc", "idle/dev/unmarked/aws/eu-west-1/i-0abc");
        let all = Message::default();
        assert_eq!(told(mark, &all), (mark.to_owned(), false));
        assert_eq!(told(off, &all), (mark.to_owned(), true));
        assert_eq!(told("idle/unmarked/fleet", &all), ("idle/unmarked/fleet".to_owned(), false));
        // Where the key may not leave, the thread is the same and says nothing.
        let little = Message { fields: [Field::Title].into(), ..Message::default() };
        let (thread, over) = told(off, &little);
        assert_eq!((&told(mark, &little).0, over), (&thread, true));
        assert!(thread.starts_with("sha256:") && !thread.contains("i-0abc"), "{thread}");
    }

    #[test]
    fn a_template_words_it() {
        let all = Field::ALL.map(|(_, field)| field);
        let text = "{\"text\": {{ severity|upper ~ \": \" ~ title }},\n\"who\": {{ owner }}}";
        let message = with(text, &all);
        assert_eq!(check(&message), Ok(()));
        insta::assert_snapshot!(body(&message, b"", &letter(&alert())).unwrap(), @r#"
        {"text": "CRITICAL: `i-0abc` of ops \"stops\"",
        "who": "ops"}
        "#);
        let told = |text: &str, fields: &[Field]| {
            let fault = check(&with(text, fields)).unwrap_err();
            format!("{}: {}", fault.line, fault.what)
        };
        insta::assert_snapshot!([
            told("{\n\"text\": {{ title }", &all),
            told("{\"text\": \"{{ title }}\"}", &all),
            told("{\"text\":\n {{ owner }}}", &[Field::Title]),
            told("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}1", &all),
        ].join("\n"), @r#"
        2: the template fails: unexpected `}`, expected end of variable block
        1: what the template makes is not JSON: expected `,` or `}` at line 1 column 12; values bring their own quotes, expected such as `{"text": {{ title }}}`
        2: the template fails: undefined value
        1: the template fails: engine ran out of fuel
        "#);
    }
}
