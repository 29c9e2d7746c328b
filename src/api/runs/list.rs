//! `GET /api/v1/runs`.

use std::collections::BTreeMap;
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
use crate::domain::fault::shown;
use crate::domain::measurement::Phase;
use crate::domain::run::{Run, RunId};
use crate::ports::{Cursor, RunQuery, StoreError};
use crate::wire::RunRow;

/// How many rows a page has, and how many it may have.
const PAGE: usize = 100;
const LONGEST_PAGE: usize = 500;

/// So many runs are read at a time, since each may be large.
pub(in crate::api) const RUNS_AT_A_TIME: usize = 20;

/// A page of runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct RunPage {
    /// One run a row, in flat fields.
    items: Vec<RunRow>,
    /// What to send as `cursor` for the page after it; null where this is the last one.
    next: Option<String>,
}

/// The runs that the parameters describe, newest first, as flat rows.
#[utoipa::path(
    get,
    path = "/api/v1/runs",
    tag = "runs",
    operation_id = "listRuns",
    params(
        ("namespace" = Option<String>, Query, description = "Only those of this namespace"),
        ("template" = Option<String>, Query, description = "Only those that were asked for by this template; `clustertemplates/NAME` for one of a cluster"),
        ("name" = Option<String>, Query, description = "Only those of this name"),
        ("phase" = Option<Vec<String>>, Query, description = "Only those in one of these phases; repeated, or with commas between them"),
        ("label" = Option<Vec<String>>, Query, description = "Only those with this label, `NAME=VALUE`; repeated for further ones"),
        ("from" = Option<String>, Query, description = "Only those that were not over before this moment: RFC 3339, or milliseconds or seconds since 1970"),
        ("to" = Option<String>, Query, description = "Only those created before this moment"),
        ("limit" = Option<u32>, Query, description = "How many rows a page has: 1 to 500, 100 by default", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "`next` of the page before it")
    ),
    responses(
        (status = 200, description = "A page of runs", body = RunPage),
    )
)]
pub(in crate::api) async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::of(&uri)?;
    let query = RunQuery {
        phases: phases(&mut parameters),
        after: cursor(&mut parameters),
        limit: parameters.number("limit", 1..=LONGEST_PAGE).unwrap_or(PAGE),
        ..described(&mut parameters)
    };
    let mut query = parameters.done(query)?;
    let limit = query.limit;
    // One more says whether there is another page.
    query.limit += 1;
    let mut rows = rows(&app, query, |run| (Cursor::of(run), RunRow::new(run))).await?;
    let next = (rows.len() > limit).then(|| written(&rows[limit - 1].0));
    rows.truncate(limit);
    let page = RunPage {
        items: rows.into_iter().map(|(_, row)| row).collect(),
        next,
    };
    Ok(Written::of(&page).answer(StatusCode::OK))
}

/// What `row` makes of the runs that `query` describes, newest first. No more of them than [`RUNS_AT_A_TIME`] are held at once.
pub(in crate::api) async fn rows<R>(
    app: &App,
    mut query: RunQuery,
    row: impl Fn(&Run) -> R,
) -> Result<Vec<R>, StoreError> {
    let most = query.limit;
    let mut rows = Vec::new();
    loop {
        query.limit = RUNS_AT_A_TIME.min(most - rows.len());
        let runs = app.ports.store.list(&query).await?;
        rows.extend(runs.iter().map(&row));
        match runs.last() {
            Some(last) if runs.len() == query.limit && rows.len() < most => {
                query.after = Some(Cursor::of(last));
            }
            Some(_) | None => return Ok(rows),
        }
    }
}

/// The runs that the parameters describe which every list of them takes.
pub(in crate::api) fn described(parameters: &mut Parameters) -> RunQuery {
    RunQuery {
        namespace: parameters.text("namespace"),
        template: parameters.text("template"),
        name: parameters.text("name"),
        labels: labels(parameters),
        from: parameters.moment("from"),
        to: parameters.moment("to"),
        ..RunQuery::default()
    }
}

/// `phase=Failed&phase=Error`, or with a comma between them.
pub(in crate::api) fn phases(parameters: &mut Parameters) -> Vec<Phase> {
    let mut phases = Vec::new();
    for text in parameters.all("phase") {
        for name in text.split(',') {
            match Phase::ALL.into_iter().find(|phase| phase.name() == name) {
                Some(phase) => phases.push(phase),
                None => parameters.fault(
                    "phase",
                    format!(
                        "no phase {}; there are {}",
                        shown(name),
                        crate::domain::fault::listed(Phase::ALL.map(Phase::name))
                    ),
                ),
            }
        }
    }
    phases
}

/// `label=app=reviews`, repeated for further ones.
fn labels(parameters: &mut Parameters) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for text in parameters.all("label") {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                labels.insert(name.to_owned(), value.to_owned());
            }
            _ => parameters.fault(
                "label",
                format!("expected NAME=VALUE, found {}", shown(&text)),
            ),
        }
    }
    labels
}

pub(in crate::api) fn cursor(parameters: &mut Parameters) -> Option<Cursor> {
    parameters.cursor(read)
}

/// A place in the list, as callers hand it back. What is in it is nobody's business.
pub(in crate::api) fn written(cursor: &Cursor) -> String {
    let text = format!("{}/{}", cursor.created_at.as_nanosecond(), cursor.id);
    URL_SAFE_NO_PAD.encode(text)
}

fn read(text: &str) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (created_at, id) = text.split_once('/')?;
    Some(Cursor {
        created_at: Timestamp::from_nanosecond(created_at.parse().ok()?).ok()?,
        id: RunId(id.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let cursor = Cursor {
            created_at: "2026-11-23T09:12:00.123456789Z".parse().unwrap(),
            id: RunId("a/b".to_owned()),
        };
        assert_eq!(read(&written(&cursor)), Some(cursor));
        for text in ["", "x", "eA", "!!", "MS8"] {
            assert_eq!(read(text).is_some(), text == "MS8", "{text}");
        }
    }
}
