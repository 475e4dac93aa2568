//! What is wrong with the files that sources of metrics name, as far as they can be read from here.

use std::sync::Arc;

use config::{Config, ProviderConfig};
use providers::prometheus::Prometheus;

use super::{Advice, Severity};
use crate::assemble;
use crate::clock::System;

/// A warning for each source of which a file is of no use; no source is asked anything.
///
/// It is no fault of the configuration: files come and go, and the daemon reads them every time.
pub(super) fn faulty_files(config: &Config) -> Vec<Advice> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let mut advice = Vec::new();
    for (name, provider) in &config.providers {
        let ProviderConfig::Prometheus(prometheus) = provider else { continue };
        let about = format!("provider {name}");
        let unreadable = prometheus.files().find(|file| !file.is_readable());
        if let Some(file) = unreadable {
            let text = format!(
                "`{}` cannot be read from here: the daemon must be able to, or it has no samples",
                file.path().display()
            );
            advice.push(Advice { severity: Severity::Warning, about, text });
            continue;
        }
        let settings = assemble::prometheus_settings(name, prometheus);
        let source = Prometheus::new(settings, Arc::new(System));
        if let Err(faulty) = runtime.block_on(source.check_files()) {
            advice.push(Advice { severity: Severity::Warning, about, text: faulty.to_string() });
        }
    }
    advice
}
