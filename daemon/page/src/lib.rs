//! The review page: what the daemon sees, decides and does, for people; and a place where they
//! answer.
//!
//! It runs on threads of its own, so that no visitor, and no number of them, slows a cycle.

mod access;
mod answer;
mod board;
mod chart;
mod guard;
mod health;
pub mod metrics;
mod render;
mod site;
mod views;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
#[cfg(feature = "tls")]
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::sync::oneshot;

pub use access::{Access, Caller};
pub use board::{Board, Decision, Latest, LookInBrief, Past, Point};
pub use site::Site;

/// Threads that serve, and that read the journal for them.
const SERVING: usize = 2;
const READING: usize = 4;
/// How long a visitor may take to say what they want.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// Keeps the page up; it is gone with this.
pub struct Page {
    site: Arc<Site>,
    handle: axum_server::Handle<SocketAddr>,
    runtime: Option<tokio::runtime::Runtime>,
    address: SocketAddr,
}

impl Drop for Page {
    fn drop(&mut self) {
        self.handle.shutdown();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Page {
    /// Opens the page.
    ///
    /// # Errors
    /// Where it cannot listen, or its certificate cannot be used.
    pub async fn open(page: &config::Page, site: Site) -> anyhow::Result<Page> {
        use anyhow::Context;
        let listener = std::net::TcpListener::bind(page.listen)
            .with_context(|| format!("opening the page on {}", page.listen))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SERVING)
            .max_blocking_threads(READING)
            .thread_name("page")
            .enable_all()
            .build()?;
        let site = Arc::new(site);
        let handle = axum_server::Handle::new();
        let server = serve(listener, page.tls.clone(), router(&site), handle.clone());
        let (told, heard) = oneshot::channel();
        runtime.spawn(async move {
            // Who opened it waits for this.
            let _ = told.send(server.await);
        });
        // From here on a fault ends the threads in the right way.
        let opened = Page { site, handle, runtime: Some(runtime), address };
        heard.await??;
        tracing::info!(%address, tls = page.tls.is_some(), "the page is open");
        Ok(opened)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes over who may do what.
    pub fn admit(&self, access: Access) {
        self.site.admit(access);
    }
}

/// Begins to serve.
async fn serve(
    listener: std::net::TcpListener,
    tls: Option<config::Tls>,
    router: Router,
    handle: axum_server::Handle<SocketAddr>,
) -> anyhow::Result<()> {
    let service = router.into_make_service();
    let gate = guard::Gate::default();
    let server = axum_server::from_tcp(listener)?.handle(handle);
    // Until the first byte comes, no other limit holds.
    let server = server.first_request_timeout(HEADERS_WITHIN);
    match tls {
        None => {
            let mut server = server.acceptor(gate);
            patience(server.http_builder());
            tokio::spawn(server.serve(service));
        }
        #[cfg(not(feature = "tls"))]
        Some(_) => anyhow::bail!(
            "the page has a certificate, and this neap has no TLS\n\nhint: build neap with its \
             feature `tls`, as `cargo build --release` does"
        ),
        #[cfg(feature = "tls")]
        Some(files) => {
            let tls = RustlsAcceptor::new(certificate(&files).await?).acceptor(gate);
            let mut server = server.acceptor(tls);
            patience(server.http_builder());
            tokio::spawn(server.serve(service));
        }
    }
    Ok(())
}

#[cfg(feature = "tls")]
async fn certificate(files: &config::Tls) -> anyhow::Result<RustlsConfig> {
    use anyhow::Context;
    let (certificate, key) = (files.certificate.path(), files.key.path());
    RustlsConfig::from_pem_file(certificate, key).await.with_context(|| {
        format!(
            "the page's certificate `{}` with its key `{}`",
            certificate.display(),
            key.display()
        )
    })
}

/// Who does not say what they want is let go.
fn patience<E>(builder: &mut hyper_util::server::conn::auto::Builder<E>) {
    builder
        .http1()
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(64 * 1024);
}

/// Everything that can be asked for.
fn router(site: &Arc<Site>) -> Router {
    let site = Arc::clone(site);
    Router::new()
        .route("/", get(views::fleet::show))
        .route("/service/{name}", get(views::service::show))
        .route("/decision/{cycle}/{name}", get(views::decision::show))
        .route("/idle", get(views::idle::list))
        .route("/idle/story", get(views::idle::story))
        .route("/journal", get(views::journal::list))
        .route("/journal/{id}", get(views::journal::show))
        .route("/review", get(views::review::show))
        .route("/what-if", get(views::what_if::show))
        .route("/answer", post(answer::take))
        .route("/lang/{code}", get(views::language))
        .route("/sign-in", get(views::sign_in::show).post(views::sign_in::take))
        .route("/sign-out", post(views::sign_in::leave))
        .route("/assets/neap.css", get(render::style))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .fallback(views::nothing_here)
        .layer(from_fn_with_state(Arc::clone(&site), guard::guard))
        .with_state(site)
}
