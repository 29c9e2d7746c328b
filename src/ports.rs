//! What the domain's decisions need of the world: a clock, a source of metrics, a store of runs, a router of traffic.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::plan::SourcePlan;
use crate::domain::reading::Reading;
use crate::domain::routes::Weight;
use crate::domain::run::{Command, Run, RunId};

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

/// Where runs are kept.
///
/// A run is worked on by whoever holds its lease. What a person or a caller wants of it in the meantime waits in its inbox,
/// so that nothing is lost and nobody else writes what the holder is about to save.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Keeps a new run.
    async fn insert(&self, run: Run) -> Result<(), StoreError>;

    /// A run as it was last saved.
    async fn get(&self, id: &RunId) -> Result<Option<Run>, StoreError>;

    /// Leaves `command` for whoever works on the run next, and makes the run due at once.
    async fn post(&self, id: &RunId, command: Command) -> Result<(), StoreError>;

    /// Leases up to `limit` runs that are due at `now`, the longest due first; a lease ends at `until` unless it is given back before.
    async fn lease_due(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Leased>, StoreError>;

    /// Saves `run` under its lease, and keeps the lease. [`StoreError::LeaseLost`] where somebody else has it by now.
    async fn save(&self, lease: Lease, run: &Run) -> Result<(), StoreError>;

    /// Has the lease end at `until` instead. [`StoreError::LeaseLost`] where somebody else has it by now.
    async fn renew(&self, lease: Lease, id: &RunId, until: Timestamp) -> Result<(), StoreError>;

    /// Gives the lease back; the run is due again when its last saved form says so, or at once where its inbox isn't empty.
    async fn release(&self, lease: Lease, id: &RunId) -> Result<(), StoreError>;

    /// When the next run is due; `None` where nothing is.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// A run, leased to its holder.
#[derive(Clone, Debug)]
pub struct Leased {
    /// As it was last saved.
    pub run: Run,
    /// What has been posted since; it leaves the inbox with the holder's first save.
    pub inbox: Vec<Command>,
    /// The proof of holding it.
    pub lease: Lease,
}

/// The proof of holding a run's lease. Every new lease of a run has a higher number (a fencing token).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease(pub u64);

/// Why a store could not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such run.
    #[error("no run `{0}`")]
    NotFound(RunId),
    /// A run of that id exists already.
    #[error("a run `{0}` exists already")]
    Exists(RunId),
    /// The lease has ended and another holder took the run over: what this one did must not be saved.
    #[error("the lease of run `{0}` was lost to another holder")]
    LeaseLost(RunId),
    /// The store itself is in trouble: a full disk, a locked or damaged file.
    #[error("the store failed: {0}")]
    Broken(String),
}

/// Something that shares traffic out between the stable version and the canary of one rollout.
///
/// Several steppers may believe that a rollout is theirs. Each has the number of its lease, the fence, and newer leases have higher
/// numbers: a router keeps the number in the same write as the weights and refuses a lower one.
#[async_trait]
pub trait TrafficRouter: Debug + Send + Sync {
    /// How the traffic is shared out now, as far as can be told. It also finds what would keep a shift from working later.
    async fn observe(&self) -> Result<Observed, RouterError>;

    /// Gives the canary its share, and the stable version the rest. Idempotent; nothing is written where all is as it should be.
    async fn set(&self, shift: &Shift) -> Result<Shifted, RouterError>;
}

/// What a router found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The canary's share; `None` where it can't be told, or where the routes are as no rollout leaves them.
    pub canary: Option<Weight>,
    /// The number of the last lease that wrote there.
    pub fence: Option<u64>,
}

/// A change of the weights, by the holder of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// The canary's share.
    pub canary: Weight,
    /// The number of the lease.
    pub fence: u64,
    /// Which version the canary is.
    pub revision: String,
    /// The step that asks for it, counted from 0.
    pub step: usize,
    /// Which change of the weights it is, counted over the rollout's life: the same when it is tried or asserted again, another for every other change.
    pub change: u64,
}

/// What came of a shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shifted {
    /// It was written.
    Written,
    /// It was so already.
    AsItWas,
}

/// Why traffic was not shifted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    /// A newer lease of the same rollout has been there: touch nothing.
    #[error("{what}")]
    Fenced {
        /// What was found, and where.
        what: String,
        /// The number that was found, where it is known.
        found: Option<u64>,
    },
    /// What is to be edited isn't there.
    #[error("{0}")]
    NotFound(String),
    /// What is there can't be edited as the rollout wants it, or wasn't accepted.
    #[error("{0}")]
    Invalid(String),
    /// We aren't allowed to.
    #[error("{what}")]
    Forbidden {
        /// Who may not do what.
        what: String,
        /// Manifests that would allow it, as YAML.
        allow: Option<String>,
    },
    /// Nobody answered, or only to say that they can't now.
    #[error("{what}")]
    Unreachable {
        /// What was tried, and what came of it.
        what: String,
        /// How long the other side asked to be left alone.
        after: Option<Duration>,
    },
    /// Others kept writing the same object, or held it.
    #[error("{0}")]
    Conflict(String),
}

/// What is to be done about a router's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Somebody else steps this rollout: leave everything alone.
    StandDown,
    /// A person has to change something first; trying again does no harm.
    AskPerson,
    /// It may pass by itself: hold the weight and try again.
    TryAgain,
}

impl RouterError {
    /// What is to be done about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Fenced { .. } => Remedy::StandDown,
            Self::NotFound(_) | Self::Invalid(_) | Self::Forbidden { .. } => Remedy::AskPerson,
            Self::Unreachable { .. } | Self::Conflict(_) => Remedy::TryAgain,
        }
    }
}
