//! Room set aside for the day the disk is full.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::open::create;

/// The file's name in the journal's directory.
pub(crate) const FILE: &str = "reserve";

/// A file that takes room until the room is needed.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    pub(crate) fn new(dir: &Path, bytes: u64) -> Reserve {
        Reserve { path: dir.join(FILE), bytes }
    }

    /// Whether the room is set aside.
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes == 0 || fs::metadata(&self.path).is_ok_and(|about| about.len() >= self.bytes)
    }

    /// Gives the room back to the journal; whether there was any.
    pub(crate) fn release(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    /// Sets the room aside where twice as much is free, so that it is not needed again at once;
    /// whether it is whole now.
    pub(crate) fn restore(&self) -> bool {
        self.is_whole() || (self.is_roomy() && self.allocate().is_ok())
    }

    fn is_roomy(&self) -> bool {
        let dir = self.path.parent().unwrap_or(&self.path);
        rustix::fs::statvfs(dir).is_ok_and(|about| {
            about.f_bavail.saturating_mul(about.f_frsize) >= self.bytes.saturating_mul(2)
        })
    }

    /// Takes the room under another name first, so that a half-made reserve never counts.
    fn allocate(&self) -> std::io::Result<()> {
        let unfinished = self.path.with_extension("new");
        let made = create(&unfinished)
            .and_then(|file| fill(&file, self.bytes))
            .and_then(|()| fs::rename(&unfinished, &self.path));
        if made.is_err() {
            // What is left of it takes room that the journal needs.
            let _ = fs::remove_file(&unfinished);
        }
        made
    }
}

fn fill(mut file: &File, bytes: u64) -> std::io::Result<()> {
    if rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes).is_ok() {
        return file.sync_all();
    }
    // Some file systems cannot set room aside without writing.
    let block = [0x5a; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(block.len() as u64);
        file.write_all(&block[..part as usize])?;
        left -= part;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_given_back_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path(), 1 << 20);
        assert!(!reserve.is_whole() && !reserve.release());
        assert!(reserve.restore() && reserve.is_whole());
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().len(), 1 << 20);
        assert!(reserve.release() && !reserve.is_whole());
        assert!(reserve.restore());
        // More than any disk has: not made, and nothing is left behind.
        let absurd = Reserve::new(dir.path(), 1 << 60);
        assert!(!absurd.restore());
        assert!(!dir.path().join("reserve.new").exists());
    }
}
