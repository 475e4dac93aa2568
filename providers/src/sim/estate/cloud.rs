//! The estate behind the seam's traits.

use std::time::Duration;

use async_trait::async_trait;
use fleet::group::Instance;
use fleet::metric::Sample;
use fleet::money::{Price, PriceQuery};
use fleet::rent::{Market, RentQuery, Rented, Tenancy, Terms, UnitPriceKnown};
use fleet::resource::{Fact, Resource, ResourceId, ResourceKind, Subject};
use fleet::stop::StopMode;
use fleet::usage::{Signal, UsageQuery};
use fleet::{AccountId, Fault, FaultKind, Region, Seconds, Timestamp};

use super::super::scenario::{Calls, Gap, Trouble};
use super::super::series::keeps;
use super::super::steps::Steps;
use super::super::world::{CallAnswer, State, World, all_by, fault, one_by, refusal};
use super::body::{Disobeyed, Frame, MachineBody};
use super::faults::{ListingFault, OrderFault, throttled};
use super::prices::{price, rent};
use super::usage::SignalTold;
use crate::{Deadline, Estate, Listing, PowerOrder, PowerSwitch};

const LIST: &str = "DescribeMachines";
const READ: &str = "DescribeMachine";
const USAGE: &str = "GetUsage";
const STOP: &str = "StopMachine";
const START: &str = "StartMachine";
const TAG: &str = "TagMachine";

impl World {
    /// What of a machine never changes, by its own id.
    pub(super) fn frame(&self, id: &str) -> Option<Frame<'_>> {
        let lot = &self.shared.lot;
        let (spec, chance) = (lot.spec(id)?, lot.brief(id)?.chance);
        Some(Frame { boot: spec.boot, halt: spec.halt, chance, acts: lot.acts(id) })
    }

    /// The body of a machine as it is now: made where nobody has touched it before.
    pub(super) fn touch<'a>(
        &self,
        state: &'a mut State,
        id: &str,
    ) -> Option<(&'a mut MachineBody, Frame<'_>)> {
        let frame = self.frame(id)?;
        if !state.machines.contains_key(id) {
            let body = MachineBody::at_start(self.shared.lot.spec(id)?.as_ref());
            state.machines.insert(id.to_owned(), body);
        }
        let body = state.machines.get_mut(id)?;
        body.advance(frame, self.now());
        Some((body, frame))
    }

    /// A resource as it is, every fact known; `None` where there is none.
    pub(super) fn resource_now(&self, state: &mut State, id: &str) -> Option<Resource> {
        let now = self.now();
        if state.machines.contains_key(id) {
            let (body, _) = self.touch(state, id)?;
            return body.exists().then(|| body.shown(now));
        }
        let spec = self.shared.lot.spec(id)?.into_owned();
        Some(Resource { read_at: now, ..spec.resource })
    }

    fn listed(
        &self,
        state: &mut State,
        (place, account, region): (usize, &AccountId, &Region),
        kind: ResourceKind,
    ) -> CallAnswer<Vec<Resource>> {
        let (now, lot) = (self.now(), &self.shared.lot);
        if let Some(trouble) = self.meets(state, Calls::Inventory, None, region) {
            return World::spoiled(LIST, "sim:DescribeMachines", trouble);
        }
        match lot.faults.listing(lot.calls, place, kind, now) {
            Some(ListingFault::Fails) => {
                return CallAnswer::Now(Err(fault(
                    FaultKind::Unreachable,
                    LIST,
                    "connection refused",
                )));
            }
            Some(ListingFault::Throttled) => return CallAnswer::Now(Err(throttled(LIST))),
            Some(ListingFault::Slow) => {
                let late = fault(FaultKind::TimedOut, LIST, "no answer in time");
                return CallAnswer::AtDeadline(late);
            }
            None => {}
        }
        let mut found = Vec::new();
        for id in lot.ids(kind) {
            let Some(mut resource) = self.resource_now(state, &id) else { continue };
            if (&resource.id.account, &resource.id.region) != (account, region) {
                continue;
            }
            self.veil(&mut resource);
            found.push(resource);
        }
        CallAnswer::Now(Ok(found))
    }

    /// Takes away what a listing does not tell or could not read.
    fn veil(&self, resource: &mut Resource) {
        let lot = &self.shared.lot;
        let Some(brief) = lot.brief(&resource.id.id) else { return };
        let Subject::Machine(facts) = &mut resource.subject else { return };
        if lot.leaves_out {
            facts.stop_protected = Fact::Unasked;
            facts.termination_protected = Fact::Unasked;
        }
        lot.faults.unread(brief.chance, facts, resource.read_at);
    }

    /// What a query's samples depend on beside the seed: read at once, so that no lock is held
    /// while samples are made.
    fn usage_of(
        &self,
        state: &mut State,
        query: &UsageQuery,
    ) -> Result<Option<Steps>, CallAnswer<Vec<Sample>>> {
        let id = &query.resource.id;
        if let Some(trouble) = self.meets(state, Calls::Metrics, Some(id), &query.resource.region) {
            return Err(World::spoiled(USAGE, "sim:GetUsage", trouble));
        }
        if state.machines.contains_key(id)
            && let Some((body, _)) = self.touch(state, id)
        {
            return Ok(Some(body.ups.clone()));
        }
        Ok(None)
    }

    fn told(
        &self,
        query: &UsageQuery,
        ups: Option<&Steps>,
        (from, to, step): (Timestamp, Timestamp, Seconds),
    ) -> Result<Vec<Sample>, Fault> {
        let (now, lot) = (self.now(), &self.shared.lot);
        if step.0 == 0 || !step.0.is_multiple_of(60) {
            let why = format!("step {step} is not a whole number of minutes");
            return Err(fault(FaultKind::Refused, USAGE, why));
        }
        let id = &query.resource.id;
        let Some(brief) = lot.brief(id) else { return Ok(Vec::new()) };
        if lot.faults.usage_fails(brief.chance, now) {
            return Err(fault(FaultKind::Unreachable, USAGE, "connection refused"));
        }
        let signals = brief.written.map(|spec| &spec.resource.signals);
        let publishes = match signals {
            Some(signals) => signals.contains(&query.signal),
            None => super::make::publishes(brief.profile, query.signal),
        };
        if !publishes {
            return Ok(Vec::new());
        }
        let from = from.max(now - keeps(step));
        let gaps = self.shared.source.gaps.iter();
        let of_it = |gap: &&Gap| gap.group.as_deref().is_none_or(|name| name == id);
        let told = SignalTold {
            profile: brief.profile,
            chance: brief.chance,
            signal: query.signal,
            born: brief.born,
            ups,
            delivery: self.shared.source.delivery,
            gaps: gaps.filter(of_it).collect(),
            lost: lot.faults.gaps(brief.chance, from, to),
            faults: lot.faults,
            now,
        };
        Ok(told.samples(from, to, step))
    }

    /// Whether an order would be taken now.
    fn allowed(body: &MachineBody, order: PowerOrder) -> Result<(), Disobeyed> {
        let Subject::Machine(facts) = &body.resource.subject else {
            return Err(Disobeyed::Powerless);
        };
        match order {
            PowerOrder::Stop(_) if facts.stop_protected.known() == Some(&true) => {
                Err(Disobeyed::StopProtected)
            }
            PowerOrder::Stop(StopMode::Hibernate) if facts.hibernation.known() != Some(&true) => {
                Err(Disobeyed::CannotHibernate)
            }
            _ => Ok(()),
        }
    }

    fn has_no_stock(&self, resource: &Resource) -> bool {
        let zone = resource.zone.as_deref().unwrap_or_default();
        let now = self.now();
        self.shared.shortages.iter().any(|shortage| shortage.covers(&resource.id.id, zone, now))
    }

    /// Carries out an order to a machine, or refuses it.
    fn power(&self, id: &ResourceId, order: PowerOrder, decision: &str) -> CallAnswer<()> {
        let operation = named(order);
        let (now, up) = (self.now(), order == PowerOrder::Start);
        let mut guard = self.state();
        let state = &mut *guard;
        state.writes += 1;
        let trouble = self.meets(state, Calls::Writes, Some(&id.id), &id.region);
        if let Some(other @ (Trouble::Throttled | Trouble::Unreachable | Trouble::Denied)) = trouble
        {
            return CallAnswer::Now(Err(refusal(operation, &format!("sim:{operation}"), other)));
        }
        let Some((body, frame)) =
            self.touch(state, &id.id).filter(|(body, _)| body.exists() && body.resource.id == *id)
        else {
            return CallAnswer::Now(Err(missing(operation, id)));
        };
        body.orders += 1;
        let met = self.shared.lot.faults.order(frame.chance, body.orders, up);
        let lost = || fault(FaultKind::Unconfirmed, operation, "the answer was lost");
        let none = || {
            fault(FaultKind::OutOfCapacity, operation, "OperationDenied.NoStock: none of this type")
        };
        let result = match met {
            Some(OrderFault::Throttled) => Err(throttled(operation)),
            Some(OrderFault::OrderLost) => Err(lost()),
            Some(OrderFault::NoStock) => Err(none()),
            _ if up && self.has_no_stock(&body.resource) => Err(none()),
            _ => World::allowed(body, order)
                .and_then(|()| carried_out(body, frame, order, decision, now))
                .map(drop)
                .map_err(|why| fault(FaultKind::Refused, operation, why)),
        };
        state.estate_seen = Some(now);
        self.changed(state, now);
        match (trouble, met, result) {
            (Some(Trouble::Slow), _, _) => CallAnswer::AtDeadline(lost()),
            (Some(_), _, _) | (_, Some(OrderFault::AnswerLost), _) => CallAnswer::Now(Err(lost())),
            (None, _, result) => CallAnswer::Now(result),
        }
    }
}

fn carried_out(
    body: &mut MachineBody,
    frame: Frame<'_>,
    order: PowerOrder,
    decision: &str,
    now: Timestamp,
) -> Result<bool, Disobeyed> {
    match order {
        PowerOrder::Start => body.start(frame, Some(decision), now),
        PowerOrder::Stop(mode) => {
            let charged = body.stays_charged();
            body.stop(frame, (mode, charged), Some(decision), now)
        }
    }
}

fn named(order: PowerOrder) -> &'static str {
    match order {
        PowerOrder::Stop(_) => STOP,
        PowerOrder::Start => START,
    }
}

fn missing(operation: &str, id: &ResourceId) -> Fault {
    fault(FaultKind::Missing, operation, format!("`{}` not found", id.id))
}

#[async_trait]
impl Estate for World {
    async fn resources(&self, kinds: &[ResourceKind], deadline: Deadline) -> Vec<Listing> {
        let mut asked = Vec::new();
        let mut answers = Vec::new();
        {
            let mut state = self.state();
            for (index, (account, region)) in self.shared.lot.places().into_iter().enumerate() {
                for kind in kinds {
                    answers.push(self.listed(&mut state, (index, &account, &region), *kind));
                    asked.push((account.clone(), region.clone(), *kind));
                }
            }
            state.estate_seen = Some(self.now());
            self.save_now_and_then(&mut state);
        }
        let listings = asked.into_iter().zip(all_by(deadline, answers).await);
        listings
            .map(|((account, region, kind), resources)| Listing {
                account,
                region,
                kind,
                resources,
            })
            .collect()
    }

    async fn resource(&self, id: &ResourceId, deadline: Deadline) -> Result<Resource, Fault> {
        let answer = {
            let mut state = self.state();
            match self.meets(&mut state, Calls::Inventory, Some(&id.id), &id.region) {
                Some(trouble) => World::spoiled(READ, "sim:DescribeMachine", trouble),
                None => {
                    let found = self.resource_now(&mut state, &id.id);
                    let found = found.filter(|found| found.id == *id && id.kind.has_power());
                    CallAnswer::Now(found.ok_or_else(|| missing(READ, id)))
                }
            }
        };
        one_by(deadline, answer).await
    }

    async fn usage(
        &self,
        queries: &[UsageQuery],
        from: Timestamp,
        to: Timestamp,
        step: Seconds,
        deadline: Deadline,
    ) -> Vec<Result<Vec<Sample>, Fault>> {
        let known: Vec<Result<Option<Steps>, CallAnswer<Vec<Sample>>>> = {
            let mut state = self.state();
            queries.iter().map(|query| self.usage_of(&mut state, query)).collect()
        };
        let answers = queries.iter().zip(known).map(|(query, known)| match known {
            Ok(ups) => CallAnswer::Now(self.told(query, ups.as_ref(), (from, to, step))),
            Err(spoiled) => spoiled,
        });
        let answers: Vec<CallAnswer<Vec<Sample>>> = answers.collect();
        all_by(deadline, answers).await
    }

    fn usage_kept(&self, _signal: Signal, step: Seconds) -> Seconds {
        keeps(step)
    }

    async fn prices(
        &self,
        queries: &[PriceQuery],
        _deadline: Deadline,
    ) -> Vec<Result<Option<Price>, Fault>> {
        let as_of = self.shared.lot.start;
        queries.iter().map(|query| Ok(price(query, as_of))).collect()
    }

    /// Members of groups alone: of those every one is paid by the hour.
    async fn rented(
        &self,
        account: &AccountId,
        region: &Region,
        ids: &[String],
        _deadline: Deadline,
    ) -> Result<Vec<Rented>, Fault> {
        let members = self.state().members_in(account, region);
        let wanted = |one: &Instance| ids.contains(&one.id);
        let rented = |one: Instance| {
            let terms = Terms {
                class: one.instance_type?,
                platform: None,
                market: Market::OnDemand,
                tenancy: Tenancy::Shared,
                zone: None,
            };
            Some(Rented { id: one.id, terms })
        };
        Ok(members.into_iter().filter(wanted).filter_map(rented).collect())
    }

    async fn rents(&self, queries: &[RentQuery], _deadline: Deadline) -> Vec<UnitPriceKnown> {
        queries.iter().map(|query| rent(query, self.shared.lot.start)).collect()
    }

    fn switch(&self, id: &ResourceId) -> Box<dyn PowerSwitch> {
        Box::new(Switch { world: self.clone(), id: id.clone() })
    }
}

/// A handle on one machine of the world.
struct Switch {
    world: World,
    id: ResourceId,
}

#[async_trait]
impl PowerSwitch for Switch {
    fn resource(&self) -> &ResourceId {
        &self.id
    }

    async fn rehearse(&self, order: PowerOrder, deadline: Deadline) -> Result<bool, Fault> {
        let operation = named(order);
        let answer = {
            let mut state = self.world.state();
            let region = &self.id.region;
            match self.world.meets(&mut state, Calls::Writes, Some(&self.id.id), region) {
                Some(trouble) => World::spoiled(operation, &format!("sim:{operation}"), trouble),
                None => {
                    let found = self.world.touch(&mut state, &self.id.id);
                    let found = found.filter(|(body, _)| body.exists());
                    CallAnswer::Now(match found.map(|(body, _)| World::allowed(body, order)) {
                        None => Err(missing(operation, &self.id)),
                        Some(Err(why)) => Err(fault(FaultKind::Refused, operation, why)),
                        Some(Ok(())) => Ok(true),
                    })
                }
            }
        };
        one_by(deadline, answer).await
    }

    async fn order(
        &self,
        order: PowerOrder,
        decision: &str,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        if deadline.left() == Duration::ZERO {
            let why = "the deadline had passed before anything was sent";
            return Err(fault(FaultKind::Unreachable, named(order), why));
        }
        let answer = self.world.power(&self.id, order, decision);
        one_by(deadline, answer).await
    }

    async fn tag(&self, key: &str, value: Option<&str>, deadline: Deadline) -> Result<(), Fault> {
        let answer = self.world.write_tag(&self.id, key, value);
        one_by(deadline, answer).await
    }
}

impl World {
    fn write_tag(&self, id: &ResourceId, key: &str, value: Option<&str>) -> CallAnswer<()> {
        let now = self.now();
        let mut guard = self.state();
        let state = &mut *guard;
        state.writes += 1;
        let trouble = self.meets(state, Calls::Writes, Some(&id.id), &id.region);
        if let Some(other @ (Trouble::Throttled | Trouble::Unreachable | Trouble::Denied)) = trouble
        {
            return CallAnswer::Now(Err(refusal(TAG, "sim:TagMachine", other)));
        }
        let Some((body, _)) = self.touch(state, &id.id).filter(|(body, _)| body.exists()) else {
            return CallAnswer::Now(Err(missing(TAG, id)));
        };
        match value {
            Some(value) => drop(body.resource.tags.insert(key.to_owned(), value.to_owned())),
            None => drop(body.resource.tags.remove(key)),
        }
        self.changed(state, now);
        let lost = || fault(FaultKind::Unconfirmed, TAG, "the answer was lost");
        match trouble {
            Some(Trouble::Slow) => CallAnswer::AtDeadline(lost()),
            Some(_) => CallAnswer::Now(Err(lost())),
            None => CallAnswer::Now(Ok(())),
        }
    }
}
