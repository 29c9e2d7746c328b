//! The store of a process that needs none after its end: local commands, tests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::run::{Command, Run, RunId};
use crate::ports::{
    Change, Cursor, Expected, Inserted, Lease, Leased, Next, Record, RecordKey, RecordKind,
    Records, RequestKey, RunQuery, Store, StoreError, Tally, To,
};

/// Runs and records in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    // Std mutexes: they are held for moments, never across an await.
    runs: Mutex<Runs>,
    records: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Runs {
    entries: HashMap<RunId, Entry>,
    /// When to look at which run next: its due time, or the end of its lease.
    agenda: BTreeSet<(Timestamp, RunId)>,
    requests: HashMap<String, (String, RunId)>,
    leases: u64,
}

#[derive(Debug, Default)]
struct Kept {
    records: BTreeMap<RecordKey, Record>,
    versions: u64,
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
    fn runs(&self) -> MutexGuard<'_, Runs> {
        // A panic while the lock was held leaves whole entries behind: each is replaced in one assignment.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runs {
    /// Notes when to look at the run next, in place of what was noted before.
    fn note(&mut self, id: &RunId, at: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(id) else {
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
            .entries
            .get_mut(id)
            .ok_or_else(|| StoreError::NotFound(id.clone()))?;
        if entry.lease != Some(lease) {
            return Err(StoreError::LeaseLost(id.clone()));
        }
        Ok(entry)
    }

    /// What came of `request` before.
    fn requested(&self, request: &RequestKey) -> Option<Inserted> {
        let (fingerprint, run) = self.requests.get(&request.key)?;
        Some(if *fingerprint == request.fingerprint {
            Inserted::Before(run.clone())
        } else {
            Inserted::Differs
        })
    }

    fn remove(&mut self, id: &RunId) -> bool {
        self.note(id, None);
        self.requests.retain(|_, (_, run)| run != id);
        self.entries.remove(id).is_some()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn insert(
        &self,
        run: &Run,
        request: Option<&RequestKey>,
    ) -> Result<Inserted, StoreError> {
        let mut runs = self.runs();
        let id = run.id.clone();
        if let Some(before) = request.and_then(|request| runs.requested(request)) {
            return Ok(before);
        }
        if runs.entries.contains_key(&id) {
            return Err(StoreError::Exists(id));
        }
        if let Some(RequestKey { key, fingerprint }) = request.cloned() {
            runs.requests.insert(key, (fingerprint, id.clone()));
        }
        runs.entries.insert(
            id.clone(),
            Entry {
                run: run.clone(),
                inbox: Vec::new(),
                delivered: 0,
                lease: None,
                noted: None,
            },
        );
        runs.note(&id, run.next_due());
        Ok(Inserted::New)
    }

    async fn requested(&self, request: &RequestKey) -> Result<Option<Inserted>, StoreError> {
        Ok(self.runs().requested(request))
    }

    async fn get(&self, id: &RunId) -> Result<Option<Run>, StoreError> {
        Ok(self.runs().entries.get(id).map(|entry| entry.run.clone()))
    }

    async fn list(&self, query: &RunQuery) -> Result<Vec<Run>, StoreError> {
        let runs = self.runs();
        let mut found: Vec<(Cursor, &Run)> = runs
            .entries
            .values()
            .filter(|entry| query.describes(&entry.run))
            .map(|entry| (Cursor::of(&entry.run), &entry.run))
            .filter(|(place, _)| query.after.as_ref().is_none_or(|after| place < after))
            .collect();
        found.sort_by(|(a, _), (b, _)| b.cmp(a));
        let found = found.into_iter().take(query.limit);
        Ok(found.map(|(_, run)| run.clone()).collect())
    }

    async fn delete(&self, id: &RunId) -> Result<bool, StoreError> {
        Ok(self.runs().remove(id))
    }

    async fn forget(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError> {
        let mut runs = self.runs();
        let is_old = |run: &Run| {
            run.completed_at.is_some_and(|ended| ended < ended_before)
                || run.expires_at().is_some_and(|end| end <= now)
        };
        let old: Vec<RunId> = runs
            .entries
            .values()
            .filter(|entry| is_old(&entry.run))
            .map(|entry| entry.run.id.clone())
            .take(limit)
            .collect();
        for id in &old {
            runs.remove(id);
        }
        Ok(old)
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        let mut tally = Tally::new();
        for entry in self.runs().entries.values() {
            *tally.entry(entry.run.phase.name()).or_default() += 1;
        }
        Ok(tally)
    }

    async fn post(&self, id: &RunId, command: Command) -> Result<(), StoreError> {
        let mut runs = self.runs();
        let entry = runs
            .entries
            .get_mut(id)
            .ok_or_else(|| StoreError::NotFound(id.clone()))?;
        entry.inbox.push(command);
        if entry.lease.is_none() {
            runs.note(id, Some(Timestamp::MIN));
        }
        Ok(())
    }

    async fn lease_due(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Leased>, StoreError> {
        let mut runs = self.runs();
        let due: Vec<RunId> = runs
            .agenda
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(limit)
            .map(|(_, id)| id.clone())
            .collect();
        let mut leased = Vec::with_capacity(due.len());
        for id in due {
            runs.leases += 1;
            let lease = Lease(runs.leases);
            runs.note(&id, Some(until));
            let Some(entry) = runs.entries.get_mut(&id) else {
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

    async fn collect(&self, lease: Lease, id: &RunId) -> Result<Vec<Command>, StoreError> {
        let mut runs = self.runs();
        let entry = runs.held(lease, id)?;
        let fresh = entry.inbox[entry.delivered..].to_vec();
        entry.delivered = entry.inbox.len();
        Ok(fresh)
    }

    async fn save(&self, lease: Lease, run: &Run, next: Next) -> Result<(), StoreError> {
        let mut runs = self.runs();
        let entry = runs.held(lease, &run.id)?;
        entry.run = run.clone();
        entry.inbox.drain(..std::mem::take(&mut entry.delivered));
        match next {
            Next::Hold => {}
            Next::Release => {
                entry.lease = None;
                let due = if entry.inbox.is_empty() {
                    run.next_due()
                } else {
                    Some(Timestamp::MIN)
                };
                runs.note(&run.id, due);
            }
        }
        Ok(())
    }

    async fn renew(&self, lease: Lease, id: &RunId, until: Timestamp) -> Result<(), StoreError> {
        let mut runs = self.runs();
        runs.held(lease, id)?;
        runs.note(id, Some(until));
        Ok(())
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.runs().agenda.first().map(|(at, _)| *at))
    }
}

#[async_trait]
impl Records for MemoryStore {
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(self.kept().records.get(key).cloned())
    }

    async fn change(&self, changes: &[Change], now: Timestamp) -> Result<Vec<u64>, StoreError> {
        let mut kept = self.kept();
        // On a copy, so that a change that is refused undoes those before it.
        let (mut records, mut newest) = (kept.records.clone(), kept.versions);
        let mut versions = Vec::with_capacity(changes.len());
        for Change { key, expected, to } in changes {
            let found = records.get(key).map_or(0, |record| record.version);
            let is_expected = match expected {
                Expected::Anything => true,
                Expected::Absent => found == 0,
                Expected::Version(version) => found == *version,
            };
            if !is_expected {
                let key = key.clone();
                return Err(StoreError::Changed { key, found });
            }
            let body = match to {
                To::Body(body) => body,
                To::Gone => {
                    records.remove(key);
                    versions.push(0);
                    continue;
                }
                To::Same => {
                    versions.push(found);
                    continue;
                }
            };
            newest += 1;
            versions.push(newest);
            records.insert(
                key.clone(),
                Record {
                    key: key.clone(),
                    version: newest,
                    changed_at: now,
                    body: body.clone(),
                },
            );
        }
        kept.records = records;
        kept.versions = newest;
        Ok(versions)
    }

    async fn records(
        &self,
        kind: RecordKind,
        namespace: Option<&str>,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let kept = self.kept();
        let wanted = kept.records.values().filter(|record| {
            let key = &record.key;
            key.kind == kind
                && namespace.is_none_or(|it| it == key.namespace)
                && after.is_none_or(|after| (key.namespace.as_str(), key.name.as_str()) > after)
        });
        Ok(wanted.take(limit).cloned().collect())
    }
}
