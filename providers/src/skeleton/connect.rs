//! The way to the source: dialling, credentials, and what each of its errors means.

use std::io;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::remote::ServerVersion;

/// Where the source is. A source that is dialled has its pool of connections here.
#[derive(Debug, Clone)]
pub(super) struct Source {
    path: PathBuf,
}

impl Source {
    pub(super) fn of(options: &Options) -> Result<Self> {
        Ok(Self { path: PathBuf::from(options.required("path")?) })
    }

    /// The cheapest question that shows whether the source is well.
    pub(super) async fn version(&self) -> Result<ServerVersion> {
        tokio::fs::metadata(&self.path).await.map_err(|error| self.failure(error))?;
        Ok(ServerVersion { product: "text file".to_owned(), version: "1".to_owned() })
    }

    /// All lines. Of a large source, give a stream that ends its work when it is dropped.
    pub(super) async fn lines(&self) -> Result<Vec<String>> {
        let text = tokio::fs::read_to_string(&self.path).await.map_err(|error| self.failure(error))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// What the reader can do about an error, and no credential in it.
    fn failure(&self, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::Unauthorized,
            io::ErrorKind::InvalidData => ErrorKind::Invalid,
            _ => ErrorKind::Unreachable,
        };
        Error::new(kind, format!("the file {} cannot be read", self.path.display())).because(error)
    }
}
