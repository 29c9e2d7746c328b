//! What a source of metrics answered, in words that do not depend on how it was asked.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::Value;

use super::args::Masker;
use super::window::{OapTime, Step, Window};

/// Everything that one reading brought, whether it succeeded or not: a person who asks why gets all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Where it was asked: the address, without credentials.
    pub server: String,
    /// What was asked: the rendered query or expression, as written in the template. Secrets are not masked here.
    pub request: String,
    /// The buckets asked for; `None` where nothing was asked.
    pub window: Option<Window>,
    /// The OAP's clock and zone; `None` where it could not be reached.
    pub time: Option<OapTime>,
    /// Its answer, or why there is none.
    pub answer: Result<Answer, SourceError>,
}

/// An answer that can be judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What conditions see as `result`: points without data are already out (or 0), nothing that we asked for in addition is in.
    pub result: Value,
    /// The series in it, in the order of the answer.
    pub series: Vec<Series>,
    /// What a person should know of this answer: `this OAP cannot tell zero from nothing`, a skewed clock.
    pub notes: Vec<String>,
}

impl Answer {
    /// The names of the series that have no point with data; empty where each has one.
    /// An answer without any series (a query of metadata, say) is not a lack of data.
    pub fn without_data(&self) -> Vec<&str> {
        self.series
            .iter()
            .filter(|series| !series.has_data())
            .map(|series| series.name.as_str())
            .collect()
    }
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The response key for a query (`service_apdex`), the labels for an expression (`p=99`), the expression itself for its only series.
    pub name: String,
    /// Where the list of its points stands in [`Answer::result`], as object keys and list indexes; `None` where it has no list there.
    /// The list's n-th element is the n-th point whose `value` is `Some`.
    pub path: Option<Vec<PathStep>>,
    /// Its points, oldest first, those left out included.
    pub points: Vec<Point>,
}

/// One step from a JSON value to one of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// The value of a key.
    Key(String),
    /// An element of a list.
    Index(usize),
}

impl Series {
    /// The numbers that conditions see as `values`, in order.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().filter_map(|point| point.value)
    }

    /// Whether any point has data of its own: a gap that is read as 0 has none.
    pub fn has_data(&self) -> bool {
        self.points
            .iter()
            .any(|point| point.value.is_some() && point.kind != PointKind::Gap)
    }

    /// Whether any point proves that there was something to measure. A zero that may as well be nothing doesn't.
    pub fn is_evidence(&self) -> bool {
        self.points.iter().any(|point| match point.kind {
            PointKind::Data | PointKind::Unsettled => point.value.is_some(),
            PointKind::Gap | PointKind::Stale | PointKind::ZeroOrNothing => false,
        })
    }
}

/// One bucket of a series, or its one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The start of its bucket; `None` for an aggregate over the whole window.
    pub at: Option<Timestamp>,
    /// What conditions see; `None` where it is left out.
    pub value: Option<f64>,
    /// What it is.
    pub kind: PointKind,
}

/// No data, zero, partial and stale are four different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointKind {
    /// A settled bucket with data; its value may well be a true 0.
    Data,
    /// A bucket without data: left out, or read as 0 under `gaps: zero`.
    Gap,
    /// A bucket that was still being written when it was read.
    Unsettled,
    /// A bucket from before the version took traffic: never asked for.
    Stale,
    /// A 0 from a server that cannot tell zero from nothing.
    ZeroOrNothing,
}

/// Why there is no answer. A failure to measure is never a verdict: each of these makes the measurement an Error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// Its class: what the rest of the system may do about it.
    pub class: ErrorClass,
    /// What was given, what was expected, what to do; for people, once [`SourceError::shown`] has hidden the secrets in it.
    /// What a server said is still whole in it, as [`said`] marks it.
    pub message: String,
}

impl SourceError {
    /// The text for people. Secrets are hidden first; only then is what a server said made one line and cut where it is long:
    /// a secret that was cut or whose blanks were changed would not be found.
    pub fn shown(&self, masker: &Masker) -> String {
        let masked = masker.mask(&self.message);
        let mut parts = masked.split(SAID);
        let mut shown = parts.next().unwrap_or_default().to_owned();
        for (n, part) in parts.enumerate() {
            if n % 2 == 0 {
                shown.push_str(&short_line(part));
            } else {
                shown.push_str(part);
            }
        }
        shown
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(&Masker::default()))
    }
}

/// Stands before and after what a server said: a control character that no text for people has.
const SAID: char = '\u{2}';

/// The longest text of a server's that a message shows, in characters.
const LONGEST_SAID: usize = 160;

/// Marks `text` as a server's own, for [`SourceError::message`].
pub fn said(text: &str) -> String {
    format!("{SAID}{}{SAID}", text.replace(SAID, " "))
}

fn short_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST_SAID) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl std::error::Error for SourceError {}

/// The classes of failure of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// No connection, a timeout, 502 to 504: trying again may help.
    Unreachable,
    /// The server refused us: credentials, TLS, a redirect to another host.
    Refused,
    /// The answer is none of OAP's: another status, not JSON, too large.
    Malformed,
    /// The OAP understood the question and says it is wrong: its syntax, a field, an expression.
    BadQuery,
    /// The OAP doesn't know the metric.
    UnknownMetric,
    /// The entity lacks what its scope needs.
    IncompleteEntity,
    /// A labelled metric read as a plain one, or the reverse.
    WrongKindOfMetric,
    /// The server is too old for what the template asks.
    Unsupported,
}

impl ErrorClass {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::Refused,
        Self::Malformed,
        Self::BadQuery,
        Self::UnknownMetric,
        Self::IncompleteEntity,
        Self::WrongKindOfMetric,
        Self::Unsupported,
    ];

    /// A short word for logs, metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::Refused => "Refused",
            Self::Malformed => "Malformed",
            Self::BadQuery => "BadQuery",
            Self::UnknownMetric => "UnknownMetric",
            Self::IncompleteEntity => "IncompleteEntity",
            Self::WrongKindOfMetric => "WrongKindOfMetric",
            Self::Unsupported => "Unsupported",
        }
    }
}

/// The local time of the bucket of width `step` that begins at `at`, as people read a point: `12:04`, `11-23 12:00`, `11-23`.
pub fn clock_text(at: Timestamp, zone: Offset, step: Step) -> String {
    let format = match step {
        Step::Minute => "%H:%M",
        Step::Hour => "%m-%d %H:%M",
        Step::Day => "%m-%d",
    };
    zone.to_datetime(at).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_told_apart_by_the_time_of_their_bucket() {
        let at: Timestamp = "2026-11-23T12:04:00Z".parse().unwrap();
        let check = |step, expected| assert_eq!(clock_text(at, Offset::UTC, step), expected);
        check(Step::Minute, "12:04");
        check(Step::Hour, "11-23 12:04");
        check(Step::Day, "11-23");
    }

    #[test]
    fn what_a_server_said_is_masked_before_it_is_cut_and_made_one_line() {
        let masker = Masker::new(["s3\tcr  et".to_owned()]);
        let check = |text: &str, expected: &str| {
            let error = SourceError {
                class: ErrorClass::Refused,
                message: format!("no: `{}`; do\u{a0}this", said(text)),
            };
            let shown = error.shown(&masker);
            assert_eq!(shown, format!("no: `{expected}`; do\u{a0}this"));
        };
        check("a\n b", "a b");
        check("a s3\tcr  et b", "a ***** b");
        check("a\u{2}b", "a b");
        let cut = format!("{}s3\tcr  et", "x".repeat(158));
        check(&cut, &format!("{}**…", "x".repeat(158)));
    }
}
