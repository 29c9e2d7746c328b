//! A condition over what was measured.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::Value;

use super::cel;
use super::expr;
use super::reading::Series;
use super::window::Step;

/// A condition, parsed once, evaluated many times.
///
/// It is written in the dialect of Argo Rollouts, Go's expr language, in the short form of it, or in CEL:
///
/// ```
/// use skygate::domain::condition::{Condition, Scope};
///
/// let condition = Condition::parse("all(result.values, {asFloat(.value) >= 9900})")?;
/// let result = serde_json::json!({"values": [{"value": "9950"}, {"value": "9433"}]});
/// let now = "2026-11-23T09:12:30Z".parse().expect("a moment");
/// let scope = Scope { result: &result, series: &[], zone: jiff::tz::Offset::UTC, step: Default::default(), now };
///
/// assert_eq!(condition.holds(&scope), Ok(false));
/// assert_eq!(condition.reason(&scope).text, "1 of 2 points below 9900: #1 9433");
///
/// let condition = Condition::parse("result.values.all(p, double(p.value) >= 9900.0)")?;
/// assert_eq!(condition.holds(&scope), Ok(false));
/// # Ok::<(), skygate::domain::condition::ConditionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Condition {
    program: Program,
    keeps_back: bool,
}

#[derive(Clone, Debug)]
enum Program {
    Expr(Arc<expr::Program>),
    Cel(Arc<cel::Program>),
}

/// What a condition is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// Go's expr as Argo Rollouts uses it, with the short form `all(values >= 9900)`.
    Expr,
    /// Google's Common Expression Language.
    Cel,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::Expr, Self::Cel];

    /// Its name in a template and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expr => "expr",
            Self::Cel => "cel",
        }
    }

    /// The language of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.name() == name)
    }
}

/// What a metric's two conditions were found to be written in; `None` where there is no such condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Languages {
    /// `successCondition`.
    pub success: Option<Language>,
    /// `failureCondition`.
    pub failure: Option<Language>,
}

/// What a condition is evaluated over.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// `result`.
    pub result: &'a Value,
    /// What `values` and `series[…]` are, and where points get their times from.
    pub series: &'a [Series],
    /// The zone in which reasons write times.
    pub zone: Offset,
    /// The width of the points' buckets, for those times.
    pub step: Step,
    /// The moment of the measurement: `now()`, for a condition has no clock.
    pub now: Timestamp,
}

impl Scope<'_> {
    /// Which of the series `name` is; without one, the only series. The error names those that there are.
    pub(super) fn place_of_series(&self, name: Option<&str>) -> Result<usize, ConditionError> {
        const SHOWN: usize = 8;
        let series = self.series;
        let names = || {
            let names = series.iter().take(SHOWN).map(|it| format!("`{}`", it.name));
            let more = (series.len() > SHOWN).then(|| "…".to_owned());
            names.chain(more).collect::<Vec<_>>().join(", ")
        };
        match (name, series) {
            (_, []) => Err(ConditionError::new(0, "the result has no series")),
            (None, [_]) => Ok(0),
            (None, [first, ..]) => {
                let message = format!(
                    "values is ambiguous: the result has {} series, {}",
                    series.len(),
                    names()
                );
                let hint = format!("`series[{:?}]` is one of them", first.name);
                Err(ConditionError::new(0, message).hint(hint))
            }
            (Some(name), _) => series.iter().position(|it| it.name == name).ok_or_else(|| {
                let message = format!("no series `{name}`; the result has {}", names());
                ConditionError::new(0, message)
            }),
        }
    }
}

/// Why a condition held or didn't.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reason {
    /// One line for people; empty where there is nothing to add to the value.
    pub text: String,
    /// The points that decided, as (series, point) indexes into [`Scope::series`].
    pub points: Vec<(usize, usize)>,
}

/// Why a condition could not be parsed or evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionError {
    /// What is wrong, in Argo's words where Argo has any that people would search for.
    pub message: String,
    /// What to do about it, or what is there instead.
    pub hint: Option<String>,
    /// Where in the source, in bytes.
    pub at: usize,
    /// What is wrong with the same text read as CEL, where it may be either and is neither.
    pub as_cel: Option<Box<Self>>,
}

impl std::error::Error for ConditionError {}

/// What is wrong, on one line, without the hint; with `{:#}`, what is wrong in either language.
impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.as_cel {
            Some(cel) if f.alternate() => write!(f, "; as CEL: {}", cel.message),
            _ => Ok(()),
        }
    }
}

impl ConditionError {
    /// An error at byte `at` of the source.
    pub fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            message: one_line(message.into()),
            hint: None,
            at,
            as_cel: None,
        }
    }

    /// The same with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(one_line(hint.into()));
        self
    }

    /// The error of a text that is in neither language: `self` as expr, `cel` as CEL.
    /// The one that reads on for longer is likelier to be meant, and has the say in what may help.
    fn in_neither(mut self, mut cel: Self) -> Self {
        let hint = cel.hint.take();
        if cel.at > self.at && hint.is_some() || cel.at == self.at && self.hint.is_none() {
            self.hint = hint;
        }
        self.as_cel = Some(Box::new(cel));
        self
    }

    /// Where in `source` the error is, as people count: `column 5`, or `line 2 column 5` where there are several lines.
    pub fn place_in(&self, source: &str) -> String {
        let before = &source[..source.floor_char_boundary(self.at)];
        let (above, line) = before.rsplit_once('\n').unwrap_or(("", before));
        let column = line.chars().count() + 1;
        if source.trim_end().contains('\n') {
            let number = above.matches('\n').count() + 1 + usize::from(before.contains('\n'));
            format!("line {number} column {column}")
        } else {
            format!("column {column}")
        }
    }

    /// The error with the line of `source` that it is about, a caret under the place, and the hint, for a terminal:
    ///
    /// ```text
    /// unexpected token Operator("=")
    ///   1 | result.ok = true
    ///     |           ^
    /// hint: `==` compares
    /// ```
    ///
    /// A text that is in neither language is shown in both readings, one after the other.
    pub fn shown_in(&self, source: &str) -> String {
        let mut shown = match &self.as_cel {
            None => format!("{}\n{}", self.message, place_in(source, self.at)),
            Some(cel) if cel.at == self.at => format!(
                "as expr: {}\nas CEL: {}\n{}",
                self.message,
                cel.message,
                place_in(source, self.at)
            ),
            Some(cel) => format!(
                "as expr: {}\n{}\nas CEL: {}\n{}",
                self.message,
                place_in(source, self.at),
                cel.message,
                place_in(source, cel.at)
            ),
        };
        if let Some(hint) = &self.hint {
            shown.push_str("\nhint: ");
            shown.push_str(hint);
        }
        shown
    }
}

/// Why a text is no condition of a language.
#[derive(Debug)]
pub(super) enum Rejected {
    /// It cannot be read, or has a name that the language doesn't know: it may be of another one.
    Unread(ConditionError),
    /// It can be read, and has no value whatever the result is.
    Mistyped(ConditionError),
}

impl From<Rejected> for ConditionError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Unread(error) | Rejected::Mistyped(error) => error,
        }
    }
}

/// The line of `source` that byte `at` is in, and a caret under it.
fn place_in(source: &str, at: usize) -> String {
    let at = source.floor_char_boundary(at);
    let (before, after) = source.split_at(at);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = at + after.find('\n').unwrap_or(after.len());
    let number = before.matches('\n').count() + 1;
    let margin = " ".repeat(number.to_string().len());
    let indent: String = source[line_start..at]
        .chars()
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    format!(
        "  {number} | {}\n  {margin} | {indent}^",
        &source[line_start..line_end]
    )
}

impl Condition {
    /// Parses `source`, resolving every name and function in it: as expr, and what is not expr as CEL.
    ///
    /// A text that reads as expr is expr, even where it cannot be evaluated (`1 == "1"` compares what never is equal, in Argo as here):
    /// with other meanings for the same text, CEL must be asked for.
    pub fn parse(source: &str) -> Result<Self, ConditionError> {
        let error = match expr::Program::parse(source) {
            Ok(program) => return Ok(Self::of(Program::Expr(Arc::new(program)))),
            Err(Rejected::Mistyped(error)) => return Err(error),
            Err(Rejected::Unread(error)) => error,
        };
        match cel::Program::parse(source) {
            Ok(program) => Ok(Self::of(Program::Cel(Arc::new(program)))),
            Err(Rejected::Mistyped(error)) => Err(error),
            Err(Rejected::Unread(cel)) => Err(error.in_neither(cel)),
        }
    }

    /// Parses `source` as `language`, whatever else it might be.
    pub fn parse_as(language: Language, source: &str) -> Result<Self, ConditionError> {
        Ok(Self::of(match language {
            Language::Expr => Program::Expr(Arc::new(expr::Program::parse(source)?)),
            Language::Cel => Program::Cel(Arc::new(cel::Program::parse(source)?)),
        }))
    }

    fn of(program: Program) -> Self {
        Self {
            program,
            keeps_back: false,
        }
    }

    /// The same for a secret in it, or in what it is evaluated over: it tells whether it holds, and nothing of why or why not.
    /// Anything that it computes, quotes or cuts may be a part of the secret, which nothing would mask.
    #[must_use]
    pub fn keeping_back(self) -> Self {
        Self {
            keeps_back: true,
            ..self
        }
    }

    /// What it is written in.
    pub fn language(&self) -> Language {
        match &self.program {
            Program::Expr(_) => Language::Expr,
            Program::Cel(_) => Language::Cel,
        }
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        match &self.program {
            Program::Expr(program) => program.source(),
            Program::Cel(program) => program.source(),
        }
    }

    /// Whether it holds for `scope`. Anything but a boolean is an error, as is whatever Argo, or CEL, calls one.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, ConditionError> {
        let holds = match &self.program {
            Program::Expr(program) => program.holds(scope),
            Program::Cel(program) => program.holds(scope),
        };
        holds.map_err(|error| {
            if self.keeps_back {
                ConditionError::new(0, KEPT_BACK)
            } else {
                error
            }
        })
    }

    /// Why it holds or doesn't, or why it cannot be evaluated; the work is done only when somebody asks.
    pub fn reason(&self, scope: &Scope<'_>) -> Reason {
        if self.keeps_back {
            return Reason {
                text: KEPT_BACK.to_owned(),
                points: Vec::new(),
            };
        }
        match &self.program {
            Program::Expr(program) => program.reason(scope),
            Program::Cel(program) => program.reason(scope),
        }
    }
}

/// What is told instead of a reason.
const KEPT_BACK: &str = "the reason is kept back: it would quote a secret";

/// Messages quote what was written and what was measured, which may have lines and be long.
fn one_line(text: String) -> String {
    let text = if text.contains(char::is_control) {
        text.replace(char::is_control, " ")
    } else {
        text
    };
    if text.len() <= LONGEST_MESSAGE {
        return text;
    }
    let start = text.floor_char_boundary(LONGEST_MESSAGE / 2);
    let end = text.ceil_char_boundary(text.len() - LONGEST_MESSAGE / 4);
    format!("{} … {}", &text[..start], &text[end..])
}

/// So many bytes has a message, or a hint; what is longer loses its middle.
const LONGEST_MESSAGE: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_go_from_thread_to_thread() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Condition>();
        check::<ConditionError>();
    }

    #[test]
    fn an_error_points_at_its_place() {
        let error = ConditionError::new(12, "unknown name b").hint("did you mean `a`?");
        assert_eq!(
            error.shown_in("result.a >\n b + 1"),
            "unknown name b\n  2 |  b + 1\n    |  ^\nhint: did you mean `a`?"
        );
    }

    #[test]
    fn a_place_is_told_as_people_count() {
        let check = |source: &str, at, expected: &str| {
            let place = ConditionError::new(at, "").place_in(source);
            assert_eq!(place, expected, "{at} in {source:?}");
        };
        check("a = 1", 2, "column 3");
        check("é = 1\n", 3, "column 3");
        check("a\nb = 1", 0, "line 1 column 1");
        check("a\nb = 1", 4, "line 2 column 3");
        check("a\n\nb", 3, "line 3 column 1");
        check("a >", 99, "column 4");
    }

    #[test]
    fn an_error_past_the_end_points_behind_the_last_character() {
        let error = ConditionError::new(99, "unexpected token EOF");
        assert_eq!(
            error.shown_in("é >"),
            "unexpected token EOF\n  1 | é >\n    |    ^"
        );
    }
}
