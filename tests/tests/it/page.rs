//! The review page before visitors of every kind: who may look and who may answer, what is refused,
//! what is never shown, and that no crowd slows a cycle.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Output;

use tests::neap::Neap;
use tests::page::{APPROVE, Ask, LISTEN, LOOK_OFTEN, Reply, Served, escaped, until, world};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
/// Secrets, which must stand in nothing that is shown.
const APPROVER: &str = "approver-4711-b0a7c2d95e";
const VIEWER: &str = "viewer-0815-77f3a1c04d";
const OF_PROXY: &str = "proxy-2718-e281828459";
const HOOK: &str = "hook-3141-5926535897";

const TOKENS: &str = r#"
[[page.token]]
name = "li.wei"
right = "approve"
token_file = "approver.token"
[[page.token]]
name = "auditor"
right = "view"
token_file = "viewer.token"
"#;

/// Every page that there is without knowing more.
const PAGES: [&str; 9] = [
    "/",
    "/service/checkout",
    "/review",
    "/what-if",
    "/what-if?service=checkout",
    "/idle?only=all",
    "/journal",
    "/journal?kind=idle",
    "/sign-in",
];

fn place(speed: u32, tables: &str) -> Neap {
    let neap = Neap::new(BINARY, &world(speed, 40, LOOK_OFTEN, tables));
    neap.secret("approver.token", &format!("{APPROVER}\n"));
    neap.secret("viewer.token", VIEWER);
    neap.secret("proxy.secret", OF_PROXY);
    neap.secret("hook.url", &format!("http://127.0.0.1:9/{HOOK}"));
    neap
}

/// Tokens, a rule that wants approvals, and more in `[page]`.
fn page(more: &str) -> String {
    format!("[page]\n{LISTEN}\n{more}\n{TOKENS}\n{APPROVE}")
}

/// What waits for an approval, as the page says it.
fn waiting(served: &Served) -> Option<(String, String)> {
    let listed = served.get("/idle?only=waits");
    let (_, rest) = listed.body.split_once("<code>")?;
    let id = rest.split('<').next()?.to_owned();
    let story = listed.links("/idle/story?id=").into_iter().next()?;
    Some((id, story))
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{err}")
}

/// What closes an answer against misuse.
fn assert_closed(target: &str, reply: &Reply) {
    let policy = reply.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'"), "{target}: {reply:?}");
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{target}: {policy}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{target}");
    assert_eq!(reply.header("x-frame-options"), Some("DENY"), "{target}");
    assert!(reply.header("cache-control").is_some(), "{target}");
}

#[test]
fn looking_and_approving_are_rights_of_their_own() {
    let served = Served::start(place(200, &page("")));
    let (id, story) = until("an approval", || waiting(&served));
    let approve: [(&str, &str); 2] = [("verb", "approve"), ("subject", &id)];
    let statuses = |asks: Vec<Ask>| -> Vec<u16> {
        asks.into_iter().map(|ask| served.ask(ask).status).collect()
    };

    // Anybody may look here, and is shown no form; a wrong token is not taken for none.
    let idle = served.get("/idle");
    assert!(idle.body.contains(&id) && !idle.body.contains("action=\"/answer\""));
    assert_eq!(served.ask(Ask::get("/").bearing("not-the-token-of-anybody")).status, 401);
    assert_eq!(served.ask(Ask::get("/").with("authorization", "Basic bGk6d2Vp")).status, 401);

    // Nobody, a wrong token, and the right to look do not approve.
    let refused = [
        served.answer(&approve),
        Ask::post("/answer", &approve),
        served.answer(&approve).bearing("not-the-token-of-anybody"),
        served.answer(&approve).bearing(VIEWER),
    ];
    assert_eq!(statuses(refused.to_vec()), [403, 403, 401, 403]);

    // A session: its cookie is for this page alone, and out of reach of scripts.
    let sign_in = |token: &str| {
        Ask::post("/sign-in", &[("token", token), ("back", "/idle")])
            .with("origin", &served.origin())
    };
    let wrong = served.ask(sign_in("not-the-token-of-anybody"));
    assert_eq!((wrong.status, wrong.cookie()), (401, None));
    let signed_in = served.ask(sign_in(APPROVER));
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/idle")));
    let given = signed_in.header("set-cookie").expect("a cookie").to_owned();
    for rule in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Max-Age=43200"] {
        assert!(given.contains(rule), "{given}");
    }
    assert!(!given.contains("Secure"), "the page is reached without TLS: {given}");
    let cookie = signed_in.cookie().expect("a cookie").to_owned();
    assert!(!cookie.contains(APPROVER));
    let idle = served.ask(Ask::get("/idle").with("cookie", &cookie));
    assert!(idle.body.contains("action=\"/answer\"") && idle.body.contains("li.wei"));

    // A form of another site, or one of which nobody knows whose it is.
    let of_origin = |origin: &str| {
        Ask::post("/answer", &approve).with("cookie", &cookie).with("origin", origin)
    };
    let port = served.address.port();
    let foreign = [
        of_origin("http://evil.example"),
        of_origin("null"),
        of_origin(""),
        of_origin(&format!("http://evil.example:{port}")),
        of_origin(&format!("http://{}.evil.example", served.address)),
        Ask::post("/answer", &approve).with("cookie", &cookie),
    ];
    assert_eq!(statuses(foreign.to_vec()), [403; 6]);
    let tell = |more: &[(&str, &str)]| served.answer(more).with("cookie", &cookie);
    let senseless = [
        tell(&[("verb", "stop"), ("subject", &id)]),
        tell(&[("verb", "exempt"), ("subject", &id)]),
        tell(&[("verb", "exempt"), ("subject", &id), ("days", "4000000000")]),
        tell(&[("verb", "approve")]),
        tell(&[("verb", "approve"), ("subject", "000000000000")]),
        Ask::by("DELETE", "/answer").with("cookie", &cookie),
    ];
    assert_eq!(statuses(senseless.to_vec()), [400, 400, 400, 422, 409, 405]);
    assert!(waiting(&served).is_some_and(|(still, _)| still == id), "nothing was approved so far");

    // The right to approve, in a session; then it is done, and written down with the name.
    let taken = served.ask(tell(&approve));
    assert_eq!(taken.status, 200, "{taken:?}");
    assert!(taken.body.contains("li.wei"), "{}", taken.body);
    let agreed = until("the stop", || {
        let told = served.get(&story).body;
        (told.contains("li.wei agreed to a stop") && told.contains("stop taken")).then_some(told)
    });
    assert!(!agreed.contains(&id), "it waits no more: {agreed}");
    let journal = served.get("/journal?kind=idle&since=2026-03-02T00:00&service=li.wei").body;
    assert!(journal.contains(&format!("li.wei approves {id}")), "{journal}");
    let (next, _) = until("the next approval", || waiting(&served));
    let with_token = Ask::post("/answer", &[("verb", "approve"), ("subject", &next)]);
    assert_eq!(served.ask(with_token.bearing(APPROVER)).status, 200, "a program shows its token");
    let (last, story) =
        until("the last approval", || waiting(&served).filter(|(id, _)| *id != next));
    assert_eq!(served.ask(tell(&[("verb", "reject"), ("subject", &last)])).status, 200);
    until("the refusal", || served.get(&story).body.contains("li.wei said no").then_some(()));
    let resource = story.split_once('=').expect("an id").1.replace("%2F", "/").replace("%2D", "-");
    let exempt = tell(&[("verb", "exempt"), ("subject", &resource), ("days", "30")]);
    assert_eq!(served.ask(exempt).status, 200);
    until("the exemption", || served.get(&story).body.contains("left alone until").then_some(()));

    // A session outlives a reload, and ends when it is left.
    served.running.signal("HUP");
    until("the reload", || {
        served.running.stderr().contains("configuration reloaded").then_some(())
    });
    let idle = served.ask(Ask::get("/idle").with("cookie", &cookie));
    assert!(idle.body.contains("li.wei ·"), "{}", idle.body);
    let leave = Ask::post("/sign-out", &[]).with("cookie", &cookie);
    assert_eq!(served.ask(leave.clone()).status, 403);
    assert_eq!(served.ask(leave.with("origin", &served.origin())).status, 303);
    let idle = served.ask(Ask::get("/idle").with("cookie", &cookie));
    assert!(!idle.body.contains("action=\"/answer\"") && !idle.body.contains("li.wei ·"));
}

#[test]
fn a_rule_in_shadow_shows_its_scorecard_and_is_promoted_by_who_may_approve() {
    let gated = page("").replace("mode = \"approve\"", "mode = \"act\"\npromotion = \"gated\"");
    let gate = "[promotion]\nshadow_for = \"0s\"\ndecisions = 1\nwrong_stops = \"100%\"\n";
    let served = Served::start(place(200, &format!("{gated}\n{gate}")));
    let signed_in = Ask::post("/sign-in", &[("token", APPROVER)]).with("origin", &served.origin());
    let cookie = served.ask(signed_in).cookie().expect("a session").to_owned();
    let seen = || served.ask(Ask::get("/idle").with("cookie", &cookie)).body;
    let offer = until("an offer", || {
        let body = seen();
        let (_, rest) = body.split_once("name=\"offer\" value=\"")?;
        Some(rest.split('"').next()?.to_owned())
    });
    let body = served.get("/idle").body;
    assert!(body.contains("<bdi>forgotten</bdi>") && body.contains("not promoted yet"), "{body}");
    assert!(body.contains("the rule is in shadow, a stop is shown only"), "{body}");
    assert!(!body.contains("action=\"/answer\""), "{body}");
    let promote = |offer: &str| {
        let form = [("verb", "promote"), ("subject", "forgotten"), ("offer", offer)];
        served.ask(served.answer(&form).with("cookie", &cookie)).status
    };
    assert_eq!(promote("000000000000"), 409, "an offer of another name");
    assert_eq!(promote(&offer), 200);
    until("the promotion", || seen().contains("promoted by li.wei").then_some(()));
    let chinese = served.ask(Ask::get("/idle").with("cookie", "neap_lang=zh")).body;
    assert!(chinese.contains("误停"), "{chinese}");
}

#[test]
fn strangers_names_and_foreign_ways_are_refused_and_every_answer_is_closed() {
    let served = Served::start(place(200, &page("hosts = [\"neap.example.com\"]")));
    let hosts = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.2"];
    for host in hosts {
        let port = served.address.port();
        for host in [host.to_owned(), format!("{host}:{port}")] {
            let ask = Ask::get("/").with("host", &host);
            assert_eq!(served.ask(ask).status, 421, "{host}");
            let origin = format!("http://{host}");
            let ask = Ask::post("/answer", &[]).with("host", &host).with("origin", &origin);
            assert_eq!(served.ask(ask.bearing(APPROVER)).status, 421, "{host}");
        }
    }
    for host in ["localhost", "LOCALHOST:7317", "neap.example.com", "neap.example.com:443"] {
        assert_eq!(served.ask(Ask::get("/").with("host", host)).status, 200, "{host}");
    }

    // A language is chosen, and the way back leads nowhere else.
    let chosen = served.get("/lang/zh?back=%2Fidle%3Fonly%3Dall");
    assert_eq!((chosen.status, chosen.header("location")), (303, Some("/idle?only=all")));
    let cookie = chosen.cookie().expect("the choice is kept").to_owned();
    let chinese = served.ask(Ask::get("/idle").with("cookie", &cookie));
    assert!(chinese.body.contains("<html lang=\"zh-CN\">"));
    let elsewhere = [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\r\nlocation: https://evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
    ];
    for back in elsewhere {
        let reply = served.get(&format!("/lang/en?back={}", escaped(back)));
        assert_eq!((reply.status, reply.header("location")), (303, Some("/")), "{back:?}");
        let form = [("token", APPROVER), ("back", back)];
        let reply = served.ask(Ask::post("/sign-in", &form).with("origin", &served.origin()));
        assert_eq!((reply.status, reply.header("location")), (303, Some("/")), "{back:?}");
    }

    // What makes no sense is told so, and no answer is open to misuse.
    let odd = [
        ("/service/nothing", 404),
        ("/decision/nothing/nothing", 404),
        ("/journal/nothing", 404),
        ("/idle/story?id=nothing", 404),
        ("/idle/story", 400),
        ("/no/such/page", 404),
        ("/../../etc/passwd", 404),
        ("/service/%FF", 400),
        ("/?page=999999999999999999999999", 400),
        ("/?page=99999", 200),
        ("/review?days=99999999999999999999", 400),
        ("/review?days=3&page=99999", 200),
        ("/what-if?service=nothing", 200),
        ("/what-if?service=checkout&budget_percent=NaN&max=1e9&hours=99", 200),
        ("/what-if?service=checkout&min=9&max=1", 200),
        ("/journal?since=2026-03-02T10:00&until=2026-03-02T00:00", 200),
        ("/journal?since=9999-12-31T23:59&until=0001-01-01T00:00", 200),
        ("/journal?since=nonsense&until=%F0%9F%9B%92&kind=none", 200),
    ];
    for (target, status) in odd {
        let reply = served.get(target);
        assert_eq!(reply.status, status, "{target}: {reply:?}");
        assert_closed(target, &reply);
    }
    let more = ["/healthz", "/readyz", "/assets/neap.css"];
    for target in PAGES.into_iter().chain(more) {
        let reply = served.get(target);
        assert_eq!(reply.status, 200, "{target}");
        assert_closed(target, &reply);
        assert!(!reply.body.contains("<script") && !reply.body.contains(" style="), "{target}");
    }
    let refused = Ask::get("/").with("host", "evil.example");
    assert_closed("a stranger's", &served.ask(refused));
    assert_closed("no form", &served.ask(Ask::post("/answer", &[])));
}

#[test]
fn a_page_for_those_with_a_right_asks_for_it_and_takes_a_proxys_word() {
    let proxy = "viewing = \"token\"\n[page.proxy]\nheader = \"x-forwarded-user\"\nsecret_file = \
                 \"proxy.secret\"\napprovers = [\"zhang.min\"]\n";
    let served = Served::start(place(200, &page(proxy)));
    for target in PAGES.into_iter().filter(|target| *target != "/sign-in") {
        let reply = served.get(target);
        assert_eq!((reply.status, reply.header("location")), (303, Some("/sign-in")), "{target}");
        assert_eq!(served.ask(Ask::get(target).bearing("nobody")).status, 401, "{target}");
        assert_eq!(served.ask(Ask::get(target).bearing(VIEWER)).status, 200, "{target}");
    }
    for target in ["/sign-in", "/assets/neap.css", "/healthz", "/readyz"] {
        assert_eq!(served.get(target).status, 200, "{target}");
    }
    let chosen = served.get("/lang/zh?back=/sign-in");
    assert_eq!(chosen.header("location"), Some("/sign-in"), "whoever signs in can read it");
    assert_eq!(served.ask(served.answer(&[("verb", "approve"), ("subject", "x")])).status, 401);

    let named = |ask: Ask, name: &str, secret: Option<&str>| {
        let ask = ask.with("x-forwarded-user", name);
        match secret {
            Some(secret) => ask.with("x-neap-proxy-secret", secret),
            None => ask,
        }
    };
    let idle = || Ask::get("/idle");
    for secret in [None, Some(""), Some("wrong"), Some(APPROVER)] {
        assert_eq!(served.ask(named(idle(), "zhang.min", secret)).status, 303, "{secret:?}");
    }
    let shown = until("an approval", || {
        let shown = served.ask(named(idle(), "wang.fang", Some(OF_PROXY)));
        assert_eq!(shown.status, 200);
        shown.body.contains("<code>").then_some(shown)
    });
    assert!(shown.body.contains("wang.fang") && !shown.body.contains("action=\"/answer\""));
    for name in ["", " "] {
        let reply = served.ask(named(idle(), name, Some(OF_PROXY)));
        assert_eq!(reply.status, 303, "nobody has signed in at the proxy: {name:?}");
    }
    for name in ["<b>zhang</b>", "zhang.min, zhang.min", &"z".repeat(65)] {
        let reply = served.ask(named(idle(), name, Some(OF_PROXY)));
        assert_eq!(reply.status, 400, "{name}");
        assert!(reply.body.contains("`x-forwarded-user` is not one name"), "{}", reply.body);
    }
    let id = shown.body.split_once("<code>").expect("an approval").1;
    let id = id.split('<').next().expect("its end");
    let form = [("verb", "approve"), ("subject", id)];
    let by = |name: &str| named(served.answer(&form), name, Some(OF_PROXY));
    assert_eq!(served.ask(by("wang.fang")).status, 403, "who may look does not approve");
    let foreign = named(Ask::post("/answer", &form), "zhang.min", Some(OF_PROXY));
    assert_eq!(served.ask(foreign.clone()).status, 403, "a form of no origin");
    assert_eq!(served.ask(foreign.with("origin", "http://evil.example")).status, 403);
    let taken = served.ask(by("zhang.min"));
    assert_eq!(taken.status, 200, "{taken:?}");
    assert!(taken.body.contains("zhang.min"));
}

#[test]
fn secrets_that_others_can_read_or_guess_are_refused_at_the_start() {
    let one = "[[page.token]]\nname = \"li.wei\"\nright = \"approve\"\ntoken_file = \"a.token\"\n";
    let tables = format!("[page]\n{LISTEN}\n{one}");
    let neap = Neap::new(BINARY, &world(200, 0, "", &tables));
    let refused = |commands: &[&str], wrong: &str| {
        for command in commands {
            let output = neap.output(&[*command]);
            let told = said(&output);
            assert_eq!(output.status.code(), Some(1), "{command}: {told}");
            assert_eq!(told.matches(wrong).count(), 1, "{command}: {told}");
            assert_eq!(told.matches("`a.token`").count(), 1, "{command}: {told}");
            assert!(told.contains("neap.toml:"), "{command}: the place is told: {told}");
            assert!(!told.contains(APPROVER) && !told.contains("too-short"), "{command}: {told}");
        }
    };
    // Who checks may have no right to read it.
    refused(&["run"], "cannot be read");
    neap.secret("a.token", " \n");
    refused(&["run", "check"], "is empty");
    neap.secret("a.token", "too-short-a-token");
    refused(&["run", "check"], "fewer than 20 characters");
    neap.secret("a.token", APPROVER);
    assert!(neap.output(&["check"]).status.success(), "sound so far");
    for mode in [0o644, 0o604, 0o602] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(neap.path("a.token"), mode).expect("it is ours");
        refused(&["run", "check"], "can be used by everybody");
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(neap.path("a.token"), mode).expect("it is ours");
    assert!(neap.output(&["check"]).status.success(), "a group may share it");
}

#[test]
fn what_is_too_large_is_refused() {
    let served = Served::start(place(200, &page("")));
    let signed_in = Ask::post("/sign-in", &[("token", APPROVER)]).with("origin", &served.origin());
    let cookie = served.ask(signed_in).cookie().expect("a session").to_owned();
    let large = "x".repeat(10 << 20);
    let subject = |length: usize| {
        let subject = &large[..length];
        let form = [("verb", "approve"), ("subject", subject)];
        served.answer(&form).with("cookie", &cookie)
    };
    // A hundred bytes of form are asked about, and sixteen thousand are not read.
    assert_eq!(served.ask(subject(100)).status, 409);
    assert_eq!(served.ask(subject(16 << 10)).status, 413);
    assert_eq!(served.ask(Ask::get(&format!("/?q={}", &large[..3000]))).status, 200);
    assert_eq!(served.ask(Ask::get(&format!("/?q={}", &large[..5000]))).status, 414);
    let refused = [
        Ask::get(&format!("/?q={large}")),
        Ask::get(&format!("/{large}")),
        subject(10 << 20),
        Ask::get("/").with("x-large", &large[..1 << 20]),
        Ask::get("/").with("cookie", &large[..1 << 20]),
        Ask::post("/sign-in", &[("token", &large)]).with("origin", &served.origin()),
    ];
    for ask in refused {
        // Where nobody reads on, the connection may be gone before the answer is read.
        let reply = ask.send(served.address);
        let refused = |reply: &Reply| (400..500).contains(&reply.status);
        assert!(reply.as_ref().is_none_or(refused), "{reply:?}");
    }
    let many = (0..200).fold(Ask::get("/"), |ask, n| ask.with(&format!("x-{n}"), "y"));
    let reply = many.send(served.address);
    assert!(reply.as_ref().is_none_or(|reply| reply.status == 431), "{reply:?}");
    assert_eq!(served.get("/").status, 200, "everybody else is served");
    assert!(!served.running.stderr().contains(&large[..8192]), "no log is filled with it");
}

/// What a connection has come to.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 512];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// Somebody who says this, and no more.
fn opened(address: SocketAddr, beginning: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the kernel takes it");
    // It may be closed already.
    let _ = stream.write_all(beginning.as_bytes());
    stream.set_nonblocking(true).expect("a socket");
    stream
}

const HALF: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: ";

#[test]
fn ten_thousand_connections_neither_slow_a_cycle_nor_take_the_page_away() {
    const WAVE: usize = 500;
    const ADMITTED: usize = 256;
    let served = Served::start(place(200, &page("")));
    let before = served.cycles();
    let mut opened_so_far = 0;
    // It storms until ten thousand have come and twenty cycles have gone by.
    until("twenty cycles in the storm", || {
        let beginnings = ["", HALF].into_iter().cycle().take(WAVE);
        let mut wave: Vec<_> = beginnings.map(|text| opened(served.address, text)).collect();
        opened_so_far += wave.len();
        until("those above the cap are closed", || {
            wave.retain_mut(|stream| !is_closed(stream));
            (wave.len() <= ADMITTED).then_some(())
        });
        (opened_so_far >= 10_000 && served.cycles() >= before + 20).then_some(())
    });
    until("the page is back", || {
        let reply = Ask::get("/").send(served.address)?;
        (reply.status == 200).then_some(())
    });
    assert!(served.running.ended().is_none());
    let said = served.running.stderr();
    assert!(said.lines().count() < 1000, "the log is not filled by strangers: {said}");
}

#[test]
fn who_says_nothing_is_let_go() {
    let served = Served::start(place(200, &page("")));
    let kept_alive = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let form = "POST /sign-in HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n\
                content-length: 100\r\n\r\ntoken=";
    let beginnings = ["", HALF, "GET", kept_alive].into_iter().chain([form; 60]);
    let mut streams: Vec<_> =
        beginnings.map(|beginning| opened(served.address, beginning)).collect();
    assert_eq!(served.get("/").status, 200, "a form that does not end keeps nobody else out");
    until("all are closed", || streams.iter_mut().all(is_closed).then_some(()));
}

#[test]
fn names_with_markup_or_signs_that_turn_text_around_are_shown_harmless() {
    const NAMES: [&str; 4] = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>'&amp;",
        "结账🛒 {{ 7*7 }} ../..?#%2f",
        "\u{202e}gpj.yrots\u{2066}",
    ];
    let names = ["checkout", "search", "render", "payments"];
    let mut config = world(200, 40, LOOK_OFTEN, &page(""));
    for (name, hostile) in names.iter().zip(NAMES) {
        let quoted = serde_json::to_string(hostile).expect("a text");
        let old = format!("[[service]]\nname = \"{name}\"");
        assert!(config.contains(&old), "{name}");
        config = config.replace(&old, &format!("[[service]]\nname = {quoted}"));
    }
    config = config.replace("name = \"forgotten\"", "name = \"<i>forgotten</i>🗑️\"");
    let neap = Neap::new(BINARY, &config);
    neap.secret("approver.token", APPROVER);
    neap.secret("viewer.token", VIEWER);
    let served = Served::start(neap);
    until("an approval", || waiting(&served));
    let fleet = served.get("/");
    let services = fleet.links("/service/");
    assert_eq!(services.len(), 4, "{}", fleet.body);
    let shown = ["&lt;script&gt;", "&lt;img src", "结账🛒 {{ 7*7 }}", "<bdi>\\u{202e}gpj.yrots"];
    for text in shown {
        assert!(fleet.body.contains(text), "{text}: {}", fleet.body);
    }
    let mut pages: Vec<String> =
        ["/", "/review", "/idle?only=all", "/journal"].map(str::to_owned).into();
    for service in services {
        let reply = served.get(&service);
        assert_eq!(reply.status, 200, "{service}");
        let told = served.get(&reply.links("/decision/")[0]);
        assert_eq!(told.status, 200, "{service}");
        pages.extend(reply.links("/decision/"));
        pages.extend(reply.links("/journal?"));
        pages.extend(reply.links("/lang/"));
        pages.push(service);
    }
    pages.extend(served.get("/idle").links("/idle/story?"));
    pages.extend(served.get("/journal").links("/journal/").into_iter().take(20));
    pages.extend(NAMES.map(|name| format!("/service/{}x", escaped(name))));
    pages.extend(NAMES.map(|name| format!("/idle/story?id={}", escaped(name))));
    pages.extend(NAMES.map(|name| format!("/?q={}", escaped(name))));
    pages.extend(NAMES.map(|name| format!("/review?q={}", escaped(name))));
    pages.extend(NAMES.map(|name| format!("/what-if?service={}", escaped(name))));
    pages.extend(NAMES.map(|name| format!("/journal?since={0}&service={0}", escaped(name))));
    assert!(pages.len() > 40, "{pages:?}");
    for target in pages {
        let reply = served.get(&target);
        assert!(reply.status < 500, "{target}: {reply:?}");
        for raw in ["<script", "<img", "<i>", "onerror=alert(1)>"] {
            assert!(!reply.body.contains(raw), "{target}: {raw}");
        }
        assert!(!reply.body.contains(['\u{202e}', '\u{2066}']), "{target}: text turned around");
        assert!(!reply.body.contains("结账🛒 49"), "{target}: a name is no template");
        assert_closed(&target, &reply);
    }
}

#[test]
fn nothing_secret_is_ever_shown() {
    let alert = "[[alert]]\nname = \"on-call\"\nkind = \"webhook\"\nurl_file = \"hook.url\"\n";
    let proxy = "[page.proxy]\nheader = \"x-forwarded-user\"\nsecret_file = \"proxy.secret\"\n";
    let served = Served::start(place(200, &format!("{}{alert}", page(proxy))));
    let (id, story) = until("an approval", || waiting(&served));
    let taken = served.answer(&[("verb", "approve"), ("subject", &id)]).bearing(APPROVER);
    assert_eq!(served.ask(taken).status, 200);
    let signed_in = Ask::post("/sign-in", &[("token", APPROVER)]).with("origin", &served.origin());
    let cookie = served.ask(signed_in).cookie().expect("a session").to_owned();
    let session = cookie.split_once('=').expect("a pair").1.to_owned();
    // Secrets shown in wrong places are not repeated either.
    let misplaced = [
        Ask::post("/sign-in", &[("token", &format!("{HOOK}x"))]).with("origin", &served.origin()),
        Ask::get("/").with("authorization", &format!("Basic {HOOK}")),
        Ask::get("/").with("x-neap-proxy-secret", OF_PROXY),
    ];
    let replies = misplaced.map(|ask| served.ask(ask).body);
    until("the alert was given up or put off", || {
        served.running.stderr().contains("on-call").then_some(())
    });
    let mut pages: Vec<String> = PAGES.map(str::to_owned).into();
    pages.push(story);
    pages.extend(served.get("/journal?kind=policies").links("/journal/"));
    pages.extend(served.get("/journal?kind=alerts").links("/journal/").into_iter().take(5));
    pages.extend(served.get("/journal?kind=idle").links("/journal/").into_iter().take(20));
    pages.extend(served.get("/service/checkout").links("/decision/").into_iter().take(3));
    let shown = pages.iter().map(|page| {
        let reply = served.ask(Ask::get(page).with("cookie", &cookie));
        assert_eq!(reply.status, 200, "{page}");
        (page.clone(), format!("{:?}{}", reply.headers, reply.body))
    });
    let mut told: Vec<(String, String)> = shown.collect();
    told.extend(replies.map(|body| ("misplaced".to_owned(), body)));
    let commands: [&[&str]; 4] = [
        &["check"],
        &["status"],
        &["journal", "ls", "--all"],
        &["journal", "export", "--format", "jsonl"],
    ];
    for command in commands {
        let output = served.neap.output(command);
        assert!(output.status.success(), "{command:?}: {}", said(&output));
        told.push((command.join(" "), said(&output)));
    }
    assert!(
        told.iter().any(|(_, text)| text.contains("li.wei approves")),
        "the journal names them"
    );
    told.push(("the log".to_owned(), served.running.stderr()));
    told.push(("stdout".to_owned(), served.running.stdout()));
    for (place, text) in told {
        for secret in [APPROVER, VIEWER, OF_PROXY, HOOK, session.as_str()] {
            assert!(!text.contains(secret), "{place} shows `{secret}`");
        }
    }
}
