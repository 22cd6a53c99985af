//! Errors of this crate.

use std::path::PathBuf;

use thiserror::Error;

/// Why certificates could not be made, read or used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not the PEM it should be.
    #[error("{path}: {message}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A certificate cannot be made.
    #[error("making a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The TLS library refuses what the files hold.
    #[error("TLS configuration: {0}")]
    Rustls(#[from] rustls::Error),
    /// The trusted certificates cannot be used to verify peers.
    #[error("certificate verifier: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// A peer's certificate cannot be read.
    #[error("the peer's certificate cannot be read: {0}")]
    PeerCertificate(String),
}
