//! What stands between the program and moto: it speaks what moto does not, and refuses and pages as
//! the cloud does.

mod groups;
mod machines;
mod metrics;
mod power;
mod prices;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use fleet::{Seconds, Timestamp};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use self::groups::{Groups, Order, Seen, groups_in};
use self::machines::Machines;
pub use self::metrics::Series;
use self::metrics::{Metrics, Needed};
use self::wire::{Refusal, Request, made, translated};
use super::door::{Call, Cloud, Door, Refused};
use super::http::{self, Answer};
use crate::clock::{TestTime, locked};

/// The door.
#[derive(Debug)]
pub struct Proxy {
    door: Door,
    shared: Arc<Shared>,
}

impl Deref for Proxy {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.door
    }
}

#[derive(Debug)]
struct Shared {
    moto: SocketAddr,
    time: TestTime,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    groups: Groups,
    machines: Machines,
    metrics: Metrics,
}

impl Proxy {
    /// Opens a door to `moto`, on a free port.
    ///
    /// # Panics
    /// Where no port is free.
    pub fn start(moto: SocketAddr, time: TestTime) -> Proxy {
        let state = State {
            groups: Groups::new(),
            machines: Machines::default(),
            metrics: Metrics::default(),
        };
        let shared = Arc::new(Shared { moto, time, state: Mutex::new(state) });
        Proxy { door: Door::open(Arc::clone(&shared)), shared }
    }

    /// How long instances boot that are ordered from now on.
    pub fn boot_takes(&self, boot: Seconds) {
        locked(&self.shared.state).groups.boot = boot;
    }

    /// How long instances that are in service take until they serve, of those ordered from now on.
    pub fn serves_after(&self, span: Seconds) {
        locked(&self.shared.state).groups.serves_after = span;
    }

    /// The cloud has no more than `limit` machines for a group; `None` lifts it.
    pub fn shortage(&self, group: &str, limit: Option<u32>) {
        let shortages = &mut locked(&self.shared.state).groups.shortages;
        match limit {
            Some(limit) => shortages.insert(group.to_owned(), limit),
            None => shortages.remove(group),
        };
    }

    /// How long stops and starts take that are ordered from now on, in test time.
    pub fn power_takes(&self, span: Seconds) {
        locked(&self.shared.state).machines.takes = span;
    }

    /// When a machine was made and last started, which is now for the peer.
    pub fn born(&self, id: &str, created: Timestamp, started: Timestamp) {
        locked(&self.shared.state).machines.born(id, created, started);
    }

    /// What test time shows.
    pub fn now(&self) -> Timestamp {
        self.shared.time.now()
    }

    /// A machine runs on a host that is paid for as a whole; the peer shows all of them elsewhere.
    pub fn on_host(&self, id: &str) {
        locked(&self.shared.state).machines.on_hosts.insert(id.to_owned());
    }

    /// Whether the cloud has a machine for a start of this instance.
    pub fn has_room_for(&self, id: &str, room: bool) {
        locked(&self.shared.state).machines.room_for(id, room);
    }

    /// The health of a registered target: `unhealthy`; the peer finds all of them healthy.
    pub fn target_is(&self, id: &str, state: &str) {
        locked(&self.shared.state).machines.health.insert(id.to_owned(), state.to_owned());
    }

    /// What a spot instance was asked for by: `persistent` or `one-time`. The peer has no requests.
    pub fn spot_request(&self, instance: &str, kind: &str) {
        locked(&self.shared.state).machines.spot.insert(instance.to_owned(), kind.to_owned());
    }

    /// Values of a metric of a machine, as many as there may be.
    ///
    /// # Panics
    /// In other namespaces than those of machines.
    pub fn put_usage(&self, region: &str, series: &Series<'_>) {
        locked(&self.shared.state).metrics.put_own(region, series);
    }

    /// Answers hold at most so many groups, or values of metrics.
    pub fn page_by(&self, groups: Option<usize>, datapoints: Option<usize>) {
        let mut state = locked(&self.shared.state);
        state.groups.page_groups = groups;
        state.metrics.page_datapoints = datapoints;
    }

    /// Members of a group in service and serving now, in test time; `None` where it was never asked about.
    pub fn in_service(&self, group: &str) -> Option<u32> {
        let now = self.shared.time.now();
        self.in_service_at(group, now)
    }

    /// The desired capacity of a group as it was last seen; `None` where it was never asked about.
    pub fn desired(&self, group: &str) -> Option<u32> {
        locked(&self.shared.state).groups.desired(group)
    }

    /// Members of a group in service and serving at `at`, as orders stand now.
    pub fn in_service_at(&self, group: &str, at: Timestamp) -> Option<u32> {
        locked(&self.shared.state).groups.in_service(group, at)
    }
}

#[async_trait]
impl Cloud for Shared {
    type Request = Request;

    fn parse(
        &self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request> {
        Request::parse(method, target, headers, body)
    }

    fn call(&self, request: &Request) -> Option<Call> {
        if request.harness {
            return None;
        }
        let mut parameters = request.form.clone();
        if let Some(queries) = request.json["MetricDataQueries"].as_array() {
            parameters.insert("MetricDataQueries".into(), queries.len().to_string());
        }
        Some(Call {
            at: self.time.now(),
            service: request.service.clone(),
            region: request.region.clone(),
            access_key: request.access_key.clone(),
            operation: request.operation.clone(),
            parameters,
            group: request.group().map(str::to_owned),
            fault: None,
            effect: false,
            status: None,
        })
    }

    fn refuse(&self, request: &Request, how: Refused) -> Answer {
        let refusal = match how {
            Refused::Throttled => Refusal::throttled(&request.service),
            Refused::Broken => Refusal::broken(),
            Refused::Denied => Refusal::denied(&request.service, &request.operation),
        };
        refusal.answer(request)
    }

    async fn effect(&self, request: &Request) -> Answer {
        let done = match (request.service.as_str(), request.operation.as_str()) {
            ("autoscaling", operation) => self.autoscaling(request, operation).await,
            ("monitoring", operation) => self.monitoring(request, operation).await,
            ("ec2", "DescribeInstances") => self.instances(request).await,
            ("ec2", "StopInstances" | "StartInstances") => self.power(request).await,
            ("ec2", "DescribeSpotInstanceRequests") => {
                let told = locked(&self.state).machines.spot_requests(request);
                Ok(Ok(made("text/xml", told)))
            }
            ("rds", "StopDBInstance" | "StartDBInstance") => self.power_of_database(request).await,
            ("rds", "DescribeDBInstances") => self.databases(request).await,
            ("elasticloadbalancing", "DescribeTargetHealth") => self.health(request).await,
            ("pricing", "GetProducts") => {
                let told = prices::products(request);
                Ok(told.map(|page| made("application/x-amz-json-1.1", page.to_string())))
            }
            _ => self.pass(request).await.map(Ok),
        };
        match done {
            Ok(Ok(answer)) => answer,
            Ok(Err(refusal)) => refusal.answer(request),
            Err(error) => {
                let message = format!("the peer does not answer: {error:#}");
                Refusal::new(500, "InternalFailure", message).answer(request)
            }
        }
    }
}

impl Shared {
    /// The peer's own answer.
    async fn pass(&self, request: &Request) -> Result<Answer> {
        let mut headers = request.headers.clone();
        for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
            headers.remove(name);
        }
        headers.remove("accept-encoding");
        let sent = http::send(
            self.moto,
            request.method.clone(),
            &request.target,
            headers,
            request.body.clone(),
        );
        sent.await
    }

    async fn autoscaling(
        &self,
        request: &Request,
        operation: &str,
    ) -> Result<Result<Answer, Refusal>> {
        match operation {
            "DescribeAutoScalingGroups" => self.describe_groups(request).await,
            "DescribeScalingActivities" => self.describe_activities(request).await,
            "DescribeInstanceRefreshes" => Ok(Ok(made("text/xml", NO_REFRESHES.into()))),
            "SetDesiredCapacity"
            | "UpdateAutoScalingGroup"
            | "SuspendProcesses"
            | "ResumeProcesses" => {
                let name = request.group().unwrap_or_default().to_owned();
                let Some(seen) = self.look(request, &name).await? else {
                    let message = format!(
                        "AutoScalingGroup name not found - AutoScalingGroup: {name} not found"
                    );
                    return Ok(Err(Refusal::invalid(message)));
                };
                match operation {
                    "SetDesiredCapacity" => self.set_desired(request, &seen).await,
                    "UpdateAutoScalingGroup" => self.update(request, &seen).await,
                    _ => self.pass_and_settle(request, &seen).await,
                }
            }
            _ => self.pass(request).await.map(Ok),
        }
    }

    async fn describe_groups(&self, request: &Request) -> Result<Result<Answer, Refusal>> {
        let mut form = request.form.clone();
        let asked = form.get("MaxRecords").and_then(|text| text.parse().ok()).unwrap_or(50_usize);
        if asked > 100 {
            let message = "Maximum number of records must be between 1 and 100";
            return Ok(Err(Refusal::invalid(message)));
        }
        let page = locked(&self.state).groups.page_groups.unwrap_or(asked).min(asked);
        form.insert("MaxRecords".into(), page.to_string());
        let answer = self.pass(&request.with_form(form)).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let now = self.time.now();
        let mut state = locked(&self.state);
        for seen in groups_in(&text) {
            state.groups.observe(&seen, now, None);
        }
        let corrected = state.groups.corrected(&text, now);
        Ok(Ok(Answer { body: Bytes::from(corrected), ..answer }))
    }

    async fn describe_activities(&self, request: &Request) -> Result<Result<Answer, Refusal>> {
        let now = self.time.now();
        let mut arn = None;
        if let Some(name) = request.group() {
            let seen = self.look(request, name).await?;
            arn = Some(seen.as_ref().map_or_else(String::new, |seen| seen.arn.clone()));
            if let Some(seen) = seen {
                locked(&self.state).groups.observe(&seen, now, None);
            }
        }
        let told = locked(&self.state).groups.activities(request, arn.as_deref(), now);
        Ok(told.map(|text| made("text/xml", text)))
    }

    /// A group as the peer has it now.
    async fn look(&self, request: &Request, name: &str) -> Result<Option<Seen>> {
        let form = BTreeMap::from([
            ("Action".to_owned(), "DescribeAutoScalingGroups".to_owned()),
            ("AutoScalingGroupNames.member.1".to_owned(), name.to_owned()),
            ("Version".to_owned(), "2011-01-01".to_owned()),
        ]);
        let answer = self.pass(&request.with_form(form)).await?;
        let text = std::str::from_utf8(&answer.body).context("not UTF-8")?;
        Ok(groups_in(text).into_iter().next())
    }

    async fn set_desired(&self, request: &Request, seen: &Seen) -> Result<Result<Answer, Refusal>> {
        let wanted = request.form.get("DesiredCapacity").and_then(|text| text.parse().ok());
        let wanted: u32 = wanted.context("no DesiredCapacity")?;
        let judged = {
            let mut state = locked(&self.state);
            state.groups.observe(seen, self.time.now(), None);
            state.groups.judge(seen, wanted)
        };
        let order = match judged {
            Ok(order) => order,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let answer = match &order {
            Order::AsAsked => self.pass(request).await?,
            Order::Only { capacity, .. } => {
                let mut form = request.form.clone();
                form.insert("DesiredCapacity".into(), capacity.to_string());
                self.pass(&request.with_form(form)).await?
            }
        };
        self.observe_now(request, &seen.name, None).await?;
        let mut state = locked(&self.state);
        match order {
            Order::AsAsked => state.groups.shows(&seen.arn, None),
            Order::Only { failure, .. } => {
                state.groups.shows(&seen.arn, Some(wanted));
                if let Some(why) = failure {
                    state.groups.failed(&seen.arn, self.time.now(), &why);
                }
            }
        }
        Ok(Ok(answer))
    }

    async fn update(&self, request: &Request, seen: &Seen) -> Result<Result<Answer, Refusal>> {
        let number = |name: &str| request.form.get(name).and_then(|text| text.parse::<u32>().ok());
        let min = number("MinSize").unwrap_or(seen.min);
        let max = number("MaxSize").unwrap_or(seen.max);
        if min > max {
            return Ok(Err(Refusal::invalid(format!(
                "Max bound, {max}, must be greater than or equal to min bound, {min}"
            ))));
        }
        if let Some(desired) = number("DesiredCapacity").filter(|d| !(min..=max).contains(d)) {
            return Ok(Err(Refusal::invalid(format!(
                "Desired capacity:{desired} must be between the specified min size:{min} and max \
                 size:{max}"
            ))));
        }
        locked(&self.state).groups.observe(seen, self.time.now(), None);
        let answer = self.pass(request).await?;
        let desired = number("DesiredCapacity").unwrap_or(seen.desired).clamp(min, max);
        let cause = format!(
            "At {} a user request update of AutoScalingGroup constraints to min: {min}, max: \
             {max}, desired: {desired} changing the desired capacity from {} to {desired}.",
            self.time.now(),
            seen.desired
        );
        self.observe_now(request, &seen.name, Some(&cause)).await?;
        Ok(Ok(answer))
    }

    /// Suspends or resumes; what was ordered meanwhile is launched once it may be.
    async fn pass_and_settle(
        &self,
        request: &Request,
        seen: &Seen,
    ) -> Result<Result<Answer, Refusal>> {
        let answer = self.pass(request).await?;
        let owed = locked(&self.state).groups.owed(&seen.arn);
        if request.operation == "ResumeProcesses"
            && let Some(owed) = owed
        {
            let form = BTreeMap::from([
                ("Action".to_owned(), "SetDesiredCapacity".to_owned()),
                ("AutoScalingGroupName".to_owned(), seen.name.clone()),
                ("DesiredCapacity".to_owned(), owed.to_string()),
                ("Version".to_owned(), "2011-01-01".to_owned()),
            ]);
            let order = request.with_form(form);
            if let Some(now) = self.look(request, &seen.name).await? {
                self.set_desired(&order, &now).await?.ok();
            }
        }
        Ok(Ok(answer))
    }

    async fn observe_now(&self, request: &Request, name: &str, cause: Option<&str>) -> Result<()> {
        if let Some(seen) = self.look(request, name).await? {
            locked(&self.state).groups.observe(&seen, self.time.now(), cause);
        }
        Ok(())
    }

    async fn monitoring(
        &self,
        request: &Request,
        operation: &str,
    ) -> Result<Result<Answer, Refusal>> {
        if operation == "GetMetricData" {
            return self.metric_data(request).await;
        }
        if operation == "PutMetricData" {
            locked(&self.state).metrics.put(&request.region, &request.json);
            if metrics::stays_here(&request.json) {
                let answer = made("application/x-amz-json-1.0", "{}".to_owned());
                return Ok(Ok(translated(request, answer)));
            }
        }
        let answer = if request.wire == wire::Wire::Query {
            self.pass(request).await?
        } else {
            let answer = self.pass(&request.as_json(operation, &request.json)).await?;
            translated(request, answer)
        };
        Ok(Ok(answer))
    }

    async fn metric_data(&self, request: &Request) -> Result<Result<Answer, Refusal>> {
        let needed = metrics::split(&mut locked(&self.state).metrics, &request.json);
        let body = match needed {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(Needed::Page(page)) => page,
            Ok(Needed::Calls(calls)) => {
                let mut answers: Vec<Value> = Vec::new();
                for call in calls {
                    let answer = self.pass(&request.as_json("GetMetricData", &call)).await?;
                    if answer.status != StatusCode::OK {
                        return Ok(Ok(translated(request, answer)));
                    }
                    answers.push(serde_json::from_slice(&answer.body)?);
                }
                let mut state = locked(&self.state);
                metrics::merge(&mut state.metrics, &request.region, &request.json, &answers)
            }
        };
        let answer = made("application/x-amz-json-1.0", body.to_string());
        Ok(Ok(translated(request, answer)))
    }
}

const NO_REFRESHES: &str = "<DescribeInstanceRefreshesResponse \
     xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><DescribeInstanceRefreshesResult>\
     <InstanceRefreshes/></DescribeInstanceRefreshesResult><ResponseMetadata>\
     <RequestId>7f3c09aa-0000-4000-8000-000000000003</RequestId></ResponseMetadata>\
     </DescribeInstanceRefreshesResponse>";
