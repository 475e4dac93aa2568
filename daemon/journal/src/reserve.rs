//! Room set aside for the day the disk is full.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::NoReserve;
use super::open::create;

/// The file's name in the journal's directory.
pub(crate) const FILE: &str = "reserve";

/// A file that takes room until the room is needed.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    /// Whether it was used: then it takes more room to have it again, so that it is not needed again
    /// at once.
    used: bool,
}

impl Reserve {
    pub(crate) fn new(dir: &Path, bytes: u64) -> Reserve {
        Reserve { path: dir.join(FILE), bytes, used: false }
    }

    /// Whether the room is set aside.
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes == 0 || fs::metadata(&self.path).is_ok_and(|about| about.len() >= self.bytes)
    }

    /// Gives the room back to the journal; whether there was any.
    pub(crate) fn release(&mut self) -> bool {
        let was_there = fs::remove_file(&self.path).is_ok();
        self.used |= was_there;
        was_there
    }

    /// Sets the room aside where enough is free.
    ///
    /// # Errors
    /// Why it is not whole now.
    pub(crate) fn restore(&self) -> Result<(), NoReserve> {
        if self.is_whole() {
            return Ok(());
        }
        let refused = |error: io::Error| NoReserve::Refused { why: error.to_string() };
        let free_bytes = self.free_bytes().map_err(refused)?;
        let spare = if self.used { self.bytes } else { self.bytes / 4 };
        let needed_bytes = self.bytes.saturating_add(spare);
        if free_bytes < needed_bytes {
            return Err(NoReserve::TooLittle { free_bytes, needed_bytes });
        }
        self.allocate().map_err(refused)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let dir = self.path.parent().unwrap_or(&self.path);
        let about = rustix::fs::statvfs(dir)?;
        Ok(about.f_bavail.saturating_mul(about.f_frsize))
    }

    /// Takes the room under another name first, so that a half-made reserve never counts.
    fn allocate(&self) -> io::Result<()> {
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

fn fill(mut file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => return file.sync_all(),
        // Some file systems cannot set room aside without writing.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
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
        let mut reserve = Reserve::new(dir.path(), 1 << 20);
        assert!(!reserve.is_whole() && !reserve.release());
        assert_eq!(reserve.restore(), Ok(()));
        assert!(reserve.is_whole());
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().len(), 1 << 20);
        assert!(reserve.release() && !reserve.is_whole());
        assert_eq!(reserve.restore(), Ok(()));
        // More than any disk has: not made, and nothing is left behind.
        let absurd = Reserve::new(dir.path(), 1 << 60);
        let why = absurd.restore().unwrap_err();
        assert!(matches!(why, NoReserve::TooLittle { needed_bytes, .. } if needed_bytes > 1 << 60));
        assert!(!dir.path().join("reserve.new").exists());
    }
}
