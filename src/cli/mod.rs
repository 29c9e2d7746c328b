//! Commands, their flags and their exit codes; the only place that knows which adapter fills which port.
#![expect(
    clippy::doc_markdown,
    reason = "most comments here are help, read in a terminal, where backticks are noise"
)]

mod canaries;
mod completions;
mod demo;
mod eval;
mod measure;
mod options;
mod outcome;
mod prepare;
mod progress;
mod reader;
mod remote;
mod report;
mod rollout;
mod run;
mod runs;
mod serve;
mod service;
mod show;
mod signals;
mod simulate;
mod templates;
mod unwritten;
mod validate;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::outcome::{Failure, Outcome};
use self::signals::interrupted;
use crate::telemetry::{self, Format};

/// Canary analysis for Apache SkyWalking: Argo AnalysisTemplates in, explained verdicts out
#[derive(Debug, Parser)]
#[command(name = "skygate", version, propagate_version = true, after_help = EXIT_CODES, max_term_width = 110)]
struct Cli {
    /// Log to stderr: error, warn, info, debug, or directives such as info,hyper_util=debug [default: warn; serve: info]
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "SKYGATE_LOG",
        display_order = 900
    )]
    log: Option<String>,

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
    Serve(Box<serve::Serve>),
    Run(run::Run),
    Measure(measure::Measure),
    Eval(eval::Eval),
    Validate(validate::Validate),
    Templates(templates::Templates),
    Runs(runs::Runs),
    Rollout(rollout::Rollout),
    Canaries(canaries::Canaries),
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
    let (level, format) = match &cli.command {
        Command::Serve(serve) => ("info", serve.log_format),
        _ => ("warn", Format::Text),
    };
    let filter = cli.log.as_deref().unwrap_or(level);
    telemetry::start(filter, format).map_err(Failure::usage)?;
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
        Command::Serve(command) => command.execute().await,
        Command::Run(command) => command.execute().await,
        Command::Measure(command) => command.execute().await,
        Command::Eval(command) => command.execute(),
        Command::Validate(command) => or_interrupted(command.execute()).await,
        Command::Templates(command) => or_interrupted(Box::pin(command.execute())).await,
        Command::Runs(command) => command.execute().await,
        Command::Rollout(command) => Box::pin(command.execute()).await,
        Command::Canaries(command) => or_interrupted(Box::pin(command.execute())).await,
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

/// The outcome of `work`, which may be that somebody asked it to end.
async fn or_interrupted(
    work: impl Future<Output = Result<Outcome, Failure>>,
) -> Result<Outcome, Failure> {
    let done = unless_interrupted(work).await;
    done.unwrap_or(Ok(Outcome::Interrupted))
}

/// The whole command line, for completions and for tests of its help.
pub fn command() -> clap::Command {
    let command = with_templates_of_a_service(Cli::command());
    without_env_values(with_words_of_their_own(command))
}

const OF_A_SERVICE: &str = "\
URL of the service, skygate serve, that does the work

Files are sent along. Without any, --template NAME is one that the service has; clustertemplates/NAME is one that every namespace sees.
The variable SKYGATE_TOKEN may hold the service's bearer token.";

/// Commands that a service can do need no file, for it has templates of its own; commands about a service ask the one nearby.
fn with_templates_of_a_service(command: clap::Command) -> clap::Command {
    let change = |command: clap::Command| {
        command
            .mut_arg("files", |arg| {
                arg.required(false).required_unless_present("server")
            })
            .mut_arg("server", |arg| arg.long_help(OF_A_SERVICE))
    };
    let command = ["run", "measure"]
        .into_iter()
        .fold(command, |command, name| {
            command.mut_subcommand(name, change)
        });
    let nearby = |command: clap::Command| {
        command.mut_arg("server", |arg| arg.default_value(service::NEARBY))
    };
    ["templates", "runs", "rollout", "canaries"]
        .into_iter()
        .fold(command, |command, name| {
            command.mut_subcommand(name, |command| command.mut_subcommands(nearby))
        })
}

/// Flags that several commands share, where one of them goes about them in its own way.
fn with_words_of_their_own(command: clap::Command) -> clap::Command {
    let command = command.mut_subcommand("templates", |templates| {
        templates.mut_subcommand("apply", |apply| {
            apply.mut_arg("namespace", |arg| {
                arg.help("Namespace of those that name none, else `default`")
            })
        })
    });
    command.mut_subcommand("rollout", |rollout| {
        rollout.mut_subcommand("run", |run| {
            run.mut_arg("files", |arg| {
                arg.help(
                    "File with the Rollout, and with AnalysisTemplates to apply first; `-` is stdin; repeatable",
                )
            })
        })
    })
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
