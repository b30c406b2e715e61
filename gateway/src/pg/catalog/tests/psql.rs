//! What psql's commands show, not only that they are answered.

use super::{Client, statements};

const CORPUS: &str = include_str!("psql.sql");

/// The statements psql sends for `command` first: those of an earlier command are listed there only.
fn of(command: &str) -> Vec<&'static str> {
    let found: Vec<&str> = statements(CORPUS).into_iter().filter(|(name, _)| *name == command).map(|(_, sql)| sql).collect();
    assert!(!found.is_empty(), "no statement of {command}");
    found
}

async fn shown(client: &Client, command: &str) -> Vec<String> {
    client.lines(of(command)[0]).await
}

#[tokio::test]
async fn databases_are_the_environments() {
    let client = Client::new();
    let names: Vec<String> = client.ask(of("\\l")[0]).await.into_iter().map(|row| row[..3].join("|")).collect();
    assert_eq!(names, ["default|causeway|UTF8", "staging|causeway|UTF8"]);
}

#[tokio::test]
async fn schemas_are_the_datasources() {
    let client = Client::new();
    assert_eq!(shown(&client, "\\dn").await, ["causeway|causeway", "crm|causeway", "public|causeway", "shop|causeway"]);
    let comments: Vec<String> = client.ask(of("\\dn+")[0]).await.into_iter().map(|row| row[3].clone()).collect();
    assert_eq!(comments[1], "datasource crm, remote schema public");
}

#[tokio::test]
async fn tables_of_all_datasources_are_listed() {
    let client = Client::new();
    assert_eq!(
        shown(&client, "\\dt").await,
        [
            "crm|Odd \"Name\"|table|causeway",
            "crm|customers|table|causeway",
            "crm|log|table|causeway",
            "crm|orders|table|causeway",
            "shop|Items|table|causeway",
            "shop|items|table|causeway",
        ]
    );
    assert_eq!(shown(&client, "\\dv").await, ["causeway|events|view|causeway", "crm|big|view|causeway"]);
    assert_eq!(shown(&client, "\\dm").await, ["crm|totals|materialized view|causeway"]);
    assert_eq!(shown(&client, "\\dt crm.*").await.len(), 4);
    let everything = shown(&client, "\\dt *.*").await;
    assert!(everything.iter().any(|line| line.starts_with("pg_catalog|pg_class|table|")), "{everything:?}");
}

#[tokio::test]
async fn a_search_path_narrows_the_list() {
    let client = Client::with_path(&["shop"]);
    assert_eq!(shown(&client, "\\dt").await, ["shop|Items|table|causeway", "shop|items|table|causeway"]);
    assert_eq!(shown(&Client::with_path(&["crm", "shop"]), "\\dt").await.len(), 6);
    assert_eq!(client.value("SELECT 'shop.items'::regclass::text").await, "items");
    assert_eq!(client.value("SELECT 'crm.customers'::regclass").await, "crm.customers");
}

#[tokio::test]
async fn a_table_is_described() {
    let client = Client::new();
    let described = of("\\d crm.customers");
    let found = client.ask(described[0]).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0][0], client.value("SELECT 'crm.customers'::regclass::oid").await);
    assert_eq!(
        client.lines(described[2]).await,
        ["id|integer|∅|true|∅||", "name|character varying(20)|∅|true|∅||", "email|text|∅|false|∅||", "ref|uuid|∅|false|∅||",]
    );
    let indexes = client.ask(described[3]).await;
    let shown: Vec<String> =
        indexes.iter().map(|row| [&row[0], &row[1], &row[5], &row[6], &row[7]].map(String::as_str).join("|")).collect();
    assert_eq!(
        shown,
        [
            "customers_pkey|true|CREATE UNIQUE INDEX customers_pkey ON crm.customers USING btree (id)|PRIMARY KEY (id)|p",
            "customers_email_key|false|CREATE UNIQUE INDEX customers_email_key ON crm.customers USING btree (email)|UNIQUE (email)|u",
        ]
    );
    let footers = &described[4..];
    assert!(footers.len() >= 5);
    for footer in footers {
        assert_eq!(client.lines(footer).await, [""; 0], "{footer}");
    }
}

#[tokio::test]
async fn comments_are_shown() {
    let client = Client::new();
    let columns = of("\\d+ crm.customers").into_iter().find(|sql| sql.contains("col_description")).unwrap();
    let comments: Vec<String> = client.ask(columns).await.into_iter().map(|row| row.last().unwrap().clone()).collect();
    assert_eq!(comments, ["∅", "as on the invoice", "∅", "∅"]);
    let tables = client.ask(of("\\dt+")[0]).await;
    let customers = tables.iter().find(|row| row[1] == "customers").unwrap();
    assert_eq!(customers.last().unwrap(), "who buys");
}

#[tokio::test]
async fn an_index_and_a_view_are_described() {
    let client = Client::new();
    let described = of("\\d crm.customers_pkey");
    assert_eq!(client.lines(described[2]).await, ["id|integer|yes|id"]);
    let keys = client.ask(described[3]).await;
    assert_eq!((keys[0][0].as_str(), keys[0][9].as_str()), ("true", "customers"));
    let view = of("\\d+ crm.big").into_iter().find(|sql| sql.contains("pg_get_viewdef")).unwrap();
    assert_eq!(client.value(view).await, "-- defined at datasource crm as public.big");
}

#[tokio::test]
async fn foreign_objects_are_listed() {
    let client = Client::new();
    assert_eq!(shown(&client, "\\des").await, ["crm|causeway|postgres", "shop|causeway|mysql"]);
    assert_eq!(shown(&client, "\\dew").await, ["mysql|causeway|-|-", "postgres|causeway|-|-"]);
    assert_eq!(shown(&client, "\\deu").await, ["crm|public"]);
    let tables = shown(&client, "\\det").await;
    assert!(tables.contains(&"crm|customers|crm".to_owned()), "{tables:?}");
    assert_eq!(tables.len(), 8);
    let options: Vec<String> = client.ask(of("\\des+")[0]).await.into_iter().map(|row| row[6].clone()).collect();
    assert_eq!(options, ["(host 'db.example')", "(host 'it''s')"]);
    let options: Vec<String> = client.ask(of("\\det+")[0]).await.into_iter().map(|row| row[3].clone()).collect();
    assert_eq!(options[2], "(schema_name 'public', table_name 'customers')");
}

#[tokio::test]
async fn roles_are_listed() {
    let client = Client::new();
    let roles: Vec<String> =
        client.ask(of("\\du")[0]).await.into_iter().map(|row| [&row[0], &row[1], &row[5], &row[8]].map(String::as_str).join("|")).collect();
    assert_eq!(roles, ["ana|false|true|[]", "causeway|true|false|[]", "viewer|false|true|[]"]);
}

#[tokio::test]
async fn what_nobody_has_is_empty() {
    let client = Client::new();
    for command in ["\\df", "\\dT", "\\dx", "\\ds", "\\dE", "\\dP", "\\dD", "\\da"] {
        assert_eq!(shown(&client, command).await, [""; 0], "{command}");
    }
}

#[tokio::test]
async fn words_are_completed() {
    let client = Client::new();
    let completions = statements(include_str!("completion.sql"));
    let of_tables = completions[0].1;
    let offered = client.ask(of_tables).await;
    assert!(offered.iter().any(|row| row[0] == "customers"), "{offered:?}");
    assert!(offered.iter().any(|row| row[1] == "crm"), "{offered:?}");
    let columns = completions.iter().find(|(_, sql)| sql.contains("a.attname") && sql.contains("'crm'")).unwrap().1;
    assert_eq!(client.lines(columns).await, ["id|∅", "name|∅", "email|∅", "ref|∅"]);
}
