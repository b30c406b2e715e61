//! Values are what the files say, to the last digit, or an error that says where one is not.

use datafusion::arrow::array::Int32Array;

use super::*;
use crate::remote::Presentation;

/// The columns of a table as `name type`.
async fn types(lake: &Lake, table: &str) -> Vec<String> {
    let seen = lake.introspect().await;
    let table = seen.tables.iter().find(|known| known.name == table).unwrap();
    let shown = |column: &crate::remote::RemoteColumn| match column.presentation.as_str() {
        Some(word) => format!("{} {word}", column.name),
        None => format!("{} {}", column.name, column.data_type),
    };
    table.columns.iter().map(shown).collect()
}

#[tokio::test]
async fn long_numbers_beside_fractions_keep_their_digits() {
    let lake = Lake::of(&[
        ("c.csv", "id,x\n9007199254740993,1.5\n0.25,2\n,3.25\n-12345678901234567890123,1e3\n"),
        ("j.jsonl", "{\"id\": 9007199254740993, \"x\": 1.5}\n{\"id\": 0.25, \"x\": 2}\n{\"x\": 3.25}\n{\"id\": -12345678901234567890123, \"x\": 1e3}\n"),
    ])
    .await;
    for table in ["c", "j"] {
        assert_eq!(types(&lake, table).await, ["id numeric", "x Float64"]);
        let sql = format!("SELECT CAST(id AS VARCHAR), x FROM {table}");
        let zeros = "0".repeat(36);
        let rows = [
            [&*format!("9007199254740993.{zeros}00"), "1.5"],
            [&format!("0.25{zeros}"), "2.0"],
            ["", "3.25"],
            [&format!("-12345678901234567890123.{zeros}00"), "1000.0"],
        ];
        assert_eq!(cells(&lake.query(&sql).await), rows);
        let found = format!("SELECT x FROM {table} WHERE id = 9007199254740993");
        assert_eq!(cells(&lake.query(&found).await), [["1.5"]]);
    }
}

#[tokio::test]
async fn a_later_number_that_its_type_does_not_hold_is_an_error() {
    let lake = Lake::of(&[
        ("d.csv", "v,w\n1.5,1\n"),
        ("i.csv", "v,w\n1,1\n"),
        ("d2.json", "{\"v\": 1.5}\n"),
        ("i2.json", "{\"v\": 1}\n"),
        ("n2.json", "{\"v\": [{\"w\": 1}]}\n"),
    ])
    .await;
    let context = lake.context().await;
    lake.write("d.csv", &format!("v,w\n{}9007199254740993,1\n", "1.5,\"1\n\"\n".repeat(20_000)));
    lake.write("i.csv", "v,w\n1,1\n007,1\n");
    lake.write("d2.json", "{\"v\": 1.5}\n\n{\"v\": 9007199254740993}\n");
    lake.write("i2.json", "{\"v\": 1}\n{\"v\": 1.5}\n");
    lake.write("n2.json", "{\"v\": [{\"w\": 1}]}\n{\"v\": [{\"w\": 1}, {\"w\": 1.5}]}\n");
    for (table, wanted) in [
        ("d", "d.csv: row 20001, column \"v\": a number has more digits than double precision keeps"),
        ("i", "i.csv: row 2, column \"v\": a value is no bigint"),
        ("d2", "d2.json: line 3, column \"v\": a number has more digits than double precision keeps"),
        ("i2", "i2.json: line 2, column \"v\": a value is no bigint"),
        ("n2", "n2.json: line 2, column \"v\": a value is no bigint"),
    ] {
        let error = query(&context, &format!("SELECT v FROM {table}")).await.unwrap_err();
        assert_eq!((error.kind(), error.message(), error.datasource()), (ErrorKind::Invalid, wanted, Some("lake")));
    }
    // What is not asked for is not read.
    assert_eq!(cells(&query(&context, "SELECT count(*) FROM i").await.unwrap()), [["2"]]);
}

#[tokio::test]
async fn fields_of_mixed_type_are_read_as_they_are_written() {
    let lines = "{\"plain\": 1.0, \"deep\": {\"a\":  1.50}, \"id\": 1}\n{\"plain\": \"x\", \"deep\": \"y\", \"id\": 2}\n{\"plain\": true, \"deep\": [1, null], \"id\": 3}\n{\"id\": 4}\n";
    let lake = Lake::of(&[("t.jsonl", lines)]).await;
    assert_eq!(types(&lake, "t").await, ["deep json", "id Int64", "plain Utf8"]);
    let wanted = [["1.0", "{\"a\":  1.50}", "1"], ["x", "\"y\"", "2"], ["true", "[1, null]", "3"], ["", "", "4"]];
    assert_eq!(cells(&lake.query("SELECT plain, deep, id FROM t ORDER BY id").await), wanted);
    assert_eq!(cells(&lake.query("SELECT sum(id) FROM t").await), [["10"]]);
    let column = lake.introspect().await.tables[0].columns[0].clone();
    assert_eq!((column.presentation, column.data_type), (Presentation::Json, DataType::Utf8));
}

#[tokio::test]
async fn a_column_may_be_wanted_twice_and_in_any_order() {
    let lake = Lake::of(&[("s/k=1/a.jsonl", "{\"a\": 1, \"b\": 2.5}\n"), ("u/k=1/a.csv", "a,b\n1,2.5\n")]).await;
    for table in ["s", "u"] {
        let sql = format!("SELECT b, k, a, a AS c, k AS l, b + a FROM {table}");
        assert_eq!(cells(&lake.query(&sql).await), [["2.5", "1", "1", "1", "1", "3.5"]]);
    }
}

#[tokio::test]
async fn large_json_files_are_read_in_parts() {
    let mut lines = String::new();
    for id in 0..100_000 {
        lines.push_str(&format!(
            "{{\"id\": {id}, \"note\": \"the note of {id}, with some length so that the file is split\", \"v\": [1.5, {id}]}}\n"
        ));
    }
    let lake = Lake::of(&[("t.jsonl", lines.trim_end())]).await;
    let config = datafusion::prelude::SessionConfig::new()
        .with_target_partitions(4)
        .set_usize("datafusion.optimizer.repartition_file_min_size", 1000);
    let context = SessionContext::new_with_config(config);
    let table = lake.introspect().await.tables.remove(0);
    context.register_table("t", Arc::clone(&lake.remote).table(&table).unwrap()).unwrap();
    let plan = query(&context, "EXPLAIN SELECT id FROM t").await.unwrap();
    assert!(plan.contains("4 groups"), "{plan}");
    let wanted = [["100000", "4999950000", "100000", "4999950000.0"]];
    assert_eq!(cells(&query(&context, "SELECT count(*), sum(id), count(DISTINCT note), sum(v[2]) FROM t").await.unwrap()), wanted);
}

#[tokio::test]
async fn batches_of_text_files_are_bounded_by_what_they_hold() {
    let text = "x".repeat(100_000);
    let (mut csv, mut json) = ("id,note,more\n".to_owned(), String::new());
    for id in 0..100 {
        csv.push_str(&format!("{id},{text},{text}\n"));
        json.push_str(&format!("{{\"id\": {id}, \"note\": \"{text}\", \"more\": \"{text}\"}}\n"));
    }
    let lake = Lake::of(&[("c.csv", &csv), ("j.jsonl", &json)]).await;
    let context = lake.context().await;
    for (sql, most) in [("SELECT * FROM c", 6), ("SELECT id, note FROM c", 11), ("SELECT * FROM j", 6)] {
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let rows: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(rows.iter().sum::<usize>(), 100);
        assert!(rows.iter().all(|rows| *rows <= most), "{sql}: {rows:?}");
    }
    // What is not wanted takes no room.
    let batches = context.sql("SELECT id FROM c").await.unwrap().collect().await.unwrap();
    assert_eq!(batches.len(), 1);
}

fn doubles(values: Vec<f64>) -> Vec<u8> {
    parquet(vec![("f", Arc::new(Float64Array::from(values)) as ArrayRef)])
}

#[tokio::test]
async fn what_a_footer_says_of_floats_leaves_nan_and_zeros_as_they_are() {
    let lake = Lake::of(&[]).await;
    write(lake.folder.path(), "one.parquet", &doubles(vec![1.5, f64::NAN, 1.5]));
    write(lake.folder.path(), "some.parquet", &doubles(vec![1.0, 2.0, f64::NAN]));
    write(lake.folder.path(), "zero.parquet", &doubles(vec![0.0, 1.0]));
    for (sql, wanted) in [
        ("SELECT f FROM one", "1.5 NaN 1.5"),
        ("SELECT count(*) FROM one WHERE f <> 1.5", "1"),
        ("SELECT count(*) FROM one WHERE f > 1.5", "1"),
        ("SELECT sum(f) FROM one", "NaN"),
        ("SELECT count(*) FROM some WHERE f > 100", "1"),
        ("SELECT f FROM some ORDER BY f DESC LIMIT 1", "NaN"),
        ("SELECT min(f) FROM zero", "0.0"),
    ] {
        assert_eq!(cells(&lake.query(sql).await).concat().join(" "), wanted, "{sql}");
    }
}

#[tokio::test]
async fn a_parquet_file_of_other_types_than_the_table_is_read_if_nothing_is_lost() {
    let lake = Lake::of(&[]).await;
    let one = |name: &str, values: ArrayRef| write(lake.folder.path(), name, &parquet(vec![("v", values)]));
    for table in ["lossy", "wider", "held"] {
        one(&format!("{table}/1.parquet"), Arc::new(Int64Array::from(vec![1, 99])));
    }
    let context = lake.context().await;
    one("lossy/2.parquet", Arc::new(Float64Array::from(vec![7.9])));
    one("wider/2.parquet", Arc::new(UInt64Array::from(vec![u64::MAX])));
    one("held/2.parquet", Arc::new(Int32Array::from(vec![200])));
    for sql in ["SELECT v FROM lossy", "SELECT max(v) FROM lossy", "SELECT max(v) FROM wider", "SELECT count(*) FROM wider WHERE v = 1"] {
        let error = query(&context, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        assert!(error.message().contains("2.parquet") && error.message().contains("\"v\""), "{sql}: {error}");
    }
    assert_eq!(cells(&query(&context, "SELECT max(v), count(*) FROM held").await.unwrap()), [["200", "3"]]);
}

#[tokio::test]
async fn a_text_with_a_nul_character_is_that_text() {
    let lake = Lake::of(&[("t.csv", "a\nx\0y\n"), ("j.jsonl", "{\"a\": \"x\\u0000y\", \"b\": 1}\n")]).await;
    for table in ["t", "j"] {
        let sql = format!("SELECT length(a), strpos(a, 'y') FROM {table}");
        assert_eq!(cells(&lake.query(&sql).await), [["3", "3"]], "{table}");
    }
}
