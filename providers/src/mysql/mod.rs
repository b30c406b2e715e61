//! The `mysql` connector.

use std::sync::Arc;

use async_trait::async_trait;

use crate::connector::Connector;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;
use crate::options::Options;
use crate::remote::Remote;

/// The connector.
#[derive(Debug, Default)]
pub struct MySqlConnector;

static MANIFEST: Manifest = Manifest { kind: "mysql", description: "", options: &[] };

#[async_trait]
impl Connector for MySqlConnector {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn open(&self, _options: &Options) -> Result<Arc<dyn Remote>> {
        Err(Error::new(ErrorKind::Unsupported, "not yet"))
    }
}
