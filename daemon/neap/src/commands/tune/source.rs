//! Where the loads come from: series files, or what the journal recorded of a service.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use fleet::metric::{MetricKey, MetricQuery};
use fleet::{Seconds, ServiceName, Timestamp};
use forecaster::Series;
use journal::{JournalFault, Reader};
use planner::policy::{
    Actuate, Budgets, CapacityPerUnit, Mode, PoolPolicy, ServicePolicy, Signals,
};
use shadow::{capacity, lead_time};

use super::super::simulate::{Part, PolicyFile, UNIT};
use super::super::{Place, explain};
use super::study::Case;
use super::{LEAD_TIME, TuneArgs};
use crate::options::ConfigRefused;
use crate::series_file::{self, FileFaults};
use crate::store::{Store, demand_step};

/// How far back a service's history is read: what the daemon itself goes by at most.
const HISTORY: Seconds = Seconds::days(64);

/// Samples in front of the part that counts; the forecaster makes no model of fewer.
const HISTORY_MIN: usize = 48;

/// Why a load cannot be studied.
#[derive(Debug, thiserror::Error)]
pub enum NoCase {
    /// Its file cannot be read.
    #[error(transparent)]
    File(#[from] FileFaults),
    /// It cannot be cut into a warm-up and a part that counts.
    #[error("{of}: {fault}")]
    Part {
        /// The file, or the service.
        of: String,
        fault: NoPart,
    },
    /// A text that names no service.
    #[error("`{0}` is no service's name")]
    NoName(String),
    /// A service that was never recorded.
    #[error("the journal knows no service `{service}`{known}")]
    Unknown {
        service: ServiceName,
        /// A hint.
        known: String,
    },
    /// A service whose units have not shown what they carry.
    #[error("`{0}`: what a unit carries is not learned yet\n  hint: name it with `--capacity`")]
    NoCapacity(ServiceName),
}

/// Why a series has no part that counts.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum NoPart {
    /// Nothing can be forecast from so few samples.
    #[error(
        "holds {0} samples of history, expected at least {HISTORY_MIN}, or nothing can be forecast"
    )]
    TooShort(usize),
    /// Nothing tells how much a unit carries.
    #[error(
        "has no load in its warm-up to size a unit by\n  hint: name what a unit carries with \
         `--capacity`"
    )]
    NoLoad,
}

/// The case of a series file.
pub fn of_file(path: &Path, args: &TuneArgs, policy: &PolicyFile) -> Result<Case, NoCase> {
    let file = series_file::read(path)?;
    let lead_time = args.lead_time.unwrap_or(LEAD_TIME);
    let (service, budgets) = (policy.service(lead_time), policy.budgets(Budgets::default()));
    let budgets = args.removals.budgets(budgets);
    let part = part(&file.series, args, args.capacity)
        .map_err(|fault| NoCase::Part { of: path.display().to_string(), fault })?;
    Ok(Case { name: file.name, series: file.series, part, lead_time, service, budgets })
}

fn part(series: &Series, args: &TuneArgs, capacity: Option<f64>) -> Result<Part, NoPart> {
    let history = (series.len() as f64 * args.warmup) as usize;
    if history < HISTORY_MIN {
        return Err(NoPart::TooShort(history));
    }
    Part::after_warmup(series, args.warmup, capacity).ok_or(NoPart::NoLoad)
}

/// The case of a service with its recorded demand.
///
/// # Errors
/// A configuration or a journal that cannot be read.
pub fn of_service(
    name: &str,
    place: &Place,
    args: &TuneArgs,
) -> anyhow::Result<Result<Case, NoCase>> {
    let service = match ServiceName::new(name) {
        Some(service) => service,
        None => return Ok(Err(NoCase::NoName(name.to_owned()))),
    };
    let (state_dir, configured) = match &place.state_dir {
        Some(state_dir) => (state_dir.clone(), None),
        None => {
            let mut config = crate::settings::load(&place.config).map_err(ConfigRefused)?;
            let of_service = config.policy.services.remove(&service);
            (config.state_dir, Some((config.policy.budgets, of_service)))
        }
    };
    let reader = Reader::open(&state_dir)?;
    let end = Timestamp(i64::MAX / 2);
    let Some(cycle) = reader.latest_for(&service, end)? else {
        let known = explain::known(&reader, end)?;
        return Ok(Err(NoCase::Unknown { service, known }));
    };
    let (at, memory) = (cycle.taken_at(), &cycle.memory_after);
    let mut policy = reader.policy(cycle.policy)?.policy;
    // What is configured now counts for more than what was then.
    if let Some((budgets, of_service)) = configured {
        policy.budgets = budgets;
        policy.services.extend(of_service.map(|configured| (service.clone(), configured)));
    }
    let own = policy.services.get(&service).context("its policy does not name it")?;
    let series = demand(&reader, own, at).context("reading samples back")?;
    let Some(unit) = args.capacity.or_else(|| capacity(memory, &policy, &service)) else {
        return Ok(Err(NoCase::NoCapacity(service)));
    };
    let lead_time = args.lead_time.unwrap_or_else(|| lead_time(memory, &policy, &service));
    let part = match part(&series, args, Some(unit)) {
        Ok(part) => part,
        Err(fault) => return Ok(Err(NoCase::Part { of: format!("`{service}`"), fault })),
    };
    let service = simulated(own.clone(), lead_time);
    let budgets = args.removals.budgets(policy.budgets);
    Ok(Ok(Case { name: name.to_owned(), series, part, lead_time, service, budgets }))
}

/// Demand per second as the daemon sums it up.
fn demand(
    reader: &Reader,
    service: &ServicePolicy,
    until: Timestamp,
) -> Result<Series, JournalFault> {
    let known: BTreeMap<MetricKey, &MetricQuery> =
        service.held().map(|query| (query.key(), query)).collect();
    let mut store = Store::default();
    reader.visit_samples(until - HISTORY, |metric, _, sample| {
        if let Some(query) = known.get(metric) {
            store.restore(query, sample);
        }
    })?;
    let mut demand = Series::new(demand_step(service));
    store.refresh(&mut demand, service, None, until, &BTreeSet::new());
    Ok(demand)
}

/// The service without its cloud: a unit carries [`UNIT`], and nothing but demand is known.
fn simulated(service: ServicePolicy, lead_time: Seconds) -> ServicePolicy {
    ServicePolicy {
        mode: Mode::Act,
        demand: Vec::new(),
        fixed_capacity: 0.0,
        utilisation: None,
        signals: Signals::default(),
        upstreams: Vec::new(),
        pool: PoolPolicy {
            capacity_per_unit: CapacityPerUnit::Given(UNIT),
            actuate: Some(Actuate::Desired),
            lead_time,
            // It is in the lead time, as are boots on the simulated group.
            warm_up: Seconds::ZERO,
            ..service.pool
        },
        ..service
    }
}
