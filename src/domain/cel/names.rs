//! The names that a condition may have in it.

use crate::domain::condition::ConditionError;
use crate::domain::expr::shortened;
use crate::domain::nearest::nearest;

/// What a condition knows.
const NAMES: [&str; 3] = ["result", "values", "series"];

/// The names of types, which `type(x)` is compared with.
const TYPES: [&str; 11] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
    "optional_type",
];

/// What is called as `name(…)`.
pub(super) const FUNCTIONS: [&str; 19] = [
    "size",
    "type",
    "dyn",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "bytes",
    "matches",
    "has",
    "timestamp",
    "duration",
    "asFloat",
    "asInt",
    "isNaN",
    "isInf",
    "isNil",
    "default",
];

/// What is called as `value.name(…)`.
pub(super) const METHODS: [&str; 27] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
    "hasValue",
    "value",
    "or",
    "orValue",
    "optMap",
    "optFlatMap",
    "getFullYear",
    "getMonth",
    "getDayOfYear",
    "getDayOfMonth",
    "getDate",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

/// What is called as `optional.name(…)`.
pub(super) const OF_OPTIONAL: [&str; 3] = ["of", "none", "ofNonZeroValue"];

/// Those of the above that the parser expands. One that is still there was given something else than it takes.
const MACROS: [(&str, &str); 9] = [
    ("has", "`has(result.name)`"),
    ("all", "`list.all(x, x > 1.0)`"),
    ("exists", "`list.exists(x, x > 1.0)`"),
    ("exists_one", "`list.exists_one(x, x > 1.0)`"),
    ("existsOne", "`list.existsOne(x, x > 1.0)`"),
    ("map", "`list.map(x, x * 2.0)`"),
    ("filter", "`list.filter(x, x > 1.0)`"),
    ("optMap", "`optional.optMap(x, x * 2.0)`"),
    ("optFlatMap", "`optional.optFlatMap(x, x)`"),
];

/// Whether `name` is that of a type.
pub(super) fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}

/// `name` at `at` is neither bound by a loop around it nor known.
pub(super) fn unknown(at: usize, name: &str, bound: &[&str]) -> ConditionError {
    let error = undeclared(at, name);
    match nearest(name, bound.iter().copied().chain(NAMES)) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("a condition knows `result`, `values` and `series[\"…\"]`"),
    }
}

/// Refuses to call `name` where only `known` can be called.
pub(super) fn check_called(
    at: usize,
    name: &str,
    known: &[&'static str],
) -> Result<(), ConditionError> {
    if let Some((_, example)) = MACROS.iter().find(|(expanded, _)| *expanded == name) {
        let error = ConditionError::new(at, format!("{name} is not called like this"));
        return Err(error.hint(format!("as in {example}")));
    }
    if known.contains(&name) {
        return Ok(());
    }
    let error = undeclared(at, name);
    Err(match nearest(name, known.iter().copied()) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None if METHODS.contains(&name) => error.hint(format!("it is a method: `value.{name}(…)`")),
        None if FUNCTIONS.contains(&name) => error.hint(format!("it is a function: `{name}(…)`")),
        None => error.hint(format!("there is no function `{}`", shortened(name))),
    })
}

fn undeclared(at: usize, name: &str) -> ConditionError {
    let name = shortened(name);
    ConditionError::new(at, format!("undeclared reference to '{name}'"))
}
