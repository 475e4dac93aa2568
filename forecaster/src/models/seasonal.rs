//! The value one season ago: the baseline every other model must beat.

use serde::{Deserialize, Serialize};

use crate::Target;
use crate::frame::Frame;

/// What comes round again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Season {
    Day,
    Week,
}

impl Season {
    /// The demand one season before the target; the last value where history is shorter.
    pub(crate) fn centre(self, frame: &Frame, t: usize, target: Target) -> f64 {
        let period = match self {
            Season::Day => frame.day,
            Season::Week => frame.week,
        };
        (target.first()..=target.reach())
            .map(|ahead| frame.one_season_back(t, ahead, period).map_or(frame.y[t], |i| frame.y[i]))
            .fold(f64::NEG_INFINITY, f64::max)
    }
}
