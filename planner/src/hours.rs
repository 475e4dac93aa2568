//! Hours that a service's operator gave it: a bound from above while they last.
//!
//! What they ask for at least is a floor like that of an event. A bound is the operator's own word: it
//! waits for no proof that fewer units are enough, and for no budget.

use std::collections::BTreeMap;

use fleet::{Seconds, ServiceName, Timestamp, Units};

use crate::cursor::Cursor;
use crate::memory::Memory;
use crate::observe::window;
use crate::policy::{Policy, ServicePolicy};
use crate::snapshot::{Hours, Observation, Snapshot};

/// Hours that bound a service from above, with the most units in them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a> {
    pub hours: &'a Hours,
    pub max: Units,
}

/// The hours at a moment that allow the fewest units; of equal ones those that end last.
fn lowest(hours: &[Hours], at: Timestamp) -> Option<Bound<'_>> {
    let of_then = hours.iter().filter(|hours| hours.from <= at && at < hours.until);
    let bounds = of_then.filter_map(|hours| Some(Bound { hours, max: hours.max? }));
    bounds.min_by_key(|bound| (bound.max, std::cmp::Reverse(bound.hours.until)))
}

/// The hours that bound what is ordered now: what is ordered serves `ahead` later, so that the bound ends
/// by so much earlier, and units are in service when it does.
pub(crate) fn in_force(hours: &[Hours], at: Timestamp, ahead: Seconds) -> Option<Bound<'_>> {
    let (now, then) = (lowest(hours, at)?, lowest(hours, at + ahead)?);
    Some(if then.max > now.max { then } else { now })
}

/// Services whose hours bound them now, each with its policy as it is then.
pub(crate) type Bounded<'a> = BTreeMap<&'a ServiceName, (ServicePolicy, Bound<'a>)>;

/// Those of a snapshot: hours are a maximum, and a minimum above it gives way.
pub(crate) fn bounded<'a>(
    policy: &'a Policy,
    snapshot: &'a Snapshot,
    memory: &Memory,
) -> Bounded<'a> {
    let mut looked = Cursor::over(&snapshot.services);
    let mut found = Bounded::new();
    for (name, service) in &policy.services {
        let Some(seen) = looked.at(name).filter(|seen| !seen.hours.is_empty()) else { continue };
        let ahead = ahead(policy, service, memory.services.get(name));
        let Some(bound) = in_force(&seen.hours, snapshot.taken_at, ahead) else { continue };
        let mut service = service.clone();
        let pool = &mut service.pool;
        pool.max = Some(pool.max.map_or(bound.max, |max| max.min(bound.max)));
        pool.min = pool.min.min(bound.max);
        found.insert(name, (service, bound));
    }
    found
}

/// How long it takes from an order to serving, with the wait for the next look.
pub(crate) fn ahead(
    policy: &Policy,
    service: &ServicePolicy,
    memory: Option<&crate::memory::ServiceMemory>,
) -> Seconds {
    window(&service.pool, memory, policy.poll_interval, Seconds::ZERO).lead()
}

/// Whether hours bounded the service at a moment: what it missed then, its operator did not want.
pub(crate) fn is_bounded(at: Timestamp, seen: &Observation) -> bool {
    lowest(&seen.hours, at).is_some()
}

/// Whether nothing may serve now: of what is measured then, nothing is demand.
pub(crate) fn is_closed(at: Timestamp, seen: &Observation) -> bool {
    lowest(&seen.hours, at).is_some_and(|bound| bound.max == Units(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hours(from: i64, until: i64, max: u32) -> Hours {
        let (from, until) = (Timestamp(from), Timestamp(until));
        Hours { at: format!("{from}"), from, until, min: None, max: Some(Units(max)) }
    }

    #[test]
    fn a_bound_begins_on_the_hour_and_ends_ahead_of_it() {
        let night = [hours(1000, 5000, 0)];
        let bound = |at| in_force(&night, Timestamp(at), Seconds(300)).map(|bound| bound.max.0);
        assert_eq!([999, 1000, 4699].map(bound), [None, Some(0), Some(0)]);
        assert_eq!([4700, 4999, 5000].map(bound), [None, None, None]);
    }

    #[test]
    fn hours_that_follow_each_other_are_one_time() {
        let both = [hours(1000, 5000, 0), hours(5000, 9000, 2)];
        let bound = |at| in_force(&both, Timestamp(at), Seconds(300)).map(|bound| bound.max.0);
        assert_eq!(
            [4699, 4700, 5000, 8699, 8700].map(bound),
            [Some(0), Some(2), Some(2), Some(2), None]
        );
    }

    proptest! {
        /// Nothing is bounded outside hours, and by none but the lowest inside.
        #[test]
        fn the_lowest_of_now_holds_where_it_holds_when_the_order_serves(
            all in prop::collection::vec((0i64..100, 1i64..60, 0u32..5), 0..5),
            at in 0i64..160,
            ahead in 0u64..30,
        ) {
            let all: Vec<Hours> =
                all.into_iter().map(|(from, long, max)| hours(from, from + long, max)).collect();
            let of = |at: i64| {
                all.iter().filter(|h| h.from.0 <= at && at < h.until.0).filter_map(|h| h.max).min()
            };
            let expected = of(at).zip(of(at + ahead as i64)).map(|(now, then)| now.max(then).0);
            let found = in_force(&all, Timestamp(at), Seconds(ahead)).map(|bound| bound.max.0);
            prop_assert_eq!(found, expected);
        }
    }
}
