//! Connections as they come in: over TCP or a unix socket, with or without TLS, and what is known of the other side.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use rustls::ServerConfig;
pub use weft_tls::ServerTls;

/// The other side of a connection: an extension of every request that [`crate::serve`] hands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Over the network.
    Tcp {
        /// Where it is.
        address: SocketAddr,
        /// Whether the connection is encrypted.
        tls: bool,
    },
    /// On this machine.
    Unix {
        /// The user it runs as; `None` if the kernel does not say.
        uid: Option<u32>,
    },
    /// Nothing is known.
    Unknown,
}

impl Peer {
    /// Whether the connection is encrypted.
    pub fn tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }

    pub(crate) fn with_tls(self) -> Self {
        match self {
            Self::Tcp { address, .. } => Self::Tcp { address, tls: true },
            other => other,
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { address, .. } => write!(f, "{address}"),
            Self::Unix { uid: Some(uid) } => write!(f, "unix socket, uid {uid}"),
            Self::Unix { uid: None } => f.write_str("unix socket"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// A connection that HTTP can be spoken over.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The other side.
    fn peer(&self) -> Peer;
}

impl Connection for TcpStream {
    fn peer(&self) -> Peer {
        self.peer_addr().map_or(Peer::Unknown, |address| Peer::Tcp { address, tls: false })
    }
}

impl Connection for UnixStream {
    fn peer(&self) -> Peer {
        Peer::Unix { uid: self.peer_cred().ok().map(|cred| cred.uid()) }
    }
}

/// The TLS side of a connection, within a time.
pub(crate) async fn handshake<I: Connection>(
    io: I,
    config: std::sync::Arc<ServerConfig>,
    patience: Duration,
) -> Result<tokio_rustls::server::TlsStream<I>, String> {
    let accepting = tokio_rustls::TlsAcceptor::from(config).accept(io);
    match tokio::time::timeout(patience, accepting).await {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no TLS handshake within {patience:?}")),
    }
}
