//! TLS configurations with mutual authentication.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::error::TlsError;
use crate::files::{CA_CERTIFICATE, CERTIFICATE, KEY};

/// What a node's directory holds.
struct Identity {
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl Identity {
    fn load(dir: &Path) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&dir.join(CA_CERTIFICATE))? {
            roots.add(certificate)?;
        }
        let chain = certificates(&dir.join(CERTIFICATE))?;
        let key_path = dir.join(KEY);
        let key =
            PrivateKeyDer::from_pem_file(&key_path).map_err(|e| pem_error(&key_path, &e.to_string()))?;
        Ok(Identity { roots, chain, key, provider: Arc::new(aws_lc_rs::default_provider()) })
    }
}

fn pem_error(path: &Path, message: &str) -> TlsError {
    TlsError::Pem { path: path.to_owned(), message: message.to_owned() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|e| pem_error(path, &e.to_string()))?;
    if certificates.is_empty() {
        return Err(pem_error(path, "no certificate in it"));
    }
    Ok(certificates)
}

/// The configuration of a listener: clients must show a certificate of the directory's authority.
///
/// # Errors
/// A file of the directory cannot be read or used.
pub fn server_config(dir: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let Identity { roots, chain, key, provider } = Identity::load(dir)?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// The configuration of a connecting node: the server must show a certificate of the directory's authority for the name or
/// address connected to, and is shown the directory's own.
///
/// # Errors
/// A file of the directory cannot be read or used.
pub fn client_config(dir: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    let Identity { roots, chain, key, provider } = Identity::load(dir)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// The configuration of an HTTP listener: clients show who they are in their requests, and, with `client_ca`, also a
/// certificate of one of that file's authorities.
///
/// # Errors
/// A file cannot be read or used.
pub fn http_config(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| pem_error(key, &e.to_string()))?;
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(certificates(cert)?, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
