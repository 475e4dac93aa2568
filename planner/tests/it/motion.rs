//! Groups in motion, in whatever order members come and go: a scale-in never takes what is needed.

use fleet::{Change, Seconds, Units};
use planner::snapshot::{OrderOutcome, OrderResult};
use proptest::prelude::*;

use crate::world::World;

/// What happens to a group between two looks.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many units of those on their way begin to serve; they warm up for a while.
    Come(u32),
    /// So many warm units are told from cold ones no longer.
    Warm(u32),
    /// So many that serve fall sick, and others are started in their place.
    Sicken(u32),
    /// So many that are on their way out are gone; drains of others go on for ever.
    Gone(u32),
    /// Demand, in units that carry it.
    Demand(u32),
    /// So much time without anything.
    Wait(u32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (1u32..6).prop_map(Event::Come),
        3 => (1u32..6).prop_map(Event::Warm),
        2 => (1u32..4).prop_map(Event::Sicken),
        1 => (1u32..6).prop_map(Event::Gone),
        4 => (1u32..30).prop_map(Event::Demand),
        2 => (1u32..20).prop_map(Event::Wait),
    ]
}

/// A group whose cloud takes those that serve first, and whose launches need not come.
#[derive(Clone, Copy, Debug)]
struct Group {
    desired: u32,
    /// In service, those that warm up among them.
    in_service: u32,
    warming: u32,
    pending: u32,
    terminating: u32,
}

impl Group {
    fn serving(&self) -> u32 {
        self.in_service - self.warming
    }

    fn meet(&mut self, event: Event) {
        match event {
            Event::Come(units) => {
                let came = units.min(self.pending);
                self.pending -= came;
                self.in_service += came;
                self.warming += came;
            }
            Event::Warm(units) => self.warming -= units.min(self.warming),
            Event::Sicken(units) => {
                let sick = units.min(self.serving());
                self.in_service -= sick;
                self.terminating += sick;
                self.pending += sick;
            }
            Event::Gone(units) => self.terminating -= units.min(self.terminating),
            Event::Demand(_) | Event::Wait(_) => {}
        }
    }

    /// What the cloud makes of an order, at its worst.
    fn order(&mut self, to: u32) {
        let counted = self.in_service + self.pending;
        self.desired = to;
        if to >= counted {
            self.pending += to - counted;
            return;
        }
        let taken = (counted - to).min(self.serving());
        self.in_service -= taken;
        self.terminating += taken;
        let rest = counted - to - taken;
        let warm = rest.min(self.warming);
        self.warming -= warm;
        self.in_service -= warm;
        self.pending -= rest - warm;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// After a decrease those that serve carry what they had to, though the cloud takes them first and
    /// none of the others ever comes.
    #[test]
    fn a_scale_in_leaves_enough_that_serve_now(
        start in 1u32..20,
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new();
        world.pool().cooldown = Seconds(60);
        let mut group =
            Group { desired: start, in_service: start, warming: 0, pending: 0, terminating: 0 };
        let mut demand = start;
        for event in events {
            group.meet(event);
            if let Event::Demand(units) = event {
                demand = units;
                world.expect_any_fall();
            }
            let minutes = if let Event::Wait(minutes) = event { minutes } else { 1 };
            for _ in 0..minutes {
                let view = world.view();
                (view.desired, view.in_service) = (Units(group.desired), Units(group.in_service));
                (view.pending, view.warming) = (Units(group.pending), Units(group.warming));
                view.terminating = Units(group.terminating);
                world.set_demand(f64::from(demand) * 100.0 - 1.0);
                let at = world.snapshot.taken_at;
                let plan = world.cycle(false);
                let Some(action) = plan.actions.first() else { continue };
                let Change::Desired { from, to } = action.change else { panic!("{action}") };
                let before = group.serving();
                group.order(to.0);
                world.seen("web").outcomes.push(OrderOutcome {
                    decision: at.to_string(),
                    at,
                    change: action.change,
                    result: OrderResult::Applied,
                });
                prop_assert!(
                    to > from || group.serving() >= demand.min(before),
                    "{action}: {before} served, {} do, {demand} are needed", group.serving()
                );
            }
        }
    }

    /// A group that comes to rest is made as small as is right, whatever drains go on beside it.
    #[test]
    fn what_drains_for_hours_stops_no_scale_in(draining in 0u32..10, needed in 1u32..9) {
        let mut world = World::new();
        world.pool().cooldown = Seconds(60);
        for _ in 0..30 {
            world.view().terminating = Units(draining);
            world.expect_any_fall();
            world.set_demand(f64::from(needed) * 100.0 - 1.0);
            let _ = world.cycle(true);
        }
        prop_assert_eq!(world.view().desired, Units(needed));
    }
}
