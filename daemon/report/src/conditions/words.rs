//! What is told, in words: English here, Chinese in `said/conditions.rs`.

use std::fmt;

use fleet::Timestamp;
use fleet::alert::{Alert, BEGUN, Condition, OVER};
use journal::records::conditions::Notice;

use super::{Say, Telling, Trouble};
use crate::Language;
use crate::said::{Said as _, conditions as chinese};

/// Lines that name somebody each: with what stands below them a chat shows them all.
const NAMED_MAX: usize = 10;

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Order { change, fault } => write!(f, "{change}: {fault}"),
            Trouble::Short { told, has, since, cloud } => {
                let told = told.0;
                write!(f, "{} of {told} units are in service after {since}", has.0)?;
                cloud.iter().try_for_each(|words| write!(f, "; the cloud says: {words}"))
            }
            Trouble::Held(hold) => hold.fmt(f),
            Trouble::Unread(fault) => write!(f, "no newer samples: {fault}"),
            Trouble::Missed(promise) => promise.fmt(f),
            Trouble::Thrown(why) => why.fmt(f),
            Trouble::ReserveOnly => f.write_str("increases go on, nothing is removed or stopped"),
            Trouble::NotWritten(why) => f.write_str(why),
            Trouble::Undiscovered(missing) => missing.fmt(f),
        }
    }
}

/// What is said of a condition, in a language.
struct Words {
    what: &'static str,
    who: String,
    hint: Option<String>,
}

/// The message of an event.
pub fn notice(event: &Telling, now: Timestamp) -> Notice {
    let of = event.key.of;
    let begins = match event.said {
        Say::Over => OVER,
        Say::Begins | Say::Grows | Say::Lasts => BEGUN,
    };
    let names: Vec<String> = match of {
        Condition::KillSwitch | Condition::Journal | Condition::Discovery => Vec::new(),
        _ => event.subjects.keys().cloned().collect(),
    };
    let (title, lines) = told(event, now, Language::English);
    let (title_zh, lines_zh) = told(event, now, Language::Chinese);
    let alert = Alert {
        key: format!("{begins}{}/{}", of.word(), event.key.scope),
        severity: event.severity,
        at: now,
        title,
        lines,
        subject: names.first().filter(|_| names.len() == 1).cloned(),
        owner: None,
    };
    Notice { alert, title_zh, lines_zh, names, key: event.key.clone(), left: event.left.clone() }
}

/// Title and lines.
fn told(event: &Telling, now: Timestamp, language: Language) -> (String, Vec<String>) {
    let first = event.subjects.values().flatten().next();
    let words = match language {
        Language::English => english(event, first),
        Language::Chinese => {
            let (of, subjects) = (event.key.of, &event.subjects);
            let what = match event.said {
                Say::Over => chinese::over(of),
                _ => chinese::what(of, first),
            };
            let who = chinese::who(of, subjects.keys(), &event.key.scope);
            Words { what, who, hint: chinese::hint(of, subjects.keys().next()) }
        }
    };
    let lasted = now.since(event.since);
    let said = format!("{}{}", words.who, words.what);
    let title = match (language, event.said) {
        (_, Say::Begins) => said,
        (Language::English, Say::Grows) => format!("more of it: {said}"),
        (Language::English, Say::Lasts) => format!("still, after {lasted}: {said}"),
        (Language::English, Say::Over) => format!("recovered after {lasted}: {said}"),
        (Language::Chinese, Say::Grows) => format!("范围扩大：{said}"),
        (Language::Chinese, Say::Lasts) => format!("已持续 {lasted}：{said}"),
        (Language::Chinese, Say::Over) => format!("持续 {lasted} 后已恢复：{said}"),
    };
    let mut lines = lines(event, language);
    lines.extend(words.hint.filter(|_| event.said != Say::Over));
    (title, lines)
}

/// Whom it concerns, and why.
fn lines(event: &Telling, language: Language) -> Vec<String> {
    let (many, subjects) = (event.subjects.len() > 1, &event.subjects);
    let why = |why: &Option<Trouble>| why.as_ref().map(|why| why.said(language));
    let line = |(name, of): (&String, &Option<Trouble>)| match (many, why(of), language) {
        (true, Some(why), Language::English) => Some(format!("{name}: {why}")),
        (true, Some(why), Language::Chinese) => Some(format!("{name}：{why}")),
        (true, None, _) => Some(name.clone()),
        (false, why, _) => why,
    };
    let mut lines: Vec<String> = subjects.iter().take(NAMED_MAX).filter_map(line).collect();
    if subjects.len() > NAMED_MAX {
        let more = subjects.len() - NAMED_MAX;
        lines.push(match language {
            Language::English => format!("and {more} more"),
            Language::Chinese => format!("以及另外 {more} 个"),
        });
    }
    lines
}

fn english(event: &Telling, first: Option<&Trouble>) -> Words {
    let of = event.key.of;
    let what = match event.said {
        Say::Over => over(of),
        Say::Begins | Say::Grows | Say::Lasts => what(of, first),
    };
    let mut subjects = event.subjects.keys();
    let who = match (of, subjects.next(), event.subjects.len()) {
        (Condition::KillSwitch | Condition::Journal, ..) | (_, None, _) => String::new(),
        (_, Some(name), 1) => format!("{name}: "),
        (Condition::Discovery, _, many) => format!("{many} places of {}: ", event.key.scope),
        (_, _, many) => format!("{many} services of {}: ", event.key.scope),
    };
    Words { what, who, hint: hint(of, event.subjects.keys().next()) }
}

fn what(of: Condition, first: Option<&Trouble>) -> &'static str {
    match of {
        Condition::OrderRefused => "orders are not carried out",
        Condition::GroupShort => "fewer units are in service than ordered",
        Condition::DemandUnknown => "demand or group cannot be read",
        Condition::OutageShape => "demand collapsed as in an outage",
        Condition::DemandDoubted => "demand fell, and nothing shows that it is true",
        Condition::PromiseUsedUp => "more was missed than promised",
        Condition::AtMaximum => "more is needed than a maximum allows",
        Condition::KillSwitch => "the kill switch is thrown, nothing is changed in any cloud",
        Condition::Journal => match first {
            Some(Trouble::ReserveOnly) => "the journal has only its reserve left",
            _ => "the journal cannot be written, nothing is changed in any cloud",
        },
        Condition::Discovery => "groups cannot be looked for",
    }
}

fn over(of: Condition) -> &'static str {
    match of {
        Condition::OrderRefused => "no order fails any more",
        Condition::GroupShort => "what was ordered is in service",
        Condition::DemandUnknown => "demand and group are read again",
        Condition::OutageShape => "demand no longer looks like an outage",
        Condition::DemandDoubted => "demand is believed again",
        Condition::PromiseUsedUp => "the promise is kept again",
        Condition::AtMaximum => "no maximum is in the way any more",
        Condition::KillSwitch => "the kill switch is back, changes are made again",
        Condition::Journal => "the journal is written again and has room",
        Condition::Discovery => "groups are found again",
    }
}

fn hint(of: Condition, first: Option<&String>) -> Option<String> {
    Some(match of {
        Condition::KillSwitch => "remove its file to go on".to_owned(),
        Condition::Journal => "make room on the disk of `state_dir`, or repair it".to_owned(),
        Condition::Discovery => "groups that are known go on; new ones are not seen".to_owned(),
        Condition::DemandUnknown | Condition::OutageShape | Condition::DemandDoubted => {
            format!("nothing is removed meanwhile; `neap explain {}`", first?)
        }
        Condition::OrderRefused
        | Condition::GroupShort
        | Condition::PromiseUsedUp
        | Condition::AtMaximum => format!("`neap explain {}`", first?),
    })
}
