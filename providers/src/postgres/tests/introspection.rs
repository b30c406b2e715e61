//! What a look at a database finds, whatever people put there.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};

use super::server::Database;
use super::{PostgresRemote, column, look, open, read};
use crate::deadline::Deadline;
use crate::remote::{Comparison, OmissionCause, Remote, RemoteColumn, RemotePresence, RemoteTable, TableKind};
use crate::subject::Subject;

fn table<'a>(tables: &'a [RemoteTable], schema: &str, name: &str) -> &'a RemoteTable {
    tables.iter().find(|t| t.schema == schema && t.name == name).unwrap_or_else(|| panic!("{schema}.{name} is not among {tables:#?}"))
}

fn field<'a>(table: &'a RemoteTable, name: &str) -> &'a RemoteColumn {
    table.columns.iter().find(|column| column.name == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_schemas_are_seen_as_they_are() {
    let sql = r#"
        CREATE SCHEMA "Odd ""Schema""";
        CREATE TABLE "Odd ""Schema"""."Täble 'x' 🐘" ("Col ""umn" integer PRIMARY KEY, "select" text, "ünï" numeric(5, 1));
        INSERT INTO "Odd ""Schema"""."Täble 'x' 🐘" VALUES (1, 'it''s', 1.5);
        COMMENT ON TABLE "Odd ""Schema"""."Täble 'x' 🐘" IS 'of odd things';
        COMMENT ON COLUMN "Odd ""Schema"""."Täble 'x' 🐘"."select" IS 'a keyword';
        CREATE TABLE public.empty ();
        CREATE TABLE public.keyed (a integer, b text, c integer NOT NULL, d integer, gone integer, PRIMARY KEY (b, a), UNIQUE (c));
        ALTER TABLE public.keyed DROP COLUMN gone;
        CREATE UNIQUE INDEX ON public.keyed (d, c) INCLUDE (a);
        CREATE UNIQUE INDEX ON public.keyed (d) WHERE d > 0;
        CREATE UNIQUE INDEX ON public.keyed (lower(b));
        CREATE VIEW public.seen AS SELECT a, b FROM public.keyed;
        CREATE MATERIALIZED VIEW public.kept AS SELECT 1 AS one;
        CREATE TABLE public.parts (at date NOT NULL, v integer) PARTITION BY RANGE (at);
        CREATE TABLE public.part_2024 PARTITION OF public.parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        CREATE TABLE public.parent (id integer PRIMARY KEY);
        CREATE TABLE public.child () INHERITS (public.parent);
        INSERT INTO public.parent VALUES (1); INSERT INTO public.child VALUES (1);
        CREATE DOMAIN public.cents AS numeric(12, 2); CREATE DOMAIN public.price AS public.cents;
        CREATE TABLE public.priced (price public.price, code public.cents[]);
        INSERT INTO public.priced VALUES (1.25, ARRAY[1.5]::public.cents[]);
        CREATE TABLE public.counted AS SELECT i FROM generate_series(1, 1000) i; ANALYZE public.counted;
        CREATE TEMP TABLE temporary (i integer);
        CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
        CREATE FOREIGN TABLE public.afar (id integer NOT NULL) SERVER nowhere;
    "#;
    let Some(database) = Database::new(sql).await else { return };
    let remote = open(&database).await;
    let seen = look(&remote, &[]).await;
    assert_eq!(seen.default_schema, "public");
    assert_eq!(seen.omitted, []);
    let names: Vec<_> = seen.tables.iter().map(|t| (t.schema.as_str(), t.name.as_str())).collect();
    let expected = [
        ("Odd \"Schema\"", "Täble 'x' 🐘"),
        ("public", "afar"),
        ("public", "child"),
        ("public", "counted"),
        ("public", "empty"),
        ("public", "kept"),
        ("public", "keyed"),
        ("public", "parent"),
        ("public", "parts"),
        ("public", "priced"),
        ("public", "seen"),
    ];
    assert_eq!(names, expected);

    let odd = table(&seen.tables, "Odd \"Schema\"", "Täble 'x' 🐘");
    assert_eq!(odd.comment.as_deref(), Some("of odd things"));
    assert_eq!(field(odd, "select").comment.as_deref(), Some("a keyword"));
    assert_eq!(odd.primary_key, ["Col \"umn"]);
    assert_eq!(read(&remote, odd).await.unwrap()[0].num_rows(), 1);

    let keyed = table(&seen.tables, "public", "keyed");
    assert_eq!(keyed.primary_key, ["b", "a"]);
    assert_eq!(keyed.unique_keys, [vec!["c".to_owned()], vec!["d".to_owned(), "c".to_owned()]]);
    assert_eq!(
        keyed.columns.iter().map(|c| (c.name.as_str(), c.nullable)).collect::<Vec<_>>(),
        [("a", false), ("b", false), ("c", false), ("d", true)]
    );

    let kinds = [
        ("seen", TableKind::View),
        ("kept", TableKind::MaterializedView),
        ("parts", TableKind::PartitionedTable),
        ("afar", TableKind::ForeignTable),
        ("keyed", TableKind::Table),
    ];
    for (name, kind) in kinds {
        assert_eq!(table(&seen.tables, "public", name).kind, kind, "{name}");
    }
    // Nothing over there makes sure of what a foreign table declares, or that children keep to their parent's key.
    assert!(field(table(&seen.tables, "public", "afar"), "id").nullable);
    let parent = table(&seen.tables, "public", "parent");
    assert!(parent.primary_key.is_empty() && field(parent, "id").nullable);

    let price = field(table(&seen.tables, "public", "priced"), "price");
    assert_eq!((price.remote_type.as_str(), price.data_type.to_string().as_str()), ("price", "Decimal128(12, 2)"));
    let batches = read(&remote, table(&seen.tables, "public", "priced")).await.unwrap();
    let shown = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    assert!(shown.contains("1.25") && shown.contains("{1.50}"), "{shown}");

    assert_eq!(table(&seen.tables, "public", "counted").row_estimate, Some(1000));
    assert_eq!(table(&seen.tables, "public", "seen").row_estimate, None);
    let empty = table(&seen.tables, "public", "empty");
    assert!(empty.columns.is_empty());
    assert!(read(&remote, empty).await.unwrap().iter().all(|batch| batch.num_rows() == 0));

    let scoped = look(&remote, &["Odd \"Schema\"", "no such"]).await;
    assert_eq!(scoped.tables.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_role_may_not_read_is_left_out_by_name() {
    let sql = "DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN PASSWORD 'correct horse';
        CREATE SCHEMA closed; CREATE TABLE closed.t (a integer); GRANT SELECT ON closed.t TO clerk;
        CREATE TABLE hidden (a integer); CREATE TABLE open (a integer PRIMARY KEY); GRANT SELECT ON open TO clerk;
        CREATE TABLE half (a integer, salary integer, PRIMARY KEY (a, salary), UNIQUE (a)); GRANT SELECT (a) ON half TO clerk";
    let Some(database) = Database::new(sql).await else { return };
    let remote = PostgresRemote::open(&database.options_with(&[("user", "clerk")])).await.unwrap();
    let seen = look(&remote, &[]).await;
    assert_eq!(seen.tables.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["half", "open"]);
    let omitted: Vec<_> = seen.omitted.iter().map(|o| (o.subject.as_str(), o.reason.as_str())).collect();
    assert_eq!(
        omitted,
        [
            ("closed.t", "no USAGE privilege on the schema"),
            ("public.half.salary", "no SELECT privilege on the column"),
            ("public.hidden", "no SELECT privilege"),
        ]
    );
    assert!(seen.omitted.iter().all(|omission| omission.cause == OmissionCause::Unreadable));
    let half = table(&seen.tables, "public", "half");
    assert_eq!((half.primary_key.len(), half.unique_keys.as_slice()), (0, [vec!["a".to_owned()]].as_slice()));
    for table in &seen.tables {
        read(&remote, table).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collations_decide_what_may_be_compared() {
    let sql = r#"
        CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE COLLATION "my c" (provider = libc, locale = 'C');
        CREATE EXTENSION citext;
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE t (plain text, same text COLLATE "C.utf8", bytes text COLLATE "C", mine varchar(5) COLLATE "my c", icu text COLLATE "und-x-icu",
                        folded text COLLATE folding, ci citext, n name, fixed char(5) COLLATE "C", mood mood, id uuid, doc jsonb,
                        i integer, f real, d timestamptz, span interval, list integer[], b bytea, yes boolean, o oid);
    "#;
    let Some(server) = super::server::Server::shared() else { return };
    let Some(database) = Database::on(server, sql, "TEMPLATE template0 LC_COLLATE 'C.utf8' LC_CTYPE 'C.utf8'").await else { return };
    let remote = open(&database).await;
    let seen = look(&remote, &[]).await;
    let t = &seen.tables[0];
    let cases = [
        ("plain", Comparison::Equality, Some("C.utf8")),
        // PostgreSQL refuses to compare it with the one above.
        ("same", Comparison::Equality, Some("pg_catalog.C.utf8")),
        ("bytes", Comparison::Total, Some("C")),
        ("mine", Comparison::Total, Some("public.my c")),
        ("icu", Comparison::Equality, Some("und-x-icu")),
        ("folded", Comparison::None, Some("public.folding")),
        ("ci", Comparison::None, Some("C.utf8")),
        ("n", Comparison::Total, Some("C")),
        ("fixed", Comparison::Total, Some("C")),
        ("mood", Comparison::None, None),
        ("id", Comparison::OwnType, None),
        ("doc", Comparison::None, None),
        ("i", Comparison::Total, None),
        ("f", Comparison::Float, None),
        ("d", Comparison::Total, None),
        ("span", Comparison::None, None),
        ("list", Comparison::None, None),
        ("b", Comparison::Total, None),
        ("yes", Comparison::Total, None),
        ("o", Comparison::None, None),
    ];
    for (name, comparison, collation) in cases {
        let column = field(t, name);
        assert_eq!((column.comparison, column.collation.as_deref()), (comparison, collation), "{name}");
    }

    let server = Arc::clone(&database.server);
    let c = "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' ENCODING 'SQL_ASCII'";
    let Some(ascii) = Database::on(server, "CREATE TABLE t (plain text); INSERT INTO t VALUES ('é')", c).await else { return };
    let remote = open(&ascii).await;
    let seen = look(&remote, &[]).await;
    assert_eq!(field(&seen.tables[0], "plain").comparison, Comparison::Total);
    assert_eq!(read(&remote, &seen.tables[0]).await.unwrap()[0].num_rows(), 1);
    // Bytes are characters over there, so nothing that counts them may be asked for.
    assert_eq!(crate::sql::SqlRemote::dialect(remote.as_ref()).like(), crate::sql::LikeSupport::Local);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_statements_does_not_grow_with_the_tables() {
    let Some(database) = Database::new("CREATE TABLE t0 (a integer)").await else { return };
    let remote = open(&database).await;
    let mut counts = Vec::new();
    for tables in [1, 60] {
        let admin = database.admin().await;
        for number in 1..tables {
            admin.batch_execute(&format!("CREATE TABLE t{number} (a integer PRIMARY KEY, b text UNIQUE)")).await.unwrap();
        }
        let before = database.server.statements(&database.name).len();
        assert_eq!(look(&remote, &[]).await.tables.len(), tables);
        counts.push(database.server.statements(&database.name).iter().skip(before).filter(|line| line.contains("LOG:")).count());
    }
    // The server logs each statement it is sent, `BEGIN` and `COMMIT` too.
    assert_eq!(counts, [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_and_forbidden_are_told_apart() {
    let sql = "DROP ROLE IF EXISTS keeper; CREATE ROLE keeper LOGIN PASSWORD 'correct horse';
        CREATE SCHEMA mart; GRANT USAGE ON SCHEMA mart TO keeper;
        CREATE TABLE mart.kept (a integer, b text); CREATE TABLE mart.dropped (a integer); CREATE TABLE mart.revoked (a integer);
        CREATE TABLE \"mart\".\"o'd.d\" (\"A \"\"b\" integer);
        GRANT SELECT ON ALL TABLES IN SCHEMA mart TO keeper";
    let Some(database) = Database::new(sql).await else { return };
    let admin = database.admin().await;
    let remote = PostgresRemote::open(&database.options_with(&[("user", "keeper")])).await.unwrap();
    let (readable, forbidden, absent) = (RemotePresence::Readable, RemotePresence::Forbidden, RemotePresence::Absent);
    let ask = async |cases: &[(Subject, RemotePresence)]| {
        let (subjects, expected): (Vec<_>, Vec<_>) = cases.iter().cloned().unzip();
        let before = database.server.statements(&database.name).len();
        assert_eq!(remote.presence(&subjects, Deadline::after(super::PATIENCE)).await.unwrap(), expected, "{subjects:?}");
        let asked = database.server.statements(&database.name).iter().skip(before).filter(|line| line.contains("LOG:")).count();
        assert_eq!(asked, 1, "one statement for all");
    };
    let (kept, dropped, revoked) = (Subject::table("mart", "kept"), Subject::table("mart", "dropped"), Subject::table("mart", "revoked"));
    let (a, b) = (Subject::column("mart", "kept", "a"), Subject::column("mart", "kept", "b"));
    ask(&[
        (kept.clone(), readable),
        (dropped.clone(), readable),
        (revoked.clone(), readable),
        (a.clone(), readable),
        (b.clone(), readable),
    ])
    .await;
    ask(&[
        (Subject::column("mart", "o'd.d", "A \"b"), readable),
        (Subject::column("mart", "o'd.d", "a \"b"), absent),
        (Subject::table("mart", "Kept"), absent),
        (Subject::table("elsewhere", "kept"), absent),
        (Subject::column("mart", "kept", "no such"), absent),
        (Subject::column("mart", "no such", "a"), absent),
    ])
    .await;

    admin.batch_execute("DROP TABLE mart.dropped; REVOKE SELECT ON mart.revoked FROM keeper").await.unwrap();
    ask(&[(kept.clone(), readable), (dropped.clone(), absent), (revoked.clone(), forbidden)]).await;

    admin.batch_execute("REVOKE SELECT ON mart.kept FROM keeper; GRANT SELECT (a) ON mart.kept TO keeper").await.unwrap();
    ask(&[(kept.clone(), readable), (a.clone(), readable), (b.clone(), forbidden)]).await;
    admin.batch_execute("ALTER TABLE mart.kept DROP COLUMN b").await.unwrap();
    ask(&[(a.clone(), readable), (b, absent)]).await;

    admin.batch_execute("REVOKE USAGE ON SCHEMA mart FROM keeper").await.unwrap();
    ask(&[(kept, forbidden), (a, forbidden), (dropped.clone(), absent), (revoked, forbidden)]).await;
}

/// The source decides which rows a role sees, whether they are read or counted there.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_shows_our_role_its_own_rows() {
    let sql = "DROP ROLE IF EXISTS tenant; CREATE ROLE tenant LOGIN PASSWORD 'correct horse';
        CREATE TABLE t (id integer PRIMARY KEY, owner text); INSERT INTO t VALUES (1, 'tenant'), (2, 'other'), (3, 'tenant');
        ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON t USING (owner = current_user); GRANT SELECT ON t TO tenant";
    let Some(database) = Database::new(sql).await else { return };
    for (remote, expected) in [
        (PostgresRemote::open(&database.options_with(&[("user", "tenant")])).await.unwrap(), vec![1, 3]),
        (open(&database).await, vec![1, 2, 3]),
    ] {
        let seen = look(&remote, &[]).await;
        let rows: usize = read(&remote, &seen.tables[0]).await.unwrap().iter().map(|batch| batch.num_rows()).sum();
        assert_eq!(rows, expected.len());
        let ids = column(&remote, "SELECT id FROM public.t ORDER BY id", DataType::Int32).await.unwrap();
        assert_eq!(ids.as_primitive::<Int32Type>().values().to_vec(), expected);
        let counted = column(&remote, "SELECT count(*) FROM public.t", DataType::Int64).await.unwrap();
        assert_eq!(counted.as_primitive::<Int64Type>().values().to_vec(), [i64::try_from(expected.len()).unwrap()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_whose_function_names_no_schema_still_works() {
    let sql = "CREATE TABLE rates (r integer); INSERT INTO rates VALUES (3);
        CREATE FUNCTION rate() RETURNS integer LANGUAGE sql STABLE AS 'SELECT r FROM rates';
        CREATE VIEW v AS SELECT rate() AS r";
    let Some(database) = Database::new(sql).await else { return };
    let remote = open(&database).await;
    let rates = column(&remote, "SELECT r FROM public.v", DataType::Int32).await.unwrap();
    assert_eq!(rates.len(), 1);
    let version = remote.ping(Deadline::after(super::PATIENCE)).await.unwrap();
    assert_eq!(version.product, "PostgreSQL");
    assert!(version.version.starts_with(|c: char| c.is_ascii_digit()));
}
