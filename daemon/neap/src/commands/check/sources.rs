//! What is wrong with the files that sources of metrics name, as far as they can be read from here.

use config::Config;

use super::Advice;

/// Without Prometheus built in no configuration names a source.
#[cfg(not(feature = "prometheus"))]
pub(super) fn faulty_files(_: &Config) -> Vec<Advice> {
    Vec::new()
}

/// A warning for each source of which a file is of no use; no source is asked anything.
///
/// It is no fault of the configuration: files come and go, and the daemon reads them every time.
#[cfg(feature = "prometheus")]
pub(super) fn faulty_files(config: &Config) -> Vec<Advice> {
    use std::sync::Arc;

    use config::ProviderConfig;

    use super::Severity;
    use crate::adapters;
    use crate::clock::System;

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
        let Ok(source) = adapters::prometheus::source(name, prometheus, Arc::new(System)) else {
            continue;
        };
        if let Err(faulty) = runtime.block_on(source.check_files()) {
            advice.push(Advice { severity: Severity::Warning, about, text: faulty.to_string() });
        }
    }
    advice
}
