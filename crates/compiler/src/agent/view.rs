//! The configuration graph: configured objects, derived objects and derived references seen as one set of nodes and
//! links. Nothing is stored twice: neighbours and wire forms are worked out when asked for.

use super::schema::{Relation, Schema, Step};
use crate::DerivedRefs;
use crate::objects::{Key, ObjectIndex};
use crate::packed::Links;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_model::{FqName, Object, ObjectType};
use weft_xmpp::config::{ConfigLink, ConfigNode};

/// References the compiler adds to configured objects.
pub(crate) type Overlay = BTreeMap<Key, DerivedRefs>;

/// Properties that agents have no use for.
const HIDDEN: [&str; 2] = ["perms2", "annotations"];

/// A node of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Vertex {
    /// An object.
    Object(Key),
    /// An attributed reference.
    Link { from: Key, to: Key },
}

/// A link of the graph: from holder or parent to target or child, or between an attributed reference and an end of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Edge {
    pub(super) left: Vertex,
    pub(super) right: Vertex,
    /// Child of a parent, not a reference.
    pub(super) containment: bool,
}

/// The graph.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) objects: &'a ObjectIndex,
    pub(crate) derived: &'a ObjectIndex,
    pub(crate) overlay: &'a Overlay,
}

impl<'a> View<'a> {
    fn index(&self, object_type: ObjectType) -> &'a ObjectIndex {
        if object_type.info().derived { self.derived } else { self.objects }
    }

    pub(super) fn object(&self, key: Key) -> Option<Arc<Object>> {
        self.index(key.0).get(key)
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        self.index(key.0).contains(key)
    }

    pub(super) fn fq_name(&self, key: Key) -> Option<FqName> {
        self.index(key.0).name(key)
    }

    pub(super) fn named(&self, object_type: ObjectType, name: &weft_model::FqName) -> Option<Key> {
        Some((object_type, self.index(object_type).lookup(object_type, name)?))
    }

    /// Objects of one type an object refers to: configured, or added by the compiler for types only it makes.
    fn targets<'l>(
        &self,
        key: Key,
        links: &'l Links,
        to: ObjectType,
    ) -> impl Iterator<Item = Key> + use<'a, 'l> {
        let added = to.info().derived && !key.0.info().derived;
        let overlay = if added { self.overlay.get(&key).map(|refs| &**refs) } else { None };
        let configured = if added { &[][..] } else { &links.refs };
        let overlay = overlay.unwrap_or_default().iter().map(|(t, r)| (*t, r.uuid));
        configured.iter().copied().chain(overlay).filter(move |target| target.0 == to)
    }

    /// The attribute of a reference; `None` if there is no such reference.
    fn attribute(&self, from: Key, to: Key) -> Option<Option<Value>> {
        if to.0.info().derived && !from.0.info().derived {
            let overlay = self.overlay.get(&from)?;
            return overlay.iter().find(|(t, r)| (*t, r.uuid) == to).map(|(_, r)| r.attr.clone());
        }
        let object = self.object(from)?;
        object.refs_to(to.0).iter().find(|r| r.uuid == to.1).map(|r| r.attr.clone())
    }

    /// Calls `visit` with every neighbour the walk may go to from a node that exists, and the link to it.
    pub(super) fn neighbours(&self, vertex: Vertex, mut visit: impl FnMut(Vertex, Edge)) {
        match vertex {
            Vertex::Object(key) => {
                let Some(links) = self.index(key.0).links(key) else { return };
                for step in Schema::get().steps(key.0) {
                    self.step(key, &links, step, &mut |other| self.hop(key, step, other, &mut visit));
                }
            }
            Vertex::Link { from, to } => {
                if self.contains(from) && self.contains(to) {
                    visit(Vertex::Object(from), half(Vertex::Object(from), vertex));
                    visit(Vertex::Object(to), half(vertex, Vertex::Object(to)));
                }
            }
        }
    }

    /// Calls `found` with every object one step away.
    fn step(&self, key: Key, links: &Links, step: &Step, found: &mut dyn FnMut(Key)) {
        match step.relation {
            Relation::Parent => links.parent.into_iter().filter(|p| p.0 == step.other).for_each(found),
            Relation::Child => {
                self.index(step.other).children(key, step.other).for_each(|u| found((step.other, u)));
            }
            Relation::Target => self.targets(key, links, step.other).for_each(found),
            Relation::Referrer => {
                self.index(step.other).referrers(key, step.other).for_each(|u| found((step.other, u)));
            }
        }
    }

    /// One step from `key` to `other`, which may lead to the node of an attributed reference instead.
    fn hop(&self, key: Key, step: &Step, other: Key, visit: &mut impl FnMut(Vertex, Edge)) {
        if !self.contains(other) {
            return;
        }
        let (left, right) = match step.relation {
            Relation::Child | Relation::Target => (key, other),
            Relation::Parent | Relation::Referrer => (other, key),
        };
        if step.attributed {
            let link = Vertex::Link { from: left, to: right };
            let here = Vertex::Object(key);
            visit(link, if left == key { half(here, link) } else { half(link, here) });
        } else {
            let containment = matches!(step.relation, Relation::Parent | Relation::Child);
            let edge = Edge { left: Vertex::Object(left), right: Vertex::Object(right), containment };
            visit(Vertex::Object(other), edge);
        }
    }

    /// Type and name of a node on the wire; `None` if it does not exist.
    pub(super) fn name(&self, vertex: Vertex) -> Option<(String, String)> {
        match vertex {
            Vertex::Object(key) => Some((key.0.name().to_owned(), self.fq_name(key)?.to_string())),
            Vertex::Link { from, to } => {
                let (left, right) = (self.fq_name(from)?, self.fq_name(to)?);
                let link = Schema::get().ref_link(from.0, to.0)?;
                Some((link.name.clone(), format!("attr({left},{right})")))
            }
        }
    }

    /// A node as agents get it.
    pub(super) fn node(&self, vertex: Vertex) -> Option<ConfigNode> {
        let (node_type, name) = self.name(vertex)?;
        let (uuid, properties) = match vertex {
            Vertex::Object(key) => (Some(key.1), properties(&*self.object(key)?)),
            Vertex::Link { from, to } => {
                let value = self.attribute(from, to)?.unwrap_or_else(|| Value::Object(Map::new()));
                (None, Map::from_iter([("value".to_owned(), value)]))
            }
        };
        Some(ConfigNode { node_type, name, uuid, properties })
    }
}

/// Between an attributed reference and one end of it.
fn half(left: Vertex, right: Vertex) -> Edge {
    Edge { left, right, containment: false }
}

impl Edge {
    /// The link type.
    fn metadata(&self) -> Option<&'static str> {
        let schema = Schema::get();
        let link = match (self.left, self.right) {
            (Vertex::Object(left), Vertex::Object(right)) if self.containment => {
                schema.parent_link(left.0, right.0)
            }
            (Vertex::Object(left), Vertex::Object(right)) => schema.ref_link(left.0, right.0),
            (Vertex::Link { from, to }, _) | (_, Vertex::Link { from, to }) => schema.ref_link(from.0, to.0),
        };
        link.map(|link| link.name.as_str())
    }

    /// The link as agents get it, between ends of these names.
    pub(super) fn wire(&self, left: &(String, String), right: &(String, String)) -> Option<ConfigLink> {
        Some(ConfigLink { left: left.clone(), right: right.clone(), metadata: self.metadata()?.to_owned() })
    }
}

fn visible(object: &Object, name: &str) -> bool {
    let internal = || object.object_type.info().prop(name).is_some_and(|p| p.system);
    !HIDDEN.contains(&name) && !name.starts_with("weft_") && !internal()
}

/// The properties agents see, with the identity in `id_perms`.
fn properties(object: &Object) -> Map<String, Value> {
    let shown = object.props.iter().filter(|(name, value)| visible(object, name) && !value.is_null());
    let mut out: Map<String, Value> = shown.map(|(name, value)| (name.clone(), value.clone())).collect();
    let (high, low) = object.uuid.as_u64_pair();
    if let Value::Object(perms) = out.entry("id_perms").or_insert_with(|| Value::Object(Map::new())) {
        perms.insert("uuid".into(), serde_json::json!({"uuid_mslong": high, "uuid_lslong": low}));
    }
    out
}

/// Whether two states of an object look the same to agents.
pub(super) fn same_properties(a: &Object, b: &Object) -> bool {
    fn shown(object: &Object) -> impl Iterator<Item = (&String, &Value)> {
        object.props.iter().filter(|(name, value)| visible(object, name) && !value.is_null())
    }
    a.props == b.props || shown(a).eq(shown(b))
}
