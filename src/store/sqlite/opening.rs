//! Opening a file, and what may be in the way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::schema::{self, Unusable};

/// How long to wait for a program that has the file locked: somebody may look into it by hand.
const PATIENCE: Duration = Duration::from_secs(5);

/// The prepared statements that each connection keeps.
const STATEMENTS: usize = 64;

/// What is left of the write-ahead log's file after a burst, in bytes.
const LARGEST_JOURNAL: i64 = 64 << 20;

/// Why a store cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is none of the stores that there are.
    #[error("expected `sqlite:PATH` or `sqlite::memory:`, found `{0}`")]
    Url(String),
    /// Another process works on it.
    #[error("`{}` is in use by another Skygate{}: give each a file of its own, or end that one", path.display(), Holder(*holder))]
    InUse {
        /// The file.
        path: PathBuf,
        /// The other process, if its number is known.
        holder: Option<u32>,
    },
    /// A later version of Skygate has written it.
    #[error("`{}` was written by a later version of Skygate: its schema is version {found}, and this one knows none above {}; use that version, or another file", path.display(), schema::VERSION)]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its schema.
        found: i64,
    },
    /// It is the database of another program.
    #[error("`{}` is a database of another program: give another path", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder is not as it should be.
    #[error("cannot open `{}`: {why}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what may help.
        why: String,
    },
}

/// Names a process where it is known.
struct Holder(Option<u32>);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(process) => write!(f, ", process {process}"),
            None => Ok(()),
        }
    }
}

/// The connection that writes.
pub(super) fn writing(path: &Path) -> Result<Connection, Unusable> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let why = format!("its file system allows no journal but `{mode}`: use a local disk");
        return Err(Unusable::Failed(why));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", LARGEST_JOURNAL)?;
    Ok(connection)
}

/// A connection that reads.
pub(super) fn reading(path: &Path) -> Result<Connection, Unusable> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    Ok(connection)
}

pub(super) fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is sorted is small, and there may be no other place to write to.
    connection.pragma_update(None, "temp_store", "MEMORY")
}

pub(super) fn unusable(path: &Path, why: Unusable) -> OpenError {
    let path = path.to_owned();
    match why {
        Unusable::Foreign => OpenError::Foreign { path },
        Unusable::Newer(found) => OpenError::Newer { path, found },
        Unusable::Failed(why) => OpenError::Failed { path, why },
    }
}
