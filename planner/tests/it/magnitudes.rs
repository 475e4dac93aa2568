//! The size does not hang on what demand is counted in: a job an hour is sized as 10^12 a second are.

use fleet::Units;
use planner::Milli;
use planner::memory::Quality;
use planner::policy::CapacityPerUnit;
use proptest::prelude::*;

use crate::world::World;

/// What one cycle sees, for a unit that carries 1.
#[derive(Clone, Debug)]
struct Seen {
    demand: f64,
    lead: f64,
    hold: f64,
    rise: f64,
    loss: f64,
    utilisation: f64,
}

fn seen() -> impl Strategy<Value = Seen> {
    (1.0..40.0f64, 0.5..1.5f64, 0.5..1.5f64, 0.0..0.3f64, 0.0..0.3f64, 0.2..1.0f64).prop_map(
        |(demand, lead, hold, rise, loss, utilisation)| Seen {
            demand,
            lead: demand * lead,
            hold: demand * hold.max(lead),
            rise: demand * rise,
            loss: demand * loss,
            utilisation,
        },
    )
}

/// What is wanted after each cycle, and whether the forecast is trusted.
fn wanted(cycles: &[Seen], unit: f64, given: bool) -> Vec<(Units, Quality, bool)> {
    let mut world = World::new();
    world.pool().capacity_per_unit =
        if given { CapacityPerUnit::Given(unit) } else { CapacityPerUnit::Learn };
    world.pool().max = Some(Units(1_000));
    let mut found = Vec::new();
    for cycle in cycles {
        world.set_demand(cycle.demand * unit);
        world.demand().utilisation = Some(cycle.utilisation);
        world.demand().fastest_rise = cycle.rise * unit;
        let values =
            |value: f64| [0.6, 0.8, 1.0, 1.2, 1.3].map(|n| Milli::per_second(value * n * unit));
        let forecast = world.seen("web").forecast.as_mut().unwrap();
        forecast.lead_milli = values(cycle.lead).into();
        forecast.hold_milli = values(cycle.hold).into();
        forecast.next_milli = values(cycle.demand).into();
        forecast.recent_loss_milli = Milli::per_second(cycle.loss * unit);
        forecast.last_value_loss_milli = Milli::per_second(0.15 * cycle.demand * unit);
        let plan = world.cycle(true);
        let own = plan.findings.iter().find_map(|finding| finding.sizing.clone());
        let sizing = own.or(plan.actions.first().map(|action| action.sizing.clone())).unwrap();
        let memory = &world.memory.services.values().next().unwrap();
        found.push((sizing.wanted, memory.quality, memory.fall.is_some()));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Rounding is one part in a thousand at most, so sizes differ by one at most where demand is that
    /// close to a whole number of units; and nothing smaller than ordinary is treated otherwise.
    #[test]
    fn sizes_are_the_same_in_every_magnitude(
        cycles in prop::collection::vec(seen(), 1..14),
        power in -9i32..11,
        given: bool,
    ) {
        let ordinary = wanted(&cycles, 1_000.0, given);
        let other = wanted(&cycles, 10f64.powi(power), given);
        let pairs = ordinary.iter().zip(&other);
        for ((size, quality, fell), (other, other_quality, other_fell)) in pairs {
            prop_assert!(size.0.abs_diff(other.0) <= 1, "{ordinary:?} {other:?}");
            prop_assert_eq!((quality, fell), (other_quality, other_fell));
        }
    }
}

/// Three jobs in two hours, each an hour of a machine's work.
#[test]
fn jobs_of_an_hour_keep_their_machines() {
    for (demand, unit, most) in [(0.0004, 0.00028, 2), (0.0009, 0.00028, 4), (2e-9, 1e-9, 2)] {
        let mut world = World::new();
        world.pool().capacity_per_unit = CapacityPerUnit::Given(unit);
        world.pool().min = Units(1);
        let mut least = u32::MAX;
        for _ in 0..200 {
            world.set_demand(demand);
            let plan = world.cycle(true);
            let shown = plan.findings.iter().map(|f| format!("{:?} {}", f.sizing, f.hold));
            let shown = shown.collect::<String>() + &format!("{:?}", plan.actions);
            prop_assert_none(&shown);
            least = least.min(world.view().desired.0);
        }
        assert_eq!(least, most, "{demand}/s at {unit}/s a unit");
    }
}

/// What is there is never shown as nothing.
fn prop_assert_none(shown: &str) {
    assert!(!shown.contains("demand_milli: Some(0)") && !shown.contains(" 0/s"), "{shown}");
}
