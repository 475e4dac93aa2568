//! `[[alert]]`: where people are told, of what, and in which words.

use std::collections::BTreeSet;

use planner::alert::Severity;
use serde::Serialize;

use super::fault::ConfigFault;
use super::reader::{Entry, Table, either};
use super::secret::SecretFile;
use crate::alerts::body;

/// A way that alerts go out by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertChannel {
    /// Its name, under which the journal keeps what it has told.
    pub name: String,
    /// What takes the alerts.
    pub kind: ChannelKind,
    /// Alerts that are less bad are not told.
    pub min_severity: Severity,
    /// The file with the address.
    pub url: SecretFile,
    /// The file with a token that goes along with every alert.
    pub bearer: Option<SecretFile>,
    /// How an alert is worded.
    pub message: Message,
}

impl AlertChannel {
    /// Everything: who is not told that his machine is marked cannot object.
    pub const MIN_SEVERITY: Severity = Severity::Info;

    /// Every file of a secret that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretFile> {
        [Some(&self.url), self.bearer.as_ref(), self.message.salt.as_ref()].into_iter().flatten()
    }
}

/// What takes the alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// Whatever takes JSON by HTTP.
    Webhook,
}

/// How an alert is worded, and what of it may leave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// What may leave.
    pub fields: BTreeSet<Field>,
    /// What leaves as a short hash alone, wherever it stands in the alert.
    pub hash: BTreeSet<Field>,
    /// The file with what goes into hashes, so that nobody outside can try names.
    pub salt: Option<SecretFile>,
    /// The operator's own wording.
    pub template: Option<Template>,
}

impl Default for Message {
    /// All of it, in neap's own words.
    fn default() -> Message {
        let fields = Field::ALL.map(|(_, field)| field).into();
        Message { fields, hash: BTreeSet::new(), salt: None, template: None }
    }
}

/// A part of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// What it is about: messages of one key are about the same.
    Key,
    /// How bad it is.
    Severity,
    /// When it came about.
    At,
    /// One line.
    Title,
    /// More lines.
    Lines,
    /// The resource or service.
    Subject,
    /// Whom it is for.
    Owner,
}

impl Field {
    /// All of them as the file spells them.
    pub const ALL: [(&str, Field); 7] = [
        ("key", Field::Key),
        ("severity", Field::Severity),
        ("at", Field::At),
        ("title", Field::Title),
        ("lines", Field::Lines),
        ("subject", Field::Subject),
        ("owner", Field::Owner),
    ];
    /// Those that name something or somebody.
    const NAMING: [(&str, Field); 2] = [("subject", Field::Subject), ("owner", Field::Owner)];
}

/// A body in the operator's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Template {
    /// The file that it is from.
    pub source: String,
    /// Its text.
    pub text: String,
}

/// Reads every `[[alert]]`.
pub(super) fn alerts(root: &Table<'_>) -> Vec<AlertChannel> {
    let Some(entry) = root.get("alert") else { return Vec::new() };
    let mut names = BTreeSet::new();
    entry.tables().iter().filter_map(|table| alert(table, &mut names)).collect()
}

fn alert(table: &Table<'_>, names: &mut BTreeSet<String>) -> Option<AlertChannel> {
    let name = name(table, names);
    let kind = kind(table);
    let min_severity =
        table.get("min_severity").map_or(Some(AlertChannel::MIN_SEVERITY), |entry| {
            entry.choice(&[
                ("info", Severity::Info),
                ("warning", Severity::Warning),
                ("critical", Severity::Critical),
            ])
        });
    let url = table.required("url_file", "the path of a file that holds the address");
    let url = url.and_then(|entry| entry.secret_file("address"));
    let bearer = secret(table, "bearer_file", "token");
    let message = message(table);
    if kind.is_some() {
        // Keys of kinds that are not there yet are not judged.
        table.finish();
    }
    Some(AlertChannel {
        name: name?,
        kind: kind?,
        min_severity: min_severity?,
        url: url?,
        bearer: bearer?,
        message: message?,
    })
}

/// A file of a secret that may be left out; `None` where what stands there is wrong.
fn secret(table: &Table<'_>, key: &str, what: &str) -> Option<Option<SecretFile>> {
    match table.get(key) {
        Some(entry) => entry.secret_file(what).map(Some),
        None => Some(None),
    }
}

/// A channel's name stands in the journal and in headers.
fn name(table: &Table<'_>, names: &mut BTreeSet<String>) -> Option<String> {
    let expected = "a name of ASCII letters, digits, `-` and `_`, such as `\"on-call\"`";
    let entry = table.required("name", expected)?;
    let name = entry.text(expected)?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        entry.unexpected(expected, None);
        return None;
    }
    if !names.insert(name.to_owned()) {
        entry.fault(format!("alert `{name}` is there twice, expected once"), None);
        return None;
    }
    Some(name.to_owned())
}

fn kind(table: &Table<'_>) -> Option<ChannelKind> {
    const NOT_BUILT: [(&str, &str); 7] = [
        ("dingtalk", "DingTalk"),
        ("email", "mail"),
        ("feishu", "Feishu"),
        ("lark", "Lark"),
        ("pagerduty", "PagerDuty"),
        ("slack", "Slack"),
        ("wecom", "WeCom"),
    ];
    let entry = table.required("kind", "`\"webhook\"`")?;
    let word = entry.as_text();
    if let Some((_, what)) = NOT_BUILT.iter().find(|(kind, _)| word == Some(kind)) {
        let hint = "kinds of this version: `webhook`, whose `template` can word what others take";
        let message = format!("{}: {what} is not built in yet", entry.found());
        entry.fault(message, Some(hint.to_owned()));
        return None;
    }
    entry.choice(&[("webhook", ChannelKind::Webhook)])
}

fn message(table: &Table<'_>) -> Option<Message> {
    let default = Message::default();
    let chosen = table.get("fields").map_or(Some(default.fields), |e| fields(&e, &Field::ALL));
    let hash = table.get("hash").map_or(Some(default.hash), |e| fields(&e, &Field::NAMING));
    let salt = secret(table, "salt_file", "salt");
    let sound = chosen.is_some() && hash.is_some() && salt.is_some();
    let message = Message {
        fields: chosen.unwrap_or_else(|| Message::default().fields),
        hash: hash.unwrap_or_default(),
        salt: salt.flatten(),
        template: None,
    };
    let message = match table.get("template") {
        Some(entry) => entry.file_beside("template text", |source, text| {
            let template = Some(Template { source: source.to_owned(), text: text.to_owned() });
            worded(Message { template, ..message })
        }),
        None => Some(message),
    };
    message.filter(|_| sound)
}

/// A message whose template makes JSON of every alert.
fn worded(message: Message) -> Result<Message, Vec<ConfigFault>> {
    let Err(fault) = body::check(&message) else { return Ok(message) };
    let source = message.template.map_or_else(String::new, |template| template.source);
    Err(vec![ConfigFault::in_file(&source, (fault.line, 1), "", fault.what, None)])
}

/// A list of parts of an alert; `None` where one of them is wrong.
fn fields(entry: &Entry<'_>, known: &[(&str, Field)]) -> Option<BTreeSet<Field>> {
    let words: Vec<String> = known.iter().map(|(word, _)| (*word).to_owned()).collect();
    let expected = format!("a list of {}", either(&words));
    if entry.list_is_empty() {
        entry.unexpected(&expected, None);
        return None;
    }
    let members = entry.list(&expected);
    let read: Vec<Option<Field>> = members.iter().map(|member| member.choice(known)).collect();
    let all: Option<BTreeSet<Field>> = read.into_iter().collect();
    all.filter(|fields| !fields.is_empty())
}
