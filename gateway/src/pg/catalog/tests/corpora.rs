//! Every statement of the recorded corpora is answered.

use super::{Client, statements};

async fn all_are_answered(corpus: &'static str, at_least: usize) {
    let client = Client::new();
    let statements = statements(corpus);
    assert!(statements.len() >= at_least, "only {} statements", statements.len());
    let mut failures = Vec::new();
    for (name, sql) in statements {
        if let Err(error) = client.try_ask(sql).await {
            failures.push(format!("{name}: {error}\n    {sql}"));
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n\n"));
}

#[tokio::test]
async fn psql_is_answered() {
    all_are_answered(include_str!("psql.sql"), 100).await;
}

#[tokio::test]
async fn sqlalchemy_is_answered() {
    all_are_answered(include_str!("sqlalchemy.sql"), 30).await;
}

#[tokio::test]
async fn psql_completion_is_answered() {
    all_are_answered(include_str!("completion.sql"), 30).await;
}

#[tokio::test]
async fn jdbc_is_answered() {
    all_are_answered(include_str!("jdbc.sql"), 20).await;
}
