//! `GET /api/v1/annotations`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize as _, Serialize};
use tracing::error;
use utoipa::ToSchema;

use crate::api::App;
use crate::api::extract::Parameters;
use crate::api::problem::Problem;
use crate::api::rendering::Written;
use crate::api::runs::list::{cursor, described, rows, written};
use crate::domain::fault::{listed, shown};
use crate::domain::flagger::{self, CLUSTER_SCOPE};
use crate::domain::rollout::Transition;
use crate::domain::rollout::desk::Desk;
use crate::domain::run::{Run, RunId};
use crate::ports::{Cursor, Record, RecordKind, RunQuery};
use crate::wire::Annotation;

/// How many rows a page has, and how many it may have.
const PAGE: usize = 500;
const LONGEST_PAGE: usize = 1_000;

/// So many rollouts are read at a time.
const RECORDS_AT_A_TIME: usize = 100;

/// A page of annotations.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct AnnotationPage {
    /// One mark on the time line a row, in order of time.
    items: Vec<Annotation>,
    /// What to send as `cursor` for the page of those before them; null where there are none.
    next: Option<String>,
}

/// What happened, as marks on a time line: runs from their start to their end, the weights, aborts and promotions of rollouts,
/// and what Flagger was told about its canaries and told of them.
///
/// A page has the newest ones, in order of time.
#[utoipa::path(
    get,
    path = "/api/v1/annotations",
    tag = "dashboards",
    operation_id = "listAnnotations",
    params(
        ("kind" = Option<Vec<String>>, Query, description = "Only those of this kind: `run`, `rollout` or `flagger`; repeated, or with commas between them"),
        ("namespace" = Option<String>, Query, description = "Only those of this namespace"),
        ("name" = Option<String>, Query, description = "Only those of runs, rollouts and canaries of this name"),
        ("template" = Option<String>, Query, description = "Only those of runs, and of canaries, that are judged by this template; `clustertemplates/NAME` for one of a cluster"),
        ("label" = Option<Vec<String>>, Query, description = "Only those of runs with this label, `NAME=VALUE`; repeated for further ones"),
        ("from" = Option<String>, Query, description = "Only what was not over before this moment: RFC 3339, or milliseconds or seconds since 1970"),
        ("to" = Option<String>, Query, description = "Only what began before this moment"),
        ("limit" = Option<u32>, Query, description = "How many rows a page has: 1 to 1000, 500 by default", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before it")
    ),
    responses(
        (status = 200, description = "A page of annotations", body = AnnotationPage),
    )
)]
pub(in crate::api) async fn annotations(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let wanted = Wanted::read(&uri)?;
    let limit = wanted.limit;
    let mut page = Page {
        wanted,
        rows: Vec::new(),
    };
    for kind in Kind::ALL {
        if page.wanted.has(kind) {
            match kind {
                Kind::Run => page.runs(&app).await?,
                Kind::Rollout => page.records(&app, RecordKind::Rollout, rollout).await?,
                Kind::Flagger => {
                    page.records(&app, RecordKind::FlaggerAttempt, canary)
                        .await?;
                }
            }
        }
    }
    page.keep_newest();
    let mut rows = page.rows;
    let next = (rows.len() > limit).then(|| written(&rows[limit - 1].0));
    rows.truncate(limit);
    let page = AnnotationPage {
        items: rows.into_iter().rev().map(|(_, row)| row).collect(),
        next,
    };
    Ok(Written::of(&page).answer(StatusCode::OK))
}

/// What an annotation is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Run,
    Rollout,
    Flagger,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Run, Self::Rollout, Self::Flagger];

    fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Rollout => "rollout",
            Self::Flagger => "flagger",
        }
    }
}

/// Which annotations somebody wants to see.
struct Wanted {
    kinds: Vec<Kind>,
    runs: RunQuery,
    limit: usize,
}

impl Wanted {
    fn read(uri: &Uri) -> Result<Self, Problem> {
        let mut parameters = Parameters::of(uri)?;
        let kinds = kinds(&mut parameters);
        let limit = parameters.number("limit", 1..=LONGEST_PAGE).unwrap_or(PAGE);
        let wanted = Self {
            kinds,
            runs: RunQuery {
                after: cursor(&mut parameters),
                // One more says whether there is another page.
                limit: limit + 1,
                ..described(&mut parameters)
            },
            limit,
        };
        parameters.done(wanted)
    }

    /// Whether anything of that kind can be wanted: labels are of runs alone, and a rollout names many templates or none.
    fn has(&self, kind: Kind) -> bool {
        let RunQuery {
            template, labels, ..
        } = &self.runs;
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && match kind {
                Kind::Run => true,
                Kind::Rollout => labels.is_empty() && template.is_none(),
                Kind::Flagger => labels.is_empty(),
            }
    }

    fn is_wanted(&self, name: &str, template: Option<&str>) -> bool {
        let RunQuery {
            name: wanted_name,
            template: wanted_template,
            ..
        } = &self.runs;
        wanted_name.as_ref().is_none_or(|wanted| wanted == name)
            && wanted_template
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == template)
    }

    fn is_within(&self, at: Timestamp) -> bool {
        self.runs.from.is_none_or(|from| from <= at) && self.runs.to.is_none_or(|to| at < to)
    }
}

/// `kind=run&kind=rollout`, or with a comma between them.
fn kinds(parameters: &mut Parameters) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for text in parameters.all("kind") {
        for name in text.split(',') {
            match Kind::ALL.into_iter().find(|kind| kind.name() == name) {
                Some(kind) => kinds.push(kind),
                None => parameters.fault(
                    "kind",
                    format!(
                        "no kind {}; there are {}",
                        shown(name),
                        listed(Kind::ALL.map(Kind::name))
                    ),
                ),
            }
        }
    }
    kinds
}

/// The rows that were found, each with where it stands among all of them.
struct Page {
    wanted: Wanted,
    rows: Vec<(Cursor, Annotation)>,
}

/// The moments in a record that are worth a mark.
type Moments = fn(&Wanted, &Record) -> Result<Vec<(Timestamp, Annotation)>, String>;

impl Page {
    async fn runs(&mut self, app: &App) -> Result<(), Problem> {
        let query = self.wanted.runs.clone();
        let row = |run: &Run| (Cursor::of(run), Annotation::of_run(run));
        self.rows.extend(rows(app, query, row).await?);
        Ok(())
    }

    /// Takes what `moments` finds in all records of `kind`. One that can't be read is left out, and logged.
    async fn records(
        &mut self,
        app: &App,
        kind: RecordKind,
        moments: Moments,
    ) -> Result<(), Problem> {
        let namespace = self.wanted.runs.namespace.clone();
        let mut last: Option<(String, String)> = None;
        loop {
            let after = last.as_ref().map(|(a, b)| (a.as_str(), b.as_str()));
            let records = &app.ports.records;
            let found = records
                .records(kind, namespace.as_deref(), after, RECORDS_AT_A_TIME)
                .await?;
            for record in &found {
                // Nothing in it can be newer than itself.
                if self
                    .wanted
                    .runs
                    .from
                    .is_none_or(|from| from <= record.changed_at)
                {
                    match moments(&self.wanted, record) {
                        Ok(moments) => self.take(moments),
                        Err(why) => {
                            let key = &record.key;
                            error!(error = %why, "{key} is left out of the annotations: {why}");
                        }
                    }
                }
            }
            self.keep_newest();
            let Some(record) = found.last().filter(|_| found.len() == RECORDS_AT_A_TIME) else {
                return Ok(());
            };
            last = Some((record.key.namespace.clone(), record.key.name.clone()));
        }
    }

    fn take(&mut self, moments: Vec<(Timestamp, Annotation)>) {
        for (at, row) in moments {
            let place = Cursor {
                created_at: at,
                id: RunId(row.id().to_owned()),
            };
            let after = self.wanted.runs.after.as_ref();
            if self.wanted.is_within(at) && after.is_none_or(|after| place < *after) {
                self.rows.push((place, row));
            }
        }
    }

    /// The newest first, and no more than can be shown.
    fn keep_newest(&mut self) {
        self.rows.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        self.rows.truncate(self.wanted.runs.limit);
    }
}

fn rollout(wanted: &Wanted, record: &Record) -> Result<Vec<(Timestamp, Annotation)>, String> {
    let key = &record.key;
    if !wanted.is_wanted(&key.name, None) {
        return Ok(Vec::new());
    }
    let desk = Desk::from_body(&record.body)?;
    let history = desk
        .record
        .as_ref()
        .and_then(|record| record.get("history"));
    let Some(history) = history else {
        return Ok(Vec::new());
    };
    let history = Vec::<Transition>::deserialize(history).map_err(|error| error.to_string())?;
    let before = std::iter::once(None).chain(history.iter().map(Some));
    let marks = before.zip(&history).filter_map(|(before, now)| {
        let mark = Annotation::of_transition(&key.namespace, &key.name, before, now)?;
        Some((now.at, mark))
    });
    Ok(marks.collect())
}

fn canary(wanted: &Wanted, record: &Record) -> Result<Vec<(Timestamp, Annotation)>, String> {
    let key = &record.key;
    // `CANARY/NAMESPACE/TEMPLATE`, or `CANARY/clustertemplates/TEMPLATE`.
    let mut parts = key.name.splitn(3, '/');
    let name = parts.next().unwrap_or_default();
    let template = match (parts.next(), parts.next()) {
        (Some(CLUSTER_SCOPE), Some(template)) => Some(format!("{CLUSTER_SCOPE}/{template}")),
        (_, template) => template.map(ToOwned::to_owned),
    };
    if !wanted.is_wanted(name, template.as_deref()) {
        return Ok(Vec::new());
    }
    let kept = flagger::Record::from_json(&record.body).map_err(|error| error.to_string())?;
    let marks = kept.history.iter().filter_map(|call| {
        let mark = Annotation::of_call(&key.namespace, name, call)?;
        Some((call.at, mark))
    });
    Ok(marks.collect())
}
