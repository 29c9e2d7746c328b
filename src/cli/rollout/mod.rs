//! `skygate rollout`.

mod check;
mod command;
mod explain;
mod get;
mod live;
mod play;
mod router;
mod run;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::or_interrupted;
use super::outcome::{Failure, Outcome};
use crate::client::RolloutName;

use live::Live;
pub(super) use play::{Played, play};

/// Move traffic to a new version step by step, and back where its analysis fails
///
/// run does the work, for an Argo Rollout and with the verdicts of the service; the others look at it and steer it, from wherever.
#[derive(Args, Debug)]
pub(super) struct Rollout {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Run>),
    Get(get::Get),
    Promote(command::Promote),
    Abort(command::Abort),
    Retry(command::Retry),
    Pause(command::Pause),
    Resume(command::Resume),
}

impl Rollout {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        match self.command {
            Command::Run(command) => command.execute().await,
            Command::Get(command) => or_interrupted(command.execute()).await,
            Command::Promote(command) => or_interrupted(command.execute()).await,
            Command::Abort(command) => or_interrupted(command.execute()).await,
            Command::Retry(command) => or_interrupted(command.execute()).await,
            Command::Pause(command) => or_interrupted(command.execute()).await,
            Command::Resume(command) => or_interrupted(command.execute()).await,
        }
    }
}

/// Which rollout.
#[derive(Args, Clone, Debug)]
struct Which {
    /// Its name
    name: String,

    /// Its namespace
    #[arg(short = 'n', long, value_name = "NAMESPACE", env = "SKYGATE_NAMESPACE", default_value = "default", value_parser = NonEmptyStringValueParser::new())]
    namespace: String,
}

impl Which {
    fn name(&self) -> RolloutName<'_> {
        RolloutName {
            namespace: &self.namespace,
            name: &self.name,
        }
    }
}
