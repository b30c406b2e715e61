//! Push-down on, push-down off, and one PostgreSQL that holds everything: the same rows.

use causeway_tests::{FourSources, Order, compare_rows, text_rows};

/// Statements separated by `;` at a line's end. One whose comment says `[ordered]` orders its rows completely.
const QUERIES: &str = include_str!("sql/differential.sql");

struct Query {
    title: String,
    sql: String,
    order: Order,
}

fn queries() -> Vec<Query> {
    let parts = QUERIES.split(";\n").map(str::trim).filter(|part| !part.is_empty());
    let query = |part: &str| {
        let (comments, sql): (Vec<_>, Vec<_>) = part.lines().partition(|line| line.starts_with("--"));
        let title = comments.last().map_or_else(String::new, |line| line.trim_start_matches("-- ").to_owned());
        let order = if title.contains("[ordered]") { Order::Given } else { Order::Any };
        Query { title, sql: sql.join("\n"), order }
    };
    parts.map(query).collect()
}

/// What the statements are called, without their marks.
pub(super) fn headings() -> Vec<String> {
    let plain = |query: Query| query.title.split(" [").next().unwrap_or_default().to_owned();
    queries().into_iter().map(plain).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_has_rows_to_compare() {
    let Some(reference) = FourSources::reference("differential_rows") else { return };
    let reference = reference.connect().await;
    let queries = queries();
    assert!(queries.len() >= 60, "{} queries", queries.len());
    let mut odd = Vec::new();
    for query in &queries {
        match text_rows(&reference, &query.sql).await {
            Ok(rows) if rows.is_empty() != query.title.contains("[none]") => odd.push(format!("{}: {} rows", query.title, rows.len())),
            Ok(_) => {}
            Err(error) => odd.push(format!("{}: {error:?}", query.title)),
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_ways_to_the_same_rows() {
    let Some(sources) = FourSources::start("differential") else { return };
    let reference = sources.reference.connect().await;
    let ours = sources.gateway.connect().await;
    let queries = queries();
    let mut wrong = Vec::new();
    for query in &queries {
        let expected = text_rows(&reference, &query.sql).await.unwrap_or_else(|e| panic!("the reference refuses {}: {e:?}", query.sql));
        for push_down in ["on", "off"] {
            text_rows(&ours, &format!("SET causeway.push_down = {push_down}")).await.unwrap();
            let difference = match text_rows(&ours, &query.sql).await {
                Ok(rows) => compare_rows(&expected, &rows, query.order).err(),
                Err(error) => {
                    Some(error.as_db_error().map_or_else(|| error.to_string(), |e| format!("{}: {}", e.code().code(), e.message())))
                }
            };
            if let Some(difference) = difference {
                wrong.push(format!("{} (push-down {push_down})\n{}\n=> {difference}\n", query.title, query.sql));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} answers differ:\n{}", wrong.len(), 2 * queries.len(), wrong.join("\n"));
}
