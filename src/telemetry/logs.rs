//! Logs.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Starts logging. `filter` is a level, which is that of Skygate's own events while other crates only warn, or directives
/// such as `info,hyper_util=debug`; one that does not parse is an error that quotes it.
pub fn start(filter: &str, format: Format) -> anyhow::Result<()> {
    let filter = filter_of(filter)
        .map_err(|error| anyhow::anyhow!("`{filter}` is not a log filter: {error}"))?;
    let is_coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_coloured && format == Format::Text);
    let started = match format {
        Format::Text => lines.try_init(),
        Format::Json => lines.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("failed to start logging: {error}"))
}

/// Whether anything is logged that is no trouble: lines that come at any time.
pub fn is_chatty() -> bool {
    LevelFilter::current() >= LevelFilter::INFO
}

fn filter_of(text: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    match text.parse::<LevelFilter>() {
        Ok(level) => {
            // What the cluster's client calls errors are answers, which their reader tells of.
            let others = level.min(LevelFilter::WARN);
            EnvFilter::try_new(format!("{others},kube_client=off,skygate={level}"))
        }
        Err(_) => EnvFilter::try_new(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_ours_alone() {
        let check = |text: &str, expected: Option<&str>| {
            let filter = filter_of(text).ok().map(|filter| filter.to_string());
            assert_eq!(filter.as_deref(), expected, "{text}");
        };
        check("debug", Some("kube_client=off,skygate=debug,warn"));
        check("ERROR", Some("kube_client=off,skygate=error,error"));
        check("off", Some("kube_client=off,skygate=off,off"));
        check("info,hyper_util=debug", Some("hyper_util=debug,info"));
        check("a=b=c", None);
    }
}
