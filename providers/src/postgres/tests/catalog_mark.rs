//! The mark of the catalog is another after every change that a look would show, and after no other.

use std::sync::Arc;

use super::server::{Database, Server};
use super::{PATIENCE, PostgresRemote, look, open};
use crate::deadline::Deadline;
use crate::remote::{CatalogMark, Remote};

/// A database on a server of its own: roles and databases are all servers', and other tests make some.
async fn alone(sql: &str) -> Option<Database> {
    Database::on(Arc::new(Server::start("")?), sql, "").await
}

async fn mark(remote: &PostgresRemote) -> CatalogMark {
    remote.catalog_mark(Deadline::after(PATIENCE)).await.unwrap().expect("the values were read a moment ago")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_that_a_look_shows_has_a_mark_of_its_own() {
    const TABLES: &str = "CREATE TABLE t (id integer NOT NULL, name text, amount numeric(10, 2)); CREATE DOMAIN d AS text; \
        CREATE VIEW v AS SELECT id FROM t; CREATE TABLE parent (id integer); CREATE TABLE child (id integer); CREATE SCHEMA other";
    let Some(database) = alone(TABLES).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    assert_eq!(remote.catalog_mark(Deadline::after(PATIENCE)).await.unwrap(), None, "a look is due for the values");
    look(&remote, &[]).await;

    let role = format!("role_of_{}", std::process::id());
    let changes = [
        "ALTER TABLE t ADD COLUMN more date",
        "ALTER TABLE t DROP COLUMN more",
        "ALTER TABLE t ALTER amount TYPE numeric(12, 4)",
        "ALTER TABLE t ALTER name TYPE text COLLATE \"C\"",
        "ALTER TABLE t ALTER id DROP NOT NULL",
        "ALTER TABLE t RENAME name TO title",
        "ALTER TABLE t ADD PRIMARY KEY (id)",
        "ALTER TABLE t DROP CONSTRAINT t_pkey",
        "CREATE UNIQUE INDEX u ON t (title)",
        "ALTER TABLE t RENAME TO s",
        "ALTER TABLE s SET SCHEMA other",
        "ALTER SCHEMA other RENAME TO another",
        "ALTER DOMAIN d RENAME TO e",
        "ALTER TABLE child INHERIT parent",
        "CREATE OR REPLACE VIEW v AS SELECT id, amount FROM another.s",
        "DROP VIEW v",
        &format!("CREATE ROLE {role}"),
        &format!("GRANT SELECT (id) ON another.s TO {role}"),
        &format!("REVOKE SELECT (id) ON another.s FROM {role}"),
        &format!("GRANT pg_read_all_data TO {role}"),
        &format!("ALTER ROLE {role} SUPERUSER"),
        &format!("DROP ROLE {role}"),
    ];
    let mut before = mark(&remote).await;
    for change in changes {
        admin.batch_execute(change).await.unwrap();
        let after = mark(&remote).await;
        assert_ne!(after, before, "{change}");
        before = after;
    }
    for no_change in
        ["INSERT INTO parent VALUES (1)", "UPDATE parent SET id = 2", "ANALYZE", "VACUUM", "DELETE FROM parent", "VACUUM FREEZE parent"]
    {
        admin.batch_execute(no_change).await.unwrap();
        assert_eq!(mark(&remote).await, before, "{no_change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_ends_after_a_later_one_is_seen() {
    let Some(database) = alone("CREATE TABLE t (a text); CREATE TABLE u (a text)").await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    look(&remote, &[]).await;
    let first = database.admin().await;
    first.batch_execute("BEGIN; ALTER TABLE t ALTER a SET NOT NULL").await.unwrap();
    admin.batch_execute("ALTER TABLE u ALTER a SET NOT NULL").await.unwrap();
    let before = mark(&remote).await;
    first.batch_execute("COMMIT").await.unwrap();
    assert_ne!(mark(&remote).await, before);
}
