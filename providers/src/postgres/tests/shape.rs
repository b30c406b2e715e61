//! Statements are held against what was known of their tables when they began.

use std::sync::Arc;

use super::server::Database;
use super::{look, open};
use crate::error::TYPE_CHANGED;
use crate::postgres::dialect::PostgresDialect;
use crate::postgres::shape::{self, Shapes};
use crate::remote::RemoteTable;
use crate::sql::Reliance;

#[tokio::test(flavor = "multi_thread")]
async fn a_look_meanwhile_hides_no_change() {
    let Some(database) = Database::new("CREATE TABLE t (n integer)").await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let question = shape::prepare(&admin).await.unwrap();
    let reliance_of = |table: RemoteTable| Reliance::of(&Arc::new(table));
    let planned = reliance_of(look(&remote, &[]).await.tables.remove(0));

    let added = Shapes::of(&planned, &remote.known, &PostgresDialect::CHARACTERS).unwrap();
    assert!(added.written_since(&admin, question.as_ref()).await.unwrap().is_empty());
    admin.batch_execute("ALTER TABLE t ADD COLUMN more text").await.unwrap();
    assert_eq!(added.written_since(&admin, question.as_ref()).await.unwrap(), [0]);
    assert!(added.changed(&admin, &[0]).await.unwrap().is_none(), "a column nobody knows of disturbs nobody");
    let again = Shapes::of(&planned, &remote.known, &PostgresDialect::CHARACTERS).unwrap();
    assert!(again.written_since(&admin, question.as_ref()).await.unwrap().is_empty(), "it is known as it is");

    admin.batch_execute("ALTER TABLE t ALTER n TYPE numeric").await.unwrap();
    let now = look(&remote, &[]).await.tables.remove(0);
    let places = again.written_since(&admin, question.as_ref()).await.unwrap();
    let changed = again.changed(&admin, &places).await.unwrap();
    assert_eq!(changed.unwrap().code_text(), Some(TYPE_CHANGED), "it began before the look");
    assert_eq!(Shapes::of(&planned, &remote.known, &PostgresDialect::CHARACTERS).unwrap_err().code_text(), Some(TYPE_CHANGED));
    assert!(Shapes::of(&reliance_of(now), &remote.known, &PostgresDialect::CHARACTERS).is_ok());
}
