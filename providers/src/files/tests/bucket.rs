//! Buckets, against a service that speaks S3.

use std::fmt::Write;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::error::DataFusionError;
use datafusion::parquet::file::properties::WriterProperties;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::choosing::gzip;
use super::s3_service::S3Service;
use super::*;

#[tokio::test]
async fn a_bucket_is_read_like_a_folder() {
    let Some(service) = S3Service::shared() else { return };
    service.put("tests/t.csv", b"id,name\n1,Ada\n2,Alan\n".to_vec()).await;
    service.put("tests/f/x=1/a b.jsonl", b"{\"v\": 1}\n".to_vec()).await;
    service.put("tests/f/x=2/c.jsonl", b"{\"v\": 2}\n".to_vec()).await;
    service.put("tests/p.parquet", parquet(vec![("n", Arc::new(Int64Array::from_iter_values(0..100_000)) as ArrayRef)])).await;
    service.put("tests/z/a.csv.gz", gzip(b"id\n5\n").await).await;
    service.put("tests/z/b.csv", b"id\n6\n".to_vec()).await;
    service.put("outside.csv", b"id\n1\n".to_vec()).await;

    let remote = service.open("s3://causeway-test/tests/", Some(service.key("reader"))).await.unwrap();
    let context = context(&remote).await;
    let mut names = context.catalog("datafusion").unwrap().schema("public").unwrap().table_names();
    names.sort();
    assert_eq!(names, ["f", "p", "t", "z"]);
    assert_eq!(cells(&query(&context, "SELECT sum(id), count(*) FROM z").await.unwrap()), [["11", "2"]]);
    assert_eq!(cells(&query(&context, "SELECT sum(v) FROM f WHERE x = '1'").await.unwrap()), [["1"]]);
    assert_eq!(cells(&query(&context, "SELECT name FROM t WHERE id = 2").await.unwrap()), [["Alan"]]);
    assert_eq!(cells(&query(&context, "SELECT sum(v), max(x) FROM f").await.unwrap()), [["3", "2"]]);
    assert_eq!(cells(&query(&context, "SELECT sum(n), count(*) FROM p WHERE n >= 50000").await.unwrap()), [["3749975000", "50000"]]);
    let joined = "SELECT t.name, f.v FROM t JOIN f ON f.v = t.id JOIN p ON p.n = t.id ORDER BY 2";
    assert_eq!(cells(&query(&context, joined).await.unwrap()), [["Ada", "1"], ["Alan", "2"]]);

    service.delete("tests/t.csv").await;
    let gone = query(&context, "SELECT * FROM t").await.unwrap_err();
    assert_eq!((gone.kind(), gone.datasource()), (ErrorKind::NotFound, Some("lake")));
}

#[tokio::test]
async fn patterns_are_looked_for_in_a_bucket() {
    let Some(service) = S3Service::shared() else { return };
    service.put("patterns/in/2024/a-1.csv", b"id\n1\n".to_vec()).await;
    service.put("patterns/in/2025/a-2.csv.gz", gzip(b"id\n2\n").await).await;
    service.put("patterns/in/2025/b-1.csv", b"id\n30\n".to_vec()).await;
    let key = service.key("reader");
    let options = [
        ("endpoint", service.endpoint()),
        ("allow_http", "true"),
        ("access_key_id", key.id()),
        ("secret_access_key", &key.secret),
        ("globs", "a = in/**/a-*; all = in/*/*.csv"),
    ];
    let remote = open("s3://causeway-test/patterns", &options, |_| {}).await.unwrap();
    let sums = "SELECT (SELECT sum(id) FROM a), (SELECT sum(id) FROM \"all\")";
    let context = context(&remote).await;
    assert_eq!(cells(&query(&context, sums).await.unwrap()), [["3", "31"]]);
    service.put("patterns/in/2026/a-9.csv", b"id\n100\n".to_vec()).await;
    assert_eq!(cells(&query(&context, sums).await.unwrap()), [["103", "131"]]);
}

#[tokio::test]
async fn a_missing_bucket_is_not_found() {
    let Some(service) = S3Service::shared() else { return };
    // Its owner may do all; to others a service need not say whether a bucket exists.
    let error = service.open("s3://causeway-missing/x", Some(service.key("owner"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(error.message().contains("s3://causeway-missing/x"), "{error}");
}

#[tokio::test]
async fn a_wrong_secret_is_unauthorized_and_never_shown() {
    let Some(service) = S3Service::shared() else { return };
    let wrong = service.key("reader").with_secret("hush-hush");
    let error = service.open("s3://causeway-test/tests", Some(&wrong)).await.unwrap_err();
    assert_eq!((error.kind(), error.datasource()), (ErrorKind::Unauthorized, Some("lake")), "{error:?}");
    assert!(error.message().contains("s3://causeway-test/tests"), "{error}");
    let told = format!("{error} {error:?} {:?}", error.hint_text());
    assert!(!told.contains("hush") && !told.contains(&service.key("reader").secret), "{told}");
}

#[tokio::test]
async fn two_datasources_on_one_bucket_each_read_with_their_own_key() {
    let Some(service) = S3Service::shared() else { return };
    service.put("shared/open.csv", b"id\n1\n".to_vec()).await;
    service.put("shared/closed.csv", b"id\n2\n".to_vec()).await;
    let place = "s3://causeway-test/shared";
    let reader = service.open(place, Some(service.key("reader"))).await.unwrap();
    let guest = service.open(place, Some(service.key("guest"))).await.unwrap();

    let readers = context(&reader).await;
    let both = "SELECT (SELECT max(id) FROM open), (SELECT max(id) FROM closed)";
    assert_eq!(cells(&query(&readers, both).await.unwrap()), [["1", "2"]]);

    let seen = guest.introspect(&Scope::default(), soon()).await.unwrap();
    assert_eq!(seen.tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["open"]);
    let omitted: Vec<_> = seen.omitted.iter().map(|omission| (omission.subject.as_str(), omission.reason.as_str())).collect();
    assert!(matches!(omitted.as_slice(), [(subject, reason)] if subject.contains("closed") && reason.contains("refuses")), "{omitted:?}");
    assert_eq!(cells(&query(&context(&guest).await, "SELECT id FROM open").await.unwrap()), [["1"]]);

    // What the reader knows of the closed table does not open it to the guest.
    let closed = reader.introspect(&Scope::default(), soon()).await.unwrap().tables.into_iter().find(|t| t.name == "closed").unwrap();
    assert_eq!(Arc::clone(&guest).table(&closed).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(cells(&query(&readers, "SELECT id FROM closed").await.unwrap()), [["2"]]);
}

#[tokio::test]
async fn without_a_key_a_public_bucket_is_read() {
    let Some(service) = S3Service::start("open") else { return };
    service.put("public/t.csv", b"id\n7\n".to_vec()).await;
    let remote = service.open("s3://causeway-test/public", None).await.unwrap();
    assert_eq!(cells(&query(&context(&remote).await, "SELECT id FROM t").await.unwrap()), [["7"]]);
}

/// A service that dies while rows flow gives an error that names the datasource, whatever the format.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_dies_mid_scan_is_unreachable() {
    for (file, bytes, rows) in [("t.csv", large_csv(), CSV_ROWS), ("t.parquet", large_parquet(), PARQUET_ROWS)] {
        let Some(service) = S3Service::start("checked") else { return };
        service.put(&format!("large/{file}"), bytes).await;
        let remote = service.open("s3://causeway-test/large", Some(service.key("reader"))).await.unwrap();
        let context = context(&remote).await;
        let mut stream = context.sql("SELECT * FROM t").await.unwrap().execute_stream().await.unwrap();
        let mut received = stream.next().await.unwrap().unwrap().num_rows();
        service.kill();
        let mut failure: Option<DataFusionError> = None;
        while let Some(next) = stream.next().await {
            match next {
                Ok(batch) => received += batch.num_rows(),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let failure = failure.unwrap_or_else(|| panic!("{file}: {received} rows of {rows} look complete"));
        let error = Error::find(&failure).unwrap_or_else(|| panic!("{file}: not an error of ours: {failure}"));
        assert_eq!((error.kind(), error.datasource()), (ErrorKind::Unreachable, Some("lake")), "{file}: {error:?}");
        assert!(received < rows, "{file}: all {rows} rows had arrived before the service died");
    }
}

const CSV_ROWS: usize = 60_000;
const PARQUET_ROWS: usize = 60_000;

/// More than the sockets between the service and us hold.
fn large_csv() -> Vec<u8> {
    let mut text = "id,filler\n".to_owned();
    for id in 0..CSV_ROWS {
        writeln!(text, "{id},{}", "x".repeat(1000)).unwrap();
    }
    text.into_bytes()
}

/// Many row groups, each read by a request of its own.
fn large_parquet() -> Vec<u8> {
    let columns: Vec<(&str, ArrayRef)> = vec![("n", Arc::new(Int64Array::from_iter_values(0..i64::try_from(PARQUET_ROWS).unwrap())))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// A service that lists `secret.v1.csv` in its bucket and lets nobody read it.
async fn forbidding_service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            let (status, body) = if String::from_utf8(request).unwrap().contains("list-type=2") {
                let contents = "<Contents><Key>secret.v1.csv</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>1</ETag>\
                                <Size>9</Size></Contents>";
                ("200 OK", format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"))
            } else {
                ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>".to_owned())
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            socket.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    endpoint
}

#[tokio::test]
async fn a_forbidden_object_is_a_table_that_may_not_be_read() {
    let endpoint = forbidding_service().await;
    let remote = open("s3://causeway-test", &[("endpoint", endpoint.as_str()), ("allow_http", "true")], |_| {}).await.unwrap();
    let seen = remote.introspect(&Scope::default(), soon()).await.unwrap();
    assert_eq!(seen.tables, []);
    let omitted: Vec<_> = seen.omitted.iter().map(|omission| (omission.subject.as_str(), omission.cause)).collect();
    // The table's own subject, by which it is known wherever else.
    assert_eq!(omitted, [("\"secret.v1\"", OmissionCause::Unreadable)]);
    let subject = Subject::table("", "secret.v1");
    assert_eq!(subject.to_string(), seen.omitted[0].subject);
    let answers = remote.presence(&[subject, Subject::table("", "secret")], soon()).await.unwrap();
    assert_eq!(answers, [RemotePresence::Forbidden, RemotePresence::Absent]);
}
