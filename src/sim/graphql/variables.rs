//! A request's variables, checked against the types that the query declares.

use serde_json::{Map, Value};

use super::{Error, Literal, Variable};
use crate::sim::schema::{InputDef, Kind, Schema, Ty};

/// The values of all variables that were given or have a default, as one JSON object.
pub(super) fn coerce(
    schema: &Schema,
    declared: &[Variable],
    given: Option<&Map<String, Value>>,
) -> Result<Value, Error> {
    let mut coerced = Map::new();
    for variable in declared {
        let name = variable.name.as_str();
        let ty = Ty::written(&variable.var_type);
        let default = variable.default_value.as_ref().map(constant);
        let value = given.and_then(|given| given.get(name)).cloned().or(default);

        let invalid = |what: String| {
            let message = format!("Variable '{name}' has an invalid value: {what}");
            Error::new("ValidationError", Some(variable.position), message)
        };
        match value {
            None | Some(Value::Null) if ty.is_required() => {
                return Err(invalid(format!(
                    "Variable '{name}' has coerced Null value for NonNull type '{ty}'"
                )));
            }
            None => {}
            Some(value) => {
                let fits = check(schema, &ty, &value);
                fits.map_err(|mismatch| match mismatch {
                    Mismatch::Value(what) => invalid(what),
                    // graphql-java gives no place for this one.
                    Mismatch::UnknownField(message) => Error::new("ValidationError", None, message),
                })?;
                coerced.insert(name.to_owned(), value);
            }
        }
    }
    Ok(Value::Object(coerced))
}

/// A literal without variables as JSON; enum values become strings.
pub(super) fn constant(literal: &Literal) -> Value {
    substitute(literal, &Value::Null)
}

/// A literal as JSON, with its variables filled in; absent ones are left out.
pub(super) fn substitute(literal: &Literal, variables: &Value) -> Value {
    match literal {
        Literal::Variable(name) => variables.get(name).cloned().unwrap_or(Value::Null),
        Literal::Int(number) => number.as_i64().into(),
        Literal::Float(number) => (*number).into(),
        Literal::String(text) => text.as_str().into(),
        Literal::Boolean(value) => (*value).into(),
        Literal::Null => Value::Null,
        Literal::Enum(name) => name.as_str().into(),
        Literal::List(items) => items
            .iter()
            .map(|item| substitute(item, variables))
            .collect(),
        Literal::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), substitute(value, variables)))
            .collect(),
    }
}

enum Mismatch {
    Value(String),
    UnknownField(String),
}

fn check(schema: &Schema, ty: &Ty, value: &Value) -> Result<(), Mismatch> {
    match (ty, value) {
        (Ty::NonNull(of), value) => check(schema, of, value),
        (_, Value::Null) => Ok(()),
        (Ty::List(of), Value::Array(items)) => {
            items.iter().try_for_each(|item| check(schema, of, item))
        }
        (Ty::List(of), value) => check(schema, of, value),
        (Ty::Named(name), value) => check_named(schema, name, value),
    }
}

fn check_named(schema: &Schema, name: &str, value: &Value) -> Result<(), Mismatch> {
    let Some(ty) = schema.get(name) else {
        // Validation has refused unknown types.
        return Ok(());
    };
    match (&ty.kind, value) {
        (Kind::Input(fields), Value::Object(given)) => check_input(schema, name, fields, given),
        (Kind::Input(_), other) => Err(Mismatch::Value(format!(
            "Expected type 'Map' but was '{}'. Variables for input objects must be an instance of type 'Map'.",
            java_type(other)
        ))),
        (Kind::Enum(values), Value::String(given)) if values.contains(given) => Ok(()),
        (Kind::Enum(_), other) => {
            let shown = other
                .as_str()
                .map_or_else(|| other.to_string(), str::to_owned);
            Err(Mismatch::Value(format!(
                "Invalid input for enum '{name}'. No value found for name '{shown}'"
            )))
        }
        (Kind::Scalar, other) => match (name, other) {
            ("String" | "ID", Value::String(_))
            | ("ID" | "Int" | "Long", Value::Number(_))
            | ("Boolean", Value::Bool(_)) => Ok(()),
            _ => Err(Mismatch::Value(format!(
                "Expected a value that can be converted to type '{name}' but it was a '{}'",
                java_type(other)
            ))),
        },
        (Kind::Object(_), _) => Err(Mismatch::Value(format!("'{name}' is no input type"))),
    }
}

fn check_input(
    schema: &Schema,
    name: &str,
    fields: &[InputDef],
    given: &Map<String, Value>,
) -> Result<(), Mismatch> {
    if let Some(key) = given
        .keys()
        .find(|key| !fields.iter().any(|field| field.name == **key))
    {
        return Err(Mismatch::UnknownField(format!(
            "The variables input contains a field name '{key}' that is not defined for input object type '{name}' "
        )));
    }
    for field in fields {
        match given.get(&field.name) {
            None | Some(Value::Null) if field.ty.is_required() => {
                return Err(Mismatch::Value(format!(
                    "Field '{}' has coerced Null value for NonNull type '{}'",
                    field.name, field.ty
                )));
            }
            None => {}
            Some(value) => check(schema, &field.ty, value)?,
        }
    }
    Ok(())
}

/// The name of the Java class that a JSON value becomes in an OAP.
fn java_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "Boolean",
        Value::Number(number) if number.is_f64() => "Double",
        Value::Number(_) => "Integer",
        Value::String(_) => "String",
        Value::Array(_) => "ArrayList",
        Value::Object(_) => "LinkedHashMap",
    }
}
