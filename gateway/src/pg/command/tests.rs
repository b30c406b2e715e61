//! How texts are split and session statements are read.

use super::*;
use crate::pg::settings::SetScope::{Session, Transaction};

fn read(sql: &str) -> String {
    match parse::recognise(sql) {
        Ok(command) => format!("{command:?}"),
        Err(error) => error.code,
    }
}

fn some(command: Command) -> String {
    format!("{:?}", Some(command))
}

fn set(scope: SetScope, name: &str, value: Option<&str>) -> String {
    some(Command::Set { scope, name: name.to_owned(), value: value.map(str::to_owned) })
}

#[test]
fn every_form_of_set() {
    for (sql, expected) in [
        ("SET statement_timeout = '5s'", set(Session, "statement_timeout", Some("5s"))),
        ("set statement_timeout to 5000", set(Session, "statement_timeout", Some("5000"))),
        ("SET LOCAL application_name TO 'x'", set(Transaction, "application_name", Some("x"))),
        ("SET SESSION TimeZone TO DEFAULT", set(Session, "timezone", None)),
        ("SET search_path TO crm, \"ERP\", 'Mixed'", set(Session, "search_path", Some("crm, \"ERP\", \"Mixed\""))),
        ("SET TIME ZONE 'Europe/Berlin'", set(Session, "timezone", Some("Europe/Berlin"))),
        ("SET TIME ZONE LOCAL", set(Session, "timezone", None)),
        ("SET TIME ZONE -5", set(Session, "timezone", Some("<-05>+05"))),
        ("SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE", set(Session, "timezone", Some("<+02>-02"))),
        ("SET NAMES 'UTF8'", set(Session, "client_encoding", Some("UTF8"))),
        ("SET causeway.push_down = off", set(Session, "causeway.push_down", Some("off"))),
        ("SET DateStyle TO ISO, MDY", set(Session, "datestyle", Some("ISO, MDY"))),
        ("SET extra_float_digits = -3", set(Session, "extra_float_digits", Some("-3"))),
        (
            "SELECT pg_catalog.set_config('search_path', '', false)",
            some(Command::SetConfig { scope: Session, name: "search_path".into(), value: String::new() }),
        ),
    ] {
        assert_eq!(read(sql), expected, "{sql}");
    }
}

#[test]
fn transactions_in_all_their_words() {
    use TransactionCommand::*;
    let begin = |tag, isolation, read_only| {
        some(Command::Transaction(Begin { tag, modes: TransactionModes { isolation, read_only, deferrable: None } }))
    };
    for (sql, expected) in [
        ("BEGIN", begin("BEGIN", None, None)),
        ("begin work isolation level repeatable read, read only", begin("BEGIN", Some("repeatable read"), Some(true))),
        ("START TRANSACTION READ WRITE", begin("START TRANSACTION", None, Some(false))),
        ("END", some(Command::Transaction(Commit { and_chain: false }))),
        ("COMMIT AND CHAIN", some(Command::Transaction(Commit { and_chain: true }))),
        ("ABORT", some(Command::Transaction(Rollback { and_chain: false }))),
        ("ROLLBACK AND NO CHAIN", some(Command::Transaction(Rollback { and_chain: false }))),
        ("ROLLBACK WORK TO SAVEPOINT \"S\"", some(Command::Transaction(RollbackTo("S".into())))),
        ("RELEASE a", some(Command::Transaction(Release("a".into())))),
        ("PREPARE TRANSACTION 'x'", "0A000".to_owned()),
    ] {
        assert_eq!(read(sql), expected, "{sql}");
    }
}

#[test]
fn the_other_statements_of_a_session() {
    for (sql, expected) in [
        ("SHOW TRANSACTION ISOLATION LEVEL", some(Command::Show(ShowTarget::One("transaction_isolation".into())))),
        ("SHOW ALL", some(Command::Show(ShowTarget::All))),
        ("show Time Zone", some(Command::Show(ShowTarget::One("timezone".into())))),
        ("RESET ALL", some(Command::Reset(None))),
        ("DISCARD ALL", some(Command::Discard(DiscardTarget::All))),
        ("DEALLOCATE PREPARE \"P\"", some(Command::Deallocate(Some("P".into())))),
        (
            "PREPARE p (int, numeric(10, 2), text[]) AS SELECT $1",
            some(Command::Prepare {
                name: "p".into(),
                types: vec!["int".into(), "numeric(10, 2)".into(), "text[]".into()],
                sql: "SELECT $1".into(),
            }),
        ),
        (
            "EXECUTE p (1, 'it''s', NULL, -2.5)",
            some(Command::Execute { name: "p".into(), arguments: vec![Some("1".into()), Some("it's".into()), None, Some("-2.5".into())] }),
        ),
        ("DECLARE c NO SCROLL CURSOR FOR SELECT 1", some(Command::Declare { name: "c".into(), sql: "SELECT 1".into() })),
        ("FETCH c", some(Command::Fetch { cursor: "c".into(), count: Some(1), moves: false })),
        ("FETCH FORWARD 10 FROM c", some(Command::Fetch { cursor: "c".into(), count: Some(10), moves: false })),
        ("MOVE ALL IN c", some(Command::Fetch { cursor: "c".into(), count: None, moves: true })),
        ("FETCH BACKWARD 1 FROM c", "55000".to_owned()),
        (
            "CALL causeway.refresh_catalog('crm')",
            some(Command::Call { procedure: "causeway.refresh_catalog".into(), arguments: vec!["crm".into()] }),
        ),
        ("LISTEN Causeway_Events", some(Command::Listen("causeway_events".into()))),
        ("LISTEN \"Causeway Events\"", some(Command::Listen("Causeway Events".into()))),
        ("UNLISTEN *", some(Command::Unlisten(None))),
        ("UNLISTEN \"*\"", some(Command::Unlisten(Some("*".into())))),
        ("NOTIFY c", some(Command::Notify { channel: "c".into(), payload: String::new() })),
        ("notify C, 'it''s'", some(Command::Notify { channel: "c".into(), payload: "it's".into() })),
        ("SELECT pg_listening_channels()", some(Command::ListeningChannels)),
        ("SELECT * FROM pg_catalog.pg_listening_channels()", some(Command::ListeningChannels)),
    ] {
        assert_eq!(read(sql), expected, "{sql}");
    }
}

#[test]
fn what_is_wrong_is_a_syntax_error() {
    for sql in
        ["SET x", "SET = 1", "BEGIN now", "SHOW", "EXECUTE p (1 + 1)", "COMMIT 1", "FETCH", "DISCARD everything", "CALL f", "PREPARE p AS"]
    {
        assert_eq!(read(sql), "42601", "{sql}");
    }
    for sql in ["LISTEN", "LISTEN 'c'", "LISTEN a, b", "LISTEN \"\"", "UNLISTEN", "NOTIFY", "NOTIFY c,", "NOTIFY c, 1", "NOTIFY c 'p'"] {
        assert_eq!(read(sql), "42601", "{sql}");
    }
    let error = parse::recognise("COMMIT 's3cret'").unwrap_err();
    assert!(!error.message.contains("s3cret"));
}

#[test]
fn everything_else_is_left_to_the_planner() {
    for sql in [
        "SELECT 1",
        "select set_config",
        "SELECT set_config('a', x, false) FROM t",
        "WITH a AS (SELECT 1) TABLE a",
        "(SELECT 1)",
        "EXPLAIN SELECT 1",
        "SELECT pg_notify('c', 'p')",
        "SELECT pg_listening_channels(), 1",
    ] {
        assert_eq!(read(sql), "None", "{sql}");
    }
    assert!(parse::is_explain("/* why */ Explain select 1"));
}
