//! `skygate rollout`.

mod check;
mod command;
mod explain;
mod get;
mod live;
mod play;
mod router;
mod run;

use clap::{Args, Subcommand};

use super::or_interrupted;
use super::outcome::{Failure, Outcome};
use crate::client::RolloutName;

use live::Live;
pub(super) use play::{Interrupt, Played, play};

/// The longest name of a version, as labels have it, and of an image.
const LONGEST_VERSION: usize = 253;
const LONGEST_IMAGE: usize = 1_000;

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
            Command::Get(command) => or_interrupted(Box::pin(command.execute())).await,
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
    #[arg(value_parser = name)]
    name: String,

    /// Its namespace
    #[arg(short = 'n', long, value_name = "NAMESPACE", env = "SKYGATE_NAMESPACE", default_value = "default", value_parser = name)]
    namespace: String,
}

/// The name of a rollout or a namespace, as Kubernetes takes it.
fn name(text: &str) -> Result<String, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_plain = |c: char| is_inner(c) || "-.".contains(c);
    if text.starts_with(is_inner) && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("a name of Kubernetes was expected: small letters, digits, `-` and `.`".to_owned())
    }
}

/// What tells versions apart, and what is shown of them: one word of `LONGEST` bytes at most.
fn word<const LONGEST: usize>(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err("it holds other characters than ASCII's letters, digits and signs".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    Ok(text.to_owned())
}

impl Which {
    fn name(&self) -> RolloutName<'_> {
        RolloutName {
            namespace: &self.namespace,
            name: &self.name,
        }
    }
}
