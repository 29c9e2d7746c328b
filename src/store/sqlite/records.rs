//! Records in SQL.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::{moment, stamp};
use crate::ports::{Change, Expected, Record, RecordKey, RecordKind, StoreError, To};

/// A record as it is in the file.
pub(super) fn read(connection: &Connection, key: &RecordKey) -> Result<Option<Record>, StoreError> {
    let stored = connection
        .prepare_cached(
            "SELECT namespace, name, version, changed_at, body FROM records WHERE kind = ?1 AND namespace = ?2 AND name = ?3",
        )?
        .query_row(
            params![key.kind.name(), key.namespace, key.name],
            Stored::of,
        )
        .optional()?;
    stored.map(|stored| stored.record(key.kind)).transpose()
}

/// Makes the changes one after the other; whoever calls this undoes them all where one is refused.
pub(super) fn change(
    connection: &Connection,
    changes: &[Change],
    now: Timestamp,
) -> Result<Vec<u64>, StoreError> {
    let mut versions = Vec::with_capacity(changes.len());
    for Change { key, expected, to } in changes {
        let found = version(connection, key)?;
        let is_expected = match expected {
            Expected::Anything => true,
            Expected::Absent => found == 0,
            Expected::Version(version) => found == *version,
        };
        if !is_expected {
            let key = key.clone();
            return Err(StoreError::Changed { key, found });
        }
        let key = params![key.kind.name(), key.namespace, key.name];
        let body = match to {
            To::Body(body) => body,
            To::Gone => {
                connection
                    .prepare_cached(
                        "DELETE FROM records WHERE kind = ?1 AND namespace = ?2 AND name = ?3",
                    )?
                    .execute(key)?;
                versions.push(0);
                continue;
            }
            To::Same => {
                versions.push(found);
                continue;
            }
        };
        let version: i64 = connection
            .prepare_cached(
                "UPDATE meta SET record_versions = record_versions + 1 RETURNING record_versions",
            )?
            .query_row([], |row| row.get(0))?;
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO records (kind, namespace, name, version, changed_at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![key[0], key[1], key[2], version, stamp(now), body.to_string()])?;
        versions.push(version.unsigned_abs());
    }
    Ok(versions)
}

/// The version that a record is at; 0: it is not there.
fn version(connection: &Connection, key: &RecordKey) -> Result<u64, StoreError> {
    let version: Option<i64> = connection
        .prepare_cached(
            "SELECT version FROM records WHERE kind = ?1 AND namespace = ?2 AND name = ?3",
        )?
        .query_row(params![key.kind.name(), key.namespace, key.name], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(version.unwrap_or_default().unsigned_abs())
}

/// Up to `limit` records of a kind, by namespace and name, after the place `after`.
pub(super) fn records(
    connection: &Connection,
    kind: RecordKind,
    namespace: Option<&str>,
    after: Option<(&str, &str)>,
    limit: usize,
) -> Result<Vec<Record>, StoreError> {
    let mut sql =
        "SELECT namespace, name, version, changed_at, body FROM records WHERE kind = ?".to_owned();
    let mut parameters: Vec<Value> = vec![kind.name().to_owned().into()];
    if let Some(namespace) = namespace {
        sql.push_str(" AND namespace = ?");
        parameters.push(namespace.to_owned().into());
    }
    if let Some((namespace, name)) = after {
        sql.push_str(" AND (namespace, name) > (?, ?)");
        parameters.extend([namespace.to_owned().into(), name.to_owned().into()]);
    }
    sql.push_str(" ORDER BY namespace, name LIMIT ?");
    parameters.push(i64::try_from(limit).unwrap_or(i64::MAX).into());

    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(parameters), Stored::of)?;
    rows.map(|stored| stored?.record(kind)).collect()
}

struct Stored {
    namespace: String,
    name: String,
    version: i64,
    changed_at: i64,
    body: String,
}

impl Stored {
    fn of(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            namespace: row.get(0)?,
            name: row.get(1)?,
            version: row.get(2)?,
            changed_at: row.get(3)?,
            body: row.get(4)?,
        })
    }

    fn record(self, kind: RecordKind) -> Result<Record, StoreError> {
        let key = RecordKey::new(kind, self.namespace, self.name);
        let body = serde_json::from_str(&self.body)
            .map_err(|why| StoreError::Unreadable(key.to_string(), why.to_string()))?;
        Ok(Record {
            key,
            version: self.version.unsigned_abs(),
            changed_at: moment(self.changed_at),
            body,
        })
    }
}
