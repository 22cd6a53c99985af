//! Interfaces and the routing instances they belong to: references the agents need and nobody configures.

use super::Complaints;
use crate::engine::{Edge, Node, NodeId, Published, State, Table};
use crate::{DerivedRefs, Problem, ProblemKind, Stage};
use uuid::Uuid;
use weft_model::ObjectType;

/// One interface.
#[derive(Debug, PartialEq)]
pub(crate) struct InterfaceRow {
    /// References to the routing instances of its networks; none without a network.
    instances: Option<DerivedRefs>,
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
        let mut complaints = Complaints::new(&object, Stage::Interfaces);
        let mut networks: Vec<&DerivedRefs> = Vec::new();
        for network in object.refs_to(ObjectType::VirtualNetwork) {
            match state.networks.get(network.uuid) {
                Some(row) => networks.push(&row.instance),
                None => {
                    let name = network.fq_name.to_string();
                    complaints.add(None, ProblemKind::Dangling { to: ObjectType::VirtualNetwork, name });
                }
            }
        }
        let instances = match networks.as_slice() {
            [] => None,
            [one] => Some(DerivedRefs::clone(one)),
            several => Some(several.iter().flat_map(|refs| refs.iter().cloned()).collect()),
        };
        Some(InterfaceRow { instances, problems: complaints.list })
    }

    fn publish(row: &InterfaceRow, out: &mut Published) {
        out.refs = row.instances.clone();
        out.problems.extend_from_slice(&row.problems);
    }
}
