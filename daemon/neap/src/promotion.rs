//! What people ask for of services and rules: promotions, and what is to be taken back.

use std::sync::PoisonError;

use fleet::{ServiceName, Timestamp};
use journal::Journal;
use planner::agreement::older;
use planner::answer::{ActsOnce, AskedFor, NotTaken};
use planner::policy::{Policy, Share};
use planner::stage::{self, Stage, StageAsk, StageRequest};
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
) -> Result<AskedFor, NotTaken> {
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
            return Err(NotTaken::NotWritten { fault: fault.to_string() });
        }
        about = AskedFor::Unwritten { about: Box::new(about), fault: fault.to_string() };
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
) -> Result<(StageAsk, AskedFor), NotTaken> {
    let policy = &engine.standing.policy;
    let service =
        |name: &str| ServiceName::new(name).filter(|service| policy.services.contains_key(service));
    let rule = |name: &str| {
        let known = rules.modes().find(|(rule, _)| rule.0 == name);
        known.map(|(rule, _)| rule.clone())
    };
    let unknown = |name: &str| {
        let known = policy.services.keys().map(ToString::to_string).take(5).collect();
        NotTaken::Unknown { name: name.to_owned(), known }
    };
    match wish {
        StageWish::DemoteAll => {
            let (services, rules) = (policy.services.len(), rules.modes().count());
            let about = AskedFor::Everything { services: services as u64, rules: rules as u64 };
            Ok((StageAsk::DemoteAll, about))
        }
        StageWish::AcknowledgeAll => {
            if !planner::is_doubted(&engine.memory, None) {
                return Err(NotTaken::NoDoubt { name: None });
            }
            let services = policy.services.len() as u64;
            Ok((StageAsk::AcknowledgeAll, AskedFor::Everything { services, rules: 0 }))
        }
        StageWish::Acknowledge { name } => {
            let service = service(name).ok_or_else(|| unknown(name))?;
            if !planner::is_doubted(&engine.memory, Some(&service)) {
                return Err(NotTaken::NoDoubt { name: Some(name.clone()) });
            }
            Ok((StageAsk::Acknowledge { service }, of_service(name, None)))
        }
        StageWish::Demote { name } => match (service(name), rule(name)) {
            (Some(service), _) => Ok((StageAsk::Demote { service }, of_service(name, None))),
            (None, Some(rule)) => Ok((StageAsk::DemoteRule { rule }, of_rule(name, None))),
            (None, None) => Err(unknown(name)),
        },
        StageWish::Promote { name, share, offer: agreed, anyway } => {
            let stages = &engine.memory.stages;
            if let Some(service) = service(name) {
                let scores = watch.scores();
                let scores = scores.read().unwrap_or_else(PoisonError::into_inner);
                let offer = offer(policy, &engine.memory, &scores, &service, now);
                let offer = offer.ok_or_else(|| NotTaken::UngatedService { name: name.clone() })?;
                let anyway = admitted(name, &offer, *share, agreed.as_deref(), *anyway)?;
                let bound_to = stage::bound_to(policy, stages, &service);
                let about = of_service(name, acts_once(&offer, policy));
                return Ok((StageAsk::Promote { service, share: *share, anyway, bound_to }, about));
            }
            let rule = rule(name).ok_or_else(|| unknown(name))?;
            if share.is_some() {
                return Err(NotTaken::CanaryOfRule { name: name.clone() });
            }
            let offer = rule_offer(policy, &engine.memory, rules, &rule, now)
                .ok_or_else(|| NotTaken::UngatedRule { name: name.clone() })?;
            let anyway = admitted(name, &offer, None, agreed.as_deref(), *anyway)?;
            let about = of_rule(name, acts_once(&offer, policy));
            if !policy.promotion.rules.contains_key(&rule) {
                return Ok((StageAsk::PromoteRule { rule }, about));
            }
            let bound_to = stage::bound_to_rule(policy, stages, &rule);
            Ok((StageAsk::PromoteGatedRule { rule, anyway, bound_to }, about))
        }
    }
}

fn of_service(name: &str, once: Option<ActsOnce>) -> AskedFor {
    AskedFor::Service { name: name.to_owned(), once }
}

fn of_rule(name: &str, once: Option<ActsOnce>) -> AskedFor {
    AskedFor::Rule { name: name.to_owned(), once }
}

/// Whose `mode` keeps what is promoted from acting all the same, where one does.
fn acts_once<Card>(offer: &Offer<Card>, policy: &Policy) -> Option<ActsOnce> {
    let own = policy.mode == planner::policy::Mode::Act;
    (!offer.may_act).then_some(if own { ActsOnce::Own } else { ActsOnce::Global })
}

/// Checks the promotion's gate. Returns whether it was overridden.
fn admitted<Card>(
    name: &str,
    offer: &Offer<Card>,
    share: Option<Share>,
    agreed: Option<&str>,
    anyway: bool,
) -> Result<bool, NotTaken> {
    if let Some(void) = agreed.filter(|agreed| *agreed != offer.id) {
        let id = void.to_owned();
        return Err(match older::is_one(void) {
            true => NotTaken::OfferOlder { id },
            false => NotTaken::OfferVoid { id },
        });
    }
    let wanted = share.map_or(Stage::Promoted, |share| Stage::Canary { share });
    if offer.stage == wanted {
        return Err(NotTaken::ThereAlready { name: name.to_owned(), stage: offer.stage });
    }
    if offer.missing.is_empty() {
        return Ok(false);
    }
    if anyway {
        return Ok(true);
    }
    Err(NotTaken::GateNotMet { missing: offer.missing.clone() })
}
