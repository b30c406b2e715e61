//! The keys in the names of folders: values that are NULL, that are encoded, and filters on them.

use super::*;

fn numbers(values: Vec<i64>) -> Vec<u8> {
    parquet(vec![("v", Arc::new(Int64Array::from(values)) as ArrayRef)])
}

/// The same rows in three formats, in tables `c`, `j` and `p`.
async fn lake(options: &[(&str, &str)]) -> Lake {
    let lake = Lake::with(&[], options).await;
    for (folder, values) in [("k=1", vec![1, 2]), ("k=__HIVE_DEFAULT_PARTITION__", vec![3]), ("k=a%2Fb", vec![4])] {
        let rows: Vec<String> = values.iter().map(i64::to_string).collect();
        lake.write(&format!("c/{folder}/a.csv"), &format!("v\n{}\n", rows.join("\n")));
        let lines: Vec<String> = values.iter().map(|value| format!("{{\"v\": {value}}}\n")).collect();
        lake.write(&format!("j/{folder}/a.jsonl"), &lines.concat());
        write(lake.folder.path(), &format!("p/{folder}/a.parquet"), &numbers(values));
    }
    lake
}

#[tokio::test]
async fn a_folder_without_a_value_is_null() {
    for options in [&[][..], &[("list_cache", "1h")]] {
        let lake = lake(options).await;
        let seen = lake.introspect().await;
        assert!(seen.tables.len() == 3 && seen.tables.iter().all(|table| table.columns[1].nullable));
        let context = lake.context().await;
        for table in ["c", "j", "p"] {
            let all = cells(&query(&context, &format!("SELECT v, k, k IS NULL FROM {table} ORDER BY v")).await.unwrap());
            assert_eq!(all, [["1", "1", "false"], ["2", "1", "false"], ["3", "", "true"], ["4", "a/b", "false"]], "{table}");
            for (filter, wanted) in [
                ("k IS NULL", "3"),
                ("k IS NOT NULL", "1 2 4"),
                ("k = '1'", "1 2"),
                ("k = 'a/b'", "4"),
                ("k = 'a%2Fb'", ""),
                ("k = '__HIVE_DEFAULT_PARTITION__'", ""),
                ("k <> '1'", "4"),
                ("k IN ('1', 'a/b')", "1 2 4"),
                ("k NOT IN ('1', 'x')", "4"),
                ("k NOT IN ('1', NULL)", ""),
                ("k IS DISTINCT FROM '1'", "3 4"),
                ("coalesce(k, 'none') = 'none'", "3"),
                ("k IS NULL OR v = 4", "3 4"),
                ("k IS NULL AND v > 3", ""),
                ("NOT (k = '1')", "4"),
            ] {
                let found = cells(&query(&context, &format!("SELECT v FROM {table} WHERE {filter} ORDER BY v")).await.unwrap());
                assert_eq!(found.concat().join(" "), wanted, "{table} {filter}");
            }
            let grouped = format!("SELECT k, count(*) FROM {table} GROUP BY k ORDER BY k NULLS FIRST");
            assert_eq!(cells(&query(&context, &grouped).await.unwrap()), [["", "1"], ["1", "2"], ["a/b", "1"]], "{table}");
            // Statistics of files may answer this.
            let told = format!("SELECT count(*), count(k), min(k), max(k) FROM {table}");
            assert_eq!(cells(&query(&context, &told).await.unwrap()), [["4", "3", "1", "a/b"]], "{table}");
            let nothing = format!("SELECT count(k), max(k), count(*) FROM {table} WHERE k IS NULL");
            assert_eq!(cells(&query(&context, &nothing).await.unwrap()), [["0", "", "1"]], "{table}");
        }
    }
}

#[tokio::test]
async fn a_filter_that_a_value_does_not_suit_is_not_blamed_on_a_file() {
    let lake = lake(&[]).await;
    let context = lake.context().await;
    for table in ["c", "j", "p"] {
        let error = query(&context, &format!("SELECT v FROM {table} WHERE CAST(k AS BIGINT) = 1")).await.unwrap_err();
        assert_eq!((error.kind(), error.datasource()), (ErrorKind::Invalid, Some("lake")));
        assert_eq!(error.message(), "a filter cannot be computed for the value \"a/b\" of the partition column \"k\"");
        let before = format!("SELECT v FROM {table} WHERE k <> 'a/b' AND CAST(k AS BIGINT) = 1 ORDER BY v");
        assert_eq!(cells(&query(&context, &before).await.unwrap()), [["1"], ["2"]]);
    }
}

#[tokio::test]
async fn a_damaged_file_of_a_folder_is_named() {
    let lake = Lake::of(&[("c/1.csv", "v\n1\n"), ("j/1.jsonl", "{\"v\": 1}\n")]).await;
    let (csv, json) = (super::choosing::gzip(b"v\n2\n").await, super::choosing::gzip(b"{\"v\": 2}\n").await);
    let good = numbers((0..5000).map(|n| n * 7919).collect());
    let folder = lake.folder.path();
    write(folder, "c/2.csv.gz", &csv);
    write(folder, "j/2.jsonl.gz", &json);
    write(folder, "p/1.parquet", &good);
    write(folder, "p/2.parquet", &good);
    let context = lake.context().await;
    let footer = good.len() - 8;
    let length = usize::try_from(u32::from_le_bytes(good[footer..footer + 4].try_into().unwrap())).unwrap();
    let overwritten = |from: usize, to: usize| [&good[..from], &vec![0xff; to - from], &good[to..]].concat();
    let damaged = [
        ("c", "c/2.csv.gz", csv[..csv.len() / 2].to_vec()),
        ("j", "j/2.jsonl.gz", json[..json.len() / 2].to_vec()),
        ("p", "p/2.parquet", good[..good.len() / 2].to_vec()),
        ("p", "p/2.parquet", overwritten(footer, footer + 4)),
        ("p", "p/2.parquet", overwritten(footer - length, footer)),
        ("p", "p/2.parquet", overwritten(4, footer - length)),
        ("p", "p/2.parquet", b"PAR1".to_vec()),
    ];
    for (table, path, bytes) in damaged {
        write(folder, path, &bytes);
        let frame = context.sql(&format!("SELECT sum(v) FROM {table}")).await.unwrap();
        let error = frame.collect().await.unwrap_err();
        let error = Error::find(&error).unwrap_or_else(|| panic!("{path}: {error}"));
        let wanted = (ErrorKind::Invalid, Some("lake"), Some(format!("table: {table}")));
        assert_eq!((error.kind(), error.datasource(), error.detail_text().map(str::to_owned)), wanted, "{error}");
        assert!(error.message().starts_with(&format!("{path} is damaged")), "{error}");
    }
}

/// How many rows the planner takes a table for.
async fn estimate(context: &SessionContext, table: &str) -> usize {
    use datafusion::common::stats::Precision;
    use datafusion::datasource::source::DataSourceExec;

    let plan = context.sql(&format!("SELECT id FROM {table}")).await.unwrap().create_physical_plan().await.unwrap();
    let scan = plan.downcast_ref::<DataSourceExec>().unwrap();
    match scan.data_source().partition_statistics(None).unwrap().num_rows {
        Precision::Inexact(rows) => rows,
        other => panic!("{table}: {other}"),
    }
}

#[tokio::test]
async fn rows_of_text_files_are_estimated() {
    let rows = "1,some text\n".repeat(1000);
    let lake = Lake::of(&[("c/1.csv", &format!("id,t\n{rows}")), ("j.jsonl", &"{\"id\": 1}\n".repeat(500))]).await;
    // Far more than the sample takes.
    let large: String = (0..600_000).map(|id: u32| format!("{id},{}\n", id.wrapping_mul(2_654_435_761))).collect();
    write(lake.folder.path(), "g.csv.gz", &super::choosing::gzip(format!("id,t\n{large}").as_bytes()).await);
    let context = lake.context().await;
    for (table, wanted, tolerance) in [("c", 1000, 0), ("j", 500, 0), ("g", 600_000, 60_000)] {
        let rows = estimate(&context, table).await;
        assert!(rows.abs_diff(wanted) <= tolerance, "{table}: {rows}");
    }
    lake.write("c/2.csv", &format!("id,t\n{rows}{rows}"));
    let rows = estimate(&context, "c").await;
    assert!(rows.abs_diff(3000) <= 3, "{rows}");
}

#[tokio::test]
async fn a_key_is_found_however_its_folder_is_written() {
    let lake = Lake::of(&[]).await;
    let names = ["a~b", "a[1]", "p|q", "x{y}", "%41", "plain"];
    for (row, name) in names.iter().enumerate() {
        lake.write(&format!("t/k={name}/a.csv"), &format!("v\n{row}\n"));
    }
    let context = lake.context().await;
    for (row, key) in ["a~b", "a[1]", "p|q", "x{y}", "A", "plain"].iter().enumerate() {
        let found = cells(&query(&context, &format!("SELECT v FROM t WHERE k = '{key}'")).await.unwrap());
        assert_eq!(found, [[row.to_string()]], "{key}");
    }
}
