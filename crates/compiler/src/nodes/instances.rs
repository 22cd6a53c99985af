//! Routing instances: one for each network, and the master instance.
//!
//! An instance imports and exports the network's own targets, and imports what connected networks export.

use super::NetworkRow;
use super::networks::Direction;
use crate::RoutingInstance;
use crate::derived::{instance_name, object, reference, target_name, target_uuid};
use crate::edges;
use crate::engine::{Edge, Node, NodeId, Published, RowChange, State, Table};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType, RouteTarget, defaults};

/// One network's routing instance.
#[derive(Debug, PartialEq)]
pub(crate) struct InstanceRow {
    instance: RoutingInstance,
    /// The instance as an object; for the underlay network the master instance too.
    objects: Vec<Arc<Object>>,
    /// The network's targets by their identity as objects.
    pub(crate) targets: BTreeMap<Uuid, RouteTarget>,
}

/// The node.
pub(crate) struct Instances;

impl Node for Instances {
    type Row = InstanceRow;
    const ID: NodeId = NodeId::Instances;
    const EDGES: &'static [Edge<InstanceRow>] = edges::INSTANCES;

    fn table(state: &mut State) -> &mut Table<InstanceRow> {
        &mut state.instances
    }

    fn keys(state: &State) -> Vec<Uuid> {
        state.objects.of_type(ObjectType::VirtualNetwork).collect()
    }

    fn compute(state: &State, key: Uuid) -> Option<InstanceRow> {
        let network = state.networks.get(key)?;
        let peers = state.connections.get(key).map(|row| row.peers.clone()).unwrap_or_default();
        let peers: Vec<&Arc<NetworkRow>> = peers.iter().filter_map(|p| state.networks.get(*p)).collect();
        let import = network.import().chain(peers.iter().flat_map(|p| p.export()));
        let instance = RoutingInstance {
            fq_name: instance_name(&network.fq_name),
            virtual_network: network.fq_name.clone(),
            virtual_network_id: network.network_id,
            vxlan_id: network.vxlan_id,
            import: import.collect(),
            export: network.export().collect(),
        };
        let mut objects = vec![Arc::new(instance_object(key, network, &peers))];
        if network.fq_name == defaults::in_default_project(defaults::IP_FABRIC) {
            let parent = (ObjectType::VirtualNetwork, key);
            objects.push(Arc::new(object(ObjectType::RoutingInstance, master().fq_name, Some(parent))));
        }
        let targets = network.targets.keys().map(|target| (target_uuid(*target), *target)).collect();
        Some(InstanceRow { instance, objects, targets })
    }

    fn index(state: &mut State, change: &RowChange<InstanceRow>) {
        let keys = |row: &Option<Arc<InstanceRow>>| -> BTreeSet<Uuid> {
            row.iter().flat_map(|r| r.targets.keys().copied()).collect()
        };
        state.targets_used.change(change.key, &keys(&change.old), &keys(&change.new));
        if let Some(row) = &change.new {
            state.target_names.extend(&row.targets);
        }
    }

    fn publish(row: &InstanceRow, out: &mut Published) {
        out.instances.push(row.instance.clone());
        out.objects.extend(row.objects.iter().cloned());
    }
}

/// The instance every agent subscribes to: the underlay. It exists always, and imports nothing.
pub(crate) fn master() -> RoutingInstance {
    RoutingInstance {
        fq_name: FqName::from(defaults::MASTER_ROUTING_INSTANCE),
        virtual_network: defaults::in_default_project(defaults::IP_FABRIC),
        virtual_network_id: 0,
        vxlan_id: 0,
        import: BTreeSet::new(),
        export: BTreeSet::new(),
    }
}

fn instance_object(network_uuid: Uuid, network: &NetworkRow, peers: &[&Arc<NetworkRow>]) -> Object {
    let parent = (ObjectType::VirtualNetwork, network_uuid);
    let mut instance = object(ObjectType::RoutingInstance, instance_name(&network.fq_name), Some(parent));
    instance.props.insert("routing_instance_is_default".into(), true.into());
    let targets = network.targets.iter().map(|(target, direction)| {
        let attr = match direction {
            Direction::Both => json!({}),
            Direction::Import => json!({"import_export": "import"}),
            Direction::Export => json!({"import_export": "export"}),
        };
        reference(ObjectType::RouteTarget, target_name(*target), Some(attr))
    });
    let targets: Vec<_> = targets.collect();
    if !targets.is_empty() {
        instance.refs.insert(ObjectType::RouteTarget, targets);
    }
    let mut names: Vec<FqName> = peers.iter().map(|peer| instance_name(&peer.fq_name)).collect();
    names.sort();
    if !names.is_empty() {
        let peers =
            names.into_iter().map(|name| reference(ObjectType::RoutingInstance, name, Some(json!({}))));
        instance.refs.insert(ObjectType::RoutingInstance, peers.collect());
    }
    instance
}
