//! Samples of what is stored, for tests that write bytes down: the planner's, the journal's and the
//! shadow's. Each text and number tells which field it is of.
#![allow(dead_code, reason = "each test program uses its own part of the samples")]

use fleet::group::{
    Activity, ActivityKind, ActivityStatus, Cause, NativePolicy, NativePolicyKind, Owner,
    ScheduledAction,
};
use fleet::resource::{ResourceId, ResourceKind};
use fleet::{
    AccountId, Change, GroupId, OrTold, ProviderName, Region, Seconds, ServiceName, Timestamp,
    Units,
};
use planner::snapshot::{Aside, DemandPoint, GroupView, Window};

/// Adds a sample of every variant of an enum. A variant that has none here does not compile.
macro_rules! every {
    ($golden:ident, $Type:ident {
        $($Variant:ident $(($($tuple:expr),+ $(,)?))? $({$($field:ident: $value:expr),+ $(,)?})?),+ $(,)?
    }) => {{
        fn name_of(value: &$Type) -> &'static str {
            match value {
                $($Type::$Variant { .. } => concat!(stringify!($Type), "::", stringify!($Variant)),)+
            }
        }
        $(
            let value = $Type::$Variant $(($($tuple),+))? $({$($field: $value),+})?;
            $golden.named(name_of(&value), &value);
        )+
    }};
}
pub(crate) use every;

/// What an old record said in place of a value.
pub fn told<T>(field: &str) -> OrTold<T> {
    OrTold::Told(field.to_owned())
}

/// Text that tells which field it is of.
pub fn text(field: &str) -> String {
    field.to_owned()
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp(1_772_409_600 + seconds)
}

pub fn provider() -> ProviderName {
    ProviderName::new("aws").unwrap()
}

pub fn account() -> AccountId {
    AccountId::new("111122223333").unwrap()
}

pub fn region() -> Region {
    Region::new("eu-west-1").unwrap()
}

pub fn service() -> ServiceName {
    ServiceName::new("web").unwrap()
}

pub fn group() -> GroupId {
    GroupId { provider: provider(), account: account(), region: region(), id: text("arn") }
}

/// A database.
pub fn resource_id() -> ResourceId {
    ResourceId {
        provider: provider(),
        account: account(),
        region: region(),
        kind: ResourceKind::Database,
        id: text("i-0abc"),
    }
}

pub fn desired() -> Change {
    Change::Desired { from: Units(3), to: Units(4) }
}

pub fn native() -> NativePolicy {
    NativePolicy {
        name: text("policy"),
        kind: NativePolicyKind::Step,
        enabled: true,
        scales_in: false,
    }
}

pub fn scheduled() -> ScheduledAction {
    ScheduledAction {
        name: text("action"),
        at: Some(at(5)),
        recurrence: Some(text("recurrence")),
        desired: Some(Units(6)),
        min: Some(Units(7)),
        max: Some(Units(8)),
    }
}

pub fn activity() -> Activity {
    Activity {
        id: text("activity"),
        started_at: at(1),
        ended_at: Some(at(2)),
        kind: ActivityKind::Terminate,
        status: ActivityStatus::Failed { no_capacity: true },
        cause: Cause::Schedule,
        cause_text: text("cause"),
        capacity_set_to: Some(Units(3)),
        launch: None,
    }
}

pub fn group_view() -> GroupView {
    GroupView {
        id: group(),
        read_at: at(3),
        desired: Units(1),
        min: Units(2),
        max: Units(3),
        in_service: Units(4),
        pending: Units(5),
        terminating: Units(6),
        protected: Units(7),
        unknown: Units(8),
        warming: Units(9),
        launch_suspended: true,
        terminate_suspended: false,
        refresh: Some(text("refresh")),
        policies: vec![native()],
        scheduled: vec![scheduled()],
        owner: Some(Owner { name: text("owner"), evidence: text("evidence") }),
        newest_foreign_activity: Some(activity()),
        out_of_capacity: true,
        aside: Aside::default(),
    }
}

pub fn point(start: i64) -> DemandPoint {
    DemandPoint { start: at(start), value: 20.5, censored: true }
}

pub fn window() -> Window {
    Window {
        sample_age: Seconds(1),
        poll_interval: Seconds(2),
        lead_time: Seconds(3),
        hold: Seconds(4),
    }
}
