//! Samples as far as they can be read: what is damaged is left out and named.

use std::error::Error;

use fleet::Timestamp;
use fleet::metric::{MetricKey, Sample};

use super::{Reader, damaged};
use crate::dictionary::Dictionary;
use crate::engine::{Entry, Tree};
use crate::eras::Eras;
use crate::fold::CheckpointBody;
use crate::frame::unseal;
use crate::source::Walk;
use crate::{BadBody, Damage, JournalFault, RecordId, samples};

/// Is shown a metric, when its sample arrived, and the sample.
type See<'s> = dyn FnMut(&MetricKey, Timestamp, Sample) + 's;

impl Reader {
    /// Shows each sample that arrived at or after `from` and can be read, in the order they arrived,
    /// and says what cannot. What a clock wrote that was ahead arrived when that was set right, at the
    /// latest. A sample that is lost is one that never came: missing data shrinks
    /// nothing, and forecasts know gaps.
    ///
    /// # Errors
    /// [`JournalFault`] where the journal cannot be read for another reason than damage.
    pub fn sound_samples(
        &self,
        from: Timestamp,
        mut see: impl FnMut(&MetricKey, Timestamp, Sample),
    ) -> Result<Vec<Damage>, JournalFault> {
        let eras = self.source().eras()?;
        let from = eras.at_or_after(from);
        let mut lost = Vec::new();
        let mut begins = self.checkpoint_before(from)?;
        let mut names = Names::from_the_start();
        for entry in Walk::new(self.source(), &[Tree::Checkpoints], begins) {
            let (key, value) = match entry {
                Ok((_, entry)) => entry,
                Err((_, fault)) => {
                    lost.extend(of_damage(fault)?);
                    continue;
                }
            };
            let Some(id) = RecordId::from_key(&key) else { continue };
            self.between(begins..id, (from, &eras), (&mut names, &mut see), &mut lost)?;
            begins = id;
            names = Names::of_checkpoint(&key, &value, &mut lost);
        }
        self.between(begins..RecordId::LAST, (from, &eras), (&mut names, &mut see), &mut lost)?;
        Ok(lost)
    }

    /// Samples between two checkpoints: what one of them says of names, the next says anew.
    fn between(
        &self,
        span: std::ops::Range<RecordId>,
        (from, eras): (RecordId, &Eras),
        (names, see): (&mut Names, &mut See<'_>),
        lost: &mut Vec<Damage>,
    ) -> Result<(), JournalFault> {
        for entry in Walk::new(self.source(), &[Tree::Samples], span.start) {
            let entry = match entry {
                Ok((_, entry)) => entry,
                Err((_, fault)) => {
                    lost.extend(of_damage(fault)?);
                    return Ok(());
                }
            };
            let Some(id) = RecordId::from_key(&entry.0) else { continue };
            if id >= span.end {
                return Ok(());
            }
            match names.read(&entry, |metric, seen_at, sample| {
                if id >= from {
                    see(metric, seen_at.min(eras.effective(id)), sample);
                }
            }) {
                Ok(()) => {}
                Err(fault) => lost.extend(of_damage(fault)?),
            }
        }
        Ok(())
    }
}

/// What numbers stand for in records of samples.
struct Names {
    known: Dictionary<MetricKey>,
    /// Whether every name so far was read: where a record is lost, those that it told are, and what
    /// later ones tell has numbers that nobody knows.
    whole: bool,
}

impl Names {
    /// Those of the first records of a journal.
    fn from_the_start() -> Names {
        Names { known: Dictionary::default(), whole: true }
    }

    /// Those that a checkpoint tells.
    fn of_checkpoint(key: &[u8], value: &[u8], lost: &mut Vec<Damage>) -> Names {
        let bad = |why: &dyn Error| damage(Tree::Checkpoints, key, why);
        let frame = unseal(Tree::Checkpoints, key, value).map_err(|why| bad(&why));
        let body = frame.and_then(|frame| CheckpointBody::of(&frame).map_err(|why| bad(&why)));
        match body {
            Ok(body) => Names { known: Dictionary::new(body.metrics), whole: true },
            Err(damage) => {
                lost.push(damage);
                Names { known: Dictionary::default(), whole: false }
            }
        }
    }

    /// Reads a record whole, or shows nothing of it.
    fn read(
        &mut self,
        (key, value): &Entry,
        mut see: impl FnMut(&MetricKey, Timestamp, Sample),
    ) -> Result<(), JournalFault> {
        let frame = unseal(Tree::Samples, key, value).map_err(|why| {
            self.whole = false;
            damaged(Tree::Samples, key, &why)
        })?;
        let mut names = self.known.clone();
        let batches = samples::decode(&mut names, &frame.body);
        let is_new = names.keys().len() > self.known.keys().len();
        let batches = batches.filter(|_| self.whole || !is_new).ok_or_else(|| {
            self.whole = false;
            damaged(Tree::Samples, key, &BadBody::NoSamples)
        })?;
        if is_new {
            self.known = names;
        }
        for batch in batches {
            for sample in batch.samples {
                see(&batch.metric, batch.seen_at, sample);
            }
        }
        Ok(())
    }
}

fn damage(tree: Tree, key: &[u8], why: &dyn Error) -> Damage {
    let id = RecordId::from_key(key).map_or("-".to_string(), |id| id.to_string());
    Damage { tree: tree.name().to_string(), id, what: why.to_string() }
}

/// What is damaged, where it is that.
fn of_damage(fault: JournalFault) -> Result<Vec<Damage>, JournalFault> {
    match fault {
        JournalFault::Damaged { damage, .. } => Ok(damage),
        other => Err(other),
    }
}
