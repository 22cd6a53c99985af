//! Files of a certificate directory.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::TlsError;

/// The certificate authority's certificate.
pub const CA_CERTIFICATE: &str = "ca.pem";
/// The certificate authority's private key: only where certificates are made.
pub const CA_KEY: &str = "ca-key.pem";
/// The node's certificate.
pub const CERTIFICATE: &str = "cert.pem";
/// The node's private key.
pub const KEY: &str = "key.pem";

/// Mode of files with private keys.
const PRIVATE: u32 = 0o600;
/// Mode of files with certificates.
const PUBLIC: u32 = 0o644;

pub(crate) fn io_error(path: &Path, source: io::Error) -> TlsError {
    TlsError::Io { path: path.to_owned(), source }
}

pub(crate) fn make_dir(dir: &Path) -> Result<(), TlsError> {
    fs::create_dir_all(dir).map_err(|e| io_error(dir, e))
}

pub(crate) fn read(path: &Path) -> Result<String, TlsError> {
    fs::read_to_string(path).map_err(|e| io_error(path, e))
}

pub(crate) fn write_public(path: &Path, text: &str) -> Result<(), TlsError> {
    write(path, text, PUBLIC)
}

pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), TlsError> {
    write(path, text, PRIVATE)
}

/// Writes beside the target and renames, so that no reader sees half a file.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let beside = path.with_extension("pem.new");
    let attempt = || {
        // Left over from a crash, perhaps with another mode.
        match fs::remove_file(&beside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    attempt().map_err(|e| io_error(path, e))
}
