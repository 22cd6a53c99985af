//! The names a certificate was issued to.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::error::TlsError;

/// The common names and DNS names of a certificate (the first of a peer's chain).
///
/// # Errors
/// The bytes are not a certificate.
pub fn peer_names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, TlsError> {
    let unreadable = |e: &dyn std::fmt::Display| TlsError::PeerCertificate(e.to_string());
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|e| unreadable(&e))?;
    let mut names = Vec::new();
    for name in parsed.subject().iter_common_name() {
        names.extend(name.as_str().map(str::to_owned));
    }
    let alternatives = parsed.subject_alternative_name().map_err(|e| unreadable(&e))?;
    for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
        if let GeneralName::DNSName(name) = name {
            names.push((*name).to_owned());
        }
    }
    Ok(names)
}
