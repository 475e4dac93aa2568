//! Asks providers and metric sources, and builds the snapshot.
//!
//! What could not be read is part of the snapshot, by service: nothing here fails.

use std::collections::{BTreeMap, BTreeSet};

use config::calendars::Calendars;
use forecaster::{ModelKind, Series, ServiceForecaster};
use journal::SampleBatch;
use planner::demand::Assembly;
use planner::group::{ActivityKind, ActivityStatus, GroupState};
use planner::metric::{MetricKey, MetricQuery, Sample};
use planner::policy::{Policy, ServicePolicy};
use planner::snapshot::{
    DemandView, GroupView, NoForecast, Observation, OrderOutcome, ReducedForecast, SignalsView,
    Trend, Window,
};
use planner::{Fault, FaultKind, GroupRef, Memory, ProviderName, Seconds, ServiceName, Timestamp};
use providers::traced::{SPANS, Traced};
use providers::{Deadline, Provider};
use tokio::task::JoinSet;
use tracing::{Instrument, info_span};

use crate::store::{self, Store, demand_step};

/// The configured clouds by name, each with its deadline enforced and its calls counted.
pub type Providers = BTreeMap<ProviderName, Traced>;

/// Periods that each poll reads again: clouds correct their newest points.
const READ_AGAIN_PERIODS: u64 = 5;

/// Models made anew in one cycle at most, worst first, so that a start does not hold up decisions.
const REFITS_PER_CYCLE: usize = 16;

/// What is kept of each service between cycles; all of it can be made again from the journal.
#[derive(Default)]
pub struct Observer {
    store: Store,
    services: BTreeMap<ServiceName, Watched>,
    /// Launches whose lead time was taken, by id, and when they ended.
    launches_seen: BTreeMap<String, Timestamp>,
}

struct Watched {
    demand: Series,
    forecaster: ServiceForecaster,
    changed_from: Option<Timestamp>,
    /// The demand series has everything that the store has.
    complete: bool,
    /// The day of UTC that the calendar of the demand was made for; `None` where a reload may have
    /// brought another.
    calendar_day: Option<i64>,
}

/// What a cycle is asked to look at.
pub struct Question<'a> {
    /// The policy in force.
    pub policy: &'a Policy,
    /// Models named by the operator.
    pub models: &'a BTreeMap<ServiceName, ModelKind>,
    /// The calendars and events.
    pub calendars: &'a Calendars,
    /// The clouds.
    pub providers: &'a Providers,
    /// What was known after the last cycle.
    pub memory: &'a Memory,
    /// When the last cycle looked.
    pub last_taken_at: Option<Timestamp>,
    /// Now.
    pub taken_at: Timestamp,
    /// When what is not there counts as unread.
    pub deadline: Deadline,
    /// What became of orders since the last cycle.
    pub outcomes: &'a BTreeMap<ServiceName, Vec<OrderOutcome>>,
    /// When we gave orders lately.
    pub ours: &'a BTreeMap<ServiceName, Vec<Timestamp>>,
}

/// What a cycle saw.
pub struct Gathered {
    /// By service.
    pub observations: BTreeMap<ServiceName, Observation>,
    /// New and corrected samples, for the journal.
    pub samples: Vec<SampleBatch>,
}

impl Watched {
    /// Gives the demand the calendar of today. What was fitted under another one, before a reload,
    /// is forgotten: its features meant something else.
    fn follow_calendar(&mut self, name: &ServiceName, question: &Question<'_>) {
        let today = question.taken_at.0.div_euclid(86_400);
        if self.calendar_day == Some(today) {
            return;
        }
        let calendar = question.calendars.around(name, question.taken_at);
        if self.calendar_day.is_none() && self.demand.calendar() != &calendar {
            let model = question.models.get(name).copied().unwrap_or_default();
            self.forecaster = ServiceForecaster::new(self.demand.step(), model);
        }
        self.demand.set_calendar(calendar);
        self.calendar_day = Some(today);
    }
}

impl Observer {
    /// Takes in a sample from the journal.
    pub fn restore(&mut self, query: &MetricQuery, sample: Sample) {
        self.store.restore(query, sample);
    }

    /// Asks everything that `question` needs, and builds the observations.
    pub async fn gather(&mut self, question: &Question<'_>) -> Gathered {
        self.follow(question);
        // An activity that ended before the last cycle is not looked at again.
        self.launches_seen.retain(|_, ended| question.last_taken_at.is_none_or(|at| *ended > at));
        let asking = async { tokio::join!(read_groups(question), self.read_metrics(question)) };
        let (groups, samples) = asking.instrument(info_span!(target: SPANS, "gather")).await;
        let forecasting = info_span!(target: SPANS, "forecast");
        let observations = forecasting.in_scope(|| self.follow_up(groups, question));
        Gathered { observations, samples }
    }

    /// Brings series and models up to what has come, and puts together what is known of each service.
    fn follow_up(
        &mut self,
        groups: BTreeMap<GroupRef, Result<GroupState, Fault>>,
        question: &Question<'_>,
    ) -> BTreeMap<ServiceName, Observation> {
        for (name, service) in &question.policy.services {
            let settling = self.settling(service, question);
            self.bring_up_to_date(name, service, settling, question);
        }
        self.refit(question);
        let mut observations = BTreeMap::new();
        for (name, service) in &question.policy.services {
            let group = groups.get(&service.pool.group).cloned().unwrap_or_else(|| {
                Err(unasked(&format!(
                    "provider `{}` is not configured",
                    service.pool.group.provider
                )))
            });
            let observation = self.observe(name, service, group, question);
            observations.insert(name.clone(), observation);
        }
        self.store.forget(question.taken_at);
        observations
    }

    /// Adds services that are new in the policy, drops those that are gone.
    fn follow(&mut self, question: &Question<'_>) {
        let services = &question.policy.services;
        self.services.retain(|name, watched| {
            services.get(name).is_some_and(|s| demand_step(s) == watched.demand.step())
        });
        for (name, service) in services {
            let step = demand_step(service);
            let model = question.models.get(name).copied().unwrap_or_default();
            self.services.entry(name.clone()).or_insert_with(|| Watched {
                demand: Series::new(step),
                forecaster: ServiceForecaster::new(step, model),
                changed_from: None,
                complete: false,
                calendar_day: None,
            });
        }
        let wanted: BTreeSet<MetricKey> =
            services.values().flat_map(ServicePolicy::metrics).map(MetricQuery::key).collect();
        self.store.retain(&|key| wanted.contains(key));
    }

    async fn read_metrics(&mut self, question: &Question<'_>) -> Vec<SampleBatch> {
        let mut answers = JoinSet::new();
        for ((provider, from), asked) in self.metric_batches(question) {
            let Some(provider) = question.providers.get(&provider).cloned() else {
                for query in &asked {
                    let fault =
                        unasked(&format!("provider `{}` is not configured", query.provider));
                    self.store.failed(query, fault);
                }
                continue;
            };
            let (to, deadline) = (question.taken_at, question.deadline);
            let asking = async move {
                let samples = provider.metrics().samples(&asked, from, to, deadline).await;
                (asked, samples)
            };
            answers.spawn(asking.in_current_span());
        }
        let mut batches = Vec::new();
        while let Some(answer) = answers.join_next().await {
            let Ok((asked, samples)) = answer else { continue };
            for (query, samples) in asked.iter().zip(samples) {
                batches.extend(self.take(query, samples, question));
            }
        }
        batches.sort_by(|a, b| a.metric.cmp(&b.metric));
        batches
    }

    fn take(
        &mut self,
        query: &MetricQuery,
        samples: Result<Vec<Sample>, Fault>,
        question: &Question<'_>,
    ) -> Option<SampleBatch> {
        let samples = match samples {
            Ok(samples) => samples,
            Err(fault) => {
                self.store.failed(query, fault);
                return None;
            }
        };
        let first = !self.store.is_back_filled(query);
        let news = if first {
            self.store.back_fill(query, &samples)
        } else {
            self.store.take(query, &samples)
        };
        let oldest = news.iter().map(|sample| sample.start).min()?;
        let key = query.key();
        for (name, service) in &question.policy.services {
            let Some(watched) = self.services.get_mut(name) else { continue };
            if service.metrics().any(|used| used.key() == key) {
                let from = watched.changed_from.map_or(oldest, |known| known.min(oldest));
                watched.changed_from = Some(from);
                watched.complete &= !first;
            }
        }
        Some(SampleBatch { metric: key, seen_at: question.taken_at, samples: news })
    }

    /// Every metric once, by source and by the stamp to read from.
    fn metric_batches(
        &self,
        question: &Question<'_>,
    ) -> BTreeMap<(ProviderName, Timestamp), Vec<MetricQuery>> {
        let mut asked = BTreeSet::new();
        let mut batches: BTreeMap<_, Vec<MetricQuery>> = BTreeMap::new();
        for query in question.policy.services.values().flat_map(ServicePolicy::metrics) {
            if asked.insert(query.key()) {
                let from = self.read_from(query, question);
                batches.entry((query.provider.clone(), from)).or_default().push(query.clone());
            }
        }
        batches
    }

    /// The whole history at first; afterwards the last periods again. Metrics that are up to date
    /// share one stamp, so that they share calls.
    fn read_from(&self, query: &MetricQuery, question: &Question<'_>) -> Timestamp {
        let now = question.taken_at.floor_to(query.period);
        let periods = |count: u64| Seconds(query.period.span().0 * count);
        let newest = self.store.newest(query).filter(|_| self.store.is_back_filled(query));
        match newest {
            Some(newest) => {
                let regular = now - periods(READ_AGAIN_PERIODS + 4);
                regular.min(newest - periods(READ_AGAIN_PERIODS - 1))
            }
            None => {
                let kept = question
                    .providers
                    .get(&query.provider)
                    .map_or(Seconds::days(1), |p| p.metrics().keeps(query).history);
                now - kept.min(store::history(query.period))
            }
        }
    }

    fn bring_up_to_date(
        &mut self,
        name: &ServiceName,
        service: &ServicePolicy,
        settling: Seconds,
        question: &Question<'_>,
    ) {
        let now = question.taken_at;
        let Some(watched) = self.services.get_mut(name) else { return };
        let step = watched.demand.step();
        let settled_until = (now - settling).floor_to(step);
        if !watched.complete {
            let calendar = watched.demand.calendar().clone();
            watched.demand = Series::new(step);
            watched.demand.set_calendar(calendar);
        }
        let from = if watched.complete {
            let lately = settled_until - step.span();
            Some(watched.changed_from.map_or(lately, |from| from.min(lately)))
        } else {
            None
        };
        self.store.refresh(&mut watched.demand, service, from, settled_until);
        watched.complete = true;
        watched.changed_from = None;
        let keep = store::history(step);
        if now.since(watched.demand.start()) > keep + Seconds::days(1) {
            watched.demand.drop_before(now - keep);
        }
        watched.follow_calendar(name, question);
        watched.forecaster.observe(&watched.demand);
    }

    /// After a reload each service's calendar is looked up anew.
    pub fn look_up_calendars(&mut self) {
        self.services.values_mut().for_each(|watched| watched.calendar_day = None);
    }

    /// Makes models anew where enough new samples have come, worst first.
    fn refit(&mut self, question: &Question<'_>) {
        let mut due: Vec<(u64, ServiceName)> = self
            .services
            .iter()
            .filter_map(|(name, watched)| {
                Some((watched.forecaster.refit_due(&watched.demand)?, name.clone()))
            })
            .collect();
        due.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        for (_, name) in due.into_iter().take(REFITS_PER_CYCLE) {
            let (Some(service), Some(watched)) =
                (question.policy.services.get(&name), self.services.get_mut(&name))
            else {
                continue;
            };
            let window = planner::window(
                &service.pool,
                question.memory.services.get(&name),
                question.policy.poll_interval,
                settling(watched.demand.step()),
            );
            let refitted = window
                .steps(watched.demand.step())
                .and_then(|windows| watched.forecaster.refit(&watched.demand, windows));
            // What makes a series unusable is told to people when it is to be forecast.
            if let Err(fault) = refitted {
                tracing::debug!(service = %name, %fault, "no model could be made");
            }
        }
    }

    fn observe(
        &mut self,
        name: &ServiceName,
        service: &ServicePolicy,
        group: Result<GroupState, Fault>,
        question: &Question<'_>,
    ) -> Observation {
        let lead_times =
            group.as_ref().map(|state| self.new_lead_times(state, question)).unwrap_or_default();
        let ours = question.ours.get(name).map(Vec::as_slice).unwrap_or_default();
        let group =
            group.map(|state| GroupView::of(&state, question.taken_at, service.pool.warm_up, ours));
        let (demand, window) = self.demand_view(name, service, question);
        let forecast = self.forecast(name, window);
        let signals = self.signals(service, group.as_ref().ok(), question.taken_at);
        let outcomes = question.outcomes.get(name).cloned().unwrap_or_default();
        Observation { group, demand, forecast, signals, outcomes, lead_times }
    }

    /// Ordered to in service, of launches that ended since the last cycle.
    fn new_lead_times(&mut self, state: &GroupState, question: &Question<'_>) -> Vec<Seconds> {
        let mut found = Vec::new();
        for activity in state.activities.iter().rev() {
            let Some(ended) = activity.ended_at else { continue };
            let launched = activity.kind == ActivityKind::Launch
                && activity.status == ActivityStatus::Successful;
            let new = question.last_taken_at.is_none_or(|last| ended > last);
            if launched && new && self.launches_seen.insert(activity.id.clone(), ended).is_none() {
                found.push(ended.since(activity.started_at));
            }
        }
        found
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

    fn settling(&self, service: &ServicePolicy, question: &Question<'_>) -> Seconds {
        service
            .demand
            .iter()
            .filter_map(|query| {
                let provider = question.providers.get(&query.provider)?;
                Some(provider.metrics().keeps(query).settling)
            })
            .max()
            .unwrap_or_else(|| settling(demand_step(service)))
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

/// The groups of all services, each asked once, all providers at the same time.
async fn read_groups(question: &Question<'_>) -> BTreeMap<GroupRef, Result<GroupState, Fault>> {
    let mut wanted: BTreeMap<ProviderName, BTreeSet<GroupRef>> = BTreeMap::new();
    for service in question.policy.services.values() {
        let group = service.pool.group.clone();
        wanted.entry(group.provider.clone()).or_default().insert(group);
    }
    let mut answers = JoinSet::new();
    for (provider, groups) in wanted {
        let Some(provider) = question.providers.get(&provider).cloned() else { continue };
        let deadline = question.deadline;
        let asking = async move {
            let groups: Vec<GroupRef> = groups.into_iter().collect();
            let states = provider.inventory().groups(&groups, deadline).await;
            groups.into_iter().zip(states).collect::<Vec<_>>()
        };
        answers.spawn(asking.in_current_span());
    }
    let mut read = BTreeMap::new();
    while let Some(answer) = answers.join_next().await {
        read.extend(answer.into_iter().flatten());
    }
    read
}

fn unasked(why: &str) -> Fault {
    Fault {
        kind: FaultKind::Unreachable,
        operation: "read".to_owned(),
        detail: why.to_owned(),
        request_id: None,
    }
}

/// How long an interval may still change, where the source does not say: two periods.
fn settling(step: planner::Step) -> Seconds {
    step.span() + step.span()
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

#[cfg(test)]
mod tests {
    use super::*;
    use forecaster::{Step, Windows};
    use std::time::Duration;

    const CONFIG: &str = r#"
[provider.sim]
kind = "sim"
[calendar.cn]
timezone = "Asia/Shanghai"
holidays = "CN"
[[service]]
name = "shop"
calendar = "cn"
demand = [{ namespace = "A", metric = "M", when_missing = "zero" }]
[[service.pool]]
group = "shop"
capacity_per_unit = 5
"#;

    /// Moves `watched` on to a time, under a configuration's calendars.
    fn follow(watched: &mut Watched, text: &str, at: Timestamp) {
        let config = crate::settings::parse("neap.toml", text).unwrap();
        let question = Question {
            policy: &config.policy,
            models: &BTreeMap::new(),
            calendars: &Calendars::of(&config),
            providers: &Providers::new(),
            memory: &Memory::default(),
            last_taken_at: None,
            taken_at: at,
            deadline: Deadline::within(Duration::from_secs(1)),
            outcomes: &BTreeMap::new(),
            ours: &BTreeMap::new(),
        };
        watched.follow_calendar(&ServiceName::new("shop").unwrap(), &question);
    }

    #[test]
    fn a_new_calendar_makes_a_new_model_and_a_new_day_does_not() {
        let (start, hour) = (Timestamp(1_772_409_600), Step::new(3600).unwrap());
        let values = (0..200).map(|i| Some(f64::from(i % 24)));
        let mut watched = Watched {
            demand: Series::from_values(start, hour, values).unwrap(),
            forecaster: ServiceForecaster::new(hour, ModelKind::LastValue),
            changed_from: None,
            complete: true,
            calendar_day: None,
        };
        let mut now = start + Seconds::days(9);
        follow(&mut watched, CONFIG, now);
        assert!(!watched.demand.calendar().is_empty());
        watched.forecaster.refit(&watched.demand, Windows::new(1, 1, 2).unwrap()).unwrap();
        let before = watched.demand.calendar().clone();
        now = now + Seconds::days(1);
        follow(&mut watched, CONFIG, now);
        assert_ne!(watched.demand.calendar(), &before, "another day's");
        watched.calendar_day = None;
        follow(&mut watched, CONFIG, now);
        assert_eq!(watched.forecaster.revision(), 1, "a reload that changed no calendar");
        watched.calendar_day = None;
        follow(&mut watched, &CONFIG.replace("Asia/Shanghai", "Asia/Tokyo"), now);
        assert_eq!(watched.forecaster.revision(), 0, "a reload that did");
    }
}
