//! GraphQL as an OAP speaks it: the rules are the specification's, the words of its errors graphql-java's.
//!
//! A request is parsed, validated against the schema, its variables are coerced, and its fields are answered by a [`Root`].

mod execute;
mod introspect;
mod validate;
mod variables;

use std::collections::BTreeMap;

use graphql_parser::Pos;
use graphql_parser::query as ast;
use serde_json::{Map, Value, json};

use super::Generation;
use super::schema::Schema;

pub(super) use execute::RootField;

type Document = ast::Document<'static, String>;
type Definition = ast::Definition<'static, String>;
type Fragments<'a> = BTreeMap<&'a str, &'a ast::FragmentDefinition<'static, String>>;
type Selection = ast::Selection<'static, String>;
type SelectionSet = ast::SelectionSet<'static, String>;
type Field = ast::Field<'static, String>;
type Variable = ast::VariableDefinition<'static, String>;
type Literal = ast::Value<'static, String>;

/// What a caller sent.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) text: &'a str,
    pub(super) operation: Option<&'a str>,
    pub(super) variables: Option<&'a Map<String, Value>>,
}

/// Answers the fields of the type `Query`.
pub(super) trait Root {
    /// The whole value of a field, every field of its type included: what was asked for is picked from it.
    /// The error is the text of OAP's exception.
    fn resolve(&self, field: &str, arguments: &Value) -> Result<Value, String>;
}

/// What came of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// It isn't valid for the schema: HTTP 400.
    Invalid(Value),
    /// It was answered, with or without errors: HTTP 200.
    Answered(Value),
}

/// An error in GraphQL's form.
#[derive(Debug)]
struct Error {
    message: String,
    at: Option<Pos>,
    path: Option<String>,
    classification: &'static str,
}

impl Error {
    fn new(classification: &'static str, at: Option<Pos>, message: String) -> Self {
        Self {
            message,
            at,
            path: None,
            classification,
        }
    }

    fn to_json(&self) -> Value {
        let mut error = json!({
            "message": self.message,
            "extensions": {"classification": self.classification},
        });
        if let Some(at) = self.at {
            error["locations"] = json!([{"line": at.line, "column": at.column}]);
        }
        if let Some(path) = &self.path {
            error["path"] = json!([path]);
        }
        error
    }
}

fn errors(errors: &[Error]) -> Value {
    let errors: Vec<Value> = errors.iter().map(Error::to_json).collect();
    json!({ "errors": errors })
}

/// A request that may be executed.
pub(super) struct Prepared<'a> {
    schema: &'static Schema,
    fragments: Fragments<'a>,
    selection: &'a SelectionSet,
    variables: Value,
}

/// Parses, validates, coerces; then hands the request to `next`. What stops a request earlier is its outcome.
pub(super) fn prepare<T>(
    query: &Query<'_>,
    generation: Generation,
    next: impl FnOnce(&Prepared<'_>) -> T,
) -> Result<T, Outcome> {
    let document = parse(query.text)
        .map_err(|fault| Outcome::Answered(errors(&[syntax_error(query.text, &fault)])))?;
    let schema = Schema::of(generation);
    let fragments = fragments(&document);

    let found = validate::check(query.text, schema, &document, &fragments);
    if !found.is_empty() {
        return Err(Outcome::Invalid(errors(&found)));
    }
    let refused = |fault: Error| Outcome::Answered(errors(&[fault]));
    let (definitions, selection) = operation(&document, query.operation).map_err(refused)?;
    let variables = variables::coerce(schema, definitions, query.variables).map_err(refused)?;

    let prepared = Prepared {
        schema,
        fragments,
        selection,
        variables,
    };
    if generation.guards_introspection() {
        introspect::in_good_faith(&prepared).map_err(refused)?;
    }
    Ok(next(&prepared))
}

fn parse(text: &str) -> Result<Document, ast::ParseError> {
    Ok(graphql_parser::parse_query::<String>(text)?.into_static())
}

/// The name under which a request is counted: its operation's, else its first field's.
pub(super) fn operation_name(query: &Query<'_>) -> String {
    let unnamed = || "(not understood)".to_owned();
    let Ok(document) = parse(query.text) else {
        return unnamed();
    };
    let Ok((_, selection)) = operation(&document, query.operation) else {
        return unnamed();
    };
    if let Some(name) = query.operation.or_else(|| first_name(&document)) {
        return name.to_owned();
    }
    let first = selection.items.iter().find_map(|item| match item {
        Selection::Field(field) => Some(field.name.as_str()),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
    });
    first.map_or_else(unnamed, str::to_owned)
}

fn first_name(document: &Document) -> Option<&str> {
    document
        .definitions
        .iter()
        .find_map(|definition| match definition {
            Definition::Operation(ast::OperationDefinition::Query(query)) => query.name.as_deref(),
            Definition::Operation(_) | Definition::Fragment(_) => None,
        })
}

fn fragments(document: &Document) -> Fragments<'_> {
    document
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::Fragment(fragment) => Some((fragment.name.as_str(), fragment)),
            Definition::Operation(_) => None,
        })
        .collect()
}

/// The variables and the selection of the operation to execute.
fn operation<'a>(
    document: &'a Document,
    name: Option<&str>,
) -> Result<(&'a [Variable], &'a SelectionSet), Error> {
    let mut queries = document
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::Operation(ast::OperationDefinition::SelectionSet(set)) => {
                Some((None, &[][..], set))
            }
            Definition::Operation(ast::OperationDefinition::Query(query)) => Some((
                query.name.as_deref(),
                &query.variable_definitions[..],
                &query.selection_set,
            )),
            // The subset has neither mutations nor subscriptions.
            Definition::Operation(
                ast::OperationDefinition::Mutation(_) | ast::OperationDefinition::Subscription(_),
            )
            | Definition::Fragment(_) => None,
        });
    let refuse = |message: String| Err(Error::new("ValidationError", None, message));
    match name.filter(|name| !name.is_empty()) {
        Some(name) => match queries.find(|(known, ..)| *known == Some(name)) {
            Some((_, variables, set)) => Ok((variables, set)),
            None => refuse(format!("Unknown operation named '{name}'.")),
        },
        None => match (queries.next(), queries.next()) {
            (Some((_, variables, set)), None) => Ok((variables, set)),
            (Some(_), Some(_)) => refuse(
                "Must provide operation name if query contains multiple operations.".to_owned(),
            ),
            (None, _) => refuse("Schema is not configured for mutations.".to_owned()),
        },
    }
}

/// graphql-java's text for a query that doesn't parse.
fn syntax_error(query: &str, fault: &ast::ParseError) -> Error {
    let at = position_of(&fault.to_string()).unwrap_or(Pos { line: 1, column: 1 });
    let token = token_at(query, at);
    let message = format!(
        "Invalid syntax with offending token '{token}' at line {} column {}",
        at.line, at.column
    );
    Error::new("InvalidSyntax", Some(at), message)
}

/// The position in the parser's text, `… at 1:9 …`.
fn position_of(fault: &str) -> Option<Pos> {
    let (line, rest) = fault.split_once(" at ")?.1.split_once(':')?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(Pos {
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    })
}

fn token_at(query: &str, at: Pos) -> &str {
    let line = query.lines().nth(at.line - 1).unwrap_or("");
    let start = line
        .char_indices()
        .nth(at.column - 1)
        .map_or(line.len(), |(i, _)| i);
    let rest = line[start..].trim_start_matches([' ', '\t', ',']);
    let word = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(rest.len());
    match (word, rest.chars().next()) {
        (_, None) => "<EOF>",
        (0, Some(_)) if rest.starts_with("...") => "...",
        (0, Some(c)) => &rest[..c.len_utf8()],
        (word, Some(_)) => &rest[..word],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Root for Echo {
        fn resolve(&self, field: &str, arguments: &Value) -> Result<Value, String> {
            match field {
                "version" => Ok(json!("1")),
                "findService" => Ok(json!({"id": arguments["serviceName"], "name": "n"})),
                "checkHealth" => Err("broken".to_owned()),
                _ => Ok(Value::Null),
            }
        }
    }

    fn ask(text: &str, variables: &Value) -> Value {
        let query = Query {
            text,
            operation: None,
            variables: variables.as_object(),
        };
        match prepare(&query, Generation::V10_4, |prepared| {
            prepared.execute(&Echo)
        }) {
            Ok(Outcome::Answered(answer) | Outcome::Invalid(answer))
            | Err(Outcome::Answered(answer) | Outcome::Invalid(answer)) => answer,
        }
    }

    fn check(text: &str, expected: &Value) {
        assert_eq!(ask(text, &Value::Null), *expected, "{text}");
    }

    fn fault(text: &str, variables: &Value) -> String {
        let answer = ask(text, variables);
        answer["errors"][0]["message"]
            .as_str()
            .unwrap_or_else(|| panic!("{text}: {answer}"))
            .to_owned()
    }

    #[test]
    fn fields_aliases_fragments_and_directives() {
        check("{ version }", &json!({"data": {"version": "1"}}));
        check(
            "query A { a: version __typename } fragment Unused on Service { id }",
            &json!({"data": {"a": "1", "__typename": "Query"}}),
        );
        check(
            r#"{ s: findService(serviceName: "x") { ...F ... on Service { name } ... { t: __typename } } } fragment F on Service { id }"#,
            &json!({"data": {"s": {"id": "x", "name": "n", "t": "Service"}}}),
        );
        check(
            r#"{ version @skip(if: true) s: findService(serviceName: "x") { id } s: findService(serviceName: "x") { name @include(if: true) } }"#,
            &json!({"data": {"s": {"id": "x", "name": "n"}}}),
        );
    }

    #[test]
    fn a_failed_field_that_must_not_be_null_leaves_no_data() {
        check(
            "{ version h: checkHealth { score } }",
            &json!({
                "errors": [{
                    "message": "Exception while fetching data (/h) : broken",
                    "locations": [{"line": 1, "column": 11}],
                    "path": ["h"],
                    "extensions": {"classification": "DataFetchingException"},
                }],
                "data": null,
            }),
        );
    }

    #[test]
    fn syntax_errors_name_the_token() {
        let check = |text: &str, token: &str, line: usize, column: usize| {
            assert_eq!(
                fault(text, &Value::Null),
                format!(
                    "Invalid syntax with offending token '{token}' at line {line} column {column}"
                )
            );
        };
        check("query { ", "<EOF>", 1, 9);
        check("", "<EOF>", 1, 1);
        check("query {\n  version\n  }}", "}", 3, 4);
        check("query { version( }", "}", 1, 18);
        check("que { version }", "que", 1, 1);
    }

    #[test]
    fn what_validation_says() {
        let check = |text: &str, message: &str| assert_eq!(fault(text, &Value::Null), message);
        check(
            "{ readMetricValues }",
            "Validation error (FieldUndefined@[readMetricValues]) : Field 'readMetricValues' in type 'Query' is undefined",
        );
        check(
            "{ getTimeInfo { zone } }",
            "Validation error (FieldUndefined@[getTimeInfo/zone]) : Field 'zone' in type 'TimeInfo' is undefined",
        );
        check(
            "{ version(x:1) }",
            "Validation error (UnknownArgument@[version]) : Unknown field argument 'x'",
        );
        check(
            "{ findService { id } }",
            "Validation error (MissingFieldArgument@[findService]) : Missing field argument 'serviceName'",
        );
        check(
            "{ getTimeInfo }",
            "Validation error (SubselectionRequired@[getTimeInfo]) : Subselection required for type 'TimeInfo' of field 'getTimeInfo'",
        );
        check(
            "{ version { x } }",
            "Validation error (SubselectionNotAllowed@[version]) : Subselection not allowed on leaf type 'String' of field 'version'",
        );
        check(
            "{ findService(serviceName: $s) { id } }",
            "Validation error (UndefinedVariable@[findService]) : Undefined variable 's'",
        );
        check(
            "query($s: Strin) { findService(serviceName: $s) { id } }",
            "Validation error (UnknownType) : Unknown type 'Strin'",
        );
        check(
            "query($s: String) { findService(serviceName: $s) { id } }",
            "Validation error (VariableTypeMismatch@[findService]) : Variable type 'String' does not match expected type 'String!'",
        );
        check(
            "{ ...F }",
            "Validation error (UndefinedFragment) : Undefined fragment 'F'",
        );
        check(
            "{ ...F } fragment F on Query { ...F }",
            "Validation error (FragmentCycle) : Fragment cycles not allowed",
        );
        check(
            "{ findService(serviceName: 1) { id } }",
            "Validation error (WrongType@[findService]) : argument 'serviceName' with value '1' is not a valid 'String'",
        );
    }

    #[test]
    fn fragments_cannot_multiply_without_end() {
        let spread = |i: usize| format!("fragment F{i} on Query {{ ...F{0} ...F{0} }} ", i + 1);
        let doubling: String = (0..40).map(spread).collect();
        let text = format!("{{ ...F0 }} {doubling} fragment F40 on Query {{ version }}");
        assert_eq!(
            fault(&text, &Value::Null),
            "maximum query complexity exceeded 3000"
        );
    }

    #[test]
    fn variables_are_coerced() {
        let text = "query($s: String = \"d\", $b: Boolean, $d: Duration) { findService(serviceName: \"x\") { id } s: listServices(layer: $s) { id @include(if: $b) } }";
        let check = |variables: Value, message: &str| assert_eq!(fault(text, &variables), message);
        check(
            json!({"b": "yes"}),
            "Variable 'b' has an invalid value: Expected a value that can be converted to type 'Boolean' but it was a 'String'",
        );
        check(
            json!({"d": []}),
            "Variable 'd' has an invalid value: Expected type 'Map' but was 'ArrayList'. Variables for input objects must be an instance of type 'Map'.",
        );
        check(
            json!({"d": {"start": "", "end": "", "step": "MONTH"}}),
            "Variable 'd' has an invalid value: Invalid input for enum 'Step'. No value found for name 'MONTH'",
        );
        check(
            json!({"d": {"start": "", "end": ""}}),
            "Variable 'd' has an invalid value: Field 'step' has coerced Null value for NonNull type 'Step!'",
        );
    }

    #[test]
    fn the_operation_is_chosen_by_name() {
        let query = |operation| Query {
            text: "query A { version } query B { getTimeInfo { timezone } }",
            operation,
            variables: None,
        };
        let ask = |operation| {
            prepare(&query(operation), Generation::V9_7, |prepared| {
                prepared.execute(&Echo)
            })
        };
        assert_eq!(
            ask(Some("A")).unwrap(),
            Outcome::Answered(json!({"data": {"version": "1"}}))
        );
        let message = |outcome: Result<Outcome, Outcome>| match outcome {
            Err(Outcome::Answered(answer)) => answer["errors"][0]["message"].clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(message(ask(Some("C"))), "Unknown operation named 'C'.");
        assert_eq!(
            message(ask(None)),
            "Must provide operation name if query contains multiple operations."
        );
    }
}
