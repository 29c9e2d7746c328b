//! New runs.

use std::sync::Arc;

use ring::digest::{Digest, SHA256, digest};
use rusqlite::{Connection, OptionalExtension, params};

use super::find::seq_of;
use super::measurements::{Row, write_measurements};
use super::number;
use crate::domain::run::{Run, RunId};
use crate::ports::{Inserted, RequestKey, StoreError};
use crate::store::form::{VERSION, plan_text, state_text};
use crate::store::sqlite::stamp;
use crate::store::sqlite::writer::{Note, Notes};

/// A run that is to be inserted, with its texts: they are written before anybody waits for the writer.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Fresh {
    run: Run,
    request: Option<RequestKey>,
    plan: String,
    digest: Digest,
    state: String,
    measurements: Vec<Row>,
}

impl Fresh {
    pub(in crate::store::sqlite) fn of(run: &Run, request: Option<&RequestKey>) -> Self {
        let plan = plan_text(&run.plan);
        let measurements = run.metrics.iter().enumerate().flat_map(|(metric, state)| {
            let measurements = state.measurements.iter();
            measurements.map(move |measurement| Row::of(metric, measurement))
        });
        Self {
            digest: digest(&SHA256, plan.as_bytes()),
            plan,
            state: state_text(run),
            measurements: measurements.collect(),
            run: run.clone(),
            request: request.cloned(),
        }
    }
}

/// Inserts a run, unless its request has been seen before.
pub(in crate::store::sqlite) fn insert(
    connection: &Connection,
    fresh: &Fresh,
    notes: &mut Notes,
) -> Result<Inserted, StoreError> {
    let run = &fresh.run;
    if let Some(request) = &fresh.request
        && let Some(before) = seen_before(connection, request)?
    {
        return Ok(before);
    }
    if seq_of(connection, &run.id)?.is_some() {
        return Err(StoreError::Exists(run.id.clone()));
    }
    let plan = plan_id(connection, fresh)?;
    notes.push(Note::Planned(plan, Arc::clone(&run.plan)));

    let due = run.next_due().map(stamp);
    connection
        .prepare_cached(
            "INSERT INTO runs (id, namespace, name, phase, created_at, completed_at, expires_at, due_at, plan, form, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            run.id.0,
            run.namespace,
            run.name,
            run.phase.name(),
            stamp(run.created_at),
            run.completed_at.map(stamp),
            run.expires_at().map(stamp),
            due,
            plan,
            VERSION,
            fresh.state,
        ])?;
    let seq = connection.last_insert_rowid();
    for (name, value) in &run.labels {
        connection
            .prepare_cached("INSERT INTO labels (run, name, value) VALUES (?1, ?2, ?3)")?
            .execute(params![seq, name, value])?;
    }
    for (place, template) in run.templates.iter().enumerate() {
        connection
            .prepare_cached("INSERT INTO templates (run, place, template) VALUES (?1, ?2, ?3)")?
            .execute(params![seq, number(place), template])?;
    }
    write_measurements(connection, seq, &fresh.measurements)?;
    if let Some(RequestKey { key, fingerprint }) = &fresh.request {
        connection
            .prepare_cached("INSERT INTO requests (key, fingerprint, run) VALUES (?1, ?2, ?3)")?
            .execute(params![key, fingerprint, seq])?;
    }
    notes.push(Note::Due(seq, due));
    Ok(Inserted::New)
}

/// What came of `request` before.
pub(in crate::store::sqlite) fn seen_before(
    connection: &Connection,
    request: &RequestKey,
) -> Result<Option<Inserted>, StoreError> {
    let before = connection
        .prepare_cached(
            "SELECT q.fingerprint, r.id FROM requests q JOIN runs r ON r.seq = q.run WHERE q.key = ?1",
        )?
        .query_row([&request.key], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(before.map(|(fingerprint, id)| {
        if fingerprint == request.fingerprint {
            Inserted::Before(RunId(id))
        } else {
            Inserted::Differs
        }
    }))
}

/// The number of the run's plan, which may be there already.
fn plan_id(connection: &Connection, fresh: &Fresh) -> Result<i64, StoreError> {
    let digest = fresh.digest.as_ref();
    let found = connection
        .prepare_cached("SELECT id FROM plans WHERE digest = ?1 AND form = ?2")?
        .query_row(params![digest, VERSION], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    connection
        .prepare_cached("INSERT INTO plans (digest, form, plan) VALUES (?1, ?2, ?3)")?
        .execute(params![digest, VERSION, fresh.plan])?;
    Ok(connection.last_insert_rowid())
}
