//! Buckets, against any service that speaks S3: `CAUSEWAY_TEST_S3` is its endpoint, `CAUSEWAY_TEST_S3_KEY` and
//! `CAUSEWAY_TEST_S3_SECRET` a key that may write to its bucket `causeway-test`, when it checks keys.

use datafusion::arrow::array::{ArrayRef, Int64Array};
use object_store::ObjectStoreExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as ObjectPath;

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
