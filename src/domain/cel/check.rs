//! What a condition names must exist, and what is plainly of the wrong type is refused, before it is ever evaluated.
//!
//! CEL has a type checker, the interpreter has none: an unknown name or `values > 9` would come out at the first
//! measurement. What depends on the result is not known here, and passes.

use cel_interpreter::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use super::Places;
use super::failure::{no_member, no_overload, overload_hint};
use super::kind::Kind;
use super::meter::Patterns;
use super::names::{FUNCTIONS, METHODS, OF_OPTIONAL, check_called, is_type, unknown};
use super::tree::{LoopKind, loop_of, visit};
use crate::domain::condition::{ConditionError, Rejected};
use crate::domain::expr::Pattern;

type Checked = Result<Option<Kind>, ConditionError>;

/// What checking finds out about a condition.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) patterns: Patterns,
    pub(super) uses_values: bool,
    pub(super) uses_series: bool,
}

/// Checks a whole condition.
pub(super) fn check(root: &IdedExpr, places: Places<'_>) -> Result<Facts, Rejected> {
    let mut checker = Checker {
        places,
        bound: Vec::new(),
        facts: Facts::default(),
        mistyped: None,
    };
    let found = checker.check(root).map_err(Rejected::Unread)?;
    checker.expect_bool(root, found);
    match checker.mistyped {
        Some(error) => Err(Rejected::Mistyped(error)),
        None => Ok(checker.facts),
    }
}

struct Checker<'e, 'p> {
    places: Places<'p>,
    /// The names that the loops around bind.
    bound: Vec<&'e str>,
    facts: Facts,
    /// The first mismatch. An unknown name, wherever it stands, comes before it: the text may be of another language.
    mistyped: Option<ConditionError>,
}

impl<'e> Checker<'e, '_> {
    fn check(&mut self, node: &'e IdedExpr) -> Checked {
        match &node.expr {
            Expr::Unspecified => Err(self.error(node, "not an expression")),
            Expr::Literal(literal) => Ok(Some(Kind::of_literal(literal))),
            Expr::Ident(name) => self.check_name(node, name),
            Expr::Select(select) => {
                let of = self.check(&select.operand)?;
                if let Some(of) = of.filter(|of| *of != Kind::Map) {
                    let message = no_member(of.name());
                    self.mistyped(node, message, None);
                }
                let is_series = self.is_series(&select.operand) && !select.test;
                Ok(if is_series {
                    Some(Kind::List)
                } else {
                    select.test.then_some(Kind::Bool)
                })
            }
            Expr::Call(call) => self.check_call(node, call),
            Expr::List(_) => self.check_below(node).map(|()| Some(Kind::List)),
            Expr::Map(_) => self.check_below(node).map(|()| Some(Kind::Map)),
            Expr::Struct(made) => {
                Err(self.error(node, format!("no type `{}` can be made", made.type_name)))
            }
            Expr::Comprehension(comprehension) => {
                self.check(&comprehension.iter_range)?;
                self.check(&comprehension.accu_init)?;
                let outer = self.bound.len();
                self.bound.push(&comprehension.accu_var);
                self.bound.push(&comprehension.iter_var);
                self.check(&comprehension.loop_cond)?;
                self.check(&comprehension.loop_step)?;
                self.bound.pop();
                let result = self.check(&comprehension.result)?;
                self.bound.truncate(outer);
                Ok(match loop_of(comprehension).map(|found| found.kind) {
                    Some(LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne) => {
                        Some(Kind::Bool)
                    }
                    Some(LoopKind::Filter | LoopKind::Map) => Some(Kind::List),
                    None => result,
                })
            }
        }
    }

    fn check_below(&mut self, node: &'e IdedExpr) -> Result<(), ConditionError> {
        let mut children = Vec::new();
        visit(node, &mut |child| children.push(child));
        children
            .into_iter()
            .try_for_each(|child| self.check(child).map(drop))
    }

    fn check_name(&mut self, node: &IdedExpr, name: &str) -> Checked {
        if self.bound.contains(&name) {
            return Ok(None);
        }
        match name {
            "result" => Ok(None),
            "values" => {
                self.facts.uses_values = true;
                Ok(Some(Kind::List))
            }
            "series" => {
                self.facts.uses_series = true;
                Ok(Some(Kind::Map))
            }
            _ if is_type(name) => Ok(Some(Kind::Type)),
            _ => Err(unknown(self.places.of(node), name, &self.bound)),
        }
    }

    fn check_call(&mut self, node: &'e IdedExpr, call: &'e CallExpr) -> Checked {
        let name = call.func_name.as_str();
        let is_operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
        let of_optional = matches!(
            call.target.as_deref(),
            Some(IdedExpr { expr: Expr::Ident(namespace), .. }) if namespace == "optional"
        );
        let at = self.places.of(node);
        match &call.target {
            _ if is_operator => {}
            Some(_) if of_optional => check_called(at, name, &OF_OPTIONAL)?,
            Some(_) => check_called(at, name, &METHODS)?,
            None => check_called(at, name, &FUNCTIONS)?,
        }
        let mut types = Vec::with_capacity(call.args.len());
        if let Some(target) = call.target.as_deref().filter(|_| !of_optional) {
            self.check(target)?;
        }
        for argument in &call.args {
            types.push(self.check(argument)?);
        }
        if name == "matches" {
            self.compile_pattern(call.args.last());
        }
        Ok(self.type_of(node, call, &types))
    }

    /// A pattern that is written out is compiled once, and refused here where it is wrong.
    fn compile_pattern(&mut self, pattern: Option<&'e IdedExpr>) {
        if let Some(node) = pattern
            && let Expr::Literal(LiteralValue::String(source)) = &node.expr
        {
            match Pattern::compile(source.inner()) {
                Ok(pattern) => {
                    let source = source.inner().to_owned();
                    self.facts.patterns.insert(source, pattern);
                }
                Err(message) => self.mistyped(node, message, None),
            }
        }
    }

    fn type_of(
        &mut self,
        node: &IdedExpr,
        call: &'e CallExpr,
        types: &[Option<Kind>],
    ) -> Option<Kind> {
        let name = call.func_name.as_str();
        match (name, types) {
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                [left, right],
            ) => {
                if let (Some(left), Some(right)) = (left, right)
                    && !left.has_order_with(*right)
                {
                    self.no_overload(node, call, &[*left, *right]);
                }
                Some(Kind::Bool)
            }
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                [left, right],
            ) => {
                if let (Some(left), Some(right)) = (left, right)
                    && (left != right || !left.has(name))
                {
                    self.no_overload(node, call, &[*left, *right]);
                    return None;
                }
                left.or(*right)
            }
            (operators::NEGATE, [of]) => {
                if let Some(of) = of.filter(|of| !matches!(of, Kind::Int | Kind::Double)) {
                    self.no_overload(node, call, &[of]);
                }
                *of
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, parts) => {
                for (part, found) in call.args.iter().zip(parts) {
                    self.expect_bool(part, *found);
                }
                Some(Kind::Bool)
            }
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                self.expect_bool(&call.args[0], *condition);
                then.filter(|then| Some(*then) == *otherwise)
            }
            (operators::INDEX, [_, _]) if self.is_series(&call.args[0]) => Some(Kind::List),
            (
                operators::EQUALS
                | operators::NOT_EQUALS
                | operators::IN
                | operators::NOT_STRICTLY_FALSE
                | "contains"
                | "startsWith"
                | "endsWith"
                | "matches"
                | "hasValue"
                | "bool"
                | "isNaN"
                | "isInf"
                | "isNil",
                _,
            ) => Some(Kind::Bool),
            ("size" | "int" | "asInt", _) => Some(Kind::Int),
            ("double" | "asFloat", _) => Some(Kind::Double),
            ("uint", _) => Some(Kind::Uint),
            ("string", _) => Some(Kind::Text),
            ("bytes", _) => Some(Kind::Bytes),
            ("type", _) => Some(Kind::Type),
            _ => None,
        }
    }

    fn expect_bool(&mut self, node: &IdedExpr, found: Option<Kind>) {
        if let Some(found) = found.filter(|found| *found != Kind::Bool) {
            let message = format!("expected bool, but got {}", found.name());
            self.mistyped(node, message, values_hint(&[node]));
        }
    }

    fn no_overload(&mut self, node: &IdedExpr, call: &CallExpr, types: &[Kind]) {
        let names: Vec<&str> = types.iter().map(|found| found.name()).collect();
        let message = no_overload(&call.func_name, &names);
        let arguments: Vec<&IdedExpr> = call.args.iter().collect();
        let hint = values_hint(&arguments).or_else(|| overload_hint(&names));
        self.mistyped(node, message, hint);
    }

    /// Notes a mismatch; the first is told.
    fn mistyped(&mut self, node: &IdedExpr, message: String, hint: Option<&str>) {
        if self.mistyped.is_none() {
            let error = self.error(node, message);
            self.mistyped = Some(match hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
    }

    fn is_series(&self, node: &IdedExpr) -> bool {
        matches!(&node.expr, Expr::Ident(name) if name == "series")
            && !self.bound.contains(&"series")
    }

    fn error(&self, node: &IdedExpr, message: impl Into<String>) -> ConditionError {
        ConditionError::new(self.places.of(node), message)
    }
}

fn values_hint(nodes: &[&IdedExpr]) -> Option<&'static str> {
    let is_values = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if name == "values");
    nodes
        .iter()
        .any(|node| is_values(node))
        .then_some("`values` is a list: `values.all(v, v >= 1.0)`, `values.exists(v, …)`")
}
