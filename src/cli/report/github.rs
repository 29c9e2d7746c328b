//! What GitHub Actions makes of a result: annotations, the step's summary, its outputs.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::{Metric, Report, Standing, markdown};
use crate::cli::outcome::{Outcome, tell};
use crate::cli::unwritten;

/// How many annotations of a kind GitHub shows of one step.
const MOST_OF_A_KIND: usize = 10;

/// The longest message that the runner passes on, in characters.
const LONGEST_MESSAGE: usize = 4_096;

/// The longest title that is still one.
const LONGEST_TITLE: usize = 200;

/// The largest summary that the runner takes of one step, in bytes.
const LARGEST_SUMMARY: u64 = 1 << 20;

/// The step that this process is part of.
#[derive(Debug)]
pub(super) struct Step {
    summary: Option<PathBuf>,
    outputs: Option<PathBuf>,
}

impl Step {
    /// The step, where this process is part of one.
    pub(super) fn current() -> Option<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if variable("GITHUB_ACTIONS")? != "true" {
            return None;
        }
        Some(Self {
            summary: variable("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            outputs: variable("GITHUB_OUTPUT").map(PathBuf::from),
        })
    }

    /// Adds `report` to the step's summary and outputs. What cannot be written is said, and changes no verdict.
    pub(super) fn record(&self, report: &Report) {
        let files = [
            (&self.summary, summarise as fn(&Path, &Report) -> _),
            (&self.outputs, put_out),
        ];
        for (path, write) in files {
            let Some(path) = path else { continue };
            if let Err(error) = write(path, report) {
                tell(&format!(
                    "warning: failed to write to {}: {error}",
                    path.display()
                ));
            }
            unwritten::settle(&path.display().to_string());
        }
    }

    /// The files that a report is added to, and what they are.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let summary = self.summary.iter().map(|path| ("summary", path.as_path()));
        let outputs = self.outputs.iter().map(|path| ("outputs", path.as_path()));
        summary.chain(outputs)
    }

    /// What these files are called.
    pub(super) fn places(&self) -> impl Iterator<Item = String> {
        self.files().map(|(_, path)| path.display().to_string())
    }
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Appends the summary; less of it, or none, where the step has no room for all.
fn summarise(path: &Path, report: &Report) -> std::io::Result<()> {
    let mut file = append(path)?;
    let before = file.metadata()?.len();
    let room = LARGEST_SUMMARY.saturating_sub(before);
    let apart = if before == 0 { "" } else { "\n" };
    let fits = |text: &String| u64::try_from(text.len()).is_ok_and(|length| length <= room);
    let texts =
        [markdown::markdown(report), markdown::brief(report)].map(|text| format!("{apart}{text}"));
    match texts.into_iter().find(fits) {
        Some(text) => file.write_all(text.as_bytes()),
        None => Err(std::io::Error::other("the step's summary is full")),
    }
}

/// Appends the outputs, on lines of their own.
fn put_out(path: &Path, report: &Report) -> std::io::Result<()> {
    let mut file = append(path)?;
    // A pipe is at its beginning, and of an empty line too many the runner makes nothing.
    let is_in_line = file.metadata()?.is_file() && is_in_line(path).unwrap_or(true);
    let apart = if is_in_line { "\n" } else { "" };
    file.write_all(format!("{apart}{}", outputs(report)).as_bytes())
}

/// Whether the last line of the file at `path` has no end yet.
fn is_in_line(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// `name=value` lines. No value has a line end.
fn outputs(report: &Report) -> String {
    let mut lines = String::new();
    for (name, value) in [
        ("phase", report.outcome.word()),
        ("explanation", &report.why),
        ("evidence", if report.evidence { "true" } else { "false" }),
        ("id", report.id.as_deref().unwrap_or_default()),
    ] {
        let _ = writeln!(lines, "{name}={value}");
    }
    lines
}

/// The annotations, a line each. What makes the process end as `exit` is an error, what doesn't a warning; so is success without
/// evidence.
pub(super) fn annotations(report: &Report, exit: Outcome) -> String {
    let kind = match exit {
        Outcome::Successful => Kind::Warning,
        Outcome::Failed
        | Outcome::Usage
        | Outcome::Inconclusive
        | Outcome::Error
        | Outcome::TimedOut
        | Outcome::Interrupted => Kind::Error,
    };
    let mut noted = Vec::new();
    for problem in &report.problems {
        noted.push((kind, "Skygate".to_owned(), problem.clone()));
    }
    let (dry, judged): (Vec<&Metric>, Vec<&Metric>) = report
        .metrics
        .iter()
        .filter(|metric| metric.ended_badly())
        .partition(|metric| matches!(metric.standing, Standing::DryRun));
    noted.extend(judged.iter().map(|metric| of_metric(report, metric, kind)));
    let is_explained = !noted.is_empty();
    noted.extend(dry.iter().map(|metric| of_metric(report, metric, kind)));
    if !is_explained {
        let kind = match report.outcome {
            Outcome::Successful if exit == Outcome::Successful && report.evidence => Kind::Notice,
            _ => kind,
        };
        let title = format!("Skygate: {} {}", report.name, report.outcome.word());
        noted.insert(0, (kind, title, report.why.clone()));
    }
    let mut lines = String::new();
    for kind in [Kind::Error, Kind::Warning, Kind::Notice] {
        let of_kind: Vec<_> = noted.iter().filter(|(noted, ..)| *noted == kind).collect();
        let is_too_many = of_kind.len() > MOST_OF_A_KIND;
        let room = MOST_OF_A_KIND - usize::from(is_too_many);
        for (_, title, message) in of_kind.iter().take(room) {
            annotate(&mut lines, kind, title, message);
        }
        if is_too_many {
            let more = format!("and {} more, see the log", of_kind.len() - room);
            annotate(
                &mut lines,
                kind,
                &format!("Skygate: {}", report.name),
                &more,
            );
        }
    }
    lines
}

/// The kinds of annotations, by GitHub's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Error,
    Warning,
    Notice,
}

fn of_metric(report: &Report, metric: &Metric, kind: Kind) -> (Kind, String, String) {
    let (kind, dry) = match metric.standing {
        Standing::DryRun => (Kind::Warning, ", a dry run"),
        Standing::Judged | Standing::CutShort(_) => (kind, ""),
    };
    let title = format!("Skygate: {} {}{dry}", report.name, metric.phase);
    let message = match metric.why.as_str() {
        "" => metric.name.clone(),
        why if why.contains(&metric.name) => why.to_owned(),
        why => format!("{}: {why}", metric.name),
    };
    (kind, title, message)
}

fn annotate(lines: &mut String, kind: Kind, title: &str, message: &str) {
    let kind = match kind {
        Kind::Error => "error",
        Kind::Warning => "warning",
        Kind::Notice => "notice",
    };
    let title = property(&first(title, LONGEST_TITLE));
    let message = data(&first(message, LONGEST_MESSAGE));
    let _ = writeln!(lines, "::{kind} title={title}::{message}");
}

/// The beginning of `text`, as many characters as may be.
fn first(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most - 1).collect();
    cut.push('…');
    cut
}

/// A message as a workflow command holds it.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_its_command() {
        let mut lines = String::new();
        annotate(
            &mut lines,
            Kind::Error,
            "a: b, 100%",
            "50% of\r\n::set-output name=x::y",
        );
        assert_eq!(
            lines,
            "::error title=a%3A b%2C 100%25::50%25 of%0D%0A::set-output name=x::y\n"
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(first("abc", 3), "abc");
        assert_eq!(first("abcd", 3), "ab…");
        let mut lines = String::new();
        annotate(&mut lines, Kind::Notice, "t", &"ä".repeat(9_000));
        assert_eq!(
            lines.chars().count(),
            "::notice title=t::\n".len() + LONGEST_MESSAGE
        );
    }
}
