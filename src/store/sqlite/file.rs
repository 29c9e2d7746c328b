//! The file that a database lives in: made for its owner alone, and opened by one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::OpenError;

/// A database file that this process has for itself, until it is dropped.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
    // Held, never read: the system takes the lock away with the last handle, however the process ends.
    _lock: File,
}

impl OwnFile {
    /// Makes the file if there is none, and claims it. It is the claim that keeps others out, not what is in the file of the lock.
    pub(super) fn claim(path: &Path) -> Result<Self, OpenError> {
        let failed = |error: &std::io::Error| OpenError::Failed {
            path: path.to_owned(),
            why: match error.kind() {
                std::io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
                _ => error.to_string(),
            },
        };
        private()
            .write(true)
            .open(path)
            .map_err(|error| failed(&error))?;
        // However the file is called, there is one lock for it.
        let path = path.canonicalize().map_err(|error| failed(&error))?;
        let mut lock_path = path.clone().into_os_string();
        lock_path.push("-lock");
        let mut lock = private()
            .read(true)
            .write(true)
            .open(&lock_path)
            .map_err(|error| failed(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&mut lock);
                return Err(OpenError::InUse { path, holder });
            }
            Err(TryLockError::Error(error)) => return Err(failed(&error)),
        }
        note_holder(&mut lock).map_err(|error| failed(&error))?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens files, and makes those that don't exist for their owner alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn note_holder(lock: &mut File) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

/// The number of the process that has the lock, if it has been noted.
fn holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
