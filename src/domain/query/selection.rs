//! Selection sets as a GraphQL server sees them: fragments resolved, equal keys merged.

use std::collections::{BTreeMap, BTreeSet};

use graphql_parser::Pos;
use graphql_parser::query::{Definition, Document, Field, FragmentDefinition, Selection as Item};

use super::document::{Set, set_of};
use super::{Selected, Selection};
use crate::domain::fault::Fault;

/// How many fields may be selected once fragments are resolved: an OAP stops at 3,000 or earlier.
const MAX_FIELDS: usize = 3_000;

/// How many fragments a query may define.
const MAX_FRAGMENTS: usize = 32;

/// How far down a selection is of interest, its own field not counted: `execExpression { results { metric { labels { key } } } }`.
const DEPTH: usize = 4;

/// The fragments by name; none of them spreads itself, none that is spread is absent.
pub(super) struct Fragments<'d>(BTreeMap<&'d str, &'d FragmentDefinition<'d, &'d str>>);

impl<'d> Fragments<'d> {
    pub(super) fn of(document: &'d Document<'d, &'d str>) -> Result<Self, Fault> {
        let mut fragments = BTreeMap::new();
        for definition in &document.definitions {
            if let Definition::Fragment(fragment) = definition
                && fragments.insert(fragment.name, fragment).is_some()
            {
                return Err(Fault::new(
                    "",
                    format!("the fragment `{}` is defined twice", fragment.name),
                ));
            }
        }
        if fragments.len() > MAX_FRAGMENTS {
            return Err(Fault::new(
                "",
                format!("the query has more than {MAX_FRAGMENTS} fragments"),
            ));
        }
        let mut spreads: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for definition in &document.definitions {
            let (name, set) = match definition {
                Definition::Fragment(fragment) => (fragment.name, &fragment.selection_set),
                Definition::Operation(operation) => ("", set_of(operation)),
            };
            spread_in(set, spreads.entry(name).or_default());
        }
        for name in spreads.values().flatten() {
            if !fragments.contains_key(name) {
                return Err(Fault::new("", format!("no fragment is named `{name}`")));
            }
        }
        match circular(spreads) {
            Some(name) => Err(Fault::new(
                "",
                format!("the fragment `{name}` contains itself"),
            )),
            None => Ok(Self(fragments)),
        }
    }
}

/// The fields of merged sets, by key, in the order of the text.
type Groups<'d> = Vec<(&'d str, (&'d Field<'d, &'d str>, Vec<&'d Set<'d>>))>;

/// Resolves fragments and merges equal keys, as a GraphQL server does when it executes.
pub(super) struct Collector<'c, 'd> {
    fragments: &'c Fragments<'d>,
    ends: &'c BTreeMap<Pos, usize>,
    /// How many fields were seen: fragments within fragments can make very many of few, so it stops at [`MAX_FIELDS`].
    seen: usize,
}

impl<'c, 'd> Collector<'c, 'd> {
    /// A collector for the document that `fragments` and `ends` are of.
    pub(super) fn new(fragments: &'c Fragments<'d>, ends: &'c BTreeMap<Pos, usize>) -> Self {
        Self {
            fragments,
            ends,
            seen: 0,
        }
    }

    /// The fields of an operation, each with its key and what is selected of it.
    pub(super) fn fields(
        &mut self,
        root: &'d Set<'d>,
    ) -> Vec<(&'d str, &'d Field<'d, &'d str>, Selection)> {
        let groups = self.groups(&[root]);
        groups
            .into_iter()
            .map(|(key, (field, sets))| (key, field, self.selection(&sets, DEPTH)))
            .collect()
    }

    /// The fault of a query that selects more than any OAP answers.
    pub(super) fn too_many_fields(&self) -> Option<Fault> {
        (self.seen > MAX_FIELDS).then(|| {
            Fault::new(
                "",
                format!("the query selects more than {MAX_FIELDS} fields, which no OAP answers"),
            )
        })
    }

    fn selection(&mut self, sets: &[&'d Set<'d>], depth: usize) -> Selection {
        let mut fields = Vec::new();
        for (key, (field, sets)) in self.groups(sets) {
            let selection = if depth > 1 {
                self.selection(&sets, depth - 1)
            } else {
                Selection::default()
            };
            fields.push(Selected {
                key: key.to_owned(),
                name: field.name.to_owned(),
                selection,
            });
        }
        let end = sets.first().and_then(|set| self.ends.get(&set.span.0));
        Selection {
            fields,
            end: end.copied(),
        }
    }

    fn groups(&mut self, sets: &[&'d Set<'d>]) -> Groups<'d> {
        let mut groups = Groups::new();
        let mut spread = BTreeSet::new();
        for set in sets {
            self.collect(set, &mut spread, &mut groups);
        }
        groups
    }

    fn collect(
        &mut self,
        set: &'d Set<'d>,
        spread: &mut BTreeSet<&'d str>,
        groups: &mut Groups<'d>,
    ) {
        for item in &set.items {
            if self.seen > MAX_FIELDS {
                return;
            }
            match item {
                Item::Field(field) => {
                    self.seen += 1;
                    let key = field.alias.unwrap_or(field.name);
                    let sets =
                        (!field.selection_set.items.is_empty()).then_some(&field.selection_set);
                    match groups.iter_mut().find(|(other, _)| *other == key) {
                        Some((_, (_, merged))) => merged.extend(sets),
                        None => groups.push((key, (field, sets.into_iter().collect()))),
                    }
                }
                Item::InlineFragment(fragment) => {
                    self.collect(&fragment.selection_set, spread, groups);
                }
                Item::FragmentSpread(named) => {
                    if spread.insert(named.fragment_name)
                        && let Some(fragment) = self.fragments.0.get(named.fragment_name)
                    {
                        self.collect(&fragment.selection_set, spread, groups);
                    }
                }
            }
        }
    }
}

fn spread_in<'d>(set: &'d Set<'d>, names: &mut BTreeSet<&'d str>) {
    for item in &set.items {
        match item {
            Item::Field(field) => spread_in(&field.selection_set, names),
            Item::InlineFragment(fragment) => spread_in(&fragment.selection_set, names),
            Item::FragmentSpread(spread) => {
                names.insert(spread.fragment_name);
            }
        }
    }
}

/// A fragment in a circle: takes away those that spread nothing which is left, until nothing changes.
fn circular<'d>(mut spreads: BTreeMap<&'d str, BTreeSet<&'d str>>) -> Option<&'d str> {
    loop {
        let names: BTreeSet<&str> = spreads.keys().copied().collect();
        let left = spreads.len();
        spreads.retain(|_, spread| !spread.is_disjoint(&names));
        if spreads.len() == left {
            return spreads.keys().copied().find(|name| !name.is_empty());
        }
    }
}

/// Where each selection set ends, by where it begins.
pub(super) fn ends_of_sets<'d>(
    document: &'d Document<'d, &'d str>,
    ends: &[usize],
) -> BTreeMap<Pos, usize> {
    fn begins(set: &Set<'_>, all: &mut Vec<Pos>) {
        if set.items.is_empty() {
            return;
        }
        all.push(set.span.0);
        for item in &set.items {
            match item {
                Item::Field(field) => begins(&field.selection_set, all),
                Item::InlineFragment(fragment) => begins(&fragment.selection_set, all),
                Item::FragmentSpread(_) => {}
            }
        }
    }
    let mut all = Vec::new();
    for definition in &document.definitions {
        match definition {
            Definition::Operation(operation) => begins(set_of(operation), &mut all),
            Definition::Fragment(fragment) => begins(&fragment.selection_set, &mut all),
        }
    }
    all.into_iter().zip(ends.iter().copied()).collect()
}
