//! The loop: when it wakes, how it stops, what it outlives. No sockets here, so the runtime's time is paused and runs by itself.

use std::sync::Arc;
use std::time::Duration;

use skygate::clock::FastClock;
use skygate::domain::measurement::Phase;
use skygate::domain::plan::Plan;
use skygate::domain::run::{Command, Run, RunId};
use skygate::ports::Clock;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::harness::{
    FakeSource, Make, Rehearsal, fake_plan, history, metric, over_every_store, run_of, since, start,
};

over_every_store!(
    #[tokio::test(start_paused = true)]
    it_sleeps_until_something_is_due,
    it_wakes_for_a_new_run,
    it_wakes_for_a_command,
    it_stops_when_what_is_under_way_is_done,
    what_was_stopped_goes_on_in_the_next_loop,
    a_failing_store_is_asked_again_after_a_second,
    a_worker_that_panics_is_followed_by_another_once_its_lease_is_over,
    a_measurement_that_outlasts_a_lease_keeps_it,
    a_lease_that_can_not_be_renewed_in_time_is_lost_quietly,
    more_runs_than_workers_are_all_measured
);

/// More seconds than any run in a test takes.
const TOO_LONG: u32 = 10_000;

/// Loops over a rehearsal until it is told to stop.
struct Looping {
    stage: Rehearsal,
    stop: oneshot::Sender<()>,
    loops: JoinSet<()>,
}

impl Looping {
    fn begin(stage: Rehearsal) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let engine = stage.engine.clone();
        let mut loops = JoinSet::new();
        loops.spawn(async move { engine.run(async { drop(stopped.await) }).await });
        Self { stage, stop, loops }
    }

    async fn start(&self, id: &str, plan: &Arc<Plan>) -> RunId {
        let run = run_of(id, plan, self.stage.now());
        let id = run.id.clone();
        self.stage.engine.start(&run).await.expect("a new run");
        id
    }

    /// Tells the loop to stop, and waits until it has.
    async fn end(self) -> Rehearsal {
        self.stop.send(()).expect("it loops");
        self.loops.join_all().await;
        self.stage
    }

    /// The run once it is over. An engine tells of its own changes only, so others' are looked for every second.
    async fn outcome(&self, id: &RunId) -> Run {
        let watched = self.stage.engine.watch(id).await.expect("a working store");
        let mut watched = watched.expect("a known run");
        for _ in 0..TOO_LONG {
            let run = self.stage.get(id).await;
            if run.phase.is_over() {
                return run;
            }
            let _ = tokio::time::timeout(Duration::from_secs(1), watched.changed()).await;
        }
        panic!("it goes on and on");
    }
}

/// A clock that shows what the runtime's paused time does.
fn clock() -> Arc<dyn Clock> {
    Arc::new(FastClock::new(start(), 1))
}

/// A loop whose source says these letters, each after `seconds`.
fn looping(make: Make, letters: &str, seconds: u64) -> Looping {
    let clock = clock();
    let source = FakeSource::taking(Duration::from_secs(seconds), clock.clone(), letters);
    Looping::begin(Rehearsal::over(make(), clock, source))
}

fn every_minute(more: &str) -> Arc<Plan> {
    fake_plan(&[metric("a", &format!("interval: 1m, {more}"))])
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// When a run ended, in seconds since the start.
fn ended(run: &Run) -> i64 {
    since(start(), run.completed_at.expect("an end"))
}

async fn it_sleeps_until_something_is_due(make: Make) {
    let looping = looping(make, "S", 0);
    let id = looping.start("a", &every_minute("count: 4")).await;
    assert_eq!(looping.outcome(&id).await.phase, Phase::Successful);
    assert_eq!(looping.end().await.source.moments(), [0, 60, 120, 180]);
}

async fn it_wakes_for_a_new_run(make: Make) {
    let looping = looping(make, "S", 0);
    pass(100).await;
    let first = looping.start("a", &every_minute("count: 2")).await;
    pass(10).await;
    let second = looping.start("b", &every_minute("count: 1")).await;
    assert_eq!(ended(&looping.outcome(&second).await), 110);
    assert_eq!(ended(&looping.outcome(&first).await), 160);
    assert_eq!(looping.end().await.source.moments(), [100, 110, 160]);
}

async fn it_wakes_for_a_command(make: Make) {
    let looping = looping(make, "S", 0);
    let id = looping.start("a", &every_minute("count: 4")).await;
    pass(75).await;
    let posted = looping.stage.engine.post(&id, Command::Terminate).await;
    posted.expect("a known run");
    let run = looping.outcome(&id).await;
    assert_eq!((run.message.as_str(), ended(&run)), ("Run Terminated", 75));
}

async fn it_stops_when_what_is_under_way_is_done(make: Make) {
    let looping = looping(make, "S", 40);
    let id = looping.start("a", &every_minute("count: 4")).await;
    let other = every_minute("count: 1, initialDelay: 20s");
    let other = looping.start("b", &other).await;
    pass(10).await;
    let stage = looping.end().await;

    assert_eq!(since(start(), stage.now()), 40);
    assert_eq!(history(&stage.get(&id).await), "S");
    // Nothing new was begun meanwhile.
    assert_eq!(stage.source.moments(), [0]);
    assert_eq!(stage.get(&other).await.phase, Phase::Running);
}

async fn what_was_stopped_goes_on_in_the_next_loop(make: Make) {
    let looping = looping(make, "S", 0);
    let id = looping.start("a", &every_minute("count: 3")).await;
    pass(70).await;
    let stage = looping.end().await;
    pass(600).await;
    let next = Looping::begin(stage);
    assert_eq!(history(&next.outcome(&id).await), "SSS");
    assert_eq!(next.end().await.source.moments(), [0, 60, 670]);
}

async fn a_failing_store_is_asked_again_after_a_second(make: Make) {
    for method in ["lease_due", "next_due"] {
        let looping = looping(make, "S", 0);
        pass(5).await;
        looping.stage.store.fail(method, 3);
        let id = looping.start("a", &every_minute("count: 2")).await;
        let run = looping.outcome(&id).await;
        assert!(looping.stage.store.has_failed());
        assert_eq!(
            (history(&run).as_str(), looping.stage.source.asked().len()),
            ("SS", 2),
            "{method}"
        );
        assert!((65..70).contains(&ended(&run)), "{method}: {}", ended(&run));
    }
}

async fn a_worker_that_panics_is_followed_by_another_once_its_lease_is_over(make: Make) {
    let looping = looping(make, "S", 0);
    looping.stage.store.panic("release");
    let id = looping.start("a", &every_minute("count: 2")).await;
    let other = looping.start("b", &every_minute("count: 2")).await;
    let (run, other) = (looping.outcome(&id).await, looping.outcome(&other).await);

    let mut ends = [ended(&run), ended(&other)];
    ends.sort_unstable();
    assert_eq!(ends, [60, 180]);
    for run in [run, other] {
        assert_eq!(
            (run.phase, history(&run).as_str()),
            (Phase::Successful, "SS")
        );
    }
    // What the first worker measured died with it.
    assert_eq!(looping.stage.source.asked().len(), 5);
}

async fn a_measurement_that_outlasts_a_lease_keeps_it(make: Make) {
    let kept = make();
    let clock = clock();
    let engine = || {
        let source = FakeSource::taking(Duration::from_mins(10), clock.clone(), "S");
        Looping::begin(Rehearsal::over(Arc::clone(&kept), clock.clone(), source))
    };
    let (one, two) = (engine(), engine());
    let id = one.start("a", &every_minute("count: 2")).await;
    let run = one.outcome(&id).await;

    assert_eq!((history(&run).as_str(), ended(&run)), ("SS", 1_260));
    let (one, two) = (one.end().await, two.end().await);
    assert_eq!(one.source.asked().len() + two.source.asked().len(), 2);
}

async fn a_lease_that_can_not_be_renewed_in_time_is_lost_quietly(make: Make) {
    let looping = looping(make, "S", 200);
    // Longer than a lease lasts, from the first renewal on.
    looping.stage.store.fail("renew", 150);
    let id = looping.start("a", &every_minute("count: 2")).await;
    let run = looping.outcome(&id).await;
    let numbers: Vec<u64> = run.metrics[0]
        .measurements
        .iter()
        .map(|it| it.number)
        .collect();
    assert_eq!((history(&run).as_str(), numbers), ("SS", vec![1, 2]));
}

async fn more_runs_than_workers_are_all_measured(make: Make) {
    const RUNS: usize = 5_000;
    let looping = looping(make, "S", 10);
    let plan = every_minute("count: 1");
    let mut ids = Vec::new();
    for i in 0..RUNS {
        ids.push(looping.start(&format!("r{i}"), &plan).await);
    }
    for id in &ids {
        assert_eq!(history(&looping.outcome(id).await), "S");
    }
    let stage = looping.end().await;
    let asked = stage.source.moments();
    assert_eq!(asked.len(), RUNS);
    // Three rounds, as there are 2,048 workers.
    assert_eq!(asked.iter().filter(|at| **at == 0).count(), 2_048);
    assert_eq!(asked.last(), Some(&20));
}
