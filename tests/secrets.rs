//! No secret appears where somebody could read it.

use std::time::Duration;

use causeway_tests::{Datasource, Gateway, PostgresServer, eventually};
use serde_json::json;

#[test]
fn passwords_stay_out_of_everything_one_can_read() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("secrets");
    database.script("CREATE TABLE t (a int);");
    let wrong = "wr0ng-password-nobody-may-see";
    let refused = Datasource::new("refused", "postgres")
        .option("host", "127.0.0.1")
        .option("port", &server.port().to_string())
        .option("database", database.name())
        .option("user", "reader")
        .credential("password", wrong);
    let gateway = Gateway::start([database.datasource("crm"), refused]);
    let psql = gateway.psql();
    let unlocked = "http://127.0.0.1:9/services/s3cr3t-of-the-path?key=s3cr3t-of-the-query";
    let hook = json!({ "name": "hook", "url": unlocked, "after": 0 });
    let (status, added) = gateway.ask("POST", "/webhooks", &hook);
    assert_eq!(status, 201, "{added}");
    eventually("the webhook has been tried", Duration::from_secs(60), || {
        (psql.rows("SELECT attempts > 0 FROM causeway.subscribers") == ["t"]).then_some(())
    });
    let shown = gateway.ask("GET", "/webhooks/hook", &json!({})).1;
    assert!(shown.contains("http://127.0.0.1:9/..."), "{shown}");
    let output = psql.commands(&[
        "SELECT * FROM causeway.datasources",
        "SELECT * FROM causeway.remote_tables",
        "SELECT * FROM causeway.foreign_tables",
        "SELECT * FROM causeway.subscribers",
        "SELECT * FROM causeway.events",
        "EXPLAIN SELECT * FROM crm.t WHERE a = 4711",
        "SELECT * FROM crm.t WHERE a = 4711",
        "SHOW ALL",
        "\\des+",
    ]);
    let failed = psql.commands(&["\\set VERBOSITY verbose", "SELECT * FROM refused.t"]);
    assert!(output.stdout.contains("refused"), "{}{}", output.stdout, output.stderr);
    let everything = [added, shown, output.stdout, output.stderr, failed.stdout, failed.stderr, gateway.log()].join("\n");
    for secret in [database.password(), wrong, "s3cr3t-of-the"] {
        assert!(!everything.contains(secret), "a secret shows:\n{everything}");
    }
    assert!(!gateway.log().contains("4711"), "the log holds a literal of a statement:\n{}", gateway.log());
}
