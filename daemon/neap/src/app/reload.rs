//! A changed configuration, taken over between two cycles.

use alerts::{Channel, Sender};
use config::Config;

use super::start::{recorded_source, warn_of};
use super::{Daemon, Secrets, open, warn_of_exposed};
use crate::assemble;
use crate::discovery::{Made, Named};

impl Daemon {
    /// Takes over the configuration's file where it is valid; keeps the old one, loudly, where it
    /// is not.
    pub(super) async fn reload(&mut self) {
        let opened = crate::settings::load(&self.path).and_then(|next| {
            let opened = open(&next)?;
            Ok((next, opened))
        });
        let (next, Secrets { channels, access, .. }) = match opened {
            Ok(opened) => opened,
            Err(faults) => {
                for fault in &faults {
                    tracing::error!(%fault, "configuration refused, the old one stays in force");
                }
                return;
            }
        };
        let differences = config::differences(&self.config, &next);
        for difference in &differences {
            if difference.needs_restart {
                tracing::error!(
                    key = difference.key,
                    "configuration refused: this key needs a restart; the old one stays in force"
                );
                return;
            }
        }
        warn_of_exposed(&next);
        if let (Some(page), Some(access)) = (&self.page, access) {
            page.admit(access);
        }
        if let Err(error) = self.take_over(next, channels).await {
            tracing::error!(%error, "configuration refused, the old one stays in force");
            return;
        }
        crate::telemetry::adopt(self.config.log);
        for difference in &differences {
            let (before, after) = (&difference.before, &difference.after);
            tracing::info!(key = difference.key, ?before, ?after, "configuration changed");
        }
        tracing::info!(changes = differences.len(), "configuration reloaded");
    }

    async fn take_over(&mut self, next: Config, channels: Vec<Channel>) -> anyhow::Result<()> {
        let before = Named::of(&self.engine.standing.policy, &self.engine.memory);
        let made = self.discovery.made(&next, &before);
        let Made { policy, models, calendars, .. } = made;
        let source = recorded_source(&self.path, &next)?;
        let now = self.clouds.clock.now();
        let digest = self.journal.record_policy(&policy, &source, now)?;
        warn_of(&calendars, now);
        // What is known stands at once; whoever may know more is asked, and the next cycle hears it.
        self.discovery.follow(&next, &self.clouds.providers);
        self.discovery.ask(&self.clouds.providers, now, next.policy.poll_interval);
        self.source = source;
        self.engine.reload(assemble::standing(&next, policy, models, calendars, digest));
        self.shadow.reload(&self.engine.standing.policy);
        self.shadow.reckon(next.money.baseline, next.money.commitments.clone());
        self.idle.reload(assemble::idle_standing(&next)).await;
        self.sender.stop().await;
        let options = alerts::Options::default();
        self.sender = Sender::start(&self.journal, self.clouds.now(), channels, options);
        self.board.alerts(self.sender.tally());
        self.config = next;
        Ok(())
    }
}
