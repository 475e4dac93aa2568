//! Idle rules and schedules as an operator writes them; faulty ones are among those of `config.rs`.

use config::{self, Config};

fn sound(text: &str) -> Config {
    neap::settings::parse("neap.toml", text).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// The parts of a value, each a line of JSON.
fn lines(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap();
    let parts = value.as_object().unwrap().iter();
    parts.map(|(key, part)| format!("{key}: {part}\n")).collect()
}

/// Rules and schedules, one of each sort.
const IDLE: &str = r#"
mode = "act"
idle_interval = "10m"
[provider.aws]
kind = "aws"
regions = ["eu-west-1"]
[provider.ali]
kind = "alibaba"
regions = ["cn-shanghai"]
[calendar.cn]
timezone = "Asia/Shanghai"
holidays = "CN"
[idle_defaults]
grace = "2d"
owner_tag = "owner"
opt_in_tag = "team:managed=yes"
timezone = "Asia/Shanghai"
account_blast_radius = { hour = 3, day = "10%" }
protect_tag = "team:protect"
currency = "CNY"
promotion = "gated"
[[idle]]
name = "dev-boxes"
mode = "approve"
provider = "ali"
accounts = ["default"]
regions = ["cn-shanghai"]
match = { tags = { env = ["dev", "test"], team = [] }, not_tags = { tier = ["core"] } }
idle_when = { cpu_max_percent = 3.0, network_max_kib_per_second = 5.0, disk_max_ops_per_second = 0.5, memory_max_percent = 40, connections_max = 0, gpu_max_percent = 1, for = "40d", coverage = "90%", forgiven_hours = 2, require = ["memory"] }
accept_short_history = true
observe_first = "0s"
stop_mode = "economical"
mark_tag = true
accept_restart_risk = true
exempt_after_restart = "7d"
blast_radius = { hour = "5%", day = "20%", at_least = 2 }
group_tag = "team"
[[idle]]
name = "volumes"
promotion = "none"
kinds = ["volume", "snapshot"]
match = { ids = ["vol-1"] }
idle_when = { for = "60d" }
grace = "0s"
opt_in_tag = "neap:managed=true"
[[schedule]]
name = "office-hours"
mode = "act"
match = { tags = { schedule = ["office"] } }
calendar = "cn"
up = ["working_days 08:30-20:00", "Sat 10:00-12:00"]
exceptions = [{ date = 2026-12-24, up = "none" }, { date = 2026-12-31, up = ["08:00-12:00", "22:00-02:00"] }]
kinds = ["instance", "database"]
only_if_idle = { cpu_max_percent = 5 }
order_tag = "order"
start_lead = "10m"
start_escalation = "20m"
blast_radius = { hour = 10, day = 10 }
stop_mode = "hibernate-if-possible"
[[schedule]]
name = "nights"
match = { ids = ["i-1"] }
timezone = "Europe/Berlin"
up = "daily 22:00-06:00"
kind = "stop-only"
[[schedule]]
name = "offhours"
grammar = "cloud-custodian"
default_tz = "pt"
stop_tag = "StopAfterHours"
start_tag = "StartAfterHours"
onhour = 8
offhour = 20
skip_days = ["2026-12-25"]
"#;

#[test]
fn idle_rules_and_schedules_come_out_as_meant() {
    let idle = sound(IDLE).idle;
    insta::assert_snapshot!(lines(&idle.policy), @r#"
    account_radius: {"day":{"at_least":3,"share":100000},"hour":{"at_least":3,"share":0}}
    interval: 600
    mode: "act"
    own_host: null
    protect_tag: "team:protect"
    rules: [{"accept_restart_risk":true,"accept_short_history":true,"coverage":900000,"exempt_after_restart":604800,"forgiven_hours":2,"grace":172800,"group_tag":"team","limits":{"connections":0,"cpu":3000,"disk_ops":500,"gpu":1000,"memory":40000,"network_in":5120000,"network_out":5120000},"look_back":3456000,"mark_tag":true,"mode":"approve","name":"dev-boxes","observe_first":0,"opt_in":{"key":"team:managed","value":"yes"},"owner_tag":"owner","radius":{"day":{"at_least":2,"share":200000},"hour":{"at_least":2,"share":50000}},"require":["memory"],"select":{"accounts":["default"],"ids":[],"kinds":["instance"],"not_tags":{"tier":["core"]},"provider":"ali","regions":["cn-shanghai"],"tags":{"env":["dev","test"],"team":[]}},"stop":"plain"},{"accept_restart_risk":false,"accept_short_history":false,"coverage":950000,"exempt_after_restart":1209600,"forgiven_hours":0,"grace":0,"group_tag":null,"limits":{},"look_back":5184000,"mark_tag":false,"mode":"observe","name":"volumes","observe_first":604800,"opt_in":{"key":"neap:managed","value":"true"},"owner_tag":"owner","radius":{"day":{"at_least":3,"share":200000},"hour":{"at_least":1,"share":50000}},"require":[],"select":{"accounts":[],"ids":["vol-1"],"kinds":["volume","snapshot"],"not_tags":{},"provider":null,"regions":[],"tags":{}},"stop":"plain"}]
    schedules: [{"accept_restart_risk":false,"kind":"both","mode":"act","name":"office-hours","only_if_idle":{"cpu":5000},"opt_in":{"key":"team:managed","value":"yes"},"order_tag":"order","radius":{"day":{"at_least":10,"share":0},"hour":{"at_least":10,"share":0}},"select":{"accounts":[],"ids":[],"kinds":["instance","database"],"not_tags":{},"provider":null,"regions":[],"tags":{"schedule":["office"]}},"start_escalation":1200,"start_lead":600,"stop":"hibernate_if_possible"},{"accept_restart_risk":false,"kind":"stop_only","mode":"observe","name":"nights","only_if_idle":{},"opt_in":{"key":"team:managed","value":"yes"},"order_tag":null,"radius":{"day":{"at_least":0,"share":1000000},"hour":{"at_least":0,"share":1000000}},"select":{"accounts":[],"ids":["i-1"],"kinds":["instance"],"not_tags":{},"provider":null,"regions":[],"tags":{}},"start_escalation":1800,"start_lead":300,"stop":"plain"},{"accept_restart_risk":false,"kind":"both","mode":"observe","name":"offhours","only_if_idle":{},"opt_in":{"key":"team:managed","value":"yes"},"order_tag":null,"radius":{"day":{"at_least":0,"share":1000000},"hour":{"at_least":0,"share":1000000}},"select":{"accounts":[],"ids":[],"kinds":["instance"],"not_tags":{},"provider":null,"regions":[],"tags":{}},"start_escalation":1800,"start_lead":300,"stop":"plain"}]
    "#);
    insta::assert_snapshot!(lines(&idle.hours), @r#"
    nights: {"own":{"calendar":null,"exceptions":{},"timezone":"Europe/Berlin","up":["Mon,Tue,Wed,Thu,Fri,Sat,Sun 22:00-06:00 the day after"]}}
    offhours: {"cloud-custodian":{"default_tz":"pt","fallback_schedule":null,"offhour":20,"onhour":8,"opt_out":false,"skip_days":["2026-12-25"],"start_tag":"startafterhours","stop_tag":"stopafterhours","weekends":true,"weekends_only":false}}
    office-hours: {"own":{"calendar":"cn","exceptions":{"2026-12-24":[],"2026-12-31":["Mon,Tue,Wed,Thu,Fri,Sat,Sun 08:00-12:00","Mon,Tue,Wed,Thu,Fri,Sat,Sun 22:00-02:00 the day after"]},"timezone":"Asia/Shanghai","up":["working_days 08:30-20:00","Sat 10:00-12:00"]}}
    "#);
    let gated: Vec<String> = idle.gated.iter().map(ToString::to_string).collect();
    assert_eq!(gated, ["dev-boxes", "nights", "offhours", "office-hours"]);
    assert_eq!(idle.terms().len(), 4);
    let zones: Vec<&str> = idle.zones.values().map(|zone| zone.name()).collect();
    assert_eq!(zones, ["Asia/Shanghai", "Asia/Shanghai"]);
    assert_eq!(idle.currency, Some(fleet::money::Currency::Cny));
    let least = sound(
        "[provider.sim]\nkind = \"sim\"\n[[idle]]\nname = \"a\"\nmatch = { ids = [\"i-1\"] }\n\
         idle_when = { cpu_max_percent = 3 }\ngrace = \"1d\"\n",
    );
    insta::assert_snapshot!(lines(&least.idle.policy), @r#"
    account_radius: {"day":{"at_least":3,"share":200000},"hour":{"at_least":1,"share":50000}}
    interval: 300
    mode: "observe"
    own_host: null
    protect_tag: "neap:protect"
    rules: [{"accept_restart_risk":false,"accept_short_history":false,"coverage":950000,"exempt_after_restart":1209600,"forgiven_hours":0,"grace":86400,"group_tag":null,"limits":{"cpu":3000},"look_back":3024000,"mark_tag":false,"mode":"observe","name":"a","observe_first":604800,"opt_in":{"key":"neap:managed","value":"true"},"owner_tag":null,"radius":{"day":{"at_least":3,"share":200000},"hour":{"at_least":1,"share":50000}},"require":[],"select":{"accounts":[],"ids":["i-1"],"kinds":["instance"],"not_tags":{},"provider":null,"regions":[],"tags":{}},"stop":"plain"}]
    schedules: []
    "#);
}

#[test]
fn a_resource_gets_its_hours_order_and_way_from_its_tags() {
    use fleet::resource::*;
    use planner::idle::rule::ScheduleKind;
    let idle = sound(IDLE).idle;
    let now = fleet::Timestamp::parse("2026-09-28T04:00:00Z").unwrap();
    let resource = |tags: &[(&str, &str)]| Resource {
        id: ResourceId {
            provider: fleet::ProviderName::new("aws").unwrap(),
            account: fleet::AccountId::new("default").unwrap(),
            region: fleet::Region::new("eu-west-1").unwrap(),
            kind: ResourceKind::Instance,
            id: "i-1".into(),
        },
        name: "one".into(),
        read_at: now,
        created_at: None,
        started_at: None,
        power: Power::Running,
        zone: None,
        class: None,
        platform: None,
        size_gib: None,
        tags: tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        sampled_every: fleet::Seconds(300),
        signals: Default::default(),
        subject: Subject::Part(Part {
            used_by: Fact::Unasked,
            unused_since: None,
            looked_at: fleet::signs::Clue::Attachments.into(),
        }),
    };
    let [office, nights, offhours] = &idle.policy.schedules[..] else { panic!("three schedules") };
    let view = idle.view(office, &resource(&[("order", " -2 ")]), now).unwrap();
    assert_eq!((view.order, view.is_up(now), view.fault), (-2, Some(true), None));
    let view = idle.view(office, &resource(&[("order", "first")]), now).unwrap();
    assert_eq!(view.fault.unwrap().to_string(), "tag `order` is `first`, expected a whole number");
    assert_eq!(idle.view(nights, &resource(&[]), now).unwrap().is_up(now), Some(false));
    assert_eq!(idle.kind(nights, &resource(&[])), Some(ScheduleKind::StopOnly));
    assert_eq!(idle.view(offhours, &resource(&[]), now), None);
    let stop = resource(&[("stopafterhours", "")]);
    let view = idle.view(offhours, &stop, now).unwrap();
    assert_eq!((view.zone.as_str(), view.is_up(now)), ("America/Los_Angeles", Some(false)));
    assert_eq!(idle.kind(offhours, &stop), Some(ScheduleKind::StopOnly));
    let mut starts = offhours.clone();
    starts.kind = ScheduleKind::StartOnly;
    assert_eq!(idle.kind(&starts, &stop), None);
    let zone = idle.offset_spans(&idle.policy.rules[0].name, now, now + fleet::Seconds::days(1));
    assert_eq!(zone, [(now, 28_800)]);
}
