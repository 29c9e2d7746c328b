//! What an evaluation may take, so that nothing runs away.

use super::ast::Span;
use super::eval::{Evaluated, Evaluator, Stop};
use super::value::{List, Value};

/// So many steps may an evaluation take: visits of a node, and what functions do at length.
const MAX_STEPS: usize = 2_000_000;

/// So many elements and bytes may an evaluation make; Go's own budget.
const MAX_SIZE: usize = 1_000_000;

/// Bytes or elements that a function looks through for one step.
const WORK_A_STEP: usize = 16;

/// What is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    steps: usize,
    size: usize,
}

impl Budget {
    pub(super) fn full() -> Self {
        Self {
            steps: MAX_STEPS,
            size: MAX_SIZE,
        }
    }

    /// What is left after so many steps; `None` where that is too many.
    pub(super) fn after(self, steps: u8) -> Option<Self> {
        let steps = self.steps.checked_sub(steps.into())?;
        Some(Self { steps, ..self })
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn step(&mut self, span: Span) -> Evaluated<()> {
        self.steps_of(span, 1)
    }

    /// Pays for work on so many bytes or elements.
    pub(super) fn work(&mut self, span: Span, amount: usize) -> Evaluated<()> {
        self.steps_of(span, amount / WORK_A_STEP)
    }

    /// Pays for looking at a value as a whole.
    pub(super) fn work_on(&mut self, span: Span, value: &Value<'a>) -> Evaluated<()> {
        match value {
            Value::Text(text) => self.work(span, text.as_str().len()),
            Value::List(_) | Value::Map(_) => {
                let weight = weight(value);
                self.work(span, weight)
            }
            _ => Ok(()),
        }
    }

    /// Pays for comparing `wanted` with so many others.
    pub(super) fn search(
        &mut self,
        span: Span,
        others: usize,
        wanted: &Value<'a>,
    ) -> Evaluated<()> {
        self.work(span, others.saturating_mul(weight(wanted) + 7))
    }

    pub(super) fn steps_of(&mut self, span: Span, steps: usize) -> Evaluated<()> {
        match self.budget.steps.checked_sub(steps) {
            Some(left) => {
                self.budget.steps = left;
                Ok(())
            }
            None => Err(too_many(
                span,
                "step budget exceeded: more than 2,000,000 steps",
            )),
        }
    }

    /// Pays for making so many bytes or elements.
    pub(super) fn grow(&mut self, span: Span, amount: usize) -> Evaluated<()> {
        match self.budget.size.checked_sub(amount) {
            Some(left) => {
                self.budget.size = left;
                Ok(())
            }
            None => Err(too_many(
                span,
                "memory budget exceeded: more than 1,000,000 elements or bytes",
            )),
        }
    }

    /// Pays for a text of a whole value, before it is written: each number and mark counts as a few bytes.
    pub(super) fn grow_by(&mut self, span: Span, value: &Value<'a>) -> Evaluated<()> {
        const BYTES: usize = 4;
        self.grow(span, weight(value).saturating_mul(BYTES))
    }
}

#[cold]
fn too_many(span: Span, message: &str) -> Stop {
    Stop::at(span, message)
}

/// Roughly how many bytes and elements a value has, all the way down.
fn weight(value: &Value<'_>) -> usize {
    match value {
        Value::Text(text) => text.as_str().len() + 1,
        Value::List(List::Numbers(numbers)) => numbers.len(),
        Value::List(List::Range { len, .. }) => *len,
        Value::List(list) => list.iter().map(|item| weight(&item)).sum::<usize>() + 1,
        Value::Map(map) => {
            map.iter()
                .map(|(key, value)| weight(&key) + weight(&value))
                .sum::<usize>()
                + 1
        }
        _ => 1,
    }
}
