//! Takes in what people ask for of idle resources, and finds the resources that they mean.

use std::collections::BTreeSet;

use fleet::Timestamp;
use fleet::resource::{Resource, ResourceId};
use journal::records::idle::Folded;
use planner::answer::{AskedFor, NotTaken};
use planner::idle::approval_stands;
use planner::idle::snapshot::{Ask, Request, Seen};

use super::IdleEngine;
use super::judge::Assigned;

impl IdleEngine {
    /// Takes in what somebody asks for; it is carried out at the next look.
    ///
    /// # Errors
    /// Why it cannot be, for the person who asked.
    pub fn ask(&mut self, ask: Ask, by: &str, at: Timestamp) -> Result<AskedFor, NotTaken> {
        let told = match &ask {
            Ask::Approve { id } => {
                let subject = self.approval_subject(id)?;
                if !self.stands(&subject, id, at) {
                    return Err(NotTaken::ApprovalVoid { id: id.clone() });
                }
                AskedFor::Resource(subject)
            }
            // A no holds, whatever was asked.
            Ask::Reject { id } => AskedFor::Resource(self.approval_subject(id)?),
            Ask::Wake { resource, until } | Ask::Exempt { resource, until } => {
                if *until <= at {
                    return Err(NotTaken::Passed { until: *until });
                }
                self.subject(resource)?
            }
            Ask::Release { rule } => {
                if !self.folded.memory.rules.contains_key(rule) {
                    return Err(NotTaken::NoRule { rule: rule.clone() });
                }
                AskedFor::Rule { name: rule.0.clone(), once: None }
            }
        };
        self.requests.push(Request { by: by.to_owned(), at, ask });
        Ok(told)
    }

    /// Whether what waits under this name is still what would be done: a reload may have replaced the
    /// rule since the last look.
    fn stands(&self, resource: &ResourceId, id: &str, at: Timestamp) -> bool {
        let Folded { policy, memory, seen, .. } = &self.folded;
        let Some((seen, care)) = seen.get(resource).zip(memory.cares.get(resource)) else {
            return false;
        };
        let assigned = Assigned::of(&seen.resource, policy);
        let (rule, schedule) = assigned.map_or((None, None), |of| (of.rule, of.schedule));
        let view = schedule.and_then(|rule| self.standing.config.view(rule, &seen.resource, at));
        let rule = rule.map(|rule| rule.name.clone());
        let now = Seen { rule, schedule: view, ..seen.clone() };
        approval_stands(policy, &now, care, id, at)
    }

    fn approval_subject(&self, id: &str) -> Result<ResourceId, NotTaken> {
        let mut cares = self.folded.memory.cares.iter();
        let found = cares.find(|(_, care)| care.approvals().any(|approval| approval.id == id));
        found
            .map(|(resource, _)| resource.clone())
            .ok_or_else(|| NotTaken::NoApproval { id: id.to_owned() })
    }

    fn subject(&self, text: &str) -> Result<AskedFor, NotTaken> {
        let named = |(id, name): &(&ResourceId, &String)| {
            id.id == text || id.to_string() == text || *name == text
        };
        let name = text.to_owned();
        let found: Vec<&ResourceId> = self.names.iter().filter(named).map(|(id, _)| id).collect();
        match found[..] {
            [] => Err(NotTaken::NoResource { name }),
            [one] => Ok(AskedFor::Resource(one.clone())),
            _ => Err(NotTaken::Ambiguous { name, count: found.len() as u64 }),
        }
    }

    /// Resources that somebody named in a request, or that are remembered, without a rule.
    pub(super) fn asked_for<'r>(&self, resources: &'r [Resource]) -> Vec<&'r Resource> {
        let named: BTreeSet<&str> = self
            .requests
            .iter()
            .filter_map(|request| match &request.ask {
                Ask::Wake { resource, .. } | Ask::Exempt { resource, .. } => {
                    Some(resource.as_str())
                }
                _ => None,
            })
            .collect();
        let wanted = |r: &&Resource| {
            self.folded.memory.cares.contains_key(&r.id)
                || named.contains(r.id.id.as_str())
                || named.contains(r.name.as_str())
                || !named.is_empty() && named.contains(r.id.to_string().as_str())
        };
        resources.iter().filter(wanted).collect()
    }
}
