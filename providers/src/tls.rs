//! TLS to a source as libpq's `sslmode` words mean it, by rustls with the ring provider.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier};

use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;

/// The option that says how to connect.
pub(crate) const SSLMODE: &str = "sslmode";
/// The option that names the authorities whose certificates are trusted.
pub(crate) const SSLROOTCERT: &str = "sslrootcert";

/// How far the server's certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Not at all.
    Nothing,
    /// It is signed by an authority we trust, whatever its name.
    Chain,
    /// It is signed by an authority we trust, and for the host we dial.
    ChainAndName,
}

/// The client's side of TLS for a datasource with the options `sslmode` and `sslrootcert`, of which `sslmode` means `check`.
///
/// # Errors
/// `Invalid` when `sslrootcert` is missing where it is needed, there where it is of no use, or cannot be read.
pub(crate) fn client_config(options: &Options, check: Check) -> Result<ClientConfig> {
    match (check, options.path(SSLROOTCERT)) {
        (Check::Nothing, None) => configure(|builder, provider| {
            let verifier = AnyName { roots: None, provider };
            Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
        }),
        (Check::Nothing, Some(_)) => {
            let mode = options.required(SSLMODE)?;
            Err(Error::new(ErrorKind::Invalid, format!("sslrootcert is not checked with sslmode {mode}"))
                .hint("set `options.sslmode` to verify-full, or remove `options.sslrootcert`"))
        }
        (Check::Chain | Check::ChainAndName, None) => {
            let mode = options.required(SSLMODE)?;
            Err(Error::new(ErrorKind::Invalid, format!("sslmode {mode} needs sslrootcert"))
                .hint("set `options.sslrootcert` to a PEM file with the authority that signed the server's certificate"))
        }
        (Check::Chain, Some(path)) => configure(|builder, provider| {
            let verifier = AnyName { roots: Some(read_roots(&path)?), provider };
            Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
        }),
        (Check::ChainAndName, Some(path)) => {
            configure(|builder, _provider| Ok(builder.with_root_certificates(read_roots(&path)?).with_no_client_auth()))
        }
    }
}

fn configure(
    verify: impl FnOnce(ConfigBuilder<ClientConfig, WantsVerifier>, Arc<CryptoProvider>) -> Result<ClientConfig>,
) -> Result<ClientConfig> {
    // The process may have no default provider, or another one: name ours.
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new(ErrorKind::Internal, "ring offers no usable TLS version").because(cause))?;
    verify(builder, provider)
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

/// Takes a certificate whatever its name: `prefer` and `require` any one, which hides the traffic from listeners and proves nothing
/// about the server; `verify-ca` one that the roots vouch for.
#[derive(Debug)]
struct AnyName {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
