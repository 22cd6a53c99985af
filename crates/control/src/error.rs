//! Errors of running a control node.

use std::net::SocketAddr;

use thiserror::Error;

/// Why a control node cannot start or go on.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The listening socket cannot be opened.
    #[error("listening for agents on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] weft_tls::TlsError),
    /// The control task is not there any more.
    #[error("the control node is stopped")]
    Stopped,
}
