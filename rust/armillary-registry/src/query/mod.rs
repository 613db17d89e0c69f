//! Queries: a request in, columns out.
//!
//! A request becomes a plan (names and types resolved, joins decided), the plan one SELECT, its rows columns; then come
//! the tests that SQL leaves to Rust: exact overlaps of regions, and which collection comes first.

mod answer;
mod error;
mod execute;
mod explain;
mod halves;
mod known;
mod lookup;
mod merge;
mod names;
mod needless;
mod pairs;
mod parts;
mod plan;
mod predicate;
mod refine;
mod region;
mod request;
mod resolve;
mod rows;
mod search;
mod skypix;
mod sources;
mod spatial;
mod sql;
mod statement;

pub use answer::{Alike, DatasetColumns, Meaning, NamedColumn, QueryResult, RecordTable};
pub use error::{QueryError, QueryProblem};
pub use request::{Bind, Clause, DatasetSearch, QueryRequest, ResultKind, Then, Upload};
pub(crate) use sql::Sql;
pub(crate) use statement::key_type;

use crate::{Registry, RegistryError};
use armillary_dimensions::{ColumnType, DimensionGroup, ElementIndex};
use execute::{Query, empty_answer};
use plan::Plan;

impl Registry {
    /// Answers a query.
    ///
    /// ```no_run
    /// # use armillary_registry::{Registry, query::{QueryRequest, ResultKind}};
    /// let registry = Registry::open("repo/gen3.sqlite3".as_ref(), false)?;
    /// let visits = registry.universe().group(["visit"])?;
    /// let request = QueryRequest::new(ResultKind::DataIds(visits)).filtered("instrument = 'HSC' AND band = 'i'");
    /// let answer = registry.query(&request)?;
    /// println!("{} visits, the first is {}", answer.rows, answer.data_id(0));
    /// # Ok::<(), armillary_registry::RegistryError>(())
    /// ```
    pub fn query(&self, request: &QueryRequest) -> Result<QueryResult, RegistryError> {
        let _question = self.store().question();
        self.store().together(|| self.answer(request))
    }

    fn answer(&self, request: &QueryRequest) -> Result<QueryResult, RegistryError> {
        let plan = Plan::new(self, request)?;
        let reasons = plan.doom();
        if !reasons.is_empty() || request.limit == Some(0) {
            return Ok(empty_answer(&plan, reasons));
        }
        let hurried = plan.hurried(request);
        self.store().one_state(|| {
            if let Some(hurried) = &hurried {
                let answer = Query::new(self, hurried, request, true)?.answer(request)?;
                if Some(answer.rows) == request.limit {
                    return Ok(answer);
                }
            }
            Query::new(self, &plan, request, true)?.answer(request)
        })
    }

    /// How many rows the answer to a query has.
    pub fn query_count(&self, request: &QueryRequest) -> Result<usize, RegistryError> {
        let _question = self.store().question();
        self.store().together(|| self.count(request))
    }

    fn count(&self, request: &QueryRequest) -> Result<usize, RegistryError> {
        let plan = Plan::new(self, request)?;
        if !plan.doom().is_empty() || request.limit == Some(0) {
            return Ok(0);
        }
        self.store().one_state(|| Query::new(self, &plan, request, false)?.count(request))
    }

    /// Whether the answer to a query has any rows.
    pub fn query_any(&self, request: &QueryRequest) -> Result<bool, RegistryError> {
        let mut request = request.clone();
        request.limit = Some(request.limit.unwrap_or(1).min(1));
        request.order_by.clear();
        Ok(self.query_count(&request)? > 0)
    }

    /// The SELECT that a query runs, for those who want to see it; values are left as parameters.
    pub fn query_sql(&self, request: &QueryRequest) -> Result<String, RegistryError> {
        let plan = Plan::new(self, request)?;
        Ok(Query::new(self, &plan, request, true)?.sql())
    }

    /// All dimensions that the answer, the joins and the conditions of a query have to do with.
    pub fn query_dimensions(&self, request: &QueryRequest) -> Result<DimensionGroup, RegistryError> {
        Ok(Plan::new(self, request)?.group)
    }

    /// Some values of a governor, for messages.
    pub(crate) fn known_values(&self, governor: ElementIndex) -> Result<Vec<String>, RegistryError> {
        let element = self.universe().get(governor);
        let (Some(key), true) = (element.own_key(), element.has_table()) else { return Ok(Vec::new()) };
        let dialect = self.store().dialect();
        let mut sql = String::from("SELECT ");
        dialect.identifier(&mut sql, &key.name);
        sql.push_str(" FROM ");
        dialect.identifier(&mut sql, &element.name);
        sql.push_str(" ORDER BY 1 LIMIT 10");
        let columns = self.store().select(&sql, &[], &[ColumnType::from(key.kind)])?;
        let Some(column) = columns.first() else { return Ok(Vec::new()) };
        Ok((0..column.len())
            .filter_map(|row| match column.get(row).to_key()? {
                armillary_dimensions::Key::Str(text) => Some(text.to_string()),
                armillary_dimensions::Key::Int(number) => Some(number.to_string()),
            })
            .collect())
    }
}
