//! Several accounts through roles: each sees and changes its own groups, whatever their names.

use tests::peers::{Aws, NewGroup};
use tests::story::{CAPACITY, Story, findings, minutes, results, step};
use tests::world::{METRIC, NAMESPACE, REGION};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
const ROLES: [&str; 2] =
    ["arn:aws:iam::111122223333:role/neap", "arn:aws:iam::444455556666:role/neap"];

/// A service on the group `web` of an account, demand from the same account.
fn service(name: &str, account: &str) -> String {
    format!(
        "\n[[service]]\nname = \"{name}\"\ndemand = [{{ from = \"aws\", account = \"{account}\", \
         region = \"{REGION}\", namespace = \"{NAMESPACE}\", metric = \"{METRIC}\", \
         stat = \"Sum\", dimensions = {{ LoadBalancer = \"web\" }} }}]\n[[service.pool]]\n\
         provider = \"aws\"\naccount = \"{account}\"\nregion = \"{REGION}\"\ngroup = \"web\"\n\
         capacity_per_unit = {CAPACITY:?}\nactuate = \"desired\"\nmin = 1\nmax = 60\n"
    )
}

#[test]
fn each_account_is_entered_by_its_role_and_changed_alone() {
    let mut story = Story::until(minutes(6));
    let clouds: Vec<Aws> = ROLES.iter().map(|role| story.stage.somebody().assuming(role)).collect();
    let load = step(100.0, minutes(0), 100.0);
    for cloud in &clouds {
        cloud.create_group(&NewGroup::new("web", 1, 60, 5));
    }
    let points = load.points(load.start, load.end());
    clouds[0].put_metric(NAMESPACE, METRIC, &[("LoadBalancer", "web")], &points);
    let accounts = format!(
        "accounts = [{{ role_arn = \"{}\", external_id = \"secret-1\" }}, {{ role_arn = \"{}\" }}]",
        ROLES[0], ROLES[1]
    );
    let head = story.stage.config("act", &[REGION]);
    let services = service("one", "111122223333") + &service("two", "444455556666");
    story.whole = Some(format!("{head}{accounts}\n{services}"));
    let (stage, _neap, turns) = story.run(BINARY);
    assert!(clouds[0].desired("web") >= 10, "{:#?}", results(&turns, "one"));
    assert_eq!(clouds[1].desired("web"), 5, "no demand is known there, so nothing is done");
    let two = findings(turns.last().expect("turns"), "two").join("\n");
    assert!(two.contains("demand"), "{two}");
    let assumed: Vec<_> =
        stage.proxy.calls().into_iter().filter(|call| call.operation == "AssumeRole").collect();
    let of = |role: &str| assumed.iter().find(|call| call.parameters["RoleArn"] == role);
    let first = of(ROLES[0]).expect("the first role was assumed");
    assert_eq!(first.parameters.get("ExternalId").map(String::as_str), Some("secret-1"));
    assert!(of(ROLES[1]).is_some());
    let keys: Vec<String> =
        stage.proxy.writes().iter().map(|call| call.access_key.clone()).collect();
    assert!(keys.iter().all(|key| key != "test"), "writes are signed by a role: {keys:?}");
}
