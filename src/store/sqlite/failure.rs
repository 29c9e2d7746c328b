//! What SQLite's failures mean to whoever runs the service.

use rusqlite::{Error, ErrorCode};

use crate::ports::StoreError;

/// A failure in plain words, and what may help.
pub(super) fn explain(error: &Error) -> String {
    let Error::SqliteFailure(failure, message) = error else {
        return error.to_string();
    };
    let said = message.as_deref().unwrap_or("no more is known");
    match failure.code {
        ErrorCode::DiskFull => "the disk is full: free some space".to_owned(),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            "it cannot be written to: the file or its folder is read-only for this process"
                .to_owned()
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => format!(
            "it is damaged or no SQLite database ({said}): put a backup in its place, or move it away to start anew"
        ),
        ErrorCode::SystemIoFailure => {
            format!("the system failed to read or write it ({said}): look at the disk")
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "another program has locked it: let nothing else write to it".to_owned()
        }
        ErrorCode::CannotOpen => {
            format!(
                "it cannot be opened ({said}): look at the permissions of the file and its folder"
            )
        }
        _ => said.to_owned(),
    }
}

/// Whether one part of the file is unusable, and others may not be.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt))
        || matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::InvalidColumnType(..)
                | Error::IntegralValueOutOfRange(..)
        )
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::Broken(explain(&error))
    }
}
