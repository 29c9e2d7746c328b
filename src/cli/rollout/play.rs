//! Steps a rollout, shows it meanwhile, and passes on what interrupts it.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::Live;
use crate::cli::outcome::Failure;
use crate::cli::signals::interrupted;
use crate::stepper::{Ended, Scene, Stepper, StepperError};

/// How often it is drawn anew while nothing happens: ages grow.
const REDRAW: Duration = Duration::from_millis(500);

/// How long a stepper has to end by itself once it was interrupted twice.
const A_MOMENT: Duration = Duration::from_secs(1);

/// What [`interrupted`] gives.
pub(in crate::cli) type Interrupt = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What came of a rollout that was stepped.
#[derive(Debug)]
pub(in crate::cli) struct Played {
    pub(in crate::cli) ended: Result<Ended, StepperError>,
    /// Whether its time was up before.
    pub(in crate::cli) is_late: bool,
    /// How it looked at last; `None`: it never came so far.
    pub(in crate::cli) scene: Option<Scene>,
}

/// What interrupts a stepper: signals, and the end of its time.
#[derive(Debug)]
struct Interrupts {
    sender: mpsc::Sender<()>,
    count: AtomicUsize,
    hurry: Notify,
}

impl Interrupts {
    fn new() -> (Self, mpsc::Receiver<()>) {
        let (sender, heard) = mpsc::channel(2);
        let interrupts = Self {
            sender,
            count: AtomicUsize::default(),
            hurry: Notify::default(),
        };
        (interrupts, heard)
    }

    /// One more. Nobody waits for the stepper to hear it.
    fn add(&self) {
        // Where two are unheard, a third says nothing new.
        let _ = self.sender.try_send(());
        if self.count.fetch_add(1, Ordering::SeqCst) > 0 {
            self.hurry.notify_one();
        }
    }

    /// Ready a moment after the second: a stepper that could end by itself has done so by then.
    async fn hurried(&self) {
        self.hurry.notified().await;
        tokio::time::sleep(A_MOMENT).await;
    }
}

/// Steps until it is over, and whether its time was up before. In a task of its own: whoever shows it may wait for a reader that takes nothing.
async fn drive(
    stepper: Stepper,
    timeout: Option<Duration>,
    mut interrupt: Interrupt,
) -> (Result<Ended, StepperError>, bool) {
    let (interrupts, heard) = Interrupts::new();
    let late = async {
        match timeout {
            Some(timeout) => stepper.clock.sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let playing = stepper.run(heard);
    let hurried = interrupts.hurried();
    tokio::pin!(playing, late, hurried);
    let mut is_late = false;
    loop {
        tokio::select! {
            ended = &mut playing => return (ended, is_late),
            () = &mut interrupt => {
                interrupt = Box::pin(interrupted());
                interrupts.add();
            }
            () = &mut late, if !is_late => {
                is_late = true;
                interrupts.add();
            }
            () = &mut hurried => return (stepper.left_at_once(), is_late),
        }
    }
}

/// Has `stepper` play, for `timeout` at most on its clock. `interrupt` is ready with the first signal, and listens already.
pub(in crate::cli) async fn play(
    stepper: &Stepper,
    timeout: Option<Duration>,
    quiet: bool,
    interrupt: Interrupt,
) -> Result<Played, Failure> {
    let mut scenes = stepper.stage.subscribe();
    let mut live = Live::on_stderr(quiet, stepper.clock.now());
    let mut driving = JoinSet::new();
    driving.spawn(drive(stepper.clone(), timeout, interrupt));
    let mut redraw = tokio::time::interval(REDRAW);
    let (ended, is_late) = loop {
        tokio::select! {
            Some(driven) = driving.join_next() => match driven {
                Ok(driven) => break driven,
                // A fault of this program.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
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
