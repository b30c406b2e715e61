//! The nodes with one input, and unions: whether an open select may take them in, and how it then reads.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, FetchType, Filter, Limit, Projection, SkipType, Sort, SortExpr, TableScan};

use causeway_providers::Comparison;
use causeway_providers::sql::{NullOrder, SqlTable, TableScope, Translation, translate, translate_value};

use super::Reason;
use super::needs::Needs;
use super::open::{Aliases, ColumnAliases, OpenColumn, OpenSelect, Scope, Source};

/// A condition of which nothing is known is taken to leave one row of so many.
pub(super) const FILTERED: u64 = 3;

/// What became of a node above an open select.
#[derive(Debug)]
pub(super) enum Absorbed {
    /// The select now stands for the node too.
    Whole(OpenSelect),
    /// The select stands for the node but for some conditions, to be checked again on its rows here.
    Partly {
        /// The grown select.
        open: OpenSelect,
        /// The conditions that are still to be checked.
        above: Vec<Expr>,
        /// Why, one for each that made a difference.
        reasons: Vec<Reason>,
    },
}

/// The open select of a scan, if its table is a remote's that takes SQL.
pub(super) fn scan(scan: &TableScan, aliases: &mut Aliases) -> Option<OpenSelect> {
    let provider = source_as_provider(&scan.source).ok()?;
    let table = provider.downcast_ref::<SqlTable>()?;
    let remote = table.remote();
    if !scan.filters.is_empty() && !remote.capabilities().filter {
        return None;
    }
    let alias = aliases.next(remote.as_ref());
    let dialect = remote.dialect();
    let scope = TableScope::new(table.table(), dialect, Some(&alias));
    let mut filter = Vec::with_capacity(scan.filters.len());
    for predicate in &scan.filters {
        // The table answered Exact or Inexact to each; an inexact one is checked again by a filter above.
        match translate(dialect, predicate, &scope) {
            Translation::Exact(sql) | Translation::Superset(sql) => filter.push(sql),
            Translation::Local(_) => return None,
        }
    }
    let all: Vec<usize> = (0..table.table().columns.len()).collect();
    let columns =
        scan.projection.as_ref().unwrap_or(&all).iter().map(|&index| OpenColumn::remote(table.table(), index, &alias, dialect)).collect();
    let sql = format!("{} AS {alias}", dialect.table(&table.table().schema, &table.table().name));
    // The scan's own fetch is a hint: the limit node it came from is still above.
    Some(OpenSelect {
        remote: Arc::clone(remote),
        needs: Needs::of_scan(table.limits().query_timeout, table.reliance(&scan.filters), table.believed_rows(&scan.filters)),
        columns,
        from: Source { sql, joined: false },
        filter,
        grouping: None,
        order_by: Vec::new(),
        limit: None,
        offset: 0,
        subqueries: Vec::new(),
        gains: false,
        rows: table.table().row_estimate,
        believed: table.believed_rows(&scan.filters),
        inputs: table.believed_rows(&scan.filters),
        from_one_row: false,
    })
}

/// A filter above `open`.
pub(super) fn filter(node: &Filter, open: &OpenSelect, aliases: &mut Aliases) -> Result<Absorbed, Reason> {
    if !open.remote.capabilities().filter {
        return Err("the source does not filter".to_owned());
    }
    let mut open = open.clone();
    let keyless = open.grouping.as_ref().is_some_and(|grouping| grouping.keys.is_empty());
    if open.is_limited() || keyless {
        if open.is_ordered() {
            return Err("rows that are limited in an order are filtered here, where the order is kept".to_owned());
        }
        open = open.closed(aliases);
    }
    let mut above = Vec::new();
    let mut reasons = Vec::new();
    let mut conditions = Vec::new();
    for conjunct in split_conjunction(&node.predicate) {
        match translate(open.dialect(), conjunct, &open.scope(node.input.schema())) {
            Translation::Exact(sql) => conditions.push((sql, conjunct)),
            Translation::Superset(sql) => {
                conditions.push((sql, conjunct));
                above.push(conjunct.clone());
                reasons.push("the source lets more rows through: checked again here".to_owned());
            }
            Translation::Local(reason) => {
                above.push(conjunct.clone());
                reasons.push(reason);
            }
        }
    }
    for (condition, conjunct) in conditions {
        open.rely(conjunct, node.input.schema());
        // A scan takes in the conditions it is offered; one that comes here all the same is more than a scan would do.
        let is_new = !open.filter.contains(&condition);
        open.gains |= is_new;
        if is_new {
            open.believed = open.believed.map(|rows| rows / FILTERED);
        }
        match &mut open.grouping {
            Some(grouping) => grouping.having.push(condition),
            None => open.restrict(condition),
        }
    }
    if above.is_empty() { Ok(Absorbed::Whole(open)) } else { Ok(Absorbed::Partly { open, above, reasons }) }
}

/// A projection above `open`.
pub(super) fn projection(node: &Projection, open: &OpenSelect) -> Result<OpenSelect, Reason> {
    let scope = open.scope(node.input.schema());
    let columns = node.expr.iter().map(|expr| open.compute(expr, &scope)).collect::<Result<Vec<_>, _>>()?;
    matches_schema(&columns, &node.schema)?;
    let mut grown = open.clone();
    for (expr, column) in node.expr.iter().zip(&columns) {
        if !column.is_reference() {
            grown.rely(expr, node.input.schema());
        }
    }
    Ok(OpenSelect { columns, ..grown })
}

/// Whether the source's columns have the types the plan counts on.
pub(super) fn matches_schema(columns: &[OpenColumn], schema: &DFSchema) -> Result<(), Reason> {
    let mismatch = columns.iter().zip(schema.fields()).find(|(column, field)| column.data_type() != field.data_type());
    match mismatch {
        Some((column, field)) => Err(format!("{} comes as {} where {} is needed", field.name(), column.data_type(), field.data_type())),
        None if columns.len() != schema.fields().len() => Err("the number of columns differs".to_owned()),
        None => Ok(()),
    }
}

/// A sort above `open`.
pub(super) fn sort(node: &Sort, open: &OpenSelect, aliases: &mut Aliases) -> Result<OpenSelect, Reason> {
    let capabilities = open.remote.capabilities();
    if !capabilities.sort {
        return Err("the source does not sort as is done here".to_owned());
    }
    if node.fetch.is_some() && !capabilities.limit {
        return Err("the source does not limit".to_owned());
    }
    let mut open = open.clone();
    if open.is_limited() {
        open = open.closed(aliases);
    }
    let order_by = sort_keys(&open, &node.expr, &open.scope(node.input.schema()))?;
    for key in &node.expr {
        open.rely(&key.expr, node.input.schema());
    }
    let limit = node.fetch.map(|fetch| fetch as u64);
    let (rows, believed) = (at_most(open.rows, limit), at_most(open.believed, limit));
    Ok(OpenSelect { order_by, limit, rows, believed, gains: true, ..open })
}

/// The keys of an order as the source writes them. Those that are the same for all rows are left out.
pub(super) fn sort_keys(open: &OpenSelect, keys: &[SortExpr], scope: &Scope<'_>) -> Result<Vec<String>, Reason> {
    let mut order_by = Vec::with_capacity(keys.len());
    for key in keys {
        let value = translate_value(open.dialect(), &key.expr, scope)?;
        if value.literal.is_some() {
            continue;
        }
        match value.comparison {
            Comparison::Total | Comparison::OwnType => {}
            Comparison::Equality | Comparison::SupersetEquality => {
                let collation = value.collation.unwrap_or("default");
                return Err(format!("collation {collation} is not C: order kept local"));
            }
            Comparison::Float => return Err("zero and NaN are ordered otherwise at the source".to_owned()),
            Comparison::None => return Err(format!("{} is ordered otherwise at the source", value.data_type)),
        }
        let nulls = if key.nulls_first { NullOrder::First } else { NullOrder::Last };
        order_by.push(open.dialect().order_by(&value.sql, &value.data_type, key.asc, nulls));
    }
    Ok(order_by)
}

fn at_most(rows: Option<u64>, limit: Option<u64>) -> Option<u64> {
    match (rows, limit) {
        (Some(rows), Some(limit)) => Some(rows.min(limit)),
        (rows, limit) => rows.or(limit),
    }
}

/// A limit above `open`.
pub(super) fn limit(node: &Limit, open: &OpenSelect) -> Result<OpenSelect, Reason> {
    if !open.remote.capabilities().limit {
        return Err("the source does not limit".to_owned());
    }
    let (skip, fetch) = match (node.get_skip_type(), node.get_fetch_type()) {
        (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) => (skip as u64, fetch.map(|fetch| fetch as u64)),
        _ => return Err("LIMIT and OFFSET are shipped as numbers only".to_owned()),
    };
    let mut open = open.clone();
    // A limit of a limit is the part of the inner one's rows that the outer one picks.
    let left = open.limit.map(|limit| limit.saturating_sub(skip));
    open.limit = match (left, fetch) {
        (Some(left), Some(fetch)) => Some(left.min(fetch)),
        (left, fetch) => left.or(fetch),
    };
    open.offset = open.offset.saturating_add(skip);
    open.rows = at_most(open.rows, open.limit);
    open.believed = at_most(open.believed, open.limit);
    Ok(open)
}

/// A `UNION ALL` of `branches`, whose columns the plan names by `schema`.
pub(super) fn union(schema: &DFSchema, branches: &[OpenSelect], aliases: &mut Aliases) -> Result<OpenSelect, Reason> {
    let Some(first) = branches.first() else { return Err("a union of nothing".to_owned()) };
    let mut texts = Vec::with_capacity(branches.len());
    for branch in branches {
        matches_schema(&branch.columns, schema)?;
        // Texts of several collations, or of none, are what sources refuse to unite.
        let collations = |open: &OpenSelect| open.columns.iter().map(|c| c.column().map(|c| c.collation.clone())).collect::<Vec<_>>();
        let text = branch.columns.iter().any(|column| matches!(column.data_type(), DataType::Utf8));
        if text && collations(branch) != collations(first) {
            return Err("a union of texts under several collations is made here".to_owned());
        }
        let branch = if branch.is_limited() { branch.clone().closed(aliases) } else { branch.clone() };
        let branch = OpenSelect { order_by: Vec::new(), ..branch };
        texts.push(branch.output(ColumnAliases::Positional));
    }
    let alias = aliases.next(first.remote.as_ref());
    let columns = first
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| OpenColumn::derived(format!("{alias}.c{at}"), column.data_type().clone()))
        .collect();
    Ok(OpenSelect {
        remote: Arc::clone(&first.remote),
        needs: branches.iter().fold(Needs::none(), |needs, branch| needs.and(&branch.needs)),
        columns,
        from: Source { sql: format!("({}) AS {alias}", texts.join(" UNION ALL ")), joined: false },
        filter: Vec::new(),
        grouping: None,
        order_by: Vec::new(),
        limit: None,
        offset: 0,
        subqueries: Vec::new(),
        gains: branches.iter().any(|branch| branch.gains),
        rows: sum(branches.iter().map(|branch| branch.rows)),
        believed: sum(branches.iter().map(|branch| branch.believed)),
        inputs: sum(branches.iter().map(|branch| branch.inputs)),
        from_one_row: false,
    })
}

/// The sum of estimates, if there is one of each.
fn sum(mut estimates: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    estimates.try_fold(0, |sum: u64, rows| Some(sum.saturating_add(rows?)))
}
