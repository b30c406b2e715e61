//! `EXPLAIN` as users read it.

use super::support::world;

#[tokio::test]
async fn a_federated_join_across_sources_reads_well() {
    let lines = world()
        .explain("SELECT c.name, sum(i.qty) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN shop.items i ON i.order_id = o.id WHERE c.name > 'B' GROUP BY c.name")
        .await;
    let page = lines.join("\n");
    assert!(page.contains("->  RemoteScan on crm [1]"), "{page}");
    assert!(page.contains("\nRemote statements\n  [1] crm: SELECT"), "{page}");
    assert!(page.contains("\nComputed here\n"), "{page}");
    assert!(page.contains("Filter on crm: collation en_US.utf8 is not C: range kept local"), "{page}");
}

#[tokio::test]
async fn analyze_measures_and_verbose_shows_the_logical_plan() {
    let world = world();
    let page = world.explain("ANALYZE VERBOSE SELECT city, count(*) FROM customers GROUP BY city").await.join("\n");
    assert!(page.contains("RemoteScan on crm [1]  (rows=100)  (actual rows=4 fetched="), "{page}");
    assert!(page.contains("\nLogical plan\n  RemoteQuery: datasource=crm"), "{page}");
    assert!(page.contains("\nPlanning time: ") && page.contains("\nExecution time: "), "{page}");
    let source = page.lines().find(|line| line.starts_with("  crm: 1 scan, ")).unwrap_or_else(|| panic!("{page}"));
    assert!(source.contains(" 4 rows and ") && source.contains(" fetched, ") && source.ends_with(" waiting"), "{source}");
    let plain = world.explain("SELECT city, count(*) FROM customers GROUP BY city").await.join("\n");
    assert!(!plain.contains("actual") && !plain.contains("fetched") && !plain.contains("Logical plan"), "{plain}");
    assert!(!plain.contains("time: "), "{plain}");
}

#[tokio::test]
async fn options_in_parentheses_work() {
    let page = world().explain("(ANALYZE, VERBOSE false) SELECT 1").await.join("\n");
    assert!(page.contains("Execution time"), "{page}");
}

#[tokio::test]
async fn push_down_off_is_said() {
    let page = world().without_push_down().explain("SELECT count(*) FROM customers").await.join("\n");
    assert!(page.contains("push-down is off"), "{page}");
}

#[tokio::test]
async fn an_outer_join_that_the_source_would_refuse_stays_here() {
    let world = world();
    let few = "(SELECT * FROM customers ORDER BY id LIMIT 3) c";
    let page = world.explain(&format!("SELECT c.id, o.id FROM {few} LEFT JOIN orders o ON o.total > 3.00")).await.join("\n");
    assert!(page.contains("the source computes outer joins by equalities") && !page.contains("LEFT JOIN"), "{page}");
    let sql = format!("SELECT c.id, o.id FROM {few} LEFT JOIN orders o ON o.customer_id = c.id AND o.total > 3.00");
    let page = world.explain(&sql).await.join("\n");
    assert!(page.contains("LEFT JOIN"), "{page}");
}

/// The side a hash join reads first is the one with fewer rows, also when it is a statement over several tables.
#[tokio::test]
async fn what_a_statement_is_believed_to_give_decides_which_side_is_read_first() {
    let world = world();
    for (sql, first) in [
        // 200,000 items, and the orders of customers: 50,000 at most.
        ("SELECT c.name, i.qty FROM shop.items i JOIN orders o ON i.order_id = o.id JOIN customers c ON o.customer_id = c.id", "crm"),
        ("SELECT c.name, i.qty FROM customers c JOIN orders o ON o.customer_id = c.id JOIN shop.items i ON i.order_id = o.id", "crm"),
        // Few items.
        (
            "SELECT o.n, i.qty FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) o JOIN shop.items i ON i.order_id = o.customer_id WHERE i.qty = 3",
            "shop",
        ),
    ] {
        let lines = world.explain(sql).await;
        let scan = lines.iter().find_map(|line| line.split_once("RemoteScan on ")).unwrap_or_else(|| panic!("{lines:#?}"));
        assert!(scan.1.starts_with(first), "{sql}\n{}", lines.join("\n"));
    }
}

#[tokio::test]
async fn estimates_are_shown_unless_they_are_not_wanted() {
    let world = world();
    let page = world.explain("SELECT * FROM customers").await.join("\n");
    assert!(page.contains("RemoteScan on crm [1]  (rows="), "{page}");
    assert!(page.contains("\nDatasources\n  crm: 1 scan, ") && page.contains(" expected"), "{page}");
    let page = world.explain("(COSTS off) SELECT * FROM customers").await.join("\n");
    assert!(!page.contains("rows=") && !page.contains("expected"), "{page}");
}

#[tokio::test]
async fn a_document_has_the_names_tools_know() {
    let world = world();
    let sql = "SELECT c.name, i.qty FROM customers c JOIN shop.items i ON i.order_id = c.id";
    let options = "(FORMAT JSON, ANALYZE, VERBOSE false, BUFFERS, TIMING on, SETTINGS off, WAL 0)";
    let rows = world.rows(&format!("EXPLAIN {options} {sql}")).await.unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    let document: serde_json::Value = serde_json::from_str(&row[0]).unwrap();
    let whole = &document[0];
    assert!(whole["Planning Time"].is_f64() && whole["Execution Time"].is_f64(), "{whole:#}");
    let mut scans = Vec::new();
    let mut open = vec![&whole["Plan"]];
    let mut kinds = Vec::new();
    while let Some(node) = open.pop() {
        kinds.push(node["Node Type"].as_str().unwrap());
        assert!(node["Actual Total Time"].is_f64() || node["Node Type"] == "Repartition", "{node:#}");
        if node["Node Type"] == "Foreign Scan" {
            scans.push((
                node["Datasource"].as_str().unwrap(),
                node["Remote SQL"].as_str().unwrap(),
                node["Fetched Bytes"].as_u64().unwrap(),
            ));
        }
        open.extend(node["Plans"].as_array().into_iter().flatten());
    }
    assert!(kinds.contains(&"Hash Join"), "{kinds:?}");
    scans.sort_unstable();
    let [(crm, customers, _), (shop, items, _)] = scans.as_slice() else { panic!("{scans:?}") };
    assert_eq!((*crm, *shop), ("crm", "shop"));
    assert!(customers.contains("customers") && items.contains("items"), "{scans:?}");
    assert!(scans[0].2 > 0, "{scans:?}");
    let sources: Vec<_> = whole["Datasources"].as_array().unwrap().iter().map(|source| source["Datasource"].as_str().unwrap()).collect();
    assert_eq!(sources, ["crm", "shop"]);
    let reason = whole["Computed Here"][0]["Reason"].as_str().unwrap();
    assert_eq!(reason, "its inputs come from crm and shop");
}

#[tokio::test]
async fn options_are_refused_in_postgres_words() {
    let world = world();
    for (options, message) in [
        ("(FORMAT xml)", "EXPLAIN does not write XML"),
        ("(FORMAT pretty)", "unrecognized value for EXPLAIN option \"format\": \"pretty\""),
        ("(ANALYZE perhaps)", "analyze requires a Boolean value"),
        ("(LOUD)", "unrecognized EXPLAIN option \"loud\""),
    ] {
        let error = world.rows(&format!("EXPLAIN {options} SELECT 1")).await.unwrap_err();
        assert_eq!(error.message(), message);
    }
    for query in ["(SELECT 1)", "((SELECT 1) UNION (SELECT 2))", "(VALUES (1))", "(WITH a AS (SELECT 1) SELECT * FROM a)"] {
        assert!(!world.explain(query).await.is_empty());
    }
}

#[tokio::test]
async fn a_join_beside_what_is_computed_here_says_so() {
    let page = world()
        .explain("SELECT c.name FROM customers c JOIN (SELECT i.order_id AS id FROM shop.items i JOIN orders o ON o.id = i.order_id) j ON j.id = c.id")
        .await
        .join("\n");
    assert!(page.contains("Join on crm: its inputs come from crm and what is computed here"), "{page}");
}
