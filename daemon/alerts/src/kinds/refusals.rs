//! Answers of success that are a refusal all the same, in the words of any receiver.
//!
//! Chats that take the messages of another answer in words of their own: what is 2xx and no known
//! refusal was taken. To send it again would post it again, for as long as it is news.

use serde_json::Value;

use super::{Receipt, whole};

/// Members that hold whether it went well.
const WELL: [&str; 2] = ["ok", "success"];
/// Members that hold zero where it went well.
const CODES: [&str; 2] = ["errcode", "StatusCode"];
/// Members that hold a word, and the words that say no.
const WORDS: [&str; 2] = ["result", "status"];
const NO: [&str; 5] = ["error", "err", "fail", "failed", "failure"];

/// The meaning of an answer by its status, `by_status`, unless it is a success whose body says no.
pub(super) fn told(status: u16, body: &str, by_status: Receipt) -> Receipt {
    if !matches!(by_status, Receipt::Taken { .. }) {
        return by_status;
    }
    match refusal(body) {
        Some(member) => {
            let why = format!("it answers {status}, and by `{member}` that it did not take it");
            Receipt::Later { status: Some(status), why, rest: None }
        }
        None => by_status,
    }
}

/// The member of a JSON object that says no.
fn refusal(body: &str) -> Option<&'static str> {
    let read: Value = serde_json::from_str(body).ok()?;
    let has = |name: &str| read.get(name);
    let not_well = WELL.into_iter().find(|name| has(name) == Some(&Value::Bool(false)));
    let code =
        || CODES.into_iter().find(|name| has(name).and_then(whole).is_some_and(|it| it != 0));
    let word = || {
        WORDS.into_iter().find(|name| {
            let word = has(name).and_then(Value::as_str);
            word.is_some_and(|word| NO.iter().any(|no| word.eq_ignore_ascii_case(no)))
        })
    };
    not_well.or_else(code).or_else(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_that_says_no_says_no() {
        for (body, member) in [
            ("", None),
            ("ok", None),
            ("1", None),
            ("true", None),
            ("false", None),
            ("null", None),
            ("[]", None),
            ("\"error\"", None),
            ("<!DOCTYPE html><html>", None),
            ("{\"success\":true}", None),
            ("{\"success\":", None),
            ("{\"result\":\"success\",\"msg\":\"\"}", None),
            ("{\"ok\":true,\"success\":null}", None),
            ("{\"ok\":\"false\"}", None),
            ("{\"errcode\":0}", None),
            ("{\"errcode\":\"0\"}", None),
            ("{\"status\":\"queued\"}", None),
            ("{\"success\":false}", Some("success")),
            (" {\"success\":false,\"error\":\"no such room\"}\n", Some("success")),
            ("{\"ok\":false,\"error\":\"x\"}", Some("ok")),
            ("{\"errcode\":7}", Some("errcode")),
            ("{\"errcode\":\"310000\"}", Some("errcode")),
            ("{\"result\":\"error\",\"msg\":\"x\"}", Some("result")),
            ("{\"status\":\"FAILED\"}", Some("status")),
        ] {
            assert_eq!(refusal(body), member, "{body}");
        }
    }

    #[test]
    fn a_status_that_is_no_success_speaks_for_itself() {
        let refused = Receipt::Refused { status: Some(400), why: "it answers 400".to_owned() };
        assert_eq!(told(400, "{\"ok\":false}", refused.clone()), refused);
    }
}
