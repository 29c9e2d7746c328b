//! The port behind which traffic is shared out.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::routes::Weight;

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
    /// Whether something that is moved carries no number of this rollout's.
    pub lacks_fence: bool,
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
    /// Whether the service is out of sight, so that nobody else can know of this shift: it takes all traffic from the canary, and the
    /// router keeps others from giving it any that do not know.
    pub is_unsaved: bool,
    /// Whether the rollout ends with it: nobody moves this traffic for it any more, and the routes are another's to take.
    pub is_last: bool,
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
    /// All traffic was taken from the canary while the service was out of sight: whoever gives it any has to know that.
    #[error("{0}")]
    TakenBack(String),
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
            Self::TakenBack(_) | Self::NotFound(_) | Self::Invalid(_) | Self::Forbidden { .. } => {
                Remedy::AskPerson
            }
            Self::Unreachable { .. } | Self::Conflict(_) => Remedy::TryAgain,
        }
    }
}
