//! `skygate serve`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use clap::builder::FalseyValueParser;

use super::options::{OapArgs, positive_duration};
use super::outcome::{Failure, Outcome, print, tell};
use super::prepare;
use super::signals::interrupted;
use super::simulate::{listen, socket_address};
use crate::api::{Access, App, Limits, Planner, Ports, Service, Settings, Tokens};
use crate::clock::SystemClock;
use crate::domain::analysis::Analysis;
use crate::domain::plan::{Overrides, Plan, Server};
use crate::engine::Engine;
use crate::ports::{Clock, MetricSource, Observer, Store};
use crate::secrets::SecretFiles;
use crate::store::{self, Kept, MemoryStore, OpenError};
use crate::telemetry::{Format, Metrics, ObservedSource, ObservedStore};

/// Run the service: an HTTP API over runs that go on whatever happens
///
/// It prints its address on stdout once it is ready, and serves until it is interrupted.
/// It calls only the OAPs that --oap names, and listens on loopback unless there are tokens.
#[derive(Args, Debug)]
#[command(after_help = "Tokens: see --help", after_long_help = TOKENS)]
pub(super) struct Serve {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", env = "SKYGATE_LISTEN", default_value = "127.0.0.1:8480", value_parser = socket_address)]
    listen: SocketAddr,

    /// Where runs and templates are kept: sqlite:PATH, or memory: for as long as the process lives
    #[arg(
        long,
        value_name = "URL",
        env = "SKYGATE_STORE",
        default_value = "sqlite:skygate.db"
    )]
    store: String,

    /// How long ended runs are kept that have no ttlStrategy: 7d, 12h
    #[arg(long, value_name = "DURATION", env = "SKYGATE_RETAIN", default_value = "7d", value_parser = days_or_duration)]
    retain: Duration,

    /// How many runs may be under way at a time
    #[arg(long, value_name = "N", env = "SKYGATE_MAX_RUNS", default_value_t = Settings::default().most_runs, value_parser = clap::value_parser!(u64).range(1..))]
    max_runs: u64,

    /// Folder of secrets, as DIR/NAMESPACE/NAME/KEY
    #[arg(long, value_name = "DIR", env = "SKYGATE_SECRETS")]
    secrets: Option<PathBuf>,

    /// File of bearer tokens and what they allow; read again when it changes
    #[arg(long, value_name = "FILE", env = "SKYGATE_TOKENS")]
    tokens: Option<PathBuf>,

    /// Let everybody do everything, on whatever address: for networks that take care of it
    #[arg(long, env = "SKYGATE_OPEN", value_parser = FalseyValueParser::new(), conflicts_with = "tokens")]
    open: bool,

    /// Form of the log
    #[arg(
        long,
        value_name = "FORMAT",
        env = "SKYGATE_LOG_FORMAT",
        value_enum,
        default_value_t
    )]
    pub(super) log_format: Format,

    #[command(flatten)]
    oap: OapArgs,
}

const TOKENS: &str = "\
Tokens:
  One a line: NAME SCOPE TOKEN, or NAME SCOPE sha256:DIGEST with the token's SHA-256.
  The same as a YAML list: - {name: ci, scope: run, token: …}
  A scope is one of
    read   look at everything
    run    the same, and start, change and end runs, and measure
    admin  the same, and change templates, and delete
  Callers send the header `authorization: Bearer TOKEN`.";

/// How often the file of tokens is looked at.
const TOKENS_REREAD: Duration = Duration::from_secs(1);

/// The largest file of tokens.
const LONGEST_TOKENS: usize = 1 << 20;

/// A server that is asked whatever a template names goes by this name in plans: its address may hold credentials.
const ANYWHERE: &str = "default";

impl Serve {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        let access = self.access()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let secrets = self.secrets()?;
        let overrides = Overrides {
            server: self
                .oap
                .anywhere()
                .map(|_| Server::Named(ANYWHERE.to_owned())),
        };
        let source = prepare::closed_oap(&self.oap, Arc::clone(&clock))?;
        let settings = Settings {
            most_runs: self.max_runs,
            ..Settings::default()
        };
        let kept = self.open(secrets.clone(), overrides.clone())?;
        let parts = Parts {
            clock,
            source,
            kept,
            secrets,
            overrides,
            access,
            settings,
        };
        let app = parts.joined();
        let service = Service {
            app: Arc::clone(&app),
            limits: Limits::default(),
            retain: self.retain,
        };

        let (listener, url) = listen(self.listen).await?;
        // Whoever reads the address may end this at once.
        let interrupted = interrupted();
        self.warn();
        print(&format!("{url}\n"))?;
        let follow = follow_tokens(self.tokens, app);
        service
            .run(listener, follow, interrupted)
            .await
            .map_err(Failure::broken)?;
        Ok(Outcome::Successful)
    }

    fn access(&self) -> Result<Access, Failure> {
        if let Some(path) = &self.tokens {
            let text = read_tokens(path)?;
            let tokens = Tokens::parse(&text).with_context(|| unusable(path));
            return Ok(Access::Tokens(Arc::new(tokens.map_err(Failure::usage)?)));
        }
        if self.open {
            return Ok(Access::Open);
        }
        if self.listen.ip().is_loopback() {
            return Ok(Access::Loopback);
        }
        let listen = self.listen;
        Err(Failure::usage(anyhow!(
            "--listen {listen} is reached from other machines, and nobody has to prove who they are"
        ))
        .hint("--tokens FILE says who may do what; --open lets everybody do everything"))
    }

    fn secrets(&self) -> Result<SecretFiles, Failure> {
        if let Some(folder) = &self.secrets
            && !folder.is_dir()
        {
            let folder = folder.display();
            return Err(Failure::usage(anyhow!("--secrets {folder} is no folder")));
        }
        Ok(SecretFiles::of_service(self.secrets.clone()))
    }

    /// Opens the store. Its runs are planned once more with the secrets and the servers that there are now.
    fn open(&self, secrets: SecretFiles, overrides: Overrides) -> Result<Kept, Failure> {
        if self.store == "memory:" {
            return Ok(in_memory());
        }
        let planner = move |analysis: &Analysis| {
            Plan::make_again(analysis, &overrides, &|namespace, name, key| {
                secrets.find(namespace, name, key)
            })
        };
        store::open(&self.store, Arc::new(planner)).map_err(|error| match error {
            OpenError::Url(url) => Failure::usage(anyhow!("--store `{url}` names no store"))
                .hint("--store sqlite:PATH keeps runs in a file, --store memory: nowhere"),
            error => Failure::broken(anyhow::Error::new(error).context("failed to open the store")),
        })
    }

    /// Says what an operator may not have meant.
    fn warn(&self) {
        if self.oap.servers.is_empty() {
            tell("warning: no --oap is given: every run is refused until one names the OAP to ask");
        }
        if self.open && !self.listen.ip().is_loopback() {
            tell(&format!(
                "warning: --open: whoever reaches {} may do everything",
                self.listen
            ));
        }
    }
}

/// What a service is made of.
pub(super) struct Parts {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) source: Arc<dyn MetricSource>,
    pub(super) kept: Kept,
    pub(super) secrets: SecretFiles,
    pub(super) overrides: Overrides,
    pub(super) access: Access,
    pub(super) settings: Settings,
}

impl Parts {
    /// The service, with everything in it observed.
    pub(super) fn joined(self) -> Arc<App> {
        let Self {
            clock,
            source,
            kept,
            secrets,
            overrides,
            access,
            settings,
        } = self;
        let metrics = Arc::new(Metrics::new());
        let source: Arc<dyn MetricSource> =
            Arc::new(ObservedSource::new(source, Arc::clone(&metrics)));
        let ports = Ports {
            clock: Arc::clone(&clock),
            store: Arc::new(ObservedStore::new(kept.runs, Arc::clone(&metrics))),
            records: Arc::new(ObservedStore::new(kept.records, Arc::clone(&metrics))),
        };
        let engine = Engine::new(clock, Arc::clone(&ports.store), Arc::clone(&source))
            .observed_by(Arc::clone(&metrics) as Arc<dyn Observer>);
        let planner = Planner {
            records: Arc::clone(&ports.records),
            secrets: Arc::new(move |namespace, name, key| secrets.find(namespace, name, key)),
            overrides,
            source,
        };
        App::new(engine, ports, planner, access, settings, metrics)
    }
}

/// Runs and records that nobody needs after this process.
pub(super) fn in_memory() -> Kept {
    let memory = Arc::new(MemoryStore::default());
    Kept {
        runs: Arc::clone(&memory) as Arc<dyn Store>,
        records: memory,
    }
}

/// How long ended runs are kept unless somebody says otherwise.
pub(super) const RETAIN: Duration = Duration::from_hours(7 * 24);

/// A Go duration, or whole days, which Go doesn't have.
fn days_or_duration(text: &str) -> Result<Duration, String> {
    if let Some(days) = text.strip_suffix('d')
        && let Ok(days) = days.parse::<u32>()
        && days > 0
    {
        return Ok(Duration::from_hours(24) * days);
    }
    positive_duration(text).map_err(|error| error.replace("30s, 5m", "7d, 12h"))
}

/// Reads the file of tokens again whenever it changes, until the service stops. One that can't be used leaves things as they are.
async fn follow_tokens(path: Option<PathBuf>, app: Arc<App>) {
    let stopped = app.health.stopped();
    tokio::pin!(stopped);
    let (Some(path), Access::Tokens(tokens)) = (path, &app.access) else {
        return stopped.await;
    };
    let mut known = read_tokens(&path).unwrap_or_default();
    let mut complaint = String::new();
    loop {
        tokio::select! {
            () = &mut stopped => return,
            () = tokio::time::sleep(TOKENS_REREAD) => {}
        }
        let read = read_tokens(&path);
        if read.as_ref().is_ok_and(|text| *text == known) {
            complaint.clear();
            continue;
        }
        match read.map_err(|failure| failure.text()).and_then(|text| {
            let new = Tokens::parse(&text).map_err(|error| error.to_string())?;
            Ok((text, new))
        }) {
            Ok((text, new)) => {
                let count = new.count();
                tokens.replace(new);
                known = text;
                complaint.clear();
                tracing::info!(count, "read the tokens again: there are {count}");
            }
            Err(failure) if failure == complaint => {}
            Err(failure) => {
                tracing::error!(
                    error = failure,
                    "{}; the tokens stay as they were",
                    unusable(&path)
                );
                complaint = failure;
            }
        }
    }
}

fn unusable(path: &Path) -> String {
    format!("failed to use the tokens in {}", path.display())
}

fn read_tokens(path: &Path) -> Result<String, Failure> {
    let bytes = prepare::read_up_to(LONGEST_TOKENS, path)?;
    if bytes.len() > LONGEST_TOKENS {
        return Err(Failure::usage(
            anyhow!("it is longer than {LONGEST_TOKENS} bytes").context(unusable(path)),
        ));
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::usage(anyhow!("it is no text").context(unusable(path))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_kept_for_days() {
        let hours = |text| days_or_duration(text).map(|it| it.as_secs() / 3_600);
        assert_eq!(hours("7d"), Ok(168));
        assert_eq!(hours("90h"), Ok(90));
        for text in ["0d", "d", "-1d", "1w", "0s"] {
            assert!(hours(text).is_err(), "{text}");
        }
    }
}
