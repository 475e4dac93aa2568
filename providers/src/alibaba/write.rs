//! Writes one number of one group, once.

use std::sync::Arc;

use async_trait::async_trait;
use fleet::group::Process;
use fleet::{Change, Fault, FaultKind, GroupId, Units};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::access::{Access, Seat};
use super::endpoint::Product;
use super::groups;
use super::params::Params;
use super::translate::Base;
use crate::call::Call;
use crate::{Deadline, GroupWriter};

pub(super) const SCALE: Call = Call::write("ess", "ScaleWithAdjustment");
pub(super) const MODIFY: Call = Call::write("ess", "ModifyScalingGroup");

/// What the cloud answers to an order for a group that has an activity under way.
const ACTIVITY_IN_PROGRESS: &str = "ScalingActivityInProgress";
/// What it answers to an order for a group whose status forbids it.
const WRONG_STATUS: &str = "IncorrectScalingGroupStatus";
/// Bytes of a decision's digest that make its token: 32 characters of the 64 allowed.
const TOKEN_BYTES: usize = 16;

/// A handle that can write this group's size and nothing else.
///
/// What is added is ordered as a difference from what was read just before, with a token of the
/// decision: the same decision sent twice is one order, and somebody's own order on the way is not
/// overwritten. The cloud refuses such an order while an activity is under way: then the number is
/// set, where it keeps one. What is taken away is set as a number where the cloud keeps one, so that
/// no duplicate takes it twice.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) access: Arc<Access>,
    pub(super) group: GroupId,
}

/// What every answer has.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    #[serde(rename = "RequestId")]
    _request_id: String,
}

#[async_trait]
impl GroupWriter for Writer {
    fn group(&self) -> &GroupId {
        &self.group
    }

    async fn set(&self, change: Change, decision: &str, deadline: Deadline) -> Result<(), Fault> {
        let id = self.group.id.as_str();
        let named = match change {
            Change::Desired { .. } if change.is_increase() => SCALE,
            _ => MODIFY,
        };
        let seat = self.access.seat(named, &self.group.account, &self.group.region)?;
        // The cloud cuts what is out of bounds down to them without a word, and an order means one
        // thing for a group with a desired capacity and another for one without.
        let base = groups::one(&seat, id, deadline).await.map_err(|fault| unsent(named, fault))?;
        within_bounds(named, change, &base)?;
        let difference = i64::from(change.to().0) - i64::from(base.desired.0);
        match change {
            Change::Minimum { to, .. } => {
                let params = Params::new().with("MinSize", to.0).with("ScalingGroupId", id);
                send(&seat, MODIFY, params, deadline).await
            }
            // It is there already, or somebody went further up.
            Change::Desired { .. }
                if difference == 0 || (change.is_increase() && difference < 0) =>
            {
                Ok(())
            }
            Change::Desired { to, .. } if difference < 0 && base.own.has_desired => {
                send(&seat, MODIFY, desired(id, to), deadline).await
            }
            Change::Desired { .. } => {
                let params = Params::new()
                    .with("AdjustmentType", "QuantityChangeInCapacity")
                    .with("AdjustmentValue", difference)
                    .with("ClientToken", client_token(&self.group, decision, change))
                    .with("ScalingGroupId", id);
                match send(&seat, SCALE, params, deadline).await {
                    Err(fault) if change.is_increase() && is_busy(&fault, &base) => {
                        beside_an_activity(&seat, id, change, fault, deadline).await
                    }
                    sent => sent,
                }
            }
        }
    }
}

/// The parameters that set a desired capacity.
fn desired(id: &str, to: Units) -> Params {
    Params::new().with("DesiredCapacity", to.0).with("ScalingGroupId", id)
}

/// Whether an order was refused because an activity is under way: an answer, so that nothing has
/// happened. The second code says so of an active group only.
fn is_busy(fault: &Fault, base: &Base) -> bool {
    let says = |code: &str| fault.detail.starts_with(code);
    says(ACTIVITY_IN_PROGRESS) || says(WRONG_STATUS) && !base.suspended.contains(&Process::Launch)
}

/// Sets the number that the cloud keeps, which it takes while an activity is under way and then
/// follows. Read afresh, for the activity may be somebody's order that went further. A group without
/// such a number has to wait for the end of the activity.
async fn beside_an_activity(
    seat: &Seat,
    id: &str,
    change: Change,
    refused: Fault,
    deadline: Deadline,
) -> Result<(), Fault> {
    let base = groups::one(seat, id, deadline).await.map_err(|fault| unsent(MODIFY, fault))?;
    within_bounds(MODIFY, change, &base)?;
    if base.desired >= change.to() {
        return Ok(());
    }
    if !base.own.has_desired {
        return Err(Fault { kind: FaultKind::Throttled { retry_after: None }, ..refused });
    }
    send(seat, MODIFY, desired(id, change.to()), deadline).await
}

async fn send(seat: &Seat, call: Call, params: Params, deadline: Deadline) -> Result<(), Fault> {
    seat.call::<Taken>(call, Product::Ess, params, deadline).await.map(drop)
}

/// The look before the order failed, so the order was not sent.
fn unsent(call: Call, fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::TimedOut => call.unsent("not sent before the deadline, the group was not read"),
        _ => fault,
    }
}

fn within_bounds(call: Call, change: Change, base: &Base) -> Result<(), Fault> {
    let (low, high) = match change {
        Change::Desired { .. } => (base.min, base.max),
        Change::Minimum { .. } => (fleet::Units(0), base.max),
    };
    let to = change.to();
    if (low..=high).contains(&to) {
        return Ok(());
    }
    let why = format!("{to} are outside of {} to {}, the group's bounds", low.0, high.0);
    Err(call.fault(FaultKind::Refused, why))
}

/// The same for the same decision about the same group, and for no other.
fn client_token(group: &GroupId, decision: &str, change: Change) -> String {
    let text = format!("{group}\n{decision}\n{change}");
    hex::encode(&Sha256::digest(text)[..TOKEN_BYTES])
}

#[cfg(test)]
mod tests {
    use fleet::{AccountId, ProviderName, Region};

    use super::*;

    fn group(id: &str) -> GroupId {
        GroupId {
            provider: ProviderName::new("ali").unwrap(),
            account: AccountId::new("default").unwrap(),
            region: Region::new("eu-central-1").unwrap(),
            id: id.to_owned(),
        }
    }

    #[test]
    fn a_token_is_of_one_decision_about_one_group() {
        let up = |to| Change::Desired { from: Units(2), to: Units(to) };
        let token = client_token(&group("asg-1"), "d/1", up(4));
        assert_eq!(token, client_token(&group("asg-1"), "d/1", up(4)));
        assert!(token.len() <= 64 && token.is_ascii());
        for other in [
            client_token(&group("asg-2"), "d/1", up(4)),
            client_token(&group("asg-1"), "d/2", up(4)),
            client_token(&group("asg-1"), "d/1", up(5)),
        ] {
            assert_ne!(token, other);
        }
    }
}
