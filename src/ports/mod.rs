//! What the domain's decisions need of the world: a clock, a source of metrics, a store of runs and of records,
//! a router of traffic, a hook that makes a version the stable one.

mod hook;
mod records;
mod router;
mod store;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::plan::SourcePlan;
use crate::domain::reading::Reading;

pub use hook::{Hook, HookAnswer, HookCall};
pub use records::{Change, Expected, Record, RecordKey, RecordKind, Records};
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
}

/// The moment that a reading is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// A moment in the past, on our clock; `None`: now.
    pub at: Option<Timestamp>,
    /// When the version first took traffic, on our clock: buckets that began before are not asked for.
    pub not_before: Option<Timestamp>,
}
