//! The dependency edges of the graph, as data: which change of what makes which rows worth computing again.
//!
//! An edge may name too many keys (they are computed and found unchanged), never too few.

use crate::engine::{Edge, NodeId, ObjectEdge, RowChange, State};
use crate::nodes::{ConnectionsRow, InstanceRow, NetworkRow, PolicyRow, RulesRow};
use crate::objects::ObjectChange;
use std::collections::BTreeSet;
use uuid::Uuid;
use weft_model::{ObjectType, defaults};

/// Edges from configured objects.
pub(crate) const OBJECTS: &[ObjectEdge] = &[
    ObjectEdge { from: ObjectType::NetworkPolicy, to: NodeId::Policies, affected: object_itself },
    ObjectEdge { from: ObjectType::VirtualNetwork, to: NodeId::Networks, affected: object_itself },
    ObjectEdge { from: ObjectType::GlobalSystemConfig, to: NodeId::Networks, affected: networks_by_as },
    ObjectEdge {
        from: ObjectType::GlobalVrouterConfig,
        to: NodeId::Networks,
        affected: networks_by_vxlan_mode,
    },
    ObjectEdge { from: ObjectType::SecurityGroup, to: NodeId::Groups, affected: object_itself },
    ObjectEdge { from: ObjectType::SecurityGroup, to: NodeId::Groups, affected: groups_naming_it },
    ObjectEdge { from: ObjectType::VirtualMachineInterface, to: NodeId::Interfaces, affected: object_itself },
];

/// Edges from network policies.
pub(crate) const POLICIES: &[Edge<PolicyRow>] = &[
    Edge { to: NodeId::Rules, affected: networks_attached },
    Edge { to: NodeId::Rules, affected: networks_expanding },
];

/// Edges from networks.
pub(crate) const NETWORKS: &[Edge<NetworkRow>] = &[
    Edge { to: NodeId::Rules, affected: row_itself },
    Edge { to: NodeId::Rules, affected: fellow_networks },
    Edge { to: NodeId::Instances, affected: row_itself },
    Edge { to: NodeId::Instances, affected: connected_networks },
    Edge { to: NodeId::Interfaces, affected: interfaces_in },
];

/// Edges from expanded policies.
pub(crate) const RULES: &[Edge<RulesRow>] = &[
    Edge { to: NodeId::Connections, affected: row_itself },
    Edge { to: NodeId::Connections, affected: networks_it_names },
    Edge { to: NodeId::Connections, affected: networks_naming_it },
];

/// Edges from connections.
pub(crate) const CONNECTIONS: &[Edge<ConnectionsRow>] =
    &[Edge { to: NodeId::Instances, affected: row_itself }];

/// Edges from routing instances.
pub(crate) const INSTANCES: &[Edge<InstanceRow>] = &[Edge { to: NodeId::Targets, affected: targets_of }];

fn object_itself(_: &State, change: &ObjectChange, out: &mut BTreeSet<Uuid>) {
    out.insert(change.key.1);
}

fn row_itself<R>(_: &State, change: &RowChange<R>, out: &mut BTreeSet<Uuid>) {
    out.insert(change.key);
}

/// The AS number is part of every automatic route target.
fn networks_by_as(state: &State, change: &ObjectChange, out: &mut BTreeSet<Uuid>) {
    all_networks_if_changed(state, change, "autonomous_system", out);
}

fn networks_by_vxlan_mode(state: &State, change: &ObjectChange, out: &mut BTreeSet<Uuid>) {
    all_networks_if_changed(state, change, "vxlan_network_identifier_mode", out);
}

fn all_networks_if_changed(state: &State, change: &ObjectChange, property: &str, out: &mut BTreeSet<Uuid>) {
    let value = |object: &Option<std::sync::Arc<weft_model::Object>>| {
        object.as_ref().and_then(|o| o.props.get(property)).cloned()
    };
    if value(&change.old) != value(&change.new) {
        out.extend(state.objects.of_type(ObjectType::VirtualNetwork));
    }
}

/// Groups hold the ids of the groups they name.
fn groups_naming_it(state: &State, change: &ObjectChange, out: &mut BTreeSet<Uuid>) {
    for object in change.old.iter().chain(&change.new) {
        out.extend(state.groups_naming.get(object.fq_name.to_string().as_str()));
    }
}

fn networks_attached(state: &State, change: &RowChange<PolicyRow>, out: &mut BTreeSet<Uuid>) {
    out.extend(state.attached_to.get(&change.key));
}

/// A policy that came or went may be named in the addresses of another one.
fn networks_expanding(state: &State, change: &RowChange<PolicyRow>, out: &mut BTreeSet<Uuid>) {
    if change.existence() {
        change.both().for_each(|row| attached_to_policies_naming(state, &row.name, out));
    }
}

/// Networks whose policies name a policy of this network: "the networks of that policy" are others now.
fn fellow_networks(state: &State, change: &RowChange<NetworkRow>, out: &mut BTreeSet<Uuid>) {
    for attachment in change.both().flat_map(|row| &row.attachments) {
        attached_to_policies_naming(state, &attachment.name, out);
    }
}

fn attached_to_policies_naming(state: &State, name: &str, out: &mut BTreeSet<Uuid>) {
    for policy in state.policies_naming.get(name) {
        out.extend(state.attached_to.get(&policy));
    }
}

/// Connected networks import what this one exports. Connections are symmetric, so its own list is theirs.
fn connected_networks(state: &State, change: &RowChange<NetworkRow>, out: &mut BTreeSet<Uuid>) {
    if let Some(row) = state.connections.get(change.key) {
        out.extend(&row.peers);
    }
}

fn interfaces_in(state: &State, change: &RowChange<NetworkRow>, out: &mut BTreeSet<Uuid>) {
    if change.existence() {
        let network = (ObjectType::VirtualNetwork, change.key);
        out.extend(state.objects.referrers(network, ObjectType::VirtualMachineInterface));
    }
}

fn networks_it_names(state: &State, change: &RowChange<RulesRow>, out: &mut BTreeSet<Uuid>) {
    for row in change.both() {
        let names = row.names.iter().map(|name| name.as_str().into());
        out.extend(names.filter_map(|name| state.objects.lookup(ObjectType::VirtualNetwork, &name)));
        if row.any {
            out.extend(state.networks_naming.get(row.name.as_str()));
            if let Some(project) = row.project {
                out.extend(state.objects.children(project, ObjectType::VirtualNetwork));
            }
        }
    }
}

/// A network that came or went: those who name it. (Those who say "any" are connected only if it names them.)
fn networks_naming_it(state: &State, change: &RowChange<RulesRow>, out: &mut BTreeSet<Uuid>) {
    if change.existence() {
        for row in change.both() {
            out.extend(state.networks_naming.get(row.name.as_str()));
        }
    }
}

fn targets_of(_: &State, change: &RowChange<InstanceRow>, out: &mut BTreeSet<Uuid>) {
    out.extend(change.both().flat_map(|row| row.targets.keys()));
}

/// The configuration all networks depend on.
pub(crate) fn autonomous_system(state: &State) -> u32 {
    let config = state.objects.named(ObjectType::GlobalSystemConfig, &defaults::global_system_config());
    let asn = config.and_then(|c| c.props.get("autonomous_system")?.as_u64());
    asn.and_then(|asn| u32::try_from(asn).ok()).unwrap_or(defaults::AUTONOMOUS_SYSTEM)
}

/// Whether networks use the configured VXLAN identifier instead of their own identifier.
pub(crate) fn vxlan_configured(state: &State) -> bool {
    let config = state.objects.named(ObjectType::GlobalVrouterConfig, &defaults::global_vrouter_config());
    config.is_some_and(|c| c.props.get("vxlan_network_identifier_mode") == Some(&"configured".into()))
}
