//! Changes as drivers make them: prepared, with parameters, in pipelines, and with rows fetched bit by bit.

use std::io::{Read, Write};
use std::net::TcpStream;

use causeway_tests::{Datasource, Gateway, MariaDbServer, PostgresServer, text_rows, write_sqlite};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

const TABLE: &str = "CREATE TABLE t (id bigint PRIMARY KEY, name varchar(40) NOT NULL)";

fn open(datasource: Datasource) -> Datasource {
    datasource.external("allow_writes", "true").section("tables:\n  - { name: w, remote: t, writable: true }")
}

async fn names(client: &Client) -> Vec<String> {
    let rows = text_rows(client, "SELECT id || ' ' || name FROM shop.w ORDER BY id").await.unwrap();
    rows.into_iter().flatten().flatten().collect()
}

async fn works_prepared(datasource: Datasource, returns_updates: bool) {
    let gateway = Gateway::start([open(datasource)]);
    let mut client = gateway.connect().await;
    let insert = client.prepare("INSERT INTO shop.w (id, name) VALUES ($1, $2)").await.unwrap();
    assert!(insert.columns().is_empty(), "it gives no rows");
    for (id, name) in [(1_i64, "one"), (2, "two")] {
        assert_eq!(client.execute(&insert, &[&id, &name]).await.unwrap(), 1);
    }
    let update = client.prepare("UPDATE shop.w SET name = $2 WHERE id = $1").await.unwrap();
    assert_eq!(client.execute(&update, &[&1_i64, &"uno"]).await.unwrap(), 1);
    assert_eq!(client.execute(&update, &[&9_i64, &"none"]).await.unwrap(), 0);
    let taken = client.execute(&insert, &[&1_i64, &"again"]).await.unwrap_err();
    assert_eq!(taken.code(), Some(&SqlState::UNIQUE_VIOLATION));

    // By its name, which the statement itself must not be told otherwise of.
    client.batch_execute("PREPARE one_more(bigint, text) AS INSERT INTO shop.w (id, name) VALUES ($1, $2)").await.unwrap();
    assert_eq!(client.execute("EXECUTE one_more(3, 'three')", &[]).await.unwrap(), 1);
    assert_eq!(names(&client).await, ["1 uno", "2 two", "3 three"]);

    let transaction = client.transaction().await.unwrap();
    transaction.execute(&insert, &[&4_i64, &"four"]).await.unwrap();
    transaction.rollback().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction.execute(&insert, &[&5_i64, &"five"]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(names(&client).await, ["1 uno", "2 two", "3 three", "5 five"]);

    let rows =
        client.query("INSERT INTO shop.w (id, name) VALUES ($1, $2) RETURNING id * $3, name", &[&6_i64, &"six", &2_i64]).await.unwrap();
    assert_eq!((rows[0].get::<_, i64>(0), rows[0].get::<_, String>(1)), (12, "six".to_owned()));
    if returns_updates {
        let update = client.prepare("UPDATE shop.w SET name = $1 WHERE id < 4 RETURNING id, name || '!'").await.unwrap();
        let transaction = client.transaction().await.unwrap();
        let portal = transaction.bind(&update, &[&"same"]).await.unwrap();
        let mut fetched = Vec::new();
        while fetched.len() < 3 {
            let rows = transaction.query_portal(&portal, 1).await.unwrap();
            assert_eq!(rows.len(), 1, "one is fetched at a time");
            fetched.extend(rows.iter().map(|row| row.get::<_, String>(1)));
        }
        transaction.commit().await.unwrap();
        assert_eq!(fetched, ["same!"; 3]);
    }
    let deleted = client.execute("DELETE FROM shop.w WHERE id = $1 OR name = $2", &[&6_i64, &"five"]).await.unwrap();
    assert_eq!(deleted, 2);

    // All until a Sync is one transaction.
    let mut raw = Raw::connect(gateway.port());
    let insert = |id: i32| format!("INSERT INTO shop.w (id, name) VALUES ({id}, 'piped')");
    assert_eq!(raw.pipeline(&[&insert(10), &insert(1), &insert(11)]), "CE");
    assert_eq!(raw.pipeline(&[&insert(12), &insert(13)]), "CC");
    let piped = text_rows(&client, "SELECT id FROM shop.w WHERE id > 9 ORDER BY id").await.unwrap();
    assert_eq!(piped.into_iter().flatten().flatten().collect::<Vec<_>>(), ["12", "13"]);
}

/// A connection on which one says when to Sync.
struct Raw(TcpStream);

impl Raw {
    fn connect(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let parameters = b"\0\x03\0\0user\0raw\0database\0default\0\0";
        stream.write_all(&[&(4 + parameters.len() as u32).to_be_bytes()[..], parameters].concat()).unwrap();
        let mut this = Self(stream);
        this.answers();
        this
    }

    /// Runs statements in front of one Sync: `C` for each that was completed, `E` for an error.
    fn pipeline(&mut self, statements: &[&str]) -> String {
        let message = |kind: u8, body: &[u8]| [&[kind][..], &(4 + body.len() as u32).to_be_bytes(), body].concat();
        let of = |sql: &&str| {
            let parse = message(b'P', format!("\0{sql}\0\0\0").as_bytes());
            [parse, message(b'B', b"\0\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0")].concat()
        };
        let all: Vec<u8> = statements.iter().flat_map(of).chain(message(b'S', b"")).collect();
        self.0.write_all(&all).unwrap();
        self.answers().chars().filter(|kind| matches!(kind, 'C' | 'E')).collect()
    }

    /// The kinds of messages until the server is ready.
    fn answers(&mut self) -> String {
        let mut kinds = String::new();
        while !kinds.ends_with('Z') {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            self.0.read_exact(&mut vec![0; length - 4]).unwrap();
            kinds.push(char::from(head[0]));
        }
        kinds
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_postgresql_are_prepared() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("prepared_changes");
    database.script(TABLE);
    works_prepared(database.datasource("shop"), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_mariadb_are_prepared() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("prepared_changes");
    database.script(TABLE);
    works_prepared(database.datasource("shop"), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_sqlite_are_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    write_sqlite(&file, TABLE);
    works_prepared(Datasource::sqlite("shop", &file), true).await;
}
