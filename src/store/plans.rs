//! Plans of runs that have been read: made once, and used by all runs of the same.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::form::{FormError, Text, analysis_of};
use crate::domain::analysis::Analysis;
use crate::domain::fault::Faults;
use crate::domain::plan::Plan;

/// Makes the plan of a stored run again: [`Plan::make_again`] with the secrets and settings of whoever opens the store.
/// A secret that is missing now may be there later, so this is asked again as long as it makes an [unready](Plan::unready) plan.
pub type Planner = dyn Fn(&Analysis) -> Result<Plan, Faults> + Send + Sync;

/// The most plans that are kept: with more of them in use at a time, some are made anew with every use.
const MOST: usize = 4_096;

/// Plans by the number that they are stored under.
pub(super) struct Plans {
    planner: Arc<Planner>,
    // A std mutex: it is held for moments, never while a plan is made.
    made: Mutex<HashMap<i64, Arc<Plan>>>,
}

impl Plans {
    pub(super) fn new(planner: Arc<Planner>) -> Self {
        Self {
            planner,
            made: Mutex::default(),
        }
    }

    /// The plan that is stored as `stored` under `id`.
    pub(super) fn get(
        &self,
        id: i64,
        stored: impl FnOnce() -> Result<Text, FormError>,
    ) -> Result<Arc<Plan>, FormError> {
        if let Some(plan) = self.made().get(&id) {
            return Ok(Arc::clone(plan));
        }
        let analysis = analysis_of(&stored()?)?;
        let plan = (self.planner)(&analysis).map_err(|faults| FormError::refused(&faults))?;
        let plan = Arc::new(plan);
        self.keep(id, &plan);
        Ok(plan)
    }

    /// Keeps the plan for those that come after. In place of one of the same number: a secret in it may be a newer one.
    pub(super) fn keep(&self, id: i64, plan: &Arc<Plan>) {
        if plan.unready.is_some() {
            return;
        }
        let mut made = self.made();
        if made.len() >= MOST && !made.contains_key(&id) {
            // Any: runs come round in turn, so the one that was used longest ago would be the one that is needed next.
            let any = made.keys().next().copied();
            any.map(|id| made.remove(&id));
        }
        made.insert(id, Arc::clone(plan));
    }

    fn made(&self) -> MutexGuard<'_, HashMap<i64, Arc<Plan>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Plans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plans")
            .field("made", &self.made().len())
            .finish_non_exhaustive()
    }
}
