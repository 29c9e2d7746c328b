//! From what the file holds to a run.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use super::measurements::measurements;
use crate::domain::run::{Run, RunId};
use crate::ports::StoreError;
use crate::store::form::{FormError, Identity, Text, run_of};
use crate::store::plans::Plans;
use crate::store::sqlite::desk::Seq;
use crate::store::sqlite::failure::{explain, is_damage};

/// The run of that number, as it is in the file.
pub(in crate::store::sqlite) fn load(
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

pub(super) fn unreadable(what: &str, why: &FormError) -> StoreError {
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
