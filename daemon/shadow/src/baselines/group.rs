//! A group in memory whose instances take a while to boot.

use std::collections::VecDeque;

/// Instances in service and on their way.
///
/// A step begins with [`Group::begin`], then one order is given with [`Group::order`]. What is
/// ordered at step t is in service from step t + boot; scale-in takes effect at the next step and
/// cancels booting instances first, the newest before the older.
#[derive(Clone, Debug)]
pub struct Group {
    /// In service now.
    pub in_service: u32,
    boot_steps: usize,
    /// Instances in service after so many steps from now on; the first entry is the next step's.
    booting: VecDeque<u32>,
    /// To be taken away when the next step begins.
    leaving: u32,
}

impl Group {
    /// A group with so many instances in service.
    pub fn new(in_service: u32, boot_steps: usize) -> Group {
        let booting = VecDeque::from(vec![0; boot_steps]);
        Group { in_service, boot_steps, booting, leaving: 0 }
    }

    /// Instances on their way.
    pub fn pending(&self) -> u32 {
        self.booting.iter().sum()
    }

    /// The next step: who has booted is in service, who leaves is gone.
    pub fn begin(&mut self) {
        if let Some(booted) = self.booting.pop_front() {
            self.in_service += booted;
            self.booting.push_back(0);
        }
        for booting in self.booting.iter_mut().rev() {
            let cancelled = self.leaving.min(*booting);
            *booting -= cancelled;
            self.leaving -= cancelled;
        }
        // The last instance in service stays until another one is.
        let spare = if self.pending() == 0 {
            self.in_service - self.in_service.min(1)
        } else {
            self.in_service
        };
        self.in_service -= self.leaving.min(spare);
        self.leaving = 0;
    }

    /// Sets the capacity the group is to have.
    pub fn order(&mut self, desired: u32) {
        let total = self.in_service + self.pending();
        self.leaving = total.saturating_sub(desired);
        let more = desired.saturating_sub(total);
        match self.boot_steps {
            0 => self.in_service += more,
            steps => self.booting[steps - 1] += more,
        }
    }

    /// Instances paid for.
    pub fn paid(&self) -> u32 {
        self.in_service + self.pending()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Begins a step, orders, and tells who serves and who boots.
    fn step(group: &mut Group, desired: u32) -> (u32, u32) {
        group.begin();
        group.order(desired);
        (group.in_service, group.pending())
    }

    #[test]
    fn an_order_is_in_service_after_its_boot() {
        let mut group = Group::new(2, 2);
        let seen: Vec<_> = [4, 4, 4, 4].map(|desired| step(&mut group, desired)).into();
        assert_eq!(seen, [(2, 2), (2, 2), (4, 0), (4, 0)]);
    }

    #[test]
    fn scale_in_cancels_what_boots_and_takes_effect_at_the_next_step() {
        let mut group = Group::new(3, 2);
        let seen: Vec<_> = [6, 5, 2, 2].map(|desired| step(&mut group, desired)).into();
        assert_eq!(seen, [(3, 3), (3, 3), (5, 0), (2, 0)]);
    }

    #[test]
    fn without_a_boot_an_order_serves_at_once_and_the_last_instance_stays() {
        let mut group = Group::new(1, 0);
        let seen: Vec<_> = [5, 0, 0].map(|desired| step(&mut group, desired)).into();
        assert_eq!(seen, [(5, 0), (5, 0), (1, 0)]);
    }
}
