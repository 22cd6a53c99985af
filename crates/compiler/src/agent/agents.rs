//! The agents: what each has reached, and what has to be told when the graph changes.
//!
//! New links extend the reached set from where they start; a lost link makes the agent's walk start over, which costs no
//! more than the size of its own part of the graph.

use super::changes::Touched;
use super::view::{Edge, Vertex, View};
use crate::objects::Key;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{FqName, ObjectType};
use weft_xmpp::config::{ConfigElement, ConfigNode, ConfigOp};

/// Type and name of a node on the wire.
type WireName = Arc<(String, String)>;

/// Who holds a node.
#[derive(Debug)]
struct Interest {
    /// The name it was sent under.
    name: WireName,
    agents: BTreeSet<u32>,
}

/// One agent.
#[derive(Debug, Default)]
struct Agent {
    /// The name it subscribed with.
    name: String,
    router: FqName,
    machines: BTreeSet<Uuid>,
    reached: HashSet<Vertex>,
    edges: HashSet<Edge>,
}

/// What one agent gains and loses.
#[derive(Debug, Default)]
struct Difference {
    gained: BTreeSet<Vertex>,
    lost: BTreeSet<Vertex>,
    edges_gained: BTreeSet<Edge>,
    edges_lost: BTreeSet<Edge>,
    content: BTreeSet<Vertex>,
}

/// What to do for one agent.
#[derive(Debug, Default)]
struct Work {
    from: BTreeSet<Vertex>,
    again: bool,
    content: BTreeSet<Vertex>,
}

/// All agents.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    next: u32,
    agents: BTreeMap<u32, Agent>,
    by_name: BTreeMap<String, u32>,
    by_router: BTreeMap<FqName, BTreeSet<u32>>,
    by_machine: BTreeMap<Uuid, BTreeSet<u32>>,
    interest: HashMap<Vertex, Interest>,
}

impl Agents {
    /// Adds an agent; what it has to know. Nothing if it is known already.
    pub(crate) fn subscribe(&mut self, view: &View<'_>, name: &str, router: FqName) -> Vec<ConfigOp> {
        if self.by_name.contains_key(name) {
            return Vec::new();
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.by_name.insert(name.to_owned(), id);
        self.by_router.entry(router.clone()).or_default().insert(id);
        self.agents.insert(id, Agent { name: name.to_owned(), router, ..Agent::default() });
        self.work(view, id, Work::default())
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    /// Forgets an agent.
    pub(crate) fn unsubscribe(&mut self, name: &str) {
        let Some(id) = self.by_name.remove(name) else { return };
        let Some(agent) = self.agents.remove(&id) else { return };
        remove_from(&mut self.by_router, &agent.router, id);
        for machine in &agent.machines {
            remove_from(&mut self.by_machine, machine, id);
        }
        for vertex in agent.reached {
            self.release(vertex, id);
        }
    }

    /// Adds a virtual machine to an agent; nothing for an agent that has not subscribed itself.
    pub(crate) fn subscribe_machine(&mut self, view: &View<'_>, name: &str, machine: Uuid) -> Vec<ConfigOp> {
        let Some(&id) = self.by_name.get(name) else { return Vec::new() };
        if !self.agents.get_mut(&id).is_some_and(|agent| agent.machines.insert(machine)) {
            return Vec::new();
        }
        self.by_machine.entry(machine).or_default().insert(id);
        self.work(view, id, Work::default())
    }

    /// Takes a virtual machine from an agent.
    pub(crate) fn unsubscribe_machine(
        &mut self,
        view: &View<'_>,
        name: &str,
        machine: Uuid,
    ) -> Vec<ConfigOp> {
        let Some(&id) = self.by_name.get(name) else { return Vec::new() };
        if !self.agents.get_mut(&id).is_some_and(|agent| agent.machines.remove(&machine)) {
            return Vec::new();
        }
        remove_from(&mut self.by_machine, &machine, id);
        self.work(view, id, Work { again: true, ..Work::default() })
    }

    /// What the agents have to be told about a changed graph.
    pub(crate) fn changed(
        &mut self,
        view: &View<'_>,
        touched: &Touched,
        out: &mut BTreeMap<String, Vec<ConfigOp>>,
    ) {
        let mut work: BTreeMap<u32, Work> = BTreeMap::new();
        for vertex in &touched.grown {
            self.holders(vertex).for_each(|id| {
                work.entry(id).or_default().from.insert(*vertex);
            });
        }
        for vertex in &touched.shrunk {
            self.holders(vertex).for_each(|id| work.entry(id).or_default().again = true);
        }
        for vertex in &touched.content {
            self.holders(vertex).for_each(|id| {
                work.entry(id).or_default().content.insert(*vertex);
            });
        }
        for key in &touched.appeared {
            self.rooted_at(view, *key).for_each(|id| {
                work.entry(id).or_default();
            });
        }
        for (id, todo) in work {
            let ops = self.work(view, id, todo);
            if let Some(agent) = self.agents.get(&id).filter(|_| !ops.is_empty()) {
                out.entry(agent.name.clone()).or_default().extend(ops);
            }
        }
    }

    /// Walks again for every agent, as after a change of everything.
    pub(crate) fn recompute(&mut self, view: &View<'_>, out: &mut BTreeMap<String, Vec<ConfigOp>>) {
        let ids: Vec<u32> = self.agents.keys().copied().collect();
        for id in ids {
            let ops = self.work(view, id, Work { again: true, ..Work::default() });
            if let Some(agent) = self.agents.get(&id).filter(|_| !ops.is_empty()) {
                out.entry(agent.name.clone()).or_default().extend(ops);
            }
        }
    }

    fn holders(&self, vertex: &Vertex) -> impl Iterator<Item = u32> + '_ {
        self.interest.get(vertex).into_iter().flat_map(|interest| interest.agents.iter().copied())
    }

    /// Agents whose walk starts at an object.
    fn rooted_at(&self, view: &View<'_>, key: Key) -> impl Iterator<Item = u32> + '_ {
        let router = (key.0 == ObjectType::VirtualRouter).then(|| view.fq_name(key)).flatten();
        let routers = router.and_then(|name| self.by_router.get(&name));
        let machines = (key.0 == ObjectType::VirtualMachine).then(|| self.by_machine.get(&key.1)).flatten();
        routers.into_iter().chain(machines).flatten().copied()
    }

    /// Brings one agent up to date.
    fn work(&mut self, view: &View<'_>, id: u32, work: Work) -> Vec<ConfigOp> {
        let Some(agent) = self.agents.get_mut(&id) else { return Vec::new() };
        let mut difference = if work.again { agent.walk_again(view) } else { agent.walk_on(view, work.from) };
        difference.content = work.content;
        difference.content.retain(|v| agent.reached.contains(v) && !difference.gained.contains(v));
        self.tell(view, id, &difference)
    }

    /// The operations for a difference: deletes first, because a name may come back as another object.
    fn tell(&mut self, view: &View<'_>, id: u32, difference: &Difference) -> Vec<ConfigOp> {
        let mut ops = Vec::new();
        for edge in &difference.edges_lost {
            ops.extend(self.link(edge).map(ConfigOp::Delete));
        }
        for vertex in &difference.lost {
            if let Some(interest) = self.interest.get(vertex) {
                let (node_type, name) = interest.name.as_ref();
                let node = ConfigNode::named(node_type.as_str(), name.as_str());
                ops.push(ConfigOp::Delete(ConfigElement::Node(node)));
            }
            self.release(*vertex, id);
        }
        for vertex in &difference.gained {
            self.acquire(view, *vertex, id);
        }
        for vertex in difference.gained.iter().chain(&difference.content) {
            ops.extend(view.node(*vertex).map(|node| ConfigOp::Update(ConfigElement::Node(node))));
        }
        for edge in &difference.edges_gained {
            ops.extend(self.link(edge).map(ConfigOp::Update));
        }
        ops
    }

    fn link(&self, edge: &Edge) -> Option<ConfigElement> {
        let left = &self.interest.get(&edge.left)?.name;
        let right = &self.interest.get(&edge.right)?.name;
        edge.wire(left, right).map(ConfigElement::Link)
    }

    fn acquire(&mut self, view: &View<'_>, vertex: Vertex, id: u32) {
        if let Some(interest) = self.interest.get_mut(&vertex) {
            interest.agents.insert(id);
        } else if let Some(name) = view.name(vertex) {
            let interest = Interest { name: Arc::new(name), agents: BTreeSet::from([id]) };
            self.interest.insert(vertex, interest);
        }
    }

    fn release(&mut self, vertex: Vertex, id: u32) {
        if let Some(interest) = self.interest.get_mut(&vertex) {
            interest.agents.remove(&id);
            if interest.agents.is_empty() {
                self.interest.remove(&vertex);
            }
        }
    }
}

impl Agent {
    /// Where its walk starts: those of its roots that exist.
    fn roots(&self, view: &View<'_>) -> Vec<Vertex> {
        let router = view.named(ObjectType::VirtualRouter, &self.router);
        let machines = self.machines.iter().map(|uuid| (ObjectType::VirtualMachine, *uuid));
        let machines = machines.filter(|key| view.contains(*key));
        router.into_iter().chain(machines).map(Vertex::Object).collect()
    }

    /// Extends the reached set from these nodes (those it has) and from roots it has not.
    fn walk_on(&mut self, view: &View<'_>, from: BTreeSet<Vertex>) -> Difference {
        let mut difference = Difference::default();
        let mut stack: Vec<Vertex> = from.into_iter().filter(|v| self.reached.contains(v)).collect();
        for root in self.roots(view) {
            if self.reached.insert(root) {
                difference.gained.insert(root);
                stack.push(root);
            }
        }
        let (reached, edges) = (&mut self.reached, &mut self.edges);
        while let Some(vertex) = stack.pop() {
            view.neighbours(vertex, |other, edge| {
                if edges.insert(edge) {
                    difference.edges_gained.insert(edge);
                }
                if reached.insert(other) {
                    difference.gained.insert(other);
                    stack.push(other);
                }
            });
        }
        difference
    }

    /// Walks from the roots anew and compares.
    fn walk_again(&mut self, view: &View<'_>) -> Difference {
        let (reached, edges) = (self.reached.len(), self.edges.len());
        let old_reached = std::mem::replace(&mut self.reached, HashSet::with_capacity(reached));
        let old_edges = std::mem::replace(&mut self.edges, HashSet::with_capacity(edges));
        let now = self.walk_on(view, BTreeSet::new());
        Difference {
            lost: old_reached.iter().filter(|v| !self.reached.contains(v)).copied().collect(),
            edges_lost: old_edges.iter().filter(|e| !self.edges.contains(e)).copied().collect(),
            gained: now.gained.into_iter().filter(|v| !old_reached.contains(v)).collect(),
            edges_gained: now.edges_gained.into_iter().filter(|e| !old_edges.contains(e)).collect(),
            content: BTreeSet::new(),
        }
    }
}

fn remove_from<K: Ord>(map: &mut BTreeMap<K, BTreeSet<u32>>, key: &K, id: u32) {
    if let Some(set) = map.get_mut(key) {
        set.remove(&id);
        if set.is_empty() {
            map.remove(key);
        }
    }
}
