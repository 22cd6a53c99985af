//! Access control lists of networks. A network without policies has none: nothing but its own routes reaches it.

use crate::derived::acl;
use crate::engine::{Edge, Node, NodeId, Published, State, Table};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::types::AclEntriesType;
use weft_model::{FqName, Object, ObjectType};

/// The list of one network.
#[derive(Debug, PartialEq)]
pub(crate) struct AclRow {
    object: Arc<Object>,
}

/// The node.
pub(crate) struct NetworkAcls;

impl Node for NetworkAcls {
    type Row = AclRow;
    const ID: NodeId = NodeId::NetworkAcls;
    const EDGES: &'static [Edge<AclRow>] = &[];

    fn table(state: &mut State) -> &mut Table<AclRow> {
        &mut state.network_acls
    }

    fn keys(state: &State) -> Vec<Uuid> {
        state.objects.of_type(ObjectType::VirtualNetwork).collect()
    }

    fn compute(state: &State, key: Uuid) -> Option<AclRow> {
        let row = state.rules.get(key)?;
        let entries = AclEntriesType { dynamic: Some(false), acl_rule: row.entries.clone()? };
        let parent = (ObjectType::VirtualNetwork, key);
        Some(AclRow { object: acl(parent, list_name(&row.fq_name), entries) })
    }

    fn publish(row: &AclRow, out: &mut Published) {
        out.objects.push(Arc::clone(&row.object));
    }
}

/// `<network>:<network's own name>`; a network called like the lists of security groups gets another name, so that the
/// names of the two kinds of lists never meet.
fn list_name(network: &FqName) -> FqName {
    let last = network.last();
    if super::groups::LISTS.contains(&last) { network.child(format!("{last}-network")) } else { network.child(last) }
}
