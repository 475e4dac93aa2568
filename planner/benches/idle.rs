//! Deciding on 100,000 idle machines and machines on a schedule, all of them seen: within 5 s.

#[path = "../tests/idle_world/mod.rs"]
mod idle_world;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fleet::Seconds;
use idle_world::{EVERY, World, machine, office};
use planner::idle::memory::idle_delta;
use planner::idle::schedule::ScheduleView;

/// Half of the machines are idle and long marked, half on a schedule, all of them waiting: for a
/// cap, for another one of their schedule, or for their hour.
fn fleet(machines: u32) -> World {
    let mut world = World::empty();
    world.rule().grace = Seconds::ZERO;
    world.rule().radius.hour = idle_world::cap(100);
    world.rule().radius.day = idle_world::cap(machines);
    world.schedule().order_tag = Some("order".to_owned());
    let mut seen = Vec::new();
    for n in 0..machines {
        world.snapshot.seen.clear();
        world.add(machine("x"));
        let mut one = world.snapshot.seen.remove(0);
        one.resource.id.id = format!("i-{n:06}");
        one.resource.name = format!("box-{n}");
        if n % 2 == 1 {
            (one.rule, one.evidence) = (None, None);
            one.schedule = Some(ScheduleView { order: n as i32 % 10, ..office() });
        }
        seen.push(one);
    }
    world.snapshot.seen = seen;
    world.snapshot.taken_at = idle_world::START + Seconds::hours(8);
    world.memory.watch.looked_at = Some(world.now() - EVERY);
    let (_, memory) = planner::idle::plan(&world.policy, &world.snapshot, &world.memory);
    world.memory = memory;
    world.wait(EVERY);
    world
}

fn plan(criterion: &mut Criterion) {
    let world = fleet(100_000);
    let mut group = criterion.benchmark_group("idle");
    group.sample_size(10);
    group.bench_function("plan_100000_seen", |bench| {
        bench
            .iter(|| planner::idle::plan(black_box(&world.policy), &world.snapshot, &world.memory));
    });
    let (_, next) = planner::idle::plan(&world.policy, &world.snapshot, &world.memory);
    group.bench_function("delta_100000_seen", |bench| {
        bench.iter(|| idle_delta(black_box(&world.memory), &next));
    });
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
