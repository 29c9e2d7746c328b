//! Commands, their flags and their exit codes; the only place that knows which adapter fills which port.
#![expect(
    clippy::doc_markdown,
    reason = "most comments here are help, read in a terminal, where backticks are noise"
)]

mod completions;
mod demo;
mod eval;
mod measure;
mod options;
mod outcome;
mod prepare;
mod progress;
mod report;
mod run;
mod show;
mod signals;
mod simulate;
mod validate;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::outcome::{Failure, Outcome};
use self::signals::interrupted;

/// Canary analysis for Apache SkyWalking: Argo AnalysisTemplates in, explained verdicts out
#[derive(Debug, Parser)]
#[command(name = "skygate", version, propagate_version = true, after_help = EXIT_CODES, max_term_width = 110)]
struct Cli {
    /// Log to stderr: error, warn, info, debug, or directives such as info,hyper_util=debug
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "SKYGATE_LOG",
        default_value = "warn",
        display_order = 900
    )]
    log: String,

    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    Successful
  1    Failed: the condition was evaluated and not met
  2    usage, or an invalid template
  3    Inconclusive
  4    Error: it could not be measured
  5    still Running at --timeout
  130  interrupted";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Measure(measure::Measure),
    Eval(eval::Eval),
    Validate(validate::Validate),
    SimulateOap(simulate::SimulateOap),
    Demo(demo::Demo),
    Completions(completions::Completions),
}

/// Runs the command line that the process was started with.
pub fn main() -> ExitCode {
    let matches = without_empty_variables(command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match execute(cli) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            outcome::complain(&failure);
            failure.outcome().into()
        }
    }
}

fn execute(cli: Cli) -> Result<Outcome, Failure> {
    crate::telemetry::start(&cli.log).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::broken(anyhow::Error::new(error).context("failed to start the async runtime"))
        })?;
    let outcome = runtime.block_on(perform(cli.command));
    // Whatever is still under way by now, a host's name being looked up for instance, is nobody's concern.
    runtime.shutdown_background();
    outcome
}

async fn perform(command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Run(command) => command.execute().await,
        Command::Measure(command) => command.execute().await,
        Command::Eval(command) => command.execute(),
        Command::Validate(command) => match unless_interrupted(command.execute()).await {
            Some(outcome) => outcome,
            None => Ok(Outcome::Interrupted),
        },
        Command::SimulateOap(command) => command.execute().await,
        Command::Demo(command) => command.execute().await,
        Command::Completions(command) => command.execute(),
    }
}

/// What comes of `work`; `None` where the process is asked to end before. The work goes first: while it waits for stdin the system's own answer to Ctrl-C is right.
async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = async { interrupted().await } => None,
    }
}

/// The whole command line, for completions and for tests of its help.
pub fn command() -> clap::Command {
    without_env_values(Cli::command())
}

/// A variable that is set to nothing is not set: CI systems pass on what nobody filled in.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let unless_empty = |arg: clap::Arg| {
        let variable = arg.get_env().and_then(std::env::var_os);
        if variable.is_some_and(|value| value.is_empty()) {
            return arg.env(clap::builder::Resettable::Reset);
        }
        arg
    };
    command
        .mut_args(unless_empty)
        .mut_subcommands(without_empty_variables)
}

/// Help names variables and never shows what they hold: an address may hold credentials.
fn without_env_values(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| arg.hide_env_values(true))
        .mut_subcommands(without_env_values)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
