//! Where and why an evaluation failed. The interpreter doesn't say: the failing part is found by evaluating the parts.

use std::sync::Arc;

use cel_interpreter::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use cel_interpreter::common::value::Val;
use cel_interpreter::{Context, ExecutionError, Value};
use serde_json::Value as Json;

use super::evaluate::{evaluate, truth, verdict};
use super::meter::Meter;
use super::tree::{Loop, LoopKind, binary, is_named, loop_of, weight, written};
use super::value::{of_json, size_of};
use super::written::text_of;
use super::{Places, Program, failure};
use crate::domain::condition::{ConditionError, Scope};
use crate::domain::expr::{has_names, parse_float, shortened};

/// A list of more elements is not gone through.
const LOOKED_THROUGH: usize = 10_000;

/// Why an evaluation failed.
pub(super) struct Failure {
    pub(super) error: ConditionError,
    /// What was seen in the result that explains it.
    pub(super) seen: Option<String>,
}

/// A condition and what it is evaluated over, to look at its parts one by one.
pub(super) struct Retrace<'a> {
    program: &'a Program,
    pub(super) scope: Scope<'a>,
    /// What the loops around bind, by name, where it stands in the result.
    bound: Vec<(&'a str, Option<&'a Json>)>,
    meter: Arc<Meter>,
}

impl<'a> Retrace<'a> {
    pub(super) fn new(program: &'a Program, scope: &Scope<'a>, meter: &Arc<Meter>) -> Self {
        Self {
            program,
            scope: *scope,
            bound: Vec::new(),
            meter: meter.clone(),
        }
    }

    /// The failure of the innermost part that fails; `error` where none does on its own.
    pub(super) fn failure(&mut self, context: &Context<'_, 'a>, error: &ExecutionError) -> Failure {
        let program = self.program;
        self.blame(&program.root, context)
            .unwrap_or_else(|| self.describe(&program.root, error, context))
    }

    /// What is wrong with `node` or a part of it; `None` where it can be evaluated.
    fn blame(&mut self, node: &'a IdedExpr, context: &Context<'_, 'a>) -> Option<Failure> {
        let node = written(node);
        let error = evaluate(node, context).err()?;
        let part = match &node.expr {
            Expr::Select(select) => self.blame(&select.operand, context),
            Expr::Call(call) => self.blame_call(call, context),
            Expr::List(list) => self.blame_first(&list.elements, context),
            Expr::Comprehension(comprehension) => self
                .blame(&comprehension.iter_range, context)
                .or_else(|| self.blame_element(loop_of(comprehension)?, context)),
            Expr::Unspecified
            | Expr::Literal(_)
            | Expr::Ident(_)
            | Expr::Map(_)
            | Expr::Struct(_) => None,
        };
        Some(part.unwrap_or_else(|| self.describe(node, &error, context)))
    }

    fn blame_first(&mut self, nodes: &'a [IdedExpr], context: &Context<'_, 'a>) -> Option<Failure> {
        nodes.iter().find_map(|node| self.blame(node, context))
    }

    fn blame_call(&mut self, call: &'a CallExpr, context: &Context<'_, 'a>) -> Option<Failure> {
        if let (operators::CONDITIONAL, [condition, then, otherwise]) =
            (call.func_name.as_str(), call.args.as_slice())
        {
            return self.blame(condition, context).or_else(|| {
                let chosen = truth(condition, context)?;
                self.blame(if chosen { then } else { otherwise }, context)
            });
        }
        let is_namespace =
            |target: &IdedExpr| is_named(target, "optional") && !self.is_bound("optional");
        let target = call.target.as_deref().filter(|it| !is_namespace(it));
        target
            .and_then(|target| self.blame(target, context))
            .or_else(|| self.blame_first(&call.args, context))
    }

    fn blame_element(&mut self, of: Loop<'a>, context: &Context<'_, 'a>) -> Option<Failure> {
        let elements = self.elements(of, context)?;
        let items = self.items(of.list);
        let mut inner = context.new_inner_scope();
        for (index, element) in elements.into_iter().enumerate() {
            inner.add_variable_as_val(of.variable, element);
            let json = items.and_then(|items| items.get(index));
            self.bind(of.variable, json);
            let found = self
                .blame(of.body, &inner)
                .or_else(|| self.blame_verdict(of, &inner))
                .or_else(|| self.blame_made(of, &inner));
            self.unbind();
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// What `map` makes of an element that its predicate lets through.
    fn blame_made(&mut self, of: Loop<'a>, context: &Context<'_, 'a>) -> Option<Failure> {
        let made = of.made?;
        if truth(of.body, context)? {
            self.blame(made, context)
        } else {
            None
        }
    }

    /// A predicate that gives something else than a yes or no.
    fn blame_verdict(&self, of: Loop<'a>, context: &Context<'_, 'a>) -> Option<Failure> {
        if of.kind == LoopKind::Map && of.made.is_none() {
            return None;
        }
        let body = written(of.body);
        evaluate(body, context).ok()?;
        let error = verdict(body, context).err()?;
        Some(self.describe(body, &error, context))
    }

    /// An error that `node` itself met.
    fn describe(
        &self,
        node: &'a IdedExpr,
        error: &ExecutionError,
        context: &Context<'_, 'a>,
    ) -> Failure {
        let at = Places(&self.program.info).of(node);
        let series = match error {
            ExecutionError::UndeclaredReference(name) if name.as_str() == "values" => {
                self.scope.place_of_series(None).err()
            }
            ExecutionError::NoSuchKey(name) if self.is_series(node) => {
                self.scope.place_of_series(Some(name)).err()
            }
            _ => None,
        };
        if let Some(error) = series {
            return Failure {
                error: ConditionError { at, ..error },
                seen: None,
            };
        }
        let (message, hint) = match error {
            ExecutionError::UnsupportedBinaryOperator(..) => mismatch(node, context),
            _ => None,
        }
        .unwrap_or_else(|| failure::of_evaluation(error));
        let seen = match error {
            ExecutionError::NoSuchKey(name) => self.what_is_there(node, name),
            _ => self.text_for_number(node),
        };
        let error = ConditionError::new(at, message);
        let error = match seen.as_deref().or(hint) {
            Some(hint) => error.hint(hint),
            None => error,
        };
        Failure { error, seen }
    }

    /// ``result.service_apdx is missing; result has `service_apdex` ``
    fn what_is_there(&self, node: &IdedExpr, name: &str) -> Option<String> {
        let object = match &node.expr {
            Expr::Select(select) => &select.operand,
            _ => binary(node)?.1,
        };
        let Json::Object(members) = self.json_at(object)? else {
            return None;
        };
        let names = has_names(members.keys().map(String::as_str), name);
        let (way, owner) = (text_of(node), text_of(object));
        Some(format!("{way} is missing; {owner} {names}"))
    }

    /// ``result.a is the text "10000": `double(result.a)` is the number 10000``
    fn text_for_number(&self, node: &IdedExpr) -> Option<String> {
        let (operator, left, right) = binary(node)?;
        if matches!(operator, operators::INDEX | operators::IN) {
            return None;
        }
        [left, right].into_iter().find_map(|side| {
            let text = self.json_at(side)?.as_str()?;
            let number = parse_float(text)?;
            let (way, text) = (text_of(side), shortened(text));
            Some(format!(
                "{way} is the text {text:?}: `double({way})` is the number {number}"
            ))
        })
    }

    /// The elements that a loop goes through, unless there are too many to look at each.
    pub(super) fn elements(
        &self,
        of: Loop<'a>,
        context: &Context<'_, 'a>,
    ) -> Option<Vec<Box<dyn Val + 'a>>> {
        if let Some(items) = self.items(of.list) {
            self.may_look_through(items.len(), of)?;
            let items = items.iter().map(|item| of_json(item, &self.meter).ok());
            return items.collect();
        }
        let list = Value::resolve_val(of.list, context).ok()?;
        let number = size_of(list.as_ref())?;
        self.may_look_through(number, of)?;
        let mut elements = list.as_iterable()?.iter();
        let mut copies = Vec::with_capacity(number);
        while let Some(element) = elements.next() {
            copies.push(element.clone_as_boxed());
        }
        Some(copies)
    }

    fn may_look_through(&self, number: usize, of: Loop<'_>) -> Option<()> {
        if number > LOOKED_THROUGH {
            return None;
        }
        self.meter.rounds(number, weight(of.body)).ok()
    }

    /// The list in the result that an expression is the way to.
    pub(super) fn items(&self, list: &IdedExpr) -> Option<&'a [Json]> {
        match self.json_at(list)? {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// What stands in the result where an expression is a way into it.
    pub(super) fn json_at(&self, node: &IdedExpr) -> Option<&'a Json> {
        let node = written(node);
        match &node.expr {
            Expr::Ident(name) => match self.bound.iter().rev().find(|(bound, _)| bound == name) {
                Some((_, json)) => *json,
                None if name == "result" => Some(self.scope.result),
                None => None,
            },
            Expr::Select(select) if !select.test => {
                self.json_at(&select.operand)?.get(&select.field)
            }
            Expr::Call(_) => {
                let (operators::INDEX, object, key) = binary(node)? else {
                    return None;
                };
                let Expr::Literal(key) = &key.expr else {
                    return None;
                };
                let object = self.json_at(object)?;
                match key {
                    LiteralValue::String(name) => object.get(name.inner()),
                    LiteralValue::Int(index) => object.get(usize::try_from(*index.inner()).ok()?),
                    LiteralValue::UInt(index) => object.get(usize::try_from(*index.inner()).ok()?),
                    LiteralValue::Boolean(_)
                    | LiteralValue::Bytes(_)
                    | LiteralValue::Double(_)
                    | LiteralValue::Null => None,
                }
            }
            _ => None,
        }
    }

    /// Whether `node` is a member of `series`.
    fn is_series(&self, node: &IdedExpr) -> bool {
        let object = match &node.expr {
            Expr::Select(select) => Some(&*select.operand),
            _ => binary(node).map(|(_, object, _)| object),
        };
        object.is_some_and(|object| is_named(object, "series")) && !self.is_bound("series")
    }

    pub(super) fn is_bound(&self, name: &str) -> bool {
        self.bound.iter().any(|(bound, _)| *bound == name)
    }

    /// From here on `name` is what stands at `json`, until it is unbound.
    pub(super) fn bind(&mut self, name: &'a str, json: Option<&'a Json>) {
        self.bound.push((name, json));
    }

    /// Forgets the name that was bound last.
    pub(super) fn unbind(&mut self) {
        self.bound.pop();
    }
}

/// What is wrong with the types of an operator's operands. The interpreter's error only knows those of its own values.
fn mismatch(node: &IdedExpr, context: &Context<'_, '_>) -> Option<(String, Option<&'static str>)> {
    let (operator, left, right) = binary(node)?;
    let left = evaluate(left, context).ok()?;
    let right = evaluate(right, context).ok()?;
    let types = [left.type_name(), right.type_name()];
    Some(failure::of_types(operator, &types))
}
