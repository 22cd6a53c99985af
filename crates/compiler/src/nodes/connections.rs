//! Which networks are connected: those where each side has a policy attached with a pass rule that names the other.
//!
//! "any" names every network of the same project, and networks elsewhere that name this one themselves.

use super::{Complaints, RulesRow};
use crate::edges;
use crate::engine::{Edge, Node, NodeId, Published, State, Table};
use crate::{Problem, ProblemKind, Stage};
use std::collections::BTreeSet;
use uuid::Uuid;
use weft_model::{FqName, ObjectType};

/// One network's connections. Symmetric: each peer's row has this network.
#[derive(Debug, PartialEq)]
pub(crate) struct ConnectionsRow {
    pub(crate) peers: BTreeSet<Uuid>,
    problems: Vec<Problem>,
}

/// The node.
pub(crate) struct Connections;

impl Node for Connections {
    type Row = ConnectionsRow;
    const ID: NodeId = NodeId::Connections;
    const EDGES: &'static [Edge<ConnectionsRow>] = edges::CONNECTIONS;

    fn table(state: &mut State) -> &mut Table<ConnectionsRow> {
        &mut state.connections
    }

    fn keys(state: &State) -> Vec<Uuid> {
        state.objects.of_type(ObjectType::VirtualNetwork).collect()
    }

    fn compute(state: &State, key: Uuid) -> Option<ConnectionsRow> {
        let object = state.objects.get((ObjectType::VirtualNetwork, key))?;
        let row = state.rules.get(key)?;
        let mut complaints = Complaints::new(&object, Stage::Connections);
        let mut candidates = BTreeSet::new();
        for name in &row.names {
            match state.objects.lookup(ObjectType::VirtualNetwork, &FqName::from(name.as_str())) {
                Some(uuid) => {
                    candidates.insert(uuid);
                }
                None => {
                    let missing =
                        ProblemKind::Dangling { to: ObjectType::VirtualNetwork, name: name.clone() };
                    complaints.add(None, missing);
                }
            }
        }
        if row.any {
            candidates.extend(state.networks_naming.get(row.name.as_str()));
            if let Some(project) = row.project {
                candidates.extend(state.objects.children(project, ObjectType::VirtualNetwork));
            }
        }
        candidates.remove(&key);
        let mutual = |other: &Uuid| {
            state.rules.get(*other).is_some_and(|other| names(other, row) && names(row, other))
        };
        let peers = candidates.into_iter().filter(mutual).collect();
        Some(ConnectionsRow { peers, problems: complaints.list })
    }

    fn publish(row: &ConnectionsRow, out: &mut Published) {
        out.problems.extend_from_slice(&row.problems);
    }
}

/// Whether the pass rules of `row` name `other`.
fn names(row: &RulesRow, other: &RulesRow) -> bool {
    let explicitly = |a: &RulesRow, b: &RulesRow| a.names.contains(&b.name);
    let same_project = row.project.is_some() && row.project == other.project;
    explicitly(row, other) || (row.any && (same_project || explicitly(other, row)))
}
