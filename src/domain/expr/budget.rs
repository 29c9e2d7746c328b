//! What an evaluation may take, so that nothing runs away.

use super::ast::Span;
use super::eval::{Evaluated, Evaluator, Stop};
use super::value::{List, Map, Value};

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
        let weight = self.weight(value);
        self.work(span, weight)
    }

    /// Pays for comparing two values: either may be the one that takes longer to go through.
    pub(super) fn comparing(&mut self, span: Span, a: &Value<'a>, b: &Value<'a>) -> Evaluated<()> {
        match (a, b) {
            (Value::Text(a), Value::Text(b)) => {
                self.work(span, a.as_str().len().min(b.as_str().len()))
            }
            (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) => {
                self.work_on(span, a)?;
                self.work_on(span, b)
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
        let weight = self.weight(wanted);
        let all = others.saturating_mul(weight + 7);
        self.work(span, all.saturating_add(weight))
    }

    /// What `value` weighs. It is not looked at for longer than there are steps for.
    fn weight(&self, value: &Value<'a>) -> usize {
        weight(value, self.budget.steps.saturating_mul(WORK_A_STEP))
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

    /// Pays for a text of a whole value, before it is written.
    pub(super) fn grow_by(&mut self, span: Span, value: &Value<'a>) -> Evaluated<()> {
        self.grow(span, weight(value, self.budget.size))
    }
}

#[cold]
fn too_many(span: Span, message: &str) -> Stop {
    Stop::at(span, message)
}

/// What a value weighs beside its bytes: roughly what it takes to write it.
const ITSELF: usize = 4;

/// Roughly how much work it is to go through a value, all the way down, and how long a text of it is: bytes, and a few for each element.
///
/// One that is made may hold the same part many times, and is gone through as often: what weighs more than `most` is left at that.
fn weight(value: &Value<'_>, most: usize) -> usize {
    let mut weight = ITSELF;
    let mut add = |value: &Value<'_>| {
        let left = most.saturating_sub(weight);
        weight += self::weight(value, left);
        weight <= most
    };
    match value {
        Value::Text(text) => return text.as_str().len() + ITSELF,
        Value::List(List::Numbers(numbers)) => return numbers.len().saturating_mul(ITSELF),
        Value::List(List::Range { len, .. }) => return len.saturating_mul(ITSELF),
        Value::List(list) => {
            let _ = list.iter().all(|item| add(&item));
        }
        Value::Map(map) => {
            let _ = map.iter().all(|(key, value)| add(&key) && add(&value));
            if let Map::Made(_) = map {
                // Its keys are looked up one after the other.
                weight = weight.saturating_add(map.len().saturating_mul(map.len()));
            }
        }
        _ => {}
    }
    weight
}
