//! How long a statement takes before its first source is asked: planned anew, and when it was asked before.

use std::time::{Duration, Instant};

use causeway_tests::{Datasource, FixedWidth, Gateway, MariaDbServer, Tpch, text_rows};
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use crate::load;
use crate::summary::{Measurements, millis};

/// Planning depends on how many tables there are and not on how large they are.
const SCALE: f64 = 0.01;

/// Twelve tables of three sources; a number to make each text another one.
const TWELVE: &str = "SELECT n1.n_name, r2.r_name, sum(l1.l_extendedprice * (1 - l1.l_discount)), max(p2.p_retailprice)
    FROM customer, orders, lineitem l1, lineitem l2, supplier, part p1, part p2, partsupp, nation n1, nation n2, region r1, region r2
    WHERE c_custkey = o_custkey AND o_orderkey = l1.l_orderkey AND o_orderkey = l2.l_orderkey AND l1.l_suppkey = s_suppkey
      AND l1.l_partkey = p1.p_partkey AND l2.l_partkey = p2.p_partkey AND l1.l_partkey = ps_partkey AND l1.l_suppkey = ps_suppkey
      AND c_nationkey = n1.n_nationkey AND s_nationkey = n2.n_nationkey AND n1.n_regionkey = r1.r_regionkey
      AND n2.n_regionkey = r2.r_regionkey AND r1.r_name = 'ASIA' AND p1.p_size < 20 AND o_orderkey <> NUMBER
    GROUP BY n1.n_name, r2.r_name ORDER BY 3 DESC LIMIT 10";

const LOOK_UP: &str = "SELECT * FROM orders WHERE o_orderkey = 1";

/// Measures and prints.
///
/// # Panics
/// When a server is not installed, or a statement fails.
pub(crate) fn run(runtime: &Runtime, count: u32) {
    let (server, mariadb) = (load::server(), MariaDbServer::shared().expect("MariaDB is installed"));
    let files = tempfile::tempdir().expect("a temporary folder can be made");
    let data = Tpch::new(SCALE);
    let (postgres, shop) = (server.database("crm"), mariadb.database("shop"));
    data.load_postgres(&postgres, &["customer", "orders", "nation"], FixedWidth::Varchar);
    data.load_mariadb(&shop, &["lineitem", "supplier"]);
    data.write_parquet(files.path(), &["part", "partsupp", "region"]);
    let gateway = Gateway::start([postgres.datasource("crm"), shop.datasource("shop"), Datasource::files("lake", files.path())]);

    runtime.block_on(async {
        let (straight, through) = (postgres.connect().await, gateway.connect().await);
        through.batch_execute("SET search_path = crm, shop, lake").await.expect("the three datasources are schemas");
        let plan = text_rows(&through, &explained(0)).await.expect("the statement can be planned");
        let plan: Vec<_> = plan.into_iter().flatten().flatten().collect();
        assert!(["crm", "shop"].iter().all(|name| plan.iter().any(|line| line.contains(name))), "it asks all sources: {plan:?}");

        let [mut planned, mut known, mut repeated, mut direct] = <[Measurements; 4]>::default();
        for number in 0..count {
            planned.add(time(&through, &explained(number + 1)).await);
        }
        // The first one of each is planned, or fills a cache.
        let shown = format!("EXPLAIN {LOOK_UP}");
        for (client, sql, measured) in
            [(&through, shown.as_str(), &mut known), (&through, LOOK_UP, &mut repeated), (&straight, LOOK_UP, &mut direct)]
        {
            time(client, sql).await;
            for _ in 0..count {
                measured.add(time(client, sql).await);
            }
        }
        println!("planning, {count} statements of each kind\n");
        println!("| statement | p50, ms | p99, ms |");
        println!("|---|---|---|");
        let rows = [
            ("EXPLAIN of a join of 12 tables of 3 sources, each time another text", &planned),
            ("EXPLAIN of a look-up of an order by key, the same text again: planned and not run", &known),
            ("the look-up, the same text again", &repeated),
            ("the same straight to PostgreSQL", &direct),
        ];
        for (name, measured) in rows {
            println!("| {name} | {:.2} | {:.2} |", millis(measured.percentile(50)), millis(measured.percentile(99)));
        }
        println!("\nbeyond the source's own time the look-up takes {:.2} ms", millis(repeated.median()) - millis(direct.median()));
    });
}

fn explained(number: u32) -> String {
    format!("EXPLAIN {}", TWELVE.replace("NUMBER", &number.to_string()))
}

async fn time(client: &Client, sql: &str) -> Duration {
    let start = Instant::now();
    text_rows(client, sql).await.expect("the statement is answered");
    start.elapsed()
}
