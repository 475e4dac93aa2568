//! What is said of hours that bound a service, and of the number that is written.

use config::HoursRule;
use config::calendars::Calendars;
use fleet::ServiceName;
use planner::policy::{Actuate, ServicePolicy};

use super::advice::{Advice, Severity};

/// Which number of a group is written, in words, as far as its configuration tells.
pub(super) fn writes(actuate: Option<Actuate>) -> &'static str {
    match actuate {
        Some(Actuate::Desired) => "the desired capacity: `actuate` says so",
        Some(Actuate::Floor) => "the minimum: `actuate` says so",
        None => "the desired capacity; the minimum where a policy of the group's own scales in",
    }
}

/// Hours in words: `exactly 0 units: daily 20:00-07:00 Europe/Berlin`.
pub(super) fn in_words(rule: &HoursRule) -> String {
    let bound = match (rule.min, rule.max) {
        (Some(min), Some(max)) if min == max => format!("exactly {max}"),
        (Some(min), Some(max)) => format!("{} to {max}", min.0),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "any number of units".to_owned(),
    };
    format!("{bound}: {}", rule.written)
}

/// What hours ask for and the configuration or the group's own numbers may not allow.
pub(super) fn advice(
    calendars: &Calendars,
    name: &ServiceName,
    service: &ServicePolicy,
) -> Vec<Advice> {
    let about = || format!("service {name}");
    let mut advice = Vec::new();
    for rule in calendars.hours(name) {
        let at = &rule.written;
        if let Some((min, max)) = rule.min.zip(service.pool.max).filter(|(min, max)| min > max) {
            let text = format!("hours `{at}` ask for {min}, and `max` is {max}");
            advice.push(Advice { severity: Severity::Warning, about: about(), text });
        }
        if let Some(max) = rule.max.filter(|max| *max < service.pool.min) {
            let text = format!(
                "hours `{at}` allow {max} though `min` is {}: a minimum of the group itself above {max} \
                 would hold, and where the group's own policies scale in, they decide above the minimum",
                service.pool.min
            );
            advice.push(Advice { severity: Severity::Suggestion, about: about(), text });
        }
    }
    advice
}

#[cfg(test)]
mod tests {
    use fleet::Timestamp;

    const TEXT: &str = r#"
[provider.sim]
kind = "sim"
[[service]]
name = "dev"
demand = [{ namespace = "A", metric = "M", when_missing = "zero" }]
signals = { errors = { namespace = "A", metric = "E" } }
[[service.pool]]
group = "dev"
capacity_per_unit = 5
min = 2
max = 8
[[service.hours]]
at = ["daily 20:00-07:00", "Sat,Sun"]
timezone = "Europe/Berlin"
exactly = 0
[[service.hours]]
at = "Mon 08:00-10:00"
timezone = "Europe/Berlin"
min = 12
"#;

    #[test]
    fn hours_are_told_with_what_may_stand_in_their_way() {
        let config = crate::settings::parse("neap.toml", TEXT).unwrap();
        let report = super::super::report(&config, Timestamp(1_790_553_600)).to_string();
        let told = |line: &&str| line.contains("hours") || line.contains("writes");
        let lines: Vec<&str> = report.lines().filter(told).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
          writes    the desired capacity; the minimum where a policy of the group's own scales in
          hours     exactly 0 units: daily 20:00-07:00, Sat,Sun Europe/Berlin
          hours     at least 12 units: Mon 08:00-10:00 Europe/Berlin
        suggestion: service dev: hours `daily 20:00-07:00, Sat,Sun Europe/Berlin` allow 0 units though `min` is 2 units: a minimum of the group itself above 0 units would hold, and where the group's own policies scale in, they decide above the minimum
        warning: service dev: hours `Mon 08:00-10:00 Europe/Berlin` ask for 12 units, and `max` is 8 units
        ");
    }
}
