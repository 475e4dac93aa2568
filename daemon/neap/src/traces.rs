//! Traces over OTLP: where the time of a cycle goes, for whoever keeps traces.
//!
//! Spans are queued and sent on a thread of their own. A receiver that is away, hangs or says no
//! costs spans, and never a moment of a cycle.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use config::{ConfigFault, SecretFile, Trace};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use tokio::runtime::{Handle, Runtime};

use crate::telemetry;

/// Spans that wait to be sent; what comes on top is dropped.
const QUEUE: usize = 8192;
/// Spans in a request.
const BATCH: usize = 512;
/// How long spans wait for others to be sent with.
const EVERY: Duration = Duration::from_secs(2);
/// How long a receiver has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long what is left is sent for when the daemon ends.
const FLUSH: Duration = Duration::from_secs(2);

/// What is sent along with traces, so that the receiver takes them: secrets.
#[derive(Clone, Default)]
pub struct Headers(HashMap<String, String>);

impl Headers {
    /// Reads them: one `name: value` a line.
    ///
    /// # Errors
    /// Where the file cannot be read, or a line is no header; what it holds is not repeated.
    pub fn read(file: &SecretFile) -> Result<Headers, ConfigFault> {
        let text = file.read()?;
        let mut headers = HashMap::new();
        for (at, line) in text.expose_secret().lines().enumerate() {
            let parsed = line.split_once(':').and_then(|(name, value)| {
                let (name, value) = (name.trim(), value.trim());
                let sound = HeaderName::try_from(name).is_ok()
                    && HeaderValue::try_from(value).is_ok()
                    && !value.is_empty();
                sound.then(|| (name.to_owned(), value.to_owned()))
            });
            let Some((name, value)) = parsed else {
                let wrong = format!("holds no header in line {}", at + 1);
                let hint = "each line is `name: value`, such as `authorization: Bearer …`";
                return Err(file.fault(&wrong, Some(hint.to_owned())));
            };
            headers.insert(name, value);
        }
        Ok(Headers(headers))
    }
}

/// Sends spans until it is dropped, and then what is left, for a short while.
pub struct Traces {
    provider: SdkTracerProvider,
    runtime: Option<Runtime>,
}

impl Drop for Traces {
    fn drop(&mut self) {
        if self.provider.shutdown_with_timeout(FLUSH).is_err() {
            tracing::debug!("the last spans were not sent");
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Traces {
    /// Begins to send what [`providers::traced::SPANS`] marks. Must not be called, nor its result
    /// be dropped, where tasks run.
    ///
    /// # Errors
    /// Where no thread or no HTTP client can be had.
    pub fn start(trace: &Trace, headers: Headers) -> anyhow::Result<Traces> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("traces")
            .enable_all()
            .build()?;
        if trace.endpoint.starts_with("https:") && !cfg!(feature = "tls") {
            anyhow::bail!(
                "traces go to `{}`, and this neap has no TLS\n\nhint: build neap with its feature \
                 `tls`, as `cargo build --release` does",
                trace.endpoint
            );
        }
        // A header that lets spans in must not follow a redirect.
        let client = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(&trace.endpoint)
            .with_timeout(ANSWER_WITHIN)
            .with_headers(headers.0)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .context("preparing to send traces")?;
        let beside = Beside {
            exporter: Arc::new(exporter),
            runtime: runtime.handle().clone(),
            failing: AtomicBool::new(false),
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(EVERY)
            .build();
        let processor = BatchSpanProcessor::builder(beside).with_batch_config(batches).build();
        let resource = Resource::builder()
            .with_service_name("neap")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let sampler = Sampler::TraceIdRatioBased(trace.sample.fraction());
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_resource(resource)
            .build();
        telemetry::trace(provider.tracer("neap"));
        Ok(Traces { provider, runtime: Some(runtime) })
    }
}

/// The exporter, with its requests where tasks can run: the thread that queues spans is none.
#[derive(Debug)]
struct Beside {
    exporter: Arc<opentelemetry_otlp::SpanExporter>,
    runtime: Handle,
    failing: AtomicBool,
}

impl Beside {
    /// Tells people once that nothing is taken, and once that it is again.
    fn note(&self, result: &OTelSdkResult) {
        let failed = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !failed => {
                tracing::warn!(%error, "the receiver does not accept traces; they are dropped");
            }
            Ok(()) if failed => tracing::info!("the receiver accepts traces again"),
            _ => {}
        }
    }
}

impl SpanExporter for Beside {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        let sent = self.runtime.spawn(async move { exporter.export(batch).await }).await;
        let sent =
            sent.unwrap_or_else(|broken| Err(OTelSdkError::InternalFailure(broken.to_string())));
        self.note(&sent);
        sent
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Nobody else has it before the first batch.
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}
