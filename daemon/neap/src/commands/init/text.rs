//! How texts, numbers, metrics and comments are written in a configuration. Pure.

use std::fmt::Write as _;

use fleet::metric::{MetricQuery, WhenMissing};

/// Where comments are broken.
const COLUMNS: usize = 100;

/// A metric as the configuration writes it. Where its group is, it is, too.
pub(super) fn metric(query: &MetricQuery) -> String {
    let pair = |(name, value): (&String, &String)| format!("{} = {}", key(name), quoted(value));
    let dimensions: Vec<String> = query.dimensions.iter().map(pair).collect();
    let mut text = format!(
        "{{ namespace = {}, metric = {}, stat = \"{}\", dimensions = {{ {} }}",
        quoted(&query.namespace),
        quoted(&query.metric),
        query.statistic,
        dimensions.join(", ")
    );
    if query.period != fleet::Step::MINUTE {
        let _ = write!(text, ", period = \"{}\"", query.period.span());
    }
    if query.when_missing == WhenMissing::Zero {
        text.push_str(", when_missing = \"zero\"");
    }
    text + " }"
}

/// A key as TOML writes it.
pub(super) fn key(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.chars().all(bare) { text.to_owned() } else { quoted(text) }
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A number with three digits that count.
pub(super) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        at if at >= 100.0 => 0,
        at if at >= 10.0 => 1,
        at if at >= 1.0 => 2,
        _ => 4,
    };
    trimmed(&format!("{value:.decimals$}"))
}

/// A price.
pub(super) fn decimals(value: f64) -> String {
    trimmed(&format!("{value:.6}"))
}

fn trimmed(text: &str) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

/// A text as comment lines, whatever it holds.
pub(super) fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS && line != "#" {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line != "#" {
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}
