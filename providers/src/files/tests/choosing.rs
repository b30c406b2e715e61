//! Which files a table has: compressed ones, patterns, folders of keys, and lists that are kept.

use async_compression::tokio::bufread::{GzipEncoder, ZstdEncoder};
use tokio::io::AsyncReadExt;

use super::*;

pub(super) async fn gzip(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzipEncoder::new(text).read_to_end(&mut bytes).await.unwrap();
    bytes
}

async fn zstd(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ZstdEncoder::new(text).read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn compressed_files_are_read_like_others() {
    let lake = Lake::of(&[("mixed/1.csv", "id,v\n1,a\n")]).await;
    let (mut rows, mut lines) = ("id,v\n".to_owned(), String::new());
    for id in 0..300_000 {
        rows.push_str(&format!("{id},\"row {id}\nof many\"\n"));
        lines.push_str(&format!("{{\"id\": {id}, \"v\": \"row {id}\"}}\n"));
    }
    let folder = lake.folder.path();
    write(folder, "one.csv.gz", &gzip(rows.as_bytes()).await);
    write(folder, "two.tsv.zst", &zstd(b"id\tv\n7\tx\n").await);
    // Far over the size from which DataFusion splits files, were they not compressed.
    write(folder, "three.jsonl.gz", &gzip(lines.repeat(4).as_bytes()).await);
    write(folder, "four.json.zst", &zstd(lines.as_bytes()).await);
    write(folder, "mixed/2.csv.gz", &gzip(b"id,v\n2,b\n").await);
    write(folder, "mixed/3.csv.zst", &zstd(b"id,v\n3,c\n").await);
    assert_eq!(lake.omissions().await, Vec::<String>::new());
    let sum = |table: &str| format!("SELECT count(*), sum(id), count(DISTINCT v) FROM {table}");
    assert_eq!(cells(&lake.query(&sum("one")).await), [["300000", "44999850000", "300000"]]);
    assert_eq!(cells(&lake.query(&sum("two")).await), [["1", "7", "1"]]);
    assert_eq!(cells(&lake.query(&sum("three")).await), [["1200000", "179999400000", "300000"]]);
    assert_eq!(cells(&lake.query(&sum("four")).await), [["300000", "44999850000", "300000"]]);
    assert_eq!(cells(&lake.query(&sum("mixed")).await), [["3", "6", "3"]]);
    assert_eq!(cells(&lake.query("SELECT id FROM one WHERE v LIKE 'row 77_\n%' ORDER BY 1 LIMIT 1").await), [["770"]]);
}

#[tokio::test]
async fn a_torn_archive_is_an_error_that_names_it() {
    let lake = Lake::of(&[]).await;
    let rows: String = (0..600_000).map(|id: u32| format!("{id},{}\n", id.wrapping_mul(2_654_435_761))).collect();
    let whole = format!("id,v\n{rows}");
    for (name, bytes) in [("a.csv.gz", gzip(whole.as_bytes()).await), ("b.csv.zst", zstd(whole.as_bytes()).await)] {
        write(lake.folder.path(), name, &bytes[..bytes.len() - 5]);
    }
    write(lake.folder.path(), "c.json.gz", b"no archive");
    let brief = gzip(b"id\n1\n").await;
    write(lake.folder.path(), "d.csv.gz", &brief[..brief.len() - 1]);
    assert_eq!(lake.introspect().await.tables.len(), 2, "what is torn beyond the sample is found when it is read");
    let omitted = lake.omissions().await;
    assert!(omitted[0].starts_with("c.json.gz: c.json.gz is damaged"), "{omitted:?}");
    assert!(omitted[1].starts_with("d.csv.gz: d.csv.gz is damaged"), "{omitted:?}");
    let context = lake.context().await;
    for (table, name) in [("a", "a.csv.gz"), ("b", "b.csv.zst")] {
        let error = query(&context, &format!("SELECT sum(v) FROM {table}")).await.unwrap_err();
        assert_eq!((error.kind(), error.datasource()), (ErrorKind::Invalid, Some("lake")), "{error}");
        assert!(error.message().starts_with(&format!("{name} is damaged")), "{error}");
    }
}

#[tokio::test]
async fn folders_of_two_keys_are_pruned_by_either() {
    let mut files = Vec::new();
    for (year, month, value) in [(2023, 1, "1"), (2023, 2, "10"), (2024, 1, "100"), (2024, 2, "1000")] {
        files.push((format!("t/year={year}/month={month}/a.csv"), format!("v\n{value}\n")));
    }
    files.push(("t/year=20%2F25/month=1/odd=name.csv".to_owned(), "v\n7\n".to_owned()));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let lake = Lake::of(&files).await;
    for (filter, wanted) in [
        ("true", "1118"),
        ("year = '2024'", "1100"),
        ("month = '1'", "108"),
        ("year = '2024' AND month = '2'", "1000"),
        ("year > '2023' AND v > 100", "1000"),
        ("year = '20/25'", "7"),
        ("year IN ('2023', '2024') AND month <> '2'", "101"),
    ] {
        assert_eq!(cells(&lake.query(&format!("SELECT sum(v) FROM t WHERE {filter}")).await), [[wanted]], "{filter}");
    }
    let plan = lake.query("EXPLAIN SELECT v FROM t WHERE year = '2024' AND month = '2'").await;
    assert!(plan.contains("year=2024/month=2") && !plan.contains("year=2023"), "{plan}");
    // Folders that come later are seen; their keys need not have been.
    lake.write("t/year=2026/month=3/b.csv", "v\n5\n");
    assert_eq!(cells(&lake.query("SELECT v, month FROM t WHERE year = '2026'").await), [["5", "3"]]);
}

#[tokio::test]
async fn names_with_equals_signs_are_files_all_the_same() {
    let lake = Lake::of(&[("t/a=1.csv", "v\n1\n"), ("t/b.csv", "v\n2\n"), ("c=3.csv", "v\n3\n")]).await;
    assert_eq!(cells(&lake.query("SELECT sum(v) FROM t").await), [["3"]]);
    assert_eq!(cells(&lake.query("SELECT v FROM \"c=3\"").await), [["3"]]);
}

#[tokio::test]
async fn tables_are_named_by_patterns() {
    let files = [
        ("in/2024/a-1.csv", "id\n1\n"),
        ("in/2024/b-1.csv", "id\n10\n"),
        ("in/2025/deep/a-2.csv", "id\n2\n"),
        ("in/2025/_a-3.csv", "id\n3\n"),
        ("k/x=1/any/a.jsonl", "{\"v\": 1}\n"),
        ("k/x=2/any/a.jsonl", "{\"v\": 2}\n"),
        ("alone.csv", "id\n9\n"),
        ("unnamed.csv", "id\n9\n"),
    ];
    let globs = "a = in/**/a-*.csv\nb = in/*/b-*.csv\nkeyed = k/x=*/**/*.jsonl\nsingle = alone.csv\nlate = later/*.csv";
    let lake = Lake::with(&files, &[("globs", globs)]).await;
    let seen = lake.introspect().await;
    assert_eq!(seen.tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["a", "b", "keyed", "single"]);
    assert_eq!(lake.omissions().await, ["later/*.csv: no file is there for the table \"late\""]);
    let context = lake.context().await;
    let all = "SELECT (SELECT sum(id) FROM a), (SELECT sum(id) FROM b), (SELECT sum(v) FROM keyed WHERE x = '2'), (SELECT id FROM single)";
    assert_eq!(cells(&query(&context, all).await.unwrap()), [["3", "10", "2", "9"]]);
    // What is new is seen where it matches, and nowhere else.
    lake.write("in/2026/x/a-9.csv", "id\n100\n");
    lake.write("in/2026/x/b-9.csv", "id\n100\n");
    assert_eq!(cells(&query(&context, "SELECT (SELECT sum(id) FROM a), (SELECT sum(id) FROM b)").await.unwrap()), [["103", "10"]]);
    fs::remove_dir_all(lake.folder.path().join("in")).unwrap();
    let error = query(&context, "SELECT * FROM a").await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "in/**/a-*.csv has no files any more"));

    let wrong = checked("/", &[("globs", "a: *.csv")]).unwrap_err();
    assert!(wrong[0].key == "globs" && wrong[0].message.contains("it is not `name = pattern`"), "{wrong:?}");
}

#[tokio::test]
async fn a_list_is_kept_as_long_as_the_option_says() {
    let files = [("o/1.csv", "id\n1\n"), ("p/1.csv", "id\n5\n")];
    let lake = Lake::with(&files, &[("list_cache", "1h"), ("globs", "o = o/*.csv; both = */1.csv; all = **/*.csv")]).await;
    let context = lake.context().await;
    let sums = "SELECT (SELECT sum(id) FROM o), (SELECT sum(id) FROM both), (SELECT sum(id) FROM all)";
    assert_eq!(cells(&query(&context, sums).await.unwrap()), [["1", "6", "6"]], "tables of one folder do not mix");
    lake.write("o/2.csv", "id\n20\n");
    assert_eq!(cells(&query(&context, sums).await.unwrap()), [["1", "6", "6"]]);
    // A look at the tables is a look at the files.
    lake.introspect().await;
    assert_eq!(cells(&query(&context, sums).await.unwrap()), [["21", "6", "26"]]);

    let brief = Lake::with(&files, &[("list_cache", "1ms")]).await;
    let context = brief.context().await;
    query(&context, "SELECT * FROM o").await.unwrap();
    brief.write("o/2.csv", "id\n20\n");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(cells(&query(&context, "SELECT sum(id) FROM o").await.unwrap()), [["21"]]);

    for (text, fault) in [("soon", "not a duration"), ("2years", "longer than a year")] {
        let wrong = checked("/", &[("list_cache", text)]).unwrap_err();
        assert!(wrong[0].key == "list_cache" && wrong[0].message.contains(fault), "{wrong:?}");
    }
}
