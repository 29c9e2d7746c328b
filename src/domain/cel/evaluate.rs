//! The interpreter, called.
//!
//! It has one function that evaluates, `resolve_val`, which is compiled into whoever calls it: in a debug build of ours
//! with frames many times those of the crate's own copy, enough to overflow a worker's stack. So the crate's copy is
//! called, through `Value::resolve`; that it gives no list or map back is no loss.

use cel_interpreter::common::ast::{CallExpr, Expr, IdedExpr};
use cel_interpreter::{Context, ExecutionError, Value};

use super::time;
use crate::domain::expr::{number_text, shortened};

/// What an expression evaluates to.
#[derive(Debug)]
pub(super) enum Seen {
    Plain(Value),
    /// A value of the type that is named: a list, a map, a time.
    Other(String),
}

/// Evaluates `node`.
pub(super) fn evaluate(node: &IdedExpr, context: &Context<'_, '_>) -> Result<Seen, ExecutionError> {
    match Value::resolve(node, context) {
        Ok(value) => Ok(Seen::Plain(value)),
        Err(ExecutionError::UnexpectedType { got, want }) if want.contains("`Value`") => {
            Ok(Seen::Other(got))
        }
        Err(error) => Err(error),
    }
}

/// Evaluates what has to be a yes or no.
pub(super) fn verdict(node: &IdedExpr, context: &Context<'_, '_>) -> Result<bool, ExecutionError> {
    match evaluate(node, context)? {
        Seen::Plain(Value::Bool(verdict)) => Ok(verdict),
        other => Err(ExecutionError::UnexpectedType {
            got: other.type_name().to_owned(),
            want: "bool".to_owned(),
        }),
    }
}

/// The same for those whom its errors don't concern.
pub(super) fn truth(node: &IdedExpr, context: &Context<'_, '_>) -> Option<bool> {
    verdict(node, context).ok()
}

/// The number that `node` is.
pub(super) fn number(node: &IdedExpr, context: &Context<'_, '_>) -> Option<f64> {
    match evaluate(node, context).ok()? {
        Seen::Plain(value) => number_in(&value),
        Seen::Other(_) => None,
    }
}

/// The value of `node` for people; a long number is rounded, unless that would make it `bound`.
pub(super) fn shown(
    node: &IdedExpr,
    context: &Context<'_, '_>,
    bound: Option<f64>,
) -> Option<String> {
    let type_name = match evaluate(node, context).ok()? {
        Seen::Plain(value) => match value {
            Value::String(text) => return Some(format!("{:?}", shortened(&text))),
            Value::Bool(value) => return Some(value.to_string()),
            Value::Null => return Some("null".to_owned()),
            other => match number_in(&other) {
                Some(number) => return Some(number_text(number, bound)),
                None => plain_type(&other).to_owned(),
            },
        },
        Seen::Other(type_name) => type_name,
    };
    let of_node = |function: &str| {
        let call = IdedExpr {
            id: node.id,
            expr: Expr::Call(CallExpr {
                func_name: function.to_owned(),
                target: None,
                args: vec![node.clone()],
            }),
        };
        Value::resolve(&call, context).ok()
    };
    if let Some(Value::String(text)) = of_node(time::WRITTEN) {
        return Some(text.as_ref().clone());
    }
    Some(match of_node("size") {
        Some(Value::Int(size)) => format!("a {type_name} of {size}"),
        _ => format!("a {type_name}"),
    })
}

impl Seen {
    pub(super) fn type_name(&self) -> &str {
        match self {
            Self::Plain(value) => plain_type(value),
            Self::Other(name) => name,
        }
    }
}

/// The type of a value, as CEL calls it.
pub(super) fn plain_type(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Int(_) => "int",
        Value::UInt(_) => "uint",
        Value::Float(_) => "double",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Bool(_) => "bool",
        Value::Null => "null_type",
        Value::Opaque(_) => "optional_type",
        Value::Function(..) | Value::Struct(_) => "type",
    }
}

fn number_in(value: &Value) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "numbers are shown rounded")]
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::UInt(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}
