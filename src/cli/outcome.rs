//! How a command ended: its exit code, and what it says when it could not do its work.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::LazyLock;

use anyhow::Error;
use regex::{Captures, Regex};

use super::unwritten::{self, STDOUT};
use crate::domain::fault::{Fault, Faults};
use crate::domain::measurement::Phase;
use crate::secrets::without_url_credentials;

/// How a command ended. The numbers are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 0.
    Successful,
    /// 1.
    Failed,
    /// 2.
    Usage,
    /// 3.
    Inconclusive,
    /// 4.
    Error,
    /// 5: still running when the time given to it was over.
    TimedOut,
    /// 130.
    Interrupted,
}

impl Outcome {
    /// The exit code.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Successful => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Error => 4,
            Self::TimedOut => 5,
            Self::Interrupted => 130,
        }
    }
}

impl Outcome {
    /// What it is called where one word has to do.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Successful => Phase::Successful.name(),
            Self::Failed => Phase::Failed.name(),
            Self::Usage => "Invalid",
            Self::Inconclusive => Phase::Inconclusive.name(),
            Self::Error => Phase::Error.name(),
            Self::TimedOut => Phase::Running.name(),
            Self::Interrupted => "Interrupted",
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

impl From<Phase> for Outcome {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Successful => Self::Successful,
            Phase::Failed => Self::Failed,
            Phase::Inconclusive => Self::Inconclusive,
            Phase::Error => Self::Error,
            Phase::Pending | Phase::Running => Self::TimedOut,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    outcome: Outcome,
    problems: Vec<Problem>,
}

/// One thing wrong, as people are told of it.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    /// Where in what was given; empty for the whole, and where it is in none of that.
    path: String,
    what: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// What the user gave is wrong.
    pub(super) fn usage(error: impl Into<Error>) -> Self {
        Self::of(Outcome::Usage, &error.into())
    }

    /// Something that should work did not: a port taken, a disk full.
    pub(super) fn broken(error: impl Into<Error>) -> Self {
        Self::of(Outcome::Error, &error.into())
    }

    /// It was not waited for any longer.
    pub(super) fn cut_short(outcome: Outcome, why: String) -> Self {
        Self::of(outcome, &Error::msg(why))
    }

    /// The same with a way out.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(last) = self.problems.last_mut() {
            last.hint = Some(hint.into());
        }
        self
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What is wrong, each with its causes and the way out, in a text of its own.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|problem| {
            let causes = problem.causes.iter().map(String::as_str);
            let said = problem.said();
            let mut text: Vec<&str> = [said.as_str()].into_iter().chain(causes).collect();
            text.extend(problem.hint.as_deref());
            text.join("\n")
        })
    }

    /// The same in parts: where it is, what it is with its causes, and the way out.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&str, String, Option<&str>)> {
        self.problems.iter().map(|problem| {
            let what = [problem.what.as_str()].into_iter();
            let what: Vec<&str> = what
                .chain(problem.causes.iter().map(String::as_str))
                .collect();
            (
                problem.path.as_str(),
                what.join(": "),
                problem.hint.as_deref(),
            )
        })
    }

    fn of(outcome: Outcome, error: &Error) -> Self {
        let problem = Problem {
            path: String::new(),
            what: error.to_string(),
            causes: error.chain().skip(1).map(ToString::to_string).collect(),
            hint: None,
        };
        Self {
            outcome,
            problems: vec![problem],
        }
    }

    /// `error: …`, causes indented below; a hint stands apart, right after what it is about.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut is_apart = true;
        for problem in &self.problems {
            if !is_apart && problem.hint.is_some() {
                text.push('\n');
            }
            let _ = writeln!(text, "error: {}", problem.said());
            for cause in &problem.causes {
                let _ = writeln!(text, "  caused by: {cause}");
            }
            is_apart = problem.hint.is_some();
            if let Some(hint) = &problem.hint {
                let _ = writeln!(text, "\nhint: {hint}\n");
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

impl Problem {
    fn said(&self) -> String {
        match self.path.as_str() {
            "" => self.what.clone(),
            path => format!("{path}: {}", self.what),
        }
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        let problem = |fault: Fault| Problem {
            path: fault.path,
            what: fault.message,
            causes: Vec::new(),
            hint: fault.hint,
        };
        Self {
            outcome: Outcome::Usage,
            problems: faults.into_vec().into_iter().map(problem).collect(),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Faults::from(fault).into()
    }
}

/// Says on stderr what went wrong.
pub(super) fn complain(failure: &Failure) {
    tell(failure.text().trim_end());
}

/// Writes a result for people to stdout.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    write(&printable(text))
}

/// Writes a result for programs to stdout. A reader that has gone away is no failure.
pub(super) fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    unwritten::add(STDOUT);
    let written = stdout
        .write_all(without_url_credentials(text).as_bytes())
        .and_then(|()| stdout.flush());
    unwritten::settle(STDOUT);
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::broken(
            Error::new(error).context("failed to write to stdout"),
        )),
        _ => Ok(()),
    }
}

/// Writes a line for people to stderr.
pub(super) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(text));
}

/// Writes lines to stderr as they are, for a CI system to obey.
pub(super) fn emit(lines: &str) {
    let _ = write!(std::io::stderr(), "{lines}");
}

/// `text` without anything that a terminal or a CI system would obey, for it may hold what a server or a caller said, and without credentials.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    match harmless(text) {
        Cow::Borrowed(text) => unobeyed(text),
        Cow::Owned(text) => Cow::Owned(unobeyed(&text).into_owned()),
    }
}

/// `text` without anything that a terminal would obey, and without credentials: for a file that a CI system takes as it is.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    let text = without_url_credentials(text);
    if !text.contains(is_obeyed) {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    Cow::Owned(plain)
}

/// `text` with what a CI system takes for a command in its log made plain: GitHub's `::set-output …` at the start of a line,
/// its old `##[…]` and Azure's `##vso[…]` anywhere, `TeamCity`'s `##teamcity[…]`.
pub(super) fn unobeyed(text: &str) -> Cow<'_, str> {
    disarmed(text, r"\:", r"\#")
}

/// The same for XML, whose readers find the text as it was.
pub(super) fn unobeyed_xml(text: &str) -> Cow<'_, str> {
    disarmed(text, "&#58;", "&#35;")
}

/// `text` with `colon` in place of the first one of each command that begins with two, and `hash` in place of the second one.
fn disarmed<'t>(text: &'t str, colon: &str, hash: &str) -> Cow<'t, str> {
    static COMMANDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^(?<before>\s*)::|##(?<word>[a-z]*\[)")
            .expect("a constant that its test compiles")
    });
    COMMANDS.replace_all(text, |found: &Captures<'_>| match found.name("before") {
        Some(before) => format!("{}{colon}:", before.as_str()),
        None => format!("#{hash}{}", &found["word"]),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_failure_is_told_with_its_causes_and_a_way_out() {
        let failure = Failure::usage(anyhow!("no such file").context("failed to read x"))
            .hint("give another");
        assert_eq!(
            failure.text(),
            "error: failed to read x\n  caused by: no such file\n\nhint: give another\n"
        );
    }

    #[test]
    fn each_hint_stands_by_its_fault() {
        let faults = vec![
            Fault::new("a", "one"),
            Fault::new("", "two").hint("do this"),
            Fault::new("b", "three"),
            Fault::new("c", "four"),
        ];
        let failure = Failure::from(Faults::none_or(faults, ()).unwrap_err());
        assert_eq!(
            failure.text(),
            "error: a: one\n\nerror: two\n\nhint: do this\n\nerror: b: three\nerror: c: four\n"
        );
    }

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(printable("a\tb\n"), "a\tb\n");
        assert_eq!(printable("\u{1b}[2Jx\r\u{9b}"), "\\u{1b}[2Jx\\r\\u{9b}");
    }

    #[test]
    fn nothing_commands_a_ci_system() {
        let check = |text, expected| assert_eq!(printable(text), expected);
        check(
            "a\n  ::set-output name=phase::Successful",
            "a\n  \\::set-output name=phase::Successful",
        );
        check(
            "it said ##[error]x and ##vso[task.y]",
            "it said #\\#[error]x and #\\#vso[task.y]",
        );
        check("a::b, ## heading, [::1]:80", "a::b, ## heading, [::1]:80");
        assert_eq!(unobeyed_xml("a\n ::b ##[c]"), "a\n &#58;:b #&#35;[c]");
        assert_eq!(harmless("::a\u{1b}"), "::a\\u{1b}");
    }
}
