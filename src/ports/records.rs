//! The port behind which everything is kept that is no run: templates, rollouts, what a caller's hooks have come to.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::StoreError;

/// Where records are kept: JSON under a kind, a namespace and a name, each with a version that grows with every change
/// and that no other state of it ever has, not even after it was removed.
///
/// Whoever changes a record says which version it has seen, and is told where somebody else was faster. That makes up for leases:
/// a record that must have one writer at a time holds that writer's lease in its body.
#[async_trait]
pub trait Records: Debug + Send + Sync {
    /// A record as it is now.
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError>;

    /// Makes all of these changes at `now`, or none: [`StoreError::Changed`] where one of them expects another version.
    /// Answers with the version of each record; 0 where there is none.
    async fn change(&self, changes: &[Change], now: Timestamp) -> Result<Vec<u64>, StoreError>;

    /// Up to `limit` records of a kind, in one namespace or in all, that come after the record `after` (its namespace and name),
    /// ordered by namespace and name.
    async fn records(
        &self,
        kind: RecordKind,
        namespace: Option<&str>,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError>;
}

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKind {
    /// An `AnalysisTemplate`, as its manifest says it.
    Template,
    /// A `ClusterAnalysisTemplate`, as its manifest says it; its namespace is empty.
    ClusterTemplate,
    /// A stepper's rollout.
    Rollout,
    /// What Flagger has asked about a canary.
    FlaggerAttempt,
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Template,
        Self::ClusterTemplate,
        Self::Rollout,
        Self::FlaggerAttempt,
    ];

    /// Its name where it is kept. Never changes: files hold it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::ClusterTemplate => "clustertemplate",
            Self::Rollout => "rollout",
            Self::FlaggerAttempt => "flaggerattempt",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What tells records apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// What it is of.
    pub kind: RecordKind,
    /// Its namespace; empty for what has none.
    pub namespace: String,
    /// Its name within the namespace.
    pub name: String,
}

impl RecordKey {
    /// The key of these three.
    pub fn new(kind: RecordKind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            namespace,
            name,
        } = self;
        match namespace.as_str() {
            "" => write!(f, "the {} `{name}`", kind.name()),
            _ => write!(f, "the {} `{namespace}/{name}`", kind.name()),
        }
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Which it is.
    pub key: RecordKey,
    /// Above 0, and higher with each change.
    pub version: u64,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// What it says.
    pub body: Value,
}

/// One change of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which record.
    pub key: RecordKey,
    /// What its writer knows of it.
    pub expected: Expected,
    /// What becomes of it.
    pub to: To,
}

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum To {
    /// It says this from now on.
    Body(Value),
    /// It is gone. Removing what is not there is no failure.
    Gone,
    /// It stays as it is, version and all: the changes beside this one are made only where it is as expected.
    Same,
}

/// What the writer of a record knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing, and it doesn't matter.
    Anything,
    /// That there is none.
    Absent,
    /// That it is at this version.
    Version(u64),
}
