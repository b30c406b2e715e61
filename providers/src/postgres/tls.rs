//! What libpq's `sslmode` words mean to the driver.

use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, ErrorKind, Result};
use crate::options::{OptionFault, Options};
use crate::tls::{Check, Roots, SSLMODE, client_config};

/// How to talk TLS, and whether to.
pub(super) fn from_options(options: &Options) -> Result<(SslMode, MakeRustlsConnect)> {
    let (mode, check) = match options.required(SSLMODE)? {
        "disable" => (SslMode::Disable, Check::Nothing),
        "prefer" => (SslMode::Prefer, Check::Nothing),
        "require" => (SslMode::Require, Check::Nothing),
        "verify-ca" => (SslMode::Require, Check::Chain),
        "verify-full" => (SslMode::Require, Check::ChainAndName),
        other => return Err(Error::new(ErrorKind::Internal, format!("sslmode {other} is in the manifest and not known here"))),
    };
    Ok((mode, MakeRustlsConnect::new(client_config(options, check)?)))
}

/// What is wrong with the options of TLS together.
pub(super) fn faults(options: &Options) -> Vec<OptionFault> {
    crate::tls::faults(options, &["verify-ca", "verify-full"], Roots::Named)
}
