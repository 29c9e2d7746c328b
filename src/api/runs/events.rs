//! `GET /api/v1/runs/{id}/events`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};

use super::find;
use crate::api::App;
use crate::api::extract::Id;
use crate::api::problem::Problem;
use crate::api::rendering::Written;
use crate::engine::Watched;

/// How often something is sent while nothing happens, so that whoever is in between keeps the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Every saved change of a run, as server-sent events; the last one is its end.
///
/// An event `run` has the `AnalysisRun` as data and its `ETag` as id; an event `gone` says that it was deleted. A client that comes back
/// with `Last-Event-ID` is not told again what it knows, and gets 204 where there will be nothing more to tell.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{id}/events",
    tag = "runs",
    operation_id = "followRun",
    params(
        ("id" = String, Path, description = "The run's `metadata.uid`"),
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that the caller has seen")
    ),
    responses(
        (status = 200, description = "Events as long as the run goes on", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The run is over, and the caller knows how"),
    )
)]
pub(in crate::api) async fn events(
    State(app): State<Arc<App>>,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let watched = find(&app, &id).await?;
    let known = headers.get("last-event-id").cloned();
    if watched.run().phase.is_over() {
        let last = app.renderings.of(watched.run());
        if known.as_ref() == Some(&last.tag) {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    app.health.refuse_to_wait()?;
    let feed = Feed {
        app,
        watched,
        known,
        is_done: false,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(feed.stream())
        .keep_alive(keep_alive)
        .into_response())
}

/// What a client is told of a run.
struct Feed {
    app: Arc<App>,
    watched: Watched,
    /// The tag of what it knows.
    known: Option<HeaderValue>,
    is_done: bool,
}

impl Feed {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        unfold(self, |mut feed| async move {
            let event = feed.next().await?;
            Some((Ok(event), feed))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        if self.is_done {
            return None;
        }
        loop {
            let written = self.app.renderings.of(self.watched.run());
            self.is_done = self.watched.run().phase.is_over();
            if self.known.as_ref() != Some(&written.tag) {
                self.known = Some(written.tag.clone());
                return Some(of_run(&written));
            }
            if self.is_done {
                return None;
            }
            let _waits = self.app.health.waits();
            tokio::select! {
                biased;
                is_there = self.watched.changed() => {
                    if !is_there {
                        self.is_done = true;
                        return Some(Event::default().event("gone").data("{}"));
                    }
                }
                () = self.app.health.stopped() => return None,
            }
        }
    }
}

fn of_run(written: &Written) -> Event {
    // It was made of texts, and a tag of letters.
    let body = std::str::from_utf8(&written.body).unwrap_or_default();
    let tag = written.tag.to_str().unwrap_or_default();
    Event::default().event("run").id(tag).data(body)
}
