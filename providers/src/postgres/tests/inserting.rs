//! Rows that are inserted at a real server: they read back as they were, or are refused.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, Date32Array, Decimal128Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Int32Type, IntervalMonthDayNano, Schema};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::execution::SendableRecordBatchStream;

use super::changing::{ACCOUNTS, accounts, begin, count, insert, into, rows, soon, table};
use super::server::Database;
use super::{assert_fails, open, ours, read, schema};
use crate::changes::Returned;
use crate::error::ErrorKind;

/// A column of each type, and its nastiest values.
const NASTY: [(&str, &[&str]); 31] = [
    ("mood", &["so \"so\"\\", "happy"]),
    ("short", &["abc"]),
    ("oid", &["0", "4294967295"]),
    ("numbers", &["{1,NULL}"]),
    ("uuid[]", &["{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}"]),
    ("boolean", &["true", "false"]),
    ("smallint", &["-32768", "32767"]),
    ("integer", &["-2147483648", "2147483647"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807"]),
    ("real", &["3.4028235e38", "1e-45", "-0", "NaN", "Infinity", "-Infinity"]),
    ("double precision", &["1.7976931348623157e308", "5e-324", "0.1", "-0", "NaN", "Infinity", "-Infinity"]),
    ("numeric(10,2)", &["-99999999.99", "0", "0.01", "10000"]),
    ("numeric(38,38)", &["0.99999999999999999999999999999999999999", "-0.00000000000000000000000000000000000001"]),
    ("numeric(76,1)", &["-999999999999999999999999999999999999999999999999999999999999999999999999999.9", "10000"]),
    ("numeric", &["1.5", "-99999999999999999999999999999999999999.99999999999999999999999999999999999999", "1e-38", "120000", "0"]),
    ("text", &["", "NULL", "\\N", "\\.", "tab\tline\nreturn\rback\\slash\x08", "'quoted' \"twice\"", "ünï 🐘", "{a,b}"]),
    ("varchar(12)", &["", "🐘", "  "]),
    ("character(4)", &["ab", "", " a"]),
    ("name", &["relname"]),
    ("bytea", &["", "\\x00ff10090a5c"]),
    ("date", &["4714-11-24 BC", "0044-03-15 BC", "0001-12-31 BC", "5874897-12-31", "infinity", "-infinity", "2024-02-29"]),
    ("time", &["00:00", "23:59:59.999999"]),
    ("timestamp", &["4714-11-24 00:00 BC", "0044-03-15 12:00:00.000001 BC", "294246-12-31 23:59:59.999999", "infinity", "-infinity"]),
    (
        "timestamptz",
        &["4714-11-24 00:00+00 BC", "0044-03-15 12:00:00.000001+00 BC", "infinity", "-infinity", "1969-12-31 23:59:59.999999+00"],
    ),
    ("interval", &["-1 mons +2 days -03:04:05.000006", "2562047:47:16.854775", "0"]),
    ("uuid", &["00000000-0000-0000-0000-000000000000", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"]),
    ("json", &["{\"a\": \"\\u00e9\\n\"}", "null"]),
    ("jsonb", &["{\"a\": [1, \"x\\\\y\"]}", "\"\""]),
    ("text[]", &["{}", "{NULL,\"NULL\",\"a\\\"b\\\\c\",\"\",\"x,y\",\"{\"}"]),
    ("timestamptz[]", &["{infinity,NULL,2024-01-01 00:00:00.5+00}"]),
    ("numeric(10,2)[]", &["{1.50,-99999999.99}"]),
];

/// Columns that only text reaches; one of them makes text of all.
const TEXTUAL: [(&str, &[&str]); 12] = [
    ("mood[]", &["{happy,NULL,\"so \\\"so\\\"\\\\\"}"]),
    ("pair", &["(1,\"a b\")"]),
    ("numeric(3,-2)", &["12300"]),
    ("numeric(100,2)", &["1.50"]),
    ("inet", &["10.0.0.1", "10.0.0.0/8"]),
    ("money", &["-12.34"]),
    ("bit varying(9)", &["", "101"]),
    ("int4range", &["[1,5)", "empty"]),
    ("point", &["(1.5,-2)"]),
    ("xml", &["<a>\\b</a>"]),
    ("\"char\"", &["x"]),
    ("inet[]", &["{10.0.0.1,NULL}"]),
];

/// The table and what it holds: one row with the nth value of each column, until the longest list ends, then one of NULLs.
fn nasty(name: &str, columns: &[(&str, &[&str])]) -> String {
    let declared: Vec<String> = columns.iter().enumerate().map(|(at, (remote, _))| format!("c{at} {remote}")).collect();
    let most = columns.iter().map(|(_, values)| values.len()).max().unwrap();
    let row = |row: usize| {
        let values = columns.iter().map(|(remote, values)| match values.get(row) {
            Some(value) => format!("E'{}'::{remote}", value.replace('\\', "\\\\").replace('\'', "''")),
            None => "NULL".to_owned(),
        });
        format!("({row}, {})", values.collect::<Vec<_>>().join(", "))
    };
    let values: Vec<String> = (0..=most).map(row).collect();
    format!(
        "CREATE TABLE {name} (n int, {}); INSERT INTO {name} VALUES {}; CREATE TABLE {name}_copy (LIKE {name});",
        declared.join(", "),
        values.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_inserted_reads_back_equal() {
    let textual: Vec<_> = TEXTUAL.iter().chain(&NASTY).copied().collect();
    let sql = format!(
        "CREATE TYPE mood AS ENUM ('so \"so\"\\', 'happy'); CREATE DOMAIN short AS varchar(3); CREATE DOMAIN numbers AS integer[]; \
         CREATE TYPE pair AS (a integer, b text); {} {}",
        nasty("nasty", &NASTY),
        nasty("textual", &textual)
    );
    let Some(database) = Database::new(&sql).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let ways = [
        ("nasty", "", "(FORMAT binary)"),
        ("textual", "", "(FORMAT text)"),
        ("nasty", "ON CONFLICT DO NOTHING", "INSERT INTO"),
        ("textual", "ON CONFLICT DO NOTHING", "INSERT INTO"),
    ];
    for (name, clauses, word) in ways {
        admin.batch_execute(&format!("TRUNCATE {name}_copy")).await.unwrap();
        let (source, target) = (table(&remote, name).await, table(&remote, &format!("{name}_copy")).await);
        let given = read(&remote, &source).await.unwrap();
        let all: Vec<usize> = (0..target.columns.len()).collect();
        let mut transaction = begin(&remote).await;
        let count = given.iter().map(RecordBatch::num_rows).sum::<usize>() as u64;
        let inserted = transaction.insert(&into(&target, &all, clauses), rows(given.clone()), None, soon()).await;
        assert_eq!(inserted.unwrap(), count, "{name} {clauses}");
        transaction.commit(soon()).await.unwrap();
        let sent = database.server.statements(&database.name);
        let is_sent = |line: &&String| line.contains(word) && line.contains(clauses) && line.contains(&format!("{name}_copy"));
        assert!(sent.iter().any(|line| is_sent(&line)), "{name} {clauses}");
        // Equal as we read it, and as the source prints it, so that nothing was lost on the way to us and back.
        let found = read(&remote, &target).await.unwrap();
        let (given, found) = (concat_batches(&given[0].schema(), &given).unwrap(), concat_batches(&given[0].schema(), &found).unwrap());
        for (column, (given, found)) in target.columns.iter().zip(given.columns().iter().zip(found.columns())) {
            assert_eq!(given, found, "{} {}", column.name, column.remote_type);
        }
        for column in &target.columns {
            let sql = format!(
                "SELECT count(*) FROM {name} a JOIN {name}_copy b USING (n) WHERE a.{0}::text IS DISTINCT FROM b.{0}::text",
                column.name
            );
            assert_eq!(self::count(&admin, &sql).await, 0, "{} {}", column.name, column.remote_type);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_arrive_in_full_and_a_long_value_too() {
    let Some(database) = Database::new("CREATE TABLE many (id int, name text)").await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let many = table(&remote, "many").await;
    let long = "é".repeat(1 << 20);
    let batch = |first: i32| {
        let names: Vec<Option<&str>> = (0..8192).map(|row| if row == 77 { Some(long.as_str()) } else { Some("name") }).collect();
        let columns: [(&str, ArrayRef); 2] =
            [("id", Arc::new(Int32Array::from_iter_values(first..first + 8192))), ("name", Arc::new(StringArray::from(names)))];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    };
    let mut transaction = begin(&remote).await;
    let given = rows((0..12).map(|at| batch(at * 8192)).collect());
    assert_eq!(insert(&mut transaction, &many, &[0, 1], given).await.unwrap(), 12 * 8192);
    transaction.commit(soon()).await.unwrap();
    assert_eq!(count(&admin, "SELECT count(DISTINCT id) FROM many").await, 12 * 8192);
    assert_eq!(count(&admin, "SELECT count(*) FROM many WHERE length(name) = 1048576").await, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_columns_have_their_values_from_the_source() {
    let Some(database) = Database::new("CREATE TABLE d (id serial, x text DEFAULT 'x')").await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let batch =
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &RecordBatchOptions::new().with_row_count(Some(3)));
    let mut transaction = begin(&remote).await;
    let d = table(&remote, "d").await;
    assert_eq!(insert(&mut transaction, &d, &[], rows(vec![batch.unwrap()])).await.unwrap(), 3);
    transaction.commit(soon()).await.unwrap();
    assert_eq!(count(&admin, "SELECT count(*) FROM d WHERE x = 'x' AND id IN (1, 2, 3)").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numeric_is_inserted_as_it_is_read() {
    let sql = "CREATE TABLE v (v numeric); INSERT INTO v VALUES (1.50), (-0.1), ('1e300'), ('NaN'), (NULL); CREATE TABLE w (v numeric)";
    let Some(database) = Database::new(sql).await else { return };
    let admin = database.admin().await;
    for policy in ["text", "float"] {
        let remote = super::PostgresRemote::open(&database.options_with(&[("numeric", policy)])).await.unwrap();
        let (source, target) = (table(&remote, "v").await, table(&remote, "w").await);
        let mut transaction = begin(&remote).await;
        insert(&mut transaction, &target, &[0], rows(read(&remote, &source).await.unwrap())).await.unwrap();
        transaction.commit(soon()).await.unwrap();
        let same = "SELECT count(*) FROM v JOIN w ON v.v IS NOT DISTINCT FROM w.v";
        assert_eq!(count(&admin, same).await, 5, "{policy}");
        admin.batch_execute("TRUNCATE w").await.unwrap();
    }
}

/// A batch of one column.
fn one(name: &str, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([(name, array, true)]).unwrap()
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_a_column_would_not_keep_is_refused() {
    let moment = |micros: i64| Arc::new(TimestampMicrosecondArray::from(vec![micros])) as ArrayRef;
    let interval = |months, nanos| Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(months, 0, nanos)])) as ArrayRef;
    let decimal = |value| Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(4, 2).unwrap()) as ArrayRef;
    let long = "n".repeat(64);
    let cases: Vec<(&str, ArrayRef, &str)> = vec![
        ("uuid", texts(&["secret"]), "22P02"),
        ("varchar(3)", texts(&["abc "]), "22001"),
        ("varchar(3)", texts(&["secret"]), "22001"),
        ("character(3)", texts(&["secret"]), "22001"),
        (
            "varchar(3)[]",
            {
                let mut list = datafusion::arrow::array::ListBuilder::new(datafusion::arrow::array::StringBuilder::new());
                list.append_value([Some("abc   ")]);
                Arc::new(list.finish())
            },
            "22001",
        ),
        ("name", texts(&[&long]), "22001"),
        ("\"char\"", texts(&["se"]), "22001"),
        ("bit(3)", texts(&["1"]), "22026"),
        ("numeric(3,-2)", texts(&["12345"]), "22003"),
        ("numeric(4,2)", decimal(10_000), "22003"),
        ("oid", Arc::new(Int64Array::from(vec![-1])), "22003"),
        ("timestamp(3)", moment(1), "22008"),
        ("timestamp", moment(i64::MIN + 946_684_800_000_000), "22008"),
        ("timestamp", moment(i64::MIN + 1), "22008"),
        ("date", Arc::new(Date32Array::from(vec![i32::MIN + 10_957])), "22008"),
        ("date", Arc::new(Date32Array::from(vec![i32::MAX - 1])), "22008"),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![86_400_000_000])), "22008"),
        ("interval", interval(0, 1), "22008"),
        ("interval year", interval(13, 0), "22008"),
        ("json", texts(&["{secret"]), "22P02"),
        ("jsonb", texts(&["{secret"]), "22P02"),
        ("inet", texts(&["secret"]), "22P02"),
        ("mood", texts(&["secret"]), "22P02"),
        ("text", texts(&["sec\0ret"]), "22021"),
        ("citext", texts(&["sec\0ret"]), "22021"),
    ];
    let mut sql = "CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('ok');".to_owned();
    for (number, (remote_type, ..)) in cases.iter().enumerate() {
        sql += &format!("CREATE TABLE t{number} (v {remote_type});");
    }
    let Some(database) = Database::new(&sql).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    for (number, (remote_type, array, code)) in cases.iter().enumerate() {
        let target = table(&remote, &format!("t{number}")).await;
        for clauses in ["", "ON CONFLICT DO NOTHING"] {
            let mut transaction = begin(&remote).await;
            let given = rows(vec![one("v", Arc::clone(array))]);
            let error = transaction.insert(&into(&target, &[0], clauses), given, None, soon()).await.unwrap_err();
            assert_fails(ours(&error), ErrorKind::Invalid, "");
            assert_eq!(ours(&error).remote_sqlstate(), Some(*code), "{remote_type} {clauses}: {error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{remote_type} {error:?}");
            if clauses.is_empty() && *code != "22021" {
                assert!(ours(&error).message().contains("column \"v\""), "{remote_type}: {error}");
            }
            assert_fails(&transaction.commit(soon()).await.unwrap_err(), ErrorKind::Failed, "was rolled back");
        }
        assert_eq!(count(&admin, &format!("SELECT count(*) FROM t{number}")).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_column_takes_no_values() {
    let sql = "CREATE TABLE g (id int GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (v * 2) STORED, v int)";
    let Some(database) = Database::new(sql).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let g = table(&remote, "g").await;
    let given = |name| rows(vec![one(name, Arc::new(Int32Array::from(vec![7])))]);
    for (place, name) in [(0, "id"), (1, "twice")] {
        let error = insert(&mut begin(&remote).await, &g, &[place], given(name)).await.unwrap_err();
        assert_fails(ours(&error), ErrorKind::Invalid, name);
        assert_eq!(ours(&error).remote_sqlstate(), Some("428C9"));
    }
    let mut transaction = begin(&remote).await;
    assert_eq!(insert(&mut transaction, &g, &[2], given("v")).await.unwrap(), 1);
    transaction.commit(soon()).await.unwrap();
    assert_eq!(count(&admin, "SELECT count(*) FROM g WHERE (id, twice, v) = (1, 14, 7)").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn clauses_stand_behind_the_values_and_rows_come_back() {
    let Some(database) = Database::new(&format!("{ACCOUNTS}; INSERT INTO accounts VALUES (1, 'ann', 3)")).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let accounts_table = table(&remote, "accounts").await;
    let mut transaction = begin(&remote).await;
    let nothing = into(&accounts_table, &[0, 1], "ON CONFLICT (id) DO NOTHING");
    let given = accounts(&[1, 2], &[Some("eve"), Some("bob")]);
    assert_eq!(transaction.insert(&nothing, given, None, soon()).await.unwrap(), 1);
    let clauses = "ON CONFLICT (id) DO UPDATE SET owner = EXCLUDED.owner, balance = accounts.balance + 1 RETURNING id, balance, owner";
    let ids: Vec<i32> = (1..=2500).collect();
    let mut batches = Vec::new();
    let mut take = |batch: RecordBatch| {
        batches.push(batch);
        Ok(())
    };
    let returned_schema = schema(&[("id", DataType::Int32), ("balance", DataType::Int32), ("owner", DataType::Utf8)]);
    let returned = Returned { schema: Arc::clone(&returned_schema), take: &mut take };
    let given = accounts(&ids, &vec![Some("zoe"); ids.len()]);
    let upsert = into(&accounts_table, &[0, 1], clauses);
    assert_eq!(transaction.insert(&upsert, given, Some(returned), soon()).await.unwrap(), 2500);
    transaction.commit(soon()).await.unwrap();
    let whole = concat_batches(&returned_schema, &batches).unwrap();
    let column = |place: usize| whole.column(place).as_primitive::<Int32Type>().values().to_vec();
    assert_eq!(column(0), ids);
    assert_eq!(column(1)[..3], [4, 8, 7]);
    assert_eq!(count(&admin, "SELECT count(*) FROM accounts WHERE owner = 'zoe'").await, 2500);
    // The same row twice in one statement, a value that is refused, and a clause without an index.
    let refused = [
        (into(&accounts_table, &[0, 1], clauses), accounts(&[5, 5], &[Some("a"), Some("b")]), ErrorKind::Invalid, "21000"),
        (into(&accounts_table, &[0, 1], "RETURNING id, balance, owner"), accounts(&[5], &[Some("a")]), ErrorKind::Conflict, "23505"),
        (into(&accounts_table, &[0, 1], "ON CONFLICT (owner) DO NOTHING"), accounts(&[5], &[Some("a")]), ErrorKind::Invalid, "42P10"),
    ];
    for (insertion, given, kind, code) in refused {
        let error = begin(&remote).await.insert(&insertion, given, None, soon()).await.unwrap_err();
        assert_fails(ours(&error), kind, "");
        assert_eq!(ours(&error).remote_sqlstate(), Some(code));
    }
    // However far from each other the two are, they are in one statement, or there is none.
    let updating = into(&accounts_table, &[0, 1], "ON CONFLICT (id) DO UPDATE SET owner = EXCLUDED.owner");
    let error = begin(&remote).await.insert(&updating, twice(5_000), None, soon()).await.unwrap_err();
    assert_eq!(ours(&error).remote_sqlstate(), Some("21000"));
    let error = begin(&remote).await.insert(&updating, twice(40_000), None, soon()).await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::LimitExceeded, "more than 32767 rows");
}

/// So many accounts, of which the first and the last are the same.
fn twice(count: i32) -> SendableRecordBatchStream {
    let ids: Vec<i32> = (1..count).chain([1]).collect();
    accounts(&ids, &vec![Some("amy"); ids.len()])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_no_copy_takes_statements() {
    let sql = format!(
        "{ACCOUNTS}; CREATE VIEW plain AS SELECT id, owner FROM accounts; CREATE VIEW made AS SELECT 1 AS id, 'x'::varchar(8) AS owner; \
         CREATE FUNCTION into_accounts() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN INSERT INTO accounts VALUES (NEW.id, NEW.owner); RETURN NEW; END'; \
         CREATE TRIGGER t INSTEAD OF INSERT ON made FOR EACH ROW EXECUTE FUNCTION into_accounts(); \
         CREATE TABLE ruled (id int, owner varchar(8)); \
         CREATE RULE r AS ON INSERT TO ruled DO INSTEAD INSERT INTO accounts VALUES (NEW.id, NEW.owner); \
         CREATE TABLE parted (id int, owner varchar(8)) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parted DEFAULT; \
         CREATE VIEW fixed AS SELECT DISTINCT id, owner FROM accounts; \
         CREATE TABLE secured (id int, owner varchar(8)); ALTER TABLE secured ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY p ON secured USING (true) WITH CHECK (id < 10); \
         CREATE ROLE writer_of_rows LOGIN PASSWORD '{password}'; GRANT ALL ON secured TO writer_of_rows",
        password = super::server::PASSWORD
    );
    let Some(database) = Database::new(&sql).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    for (id, (name, is_copied)) in (1..).zip([("plain", false), ("made", false), ("ruled", false), ("parted", true)]) {
        let target = table(&remote, name).await;
        let mut transaction = begin(&remote).await;
        insert(&mut transaction, &target, &[0, 1], accounts(&[id], &[Some("ann")])).await.unwrap();
        transaction.commit(soon()).await.unwrap();
        let copied = database.server.statements(&database.name).iter().any(|line| line.contains("FROM STDIN") && line.contains(name));
        assert_eq!(copied, is_copied, "{name}");
    }
    assert_eq!(count(&admin, "SELECT count(*) FROM accounts WHERE id IN (1, 2, 3)").await, 3);
    assert_eq!(count(&admin, "SELECT count(*) FROM part WHERE id = 4").await, 1);
    let fixed = table(&remote, "fixed").await;
    let error = insert(&mut begin(&remote).await, &fixed, &[0, 1], accounts(&[9], &[Some("ann")])).await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::Unsupported, "fixed");
    // Row security holds for whoever is no owner.
    let options = database.options_with(&[("user", "writer_of_rows")]);
    let limited = super::PostgresRemote::open(&options).await.unwrap();
    let secured = table(&limited, "secured").await;
    let mut transaction = begin(&limited).await;
    assert_eq!(insert(&mut transaction, &secured, &[0, 1], accounts(&[1], &[Some("ann")])).await.unwrap(), 1);
    transaction.commit(soon()).await.unwrap();
    let error = insert(&mut begin(&limited).await, &secured, &[0, 1], accounts(&[10], &[Some("ann")])).await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::Unauthorized, "row-level security");
    drop(limited);
    admin.batch_execute("DROP OWNED BY writer_of_rows; DROP ROLE writer_of_rows").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_refused_in_the_midst_leave_nothing() {
    let Some(database) = Database::new("CREATE TABLE many (id int PRIMARY KEY, name text)").await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let many = table(&remote, "many").await;
    let batch = |first: i32| {
        let columns: [(&str, ArrayRef); 2] = [
            ("id", Arc::new(Int32Array::from_iter_values(first..first + 8192))),
            ("name", Arc::new(StringArray::from(vec!["a name of some length"; 8192]))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    };
    for clauses in ["", "RETURNING id"] {
        // The second batch repeats the first; many more follow.
        let given = rows([0].into_iter().chain(0..30).map(|at| batch(at * 8192)).collect());
        let mut transaction = begin(&remote).await;
        let error = transaction.insert(&into(&many, &[0, 1], clauses), given, None, soon()).await.unwrap_err();
        assert_fails(ours(&error), ErrorKind::Conflict, "many_pkey");
        assert_eq!(ours(&error).remote_sqlstate(), Some("23505"));
        drop(transaction);
        assert_eq!(count(&admin, "SELECT count(*) FROM many").await, 0);
    }
}
