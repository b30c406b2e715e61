//! Files that change while they are read: the rows they had when they were opened, or an error that names them.

use std::fs::File;
use std::io::Write;

use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::{array::AsArray, compute::concat_batches};
use datafusion::prelude::SessionConfig;
use futures::StreamExt;

use super::*;

const ROWS: i64 = 400_000;

/// Rows that are as long as any others of their format.
fn rows(format: &str, first: i64) -> String {
    let ids = (first..first + ROWS).map(|id| 1_000_000 + id);
    match format {
        "csv" => std::iter::once("id,note\n".to_owned()).chain(ids.map(|id| format!("{id},some text about it\n"))).collect(),
        _ => ids.map(|id| format!("{{\"id\": {id}, \"note\": \"some text about it\"}}\n")).collect(),
    }
}

/// What a scan gives whose file is changed by `change` once its first rows are here: how many rows, and the sum of their keys.
async fn scan(format: &str, partitions: usize, change: impl FnOnce(&Path)) -> Result<(usize, i64)> {
    let lake = Lake::of(&[]).await;
    let file = format!("t.{format}");
    let text = rows(format, 0);
    if format == "csv.gz" {
        write(lake.folder.path(), &file, &super::choosing::gzip(rows("csv", 0).as_bytes()).await);
    } else {
        lake.write(&file, &text);
    }
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(partitions));
    let table = lake.introspect().await.tables.remove(0);
    context.register_table("t", Arc::clone(&lake.remote).table(&table).unwrap()).unwrap();
    let mut stream = context.sql("SELECT id FROM t").await.unwrap().execute_stream().await.unwrap();
    let mut batches = vec![stream.next().await.unwrap().unwrap()];
    change(&lake.folder.path().join(&file));
    while let Some(batch) = stream.next().await {
        batches.push(batch.map_err(|e| {
            let error = Error::find(&e).unwrap_or_else(|| panic!("{e}"));
            Error::new(error.kind(), error.message()).hint(error.hint_text().unwrap_or_default())
        })?);
    }
    let all = concat_batches(&batches[0].schema(), &batches).unwrap();
    let ids = all.column(0).as_primitive::<Int64Type>();
    Ok((ids.len(), ids.values().iter().sum()))
}

fn whole() -> (usize, i64) {
    (usize::try_from(ROWS).unwrap(), (0..ROWS).map(|id| 1_000_000 + id).sum())
}

/// Cuts a file as `copytruncate` does.
fn cut(path: &Path, length: u64) {
    File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_or_written_over_is_an_error_that_names_it() {
    for (format, partitions) in [("csv", 1), ("jsonl", 1), ("jsonl", 4)] {
        let row = rows(format, 0).lines().nth(1).unwrap().len() as u64 + 1;
        for (what, outcome) in [
            ("cut to nothing", scan(format, partitions, |path| cut(path, 0)).await),
            ("cut behind a row", scan(format, partitions, |path| cut(path, row * 300_000)).await),
            ("written over", scan(format, partitions, |path| fs::write(path, rows(format, 5)).unwrap()).await),
            ("written over by more", scan(format, partitions, |path| fs::write(path, rows(format, 7).repeat(2)).unwrap()).await),
        ] {
            let error = outcome.expect_err(what);
            assert_eq!(error.kind(), ErrorKind::Conflict, "{format}, {what}: {error}");
            assert_eq!(error.message(), format!("t.{format} changed while it was read"), "{what}");
            assert_eq!(error.hint_text(), Some("run the statement again"), "{what}");
        }
    }
    let error = scan("csv.gz", 1, |path| cut(path, fs::metadata(path).unwrap().len() - 9)).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Conflict, "t.csv.gz changed while it was read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_or_grows_is_read_as_it_was() {
    for (format, partitions) in [("csv", 1), ("csv.gz", 1), ("jsonl", 1), ("jsonl", 4)] {
        let replaced = scan(format, partitions, |path| {
            let other = path.with_extension("new");
            fs::write(&other, "id,note\n1,x\n").unwrap();
            fs::rename(other, path).unwrap();
        });
        assert_eq!(replaced.await.unwrap(), whole(), "{format}: replaced");
        let gone = scan(format, partitions, |path| fs::remove_file(path).unwrap());
        assert_eq!(gone.await.unwrap(), whole(), "{format}: removed");
    }
    for (format, partitions) in [("csv", 1), ("jsonl", 1), ("jsonl", 4)] {
        let grown = scan(format, partitions, |path| {
            let row = rows(format, 0).lines().nth(1).unwrap().to_owned() + "\n";
            File::options().append(true).open(path).unwrap().write_all(row.repeat(1000).as_bytes()).unwrap();
        });
        assert_eq!(grown.await.unwrap(), whole(), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_are_opened_later_are_of_the_same_file() {
    let lake = Lake::of(&[("t.jsonl", &rows("jsonl", 0))]).await;
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(4));
    let table = lake.introspect().await.tables.remove(0);
    context.register_table("t", Arc::clone(&lake.remote).table(&table).unwrap()).unwrap();
    let parts = context.sql("SELECT id FROM t").await.unwrap().execute_stream_partitioned().await.unwrap();
    assert_eq!(parts.len(), 4);
    let (mut count, mut sum) = (0, 0);
    for mut part in parts {
        while let Some(batch) = part.next().await {
            let batch = batch.unwrap();
            if count == 0 {
                // The other parts are not asked for yet.
                lake.write("new", "{\"id\": 1}\n");
                fs::rename(lake.folder.path().join("new"), lake.folder.path().join("t.jsonl")).unwrap();
            }
            count += batch.num_rows();
            sum += batch.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>();
        }
    }
    assert_eq!((count, sum), whole());
}

/// How often this process has the file open.
#[cfg(target_os = "linux")]
fn handles(path: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link == path).count()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn files_are_closed_when_their_time_is_over_although_nobody_reads_on() {
    let lake = Lake::of(&[("t.csv", &rows("csv", 0))]).await;
    let folder = lake.folder.path().canonicalize().unwrap();
    let limited = open(folder.to_str().unwrap(), &[], |options| options.query_timeout = Some(Duration::from_secs(2))).await.unwrap();
    let endless = open(folder.to_str().unwrap(), &[], |options| options.query_timeout = None).await.unwrap();
    for (remote, kind) in [(&limited, ErrorKind::Timeout), (&endless, ErrorKind::Unreachable)] {
        let mut stream = context(remote).await.sql("SELECT id FROM t").await.unwrap().execute_stream().await.unwrap();
        assert!(stream.next().await.unwrap().is_ok());
        assert_eq!(handles(&folder.join("t.csv")), 1);
        if kind == ErrorKind::Unreachable {
            endless.close().await;
        }
        let closed = async {
            while handles(&folder.join("t.csv")) > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), closed).await.expect("the file is closed");
        let error = stream.filter_map(async |batch| batch.err()).boxed().next().await.unwrap();
        assert_eq!(Error::find(&error).unwrap().kind(), kind, "{error}");
    }
}
