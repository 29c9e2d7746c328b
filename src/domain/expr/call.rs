//! Calls of the functions of values, and Argo's helpers.

use super::ast::{Expr, Span};
use super::eval::{Evaluated, Evaluator, Stop};
use super::function::Function;
use super::gotext::{parse_float, to_int, write_value};
use super::missing;
use super::numbers;
use super::value::Value;

impl<'a> Evaluator<'a> {
    pub(super) fn call(
        &mut self,
        span: Span,
        function: Function,
        arguments: &'a [Expr],
    ) -> Evaluated<Value<'a>> {
        // Most have one argument, and are called for each point: no list of arguments for those.
        if let [argument] = arguments {
            let value = self.eval(argument)?;
            let given = self.apply(span, function, std::slice::from_ref(&value));
            return given.map_err(|stop| self.with_missing(stop, function, arguments, &[value]));
        }
        let values = self.all_of(arguments)?;
        let given = self.apply(span, function, &values);
        given.map_err(|stop| self.with_missing(stop, function, arguments, &values))
    }

    /// The complaint of a function, with what is there instead where an argument is nil.
    #[cold]
    fn with_missing(
        &mut self,
        stop: Stop,
        function: Function,
        arguments: &'a [Expr],
        values: &[Value<'a>],
    ) -> Stop {
        let signature = function.signature();
        let mut known = values.iter().zip(arguments).enumerate();
        let hint = known.find_map(|(index, (value, argument))| match value {
            value if value.is_nil() => missing::hint(self, argument),
            Value::Text(text) if signature.takes_number(index) => {
                self.as_float_hint(argument, text)
            }
            _ => None,
        });
        stop.hint(hint)
    }

    /// What `function` makes of `values`, of which the parser has seen to it that there are enough.
    fn apply(
        &mut self,
        span: Span,
        function: Function,
        values: &[Value<'a>],
    ) -> Evaluated<Value<'a>> {
        match function {
            Function::AsFloat => self.as_float(span, &values[0]),
            Function::AsInt => self.as_int(span, &values[0]),
            // Argo's isNil and default look at the whole result, whatever they are given.
            Function::IsNil => Ok(Value::Bool(self.scope.result.is_null())),
            Function::Default if self.scope.result.is_null() => Ok(values[1].clone()),
            Function::Default => Ok(Value::from_json(self.scope.result)),
            Function::IsNaN
            | Function::IsInf
            | Function::Abs
            | Function::Ceil
            | Function::Floor
            | Function::Round
            | Function::Int
            | Function::Float => numbers::of_one(span, function, &values[0]),
            Function::Max | Function::Min => self.extreme(span, function, values),
            Function::Mean => self.mean(span, values),
            Function::Median => self.median(span, values),
            Function::BitAnd
            | Function::BitOr
            | Function::BitXor
            | Function::BitNand
            | Function::BitNot
            | Function::BitShl
            | Function::BitShr
            | Function::BitUshr => numbers::bits(span, function, values),
            Function::Len
            | Function::First
            | Function::Last
            | Function::Get
            | Function::Take
            | Function::Keys
            | Function::Values
            | Function::ToPairs
            | Function::FromPairs
            | Function::Reverse
            | Function::Uniq
            | Function::Concat
            | Function::Flatten
            | Function::Sort => self.list_function(span, function, values),
            Function::String
            | Function::Type
            | Function::Trim
            | Function::TrimPrefix
            | Function::TrimSuffix
            | Function::Upper
            | Function::Lower
            | Function::Split
            | Function::SplitAfter
            | Function::Replace
            | Function::Repeat
            | Function::Join
            | Function::IndexOf
            | Function::LastIndexOf
            | Function::HasPrefix
            | Function::HasSuffix
            | Function::ToJson
            | Function::FromJson
            | Function::ToBase64
            | Function::FromBase64 => self.text_function(span, function, values),
            Function::Now | Function::Duration | Function::Date | Function::TimeZone => {
                self.time_function(span, function, values)
            }
        }
    }

    fn as_float(&mut self, span: Span, value: &Value<'a>) -> Evaluated<Value<'a>> {
        match value {
            Value::Text(text) => parse_float(text.as_str())
                .map(Value::Float)
                .ok_or_else(|| unreadable(span, "Float", text.as_str())),
            other => match other.number() {
                Some(value) => Ok(Value::Float(value)),
                None => Err(self.not_supported(span, "asFloat", other)),
            },
        }
    }

    fn as_int(&mut self, span: Span, value: &Value<'a>) -> Evaluated<Value<'a>> {
        match value {
            Value::Int(value) => Ok(Value::Int(*value)),
            Value::Float(value) => Ok(Value::Int(to_int(*value))),
            Value::Text(text) => {
                let text = text.as_str();
                text.parse()
                    .map(Value::Int)
                    .map_err(|_| unreadable(span, "Int", text))
            }
            other => Err(self.not_supported(span, "asInt", other)),
        }
    }

    #[cold]
    fn not_supported(&mut self, span: Span, name: &str, value: &Value<'a>) -> Stop {
        const SHOWN: usize = 60;
        let mut text = String::new();
        // A whole result can be long.
        if self.grow_by(span, value).is_ok() {
            write_value(&mut text, value);
        }
        if let Some((end, _)) = text.char_indices().nth(SHOWN) {
            text.truncate(end);
            text.push('…');
        }
        let message = format!("{name}() not supported on {} {text}", value.type_name());
        Stop::at(span, message)
    }
}

#[cold]
fn unreadable(span: Span, kind: &str, text: &str) -> Stop {
    let message = format!("strconv.Parse{kind}: parsing {text:?}: invalid syntax");
    Stop::at(span, message)
}

#[cold]
pub(super) fn invalid(span: Span, function: Function, value: &Value<'_>) -> Stop {
    let message = format!(
        "invalid argument for {} (type {})",
        function.signature().name,
        value.type_name()
    );
    Stop::at(span, message)
}
