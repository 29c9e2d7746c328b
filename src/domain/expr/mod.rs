//! Argo's dialect of conditions: Go's expr language over JSON, and the short form `all(values >= 9900)`.
//!
//! ```text
//! text ─lexer▶ tokens ─parser, operands, calls▶ tree ─check▶ Program    once, at parsing
//! Program + Scope ─eval, glance, operators, each, call▶ value           each measurement
//! Program + Scope ─explain, points▶ Reason                              when somebody asks
//! ```
//!
//! The semantics are those of `expr-lang/expr` 1.17 with the environment that Argo gives it; where Go says no
//! before it evaluates, so does `check`.
//! Nothing that is written in a condition can stop the process: its length, the height of its tree and the depth of
//! what it makes are bounded, and an evaluation has budgets of steps and of size.

mod access;
mod ast;
mod budget;
mod build;
mod call;
mod calls;
mod check;
mod clause;
mod each;
mod eval;
mod explain;
mod function;
mod glance;
mod gotext;
mod json;
mod lexer;
mod lists;
mod missing;
mod nature;
mod numbers;
mod operands;
mod operators;
mod parser;
mod pattern;
mod points;
mod slips;
mod text;
mod time;
mod value;

pub(super) use self::ast::{Comparison, Operator};
pub(super) use self::clause::{effective, number_text, shortened, words};
pub(super) use self::gotext::{float_text, parse_float, to_int};
pub(super) use self::missing::has_names;
pub(super) use self::pattern::Pattern;
pub(super) use self::points::Points;

use self::ast::Expr;
use self::check::{ResultType, check};
use self::eval::{Evaluator, Stop};
use super::condition::{ConditionError, Reason, Rejected, Scope};

/// A parsed and checked condition.
#[derive(Clone, Debug)]
pub(super) struct Program {
    source: String,
    root: Expr,
    /// How many names it binds at once.
    slots: usize,
    /// What is wrong with it on a result of a certain type.
    faults: Vec<(ResultType, ConditionError)>,
}

impl Program {
    pub(super) fn parse(source: &str) -> Result<Self, Rejected> {
        let parsed = parser::parse(source).map_err(Rejected::Unread)?;
        let mut faults: Vec<(ResultType, ConditionError)> = ResultType::ALL
            .into_iter()
            .filter_map(|result| {
                let fault = check(&parsed.root, result, parsed.slots).err()?;
                Some((result, fault))
            })
            .collect();
        if faults.len() == ResultType::ALL.len() {
            return Err(Rejected::Mistyped(faults.swap_remove(0).1));
        }
        Ok(Self {
            source: source.to_owned(),
            root: parsed.root,
            slots: parsed.slots,
            faults,
        })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn holds(&self, scope: &Scope<'_>) -> Result<bool, ConditionError> {
        self.checked(scope)?;
        let mut evaluator = Evaluator::new(&self.source, self.slots, *scope);
        evaluator.truth(&self.root).map_err(|stop| match stop {
            Stop::Failed(error) => *error,
            // Every `?.` stands in a chain of its own, which ends there.
            Stop::Absent => ConditionError::new(0, "expected bool, but got <nil>"),
        })
    }

    pub(super) fn reason(&self, scope: &Scope<'_>) -> Reason {
        match self.holds(scope) {
            Ok(holds) => {
                let evaluator = Evaluator::new(&self.source, self.slots, *scope);
                explain::reason(evaluator, &self.root, holds)
            }
            Err(error) => Reason {
                text: error.hint.unwrap_or(error.message),
                points: Vec::new(),
            },
        }
    }

    /// What Go would reject before it evaluates.
    fn checked(&self, scope: &Scope<'_>) -> Result<(), ConditionError> {
        let result = ResultType::of(scope.result);
        match self.faults.iter().find(|(faulty, _)| *faulty == result) {
            Some((_, fault)) => Err(fault.clone()),
            None => Ok(()),
        }
    }
}
