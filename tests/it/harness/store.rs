//! A store that fails, and in which one can die.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use skygate::domain::run::{Command, Run, RunId};
use skygate::ports::{
    Inserted, Lease, Leased, Next, RequestKey, RunQuery, Store, StoreError, Tally,
};
use skygate::store::MemoryStore;

/// A store in memory that takes its time as a real one does: whoever asks can be dropped before anything is done, and after that
/// but before he hears of it. It fails where it is told to.
#[derive(Debug, Default)]
pub(crate) struct FaultyStore {
    inner: Arc<MemoryStore>,
    faults: Mutex<Vec<(&'static str, Fault)>>,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Broken,
    Panic,
}

impl FaultyStore {
    /// Around `inner`.
    pub(crate) fn over(inner: Arc<MemoryStore>) -> Self {
        Self {
            inner,
            faults: Mutex::default(),
        }
    }

    /// The next `times` calls of `method` fail as those of a store in trouble do.
    pub(crate) fn fail(&self, method: &'static str, times: usize) {
        self.add(method, Fault::Broken, times);
    }

    /// The next call of `method` panics.
    pub(crate) fn panic(&self, method: &'static str) {
        self.add(method, Fault::Panic, 1);
    }

    /// Whether every fault that was asked for has happened.
    pub(crate) fn has_failed(&self) -> bool {
        self.faults.lock().expect("no panic").is_empty()
    }

    fn add(&self, method: &'static str, fault: Fault, times: usize) {
        let mut faults = self.faults.lock().expect("no panic");
        faults.extend(std::iter::repeat_n((method, fault), times));
    }

    fn take(&self, method: &'static str) -> Option<Fault> {
        let mut faults = self.faults.lock().expect("no panic");
        let next = faults.iter().position(|(of, _)| *of == method)?;
        Some(faults.remove(next).1)
    }

    async fn call<T>(
        &self,
        method: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::task::yield_now().await;
        match self.take(method) {
            Some(Fault::Broken) => return Err(StoreError::Broken("as told".to_owned())),
            Some(Fault::Panic) => panic!("as told"),
            None => {}
        }
        let answer = call.await;
        tokio::task::yield_now().await;
        answer
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn insert(
        &self,
        run: &Run,
        request: Option<&RequestKey>,
    ) -> Result<Inserted, StoreError> {
        self.call("insert", self.inner.insert(run, request)).await
    }

    async fn requested(&self, request: &RequestKey) -> Result<Option<Inserted>, StoreError> {
        self.call("requested", self.inner.requested(request)).await
    }

    async fn get(&self, id: &RunId) -> Result<Option<Run>, StoreError> {
        self.call("get", self.inner.get(id)).await
    }

    async fn list(&self, query: &RunQuery) -> Result<Vec<Run>, StoreError> {
        self.call("list", self.inner.list(query)).await
    }

    async fn delete(&self, id: &RunId) -> Result<bool, StoreError> {
        self.call("delete", self.inner.delete(id)).await
    }

    async fn forget(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError> {
        self.call("forget", self.inner.forget(ended_before, now, limit))
            .await
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        self.call("tally", self.inner.tally()).await
    }

    async fn post(&self, id: &RunId, command: Command) -> Result<(), StoreError> {
        self.call("post", self.inner.post(id, command)).await
    }

    async fn lease_due(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Leased>, StoreError> {
        self.call("lease_due", self.inner.lease_due(now, until, limit))
            .await
    }

    async fn collect(&self, lease: Lease, id: &RunId) -> Result<Vec<Command>, StoreError> {
        self.call("collect", self.inner.collect(lease, id)).await
    }

    /// A save that gives the lease back goes by the name `release` here.
    async fn save(&self, lease: Lease, run: &Run, next: Next) -> Result<(), StoreError> {
        let method = match next {
            Next::Hold => "save",
            Next::Release => "release",
        };
        self.call(method, self.inner.save(lease, run, next)).await
    }

    async fn renew(&self, lease: Lease, id: &RunId, until: Timestamp) -> Result<(), StoreError> {
        self.call("renew", self.inner.renew(lease, id, until)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.call("next_due", self.inner.next_due()).await
    }
}
