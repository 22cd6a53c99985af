//! A certificate authority for one installation, and the certificates of its nodes.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::error::TlsError;
use crate::files::{self, CA_CERTIFICATE, CA_KEY, CERTIFICATE, KEY};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Certificates are valid from a day ago: clocks of hosts differ.
const CLOCK_SKEW: Duration = DAY;
/// Validity of the certificate authority.
const CA_VALIDITY: Duration = Duration::from_secs(3650 * 24 * 3600);
/// Validity of a node's certificate.
const NODE_VALIDITY: Duration = Duration::from_secs(825 * 24 * 3600);

/// Makes a certificate authority in `dir` (`ca.pem`, `ca-key.pem`), unless one is there already.
///
/// # Errors
/// The directory cannot be written, or holds a key without a certificate or the reverse.
pub fn make_ca(dir: &Path) -> Result<(), TlsError> {
    files::make_dir(dir)?;
    let (cert_path, key_path) = (dir.join(CA_CERTIFICATE), dir.join(CA_KEY));
    match (cert_path.exists(), key_path.exists()) {
        (true, true) => return Ok(()),
        (true, false) => return Err(incomplete(&key_path)),
        // The key is written first: alone it was never used.
        (false, _) => {}
    }
    let mut params = params("weft certificate authority", CA_VALIDITY)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    files::write_private(&key_path, &key.serialize_pem())?;
    files::write_public(&cert_path, &certificate.pem())
}

/// Makes a node's certificate in `out_dir` (`ca.pem`, `cert.pem`, `key.pem`), signed by the authority in `ca_dir`.
///
/// `name` is the node's name (an agent's is its virtual-router's); `ips` are the addresses at which others connect to it.
/// What is there already is replaced.
///
/// # Errors
/// The authority cannot be read, or the files cannot be written.
pub fn make_node_cert(ca_dir: &Path, name: &str, ips: &[IpAddr], out_dir: &Path) -> Result<(), TlsError> {
    let ca_pem = files::read(&ca_dir.join(CA_CERTIFICATE))?;
    let ca_key = KeyPair::from_pem(&files::read(&ca_dir.join(CA_KEY))?)?;
    let issuer = Issuer::from_ca_cert_pem(&ca_pem, ca_key)?;
    let mut params = params(name, NODE_VALIDITY)?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    if is_host_name(name) {
        params.subject_alt_names.push(SanType::DnsName(name.try_into()?));
    }
    params.subject_alt_names.extend(ips.iter().map(|ip| SanType::IpAddress(*ip)));
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    files::make_dir(out_dir)?;
    files::write_private(&out_dir.join(KEY), &key.serialize_pem())?;
    files::write_public(&out_dir.join(CERTIFICATE), &certificate.pem())?;
    files::write_public(&out_dir.join(CA_CERTIFICATE), &ca_pem)
}

fn params(common_name: &str, validity: Duration) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = SystemTime::now();
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + validity).into();
    Ok(params)
}

fn incomplete(missing: &Path) -> TlsError {
    let source = std::io::Error::new(
        std::io::ErrorKind::NotFound,
        "missing beside the certificate authority's other file",
    );
    TlsError::Io { path: missing.to_owned(), source }
}

/// Whether the name can stand as a DNS name in a certificate.
fn is_host_name(name: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    // A name of digits and dots would be read as an address.
    name.len() <= 253 && name.split('.').all(label) && name.bytes().any(|b| b.is_ascii_alphabetic())
}
