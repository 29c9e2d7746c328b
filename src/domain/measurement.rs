//! One measurement: a phase, and everything that a person needs to see why.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::reading::{ErrorClass, Series};
use super::window::Window;

/// Argo's phases, for runs, metrics and measurements alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Accepted, nothing done yet.
    Pending,
    /// Under way.
    Running,
    /// The condition held.
    Successful,
    /// The condition was evaluated and not met.
    Failed,
    /// It could not be measured. Never a verdict about the service.
    Error,
    /// Measured, but neither good nor bad.
    Inconclusive,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Running,
        Self::Successful,
        Self::Failed,
        Self::Error,
        Self::Inconclusive,
    ];

    /// Argo's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Inconclusive => "Inconclusive",
        }
    }

    /// Whether nothing can follow.
    pub fn is_over(self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Successful | Self::Failed | Self::Error | Self::Inconclusive => true,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One answer to "how is it now?".
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Its number within its metric, from 1; a repeated attempt after a crash has the same one.
    pub number: u64,
    /// What it counts as.
    pub phase: Phase,
    /// Whether it enters counters, limits and `count`: not so for one that waits for data.
    pub counts: bool,
    /// Why, in one line; empty for a success without more to say.
    pub message: String,
    /// What conditions saw as `result`, as compact JSON; empty where nothing was read.
    pub value: String,
    /// When it was begun.
    pub started_at: Timestamp,
    /// When it was done; `None` while it is under way.
    pub finished_at: Option<Timestamp>,
    /// How it came about.
    pub explanation: Option<Box<Explanation>>,
}

impl Measurement {
    /// Why it is what it is, in one line: the condition's reason, else its message, else its value.
    pub fn reason(&self) -> String {
        let decided = self
            .explanation
            .as_ref()
            .and_then(|why| why.decided.as_ref())
            .map_or("", |decided| decided.reason.as_str());
        if !decided.is_empty() {
            return decided.to_owned();
        }
        if !self.message.is_empty() {
            return self.message.clone();
        }
        let quote: String = self.value.chars().take(LONGEST_QUOTE).collect();
        if quote.len() < self.value.len() {
            format!("{quote}…")
        } else {
            quote
        }
    }

    /// Whether it is evidence that the service is good: measured, with data that cannot be mistaken in every series, and found successful.
    pub fn is_good(&self) -> bool {
        self.phase == Phase::Successful
            && self
                .explanation
                .as_ref()
                .is_none_or(|why| !why.no_data && why.series.iter().all(Series::is_evidence))
    }
}

/// The longest value that a reason quotes, in characters.
const LONGEST_QUOTE: usize = 120;

/// How a measurement came about. Secrets are masked.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Where it was asked.
    pub server: String,
    /// The rendered query or expression.
    pub request: String,
    /// The buckets asked for.
    pub window: Option<Window>,
    /// How far the OAP's clock is ahead of ours.
    pub skew: Option<SignedDuration>,
    /// The series with all their points, those left out included.
    pub series: Vec<Series>,
    /// The condition that decided, rendered, and which of the two it was.
    pub decided: Option<Decided>,
    /// Whether a series that the measurement reads had no point with data.
    pub no_data: bool,
    /// The class of failure where it could not be measured.
    pub error: Option<ErrorClass>,
    /// What else a person should know.
    pub notes: Vec<String>,
}

/// The condition that decided a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// Which of the two it was.
    pub side: Side,
    /// Its rendered text.
    pub condition: String,
    /// Whether it held.
    pub holds: bool,
    /// Why, in one line: `3 of 5 points below 9900: 12:04 9611, 12:05 9702, 12:07 9433`.
    pub reason: String,
    /// The points that decided, as (series, point) indexes into [`Explanation::series`].
    pub points: Vec<(usize, usize)>,
}

/// A metric's two conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `successCondition`.
    Success,
    /// `failureCondition`.
    Failure,
}

impl Side {
    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "successCondition",
            Self::Failure => "failureCondition",
        }
    }
}
