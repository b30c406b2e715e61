//! Push-down, both ways: what is declared shows as work of the source, what is not declared does not and could not, and the rows are
//! those of the engine alone in every case.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;

use super::declared::Declared;
use super::engine::{Answer, counted, rows};
use super::report::Group;
use super::sampled::{Sampled, quoted};
use super::{Opened, Refusal};
use crate::capabilities::Capabilities;
use crate::remote::{Comparison, Remote, RemoteColumn};

/// Queries that show one capability.
pub(super) struct Class {
    pub(super) name: &'static str,
    declared: fn(&Capabilities) -> bool,
    queries: fn(&Sampled, usize) -> Vec<Query>,
}

/// One per flag of [`Capabilities`] that is about plans.
pub(super) const CLASSES: [Class; 9] = [
    Class { name: "filter", declared: |c| c.filter, queries: filters },
    Class { name: "limit", declared: |c| c.limit, queries: limits },
    Class { name: "sort", declared: |c| c.sort, queries: sorts },
    Class { name: "aggregate", declared: |c| c.aggregate, queries: aggregates },
    Class { name: "window", declared: |c| c.window, queries: windows },
    Class { name: "inner join", declared: |c| c.inner_join, queries: |s, most| joins(s, most, &["JOIN"]) },
    Class { name: "outer join", declared: |c| c.outer_join, queries: |s, most| joins(s, most, &["LEFT JOIN", "RIGHT JOIN"]) },
    Class { name: "full join", declared: |c| c.full_join, queries: |s, most| joins(s, most, &["FULL JOIN"]) },
    Class { name: "semi join", declared: |c| c.semi_join, queries: semi_joins },
];

/// A statement, and what two right answers to it have in common.
struct Query {
    sql: String,
    agreement: Agreement,
    /// Limits and offsets of which the source is sent one when it limits; none is for queries that it computes whole or not at all.
    bounds: Vec<(u64, u64)>,
}

impl Query {
    fn new(sql: String, agreement: Agreement) -> Self {
        Self { sql, agreement, bounds: Vec::new() }
    }

    /// Whether an answer shows that the source did what the query asks for.
    fn is_the_sources(&self, remote: &Arc<dyn Remote>, answer: &Answer) -> bool {
        let Some(sql) = Arc::clone(remote).as_sql() else { return false };
        // A limit of the source is one more for the engine, which keeps its own.
        let limits = |(limit, offset): &(u64, u64)| {
            let clause = sql.dialect().limit(Some(*limit), *offset);
            answer.statements.len() == 1 && answer.statements[0].ends_with(&clause)
        };
        if self.bounds.is_empty() { answer.is_the_sources() } else { self.bounds.iter().any(limits) }
    }
}

#[derive(Debug, Clone, Copy)]
enum Agreement {
    /// The same rows.
    Rows,
    /// The same rows in the same order.
    Order,
    /// As many rows, all of them the table's.
    Count,
}

impl Class {
    pub(super) async fn check(&self, opened: &Opened<'_>, tables: &[&Sampled]) -> Group {
        let mut group = Group::new(self.name);
        let is_declared = (self.declared)(opened.remote.capabilities());
        let queries: Vec<_> = tables
            .iter()
            .flat_map(|table| (self.queries)(table, opened.contract.extent.columns).into_iter().map(move |query| (*table, query)))
            .collect();
        if queries.is_empty() {
            group.leave_out("no table that is queried has columns for it");
            return group;
        }
        let mut at_the_source = 0;
        for (sampled, query) in &queries {
            let answered = self.compare(opened, &opened.remote, sampled, query).await;
            let counted = answered.map(|is_at_the_source| at_the_source += usize::from(is_at_the_source));
            group.check(format!("on {}: {}", sampled.table.subject(), query.sql), counted);
        }
        match is_declared {
            true if at_the_source == 0 => {
                group.check("it is declared", Err(format!("none of {} queries runs at the source", queries.len()).into()))
            }
            true => group.check("it is declared", Ok(())),
            false if at_the_source > 0 => {
                group.check("it is not declared", Err(format!("{at_the_source} queries run at the source").into()))
            }
            false => group.check("it is not declared", self.cannot(opened, &queries).await),
        }
        group
    }

    /// Whether the rows are those of the same statement on the same rows in memory; and who computed them.
    async fn compare(&self, opened: &Opened<'_>, remote: &Arc<dyn Remote>, sampled: &Sampled, query: &Query) -> Result<bool, Refusal> {
        let alone = BTreeMap::from([(sampled.table.name.clone(), sampled.in_memory()?)]);
        let expected = opened.answer(alone, &query.sql).await;
        let found = opened.ask(remote, sampled, &query.sql).await;
        match (expected, found) {
            (Ok(expected), Ok(found)) => query.agreement.holds(sampled, &expected, &found).map(|()| query.is_the_sources(remote, &found)),
            // What the engine refuses alone, it may refuse here.
            (Err(_), Err(_)) => Ok(false),
            (Err(expected), Ok(_)) => Err(format!("the engine alone fails: {}", expected.message).into()),
            (Ok(_), Err(found)) => Err(found),
        }
    }

    /// Whether the source could not do it: asked nevertheless, it fails or answers otherwise.
    async fn cannot(&self, opened: &Opened<'_>, queries: &[(&Sampled, Query)]) -> Result<(), Refusal> {
        let Some(inner) = Arc::clone(&opened.remote).as_sql() else { return Ok(()) };
        let able: Arc<dyn Remote> = Arc::new(Declared { inner, capabilities: Capabilities::ALL });
        let mut at_the_source = 0;
        for (sampled, query) in queries {
            match self.compare(opened, &able, sampled, query).await {
                Ok(is_at_the_source) => at_the_source += usize::from(is_at_the_source),
                Err(_) => return Ok(()),
            }
        }
        if at_the_source == 0 {
            Ok(())
        } else {
            Err(format!("the source answers {at_the_source} queries as we do: it can be declared").into())
        }
    }
}

impl Agreement {
    fn holds(self, sampled: &Sampled, expected: &Answer, found: &Answer) -> Result<(), Refusal> {
        let (expected, found) = (expected.rows(), found.rows());
        let sizes = format!("{} rows, expected {}", found.len(), expected.len());
        match self {
            Agreement::Rows if counted(found.clone()) == counted(expected.clone()) => Ok(()),
            Agreement::Order if found == expected => Ok(()),
            Agreement::Count => {
                let all = counted(rows(sampled.rows.columns(), sampled.rows.num_rows()));
                let are_known = counted(found.clone()).iter().all(|(row, count)| all.get(row).is_some_and(|known| count <= known));
                if found.len() == expected.len() && are_known { Ok(()) } else { Err(format!("other rows: {sizes}").into()) }
            }
            Agreement::Rows | Agreement::Order => {
                let differing = found.iter().zip(&expected).find(|(found, expected)| found != expected);
                Err(format!("other rows: {sizes}; the first that differ: {differing:?}").into())
            }
        }
    }
}

fn filters(sampled: &Sampled, most: usize) -> Vec<Query> {
    let mut queries = Vec::new();
    let mut add = |condition: String| {
        queries.push(Query::new(format!("SELECT * FROM {} WHERE {condition}", sampled.name()), Agreement::Rows));
    };
    for column in sampled.columns(most) {
        let name = quoted(&column.name);
        add(format!("{name} IS NULL"));
        add(format!("{name} IS NOT NULL"));
        let literals = sampled.literals(column);
        if let [first, .., last] = &literals[..] {
            for operator in ["=", "<>", "<", ">="] {
                add(format!("{name} {operator} {first}"));
                add(format!("{name} {operator} {last}"));
            }
            add(format!("{name} BETWEEN {first} AND {last}"));
            add(format!("{name} IN ({})", literals.join(", ")));
            add(format!("{name} NOT IN ({first}, {last})"));
            add(format!("NOT ({name} = {first}) OR {name} IS NULL"));
        }
        match column.data_type {
            DataType::Boolean => {
                add(name.clone());
                add(format!("NOT {name}"));
            }
            DataType::Utf8 => {
                add(format!("{name} LIKE '%a%'"));
                add(format!("{name} LIKE '_%' AND {name} <> ''"));
                add(format!("lower({name}) = lower({})", literals.first().map_or("''", String::as_str)));
            }
            _ => {}
        }
    }
    queries
}

fn limits(sampled: &Sampled, _most: usize) -> Vec<Query> {
    let table = sampled.name();
    let query = |clause: &str, bounds: &[(u64, u64)]| Query {
        bounds: bounds.to_vec(),
        ..Query::new(format!("SELECT * FROM {table} {clause}"), Agreement::Count)
    };
    vec![
        query("LIMIT 1", &[(1, 0)]),
        query("LIMIT 3", &[(3, 0)]),
        query("LIMIT 2 OFFSET 1", &[(3, 0), (2, 1)]),
        query("LIMIT 1000000", &[(1_000_000, 0)]),
        // Neither is one that a source must be sent.
        query("OFFSET 1", &[(u64::MAX, 1)]),
        query("LIMIT 0", &[(0, 0)]),
    ]
}

fn sorts(sampled: &Sampled, most: usize) -> Vec<Query> {
    let mut queries = Vec::new();
    for column in sampled.columns(most).filter(|column| is_ordered(column)) {
        let (table, name) = (sampled.name(), quoted(&column.name));
        for order in ["ASC NULLS FIRST", "ASC NULLS LAST", "DESC NULLS FIRST", "DESC NULLS LAST"] {
            queries.push(Query::new(format!("SELECT {name} FROM {table} ORDER BY {name} {order}"), Agreement::Order));
        }
        queries.push(Query::new(format!("SELECT {name} FROM {table} ORDER BY {name} DESC LIMIT 3"), Agreement::Order));
    }
    queries
}

/// Whether DataFusion orders it as a single value.
fn is_ordered(column: &RemoteColumn) -> bool {
    !column.data_type.is_nested()
}

fn is_summed(column: &RemoteColumn) -> bool {
    column.data_type.is_integer() || matches!(column.data_type, DataType::Decimal128(..))
}

fn aggregates(sampled: &Sampled, most: usize) -> Vec<Query> {
    let table = sampled.name();
    let mut texts = vec![format!("SELECT count(*) FROM {table}")];
    for column in sampled.columns(most).filter(|column| is_ordered(column)) {
        let name = quoted(&column.name);
        texts.push(format!("SELECT count({name}), count(DISTINCT {name}) FROM {table}"));
        texts.push(format!("SELECT {name}, count(*) FROM {table} GROUP BY {name}"));
        texts.push(format!("SELECT DISTINCT {name} FROM {table}"));
        texts.push(format!("SELECT {name}, count(*) FROM {table} GROUP BY {name} HAVING count(*) > 1"));
        // NaN is the greatest in some order only.
        if column.comparison != Comparison::Float && column.data_type != DataType::Boolean {
            texts.push(format!("SELECT min({name}), max({name}) FROM {table}"));
        }
        if is_summed(column) {
            texts.push(format!("SELECT sum({name}), avg({name}) FROM {table}"));
            texts.push(format!("SELECT sum({name}) FROM {table} WHERE {name} IS NULL"));
        }
    }
    texts.into_iter().map(|sql| Query::new(sql, Agreement::Rows)).collect()
}

fn windows(sampled: &Sampled, most: usize) -> Vec<Query> {
    let table = sampled.name();
    let mut texts = vec![format!("SELECT count(*) OVER () FROM {table}")];
    for column in sampled.columns(most).filter(|column| is_ordered(column)) {
        let name = quoted(&column.name);
        // Rows with the same value have the same rank, so that any answer is right in one way only.
        texts.push(format!(
            "SELECT {name}, rank() OVER (ORDER BY {name} DESC NULLS LAST), dense_rank() OVER (ORDER BY {name} NULLS FIRST) FROM {table}"
        ));
        texts.push(format!("SELECT {name}, count(*) OVER (PARTITION BY {name}), count({name}) OVER (ORDER BY {name}) FROM {table}"));
        texts.push(format!("SELECT n FROM (SELECT row_number() OVER (ORDER BY {name}) AS n FROM {table}) AS numbered WHERE n < 3"));
        if is_summed(column) {
            texts.push(format!(
                "SELECT {name}, sum({name}) OVER (ORDER BY {name} RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING), \
                 max({name}) OVER (ORDER BY {name} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING), \
                 min({name}) OVER (ORDER BY {name} ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM {table}"
            ));
        }
    }
    texts.into_iter().map(|sql| Query::new(sql, Agreement::Rows)).collect()
}

/// Columns whose values are joined by `=`: few rows of a table have the same.
fn keys(sampled: &Sampled, most: usize) -> impl Iterator<Item = String> {
    let is_key = |column: &&RemoteColumn| {
        let total = sampled.rows.num_rows();
        let Some(values) = sampled.rows.column_by_name(&column.name) else { return false };
        is_ordered(column) && counted(rows(&[Arc::clone(values)], total)).len() * 4 > total
    };
    sampled.columns(most).filter(is_key).map(|column| quoted(&column.name))
}

fn joins(sampled: &Sampled, most: usize, kinds: &[&str]) -> Vec<Query> {
    let table = sampled.name();
    let on = |name: String| kinds.iter().map(move |kind| (name.clone(), *kind));
    keys(sampled, most)
        .flat_map(on)
        .flat_map(|(name, kind)| {
            let from = format!("FROM {table} a {kind} {table} b ON a.{name} = b.{name}");
            // The second has rows on either side that nothing is joined to.
            let halves = |side| format!("(SELECT {name} FROM {table} ORDER BY {name} {side} LIMIT {})", sampled.rows.num_rows() / 2 + 1);
            [
                format!("SELECT a.{name}, b.{name} {from}"),
                format!(
                    "SELECT a.{name}, b.{name} FROM {} a {kind} {} b ON a.{name} = b.{name}",
                    halves("ASC NULLS FIRST"),
                    halves("DESC NULLS FIRST")
                ),
            ]
        })
        .map(|sql| Query::new(sql, Agreement::Rows))
        .collect()
}

fn semi_joins(sampled: &Sampled, most: usize) -> Vec<Query> {
    let table = sampled.name();
    keys(sampled, most)
        .flat_map(|name| {
            let some = format!("SELECT 1 FROM {table} b WHERE b.{name} = a.{name} AND b.{name} IS NOT NULL");
            [
                format!("SELECT a.{name} FROM {table} a WHERE EXISTS ({some})"),
                format!("SELECT a.{name} FROM {table} a WHERE NOT EXISTS ({some})"),
                // A source that makes a join of it may lose the NULLs.
                format!(
                    "SELECT a.{name} FROM {table} a WHERE EXISTS (SELECT 1 FROM {table} b WHERE b.{name} IS NOT DISTINCT FROM a.{name})"
                ),
                format!("SELECT a.{name} FROM {table} a WHERE a.{name} IN (SELECT b.{name} FROM {table} b)"),
                format!("SELECT a.{name} FROM {table} a WHERE a.{name} NOT IN (SELECT b.{name} FROM {table} b)"),
            ]
        })
        .map(|sql| Query::new(sql, Agreement::Rows))
        .collect()
}
