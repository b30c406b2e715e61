//! SQL/MED statements in both protocols.

use tokio_postgres::types::Type;

use super::support::{Gateway, code, kinds, sqlstate, status, tags, within};

fn text(messages: &[(char, Vec<u8>)], kind: char) -> String {
    messages.iter().filter(|(of, _)| *of == kind).map(|(_, body)| String::from_utf8_lossy(body).replace('\0', "|")).collect()
}

const DRY_RUN: &str = "import foreign schema public from server crm into sales options (dry_run 'true', rename 'cust=customers, b=c')";

#[tokio::test]
async fn an_import_answers_with_its_tag_and_notices() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    let answer = raw.query("import foreign schema public limit to (a, \"B\") from server crm into sales").await;
    assert_eq!((kinds(&answer).as_str(), tags(&answer)), ("NCZ", vec!["IMPORT FOREIGN SCHEMA".to_owned()]));
    assert!(text(&answer, 'N').contains("ana imports LimitTo([\"a\", \"B\"]) of public"));
    let answer = raw.query("import foreign schema public from server erp into sales").await;
    assert_eq!((kinds(&answer).as_str(), code(&answer).as_deref()), ("EZ", Some("42710")));
    let client = gateway.connect().await;
    assert_eq!(client.execute("import foreign schema public from server crm into sales", &[]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_dry_run_is_described_as_it_answers() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    let answer = raw.query(DRY_RUN).await;
    assert_eq!((kinds(&answer).as_str(), tags(&answer)), ("NTDDCZ", vec!["IMPORT FOREIGN SCHEMA".to_owned()]));
    let client = gateway.connect().await;
    let statement = within("a description", client.prepare(DRY_RUN)).await.unwrap();
    let columns: Vec<_> = statement.columns().iter().map(|column| (column.name(), column.type_().clone())).collect();
    assert_eq!(columns, ["remote_table", "published_name", "action", "detail"].map(|name| (name, Type::TEXT)));
    let rows = client.query(&statement, &[]).await.unwrap();
    let shown: Vec<[&str; 4]> = rows.iter().map(|row| [row.get(0), row.get(1), row.get(2), row.get(3)]).collect();
    assert_eq!(shown, [["cust", "sales.customers", "import", ""], ["b", "sales.c", "import", ""]]);
    let plain = client.prepare("import foreign schema public from server crm into sales options (dry_run 'off')").await.unwrap();
    assert!(plain.columns().is_empty());
}

#[tokio::test]
async fn tables_are_dropped_in_both_protocols() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    let answer = raw.query("drop foreign table sales.customers, orders cascade").await;
    assert_eq!((kinds(&answer).as_str(), tags(&answer)), ("CZ", vec!["DROP FOREIGN TABLE".to_owned()]));
    assert_eq!(code(&raw.query("drop foreign table missing").await).as_deref(), Some("42P01"));
    assert_eq!(kinds(&raw.query("drop foreign table if exists sales.missing").await), "NCZ");
    let client = gateway.connect().await;
    client.execute("drop foreign table sales.customers restrict", &[]).await.unwrap();
    let error = client.execute("drop foreign table missing", &[]).await.unwrap_err();
    assert_eq!(sqlstate(&error), "42P01");
}

#[tokio::test]
async fn a_drop_that_is_told_as_cancelled_does_not_happen_and_one_being_written_is_told_as_done() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.query("set statement_timeout = 100").await;
    assert_eq!(code(&raw.query("drop foreign table waiting").await).as_deref(), Some("57014"));
    let answer = raw.query("drop foreign table written").await;
    assert_eq!((kinds(&answer).as_str(), tags(&answer)), ("CZ", vec!["DROP FOREIGN TABLE".to_owned()]));
}

#[tokio::test]
async fn a_transaction_block_holds_no_change_of_what_is_published() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    for sql in ["import foreign schema public from server crm into sales", "drop foreign table sales.customers"] {
        raw.query("begin").await;
        let answer = raw.query(sql).await;
        assert_eq!((code(&answer).as_deref(), status(&answer)), (Some("25001"), Some('E')), "{sql}");
        assert!(text(&answer, 'E').contains("cannot run inside a transaction block"));
        raw.query("rollback").await;
    }
    raw.query("begin").await;
    assert_eq!(kinds(&raw.query(DRY_RUN).await), "NTDDCZ", "a dry run changes nothing");
}

#[tokio::test]
async fn secrets_in_the_wrong_place_are_not_repeated() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    for (sql, expected) in [
        ("import foreign schema s from server crm into t options (password 's3cret')", "HV00D"),
        ("import foreign schema s from server crm into t options (dry_run 's3cret')", "42601"),
        ("import foreign schema s from server crm into t options (rename 's3cret')", "22023"),
        ("import foreign schema s from server crm into t options (dry_run 's3cret' 's3cret')", "42601"),
        ("import foreign schema 's3cret' from server crm into t", "42601"),
        ("drop foreign table 's3cret'", "42601"),
    ] {
        let answer = raw.query(sql).await;
        assert_eq!(code(&answer).as_deref(), Some(expected), "{sql}");
        assert!(!text(&answer, 'E').contains("s3cret"), "{sql}: {}", text(&answer, 'E'));
    }
}
