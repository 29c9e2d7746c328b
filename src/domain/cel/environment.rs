//! The functions that conditions and their metering call, declared once for all evaluations.

use std::sync::{Arc, LazyLock};

use cel_interpreter::common::functions::Function;
use cel_interpreter::common::types::{
    CelBool, CelDouble, CelInt, CelMap, CelNull, CelOptional, CelString, CelUInt, DOUBLE_TYPE,
    DYN_TYPE, INT_TYPE, STRING_TYPE, Type, UINT_TYPE,
};
use cel_interpreter::common::value::{CowVal, Val};
use cel_interpreter::{Env, ExecutionError};

use super::list::made_list;
use super::map::Map;
use super::meter::{Meter, MeterVal};
use super::time;
use super::value::{copy_size, no_overload, size_of, spread_size};
use crate::domain::expr::{parse_float, to_int};

/// What metering calls. An `@` cannot be written in a condition.
pub(super) const METER: &str = "@meter";
pub(super) const RANGE: &str = "@range";
pub(super) const ADD: &str = "@add";
pub(super) const LIST: &str = "@list";
pub(super) const MAP: &str = "@map";
pub(super) const KEEP: &str = "@keep";
pub(super) const MATCHES: &str = "@matches";

/// The helpers whose argument may be missing.
pub(super) const DEFAULT: &str = "default";
pub(super) const IS_NIL: &str = "isNil";

/// CEL's standard functions and types, and ours.
pub(super) fn environment() -> &'static Arc<Env> {
    static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(declared()));
    &ENVIRONMENT
}

fn declared() -> Env {
    let mut env = Env::stdlib();
    let mut declare = |name: &str, parameters: &[&Type], function: Function| {
        let id = parameters.iter().fold(name.to_owned(), |id, parameter| {
            format!("{id}_{}", parameter.name())
        });
        let parameters = parameters.iter().map(|&parameter| parameter.to_owned());
        env.add_overload(name, &id, parameters.collect(), function)
            .expect("no two of ours, and none of the standard library's, have the same parameters");
    };
    declare(RANGE, &[&DYN_TYPE, &DYN_TYPE, &INT_TYPE], range);
    declare(ADD, &[&DYN_TYPE, &DYN_TYPE, &DYN_TYPE], add);
    declare(LIST, &[&DYN_TYPE, &DYN_TYPE], list);
    declare(MAP, &[&DYN_TYPE, &DYN_TYPE], map);
    declare(KEEP, &[&DYN_TYPE, &DYN_TYPE], keep);
    declare(MATCHES, &[&DYN_TYPE, &STRING_TYPE, &STRING_TYPE], matches);

    for number in [&DOUBLE_TYPE, &INT_TYPE, &UINT_TYPE, &STRING_TYPE] {
        declare("asFloat", &[number], as_float);
        declare("asInt", &[number], as_int);
    }
    for number in [&DOUBLE_TYPE, &INT_TYPE, &UINT_TYPE] {
        declare("isNaN", &[number], is_nan);
        declare("isInf", &[number], is_inf);
    }
    declare(IS_NIL, &[&DYN_TYPE], is_nil);
    declare(DEFAULT, &[&DYN_TYPE, &DYN_TYPE], default);
    for (name, parameter, function) in time::FUNCTIONS {
        declare(name, &[parameter], function);
    }
    for (name, target, function) in time::METHODS {
        let id = format!("{}_{name}", target.name());
        env.add_member_overload(name, &id, target.to_owned(), Vec::new(), function)
            .expect("each method is there once for each type");
    }
    env
}

type Arguments<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Evaluated<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// Exactly as many arguments as a function was declared with.
fn taken<'b, 'v, const N: usize>(
    arguments: Arguments<'b, 'v>,
) -> Result<[CowVal<'b, 'v>; N], ExecutionError> {
    let given = arguments.len();
    <[CowVal<'b, 'v>; N]>::try_from(arguments)
        .map_err(|_| ExecutionError::invalid_argument_count(N, given))
}

fn meter<'a>(value: &'a CowVal<'_, '_>) -> Result<&'a Arc<Meter>, ExecutionError> {
    let found: Option<&MeterVal> = value.downcast_ref();
    found
        .map(|MeterVal(meter)| meter)
        .ok_or_else(ExecutionError::missing_argument_or_target)
}

/// What a loop goes through, paid for before it begins.
fn range<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [m, range, weight] = taken(arguments)?;
    let weight = weight.downcast_ref::<CelInt>().map_or(1, |it| *it.inner());
    let rounds = size_of(range.as_ref()).unwrap_or_default();
    meter(&m)?.rounds(rounds, usize::try_from(weight).unwrap_or(1))?;
    Ok(range)
}

/// `a + b`, paid for by what it makes.
fn add<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [m, left, right] = taken(arguments)?;
    let meter = meter(&m)?;
    let text_length = |value: &CowVal<'_, '_>| {
        let text: Option<&CelString<'_>> = value.downcast_ref();
        text.map_or(0, |text| text.inner().len())
    };
    let texts = text_length(&left) + text_length(&right);
    if texts > 0 {
        meter.grow(texts)?;
        meter.see_text(texts)?;
    } else {
        meter.grow(copy_size(left.as_ref()) + copy_size(right.as_ref()))?;
        meter.grow(spread_size(left.as_ref(), meter)? + spread_size(right.as_ref(), meter)?)?;
    }
    let overload = || no_overload("_+_", left.as_ref(), right.as_ref());
    let sum = left.as_adder().ok_or_else(overload)?.add(right.as_ref())?;
    Ok(CowVal::Owned(sum.into_owned()))
}

/// A value that is copied into a list or map, paid for.
fn keep<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [m, value] = taken(arguments)?;
    meter(&m)?.grow(copy_size(value.as_ref()))?;
    Ok(value)
}

fn list<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [m, list] = taken(arguments)?;
    Ok(made_list(list.into_owned(), meter(&m)?))
}

fn map<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [m, map] = taken(arguments)?;
    Ok(match map.downcast_ref::<CelMap<'v>>() {
        Some(entries) => CowVal::owned(Map::new(entries.clone(), meter(&m)?)),
        None => map,
    })
}

fn matches<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [m, text, pattern] = taken(arguments)?;
    let (Some(text), Some(pattern)) = (
        text.downcast_ref::<CelString<'v>>(),
        pattern.downcast_ref::<CelString<'v>>(),
    ) else {
        return Err(no_overload("matches", text.as_ref(), pattern.as_ref()));
    };
    let is_match = meter(&m)?.matches(text.inner(), pattern.inner())?;
    Ok(CowVal::owned(CelBool::from(is_match)))
}

/// A number of CEL's three kinds.
enum Number {
    Int(i64),
    Uint(u64),
    Double(f64),
}

impl Number {
    fn of(value: &dyn Val) -> Option<Self> {
        if let Some(number) = value.downcast_ref::<CelDouble>() {
            return Some(Self::Double(*number.inner()));
        }
        if let Some(number) = value.downcast_ref::<CelInt>() {
            return Some(Self::Int(*number.inner()));
        }
        let number = value.downcast_ref::<CelUInt>()?;
        Some(Self::Uint(*number.inner()))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a conversion to a double rounds"
    )]
    fn as_double(&self) -> f64 {
        match *self {
            Self::Int(number) => number as f64,
            Self::Uint(number) => number as f64,
            Self::Double(number) => number,
        }
    }
}

/// A number as a double, or the one that a text holds.
fn as_float<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [value] = taken(arguments)?;
    let number = match text_of(&value) {
        Some(text) => parse_float(text).ok_or_else(|| unreadable("asFloat", text))?,
        None => Number::of(value.as_ref()).map_or(f64::NAN, |number| number.as_double()),
    };
    Ok(CowVal::owned(CelDouble::from(number)))
}

/// A number as an integer, without what follows the point, or the one that a text holds.
fn as_int<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [value] = taken(arguments)?;
    let too_large = || ExecutionError::function_error("asInt", "the number is too large");
    let number = match (text_of(&value), Number::of(value.as_ref())) {
        (Some(text), _) => text.parse().map_err(|_| unreadable("asInt", text))?,
        (None, Some(Number::Int(number))) => number,
        (None, Some(Number::Uint(number))) => i64::try_from(number).map_err(|_| too_large())?,
        (None, Some(Number::Double(number))) => {
            let whole = to_int(number);
            if whole == i64::MIN {
                return Err(too_large());
            }
            whole
        }
        (None, None) => 0,
    };
    Ok(CowVal::owned(CelInt::from(number)))
}

fn is_nan<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [value] = taken(arguments)?;
    let is_nan = Number::of(value.as_ref()).is_some_and(|number| number.as_double().is_nan());
    Ok(CowVal::owned(CelBool::from(is_nan)))
}

fn is_inf<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [value] = taken(arguments)?;
    let number = Number::of(value.as_ref());
    let is_infinite = number.is_some_and(|number| number.as_double().is_infinite());
    Ok(CowVal::owned(CelBool::from(is_infinite)))
}

/// Whether a value is null, or missing.
fn is_nil<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [value] = taken(arguments)?;
    Ok(CowVal::owned(CelBool::from(present(value).is_none())))
}

/// A value, or another one where it is null or missing.
fn default<'b, 'v>(arguments: Arguments<'b, 'v>) -> Evaluated<'b, 'v> {
    let [value, instead] = taken(arguments)?;
    Ok(present(value).unwrap_or(instead))
}

/// A value that is not null. What may be missing comes as an optional.
fn present<'b, 'v>(value: CowVal<'b, 'v>) -> Option<CowVal<'b, 'v>> {
    let value = match value.downcast_ref::<CelOptional<'v>>() {
        Some(optional) => CowVal::Owned(optional.option()?.clone_as_boxed()),
        None => value,
    };
    match value.downcast_ref::<CelNull>() {
        Some(CelNull) => None,
        None => Some(value),
    }
}

fn text_of<'a>(value: &'a CowVal<'_, '_>) -> Option<&'a str> {
    let text: Option<&CelString<'_>> = value.downcast_ref();
    text.map(CelString::inner)
}

fn unreadable(function: &str, text: &str) -> ExecutionError {
    let shown: String = text.chars().take(60).collect();
    ExecutionError::function_error(function, format!("cannot read `{shown}` as a number"))
}
