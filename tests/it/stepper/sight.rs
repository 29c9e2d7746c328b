//! What fell while nobody looked counts before anything else is done.

use std::sync::atomic::Ordering;
use std::time::Duration;

use skygate::domain::rollout::{Command, HookPolicy, Outcome, Promotion, Settings};
use skygate::ports::Clock;
use skygate::stepper::{Ended, OnInterrupt, Scene, Stepper, StepperError};
use tokio::sync::mpsc;

use super::world::{World, ten_steps, within};

fn with_hook() -> Settings {
    Settings {
        hook: Some(HookPolicy::default()),
        ..Settings::default()
    }
}

/// Good once, and bad from then on.
const WORSE: &str = "SF";

fn is_measured(scene: &Scene) -> bool {
    let background = scene.rollout.background.as_ref();
    scene.rollout.step == 3 && background.is_some_and(|it| it.evidence)
}

/// Steps to the end, while something happens.
async fn play_while(
    stepper: &Stepper,
    meanwhile: impl Future<Output = ()>,
) -> Result<Ended, StepperError> {
    let (_interrupt, interrupts) = mpsc::channel(1);
    let (ended, ()) = tokio::join!(within(stepper.run(interrupts)), meanwhile);
    ended
}

#[tokio::test(start_paused = true)]
async fn a_verdict_of_the_dark_gives_the_canary_no_more() {
    let world = World::saying(WORSE);
    let stepper = world.stepper("a", &ten_steps(), "v2", with_hook());
    let meanwhile = async {
        world.until(&stepper, is_measured).await;
        world.perils.service_is_away(true);
        world.clock.sleep(Duration::from_mins(30)).await;
        world.perils.service_is_away(false);
    };
    let ended = play_while(&stepper, meanwhile).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    assert_eq!(world.roads.weights(), [10, 20, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_fell_while_nobody_stepped_gives_the_canary_no_more() {
    let world = World::saying(WORSE);
    let first = world.stepper("a", &ten_steps(), "v2", with_hook());
    let (_interrupt, interrupts) = mpsc::channel(1);
    tokio::select! {
        ended = within(first.run(interrupts)) => panic!("{ended:?}"),
        () = world.until(&first, is_measured) => {}
    }
    drop(first);
    world.clock.sleep(Duration::from_mins(30)).await;
    let second = world.stepper("b", &ten_steps(), "v2", with_hook());
    let ended = world.play(&second).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    assert_eq!(world.roads.weights(), [10, 20, 0]);
    assert_eq!(world.hook.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn without_a_look_at_the_run_nothing_goes_on() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", with_hook());
    let meanwhile = async {
        world.until(&stepper, is_measured).await;
        world.perils.runs_away.store(true, Ordering::SeqCst);
        world.clock.sleep(Duration::from_mins(30)).await;
        assert_eq!(world.roads.weights(), [10, 20]);
        let background = world.rollout().await.background.expect("it runs");
        assert_eq!(background.message, "no answer about runs");
        world.perils.runs_away.store(false, Ordering::SeqCst);
    };
    let ended = play_while(&stepper, meanwhile).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
    assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_begun_holds_it_too() {
    let world = World::saying("S");
    world.perils.runs_away.store(true, Ordering::SeqCst);
    let stepper = world.stepper("a", &ten_steps(), "v2", with_hook());
    let meanwhile = async {
        world.clock.sleep(Duration::from_mins(30)).await;
        assert_eq!(world.roads.weights(), [10, 20]);
        world.perils.runs_away.store(false, Ordering::SeqCst);
    };
    let ended = play_while(&stepper, meanwhile).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
    assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100, 0]);
}

/// It was accepted while nobody stepped and no try of the hook was under way, however long ago the next one was due.
#[tokio::test(start_paused = true)]
async fn an_abort_said_between_two_tries_counts_for_whoever_takes_over() {
    let world = World::saying("S");
    world.hook.failures.store(1, Ordering::SeqCst);
    let settings = Settings {
        hook: Some(HookPolicy {
            tries: 3,
            retry_after: Duration::from_mins(5),
        }),
        ..Settings::default()
    };
    let first = world.stepper("a", &ten_steps(), "v2", settings.clone());
    let (interrupt, interrupts) = mpsc::channel(1);
    let (ended, ()) = tokio::join!(within(first.run(interrupts)), async {
        let is_between_tries =
            |scene: &Scene| matches!(scene.rollout.promotion, Promotion::Hook { number: 2, .. });
        world.until(&first, is_between_tries).await;
        interrupt.send(()).await.expect("it listens");
    });
    assert_eq!(ended, Ok(Ended::Held));
    world
        .want(Command::Abort, None)
        .await
        .expect("nothing runs");
    world.clock.sleep(Duration::from_mins(30)).await;
    let second = world.stepper("b", &ten_steps(), "v2", settings);
    assert_eq!(world.play(&second).await, Ok(Ended::Over(Outcome::Aborted)));
    assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100, 0]);
    assert_eq!(world.hook.calls().len(), 1);
}

/// The service has kept that all steps are done, and whoever sent that has not heard of it when it takes the traffic back.
#[tokio::test(start_paused = true)]
async fn what_was_taken_back_at_the_very_end_is_aborted() {
    for settings in [with_hook(), Settings::default()] {
        let world = World::saying("S");
        let silent = &world.perils.silent_at_the_end;
        silent.store(true, Ordering::SeqCst);
        let mut first = world.stepper("a", &ten_steps(), "v2", settings.clone());
        first.orders.on_interrupt = OnInterrupt::Abort;
        let (interrupt, interrupts) = mpsc::channel(1);
        let (ended, ()) = tokio::join!(within(first.run(interrupts)), async {
            world.until(&first, |scene| scene.away.is_some()).await;
            interrupt.send(()).await.expect("it listens");
            // Nobody interrupts any more.
            std::mem::forget(interrupt);
        });
        assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
        assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100, 0]);

        silent.store(false, Ordering::SeqCst);
        world.perils.service_is_away(false);
        assert_eq!(world.rollout().await.aborted, None, "it was not told");
        let second = world.stepper("b", &ten_steps(), "v2", settings);
        assert_eq!(world.play(&second).await, Ok(Ended::Over(Outcome::Aborted)));
        assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100, 0]);
        assert_eq!(world.hook.calls(), []);
    }
}
