//! Whether a query fits the schema; in graphql-java's words.

use graphql_parser::Pos;
use graphql_parser::query as ast;

use super::{
    Definition, Document, Error, Field, Fragments, Literal, Selection, SelectionSet, Variable,
};
use crate::sim::schema::{FieldDef, InputDef, Kind, Schema, Ty};

/// OAP's `maxQueryComplexity`, counted in selections with every fragment spread: fragments can double a query with each line.
const MAX_COMPLEXITY: usize = 3_000;

/// All that is wrong with a document, in its order.
pub(super) fn check(
    text: &str,
    schema: &'static Schema,
    document: &Document,
    fragments: &Fragments<'_>,
) -> Vec<Error> {
    let mut check = Check {
        text,
        schema,
        fragments,
        variables: &[],
        path: Vec::new(),
        entered: Vec::new(),
        visited: 0,
        found: Vec::new(),
    };
    for definition in &document.definitions {
        match definition {
            Definition::Operation(ast::OperationDefinition::SelectionSet(set)) => {
                check.variables = &[];
                check.selection("Query", set);
            }
            Definition::Operation(ast::OperationDefinition::Query(query)) => {
                check.variables = &query.variable_definitions;
                check.variable_types();
                check.selection("Query", &query.selection_set);
            }
            // Fragments are checked where they are spread; the subset has no other operations.
            Definition::Operation(
                ast::OperationDefinition::Mutation(_) | ast::OperationDefinition::Subscription(_),
            )
            | Definition::Fragment(_) => {}
        }
    }
    check.found
}

struct Check<'a> {
    text: &'a str,
    schema: &'static Schema,
    fragments: &'a Fragments<'a>,
    variables: &'a [Variable],
    /// The names of the fields around.
    path: Vec<&'a str>,
    /// The fragments around.
    entered: Vec<&'a str>,
    /// How many selections have been looked at.
    visited: usize,
    found: Vec<Error>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, at: Pos, kind: &str, message: &str) {
        let place = if self.path.is_empty() {
            String::new()
        } else {
            format!("@[{}]", self.path.join("/"))
        };
        let message = format!("Validation error ({kind}{place}) : {message}");
        self.found
            .push(Error::new("ValidationError", Some(at), message));
    }

    fn variable_types(&mut self) {
        for variable in self.variables {
            let ty = Ty::written(&variable.var_type);
            if self.schema.get(ty.core()).is_none() {
                let message = format!("Unknown type '{}'", ty.core());
                self.fault(variable.position, "UnknownType", &message);
            }
        }
    }

    fn selection(&mut self, of: &str, set: &'a SelectionSet) {
        for item in &set.items {
            self.visited += 1;
            if self.visited > MAX_COMPLEXITY {
                let message = format!("maximum query complexity exceeded {MAX_COMPLEXITY}");
                self.found = vec![Error::new("ExecutionAborted", None, message)];
                return;
            }
            match item {
                Selection::Field(field) => self.field(of, field),
                Selection::InlineFragment(fragment) => {
                    self.selection(of, &fragment.selection_set);
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.fragment_name.as_str();
                    let Some(fragment) = self.fragments.get(name) else {
                        let message = format!("Undefined fragment '{name}'");
                        self.fault(spread.position, "UndefinedFragment", &message);
                        continue;
                    };
                    if self.entered.contains(&name) {
                        self.fault(
                            spread.position,
                            "FragmentCycle",
                            "Fragment cycles not allowed",
                        );
                        continue;
                    }
                    let ast::TypeCondition::On(condition) = &fragment.type_condition;
                    self.entered.push(name);
                    self.selection(condition, &fragment.selection_set);
                    self.entered.pop();
                }
            }
        }
    }

    fn field(&mut self, of: &str, field: &'a Field) {
        self.path.push(&field.name);
        if let Some(definition) = self.schema.field(of, &field.name) {
            self.known_field(definition, field);
        } else {
            let message = format!("Field '{}' in type '{of}' is undefined", field.name);
            self.fault(field.position, "FieldUndefined", &message);
        }
        self.path.pop();
    }

    fn known_field(&mut self, definition: &'static FieldDef, field: &'a Field) {
        for (name, value) in &field.arguments {
            if let Some(expected) = find(&definition.arguments, name) {
                self.argument(field, expected, value);
            } else {
                let at = self.position_of_argument(field, name);
                let message = format!("Unknown field argument '{name}'");
                self.fault(at, "UnknownArgument", &message);
            }
        }
        for expected in &definition.arguments {
            let given = field
                .arguments
                .iter()
                .any(|(name, _)| *name == expected.name);
            if expected.ty.is_required() && !given {
                let message = format!("Missing field argument '{}'", expected.name);
                self.fault(field.position, "MissingFieldArgument", &message);
            }
        }

        let core = definition.ty.core();
        match (
            self.schema.is_leaf(core),
            field.selection_set.items.is_empty(),
        ) {
            (true, true) => {}
            (false, false) => self.selection(core, &field.selection_set),
            (true, false) => {
                let message = format!(
                    "Subselection not allowed on leaf type '{core}' of field '{}'",
                    field.name
                );
                self.fault(field.position, "SubselectionNotAllowed", &message);
            }
            (false, true) => {
                let message = format!(
                    "Subselection required for type '{core}' of field '{}'",
                    field.name
                );
                self.fault(field.position, "SubselectionRequired", &message);
            }
        }
    }

    fn argument(&mut self, field: &Field, expected: &InputDef, value: &Literal) {
        let at = self.position_of_argument(field, &expected.name);
        match self.literal(&expected.ty, value) {
            Ok(()) => {}
            Err(Mismatch::Undefined(name)) => {
                let message = format!("Undefined variable '{name}'");
                self.fault(at, "UndefinedVariable", &message);
            }
            Err(Mismatch::Variable { given, expected }) => {
                let message =
                    format!("Variable type '{given}' does not match expected type '{expected}'");
                self.fault(at, "VariableTypeMismatch", &message);
            }
            Err(Mismatch::Literal(what)) => {
                let message = format!("argument '{}' with value '{value}' {what}", expected.name);
                self.fault(at, "WrongType", &message);
            }
        }
    }

    /// Whether a literal is of a type; variables in it are judged by their declarations.
    fn literal(&self, ty: &Ty, value: &Literal) -> Result<(), Mismatch> {
        if let Literal::Variable(name) = value {
            return self.variable(ty, name);
        }
        match (ty, value) {
            (Ty::NonNull(_), Literal::Null) => {
                Err(Mismatch::Literal("must not be null".to_owned()))
            }
            (Ty::NonNull(of), _) => self.literal(of, value),
            (_, Literal::Null) => Ok(()),
            (Ty::List(of), Literal::List(items)) => {
                items.iter().try_for_each(|item| self.literal(of, item))
            }
            // A single value stands for a list of one.
            (Ty::List(of), _) => self.literal(of, value),
            (Ty::Named(name), _) => self.named_literal(name, value),
        }
    }

    fn named_literal(&self, name: &str, value: &Literal) -> Result<(), Mismatch> {
        let wrong = || Err(Mismatch::Literal(format!("is not a valid '{name}'")));
        match (self.schema.get(name).map(|ty| &ty.kind), value) {
            (Some(Kind::Input(fields)), Literal::Object(given)) => {
                for (key, value) in given {
                    match find(fields, key) {
                        Some(field) => self.literal(&field.ty, value)?,
                        None => {
                            return Err(Mismatch::Literal(format!(
                                "contains a field not in '{name}': '{key}'"
                            )));
                        }
                    }
                }
                let missing: Vec<&str> = fields
                    .iter()
                    .filter(|field| field.ty.is_required())
                    .map(|field| field.name.as_str())
                    .filter(|field| !given.contains_key(*field))
                    .collect();
                if missing.is_empty() {
                    return Ok(());
                }
                Err(Mismatch::Literal(format!(
                    "is missing required fields '[{}]'",
                    missing.join(", ")
                )))
            }
            (Some(Kind::Enum(values)), Literal::Enum(given))
                if values.iter().any(|value| value == given) =>
            {
                Ok(())
            }
            (Some(Kind::Scalar), value) => match (name, value) {
                ("String", Literal::String(_))
                | ("ID", Literal::String(_) | Literal::Int(_))
                | ("Int" | "Long", Literal::Int(_))
                | ("Boolean", Literal::Boolean(_)) => Ok(()),
                _ => wrong(),
            },
            _ => wrong(),
        }
    }

    fn variable(&self, expected: &Ty, name: &str) -> Result<(), Mismatch> {
        let Some(variable) = self.variables.iter().find(|known| known.name == name) else {
            return Err(Mismatch::Undefined(name.to_owned()));
        };
        let given = Ty::written(&variable.var_type);
        // A default value fills in for the missing `!`.
        let filled = match (&given, &variable.default_value) {
            (Ty::Named(_) | Ty::List(_), Some(default)) if *default != Literal::Null => {
                Ty::NonNull(Box::new(given.clone()))
            }
            _ => given.clone(),
        };
        if fits(&filled, expected) {
            Ok(())
        } else {
            Err(Mismatch::Variable {
                given: given.to_string(),
                expected: expected.to_string(),
            })
        }
    }

    /// Where the argument `name` of `field` is written; the parser doesn't say.
    fn position_of_argument(&self, field: &Field, name: &str) -> Pos {
        let mut at = field.position;
        let rest = self
            .text
            .lines()
            .enumerate()
            .skip(field.position.line - 1)
            .flat_map(|(i, line)| {
                let skip = if i + 1 == field.position.line {
                    field.position.column - 1
                } else {
                    0
                };
                line.char_indices()
                    .enumerate()
                    .skip(skip)
                    .map(move |(column, (offset, _))| (i + 1, column + 1, &line[offset..]))
            });
        for (line, column, rest) in rest {
            let after = rest.strip_prefix(name).map(str::trim_start);
            if after.is_some_and(|after| after.starts_with(':')) {
                at = Pos { line, column };
                break;
            }
        }
        at
    }
}

/// Why a value doesn't fit where it stands.
enum Mismatch {
    Undefined(String),
    Variable { given: String, expected: String },
    Literal(String),
}

/// Whether a variable of the type `given` may stand where `expected` is asked for.
fn fits(given: &Ty, expected: &Ty) -> bool {
    match (given, expected) {
        (Ty::NonNull(given), Ty::NonNull(expected)) | (Ty::List(given), Ty::List(expected)) => {
            fits(given, expected)
        }
        (Ty::NonNull(given), expected) => fits(given, expected),
        (Ty::Named(given), Ty::Named(expected)) => given == expected,
        (Ty::Named(_) | Ty::List(_), _) => false,
    }
}

fn find<'d>(definitions: &'d [InputDef], name: &str) -> Option<&'d InputDef> {
    definitions.iter().find(|known| known.name == name)
}
