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

mod board;
mod desks;
mod nudges;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, interval_at};
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::domain::judge::judge;
use crate::domain::measurement::{Measurement, Phase};
use crate::domain::run::{Command, Effect, Event, Run, RunId, step};
use crate::ports::{
    Clock, Inserted, Lease, Leased, MetricSource, Moment, Next, Observer, RequestKey, Store,
    StoreError,
};

use board::Board;
use nudges::{Listening, Nudges};

pub use board::Watched;
pub use desks::{Desks, DesksError, Kept, News};

/// How long a lease lasts, in real time: a holder that hasn't renewed it by then is taken for dead.
const LEASE: Duration = Duration::from_mins(2);

/// How often a lease is renewed, in real time, while a measurement takes that long.
const RENEWAL: Duration = Duration::from_secs(30);

/// How many runs one engine works on at a time. Nearly all of that is waiting: for an OAP's turn, and for half a minute for one that is away.
/// Whoever else is due shall not wait for that.
const WORKERS: usize = 2_048;

/// How long to wait before the store is asked again after it failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What moves runs. Clones share one engine.
#[derive(Clone, Debug)]
pub struct Engine {
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    source: Arc<dyn MetricSource>,
    wake: Arc<Notify>,
    nudges: Arc<Nudges>,
    board: Arc<Board>,
    observer: Arc<dyn Observer>,
}

impl Engine {
    /// An engine over these ports.
    pub fn new(
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        source: Arc<dyn MetricSource>,
    ) -> Self {
        Self {
            clock,
            store,
            source,
            wake: Arc::default(),
            nudges: Arc::default(),
            board: Arc::default(),
            observer: Arc::new(()),
        }
    }

    /// The same engine with `observer` looking on.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Accepts a run. Once this has returned, it will be judged.
    pub async fn start(&self, run: &Run) -> Result<(), StoreError> {
        self.start_once(run, None).await.map(drop)
    }

    /// Accepts a run, unless `request` has been made before.
    pub async fn start_once(
        &self,
        run: &Run,
        request: Option<&RequestKey>,
    ) -> Result<Inserted, StoreError> {
        let inserted = self.store.insert(run, request).await?;
        if inserted == Inserted::New {
            self.observer.taken_up(run);
            self.wake.notify_one();
        }
        Ok(inserted)
    }

    /// Tells a run something from outside: to terminate, or when its version first took traffic. What is being measured is not waited for.
    pub async fn post(&self, id: &RunId, command: Command) -> Result<(), StoreError> {
        self.store.post(id, command).await?;
        self.nudges.nudge(id);
        self.wake.notify_one();
        Ok(())
    }

    /// Forgets a run, whether it is over or not. `false`: there is none.
    pub async fn delete(&self, id: &RunId) -> Result<bool, StoreError> {
        let was_there = self.store.delete(id).await?;
        self.board.take_down(id);
        self.observer.forgotten(std::slice::from_ref(id));
        self.nudges.nudge(id);
        Ok(was_there)
    }

    /// Forgets up to `limit` runs that ended longer than `retain` ago, or whose own `ttlStrategy` lets them go. Says how many.
    pub async fn sweep(&self, retain: Duration, limit: usize) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let ended_before = now.checked_sub(retain).unwrap_or(Timestamp::MIN);
        let forgotten = self.store.forget(ended_before, now, limit).await?;
        for id in &forgotten {
            self.board.take_down(id);
        }
        self.observer.forgotten(&forgotten);
        Ok(forgotten.len())
    }

    /// A run as it was last saved, to look at it and to wait for changes; `None`: there is none.
    pub async fn watch(&self, id: &RunId) -> Result<Option<Watched>, StoreError> {
        self.board.watch(id, self.store.as_ref()).await
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
            while let Some(worked) = workers.try_join_next() {
                report(worked);
            }
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
        self.observer.taken_up(&run);
        let id = run.id.clone();
        let span = info_span!("run", run.id = %id);
        async {
            let nudged = self.nudges.listen(&id);
            let mut was_over = run.phase.is_over();
            for event in inbox.into_iter().map(Event::Command) {
                (run, _) = step(run, event, self.clock.now());
            }
            run = self.begin(run);
            // What an earlier holder left behind, and what has just been begun; nothing that a command has dropped.
            let mut measuring: FuturesUnordered<_> = run
                .outstanding()
                .into_iter()
                .map(|effect| self.perform(&run, effect))
                .collect();
            let mut renewal = interval_at(Instant::now() + RENEWAL, RENEWAL);
            loop {
                let next = if measuring.is_empty() {
                    Next::Release
                } else {
                    Next::Hold
                };
                self.save(lease, &run, next).await?;
                if run.phase.is_over() && !std::mem::replace(&mut was_over, true) {
                    self.observer.ended(&run);
                    info!(phase = %run.phase, run.namespace, run.name, "run `{id}` ended: {}", run.phase);
                }
                if next == Next::Release {
                    break;
                }
                for event in self.await_events(lease, &id, &mut measuring, &nudged, &mut renewal).await? {
                    run = self.take_in(run, event);
                }
                // A command may have dropped what is being measured.
                if run.outstanding().is_empty() {
                    measuring.clear();
                }
            }
            debug!(phase = %run.phase, next_due = ?run.next_due(), "gave the run back: {}", run.phase);
            self.wake.notify_one();
            Ok(())
        }
        .instrument(span)
        .await
    }

    /// Begins what is due.
    fn begin(&self, run: Run) -> Run {
        let now = self.clock.now();
        let due: Vec<Option<Timestamp>> = run.metrics.iter().map(|metric| metric.due_at).collect();
        let (run, begun) = step(run, Event::Due, now);
        for Effect::Measure { metric, .. } in begun {
            let due = due[metric].unwrap_or(run.created_at);
            let late = Duration::try_from(now.duration_since(due));
            self.observer.began(late.unwrap_or_default());
        }
        run
    }

    /// Takes in what has happened to a leased run.
    fn take_in(&self, run: Run, event: Event) -> Run {
        let measured = match &event {
            Event::Measured {
                metric,
                measurement,
            } => Some((*metric, measurement.phase)),
            Event::Due | Event::Command(_) => None,
        };
        let (run, _) = step(run, event, self.clock.now());
        if let Some((metric, phase)) = measured {
            self.observer.measured(&run, metric, phase);
        }
        run
    }

    /// Waits for what changes a leased run: an answer, or commands. Keeps the lease meanwhile.
    async fn await_events(
        &self,
        lease: Lease,
        id: &RunId,
        measuring: &mut FuturesUnordered<impl Future<Output = Event>>,
        nudged: &Listening<'_>,
        renewal: &mut Interval,
    ) -> Result<Vec<Event>, StoreError> {
        loop {
            tokio::select! {
                biased;
                Some(event) = measuring.next() => return Ok(vec![event]),
                () = nudged.heard() => {
                    let commands = self.insist(|| self.store.collect(lease, id)).await?;
                    if !commands.is_empty() {
                        return Ok(commands.into_iter().map(Event::Command).collect());
                    }
                }
                _ = renewal.tick() => self.renew(lease, id).await?,
            }
        }
    }

    async fn save(&self, lease: Lease, run: &Run, next: Next) -> Result<(), StoreError> {
        let saved = self.insist(|| self.store.save(lease, run, next)).await;
        if let Err(StoreError::NotFound(id)) = &saved {
            // Whoever looks on may have heard of it since it was.
            self.observer.forgotten(std::slice::from_ref(id));
        }
        saved?;
        self.board.post(run);
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
    async fn insist<T, F>(&self, ask: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
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
                if let Some(why) = &plan.unready {
                    return unready(why, number, started_at);
                }
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
}

/// A measurement by a plan that cannot be carried out for now.
fn unready(why: &str, number: u64, at: Timestamp) -> Measurement {
    error_without_reading(why.to_owned(), number, at, at)
}

/// A measurement that ended in a panic. What it panicked about may hold secrets: that is the log's alone.
fn broken_off(number: u64, started_at: Timestamp, finished_at: Timestamp) -> Measurement {
    error!("measurement {number} panicked: a fault of this program");
    let message = "it was broken off by a fault of Skygate's own, which its log shows";
    error_without_reading(message.to_owned(), number, started_at, finished_at)
}

fn error_without_reading(
    message: String,
    number: u64,
    started_at: Timestamp,
    finished_at: Timestamp,
) -> Measurement {
    Measurement {
        number,
        phase: Phase::Error,
        counts: true,
        message,
        value: String::new(),
        started_at,
        finished_at: Some(finished_at),
        explanation: None,
    }
}

fn report(worked: Result<Result<(), StoreError>, tokio::task::JoinError>) {
    match worked {
        Ok(Ok(())) => {}
        // Somebody has deleted it while it was worked on.
        Ok(Err(failure @ StoreError::NotFound(_))) => debug!(error = %failure, "a run is gone"),
        Ok(Err(failure)) => error!(error = %failure, "failed to save a run"),
        Err(panic) => error!(error = %panic, "a run's worker stopped"),
    }
}
