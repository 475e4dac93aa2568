//! The cloud's front door: between the program and moto, it speaks what moto does not, refuses and
//! pages as the cloud does, counts every call, and goes wrong where a test says so.

mod groups;
mod metrics;
mod rules;
mod wire;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use planner::{Seconds, Timestamp};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::groups::{Groups, Order, Seen, groups_in};
use self::metrics::{Metrics, Needed};
pub use self::rules::{Fault, Gate, Rule, Then, Times};
use self::wire::{Refusal, Request, made, translated};
use super::http::{self, Answer};
use crate::clock::{TestTime, locked};

/// A call that came to the door.
#[derive(Clone, Debug)]
pub struct Call {
    /// When, in test time.
    pub at: Timestamp,
    /// `autoscaling`, `ec2`, `monitoring` or `sts`.
    pub service: String,
    /// The region of its signature.
    pub region: String,
    /// Whose signature.
    pub access_key: String,
    /// The operation, as the cloud names it.
    pub operation: String,
    /// The parameters of a query call; of a metric call only the number of queries.
    pub parameters: BTreeMap<String, String>,
    /// What went wrong on purpose.
    pub fault: Option<&'static str>,
    /// Whether the cloud took it; also where nobody heard the answer.
    pub effect: bool,
    /// The status it was answered with; `None` while it is under way or where it was cut.
    pub status: Option<u16>,
}

impl Call {
    /// Whether it changes anything.
    pub fn writes(&self) -> bool {
        let reads = ["Describe", "Get", "List", "AssumeRole"];
        !reads.iter().any(|start| self.operation.starts_with(start))
    }

    /// The group it is about.
    pub fn group(&self) -> Option<&str> {
        self.parameters.get("AutoScalingGroupName").map(String::as_str)
    }

    /// A numeric parameter.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.parameters.get(name)?.parse().ok()
    }
}

/// The door.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    plug: Mutex<Plug>,
    back_door: SocketAddr,
    back_plug: Plug,
}

/// What serves the address; all of it ends with the sender.
#[derive(Debug)]
struct Plug {
    accepting: Option<JoinHandle<()>>,
    unplugged_by_drop: watch::Sender<()>,
}

#[derive(Debug)]
struct Shared {
    moto: SocketAddr,
    time: TestTime,
    state: Mutex<State>,
    under_way: watch::Sender<u32>,
}

#[derive(Debug)]
struct State {
    calls: Vec<Call>,
    rules: BTreeMap<u64, Rule>,
    rules_made: u64,
    groups: Groups,
    metrics: Metrics,
}

/// A rule's number, to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

impl Proxy {
    /// Opens a door to `moto`, on a free port.
    ///
    /// # Panics
    /// Where no port is free.
    pub fn start(moto: SocketAddr, time: TestTime) -> Proxy {
        let state = State {
            calls: Vec::new(),
            rules: BTreeMap::new(),
            rules_made: 0,
            groups: Groups::new(),
            metrics: Metrics::default(),
        };
        let under_way = watch::channel(0).0;
        let shared = Arc::new(Shared { moto, time, state: Mutex::new(state), under_way });
        let (address, plug) = plugged((Ipv4Addr::LOCALHOST, 0).into(), &shared);
        let (back_door, back_plug) = plugged((Ipv4Addr::LOCALHOST, 0).into(), &shared);
        Proxy { address, shared, plug: Mutex::new(plug), back_door, back_plug }
    }

    /// From now on nobody listens, and all connections are gone.
    pub fn unplug(&self) {
        let accepting = {
            let mut plug = locked(&self.plug);
            plug.unplugged_by_drop = watch::channel(()).0;
            plug.accepting.take()
        };
        if let Some(accepting) = accepting {
            accepting.abort();
            // Its end is the listener's end.
            let _ = http::blocking(accepting);
        }
    }

    /// Somebody listens again, where it was before.
    pub fn plug_in(&self) {
        let mut plug = locked(&self.plug);
        if plug.accepting.is_none() {
            *plug = plugged(self.address, &self.shared).1;
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens to the tests themselves, even when it is unplugged.
    pub fn back_door(&self) -> SocketAddr {
        self.back_door
    }

    /// Where it listens, as an endpoint of the configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All calls of the program so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        locked(&self.shared.state).calls.clone()
    }

    /// The calls that change anything.
    pub fn writes(&self) -> Vec<Call> {
        self.calls().into_iter().filter(Call::writes).collect()
    }

    /// How many calls of an operation came.
    pub fn count(&self, operation: &str) -> usize {
        let state = locked(&self.shared.state);
        state.calls.iter().filter(|call| call.operation == operation).count()
    }

    /// Lets something go wrong from now on.
    pub fn inject(&self, rule: Rule) -> RuleId {
        let mut state = locked(&self.shared.state);
        state.rules_made += 1;
        let id = state.rules_made;
        state.rules.insert(id, rule);
        RuleId(id)
    }

    /// Takes a rule back.
    pub fn remove(&self, rule: RuleId) {
        locked(&self.shared.state).rules.remove(&rule.0);
    }

    /// Takes all rules back.
    pub fn heal(&self) {
        locked(&self.shared.state).rules.clear();
    }

    /// Waits until no call is under way: late effects have happened.
    ///
    /// # Panics
    /// Where one is still under way after a minute.
    pub fn settle(&self) {
        let mut under_way = self.shared.under_way.subscribe();
        let settled = http::blocking(async move {
            let none = under_way.wait_for(|count| *count == 0);
            tokio::time::timeout(Duration::from_secs(60), none).await.is_ok()
        });
        assert!(settled, "a call is still under way");
    }

    /// How long instances boot that are ordered from now on.
    pub fn boot_takes(&self, boot: Seconds) {
        locked(&self.shared.state).groups.boot = boot;
    }

    /// The cloud has no more than `limit` machines for a group; `None` lifts it.
    pub fn shortage(&self, group: &str, limit: Option<u32>) {
        let shortages = &mut locked(&self.shared.state).groups.shortages;
        match limit {
            Some(limit) => shortages.insert(group.to_owned(), limit),
            None => shortages.remove(group),
        };
    }

    /// Answers hold at most so many groups, or values of metrics.
    pub fn page_by(&self, groups: Option<usize>, datapoints: Option<usize>) {
        let mut state = locked(&self.shared.state);
        state.groups.page_groups = groups;
        state.metrics.page_datapoints = datapoints;
    }

    /// Members of a group in service now, in test time; `None` where it was never asked about.
    pub fn in_service(&self, group: &str) -> Option<u32> {
        let now = self.shared.time.now();
        self.in_service_at(group, now)
    }

    /// The desired capacity of a group as it was last seen; `None` where it was never asked about.
    pub fn desired(&self, group: &str) -> Option<u32> {
        locked(&self.shared.state).groups.desired(group)
    }

    /// Members of a group in service at `at`, as orders stand now.
    pub fn in_service_at(&self, group: &str, at: Timestamp) -> Option<u32> {
        locked(&self.shared.state).groups.in_service(group, at)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let front = locked(&self.plug);
        for accepting in [&front.accepting, &self.back_plug.accepting].into_iter().flatten() {
            accepting.abort();
        }
    }
}

/// The call was cut: the connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
struct Cut;

fn plugged(at: SocketAddr, shared: &Arc<Shared>) -> (SocketAddr, Plug) {
    let listener = http::blocking(TcpListener::bind(at)).expect("a port for the proxy");
    let address = listener.local_addr().expect("the port's number");
    let serving = Arc::clone(shared);
    let (unplugged, watching) = watch::channel(());
    let accepting = http::runtime().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut ended = watching.clone();
            let serving = serve(Arc::clone(&serving), stream);
            tokio::spawn(async move {
                tokio::select! {
                    () = serving => {}
                    _ = ended.changed() => {}
                }
            });
        }
    });
    (address, Plug { accepting: Some(accepting), unplugged_by_drop: unplugged })
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            // A task of its own: an effect under way happens even if the program dies meanwhile.
            let task = tokio::spawn(async move { shared.counting(request).await });
            task.await.unwrap_or(Err(Cut))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Shared {
    /// Counts what is under way, so that a test can wait for late effects.
    async fn counting(
        &self,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Cut> {
        self.under_way.send_modify(|count| *count += 1);
        let answer = self.take(request).await;
        self.under_way.send_modify(|count| *count -= 1);
        answer
    }

    async fn take(&self, request: hyper::Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let request = Request::parse(parts.method, target, parts.headers, body);
        let answer = match request {
            Ok(request) => self.answer(&request).await?,
            Err(error) => made("text/plain", format!("the tests' proxy: {error:#}")),
        };
        let mut response = Response::new(Full::new(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
            response.headers_mut().remove(name);
        }
        Ok(response)
    }

    /// Counts the call, lets go wrong what should, and answers.
    async fn answer(&self, request: &Request) -> Result<Answer, Cut> {
        if request.harness {
            return Ok(self.effect(request).await);
        }
        let (number, fault) = self.counted(request);
        match &fault {
            Some(Fault::Slow(span)) => tokio::time::sleep(*span).await,
            Some(Fault::Dead) => std::future::pending().await,
            Some(Fault::Before(hook) | Fault::Both(hook, _)) => run(hook.clone()).await?,
            _ => {}
        }
        let refusal = match &fault {
            Some(Fault::Throttled) => Some(Refusal::throttled(&request.service)),
            Some(Fault::Broken) => Some(Refusal::broken()),
            Some(Fault::Denied) => Some(Refusal::denied(&request.service, &request.operation)),
            _ => None,
        };
        let answer = match refusal {
            Some(refusal) => refusal.answer(request),
            None => self.effect(request).await,
        };
        locked(&self.state).calls[number].effect = answer.status.is_success();
        if let Some(Fault::After(hook) | Fault::Both(_, hook)) = &fault {
            run(hook.clone()).await?;
        }
        locked(&self.state).calls[number].status = Some(answer.status.as_u16());
        Ok(answer)
    }

    fn counted(&self, request: &Request) -> (usize, Option<Fault>) {
        let mut state = locked(&self.state);
        let struck = state.rules.values_mut().find_map(|rule| {
            let strikes = rule.strikes(request);
            strikes.then(|| rule.fault.clone())
        });
        let mut parameters = request.form.clone();
        if let Some(queries) = request.json["MetricDataQueries"].as_array() {
            parameters.insert("MetricDataQueries".into(), queries.len().to_string());
        }
        let call = Call {
            at: self.time.now(),
            service: request.service.clone(),
            region: request.region.clone(),
            access_key: request.access_key.clone(),
            operation: request.operation.clone(),
            parameters,
            fault: struck.as_ref().map(Fault::word),
            effect: false,
            status: None,
        };
        state.calls.push(call);
        (state.calls.len() - 1, struck)
    }

    /// What the cloud does and says.
    async fn effect(&self, request: &Request) -> Answer {
        let done = match (request.service.as_str(), request.operation.as_str()) {
            ("autoscaling", operation) => self.autoscaling(request, operation).await,
            ("monitoring", operation) => self.monitoring(request, operation).await,
            ("ec2", "DescribeInstances") => self.instances(request).await,
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

    async fn instances(&self, request: &Request) -> Result<Result<Answer, Refusal>> {
        let answer = self.pass(request).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let corrected = locked(&self.state).groups.launch_times(&text);
        Ok(Ok(Answer { body: Bytes::from(corrected), ..answer }))
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

/// Runs a hook where it may block.
async fn run(hook: Arc<dyn Fn() -> Then + Send + Sync>) -> Result<(), Cut> {
    match tokio::task::spawn_blocking(move || hook()).await {
        Ok(Then::GoOn) => Ok(()),
        Ok(Then::Cut) | Err(_) => Err(Cut),
    }
}

const NO_REFRESHES: &str = "<DescribeInstanceRefreshesResponse \
     xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><DescribeInstanceRefreshesResult>\
     <InstanceRefreshes/></DescribeInstanceRefreshesResult><ResponseMetadata>\
     <RequestId>7f3c09aa-0000-4000-8000-000000000003</RequestId></ResponseMetadata>\
     </DescribeInstanceRefreshesResponse>";
