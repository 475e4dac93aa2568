//! What really is, and what people do: for tests and checkers. No adapter could know it.

use fleet::resource::{Resource, ResourceId, ResourceKind};
use fleet::{Fault, FaultKind, Timestamp};

use super::super::world::World;
use super::super::world::fault;
use super::body::PowerRecord;
use super::profile::{HOUR_SECONDS, Profile};
use super::spec::MachineAct;

impl World {
    /// Every resource of an estate, ended ones left out.
    pub fn machines(&self) -> Vec<ResourceId> {
        let mut state = self.state();
        let ids = ResourceKind::ALL.into_iter().flat_map(|kind| self.shared.lot.ids(kind));
        ids.filter_map(|id| Some(self.resource_now(&mut state, &id)?.id)).collect()
    }

    /// A resource as it really is, every fact known; `None` where there is none.
    pub fn machine(&self, id: &ResourceId) -> Option<Resource> {
        self.resource_now(&mut self.state(), &id.id)
    }

    /// What a resource is for.
    pub fn profile(&self, id: &ResourceId) -> Option<Profile> {
        self.shared.lot.brief(&id.id).map(|brief| brief.profile)
    }

    /// Whether a machine was in use at a moment: it ran and had work, whatever was told of it.
    pub fn in_use_at(&self, id: &ResourceId, at: Timestamp) -> bool {
        self.last_use(id, Timestamp(at.0.div_euclid(3600) * 3600), at).is_some()
    }

    /// The last hour that begins within `[from, until]` in which a machine ran and had work.
    pub fn last_use(
        &self,
        id: &ResourceId,
        from: Timestamp,
        until: Timestamp,
    ) -> Option<Timestamp> {
        let brief = self.shared.lot.brief(&id.id)?;
        let ups = {
            let mut state = self.state();
            match state.machines.contains_key(&id.id) {
                true => self.touch(&mut state, &id.id).map(|(body, _)| body.ups.clone()),
                false => None,
            }
        };
        let hour = HOUR_SECONDS as i64;
        let (first, last) = ((from.0 + hour - 1).div_euclid(hour), until.0.div_euclid(hour));
        let found = (first..=last).rev().find(|index| {
            let (begins, ends) = (Timestamp(index * hour), Timestamp((index + 1) * hour));
            let ran = ups.as_ref().map_or(begins >= brief.born, |ups| ups.area(begins, ends) > 0);
            ran && brief.profile.works(brief.chance, *index)
        });
        found.map(|index| Timestamp(index * hour))
    }

    /// Starts and stops of a machine that had an effect, oldest first.
    pub fn power_records(&self, id: &ResourceId) -> Vec<PowerRecord> {
        let mut state = self.state();
        match state.machines.contains_key(&id.id) {
            true => self.touch(&mut state, &id.id).map(|(body, _)| body.done.clone()),
            false => None,
        }
        .unwrap_or_default()
    }

    /// Somebody does something to a resource now.
    ///
    /// # Errors
    /// [`FaultKind::Missing`] where there is none under this id.
    pub fn act_on(&self, id: &ResourceId, act: &MachineAct) -> Result<(), Fault> {
        self.change(id, |body, frame, now| body.act(frame, act, now))
    }

    /// Changes what is known of a resource from now on; its power goes its own way.
    ///
    /// # Errors
    /// [`FaultKind::Missing`] where there is none under this id.
    pub fn edit(&self, id: &ResourceId, edit: impl FnOnce(&mut Resource)) -> Result<(), Fault> {
        self.change(id, |body, _, _| edit(&mut body.resource))
    }

    fn change(
        &self,
        id: &ResourceId,
        change: impl FnOnce(&mut super::MachineBody, super::body::Frame<'_>, Timestamp),
    ) -> Result<(), Fault> {
        let now = self.now();
        let mut guard = self.state();
        let state = &mut *guard;
        let Some((body, frame)) = self.touch(state, &id.id) else {
            let why = format!("`{}` not found", id.id);
            return Err(fault(FaultKind::Missing, "ByHand", why));
        };
        change(body, frame, now);
        state.estate_seen = Some(now);
        self.changed(state, now);
        Ok(())
    }
}
