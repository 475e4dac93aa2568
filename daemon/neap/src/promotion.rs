//! What people ask for of services and rules: promotions, and what is to be taken back.

use std::sync::PoisonError;

use journal::Journal;
use planner::agreement::older;
use planner::policy::{Policy, Share};
use planner::stage::{self, Stage, StageAsk, StageRequest};
use planner::{ServiceName, Timestamp};
use report::StageWish;
use shadow::{Offer, Rules, ShadowEntry, Watch, offer, rule_offer};

use crate::cycle::Engine;

/// Takes in what somebody asks for: it is on disk when this returns, and carried out in the next
/// cycle; what is taken back holds from now on.
///
/// # Errors
/// Why it cannot be done, for the person who asked.
pub fn ask(
    wish: &StageWish,
    by: &str,
    now: Timestamp,
    engine: &mut Engine,
    watch: &Watch,
    journal: &Journal,
    rules: &Rules<'_>,
) -> Result<String, String> {
    let told = resolve(wish, now, engine, watch, rules);
    let kept = told.as_ref().ok().map(|(ask, _)| ask);
    for recalled in wish.recalls().iter().filter(|recalled| Some(*recalled) != kept) {
        engine.recall.settle(recalled);
    }
    let (ask, mut about) = told?;
    let takes_back = !wish.recalls().is_empty();
    let request = StageRequest { by: by.to_owned(), at: now, ask };
    let written = journal.record_shadow(now, &ShadowEntry::Asked(request.clone()), true);
    if let Err(fault) = written {
        if !takes_back {
            return Err(fault.to_string());
        }
        about = format!("{about} (not written down: {fault})");
    }
    engine.requests.push(request);
    Ok(about)
}

fn resolve(
    wish: &StageWish,
    now: Timestamp,
    engine: &Engine,
    watch: &Watch,
    rules: &Rules<'_>,
) -> Result<(StageAsk, String), String> {
    let policy = &engine.standing.policy;
    let service =
        |name: &str| ServiceName::new(name).filter(|service| policy.services.contains_key(service));
    let rule = |name: &str| {
        let known = rules.modes().find(|(rule, _)| rule.0 == name);
        known.map(|(rule, _)| rule.clone())
    };
    let unknown = |name: &str| {
        let known: Vec<&str> = policy.services.keys().map(ServiceName::as_str).take(5).collect();
        format!("no service or rule `{name}`; there are {}", known.join(", "))
    };
    match wish {
        StageWish::DemoteAll => {
            let (services, rules) = (policy.services.len(), rules.modes().count());
            let about = format!("{services} services, {rules} rules");
            Ok((StageAsk::DemoteAll, about))
        }
        StageWish::Demote { name } => match (service(name), rule(name)) {
            (Some(service), _) => Ok((StageAsk::Demote { service }, format!("service `{name}`"))),
            (None, Some(rule)) => Ok((StageAsk::DemoteRule { rule }, format!("rule `{name}`"))),
            (None, None) => Err(unknown(name)),
        },
        StageWish::Promote { name, share, offer: agreed, anyway } => {
            let stages = &engine.memory.stages;
            if let Some(service) = service(name) {
                let scores = watch.scores();
                let scores = scores.read().unwrap_or_else(PoisonError::into_inner);
                let offer = offer(policy, &engine.memory, &scores, &service, now);
                let offer = offer.ok_or_else(|| {
                    format!("`{name}` needs no promotion: its `mode` alone decides")
                })?;
                let anyway = admitted(name, &offer, *share, agreed.as_deref(), *anyway)?;
                let bound_to = stage::bound_to(policy, stages, &service);
                let about = about(&format!("service `{name}`"), &offer, policy);
                return Ok((StageAsk::Promote { service, share: *share, anyway, bound_to }, about));
            }
            let rule = rule(name).ok_or_else(|| unknown(name))?;
            if share.is_some() {
                return Err(format!("`{name}` is a rule, and a canary is of a service"));
            }
            let offer = rule_offer(policy, &engine.memory, rules, &rule, now).ok_or_else(|| {
                format!("rule `{name}` needs no promotion: its `mode` alone decides")
            })?;
            let anyway = admitted(name, &offer, None, agreed.as_deref(), *anyway)?;
            let about = about(&format!("rule `{name}`"), &offer, policy);
            if !policy.promotion.rules.contains_key(&rule) {
                return Ok((StageAsk::PromoteRule { rule }, about));
            }
            let bound_to = stage::bound_to_rule(policy, stages, &rule);
            Ok((StageAsk::PromoteGatedRule { rule, anyway, bound_to }, about))
        }
    }
}

/// What is promoted, and whose `mode` keeps it from acting all the same, where one does.
fn about<Card>(what: &str, offer: &Offer<Card>, policy: &Policy) -> String {
    if offer.may_act {
        return what.to_owned();
    }
    let whose = if policy.mode == planner::policy::Mode::Act { "its" } else { "the global" };
    format!("{what} (which acts once {whose} `mode` is `act`)")
}

/// Checks the promotion's gate. Returns whether it was overridden.
fn admitted<Card>(
    name: &str,
    offer: &Offer<Card>,
    share: Option<Share>,
    agreed: Option<&str>,
    anyway: bool,
) -> Result<bool, String> {
    if let Some(agreed) = agreed.filter(|agreed| *agreed != offer.id) {
        let why = match older::is_one(agreed) {
            true => "an earlier version made it",
            false => "configuration, stage or day of the scorecard are others by now",
        };
        return Err(format!(
            "offer `{agreed}` is void: {why}; `neap promote` shows what is offered"
        ));
    }
    let wanted = share.map_or(Stage::Promoted, |share| Stage::Canary { share });
    if offer.stage == wanted {
        return Err(format!("`{name}` is there already: {}", offer.stage));
    }
    if offer.missing.is_empty() {
        return Ok(false);
    }
    if anyway {
        return Ok(true);
    }
    let missing: Vec<String> = offer.missing.iter().map(ToString::to_string).collect();
    Err(format!(
        "the gate is not met: {}; `--anyway` promotes it all the same, and that is written down",
        missing.join("; ")
    ))
}
