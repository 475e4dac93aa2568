//! A reviewer's path in headless Chromium, once in English and once in Chinese: the fleet, a service
//! and the story of its decisions, and a stop that is approved, happens, and is in the journal with
//! the reviewer's name. Every view on the way is looked at with axe-core, in both colour schemes, on
//! a desk and on a phone. And what a reviewer answers over TLS.

use rcgen::generate_simple_self_signed;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::browser::{chromium, script};
use tests::neap::Neap;
use tests::page::{APPROVE, Ask, LISTEN, LOOK_OFTEN, Served, until, world};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
const TOKEN: &str = "li-wei-4711-b0a7c2d95e";
const NAME: &str = "li.wei";

/// Names a folder where the pictures stay, to be looked at.
const PICTURES: &str = "NEAP_PICTURES";

fn listed(value: &Value) -> String {
    let lines = value.as_array().expect("a list").iter().map(|one| format!("{one:#}\n"));
    lines.collect()
}

#[test]
fn a_reviewer_walks_from_the_fleet_to_a_stop_that_they_approve_in_english_and_chinese() {
    let token = format!(
        "[page]\n{LISTEN}\n[[page.token]]\nname = \"{NAME}\"\nright = \"approve\"\ntoken_file = \
         \"li.token\"\n{APPROVE}"
    );
    // A name as long as people write them, of two kinds of script.
    let long = "name = \"渲染农场-render-farm-of-the-visual-effects-department-eu-west-1-blue\"";
    let config = world(120, 40, LOOK_OFTEN, &token).replace("name = \"render\"", long);
    // What is only shown there differs from what stands, so that there is something to doubt.
    let render = "violation_budget = \"2%\"";
    let config = config.replace(render, &format!("{render}\nmode = \"observe\""));
    assert!(config.contains(long) && config.contains("\nmode = \"observe\""));
    let neap = Neap::new(BINARY, &config);
    neap.secret("li.token", TOKEN);
    let served = Served::start(neap);
    until("two approvals", || {
        let waiting = served.get("/idle?only=waits").body;
        (waiting.matches("<code>").count() >= 2).then_some(())
    });
    let folder = TempDir::new().expect("a folder");
    let pictures = std::env::var(PICTURES).unwrap_or(folder.path().display().to_string());
    for language in ["en", "zh"] {
        let with = json!({
            "base": served.origin(),
            "chromium": chromium(),
            "language": language,
            "token": TOKEN,
            "name": NAME,
            "pictures": pictures,
        });
        let report = script("walk.mjs", &with);
        println!("{language}: {}", listed(&report["measured"]));
        assert_eq!(listed(&report["complaints"]), "", "{language}: the browser complains");
        let serious = report["findings"].as_array().expect("a list").iter().filter(|finding| {
            ["serious", "critical"].iter().any(|impact| finding["impact"] == *impact)
        });
        let serious: Vec<String> = serious.map(|finding| format!("{finding:#}")).collect();
        assert!(serious.is_empty(), "{language}: {}", serious.join("\n"));
        println!("{language}: besides: {}", listed(&report["findings"]));
        assert!(report["views"].as_array().is_some_and(|views| views.len() >= 10), "{report}");

        // The command line tells the same.
        let story = report["approved"]["story"].as_str().expect("an address");
        let resource = story.rsplit("%2F").next().expect("an id").replace("%2D", "-");
        let told = served.neap.output(&["explain", &resource]);
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.contains(&format!("{NAME} agreed to a stop")), "{resource}: {told}");
        let id = report["approved"]["id"].as_str().expect("an approval");
        let listed = served.neap.output(&["journal", "ls", "--all"]);
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.contains(&format!("{NAME} approves {id}")), "{listed}");
    }
}

/// What [`world`] makes of the example, with a page over TLS and one who may approve.
fn secured() -> Neap {
    let page = format!(
        "[page]\n{LISTEN}\ncertificate_file = \"page.pem\"\nkey_file = \"page.key\"\n\
         [[page.token]]\nname = \"{NAME}\"\nright = \"approve\"\ntoken_file = \"li.token\"\n{APPROVE}"
    );
    let neap = Neap::new(BINARY, &world(200, 40, LOOK_OFTEN, &page));
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = generate_simple_self_signed(names).expect("a certificate");
    neap.secret("page.pem", &made.cert.pem());
    neap.secret("page.key", &made.signing_key.serialize_pem());
    neap.secret("li.token", TOKEN);
    neap
}

#[test]
fn over_tls_a_reviewer_signs_in_approves_a_stop_and_takes_a_service_back() {
    let served = Served::open(secured());
    let service = "checkout";
    let report = script(
        "secured.mjs",
        &json!({
            "base": format!("https://{}", served.address),
            "chromium": chromium(),
            "certificate": served.neap.path("page.pem"),
            "token": TOKEN,
            "name": NAME,
            "service": service,
        }),
    );
    assert_eq!(listed(&report["complaints"]), "", "the browser complains");
    let session = json!({ "secure": true, "httpOnly": true, "sameSite": "Strict" });
    assert_eq!(report["session"], session, "{report}");
    let how = json!({ "tls": "TLS 1.3", "protocol": "h2", "trusted": true });
    assert_eq!(report["how"], how, "{report}");

    // The journal has both under the name, and what follows from them.
    let told = |arguments: &[&str]| {
        let output = served.neap.output(arguments);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let id = report["id"].as_str().expect("an approval");
    for asked in [format!("{NAME} approves {id}"), format!("{NAME} demotes {service}")] {
        until(&asked, || told(&["journal", "ls", "--all"]).contains(&asked).then_some(()));
    }
    let stage = told(&["promote"]);
    assert!(stage.contains(&format!("demoted by {NAME}")), "{stage}");
    // Nobody who speaks without TLS is let in.
    assert!(Ask::get("/healthz").send(served.address).is_none());
}
