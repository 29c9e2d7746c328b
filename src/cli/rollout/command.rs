//! What people want of a rollout: `promote`, `abort`, `retry`, `pause`, `resume`.

use clap::Args;

use super::Which;
use crate::cli::outcome::{Failure, Outcome, print, tell};
use crate::cli::prepare;
use crate::cli::service::ServiceArgs;
use crate::client::{Accepted, ClientError, Stepper};
use crate::domain::rollout::{self, Rollout, Seen};

/// Go on: end the pause, or else the step; or say that the canary is the stable version now
///
/// It ends what is there when it is said: where the rollout has moved on meanwhile, it is refused.
/// Once the canary has all traffic it says that the canary is the stable version by now, and the weights return.
#[derive(Args, Debug)]
#[command(after_help = PROMOTE_EXAMPLES)]
pub(super) struct Promote {
    #[command(flatten)]
    which: Which,

    /// To the end at once, without further steps, pauses and analyses
    #[arg(long)]
    full: bool,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Send all traffic back to the stable version
///
/// The rollout is Degraded then, until it is retried or another version is rolled out. rollout run ends with 1.
#[derive(Args, Debug)]
#[command(after_help = ABORT_EXAMPLES)]
pub(super) struct Abort {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Begin again after an abort, or run the on-promote hook again
///
/// Takes a stepper: where rollout run has ended, start it again.
#[derive(Args, Debug)]
#[command(after_help = RETRY_EXAMPLES)]
pub(super) struct Retry {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Go no further until it is resumed or promoted; analyses go on
///
/// A failed analysis still sends the traffic back.
#[derive(Args, Debug)]
#[command(after_help = PAUSE_EXAMPLES)]
pub(super) struct Pause {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Lift a pause by hand; ends no step by that
///
/// A pause that is a step goes on: rollout promote ends it.
#[derive(Args, Debug)]
#[command(after_help = RESUME_EXAMPLES)]
pub(super) struct Resume {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    service: ServiceArgs,
}

/// After so many seconds without a renewal a stepper may be gone: it renews its lease every ten.
const SILENCE: i64 = 15;

const PROMOTE_EXAMPLES: &str = "\
Examples:
  skygate rollout promote reviews -n bookinfo
  skygate rollout promote reviews -n bookinfo --full";

const ABORT_EXAMPLES: &str = "\
Examples:
  skygate rollout abort reviews -n bookinfo";

const RETRY_EXAMPLES: &str = "\
Examples:
  skygate rollout retry reviews -n bookinfo";

const PAUSE_EXAMPLES: &str = "\
Examples:
  skygate rollout pause reviews -n bookinfo";

const RESUME_EXAMPLES: &str = "\
Examples:
  skygate rollout resume reviews -n bookinfo";

impl Promote {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        let command = if self.full {
            rollout::Command::PromoteFull
        } else {
            rollout::Command::Promote
        };
        post(&self.which, &self.service, command).await
    }
}

impl Abort {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        post(&self.which, &self.service, rollout::Command::Abort).await
    }
}

impl Retry {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        post(&self.which, &self.service, rollout::Command::Retry).await
    }
}

impl Pause {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        post(&self.which, &self.service, rollout::Command::Pause).await
    }
}

impl Resume {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        post(&self.which, &self.service, rollout::Command::Resume).await
    }
}

async fn post(
    which: &Which,
    service: &ServiceArgs,
    command: rollout::Command,
) -> Result<Outcome, Failure> {
    let service = service.required()?;
    let client = &service.client;
    let posted = async {
        let seen = match command {
            // What is skipped is what is there now, and not what comes next.
            rollout::Command::Promote => {
                let kept = client.rollout(which.name()).await?;
                let rollout = kept.record.as_ref().map(Rollout::from_record);
                rollout.and_then(Result::ok).map(|rollout| Seen {
                    revision: rollout.revision.number,
                    step: rollout.step,
                })
            }
            rollout::Command::Confirm
            | rollout::Command::PromoteFull
            | rollout::Command::Abort
            | rollout::Command::Retry
            | rollout::Command::Pause
            | rollout::Command::Resume => None,
        };
        let accepted = client.command_rollout(which.name(), command, seen).await?;
        Ok::<Accepted, ClientError>(accepted)
    };
    let Accepted {
        number,
        command,
        stepper,
    } = match prepare::patiently(client.server(), posted).await {
        Ok(accepted) => accepted,
        Err(error) => return Err(which.explain(error, client).await),
    };
    let Which { name, namespace } = which;
    print(&format!(
        "posted to {namespace}/{name}: {command} (number {number})\n"
    ))?;
    match stepper {
        Some(Stepper { holder, seen_at }) => {
            let silence = service.clock.now().duration_since(seen_at).as_secs();
            if silence > SILENCE {
                tell(&format!(
                    "`{holder}` has the lease and was last seen {silence} s ago: if it is gone, the next `skygate rollout run` takes this in"
                ));
            } else {
                tell(&format!("`{holder}` steps it and takes this in"));
            }
        }
        None => tell(
            "nobody steps it now, so nothing happens yet: the next `skygate rollout run -f …` takes this in",
        ),
    }
    Ok(Outcome::Successful)
}
