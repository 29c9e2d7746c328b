//! The functions of numbers.

use super::ast::{Comparison, Span};
use super::call::invalid;
use super::eval::{Evaluated, Evaluator, Stop};
use super::function::Function;
use super::gotext::{parse_float, to_int};
use super::value::{Value, compare};

/// A function of one number, or of what `int` and `float` read as one.
pub(super) fn of_one<'a>(
    span: Span,
    function: Function,
    value: &Value<'a>,
) -> Evaluated<Value<'a>> {
    let made = match (function, value) {
        (Function::Int, value) => return read_int(span, value),
        (Function::Float, value) => return read_float(span, value),
        // Go takes no integer for a float when it runs.
        (Function::IsNaN, Value::Float(value)) => Value::Bool(value.is_nan()),
        (Function::IsInf, Value::Float(value)) => Value::Bool(value.is_infinite()),
        (Function::Abs, Value::Int(value)) => Value::Int(value.wrapping_abs()),
        (Function::Abs, Value::Float(value)) => Value::Float(value.abs()),
        (Function::Ceil, value) => Value::Float(number(span, function, value)?.ceil()),
        (Function::Floor, value) => Value::Float(number(span, function, value)?.floor()),
        (Function::Round, value) => Value::Float(number(span, function, value)?.round()),
        _ => return Err(invalid(span, function, value)),
    };
    Ok(made)
}

fn number(span: Span, function: Function, value: &Value<'_>) -> Evaluated<f64> {
    value.number().ok_or_else(|| invalid(span, function, value))
}

fn read_int<'a>(span: Span, value: &Value<'a>) -> Evaluated<Value<'a>> {
    let given = match value {
        Value::Int(value) | Value::Duration(value) => return Ok(Value::Int(*value)),
        Value::Float(value) => return Ok(Value::Int(to_int(*value))),
        Value::Text(text) => match text.as_str().parse() {
            Ok(value) => return Ok(Value::Int(value)),
            Err(_) => text.as_str(),
        },
        other => other.type_name(),
    };
    Err(Stop::at(span, format!("invalid operation: int({given})")))
}

fn read_float<'a>(span: Span, value: &Value<'a>) -> Evaluated<Value<'a>> {
    let (read, given) = match value {
        Value::Text(text) => (parse_float(text.as_str()), text.as_str()),
        other => (other.number(), other.type_name()),
    };
    read.map(Value::Float)
        .ok_or_else(|| Stop::at(span, format!("invalid operation: float({given})")))
}

/// The functions of the bits of integers.
pub(super) fn bits<'a>(
    span: Span,
    function: Function,
    values: &[Value<'a>],
) -> Evaluated<Value<'a>> {
    let int = |value: Option<&Value<'a>>| match value {
        Some(Value::Int(value)) => Ok(*value),
        Some(other) => Err(invalid(span, function, other)),
        None => Ok(0),
    };
    let x = int(values.first())?;
    let y = int(values.get(1))?;
    let is_shift = matches!(
        function,
        Function::BitShl | Function::BitShr | Function::BitUshr
    );
    if is_shift && y < 0 {
        let message = format!("invalid operation: negative shift count {y} (type int)");
        return Err(Stop::at(span, message));
    }
    let shift = u32::try_from(y).unwrap_or(u32::MAX);
    Ok(Value::Int(match function {
        Function::BitAnd => x & y,
        Function::BitOr => x | y,
        Function::BitXor => x ^ y,
        Function::BitNand => x & !y,
        Function::BitShl => x.checked_shl(shift).unwrap_or(0),
        Function::BitShr => x.checked_shr(shift).unwrap_or(if x < 0 { -1 } else { 0 }),
        Function::BitUshr => x
            .cast_unsigned()
            .checked_shr(shift)
            .unwrap_or(0)
            .cast_signed(),
        _ => !x,
    }))
}

impl<'a> Evaluator<'a> {
    /// `max` and `min` of numbers and lists of them; nil of none. A NaN that comes first stays.
    pub(super) fn extreme(
        &mut self,
        span: Span,
        function: Function,
        values: &[Value<'a>],
    ) -> Evaluated<Value<'a>> {
        let mut best = Value::Nil;
        for value in values {
            let candidate = match value {
                Value::Int(_) | Value::Float(_) => value.clone(),
                Value::List(list) => {
                    self.work(span, list.len().saturating_mul(8))?;
                    let mut of_list = Value::Nil;
                    for item in list.iter() {
                        let item = match item {
                            Value::Int(_) | Value::Float(_) => item,
                            Value::List(_) => self.extreme(span, function, &[item])?,
                            other => return Err(invalid(span, function, &other)),
                        };
                        of_list = better(function, of_list, item);
                    }
                    of_list
                }
                // As in Go, a single argument of another type is given back.
                other if values.len() == 1 => other.clone(),
                other => return Err(invalid(span, function, other)),
            };
            best = better(function, best, candidate);
        }
        Ok(best)
    }

    pub(super) fn mean(&mut self, span: Span, values: &[Value<'a>]) -> Evaluated<Value<'a>> {
        let mut sum = 0.0;
        let mut number = 0_u32;
        self.numbers_of(span, Function::Mean, values, &mut |value| {
            sum += value;
            number = number.saturating_add(1);
        })?;
        let mean = if number == 0 {
            0.0
        } else {
            sum / f64::from(number)
        };
        Ok(Value::Float(mean))
    }

    pub(super) fn median(&mut self, span: Span, values: &[Value<'a>]) -> Evaluated<Value<'a>> {
        let mut numbers = Vec::new();
        self.numbers_of(span, Function::Median, values, &mut |value| {
            numbers.push(value);
        })?;
        self.grow(span, numbers.len())?;
        // Go sorts NaN first.
        numbers.sort_by(|a, b| {
            a.partial_cmp(b)
                .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
        });
        let middle = numbers.len() / 2;
        Ok(Value::Float(match numbers.len() {
            0 => 0.0,
            length if length % 2 == 1 => numbers[middle],
            _ => f64::midpoint(numbers[middle - 1], numbers[middle]),
        }))
    }

    /// Calls `see` with each number among `values`, those in lists included.
    fn numbers_of(
        &mut self,
        span: Span,
        function: Function,
        values: &[Value<'a>],
        see: &mut dyn FnMut(f64),
    ) -> Evaluated<()> {
        for value in values {
            match value {
                Value::List(list) => {
                    self.work(span, list.len().saturating_mul(8))?;
                    for item in list.iter() {
                        match item.number() {
                            Some(number) => see(number),
                            None => self.numbers_of(span, function, &[item], see)?,
                        }
                    }
                }
                other => see(number(span, function, other)?),
            }
        }
        Ok(())
    }
}

/// The greater or smaller of two; the first may be nil for none yet.
fn better<'a>(function: Function, best: Value<'a>, candidate: Value<'a>) -> Value<'a> {
    let comparison = match function {
        Function::Max => Comparison::Less,
        _ => Comparison::Greater,
    };
    let is_better = !candidate.is_nil()
        && (best.is_nil() || compare(comparison, &best, &candidate) == Some(true));
    if is_better { candidate } else { best }
}
