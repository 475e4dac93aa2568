//! Carries out actions one by one; chooses nothing.
//!
//! No cloud compares and sets. So each action is: look at the switch, read, check, set, read back.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleet::group::{GroupState, Process};
use fleet::{Change, Fault, FaultKind, GroupId, ServiceName, Units};
use planner::plan::Action;
use planner::reasons::SwitchThrown;
use planner::snapshot::{KillSwitch, OrderResult};
use providers::traced::Traced;
use providers::{Deadline, GroupWriter, Provider};

/// How long one action may take: read, set and read back.
const ACTION_WITHIN: Duration = Duration::from_secs(20);

/// How long to wait before each further reading where the last one shows what was before our call.
const READ_BACK_AGAIN_AFTER: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// The right to change groups: one handle a service in mode `act`, bound to its group. Dropped
/// and made anew on every reload; empty in `observe`.
#[derive(Default)]
pub struct Handles {
    by_service: BTreeMap<ServiceName, Handle>,
}

struct Handle {
    writer: Arc<dyn GroupWriter>,
    provider: Traced,
}

impl Handles {
    /// Gives `service` the right to change `group`, and no other.
    pub fn grant(&mut self, service: &ServiceName, group: &GroupId, provider: &Traced) {
        let known = self.by_service.get(service).is_some_and(|h| h.writer.group() == group);
        if !known {
            let writer = Arc::from(provider.writer(group));
            self.by_service.insert(service.clone(), Handle { writer, provider: provider.clone() });
        }
    }
}

/// Reads the kill switch. Whatever has its name throws it, a link to nothing too, and a path that
/// cannot be checked counts as thrown.
pub fn kill_switch(path: &Path) -> KillSwitch {
    let shown = || path.display().to_string();
    match path.symlink_metadata() {
        Ok(_) => KillSwitch::Thrown { why: SwitchThrown::Exists { path: shown() }.into() },
        Err(error) if error.kind() == ErrorKind::NotFound && !is_below_a_dangling_link(path) => {
            KillSwitch::Clear
        }
        Err(error) => {
            let why = SwitchThrown::Unchecked { path: shown(), error: error.to_string() };
            KillSwitch::Thrown { why: why.into() }
        }
    }
}

/// Whether a folder above is a link to nothing: what would be below it nobody can tell.
fn is_below_a_dangling_link(path: &Path) -> bool {
    path.ancestors().skip(1).any(|above| above.is_symlink() && !above.exists())
}

/// Carries out one action and says how it ended.
///
/// `permitted` is asked immediately before every single call that changes something.
pub async fn carry_out(
    action: &Action,
    decision: &str,
    handles: &Handles,
    permitted: &(dyn Fn() -> bool + Send + Sync),
) -> OrderResult {
    let Some(handle) = handles.by_service.get(&action.service) else {
        return OrderResult::Stopped;
    };
    if action.dry_run || handle.writer.group() != &action.group {
        return OrderResult::Stopped;
    }
    let deadline = Deadline::within(ACTION_WITHIN);
    let order = Order { change: action.change, decision, handle, permitted, deadline };
    let (before, after) = match order.give(still_right).await {
        Ok((before, Some(after))) => (before, after),
        // Taken by the cloud, and nobody saw it: the next cycle looks.
        Ok((_, None)) => return OrderResult::Unconfirmed { effect_seen: None },
        Err(NotGiven::NoAnswer) => return look_for_effect(action, handle).await,
        Err(NotGiven::Ended(result)) => return result,
    };
    let found = others_wish(action.change, &before, &after)
        .unwrap_or_else(|| number(action.change, &after));
    settle(action.change, found, decision, handle, permitted, deadline).await
}

/// One change of the group that a handle is bound to.
struct Order<'a> {
    change: Change,
    decision: &'a str,
    handle: &'a Handle,
    permitted: &'a (dyn Fn() -> bool + Send + Sync),
    deadline: Deadline,
}

/// Why a cloud has not said that it takes an order.
enum NotGiven {
    /// It was sent, and the answer was lost.
    NoAnswer,
    Ended(OrderResult),
}

impl Order<'_> {
    /// Reads the group, asks whether the order is still `right`, sends it once, and reads the group
    /// again: as it was before, and as it is where a reading shows anything newer.
    async fn give(
        &self,
        right: impl FnOnce(Change, &GroupState) -> Result<(), OrderResult>,
    ) -> Result<(GroupState, Option<GroupState>), NotGiven> {
        let Order { change, decision, handle, permitted, deadline } = *self;
        let group = handle.writer.group();
        let read = handle.provider.inventory().group(group, deadline).await;
        let before = read.map_err(|fault| NotGiven::Ended(OrderResult::Failed { fault }))?;
        if let Some(owner) = before.owner {
            return Err(NotGiven::Ended(OrderResult::Owned { owner }));
        }
        right(change, &before).map_err(NotGiven::Ended)?;
        if !permitted() {
            return Err(NotGiven::Ended(OrderResult::Stopped));
        }
        match handle.writer.set(change, decision, deadline).await {
            Ok(()) => {}
            Err(fault) if fault.kind == FaultKind::Unconfirmed => return Err(NotGiven::NoAnswer),
            Err(fault) => return Err(NotGiven::Ended(OrderResult::Failed { fault })),
        }
        let after = read_back(change, group, handle, &before, deadline).await;
        Ok((before, after))
    }
}

/// Puts a group's minimum back to what its operator had set, unless it is another by now.
///
/// This is no action of a plan: it gives back what neap holds, also where it may not act any more.
pub async fn put_back(
    group: &GroupId,
    change: Change,
    decision: &str,
    provider: &Traced,
    permitted: &(dyn Fn() -> bool + Send + Sync),
) -> OrderResult {
    let handle = Handle { writer: Arc::from(provider.writer(group)), provider: provider.clone() };
    let deadline = Deadline::within(ACTION_WITHIN);
    let order = Order { change, decision, handle: &handle, permitted, deadline };
    let unmoved = |change: Change, before: &GroupState| match before.min {
        found if found == change.from() => Ok(()),
        found => Err(OrderResult::Moved { found }),
    };
    match order.give(unmoved).await {
        Ok((_, Some(after))) if after.min == change.to() => OrderResult::Applied,
        Ok((_, Some(after))) => OrderResult::Contested { found: after.min, restored: false },
        Ok((_, None)) | Err(NotGiven::NoAnswer) => OrderResult::Unconfirmed { effect_seen: None },
        Err(NotGiven::Ended(result)) => result,
    }
}

/// The group after our call. A reading that shows what was there before it may be of before it: a
/// cloud answers from copies that lag. It is no other writer's, and is asked for again; `None` where
/// none shows anything newer.
async fn read_back(
    change: Change,
    group: &GroupId,
    handle: &Handle,
    before: &GroupState,
    deadline: Deadline,
) -> Option<GroupState> {
    let mut pauses = READ_BACK_AGAIN_AFTER.iter();
    loop {
        let after = handle.provider.inventory().group(group, deadline).await.ok()?;
        let shown = number(change, &after);
        if shown == change.to() || shown != number(change, before) {
            return Some(after);
        }
        if others_wish(change, before, &after).is_some() {
            return Some(after);
        }
        tokio::time::sleep(*pauses.next()?).await;
    }
}

/// A desired capacity that somebody else set between our reading and our writing, which our
/// absolute value has overwritten.
fn others_wish(change: Change, before: &GroupState, after: &GroupState) -> Option<Units> {
    let new = |id: &str| before.activities.iter().all(|old| old.id != id);
    let Change::Desired { to, .. } = change else { return None };
    after
        .activities
        .iter()
        .filter(|activity| new(&activity.id))
        .filter_map(|activity| activity.capacity_set_to)
        .find(|set| *set != to && *set != before.desired)
}

/// The number of the group that a change is about.
fn number(change: Change, group: &GroupState) -> Units {
    match change {
        Change::Desired { .. } => group.desired,
        Change::Minimum { .. } => group.min,
    }
}

/// Whether the plan still fits the group, and the cloud can be expected to accept it.
fn still_right(change: Change, group: &GroupState) -> Result<(), OrderResult> {
    let found = number(change, group);
    // A larger absolute size is still right after somebody else's smaller step in between.
    let fits = if change.is_increase() { found < change.to() } else { found == change.from() };
    if !fits {
        return Err(OrderResult::Moved { found });
    }
    let refuse = |why: String| {
        Err(OrderResult::Failed {
            fault: Fault {
                kind: FaultKind::Refused,
                operation: "check before writing".to_owned(),
                detail: why,
                request_id: None,
            },
        })
    };
    let to = change.to();
    if to > group.max {
        return refuse(format!("{to} is above the group's maximum of {}", group.max.0));
    }
    if matches!(change, Change::Desired { .. }) && to < group.min {
        return refuse(format!("{to} is below the group's minimum of {}", group.min.0));
    }
    let process = if change.is_increase() { Process::Launch } else { Process::Terminate };
    if group.suspended.contains(&process) {
        return refuse(format!("the group's process `{process}` is suspended"));
    }
    if let (Some(id), false) = (&group.refresh, change.is_increase()) {
        return refuse(format!("instance refresh `{id}` is under way"));
    }
    if !change.is_increase() && group.protected() > to {
        return refuse(format!("{} are protected from scale-in", group.protected()));
    }
    Ok(())
}

/// After a lost answer: looks once, and never sends again.
async fn look_for_effect(action: &Action, handle: &Handle) -> OrderResult {
    let deadline = Deadline::within(ACTION_WITHIN);
    let seen = handle.provider.inventory().group(&action.group, deadline).await;
    let effect_seen = seen.ok().map(|group| number(action.change, &group) == action.change.to());
    OrderResult::Unconfirmed { effect_seen }
}

/// What was read back decides: for a scale-out the larger of ours and another writer's value is
/// restored in the same cycle; a scale-in is not defended.
async fn settle(
    change: Change,
    found: Units,
    decision: &str,
    handle: &Handle,
    permitted: &(dyn Fn() -> bool + Send + Sync),
    deadline: Deadline,
) -> OrderResult {
    if found == change.to() {
        return OrderResult::Applied;
    }
    if !change.is_increase() || !permitted() {
        return OrderResult::Contested { found, restored: false };
    }
    let larger = found.max(change.to());
    let again = match change {
        Change::Desired { .. } => Change::Desired { from: found, to: larger },
        Change::Minimum { .. } => Change::Minimum { from: found, to: larger },
    };
    let restored = handle.writer.set(again, decision, deadline).await.is_ok();
    OrderResult::Contested { found, restored }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn whatever_has_the_switchs_name_throws_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        symlink(at("file"), at("to-file")).unwrap();
        symlink(at("nothing"), at("dangling")).unwrap();
        symlink(at("loop"), at("loop")).unwrap();
        symlink(at("other-loop"), at("one-loop")).unwrap();
        symlink(at("one-loop"), at("other-loop")).unwrap();
        symlink(at("folder"), at("to-folder")).unwrap();
        symlink("/proc/self/no-such", at("to-proc")).unwrap();
        let long = "x".repeat(300);
        for thrown in [
            "folder",
            "file",
            "to-file",
            "dangling",
            "loop",
            "one-loop",
            "to-folder",
            "to-proc",
            "file/below",
            "dangling/below",
            "dangling/far/below",
            "loop/below",
            long.as_str(),
        ] {
            assert_ne!(kill_switch(&at(thrown)), KillSwitch::Clear, "{thrown}");
        }
        for clear in ["nothing", "folder/nothing", "to-folder/nothing", "nothing/below"] {
            assert_eq!(kill_switch(&at(clear)), KillSwitch::Clear, "{clear}");
        }
        assert_eq!(kill_switch(Path::new("no-such-file")), KillSwitch::Clear);
    }
}
