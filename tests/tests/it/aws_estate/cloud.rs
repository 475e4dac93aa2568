//! A cloud to look at and to stop things in.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use fleet::resource::{Facts, Part, Resource, ResourceId, ResourceKind, Subject};
use fleet::stop::StopMode;
use fleet::{AccountId, FaultKind, ProviderName, Region, Timestamp};
use providers::aws::{Aws as Adapter, Settings};
use providers::{Deadline, Estate, PowerOrder, Provider};
use serde_json::Value;
use tests::clock::TestTime;
use tests::peers::{Aws, Moto, Proxy};

/// 2026-03-02T12:00:00Z.
pub const START: Timestamp = Timestamp(1_772_452_800);
pub const REGION: &str = "us-east-1";
pub const EC2: &str = "2016-11-15";
pub const RDS: &str = "2014-10-31";
pub const ELB: &str = "2015-12-01";
pub const STOP: PowerOrder = PowerOrder::Stop(StopMode::Plain);

pub struct Cloud {
    _moto: Moto,
    pub proxy: Proxy,
    pub time: TestTime,
    pub adapter: Adapter,
    pub runtime: tokio::runtime::Runtime,
}

/// The SDK's chain of credentials reads the environment, and a process cannot safely change its own
/// while threads run: so each test runs itself again with what it needs.
const INSIDE: &str = "NEAP_TESTS_INSIDE";

impl Cloud {
    /// A cloud for the test of this name; `None` where it has run in a process of its own.
    ///
    /// The name is `MODULE::TEST`, as in this folder.
    pub fn inside(test: &str) -> Option<Cloud> {
        if std::env::var_os(INSIDE).is_some() {
            return Some(Cloud::new());
        }
        let itself = std::env::current_exe().expect("our own path");
        let ran = Command::new(itself)
            .args(["--exact", &format!("aws_estate::{test}"), "--nocapture"])
            .env(INSIDE, "1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .output()
            .expect("we start again");
        let said = String::from_utf8_lossy(&ran.stdout);
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}\n{errors}");
        None
    }

    fn new() -> Cloud {
        let moto = Moto::start();
        let time = TestTime::starting(START);
        let proxy = Proxy::start(moto.address(), time.clone());
        let name = ProviderName::new("aws").expect("a name");
        let mut settings = Settings::new(name, Region::new(REGION).into_iter().collect());
        settings.endpoint_url = Some(proxy.url());
        let adapter = Adapter::new(settings, Arc::new(time.clone()));
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        Cloud { _moto: moto, proxy, time, adapter, runtime }
    }

    pub fn estate(&self) -> &dyn Estate {
        self.adapter.estate().expect("AWS has an estate")
    }

    pub fn call(
        &self,
        service: &str,
        version: &str,
        action: &str,
        with: &[(&str, &str)],
    ) -> String {
        let somebody = Aws::at(self.proxy.back_door(), REGION);
        let answer = somebody.query(service, version, action, with);
        answer.unwrap_or_else(|error| panic!("{action}: {error:#}"))
    }

    /// A call to the keys; the answer's JSON.
    pub fn kms(&self, action: &str, body: &Value) -> Value {
        let somebody = Aws::at(self.proxy.back_door(), REGION);
        let answer = somebody.json("kms", &format!("TrentService.{action}"), body);
        answer.unwrap_or_else(|error| panic!("{action}: {error:#}"))
    }

    pub fn ec2(&self, action: &str, with: &[(&str, &str)]) -> String {
        self.call("ec2", EC2, action, with)
    }

    /// Runs an instance and hands back its id.
    pub fn run(&self, class: &str, more: &[(&str, &str)]) -> String {
        let mut with = vec![
            ("ImageId", "ami-12c6146b"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("InstanceType", class),
        ];
        with.extend(more);
        let id = word(&self.ec2("RunInstances", &with), "instanceId");
        let days = |days: i64| Timestamp(START.0 - days * 86_400);
        self.proxy.born(&id, days(100), days(40));
        id
    }

    pub fn database(&self, id: &str) {
        let with = [
            ("DBInstanceIdentifier", id),
            ("Engine", "postgres"),
            ("DBInstanceClass", "db.t3.micro"),
            ("AllocatedStorage", "20"),
            ("MasterUsername", "somebody"),
            ("MasterUserPassword", "nobody-knows"),
            ("Tags.Tag.1.Key", "team"),
            ("Tags.Tag.1.Value", "shop"),
        ];
        self.call("rds", RDS, "CreateDBInstance", &with);
        self.proxy.born(id, Timestamp(START.0 - 86_400), START);
    }

    pub fn listed(&self, kind: ResourceKind) -> BTreeMap<String, Resource> {
        let listings = self.runtime.block_on(self.estate().resources(&[kind], patience()));
        let [listing] = &listings[..] else { panic!("one place, not {}", listings.len()) };
        assert_eq!((listing.kind, listing.region.as_str()), (kind, REGION));
        let all = listing.resources.clone().expect("it was listed");
        all.into_iter().map(|one| (one.id.id.clone(), one)).collect()
    }

    pub fn read(&self, id: &ResourceId) -> Resource {
        self.runtime.block_on(self.estate().resource(id, patience())).expect("it was read")
    }

    pub fn details(&self, listed: &Resource) -> Result<Resource, FaultKind> {
        let read = self.runtime.block_on(self.estate().details(listed, patience()));
        read.map_err(|fault| fault.kind)
    }

    /// The calls that are made meanwhile, by name.
    pub fn calls_of(&self, act: impl FnOnce()) -> Vec<String> {
        let before = self.proxy.calls().len();
        act();
        let mut calls: Vec<String> =
            self.proxy.calls().drain(before..).map(|call| call.operation).collect();
        calls.sort();
        calls
    }

    pub fn order(&self, id: &ResourceId, order: PowerOrder) -> Result<(), FaultKind> {
        let switch = self.estate().switch(id);
        let ordered = self.runtime.block_on(switch.order(order, "d-1", patience()));
        ordered.map_err(|fault| fault.kind)
    }

    pub fn rehearse(&self, id: &ResourceId, order: PowerOrder) -> Result<bool, FaultKind> {
        let switch = self.estate().switch(id);
        let rehearsed = self.runtime.block_on(switch.rehearse(order, patience()));
        rehearsed.map_err(|fault| fault.kind)
    }

    pub fn pass(&self, span: i64) {
        self.time.set(Timestamp(self.time.now().0 + span));
    }
}

pub fn patience() -> Deadline {
    Deadline::within(Duration::from_secs(60))
}

pub fn id(kind: ResourceKind, id: &str) -> ResourceId {
    ResourceId {
        provider: ProviderName::new("aws").expect("a name"),
        account: AccountId::new("default").expect("a name"),
        region: Region::new(REGION).expect("a region"),
        kind,
        id: id.to_owned(),
    }
}

pub fn instance(name: &str) -> ResourceId {
    id(ResourceKind::Instance, name)
}

pub fn database(name: &str) -> ResourceId {
    id(ResourceKind::Database, name)
}

/// The text of the first element of a name.
pub fn word(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name}"));
    rest.split('<').next().unwrap_or_default().to_owned()
}

pub fn facts(resource: &Resource) -> &Facts {
    match &resource.subject {
        Subject::Machine(facts) => facts,
        Subject::Part(part) => panic!("a part: {part:?}"),
    }
}

pub fn part(resource: &Resource) -> &Part {
    match &resource.subject {
        Subject::Part(part) => part,
        Subject::Machine(facts) => panic!("a machine: {facts:?}"),
    }
}
