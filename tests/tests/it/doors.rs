//! The page's doors: forms by HTTP/1.1 and HTTP/2, who a request is from and whom it is for where
//! that is said more than once, how the daemon does while others hold every connection, and a port
//! that is somebody else's.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tests::neap::Neap;
use tests::page::{APPROVE, Ask, LISTEN, LOOK_OFTEN, Reply, Served, until, world};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
const APPROVER: &str = "approver-4711-b0a7c2d95e";
const OF_PROXY: &str = "proxy-2718-e281828459";

const TOKEN: &str = "[[page.token]]\nname = \"li.wei\"\nright = \"approve\"\ntoken_file = \"a\"\n";

fn place(tables: &str) -> Neap {
    let neap = Neap::new(BINARY, &world(200, 40, LOOK_OFTEN, tables));
    neap.secret("a", APPROVER);
    neap.secret("proxy.secret", OF_PROXY);
    neap
}

fn page(more: &str) -> String {
    format!("[page]\n{LISTEN}\n{more}\n{TOKEN}\n{APPROVE}")
}

/// A request by either version of HTTP, meant for a host.
fn sent(address: SocketAddr, version: u8, ask: Ask, host: &str) -> Reply {
    let reply = match version {
        1 => ask.with("host", host).send(address),
        _ => ask.send_over_http2(address, host),
    };
    reply.unwrap_or_else(|| panic!("no answer by HTTP/{version} as {host}"))
}

#[test]
fn an_offer_is_taken_and_taken_back_over_http2() {
    let gated = page("").replace("mode = \"approve\"", "mode = \"act\"\npromotion = \"gated\"");
    let gate = "[promotion]\nshadow_for = \"0s\"\ndecisions = 1\nwrong_stops = \"100%\"\n";
    let served = Served::start(place(&format!("{gated}\n{gate}")));
    let (host, origin) = (served.address.to_string(), served.origin());
    let by = |ask: Ask| sent(served.address, 2, ask, &host);
    let signed_in = Ask::post("/sign-in", &[("token", APPROVER)]).with("origin", &origin);
    let cookie = by(signed_in).cookie().expect("a session").to_owned();
    let seen = || by(Ask::get("/idle").with("cookie", &cookie)).body;
    let answer = |form: &[(&str, &str)]| by(served.answer(form).with("cookie", &cookie)).status;
    let offer = until("an offer", || {
        let body = seen();
        let (_, rest) = body.split_once("name=\"offer\" value=\"")?;
        Some(rest.split('"').next()?.to_owned())
    });
    let promote =
        |offer| answer(&[("verb", "promote"), ("subject", "forgotten"), ("offer", offer)]);
    assert_eq!(promote("000000000000"), 409, "an offer of another name");
    assert_eq!(promote(&offer), 200);
    until("the promotion", || seen().contains("promoted by li.wei").then_some(()));
    assert_eq!(answer(&[("verb", "demote"), ("subject", "forgotten")]), 200);
    until("the demotion", || (!seen().contains("promoted by li.wei")).then_some(()));
}

#[test]
fn a_form_is_the_pages_own_where_host_and_origin_name_the_same_place() {
    let hosts = "hosts = [\"Neap.example.com\", \"[2001:db8:0::7]\", \"2001:db8::8\"]";
    let served = Served::start(place(&page(hosts)));
    // What the request is meant for, where its form comes from, and whether that is one place.
    let pairs = [
        ("localhost", "http://localhost", true),
        ("localhost:80", "http://localhost", true),
        ("localhost", "http://localhost:80", true),
        // A proxy has ended TLS.
        ("neap.example.com", "https://neap.example.com", true),
        ("neap.example.com:443", "https://neap.example.com", true),
        ("neap.example.com", "https://neap.example.com:443", true),
        ("NEAP.example.COM:7317", "HTTP://neap.EXAMPLE.com:7317", true),
        ("[2001:db8::7]", "http://[2001:db8::7]", true),
        ("[2001:DB8:0:0::7]:7317", "https://[2001:db8::7]:7317", true),
        ("[2001:db8::8]:80", "http://[2001:db8::8]", true),
        ("localhost:443", "http://localhost", false),
        ("localhost:80", "https://localhost", false),
        ("localhost:7317", "http://localhost", false),
        ("localhost", "http://localhost:7317", false),
        ("localhost", "http://127.0.0.1", false),
        ("localhost", "localhost", false),
        ("localhost", "ftp://localhost", false),
        ("localhost", "http://localhost/", false),
        ("localhost", "http://user@localhost", false),
        ("localhost", "http://localhost:99999", false),
        ("localhost", "http://localhost, http://evil.example", false),
        ("neap.example.com", "https://neap.example.com.evil.example", false),
        ("[2001:db8::7]", "http://[2001:db8::8]", false),
    ];
    for version in [1, 2] {
        for (host, origin, own) in pairs {
            let ask = Ask::post("/sign-in", &[("token", APPROVER)]).with("origin", origin);
            let reply = sent(served.address, version, ask, host);
            let status = if own { 303 } else { 403 };
            assert_eq!(reply.status, status, "HTTP/{version}: {host} {origin}: {reply:?}");
        }
        // Two origins are none.
        for two in [["http://localhost"; 2], ["http://localhost", "http://evil.example"]] {
            let ask = Ask::post("/sign-in", &[("token", APPROVER)]);
            let ask = ask.with("origin", two[0]).with("origin", two[1]);
            assert_eq!(sent(served.address, version, ask, "localhost").status, 403, "{two:?}");
        }
        for stranger in ["evil.example", "evil.example:80", "[2001:db8::9]", "127.0.0.2"] {
            let origin = format!("http://{stranger}");
            let ask = Ask::post("/sign-in", &[("token", APPROVER)]).with("origin", &origin);
            assert_eq!(sent(served.address, version, ask, stranger).status, 421, "{stranger}");
        }
    }
}

#[test]
fn what_a_request_is_meant_for_is_said_once_or_twice_the_same() {
    let served = Served::start(place(&page("hosts = [\"neap.example.com\"]")));
    let (twice, differs) = ("more than one `host`", "name different hosts");
    let (nowhere, broken) = ("names no host", "is no host");
    // The target of HTTP/1.1, its `host` headers, and what is said of them.
    let of_http1 = [
        ("/", &["localhost"][..], ""),
        ("http://localhost/", &["localhost"], ""),
        ("http://LOCALHOST:80/", &["localhost"], ""),
        ("https://neap.example.com/", &["neap.example.com:443"], ""),
        ("/", &["localhost", "localhost"], twice),
        ("/", &["localhost", "evil.example"], twice),
        ("/", &["localhost", ""], twice),
        ("http://localhost/", &["localhost", "localhost"], twice),
        ("http://localhost/", &["evil.example"], differs),
        ("http://localhost/", &["neap.example.com"], differs),
        ("http://localhost:81/", &["localhost"], differs),
        ("http://evil.example/", &["localhost"], differs),
        ("/", &[""], broken),
        ("/", &["user@localhost"], broken),
        ("/", &["localhost:66000"], broken),
    ];
    for (target, hosts, why) in of_http1 {
        let ask = hosts.iter().fold(Ask::get(target), |ask, host| ask.with("host", host));
        let reply = ask.send(served.address).expect("an answer");
        assert_eq!(reply.status, if why.is_empty() { 200 } else { 400 }, "{target} {hosts:?}");
        assert!(reply.body.contains(why), "{target} {hosts:?}: {}", reply.body);
    }
    // `:authority` of HTTP/2, and the `host` headers beside it.
    let of_http2 = [
        ("localhost", &[][..], ""),
        ("localhost", &["localhost"], ""),
        ("neap.example.com", &["NEAP.example.com:80"], ""),
        ("localhost", &["localhost", "localhost"], twice),
        ("localhost", &["evil.example", "localhost"], twice),
        ("localhost", &["evil.example"], differs),
        ("evil.example", &["localhost"], differs),
        ("localhost", &["neap.example.com"], differs),
        ("localhost", &["localhost:7317"], differs),
        ("localhost", &["a host"], broken),
    ];
    for (authority, hosts, why) in of_http2 {
        let ask = hosts.iter().fold(Ask::get("/"), |ask, host| ask.with("host", host));
        let reply = ask.send_over_http2(served.address, authority).expect("an answer");
        assert_eq!(reply.status, if why.is_empty() { 200 } else { 400 }, "{authority} {hosts:?}");
        assert!(reply.body.contains(why), "{authority} {hosts:?}: {}", reply.body);
    }
    let mut none = TcpStream::connect(served.address).expect("it listens");
    std::io::Write::write_all(&mut none, b"GET / HTTP/1.0\r\n\r\n").expect("it takes it");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut none, &mut said).expect("an answer");
    assert!(said.starts_with("HTTP/1.0 400") && said.contains(nowhere), "{said}");
}

#[test]
fn the_way_back_is_the_same_by_either_version() {
    let served = Served::start(place(&page("")));
    let host = served.address.to_string();
    for version in [1, 2] {
        let reply = sent(served.address, version, Ask::get("/idle?only=all"), &host);
        assert_eq!(reply.links("/lang/"), ["/lang/zh?back=%2Fidle%3Fonly%3Dall"], "{version}");
        assert_eq!(reply.links("/sign-in"), ["/sign-in?back=%2Fidle%3Fonly%3Dall"], "{version}");
        let body = reply.body.replace("&#x2f;", "/");
        assert!(body.contains("href=\"/idle\" aria-current=\"page\""), "{version}: {body}");
    }
}

#[test]
fn who_is_named_twice_is_nobody() {
    let proxy = "viewing = \"token\"\n[page.proxy]\nheader = \"x-forwarded-user\"\nsecret_file = \
                 \"proxy.secret\"\napprovers = [\"boss\"]\n";
    let served = Served::start(place(&page(proxy)));
    let (user, secret, bearer) = ("x-forwarded-user", "x-neap-proxy-secret", "authorization");
    let token = format!("Bearer {APPROVER}");
    let token = token.as_str();
    let (twice, no_name, foreign) = ("more than one", "is not one name", "");
    let proven = (secret, OF_PROXY);
    let cases = [
        (vec![(user, "boss"), proven], 200, foreign),
        (vec![(user, "boss"), (user, "mallory"), proven], 400, twice),
        (vec![(user, "mallory"), proven, (user, "boss")], 400, twice),
        (vec![(user, "boss"), (user, "boss"), proven], 400, twice),
        (vec![("X-Forwarded-User", "boss"), ("x-FORWARDED-user", "mallory"), proven], 400, twice),
        (vec![(user, ""), (user, "boss"), proven], 400, twice),
        (vec![(user, "boss"), (user, ""), proven], 400, twice),
        (vec![(user, "boss"), (user, "mallory")], 400, twice),
        (vec![(user, "boss"), proven, proven], 400, twice),
        (vec![(user, "boss"), (secret, "wrong"), proven], 400, twice),
        (vec![(bearer, token), (bearer, token)], 400, twice),
        (vec![(bearer, token), (bearer, "Bearer nobody"), (user, "boss"), proven], 400, twice),
        (vec![(user, "boss, mallory"), proven], 400, no_name),
        (vec![(user, "boss,boss"), proven], 400, no_name),
        (vec![(user, "boss;mallory"), proven], 400, no_name),
        // These name somebody who may look at most.
        (vec![(user, "Boss"), proven], 403, foreign),
        (vec![(user, "mallory"), proven], 403, foreign),
        (vec![(user, ""), proven], 401, foreign),
        (vec![(user, "boss")], 401, foreign),
        (vec![(user, "boss"), (secret, "wrong")], 401, foreign),
    ];
    let host = served.address.to_string();
    let form = [("verb", "demote"), ("subject", "checkout")];
    for version in [1, 2] {
        for (headers, status, why) in &cases {
            let with = |ask, (name, value): &(&str, &str)| {
                // There are no capitals in the headers of HTTP/2.
                let name = if version == 1 { (*name).to_owned() } else { name.to_lowercase() };
                Ask::with(ask, &name, value)
            };
            let ask = headers.iter().fold(served.answer(&form), with);
            let reply = sent(served.address, version, ask, &host);
            assert_eq!(reply.status, *status, "HTTP/{version}: {headers:?}: {reply:?}");
            assert!(reply.body.contains(why), "HTTP/{version}: {headers:?}: {}", reply.body);
            // The reason tells nobody what was shown.
            assert!(!reply.body.contains(OF_PROXY) && !reply.body.contains(APPROVER));
            let seen = headers.iter().fold(Ask::get("/healthz"), with);
            let seen = sent(served.address, version, seen, &host).status;
            assert_eq!(seen, if *status == 400 { 400 } else { 200 }, "{headers:?}");
        }
    }
    let journal = served.neap.output(&["journal", "ls", "--all"]);
    let journal = String::from_utf8_lossy(&journal.stdout).into_owned();
    assert!(!journal.contains("mallory"), "{journal}");
}

/// Somebody who says this and waits.
fn holding(address: SocketAddr, said: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).ok()?;
    // It may be closed already.
    let _ = std::io::Write::write_all(&mut stream, said);
    Some(stream)
}

#[test]
fn how_the_daemon_does_is_told_while_others_hold_every_connection() {
    const EACH: usize = 300;
    const SOON: Duration = Duration::from_secs(5);
    let served = Served::start(place(&page("")));
    // HTTP/2 with nothing but its preface and settings, or with a request whose headers never end.
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let unending = [preface, b"\0\0\x01\x01\0\0\0\0\x01\x82"].concat();
    let form = "POST /sign-in HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n\
                content-length: 9000\r\n\r\ntoken=";
    let kept = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // Pages that nobody reads.
    let unread = "GET /journal HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(20);
    let kinds: [(&str, &[u8]); 7] = [
        ("who says nothing", b""),
        ("who says half a header", b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: "),
        ("whose form does not end", form.as_bytes()),
        ("who stays after an answer", kept.as_bytes()),
        ("who says nothing by HTTP/2", preface),
        ("whose headers do not end by HTTP/2", &unending),
        ("who does not read", unread.as_bytes()),
    ];
    for (kind, said) in kinds {
        let _held: Vec<_> = (0..EACH).filter_map(|_| holding(served.address, said)).collect();
        for target in ["/healthz", "/readyz", "/metrics"] {
            let asked = Instant::now();
            let reply = Ask::get(target).send(served.address);
            let status = reply.map(|reply| reply.status);
            assert_eq!(status, Some(200), "{target} among those {kind}");
            assert!(asked.elapsed() < SOON, "{target} among those {kind}: {:?}", asked.elapsed());
        }
        let people = Ask::get("/sign-in").send(served.address).map(|reply| reply.status);
        assert!(matches!(people, Some(200 | 503)), "among those {kind}: {people:?}");
    }
}

#[test]
fn a_port_that_is_taken_keeps_the_page_closed_and_the_daemon_at_work() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it listens");
    let listen = format!("listen = \"{address}\"");
    let neap = place(&page("").replace(LISTEN, &listen));
    let running = neap.start_alone();
    let cycles = || running.stdout().lines().count();
    until("cycles without a page", || {
        assert!(running.ended().is_none(), "it ended: {}", running.stderr());
        (cycles() >= 3).then_some(())
    });
    let said = running.stderr();
    assert!(said.contains("the page cannot be opened"), "{said}");
    assert!(said.contains(&address.to_string()) && !said.contains("the page is open"), "{said}");
    let status = || {
        let output = neap.output(&["status"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(status().contains("the page is not open, and is tried again: "), "{}", status());

    // A changed configuration is taken over meanwhile, and holds once the page is open.
    neap.secret("a", "another-0815-b0a7c2d95e");
    running.signal("HUP");
    until("the reload", || running.stderr().contains("configuration reloaded").then_some(()));
    drop(taken);
    until("the page is open", || running.stderr().contains("the page is open").then_some(()));
    let served = Served { neap, running, address };
    until("a cycle", || (served.get("/readyz").status == 200).then_some(()));
    let by = |token: &str| {
        let form = [("verb", "demote"), ("subject", "checkout")];
        served.ask(Ask::post("/answer", &form).bearing(token)).status
    };
    assert_eq!((by(APPROVER), by("another-0815-b0a7c2d95e")), (401, 200));
    let before = served.cycles();
    until("more cycles", || (served.cycles() > before + 1).then_some(()));
    let output = served.neap.output(&["status"]);
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!status.contains("the page is not open"), "{status}");
    let said = served.running.stderr();
    assert_eq!(said.matches("the page cannot be opened").count(), 1, "it is said once: {said}");
}
