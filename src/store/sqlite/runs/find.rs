//! Which runs there are.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use tracing::error;

use super::load::load;
use crate::domain::run::{Run, RunId};
use crate::ports::{RunQuery, StoreError, Tally};
use crate::store::form::phase_named;
use crate::store::plans::Plans;
use crate::store::sqlite::desk::{AT_ONCE, Seq, Stamp};
use crate::store::sqlite::stamp;

/// The number of the run of that id.
pub(in crate::store::sqlite) fn seq_of(
    connection: &Connection,
    id: &RunId,
) -> Result<Option<Seq>, StoreError> {
    let seq = connection
        .prepare_cached("SELECT seq FROM runs WHERE id = ?1")?
        .query_row([&id.0], |row| row.get(0))
        .optional()?;
    Ok(seq)
}

/// The runs that `query` describes, newest first. One that can't be read is left out, and logged.
pub(in crate::store::sqlite) fn list(
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
        name,
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
    if let Some(name) = name {
        only("name = ?", vec![name.clone().into()]);
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
        // Two indexes say which: those that have ended since, and those that are under way, of which there are never many.
        let not_over_before = "seq IN (SELECT seq FROM runs WHERE completed_at >= ?
             UNION ALL SELECT seq FROM runs WHERE phase IN ('Pending', 'Running'))";
        only(not_over_before, vec![stamp(*from).into()]);
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
pub(in crate::store::sqlite) fn tally(connection: &Connection) -> Result<Tally, StoreError> {
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
pub(in crate::store::sqlite) fn agenda(
    connection: &Connection,
) -> Result<Vec<(Seq, Stamp)>, rusqlite::Error> {
    let mut due: Vec<(Seq, Stamp)> = connection
        .prepare("SELECT seq, due_at FROM runs INDEXED BY runs_due WHERE due_at IS NOT NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let posted: Vec<Seq> = connection
        .prepare("SELECT DISTINCT run FROM inbox")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    due.extend(posted.into_iter().map(|seq| (seq, AT_ONCE)));
    Ok(due)
}
