//! The connector against real folders. The bucket's tests are in `bucket`.

mod bucket;
mod changing;
mod choosing;
mod exact;
mod folders;
mod observed;
mod reading;
mod s3_service;
mod web_server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, FixedSizeBinaryArray, Float64Array, Int8Array, Int64Array, LargeStringArray, ListArray,
    RecordBatch, StringArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Int32Type, TimeUnit};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::SessionContext;
use secrecy::SecretString;
use tempfile::TempDir;

use super::*;
use crate::options::OptionFault;
use crate::remote::{Comparison, OmissionCause};

/// A folder and the datasource over it.
struct Lake {
    folder: TempDir,
    remote: Arc<dyn Remote>,
}

impl Lake {
    async fn of(files: &[(&str, &str)]) -> Self {
        Self::with(files, &[]).await
    }

    async fn with(files: &[(&str, &str)], options: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            write(folder.path(), path, text.as_bytes());
        }
        let remote = open(folder.path().to_str().unwrap(), options, |_| {}).await.unwrap();
        Self { folder, remote }
    }

    fn write(&self, path: &str, text: &str) {
        write(self.folder.path(), path, text.as_bytes());
    }

    fn parquet(&self, path: &str, columns: Vec<(&str, ArrayRef)>) {
        write(self.folder.path(), path, &parquet(columns));
    }

    async fn introspect(&self) -> Introspection {
        self.remote.introspect(&Scope::default(), soon()).await.unwrap()
    }

    async fn omissions(&self) -> Vec<String> {
        self.introspect().await.omitted.into_iter().map(|o| format!("{}: {}", o.subject, o.reason)).collect()
    }

    async fn context(&self) -> SessionContext {
        context(&self.remote).await
    }

    async fn query(&self, sql: &str) -> String {
        query(&self.context().await, sql).await.unwrap()
    }
}

fn write(folder: &Path, path: &str, bytes: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn checked(path: &str, options: &[(&str, &str)]) -> Result<Options, Vec<OptionFault>> {
    let mut values = BTreeMap::from([("path".to_owned(), path.to_owned())]);
    let mut secrets = BTreeMap::new();
    for (key, value) in options {
        if *key == "secret_access_key" {
            secrets.insert((*key).to_owned(), SecretString::from(*value));
        } else {
            values.insert((*key).to_owned(), (*value).to_owned());
        }
    }
    Options::check(&manifest::MANIFEST, RemoteId::new("lake"), Path::new("/"), values, secrets)
}

async fn open(path: &str, options: &[(&str, &str)], adjust: impl FnOnce(&mut Options)) -> Result<Arc<dyn Remote>> {
    let mut options = checked(path, options).unwrap();
    adjust(&mut options);
    FilesConnector.open(&options).await
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// A session of the engine with all tables of the datasource.
async fn context(remote: &Arc<dyn Remote>) -> SessionContext {
    let context = SessionContext::new();
    for table in remote.introspect(&Scope::default(), soon()).await.unwrap().tables {
        let name = datafusion::common::TableReference::bare(table.name.clone());
        context.register_table(name, Arc::clone(remote).table(&table).unwrap()).unwrap();
    }
    context
}

/// The answer as text, or the datasource's error.
async fn query(context: &SessionContext, sql: &str) -> Result<String> {
    let reown = |e: &datafusion::error::DataFusionError| {
        let error = Error::find(e).unwrap_or_else(|| panic!("{e}"));
        Error::new(error.kind(), error.message()).at(error.datasource().unwrap_or_default()).hint(error.hint_text().unwrap_or_default())
    };
    let frame = context.sql(sql).await.map_err(|e| reown(&e))?;
    let batches = frame.collect().await.map_err(|e| reown(&e))?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

/// The cells of a printed answer, row by row.
fn cells(printed: &str) -> Vec<Vec<String>> {
    let rows = printed.lines().filter(|line| line.starts_with('|')).skip(1);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[tokio::test]
async fn formats_are_read_side_by_side() {
    let lake = Lake::of(&[
        ("people.csv", "id,name,born,score\n1,Ada,1815-12-10,1.5\n2,\"O'Neil, \"\"Al\"\"\",,2\n"),
        ("places.tsv", "code\tname\n007\tNowhere\n"),
        ("events.jsonl", "{\"id\": 1, \"tags\": [\"a\", \"b\"], \"at\": {\"x\": 1.5}}\n{\"id\": 2}\n"),
    ])
    .await;
    lake.parquet("numbers.parquet", vec![("n", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef)]);
    let seen = lake.introspect().await;
    assert_eq!(seen.omitted, []);
    assert_eq!((seen.default_schema.as_str(), seen.tables.len()), ("", 4));
    assert!(seen.tables.iter().flat_map(|t| &t.columns).all(|c| c.comparison == Comparison::None && c.nullable));
    let types: Vec<String> =
        seen.tables.iter().map(|t| t.columns.iter().map(|c| c.data_type.to_string()).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(types[1], "Int64");
    assert_eq!(types[2], "Int64 Utf8 Date32 Float64");
    assert_eq!(types[3], "Utf8 Utf8");

    assert_eq!(cells(&lake.query("SELECT name, born FROM people WHERE score > 1.7").await), [["O'Neil, \"Al\"", ""]]);
    assert_eq!(cells(&lake.query("SELECT code FROM places").await), [["007"]]);
    assert_eq!(cells(&lake.query("SELECT tags[2], at['x'] FROM events ORDER BY id").await), [["b", "1.5"], ["", ""]]);
    assert_eq!(cells(&lake.query("SELECT count(*), max(n) FROM numbers").await), [["3", "3"]]);
    let joined = "SELECT p.name FROM people p JOIN numbers n ON p.id = n.n JOIN events e ON e.id = n.n ORDER BY 1";
    assert_eq!(cells(&lake.query(joined).await).len(), 2);
}

#[tokio::test]
async fn what_is_gone_is_absent() {
    let lake = Lake::of(&[("people.csv", "id,name\n1,Ada\n"), ("a.b.csv", "id\n1\n"), ("parts/year=2024/x.csv", "v\n1\n")]).await;
    lake.write("torn.parquet", "no Parquet");
    let (readable, absent) = (RemotePresence::Readable, RemotePresence::Absent);
    let ask = async |cases: &[(Subject, RemotePresence)]| {
        let (subjects, expected): (Vec<_>, Vec<_>) = cases.iter().cloned().unzip();
        assert_eq!(lake.remote.presence(&subjects, soon()).await.unwrap(), expected, "{subjects:?}");
    };
    ask(&[
        (Subject::table("", "people"), readable),
        (Subject::column("", "people", "name"), readable),
        (Subject::column("", "people", "born"), absent),
        (Subject::column("", "parts", "year"), readable),
        (Subject::table("", "a.b"), readable),
        (Subject::table("", "torn"), absent),
        (Subject::table("", "no such"), absent),
        (Subject::table("main", "people"), absent),
    ])
    .await;
    fs::remove_file(lake.folder.path().join("people.csv")).unwrap();
    ask(&[(Subject::table("", "people"), absent)]).await;
    fs::remove_dir_all(lake.folder.path()).unwrap();
    let error = lake.remote.presence(&[Subject::table("", "people")], soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.datasource()), (ErrorKind::NotFound, Some("lake")));
}

#[tokio::test]
async fn parquet_types_are_published_as_postgres_knows_them() {
    let lake = Lake::of(&[]).await;
    let dictionary: DictionaryArray<Int32Type> = vec![Some("red"), None, Some("blue")].into_iter().collect();
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)]), None, Some(vec![])]);
    let fixed = FixedSizeBinaryArray::try_from_iter([[1_u8, 2], [3, 4], [5, 6]].into_iter()).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("tiny", Arc::new(Int8Array::from(vec![Some(-128), None, Some(127)]))),
        ("unsigned", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 5]))),
        ("word", Arc::new(UInt32Array::from(vec![u32::MAX, 0, 5]))),
        ("real", Arc::new(Float64Array::from(vec![1.5, f64::INFINITY, -0.5]))),
        ("large", Arc::new(LargeStringArray::from(vec!["a", "b", "c"]))),
        ("color", Arc::new(dictionary)),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"x"[..], b"y", b"z"]))),
        ("fixed", Arc::new(fixed)),
        ("millis", Arc::new(TimestampMillisecondArray::from(vec![1, 2, 3]).with_timezone("UTC"))),
        ("nanos", Arc::new(TimestampNanosecondArray::from(vec![1, 2, 3]))),
        ("list", Arc::new(list)),
    ];
    lake.parquet("t.parquet", columns);
    let table = &lake.introspect().await.tables[0];
    let types: Vec<DataType> = table.columns.iter().map(|column| column.data_type.clone()).collect();
    let item = |data_type| Arc::new(datafusion::arrow::datatypes::Field::new("item", data_type, true));
    assert_eq!(
        types,
        [
            DataType::Int16,
            DataType::Decimal128(20, 0),
            DataType::Int64,
            DataType::Float64,
            DataType::Utf8,
            DataType::Utf8,
            DataType::Binary,
            DataType::Binary,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            DataType::List(item(DataType::Int32)),
        ]
    );
    let context = lake.context().await;
    let batches = context.sql("SELECT * FROM t").await.unwrap().collect().await.unwrap();
    assert_eq!(batches[0].schema().fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>(), types);
    // Statistics of a file are in its own types; answers from them must be in ours.
    let extremes = "SELECT min(unsigned), max(unsigned), min(tiny), max(word), min(color), count(color), max(millis) FROM t";
    let wanted = ["0", "18446744073709551615", "-128", "4294967295", "blue", "2", "1970-01-01T00:00:00.003Z"];
    assert_eq!(cells(&lake.query(extremes).await), [wanted]);
    // So must the pruning of row groups.
    assert_eq!(cells(&lake.query("SELECT tiny FROM t WHERE unsigned = 18446744073709551615").await), [["-128"]]);
    assert_eq!(cells(&lake.query("SELECT unsigned FROM t WHERE color = 'blue' AND millis > '1970-01-01'").await), [["5"]]);
    assert_eq!(cells(&lake.query("SELECT word FROM t WHERE fixed = X'0304'").await), [["0"]]);
}

#[tokio::test]
async fn folders_are_tables_and_new_files_are_seen() {
    let lake = Lake::of(&[("o/1.csv", "id,v\n1,a\n"), ("o/2.csv", "id,v\n2,b\n"), ("o/_tmp/x.csv", "id,v\n9,z\n")]).await;
    let context = lake.context().await;
    assert_eq!(cells(&query(&context, "SELECT sum(id) FROM o").await.unwrap()), [["3"]]);
    lake.write("o/3.csv", "id,v\n3,c\n");
    lake.write("o/4.txt", "not,csv\n");
    assert_eq!(cells(&query(&context, "SELECT sum(id), count(*) FROM o").await.unwrap()), [["6", "3"]]);
    lake.write("o/1.csv", "id,v\n10,a\n11,b\n");
    assert_eq!(cells(&query(&context, "SELECT sum(id) FROM o").await.unwrap()), [["26"]]);
    fs::remove_dir_all(lake.folder.path().join("o")).unwrap();
    let error = query(&context, "SELECT * FROM o").await.unwrap_err();
    assert_eq!((error.kind(), error.datasource()), (ErrorKind::NotFound, Some("lake")));
}

#[tokio::test]
async fn a_file_with_other_names_on_top_is_refused() {
    let lake = Lake::of(&[("o/1.csv", "id,v\n1,a\n")]).await;
    let context = lake.context().await;
    lake.write("o/2.csv", "v,id\nb,2\n");
    let error = query(&context, "SELECT id FROM o").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().starts_with("o/2.csv: its first row has other names"), "{error}");
    assert_eq!(lake.omissions().await, ["o: o/2.csv: its first row has other names than the other files"]);
}

#[tokio::test]
async fn keys_in_folder_names_are_columns() {
    let lake = Lake::of(&[("s/year=2023/a.csv", "v\n1\n"), ("s/year=2024/b.csv", "v\n2\n"), ("s/year=2024/c.csv", "v\n3\n")]).await;
    assert_eq!(cells(&lake.query("SELECT sum(v), count(*) FROM s WHERE year = '2024'").await), [["5", "2"]]);
    assert_eq!(cells(&lake.query("SELECT year, v FROM s ORDER BY v LIMIT 1").await), [["2023", "1"]]);
    assert_eq!(cells(&lake.query("SELECT count(*) FROM s WHERE year = '1999'").await), [["0"]]);
}

#[tokio::test]
async fn odd_files_are_left_out_and_hide_nobody() {
    let long = format!("a,\"{}\n", "x".repeat(5 << 20));
    let lake = Lake::of(&[
        ("good.csv", "a\n1\n"),
        ("empty.csv", ""),
        ("ragged.csv", "a,b\n1,2\n3\n"),
        ("twice.csv", "a,a\n1,2\n"),
        ("endless.csv", &long),
        ("array.json", "[{\"a\": 1}]"),
        ("cut.csv", "a,b\n1,2\n3,\"4\n5,6\n"),
        ("torn.json", "{\"a\": 1}\n{\"a\": "),
        ("broken.parquet", "PAR1 but not really"),
        ("claims.parquet", "PAR1junkjunkPAR1"),
        ("readme.md", "hello"),
    ])
    .await;
    write(lake.folder.path(), "latin.csv", b"name\nM\xfcller\n");
    let seen = lake.introspect().await;
    assert_eq!(seen.tables.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["good"]);
    let mut omitted = lake.omissions().await;
    omitted.sort();
    assert_eq!(
        omitted,
        [
            "array.json: it is a JSON array; one object per line is read",
            "broken.parquet: it is not a Parquet file that can be read",
            "claims.parquet: it is not a Parquet file that can be read",
            "cut.csv: row 2: a quote is not closed",
            "empty.csv: the file is empty",
            "endless.csv: its first row is too long, or a quote is not closed",
            "latin.csv: row 1: it is not UTF-8",
            "ragged.csv: row 2: it has fewer fields than the first row, 1 and not 2",
            "readme.md: its name tells no format that is read; the option `format` can",
            "torn.json: it is not one JSON object per line",
            "twice.csv: two columns are called \"a\"",
        ]
    );
    assert_eq!(cells(&lake.query("SELECT * FROM good").await), [["1"]]);
}

#[tokio::test]
async fn a_header_alone_is_a_table_of_text_without_rows() {
    let lake = Lake::of(&[("t.csv", "a,b\n"), ("u.csv", "a,b")]).await;
    assert_eq!(cells(&lake.query("SELECT count(*), min(a) FROM t").await), [["0", ""]]);
    assert_eq!(lake.introspect().await.tables[1].columns[1].data_type, DataType::Utf8);
}

#[tokio::test]
async fn a_row_that_fits_later_no_more_is_an_error_naming_its_file() {
    let lake = Lake::of(&[
        ("f/1.csv", "a,b\n1,2\n"),
        ("f/2.csv", "a,b\n3,4\n"),
        ("g.csv", "a,b\n1,2\n"),
        ("torn.csv", "a,b\n1,2\n"),
        ("latin.csv", "a,b\n1,2\n"),
        ("j.json", "{\"a\": 1}\n"),
    ])
    .await;
    let context = lake.context().await;
    let mut rows = "a,b\n".to_owned();
    rows.push_str(&"1,2\n".repeat(20_000));
    lake.write("f/2.csv", &format!("{rows}1,2,hush\n"));
    lake.write("g.csv", &format!("{rows}hush,2\n"));
    lake.write("torn.csv", &format!("{rows}1,\"hush\n{}", "1,2\n".repeat(20_000)));
    write(lake.folder.path(), "latin.csv", &[rows.as_bytes(), b"1,hush\xfc\n"].concat());
    lake.write("j.json", "{\"a\": 1}\n{\"a\": \"hush\"}\n");
    for (table, file) in [
        ("f", "f/2.csv: row 20001: it has more fields than the first row, 3 and not 2"),
        ("g", "g.csv: row 20001, column \"a\": a value is no bigint"),
        ("j", "j.json: line 2, column \"a\": a text is no bigint"),
        ("torn", "torn.csv: row 20001: a quote is not closed"),
        ("latin", "latin.csv: row 20001: it is not UTF-8"),
    ] {
        let error = query(&context, &format!("SELECT * FROM {table}")).await.unwrap_err();
        assert_eq!((error.kind(), error.datasource()), (ErrorKind::Invalid, Some("lake")), "{error}");
        assert!(error.message().starts_with(file), "{error}");
        assert!(!error.message().contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn a_statement_that_fails_by_itself_is_not_blamed_on_the_file() {
    let lake = Lake::of(&[("t.csv", "a\nx\n")]).await;
    let context = lake.context().await;
    let error = context.sql("SELECT CAST(a AS INT) FROM t").await.unwrap().collect().await.unwrap_err();
    assert!(Error::find(&error).is_none(), "{error}");
}

#[tokio::test]
async fn quoted_line_breaks_and_large_files_are_whole() {
    let mut text = "id,note\n".to_owned();
    for id in 0..200_000 {
        text.push_str(&format!("{id},\"line one, {id}\nline \"\"two\"\" of {id}, with some length to it so that files could be split\"\n"));
    }
    let lake = Lake::of(&[("t.csv", &text)]).await;
    let wanted = [["200000", "19999900000", "200000"]];
    assert_eq!(cells(&lake.query("SELECT count(*), sum(id), count(DISTINCT note) FROM t").await), wanted);
    assert_eq!(cells(&lake.query("SELECT count(note) FROM t WHERE note LIKE '%two\" of 77,%'").await), [["1"]]);
}

#[tokio::test]
async fn names_may_hold_anything() {
    let names = ["with space", "Größe ☃", "per%cent", "hash#mark", "a?b", "plus+", "q\"uote", "[x]", "*"];
    let lake = Lake::of(&[]).await;
    for name in names {
        lake.write(&format!("{name}.csv"), "v\n1\n");
        lake.write(&format!("in {name}/{name}.csv"), "v\n2\n");
    }
    let seen = lake.introspect().await;
    assert_eq!((seen.tables.len(), seen.omitted.as_slice()), (2 * names.len(), [].as_slice()));
    let context = lake.context().await;
    for name in names {
        for (table, wanted) in [(name.to_owned(), "1"), (format!("in {name}"), "2")] {
            let sql = format!("SELECT v FROM \"{}\"", table.replace('"', "\"\""));
            assert_eq!(cells(&query(&context, &sql).await.unwrap()), [[wanted]], "{table}");
        }
    }
}

#[tokio::test]
async fn files_of_one_folder_may_differ_where_nothing_is_lost() {
    let lake = Lake::of(&[]).await;
    lake.parquet("t/1.parquet", vec![("a", Arc::new(Int8Array::from(vec![1])) as ArrayRef)]);
    let wider: Vec<(&str, ArrayRef)> =
        vec![("b", Arc::new(StringArray::from(vec!["x"]))), ("a", Arc::new(Int64Array::from(vec![1 << 40])))];
    lake.parquet("t/2.parquet", wider);
    lake.parquet("u/1.parquet", vec![("a", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    lake.parquet("u/2.parquet", vec![("a", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)]);
    assert_eq!(cells(&lake.query("SELECT a, b FROM t ORDER BY a").await), [["1", ""], ["1099511627776", "x"]]);
    assert_eq!(lake.omissions().await, ["u: column \"a\" is Int64 in some files and Utf8 in u/2.parquet"]);
}

#[tokio::test]
async fn two_datasources_with_equal_paths_do_not_mix() {
    let one = Lake::of(&[("t.csv", "a\n1\n")]).await;
    let two = Lake::of(&[("t.csv", "a\n2\n")]).await;
    one.parquet("p.parquet", vec![("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    two.parquet("p.parquet", vec![("n", Arc::new(Int64Array::from(vec![2])) as ArrayRef)]);
    let context = SessionContext::new();
    for (name, lake) in [("one", &one), ("two", &two)] {
        for table in lake.introspect().await.tables {
            let provider = Arc::clone(&lake.remote).table(&table).unwrap();
            context.register_table(format!("{name}_{}", table.name), provider).unwrap();
        }
    }
    let sql = "SELECT one_t.a, two_t.a, one_p.n, two_p.n FROM one_t, two_t, one_p, two_p";
    assert_eq!(cells(&query(&context, sql).await.unwrap()), [["1", "2", "1", "2"]]);
    assert_eq!(cells(&query(&context, "SELECT (SELECT max(n) FROM one_p), (SELECT max(n) FROM two_p)").await.unwrap()), [["1", "2"]]);
}

#[tokio::test]
async fn projections_and_statistics_reach_the_files() {
    let lake = Lake::of(&[]).await;
    lake.parquet(
        "t.parquet",
        vec![("a", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef), ("b", Arc::new(StringArray::from(vec!["x", "y"])) as ArrayRef)],
    );
    let plan = lake.query("EXPLAIN SELECT b FROM t WHERE a = 2").await;
    assert!(plan.contains("datasource=lake") && plan.contains("pruning_predicate"), "{plan}");
    let counted = lake.query("EXPLAIN SELECT count(*) FROM t").await;
    assert!(!counted.contains("DataSourceExec"), "the footer answers this: {counted}");
}

#[tokio::test]
async fn missing_and_wrong_places_say_so() {
    let cases = [("/nowhere/at/all", ErrorKind::NotFound, "/nowhere/at/all"), ("/etc/hostname", ErrorKind::Invalid, "/etc/hostname")];
    for (path, kind, text) in cases {
        let error = open(path, &[], |_| {}).await.unwrap_err();
        assert_eq!((error.kind(), error.datasource()), (kind, Some("lake")), "{path}: {error}");
        assert!(error.message().contains(text), "{error}");
    }
    assert!(checked("/", &[("format", "xml")]).is_err());

    let lake = Lake::of(&[("t.csv", "a\n1\n")]).await;
    let context = lake.context().await;
    fs::remove_file(lake.folder.path().join("t.csv")).unwrap();
    assert_eq!(query(&context, "SELECT * FROM t").await.unwrap_err().kind(), ErrorKind::NotFound);
    let table = RemoteTable { name: "other".to_owned(), ..Lake::of(&[("t.csv", "a\n1\n")]).await.introspect().await.tables[0].clone() };
    assert_eq!(Arc::clone(&lake.remote).table(&table).unwrap_err().kind(), ErrorKind::NotFound);
    fs::remove_dir_all(lake.folder.path()).unwrap();
    let gone = lake.remote.introspect(&Scope::default(), soon()).await.unwrap_err();
    assert_eq!((gone.kind(), gone.datasource()), (ErrorKind::NotFound, Some("lake")));
}

#[test]
fn options_that_can_lead_nowhere_are_blamed_before_anything_is_opened() {
    let blamed = |path: &str, options: &[(&str, &str)]| -> Vec<(String, String)> {
        let faults = checked(path, options).err().unwrap_or_default();
        faults.into_iter().map(|fault| (fault.key, fault.message)).collect()
    };
    let id = ("access_key_id", "id");
    let secret = ("secret_access_key", "hush");
    for (path, options, key, text) in [
        ("gs://bucket/x", &[][..], "path", "gs://"),
        ("az://bucket/x", &[], "path", "az://"),
        ("s3://", &[], "path", "names no bucket"),
        ("s3:///x", &[], "path", "names no bucket"),
        ("s3://b/x/../y", &[], "path", "prefix"),
        ("s3://b", &[id], "access_key_id", "needs `secret_access_key`"),
        ("s3://b", &[secret], "secret_access_key", "needs `access_key_id`"),
        ("s3://b", &[("endpoint", "http://127.0.0.1:9000")], "endpoint", "allow_http"),
        ("s3://b", &[("endpoint", "127.0.0.1:9000")], "endpoint", "no URL"),
        ("http://example.com/x.csv", &[], "path", "allow_http"),
        ("https://", &[], "path", "names no server"),
        ("https://example.com", &[], "path", "lists no files"),
        ("https://example.com/x", &[], "path", "lists no files"),
        ("https://example.com/x.csv?key=hush", &[], "path", "query"),
        ("https://example.com", &[("globs", "a = *.csv")], "globs", "cannot be asked to look for"),
    ] {
        let faults = blamed(path, options);
        assert!(faults.len() == 1 && faults[0].0 == key && faults[0].1.contains(text), "{path}: {faults:?}");
        assert!(!faults[0].1.contains("hush"), "{faults:?}");
    }
    for (path, options) in [
        ("s3://b", &[][..]),
        ("s3://b/a/b/", &[id, secret, ("endpoint", "http://127.0.0.1:9000"), ("allow_http", "true")]),
        ("https://example.com/x.csv", &[]),
        ("https://example.com/x", &[("format", "csv")]),
        ("http://example.com/x", &[("allow_http", "true"), ("globs", "a = a.csv; b = y/b.parquet")]),
        // Where they say nothing, the options of a bucket are not looked at.
        ("/", &[id]),
    ] {
        assert_eq!(blamed(path, options), [], "{path}");
    }
    let all = [("globs", "a; b = ../x; c = z"), ("list_cache", "soon"), id, ("endpoint", "nowhere")];
    let keys: Vec<String> = blamed("s3:///x", &all).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["globs", "globs", "list_cache", "path", "endpoint", "access_key_id"]);
}

#[tokio::test]
async fn an_unreachable_endpoint_is_said_in_time_and_without_the_secret() {
    let options = [("endpoint", "http://127.0.0.1:9"), ("allow_http", "true"), ("access_key_id", "id"), ("secret_access_key", "hush-hush")];
    let started = std::time::Instant::now();
    let error = open("s3://bucket/prefix", &options, |options| options.pool.connect_timeout = Duration::from_secs(2)).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!((error.kind(), error.datasource()), (ErrorKind::Unreachable, Some("lake")), "{error}");
    assert!(error.message().contains("s3://bucket/prefix"), "{error}");
    assert!(!format!("{error:?} {:?}", error.hint_text()).contains("hush"), "{error:?}");
}

#[tokio::test]
async fn query_timeout_and_close_end_a_statement() {
    let lake = Lake::of(&[("t.csv", &format!("a\n{}", "1\n".repeat(2_000_000)))]).await;
    let path = lake.folder.path().to_str().unwrap();
    let hasty = open(path, &[], |options| options.query_timeout = Some(Duration::from_millis(1))).await.unwrap();
    let error = query(&context(&hasty).await, "SELECT count(DISTINCT a) FROM t").await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Timeout, "query_timeout of 1ms exceeded"));
    assert!(error.hint_text().unwrap().contains("external.query_timeout"));

    let context = lake.context().await;
    lake.remote.close().await;
    assert_eq!(query(&context, "SELECT * FROM t").await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(lake.remote.ping(soon()).await.unwrap_err().kind(), ErrorKind::Unreachable);
}
