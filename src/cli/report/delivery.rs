//! Takes a result to everybody who wants it: stdout, files, a CI system; and says what the process ends with.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde::Serialize;

use super::args::{Form, ReportArgs};
use super::github::{Step, annotations};
use super::{Report, junit, markdown};
use crate::cli::outcome::{Failure, Outcome, complain, emit, printable, tell, write};
use crate::secrets::without_url_credentials;
use crate::wire;

/// The places that a result will go to. They are opened before anything is judged: once it has been, it is too late to learn
/// that a path is wrong, and what an earlier process left there must not be taken for this one's.
#[derive(Debug)]
pub(in crate::cli) struct Delivery {
    args: ReportArgs,
    quiet: bool,
    stdout: Form,
    files: Vec<(Form, Place)>,
    word: Option<Place>,
    step: Option<Step>,
}

/// A file that is open for writing.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    file: File,
}

/// A result in every form that can be asked for.
#[derive(Debug)]
pub(in crate::cli) struct Told<T> {
    pub(in crate::cli) report: Report,
    /// For people.
    pub(in crate::cli) text: String,
    /// For programs.
    pub(in crate::cli) whole: T,
    /// A way out, for people.
    pub(in crate::cli) hint: Option<&'static str>,
}

impl Delivery {
    /// Opens what `args` name. Quiet: nothing goes to stderr.
    pub(in crate::cli) fn open(args: &ReportArgs, quiet: bool) -> Result<Self, Failure> {
        args.refuse_contradiction()?;
        let mut stdout = None;
        let mut files = Vec::new();
        for target in &args.output {
            if let Some(path) = &target.file {
                files.push((target.form, Place::open(path)?));
            } else if stdout.replace(target.form).is_some() {
                return Err(Failure::usage(anyhow!("-o names two forms for stdout"))
                    .hint("give all but one a file: -o FORM=FILE"));
            }
        }
        let word = args.result_file.as_deref().map(Place::open).transpose()?;
        Ok(Self {
            args: args.clone(),
            quiet,
            stdout: stdout.unwrap_or(Form::Text),
            files,
            word,
            step: if args.no_github {
                None
            } else {
                Step::current()
            },
        })
    }

    /// Delivers what was judged, or why nothing could be; `None`: it was interrupted before there was anything to tell.
    pub(in crate::cli) fn close(
        self,
        judged: Result<Option<Told<impl Serialize>>, Failure>,
    ) -> Result<Outcome, Failure> {
        match judged {
            Ok(Some(told)) => self.tell(&told),
            Ok(None) => {
                self.leave_word(Outcome::Interrupted)?;
                Ok(Outcome::Interrupted)
            }
            Err(failure) => {
                if let Err(another) = self.report(&failure) {
                    complain(&another);
                }
                Err(failure)
            }
        }
    }

    fn tell(mut self, told: &Told<impl Serialize>) -> Result<Outcome, Failure> {
        let outcome = told.report.outcome();
        let exit = self.args.exit(outcome, told.report.evidence);
        let in_form = |form| rendered(form, told, exit).map_err(Failure::broken);
        let mut done = in_form(self.stdout).and_then(|text| write(&text));
        for (form, place) in &mut self.files {
            done = done.and(in_form(*form).and_then(|text| place.write(&text)));
        }
        if exit != outcome && !self.quiet {
            let note = match outcome {
                Outcome::Successful => "note: --fail-on asks for evidence".to_owned(),
                _ => format!("note: {}, which --fail-on allows", outcome.word()),
            };
            tell(&note);
        }
        if let Some(hint) = told.hint {
            tell(&format!("\nhint: {hint}"));
        }
        self.note(&told.report, exit);
        done.and(self.leave_word(outcome)).map(|()| exit)
    }

    /// That there is no result, in the forms that are read by others than whoever sees stderr.
    fn report(mut self, failure: &Failure) -> Result<(), Failure> {
        let report = Report::of_failure(failure);
        let in_form = |form| match form {
            Form::Text | Form::Json | Form::Yaml => Ok(None),
            Form::Junit | Form::Markdown | Form::Github => {
                reported(form, &report, report.outcome()).map_err(Failure::broken)
            }
        };
        if let Some(text) = in_form(self.stdout)? {
            write(&text)?;
        }
        for (form, place) in &mut self.files {
            if let Some(text) = in_form(*form)? {
                place.write(&text)?;
            }
        }
        self.note(&report, report.outcome());
        self.leave_word(report.outcome())
    }

    /// Tells the CI system that this process is part of.
    fn note(&self, report: &Report, exit: Outcome) {
        let Some(step) = &self.step else { return };
        if !self.quiet && self.stdout != Form::Github {
            emit(&annotations(report, exit));
        }
        step.record(report);
    }

    fn leave_word(self, outcome: Outcome) -> Result<(), Failure> {
        match self.word {
            Some(mut place) => place.write(outcome.word()),
            None => Ok(()),
        }
    }
}

impl Place {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path)
            .with_context(|| format!("failed to create {}", path.display()))
            .map_err(Failure::usage)?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.file
            .write_all(text.as_bytes())
            .with_context(|| format!("failed to write to {}", self.path.display()))
            .map_err(Failure::broken)
    }
}

fn rendered(form: Form, told: &Told<impl Serialize>, exit: Outcome) -> anyhow::Result<String> {
    let text = match form {
        Form::Text => return Ok(printable(&told.text).into_owned()),
        Form::Json => wire::json(&told.whole)?,
        Form::Yaml => wire::yaml(&told.whole)?,
        Form::Junit | Form::Markdown | Form::Github => {
            reported(form, &told.report, exit)?.unwrap_or_default()
        }
    };
    Ok(without_url_credentials(&text).into_owned())
}

/// `report` in a form that is made of it; `None` for the others.
fn reported(form: Form, report: &Report, exit: Outcome) -> anyhow::Result<Option<String>> {
    Ok(match form {
        Form::Text | Form::Json | Form::Yaml => None,
        Form::Junit => Some(junit::junit(report)?),
        Form::Markdown => Some(markdown::markdown(report)),
        Form::Github => Some(annotations(report, exit)),
    })
}
