//! What people ask of the daemon, and what they are answered: over the socket and on the page alike.

use std::time::Duration;

use fleet::{OrTold, RuleName, ServiceName};
use planner::answer::{AskedFor, NotTaken};
use planner::idle::snapshot::Ask;
use planner::policy::Share;
use planner::stage::StageAsk;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// Clients served at a time; the next one waits.
pub const CLIENTS_MAX: usize = 16;
/// How long an answer may take: a look that is under way comes first.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// What somebody with the right to may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Asking {
    /// Of services and rules: who acts.
    Stage(StageWish),
    /// Of machines and idle rules.
    Idle(Ask),
}

impl From<Ask> for Asking {
    fn from(ask: Ask) -> Asking {
        Asking::Idle(ask)
    }
}

impl From<StageWish> for Asking {
    fn from(wish: StageWish) -> Asking {
        Asking::Stage(wish)
    }
}

/// What somebody with the right to asks for, and where the answer goes.
#[derive(Debug)]
pub struct Asked {
    pub ask: Asking,
    pub by: String,
    /// What it is about, or why it cannot be done.
    pub answer: oneshot::Sender<Result<AskedFor, NotTaken>>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is taken in and carried out at the next look.
    Taken {
        about: OrTold<AskedFor>,
        /// Who asked, as it is written down.
        by: String,
    },
    /// It is not.
    Refused { why: OrTold<NotTaken> },
}

/// What a person asks for, by names as they are typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageWish {
    /// Let a service or rule act.
    Promote {
        name: String,
        /// As a canary with this share of its budget of removals.
        share: Option<Share>,
        /// Only as this offer says.
        offer: Option<String>,
        /// Though the gate is not met.
        anyway: bool,
    },
    /// Take a service or rule back.
    Demote { name: String },
    /// Take everything back.
    DemoteAll,
    /// Demand of a service is what its metrics say.
    Acknowledge { name: String },
    /// Demand of every service is.
    AcknowledgeAll,
}

impl StageWish {
    /// What it takes back, as far as the words alone tell: that holds at once, before anybody has
    /// looked whether there is such a service or rule.
    pub fn recalls(&self) -> Vec<StageAsk> {
        match self {
            StageWish::Promote { .. }
            | StageWish::Acknowledge { .. }
            | StageWish::AcknowledgeAll => Vec::new(),
            StageWish::Demote { name } => {
                let service = ServiceName::new(name.clone());
                let service = service.map(|service| StageAsk::Demote { service });
                let rule = StageAsk::DemoteRule { rule: RuleName(name.clone()) };
                service.into_iter().chain([rule]).collect()
            }
            StageWish::DemoteAll => vec![StageAsk::DemoteAll],
        }
    }
}

/// Puts what somebody asks for, who may, before the daemon.
pub async fn put(ask: impl Into<Asking>, by: String, sender: &mpsc::Sender<Asked>) -> Answer {
    let ask = ask.into();
    let (answer, told) = oneshot::channel();
    let gone = || Answer::Refused { why: NotTaken::Ending.into() };
    if sender.send(Asked { ask, by: by.clone(), answer }).await.is_err() {
        return gone();
    }
    match tokio::time::timeout(ANSWER_WITHIN, told).await {
        Ok(Ok(Ok(about))) => Answer::Taken { about: about.into(), by },
        Ok(Ok(Err(why))) => Answer::Refused { why: why.into() },
        Ok(Err(_)) => gone(),
        Err(_) => Answer::Refused { why: NotTaken::Slow.into() },
    }
}
