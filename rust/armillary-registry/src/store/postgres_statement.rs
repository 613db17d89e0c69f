//! Statements of a session with a `PostgreSQL` server: when the server hears of them, and their values and rows.

use super::{
    LONGEST_KEPT,
    connection::{DatabaseError, DatabaseResult, ErrorKind},
    gathered::Gathered,
    postgres::PostgresConnection,
    postgres_values::{Encoded, ManyRows, arrays, encode},
    session::all,
    values::{Bind as _, Owned, Parameter},
};
use crate::postgres_text::{bulk_sql, numbered, replaced};
use std::sync::{Arc, OnceLock};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

/// How many prepared statements each connection keeps.
const STATEMENTS: usize = 512;
/// How many rows are written in one round trip.
const ROWS_AT_ONCE: usize = 4000;

/// A statement and, if the server was told, by which name it knows it.
pub(super) struct Prepared {
    /// None for a question without parameters that is asked for the first time and may be the last, and for what is
    /// gathered.
    statement: Option<tokio_postgres::Statement>,
    sql: String,
    /// The same for many rows at once; none if it has no such form.
    many: OnceLock<Option<tokio_postgres::Statement>>,
}

impl Prepared {
    fn new(statement: Option<tokio_postgres::Statement>, sql: &str) -> Arc<Self> {
        Arc::new(Self { statement, sql: sql.to_owned(), many: OnceLock::new() })
    }

    /// The types of its parameters.
    fn kinds(&self) -> &[Type] {
        self.statement.as_ref().map_or(&[], tokio_postgres::Statement::params)
    }
}

impl PostgresConnection {
    /// As [`Self::prepare`]; a question without parameters goes to the server as it is when it is asked first. Of those
    /// that open a repository, most are asked only once. What is gathered is prepared with the others, as one.
    pub(super) fn prepare_or_ask(&self, sql: &str) -> DatabaseResult<PostgresStatement<'_>> {
        if self.gathered.borrow().is_some() {
            let mut count = 0;
            replaced(sql, |_, number| count = number.unwrap_or(count + 1).max(count));
            let values = Values::Plain(vec![Owned::Null; count]);
            return Ok(PostgresStatement { connection: self, prepared: Prepared::new(None, sql), values });
        }
        let once = || PostgresStatement {
            connection: self,
            prepared: Prepared::new(None, sql),
            values: Values::Encoded(Vec::new()),
        };
        if self.ahead.borrow().contains_key(sql) {
            return Ok(once());
        }
        if !sql.starts_with("SELECT ") || sql.contains('?') || sql.len() > LONGEST_KEPT {
            return self.prepare(sql, &[]);
        }
        let mut asked = self.asked.borrow_mut();
        if asked.len() >= STATEMENTS {
            asked.clear();
        }
        if asked.insert(sql.to_owned()) { Ok(once()) } else { self.prepare(sql, &[]) }
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
            let prepared = Prepared::new(Some(statement), sql);
            if key.len() <= LONGEST_KEPT {
                let mut statements = self.statements.borrow_mut();
                if statements.len() >= STATEMENTS {
                    statements.clear();
                }
                statements.insert(key.to_owned(), prepared.clone());
            }
            prepared
        };
        let values = Values::Encoded(vec![Encoded::Null; prepared.kinds().len()]);
        Ok(PostgresStatement { connection: self, prepared, values })
    }

    /// Asks questions without parameters in one round trip; until [`Self::forget_ahead`], each gets its answer at once
    /// when it is first asked.
    pub(super) fn ask_ahead(&self, questions: &[String]) -> DatabaseResult<()> {
        let answers = self.run(async |client| {
            all(questions.iter().map(|question| client.query_typed(question, &[])).collect()).await
        })?;
        *self.ahead.borrow_mut() = questions.iter().cloned().zip(answers).collect();
        Ok(())
    }

    /// Forgets the answers that nobody asked for.
    pub(super) fn forget_ahead(&self) {
        self.ahead.borrow_mut().clear();
    }

    fn gather(&self, add: impl FnOnce(&mut Gathered)) {
        if let Some(gathered) = &mut *self.gathered.borrow_mut() {
            add(gathered);
        }
    }
}

/// What is bound to a statement.
enum Values {
    /// As the server wants it.
    Encoded(Vec<Encoded>),
    /// As it is, while it is gathered.
    Plain(Vec<Owned>),
}

/// Rows that wait to be written together.
pub(super) enum Many {
    Encoded(ManyRows<Encoded>),
    Plain(ManyRows<Owned>),
}

/// A statement and what is bound to it.
pub(crate) struct PostgresStatement<'c> {
    connection: &'c PostgresConnection,
    prepared: Arc<Prepared>,
    values: Values,
}

impl PostgresStatement<'_> {
    pub(super) fn bind(&mut self, parameter: usize, value: Parameter<'_>) -> DatabaseResult<()> {
        let place = parameter.wrapping_sub(1);
        match &mut self.values {
            Values::Encoded(bound) => {
                if let (Some(kind), Some(bound)) = (self.prepared.kinds().get(place), bound.get_mut(place)) {
                    return encode(value, kind, bound);
                }
            }
            Values::Plain(bound) => {
                if let Some(bound) = bound.get_mut(place) {
                    *bound = value.into();
                    return Ok(());
                }
            }
        }
        Err(DatabaseError {
            kind: ErrorKind::Statement,
            message: format!("the statement has no parameter {parameter}"),
        })
    }

    pub(super) fn parameter_count(&self) -> usize {
        match &self.values {
            Values::Encoded(bound) => bound.len(),
            Values::Plain(bound) => bound.len(),
        }
    }

    pub(super) fn column_count(&self) -> usize {
        self.prepared.statement.as_ref().map_or(0, |statement| statement.columns().len())
    }

    /// The types of its parameters.
    pub(super) fn kinds(&self) -> &[Type] {
        self.prepared.kinds()
    }

    /// Writes; says how many rows were changed.
    pub(super) fn execute(&mut self) -> DatabaseResult<usize> {
        match &self.values {
            Values::Plain(bound) => {
                self.connection.gather(|gathered| gathered.add(&numbered(&self.prepared.sql, &[]), bound));
                Ok(1)
            }
            Values::Encoded(bound) => self.connection.guard(|_| self.execute_with(bound)),
        }
    }

    /// Writes with these values, unguarded.
    pub(super) fn execute_with(&self, values: &[Encoded]) -> DatabaseResult<usize> {
        let Some(statement) = &self.prepared.statement else {
            return Ok(self.query()?.len());
        };
        let changed = self.connection.run(async |client| client.execute(statement, &references(values)).await)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// All rows.
    pub(super) fn query(&self) -> DatabaseResult<std::vec::IntoIter<Row>> {
        let Values::Encoded(bound) = &self.values else {
            return Err(DatabaseError {
                kind: ErrorKind::Statement,
                message: "nothing can be read while what is written is gathered".to_owned(),
            });
        };
        if let Some(rows) = self.connection.ahead.borrow_mut().remove(&self.prepared.sql) {
            return Ok(rows.into_iter());
        }
        let query = |connection: &PostgresConnection| {
            let rows = connection.run(async |client| match &self.prepared.statement {
                Some(statement) => client.query(statement, &references(bound)).await,
                None => client.query_typed(&self.prepared.sql, &[]).await,
            })?;
            Ok(rows.into_iter())
        };
        // Those that write and return what they wrote can be refused like any other that writes.
        if self.prepared.sql.starts_with("INSERT") { self.connection.guard(query) } else { query(self.connection) }
    }

    /// Takes what is bound as one of many rows; writes them when there are enough.
    pub(super) fn add(&mut self, many: &mut Option<Many>, position: usize) -> Result<(), (usize, DatabaseError)> {
        let waiting = many.get_or_insert_with(|| match &self.values {
            Values::Encoded(_) => Many::Encoded(ManyRows::new(position)),
            Values::Plain(_) => Many::Plain(ManyRows::new(position)),
        });
        match (waiting, &self.values) {
            (Many::Encoded(rows), Values::Encoded(bound)) => {
                rows.push(bound);
                if rows.len() < ROWS_AT_ONCE {
                    return Ok(());
                }
            }
            (Many::Plain(rows), Values::Plain(bound)) => {
                rows.push(bound);
                return Ok(());
            }
            _ => unreachable!("a statement has values of one form"),
        }
        many.take().map_or(Ok(()), |many| self.finish(&many))
    }

    /// Writes many rows; a failure tells the position of the row.
    pub(super) fn finish(&mut self, many: &Many) -> Result<(), (usize, DatabaseError)> {
        match many {
            Many::Encoded(rows) => self.write(rows),
            Many::Plain(rows) => self.gather_rows(rows).map_err(|error| (rows.first(), error)),
        }
    }

    fn write(&mut self, rows: &ManyRows<Encoded>) -> Result<(), (usize, DatabaseError)> {
        let first = rows.first();
        if rows.len() > 1
            && let Some(statement) = self.many().map_err(|error| (first, error))?
        {
            let arrays = arrays(rows, self.prepared.kinds());
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
        for position in 0..rows.len() {
            let row = rows.row(position);
            self.connection.guard(|_| self.execute_with(row)).map_err(|error| (first + position, error))?;
        }
        Ok(())
    }

    fn gather_rows(&self, rows: &ManyRows<Owned>) -> DatabaseResult<()> {
        if rows.len() > 1 {
            let known = self.connection.prepare(&self.prepared.sql, &[])?;
            let kinds = known.kinds();
            if let Some(sql) = bulk_sql(&self.prepared.sql, kinds) {
                let mut encoded = ManyRows::new(0);
                let mut row = vec![Encoded::Null; kinds.len()];
                for position in 0..rows.len() {
                    for ((value, kind), bound) in rows.row(position).iter().zip(kinds).zip(&mut row) {
                        encode(value.parameter(), kind, bound)?;
                    }
                    encoded.push(&row);
                }
                self.connection.gather(|gathered| gathered.add_encoded(&sql, arrays(&encoded, kinds)));
                return Ok(());
            }
        }
        let sql = numbered(&self.prepared.sql, &[]);
        for position in 0..rows.len() {
            self.connection.gather(|gathered| gathered.add(&sql, rows.row(position)));
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
    pub(super) rows: Option<std::vec::IntoIter<Row>>,
    pub(super) current: Option<Row>,
}

impl PostgresRows<'_> {
    pub(super) fn next(&mut self) -> DatabaseResult<Option<&Row>> {
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
