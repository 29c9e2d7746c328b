//! Who works on which run, so that whoever has a word for it can be heard at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::run::RunId;

/// The runs that this process works on.
#[derive(Debug, Default)]
pub(super) struct Nudges {
    workers: Mutex<HashMap<RunId, Arc<Notify>>>,
}

impl Nudges {
    /// Has whoever works on the run look into its inbox.
    pub(super) fn nudge(&self, id: &RunId) {
        if let Some(worker) = self.workers().get(id) {
            worker.notify_one();
        }
    }

    /// Says that the run is worked on from now on, and hears what is nudged, until it is dropped.
    pub(super) fn listen<'a>(&'a self, id: &'a RunId) -> Listening<'a> {
        let nudged = Arc::<Notify>::default();
        self.workers().insert(id.clone(), Arc::clone(&nudged));
        Listening {
            nudges: self,
            id,
            nudged,
        }
    }

    fn workers(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Notify>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker that can be nudged.
#[derive(Debug)]
pub(super) struct Listening<'a> {
    nudges: &'a Nudges,
    id: &'a RunId,
    nudged: Arc<Notify>,
}

impl Listening<'_> {
    /// Returns once somebody has nudged.
    pub(super) async fn heard(&self) {
        self.nudged.notified().await;
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut workers = self.nudges.workers();
        // Another worker of this process may have taken the run over meanwhile.
        if workers
            .get(self.id)
            .is_some_and(|worker| Arc::ptr_eq(worker, &self.nudged))
        {
            workers.remove(self.id);
        }
    }
}
