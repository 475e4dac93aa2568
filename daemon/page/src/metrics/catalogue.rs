//! Every metric that `/metrics` has: name, unit, kind, labels and what it says. The collector
//! fills these and no others; the dashboard and the alert rules may name no others.
//!
//! Labels are bounded: services, clouds, channels and rules of the configuration, and words of
//! closed lists. No resource's id is one.

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name without what the format adds: the unit, and `_total` or `_info`.
    pub name: &'static str,
    /// What it is measured in.
    pub unit: Option<Unit>,
    /// Counter, gauge, histogram or info.
    pub kind: MetricType,
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

impl Metric {
    /// The names of its series, as queries have them.
    pub fn series(&self) -> Vec<String> {
        let unit = self.unit.as_ref().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        let suffixes: &[&str] = match self.kind {
            MetricType::Counter => &["_total"],
            MetricType::Histogram => &["_bucket", "_count", "_sum"],
            MetricType::Info => &["_info"],
            MetricType::Gauge | MetricType::Unknown => &[""],
        };
        suffixes.iter().map(|suffix| format!("{}{unit}{suffix}", self.name)).collect()
    }
}

/// Makes the list out of its lines, so that none is forgotten.
macro_rules! catalogue {
    ($($id:ident = $kind:ident $name:literal $(in $unit:ident)? [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $id: Metric = Metric {
                name: $name,
                unit: catalogue!(@unit $($unit)?),
                kind: MetricType::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*
        /// All of them.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
    (@unit $unit:ident) => { Some(Unit::$unit) };
    (@unit) => { None };
}

catalogue! {
    BUILD = Info "neap_build" ["version"]
        "The version that runs";
    CYCLES = Counter "neap_cycles" []
        "Cycles that ended: looked, decided, recorded and carried out";
    CYCLE_FAILURES = Counter "neap_cycle_failures" []
        "Cycles that changed nothing, since the journal could not be written";
    CYCLE_DURATION = Histogram "neap_cycle_duration" in Seconds []
        "How long cycles took";
    CYCLE_END = Gauge "neap_cycle_end_timestamp" in Seconds []
        "When the last cycle ended, by this machine's clock";
    POLL_INTERVAL = Gauge "neap_poll_interval" in Seconds []
        "How often a cycle is to run";
    KILL_SWITCH = Gauge "neap_kill_switch_thrown" []
        "1 where the kill switch stops every change, or cannot be checked";
    SERVICES = Gauge "neap_services" ["mode"]
        "Services by what may be done to them";
    ORDERS = Counter "neap_orders" ["result"]
        "Orders to size groups, by how they ended";
    ORDERS_UNRESOLVED = Gauge "neap_orders_unresolved" []
        "Orders that were sent and whose result is not known yet";
    PLACES_MISSING = Gauge "neap_places_without_answer" []
        "Accounts and regions that give no answer when groups that templates match are looked for";
    CALL_DURATION = Histogram "neap_provider_call_duration" in Seconds ["provider", "operation"]
        "How long calls to a cloud or metric source took; the count is the calls";
    CALLS_CUT_OFF = Counter "neap_provider_calls_cut_off" ["provider", "operation"]
        "Calls that did not come back by the deadline";
    FAULTS = Counter "neap_provider_faults" ["provider", "operation", "fault"]
        "Answers that were faults; a call for many things may hold several";
    METRICS_READ = Counter "neap_provider_metrics_read" ["provider"]
        "Metrics read, as the cloud bills them";
    JOURNAL_SIZE = Gauge "neap_journal_size" in Bytes []
        "What the journal takes on disk";
    JOURNAL_RESERVE = Gauge "neap_journal_reserve_only" []
        "1 where the journal's disk has only the reserve left, and nothing is taken away or stopped";
    ALERTS = Counter "neap_alerts" ["channel", "result"]
        "Alerts that a channel is done with: sent, or given up";
    ALERT_FAILURES = Counter "neap_alert_failures" ["channel"]
        "Attempts to send that a receiver did not take; what was in them is sent again";
    ALERTS_WAITING = Gauge "neap_alerts_waiting" ["channel"]
        "Alerts in the outbox that a channel is not done with; quiet hours hold some back";
    IDLE_LOOKS = Counter "neap_idle_looks" []
        "Looks at idle resources that ended";
    IDLE_LOOK = Gauge "neap_idle_look_timestamp" in Seconds []
        "When the last look at idle resources began";
    IDLE_RESOURCES = Gauge "neap_idle_resources" ["rule"]
        "Resources that a rule found idle at the last look";
    IDLE_ORDERS = Counter "neap_idle_orders" ["result"]
        "Orders to stop and start machines, by how they ended";
    SERVICE = Info "neap_service" ["service", "provider", "mode", "forecaster"]
        "What a service is on, what may be done to it, and which model forecasts it";
    DEMAND = Gauge "neap_service_demand" ["service"]
        "Demand per second in the newest settled interval, in the service's own unit";
    DEMAND_NEXT = Gauge "neap_service_demand_next" ["service", "level"]
        "Demand per second forecast for the next interval, at the lowest, middle and highest level";
    DEMAND_SIZED_FOR = Gauge "neap_service_demand_sized_for" ["service"]
        "The highest demand per second within the lead window, at the level in force";
    LEVEL = Gauge "neap_service_forecast_level_ratio" ["service"]
        "The quantile level in force: the share of time in which demand is expected below it";
    LOSS = Gauge "neap_service_forecast_loss_ratio" ["service"]
        "The forecast's loss lately against that of the last value; above 1 it is worse than that";
    CAPACITY = Gauge "neap_service_capacity_per_unit" ["service"]
        "Demand per second that one unit carries";
    WANTED = Gauge "neap_service_units_wanted" ["service"]
        "Units wanted before guards narrowed or held it";
    DESIRED = Gauge "neap_service_units_desired" ["service"]
        "Units that the group is told to have";
    IN_SERVICE = Gauge "neap_service_units_in_service" ["service"]
        "Units in service";
    BUDGET = Gauge "neap_service_violation_budget_ratio" ["service"]
        "The promise: the share of intervals whose demand may exceed capacity";
    VIOLATED = Gauge "neap_service_violated_ratio" ["service"]
        "The share of intervals of the last 28 days whose demand exceeded capacity";
    INTERVALS = Counter "neap_service_intervals" ["service"]
        "Intervals of demand that settled";
    VIOLATIONS = Counter "neap_service_violations" ["service"]
        "Intervals among them whose demand exceeded capacity";
    DECISIONS = Counter "neap_service_decisions" ["service", "direction", "dry_run"]
        "Changes that were decided; a dry run is shown and not carried out";
    HOLD = Gauge "neap_service_hold" ["service", "hold"]
        "1 for each reason for which a service is left as it is or gets less than wanted";
}
