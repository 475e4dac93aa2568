//! A size that nobody changes.

use super::{Baseline, Seen};

/// Always so many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    pub units: u32,
}

impl Baseline for Fixed {
    fn at_rest(&self, _load: f64) -> u32 {
        self.units
    }

    fn order(&mut self, _seen: &Seen) -> u32 {
        self.units
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays() {
        let mut fixed = Fixed { units: 12 };
        assert_eq!(fixed.at_rest(3.0), 12);
        assert_eq!(fixed.order(&Seen { load: Some(99.0), in_service: 12, pending: 0 }), 12);
    }
}
