//! Planning 10,000 services from a ready snapshot: under 50 ms.

#[path = "../tests/world/mod.rs"]
mod world;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use planner::memory::delta;
use world::World;

/// Services that have lived for a while: a third grows, a third shrinks, a third is right.
fn fleet(services: u32) -> World {
    let mut world = World::empty();
    world.policy.budgets = planner::policy::Budgets::default();
    for n in 0..services {
        world.add(&format!("service-{n:05}"));
    }
    for cycle in 0..20 {
        for n in 0..services {
            let value = 700.0 + f64::from((n * 37 + cycle * 11) % 300);
            world.demand_of(&format!("service-{n:05}"), value);
        }
        let _ = world.cycle(true);
    }
    world
}

fn plan(criterion: &mut Criterion) {
    let world = fleet(10_000);
    criterion.bench_function("plan_10000_services", |bench| {
        bench.iter(|| planner::plan(black_box(&world.policy), &world.snapshot, &world.memory));
    });
    let (_, next) = planner::plan(&world.policy, &world.snapshot, &world.memory);
    criterion.bench_function("delta_10000_services", |bench| {
        bench.iter(|| delta(black_box(&world.memory), &next));
    });
}

criterion_group!(benches, plan);
criterion_main!(benches);
