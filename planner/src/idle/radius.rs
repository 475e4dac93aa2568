//! How much is stopped at once.

use std::collections::BTreeMap;

use fleet::alert::Severity;
use fleet::{RuleName, Seconds, Timestamp};

use super::decide::{Look, Places, rule_scope};
use super::memory::Scope;
use super::plan::{FoundBy, IdleHold, PowerAction, Stage};
use super::rule::{Cap, Radius};

/// An order that all but the caps agree with.
pub(super) struct Due {
    pub action: PowerAction,
    pub rule: FoundBy,
    /// What the caps count it in.
    pub scopes: Vec<Scope>,
    /// Millionths saved an hour, where known.
    pub saving_micro: Option<u64>,
    /// Its place in a schedule's order.
    pub order: i32,
    /// Where the resource stands if the caps hold it.
    pub otherwise: Stage,
}

/// What of `due` may be stopped now, the largest saving first; the rest is held by name.
///
/// More of a rule falling due in an account than a day allows is held whole, as a rule that is
/// wrong would show first.
pub(super) fn within(look: &mut Look<'_>, mut due: Vec<Due>) -> Vec<Due> {
    let day_ago = look.now - Seconds::days(1);
    for times in look.memory.stops.values_mut() {
        times.retain(|at| *at > day_ago);
    }
    look.memory.stops.retain(|_, times| !times.is_empty());
    let places = look.places(&due);
    hold_whole(look, &places, &mut due);
    due.sort_by(|a, b| {
        let key = |due: &Due| std::cmp::Reverse((due.order, due.saving_micro));
        key(a).cmp(&key(b)).then_with(|| a.action.resource.cmp(&b.action.resource))
    });
    let mut drawn: BTreeMap<Scope, u32> = BTreeMap::new();
    let mut allowed = Vec::new();
    for due in due {
        let rule = due.rule.rule();
        let full = |scope| rule.and_then(|rule| full(look, rule, scope, &drawn));
        match due.scopes.iter().find_map(full) {
            Some(hold) => {
                look.hold(&places, &due, &hold);
            }
            None => {
                for scope in &due.scopes {
                    *drawn.entry(scope.clone()).or_default() += 1;
                }
                allowed.push(due);
            }
        }
    }
    allowed
}

fn hold_whole(look: &mut Look<'_>, places: &Places, due: &mut Vec<Due>) {
    let mut counts: BTreeMap<Scope, (RuleName, u32)> = BTreeMap::new();
    for due in due.iter() {
        // A wish stops nothing.
        let Some(rule) = due.rule.rule() else { continue };
        let scope = rule_scope(rule, &due.action.resource);
        counts.entry(scope).or_insert_with(|| (rule.clone(), 0)).1 += 1;
    }
    for (scope, (rule, count)) in counts {
        let Some(radius) = radius(look, &rule, &scope) else { continue };
        let cap = radius.day.of(population(look, &scope));
        let released = look.memory.rules.get(&rule).is_some_and(|r| r.is_released(look.now));
        if count <= cap || released {
            continue;
        }
        let hold = IdleHold::AboveDayCap { due: count, cap, scope: scope.clone().into() };
        let of = |due: &Due| {
            due.rule.rule().is_some_and(|rule| rule_scope(rule, &due.action.resource) == scope)
        };
        let (held, rest): (Vec<Due>, Vec<Due>) = std::mem::take(due).into_iter().partition(of);
        *due = rest;
        for held in held {
            look.hold(places, &held, &hold);
        }
        let title =
            format!("rule `{rule}` is held: {count} stops fall due in {scope}, a day allows {cap}");
        let lines = vec![format!("after a look at `neap idle`: `neap release {rule}`")];
        look.alert(Severity::Warning, &format!("{rule}/day-cap"), None, title, lines);
    }
}

/// Why a scope takes no further stop now.
fn full(
    look: &Look<'_>,
    rule: &RuleName,
    scope: &Scope,
    drawn: &BTreeMap<Scope, u32>,
) -> Option<IdleHold> {
    let radius = radius(look, rule, scope)?;
    let population = population(look, scope);
    let now = drawn.get(scope).copied().unwrap_or(0);
    let past = look.memory.stops.get(scope).map_or(&[][..], Vec::as_slice);
    let check = |cap: Cap, span: Seconds| {
        let cap = cap.of(population);
        let recent: Vec<&Timestamp> = past.iter().filter(|at| **at > look.now - span).collect();
        let done = u32::try_from(recent.len()).unwrap_or(u32::MAX).saturating_add(now);
        let until = recent.first().map_or(look.now, |first| **first) + span;
        (done >= cap).then(|| IdleHold::BlastRadius {
            scope: scope.clone().into(),
            done,
            cap,
            until,
        })
    };
    check(radius.hour, Seconds::hours(1)).or_else(|| check(radius.day, Seconds::days(1)))
}

/// The caps of a scope; `None` for one that no cap of this rule counts in.
fn radius(look: &Look<'_>, rule: &RuleName, scope: &Scope) -> Option<Radius> {
    let idle = look.policy.rules.iter().find(|r| r.name == *rule);
    match (scope, idle) {
        (Scope::Account { .. }, Some(_)) => Some(look.policy.account_radius),
        (Scope::Account { .. }, None) => None,
        (_, Some(rule)) => Some(rule.radius),
        (_, None) => look.policy.schedules.iter().find(|r| r.name == *rule).map(|rule| rule.radius),
    }
}

/// How many machines a scope's shares are of.
fn population(look: &Look<'_>, scope: &Scope) -> u32 {
    let counted = match scope {
        Scope::Rule { provider, account, .. } => {
            Scope::Account { provider: provider.clone(), account: account.clone() }
        }
        other => other.clone(),
    };
    look.snapshot.population.get(&counted).copied().unwrap_or(0)
}
