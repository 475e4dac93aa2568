//! `[[alert]]`: where people are told, of what, and in which words.

use std::collections::BTreeSet;
use std::fmt;

use fleet::Seconds;
use fleet::alert::Severity;
use serde::Serialize;

use super::digest::{DigestRule, digest};
use super::fault::ConfigFault;
use super::keys::Key;
use super::keys::alert::alert as known;
use super::keys::root::top;
use super::quiet::{QuietHours, quiet_hours};
use super::reader::{Entry, Table, either};
use super::secret::SecretFile;
use super::value;
use crate::Checks;

/// A way that alerts go out by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertChannel {
    /// Its name, under which the journal keeps what it has told.
    pub name: String,
    /// What takes the alerts.
    pub kind: ChannelKind,
    /// Alerts that are less bad are not told.
    pub min_severity: Severity,
    /// The file with the address; without one it is PagerDuty's own.
    pub url: Option<SecretFile>,
    /// The file with a token that goes along with every alert.
    pub bearer: Option<SecretFile>,
    /// The file with what messages are signed with, or with PagerDuty's routing key.
    pub secret: Option<SecretFile>,
    /// The language that it is told in.
    pub language: AlertLanguage,
    /// How an alert is worded.
    pub message: Message,
    /// Where a message leads those who want to see more.
    pub link: Option<String>,
    /// How many messages it takes; `None` is any number.
    pub rate: Option<Rate>,
    /// When it is not to be disturbed.
    pub quiet_hours: Option<QuietHours>,
    /// When it is told what was done in a day or a week.
    pub digest: Option<DigestRule>,
}

impl AlertChannel {
    /// Everything: who is not told that his machine is marked cannot object.
    pub const MIN_SEVERITY: Severity = Severity::Info;

    /// Whether it takes a picture inside a message, and numbers may leave: other kinds take the
    /// address of one that all the world can see, which neap has not.
    pub fn takes_charts(&self) -> bool {
        self.kind == ChannelKind::Wecom && self.message.fields.contains(&Field::Lines)
    }

    /// Every file of a secret that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretFile> {
        [&self.url, &self.bearer, &self.secret, &self.message.salt].into_iter().flatten()
    }
}

/// A language that a channel may be told in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum AlertLanguage {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Simplified Chinese.
    #[serde(rename = "zh")]
    Chinese,
}

/// What takes the alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// Whatever takes JSON by HTTP.
    Webhook,
    /// An incoming webhook of Slack.
    Slack,
    /// A robot in a group of DingTalk.
    Dingtalk,
    /// A bot in a group of Feishu or Lark.
    Feishu,
    /// A robot in a group of WeCom.
    Wecom,
    /// PagerDuty's Events API v2.
    Pagerduty,
    /// Alertmanager's API v2.
    Alertmanager,
}

impl ChannelKind {
    /// All of them as the file spells them.
    const ALL: [(&str, ChannelKind); 8] = [
        ("alertmanager", ChannelKind::Alertmanager),
        ("dingtalk", ChannelKind::Dingtalk),
        ("feishu", ChannelKind::Feishu),
        ("lark", ChannelKind::Feishu),
        ("pagerduty", ChannelKind::Pagerduty),
        ("slack", ChannelKind::Slack),
        ("webhook", ChannelKind::Webhook),
        ("wecom", ChannelKind::Wecom),
    ];

    /// Whether a digest is anything to it: what opens incidents is not told what went well.
    pub fn takes_digests(self) -> bool {
        !matches!(self, ChannelKind::Pagerduty | ChannelKind::Alertmanager)
    }

    /// Its rate where the file names none. Robots that are cut off for sending too much leave room
    /// for a test by hand.
    fn rate(self) -> Option<Rate> {
        let rate = |count, per| Some(Rate { count, per: Seconds(per) });
        match self {
            ChannelKind::Slack | ChannelKind::Feishu => rate(1, 1),
            ChannelKind::Dingtalk | ChannelKind::Wecom => rate(18, 60),
            ChannelKind::Webhook | ChannelKind::Pagerduty | ChannelKind::Alertmanager => None,
        }
    }

    /// What its receiver takes at most: each of these at once.
    fn limits(self) -> &'static [Rate] {
        const A_SECOND: Seconds = Seconds(1);
        const A_MINUTE: Seconds = Seconds(60);
        match self {
            ChannelKind::Slack => &[Rate { count: 60, per: A_MINUTE }],
            ChannelKind::Feishu => {
                &[Rate { count: 5, per: A_SECOND }, Rate { count: 100, per: A_MINUTE }]
            }
            ChannelKind::Dingtalk | ChannelKind::Wecom => &[Rate { count: 20, per: A_MINUTE }],
            ChannelKind::Webhook | ChannelKind::Pagerduty | ChannelKind::Alertmanager => &[],
        }
    }
}

/// As its maker writes it.
impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChannelKind::Webhook => "webhook",
            ChannelKind::Slack => "Slack",
            ChannelKind::Dingtalk => "DingTalk",
            ChannelKind::Feishu => "Feishu",
            ChannelKind::Wecom => "WeCom",
            ChannelKind::Pagerduty => "PagerDuty",
            ChannelKind::Alertmanager => "Alertmanager",
        })
    }
}

/// At most so many messages in any stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// Messages; at least one.
    pub count: u32,
    /// The stretch; at least a second.
    pub per: Seconds,
}

/// What a rate should look like, for messages.
const RATE: &str = "a rate such as `\"10 per 1m\"`";

impl Rate {
    /// Reads `10 per 1m`.
    fn parse(text: &str) -> Option<Rate> {
        let (count, per) = text.split_once(" per ")?;
        let count = count.trim().parse().ok().filter(|count| (1..=1_000_000).contains(count))?;
        let per = value::duration(per.trim()).filter(|per| *per > Seconds::ZERO)?;
        Some(Rate { count, per })
    }

    /// Whether no stretch of `limit` can have more messages than it allows.
    fn keeps(self, limit: Rate) -> bool {
        u64::from(self.count) * limit.per.0.div_ceil(self.per.0) <= u64::from(limit.count)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}", self.count, self.per)
    }
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
    pub text: String,
}

/// Reads every `[[alert]]`.
pub(super) fn alerts(root: &Table<'_>) -> Vec<AlertChannel> {
    let Some(entry) = root.get(&top::ALERT) else { return Vec::new() };
    let mut names = BTreeSet::new();
    entry.tables().iter().filter_map(|table| alert(table, &mut names)).collect()
}

fn alert(table: &Table<'_>, names: &mut BTreeSet<String>) -> Option<AlertChannel> {
    let name = name(table, names);
    let kind = kind(table);
    let min_severity =
        table.get(&known::MIN_SEVERITY).map_or(Some(AlertChannel::MIN_SEVERITY), |entry| {
            entry.choice(&[
                ("info", Severity::Info),
                ("warning", Severity::Warning),
                ("critical", Severity::Critical),
            ])
        });
    let url = url(table, kind);
    let bearer = match kind {
        Some(ChannelKind::Webhook | ChannelKind::Alertmanager) | None => {
            secret(table, &known::BEARER_FILE, "token")
        }
        Some(_) => Some(None),
    };
    let key = key(table, kind);
    let language = table.get(&known::LANGUAGE).map_or(Some(AlertLanguage::English), |entry| {
        entry.choice(&[("en", AlertLanguage::English), ("zh", AlertLanguage::Chinese)])
    });
    let message = message(table, kind);
    let link = match kind {
        Some(ChannelKind::Webhook) => Some(None),
        _ => table.get(&known::LINK).map_or(Some(None), |entry| link(&entry).map(Some)),
    };
    let rate = rate(table, kind);
    let quiet_hours = match table.get(&known::QUIET_HOURS) {
        Some(entry) => quiet_hours(&entry).map(Some),
        None => Some(None),
    };
    let of_quiet_hours = quiet_hours.iter().flatten().map(|quiet| &quiet.timezone).next();
    let digest = table.get(&known::DIGEST).map_or(Some(None), |entry| match kind {
        Some(kind) if !kind.takes_digests() => {
            let hint = "a digest is no incident; a chat or a `webhook` takes it".to_owned();
            entry.key_fault(format!("{kind} takes no digest"), Some(hint));
            None
        }
        _ => digest(&entry, of_quiet_hours).map(Some),
    });
    if kind.is_some() {
        // Keys of kinds that are not there are not judged.
        table.finish();
    }
    Some(AlertChannel {
        name: name?,
        kind: kind?,
        min_severity: min_severity?,
        url: url?,
        bearer: bearer?,
        secret: key?,
        language: language?,
        message: message?,
        link: link?,
        rate: rate?,
        quiet_hours: quiet_hours?,
        digest: digest?,
    })
}

/// PagerDuty has one address for all, which may be left out.
fn url(table: &Table<'_>, kind: Option<ChannelKind>) -> Option<Option<SecretFile>> {
    if kind == Some(ChannelKind::Pagerduty) {
        return secret(table, &known::URL_FILE, "address");
    }
    let url = table.required(&known::URL_FILE, "the path of a file that holds the address")?;
    url.secret_file("address").map(Some)
}

/// What messages are signed with, or whose they are.
fn key(table: &Table<'_>, kind: Option<ChannelKind>) -> Option<Option<SecretFile>> {
    match kind {
        Some(ChannelKind::Dingtalk | ChannelKind::Feishu) => {
            secret(table, &known::SECRET_FILE, "secret")
        }
        Some(ChannelKind::Pagerduty) => {
            let expected = "the path of a file that holds the routing key";
            table.required(&known::ROUTING_KEY_FILE, expected)?.secret_file("routing key").map(Some)
        }
        _ => Some(None),
    }
}

/// Where messages lead: what stands in it ends no link of any receiver's grammar.
fn link(entry: &Entry<'_>) -> Option<String> {
    const LONGEST: usize = 500;
    let is_sound = |text: &str| {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_plain = text.chars().all(|c| c.is_ascii_graphic() && !"<>()[]|\"'\\`*".contains(c));
        host.is_some_and(|host| host.starts_with(|c: char| c.is_ascii_alphanumeric()))
            && is_plain
            && text.len() <= LONGEST
    };
    entry.parsed(
        |text| is_sound(text).then(|| text.to_owned()),
        "an address of a page such as `\"https://wiki.example.com/neap/\"`",
    )
}

/// What the file says, as long as the receiver takes it; else what is right for the kind.
fn rate(table: &Table<'_>, kind: Option<ChannelKind>) -> Option<Option<Rate>> {
    let Some(entry) = table.get(&known::RATE) else {
        return Some(kind.and_then(ChannelKind::rate));
    };
    let rate = entry.parsed(Rate::parse, RATE)?;
    let limits = kind.map_or(&[][..], ChannelKind::limits);
    if let (Some(kind), Some(limit)) = (kind, limits.iter().find(|limit| !rate.keeps(**limit))) {
        let hint = format!("what waits goes out in one message, so few are enough for {kind}");
        entry.unexpected(&format!("no more than {kind} takes, which is {limit}"), Some(hint));
        return None;
    }
    Some(Some(rate))
}

/// A file of a secret that may be left out; `None` where what stands there is wrong.
fn secret(table: &Table<'_>, key: &Key, what: &str) -> Option<Option<SecretFile>> {
    match table.get(key) {
        Some(entry) => entry.secret_file(what).map(Some),
        None => Some(None),
    }
}

/// A channel's name stands in the journal and in headers.
fn name(table: &Table<'_>, names: &mut BTreeSet<String>) -> Option<String> {
    let expected = "a name of ASCII letters, digits, `-` and `_`, such as `\"on-call\"`";
    let entry = table.required(&known::NAME, expected)?;
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
    let entry = table.required(&known::KIND, "a kind such as `\"webhook\"`")?;
    if entry.as_text() == Some("email") {
        let hint = "a `webhook` can reach a gateway that sends mail".to_owned();
        entry.fault(format!("{}: mail is not built in", entry.found()), Some(hint));
        return None;
    }
    entry.choice(&ChannelKind::ALL)
}

fn message(table: &Table<'_>, kind: Option<ChannelKind>) -> Option<Message> {
    let default = Message::default();
    let chosen =
        table.get(&known::FIELDS).map_or(Some(default.fields), |e| fields(&e, &Field::ALL));
    let hash = table.get(&known::HASH).map_or(Some(default.hash), |e| fields(&e, &Field::NAMING));
    let salt = secret(table, &known::SALT_FILE, "salt");
    let sound = chosen.is_some() && hash.is_some() && salt.is_some();
    let message = Message {
        fields: chosen.unwrap_or_else(|| Message::default().fields),
        hash: hash.unwrap_or_default(),
        salt: salt.flatten(),
        template: None,
    };
    // The other kinds have a form of their own.
    let is_free = kind.is_none_or(|kind| kind == ChannelKind::Webhook);
    let message = match is_free.then(|| table.get(&known::TEMPLATE)).flatten() {
        Some(entry) => entry.file_beside("template text", |source, text| {
            let template = Some(Template { source: source.to_owned(), text: text.to_owned() });
            worded(Message { template, ..message }, entry.checks())
        }),
        None => Some(message),
    };
    message.filter(|_| sound)
}

/// A message whose template makes JSON of every alert.
fn worded(message: Message, checks: &Checks) -> Result<Message, Vec<ConfigFault>> {
    let Err(fault) = (checks.template)(&message) else { return Ok(message) };
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
