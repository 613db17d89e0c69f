//! `PostgreSQL` behind a connection: sessions, statements, transactions, errors.

use super::{
    LONGEST_KEPT,
    connection::{DatabaseError, DatabaseResult, ErrorKind},
    gathered::Gathered,
    place::PostgresPlace,
    postgres_errors::{answers_later, described, error_of},
    postgres_values::{Encoded, ManyRows, Raw, decode, encode},
    session::Session,
    values::{Parameter, ValueRef},
    wait_before,
};
use crate::{
    durability::Durability,
    error::RegistryError,
    postgres_text::{bulk_sql, numbered},
};
use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};
use tokio_postgres::{
    Client, SimpleQueryMessage,
    types::{ToSql, Type},
};

/// How many prepared statements each connection keeps.
const STATEMENTS: usize = 512;
/// How often it is tried again to begin a session.
const CONNECTIONS: u32 = 8;
/// How many rows are written in one round trip.
const ROWS_AT_ONCE: usize = 4000;

/// A session with a server.
pub(crate) struct PostgresConnection {
    session: RefCell<Option<Session>>,
    /// What is said together with the next statement.
    before: RefCell<String>,
    /// Whether what was said before the last statement failed.
    unready: Cell<bool>,
    process: u32,
    statements: RefCell<HashMap<String, Arc<Prepared>>>,
    /// Questions without parameters that were asked once.
    asked: RefCell<HashSet<String>>,
    in_transaction: Cell<bool>,
    /// Whether the transaction only reads.
    reading: Cell<bool>,
    /// Whether a statement failed so that the server will not keep the open transaction.
    failed: Cell<bool>,
    /// Whether the savepoint `step` is the innermost one.
    guarded: Cell<bool>,
    /// Whether anything was said in the transaction that would be lost if it were begun anew.
    touched: Cell<bool>,
    /// Statements that write and wait for others, to be said as one.
    gathered: RefCell<Option<Gathered>>,
    /// Whether the last failure may go away when everything is tried again.
    passing: Cell<bool>,
    lost: Cell<bool>,
    /// The number of the open or last transaction, by which the server knows later whether it was kept.
    transaction: RefCell<String>,
}

/// A statement that the server knows.
struct Prepared {
    /// None for a question without parameters that is asked for the first time and may be the last.
    statement: Option<tokio_postgres::Statement>,
    sql: String,
    /// The same for many rows at once; none if it has no such form.
    many: OnceLock<Option<tokio_postgres::Statement>>,
}

impl Prepared {
    /// The types of its parameters.
    fn kinds(&self) -> &[Type] {
        self.statement.as_ref().map_or(&[], tokio_postgres::Statement::params)
    }
}

impl Drop for PostgresConnection {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // A forked child shares its parent's socket: to say goodbye on it would end the parent's session.
            std::mem::forget(self.session.take());
        }
    }
}

impl PostgresConnection {
    /// Begins a session.
    pub(super) fn connect(
        place: &PostgresPlace,
        writeable: bool,
        durability: Durability,
    ) -> Result<Self, RegistryError> {
        let mode = if writeable { "off" } else { "on" };
        let mut setting = format!(
            "SET TIME ZONE 'UTC'; SET client_min_messages = warning; \
             SELECT set_config('lock_timeout', '5min', false) WHERE current_setting('lock_timeout') = '0'; \
             SET default_transaction_read_only = {mode};"
        );
        if !durability.syncs_commits() {
            setting.push_str(" SET synchronous_commit = off;");
        }
        if let Some(namespace) = place.namespace() {
            setting.push_str(" SET search_path TO \"");
            setting.push_str(&namespace.replace('"', "\"\""));
            setting.push('"');
        }
        let mut tries = 0;
        let doing = || format!("connecting to `{}`", place.shown());
        let session = loop {
            let begun = Session::connect(place.config(), place.encryption())
                .map_err(|error| RegistryError::Database { doing: doing(), reason: error.to_string() })?
                .and_then(|mut session| {
                    session.ask(async |client| client.batch_execute(&setting).await)?;
                    Ok(session)
                });
            match begun {
                Ok(session) => break session,
                // A server that is being started, or ends sessions, may soon answer; one that is not there will not.
                Err(error) if tries < CONNECTIONS && answers_later(&error) => {
                    tries += 1;
                    wait_before(tries);
                }
                Err(error) => {
                    let reason = place.encryption().explained(&error).unwrap_or_else(|| described(&error));
                    return Err(RegistryError::Database { doing: doing(), reason: place.without_password(&reason) });
                }
            }
        };
        Ok(Self {
            session: RefCell::new(Some(session)),
            before: RefCell::default(),
            unready: Cell::new(false),
            process: std::process::id(),
            statements: RefCell::default(),
            asked: RefCell::default(),
            in_transaction: Cell::new(false),
            reading: Cell::new(false),
            failed: Cell::new(false),
            guarded: Cell::new(false),
            touched: Cell::new(false),
            gathered: RefCell::default(),
            passing: Cell::new(false),
            lost: Cell::new(false),
            transaction: RefCell::default(),
        })
    }

    /// Asks the server, together with what is to be said before.
    fn run<T>(&self, ask: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>) -> DatabaseResult<T> {
        let mut session = self.session.borrow_mut();
        let Some(session) = session.as_mut() else {
            return Err(DatabaseError { kind: ErrorKind::Lost, message: "the connection is closed".to_owned() });
        };
        let before = self.before.take();
        self.unready.set(false);
        self.touched.set(true);
        let result = if before.is_empty() {
            session.ask(ask)
        } else {
            session.ask_after(&before, ask).and_then(|answers| {
                match answers.before {
                    Ok(messages) => self.note_number(&messages),
                    Err(error) => {
                        self.unready.set(true);
                        return Err(error);
                    }
                }
                answers.answer
            })
        };
        result.map_err(|error| {
            let found = error_of(&error);
            self.passing.set(matches!(found.kind, ErrorKind::Lost | ErrorKind::Conflict));
            if session.is_closed() || found.kind == ErrorKind::Lost {
                self.lost.set(true);
                self.in_transaction.set(false);
            }
            self.failed.set(self.in_transaction.get());
            found
        })
    }

    /// Whether the session is over.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// Whether the last failure may go away when everything is tried again; asked once.
    pub(super) fn failed_in_passing(&self) -> bool {
        self.passing.replace(false)
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.in_transaction.get()
    }

    /// Runs statements without parameters.
    pub(super) fn batch(&self, sql: &str) -> DatabaseResult<()> {
        self.run(async |client| client.batch_execute(sql).await)
    }

    /// Begins a transaction that writes; the server hears of it with the first statement.
    pub(super) fn begin(&self) {
        self.transaction.borrow_mut().clear();
        self.begun("BEGIN; SELECT pg_current_xact_id()::text", false);
    }

    /// Begins a transaction that reads one state of the database: that of the first statement, with which the server
    /// hears of it.
    pub(super) fn begin_reading(&self) {
        self.begun("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", true);
    }

    /// Keeps the number of a transaction that was begun.
    fn note_number(&self, messages: &[SimpleQueryMessage]) {
        let number = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        if let Some(number) = number {
            *self.transaction.borrow_mut() = number;
        }
    }

    fn begun(&self, text: &str, reading: bool) {
        text.clone_into(&mut self.before.borrow_mut());
        self.in_transaction.set(true);
        self.reading.set(reading);
        self.failed.set(false);
        self.guarded.set(false);
        self.touched.set(false);
    }

    /// Ends the transaction.
    pub(super) fn commit(&self) -> DatabaseResult<()> {
        if self.failed.get() {
            // The server would answer COMMIT with ROLLBACK and call that a success.
            return Err(DatabaseError {
                kind: ErrorKind::Other,
                message: "an earlier statement failed and the database undid all of the transaction".to_owned(),
            });
        }
        if self.is_unheard() {
            self.in_transaction.set(false);
            return Ok(());
        }
        let result = self.batch("COMMIT");
        // Whether it was kept or refused, the server has no transaction any more.
        self.in_transaction.set(false);
        result
    }

    pub(super) fn rollback(&self) -> DatabaseResult<()> {
        if !self.in_transaction.replace(false) || self.is_unheard() {
            return Ok(());
        }
        if self.reading.get() {
            // Nothing is undone: there is nothing to wait for.
            if let Some(session) = self.session.borrow_mut().as_mut() {
                session.say("ROLLBACK");
            }
            return Ok(());
        }
        self.batch("ROLLBACK")
    }

    /// Forgets the beginning of a transaction that the server has not heard of; false if it has.
    fn is_unheard(&self) -> bool {
        !self.before.take().is_empty()
    }

    /// Begins, keeps or undoes a level within the transaction.
    pub(super) fn savepoint(&self, sql: &str) -> DatabaseResult<()> {
        self.guarded.set(false);
        self.batch(sql)?;
        self.failed.set(false);
        Ok(())
    }

    /// The number of the last transaction that wrote.
    pub(super) fn transaction(&self) -> String {
        self.transaction.borrow().clone()
    }

    /// The text in the first column of the first row of a query with one parameter of text.
    pub(super) fn first_text(&self, sql: &str, parameter: &str) -> DatabaseResult<Option<String>> {
        let row = self.run(async |client| client.query_opt(sql, &[&parameter]).await)?;
        row.map(|row| row.try_get(0)).transpose().map_err(|error| error_of(&error))
    }

    /// Whether a transaction was kept; none while the server is still at it.
    pub(super) fn was_kept(&self, transaction: &str) -> DatabaseResult<Option<bool>> {
        let sql = "SELECT pg_xact_status($1::text::xid8)";
        let row = self.run(async |client| client.query_one(sql, &[&transaction]).await)?;
        let status: Option<String> = row.try_get(0).map_err(|error| error_of(&error))?;
        Ok(match status.as_deref() {
            Some("in progress") => None,
            status => Some(status == Some("committed")),
        })
    }

    /// Runs something that writes so that its failure leaves the transaction as it was, as `SQLite` does by itself.
    fn guard<T>(&self, run: impl FnOnce(&Self) -> DatabaseResult<T>) -> DatabaseResult<T> {
        if !self.in_transaction.get() {
            return run(self);
        }
        {
            let mut before = self.before.borrow_mut();
            let separator = if before.is_empty() { "" } else { "; " };
            before.push_str(separator);
            before.push_str(if self.guarded.get() { "RELEASE step; SAVEPOINT step" } else { "SAVEPOINT step" });
        }
        self.guarded.set(true);
        run(self).inspect_err(|_| {
            // Without the savepoint, one of an earlier step would be meant.
            if !self.unready.get() && !self.lost.get() && self.batch("ROLLBACK TO step").is_ok() {
                self.failed.set(false);
            }
        })
    }

    /// Runs something that writes so that its statements go to the server as one. False if that was refused, and then
    /// nothing of it was done; why does not show. While it runs nothing can be read.
    pub(super) fn at_once<E: From<DatabaseError>>(&self, run: impl FnOnce() -> Result<(), E>) -> Result<bool, E> {
        let fresh = !self.touched.get();
        self.passing.set(false);
        self.gathered.replace(Some(Gathered::default()));
        let outcome = run();
        let gathered = self.gathered.take().unwrap_or_default();
        let refused = match outcome {
            Ok(()) => match self.run_gathered(&gathered, fresh) {
                Ok(()) => return Ok(true),
                Err(error) if error.kind == ErrorKind::Busy => return Err(error.into()),
                Err(error) => error.into(),
            },
            Err(error) => error,
        };
        if self.passing.get() || self.lost.get() {
            return Err(refused);
        }
        if fresh {
            self.rollback()?;
            self.begin();
        } else if self.failed.get() {
            return Err(refused);
        }
        Ok(false)
    }

    fn run_gathered(&self, gathered: &Gathered, fresh: bool) -> DatabaseResult<()> {
        let write = |connection: &Self| {
            let prepared = connection.prepare(&gathered.sql(), &[])?.prepared;
            let values = references(gathered.values());
            connection.run(async |client| match &prepared.statement {
                Some(statement) => client.execute(statement, &values).await,
                None => unreachable!("it was prepared just now"),
            })
        };
        // A transaction with nothing else in it can as well be begun anew.
        if fresh { write(self) } else { self.guard(write) }.map(|_| ())
    }

    /// As [`Self::prepare`]; a question without parameters goes to the server as it is when it is asked first. Of those
    /// that open a repository, most are asked only once.
    pub(super) fn prepare_or_ask(&self, sql: &str) -> DatabaseResult<PostgresStatement<'_>> {
        if !sql.starts_with("SELECT ") || sql.contains('?') || sql.len() > LONGEST_KEPT {
            return self.prepare(sql, &[]);
        }
        let mut asked = self.asked.borrow_mut();
        if asked.len() >= STATEMENTS {
            asked.clear();
        }
        if !asked.insert(sql.to_owned()) {
            return self.prepare(sql, &[]);
        }
        let prepared = Arc::new(Prepared { statement: None, sql: sql.to_owned(), many: OnceLock::new() });
        Ok(PostgresStatement { connection: self, prepared, bound: Vec::new() })
    }

    /// A statement, prepared once and kept; `casts` are the types of its parameters where they are known.
    pub(super) fn prepare(&self, sql: &str, casts: &[&str]) -> DatabaseResult<PostgresStatement<'_>> {
        let typed = casts.iter().any(|cast| !cast.is_empty());
        let text = if typed { Some(numbered(sql, casts)) } else { None };
        let key = text.as_deref().unwrap_or(sql);
        let known = self.statements.borrow().get(key).cloned();
        let prepared = if let Some(known) = known {
            known
        } else {
            let text = text.clone().unwrap_or_else(|| numbered(sql, &[]));
            let touched = self.touched.get();
            let statement = self.run(async |client| client.prepare(&text).await)?;
            self.touched.set(touched); // the server keeps what was prepared in a transaction that is undone
            let prepared =
                Arc::new(Prepared { statement: Some(statement), sql: sql.to_owned(), many: OnceLock::new() });
            if key.len() <= LONGEST_KEPT {
                let mut statements = self.statements.borrow_mut();
                if statements.len() >= STATEMENTS {
                    statements.clear();
                }
                statements.insert(key.to_owned(), prepared.clone());
            }
            prepared
        };
        let bound = prepared.kinds().iter().map(|_| Encoded::Null).collect();
        Ok(PostgresStatement { connection: self, prepared, bound })
    }
}

/// A prepared statement and what is bound to it.
pub(crate) struct PostgresStatement<'c> {
    connection: &'c PostgresConnection,
    prepared: Arc<Prepared>,
    bound: Vec<Encoded>,
}

impl PostgresStatement<'_> {
    pub(super) fn bind(&mut self, parameter: usize, value: Parameter<'_>) -> DatabaseResult<()> {
        let kinds = self.prepared.kinds();
        let (Some(kind), Some(bound)) =
            (kinds.get(parameter.wrapping_sub(1)), self.bound.get_mut(parameter.wrapping_sub(1)))
        else {
            return Err(DatabaseError {
                kind: ErrorKind::Statement,
                message: format!("the statement has no parameter {parameter}"),
            });
        };
        encode(value, kind, bound)
    }

    pub(super) fn parameter_count(&self) -> usize {
        self.prepared.kinds().len()
    }

    pub(super) fn column_count(&self) -> usize {
        self.prepared.statement.as_ref().map_or(0, |statement| statement.columns().len())
    }

    /// Writes; says how many rows were changed.
    pub(super) fn execute(&mut self) -> DatabaseResult<usize> {
        if let Some(gathered) = &mut *self.connection.gathered.borrow_mut() {
            gathered.add(&numbered(&self.prepared.sql, &[]), &self.bound);
            return Ok(1);
        }
        self.connection.guard(|connection| self.execute_unguarded(connection))
    }

    fn execute_unguarded(&self, connection: &PostgresConnection) -> DatabaseResult<usize> {
        let Some(statement) = &self.prepared.statement else {
            return Ok(self.query()?.len());
        };
        let changed = connection.run(async |client| client.execute(statement, &references(&self.bound)).await)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// All rows.
    pub(super) fn query(&self) -> DatabaseResult<std::vec::IntoIter<tokio_postgres::Row>> {
        let query = |connection: &PostgresConnection| {
            let rows = connection.run(async |client| match &self.prepared.statement {
                Some(statement) => client.query(statement, &references(&self.bound)).await,
                None => client.query_typed(&self.prepared.sql, &[]).await,
            })?;
            Ok(rows.into_iter())
        };
        // Those that write and return what they wrote can be refused like any other that writes.
        if self.prepared.sql.starts_with("INSERT") { self.connection.guard(query) } else { query(self.connection) }
    }

    /// Takes what is bound as one of many rows; writes them when there are enough.
    pub(super) fn add(&mut self, many: &mut Option<ManyRows>, position: usize) -> Result<(), (usize, DatabaseError)> {
        let waiting = many.get_or_insert_with(|| ManyRows::new(self.prepared.kinds(), position));
        waiting.push(&self.bound);
        if waiting.len() < ROWS_AT_ONCE {
            return Ok(());
        }
        many.take().map_or(Ok(()), |many| self.finish(&many))
    }

    /// Writes many rows; a failure tells the position of the row.
    pub(super) fn finish(&mut self, many: &ManyRows) -> Result<(), (usize, DatabaseError)> {
        let first = many.first();
        if many.len() > 1
            && let Some(gathered) = &mut *self.connection.gathered.borrow_mut()
            && let Some(sql) = bulk_sql(&self.prepared.sql, self.prepared.kinds())
        {
            gathered.add(&sql, &many.arrays());
            return Ok(());
        }
        if many.len() > 1
            && self.connection.gathered.borrow().is_none()
            && let Some(statement) = self.many().map_err(|error| (first, error))?
        {
            let arrays = many.arrays();
            let write = |connection: &PostgresConnection| {
                connection.run(async |client| client.execute(&statement, &references(&arrays)).await)
            };
            match self.connection.guard(write) {
                Ok(_) => return Ok(()),
                Err(error) if matches!(error.kind, ErrorKind::Lost | ErrorKind::Conflict | ErrorKind::Busy) => {
                    return Err((first, error));
                }
                // One by one, to see which it is; what is right one by one is right.
                Err(_) => {}
            }
        }
        for position in 0..many.len() {
            many.take(position, &mut self.bound);
            self.execute().map_err(|error| (first + position, error))?;
        }
        Ok(())
    }

    /// The statement for many rows.
    fn many(&self) -> DatabaseResult<Option<tokio_postgres::Statement>> {
        if let Some(known) = self.prepared.many.get() {
            return Ok(known.clone());
        }
        let kinds = self.prepared.kinds();
        let prepared = match bulk_sql(&self.prepared.sql, kinds) {
            Some(sql) => Some(self.connection.run(async |client| client.prepare(&sql).await)?),
            None => None,
        };
        Ok(self.prepared.many.get_or_init(|| prepared).clone())
    }
}

/// The rows that a statement gives, fetched when the first is asked for.
pub(crate) struct PostgresRows<'s> {
    pub(super) statement: &'s PostgresStatement<'s>,
    pub(super) rows: Option<std::vec::IntoIter<tokio_postgres::Row>>,
    pub(super) current: Option<tokio_postgres::Row>,
}

impl PostgresRows<'_> {
    pub(super) fn next(&mut self) -> DatabaseResult<Option<&tokio_postgres::Row>> {
        if self.rows.is_none() {
            self.rows = Some(self.statement.query()?);
        }
        self.current = self.rows.as_mut().and_then(Iterator::next);
        Ok(self.current.as_ref())
    }
}

fn references(bound: &[Encoded]) -> Vec<&(dyn ToSql + Sync)> {
    bound.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// A value of a row.
pub(super) fn value(row: &tokio_postgres::Row, column: usize) -> DatabaseResult<ValueRef<'_>> {
    let kind = row.columns().get(column).map_or(Type::UNKNOWN, |column| column.type_().clone());
    let raw: Raw<'_> = row.try_get(column).map_err(|error| error_of(&error))?;
    decode(raw, &kind)
}

/// Makes the schema of a new repository, and looks whether the database has what every repository needs.
pub(super) fn prepare_namespace(place: &PostgresPlace) -> Result<(), RegistryError> {
    let connection = PostgresConnection::connect(place, true, Durability::Full)?;
    let failed = |error: DatabaseError| RegistryError::database("making a repository", &error);
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'btree_gist')";
    let row = connection.run(async |client| client.query_one(sql, &[]).await).map_err(failed)?;
    if !row.try_get::<_, bool>(0).unwrap_or(false) {
        return Err(RegistryError::BadArgument {
            reason: format!(
                "the database of `{}` lacks the extension `btree_gist`, without which other clients refuse it; \
                 its owner can say `CREATE EXTENSION btree_gist`",
                place.shown()
            ),
        });
    }
    let Some(namespace) = place.namespace() else { return Ok(()) };
    let quoted = namespace.replace('"', "\"\"");
    connection.batch(&format!("CREATE SCHEMA IF NOT EXISTS \"{quoted}\"")).map_err(failed)
}
