//! `PostgreSQL` behind a connection: sessions, statements, transactions, errors.

use super::{
    connection::{DatabaseError, DatabaseResult, ErrorKind},
    gathered::Gathered,
    place::PostgresPlace,
    postgres_errors::{answers_later, described, error_of},
    postgres_statement::Prepared,
    postgres_values::{Raw, decode},
    session::Session,
    values::ValueRef,
    wait_before,
};
use crate::{durability::Durability, error::RegistryError};
use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    sync::Arc,
};
use tokio_postgres::{Client, Row, SimpleQueryMessage, types::Type};

/// How often it is tried again to begin a session.
const CONNECTIONS: u32 = 8;

/// A session with a server.
pub(crate) struct PostgresConnection {
    session: RefCell<Option<Session>>,
    /// What is said together with the next statement.
    before: RefCell<String>,
    /// Whether what was said before the last statement failed.
    unready: Cell<bool>,
    process: u32,
    pub(super) statements: RefCell<HashMap<String, Arc<Prepared>>>,
    /// Questions without parameters that were asked once.
    pub(super) asked: RefCell<HashSet<String>>,
    /// Answers that came before their questions were asked one by one.
    pub(super) ahead: RefCell<HashMap<String, Vec<Row>>>,
    in_transaction: Cell<bool>,
    /// Whether the transaction only reads.
    reading: Cell<bool>,
    /// Whether a statement failed so that the server will not keep the open transaction.
    failed: Cell<bool>,
    /// Whether the savepoint `step` is the innermost one.
    guarded: Cell<bool>,
    /// Whether anything was said in the transaction that would be lost if it were begun anew.
    pub(super) touched: Cell<bool>,
    /// Statements that write and wait for others, to be said as one.
    pub(super) gathered: RefCell<Option<Gathered>>,
    /// Whether the last failure may go away when everything is tried again.
    passing: Cell<bool>,
    lost: Cell<bool>,
    /// The number of the open or last transaction, by which the server knows later whether it was kept.
    transaction: RefCell<String>,
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
                    let hosts = place.config().get_hosts();
                    let reason = place.encryption().explained(&error, hosts).unwrap_or_else(|| described(&error));
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
            ahead: RefCell::default(),
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
    pub(super) fn run<T>(
        &self,
        ask: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> DatabaseResult<T> {
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

    /// Whether a transaction is open that sees more than others do.
    pub(super) fn may_have_written(&self) -> bool {
        self.in_transaction.get() && !self.reading.get()
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
    pub(super) fn guard<T>(&self, run: impl FnOnce(&Self) -> DatabaseResult<T>) -> DatabaseResult<T> {
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
            Ok(()) => match self.run_gathered(gathered, fresh) {
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

    fn run_gathered(&self, gathered: Gathered, fresh: bool) -> DatabaseResult<()> {
        let write = move |connection: &Self| {
            let statement = connection.prepare(&gathered.sql(), &[])?;
            let values = gathered.encoded(statement.kinds())?;
            statement.execute_with(&values)
        };
        // A transaction with nothing else in it can as well be begun anew.
        if fresh { write(self) } else { self.guard(write) }.map(|_| ())
    }
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
