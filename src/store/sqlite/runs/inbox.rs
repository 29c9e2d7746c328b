//! Commands that wait for whoever works on a run next.

use rusqlite::{Connection, params};

use super::find::seq_of;
use super::load::unreadable;
use crate::domain::run::{Command, RunId};
use crate::ports::StoreError;
use crate::store::form::{Text, VERSION, command_of, command_text};
use crate::store::sqlite::desk::Seq;
use crate::store::sqlite::writer::{Note, Notes};

/// Leaves a command in a run's inbox.
pub(in crate::store::sqlite) fn post(
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
pub(in crate::store::sqlite) fn inbox(
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
