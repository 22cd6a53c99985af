//! How the agent is started.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use thiserror::Error;

/// Most controllers an agent keeps sessions with.
pub const MAX_CONTROLLERS: usize = 2;

/// Settings of one agent.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The host's name: that of its virtual-router object, and its address on the XMPP stream.
    pub name: String,
    /// Controllers (XMPP), at most [`MAX_CONTROLLERS`]; more are ignored.
    pub controllers: Vec<SocketAddr>,
    /// DNS services of the controllers, asked in turn.
    pub dns: Vec<SocketAddr>,
    /// The interface towards the other hosts.
    pub fabric_interface: String,
    /// Source address of tunnels; `None` for the fabric interface's first IPv4 address.
    pub tunnel_address: Option<Ipv4Addr>,
    /// Where ports, numbers and configuration are remembered.
    pub state_dir: PathBuf,
    /// Where the forwarder's maps and programs are pinned (a bpf file system).
    pub bpf_dir: PathBuf,
    /// Directory with `ca.pem`, `cert.pem` and `key.pem`; `None` for XMPP without TLS.
    pub certs: Option<PathBuf>,
}

/// The agent cannot start or go on.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The setting is unusable.
    #[error("{0}")]
    Setting(String),
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// The kernel's answer over netlink.
    #[error("netlink: {0}")]
    Netlink(#[from] crate::kernel::KernelError),
    /// The forwarder.
    #[error(transparent)]
    Forwarder(#[from] weft_forwarder::ForwarderError),
    /// State files.
    #[error(transparent)]
    State(#[from] crate::state::StateError),
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] weft_tls::TlsError),
}

impl AgentError {
    /// A failed system call.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}
