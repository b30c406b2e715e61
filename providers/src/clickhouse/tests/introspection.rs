//! What a look finds, what it leaves out, and who may look.

use std::time::Duration;

use super::server::{PASSWORD, READER, TestServer, look, options, table};
use crate::clickhouse::ClickHouseRemote;
use crate::deadline::Deadline;
use crate::error::ErrorKind;
use crate::options::Options;
use crate::remote::{Remote, RemotePresence, Scope, TableKind};
use crate::subject::Subject;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn tables_and_views_are_found_and_what_cannot_be_read_is_told() {
    let Some(server) = TestServer::shared() else { return };
    server.database(
        "looks",
        "CREATE TABLE IN_HERE.t (id UInt32 COMMENT 'the number', made String MATERIALIZED 'm', other String ALIAS upper(made), \
           state AggregateFunction(uniq, Int8), `a.b` Array(Int8), `odd ``name` Int8) ENGINE = MergeTree PRIMARY KEY id COMMENT 'things';\n\
         INSERT INTO IN_HERE.t (id) VALUES (1), (1), (2);\n\
         CREATE TABLE IN_HERE.logged (x Int8) ENGINE = Log;\n\
         CREATE VIEW IN_HERE.v AS SELECT id FROM IN_HERE.t;\n\
         CREATE MATERIALIZED VIEW IN_HERE.mv ENGINE = MergeTree ORDER BY id AS SELECT id FROM IN_HERE.t",
    );
    let remote = server.remote("looks").await;
    let seen = look(&remote).await;
    let kinds: Vec<_> = seen.tables.iter().map(|table| (table.name.as_str(), table.kind)).collect();
    assert_eq!(kinds, [("logged", TableKind::Table), ("mv", TableKind::MaterializedView), ("t", TableKind::Table), ("v", TableKind::View)]);
    let things = table(&remote, "t").await;
    let names: Vec<&str> = things.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "made", "other", "a.b", "odd `name"]);
    assert_eq!((things.comment.as_deref(), things.columns[0].comment.as_deref()), (Some("things"), Some("the number")));
    assert_eq!(things.row_estimate, Some(3));
    // The same number is there twice: the server's primary key is none.
    assert!(things.primary_key.is_empty() && things.unique_keys.is_empty());
    let omitted: Vec<(&str, &str)> = seen.omitted.iter().map(|omission| (omission.subject.as_str(), omission.reason.as_str())).collect();
    let [(subject, reason)] = omitted[..] else { panic!("{omitted:?}") };
    assert_eq!(subject, "looks.t.state");
    assert!(reason.contains("AggregateFunction(uniq, Int8)"), "{reason}");
    let one = remote.introspect(&Scope { schemas: vec!["looks".to_owned()] }, Deadline::after(PATIENCE)).await.unwrap();
    assert_eq!(one.tables, seen.tables);
    let none = remote.introspect(&Scope { schemas: vec!["it's not there".to_owned()] }, Deadline::after(PATIENCE)).await.unwrap();
    assert!(none.tables.is_empty());
}

#[tokio::test]
async fn what_is_gone_is_told_from_what_is_there() {
    let Some(server) = TestServer::shared() else { return };
    server.database("present", "CREATE TABLE IN_HERE.t (`a b` Int32) ENGINE = MergeTree ORDER BY tuple()");
    let remote = server.remote("present").await;
    let subjects = [
        Subject::table("present", "t"),
        Subject::column("present", "t", "a b"),
        Subject::column("present", "t", "c"),
        Subject::table("present", "gone"),
        Subject::table("no_such_database", "t"),
    ];
    let answers = remote.presence(&subjects, Deadline::after(PATIENCE)).await.unwrap();
    let [there, gone] = [RemotePresence::Readable, RemotePresence::Absent];
    assert_eq!(answers, [there, there, gone, gone, gone]);
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let Some(server) = TestServer::shared() else { return };
    let refused = async |options: Options| ClickHouseRemote::open(&options).await.unwrap_err();
    let wrong = refused(options(server.port(), &[("user", READER)], "not the secret 4711")).await;
    assert_eq!(wrong.kind(), ErrorKind::Unauthorized);
    assert!(!wrong.with_causes().contains("4711") && wrong.hint_text().unwrap().contains("credentials.password"), "{wrong}");
    let elsewhere = refused(options(server.port(), &[("user", READER), ("database", "nowhere")], PASSWORD)).await;
    assert_eq!(elsewhere.kind(), ErrorKind::NotFound);
    assert!(elsewhere.hint_text().unwrap().contains("options.database"), "{elsewhere}");
    let strict = refused(options(server.port(), &[("user", "strict")], "strict")).await;
    assert_eq!(strict.kind(), ErrorKind::Unauthorized);
    assert!(strict.hint_text().unwrap().contains("readonly = 2"), "{strict}");
    let version = server.remote("default").await.ping(Deadline::after(PATIENCE)).await.unwrap();
    assert_eq!(version.product, "ClickHouse");
    assert!(version.version.starts_with(|first: char| first.is_ascii_digit()), "{}", version.version);
}

#[tokio::test]
async fn a_session_cannot_write() {
    let Some(server) = TestServer::shared() else { return };
    server.database("no_write", "CREATE TABLE IN_HERE.t (a Int32) ENGINE = MergeTree ORDER BY tuple()");
    let remote = server.remote("no_write").await;
    let mut session = remote.session(None).await.unwrap();
    assert!(session.rows("SELECT toString(getSetting('readonly'))").await.unwrap() == [vec![Some("2".to_owned())]]);
    assert!(session.rows("DROP TABLE no_write.t").await.is_err());
    session.finish();
    assert_eq!(server.admin("SELECT count() FROM no_write.t"), "0\n");
}
