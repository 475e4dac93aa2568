//! Configuration: text in, policy out, or every fault at once.
//!
//! Text becomes a spanned document, the document becomes [`Config`]; after that nothing checks
//! again. Defaults are named constants beside the types they fill in.

mod alert;
mod calendar;
pub mod calendars;
mod checks;
mod defaults;
mod difference;
mod digest;
mod event;
mod fault;
mod freeze;
mod holidays;
mod hours;
mod idle;
mod keys;
mod metric;
mod money;
mod page;
mod pool;
mod prices;
mod prometheus;
mod promotion;
mod provider;
mod quiet;
mod reader;
mod reference;
mod root;
pub mod schedule;
mod schema;
mod secret;
mod service;
mod template;
#[cfg(test)]
mod test_checks;
mod trace;
mod value;
mod weeks;
mod zone;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fleet::text::without_mark;
use fleet::{ProviderName, Retention, Seconds, ServiceName};
use forecaster::ModelKind;
use planner::policy::Policy;
use serde::Serialize;

pub use alert::{AlertChannel, AlertLanguage, ChannelKind, Field, Message, Rate, Template};
pub use calendar::CalendarRule;
pub use calendars::Calendars;
pub use checks::{BodyFault, Checks, NotARole, NotAStore, NotPromql, StoreUrl};
pub use defaults::Defaults;
pub use difference::{Difference, differences};
pub use digest::{DigestRule, Period, Span};
pub use event::{EventRule, EventWindow, Floor, Yearly, floors_ahead};
pub use fault::ConfigFault;
pub use freeze::{FreezeRule, FreezeWindow, Weekly, freezes_active};
pub use holidays::{Holiday, Holidays};
pub use hours::HoursRule;
pub use idle::IdleConfig;
pub use metric::{counted_size, known_rate, known_spacing, known_sparse};
pub use money::Money;
pub use page::{IdentityProxy, Page, PageToken, Right, Tls, Viewing, is_name};
pub use prices::Prices;
pub use prometheus::{PrometheusConfig, Proof};
pub use promotion::share;
pub use provider::{AlibabaConfig, ApiBudget, AwsConfig, CloudAccount, ProviderConfig, SimConfig};
pub use quiet::QuietHours;
pub use reference::{ReferenceLanguage, reference};
pub use schema::schema;
pub use secret::{Readers, SecretFile};
pub use template::{ServiceTemplate, TemplateFault};
pub use trace::Trace;
pub use value::budget as removal_budget;
pub use weeks::OfMonth;
pub use zone::{NotAZone, Zone};

/// All that the operator wants, parsed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// What decides a plan. Services that come from templates are added after discovery, see
    /// [`ServiceTemplate::expand`].
    pub policy: Policy,
    /// Services to be made of every group that matches.
    pub templates: Vec<ServiceTemplate>,
    /// The clouds and metric sources by name.
    pub providers: BTreeMap<ProviderName, ProviderConfig>,
    /// Where the journal lives.
    pub state_dir: PathBuf,
    /// A file whose existence stops every change.
    pub kill_switch: PathBuf,
    /// The group whose members may approve stops and ask for exceptions.
    pub approvers: String,
    /// What savings are reckoned by.
    pub money: Money,
    /// The page, where one is wanted.
    pub page: Option<Page>,
    /// How much of the journal is kept.
    pub journal: Retention,
    /// When changes are restrained.
    pub freezes: Vec<FreezeRule>,
    /// What is logged, and how.
    pub log: Log,
    /// Where traces are sent, where they are.
    pub trace: Option<Trace>,
    /// How long a cycle may take before what is missing counts as unread.
    pub cycle_deadline: Seconds,
    /// Services whose forecasting model is named by the operator; all others use `auto`.
    pub forecasters: BTreeMap<ServiceName, ModelKind>,
    /// Zones, days of rest and holidays, by name.
    pub calendars: BTreeMap<String, CalendarRule>,
    /// Events that are known beforehand.
    pub events: Vec<EventRule>,
    /// What may be stopped while it is idle, and when machines are to be up.
    pub idle: IdleConfig,
    /// Where people are told.
    pub alerts: Vec<AlertChannel>,
    /// Which calendar the users of a service live by; all others live by none.
    pub service_calendars: BTreeMap<ServiceName, String>,
    /// The hours that bound the sizes of services.
    pub service_hours: BTreeMap<ServiceName, Vec<HoursRule>>,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// The least severity that is logged.
    pub level: LogLevel,
}

/// For people or for machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line an event.
    #[default]
    Human,
    /// One JSON object an event.
    Json,
}

/// The least severity that is logged.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// A human must act.
    Error,
    /// Something works less well.
    Warn,
    /// Each decision that changes something.
    #[default]
    Info,
    /// Each call.
    Debug,
    /// Everything.
    Trace,
}

/// Reads a duration such as `45s`, `1h30m` or `2d`.
pub fn duration(text: &str) -> Option<Seconds> {
    value::duration(text)
}

/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Reads and parses a configuration file; `-` is standard input.
///
/// # Errors
/// Every fault of the file at once, in file order; a single one where it cannot be read.
pub fn load(path: &Path, checks: &Checks) -> Result<Config, Vec<ConfigFault>> {
    let (name, read) = if path == Path::new(STANDARD_INPUT) {
        ("standard input".to_owned(), std::io::read_to_string(std::io::stdin()))
    } else {
        (path.display().to_string(), std::fs::read_to_string(path))
    };
    match read {
        Ok(text) => parse(&name, without_mark(&text), checks),
        Err(error) => Err(vec![ConfigFault::unreadable(&name, &error)]),
    }
}

/// Parses the text of a configuration; `file_name` is for the faults alone.
///
/// # Errors
/// Every fault of the text at once, in file order.
pub fn parse(file_name: &str, text: &str, checks: &Checks) -> Result<Config, Vec<ConfigFault>> {
    root::parse(file_name, text, checks)
}

/// Parses a text of a test, of which others check nothing.
#[cfg(test)]
fn tests_parse(text: &str) -> Result<Config, Vec<ConfigFault>> {
    parse("neap.toml", text, &test_checks::CHECKS)
}
