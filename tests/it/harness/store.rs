//! A store that fails, and in which one can die.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use jiff::Timestamp;
use skygate::domain::analysis::Analysis;
use skygate::domain::plan::{Overrides, Plan, Server};
use skygate::domain::run::{Command, Run, RunId};
use skygate::ports::{
    Inserted, Lease, Leased, Next, RequestKey, RunQuery, Store, StoreError, Tally,
};
use skygate::store::{Planner, SqliteStore};

/// Makes a store of one kind.
pub(crate) type Make = fn() -> Arc<dyn Store>;

/// Runs these tests over stores of every kind; each takes a [`Make`].
macro_rules! over_every_store {
    (#[$attribute:meta] $($test:ident),* $(,)?) => {
        mod in_memory {
            $(#[$attribute]
            async fn $test() {
                super::$test(|| std::sync::Arc::new(skygate::store::MemoryStore::default())).await;
            })*
        }

        mod in_sqlite {
            $(#[$attribute]
            async fn $test() {
                super::$test(crate::harness::sqlite).await;
            })*
        }
    };
}
pub(crate) use over_every_store;

/// Plans once more what [`super::fake_plan`] has planned.
pub(crate) fn planner() -> Arc<Planner> {
    Arc::new(|analysis: &Analysis| {
        let server = Some(Server::Named("fake".to_owned()));
        Plan::make_again(analysis, &Overrides { server }, &|_, _, _| {
            Err("there are none".to_owned())
        })
    })
}

/// A store in SQLite that knows the plans of [`super::fake_plan`].
pub(crate) fn sqlite() -> Arc<dyn Store> {
    Arc::new(SqliteStore::in_memory(planner()).expect("a store in memory"))
}

/// What `future` comes to, without anybody else's getting a turn meanwhile: a store with threads of its own answers as one in memory does,
/// so that tests step through both alike, and a paused runtime doesn't take waiting for a thread for having nothing to do.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return answer;
        }
        std::thread::yield_now();
    }
}

/// A store that takes its time: whoever asks can be dropped before anything is done, and after that but before he hears of it.
/// It fails where it is told to.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    faults: Mutex<Vec<(&'static str, Fault)>>,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Broken,
    /// It does as asked, and fails to say so.
    Unanswered,
    Panic,
}

impl FaultyStore {
    /// Around `inner`.
    pub(crate) fn over(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            faults: Mutex::default(),
        }
    }

    /// The next `times` calls of `method` fail as those of a store in trouble do.
    pub(crate) fn fail(&self, method: &'static str, times: usize) {
        self.add(method, Fault::Broken, times);
    }

    /// The next call of `method` does as asked, and fails all the same.
    pub(crate) fn leave_unanswered(&self, method: &'static str) {
        self.add(method, Fault::Unanswered, 1);
    }

    /// No call fails any more.
    pub(crate) fn mend(&self) {
        self.faults.lock().expect("no panic").clear();
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
        let fault = self.take(method);
        match fault {
            Some(Fault::Broken) => return Err(StoreError::Broken("as told".to_owned())),
            Some(Fault::Panic) => panic!("as told"),
            Some(Fault::Unanswered) | None => {}
        }
        let answer = at_once(call);
        tokio::task::yield_now().await;
        match fault {
            Some(_) => Err(StoreError::Broken("it was done".to_owned())),
            None => answer,
        }
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

    async fn probe(&self) -> Result<(), StoreError> {
        self.call("probe", self.inner.probe()).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.call("next_due", self.inner.next_due()).await
    }
}
