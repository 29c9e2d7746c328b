//! What has been saved of runs, for those who look at them: a caller that polls or waits asks here, not the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::domain::run::{Run, RunId};
use crate::ports::{Store, StoreError};

/// How many runs are shown before those go that nobody looks at.
const SHOWN: usize = 1024;

/// The newest saved state of the runs that somebody has asked for.
///
/// Every save of this process is posted here, so a run that is shown is shown as it was last saved, by this process. A store that
/// several processes write to needs those who read it to ask it anew now and then.
#[derive(Debug, Default)]
pub(super) struct Board {
    // A std mutex: it is held for moments, never across an await.
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    runs: HashMap<RunId, Place>,
    looks: u64,
}

/// Where one run is shown.
#[derive(Debug)]
struct Place {
    /// `None` until the store has answered for the first time.
    newest: watch::Sender<Option<Arc<Run>>>,
    /// When somebody last looked, in looks.
    looked: u64,
}

impl Board {
    /// Shows `run` to whoever looks at it.
    pub(super) fn post(&self, run: &Run) {
        if let Some(place) = self.shown().runs.get(&run.id) {
            place.newest.send_replace(Some(Arc::new(run.clone())));
        }
    }

    /// Takes a run down: it is gone from the store. Those who wait for it are told.
    pub(super) fn take_down(&self, id: &RunId) {
        self.shown().runs.remove(id);
    }

    /// The newest saved state of a run, and every later one: `None` where there is no such run.
    pub(super) async fn watch(
        &self,
        id: &RunId,
        store: &dyn Store,
    ) -> Result<Option<Watched>, StoreError> {
        let mut newest = self.look(id);
        // Whatever is saved while the store is asked goes before its answer.
        if newest.borrow_and_update().is_none() {
            match store.get(id).await {
                Ok(Some(run)) => self.answer(id, run),
                other => {
                    self.take_down_unanswered(id);
                    return other.map(|_| None);
                }
            }
        }
        let run = newest.borrow_and_update().clone();
        Ok(run.map(|run| Watched { run, newest }))
    }

    fn look(&self, id: &RunId) -> watch::Receiver<Option<Arc<Run>>> {
        let mut shown = self.shown();
        shown.looks += 1;
        let now = shown.looks;
        if shown.runs.len() >= SHOWN && !shown.runs.contains_key(id) {
            shown.tidy();
        }
        let place = shown.runs.entry(id.clone()).or_insert_with(|| Place {
            newest: watch::Sender::new(None),
            looked: now,
        });
        place.looked = now;
        place.newest.subscribe()
    }

    fn answer(&self, id: &RunId, run: Run) {
        if let Some(place) = self.shown().runs.get(id) {
            place.newest.send_if_modified(|newest| {
                let is_first = newest.is_none();
                if is_first {
                    *newest = Some(Arc::new(run));
                }
                is_first
            });
        }
    }

    fn take_down_unanswered(&self, id: &RunId) {
        let mut shown = self.shown();
        if let Some(place) = shown.runs.get(id)
            && place.newest.borrow().is_none()
        {
            shown.runs.remove(id);
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    /// Takes down the half that was looked at longest ago, but for what somebody is waiting for.
    fn tidy(&mut self) {
        let mut looks: Vec<u64> = self.runs.values().map(|place| place.looked).collect();
        let (_, median, _) = {
            let middle = looks.len() / 2;
            looks.select_nth_unstable(middle)
        };
        let median = *median;
        self.runs
            .retain(|_, place| place.looked >= median || place.newest.receiver_count() > 0);
    }
}

/// A run that somebody looks at.
#[derive(Debug)]
pub struct Watched {
    run: Arc<Run>,
    newest: watch::Receiver<Option<Arc<Run>>>,
}

impl Watched {
    /// The run as it was last saved when somebody last asked.
    pub fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// Waits until the run is saved anew; `false` where it is gone for good. States that follow one another fast may be skipped, never the last one.
    pub async fn changed(&mut self) -> bool {
        if self.newest.changed().await.is_err() {
            return false;
        }
        if let Some(run) = self.newest.borrow_and_update().clone() {
            self.run = run;
        }
        true
    }
}
