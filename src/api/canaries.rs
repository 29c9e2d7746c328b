//! What is kept of Flagger's calls: listed, shown, deleted, and forgotten as ended runs are.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use tracing::{info, warn};

use super::App;
use super::extract::{Named, Parameters};
use super::flagger::{records_of, tell};
use super::problem::{Kind, Problem};
use super::rendering::Written;
use super::templates::{LONGEST_PAGE, PAGE, cursor};
use crate::domain::fault::shown;
use crate::domain::flagger::{Left, Record};
use crate::domain::run::{Command, Run, RunId};
use crate::ports::{Change, Expected, Record as Kept, RecordKind, StoreError, To};
use crate::wire::{CanaryPage, CanaryRow, CanaryView, JudgedBy, KeptCanary};

/// The canaries that Flagger has asked about, by namespace and name, as flat rows: one for each template that a canary is judged by.
#[utoipa::path(
    get,
    path = "/api/v1/flagger/canaries",
    tag = "flagger",
    operation_id = "listCanaries",
    params(
        ("namespace" = Option<String>, Query, description = "Only those of this namespace"),
        ("limit" = Option<u32>, Query, description = "How many rows a page has: 1 to 500, 100 by default", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "`next` of the page before it")
    ),
    responses(
        (status = 200, description = "A page of canaries", body = CanaryPage),
    )
)]
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let mut parameters = Parameters::of(&uri)?;
    let namespace = parameters.text("namespace");
    let limit = parameters.number("limit", 1..=LONGEST_PAGE).unwrap_or(PAGE);
    let after = cursor(&mut parameters);
    let after = parameters.done(after)?;
    let after = after.as_ref().map(|(a, b)| (a.as_str(), b.as_str()));
    // One more says whether there is another page.
    let kind = RecordKind::FlaggerAttempt;
    let records = app
        .ports
        .records
        .records(kind, namespace.as_deref(), after, limit + 1);
    let records = records.await?;
    let last = records.get(limit - 1).filter(|_| records.len() > limit);
    let next = last.map(|last| {
        let place = format!("{}/{}", last.key.namespace, last.key.name);
        URL_SAFE_NO_PAD.encode(place)
    });
    let mut items = Vec::new();
    for kept in records.iter().take(limit) {
        items.push(row(&app, kept).await?);
    }
    Ok(Written::of(&CanaryPage { items, next }).answer(StatusCode::OK))
}

async fn row(app: &App, kept: &Kept) -> Result<CanaryRow, StoreError> {
    let (name, by) = JudgedBy::of_record(&kept.key.name);
    let namespace = &kept.key.namespace;
    Ok(match Record::from_json(&kept.body) {
        Ok(record) => {
            let run = match &record.attempt {
                // How it ended is known.
                Some(attempt) if attempt.end.is_none() => run(app, &attempt.run).await?,
                Some(_) | None => None,
            };
            CanaryRow::new(namespace, name, by, &record, run.as_ref())
        }
        Err(error) => CanaryRow::unreadable(namespace, name, by, error.to_string()),
    })
}

/// A run, if it is still kept. One that cannot be read is as good as gone here; the log tells of it.
async fn run(app: &App, id: &RunId) -> Result<Option<Run>, StoreError> {
    match app.ports.store.get(id).await {
        Err(error @ StoreError::Unreadable(..)) => {
            warn!(run.id = %id, error = %error, "run `{id}` cannot be read: {error}");
            Ok(None)
        }
        found => found,
    }
}

/// What is kept of a canary: its attempts at a version, newest first, each with its newest calls and what they were answered.
#[utoipa::path(
    get,
    path = "/api/v1/flagger/canaries/{namespace}/{name}",
    tag = "flagger",
    operation_id = "getCanary",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name")
    ),
    responses(
        (status = 200, description = "All that is kept of it", body = CanaryView),
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Named { namespace, name }: Named,
) -> Result<Response, Problem> {
    let (mut readable, mut troubles) = (Vec::new(), Vec::new());
    for kept in found(&app, &namespace, &name).await? {
        let (_, by) = JudgedBy::of_record(&kept.key.name);
        let record = match Record::from_json(&kept.body) {
            Ok(record) => record,
            Err(error) => {
                troubles.push(format!("the template {}: {error}", shown(&by.template)));
                continue;
            }
        };
        let mut runs = Vec::new();
        for attempt in record.attempts().filter(|attempt| attempt.end.is_none()) {
            runs.extend(run(&app, &attempt.run).await?);
        }
        readable.push(KeptCanary { by, record, runs });
    }
    let view = CanaryView::new(&namespace, &name, &readable, troubles);
    Ok(Written::of(&view).answer(StatusCode::OK))
}

/// Forgets what is kept of a canary, and ends the run of an attempt that is under way. Whatever Flagger asks next begins a new attempt.
#[utoipa::path(
    delete,
    path = "/api/v1/flagger/canaries/{namespace}/{name}",
    tag = "flagger",
    operation_id = "deleteCanary",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name")
    ),
    responses(
        (status = 204, description = "It is gone"),
    )
)]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Named { namespace, name }: Named,
) -> Result<StatusCode, Problem> {
    let mut records = found(&app, &namespace, &name).await?;
    while let Some(kept) = records.pop() {
        // One that cannot be read has no run that is known.
        if let Ok(record) = Record::from_json(&kept.body)
            && let Some(attempt) = &record.attempt
            && attempt.closed_at.is_none()
        {
            tell(&app, &attempt.run, Command::Terminate).await?;
        }
        match change(&app, &kept, None).await {
            Ok(()) => {}
            // A call came meanwhile: what that began must be ended too.
            Err(StoreError::Changed { .. }) => {
                records = records_of(&app, &namespace, &name).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    info!("what was kept of the canary `{namespace}/{name}` was deleted");
    Ok(StatusCode::NO_CONTENT)
}

async fn found(app: &App, namespace: &str, name: &str) -> Result<Vec<Kept>, Problem> {
    let records = records_of(app, namespace, name).await?;
    if records.is_empty() {
        return Err(Problem::new(
            Kind::NotFound,
            format!(
                "no canary {} in the namespace {}: Flagger has asked nothing about it, or that was forgotten some time after its end",
                shown(name),
                shown(namespace)
            ),
        ));
    }
    Ok(records)
}

/// Puts `record` in the place of what is kept; `None` removes it.
async fn change(app: &App, kept: &Kept, record: Option<&Record>) -> Result<(), StoreError> {
    let change = Change {
        key: kept.key.clone(),
        expected: Expected::Version(kept.version),
        to: record.map_or(To::Gone, |it| To::Body(it.to_json())),
    };
    let now = app.ports.clock.now();
    app.ports.records.change(&[change], now).await.map(drop)
}

/// Forgets attempts that were over before `moment`, and canaries of which nothing was heard since, unless a run still goes on for them.
pub(super) async fn forget(app: &App, moment: Timestamp) -> Result<(), StoreError> {
    let mut after: Option<(String, String)> = None;
    loop {
        let place = after.as_ref().map(|(a, b)| (a.as_str(), b.as_str()));
        let kind = RecordKind::FlaggerAttempt;
        let page = app.ports.records.records(kind, None, place, PAGE).await?;
        for kept in &page {
            match forget_some(app, kept, moment).await {
                // A call was faster: it is not old.
                Ok(()) | Err(StoreError::Changed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let Some(last) = page.last().filter(|_| page.len() == PAGE) else {
            return Ok(());
        };
        after = Some((last.key.namespace.clone(), last.key.name.clone()));
    }
}

async fn forget_some(app: &App, kept: &Kept, moment: Timestamp) -> Result<(), StoreError> {
    let Ok(mut record) = Record::from_json(&kept.body) else {
        // Another version of this program may read it.
        return Ok(());
    };
    match record.forget(moment) {
        Left::All => Ok(()),
        Left::Less => change(app, kept, Some(&record)).await,
        Left::Nothing => {
            let open = record.attempt.filter(|attempt| attempt.closed_at.is_none());
            if let Some(attempt) = open
                && let Some(run) = run(app, &attempt.run).await?
                && !run.phase.is_over()
            {
                return Ok(());
            }
            change(app, kept, None).await
        }
    }
}
