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
mod listening;
pub mod metrics;
mod place;
mod refused;
mod render;
mod room;
mod site;
mod views;
mod words;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
#[cfg(feature = "tls")]
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};

use listening::Told;

pub use access::{Access, Caller};
pub use board::{Board, Decision, Latest, LookInBrief, Past, Point};
pub use listening::Standing;
pub use site::Site;

/// Threads that serve, that read the journal for people, and that tell metrics meanwhile.
const SERVING: usize = 2;
const READING: usize = 4;
const SCRAPING: usize = 1;
/// Requests at a time on one connection.
const STREAMS_MAX: u32 = 32;
/// How long a visitor may take to say what they want.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// Keeps the page up; it is gone with this.
pub struct Page {
    site: Arc<Site>,
    handle: axum_server::Handle<SocketAddr>,
    runtime: Option<tokio::runtime::Runtime>,
    told: Told,
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
    /// Opens the page, or goes on trying while its address cannot be had.
    ///
    /// # Errors
    /// Where its certificate cannot be used, or there are no threads for it.
    pub async fn open(page: &config::Page, site: Site) -> anyhow::Result<Page> {
        let door = Door::of(page.tls.as_ref()).await?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SERVING)
            .max_blocking_threads(READING + SCRAPING)
            .thread_name("page")
            .enable_all()
            .build()?;
        let site = Arc::new(site);
        let handle = axum_server::Handle::new();
        let (listen, tls) = (page.listen, page.tls.is_some());
        let first = listening::bind(listen);
        let told = Told::new(match &first {
            Ok((_, address)) => Standing::Open(*address),
            Err(fault) => Standing::Waiting(fault.kind()),
        });
        let opened = Page { site, handle, runtime: Some(runtime), told };
        let (router, handle) = (router(&opened.site), opened.handle.clone());
        let telling = opened.told.clone();
        let serving = async move {
            let (listener, address) = match first {
                Ok(had) => had,
                Err(fault) => listening::wait(listen, fault, &telling).await,
            };
            telling.set(Standing::Open(address));
            tracing::info!(%address, tls, "the page is open");
            if let Err(fault) = serve(listener, door, router, handle).await {
                telling.set(Standing::Waiting(fault.kind()));
                tracing::error!(%address, %fault, "the page is closed until the next start");
            }
        };
        if let Some(runtime) = &opened.runtime {
            runtime.spawn(serving);
        }
        Ok(opened)
    }

    /// Whether it is open.
    pub fn standing(&self) -> Standing {
        self.told.get()
    }

    /// Where it listens, once it does.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.standing() {
            Standing::Open(address) => Some(address),
            Standing::Waiting(_) => None,
        }
    }

    /// Takes over who may do what.
    pub fn admit(&self, access: Access) {
        self.site.admit(access);
    }
}

/// How visitors come in.
enum Door {
    /// As they are.
    Plain,
    /// By TLS.
    #[cfg(feature = "tls")]
    Encrypted(RustlsConfig),
}

impl Door {
    #[cfg(feature = "tls")]
    async fn of(tls: Option<&config::Tls>) -> anyhow::Result<Door> {
        match tls {
            None => Ok(Door::Plain),
            Some(files) => certificate(files).await.map(Door::Encrypted),
        }
    }

    #[cfg(not(feature = "tls"))]
    async fn of(tls: Option<&config::Tls>) -> anyhow::Result<Door> {
        anyhow::ensure!(
            tls.is_none(),
            "the page has a certificate, and this neap has no TLS\n\nhint: build neap with its \
             feature `tls`, as `cargo build --release` does"
        );
        Ok(Door::Plain)
    }
}

/// Serves until the page is gone.
async fn serve(
    listener: std::net::TcpListener,
    door: Door,
    router: Router,
    handle: axum_server::Handle<SocketAddr>,
) -> io::Result<()> {
    let service = router.into_make_service();
    let gate = guard::Gate::default();
    let server = axum_server::from_tcp(listener)?.handle(handle);
    // Until the first byte comes, no other limit holds.
    let server = server.first_request_timeout(HEADERS_WITHIN);
    match door {
        Door::Plain => {
            let mut server = server.acceptor(gate);
            patience(server.http_builder());
            server.serve(service).await
        }
        #[cfg(feature = "tls")]
        Door::Encrypted(certificate) => {
            let tls = RustlsAcceptor::new(certificate).handshake_timeout(HEADERS_WITHIN);
            let mut server = server.acceptor(tls.acceptor(gate));
            patience(server.http_builder());
            server.serve(service).await
        }
    }
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

/// Who does not say what they want, or is gone without a word, is let go.
fn patience<E>(builder: &mut hyper_util::server::conn::auto::Builder<E>) {
    builder
        .http1()
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(hyper_util::rt::TokioTimer::new())
        .keep_alive_interval(HEADERS_WITHIN)
        .keep_alive_timeout(HEADERS_WITHIN)
        .max_concurrent_streams(STREAMS_MAX);
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
