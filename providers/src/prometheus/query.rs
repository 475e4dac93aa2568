//! PromQL as the configuration has it, and what a range query asks: purely.
//!
//! A sample's stamp is the START of its interval `[T, T + step)`. PromQL looks back: what it says at
//! T is about the time before T. So the sample of `[T, T + step)` is what the query says at
//! `T + step`, the moment at which the interval ends.

use std::fmt;

use fleet::{Seconds, Step, Timestamp};
use url::Url;

use crate::intervals;

/// Longer than this no query is that a person wrote.
const CHARS_MAX: usize = 4096;
/// Intervals of one request. Prometheus refuses more than 11,000, and holds every series that a
/// query reads for all of them in memory: at a tenth of its limit of 50 million samples a query may
/// still read 2,500 series.
const POINTS_MAX: u64 = 2_000;
/// Intervals that are asked for at most, counted back from now: two months of minutes. There may be
/// fewer.
const HISTORY_INTERVALS: u64 = 100_000;

/// A query in one line, of which all brackets and texts are closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query(String);

/// Why a text cannot be a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAQuery {
    /// Nothing but blanks and comments.
    #[error("nothing is asked")]
    Empty,
    /// Longer than any query that a person wrote.
    #[error("{0} characters, expected at most {CHARS_MAX}")]
    TooLong(usize),
    /// A bracket that closes nothing, or something else.
    #[error("`{0}` closes nothing")]
    ClosesNothing(char),
    /// A bracket that is never closed.
    #[error("`{0}` is never closed")]
    NeverClosed(char),
    /// A variable that a dashboard would have filled in.
    #[error("`{0}` is a dashboard's variable, which Prometheus does not know")]
    Variable(String),
}

impl Query {
    /// Reads a query: line breaks and comments are left out. What it means is the store's to say.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub fn parse(text: &str) -> Result<Query, NotAQuery> {
        let length = text.chars().count();
        if length > CHARS_MAX {
            return Err(NotAQuery::TooLong(length));
        }
        let mut scan = Scan { line: String::new(), open: Vec::new() };
        let mut rest = text.chars().peekable();
        while let Some(found) = rest.next() {
            match found {
                '#' => while rest.next_if(|c| *c != '\n').is_some() {},
                '"' | '\'' | '`' => scan.text(found, &mut rest)?,
                '$' => return Err(NotAQuery::Variable(variable(&mut rest))),
                blank if blank.is_whitespace() => scan.blank(),
                other => scan.outside(other)?,
            }
        }
        match scan.open.last() {
            Some(open) => Err(NotAQuery::NeverClosed(*open)),
            None if scan.line.trim().is_empty() => Err(NotAQuery::Empty),
            None => Ok(Query(scan.line.trim().to_owned())),
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was read so far: in one line, with the brackets that are open.
struct Scan {
    line: String,
    open: Vec<char>,
}

type Rest<'t> = std::iter::Peekable<std::str::Chars<'t>>;

impl Scan {
    fn blank(&mut self) {
        if !self.line.ends_with(' ') {
            self.line.push(' ');
        }
    }

    fn outside(&mut self, found: char) -> Result<(), NotAQuery> {
        let opens = |closing: char| match closing {
            ')' => Some('('),
            ']' => Some('['),
            '}' => Some('{'),
            _ => None,
        };
        if matches!(found, '(' | '[' | '{') {
            self.open.push(found);
        } else if let Some(opening) = opens(found)
            && self.open.pop() != Some(opening)
        {
            return Err(NotAQuery::ClosesNothing(found));
        }
        self.line.push(found);
        Ok(())
    }

    /// A text to its closing quote; a `$` in it is at home in regular expressions.
    fn text(&mut self, quote: char, rest: &mut Rest<'_>) -> Result<(), NotAQuery> {
        self.line.push(quote);
        while let Some(found) = rest.next() {
            let next = rest.peek().copied();
            self.line.push(found);
            match found {
                '\\' if quote != '`' => self.line.extend(rest.next()),
                '$' if next == Some('{') || next == Some('_') => {
                    return Err(NotAQuery::Variable(variable(rest)));
                }
                found if found == quote => return Ok(()),
                _ => {}
            }
        }
        Err(NotAQuery::NeverClosed(quote))
    }
}

/// The name of a variable, behind its `$`.
fn variable(rest: &mut Rest<'_>) -> String {
    let of_name = |c: &char| c.is_alphanumeric() || ['_', '{', '}', ':'].contains(c);
    format!("${}", rest.take_while(of_name).collect::<String>())
}

/// How far back samples of a period are asked for.
pub(super) fn history(period: Step) -> Seconds {
    Seconds(period.span().0 * HISTORY_INTERVALS)
}

/// The starts of intervals in `[from, to)` that have ended by `now`, in stretches that one request
/// may ask for.
pub(super) fn windows(
    period: Step,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
) -> Vec<(Timestamp, Timestamp)> {
    let kept = intervals::kept(period, from, to.min(now), now, history(period));
    let Some((start, end)) = kept else { return Vec::new() };
    let end = end.min(now.floor_to(period));
    intervals::stretches(period, (start, end), Seconds(period.span().0 * POINTS_MAX))
}

/// The form of a range query for the intervals that start in `[start, end)`.
///
/// What Thanos and VictoriaMetrics cannot answer in full, they are asked to answer in part, which they
/// say: a part may call for more. Prometheus takes no notice of what it does not know.
pub(super) fn form(
    query: &str,
    period: Step,
    (start, end): (Timestamp, Timestamp),
    timeout: Seconds,
) -> String {
    let at = |start: Timestamp| (start + period.span()).0.to_string();
    let (first, last) = (at(start), at(end - period.span()));
    let (step, timeout) = (period.seconds().to_string(), format!("{}s", timeout.0.max(1)));
    let pairs = [
        ("query", query),
        ("start", &first),
        ("end", &last),
        ("step", &step),
        ("timeout", &timeout),
        ("partial_response", "true"),
        ("deny_partial_response", "0"),
    ];
    let mut encoder = Url::parse("form:").expect("a scheme and nothing behind it is a URL");
    encoder.query_pairs_mut().extend_pairs(pairs);
    encoder.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, NotAQuery> {
        Query::parse(text).map(|query| query.0)
    }

    #[test]
    fn queries_are_read_into_one_line() {
        let sum = r#"sum(rate(http_requests_total{job="checkout", code=~"2..$"}[1m]))"#;
        assert_eq!(read(sum).unwrap(), sum);
        let text = "\n  sum by () ( # all of them\n\trate(x{a='b\\'  )'}[5m])  )\n";
        assert_eq!(read(text).unwrap(), "sum by () ( rate(x{a='b\\'  )'}[5m]) )");
        assert_eq!(read("x{a=`\\`}").unwrap(), "x{a=`\\`}", "nothing is escaped in these");
    }

    #[test]
    fn what_cannot_be_a_query_says_why() {
        for (text, why) in [
            ("", "nothing is asked"),
            ("  # sum(x)", "nothing is asked"),
            ("sum(rate(x[1m])", "`(` is never closed"),
            ("sum(rate(x[1m)))", "`)` closes nothing"),
            ("sum(x))", "`)` closes nothing"),
            ("x{a=\"b}", "`\"` is never closed"),
            ("sum(rate(x[$__rate_interval]))", "`$__rate_interval`"),
            ("x{job=\"${job}\"}", "`${job}`"),
            ("x{job=~\"$__all\"}", "`$__all`"),
            ("x * $factor", "`$factor`"),
        ] {
            let found = read(text).unwrap_err().to_string();
            assert!(found.starts_with(why), "{text}: {found}");
        }
        assert_eq!(read(&"x".repeat(4097)), Err(NotAQuery::TooLong(4097)));
    }

    #[test]
    fn an_interval_is_asked_for_at_its_end() {
        let window = (Timestamp(1_772_798_400), Timestamp(1_772_798_640));
        let form = form("sum(rate(x{a=\"b c\"}[1m]))", Step::MINUTE, window, Seconds(10));
        assert_eq!(
            form,
            "query=sum%28rate%28x%7Ba%3D%22b+c%22%7D%5B1m%5D%29%29&start=1772798460&end=1772798640\
             &step=60&timeout=10s&partial_response=true&deny_partial_response=0"
        );
    }

    #[test]
    fn only_intervals_that_have_ended_are_asked_for() {
        let (from, to) = (Timestamp(600), Timestamp(931));
        let asked = |now| windows(Step::MINUTE, from, to, Timestamp(now));
        assert_eq!(asked(931), [(Timestamp(600), Timestamp(900))]);
        assert_eq!(asked(960), [(Timestamp(600), Timestamp(960))], "the one that holds 930");
        assert_eq!(asked(700), [(Timestamp(600), Timestamp(660))]);
        assert_eq!(asked(630), []);
    }

    #[test]
    fn a_long_time_is_asked_for_in_parts_and_not_without_end() {
        let now = Timestamp(1_772_798_400);
        let fortnight = windows(Step::MINUTE, now - Seconds::days(15), now, now);
        assert_eq!(fortnight.len(), 11);
        assert_eq!((fortnight[0].0, fortnight[10].1), (now - Seconds::days(15), now));
        assert!(fortnight.windows(2).all(|pair| pair[0].1 == pair[1].0));
        let second = Step::new(1).unwrap();
        let parts = windows(second, now - Seconds::days(15), now, now);
        assert_eq!((parts.len(), parts[0].0), (50, now - Seconds(100_000)));
    }
}
