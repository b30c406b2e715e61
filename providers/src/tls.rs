//! TLS to a source as libpq's `sslmode` words mean it, by rustls with the ring provider.

use std::error::Error as StdError;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier};

use crate::error::{Error, ErrorKind, Result};
use crate::options::{OptionFault, Options};

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

/// Which authorities are trusted when `sslrootcert` names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roots {
    /// None: it must name them.
    Named,
    /// Those that the world trusts.
    Public,
}

/// What is wrong with `sslmode` and `sslrootcert` together, when the words in `checking` ask for the server's certificate to be checked.
pub(crate) fn faults(options: &Options, checking: &[&str], roots: Roots) -> Vec<OptionFault> {
    let mode = options.get(SSLMODE).unwrap_or_default();
    match (checking.contains(&mode), options.get(SSLROOTCERT), roots) {
        (true, None, Roots::Named) => {
            let message =
                format!("is {mode}, which needs `sslrootcert`: a PEM file with the authority that signed the server's certificate");
            vec![OptionFault::new(SSLMODE, message)]
        }
        // Nobody is to believe that a certificate is checked when it is not.
        (false, Some(_), _) => {
            let message = format!("is not checked with sslmode {mode}: set `sslmode` to verify-full, or remove `sslrootcert`");
            vec![OptionFault::new(SSLROOTCERT, message)]
        }
        (true, Some(_), _) | (true, None, Roots::Public) | (false, None, _) => Vec::new(),
    }
}

/// The client's side of TLS for a datasource with the options `sslmode` and `sslrootcert`, of which `sslmode` means `check`.
///
/// # Errors
/// `Invalid` when the file that `sslrootcert` names cannot be read; `Internal` when [`faults`] was not asked.
pub(crate) fn client_config(options: &Options, check: Check) -> Result<ClientConfig> {
    match (check, options.path(SSLROOTCERT)) {
        (Check::Nothing, None) => configure(|builder, provider| {
            let verifier = AnyName { roots: None, provider };
            Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
        }),
        (Check::Nothing, Some(_)) | (Check::Chain | Check::ChainAndName, None) => {
            Err(Error::new(ErrorKind::Internal, "sslmode and sslrootcert were not looked at together"))
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

/// Why a handshake failed, to follow what failed, and what to do about it.
pub(crate) fn explained(cause: &rustls::Error) -> (String, &'static str) {
    let of_certificate = match cause {
        rustls::Error::InvalidCertificate(of_certificate) => of_certificate,
        other => return (other.to_string(), "check options.sslmode, and that options.port is one with TLS"),
    };
    match of_certificate {
        // What rustls has no word of its own for, it passes on.
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => (
            "the server shows an authority's certificate (CA:TRUE) as its own, which is not taken".to_owned(),
            "give the server a certificate that is no authority's (basicConstraints CA:FALSE) and is for options.host; signed by that \
             authority, options.sslrootcert may stay as it is",
        ),
        CertificateError::UnknownIssuer => (
            "no authority that is trusted has signed the server's certificate".to_owned(),
            "let options.sslrootcert name the PEM file of the authority that signed it",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "the server's certificate is for another name than options.host".to_owned(),
            "set options.host to a name that the certificate is for, or give the server one that is for this name",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("the server's certificate has expired".to_owned(), "renew it at the server, and check the clock of this machine")
        }
        other => (format!("the server's certificate is not taken: {other}"), "check options.sslrootcert and the server's certificate"),
    }
}

/// What TLS says is wrong, somewhere among the causes of an error.
pub(crate) fn cause_in<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // What an IO error was made of is not among its causes.
        let within = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match within {
            Some(within) => Some(within),
            None => current.source(),
        };
    }
    None
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::registry::ConnectorRegistry;
    use crate::remote::RemoteId;

    /// The key that is blamed, and what is said of it.
    fn blamed(kind: &str, values: &[(&str, &str)]) -> Option<(String, String)> {
        let registry = ConnectorRegistry::built_in();
        let given = [("host", "db"), ("database", "d"), ("user", "u")].iter().chain(values);
        let given: BTreeMap<String, String> = given.map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let manifest = registry.get(kind).unwrap().manifest();
        let checked = Options::check(manifest, RemoteId::new("s"), Path::new("/"), given, BTreeMap::new());
        checked.err().map(|mut faults| {
            let fault = faults.remove(0);
            (fault.key, fault.message)
        })
    }

    #[test]
    fn a_certificate_is_named_when_it_is_checked_and_only_then() {
        for kind in ["postgres", "mysql", "clickhouse"] {
            for mode in ["disable", "require"] {
                let (key, message) = blamed(kind, &[("sslmode", mode), ("sslrootcert", "ca.pem")]).unwrap();
                assert!(key == SSLROOTCERT && message.contains(&format!("not checked with sslmode {mode}")), "{kind}: {key} {message}");
                assert_eq!(blamed(kind, &[("sslmode", mode)]), None);
            }
            assert_eq!(blamed(kind, &[("sslmode", "verify-full"), ("sslrootcert", "ca.pem")]), None);
        }
        for (kind, mode) in [("postgres", "verify-ca"), ("postgres", "verify-full"), ("clickhouse", "verify-full")] {
            let (key, message) = blamed(kind, &[("sslmode", mode)]).unwrap();
            assert!(key == SSLMODE && message.contains("needs `sslrootcert`"), "{kind}: {key} {message}");
        }
        assert_eq!(blamed("mysql", &[("sslmode", "verify-full")]), None, "it trusts the public authorities then");
    }

    #[test]
    fn the_cause_is_found_where_it_is() {
        let of_name = || rustls::Error::from(CertificateError::NotValidForName);
        let error = Error::new(ErrorKind::Unreachable, "failed").because(io::Error::other(of_name()));
        assert_eq!(cause_in(&error), Some(&of_name()));
        assert_eq!(cause_in(&io::Error::other("another")), None);
        assert!(explained(&of_name()).0.contains("another name"));
    }
}
