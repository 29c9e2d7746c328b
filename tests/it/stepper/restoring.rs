//! A service that has lost what it kept.

use std::sync::atomic::Ordering;
use std::time::Duration;

use skygate::domain::rollout::desk::Desk;
use skygate::domain::rollout::{Command, Outcome, Settings};
use skygate::ports::Clock;
use skygate::stepper::{Ended, Stepper, StepperError};
use tokio::sync::mpsc;

use super::world::{NAME, NAMESPACE, World, ten_steps, within};

/// Plays it, with a service that is away for so long from the third step on and has forgotten everything then.
async fn forgotten(
    world: &World,
    stepper: &Stepper,
    away: Duration,
    then: impl AsyncFn(&World),
) -> Result<Ended, StepperError> {
    let (_interrupt, interrupts) = mpsc::channel(1);
    let meanwhile = async {
        world.until(stepper, |scene| scene.rollout.step == 3).await;
        world.perils.service_is_away(true);
        world.clock.sleep(away).await;
        world.forget().await;
        then(world).await;
        world.perils.service_is_away(false);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = within(stepper.run(interrupts)) => ended,
        () = meanwhile => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_stepped_last_gives_it_back_and_goes_on() {
    for minutes in [0, 1, 30] {
        let world = World::saying("S");
        let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
        let away = Duration::from_mins(minutes);
        let ended = forgotten(&world, &stepper, away, async |_| {}).await;
        assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)), "{minutes}");
        assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100]);
        let rollout = world.rollout().await;
        let noted = rollout
            .history
            .iter()
            .filter(|it| it.note.contains("has it back"));
        assert_eq!(noted.count(), 1);
        assert_eq!(rollout.revision.number, 1);
        let fences: Vec<u64> = world.roads.shifts().iter().map(|it| it.fence).collect();
        assert!(fences.is_sorted() && fences[0] < fences[5], "{fences:?}");
        assert_eq!(
            world.desk().await.lease,
            None,
            "the new lease was given back"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn commands_are_heard_after_it_as_before() {
    let world = World::saying("S");
    let mut canary = ten_steps();
    canary["steps"][3] = serde_json::json!({"pause": {}});
    let stepper = world.stepper("a", &canary, "v2", Settings::default());
    let (_interrupt, interrupts) = mpsc::channel(1);
    let person = async {
        world.until(&stepper, |scene| scene.rollout.step == 1).await;
        for command in [
            Command::Pause,
            Command::Resume,
            Command::Pause,
            Command::Resume,
        ] {
            let number = world.want(command, None).await.expect("it makes sense");
            world
                .until(&stepper, |scene| scene.rollout.commands_taken == number)
                .await;
        }
        world.until(&stepper, |scene| scene.rollout.step == 3).await;
        world.forget().await;
        let restored = |note: &str| note.contains("has it back");
        world
            .until(&stepper, |scene| {
                scene.rollout.history.iter().any(|it| restored(&it.note))
            })
            .await;
        world
            .want(Command::Promote, None)
            .await
            .expect("it makes sense");
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = within(stepper.run(interrupts)) => ended,
        () = person => unreachable!(),
    };
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
}

#[tokio::test(start_paused = true)]
async fn an_abort_of_the_dead_man_is_given_back_too() {
    let world = World::saying("S");
    let dead_man = Settings {
        hook: None,
        abort_when_blind: Some(Duration::from_mins(10)),
        router: None,
    };
    let stepper = world.stepper("a", &ten_steps(), "v2", dead_man);
    let ended = forgotten(&world, &stepper, Duration::from_mins(20), async |_| {}).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    assert_eq!(world.roads.weights(), [10, 20, 0]);
    assert!(world.rollout().await.aborted.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_may_be_older_than_the_routes_is_not_given_back() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let ended = forgotten(&world, &stepper, Duration::from_mins(5), async |world| {
        world.roads.fence_off(u64::MAX);
    })
    .await;
    let Err(StepperError::Forgotten(why)) = ended else {
        panic!("{ended:?}")
    };
    assert!(why.contains("of a later lease"), "{why}");

    // Where the router cannot tell, only a short absence is sure to have been nobody else's.
    let world = World::saying("S");
    world.roads.is_opaque.store(true, Ordering::SeqCst);
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let ended = forgotten(&world, &stepper, Duration::from_mins(5), async |_| {}).await;
    let Err(StepperError::Forgotten(why)) = ended else {
        panic!("{ended:?}")
    };
    assert!(why.contains("cannot tell whether another stepper"), "{why}");
    assert_eq!(world.roads.weights(), [10, 20]);
}

#[tokio::test(start_paused = true)]
async fn whoever_began_anew_meanwhile_is_left_alone() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let ended = forgotten(&world, &stepper, Duration::ZERO, async |world| {
        let take = |desk: &mut Desk, now, until| desk.take("b", now, until);
        world
            .desks
            .change(NAMESPACE, NAME, take)
            .await
            .expect("a lease");
    })
    .await;
    assert!(matches!(ended, Err(StepperError::Lost(_))), "{ended:?}");
    assert_eq!(world.desk().await.lease.expect("a lease").holder, "b");
    assert_eq!(world.roads.weights(), [10, 20]);
}
