//! What really happened: what was paid, what was missed. No adapter could know it.

use fleet::{Seconds, Timestamp};
use serde::Serialize;

use super::group::{Body, Setting};

/// The truth about one group since the world's start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ledger {
    /// Unit-seconds paid for, from order to gone.
    pub paid_unit_seconds: u64,
    /// What they cost in US dollars.
    pub paid_usd: f64,
    /// Whole minutes that went by.
    pub minutes: u64,
    /// Minutes whose load was above what the units in service could serve.
    pub violated_minutes: u64,
    /// The highest load of a minute, per second.
    pub peak_load: f64,
    /// The most units in service.
    pub peak_units: u32,
    /// Changes of desired, minimum or maximum that were ordered by a decision of ours.
    pub orders: u64,
    /// Changes by anybody else.
    pub foreign_orders: u64,
}

impl Ledger {
    /// Unit-hours paid for.
    pub fn unit_hours(&self) -> f64 {
        self.paid_unit_seconds as f64 / 3600.0
    }

    /// Violated minutes as a share of all; 0 before the first minute.
    pub fn violated_share(&self) -> f64 {
        if self.minutes == 0 { 0.0 } else { self.violated_minutes as f64 / self.minutes as f64 }
    }
}

/// The truth until `until`.
pub(crate) fn ledger(setting: &Setting, body: &Body, until: Timestamp) -> Ledger {
    let paid_unit_seconds = body.paid.area(setting.start, until);
    let (ours, others): (Vec<_>, Vec<_>) = body.orders.iter().partition(|o| o.decision.is_some());
    let mut ledger = Ledger {
        paid_unit_seconds,
        paid_usd: paid_unit_seconds as f64 / 3600.0 * setting.spec.price_usd_hourly,
        peak_units: body.serving.peak(setting.start, until),
        orders: ours.len() as u64,
        foreign_orders: others.len() as u64,
        ..Ledger::default()
    };
    let mut minute = setting.start;
    while minute + Seconds(60) <= until {
        ledger.minutes += 1;
        if let Some(work) = &setting.spec.workload {
            let load = work.load.rate(&setting.chances, minute);
            ledger.peak_load = ledger.peak_load.max(load);
            let can = setting.serving(body, minute) * work.capacity_per_unit;
            ledger.violated_minutes += u64::from(load > can);
        }
        minute = minute + Seconds(60);
    }
    ledger
}
