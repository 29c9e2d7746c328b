//! A run's measurements: each is written once, and dropped when the run doesn't keep it any more.

use rusqlite::{Connection, params};

use super::number;
use crate::domain::measurement::Measurement;
use crate::ports::StoreError;
use crate::store::form::{Text, VERSION, measurement_text};
use crate::store::sqlite::desk::Seq;

/// A measurement that is to be written.
#[derive(Debug)]
pub(super) struct Row {
    metric: usize,
    number: u64,
    text: String,
}

impl Row {
    pub(super) fn of(metric: usize, measurement: &Measurement) -> Self {
        Self {
            metric,
            number: measurement.number,
            text: measurement_text(measurement),
        }
    }
}

/// Drops the measurements of a metric that the run does not keep any more.
pub(super) fn drop_measurements(
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

pub(super) fn write_measurements(
    connection: &Connection,
    seq: Seq,
    rows: &[Row],
) -> Result<(), StoreError> {
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
            .execute(params![seq, super::number(*metric), signed(*number), VERSION, text])?;
    }
    Ok(())
}

/// SQLite's numbers have a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn measurements(
    connection: &Connection,
    seq: Seq,
) -> Result<Vec<(usize, Text)>, rusqlite::Error> {
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
