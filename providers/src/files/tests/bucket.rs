//! Buckets, against any service that speaks S3: `CAUSEWAY_TEST_S3` is its endpoint, `CAUSEWAY_TEST_S3_KEY` and
//! `CAUSEWAY_TEST_S3_SECRET` a key that may write to its bucket `causeway-test`, when it checks keys.

use datafusion::arrow::array::{ArrayRef, Int64Array};
use object_store::ObjectStoreExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as ObjectPath;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

struct Service {
    endpoint: String,
    key: String,
    secret: String,
}

impl Service {
    /// The service the environment names; without one the test is skipped, which it says.
    #[expect(clippy::print_stderr, reason = "a skipped test is to be seen")]
    fn from_environment() -> Option<Self> {
        let Ok(endpoint) = std::env::var("CAUSEWAY_TEST_S3") else {
            eprintln!("SKIPPED: CAUSEWAY_TEST_S3 names no S3 endpoint");
            return None;
        };
        let or = |name: &str| std::env::var(name).unwrap_or_else(|_| "testing".to_owned());
        Some(Self { endpoint, key: or("CAUSEWAY_TEST_S3_KEY"), secret: or("CAUSEWAY_TEST_S3_SECRET") })
    }

    fn store(&self, bucket: &str) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(bucket)
            .with_access_key_id(&self.key)
            .with_secret_access_key(&self.secret)
            .build()
            .unwrap()
    }

    async fn open(&self, path: &str, secret: Option<&str>) -> Result<Arc<dyn Remote>> {
        let mut options = vec![("endpoint", self.endpoint.as_str()), ("allow_http", "true")];
        if let Some(secret) = secret {
            options.push(("access_key_id", &self.key));
            options.push(("secret_access_key", secret));
        }
        open(path, &options, |_| {}).await
    }
}

async fn put(store: &AmazonS3, path: &str, bytes: Vec<u8>) {
    store.put(&ObjectPath::parse(path).unwrap(), bytes.into()).await.unwrap();
}

#[tokio::test]
async fn a_bucket_is_read_like_a_folder() {
    let Some(service) = Service::from_environment() else { return };
    let store = service.store("causeway-test");
    put(&store, "tests/t.csv", b"id,name\n1,Ada\n2,Alan\n".to_vec()).await;
    put(&store, "tests/f/x=1/a b.jsonl", b"{\"v\": 1}\n".to_vec()).await;
    put(&store, "tests/f/x=2/c.jsonl", b"{\"v\": 2}\n".to_vec()).await;
    put(&store, "tests/p.parquet", parquet(vec![("n", Arc::new(Int64Array::from_iter_values(0..100_000)) as ArrayRef)])).await;
    put(&store, "outside.csv", b"id\n1\n".to_vec()).await;

    let remote = service.open("s3://causeway-test/tests/", Some(&service.secret)).await.unwrap();
    let context = context(&remote).await;
    let mut names = context.catalog("datafusion").unwrap().schema("public").unwrap().table_names();
    names.sort();
    assert_eq!(names, ["f", "p", "t"]);
    assert_eq!(cells(&query(&context, "SELECT name FROM t WHERE id = 2").await.unwrap()), [["Alan"]]);
    assert_eq!(cells(&query(&context, "SELECT sum(v), max(x) FROM f").await.unwrap()), [["3", "2"]]);
    assert_eq!(cells(&query(&context, "SELECT sum(n), count(*) FROM p WHERE n >= 50000").await.unwrap()), [["3749975000", "50000"]]);

    store.delete(&ObjectPath::parse("tests/t.csv").unwrap()).await.unwrap();
    let gone = query(&context, "SELECT * FROM t").await.unwrap_err();
    assert_eq!((gone.kind(), gone.datasource()), (ErrorKind::NotFound, Some("lake")));
}

#[tokio::test]
async fn a_missing_bucket_is_not_found() {
    let Some(service) = Service::from_environment() else { return };
    let error = service.open("s3://causeway-missing/x", Some(&service.secret)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(error.message().contains("s3://causeway-missing/x"), "{error}");
}

/// The service checks signatures when a key is named for it.
#[tokio::test]
async fn a_wrong_key_is_unauthorized_and_never_shown() {
    let Some(service) = Service::from_environment().filter(|_| std::env::var("CAUSEWAY_TEST_S3_KEY").is_ok()) else { return };
    let error = service.open("s3://causeway-test/tests", Some("hush-hush")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(error.message().contains("s3://causeway-test/tests"), "{error}");
    assert!(!format!("{error:?}").contains("hush"), "{error:?}");
}

/// When none is named the bucket is open to everybody: its policy allows `s3:*` to all.
#[tokio::test]
async fn without_a_key_a_public_bucket_is_read() {
    let Some(service) = Service::from_environment().filter(|_| std::env::var("CAUSEWAY_TEST_S3_KEY").is_err()) else { return };
    put(&service.store("causeway-test"), "public/t.csv", b"id\n7\n".to_vec()).await;
    let remote = service.open("s3://causeway-test/public", None).await.unwrap();
    assert_eq!(cells(&query(&context(&remote).await, "SELECT id FROM t").await.unwrap()), [["7"]]);
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
    assert_eq!(remote.presence(&subject, soon()).await.unwrap(), RemotePresence::Forbidden);
    assert_eq!(remote.presence(&Subject::table("", "secret"), soon()).await.unwrap(), RemotePresence::Absent);
}
