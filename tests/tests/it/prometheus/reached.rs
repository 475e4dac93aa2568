//! How one comes to a store: certificates, passwords, tokens, and what stands in between.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fleet::{Fault, FaultKind, Seconds, Timestamp};
use providers::prometheus::{ClientCertificate, Credential, Settings};
use providers::{Deadline, Metrics};
use tests::clock::locked;
use tests::peers::{NewStore, Prometheus};

use super::adapter::{SUM, asked, of, query, settings, source};
use super::doors::{PASSWORD, Papers, USER, answer, passed_on, serve};

/// What a store with [`Papers::web`] asks for.
fn with_papers(url: &str, papers: &Papers) -> Settings {
    let mut settings = settings(url);
    settings.ca_file = Some(papers.path("ca.pem"));
    settings.client_certificate = Some(ClientCertificate {
        certificate_file: papers.path("client.pem"),
        key_file: papers.path("client.key"),
    });
    settings.credential =
        Some(Credential::Basic { user: USER.into(), password_file: papers.path("password") });
    settings
}

/// How the source refuses, or cannot be reached.
fn told(answer: Result<Vec<fleet::metric::Sample>, Fault>) -> String {
    answer.expect_err("a fault").to_string()
}

#[tokio::test]
async fn certificates_and_a_password_are_shown_and_read_anew() {
    let (papers, others) = (Papers::made(), Papers::made());
    let store = Prometheus::start(&NewStore { web: Some(papers.web()), ..NewStore::default() });
    let url = format!("https://{}", store.address());
    let sound = source(with_papers(&url, &papers));
    assert_eq!(of(&sound, "42").await.expect("samples").len(), 10);

    papers.write("password", "another-word");
    assert_eq!(told(of(&sound, "42").await), "`query_range` denied: status 401: Unauthorized");
    papers.write("password", "");
    let empty = told(of(&sound, "42").await);
    assert!(empty.contains("denied") && empty.ends_with("password` is empty"), "{empty}");
    std::fs::remove_file(papers.path("password")).expect("it is gone");
    let gone = told(of(&sound, "42").await);
    assert!(gone.contains("denied") && gone.contains("password` cannot be read"), "{gone}");
    papers.write("password", &format!("{PASSWORD}\n"));
    assert_eq!(of(&sound, "42").await.expect("samples").len(), 10);

    let certificate = |papers: &Papers, file: &str| std::fs::read_to_string(papers.path(file));
    let ours = certificate(&papers, "client.pem").expect("it reads");
    papers.write("client.pem", &certificate(&others, "client.pem").expect("it reads"));
    let strange = told(of(&sound, "42").await);
    assert!(strange.contains("client.key` cannot be used"), "a key of another: {strange}");
    papers.write("client.pem", &ours);
    assert_eq!(of(&sound, "42").await.expect("samples").len(), 10);

    let mut bare = with_papers(&url, &papers);
    bare.client_certificate = None;
    let bare = told(of(&source(bare), "42").await);
    // Which alert it is depends on the store's TLS library.
    assert!(bare.contains("unreachable") && bare.contains("received fatal alert"), "{bare}");
    let mut strange = with_papers(&url, &papers);
    strange.ca_file = Some(others.path("ca.pem"));
    let strange = told(of(&source(strange), "42").await);
    assert!(
        strange.contains("unreachable") && strange.contains("invalid peer certificate"),
        "{strange}"
    );
    let mut public = with_papers(&url, &papers);
    public.ca_file = None;
    let public = told(of(&source(public), "42").await);
    assert!(
        public.contains("unreachable") && public.contains("invalid peer certificate"),
        "{public}"
    );
}

#[tokio::test]
async fn a_token_and_a_tenant_are_sent_and_never_told() {
    const TOKEN: &str = "a-token-that-nobody-may-see";
    let papers = Papers::made();
    let store = Prometheus::start(&NewStore::default());
    let to = store.address();
    let wanted = Arc::new(Mutex::new(TOKEN.to_owned()));
    let expected = Arc::clone(&wanted);
    let proxy = serve(move |request| {
        let given = request.header("authorization").unwrap_or_default();
        let tenant = request.header("x-scope-orgid") == Some("team-a");
        match given == format!("Bearer {}", locked(&expected)) && tenant {
            true => passed_on(request, to),
            // It repeats what it was sent, as some do.
            false => answer("401 Unauthorized", "", &format!("not you: {given}")),
        }
    });
    let mut settings = settings(&format!("http://{proxy}"));
    settings.credential = Some(Credential::Bearer { token_file: papers.path("token") });
    settings.tenant = Some("team-a".into());
    papers.write("token", TOKEN);
    let source = source(settings);
    assert_eq!(of(&source, "42").await.expect("samples").len(), 10);
    *locked(&wanted) = "another-token".into();
    assert_eq!(
        told(of(&source, "42").await),
        "`query_range` denied: status 401: not you: Bearer [secret]"
    );
    papers.write("token", "another-token");
    assert_eq!(of(&source, "42").await.expect("samples").len(), 10);
    papers.write("token", "two\nlines");
    assert!(told(of(&source, "42").await).ends_with("token` holds more than one line"));
    let debug = format!("{source:?}");
    assert!(!debug.contains("another-token") && !debug.contains("two"), "{debug}");
}

#[tokio::test]
async fn nobody_else_is_shown_a_credential() {
    let papers = Papers::made();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let other = serve(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        answer("200 OK", "", "")
    });
    let location = format!("Location: http://{other}/api/v1/query_range\r\n");
    let there = serve(move |_| answer("307 Temporary Redirect", &location, ""));
    let mut settings = settings(&format!("http://{there}"));
    settings.credential =
        Some(Credential::Basic { user: USER.into(), password_file: papers.path("password") });
    let fault = told(of(&source(settings), "42").await);
    assert!(fault.contains("refused: status 307: it points elsewhere"), "{fault}");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_without_an_end_ends() {
    let body = format!("{{\"status\":\"success\",\"data\":\"{}", "x".repeat(5 << 20));
    let endless = serve(move |_| answer("200 OK", "", &body));
    let fault = told(of(&source(settings(&format!("http://{endless}"))), "42").await);
    assert!(fault.contains("refused: an answer of more than 4 MiB"), "{fault}");
}

#[tokio::test]
async fn what_fails_on_the_way_is_asked_for_again() {
    let store = Prometheus::start(&NewStore::default());
    let (to, mut calls) = (store.address(), 0);
    let way = serve(move |request| {
        calls += 1;
        match calls {
            1 => answer("429 Too Many Requests", "Retry-After: 1\r\n", "slow down"),
            // Cut in the middle of its body.
            2 => b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"status\":\"succ".to_vec(),
            3 => answer("503 Service Unavailable", "", "<html>"),
            _ => passed_on(request, to),
        }
    });
    assert_eq!(of(&source(settings(&format!("http://{way}"))), "42").await.expect("ten").len(), 10);
}

#[tokio::test]
async fn a_store_that_says_nothing_is_given_up_at_the_deadline() {
    let silent = serve(|_| Vec::new());
    let source = source(settings(&format!("http://{silent}")));
    let now = Timestamp(1_772_798_400);
    let begun = Instant::now();
    let deadline = Deadline::within(Duration::from_millis(500));
    let queries = [query(SUM, 60), query("42", 60)];
    let answers = source.samples(&queries, now - Seconds(600), now, deadline).await;
    let kinds: Vec<FaultKind> =
        answers.into_iter().map(|answer| answer.expect_err("a fault").kind).collect();
    assert_eq!(kinds, [FaultKind::TimedOut, FaultKind::TimedOut]);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn where_nobody_listens_every_query_is_told_so() {
    let store = Prometheus::start(&NewStore::default());
    let source = source(settings(&format!("http://{}", store.address())));
    assert_eq!(of(&source, "42").await.expect("samples").len(), 10);
    store.kill();
    for answer in asked(&source, &[query("42", 60), query(SUM, 60)], Seconds(600)).await {
        assert_eq!(answer.expect_err("a fault").kind, FaultKind::Unreachable);
    }
    store.resume();
    assert_eq!(of(&source, "42").await.expect("samples").len(), 10);
}
