//! The interpreter's tree, seen as it was written.

use cel_interpreter::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, operators};

use super::environment::{ADD, KEEP, LIST, MAP, RANGE};

/// Calls `see` with each child of `node`.
pub(super) fn visit<'e>(node: &'e IdedExpr, see: &mut dyn FnMut(&'e IdedExpr)) {
    match &node.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => {}
        Expr::Select(select) => see(&select.operand),
        Expr::Call(call) => {
            if let Some(target) = &call.target {
                see(target);
            }
            call.args.iter().for_each(see);
        }
        Expr::List(list) => list.elements.iter().for_each(see),
        Expr::Map(map) => map
            .entries
            .iter()
            .for_each(|entry| visit_entry(&entry.expr, see)),
        Expr::Struct(made) => made
            .entries
            .iter()
            .for_each(|entry| visit_entry(&entry.expr, see)),
        Expr::Comprehension(comprehension) => {
            see(&comprehension.iter_range);
            see(&comprehension.accu_init);
            see(&comprehension.loop_cond);
            see(&comprehension.loop_step);
            see(&comprehension.result);
        }
    }
}

fn visit_entry<'e>(entry: &'e EntryExpr, see: &mut dyn FnMut(&'e IdedExpr)) {
    match entry {
        EntryExpr::StructField(field) => see(&field.value),
        EntryExpr::MapEntry(entry) => {
            see(&entry.key);
            see(&entry.value);
        }
    }
}

/// How many nodes an expression has: what evaluating it once takes, in steps.
pub(super) fn weight(node: &IdedExpr) -> usize {
    let mut below = 0;
    visit(node, &mut |child| below += weight(child));
    below + 1
}

pub(super) fn is_named(node: &IdedExpr, name: &str) -> bool {
    matches!(&node.expr, Expr::Ident(ident) if ident == name)
}

/// What is written where the meter put something around it.
pub(super) fn written(node: &IdedExpr) -> &IdedExpr {
    match &node.expr {
        Expr::Call(call) if matches!(call.func_name.as_str(), RANGE | LIST | MAP | KEEP) => {
            call.args.get(1).map_or(node, written)
        }
        _ => node,
    }
}

/// A loop, by what it asks of each element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loop<'e> {
    pub(super) kind: LoopKind,
    pub(super) list: &'e IdedExpr,
    pub(super) variable: &'e str,
    /// The predicate of `all` and its like, and of `filter`; what `map` makes.
    pub(super) body: &'e IdedExpr,
    /// The third argument of `map`: what it makes where the predicate holds.
    pub(super) made: Option<&'e IdedExpr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl LoopKind {
    /// Whether it gives a yes or no.
    pub(super) fn asks(self) -> bool {
        match self {
            Self::All | Self::Exists | Self::ExistsOne => true,
            Self::Filter | Self::Map => false,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Exists => "exists",
            Self::ExistsOne => "exists_one",
            Self::Filter => "filter",
            Self::Map => "map",
        }
    }
}

/// The macro that `comprehension` was written as; `None` for one that binds a name.
pub(super) fn loop_of(comprehension: &ComprehensionExpr) -> Option<Loop<'_>> {
    let (kind, body, made) = step_of(comprehension)?;
    Some(Loop {
        kind,
        list: &comprehension.iter_range,
        variable: &comprehension.iter_var,
        body,
        made,
    })
}

type Step<'e> = (LoopKind, &'e IdedExpr, Option<&'e IdedExpr>);

fn step_of(comprehension: &ComprehensionExpr) -> Option<Step<'_>> {
    let Expr::Call(call) = &comprehension.loop_step.expr else {
        return None;
    };
    let accumulator = comprehension.accu_var.as_str();
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::LOGICAL_AND, [result, body]) if is_named(result, accumulator) => {
            Some((LoopKind::All, body, None))
        }
        (operators::LOGICAL_OR, [result, body]) if is_named(result, accumulator) => {
            Some((LoopKind::Exists, body, None))
        }
        (operators::ADD, [result, added]) if is_named(result, accumulator) => {
            Some((LoopKind::Map, only_element(added)?, None))
        }
        (operators::CONDITIONAL, [body, then, _]) => {
            let Expr::Call(call) = &then.expr else {
                return None;
            };
            let [result, added] = call.args.as_slice() else {
                return None;
            };
            if !is_named(result, accumulator) {
                return None;
            }
            Some(match only_element(added) {
                None => (LoopKind::ExistsOne, body, None),
                Some(made) if is_named(written(made), &comprehension.iter_var) => {
                    (LoopKind::Filter, body, None)
                }
                Some(made) => (LoopKind::Map, body, Some(made)),
            })
        }
        _ => None,
    }
}

fn only_element(node: &IdedExpr) -> Option<&IdedExpr> {
    match &node.expr {
        Expr::List(list) => list.elements.first(),
        _ => None,
    }
}

/// The operands of `operator`, as written.
pub(super) fn binary(node: &IdedExpr) -> Option<(&str, &IdedExpr, &IdedExpr)> {
    let Expr::Call(call) = &node.expr else {
        return None;
    };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (ADD, [_, left, right]) => Some((operators::ADD, left, right)),
        (operator, [left, right]) if call.target.is_none() => Some((operator, left, right)),
        _ => None,
    }
}
