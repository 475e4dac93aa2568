//! What a test wants to go wrong, where, and how often.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::door::{Call, plain};
use super::http::Answer;
use crate::clock::locked;

/// What a hook wants done with the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on as if nothing were.
    GoOn,
    /// The connection ends here.
    Cut,
}

type Rewrite = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;
type Hook = Arc<dyn Fn() -> Then + Send + Sync>;

/// Something that goes wrong.
#[derive(Clone)]
pub enum Fault {
    /// Too many calls, as the service in question says it.
    Throttled,
    /// An answer with status 500.
    Broken,
    /// The permission is missing.
    Denied,
    /// The answer takes this long in real time.
    Slow(Duration),
    /// Nothing is ever answered, and nothing has an effect.
    Dead,
    /// Runs before the call is passed on.
    Before(Hook),
    /// Runs after the call has had its effect, before it is answered.
    After(Hook),
    /// Both: the first before, the second after.
    Both(Hook, Hook),
    /// This answer, and no effect.
    Instead(Answer),
    /// The body of the answer is written anew.
    Rewrite(Rewrite),
}

impl Fault {
    /// Something happens before the call has its effect.
    pub fn before(act: impl Fn() -> Then + Send + Sync + 'static) -> Fault {
        Fault::Before(Arc::new(act))
    }

    /// Something happens after the call has had its effect, before it is answered.
    pub fn after(act: impl Fn() -> Then + Send + Sync + 'static) -> Fault {
        Fault::After(Arc::new(act))
    }

    /// One thing before the effect and another after it.
    pub fn and(self, other: Fault) -> Fault {
        match (self, other) {
            (Fault::Before(before), Fault::After(after)) => Fault::Both(before, after),
            (first, _) => first,
        }
    }

    /// The connection ends before the call has an effect.
    pub fn cut_before() -> Fault {
        Fault::Before(Arc::new(|| Then::Cut))
    }

    /// The call has its effect and the connection ends without an answer.
    pub fn cut_after() -> Fault {
        Fault::After(Arc::new(|| Then::Cut))
    }

    /// Somebody else acts just before the call has its effect.
    pub fn between(act: impl Fn() + Send + Sync + 'static) -> Fault {
        Fault::Before(Arc::new(move || {
            act();
            Then::GoOn
        }))
    }

    /// Holds the call before its effect until the gate opens.
    pub fn hold_before(gate: &Gate, then: Then) -> Fault {
        let gate = gate.clone();
        Fault::Before(Arc::new(move || gate.pass(then)))
    }

    /// Holds the answer after the effect until the gate opens.
    pub fn hold_after(gate: &Gate, then: Then) -> Fault {
        let gate = gate.clone();
        Fault::After(Arc::new(move || gate.pass(then)))
    }

    /// Somebody else answers, such as a proxy with a page of its own; the call has no effect.
    ///
    /// # Panics
    /// Where it is no status, or no content type.
    pub fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Fault {
        Fault::Instead(plain(status, content_type, body.into()))
    }

    /// The call has its effect, and the body of its answer is written anew.
    pub fn rewrite(write: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Fault {
        Fault::Rewrite(Arc::new(write))
    }

    /// A word for the record of calls.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Fault::Throttled => "throttled",
            Fault::Broken => "broken",
            Fault::Denied => "denied",
            Fault::Slow(_) => "slow",
            Fault::Dead => "dead",
            Fault::Before(_) => "before",
            Fault::After(_) => "after",
            Fault::Both(..) => "both",
            Fault::Instead(_) => "instead",
            Fault::Rewrite(_) => "rewrite",
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A place where a call waits for the test.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    reached: u32,
    open: bool,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Whether a call came to the gate within `patience` of real time.
    pub fn reached_within(&self, patience: Duration) -> bool {
        let (state, changed) = &*self.0;
        let waited = changed.wait_timeout_while(locked(state), patience, |s| s.reached == 0);
        waited.is_ok_and(|(state, _)| state.reached > 0)
    }

    /// Lets all calls through, those that wait and those to come.
    pub fn open(&self) {
        let (state, changed) = &*self.0;
        locked(state).open = true;
        changed.notify_all();
    }

    fn pass(&self, then: Then) -> Then {
        let (state, changed) = &*self.0;
        let mut state = locked(state);
        state.reached += 1;
        changed.notify_all();
        let waited = changed.wait_timeout_while(state, Duration::from_secs(120), |s| !s.open);
        drop(waited);
        then
    }
}

/// How often a rule strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Each time, until it is removed.
    Always,
    /// This often, and then never again.
    Only(u32),
}

/// A fault, the calls it is meant for, and how often it strikes.
#[derive(Clone, Debug)]
pub struct Rule {
    service: Option<String>,
    region: Option<String>,
    operation: Option<String>,
    group: Option<String>,
    skip: u32,
    times: Times,
    fault: Fault,
}

impl Rule {
    /// A fault that strikes every call.
    pub fn any(fault: Fault) -> Rule {
        Rule {
            service: None,
            region: None,
            operation: None,
            group: None,
            skip: 0,
            times: Times::Always,
            fault,
        }
    }

    /// A fault that strikes an operation.
    pub fn on(operation: &str, fault: Fault) -> Rule {
        Rule { operation: Some(operation.into()), ..Rule::any(fault) }
    }

    /// Only calls of a service, such as `autoscaling`, `ec2`, `ess` or `sts`.
    pub fn of_service(self, service: &str) -> Rule {
        Rule { service: Some(service.into()), ..self }
    }

    /// Only calls in a region.
    pub fn in_region(self, region: &str) -> Rule {
        Rule { region: Some(region.into()), ..self }
    }

    /// Only calls about a group.
    pub fn of_group(self, group: &str) -> Rule {
        Rule { group: Some(group.into()), ..self }
    }

    /// Lets the first `skip` of them pass.
    pub fn after(self, skip: u32) -> Rule {
        Rule { skip, ..self }
    }

    /// Strikes this often, and then never again.
    pub fn times(self, times: u32) -> Rule {
        Rule { times: Times::Only(times), ..self }
    }

    /// The fault, where it strikes this call; counts.
    pub(super) fn strikes(&mut self, call: &Call) -> Option<Fault> {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
        let meant = is(&self.service, &call.service)
            && is(&self.region, &call.region)
            && is(&self.operation, &call.operation)
            && is(&self.group, call.group().unwrap_or_default());
        if !meant {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        match &mut self.times {
            Times::Always => {}
            Times::Only(0) => return None,
            Times::Only(left) => *left -= 1,
        }
        Some(self.fault.clone())
    }
}
