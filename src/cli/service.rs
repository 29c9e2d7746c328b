//! The service that a command asks instead of doing the work itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;

use super::options::positive_duration;
use super::outcome::{Failure, tell};
use super::prepare;
use crate::client::{Absence, Client, ClientError, Options, Token};
use crate::clock::SystemClock;
use crate::domain::fault::Faults;
use crate::ports::Clock;

/// Which service, and how to talk to it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Service")]
pub(super) struct ServiceArgs {
    /// URL of the service, skygate serve, that does the work
    ///
    /// The variable SKYGATE_TOKEN may hold its bearer token.
    #[arg(long = "server", value_name = "URL", env = "SKYGATE_SERVER")]
    pub(super) server: Option<String>,

    /// File that holds the service's bearer token
    #[arg(
        id = "server_token_file",
        long = "server-token-file",
        value_name = "FILE",
        env = "SKYGATE_TOKEN_FILE"
    )]
    token_file: Option<PathBuf>,

    /// PEM bundle of certificate authorities to trust besides the system's
    #[arg(long = "server-ca", value_name = "FILE", env = "SKYGATE_SERVER_CA")]
    server_ca: Option<PathBuf>,

    /// Time for which a service is asked again that is away
    #[arg(long = "server-patience", value_name = "DURATION", env = "SKYGATE_SERVER_PATIENCE", default_value = "1m", value_parser = positive_duration)]
    patience: Option<Duration>,
}

/// Where a service listens unless it is told otherwise.
pub(super) const NEARBY: &str = "http://127.0.0.1:8480";

/// For how long a stepper asks again before it holds the service for away, and for how long it waits for one answer: a service that hangs
/// must not keep it from anything for longer than a lease can wait.
const STEPPERS_PATIENCE: Duration = Duration::from_secs(5);
const STEPPERS_TIMEOUT: Duration = Duration::from_secs(8);

/// What holds a token where no file does.
const TOKEN: &str = "SKYGATE_TOKEN";

/// A service that can be asked.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) client: Client,
    pub(super) clock: Arc<dyn Clock>,
}

impl ServiceArgs {
    /// The files that are read.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.token_file, &self.server_ca];
        files.into_iter().filter_map(|file| file.as_deref())
    }

    /// The service that the flags name; `None` where they name none.
    pub(super) fn open(&self) -> Result<Option<Remote>, Failure> {
        self.opened(|_| {})
    }

    fn opened(&self, adapt: impl FnOnce(&mut Options)) -> Result<Option<Remote>, Failure> {
        let Some(url) = &self.server else {
            return Ok(None);
        };
        let mut options = Options::new(url);
        options.token = self.token()?;
        options.ca_bundle = self.server_ca.as_deref().map(prepare::file).transpose()?;
        options.patience = self.patience.unwrap_or(options.patience);
        adapt(&mut options);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let client = Client::new(&options, Arc::clone(&clock)).map_err(Failure::usage)?;
        Ok(Some(Remote { client, clock }))
    }

    /// The same for a command that does nothing without one, and says so where it is away.
    pub(super) fn required(&self) -> Result<Remote, Failure> {
        let absence = Absence::new(|why| tell(&format!("{why}; it is asked again")));
        self.needed(|options| options.absence = Some(absence))
    }

    fn needed(&self, adapt: impl FnOnce(&mut Options)) -> Result<Remote, Failure> {
        self.opened(adapt)?.ok_or_else(|| {
            Failure::usage(anyhow!("no service is named"))
                .hint("--server URL names one, or the variable SKYGATE_SERVER")
        })
    }

    /// The same for a stepper: a service that is away is soon known to be, for then the weight is held, and that is shown.
    pub(super) fn for_a_stepper(&self) -> Result<Remote, Failure> {
        self.needed(|options| {
            options.patience = options.patience.min(STEPPERS_PATIENCE);
            options.timeout = options.timeout.min(STEPPERS_TIMEOUT);
        })
    }

    fn token(&self) -> Result<Option<Token>, Failure> {
        if let Some(path) = &self.token_file {
            return prepare::line(path).map(|token| Some(Token::new(token)));
        }
        match std::env::var_os(TOKEN).filter(|token| !token.is_empty()) {
            None => Ok(None),
            Some(token) => match token.into_string() {
                Ok(token) => Ok(Some(Token::new(token.trim()))),
                Err(_) => Err(Failure::usage(anyhow!(
                    "{TOKEN} holds something else than text"
                ))),
            },
        }
    }
}

/// A key as a header can carry it.
pub(super) fn idempotency_key(text: &str) -> Result<String, String> {
    const LONGEST: usize = 255;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > LONGEST || !is_plain {
        return Err(format!(
            "up to {LONGEST} letters, digits and signs were expected, without blanks"
        ));
    }
    Ok(text.to_owned())
}

/// What a service refused is the user's to correct, unless it cannot do it for now.
impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        if let Some(problem) = error.problem()
            && let Err(faults) = Faults::none_or(problem.faults.clone(), ())
        {
            return faults.into();
        }
        let is_ours = error.problem().is_some_and(|problem| {
            problem.status.is_client_error() && !matches!(problem.status.as_u16(), 408 | 429)
        });
        let hint = error.hint();
        let failure = if is_ours {
            Self::usage(error)
        } else {
            Self::broken(error)
        };
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
