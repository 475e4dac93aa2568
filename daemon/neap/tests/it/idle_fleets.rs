//! A thousand random fleets under random faults: nothing is stopped that was in use, protected,
//! unmarked, in grace, or above the blast radius.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use fleet::usage::Signal;
use fleet::{ProviderName, Seconds, Timestamp};
use journal::{Journal, Options, World as Kind};
use planner::idle::check_idle;
use planner::idle::plan::Verb;
use planner::idle::rule::{Cap, IdlePolicy, Radius};
use planner::policy::Share;
use providers::Now;
use providers::sim::{EstateFaults, EstateSpec, MachineAct, Profile, Scenario, World};

use crate::sim_fleet::{self, Hand, START};

const FLEETS: u64 = 1000;
const LOOKS: u64 = 26;

/// Random numbers by seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn radius(dice: &mut Dice) -> Radius {
    let share = Share::percent(5 + dice.below(40) as u32);
    let hour = Cap { share, at_least: 1 + dice.below(2) as u32 };
    Radius { hour, day: Cap { share: Share::ALL, at_least: 100 } }
}

fn policy(dice: &mut Dice) -> IdlePolicy {
    let mut policy = sim_fleet::policy();
    let rule = &mut policy.rules[0];
    let more = [(Signal::Memory, 50_000), (Signal::Connections, 0), (Signal::Gpu, 5_000)];
    rule.limits.0.extend(more);
    rule.grace = Seconds::hours(2 + dice.below(8));
    rule.observe_first = Seconds::hours(dice.below(3));
    rule.mark_tag = dice.below(2) == 0;
    rule.accept_restart_risk = dice.below(3) == 0;
    rule.radius = radius(dice);
    policy.account_radius = radius(dice);
    policy
}

fn scenario(dice: &mut Dice, start: Timestamp) -> Scenario {
    let mut estate = EstateSpec::fleet(12 + dice.below(20) as u32);
    if dice.below(4) > 0 {
        // Slow answers wait on the machine's own clock: that is tested with the adapters.
        estate.faults = EstateFaults { listing_slow: 0, ..EstateFaults::rough() };
    }
    for _ in 0..dice.below(12) {
        let at = start + Seconds::minutes(dice.below(60 * LOOKS));
        let machine = format!("i-{:06}", dice.below(24));
        let act = match dice.below(8) {
            0 => MachineAct::Start,
            1 => MachineAct::Stop { charged: false },
            2 => MachineAct::Terminate,
            3 => MachineAct::Remake,
            4 => MachineAct::Tag("neap:managed".to_owned(), None),
            5 => MachineAct::Tag("neap:protect".to_owned(), Some("true".to_owned())),
            6 => MachineAct::Join(Some("asg-late".to_owned())),
            _ => MachineAct::Protect(true),
        };
        estate.acts.push((at, machine, act));
    }
    estate.acts.sort_by_key(|(at, ..)| *at);
    Scenario { estate, ..Scenario::default() }
}

/// What a whole run found wrong, and how many stops it made.
async fn life(seed: u64, folder: &std::path::Path) -> (Vec<String>, u64) {
    let mut dice = Dice(seed);
    let start = Timestamp::parse(START).unwrap();
    let hand = Arc::new(Hand(AtomicI64::new(start.0)));
    let name = ProviderName::new("sim").unwrap();
    let policy = policy(&mut dice);
    let scenario = scenario(&mut dice, start);
    let world = World::new(&name, seed, start, &scenario, hand.clone());
    let options = Options { reserve_bytes: 1 << 20, ..Options::default() };
    let kind = Kind::Simulation { seed, scenario: "fleets".to_owned() };
    let (journal, _) = Journal::open(folder, kind, options).unwrap();
    let mut engine = sim_fleet::engine(&world, policy.clone(), folder);
    let stopping = Arc::new(AtomicBool::new(false));
    let mut wrong = Vec::new();
    for _ in 0..LOOKS {
        let now = hand.now();
        let before = engine.memory().clone();
        let looked = engine.look(&journal, now, &stopping).await.unwrap();
        let broken = check_idle(&policy, &looked.snapshot, &before, &looked.plan);
        wrong.extend(broken.iter().map(|violation| format!("seed {seed} at {now}: {violation}")));
        let protected = [
            Profile::StandbyDatabase,
            Profile::Bastion,
            Profile::InScalingGroup,
            Profile::Protected,
        ];
        for action in looked.plan.actions.iter().filter(|a| matches!(a.verb, Verb::Stop(_))) {
            let kind = world.profile(&action.resource);
            if kind.is_some_and(|kind| protected.contains(&kind)) {
                wrong.push(format!("seed {seed}: {} is {kind:?}", action.resource));
            }
        }
        // Jumps of the clock come now and then.
        let jump = if dice.below(60) == 0 { Seconds::days(1) } else { Seconds(0) };
        hand.0.fetch_add((policy.interval.0 + jump.0) as i64, Ordering::SeqCst);
    }
    let again = neap::idle::again(&journal.reader(), start..hand.now()).unwrap();
    wrong.extend(again.different.iter().map(|what| format!("seed {seed}: {what}")));
    if again.same != LOOKS || again.not_compared > 0 {
        wrong.push(format!("seed {seed}: {again:?} of {LOOKS} looks"));
    }
    let mut stops = 0;
    for id in world.machines() {
        for record in world.power_records(&id).iter().filter(|r| !r.up && r.decision.is_some()) {
            stops += 1;
            let used =
                world.last_use(&id, record.at - policy.rules[0].look_back, record.at - Seconds(1));
            if let Some(used) = used {
                let kind = world.profile(&id);
                wrong.push(format!(
                    "seed {seed}: {id} ({kind:?}) was stopped at {} and in use at {used}",
                    record.at
                ));
            }
        }
    }
    (wrong, stops)
}

#[test]
fn a_thousand_fleets_under_faults_lose_nothing_that_was_in_use() {
    let next = AtomicU64::new(0);
    let stops = AtomicU64::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    let memory = std::path::Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= FLEETS {
                        return;
                    }
                    let folder = tempfile::TempDir::new_in(&place).unwrap();
                    let (found, made) = runtime.block_on(life(seed, folder.path()));
                    stops.fetch_add(made, Ordering::SeqCst);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
    let stops = stops.into_inner();
    println!("{stops} stops in {FLEETS} fleets");
    assert!(stops > FLEETS, "{stops} stops in {FLEETS} fleets: too few to show anything");
}
