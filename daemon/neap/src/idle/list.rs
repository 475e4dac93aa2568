//! Lists what there is, and reads the facts that take a call of their own where they matter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleet::resource::{Facts, Resource, ResourceId, ResourceKind, Subject};
use fleet::{Fault, FaultKind, ProviderName, Seconds, Timestamp};
use futures_util::StreamExt;
use planner::idle::rule::IdlePolicy;
use planner::idle::snapshot::Unread;
use providers::{Deadline, Provider};

use crate::gather::Providers;

/// How long a fact that took a call of its own is taken for true. It is read again before a stop.
const KEPT: Seconds = Seconds::hours(1);
/// Calls for details at the same time, and how long they may take in a look.
const CONCURRENT: usize = 8;
const READ_WITHIN: Duration = Duration::from_secs(60);

/// What the clouds listed.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub resources: Vec<Resource>,
    pub unread: Vec<Unread>,
}

/// Lists every kind that a rule or schedule names, in every cloud that has such things.
///
/// A cloud that was cut off answers for no place at all: then every place of the resources in
/// `known` counts as unread, so that silence is not taken for their end.
pub(super) async fn list<'k>(
    providers: &Providers,
    policy: &IdlePolicy,
    known: impl Iterator<Item = &'k ResourceId>,
    deadline: Deadline,
) -> Listed {
    let asks = providers.iter().filter_map(|(name, provider)| {
        let kinds = kinds(policy, name);
        let estate = provider.estate().filter(|_| !kinds.is_empty())?;
        Some(async move { (name, estate.resources(&kinds, deadline).await) })
    });
    let mut listed = Listed::default();
    let mut silent = BTreeSet::new();
    for (name, listings) in futures_util::future::join_all(asks).await {
        if listings.is_empty() {
            silent.insert(name);
        }
        for listing in listings {
            match listing.resources {
                Ok(resources) => listed.resources.extend(resources),
                Err(fault) => listed.unread.push(Unread {
                    provider: name.clone(),
                    account: listing.account,
                    region: listing.region,
                    kind: listing.kind,
                    fault,
                }),
            }
        }
    }
    for id in known.filter(|id| silent.contains(&id.provider)) {
        if !listed.unread.iter().any(|unread| unread.concerns(id)) {
            listed.unread.push(unanswered(id));
        }
    }
    listed.resources.sort_by(|a, b| a.id.cmp(&b.id));
    listed
}

/// The place of a resource, of which nothing was told.
fn unanswered(id: &ResourceId) -> Unread {
    Unread {
        provider: id.provider.clone(),
        account: id.account.clone(),
        region: id.region.clone(),
        kind: id.kind,
        fault: Fault {
            kind: FaultKind::TimedOut,
            operation: "resources".to_owned(),
            detail: "no place was answered for".to_owned(),
            request_id: None,
        },
    }
}

/// The kinds to list of a provider. Instances are always among them where anything is: shares of
/// an account are of its instances.
fn kinds(policy: &IdlePolicy, provider: &ProviderName) -> Vec<ResourceKind> {
    let idle = policy.rules.iter().map(|rule| &rule.select);
    let selects = idle.chain(policy.schedules.iter().map(|rule| &rule.select));
    let mut kinds: Vec<ResourceKind> = selects
        .filter(|select| select.provider.as_ref().is_none_or(|only| only == provider))
        .flat_map(|select| select.kinds.iter().copied())
        .collect();
    if kinds.iter().any(|kind| kind.has_power()) {
        kinds.push(ResourceKind::Instance);
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Facts that listings do not hold, for a while.
#[derive(Debug, Default)]
pub(super) struct Details {
    known: BTreeMap<ResourceId, (Timestamp, Facts)>,
}

impl Details {
    /// Reads what is missing of these resources, and forgets what is not asked for any more.
    pub async fn read(&mut self, providers: &Providers, wanted: &[&Resource], now: Timestamp) {
        let fresh = |at: Timestamp| at <= now && now.since(at) < KEPT;
        self.known.retain(|_, (at, _)| fresh(*at));
        let deadline = Deadline::within(READ_WITHIN);
        let due: Vec<Resource> = wanted
            .iter()
            .filter(|resource| has_unasked(resource) && !self.known.contains_key(&resource.id))
            .map(|resource| (*resource).clone())
            .collect();
        let mut answers = futures_util::stream::iter(due)
            .map(|resource| async move {
                let provider = providers.get(&resource.id.provider)?;
                provider.estate()?.details(&resource, deadline).await.ok()
            })
            .buffer_unordered(CONCURRENT);
        while let Some(answer) = answers.next().await {
            let Some(resource) = answer else { continue };
            if let Subject::Machine(facts) = resource.subject {
                self.known.insert(resource.id, (now, *facts));
            }
        }
    }

    /// A listed resource with the facts that were read of it besides.
    pub fn merged(&self, resource: &Resource) -> Resource {
        let mut merged = resource.clone();
        let known = self.known.get(&resource.id);
        if let (Subject::Machine(facts), Some((_, read))) = (&mut merged.subject, known) {
            facts.fill(read);
        }
        merged
    }
}

fn has_unasked(resource: &Resource) -> bool {
    matches!(&resource.subject, Subject::Machine(facts) if facts.leaves_out())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use fleet::metric::Sample;
    use fleet::money::{Price, PriceQuery};
    use fleet::rent::{RentQuery, Rented, UnitPriceKnown};
    use fleet::usage::{Signal, UsageQuery};
    use fleet::{AccountId, GroupId, Region};
    use providers::sim::{EstateSpec, Scenario, World};
    use providers::traced::Traced;
    use providers::{Estate, GroupWriter, Inventory, Listing, Metrics, Now, PowerSwitch, Provider};

    use super::*;

    #[derive(Debug)]
    struct Noon;

    impl Now for Noon {
        fn now(&self) -> Timestamp {
            Timestamp(1_780_315_200)
        }
    }

    /// A cloud that never answers a listing.
    struct Mute(World);

    impl Provider for Mute {
        fn inventory(&self) -> &dyn Inventory {
            self.0.inventory()
        }

        fn metrics(&self) -> &dyn Metrics {
            self.0.metrics()
        }

        fn writer(&self, group: &GroupId) -> Box<dyn GroupWriter> {
            self.0.writer(group)
        }

        fn estate(&self) -> Option<&dyn Estate> {
            Some(self)
        }
    }

    #[async_trait]
    impl Estate for Mute {
        async fn resources(&self, _: &[ResourceKind], _: Deadline) -> Vec<Listing> {
            std::future::pending().await
        }

        async fn resource(&self, id: &ResourceId, until: Deadline) -> Result<Resource, Fault> {
            self.0.resource(id, until).await
        }

        async fn usage(
            &self,
            queries: &[UsageQuery],
            from: Timestamp,
            to: Timestamp,
            step: Seconds,
            until: Deadline,
        ) -> Vec<Result<Vec<Sample>, Fault>> {
            self.0.usage(queries, from, to, step, until).await
        }

        fn usage_kept(&self, signal: Signal, step: Seconds) -> Seconds {
            self.0.usage_kept(signal, step)
        }

        async fn prices(
            &self,
            queries: &[PriceQuery],
            until: Deadline,
        ) -> Vec<Result<Option<Price>, Fault>> {
            self.0.prices(queries, until).await
        }

        async fn rented(
            &self,
            account: &AccountId,
            region: &Region,
            ids: &[String],
            until: Deadline,
        ) -> Result<Vec<Rented>, Fault> {
            self.0.rented(account, region, ids, until).await
        }

        async fn rents(&self, queries: &[RentQuery], until: Deadline) -> Vec<UnitPriceKnown> {
            self.0.rents(queries, until).await
        }

        fn switch(&self, id: &ResourceId) -> Box<dyn PowerSwitch> {
            self.0.switch(id)
        }
    }

    #[tokio::test]
    async fn what_is_known_of_a_cloud_that_does_not_answer_is_unread_and_not_gone() {
        let name = ProviderName::new("sim").unwrap();
        let scenario = Scenario { estate: EstateSpec::fleet(4), ..Scenario::default() };
        let world = World::new(&name, 1, Noon.now(), &scenario, Arc::new(Noon));
        let text = "mode = \"act\"\n[provider.sim]\nkind = \"sim\"\n[[idle]]\nname = \"all\"\n\
                    idle_when = { cpu_max_percent = 3.0 }\nmatch = { tags = { owner = [] } }\ngrace = \"1d\"\n";
        let policy = crate::settings::parse("neap.toml", text).unwrap().idle.policy.clone();
        let of = |provider: Arc<dyn Provider>| {
            BTreeMap::from([(name.clone(), Traced::new(&name, provider))])
        };
        let soon = || Deadline::within(Duration::from_millis(50));

        let answered = list(&of(Arc::new(world.clone())), &policy, [].iter(), soon()).await;
        let known: Vec<ResourceId> = answered.resources.iter().map(|r| r.id.clone()).collect();
        assert!(!known.is_empty() && answered.unread.is_empty(), "{answered:?}");

        let silent = list(&of(Arc::new(Mute(world))), &policy, known.iter(), soon()).await;
        assert!(silent.resources.is_empty());
        for id in &known {
            assert!(silent.unread.iter().any(|unread| unread.concerns(id)), "{id}");
        }
        let kinds: BTreeSet<ResourceKind> = known.iter().map(|id| id.kind).collect();
        assert_eq!(silent.unread.len(), kinds.len(), "a place is named once: {silent:?}");
    }
}
