//! A digest in words: one title, and no more lines than every chat shows.

use std::cmp::Reverse;

use config::Span;
use fleet::ServiceName;
use fleet::alert::LINES_MAX;
use serde::Serialize;
use shadow::{Doubt, Scorecard};

use super::{Facts, ServiceFacts};
use crate::idle::sum;
use crate::money::MoneyLine;

/// Names that stand in a line; more are counted.
const NAMES: usize = 3;

/// A digest in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Words {
    /// One line.
    pub title: String,
    /// What there is to say, the most telling first; none on a quiet day.
    pub lines: Vec<String>,
    /// Services and resources that stand in them.
    #[serde(skip)]
    pub names: Vec<String>,
}

/// Words what was done in a span.
pub fn words(span: Span, facts: &Facts) -> Words {
    let head = format!("{} digest of {span}", span.period);
    if !facts.recorded {
        let title = format!("{head}: nothing was recorded, neap did not run");
        return Words { title, ..Words::default() };
    }
    let Some(headline) = headline(facts) else {
        let title = format!("{head}: quiet, no order, no violation, nothing waits{}", held(facts));
        return Words { title, ..Words::default() };
    };
    let mut told = Words { title: format!("{head}: {headline}"), ..Words::default() };
    told.money(facts);
    told.orders(facts);
    told.cost(facts);
    told.violations(facts);
    told.waits(facts);
    told.trouble(facts);
    told.services(facts);
    told
}

/// What there was all the same on a quiet day.
fn held(facts: &Facts) -> String {
    let hours: f64 = facts.services.values().map(|s| s.scorecard.actual.unit_hours()).sum();
    match facts.services.len() {
        0 => String::new(),
        services => format!("; {}, {hours:.1} unit-hours", counted(services, "service")),
    }
}

/// What counts, in a few words; `None` where nothing does.
fn headline(facts: &Facts) -> Option<String> {
    let orders = &facts.orders;
    let given = (orders.out + orders.in_ + orders.stops + orders.starts) as usize;
    let shown = facts.sum(false).1.would.orders as usize;
    let violations: u32 = facts.services.values().map(|s| s.scorecard.actual.violations).sum();
    let waiting = facts.idle.as_ref().map_or(0, |idle| idle.waiting.len()) + facts.offered.len();
    let parts = [
        (given > 0).then(|| counted(given, "order")),
        (given == 0 && shown > 0).then(|| format!("{} in dry run", counted(shown, "order"))),
        (violations > 0).then(|| counted(violations as usize, "violation")),
        (facts.critical > 0).then(|| counted(facts.critical as usize, "critical alert")),
        (waiting > 0).then(|| format!("{waiting} waiting for approval")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        return Some(parts.join(", "));
    }
    let is_quiet = facts.warnings == 0 && facts.taken_back.is_empty() && facts.worst.is_none();
    (!is_quiet).then(|| "no order, no violation".to_owned())
}

impl Words {
    /// What the services cost and saved, in one line: the page has the rest.
    fn money(&mut self, facts: &Facts) {
        if facts.money.priced() == 0 && !facts.money.acted {
            return;
        }
        let lines = facts.money.lines();
        for line in &lines {
            if let MoneyLine::Unpriced { named, .. } = line {
                self.names.extend(named.iter().map(|(name, _)| name.to_string()));
            }
            if let MoneyLine::NoBaseline { named, .. } = line {
                self.names.extend(named.iter().cloned());
            }
        }
        let told: Vec<String> = lines.iter().map(ToString::to_string).collect();
        if !told.is_empty() {
            self.lines.push(told.join("; "));
        }
    }

    fn orders(&mut self, facts: &Facts) {
        let orders = &facts.orders;
        let given = [
            (orders.out, "out"),
            (orders.in_, "in"),
            (orders.stops, if orders.stops == 1 { "stop" } else { "stops" }),
            (orders.starts, if orders.starts == 1 { "start" } else { "starts" }),
        ];
        let given = given.iter().filter(|(count, _)| *count > 0);
        let given: Vec<String> = given.map(|(count, what)| format!("{count} {what}")).collect();
        if !given.is_empty() {
            let failed = match orders.failed {
                0 => String::new(),
                failed => format!("; {failed} failed"),
            };
            self.lines.push(format!("orders: {}{failed}", given.join(", ")));
        }
        let (services, dry) = facts.sum(false);
        if dry.would.orders > 0 {
            let (orders, services) =
                (counted(dry.would.orders as usize, "order"), counted(services, "service"));
            self.lines.push(format!("dry run of {services}: {orders} shown, none given"));
        }
    }

    fn cost(&mut self, facts: &Facts) {
        let (services, acting) = facts.sum(true);
        if services > 0 {
            let peak = acting.peak.unit_seconds as f64 / 3600.0;
            let (held, paid) = (acting.actual.unit_hours(), acting.actual.usd());
            // Of services one by one: each has its own price.
            let those = facts.services.values().filter(|service| service.acts);
            let peak_usd: f64 = those.filter_map(|service| service.scorecard.peak_usd()).sum();
            let saved = amounts(peak - held, peak_usd - paid, &acting);
            let part = 100.0 * (peak - held) / peak;
            let saves = format!("; saves {saved} ({part:.1}%) against each day's peak size");
            let saves = if peak > held { saves } else { String::new() };
            self.lines.push(format!("cost: {}{saves}", amounts(held, paid, &acting)));
        }
        let (services, dry) = facts.sum(false);
        if services > 0 && (dry.actual.unit_seconds > 0 || dry.would.unit_seconds > 0) {
            let (real, would) = (dry.actual.unit_hours(), dry.would.unit_hours());
            let change = if real > 0.0 { percent(would / real - 1.0) } else { "new".to_owned() };
            self.lines.push(format!(
                "cost in dry run: {}; if neap had acted {} ({change})",
                amounts(real, dry.actual.usd(), &dry),
                amounts(would, dry.would.usd(), &dry)
            ));
        }
        if let Some(idle) = &facts.idle {
            let savings = &idle.savings;
            self.lines.push(format!(
                "idle resources, per month: found {}, marked {}, saved so far {}",
                sum(&savings.found),
                sum(&savings.marked),
                sum(&savings.realised)
            ));
        }
    }

    fn violations(&mut self, facts: &Facts) {
        let mut all = Scorecard::default();
        facts.services.values().for_each(|service| all.add(&service.scorecard));
        if all.actual.intervals == 0 {
            return;
        }
        let mut line = format!(
            "violations: {} of {} ({})",
            all.actual.violations,
            counted(all.actual.intervals as usize, "interval"),
            share(all.actual.violated_share())
        );
        let dry = facts.sum(false).1;
        if dry.actual.violations != dry.would.violations {
            let (real, would) = (dry.actual.violations, dry.would.violations);
            line.push_str(&format!("; in dry run {real}, if neap had acted {would}"));
        }
        let mut above: Vec<(&ServiceName, &ServiceFacts)> =
            facts.services.iter().filter(|(_, service)| is_above(service)).collect();
        above.sort_by(|(_, a), (_, b)| excess(b).total_cmp(&excess(a)));
        if !above.is_empty() {
            let told = above.iter().map(|(name, service)| {
                let violated = share(service.scorecard.actual.violated_share());
                let told = format!("{name} {violated} of {}", share(service.promise.fraction()));
                (name.to_string(), told)
            });
            let told = self.named(told);
            line.push_str(&format!("; above the promise: {told}"));
        }
        self.lines.push(line);
    }

    fn waits(&mut self, facts: &Facts) {
        if let Some(idle) = facts.idle.as_ref().filter(|idle| !idle.waiting.is_empty()) {
            let ids = idle.waiting.iter().map(|whole| {
                let id = whole.splitn(3, '/').nth(2).unwrap_or(whole);
                (whole.clone(), id.to_owned())
            });
            let count = counted(idle.waiting.len(), "idle resource");
            let ids = self.named(ids);
            self.lines.push(format!("waiting for approval: {count}: {ids}"));
        }
        if !facts.offered.is_empty() {
            let names = facts.offered.iter().map(|name| (name.to_string(), name.to_string()));
            let names = self.named(names);
            self.lines.push(format!("ready to promote: {names}"));
        }
    }

    fn trouble(&mut self, facts: &Facts) {
        let mut parts = Vec::new();
        if !facts.taken_back.is_empty() {
            let names = facts.taken_back.iter().map(|name| (name.to_string(), name.to_string()));
            parts.push(format!("taken back into shadow by regret: {}", self.named(names)));
        }
        let alerts = [(facts.critical, "critical"), (facts.warnings, "warning")];
        let alerts = alerts.iter().filter(|(count, _)| *count > 0);
        let alerts: Vec<String> = alerts.map(|(count, what)| format!("{count} {what}")).collect();
        if !alerts.is_empty() {
            parts.push(format!("alerts: {}", alerts.join(", ")));
        }
        if !parts.is_empty() {
            self.lines.push(parts.join("; "));
        }
        if let Some(worst) = &facts.worst {
            let name = worst.service.to_string();
            let doubt = match worst.doubt {
                Doubt::TooSmall { needed } => format!("demand asked for {}", needed.0),
                Doubt::NeverNeeded { needed } => {
                    format!("demand never asked for more than {}", needed.0)
                }
                Doubt::Differs { actual } => format!("it really had {}", actual.0),
            };
            self.lines.push(format!("most questionable: {name}, {}: {doubt}", worst.change));
            self.names.push(name);
        }
    }

    /// Those that missed most, then those whose cost differs most, as far as there is room.
    fn services(&mut self, facts: &Facts) {
        let room = LINES_MAX.saturating_sub(self.lines.len());
        if facts.services.len() < 2 || room == 0 {
            return;
        }
        let mut all: Vec<(&ServiceName, &ServiceFacts)> = facts.services.iter().collect();
        let saved = |service: &ServiceFacts| {
            let card = &service.scorecard;
            let other = if service.acts { card.peak.unit_seconds } else { card.would.unit_seconds };
            other.abs_diff(card.actual.unit_seconds)
        };
        all.sort_by_key(|(name, service)| {
            (Reverse(service.scorecard.actual.violations), Reverse(saved(service)), *name)
        });
        // A line that says how many more there are takes the place of one.
        let shown = if all.len() <= room.min(NAMES) { all.len() } else { room.min(NAMES + 1) - 1 };
        for (name, service) in all.iter().take(shown) {
            let card = &service.scorecard;
            let real = card.actual.unit_hours();
            let beside = match service.acts {
                true => format!("at its peak size {:.1}", card.peak.unit_seconds as f64 / 3600.0),
                false => format!("if neap had acted {:.1}", card.would.unit_hours()),
            };
            let violations = match card.actual.violations as usize {
                0 => String::new(),
                violations => format!("; {}", counted(violations, "violation")),
            };
            self.lines.push(format!("{name}: {real:.1} unit-hours, {beside}{violations}"));
            self.names.push(name.to_string());
        }
        if shown < all.len() {
            let rest = all.len() - shown;
            self.lines.push(format!("and {}", counted(rest, "more service")));
        }
    }

    /// The first of names with their words, and how many more there are.
    fn named(&mut self, all: impl ExactSizeIterator<Item = (String, String)>) -> String {
        let rest = all.len().saturating_sub(NAMES);
        let mut told = Vec::new();
        for (name, words) in all.take(NAMES) {
            self.names.push(name);
            told.push(words);
        }
        if rest > 0 {
            told.push(format!("and {rest} more"));
        }
        told.join(", ")
    }
}

fn is_above(service: &ServiceFacts) -> bool {
    service.scorecard.actual.violations > 0 && excess(service) > 0.0
}

fn excess(service: &ServiceFacts) -> f64 {
    service.scorecard.actual.violated_share() - service.promise.fraction()
}

/// Unit-hours, and dollars where a price is known.
fn amounts(unit_hours: f64, usd: f64, card: &Scorecard) -> String {
    let usd = if card.priced { format!(", {usd:.2} USD") } else { String::new() };
    format!("{unit_hours:.1} unit-hours{usd}")
}

fn percent(fraction: f64) -> String {
    format!("{:+.1}%", fraction * 100.0)
}

fn share(fraction: f64) -> String {
    format!("{:.2}%", fraction * 100.0)
}

/// `1 order`, `2 orders`.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
