//! Everything around a stepper, in one process and on one clock that runs by itself: desks, an engine, roads, a hook.
//! Any of it can be out of reach, and every call that changes something is a place to die.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use skygate::clock::FastClock;
use skygate::domain::plan::Server;
use skygate::domain::rollout::desk::{Desk, DeskError, Lease};
use skygate::domain::rollout::{
    AnalysisRequest, Command, Rollout, RolloutSpec, Seen, Settings, Version, Weight,
};
use skygate::domain::run::{Command as RunCommand, Run, RunId};
use skygate::engine::{Desks, DesksError, Engine};
use skygate::ports::{
    Change, Clock, Expected, Hook, HookAnswer, HookCall, Inserted, MetricSource, Observed,
    RecordKey, RecordKind, Records, RequestKey, RouterError, RunQuery, Shift, Shifted, Store, To,
    TrafficRouter,
};
use skygate::stepper::{
    Ended, Look, Orders, Scene, Service, ServiceError, Sheet, Stepper, StepperError,
};
use skygate::store::MemoryStore;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::harness::{FakeSource, metric, plan_of, start};

pub(super) const NAMESPACE: &str = "bookinfo";
pub(super) const NAME: &str = "reviews";

/// No rollout in a test takes longer.
const TOO_LONG: Duration = Duration::from_hours(12);

/// A rollout's surroundings.
pub(super) struct World {
    pub(super) clock: Arc<FastClock>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) desks: Desks,
    pub(super) engine: Engine,
    pub(super) roads: Arc<Roads>,
    pub(super) hook: Arc<Errand>,
    pub(super) perils: Arc<Perils>,
    /// The fields of the metric that analyses measure.
    pub(super) metric: &'static str,
    _engine: JoinSet<()>,
}

/// What can go wrong.
#[derive(Debug, Default)]
pub(super) struct Perils {
    passed: AtomicUsize,
    /// At which pass its stepper dies; 0: never.
    fatal: AtomicUsize,
    died: Notify,
    service_away: AtomicBool,
    /// Whether runs cannot be begun or looked at, and everything else can.
    pub(super) runs_away: AtomicBool,
    /// Whether the service falls silent once it has kept that all steps are done, before it can say so.
    pub(super) silent_at_the_end: AtomicBool,
    /// How long the service takes to keep a record, in seconds.
    pub(super) slowness: AtomicU64,
    pub(super) roads_away: AtomicBool,
}

impl Perils {
    /// From now on the `n`th pass is fatal; 0: none.
    pub(super) fn kill_at(&self, n: usize) {
        self.passed.store(0, Ordering::SeqCst);
        self.fatal.store(n, Ordering::SeqCst);
    }

    pub(super) fn service_is_away(&self, is_away: bool) {
        self.service_away.store(is_away, Ordering::SeqCst);
    }

    pub(super) async fn died(&self) {
        self.died.notified().await;
    }

    /// A place to die: before something is done, or before its answer is heard.
    async fn pass(&self) {
        let n = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if n == self.fatal.load(Ordering::SeqCst) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn reach(&self) -> Result<(), ServiceError> {
        if self.service_away.load(Ordering::SeqCst) {
            return Err(ServiceError::Away("no answer from the service".to_owned()));
        }
        Ok(())
    }
}

/// A router that keeps what it was told.
#[derive(Debug)]
pub(super) struct Roads {
    perils: Arc<Perils>,
    clock: Arc<FastClock>,
    set: Mutex<Vec<(Timestamp, Shift)>>,
    fence: Mutex<u64>,
    /// Whether traffic was taken back by somebody who could not save it.
    is_taken_back: AtomicBool,
    /// How the traffic is; `None`: as no rollout leaves it.
    now: Mutex<Option<Weight>>,
    /// Whether nobody can tell how it is.
    pub(super) is_opaque: AtomicBool,
}

impl Roads {
    /// The canary's shares, each once until the next other one.
    pub(super) fn weights(&self) -> Vec<u8> {
        let set = self.set.lock().expect("as it should be");
        let mut weights: Vec<u8> = set.iter().map(|(_, it)| it.canary.percent()).collect();
        weights.dedup();
        weights
    }

    /// When what was set, in seconds since the start; each share once until the next other one.
    pub(super) fn story(&self) -> Vec<(i64, u8)> {
        let set = self.set.lock().expect("as it should be");
        let mut story: Vec<(i64, u8)> = set
            .iter()
            .map(|(at, it)| (at.as_second() - start().as_second(), it.canary.percent()))
            .collect();
        story.dedup_by_key(|(_, weight)| *weight);
        story
    }

    pub(super) fn shifts(&self) -> Vec<Shift> {
        let set = self.set.lock().expect("as it should be");
        set.iter().map(|(_, shift)| shift.clone()).collect()
    }

    /// Somebody edits them by hand.
    pub(super) fn edit(&self, weight: Option<Weight>) {
        *self.now.lock().expect("as it should be") = weight;
    }

    /// How they are.
    pub(super) fn now(&self) -> Option<Weight> {
        *self.now.lock().expect("as it should be")
    }

    /// Somebody else writes with this fence.
    pub(super) fn fence_off(&self, fence: u64) {
        *self.fence.lock().expect("as it should be") = fence;
    }
}

#[async_trait]
impl TrafficRouter for Roads {
    async fn observe(&self) -> Result<Observed, RouterError> {
        if self.is_opaque.load(Ordering::SeqCst) {
            return Ok(Observed::default());
        }
        if self.perils.roads_away.load(Ordering::SeqCst) {
            return Err(RouterError::Unreachable {
                what: "no way to the roads".to_owned(),
                after: None,
            });
        }
        let fence = *self.fence.lock().expect("as it should be");
        Ok(Observed {
            canary: self.now(),
            fence: (fence > 0).then_some(fence),
            lacks_fence: fence == 0,
        })
    }

    async fn set(&self, shift: &Shift) -> Result<Shifted, RouterError> {
        self.perils.pass().await;
        if self.perils.roads_away.load(Ordering::SeqCst) {
            return Err(RouterError::Unreachable {
                what: "no way to the roads".to_owned(),
                after: None,
            });
        }
        {
            let mut fence = self.fence.lock().expect("as it should be");
            if shift.fence < *fence {
                return Err(RouterError::Fenced {
                    what: format!("the fence {} is there, and ours is {}", *fence, shift.fence),
                    found: Some(*fence),
                });
            }
            if shift.canary > Weight::NONE && self.is_taken_back.load(Ordering::SeqCst) {
                return Err(RouterError::TakenBack("it was taken back".to_owned()));
            }
            self.is_taken_back.store(shift.is_unsaved, Ordering::SeqCst);
            *fence = shift.fence;
            self.edit(Some(shift.canary));
            let now = self.clock.now();
            self.set
                .lock()
                .expect("as it should be")
                .push((now, shift.clone()));
        }
        self.perils.pass().await;
        Ok(Shifted::Written)
    }
}

/// A hook that fails as often as it is told to.
#[derive(Debug)]
pub(super) struct Errand {
    perils: Arc<Perils>,
    pub(super) failures: AtomicUsize,
    calls: Mutex<Vec<HookCall>>,
}

impl Errand {
    pub(super) fn calls(&self) -> Vec<HookCall> {
        self.calls.lock().expect("as it should be").clone()
    }
}

#[async_trait]
impl Hook for Errand {
    async fn run(&self, call: &HookCall) -> HookAnswer {
        self.perils.pass().await;
        self.calls
            .lock()
            .expect("as it should be")
            .push(call.clone());
        let left = self.failures.load(Ordering::SeqCst);
        self.failures
            .store(left.saturating_sub(1), Ordering::SeqCst);
        self.perils.pass().await;
        HookAnswer {
            is_success: left == 0,
            output: format!("run for {}", call.version),
        }
    }
}

impl World {
    /// One where every analysis measures, letter by letter, what `letters` says, the last one for ever.
    pub(super) fn saying(letters: &str) -> Self {
        let clock = Arc::new(FastClock::new(start(), 1));
        let store = Arc::new(MemoryStore::default());
        let source = FakeSource::saying(Arc::clone(&clock) as Arc<dyn Clock>, letters);
        let engine = Engine::new(
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::new(source) as Arc<dyn MetricSource>,
        );
        let perils = Arc::<Perils>::default();
        let mut loops = JoinSet::new();
        let looping = engine.clone();
        loops.spawn(async move { looping.run(std::future::pending()).await });
        Self {
            desks: Desks::new(
                Arc::clone(&store) as _,
                Arc::clone(&clock) as Arc<dyn Clock>,
            ),
            roads: Arc::new(Roads {
                perils: Arc::clone(&perils),
                clock: Arc::clone(&clock),
                set: Mutex::default(),
                fence: Mutex::default(),
                is_taken_back: AtomicBool::new(false),
                now: Mutex::default(),
                is_opaque: AtomicBool::new(false),
            }),
            hook: Arc::new(Errand {
                perils: Arc::clone(&perils),
                failures: AtomicUsize::new(0),
                calls: Mutex::default(),
            }),
            metric: "interval: 30s, failureLimit: 3",
            clock,
            store,
            engine,
            perils,
            _engine: loops,
        }
    }

    /// A stepper of `version` by `canary`, called `holder`; it has no hook unless its settings say so.
    pub(super) fn stepper(
        &self,
        holder: &str,
        canary: &Value,
        version: &str,
        settings: Settings,
    ) -> Stepper {
        let hook = settings.hook.is_some();
        Stepper {
            service: Arc::new(Door {
                desks: self.desks.clone(),
                engine: self.engine.clone(),
                store: Arc::clone(&self.store),
                clock: Arc::clone(&self.clock),
                perils: Arc::clone(&self.perils),
                metric: self.metric,
            }),
            router: Arc::clone(&self.roads) as Arc<dyn TrafficRouter>,
            hook: hook.then(|| Arc::clone(&self.hook) as Arc<dyn Hook>),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            orders: Orders {
                settings,
                ..Orders::new(NAMESPACE, holder, spec(canary), Version::named(version))
            },
            stage: watch::Sender::new(None),
        }
    }

    /// Steps to the end.
    pub(super) async fn play(&self, stepper: &Stepper) -> Result<Ended, StepperError> {
        let (_interrupt, interrupts) = mpsc::channel(1);
        within(stepper.run(interrupts)).await
    }

    /// Steps until it dies; what it came to where it lives.
    pub(super) async fn live(&self, stepper: &Stepper) -> Option<Result<Ended, StepperError>> {
        tokio::select! {
            biased;
            () = self.perils.died() => None,
            ended = self.play(stepper) => Some(ended),
        }
    }

    /// Somebody wants something.
    pub(super) async fn want(
        &self,
        command: Command,
        seen: Option<Seen>,
    ) -> Result<u64, DesksError> {
        let change =
            |desk: &mut Desk, now: Timestamp, _: Timestamp| desk.post(command, seen, "jane", now);
        let (_, letter) = self.desks.change(NAMESPACE, NAME, change).await?;
        Ok(letter.posted.number)
    }

    /// The service is started anew without what it had stored.
    pub(super) async fn forget(&self) {
        let key = RecordKey::new(RecordKind::Rollout, NAMESPACE, NAME);
        let change = Change {
            key,
            expected: Expected::Anything,
            to: To::Gone,
        };
        let forgotten = self.store.change(&[change], self.clock.now()).await;
        forgotten.expect("a store");
    }

    pub(super) async fn desk(&self) -> Desk {
        let kept = self.desks.read(NAMESPACE, NAME).await.expect("a store");
        kept.expect("a rollout").desk
    }

    /// The rollout as it was last saved.
    pub(super) async fn rollout(&self) -> Rollout {
        let record = self.desk().await.record.expect("a record");
        Rollout::from_record(&record).expect("a readable record")
    }

    /// All runs that were begun, oldest first.
    pub(super) async fn runs(&self) -> Vec<Run> {
        let mut runs = self.store.list(&RunQuery::default()).await.expect("runs");
        runs.reverse();
        runs
    }

    /// Waits until what is shown is as `is_so` wants it.
    pub(super) async fn until(&self, stepper: &Stepper, is_so: impl Fn(&Scene) -> bool) {
        let mut stage = stepper.stage.subscribe();
        let seen = stage.wait_for(|scene| scene.as_ref().is_some_and(&is_so));
        drop(within(seen).await.expect("it is still there"));
    }
}

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TOO_LONG, future)
        .await
        .expect("it ends")
}

pub(super) fn spec(canary: &Value) -> Arc<RolloutSpec> {
    let document = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"strategy": {"canary": canary}},
    });
    Arc::new(RolloutSpec::read(&document).expect("a Rollout without faults"))
}

/// The ten steps of the original use case, where a pause takes a minute; and its analysis from the second weight on.
pub(super) fn ten_steps() -> Value {
    let steps = [10, 20, 40, 60, 80].into_iter().flat_map(|weight| {
        [
            json!({"setWeight": weight}),
            json!({"pause": {"duration": "1m"}}),
        ]
    });
    json!({
        "steps": steps.collect::<Value>(),
        "analysis": {"templates": [{"templateName": "m"}], "startingStep": 2},
    })
}

pub(super) fn weight(percent: u8) -> Weight {
    Weight::new(percent).expect("a percentage")
}

/// The service as it is behind HTTP.
#[derive(Debug)]
struct Door {
    desks: Desks,
    engine: Engine,
    store: Arc<MemoryStore>,
    clock: Arc<FastClock>,
    perils: Arc<Perils>,
    metric: &'static str,
}

impl Door {
    fn see_runs(&self) -> Result<(), ServiceError> {
        if self.perils.runs_away.load(Ordering::SeqCst) {
            return Err(ServiceError::Away("no answer about runs".to_owned()));
        }
        Ok(())
    }

    async fn change<T: Send>(
        &self,
        change: impl Fn(&mut Desk, Timestamp, Timestamp) -> Result<T, DeskError> + Send + Sync,
    ) -> Result<(Desk, T), ServiceError> {
        self.perils.reach()?;
        let changed = self.desks.change(NAMESPACE, NAME, change).await;
        let (kept, answer) = changed.map_err(|error| match &error {
            DesksError::Desk(DeskError::Held(_)) => ServiceError::Held(error.to_string()),
            DesksError::Desk(DeskError::LeaseLost { .. }) => ServiceError::Lost(error.to_string()),
            DesksError::Desk(DeskError::Overtaken { .. }) => {
                ServiceError::Overtaken(error.to_string())
            }
            _ => ServiceError::Refused(error.to_string()),
        })?;
        Ok((kept.desk, answer))
    }
}

fn tag(desk: &Desk) -> String {
    format!("{} {} {}", desk.saves, desk.last_command, desk.fence)
}

fn sheet(desk: &Desk) -> Sheet {
    Sheet {
        tag: tag(desk),
        record: desk.record.clone(),
        lease: desk.lease.clone(),
        waiting: desk.waiting().cloned().collect(),
    }
}

#[async_trait]
impl Service for Door {
    async fn take(&self, holder: &str) -> Result<Lease, ServiceError> {
        self.perils.pass().await;
        let took = self.change(|desk, now, until| Ok(desk.take(holder, now, until)));
        let (_, took) = took.await?;
        let lease = took.map_err(|error| ServiceError::Held(error.to_string()))?;
        self.perils.pass().await;
        Ok(lease)
    }

    async fn renew(&self, fence: u64) -> Result<Lease, ServiceError> {
        let renewed = self.change(|desk, _, until| desk.renew(fence, until)).await;
        renewed.map(|(_, lease)| lease)
    }

    async fn release(&self, fence: u64) -> Result<(), ServiceError> {
        let released = self.change(|desk, _, _| desk.release(fence)).await;
        released.map(drop)
    }

    async fn read(&self) -> Result<Sheet, ServiceError> {
        self.perils.pass().await;
        self.perils.reach()?;
        let kept = self.desks.read(NAMESPACE, NAME).await;
        let kept = kept.map_err(|error| ServiceError::Away(error.to_string()))?;
        let desk = kept.ok_or_else(|| ServiceError::Gone("no rollout".to_owned()))?;
        Ok(sheet(&desk.desk))
    }

    async fn news(&self, seen: &str) -> Result<Sheet, ServiceError> {
        let mut news = self.desks.news();
        let up = tokio::time::sleep(Duration::from_secs(25));
        tokio::pin!(up);
        loop {
            self.perils.reach()?;
            let kept = self.desks.read(NAMESPACE, NAME).await.expect("a store");
            let desk = kept
                .ok_or_else(|| ServiceError::Gone("no rollout".to_owned()))?
                .desk;
            if tag(&desk) != seen {
                return Ok(sheet(&desk));
            }
            tokio::select! {
                () = news.heard() => {}
                () = &mut up => return Ok(sheet(&desk)),
            }
        }
    }

    async fn save(
        &self,
        fence: u64,
        following: &str,
        record: &Value,
    ) -> Result<String, ServiceError> {
        self.perils.pass().await;
        let (saves, _) = following.split_once(' ').expect("a tag");
        let saves: u64 = saves.parse().expect("a number");
        let saved =
            self.change(|desk, _, _| desk.save((NAMESPACE, NAME), fence, saves, record.clone()));
        let (desk, ()) = saved.await?;
        let is_at_the_end = record["promotion"]["state"] != json!("notDue");
        if is_at_the_end && self.perils.silent_at_the_end.load(Ordering::SeqCst) {
            self.perils.service_is_away(true);
            self.perils.reach()?;
        }
        let slowness = self.perils.slowness.load(Ordering::SeqCst);
        self.clock.sleep(Duration::from_secs(slowness)).await;
        self.perils.pass().await;
        Ok(tag(&desk))
    }

    async fn restore(&self) -> Result<(), ServiceError> {
        self.perils.reach()
    }

    async fn start(&self, request: &AnalysisRequest<'_>) -> Result<Run, ServiceError> {
        self.perils.pass().await;
        self.perils.reach()?;
        self.see_runs()?;
        let name = &request.site.templates[0].name;
        if name == "missing" {
            return Err(ServiceError::Refused("no template `missing`".to_owned()));
        }
        let yaml = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: {{ name: {name} }}\nspec:\n  metrics:\n  - {}\n",
            metric(name, self.metric)
        );
        let plan = plan_of(&yaml, &[], Server::Named("fake".to_owned()));
        let id = RunId(uuid::Uuid::new_v4().to_string());
        let mut run = Run::new(id, NAMESPACE, request.name, plan, self.clock.now());
        run.labels = request.labels.clone();
        run.not_before = request.not_before;
        let key = RequestKey {
            key: request.idempotency_key.clone(),
            fingerprint: String::new(),
        };
        let inserted = self.engine.start_once(&run, Some(&key)).await;
        let run = match inserted.expect("a store") {
            Inserted::New => run,
            Inserted::Before(id) => self.store.get(&id).await.expect("a store").expect("a run"),
            Inserted::Differs => return Err(ServiceError::Refused("it differs".to_owned())),
        };
        self.perils.pass().await;
        Ok(run)
    }

    async fn look(&self, run: &RunId, seen: Option<&str>) -> Result<Look, ServiceError> {
        self.perils.reach()?;
        self.see_runs()?;
        let watched = self.engine.watch(run).await.expect("a store");
        let mut watched = watched.ok_or_else(|| ServiceError::Gone("no run".to_owned()))?;
        let tag_of = |run: &Run| {
            let taken: Vec<u64> = run.metrics.iter().map(|metric| metric.taken).collect();
            format!("{} {taken:?}", run.phase)
        };
        let up = tokio::time::sleep(Duration::from_secs(25));
        tokio::pin!(up);
        while seen == Some(tag_of(watched.run()).as_str()) {
            tokio::select! {
                is_there = watched.changed() => assert!(is_there, "nobody deletes runs"),
                () = &mut up => break,
            }
        }
        self.perils.reach()?;
        Ok(Look {
            tag: tag_of(watched.run()),
            run: Run::clone(watched.run()),
        })
    }

    async fn terminate(&self, run: &RunId) -> Result<(), ServiceError> {
        self.perils.pass().await;
        self.perils.reach()?;
        let posted = self.engine.post(run, RunCommand::Terminate).await;
        self.perils.pass().await;
        posted.map_err(|error| ServiceError::Gone(error.to_string()))
    }

    async fn find(&self, labels: &BTreeMap<String, String>) -> Result<Vec<RunId>, ServiceError> {
        self.perils.reach()?;
        let query = RunQuery {
            labels: labels.clone(),
            ..RunQuery::default()
        };
        let runs = self.store.list(&query).await.expect("a store");
        Ok(runs.into_iter().map(|run| run.id).collect())
    }
}
