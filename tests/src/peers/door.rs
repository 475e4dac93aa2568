//! A cloud's front door: it listens, counts every call, goes wrong where a test says so, and can be
//! unplugged. What stands behind it is a [`Cloud`].

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use fleet::Timestamp;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue, TRANSFER_ENCODING,
};
use hyper::{HeaderMap, Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::http::{self, Answer};
use super::rules::{Fault, Rule, Then};
use crate::clock::locked;

/// A call that came to the door.
#[derive(Clone, Debug)]
pub struct Call {
    /// When, in test time.
    pub at: Timestamp,
    /// The product, as the cloud's permissions name it: `autoscaling`, `ess`.
    pub service: String,
    /// The region it is meant for.
    pub region: String,
    /// Whose signature.
    pub access_key: String,
    /// The operation, as the cloud names it.
    pub operation: String,
    /// The parameters of a query call; of a metric call only the number of queries.
    pub parameters: BTreeMap<String, String>,
    /// The name of the group it is about.
    pub group: Option<String>,
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
        self.group.as_deref()
    }

    /// A numeric parameter.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.parameters.get(name)?.parse().ok()
    }

    /// The permission it needs, such as `ess:DescribeScalingGroups`.
    pub fn action(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }

    /// Whether the cloud refused it.
    pub fn refused(&self) -> bool {
        !self.effect && self.status.is_some_and(|status| status >= 400)
    }
}

/// A refusal that a test asks for, in the words of the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Throttled,
    Broken,
    Denied,
}

/// What stands behind a door.
#[async_trait]
pub(super) trait Cloud: Send + Sync + 'static {
    /// A call, taken apart.
    type Request: Send + Sync;

    fn parse(
        &self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Self::Request>;

    /// The record of a call; `None` for a call that is the tests' own.
    fn call(&self, request: &Self::Request) -> Option<Call>;

    /// What the cloud does and says.
    async fn effect(&self, request: &Self::Request) -> Answer;

    fn refuse(&self, request: &Self::Request, how: Refused) -> Answer;

    /// What the cloud's clock shows, where it is not the real one.
    fn date(&self) -> Option<HeaderValue> {
        None
    }
}

/// A door to a cloud.
#[derive(Debug)]
pub struct Door {
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

struct Shared {
    cloud: Box<dyn Answers>,
    record: Record,
    under_way: watch::Sender<u32>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("record", &self.record).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Record {
    calls: Mutex<Vec<Call>>,
    rules: Mutex<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    all: BTreeMap<u64, Rule>,
    made: u64,
}

/// A rule's number, to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

impl Door {
    /// Opens a door to `cloud`, on a free port.
    pub(super) fn open<C: Cloud>(cloud: Arc<C>) -> Door {
        let under_way = watch::channel(0).0;
        let cloud = Box::new(cloud);
        let shared = Arc::new(Shared { cloud, record: Record::default(), under_way });
        let (address, plug) = plugged((Ipv4Addr::LOCALHOST, 0).into(), &shared);
        let (back_door, back_plug) = plugged((Ipv4Addr::LOCALHOST, 0).into(), &shared);
        Door { address, shared, plug: Mutex::new(plug), back_door, back_plug }
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
        locked(&self.shared.record.calls).clone()
    }

    /// The calls that change anything.
    pub fn writes(&self) -> Vec<Call> {
        self.calls().into_iter().filter(Call::writes).collect()
    }

    /// How many calls of an operation came.
    pub fn count(&self, operation: &str) -> usize {
        let calls = locked(&self.shared.record.calls);
        calls.iter().filter(|call| call.operation == operation).count()
    }

    /// Lets something go wrong from now on.
    pub fn inject(&self, rule: Rule) -> RuleId {
        let mut rules = locked(&self.shared.record.rules);
        rules.made += 1;
        let id = rules.made;
        rules.all.insert(id, rule);
        RuleId(id)
    }

    /// Takes a rule back.
    pub fn remove(&self, rule: RuleId) {
        locked(&self.shared.record.rules).all.remove(&rule.0);
    }

    /// Takes all rules back.
    pub fn heal(&self) {
        locked(&self.shared.record.rules).all.clear();
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
}

impl Drop for Door {
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
    let listener = http::blocking(TcpListener::bind(at)).expect("a port for the door");
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
        let mut answer =
            self.cloud.answer(&self.record, parts.method, target, parts.headers, body).await?;
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
            answer.headers.remove(name);
        }
        let mut response = Response::new(Full::new(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

/// A cloud whose kind of request nobody needs to know.
#[async_trait]
trait Answers: Send + Sync {
    async fn answer(
        &self,
        record: &Record,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Cut>;
}

#[async_trait]
impl<C: Cloud> Answers for Arc<C> {
    async fn answer(
        &self,
        record: &Record,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Cut> {
        let mut answer = match self.parse(method, target, headers, body) {
            Ok(request) => match self.call(&request) {
                Some(call) => spoilt(self.as_ref(), record, &request, call).await?,
                None => self.effect(&request).await,
            },
            Err(error) => plain(200, "text/plain", format!("the tests' proxy: {error:#}").into()),
        };
        if let Some(date) = self.date() {
            answer.headers.insert(DATE, date);
        }
        Ok(answer)
    }
}

/// Counts the call, lets go wrong what should, and answers.
async fn spoilt<C: Cloud>(
    cloud: &C,
    record: &Record,
    request: &C::Request,
    call: Call,
) -> Result<Answer, Cut> {
    let (number, fault) = record.counted(call);
    match &fault {
        Some(Fault::Slow(span)) => tokio::time::sleep(*span).await,
        Some(Fault::Dead) => std::future::pending().await,
        Some(Fault::Before(hook) | Fault::Both(hook, _)) => run(hook.clone()).await?,
        _ => {}
    }
    let instead = match &fault {
        Some(Fault::Throttled) => Some(cloud.refuse(request, Refused::Throttled)),
        Some(Fault::Broken) => Some(cloud.refuse(request, Refused::Broken)),
        Some(Fault::Denied) => Some(cloud.refuse(request, Refused::Denied)),
        Some(Fault::Instead(answer)) => Some(answer.clone()),
        _ => None,
    };
    let effect = instead.is_none();
    let mut answer = match instead {
        Some(answer) => answer,
        None => cloud.effect(request).await,
    };
    locked(&record.calls)[number].effect = effect && answer.status.is_success();
    if let Some(Fault::Rewrite(rewrite)) = &fault {
        answer.body = Bytes::from(rewrite(answer.body.to_vec()));
    }
    if let Some(Fault::After(hook) | Fault::Both(_, hook)) = &fault {
        run(hook.clone()).await?;
    }
    locked(&record.calls)[number].status = Some(answer.status.as_u16());
    Ok(answer)
}

impl Record {
    fn counted(&self, mut call: Call) -> (usize, Option<Fault>) {
        let mut rules = locked(&self.rules);
        let struck = rules.all.values_mut().find_map(|rule| rule.strikes(&call));
        call.fault = struck.as_ref().map(Fault::word);
        let mut calls = locked(&self.calls);
        calls.push(call);
        (calls.len() - 1, struck)
    }
}

/// Runs a hook where it may block.
async fn run(hook: Arc<dyn Fn() -> Then + Send + Sync>) -> Result<(), Cut> {
    match tokio::task::spawn_blocking(move || hook()).await {
        Ok(Then::GoOn) => Ok(()),
        Ok(Then::Cut) | Err(_) => Err(Cut),
    }
}

/// An answer with nothing but a body and its kind.
pub(super) fn plain(status: u16, kind: &str, body: Bytes) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).expect("a content type"));
    Answer { status: StatusCode::from_u16(status).expect("a status"), headers, body }
}
