//! What the page shows without asking anybody: the newest cycle and look, and the day behind them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ::journal::records::Explanation;
use ::journal::{CycleId, CycleRecord, JournalFault, Reader};
use alerts::Tally;
use fleet::calls::{Calls, Operation};
use fleet::{Change, ProviderName, RuleName, Seconds, ServiceName, Timestamp};
use planner::plan::{Action, Finding};
use planner::policy::{Mode, Policy};
use planner::snapshot::Undiscovered;
use planner::snapshot::{Observation, OrderResult, ReducedForecast, Snapshot};
use planner::{Memory, Milli};
use report::Reason;
use shadow::{Offer, RuleOffer, RuleScores, Scores, capacity};

use report::Turn;
use report::money::Money;

use super::metrics::totals::{Account, Totals};

/// How far back charts go.
pub const DAY: Seconds = Seconds::days(1);
/// The newest cycle in each stretch of this length is kept.
const POINT_EVERY: Seconds = Seconds::minutes(5);
/// Decisions kept of a service.
const DECISIONS_MAX: usize = 200;

/// The newest cycle.
pub struct Latest {
    /// What was seen, decided and done.
    pub turn: Turn,
    /// What was in force.
    pub policy: Arc<Policy>,
    /// What a unit carries, in demand per second, where that is known.
    pub capacity: BTreeMap<ServiceName, f64>,
    /// Whether each service's orders are carried out.
    pub modes: BTreeMap<ServiceName, Mode>,
    /// How far services are that wait to be promoted, or were.
    pub offers: BTreeMap<ServiceName, Offer>,
    /// The same of idle rules and schedules.
    pub rule_offers: BTreeMap<RuleName, RuleOffer>,
    /// What the fleet costs, and what was saved.
    pub money: Money,
    /// When the next cycle begins.
    pub next: Timestamp,
    pub took: Duration,
    /// When it ended, by the machine's own clock.
    pub ended: Instant,
    /// Orders without a known end.
    pub unresolved: usize,
    /// What became of calls since the daemon's start.
    pub calls: BTreeMap<ProviderName, BTreeMap<Operation, Calls>>,
    /// Metrics read since then.
    pub metrics_read: BTreeMap<ProviderName, u64>,
    /// How the promise of each service was kept.
    pub accounts: BTreeMap<ServiceName, Account>,
}

impl Latest {
    /// Whether orders of a service are carried out.
    pub fn mode(&self, service: &ServiceName) -> Mode {
        self.modes.get(service).copied().unwrap_or_default()
    }

    /// The story of a service; how its promise is kept is told with actions only.
    pub fn explain(&self, service: &ServiceName) -> Explanation {
        let known = (&*self.policy, &Memory::default());
        let turn = &self.turn;
        Explanation::new(service, &turn.snapshot, &turn.plan, known).writing(&self.policy)
    }

    /// What was decided for a service.
    pub fn action(&self, service: &ServiceName) -> Option<&Action> {
        self.turn.plan.actions.iter().find(|action| &action.service == service)
    }

    /// What was found of a service.
    pub fn findings(&self, service: &ServiceName) -> impl Iterator<Item = &Finding> {
        let of = move |finding: &&Finding| finding.service.as_ref() == Some(service);
        self.turn.plan.findings.iter().filter(of)
    }
}

/// A service at one moment: what was known then, as it was known then.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub at: Timestamp,
    /// Demand per second in the newest settled interval.
    pub demand: Option<f32>,
    /// Demand of the next interval at the lowest, middle and highest level.
    pub next: Option<[f32; 3]>,
    /// Highest demand within the lead window at the level in force.
    pub sized_for: Option<f32>,
    /// What a unit carries.
    pub capacity: Option<f32>,
    /// Units in service.
    pub in_service: Option<u32>,
    /// Units ordered.
    pub desired: Option<u32>,
}

/// An order, or what would have been one.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub at: Timestamp,
    pub cycle: CycleId,
    pub change: Change,
    /// Only shown.
    pub dry_run: bool,
    pub reason: Reason,
    /// How it ended, where it was given.
    pub ending: Option<Arc<OrderResult>>,
}

/// A service's last day, and its last decisions.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Oldest first.
    pub points: VecDeque<Point>,
    /// Oldest first.
    pub decisions: VecDeque<Decision>,
}

#[derive(Default)]
struct Shown {
    latest: Option<Arc<Latest>>,
    past: BTreeMap<ServiceName, Past>,
    looks: u64,
    look: Option<LookInBrief>,
    scores: Option<Arc<RwLock<Scores>>>,
    rule_scores: Option<Arc<RwLock<RuleScores>>>,
    totals: Arc<Totals>,
    alerts: Option<Arc<Tally>>,
    undiscovered: Undiscovered,
}

/// The newest look at idle resources, in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LookInBrief {
    pub taken_at: Timestamp,
    /// Idle resources by rule.
    pub matched: BTreeMap<String, u64>,
    /// Resources seen.
    pub seen: u64,
    /// Orders by how they ended.
    pub orders: BTreeMap<&'static str, u64>,
}

/// Where the daemon puts what it did, for whoever looks.
#[derive(Clone, Default)]
pub struct Board(Arc<RwLock<Shown>>);

impl Board {
    /// Takes in a cycle.
    pub fn cycle(&self, latest: Latest) {
        let capacity = |name: &ServiceName| latest.capacity.get(name).copied();
        let seen = Seen {
            id: latest.turn.id,
            snapshot: &latest.turn.snapshot,
            actions: &latest.turn.plan.actions,
            results: &latest.turn.results,
            findings: &latest.turn.plan.findings,
        };
        self.write(|shown| shown.follow(&seen, &capacity));
        self.write(|shown| {
            Arc::make_mut(&mut shown.totals).cycle(&latest);
            shown.latest = Some(Arc::new(latest));
        });
    }

    /// Takes in that a cycle could not be recorded.
    pub fn cycle_failed(&self) {
        self.write(|shown| Arc::make_mut(&mut shown.totals).failed());
    }

    /// Takes in who sends alerts from now on.
    pub fn alerts(&self, tally: Arc<Tally>) {
        self.write(|shown| shown.alerts = Some(tally));
    }

    /// Takes in which places give no answer when groups are looked for.
    pub fn undiscovered(&self, places: Undiscovered) {
        self.write(|shown| shown.undiscovered = places);
    }

    /// Takes in a look.
    pub fn look(&self, look: LookInBrief) {
        self.write(|shown| {
            shown.looks += 1;
            Arc::make_mut(&mut shown.totals).look(&look);
            shown.look = Some(look);
        });
    }

    /// Reads the last day from a journal, as it was before this process began.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn recall(&self, reader: &Reader, until: Timestamp) -> Result<(), JournalFault> {
        let mut before = Shown::default();
        let mut policies = BTreeMap::new();
        for cycle in reader.cycles(until - DAY..until) {
            let cycle = cycle?;
            let policy = match policies.entry(cycle.policy) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(reader.policy(cycle.policy)?.policy),
            };
            let outcomes = reader.outcomes(cycle.id)?;
            let results = results(&cycle, &outcomes);
            let capacity = |name: &ServiceName| capacity(&cycle.memory_after, policy, name);
            let seen = Seen {
                id: cycle.id,
                snapshot: &cycle.snapshot,
                actions: &cycle.plan.actions,
                results: &results,
                findings: &cycle.plan.findings,
            };
            before.follow(&seen, &capacity);
        }
        self.write(|shown| shown.precede(before));
        Ok(())
    }

    /// Takes in where scorecards are kept.
    pub fn score(&self, services: Arc<RwLock<Scores>>, rules: Arc<RwLock<RuleScores>>) {
        self.write(|shown| (shown.scores, shown.rule_scores) = (Some(services), Some(rules)));
    }

    /// The scorecards.
    pub fn scores(&self) -> Option<Arc<RwLock<Scores>>> {
        self.read(|shown| shown.scores.clone())
    }

    /// The scorecards of idle rules and schedules.
    pub fn rule_scores(&self) -> Option<Arc<RwLock<RuleScores>>> {
        self.read(|shown| shown.rule_scores.clone())
    }

    /// The newest cycle.
    pub fn latest(&self) -> Option<Arc<Latest>> {
        self.read(|shown| shown.latest.clone())
    }

    /// The newest look at idle resources.
    pub fn newest_look(&self) -> Option<LookInBrief> {
        self.read(|shown| shown.look.clone())
    }

    /// Looks so far: what was made of one holds until the next.
    pub fn looks(&self) -> u64 {
        self.read(|shown| shown.looks)
    }

    /// What was counted since the start.
    pub fn totals(&self) -> Arc<Totals> {
        self.read(|shown| Arc::clone(&shown.totals))
    }

    /// The places that give no answer when groups are looked for.
    pub fn places_missing(&self) -> Undiscovered {
        self.read(|shown| shown.undiscovered.clone())
    }

    /// What became of alerts.
    pub fn tally(&self) -> Option<Arc<Tally>> {
        self.read(|shown| shown.alerts.clone())
    }

    /// A service's day.
    pub fn past(&self, service: &ServiceName) -> Past {
        self.read(|shown| shown.past.get(service).cloned().unwrap_or_default())
    }

    /// Looks at every service's day in place.
    pub fn pasts<T>(&self, look: impl FnOnce(&BTreeMap<ServiceName, Past>) -> T) -> T {
        self.read(|shown| look(&shown.past))
    }

    fn read<T>(&self, look: impl FnOnce(&Shown) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A cycle, live or from the journal.
struct Seen<'a> {
    id: CycleId,
    snapshot: &'a Snapshot,
    actions: &'a [Action],
    results: &'a [(Action, OrderResult)],
    findings: &'a [Finding],
}

impl Shown {
    fn follow(&mut self, seen: &Seen<'_>, capacity: &dyn Fn(&ServiceName) -> Option<f64>) {
        let at = seen.snapshot.taken_at;
        for (name, observed) in &seen.snapshot.services {
            let past = self.past.entry(name.clone()).or_default();
            past.add(point(at, observed, capacity(name)));
        }
        // Services come and go with their groups: what is older than any chart is nobody's.
        self.past.retain(|_, past| past.points.back().is_none_or(|last| at.since(last.at) <= DAY));
        let acted = seen.actions.iter().map(|action| (&action.service, &action.sizing));
        let found = seen.findings.iter().filter_map(|f| f.service.as_ref().zip(f.sizing.as_ref()));
        for (name, sizing) in acted.chain(found) {
            let past = self.past.get_mut(name).and_then(|past| past.points.back_mut());
            if let (Some(point), Some(milli)) = (past, sizing.sized_for_milli) {
                point.sized_for = Some(milli.a_second() as f32);
            }
        }
        for action in seen.actions {
            let ended = seen.results.iter().find(|(done, _)| done.service == action.service);
            let past = self.past.entry(action.service.clone()).or_default();
            past.decisions.push_back(Decision {
                at,
                cycle: seen.id,
                change: action.change,
                dry_run: action.dry_run,
                reason: Reason::of(&action.sizing),
                ending: ended.map(|(_, result)| shared(result)),
            });
            while past.decisions.len() > DECISIONS_MAX {
                past.decisions.pop_front();
            }
        }
    }

    /// Puts what was before this process in front of what it did since.
    fn precede(&mut self, before: Shown) {
        for (name, mut past) in before.past {
            let since = self.past.entry(name).or_default();
            let first = since.points.front().map(|point| point.at);
            past.points.retain(|point| first.is_none_or(|first| point.at < first));
            let first = since.decisions.front().map(|decision| decision.at);
            past.decisions.retain(|decision| first.is_none_or(|first| decision.at < first));
            past.points.append(&mut since.points);
            past.decisions.append(&mut since.decisions);
            *since = past;
        }
    }
}

/// Nearly all orders end the same way: that is kept once.
fn shared(result: &OrderResult) -> Arc<OrderResult> {
    static APPLIED: LazyLock<Arc<OrderResult>> = LazyLock::new(|| Arc::new(OrderResult::Applied));
    match result {
        OrderResult::Applied => Arc::clone(&APPLIED),
        other => Arc::new(other.clone()),
    }
}

impl Past {
    /// Takes the place of a point of the same stretch.
    fn add(&mut self, point: Point) {
        let stretch = |at: Timestamp| at.0.div_euclid(POINT_EVERY.0.cast_signed());
        if self.points.back().is_some_and(|last| stretch(last.at) == stretch(point.at)) {
            self.points.pop_back();
        }
        let from = point.at - DAY;
        self.points.push_back(point);
        while self.points.front().is_some_and(|first| first.at < from) {
            self.points.pop_front();
        }
    }

    /// The share of unit-hours that the size of the day's peak would have cost more.
    pub fn saved_against_peak(&self) -> Option<f64> {
        let sizes: Vec<u32> = self.points.iter().filter_map(|point| point.in_service).collect();
        let peak = f64::from(*sizes.iter().max().filter(|peak| **peak > 0)?);
        let mean = sizes.iter().copied().map(f64::from).sum::<f64>() / sizes.len() as f64;
        Some(1.0 - mean / peak)
    }
}

/// Demand of the next interval at the lowest, middle and highest level, in thousandths.
pub(super) fn band(forecast: &ReducedForecast) -> Option<[Milli; 3]> {
    let levels = &forecast.next_milli;
    let middle = levels.get(forecast.levels.iter().position(|l| l.get() >= 0.5)?)?;
    Some([*levels.first()?, *middle, *levels.last()?])
}

fn point(at: Timestamp, seen: &Observation, capacity: Option<f64>) -> Point {
    let group = seen.group.as_ref().ok();
    let next = seen.forecast.as_ref().ok().and_then(band);
    let next = next.map(|levels| levels.map(|milli| milli.a_second() as f32));
    Point {
        at,
        demand: seen.demand.settled.map(|point| point.value as f32),
        next,
        sized_for: None,
        capacity: capacity.map(|capacity| capacity as f32),
        in_service: group.map(|group| group.in_service.0),
        desired: group.map(|group| group.desired.0),
    }
}

fn results(cycle: &CycleRecord, outcomes: &[::journal::Outcome]) -> Vec<(Action, OrderResult)> {
    let ended = |index: usize| {
        let id = cycle.id.decision(index);
        outcomes.iter().rfind(|outcome| outcome.id == id).map(|outcome| outcome.result.clone())
    };
    let actions = cycle.plan.actions.iter().enumerate();
    actions.filter_map(|(index, action)| Some((action.clone(), ended(index)?))).collect()
}
