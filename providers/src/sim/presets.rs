//! Ready-made worlds, by the names that a configuration may use.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use fleet::group::{NativePolicy, NativePolicyKind, Owner, Process};
use fleet::{AccountId, Region, Seconds, Timestamp};
use serde::{Deserialize, Serialize};

use super::estate::{EstateFaults, EstateSpec};
use super::load::{Bursts, Episode, Job, Load};
use super::scenario::{
    Act, Calls, Counts, Delivery, Gap, GroupSpec, MetricName, PlannedTrouble, Scenario, Shortage,
    Trouble, TroubleSpec, Workload,
};

pub use fleet::names::{SIMULATED_ACCOUNT as ACCOUNT, SIMULATED_REGION as REGION};

/// How much history a ready-made world has at its start: three weeks, so that weekly models work.
const HISTORY: Seconds = Seconds::days(21);

/// What a configuration says of a simulated cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What every draw comes from: the same seed gives the same world.
    pub seed: u64,
    /// When the simulated clock starts.
    pub start: Timestamp,
    /// How long the world lasts; `None` is [`Preset::duration`].
    pub duration: Option<Seconds>,
    /// Simulated seconds that go by in a real one; `None` is as fast as the machine can.
    pub speed: Option<u32>,
    /// Which world.
    pub scenario: Preset,
    /// So many machines beside its groups, which may be idle. In [`Preset::RoughDay`] what goes
    /// wrong with them is rough, too.
    #[serde(default)]
    pub machines: u32,
}

impl Settings {
    /// What is in the world.
    pub fn contents(&self) -> Scenario {
        let mut scenario = self.scenario.scenario(self.start);
        scenario.estate = EstateSpec::fleet(self.machines);
        if self.scenario == Preset::RoughDay {
            scenario.estate.faults = EstateFaults::rough();
        }
        scenario
    }

    /// When the world ends.
    pub fn ends_at(&self) -> Timestamp {
        self.start + self.duration.unwrap_or(self.scenario.duration())
    }
}

/// A ready-made world: four services, and what happens to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// An ordinary day, with one operator at the console.
    #[default]
    Day,
    /// Fourteen ordinary days.
    FourteenNights,
    /// A day with an outage upstream at 13:00 UTC.
    Outage,
    /// A day with a launch at 09:00 UTC.
    Launch,
    /// A day on which the cloud misbehaves: no machines, throttling, lost answers, late metrics,
    /// failed boots, other writers.
    RoughDay,
    /// A day of fifty groups, tagged `neap:scale = yes`: what a daemon of that size needs.
    Fleet,
    /// A day of machines that are in service within half a minute and serve three minutes later.
    SlowStart,
}

/// A name that no ready-made world has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scenario `{0}`, expected one of {names}", names = Preset::names().join(", "))]
pub struct UnknownPreset(pub String);

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 7] = [
        Preset::Day,
        Preset::FourteenNights,
        Preset::Outage,
        Preset::Launch,
        Preset::RoughDay,
        Preset::Fleet,
        Preset::SlowStart,
    ];

    /// Their names in a configuration, the default first.
    pub const NAMES: [&str; 7] =
        ["day", "fourteen-nights", "outage", "launch", "rough-day", "fleet", "slow-start"];

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Day => "day",
            Preset::FourteenNights => "fourteen-nights",
            Preset::Outage => "outage",
            Preset::Launch => "launch",
            Preset::RoughDay => "rough-day",
            Preset::Fleet => "fleet",
            Preset::SlowStart => "slow-start",
        }
    }

    /// The names of all, in backticks.
    fn names() -> Vec<String> {
        Preset::ALL.iter().map(|preset| format!("`{preset}`")).collect()
    }

    /// How long it lasts, unless the configuration says otherwise.
    pub fn duration(self) -> Seconds {
        match self {
            Preset::FourteenNights => Seconds::days(14),
            _ => Seconds::days(1),
        }
    }

    /// What is in it, when it starts at `start`.
    pub fn scenario(self, start: Timestamp) -> Scenario {
        let mut scenario = Scenario {
            groups: vec![checkout(), search(), render(), payments()],
            history: HISTORY,
            ..Scenario::default()
        };
        let midnight = Timestamp(start.0.div_euclid(86_400) * 86_400);
        let at = |hour: u64, minute: u64| {
            let at = midnight + Seconds::hours(hour) + Seconds::minutes(minute);
            // A time of day that is over when the world starts comes tomorrow.
            if at < start { at + Seconds::days(1) } else { at }
        };
        match self {
            Preset::Day => {
                scenario.acts.push((at(10, 20), "render-asg".to_owned(), Act::Desired(14)));
            }
            Preset::FourteenNights => {}
            Preset::Fleet => scenario.groups = fifty(),
            Preset::Outage => outage(&mut scenario, at(13, 0)),
            Preset::Launch => launch(&mut scenario, at(9, 0)),
            Preset::RoughDay => rough_day(&mut scenario, at),
            Preset::SlowStart => slow_start(&mut scenario),
        }
        scenario
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Preset, UnknownPreset> {
        let found = Preset::ALL.into_iter().find(|preset| preset.name() == text);
        found.ok_or_else(|| UnknownPreset(text.to_owned()))
    }
}

/// The groups of [`fleet`], all in one place and tagged.
fn fifty() -> Vec<GroupSpec> {
    let mut groups = fleet(50, HISTORY).groups;
    for group in &mut groups {
        let plain = plain_group(&group.name);
        (group.account, group.region) = (plain.account, plain.region);
        group.tags.insert("neap:scale".to_owned(), "yes".to_owned());
    }
    groups
}

/// What EC2 calls in service is running; the load balancer knows when it serves. The group without one
/// does not show it.
fn slow_start(scenario: &mut Scenario) {
    for group in &mut scenario.groups {
        group.boot = Seconds(25);
        group.serves_after = Seconds::minutes(3);
        let requests = group.workload.as_ref().map(|work| work.requests.namespace.as_str());
        group.shows_serving = requests == Some("AWS/ApplicationELB");
    }
}

fn outage(scenario: &mut Scenario, from: Timestamp) {
    let until = from + Seconds::minutes(40);
    let episode = Episode::Outage { from, until, remaining: 0.04, errors: 0.15, unhealthy: 0.6 };
    for work in scenario.groups.iter_mut().filter_map(|group| group.workload.as_mut()) {
        work.load.episodes.push(episode);
    }
}

fn launch(scenario: &mut Scenario, from: Timestamp) {
    let (rise, stay) = (Seconds::minutes(45), Seconds::hours(3));
    for group in scenario.groups.iter_mut().filter(|group| group.name == "checkout-asg") {
        if let Some(work) = &mut group.workload {
            work.load.episodes.push(Episode::Launch { from, rise, stay, factor: 2.5 });
        }
    }
}

fn rough_day(scenario: &mut Scenario, at: impl Fn(u64, u64) -> Timestamp) {
    let checkout = || Some("checkout-asg".to_owned());
    for group in &mut scenario.groups {
        group.boot_fails_one_in = 12;
    }
    scenario.shortages = vec![
        Shortage { group: None, zone: Some("sim-1b".to_owned()), from: at(8, 0), until: at(9, 0) },
        Shortage { group: checkout(), zone: None, from: at(11, 0), until: at(11, 20) },
    ];
    scenario.gaps = vec![
        Gap { group: checkout(), from: at(5, 0), until: at(5, 30), late: None },
        Gap { group: None, from: at(15, 0), until: at(15, 20), late: Some(Seconds::minutes(10)) },
    ];
    let planned = |trouble, calls, from: Timestamp, minutes| PlannedTrouble {
        spec: TroubleSpec::everywhere(trouble, calls),
        from,
        until: from + Seconds::minutes(minutes),
    };
    scenario.troubles = vec![
        planned(Trouble::Throttled, Calls::Inventory, at(6, 0), 5),
        planned(Trouble::Unreachable, Calls::Metrics, at(7, 0), 10),
        planned(Trouble::AnswerLost, Calls::Writes, at(9, 30), 10),
        planned(Trouble::Denied, Calls::Writes, at(17, 0), 20),
    ];
    scenario.acts = vec![
        (at(10, 20), "render-asg".to_owned(), Act::Desired(14)),
        (at(12, 30), "checkout-asg".to_owned(), Act::Refresh(Seconds::minutes(40))),
        (at(14, 0), "render-asg".to_owned(), Act::Suspend(Process::Terminate)),
        (at(16, 0), "render-asg".to_owned(), Act::Resume(Process::Terminate)),
        (at(19, 0), "checkout-asg".to_owned(), Act::Desired(8)),
    ];
}

/// A group of interchangeable small machines that carries nothing: to be changed field by field.
pub fn plain_group(name: &str) -> GroupSpec {
    GroupSpec {
        name: name.to_owned(),
        account: AccountId::new(ACCOUNT).expect("a sound constant"),
        region: Region::new(REGION).expect("a sound constant"),
        min: 1,
        max: 40,
        desired: None,
        weight: 1,
        zones: ["sim-1a", "sim-1b", "sim-1c"].map(str::to_owned).to_vec(),
        boot: Seconds(150),
        serves_after: Seconds::ZERO,
        shows_serving: false,
        drain: Seconds(60),
        boot_fails_one_in: 0,
        instance_type: "sim.large".to_owned(),
        price_usd_hourly: 0.1,
        health_check_grace: Seconds::ZERO,
        warm_up: None,
        tags: BTreeMap::new(),
        owner: None,
        new_instances_protected: false,
        policies: Vec::new(),
        native_target: 0.7,
        scheduled: Vec::new(),
        workload: None,
    }
}

/// A service behind a load balancer.
fn balanced(load: Load, capacity_per_unit: f64, group: &str, balancer: &str) -> Workload {
    let of = |metric| MetricName::new("AWS/ApplicationELB", metric, "LoadBalancer", balancer);
    Workload {
        load,
        capacity_per_unit,
        counts: Counts::Served,
        requests: of("RequestCount"),
        errors: of("HTTPCode_ELB_5XX_Count"),
        healthy_hosts: of("HealthyHostCount"),
        utilisation: MetricName::new("AWS/EC2", "CPUUtilization", "AutoScalingGroupName", group),
    }
}

/// A shop with a midday peak: 5 units by night, about 30 at noon.
fn checkout() -> GroupSpec {
    let load = Load {
        base: 600.0,
        daily: 0.6,
        half_daily: 0.12,
        peak_hour: 12.0,
        weekend: 0.75,
        noise: 0.03,
        drift: 0.04,
        ..Load::default()
    };
    GroupSpec {
        min: 2,
        max: 80,
        boot: Seconds(180),
        workload: Some(balanced(load, 50.0, "checkout-asg", "app/checkout/50dc6c495c0c9188")),
        ..plain_group("checkout-asg")
    }
}

/// A search service that a target-tracking policy of the cloud's own looks after too.
fn search() -> GroupSpec {
    let load = Load {
        base: 320.0,
        daily: 0.5,
        half_daily: 0.2,
        peak_hour: 15.0,
        weekend: 0.9,
        noise: 0.04,
        drift: 0.05,
        bursts: Some(Bursts { one_hour_in: 12, height: 120.0, lasting: Seconds::minutes(20) }),
        ..Load::default()
    };
    let policy = NativePolicy {
        name: "keep-cpu-at-60".to_owned(),
        kind: NativePolicyKind::TargetTracking,
        enabled: true,
        scales_in: true,
    };
    GroupSpec {
        min: 2,
        max: 60,
        boot: Seconds(120),
        policies: vec![policy],
        native_target: 0.6,
        workload: Some(balanced(load, 40.0, "search-asg", "app/search/8d1f00e7a3b2c4d5")),
        ..plain_group("search-asg")
    }
}

/// A render farm that works off a queue: a nightly job, and bursts out of nowhere.
fn render() -> GroupSpec {
    let load = Load {
        base: 3.0,
        daily: 0.3,
        peak_hour: 14.0,
        weekend: 0.5,
        noise: 0.1,
        drift: 0.1,
        bursts: Some(Bursts { one_hour_in: 5, height: 20.0, lasting: Seconds::minutes(30) }),
        jobs: vec![Job { at: Seconds::hours(2), lasting: Seconds::minutes(80), rate: 36.0 }],
        ..Load::default()
    };
    let of = |metric| MetricName::new("AWS/SQS", metric, "QueueName", "render-jobs");
    let of_group = |namespace, metric| {
        MetricName::new(namespace, metric, "AutoScalingGroupName", "render-asg")
    };
    let workload = Workload {
        load,
        capacity_per_unit: 2.0,
        counts: Counts::Offered,
        requests: of("NumberOfMessagesSent"),
        errors: of("NumberOfMessagesFailed"),
        healthy_hosts: of_group("AWS/AutoScaling", "GroupInServiceInstances"),
        utilisation: of_group("AWS/EC2", "CPUUtilization"),
    };
    GroupSpec {
        max: 50,
        boot: Seconds(90),
        drain: Seconds(120),
        instance_type: "sim.2xlarge".to_owned(),
        price_usd_hourly: 0.4,
        workload: Some(workload),
        ..plain_group("render-asg")
    }
}

/// A service whose machines belong to an orchestrator: nobody else may size them.
fn payments() -> GroupSpec {
    let load = Load {
        base: 180.0,
        daily: 0.5,
        peak_hour: 12.5,
        weekend: 0.7,
        noise: 0.03,
        drift: 0.03,
        ..Load::default()
    };
    let owner =
        Owner { name: "Karpenter".to_owned(), evidence: "karpenter.sh/nodepool".to_owned() };
    GroupSpec {
        min: 3,
        max: 30,
        desired: Some(12),
        owner: Some(owner),
        workload: Some(balanced(load, 40.0, "payments-nodes", "app/payments/17c0ffee9a8b7c6d")),
        ..plain_group("payments-nodes")
    }
}

/// A fleet for tests of scale: so many groups of about ten units, over two accounts and four
/// regions.
pub fn fleet(groups: usize, history: Seconds) -> Scenario {
    let one = |index: usize| {
        let name = format!("svc-{index:05}");
        let load = Load {
            base: 120.0 + (index % 17) as f64 * 20.0,
            daily: 0.2 + (index % 5) as f64 * 0.1,
            peak_hour: (index % 24) as f64,
            weekend: 0.8,
            noise: 0.03,
            drift: 0.03,
            ..Load::default()
        };
        let place = |names: [&str; 4]| names[index % 4].to_owned();
        let account = if index.is_multiple_of(2) { "111122223333" } else { "444455556666" };
        GroupSpec {
            account: AccountId::new(account).expect("a sound constant"),
            region: Region::new(place(["sim-1", "sim-2", "sim-3", "sim-4"]))
                .expect("a sound constant"),
            workload: Some(balanced(load, 50.0, &name, &format!("app/{name}/1"))),
            ..plain_group(&name)
        }
    };
    Scenario {
        groups: (0..groups).map(one).collect(),
        history,
        delivery: Delivery::default(),
        ..Scenario::default()
    }
}
