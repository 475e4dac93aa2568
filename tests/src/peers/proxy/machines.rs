//! Machines as the cloud has them where the peer has not: stops and starts that take a while, what it
//! refuses, ages, addresses that stay, targets that are ill.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{Seconds, Timestamp};
use roxmltree::{Document, Node};

use super::groups::{LocalName, child, inner, spliced, stamp, text_of};
use super::wire::{Refusal, Request, escaped};

/// An instance as the peer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    id: String,
    class: String,
    state: String,
    hibernates: bool,
}

/// A stop or a start under way.
#[derive(Clone, Debug)]
struct Move {
    state: &'static str,
    until: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    created: Timestamp,
    started: Timestamp,
}

/// What the stand-in knows of machines.
#[derive(Debug, Default)]
pub(super) struct Machines {
    /// How long a stop or start takes.
    pub takes: Seconds,
    /// Of targets that are not healthy, by id.
    pub health: BTreeMap<String, String>,
    /// What kind of request spot instances have.
    pub spot: BTreeMap<String, String>,
    /// Machines on dedicated hosts.
    pub on_hosts: BTreeSet<String>,
    /// By region and id.
    moves: BTreeMap<(String, String), Move>,
    lives: BTreeMap<String, Life>,
    without_room: BTreeSet<String>,
}

impl Machines {
    pub fn born(&mut self, id: &str, created: Timestamp, started: Timestamp) {
        self.lives.insert(id.to_owned(), Life { created, started });
    }

    pub fn room_for(&mut self, id: &str, room: bool) {
        if room {
            self.without_room.remove(id);
        } else {
            self.without_room.insert(id.to_owned());
        }
    }

    /// Whether neither a stop nor a start is under way.
    pub fn is_settled(&self, region: &str, id: &str, now: Timestamp) -> bool {
        self.under_way(region, id, now).is_none()
    }

    fn under_way(&self, region: &str, id: &str, now: Timestamp) -> Option<&'static str> {
        let going = self.moves.get(&(region.to_owned(), id.to_owned()))?;
        (going.until > now).then_some(going.state)
    }

    /// Judges a stop or start as the cloud does.
    pub fn judge(
        &self,
        request: &Request,
        machine: &Machine,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Machine { id, class, .. } = machine;
        let state = self.under_way(&request.region, id, now).unwrap_or(&machine.state);
        let (allowed, verb) = match request.operation.as_str() {
            "StopInstances" => (["running", "stopping", "stopped"], "stopped"),
            _ => (["running", "pending", "stopped"], "started"),
        };
        if !allowed.contains(&state) {
            let message =
                format!("The instance '{id}' is not in a state from which it can be {verb}.");
            return Err(Refusal::new(400, "IncorrectInstanceState", message));
        }
        let wants_sleep = request.form.get("Hibernate").is_some_and(|text| text == "true");
        if wants_sleep && !machine.hibernates {
            let message =
                format!("The following instances are not configured for hibernation: {id}");
            return Err(Refusal::new(400, "UnsupportedHibernationConfiguration", message));
        }
        if verb == "started" && state == "stopped" && self.without_room.contains(id) {
            let message = format!(
                "We currently do not have sufficient {class} capacity in the Availability Zone you \
                 requested."
            );
            return Err(Refusal::new(500, "InsufficientInstanceCapacity", message));
        }
        Ok(())
    }

    /// The peer has obeyed an order to an instance.
    pub fn moved(&mut self, request: &Request, machine: &Machine, now: Timestamp) {
        let stops = request.operation == "StopInstances";
        let changes = if stops { machine.state == "running" } else { machine.state == "stopped" };
        if !changes {
            return;
        }
        let state = if stops { "stopping" } else { "pending" };
        self.begin(&request.region, &machine.id, state, now);
        if !stops {
            let life = Life { created: now, started: now };
            self.lives.entry(machine.id.clone()).or_insert(life).started = now;
        }
    }

    /// The peer has obeyed an order to a database.
    pub fn database_moved(&mut self, request: &Request, id: &str, now: Timestamp) {
        let stops = request.operation == "StopDBInstance";
        self.begin(&request.region, id, if stops { "stopping" } else { "starting" }, now);
    }

    fn begin(&mut self, region: &str, id: &str, state: &'static str, now: Timestamp) {
        let until = Timestamp(now.0 + self.takes.0 as i64);
        self.moves.insert((region.to_owned(), id.to_owned()), Move { state, until });
    }

    /// A description of instances, corrected by what the stand-in knows.
    pub fn instances(
        &self,
        text: &str,
        (region, now): (&str, Timestamp),
        elastic: &BTreeSet<String>,
    ) -> String {
        let Ok(document) = Document::parse(text) else { return text.to_owned() };
        let mut edits = Vec::new();
        for item in items(&document, "instancesSet") {
            let id = text_of(item, "instanceId");
            if let (Some(state), Some(node)) =
                (self.under_way(region, &id, now), child(item, "instanceState"))
            {
                let code = if state == "pending" { "0" } else { "64" };
                edits.extend(child(node, "code").map(|node| (inner(node), code.to_owned())));
                edits.extend(child(node, "name").map(|node| (inner(node), state.to_owned())));
            }
            if let Some(life) = self.lives.get(&id) {
                let launched = child(item, "launchTime");
                edits.extend(launched.map(|node| (inner(node), stamp(life.started))));
                let attached =
                    item.descendants().filter(|node| node.has_tag_name_local("attachTime"));
                edits.extend(attached.map(|node| (inner(node), stamp(life.created))));
            }
            let tenancy = child(item, "placement").and_then(|at| child(at, "tenancy"));
            if let Some(node) = tenancy.filter(|_| self.on_hosts.contains(&id)) {
                edits.push((inner(node), "host".to_owned()));
            }
            if let (Some(_), Some(node)) = (self.spot.get(&id), child(item, "instanceId")) {
                let request =
                    format!("<spotInstanceRequestId>{}</spotInstanceRequestId>", request_of(&id));
                edits.push((node.range().end..node.range().end, request));
            }
            for node in item.descendants().filter(|node| node.has_tag_name_local("ipOwnerId")) {
                let address = node.parent().map(|of| text_of(of, "publicIp")).unwrap_or_default();
                if !elastic.contains(&address) {
                    edits.push((inner(node), "amazon".to_owned()));
                }
            }
        }
        spliced(text, edits)
    }

    /// A description of databases, corrected likewise.
    pub fn databases(&self, text: &str, region: &str, now: Timestamp) -> String {
        let Ok(document) = Document::parse(text) else { return text.to_owned() };
        let mut edits = Vec::new();
        for item in items(&document, "DBInstances") {
            let id = text_of(item, "DBInstanceIdentifier");
            if let (Some(state), Some(node)) =
                (self.under_way(region, &id, now), child(item, "DBInstanceStatus"))
            {
                edits.push((inner(node), state.to_owned()));
            }
            if let (Some(life), Some(node)) =
                (self.lives.get(&id), child(item, "InstanceCreateTime"))
            {
                edits.push((inner(node), stamp(life.created)));
            }
        }
        spliced(text, edits)
    }

    /// The health of targets, corrected likewise.
    pub fn target_health(&self, text: &str) -> String {
        let Ok(document) = Document::parse(text) else { return text.to_owned() };
        let mut edits = Vec::new();
        for item in items(&document, "TargetHealthDescriptions") {
            let id = child(item, "Target").map(|target| text_of(target, "Id")).unwrap_or_default();
            let state = child(item, "TargetHealth").and_then(|health| child(health, "State"));
            if let (Some(ill), Some(node)) = (self.health.get(&id), state) {
                edits.push((inner(node), ill.clone()));
            }
        }
        spliced(text, edits)
    }

    /// The answer to a `DescribeSpotInstanceRequests`.
    pub fn spot_requests(&self, request: &Request) -> String {
        let asked: BTreeSet<&String> = request.form.values().collect();
        let known = self.spot.iter().filter(|(id, _)| asked.contains(&request_of(id)));
        let items: String = known
            .map(|(id, kind)| {
                format!(
                    "<item><spotInstanceRequestId>{}</spotInstanceRequestId><type>{}</type>\
                     <state>active</state><instanceId>{}</instanceId></item>",
                    request_of(id),
                    escaped(kind),
                    escaped(id)
                )
            })
            .collect();
        format!(
            "<DescribeSpotInstanceRequestsResponse \
             xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
             <requestId>7f3c09aa-0000-4000-8000-000000000004</requestId>\
             <spotInstanceRequestSet>{items}</spotInstanceRequestSet>\
             </DescribeSpotInstanceRequestsResponse>"
        )
    }
}

fn request_of(instance: &str) -> String {
    instance.replacen("i-", "sir-", 1)
}

/// The instances in an answer to `DescribeInstances`.
pub(super) fn instances_in(text: &str) -> Vec<Machine> {
    let Ok(document) = Document::parse(text) else { return Vec::new() };
    let machine = |item: Node<'_, '_>| Machine {
        id: text_of(item, "instanceId"),
        class: text_of(item, "instanceType"),
        state: child(item, "instanceState").map(|state| text_of(state, "name")).unwrap_or_default(),
        hibernates: child(item, "hibernationOptions")
            .is_some_and(|options| text_of(options, "configured") == "true"),
    };
    items(&document, "instancesSet").map(machine).collect()
}

/// The addresses in an answer to `DescribeAddresses`.
pub(super) fn public_addresses(text: &str) -> BTreeSet<String> {
    let Ok(document) = Document::parse(text) else { return BTreeSet::new() };
    items(&document, "addressesSet").map(|item| text_of(item, "publicIp")).collect()
}

fn items<'a, 'i>(document: &'a Document<'i>, list: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    let lists = document.descendants().filter(move |node| node.has_tag_name_local(list));
    lists.flat_map(|list| list.children().filter(Node::is_element))
}
