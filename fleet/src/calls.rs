//! What became of calls to clouds: counted by operation, for status and metrics.

use std::collections::BTreeMap;

/// Upper bounds of the latency buckets in milliseconds; a last bucket holds what is above.
pub const LATENCY_BOUNDS_MS: [u64; 8] = [5, 25, 100, 250, 1_000, 2_500, 10_000, 30_000];

/// What was called. A closed list: it labels metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `Inventory::groups` of an adapter.
    Groups,
    /// `Inventory::group` of an adapter.
    Group,
    /// `Inventory::discover` of an adapter.
    Discover,
    /// `Inventory::activities` of an adapter.
    Activities,
    /// `Metrics::samples` of an adapter.
    Samples,
    /// `GroupWriter::set` of an adapter.
    Set,
    /// `Estate::resources` of an adapter.
    Resources,
    /// `Estate::resource` of an adapter.
    Resource,
    /// `Estate::details` of an adapter.
    Details,
    /// `Estate::usage` of an adapter.
    Usage,
    /// `Estate::prices` of an adapter.
    Prices,
    /// `PowerSwitch::rehearse` of an adapter.
    Rehearse,
    /// `PowerSwitch::order` of an adapter.
    Order,
    /// `PowerSwitch::tag` of an adapter.
    Tag,
    /// `Estate::rented` of an adapter.
    Rented,
    /// `Estate::rents` of an adapter.
    Rents,
}

impl Operation {
    /// A short, stable word for labels.
    pub fn word(self) -> &'static str {
        match self {
            Operation::Groups => "groups",
            Operation::Group => "group",
            Operation::Discover => "discover",
            Operation::Activities => "activities",
            Operation::Samples => "samples",
            Operation::Set => "set",
            Operation::Resources => "resources",
            Operation::Resource => "resource",
            Operation::Details => "details",
            Operation::Usage => "usage",
            Operation::Prices => "prices",
            Operation::Rehearse => "rehearse",
            Operation::Order => "order",
            Operation::Tag => "tag",
            Operation::Rented => "rented",
            Operation::Rents => "rents",
        }
    }
}

/// What became of the calls of one operation since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls made.
    pub count: u64,
    /// Answers that were faults, by [`crate::FaultKind::word`]. A batch may hold several in a call.
    pub faults: BTreeMap<&'static str, u64>,
    /// Calls by how long they took: up to each of [`LATENCY_BOUNDS_MS`], then what is above.
    pub latency: [u64; LATENCY_BOUNDS_MS.len() + 1],
    /// How long all of them took together, in milliseconds.
    pub latency_sum_ms: u64,
    /// Calls that were cut off, since they did not come back by the deadline themselves.
    pub cut_off: u64,
}
