//! Two engines, one store, many runs, and what may happen to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use skygate::domain::run::{Command, RunId};
use skygate::engine::Engine;
use skygate::ports::{Clock, Inserted, MetricSource, RequestKey, RunQuery, Store, StoreError};
use skygate::store::{MemoryStore, SqliteStore};
use tempfile::TempDir;

use super::model::{Model, Models, Shape};
use super::source::{Attempts, TellingSource};
use crate::harness::{FaultyStore, HandClock, Ticking, at, at_once, live_for, planner, run_of};

/// What happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// Somebody starts a run, maybe as a request that was made before.
    Start(Shape, Option<u8>),
    /// Time passes, in seconds.
    Advance(u64),
    /// One of the engines does what is due.
    Tick(usize),
    /// One of the engines begins to, and dies after so many steps: before or after a save, an answer, a release.
    Die(usize, usize),
    /// One of the engines begins to, and is held up after so many steps.
    HoldUp(usize, usize),
    /// An engine that was held up goes on, knowing nothing of what happened meanwhile.
    GoOn(usize),
    /// Somebody terminates a run.
    Terminate(usize),
    /// Somebody says that a run's traffic came so many seconds after the start.
    NotBefore(usize, u64),
    /// Somebody deletes a run.
    Delete(usize),
    /// The store of an engine fails the next times that this is asked of it.
    Fail(usize, Method, usize),
    /// The store of an engine does as asked the next time, and fails to say so.
    LeaveUnanswered(usize, Method),
    /// The service is killed and started again; what lives in memory is another replica's store.
    Kill,
    /// Runs are forgotten that ended so many seconds ago.
    Sweep(u64),
    /// Nothing disturbs the engines until they have done everything that is due.
    Settle,
}

/// What a store can fail at, as [`FaultyStore`] names it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    Insert,
    LeaseDue,
    Save,
    Release,
    Collect,
    Renew,
    Post,
    Delete,
    Forget,
    NextDue,
}

impl Method {
    pub(super) const ALL: [Self; 10] = [
        Self::Insert,
        Self::LeaseDue,
        Self::Save,
        Self::Release,
        Self::Collect,
        Self::Renew,
        Self::Post,
        Self::Delete,
        Self::Forget,
        Self::NextDue,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::LeaseDue => "lease_due",
            Self::Save => "save",
            Self::Release => "release",
            Self::Collect => "collect",
            Self::Renew => "renew",
            Self::Post => "post",
            Self::Delete => "delete",
            Self::Forget => "forget",
            Self::NextDue => "next_due",
        }
    }
}

/// Where runs are kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Memory,
    Sqlite,
}

/// An engine, and the store that fails it.
struct Actor {
    engine: Engine,
    store: Arc<FaultyStore>,
}

/// Which runs to look at.
#[derive(Clone, Copy)]
enum Whom {
    All,
    Live,
}

/// How long a lease lasts, and a bit.
const LEASE: Duration = Duration::from_secs(121);

/// More ticks than it takes to settle.
const TOO_MANY_TICKS: usize = 10_000;

pub(super) struct World {
    clock: Arc<HandClock>,
    folder: Option<TempDir>,
    /// `None` for as long as it takes to open it again.
    kept: Option<Arc<dyn Store>>,
    actors: Vec<Actor>,
    attempts: Arc<Attempts>,
    held_up: Vec<Ticking>,
    models: Models,
    begun: usize,
    /// What became of requests that were answered.
    requests: BTreeMap<u8, String>,
    violations: Vec<String>,
}

impl World {
    pub(super) fn new(place: Place) -> Self {
        let folder = match place {
            Place::Memory => None,
            Place::Sqlite => Some(tempfile::tempdir().expect("a folder")),
        };
        let mut world = Self {
            clock: HandClock::new(),
            folder,
            kept: None,
            actors: Vec::new(),
            attempts: Arc::default(),
            held_up: Vec::new(),
            models: Models::new(),
            begun: 0,
            requests: BTreeMap::new(),
            violations: Vec::new(),
        };
        world.start_up();
        world
    }

    /// Opens the store, and starts two engines on it.
    fn start_up(&mut self) {
        let kept = match (&self.folder, self.kept.take()) {
            (Some(folder), kept) => {
                drop(kept);
                let path = folder.path().join("skygate.db");
                Arc::new(SqliteStore::open(&path, planner()).expect("nobody else has it"))
            }
            (None, Some(kept)) => kept,
            (None, None) => Arc::<MemoryStore>::default() as Arc<dyn Store>,
        };
        self.actors = (0..2).map(|_| self.actor(&kept)).collect();
        self.kept = Some(kept);
    }

    fn actor(&self, kept: &Arc<dyn Store>) -> Actor {
        let store = Arc::new(FaultyStore::over(Arc::clone(kept)));
        let source = TellingSource {
            attempts: Arc::clone(&self.attempts),
            kept: Arc::clone(kept),
            clock: Arc::clone(&self.clock),
        };
        let engine = Engine::new(
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::new(source) as Arc<dyn MetricSource>,
        );
        Actor { engine, store }
    }

    fn kept(&self) -> &dyn Store {
        self.kept.as_deref().expect("it is open")
    }

    pub(super) async fn live(&mut self, op: Op) {
        match op {
            Op::Start(shape, request) => self.start(shape, request).await,
            Op::Advance(seconds) => self.clock.advance(Duration::from_secs(seconds)),
            Op::Tick(actor) => {
                let outcome = self.tick(actor).await;
                self.accept(outcome);
            }
            Op::Die(actor, steps) => {
                let mut tick = self.ticking(actor);
                if let Some(outcome) = live_for(&mut tick, steps).await {
                    self.accept(outcome);
                }
            }
            Op::HoldUp(actor, steps) => {
                let mut tick = self.ticking(actor);
                match live_for(&mut tick, steps).await {
                    Some(outcome) => self.accept(outcome),
                    None => self.held_up.push(tick),
                }
            }
            Op::GoOn(which) => {
                if !self.held_up.is_empty() {
                    let tick = self.held_up.remove(which % self.held_up.len());
                    let outcome = tick.await;
                    self.accept(outcome);
                }
            }
            Op::Terminate(which) => self.post(which, Command::Terminate).await,
            Op::NotBefore(which, seconds) => {
                self.post(which, Command::NotBefore(at(seconds))).await;
            }
            Op::Delete(which) => self.delete(which).await,
            Op::Fail(actor, method, times) => {
                self.actors[actor].store.fail(method.name(), times);
            }
            Op::LeaveUnanswered(actor, method) => {
                self.actors[actor].store.leave_unanswered(method.name());
            }
            Op::Kill => {
                self.held_up.clear();
                self.actors.clear();
                self.start_up();
            }
            Op::Sweep(seconds) => self.sweep(seconds).await,
            Op::Settle => self.settle().await,
        }
    }

    async fn tick(&self, actor: usize) -> Result<Option<Timestamp>, StoreError> {
        self.actors[actor].engine.tick(self.clock.now()).await
    }

    fn ticking(&self, actor: usize) -> Ticking {
        let (engine, now) = (self.actors[actor].engine.clone(), self.clock.now());
        Box::pin(async move { engine.tick(now).await })
    }

    /// A tick may find a lease lost, a run gone, or a store that was told to fail.
    fn accept(&mut self, outcome: Result<Option<Timestamp>, StoreError>) {
        match outcome {
            Ok(_)
            | Err(StoreError::LeaseLost(_) | StoreError::NotFound(_) | StoreError::Broken(_)) => {}
            Err(failure) => self.violations.push(failure.to_string()),
        }
    }

    async fn start(&mut self, shape: Shape, request: Option<u8>) {
        let id = format!("r{}", self.begun);
        self.begun += 1;
        let run = run_of(&id, &shape.plan(&id), self.clock.now());
        let key = request.map(|request| RequestKey {
            key: request.to_string(),
            fingerprint: "same".to_owned(),
        });
        let engine = &self.actors[0].engine;
        let started = engine.start_once(&run, key.as_ref()).await;
        let before = request.and_then(|request| self.requests.get(&request).cloned());
        match started {
            Ok(Inserted::New) => {
                let is_free = before.as_ref().is_none_or(|id| self.models[id].may_be_gone);
                if !is_free {
                    self.violations
                        .push(format!("request {request:?} was {before:?}, and is {id}"));
                }
                let mut model = Model::new(shape);
                model.is_accepted = true;
                self.models.insert(id.clone(), model);
                request.map(|request| self.requests.insert(request, id));
            }
            Ok(Inserted::Before(found)) => {
                // What was never answered may have been done.
                if let Some(model) = self.models.get_mut(&found.0) {
                    model.is_accepted = !model.is_gone;
                }
                let is_known = before
                    .is_none_or(|before| before == found.0 || self.models[&before].may_be_gone);
                if !is_known {
                    self.violations
                        .push(format!("request {request:?} is {found}"));
                }
                request.map(|request| self.requests.insert(request, found.0));
            }
            Ok(Inserted::Differs) => self.violations.push("the same request differs".to_owned()),
            Err(StoreError::Broken(_)) => {
                self.models.insert(id, Model::new(shape));
            }
            Err(failure) => self.violations.push(failure.to_string()),
        }
    }

    /// Some run that may be there.
    fn some(&self, which: usize) -> Option<String> {
        let mut ids = self.models.iter().filter(|(_, model)| !model.is_gone);
        let count = ids.clone().count();
        let (id, _) = ids.nth(which.checked_rem(count)?)?;
        Some(id.clone())
    }

    async fn post(&mut self, which: usize, command: Command) {
        let Some(id) = self.some(which) else { return };
        let run = RunId(id.clone());
        let posted = self.actors[which % 2].engine.post(&run, command).await;
        let model = self.models.get_mut(&id).expect("it is known");
        let is_heard = posted.is_ok();
        match posted {
            Ok(()) | Err(StoreError::Broken(_)) => match command {
                Command::Terminate => {
                    model.may_be_terminated = true;
                    model.is_terminated |= is_heard;
                }
                Command::NotBefore(moment) => {
                    model.not_before.push(moment);
                    model.has_not_before |= is_heard;
                }
                Command::Conclude | Command::NoTrafficBefore(_) => {
                    unreachable!("nobody posts these here")
                }
            },
            Err(StoreError::NotFound(_)) if model.may_be_gone || !model.is_accepted => {}
            Err(failure) => self.violations.push(failure.to_string()),
        }
    }

    async fn delete(&mut self, which: usize) {
        let Some(id) = self.some(which) else { return };
        let run = RunId(id.clone());
        let deleted = self.actors[which % 2].engine.delete(&run).await;
        let model = self.models.get_mut(&id).expect("it is known");
        let was_sure = model.is_accepted && !model.may_be_gone;
        model.may_be_gone = true;
        match deleted {
            Ok(was_there) => {
                model.is_gone = true;
                if !was_there && was_sure {
                    self.violations
                        .push(format!("{id} was accepted, and is gone"));
                }
            }
            Err(StoreError::Broken(_)) => {}
            Err(failure) => self.violations.push(failure.to_string()),
        }
    }

    async fn sweep(&mut self, seconds: u64) {
        let now = self.clock.now();
        let before = now
            .checked_sub(Duration::from_secs(seconds))
            .expect("a moment");
        let runs = at_once(self.kept().list(&RunQuery {
            limit: usize::MAX,
            ..RunQuery::default()
        }));
        let old: BTreeSet<String> = runs
            .expect("a working store")
            .into_iter()
            .filter(|run| run.completed_at.is_some_and(|ended| ended < before))
            .map(|run| run.id.0)
            .collect();
        let swept = self.actors[0]
            .engine
            .sweep(Duration::from_secs(seconds), 1_000)
            .await;
        for id in &old {
            let model = self.models.get_mut(id).expect("it is known");
            model.may_be_gone = true;
            model.is_gone |= swept.is_ok();
        }
        match swept {
            Ok(count) if count == old.len() => {}
            Ok(count) => self
                .violations
                .push(format!("{count} were swept, not {old:?}")),
            Err(StoreError::Broken(_)) => {}
            Err(failure) => self.violations.push(failure.to_string()),
        }
    }

    /// Lets every engine go on and the leases of the dead end; then whatever is due has been done.
    async fn settle(&mut self) {
        for tick in std::mem::take(&mut self.held_up) {
            let outcome = tick.await;
            self.accept(outcome);
        }
        for actor in &self.actors {
            actor.store.mend();
        }
        self.clock.advance(LEASE);
        for round in 0..TOO_MANY_TICKS {
            let outcome = self.tick(round % 2).await;
            self.look(Whom::Live);
            match outcome {
                Ok(Some(due)) if due <= self.clock.now() => {}
                Ok(_) => break,
                // Nobody else is there who could have taken a lease.
                Err(failure) => self.violations.push(failure.to_string()),
            }
            if round + 1 == TOO_MANY_TICKS {
                self.violations.push("it goes on and on".to_owned());
            }
        }
        let now = self.clock.now();
        let kept = self.kept();
        let mut wrong = Vec::new();
        let mut count = 0;
        for (id, model) in &self.models {
            let Some(run) = at_once(kept.get(&RunId(id.clone()))).expect("a working store") else {
                continue;
            };
            count += 1;
            if let Err(violation) = model.check_settled(&run, now) {
                wrong.push(format!("{id}: {violation}"));
            }
        }
        let tally = at_once(kept.tally()).expect("a working store");
        let counted: u64 = tally.values().sum();
        if counted != count {
            wrong.push(format!("{counted} runs are counted, and there are {count}"));
        }
        self.violations.extend(wrong);
    }

    /// What holds at any moment.
    pub(super) fn check(&mut self) -> TestCaseResult {
        self.look(Whom::All);
        self.outcome()
    }

    /// The same of the runs that are under way: those that are over are looked at when everything settles.
    pub(super) fn check_live(&mut self) -> TestCaseResult {
        self.look(Whom::Live);
        self.outcome()
    }

    fn outcome(&self) -> TestCaseResult {
        match self.violations.first() {
            None => Ok(()),
            Some(violation) => Err(TestCaseError::fail(violation.clone())),
        }
    }

    fn look(&mut self, whom: Whom) {
        let kept = Arc::clone(self.kept.as_ref().expect("it is open"));
        for (id, model) in &mut self.models {
            let is_looked_at = match whom {
                Whom::All => true,
                Whom::Live => !model.is_over() && !model.is_gone,
            };
            if !is_looked_at {
                continue;
            }
            let found = at_once(kept.get(&RunId(id.clone()))).expect("a working store");
            let checked = match found {
                Some(_) if model.is_gone => Err("it is gone, and is there".to_owned()),
                Some(run) => model.check(&run, &self.attempts),
                None if model.is_accepted && !model.may_be_gone => {
                    Err("it was accepted, and is not there".to_owned())
                }
                None => Ok(()),
            };
            if let Err(violation) = checked {
                self.violations.push(format!("{id}: {violation}"));
            }
        }
    }

    /// Lets time pass, undisturbed, until nothing is left to do.
    pub(super) async fn finish(&mut self) -> TestCaseResult {
        for _ in 0..TOO_MANY_TICKS {
            self.settle().await;
            self.check()?;
            match at_once(self.kept().next_due()).expect("a working store") {
                Some(due) => self.clock.move_to(due),
                None => return Ok(()),
            }
        }
        Err(TestCaseError::fail("some run never ends"))
    }
}
