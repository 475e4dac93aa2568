//! Feishu, which is Lark elsewhere: a group's bot, signed, with a card.
//!
//! Names stand in `plain_text` alone, which knows no Markdown and no mention. Errors come with
//! status 200, or with 400 and the same code.
//! [open.feishu.cn: custom bot guide, message card structure]

use std::time::Duration;

use fleet::Timestamp;
use fleet::alert::Severity;
use serde_json::{Value, json};

use super::{Code, Item, heading, hmac_base64, link_of, open_word, worst};

/// Bytes of a body.
pub(super) const BODY_BYTES_MAX: usize = 20_000;
/// Alerts of a card.
pub(super) const ITEMS_MAX: usize = 40;
/// Bytes of a title.
const TITLE_MAX: usize = 300;
/// Bytes of a line.
const LINE_MAX: usize = 400;
/// How long a bot is left alone that sent too much.
const TOO_OFTEN: Duration = Duration::from_secs(60);

/// The key is made of time and secret, and what is signed is nothing.
pub(super) fn sign(seconds: i64, secret: &str) -> String {
    hmac_base64(&format!("{seconds}\n{secret}"), "")
}

pub(super) fn body(
    items: &[Item],
    base: Option<&str>,
    secret: Option<&str>,
    now: Timestamp,
) -> Value {
    let mut elements = Vec::new();
    for item in items {
        let head = (items.len() > 1).then(|| item.head(TITLE_MAX, char::len_utf8));
        let lines = item.lines(items.len(), LINE_MAX, char::len_utf8);
        let text: Vec<String> = head.into_iter().chain(lines).collect();
        if !text.is_empty() {
            elements.push(json!({ "tag": "div", "text": plain(&text.join("\n")) }));
        }
        if let Some(foot) = item.foot() {
            elements.push(json!({ "tag": "note", "elements": [plain(&foot)] }));
        }
    }
    if let Some(base) = base {
        let url = link_of(base, items);
        let button = json!({ "tag": "button", "text": plain(open_word(items)), "type": "default", "url": url });
        elements.push(json!({ "tag": "action", "actions": [button] }));
    }
    if elements.is_empty() {
        elements.push(json!({ "tag": "hr" }));
    }
    let title = heading(items, TITLE_MAX, char::len_utf8);
    let header = json!({ "template": colour(worst(items)), "title": plain(&title) });
    let mut body = json!({
        "msg_type": "interactive",
        "card": {
            "config": { "wide_screen_mode": true },
            "header": header,
            "elements": elements,
        },
    });
    if let Some(secret) = secret {
        body["timestamp"] = json!(now.0.to_string());
        body["sign"] = json!(sign(now.0, secret));
    }
    body
}

fn plain(text: &str) -> Value {
    json!({ "tag": "plain_text", "content": text })
}

fn colour(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(Severity::Critical) => "red",
        Some(Severity::Warning) => "orange",
        Some(Severity::Info) => "blue",
        None => "grey",
    }
}

pub(super) fn code(code: i64, _: &str) -> Code {
    match code {
        11_232 | 99_991_400 => Code::Later("it has had too many messages", Some(TOO_OFTEN)),
        19_021 => Code::Later("the signature does not match, or the clock is off", None),
        19_022 => Code::Later("it knows no such address", None),
        19_001 => Code::Refused("the token is not valid"),
        19_024 => Code::Refused("it asks for a word that is not in the message; `neap` is"),
        _ => Code::Refused("it does not take the message"),
    }
}
