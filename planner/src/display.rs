//! One wording of plans for log, page, alert and `explain`.

mod numbers;

use std::fmt;

use fleet::Units;
use fleet::group::Process;

use crate::Milli;
use crate::plan::{Action, Bound, BudgetOf, DecidedBy, Finding, Hold, Sizing, What};
use crate::policy::FreezeScope;
use crate::snapshot::{NoAnswer, NoForecast, Window};

pub use numbers::{Missed, TradeSize, When};

impl fmt::Display for NoForecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoForecast::TooLittleHistory { have, need } => {
                write!(f, "{have} samples so far, {need} are needed")
            }
            NoForecast::WaitingForRefit => f.write_str("its model is still being made"),
            NoForecast::Unusable { why } => write!(f, "{why}"),
            NoForecast::NoData => f.write_str("no samples arrive"),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bound::PolicyMin => "the configured `min`",
            Bound::PolicyMax => "the configured `max`",
            Bound::CloudMin => "the group's own minimum",
            Bound::CloudMax => "the group's own maximum",
        })
    }
}

impl fmt::Display for BudgetOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BudgetOf::Group => f.write_str("the group"),
            BudgetOf::Account(account) => write!(f, "account `{account}`"),
            BudgetOf::Fleet => f.write_str("the fleet"),
        }
    }
}

impl fmt::Display for FreezeScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FreezeScope::Decreases => "decreases",
            FreezeScope::All => "all changes",
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Window { sample_age, poll_interval, lead_time, .. } = self;
        let lead = self.lead();
        write!(f, "{lead} = sample age {sample_age} + poll {poll_interval} + lead {lead_time}")
    }
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecidedBy::Forecast => "forecast",
            DecidedBy::ReactiveFloor => "demand now",
            DecidedBy::Minimum => "lower bound",
            DecidedBy::Maximum => "upper bound",
            DecidedBy::LastTrusted => "last trusted value",
            DecidedBy::Event { name, until } => return write!(f, "event `{name}` (until {until})"),
            DecidedBy::Hours { at, until } => return write!(f, "hours `{at}` (until {until})"),
        })
    }
}

/// The reason in short: `forecast wants 8 units: 720 at p99.5 in 7m, 100 a unit`.
impl fmt::Display for Sizing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} wants {}", self.decided_by, self.wanted)?;
        if let (&DecidedBy::Forecast, Some(demand), Some(level)) =
            (&self.decided_by, self.sized_for_milli, self.level)
        {
            let percent = (level.get() * 1e4).round() / 1e2;
            write!(f, " for {}/s at p{percent} within {}", demand, self.window.lead())?;
        }
        if let Some(now) = self.demand_milli {
            write!(f, ", demand now {}/s", now)?;
        }
        if let Some(capacity) = self.capacity_milli {
            write!(f, ", a unit serves {}/s", capacity)?;
        }
        Ok(())
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)?;
        match self.known_at {
            Some(at) => write!(f, "; its groups are known as of {}", When(at)),
            None => f.write_str("; none of its groups is known"),
        }
    }
}

/// `checkout: desired 4 -> 8, forecast wants 8 units for …`
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.change)?;
        if self.dry_run {
            f.write_str(" (dry run)")?;
        }
        write!(f, ", {}", self.sizing)
    }
}

/// `checkout: held, cooling down …; until 2026-03-02T07:05:00Z`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => write!(f, "{service}: ")?,
            None => f.write_str("fleet: ")?,
        }
        match (self.what, &self.hold) {
            (What::Held, Hold::RightSize) | (What::Noted, _) => {}
            (What::Held, _) => f.write_str("held, ")?,
            (What::Narrowed { wanted, to }, _) => {
                write!(f, "limited from {} to {}, ", wanted.0, to)?;
            }
        }
        write!(f, "{}", self.hold)
    }
}

impl What {
    /// In a word, before the reason.
    pub fn verb(self) -> &'static str {
        match self {
            What::Held => "held",
            What::Narrowed { .. } => "limited",
            What::Noted => "note",
        }
    }
}

impl Hold {
    /// A stable word for JSON, metrics and scripts.
    pub fn word(&self) -> &'static str {
        match self {
            Hold::RightSize => "right-size",
            Hold::KillSwitch { .. } => "kill-switch",
            Hold::ObserveOnly => "observe-only",
            Hold::Frozen { .. } => "frozen",
            Hold::Owned { .. } => "owned",
            Hold::NativePolicy { .. } => "native-policy",
            Hold::Override { .. } => "override",
            Hold::Unobserved => "unobserved",
            Hold::GroupUnread { .. } => "group-unread",
            Hold::NoDemand { .. } => "no-demand",
            Hold::DemandStale { .. } => "demand-stale",
            Hold::DemandIncomplete { .. } => "demand-incomplete",
            Hold::Provisional => "provisional",
            Hold::Censored => "censored",
            Hold::Absurd { .. } => "absurd",
            Hold::NoForecast { .. } => "no-forecast",
            Hold::ForecastDistrusted { .. } => "forecast-distrusted",
            Hold::CapacityUnknown { .. } => "capacity-unknown",
            Hold::GroupIsChanging { .. } => "group-is-changing",
            Hold::WarmingUp { .. } => "warming-up",
            Hold::UnknownMembers { .. } => "unknown-members",
            Hold::Refreshing { .. } => "refreshing",
            Hold::Suspended { .. } => "suspended",
            Hold::AtBound { .. } => "at-bound",
            Hold::CoolingDown { .. } => "cooling-down",
            Hold::HoldWindow { .. } => "hold-window",
            Hold::Dwelling { .. } => "dwelling",
            Hold::StepLimit { .. } => "step-limit",
            Hold::OverBudget { .. } => "over-budget",
            Hold::Protected { .. } => "protected",
            Hold::OutageShape { .. } => "outage-shape",
            Hold::BillingMinimum { .. } => "billing-minimum",
            Hold::OrderUnconfirmed { .. } => "order-unconfirmed",
            Hold::OutOfCapacity { .. } => "out-of-capacity",
            Hold::DiskReserve => "disk-reserve",
            Hold::SpendCeiling { .. } => "spend-ceiling",
            Hold::EventFloor { .. } => "event-floor",
            Hold::Shadow { .. } => "shadow",
            Hold::Canary { .. } => "canary",
            Hold::OfferVoid { .. } => "offer-void",
            Hold::Unproven { .. } => "unproven",
            Hold::Unconfirmed { .. } => "unconfirmed",
            Hold::SensorStuck { .. } => "sensor-stuck",
            Hold::FullBelow { .. } => "full-below",
            Hold::FellAlone { .. } => "fell-alone",
            Hold::Disagree { .. } => "disagree",
            Hold::SizedBy { .. } => "sized-by",
            Hold::Undiscovered { .. } => "undiscovered",
            Hold::Deploying { .. } => "deploying",
            Hold::LaunchesFail { .. } => "launches-fail",
            Hold::Hours { .. } => "hours",
            Hold::HoursFloor { .. } => "hours-floor",
        }
    }

    /// What releases it, in words; `None` where nothing is held.
    pub fn releases(&self) -> Option<String> {
        let text = match self {
            Hold::RightSize => return None,
            Hold::KillSwitch { .. } => "removing the file of the kill switch".to_owned(),
            Hold::ObserveOnly => "`mode = \"act\"`".to_owned(),
            Hold::Frozen { until, .. }
            | Hold::Override { until, .. }
            | Hold::CoolingDown { until }
            | Hold::Dwelling { until, .. }
            | Hold::BillingMinimum { until }
            | Hold::Unproven { until, .. }
            | Hold::EventFloor { until, .. }
            | Hold::Hours { until, .. }
            | Hold::HoursFloor { until, .. }
            | Hold::Deploying { until, .. } => format!("time, at {}", When(*until)),
            Hold::LaunchesFail { .. } => "a launch that succeeds".to_owned(),
            Hold::Owned { evidence, .. } => format!("removing `{evidence}`, or this service"),
            Hold::SizedBy { service } => {
                format!("removing `{service}`, or this service: one service a group")
            }
            Hold::Undiscovered { place, .. } => format!("the next answer of {place}"),
            Hold::NativePolicy { .. } => {
                "`actuate = \"floor\"`, or disabling scale-in in that policy".to_owned()
            }
            Hold::Unobserved => "the next cycle that reaches it".to_owned(),
            Hold::GroupUnread { .. } => "the next reading of the group that succeeds".to_owned(),
            Hold::NoDemand { .. } | Hold::DemandStale { .. } | Hold::DemandIncomplete { .. } => {
                "samples arriving again".to_owned()
            }
            Hold::Provisional => "the sample settling".to_owned(),
            Hold::Censored => "a sample below the limits of utilisation and errors".to_owned(),
            Hold::Absurd { .. } => "a sample that can be true".to_owned(),
            Hold::Unconfirmed { .. } => "the next sample".to_owned(),
            Hold::SensorStuck { .. } => "a sample below the limit of utilisation".to_owned(),
            Hold::FullBelow { .. } => "a `capacity_per_unit` that is measured".to_owned(),
            Hold::NoForecast { .. } => "a forecast".to_owned(),
            Hold::ForecastDistrusted { .. } => "an error no higher than last-value's".to_owned(),
            Hold::CapacityUnknown { .. } => {
                "more intervals with utilisation, or a given `capacity_per_unit`".to_owned()
            }
            Hold::GroupIsChanging { .. } | Hold::WarmingUp { .. } => {
                "the group coming to rest".to_owned()
            }
            Hold::UnknownMembers { .. } => "their leaving that state".to_owned(),
            Hold::Refreshing { .. } => "the end of the refresh".to_owned(),
            Hold::Suspended { process } => format!("resuming `{process}`"),
            Hold::AtBound { bound, .. } => format!("changing {bound}"),
            Hold::HoldWindow { .. } => "a forecast that fits the smaller size".to_owned(),
            Hold::StepLimit { .. } => "the next cycle".to_owned(),
            Hold::OverBudget { refills_at, .. } | Hold::Canary { refills_at, .. } => {
                format!("time, at {}", When(*refills_at))
            }
            Hold::Shadow { .. } => "`neap promote`".to_owned(),
            Hold::OfferVoid { .. } => "a new offer of `neap promote`".to_owned(),
            Hold::Protected { .. } => "removing scale-in protection".to_owned(),
            Hold::OutageShape { since, .. } => format!(
                "demand back in its band, an operator's acknowledgement (`neap acknowledge`), or time, at {}",
                When(*since + crate::outage::LASTS)
            ),
            Hold::FellAlone { until, .. } => format!(
                "demand back in its band, utilisation that fell with it, an operator's acknowledgement \
                 (`neap acknowledge`), or time, at {}",
                When(*until)
            ),
            Hold::Disagree { .. } => {
                "demand and utilisation that move together, or an operator's acknowledgement \
                 (`neap acknowledge`)"
                    .to_owned()
            }
            Hold::OrderUnconfirmed { .. } => "a reading that shows its effect".to_owned(),
            Hold::OutOfCapacity { .. } => "the cloud finding machines".to_owned(),
            Hold::DiskReserve => "room on the journal's disk".to_owned(),
            Hold::SpendCeiling { .. } => "a higher ceiling, or cheaper groups".to_owned(),
        };
        Some(text)
    }
}

/// Processes by name: `` `AlarmNotification`, `AZRebalance` ``.
pub struct Processes<'a>(pub &'a [Process]);

impl fmt::Display for Processes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, process) in self.0.iter().enumerate() {
            write!(f, "{}`{process}`", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// A number of units beyond those there are: `2 more units`.
struct More(Units);

impl fmt::Display for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Units(units) = self.0;
        write!(f, "{units} more {}", if units == 1 { "unit" } else { "units" })
    }
}

/// One line: what was found, with its numbers, and what releases it.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason(f)?;
        // Where the line ends with the moment or the remedy, nothing is to be added.
        match self {
            Hold::NoForecast { .. }
            | Hold::ForecastDistrusted { .. }
            | Hold::OutOfCapacity { .. }
            | Hold::StepLimit { .. } => Ok(()),
            Hold::Frozen { until, .. }
            | Hold::Override { until, .. }
            | Hold::CoolingDown { until }
            | Hold::Dwelling { until, .. }
            | Hold::BillingMinimum { until }
            | Hold::Unproven { until, .. }
            | Hold::EventFloor { until, .. }
            | Hold::Hours { until, .. }
            | Hold::HoursFloor { until, .. }
            | Hold::Deploying { until, .. } => write!(f, "; until {}", When(*until)),
            Hold::OverBudget { refills_at, .. } | Hold::Canary { refills_at, .. } => {
                write!(f, " until {}", When(*refills_at))
            }
            _ => match self.releases() {
                Some(releases) => write!(f, "; released by {releases}"),
                None => Ok(()),
            },
        }
    }
}

impl Hold {
    fn reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::RightSize => f.write_str("the size is right"),
            Hold::KillSwitch { why } => write!(f, "the kill switch is thrown: {why}"),
            Hold::ObserveOnly => f.write_str("mode is `observe`: the change is only shown"),
            Hold::Shadow { why, since } => {
                write!(f, "in shadow since {since} ({why}): the change is only shown")
            }
            Hold::Canary { share, left, .. } => {
                write!(
                    f,
                    "a canary has {share} of its removal budget, which allows {}",
                    More(*left)
                )
            }
            Hold::Unproven { kept, .. } => {
                write!(f, "it is not proven yet that fewer than {kept} are enough")
            }
            Hold::OfferVoid { by } => {
                write!(f, "the promotion by {by} is void, configuration or stage have changed")
            }
            Hold::Frozen { name, scope, .. } => write!(f, "freeze window `{name}` stops {scope}"),
            Hold::Owned { owner, evidence } => {
                write!(f, "{owner} owns the group, as `{evidence}` says")
            }
            Hold::SizedBy { service } => write!(f, "the group is sized by service `{service}`"),
            Hold::Undiscovered { place, why } => {
                write!(f, "since {} groups in {place} cannot be looked for: {why}", When(why.since))
            }
            Hold::NativePolicy { name } => {
                write!(f, "the group's own policy `{name}` may scale in too")
            }
            Hold::Override { who, from, to, .. } => {
                write!(f, "somebody else changed {who} ({} -> {})", from.0, to.0)
            }
            Hold::Unobserved => f.write_str("it was not read in this cycle"),
            Hold::GroupUnread { fault } => write!(f, "the group could not be read: {fault}"),
            _ => self.reason_of_data(f),
        }
    }

    fn reason_of_data(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::NoDemand { fault: Some(fault) } => write!(f, "demand is not known: {fault}"),
            Hold::NoDemand { fault: None } => f.write_str("demand is not known"),
            Hold::DemandStale { age, limit } => {
                write!(f, "the newest sample of demand is {age} old, the limit is {limit}")
            }
            Hold::DemandIncomplete { missing } => {
                write!(f, "metrics of {missing} of demand are missing")
            }
            Hold::Provisional => f.write_str("only samples that may still change call for less"),
            Hold::Censored => f.write_str("capacity was full, so demand is at least what was seen"),
            Hold::Absurd { what } => write!(f, "{what} cannot be true"),
            Hold::NoForecast { why } => {
                write!(f, "no forecast ({why}): current demand decides alone")
            }
            Hold::ForecastDistrusted { loss_percent } => write!(
                f,
                "the forecast is not used: its recent error is {loss_percent}% of last-value's"
            ),
            Hold::CapacityUnknown { have, need } => {
                write!(f, "a unit's capacity is not known yet, {have} intervals of {need}")
            }
            Hold::Unconfirmed { demand_milli, known_milli } => write!(
                f,
                "demand of {demand_milli}/s is beyond all that was seen ({known_milli}/s) \
                 and buys one step"
            ),
            Hold::SensorStuck { units } => write!(
                f,
                "`utilisation` stays full with {units}, however many are added: \
                 the sensor is not believed"
            ),
            Hold::FullBelow { carries_milli, given_milli } => write!(
                f,
                "a unit is full at {carries_milli}/s, the capacity given is {given_milli}/s"
            ),
            Hold::OutageShape { fallen, of, since } => write!(
                f,
                "demand collapsed as in an outage at {since}, in {fallen} of {of} services"
            ),
            Hold::FellAlone { since, .. } => {
                write!(f, "demand collapsed at {since}, and nothing shows that it is true")
            }
            Hold::Disagree { since, demand_milli, with_milli } => write!(
                f,
                "demand and utilisation disagree since {since}: units are as busy as at \
                 {with_milli}/s, demand says {demand_milli}/s"
            ),
            _ => self.reason_of_group(f),
        }
    }

    fn reason_of_group(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::GroupIsChanging { pending, terminating } => {
                write!(f, "{pending} launching and {terminating} terminating")
            }
            Hold::WarmingUp { units } => write!(f, "{units} still warming up"),
            Hold::UnknownMembers { units } => {
                write!(f, "{units} in a state this version does not know")
            }
            Hold::Refreshing { id } => write!(f, "instance refresh `{id}` is under way"),
            Hold::Deploying { suspended, .. } => {
                write!(f, "{} are suspended, as in a deployment", Processes(suspended))
            }
            Hold::LaunchesFail { short, why } => {
                write!(f, "launches fail, {short} ordered and missing: `{why}`")
            }
            Hold::Hours { at, max, .. } => write!(f, "its hours `{at}` allow at most {max}"),
            Hold::HoursFloor { at, floor, .. } => {
                write!(f, "its hours `{at}` keep at least {floor}")
            }
            Hold::Suspended { process } => write!(f, "process `{process}` is suspended"),
            Hold::AtBound { bound, value } => write!(f, "{bound} is {value}"),
            Hold::CoolingDown { .. } => f.write_str("the size changed recently"),
            Hold::HoldWindow { needed, window } => {
                write!(f, "{needed} may be needed again within {window}")
            }
            Hold::Dwelling { most, .. } => {
                write!(
                    f,
                    "demand has not fitted the smaller size long enough: it needed up to {most}"
                )
            }
            Hold::EventFloor { name, floor, .. } => {
                write!(f, "event `{name}` keeps at least {floor}")
            }
            Hold::StepLimit { step } => write!(f, "a step up is at most {step}"),
            Hold::OverBudget { budget, left, .. } => {
                write!(f, "the removal budget of {budget} allows {}", More(*left))
            }
            Hold::Protected { protected } => {
                write!(f, "{protected} protected from scale-in")
            }
            Hold::BillingMinimum { .. } => f.write_str("the newest units are already paid for"),
            Hold::OrderUnconfirmed { decision } => {
                write!(f, "the result of decision `{decision}` is not known")
            }
            Hold::OutOfCapacity { short } => {
                write!(f, "the cloud has no machines now: {short} ordered and missing")
            }
            Hold::DiskReserve => f.write_str("the journal has only its reserve left"),
            Hold::SpendCeiling { usd_milli_hourly } => {
                write!(f, "the spend ceiling is {} USD an hour", Milli::whole(*usd_milli_hourly))
            }
            _ => Ok(()),
        }
    }
}
