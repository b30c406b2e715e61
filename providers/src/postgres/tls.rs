//! TLS as libpq's `sslmode` words mean it, by rustls with the ring provider.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::manifest::{SSLMODE, SSLROOTCERT};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;

/// How to talk TLS, and whether to.
pub(super) fn from_options(options: &Options) -> Result<(SslMode, MakeRustlsConnect)> {
    let invalid = |text: String| Error::new(ErrorKind::Invalid, text);
    let roots = options.path(SSLROOTCERT);
    let mode = match (options.required(SSLMODE)?, &roots) {
        ("verify-full", Some(_)) => SslMode::Require,
        ("verify-full", None) => {
            return Err(invalid("sslmode verify-full needs sslrootcert".to_owned())
                .hint("set `options.sslrootcert` to a PEM file with the authority that signed the server's certificate"));
        }
        (mode, Some(_)) => {
            return Err(invalid(format!("sslrootcert is not checked with sslmode {mode}"))
                .hint("set `options.sslmode` to verify-full, or remove `options.sslrootcert`"));
        }
        ("disable", None) => SslMode::Disable,
        ("prefer", None) => SslMode::Prefer,
        ("require", None) => SslMode::Require,
        (other, None) => return Err(Error::new(ErrorKind::Internal, format!("sslmode {other} is in the manifest and not known here"))),
    };
    Ok((mode, MakeRustlsConnect::new(client_config(roots.as_deref())?)))
}

fn client_config(roots: Option<&Path>) -> Result<ClientConfig> {
    // The process may have no default provider, or another one: name ours.
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new(ErrorKind::Internal, "ring offers no usable TLS version").because(cause))?;
    Ok(match roots {
        Some(path) => builder.with_root_certificates(read_roots(path)?).with_no_client_auth(),
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))).with_no_client_auth(),
    })
}

fn read_roots(path: &Path) -> Result<RootCertStore> {
    let shown = path.display();
    let hint = "set `options.sslrootcert` to a PEM file with the authority that signed the server's certificate";
    let pem = fs::read(path)
        .map_err(|cause| Error::new(ErrorKind::Invalid, format!("cannot read sslrootcert {shown}: {cause}")).hint(hint).because(cause))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate =
            certificate.map_err(|cause| Error::new(ErrorKind::Invalid, format!("sslrootcert {shown} is not PEM: {cause}")).hint(hint))?;
        roots
            .add(certificate)
            .map_err(|cause| Error::new(ErrorKind::Invalid, format!("sslrootcert {shown} has a bad certificate: {cause}")).hint(hint))?;
    }
    if roots.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, format!("sslrootcert {shown} has no certificate")).hint(hint));
    }
    Ok(roots)
}

/// Takes any certificate, as `prefer` and `require` do: they hide the traffic from listeners and prove nothing about the server.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
