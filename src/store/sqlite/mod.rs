//! The embedded default: runs and records in one SQLite file that this process has for itself.
//!
//! ```text
//! Store, Records ──▶ writer: one thread, all that waits in one transaction ──▶ file
//!                ──▶ readers: a few threads, each over one state of it ◀────── file
//!                ──▶ desk: what is due, and who holds it; in memory
//! ```
//!
//! What has been answered is on the disk (WAL, `synchronous = FULL`). What only matters while this process lives, leases above all,
//! is never written.

mod desk;
mod failure;
mod file;
mod leasing;
mod opening;
mod readers;
mod records;
mod runs;
mod schema;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use rusqlite::Connection;

use desk::{Desk, Stamp, Taken};
use file::OwnFile;
use leasing::Untold;
use opening::{prepare, reading, unusable, writing};
use readers::Readers;
use runs::{Fresh, Save};
use schema::Unusable;
use writer::Writer;

pub use opening::OpenError;

use super::plans::{Planner, Plans};
use crate::domain::run::{Command, Run, RunId};
use crate::ports::{
    Change, Inserted, Lease, Leased, Next, Record, RecordKey, RecordKind, Records, RequestKey,
    RunQuery, Store, StoreError, Tally,
};

/// How many threads read.
const READERS: usize = 2;

/// How many leased runs one of them reads at a time.
const READ_AT_ONCE: usize = 64;

/// Runs and records in an SQLite file, or in memory.
#[derive(Debug)]
pub struct SqliteStore {
    desk: Arc<Desk>,
    plans: Arc<Plans>,
    readers: Option<Readers>,
    writer: Writer,
    // Dropped last: whoever waits for the file finds it closed.
    file: Option<OwnFile>,
}

impl SqliteStore {
    /// Opens the store in the file at `path`, which is made if there is none. Runs that are read from it are planned by `planner`.
    /// Leases of a process that is gone are gone too: its runs are due when they said so.
    pub fn open(path: &Path, planner: Arc<Planner>) -> Result<Self, OpenError> {
        let file = OwnFile::claim(path)?;
        let path = file.path().to_owned();
        let unusable = |why| unusable(&path, why);
        let mut connection = writing(&path).map_err(unusable)?;
        schema::migrate(&mut connection).map_err(unusable)?;
        let readers: Result<Vec<Connection>, _> = (0..READERS).map(|_| reading(&path)).collect();
        let readers = readers.map_err(unusable)?;
        Self::start(connection, readers, Some(file), planner).map_err(unusable)
    }

    /// A store in memory, which ends with its last user.
    pub fn in_memory(planner: Arc<Planner>) -> Result<Self, OpenError> {
        let open = || {
            let mut connection = Connection::open_in_memory()?;
            prepare(&connection)?;
            schema::migrate(&mut connection)?;
            Self::start(connection, Vec::new(), None, planner)
        };
        open().map_err(|why| unusable(Path::new(":memory:"), why))
    }

    fn start(
        writing: Connection,
        reading: Vec<Connection>,
        file: Option<OwnFile>,
        planner: Arc<Planner>,
    ) -> Result<Self, Unusable> {
        let place = file.as_ref().map_or_else(
            || "the store in memory".to_owned(),
            |file| format!("`{}`", file.path().display()),
        );
        let openings = writing.query_row(
            "UPDATE meta SET openings = openings + 1 RETURNING openings",
            [],
            |row| row.get(0),
        )?;
        let desk = Arc::new(Desk::new(openings, runs::agenda(&writing)?));
        let plans = Arc::new(Plans::new(planner));
        let no_thread = |error: std::io::Error| Unusable::Failed(format!("no thread: {error}"));
        let readers = if reading.is_empty() {
            None
        } else {
            Some(Readers::start(reading, place.clone()).map_err(no_thread)?)
        };
        let writer = Writer::start(writing, place, Arc::clone(&desk), Arc::clone(&plans));
        Ok(Self {
            desk,
            plans,
            readers,
            writer: writer.map_err(no_thread)?,
            file,
        })
    }

    /// Reads over one state of the file. What is in memory has one connection for everything.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.readers {
            Some(readers) => readers.ask(read).await,
            None => self.writer.ask(|connection, _| read(connection)).await,
        }
    }

    /// Reads the runs that have been taken. They are given back unless the answer arrives.
    async fn read_taken(&self, taken: Vec<Taken>) -> Result<Untold, StoreError> {
        let plans = Arc::clone(&self.plans);
        let mut untold = Untold::new(Arc::clone(&self.desk), taken);
        self.read(move |connection| {
            untold.read(connection, &plans)?;
            Ok(untold)
        })
        .await
    }

    /// Why somebody does not hold a lease.
    async fn not_held(&self, id: &RunId) -> StoreError {
        let id = id.clone();
        let found = self.read(move |connection| {
            let seq = runs::seq_of(connection, &id)?;
            Ok(match seq {
                Some(_) => StoreError::LeaseLost(id),
                None => StoreError::NotFound(id),
            })
        });
        found.await.unwrap_or_else(|broken| broken)
    }
}

/// A moment as the file has it. Those that 64 bits of nanoseconds don't reach, beyond the year 2262, are as good as never.
fn stamp(at: Timestamp) -> Stamp {
    let nanoseconds = at.as_nanosecond();
    let limit = if nanoseconds < 0 {
        Stamp::MIN
    } else {
        Stamp::MAX
    };
    Stamp::try_from(nanoseconds).unwrap_or(limit)
}

fn moment(stamp: Stamp) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(stamp)).expect("64 bits of nanoseconds are in range")
}

#[async_trait]
impl Store for SqliteStore {
    async fn insert(
        &self,
        run: &Run,
        request: Option<&RequestKey>,
    ) -> Result<Inserted, StoreError> {
        if let Some(name) = run.plan.analysis.supplied_secrets().next() {
            return Err(StoreError::SecretSupplied(name.to_owned()));
        }
        let fresh = Fresh::of(run, request);
        let insert = move |connection: &_, notes: &mut _| runs::insert(connection, &fresh, notes);
        self.writer.ask(insert).await
    }

    async fn requested(&self, request: &RequestKey) -> Result<Option<Inserted>, StoreError> {
        let request = request.clone();
        self.read(move |connection| runs::seen_before(connection, &request))
            .await
    }

    async fn get(&self, id: &RunId) -> Result<Option<Run>, StoreError> {
        let (id, plans) = (id.clone(), Arc::clone(&self.plans));
        self.read(move |connection| match runs::seq_of(connection, &id)? {
            Some(seq) => runs::load(connection, &plans, seq),
            None => Ok(None),
        })
        .await
    }

    async fn list(&self, query: &RunQuery) -> Result<Vec<Run>, StoreError> {
        let (query, plans) = (query.clone(), Arc::clone(&self.plans));
        self.read(move |connection| runs::list(connection, &plans, &query))
            .await
    }

    async fn delete(&self, id: &RunId) -> Result<bool, StoreError> {
        let id = id.clone();
        let delete = move |connection: &_, notes: &mut _| runs::delete(connection, &id, notes);
        self.writer.ask(delete).await
    }

    async fn forget(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError> {
        let (ended_before, now) = (stamp(ended_before), stamp(now));
        self.writer
            .ask(move |connection, notes| runs::forget(connection, ended_before, now, limit, notes))
            .await
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        self.read(runs::tally).await
    }

    async fn post(&self, id: &RunId, command: Command) -> Result<(), StoreError> {
        let id = id.clone();
        let post = move |connection: &_, notes: &mut _| runs::post(connection, &id, command, notes);
        self.writer.ask(post).await
    }

    async fn lease_due(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Leased>, StoreError> {
        let taken = self.desk.take(stamp(now), stamp(until), limit);
        let read = taken
            .chunks(READ_AT_ONCE)
            .map(|taken| self.read_taken(taken.to_vec()));
        let untold: Vec<Untold> = try_join_all(read).await?;
        Ok(untold.into_iter().flat_map(Untold::tell).collect())
    }

    async fn collect(&self, lease: Lease, id: &RunId) -> Result<Vec<Command>, StoreError> {
        let Some((seq, holding, has_post)) = self.desk.holding(lease, id) else {
            return Err(self.not_held(id).await);
        };
        if !has_post {
            return Ok(Vec::new());
        }
        let inbox = self.read(move |connection| runs::inbox(connection, seq, holding.delivered));
        let (commands, last) = inbox.await?;
        if !self.desk.delivered(lease, id, last) {
            return Err(self.not_held(id).await);
        }
        Ok(commands)
    }

    async fn save(&self, lease: Lease, run: &Run, next: Next) -> Result<(), StoreError> {
        let Some(saving) = self.desk.begin_save(lease, &run.id) else {
            return Err(self.not_held(&run.id).await);
        };
        let save = Save::of(run, next, &saving);
        self.writer
            .ask(move |connection, notes| runs::save(connection, save, saving, notes))
            .await
    }

    async fn renew(&self, lease: Lease, id: &RunId, until: Timestamp) -> Result<(), StoreError> {
        if self.desk.renew(lease, id, stamp(until)) {
            Ok(())
        } else {
            Err(self.not_held(id).await)
        }
    }

    async fn probe(&self) -> Result<(), StoreError> {
        // What is written to a file without a name is lost with the process, and the system has no complaint.
        if let Some(file) = &self.file
            && !file.path().exists()
        {
            let path = file.path().display();
            return Err(StoreError::Broken(format!(
                "`{path}` is gone: put it back or start the service anew"
            )));
        }
        self.writer
            .ask(|connection, _| Ok(schema::touch(connection)?))
            .await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.desk.next_due().map(moment))
    }
}

#[async_trait]
impl Records for SqliteStore {
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let key = key.clone();
        self.read(move |connection| records::read(connection, &key))
            .await
    }

    async fn change(&self, changes: &[Change], now: Timestamp) -> Result<Vec<u64>, StoreError> {
        let changes = changes.to_vec();
        self.writer
            .ask(move |connection, _| records::change(connection, &changes, now))
            .await
    }

    async fn records(
        &self,
        kind: RecordKind,
        namespace: Option<&str>,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let namespace = namespace.map(str::to_owned);
        let after = after.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
        self.read(move |connection| {
            let after = after.as_ref();
            let after = after.map(|(namespace, name)| (namespace.as_str(), name.as_str()));
            records::records(connection, kind, namespace.as_deref(), after, limit)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
