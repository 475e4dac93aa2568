//! Slack: an incoming webhook, one message of Block Kit.
//!
//! Names stand in `plain_text` alone, in which Slack reads no mention, link or emphasis. The text
//! of the notification is `mrkdwn`, where `&`, `<` and `>` are all that can begin one.
//! [docs.slack.dev: block kit, formatting message text, incoming webhooks]

use std::time::Duration;

use serde_json::{Value, json};

use super::{Item, heading, link_of, meaning, open_word, refusals, text};
use crate::Receipt;

/// A message has 50 blocks: one is the header, one the link.
pub(super) const ITEMS_MAX: usize = 48;
/// No limit of Slack's: what a person would still read.
pub(super) const BODY_BYTES_MAX: usize = 40_000;
/// Characters of a header.
const HEADER_MAX: usize = 150;
/// Characters of a title: with the marks around it and the severity it is well below a header, or
/// stands in a section.
const TITLE_MAX: usize = 400;
/// Characters of a line; with [`super::LINES_MAX`] of them a section keeps below its 3,000.
const LINE_MAX: usize = 160;

pub(super) fn body(items: &[Item], base: Option<&str>) -> Value {
    let heading = heading(items, TITLE_MAX, char::len_utf16);
    let header = text::cut(&heading, HEADER_MAX, char::len_utf16);
    let mut blocks = vec![json!({ "type": "header", "text": plain(&header) })];
    // The title of one alone stands in the header, if there is room.
    let has_title = items.len() == 1 && header == heading;
    for item in items {
        let head = (!has_title).then(|| item.head(TITLE_MAX, char::len_utf16));
        let lines = item.lines(items.len(), LINE_MAX, char::len_utf16);
        let text: Vec<String> = head.into_iter().chain(lines).chain(item.foot()).collect();
        if !text.is_empty() {
            blocks.push(json!({ "type": "section", "text": plain(&text.join("\n")) }));
        }
    }
    if let Some(base) = base {
        let text = format!("<{}|{}>", escaped(&link_of(base, items)), open_word(items));
        blocks.push(json!({
            "type": "section",
            "text": { "type": "mrkdwn", "text": text, "verbatim": true },
        }));
    }
    json!({
        "text": escaped(&heading),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

/// Without `emoji`, `:fire:` in a name stays what it is.
fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Slack says `ok`, or in a word why not; others that take its messages say what they like.
pub(super) fn answer(status: u16, rest: Option<Duration>, body: &str) -> Receipt {
    const KNOWN: [(&str, &str); 10] = [
        ("action_prohibited", "an administrator forbids it"),
        ("channel_is_archived", "the channel is archived"),
        ("channel_not_found", "the channel is gone"),
        ("invalid_blocks", "it does not take the blocks"),
        ("invalid_payload", "it does not take the message"),
        ("invalid_token", "the address is no longer valid"),
        ("no_service", "the webhook is gone or switched off"),
        ("no_team", "the workspace is gone"),
        ("no_text", "it misses a text"),
        ("team_disabled", "the workspace is switched off"),
    ];
    let word = body.trim();
    let said = KNOWN.iter().find(|(known, _)| *known == word);
    match (meaning(status, rest), said) {
        (Receipt::Taken { .. }, Some((word, what))) => {
            let why = format!("it answers {status}, `{word}`: {what}");
            Receipt::Refused { status: Some(status), why }
        }
        (Receipt::Taken { .. }, None) if is_error_word(word) => Receipt::Later {
            status: Some(status),
            why: format!("it answers {status} with a word of its errors"),
            rest,
        },
        (Receipt::Refused { status, why }, Some((word, what))) => {
            Receipt::Refused { status, why: format!("{why}, `{word}`: {what}") }
        }
        (answer, _) => refusals::told(status, body, answer),
    }
}

/// Whether it has the form of Slack's errors, of which there are more than are documented:
/// `rollup_error`, `user_not_found`.
fn is_error_word(word: &str) -> bool {
    word.contains('_') && word.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
}
