//! Moves runs: leases what is due, performs its effects, saves what came of it.
//!
//! The engine takes no decision. [`run::step`](crate::domain::run::step) says what to measure; the engine saves the run that says so
//! *before* it acts, reads, and feeds the answers back. A process that dies in between leaves a run behind that knows what is outstanding.
//!
//! | what goes wrong | what becomes of the run |
//! | --- | --- |
//! | the process dies | once its lease is over another one goes on, or the same one started again; what was being measured is measured again |
//! | the store fails | it is asked again, for as long as a lease lasts; after that as if the process had died |
//! | the lease is lost | what its holder still brings is refused: nothing is counted twice |
//! | a measurement panics | it is an Error like any other failure to measure |
//! | a worker panics elsewhere | as if the process had died, for this run alone |

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};
use tracing::{Instrument, debug, error, info_span, warn};

use crate::domain::judge::judge;
use crate::domain::measurement::{Measurement, Phase};
use crate::domain::run::{Command, Effect, Event, Run, RunId, step};
use crate::ports::{Clock, Lease, Leased, MetricSource, Moment, Store, StoreError};

/// How long a lease lasts, in real time: a holder that hasn't renewed it by then is taken for dead.
const LEASE: Duration = Duration::from_mins(2);

/// How often a lease is renewed, in real time, while a measurement takes that long.
const RENEWAL: Duration = Duration::from_secs(30);

/// How many runs one engine works on at a time.
const WORKERS: usize = 256;

/// How long to wait before the store is asked again after it failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What moves runs. Clones share one engine.
#[derive(Clone, Debug)]
pub struct Engine {
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    source: Arc<dyn MetricSource>,
    wake: Arc<Notify>,
    changes: broadcast::Sender<RunId>,
}

impl Engine {
    /// An engine over these ports.
    pub fn new(
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        source: Arc<dyn MetricSource>,
    ) -> Self {
        let (changes, _) = broadcast::channel(256);
        Self {
            clock,
            store,
            source,
            wake: Arc::default(),
            changes,
        }
    }

    /// Accepts a run. Once this has returned, it will be judged.
    pub async fn start(&self, run: Run) -> Result<(), StoreError> {
        let id = run.id.clone();
        self.store.insert(run).await?;
        self.changed(id);
        self.wake.notify_one();
        Ok(())
    }

    /// Tells a run something from outside: to terminate, or when its version first took traffic.
    pub async fn post(&self, id: &RunId, command: Command) -> Result<(), StoreError> {
        self.store.post(id, command).await?;
        self.wake.notify_one();
        Ok(())
    }

    /// A run as it was last saved.
    pub async fn get(&self, id: &RunId) -> Result<Option<Run>, StoreError> {
        self.store.get(id).await
    }

    /// Names each run that changes from now on. A slow listener misses names, never the last state: ask [`Engine::get`].
    pub fn changes(&self) -> broadcast::Receiver<RunId> {
        self.changes.subscribe()
    }

    /// Works on everything that is due at `now`, to its end, and says when something is due next.
    pub async fn tick(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let leased = self
            .store
            .lease_due(now, self.lease_end(now), usize::MAX)
            .await?;
        for done in join_all(leased.into_iter().map(|leased| self.advance(leased))).await {
            done?;
        }
        self.store.next_due().await
    }

    /// Ticks until `stop` resolves, then finishes what is under way.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut workers = JoinSet::new();
        loop {
            let now = self.clock.now();
            let free = WORKERS - workers.len();
            let wait = match self.lease(now, free, &mut workers).await {
                Ok(wait) => wait,
                Err(failure) => {
                    error!(error = %failure, "failed to lease due runs");
                    Some(STORE_RETRY)
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.wake.notified() => {}
                Some(worked) = workers.join_next() => report(worked),
                () = self.sleep(wait), if wait.is_some() => {}
            }
        }
        while let Some(worked) = workers.join_next().await {
            report(worked);
        }
    }

    /// Hands due runs to workers; returns how long nothing else will be due.
    async fn lease(
        &self,
        now: Timestamp,
        free: usize,
        workers: &mut JoinSet<Result<(), StoreError>>,
    ) -> Result<Option<Duration>, StoreError> {
        if free == 0 {
            return Ok(None);
        }
        for leased in self.store.lease_due(now, self.lease_end(now), free).await? {
            let engine = self.clone();
            workers.spawn(async move { engine.advance(leased).await });
        }
        let next = self.store.next_due().await?;
        Ok(next.map(|due| Duration::try_from(due.duration_since(now)).unwrap_or(Duration::ZERO)))
    }

    async fn sleep(&self, wait: Option<Duration>) {
        if let Some(wait) = wait {
            self.clock.sleep(wait).await;
        }
    }

    /// Moves one leased run as far as it goes now, and gives it back.
    async fn advance(&self, leased: Leased) -> Result<(), StoreError> {
        let Leased {
            mut run,
            inbox,
            lease,
        } = leased;
        let id = run.id.clone();
        let span = info_span!("run", run.id = %id);
        async {
            for event in inbox.into_iter().map(Event::Command).chain([Event::Due]) {
                (run, _) = step(run, event, self.clock.now());
            }
            self.save(lease, &run).await?;

            // What an earlier holder left behind, and what has just been begun; nothing that a command has dropped.
            let mut measuring: FuturesUnordered<_> = run
                .outstanding()
                .into_iter()
                .map(|effect| self.perform(&run, effect))
                .collect();
            let mut renewal = interval_at(Instant::now() + RENEWAL, RENEWAL);
            while !measuring.is_empty() {
                tokio::select! {
                    biased;
                    Some(event) = measuring.next() => {
                        (run, _) = step(run, event, self.clock.now());
                        self.save(lease, &run).await?;
                    }
                    _ = renewal.tick() => self.renew(lease, &id).await?,
                }
            }
            self.insist(|| self.store.release(lease, &id)).await?;
            debug!(phase = %run.phase, next_due = ?run.next_due(), "gave the run back: {}", run.phase);
            self.wake.notify_one();
            Ok(())
        }
        .instrument(span)
        .await
    }

    async fn save(&self, lease: Lease, run: &Run) -> Result<(), StoreError> {
        self.insist(|| self.store.save(lease, run)).await?;
        self.changed(run.id.clone());
        Ok(())
    }

    async fn renew(&self, lease: Lease, id: &RunId) -> Result<(), StoreError> {
        self.insist(|| {
            self.store
                .renew(lease, id, self.lease_end(self.clock.now()))
        })
        .await
    }

    /// Asks a store that fails again, for as long as a lease lasts: no answer is given up for a moment's trouble.
    async fn insist<F>(&self, ask: impl Fn() -> F) -> Result<(), StoreError>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let end = self.lease_end(self.clock.now());
        loop {
            let asked = ask().await;
            let Err(failure @ StoreError::Broken(_)) = &asked else {
                return asked;
            };
            if self.clock.now() >= end {
                return asked;
            }
            warn!(error = %failure, "the store failed and is asked again");
            self.clock.sleep(STORE_RETRY).await;
        }
    }

    fn lease_end(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.clock.lasting(LEASE))
            .unwrap_or(Timestamp::MAX)
    }

    /// Takes the measurement that `run` asks for.
    fn perform(&self, run: &Run, effect: Effect) -> impl Future<Output = Event> + use<> {
        let Effect::Measure { metric, number } = effect;
        let (plan, not_before) = (Arc::clone(&run.plan), run.not_before);
        let (clock, source) = (Arc::clone(&self.clock), Arc::clone(&self.source));
        async move {
            let started_at = clock.now();
            let spec = &plan.metrics[metric];
            let moment = Moment {
                at: None,
                not_before,
            };
            let measured = AssertUnwindSafe(async {
                let reading = source.read(&spec.source, moment).await;
                judge(spec, reading, number, started_at, clock.now(), &plan.masker)
            });
            let measurement = measured
                .catch_unwind()
                .await
                .unwrap_or_else(|_| broken_off(number, started_at, clock.now()));
            debug!(
                metric = %spec.name,
                number,
                phase = %measurement.phase,
                "measured `{}` #{number}: {}",
                spec.name,
                measurement.phase
            );
            Event::Measured {
                metric,
                measurement,
            }
        }
    }

    fn changed(&self, id: RunId) {
        // Nobody listening is fine.
        let _ = self.changes.send(id);
    }
}

/// A measurement that ended in a panic. What it panicked about may hold secrets: that is the log's alone.
fn broken_off(number: u64, started_at: Timestamp, finished_at: Timestamp) -> Measurement {
    error!("measurement {number} panicked: a fault of this program");
    Measurement {
        number,
        phase: Phase::Error,
        counts: true,
        message: "it was broken off by a fault of Skygate's own, which its log shows".to_owned(),
        value: String::new(),
        started_at,
        finished_at: Some(finished_at),
        explanation: None,
    }
}

fn report(worked: Result<Result<(), StoreError>, tokio::task::JoinError>) {
    match worked {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => error!(error = %failure, "failed to save a run"),
        Err(panic) => error!(error = %panic, "a run's worker stopped"),
    }
}
