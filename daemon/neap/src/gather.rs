//! Asks providers and metric sources, and builds the snapshot.
//!
//! What could not be read is part of the snapshot, by service: nothing here fails.

pub(crate) mod deployments;
mod launches;
pub(crate) mod masters;
mod observe;
mod past;
pub(crate) mod policies;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use config::calendars::{Calendars, HoursNow};
use fleet::group::{GroupState, Instance, Lifecycle};
use fleet::metric::{MetricKey, MetricQuery, Sample};
use fleet::{Fault, FaultKind, GroupRef, ProviderName, Seconds, ServiceName, Step, Timestamp};
use forecaster::{ModelKind, Series, ServiceForecaster};
use journal::SampleBatch;
use planner::Memory;
use planner::idle::schedule::Span;
use planner::memory::AWAY_KEPT;
use planner::policy::{Policy, ServicePolicy};
use planner::snapshot::{Observation, OrderOutcome};
use providers::traced::{SPANS, Traced};
use providers::{Deadline, Provider};
use tracing::{Instrument, info_span};

use crate::store::{self, Store, demand_step};
use launches::Launches;
use read::read_groups;

/// The configured clouds by name, each with its deadline enforced and its calls counted.
pub type Providers = BTreeMap<ProviderName, Traced>;

/// Models made anew in one cycle at most, worst first, so that a start does not hold up decisions.
const REFITS_PER_CYCLE: usize = 16;

/// Units that are missing in two cycles so far apart are taken to have been missing between them.
const SHORT_BETWEEN: Seconds = Seconds::minutes(15);

/// Services that are away and whose samples are held all the same: a fleet that makes its groups anew
/// with each release must not fill the memory. What is dropped is read again from its source.
const AWAY_HELD_MAX: usize = 200;

/// What is kept of each service between cycles; all of it can be made again from the journal.
#[derive(Default)]
pub struct Observer {
    store: Store,
    services: BTreeMap<ServiceName, Watched>,
    /// How long launches take.
    launches: Launches,
    /// What the cloud said of each service's newest launch, where that failed.
    failed_launches: BTreeMap<ServiceName, String>,
    /// Services whose members somebody wants to know of, and those of the last cycle.
    members_wanted: BTreeSet<ServiceName>,
    members: BTreeMap<ServiceName, Vec<Instance>>,
}

struct Watched {
    /// What its samples are of.
    metrics: BTreeSet<MetricKey>,
    /// When it was last in the policy.
    last_at: Timestamp,
    demand: Series,
    forecaster: ServiceForecaster,
    changed_from: Option<Timestamp>,
    /// The demand series has everything that the store has.
    complete: bool,
    /// The starts of intervals in which units were missing.
    short: BTreeSet<Timestamp>,
    /// How large its group was.
    sizes: past::Sizes,
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
    /// What the hours of services ask for around now.
    pub hours: HoursNow<'a>,
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
        self.launches.forget(question.last_taken_at);
        self.launches.retain(|name| question.policy.services.contains_key(name));
        let asking = async { tokio::join!(read_groups(question), self.read_metrics(question)) };
        let gathering = info_span!(target: SPANS, "gather");
        let (groups, mut samples) = asking.instrument(gathering.clone()).await;
        self.read_sizes(&groups, question).instrument(gathering).await;
        samples.extend(self.count_busy_units(&groups, question));
        samples.sort_by(|a, b| a.metric.cmp(&b.metric));
        let forecasting = info_span!(target: SPANS, "forecast");
        let observations = forecasting.in_scope(|| self.follow_up(groups, question));
        Gathered { observations, samples }
    }

    /// The members of these services are kept in the next cycle.
    pub fn want_members(&mut self, wanted: BTreeSet<ServiceName>) {
        self.members_wanted = wanted;
    }

    /// Members in service of the services that were asked for, where their groups could be read.
    pub fn take_members(&mut self) -> BTreeMap<ServiceName, Vec<Instance>> {
        self.members_wanted.clear();
        std::mem::take(&mut self.members)
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
                let provider = &service.pool.group.provider;
                Err(unasked("read", &format!("provider `{provider}` is not configured")))
            });
            if let Ok(state) = &group
                && self.members_wanted.contains(name)
            {
                let serving = |one: &&Instance| one.lifecycle == Lifecycle::InService;
                let members = state.instances.iter().filter(serving).cloned().collect();
                self.members.insert(name.clone(), members);
            }
            let observation = self.observe(name, service, group, question);
            self.note_short(name, service, &observation, question);
            observations.insert(name.clone(), observation);
        }
        self.store.forget(question.taken_at);
        observations
    }

    /// Where units are missing, what comes of the time since the last cycle is a lower bound.
    fn note_short(
        &mut self,
        name: &ServiceName,
        service: &ServicePolicy,
        seen: &Observation,
        question: &Question<'_>,
    ) {
        let now = question.taken_at;
        let known = question.memory.services.get(name);
        if !known.is_some_and(|own| planner::is_short(now, service, seen, own)) {
            return;
        }
        let Some(watched) = self.services.get_mut(name) else { return };
        let step = watched.demand.step();
        let mut start = question.last_taken_at.map_or(now, |last| last.min(now)).floor_to(step);
        // What was between two cycles far apart nobody knows.
        start = start.max((now - SHORT_BETWEEN).floor_to(step));
        while start <= now {
            watched.short.insert(start);
            start = start + step.span();
        }
    }

    /// Adds services that are new in the policy, and drops those that have been away for long.
    fn follow(&mut self, question: &Question<'_>) {
        let (services, now) = (&question.policy.services, question.taken_at);
        let mut away = 0;
        self.services.retain(|name, watched| match services.get(name) {
            Some(service) => demand_step(service) == watched.demand.step(),
            None => {
                let is_held = now.since(watched.last_at) <= AWAY_KEPT;
                away += usize::from(is_held);
                is_held
            }
        });
        if away > AWAY_HELD_MAX {
            self.drop_away(|name| !services.contains_key(name));
        }
        for (name, service) in services {
            let metrics: BTreeSet<MetricKey> = service.held().map(MetricQuery::key).collect();
            let step = demand_step(service);
            let model = question.models.get(name).copied().unwrap_or_default();
            let watched = self.services.entry(name.clone()).or_insert_with(|| Watched {
                metrics: BTreeSet::new(),
                last_at: now,
                demand: Series::new(step),
                forecaster: ServiceForecaster::new(step, model),
                changed_from: None,
                complete: false,
                short: BTreeSet::new(),
                sizes: past::Sizes::default(),
                calendar_day: None,
            });
            watched.last_at = now;
            // What was measured otherwise before is another series.
            watched.complete &= watched.metrics == metrics;
            watched.metrics = metrics;
        }
        let services = self.services.values();
        let wanted: BTreeSet<&MetricKey> = services.flat_map(|watched| &watched.metrics).collect();
        self.store.retain(&|key| wanted.contains(key));
    }

    /// Of the services that are away, drops those that have been away longest: there are too many.
    fn drop_away(&mut self, is_away: impl Fn(&ServiceName) -> bool) {
        let away = self.services.iter().filter(|(name, _)| is_away(name));
        let mut away: Vec<(Timestamp, ServiceName)> =
            away.map(|(name, watched)| (watched.last_at, name.clone())).collect();
        away.sort_by(|a, b| b.cmp(a));
        for (_, name) in away.iter().skip(AWAY_HELD_MAX) {
            self.services.remove(name);
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
        let covers = Span { from: from.unwrap_or(now - store::history(step)), until: now };
        let closed = question.calendars.closed(name, covers);
        let (demand, short) = (&mut watched.demand, &watched.short);
        self.store.refresh_open(demand, service, from, settled_until, short, &closed);
        watched.complete = true;
        watched.changed_from = None;
        let keep = store::history(step);
        if now.since(watched.demand.start()) > keep + Seconds::days(1) {
            watched.demand.drop_before(now - keep);
            watched.short.retain(|start| *start >= now - keep);
        }
        watched.follow_calendar(name, question);
        watched.forecaster.observe(&watched.demand);
    }

    /// What the cloud said of each service's newest launch, where that failed.
    pub fn failed_launches(&self) -> &BTreeMap<ServiceName, String> {
        &self.failed_launches
    }

    /// After a reload each service's calendar is looked up anew, and so is that of a service whose
    /// template is another one by now.
    pub fn look_up_calendars(&mut self, is_another: impl Fn(&ServiceName) -> bool) {
        for (name, watched) in &mut self.services {
            if is_another(name) {
                watched.calendar_day = None;
            }
        }
    }

    /// Makes the series of a service anew whose hours are others by now: what is demand in it is another.
    pub fn make_anew(&mut self, is_another: impl Fn(&ServiceName) -> bool) {
        for (name, watched) in &mut self.services {
            watched.complete &= !is_another(name);
        }
    }

    /// Makes models anew where enough new samples have come, worst first.
    fn refit(&mut self, question: &Question<'_>) {
        let mut due: Vec<(u64, ServiceName)> = self
            .services
            .iter()
            .filter_map(|(name, watched)| {
                let due = watched.forecaster.refit_due(&watched.demand)?;
                question.policy.services.contains_key(name).then(|| (due, name.clone()))
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

    fn settling(&self, service: &ServicePolicy, question: &Question<'_>) -> Seconds {
        service
            .demand
            .iter()
            .filter_map(|query| {
                // What is made of utilisation settles as that does.
                let query =
                    service.utilisation.as_ref().filter(|_| query.is_made()).unwrap_or(query);
                let provider = question.providers.get(&query.provider)?;
                Some(provider.metrics().keeps(query).settling)
            })
            .max()
            .unwrap_or_else(|| settling(demand_step(service)))
    }
}

/// What `operation` would have answered was not asked for, or the answer is lost.
pub(crate) fn unasked(operation: &str, why: &str) -> Fault {
    Fault {
        kind: FaultKind::Unreachable,
        operation: operation.to_owned(),
        detail: why.to_owned(),
        request_id: None,
    }
}

/// How long an interval may still change, where the source does not say: two periods.
fn settling(step: Step) -> Seconds {
    step.span() + step.span()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::Step;
    use forecaster::Windows;
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

    /// Asks something of a policy's services at a time, with nothing known and nobody to ask.
    fn ask<T>(
        policy: &Policy,
        calendars: &Calendars,
        at: Timestamp,
        what: impl FnOnce(&Question<'_>) -> T,
    ) -> T {
        what(&Question {
            policy,
            models: &BTreeMap::new(),
            calendars,
            hours: calendars.hours_at(at),
            providers: &Providers::new(),
            memory: &Memory::default(),
            last_taken_at: None,
            taken_at: at,
            deadline: Deadline::within(Duration::from_secs(1)),
            outcomes: &BTreeMap::new(),
            ours: &BTreeMap::new(),
        })
    }

    /// Moves `watched` on to a time, under a configuration's calendars.
    fn follow(watched: &mut Watched, text: &str, at: Timestamp) {
        let config = crate::settings::parse("neap.toml", text).unwrap();
        let shop = ServiceName::new("shop").unwrap();
        let calendars = Calendars::of(&config);
        ask(&config.policy, &calendars, at, |question| watched.follow_calendar(&shop, question));
    }

    #[test]
    fn a_new_calendar_makes_a_new_model_and_a_new_day_does_not() {
        let (start, hour) = (Timestamp(1_772_409_600), Step::new(3600).unwrap());
        let values = (0..200).map(|i| Some(f64::from(i % 24)));
        let mut watched = Watched {
            metrics: BTreeSet::new(),
            last_at: start,
            demand: Series::from_values(start, hour, values).unwrap(),
            forecaster: ServiceForecaster::new(hour, ModelKind::LastValue),
            changed_from: None,
            complete: true,
            short: BTreeSet::new(),
            sizes: past::Sizes::default(),
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

    /// Looks at a policy's services at a time, without asking anybody.
    fn look(observer: &mut Observer, policy: &Policy, at: Timestamp) {
        ask(policy, &Calendars::default(), at, |question| observer.follow(question));
    }

    #[test]
    fn what_is_away_is_held_for_a_week_and_no_more_of_it_than_fits() {
        let start = Timestamp(1_772_409_600);
        let shop = ServiceName::new("shop").unwrap();
        let policy = crate::settings::parse("neap.toml", CONFIG).unwrap().policy;
        let mut empty = policy.clone();
        empty.services.clear();
        let mut observer = Observer::default();
        look(&mut observer, &policy, start);
        let query = policy.services[&shop].demand[0].clone();
        observer.restore(&query, Sample { start, value: 7.0 });
        observer.services.get_mut(&shop).unwrap().complete = true;
        look(&mut observer, &empty, start + AWAY_KEPT);
        assert_eq!(observer.store.newest(&query), Some(start), "its samples are held");
        look(&mut observer, &policy, start + AWAY_KEPT);
        assert!(observer.services[&shop].complete, "it goes on as it was");
        // With another metric its series is made anew.
        let mut other = policy.clone();
        other.services.get_mut(&shop).unwrap().demand[0].metric = "N".to_owned();
        look(&mut observer, &other, start + AWAY_KEPT);
        assert!(!observer.services[&shop].complete);
        look(&mut observer, &empty, start + AWAY_KEPT + AWAY_KEPT + Seconds(1));
        assert!(observer.services.is_empty() && observer.store.newest(&query).is_none());
        // A fleet whose groups are made anew with each release.
        for n in 0..AWAY_HELD_MAX + 50 {
            let name = ServiceName::new(format!("web-{n:04}")).unwrap();
            let mut next = empty.clone();
            next.services.insert(name, policy.services[&shop].clone());
            look(&mut observer, &next, start + Seconds(n as u64));
            assert!(observer.services.len() <= AWAY_HELD_MAX + 1);
        }
        let oldest = observer.services.keys().next().unwrap();
        assert_eq!(oldest.as_str(), "web-0049", "those that went last are held");
    }
}
