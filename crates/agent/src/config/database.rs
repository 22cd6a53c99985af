//! Nodes and links as received, with mark and sweep across a change of the configuration source.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weft_xmpp::config::{ConfigElement, ConfigLink, ConfigNode, ConfigOp};

/// Most nodes and links kept; beyond it updates are refused and counted. (A host of 1000 workloads needs some 20 000.)
pub(crate) const MAX_ELEMENTS: usize = 2_000_000;

/// Type and name of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey {
    /// Kebab-case type of object or of attributed link.
    pub node_type: String,
    /// The fully qualified name, joined by `:`.
    pub name: String,
}

impl NodeKey {
    /// The key of the node `name` of `node_type`.
    pub fn new(node_type: &str, name: &str) -> Self {
        Self { node_type: node_type.to_owned(), name: name.to_owned() }
    }
}

impl From<&(String, String)> for NodeKey {
    fn from((node_type, name): &(String, String)) -> Self {
        Self::new(node_type, name)
    }
}

/// The configuration graph.
#[derive(Debug, Default)]
pub struct Database {
    nodes: BTreeMap<NodeKey, Arc<ConfigNode>>,
    /// Both directions of every link.
    adjacent: BTreeMap<NodeKey, BTreeSet<NodeKey>>,
    links: BTreeSet<ConfigLink>,
    stale_nodes: BTreeSet<NodeKey>,
    stale_links: BTreeSet<ConfigLink>,
    /// Updates refused because the database was full.
    pub refused: u64,
}

impl Database {
    /// Apply one change. Returns whether anything is different now.
    pub fn apply(&mut self, op: &ConfigOp) -> bool {
        match op {
            ConfigOp::Update(ConfigElement::Node(node)) => self.put_node(node),
            ConfigOp::Update(ConfigElement::Link(link)) => self.put_link(link),
            ConfigOp::Delete(ConfigElement::Node(node)) => {
                self.delete_node(&NodeKey::new(&node.node_type, &node.name))
            }
            ConfigOp::Delete(ConfigElement::Link(link)) => self.delete_link(link),
        }
    }

    fn put_node(&mut self, node: &ConfigNode) -> bool {
        let key = NodeKey::new(&node.node_type, &node.name);
        self.stale_nodes.remove(&key);
        match self.nodes.get(&key) {
            Some(old) if **old == *node => return false,
            None if self.len() >= MAX_ELEMENTS => {
                self.refused += 1;
                return false;
            }
            _ => {}
        }
        self.nodes.insert(key, Arc::new(node.clone()));
        true
    }

    fn put_link(&mut self, link: &ConfigLink) -> bool {
        self.stale_links.remove(link);
        if self.links.contains(link) {
            return false;
        }
        if self.len() >= MAX_ELEMENTS {
            self.refused += 1;
            return false;
        }
        let (left, right) = (NodeKey::from(&link.left), NodeKey::from(&link.right));
        self.adjacent.entry(left.clone()).or_default().insert(right.clone());
        self.adjacent.entry(right).or_default().insert(left);
        self.links.insert(link.clone())
    }

    fn delete_node(&mut self, key: &NodeKey) -> bool {
        self.stale_nodes.remove(key);
        self.nodes.remove(key).is_some()
    }

    fn delete_link(&mut self, link: &ConfigLink) -> bool {
        self.stale_links.remove(link);
        if !self.links.remove(link) {
            return false;
        }
        let (left, right) = (NodeKey::from(&link.left), NodeKey::from(&link.right));
        // Another link type may join the same two nodes.
        let still = self.links.iter().any(|l| {
            let (a, b) = (NodeKey::from(&l.left), NodeKey::from(&l.right));
            (a == left && b == right) || (a == right && b == left)
        });
        if !still {
            for (from, to) in [(&left, &right), (&right, &left)] {
                if let Some(set) = self.adjacent.get_mut(from) {
                    set.remove(to);
                    if set.is_empty() {
                        self.adjacent.remove(from);
                    }
                }
            }
        }
        true
    }

    /// Nodes and links held.
    pub fn len(&self) -> usize {
        self.nodes.len() + self.links.len()
    }

    /// Whether nothing has been received yet.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.links.is_empty()
    }

    /// Mark everything as stale: a new configuration source will name again what still exists.
    pub fn mark_stale(&mut self) {
        self.stale_nodes = self.nodes.keys().cloned().collect();
        self.stale_links = self.links.clone();
    }

    /// Delete what has stayed stale since [`Self::mark_stale`]. Returns how many elements went.
    pub fn sweep(&mut self) -> usize {
        let nodes = std::mem::take(&mut self.stale_nodes);
        let links = std::mem::take(&mut self.stale_links);
        let count = nodes.len() + links.len();
        links.iter().for_each(|link| {
            self.delete_link(link);
        });
        nodes.iter().for_each(|key| {
            self.delete_node(key);
        });
        count
    }

    /// Everything, as the operations that would rebuild it (for the state file).
    pub fn snapshot(&self) -> impl Iterator<Item = ConfigOp> + '_ {
        let nodes = self.nodes.values().map(|n| ConfigElement::Node((**n).clone()));
        let links = self.links.iter().map(|l| ConfigElement::Link(l.clone()));
        nodes.chain(links).map(ConfigOp::Update)
    }

    /// The node of that type and name.
    pub fn node(&self, node_type: &str, name: &str) -> Option<&ConfigNode> {
        self.nodes.get(&NodeKey::new(node_type, name)).map(Arc::as_ref)
    }

    /// All nodes of a type, by name.
    pub fn nodes_of<'a>(&'a self, node_type: &'a str) -> impl Iterator<Item = &'a ConfigNode> {
        self.nodes
            .range(NodeKey::new(node_type, "")..)
            .take_while(move |(key, _)| key.node_type == node_type)
            .map(|(_, node)| node.as_ref())
    }

    /// Nodes of `node_type` that have a link with `from`, by name. Links to nodes not received are left out.
    pub fn linked<'a>(&'a self, from: &NodeKey, node_type: &'a str) -> impl Iterator<Item = &'a ConfigNode> {
        self.adjacent
            .get(from)
            .into_iter()
            .flatten()
            .filter(move |key| key.node_type == node_type)
            .filter_map(|key| self.nodes.get(key).map(Arc::as_ref))
    }

    /// Nodes of `to_type` reached from `from` over an attributed link of type `via`, each with the link's node.
    pub fn linked_via<'a>(
        &'a self,
        from: &NodeKey,
        via: &'a str,
        to_type: &'a str,
    ) -> impl Iterator<Item = (&'a ConfigNode, &'a ConfigNode)> {
        self.linked(from, via).flat_map(move |link| {
            let key = NodeKey::new(&link.node_type, &link.name);
            let found: Vec<_> = self.linked(&key, to_type).collect();
            found.into_iter().map(move |node| (link, node))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(node_type: &str, name: &str) -> ConfigOp {
        ConfigOp::Update(ConfigElement::Node(ConfigNode::named(node_type, name)))
    }

    fn link(a: (&str, &str), b: (&str, &str), metadata: &str) -> ConfigElement {
        ConfigElement::Link(ConfigLink {
            left: (a.0.into(), a.1.into()),
            right: (b.0.into(), b.1.into()),
            metadata: metadata.into(),
        })
    }

    #[test]
    fn walks_both_ways_and_over_attributed_links() {
        let mut db = Database::default();
        for op in [node("virtual-network", "a"), node("vn-ipam", "x"), node("network-ipam", "i")] {
            assert!(db.apply(&op));
            assert!(!db.apply(&op), "the same again changes nothing");
        }
        db.apply(&ConfigOp::Update(link(("virtual-network", "a"), ("vn-ipam", "x"), "vn-ipam")));
        db.apply(&ConfigOp::Update(link(("vn-ipam", "x"), ("network-ipam", "i"), "vn-ipam")));
        let vn = NodeKey::new("virtual-network", "a");
        let found: Vec<_> = db.linked_via(&vn, "vn-ipam", "network-ipam").map(|(_, n)| &n.name).collect();
        assert_eq!(found, ["i"]);
        let back: Vec<_> = db.linked(&NodeKey::new("vn-ipam", "x"), "virtual-network").collect();
        assert_eq!(back.len(), 1);
    }

    #[test]
    fn sweep_removes_only_what_was_not_named_again() {
        let mut db = Database::default();
        db.apply(&node("t", "a"));
        db.apply(&node("t", "b"));
        let l = link(("t", "a"), ("t", "b"), "m");
        db.apply(&ConfigOp::Update(l));
        db.mark_stale();
        db.apply(&node("t", "a"));
        assert_eq!(db.sweep(), 2);
        assert_eq!(db.nodes_of("t").count(), 1);
        assert_eq!(db.linked(&NodeKey::new("t", "a"), "t").count(), 0);
        assert_eq!(db.sweep(), 0);
    }
}
