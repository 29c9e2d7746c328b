//! Operators between values.

use super::ast::{Comparison, Expr, Kind, Operator, Span};
use super::eval::{Evaluated, Evaluator, Stop, int_of};
use super::function::{Each, Function};
use super::gotext::parse_float;
use super::missing;
use super::pattern::Pattern;
use super::time;
use super::value::{List, Text, Value, compare, equal};

/// What matching a byte or compiling a pattern costs, in steps.
const STEPS_A_MATCHED_BYTE: usize = 8;
const STEPS_A_PATTERN: usize = 5_000;

impl<'a> Evaluator<'a> {
    pub(super) fn ordered(
        &mut self,
        first: &'a Expr,
        rest: &'a [(Comparison, Expr)],
    ) -> Evaluated<Value<'a>> {
        let mut left = (first, self.eval(first)?);
        for (comparison, operand) in rest {
            let right = self.eval(operand)?;
            self.comparing(operand.span, &left.1, &right)?;
            match compare(*comparison, &left.1, &right) {
                Some(true) => left = (operand, right),
                Some(false) => return Ok(Value::Bool(false)),
                None => {
                    let operator = Operator::Compare(*comparison);
                    return Err(self.impossible(operator, left.0, operand, &left.1, &right));
                }
            }
        }
        Ok(Value::Bool(true))
    }

    pub(super) fn binary(
        &mut self,
        span: Span,
        operator: Operator,
        sides: &'a [Expr; 2],
    ) -> Evaluated<Value<'a>> {
        let [left, right] = sides;
        let l = self.eval(left)?;
        let r = self.eval(right)?;
        let value = match operator {
            Operator::Compare(comparison) => {
                self.comparing(span, &l, &r)?;
                compare(comparison, &l, &r).map(Value::Bool)
            }
            Operator::Equal | Operator::NotEqual => {
                if l.is_nil() != r.is_nil() {
                    no_place_found(sides, &l, &r)?;
                }
                self.comparing(span, &l, &r)?;
                Some(Value::Bool(equal(&l, &r) == (operator == Operator::Equal)))
            }
            Operator::In => return self.contains(span, right, &l, &r).map(Value::Bool),
            Operator::Add | Operator::Subtract | Operator::Multiply => {
                return self.arithmetic(operator, sides, &l, &r);
            }
            Operator::Divide => l.number().zip(r.number()).map(|(l, r)| Value::Float(l / r)),
            Operator::Power => l
                .number()
                .zip(r.number())
                .map(|(l, r)| Value::Float(l.powf(r))),
            Operator::Modulo => match (&l, &r) {
                (Value::Int(_), Value::Int(0)) => {
                    return Err(Stop::at(right.span, "integer divide by zero"));
                }
                (Value::Int(l), Value::Int(r)) => Some(Value::Int(l.wrapping_rem(*r))),
                _ => None,
            },
            Operator::Range => return self.range(span, &l, &r),
            Operator::Matches => return self.matches(sides, &l, &r),
            Operator::Contains | Operator::StartsWith | Operator::EndsWith => {
                self.within(span, operator, &l, &r)?
            }
        };
        value.ok_or_else(|| self.impossible(operator, left, right, &l, &r))
    }

    fn arithmetic(
        &mut self,
        operator: Operator,
        sides: &'a [Expr; 2],
        l: &Value<'a>,
        r: &Value<'a>,
    ) -> Evaluated<Value<'a>> {
        let [left, right] = sides;
        let value = match (operator, l, r) {
            (Operator::Add, Value::Text(l), Value::Text(r)) => {
                self.grow(left.span, l.as_str().len() + r.as_str().len())?;
                Some(Value::text([l.as_str(), r.as_str()].concat()))
            }
            (Operator::Add, Value::Int(l), Value::Int(r)) => Some(Value::Int(l.wrapping_add(*r))),
            (Operator::Subtract, Value::Int(l), Value::Int(r)) => {
                Some(Value::Int(l.wrapping_sub(*r)))
            }
            (Operator::Multiply, Value::Int(l), Value::Int(r)) => {
                Some(Value::Int(l.wrapping_mul(*r)))
            }
            (_, Value::Duration(_) | Value::Moment(_), _)
            | (_, _, Value::Duration(_) | Value::Moment(_)) => time::arithmetic(operator, l, r),
            _ => l.number().zip(r.number()).map(|(l, r)| {
                Value::Float(match operator {
                    Operator::Subtract => l - r,
                    Operator::Multiply => l * r,
                    _ => l + r,
                })
            }),
        };
        value.ok_or_else(|| self.impossible(operator, left, right, l, r))
    }

    /// `l in r`
    fn contains(
        &mut self,
        span: Span,
        right: &Expr,
        l: &Value<'a>,
        r: &Value<'a>,
    ) -> Evaluated<bool> {
        match r {
            Value::Nil => Ok(false),
            Value::List(List::Range { first, len }) => {
                let last = i128::from(*first) + i128::try_from(*len).unwrap_or(i128::MAX);
                Ok(match l {
                    Value::Int(l) => (i128::from(*first)..last).contains(&i128::from(*l)),
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "a whole number within a range of 64 bits, or saturated outside it"
                    )]
                    Value::Float(l) => {
                        l.fract() == 0.0 && (i128::from(*first)..last).contains(&(*l as i128))
                    }
                    _ => false,
                })
            }
            Value::List(list) => {
                self.search(span, list.len(), l)?;
                if list.iter().any(|item| equal(&item, l)) {
                    return Ok(true);
                }
                // Go looks a value up in a written set of texts, which holds texts only.
                let is_set = matches!(right.kind, Kind::Literal(_))
                    && !matches!(l, Value::Text(_) | Value::Nil)
                    && list.len() > 0
                    && list.iter().all(|item| matches!(item, Value::Text(_)));
                if is_set {
                    let message = format!("cannot look for {} among strings", l.type_name());
                    return Err(Stop::at(span, message));
                }
                Ok(false)
            }
            Value::Map(map) => self.key(span, map, l).map(|value| value.is_some()),
            other => {
                let message = format!("operator \"in\" not defined on {}", other.type_name());
                Err(Stop::at(span, message))
            }
        }
    }

    fn range(&mut self, span: Span, l: &Value<'a>, r: &Value<'a>) -> Evaluated<Value<'a>> {
        let first = int_of(span, l)?;
        let last = int_of(span, r)?;
        let len = (i128::from(last) - i128::from(first) + 1).max(0);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.grow(span, len)?;
        Ok(Value::List(List::Range { first, len }))
    }

    pub(super) fn matches_literal(
        &mut self,
        inner: &'a Expr,
        pattern: &Pattern,
    ) -> Evaluated<Value<'a>> {
        match self.eval(inner)? {
            Value::Nil => Ok(Value::Bool(false)),
            Value::Text(text) => {
                self.steps_of(
                    inner.span,
                    text.as_str().len().saturating_mul(STEPS_A_MATCHED_BYTE),
                )?;
                Ok(Value::Bool(pattern.is_match(text.as_str())))
            }
            other => {
                let message = format!("matches looks at strings, not at {}", other.type_name());
                Err(Stop::at(inner.span, message))
            }
        }
    }

    fn matches(
        &mut self,
        sides: &'a [Expr; 2],
        l: &Value<'a>,
        r: &Value<'a>,
    ) -> Evaluated<Value<'a>> {
        let [left, right] = sides;
        match (l, r) {
            (Value::Nil, _) | (_, Value::Nil) => Ok(Value::Bool(false)),
            (Value::Text(text), Value::Text(source)) => {
                let (text, source) = (text.as_str(), source.as_str());
                self.steps_of(left.span, text.len().saturating_mul(STEPS_A_MATCHED_BYTE))?;
                let is_known = self
                    .pattern
                    .as_ref()
                    .is_some_and(|(known, _)| known == source);
                if !is_known {
                    self.steps_of(right.span, STEPS_A_PATTERN.saturating_add(source.len()))?;
                    let pattern = Pattern::compile(source)
                        .map_err(|message| Stop::at(right.span, message))?;
                    self.pattern = Some((source.to_owned(), pattern));
                }
                let is_match = self
                    .pattern
                    .as_ref()
                    .is_some_and(|(_, pattern)| pattern.is_match(text));
                Ok(Value::Bool(is_match))
            }
            _ => Err(self.impossible(Operator::Matches, left, right, l, r)),
        }
    }

    /// `contains`, `startsWith` and `endsWith`; false where either is nil.
    fn within(
        &mut self,
        span: Span,
        operator: Operator,
        l: &Value<'a>,
        r: &Value<'a>,
    ) -> Evaluated<Option<Value<'a>>> {
        Ok(match (l, r) {
            (Value::Nil, _) | (_, Value::Nil) => Some(Value::Bool(false)),
            (Value::Text(l), Value::Text(r)) => {
                let (l, r) = (l.as_str(), r.as_str());
                self.work(span, l.len())?;
                Some(Value::Bool(match operator {
                    Operator::StartsWith => l.starts_with(r),
                    Operator::EndsWith => l.ends_with(r),
                    _ => l.contains(r),
                }))
            }
            _ => None,
        })
    }

    /// `operator` is not defined on such operands.
    #[cold]
    fn impossible(
        &mut self,
        operator: Operator,
        left: &'a Expr,
        right: &'a Expr,
        l: &Value<'a>,
        r: &Value<'a>,
    ) -> Stop {
        let message = format!(
            "invalid operation: {} {} {}",
            l.type_name(),
            operator.symbol(),
            r.type_name()
        );
        let hint = match (l, r) {
            (Value::Nil, _) => missing::hint(self, left),
            (_, Value::Nil) => missing::hint(self, right),
            (Value::List(list), number) if number.number().is_some() => {
                Some(self.each_hint(left, list))
            }
            (Value::Text(text), number) if number.number().is_some() => {
                self.as_float_hint(left, text)
            }
            (number, Value::Text(text)) if number.number().is_some() => {
                self.as_float_hint(right, text)
            }
            _ => None,
        };
        Stop::at(left.span.to(right.span), message).hint(hint)
    }

    /// A list was taken for a number: what asks each of its elements.
    fn each_hint(&self, expression: &Expr, list: &List<'a>) -> String {
        let source = self.text_of(expression);
        let member = match list.get(0) {
            Some(Value::Map(map)) if map.get("value").is_some() => ".value",
            _ => "#",
        };
        format!("{source} is a list: `all({source}, {{asFloat({member}) >= 1}})`")
    }

    pub(super) fn as_float_hint(&self, expression: &Expr, text: &Text<'a>) -> Option<String> {
        let number = parse_float(text.as_str())?;
        let source = self.text_of(expression);
        Some(format!(
            "{source} is the text {:?}: `asFloat({source})` is the number {number}",
            text.as_str()
        ))
    }
}

/// Go takes `findIndex(…) == -1` for a comparison of integers, which fails where nothing was found.
fn no_place_found(sides: &[Expr; 2], l: &Value<'_>, r: &Value<'_>) -> Evaluated<()> {
    // Argo's `asInt` and most methods give an integer of another kind, which Go compares in another way.
    let is_int = |side: &Expr, value: &Value<'_>| {
        matches!(value, Value::Int(_))
            && !matches!(
                side.kind,
                Kind::Call {
                    function: Function::AsInt,
                    ..
                } | Kind::Method { .. }
            )
    };
    let is_place = |side: &Expr| matches!(&side.kind, Kind::Each(call) if matches!(call.each, Each::FindIndex | Each::FindLastIndex));
    let place = match (l, r) {
        (Value::Nil, r) if is_place(&sides[0]) && is_int(&sides[1], r) => &sides[0],
        (l, Value::Nil) if is_place(&sides[1]) && is_int(&sides[0], l) => &sides[1],
        _ => return Ok(()),
    };
    let message = "interface conversion: interface {} is nil, not int";
    let hint = "where nothing is found it is nil: `findIndex(…) == nil`".to_owned();
    Err(Stop::at(place.span, message).hint(Some(hint)))
}
