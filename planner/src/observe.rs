//! From a group as a cloud shows it to what the planner reads of it; and the windows it plans for.

use fleet::group::{
    Activity, ActivityKind, ActivityStatus, Cause, GroupState, Instance, Lifecycle,
};
use fleet::{OrTold, Seconds, Step, Timestamp, Units};
use forecaster::{SeriesFault, WindowForecast, Windows};

use crate::Milli;
use crate::lead::Lead;
use crate::memory::ServiceMemory;
use crate::numbers::{milli, milli_up};
use crate::policy::PoolPolicy;
use crate::reasons::UnusableForecast;
use crate::snapshot::{Aside, GroupView, NoForecast, Record, ReducedForecast, Window};

/// Group activity that starts within this time after our order is attributed to us: clouds report
/// our own calls as a user's request.
const OURS_WITHIN: Seconds = Seconds(120);

impl GroupView {
    /// What a decision needs of `state`.
    ///
    /// `warm_up` is the operator's (the group's own counts where longer); `ours` are the times of
    /// our own recent orders to this group, by which our activities are told from other people's.
    pub fn of(
        state: &GroupState,
        taken_at: Timestamp,
        warm_up: Seconds,
        ours: &[Timestamp],
    ) -> GroupView {
        let warm_up = warm_up.max(state.warm_up.unwrap_or_default()).max(state.health_check_grace);
        let suspended = |process| state.suspended.contains(&process);
        // What the cloud holds for sick serves nothing, and neither does what has not begun to.
        let awaited = |i: &Instance| state.serving.awaits(&i.id);
        let in_service =
            sum(state, |i| i.lifecycle == Lifecycle::InService && i.healthy && !awaited(i));
        let set_aside = sum(state, |i| i.lifecycle == Lifecycle::Standby);
        // Launches that fail leave no instance behind that would be pending.
        let there = in_service.0.saturating_add(set_aside.0);
        let missing = Units(state.desired.0.saturating_sub(there));
        GroupView {
            id: state.id.clone(),
            read_at: state.read_at,
            desired: state.desired,
            min: state.min,
            max: state.max,
            in_service,
            pending: state.pending().max(missing),
            terminating: state.terminating(),
            protected: state.protected(),
            unknown: sum(state, |i| matches!(i.lifecycle, Lifecycle::Unknown(_))),
            warming: sum(state, |i| {
                i.lifecycle == Lifecycle::InService
                    && (awaited(i) || i.launched_at.is_some_and(|at| taken_at.since(at) < warm_up))
            }),
            launch_suspended: suspended(fleet::group::Process::Launch),
            terminate_suspended: suspended(fleet::group::Process::Terminate),
            refresh: state.refresh.clone(),
            policies: state.policies.iter().filter(|p| p.enabled).cloned().collect(),
            scheduled: state.scheduled.clone(),
            owner: state.owner.clone(),
            newest_foreign_activity: newest_foreign(state, ours),
            out_of_capacity: newest_launch_found_no_machine(state),
            aside: aside(state),
        }
    }
}

fn sum(state: &GroupState, counts: impl Fn(&Instance) -> bool) -> Units {
    let total: u64 =
        state.instances.iter().filter(|i| counts(i)).map(|i| u64::from(i.weight.0)).sum();
    Units(u32::try_from(total).unwrap_or(u32::MAX))
}

/// Replacing an unhealthy instance changes no size, so health and upkeep are nobody's change.
fn newest_foreign(state: &GroupState, ours: &[Timestamp]) -> Option<Activity> {
    let is_ours = |activity: &Activity| {
        ours.iter().any(|&at| {
            activity.started_at.0 >= at.0 - 5 && activity.started_at.since(at) <= OURS_WITHIN
        })
    };
    let mut foreign: Vec<&Activity> = state
        .activities
        .iter()
        .filter(|a| !matches!(a.cause, Cause::Health | Cause::Upkeep))
        .filter(|a| a.cause != Cause::UserRequest || !is_ours(a))
        .collect();
    foreign.sort_by_key(|a| std::cmp::Reverse(a.started_at));
    // What is told of a launch is not kept.
    foreign.first().map(|a| Activity { launch: None, ..(*a).clone() })
}

fn newest_launch(state: &GroupState) -> Option<&Activity> {
    let launches = state.activities.iter().filter(|a| a.kind == ActivityKind::Launch);
    launches.filter(|a| a.status != ActivityStatus::InProgress).max_by_key(|a| a.started_at)
}

fn newest_launch_found_no_machine(state: &GroupState) -> bool {
    let newest = newest_launch(state);
    newest.is_some_and(|a| a.status == ActivityStatus::Failed { no_capacity: true })
}

fn aside(state: &GroupState) -> Aside {
    let in_service = || state.instances.iter().filter(|i| i.lifecycle == Lifecycle::InService);
    let weighted = in_service().any(|i| i.weight != Units(1));
    let set_aside = sum(state, |i| i.lifecycle == Lifecycle::Standby);
    let there = state.in_service().0.saturating_add(set_aside.0);
    let failed = newest_launch(state)
        .filter(|a| a.status == ActivityStatus::Failed { no_capacity: false })
        .filter(|_| there < state.desired.0);
    Aside {
        suspended: state.suspended.clone(),
        deploying_since: None,
        // Why it failed stands in the last line.
        launch_failed: failed
            .and_then(|a| a.cause_text.rsplit('\n').next())
            .filter(|words| !words.is_empty())
            .map(str::to_owned),
        machines: weighted.then(|| u32::try_from(in_service().count()).unwrap_or(u32::MAX)),
        buys_spot: state.buys_spot,
        warm_pool: state.warm_pool.clone(),
    }
}

/// The parts of the lead window, as they stand now: what to forecast for.
///
/// `sample_age` is the age of the end of the newest settled interval; `memory` is absent for a new
/// service, whose lead time is the configured start value.
pub fn window(
    pool: &PoolPolicy,
    memory: Option<&ServiceMemory>,
    poll_interval: Seconds,
    sample_age: Seconds,
) -> Window {
    let lead_time = Lead::of(pool, memory).time;
    Window { sample_age, poll_interval, lead_time, hold: pool.hold_window.max(lead_time) }
}

impl ReducedForecast {
    /// What a decision reads of `made`, rounded to thousandths: replay must not hang on the last
    /// bit of a float.
    ///
    /// ```
    /// use fleet::{Level, Seconds, Timestamp};
    /// use forecaster::WindowForecast;
    /// use planner::snapshot::{NoForecast, ReducedForecast, Window};
    ///
    /// let made = WindowForecast {
    ///     origin: Timestamp(0),
    ///     levels: vec![Level::new(0.9).expect("a level")],
    ///     next: vec![8.0004],
    ///     lead: vec![9.9996],
    ///     hold: vec![12.5],
    ///     model: "blend".to_owned(),
    ///     recent_loss: 0.5,
    ///     last_value_loss: 0.75,
    ///     record: None,
    /// };
    /// let read = ReducedForecast::of(&made, Window::default()).expect("demand");
    /// assert_eq!([read.next_milli[0], read.lead_milli[0]], [8_000, 10_000].map(planner::Milli::whole));
    /// // What can be no demand makes no forecast.
    /// let absurd = WindowForecast { lead: vec![f64::NAN], ..made };
    /// let refused = ReducedForecast::of(&absurd, Window::default());
    /// assert!(matches!(refused, Err(NoForecast::Unusable { .. })));
    /// ```
    ///
    /// # Errors
    /// Values that cannot be demand.
    pub fn of(made: &WindowForecast, window: Window) -> Result<ReducedForecast, NoForecast> {
        let unusable = || NoForecast::Unusable { why: UnusableForecast::Values.into() };
        let all = |values: &[f64], round: fn(f64) -> Option<Milli>| {
            let rounded = values.iter().map(|&v| round(v).ok_or_else(unusable));
            rounded.collect::<Result<Vec<Milli>, NoForecast>>()
        };
        let next = all(&made.next, milli)?;
        // Of an ordinary load, whole thousandths tell enough.
        let ordinary = next.last().is_some_and(|highest| highest.get() >= 1000.0);
        let loss = |value| {
            let whole = |loss: Milli| Milli::whole(loss.get().round() as u64);
            let loss = milli(value).map(|loss| if ordinary { whole(loss) } else { loss });
            loss.ok_or_else(unusable)
        };
        Ok(ReducedForecast {
            origin: made.origin,
            levels: made.levels.clone(),
            lead_milli: all(&made.lead, milli_up)?,
            hold_milli: all(&made.hold, milli_up)?,
            next_milli: next,
            model: made.model.clone(),
            window,
            recent_loss_milli: loss(made.recent_loss)?,
            last_value_loss_milli: loss(made.last_value_loss)?,
            record: made.record.map(|record| Record {
                covered_milli: (record.covered * 1000.0).round() as u16,
                bias_milli: (record.bias * 1000.0).round() as i64,
            }),
        })
    }
}

impl From<SeriesFault> for NoForecast {
    fn from(fault: SeriesFault) -> NoForecast {
        match fault {
            SeriesFault::TooShort { found, needed, .. } => NoForecast::TooLittleHistory {
                have: u32::try_from(found).unwrap_or(u32::MAX),
                need: u32::try_from(needed).unwrap_or(u32::MAX),
            },
            other => NoForecast::Unusable { why: OrTold::Told(other.to_string()) },
        }
    }
}

impl Window {
    /// Both windows in steps from the newest settled interval, for the forecaster.
    ///
    /// # Errors
    /// A window beyond what the forecaster looks ahead.
    pub fn steps(&self, step: Step) -> Result<Windows, SeriesFault> {
        let steps = |span| step.samples_to_cover(span).max(1);
        // Of the interval in which an order made now comes into service, it serves the rest.
        let before = (self.sample_age + self.lead_time).0 / step.span().0;
        let first = usize::try_from(before).unwrap_or(usize::MAX).saturating_add(1);
        Windows::new(first, steps(self.lead()), steps(self.hold_ahead()))
    }

    /// How long the lead window is, from the end of the newest settled interval.
    pub fn lead(&self) -> Seconds {
        self.sample_age + self.poll_interval + self.lead_time
    }

    /// How long the hold window is, from the end of the newest settled interval; never shorter
    /// than the lead window.
    pub fn hold_ahead(&self) -> Seconds {
        (self.sample_age + self.poll_interval + self.hold).max(self.lead())
    }
}
