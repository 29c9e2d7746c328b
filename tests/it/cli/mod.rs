//! The command line, from outside: what people and scripts rely on.

mod contract;
mod eval;
mod examples;
mod help;
mod input;
mod killing;
mod pipelines;
mod process;
mod reports;
#[cfg(unix)]
mod rollout;
mod secrets;
mod serve;
mod server;
mod signals;
#[cfg(unix)]
mod snippets;
mod text;

/// The reference template, whose argument is the service.
const APDEX: &str = "api/examples/apdex.yaml";
