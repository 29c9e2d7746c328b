//! A stepper that dies anywhere is followed by one that goes on as if nothing had happened.

use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{HookPolicy, Outcome, Settings};
use skygate::stepper::Ended;

use super::world::{World, ten_steps};

fn with_hook() -> Settings {
    Settings {
        hook: Some(HookPolicy::default()),
        abort_when_blind: None,
        router: None,
    }
}

/// What has to be true of a healthy version's rollout, however often its stepper died.
async fn assert_promoted(world: &World, what: &str) {
    assert_eq!(
        world.roads.weights(),
        [10, 20, 40, 60, 80, 100, 0],
        "{what}"
    );
    let rollout = world.rollout().await;
    assert!(rollout.is_promoted(), "{what}");
    assert_eq!(rollout.step, 10, "{what}");
    let steps: Vec<usize> = rollout.history.iter().map(|it| it.step).collect();
    assert!(steps.is_sorted(), "{what}: {steps:?}");
    let mut stepped = steps;
    stepped.dedup();
    assert_eq!(stepped, (0..=10).collect::<Vec<_>>(), "{what}");
    let runs = world.runs().await;
    let phases: Vec<Phase> = runs.iter().map(|run| run.phase).collect();
    assert_eq!(phases, [Phase::Successful], "{what}");
    assert_eq!(runs[0].not_before, rollout.traffic_since, "{what}");
    let calls = world.hook.calls();
    assert!(!calls.is_empty(), "{what}");
    assert!(calls.iter().all(|it| it.key == calls[0].key), "{what}");
    let fences: Vec<u64> = world.roads.shifts().iter().map(|it| it.fence).collect();
    assert!(fences.is_sorted(), "{what}: {fences:?}");
}

#[tokio::test(start_paused = true)]
async fn a_healthy_version_is_promoted_step_by_step() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", with_hook());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
    assert_promoted(&world, "undisturbed").await;
    let story = world.roads.story();
    let minutes: Vec<i64> = story.iter().map(|(at, _)| at / 60).collect();
    assert_eq!(minutes, [0, 1, 2, 3, 4, 5, 5]);
    assert_eq!(world.desk().await.lease, None, "the lease was given back");
}

#[tokio::test(start_paused = true)]
async fn a_bad_version_is_rolled_back_at_the_first_chance() {
    let world = World::saying("F");
    let stepper = world.stepper("a", &ten_steps(), "v3", with_hook());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    assert_eq!(world.roads.weights(), [10, 20, 40, 0]);
    let rollout = world.rollout().await;
    let (_, message) = rollout.status();
    assert_eq!(
        message,
        "RolloutAborted: Rollout aborted update to revision 1: Background analysis phase error/failed: \
         Metric \"m\" assessed Failed due to failed (4) > failureLimit (3)"
    );
    assert_eq!(world.hook.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn death_at_any_place_loses_and_repeats_nothing() {
    let mut places = 0;
    loop {
        places += 1;
        let world = World::saying("S");
        world.perils.kill_at(places);
        let first = world.stepper("a", &ten_steps(), "v2", with_hook());
        if let Some(ended) = world.live(&first).await {
            assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
            break;
        }
        world.perils.kill_at(0);
        drop(first);
        let second = world.stepper("b", &ten_steps(), "v2", with_hook());
        let ended = world.play(&second).await;
        let what = format!("died at {places}");
        assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)), "{what}");
        assert_promoted(&world, &what).await;
    }
    assert!(places > 50, "only {places} places to die were met");
}

#[tokio::test(start_paused = true)]
async fn a_bad_version_goes_back_wherever_its_stepper_dies() {
    let mut places = 0;
    loop {
        places += 1;
        let world = World::saying("F");
        world.perils.kill_at(places);
        let first = world.stepper("a", &ten_steps(), "v3", with_hook());
        if let Some(ended) = world.live(&first).await {
            assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
            break;
        }
        world.perils.kill_at(0);
        drop(first);
        // The same process, started again, goes by the same name.
        let second = world.stepper("a", &ten_steps(), "v3", with_hook());
        let ended = world.play(&second).await;
        assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)), "died at {places}");
        let weights = world.roads.weights();
        assert_eq!(weights.last(), Some(&0), "died at {places}");
        assert!(weights.iter().all(|it| *it <= 60), "died at {places}");
        let runs = world.runs().await;
        assert_eq!(runs.len(), 1, "died at {places}");
    }
    assert!(places > 30, "only {places} places to die were met");
}

#[tokio::test(start_paused = true)]
async fn one_that_dies_again_and_again_still_gets_there() {
    let world = World::saying("S");
    let mut deaths = 0;
    loop {
        world.perils.kill_at(20);
        let stepper = world.stepper("a", &ten_steps(), "v2", with_hook());
        match world.live(&stepper).await {
            None => deaths += 1,
            Some(ended) => {
                assert_eq!(ended, Ok(Ended::Over(Outcome::Promoted)));
                break;
            }
        }
    }
    assert!(deaths > 3, "it died {deaths} times");
    assert_promoted(&world, "died often").await;
}
