//! Somebody edits the routes by hand.

use std::sync::atomic::Ordering;
use std::time::Duration;

use skygate::domain::rollout::{Outcome, Rollout, Settings, Weight};
use skygate::ports::Clock;
use skygate::stepper::{Ended, Stepper, StepperError};
use tokio::sync::mpsc;

use super::world::{World, ten_steps, weight, within};

/// The steps with pauses of ten minutes, and no analysis.
fn long_pauses() -> serde_json::Value {
    let mut canary = ten_steps();
    for step in canary["steps"].as_array_mut().expect("steps") {
        if step.get("pause").is_some() {
            step["pause"]["duration"] = "10m".into();
        }
    }
    canary
}

fn notes(rollout: &Rollout) -> Vec<(u8, &str)> {
    let noted = rollout.history.iter().filter(|it| !it.note.is_empty());
    noted
        .map(|it| (it.weight.percent(), it.note.as_str()))
        .collect()
}

/// Plays it, with somebody who edits once the canary has 20 percent.
async fn edited(
    world: &World,
    stepper: &Stepper,
    edit: impl AsyncFn(&World),
) -> Result<Ended, StepperError> {
    let (_interrupt, interrupts) = mpsc::channel(1);
    let somebody = async {
        world.until(stepper, |scene| scene.rollout.step == 3).await;
        edit(world).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = within(stepper.run(interrupts)) => ended,
        () = somebody => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_weight_is_set_again_within_seconds() {
    for (found, note) in [
        (
            Some(weight(35)),
            (35, "traffic was at 35 and is set to 20 again"),
        ),
        (
            Some(Weight::NONE),
            (0, "traffic was at 0 and is set to 20 again"),
        ),
        (
            None,
            (
                20,
                "traffic was not as a rollout leaves it: 20 is to be set again",
            ),
        ),
    ] {
        let world = World::saying("S");
        let stepper = world.stepper("a", &long_pauses(), "v2", Settings::default());
        let ended = edited(&world, &stepper, async |world| {
            let before = world.roads.shifts().last().expect("a shift").clone();
            world.roads.edit(found);
            world.clock.sleep(Duration::from_secs(11)).await;
            assert_eq!(world.roads.now(), Some(weight(20)));
            let again = world.roads.shifts().last().expect("a shift").clone();
            assert_eq!(
                (again.canary, again.change, again.fence),
                (before.canary, before.change, before.fence),
                "the same change once more"
            );
        })
        .await;
        assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
        let rollout = world.rollout().await;
        assert_eq!(notes(&rollout), [note]);
        assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100]);
        // No step was shortened or made longer by it.
        let minutes: Vec<i64> = world.roads.story().iter().map(|(at, _)| at / 60).collect();
        assert_eq!(minutes, [0, 10, 20, 30, 40, 50]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_it_was_found_at_is_the_actual_weight_until_it_is_set() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &long_pauses(), "v2", Settings::default());
    let ended = edited(&world, &stepper, async |world| {
        world.roads.edit(Some(weight(35)));
        world
            .until(&stepper, |scene| scene.rollout.routed == weight(35))
            .await;
        world
            .until(&stepper, |scene| scene.rollout.is_at(weight(20)))
            .await;
    })
    .await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
}

#[tokio::test(start_paused = true)]
async fn a_router_that_cannot_tell_raises_no_alarm() {
    let world = World::saying("S");
    world.roads.is_opaque.store(true, Ordering::SeqCst);
    let stepper = world.stepper("a", &long_pauses(), "v2", Settings::default());
    let ended = edited(&world, &stepper, async |world| {
        world.roads.edit(Some(weight(35)));
        world.clock.sleep(Duration::from_mins(1)).await;
        // Nor does one that is away for a while.
        world.roads.is_opaque.store(false, Ordering::SeqCst);
        world.roads.edit(Some(weight(20)));
        world.perils.roads_away.store(true, Ordering::SeqCst);
        world.clock.sleep(Duration::from_mins(1)).await;
        world.perils.roads_away.store(false, Ordering::SeqCst);
    })
    .await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    assert_eq!(notes(&world.rollout().await), []);
    assert_eq!(world.roads.shifts().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_a_newer_number_in_a_pause_stands_down() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &long_pauses(), "v2", Settings::default());
    let begun = world.clock.now();
    let ended = edited(&world, &stepper, async |world| {
        world.roads.edit(Some(weight(70)));
        world.roads.fence_off(u64::MAX);
    })
    .await;
    assert!(matches!(ended, Err(StepperError::Fenced(_))), "{ended:?}");
    assert_eq!(world.roads.now(), Some(weight(70)));
    let took = world.clock.now().duration_since(begun).as_secs();
    assert!(took < 11 * 60, "after {took} s, and not at the next step");
}

#[tokio::test(start_paused = true)]
async fn whoever_keeps_editing_does_not_push_out_the_history() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &long_pauses(), "v2", Settings::default());
    let ended = edited(&world, &stepper, async |world| {
        for _ in 0..300 {
            world.roads.edit(Some(weight(35)));
            world.clock.sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    let rollout = world.rollout().await;
    assert_eq!(notes(&rollout).len(), 10);
    assert_eq!(rollout.history[0].step, 0);
    assert!(rollout.history.len() < 40, "{}", rollout.history.len());
}
