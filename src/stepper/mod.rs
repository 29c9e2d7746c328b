//! The thin rollout stepper: plays a [`Rollout`] by asking the service for verdicts and a router for traffic.
//!
//! It takes no decision: [`step`](crate::domain::rollout::step) does, and [`crate::domain::rollout`] says how it is driven.
//! What is here are the tasks around it:
//!
//! | what goes wrong | what becomes of the rollout |
//! | --- | --- |
//! | the stepper dies | another one, or the same started again, takes over once the lease is over, sets the weight again and goes on |
//! | the service is away | the weight is held; for longer than `abort_when_blind`, traffic goes back to the stable version |
//! | it dies then before that is saved | the router has kept that traffic was taken back: whoever takes over aborts, and gives the canary none |
//! | the router fails | the weight is tried again, and the rollout waits for it |
//! | another stepper has taken over | nothing more is touched: the service refuses to save, the router the older fence |
//! | somebody edits the routes | that is seen within seconds and the weight set again, which the history tells |
//! | the service has lost what it kept | whoever stepped last gives it back and goes on, if that can be told for sure |
//! | the answer to a save is lost | the record is read again before anything else is done |
//!
//! Everything it knows is in the saved record. Saving goes before acting, so there is nothing to undo.

mod dark;
mod play;
mod remote;
mod scene;
mod service;
mod takeover;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::domain::rollout::desk::Lease;
use crate::domain::rollout::{
    Outcome, RecordError, Refusal, Rollout, RolloutSpec, Settings, Version, Weight,
};
use crate::ports::{Clock, Hook, TrafficRouter};

pub use remote::RemoteService;
pub use scene::{Away, Scene};
pub use service::{Look, Service, ServiceError, Sheet};

use play::Play;

/// For how long, in real time, a service is asked that does not answer at the very beginning.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// For how long, in real time, a lease is given back: it ends by itself, and whoever interrupted waits for this.
const RELEASED_WITHIN: Duration = Duration::from_secs(3);

/// The wait between two tries at the beginning, in real time.
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// Plays one rollout.
#[derive(Clone, Debug)]
pub struct Stepper {
    /// Who gives verdicts and keeps the record.
    pub service: Arc<dyn Service>,
    /// What shares out the traffic.
    pub router: Arc<dyn TrafficRouter>,
    /// What makes the new version the stable one; `None`: somebody does, and says so.
    pub hook: Option<Arc<dyn Hook>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What it was told.
    pub orders: Orders,
    /// Where it shows what it does.
    pub stage: watch::Sender<Option<Scene>>,
}

/// What a stepper was told.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The rollout's namespace.
    pub namespace: String,
    /// What it calls itself: another one never does.
    pub holder: String,
    /// What the document says. `None`: what is being rolled out goes on as it was begun.
    pub spec: Option<Arc<RolloutSpec>>,
    /// What is to be rolled out; `None`: what is being rolled out already.
    pub version: Option<Version>,
    /// Whether it goes on where its document names other routes than those through which the canary has its traffic.
    pub takes_routes: bool,
    /// What the stable version is called, for a rollout that nobody knows yet.
    pub stable: Option<Version>,
    /// Whether there is no stable version yet: the first one ever is that at once.
    pub is_initial: bool,
    /// How to go about it.
    pub settings: Settings,
    /// What to do when it is interrupted.
    pub on_interrupt: OnInterrupt,
}

impl Orders {
    /// What there is to say at least: a `version` by `spec`, over a stable one that has no name. The weight is held in whatever happens.
    pub fn new(
        namespace: impl Into<String>,
        holder: impl Into<String>,
        spec: Arc<RolloutSpec>,
        version: Version,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            holder: holder.into(),
            spec: Some(spec),
            version: Some(version),
            takes_routes: false,
            stable: None,
            is_initial: false,
            settings: Settings::default(),
            on_interrupt: OnInterrupt::Hold,
        }
    }

    /// What the rollout begins with where the service knows none; `None`: nobody said what to roll out.
    pub fn first(&self, now: jiff::Timestamp) -> Option<Rollout> {
        let (spec, version) = self.spec.as_ref().zip(self.version.as_ref())?;
        let stable = if self.is_initial {
            Some(version.clone())
        } else {
            self.stable.clone()
        };
        Some(Rollout::new(
            &self.namespace,
            Arc::clone(spec),
            version.clone(),
            stable,
            self.settings.clone(),
            now,
        ))
    }
}

/// What a stepper does when it is interrupted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInterrupt {
    /// It leaves the weight as it is, for whoever goes on.
    #[default]
    Hold,
    /// It aborts the rollout first: by the router alone where the service is away, and within half a minute or not at all.
    Abort,
}

/// How stepping ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing more happens by itself.
    Over(Outcome),
    /// It was interrupted, and the weight is held.
    Held,
}

/// Why a stepper stopped before the end. It has touched nothing since.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepperError {
    /// Another stepper is at work.
    #[error("{0}")]
    Held(String),
    /// Another stepper has taken over.
    #[error("this rollout is another stepper's by now: {0}")]
    Lost(String),
    /// The service has lost what it kept, and it would not be safe to give that back.
    #[error(
        "the service knows nothing of this rollout any more: it was started anew without what it had stored, or that was deleted; {0}"
    )]
    Forgotten(String),
    /// Another stepper has written what this one was about to.
    #[error("another stepper moves this traffic: {0}")]
    Fenced(String),
    /// It was interrupted, and could not send traffic back in time.
    #[error("not aborted: {0}")]
    NotAborted(String),
    /// The service did not answer, and nothing was begun.
    #[error("{0}")]
    Away(String),
    /// The service will not do it.
    #[error("{0}")]
    Service(String),
    /// Another version is not for now.
    #[error("`{version}` cannot be rolled out now: {why}")]
    Refused {
        /// The version.
        version: String,
        /// Why not.
        why: Refusal,
    },
    /// The canary has its traffic through other routes than those that would be moved now.
    #[error(
        "the canary has {weight} % of the traffic through routes that the Rollout no longer names: they would stay as they are for good"
    )]
    Elsewhere {
        /// The canary's share there.
        weight: Weight,
    },
    /// The rollout is not known, and nobody said what to roll out.
    #[error("nothing is being rolled out, and no version was named to begin with")]
    NothingToDo,
    /// What is kept of the rollout cannot be read.
    #[error("what the service keeps of this rollout cannot be read")]
    Record(#[from] RecordError),
}

impl Stepper {
    /// Plays the rollout to its end, until it is interrupted, or until it must not go on.
    ///
    /// A second interrupt ends it at once. What it did last stays as it is then.
    pub async fn run(&self, mut interrupts: mpsc::Receiver<()>) -> Result<Ended, StepperError> {
        let lease = tokio::select! {
            biased;
            () = interrupted(&mut interrupts) => return self.interrupted_too_soon(),
            lease = self.take() => lease?,
        };
        info!(lease.fence, "took the lease {}", lease.fence);
        let mut play = Play::new(self, lease.fence);
        let ended = play.run(&mut interrupts).await;
        if let Err(StepperError::Lost(_) | StepperError::Forgotten(_)) = ended {
            return ended;
        }
        let released =
            tokio::time::timeout(RELEASED_WITHIN, self.service.release(play.fence)).await;
        match released {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the lease was not given back and ends by itself"),
            Err(_) => warn!("the lease was not given back in time and ends by itself"),
        }
        ended
    }

    /// How it ends where whoever runs it will not wait for its end any longer: as it stands by what it has shown last.
    pub fn left_at_once(&self) -> Result<Ended, StepperError> {
        let scene = self.stage.borrow();
        let rollout = scene.as_ref().map(|scene| &scene.rollout);
        let is_done = rollout.filter(|rollout| rollout.is_at(rollout.weight));
        if let Some(outcome) = is_done.and_then(Rollout::outcome) {
            return Ok(Ended::Over(outcome));
        }
        match self.orders.on_interrupt {
            OnInterrupt::Hold => Ok(Ended::Held),
            OnInterrupt::Abort => Err(StepperError::NotAborted(
                "it was interrupted again before traffic had gone back; look at the routes"
                    .to_owned(),
            )),
        }
    }

    /// How it ends where somebody interrupted before it was its turn: the traffic is whoever's has the lease.
    fn interrupted_too_soon(&self) -> Result<Ended, StepperError> {
        match self.orders.on_interrupt {
            OnInterrupt::Hold => Ok(Ended::Held),
            OnInterrupt::Abort => Err(StepperError::NotAborted(
                "this stepper had not got the rollout's lease yet, and has touched nothing"
                    .to_owned(),
            )),
        }
    }

    /// Takes the lease. A holder that has died is waited for: it does not renew its lease.
    async fn take(&self) -> Result<Lease, StepperError> {
        let begun = Instant::now();
        let mut seen: Option<Lease> = None;
        loop {
            let held = match self.service.take(&self.orders.holder).await {
                Ok(lease) => return Ok(lease),
                Err(ServiceError::Held(why)) => why,
                Err(ServiceError::Away(why)) => {
                    if begun.elapsed() >= FIRST_ANSWER_WITHIN {
                        return Err(StepperError::Away(why));
                    }
                    tokio::time::sleep(FIRST_RETRY).await;
                    continue;
                }
                Err(error) => return Err(StepperError::Service(error.to_string())),
            };
            if let Ok(Sheet {
                lease: Some(lease), ..
            }) = self.service.read().await
            {
                let is_alive =
                    |seen: &Lease| seen.fence != lease.fence || seen.expires_at < lease.expires_at;
                if seen.as_ref().is_some_and(is_alive) {
                    return Err(StepperError::Held(held));
                }
                if seen.is_none() {
                    info!("{held}; waiting for its lease to end, or to be renewed");
                }
                seen.get_or_insert(lease);
            }
            tokio::time::sleep(FIRST_RETRY).await;
        }
    }

    /// Shows the rollout to whoever looks.
    fn show(&self, scene: Scene) {
        self.stage.send_replace(Some(scene));
    }
}

/// Returns once somebody interrupts; never where nobody can any more.
async fn interrupted(interrupts: &mut mpsc::Receiver<()>) {
    if interrupts.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
