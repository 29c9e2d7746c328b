//! Steps a rollout, shows it meanwhile, and passes on what interrupts it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Live;
use crate::cli::outcome::Failure;
use crate::cli::signals::interrupted;
use crate::stepper::{Ended, Scene, Stepper, StepperError};

/// How often it is drawn anew while nothing happens: ages grow.
const REDRAW: Duration = Duration::from_millis(500);

/// What came of a rollout that was stepped.
#[derive(Debug)]
pub(in crate::cli) struct Played {
    pub(in crate::cli) ended: Result<Ended, StepperError>,
    /// Whether its time was up before.
    pub(in crate::cli) is_late: bool,
    /// How it looked at last; `None`: it never came so far.
    pub(in crate::cli) scene: Option<Scene>,
}

/// Has `stepper` play, for `timeout` at most on its clock.
pub(in crate::cli) async fn play(
    stepper: &Stepper,
    timeout: Option<Duration>,
    quiet: bool,
) -> Result<Played, Failure> {
    let (interrupt, interrupts) = mpsc::channel(2);
    let mut listening = JoinSet::new();
    let signalled = interrupt.clone();
    // Listens from now on: nothing is begun that an interrupt would miss.
    let mut next = Box::pin(interrupted());
    listening.spawn(async move {
        loop {
            next.await;
            next = Box::pin(interrupted());
            if signalled.send(()).await.is_err() {
                return;
            }
        }
    });
    let late = async {
        match timeout {
            Some(timeout) => stepper.clock.sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let mut scenes = stepper.stage.subscribe();
    let mut live = Live::on_stderr(quiet, stepper.clock.now());
    let playing = stepper.run(interrupts);
    tokio::pin!(playing, late);
    let mut redraw = tokio::time::interval(REDRAW);
    let mut is_late = false;
    let ended = loop {
        tokio::select! {
            ended = &mut playing => break ended,
            () = &mut late, if !is_late => {
                is_late = true;
                let _ = interrupt.send(()).await;
            }
            changed = scenes.changed() => drop(changed),
            _ = redraw.tick() => {}
        }
        let scene = scenes.borrow_and_update().clone();
        if let Some(scene) = scene {
            live.show(&scene, stepper.clock.now())?;
        }
    };
    let scene = scenes.borrow().clone();
    if let Some(scene) = &scene {
        live.show(scene, stepper.clock.now())?;
    }
    live.finish();
    Ok(Played {
        ended,
        is_late,
        scene,
    })
}
