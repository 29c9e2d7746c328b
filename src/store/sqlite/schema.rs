//! The schema, and how older files come to it.

use rusqlite::{Connection, TransactionBehavior};

use super::failure::explain;

/// Tells a database of ours from others': `SKYG`.
const APPLICATION_ID: i32 = 0x534b_5947;

/// What leads from one version of the schema to the next; the first from nothing.
const MIGRATIONS: [&str; 1] = [include_str!("schema/1.sql")];

/// The version of the schema that this program works with.
pub(super) const VERSION: usize = MIGRATIONS.len();

/// Why a database can not be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It belongs to another program.
    Foreign,
    /// A later version of this program has written it.
    Newer(i64),
    /// SQLite says no.
    Failed(String),
}

impl From<rusqlite::Error> for Unusable {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(explain(&error))
    }
}

/// Brings a database to the newest version, each step in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Unusable> {
    check_application(connection)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(found)
        .ok()
        .filter(|done| *done <= VERSION)
        .ok_or(Unusable::Newer(found))?;
    for (version, migration) in (1_i64..).zip(MIGRATIONS).skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Changes what may have any value that it never had: one that stays the same would not be written.
pub(super) fn touch(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute("UPDATE meta SET openings = openings + 1", [])
        .map(drop)
}

fn check_application(connection: &Connection) -> Result<(), Unusable> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if id == APPLICATION_ID || (id == 0 && tables == 0) {
        Ok(())
    } else {
        Err(Unusable::Foreign)
    }
}
