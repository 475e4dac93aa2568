//! A count over time: constant between the moments at which it changed.

use fleet::Timestamp;
use serde::{Deserialize, Serialize};

/// A count over time, from its first entry on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Steps(Vec<(Timestamp, u32)>);

impl Steps {
    /// Notes that the count is `value` from `at` on. Moments never go back.
    pub fn note(&mut self, at: Timestamp, value: u32) {
        match self.0.last_mut() {
            Some((_, last)) if *last == value => {}
            Some((when, last)) if *when == at => *last = value,
            _ => self.0.push((at, value)),
        }
    }

    /// The count at a moment; `None` before the first entry.
    pub fn at(&self, at: Timestamp) -> Option<u32> {
        let after = self.0.partition_point(|(when, _)| *when <= at);
        Some(self.0[after.checked_sub(1)?].1)
    }

    /// Count × seconds within `[from, to)`; 0 before the first entry.
    pub fn area(&self, from: Timestamp, to: Timestamp) -> u64 {
        if to <= from {
            return 0;
        }
        let first = self.0.partition_point(|(when, _)| *when <= from).saturating_sub(1);
        let mut area = 0;
        for (index, (when, value)) in self.0.iter().enumerate().skip(first) {
            if *when >= to {
                break;
            }
            let ends = self.0.get(index + 1).map_or(to, |(next, _)| (*next).min(to));
            area += u64::from(*value) * ends.since((*when).max(from)).0;
        }
        area
    }

    /// The largest count within `[from, to)`.
    pub fn peak(&self, from: Timestamp, to: Timestamp) -> u32 {
        let inside = self.0.iter().filter(|(when, _)| from <= *when && *when < to);
        inside.map(|(_, value)| *value).chain(self.at(from)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn area_and_peak_follow_the_changes() {
        let mut steps = Steps::default();
        for (at, value) in [(100, 2), (160, 5), (160, 4), (200, 4), (220, 0)] {
            steps.note(Timestamp(at), value);
        }
        let area = |from, to| steps.area(Timestamp(from), Timestamp(to));
        assert_eq!(area(0, 100), 0);
        assert_eq!(area(100, 160), 120);
        assert_eq!(area(130, 230), 60 + 240);
        assert_eq!(area(90, 110), 20);
        assert_eq!(area(150, 150), 0);
        assert_eq!(steps.at(Timestamp(99)), None);
        assert_eq!(steps.at(Timestamp(219)), Some(4));
        assert_eq!(steps.peak(Timestamp(110), Timestamp(300)), 4);
        assert_eq!(steps.peak(Timestamp(230), Timestamp(300)), 0);
    }
}
