//! Route targets as objects: they exist as long as a routing instance uses them.

use crate::derived::{object, target_name};
use crate::engine::{Edge, Node, NodeId, Published, RowChange, State, Table};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{Object, ObjectType};

/// One route target in use.
#[derive(Debug, PartialEq)]
pub(crate) struct TargetRow {
    object: Arc<Object>,
}

/// The node.
pub(crate) struct Targets;

impl Node for Targets {
    type Row = TargetRow;
    const ID: NodeId = NodeId::Targets;
    const EDGES: &'static [Edge<TargetRow>] = &[];

    fn table(state: &mut State) -> &mut Table<TargetRow> {
        &mut state.targets
    }

    fn keys(state: &State) -> Vec<Uuid> {
        state.target_names.keys().copied().collect()
    }

    fn compute(state: &State, key: Uuid) -> Option<TargetRow> {
        state.targets_used.get(&key).next()?;
        let target = state.target_names.get(&key)?;
        Some(TargetRow { object: Arc::new(object(ObjectType::RouteTarget, target_name(*target), None)) })
    }

    fn index(state: &mut State, change: &RowChange<TargetRow>) {
        if change.new.is_none() {
            state.target_names.remove(&change.key);
        }
    }

    fn publish(row: &TargetRow, out: &mut Published) {
        out.objects.push(Arc::clone(&row.object));
    }
}
