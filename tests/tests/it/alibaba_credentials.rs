//! How keys are come by: each way against a cloud that checks what they sign, renewed before they
//! expire, fetched once however many ask.

use std::sync::Arc;
use std::time::Duration;

use fleet::{AccountId, Fault, FaultKind, GroupRef, ProviderName, Region, Seconds, Timestamp};
use providers::alibaba::{Alibaba as Adapter, Environment, RoleAccount, RoleArn, Settings};
use providers::{Deadline, Inventory};
use tests::clock::TestTime;
use tests::peers::{self, ACCOUNT, Alibaba, NewScalingGroup, Rule, settings};
use tokio::task::JoinSet;

/// 2026-03-02T12:00:00Z.
const START: Timestamp = Timestamp(1_772_452_800);
const REGIONS: [&str; 2] = ["ap-southeast-1", "eu-central-1"];

fn role() -> String {
    format!("acs:ram::{ACCOUNT}:role/neap")
}

fn cloud(time: &TestTime) -> Alibaba {
    let cloud = Alibaba::start(time.clone());
    for region in REGIONS {
        cloud.create_group(&NewScalingGroup::new(region, &format!("web-{region}"), 1, 9, 3));
    }
    cloud
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::of(variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

fn adapter(cloud: &Alibaba, time: &TestTime, change: impl FnOnce(&mut Settings)) -> Adapter {
    let mut settings = settings(cloud, &REGIONS);
    change(&mut settings);
    Adapter::new(settings, Arc::new(time.clone()))
}

/// Reads a group in each region at once.
async fn read(adapter: &Adapter, account: &str) -> Result<(), Fault> {
    let wanted = REGIONS.map(|region| GroupRef {
        provider: ProviderName::new("ali").expect("a name"),
        account: AccountId::new(account).expect("a name"),
        region: Region::new(region).expect("a region"),
        name: format!("web-{region}"),
    });
    let by = Deadline::within(Duration::from_secs(20));
    adapter.groups(&wanted, by).await.into_iter().try_for_each(|answer| answer.map(drop))
}

fn assuming(external_id: Option<&str>) -> Vec<RoleAccount> {
    let role_arn = RoleArn::parse(&role()).expect("a role");
    vec![RoleAccount { role_arn, external_id: external_id.map(str::to_owned) }]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_has_the_keys_of_its_role() {
    for hardened in [false, true] {
        let time = TestTime::starting(START);
        let cloud = cloud(&time);
        cloud.instance_role(Some("neap"), hardened);
        let instance = adapter(&cloud, &time, |settings| {
            settings.environment = environment(&[("ALIBABA_CLOUD_IMDSV1_DISABLED", "true")]);
        });
        read(&instance, "default").await.unwrap_or_else(|fault| panic!("{hardened}: {fault}"));
        let named = adapter(&cloud, &time, |settings| {
            settings.environment = environment(&[("ALIBABA_CLOUD_ECS_METADATA", "neap")]);
        });
        read(&named, "default").await.unwrap_or_else(|fault| panic!("{hardened}: {fault}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_without_a_role_says_so() {
    let time = TestTime::starting(START);
    let cloud = cloud(&time);
    cloud.instance_role(None, false);
    let instance = adapter(&cloud, &time, |settings| settings.environment = environment(&[]));
    let fault = read(&instance, "default").await.expect_err("no keys");
    assert_eq!(fault.operation, "RamRoleCredentials", "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_once_and_renewed_before_its_keys_expire() {
    let time = TestTime::starting(START);
    let cloud = cloud(&time);
    cloud.create_role(&role(), Some("sesame"));
    let adapter = adapter(&cloud, &time, |settings| settings.accounts = assuming(Some("sesame")));
    let mut all = JoinSet::new();
    for _ in 0..20 {
        let adapter = adapter.clone();
        all.spawn(async move { read(&adapter, ACCOUNT).await });
    }
    for read in all.join_all().await {
        read.expect("readable");
    }
    assert_eq!(cloud.count("AssumeRole"), 1, "whoever comes meanwhile waits");
    for minutes in (5..=180).step_by(5) {
        time.set(START + Seconds::minutes(minutes));
        read(&adapter, ACCOUNT).await.unwrap_or_else(|fault| panic!("{minutes} min: {fault}"));
    }
    assert_eq!(cloud.count("AssumeRole"), 5, "every 45 minutes");
    assert!(cloud.calls().iter().all(|call| !call.refused()), "no key was used too long");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_renewed_are_used_to_their_end() {
    let time = TestTime::starting(START);
    let cloud = cloud(&time);
    cloud.create_role(&role(), None);
    let adapter = adapter(&cloud, &time, |settings| settings.accounts = assuming(None));
    read(&adapter, ACCOUNT).await.expect("readable");
    cloud.inject(Rule::on("AssumeRole", peers::Fault::Broken));
    time.set(START + Seconds::minutes(50));
    read(&adapter, ACCOUNT).await.expect("still good for ten minutes");
    time.set(START + Seconds::minutes(70));
    let fault = read(&adapter, ACCOUNT).await.expect_err("expired, and there are no others");
    assert_eq!((fault.operation.as_str(), &fault.kind), ("AssumeRole", &FaultKind::Unreachable));
    cloud.heal();
    read(&adapter, ACCOUNT).await.expect("renewed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_external_id_opens_nothing() {
    let time = TestTime::starting(START);
    let cloud = cloud(&time);
    cloud.create_role(&role(), Some("sesame"));
    for id in [None, Some("barley")] {
        let adapter = adapter(&cloud, &time, |settings| settings.accounts = assuming(id));
        let fault = read(&adapter, ACCOUNT).await.expect_err("denied");
        assert!(matches!(fault.kind, FaultKind::Denied { .. }), "{fault}");
        assert_eq!(fault.operation, "AssumeRole", "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clusters_token_is_traded_for_keys_and_read_anew() {
    let time = TestTime::starting(START);
    let cloud = cloud(&time);
    cloud.create_role(&role(), None);
    cloud.oidc_token("first");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "first\n").expect("written");
    let role = role();
    let provider = format!("acs:ram::{ACCOUNT}:oidc-provider/ack");
    let adapter = adapter(&cloud, &time, |settings| {
        settings.environment = environment(&[
            ("ALIBABA_CLOUD_ROLE_ARN", &role),
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", &provider),
            ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", file.to_str().expect("text")),
        ]);
    });
    read(&adapter, "default").await.expect("readable");
    cloud.oidc_token("second");
    std::fs::write(&file, "second\n").expect("written");
    time.set(START + Seconds::minutes(50));
    read(&adapter, "default").await.expect("readable with the second token");
    assert_eq!(cloud.count("AssumeRoleWithOIDC"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_is_denied() {
    let time = TestTime::starting(START);
    let cloud = cloud(&time);
    cloud.create_role(&role(), None);
    let asked = serde_json::json!({ "RoleArn": role(), "RoleSessionName": "tests" });
    let session = peers::aliyun(&cloud.url(), REGIONS[0], "sts", "AssumeRole", &asked);
    let text = |name: &str| session["Credentials"][name].as_str().expect("a text").to_owned();
    let adapter = adapter(&cloud, &time, |settings| {
        settings.environment = environment(&[
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", &text("AccessKeyId")),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &text("AccessKeySecret")),
            ("ALIBABA_CLOUD_SECURITY_TOKEN", &text("SecurityToken")),
        ]);
    });
    read(&adapter, "default").await.expect("good for an hour");
    time.set(START + Seconds::hours(2));
    let fault = read(&adapter, "default").await.expect_err("expired");
    assert_eq!(fault.kind, FaultKind::Denied { permission: None }, "{fault}");
    assert!(fault.detail.starts_with("InvalidSecurityToken"), "{fault}");
    assert!(!fault.to_string().contains(&text("SecurityToken")), "{fault}");
}
