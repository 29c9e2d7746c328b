//! The store of a process that needs none after its end: local commands, tests.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::run::{Command, Run, RunId};
use crate::ports::{Lease, Leased, Store, StoreError};

/// Runs in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    // A std mutex: it is held for moments, never across an await.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    runs: HashMap<RunId, Entry>,
    /// When to look at which run next: its due time, or the end of its lease.
    agenda: BTreeSet<(Timestamp, RunId)>,
    leases: u64,
}

#[derive(Debug)]
struct Entry {
    run: Run,
    inbox: Vec<Command>,
    /// How many of the inbox's first commands the holder of the lease has: they go when it saves.
    delivered: usize,
    lease: Option<Lease>,
    /// Where the run stands in the agenda.
    noted: Option<Timestamp>,
}

impl MemoryStore {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held leaves whole entries behind: each is replaced in one assignment.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Notes when to look at the run next, in place of what was noted before.
    fn note(&mut self, id: &RunId, at: Option<Timestamp>) {
        let Some(entry) = self.runs.get_mut(id) else {
            return;
        };
        if let Some(old) = entry.noted.take() {
            self.agenda.remove(&(old, id.clone()));
        }
        if let Some(at) = at {
            entry.noted = Some(at);
            self.agenda.insert((at, id.clone()));
        }
    }

    fn held(&mut self, lease: Lease, id: &RunId) -> Result<&mut Entry, StoreError> {
        let entry = self
            .runs
            .get_mut(id)
            .ok_or_else(|| StoreError::NotFound(id.clone()))?;
        if entry.lease != Some(lease) {
            return Err(StoreError::LeaseLost(id.clone()));
        }
        Ok(entry)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn insert(&self, run: Run) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let id = run.id.clone();
        if inner.runs.contains_key(&id) {
            return Err(StoreError::Exists(id));
        }
        let due = run.next_due();
        inner.runs.insert(
            id.clone(),
            Entry {
                run,
                inbox: Vec::new(),
                delivered: 0,
                lease: None,
                noted: None,
            },
        );
        inner.note(&id, due);
        Ok(())
    }

    async fn get(&self, id: &RunId) -> Result<Option<Run>, StoreError> {
        Ok(self.inner().runs.get(id).map(|entry| entry.run.clone()))
    }

    async fn post(&self, id: &RunId, command: Command) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let entry = inner
            .runs
            .get_mut(id)
            .ok_or_else(|| StoreError::NotFound(id.clone()))?;
        entry.inbox.push(command);
        if entry.lease.is_none() {
            inner.note(id, Some(Timestamp::MIN));
        }
        Ok(())
    }

    async fn lease_due(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Leased>, StoreError> {
        let mut inner = self.inner();
        let due: Vec<RunId> = inner
            .agenda
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(limit)
            .map(|(_, id)| id.clone())
            .collect();
        let mut leased = Vec::with_capacity(due.len());
        for id in due {
            inner.leases += 1;
            let lease = Lease(inner.leases);
            inner.note(&id, Some(until));
            let Some(entry) = inner.runs.get_mut(&id) else {
                continue;
            };
            entry.lease = Some(lease);
            leased.push(Leased {
                run: entry.run.clone(),
                inbox: entry.inbox.clone(),
                lease,
            });
            entry.delivered = entry.inbox.len();
        }
        Ok(leased)
    }

    async fn save(&self, lease: Lease, run: &Run) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let entry = inner.held(lease, &run.id)?;
        entry.run = run.clone();
        entry.inbox.drain(..std::mem::take(&mut entry.delivered));
        Ok(())
    }

    async fn renew(&self, lease: Lease, id: &RunId, until: Timestamp) -> Result<(), StoreError> {
        let mut inner = self.inner();
        inner.held(lease, id)?;
        inner.note(id, Some(until));
        Ok(())
    }

    async fn release(&self, lease: Lease, id: &RunId) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let entry = inner.held(lease, id)?;
        entry.lease = None;
        let due = if entry.inbox.is_empty() {
            entry.run.next_due()
        } else {
            Some(Timestamp::MIN)
        };
        inner.note(id, due);
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.inner().agenda.first().map(|(at, _)| *at))
    }
}
