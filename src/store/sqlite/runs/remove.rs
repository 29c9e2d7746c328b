//! Runs that go.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use super::find::seq_of;
use super::number;
use crate::domain::run::RunId;
use crate::ports::StoreError;
use crate::store::sqlite::desk::{Seq, Stamp};
use crate::store::sqlite::writer::{Note, Notes};

/// Removes a run. `false`: there was none.
pub(in crate::store::sqlite) fn delete(
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
pub(in crate::store::sqlite) fn forget(
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
