//! Logging to stderr, for people or for machines; and the way of spans to whoever keeps traces.

use std::io::IsTerminal;
use std::sync::OnceLock;

use config::{Log, LogFormat, LogLevel};
use opentelemetry_sdk::trace::SdkTracer;
use providers::traced::SPANS;
use tracing::Metadata;
use tracing_subscriber::filter::{FilterFn, Filtered, LevelFilter, Targets};
use tracing_subscriber::layer::{Identity, Layer, Layered, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::{fmt, reload};

use crate::options;

type Spans = Box<dyn Layer<Registry> + Send + Sync>;
type SpanFilter = reload::Layer<FilterFn, Registry>;
type Spanned = Layered<Filtered<reload::Layer<Spans, Registry>, SpanFilter, Registry>, Registry>;
type Lines = Box<dyn Layer<Spanned> + Send + Sync>;

/// What can be changed while logging goes on, and what the command line has fixed.
struct Handles {
    filter: reload::Handle<Targets, Spanned>,
    lines: reload::Handle<Lines, Spanned>,
    spans: reload::Handle<Spans, Registry>,
    span_filter: reload::Handle<FilterFn, Registry>,
    format: Option<LogFormat>,
    level: Option<LogLevel>,
}

static HANDLES: OnceLock<Handles> = OnceLock::new();

/// Starts logging, by the command line or else by the defaults; a second start changes nothing.
pub fn start(format: Option<LogFormat>, level: Option<LogLevel>) {
    let (filter, filter_handle): (reload::Layer<Targets, Spanned>, _) =
        reload::Layer::new(targets(level.unwrap_or_default()));
    let (layer, lines_handle): (reload::Layer<Lines, Spanned>, _) =
        reload::Layer::new(lines(format.unwrap_or_default()));
    let (spans, spans_handle): (reload::Layer<Spans, Registry>, _) =
        reload::Layer::new(Identity::new().boxed());
    let none = FilterFn::new(nothing as fn(&Metadata<'_>) -> bool);
    let (span_filter, span_filter_handle): (SpanFilter, _) =
        reload::Layer::new(none.with_max_level_hint(LevelFilter::OFF));
    // Each has a filter of its own: a quiet log is no reason to trace less.
    let subscriber = tracing_subscriber::registry()
        .with(spans.with_filter(span_filter))
        .with(layer.with_filter(filter));
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        return;
    }
    let handles = Handles {
        filter: filter_handle,
        lines: lines_handle,
        spans: spans_handle,
        span_filter: span_filter_handle,
        format,
        level,
    };
    if HANDLES.set(handles).is_ok() {
        log_panics();
    }
}

/// Takes over `[log]` of a configuration, as far as the command line did not decide.
pub fn adopt(log: Log) {
    let Some(handles) = HANDLES.get() else { return };
    let adopted = handles
        .filter
        .reload(targets(handles.level.unwrap_or(log.level)))
        .and_then(|()| handles.lines.reload(lines(handles.format.unwrap_or(log.format))));
    if let Err(error) = adopted {
        tracing::warn!(%error, "the level and format of the log stay as they were");
    }
}

/// From now on spans go to `tracer`.
pub fn trace(tracer: SdkTracer) {
    let Some(handles) = HANDLES.get() else { return };
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_context_activation(false);
    let marked = FilterFn::new(is_marked as fn(&Metadata<'_>) -> bool);
    let adopted = handles
        .spans
        .reload(layer.boxed())
        .and_then(|()| handles.span_filter.reload(marked.with_max_level_hint(LevelFilter::INFO)));
    if let Err(error) = adopted {
        tracing::warn!(%error, "nothing is traced");
    }
}

fn nothing(_: &Metadata<'_>) -> bool {
    false
}

/// Our own spans: those of libraries may hold what is nobody's business.
fn is_marked(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == SPANS
}

/// Our own lines from `level` on; those of libraries only where they warn, unless all is asked for.
fn targets(level: LogLevel) -> Targets {
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => return Targets::new().with_default(LevelFilter::TRACE),
    };
    let libraries = ours.min(LevelFilter::WARN);
    Targets::new().with_default(libraries).with_targets(OURS.map(|name| (name, ours)))
}

/// Our own crates that write to the log.
const OURS: [&str; 6] = ["alerts", "journal", "neap", "page", "providers", "report"];

fn lines(format: LogFormat) -> Lines {
    let stderr = std::io::stderr();
    // systemd's journal stamps every line itself and shows no colours.
    let to_journal = std::env::var_os("JOURNAL_STREAM").is_some() && !stderr.is_terminal();
    let colored = options::colored(&stderr) && !to_journal;
    let layer = fmt::layer().with_writer(crate::output::log).with_ansi(colored);
    match (format, to_journal) {
        (LogFormat::Json, _) => layer.json().flatten_event(true).boxed(),
        (LogFormat::Human, true) => layer.without_time().with_target(false).boxed(),
        (LogFormat::Human, false) => layer.with_target(false).boxed(),
    }
}

/// A panic becomes one line of the log with its place, so that no supervisor's log misses it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        tracing::error!(
            place,
            message,
            thread,
            "panic: this is a defect of neap, please report it"
        );
    }));
}
