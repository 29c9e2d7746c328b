//! The schema of each generation, read from `schema.graphql`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use graphql_parser::schema as sdl;

use super::Generation;

const TEXT: &str = include_str!("schema.graphql");

/// The type that lends its fields to every other: `__typename`, and to the root `__type` and `__schema`.
const META: &str = "__Meta";

/// What a generation of OAP can be asked.
#[derive(Debug)]
pub(super) struct Schema {
    types: Vec<TypeDef>,
    by_name: BTreeMap<String, usize>,
}

#[derive(Debug)]
pub(super) struct TypeDef {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar,
    Enum(Vec<String>),
    Object(Vec<FieldDef>),
    Input(Vec<InputDef>),
}

#[derive(Debug)]
pub(super) struct FieldDef {
    pub(super) name: String,
    pub(super) arguments: Vec<InputDef>,
    pub(super) ty: Ty,
}

/// An argument or a field of an input type.
#[derive(Debug)]
pub(super) struct InputDef {
    pub(super) name: String,
    pub(super) ty: Ty,
}

/// A reference to a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ty {
    Named(String),
    List(Box<Self>),
    NonNull(Box<Self>),
}

impl Ty {
    /// The named type at its core.
    pub(super) fn core(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::List(of) | Self::NonNull(of) => of.core(),
        }
    }

    pub(super) fn is_required(&self) -> bool {
        matches!(self, Self::NonNull(_))
    }

    /// A type as a query or a schema writes it.
    pub(super) fn written(ty: &graphql_parser::query::Type<'static, String>) -> Self {
        match ty {
            graphql_parser::query::Type::NamedType(name) => Self::Named(name.clone()),
            graphql_parser::query::Type::ListType(of) => Self::List(Box::new(Self::written(of))),
            graphql_parser::query::Type::NonNullType(of) => {
                Self::NonNull(Box::new(Self::written(of)))
            }
        }
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::List(of) => write!(f, "[{of}]"),
            Self::NonNull(of) => write!(f, "{of}!"),
        }
    }
}

impl Schema {
    /// The schema of a generation.
    pub(super) fn of(generation: Generation) -> &'static Self {
        static V9_7: LazyLock<Schema> = LazyLock::new(|| Schema::read(Generation::V9_7));
        static V10_4: LazyLock<Schema> = LazyLock::new(|| Schema::read(Generation::V10_4));
        match generation {
            Generation::V9_7 => &V9_7,
            Generation::V10_4 => &V10_4,
        }
    }

    fn read(generation: Generation) -> Self {
        let document = graphql_parser::parse_schema::<String>(TEXT)
            .expect("the schema is part of the program, and a test reads it");
        let types: Vec<TypeDef> = document
            .definitions
            .iter()
            .filter_map(|definition| match definition {
                sdl::Definition::TypeDefinition(definition) => type_def(definition, generation),
                sdl::Definition::SchemaDefinition(_)
                | sdl::Definition::TypeExtension(_)
                | sdl::Definition::DirectiveDefinition(_) => None,
            })
            .collect();
        let by_name = types
            .iter()
            .enumerate()
            .map(|(i, ty)| (ty.name.clone(), i))
            .collect();
        Self { types, by_name }
    }

    pub(super) fn get(&self, name: &str) -> Option<&TypeDef> {
        self.by_name.get(name).map(|i| &self.types[*i])
    }

    /// The types that introspection lists.
    pub(super) fn types(&self) -> impl Iterator<Item = &TypeDef> {
        self.types.iter().filter(|ty| ty.name != META)
    }

    /// A field of an object type, those of introspection included.
    pub(super) fn field(&self, of: &str, name: &str) -> Option<&FieldDef> {
        let owner = match name {
            "__typename" => META,
            "__type" | "__schema" if of == "Query" => META,
            _ => of,
        };
        match &self.get(owner)?.kind {
            Kind::Object(fields) => fields.iter().find(|field| field.name == name),
            Kind::Scalar | Kind::Enum(_) | Kind::Input(_) => None,
        }
    }

    pub(super) fn is_leaf(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|ty| matches!(ty.kind, Kind::Scalar | Kind::Enum(_)))
    }
}

fn type_def(
    definition: &sdl::TypeDefinition<'static, String>,
    generation: Generation,
) -> Option<TypeDef> {
    let inputs = |values: &[sdl::InputValue<'static, String>]| -> Vec<InputDef> {
        values
            .iter()
            .filter(|value| has(generation, &value.directives))
            .map(|value| InputDef {
                name: value.name.clone(),
                ty: Ty::written(&value.value_type),
            })
            .collect()
    };
    let (name, kind) = match definition {
        sdl::TypeDefinition::Scalar(ty) => (&ty.name, Kind::Scalar),
        sdl::TypeDefinition::Enum(ty) => (
            &ty.name,
            Kind::Enum(ty.values.iter().map(|value| value.name.clone()).collect()),
        ),
        sdl::TypeDefinition::InputObject(ty) => (&ty.name, Kind::Input(inputs(&ty.fields))),
        sdl::TypeDefinition::Object(ty) => {
            let fields = ty
                .fields
                .iter()
                .filter(|field| has(generation, &field.directives))
                .map(|field| FieldDef {
                    name: field.name.clone(),
                    arguments: inputs(&field.arguments),
                    ty: Ty::written(&field.field_type),
                })
                .collect();
            (&ty.name, Kind::Object(fields))
        }
        // The subset has none of these.
        sdl::TypeDefinition::Interface(_) | sdl::TypeDefinition::Union(_) => return None,
    };
    Some(TypeDef {
        name: name.clone(),
        kind,
    })
}

/// Whether `generation` has what carries these directives.
fn has(generation: Generation, directives: &[sdl::Directive<'static, String>]) -> bool {
    directives
        .iter()
        .all(|directive| match directive.name.as_str() {
            "since" => generation == Generation::V10_4,
            "until" => generation == Generation::V9_7,
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_differ_where_the_schema_says() {
        let (old, new) = (Schema::of(Generation::V9_7), Schema::of(Generation::V10_4));
        assert!(old.field("MQEValue", "owner").is_none());
        assert!(new.field("MQEValue", "owner").is_some());
        let metric = |schema: &Schema| schema.field("MQEValues", "metric").unwrap().ty.to_string();
        assert_eq!(metric(old), "Metadata");
        assert_eq!(metric(new), "Metadata!");
    }

    #[test]
    fn every_type_that_is_named_is_there() {
        for generation in [Generation::V9_7, Generation::V10_4] {
            let schema = Schema::of(generation);
            let known = |ty: &Ty| assert!(schema.get(ty.core()).is_some(), "{ty}");
            for ty in &schema.types {
                match &ty.kind {
                    Kind::Scalar | Kind::Enum(_) => {}
                    Kind::Input(fields) => fields.iter().for_each(|field| known(&field.ty)),
                    Kind::Object(fields) => {
                        for field in fields {
                            known(&field.ty);
                            field
                                .arguments
                                .iter()
                                .for_each(|argument| known(&argument.ty));
                        }
                    }
                }
            }
        }
    }
}
