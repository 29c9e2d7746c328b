//! What a stepper needs of the service: a small seam, so that everything behind it is HTTP and nothing before it is.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use serde_json::Value;

use crate::domain::rollout::AnalysisRequest;
use crate::domain::rollout::desk::{Lease, Letter};
use crate::domain::run::{Run, RunId};

/// The service, as far as one rollout goes.
#[async_trait]
pub trait Service: Debug + Send + Sync {
    /// Takes the lease, or keeps it where `holder` has it; [`ServiceError::Held`] where somebody else does.
    async fn take(&self, holder: &str) -> Result<Lease, ServiceError>;

    /// Keeps the lease for longer; [`ServiceError::Lost`] where it is somebody else's by now.
    async fn renew(&self, fence: u64) -> Result<Lease, ServiceError>;

    /// Gives the lease back.
    async fn release(&self, fence: u64) -> Result<(), ServiceError>;

    /// What is kept of the rollout. [`ServiceError::Gone`]: nothing at all.
    async fn read(&self) -> Result<Sheet, ServiceError>;

    /// The same once it is another one than that with the tag `seen`, or after a while.
    async fn news(&self, seen: &str) -> Result<Sheet, ServiceError>;

    /// Keeps `record` in place of the one that was read or saved with the tag `following`; answers with the new tag.
    /// [`ServiceError::Lost`] without the newest lease, [`ServiceError::Overtaken`] where another one was saved since.
    async fn save(
        &self,
        fence: u64,
        following: &str,
        record: &Value,
    ) -> Result<String, ServiceError>;

    /// Gives a service that has lost what it kept whatever else the rollout needs there.
    async fn restore(&self) -> Result<(), ServiceError>;

    /// The run of `request`: a new one, or the one that was begun for it before.
    async fn start(&self, request: &AnalysisRequest<'_>) -> Result<Run, ServiceError>;

    /// A run; with a tag in `seen` once it is told otherwise, or after a while.
    async fn look(&self, run: &RunId, seen: Option<&str>) -> Result<Look, ServiceError>;

    /// Has a run end.
    async fn terminate(&self, run: &RunId) -> Result<(), ServiceError>;

    /// The runs with all of these labels that may still be under way.
    async fn find(&self, labels: &BTreeMap<String, String>) -> Result<Vec<RunId>, ServiceError>;
}

/// What the service keeps of a rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// What tells this state from others.
    pub tag: String,
    /// The stepper's record; `None`: none was saved yet.
    pub record: Option<Value>,
    /// Who steps it, or did last.
    pub lease: Option<Lease>,
    /// What people want that no record counts as taken, oldest first.
    pub waiting: Vec<Letter>,
}

/// A run as it was seen.
#[derive(Clone, Debug)]
pub struct Look {
    /// What tells this state from others.
    pub tag: String,
    /// The run.
    pub run: Run,
}

/// Why the service did not do as asked. The texts are for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// It cannot be reached, or can do nothing for now. What was asked for may have been done.
    #[error("{0}")]
    Away(String),
    /// Another stepper has the lease.
    #[error("{0}")]
    Held(String),
    /// The lease is somebody else's by now.
    #[error("{0}")]
    Lost(String),
    /// The record was saved since it was read.
    #[error("{0}")]
    Overtaken(String),
    /// There is no such thing.
    #[error("{0}")]
    Gone(String),
    /// It will not do it, however often it is asked.
    #[error("{0}")]
    Refused(String),
}
