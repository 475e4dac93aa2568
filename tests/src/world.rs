//! A day in the cloud: demand that arrives by the minute, instances that boot, events by the clock.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use fleet::{Seconds, Timestamp};

use crate::clock::{TestTime, Verdict, World, locked};
use crate::load::Load;
use crate::peers::{Alibaba, Aws, Door, Moto, NewGroup, NewScalingGroup, Point, Proxy};

/// The region of everything on AWS, unless a test says otherwise.
pub const REGION: &str = "us-east-1";
/// The namespace of all demand there: requests at a load balancer, the commonest source.
pub const NAMESPACE: &str = "AWS/ApplicationELB";
/// The metric of all demand there.
pub const METRIC: &str = "RequestCount";

/// What a cloud and its part of a configuration call things.
#[derive(Debug)]
pub struct Words {
    /// The `NAME` of its `[provider.NAME]`.
    pub provider: &'static str,
    /// The `kind` of it.
    pub kind: &'static str,
    /// The region of everything, unless a test says otherwise.
    pub region: &'static str,
    /// The namespace of all demand.
    pub namespace: &'static str,
    /// The metric of all demand.
    pub metric: &'static str,
    /// The dimension that holds the name of the service.
    pub dimension: &'static str,
    /// The operations that set a group's size.
    pub orders: &'static [&'static str],
}

/// AWS.
pub const AWS: Words = Words {
    provider: "aws",
    kind: "aws",
    region: REGION,
    namespace: NAMESPACE,
    metric: METRIC,
    dimension: "LoadBalancer",
    orders: &["SetDesiredCapacity"],
};

/// Alibaba Cloud. The demand is a metric of the user's own, for its load balancers tell a rate.
pub const ALI: Words = Words {
    provider: "ali",
    kind: "alibaba",
    region: "cn-hangzhou",
    namespace: "acs_customMetric_1000000000000001",
    metric: "requests",
    dimension: "service",
    orders: &["ScaleWithAdjustment", "ModifyScalingGroup"],
};

/// A cloud as a day needs it. Whatever is done here, the door neither counts nor troubles it.
pub trait Cloud: Send + Sync + 'static {
    /// What it calls things.
    fn words(&self) -> &'static Words;

    /// Where the program comes to it.
    fn door(&self) -> &Door;

    /// How long instances boot that are ordered from now on.
    fn boot_takes(&self, boot: Seconds);

    /// Makes a group whose members have always been there.
    fn create_group(&self, region: &str, group: &NewGroup);

    /// Puts values of a service's demand into its metric.
    fn put_demand(&self, region: &str, service: &str, points: &[Point]);

    /// Members of a group in service at `at`, as orders stand now; `None` where it is unknown.
    fn in_service_at(&self, group: &str, at: Timestamp) -> Option<u32>;

    /// The desired capacity of a group; `None` where it is unknown.
    fn desired(&self, group: &str) -> Option<u32>;

    /// Its table in a configuration: these regions.
    fn provider(&self, regions: &[&str]) -> String {
        let Words { provider, kind, .. } = self.words();
        let url = self.door().url();
        format!(
            "\n[provider.{provider}]\nkind = \"{kind}\"\nregions = {regions:?}\n\
             endpoint_url = \"{url}\"\n"
        )
    }
}

/// AWS, and the door before it.
#[derive(Debug)]
pub struct Amazon {
    /// The cloud.
    pub moto: Moto,
    /// The door before it.
    pub proxy: Proxy,
}

impl Amazon {
    /// An empty cloud.
    pub fn start(time: TestTime) -> Amazon {
        let moto = Moto::start();
        let proxy = Proxy::start(moto.address(), time);
        Amazon { moto, proxy }
    }

    /// Somebody with a hand in the cloud, whom the door neither counts nor troubles.
    pub fn somebody(&self) -> Aws {
        self.somebody_in(REGION)
    }

    /// The same in another region.
    pub fn somebody_in(&self, region: &str) -> Aws {
        Aws::at(self.proxy.back_door(), region)
    }
}

impl Cloud for Amazon {
    fn words(&self) -> &'static Words {
        &AWS
    }

    fn door(&self) -> &Door {
        &self.proxy
    }

    fn boot_takes(&self, boot: Seconds) {
        self.proxy.boot_takes(boot);
    }

    /// The group is seen once, so that its members count as long there.
    fn create_group(&self, region: &str, group: &NewGroup) {
        let somebody = self.somebody_in(region);
        somebody.create_group(group);
        somebody.desired(&group.name);
    }

    fn put_demand(&self, region: &str, service: &str, points: &[Point]) {
        let dimensions = [(AWS.dimension, service)];
        self.somebody_in(region).put_metric(AWS.namespace, AWS.metric, &dimensions, points);
    }

    fn in_service_at(&self, group: &str, at: Timestamp) -> Option<u32> {
        self.proxy.in_service_at(group, at)
    }

    fn desired(&self, group: &str) -> Option<u32> {
        self.proxy.desired(group)
    }
}

impl Cloud for Alibaba {
    fn words(&self) -> &'static Words {
        &ALI
    }

    fn door(&self) -> &Door {
        self
    }

    fn boot_takes(&self, boot: Seconds) {
        Alibaba::boot_takes(self, boot);
    }

    fn create_group(&self, region: &str, group: &NewGroup) {
        let NewGroup { name, min, max, desired, tags } = group;
        let new = NewScalingGroup::new(region, name, *min, *max, *desired);
        Alibaba::create_group(self, &NewScalingGroup { tags: tags.clone(), ..new });
    }

    /// Metrics are the account's, whatever the region.
    fn put_demand(&self, _region: &str, service: &str, points: &[Point]) {
        self.put_metric(ALI.namespace, ALI.metric, &[(ALI.dimension, service)], points);
    }

    fn in_service_at(&self, group: &str, at: Timestamp) -> Option<u32> {
        Some(Alibaba::in_service_at(self, group, at))
    }

    fn desired(&self, group: &str) -> Option<u32> {
        Some(Alibaba::desired(self, group))
    }
}

/// Cloud and time of one test.
#[derive(Debug)]
pub struct Stage<C = Amazon> {
    /// The cloud, or the clouds.
    pub cloud: C,
    /// The time all of them share.
    pub time: TestTime,
}

impl<C> Deref for Stage<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.cloud
    }
}

impl<C> Stage<C> {
    /// What `cloud` starts, at `start`.
    pub fn at(start: Timestamp, cloud: impl FnOnce(TestTime) -> C) -> Arc<Stage<C>> {
        let time = TestTime::starting(start);
        Arc::new(Stage { cloud: cloud(time.clone()), time })
    }
}

impl<C: Cloud> Stage<C> {
    /// A service's group.
    pub fn service(&self, region: &str, group: &NewGroup) {
        self.create_group(region, group);
    }

    /// The head of a configuration: this cloud, these regions.
    pub fn config(&self, mode: &str, regions: &[&str]) -> String {
        head(mode) + &self.provider(regions)
    }
}

/// The keys at the top of a configuration.
pub fn head(mode: &str) -> String {
    format!("mode = \"{mode}\"\npoll_interval = \"60s\"\n")
}

/// One service of a configuration: a group and its demand, both named after it.
#[derive(Clone, Debug)]
pub struct ServiceText {
    name: String,
    words: &'static Words,
    region: String,
    /// The cloud that measures the demand, where it is another one.
    source: Option<&'static Words>,
    /// Its demand as the configuration has it, where it is no metric of a cloud.
    demand: Option<String>,
    service: String,
    pool: String,
}

impl ServiceText {
    /// A service on AWS with a capacity per unit, in requests a second.
    pub fn new(name: &str, capacity_per_unit: f64) -> ServiceText {
        ServiceText {
            name: name.into(),
            words: &AWS,
            region: REGION.into(),
            source: None,
            demand: None,
            service: String::new(),
            pool: format!("capacity_per_unit = {capacity_per_unit:?}\nactuate = \"desired\"\n"),
        }
    }

    /// A service that leaves it to the program what it sets.
    pub fn choosing(name: &str, capacity_per_unit: f64) -> ServiceText {
        let text = ServiceText::new(name, capacity_per_unit);
        ServiceText { pool: format!("capacity_per_unit = {capacity_per_unit:?}\n"), ..text }
    }

    /// In the region of a cloud.
    pub fn on(self, words: &'static Words) -> ServiceText {
        ServiceText { words, region: words.region.into(), ..self }
    }

    /// In another region.
    pub fn in_region(self, region: &str) -> ServiceText {
        ServiceText { region: region.into(), ..self }
    }

    /// With a demand that another cloud measures.
    pub fn demand_from(self, words: &'static Words) -> ServiceText {
        ServiceText { source: Some(words), ..self }
    }

    /// With a demand that no cloud measures, as the configuration has it.
    pub fn demand(self, text: &str) -> ServiceText {
        ServiceText { demand: Some(text.into()), ..self }
    }

    /// With lines of the service's own.
    pub fn with(mut self, line: &str) -> ServiceText {
        self.service.push_str(&format!("{line}\n"));
        self
    }

    /// With lines of its pool's.
    pub fn pool(mut self, line: &str) -> ServiceText {
        self.pool.push_str(&format!("{line}\n"));
        self
    }

    /// As the configuration has it.
    pub fn text(&self) -> String {
        let ServiceText { name, words, region, source, demand, service, pool } = self;
        let provider = words.provider;
        let from = source.map_or(region.as_str(), |source| source.region);
        let Words { provider: source, namespace, metric, dimension, .. } = source.unwrap_or(words);
        let measured = format!(
            "{{ from = \"{source}\", region = \"{from}\", namespace = \"{namespace}\", metric = \
             \"{metric}\", stat = \"Sum\", dimensions = {{ {dimension} = \"{name}\" }} }}"
        );
        let demand = demand.as_ref().unwrap_or(&measured);
        format!(
            "\n[[service]]\nname = \"{name}\"\ndemand = [{demand}]\n{service}[[service.pool]]\n\
             provider = \"{provider}\"\nregion = \"{region}\"\ngroup = \"{name}\"\n{pool}"
        )
    }
}

/// What a group was like in one minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minute {
    /// Its start.
    pub at: Timestamp,
    /// What came in, in the whole minute.
    pub demand: f64,
    /// Units in service.
    pub in_service: u32,
    /// Units ordered in all.
    pub desired: u32,
}

/// One of the clouds of a stage.
pub type Of<C> = fn(&C) -> &dyn Cloud;

type Event<C> = Box<dyn FnMut(&Stage<C>) + Send>;
type AtPoint = Box<dyn FnMut(&str) -> Verdict + Send>;

/// A world in which demand goes on, whatever the program does.
pub struct Days<C = Amazon> {
    stage: Arc<Stage<C>>,
    loads: Vec<Service<C>>,
    late: Seconds,
    until: Timestamp,
    at_end: Verdict,
    events: BTreeMap<Timestamp, Vec<Event<C>>>,
    at_point: Option<AtPoint>,
}

struct Service<C> {
    name: String,
    region: String,
    /// Whose metric tells its demand; `None` where it is told without the world's doing.
    source: Option<Of<C>>,
    /// Who has its group.
    home: Of<C>,
    load: Load,
    /// Minutes from this one on never reach the metric.
    silent_from: Option<Timestamp>,
    put_until: Timestamp,
    seen: Arc<Mutex<Vec<Minute>>>,
}

impl<C> Days<C> {
    /// A world that ends the program (`TERM`) once its clock comes to `until`.
    pub fn until(stage: &Arc<Stage<C>>, until: Timestamp) -> Days<C> {
        Days {
            stage: Arc::clone(stage),
            loads: Vec::new(),
            late: Seconds(60),
            until,
            at_end: Verdict::Terminate,
            events: BTreeMap::new(),
            at_point: None,
        }
    }

    /// Puts the past of a service's demand into the cloud, and lets it go on. What was seen of it
    /// is told minute by minute in the list that comes back.
    pub fn serve(&mut self, name: &str, region: &str, load: Load) -> Arc<Mutex<Vec<Minute>>>
    where
        C: Cloud,
    {
        self.serve_on([|cloud| cloud, |cloud| cloud], name, region, load)
    }

    /// The same where there are several clouds: the one that measures the demand, in `region`, and
    /// the one that has the group.
    pub fn serve_on(
        &mut self,
        [source, home]: [Of<C>; 2],
        name: &str,
        region: &str,
        load: Load,
    ) -> Arc<Mutex<Vec<Minute>>> {
        self.watch(Some(source), home, name, region, load)
    }

    /// The same where the demand is told by somebody who knows all of it.
    pub fn follow(&mut self, home: Of<C>, name: &str, load: Load) -> Arc<Mutex<Vec<Minute>>> {
        self.watch(None, home, name, "", load)
    }

    fn watch(
        &mut self,
        source: Option<Of<C>>,
        home: Of<C>,
        name: &str,
        region: &str,
        load: Load,
    ) -> Arc<Mutex<Vec<Minute>>> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let put_until = load.start;
        self.loads.push(Service {
            name: name.into(),
            region: region.into(),
            source,
            home,
            load,
            silent_from: None,
            put_until,
            seen: Arc::clone(&seen),
        });
        self.put(self.stage.time.now());
        seen
    }

    /// From `from` on, the metric of a service stops arriving while its load goes on.
    pub fn silence(&mut self, name: &str, from: Timestamp) {
        for service in self.loads.iter_mut().filter(|service| service.name == name) {
            service.silent_from = Some(from);
        }
    }

    /// Something happens when the clock comes to `at`.
    pub fn event(&mut self, at: Timestamp, event: impl FnMut(&Stage<C>) + Send + 'static) {
        self.events.entry(at).or_default().push(Box::new(event));
    }

    /// What is done at the end instead of `TERM`.
    pub fn ending_in(mut self, verdict: Verdict) -> Days<C> {
        self.at_end = verdict;
        self
    }

    /// What happens where the program comes to a named point.
    pub fn at_points(mut self, verdict: impl FnMut(&str) -> Verdict + Send + 'static) -> Days<C> {
        self.at_point = Some(Box::new(verdict));
        self
    }

    /// Puts all minutes into the cloud that have ended long enough ago.
    fn put(&mut self, now: Timestamp) {
        for service in &mut self.loads {
            let arrived = Timestamp(now.0 - self.late.0 as i64 - 59);
            let to = service.silent_from.map_or(arrived, |silent| arrived.min(silent));
            let points = service.load.points(service.put_until, to);
            if let Some(last) = points.last() {
                service.put_until = Timestamp(last.start.0 + 60);
                let Some(source) = service.source else { continue };
                let cloud = source(&self.stage);
                cloud.put_demand(&service.region, &service.name, &points);
            }
        }
    }

    /// Notes every minute that ends by `to`, before anything else changes.
    fn note(&self, to: Timestamp) {
        let from = self.stage.time.now();
        for service in &self.loads {
            let mut seen = locked(&service.seen);
            let next =
                seen.last().map_or(Timestamp(from.0.div_euclid(60) * 60), |minute: &Minute| {
                    Timestamp(minute.at.0 + 60)
                });
            for at in (next.0..to.0).step_by(60).map(Timestamp) {
                let home = (service.home)(&self.stage);
                let in_service = home.in_service_at(&service.name, at);
                let desired = home.desired(&service.name);
                let demand = service.load.at(at);
                if let (Some(demand), Some(in_service), Some(desired)) =
                    (demand, in_service, desired)
                {
                    seen.push(Minute { at, demand, in_service, desired });
                }
            }
        }
    }
}

impl<C: Send + Sync> World for Days<C> {
    fn advance(&mut self, to: Timestamp) -> Verdict {
        self.note(to);
        self.put(to);
        let later = self.events.split_off(&Timestamp(to.0 + 1));
        for (_, events) in std::mem::replace(&mut self.events, later) {
            for mut event in events {
                event(&self.stage);
            }
        }
        if to >= self.until { self.at_end } else { Verdict::Go }
    }

    fn point(&mut self, name: &str) -> Verdict {
        self.at_point.as_mut().map_or(Verdict::Go, |at_point| at_point(name))
    }
}

/// How well a day went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Rises that needed two or more units within the lead time.
    pub ramps: usize,
    /// Those of them whose order preceded the demand by the lead time.
    pub ahead: usize,
    /// Minutes whose demand exceeded what was in service.
    pub violated: usize,
    /// Minutes in all.
    pub minutes: usize,
    /// Units in service on average.
    pub units_mean: f64,
    /// Units that perfect foresight would have had in service on average.
    pub needed_mean: f64,
}

impl Score {
    /// Judges what was seen from `from` on, at a capacity per unit in requests a minute.
    ///
    /// A ramp is a stretch in which the demand (as a mean of five minutes, so that one odd minute
    /// is none) comes to need two or more units more than a lead time before. Its order came ahead
    /// if, whenever it asked for more than before, that much had been ordered a lead time earlier.
    pub fn of(seen: &[Minute], from: Timestamp, capacity: f64, lead: Seconds) -> Score {
        let lead = usize::try_from(lead.0.div_ceil(60)).expect("a short time");
        let need: Vec<u32> = (0..seen.len())
            .map(|n| {
                let around = &seen[n.saturating_sub(2)..(n + 3).min(seen.len())];
                let mean = around.iter().map(|m| m.demand).sum::<f64>() / around.len() as f64;
                (mean / capacity).ceil() as u32
            })
            .collect();
        let first = seen.iter().position(|minute| minute.at >= from).unwrap_or(seen.len());
        let first = first.max(lead);
        let mut score = Score::default();
        let (mut rising, mut ahead, mut top) = (false, true, 0);
        for n in first..seen.len() {
            score.minutes += 1;
            score.units_mean += f64::from(seen[n].in_service);
            score.needed_mean += (seen[n].demand / capacity).ceil().max(1.0);
            if seen[n].demand > f64::from(seen[n].in_service) * capacity {
                score.violated += 1;
            }
            let rises = need[n] >= need[n - lead] + 2;
            if rises && !rising {
                score.ramps += 1;
                (ahead, top) = (true, 0);
            }
            if rises && need[n] > top {
                top = need[n];
                ahead &= seen[n - lead].desired >= need[n];
            }
            if rising && !rises {
                score.ahead += usize::from(ahead);
            }
            rising = rises;
        }
        score.ahead += usize::from(rising && ahead);
        score.units_mean /= score.minutes.max(1) as f64;
        score.needed_mean /= score.minutes.max(1) as f64;
        score
    }

    /// The share of ramps whose order came ahead; 1 without ramps.
    pub fn ahead_share(&self) -> f64 {
        if self.ramps == 0 { 1.0 } else { self.ahead as f64 / self.ramps as f64 }
    }

    /// What was paid as a multiple of what perfect foresight pays.
    pub fn cost(&self) -> f64 {
        self.units_mean / self.needed_mean
    }

    /// The share of minutes with a violation.
    pub fn violated_share(&self) -> f64 {
        self.violated as f64 / self.minutes.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(demand: &[f64], desired: impl Fn(usize) -> u32) -> Vec<Minute> {
        let minutes = demand.iter().enumerate();
        minutes
            .map(|(n, demand)| Minute {
                at: Timestamp(n as i64 * 60),
                demand: *demand,
                in_service: desired(n.saturating_sub(5)),
                desired: desired(n),
            })
            .collect()
    }

    #[test]
    fn an_order_in_time_is_ahead_and_one_at_the_ramp_is_not() {
        let demand: Vec<f64> = (0..60).map(|n| if n < 30 { 95.0 } else { 395.0 }).collect();
        let judge = |ordered: usize| {
            let seen = day(&demand, |n| if n < ordered { 1 } else { 4 });
            Score::of(&seen, Timestamp(0), 100.0, Seconds(300))
        };
        let early = judge(20);
        assert_eq!((early.ramps, early.ahead, early.violated), (1, 1, 0));
        let late = judge(30);
        assert_eq!((late.ramps, late.ahead, late.violated), (1, 0, 5));
    }

    #[test]
    fn one_odd_minute_is_no_ramp_but_a_violation() {
        let mut demand = vec![95.0; 60];
        demand[40] = 250.0;
        let score = Score::of(&day(&demand, |_| 2), Timestamp(0), 100.0, Seconds(300));
        assert_eq!((score.ramps, score.violated, score.minutes), (0, 1, 55));
    }
}
