//! Long polls: an answer once there is something new to tell, or the time is up.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;

use crate::api::App;
use crate::api::extract::Parameters;
use crate::api::problem::Problem;
use crate::domain::run::Run;
use crate::engine::Watched;

/// The longest wait that a caller gets, whatever is asked for.
pub(in crate::api) const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How long a caller wants to wait: `?wait=30s`.
pub(super) fn asked(uri: &Uri) -> Result<Option<Duration>, Problem> {
    // What is polled most has no parameters.
    if uri.query().is_none() {
        return Ok(None);
    }
    let mut parameters = Parameters::of(uri)?;
    let wait = parameters.span("wait");
    parameters.done(wait.map(|wait| wait.min(LONGEST_WAIT)))
}

/// Waits until the run is over, is another than the caller has `seen`, or the time is up; sooner where the service stops.
///
/// `false`: it is gone.
pub(super) async fn for_news(
    app: &App,
    watched: &mut Watched,
    seen: impl Fn(&Arc<Run>) -> bool,
    wait: Duration,
) -> bool {
    let time_is_up = tokio::time::sleep(wait);
    let stopped = app.health.stopped();
    tokio::pin!(time_is_up, stopped);
    let _waits = app.health.waits();
    while !watched.run().phase.is_over() && seen(watched.run()) {
        tokio::select! {
            biased;
            is_there = watched.changed() => {
                if !is_there {
                    return false;
                }
            }
            () = &mut time_is_up => break,
            () = &mut stopped => break,
        }
    }
    true
}

/// How long a caller who wants something done waits for it.
const MOMENT: Duration = Duration::from_secs(5);

/// Waits until the run is as it `should` be, or a moment has passed; `false` where it is gone.
pub(in crate::api) async fn until(
    app: &App,
    watched: &mut Watched,
    should: impl Fn(&Run) -> bool,
) -> bool {
    let time_is_up = tokio::time::sleep(MOMENT);
    let stopped = app.health.stopped();
    tokio::pin!(time_is_up, stopped);
    while !should(watched.run()) {
        tokio::select! {
            biased;
            is_there = watched.changed() => {
                if !is_there {
                    return false;
                }
            }
            () = &mut time_is_up => return true,
            () = &mut stopped => return true,
        }
    }
    true
}
