//! The commands that ask a running gateway over HTTP, and those that work without one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use causeway_tests::{Datasource, Finished, Gateway, causeway, finish_within, free_port, write_sqlite};
use serde_json::Value;

const TABLES: &str = "CREATE TABLE cust (id INTEGER PRIMARY KEY, email TEXT NOT NULL); CREATE TABLE orders (id INTEGER PRIMARY KEY);";

fn run(arguments: &[&str], url: Option<&str>) -> Finished {
    let mut command = Command::new(causeway());
    command.args(arguments).env("NO_COLOR", "1").env_remove("CAUSEWAY_URL");
    if let Some(url) = url {
        command.env("CAUSEWAY_URL", url);
    }
    finish_within(Duration::from_secs(30), &mut command)
}

/// A gateway and the source of its datasource `shop`.
struct Shop {
    gateway: Gateway,
    folder: tempfile::TempDir,
}

impl Shop {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.db");
        write_sqlite(&file, TABLES);
        Self { gateway: Gateway::start([Datasource::sqlite("shop", &file)]), folder }
    }

    fn change(&self, sql: &str) {
        write_sqlite(&self.folder.path().join("shop.db"), sql);
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        run(arguments, Some(&self.gateway.url()))
    }

    /// What a command that succeeds prints.
    fn said(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}\n{}{}", finished.stdout, finished.stderr);
        finished.stdout
    }

    /// What a command that fails prints about it.
    fn refused(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(finished.code, Some(1), "{arguments:?}\n{}{}", finished.stdout, finished.stderr);
        finished.stderr
    }
}

#[test]
fn drift_is_seen_at_a_glance_and_accepted() {
    let shop = Shop::open();
    let listed = shop.said(&["datasource", "list"]);
    assert!(["shop", "sqlite", "running"].iter().all(|word| listed.contains(word)), "{listed}");
    assert!(shop.said(&["datasource", "tables", "shop"]).contains("main.cust"));
    assert_eq!(shop.said(&["datasource", "drift", "shop"]), "shop: no differences\n");

    shop.change("ALTER TABLE cust DROP COLUMN email; ALTER TABLE cust ADD COLUMN note TEXT; CREATE TABLE newer (a INTEGER);");
    let finished = shop.run(&["datasource", "drift", "shop"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(1), ""), "a column is gone, and progress is for terminals");
    let found = finished.stdout;
    let expected = "shop: 1 error, 2 warnings\n  main.cust  published as shop.cust\n    error    - email      is gone, was TEXT\n    \
                    warning  + note       is new, TEXT\n  main.newer\n    warning  + the table  is new\n  breaks shop.cust (email)\n  \
                    2 new events told of it\n";
    assert_eq!(found, expected);
    let json: Value = serde_json::from_str(&shop.run(&["datasource", "drift", "shop", "--json"]).stdout).unwrap();
    assert_eq!((json["differences"].as_array().unwrap().len(), &json["events"]), (3, &Value::from(0)));

    assert!(shop.said(&["datasource", "list"]).lines().any(|line| line.contains("shop") && line.ends_with("3     │")));
    assert_eq!(shop.gateway.psql().rows("SELECT name, drift FROM causeway.datasources"), ["shop|3"]);
    assert!(shop.said(&["datasource", "refresh", "shop"]).contains("publishes 3 tables"));
    assert_eq!(shop.said(&["datasource", "drift", "shop"]), "shop: no differences\n");
    let resolved = shop.said(&["events", "tail", "--once", "--after", "0", "--type", "external.schema.drift.resolved"]);
    assert!(resolved.contains("resolved (accepted)  missing_column  email"), "{resolved}");
    assert_eq!(shop.gateway.psql().rows("SELECT drift FROM causeway.datasources"), ["0"]);
    assert!(shop.said(&["catalog", "history", "shop"]).lines().filter(|line| line.starts_with('│')).count() > 2);
    let changed = shop.said(&["catalog", "diff", "shop", "1", "2"]);
    assert!(changed.starts_with("shop from 1 to 2: 1 error, 2 warnings\n") && changed.contains("- email"), "{changed}");
    assert!(shop.refused(&["catalog", "diff", "shop", "1", "9"]).contains("SNAPSHOT_NOT_FOUND"));
    assert!(shop.refused(&["datasource", "show", "nothing"]).contains("there are: shop"));
}

#[test]
fn of_a_datasource_that_its_tables_keep_from_running_what_is_known_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    write_sqlite(&file, TABLES);
    let pinned = "tables:\n  - { name: customers, remote: cust, columns: [{ name: id, type: INTEGER }, { name: note, type: TEXT }] }";
    let gateway = Gateway::start([Datasource::sqlite("shop", &file).section(pinned)]);
    let (status, body) = gateway.ask("POST", "/datasources/shop/external/validate", &Value::Null);
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &problem["code"]), (409, &Value::from("EXTERNAL_SCHEMA_MISMATCH")), "{body}");
    let finished = run(&["datasource", "drift", "shop"], Some(&gateway.url()));
    assert_eq!(finished.code, Some(1), "{}{}", finished.stdout, finished.stderr);
    assert!(
        finished.stdout.contains("- note") && finished.stderr.contains("EXTERNAL_SCHEMA_MISMATCH"),
        "{}{}",
        finished.stdout,
        finished.stderr
    );
    let drafted = run(&["datasource", "draft", "shop", "cust"], Some(&gateway.url()));
    assert!(drafted.code != Some(0) && drafted.stderr.contains("EXTERNAL_SCHEMA_MISMATCH"), "{}{}", drafted.stdout, drafted.stderr);
    assert!(drafted.stderr.contains("files are read at a start"), "{}", drafted.stderr);
    let json: Value = serde_json::from_str(&run(&["datasource", "drift", "shop", "--json"], Some(&gateway.url())).stdout).unwrap();
    let kinds: Vec<&Value> = json.as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    assert!(kinds.contains(&&Value::from("missing_column")), "{json}");
}

#[test]
fn tables_are_drafted_imported_and_told_of() {
    let shop = Shop::open();
    let drafted = shop.said(&["datasource", "draft", "shop", "main.cust"]);
    assert!(drafted.starts_with("tables:\n") && drafted.contains("nullable: false"), "{drafted}");
    let dry = shop.said(&["datasource", "import", "shop", "--into", "sales", "--rename", "cust=customers", "--dry-run"]);
    assert!(dry.contains("sales.customers") && dry.contains("nothing was written"), "{dry}");
    assert_eq!(shop.said(&["events", "tail", "--once", "--type", "external.table.imported"]), "");

    let imported = shop.said(&["datasource", "import", "shop", "--into", "sales", "--limit-to", "cust", "--rename", "cust=customers"]);
    assert!(imported.contains("1 table imported"), "{imported}");
    let again = ["datasource", "import", "shop", "--into", "sales", "--limit-to", "cust", "--rename", "cust=customers", "--dry-run"];
    assert!(shop.said(&again).contains("keep"), "nothing differs");
    shop.change("ALTER TABLE cust ADD COLUMN note TEXT;");
    let replaced = shop.said(&again);
    assert!(replaced.contains("replace") && replaced.contains("would be accepted: 1 warning\n"), "{replaced}");
    assert!(replaced.contains("warning  + note  is new, TEXT"), "{replaced}");
    let another = shop.said(&["datasource", "import", "shop", "--into", "sales", "--limit-to", "cust", "--dry-run"]);
    assert!(another.contains("note sales.cust: sales.customers reads main.cust already"), "{another}");
    let psql = shop.gateway.psql();
    assert_eq!(psql.rows("SELECT count(*) FROM sales.customers"), ["0"]);
    assert!(shop.refused(&["datasource", "import", "shop", "--into", "shop"]).contains("NAME_TAKEN"));
    assert!(shop.refused(&["datasource", "import", "shop", "--into", "x", "--limit-to", "nothing"]).contains("REMOTE_TABLE_NOT_FOUND"));

    let told = shop.said(&["events", "tail", "--once", "--after", "0", "--type", "external.table.imported", "--json"]);
    let event: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&event["subject"], &event["data"]["name"]), (&Value::from("main.cust"), &Value::from("customers")));
    assert!(shop.refused(&["events", "tail", "--once", "--type", "nothing"]).contains("is not a type of events"));
}

#[test]
fn an_import_of_files_leaves_other_tables_as_they_were() {
    let files = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = files.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("orders/year=2024/a.csv", "id\n1\n");
    write("cust.csv", "id\n7\n");
    let gateway = Gateway::start([Datasource::new("lake", "files").option("path", &files.path().display().to_string())]);
    let psql = gateway.psql();
    let published = "SELECT schema, name, column_count FROM causeway.foreign_tables ORDER BY 1, 2";
    assert_eq!(psql.rows(published), ["lake|cust|1", "lake|orders|2"]);
    // The folders of one table have other keys from now on.
    fs::rename(files.path().join("orders/year=2024"), files.path().join("orders/month=1")).unwrap();
    let imported = run(&["datasource", "import", "lake", "--into", "sales", "--limit-to", "cust"], Some(&gateway.url()));
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    assert_eq!(psql.rows(published), ["lake|cust|1", "lake|orders|2", "sales|cust|1"]);
    assert!(psql.rows("SELECT subject FROM causeway.omissions").is_empty());
    assert_eq!(psql.rows("SELECT id FROM sales.cust"), ["7"]);
}

#[test]
fn a_gateway_that_is_not_there_is_said() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let finished = run(&["datasource", "list"], Some(&nobody));
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("cannot be reached") && finished.stderr.contains("CAUSEWAY_URL"), "{}", finished.stderr);
    assert_eq!(run(&["events", "tail"], Some(&nobody)).code, Some(1), "nobody is waited for who was never there");
    let finished = run(&["datasource", "list", "--url", "https://127.0.0.1:1"], None);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
}

/// A configuration with one pinned table, of whose contract `column` is a part.
fn pinned(folder: &Path, column: &str) {
    fs::create_dir_all(folder.join("datasources")).unwrap();
    if !folder.join("shop.db").exists() {
        write_sqlite(&folder.join("shop.db"), TABLES);
    }
    fs::write(folder.join("causeway.yaml"), "data_dir: data\n").unwrap();
    let datasource = "name: shop\nconnector: sqlite\noptions: { path: ../shop.db }\ntables:\n  - name: customers\n    remote: cust\n    columns:\n      - { name: id, type: INTEGER }\n";
    fs::write(folder.join("datasources/shop.yaml"), format!("{datasource}      - {column}\n")).unwrap();
}

#[test]
fn check_shows_how_pinned_tables_differ() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("causeway.yaml").display().to_string();
    pinned(folder.path(), "{ name: email, type: BLOB, nullable: false }");
    let broken = run(&["check", "--config", &config], None);
    assert_eq!(broken.code, Some(1), "{}{}", broken.stdout, broken.stderr);
    assert!(broken.stdout.contains("  main.cust  published as shop.customers\n    error    ~ email  BLOB → TEXT\n"), "{}", broken.stdout);
    assert!(broken.stdout.ends_with("1 of 1 datasource not well: shop; 1 error\n"), "{}", broken.stdout);
    let json = run(&["check", "--config", &config, "--json"], None);
    let verdict: Value = serde_json::from_str(&json.stdout).unwrap();
    let difference = &verdict["datasources"][0]["differences"][0];
    assert_eq!(
        (&difference["kind"], &difference["expected"], &difference["severity"]),
        (&"type_mismatch".into(), &"BLOB".into(), &"error".into())
    );
    assert_eq!((json.code, &verdict["ok"]), (Some(1), &Value::Bool(false)));

    pinned(folder.path(), "{ name: phone, type: TEXT }");
    let absent = run(&["check", "--config", &config], None);
    assert!(absent.stdout.contains("    error    - phone  is not there, should be TEXT\n"), "it never was there: {}", absent.stdout);
    pinned(folder.path(), "{ name: email, type: TEXT }");
    let file = folder.path().join("datasources/shop.yaml");
    let table = fs::read_to_string(&file).unwrap();
    fs::write(&file, table.replace("remote: cust", "remote: never")).unwrap();
    let never = run(&["check", "--config", &config], None);
    assert_eq!(never.code, Some(1), "{}{}", never.stdout, never.stderr);
    assert!(never.stdout.contains("    error    - the table  is not there\n"), "{}", never.stdout);

    pinned(folder.path(), "{ name: email, type: TEXT }");
    let well = run(&["check", "--config", &config], None);
    assert_eq!(well.code, Some(0), "{}{}", well.stdout, well.stderr);
    assert!(!folder.path().join("data").exists(), "a check leaves nothing behind");
}

#[test]
fn the_store_is_migrated_while_nobody_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("causeway.yaml").display().to_string();
    pinned(folder.path(), "{ name: email, type: TEXT }");
    let applied = |direction: &str| {
        let finished = run(&["migrate", direction, "--config", &config, "--json"], None);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let forms: Vec<Value> = serde_json::from_str(&finished.stdout).unwrap();
        forms.iter().filter(|form| form["applied"] == true).count()
    };
    let none = run(&["migrate", "status", "--config", &config], None);
    assert_eq!(none.code, Some(1), "{}{}", none.stdout, none.stderr);
    assert!(none.stderr.contains("there is no control store in"), "{}", none.stderr);
    assert!(!folder.path().join("data").exists(), "to ask for the store makes none");
    let newest = applied("up");
    assert_eq!((applied("down"), applied("status"), applied("up")), (newest - 1, newest - 1, newest));
}
