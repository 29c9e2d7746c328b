//! JSON and what expressions make of it, as values of the interpreter.
//!
//! The interpreter copies what it binds to a name or puts in a list, and its own lists and maps would be copied
//! all the way down. These are lent or shared instead: a copy is a pointer, however deep the value.
//! Every JSON number is a double, as in CEL's own mapping of JSON.

use std::sync::Arc;

use cel_interpreter::ExecutionError;
use cel_interpreter::common::types::{
    CelBool, CelBytes, CelDouble, CelNull, CelOptional, CelString,
};
use cel_interpreter::common::value::Val;
use serde_json::Value as Json;

use super::list::List;
use super::map::JsonMap;
use super::meter::{Limit, Meter};

pub(super) type Boxed<'v> = Box<dyn Val + 'v>;
pub(super) type Evaluated<T> = Result<T, ExecutionError>;

/// `json` as a value that borrows from it.
pub(super) fn of_json<'v>(json: &'v Json, meter: &Arc<Meter>) -> Evaluated<Boxed<'v>> {
    Ok(match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(value) => Box::new(CelBool::from(*value)),
        Json::Number(number) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        Json::String(text) => {
            meter.see_text(text.len())?;
            Box::new(CelString::from(text.as_str()))
        }
        Json::Array(items) => Box::new(List::lent(items, meter)),
        Json::Object(members) => Box::new(JsonMap::new(members, meter)),
    })
}

/// The numbers of a series.
pub(super) fn numbers<'v>(numbers: impl Iterator<Item = f64>, meter: &Arc<Meter>) -> Boxed<'v> {
    let items = numbers.map(|number| Box::new(CelDouble::from(number)) as Boxed<'v>);
    Box::new(List::made(items.collect(), meter))
}

/// How many elements a list or map has.
pub(super) fn size_of(value: &dyn Val) -> Option<usize> {
    usize::try_from(*value.as_sizer()?.size().inner()).ok()
}

/// What a copy of `value` takes, in elements and bytes: lists and maps are shared.
pub(super) fn copy_size(value: &dyn Val) -> usize {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return match text.as_borrowed() {
            Some(_) => 1,
            None => 1 + text.inner().len(),
        };
    }
    if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        return 1 + bytes.inner().len();
    }
    let within = value
        .downcast_ref::<CelOptional<'_>>()
        .and_then(CelOptional::option);
    1 + within.map_or(0, copy_size)
}

/// What a list takes that has copies of the elements of `list`.
pub(super) fn spread_size(list: &dyn Val, meter: &Meter) -> Result<usize, Limit> {
    let Some(elements) = list.as_iterable() else {
        return Ok(0);
    };
    meter.work(size_of(list).unwrap_or_default())?;
    let mut size = 0_usize;
    let mut elements = elements.iter();
    while let Some(element) = elements.next() {
        size = size.saturating_add(copy_size(element));
    }
    Ok(size)
}

pub(super) fn no_overload(function: &str, left: &dyn Val, right: &dyn Val) -> ExecutionError {
    let types = [left, right].map(|value| value.get_type().name().to_owned());
    ExecutionError::no_such_overload(function, types.to_vec())
}
