//! The one thread that writes: it takes everything that waits into one transaction, and answers once that is on the disk.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;
use tracing::error;

use super::desk::{Desk, Saved, Saving, Seq, Stamp};
use super::failure::explain;
use crate::domain::plan::Plan;
use crate::ports::StoreError;
use crate::store::plans::Plans;

/// The most operations of one transaction: those that came first shall not wait for ever for more.
const MOST: usize = 512;

/// What becomes true beside the file once a transaction is in it.
pub(super) enum Note {
    /// A new run is due, or not at all.
    Due(Seq, Option<Stamp>),
    /// A command has come into a run's inbox.
    Posted(Seq),
    /// A run is gone.
    Gone(Seq),
    /// A run was saved by its holder.
    Saved(Saving, Saved),
    /// A plan is stored under this number.
    Planned(i64, Arc<Plan>),
}

/// What one operation does within a transaction.
pub(super) type Notes = Vec<Note>;

/// The writing thread. Dropping it ends the thread once all that waits has been done.
pub(super) struct Writer {
    // Dropped before the thread is waited for, which ends it.
    queue: Option<Sender<Box<dyn Operation>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Begins to write over `connection`. `place` names the file in what goes wrong.
    pub(super) fn start(
        connection: Connection,
        place: String,
        desk: Arc<Desk>,
        plans: Arc<Plans>,
    ) -> std::io::Result<Self> {
        let (queue, waiting) = channel();
        let work = Work {
            connection,
            place,
            desk,
            plans,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || work.until_closed(&waiting))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Has `act` done within the next transaction; the answer comes once that is on the disk. Where `act` fails, nothing of it is done.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Connection, &mut Notes) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let asked = Box::new(Asked {
            act: Some(act),
            outcome: None,
            reply,
        });
        let is_gone = match &self.queue {
            Some(queue) => queue.send(asked).is_err(),
            None => true,
        };
        if is_gone {
            return Err(stopped());
        }
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread that writes the store has panicked");
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

fn stopped() -> StoreError {
    StoreError::Broken("the thread that writes has stopped".to_owned())
}

/// Something that waits to be written.
trait Operation: Send {
    /// Does it, and says whether it was.
    fn perform(&mut self, connection: &Connection, notes: &mut Notes) -> bool;

    /// Answers whoever asked. `broken`: nothing of the transaction is in the file.
    fn answer(self: Box<Self>, broken: Option<&StoreError>, place: &str);
}

struct Asked<T, F> {
    act: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Operation for Asked<T, F>
where
    T: Send,
    F: FnOnce(&Connection, &mut Notes) -> Result<T, StoreError> + Send,
{
    fn perform(&mut self, connection: &Connection, notes: &mut Notes) -> bool {
        let Some(act) = self.act.take() else {
            return false;
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| act(connection, notes)));
        let outcome = outcome.unwrap_or_else(|_| Err(panicked()));
        let is_done = outcome.is_ok();
        self.outcome = Some(outcome);
        is_done
    }

    fn answer(self: Box<Self>, broken: Option<&StoreError>, place: &str) {
        let answer = match (self.outcome, broken) {
            // What was refused was refused, whatever became of the others.
            (Some(Err(refused)), _) => Err(refused),
            (_, Some(broken)) => Err(broken.clone()),
            (Some(done), None) => done,
            (None, None) => Err(stopped()),
        };
        // Whoever asked may have gone.
        let _ = self
            .reply
            .send(answer.map_err(|error| placed(error, place)));
    }
}

/// What a panic within an operation is answered with; its text is the log's alone.
pub(super) fn panicked() -> StoreError {
    StoreError::Broken("a fault of Skygate's own, which its log shows".to_owned())
}

/// The error with the name of the file that it is about.
pub(super) fn placed(error: StoreError, place: &str) -> StoreError {
    match error {
        StoreError::Broken(why) => StoreError::Broken(format!("{place}: {why}")),
        other => other,
    }
}

struct Work {
    connection: Connection,
    place: String,
    desk: Arc<Desk>,
    plans: Arc<Plans>,
}

impl Work {
    fn until_closed(self, waiting: &Receiver<Box<dyn Operation>>) {
        while let Ok(first) = waiting.recv() {
            let mut operations = vec![first];
            operations.extend(waiting.try_iter().take(MOST - 1));
            let mut notes = Notes::new();
            let broken = self.transact(&mut operations, &mut notes).err();
            if broken.is_none() {
                for note in notes {
                    self.take_note(note);
                }
            }
            for operation in operations {
                operation.answer(broken.as_ref(), &self.place);
            }
        }
    }

    /// Does all of the operations in one transaction. An operation that fails leaves nothing behind, and the others as they are.
    fn transact(
        &self,
        operations: &mut [Box<dyn Operation>],
        notes: &mut Notes,
    ) -> Result<(), StoreError> {
        let connection = &self.connection;
        let run = |sql| connection.prepare_cached(sql)?.execute([]);
        let done: Result<(), rusqlite::Error> = (|| {
            run("BEGIN IMMEDIATE")?;
            for operation in operations {
                let noted = notes.len();
                run("SAVEPOINT operation")?;
                if !operation.perform(connection, notes) {
                    notes.truncate(noted);
                    // Fails where SQLite has undone the whole transaction by itself, as for want of space.
                    run("ROLLBACK TO operation")?;
                }
                run("RELEASE operation")?;
            }
            run("COMMIT").map(drop)
        })();
        done.map_err(|failure| {
            notes.clear();
            if !connection.is_autocommit()
                && let Err(failure) = run("ROLLBACK")
            {
                error!(error = %failure, "failed to undo a transaction");
            }
            StoreError::Broken(explain(&failure))
        })
    }

    fn take_note(&self, note: Note) {
        match note {
            Note::Due(seq, at) => self.desk.note(seq, at),
            Note::Posted(seq) => self.desk.posted(seq),
            Note::Gone(seq) => self.desk.gone(seq),
            Note::Saved(saving, saved) => self.desk.saved(&saving, saved),
            Note::Planned(id, plan) => self.plans.keep(id, &plan),
        }
    }
}
