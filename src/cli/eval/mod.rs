//! `skygate eval`.

mod batch;
mod input;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args};
use jiff::tz::Offset;
use serde::Serialize;
use serde_json::Value;

use self::input::Input;
use super::options::Output;
use super::outcome::{Failure, Outcome, print, tell, write};
use crate::clock::SystemClock;
use crate::domain::condition::{Condition, ConditionError, Language, Scope};
use crate::domain::judge::{Judgement, phase_of};
use crate::domain::measurement::{Phase, Side};
use crate::domain::reading::Series;
use crate::domain::recorded::series_of;
use crate::domain::window::Step;
use crate::ports::Clock;
use crate::wire;

/// The longest recorded result, and the longest line of a batch, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

/// Try a condition on a recorded result, offline
///
/// Prints the value on the first line, and on the second why it is so.
/// With --success and --failure it prints the phase that a metric with these conditions would have.
///
/// `values` and `series` in a condition are found in the result by the shapes that OAP's answers have:
/// lists of numbers, or of objects with a `value`, under the keys of the response.
#[derive(Args, Debug)]
#[command(
    after_help = EXIT_CODES,
    after_long_help = EXAMPLES,
    group = ArgGroup::new("conditions").args(["condition", "success", "failure", "batch"]).multiple(true).required(true)
)]
pub(super) struct Eval {
    /// Condition: Argo's, CEL, or the short form `all(values >= 9900)`
    #[arg(
        short,
        long,
        value_name = "CONDITION",
        env = "SKYGATE_CONDITION",
        allow_hyphen_values = true,
        conflicts_with_all = ["success", "failure"]
    )]
    condition: Option<String>,

    /// Condition of success, as a metric's successCondition
    #[arg(long, value_name = "CONDITION", allow_hyphen_values = true)]
    success: Option<String>,

    /// Condition of failure, as a metric's failureCondition; where both hold it wins
    #[arg(long, value_name = "CONDITION", allow_hyphen_values = true)]
    failure: Option<String>,

    /// File with the result, JSON: what the condition sees as `result`; `-` is stdin
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "SKYGATE_RESULT",
        required_unless_present = "batch"
    )]
    result: Option<PathBuf>,

    /// Language of the conditions; without it expr, then CEL
    #[arg(long, value_name = "LANGUAGE", value_parser = language())]
    language: Option<Language>,

    /// Form of the outcome
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    /// File with a case a line, {"id", "condition", "result", "language"?}; `-` is stdin
    ///
    /// Prints a line a case, in order: {"id", "value"} or {"id", "error"}.
    /// A line that cannot be read is answered with an error, and the others are evaluated all the same;
    /// one without an id is answered with a null id and its number as "line".
    #[arg(
        long,
        value_name = "FILE",
        env = "SKYGATE_BATCH",
        conflicts_with_all = ["condition", "success", "failure", "result", "output"]
    )]
    batch: Option<PathBuf>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  true, or Successful; a batch that was read to its end
  1  false, or Failed
  2  usage, or a file that cannot be read
  3  Inconclusive
  4  Error: a condition cannot be parsed or evaluated";

const EXAMPLES: &str = "\
Examples:
  skygate eval -c 'all(values >= 9900)' -r result.json
  skygate eval --success 'result > 0.99' --failure 'result < 0.9' -r - <<< 0.95
  skygate eval --batch cases.jsonl

Exit codes:
  0  true, or Successful; a batch that was read to its end
  1  false, or Failed
  2  usage, or a file that cannot be read
  3  Inconclusive
  4  Error: a condition cannot be parsed or evaluated";

fn language() -> impl TypedValueParser<Value = Language> {
    PossibleValuesParser::new(Language::ALL.map(Language::name))
        .try_map(|name| Language::named(&name).ok_or("a known language was expected"))
}

impl Eval {
    pub(super) fn execute(self) -> Result<Outcome, Failure> {
        if let Some(path) = &self.batch {
            return batch::answer(Input::open(path)?, self.language);
        }
        let recorded = Recorded::read(self.result.as_deref().unwrap_or(Path::new("-")))?;
        recorded.note_lacking();
        let tried = match &self.condition {
            Some(condition) => self.value(condition, &recorded),
            None => self.phase(&recorded),
        };
        tried.show(self.output)?;
        Ok(tried.outcome)
    }

    /// What one condition is.
    fn value(&self, source: &str, recorded: &Recorded) -> Tried {
        let scope = recorded.scope();
        let evaluated = parse(self.language, source).and_then(|condition| {
            let holds = condition.holds(&scope)?;
            Ok((holds, condition.reason(&scope).text))
        });
        match evaluated {
            Ok((holds, reason)) => Tried::value(Some(holds)).because(reason),
            Err(error) => {
                complain("condition", source, &error);
                Tried::value(None).failed_by(&error)
            }
        }
    }

    /// What phase the conditions of success and failure make.
    fn phase(&self, recorded: &Recorded) -> Tried {
        let scope = recorded.scope();
        let sides = [
            (Side::Success, &self.success),
            (Side::Failure, &self.failure),
        ];
        let mut error = None;
        let [success, failure] = sides.map(|(side, source)| {
            // As in a template, an empty one is none.
            let source = source.as_deref().filter(|source| !source.is_empty())?;
            let condition = parse(self.language, source).and_then(|condition| {
                condition.holds(&scope)?;
                Ok(condition)
            });
            condition
                .inspect_err(|fault| {
                    complain(side.name(), source, fault);
                    error.get_or_insert_with(|| fault.clone());
                })
                .ok()
        });
        match error {
            Some(error) => Tried::phase(Phase::Error).failed_by(&error),
            None => Tried::judged(phase_of(success.as_ref(), failure.as_ref(), &scope)),
        }
    }
}

fn parse(language: Option<Language>, source: &str) -> Result<Condition, ConditionError> {
    match language {
        Some(language) => Condition::parse_as(language, source),
        None => Condition::parse(source),
    }
}

/// What a condition sees. Recorded points have no times, so that neither zone nor step matters.
fn scope<'a>(result: &'a Value, series: &'a [Series]) -> Scope<'a> {
    Scope {
        result,
        series,
        zone: Offset::UTC,
        step: Step::Minute,
        now: SystemClock.now(),
    }
}

/// Shows where in a condition an error is.
fn complain(what: &str, source: &str, error: &ConditionError) {
    tell(&format!(
        "error: could not evaluate the {what}\n{}",
        error.shown_in(source)
    ));
}

/// A result that was recorded, and the series in it.
struct Recorded {
    result: Value,
    series: Vec<Series>,
}

impl Recorded {
    fn read(path: &Path) -> Result<Self, Failure> {
        let input = Input::open(path)?;
        let name = input.name().to_owned();
        let text = input.whole()?;
        let result: Value = serde_json::from_slice(&text)
            .with_context(|| format!("{name} is not JSON"))
            .map_err(Failure::usage)?;
        let series = series_of(&result);
        Ok(Self { result, series })
    }

    fn scope(&self) -> Scope<'_> {
        scope(&self.result, &self.series)
    }

    /// Says what a run would make of a series without data: it never comes to a condition.
    fn note_lacking(&self) {
        for series in self.series.iter().filter(|series| !series.has_data()) {
            tell(&format!(
                "note: series `{}` has no data: a run asks no condition then, and does what the metric's `noData` says",
                series.name
            ));
        }
    }
}

/// What came of trying conditions, as it is printed.
#[derive(Debug, Serialize)]
struct Tried {
    #[serde(flatten)]
    verdict: Verdict,
    reason: String,
    error: Option<String>,
    hint: Option<String>,
    #[serde(skip)]
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// `None` where the condition cannot be evaluated.
    Value(Option<bool>),
    Phase(&'static str),
}

impl Tried {
    fn value(value: Option<bool>) -> Self {
        Self::new(
            Verdict::Value(value),
            match value {
                Some(true) => Outcome::Successful,
                Some(false) => Outcome::Failed,
                None => Outcome::Error,
            },
        )
    }

    fn phase(phase: Phase) -> Self {
        Self::new(Verdict::Phase(phase.name()), phase.into())
    }

    fn new(verdict: Verdict, outcome: Outcome) -> Self {
        Self {
            verdict,
            reason: String::new(),
            error: None,
            hint: None,
            outcome,
        }
    }

    fn because(self, reason: String) -> Self {
        Self { reason, ..self }
    }

    fn failed_by(self, error: &ConditionError) -> Self {
        Self {
            error: Some(format!("{error:#}")),
            hint: error.hint.clone(),
            ..self
        }
    }

    /// The phase, and which condition decided.
    fn judged(judgement: Judgement) -> Self {
        let reason = judgement.decided.map(|decided| {
            let side = decided.side.name();
            let holds = match (judgement.phase, decided.holds) {
                (Phase::Inconclusive, _) => format!("neither condition holds; {side}"),
                (_, true) => format!("{side} holds"),
                (_, false) => format!("{side} does not hold"),
            };
            match decided.reason.as_str() {
                "" => holds,
                reason => format!("{holds}: {reason}"),
            }
        });
        Self::phase(judgement.phase).because(reason.unwrap_or_default())
    }

    fn show(&self, output: Output) -> Result<(), Failure> {
        match output {
            Output::Text => print(&self.text()),
            Output::Json => write(&wire::json(self).map_err(Failure::broken)?),
            Output::Yaml => write(&wire::yaml(self).map_err(Failure::broken)?),
        }
    }

    /// The verdict and the reason, a line each; nothing for a condition without a value.
    fn text(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Value(None) => return String::new(),
            Verdict::Value(Some(value)) => value.to_string(),
            Verdict::Phase(phase) => phase.to_owned(),
        };
        match self.reason.as_str() {
            "" => format!("{verdict}\n"),
            reason => format!("{verdict}\n{reason}\n"),
        }
    }
}
