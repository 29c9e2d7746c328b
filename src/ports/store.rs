//! The port behind which runs are kept.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;

use super::RecordKey;
use crate::domain::measurement::Phase;
use crate::domain::run::{Command, Run, RunId};

/// Where runs are kept.
///
/// A run is worked on by whoever holds its lease. What a person or a caller wants of it in the meantime waits in its inbox,
/// so that nothing is lost and nobody else writes what the holder is about to save.
///
/// Whatever a method has answered survives the end of the process, as far as the store itself does.
/// Dropping a call before it has answered leaves it done or not done, never half done.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Keeps a new run. With a `request` that has been seen before nothing is kept, and the answer says what came of it then.
    async fn insert(&self, run: &Run, request: Option<&RequestKey>)
    -> Result<Inserted, StoreError>;

    /// What came of `request` before; `None` where it is new. [`Store::insert`] has the last word.
    async fn requested(&self, request: &RequestKey) -> Result<Option<Inserted>, StoreError>;

    /// A run as it was last saved.
    async fn get(&self, id: &RunId) -> Result<Option<Run>, StoreError>;

    /// The runs that `query` describes, newest first.
    async fn list(&self, query: &RunQuery) -> Result<Vec<Run>, StoreError>;

    /// Forgets a run, whether it is over or not; whoever holds its lease finds out with the next save. `false`: there was none.
    async fn delete(&self, id: &RunId) -> Result<bool, StoreError>;

    /// Forgets up to `limit` runs that ended before `ended_before`, or whose own `ttlStrategy` lets them go by `now`. Says which.
    async fn forget(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError>;

    /// How many runs there are.
    async fn tally(&self) -> Result<Tally, StoreError>;

    /// Leaves `command` for whoever works on the run next, and makes the run due at once.
    async fn post(&self, id: &RunId, command: Command) -> Result<(), StoreError>;

    /// Leases up to `limit` runs that are due at `now`, the longest due first; a lease ends at `until` unless it is given back before.
    async fn lease_due(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Leased>, StoreError>;

    /// What has been posted to a leased run since; it leaves the inbox with the holder's next save.
    /// [`StoreError::LeaseLost`] where somebody else has the lease by now.
    async fn collect(&self, lease: Lease, id: &RunId) -> Result<Vec<Command>, StoreError>;

    /// Saves `run` under its lease, takes what was delivered out of its inbox, and keeps the lease or gives it back.
    /// A measurement that was saved once stays as it was: a store may leave it alone.
    /// [`StoreError::LeaseLost`] where somebody else has the lease by now.
    async fn save(&self, lease: Lease, run: &Run, next: Next) -> Result<(), StoreError>;

    /// Has the lease end at `until` instead. [`StoreError::LeaseLost`] where somebody else has it by now.
    async fn renew(&self, lease: Lease, id: &RunId, until: Timestamp) -> Result<(), StoreError>;

    /// Whether it can be written to: something is, of which nothing is left.
    async fn probe(&self) -> Result<(), StoreError>;

    /// When the next run is due; `None` where nothing is.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// What becomes of a lease once a run is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is kept: there is more to do.
    Hold,
    /// It is given back; the run is due again when it says so, or at once where its inbox isn't empty.
    Release,
}

/// What a caller calls a request that it may have to send twice, and what the request said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The caller's own name for it: an `Idempotency-Key`.
    pub key: String,
    /// What tells its content from others': a digest.
    pub fingerprint: String,
}

/// What came of keeping a new run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is kept.
    New,
    /// The same request has been made before, and this is its run.
    Before(RunId),
    /// Another request has been made under the same key.
    Differs,
}

/// Which runs somebody wants to see.
#[derive(Clone, Debug, PartialEq)]
pub struct RunQuery {
    /// Only those of this namespace.
    pub namespace: Option<String>,
    /// Only those that were asked for by this template, as in [`Run::templates`].
    pub template: Option<String>,
    /// Only those of this name.
    pub name: Option<String>,
    /// Only those in one of these phases; empty: in any.
    pub phases: Vec<Phase>,
    /// Only those with all of these labels.
    pub labels: BTreeMap<String, String>,
    /// Only those that were not over before this moment.
    pub from: Option<Timestamp>,
    /// Only those created before this moment.
    pub to: Option<Timestamp>,
    /// Only those that come after this place.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: usize,
}

/// A place in the list of all runs, newest first: the run that stands there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When it was created.
    pub created_at: Timestamp,
    /// Which it is, of those created at that moment.
    pub id: RunId,
}

impl Cursor {
    /// Where `run` stands.
    pub fn of(run: &Run) -> Self {
        Self {
            created_at: run.created_at,
            id: run.id.clone(),
        }
    }
}

impl RunQuery {
    /// Whether it describes `run`, wherever that stands in the list.
    pub fn describes(&self, run: &Run) -> bool {
        let Self {
            namespace,
            template,
            name,
            phases,
            labels,
            from,
            to,
            after: _,
            limit: _,
        } = self;
        let is_over_before = |moment| run.completed_at.is_some_and(|end| end < moment);
        namespace.as_ref().is_none_or(|it| *it == run.namespace)
            && template
                .as_ref()
                .is_none_or(|it| run.templates.contains(it))
            && name.as_ref().is_none_or(|it| *it == run.name)
            && (phases.is_empty() || phases.contains(&run.phase))
            && labels
                .iter()
                .all(|(name, value)| run.labels.get(name) == Some(value))
            && !from.is_some_and(is_over_before)
            && to.is_none_or(|to| run.created_at < to)
    }
}

impl Default for RunQuery {
    fn default() -> Self {
        Self {
            namespace: None,
            template: None,
            name: None,
            phases: Vec::new(),
            labels: BTreeMap::new(),
            from: None,
            to: None,
            after: None,
            limit: 100,
        }
    }
}

/// How many runs are kept, by their phases; phases that no run is in may be missing.
pub type Tally = BTreeMap<&'static str, u64>;

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
    /// A run that was given a secret's value can not be kept: nothing secret is ever stored.
    #[error(
        "the argument `{0}` is a secret, and a value supplied for it would be lost with this process: leave it out, and have it looked up where the template says"
    )]
    SecretSupplied(String),
    /// The lease has ended and another holder took the run over: what this one did must not be saved.
    #[error("the lease of run `{0}` was lost to another holder")]
    LeaseLost(RunId),
    /// A record is not at the version that its writer has seen.
    #[error("{key} has changed meanwhile: it is at {found}")]
    Changed {
        /// Which record.
        key: RecordKey,
        /// The version that it is at; 0: it is not there.
        found: u64,
    },
    /// What is kept cannot be read by this version of the program.
    #[error("what is kept of {0} cannot be read: {1}")]
    Unreadable(String, String),
    /// The store itself is in trouble: a full disk, a locked or damaged file.
    #[error("the store failed: {0}")]
    Broken(String),
}
