//! The way of the new version to be the stable one, and analyses that are steps.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{Command, HookPolicy, Outcome, RolloutPhase, Settings};
use skygate::ports::Clock;
use skygate::stepper::Ended;
use tokio::sync::mpsc;

use super::world::{World, ten_steps, weight, within};

fn with_hook() -> Settings {
    Settings {
        hook: Some(HookPolicy {
            tries: 3,
            retry_after: Duration::from_secs(10),
        }),
        abort_when_blind: None,
        router: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_is_tried_again() {
    let world = World::saying("S");
    world.hook.failures.store(2, Ordering::SeqCst);
    let stepper = world.stepper("a", &ten_steps(), "v2", with_hook());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
    let calls = world.hook.calls();
    let numbers: Vec<u32> = calls.iter().map(|it| it.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(calls.iter().all(|it| it.key == calls[0].key));
    assert_eq!(world.rollout().await.hook_output, "run for v2");
    assert_eq!(world.roads.weights().last(), Some(&0));
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_for_good_leaves_the_canary_all_traffic() {
    let world = World::saying("S");
    world.hook.failures.store(3, Ordering::SeqCst);
    let stepper = world.stepper("a", &ten_steps(), "v2", with_hook());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::PromotionFailed)));
    assert_eq!(world.roads.weights().last(), Some(&100));
    let (phase, message) = world.rollout().await.status();
    assert_eq!(phase, RolloutPhase::Degraded);
    assert_eq!(
        message,
        "PromotionFailed: the on-promote hook failed (try 3 of 3): run for v2"
    );

    // Somebody mends what it does, and has it run again, under another key.
    world.want(Command::Retry, None).await.expect("a retry");
    let stepper = world.stepper("b", &ten_steps(), "v2", with_hook());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
    let calls = world.hook.calls();
    assert_ne!(calls[3].key, calls[0].key);
    assert_eq!(world.roads.weights().last(), Some(&0));
}

#[tokio::test(start_paused = true)]
async fn the_first_version_ever_is_stable_at_once() {
    let world = World::saying("S");
    let mut stepper = world.stepper("a", &ten_steps(), "v1", with_hook());
    stepper.orders.is_initial = true;
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
    assert_eq!(world.roads.weights(), [0]);
    assert_eq!(world.hook.calls(), []);
    assert_eq!(world.runs().await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_analysis_that_is_a_step_is_waited_for() {
    let mut world = World::saying("S");
    world.metric = "interval: 1m, count: 5";
    let canary = json!({"steps": [
        {"setWeight": 20},
        {"analysis": {"templates": [{"templateName": "m"}]}},
        {"setWeight": 60},
    ]});
    let stepper = world.stepper("a", &canary, "v2", with_hook());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
    let story = world.roads.story();
    let minutes: Vec<(i64, u8)> = story.iter().map(|(at, it)| (at / 60, *it)).collect();
    assert_eq!(minutes, [(0, 20), (4, 60), (4, 100), (4, 0)]);
    let runs = world.runs().await;
    assert_eq!(runs[0].name, "reviews-v2-1-1");
    assert_eq!(runs[0].not_before, world.rollout().await.traffic_since);
}

#[tokio::test(start_paused = true)]
async fn an_analysis_that_never_ends_is_no_step() {
    let world = World::saying("S");
    let canary = json!({"steps": [
        {"setWeight": 20},
        {"analysis": {"templates": [{"templateName": "m"}]}},
    ]});
    let stepper = world.stepper("a", &canary, "v2", with_hook());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    let (_, message) = world.rollout().await.status();
    assert!(
        message
            .ends_with("metric `m` has no count: an analysis that is a step has to end by itself"),
        "{message}"
    );
    let phases: Vec<Phase> = world.runs().await.iter().map(|run| run.phase).collect();
    assert_eq!(phases, [Phase::Successful], "it was ended");
}

#[tokio::test(start_paused = true)]
async fn an_analysis_that_the_service_refuses_aborts() {
    let world = World::saying("S");
    let canary = json!({"steps": [
        {"setWeight": 20},
        {"analysis": {"templates": [{"templateName": "missing"}]}},
    ]});
    let stepper = world.stepper("a", &canary, "v2", with_hook());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    let (_, message) = world.rollout().await.status();
    assert!(message.ends_with("no template `missing`"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn without_evidence_nothing_is_promoted() {
    // Nothing but waiting for data, and then something good.
    let world = World::saying(&format!("{}S", "W".repeat(15)));
    let stepper = world.stepper("a", &ten_steps(), "v2", with_hook());
    let (_interrupt, interrupts) = mpsc::channel(1);
    let person = async {
        world
            .until(&stepper, |scene| scene.rollout.status().1 == "NoEvidence")
            .await;
        assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80]);
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = within(stepper.run(interrupts)) => ended,
        () = person => unreachable!(),
    };
    // A metric waits for data for ten minutes, which is longer than these were.
    assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
    assert_eq!(world.rollout().await.routed, weight(0));
    assert!(world.clock.now() > crate::harness::at(330));
}
