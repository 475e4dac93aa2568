//! Groups are looked for beside the cycle: what answers is taken over between two cycles, and what was
//! known before goes on where nothing answers.
//!
//! `places.rs` is what is known of each place and when it is asked, `made.rs` what a configuration comes
//! to with it, `seeking.rs` when regions are looked for that nobody named, `named.rs` how services are called, `carried.rs` what outlives a restart: all of it without
//! clock and cloud.

mod carried;
mod made;
mod named;
mod places;
mod seeking;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::Config;
use fleet::group::GroupState;
use fleet::{Fault, GroupRef, Place, ProviderName, Seconds, Timestamp};
use journal::StoredPolicy;
use planner::snapshot::Undiscovered;
use providers::{Deadline, Provider};
use tokio::task::JoinSet;

pub use carried::{Carried, carried};
pub use made::{Made, Unmade};
pub use named::{Holders, Named, holders};
pub use places::{ASKED_EVERY, Places, RETRIED_EVERY};

use crate::gather::{Providers, unasked};
use seeking::Seeking;

/// How long looking for groups in a place may take.
pub const WITHIN: Duration = Duration::from_secs(60);

/// What a place answers.
type Answer = Result<Vec<GroupState>, Fault>;

/// The search for groups that templates match.
#[derive(Debug, Default)]
pub struct Discovery {
    places: Places,
    asking: JoinSet<(Place, Answer)>,
    /// The providers in whose places groups are looked for.
    wanted: BTreeSet<ProviderName>,
    /// When regions were looked for that nobody named.
    seeking: Seeking,
    looking: JoinSet<(ProviderName, Result<(), Fault>)>,
    /// What is known is not what was made into services last.
    has_news: bool,
    unmade: BTreeMap<GroupRef, Unmade>,
}

impl Discovery {
    /// A search in all places of the providers that have a template.
    pub fn new(config: &Config, providers: &Providers) -> Discovery {
        let mut discovery = Discovery::default();
        discovery.follow(config, providers);
        discovery
    }

    /// Looks where another configuration says, everywhere at once. What is known stays.
    pub fn follow(&mut self, config: &Config, providers: &Providers) {
        let is_wanted = |name: &&ProviderName| {
            config.templates.iter().any(|template| &template.provider == *name)
        };
        self.wanted = providers.keys().filter(is_wanted).cloned().collect();
        // Adapters may be new, and know of no region yet.
        self.looking = JoinSet::new();
        let seeks = providers.iter().filter(|(_, provider)| provider.inventory().seeks_places());
        self.seeking = Seeking::of(seeks.map(|(name, _)| name.clone()));
        self.follow_places(providers);
        self.places.ask_anew();
        self.has_news = true;
    }

    /// Looks in the places that the wanted providers have now. Until regions that nobody named were
    /// found once, those of services from before a restart go on.
    fn follow_places(&mut self, providers: &Providers) {
        let mut wanted: Vec<Place> = Vec::new();
        for name in &self.wanted {
            let Some(provider) = providers.get(name) else { continue };
            wanted.extend(provider.inventory().places());
            if self.seeking.is_unfound(name) {
                wanted.extend(self.places.all().filter(|place| &place.provider == name).cloned());
            }
        }
        self.places.follow(wanted);
    }

    /// Looks for regions where that is due; nobody waits for it.
    fn seek(&mut self, providers: &Providers, now: Timestamp) {
        for name in self.seeking.due(now) {
            let provider = providers.get(&name).cloned();
            self.looking.spawn(async move {
                let there = name.clone();
                let call = tokio::spawn(async move {
                    let provider =
                        provider.ok_or_else(|| lost("its provider is not configured"))?;
                    provider.inventory().find_places(Deadline::within(WITHIN)).await
                });
                (there, call.await.unwrap_or_else(|broken| Err(lost(&broken.to_string()))))
            });
        }
    }

    fn sought(&mut self, done: Option<(ProviderName, Result<(), Fault>)>, now: Timestamp) {
        let Some((provider, answer)) = done else { return };
        match &answer {
            Ok(()) => tracing::debug!(%provider, "regions were found"),
            Err(fault) => tracing::error!(
                %provider,
                %fault,
                "regions cannot be looked for: those that were found last are looked in"
            ),
        }
        self.seeking.answered(&provider, now, answer.is_ok());
    }

    /// Takes in the policy that was recorded last before a restart, as of `then`.
    pub fn carry(&mut self, recorded: &StoredPolicy, config: &Config, then: Timestamp) {
        match crate::settings::parse("neap.toml", &recorded.source) {
            Ok(was) => {
                let all = carried(&recorded.policy, &was, config);
                let seeking = &self.seeking;
                self.places.carry(all, then, |place| seeking.is_unfound(&place.provider));
            }
            Err(faults) => {
                let first = faults.first().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(
                    first,
                    "the recorded configuration is none any more: groups that templates match are known once their cloud answers"
                );
            }
        }
    }

    /// Asks the places whose time has come; nobody waits for them.
    pub fn ask(&mut self, providers: &Providers, now: Timestamp, poll: Seconds) {
        self.seek(providers, now);
        if self.seeking.has_news() {
            self.follow_places(providers);
        }
        for place in self.places.ask(now, poll) {
            let provider = providers.get(&place.provider).cloned();
            self.asking.spawn(async move {
                let there = place.clone();
                let call = tokio::spawn(async move {
                    let provider =
                        provider.ok_or_else(|| lost("its provider is not configured"))?;
                    provider.inventory().discover(&there, Deadline::within(WITHIN)).await
                });
                let answer = call.await.unwrap_or_else(|broken| Err(lost(&broken.to_string())));
                (place, answer)
            });
        }
    }

    /// Takes in the answers that are there.
    pub fn take(&mut self, now: Timestamp) {
        while let Some(done) = self.looking.try_join_next() {
            self.sought(done.ok(), now);
        }
        while let Some(done) = self.asking.try_join_next() {
            self.take_in(done.ok(), now);
        }
    }

    /// Waits until regions were looked for that nobody named, at most so long, and looks in them.
    pub async fn find(&mut self, providers: &Providers, now: Timestamp, at_most: Duration) {
        self.seek(providers, now);
        let until = tokio::time::Instant::now() + at_most;
        while let Ok(Some(done)) = tokio::time::timeout_at(until, self.looking.join_next()).await {
            self.sought(done.ok(), now);
        }
        if self.seeking.has_news() {
            self.follow_places(providers);
        }
    }

    /// Waits until all that were asked have answered, at most so long.
    pub async fn wait(&mut self, now: Timestamp, at_most: Duration) {
        let until = tokio::time::Instant::now() + at_most;
        while let Ok(Some(done)) = tokio::time::timeout_at(until, self.asking.join_next()).await {
            self.take_in(done.ok(), now);
        }
    }

    fn take_in(&mut self, done: Option<(Place, Answer)>, now: Timestamp) {
        let Some((place, answer)) = done else { return };
        let was_failing = self.places.fault(&place).is_some();
        match &answer {
            Err(fault) if was_failing => {
                tracing::debug!(%place, %fault, "groups still cannot be looked for");
            }
            Err(fault) => tracing::error!(%place, %fault, "groups cannot be looked for"),
            Ok(_) if was_failing => tracing::info!(%place, "groups are found again"),
            Ok(_) => {}
        }
        self.has_news |= self.places.answered(&place, now, answer);
    }

    /// What a configuration comes to with what is known. Who had a name before keeps it. What became
    /// no service is said once.
    pub fn made(&mut self, config: &Config, before: &Named) -> Made {
        let made = Made::of(config, self.places.groups(), self.places.carried(), before);
        for (group, why) in &made.unmade {
            if self.unmade.get(group) != Some(why) {
                tracing::error!(%group, %why, "no service was made of the group");
            }
        }
        for (name, (wanted, other)) in &made.told_apart {
            if !before.has(name) {
                tracing::warn!(
                    "two groups get the name `{wanted}` of a template: it is {other}, and the other is \
                     service `{name}`"
                );
            }
        }
        for name in &made.followed {
            let group = made.policy.services.get(name).map(|service| &service.pool.group);
            let group = group.map(ToString::to_string).unwrap_or_default();
            tracing::info!(service = %name, group, "the service goes on with the group that is left of its pair");
        }
        self.unmade.clone_from(&made.unmade);
        made
    }

    /// Whether what is known is to be made into services.
    pub fn has_news(&self) -> bool {
        self.has_news
    }

    /// What is known is in force.
    pub fn settled(&mut self) {
        self.has_news = false;
    }

    /// The places that give no answer.
    pub fn missing(&self) -> Undiscovered {
        self.places.missing()
    }

    /// Groups that match a template and became no service, and why.
    pub fn unmade(&self) -> &BTreeMap<GroupRef, Unmade> {
        &self.unmade
    }
}

/// What a configuration comes to with the groups that are found now: for those who look once. Who had
/// a name before keeps it.
pub async fn once(config: &Config, providers: &Providers, before: &Named) -> Made {
    let mut discovery = Discovery::new(config, providers);
    discovery.find(providers, Timestamp(0), WITHIN).await;
    discovery.ask(providers, Timestamp(0), Seconds::ZERO);
    discovery.wait(Timestamp(0), WITHIN + Duration::from_secs(1)).await;
    discovery.made(config, before)
}

/// No answer, and why.
fn lost(why: &str) -> Fault {
    unasked("discover", why)
}

#[cfg(test)]
mod tests;
