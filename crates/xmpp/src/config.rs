//! Configuration delivery: nodes and links of the configuration graph as a control node pushes them to
//! agents. Properties are JSON under the REST interface's snake_case names here, kebab-case XML on the
//! wire; the model's schema says which text is a number, a boolean or a list.

mod decode;
mod encode;
mod schema;

use serde_json::{Map, Value};
use uuid::Uuid;

pub(crate) use decode::decode_ops;
pub(crate) use encode::encode_ops;

/// Most objects (nodes and links) sent in one configuration message.
pub const MAX_OBJECTS_PER_MESSAGE: usize = 16;
/// Most objects accepted in one configuration message.
pub const MAX_OBJECTS_ACCEPTED: usize = 4096;

/// A node of the configuration graph: an object, or a link that has attributes of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigNode {
    /// Kebab-case object type (`virtual-network`), or link type of an attributed link
    /// (`virtual-network-network-ipam`).
    pub node_type: String,
    /// The fq_name joined by ':', or the link node's name.
    pub name: String,
    /// The object's UUID; carried inside `id-perms`. `None` for attributed links and in deletes.
    pub uuid: Option<Uuid>,
    /// Properties under their REST names; of an attributed link `{"value": {...}}`.
    pub properties: Map<String, Value>,
}

impl ConfigNode {
    /// A node without properties, as a delete carries it.
    #[must_use]
    pub fn named(node_type: impl Into<String>, name: impl Into<String>) -> Self {
        Self { node_type: node_type.into(), name: name.into(), uuid: None, properties: Map::new() }
    }
}

/// A link between two nodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConfigLink {
    /// Type and name of one end.
    pub left: (String, String),
    /// Type and name of the other end.
    pub right: (String, String),
    /// Link type (`virtual-machine-interface-virtual-network`).
    pub metadata: String,
}

/// A node or a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigElement {
    /// A node.
    Node(ConfigNode),
    /// A link.
    Link(ConfigLink),
}

/// One change of an agent's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOp {
    /// Create or replace.
    Update(ConfigElement),
    /// Remove; of a node only type and name are carried.
    Delete(ConfigElement),
}

impl ConfigOp {
    /// The node or link concerned.
    #[must_use]
    pub fn element(&self) -> &ConfigElement {
        match self {
            Self::Update(element) | Self::Delete(element) => element,
        }
    }

    /// Whether this is an update.
    #[must_use]
    pub fn is_update(&self) -> bool {
        matches!(self, Self::Update(_))
    }
}
