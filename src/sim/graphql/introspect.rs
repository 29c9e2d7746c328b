//! What the schema says about itself, and how often it may be asked.

use serde_json::{Map, Value, json};

use super::execute::Selected;
use super::{Error, Prepared};
use crate::sim::schema::{FieldDef, InputDef, Kind, Ty, TypeDef};

/// Refuses what graphql-java takes for an attack: the same door of introspection used twice in one request.
pub(super) fn in_good_faith(prepared: &Prepared<'_>) -> Result<(), Error> {
    let mut doors = Doors::default();
    for selected in prepared.collect(&[prepared.selection]) {
        let field = selected.field();
        match field.name.as_str() {
            "__type" => {
                doors.open("Query.__type")?;
                doors.walk(prepared, &selected)?;
            }
            "__schema" => {
                doors.open("Query.__schema")?;
                doors.walk(prepared, &selected)?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[derive(Default)]
struct Doors {
    opened: Vec<&'static str>,
}

impl Doors {
    fn open(&mut self, door: &'static str) -> Result<(), Error> {
        if self.opened.contains(&door) {
            let message = format!(
                "This request is not asking for introspection in good faith - {door} is present too often!"
            );
            return Err(Error::new("BadFaithIntrospection", None, message));
        }
        self.opened.push(door);
        Ok(())
    }

    fn walk<'a>(&mut self, prepared: &Prepared<'a>, around: &Selected<'a>) -> Result<(), Error> {
        for selected in prepared.collect(&around.sets()) {
            match selected.field().name.as_str() {
                "fields" => self.open("__Type.fields")?,
                "inputFields" => self.open("__Type.inputFields")?,
                "interfaces" => self.open("__Type.interfaces")?,
                "possibleTypes" => self.open("__Type.possibleTypes")?,
                _ => {}
            }
            self.walk(prepared, &selected)?;
        }
        Ok(())
    }
}

/// Answers `__type(name:)`: null where there is no such type.
pub(super) fn type_named<'a>(
    prepared: &Prepared<'a>,
    arguments: &Value,
    selected: &Selected<'a>,
) -> Value {
    let name = arguments["name"].as_str().unwrap_or("");
    match prepared.schema.get(name) {
        Some(ty) => object(prepared, selected, "__Type", |field| {
            definition(prepared, ty, field)
        }),
        None => Value::Null,
    }
}

/// Answers `__schema`.
pub(super) fn schema<'a>(prepared: &Prepared<'a>, selected: &Selected<'a>) -> Value {
    object(prepared, selected, "__Schema", |field| {
        match field.field().name.as_str() {
            "types" => prepared
                .schema
                .types()
                .map(|ty| named(prepared, ty, field))
                .collect(),
            "queryType" => prepared
                .schema
                .get("Query")
                .map_or(Value::Null, |ty| named(prepared, ty, field)),
            "directives" => json!([]),
            _ => Value::Null,
        }
    })
}

/// Builds an object of the keys selected.
fn object<'a>(
    prepared: &Prepared<'a>,
    selected: &Selected<'a>,
    type_name: &str,
    value: impl Fn(&Selected<'a>) -> Value,
) -> Value {
    let mut found = Map::new();
    for inner in prepared.collect(&selected.sets()) {
        let value = match inner.field().name.as_str() {
            "__typename" => json!(type_name),
            _ => value(&inner),
        };
        found.insert(inner.key.to_owned(), value);
    }
    Value::Object(found)
}

fn named<'a>(prepared: &Prepared<'a>, ty: &TypeDef, selected: &Selected<'a>) -> Value {
    object(prepared, selected, "__Type", |field| {
        definition(prepared, ty, field)
    })
}

/// A field of `__Type` for a named type.
fn definition<'a>(prepared: &Prepared<'a>, ty: &TypeDef, selected: &Selected<'a>) -> Value {
    let list = |values: Vec<Value>| Value::Array(values);
    match (selected.field().name.as_str(), &ty.kind) {
        ("name", _) => json!(ty.name),
        ("kind", kind) => json!(match kind {
            Kind::Scalar => "SCALAR",
            Kind::Enum(_) => "ENUM",
            Kind::Object(_) => "OBJECT",
            Kind::Input(_) => "INPUT_OBJECT",
        }),
        ("fields", Kind::Object(fields)) => list(
            fields
                .iter()
                .map(|field| field_def(prepared, field, selected))
                .collect(),
        ),
        ("interfaces", Kind::Object(_)) => json!([]),
        ("inputFields", Kind::Input(fields)) => list(
            fields
                .iter()
                .map(|field| input_def(prepared, field, selected))
                .collect(),
        ),
        ("enumValues", Kind::Enum(values)) => list(
            values
                .iter()
                .map(|value| {
                    object(prepared, selected, "__EnumValue", |field| {
                        match field.field().name.as_str() {
                            "name" => json!(value),
                            "isDeprecated" => json!(false),
                            _ => Value::Null,
                        }
                    })
                })
                .collect(),
        ),
        _ => Value::Null,
    }
}

fn field_def<'a>(prepared: &Prepared<'a>, def: &FieldDef, selected: &Selected<'a>) -> Value {
    object(prepared, selected, "__Field", |field| {
        match field.field().name.as_str() {
            "name" => json!(def.name),
            "type" => reference(prepared, &def.ty, field),
            "args" => def
                .arguments
                .iter()
                .map(|argument| input_def(prepared, argument, field))
                .collect(),
            "isDeprecated" => json!(false),
            _ => Value::Null,
        }
    })
}

fn input_def<'a>(prepared: &Prepared<'a>, def: &InputDef, selected: &Selected<'a>) -> Value {
    object(prepared, selected, "__InputValue", |field| {
        match field.field().name.as_str() {
            "name" => json!(def.name),
            "type" => reference(prepared, &def.ty, field),
            "isDeprecated" => json!(false),
            _ => Value::Null,
        }
    })
}

/// A `__Type` as a field or an argument refers to it: wrapped in its lists and non-nulls.
fn reference<'a>(prepared: &Prepared<'a>, ty: &Ty, selected: &Selected<'a>) -> Value {
    let (kind, of) = match ty {
        Ty::Named(name) => {
            return prepared
                .schema
                .get(name)
                .map_or(Value::Null, |ty| named(prepared, ty, selected));
        }
        Ty::List(of) => ("LIST", of),
        Ty::NonNull(of) => ("NON_NULL", of),
    };
    object(prepared, selected, "__Type", |field| {
        match field.field().name.as_str() {
            "kind" => json!(kind),
            "ofType" => reference(prepared, of, field),
            _ => Value::Null,
        }
    })
}
