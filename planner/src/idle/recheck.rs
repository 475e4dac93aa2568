//! The last look, immediately before an order is given.

use std::collections::BTreeMap;

use fleet::resource::{Power, Resource};
use fleet::stop::OptIn;
use fleet::usage::Signal;

use super::evidence::{Lack, Use};
use super::plan::{Because, IdleHold, PowerAction, Verb};
use super::rule::{IdlePolicy, StopPreference};
use super::touch::{StopTerms, untouchable};

/// Whether an order still holds against the machine as it was read just now, and against its
/// newest samples: the greatest value of each signal (the least of credits) in its unit.
///
/// # Errors
/// What speaks against it, the weightiest first.
pub fn recheck(
    policy: &IdlePolicy,
    action: &PowerAction,
    fresh: &Resource,
    newest: &BTreeMap<Signal, f64>,
) -> Result<(), IdleHold> {
    if fresh.created_at != action.created_at {
        return Err(IdleHold::Gone);
    }
    match (action.verb, &fresh.power) {
        (Verb::Start, Power::Stopped { .. }) => return Ok(()),
        (Verb::Stop(_), Power::Running) => {}
        (_, Power::Gone) => return Err(IdleHold::Gone),
        (_, power) => return Err(IdleHold::NotRunning(power.clone())),
    }
    if fresh.started_at != action.started_at {
        let until = fresh.read_at;
        return Err(IdleHold::ByHand { up: true, until });
    }
    let Some((opt_in, asked)) = terms(policy, action) else { return Err(IdleHold::Gone) };
    if !opt_in.holds(&fresh.tags) {
        return Err(IdleHold::NotOptedIn { tag: format!("{}={}", opt_in.key, opt_in.value) });
    }
    if let Some(hold) = untouchable(fresh, &asked).into_iter().next() {
        return Err(hold);
    }
    for (signal, limit_milli) in &action.limits.0 {
        let Some(value) = newest.get(signal).filter(|value| value.is_finite()) else {
            // What no agent publishes was judged without it.
            if matches!(signal, Signal::Memory | Signal::Connections | Signal::Gpu) {
                continue;
            }
            let lack = Lack::Stale { signal: *signal, newest: None };
            return Err(IdleHold::NotEnoughData(lack));
        };
        let value_milli = (value * 1000.0).ceil() as u64;
        if value_milli > *limit_milli {
            return Err(IdleHold::InUse(Use::Above {
                signal: *signal,
                value_milli,
                limit_milli: *limit_milli,
                at: fresh.read_at,
                hours: 1,
            }));
        }
    }
    Ok(())
}

fn terms<'a>(policy: &'a IdlePolicy, action: &PowerAction) -> Option<(&'a OptIn, StopTerms<'a>)> {
    let name = action.because.rule()?;
    let asked = |stop: StopPreference, accept_restart_risk: bool| StopTerms {
        policy,
        stop,
        accept_restart_risk,
    };
    match action.because {
        Because::Idle { .. } => {
            let rule = policy.rules.iter().find(|rule| rule.name == *name)?;
            Some((&rule.opt_in, asked(rule.stop, rule.accept_restart_risk)))
        }
        _ => {
            let rule = policy.schedules.iter().find(|rule| rule.name == *name)?;
            Some((&rule.opt_in, asked(rule.stop, rule.accept_restart_risk)))
        }
    }
}
