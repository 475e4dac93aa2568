//! Whether the journal is the one that this state directory had before: what people took back is kept
//! in it, and another journal knows nothing of that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use fleet::Timestamp;
use journal::{Journal, JournalFault, World};
use planner::stage::{StageAsk, StageRequest};
use shadow::ShadowEntry;

/// The file in the state directory, beside the journal, that has the number of the journal.
const FILE: &str = "journal.id";
/// Who begins a new journal.
const BY: &str = "neap";

/// Notes which journal it is. Where there was another, everything waits in shadow: somebody may have
/// taken back what would act now. A state directory in which there was none acts as its configuration
/// says.
///
/// # Errors
/// Where the journal cannot be written.
pub(super) fn look(journal: &Journal, world: &World, now: Timestamp) -> Result<(), JournalFault> {
    // A simulation's journal is thrown away at will, and nothing is stopped in it.
    if *world != World::Real {
        return Ok(());
    }
    let path = journal.state_dir().join(FILE);
    let own = journal.instance().to_string();
    match fs::read_to_string(&path) {
        Ok(known) if known.trim() == own => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // What cannot be read may have named another.
        _ => {
            let request = StageRequest { by: BY.to_owned(), at: now, ask: StageAsk::NewJournal };
            journal.record_shadow(now, &ShadowEntry::Asked(request), true)?;
            tracing::warn!(
                state_dir = %journal.state_dir().display(),
                "the journal is another one than before, and does not know what was promoted or \
                 taken back: nothing acts until somebody runs `neap promote NAME`"
            );
        }
    }
    if let Err(error) = write(journal.state_dir(), &own) {
        tracing::warn!(file = %path.display(), %error, "which journal this is cannot be noted");
    }
    Ok(())
}

/// Whole or not at all, whenever the machine fails.
fn write(state_dir: &Path, own: &str) -> io::Result<()> {
    let made = state_dir.join(format!("{FILE}.new"));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&made)?;
    writeln!(file, "{own}")?;
    file.sync_all()?;
    fs::rename(&made, state_dir.join(FILE))?;
    File::open(state_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use journal::Options;
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// Opens the journal as a start does, and gives what no cycle has taken in.
    fn started(state: &Path, world: &World) -> Vec<StageAsk> {
        let options = Options { reserve_bytes: 0, ..Options::default() };
        let (journal, recovered) = Journal::open(state, world.clone(), options).unwrap();
        look(&journal, world, Timestamp(1_000_000)).unwrap();
        let requests = shadow::unanswered(&journal.reader(), recovered.last_cycle).unwrap();
        requests.into_iter().map(|request| request.ask).collect()
    }

    fn moved_aside(state: &Path, n: usize) {
        fs::rename(state.join(journal::DIRECTORY), state.join(format!("aside-{n}"))).unwrap();
    }

    #[test]
    fn a_first_journal_acts_and_one_in_the_place_of_another_waits() {
        let folder = TempDir::new().unwrap();
        let state = folder.path();
        for _ in 0..3 {
            assert_eq!(started(state, &World::Real), []);
        }
        for n in 1..3 {
            moved_aside(state, n);
            // Until a cycle has taken it in, and no more than once.
            for _ in 0..3 {
                assert_eq!(started(state, &World::Real), [StageAsk::NewJournal]);
            }
        }
        // The first one comes back: it does not know what was said since.
        moved_aside(state, 3);
        fs::rename(state.join("aside-1"), state.join(journal::DIRECTORY)).unwrap();
        assert_eq!(started(state, &World::Real), [StageAsk::NewJournal]);
    }

    #[test]
    fn a_journal_of_before_this_was_noted_goes_on() {
        let folder = TempDir::new().unwrap();
        assert_eq!(started(folder.path(), &World::Real), []);
        fs::remove_file(folder.path().join(FILE)).unwrap();
        assert_eq!(started(folder.path(), &World::Real), []);
        moved_aside(folder.path(), 1);
        assert_eq!(started(folder.path(), &World::Real), [StageAsk::NewJournal]);
    }

    #[test]
    fn a_simulations_journal_is_thrown_away_at_will() {
        let folder = TempDir::new().unwrap();
        let world = World::Simulation { seed: 7, scenario: "day".to_owned() };
        assert_eq!(started(folder.path(), &world), []);
        moved_aside(folder.path(), 1);
        assert_eq!(started(folder.path(), &world), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn what_cannot_be_read_may_have_named_another(noted in prop::collection::vec(any::<u8>(), 0..12)) {
            let folder = TempDir::new().unwrap();
            fs::write(folder.path().join(FILE), noted).unwrap();
            prop_assert_eq!(started(folder.path(), &World::Real), [StageAsk::NewJournal]);
            prop_assert_eq!(started(folder.path(), &World::Real).len(), 1);
        }
    }
}
