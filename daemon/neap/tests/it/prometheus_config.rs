//! A source of metrics in a configuration: what comes out of it, by itself and in templates, and
//! what `neap check` says of its files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use config::{self, Config, ProviderConfig};
use fleet::group::{GroupState, MembersServing};
use fleet::{AccountId, GroupId, ProviderName, Region, Seconds, Timestamp, Units};

fn sound(text: &str) -> Config {
    neap::settings::parse("etc/neap.toml", text).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(|fault| format!("{fault}\n")).collect::<String>())
    })
}

/// What the documents show of Prometheus, beside a cloud.
fn shown() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/en/src/prometheus.md");
    let text = fs::read_to_string(page).unwrap();
    let (_, block) = text.split_once("```toml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    format!("[provider.aws]\nkind = \"aws\"\nregions = [\"eu-west-1\"]\n{block}")
}

#[test]
fn what_the_documents_show_is_sound() {
    let config = sound(&shown());
    let service = config.policy.services.values().next().unwrap();
    let healthy = service.signals.healthy_hosts.as_ref().unwrap();
    insta::assert_snapshot!(
        format!("{}\n{}\n{}", service.pool.group, service.demand[0].key(), healthy.key()),
        @r#"
        aws/eu-west-1/checkout-asg
        prom/default/default/promql/sum(rate(http_requests_total{job="checkout"}[1m]))/Average/60
        prom/default/default/promql/sum(up{job="checkout"})/Average/60
        "#
    );
}

#[test]
fn all_that_is_commented_out_there_is_sound_too() {
    let commented = |line: &str| line.strip_prefix("# ").unwrap_or(line).to_owned();
    let text: String = shown().lines().map(|line| commented(line) + "\n").collect();
    let text = text.replace("basic = ", "# basic = ");
    let name = ProviderName::new("prom").unwrap();
    let config = sound(&text);
    let Some(ProviderConfig::Prometheus(prom)) = config.providers.get(&name) else {
        panic!("{:?}", config.providers)
    };
    insta::assert_snapshot!(
        serde_json::to_string_pretty(prom).unwrap(),
        @r#"
        {
          "url": "https://prometheus.example.com",
          "proof": {
            "bearer_token_file": {
              "path": "etc/prometheus.token"
            }
          },
          "client_certificate": [
            {
              "path": "etc/neap.pem"
            },
            {
              "path": "etc/neap.key"
            }
          ],
          "ca_file": {
            "path": "etc/ca.pem"
          },
          "tenant": "team-a"
        }
        "#
    );
}

#[test]
fn the_only_cloud_is_meant_where_a_pool_names_none() {
    let config = sound(&shown().replace("provider = \"aws\"\n", ""));
    let service = config.policy.services.values().next().unwrap();
    assert_eq!(service.pool.group.provider.as_str(), "aws");
}

#[test]
fn placeholders_of_a_template_cannot_end_the_text_they_stand_in() {
    let text = r#"
[provider.aws]
kind = "aws"
regions = ["eu-west-1"]
[provider.prom]
kind = "prometheus"
url = "http://localhost:9090"
[[service_template]]
match = { tags = { app = [] } }
demand = [{ from = "prom", query = 'sum(rate(http_requests_total{app="{tag:app}", asg="{group}", zone=~"{region}[a-c]"}[1m]))' }]
pool = { capacity_per_unit = 10 }
"#;
    let config = sound(text);
    let group = GroupState {
        id: GroupId {
            provider: ProviderName::new("aws").unwrap(),
            account: AccountId::new("default").unwrap(),
            region: Region::new("eu-west-1").unwrap(),
            id: "web".into(),
        },
        name: "web".into(),
        read_at: Timestamp(0),
        desired: Units(1),
        min: Units(1),
        max: Units(9),
        instances: Vec::new(),
        tags: [("app".to_owned(), "a\"} or x{b=\"".to_owned())].into(),
        suspended: Default::default(),
        refresh: None,
        policies: Vec::new(),
        scheduled: Vec::new(),
        owner: None,
        new_instances_protected: false,
        health_check_grace: Seconds(0),
        warm_up: None,
        activities: Vec::new(),
        serving: MembersServing::Untold,
        buys_spot: false,
        warm_pool: None,
    };
    let (_, policy) = config.templates[0].expand(&group).unwrap().unwrap();
    insta::assert_snapshot!(
        policy.demand[0].metric,
        @r#"sum(rate(http_requests_total{app="a\x22} or x{b=\x22", asg="web", zone=~"eu-west-1[a-c]"}[1m]))"#
    );
    assert_eq!(policy.demand[0].region.as_str(), "default", "a store is in no region");
}

#[test]
fn check_reads_the_files_and_counts_the_calls() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("neap.toml");
    fs::write(&file, shown()).unwrap();
    let check = || {
        let output = Command::new(env!("CARGO_BIN_EXE_neap"))
            .args(["check", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let text = String::from_utf8(output.stdout).unwrap();
        text.replace(&folder.path().display().to_string(), "etc")
    };
    let missing = check();
    assert!(missing.contains(
        "demand    `sum(rate(http_requests_total{job=\"checkout\"}[1m]))` (PromQL, 1m) from prom\n"
    ));
    // Two metrics in each minute of thirty days.
    assert!(missing.contains(
        "provider `prom` (prometheus): groups 0, metrics 2; about 86400 calls and 86400 metrics a month, 0.00 USD"
    ), "{missing}");
    assert!(missing.contains(
        "warning: provider prom: `etc/prometheus.password` cannot be read from here: the daemon must be able to, or it has no samples"
    ), "{missing}");
    assert!(!missing.contains("does not grow with it"), "a rate is total load: {missing}");
    let password = folder.path().join("prometheus.password");
    fs::write(&password, "two\nlines").unwrap();
    assert!(check().contains(
        "warning: provider prom: the file `etc/prometheus.password` holds more than one line"
    ));
    let exposed =
        "warning: provider prom: everybody on this machine may read `etc/prometheus.password`";
    for (mode, is_told) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
        fs::set_permissions(&password, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(check().contains(exposed), is_told, "{mode:o}");
    }
    fs::write(&password, "hunter2\n").unwrap();
    let sound = check();
    assert!(!sound.contains("provider prom:") && !sound.contains("hunter2"), "{sound}");
    fs::write(&file, shown().replace("sum(rate", "avg(rate")).unwrap();
    assert!(check().contains("does not grow with it"));
}
