//! From the leases that the desk has granted to runs in their holder's hands.

use std::sync::Arc;

use rusqlite::Connection;
use tracing::error;

use super::desk::{Desk, Holding, Taken};
use super::runs;
use crate::ports::{Leased, StoreError};
use crate::store::plans::Plans;

/// Runs that have been taken, and whose holder hasn't been told yet: if he never is, they are given back.
#[derive(Debug)]
pub(super) struct Untold {
    desk: Arc<Desk>,
    taken: Vec<Taken>,
    leased: Vec<Leased>,
}

impl Untold {
    pub(super) fn new(desk: Arc<Desk>, taken: Vec<Taken>) -> Self {
        Self {
            desk,
            taken,
            leased: Vec::new(),
        }
    }

    /// Reads the runs.
    pub(super) fn read(
        &mut self,
        connection: &Connection,
        plans: &Plans,
    ) -> Result<(), StoreError> {
        for taken in self.taken.clone() {
            let inbox = runs::inbox(connection, taken.seq, 0);
            let read = inbox.and_then(|inbox| {
                let run = runs::load(connection, plans, taken.seq)?;
                Ok(run.map(|run| (run, inbox)))
            });
            match read {
                Ok(Some((run, (inbox, delivered)))) => {
                    if self.desk.hand_over(taken, Holding::of(&run, delivered)) {
                        let lease = taken.lease;
                        self.leased.push(Leased { run, inbox, lease });
                    }
                }
                // It has been deleted meanwhile.
                Ok(None) => {}
                Err(unreadable @ StoreError::Unreadable(..)) => {
                    error!(error = %unreadable, "a run is left alone until the next start: {unreadable}");
                    self.desk.set_aside(taken);
                }
                Err(broken) => return Err(broken),
            }
        }
        Ok(())
    }

    /// Hands them to their holder.
    pub(super) fn tell(mut self) -> Vec<Leased> {
        self.taken.clear();
        std::mem::take(&mut self.leased)
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        for taken in self.taken.drain(..) {
            self.desk.give_back(taken);
        }
    }
}
