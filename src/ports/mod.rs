//! What the domain's decisions need of the world: a clock, a source of metrics, a store of runs and of records, a router of traffic,
//! a hook that makes a version the stable one, and whoever looks on.

mod hook;
mod records;
mod router;
mod store;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::measurement::Phase;
use crate::domain::plan::SourcePlan;
use crate::domain::reading::{Reading, SourceError};
use crate::domain::run::{Run, RunId};

pub use hook::{Hook, HookAnswer, HookCall};
pub use records::{Change, Expected, Record, RecordKey, RecordKind, Records, To};
pub use router::{Observed, Remedy, RouterError, Shift, Shifted, TrafficRouter};
pub use store::{
    Cursor, Inserted, Lease, Leased, Next, RequestKey, RunQuery, Store, StoreError, Tally,
};

/// The time of day and the passing of time, for engine, client and simulator alike.
///
/// A clock may run fast: every wait for something that the *schedule* asks for goes through it.
/// IO takes real time whatever a clock says, so a deadline for IO never shrinks below [`Clock::deadline`]'s floor.
#[async_trait]
pub trait Clock: Debug + Send + Sync {
    /// The time of day.
    fn now(&self) -> Timestamp;

    /// Returns once `duration` has passed on this clock.
    async fn sleep(&self, duration: Duration);

    /// How long, in real time, IO may take that should be done within `duration` on this clock.
    fn deadline(&self, duration: Duration) -> Duration {
        duration
    }

    /// How much time passes on this clock while `real` time does: what a lease must last, since processes live and die in real time.
    fn lasting(&self, real: Duration) -> Duration {
        real
    }
}

/// Somewhere that metrics come from.
#[async_trait]
pub trait MetricSource: Debug + Send + Sync {
    /// Reads what `source` asks for. Never fails as a whole: a failure is the reading's answer.
    async fn read(&self, source: &SourcePlan, moment: Moment) -> Reading;

    /// Whether it would read `source` at all; the error says why not, and who can change that. Nothing is sent.
    fn admits(&self, source: &SourcePlan) -> Result<(), SourceError> {
        let _ = source;
        Ok(())
    }

    /// What went wrong when `source` was last asked, where it is being asked again: for whoever doesn't wait for the end of that.
    fn trouble(&self, source: &SourcePlan) -> Option<SourceError> {
        let _ = source;
        None
    }
}

/// The moment that a reading is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// A moment in the past, on our clock; `None`: now.
    pub at: Option<Timestamp>,
    /// When the version first took traffic, on our clock: buckets that began before are not asked for.
    pub not_before: Option<Timestamp>,
}

/// Whoever looks on while runs are moved: to count, mostly. Nothing waits for it, so nothing in it may take long.
pub trait Observer: Debug + Send + Sync {
    /// A run was accepted, or is taken up to be gone on with: nothing of that was observed yet. Each run is told of several times.
    fn taken_up(&self, run: &Run) {
        let _ = run;
    }

    /// A measurement was begun, so long after it was due.
    fn began(&self, late: Duration) {
        let _ = late;
    }

    /// A measurement of the metric at this index came back and was taken in; `run` is as it is then.
    fn measured(&self, run: &Run, metric: usize, phase: Phase) {
        let _ = (run, metric, phase);
    }

    /// A run came to its end, and that was saved.
    fn ended(&self, run: &Run) {
        let _ = run;
    }

    /// These runs were forgotten. It is called with none of them now and then, too.
    fn forgotten(&self, runs: &[RunId]) {
        let _ = runs;
    }
}

/// Nobody looks on.
impl Observer for () {}
