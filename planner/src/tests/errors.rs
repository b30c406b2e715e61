//! What clients are told when a statement is wrong.

use super::support::world;
use crate::ErrorKind::{self, *};

/// Statement, kind, text.
const FAULTS: &[(&str, ErrorKind, &str)] = &[
    ("SELEC 1", Syntax, "syntax error at or near \"SELEC\""),
    ("SELECT 1 FROM", Syntax, "syntax error at end of input"),
    ("SELECT (1", Syntax, "syntax error at end of input"),
    ("SELECT * FROM nowhere", UndefinedTable, "relation \"nowhere\" does not exist"),
    ("SELECT * FROM crm.nowhere", UndefinedTable, "relation \"crm.nowhere\" does not exist"),
    ("SELECT * FROM nosuch.t", UndefinedTable, "relation \"nosuch.t\" does not exist"),
    ("SELECT * FROM other.crm.customers", Unsupported, "cross-database references are not implemented: \"other.crm.customers\""),
    ("SELECT nme FROM customers", UndefinedColumn, "column \"nme\" does not exist"),
    ("SELECT c.nme FROM customers c", UndefinedColumn, "column c.nme does not exist"),
    ("SELECT x.id FROM customers c", UndefinedTable, "missing FROM-clause entry for table \"x\""),
    ("SELECT id FROM customers c, orders o", AmbiguousColumn, "column reference \"id\" is ambiguous"),
    ("SELECT nosuch(1)", UndefinedFunction, "function nosuch does not exist"),
    ("SELECT abs('x', 1)", UndefinedFunction, "function abs(text, bigint) does not exist"),
    ("SELECT * FROM nosuch(1)", UndefinedFunction, "function nosuch does not exist"),
    ("SELECT name + joined FROM customers", UndefinedFunction, "operator does not exist: text + date"),
    ("SELECT id FROM customers WHERE joined > true", UndefinedFunction, "operator does not exist: date > boolean"),
    (
        "SELECT name, count(*) FROM customers",
        Invalid,
        "column \"customers.name\" must appear in the GROUP BY clause or be used in an aggregate function",
    ),
    ("SELECT 1 / 0", DivisionByZero, "division by zero"),
    ("SELECT id / (id - id) FROM customers", DivisionByZero, "division by zero"),
    ("SELECT CAST('abc' AS int)", InvalidText, "invalid input syntax for type integer"),
    ("SELECT CAST(name AS int) FROM customers", InvalidText, "invalid input syntax for type integer"),
    ("SELECT CAST('2024-99-01' AS date)", InvalidText, "invalid input syntax for type date"),
    ("SELECT CAST(99999999999 AS int)", OutOfRange, "value out of range for its type"),
    ("SELECT name ~ '(' FROM customers", RegularExpression, "invalid regular expression"),
    ("SELECT regexp_replace(name, '[', 'x') FROM customers", RegularExpression, "invalid regular expression"),
    ("SELECT id FROM customers UNION SELECT id, name FROM customers", Invalid, "UNION queries have different number of columns"),
    ("SELECT (SELECT id FROM customers)", Invalid, "more than one row returned by a subquery used as an expression"),
    ("INSERT INTO plain.customers VALUES (1)", Unsupported, "\"plain.customers\" cannot be written to"),
    ("DELETE FROM plain.customers", Unsupported, "\"plain.customers\" cannot be written to"),
    ("UPDATE plain.customers SET name = 'x'", Unsupported, "\"plain.customers\" cannot be written to"),
    ("WITH x AS (SELECT 1) INSERT INTO plain.customers SELECT * FROM x", Unsupported, "\"plain.customers\" cannot be written to"),
    ("SELECT * INTO t FROM customers", Unsupported, "a change is not supported in this place"),
    ("CREATE TABLE t (a int)", Unsupported, "CREATE statements are not supported"),
    ("DROP TABLE customers", Unsupported, "DROP statements are not supported"),
    ("COPY customers TO '/tmp/x'", Unsupported, "COPY is not supported in this form"),
    ("EXPLAIN DELETE FROM customers", Unsupported, "a change is not supported in this place"),
    ("EXPLAIN (FORMAT XML) SELECT 1", Unsupported, "EXPLAIN does not write XML"),
    ("SELECT id FROM down.customers", Datasource, "datasource \"down\": the connection was lost"),
    ("SELECT count(*) FROM down.customers", Datasource, "datasource \"down\": the connection was lost"),
    ("SELECT c.id FROM customers c JOIN down.orders o ON o.id = c.id", Datasource, "datasource \"down\": the connection was lost"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_has_its_kind_and_postgres_words() {
    let world = world();
    let mut wrong = Vec::new();
    for (sql, kind, text) in FAULTS {
        match world.rows(sql).await {
            Ok(rows) => wrong.push(format!("{sql}\n  answered {rows:?}")),
            Err(error) if error.kind() != *kind || error.message() != *text => {
                wrong.push(format!("{sql}\n  {:?}: {}\n  from {:?}", error.kind(), error.message(), std::error::Error::source(&error)));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn hints_say_what_to_do() {
    let world = world();
    let hint = async |sql: &str| world.rows(sql).await.unwrap_err().hint_text().map(str::to_owned);
    assert_eq!(hint("SELECT * FROM items").await.as_deref(), Some("Perhaps you meant shop.items."));
    assert_eq!(hint("SELECT * FROM crm.\"odd table\"").await.as_deref(), Some("Perhaps you meant crm.\"Odd Table\"."));
    assert_eq!(hint("SELECT * FROM sop.items").await.as_deref(), Some("There is no schema \"sop\" in environment \"default\"."));
    assert_eq!(hint("SELECT nme FROM customers").await.as_deref(), Some("Perhaps you meant to reference the column \"customers.name\"."));
}

#[tokio::test]
async fn a_datasource_error_keeps_its_source() {
    let error = world().rows("SELECT count(*) FROM down.customers").await.unwrap_err();
    let source = error.datasource_error().expect("the provider's error is attached");
    assert_eq!(source.kind(), causeway_providers::ErrorKind::Unreachable);
    assert_eq!(source.datasource(), Some("down"));
}

#[tokio::test]
async fn values_stay_out_of_messages() {
    let error = world().rows("SELECT CAST('hunter2' AS int)").await.unwrap_err();
    assert!(!error.message().contains("hunter2"), "{}", error.message());
    let error = world().engine.parse("SELECT 1 'hunter2' 'x' FROM").unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn deep_nesting_is_refused_not_fatal() {
    let world = world();
    let nested = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(world.rows(&nested).await.unwrap_err().kind(), Unsupported);
}

#[test]
fn texts_split_into_statements() {
    let world = world();
    assert!(world.engine.parse("").unwrap().is_empty());
    assert!(world.engine.parse("  ;; -- nothing\n ; ").unwrap().is_empty());
    assert_eq!(world.engine.parse("SELECT 1; EXPLAIN SELECT 2;; RESET ALL").unwrap().len(), 3);
    assert_eq!(world.engine.parse("SELECT 1 SELECT 2").unwrap_err().kind(), Syntax);
}

/// Chains of any length the parser lets through are answered; longer ones are refused. None ends the process.
#[tokio::test]
async fn long_chains_are_answered_or_refused() {
    let world = world();
    let chain = |links: usize| {
        let terms: Vec<String> = (0..links).map(|at| format!("id = {at} OR name = 'x{at}'")).collect();
        format!("SELECT id FROM customers WHERE {} ORDER BY id", terms.join(" OR "))
    };
    assert_eq!(world.rows(&chain(300)).await.unwrap().len(), 5);
    assert_eq!(world.rows(&chain(20_000)).await.unwrap_err().kind(), Unsupported);
    let sum = |links: usize| format!("SELECT {} FROM customers", vec!["id"; links].join(" + "));
    assert_eq!(world.rows(&sum(200)).await.unwrap().len(), 5);
    assert_eq!(world.rows(&sum(20_000)).await.unwrap_err().kind(), Unsupported);
    let union = |links: usize| vec!["SELECT id FROM customers"; links].join(" UNION ALL ");
    assert_eq!(world.rows(&union(40)).await.unwrap().len(), 200);
    assert_eq!(world.rows(&union(20_000)).await.unwrap_err().kind(), Unsupported);
    let subqueries = |depth: usize| format!("SELECT {}1{}", "(SELECT ".repeat(depth), ")".repeat(depth));
    assert_eq!(world.rows(&subqueries(8)).await.unwrap(), [["1"]]);
    assert_eq!(world.rows(&subqueries(20)).await.unwrap_err().kind(), Unsupported);
    let listed: Vec<String> = (0..20_000).map(|at| at.to_string()).collect();
    assert_eq!(world.rows(&format!("SELECT id FROM customers WHERE id IN ({})", listed.join(", "))).await.unwrap().len(), 5);
}
/// The parser as it comes takes twice as long for each level.
#[tokio::test]
async fn nested_calls_parse_in_no_time() {
    let world = world();
    let sql = format!("SELECT {}id{} FROM customers WHERE id = 1", "abs(".repeat(15), ")".repeat(15));
    assert_eq!(world.rows(&sql).await.unwrap(), [["1"]]);
    let deep = format!("SELECT {}id{}", "abs(".repeat(40), ")".repeat(40));
    let start = std::time::Instant::now();
    let _ = world.engine.parse(&deep);
    assert!(start.elapsed() < std::time::Duration::from_secs(20));
}
