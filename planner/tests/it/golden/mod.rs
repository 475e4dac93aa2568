//! The bytes of everything that is stored: samples of each record, and of each variant of each enum.
//!
//! A record whose bytes change here cannot be read from journals of before. New variants and fields
//! go to the end, and only where the journal's format says how older records are read.

mod capacity;
mod idle;
#[path = "../../stored/mod.rs"]
mod stored;

use std::fmt::{Debug, Write};

use fleet::{Fault, FaultKind, Seconds, Units};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Lines of `type variant bytes`.
#[derive(Default)]
pub(crate) struct Golden {
    lines: String,
}

impl Golden {
    /// Adds a sample, which must be the same when it is read back.
    pub(crate) fn add<T>(&mut self, value: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let path = std::any::type_name::<T>();
        let name = path.split("::").skip_while(|part| part.starts_with(char::is_lowercase));
        self.named(&name.collect::<Vec<_>>().join("::"), value);
    }

    fn named<T>(&mut self, name: &str, value: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let bytes = postcard::to_allocvec(value).unwrap();
        let back: T = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(back, *value, "{name}");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.lines, "{name} {hex}").unwrap();
    }
}

use stored::{
    account, at, desired, every, group, group_view, point, provider, region, resource_id, service,
    text, told, window,
};

pub(crate) fn fault() -> Fault {
    Fault {
        kind: FaultKind::Denied { permission: Some(text("permission")) },
        operation: text("operation"),
        detail: text("detail"),
        request_id: Some(text("request")),
    }
}

/// What capacity and idle machines have in common.
fn common() -> Golden {
    use fleet::alert::{Alert, Severity};
    let mut golden = Golden::default();
    golden.add(&Seconds(300));
    golden.add(&at(0));
    golden.add(&Units(300));
    golden.add(&fleet::Step::FIVE_MINUTES);
    golden.add(&fleet::Level::new(0.99).unwrap());
    golden.add(&service());
    golden.add(&provider());
    golden.add(&account());
    golden.add(&region());
    golden.add(&group());
    every!(golden, FaultKind {
        Throttled { retry_after: Some(Seconds(2)) },
        Unreachable,
        Unconfirmed,
        Conflict { found: Units(3) },
        OutOfCapacity,
        Denied { permission: Some(text("permission")) },
        Missing,
        Refused,
        Unreadable,
        TimedOut,
    });
    golden.add(&fault());
    every!(golden, Severity { Info, Warning, Critical });
    golden.add(&Alert {
        key: text("key"),
        severity: Severity::Warning,
        at: at(1),
        title: text("title"),
        lines: vec![text("line"), text("next")],
        subject: Some(text("subject")),
        owner: Some(text("owner")),
    });
    golden
}

fn assert_golden(name: &str, golden: Golden) {
    insta::with_settings!({
        snapshot_path => "bytes",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, golden.lines);
    });
}

#[test]
fn what_is_stored_of_all_keeps_its_bytes() {
    assert_golden("common", common());
}

#[test]
fn what_is_stored_of_capacity_keeps_its_bytes() {
    let mut golden = Golden::default();
    capacity::policy(&mut golden);
    capacity::group(&mut golden);
    capacity::snapshot(&mut golden);
    capacity::plan(&mut golden);
    capacity::memory(&mut golden);
    capacity::stage(&mut golden);
    assert_golden("capacity", golden);
}

#[test]
fn what_is_stored_of_idle_machines_keeps_its_bytes() {
    let mut golden = Golden::default();
    idle::resource(&mut golden);
    idle::rule(&mut golden);
    idle::evidence(&mut golden);
    idle::snapshot(&mut golden);
    idle::plan(&mut golden);
    idle::memory(&mut golden);
    assert_golden("idle", golden);
}
