//! What the facts about clouds mean: no I/O and no clock.

use std::collections::BTreeMap;

use fleet::Seconds;
use fleet::group::{Owner, Process};
use fleet::metric::WhenMissing;
use planner::policy::Actuate;
use providers::{Outcome, Purpose, Trial, Untried};

use super::facts::{AskedAs, Facts, OPT_IN, PlaceFacts, Read, ServiceFacts};
use super::finding::{Finding, Mark, What};

/// A metric with fewer of its intervals than this has gaps that matter.
const WHOLE_PERCENT: usize = 90;
/// The newest sample may be so many periods older than one that has settled.
const STALE_PERIODS: u64 = 3;
/// How far back metrics are looked at.
const DAY: Seconds = Seconds::days(1);

/// What is told, services first, then metrics, then places.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let services = facts.services.iter().flat_map(of_service);
    let metrics = facts.metrics.iter().map(|read| of_metric(read, facts));
    let places = facts.places.iter().flat_map(|place| of_place(place, facts));
    services.chain(metrics).chain(places).collect()
}

fn of_service(service: &ServiceFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut tell = |mark: Mark, what: What, mend: Option<String>| {
        found.push(Finding { mark, about: format!("service `{}`", service.name), what, mend });
    };
    // What stands in the way of a change stands in nobody's way where nothing is changed.
    let stops = if service.acts { Mark::Stops } else { Mark::Note };
    let state = match &service.group {
        Ok(state) => state,
        Err(fault) => {
            tell(Mark::Stops, What::NoGroup(fault.clone()), None);
            return found;
        }
    };
    if let Some(owner) = state.owner.as_ref().filter(|owner| owner.name != Owner::NEAP) {
        let (owner, evidence) = (owner.name.clone(), owner.evidence.clone());
        tell(stops, What::Owned { owner, evidence }, None);
    }
    if let Some(number) = service.writes {
        let undoes = state.policies.iter().find(|policy| policy.enabled && policy.scales_in);
        tell(Mark::Note, What::Writes { number, policies: state.policies.clone() }, None);
        if let (Actuate::Desired, Some(policy)) = (number, undoes) {
            tell(stops, What::Undone { policy: policy.name.clone() }, None);
        }
    }
    let handed_over = state.tags.get(OPT_IN.0).is_some_and(|value| value == OPT_IN.1);
    if let (false, Some(command)) = (handed_over, &service.tag_command) {
        tell(stops, What::Untagged, Some(command.clone()));
    }
    if state.suspended.contains(&Process::Launch) {
        tell(Mark::Warning, What::LaunchSuspended, None);
    }
    if state.suspended.contains(&Process::Terminate) {
        tell(Mark::Warning, What::TerminateSuspended, None);
    }
    if let Some(policy) = service.max.filter(|max| *max > state.max.0) {
        tell(Mark::Warning, What::LowMaximum { own: state.max.0, policy }, None);
    }
    if service.writes == Some(Actuate::Desired) && state.min.0 > service.min {
        tell(Mark::Note, What::HighMinimum { own: state.min.0, policy: service.min }, None);
    }
    found
}

fn of_metric(metric: &Read, facts: &Facts) -> Finding {
    let query = &metric.query;
    let names: Vec<String> =
        metric.asked.iter().map(|(service, _)| format!("`{service}`")).collect();
    let of = names.join(", ");
    let about =
        format!("metric `{}` `{}` ({}) of {of}", query.namespace, query.metric, query.statistic);
    let (mark, what) = sampled(metric, facts);
    Finding { mark, about, what, mend: None }
}

fn sampled(metric: &Read, facts: &Facts) -> (Mark, What) {
    let is_demand = metric.asked.iter().any(|(_, asked)| *asked == AskedAs::Demand);
    let grave = if is_demand { Mark::Stops } else { Mark::Warning };
    let samples = match &metric.read {
        Ok(samples) => samples,
        Err(fault) => return (grave, What::Unread(fault.clone())),
    };
    let zero = metric.query.when_missing == WhenMissing::Zero;
    let Some(newest) = samples.last() else {
        if zero && !is_demand {
            return (Mark::Note, What::Quiet);
        }
        // Where nothing is reported at zero, an idle service looks the same.
        return (if zero { Mark::Warning } else { grave }, What::NoSample);
    };
    let period = metric.query.period.span();
    let age = facts.now.since(newest.start + period);
    let intervals = usize::try_from(DAY.0 / period.0.max(1)).unwrap_or(usize::MAX);
    let apart = apart(metric);
    if let Some(apart) = apart.filter(|apart| *apart > period && !zero) {
        return (Mark::Warning, What::Sparse { apart, period });
    }
    if !zero && age > metric.settling + Seconds(period.0 * STALE_PERIODS) {
        return (Mark::Warning, What::Stale { age });
    }
    if !zero && samples.len() * 100 < intervals * WHOLE_PERCENT {
        return (Mark::Warning, What::Gaps { samples: samples.len(), intervals });
    }
    (Mark::Ok, What::Sampled { samples: samples.len(), intervals, age })
}

/// How far apart samples usually are; `None` for fewer than three.
fn apart(metric: &Read) -> Option<Seconds> {
    let samples = metric.read.as_ref().ok()?;
    let mut gaps: Vec<u64> =
        samples.windows(2).map(|two| two[1].start.since(two[0].start).0).collect();
    gaps.sort_unstable();
    (gaps.len() >= 2).then(|| Seconds(gaps[gaps.len() / 2]))
}

fn of_place(place: &PlaceFacts, facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut tell = |mark: Mark, what: What, mend: Option<String>| {
        found.push(Finding { mark, about: format!("place {}", place.place), what, mend });
    };
    match &place.tried.identity {
        // Without credentials nothing works; where the question alone is not answered, all else may.
        Err(fault) => {
            let none = matches!(fault.kind, fleet::FaultKind::Denied { permission: None });
            let mark = if none { Mark::Stops } else { Mark::Warning };
            tell(mark, What::NoIdentity(fault.clone()), None);
        }
        Ok(identity) => {
            let wanted = place.place.account.as_str();
            let named = wanted.bytes().all(|b| b.is_ascii_digit());
            if named && wanted != identity.account.as_str() {
                let found = identity.account.clone();
                tell(Mark::Stops, What::OtherAccount { found }, None);
            } else {
                tell(Mark::Ok, What::Identity(identity.arn.clone()), None);
            }
        }
    }
    let is =
        |outcome: Outcome| place.tried.trials.iter().filter(move |t| t.outcome == outcome).count();
    let (tried, worked_out) = (is(Outcome::Works), is(Outcome::WorkedOut));
    if tried + worked_out > 0 {
        tell(Mark::Ok, What::Allowed { tried, worked_out }, None);
    }
    let mut untried: BTreeMap<usize, (Untried, Vec<String>)> = BTreeMap::new();
    for trial in &place.tried.trials {
        let permission = trial.permission.clone();
        match &trial.outcome {
            Outcome::Works | Outcome::WorkedOut => {}
            Outcome::Untried(why) => {
                let (_, names) = untried.entry(*why as usize).or_insert_with(|| (*why, Vec::new()));
                names.push(permission);
            }
            Outcome::Failed(fault) if !matches!(fault.kind, fleet::FaultKind::Denied { .. }) => {
                let fault = fault.clone();
                tell(
                    gravity(trial, facts).min(Mark::Warning),
                    What::Unknown { permission, fault },
                    None,
                );
            }
            why => {
                let mend = place.statements.get(&permission).cloned();
                let (writes, why) = (trial.writes, why.clone());
                tell(gravity(trial, facts), What::Denied { permission, writes, why }, mend);
            }
        }
    }
    for (why, permissions) in untried.into_values() {
        tell(Mark::Note, What::Untried { permissions, why }, None);
    }
    for room in &place.rooms {
        match room {
            Err(fault) => tell(Mark::Note, What::NoRoom(fault.clone()), None),
            Ok(room) if room.missing() > 0 => tell(Mark::Warning, What::Room(room.clone()), None),
            Ok(room) if !room.unknown.is_empty() => {
                tell(Mark::Note, What::Room(room.clone()), None);
            }
            Ok(room) => tell(Mark::Ok, What::Room(room.clone()), None),
        }
    }
    found
}

/// How much goes without a permission, by what the configuration makes use of.
fn gravity(trial: &Trial, facts: &Facts) -> Mark {
    let acts = facts.services.iter().any(|service| service.acts);
    match trial.purpose {
        Purpose::Groups if trial.writes && !acts => Mark::Note,
        Purpose::Groups => Mark::Stops,
        Purpose::Machines if !facts.watches_machines => Mark::Note,
        Purpose::Machines if trial.writes && !facts.acts => Mark::Note,
        Purpose::Machines => Mark::Warning,
        Purpose::Limits => Mark::Note,
    }
}

#[cfg(test)]
mod tests;
