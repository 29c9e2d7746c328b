//! The variables of a query, of which only `$duration` is filled in, and the literals that its reads are written with.

use std::collections::{BTreeMap, BTreeSet};

use graphql_parser::query::{
    Definition, Document, Field, Selection as Item, Type, Value, VariableDefinition,
};

use super::document::{Literal, Set, set_of};
use super::{Read, ReadField, Selection, entity};
use crate::domain::fault::Fault;
use crate::domain::plan::Entity;

/// The operation's variables and what they are where nobody fills them in.
pub(super) struct Variables<'d>(BTreeMap<&'d str, Option<&'d Literal<'d>>>);

impl<'d> Variables<'d> {
    /// Those that an operation declares, and what is wrong with them.
    pub(super) fn declared(
        definitions: &'d [VariableDefinition<'d, &'d str>],
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut defaults = BTreeMap::new();
        for definition in definitions {
            let name = definition.name;
            let required = matches!(definition.var_type, Type::NonNullType(_));
            if name == "duration" {
                if !is_duration(&definition.var_type) {
                    faults.push(Fault::new(
                        "",
                        format!(
                            "`$duration` is filled in as a `Duration`, and declared as `{}`",
                            definition.var_type
                        ),
                    ));
                }
            } else if required && definition.default_value.is_none() {
                faults.push(
                    Fault::new("", format!("nothing fills in the variable `${name}`"))
                        .hint("only `$duration` is; write arguments as `{{ args.name }}`, or give the variable a default"),
                );
            }
            defaults.insert(name, definition.default_value.as_ref());
        }
        Self(defaults)
    }

    /// Adds a fault for each of `used` that isn't declared.
    pub(super) fn check_declared(&self, used: &BTreeSet<&str>, faults: &mut Vec<Fault>) {
        let unknown = used.iter().filter(|name| !self.0.contains_key(**name));
        faults.extend(unknown.map(|name| undeclared(name)));
    }

    /// What a value will be: itself, or the default of the variable that it is.
    fn resolve(&self, value: &'d Literal<'d>) -> Option<&'d Literal<'d>> {
        match value {
            Value::Variable(name) => self.0.get(name).copied().flatten(),
            literal => Some(literal),
        }
    }

    /// What is read by a field with these arguments; an incomplete entity is a fault.
    pub(super) fn read(
        &self,
        key: &str,
        kind: ReadField,
        field: &'d Field<'d, &'d str>,
        selection: Selection,
        faults: &mut Vec<Fault>,
    ) -> Read {
        let argument = |name: &str| {
            let found = field
                .arguments
                .iter()
                .find(|(argument, _)| *argument == name);
            found.map(|(_, value)| value)
        };
        let condition = argument("condition").and_then(|value| self.resolve(value));
        let entity = match kind {
            ReadField::ExecExpression => argument("entity").and_then(|value| self.resolve(value)),
            ReadField::ReadMetricsValue
            | ReadField::ReadNullableMetricsValue
            | ReadField::ReadMetricsValues
            | ReadField::ReadLabeledMetricsValues
            | ReadField::SortMetrics
            | ReadField::ReadHeatMap
            | ReadField::ReadSampledRecords => {
                condition.and_then(|value| self.field(value, "entity"))
            }
        };
        let entity = entity.and_then(|value| self.entity(value));
        let expression = match argument("expression").and_then(|value| self.resolve(value)) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        };
        let ranks = expression
            .as_ref()
            .is_some_and(|text| entity::ranks_entities(text));
        if let Some(entity) = &entity
            && !ranks
            && let Some(fault) = entity::incomplete_entity(entity)
        {
            faults.push(Fault {
                message: format!("`{key}`: {}", fault.message),
                ..fault
            });
        }
        Read {
            key: key.to_owned(),
            field: kind,
            metric: condition.and_then(|value| self.text(value, "name")),
            expression,
            entity,
            in_window: matches!(argument("duration"), Some(Value::Variable("duration"))),
            selection,
        }
    }

    fn field(&self, object: &'d Literal<'d>, name: &str) -> Option<&'d Literal<'d>> {
        match object {
            Value::Object(fields) => fields.get(name).and_then(|value| self.resolve(value)),
            _ => None,
        }
    }

    fn text(&self, object: &'d Literal<'d>, name: &str) -> Option<String> {
        match self.field(object, name)? {
            Value::String(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn flag(&self, object: &'d Literal<'d>, name: &str) -> Option<bool> {
        match self.field(object, name)? {
            Value::Boolean(flag) => Some(*flag),
            _ => None,
        }
    }

    fn entity(&self, value: &'d Literal<'d>) -> Option<Entity> {
        let Value::Object(_) = value else {
            return None;
        };
        let scope = match self.field(value, "scope") {
            Some(Value::Enum(scope)) => Some((*scope).to_owned()),
            _ => None,
        };
        let text = |name| self.text(value, name);
        Some(Entity {
            scope,
            service_name: text("serviceName"),
            normal: self.flag(value, "normal"),
            service_instance_name: text("serviceInstanceName"),
            endpoint_name: text("endpointName"),
            process_name: text("processName"),
            dest_service_name: text("destServiceName"),
            dest_normal: self.flag(value, "destNormal"),
            dest_service_instance_name: text("destServiceInstanceName"),
            dest_endpoint_name: text("destEndpointName"),
            dest_process_name: text("destProcessName"),
        })
    }
}

fn is_duration<'d>(of: &Type<'d, &'d str>) -> bool {
    match of {
        Type::NamedType(name) => *name == "Duration",
        Type::NonNullType(of) => matches!(&**of, Type::NamedType("Duration")),
        Type::ListType(_) => false,
    }
}

/// The names of the variables that are used anywhere.
pub(super) fn used_variables<'d>(document: &'d Document<'d, &'d str>) -> BTreeSet<&'d str> {
    fn in_value<'d>(value: &'d Literal<'d>, names: &mut BTreeSet<&'d str>) {
        match value {
            Value::Variable(name) => {
                names.insert(name);
            }
            Value::List(items) => items.iter().for_each(|item| in_value(item, names)),
            Value::Object(fields) => fields.values().for_each(|field| in_value(field, names)),
            Value::Int(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Boolean(_)
            | Value::Null
            | Value::Enum(_) => {}
        }
    }
    fn in_set<'d>(set: &'d Set<'d>, names: &mut BTreeSet<&'d str>) {
        for item in &set.items {
            let directives = match item {
                Item::Field(field) => {
                    for (_, value) in &field.arguments {
                        in_value(value, names);
                    }
                    in_set(&field.selection_set, names);
                    &field.directives
                }
                Item::InlineFragment(fragment) => {
                    in_set(&fragment.selection_set, names);
                    &fragment.directives
                }
                Item::FragmentSpread(spread) => &spread.directives,
            };
            for (_, value) in directives.iter().flat_map(|d| &d.arguments) {
                in_value(value, names);
            }
        }
    }
    let mut names = BTreeSet::new();
    for definition in &document.definitions {
        match definition {
            Definition::Operation(operation) => in_set(set_of(operation), &mut names),
            Definition::Fragment(fragment) => in_set(&fragment.selection_set, &mut names),
        }
    }
    names
}

fn undeclared(name: &str) -> Fault {
    let fault = Fault::new("", format!("the query uses `${name}` without declaring it"));
    if name == "duration" {
        fault.hint("begin it with `query q($duration: Duration!)`")
    } else {
        fault.hint("only `$duration` is filled in; write arguments as `{{ args.name }}`")
    }
}
