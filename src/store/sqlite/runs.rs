//! Runs in SQL: how they are written, read, and found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ring::digest::{Digest, SHA256, digest};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use tracing::error;

use super::desk::{Saved, Saving, Seq, Stamp, numbers};
use super::failure::{explain, is_damage};
use super::stamp;
use super::writer::{Note, Notes};
use crate::domain::measurement::{Measurement, Phase};
use crate::domain::run::{Command, Run, RunId};
use crate::ports::{Inserted, Next, RequestKey, RunQuery, StoreError, Tally};
use crate::store::form::{
    FormError, Identity, Text, VERSION, command_of, command_text, measurement_text, phase_named,
    plan_text, run_of, state_text,
};
use crate::store::plans::Plans;

/// A run that is to be inserted, with its texts: they are written before anybody waits for the writer.
#[derive(Debug)]
pub(super) struct Fresh {
    run: Run,
    request: Option<RequestKey>,
    plan: String,
    digest: Digest,
    state: String,
    measurements: Vec<Row>,
}

/// A measurement that is to be written.
#[derive(Debug)]
struct Row {
    metric: usize,
    number: u64,
    text: String,
}

impl Row {
    fn of(metric: usize, measurement: &Measurement) -> Self {
        Self {
            metric,
            number: measurement.number,
            text: measurement_text(measurement),
        }
    }
}

impl Fresh {
    pub(super) fn of(run: &Run, request: Option<&RequestKey>) -> Self {
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
pub(super) fn insert(
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

fn seen_before(
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

/// The number of the run of that id.
pub(super) fn seq_of(connection: &Connection, id: &RunId) -> Result<Option<Seq>, StoreError> {
    let seq = connection
        .prepare_cached("SELECT seq FROM runs WHERE id = ?1")?
        .query_row([&id.0], |row| row.get(0))
        .optional()?;
    Ok(seq)
}

/// What a holder's save writes, with its texts.
#[derive(Debug)]
pub(super) struct Save {
    id: RunId,
    phase: Phase,
    completed_at: Option<Stamp>,
    expires_at: Option<Stamp>,
    due: Option<Stamp>,
    next: Next,
    state: String,
    stored: Vec<Option<(u64, u64)>>,
    fresh: Vec<Row>,
}

impl Save {
    /// What is new of `run` to a file that holds of it what `saving` says. A measurement that is in the file is not written again.
    pub(super) fn of(run: &Run, next: Next, saving: &Saving) -> Self {
        let stored = &saving.holding.stored;
        let metrics = run.metrics.iter().enumerate();
        let fresh = metrics.flat_map(|(metric, state)| {
            let last = stored.get(metric).copied().flatten().map_or(0, |it| it.1);
            let fresh = state.measurements.iter().filter(move |it| it.number > last);
            fresh.map(move |measurement| Row::of(metric, measurement))
        });
        Self {
            id: run.id.clone(),
            phase: run.phase,
            completed_at: run.completed_at.map(stamp),
            expires_at: run.expires_at().map(stamp),
            due: run.next_due().map(stamp),
            next,
            state: state_text(run),
            fresh: fresh.collect(),
            stored: numbers(run),
        }
    }
}

/// Saves a run for its holder.
pub(super) fn save(
    connection: &Connection,
    save: Save,
    saving: Saving,
    notes: &mut Notes,
) -> Result<(), StoreError> {
    let seq = saving.seq;
    write_state(connection, seq, &save, saving.holding.phase)?;
    let stored = saving.holding.stored.iter().zip(&save.stored).enumerate();
    for (metric, (before, after)) in stored {
        drop_measurements(connection, seq, metric, *before, *after)?;
    }
    write_measurements(connection, seq, &save.fresh)?;
    let has_post = if saving.has_post {
        connection
            .prepare_cached("DELETE FROM inbox WHERE run = ?1 AND seq <= ?2")?
            .execute([seq, saving.holding.delivered])?;
        let has_post = connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM inbox WHERE run = ?1)")?
            .query_row([seq], |row| row.get(0))?;
        Some(has_post)
    } else {
        None
    };
    notes.push(Note::Saved(
        saving,
        Saved {
            next: save.next,
            phase: save.phase,
            stored: save.stored,
            due: save.due,
            has_post,
        },
    ));
    Ok(())
}

/// Writes the columns that have changed: an index costs as much as the row.
fn write_state(
    connection: &Connection,
    seq: Seq,
    save: &Save,
    before: Phase,
) -> Result<(), StoreError> {
    let Save {
        id,
        phase,
        completed_at,
        expires_at,
        due,
        next,
        state,
        ..
    } = save;
    let written = match (*phase == before, next) {
        (true, Next::Hold) => connection
            .prepare_cached("UPDATE runs SET form = ?2, state = ?3 WHERE seq = ?1")?
            .execute(params![seq, VERSION, state])?,
        (true, Next::Release) => connection
            .prepare_cached("UPDATE runs SET form = ?2, state = ?3, due_at = ?4 WHERE seq = ?1")?
            .execute(params![seq, VERSION, state, due])?,
        // Its due time stays the one that has passed: it is due at once if its holder dies.
        (false, Next::Hold) => connection
            .prepare_cached(
                "UPDATE runs SET form = ?2, state = ?3, phase = ?4, completed_at = ?5, expires_at = ?6 WHERE seq = ?1",
            )?
            .execute(params![seq, VERSION, state, phase.name(), completed_at, expires_at])?,
        (false, Next::Release) => connection
            .prepare_cached(
                "UPDATE runs SET form = ?2, state = ?3, phase = ?4, completed_at = ?5, expires_at = ?6, due_at = ?7 WHERE seq = ?1",
            )?
            .execute(params![seq, VERSION, state, phase.name(), completed_at, expires_at, due])?,
    };
    if written == 0 {
        return Err(StoreError::NotFound(id.clone()));
    }
    Ok(())
}

/// Drops the measurements of a metric that the run does not keep any more.
fn drop_measurements(
    connection: &Connection,
    seq: Seq,
    metric: usize,
    before: Option<(u64, u64)>,
    after: Option<(u64, u64)>,
) -> Result<(), StoreError> {
    let Some((first, last)) = before else {
        return Ok(());
    };
    // Without any, all of them are below the first.
    let (keep_from, keep_to) = after.unwrap_or((u64::MAX, u64::MAX));
    if first < keep_from {
        connection
            .prepare_cached(
                "DELETE FROM measurements WHERE run = ?1 AND metric = ?2 AND number < ?3",
            )?
            .execute(params![seq, number(metric), signed(keep_from)])?;
    }
    if last > keep_to {
        connection
            .prepare_cached(
                "DELETE FROM measurements WHERE run = ?1 AND metric = ?2 AND number > ?3",
            )?
            .execute(params![seq, number(metric), signed(keep_to)])?;
    }
    Ok(())
}

fn write_measurements(connection: &Connection, seq: Seq, rows: &[Row]) -> Result<(), StoreError> {
    for Row {
        metric,
        number,
        text,
    } in rows
    {
        // Where an answer was lost with the disk in trouble, the row may be there.
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO measurements (run, metric, number, form, measurement) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![seq, self::number(*metric), signed(*number), VERSION, text])?;
    }
    Ok(())
}

/// SQLite's numbers have a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

/// Leaves a command in a run's inbox.
pub(super) fn post(
    connection: &Connection,
    id: &RunId,
    command: Command,
    notes: &mut Notes,
) -> Result<(), StoreError> {
    let seq = seq_of(connection, id)?.ok_or_else(|| StoreError::NotFound(id.clone()))?;
    connection
        .prepare_cached("INSERT INTO inbox (run, form, command) VALUES (?1, ?2, ?3)")?
        .execute(params![seq, VERSION, command_text(command)])?;
    notes.push(Note::Posted(seq));
    Ok(())
}

/// The commands in a run's inbox after `delivered`, and the number of the last one.
pub(super) fn inbox(
    connection: &Connection,
    seq: Seq,
    delivered: i64,
) -> Result<(Vec<Command>, i64), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, form, command FROM inbox WHERE run = ?1 AND seq > ?2 ORDER BY seq",
    )?;
    let rows = statement.query_map([seq, delivered], |row| {
        let text = Text {
            version: row.get(1)?,
            text: row.get(2)?,
        };
        Ok((row.get(0)?, text))
    })?;
    let (mut commands, mut last) = (Vec::new(), delivered);
    for row in rows {
        let (number, text) = row?;
        let command = command_of(&text);
        commands.push(command.map_err(|why| unreadable("a command", &why))?);
        last = number;
    }
    Ok((commands, last))
}

/// Removes a run. `false`: there was none.
pub(super) fn delete(
    connection: &Connection,
    id: &RunId,
    notes: &mut Notes,
) -> Result<bool, StoreError> {
    let Some(seq) = seq_of(connection, id)? else {
        return Ok(false);
    };
    remove(connection, &[seq], notes)?;
    Ok(true)
}

/// Removes up to `limit` runs that ended before `ended_before` or may go by `now`, those first that could go first.
pub(super) fn forget(
    connection: &Connection,
    ended_before: Stamp,
    now: Stamp,
    limit: usize,
    notes: &mut Notes,
) -> Result<Vec<RunId>, StoreError> {
    let limit = number(limit);
    let mut gone = Vec::new();
    for (sql, moment) in [
        (
            "SELECT seq, id FROM runs WHERE completed_at < ?1 ORDER BY completed_at LIMIT ?2",
            ended_before,
        ),
        (
            "SELECT seq, id FROM runs WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
            now,
        ),
    ] {
        let left = limit - number(gone.len());
        let old: Vec<(Seq, String)> = connection
            .prepare_cached(sql)?
            .query_map([moment, left], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let seqs: Vec<Seq> = old.iter().map(|(seq, _)| *seq).collect();
        remove(connection, &seqs, notes)?;
        gone.extend(old.into_iter().map(|(_, id)| RunId(id)));
    }
    Ok(gone)
}

/// Removes runs, and the plans that no other run is of.
fn remove(connection: &Connection, seqs: &[Seq], notes: &mut Notes) -> Result<(), StoreError> {
    let mut plans = BTreeSet::new();
    for seq in seqs {
        let plan: Option<i64> = connection
            .prepare_cached("DELETE FROM runs WHERE seq = ?1 RETURNING plan")?
            .query_row([seq], |row| row.get(0))
            .optional()?;
        plans.extend(plan);
        notes.push(Note::Gone(*seq));
    }
    for plan in plans {
        connection
            .prepare_cached(
                "DELETE FROM plans WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE plan = ?1)",
            )?
            .execute([plan])?;
    }
    Ok(())
}

/// The run of that number, as it is in the file.
pub(super) fn load(
    connection: &Connection,
    plans: &Plans,
    seq: Seq,
) -> Result<Option<Run>, StoreError> {
    let what = || format!("run number {seq}");
    let Some(stored) = Stored::read(connection, seq).map_err(|error| damaged(what, error))? else {
        return Ok(None);
    };
    let what = format!("run `{}`", stored.identity.id);
    let measurements = measurements(connection, seq);
    let measurements = measurements.map_err(|error| damaged(|| what.clone(), error))?;
    let run = plans
        .get(stored.plan, || stored_plan(connection, stored.plan))
        .and_then(|plan| run_of(stored.identity, plan, &stored.state, &measurements));
    run.map(Some).map_err(|why| unreadable(&what, &why))
}

/// What the file holds of a run, its plan and its measurements left out.
struct Stored {
    identity: Identity,
    plan: i64,
    state: Text,
}

impl Stored {
    fn read(connection: &Connection, seq: Seq) -> Result<Option<Self>, rusqlite::Error> {
        let stored = connection
            .prepare_cached(
                "SELECT id, namespace, name, plan, form, state FROM runs WHERE seq = ?1",
            )?
            .query_row([seq], |row| {
                Ok(Self {
                    identity: Identity {
                        id: RunId(row.get(0)?),
                        namespace: row.get(1)?,
                        name: row.get(2)?,
                        labels: BTreeMap::new(),
                        templates: Vec::new(),
                    },
                    plan: row.get(3)?,
                    state: Text {
                        version: row.get(4)?,
                        text: row.get(5)?,
                    },
                })
            })
            .optional()?;
        let Some(mut stored) = stored else {
            return Ok(None);
        };
        stored.identity.labels = connection
            .prepare_cached("SELECT name, value FROM labels WHERE run = ?1")?
            .query_map([seq], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        stored.identity.templates = connection
            .prepare_cached("SELECT template FROM templates WHERE run = ?1 ORDER BY place")?
            .query_map([seq], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(Some(stored))
    }
}

fn measurements(connection: &Connection, seq: Seq) -> Result<Vec<(usize, Text)>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT metric, form, measurement FROM measurements WHERE run = ?1 ORDER BY metric, number",
        )?
        .query_map([seq], |row| {
            let text = Text {
                version: row.get(1)?,
                text: row.get(2)?,
            };
            let metric: i64 = row.get(0)?;
            Ok((usize::try_from(metric).unwrap_or(usize::MAX), text))
        })?
        .collect()
}

fn stored_plan(connection: &Connection, id: i64) -> Result<Text, FormError> {
    let stored = connection
        .prepare_cached("SELECT form, plan FROM plans WHERE id = ?1")
        .and_then(|mut statement| {
            statement.query_row([id], |row| {
                Ok(Text {
                    version: row.get(0)?,
                    text: row.get(1)?,
                })
            })
        });
    stored.map_err(|error| FormError::Pieces(format!("its plan: {}", explain(&error))))
}

fn unreadable(what: &str, why: &FormError) -> StoreError {
    StoreError::Unreadable(what.to_owned(), why.to_string())
}

/// A damaged page is the trouble of what lies on it; anything else that of the whole store.
fn damaged(what: impl Fn() -> String, error: rusqlite::Error) -> StoreError {
    if is_damage(&error) {
        StoreError::Unreadable(what(), explain(&error))
    } else {
        error.into()
    }
}

/// The runs that `query` describes, newest first. One that can't be read is left out, and logged.
pub(super) fn list(
    connection: &Connection,
    plans: &Plans,
    query: &RunQuery,
) -> Result<Vec<Run>, StoreError> {
    let (sql, parameters) = selection(query);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(parameters))?;
    let mut found = Vec::new();
    while found.len() < query.limit
        && let Some(row) = rows.next()?
    {
        match load(connection, plans, row.get(0)?) {
            Ok(run) => found.extend(run),
            Err(unreadable @ StoreError::Unreadable(..)) => {
                error!(error = %unreadable, "a run is left out of a list: {unreadable}");
            }
            Err(broken) => return Err(broken),
        }
    }
    Ok(found)
}

/// The SQL that finds the runs of `query`, all of them, in order.
fn selection(query: &RunQuery) -> (String, Vec<Value>) {
    let RunQuery {
        namespace,
        template,
        phases,
        labels,
        from,
        to,
        after,
        limit: _,
    } = query;
    let mut sql = "SELECT seq FROM runs WHERE 1".to_owned();
    let mut parameters: Vec<Value> = Vec::new();
    let mut only = |condition: &str, values: Vec<Value>| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        parameters.extend(values);
    };
    if let Some(namespace) = namespace {
        only("namespace = ?", vec![namespace.clone().into()]);
    }
    if !phases.is_empty() {
        let marks = vec!["?"; phases.len()].join(", ");
        let names = phases.iter().map(|phase| phase.name().to_owned().into());
        only(&format!("phase IN ({marks})"), names.collect());
    }
    if let Some(template) = template {
        only(
            "EXISTS (SELECT 1 FROM templates WHERE run = runs.seq AND template = ?)",
            vec![template.clone().into()],
        );
    }
    for (name, value) in labels {
        only(
            "EXISTS (SELECT 1 FROM labels WHERE run = runs.seq AND name = ? AND value = ?)",
            vec![name.clone().into(), value.clone().into()],
        );
    }
    if let Some(from) = from {
        only("created_at >= ?", vec![stamp(*from).into()]);
    }
    if let Some(to) = to {
        only("created_at < ?", vec![stamp(*to).into()]);
    }
    if let Some(after) = after {
        let place = vec![stamp(after.created_at).into(), after.id.0.clone().into()];
        only("(created_at, id) < (?, ?)", place);
    }
    sql.push_str(" ORDER BY created_at DESC, id DESC");
    (sql, parameters)
}

/// How many runs there are in each phase.
pub(super) fn tally(connection: &Connection) -> Result<Tally, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT phase, count(*) FROM runs GROUP BY phase")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let mut tally = Tally::new();
    for row in rows {
        let (phase, count): (String, i64) = row?;
        if let Some(phase) = phase_named(&phase) {
            tally.insert(phase.name(), count.unsigned_abs());
        }
    }
    Ok(tally)
}

/// When which run is due, by the file.
pub(super) fn agenda(connection: &Connection) -> Result<Vec<(Seq, Stamp)>, rusqlite::Error> {
    let mut due: Vec<(Seq, Stamp)> = connection
        .prepare("SELECT seq, due_at FROM runs INDEXED BY runs_due WHERE due_at IS NOT NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let posted: Vec<Seq> = connection
        .prepare("SELECT DISTINCT run FROM inbox")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    due.extend(posted.into_iter().map(|seq| (seq, super::desk::AT_ONCE)));
    Ok(due)
}
