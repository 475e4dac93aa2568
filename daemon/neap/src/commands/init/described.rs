//! What a group is and what its cloud does with it by itself, in sentences. Pure.

use fleet::feed::{Surveyed, UnitShape};
use fleet::group::{NativePolicyKind, Process, ScheduledAction};

use super::find::listed;
use super::guess::scales_in;
use super::text::comment;

/// What a group is: a comment for each thing that an operator should know of it.
pub(super) fn described(one: &Surveyed) -> String {
    let group = &one.group;
    let mut first = format!(
        "`{}` in {}: {} now, {} to {}.",
        group.name, group.id.region, group.desired, group.min.0, group.max
    );
    if let Some(shape) = one.shapes.first().filter(|shape| shape.weight == 1) {
        first.push_str(&format!(" Its machines are `{}`.", shape.class));
    }
    let mut text = comment(&first);
    if one.shapes.iter().any(|shape| shape.weight != 1) {
        let each = |shape: &UnitShape| format!("`{}` counts {}", shape.class, shape.weight);
        let all: Vec<String> = one.shapes.iter().map(each).collect();
        text.push_str(&comment(&format!("Units are weights: {}.", all.join(", "))));
    }
    if group.buys_spot {
        text.push_str(&comment("Spot machines: the cloud may take them back."));
    }
    if let Some(pool) = &group.warm_pool {
        let size = pool.size.map(|size| format!(", {size} now")).unwrap_or_default();
        text.push_str(&comment(&format!(
            "Warm pool of {} or more{size} ({}): they enter service sooner than new ones.",
            pool.min, pool.state
        )));
    }
    for action in &group.scheduled {
        text.push_str(&comment(&scheduled(action)));
    }
    text
}

fn scheduled(action: &ScheduledAction) -> String {
    let set = [("minimum", action.min), ("maximum", action.max), ("capacity", action.desired)];
    let set: Vec<String> = set
        .iter()
        .filter_map(|(what, units)| units.map(|units| format!("{what} {}", units.0)))
        .collect();
    let when = match (&action.recurrence, action.at) {
        (Some(cron), _) => format!(" at `{cron}`"),
        (None, Some(at)) => format!(" at {at}"),
        (None, None) => String::new(),
    };
    format!("Scheduled action `{}` sets {}{when}.", action.name, set.join(", "))
}

/// What the cloud's own policies do, and which number neap writes for that.
pub(super) fn written(one: &Surveyed) -> String {
    let policies = &one.group.policies;
    if policies.iter().any(|policy| policy.is_unread()) {
        return comment("Its scaling policies could not be read.");
    }
    let names =
        |all: &[&str]| listed(&all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let takes: Vec<&str> = scales_in(one).iter().map(|policy| policy.name.as_str()).collect();
    let acting = policies.iter().filter(|policy| policy.enabled);
    let adds = acting.filter(|policy| policy.kind != NativePolicyKind::Predictive);
    let adds: Vec<&str> = adds.map(|policy| policy.name.as_str()).collect();
    let suspended = one.group.suspended.contains(&Process::AlarmNotification);
    comment(&match (&takes[..], &adds[..]) {
        ([policy], _) => format!(
            "Policy `{policy}` takes units away, so neap writes the minimum alone and leaves the \
             rest to it."
        ),
        ([_, ..], _) => format!(
            "Policies {} take units away, so neap writes the minimum alone and leaves the rest to \
             them.",
            names(&takes)
        ),
        ([], []) => {
            "No policy of its own takes units away, so neap writes the desired capacity.".to_owned()
        }
        ([], all) if suspended => format!(
            "Its alarms are suspended (`AlarmNotification`), so {} does nothing, and neap writes \
             the desired capacity.",
            names(all)
        ),
        ([], [policy]) => {
            format!("Policy `{policy}` takes no units away, so neap writes the desired capacity.")
        }
        ([], all) => format!(
            "Policies {} take no units away, so neap writes the desired capacity.",
            names(all)
        ),
    })
}
