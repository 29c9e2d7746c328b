//! CEL, the Common Expression Language, as a dialect of conditions.
//!
//! ```text
//! text ─guard, the crate's parser▶ tree ─check, rewrite▶ Program     once, at parsing
//! Program + Scope ─the crate's evaluator, meter, value▶ bool         each measurement
//! Program + Scope ─retrace, explain▶ error with a place, Reason      when something fails, when somebody asks
//! ```
//!
//! Parsing and evaluating is the crate's `cel`, which nothing outside of this module names: each of its releases
//! breaks something. It has no limits, no type checker and no places in its errors; those are ours:
//!
//! - The text, its brackets and links are bounded before it is parsed, the height of the tree before it is walked.
//! - A tree is rewritten so that what loops, grows or compiles pays a `meter::Meter` first.
//! - Every name, function and plain mismatch of types is checked at parsing.
//! - An evaluation that fails is retraced to find where and why.
//!
//! CEL's own rules that surprise: every JSON number is a double, and `1 + result.x` mixes an int with it, which is an
//! error; comparisons may mix. An error in a part of `&&`, `||`, `all` or `exists` is overlooked where another part
//! decides. A missing key is an error, except in `has`, `default`, `isNil` and after `.?`. Comparing NaN is an error.

mod check;
mod clause;
mod environment;
mod evaluate;
mod explain;
mod failure;
mod guard;
mod kind;
mod list;
mod map;
mod meter;
mod names;
mod retrace;
mod rewrite;
mod time;
mod tree;
mod value;
mod written;

use std::sync::Arc;

use cel_interpreter::common::ast::{Expr, IdedExpr, SourceInfo};
use cel_interpreter::{Context, ExecutionError};

use self::check::check;
use self::environment::{METER, environment};
use self::evaluate::verdict;
use self::map::Map;
use self::meter::{Meter, MeterVal, Patterns};
use self::retrace::{Failure, Retrace};
use self::tree::loop_of;
use self::value::{numbers, of_json};
use super::condition::{ConditionError, Reason, Rejected, Scope};

/// A parsed and checked condition.
#[derive(Debug)]
pub(super) struct Program {
    source: String,
    root: IdedExpr,
    info: SourceInfo,
    patterns: Arc<Patterns>,
    uses_values: bool,
    uses_series: bool,
}

/// Where nodes stand in the source.
#[derive(Clone, Copy, Debug)]
struct Places<'a>(&'a SourceInfo);

impl Places<'_> {
    /// Where `node` begins; for an operator or member, where its mark stands.
    fn of(self, node: &IdedExpr) -> usize {
        let Some((start, _)) = self.0.offset_for(node.id) else {
            return 0;
        };
        let start = (start as usize).min(self.0.source.len());
        let name = match &node.expr {
            Expr::Call(call) => call.func_name.as_str(),
            Expr::Comprehension(comprehension) => {
                loop_of(comprehension).map_or("", |found| found.kind.name())
            }
            _ => "",
        };
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return start;
        }
        // What is called stands at its parenthesis.
        match self.0.source.get(..start).map(str::trim_end) {
            Some(before) if before.ends_with(name) => before.len() - name.len(),
            _ => start,
        }
    }
}

impl Program {
    pub(super) fn parse(source: &str) -> Result<Self, Rejected> {
        guard::check_text(source).map_err(Rejected::Unread)?;
        let (root, info) = environment()
            .parser()
            .parse_with_source_info(source)
            .map_err(|errors| Rejected::Unread(failure::of_parsing(source, &errors)))?;
        guard::check_height(&root).map_err(Rejected::Unread)?;
        let facts = check(&root, Places(&info))?;
        Ok(Self {
            source: source.to_owned(),
            root: rewrite::metered(root),
            info,
            patterns: Arc::new(facts.patterns),
            uses_values: facts.uses_values,
            uses_series: facts.uses_series,
        })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn holds(&self, scope: &Scope<'_>) -> Result<bool, ConditionError> {
        self.evaluate(scope).map_err(|failure| failure.error)
    }

    pub(super) fn reason(&self, scope: &Scope<'_>) -> Reason {
        match self.evaluate(scope) {
            Ok(holds) => explain::reason(self, scope, holds),
            Err(Failure { error, seen }) => Reason {
                text: seen.unwrap_or(error.message),
                points: Vec::new(),
            },
        }
    }

    fn evaluate(&self, scope: &Scope<'_>) -> Result<bool, Failure> {
        let meter = self.meter();
        let outcome = self
            .context(scope, &meter)
            .and_then(|context| verdict(&self.root, &context));
        match meter.exceeded() {
            // Whatever came out: it may have overlooked the error that stopped a part of it.
            Some(limit) => Err(Failure {
                error: ConditionError::new(0, limit.to_string()),
                seen: None,
            }),
            None => outcome.map_err(|error| self.failure(scope, &error)),
        }
    }

    fn meter(&self) -> Arc<Meter> {
        Arc::new(Meter::full(self.patterns.clone()))
    }

    /// What a condition knows. `values` stays unknown where there isn't exactly one series.
    fn context<'a>(
        &self,
        scope: &Scope<'a>,
        meter: &Arc<Meter>,
    ) -> Result<Context<'a, 'a>, ExecutionError> {
        let mut context = Context::with_env(environment().clone());
        context.add_variable_as_val(METER, Box::new(MeterVal(meter.clone())));
        context.add_variable_as_val("result", of_json(scope.result, meter)?);
        if self.uses_values
            && let [series] = scope.series
        {
            context.add_variable_as_val("values", numbers(series.values(), meter));
        }
        if self.uses_series {
            let series = scope.series.iter();
            let named = series.map(|it| (it.name.as_str(), numbers(it.values(), meter)));
            context.add_variable_as_val("series", Box::new(Map::by_name(named, meter)));
        }
        Ok(context)
    }

    fn failure(&self, scope: &Scope<'_>, error: &ExecutionError) -> Failure {
        let meter = self.meter();
        match self.context(scope, &meter) {
            Ok(context) => Retrace::new(self, scope, &meter).failure(&context, error),
            Err(_) => Failure {
                error: ConditionError::new(0, failure::of_evaluation(error).0),
                seen: None,
            },
        }
    }
}
