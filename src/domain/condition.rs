//! A condition over what was measured.

use std::sync::Arc;

use jiff::tz::Offset;
use serde_json::Value;

use super::expr::Program;
use super::reading::Series;
use super::window::Step;

/// A condition, parsed once, evaluated many times.
///
/// It is written in the dialect of Argo Rollouts, Go's expr language, or in the short form:
///
/// ```
/// use skygate::domain::condition::{Condition, Scope};
///
/// let condition = Condition::parse("all(result.values, {asFloat(.value) >= 9900})")?;
/// let result = serde_json::json!({"values": [{"value": "9950"}, {"value": "9433"}]});
/// let scope = Scope { result: &result, series: &[], zone: jiff::tz::Offset::UTC, step: Default::default() };
///
/// assert_eq!(condition.holds(&scope), Ok(false));
/// assert_eq!(condition.reason(&scope).text, "1 of 2 points below 9900: #1 9433");
/// # Ok::<(), skygate::domain::condition::ConditionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Condition {
    program: Arc<Program>,
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionError {
    /// What is wrong, in Argo's words where Argo has any that people would search for.
    pub message: String,
    /// What to do about it, or what is there instead.
    pub hint: Option<String>,
    /// Where in the source, in bytes.
    pub at: usize,
}

impl ConditionError {
    /// An error at byte `at` of the source.
    pub fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            message: one_line(message.into()),
            hint: None,
            at,
        }
    }

    /// The same with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(one_line(hint.into()));
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
    pub fn shown_in(&self, source: &str) -> String {
        let at = source.floor_char_boundary(self.at);
        let (before, after) = source.split_at(at);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = at + after.find('\n').unwrap_or(after.len());
        let number = before.matches('\n').count() + 1;
        let margin = " ".repeat(number.to_string().len());
        let indent: String = source[line_start..at]
            .chars()
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let mut shown = format!(
            "{}\n  {number} | {}\n  {margin} | {indent}^",
            self.message,
            &source[line_start..line_end],
        );
        if let Some(hint) = &self.hint {
            shown.push_str("\nhint: ");
            shown.push_str(hint);
        }
        shown
    }
}

impl Condition {
    /// Parses `source`, resolving every name and function in it.
    pub fn parse(source: &str) -> Result<Self, ConditionError> {
        Ok(Self {
            program: Arc::new(Program::parse(source)?),
        })
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        self.program.source()
    }

    /// Whether it holds for `scope`. Anything but a boolean is an error, as is whatever Argo calls one.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, ConditionError> {
        self.program.holds(scope)
    }

    /// Why it holds or doesn't, or why it cannot be evaluated; the work is done only when somebody asks.
    pub fn reason(&self, scope: &Scope<'_>) -> Reason {
        self.program.reason(scope)
    }
}

/// Messages quote what was written, which may have lines.
fn one_line(text: String) -> String {
    if text.contains(char::is_control) {
        text.replace(char::is_control, " ")
    } else {
        text
    }
}

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
