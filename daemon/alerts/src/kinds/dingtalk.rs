//! DingTalk: a group's robot, signed, with a message in Markdown or, with a link, a card.
//!
//! Its Markdown has no escape, so names lose what could mean something. The robot takes 20 messages
//! a minute; one that sends more is cut off for ten minutes. Errors come with status 200.
//! [open.dingtalk.com: custom robot access, robot security settings]

use std::time::Duration;

use fleet::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Code, Item, heading, hmac_base64, link_of, open_word};

/// Bytes of a body.
pub(super) const BODY_BYTES_MAX: usize = 20_000;
/// Bytes of a title, where a message is shown in short.
const TITLE_MAX: usize = 300;
/// Bytes of a line.
const LINE_MAX: usize = 400;
/// How long a robot is cut off that sent too much.
const CUT_OFF: Duration = Duration::from_secs(10 * 60);

/// What a signed request has behind its address.
pub(super) fn query(now: Timestamp, secret: &str) -> String {
    let milliseconds = now.0.saturating_mul(1000);
    let sign = sign(milliseconds, secret);
    format!("timestamp={milliseconds}&sign={}", utf8_percent_encode(&sign, NON_ALPHANUMERIC))
}

pub(super) fn sign(milliseconds: i64, secret: &str) -> String {
    hmac_base64(secret, &format!("{milliseconds}\n{secret}"))
}

pub(super) fn body(items: &[Item], base: Option<&str>) -> Value {
    let items: Vec<Item> = items.iter().map(Item::inert).collect();
    let title = heading(&items, TITLE_MAX, char::len_utf8);
    let mut text = format!("### {title}");
    for item in &items {
        if items.len() > 1 {
            text.push_str(&format!("\n\n**{}**", item.head(TITLE_MAX, char::len_utf8)));
        }
        let lines = item.lines(items.len(), LINE_MAX, char::len_utf8);
        for line in lines.into_iter().chain(item.foot()) {
            text.push_str(&format!("\n\n> {line}"));
        }
    }
    match base {
        None => json!({ "msgtype": "markdown", "markdown": { "title": title, "text": text } }),
        Some(base) => json!({
            "msgtype": "actionCard",
            "actionCard": {
                "title": title,
                "text": text,
                "singleTitle": open_word(&items),
                "singleURL": link_of(base, &items),
            },
        }),
    }
}

pub(super) fn code(code: i64, words: &str) -> Code {
    match code {
        -1 => Code::Later("it is busy", None),
        90_018 | 90_030 | 130_101 | 410_100 => {
            Code::Later("it has had too many messages", Some(CUT_OFF))
        }
        // What it says comes in either language.
        310_000 if says(words, &["keyword", "关键词"]) => {
            Code::Refused("it asks for a word that is not in the message; `neap` is")
        }
        310_000 if says(words, &["sign", "timestamp", "签名"]) => {
            Code::Later("the signature does not match, or the clock is off", None)
        }
        310_000 => Code::Later("its security settings keep us out", None),
        300_001 | 300_005 | 400_101 => Code::Refused("the token is not valid"),
        400_013 => Code::Refused("the group is gone"),
        400_102 => Code::Refused("the robot is switched off"),
        _ => Code::Refused("it does not take the message"),
    }
}

fn says(words: &str, any: &[&str]) -> bool {
    any.iter().any(|word| words.contains(word))
}
