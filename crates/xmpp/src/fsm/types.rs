//! What goes into a session and what comes out of it.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::error::DecodeError;
use crate::items::RouteItem;
use crate::parser::{Limits, ParseError};
use crate::stanza::Stanza;

/// Which side of the connection a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Control node.
    Server,
    /// Agent.
    Client,
}

/// Settings of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Own address: the agent's host name, or [`crate::CONTROL_JID`].
    pub local: String,
    /// Whom a client addresses. Not used by a server, which learns its peer.
    pub remote: String,
    /// Whether the stream must be secured with TLS before anything else.
    pub tls: bool,
    /// Name that stands in the stream's default namespace; both sides must have the same.
    pub sub_cluster: Option<String>,
    /// Silence after which the peer is given up; keepalives go out every third of it. Zero: never.
    pub hold_time: Duration,
    /// Time a connection has to become established.
    pub open_timeout: Duration,
    /// Limits of what the peer may send.
    pub limits: Limits,
}

/// Default of [`SessionConfig::hold_time`].
pub const HOLD_TIME: Duration = Duration::from_secs(90);
/// Default of [`SessionConfig::open_timeout`].
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

impl SessionConfig {
    /// A control node's settings, TLS required.
    #[must_use]
    pub fn server() -> Self {
        Self {
            local: crate::CONTROL_JID.to_owned(),
            remote: String::new(),
            tls: true,
            sub_cluster: None,
            hold_time: HOLD_TIME,
            open_timeout: OPEN_TIMEOUT,
            limits: Limits::default(),
        }
    }

    /// An agent's settings, TLS required. `host` is the name of its virtual-router.
    #[must_use]
    pub fn client(host: impl Into<String>) -> Self {
        Self { local: host.into(), remote: crate::CONTROL_JID.to_owned(), ..Self::server() }
    }
}

/// What a session is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// The transport connection is up.
    Connected,
    /// Bytes from the peer, after decryption once TLS is up.
    Bytes(&'a [u8]),
    /// The handshake asked for by [`Output::StartTls`] is done and the peer's certificate is accepted.
    TlsReady,
    /// A timeout may be due.
    Timer,
    /// Send a stanza. Without an id it is numbered.
    Send(Stanza),
    /// Agent: announce a route (sends the two stanzas of a publish).
    Publish {
        /// Routing instance.
        ri: String,
        /// Route.
        item: Box<RouteItem>,
    },
    /// Agent: take a route back (sends the two stanzas of a withdraw, which carry the route).
    Withdraw {
        /// Routing instance.
        ri: String,
        /// Route.
        item: Box<RouteItem>,
    },
    /// Close the stream.
    Close,
    /// The transport connection is gone.
    Disconnected,
}

/// What a session wants or reports, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes.
    Send(Bytes),
    /// Start the TLS handshake (in the session's role) once everything before is sent, then say
    /// [`Input::TlsReady`], or [`Input::Disconnected`] if it fails.
    StartTls,
    /// Stanzas flow from now on.
    Established {
        /// The peer's name.
        peer: String,
    },
    /// A stanza from the peer. Of a server: subscriptions and end-of-RIB. Of a client: routes,
    /// configuration and end-of-RIB.
    Stanza(Stanza),
    /// Server: a route announced by the agent, both stanzas of it having come.
    Publish {
        /// Routing instance.
        ri: String,
        /// Route; exactly one next hop.
        item: Box<RouteItem>,
    },
    /// Server: a route taken back by the agent.
    Withdraw {
        /// Routing instance.
        ri: String,
        /// Route, as the withdraw carries it.
        item: Box<RouteItem>,
    },
    /// Something was dropped; the session goes on.
    Warning(Warning),
    /// The session is over: close the transport connection. The last output.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// The owner closed it.
    #[error("closed by this side")]
    Local,
    /// The peer ended its stream.
    #[error("closed by the peer")]
    Remote,
    /// The peer sent a stream error.
    #[error("stream error from the peer: {0}")]
    RemoteError(String),
    /// The transport connection broke.
    #[error("connection lost")]
    Disconnected,
    /// Not established in time.
    #[error("not established in time")]
    OpenTimeout,
    /// Nothing heard for the hold time.
    #[error("hold timer expired")]
    HoldTimeout,
    /// The bytes are no well-formed stream.
    #[error("malformed stream: {0}")]
    Malformed(#[from] ParseError),
    /// A stanza cannot be read.
    #[error("malformed stanza: {0}")]
    BadStanza(#[from] DecodeError),
    /// The peer's header has no usable name, or another one after TLS than before.
    #[error("unusable peer name {0:?}")]
    BadPeerName(String),
    /// The header's default namespace is not that of this side's sub-cluster.
    #[error("sub-cluster mismatch: peer has {0:?}")]
    SubCluster(String),
    /// This side requires TLS and the peer does not take part, or the reverse.
    #[error("TLS required by one side only")]
    TlsMismatch,
    /// The peer refused TLS.
    #[error("TLS refused by the peer")]
    TlsRefused,
    /// Data where the protocol allows none: before the connection is up, or between the TLS
    /// negotiation and the handshake.
    #[error("unexpected data")]
    UnexpectedData,
    /// A header or stanza that the state does not allow.
    #[error("out of order")]
    OutOfOrder,
}

/// Something dropped in a session that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Warning {
    /// A publish whose second stanza did not follow.
    #[error("publish {node:?} dropped: its collection did not follow")]
    OrphanPublish {
        /// Node string.
        node: String,
    },
    /// A collection for which no publish is held.
    #[error("collection {node:?} dropped: no matching publish")]
    UnmatchedCollection {
        /// Node string.
        node: String,
    },
    /// A publish with no next hop or several.
    #[error("publish {node:?} dropped: {count} next hops instead of one")]
    NextHopCount {
        /// Node string.
        node: String,
        /// How many there were.
        count: usize,
    },
    /// Of a kind not carried here.
    #[error("not supported: {what}")]
    Unsupported {
        /// What it was.
        what: String,
    },
    /// A stanza only the other side may send.
    #[error("{what} is not for this side to receive")]
    WrongDirection {
        /// What it was.
        what: &'static str,
    },
    /// The owner sent while the session was not established.
    #[error("{what} not sent: session is not established")]
    NotEstablished {
        /// What it was.
        what: &'static str,
    },
}

/// Counters of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes handed out for sending.
    pub bytes_sent: u64,
    /// Stanzas received after the session was established.
    pub stanzas_received: u64,
    /// Stanzas sent.
    pub stanzas_sent: u64,
    /// Keepalives sent.
    pub keepalives_sent: u64,
    /// Routes announced by the peer.
    pub publishes: u64,
    /// Routes taken back by the peer.
    pub withdraws: u64,
    /// [`Warning::OrphanPublish`].
    pub orphan_publishes: u64,
    /// [`Warning::UnmatchedCollection`].
    pub unmatched_collections: u64,
    /// [`Warning::NextHopCount`].
    pub bad_next_hops: u64,
    /// [`Warning::Unsupported`].
    pub unsupported: u64,
    /// [`Warning::WrongDirection`].
    pub wrong_direction: u64,
    /// [`Warning::NotEstablished`].
    pub refused_sends: u64,
}

impl Stats {
    pub(super) fn count(&mut self, warning: &Warning) {
        *match warning {
            Warning::OrphanPublish { .. } => &mut self.orphan_publishes,
            Warning::UnmatchedCollection { .. } => &mut self.unmatched_collections,
            Warning::NextHopCount { .. } => &mut self.bad_next_hops,
            Warning::Unsupported { .. } => &mut self.unsupported,
            Warning::WrongDirection { .. } => &mut self.wrong_direction,
            Warning::NotEstablished { .. } => &mut self.refused_sends,
        } += 1;
    }
}
