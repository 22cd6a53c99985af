//! Interfaces and the routing instances they belong to: references the agents need and nobody configures.

use super::Complaints;
use crate::derived::{instance_name, reference};
use crate::engine::{Edge, Node, NodeId, Published, State, Table};
use crate::{Problem, ProblemKind, Stage};
use serde_json::json;
use uuid::Uuid;
use weft_model::{FqName, ObjectType};

/// One interface.
#[derive(Debug, PartialEq)]
pub(crate) struct InterfaceRow {
    /// Its networks.
    networks: Vec<FqName>,
    problems: Vec<Problem>,
}

/// The node.
pub(crate) struct Interfaces;

impl Node for Interfaces {
    type Row = InterfaceRow;
    const ID: NodeId = NodeId::Interfaces;
    const EDGES: &'static [Edge<InterfaceRow>] = &[];

    fn table(state: &mut State) -> &mut Table<InterfaceRow> {
        &mut state.interfaces
    }

    fn keys(state: &State) -> Vec<Uuid> {
        state.objects.of_type(ObjectType::VirtualMachineInterface).collect()
    }

    fn compute(state: &State, key: Uuid) -> Option<InterfaceRow> {
        let object = state.objects.get((ObjectType::VirtualMachineInterface, key))?;
        let mut complaints = Complaints::new(object, Stage::Interfaces);
        let mut networks = Vec::new();
        for network in object.refs_to(ObjectType::VirtualNetwork) {
            match state.networks.get(network.uuid) {
                Some(row) => networks.push(row.fq_name.clone()),
                None => {
                    let name = network.fq_name.to_string();
                    complaints.add(None, ProblemKind::Dangling { to: ObjectType::VirtualNetwork, name });
                }
            }
        }
        Some(InterfaceRow { networks, problems: complaints.list })
    }

    fn publish(row: &InterfaceRow, out: &mut Published) {
        out.refs.extend(row.networks.iter().map(|network| {
            let attr = json!({"direction": "both"});
            let instance = reference(ObjectType::RoutingInstance, instance_name(network), Some(attr));
            (ObjectType::RoutingInstance, instance)
        }));
        out.problems.extend_from_slice(&row.problems);
    }
}
