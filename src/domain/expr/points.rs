//! Which points of which series the elements of a list are.

use jiff::tz::Offset;
use serde_json::Value as Json;

use super::ast::{Expr, Kind};
use super::eval::Evaluator;
use super::value::List;
use crate::domain::condition::Scope;
use crate::domain::reading::{PathStep, Series, clock_text};
use crate::domain::window::Step;

/// The series whose points a list has, in its order.
#[derive(Debug)]
pub(in crate::domain) struct Points<'a> {
    place: usize,
    series: &'a Series,
    zone: Offset,
    step: Step,
    /// The points with a value: the n-th is the list's n-th element.
    with_value: Vec<usize>,
}

impl<'a> Points<'a> {
    /// The series that `list` comes from: the one that `expression` names, the one whose place in the result it is,
    /// else the only one with as many values.
    pub(super) fn of(
        evaluator: &mut Evaluator<'a>,
        expression: &Expr,
        list: &List<'a>,
    ) -> Option<Self> {
        let scope = evaluator.scope;
        match (&expression.kind, list) {
            (Kind::Values(name), _) => {
                let place = evaluator.place_of_series(expression.span, name.as_deref());
                Self::of_series(scope, place.ok()?)
            }
            (_, List::Json(items)) => Self::of_list(scope, Some(items), items.len()),
            (_, list) => Self::of_list(scope, None, list.len()),
        }
    }

    /// The series that a list comes from: the one whose place in the result `items` is, else the only one with as many values.
    pub(in crate::domain) fn of_list(
        scope: Scope<'a>,
        items: Option<&[Json]>,
        length: usize,
    ) -> Option<Self> {
        let place = items
            .and_then(|items| place_in_result(scope.series, scope.result, items))
            .or_else(|| only_one_as_long(scope.series, length))?;
        Self::of_series(scope, place)
    }

    pub(in crate::domain) fn of_series(scope: Scope<'a>, place: usize) -> Option<Self> {
        let series = scope.series.get(place)?;
        let points = series.points.iter().enumerate();
        Some(Self {
            place,
            series,
            zone: scope.zone,
            step: scope.step,
            with_value: points
                .filter(|(_, point)| point.value.is_some())
                .map(|(index, _)| index)
                .collect(),
        })
    }

    /// The indexes of the series and of the point that is the list's element at `index`.
    pub(in crate::domain) fn place(&self, index: usize) -> Option<(usize, usize)> {
        self.with_value.get(index).map(|point| (self.place, *point))
    }

    /// When the bucket of the list's element at `index` began.
    pub(in crate::domain) fn time(&self, index: usize) -> Option<String> {
        let point = self.series.points.get(*self.with_value.get(index)?)?;
        point.at.map(|at| clock_text(at, self.zone, self.step))
    }
}

fn place_in_result(series: &[Series], result: &Json, items: &[Json]) -> Option<usize> {
    series.iter().position(|series| {
        let found = series.path.as_ref().and_then(|path| follow(result, path));
        matches!(found, Some(Json::Array(found)) if std::ptr::eq(found.as_slice(), items))
    })
}

fn follow<'j>(result: &'j Json, path: &[PathStep]) -> Option<&'j Json> {
    path.iter().try_fold(result, |json, step| match step {
        PathStep::Key(key) => json.get(key),
        PathStep::Index(index) => json.get(index),
    })
}

fn only_one_as_long(series: &[Series], length: usize) -> Option<usize> {
    let mut fitting = (0..series.len()).filter(|&place| series[place].values().count() == length);
    fitting.next().filter(|_| fitting.next().is_none())
}
