//! The database the tests look at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_catalog::{CatalogSnapshot, ForeignTable, SnapshotSchema};
use causeway_providers::{Comparison, Presentation, RemoteColumn, RemoteTable, TableKind};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::datasource::empty::EmptyTable;

use crate::pg::catalog::model::Role;
use crate::pg::catalog::session::{Activity, PreparedStatement, Session, SessionState, Setting, SettingScope};
use crate::pg::catalog::{Database, Server};

/// A column: name, declared type, Arrow type, whether it may be NULL.
pub(super) fn column(name: &str, remote_type: &str, data_type: DataType, nullable: bool) -> RemoteColumn {
    RemoteColumn {
        name: name.to_owned(),
        remote_type: remote_type.to_owned(),
        data_type,
        presentation: Presentation::Plain,
        nullable,
        comment: None,
        collation: None,
        comparison: Comparison::Total,
    }
}

/// A table without keys.
pub(super) fn table(name: &str, kind: TableKind, columns: Vec<RemoteColumn>) -> RemoteTable {
    RemoteTable {
        schema: "public".to_owned(),
        name: name.to_owned(),
        kind,
        columns,
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        comment: None,
        row_estimate: None,
    }
}

/// A schema with these tables, published as they are.
pub(super) fn schema(name: &str, tables: Vec<RemoteTable>) -> (String, Arc<SnapshotSchema>) {
    let published = tables.into_iter().map(|remote| {
        let columns = remote.arrow_schema();
        let table = ForeignTable {
            schema: name.to_owned(),
            name: remote.name.clone(),
            datasource: name.to_owned(),
            pinned: false,
            writable: false,
            comment: remote.comment.clone(),
            unavailable: None,
            remote_columns: (0..columns.fields().len()).collect(),
            provider: Arc::new(EmptyTable::new(Arc::clone(&columns))),
            columns,
            remote,
        };
        (table.name.clone(), Arc::new(table))
    });
    let tables = published.collect();
    let schema =
        SnapshotSchema { datasource: Some(name.to_owned()), remote_schema: "public".to_owned(), tables, ..SnapshotSchema::default() };
    (name.to_owned(), Arc::new(schema))
}

/// Tables, views, keys, comments, odd names and a renamed column.
pub(super) fn database() -> Database {
    let money = DataType::Decimal128(12, 2);
    let mut name = column("cust_nm", "character varying(20)", DataType::Utf8, false);
    name.comment = Some("as on the invoice".to_owned());
    let customers = RemoteTable {
        primary_key: vec!["id".to_owned()],
        unique_keys: vec![vec!["email".to_owned()]],
        comment: Some("who buys".to_owned()),
        row_estimate: Some(120),
        ..table(
            "customers",
            TableKind::Table,
            vec![
                column("id", "integer", DataType::Int32, false),
                name,
                column("email", "text", DataType::Utf8, true),
                column("secret", "text", DataType::Utf8, true),
                RemoteColumn { presentation: Presentation::Uuid, ..column("ref", "uuid", DataType::Utf8, true) },
            ],
        )
    };
    let orders = RemoteTable {
        primary_key: vec!["customer_id".to_owned(), "number".to_owned()],
        ..table(
            "orders",
            TableKind::PartitionedTable,
            vec![
                column("number", "bigint", DataType::Int64, false),
                column("customer_id", "integer", DataType::Int32, false),
                column("total", "numeric(12,2)", money.clone(), true),
                column("placed", "timestamp with time zone", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
                column("tags", "text[]", DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))), true),
            ],
        )
    };
    let big =
        table("big", TableKind::View, vec![column("number", "bigint", DataType::Int64, true), column("total", "numeric", money, true)]);
    let totals = table("totals", TableKind::MaterializedView, vec![column("n", "bigint", DataType::Int64, true)]);
    let log = table("log", TableKind::ForeignTable, vec![column("line", "text", DataType::Utf8, true)]);
    let odd = RemoteTable {
        primary_key: vec!["Weird Col".to_owned()],
        ..table("Odd \"Name\"", TableKind::Table, vec![column("Weird Col", "integer", DataType::Int32, false)])
    };
    let (crm, mut contents) = schema("crm", vec![customers, orders, big, totals, log, odd]);
    publish_renamed(Arc::make_mut(&mut contents));
    let items = || vec![column("sku", "varchar(8)", DataType::Utf8, false), column("weight", "double", DataType::Float64, true)];
    let shop = schema("shop", vec![table("items", TableKind::Table, items()), table("Items", TableKind::Table, items())]);
    let events = Schema::new(vec![Field::new("seq", DataType::Int64, false), Field::new("data", DataType::Utf8, true)]);
    Database {
        name: "default".to_owned(),
        environments: vec!["default".to_owned(), "staging".to_owned()],
        roles: vec![Role { name: "viewer".to_owned(), superuser: false }],
        servers: vec![
            Server {
                name: "crm".to_owned(),
                wrapper: "postgres".to_owned(),
                options: vec![("host".to_owned(), "db.example".to_owned()), ("user".to_owned(), "reader".to_owned())],
            },
            Server { name: "shop".to_owned(), wrapper: "mysql".to_owned(), options: vec![("host".to_owned(), "it's".to_owned())] },
        ],
        snapshot: Arc::new(CatalogSnapshot { version: 1, schemas: [(crm, contents), shop].into(), ..CatalogSnapshot::default() }),
        system_schemas: BTreeMap::from([("causeway".to_owned(), BTreeMap::from([("events".to_owned(), Arc::new(events))]))]),
    }
}

/// `customers.cust_nm` is published as `name`, and `secret` is not published.
fn publish_renamed(contents: &mut SnapshotSchema) {
    let customers = contents.tables.get_mut("customers").map(|t| t.as_ref().clone()).unwrap();
    let fields = customers.columns.fields();
    let columns = vec![
        fields[0].as_ref().clone(),
        fields[1].as_ref().clone().with_name("name"),
        fields[2].as_ref().clone(),
        fields[4].as_ref().clone(),
    ];
    let renamed = ForeignTable { columns: Arc::new(Schema::new(columns)), remote_columns: vec![0, 1, 2, 4], ..customers };
    contents.tables.insert("customers".to_owned(), Arc::new(renamed));
}

/// A session of `ana`.
pub(super) fn session(path: &[&str]) -> Session {
    Session {
        user: "ana".to_owned(),
        database: "default".to_owned(),
        backend_pid: 4711,
        search_path: path.iter().map(|s| (*s).to_owned()).collect(),
        state: Arc::new(State),
    }
}

#[derive(Debug)]
struct State;

impl SessionState for State {
    fn setting(&self, name: &str) -> Option<String> {
        self.settings().into_iter().find(|s| s.name.eq_ignore_ascii_case(name)).map(|s| s.value)
    }

    fn set(&self, name: &str, value: &str, _scope: SettingScope) -> Result<String, String> {
        match self.setting(name) {
            Some(_) => Ok(value.to_owned()),
            None => Err(format!("unrecognized configuration parameter \"{name}\"")),
        }
    }

    fn settings(&self) -> Vec<Setting> {
        let setting = |name: &str, value: &str, boot: &str| Setting {
            name: name.to_owned(),
            value: value.to_owned(),
            boot_value: boot.to_owned(),
            description: "for tests".to_owned(),
            kind: "string",
            unit: None,
            context: "user",
        };
        vec![
            setting("server_version", "16.4", "16.4"),
            setting("server_version_num", "160004", "160004"),
            setting("search_path", "\"$user\", public", "\"$user\", public"),
            setting("default_table_access_method", "heap", "heap"),
            setting("max_identifier_length", "63", "63"),
            setting("TimeZone", "Europe/Paris", "UTC"),
            setting("standard_conforming_strings", "on", "on"),
            setting("max_index_keys", "32", "32"),
        ]
    }

    fn activity(&self) -> Vec<Activity> {
        vec![Activity {
            pid: 4711,
            database: "default".to_owned(),
            user: "ana".to_owned(),
            application_name: "psql".to_owned(),
            client_address: Some("127.0.0.1".to_owned()),
            client_port: Some(50_000),
            backend_start: self.started(),
            query_start: Some(self.started()),
            state: "active",
            query: "SELECT ?".to_owned(),
        }]
    }

    fn cancel(&self, pid: i32) -> bool {
        pid == 4711
    }

    fn terminate(&self, pid: i32) -> bool {
        pid == 4711
    }

    fn prepared_statements(&self) -> Vec<PreparedStatement> {
        let statement = "SELECT $1".to_owned();
        vec![PreparedStatement { name: "s1".to_owned(), statement, prepared: self.started(), parameter_types: vec![25] }]
    }

    fn started(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }
}
