//! Where runs and records are kept.

mod form;
mod memory;
mod plans;
mod sqlite;

use std::path::Path;
use std::sync::Arc;

use crate::ports::{Records, Store};

pub use memory::MemoryStore;
pub use plans::Planner;
pub use sqlite::{OpenError, SqliteStore};

/// One place that keeps both runs and records.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The runs.
    pub runs: Arc<dyn Store>,
    /// Everything else.
    pub records: Arc<dyn Records>,
}

/// Opens the store that `url` names: `sqlite:PATH`, or `sqlite::memory:` for one that ends with the process.
/// Runs that are read from it are planned by `planner`.
pub fn open(url: &str, planner: Arc<Planner>) -> Result<Kept, OpenError> {
    let store = match url.strip_prefix("sqlite:") {
        Some(":memory:") => SqliteStore::in_memory(planner)?,
        Some(path) if !path.is_empty() => {
            // As a URL of a file may be written: `sqlite:///var/lib/skygate.db`.
            let path = path.strip_prefix("//").unwrap_or(path);
            SqliteStore::open(Path::new(path), planner)?
        }
        Some(_) | None => return Err(OpenError::Url(url.to_owned())),
    };
    let store = Arc::new(store);
    Ok(Kept {
        runs: Arc::clone(&store) as Arc<dyn Store>,
        records: store,
    })
}
