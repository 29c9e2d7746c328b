//! Ports with a stopwatch: what passes through them is timed and counted, and otherwise left alone.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

use super::Metrics;
use crate::domain::plan::SourcePlan;
use crate::domain::reading::{Reading, SourceError};
use crate::domain::run::{Command, Run, RunId};
use crate::ports::{
    Change, Inserted, Lease, Leased, MetricSource, Moment, Next, Record, RecordKey, RecordKind,
    Records, RequestKey, RunQuery, Store, StoreError, Tally,
};

/// A source of metrics whose readings are timed.
#[derive(Debug)]
pub struct ObservedSource {
    source: Arc<dyn MetricSource>,
    metrics: Arc<Metrics>,
}

impl ObservedSource {
    /// `source`, as `metrics` sees it.
    pub fn new(source: Arc<dyn MetricSource>, metrics: Arc<Metrics>) -> Self {
        Self { source, metrics }
    }
}

#[async_trait]
impl MetricSource for ObservedSource {
    async fn read(&self, source: &SourcePlan, moment: Moment) -> Reading {
        let begun = Instant::now();
        let reading = self.source.read(source, moment).await;
        let error = reading.answer.as_ref().err().map(|error| error.class);
        self.metrics.read(&reading.server, error, begun.elapsed());
        reading
    }

    fn admits(&self, source: &SourcePlan) -> Result<(), SourceError> {
        self.source.admits(source)
    }

    fn trouble(&self, source: &SourcePlan) -> Option<SourceError> {
        self.source.trouble(source)
    }
}

/// What a store can be called for, one of runs or one of records.
pub(super) const OPERATIONS: [&str; 17] = [
    "insert",
    "requested",
    "get",
    "list",
    "delete",
    "forget",
    "tally",
    "post",
    "lease_due",
    "collect",
    "save",
    "renew",
    "probe",
    "next_due",
    "read",
    "change",
    "records",
];

/// A store whose calls are timed: one of runs, or one of records.
#[derive(Debug)]
pub struct ObservedStore<S: ?Sized> {
    store: Arc<S>,
    metrics: Arc<Metrics>,
}

impl<S: ?Sized> ObservedStore<S> {
    /// `store`, as `metrics` sees it.
    pub fn new(store: Arc<S>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    async fn timed<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let answer = call.await;
        let failed = matches!(
            answer,
            Err(StoreError::Broken(_) | StoreError::Unreadable(..))
        );
        self.metrics.stored(operation, failed, begun.elapsed());
        answer
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for ObservedStore<S> {
    async fn insert(
        &self,
        run: &Run,
        request: Option<&RequestKey>,
    ) -> Result<Inserted, StoreError> {
        self.timed("insert", self.store.insert(run, request)).await
    }

    async fn requested(&self, request: &RequestKey) -> Result<Option<Inserted>, StoreError> {
        self.timed("requested", self.store.requested(request)).await
    }

    async fn get(&self, id: &RunId) -> Result<Option<Run>, StoreError> {
        self.timed("get", self.store.get(id)).await
    }

    async fn list(&self, query: &RunQuery) -> Result<Vec<Run>, StoreError> {
        self.timed("list", self.store.list(query)).await
    }

    async fn delete(&self, id: &RunId) -> Result<bool, StoreError> {
        self.timed("delete", self.store.delete(id)).await
    }

    async fn forget(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError> {
        self.timed("forget", self.store.forget(ended_before, now, limit))
            .await
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        self.timed("tally", self.store.tally()).await
    }

    async fn post(&self, id: &RunId, command: Command) -> Result<(), StoreError> {
        self.timed("post", self.store.post(id, command)).await
    }

    async fn lease_due(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Leased>, StoreError> {
        self.timed("lease_due", self.store.lease_due(now, until, limit))
            .await
    }

    async fn collect(&self, lease: Lease, id: &RunId) -> Result<Vec<Command>, StoreError> {
        self.timed("collect", self.store.collect(lease, id)).await
    }

    async fn save(&self, lease: Lease, run: &Run, next: Next) -> Result<(), StoreError> {
        self.timed("save", self.store.save(lease, run, next)).await
    }

    async fn renew(&self, lease: Lease, id: &RunId, until: Timestamp) -> Result<(), StoreError> {
        self.timed("renew", self.store.renew(lease, id, until))
            .await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.timed("probe", self.store.probe()).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.timed("next_due", self.store.next_due()).await
    }
}

#[async_trait]
impl<S: Records + ?Sized> Records for ObservedStore<S> {
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.timed("read", self.store.read(key)).await
    }

    async fn change(&self, changes: &[Change], now: Timestamp) -> Result<Vec<u64>, StoreError> {
        self.timed("change", self.store.change(changes, now)).await
    }

    async fn records(
        &self,
        kind: RecordKind,
        namespace: Option<&str>,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let records = self.store.records(kind, namespace, after, limit);
        self.timed("records", records).await
    }
}
