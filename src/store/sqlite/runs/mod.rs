//! Runs in SQL: how they are written, found and read.

mod find;
mod inbox;
mod insert;
mod load;
mod measurements;
mod remove;
mod save;

pub(super) use find::{agenda, list, seq_of, tally};
pub(super) use inbox::{inbox, post};
pub(super) use insert::{Fresh, insert, seen_before};
pub(super) use load::load;
pub(super) use remove::{delete, forget};
pub(super) use save::{Save, save};

/// An index as SQLite's number.
fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}
