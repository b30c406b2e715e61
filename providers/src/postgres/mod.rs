//! The `postgres` connector.

use std::sync::Arc;

use async_trait::async_trait;

use crate::connector::Connector;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;
use crate::options::Options;
use crate::remote::Remote;

/// The connector.
#[derive(Debug, Default)]
pub struct PostgresConnector;

static MANIFEST: Manifest = Manifest { kind: "postgres", description: "", options: &[] };

#[async_trait]
impl Connector for PostgresConnector {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn open(&self, _options: &Options) -> Result<Arc<dyn Remote>> {
        Err(Error::new(ErrorKind::Unsupported, "not yet"))
    }
}
