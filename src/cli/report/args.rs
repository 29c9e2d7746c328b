//! Which forms of a result somebody wants, where, and what makes the exit code another than 0.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::github::Step;
use super::place::{over_another, over_input, over_step};
use crate::cli::outcome::{Failure, Outcome};

/// Where the result goes, in which form, and what it makes of the exit code.
#[derive(Args, Clone, Debug, Default)]
pub(in crate::cli) struct ReportArgs {
    /// Form of the result, on stdout or in a file; repeatable
    ///
    /// text      for people, the default
    /// json      for programs; a run as an AnalysisRun
    /// yaml      the same
    /// junit     a test report: a suite for the run, a test case for each metric
    /// markdown  for a summary or a comment
    /// github    GitHub's annotations
    ///
    /// FORM=FILE writes to a file of its own; what has none goes to stdout, which may have one form.
    /// What cannot be begun has a report, too; json and yaml hold a problem with its faults then.
    /// A report that cannot be written makes the exit code 4 where it would be 0, and changes no other.
    #[arg(
        short,
        long,
        value_name = "FORM[=FILE]",
        verbatim_doc_comment,
        help_heading = "Result"
    )]
    pub(super) output: Vec<Target>,

    /// File for the verdict in one word, without a line end
    ///
    /// Successful, Failed, Inconclusive, Error, Running (at --timeout), Interrupted or Invalid.
    #[arg(
        long,
        value_name = "FILE",
        env = "SKYGATE_RESULT_FILE",
        help_heading = "Result"
    )]
    pub(super) result_file: Option<PathBuf>,

    /// What makes the exit code another than 0; without this every end but Successful does
    ///
    /// A list with commas, or repeated. Usage, an invalid template and an interruption always do.
    /// `no-evidence` alone adds to the ends that do without this.
    #[arg(
        long,
        value_name = "END",
        env = "SKYGATE_FAIL_ON",
        value_delimiter = ',',
        help_heading = "Result"
    )]
    pub(super) fail_on: Vec<FailOn>,

    /// In GitHub Actions, leave its annotations, step summary and outputs alone
    #[arg(
        long,
        env = "SKYGATE_NO_GITHUB",
        value_parser = clap::builder::FalseyValueParser::new(),
        help_heading = "Result"
    )]
    pub(super) no_github: bool,
}

/// A form of a result and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) form: Form,
    /// `None`: stdout.
    pub(super) file: Option<PathBuf>,
}

/// A form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
    Yaml,
    Junit,
    Markdown,
    Github,
}

/// An end that may make the exit code another than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// The condition was evaluated and not met: 1
    Failed,
    /// It could not be measured: 4
    Error,
    /// Neither good nor bad: 3
    Inconclusive,
    /// Still Running at --timeout: 5
    Running,
    /// Successful, but some metric without a good measurement: 3
    NoEvidence,
    /// None of these
    None,
}

/// The flag for the verdict in one word.
pub(super) const RESULT_FILE: &str = "--result-file";

impl Target {
    /// What goes there.
    pub(super) fn what(&self) -> String {
        format!("-o {}", self.form.name())
    }
}

impl Form {
    const ALL: [(&str, Self); 6] = [
        ("text", Self::Text),
        ("json", Self::Json),
        ("yaml", Self::Yaml),
        ("junit", Self::Junit),
        ("markdown", Self::Markdown),
        ("github", Self::Github),
    ];

    fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, form)| *form == self);
        known.map_or("", |(name, _)| name)
    }
}

/// Where a path leads, by whatever name; the file itself need not be there yet.
fn place(path: &Path) -> PathBuf {
    let of_parent = || {
        let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(parent.join(path.file_name()?))
    };
    let place = path.canonicalize().ok().or_else(of_parent);
    place.unwrap_or_else(|| path.to_owned())
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (form, file) = match text.split_once('=') {
            Some((_, "")) => return Err("a file was expected after the `=`".to_owned()),
            Some((form, file)) => (form, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let known = Form::ALL.iter().find(|(name, _)| *name == form);
        let Some((_, form)) = known else {
            let names = Form::ALL.map(|(name, _)| name).join(", ");
            return Err(format!(
                "one of {names} was expected, or one of them with =FILE"
            ));
        };
        Ok(Self { form: *form, file })
    }
}

impl ReportArgs {
    /// Of `none` and something beside it nobody knows which was meant.
    pub(super) fn refuse_contradiction(&self) -> Result<(), Failure> {
        if self.fail_on.contains(&FailOn::None) && self.fail_on.len() > 1 {
            return Err(Failure::usage(anyhow!(
                "--fail-on names `none` and something else"
            )));
        }
        Ok(())
    }

    /// Finds what has no place of its own as far as its path tells: nothing is opened, let alone created, before.
    pub(super) fn refuse_shared_places(
        &self,
        inputs: &[&Path],
        step: Option<&Step>,
    ) -> Result<(), Failure> {
        let mut on_stdout = self.output.iter().filter(|target| target.file.is_none());
        if on_stdout.nth(1).is_some() {
            return Err(Failure::usage(anyhow!("-o names two forms for stdout"))
                .hint("give all but one a file: -o FORM=FILE"));
        }
        let inputs: Vec<PathBuf> = inputs.iter().copied().map(place).collect();
        let step = step.into_iter().flat_map(Step::files);
        let step: Vec<(&str, PathBuf)> = step.map(|(name, path)| (name, place(path))).collect();
        let forms = self.output.iter().filter_map(|target| {
            let file = target.file.as_deref()?;
            Some((target.what(), file))
        });
        let word = self.result_file.iter();
        let word = word.map(|file| (RESULT_FILE.to_owned(), file.as_path()));
        let mut taken: Vec<(PathBuf, String)> = Vec::new();
        for (what, file) in forms.chain(word) {
            let place = place(file);
            if inputs.contains(&place) {
                return Err(over_input(&what, file));
            }
            if let Some((name, _)) = step.iter().find(|(_, known)| *known == place) {
                return Err(over_step(&what, name, file));
            }
            if let Some((_, other)) = taken.iter().find(|(known, _)| *known == place) {
                return Err(over_another(&what, other, file));
            }
            taken.push((place, what));
        }
        Ok(())
    }

    /// What a process ends with that came to `outcome`. Ends that nobody holds against it are as good as success to its caller.
    pub(in crate::cli) fn exit(&self, outcome: Outcome, evidence: bool) -> Outcome {
        let end = match outcome {
            Outcome::Successful if !evidence && self.fail_on.contains(&FailOn::NoEvidence) => {
                return Outcome::Inconclusive;
            }
            Outcome::Successful | Outcome::Usage | Outcome::Interrupted => return outcome,
            Outcome::Failed => FailOn::Failed,
            Outcome::Error => FailOn::Error,
            Outcome::Inconclusive => FailOn::Inconclusive,
            Outcome::TimedOut => FailOn::Running,
        };
        let names_ends = self.fail_on.iter().any(|on| *on != FailOn::NoEvidence);
        if !names_ends || self.fail_on.contains(&end) {
            outcome
        } else {
            Outcome::Successful
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_may_go_to_a_file() {
        let check = |text: &str, form, file: Option<&str>| {
            let file = file.map(PathBuf::from);
            assert_eq!(text.parse(), Ok(Target { form, file }), "{text}");
        };
        check("text", Form::Text, None);
        check("junit=a/report.xml", Form::Junit, Some("a/report.xml"));
        check("markdown=a=b", Form::Markdown, Some("a=b"));
        for wrong in ["", "xml", "junit=", "=file"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_failed_on_is_0() {
        const ENDS: [Outcome; 7] = [
            Outcome::Successful,
            Outcome::Failed,
            Outcome::Inconclusive,
            Outcome::Error,
            Outcome::TimedOut,
            Outcome::Usage,
            Outcome::Interrupted,
        ];
        let check = |fail_on: &[FailOn], evidence, expected: [u8; 7]| {
            let args = ReportArgs {
                fail_on: fail_on.to_vec(),
                ..ReportArgs::default()
            };
            let codes = ENDS.map(|end| args.exit(end, evidence).code());
            assert_eq!(codes, expected, "{fail_on:?}");
        };
        check(&[], true, [0, 1, 3, 4, 5, 2, 130]);
        check(&[], false, [0, 1, 3, 4, 5, 2, 130]);
        check(&[FailOn::Failed], true, [0, 1, 0, 0, 0, 2, 130]);
        check(
            &[FailOn::Error, FailOn::Running],
            true,
            [0, 0, 0, 4, 5, 2, 130],
        );
        check(&[FailOn::None], false, [0, 0, 0, 0, 0, 2, 130]);
        check(&[FailOn::NoEvidence], false, [3, 1, 3, 4, 5, 2, 130]);
        check(&[FailOn::NoEvidence], true, [0, 1, 3, 4, 5, 2, 130]);
        check(
            &[FailOn::NoEvidence, FailOn::Failed],
            true,
            [0, 1, 0, 0, 0, 2, 130],
        );
    }
}
