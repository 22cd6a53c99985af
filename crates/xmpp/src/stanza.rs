//! Typed stanzas: everything that travels between agent and control node once the stream is open.

mod decode;
mod encode;

use std::fmt;

use uuid::Uuid;

use crate::config::ConfigOp;
use crate::items::{RouteItem, RouteTable};
pub use decode::{BytesError, decode_bytes};

/// Most reachable items sent in one route message.
pub const MAX_ITEMS_PER_MESSAGE: usize = 32;
/// Most retracts sent in one route message.
pub const MAX_RETRACTS_PER_MESSAGE: usize = 256;
/// Most items and retracts accepted in one route message.
pub const MAX_ITEMS_ACCEPTED: usize = 8192;

/// What an agent subscribes to on the configuration resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigSubject {
    /// The agent's own virtual-router, by fq_name joined by ':'
    /// (`default-global-system-config:<host>`).
    VirtualRouter(String),
    /// A virtual machine on the agent's host.
    VirtualMachine(Uuid),
    /// Anything else, as it stands in the `node` attribute.
    Other(String),
}

impl ConfigSubject {
    /// Reads a `node` attribute. Never fails: what is not understood becomes [`ConfigSubject::Other`].
    #[must_use]
    pub fn parse(node: &str) -> Self {
        match node.split_once(':') {
            Some(("virtual-router", name)) if !name.is_empty() => Self::VirtualRouter(name.to_owned()),
            Some(("virtual-machine", name)) => match Uuid::try_parse(name) {
                // Only the hyphenated form is written back the same.
                Ok(uuid) if uuid.to_string() == name => Self::VirtualMachine(uuid),
                _ => Self::Other(node.to_owned()),
            },
            _ => Self::Other(node.to_owned()),
        }
    }
}

impl fmt::Display for ConfigSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VirtualRouter(name) => write!(f, "virtual-router:{name}"),
            Self::VirtualMachine(uuid) => write!(f, "virtual-machine:{uuid}"),
            Self::Other(node) => f.write_str(node),
        }
    }
}

/// A stanza. `id` is the stanza's `id` attribute: `None` lets a session number it when sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stanza {
    /// Agent: receive the routes of a routing instance and publish into it.
    SubscribeVrf {
        /// Routing instance (fq_name joined by ':').
        ri: String,
        /// The agent's id for it; its low 16 bits become the route distinguisher's. 0 if not stated.
        instance_id: u32,
        /// Publish only: no routes are to be sent back.
        no_ribout: bool,
        /// Stanza id.
        id: Option<String>,
    },
    /// Agent: the opposite of [`Stanza::SubscribeVrf`].
    UnsubscribeVrf {
        /// Routing instance.
        ri: String,
        /// The agent's id for it. 0 if not stated.
        instance_id: u32,
        /// Stanza id.
        id: Option<String>,
    },
    /// Agent: first of the two stanzas of a publish or withdraw; acts only with the second.
    PublishItem {
        /// Node string, to be matched by the second stanza.
        node: String,
        /// The route; `None` is an end-of-RIB in its second form.
        item: Option<Box<RouteItem>>,
        /// Stanza id.
        id: Option<String>,
    },
    /// Agent: second stanza of a publish.
    Associate {
        /// Routing instance.
        ri: String,
        /// Node string of the first stanza.
        node: String,
        /// Stanza id.
        id: Option<String>,
    },
    /// Agent: second stanza of a withdraw.
    Dissociate {
        /// Routing instance.
        ri: String,
        /// Node string of the first stanza.
        node: String,
        /// Stanza id.
        id: Option<String>,
    },
    /// Agent: receive configuration reachable from a node.
    SubscribeConfig {
        /// The node.
        node: ConfigSubject,
        /// Stanza id.
        id: Option<String>,
    },
    /// Agent: the opposite of [`Stanza::SubscribeConfig`].
    UnsubscribeConfig {
        /// The node.
        node: ConfigSubject,
        /// Stanza id.
        id: Option<String>,
    },
    /// Control node: routes of one table of one routing instance. A session splits a long one into
    /// several messages when sending, and never mixes items and retracts in one message.
    RouteMessage {
        /// Table.
        table: RouteTable,
        /// Routing instance.
        ri: String,
        /// Routes with their ids ([`RouteItem::id`]).
        items: Vec<(String, RouteItem)>,
        /// Ids of routes that are gone ([`crate::items::RouteKey::parse`] reads them).
        retracts: Vec<String>,
    },
    /// Control node: configuration changes, in order. Split when sending, as route messages are.
    Config(Vec<ConfigOp>),
    /// Both: everything known has been sent.
    EndOfRib,
    /// Received, well-formed, and of a kind this implementation does not carry (multicast tables,
    /// labelled unicast): ignored. Cannot be sent.
    Unsupported {
        /// What it was, for counters and logs.
        what: String,
    },
}

impl Stanza {
    /// What kind of stanza it is, for logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SubscribeVrf { .. } => "subscribe",
            Self::UnsubscribeVrf { .. } => "unsubscribe",
            Self::PublishItem { .. } => "publish",
            Self::Associate { .. } => "associate",
            Self::Dissociate { .. } => "dissociate",
            Self::SubscribeConfig { .. } => "subscribe-config",
            Self::UnsubscribeConfig { .. } => "unsubscribe-config",
            Self::RouteMessage { .. } => "routes",
            Self::Config(_) => "config",
            Self::EndOfRib => "end-of-rib",
            Self::Unsupported { .. } => "unsupported",
        }
    }
}
