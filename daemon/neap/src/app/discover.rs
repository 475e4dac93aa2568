//! Groups that are found or gone while the daemon runs: taken over between two cycles.

use fleet::Timestamp;
use planner::policy::Policy;

use super::Daemon;
use crate::assemble;
use crate::discovery::{self, Made, Named};

impl Daemon {
    /// Takes over what has been answered, and asks what is due. Nothing is waited for, but where the
    /// clock stands still meanwhile, or there is no cycle to come.
    pub(super) async fn discover(&mut self, now: Timestamp, waits: bool) {
        let poll = self.engine.standing.policy.poll_interval;
        self.discovery.take(now);
        if waits {
            self.discovery.find(&self.clouds.providers, now, discovery::WITHIN).await;
        }
        self.discovery.ask(&self.clouds.providers, now, poll);
        if waits {
            self.discovery.wait(now, discovery::WITHIN).await;
        }
        if self.discovery.has_news() {
            match self.take_over_groups(now) {
                Ok(()) => self.discovery.settled(),
                Err(fault) => {
                    tracing::error!(%fault, "groups that were found wait: the journal cannot be written");
                }
            }
        }
        let missing = self.discovery.missing();
        self.board.undiscovered(missing.clone());
        self.engine.undiscovered = missing;
    }

    fn take_over_groups(&mut self, now: Timestamp) -> Result<(), journal::JournalFault> {
        let standing = &self.engine.standing;
        let before = Named::of(&standing.policy, &self.engine.memory);
        let made = self.discovery.made(&self.config, &before);
        let Made { policy, models, calendars, .. } = made;
        let is_same = standing.policy == policy
            && standing.models == models
            && policy
                .services
                .keys()
                .all(|name| standing.calendars.rule(name) == calendars.rule(name));
        if is_same {
            return Ok(());
        }
        let digest = self.journal.record_policy(&policy, &self.source, now)?;
        say(&standing.policy, &policy);
        self.engine.adopt(assemble::standing(&self.config, policy, models, calendars, digest));
        self.shadow.reload(&self.engine.standing.policy);
        Ok(())
    }
}

/// Says which services come and go.
fn say(before: &Policy, after: &Policy) {
    let (before, after) = (&before.services, &after.services);
    for (service, policy) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        tracing::info!(%service, group = %policy.pool.group, "a group that matches a template was found");
    }
    for (service, policy) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        tracing::warn!(
            %service,
            group = %policy.pool.group,
            "the group is gone or matches no template any more: it is left as it is, and what was \
             learned of it is kept for {}",
            planner::memory::AWAY_KEPT
        );
    }
}
