//! An S3 service of our own that checks signatures and rights: `s3_service.py`, run by the Python that `.ci/run servers` set up.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use object_store::ObjectStoreExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as ObjectPath;

use super::open;
use crate::error::Result;
use crate::remote::Remote;
use crate::skip::skip;

const SCRIPT: &str = include_str!("s3_service.py");

/// The bucket every service begins with.
pub(super) const BUCKET: &str = "causeway-test";

/// A key of one of the users that `s3_service.py` makes.
#[derive(Debug, Clone)]
pub(super) struct Key {
    id: String,
    pub(super) secret: String,
}

/// A running service. It ends with the process that started it, or when dropped.
#[derive(Debug)]
pub(super) struct S3Service {
    endpoint: String,
    keys: BTreeMap<String, Key>,
    process: Mutex<Child>,
}

impl S3Service {
    /// The service that most tests share. It checks who asks. `None`, said loudly, where it is not installed.
    pub(super) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<S3Service>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Some(Self::run(python()?, "checked"))).as_ref();
        if shared.is_none() {
            skip_it();
        }
        shared
    }

    /// A service for one test: `checked`, or `open` to requests without a signature.
    pub(super) fn start(access: &str) -> Option<Self> {
        let started = python().map(|python| Self::run(python, access));
        if started.is_none() {
            skip_it();
        }
        started
    }

    fn run(python: PathBuf, access: &str) -> Self {
        let mut process = Command::new(python)
            .args(["-c", SCRIPT, access])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (mut endpoint, mut keys) = (String::new(), BTreeMap::new());
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            match line.unwrap().split(' ').collect::<Vec<_>>().as_slice() {
                ["endpoint", url] => endpoint = (*url).to_owned(),
                ["key", user, id, secret] => {
                    keys.insert((*user).to_owned(), Key { id: (*id).to_owned(), secret: (*secret).to_owned() });
                }
                ["ready"] => return Self { endpoint, keys, process: Mutex::new(process) },
                other => panic!("the S3 service says {other:?}"),
            }
        }
        panic!("the S3 service did not start: run its script {SCRIPT:.60}... by hand");
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn key(&self, user: &str) -> &Key {
        &self.keys[user]
    }

    /// Ends the service as a crash would.
    pub(super) fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Puts an object into the bucket.
    pub(super) async fn put(&self, path: &str, bytes: Vec<u8>) {
        self.owned().put(&ObjectPath::parse(path).unwrap(), bytes.into()).await.unwrap();
    }

    pub(super) async fn delete(&self, path: &str) {
        self.owned().delete(&ObjectPath::parse(path).unwrap()).await.unwrap();
    }

    fn owned(&self) -> AmazonS3 {
        let key = self.key("owner");
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(BUCKET)
            .with_access_key_id(&key.id)
            .with_secret_access_key(&key.secret)
            .build()
            .unwrap()
    }

    /// Opens the datasource at `path`, as one with `key` or as one without any.
    pub(super) async fn open(&self, path: &str, key: Option<&Key>) -> Result<std::sync::Arc<dyn Remote>> {
        let mut options = vec![("endpoint", self.endpoint.as_str()), ("allow_http", "true")];
        if let Some(key) = key {
            options.extend([("access_key_id", key.id.as_str()), ("secret_access_key", key.secret.as_str())]);
        }
        open(path, &options, |options| options.pool.connect_timeout = std::time::Duration::from_secs(10)).await
    }
}

impl Key {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The same key with another secret.
    pub(super) fn with_secret(&self, secret: &str) -> Self {
        Self { id: self.id.clone(), secret: secret.to_owned() }
    }
}

impl Drop for S3Service {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap();
        // It has ended already when the test killed it.
        let _ = process.kill();
        let _ = process.wait();
    }
}

fn skip_it() {
    skip("the S3 service", ".ci/run servers");
}

/// The Python that has the service's packages.
fn python() -> Option<PathBuf> {
    let told = std::env::var_os("CAUSEWAY_TEST_S3_PYTHON").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    // Written when all packages are there.
    let folder = cache.join("causeway/s3-service");
    told.or_else(|| folder.join("installed.txt").exists().then(|| folder.join("bin/python")))
}
