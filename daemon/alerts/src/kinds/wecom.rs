//! WeCom: a group's robot, with a message in Markdown, or a picture in one of its own.
//!
//! Its Markdown knows bold, links, code, quotations, colours and mentions, and no escape, so names
//! lose what could begin one. Errors come with status 200.
//! [developer.work.weixin.qq.com: group robot configuration]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleet::alert::Severity;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::{Code, Item, heading, link_of, open_word, worst};

/// Bytes of the content.
pub(super) const CONTENT_BYTES_MAX: usize = 4096;
/// Bytes of a title: with twelve lines, what stands below them and the longest link it fits into a
/// message.
const TITLE_MAX: usize = 200;
/// Bytes of a line.
const LINE_MAX: usize = 120;
/// How long a robot is left alone that sent too much.
const TOO_OFTEN: Duration = Duration::from_secs(60);

pub(super) fn content(items: &[Item], base: Option<&str>) -> String {
    let items: Vec<Item> = items.iter().map(Item::inert).collect();
    let title = heading(&items, TITLE_MAX, char::len_utf8);
    let colour = match worst(&items) {
        Some(Severity::Info) => "info",
        Some(_) => "warning",
        None => "comment",
    };
    let mut content = format!("**<font color=\"{colour}\">{title}</font>**");
    for item in &items {
        if items.len() > 1 {
            content.push_str(&format!("\n\n**{}**", item.head(TITLE_MAX, char::len_utf8)));
        }
        let lines = item.lines(items.len(), LINE_MAX, char::len_utf8);
        for line in lines.into_iter().chain(item.foot()) {
            content.push_str(&format!("\n> {line}"));
        }
    }
    if let Some(base) = base {
        content.push_str(&format!("\n\n[{}]({})", open_word(&items), link_of(base, &items)));
    }
    content
}

pub(super) fn body(content: &str) -> Value {
    json!({ "msgtype": "markdown", "markdown": { "content": content } })
}

/// A picture with the MD5 of its bytes; it may have 2 MB of them.
pub(super) fn image(png: &[u8]) -> Value {
    let (base64, md5) = (STANDARD.encode(png), hex::encode(Md5::digest(png)));
    json!({ "msgtype": "image", "image": { "base64": base64, "md5": md5 } })
}

pub(super) fn code(code: i64, _: &str) -> Code {
    match code {
        -1 => Code::Later("it is busy", None),
        45_009 | 45_033 => Code::Later("it has had too many messages", Some(TOO_OFTEN)),
        93_000 => Code::Refused("the key is not valid"),
        _ => Code::Refused("it does not take the message"),
    }
}
