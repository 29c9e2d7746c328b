//! The threads that read, each over a connection of its own.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;
use tracing::error;

use super::writer::{panicked, placed};
use crate::ports::StoreError;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The reading threads. Dropping them ends them once all that waits has been read.
pub(super) struct Readers {
    queue: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    place: String,
}

impl Readers {
    /// Begins to read over these connections.
    pub(super) fn start(connections: Vec<Connection>, place: String) -> std::io::Result<Self> {
        let (queue, waiting) = channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut readers = Self {
            queue: Some(queue),
            threads: Vec::new(),
            place,
        };
        for connection in connections {
            let waiting = Arc::clone(&waiting);
            let thread = std::thread::Builder::new()
                .name("store-reader".to_owned())
                .spawn(move || {
                    while let Some(job) = next(&waiting) {
                        job(&connection);
                    }
                })?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Has `read` done over one state of the file, which no write changes meanwhile.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let read = catch_unwind(AssertUnwindSafe(|| over_one_state(connection, read)));
            // Whoever asked may have gone.
            let _ = reply.send(read.unwrap_or_else(|_| Err(panicked())));
        });
        let stopped = || StoreError::Broken("the threads that read have stopped".to_owned());
        let is_gone = match &self.queue {
            Some(queue) => queue.send(job).is_err(),
            None => true,
        };
        let answer = if is_gone {
            Err(stopped())
        } else {
            answer.await.unwrap_or_else(|_| Err(stopped()))
        };
        answer.map_err(|error| placed(error, &self.place))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a thread that reads the store has panicked");
            }
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}

fn next(waiting: &Mutex<Receiver<Job>>) -> Option<Job> {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.recv().ok()
}

fn over_one_state<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let read = read(&transaction)?;
    transaction.commit()?;
    Ok(read)
}
