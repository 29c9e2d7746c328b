//! A look at an OAP before anything runs.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::answer::{self, MetricType};
use super::error::OapError;
use super::server::{Server, WITHHELD, services, unseen};
use super::skew_text;
use crate::domain::args::Masker;
use crate::domain::plan::{Ask, SourcePlan};
use crate::domain::reading::{Answer, SourceError};
use crate::domain::window::OapTime;

/// One thing found out about an OAP and what is to be read from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// There are credentials, and they don't go there: only the template names it.
    CredentialsWithheld,
    /// What it calls itself.
    Version(String),
    /// Its clock and its zone.
    Time(OapTime),
    /// It has no `isEmptyValue`.
    ZeroLooksLikeNothing,
    /// A metric that it knows.
    Metric(String),
    /// A service that it has seen.
    Service(String),
    /// A service that it has never seen, and the nearest that it has. No fault: a version that is yet to come has none.
    UnseenService {
        /// The service.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// It answers. How many series, and how many of them have no data.
    Answered {
        /// All series.
        series: usize,
        /// Those without data.
        without_data: usize,
    },
    /// Why nothing could be measured.
    Fault(SourceError),
}

impl Finding {
    /// Whether every measurement would be an Error.
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Fault(_) => true,
            Self::CredentialsWithheld
            | Self::Version(_)
            | Self::Time(_)
            | Self::ZeroLooksLikeNothing
            | Self::Metric(_)
            | Self::Service(_)
            | Self::UnseenService { .. }
            | Self::Answered { .. } => false,
        }
    }

    /// The text for people, without secrets.
    pub fn shown(&self, masker: &Masker) -> String {
        match self {
            Self::Fault(error) => error.shown(masker),
            Self::CredentialsWithheld
            | Self::Version(_)
            | Self::Time(_)
            | Self::ZeroLooksLikeNothing
            | Self::Metric(_)
            | Self::Service(_)
            | Self::UnseenService { .. }
            | Self::Answered { .. } => masker.mask(&self.to_string()),
        }
    }

    pub(super) fn answered(answer: &Answer) -> Self {
        Self::Answered {
            series: answer.series.len(),
            without_data: answer.without_data().len(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CredentialsWithheld => f.write_str(WITHHELD),
            Self::Version(version) => write!(f, "the OAP is {version}"),
            Self::Time(time) => {
                let skew = skew_text(time);
                let zone = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::fixed(time.zone));
                let zone = zone.strftime("%:z");
                write!(f, "its zone is {zone}, its clock is {skew}")
            }
            Self::ZeroLooksLikeNothing => {
                f.write_str("it cannot tell zero from no data (`isEmptyValue` came with 9.5)")
            }
            Self::Metric(name) => write!(f, "it knows the metric `{name}`"),
            Self::Service(name) => write!(f, "it knows the service `{name}`"),
            Self::UnseenService { name, nearest } => f.write_str(&unseen(name, nearest.as_deref())),
            Self::Answered {
                series,
                without_data: 0,
            } => {
                write!(f, "it answers with {series} series, all with data")
            }
            Self::Answered {
                series,
                without_data,
            } => {
                write!(
                    f,
                    "it answers with {series} series, {without_data} of them without data"
                )
            }
            Self::Fault(error) => error.fmt(f),
        }
    }
}

/// Finds out what can be known without the moment. Ends where the server is out of reach or doesn't tell its time.
pub(super) async fn look(
    server: &Server,
    source: &SourcePlan,
    findings: &mut Vec<Finding>,
) -> Result<(), OapError> {
    let knowledge = server.knowledge();
    findings.push(Finding::Version(knowledge.version().await?));
    findings.push(Finding::Time(knowledge.time().await?));
    if let Ask::Query(query) = &source.ask {
        if !knowledge.extras().await?.is_empty_value {
            findings.push(Finding::ZeroLooksLikeNothing);
        }
        let types = knowledge.types(query).await?;
        let known = types
            .iter()
            .filter(|(_, kind)| **kind != MetricType::Unknown);
        findings.extend(known.map(|(name, _)| Finding::Metric(name.clone())));
        if let Err(error) = answer::check_kinds(query, &types) {
            let error = server.with_nearest(error).await;
            findings.push(Finding::Fault(server.report(error, source)));
        }
    }
    for name in services(&source.ask) {
        // A gateway may let nobody look up services; that says nothing about the metrics.
        let Ok(is_known) = knowledge.knows_service(name).await else {
            continue;
        };
        let name = name.to_owned();
        findings.push(if is_known {
            Finding::Service(name)
        } else {
            let nearest = server.nearest_service(source, &name).await;
            Finding::UnseenService { name, nearest }
        });
    }
    Ok(())
}
