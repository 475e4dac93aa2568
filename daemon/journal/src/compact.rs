//! Removes the oldest days, whole, and never what later records build on.

use fleet::{Seconds, Timestamp};

use super::engine::Tree;
use super::eras::Eras;
use super::fold::CheckpointBody;
use super::frame::unseal;
use super::head::Mark;
use super::open::Local;
use super::source::{Source, Walk};
use super::{Damage, Journal, JournalFault, RecordId};

/// What [`Journal::compact`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Compacted {
    /// Whole days removed.
    pub days: u32,
    /// Records removed.
    pub records: u64,
    /// Bytes on disk before.
    pub bytes_before: u64,
    /// Bytes on disk afterwards; the store gives room back lazily.
    pub bytes_after: u64,
}

/// The days since 1970 that `at` is in, in UTC.
pub(crate) fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(Seconds::days(1).0 as i64)
}

/// A checkpoint that begins a day: all records before it can go.
struct Cut {
    at: RecordId,
    before: Mark,
}

impl Journal {
    /// Removes the oldest whole days beyond the retention, never the newest checkpoint and what
    /// follows it. What they tell of usage is told again at the journal's end for as long as it is
    /// to be kept. `run` calls it once a day.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be read or written.
    pub fn compact(&self, now: Timestamp) -> Result<Compacted, JournalFault> {
        let mut writer = self.inner.writer();
        let shared = std::sync::Arc::clone(&self.inner.shared);
        let local = Local { shared, _held: None };
        let retention = self.inner.options.retention;
        let bytes_before = local.bytes()?;
        let eras = local.eras()?;
        let cuts = cuts(&local, &eras)?;
        let mut done =
            Compacted { bytes_before, bytes_after: bytes_before, ..Compacted::default() };
        let oldest_kept = now - retention.max_age;
        let mut chosen = None;
        // Where what is removed for its age alone begins: its usage is told again.
        let mut carried_from = None;
        // Days are taken to be alike: what a share of the records weighs, it frees.
        let head = local.head()?;
        let all = head.end.id.sequence().saturating_sub(head.anchor.id.sequence()).max(1);
        for cut in cuts.windows(2) {
            let end_of_day = &cut[1];
            let gone = end_of_day.before.id.sequence().saturating_sub(head.anchor.id.sequence());
            let freed = u128::from(bytes_before) * u128::from(gone) / u128::from(all);
            let before_this = chosen.as_ref().map_or(0, |(_, freed)| *freed);
            let is_old = eras.effective(end_of_day.at) <= oldest_kept;
            let is_much =
                u128::from(bytes_before) - before_this > u128::from(retention.max_size_bytes);
            if !is_old && !is_much {
                break;
            }
            if !is_much {
                // Something may stand before the first checkpoint of all.
                let is_first = chosen.is_none();
                let from = if is_first { head.anchor.id.successor() } else { cut[0].at };
                carried_from.get_or_insert(from);
            }
            done.days += 1;
            chosen = Some((end_of_day, freed));
        }
        let Some((cut, _)) = chosen else { return Ok(done) };
        if let Some(from) = carried_from {
            let oldest = day(now - retention.usage_age);
            writer.carry_usage(&local, (from, cut.at), oldest, now)?;
        }
        writer.log.set_anchor(cut.before.clone())?;
        let engine = self.inner.shared.engine();
        let failed = |fault: super::engine::EngineFault| JournalFault::Failed {
            path: self.inner.shared.dir.clone(),
            why: fault.to_string(),
        };
        for tree in Tree::ALL {
            done.records += engine.remove_before(tree, &cut.at.to_key()).map_err(failed)?;
        }
        engine.flush().map_err(failed)?;
        super::open::make_private(&self.inner.shared.dir);
        done.bytes_after = local.bytes()?;
        Ok(done)
    }
}

/// The beginnings of days, oldest first, and what stands before each. The first is the beginning
/// of the journal.
fn cuts(source: &dyn Source, eras: &Eras) -> Result<Vec<Cut>, JournalFault> {
    let anchor = source.head()?.anchor;
    let mut cuts: Vec<Cut> = Vec::new();
    for entry in Walk::new(source, &[Tree::Checkpoints], anchor.id.successor()) {
        let (_, (key, value)) = entry.map_err(|(_, fault)| fault)?;
        let frame = unseal(Tree::Checkpoints, &key, &value).map_err(|why| bad(&key, &why))?;
        let day_of = |id| day(eras.effective(id));
        let is_new_day = cuts.last().is_none_or(|cut| day_of(cut.at) < day_of(frame.id));
        if is_new_day {
            let body = CheckpointBody::of(&frame).map_err(|why| bad(&key, &why))?;
            cuts.push(Cut { at: frame.id, before: body.before });
        }
    }
    Ok(cuts)
}

fn bad(key: &[u8], why: &impl ToString) -> JournalFault {
    let id = RecordId::from_key(key).map_or("-".to_string(), |id| id.to_string());
    let damage = Damage { tree: Tree::Checkpoints.name().to_string(), id, what: why.to_string() };
    JournalFault::Damaged { path: super::open::STORE.into(), damage: vec![damage] }
}
