//! What becomes of a run when its engine dies, is late, or isn't alone; and of what is told to it meanwhile.

use std::sync::Arc;
use std::time::Duration;

use skygate::domain::measurement::Phase;
use skygate::domain::plan::Plan;
use skygate::domain::run::{Command, Run, RunId};
use skygate::engine::Engine;
use skygate::ports::StoreError;

use crate::harness::{
    FakeSource, HandClock, Make, Rehearsal, at, at_once, fake_plan, history, live_for, metric,
    moments, over_every_store, run_of, start,
};

over_every_store!(
    #[tokio::test]
    a_command_posted_while_it_is_measured_is_taken_at_once,
    a_command_posted_under_a_lease_that_is_lost_is_not_lost,
    a_command_that_died_with_its_holder_is_taken_by_the_next,
    wherever_an_engine_dies_the_next_one_ends_the_run_the_same,
    whoever_takes_over_goes_on_with_the_same_measurement,
    what_comes_after_the_lease_is_refused,
    a_late_answer_that_nobody_has_waited_for_is_kept,
    two_engines_share_the_work_and_do_nothing_twice,
    a_store_that_fails_is_asked_again,
    a_store_that_fails_for_longer_than_a_lease_costs_a_repetition_and_no_more,
    a_source_that_panics_is_an_error_like_any_other,
    a_source_that_always_panics_ends_the_run_as_an_error,
    a_run_that_is_deleted_while_it_is_measured_is_gone
);

/// How long a lease lasts.
const LEASE: u64 = 120;

/// A metric that is measured every minute, `more` in its fields.
fn minutely(more: &str) -> Arc<Plan> {
    fake_plan(&[metric("a", &format!("interval: 1m, {more}"))])
}

fn id() -> RunId {
    RunId("r".to_owned())
}

/// An engine with a clock and a store of its own, and a run of `plan` that it has accepted.
async fn stage(make: Make, letters: &str, plan: &Arc<Plan>) -> (Rehearsal, Arc<HandClock>) {
    let clock = HandClock::new();
    let stage = Rehearsal::over(
        make(),
        clock.clone(),
        FakeSource::saying(clock.clone(), letters),
    );
    accept(&stage.engine, plan).await;
    (stage, clock)
}

/// The same with an engine whose source answers when it is let.
async fn gated_stage(make: Make, letters: &str, plan: &Arc<Plan>) -> (Rehearsal, Arc<HandClock>) {
    let clock = HandClock::new();
    let source = FakeSource::saying(clock.clone(), letters).gated();
    let stage = Rehearsal::over(make(), clock.clone(), source);
    accept(&stage.engine, plan).await;
    (stage, clock)
}

async fn accept(engine: &Engine, plan: &Arc<Plan>) {
    let run = run_of("r", plan, start());
    engine.start(&run).await.expect("a new run");
}

/// Another engine on the same store, with a source of its own.
fn another(stage: &Rehearsal, clock: &Arc<HandClock>, letters: &str) -> Rehearsal {
    let source = FakeSource::saying(clock.clone(), letters);
    Rehearsal::over(Arc::clone(&stage.kept), clock.clone(), source)
}

/// The numbers of a run's kept measurements.
fn numbers(run: &Run) -> Vec<u64> {
    let kept = run.metrics[0].measurements.iter();
    kept.map(|measurement| measurement.number).collect()
}

/// More steps than a tick that isn't held up takes.
const ALL: usize = 100;

async fn a_command_posted_while_it_is_measured_is_taken_at_once(make: Make) {
    let (stage, clock) = gated_stage(make, "S", &minutely("count: 5")).await;
    let mut tick = stage.ticking();
    assert!(live_for(&mut tick, ALL).await.is_none());
    assert_eq!(stage.source.moments(), [0]);

    let told = stage.engine.post(&id(), Command::NotBefore(at(0))).await;
    told.expect("a known run");
    assert!(live_for(&mut tick, ALL).await.is_none());
    let run = stage.get(&id()).await;
    assert_eq!((run.phase, run.not_before), (Phase::Running, Some(at(0))));

    // Nobody waits for an answer that doesn't matter any more.
    clock.advance(Duration::from_secs(3));
    let told = stage.engine.post(&id(), Command::Terminate).await;
    told.expect("a known run");
    assert_eq!(tick.await, Ok(None));
    let run = stage.get(&id()).await;
    assert_eq!(
        (run.phase, run.message.as_str()),
        (Phase::Successful, "Run Terminated")
    );
    assert_eq!(run.completed_at, Some(at(3)));
    assert_eq!((history(&run).as_str(), run.has_evidence()), ("", false));
}

async fn a_command_posted_under_a_lease_that_is_lost_is_not_lost(make: Make) {
    let (dead, clock) = gated_stage(make, "S", &minutely("count: 5")).await;
    let mut tick = dead.ticking();
    assert!(live_for(&mut tick, ALL).await.is_none());
    dead.engine
        .post(&id(), Command::Terminate)
        .await
        .expect("a known run");
    drop(tick);

    let heir = another(&dead, &clock, "S");
    assert_eq!(heir.tick().await, Ok(Some(at(LEASE))));
    clock.move_to(at(LEASE));
    assert_eq!(heir.tick().await, Ok(None));

    // It was terminated before anything came of what the dead engine had begun: that isn't measured again.
    let run = heir.get(&id()).await;
    assert_eq!(
        (run.phase, run.message.as_str()),
        (Phase::Successful, "Run Terminated")
    );
    assert!(heir.source.asked().is_empty() && !run.has_evidence());
}

async fn a_command_that_died_with_its_holder_is_taken_by_the_next(make: Make) {
    let (dead, clock) = stage(make, "S", &minutely("count: 5")).await;
    dead.engine
        .post(&id(), Command::Terminate)
        .await
        .expect("a known run");
    let mut tick = dead.ticking();
    // As far as the lease, which hands out the inbox, and no further.
    assert!(live_for(&mut tick, 3).await.is_none());
    assert_eq!(dead.get(&id()).await.phase, Phase::Pending);
    drop(tick);

    clock.move_to(at(LEASE));
    assert_eq!(another(&dead, &clock, "S").tick().await, Ok(None));
    assert_eq!(dead.get(&id()).await.message, "Run Terminated");
}

async fn wherever_an_engine_dies_the_next_one_ends_the_run_the_same(make: Make) {
    let plan = minutely("count: 4, failureLimit: 2");
    let letters = "SFES";
    let (undisturbed, clock) = stage(make, letters, &plan).await;
    undisturbed.play(|due| clock.move_to(due)).await;
    let expected = undisturbed.get(&id()).await;
    assert_eq!(
        (expected.phase, history(&expected).as_str()),
        (Phase::Successful, "SFESS")
    );

    let mut places = 0;
    for steps in 0.. {
        let (dead, clock) = stage(make, letters, &plan).await;
        dead.tick().await.expect("a working store");
        clock.move_to(at(60));
        let mut tick = dead.ticking();
        let done = live_for(&mut tick, steps).await;
        drop(tick);

        let measured = usize::try_from(dead.get(&id()).await.metrics[0].taken).expect("a few");
        let heir = another(&dead, &clock, &letters[measured..]);
        heir.play(|due| clock.move_to(due)).await;
        let run = heir.get(&id()).await;
        assert_eq!(
            (run.phase, history(&run)),
            (expected.phase, history(&expected)),
            "{steps}"
        );
        assert_eq!(numbers(&run), [1, 2, 3, 4, 5], "{steps}");
        assert_eq!(run.metrics[0].counts, expected.metrics[0].counts, "{steps}");
        assert_eq!(heir.source.asked().len() + measured, 5, "{steps}");
        if done.is_some() {
            break;
        }
        places += 1;
    }
    assert!(places > 8, "a tick has more places to die than {places}");
}

async fn whoever_takes_over_goes_on_with_the_same_measurement(make: Make) {
    let (dead, clock) = gated_stage(make, "F", &minutely("count: 2")).await;
    let mut tick = dead.ticking();
    assert!(live_for(&mut tick, ALL).await.is_none());
    drop(tick);
    let in_flight = dead.get(&id()).await.metrics[0]
        .in_flight
        .expect("it was begun");
    assert_eq!(in_flight.number, 1);

    let heir = another(&dead, &clock, "S");
    clock.move_to(at(LEASE - 1));
    assert_eq!(heir.tick().await, Ok(Some(at(LEASE))));
    assert!(heir.source.asked().is_empty(), "the lease still holds");
    clock.move_to(at(LEASE));
    assert_eq!(heir.tick().await, Ok(Some(at(LEASE + 60))));
    let run = heir.get(&id()).await;
    assert_eq!((numbers(&run), moments(&run)), (vec![1], vec![120]));
}

async fn what_comes_after_the_lease_is_refused(make: Make) {
    let (late, clock) = gated_stage(make, "F", &minutely("count: 2")).await;
    let mut tick = late.ticking();
    assert!(live_for(&mut tick, ALL).await.is_none());

    clock.move_to(at(LEASE));
    let heir = another(&late, &clock, "S");
    heir.tick().await.expect("a working store");
    late.source.open();
    assert_eq!(tick.await, Err(StoreError::LeaseLost(id())));

    let run = heir.get(&id()).await;
    assert_eq!((history(&run).as_str(), numbers(&run)), ("S", vec![1]));
    heir.play(|due| clock.move_to(due)).await;
    assert_eq!(history(&heir.get(&id()).await), "SS");
}

async fn a_late_answer_that_nobody_has_waited_for_is_kept(make: Make) {
    let (late, clock) = gated_stage(make, "F", &minutely("count: 2, failureLimit: 1")).await;
    let mut tick = late.ticking();
    assert!(live_for(&mut tick, ALL).await.is_none());
    clock.move_to(at(10 * LEASE));
    late.source.open();
    tick.await.expect("nobody else has the lease");
    assert_eq!(history(&late.get(&id()).await), "F");
}

async fn two_engines_share_the_work_and_do_nothing_twice(make: Make) {
    let clock = HandClock::new();
    let kept = make();
    let engine = || {
        let source = FakeSource::taking(Duration::from_secs(7), clock.clone(), "SSFS");
        Rehearsal::over(Arc::clone(&kept), clock.clone(), source)
    };
    let (a, b) = (engine(), engine());
    let plan = minutely("count: 6, failureLimit: 6");
    let ids: Vec<RunId> = (0..20).map(|i| RunId(format!("r{i}"))).collect();
    for id in &ids {
        let run = run_of(&id.0, &plan, start());
        a.engine.start(&run).await.expect("a new run");
    }
    loop {
        let (of_a, of_b) = tokio::join!(a.tick(), b.tick());
        of_a.expect("its leases");
        of_b.expect("its leases");
        match at_once(kept.next_due()).expect("a working store") {
            Some(due) => clock.move_to(due),
            None => break,
        }
    }
    for id in &ids {
        assert_eq!(numbers(&a.get(id).await), [1, 2, 3, 4, 5, 6], "{id}");
    }
    let asked = a.source.asked().len() + b.source.asked().len();
    assert_eq!(asked, 20 * 6);
}

async fn a_store_that_fails_is_asked_again(make: Make) {
    // A second's wait for each failure: before the measurement is begun, or after it is done.
    for (method, begun) in [("save", [3, 63]), ("release", [0, 60])] {
        let (stage, clock) = stage(make, "S", &minutely("count: 2")).await;
        stage.store.fail(method, 3);
        stage.play(|due| clock.move_to(due)).await;
        assert!(stage.store.has_failed());
        let run = stage.get(&id()).await;
        assert_eq!(
            (run.phase, moments(&run)),
            (Phase::Successful, begun.to_vec())
        );
        assert_eq!(stage.source.moments(), begun);
    }
}

async fn a_store_that_fails_for_longer_than_a_lease_costs_a_repetition_and_no_more(make: Make) {
    let (stage, clock) = stage(make, "S", &minutely("count: 2")).await;
    let mut tick = stage.ticking();
    // The run is saved as being measured; its answer can't be.
    assert!(live_for(&mut tick, 5).await.is_none());
    assert_eq!(
        stage.get(&id()).await.metrics[0]
            .in_flight
            .map(|it| it.number),
        Some(1)
    );
    stage.store.fail("release", 121);
    assert!(matches!(tick.await, Err(StoreError::Broken(_))));
    assert!(stage.store.has_failed());

    stage.play(|due| clock.move_to(due)).await;
    let run = stage.get(&id()).await;
    assert_eq!((history(&run).as_str(), numbers(&run)), ("SS", vec![1, 2]));
    assert_eq!(stage.source.asked().len(), 3);
}

async fn a_source_that_panics_is_an_error_like_any_other(make: Make) {
    let (stage, clock) = stage(make, "!SS", &minutely("count: 2")).await;
    stage.play(|due| clock.move_to(due)).await;
    let run = stage.get(&id()).await;
    assert_eq!(
        (run.phase, history(&run).as_str()),
        (Phase::Successful, "ESS")
    );
    assert_eq!(
        run.metrics[0].measurements[0].message,
        "it was broken off by a fault of Skygate's own, which its log shows"
    );
    assert_eq!(moments(&run), [0, 10, 70]);
}

async fn a_source_that_always_panics_ends_the_run_as_an_error(make: Make) {
    let (stage, clock) = stage(make, "!", &minutely("count: 2")).await;
    stage.play(|due| clock.move_to(due)).await;
    let run = stage.get(&id()).await;
    assert_eq!((run.phase, history(&run).as_str()), (Phase::Error, "EEEEE"));
}

async fn a_run_that_is_deleted_while_it_is_measured_is_gone(make: Make) {
    let (stage, _clock) = gated_stage(make, "S", &minutely("count: 5")).await;
    let mut watched = stage
        .engine
        .watch(&id())
        .await
        .expect("a working store")
        .expect("a known run");
    let mut tick = stage.ticking();
    assert!(live_for(&mut tick, ALL).await.is_none());
    assert_eq!(watched.run().phase, Phase::Pending);
    assert!(watched.changed().await);
    assert_eq!(watched.run().phase, Phase::Running);

    assert_eq!(stage.engine.delete(&id()).await, Ok(true));
    assert_eq!(tick.await, Err(StoreError::NotFound(id())));
    assert!(!watched.changed().await, "whoever waits is told");
    assert_eq!(stage.engine.delete(&id()).await, Ok(false));
    assert_eq!(
        stage.engine.watch(&id()).await.map(|it| it.is_none()),
        Ok(true)
    );
    assert_eq!(stage.tick().await, Ok(None));
}
