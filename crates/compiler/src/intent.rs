//! What the compiler produces.

use crate::{Problem, objects::Key};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_model::{Change, FqName, Object, ObjectType, Reference, RouteTarget};
use weft_xmpp::config::ConfigOp;

/// References the compiler adds to a configured object; those of one network are shared by all its interfaces.
pub type DerivedRefs = Arc<[(ObjectType, Reference)]>;

/// Everything derived from the configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Intent {
    /// Routing instances by name; the master instance is always among them.
    pub routing_instances: BTreeMap<FqName, RoutingInstance>,
    /// Derived objects: routing instances, route targets, access control lists.
    pub derived: BTreeMap<(ObjectType, uuid::Uuid), Arc<Object>>,
    /// References the compiler adds to configured objects (interface to routing instance).
    pub derived_refs: BTreeMap<(ObjectType, uuid::Uuid), DerivedRefs>,
    /// What is wrong with the configuration.
    pub problems: BTreeSet<Problem>,
}

/// One routing instance of the control node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingInstance {
    /// `<network>:<network's own name>`, or the master instance.
    pub fq_name: FqName,
    /// The network it belongs to.
    pub virtual_network: FqName,
    /// The network's 24-bit identifier; 0 if it has none.
    pub virtual_network_id: u32,
    /// VXLAN network identifier; 0 if there is none (mode `configured` and none configured).
    pub vxlan_id: u32,
    /// Routes carrying one of these come in.
    pub import: BTreeSet<RouteTarget>,
    /// Routes go out with all of these.
    pub export: BTreeSet<RouteTarget>,
}

/// A change of one routing instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RiChange {
    /// New or changed; its new state.
    Put(RoutingInstance),
    /// Gone.
    Delete(FqName),
}

/// What one call changed. Applied to the state before, it gives the state after.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delta {
    /// Routing instances.
    pub routing_instances: Vec<RiChange>,
    /// Derived objects.
    pub derived: Vec<Change>,
    /// Derived references: the new list for each object whose list changed; empty when it has none any more.
    pub derived_refs: Vec<(Key, DerivedRefs)>,
    /// Configuration by agent, under the name it subscribed with: deletes (links, then nodes), then updates (nodes,
    /// then links). Agents with nothing to do are absent.
    pub agents: BTreeMap<String, Vec<ConfigOp>>,
}

impl Delta {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routing_instances.is_empty()
            && self.derived.is_empty()
            && self.derived_refs.is_empty()
            && self.agents.is_empty()
    }
}
