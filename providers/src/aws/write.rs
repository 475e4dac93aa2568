//! Writes one number of one group, once.

use std::sync::Arc;

use async_trait::async_trait;
use fleet::Change;
use fleet::{Fault, FaultKind, GroupId, Units};

use super::access::Access;
use super::translate::name_in;
use crate::call::Call;
use crate::{Deadline, GroupWriter};

pub(super) const SET_DESIRED: Call = Call::write("autoscaling", "SetDesiredCapacity");
pub(super) const UPDATE_GROUP: Call = Call::write("autoscaling", "UpdateAutoScalingGroup");

/// A handle that can write this group's size and nothing else.
///
/// Both calls are absolute, so repeating one is harmless by itself; but a late duplicate could undo
/// somebody's newer value, so nothing is ever sent twice. Neither takes a token or a condition.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) access: Arc<Access>,
    pub(super) group: GroupId,
}

#[async_trait]
impl GroupWriter for Writer {
    fn group(&self) -> &GroupId {
        &self.group
    }

    async fn set(&self, change: Change, _decision: &str, deadline: Deadline) -> Result<(), Fault> {
        let call = match change {
            Change::Desired { .. } => SET_DESIRED,
            Change::Minimum { .. } => UPDATE_GROUP,
        };
        let seat = tokio::time::timeout_at(
            deadline.0,
            self.access.seat(call, &self.group.account, &self.group.region),
        );
        let Ok(seat) = seat.await else {
            return Err(call.unsent("not sent before the deadline, no clients yet"));
        };
        let seat = seat?;
        let no_name = || call.fault(FaultKind::Missing, format!("no group `{}`", self.group.id));
        let name = name_in(&self.group.id).ok_or_else(no_name)?;
        let to = size(call, change.to())?;
        match change {
            Change::Desired { .. } => {
                let request = seat.once.set_desired_capacity().auto_scaling_group_name(name);
                let send = request.desired_capacity(to).honor_cooldown(false).send();
                seat.call(call, deadline, send).await.map(drop)
            }
            Change::Minimum { .. } => {
                let request = seat.once.update_auto_scaling_group();
                let send = request.auto_scaling_group_name(name).min_size(to).send();
                seat.call(call, deadline, send).await.map(drop)
            }
        }
    }
}

fn size(call: Call, units: Units) -> Result<i32, Fault> {
    i32::try_from(units.0)
        .map_err(|_| call.fault(FaultKind::Refused, format!("{units} are more than AWS takes")))
}
