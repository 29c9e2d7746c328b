//! Answers a prepared request.

use serde_json::{Map, Value, json};

use super::introspect;
use super::variables::substitute;
use super::{Error, Field, Outcome, Prepared, Root, Selection, SelectionSet};
use crate::sim::schema::{FieldDef, Kind, Ty};

/// A field of the root, with its arguments as JSON.
#[derive(Debug)]
pub(in crate::sim) struct RootField {
    pub(in crate::sim) arguments: Value,
}

/// Everything that a selection says about one key of the response.
pub(super) struct Selected<'a> {
    pub(super) key: &'a str,
    /// Never empty; more than one where a key is selected repeatedly.
    pub(super) fields: Vec<&'a Field>,
}

impl<'a> Selected<'a> {
    pub(super) fn field(&self) -> &'a Field {
        self.fields[0]
    }

    pub(super) fn sets(&self) -> Vec<&'a SelectionSet> {
        self.fields
            .iter()
            .map(|field| &field.selection_set)
            .collect()
    }
}

impl<'a> Prepared<'a> {
    /// The fields of the root that would be answered.
    pub(in crate::sim) fn root_fields(&self) -> Vec<RootField> {
        self.collect(&[self.selection])
            .iter()
            .filter_map(|selected| {
                let definition = self.schema.field("Query", &selected.field().name)?;
                Some(RootField {
                    arguments: self.arguments(definition, selected.field()),
                })
            })
            .collect()
    }

    /// Answers the request from `root`.
    pub(in crate::sim) fn execute(&self, root: &dyn Root) -> Outcome {
        let mut data = Some(Map::new());
        let mut faults = Vec::new();
        for selected in self.collect(&[self.selection]) {
            let field = selected.field();
            let Some(definition) = self.schema.field("Query", &field.name) else {
                continue;
            };
            let resolved = match field.name.as_str() {
                "__typename" => Ok(json!("Query")),
                "__schema" => Ok(introspect::schema(self, &selected)),
                "__type" => Ok(introspect::type_named(
                    self,
                    &self.arguments(definition, field),
                    &selected,
                )),
                name => root
                    .resolve(name, &self.arguments(definition, field))
                    .map(|value| self.pick(&definition.ty, value, &selected)),
            };
            let value = resolved.unwrap_or_else(|fault| {
                faults.push(Error {
                    message: format!(
                        "Exception while fetching data (/{}) : {fault}",
                        selected.key
                    ),
                    at: Some(field.position),
                    path: Some(selected.key.to_owned()),
                    classification: "DataFetchingException",
                });
                Value::Null
            });
            if value.is_null() && definition.ty.is_required() {
                data = None;
            }
            if let Some(data) = &mut data {
                data.insert(selected.key.to_owned(), value);
            }
        }

        let mut answer = if faults.is_empty() {
            json!({})
        } else {
            super::errors(&faults)
        };
        answer["data"] = data.map_or(Value::Null, Value::Object);
        Outcome::Answered(answer)
    }

    /// What the selection asks for of a resolved value.
    fn pick(&self, ty: &Ty, value: Value, selected: &Selected<'a>) -> Value {
        match (ty, value) {
            (_, Value::Null) => Value::Null,
            (Ty::NonNull(of), value) => self.pick(of, value, selected),
            (Ty::List(of), Value::Array(items)) => items
                .into_iter()
                .map(|item| self.pick(of, item, selected))
                .collect(),
            (Ty::Named(name), Value::Object(fields)) => {
                let mut picked = Map::new();
                for inner in self.collect(&selected.sets()) {
                    let field = inner.field();
                    let value = match self.schema.field(name, &field.name) {
                        Some(_) if field.name == "__typename" => json!(name),
                        Some(definition) => {
                            let value = fields.get(&field.name).cloned().unwrap_or(Value::Null);
                            self.pick(&definition.ty, value, &inner)
                        }
                        None => Value::Null,
                    };
                    picked.insert(inner.key.to_owned(), value);
                }
                Value::Object(picked)
            }
            (Ty::Named(_) | Ty::List(_), value) => value,
        }
    }

    /// The keys that selection sets ask for, in order, fragments spread and directives obeyed.
    pub(super) fn collect(&self, sets: &[&'a SelectionSet]) -> Vec<Selected<'a>> {
        let mut found: Vec<Selected<'a>> = Vec::new();
        for set in sets {
            self.collect_into(&mut found, set);
        }
        found
    }

    fn collect_into(&self, found: &mut Vec<Selected<'a>>, set: &'a SelectionSet) {
        for item in &set.items {
            match item {
                Selection::Field(field) => {
                    if self.is_left_out(&field.directives) {
                        continue;
                    }
                    let key = field.alias.as_ref().unwrap_or(&field.name).as_str();
                    match found.iter_mut().find(|known| known.key == key) {
                        Some(known) => known.fields.push(field),
                        None => found.push(Selected {
                            key,
                            fields: vec![field],
                        }),
                    }
                }
                // The subset has no interfaces: a valid fragment is always about the type at hand.
                Selection::InlineFragment(fragment) => {
                    if !self.is_left_out(&fragment.directives) {
                        self.collect_into(found, &fragment.selection_set);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if self.is_left_out(&spread.directives) {
                        continue;
                    }
                    if let Some(fragment) = self.fragments.get(spread.fragment_name.as_str()) {
                        self.collect_into(found, &fragment.selection_set);
                    }
                }
            }
        }
    }

    fn is_left_out(
        &self,
        directives: &[graphql_parser::query::Directive<'static, String>],
    ) -> bool {
        directives.iter().any(|directive| {
            let condition = directive
                .arguments
                .iter()
                .find(|(name, _)| *name == "if")
                .map(|(_, value)| substitute(value, &self.variables));
            match directive.name.as_str() {
                "skip" => condition == Some(Value::Bool(true)),
                "include" => condition == Some(Value::Bool(false)),
                _ => false,
            }
        })
    }

    /// A field's arguments as JSON: variables filled in, absent ones left out.
    fn arguments(&self, definition: &FieldDef, field: &Field) -> Value {
        let given = |name: &str| {
            let (_, literal) = field.arguments.iter().find(|(known, _)| *known == name)?;
            Some(substitute(literal, &self.variables))
        };
        definition
            .arguments
            .iter()
            .filter_map(|expected| {
                let value = given(&expected.name).filter(|value| !value.is_null())?;
                Some((expected.name.clone(), self.as_list(&expected.ty, value)))
            })
            .collect()
    }

    /// A single value where a list is asked for becomes a list of one.
    fn as_list(&self, ty: &Ty, value: Value) -> Value {
        match (ty, value) {
            (Ty::NonNull(of), value) => self.as_list(of, value),
            (Ty::List(_), value) if !value.is_array() => json!([value]),
            (Ty::Named(name), Value::Object(fields)) => match self.schema.get(name) {
                Some(ty) => match &ty.kind {
                    Kind::Input(known) => fields
                        .into_iter()
                        .map(|(key, value)| {
                            let value = match known.iter().find(|field| field.name == key) {
                                Some(field) => self.as_list(&field.ty, value),
                                None => value,
                            };
                            (key, value)
                        })
                        .collect(),
                    Kind::Scalar | Kind::Enum(_) | Kind::Object(_) => Value::Object(fields),
                },
                None => Value::Object(fields),
            },
            (_, value) => value,
        }
    }
}
