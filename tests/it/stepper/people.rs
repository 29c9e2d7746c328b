//! What people want reaches the stepper at once, wherever it is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use skygate::domain::rollout::desk::DeskError;
use skygate::domain::rollout::{Command, Outcome, Refusal, Seen, Settings};
use skygate::domain::run::Command as RunCommand;
use skygate::engine::DesksError;
use skygate::ports::Clock;
use skygate::stepper::{Ended, StepperError};
use tokio::sync::mpsc;

use super::world::{World, ten_steps, weight, within};

fn endless_pauses() -> Value {
    let mut canary = ten_steps();
    for step in canary["steps"].as_array_mut().expect("steps") {
        if step.get("pause").is_some() {
            *step = json!({"pause": {}});
        }
    }
    canary
}

#[tokio::test(start_paused = true)]
async fn every_step_can_be_promoted_by_hand() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &endless_pauses(), "v2", Settings::default());
    let (_interrupt, interrupts) = mpsc::channel(1);
    let person = async {
        for step in [1, 3, 5, 7, 9] {
            world
                .until(&stepper, |scene| {
                    scene.rollout.step == step && !scene.rollout.pauses.is_empty()
                })
                .await;
            // Time to measure something.
            world.clock.sleep(Duration::from_mins(2)).await;
            let asked_at = world.clock.now();
            let seen = Some(Seen { revision: 1, step });
            world
                .want(Command::Promote, seen)
                .await
                .expect("a promotion");
            world
                .until(&stepper, |scene| scene.rollout.step > step)
                .await;
            assert_eq!(world.clock.now(), asked_at, "step {step}: at once");
        }
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = within(stepper.run(interrupts)) => ended,
        () = person => unreachable!(),
    };
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100]);
    let desk = world.desk().await;
    assert_eq!(desk.waiting().count(), 0);
    assert_eq!(desk.letters.len(), 5);
    assert!(desk.letters.iter().all(|letter| letter.by == "jane"));
}

#[tokio::test(start_paused = true)]
async fn an_abort_at_any_step_sends_traffic_back() {
    for (step, weights) in [
        (1, &[10, 0][..]),
        (3, &[10, 20, 0]),
        (5, &[10, 20, 40, 0]),
        (7, &[10, 20, 40, 60, 0]),
        (9, &[10, 20, 40, 60, 80, 0]),
    ] {
        let world = World::saying("S");
        let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
        let (ended, ()) = tokio::join!(world.play(&stepper), async {
            world
                .until(&stepper, |scene| scene.rollout.step == step)
                .await;
            world.want(Command::Abort, None).await.expect("an abort");
        });
        assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
        assert_eq!(world.roads.weights(), weights);
        let again = world.want(Command::Abort, None).await;
        let refusal = DeskError::Refused(Refusal::AbortedAlready(1));
        assert_eq!(again, Err(DesksError::Desk(refusal)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_begins_anew_with_a_new_analysis() {
    let world = World::saying("FFFFS");
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    world.want(Command::Retry, None).await.expect("a retry");
    // Nobody was there to hear it: whoever comes next does.
    let stepper = world.stepper("b", &ten_steps(), "v2", Settings::default());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    assert_eq!(
        world.roads.weights(),
        [10, 20, 40, 0, 10, 20, 40, 60, 80, 100]
    );
    let names: Vec<String> = world.runs().await.into_iter().map(|run| run.name).collect();
    assert_eq!(names, ["reviews-v2-1", "reviews-v2-1.1"]);
}

/// What went wrong was the document: once that is corrected, a retry has to measure by what it says now.
#[tokio::test(start_paused = true)]
async fn a_retry_takes_the_document_as_it_is_by_then() {
    let world = World::saying("S");
    let mut canary = ten_steps();
    canary["analysis"]["templates"][0]["templateName"] = json!("missing");
    let stepper = world.stepper("a", &canary, "v2", Settings::default());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));

    // Nobody has said yet that it is to be tried again.
    let stepper = world.stepper("b", &ten_steps(), "v2", Settings::default());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    world.want(Command::Retry, None).await.expect("a retry");
    let stepper = world.stepper("c", &ten_steps(), "v2", Settings::default());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    let runs = world.runs().await;
    assert_eq!(runs.len(), 1, "the first was refused");
    assert_eq!(runs[0].name, "reviews-v2-1.1");
}

/// The retry may come before the correction.
#[tokio::test(start_paused = true)]
async fn a_correction_counts_for_a_retry_that_waits() {
    let world = World::saying("S");
    let mut canary = ten_steps();
    canary["analysis"]["templates"][0]["templateName"] = json!("missing");
    let stepper = world.stepper("a", &canary, "v2", Settings::default());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    world.want(Command::Retry, None).await.expect("a retry");
    let stepper = world.stepper("b", &ten_steps(), "v2", Settings::default());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
}

/// The routes of before would keep their weights, and nobody would look after them.
#[tokio::test(start_paused = true)]
async fn other_routes_wait_until_the_canary_has_no_traffic() {
    let through = |name: &str| {
        let mut canary = ten_steps();
        canary["trafficRouting"] = json!({"istio": {
            "virtualService": {"name": name},
            "destinationRule": {"name": "reviews", "canarySubsetName": "canary", "stableSubsetName": "stable"},
        }});
        canary
    };
    let world = World::saying("S");
    let first = world.stepper("a", &through("reviews"), "v2", Settings::default());
    let (interrupt, interrupts) = mpsc::channel(1);
    let (ended, ()) = tokio::join!(within(first.run(interrupts)), async {
        world.until(&first, |scene| scene.rollout.step == 3).await;
        interrupt.send(()).await.expect("it listens");
    });
    assert_eq!(ended, Ok(Ended::Held));

    for version in ["v2", "v3"] {
        let other = world.stepper("b", &through("other"), version, Settings::default());
        let refused = world.play(&other).await;
        assert_eq!(refused, Err(StepperError::Elsewhere { weight: weight(20) }));
    }
    assert_eq!(world.roads.weights(), [10, 20]);
    // Where somebody insists, or nothing is left there.
    let mut other = world.stepper("c", &through("other"), "v2", Settings::default());
    other.orders.takes_routes = true;
    let ended = world.play(&other).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    world.want(Command::Abort, None).await.expect("an abort");
    let same = world.stepper("d", &through("other"), "v2", Settings::default());
    let ended = world.play(&same).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    let back = world.stepper("e", &through("reviews"), "v3", Settings::default());
    let ended = world.play(&back).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
}

/// Argo calls an analysis Successful that somebody ends; whoever did has not said that the version is good.
#[tokio::test(start_paused = true)]
async fn an_analysis_that_somebody_ends_is_no_evidence() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let (ended, ()) = tokio::join!(world.play(&stepper), async {
        world.until(&stepper, |scene| scene.rollout.step == 5).await;
        let run = world.runs().await[0].id.clone();
        let posted = world.engine.post(&run, RunCommand::Terminate).await;
        posted.expect("it is told");
        world
            .until(&stepper, |scene| scene.rollout.status().1 == "NoEvidence")
            .await;
        assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80]);
        world
            .want(Command::Promote, None)
            .await
            .expect("all the same");
    });
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
}

/// A router that is back is not left waiting: an abort is what it would wait with.
#[tokio::test(start_paused = true)]
async fn a_weight_is_tried_again_within_seconds() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &endless_pauses(), "v2", Settings::default());
    let (ended, ()) = tokio::join!(world.play(&stepper), async {
        world.until(&stepper, |scene| scene.rollout.step == 1).await;
        world.perils.roads_away.store(true, Ordering::SeqCst);
        world.want(Command::Abort, None).await.expect("an abort");
        world.clock.sleep(Duration::from_mins(2)).await;
        assert_ne!(world.roads.weights().last(), Some(&0));
        world.perils.roads_away.store(false, Ordering::SeqCst);
        world.clock.sleep(Duration::from_secs(6)).await;
        assert_eq!(world.roads.weights().last(), Some(&0));
    });
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
}

#[tokio::test(start_paused = true)]
async fn a_full_promotion_skips_everything() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let (ended, ()) = tokio::join!(world.play(&stepper), async {
        world.until(&stepper, |scene| scene.rollout.step == 3).await;
        let wanted = world.want(Command::PromoteFull, None).await;
        wanted.expect("a full promotion");
    });
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    assert_eq!(world.roads.weights(), [10, 20, 100]);
}

#[tokio::test(start_paused = true)]
async fn a_manual_pause_lasts_until_it_is_lifted() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let (ended, ()) = tokio::join!(world.play(&stepper), async {
        world.until(&stepper, |scene| scene.rollout.step == 3).await;
        world.want(Command::Pause, None).await.expect("a pause");
        world.clock.sleep(Duration::from_hours(5)).await;
        assert_eq!(world.rollout().await.step, 3);
        world.want(Command::Resume, None).await.expect("it goes on");
    });
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100]);
}

#[tokio::test(start_paused = true)]
async fn another_version_waits_until_the_last_one_is_known_to_be_stable() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));

    let next = world.stepper("b", &ten_steps(), "v3", Settings::default());
    let refused = world.play(&next).await;
    let Err(StepperError::Refused { version, why }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((version.as_str(), why), ("v3", Refusal::Unconfirmed(1)));
    assert_eq!(world.roads.weights().last(), Some(&100));

    world
        .want(Command::Promote, None)
        .await
        .expect("it is stable");
    let ended = world.play(&next).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    let weights = world.roads.weights();
    assert_eq!(weights[5..], [100, 10, 20, 40, 60, 80, 100]);
    let rollout = world.rollout().await;
    assert_eq!(rollout.stable.expect("told").name, "v2");
    assert_eq!(rollout.revision.number, 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_wanted_of_a_rollout_that_has_not_begun() {
    let world = World::saying("S");
    let wanted = world.want(Command::Promote, None).await;
    assert_eq!(wanted, Err(DesksError::Desk(DeskError::Empty)));
    let mut stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    stepper.orders.version = None;
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Err(StepperError::NothingToDo));
}

/// What ends a pause may pass while the record is on its way: nothing else would tell the stepper of it.
#[tokio::test(start_paused = true)]
async fn a_pause_that_ends_while_it_is_saved_ends() {
    for (duration, slowness) in [(json!(0), 0), (json!("2s"), 0), (json!("2s"), 3)] {
        let world = World::saying("S");
        world.perils.slowness.store(slowness, Ordering::SeqCst);
        let steps = json!({"steps": [
            {"setWeight": 10},
            {"pause": {"duration": duration}},
            {"setWeight": 50},
            {"pause": {"duration": duration}},
        ]});
        let stepper = world.stepper("a", &steps, "v2", Settings::default());
        assert_eq!(
            world.play(&stepper).await,
            Ok(Ended::Over(Outcome::Unconfirmed)),
            "{duration}, saved in {slowness} s"
        );
        assert_eq!(world.roads.weights(), [10, 50, 100]);
        let (took, _) = *world.roads.story().last().expect("weights");
        assert!(took < 60, "{duration}, saved in {slowness} s: {took} s");
    }
}
