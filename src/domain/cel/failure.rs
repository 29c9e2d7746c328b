//! The interpreter's errors in words.

use cel_interpreter::{ExecutionError, ParseErrors, Value};

use super::evaluate::plain_type;
use crate::domain::condition::ConditionError;
use crate::domain::expr::shortened;

/// Why `source` doesn't parse: the first of what is wrong with its syntax, else the first of all.
pub(super) fn of_parsing(source: &str, errors: &ParseErrors) -> ConditionError {
    let errors = &errors.errors;
    let first = errors
        .iter()
        .filter(|error| error.msg.starts_with(SYNTAX))
        .min_by_key(|error| error.pos)
        .or_else(|| errors.iter().min_by_key(|error| error.pos));
    let Some(first) = first else {
        return ConditionError::new(0, "not an expression");
    };
    let at = place_of(source, first.pos);
    let (message, hint) = parse_message(&first.msg, source.get(at..).unwrap_or_default());
    let error = ConditionError::new(at, message);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What the parser's messages about syntax begin with.
const SYNTAX: &str = "Syntax error: ";

/// The byte at a line and a column, both counted from 1, columns in characters.
fn place_of(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1);
    let column = usize::try_from(column).unwrap_or(1).max(1);
    let start: usize = source
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let rest = &source[start.min(source.len())..];
    let within = rest.char_indices().nth(column - 1);
    start + within.map_or(rest.len(), |(at, _)| at)
}

fn parse_message(message: &str, rest: &str) -> (String, Option<&'static str>) {
    if message.contains("Recursion limit") {
        return ("nested too deep".to_owned(), None);
    }
    let syntax = message.strip_prefix(SYNTAX).unwrap_or(message);
    let is_unexpected = [
        "mismatched input",
        "extraneous input",
        "no viable alternative",
    ]
    .iter()
    .any(|start| syntax.starts_with(start));
    if is_unexpected && rest.trim().is_empty() {
        return ("unexpected end".to_owned(), None);
    }
    if is_unexpected || syntax.starts_with("token recognition error") {
        let token = token_of(rest);
        return (format!("unexpected `{}`", shortened(token)), slip(token));
    }
    let start = syntax.find(" expecting {").unwrap_or(syntax.len());
    (shortened(&syntax[..start]), None)
}

/// The word or mark that `rest` begins with.
fn token_of(rest: &str) -> &str {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let end = match rest.chars().next() {
        Some(first) if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
        Some(first) => first.len_utf8(),
        None => 0,
    };
    &rest[..end]
}

fn slip(token: &str) -> Option<&'static str> {
    Some(match token {
        "=" => "`==` compares",
        "&" | "and" | "AND" => "`&&` is and",
        "|" | "or" | "OR" => "`||` is or",
        "#" => "an element has a name: `list.all(x, x > 1.0)`",
        "\"" | "'" => "a text ends with the quote that it began with",
        "not" | "NOT" => "`!` is not",
        _ => return None,
    })
}

/// An error of an evaluation, and what may help.
pub(super) fn of_evaluation(error: &ExecutionError) -> (String, Option<&'static str>) {
    let message = match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {}", shortened(key)),
        ExecutionError::NoSuchOverload(overload) => {
            let types = overload.argument_types();
            let names: Vec<&str> = types.iter().map(String::as_str).collect();
            return of_types(overload.function(), &names);
        }
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            return of_types(operator, &[left, right].map(plain_type));
        }
        ExecutionError::UnexpectedType { got, want } => {
            format!("expected {want}, but got {got}")
        }
        ExecutionError::IndexOutOfBounds(index) => {
            format!("index out of bounds: {}", number(index))
        }
        ExecutionError::UnsupportedIndex(..) => "an index is a whole number".to_owned(),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(operator, ..) => format!("integer overflow in {operator}"),
        ExecutionError::DuplicateKey(_) => "a map has a key twice".to_owned(),
        ExecutionError::UnsupportedKeyType(key) => {
            format!("a {} is no key of a map", plain_type(key))
        }
        ExecutionError::UndeclaredReference(name) => format!("undeclared reference to '{name}'"),
        ExecutionError::FunctionError { function, message } if function.is_empty() => {
            message.clone()
        }
        ExecutionError::FunctionError { function, message } => {
            format!("{function}: {}", shortened(message))
        }
        other => shortened(&other.to_string()),
    };
    (message, None)
}

/// What is wrong where `function` has no meaning for such types, and what may help.
pub(super) fn of_types(function: &str, types: &[&str]) -> (String, Option<&'static str>) {
    match (function, types) {
        ("_._" | "_?._", [object, _]) => (no_member(object), None),
        ("_[_]" | "_[?_]" | "@in", _) => (no_overload(function, types), None),
        _ => (no_overload(function, types), overload_hint(types)),
    }
}

/// CEL's words for an operator or function that is not there for such types.
pub(super) fn no_overload(function: &str, types: &[&str]) -> String {
    let function = function.trim_start_matches('@');
    let types = types.join(", ");
    format!("found no matching overload for '{function}' applied to '({types})'")
}

pub(super) fn no_member(object: &str) -> String {
    format!("a {object} has no members")
}

/// What is probably missing where types don't go together.
pub(super) fn overload_hint(types: &[&str]) -> Option<&'static str> {
    let has = |name: &str| types.contains(&name);
    let numbers = ["double", "int", "uint"];
    let has_number = numbers.iter().any(|name| has(name));
    if has("string") && has_number {
        return Some("`double(…)` reads a text as a number");
    }
    if has("null_type") {
        return Some("`default(…, 0.0)` stands in for what is null or missing");
    }
    if types.len() == 2 && types[0] != types[1] && types.iter().all(|name| numbers.contains(name)) {
        return Some(
            "arithmetic takes two numbers of one kind; those of a result are doubles: `2.0`, not `2`",
        );
    }
    has("list").then_some("a list is asked with `list.all(x, …)` or `list.exists(x, …)`")
}

fn number(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        other => plain_type(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let check = |source: &str, at: (isize, isize), expected: usize| {
            assert_eq!(place_of(source, at), expected, "{source:?} {at:?}");
        };
        check("a + b", (1, 1), 0);
        check("a + b", (1, 5), 4);
        check("é + b", (1, 5), 5);
        check("a +\n é + b", (2, 4), 8);
        check("a", (1, 9), 1);
        check("a", (9, 9), 1);
        check("", (0, -1), 0);
    }
}
