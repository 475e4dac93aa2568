//! What the configuration keeps secrets of, opened before anything starts.

use std::sync::Arc;

use alerts::Channel;
use config::Config;
use providers::Now;

use crate::clock::System;
use crate::traces;

/// What the configuration keeps secrets of.
pub struct Secrets {
    /// Channels of alerts.
    pub(super) channels: Vec<Channel>,
    /// The page's doors.
    pub(super) access: Option<page::Access>,
    /// What goes along with traces.
    pub(super) headers: traces::Headers,
}

/// Opens what the configuration keeps secrets of.
pub fn open(config: &Config) -> Result<Secrets, Vec<config::ConfigFault>> {
    // Receivers' clocks are the world's, whatever a simulation's shows.
    let world: Arc<dyn Now> = Arc::new(System);
    let channels = alerts::open(&config.alerts, alerts::Options::default(), &world);
    let access = config.page.as_ref().map(page::Access::open).transpose();
    let headers = config.trace.as_ref().and_then(|trace| trace.headers.as_ref());
    let headers = headers.map(traces::Headers::read).transpose().map_err(|fault| vec![fault]);
    match (channels, access, headers) {
        (Ok(channels), Ok(access), Ok(headers)) => {
            Ok(Secrets { channels, access, headers: headers.unwrap_or_default() })
        }
        (channels, access, headers) => {
            let faults = [channels.err(), access.err(), headers.err()];
            Err(faults.into_iter().flatten().flatten().collect())
        }
    }
}

/// Says which files of secrets everybody on this machine may read.
pub fn warn_of_exposed(config: &Config) {
    for (about, file) in config.exposed_secrets() {
        tracing::warn!(about, file = %file.path().display(), "everybody on this machine may read a secret");
    }
}
