//! Takes a result to everybody who wants it: stdout, files, a CI system; and says what the process ends with.

use std::path::Path;

use serde::Serialize;

use super::args::{Form, RESULT_FILE, ReportArgs};
use super::github::{Step, annotations};
use super::place::{Place, Taken};
use super::problem::Problem;
use super::{Report, junit, markdown};
use crate::cli::outcome::{Failure, Outcome, complain, emit, printable, tell, unobeyed, write};
use crate::cli::unwritten::{self, STDOUT};
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
    /// Opens what `args` name, which must be places of their own: what is written to none of them may replace another, one of the
    /// `inputs`, or what the CI system's step has written. Quiet: nothing goes to stderr.
    pub(in crate::cli) fn open<'p>(
        args: &ReportArgs,
        inputs: impl IntoIterator<Item = &'p Path>,
        quiet: bool,
    ) -> Result<Self, Failure> {
        args.refuse_contradiction()?;
        let inputs: Vec<&Path> = inputs.into_iter().collect();
        let step = Step::current().filter(|_| !args.no_github);
        args.refuse_shared_places(&inputs, step.as_ref())?;
        let stdout = args.output.iter().find(|target| target.file.is_none());
        let stdout = stdout.map_or(Form::Text, |target| target.form);
        let mut taken = Taken::by(inputs, step.as_ref());
        let mut files = Vec::new();
        for target in &args.output {
            if let Some(path) = &target.file {
                let place = Place::open(path, target.what(), &mut taken)?;
                files.push((target.form, place));
            }
        }
        let word = args.result_file.as_deref();
        let word = word.map(|path| Place::open(path, RESULT_FILE.to_owned(), &mut taken));
        let word = word.transpose()?;
        Ok(Self {
            args: args.clone(),
            quiet,
            stdout,
            files,
            word,
            step,
        })
    }

    /// Delivers what was judged, or why nothing could be; `None`: it was interrupted before there was anything to tell.
    pub(in crate::cli) fn close(
        mut self,
        judged: Result<Option<Told<impl Serialize>>, Failure>,
    ) -> Result<Outcome, Failure> {
        self.places().for_each(|place| unwritten::add(&place));
        match judged {
            Ok(Some(told)) => self.tell(&told),
            Ok(None) => {
                let left = self.leave_word(Outcome::Interrupted);
                settled(Outcome::Interrupted, [left])
            }
            Err(failure) => {
                for another in self.report(&failure).into_iter().filter_map(Result::err) {
                    complain(&another);
                }
                Err(failure)
            }
        }
    }

    /// Every place that something goes to, in order.
    fn places(&self) -> impl Iterator<Item = String> {
        let files = self.files.iter().map(|(_, place)| place.name());
        let step = self.step.iter().flat_map(Step::places);
        let word = self.word.iter().map(Place::name);
        let stdout = std::iter::once(STDOUT.to_owned());
        stdout.chain(files).chain(step).chain(word)
    }

    fn tell(&mut self, told: &Told<impl Serialize>) -> Result<Outcome, Failure> {
        let outcome = told.report.outcome();
        let exit = self.args.exit(outcome, told.report.evidence);
        let mut done = self.write(|form| rendered(form, told, exit).map(Some));
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
        done.push(self.leave_word(outcome));
        settled(exit, done)
    }

    /// That there is no result, in every form; on stdout none for people, who see stderr.
    fn report(&mut self, failure: &Failure) -> Vec<Result<(), Failure>> {
        let report = Report::of_failure(failure);
        let outcome = report.outcome();
        let is_told = self.stdout == Form::Text;
        let mut is_stdout = true;
        let mut done = self.write(|form| {
            let is_left_out = is_told && std::mem::take(&mut is_stdout);
            let text = match form {
                Form::Text if is_left_out => return Ok(None),
                Form::Text => printable(&failure.text()).into_owned(),
                Form::Json => wire::json(&Problem::of(failure))?,
                Form::Yaml => wire::yaml(&Problem::of(failure))?,
                Form::Junit => junit::junit(&report)?,
                Form::Markdown => markdown::markdown(&report),
                Form::Github => annotations(&report, outcome),
            };
            Ok(Some(without_url_credentials(&text).into_owned()))
        });
        self.note(&report, outcome);
        done.push(self.leave_word(outcome));
        done
    }

    /// Writes what `text` says to stdout first, and then to every file, whatever becomes of the others.
    fn write(
        &mut self,
        mut text: impl FnMut(Form) -> anyhow::Result<Option<String>>,
    ) -> Vec<Result<(), Failure>> {
        let mut in_form = |form| text(form).map_err(Failure::broken);
        let stdout = in_form(self.stdout).and_then(|text| match (text, self.stdout) {
            (None, _) => Ok(()),
            // Whoever reads the log of a job obeys what begins a line, within a block of code as well.
            (Some(text), Form::Markdown) => write(&unobeyed(&text)),
            (Some(text), _) => write(&text),
        });
        unwritten::settle(STDOUT);
        let mut done = vec![stdout];
        for (form, place) in &mut self.files {
            let written = in_form(*form).and_then(|text| match text {
                Some(text) => place.write(&text),
                None => Ok(()),
            });
            unwritten::settle(&place.name());
            done.push(written);
        }
        done
    }

    /// Tells the CI system that this process is part of.
    fn note(&self, report: &Report, exit: Outcome) {
        let Some(step) = &self.step else { return };
        if !self.quiet && self.stdout != Form::Github {
            emit(&annotations(report, exit));
        }
        step.record(report);
    }

    fn leave_word(&mut self, outcome: Outcome) -> Result<(), Failure> {
        match &mut self.word {
            Some(place) => {
                let written = place.write(outcome.word());
                unwritten::settle(&place.name());
                written
            }
            None => Ok(()),
        }
    }
}

/// What a process ends with: a bad end stays what it is, though a report of it could not be written, and a good one does not,
/// for somebody waits for the report.
fn settled(
    exit: Outcome,
    done: impl IntoIterator<Item = Result<(), Failure>>,
) -> Result<Outcome, Failure> {
    let mut troubles: Vec<Failure> = done.into_iter().filter_map(Result::err).collect();
    let last = match exit {
        Outcome::Successful => troubles.pop(),
        Outcome::Failed
        | Outcome::Usage
        | Outcome::Inconclusive
        | Outcome::Error
        | Outcome::TimedOut
        | Outcome::Interrupted => None,
    };
    troubles.iter().for_each(complain);
    last.map_or(Ok(exit), Err)
}

fn rendered(form: Form, told: &Told<impl Serialize>, exit: Outcome) -> anyhow::Result<String> {
    let text = match form {
        Form::Text => return Ok(printable(&told.text).into_owned()),
        Form::Json => wire::json(&told.whole)?,
        Form::Yaml => wire::yaml(&told.whole)?,
        Form::Junit => junit::junit(&told.report)?,
        Form::Markdown => markdown::markdown(&told.report),
        Form::Github => annotations(&told.report, exit),
    };
    Ok(without_url_credentials(&text).into_owned())
}
