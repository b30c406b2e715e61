//! The store a datasource reads from, and its errors in our words.

use std::error::Error as StdError;
use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};

use super::compression::Damaged;
use super::rooted::Rooted;
use super::settings::{ACCESS_KEY_ID, ALLOW_HTTP, SECRET_ACCESS_KEY, Target};
use super::web::web;
use crate::error::{Error, ErrorKind, Result, VALUE_REFUSED};
use crate::options::Options;
use crate::remote::RemoteId;

/// Where a datasource's files are.
#[derive(Debug, Clone)]
pub(super) struct Location {
    /// The path or URL as the user wrote it. It holds no credential.
    pub(super) shown: String,
    /// The store, rooted there.
    pub(super) store: Arc<dyn ObjectStore>,
    /// What it is.
    pub(super) place: StoreKind,
}

/// What kind of store holds the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreKind {
    Folder,
    Bucket,
    Web,
}

impl StoreKind {
    /// Its name for people.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Bucket => "S3 bucket",
            Self::Web => "web server",
        }
    }
}

/// Builds the store. For a folder this looks whether it is there; a bucket or a server is not asked yet.
pub(super) fn locate(options: &Options, target: Target) -> Result<Location> {
    let shown = options.required("path")?.to_owned();
    let (store, place): (Arc<dyn ObjectStore>, _) = match target {
        Target::Folder(path) => (folder(FilePath::new(&path))?, StoreKind::Folder),
        Target::Bucket { name, prefix } => (bucket(&name, prefix, options)?, StoreKind::Bucket),
        Target::Web { base, files } => (web(&base, files, client(options)?, retry(options))?, StoreKind::Web),
    };
    Ok(Location { shown, store, place })
}

fn folder(path: &FilePath) -> Result<Arc<dyn ObjectStore>> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => missing(&shown.to_string()).because(e),
        io::ErrorKind::PermissionDenied => Error::new(ErrorKind::Unauthorized, format!("the folder {shown} may not be read")).because(e),
        _ => Error::new(ErrorKind::Unreachable, format!("the folder {shown} cannot be reached")).because(e),
    })?;
    if !metadata.is_dir() {
        return Err(Error::new(ErrorKind::Invalid, format!("{shown} is not a folder"))
            .hint("give the option `path` the folder around the file; the file is then a table named after it"));
    }
    let store = LocalFileSystem::new_with_prefix(path).map_err(|e| store_failure(&e, &shown.to_string()))?;
    Ok(Arc::new(store))
}

fn missing(shown: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no folder {shown}")).hint("correct the option `path`")
}

/// Looks whether a local folder is still there. An object store lists a missing one as empty.
pub(super) fn still_there(location: &str) -> Result<()> {
    if location.contains("://") || FilePath::new(location).is_dir() { Ok(()) } else { Err(missing(location)) }
}

fn bucket(name: &str, prefix: object_store::path::Path, options: &Options) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_region(options.required("region")?)
        .with_client_options(client(options)?)
        .with_retry(retry(options));
    if let Some(endpoint) = options.get("endpoint") {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    builder = match (options.get(ACCESS_KEY_ID), options.secret(SECRET_ACCESS_KEY)) {
        (Some(id), Some(secret)) => builder.with_access_key_id(id).with_secret_access_key(secret),
        // Half a key is a fault of the options.
        (Some(_), None) | (None, Some(_)) | (None, None) => builder.with_skip_signature(true),
    };
    let store = builder.build().map_err(|e| {
        // The builder's own text may quote what it was given.
        drop(e);
        Error::new(ErrorKind::Invalid, "the options do not describe an S3 bucket").hint("check `path`, `endpoint` and `region`")
    })?;
    Ok(Arc::new(Rooted::at(store, prefix)))
}

fn client(options: &Options) -> Result<ClientOptions> {
    let mut client = ClientOptions::new()
        .with_connect_timeout(options.pool.connect_timeout)
        // The whole of a large file may take long: `query_timeout` bounds a statement, not this.
        .with_timeout_disabled()
        .with_allow_http(options.flag(ALLOW_HTTP));
    if let Some(path) = options.path("sslrootcert") {
        let shown = path.display();
        let invalid = || Error::new(ErrorKind::Invalid, format!("{shown} holds no certificates that can be read"));
        let hint = "give the option `sslrootcert` a file of certificates in PEM";
        let text = std::fs::read(&path).map_err(|e| invalid().hint(hint).because(e))?;
        let certificates = Certificate::from_pem_bundle(&text).map_err(|e| invalid().hint(hint).because(e))?;
        if certificates.is_empty() {
            return Err(invalid().hint(hint));
        }
        for certificate in certificates {
            client = client.with_root_certificate(certificate);
        }
    }
    Ok(client)
}

fn retry(options: &Options) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: Duration::from_millis(50), max_backoff: Duration::from_secs(1), base: 2.0 },
        max_retries: 3,
        retry_timeout: options.pool.connect_timeout,
    }
}

/// An error of the store about `what`, a path or URL.
pub(super) fn store_failure(error: &object_store::Error, what: &str) -> Error {
    if chain(error).any(|cause| cause.is::<Damaged>()) {
        return malformed_file(what);
    }
    let text = error.to_string();
    // Only requests for one object have kinds of their own; a listing fails with a status in the text.
    let status = match error {
        object_store::Error::NotFound { .. } => Some(404),
        object_store::Error::Unauthenticated { .. } | object_store::Error::PermissionDenied { .. } => Some(403),
        object_store::Error::Precondition { .. } | object_store::Error::NotModified { .. } => Some(412),
        _ => match in_file_system(error) {
            Some(io::ErrorKind::NotFound) => Some(404),
            Some(io::ErrorKind::PermissionDenied) => Some(403),
            _ => status(&text),
        },
    };
    let failed = match status {
        Some(404) => {
            Error::new(ErrorKind::NotFound, format!("{what} does not exist")).hint("check the option `path`, or refresh the catalog")
        }
        Some(401 | 403) => Error::new(ErrorKind::Unauthorized, format!("the store refuses to let us read {what}"))
            .hint("check what the access key, or the gateway's user, may read"),
        Some(412) => Error::new(ErrorKind::Conflict, format!("{what} changed while it was read")).hint("run the statement again"),
        Some(500..) => Error::new(ErrorKind::Unreachable, format!("the store of {what} is out of order")).hint("try again later"),
        None if matches!(error, object_store::Error::NotSupported { .. }) => {
            Error::new(ErrorKind::Unsupported, format!("the server of {what} gives no part of a file, and Parquet is read in parts"))
                .hint("have the server answer requests with a `Range`, or keep the file elsewhere")
        }
        None if is_transport(error) => {
            Error::new(ErrorKind::Unreachable, format!("the store of {what} does not answer")).hint("check `endpoint` and the network")
        }
        _ => Error::new(ErrorKind::Failed, format!("reading {what} failed")),
    };
    failed.because(text)
}

fn status(text: &str) -> Option<u16> {
    text.split_once("non-2xx status code: ")?.1.get(..3)?.parse().ok()
}

/// The kind of the file system's own error.
fn in_file_system(error: &object_store::Error) -> Option<io::ErrorKind> {
    chain(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

fn is_transport(error: &object_store::Error) -> bool {
    chain(error).any(|cause| match cause.downcast_ref::<HttpError>() {
        Some(http) => {
            matches!(http.kind(), HttpErrorKind::Connect | HttpErrorKind::Request | HttpErrorKind::Timeout | HttpErrorKind::Interrupted)
        }
        None => cause.downcast_ref::<io::Error>().is_some(),
    })
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

/// An error of the datasource `id` while `what` was read or planned. What is not about files, such as a lack of memory, passes unchanged.
pub(super) fn read_failure(error: DataFusionError, what: &str, id: &RemoteId) -> DataFusionError {
    match error {
        DataFusionError::External(source) => match source.downcast::<Error>() {
            Ok(own) => own.at(id.as_str()).into(),
            Err(source) => classify(DataFusionError::External(source), what, |e| e.at(id.as_str())),
        },
        error => classify(error, what, |e| e.at(id.as_str())),
    }
}

/// A file of a table, as errors name it; the datasource is named further up.
#[derive(Debug, Clone)]
pub(super) struct FileName {
    path: Arc<str>,
    table: Arc<str>,
}

impl FileName {
    pub(super) fn new(path: &str, table: &Arc<str>) -> Self {
        Self { path: path.into(), table: Arc::clone(table) }
    }

    /// An error about this file, whose text is told its path.
    pub(super) fn error(&self, kind: ErrorKind, text: impl FnOnce(&str) -> String) -> Error {
        self.of(Error::new(kind, text(&self.path)))
    }

    fn of(&self, error: Error) -> Error {
        error.detail(format!("table: {}", self.table))
    }
}

/// An error while a file was read.
pub(super) fn read_failure_in_file(error: DataFusionError, file: &FileName) -> DataFusionError {
    classify(error, &file.path, |e| file.of(e))
}

fn classify(error: DataFusionError, what: &str, name: impl Fn(Error) -> Error) -> DataFusionError {
    if Error::find(&error).is_some() {
        return error;
    }
    if let Some(store) = chain(&error).find_map(|cause| cause.downcast_ref::<object_store::Error>()) {
        // The path in the store's error is the file, which says more than the table.
        let file = match store {
            object_store::Error::NotFound { path, .. }
            | object_store::Error::PermissionDenied { path, .. }
            | object_store::Error::Unauthenticated { path, .. }
            | object_store::Error::Precondition { path, .. } => path.as_str(),
            _ => what,
        };
        return name(store_failure(store, file)).into();
    }
    let malformed = chain(&error).any(|cause| cause.is::<ParquetError>() || is_about_values(cause));
    if malformed { name(malformed_file(what)).into() } else { error }
}

/// The error of a file that is not what it was when its columns were inferred. Its cause would quote rows, and is left out.
fn malformed_file(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{what} is damaged or has a row or value that does not fit the table's columns"))
        .code(VALUE_REFUSED)
        .hint("types are inferred from the first part of a file; mend the row, or refresh the catalog if the file is a new one")
}

fn is_about_values(cause: &(dyn StdError + 'static)) -> bool {
    let arrow = cause.downcast_ref::<ArrowError>().or_else(|| match cause.downcast_ref::<DataFusionError>() {
        Some(DataFusionError::ArrowError(arrow, _)) => Some(arrow.as_ref()),
        _ => None,
    });
    arrow.is_some_and(|arrow| {
        matches!(
            arrow,
            ArrowError::ParseError(_)
                | ArrowError::CsvError(_)
                | ArrowError::JsonError(_)
                | ArrowError::CastError(_)
                | ArrowError::ParquetError(_)
                | ArrowError::SchemaError(_)
                | ArrowError::InvalidArgumentError(_)
                | ArrowError::IoError(..)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl Into<Box<dyn StdError + Send + Sync>>) -> object_store::Error {
        object_store::Error::Generic { store: "test", source: source.into() }
    }

    #[test]
    fn errors_of_stores_have_kinds() {
        let answered = |status: &str| generic(format!("Server returned non-2xx status code: {status}: <xml/>"));
        let cases = [
            (answered("404 Not Found"), ErrorKind::NotFound),
            (answered("403 Forbidden"), ErrorKind::Unauthorized),
            (answered("401 Unauthorized"), ErrorKind::Unauthorized),
            (answered("503 Slow Down"), ErrorKind::Unreachable),
            (answered("400 Bad Request"), ErrorKind::Failed),
            (generic(io::Error::from(io::ErrorKind::PermissionDenied)), ErrorKind::Unauthorized),
            (generic(io::Error::from(io::ErrorKind::ConnectionReset)), ErrorKind::Unreachable),
            (generic("odd"), ErrorKind::Failed),
        ];
        for (error, kind) in cases {
            let seen = store_failure(&error, "s3://b/x");
            assert_eq!(seen.kind(), kind, "{error}");
            assert!(seen.message().contains("s3://b/x") && !seen.message().contains("xml"), "{seen}");
        }
    }

    #[test]
    fn what_is_not_about_files_passes() {
        let id = RemoteId::new("lake");
        let spent = DataFusionError::ResourcesExhausted("memory".to_owned());
        assert!(matches!(read_failure(spent, "t", &id), DataFusionError::ResourcesExhausted(_)));
        let torn = read_failure(ArrowError::ParseError("value 'hush'".to_owned()).into(), "t.csv", &id);
        let torn = Error::find(&torn).unwrap();
        assert_eq!((torn.kind(), torn.datasource()), (ErrorKind::Invalid, Some("lake")));
        assert!(!format!("{torn:?}").contains("hush"));
    }
}
