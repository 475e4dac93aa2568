//! What goes wrong, by seed and rate.

use fleet::resource::{Fact, Facts, ResourceKind};
use fleet::{Fault, FaultKind, Seconds, Timestamp};

use super::super::random::Stream;
use super::super::world::fault;
use super::spec::EstateFaults;

/// The streams that a machine's stream has for faults.
const UNREAD: u64 = 201;
const USAGE: u64 = 202;
const GAPS: u64 = 203;
const LATE: u64 = 204;
const ORDERS: u64 = 205;

/// How much later than usual a late sample comes.
pub(super) const LATE_BY: Seconds = Seconds::hours(2);
const WEEK: i64 = 7 * 86_400;

/// What a listing meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListingFault {
    Fails,
    Throttled,
    Slow,
}

/// What an order meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderFault {
    Throttled,
    AnswerLost,
    OrderLost,
    NoStock,
}

impl EstateFaults {
    pub(super) fn listing(
        &self,
        calls: Stream,
        place: usize,
        kind: ResourceKind,
        now: Timestamp,
    ) -> Option<ListingFault> {
        let of_place = calls.fork(place as u64 * 16 + kind as u64);
        let minute = now.0.div_euclid(60) as u64;
        let meets = |index: u64, one_in: u32| of_place.fork(index).one_in(minute, one_in);
        if meets(1, self.listing_fails) {
            Some(ListingFault::Fails)
        } else if meets(2, self.listing_throttled) {
            Some(ListingFault::Throttled)
        } else {
            meets(3, self.listing_slow).then_some(ListingFault::Slow)
        }
    }

    /// Takes away facts that cannot be read now.
    pub(super) fn unread(&self, chance: Stream, facts: &mut Facts, now: Timestamp) {
        let hour = now.0.div_euclid(3600) as u64;
        if !chance.fork(UNREAD).one_in(hour, self.facts_unread) {
            return;
        }
        let fault = fault(FaultKind::TimedOut, "DescribeFacts", "no answer in time");
        match chance.fork(UNREAD + 100).bits(hour) % 4 {
            0 => facts.scaling_group = Fact::Unread(Box::new(fault)),
            1 => facts.targets = Fact::Unread(Box::new(fault)),
            2 => facts.alarms = Fact::Unread(Box::new(fault)),
            _ => facts.stop_protected = Fact::Unread(Box::new(fault)),
        }
    }

    pub(super) fn usage_fails(&self, chance: Stream, now: Timestamp) -> bool {
        chance.fork(USAGE).one_in(now.0.div_euclid(60) as u64, self.usage_fails)
    }

    /// Spans within `[from, to)` whose samples are lost.
    pub(super) fn gaps(
        &self,
        chance: Stream,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<(Timestamp, Timestamp)> {
        if self.usage_gaps == 0 {
            return Vec::new();
        }
        let weeks = from.0.div_euclid(WEEK) - 1..=to.0.div_euclid(WEEK);
        let (lost, place) = (chance.fork(GAPS), chance.fork(GAPS + 100));
        weeks
            .filter(|week| lost.one_in(*week as u64, self.usage_gaps))
            .map(|week| {
                let bits = place.bits(week as u64);
                let begins = Timestamp(week * WEEK + (bits % WEEK as u64) as i64);
                (begins, begins + Seconds::hours(1 + (bits >> 32) % 48))
            })
            .filter(|(begins, ends)| *begins < to && *ends > from)
            .collect()
    }

    pub(super) fn is_late(&self, chance: Stream, hour: i64) -> bool {
        chance.fork(LATE).one_in(hour as u64, self.usage_late)
    }

    /// What the order number `order` to a machine meets.
    pub(super) fn order(&self, chance: Stream, order: u64, up: bool) -> Option<OrderFault> {
        let meets = |index: u64, one_in: u32| chance.fork(ORDERS + index).one_in(order, one_in);
        if meets(0, self.orders_throttled) {
            Some(OrderFault::Throttled)
        } else if meets(1, self.answers_lost) {
            Some(OrderFault::AnswerLost)
        } else if meets(2, self.orders_lost) {
            Some(OrderFault::OrderLost)
        } else {
            (up && meets(3, self.no_stock)).then_some(OrderFault::NoStock)
        }
    }
}

pub(super) fn throttled(operation: &str) -> Fault {
    let kind = FaultKind::Throttled { retry_after: None };
    fault(kind, operation, "Throttling: Rate exceeded")
}
