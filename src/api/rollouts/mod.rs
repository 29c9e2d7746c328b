//! Rollouts: what their steppers keep here, and what people want of them.

pub(super) mod commands;
pub(super) mod get;
pub(super) mod list;
pub(super) mod save;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::App;
use super::extract::Named;
use super::problem::{Kind, Problem};
use super::rendering::Written;
use crate::domain::fault::{Fault, Faults, shown};
use crate::domain::rollout::desk::{Desk, DeskError, Lease};
use crate::engine::{DesksError, Kept};
use crate::wire::{LeaseView, RolloutRow, RolloutView};

pub(super) use commands::{abort, pause, promote, resume, retry};
pub(super) use get::get;
pub(super) use list::list;
pub(super) use save::{lease, save};

/// The rollout that a path names.
#[derive(Debug)]
pub(super) struct Place {
    namespace: String,
    name: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Named { namespace, name } = Named::from_request_parts(parts, state).await?;
        for part in [&namespace, &name] {
            let is_plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            if part.is_empty() || part.len() > 253 || !part.chars().all(is_plain) {
                let part = shown(part);
                return Err(Problem::new(
                    Kind::Malformed,
                    format!("{part} is no name: small letters, digits, `-` and `.` are expected"),
                ));
            }
        }
        Ok(Self { namespace, name })
    }
}

/// A body's fields; none at all are as good as an empty object. A list is none, although serde would take its items for fields in order.
fn fields<T: for<'de> Deserialize<'de>>(body: Value) -> Result<T, Problem> {
    let invalid = |message: String| Problem::invalid(Faults::from(Fault::new("", message)));
    let body = match body {
        Value::Null => Value::Object(serde_json::Map::new()),
        Value::Array(_) => return Err(invalid("expected an object, found a list".to_owned())),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => body,
    };
    T::deserialize(body).map_err(|error| invalid(error.to_string()))
}

/// What tells this state of a desk from others: how often the record was saved, the newest command, the newest lease and whether it is held.
fn tag(desk: &Desk) -> HeaderValue {
    let Desk {
        saves,
        fence,
        lease,
        last_command,
        ..
    } = desk;
    let held = if lease.is_some() { "held" } else { "free" };
    HeaderValue::try_from(format!("\"{saves}-{last_command}-{fence}-{held}\""))
        .expect("digits and letters in quotes")
}

/// The number of saves that a tag is of.
fn saves_of(tag: &str) -> Option<u64> {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let (saves, _) = tag.strip_prefix('"')?.split_once('-')?;
    saves.parse().ok()
}

fn row(app: &App, kept: &Kept) -> RolloutRow {
    let Kept {
        namespace,
        name,
        desk,
        changed_at,
    } = kept;
    RolloutRow::new(namespace, name, desk, *changed_at, app.ports.clock.now())
}

/// All that is kept, as it is sent.
fn written(app: &App, kept: &Kept) -> Written {
    let lease = kept.desk.lease.as_ref();
    let lease = lease.map(|lease| lease_view(app, lease));
    Written {
        tag: tag(&kept.desk),
        ..Written::of(&RolloutView::new(row(app, kept), &kept.desk, lease))
    }
}

fn lease_view(app: &App, lease: &Lease) -> LeaseView {
    LeaseView::new(lease, app.rollouts.seen_at(lease))
}

fn nothing() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn no_rollout(place: &Place) -> Problem {
    let Place { namespace, name } = place;
    Problem::new(
        Kind::NotFound,
        format!("no rollout `{namespace}/{name}`: none has been begun under this name"),
    )
}

impl Place {
    /// What has come of a change that the rules, or what is kept, are against.
    fn problem(&self, error: DesksError) -> Problem {
        let error = match error {
            DesksError::Desk(error) => error,
            DesksError::Store(error) => return error.into(),
        };
        let kind = match &error {
            DeskError::Held(_) | DeskError::LeaseLost { .. } | DeskError::Refused(_) => {
                Kind::Conflict
            }
            DeskError::Overtaken { .. } => Kind::Changed,
            DeskError::Unreadable(_) | DeskError::Strange { .. } => Kind::Invalid,
            DeskError::Empty => return no_rollout(self),
            DeskError::Full => Kind::TooMany,
        };
        let Self { namespace, name } = self;
        Problem::new(kind, format!("rollout `{namespace}/{name}`: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tells_states_apart_and_names_its_save() {
        let mut desk = Desk {
            saves: 12,
            last_command: 3,
            fence: 1_764_000_000,
            ..Desk::default()
        };
        assert_eq!(tag(&desk), "\"12-3-1764000000-free\"");
        let before = tag(&desk);
        desk.last_command += 1;
        assert_ne!(tag(&desk), before);
        let check = |text, expected| assert_eq!(saves_of(text), expected, "{text}");
        check("\"12-3-1764000000-free\"", Some(12));
        check("W/\"0-0-0-held\"", Some(0));
        check("*", None);
        check("12-3", None);
        check("\"x-3\"", None);
    }
}
