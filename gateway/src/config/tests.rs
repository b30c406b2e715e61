//! Faults with their exact texts, and what a right configuration becomes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway_catalog::{ContractColumn, Expose, History, Keeping, OnMismatch, PinnedTable, Retention, SchemaMode};
use causeway_providers::{
    Capabilities, Connector, DeclaredType, Error, ErrorKind, Manifest, OptionSpec, Options, PoolLimits, Presence, Presentation, Remote,
    Result as ProvidersResult, TypeChange, ValueKind, Visibility,
};
use datafusion::arrow::datatypes::DataType;
use tempfile::TempDir;

use super::*;
use crate::roles::{Role, RoleLimits};

const fn option(name: &'static str, value: ValueKind, presence: Presence, visibility: Visibility) -> OptionSpec {
    OptionSpec { name, value, presence, visibility, doc: "" }
}

static MANIFEST: Manifest = Manifest {
    kind: "fake",
    version: "1",
    description: "For tests.",
    capabilities: Capabilities::SCAN_ONLY,
    health_check: "Is told.",
    options: &[
        option("host", ValueKind::Text, Presence::Required, Visibility::Public),
        option("port", ValueKind::Port, Presence::Default("5432"), Visibility::Public),
        option("path", ValueKind::Path, Presence::Optional, Visibility::Public),
        option("password", ValueKind::Text, Presence::Required, Visibility::Secret),
    ],
    faults: |_| Vec::new(),
};

#[derive(Debug)]
struct FakeConnector;

#[async_trait]
impl Connector for FakeConnector {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn open(&self, _options: &Options) -> ProvidersResult<Arc<dyn Remote>> {
        Err(Error::new(ErrorKind::Unsupported, "nothing is opened while a configuration is read"))
    }

    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        if expected == actual { TypeChange::Same } else { TypeChange::Different }
    }

    /// Has a few types, and others when they are not plain words.
    fn declared_type(&self, text: &str) -> DeclaredType {
        const KNOWN: &[&str] = &["bigint", "character varying", "text"];
        match text.split('(').next().unwrap_or_default() {
            word if KNOWN.contains(&word) => DeclaredType::Known(DataType::Utf8, Presentation::Plain),
            word if word.starts_with("no ") => DeclaredType::Unknown(KNOWN),
            _ => DeclaredType::Custom(KNOWN),
        }
    }
}

/// Writes `files` into a new folder and loads its `causeway.yaml`.
fn load(files: &[(&str, &str)]) -> (Result<Config, String>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let registry = ConnectorRegistry::default().with(Arc::new(FakeConnector));
    let variables = |name: &str| (name == "CRM_PASSWORD").then(|| "hunter2".to_owned());
    let loaded = Config::load(&folder.path().join("causeway.yaml"), &registry, &variables);
    let base = format!("{}/", folder.path().display());
    (loaded.map_err(|faults| faults.to_string().replace(&base, "")), folder)
}

fn faults_of(files: &[(&str, &str)]) -> String {
    load(files).0.expect_err("there are faults")
}

const CRM: &str = "name: crm\nconnector: fake\noptions: { host: h }\ncredentials: { password: env:CRM_PASSWORD }\n";

#[test]
fn an_empty_file_is_all_defaults() {
    let (config, folder) = load(&[("causeway.yaml", "")]);
    let config = config.unwrap();
    assert_eq!(config.settings, Settings::new(folder.path().join("causeway-data")));
    assert_eq!(config.settings.postgres.to_string(), "127.0.0.1:7432");
    assert_eq!(config.settings.http.unwrap().to_string(), "127.0.0.1:7433");
    assert_eq!(config.settings.limits.memory, 2 << 30);
    assert_eq!(config.settings.audit, Audit::Off);
    assert!(config.datasources.is_empty());
}

#[test]
fn everything_that_can_be_said() {
    let causeway = "\
listen: { postgres: localhost:6000, http: '[::1]:6001' }
data_dir: ./data
auth: trust
limits: { max_connections: 7, memory: 512MiB, spill: ./spill }
events: { max_age: 7d, max_count: 1000 }
catalog_history: { max_age: 1d, max_count: 3 }
audit: { queries: sampled, sample: 0.5 }
webhooks: { secrets: ./hooks }
roles:
  plain: { limited: false }
  ai:
    limited: true
    schemas: [crm]
    tables: [lake.lines, { name: 'erp.\"odd.one\"', columns: [id, total] }]
    limits: { max_rows: 5, max_bytes: 1MiB, max_scan_rows: 6, max_join_rows: 7, statement_timeout: 1500ms }
datasources: ./sources
";
    let crm = "\
name: crm
connector: fake
schema_mode: validate_only
options: { host: db, port: 5433, path: x.db }
credentials: { password: file:secret }
external:
  label: CRM read replica
  allowed_schemas: [public, mart]
  expose: pinned
  allow_writes: true
  query_timeout: 5s
  refresh_interval: 10m
  validation: { on_mismatch: warn, check_on_boot: false, check_interval: 60s }
  pool: { max_connections: 2, connect_timeout: 500ms, acquire_timeout: 2s, idle_timeout: 1m, max_lifetime: 1h, check_after: 10s }
tables:
  - { name: customers, remote: public.cust, writable: true, column_map: { cust_nm: name }, ignore_columns: [legacy] }
  - name: orders
    remote: '\"odd.schema\".orders'
    primary_key: [id]
    columns:
      - { name: id, type: bigint, nullable: false }
      - { name: note, type: character varying(20) }
schema_names: { public: sales }
";
    let (config, folder) = load(&[("causeway.yaml", causeway), ("sources/crm.yaml", crm), ("sources/secret", "hunter2\n")]);
    let config = config.unwrap();
    assert_eq!(config.settings.postgres.to_string(), "127.0.0.1:6000");
    assert_eq!(config.settings.data_dir, folder.path().join("./data"));
    assert_eq!(config.settings.limits.max_connections, 7);
    assert_eq!(config.settings.limits.memory, 512 << 20);
    assert_eq!(config.settings.http.unwrap().to_string(), "[::1]:6001");
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    let history = History { max_age: days(1), max_count: 3 };
    assert_eq!(config.settings.keeping, Keeping { history, events: Retention { max_age: days(7), max_count: 1000 } });
    assert_eq!(config.settings.audit, Audit::Sampled(0.5));
    assert_eq!(config.settings.webhook_secrets, folder.path().join("./hooks"));
    let statement_timeout = Duration::from_millis(1500);
    let limits = RoleLimits { max_rows: 5, max_bytes: 1 << 20, max_scan_rows: 6, max_join_rows: 7, statement_timeout };
    let table = |schema: &str, table: &str, columns: Option<&[&str]>| {
        ((schema.to_owned(), table.to_owned()), columns.map(|columns| columns.iter().map(|&column| column.to_owned()).collect()))
    };
    let tables = BTreeMap::from([table("lake", "lines", None), table("erp", "odd.one", Some(&["id", "total"]))]);
    let ai = Role { name: "ai".to_owned(), schemas: ["crm".to_owned()].into(), tables, limits };
    assert_eq!(config.settings.roles, BTreeMap::from([("ai".to_owned(), Arc::new(ai))]));
    let [crm] = &config.datasources[..] else { panic!("one datasource") };
    assert_eq!((crm.name.as_str(), crm.schema_mode, crm.expose), ("crm", SchemaMode::ValidateOnly, Expose::Pinned));
    assert_eq!(crm.label.as_deref(), Some("CRM read replica"));
    assert_eq!(crm.options.get("port"), Some("5433"));
    assert_eq!(crm.options.path("path"), Some(folder.path().join("sources/x.db")));
    assert_eq!(crm.options.secret("password"), Some("hunter2"));
    assert_eq!(crm.options.query_timeout, Some(Duration::from_secs(5)));
    let pool = PoolLimits {
        max_connections: 2,
        connect_timeout: Duration::from_millis(500),
        acquire_timeout: Some(Duration::from_secs(2)),
        idle_timeout: Duration::from_secs(60),
        max_lifetime: Some(Duration::from_secs(3600)),
        check_after: Duration::from_secs(10),
    };
    assert_eq!(crm.options.pool, pool);
    assert_eq!(crm.validation.on_mismatch, OnMismatch::Warn);
    assert_eq!(crm.validation.check_interval, Some(Duration::from_secs(60)));
    assert!(crm.allow_writes && !crm.validation.check_on_boot);
    assert_eq!(crm.refresh_interval, Some(Duration::from_secs(600)));
    assert_eq!(crm.schema_names["public"], "sales");
    let customers = PinnedTable {
        name: "customers".to_owned(),
        remote_schema: Some("public".to_owned()),
        remote_table: "cust".to_owned(),
        writable: true,
        column_map: BTreeMap::from([("cust_nm".to_owned(), "name".to_owned())]),
        ignore_columns: vec!["legacy".to_owned()],
        columns: None,
        primary_key: None,
    };
    let column = |name: &str, remote_type: &str, nullable| ContractColumn { name: name.into(), remote_type: remote_type.into(), nullable };
    let orders = PinnedTable {
        name: "orders".to_owned(),
        remote_schema: Some("odd.schema".to_owned()),
        remote_table: "orders".to_owned(),
        writable: false,
        column_map: BTreeMap::new(),
        ignore_columns: Vec::new(),
        columns: Some(vec![column("id", "bigint", Some(false)), column("note", "character varying(20)", None)]),
        primary_key: Some(vec!["id".to_owned()]),
    };
    assert_eq!(crm.tables, [customers, orders]);
}

#[test]
fn faults_of_all_files_come_at_once() {
    let causeway = "\
listen:
  postgres: 0.0.0.0:7432
  http: 192.0.2.1:7433
tls: { required: true }
limits:
  max_conections: 5
  memory: lots
auth: md5
";
    let crm = "\
name: crm
connector: fake
options:
  hots: h
  port: 70000
credentials:
  password: env:NOWHERE
external:
  query_timeout: 30
  pool:
    max_connections: 0
";
    let bad = "name: [a]\nconnector: oracle\n";
    let broken = "name: x\n  connector: [\n";
    let shown = faults_of(&[
        ("causeway.yaml", causeway),
        ("datasources/a.yaml", crm),
        ("datasources/b.yml", bad),
        ("datasources/c.yaml", broken),
        ("datasources/readme.txt", "not read"),
    ]);
    let (expected, last) = shown.split_at(shown.rfind('\n').unwrap());
    assert_eq!(
        expected,
        "\
causeway.yaml:2: listen.postgres: is 0.0.0.0:7432, which others can reach, and auth `trust` lets in whoever comes; listen on 127.0.0.1 or [::1]
causeway.yaml:3: listen.http: is 192.0.2.1:7433, which others can reach, and auth `trust` lets in whoever comes; listen on 127.0.0.1 or [::1]
causeway.yaml:4: tls: is not available in this version
causeway.yaml:6: limits.max_conections: is not a known key; did you mean `max_connections`?
causeway.yaml:7: limits.memory: is \"lots\", not a size such as 512MiB or 2GiB
causeway.yaml:8: auth: is \"md5\", not one of trust
datasources/a.yaml:3: options.host: is required
datasources/a.yaml:4: options.hots: is not an option of connector fake: it takes host, port, path
datasources/a.yaml:5: options.port: is \"70000\", not a port from 1 to 65535
datasources/a.yaml:7: credentials.password: refers to the environment variable NOWHERE, which is not set
datasources/a.yaml:9: external.query_timeout: is \"30\", not a duration such as 30s, 500ms or 5m
datasources/a.yaml:11: external.pool.max_connections: is \"0\", not a number from 1 to 10000
datasources/b.yml:1: name: is not a single value
datasources/b.yml:2: connector: is \"oracle\", not one of fake"
    );
    assert!(last.starts_with("\ndatasources/c.yaml:2: is not YAML: "), "{last}");
}

#[test]
fn faults_of_roles() {
    let roles = "\
roles:
  a: { schemas: [crm], limit: {} }
  b: { limited: false, schemas: [crm] }
  c: [crm]
  d:
    limited: maybe
    schemas: [pg_catalog]
    tables:
      - orders
      - { columns: [id] }
      - { name: crm.orders, columns: [] }
      - crm.orders
      - causeway.events
    limits: { max_rows: 0, max_bytes: lots, max_scan_rows: many, max_join_rows: -1, statement_timeout: 60d, max_concurrent: 1 }
";
    assert_eq!(
        faults_of(&[("causeway.yaml", roles)]),
        "\
causeway.yaml:2: roles.a.limited: is required
causeway.yaml:2: roles.a.limit: is not a known key; did you mean `limits`?
causeway.yaml:3: roles.b.schemas: is said of a role that is not limited
causeway.yaml:4: roles.c: is not a mapping of keys to values
causeway.yaml:6: roles.d.limited: is \"maybe\", neither true nor false
causeway.yaml:7: roles.d.schemas: holds pg_catalog, a schema of the gateway's own
causeway.yaml:9: roles.d.tables: holds \"orders\", not `schema.table`; a name that holds a dot is written in double quotes
causeway.yaml:10: roles.d.tables[1].name: is required
causeway.yaml:11: roles.d.tables[2].columns: is empty; leave it out for all columns
causeway.yaml:12: roles.d.tables: holds crm.orders twice
causeway.yaml:13: roles.d.tables: holds causeway.events, of a schema of the gateway's own
causeway.yaml:14: roles.d.limits.max_rows: is \"0\", not a number from 1 to 1125899906842624
causeway.yaml:14: roles.d.limits.max_scan_rows: is \"many\", not a number from 1 to 1125899906842624
causeway.yaml:14: roles.d.limits.max_join_rows: is \"-1\", not a number from 1 to 1125899906842624
causeway.yaml:14: roles.d.limits.max_bytes: is \"lots\", not a size such as 512MiB or 2GiB
causeway.yaml:14: roles.d.limits.statement_timeout: is not from 1ms to 24 days
causeway.yaml:14: roles.d.limits.max_concurrent: is not a known key; known here: max_rows, max_scan_rows, max_join_rows, max_bytes, statement_timeout"
    );
}

#[test]
fn faults_one_by_one() {
    let datasource = |text: &str| faults_of(&[("causeway.yaml", ""), ("datasources/crm.yaml", text)]);
    let with = |more: &str| datasource(&format!("{CRM}{more}"));
    let named = |name: &str| datasource(&CRM.replace("name: crm", &format!("name: {name}")));
    let causeway = |text: &str| faults_of(&[("causeway.yaml", text)]);
    for (found, expected) in [
        (datasource(""), "datasources/crm.yaml:1: name: is required\ndatasources/crm.yaml:1: connector: is required"),
        (
            datasource("- a"),
            "datasources/crm.yaml:1: is not a mapping of keys to values\ndatasources/crm.yaml:1: name: is required\ndatasources/crm.yaml:1: connector: is required",
        ),
        (
            named("Crm"),
            "datasources/crm.yaml:1: name: is \"Crm\"; a name is made of lower case letters, digits and _, and does not begin with a digit",
        ),
        (
            named("pg_catalog"),
            "datasources/crm.yaml:1: name: is \"pg_catalog\", a schema of the gateway's own; names that begin with pg_ are reserved as well",
        ),
        (
            named("causeway"),
            "datasources/crm.yaml:1: name: is \"causeway\", a schema of the gateway's own; names that begin with pg_ are reserved as well",
        ),
        (named(&"a".repeat(64)), "datasources/crm.yaml:1: name: is longer than 63 bytes"),
        (
            with("schema_mode: foreign\n"),
            "datasources/crm.yaml:5: schema_mode: is \"foreign\", not one of external, validate_only, managed",
        ),
        (with("shema_names: {}\n"), "datasources/crm.yaml:5: shema_names: is not a known key; did you mean `schema_names`?"),
        (
            with("tables:\n  - name: a\n    remote: x\n    columns:\n      - { name: p, type: no txet }\n      - { name: q, type: no }\n"),
            "datasources/crm.yaml:9: tables[0].columns[0].type: is \"no txet\", which is no type of connector fake; there are bigint, character varying, text",
        ),
        (
            with(
                "tables:\n  - name: a\n    remote: x\n    columns:\n      - { name: p, type: 'charater varying(20)' }\n      - { name: q, type: mood }\n      - { name: r, type: public.texts }\n",
            ),
            "datasources/crm.yaml:9: tables[0].columns[0].type: is \"charater varying(20)\"; did you mean `character varying`? A type that the source's users made is written with its schema",
        ),
        (
            with("zzz: 1\n"),
            "datasources/crm.yaml:5: zzz: is not a known key; known here: name, connector, schema_mode, options, credentials, external, tables, schema_names",
        ),
        (
            with("external:\n  expose: some\n  allow_writes: yes\n"),
            "datasources/crm.yaml:6: external.expose: is \"some\", not one of all, pinned\ndatasources/crm.yaml:7: external.allow_writes: is \"yes\", neither true nor false",
        ),
        (with("external: all\n"), "datasources/crm.yaml:5: external: is not a mapping of keys to values"),
        (
            with("tables:\n  - { name: a }\n  - { remote: x.y.z, name: b }\n  - 7\n"),
            "datasources/crm.yaml:6: tables[0].remote: is required\ndatasources/crm.yaml:7: tables[1].remote: is \"x.y.z\", not `table` or `schema.table`; a name that holds a dot is written in double quotes\ndatasources/crm.yaml:8: tables[2]: is not a mapping of keys to values",
        ),
        (
            with("tables:\n  - { name: a, remote: x }\n  - { name: a, remote: y, column_map: { p: q, r: q }, ignore_columns: [p] }\n"),
            "datasources/crm.yaml:7: tables[1].column_map.r: is \"q\", as is that of another column\ndatasources/crm.yaml:7: tables[1].ignore_columns: holds p, which `column_map` names as well\ndatasources/crm.yaml:7: tables[1].name: is \"a\", as is that of a table above",
        ),
        (
            with(
                "tables:\n  - name: a\n    remote: x\n    columns:\n      - { name: p, type: text }\n      - { name: p, type: text }\n      - { name: q, typ: text }\n",
            ),
            "datasources/crm.yaml:10: tables[0].columns[1].name: is \"p\", as is that of a column above\ndatasources/crm.yaml:11: tables[0].columns[2].type: is required\ndatasources/crm.yaml:11: tables[0].columns[2].typ: is not a known key; did you mean `type`?",
        ),
        (
            with(
                "tables:\n  - name: a\n    remote: x\n    columns: [{ name: p, type: text }]\n    column_map: { q: r }\n    ignore_columns: [p]\n    primary_key:\n      - p\n      - s\n",
            ),
            "datasources/crm.yaml:9: tables[0].column_map: names q, which `columns` lacks\ndatasources/crm.yaml:10: tables[0].ignore_columns: holds p, which `columns` names as well\ndatasources/crm.yaml:13: tables[0].primary_key: holds s, which `columns` lacks",
        ),
        (
            with("tables:\n  - { name: a, remote: x, primary_key: [p] }\n"),
            "datasources/crm.yaml:6: tables[0].primary_key: is given without `columns`, which say what the table is pinned to",
        ),
        (
            with("external: { allowed_schemas: [] }\n"),
            "datasources/crm.yaml:5: external.allowed_schemas: names no schema; leave it out to allow all",
        ),
        (
            with("external: { refresh_interval: often }\n"),
            "datasources/crm.yaml:5: external.refresh_interval: is \"often\", not a duration such as 30s, 500ms or 5m",
        ),
        (
            with("external: { pool: { idle_timeout: 500000000000years } }\n"),
            "datasources/crm.yaml:5: external.pool.idle_timeout: is \"500000000000years\", longer than 100 years",
        ),
        (
            with("external: { query_timeout: 101years, refresh_interval: 99999999999999999999s }\n"),
            "datasources/crm.yaml:5: external.query_timeout: is \"101years\", longer than 100 years\ndatasources/crm.yaml:5: external.refresh_interval: is \"99999999999999999999s\", longer than 100 years",
        ),
        (
            with("schema_names: { mart: pg_toast }\n"),
            "datasources/crm.yaml:5: schema_names.mart: is \"pg_toast\", a schema of the gateway's own; names that begin with pg_ are reserved as well",
        ),
        (
            causeway("control_store: sqlite\nroles: {}\nsecrets: {}\n"),
            "causeway.yaml:1: control_store: is not available in this version\ncauseway.yaml:3: secrets: is not available in this version",
        ),
        (
            causeway("auth: scram-sha-256\n"),
            "causeway.yaml:1: auth: is \"scram-sha-256\", which is not available in this version; use trust on 127.0.0.1",
        ),
        (causeway("listen: { postgres: 7432 }\n"), "causeway.yaml:1: listen.postgres: is \"7432\", not an address such as 127.0.0.1:7432"),
        (causeway("listen: { http: no }\n"), "causeway.yaml:1: listen.http: is \"no\", neither off nor an address such as 127.0.0.1:7433"),
        (
            causeway("listen: { postgres: 127.0.0.1:7433, http: 127.0.0.1:7433 }\n"),
            "causeway.yaml:1: listen.http: is 127.0.0.1:7433, as is `postgres`",
        ),
        (
            causeway("events: { max_age: 0s, max_count: 0 }\ncatalog_history: { count: 5 }\n"),
            "causeway.yaml:1: events.max_age: is \"0s\", not a duration such as 30s, 500ms or 5m\ncauseway.yaml:1: events.max_count: is \"0\", not a number from 1 to 4294967295\ncauseway.yaml:2: catalog_history.count: is not a known key; known here: max_age, max_count",
        ),
        (
            causeway("audit:\n  queries: some\n  sample: 1.5\n"),
            "causeway.yaml:2: audit.queries: is \"some\", not one of off, sampled, full\ncauseway.yaml:3: audit.sample: is \"1.5\", not a number above 0 and up to 1, such as 0.01",
        ),
        (
            causeway("listen: { postgres: \"[::1]:7432\", prot: 1 }\n"),
            "causeway.yaml:1: listen.prot: is not a known key; known here: postgres, http",
        ),
    ] {
        assert_eq!(found, expected);
    }
    let missing = causeway("data_dir: x\ndatasources: nowhere\n");
    assert!(missing.starts_with("causeway.yaml:2: datasources: is nowhere, a folder that cannot be read: "), "{missing}");
    assert!(faults_of(&[]).starts_with("causeway.yaml: cannot be read: "));
}

#[test]
fn credentials_are_references_and_never_repeated() {
    let with = |reference: &str| {
        let text = CRM.replace("env:CRM_PASSWORD", reference);
        let shown = faults_of(&[("causeway.yaml", ""), ("datasources/crm.yaml", &text), ("datasources/empty", "\n")]);
        shown.strip_prefix("datasources/crm.yaml:4: ").unwrap_or_else(|| panic!("{shown}")).to_owned()
    };
    for (reference, expected) in [
        (
            "s3cr3t",
            "credentials.password: is not a reference: write env:NAME or file:PATH; the credential itself does not belong in this file",
        ),
        (
            "post:s3cr3t",
            "credentials.password: is not a reference: write env:NAME or file:PATH; the credential itself does not belong in this file",
        ),
        ("env:s3-cr3t", "credentials.password: refers to an environment variable whose name is not made of letters, digits and _"),
        (
            "secret:s3cr3t",
            "credentials.password: is a reference to the secret store, which is not available in this version; use env:NAME or file:PATH",
        ),
        ("file:empty", "credentials.password: refers to the file datasources/empty, which is empty"),
    ] {
        let shown = with(reference);
        assert_eq!(shown, expected);
        assert!(!shown.contains("s3cr3t") && !shown.contains("s3-cr3t"));
    }
    assert!(with("file:absent").starts_with("credentials.password: refers to the file datasources/absent, which cannot be read: "));
    let text = CRM.replace("credentials: { password: env:CRM_PASSWORD }", "").replace("host: h", "host: h, password: s3cr3t");
    let shown = faults_of(&[("causeway.yaml", ""), ("datasources/crm.yaml", &text)]);
    assert!(shown.starts_with("datasources/crm.yaml:3: options.password: is a secret: write it under `credentials:`"), "{shown}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

#[test]
fn names_are_unique_across_files() {
    let mart = CRM.replace("name: crm", "name: mart");
    let shown = faults_of(&[("causeway.yaml", ""), ("datasources/a.yaml", CRM), ("datasources/b.yaml", CRM)]);
    assert_eq!(shown, "datasources/b.yaml:1: name: is \"crm\", as is the datasource in datasources/a.yaml:1");
    let crm = format!("{CRM}schema_names:\n  x: mart\n  y: both\n  z: crm\n");
    let mart = format!("{mart}schema_names: {{ w: both }}\n");
    let shown = faults_of(&[("causeway.yaml", ""), ("datasources/a.yaml", &crm), ("datasources/b.yaml", &mart)]);
    assert_eq!(
        shown,
        "datasources/a.yaml:6: schema_names.x: is \"mart\", which is the name of another datasource\n\
         datasources/b.yaml:5: schema_names.w: is \"both\", as is that of remote schema \"y\" of datasource \"crm\""
    );
}
