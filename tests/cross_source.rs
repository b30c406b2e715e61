//! One statement over PostgreSQL, MariaDB, SQLite and Parquet gives what a single PostgreSQL holding all four gives.

use causeway_tests::FourSources;

const JOIN: &str = "
    SELECT c.id, c.name, o.code, o.status, l.sku, l.quantity, l.price, n.author, n.rating
    FROM crm.customers c
    JOIN shop.orders o ON o.customer_id = c.id
    JOIN lake.lineitems l ON l.order_id = o.id
    LEFT JOIN desk.notes n ON n.order_id = o.id AND n.rating >= 2.5
    WHERE c.balance > 0 AND o.status = 'open' AND l.quantity BETWEEN 5 AND 60
    ORDER BY c.id, o.id, l.line, l.sku NULLS FIRST, l.quantity, l.price NULLS LAST, n.id";

#[test]
fn psql_joins_four_sources() {
    let Some(sources) = FourSources::start("cross") else { return };
    let joined = sources.gateway.psql().rows(JOIN);
    let expected = sources.reference.psql().rows(JOIN);
    assert!(expected.len() > 10, "the join has rows to compare: {}", expected.len());
    assert_eq!(joined, expected);
}

#[test]
fn psql_aggregates_over_four_sources() {
    let Some(sources) = FourSources::start("cross_sum") else { return };
    let sql = "
        SELECT c.segment, count(*) AS lines, count(DISTINCT o.id) AS orders, sum(l.quantity) AS units, sum(l.price) AS value,
               min(o.placed) AS first, max(n.rating) AS best
        FROM crm.customers c
        JOIN shop.orders o ON o.customer_id = c.id
        JOIN lake.lineitems l ON l.order_id = o.id
        LEFT JOIN desk.notes n ON n.order_id = o.id
        GROUP BY c.segment
        ORDER BY c.segment NULLS LAST";
    let expected = sources.reference.psql().rows(sql);
    assert_eq!(expected.len(), 5);
    assert_eq!(sources.gateway.psql().rows(sql), expected);
}
