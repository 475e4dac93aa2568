//! Parts that got something behind them in a later format: nobody else has a byte of it.

use fleet::{Seconds, ServiceName, Timestamp};
use planner::policy::ActiveFreeze;
use planner::snapshot::{Disk, Hours, KillSwitch, Launched, OrderOutcome, Undiscovered};
use serde::{Deserialize, Serialize};

use super::{plain, put_behind, read_behind};

#[derive(Serialize, Deserialize)]
pub(super) struct WorldPart {
    pub(super) taken_at: Timestamp,
    pub(super) kill_switch: KillSwitch,
    pub(super) freezes: Vec<ActiveFreeze>,
    pub(super) disk: Disk,
    pub(super) acknowledged: Vec<ServiceName>,
}

impl WorldPart {
    /// Its bytes, and behind them what is missing, where anything is: records of before format 8 have
    /// nothing there.
    pub(super) fn with(&self, undiscovered: &Undiscovered) -> Vec<u8> {
        let mut bytes = plain(self);
        if !undiscovered.is_empty() {
            bytes.extend(plain(undiscovered));
        }
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> postcard::Result<(WorldPart, Undiscovered)> {
        let (part, rest) = postcard::take_from_bytes(bytes)?;
        let undiscovered =
            if rest.is_empty() { Undiscovered::new() } else { postcard::from_bytes(rest)? };
        Ok((part, undiscovered))
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct SignsPart {
    pub(super) signals: planner::snapshot::SignalsView,
    pub(super) outcomes: Vec<OrderOutcome>,
    pub(super) lead_times: Vec<Seconds>,
}

impl SignsPart {
    /// Its bytes, and behind them what was seen to serve and the hours, where there is any: records of
    /// before format 9 have nothing there.
    pub(super) fn with(&self, launched: &Vec<Launched>, hours: &Vec<Hours>) -> Vec<u8> {
        let mut bytes = plain(self);
        if !launched.is_empty() || !hours.is_empty() {
            bytes.extend(plain(launched));
        }
        put_behind(&mut bytes, hours);
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> postcard::Result<(SignsPart, Vec<Launched>, Vec<Hours>)> {
        let (part, rest) = postcard::take_from_bytes(bytes)?;
        if rest.is_empty() {
            return Ok((part, Vec::new(), Vec::new()));
        }
        let (launched, hours) = read_behind(rest)?;
        Ok((part, launched, hours))
    }
}
