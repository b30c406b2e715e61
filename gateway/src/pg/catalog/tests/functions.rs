//! Functions about the catalog and the session, and the syntax they are called in.

use super::Client;

async fn expect(client: &Client, cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        assert_eq!(client.value(&format!("SELECT {sql}")).await, *expected, "{sql}");
    }
}

#[tokio::test]
async fn the_session_is_known() {
    expect(
        &Client::new(),
        &[
            ("current_user", "ana"),
            ("session_user", "ana"),
            ("user", "ana"),
            ("current_role", "ana"),
            ("current_database()", "default"),
            ("current_catalog", "default"),
            ("current_schema()", "public"),
            ("current_schema", "public"),
            ("pg_catalog.current_schemas(true)", "[pg_catalog, ana, public]"),
            ("pg_backend_pid()", "4711"),
            ("current_setting('server_version')", "16.4"),
            ("current_setting('no.such', true)", "∅"),
            ("pg_catalog.set_config('TimeZone', 'UTC', false)", "UTC"),
            ("pg_is_in_recovery()", "false"),
            ("inet_server_addr() IS NULL", "true"),
            ("version() LIKE 'PostgreSQL 16.4%'", "true"),
            ("pg_encoding_to_char(6)", "UTF8"),
            ("pg_char_to_encoding('utf-8')", "6"),
            ("pg_postmaster_start_time()", "2023-11-14T22:13:20Z"),
        ],
    )
    .await;
}

#[tokio::test]
async fn names_and_oids_lead_to_each_other() {
    expect(
        &Client::new(),
        &[
            ("'crm.customers'::regclass::oid::regclass::text", "crm.customers"),
            ("'crm.\"Odd \"\"Name\"\"\"'::regclass::text", "crm.\"Odd \"\"Name\"\"\""),
            ("'pg_class'::regclass::oid", "1259"),
            ("1259::regclass", "pg_class"),
            ("CAST('pg_catalog.pg_type' AS regclass)::text", "pg_type"),
            ("to_regclass('crm.nothing') IS NULL", "true"),
            ("to_regclass('crm.orders') = 'crm.orders'::regclass", "true"),
            ("'integer'::regtype::oid", "23"),
            ("1043::regtype::text", "character varying"),
            ("'array_in'::regproc::oid", "750"),
            ("750::regproc::text", "array_in"),
            ("'crm'::regnamespace::text", "crm"),
            ("'ana'::regrole::text", "ana"),
            ("pg_get_userbyid(10)", "causeway"),
            ("pg_get_userbyid(99)", "unknown (OID=99)"),
            ("format_type(1700, 786438)", "numeric(12,2)"),
            ("format_type(25, NULL)", "text"),
            ("format_type(NULL, NULL)", "∅"),
            ("pg_typeof(1::bigint)", "bigint"),
            ("pg_table_is_visible('crm.customers'::regclass)", "true"),
            ("pg_table_is_visible(1)", "∅"),
            ("obj_description('crm.customers'::regclass, 'pg_class')", "who buys"),
            ("col_description('crm.customers'::regclass, 2)", "as on the invoice"),
            ("pg_get_viewdef('crm.big'::regclass)", "-- defined at datasource crm as public.big"),
        ],
    )
    .await;
}

#[tokio::test]
async fn privileges_are_those_of_readers() {
    expect(
        &Client::new(),
        &[
            ("has_table_privilege('crm.customers', 'SELECT')", "true"),
            ("has_table_privilege('ana', 'crm.customers', 'INSERT')", "false"),
            ("has_table_privilege('crm.customers', 'insert, select')", "true"),
            ("has_schema_privilege('crm', 'USAGE')", "true"),
            ("has_schema_privilege('crm', 'CREATE')", "false"),
            ("has_database_privilege('default', 'CONNECT')", "true"),
            ("has_column_privilege('crm.customers', 'id', 'SELECT')", "true"),
            ("pg_has_role('ana', 'MEMBER')", "true"),
        ],
    )
    .await;
}

#[tokio::test]
async fn texts_are_quoted_and_formatted() {
    expect(
        &Client::new(),
        &[
            ("quote_ident('Odd \"Name\"')", "\"Odd \"\"Name\"\"\""),
            ("quote_literal('it''s')", "'it''s'"),
            ("quote_nullable(NULL)", "NULL"),
            ("format('%I.%s = %L %%', 'A', 1, 'x')", "\"A\".1 = 'x' %"),
            ("format('%2$s %1$s', 'a', 'b')", "b a"),
            ("pg_size_pretty(10240::bigint)", "10 kB"),
            ("parse_ident('Crm.\"Orders\"')", "[crm, Orders]"),
            ("'a_c' LIKE 'a/_c' ESCAPE '/'", "true"),
            ("'abc' LIKE 'a/_c' ESCAPE '/'", "false"),
        ],
    )
    .await;
}

#[tokio::test]
async fn postgres_syntax_is_understood() {
    expect(
        &Client::new(),
        &[
            ("'b' OPERATOR(pg_catalog.~) '^(b)$' COLLATE pg_catalog.default", "true"),
            ("2 = ANY ('{1,2}')", "true"),
            ("'c' <> ALL ('{a,b}'::text[])", "true"),
            ("array_upper('{a,b}'::name[], 1)", "2"),
            ("array_lower(current_schemas(false), 1)", "1"),
            ("array_upper('{}'::text[], 1)", "∅"),
            ("ARRAY(SELECT nspname FROM pg_namespace WHERE nspname LIKE 's%' ORDER BY 1)", "[shop]"),
            ("ARRAY(SELECT nspname FROM pg_namespace WHERE false)", "[]"),
            ("ARRAY(SELECT DISTINCT relkind FROM pg_class WHERE relkind = 'v')", "[v]"),
            ("(SELECT count(*) FROM generate_series(1, 3) AS i WHERE i > 1)", "2"),
            ("(SELECT sum(x) FROM unnest('{1,2}'::int[]) AS x)", "3"),
            ("json_build_object('a', 1, 'b', NULL, 'c', 'x')", "{\"a\" : 1, \"b\" : null, \"c\" : \"x\"}"),
            ("count(*) FROM pg_get_keywords() WHERE word = 'select' AND catcode = 'R'", "1"),
            ("count(*) FROM pg_show_all_settings() s WHERE s.name = 'server_version'", "1"),
            ("v FROM version() AS v WHERE v LIKE 'Postgre%' AND false UNION ALL SELECT 'none'", "none"),
            ("c.tableoid::regclass FROM pg_class c WHERE c.relname = 'customers'", "pg_class"),
            ("x.count FROM (SELECT count(*) FROM pg_am) x", "7"),
        ],
    )
    .await;
    let client = Client::new();
    assert_eq!(client.lines("SELECT NULL, NULL, 1, 1").await, ["∅|∅|1|1"]);
    assert_eq!(
        client.lines("SELECT n.oid, n.*, n.nspname FROM pg_namespace n WHERE nspname = 'pg_catalog'").await,
        ["11|11|pg_catalog|10|∅|pg_catalog"]
    );
    assert_eq!(client.lines("SELECT generate_series(1, 3)").await, ["1", "2", "3"]);
}

#[tokio::test]
async fn correlated_lookups_keep_their_meaning() {
    let client = Client::new();
    let sql =
        "SELECT c.relname, (SELECT n.nspname FROM pg_namespace n WHERE n.oid = c.relnamespace) FROM pg_class c WHERE c.relname = 'items'";
    assert_eq!(client.lines(sql).await, ["items|shop"]);
    let none = "SELECT (SELECT n.nspname FROM pg_namespace n WHERE n.oid = c.relfilenode) FROM pg_class c WHERE c.relname = 'items'";
    assert_eq!(client.value(none).await, "∅");
    let many = "SELECT (SELECT c.relname FROM pg_class c WHERE c.relnamespace = n.oid) FROM pg_namespace n WHERE n.nspname = 'shop'";
    let error = client.try_ask(many).await.unwrap_err();
    assert!(error.contains("more than one row returned by a subquery"), "{error}");
    let first = "SELECT (SELECT c.relname FROM pg_class c WHERE c.relnamespace = n.oid ORDER BY c.relname DESC LIMIT 1) FROM pg_namespace n WHERE n.nspname = 'shop'";
    assert_eq!(client.value(first).await, "items");
    let hoisted = "SELECT a.attname, (SELECT t.typname FROM pg_type t WHERE t.oid = a.atttypid AND a.attnotnull) FROM pg_attribute a \
                   WHERE a.attrelid = 'crm.customers'::regclass AND a.attnum > 1 ORDER BY a.attnum";
    assert_eq!(client.lines(hoisted).await, ["name|varchar", "email|∅", "ref|∅"]);
    let exists = "SELECT n.nspname, EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = n.oid) FROM pg_namespace n WHERE n.nspname IN ('shop', 'public') ORDER BY 1";
    assert_eq!(client.lines(exists).await, ["public|false", "shop|true"]);
    let arrays = "SELECT n.nspname, ARRAY(SELECT c.relname FROM pg_class c WHERE c.relnamespace = n.oid ORDER BY c.relname) FROM pg_namespace n \
                  WHERE n.nspname IN ('shop', 'public') ORDER BY 1";
    assert_eq!(client.lines(arrays).await, ["public|[]", "shop|[Items, items]"]);
}

#[tokio::test]
async fn failures_are_told() {
    let client = Client::new();
    for (sql, expected) in [
        ("'crm.nothing'::regclass", "relation \"crm.nothing\" does not exist"),
        ("'no_type'::regtype", "type \"no_type\" does not exist"),
        ("'nowhere'::regnamespace", "schema \"nowhere\" does not exist"),
        ("'nobody'::regrole", "role \"nobody\" does not exist"),
        ("current_setting('no.such')", "unrecognized configuration parameter \"no.such\""),
        ("set_config('no.such', 'x', false)", "unrecognized configuration parameter \"no.such\""),
        ("format('%s')", "too few arguments for format()"),
        ("parse_ident('a.')", "string is not a valid identifier"),
        ("'x' COLLATE \"de_DE\"", "unsupported"),
    ] {
        let error = client.try_ask(&format!("SELECT {sql}")).await.unwrap_err();
        assert!(error.contains(expected), "{sql}: {error}");
    }
}
