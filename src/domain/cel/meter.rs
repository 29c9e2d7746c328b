//! What an evaluation may take, so that nothing runs away. The crate `cel` itself has no limits.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cel_interpreter::ExecutionError;
use cel_interpreter::common::types::Type;
use cel_interpreter::common::value::{StaticVal, Val};

use crate::domain::expr::Pattern;

/// So many steps may an evaluation take: visits of a node within a loop, and what functions do at length.
const MAX_STEPS: usize = 1_000_000;

/// So many elements and bytes may an evaluation make.
const MAX_SIZE: usize = 1_000_000;

/// Bytes or elements that are looked through for one step.
const WORK_A_STEP: usize = 16;

/// Matching takes a time in proportion to the text, and to the pattern.
const STEPS_A_MATCHED_BYTE: usize = 4;

/// What compiling a pattern costs at most.
const STEPS_A_PATTERN: usize = 20_000;

/// The patterns that are written out in a condition, compiled.
pub(super) type Patterns = BTreeMap<String, Pattern>;

/// What is left of an evaluation's budget.
///
/// Its values and functions share it, and may only be shared as a whole between threads: hence atomics, although an
/// evaluation has one thread. Once exceeded it stays so: `||` and `all` of CEL overlook errors, the caller must not.
#[derive(Debug)]
pub(super) struct Meter {
    steps: AtomicUsize,
    size: AtomicUsize,
    /// The longest text seen: a loop may look at it as often as it goes round.
    longest: AtomicUsize,
    exceeded: OnceLock<Limit>,
    written: Arc<Patterns>,
    /// The last pattern that an evaluation made.
    made: Mutex<Option<(String, Pattern)>>,
}

/// Which limit an evaluation met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Steps,
    Size,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Steps => "step budget exceeded: more than 1,000,000 steps",
            Self::Size => "memory budget exceeded: more than 1,000,000 elements or bytes",
        })
    }
}

impl From<Limit> for ExecutionError {
    fn from(limit: Limit) -> Self {
        Self::function_error("", limit)
    }
}

impl Meter {
    pub(super) fn full(written: Arc<Patterns>) -> Self {
        Self {
            steps: AtomicUsize::new(MAX_STEPS),
            size: AtomicUsize::new(MAX_SIZE),
            longest: AtomicUsize::new(0),
            exceeded: OnceLock::new(),
            written,
            made: Mutex::new(None),
        }
    }

    pub(super) fn exceeded(&self) -> Option<Limit> {
        self.exceeded.get().copied()
    }

    /// Pays for so many steps.
    pub(super) fn steps(&self, steps: usize) -> Result<(), Limit> {
        self.take(&self.steps, steps, Limit::Steps)
    }

    /// Pays for looking through so many bytes or elements.
    pub(super) fn work(&self, amount: usize) -> Result<(), Limit> {
        self.steps(amount / WORK_A_STEP)
    }

    /// Pays for going round a loop so many times, `weight` steps each.
    pub(super) fn rounds(&self, rounds: usize, weight: usize) -> Result<(), Limit> {
        const SHORT: usize = 256;
        let longest = self.longest.load(Ordering::Relaxed);
        let a_round = weight.saturating_mul(1 + longest / SHORT);
        self.steps(rounds.saturating_mul(a_round))
    }

    /// Pays for making so many bytes or elements.
    pub(super) fn grow(&self, amount: usize) -> Result<(), Limit> {
        self.take(&self.size, amount, Limit::Size)
    }

    /// Takes note of a text that the evaluation may go on to use.
    pub(super) fn see_text(&self, length: usize) -> Result<(), Limit> {
        self.longest.fetch_max(length, Ordering::Relaxed);
        self.work(length)
    }

    /// Whether `text` matches `pattern`, a regular expression.
    pub(super) fn matches(&self, text: &str, pattern: &str) -> Result<bool, ExecutionError> {
        self.steps(text.len().saturating_mul(STEPS_A_MATCHED_BYTE))?;
        if let Some(pattern) = self.written.get(pattern) {
            return Ok(pattern.is_match(text));
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((source, compiled)) = made.as_ref()
            && source == pattern
        {
            return Ok(compiled.is_match(text));
        }
        self.steps(STEPS_A_PATTERN.saturating_add(pattern.len()))?;
        let compiled = Pattern::compile(pattern)
            .map_err(|message| ExecutionError::function_error("matches", message))?;
        let is_match = compiled.is_match(text);
        *made = Some((pattern.to_owned(), compiled));
        Ok(is_match)
    }

    fn take(&self, budget: &AtomicUsize, amount: usize, limit: Limit) -> Result<(), Limit> {
        match budget.load(Ordering::Relaxed).checked_sub(amount) {
            Some(left) if self.exceeded.get().is_none() => {
                budget.store(left, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(*self.exceeded.get_or_init(|| limit)),
        }
    }
}

/// The meter as a value, so that functions of an environment that all evaluations share can be given it.
#[derive(Clone, Debug)]
pub(super) struct MeterVal(pub(super) Arc<Meter>);

static METER_TYPE: Type = Type::new_unspecified_type("@meter");

impl Val for MeterVal {
    fn get_type(&self) -> &Type {
        &METER_TYPE
    }

    fn cel_type() -> &'static Type {
        &METER_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for MeterVal {}
