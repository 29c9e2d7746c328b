//! Files, replaced as a whole or not at all.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::Builder;

/// The largest manifest that is read: 4 MiB, more than a cluster would store of one object.
const LONGEST_TEXT: u64 = 4 << 20;

/// What came of replacing a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// It has the new content.
    Done,
    /// Somebody else changed it in the meantime; it is as they left it.
    Changed,
    /// Another process replaces it right now; nothing was done.
    Busy,
}

/// The text of a file.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > LONGEST_TEXT {
        let text = format!("it has {length} bytes; at most {LONGEST_TEXT} are read");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let bytes = fs::read(path)?;
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8 text".to_owned()))
}

/// Puts `new` where `old` is, unless something else is there by now.
///
/// The new content is written beside the file and renamed over it, so whoever reads sees all of one or all of the other, whenever we die.
/// A link stays a link, permissions stay as they are. Processes of ours wait for each other by a lock on the folder, which leaves nothing behind.
pub(super) fn replace(path: &Path, old: &str, new: &str) -> io::Result<Replaced> {
    let path = fs::canonicalize(path)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    };
    let handle = File::open(folder)?;
    let is_locked = match handle.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => return Ok(Replaced::Busy),
        // A file system without locks: the comparison below has to do.
        Err(TryLockError::Error(_)) => false,
    };
    let prefix = format!(".{}.skygate-", name.to_string_lossy());
    if is_locked {
        sweep(folder, &prefix);
    }
    let before = fs::metadata(&path)?;
    let mut file = Builder::new().prefix(&prefix).tempfile_in(folder)?;
    file.write_all(new.as_bytes())?;
    keep_access(file.as_file(), &before)?;
    file.as_file().sync_all()?;
    if fs::read(&path)? != old.as_bytes() {
        return Ok(Replaced::Changed);
    }
    file.persist(&path).map_err(|error| error.error)?;
    // The rename itself should survive a power cut. It has happened in any case.
    let _ = handle.sync_all();
    Ok(Replaced::Done)
}

/// Removes what a process that was killed left. Nobody else writes while the folder is locked.
fn sweep(folder: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let left: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    for path in left {
        let _ = fs::remove_file(path);
    }
}

#[cfg(unix)]
fn keep_access(file: &File, before: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (before.uid(), before.gid()) {
        // Only root can give a file away. To everybody else it becomes theirs, as with any editor.
        let _ = fchown(file, Some(before.uid()), Some(before.gid()));
    }
    file.set_permissions(before.permissions())
}

#[cfg(not(unix))]
fn keep_access(file: &File, before: &Metadata) -> io::Result<()> {
    file.set_permissions(before.permissions())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_wrote_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesh.yaml");
        fs::write(&path, "theirs").unwrap();
        assert_eq!(replace(&path, "read", "ours").unwrap(), Replaced::Changed);
        assert_eq!(read(&path).unwrap(), "theirs");
        assert_eq!(replace(&path, "theirs", "ours").unwrap(), Replaced::Done);
        assert_eq!(read(&path).unwrap(), "ours");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_of_us_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesh.yaml");
        fs::write(&path, "old").unwrap();
        let other = File::open(folder.path()).unwrap();
        other.lock().unwrap();
        assert_eq!(replace(&path, "old", "new").unwrap(), Replaced::Busy);
        drop(other);
        assert_eq!(replace(&path, "old", "new").unwrap(), Replaced::Done);
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesh.yaml");
        fs::write(&path, "old").unwrap();
        fs::write(folder.path().join(".mesh.yaml.skygate-x1"), "ha").unwrap();
        fs::write(folder.path().join("mesh.yaml.orig"), "theirs").unwrap();
        replace(&path, "old", "new").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
