//! The engine: tables of rows, nodes that compute them, edges that say who depends on whom.
//!
//! A node computes a row from the rows of earlier nodes and from nothing else, so any set of keys may be computed again
//! at any time. Incremental processing is only: compute the keys the edges name, and pass on the rows that changed.

use crate::Problem;
use crate::nodes::{
    ConnectionsRow, GroupRow, InstanceRow, InterfaceRow, NetworkRow, PolicyRow, RulesRow, TargetRow,
};
use crate::objects::{ObjectChange, Objects};
use crate::output::Output;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{ObjectType, RouteTarget};

/// The nodes, in the order they run: a node depends on earlier ones only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NodeId {
    /// Network policies, their rules checked.
    Policies,
    /// Networks: numbers, route targets, attached policies.
    Networks,
    /// Policies expanded for each network: access control lists.
    Rules,
    /// Which networks are connected.
    Connections,
    /// Routing instances.
    Instances,
    /// Route targets in use.
    Targets,
    /// Access control lists of security groups.
    Groups,
    /// Interfaces and their routing instances.
    Interfaces,
}

/// Number of nodes.
const NODES: usize = NodeId::Interfaces as usize + 1;

/// Sets of keys by another key; empty sets are not kept.
#[derive(Debug)]
pub(crate) struct Reverse<K>(BTreeMap<K, BTreeSet<Uuid>>);

impl<K> Default for Reverse<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Reverse<K> {
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> impl Iterator<Item = Uuid> + '_
    where
        K: std::borrow::Borrow<Q>,
    {
        self.0.get(key).into_iter().flatten().copied()
    }

    /// Moves `member` from the sets under `old` to the sets under `new`.
    pub(crate) fn change<'a>(
        &mut self,
        member: Uuid,
        old: impl IntoIterator<Item = &'a K>,
        new: impl IntoIterator<Item = &'a K>,
    ) where
        K: 'a,
    {
        for key in old {
            if let Some(set) = self.0.get_mut(key) {
                set.remove(&member);
                if set.is_empty() {
                    self.0.remove(key);
                }
            }
        }
        for key in new {
            self.0.entry(key.clone()).or_default().insert(member);
        }
    }
}

/// The rows of one node.
#[derive(Debug)]
pub(crate) struct Table<R>(HashMap<Uuid, Arc<R>>);

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<R> Table<R> {
    pub(crate) fn get(&self, key: Uuid) -> Option<&Arc<R>> {
        self.0.get(&key)
    }
}

/// The data of all nodes.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) objects: Objects,
    pub(crate) policies: Table<PolicyRow>,
    pub(crate) networks: Table<NetworkRow>,
    pub(crate) rules: Table<RulesRow>,
    pub(crate) connections: Table<ConnectionsRow>,
    pub(crate) instances: Table<InstanceRow>,
    pub(crate) targets: Table<TargetRow>,
    pub(crate) groups: Table<GroupRow>,
    pub(crate) interfaces: Table<InterfaceRow>,
    /// Policies by the policies their addresses name.
    pub(crate) policies_naming: Reverse<String>,
    /// Networks by the policies attached to them.
    pub(crate) attached_to: Reverse<Uuid>,
    /// Networks by the networks their pass rules name.
    pub(crate) networks_naming: Reverse<String>,
    /// Security groups by the security groups their rules name.
    pub(crate) groups_naming: Reverse<String>,
    /// Networks by the route targets they use.
    pub(crate) targets_used: Reverse<Uuid>,
    /// Route targets in use, by uuid.
    pub(crate) target_names: BTreeMap<Uuid, RouteTarget>,
}

/// One row before and after.
#[derive(Debug)]
pub(crate) struct RowChange<R> {
    pub(crate) key: Uuid,
    pub(crate) old: Option<Arc<R>>,
    pub(crate) new: Option<Arc<R>>,
}

impl<R> RowChange<R> {
    /// Whether the row came or went.
    pub(crate) fn existence(&self) -> bool {
        self.old.is_some() != self.new.is_some()
    }

    /// The old and the new row, as far as they exist.
    pub(crate) fn both(&self) -> impl Iterator<Item = &R> {
        self.old.iter().chain(&self.new).map(Arc::as_ref)
    }
}

/// A declared dependency: a changed row makes these rows of node `to` worth computing again.
pub(crate) struct Edge<R: 'static> {
    pub(crate) to: NodeId,
    pub(crate) affected: fn(&State, &RowChange<R>, &mut BTreeSet<Uuid>),
}

/// A declared dependency on configured objects of one type.
pub(crate) struct ObjectEdge {
    pub(crate) from: ObjectType,
    pub(crate) to: NodeId,
    pub(crate) affected: fn(&State, &ObjectChange, &mut BTreeSet<Uuid>),
}

/// What a row adds to the intent.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) instances: Vec<crate::RoutingInstance>,
    pub(crate) objects: Vec<Arc<weft_model::Object>>,
    pub(crate) refs: Option<crate::DerivedRefs>,
    pub(crate) problems: Vec<Problem>,
}

/// A node of the graph.
pub(crate) trait Node {
    /// One row.
    type Row: PartialEq + 'static;
    /// Which node it is.
    const ID: NodeId;
    /// Who depends on it.
    const EDGES: &'static [Edge<Self::Row>];

    /// Where the rows are.
    fn table(state: &mut State) -> &mut Table<Self::Row>;
    /// The keys that have a row when computed from scratch.
    fn keys(state: &State) -> Vec<Uuid>;
    /// Computes a row from earlier nodes; `None` if there is none.
    fn compute(state: &State, key: Uuid) -> Option<Self::Row>;
    /// Keeps the node's own indexes.
    fn index(_state: &mut State, _change: &RowChange<Self::Row>) {}
    /// What the row adds to the intent.
    fn publish(_row: &Self::Row, _out: &mut Published) {}
}

/// The keys to be computed again, by node.
#[derive(Debug, Default)]
pub(crate) struct Dirty([BTreeSet<Uuid>; NODES]);

impl Dirty {
    pub(crate) fn of(&mut self, node: NodeId) -> &mut BTreeSet<Uuid> {
        &mut self.0[node as usize]
    }
}

/// Runs one node over its dirty keys and marks what depends on the rows that changed.
pub(crate) fn run<N: Node>(state: &mut State, dirty: &mut Dirty, output: &mut Output) {
    for key in std::mem::take(dirty.of(N::ID)) {
        let new = N::compute(state, key).map(Arc::new);
        let table = N::table(state);
        let old = table.get(key).cloned();
        if old == new {
            continue;
        }
        match &new {
            Some(row) => table.0.insert(key, Arc::clone(row)),
            None => table.0.remove(&key),
        };
        let change = RowChange { key, old, new };
        N::index(state, &change);
        for edge in N::EDGES {
            (edge.affected)(state, &change, dirty.of(edge.to));
        }
        output.record::<N>(&change);
    }
}

/// Marks every row of a node: those it has and those it should have.
pub(crate) fn mark_all<N: Node>(state: &mut State, dirty: &mut Dirty) {
    let mut keys: BTreeSet<Uuid> = N::keys(state).into_iter().collect();
    keys.extend(N::table(state).0.keys().copied());
    dirty.of(N::ID).extend(keys);
}
