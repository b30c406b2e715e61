//! What the words of the option `sslmode` mean to the driver.

use std::sync::Arc;

use tokio_rustls::TlsConnector;

use super::manifest::{DISABLE, REQUIRE, VERIFY_FULL};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{OptionFault, Options};
use crate::tls::{Check, Roots, SSLMODE, client_config};

/// How to talk TLS; `None` is not to.
///
/// # Errors
/// `Invalid` when the file that `sslrootcert` names cannot be read.
pub(super) fn from_options(options: &Options) -> Result<Option<TlsConnector>> {
    let (is_encrypted, check) = match options.required(SSLMODE)? {
        DISABLE => (false, Check::Nothing),
        REQUIRE => (true, Check::Nothing),
        VERIFY_FULL => (true, Check::ChainAndName),
        other => return Err(Error::new(ErrorKind::Internal, format!("sslmode {other} is in the manifest and not known here"))),
    };
    let config = client_config(options, check)?;
    Ok(is_encrypted.then(|| TlsConnector::from(Arc::new(config))))
}

/// What is wrong with the options of TLS together.
pub(super) fn faults(options: &Options) -> Vec<OptionFault> {
    crate::tls::faults(options, &[VERIFY_FULL], Roots::Named)
}
