//! What a server means by an error.

use super::connection::{DatabaseError, ErrorKind};
use tokio_postgres::error::SqlState;

/// What an error says, with the hint of the server.
pub(super) fn described(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return match said.detail() {
            Some(detail) => format!("{} ({detail})", said.message()),
            None => said.message().to_owned(),
        };
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What the server means by an error.
pub(super) fn error_of(error: &tokio_postgres::Error) -> DatabaseError {
    let kind = match error.as_db_error() {
        Some(said) => {
            let code = said.code();
            if *code == SqlState::UNIQUE_VIOLATION {
                let name = said.constraint().unwrap_or_default();
                if said.schema() == Some("pg_catalog") || name.starts_with("pg_") {
                    ErrorKind::Conflict // two made the same table at the same time
                } else if name.ends_with("_pkey") {
                    ErrorKind::PrimaryKey
                } else {
                    ErrorKind::Unique
                }
            } else if *code == SqlState::FOREIGN_KEY_VIOLATION {
                ErrorKind::ForeignKey
            } else if code.code().starts_with("23") {
                ErrorKind::Constraint
            } else if [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE, SqlState::DUPLICATE_TABLE]
                .contains(code)
            {
                ErrorKind::Conflict
            } else if *code == SqlState::LOCK_NOT_AVAILABLE {
                ErrorKind::Busy
            } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
                ErrorKind::ReadOnly
            } else if code.code().starts_with("57P") || code.code().starts_with("08") {
                ErrorKind::Lost
            } else if code.code().starts_with("42") {
                ErrorKind::Statement
            } else {
                ErrorKind::Other
            }
        }
        None if error.is_closed() || is_io(error) => ErrorKind::Lost,
        None => ErrorKind::Other,
    };
    DatabaseError { kind, message: described(error) }
}

/// Whether a server that refused to begin a session may not refuse the next time.
pub(super) fn answers_later(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || error.as_db_error().is_some_and(|said| said.code().code().starts_with("57P"))
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}
