//! Puts together what is known of one service: group, demand, forecast and signals.

use fleet::group::{ActivityKind, ActivityStatus, GroupState};
use fleet::{Fault, Seconds, ServiceName, Timestamp};
use forecaster::Series;
use planner::demand::Assembly;
use planner::idle::schedule::Span;
use planner::policy::ServicePolicy;
use planner::snapshot::{
    DemandView, GroupView, NoForecast, Observation, ReducedForecast, SignalsView, Trend, Window,
};

use super::launches::{Found, Look};
use super::{Observer, Question};
use crate::store::{self, demand_step};

/// How far back samples are looked at for a decision, at most.
const CLOSED_SEEN: Seconds = Seconds::days(2);

impl Observer {
    pub(super) fn observe(
        &mut self,
        name: &ServiceName,
        service: &ServicePolicy,
        group: Result<GroupState, Fault>,
        question: &Question<'_>,
    ) -> Observation {
        let Found { in_service: lead_times, launched, unread } = match &group {
            Ok(state) => self.launched(name, service, state, question),
            Err(_) => Found::default(),
        };
        if let Some(why) = unread {
            tracing::warn!(service = %name, %why, "it cannot be read when new members serve: lead times are not measured");
        }
        let ours = question.ours.get(name).map(Vec::as_slice).unwrap_or_default();
        match group.as_ref().ok().and_then(failed_launch) {
            Some(words) => self.failed_launches.insert(name.clone(), words),
            None => self.failed_launches.remove(name),
        };
        let group =
            group.map(|state| GroupView::of(&state, question.taken_at, service.pool.warm_up, ours));
        let (demand, window) = self.demand_view(name, service, question);
        let forecast = self.forecast(name, window);
        let signals = self.signals(service, group.as_ref().ok(), question.taken_at);
        let outcomes = question.outcomes.get(name).cloned().unwrap_or_default();
        let past = if group.is_ok() { self.past(name, service, question) } else { Vec::new() };
        let hours = question.hours.of(name);
        Observation {
            group,
            demand,
            forecast,
            signals,
            outcomes,
            lead_times,
            past,
            launched,
            hours,
        }
    }

    /// Launches of a service's group that came into service or began to serve since the last cycle.
    fn launched(
        &mut self,
        name: &ServiceName,
        service: &ServicePolicy,
        state: &GroupState,
        question: &Question<'_>,
    ) -> Found {
        let now = question.taken_at;
        let store = &self.store;
        let query = service.signals.healthy_hosts.as_ref();
        let healthy = query.map(|query| {
            move |from: Timestamp, hosts: u64| store.healthy_since(query, from, hosts, now)
        });
        let healthy = healthy.as_ref().map(|f| f as &dyn Fn(Timestamp, u64) -> Option<Timestamp>);
        let look = Look {
            state,
            pool: &service.pool,
            ours: question.ours.get(name).map(Vec::as_slice).unwrap_or_default(),
            last_taken_at: question.last_taken_at,
            taken_at: now,
            poll_interval: question.policy.poll_interval,
            healthy,
        };
        self.launches.look(name, &look)
    }

    fn demand_view(
        &self,
        name: &ServiceName,
        service: &ServicePolicy,
        question: &Question<'_>,
    ) -> (DemandView, Window) {
        let now = question.taken_at;
        let step = demand_step(service);
        let settling = self.settling(service, question);
        let settled_end = (now - settling).floor_to(step);
        let memory = question.memory.services.get(name);
        let newest_settled = self
            .services
            .get(name)
            .and_then(|watched| newest_present(&watched.demand, settled_end))
            .unwrap_or(settled_end);
        let window = planner::window(
            &service.pool,
            memory,
            question.policy.poll_interval,
            now.since(newest_settled),
        );
        let members = self.store.members(service, now);
        let closed = question.calendars.closed(name, Span { from: now - CLOSED_SEEN, until: now });
        let members: Vec<_> =
            members.into_iter().map(|member| member.open(&closed, step)).collect();
        let members: Vec<_> = members.iter().map(store::MemberPoints::as_member).collect();
        let view = DemandView::from_members(
            &members,
            &Assembly {
                taken_at: now,
                step,
                settling,
                lead: window.lead(),
                counted: memory.and_then(|memory| memory.violations.counted),
                fixed_capacity: service.fixed_capacity,
                utilisation: self.store.utilisation(service, newest_settled - step.span()),
            },
        );
        (view, window)
    }

    fn forecast(&self, name: &ServiceName, window: Window) -> Result<ReducedForecast, NoForecast> {
        let Some(watched) = self.services.get(name) else { return Err(NoForecast::NoData) };
        if watched.demand.is_empty() {
            return Err(NoForecast::NoData);
        }
        if watched.forecaster.choice().is_none()
            && watched.forecaster.refit_due(&watched.demand).is_some()
        {
            return Err(NoForecast::WaitingForRefit);
        }
        let windows = window.steps(watched.demand.step())?;
        let made = watched.forecaster.forecast(&watched.demand, windows)?;
        ReducedForecast::of(&made, window)
    }

    fn signals(
        &self,
        service: &ServicePolicy,
        group: Option<&GroupView>,
        now: Timestamp,
    ) -> SignalsView {
        let errors = service.signals.errors.as_ref();
        let hosts = service.signals.healthy_hosts.as_ref();
        let in_service = group.map_or(0.0, |group| f64::from(group.in_service.0));
        SignalsView {
            errors: errors.map_or(Trend::Unknown, |query| self.store.errors_trend(query, now)),
            healthy_hosts: hosts
                .map_or(Trend::Unknown, |query| self.store.hosts_trend(query, in_service, now)),
        }
    }
}

/// What the cloud said of the newest launch that ended, where it failed.
fn failed_launch(state: &GroupState) -> Option<String> {
    let ended = state.activities.iter().filter(|activity| {
        activity.kind == ActivityKind::Launch && activity.status != ActivityStatus::InProgress
    });
    let newest = ended.max_by_key(|activity| activity.started_at)?;
    let failed = matches!(newest.status, ActivityStatus::Failed { .. });
    let why = newest.cause_text.rsplit('\n').next().unwrap_or_default();
    Some(why.to_owned()).filter(|words| failed && !words.is_empty())
}

/// The end of the newest interval with a sample, at or before `until`.
fn newest_present(series: &Series, until: Timestamp) -> Option<Timestamp> {
    let step = series.step();
    let last = series.end()?.min(until - step.span());
    let first = series.start();
    let mut start = last;
    while start >= first {
        if series.at(start).is_some() {
            return Some(start + step.span());
        }
        start = start - step.span();
    }
    None
}
