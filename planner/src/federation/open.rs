//! A select statement of a remote while it still grows.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Expr, LogicalPlan};

use causeway_providers::sql::{
    ColumnScope, Dialect, Origin, RemoteSql, ScanLimits, ScopedColumn, Select, SelectItem, SqlRemote, translate_value,
};
use causeway_providers::{Comparison, RemoteColumn, RemoteId, RemoteTable};

use super::Reason;
use super::needs::Needs;

/// Rows in a batch of a remote scan when the session does not say.
const BATCH_ROWS: usize = 8192;

/// A statement may give so many times the rows of its inputs.
const EXPLODING: u64 = 2;

/// So many rows are soon here, from however few they were made.
const EXPLODED: u64 = 100_000;

/// Hands out table aliases. Each remote counts for itself, so that its statements do not depend on what else runs beside them.
#[derive(Debug, Default)]
pub(super) struct Aliases(HashMap<RemoteId, usize>);

impl Aliases {
    /// An alias no statement of `remote` has had yet.
    pub(super) fn next(&mut self, remote: &dyn SqlRemote) -> String {
        let count = self.0.entry(remote.id().clone()).or_default();
        let alias = format!("{}{count}", remote.dialect().table_alias());
        *count += 1;
        alias
    }
}

/// What stands after `FROM`.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Its text, aliases included.
    pub(super) sql: String,
    /// Whether it is a join, which needs parentheses on the right of another.
    pub(super) joined: bool,
}

impl Source {
    /// As the operand of a join.
    pub(super) fn operand(&self) -> String {
        if self.joined { format!("({})", self.sql) } else { self.sql.clone() }
    }
}

/// Where a column of an open select comes from.
#[derive(Debug, Clone)]
enum Form {
    /// A column of a remote table, untouched. It may have passed through derived tables.
    Remote { table: Arc<RemoteTable>, index: usize },
    /// A column of a derived table that already has the form its values must arrive in.
    Derived,
    /// An expression, and the same in the form its values must arrive in.
    Computed { output: String },
}

/// A column of an open select, by position that of the plan node it stands for.
#[derive(Debug, Clone)]
pub(super) struct OpenColumn {
    /// How expressions above write it.
    sql: String,
    data_type: DataType,
    comparison: Comparison,
    /// What a text is compared under.
    collation: Option<String>,
    form: Form,
}

impl OpenColumn {
    /// The column `index` of `table`, behind `alias`.
    pub(super) fn remote(table: &Arc<RemoteTable>, index: usize, alias: &str, dialect: &dyn Dialect) -> Self {
        let column = &table.columns[index];
        Self {
            sql: format!("{alias}.{}", dialect.quote(&column.name)),
            data_type: column.data_type.clone(),
            comparison: column.comparison,
            collation: column.collation.clone(),
            form: Form::Remote { table: Arc::clone(table), index },
        }
    }

    /// A value that is already cast to `data_type`, such as an aggregate.
    pub(super) fn cast_value(sql: String, data_type: DataType) -> Self {
        let comparison = Comparison::of_computed(&data_type);
        Self { form: Form::Computed { output: sql.clone() }, sql, data_type, comparison, collation: None }
    }

    /// A column of a derived table that has the form of `data_type`.
    pub(super) fn derived(sql: String, data_type: DataType) -> Self {
        Self { comparison: Comparison::of_computed(&data_type), sql, data_type, collation: None, form: Form::Derived }
    }

    /// Whether it is a mere reference, which may be grouped by and joined as null by any source.
    pub(super) fn is_reference(&self) -> bool {
        matches!(self.form, Form::Remote { .. } | Form::Derived)
    }

    /// How expressions above write it.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// Its Arrow type.
    pub(super) fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Which comparisons on it agree.
    pub(super) fn comparison(&self) -> Comparison {
        self.comparison
    }

    /// As expressions see it.
    fn scoped(&self) -> ScopedColumn<'_> {
        ScopedColumn {
            sql: self.sql.clone(),
            data_type: &self.data_type,
            comparison: self.comparison,
            column: self.column(),
            collation: self.collation.as_deref(),
        }
    }

    /// The remote column it is, when it is one.
    pub(super) fn column(&self) -> Option<&RemoteColumn> {
        match &self.form {
            Form::Remote { table, index } => Some(&table.columns[*index]),
            Form::Derived | Form::Computed { .. } => None,
        }
    }

    /// The same as errors tell of it.
    pub(super) fn origin(&self) -> Option<Origin> {
        match &self.form {
            Form::Remote { table, index } => Some(Origin::new(table, *index)),
            Form::Derived | Form::Computed { .. } => None,
        }
    }

    /// In the form its values must arrive in.
    pub(super) fn output(&self, dialect: &dyn Dialect) -> String {
        match &self.form {
            Form::Remote { table, index } => dialect.output(&table.columns[*index], &self.sql),
            Form::Derived => self.sql.clone(),
            Form::Computed { output } => output.clone(),
        }
    }

    /// In the form in which it may leave the source.
    fn fetched(&self, dialect: &dyn Dialect) -> String {
        match &self.form {
            Form::Remote { table, index } => dialect.fetched(&table.columns[*index], &self.sql),
            Form::Derived | Form::Computed { .. } => self.output(dialect),
        }
    }

    /// As a derived table passes it on: remote columns as they are, so that they still compare as themselves.
    fn passed_on(&self) -> &str {
        match &self.form {
            Form::Remote { .. } | Form::Derived => &self.sql,
            Form::Computed { output } => output,
        }
    }
}

/// Grouping: its keys, and the conditions on groups.
#[derive(Debug, Clone, Default)]
pub(super) struct Grouping {
    pub(super) keys: Vec<String>,
    pub(super) having: Vec<String>,
}

/// A select statement that stands for a sub-plan, and may take in the node above it.
#[derive(Debug, Clone)]
pub(super) struct OpenSelect {
    pub(super) remote: Arc<dyn SqlRemote>,
    pub(super) needs: Needs,
    pub(super) columns: Vec<OpenColumn>,
    pub(super) from: Source,
    pub(super) filter: Vec<String>,
    pub(super) grouping: Option<Grouping>,
    pub(super) order_by: Vec<String>,
    pub(super) limit: Option<u64>,
    pub(super) offset: u64,
    /// The subqueries for values of the node being taken in.
    pub(super) subqueries: Vec<Value>,
    /// Whether it does more than the plain scan of a table would.
    pub(super) gains: bool,
    /// How many rows it has at most, by the source's own estimate.
    pub(super) rows: Option<u64>,
    /// How many rows it is believed to have. This chooses plans, never answers.
    pub(super) believed: Option<u64>,
    /// How many rows its inputs are believed to have, all together.
    pub(super) inputs: Option<u64>,
    /// Whether what it is made from has one row at most, whatever is done to it.
    pub(super) from_one_row: bool,
}

/// A subquery that stands for a value, and what the statement needs in which it does.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) plan: Arc<LogicalPlan>,
    pub(super) column: OpenColumn,
    pub(super) needs: Needs,
}

impl OpenSelect {
    pub(super) fn dialect(&self) -> &dyn Dialect {
        self.remote.dialect()
    }

    /// Whether a filter, a join or a grouping can still be added without a derived table.
    pub(super) fn is_flat(&self) -> bool {
        self.grouping.is_none() && !self.is_limited()
    }

    pub(super) fn is_limited(&self) -> bool {
        self.limit.is_some() || self.offset > 0
    }

    /// Whether it is believed to give many more rows than its inputs have: a join that is cheaper to compute than to fetch.
    pub(super) fn explodes(&self) -> bool {
        let Some((rows, inputs)) = self.believed.zip(self.inputs) else { return false };
        self.grouping.is_none() && rows > EXPLODED && rows / EXPLODING > inputs
    }

    /// Whether it has one row at most.
    fn is_one_row(&self) -> bool {
        self.from_one_row || self.limit == Some(1) || self.grouping.as_ref().is_some_and(|grouping| grouping.keys.is_empty())
    }

    pub(super) fn is_ordered(&self) -> bool {
        !self.order_by.is_empty()
    }

    /// Adds a condition on rows, once.
    pub(super) fn restrict(&mut self, condition: String) {
        if !self.filter.contains(&condition) {
            self.filter.push(condition);
        }
    }

    /// Notes that the source computes with the columns this select gives, where they are stored ones.
    pub(super) fn rely_on_columns(&mut self) {
        for column in &self.columns {
            if let Form::Remote { table, index } = &column.form {
                self.needs.reliance.on(table, *index);
            }
        }
    }

    /// Notes that the source computes with the columns `expr` mentions, where they are stored ones.
    pub(super) fn rely(&mut self, expr: &Expr, schema: &DFSchema) {
        for column in expr.column_refs() {
            let found = schema.maybe_index_of_column(column).and_then(|index| self.columns.get(index));
            if let Some(OpenColumn { form: Form::Remote { table, index }, .. }) = found {
                self.needs.reliance.on(table, *index);
            }
        }
    }

    /// Takes on the needs of those subqueries for values that became part of it, and forgets all of them.
    pub(super) fn settle_values(&mut self) {
        for value in std::mem::take(&mut self.subqueries) {
            let having = self.grouping.iter().flat_map(|grouping| &grouping.having);
            let computed = self.columns.iter().map(|column| &column.sql);
            if self.filter.iter().chain(having).chain(computed).any(|sql| sql.contains(&value.column.sql)) {
                self.needs = std::mem::take(&mut self.needs).and(&value.needs);
            }
        }
    }

    /// This select as a value, if it has one column that compares as its type and one row at most.
    pub(super) fn value(&self) -> Option<OpenColumn> {
        let [column] = self.columns.as_slice() else { return None };
        let plain = matches!(column.comparison, Comparison::Total | Comparison::Float);
        if !self.is_one_row() || !plain || column.comparison != Comparison::of_computed(&column.data_type) {
            return None;
        }
        Some(OpenColumn::cast_value(format!("({})", self.output(ColumnAliases::Positional)), column.data_type.clone()))
    }

    /// The columns as expressions over `schema` see them.
    pub(super) fn scope<'a>(&'a self, schema: &'a DFSchema) -> Scope<'a> {
        Scope { columns: &self.columns, subqueries: &self.subqueries, schema }
    }

    /// The column `expr` computes over `scope`.
    pub(super) fn compute(&self, expr: &Expr, scope: &Scope<'_>) -> Result<OpenColumn, Reason> {
        if let Some(index) = scope.position(expr) {
            return Ok(self.columns[index].clone());
        }
        let value = translate_value(self.dialect(), expr, scope)?;
        let type_name = self
            .dialect()
            .type_name(&value.data_type)
            .ok_or_else(|| format!("a computed value of type {} has no exact form at the source", value.data_type))?;
        let output = format!("CAST({} AS {type_name})", value.sql);
        // A bare literal would mean a position in GROUP BY and ORDER BY.
        let sql = if value.literal.is_some() { output.clone() } else { value.sql };
        let comparison = if value.literal.is_some() { Comparison::of_computed(&value.data_type) } else { value.comparison };
        let collation = value.collation.map(str::to_owned);
        Ok(OpenColumn { sql, data_type: value.data_type, comparison, collation, form: Form::Computed { output } })
    }

    /// This select with nothing but conditions on rows, wrapped into a derived table if need be.
    pub(super) fn flattened(self, aliases: &mut Aliases) -> Self {
        if self.is_flat() {
            return Self { order_by: Vec::new(), ..self };
        }
        self.closed(aliases)
    }

    /// This select as a derived table, whose columns are references.
    pub(super) fn closed(self, aliases: &mut Aliases) -> Self {
        let derived = format!("({})", self.derived());
        self.read_from(&derived, aliases)
    }

    /// This select as a query of the statement's `WITH`, whose columns are references.
    pub(super) fn named(mut self, subplan: usize, aliases: &mut Aliases) -> Self {
        let sql = self.derived();
        let name = self.needs.name(subplan, sql);
        self.read_from(&name, aliases)
    }

    /// The text of this select, whose columns are called by their positions.
    fn derived(&self) -> String {
        let items = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| SelectItem { sql: column.passed_on().to_owned(), alias: Some(format!("c{at}")) })
            .collect();
        let mut select = self.select(items);
        if !self.is_limited() {
            // An order without a limit means nothing to what is above.
            select.order_by.clear();
        }
        select.render(self.dialect())
    }

    /// The same rows, read `from` where this select has given them to its statement.
    fn read_from(self, from: &str, aliases: &mut Aliases) -> Self {
        let alias = aliases.next(self.remote.as_ref());
        let from_one_row = self.is_one_row();
        let columns = self
            .columns
            .into_iter()
            .enumerate()
            .map(|(at, column)| {
                let form = match column.form {
                    Form::Computed { .. } => Form::Derived,
                    form => form,
                };
                OpenColumn { sql: format!("{alias}.c{at}"), form, ..column }
            })
            .collect();
        Self {
            columns,
            from: Source { sql: format!("{from} AS {alias}"), joined: false },
            filter: Vec::new(),
            grouping: None,
            order_by: Vec::new(),
            limit: None,
            offset: 0,
            from_one_row,
            ..self
        }
    }

    /// The statement with its columns in the form their values must arrive in, under positional names if `named`.
    pub(super) fn output(&self, named: ColumnAliases) -> String {
        let items = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| SelectItem {
                sql: match named {
                    ColumnAliases::None => column.fetched(self.dialect()),
                    ColumnAliases::Positional => column.output(self.dialect()),
                },
                alias: (named == ColumnAliases::Positional).then(|| format!("c{at}")),
            })
            .collect();
        self.select(items).render(self.dialect())
    }

    /// The finished statement and what it may take.
    pub(super) fn finish(&self) -> (RemoteSql, ScanLimits) {
        let limits = ScanLimits::new(self.needs.query_timeout, BATCH_ROWS);
        let origins = self.columns.iter().map(OpenColumn::origin).collect();
        let text = format!("{}{}", self.needs.with(), self.output(ColumnAliases::None));
        (RemoteSql { text, reliance: self.needs.reliance.clone(), origins }, limits)
    }

    fn select(&self, items: Vec<SelectItem>) -> Select {
        let grouping = self.grouping.clone().unwrap_or_default();
        Select {
            items,
            from: self.from.sql.clone(),
            filter: self.filter.clone(),
            group_by: grouping.keys,
            having: grouping.having,
            order_by: self.order_by.clone(),
            limit: self.limit,
            offset: self.offset,
        }
    }
}

/// Whether the output columns of a statement are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnAliases {
    /// They are read by position.
    None,
    /// `c0`, `c1`, ..., for a statement above.
    Positional,
}

/// The columns of an open select under the names its plan node gives them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    columns: &'a [OpenColumn],
    subqueries: &'a [Value],
    schema: &'a DFSchema,
}

impl Scope<'_> {
    /// The column `expr` is, behind aliases.
    fn position(&self, expr: &Expr) -> Option<usize> {
        match expr {
            Expr::Column(column) => self.schema.maybe_index_of_column(column),
            Expr::Alias(alias) => self.position(&alias.expr),
            _ => None,
        }
    }
}

impl ColumnScope for Scope<'_> {
    fn resolve(&self, column: &Column) -> Option<ScopedColumn<'_>> {
        Some(self.columns.get(self.schema.maybe_index_of_column(column)?)?.scoped())
    }

    fn subquery(&self, plan: &Arc<LogicalPlan>) -> Option<ScopedColumn<'_>> {
        self.subqueries.iter().find(|value| Arc::ptr_eq(&value.plan, plan)).map(|value| value.column.scoped())
    }
}

/// The columns of both sides of a join.
#[derive(Debug, Clone, Copy)]
pub(super) struct PairScope<'a>(pub(super) Scope<'a>, pub(super) Scope<'a>);

impl ColumnScope for PairScope<'_> {
    fn resolve(&self, column: &Column) -> Option<ScopedColumn<'_>> {
        self.0.resolve(column).or_else(|| self.1.resolve(column))
    }

    fn subquery(&self, plan: &Arc<LogicalPlan>) -> Option<ScopedColumn<'_>> {
        self.0.subquery(plan).or_else(|| self.1.subquery(plan))
    }
}
