//! Wraps any provider: enforces the deadline, counts calls, time and faults, and marks each call as a
//! span for whoever keeps traces.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fleet::Change;
use fleet::feed::Survey;
use fleet::group::{Activity, GroupState};
use fleet::metric::MetricQuery;
use fleet::{Fault, FaultKind, GroupId, GroupRef, Place, ProviderName, Timestamp};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::{
    Deadline, Estate, GroupWriter, Inventory, Metrics, Provider, Retention, Samples, Trials,
};

pub use fleet::calls::{Calls, LATENCY_BOUNDS_MS, Operation};

mod estate;

/// How much later than the deadline an adapter's own answer is still taken. An adapter knows which
/// part of a batch is there; cutting it off loses all of it.
const GRACE: Duration = Duration::from_millis(250);

/// The target of spans that say where a cycle's time goes. What they hold may leave the machine:
/// names, counts and words, no ids, addresses or secrets.
pub const SPANS: &str = "spans";

/// Counts that the daemon reads and adapters need not repeat.
#[derive(Debug)]
struct Counters {
    provider: ProviderName,
    calls: Mutex<BTreeMap<Operation, Calls>>,
}

/// A call under way.
struct Begun {
    operation: Operation,
    at: Instant,
    span: Span,
}

impl Counters {
    fn begin(&self, operation: Operation) -> Begun {
        let (provider, word) = (self.provider.as_str(), operation.word());
        let span = tracing::info_span!(
            target: SPANS,
            "call",
            otel.name = format!("{provider} {word}"),
            otel.kind = "client",
            provider,
            operation = word,
            faults = tracing::field::Empty,
            fault = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
        );
        Begun { operation, at: Instant::now(), span }
    }

    fn note(&self, begun: &Begun, cut_off: bool, faults: &[&'static str]) {
        let took_ms = u64::try_from(begun.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_MS.partition_point(|bound| *bound < took_ms);
        // A count without a sign is told as text.
        begun.span.record("faults", faults.len() as i64);
        if let Some(first) = faults.first() {
            begun.span.record("fault", *first).record("otel.status_code", "ERROR");
        }
        let mut all = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = all.entry(begun.operation).or_default();
        calls.count += 1;
        calls.latency[bucket] += 1;
        calls.latency_sum_ms += took_ms;
        calls.cut_off += u64::from(cut_off);
        for word in faults {
            *calls.faults.entry(word).or_default() += 1;
        }
    }
}

/// Any provider, with its deadline enforced and its calls counted.
#[derive(Clone)]
pub struct Traced {
    inner: Arc<dyn Provider>,
    counters: Arc<Counters>,
}

impl Traced {
    /// Wraps a provider that goes by this name.
    pub fn new(provider: &ProviderName, inner: Arc<dyn Provider>) -> Traced {
        let counters = Counters { provider: provider.clone(), calls: Mutex::default() };
        Traced { inner, counters: Arc::new(counters) }
    }

    /// What became of the calls since the start of the process.
    pub fn calls(&self) -> BTreeMap<Operation, Calls> {
        self.counters.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A batch: what did not come back in time counts as timed out, every part of it.
    async fn batch<T>(
        &self,
        operation: Operation,
        parts: usize,
        deadline: Deadline,
        call: impl Future<Output = Vec<Result<T, Fault>>> + Send,
    ) -> Vec<Result<T, Fault>> {
        let begun = self.counters.begin(operation);
        let call = call.instrument(begun.span.clone());
        let answers = tokio::time::timeout_at(deadline.0 + GRACE, call).await;
        let cut_off = answers.is_err();
        let answers = answers.unwrap_or_else(|_elapsed| {
            (0..parts).map(|_| Err(too_late(FaultKind::TimedOut, operation))).collect()
        });
        let faults: Vec<&'static str> =
            answers.iter().filter_map(|a| a.as_ref().err()).map(|f| f.kind.word()).collect();
        self.counters.note(&begun, cut_off, &faults);
        answers
    }
}

/// A single call: what did not come back in time is `late`.
async fn single<T>(
    counters: &Counters,
    operation: Operation,
    late: FaultKind,
    deadline: Deadline,
    call: impl Future<Output = Result<T, Fault>> + Send,
) -> Result<T, Fault> {
    let begun = counters.begin(operation);
    let call = call.instrument(begun.span.clone());
    let answer = tokio::time::timeout_at(deadline.0 + GRACE, call).await;
    let cut_off = answer.is_err();
    let answer = answer.unwrap_or_else(|_elapsed| Err(too_late(late, operation)));
    let faults: Vec<&'static str> =
        answer.as_ref().err().map(|f| f.kind.word()).into_iter().collect();
    counters.note(&begun, cut_off, &faults);
    answer
}

fn too_late(kind: FaultKind, operation: Operation) -> Fault {
    Fault {
        kind,
        operation: operation.word().to_owned(),
        detail: "no answer by the cycle's deadline".to_owned(),
        request_id: None,
    }
}

impl Provider for Traced {
    fn inventory(&self) -> &dyn Inventory {
        self
    }

    fn metrics(&self) -> &dyn Metrics {
        self
    }

    fn writer(&self, group: &GroupId) -> Box<dyn GroupWriter> {
        let inner = self.inner.writer(group);
        Box::new(TracedWriter { inner, counters: Arc::clone(&self.counters) })
    }

    fn estate(&self) -> Option<&dyn Estate> {
        self.inner.estate().map(|_| self as &dyn Estate)
    }

    // Asked by people, each call with a deadline of its own: nothing to count.
    fn trials(&self) -> Option<&dyn Trials> {
        self.inner.trials()
    }
}

#[async_trait]
impl Inventory for Traced {
    async fn groups(
        &self,
        wanted: &[GroupRef],
        deadline: Deadline,
    ) -> Vec<Result<GroupState, Fault>> {
        let call = self.inner.inventory().groups(wanted, deadline);
        self.batch(Operation::Groups, wanted.len(), deadline, call).await
    }

    async fn group(&self, id: &GroupId, deadline: Deadline) -> Result<GroupState, Fault> {
        let call = self.inner.inventory().group(id, deadline);
        single(&self.counters, Operation::Group, FaultKind::TimedOut, deadline, call).await
    }

    fn places(&self) -> Vec<Place> {
        self.inner.inventory().places()
    }

    fn seeks_places(&self) -> bool {
        self.inner.inventory().seeks_places()
    }

    // Once a day: nothing to count.
    async fn find_places(&self, deadline: Deadline) -> Result<(), Fault> {
        let find = self.inner.inventory().find_places(deadline);
        let late = || too_late(FaultKind::TimedOut, Operation::Discover);
        tokio::time::timeout_at(deadline.0 + GRACE, find).await.unwrap_or_else(|_| Err(late()))
    }

    async fn discover(&self, place: &Place, deadline: Deadline) -> Result<Vec<GroupState>, Fault> {
        let call = self.inner.inventory().discover(place, deadline);
        single(&self.counters, Operation::Discover, FaultKind::TimedOut, deadline, call).await
    }

    async fn survey(&self, place: &Place, deadline: Deadline) -> Result<Survey, Fault> {
        let call = self.inner.inventory().survey(place, deadline);
        single(&self.counters, Operation::Discover, FaultKind::TimedOut, deadline, call).await
    }

    async fn activities(
        &self,
        id: &GroupId,
        since: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<Activity>, Fault> {
        let call = self.inner.inventory().activities(id, since, deadline);
        single(&self.counters, Operation::Activities, FaultKind::TimedOut, deadline, call).await
    }

    fn activities_are_of_one_member(&self) -> bool {
        self.inner.inventory().activities_are_of_one_member()
    }
}

#[async_trait]
impl Metrics for Traced {
    async fn readings(
        &self,
        queries: &[MetricQuery],
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> Vec<Result<Samples, Fault>> {
        let call = self.inner.metrics().readings(queries, from, to, deadline);
        self.batch(Operation::Samples, queries.len(), deadline, call).await
    }

    fn keeps(&self, query: &MetricQuery) -> Retention {
        self.inner.metrics().keeps(query)
    }

    fn metrics_read(&self) -> u64 {
        self.inner.metrics().metrics_read()
    }
}

struct TracedWriter {
    inner: Box<dyn GroupWriter>,
    counters: Arc<Counters>,
}

#[async_trait]
impl GroupWriter for TracedWriter {
    fn group(&self) -> &GroupId {
        self.inner.group()
    }

    /// A write that was cut off may have left: it is unconfirmed.
    async fn set(&self, change: Change, decision: &str, deadline: Deadline) -> Result<(), Fault> {
        let call = self.inner.set(change, decision, deadline);
        single(&self.counters, Operation::Set, FaultKind::Unconfirmed, deadline, call).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fleet::money::{Price, PriceQuery};
    use fleet::rent::{RentQuery, Rented, UnitPriceKnown};
    use fleet::resource::{Fact, Facts, Power, Resource, ResourceId, ResourceKind, Subject};
    use fleet::usage::{Signal, UsageQuery};
    use fleet::{AccountId, ProviderName, Region, Seconds, Units};

    use super::*;
    use crate::{Listing, PowerOrder, PowerSwitch};

    /// A cloud that never answers, not even at the deadline.
    struct Dead;

    #[async_trait]
    impl Inventory for Dead {
        async fn groups(&self, _: &[GroupRef], _: Deadline) -> Vec<Result<GroupState, Fault>> {
            std::future::pending().await
        }
        async fn group(&self, _: &GroupId, _: Deadline) -> Result<GroupState, Fault> {
            std::future::pending().await
        }
        fn places(&self) -> Vec<Place> {
            Vec::new()
        }
        async fn discover(&self, _: &Place, _: Deadline) -> Result<Vec<GroupState>, Fault> {
            std::future::pending().await
        }
        async fn activities(
            &self,
            _: &GroupId,
            _: Timestamp,
            _: Deadline,
        ) -> Result<Vec<Activity>, Fault> {
            std::future::pending().await
        }
    }

    #[async_trait]
    impl Metrics for Dead {
        async fn readings(
            &self,
            _: &[MetricQuery],
            _: Timestamp,
            _: Timestamp,
            _: Deadline,
        ) -> Vec<Result<Samples, Fault>> {
            std::future::pending().await
        }
        fn keeps(&self, _: &MetricQuery) -> Retention {
            Retention {
                history: fleet::Seconds::ZERO,
                settling: fleet::Seconds::ZERO,
                usd_micros_per_thousand_metrics: 0,
            }
        }
        fn metrics_read(&self) -> u64 {
            0
        }
    }

    #[async_trait]
    impl GroupWriter for GroupId {
        fn group(&self) -> &GroupId {
            self
        }
        async fn set(&self, _: Change, _: &str, _: Deadline) -> Result<(), Fault> {
            std::future::pending().await
        }
    }

    #[async_trait]
    impl Estate for Dead {
        async fn resources(&self, _: &[ResourceKind], _: Deadline) -> Vec<Listing> {
            std::future::pending().await
        }
        async fn resource(&self, _: &ResourceId, _: Deadline) -> Result<Resource, Fault> {
            std::future::pending().await
        }
        async fn usage(
            &self,
            _: &[UsageQuery],
            _: Timestamp,
            _: Timestamp,
            _: Seconds,
            _: Deadline,
        ) -> Vec<Result<Vec<fleet::metric::Sample>, Fault>> {
            std::future::pending().await
        }
        fn usage_kept(&self, _: Signal, _: Seconds) -> Seconds {
            Seconds::days(7)
        }
        async fn prices(&self, _: &[PriceQuery], _: Deadline) -> Vec<Result<Option<Price>, Fault>> {
            std::future::pending().await
        }
        async fn rented(
            &self,
            _: &AccountId,
            _: &Region,
            _: &[String],
            _: Deadline,
        ) -> Result<Vec<Rented>, Fault> {
            std::future::pending().await
        }
        async fn rents(&self, _: &[RentQuery], _: Deadline) -> Vec<UnitPriceKnown> {
            std::future::pending().await
        }
        fn switch(&self, id: &ResourceId) -> Box<dyn PowerSwitch> {
            Box::new(id.clone())
        }
    }

    #[async_trait]
    impl PowerSwitch for ResourceId {
        fn resource(&self) -> &ResourceId {
            self
        }
        async fn rehearse(&self, _: PowerOrder, _: Deadline) -> Result<bool, Fault> {
            std::future::pending().await
        }
        async fn order(&self, _: PowerOrder, _: &str, _: Deadline) -> Result<(), Fault> {
            std::future::pending().await
        }
        async fn tag(&self, _: &str, _: Option<&str>, _: Deadline) -> Result<(), Fault> {
            std::future::pending().await
        }
    }

    impl Provider for Dead {
        fn inventory(&self) -> &dyn Inventory {
            self
        }
        fn metrics(&self) -> &dyn Metrics {
            self
        }
        fn writer(&self, group: &GroupId) -> Box<dyn GroupWriter> {
            Box::new(group.clone())
        }
        fn estate(&self) -> Option<&dyn Estate> {
            Some(self)
        }
    }

    /// A cloud that has groups and nothing that can be stopped.
    struct Powerless;

    impl Provider for Powerless {
        fn inventory(&self) -> &dyn Inventory {
            &Dead
        }
        fn metrics(&self) -> &dyn Metrics {
            &Dead
        }
        fn writer(&self, group: &GroupId) -> Box<dyn GroupWriter> {
            Box::new(group.clone())
        }
    }

    #[tokio::test]
    async fn a_cloud_that_never_answers_is_cut_off_and_counted() {
        let provider = ProviderName::new("dead").unwrap();
        let traced = Traced::new(&provider, Arc::new(Dead));
        let account = AccountId::new("a").unwrap();
        let region = Region::new("r").unwrap();
        let wanted = GroupRef {
            provider: provider.clone(),
            account: account.clone(),
            region: region.clone(),
            name: "web".to_owned(),
        };
        let deadline = || Deadline::within(Duration::from_millis(10));
        let answers = traced.groups(&[wanted.clone(), wanted], deadline()).await;
        let kinds: Vec<_> = answers.iter().map(|a| a.as_ref().unwrap_err().kind.clone()).collect();
        assert_eq!(kinds, [FaultKind::TimedOut, FaultKind::TimedOut]);

        let id = GroupId { provider, account, region, id: "1".to_owned() };
        let change = Change::Desired { from: Units(1), to: Units(2) };
        let fault = traced.writer(&id).set(change, "d", deadline()).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unconfirmed);

        let calls = traced.calls();
        assert_eq!(calls[&Operation::Groups].faults, BTreeMap::from([("timed out", 2)]));
        assert_eq!(calls[&Operation::Set].faults, BTreeMap::from([("unconfirmed", 1)]));
        assert_eq!((calls[&Operation::Set].count, calls[&Operation::Set].cut_off), (1, 1));
        // No call was cut off before the grace was over: the buckets below 250 ms are empty.
        assert_eq!(calls[&Operation::Set].latency[..4], [0; 4]);
        assert_eq!(calls[&Operation::Set].latency.iter().sum::<u64>(), 1);
    }
    #[tokio::test]
    async fn an_estate_that_never_answers_is_cut_off_too() {
        let traced = Traced::new(&ProviderName::new("dead").unwrap(), Arc::new(Dead));
        let id = ResourceId {
            provider: ProviderName::new("dead").unwrap(),
            account: AccountId::new("a").unwrap(),
            region: Region::new("r").unwrap(),
            kind: ResourceKind::Instance,
            id: "i-1".to_owned(),
        };
        let deadline = || Deadline::within(Duration::from_millis(1));
        let estate = traced.estate().unwrap();
        assert!(estate.resources(&ResourceKind::ALL, deadline()).await.is_empty());
        assert_eq!(estate.usage_kept(Signal::Cpu, Seconds(60)), Seconds::days(7));
        let read = estate.resource(&id, deadline()).await.unwrap_err();
        assert_eq!(read.kind, FaultKind::TimedOut);
        let mut facts = Facts::unhindered();
        facts.stop_protected = Fact::Unasked;
        let listed = Resource {
            id: id.clone(),
            name: "web".to_owned(),
            read_at: Timestamp(0),
            created_at: None,
            started_at: None,
            power: Power::Running,
            zone: None,
            class: None,
            platform: None,
            size_gib: None,
            tags: BTreeMap::new(),
            sampled_every: Seconds(60),
            signals: BTreeSet::new(),
            subject: Subject::Machine(Box::new(facts)),
        };
        let read = estate.details(&listed, deadline()).await.unwrap_err();
        assert_eq!(read.kind, FaultKind::TimedOut);
        let switch = estate.switch(&id);
        assert_eq!(switch.resource(), &id);
        let rehearsed = switch.rehearse(PowerOrder::Start, deadline()).await.unwrap_err();
        assert_eq!(rehearsed.kind, FaultKind::TimedOut, "asking changes nothing");
        let ordered = switch.order(PowerOrder::Start, "d", deadline()).await.unwrap_err();
        assert_eq!(ordered.kind, FaultKind::Unconfirmed);
        let tagged = switch.tag("k", None, deadline()).await.unwrap_err();
        assert_eq!(tagged.kind, FaultKind::Unconfirmed);
        let calls = traced.calls();
        for (operation, word) in [
            (Operation::Resources, "timed out"),
            (Operation::Resource, "timed out"),
            (Operation::Details, "timed out"),
            (Operation::Rehearse, "timed out"),
            (Operation::Order, "unconfirmed"),
            (Operation::Tag, "unconfirmed"),
        ] {
            assert_eq!(calls[&operation].faults, BTreeMap::from([(word, 1)]), "{operation:?}");
            assert_eq!(calls[&operation].cut_off, 1, "{operation:?}");
        }
        let nameless = ProviderName::new("p").unwrap();
        assert!(Traced::new(&nameless, Arc::new(Powerless)).estate().is_none());
    }
}
