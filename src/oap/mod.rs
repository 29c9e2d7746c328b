//! The source of metrics that asks a SkyWalking OAP.
//!
//! - [`Options`], [`Address`], [`Directory`]: how OAPs are called, where they are, whom a template means.
//! - `transport`: one POST under tower's layers (a cap on requests at a time, a timeout), tried again where that may help,
//!   shared by those who ask the same.
//! - `graphql`, [`OapError`]: what an answer says, and the three layers in which there may be none.
//! - `operations`, `knowledge`, `memory`: what an OAP tells about itself, and for how long that holds.
//! - `server`: how a template's question is put.
//! - `answer`: from an OAP's words to an [`Answer`].
//! - [`Finding`]: the same looked at before anything runs.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp, Unit};
use reqwest::Client;
use serde_json::Value;

use crate::domain::plan::{Ask, SourcePlan};
use crate::domain::reading::{Answer, Point, PointKind, Reading, Series, SourceError};
use crate::domain::window::{OapTime, Window};
use crate::ports::{Clock, MetricSource, Moment};

mod address;
pub mod answer;
mod error;
mod graphql;
mod knowledge;
mod memory;
mod operations;
mod options;
mod preflight;
mod server;
mod transport;

pub use address::{Address, AddressError, Directory};
pub use error::OapError;
pub use options::{Auth, ClientCertificate, Options, OptionsError, Secret, Tls};
pub use preflight::Finding;

use options::Checked;
use server::Server;
use transport::{RETRY_FOR, Transport};

/// A clock of an OAP that is further off than this is worth a note.
const NOTABLE_SKEW: SignedDuration = SignedDuration::from_secs(30);

/// Every OAP that we ask, as one source of metrics.
pub struct Oap {
    options: Checked,
    directory: Directory,
    clock: Arc<dyn Clock>,
    plain: Client,
    /// Built when the first `https` address needs it: the system's certificates take a moment to read.
    tls: OnceLock<Client>,
    /// The same for addresses that only a template names, which don't get our certificate.
    tls_of_others: OnceLock<Client>,
    servers: Mutex<HashMap<Address, Arc<Server>>>,
}

impl Oap {
    /// A source for the OAPs of `directory`. Nothing is sent yet.
    pub fn new(
        options: Options,
        directory: Directory,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OapError> {
        let options = Checked::new(options)?;
        Ok(Self {
            plain: options.plain_client()?,
            tls: OnceLock::new(),
            tls_of_others: OnceLock::new(),
            servers: Mutex::default(),
            options,
            directory,
            clock,
        })
    }

    /// Where `source` is asked, or why it is nowhere.
    pub fn address(&self, source: &SourcePlan) -> Result<Address, OapError> {
        self.directory.find(&source.server)
    }

    /// What an OAP and we make of `source` before anything is judged by it: its version and clock, whether it knows the metrics and
    /// the services, and whether it answers. As much as can be said at once.
    pub async fn preflight(&self, source: &SourcePlan) -> Vec<Finding> {
        let server = match self.server(source) {
            Ok(server) => server,
            Err(error) => return vec![Finding::Fault(error.into())],
        };
        let mut findings = Vec::new();
        if server.withheld().is_some() {
            findings.push(Finding::CredentialsWithheld);
        }
        let looked = preflight::look(&server, source, &mut findings);
        let looked = tokio::time::timeout(self.patience(), looked).await;
        if let Err(error) = looked.unwrap_or_else(|_| Err(self.took_too_long(&server))) {
            findings.push(Finding::Fault(server.report(error, source)));
        }
        if !findings.iter().any(Finding::is_fault) {
            let reading = self.read(source, Moment::default()).await;
            findings.push(
                reading
                    .answer
                    .map_or_else(Finding::Fault, |answer| Finding::answered(&answer)),
            );
        }
        findings
    }

    /// The OAP that `source` means; the same for all who mean the same.
    fn server(&self, source: &SourcePlan) -> Result<Arc<Server>, OapError> {
        let address = self.address(source)?;
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get(&address) {
            return Ok(Arc::clone(server));
        }
        let transport = Transport::new(
            &address,
            self.options.headers(&address),
            self.client(&address)?,
            &self.options.options,
            Arc::clone(&self.clock),
        );
        let masker = self.options.masker(&address);
        let withheld = self.options.withholds(&address);
        let server = Server::new(transport, Arc::clone(&self.clock), masker, withheld);
        let server = Arc::new(server);
        servers.insert(address, Arc::clone(&server));
        Ok(server)
    }

    fn client(&self, address: &Address) -> Result<Client, OapError> {
        if !address.is_tls() {
            return Ok(self.plain.clone());
        }
        let kept = if address.is_ours() {
            &self.tls
        } else {
            &self.tls_of_others
        };
        if let Some(client) = kept.get() {
            return Ok(client.clone());
        }
        let client = self.options.tls_client(address.is_ours())?;
        Ok(kept.get_or_init(|| client).clone())
    }

    /// How long everything that belongs to one reading may take: what tries may take, and the last of them.
    fn patience(&self) -> Duration {
        self.clock.deadline(RETRY_FOR) + self.clock.deadline(self.options.options.timeout)
    }

    fn took_too_long(&self, server: &Server) -> OapError {
        OapError::TookTooLong {
            server: server.shown().to_owned(),
            after: self.patience(),
        }
    }
}

impl fmt::Debug for Oap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oap")
            .field("options", &self.options.options)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl MetricSource for Oap {
    /// Reads for the moment, or for a past one as it would have been read then, had everything settled.
    ///
    /// An OAP tells its zone's offset of today only: a past moment on the other side of a change of clocks is an hour off.
    async fn read(&self, source: &SourcePlan, moment: Moment) -> Reading {
        let mut reading = Reading {
            server: address::shown(&source.server),
            request: match &source.ask {
                Ask::Query(query) => query.text().to_owned(),
                Ask::Expression { expression, .. } => expression.clone(),
            },
            window: None,
            time: None,
            answer: Err(OapError::NoResults.into()),
        };
        let server = match self.server(source) {
            Ok(server) => server,
            Err(error) => {
                reading.answer = Err(error.into());
                return reading;
            }
        };
        server.shown().clone_into(&mut reading.server);
        let answer = read(&server, source, moment, &mut reading);
        let answer = tokio::time::timeout(self.patience(), answer).await;
        let answer = answer.unwrap_or_else(|_| Err(self.took_too_long(&server)));
        reading.answer = answer.map_err(|error| server.report(error, source));
        reading
    }

    fn admits(&self, source: &SourcePlan) -> Result<(), SourceError> {
        self.address(source).map(drop).map_err(SourceError::from)
    }

    fn trouble(&self, source: &SourcePlan) -> Option<SourceError> {
        let server = self.server(source).ok()?;
        let error = server.trouble()?;
        Some(server.report(error, source))
    }
}

/// Reads from `server`, and notes in `reading` what is known by then, whether an answer comes of it or not.
async fn read(
    server: &Server,
    source: &SourcePlan,
    moment: Moment,
    reading: &mut Reading,
) -> Result<Answer, OapError> {
    // One after the other: a server that is down is asked for the time again and again, and for nothing else.
    let time = server.knowledge().time().await?;
    reading.time = Some(time);
    let types = server.prepare(&source.ask).await?;

    let now = time.at(server.knowledge().now());
    let choice = Window::choose(
        &source.window,
        moment.at.map_or(now, |at| time.at(at)),
        time.zone,
        // A query that names its own time has no bucket to leave out.
        moment
            .not_before
            .filter(|_| follows_window(&source.ask))
            .map(|at| time.at(at)),
    );
    let Some(window) = choice.window else {
        return Ok(nothing_asked(&source.ask, &choice.stale));
    };
    let window = window.read_at(now);
    reading.window = Some(window);
    let mut answer = server.ask(source, &types, &window).await?;

    for series in &mut answer.series {
        prepend(&choice.stale, series, &window);
    }
    if answer.series.iter().any(answer::proves_nothing) {
        let unseen = server.unseen_services(source).await;
        if !unseen.is_empty() {
            answer::read_zeros_as_gaps(&mut answer, source.gaps);
        }
        answer.notes.extend(unseen);
    }
    answer.notes.extend(skew_note(&time));
    answer.notes.extend(server.withheld().map(str::to_owned));
    Ok(answer)
}

fn follows_window(ask: &Ask) -> bool {
    match ask {
        Ask::Query(query) => query.uses_duration(),
        Ask::Expression { .. } => true,
    }
}

/// The answer where every bucket belongs to another version: the series that would have come, all of them stale.
fn nothing_asked(ask: &Ask, stale: &[Timestamp]) -> Answer {
    let names: Vec<&str> = match ask {
        Ask::Query(query) => {
            let reads = query.reads().iter().filter(|read| read.in_window);
            reads.map(|read| read.key.as_str()).collect()
        }
        Ask::Expression { expression, .. } => vec![expression],
    };
    let series = names.into_iter().map(|name| Series {
        name: name.to_owned(),
        path: None,
        points: stale.iter().copied().map(stale_point).collect(),
    });
    Answer {
        result: Value::Null,
        series: series.collect(),
        notes: Vec::new(),
    }
}

/// Puts the buckets that were not asked for before those that were, where a series has buckets of the window at all.
fn prepend(stale: &[Timestamp], series: &mut Series, window: &Window) {
    let first = series.points.first().map(|point| point.at);
    if first.is_none_or(|at| at == Some(window.first())) {
        series
            .points
            .splice(0..0, stale.iter().copied().map(stale_point));
    }
}

fn stale_point(at: Timestamp) -> Point {
    Point {
        at: Some(at),
        value: None,
        kind: PointKind::Stale,
    }
}

fn skew_note(time: &OapTime) -> Option<String> {
    (time.skew.abs() >= NOTABLE_SKEW).then(|| {
        format!(
            "the OAP's clock is {}; the window goes by the OAP's",
            skew_text(time)
        )
    })
}

/// `2m 5s ahead of ours`, `as ours`.
fn skew_text(time: &OapTime) -> String {
    let skew = time.skew.round(Unit::Second).unwrap_or(time.skew);
    if skew.is_zero() {
        return "as ours".to_owned();
    }
    let side = if skew.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    format!("{:#} {side} ours", skew.abs())
}
