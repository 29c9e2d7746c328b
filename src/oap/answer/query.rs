//! The answer to a user's query.

use serde_json::Value;

use super::parts::{Keys, array, keep_seen, label_of, number, object};
use super::point::{Buckets, Found};
use super::{MetricTypes, check_kinds, error, expression, malformed, unique, unknown_metric};
use crate::domain::plan::Gaps;
use crate::domain::query::{Added, Query, Read, ReadField, Selected, Selection, incomplete_entity};
use crate::domain::reading::{Answer, ErrorClass, PathStep, Point, PointKind, Series, SourceError};
use crate::domain::window::Window;

/// Turns the `data` of an answer into what conditions see and into series.
///
/// What was `added` to the query is taken out, and so are points without data under [`Gaps::Skip`]; everything else stays as it came.
/// A series is named by its key in the answer; one of a labelled metric by its label, as `key{label}` where the query reads several metrics.
pub fn decode_query(
    query: &Query,
    added: &Added,
    data: Value,
    window: &Window,
    gaps: Gaps,
    types: &MetricTypes,
) -> Result<Answer, SourceError> {
    check_kinds(query, types)?;
    let mut result = data;
    let Value::Object(fields) = &mut result else {
        return Err(malformed("the answer's `data` is no object"));
    };
    let mut decoder = Decoder {
        added,
        buckets: Buckets { window, gaps },
        several: query.reads().len() > 1,
        series: Vec::new(),
        notes: Vec::new(),
    };
    for read in query.reads() {
        // Absent: a directive left it out.
        if let Some(value) = fields.get_mut(&read.key) {
            decoder.read(read, value)?;
        }
    }
    decoder.note_ambiguous_zeros();
    Ok(Answer {
        series: decoder.series,
        notes: decoder.notes,
        result,
    })
}

struct Decoder<'a> {
    added: &'a Added,
    buckets: Buckets<'a>,
    several: bool,
    series: Vec<Series>,
    notes: Vec<String>,
}

impl Decoder<'_> {
    fn read(&mut self, read: &Read, value: &mut Value) -> Result<(), SourceError> {
        let path = vec![PathStep::Key(read.key.clone())];
        if value.is_null() {
            self.push(read.key.clone(), None, Vec::new());
            return Ok(());
        }
        match read.field {
            ReadField::ReadMetricsValue => self.bare_number(read, value),
            ReadField::ReadNullableMetricsValue => self.nullable_number(read, value),
            ReadField::ReadMetricsValues => self.metrics_values(read, value, &read.key, &path),
            ReadField::ReadLabeledMetricsValues => self.labelled(read, value, &path),
            ReadField::SortMetrics | ReadField::ReadSampledRecords => {
                self.records(read, value, path)
            }
            ReadField::ReadHeatMap => Ok(()),
            ReadField::ExecExpression => self.expression(read, value, &path),
        }
    }

    fn bare_number(&mut self, read: &Read, value: &Value) -> Result<(), SourceError> {
        let number = number(value, &read.key)?;
        let found = if number == 0.0 {
            Found::ZeroOrNothing
        } else {
            Found::Number(number)
        };
        self.single(read, found);
        Ok(())
    }

    fn nullable_number(&mut self, read: &Read, value: &mut Value) -> Result<(), SourceError> {
        let keys = Keys::of(&read.selection, self.added);
        let fields = object(value, &read.key)?;
        let found = keys.found(fields, &read.key)?;
        keys.strip(fields);
        if let (Some(Found::Nothing), Some(key), Gaps::Skip) =
            (found, keys.value, self.buckets.gaps)
        {
            fields.insert(key.to_owned(), Value::Null);
        }
        if let Some(found) = found {
            self.single(read, found);
        }
        Ok(())
    }

    /// `label values { values { value } }`.
    fn metrics_values(
        &mut self,
        read: &Read,
        value: &mut Value,
        name: &str,
        path: &[PathStep],
    ) -> Result<(), SourceError> {
        for outer in read.selection.all("values") {
            for inner in outer.selection.all("values") {
                let path = deeper(path, &[outer, inner]);
                let name = unique(name.to_owned(), &self.series);
                let list = value
                    .get_mut(&outer.key)
                    .and_then(|values| values.get_mut(&inner.key));
                match list {
                    Some(Value::Array(list)) => {
                        self.points(read, list, &inner.selection, name, path)?;
                    }
                    Some(Value::Null) | None => self.push(name, None, Vec::new()),
                    Some(_) => {
                        return Err(malformed(format!("the points of `{name}` are no list")));
                    }
                }
            }
        }
        Ok(())
    }

    fn labelled(
        &mut self,
        read: &Read,
        value: &mut Value,
        path: &[PathStep],
    ) -> Result<(), SourceError> {
        let list = array(value, &read.key)?;
        if list.is_empty() {
            let metric = read.metric.as_deref().unwrap_or(&read.key);
            self.notes.push(format!(
                "the OAP has none of the labels that `{}` asks for: since 10.0 labels have names, read them with an `expression` such as `{metric}{{p='99'}}`",
                read.key
            ));
            self.push(read.key.clone(), None, Vec::new());
            return Ok(());
        }
        let label_key = read.selection.key_of("label");
        for (index, value) in list.iter_mut().enumerate() {
            let label = label_key.and_then(|key| value.get(key)?.as_str());
            let name = match label {
                Some(label) => self.labelled_name(read, label),
                None => format!("{}[{index}]", read.key),
            };
            let mut path = path.to_vec();
            path.push(PathStep::Index(index));
            self.metrics_values(read, value, &name, &path)?;
        }
        Ok(())
    }

    fn labelled_name(&self, read: &Read, label: &str) -> String {
        if self.several {
            format!("{}{{{label}}}", read.key)
        } else {
            label.to_owned()
        }
    }

    fn points(
        &mut self,
        read: &Read,
        list: &mut Vec<Value>,
        selection: &Selection,
        name: String,
        path: Vec<PathStep>,
    ) -> Result<(), SourceError> {
        let keys = Keys::of(selection, self.added);
        let count = list.len();
        let mut points = Vec::with_capacity(count);
        for (n, element) in list.iter_mut().enumerate() {
            let fields = object(element, &name)?;
            let id = keys.id.and_then(|key| fields.get(key)?.as_str());
            if let Some(id) = id {
                check_id(id, read)?;
            }
            let mut at = id.and_then(|id| self.buckets.of_id(id));
            if read.in_window {
                self.buckets.check(at)?;
                at = at.or_else(|| self.buckets.of_position(n, count));
            }
            if let (Some(found), Some(key)) = (keys.found(fields, &name)?, keys.value) {
                if found == Found::Nothing {
                    fields.insert(key.to_owned(), Value::from(0));
                }
                points.push(self.buckets.point(at, found));
            }
            keys.strip(fields);
        }
        // Without a `value` in it there is nothing to judge, and nothing to leave out.
        if keys.value.is_some() {
            keep_seen(list, &points);
            self.push(name, Some(path), points);
        }
        Ok(())
    }

    /// A list of `{ name value }`, without times.
    fn records(
        &mut self,
        read: &Read,
        value: &mut Value,
        path: Vec<PathStep>,
    ) -> Result<(), SourceError> {
        let list = array(value, &read.key)?;
        let Some(key) = read.selection.key_of("value") else {
            return Ok(());
        };
        let mut points = Vec::with_capacity(list.len());
        for record in list.iter() {
            let found = match record.get(key) {
                Some(Value::String(text)) => Found::Number(self.buckets.number(text, None)?),
                Some(Value::Null) | None => Found::Nothing,
                Some(value) => Found::Number(number(value, &read.key)?),
            };
            points.push(self.buckets.point(None, found));
        }
        keep_seen(list, &points);
        self.push(read.key.clone(), Some(path), points);
        Ok(())
    }

    /// `type error results { metric { labels { key value } } values { id value } }`, as far as it is selected.
    fn expression(
        &mut self,
        read: &Read,
        value: &mut Value,
        path: &[PathStep],
    ) -> Result<(), SourceError> {
        let text = |name: &str| {
            let key = read.selection.key_of(name)?;
            value.get(key)?.as_str()
        };
        let asked = read.expression.as_deref().unwrap_or(&read.key);
        expression::check(asked, text("type"), text("error"))?;
        // The ids of a list are names, which may be digits too.
        let is_of_window = read.in_window && text("type") == Some("TIME_SERIES_VALUES");
        let buckets = Some(self.buckets).filter(|_| is_of_window);
        for results in read.selection.all("results") {
            let Some(list) = value.get_mut(&results.key) else {
                continue;
            };
            let list = array(list, &read.key)?;
            if list.is_empty() {
                self.push(read.key.clone(), None, Vec::new());
            }
            for (index, result) in list.iter_mut().enumerate() {
                let name = match label_of(result, &results.selection) {
                    Some(label) => self.labelled_name(read, &label),
                    None => read.key.clone(),
                };
                for values in results.selection.all("values") {
                    let mut path = deeper(path, &[results]);
                    path.extend([PathStep::Index(index), PathStep::Key(values.key.clone())]);
                    let name = unique(name.clone(), &self.series);
                    if let Some(list) = result.get_mut(&values.key) {
                        let list = array(list, &read.key)?;
                        self.mqe_values(list, &values.selection, name, path, buckets)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn mqe_values(
        &mut self,
        list: &mut Vec<Value>,
        selection: &Selection,
        name: String,
        path: Vec<PathStep>,
        asked: Option<Buckets<'_>>,
    ) -> Result<(), SourceError> {
        let Some(key) = selection.key_of("value") else {
            return Ok(());
        };
        let id_key = selection.key_of("id");
        let mut points = Vec::with_capacity(list.len());
        for value in list.iter_mut() {
            let id = id_key.and_then(|key| value.get(key)?.as_str());
            let at = id.and_then(|id| self.buckets.of_mqe_id(id));
            asked.map_or(Ok(()), |asked| asked.check(at))?;
            let found = match value.get(key).and_then(Value::as_str) {
                Some(text) => Found::Number(self.buckets.number(text, at)?),
                None => Found::Nothing,
            };
            if let (Found::Nothing, Gaps::Zero, Some(fields)) =
                (found, self.buckets.gaps, value.as_object_mut())
            {
                fields.insert(key.to_owned(), Value::from("0"));
            }
            points.push(self.buckets.point(at, found));
        }
        keep_seen(list, &points);
        self.push(name, Some(path), points);
        Ok(())
    }

    fn single(&mut self, read: &Read, found: Found) {
        let point = self.buckets.point(None, found);
        self.push(read.key.clone(), None, vec![point]);
        if read.field == ReadField::ReadMetricsValue && point.kind == PointKind::ZeroOrNothing {
            self.notes.push(format!(
                "`readMetricsValue` answers 0 for no data too, so the 0 of `{}` may be either: `readNullableMetricsValue` tells them apart",
                read.key
            ));
        }
    }

    fn push(&mut self, name: String, path: Option<Vec<PathStep>>, points: Vec<Point>) {
        self.series.push(Series { name, path, points });
    }

    fn note_ambiguous_zeros(&mut self) {
        let ambiguous = self.series.iter().filter(|series| {
            let zero = |point: &Point| point.kind == PointKind::ZeroOrNothing;
            series.path.is_some() && series.points.iter().any(zero)
        });
        let names: Vec<String> = ambiguous
            .map(|series| format!("`{}`", series.name))
            .collect();
        if !names.is_empty() {
            self.notes.push(format!(
                "this OAP cannot tell zero from nothing (`isEmptyValue` came with 9.5): each 0 of {} may be either",
                names.join(", ")
            ));
        }
    }
}

/// Two things that an OAP says in nothing but the ids of a series of zeros.
fn check_id(id: &str, read: &Read) -> Result<(), SourceError> {
    let metric = read.metric.as_deref().unwrap_or(&read.key);
    if id.ends_with("_UNKNOWN_METRIC_NAME") {
        return Err(unknown_metric(metric));
    }
    if id.ends_with("_ILLEGAL_ENTITY") {
        let what = match read.entity.as_ref().and_then(incomplete_entity) {
            Some(fault) => fault.message,
            None => "give `normal` and every name that its scope needs".to_owned(),
        };
        return Err(error(
            ErrorClass::IncompleteEntity,
            format!("the OAP refuses the entity of `{}`: {what}", read.key),
        ));
    }
    Ok(())
}

fn deeper(path: &[PathStep], fields: &[&Selected]) -> Vec<PathStep> {
    let mut path = path.to_vec();
    path.extend(fields.iter().map(|field| PathStep::Key(field.key.clone())));
    path
}
