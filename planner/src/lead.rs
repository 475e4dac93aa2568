//! How long before it is needed a unit must be ordered: the operator's word and what was measured.

use std::fmt;

use fleet::Seconds;
use fleet::group::ServingSign;

use crate::memory::{ServiceMemory, Serving};
use crate::policy::{LeadTimeRule, PoolPolicy};
use crate::snapshot::Launched;

/// Measurements that are enough to stand alone.
pub const ENOUGH: usize = 4;

/// How long from an order until its units serve, and where that is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    /// What is planned with.
    pub time: Seconds,
    /// Whether the operator's value or what was measured decided it.
    pub decided_by: LeadFrom,
    /// What was measured, where anything was.
    pub measured: Option<Measured>,
    /// Launches that are known only to have been in service.
    pub in_service: Option<Launches>,
}

/// Where a lead time is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadFrom {
    /// The operator's lead time and warm-up.
    Operator,
    /// Launches that were seen to serve.
    Measured,
}

/// What was measured until units served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// What told that they did.
    pub told_by: ServingSign,
    /// Launches from nothing.
    pub cold: Option<Launches>,
    /// Launches out of a warm pool. They are not planned with: the pool may be empty.
    pub warm: Option<Launches>,
}

/// So many launches, and how long nine in ten of them took at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launches {
    /// How many.
    pub count: u32,
    /// How long.
    pub took: Seconds,
}

impl Lead {
    /// The lead time of a pool; `memory` is absent for a new service.
    ///
    /// The operator's value is never undercut, unless it says that what is measured counts alone. Then
    /// it holds in place of the measurements that are missing.
    ///
    /// ```
    /// use fleet::Seconds;
    /// use planner::lead::{Lead, LeadFrom};
    /// use planner::memory::ServiceMemory;
    /// # let pool = |lead_time_rule| planner::policy::PoolPolicy {
    /// #     group: fleet::GroupRef {
    /// #         provider: fleet::ProviderName::new("aws").expect("a name"),
    /// #         account: fleet::AccountId::new("111122223333").expect("a name"),
    /// #         region: fleet::Region::new("eu-west-1").expect("a name"),
    /// #         name: "web".to_owned(),
    /// #     },
    /// #     capacity_per_unit: planner::policy::CapacityPerUnit::Learn,
    /// #     target_utilisation: planner::policy::PoolPolicy::TARGET_UTILISATION,
    /// #     lead_time: Seconds::minutes(8),
    /// #     lead_time_rule,
    /// #     warm_up: Seconds(0),
    /// #     actuate: None,
    /// #     min: fleet::Units(1),
    /// #     max: None,
    /// #     cooldown: Seconds(0),
    /// #     hold_window: Seconds(0),
    /// #     override_lease: Seconds(0),
    /// #     max_step_up: None,
    /// #     price_usd_hourly: None,
    /// #     billing_minimum: Seconds(0),
    /// # };
    /// use planner::policy::LeadTimeRule::{AtLeast, Measured};
    ///
    /// let mut memory = ServiceMemory::default();
    /// // Being in service is not serving.
    /// memory.lead_times = vec![32; 6];
    /// let time = |rule, memory: &ServiceMemory| Lead::of(&pool(rule), Some(memory)).time;
    /// assert_eq!(time(AtLeast, &memory), Seconds::minutes(8));
    /// assert_eq!(time(Measured, &memory), Seconds::minutes(8));
    /// memory.serving.cold = vec![200, 210, 220];
    /// assert_eq!(time(Measured, &memory), Seconds::minutes(8));
    /// memory.serving.cold = vec![200, 210, 220, 230];
    /// assert_eq!(time(Measured, &memory), Seconds(230));
    /// assert_eq!(time(AtLeast, &memory), Seconds::minutes(8));
    /// memory.serving.cold = vec![600; 4];
    /// assert_eq!(time(AtLeast, &memory), Seconds(600));
    /// ```
    pub fn of(pool: &PoolPolicy, memory: Option<&ServiceMemory>) -> Lead {
        let operator = pool.lead_time + pool.warm_up;
        let Some(memory) = memory else { return Lead::of_operator(operator) };
        let Serving { told_by, cold, warm } = &memory.serving;
        let of_cold = Launches::of(cold);
        let measured = (!cold.is_empty() || !warm.is_empty()).then(|| Measured {
            told_by: *told_by,
            cold: of_cold,
            warm: Launches::of(warm),
        });
        let lead = Lead {
            measured,
            in_service: Launches::of(&memory.lead_times),
            ..Lead::of_operator(operator)
        };
        let Some(seen) = of_cold else { return lead };
        let alone = pool.lead_time_rule == LeadTimeRule::Measured && cold.len() >= ENOUGH;
        if alone || seen.took > operator {
            Lead { time: seen.took, decided_by: LeadFrom::Measured, ..lead }
        } else {
            lead
        }
    }

    fn of_operator(time: Seconds) -> Lead {
        Lead { time, decided_by: LeadFrom::Operator, measured: None, in_service: None }
    }
}

impl Launches {
    /// `None` of none.
    fn of(seconds: &[u32]) -> Option<Launches> {
        let mut sorted = seconds.to_vec();
        sorted.sort_unstable();
        let last = (sorted.len() * 9).div_ceil(10).checked_sub(1)?;
        let took = Seconds(u64::from(*sorted.get(last)?));
        Some(Launches { count: u32::try_from(sorted.len()).unwrap_or(u32::MAX), took })
    }
}

impl Serving {
    /// Takes in a launch that was seen to serve. What tells it otherwise than those before begins anew.
    pub(crate) fn take(&mut self, launched: &Launched, keep: usize) {
        if self.told_by != launched.told_by {
            *self = Serving { told_by: launched.told_by, ..Serving::default() };
        }
        let list = if launched.warm { &mut self.warm } else { &mut self.cold };
        let seconds = u32::try_from(launched.took.0).unwrap_or(u32::MAX);
        list.drain(..(list.len() + 1).saturating_sub(keep));
        list.push(seconds);
    }
}

impl fmt::Display for Launches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let launches = if self.count == 1 { "launch" } else { "launches" };
        write!(f, "{} {launches} took {}", self.count, self.took)
    }
}

/// As it stands behind a lead time: `configured; 6 launches took 32s to be in service, none was seen
/// to serve`.
impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.decided_by {
            LeadFrom::Operator => "configured",
            LeadFrom::Measured => "measured",
        })?;
        let Some(Measured { told_by, cold, warm }) = self.measured else {
            return match self.in_service {
                Some(seen) => write!(f, "; {seen} to be in service, none was seen to serve"),
                None => f.write_str("; no launch was seen yet"),
            };
        };
        if let Some(cold) = cold {
            write!(f, "; {cold} to serve")?;
        }
        if let Some(warm) = warm {
            write!(f, "; {warm} out of the warm pool")?;
        }
        f.write_str(match told_by {
            ServingSign::WarmUp => ", in service and warmed up",
            ServingSign::Targets => ", by the health of targets",
            ServingSign::Member => ", by the cloud's warm-up states",
            ServingSign::HealthyHosts => ", by healthy hosts",
        })
    }
}
