//! Configurations as an operator writes them: sound ones come out as meant, faulty ones are
//! refused with every fault at once.

use std::fs;
use std::path::{Path, PathBuf};

use config::{self, Config};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faulty-configs")
}

/// The faults of a text, as `check` prints them.
fn faults(name: &str, text: &str) -> String {
    match neap::settings::parse(name, text) {
        Ok(_) => "no faults\n".to_owned(),
        Err(faults) => faults.iter().map(|fault| format!("{fault}\n")).collect(),
    }
}

fn sound(text: &str) -> Config {
    neap::settings::parse("neap.toml", text)
        .unwrap_or_else(|_| panic!("{}", faults("neap.toml", text)))
}

/// Each file is named after its fault; its neighbour `.expected` holds what an operator reads.
/// `NEAP_BLESS=1` writes the neighbours anew, to be read before they are committed.
#[test]
fn each_faulty_configuration_is_refused_with_all_its_faults() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ext| ext == "toml"));
    files.sort();
    assert!(files.len() >= 15, "{} files", files.len());
    let mut wrong = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let found = faults(&name, &fs::read_to_string(&file).unwrap());
        assert_ne!(found, "no faults\n", "{name}");
        let neighbour = file.with_extension("expected");
        if std::env::var_os("NEAP_BLESS").is_some() {
            fs::write(&neighbour, &found).unwrap();
        }
        let expected = fs::read_to_string(&neighbour).unwrap_or_default();
        if found != expected {
            wrong.push_str(&format!("== {name}\n-- expected\n{expected}-- found\n{found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Some editors begin a text so.
#[test]
fn a_byte_order_mark_before_a_configuration_is_none_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("neap.toml");
    fs::write(&file, format!("\u{feff}{FULL}")).unwrap();
    let marked = neap::settings::load(&file);
    assert_eq!(marked.map_err(|faults| format!("{faults:?}")).unwrap().policy, sound(FULL).policy);
    // The faults of one are where they are without it.
    let faulty = "mode = \"perhaps\"\n";
    fs::write(&file, format!("\u{feff}{faulty}")).unwrap();
    let told = |faults: Vec<config::ConfigFault>| {
        faults.into_iter().map(|fault| (fault.line, fault.column)).collect::<Vec<_>>()
    };
    let marked = told(neap::settings::load(&file).unwrap_err());
    assert_eq!(marked, told(neap::settings::parse("neap.toml", faulty).unwrap_err()));
}

/// The part of a full configuration that this version carries out.
const FULL: &str = r#"
mode = "observe"                       # "act" lets neap change things
poll_interval = "60s"
state_dir = "/var/lib/neap"
kill_switch = "/etc/neap/stop"
[page]
listen = "127.0.0.1:7317"
[log]
format = "json"
[journal]
max_age = "400d"
max_size = "10 GiB"
[budgets]
group = "20% per 10m, at least 2"
[provider.aws]
kind = "aws"
regions = ["ap-southeast-1", "us-east-1"]
accounts = [{ role_arn = "arn:aws:iam::111122223333:role/neap", external_id = "f3c1" }]
api_budget = { usd_per_month = 12.5 }
[calendar.cn]
timezone = "Asia/Shanghai"
holidays = "CN"
[calendar.gulf]
timezone = "Asia/Dubai"
rest_days = "Fri-Sat"
[service_defaults]
violation_budget = "0.5%"
calendar = "cn"
[service_defaults.pool]
cooldown = "10m"
[[service]]
name = "checkout"
violation_budget = "0.1%"
upstreams = ["app/checkout/50dc"]
demand = [{ from = "aws", region = "ap-southeast-1", namespace = "AWS/ApplicationELB", metric = "RequestCount", stat = "Sum", dimensions = { LoadBalancer = "app/checkout/50dc" }, when_missing = "zero" }]
signals = { errors = { namespace = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count", dimensions = { LoadBalancer = "app/checkout/50dc" }, when_missing = "zero" }, healthy_hosts = { namespace = "AWS/ApplicationELB", metric = "HealthyHostCount" } }
[[service.pool]]
provider = "aws"
region = "ap-southeast-1"
group = "checkout-asg"
capacity_per_unit = "learn"
target_utilisation = "70%"
lead_time = "4m"                       # at least; longer as measured
actuate = "desired"
min = 2
max = 40
[[service.pool]]
fixed = true
region = "us-east-1"
units = 4
capacity_per_unit = 25.5
[[service_template]]                   # many groups by tag
match = { tags = { "neap:scale" = ["yes"] } }
demand = [{ namespace = "AWS/ApplicationELB", metric = "RequestCount", dimensions = { LoadBalancer = "{tag:lb}" }, when_missing = "zero" }]
pool = { lead_time = "3m" }
[[freeze]]
name = "office"
timezone = "Asia/Shanghai"
weekly = "Mon-Fri 08:30-20:00"
services = ["checkout"]
[[event]]
name = "11.11"
timezone = "Asia/Shanghai"
yearly = "11-10 20:00-11-12 02:00"
services = ["checkout"]
floor = 30
expires = 2027-11-13
[[event]]
name = "launch"
timezone = "America/New_York"
from = 2026-12-01T09:00
until = 2026-12-01T21:00
floor = 8
[[event]]
name = "batch"
timezone = "Asia/Shanghai"
weekly = "daily 02:00-03:30"
"#;

/// The same with a simulated cloud: small enough to read at a glance.
const SIMULATED: &str = r#"
mode = "act"
state_dir = "./neap-state"
[provider.sim]
kind = "sim"
seed = 7
speed = "max"
[[service]]
name = "checkout"
forecaster = "last-value"
demand = [{ namespace = "AWS/ApplicationELB", metric = "RequestCount", dimensions = { LoadBalancer = "app/checkout/50dc6c495c0c9188" }, when_missing = "zero" }]
[[service.pool]]
group = "checkout-asg"
capacity_per_unit = 50
"#;

#[test]
fn a_full_configuration_comes_out_as_meant() {
    let config = sound(FULL);
    let service = config.policy.services.values().next().unwrap();
    insta::assert_snapshot!(
        format!(
            "{} {} every {}, group budget {:?}\n{:?}\n{}\n{} / {}\n{:?}\nfixed {}\n{}",
            config.policy.mode,
            config.state_dir.display(),
            config.policy.poll_interval,
            config.policy.budgets.group.map(|b| (b.share.to_string(), b.at_least.0, b.per)),
            config.journal,
            service.pool.group,
            service.violation_budget,
            service.pool.cooldown,
            service.pool.capacity_per_unit,
            service.fixed_capacity,
            service.demand[0].key(),
        ),
        @r#"
        observe /var/lib/neap every 1m, group budget Some(("20%", 2, Seconds(600)))
        Retention { max_age: Seconds(34560000), max_size_bytes: 10737418240, usage_age: Seconds(34560000) }
        aws/ap-southeast-1/checkout-asg
        0.1% / 10m
        Learn
        fixed 102
        aws/111122223333/ap-southeast-1/AWS/ApplicationELB/RequestCount/Sum/60/LoadBalancer=app/checkout/50dc
        "#
    );
    let learned = service.utilisation.as_ref().unwrap();
    insta::assert_snapshot!(learned.key(), @"aws/111122223333/ap-southeast-1/AWS/EC2/CPUUtilization/Average/300/AutoScalingGroupName=checkout-asg");
    insta::assert_snapshot!(service.signals.healthy_hosts.as_ref().unwrap().key(), @"aws/111122223333/ap-southeast-1/AWS/ApplicationELB/HealthyHostCount/Minimum/60");
    insta::assert_snapshot!(format!("{:?}", config.freezes[0].window), @"Weekly(Weekly { days: [Monday, Tuesday, Wednesday, Thursday, Friday], of_month: [], from: 08:30:00, days_later: 0, until: 20:00:00 })");
    assert_eq!(config.cycle_deadline.0, 45);
    let events: Vec<String> =
        config.events.iter().map(|e| format!("{} {:?} {:?}", e.name, e.window, e.floor)).collect();
    insta::assert_snapshot!(events.join("\n"), @r"
        11.11 Yearly(Yearly { month: 11, day: 10, from: 20:00:00, end: On(11, 12), until: 02:00:00 }) Some(Floor { units: Units(30), expires: 2027-11-13T00:00:00 })
        launch Once { from: 2026-12-01T09:00:00, until: 2026-12-01T21:00:00 } Some(Floor { units: Units(8), expires: 2026-12-01T21:00:00 })
        batch Weekly(Weekly { days: [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday], of_month: [], from: 02:00:00, days_later: 0, until: 03:30:00 }) None
        ");
    let calendars = config.calendars.iter().map(|(name, rule)| {
        format!(
            "{name}: {} {:?}, {} days {}",
            rule.timezone,
            rule.rest_days,
            rule.holidays.days.len(),
            rule.holidays.source
        )
    });
    insta::assert_snapshot!(calendars.collect::<Vec<_>>().join("\n"), @r"
        cn: Asia/Shanghai [Saturday, Sunday], 108 days built-in `CN`
        gulf: Asia/Dubai [Friday, Saturday], 0 days
        ");
    insta::assert_snapshot!(format!("{:?} {:?}", config.service_calendars, config.templates[0].calendar), @r#"{ServiceName("checkout"): "cn"} Some("cn")"#);
}

#[test]
fn a_simulated_configuration_needs_little() {
    let config = sound(SIMULATED);
    insta::assert_snapshot!(format!("{:?}", config.providers.values().next().unwrap()), @r#"Sim(SimConfig { seed: 7, start: Timestamp(1772409600), duration: None, speed: None, scenario: "day", machines: 0 })"#);
    insta::assert_snapshot!(format!("{:?} {:?}", config.forecasters, config.journal), @r#"{ServiceName("checkout"): LastValue} Retention { max_age: Seconds(34128000), max_size_bytes: 42949672960, usage_age: Seconds(34560000) }"#);
    let pool = &config.policy.services.values().next().unwrap().pool;
    insta::assert_snapshot!(format!("{pool:#?}"), @r#"
        PoolPolicy {
            group: GroupRef {
                provider: ProviderName(
                    "sim",
                ),
                account: AccountId(
                    "default",
                ),
                region: Region(
                    "sim-1",
                ),
                name: "checkout-asg",
            },
            capacity_per_unit: Given(
                50.0,
            ),
            target_utilisation: Share(
                700000,
            ),
            lead_time: Seconds(
                300,
            ),
            lead_time_rule: AtLeast,
            warm_up: Seconds(
                0,
            ),
            actuate: None,
            min: Units(
                1,
            ),
            max: None,
            cooldown: Seconds(
                300,
            ),
            hold_window: Seconds(
                900,
            ),
            override_lease: Seconds(
                3600,
            ),
            max_step_up: None,
            price_usd_hourly: None,
            billing_minimum: Seconds(
                60,
            ),
        }
        "#);
}

#[test]
fn a_template_makes_a_service_of_each_group_that_matches() {
    use fleet::group::{GroupState, MembersServing};
    let config = sound(FULL);
    let group = |name: &str, tags: &[(&str, &str)]| GroupState {
        id: fleet::GroupId {
            provider: fleet::ProviderName::new("aws").unwrap(),
            account: fleet::AccountId::new("111122223333").unwrap(),
            region: fleet::Region::new("us-east-1").unwrap(),
            id: format!("arn:{name}"),
        },
        name: name.into(),
        read_at: fleet::Timestamp(0),
        desired: fleet::Units(1),
        min: fleet::Units(1),
        max: fleet::Units(9),
        instances: Vec::new(),
        tags: tags.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        suspended: Default::default(),
        refresh: None,
        policies: Vec::new(),
        scheduled: Vec::new(),
        owner: None,
        new_instances_protected: false,
        health_check_grace: fleet::Seconds(0),
        warm_up: None,
        activities: Vec::new(),
        serving: MembersServing::Untold,
        buys_spot: false,
        warm_pool: None,
    };
    let template = &config.templates[0];
    assert!(template.expand(&group("plain", &[])).is_none());
    assert!(template.expand(&group("no", &[("neap:scale", "no")])).is_none());
    let incomplete = template.expand(&group("web", &[("neap:scale", "yes")])).unwrap();
    insta::assert_snapshot!(incomplete.unwrap_err(), @"group `web` matches template `{group}` but has no tag `lb`");
    let tags = [("neap:scale", "yes"), ("lb", "app/{group}/1")];
    let (name, policy) = template.expand(&group("web", &tags)).unwrap().unwrap();
    insta::assert_snapshot!(
        format!(
            "{name}: {}\n{}\n{}\nlead time {}, cooldown {}",
            policy.pool.group,
            policy.demand[0].key(),
            policy.utilisation.unwrap().key(),
            policy.pool.lead_time,
            policy.pool.cooldown,
        ),
        @r#"
        web: aws/us-east-1/web
        aws/111122223333/us-east-1/AWS/ApplicationELB/RequestCount/Sum/60/LoadBalancer=app/{group}/1
        aws/111122223333/us-east-1/AWS/EC2/CPUUtilization/Average/300/AutoScalingGroupName=web
        lead time 3m, cooldown 10m
        "#
    );
}

#[test]
fn differences_name_each_key_and_what_needs_a_restart() {
    let before = sound(SIMULATED);
    assert_eq!(config::differences(&before, &before), []);
    let changed = SIMULATED
        .replace("\"act\"", "\"observe\"")
        .replace("./neap-state", "/var/lib/neap")
        .replace("seed = 7", "seed = 8")
        .replace("capacity_per_unit = 50", "capacity_per_unit = 60\nmax = 9");
    let shown: Vec<String> =
        config::differences(&before, &sound(&changed)).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    `idle.policy.mode`: "act" -> "observe"
    `policy.mode`: "act" -> "observe"
    `policy.services.checkout.pool.capacity_per_unit.Given`: 50.0 -> 60.0
    `policy.services.checkout.pool.max`: new, 9
    `providers.sim.seed`: 7 -> 8 (after a restart)
    `state_dir`: "./neap-state" -> "/var/lib/neap" (after a restart)
    "#);
}

/// A file cut off anywhere, as a full disk leaves it, is refused or read: it never breaks the parser.
#[test]
fn a_file_cut_off_anywhere_does_not_break_the_parser() {
    for end in (0..FULL.len()).filter(|end| FULL.is_char_boundary(*end)) {
        if let Err(faults) = neap::settings::parse("cut.toml", &FULL[..end]) {
            let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
            assert!(!lines.is_empty() && lines.is_sorted(), "{end}: {lines:?}");
        }
    }
}

#[test]
fn an_alert_needs_a_name_a_kind_and_a_file_with_its_address() {
    let text =
        "\n[[alert]]\nname = \"on-call\"\nkind = \"webhook\"\nurl_file = \"x/on-call.url\"\n";
    let config = neap::settings::parse("etc/neap.toml", &format!("{FULL}{text}")).unwrap();
    let [alert] = config.alerts.as_slice() else { panic!("{:?}", config.alerts) };
    insta::assert_snapshot!(serde_json::to_string(alert).unwrap(), @r#"{"name":"on-call","kind":"webhook","min_severity":"info","url":{"path":"etc/x/on-call.url"},"bearer":null,"secret":null,"language":"en","message":{"fields":["key","severity","at","title","lines","subject","owner"],"hash":[],"salt":null,"template":null},"link":null,"rate":null,"quiet_hours":null,"digest":null}"#);
    let secrets: Vec<_> = alert.secrets().map(|secret| secret.path().to_owned()).collect();
    assert_eq!(secrets, [PathBuf::from("etc/x/on-call.url")]);
}

/// What the documents show of a chat can be copied.
#[test]
fn the_alert_of_the_documents_is_sound() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/en/src/alerts.md");
    let text = fs::read_to_string(page).unwrap();
    let begin = text.find("[[alert]]\nname = \"duty\"").unwrap();
    let (shown, _) = text[begin..].split_once("```").unwrap();
    let config = sound(&format!("{SIMULATED}{shown}"));
    let [alert] = config.alerts.as_slice() else { panic!("{:?}", config.alerts) };
    assert_eq!(alert.rate.map(|rate| rate.to_string()).as_deref(), Some("10 per 1m"));
    let night = fleet::Timestamp::parse("2026-03-02T15:00:00Z").unwrap();
    let quiet = alert.quiet_hours.as_ref().unwrap();
    assert_eq!(quiet.until(night).unwrap().to_string(), "2026-03-03T00:00:00Z");
    let digest = alert.digest.as_ref().map(ToString::to_string);
    assert_eq!(digest.as_deref(), Some("weekly digest on Mon at 09:00 Asia/Shanghai"));
    let secrets: Vec<_> = alert.secrets().map(|secret| secret.path().to_owned()).collect();
    assert_eq!(secrets, ["duty.url", "duty.secret"].map(PathBuf::from));
}

/// Robots leave room for a test by hand below what cuts them off.
#[test]
fn each_kind_of_alert_needs_little_and_keeps_its_limit() {
    let told = |kind: &str, more: &str| {
        let table = format!("[[alert]]\nname = \"a\"\nkind = \"{kind}\"\n{more}\n");
        let config = sound(&format!("{SIMULATED}{table}"));
        let rate = config.alerts[0].rate.map_or("any".to_owned(), |rate| rate.to_string());
        format!("{kind}: {}, {rate}", config.alerts[0].kind)
    };
    let url = "url_file = \"a.url\"";
    let kinds = ["webhook", "slack", "dingtalk", "feishu", "lark", "wecom", "alertmanager"];
    let mut all: Vec<String> = kinds.iter().map(|kind| told(kind, url)).collect();
    all.push(told("pagerduty", "routing_key_file = \"a.key\""));
    all.push(told("dingtalk", &format!("{url}\nrate = \"3 per 10s\"")));
    insta::assert_snapshot!(all.join("\n"), @r#"
    webhook: webhook, any
    slack: Slack, 1 per 1s
    dingtalk: DingTalk, 18 per 1m
    feishu: Feishu, 1 per 1s
    lark: Feishu, 1 per 1s
    wecom: WeCom, 18 per 1m
    alertmanager: Alertmanager, any
    pagerduty: PagerDuty, any
    dingtalk: DingTalk, 3 per 10s
    "#);
}

#[test]
fn a_file_that_is_not_there_is_one_fault() {
    let fault = neap::settings::load(Path::new("nowhere/neap.toml")).unwrap_err();
    insta::assert_snapshot!(fault[0], @r#"
        nowhere/neap.toml: the configuration cannot be read: No such file or directory (os error 2)
          hint: name it with `--config FILE`; `neap init` prints one to start from
        "#);
}

/// What a newcomer runs first.
#[test]
fn the_example_is_sound() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.example.toml");
    let config = sound(&fs::read_to_string(example).unwrap());
    assert!(config.policy.services.len() >= 3);
    assert!(matches!(config.providers.values().next(), Some(config::ProviderConfig::Sim(_))));
}

/// What the documents show of calendars and events can be copied.
#[test]
fn the_calendar_of_the_documents_is_sound() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/en/src/calendars.md");
    let text = fs::read_to_string(page).unwrap();
    let (_, after) = text.split_once("```toml\n").unwrap();
    let (shown, _) = after.split_once("```").unwrap();
    let config = sound(&format!("{SIMULATED}{shown}"));
    let floor = config.events[0].floor.map(|floor| floor.units.0);
    assert_eq!((config.calendars.len(), config.events.len(), floor), (1, 1, Some(40)));
}
