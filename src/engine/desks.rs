//! The desks of rollouts: where steppers and people meet. Every change is made by the domain's rules on what is kept now.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::domain::rollout::desk::{Desk, DeskError, Lease};
use crate::ports::{Change, Clock, Expected, RecordKey, RecordKind, Records, StoreError, To};

/// How long a stepper's lease is, in real time: long enough to be renewed in peace, short enough that another takes over soon.
const LEASE: Duration = Duration::from_secs(30);

/// How often a change is made anew because somebody else was faster.
const TRIES: u32 = 50;

/// The desks of all rollouts. Clones share one set.
#[derive(Clone, Debug)]
pub struct Desks {
    records: Arc<dyn Records>,
    clock: Arc<dyn Clock>,
    news: Arc<watch::Sender<()>>,
}

/// A desk with whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The rollout's namespace.
    pub namespace: String,
    /// The rollout's name.
    pub name: String,
    /// What is kept of it.
    pub desk: Desk,
    /// When that last changed.
    pub changed_at: Timestamp,
}

/// Why nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DesksError {
    /// The rules are against it.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// What is kept is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Desks {
    /// Desks in `records`.
    pub fn new(records: Arc<dyn Records>, clock: Arc<dyn Clock>) -> Self {
        Self {
            records,
            clock,
            news: Arc::default(),
        }
    }

    /// What is kept of a rollout; `None`: nothing.
    pub async fn read(&self, namespace: &str, name: &str) -> Result<Option<Kept>, StoreError> {
        let key = RecordKey::new(RecordKind::Rollout, namespace, name);
        let record = self.records.read(&key).await?;
        record.map(|record| kept(&record)).transpose()
    }

    /// Up to `limit` rollouts, in one namespace or in all, that come after the one named `after`.
    pub async fn list(
        &self,
        namespace: Option<&str>,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Kept>, StoreError> {
        let records = self
            .records
            .records(RecordKind::Rollout, namespace, after, limit)
            .await?;
        records.iter().map(kept).collect()
    }

    /// Changes what is kept of a rollout as `change` does; it may be called again where somebody else was faster.
    /// `change` is told the time, and until when a lease lasts that is given now.
    pub async fn change<T>(
        &self,
        namespace: &str,
        name: &str,
        change: impl Fn(&mut Desk, Timestamp, Timestamp) -> Result<T, DeskError> + Send + Sync,
    ) -> Result<(Kept, T), DesksError> {
        let key = RecordKey::new(RecordKind::Rollout, namespace, name);
        let mut tries = 0;
        loop {
            tries += 1;
            let now = self.clock.now();
            let record = self.records.read(&key).await?;
            let (before, changed_at, expected) = match &record {
                Some(record) => (
                    kept(record)?.desk,
                    record.changed_at,
                    Expected::Version(record.version),
                ),
                None => (Desk::default(), now, Expected::Absent),
            };
            let mut desk = before.clone();
            let answer = change(&mut desk, now, self.lease_end(now))?;
            let is_changed = desk != before;
            let kept = Kept {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                changed_at: if is_changed { now } else { changed_at },
                desk,
            };
            if !is_changed {
                return Ok((kept, answer));
            }
            let change = Change {
                key: key.clone(),
                expected,
                to: To::Body(kept.desk.to_body()),
            };
            match self.records.change(&[change], now).await {
                Ok(_) => {
                    self.news.send_replace(());
                    return Ok((kept, answer));
                }
                Err(StoreError::Changed { .. }) if tries < TRIES => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Hears of changes that are made from now on, of whatever rollout.
    pub fn news(&self) -> News {
        News(self.news.subscribe())
    }

    /// When the holder of `lease` took or last renewed it.
    pub fn seen_at(&self, lease: &Lease) -> Timestamp {
        let begun = lease.expires_at.checked_sub(self.clock.lasting(LEASE));
        begun.unwrap_or(Timestamp::MIN)
    }

    fn lease_end(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.clock.lasting(LEASE))
            .unwrap_or(Timestamp::MAX)
    }
}

/// Hears of changes.
#[derive(Debug)]
pub struct News(watch::Receiver<()>);

impl News {
    /// Returns once something has changed since the last time.
    pub async fn heard(&mut self) {
        // The sender lives as long as the desks do; without them nothing changes any more.
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn kept(record: &crate::ports::Record) -> Result<Kept, StoreError> {
    let key = &record.key;
    let desk = Desk::from_body(&record.body)
        .map_err(|why| StoreError::Unreadable(key.to_string(), why))?;
    Ok(Kept {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        desk,
        changed_at: record.changed_at,
    })
}
