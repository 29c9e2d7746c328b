//! `GET /api/v1/measurements`.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::App;
use crate::api::extract::Parameters;
use crate::api::problem::Problem;
use crate::api::rendering::Written;
use crate::api::runs::list::{RUNS_AT_A_TIME, described, phases};
use crate::domain::measurement::{Measurement, Phase};
use crate::domain::plan::MetricPlan;
use crate::domain::reading::Series;
use crate::domain::run::{Run, RunId};
use crate::ports::{Cursor, RunQuery};
use crate::wire::MeasurementRow;

/// How many rows a page has, and how many it may have.
const PAGE: usize = 1_000;
const LONGEST_PAGE: usize = 5_000;

/// So many runs are looked through for one page at most.
const MOST_RUNS: usize = 5_000;

/// A page of measurements.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct MeasurementPage {
    /// One series of one measurement a row, in order of time.
    items: Vec<MeasurementRow>,
    /// What to send as `cursor` for the page after it, with older runs; null where this is the last one.
    next: Option<String>,
}

/// The measurements that runs keep, as flat rows: one for each series, with its newest number, and one for a measurement that has none.
///
/// A page has the measurements of the newest runs, in order of time. It ends where it is full, and where it has looked through 5,000 runs:
/// then it may have few rows, or none, and yet another follows.
#[utoipa::path(
    get,
    path = "/api/v1/measurements",
    tag = "dashboards",
    operation_id = "listMeasurements",
    params(
        ("namespace" = Option<String>, Query, description = "Only those of runs of this namespace"),
        ("template" = Option<String>, Query, description = "Only those of runs that were asked for by this template; `clustertemplates/NAME` for one of a cluster"),
        ("name" = Option<String>, Query, description = "Only those of runs of this name"),
        ("run" = Option<String>, Query, description = "Only those of the run with this id"),
        ("label" = Option<Vec<String>>, Query, description = "Only those of runs with this label, `NAME=VALUE`; repeated for further ones"),
        ("metric" = Option<Vec<String>>, Query, description = "Only those of this metric; repeated for further ones"),
        ("phase" = Option<Vec<String>>, Query, description = "Only those that count as one of these phases; repeated, or with commas between them"),
        ("from" = Option<String>, Query, description = "Only those done at this moment or later: RFC 3339, or milliseconds or seconds since 1970"),
        ("to" = Option<String>, Query, description = "Only those done before this moment"),
        ("limit" = Option<u32>, Query, description = "How many rows a page has: 1 to 5000, 1000 by default", minimum = 1, maximum = 5000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before it")
    ),
    responses(
        (status = 200, description = "A page of measurements", body = MeasurementPage),
    )
)]
pub(in crate::api) async fn measurements(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let wanted = Wanted::read(&uri)?;
    let mut page = Page {
        wanted: &wanted,
        rows: Vec::new(),
    };
    let next = page.fill(&app).await?;
    page.rows.sort_unstable_by_key(|(key, _)| *key);
    let page = MeasurementPage {
        items: page.rows.into_iter().map(|(_, row)| row).collect(),
        next: next.map(|next| next.written()),
    };
    Ok(Written::of(&page).answer(StatusCode::OK))
}

/// Which measurements somebody wants to see.
struct Wanted {
    runs: RunQuery,
    run: Option<RunId>,
    metrics: Vec<String>,
    phases: Vec<Phase>,
    after: Option<Place>,
    limit: usize,
}

/// What rows stand in order by: their moment, and what tells those of one moment apart.
type Key = (Timestamp, usize, u64, usize);

/// Where a page goes on: after a run, or after one of its rows.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    run: Cursor,
    row: Option<Key>,
}

/// The rows of a page, as far as they were found.
struct Page<'w> {
    wanted: &'w Wanted,
    rows: Vec<(Key, MeasurementRow)>,
}

impl Wanted {
    fn read(uri: &Uri) -> Result<Self, Problem> {
        let mut parameters = Parameters::of(uri)?;
        let wanted = Self {
            runs: RunQuery {
                limit: RUNS_AT_A_TIME,
                ..described(&mut parameters)
            },
            run: parameters.text("run").map(RunId),
            metrics: parameters.all("metric"),
            phases: phases(&mut parameters),
            after: parameters.cursor(Place::read),
            limit: parameters.number("limit", 1..=LONGEST_PAGE).unwrap_or(PAGE),
        };
        parameters.done(wanted)
    }

    fn is_wanted(&self, measurement: &Measurement) -> bool {
        let at = MeasurementRow::moment(measurement);
        self.runs.from.is_none_or(|from| from <= at)
            && self.runs.to.is_none_or(|to| at < to)
            && (self.phases.is_empty() || self.phases.contains(&measurement.phase))
    }
}

impl Page<'_> {
    /// Takes rows until it is full or there are no more; where there may be more, it says where they go on.
    async fn fill(&mut self, app: &App) -> Result<Option<Place>, Problem> {
        let store = &app.ports.store;
        let mut query = self.wanted.runs.clone();
        if let Some(id) = &self.wanted.run {
            let run = store.get(id).await?;
            let after = self.wanted.after.as_ref().and_then(|place| place.row);
            let run = run.filter(|run| query.describes(run));
            return Ok(run.and_then(|run| self.take(&run, after)));
        }
        if let Some(place) = &self.wanted.after {
            query.after = Some(place.run.clone());
            if let Some(row) = place.row
                && let Some(run) = store.get(&place.run.id).await?
                && let Some(next) = self.take(&run, Some(row))
            {
                return Ok(Some(next));
            }
        }
        for _ in 0..MOST_RUNS / RUNS_AT_A_TIME {
            let runs = store.list(&query).await?;
            for run in &runs {
                if let Some(next) = self.take(run, None) {
                    return Ok(Some(next));
                }
            }
            let Some(last) = runs.last().filter(|_| runs.len() == query.limit) else {
                return Ok(None);
            };
            query.after = Some(Cursor::of(last));
        }
        Ok(query.after.map(|run| Place { run, row: None }))
    }

    /// Takes the newest rows of `run`, or those that are older than `before`. Where there is no room for all of them it says where
    /// the others begin.
    fn take(&mut self, run: &Run, before: Option<Key>) -> Option<Place> {
        let mut found: Vec<(Key, &MetricPlan, &Measurement, Option<&Series>)> = Vec::new();
        for (metric, (plan, state)) in run.metrics().enumerate() {
            if !self.wanted.metrics.is_empty() && !self.wanted.metrics.contains(&plan.name) {
                continue;
            }
            let kept = state.measurements.iter();
            for measurement in kept.filter(|it| self.wanted.is_wanted(it)) {
                let at = MeasurementRow::moment(measurement);
                let why = measurement.explanation.as_ref();
                let series = why.map_or(&[][..], |why| &why.series);
                let rows = series.iter().map(Some);
                let without = series.is_empty().then_some(None);
                for (place, series) in rows.chain(without).enumerate() {
                    let key = (at, metric, measurement.number, place);
                    if before.is_none_or(|before| key < before) {
                        found.push((key, plan, measurement, series));
                    }
                }
            }
        }
        found.sort_unstable_by_key(|(key, ..)| Reverse(*key));
        let room = self.wanted.limit - self.rows.len();
        let rows = found.iter().take(room);
        self.rows
            .extend(rows.map(|(key, plan, measurement, series)| {
                (*key, MeasurementRow::new(run, plan, measurement, *series))
            }));
        (found.len() > room).then(|| Place {
            run: Cursor::of(run),
            // With no room at all they begin with the newest.
            row: match room.checked_sub(1) {
                Some(last) => Some(found[last].0),
                None => Some((Timestamp::MAX, 0, 0, 0)),
            },
        })
    }
}

/// A place as it is written: the moment of the run and its id, and the key of the row.
type Form = (String, String, Option<(String, usize, u64, usize)>);

impl Place {
    /// As callers hand it back. What is in it is nobody's business.
    fn written(&self) -> String {
        let nanoseconds = |at: Timestamp| at.as_nanosecond().to_string();
        let row = self
            .row
            .map(|(at, metric, number, series)| (nanoseconds(at), metric, number, series));
        let form: Form = (nanoseconds(self.run.created_at), self.run.id.0.clone(), row);
        URL_SAFE_NO_PAD.encode(serde_json::json!(form).to_string())
    }

    fn read(text: &str) -> Option<Self> {
        let moment = |text: &str| Timestamp::from_nanosecond(text.parse().ok()?).ok();
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (created_at, id, row): Form = serde_json::from_slice(&bytes).ok()?;
        let row = match row {
            Some((at, metric, number, series)) => Some((moment(&at)?, metric, number, series)),
            None => None,
        };
        Some(Self {
            run: Cursor {
                created_at: moment(&created_at)?,
                id: RunId(id),
            },
            row,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_was() {
        let at: Timestamp = "2026-11-23T09:12:00.123456789Z".parse().unwrap();
        for row in [None, Some((at, 1, 2, 3)), Some((Timestamp::MAX, 0, 0, 0))] {
            let run = Cursor {
                created_at: at,
                id: RunId("a/b".to_owned()),
            };
            let place = Place { run, row };
            assert_eq!(Place::read(&place.written()), Some(place));
        }
        for text in ["", "x", "eA", "!!", "WyIxIl0"] {
            assert_eq!(Place::read(text), None, "{text}");
        }
    }
}
