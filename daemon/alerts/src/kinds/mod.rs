//! What each kind of receiver wants: alerts in, a request out; an answer in, its meaning out.
//!
//! Nothing here reads a clock, a file or the network. Words of receivers are never repeated, since
//! they may hold the address: an answer is known by its status and its code alone.

mod alertmanager;
mod dingtalk;
mod feishu;
mod pagerduty;
mod refusals;
mod slack;
mod text;
mod wecom;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use config::{AlertChannel, AlertLanguage, BodyFault, ChannelKind};
use fleet::Timestamp;
use fleet::alert::{Alert, LINES_MAX, Severity};
use hmac::{Hmac, KeyInit, Mac};
use journal::records::{Chart, Dispatch};
use report::digest::chart;
use serde_json::Value;
use sha2::Sha256;

use super::Receipt;
use super::body::{self, AlertParts};

/// Where PagerDuty takes events, unless the configuration names another address.
pub(super) const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
/// With more alerts than these in a message, each is told in short.
const IN_FULL_MAX: usize = 3;
/// Bytes of a name below an alert, and of a subject that completes a link.
const NAME_MAX: usize = 200;
/// The same in Markdown, where a letter may have grown.
const INERT_NAME_MAX: usize = 140;

/// An alert, and the key by which a receiver knows a repeat of it.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// The key: the same each time that the alert is sent.
    pub id: String,
    pub alert: &'a Alert,
    /// Services that stand in its words, beside its subject.
    pub names: &'a [String],
    /// What else a digest has.
    pub digest: Option<&'a Dispatch>,
}

impl<'a> Letter<'a> {
    /// An alert that is no digest.
    pub fn of(id: String, alert: &'a Alert) -> Letter<'a> {
        Letter { id, alert, names: &[], digest: None }
    }
}

/// What a request is made with beside the alerts.
pub(super) struct Secrets<'a> {
    /// What goes into hashes of names.
    pub salt: &'a [u8],
    /// What messages are signed with, or PagerDuty's routing key.
    pub key: Option<&'a str>,
}

/// What is sent to a channel's address.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    /// What goes behind the address.
    pub query: Option<String>,
    pub body: String,
    /// Which of the letters it tells, by place.
    pub told: Vec<usize>,
}

/// Whether a message may tell several alerts.
pub(super) fn groups(kind: ChannelKind) -> bool {
    !matches!(kind, ChannelKind::Webhook | ChannelKind::Pagerduty)
}

/// Whether requests may overtake each other: they may not where one can end what another began.
pub(super) fn in_order(kind: ChannelKind) -> bool {
    kind != ChannelKind::Webhook
}

/// The request that tells as many of `letters`, from the first on, as one message of the channel
/// holds: at least one. There must be one.
pub(super) fn request(
    channel: &AlertChannel,
    secrets: &Secrets<'_>,
    letters: &[Letter<'_>],
    now: Timestamp,
) -> Result<Request, BodyFault> {
    let told = |letter: &Letter<'_>| AlertParts::of(&channel.message, secrets.salt, letter);
    let first = &letters[0];
    let single = |body: String| Request { query: None, body, told: vec![0] };
    if let Some(digest) = first.digest {
        if !channel.kind.takes_digests() {
            return Err(never(format!("{} takes no digest", channel.kind)));
        }
        if let Some(chart) = &digest.chart {
            return Ok(single(picture(channel, chart)?));
        }
    }
    Ok(match channel.kind {
        ChannelKind::Webhook => single(body::body(&channel.message, secrets.salt, first)?),
        ChannelKind::Pagerduty => {
            let key = secrets.key.unwrap_or_default();
            let link = channel.link.as_deref();
            single(pagerduty::body(key, &first.id, &told(first), link).to_string())
        }
        ChannelKind::Alertmanager => {
            let threads = Thread::all(letters, |told| told.thread.clone(), &told);
            let threads = &threads[..threads.len().min(alertmanager::ALERTS_MAX)];
            let alerts = threads.iter().map(|thread| {
                let id = letters.get(thread.newest()).map_or("", |letter| letter.id.as_str());
                alertmanager::alert(id, &thread.told, channel.link.as_deref(), now)
            });
            let body = Value::Array(alerts.collect()).to_string();
            Request { query: None, body, told: members(threads) }
        }
        ChannelKind::Slack => chat(channel, letters, &told, |items| {
            within(slack::body(items, channel.link.as_deref()), slack::BODY_BYTES_MAX)
                .filter(|_| items.len() <= slack::ITEMS_MAX)
        }),
        ChannelKind::Dingtalk => Request {
            query: secrets.key.map(|secret| dingtalk::query(now, secret)),
            ..chat(channel, letters, &told, |items| {
                within(dingtalk::body(items, channel.link.as_deref()), dingtalk::BODY_BYTES_MAX)
            })
        },
        ChannelKind::Feishu => chat(channel, letters, &told, |items| {
            let body = feishu::body(items, channel.link.as_deref(), secrets.key, now);
            within(body, feishu::BODY_BYTES_MAX).filter(|_| items.len() <= feishu::ITEMS_MAX)
        }),
        ChannelKind::Wecom => chat(channel, letters, &told, |items| {
            let content = wecom::content(items, channel.link.as_deref());
            (content.len() <= wecom::CONTENT_BYTES_MAX).then(|| wecom::body(&content).to_string())
        }),
    })
}

/// The message with a chart alone.
fn picture(channel: &AlertChannel, chart: &Chart) -> Result<String, BodyFault> {
    if !channel.takes_charts() {
        return Err(never(format!("`{}` takes no chart", channel.name)));
    }
    let png = chart::png(chart).map_err(|error| never(error.to_string()))?;
    Ok(wecom::image(&png).to_string())
}

fn never(what: String) -> BodyFault {
    BodyFault { line: 1, what }
}

/// What an answer of a receiver of this kind means.
pub(super) fn answer(
    kind: ChannelKind,
    status: u16,
    rest: Option<Duration>,
    body: &str,
) -> Receipt {
    let by_status = || meaning(status, rest);
    match kind {
        ChannelKind::Webhook | ChannelKind::Pagerduty | ChannelKind::Alertmanager => by_status(),
        ChannelKind::Slack => slack::answer(status, rest, body),
        ChannelKind::Dingtalk => coded(status, "errcode", body, dingtalk::code, by_status),
        ChannelKind::Feishu => coded(status, "code", body, feishu::code, by_status),
        ChannelKind::Wecom => coded(status, "errcode", body, wecom::code, by_status),
    }
}

/// Whether what an answer means is in its body.
pub(super) fn reads_answers(kind: ChannelKind) -> bool {
    use ChannelKind::{Dingtalk, Feishu, Slack, Wecom};
    matches!(kind, Slack | Dingtalk | Feishu | Wecom)
}

/// What a status means where nothing else says more.
pub(super) fn meaning(code: u16, rest: Option<Duration>) -> Receipt {
    if (200..300).contains(&code) {
        return Receipt::Taken { status: code };
    }
    let status = Some(code);
    let why = match code {
        300..=399 => format!("it answers {code}, and redirects are not followed"),
        _ => format!("it answers {code}"),
    };
    match code {
        408 | 425 | 429 | 500.. => Receipt::Later { status, why, rest },
        _ => Receipt::Refused { status, why },
    }
}

/// What a receiver's code other than zero means, in our words.
enum Code {
    /// It is well another time, or when somebody has seen to it.
    Later(&'static str, Option<Duration>),
    /// The message itself, or the address, is refused.
    Refused(&'static str),
}

/// The meaning of an answer whose body is JSON with a code: zero is well, whatever the status.
fn coded(
    status: u16,
    name: &str,
    body: &str,
    table: fn(i64, &str) -> Code,
    by_status: impl Fn() -> Receipt,
) -> Receipt {
    let read: Option<Value> = serde_json::from_str(body).ok();
    let code = read.as_ref().and_then(|body| whole(body.get(name)?));
    let Some(code) = code else { return refusals::told(status, body, by_status()) };
    if code == 0 {
        return by_status();
    }
    let words = ["errmsg", "msg"].iter().find_map(|word| read.as_ref()?.get(word)?.as_str());
    let status = Some(status);
    match table(code, words.unwrap_or_default()) {
        Code::Later(what, rest) => {
            Receipt::Later { status, why: format!("it answers `{name}` {code}: {what}"), rest }
        }
        Code::Refused(what) => {
            Receipt::Refused { status, why: format!("it answers `{name}` {code}: {what}") }
        }
    }
}

/// A whole number, which some receivers write as text.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// HMAC-SHA256 in base64.
fn hmac_base64(key: &str, message: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length makes a MAC");
    mac.update(message.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Letters about the same: the newest of them is told for all.
struct Thread {
    told: AlertParts,
    /// The places of the letters, in order; never empty.
    letters: Vec<usize>,
}

impl Thread {
    /// In the order in which the first letter of each came.
    fn all(
        letters: &[Letter<'_>],
        same: impl Fn(&AlertParts) -> String,
        told: &impl Fn(&Letter<'_>) -> AlertParts,
    ) -> Vec<Thread> {
        let mut threads: Vec<(String, Thread)> = Vec::new();
        for (place, letter) in letters.iter().enumerate() {
            let told = told(letter);
            let name = same(&told);
            match threads.iter_mut().find(|(other, _)| *other == name) {
                Some((_, thread)) => {
                    thread.told = told;
                    thread.letters.push(place);
                }
                None => threads.push((name, Thread { told, letters: vec![place] })),
            }
        }
        threads.into_iter().map(|(_, thread)| thread).collect()
    }

    fn newest(&self) -> usize {
        self.letters.last().copied().unwrap_or_default()
    }
}

fn members(threads: &[Thread]) -> Vec<usize> {
    threads.iter().flat_map(|thread| thread.letters.iter().copied()).collect()
}

/// The message of a chat that tells as many as fit. `body` makes one of items, or `None` where they
/// are too many; of one item it must make one.
fn chat(
    channel: &AlertChannel,
    letters: &[Letter<'_>],
    told: &impl Fn(&Letter<'_>) -> AlertParts,
    body: impl Fn(&[Item]) -> Option<String>,
) -> Request {
    let same = |told: &AlertParts| format!("{} {}", told.over, told.thread);
    let threads = Thread::all(letters, same, told);
    let items: Vec<Item> =
        threads.iter().map(|thread| Item::of(thread, channel.language)).collect();
    // One alone is cut until it fits.
    let mut most = (body(&items[..1]).unwrap_or_default(), 1);
    for count in 2..=items.len() {
        match body(&items[..count]) {
            Some(body) => most = (body, count),
            // With few they are told in full: more of them in short may be shorter.
            None if count > IN_FULL_MAX + 1 => break,
            None => {}
        }
    }
    let (body, count) = most;
    Request { query: None, body, told: members(&threads[..count]) }
}

/// A body as text, where it is no longer than a receiver takes.
fn within(body: Value, bytes_max: usize) -> Option<String> {
    Some(body.to_string()).filter(|body| body.len() <= bytes_max)
}

/// An alert as a chat shows it: of one line each, and all of it can be seen.
#[derive(Clone, Debug, Default, PartialEq)]
struct Item {
    severity: Option<Severity>,
    title: String,
    lines: Vec<String>,
    /// When, about what, and for whom.
    names: Vec<String>,
    subject: Option<String>,
    language: AlertLanguage,
}

impl Item {
    fn of(thread: &Thread, language: AlertLanguage) -> Item {
        let told = &thread.told;
        let title = told.title.as_deref().map(text::plain).filter(|title| !title.is_empty());
        let title = title.unwrap_or_else(|| match language {
            AlertLanguage::English => "an alert".to_owned(),
            AlertLanguage::Chinese => "一条告警".to_owned(),
        });
        let title = match (thread.letters.len(), language) {
            (1, _) => title,
            (times, AlertLanguage::English) => format!("{title} ({times} times)"),
            (times, AlertLanguage::Chinese) => format!("{title}（{times} 次）"),
        };
        let named = |name: &Option<String>| {
            let name = text::plain(name.as_deref()?);
            Some(text::cut(&name, NAME_MAX, char::len_utf8).into_owned()).filter(|n| !n.is_empty())
        };
        let names = [told.at.map(|at| at.to_string()), named(&told.subject), named(&told.owner)];
        Item {
            severity: told.severity,
            title,
            lines: told.lines.iter().take(LINES_MAX).map(|line| text::plain(line)).collect(),
            names: names.into_iter().flatten().collect(),
            subject: told.subject.clone(),
            language,
        }
    }

    /// The line below it, if there is something to say.
    fn foot(&self) -> Option<String> {
        let names: Vec<_> = self.names.iter().map(|name| text::isolated(name)).collect();
        Some(names.join(" · ")).filter(|foot| !foot.is_empty())
    }

    /// The same where what Markdown gives a meaning to has none.
    fn inert(&self) -> Item {
        let short = |name: &str| text::cut(name, INERT_NAME_MAX, char::len_utf8).into_owned();
        Item {
            severity: self.severity,
            title: text::inert(&self.title),
            lines: self.lines.iter().map(|line| text::inert(line)).collect(),
            names: self.names.iter().map(|name| short(&text::inert(name))).collect(),
            subject: self.subject.clone(),
            language: self.language,
        }
    }

    /// How bad it is and what, at most so long.
    fn head(&self, title_max: usize, measure: fn(char) -> usize) -> String {
        let title = text::cut(&self.title, title_max, measure);
        let title = text::isolated(&title);
        match self.severity {
            Some(severity) => match self.language {
                AlertLanguage::English => format!("{}: {title}", word(severity)),
                AlertLanguage::Chinese => format!("{}：{title}", in_chinese(severity)),
            },
            None => title.into_owned(),
        }
    }

    /// Its lines, each at most so long, and none where many are told.
    fn lines(&self, items: usize, max: usize, measure: fn(char) -> usize) -> Vec<String> {
        if items > IN_FULL_MAX {
            return Vec::new();
        }
        let lines = self.lines.iter().map(|line| {
            let line = text::cut(line, max, measure);
            text::isolated(&line).into_owned()
        });
        lines.collect()
    }
}

/// What stands above a message. It names neap, so that a robot that asks for a word is content.
fn heading(items: &[Item], title_max: usize, measure: fn(char) -> usize) -> String {
    match items {
        [item] => format!("neap: {}", item.head(title_max, measure)),
        items => {
            let critical = items.iter().filter(|i| i.severity == Some(Severity::Critical)).count();
            if items[0].language == AlertLanguage::Chinese {
                let critical =
                    if critical > 0 { format!("，{critical} 条严重") } else { String::new() };
                return format!("neap: {} 条告警{critical}", items.len());
            }
            let mut heading = format!("neap: {} alerts", items.len());
            if critical > 0 {
                heading.push_str(&format!(", {critical} critical"));
            }
            heading
        }
    }
}

/// What alerts about the same have in common, as a key of at most so long: a hash where it is longer.
fn key_of(told: &AlertParts, max: usize, measure: fn(char) -> usize) -> String {
    let thread = text::plain(&told.thread);
    match thread.chars().map(measure).sum::<usize>() {
        length if (1..=max).contains(&length) => thread,
        _ => body::hash(b"", &told.thread),
    }
}

/// The worst of them, where it may be told.
fn worst(items: &[Item]) -> Option<Severity> {
    items.iter().filter_map(|item| item.severity).max()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn in_chinese(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "提示",
        Severity::Warning => "警告",
        Severity::Critical => "严重",
    }
}

/// What stands on the way to more.
fn open_word(items: &[Item]) -> &'static str {
    match items.first().map(|item| item.language) {
        Some(AlertLanguage::Chinese) => "查看",
        _ => "Open",
    }
}

/// Where a message leads: a base that ends with `/` or `=` is completed by what it is about.
fn link(base: &str, subject: Option<&str>) -> String {
    match subject {
        Some(subject) if base.ends_with(['/', '=']) && subject.len() <= NAME_MAX => {
            let subject =
                percent_encoding::utf8_percent_encode(subject, percent_encoding::NON_ALPHANUMERIC);
            format!("{base}{subject}")
        }
        _ => base.to_owned(),
    }
}

/// Where a message of these leads.
fn link_of(base: &str, items: &[Item]) -> String {
    match items {
        [item] => link(base, item.subject.as_deref()),
        _ => base.to_owned(),
    }
}

#[cfg(test)]
mod tests;
