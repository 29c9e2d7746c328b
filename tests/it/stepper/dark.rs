//! The service or the router out of reach.

use std::sync::atomic::Ordering;
use std::time::Duration;

use skygate::domain::rollout::{Command, Outcome, Settings};
use skygate::ports::Clock;
use skygate::stepper::{Ended, OnInterrupt, Stepper, StepperError};
use tokio::sync::mpsc;

use super::world::{World, ten_steps, within};

fn dead_man(minutes: u64) -> Settings {
    Settings {
        hook: None,
        abort_when_blind: Some(Duration::from_mins(minutes)),
        router: None,
    }
}

/// Plays it, with the service away from the third step on, for so long.
async fn play_away(
    world: &World,
    stepper: &Stepper,
    away: Duration,
) -> Result<Ended, StepperError> {
    let (_interrupt, interrupts) = mpsc::channel(1);
    let meanwhile = async {
        world.until(stepper, |scene| scene.rollout.step == 3).await;
        world.perils.service_is_away(true);
        world.clock.sleep(away).await;
        world.perils.service_is_away(false);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = within(stepper.run(interrupts)) => ended,
        () = meanwhile => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_service_is_away_the_weight_is_held() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let mut stage = stepper.stage.subscribe();
    let ((), ended) = tokio::join!(
        async {
            let away = stage.wait_for(|it| it.as_ref().is_some_and(|it| it.away.is_some()));
            let scene = away.await.expect("it is there").clone().expect("a scene");
            assert_eq!(scene.rollout.step, 3);
            assert!(scene.rollout.blind_since.is_some());
            assert_eq!(scene.away.expect("away").why, "no answer from the service");
        },
        play_away(&world, &stepper, Duration::from_hours(2))
    );
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100]);
    let story = world.roads.story();
    // The pause of a minute was over long ago: it goes on at once, and not with several steps.
    let minutes: Vec<i64> = story.iter().map(|(at, _)| at / 60).collect();
    assert_eq!(minutes, [0, 1, 121, 122, 123, 124]);
    assert_eq!(world.runs().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn out_of_sight_for_too_long_sends_traffic_back() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", dead_man(10));
    let ended = play_away(&world, &stepper, Duration::from_hours(2)).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    let story = world.roads.story();
    let [(_, 10), (away_at, 20), (back_at, 0)] = story[..] else {
        panic!("{story:?}")
    };
    let waited = back_at - away_at;
    assert!((595..=620).contains(&waited), "after {waited} s");
    // The abort is in the record once there is somebody to keep it.
    let (_, message) = world.rollout().await.status();
    assert!(
        message.ends_with("the service was out of sight for 10m"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_unsaved_stays_so_whoever_takes_over() {
    let world = World::saying("S");
    let first = world.stepper("a", &ten_steps(), "v2", dead_man(10));
    let (_interrupt, interrupts) = mpsc::channel(1);
    tokio::select! {
        ended = within(first.run(interrupts)) => panic!("{ended:?}"),
        () = async {
            world.until(&first, |scene| scene.rollout.step == 3).await;
            world.perils.service_is_away(true);
            while world.roads.weights() != [10, 20, 0] {
                world.clock.sleep(Duration::from_secs(1)).await;
            }
        } => {}
    }
    // It dies before it could tell anybody, and what is kept says that the canary has its share.
    drop(first);
    world.perils.service_is_away(false);
    assert_eq!(world.rollout().await.aborted, None);
    let second = world.stepper("b", &ten_steps(), "v2", dead_man(10));
    let ended = world.play(&second).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    assert_eq!(world.roads.weights(), [10, 20, 0]);
    let (_, message) = world.rollout().await.status();
    assert!(
        message.ends_with("traffic was taken back while the service was out of sight"),
        "{message}"
    );
    // Whoever knows that may begin anew.
    world
        .want(Command::Retry, None)
        .await
        .expect("it was aborted");
    let third = world.stepper("b", &ten_steps(), "v2", dead_man(10));
    assert_eq!(
        world.play(&third).await,
        Ok(Ended::Over(Outcome::Unconfirmed))
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_absence_is_forgiven() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", dead_man(10));
    let ended = play_away(&world, &stepper, Duration::from_mins(9)).await;
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100]);
}

#[tokio::test(start_paused = true)]
async fn whoever_took_over_meanwhile_is_left_alone() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", dead_man(10));
    let (_interrupt, interrupts) = mpsc::channel(1);
    let meanwhile = async {
        world.until(&stepper, |scene| scene.rollout.step == 3).await;
        world.perils.service_is_away(true);
        world.until(&stepper, |scene| scene.away.is_some()).await;
        // Another one reached the service, and the roads know it.
        world.roads.fence_off(u64::MAX);
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = within(stepper.run(interrupts)) => ended,
        () = meanwhile => unreachable!(),
    };
    assert!(matches!(ended, Err(StepperError::Fenced(_))), "{ended:?}");
    assert_eq!(world.roads.weights(), [10, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_router_that_fails_is_waited_for_and_told_of() {
    let world = World::saying("S");
    world.perils.roads_away.store(true, Ordering::SeqCst);
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let (_interrupt, interrupts) = mpsc::channel(1);
    let meanwhile = async {
        world
            .until(&stepper, |scene| scene.rollout.trouble.is_some())
            .await;
        let trouble = world.rollout().await.trouble.expect("it is saved");
        assert_eq!(trouble.message, "no way to the roads");
        world.clock.sleep(Duration::from_mins(30)).await;
        world.perils.roads_away.store(false, Ordering::SeqCst);
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = within(stepper.run(interrupts)) => ended,
        () = meanwhile => unreachable!(),
    };
    assert_eq!(ended, Ok(Ended::Over(Outcome::Unconfirmed)));
    assert_eq!(world.roads.weights(), [10, 20, 40, 60, 80, 100]);
    let rollout = world.rollout().await;
    assert_eq!(rollout.trouble, None);
    // What the canary was judged by began when it got its first traffic, and not when it should have.
    let waited =
        rollout.traffic_since.expect("traffic").as_second() - rollout.created_at.as_second();
    assert!((1_800..=1_840).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_answered_ends_it_soon() {
    let world = World::saying("S");
    world.perils.service_is_away(true);
    let stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
    let ended = world.play(&stepper).await;
    let expected = StepperError::Away("no answer from the service".to_owned());
    assert_eq!(ended, Err(expected));
    assert!(world.roads.weights().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_holds_the_weight_or_aborts() {
    for (on_interrupt, ended, weights) in [
        (OnInterrupt::Hold, Ended::Held, &[10, 20][..]),
        (
            OnInterrupt::Abort,
            Ended::Over(Outcome::Aborted),
            &[10, 20, 0][..],
        ),
    ] {
        let world = World::saying("S");
        let mut stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
        stepper.orders.on_interrupt = on_interrupt;
        let (interrupt, interrupts) = mpsc::channel(1);
        let (stopped, ()) = tokio::join!(within(stepper.run(interrupts)), async {
            world.until(&stepper, |scene| scene.rollout.step == 3).await;
            interrupt.send(()).await.expect("it listens");
            // Nobody interrupts any more.
            std::mem::forget(interrupt);
        });
        assert_eq!(stopped, Ok(ended));
        assert_eq!(world.roads.weights(), weights);
        assert_eq!(world.desk().await.lease, None, "the lease was given back");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_aborts_without_the_service_in_bounded_time() {
    for is_dark in [false, true] {
        for roads_away in [false, true] {
            let world = World::saying("S");
            let mut stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
            stepper.orders.on_interrupt = OnInterrupt::Abort;
            let (interrupt, interrupts) = mpsc::channel(1);
            let (stopped, begun_at) = tokio::join!(within(stepper.run(interrupts)), async {
                world.until(&stepper, |scene| scene.rollout.step == 3).await;
                world.perils.service_is_away(true);
                if is_dark {
                    world.until(&stepper, |scene| scene.away.is_some()).await;
                }
                world.perils.roads_away.store(roads_away, Ordering::SeqCst);
                interrupt.send(()).await.expect("it listens");
                // Nobody interrupts any more.
                std::mem::forget(interrupt);
                world.clock.now()
            });
            let took = world.clock.now().as_second() - begun_at.as_second();
            assert!(took <= 31, "{took} s");
            if roads_away {
                let why = "no way to the roads".to_owned();
                assert_eq!(stopped, Err(StepperError::NotAborted(why)));
                assert_eq!(world.roads.weights(), [10, 20]);
            } else {
                assert_eq!(stopped, Ok(Ended::Over(Outcome::Aborted)));
                assert_eq!(world.roads.weights(), [10, 20, 0]);
                let shifts = world.roads.shifts();
                assert!(shifts.last().expect("shifts").is_unsaved);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_it_in_the_dark_is_told_once() {
    let world = World::saying("S");
    let stepper = world.stepper("a", &ten_steps(), "v2", dead_man(10));
    let mut scenes = stepper.stage.subscribe();
    let seen = async {
        let mut histories: Vec<Vec<(u8, String)>> = Vec::new();
        loop {
            scenes.changed().await.expect("it is still there");
            let scene = scenes.borrow_and_update().clone().expect("a scene");
            if scene.away.is_none() {
                if histories.is_empty() {
                    continue;
                }
                return histories;
            }
            let history = scene.rollout.history.iter();
            histories.push(
                history
                    .map(|it| (it.weight.percent(), it.message.clone()))
                    .collect(),
            );
        }
    };
    let (ended, histories) =
        tokio::join!(play_away(&world, &stepper, Duration::from_mins(30)), seen);
    assert_eq!(ended, Ok(Ended::Over(Outcome::Aborted)));
    for pair in histories.windows(2) {
        assert!(pair[1].starts_with(&pair[0]), "{pair:?}");
    }
    let last = histories.last().expect("it was dark");
    let of_abort = last
        .iter()
        .filter(|(_, message)| message.contains("out of sight"));
    let weights: Vec<u8> = of_abort.map(|(weight, _)| *weight).collect();
    assert_eq!(weights, [20, 0], "aborted, and then taken back");
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_before_its_turn_never_counts_as_an_abort() {
    for (on_interrupt, is_held) in [(OnInterrupt::Hold, true), (OnInterrupt::Abort, false)] {
        let world = World::saying("S");
        world.perils.service_is_away(true);
        let mut stepper = world.stepper("a", &ten_steps(), "v2", Settings::default());
        stepper.orders.on_interrupt = on_interrupt;
        let (interrupt, interrupts) = mpsc::channel(1);
        let (stopped, ()) = tokio::join!(within(stepper.run(interrupts)), async {
            world.clock.sleep(Duration::from_secs(5)).await;
            interrupt.send(()).await.expect("it listens");
        });
        if is_held {
            assert_eq!(stopped, Ok(Ended::Held));
        } else {
            assert!(
                matches!(stopped, Err(StepperError::NotAborted(_))),
                "{stopped:?}"
            );
        }
        assert!(world.roads.weights().is_empty());
    }
}
