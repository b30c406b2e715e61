//! No secret appears where somebody could read it.

use causeway_tests::{Datasource, Gateway, PostgresServer};

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
    let output = psql.commands(&[
        "SELECT * FROM causeway.datasources",
        "SELECT * FROM causeway.remote_tables",
        "SELECT * FROM causeway.foreign_tables",
        "EXPLAIN SELECT * FROM crm.t WHERE a = 4711",
        "SELECT * FROM crm.t WHERE a = 4711",
        "SHOW ALL",
        "\\des+",
    ]);
    let failed = psql.commands(&["\\set VERBOSITY verbose", "SELECT * FROM refused.t"]);
    assert!(output.stdout.contains("refused"), "{}{}", output.stdout, output.stderr);
    let everything = [output.stdout, output.stderr, failed.stdout, failed.stderr, gateway.log()].join("\n");
    for secret in [database.password(), wrong] {
        assert!(!everything.contains(secret), "a password shows:\n{everything}");
    }
    assert!(!gateway.log().contains("4711"), "the log holds a literal of a statement:\n{}", gateway.log());
}
