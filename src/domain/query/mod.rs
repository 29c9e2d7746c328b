//! A user's GraphQL query: rendered so that no argument changes its shape, checked before it is sent, and asked for a little more.
//!
//! - `render`: arguments into the template.
//! - `document`: what can be known to be wrong without asking an OAP, and what the query reads.
//! - `entity`: what an entity needs for its scope.
//! - `lexer`: strings and comments.

mod document;
mod entity;
mod lexer;
mod render;
mod selection;
mod variables;

use super::args::Arguments;
use super::fault::Fault;
use super::plan::Entity;

pub use entity::incomplete_entity;
pub(crate) use entity::ranks_entities;

/// The largest query that is sent, in bytes; an OAP itself stops at some thousand fields.
pub const MAX_BYTES: usize = 64 * 1024;

/// A query that can be sent: one operation, a query, with no variable but `$duration` to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    text: String,
    reads: Vec<Read>,
    point_sets: Vec<PointSet>,
    uses_duration: bool,
}

impl Query {
    /// Renders `template` and checks the result.
    ///
    /// In a string literal a value is escaped and arrives exactly as it is; elsewhere it must be a single name, number, boolean or enum value.
    /// A template that is nothing but one placeholder takes the argument as the query.
    ///
    /// The faults' paths are relative to the field: empty. Those of rendering come alone, those of the rendered query all at once.
    pub fn render(template: &str, args: &Arguments) -> Result<Self, Vec<Fault>> {
        Self::parse(Self::rendered(template, args)?)
    }

    /// The first half of it: the text, which may be no query. The faults quote values whole or not at all.
    pub(super) fn rendered(template: &str, args: &Arguments) -> Result<String, Vec<Fault>> {
        render::render(template, args)
    }

    /// Checks a query without placeholders.
    pub fn parse(text: String) -> Result<Self, Vec<Fault>> {
        let facts = document::check(&text)?;
        Ok(Self {
            text,
            reads: facts.reads,
            point_sets: facts.point_sets,
            uses_duration: facts.uses_duration,
        })
    }

    /// The rendered text, as the user wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The metrics that it reads, in the order of the query; aliases and fragments are resolved.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// Whether the window reaches the server at all: a query without `$duration` reads whatever time it names itself.
    pub fn uses_duration(&self) -> bool {
        self.uses_duration
    }

    /// The text with `extras` asked for wherever points are selected, except where the user asks for them already.
    /// Everything else stays byte for byte as it was written. With the text comes what to look for in the answer, and to take out of it.
    pub fn asking(&self, extras: Extras) -> (String, Added) {
        let added = Added {
            id: extras.id.then(|| self.unused("skygate_id")),
            is_empty_value: extras
                .is_empty_value
                .then(|| self.unused("skygate_isEmptyValue")),
        };
        let mut text = String::with_capacity(self.text.len() + 64 * self.point_sets.len());
        let mut copied = 0;
        for set in &self.point_sets {
            text.push_str(&self.text[copied..set.end]);
            copied = set.end;
            text.push_str(&set.addition(&added));
        }
        text.push_str(&self.text[copied..]);
        (text, added)
    }

    /// `alias`, or a longer one where the query mentions it.
    fn unused(&self, alias: &str) -> String {
        let mut alias = alias.to_owned();
        while self.text.contains(&alias) {
            alias.push('_');
        }
        alias
    }
}

/// One metric that a query reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its key in the answer: the alias, else the field's name.
    pub key: String,
    /// How it is read.
    pub field: ReadField,
    /// The metric's name; `None` for an expression, or where the query doesn't say it in a literal.
    pub metric: Option<String>,
    /// The expression, where it is one and the query says it in a literal.
    pub expression: Option<String>,
    /// Whom it is about; `None` where the field takes none or the query gives none.
    pub entity: Option<Entity>,
    /// Whether its time is `$duration`: only then do its points follow the window's buckets.
    pub in_window: bool,
    /// What is selected of it.
    pub selection: Selection,
}

/// The fields of OAP's `Query` that read metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadField {
    /// `readMetricsValue`: one number, 0 where there is no data.
    ReadMetricsValue,
    /// `readNullableMetricsValue`: one number that may be absent.
    ReadNullableMetricsValue,
    /// `readMetricsValues`: a series.
    ReadMetricsValues,
    /// `readLabeledMetricsValues`: a series for each label.
    ReadLabeledMetricsValues,
    /// `sortMetrics`: entities by a metric.
    SortMetrics,
    /// `readHeatMap`.
    ReadHeatMap,
    /// `readSampledRecords`.
    ReadSampledRecords,
    /// `execExpression`: MQE.
    ExecExpression,
}

impl ReadField {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ReadMetricsValue,
        Self::ReadNullableMetricsValue,
        Self::ReadMetricsValues,
        Self::ReadLabeledMetricsValues,
        Self::SortMetrics,
        Self::ReadHeatMap,
        Self::ReadSampledRecords,
        Self::ExecExpression,
    ];

    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadMetricsValue => "readMetricsValue",
            Self::ReadNullableMetricsValue => "readNullableMetricsValue",
            Self::ReadMetricsValues => "readMetricsValues",
            Self::ReadLabeledMetricsValues => "readLabeledMetricsValues",
            Self::SortMetrics => "sortMetrics",
            Self::ReadHeatMap => "readHeatMap",
            Self::ReadSampledRecords => "readSampledRecords",
            Self::ExecExpression => "execExpression",
        }
    }

    /// Its field that has this name, if it is one of them.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The way from this field to its points, which have a `value` and an `isEmptyValue`; `None` where it has none of that kind.
    pub fn way_to_points(self) -> Option<&'static [&'static str]> {
        match self {
            Self::ReadNullableMetricsValue => Some(&[]),
            Self::ReadMetricsValues | Self::ReadLabeledMetricsValues => Some(&["values", "values"]),
            Self::ReadMetricsValue
            | Self::SortMetrics
            | Self::ReadHeatMap
            | Self::ReadSampledRecords
            | Self::ExecExpression => None,
        }
    }
}

/// A selection set with its fragments resolved and equal keys merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    fields: Vec<Selected>,
    /// Where it ends in the text: the offset of the closing brace of the first set that is merged into it.
    end: Option<usize>,
}

/// A field of a [`Selection`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// Its key in the answer: the alias, else the name.
    pub key: String,
    /// Its name in the schema.
    pub name: String,
    /// What is selected of it; empty for a scalar.
    pub selection: Selection,
}

impl Selection {
    /// The selected fields with this name in the schema: more than one where it is selected under several aliases.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Selected> {
        self.fields.iter().filter(move |field| field.name == name)
    }

    /// The key under which a field's value stands in the answer.
    pub fn key_of(&self, name: &str) -> Option<&str> {
        let selected = self.fields.iter().find(|field| field.name == name);
        selected.map(|field| field.key.as_str())
    }
}

/// What may be asked for in addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// `KVInt.id`: which bucket a point is, and whether the server knows metric and entity.
    pub id: bool,
    /// `isEmptyValue`: tells a true 0 from no data. Servers before 9.5 lack it.
    pub is_empty_value: bool,
}

/// What was asked for in addition: the private aliases under which it comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// For `id`.
    pub id: Option<String>,
    /// For `isEmptyValue`.
    pub is_empty_value: Option<String>,
}

/// A selection set of points in the text, and what the user doesn't ask for in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PointSet {
    /// The offset of its closing brace.
    end: usize,
    wants_id: bool,
    wants_is_empty_value: bool,
}

impl PointSet {
    /// What to write before its closing brace.
    fn addition(&self, added: &Added) -> String {
        let wanted = [
            (self.wants_id, &added.id, "id"),
            (
                self.wants_is_empty_value,
                &added.is_empty_value,
                "isEmptyValue",
            ),
        ];
        let fields: Vec<String> = wanted
            .into_iter()
            .filter(|(wanted, _, _)| *wanted)
            .filter_map(|(_, alias, field)| Some(format!("{}: {field}", alias.as_ref()?)))
            .collect();
        if fields.is_empty() {
            String::new()
        } else {
            format!(" {} ", fields.join(" "))
        }
    }
}

/// `value` as it can be shown in a message: whole, so that a secret in it can be masked, or not at all.
fn shown(value: &str) -> String {
    const LONGEST: usize = 80;
    if value.is_empty() {
        "an empty value".to_owned()
    } else if value.len() > LONGEST || value.chars().any(char::is_control) {
        format!("a text of {} bytes", value.len())
    } else {
        format!("`{value}`")
    }
}

#[cfg(test)]
mod tests;
