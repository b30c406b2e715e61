//! Instants in the time zone of the session: cut, taken apart, cast and compared as PostgreSQL does it.

use causeway_tests::{Gateway, Order, PostgresServer, compare_rows, text_rows};

/// Instants on both sides of midnight and of the changes of clocks.
const TABLE: &str = "CREATE TABLE calls (id int PRIMARY KEY, at timestamptz, local timestamp, day date);
INSERT INTO calls VALUES
    (1, '2024-07-01 02:00:00Z', '2024-07-01 02:00:00', '2024-07-01'),
    (2, '2024-03-10 06:59:59Z', '2024-03-10 01:59:59', '2024-03-10'),
    (3, '2024-03-10 07:00:00Z', '2024-03-10 03:00:00', '2024-03-10'),
    (4, '2024-11-03 05:30:00Z', '2024-11-03 01:30:00', '2024-11-03'),
    (5, '2024-11-03 06:30:00Z', '2024-11-02 22:30:00', '2024-11-02'),
    (6, '2023-12-31 23:30:00.5Z', '2023-12-31 23:30:00.5', '2024-01-01'),
    (7, '1969-12-31 23:59:59.999999Z', '1970-01-01 00:00:00', '1970-01-01'),
    (8, '2024-03-31 00:59:00Z', '2024-03-31 02:30:00', '2024-03-31'),
    (9, '2024-03-10 07:30:00Z', '2024-03-10 02:30:00', '2024-03-09'),
    (10, NULL, NULL, NULL);";

const QUERIES: &[&str] = &[
    "SELECT id, at, at::timestamp, at::date, at::time FROM calls.calls",
    "SELECT id, local::timestamptz, day::timestamptz FROM calls.calls",
    "SELECT id, date_trunc('day', at), date_trunc('hour', at), date_trunc('month', at) FROM calls.calls",
    "SELECT id, extract(hour FROM at)::int, extract(day FROM at)::int, date_part('dow', at)::int FROM calls.calls",
    "SELECT date_trunc('day', at) AS day, count(*) FROM calls.calls GROUP BY 1",
    "SELECT id, at = local, at < day, at >= timestamp '2024-03-10 02:00:00', day = at FROM calls.calls",
    "SELECT id FROM calls.calls WHERE at < '2024-03-10 03:00:00' AND at >= date '2023-12-31'",
    "SELECT id FROM calls.calls WHERE at BETWEEN timestamp '2023-12-31 18:00:00' AND '2024-07-01'",
    "SELECT id, coalesce(at, timestamp '2024-07-01 00:00:00'), CASE WHEN id > 4 THEN at ELSE local END FROM calls.calls",
    "SELECT a.id, b.id FROM calls.calls a JOIN calls.calls b ON a.id = b.id + 1 AND a.at >= b.local",
    "SELECT at FROM calls.calls WHERE id < 3 UNION SELECT local FROM calls.calls WHERE id > 5",
    "SELECT v FROM (VALUES (timestamptz '2024-07-01 02:00:00Z'), ('2024-03-10 02:30:00'::timestamp), (NULL)) t(v)",
    "SELECT id FROM calls.calls WHERE at IN (SELECT local FROM calls.calls)",
    "SELECT id FROM calls.calls WHERE local NOT IN (SELECT at FROM calls.calls WHERE at IS NOT NULL)",
    "SELECT a.id, b.id FROM (SELECT id, at FROM calls.calls) a LEFT JOIN (SELECT id, local AS at FROM calls.calls) b USING (id, at)",
    "SELECT local::timestamptz AS x, count(*) FROM calls.calls GROUP BY ROLLUP (local::timestamptz)",
    "SELECT '2024-11-03 00:30:00'::timestamptz, timestamptz '2024-12-24', id FROM calls.calls WHERE id < 2",
    "SELECT timestamptz '2024-07-01 02:00:00Z'::date, timestamp '2024-07-01 02:00:00'::timestamptz, '2024-07-01 02:00:00'::timestamptz",
];

#[tokio::test(flavor = "multi_thread")]
async fn instants_are_read_in_the_session_s_zone() {
    let Some(server) = PostgresServer::shared() else { return };
    let source = server.database("time_zones");
    source.script(TABLE);
    let reference = server.database("time_zones_reference");
    reference.script(&format!("CREATE SCHEMA calls; SET search_path = calls; {TABLE}"));
    let gateway = Gateway::start([source.datasource("calls")]);
    let (reference, ours) = (reference.connect().await, gateway.connect().await);
    // It sorts moments of no zone by themselves there, and finds them out of order where clocks are set back.
    text_rows(&reference, "SET enable_mergejoin = off").await.unwrap();
    let mut wrong = Vec::new();
    for zone in ["UTC", "America/New_York", "Asia/Kolkata", "Europe/Paris"] {
        for client in [&reference, &ours] {
            text_rows(client, &format!("SET TimeZone = '{zone}'")).await.unwrap();
        }
        for push_down in ["on", "off"] {
            text_rows(&ours, &format!("SET causeway.push_down = {push_down}")).await.unwrap();
            for sql in QUERIES {
                let expected = text_rows(&reference, sql).await.unwrap_or_else(|e| panic!("the reference refuses {sql}: {e:?}"));
                let difference = match text_rows(&ours, sql).await {
                    Ok(rows) => compare_rows(&expected, &rows, Order::Any).err(),
                    Err(error) => Some(format!("{error:?}")),
                };
                if let Some(difference) = difference {
                    wrong.push(format!("{zone}, push-down {push_down}: {sql}\n=> {difference}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}
