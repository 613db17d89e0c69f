//! One connection to a database of either kind, with prepared statements, parameters and rows.
//!
//! The spelling of SQL is the dialect's affair; here the same calls reach whichever database is behind.

use super::{
    Kept,
    postgres::{self, PostgresConnection},
    postgres_statement::{PostgresRows, PostgresStatement},
    sqlite,
    values::{Bind, FromValue, ValueRef},
    versions::{Numbers, Versions},
};
use crate::{
    dialect::{Dialect, Postgres, Sqlite},
    durability::Durability,
    error::RegistryError,
};
use armillary_dimensions::Value;
use std::{fmt, time::Duration};

/// What the database means by an error, as far as callers tell errors apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// Another one holds a lock.
    Busy,
    /// Others were in the way; trying all again may work.
    Conflict,
    /// The connection is gone.
    Lost,
    /// The database may not be written.
    ReadOnly,
    /// The file holds something else.
    NotADatabase,
    /// The statement itself is refused: a table is missing, or text is wrong.
    Statement,
    /// A row with this primary key is there.
    PrimaryKey,
    /// A row with these unique values is there.
    Unique,
    /// A row that is referred to is not there.
    ForeignKey,
    /// Another constraint.
    Constraint,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// Whether a constraint refused a row.
    pub(crate) const fn is_constraint(self) -> bool {
        matches!(self, Self::PrimaryKey | Self::Unique | Self::ForeignKey | Self::Constraint)
    }
}

/// What a database said when it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatabaseError {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DatabaseError {}

/// What talking to the database gives.
pub(crate) type DatabaseResult<T> = Result<T, DatabaseError>;

/// All parameters of a statement at once.
pub(crate) trait Parameters {
    fn bind_all(self, statement: &mut Statement<'_>) -> DatabaseResult<()>;
}

impl<T: Bind> Parameters for &[T] {
    fn bind_all(self, statement: &mut Statement<'_>) -> DatabaseResult<()> {
        for (position, value) in (1..).zip(self) {
            statement.raw_bind_parameter(position, value)?;
        }
        Ok(())
    }
}

impl<T: Bind, const N: usize> Parameters for [T; N] {
    fn bind_all(self, statement: &mut Statement<'_>) -> DatabaseResult<()> {
        self.as_slice().bind_all(statement)
    }
}

/// No parameters.
impl Parameters for () {
    fn bind_all(self, _statement: &mut Statement<'_>) -> DatabaseResult<()> {
        Ok(())
    }
}

/// A connection to a database.
pub(crate) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(Box<PostgresConnection>),
}

impl Connection {
    /// The dialect of the database.
    pub(crate) fn dialect(&self) -> &'static dyn Dialect {
        match self {
            Self::Sqlite(_) => &Sqlite,
            Self::Postgres(_) => &Postgres,
        }
    }

    /// A statement that is compiled once and kept.
    pub(crate) fn prepare_cached(&self, sql: &str) -> DatabaseResult<Statement<'_>> {
        match self {
            Self::Sqlite(connection) => {
                Ok(Statement::Sqlite(connection.prepare_cached(sql).map_err(sqlite::error)?, 0))
            }
            Self::Postgres(connection) => Ok(Statement::Postgres(connection.prepare_or_ask(sql)?)),
        }
    }

    /// As [`Connection::prepare_cached`], where the types of the values may not show from what they are compared with.
    pub(crate) fn prepare_for(&self, sql: &str, values: &[Value]) -> DatabaseResult<Statement<'_>> {
        let Self::Postgres(connection) = self else { return self.prepare_cached(sql) };
        let mut casts = Vec::with_capacity(values.len());
        for value in values {
            match value {
                Value::Bool(_) => casts.push("::boolean"),
                Value::Int(_) => casts.push("::bigint"),
                Value::Float(_) => casts.push("::double precision"),
                Value::Uuid(_) => casts.push("::uuid"),
                Value::Timespan(_) => casts.extend(["::bigint", "::bigint"]),
                Value::Null | Value::Str(_) | Value::Bytes(_) => casts.push(""),
            }
        }
        Ok(Statement::Postgres(connection.prepare(sql, &casts)?))
    }

    /// Asks a server some questions without parameters in one round trip. While the guard lives, each gets its answer at
    /// once when it is first asked.
    pub(crate) fn ask_ahead(&self, questions: &[String]) -> DatabaseResult<Ahead<'_>> {
        if let Self::Postgres(connection) = self {
            connection.ask_ahead(questions)?;
        }
        Ok(Ahead(self))
    }

    /// Runs statements without parameters.
    pub(crate) fn execute_batch(&self, sql: &str) -> DatabaseResult<()> {
        match self {
            Self::Sqlite(connection) => connection.execute_batch(sql).map_err(sqlite::error),
            Self::Postgres(connection) => connection.batch(sql),
        }
    }

    /// Begins a transaction that writes.
    pub(crate) fn begin(&self) -> DatabaseResult<()> {
        match self {
            Self::Sqlite(connection) => {
                self.execute_batch("BEGIN IMMEDIATE")?;
                sqlite::settle_journal(connection).or_else(|error| self.rollback().and(Err(error)))
            }
            Self::Postgres(connection) => {
                connection.begin();
                Ok(())
            }
        }
    }

    /// Begins a transaction that reads one state of the database.
    pub(crate) fn begin_reading(&self) -> DatabaseResult<()> {
        match self {
            Self::Sqlite(_) => self.execute_batch("BEGIN"),
            Self::Postgres(connection) => {
                connection.begin_reading();
                Ok(())
            }
        }
    }

    /// Keeps the transaction.
    pub(crate) fn commit(&self) -> DatabaseResult<()> {
        match self {
            Self::Sqlite(_) => self.execute_batch("COMMIT"),
            Self::Postgres(connection) => connection.commit(),
        }
    }

    /// Undoes the transaction.
    pub(crate) fn rollback(&self) -> DatabaseResult<()> {
        match self {
            Self::Sqlite(_) => self.execute_batch("ROLLBACK"),
            Self::Postgres(connection) => connection.rollback(),
        }
    }

    /// Begins, keeps or undoes a level within the transaction.
    pub(crate) fn savepoint(&self, sql: &str) -> DatabaseResult<()> {
        match self {
            Self::Sqlite(_) => self.execute_batch(sql),
            Self::Postgres(connection) => connection.savepoint(sql),
        }
    }

    /// Whether the connection is gone for good.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(connection) => connection.is_lost(),
        }
    }

    /// Whether the last failure may go away when everything is tried again; asked once.
    pub(crate) fn failed_in_passing(&self) -> bool {
        match self {
            Self::Sqlite(_) => false, // a busy database was waited for already
            Self::Postgres(connection) => connection.failed_in_passing(),
        }
    }

    /// Keeps others from writing a table until the transaction ends; where one writes at a time, nothing is to be done.
    pub(crate) fn lock_table(&self, table: &str) -> DatabaseResult<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(connection) => {
                connection.batch(&format!("LOCK TABLE \"{}\" IN EXCLUSIVE MODE", table.replace('"', "\"\"")))
            }
        }
    }

    /// Runs something that writes so that its statements go to a server as one; false if that was refused or there is no
    /// server, and then nothing was done. While it runs nothing can be read, and it cannot be told which rows are new.
    pub(crate) fn at_once(&self, run: impl FnOnce() -> Result<(), RegistryError>) -> Result<bool, RegistryError> {
        match self {
            Self::Sqlite(_) => Ok(false),
            Self::Postgres(connection) => connection.at_once(run),
        }
    }

    /// The first row of a query, which must have one.
    pub(crate) fn query_row<T>(
        &self,
        sql: &str,
        parameters: impl Parameters,
        read: impl FnOnce(Row<'_>) -> DatabaseResult<T>,
    ) -> DatabaseResult<T> {
        self.prepare_cached(sql)?.query_row(parameters, read)
    }

    /// Whether no transaction is open.
    pub(crate) fn is_autocommit(&self) -> bool {
        match self {
            Self::Sqlite(connection) => connection.is_autocommit(),
            Self::Postgres(connection) => !connection.in_transaction(),
        }
    }

    /// Lets the journal lie between transactions, which makes each one cheaper.
    pub(super) fn keep_journal(&self, durability: Durability) -> DatabaseResult<()> {
        match self {
            Self::Sqlite(connection) => sqlite::keep_journal(connection, durability),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Removes the journal that was kept.
    pub(super) fn remove_journal(&self) {
        match self {
            // Another writer's turn may be on; then the journal is his to remove.
            Self::Sqlite(connection) => connection
                .busy_timeout(Duration::ZERO)
                .and_then(|()| sqlite::set_journal_mode(connection, "persist", "DELETE"))
                .unwrap_or_default(),
            Self::Postgres(_) => {}
        }
    }

    /// A number that changes when someone else changed what is kept; in a file, when someone else changed anything.
    pub(crate) fn data_version(&self, versions: &Versions, kept: Kept) -> DatabaseResult<i64> {
        Ok(self.data_versions(versions, kept, false)?[kept as usize].unwrap_or_default())
    }

    /// As [`Connection::data_version`] and, if `others`, the numbers of all kinds that are in use.
    pub(super) fn data_versions(&self, versions: &Versions, kept: Kept, others: bool) -> DatabaseResult<Numbers> {
        match self {
            Self::Sqlite(_) => Ok([Some(self.query_row("PRAGMA data_version", (), |row| row.get(0))?); Kept::COUNT]),
            Self::Postgres(connection) => versions.current(self, connection.may_have_written(), kept, others),
        }
    }

    /// Whether the database has a table.
    pub(crate) fn has_table(&self, name: &str) -> DatabaseResult<bool> {
        match self {
            Self::Sqlite(_) => self.query_row(
                "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?)",
                [name],
                |row| row.get(0),
            ),
            Self::Postgres(_) => self.query_row(
                "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = ?)",
                [name],
                |row| row.get(0),
            ),
        }
    }

    /// The names of all tables.
    pub(crate) fn table_names(&self) -> DatabaseResult<Vec<String>> {
        match self {
            Self::Sqlite(_) => {
                self.prepare_cached("SELECT name FROM sqlite_master WHERE type = 'table'")?.query_column(())
            }
            Self::Postgres(_) => self
                .prepare_cached("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")?
                .query_column(()),
        }
    }

    /// The names of a table's columns; none if there is no such table.
    pub(crate) fn column_names(&self, table: &str) -> DatabaseResult<Vec<String>> {
        match self {
            Self::Sqlite(_) => self.prepare_cached("SELECT name FROM pragma_table_info(?)")?.query_column([table]),
            Self::Postgres(_) => self
                .prepare_cached(
                    "SELECT column_name::text FROM information_schema.columns \
                     WHERE table_schema = current_schema() AND table_name = ?",
                )?
                .query_column([table]),
        }
    }
}

/// Answers that were asked for ahead; those that nobody takes are forgotten with it.
#[must_use]
pub(crate) struct Ahead<'c>(&'c Connection);

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        if let Connection::Postgres(connection) = self.0 {
            connection.forget_ahead();
        }
    }
}

/// A prepared statement and what is bound to it.
pub(crate) enum Statement<'c> {
    /// With the number of parameters that belong to the rows before the one that is being bound.
    Sqlite(rusqlite::CachedStatement<'c>, usize),
    Postgres(PostgresStatement<'c>),
}

impl Statement<'_> {
    /// Drops the statement, which is not kept for later.
    pub(crate) fn forget(self) {
        match self {
            Self::Sqlite(statement, _) => statement.discard(),
            Self::Postgres(_) => {} // long ones were never kept
        }
    }

    /// Binds a value to a parameter, counted from 1; it stays bound for later runs.
    pub(crate) fn raw_bind_parameter(&mut self, parameter: usize, value: impl Bind) -> DatabaseResult<()> {
        match self {
            Self::Sqlite(statement, before) => {
                statement.raw_bind_parameter(*before + parameter, value.parameter()).map_err(sqlite::error)
            }
            Self::Postgres(statement) => statement.bind(parameter, value.parameter()),
        }
    }

    /// Runs what is bound; says how many rows were changed.
    pub(crate) fn raw_execute(&mut self) -> DatabaseResult<usize> {
        match self {
            Self::Sqlite(statement, _) => statement.raw_execute().map_err(sqlite::error),
            Self::Postgres(statement) => statement.execute(),
        }
    }

    /// Runs the statement, an INSERT or DELETE, once for each of some rows; a failure tells the position of the row.
    ///
    /// `bind` binds what differs from row to row. A database across a network gets many rows at a time.
    pub(crate) fn execute_each<T>(
        &mut self,
        rows: impl IntoIterator<Item = T>,
        mut bind: impl FnMut(&mut Self, T) -> DatabaseResult<()>,
    ) -> Result<(), (usize, DatabaseError)> {
        if let Self::Sqlite(..) = self {
            for (position, row) in rows.into_iter().enumerate() {
                bind(self, row).and_then(|()| self.raw_execute()).map_err(|error| (position, error))?;
            }
            return Ok(());
        }
        let mut many = None;
        for (position, row) in rows.into_iter().enumerate() {
            bind(self, row).map_err(|error| (position, error))?;
            if let Self::Postgres(statement) = self {
                statement.add(&mut many, position)?;
            }
        }
        match (self, many) {
            (Self::Postgres(statement), Some(many)) => statement.finish(&many),
            _ => Ok(()),
        }
    }

    /// Runs what is bound and gives the rows.
    pub(crate) fn raw_query(&mut self) -> Rows<'_> {
        match self {
            Self::Sqlite(statement, _) => Rows::Sqlite(statement.raw_query()),
            Self::Postgres(statement) => Rows::Postgres(PostgresRows { statement, rows: None, current: None }),
        }
    }

    /// Binds and runs; says how many rows were changed.
    pub(crate) fn execute(&mut self, parameters: impl Parameters) -> DatabaseResult<usize> {
        parameters.bind_all(self)?;
        self.raw_execute()
    }

    /// Binds and runs, and gives the rows.
    pub(crate) fn query(&mut self, parameters: impl Parameters) -> DatabaseResult<Rows<'_>> {
        parameters.bind_all(self)?;
        Ok(self.raw_query())
    }

    /// The first row, if there is one.
    pub(crate) fn query_first<T>(
        &mut self,
        parameters: impl Parameters,
        read: impl FnOnce(Row<'_>) -> DatabaseResult<T>,
    ) -> DatabaseResult<Option<T>> {
        self.query(parameters)?.next()?.map(read).transpose()
    }

    /// The first row, which must be there.
    pub(crate) fn query_row<T>(
        &mut self,
        parameters: impl Parameters,
        read: impl FnOnce(Row<'_>) -> DatabaseResult<T>,
    ) -> DatabaseResult<T> {
        self.query_first(parameters, read)?.ok_or_else(|| DatabaseError {
            kind: ErrorKind::Other,
            message: "a query that must have a row has none".to_owned(),
        })
    }

    /// The first column of all rows.
    pub(crate) fn query_column<T: FromValue>(&mut self, parameters: impl Parameters) -> DatabaseResult<Vec<T>> {
        let mut rows = self.query(parameters)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(row.get(0)?);
        }
        Ok(found)
    }

    /// How many parameters it has.
    pub(crate) fn parameter_count(&self) -> usize {
        match self {
            Self::Sqlite(statement, _) => statement.parameter_count(),
            Self::Postgres(statement) => statement.parameter_count(),
        }
    }

    /// How many columns its rows have.
    pub(crate) fn column_count(&self) -> usize {
        match self {
            Self::Sqlite(statement, _) => statement.column_count(),
            Self::Postgres(statement) => statement.column_count(),
        }
    }
}

/// The rows that a statement gives.
pub(crate) enum Rows<'s> {
    Sqlite(rusqlite::Rows<'s>),
    Postgres(PostgresRows<'s>),
}

impl Rows<'_> {
    /// The next row.
    #[inline]
    pub(crate) fn next(&mut self) -> DatabaseResult<Option<Row<'_>>> {
        match self {
            Self::Sqlite(rows) => Ok(rows.next().map_err(sqlite::error)?.map(Row::Sqlite)),
            Self::Postgres(rows) => Ok(rows.next()?.map(Row::Postgres)),
        }
    }
}

/// One row.
#[derive(Clone, Copy)]
pub(crate) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

impl<'r> Row<'r> {
    /// A value, as it is.
    #[inline]
    pub(crate) fn value(self, column: usize) -> DatabaseResult<ValueRef<'r>> {
        match self {
            Self::Sqlite(row) => Ok(sqlite::value(row.get_ref(column).map_err(sqlite::error)?)),
            Self::Postgres(row) => postgres::value(row, column),
        }
    }

    /// A value as a type.
    pub(crate) fn get<T: FromValue>(self, column: usize) -> DatabaseResult<T> {
        let value = self.value(column)?;
        T::from_value(value).ok_or_else(|| DatabaseError {
            kind: ErrorKind::Other,
            message: format!("{} holds {}, which does not fit", self.column_name(column), value.described()),
        })
    }

    /// The name of a column, for messages.
    pub(crate) fn column_name(self, column: usize) -> String {
        let name = match self {
            Self::Sqlite(row) => row.as_ref().column_name(column).ok(),
            Self::Postgres(row) => row.columns().get(column).map(tokio_postgres::Column::name),
        };
        name.map_or_else(|| "a column".to_owned(), |name| format!("`{name}`"))
    }
}

impl From<DatabaseError> for RegistryError {
    fn from(error: DatabaseError) -> Self {
        Self::database("talking to the database", &error)
    }
}
