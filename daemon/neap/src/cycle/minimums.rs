//! Minimums of groups that are the operator's and that neap writes: what they were is remembered
//! before the first write, is the floor of what is written, and is put back.

use std::collections::BTreeMap;

use fleet::{Change, GroupId, Seconds, ServiceName, Timestamp, Units};
use planner::policy::{Actuate, EventFloor, Mode, Policy, ServicePolicy};
use planner::snapshot::{GroupView, Observation, Snapshot};
use planner::stage::Stages;
use shadow::KeptMinimum;

/// What is kept is written down again so often: records of long ago are removed.
const RECORDED_EVERY: Seconds = Seconds::days(1);

/// When the floor ends that the operator's minimum makes: at the end of the year 9999.
const NEVER: Timestamp = Timestamp(253_402_214_400);

/// How the floor that the operator's minimum makes is called.
const FLOOR: &str = "MinSize before neap";

/// How the floor is called that keeps a group as it is until its minimum is the operator's again.
const PUT_BACK: &str = "MinSize of before is put back first";

fn acts(policy: &Policy, service: &ServicePolicy) -> bool {
    policy.mode == Mode::Act && service.mode == Mode::Act
}

/// The groups whose minimum neap writes.
#[derive(Debug, Default)]
pub(crate) struct Minimums {
    kept: BTreeMap<GroupId, KeptMinimum>,
    changed: bool,
    recorded_at: Option<Timestamp>,
}

impl Minimums {
    /// Those that were recorded before a restart.
    pub(crate) fn of(kept: Vec<KeptMinimum>) -> Minimums {
        let kept = kept.into_iter().map(|kept| (kept.group.clone(), kept)).collect();
        Minimums { kept, changed: false, recorded_at: None }
    }

    /// Takes in what groups show: a minimum that neap did not write is the operator's new word.
    pub(crate) fn look(&mut self, seen: &BTreeMap<ServiceName, Observation>) {
        for view in seen.values().filter_map(|seen| seen.group.as_ref().ok()) {
            self.see(&view.id, view.min);
        }
    }

    fn see(&mut self, group: &GroupId, min: Units) {
        let Some(kept) = self.kept.get_mut(group) else { return };
        if !kept.is_ours(min) {
            (kept.before, kept.from, kept.ours) = (min, min, min);
            self.changed = true;
        }
    }

    /// The operator's minimums as floors of services whose minimum is written.
    pub(crate) fn floors<'a>(
        &'a self,
        policy: &'a Policy,
        seen: &'a BTreeMap<ServiceName, Observation>,
    ) -> impl Iterator<Item = EventFloor> + 'a {
        let views = seen.iter().filter_map(|(name, seen)| Some((name, seen.group.as_ref().ok()?)));
        views.filter_map(|(name, view)| {
            let service = policy.services.get(name)?;
            let kept = self.kept.get(&view.id);
            let (floor, called) = match planner::actuate(service, view) {
                // Nothing shrinks while the minimum is still what neap made it.
                Actuate::Desired => {
                    let ours = kept.filter(|kept| kept.is_ours(view.min));
                    ours.filter(|kept| kept.before < view.min && acts(policy, service))?;
                    (view.desired, PUT_BACK)
                }
                Actuate::Floor => (kept.map_or(view.min, |kept| kept.before), FLOOR),
            };
            (floor.0 > service.pool.min.0).then(|| EventFloor {
                name: called.to_owned(),
                services: vec![name.clone()],
                floor,
                from: Timestamp(0),
                until: NEVER,
            })
        })
    }

    /// Remembers what the minimum of a group was, before it is written.
    pub(crate) fn keep(&mut self, service: &ServiceName, group: &GroupId, change: Change) {
        let Change::Minimum { from, to } = change else { return };
        let kept = self.kept.entry(group.clone()).or_insert_with(|| KeptMinimum {
            service: service.clone(),
            group: group.clone(),
            before: from,
            from,
            ours: to,
        });
        kept.service.clone_from(service);
        (kept.from, kept.ours) = (from, to);
        self.changed = true;
    }

    /// It is the operator's again.
    pub(crate) fn forget(&mut self, group: &GroupId) {
        self.changed |= self.kept.remove(group).is_some();
    }

    /// All of them, where they are to be written down.
    pub(crate) fn take_record(&mut self, now: Timestamp) -> Option<Vec<KeptMinimum>> {
        let old = self.recorded_at.is_none_or(|at| now.apart(at) >= RECORDED_EVERY);
        let due = self.changed || (old && !self.kept.is_empty());
        due.then(|| self.kept.values().cloned().collect())
    }

    /// They are on disk.
    pub(crate) fn recorded(&mut self, now: Timestamp) {
        (self.changed, self.recorded_at) = (false, Some(now));
    }

    /// Those that neap holds no longer, each with the service and the change that puts it back: the
    /// service was taken back, or another number of its group is written now. Of a service that its
    /// configuration does not let act nothing is written.
    pub(crate) fn to_put_back(
        &self,
        policy: &Policy,
        stages: &Stages,
        snapshot: &Snapshot,
    ) -> Vec<(ServiceName, GroupId, Change)> {
        if self.kept.is_empty() {
            return Vec::new();
        }
        let mut orders = Vec::new();
        for (name, seen) in &snapshot.services {
            let (Ok(view), Some(service)) = (&seen.group, policy.services.get(name)) else {
                continue;
            };
            let Some(kept) = self.kept.get(&view.id) else { continue };
            if !acts(policy, service) || view.owner.is_some() || is_frozen(snapshot, name) {
                continue;
            }
            let left = planner::actuate(service, view) == Actuate::Desired && are_read(view);
            if left || stages.shadows(policy, name) {
                let (from, to) = (view.min, kept.before);
                orders.push((name.clone(), view.id.clone(), Change::Minimum { from, to }));
            }
        }
        orders
    }
}

/// Whether the policies of a group were read: what is not known has not changed.
fn are_read(view: &GroupView) -> bool {
    view.policies.iter().all(|policy| !policy.is_unread())
}

fn is_frozen(snapshot: &Snapshot, name: &ServiceName) -> bool {
    snapshot.freezes.iter().any(|freeze| {
        let ours = freeze.services.is_empty() || freeze.services.contains(name);
        ours && freeze.until > snapshot.taken_at
    })
}

#[cfg(test)]
mod tests {
    use fleet::{AccountId, ProviderName, Region};
    use proptest::prelude::*;

    use super::*;

    fn web() -> (ServiceName, GroupId) {
        let group = GroupId {
            provider: ProviderName::new("aws").unwrap(),
            account: AccountId::new("111122223333").unwrap(),
            region: Region::new("eu-west-1").unwrap(),
            id: "arn/web".to_owned(),
        };
        (ServiceName::new("web").unwrap(), group)
    }

    /// What is kept of the group, once it was seen with this minimum.
    fn seen(minimums: &mut Minimums, min: u32) -> Option<KeptMinimum> {
        minimums.see(&web().1, Units(min));
        minimums.kept.get(&web().1).cloned()
    }

    fn write(minimums: &mut Minimums, from: u32, to: u32) {
        let (service, group) = web();
        let change = Change::Minimum { from: Units(from), to: Units(to) };
        minimums.keep(&service, &group, change);
    }

    #[test]
    fn what_was_there_before_the_first_write_is_kept_whatever_becomes_of_an_order() {
        let mut minimums = Minimums::default();
        assert_eq!(seen(&mut minimums, 2), None);
        write(&mut minimums, 2, 8);
        // The reading lags, then shows it; the next order fails.
        for shown in [2, 8, 8] {
            assert_eq!(seen(&mut minimums, shown).unwrap().before, Units(2));
        }
        write(&mut minimums, 8, 12);
        assert_eq!(seen(&mut minimums, 8).unwrap().before, Units(2));
        // The desired capacity is nothing to keep.
        let (service, group) = web();
        let other = GroupId { id: "arn/api".to_owned(), ..group };
        minimums.keep(&service, &other, Change::Desired { from: Units(1), to: Units(2) });
        assert_eq!(minimums.kept.len(), 1);
    }

    #[test]
    fn what_the_operator_sets_meanwhile_is_what_is_kept() {
        let mut minimums = Minimums::default();
        write(&mut minimums, 2, 8);
        assert_eq!(seen(&mut minimums, 5).unwrap().before, Units(5));
        write(&mut minimums, 5, 9);
        assert_eq!(seen(&mut minimums, 9).unwrap().before, Units(5));
    }

    #[test]
    fn what_is_kept_is_written_down_when_it_changes_and_once_a_day() {
        let (mut minimums, now) = (Minimums::default(), Timestamp(1_000_000));
        assert_eq!(minimums.take_record(now), None);
        write(&mut minimums, 2, 8);
        let kept = minimums.take_record(now).unwrap();
        minimums.recorded(now);
        assert_eq!(minimums.take_record(now + Seconds::hours(23)), None);
        assert_eq!(minimums.take_record(now + Seconds::days(1)), Some(kept.clone()));
        // After a restart, too.
        let mut again = Minimums::of(kept.clone());
        assert_eq!(again.take_record(now), Some(kept));
        again.recorded(now);
        again.forget(&web().1);
        assert_eq!(again.take_record(now), Some(Vec::new()));
    }

    const TEXT: &str = "mode = \"act\"\n[provider.sim]\nkind = \"sim\"\n[[service]]\nname = \"web\"\n\
        demand = [{ namespace = \"A\", metric = \"M\", when_missing = \"zero\" }]\n\
        [[service.pool]]\ngroup = \"web\"\ncapacity_per_unit = 5\n";

    #[test]
    fn while_the_minimum_is_put_back_nothing_shrinks() {
        let policy = crate::settings::parse("neap.toml", TEXT).unwrap().policy;
        let (service, group) = web();
        let floors = |minimums: &Minimums, min: u32, scales_in: bool| {
            let kind = fleet::group::NativePolicyKind::TargetTracking;
            let native = fleet::group::NativePolicy {
                name: "cpu".to_owned(),
                kind,
                enabled: true,
                scales_in,
            };
            let view = GroupView {
                min: Units(min),
                policies: vec![native],
                ..GroupView::at_rest(group.clone(), Timestamp(0), Units(9))
            };
            let seen = Observation {
                group: Ok(view),
                demand: planner::snapshot::DemandView::unknown(fleet::Step::MINUTE),
                forecast: Err(planner::snapshot::NoForecast::NoData),
                signals: planner::snapshot::SignalsView::default(),
                outcomes: Vec::new(),
                lead_times: Vec::new(),
                hours: Vec::new(),
                past: Vec::new(),
                launched: Vec::new(),
            };
            let seen = BTreeMap::from([(service.clone(), seen)]);
            let floors = minimums.floors(&policy, &seen);
            floors.map(|floor| (floor.name, floor.floor.0)).collect::<Vec<_>>()
        };
        let mut minimums = Minimums::default();
        assert_eq!(floors(&minimums, 2, true), [(FLOOR.to_owned(), 2)]);
        write(&mut minimums, 2, 8);
        // The policy takes nothing away any more: what neap made of the minimum goes first.
        assert_eq!(floors(&minimums, 8, false), [(PUT_BACK.to_owned(), 9)]);
        assert_eq!(floors(&minimums, 8, true), [(FLOOR.to_owned(), 2)]);
        // It is back, or somebody else's.
        assert_eq!(floors(&minimums, 2, false), []);
        assert_eq!(floors(&minimums, 5, false), []);
        assert_eq!(floors(&Minimums::default(), 8, false), []);
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Write(u32),
        Fail(u32),
        Operator(u32),
        Restart,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (1u32..40).prop_map(Event::Write),
            (1u32..40).prop_map(Event::Fail),
            (1u32..40).prop_map(Event::Operator),
            Just(Event::Restart),
        ]
    }

    proptest! {
        /// In whatever order neap writes, fails to, is started again, and the operator has his say: what
        /// would be put back is the operator's last word.
        #[test]
        fn the_operators_last_word_is_kept(
            first in 1u32..10,
            events in proptest::collection::vec(event(), 1..30),
        ) {
            let (mut minimums, mut shown, mut word) = (Minimums::default(), first, first);
            for event in events {
                let kept = seen(&mut minimums, shown);
                let before = kept.as_ref().map_or(shown, |kept| kept.before.0);
                prop_assert_eq!(before, word);
                match event {
                    // Never below what the operator wants: that is a floor.
                    Event::Write(to) => {
                        write(&mut minimums, shown, to.max(before));
                        shown = to.max(before);
                    }
                    Event::Fail(to) => write(&mut minimums, shown, to.max(before)),
                    // To what is neap's own nobody can tell whose word it is.
                    Event::Operator(to) if kept.is_none_or(|k| !k.is_ours(Units(to))) => {
                        (shown, word) = (to, to);
                    }
                    Event::Operator(_) => {}
                    Event::Restart => {
                        minimums = Minimums::of(minimums.kept.values().cloned().collect());
                    }
                }
            }
        }
    }
}
