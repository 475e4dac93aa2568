//! Whether a query gives a load per second, or a counter or a number by window: purely, by its text.
//!
//! What a metric holds is known to its store alone; its name and what is made of it say enough for a
//! warning. Of what is in doubt nothing is said.

use fleet::Seconds;
use rusty_promql_parser::parser::selector::MatrixSelector;
use rusty_promql_parser::{
    BinaryExpr, BinaryOp, Call, Expr, LabelMatchOp, LabelMatcher, VectorSelector, expr,
};

use super::Query;

/// What counters are named by: of requests, and the parts of histograms and summaries.
const COUNTERS: [&str; 4] = ["_total", "_count", "_sum", "_bucket"];
/// Functions that tell of samples or moments, and not how much was measured.
const OTHERS: [&str; 11] = [
    "absent",
    "absent_over_time",
    "changes",
    "count_over_time",
    "histogram_fraction",
    "histogram_quantile",
    "present_over_time",
    "resets",
    "time",
    "timestamp",
    "tlast_over_time",
];
/// Functions that give what came within a window; the last three are of VictoriaMetrics.
const WITHIN: [&str; 6] =
    ["increase", "delta", "idelta", "increase_pure", "increase_prometheus", "delta_prometheus"];
/// The parser calls itself for each bracket and sign; nobody nests them as deep.
const DEPTH_MAX: usize = 32;
/// A factor so near to one over the window is meant to be it.
const NEAR: f64 = 0.02;

/// Why what a query gives is no load per second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPerSecond {
    /// A counter as it stands: all that came since its process began.
    Counter {
        /// Its name.
        metric: String,
    },
    /// What came within a window.
    Within {
        /// The function that says so.
        function: String,
        /// How long the window is, where the query says it in whole seconds.
        window: Option<Seconds>,
    },
}

impl Query {
    /// Why what it gives is no load per second, where its text tells.
    ///
    /// ```
    /// use fleet::Seconds;
    /// use providers::prometheus::{NotPerSecond, Query};
    ///
    /// let found = |text| Query::parse(text).expect("a query").not_per_second();
    /// let metric = "http_requests_total".to_owned();
    /// assert_eq!(found("sum(http_requests_total)"), Some(NotPerSecond::Counter { metric }));
    /// let (function, window) = ("increase".to_owned(), Some(Seconds(60)));
    /// let within = Some(NotPerSecond::Within { function, window });
    /// assert_eq!(found("sum(increase(http_requests_total[1m]))"), within);
    /// assert_eq!(found("sum(increase(http_requests_total[1m])) / 60"), None);
    /// assert_eq!(found("sum(rate(http_requests_total[1m]))"), None);
    /// ```
    pub fn not_per_second(&self) -> Option<NotPerSecond> {
        let text = self.as_str();
        if depth(text) > DEPTH_MAX {
            return None;
        }
        match expr(text) {
            Ok((rest, query)) if rest.trim().is_empty() => match of(&query) {
                Gives::Counter(metric) => Some(NotPerSecond::Counter { metric }),
                Gives::Within { function, window, .. } => {
                    let whole = window.filter(|window| window.fract() == 0.0);
                    let window = whole.map(|window| Seconds(window as u64));
                    Some(NotPerSecond::Within { function, window })
                }
                Gives::Unknown => None,
            },
            // Not PromQL alone: what other stores add to it is theirs to read.
            _ => None,
        }
    }
}

/// How deep a text is nested, at most: by brackets, by signs in a row and by powers.
fn depth(text: &str) -> usize {
    let (mut open, mut signs, mut powers, mut most) = (0_usize, 0, 0, 0);
    for found in text.chars() {
        match found {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            '^' => powers += 1,
            '-' | '+' => signs += 1,
            ' ' => {}
            _ => signs = 0,
        }
        most = most.max(open + signs + powers);
    }
    most
}

/// What a part of a query gives.
#[derive(Clone, Debug)]
enum Gives {
    /// Per second, or nobody knows.
    Unknown,
    Counter(String),
    Within {
        function: String,
        /// In seconds.
        window: Option<f64>,
        /// What it was multiplied by so far.
        factor: f64,
    },
}

impl Gives {
    fn or(self, other: impl FnOnce() -> Gives) -> Gives {
        if matches!(self, Gives::Unknown) { other() } else { self }
    }

    /// The same, `by` times as much.
    fn times(self, by: f64) -> Gives {
        match self {
            Gives::Within { function, window, factor } => {
                let near = |factor: f64| {
                    window.is_none_or(|window| (factor.abs() * window - 1.0).abs() < NEAR)
                };
                if near(by) || near(factor * by) {
                    return Gives::Unknown;
                }
                Gives::Within { function, window, factor: factor * by }
            }
            other => other,
        }
    }
}

fn of(query: &Expr) -> Gives {
    match query {
        Expr::Number(_) | Expr::String(_) => Gives::Unknown,
        Expr::VectorSelector(selector) => of_selector(selector),
        Expr::MatrixSelector(MatrixSelector { selector, .. }) => of_selector(selector),
        Expr::Call(call) => of_call(call),
        // So many series, whatever is in them.
        Expr::Aggregation(folded)
            if ["count", "count_values", "group"]
                .contains(&folded.op.to_ascii_lowercase().as_str()) =>
        {
            Gives::Unknown
        }
        Expr::Aggregation(folded) => of(&folded.expr),
        Expr::Binary(both) => of_both(both),
        Expr::Unary(signed) => of(&signed.expr),
        Expr::Paren(inner) => of(inner),
        Expr::Subquery(again) => of(&again.expr),
    }
}

fn of_selector(selector: &VectorSelector) -> Gives {
    let by_label = || {
        let named = |m: &&LabelMatcher| m.name == "__name__" && m.op == LabelMatchOp::Equal;
        selector.matchers.iter().find(named).map(|matcher| matcher.value.clone())
    };
    match selector.name.clone().or_else(by_label) {
        Some(name) if is_counter(&name) => Gives::Counter(name),
        _ => Gives::Unknown,
    }
}

/// By its name; what a recording rule makes is said by what stands behind the last colon of its.
fn is_counter(name: &str) -> bool {
    let ends = |name: &str| COUNTERS.iter().any(|end| name.ends_with(end));
    match name.rsplit_once(':') {
        None => ends(name),
        Some(_) if name.contains("rate") || name.contains("increase") => false,
        Some((before, made)) => {
            let plain = made.split('_').all(|word| ["sum", "avg", "min", "max"].contains(&word));
            ends(made) || (plain && ends(before))
        }
    }
}

fn of_call(call: &Call) -> Gives {
    let name = call.name.to_ascii_lowercase();
    if WITHIN.contains(&name.as_str()) {
        let window = call.args.iter().find_map(window).filter(|_| name != "idelta");
        return Gives::Within { function: name, window, factor: 1.0 };
    }
    // `irate`, `deriv` and what else stores have of that kind.
    if name.contains("rate") || name.contains("deriv") || OTHERS.contains(&name.as_str()) {
        return Gives::Unknown;
    }
    if ["histogram_count", "histogram_sum"].contains(&name.as_str())
        && let Some(metric) = call.args.first().and_then(as_it_stands)
    {
        return Gives::Counter(metric);
    }
    call.args.iter().fold(Gives::Unknown, |found, arg| found.or(|| of(arg)))
}

/// The window of a range, in seconds.
fn window(arg: &Expr) -> Option<f64> {
    let millis = match arg.unwrap_parens() {
        Expr::MatrixSelector(range) => range.range_millis(),
        Expr::Subquery(again) => again.range.as_millis(),
        _ => return None,
    };
    (millis > 0).then_some(millis as f64 / 1000.0)
}

/// The metric that nothing but sums are made of.
fn as_it_stands(query: &Expr) -> Option<String> {
    match query.unwrap_parens() {
        Expr::VectorSelector(selector) => selector.name.clone(),
        Expr::Aggregation(folded) => as_it_stands(&folded.expr),
        _ => None,
    }
}

fn of_both(both: &BinaryExpr) -> Gives {
    let (left, right) = (of(&both.lhs), of(&both.rhs));
    let bool = both.modifier.as_ref().is_some_and(|modifier| modifier.return_bool);
    match both.op {
        BinaryOp::Div => match number(&both.rhs) {
            Some(by) if by != 0.0 => left.times(by.recip()),
            // By another load, or by a length of time that its samples know.
            _ => match left {
                Gives::Counter(name) if matches!(right, Gives::Unknown) => Gives::Counter(name),
                _ => Gives::Unknown,
            },
        },
        BinaryOp::Mul => match (number(&both.lhs), number(&both.rhs)) {
            (Some(by), _) => right.times(by),
            (_, Some(by)) => left.times(by),
            _ => left.or(|| right),
        },
        // What began less what ended is under way now; with an offset it is what came since.
        BinaryOp::Sub if matches!((&left, &right), (Gives::Counter(_), Gives::Counter(_))) => {
            Gives::Unknown
        }
        _ if bool => Gives::Unknown,
        BinaryOp::And | BinaryOp::Unless => left,
        _ => left.or(|| right),
    }
}

/// A number, or what is made of numbers alone.
fn number(query: &Expr) -> Option<f64> {
    match query.unwrap_parens() {
        Expr::Number(number) => Some(*number),
        Expr::Call(call) if call.name == "scalar" || call.name == "vector" => {
            call.args.first().and_then(number)
        }
        Expr::Binary(both) => {
            let (left, right) = (number(&both.lhs)?, number(&both.rhs)?);
            match both.op {
                BinaryOp::Mul => Some(left * right),
                BinaryOp::Div => Some(left / right),
                BinaryOp::Add => Some(left + right),
                BinaryOp::Sub => Some(left - right),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a query: the counter, or the function and its window.
    fn said(text: &str) -> String {
        match Query::parse(text).unwrap_or_else(|why| panic!("{text}: {why}")).not_per_second() {
            Some(NotPerSecond::Counter { metric }) => metric,
            Some(NotPerSecond::Within { function, window: Some(window) }) => {
                format!("{function} {window}")
            }
            Some(NotPerSecond::Within { function, window: None }) => function,
            None => String::new(),
        }
    }

    fn all_say(texts: &[(&str, &str)]) {
        for (text, expected) in texts {
            assert_eq!(said(text), *expected, "{text}");
        }
    }

    #[test]
    fn a_counter_is_found_by_its_name_however_it_is_written() {
        all_say(&[
            ("http_requests_total", "http_requests_total"),
            ("sum(http_requests_total{job=\"shop\"})", "http_requests_total"),
            ("sum by (job) (a_count) / 100", "a_count"),
            ("sum(a_sum) without (instance)", "a_sum"),
            ("max_over_time(a_total[5m])", "a_total"),
            ("max_over_time(sum(a_total)[10m:1m])", "a_total"),
            ("clamp_min(label_replace(a_total, \"x\", \"$1\", \"y\", \".*\"), 0)", "a_total"),
            ("{__name__=\"a_total\", job=\"x\"}", "a_total"),
            ("{\"a_total\", job=\"x\"}", "a_total"),
            ("a_total offset 5m", "a_total"),
            ("-(a_bucket{le=\"+Inf\"})", "a_bucket"),
            ("a_total or vector(0)", "a_total"),
            ("vector(0) or sum(a_total)", "a_total"),
            ("a_total > 0", "a_total"),
            ("sum(rate(a_total[1m])) + b_total", "b_total"),
            ("histogram_count(sum(request_seconds))", "request_seconds"),
            ("\n# all of them\nsum( # rate(x[1m])\n  a_total\n)\n", "a_total"),
        ]);
    }

    #[test]
    fn a_rate_is_no_counter_however_it_is_written() {
        all_say(&[
            ("sum(rate(http_requests_total{job=\"shop\"}[1m]))", ""),
            ("sum(irate(a_total[1m])) by (job)", ""),
            ("deriv(a_total[5m])", ""),
            ("rate(a_total[5m] offset 1d)", ""),
            ("max_over_time(sum(rate(a_total[1m]))[10m:1m])", ""),
            ("rate(sum(a_total)[5m:30s])", ""),
            ("clamp_min(sum by (a) (rate(a_total[1m])) * 2, 0)", ""),
            ("histogram_count(rate(request_seconds[5m]))", ""),
            ("histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))", ""),
            ("smooth_rate(a_total[5m])", ""),
            ("queue_length", ""),
            ("sum(queue{kind=\"a_total\", path=\"increase(x[1m])\"})", ""),
            ("sum by (a_total) (queue_length)", ""),
            ("sum(queue) # a_total", ""),
            ("sum(total_queue) + sum_of_all", ""),
            ("count(a_total)", ""),
            ("changes(a_total[5m])", ""),
            ("time() - a_timestamp", ""),
            ("sum(started_total) - sum(ended_total)", ""),
            ("a_sum / a_count", ""),
            ("a_total > bool 5", ""),
        ]);
    }

    #[test]
    fn what_came_within_a_window_is_per_second_where_it_is_divided_by_it() {
        all_say(&[
            ("sum(increase(a_total[1m]))", "increase 1m"),
            ("sum(increase(a_total[5m])) / 5", "increase 5m"),
            ("sum(increase(a_total[5m])) / 60", "increase 5m"),
            ("increase(sum(a_total)[5m:1m])", "increase 5m"),
            ("sum(delta(queue[90s]))", "delta 1m30s"),
            ("idelta(a[5m])", "idelta"),
            ("max_over_time(increase(a_total[1m])[1h:1m])", "increase 1m"),
            ("sum(increase(a_total[1m])) + 1", "increase 1m"),
            ("sum(increase(a_total[5m])) / 300", ""),
            ("sum(increase(a_total[5m])) / (5 * 60)", ""),
            ("sum(increase(a_total[5m]) / 5) / 60", ""),
            ("sum(increase(a_total[1m])) * 2 / 60", ""),
            ("1 / 60 * sum(increase(a_total[1m]))", ""),
            ("sum(increase(a_total[1m])) * 0.0167", ""),
            ("increase(a_total[1m]) / scalar(vector(60))", ""),
            ("increase(a_total[1m]) / on () window_seconds", ""),
            ("sum(increase(a_total[1h])) / sum(increase(b_total[1h]))", ""),
        ]);
    }

    #[test]
    fn what_a_recording_rule_makes_stands_in_its_name() {
        all_say(&[
            ("job:http_requests:rate5m", ""),
            ("job:http_requests_total:rate5m", ""),
            ("job:requests:rate5m_sum", ""),
            ("job:http_requests_total:increase5m", ""),
            ("sum(job:http_requests_total:per_second)", ""),
            ("job:http_requests_total:sum", "job:http_requests_total:sum"),
            ("job:http_requests_total", "job:http_requests_total"),
            ("rate(job:http_requests_total:sum[5m])", ""),
        ]);
    }

    #[test]
    fn of_what_cannot_be_read_nothing_is_said() {
        all_say(&[("sum(a_total) keep_metric_names", ""), ("WITH (x = a_total) x", "")]);
        let deep = "(".repeat(1500) + "a_total" + &")".repeat(1500);
        assert_eq!(said(&deep), "");
        let shallow = "(".repeat(32) + "a_total" + &")".repeat(32);
        assert_eq!(said(&shallow), "a_total");
        assert_eq!(said(&("- ".repeat(1500) + "a_total")), "");
        assert_eq!(said(&("a_total ^ ".repeat(300) + "a_total")), "");
    }
}
