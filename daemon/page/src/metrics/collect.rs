//! What is known, as series of the catalogue.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fleet::ServiceName;
use fleet::calls::{Calls, LATENCY_BOUNDS_MS};
use planner::plan::Sizing;
use planner::policy::Mode;
use planner::snapshot::{Disk, KillSwitch, Observation};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::exemplar::Exemplar;

use super::catalogue::{self as all, Metric};
use super::totals::{CYCLE_BOUNDS, ORDER_WORDS, POWER_WORDS, Totals};
use crate::board::{Latest, LookInBrief, band};

/// What a scrape is answered from.
#[derive(Clone, Default)]
pub struct Scrape {
    /// The newest cycle.
    pub latest: Option<Arc<Latest>>,
    /// What was counted since the start.
    pub totals: Arc<Totals>,
    /// The newest look at idle resources.
    pub look: Option<LookInBrief>,
    /// When the newest cycle ended, by this machine's clock, in seconds since 1970.
    pub ended_at: Option<f64>,
    /// What the journal takes on disk.
    pub journal_bytes: Option<u64>,
    /// Places that give no answer when groups are looked for.
    pub places_missing: u64,
    /// Alerts by channel.
    pub channels: BTreeMap<String, ChannelCounts>,
}

/// What became of a channel's alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelCounts {
    pub sent: u64,
    pub given_up: u64,
    /// Attempts that the receiver did not take.
    pub failed: u64,
    /// In the outbox.
    pub waiting: u64,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").field("totals", &self.totals).finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        out.info(&all::BUILD, [[env!("CARGO_PKG_VERSION")]])?;
        self.cycles(&mut out)?;
        self.alerts(&mut out)?;
        self.idle(&mut out)?;
        out.gauges(&all::JOURNAL_SIZE, self.journal_bytes.map(|bytes| ([], bytes)))?;
        let Some(latest) = &self.latest else { return Ok(()) };
        fleet(latest, &mut out)?;
        out.gauges(&all::PLACES_MISSING, [([], self.places_missing)])?;
        calls(latest, &mut out)?;
        self.services(latest, &mut out)
    }
}

impl Scrape {
    fn cycles(&self, out: &mut Out<'_>) -> fmt::Result {
        let totals = &self.totals;
        out.counters(&all::CYCLES, [([], totals.cycles)])?;
        out.counters(&all::CYCLE_FAILURES, [([], totals.failures)])?;
        let buckets = buckets(&CYCLE_BOUNDS, &totals.durations);
        out.histograms(&all::CYCLE_DURATION, [([], totals.seconds, buckets)])?;
        out.gauges(&all::CYCLE_END, self.ended_at.map(|at| ([], at)))?;
        let order = |word: &'static str| ([word], totals.orders.get(word).copied().unwrap_or(0));
        out.counters(&all::ORDERS, ORDER_WORDS.map(order))
    }

    fn alerts(&self, out: &mut Out<'_>) -> fmt::Result {
        let channels = || self.channels.iter().map(|(name, counts)| (name.as_str(), counts));
        let results = channels().flat_map(|(channel, counts)| {
            [([channel, "sent"], counts.sent), ([channel, "given-up"], counts.given_up)]
        });
        out.counters(&all::ALERTS, results)?;
        let failed = channels().map(|(channel, counts)| ([channel], counts.failed));
        out.counters(&all::ALERT_FAILURES, failed)?;
        let waiting = channels().map(|(channel, counts)| ([channel], counts.waiting));
        out.gauges(&all::ALERTS_WAITING, waiting)
    }

    fn idle(&self, out: &mut Out<'_>) -> fmt::Result {
        let totals = &self.totals;
        out.counters(&all::IDLE_LOOKS, [([], totals.looks)])?;
        let power = |word: &'static str| ([word], totals.power.get(word).copied().unwrap_or(0));
        out.counters(&all::IDLE_ORDERS, POWER_WORDS.map(power))?;
        let Some(look) = &self.look else { return Ok(()) };
        out.gauges(&all::IDLE_LOOK, [([], look.taken_at.0)])?;
        let matched = look.matched.iter().map(|(rule, count)| ([rule.as_str()], *count));
        out.gauges(&all::IDLE_RESOURCES, matched)
    }

    fn services(&self, latest: &Latest, out: &mut Out<'_>) -> fmt::Result {
        let seen = &latest.turn.snapshot.services;
        observed(latest, seen, out)?;
        let sizings = sizings(latest);
        let of = |pick: fn(&Sizing) -> Option<f64>| {
            sizings.iter().filter_map(move |(name, sizing)| Some(([*name], pick(sizing)?)))
        };
        out.gauges(
            &all::DEMAND_SIZED_FOR,
            of(|s| s.sized_for_milli.map(planner::Milli::a_second)),
        )?;
        out.gauges(&all::LEVEL, of(|s| s.level.map(|level| level.get())))?;
        out.gauges(&all::WANTED, of(|s| Some(f64::from(s.wanted.0))))?;
        let capacity = latest.capacity.iter().map(|(name, value)| ([name.as_str()], *value));
        out.gauges(&all::CAPACITY, capacity)?;
        let policies = latest.policy.services.iter();
        let budgets = policies.map(|(name, p)| ([name.as_str()], p.violation_budget.fraction()));
        out.gauges(&all::BUDGET, budgets)?;
        let shares = latest.accounts.iter().filter_map(|(name, account)| {
            let all = account.all;
            let share = all.violations as f64 / all.intervals as f64;
            (all.intervals > 0).then_some(([name.as_str()], share))
        });
        out.gauges(&all::VIOLATED, shares)?;
        let totals = || self.totals.services.iter().map(|(name, totals)| (name.as_str(), totals));
        out.counters(&all::INTERVALS, totals().map(|(name, t)| ([name], t.judged.intervals)))?;
        out.counters(&all::VIOLATIONS, totals().map(|(name, t)| ([name], t.judged.violations)))?;
        let kinds = [("down", "false"), ("up", "false"), ("down", "true"), ("up", "true")];
        let decisions = totals().flat_map(|(name, totals)| {
            let counts = kinds.into_iter().zip(totals.decisions);
            // Most services are decided on in one mode alone.
            let told = counts.filter(|((_, dry), count)| *count > 0 || *dry == "false");
            told.map(move |((direction, dry_run), count)| ([name, direction, dry_run], count))
        });
        out.counters(&all::DECISIONS, decisions)?;
        let mut holds: Vec<[&str; 2]> = Vec::with_capacity(latest.turn.plan.findings.len());
        for finding in &latest.turn.plan.findings {
            let word = finding.hold.word();
            if let Some(service) = finding.service.as_ref().filter(|_| word != "right-size") {
                holds.push([service.as_str(), word]);
            }
        }
        holds.sort_unstable();
        holds.dedup();
        out.gauges(&all::HOLD, holds.into_iter().map(|labels| (labels, 1_u64)))
    }
}

fn fleet(latest: &Latest, out: &mut Out<'_>) -> fmt::Result {
    let snapshot = &latest.turn.snapshot;
    out.gauges(&all::POLL_INTERVAL, [([], latest.policy.poll_interval.0)])?;
    let thrown = matches!(snapshot.kill_switch, KillSwitch::Thrown { .. });
    out.gauges(&all::KILL_SWITCH, [([], u64::from(thrown))])?;
    out.gauges(&all::JOURNAL_RESERVE, [([], u64::from(snapshot.disk == Disk::ReserveOnly))])?;
    out.gauges(&all::ORDERS_UNRESOLVED, [([], latest.unresolved as u64)])?;
    let services = latest.policy.services.keys();
    let acting = services.filter(|name| latest.mode(name) == Mode::Act).count();
    let watched = latest.policy.services.len() - acting;
    out.gauges(&all::SERVICES, [(["act"], acting as u64), (["observe"], watched as u64)])
}

fn calls(latest: &Latest, out: &mut Out<'_>) -> fmt::Result {
    let every = || {
        latest.calls.iter().flat_map(|(provider, calls)| {
            let labels = move |word| [provider.as_str(), word];
            calls.iter().map(move |(operation, calls)| (labels(operation.word()), calls))
        })
    };
    let durations = every().map(|(labels, calls)| {
        let took = Duration::from_millis(calls.latency_sum_ms).as_secs_f64();
        (labels, took, call_buckets(calls))
    });
    out.histograms(&all::CALL_DURATION, durations)?;
    out.counters(&all::CALLS_CUT_OFF, every().map(|(labels, calls)| (labels, calls.cut_off)))?;
    let faults = every().flat_map(|([provider, operation], calls)| {
        let faults = calls.faults.iter();
        faults.map(move |(fault, count)| ([provider, operation, *fault], *count))
    });
    out.counters(&all::FAULTS, faults)?;
    let read = latest.metrics_read.iter().map(|(name, count)| ([name.as_str()], *count));
    out.counters(&all::METRICS_READ, read)
}

fn call_buckets(calls: &Calls) -> Vec<(f64, u64)> {
    let bounds = LATENCY_BOUNDS_MS.map(|bound| Duration::from_millis(bound).as_secs_f64());
    buckets(&bounds, &calls.latency)
}

/// What was seen of each service.
fn observed(
    latest: &Latest,
    seen: &BTreeMap<ServiceName, Observation>,
    out: &mut Out<'_>,
) -> fmt::Result {
    let infos = latest.policy.services.iter().map(|(name, policy)| {
        let forecast = seen.get(name).and_then(|seen| seen.forecast.as_ref().ok());
        let mode = match latest.mode(name) {
            Mode::Act => "act",
            Mode::Observe => "observe",
        };
        let forecaster = forecast.map_or("none", |forecast| forecast.model.as_str());
        [name.as_str(), policy.pool.group.provider.as_str(), mode, forecaster]
    });
    out.info(&all::SERVICE, infos)?;
    let seen = || seen.iter().map(|(name, seen)| (name.as_str(), seen));
    let demands = seen().filter_map(|(name, seen)| Some(([name], seen.demand.settled?.value)));
    out.gauges(&all::DEMAND, demands)?;
    let forecasts = || seen().filter_map(|(name, seen)| Some((name, seen.forecast.as_ref().ok()?)));
    let next = forecasts().flat_map(|(name, forecast)| {
        let [low, middle, high] = band(forecast).map_or([None; 3], |next| next.map(Some));
        let levels = [("low", low), ("middle", middle), ("high", high)];
        levels
            .into_iter()
            .filter_map(move |(level, value)| Some(([name, level], value?.a_second())))
    });
    out.gauges(&all::DEMAND_NEXT, next)?;
    let losses = forecasts().filter_map(|(name, forecast)| {
        let (own, last) = (forecast.recent_loss_milli, forecast.last_value_loss_milli);
        (last > planner::Milli::ZERO).then(|| ([name], own.get() / last.get()))
    });
    out.gauges(&all::LOSS, losses)?;
    let groups = || seen().filter_map(|(name, seen)| Some((name, seen.group.as_ref().ok()?)));
    out.gauges(&all::DESIRED, groups().map(|(name, group)| ([name], group.desired.0)))?;
    out.gauges(&all::IN_SERVICE, groups().map(|(name, group)| ([name], group.in_service.0)))
}

/// The sizes behind each service's decision; where there are several, those of its action.
fn sizings(latest: &Latest) -> BTreeMap<&str, &Sizing> {
    let plan = &latest.turn.plan;
    let found = plan.findings.iter();
    let found = found.filter_map(|f| Some((f.service.as_ref()?.as_str(), f.sizing.as_ref()?)));
    let acted = plan.actions.iter().map(|action| (action.service.as_str(), &action.sizing));
    found.chain(acted).collect()
}

fn buckets(bounds: &[f64], counts: &[u64]) -> Vec<(f64, u64)> {
    bounds.iter().copied().chain([f64::INFINITY]).zip(counts.iter().copied()).collect()
}

/// Families of the catalogue on their way out: a family without series is left out.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn family(&mut self, metric: &'static Metric) -> Result<MetricEncoder<'_>, fmt::Error> {
        self.0.encode_descriptor(metric.name, metric.help, metric.unit.as_ref(), metric.kind)
    }

    /// Encodes each member of a family.
    fn each<T>(
        &mut self,
        metric: &'static Metric,
        series: impl IntoIterator<Item = T>,
        mut encode: impl FnMut(&mut MetricEncoder<'_>, T) -> fmt::Result,
    ) -> fmt::Result {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut family = self.family(metric)?;
        series.try_for_each(|one| encode(&mut family, one))
    }

    fn info<'s, const N: usize>(
        &mut self,
        metric: &'static Metric,
        series: impl IntoIterator<Item = [&'s str; N]>,
    ) -> fmt::Result {
        self.each(metric, series, |family, labels| family.encode_info(&named(metric, labels)))
    }

    fn gauges<'s, const N: usize, V: EncodeGaugeValue>(
        &mut self,
        metric: &'static Metric,
        series: impl IntoIterator<Item = ([&'s str; N], V)>,
    ) -> fmt::Result {
        self.each(metric, series, |family, (labels, value)| {
            family.encode_family(&named(metric, labels))?.encode_gauge(&value)
        })
    }

    fn counters<'s, const N: usize, V: EncodeCounterValue>(
        &mut self,
        metric: &'static Metric,
        series: impl IntoIterator<Item = ([&'s str; N], V)>,
    ) -> fmt::Result {
        let none: Option<&Exemplar<NoLabelSet, f64>> = None;
        self.each(metric, series, |family, (labels, value)| {
            family.encode_family(&named(metric, labels))?.encode_counter(&value, none)
        })
    }

    fn histograms<'s, const N: usize>(
        &mut self,
        metric: &'static Metric,
        series: impl IntoIterator<Item = ([&'s str; N], f64, Vec<(f64, u64)>)>,
    ) -> fmt::Result {
        self.each(metric, series, |family, (labels, sum, buckets)| {
            let count = buckets.iter().map(|(_, count)| count).sum();
            let labels = named(metric, labels);
            let mut family = family.encode_family(&labels)?;
            family.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        })
    }
}

/// Labels as the catalogue names them.
fn named<'s, const N: usize>(
    metric: &Metric,
    values: [&'s str; N],
) -> [(&'static str, &'s str); N] {
    debug_assert_eq!(metric.labels.len(), N, "{}", metric.name);
    let mut values = values.into_iter();
    std::array::from_fn(|at| {
        let label = metric.labels.get(at).copied().unwrap_or_default();
        (label, values.next().unwrap_or_default())
    })
}
