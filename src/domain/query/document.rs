//! What can be known of a rendered query without asking an OAP: that it is one query, what it reads, where its points are selected.

use std::collections::BTreeMap;

use graphql_parser::query::{
    Definition, Document, OperationDefinition, SelectionSet, Value, VariableDefinition, parse_query,
};

use super::lexer::Place;
use super::selection::{Collector, Fragments, ends_of_sets};
use super::variables::{Variables, used_variables};
use super::{PointSet, Read, ReadField, Selection, render};
use crate::domain::fault::Fault;

/// How deep brackets may nest. Far more than any query of metrics needs, far less than any stack holds.
const MAX_NESTING: usize = 32;

pub(super) type Set<'d> = SelectionSet<'d, &'d str>;
pub(super) type Literal<'d> = Value<'d, &'d str>;

/// What is known of a query.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) reads: Vec<Read>,
    /// By their place in the text, each once.
    pub(super) point_sets: Vec<PointSet>,
    pub(super) uses_duration: bool,
}

/// Parses and checks `text`.
pub(super) fn check(text: &str) -> Result<Facts, Vec<Fault>> {
    if text.len() > super::MAX_BYTES {
        return Err(vec![render::too_large()]);
    }
    if text.trim().is_empty() {
        return Err(vec![Fault::new("", "the query is empty")]);
    }
    let ends = scan(text).map_err(one)?;
    let document = parse_query::<&str>(text).map_err(|e| one(syntax(&e.to_string())))?;
    let operation = operation(&document).map_err(one)?;
    let fragments = Fragments::of(&document).map_err(one)?;
    let ends = ends_of_sets(&document, &ends);

    let mut faults = Vec::new();
    let variables = Variables::declared(operation.variables, &mut faults);
    let used = used_variables(&document);
    variables.check_declared(&used, &mut faults);

    let mut collector = Collector::new(&fragments, &ends);
    let mut reads = Vec::new();
    for (key, field, selection) in collector.fields(operation.set) {
        if let Some(kind) = ReadField::named(field.name) {
            reads.push(variables.read(key, kind, field, selection, &mut faults));
        }
    }
    faults.extend(collector.too_many_fields());
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Facts {
        point_sets: point_sets(&reads),
        reads,
        uses_duration: used.contains("duration"),
    })
}

fn one(fault: Fault) -> Vec<Fault> {
    vec![fault]
}

/// Looks through the text before the parser does, which would recurse into any nesting and cut a character in two in some indentations.
/// Brings the offsets of the braces that end selection sets, in the order in which the sets begin.
fn scan(text: &str) -> Result<Vec<usize>, Fault> {
    let mut brackets = Brackets::default();
    let mut place = Place::Between;
    let mut indenting = false;
    let mut offset = 0;
    while offset < text.len() {
        let before = place;
        let lexeme = place.step(&text[offset..]);
        if before == Place::Between && place == Place::Between {
            brackets.see(lexeme, offset)?;
        }
        if place == Place::Block {
            indenting = match lexeme {
                r#"""""# | "\n" => true,
                _ => indenting && lexeme.chars().all(char::is_whitespace),
            };
            if indenting && !lexeme.is_ascii() {
                return Err(Fault::new(
                    "",
                    "a block string is indented with something else than spaces and tabs",
                ));
            }
        }
        offset += lexeme.len();
    }
    Ok(brackets.ends)
}

/// The brackets that are open at some offset.
#[derive(Default)]
struct Brackets {
    open: Vec<Bracket>,
    parentheses: usize,
    /// Where each selection set ends, in the order in which they begin.
    ends: Vec<usize>,
}

enum Bracket {
    Set { number: usize },
    Parenthesis,
    Other,
}

impl Brackets {
    fn see(&mut self, lexeme: &str, offset: usize) -> Result<(), Fault> {
        match lexeme {
            // Braces within parentheses are objects.
            "{" if self.parentheses == 0 => {
                self.open.push(Bracket::Set {
                    number: self.ends.len(),
                });
                self.ends.push(offset);
            }
            "(" => {
                self.open.push(Bracket::Parenthesis);
                self.parentheses += 1;
            }
            "{" | "[" => self.open.push(Bracket::Other),
            "}" | ")" | "]" => match self.open.pop() {
                Some(Bracket::Set { number }) => self.ends[number] = offset,
                Some(Bracket::Parenthesis) => self.parentheses -= 1,
                // Where they don't match, the parser says so.
                Some(Bracket::Other) | None => {}
            },
            _ => {}
        }
        if self.open.len() > MAX_NESTING {
            return Err(Fault::new(
                "",
                format!("the query nests brackets more than {MAX_NESTING} deep"),
            ));
        }
        Ok(())
    }
}

/// The parser's complaint on one line: `the query doesn't parse at line 2, column 3: unexpected …`.
fn syntax(complaint: &str) -> Fault {
    let complaint = complaint
        .trim()
        .trim_start_matches("query parse error: ")
        .trim_start_matches("Parse error at ");
    let (at, details) = complaint.split_once('\n').unwrap_or(("", complaint));
    let details = details.lines().collect::<Vec<_>>().join("; ");
    let at = match at.split_once(':') {
        Some((line, column)) => format!(" at line {line}, column {column}"),
        None => String::new(),
    };
    Fault::new("", format!("the query doesn't parse{at}: {details}"))
}

/// The only operation.
struct Operation<'d> {
    variables: &'d [VariableDefinition<'d, &'d str>],
    set: &'d Set<'d>,
}

fn operation<'d>(document: &'d Document<'d, &'d str>) -> Result<Operation<'d>, Fault> {
    let mut operations = document.definitions.iter().filter_map(|d| match d {
        Definition::Operation(operation) => Some(operation),
        Definition::Fragment(_) => None,
    });
    let Some(only) = operations.next() else {
        return Err(Fault::new("", "the query has fragments but no operation"));
    };
    if operations.next().is_some() {
        return Err(Fault::new(
            "",
            "the query has several operations; one is sent, and nothing says which",
        )
        .hint("read several metrics in one operation, each under its own alias"));
    }
    let refused = |kind: &str| Fault::new("", format!("a {kind} is never sent: only a query is"));
    match only {
        OperationDefinition::SelectionSet(set) => Ok(Operation {
            variables: &[],
            set,
        }),
        OperationDefinition::Query(query) => Ok(Operation {
            variables: &query.variable_definitions,
            set: &query.selection_set,
        }),
        OperationDefinition::Mutation(_) => Err(refused("mutation")),
        OperationDefinition::Subscription(_) => Err(refused("subscription")),
    }
}

pub(super) fn set_of<'d>(operation: &'d OperationDefinition<'d, &'d str>) -> &'d Set<'d> {
    match operation {
        OperationDefinition::SelectionSet(set) => set,
        OperationDefinition::Query(query) => &query.selection_set,
        OperationDefinition::Mutation(mutation) => &mutation.selection_set,
        OperationDefinition::Subscription(subscription) => &subscription.selection_set,
    }
}

/// Where the points of `reads` are selected, in the order of the text.
fn point_sets(reads: &[Read]) -> Vec<PointSet> {
    let mut found: BTreeMap<usize, PointSet> = BTreeMap::new();
    for read in reads {
        let Some(way) = read.field.way_to_points() else {
            continue;
        };
        for selection in points_of(&read.selection, way) {
            let Some(end) = selection.end else { continue };
            let set = found.entry(end).or_insert(PointSet {
                end,
                wants_id: false,
                wants_is_empty_value: false,
            });
            // A number that may be absent has no id.
            set.wants_id |= !way.is_empty() && selection.key_of("id").is_none();
            set.wants_is_empty_value |= selection.key_of("isEmptyValue").is_none();
        }
    }
    found.into_values().collect()
}

/// The selections at the end of `way`.
fn points_of<'s>(selection: &'s Selection, way: &'static [&'static str]) -> Vec<&'s Selection> {
    match way.split_first() {
        None => vec![selection],
        Some((name, way)) => selection
            .all(name)
            .flat_map(|field| points_of(&field.selection, way))
            .collect(),
    }
}
