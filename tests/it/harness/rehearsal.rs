//! An engine without any OAP.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use jiff::Timestamp;
use skygate::domain::run::{Run, RunId};
use skygate::engine::Engine;
use skygate::ports::{Clock, MetricSource, Store, StoreError};

use super::{FakeSource, FaultyStore, at_once};

/// More ticks than any run in a test takes: one that comes here never ends.
const TOO_MANY_TICKS: usize = 10_000;

/// An engine over a [`FaultyStore`] and a [`FakeSource`].
#[derive(Clone, Debug)]
pub(crate) struct Rehearsal {
    /// What the engine's store is around.
    pub(crate) kept: Arc<dyn Store>,
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) source: Arc<FakeSource>,
    pub(crate) engine: Engine,
    clock: Arc<dyn Clock>,
}

impl Rehearsal {
    /// Over a store that others may work on too.
    pub(crate) fn over(kept: Arc<dyn Store>, clock: Arc<dyn Clock>, source: FakeSource) -> Self {
        let store = Arc::new(FaultyStore::over(Arc::clone(&kept)));
        let source = Arc::new(source);
        let engine = Engine::new(
            Arc::clone(&clock),
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::clone(&source) as Arc<dyn MetricSource>,
        );
        Self {
            kept,
            store,
            source,
            engine,
            clock,
        }
    }

    /// What its clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Does what is due now; returns when something is due next.
    pub(crate) async fn tick(&self) -> Result<Option<Timestamp>, StoreError> {
        self.engine.tick(self.clock.now()).await
    }

    /// The same as a value that can be kept, and dropped before it is done.
    pub(crate) fn ticking(&self) -> Ticking {
        let (engine, now) = (self.engine.clone(), self.clock.now());
        Box::pin(async move { engine.tick(now).await })
    }

    /// Ticks at every moment at which anything is due until nothing is, whatever other engines do meanwhile.
    pub(crate) async fn play(&self, move_to: impl Fn(Timestamp)) {
        for _ in 0..TOO_MANY_TICKS {
            match self.tick().await.expect("a working store") {
                Some(due) => move_to(due),
                None => return,
            }
        }
        panic!("it goes on and on");
    }

    /// A run as it was last saved.
    #[expect(clippy::unused_async, reason = "as the store whose answer it is")]
    pub(crate) async fn get(&self, id: &RunId) -> Run {
        let run = at_once(self.kept.get(id)).expect("a working store");
        run.expect("a known run")
    }
}

/// A tick under way.
pub(crate) type Ticking =
    Pin<Box<dyn Future<Output = Result<Option<Timestamp>, StoreError>> + Send>>;

/// Lets `ticking` come as far as it does in so many steps, from one place where it waits to the next; its outcome if that is all it took.
pub(crate) async fn live_for(
    ticking: &mut Ticking,
    steps: usize,
) -> Option<Result<Option<Timestamp>, StoreError>> {
    for _ in 0..steps {
        let step = std::future::poll_fn(|context| Poll::Ready(ticking.as_mut().poll(context)));
        if let Poll::Ready(outcome) = step.await {
            return Some(outcome);
        }
        tokio::task::yield_now().await;
    }
    None
}
