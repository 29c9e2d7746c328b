//! Two steppers never fight.

use std::time::Duration;

use jiff::Timestamp;
use skygate::domain::rollout::desk::Desk;
use skygate::domain::rollout::{Outcome, Settings};
use skygate::stepper::{Ended, StepperError};
use tokio::sync::mpsc;

use super::world::{NAME, NAMESPACE, World, ten_steps, within};

#[tokio::test(start_paused = true)]
async fn a_second_stepper_is_told_who_is_at_work() {
    let world = World::saying("S");
    let first = world.stepper("a/17", &ten_steps(), "v2", Settings::default());
    let second = world.stepper("b/42", &ten_steps(), "v2", Settings::default());
    let (_interrupt, interrupts) = mpsc::channel(1);
    tokio::select! {
        ended = first.run(interrupts) => panic!("{ended:?}"),
        refused = async {
            world.until(&first, |scene| scene.rollout.step == 1).await;
            world.play(&second).await
        } => {
            let Err(StepperError::Held(why)) = refused else { panic!("{refused:?}") };
            assert!(why.contains("it is stepped by `a/17` until 2026-11-23T10:00:"), "{why}");
        }
    }
    assert_eq!(world.roads.weights(), [10]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_stepper_is_followed_as_soon_as_its_lease_is_over() {
    let world = World::saying("S");
    let first = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let (_interrupt, interrupts) = mpsc::channel(1);
    tokio::select! {
        ended = first.run(interrupts) => panic!("{ended:?}"),
        () = world.until(&first, |scene| scene.rollout.routed.percent() == 20) => {}
    }
    let died_at = world.roads.story().last().expect("a weight").0;
    let second = world.stepper("b", &ten_steps(), "v2", Settings::default());
    let (_interrupt, interrupts) = mpsc::channel(1);
    tokio::select! {
        ended = second.run(interrupts) => panic!("{ended:?}"),
        () = world.until(&second, |scene| scene.rollout.is_routed) => {}
    }
    let shifts = world.roads.shifts();
    let [.., before, after] = shifts.as_slice() else {
        panic!("{shifts:?}")
    };
    assert_eq!(after.canary, before.canary, "the weight is set again");
    assert_eq!(after.change, before.change);
    assert!(after.fence > before.fence);
    let desk = world.desk().await;
    let took = i64::try_from(desk.fence).expect("seconds") - crate::harness::start().as_second();
    assert!((0..=31).contains(&(took - died_at)), "{took} {died_at}");
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_a_newer_fence_touches_nothing() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let (_interrupt, interrupts) = mpsc::channel(1);
    let fenced = tokio::select! {
        ended = within(stepper.run(interrupts)) => ended,
        () = async {
            world.until(&stepper, |scene| scene.rollout.step == 3).await;
            world.roads.fence_off(u64::MAX);
            std::future::pending::<()>().await;
        } => unreachable!(),
    };
    assert!(matches!(fenced, Err(StepperError::Fenced(_))), "{fenced:?}");
    assert_eq!(world.roads.weights(), [10, 20]);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_lost_the_lease_saves_and_touches_nothing() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let (_interrupt, interrupts) = mpsc::channel(1);
    let lost = tokio::select! {
        ended = within(stepper.run(interrupts)) => ended,
        () = async {
            world.until(&stepper, |scene| scene.rollout.step == 3).await;
            // It hung for so long that another one took over.
            let steal = |desk: &mut Desk, now, until| {
                desk.lease = None;
                desk.take("b", now, until)
            };
            world.desks.change(NAMESPACE, NAME, steal).await.expect("a lease");
            std::future::pending::<()>().await;
        } => unreachable!(),
    };
    let Err(StepperError::Lost(why)) = lost else {
        panic!("{lost:?}")
    };
    assert!(why.contains("`b`"), "{why}");
    assert_eq!(world.roads.weights(), [10, 20]);
    let desk = world.desk().await;
    assert_eq!(desk.lease.expect("a lease").holder, "b");
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_kept_for_as_long_as_it_is_needed() {
    let world = World::saying("S");
    let mut canary = ten_steps();
    canary["steps"][1]["pause"]["duration"] = "3h".into();
    let stepper = world.stepper("a", &canary, "v2", Settings::default());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    let fences: Vec<u64> = world.roads.shifts().iter().map(|it| it.fence).collect();
    assert!(
        fences.windows(2).all(|pair| pair[0] == pair[1]),
        "{fences:?}"
    );
    let elapsed = Duration::from_secs(
        world
            .roads
            .story()
            .last()
            .expect("a weight")
            .0
            .unsigned_abs(),
    );
    assert!(elapsed > Duration::from_hours(3));
}

/// Its holder is dead, and renews it no more: nobody waits for longer than a lease lasts.
#[tokio::test(start_paused = true)]
async fn a_lease_of_a_clock_that_was_ahead_keeps_nobody_away() {
    let world = World::saying("S");
    let ahead = |desk: &mut Desk, now: Timestamp, _| {
        let later = now + Duration::from_hours(1);
        desk.take("a", later, later + Duration::from_secs(30))
    };
    let planted = world.desks.change(NAMESPACE, NAME, ahead).await;
    planted.expect("a lease");
    let stepper = world.stepper("b", &ten_steps(), "v2", Settings::default());
    let ended = world.play(&stepper).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    let first = world.roads.story()[0];
    assert!((30..40).contains(&first.0), "{first:?}");
}
