//! What a run's holder saves.

use rusqlite::{Connection, params};

use super::measurements::{Row, drop_measurements, write_measurements};
use crate::domain::measurement::Phase;
use crate::domain::run::{Run, RunId};
use crate::ports::{Next, StoreError};
use crate::store::form::{VERSION, state_text};
use crate::store::sqlite::desk::{Saved, Saving, Seq, Stamp, numbers};
use crate::store::sqlite::stamp;
use crate::store::sqlite::writer::{Note, Notes};

/// What a holder's save writes, with its texts.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Save {
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
    pub(in crate::store::sqlite) fn of(run: &Run, next: Next, saving: &Saving) -> Self {
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
pub(in crate::store::sqlite) fn save(
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
