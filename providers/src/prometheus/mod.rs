//! Prometheus as a source of metrics, and every store that answers its range queries: Mimir, Thanos,
//! VictoriaMetrics. It measures; groups are elsewhere.
//!
//! - [`Settings`]: where, who we are, how long a call may take.
//! - [`Query`]: PromQL as the configuration has it; `query.rs` also says what a request asks for.
//! - `rates.rs` tells from the text of a query whether it gives a load per second.
//! - `access.rs`: credentials from their files, one call with its limits.
//! - `answer.rs`: answers as samples, errors sorted by what the caller does next.

mod access;
mod answer;
mod query;
mod rates;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use fleet::Change;
use fleet::group::{Activity, GroupState};
use fleet::metric::MetricQuery;
use fleet::{Fault, FaultKind, GroupId, GroupRef, Place, Seconds, Timestamp};
use tokio::task::JoinSet;

pub use access::FaultyFile;
pub use query::{NotAQuery, Query};
pub use rates::NotPerSecond;
pub use settings::{
    ClientCertificate, Credential, Endpoint, NAMESPACE, NOWHERE, NotAnEndpoint, Settings,
};

use access::{Access, QUERY_RANGE, Session};
use answer::{Labels, ReadRange};

use crate::call::Call;
use crate::{
    Deadline, Expected, GroupWriter, Inventory, Metrics, Now, Partial, Provider, Retention,
    Samples, Volume,
};

/// Intervals that late scrapes and corrections may still change.
const SETTLING_PERIODS: u64 = 2;
/// How long samples may be on their way to a store behind a remote write, at least;
/// VictoriaMetrics does not count the newest 30 seconds by itself.
const SETTLING_MIN: Seconds = Seconds(30);

/// A store as configured.
#[derive(Clone, Debug)]
pub struct Prometheus {
    access: Arc<Access>,
    now: Arc<dyn Now>,
    asked: Arc<AtomicU64>,
}

impl Prometheus {
    /// A store as configured. Connects to nothing yet.
    pub fn new(settings: Settings, now: Arc<dyn Now>) -> Prometheus {
        let access = Arc::new(Access::new(settings));
        Prometheus { access, now, asked: Arc::default() }
    }

    /// Whether the files of its credentials are of use, as they are now; asks the store nothing.
    ///
    /// # Errors
    /// The first that is not.
    pub async fn check_files(&self) -> Result<(), FaultyFile> {
        self.access.session().await.map(drop)
    }

    async fn read(
        &self,
        session: Session,
        queries: &[MetricQuery],
        (from, to): (Timestamp, Timestamp),
        deadline: Deadline,
    ) -> Vec<Result<Samples, Fault>> {
        let (session, now) = (Arc::new(session), self.now.now());
        let mut jobs = JoinSet::new();
        for (index, query) in queries.iter().enumerate() {
            for window in query::windows(query.period, from, to, now) {
                let (session, text) = (Arc::clone(&session), query.metric.clone());
                let period = query.period;
                jobs.spawn(async move {
                    let answer = session.query_range(&text, period, window, deadline).await;
                    ((index, window.0), answer)
                });
            }
        }
        let mut parts: Vec<BTreeMap<Timestamp, answer::SeriesAnswer>> = Vec::new();
        parts.resize_with(queries.len(), BTreeMap::new);
        while let Some(done) = jobs.join_next().await {
            let Ok(((index, start), answer)) = done else {
                return vec![Err(QUERY_RANGE.lost()); queries.len()];
            };
            parts[index].insert(start, answer);
        }
        parts.into_iter().map(put_together).collect()
    }
}

/// The stretches of an answer, in the order of time; where one failed all do, for a gap would lie.
fn put_together(parts: BTreeMap<Timestamp, answer::SeriesAnswer>) -> Result<Samples, Fault> {
    let (mut all, mut of): (Samples, Option<Labels>) = (Samples::default(), None);
    for (since, part) in parts {
        let ReadRange { series, partial } = part?;
        let partial = partial.map(|why| Partial { since, why });
        all.join(Samples { all: Vec::new(), partial });
        let Some((labels, samples)) = series else { continue };
        match &of {
            Some(others) if *others != labels => {
                let why = answer::too_many(&[others, &labels]);
                return Err(QUERY_RANGE.fault(FaultKind::Refused, why));
            }
            Some(_) => {}
            None => of = Some(labels),
        }
        all.join(Samples::from(samples));
    }
    Ok(all)
}

#[async_trait]
impl Metrics for Prometheus {
    async fn readings(
        &self,
        queries: &[MetricQuery],
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> Vec<Result<Samples, Fault>> {
        let asked = u64::try_from(queries.len()).unwrap_or(u64::MAX);
        self.asked.fetch_add(asked, Ordering::Relaxed);
        let session = tokio::time::timeout_at(deadline.0, self.access.session()).await;
        let fault = match session {
            Ok(Ok(session)) => return self.read(session, queries, (from, to), deadline).await,
            Ok(Err(file)) => {
                QUERY_RANGE.fault(FaultKind::Denied { permission: None }, file.to_string())
            }
            Err(_) => QUERY_RANGE.unsent("files were not read before the deadline"),
        };
        vec![Err(fault); queries.len()]
    }

    fn keeps(&self, query: &MetricQuery) -> Retention {
        let settling = Seconds(query.period.span().0 * SETTLING_PERIODS);
        Retention {
            history: query::history(query.period),
            settling: settling.max(SETTLING_MIN),
            usd_micros_per_thousand_metrics: 0,
        }
    }

    fn metrics_read(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

/// The calls of a month; the first reading takes one for each 2,000 intervals besides.
pub fn expected_calls(volume: Volume) -> Expected {
    let calls = volume.metrics * volume.cycles();
    Expected {
        calls: BTreeMap::from([(QUERY_RANGE.permission(), calls)]),
        metrics: calls,
        usd_micros: 0,
    }
}

impl Provider for Prometheus {
    fn inventory(&self) -> &dyn Inventory {
        self
    }

    fn metrics(&self) -> &dyn Metrics {
        self
    }

    fn writer(&self, group: &GroupId) -> Box<dyn GroupWriter> {
        Box::new(NoWriter(group.clone()))
    }
}

/// Says of everything that groups can be asked that there are none.
fn no_groups(operation: &'static str) -> Fault {
    let call = Call::read("prometheus", operation);
    call.fault(FaultKind::Refused, "a source of metrics has no groups")
}

#[async_trait]
impl Inventory for Prometheus {
    async fn groups(&self, wanted: &[GroupRef], _: Deadline) -> Vec<Result<GroupState, Fault>> {
        vec![Err(no_groups("groups")); wanted.len()]
    }

    async fn group(&self, _: &GroupId, _: Deadline) -> Result<GroupState, Fault> {
        Err(no_groups("group"))
    }

    fn places(&self) -> Vec<Place> {
        Vec::new()
    }

    async fn discover(&self, _: &Place, _: Deadline) -> Result<Vec<GroupState>, Fault> {
        Err(no_groups("discover"))
    }

    async fn activities(
        &self,
        _: &GroupId,
        _: Timestamp,
        _: Deadline,
    ) -> Result<Vec<Activity>, Fault> {
        Err(no_groups("activities"))
    }
}

/// The handle of a group that cannot be.
#[derive(Debug)]
struct NoWriter(GroupId);

#[async_trait]
impl GroupWriter for NoWriter {
    fn group(&self) -> &GroupId {
        &self.0
    }

    async fn set(&self, _: Change, _: &str, _: Deadline) -> Result<(), Fault> {
        Err(no_groups("set"))
    }
}
