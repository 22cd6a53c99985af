//! What a step changed in the graph, as far as walks are concerned.

use super::schema::{Relation, Schema};
use super::view::{Vertex, View, same_properties};
use crate::DerivedRefs;
use crate::objects::Key;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_model::{Object, ObjectType, Reference};

/// The state before the step of every object that may have changed.
#[derive(Debug, Default)]
pub(crate) struct Batch(BTreeMap<Key, Before>);

#[derive(Debug)]
struct Before {
    object: Option<Arc<Object>>,
    overlay: Option<DerivedRefs>,
}

impl Batch {
    /// Notes an object's state; only the first note of a step counts.
    pub(crate) fn note(&mut self, key: Key, object: Option<Arc<Object>>, overlay: Option<DerivedRefs>) {
        self.0.entry(key).or_insert(Before { object, overlay });
    }

    /// The name an object had before the step; `None` if it was not noted.
    pub(crate) fn name_before(&self, key: Key) -> Option<Option<&weft_model::FqName>> {
        self.0.get(&key).map(|before| before.object.as_ref().map(|o| &o.fq_name))
    }

    /// Compares before and after.
    pub(crate) fn touched(self, view: &View<'_>) -> Touched {
        let mut touched = Touched::default();
        for (key, before) in self.0 {
            match (before.object, view.object(key)) {
                (None, None) => {}
                (None, Some(_)) => touched.appeared(view, key),
                // Those who start their walk here hold it as well.
                (Some(_), None) => {
                    touched.shrunk.insert(Vertex::Object(key));
                }
                (Some(old), Some(new)) => {
                    touched.changed(view, key, (&old, before.overlay.as_deref().unwrap_or(&[])), &new);
                }
            }
        }
        touched
    }
}

/// Nodes concerned by a step.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// From these the walk may get further than before.
    pub(super) grown: BTreeSet<Vertex>,
    /// From these the walk may get less far than before, or they are gone.
    pub(super) shrunk: BTreeSet<Vertex>,
    /// These look different.
    pub(super) content: BTreeSet<Vertex>,
    /// Objects that are new.
    pub(super) appeared: BTreeSet<Key>,
}

/// One link an object holds: containment or reference, the other end, and the attribute.
type Held = BTreeMap<(bool, Key), Option<Value>>;

impl Touched {
    /// A new object: those next to it may now reach it.
    fn appeared(&mut self, view: &View<'_>, key: Key) {
        self.appeared.insert(key);
        let Some(object) = view.object(key) else { return };
        for object_type in ObjectType::ALL {
            for step in Schema::get().steps(*object_type).iter().filter(|step| step.other == key.0) {
                view.against(&object, *object_type, step.relation, &mut |other| {
                    self.grown.insert(Vertex::Object(other));
                });
            }
        }
    }

    fn changed(
        &mut self,
        view: &View<'_>,
        key: Key,
        old: (&Object, &[(ObjectType, Reference)]),
        new: &Object,
    ) {
        if !same_properties(old.0, new) {
            self.content.insert(Vertex::Object(key));
        }
        let overlay = view.overlay.get(&key).map(|refs| &**refs).unwrap_or(&[]);
        let (before, after) = (held(old.0, old.1), held(new, overlay));
        for (link, attr) in &before {
            match after.get(link) {
                None => mark(&mut self.shrunk, key, *link),
                Some(now) if now != attr => {
                    self.content.insert(Vertex::Link { from: key, to: link.1 });
                }
                Some(_) => {}
            }
        }
        for link in after.keys().filter(|link| !before.contains_key(*link)) {
            mark(&mut self.grown, key, *link);
        }
    }
}

/// Marks the ends of a link the walk may start from.
fn mark(set: &mut BTreeSet<Vertex>, key: Key, (containment, other): (bool, Key)) {
    let schema = Schema::get();
    // The holder of a reference is `key`; the holder of a child is the other one.
    let (holder, held, link) = if containment {
        (other, key, schema.parent_link(other.0, key.0))
    } else {
        (key, other, schema.ref_link(key.0, other.0))
    };
    if link.is_some_and(|link| link.forward) {
        set.insert(Vertex::Object(holder));
    }
    if link.is_some_and(|link| link.backward) {
        set.insert(Vertex::Object(held));
    }
}

/// The links an object holds itself. Of several references to one object the first counts.
fn held(object: &Object, overlay: &[(ObjectType, Reference)]) -> Held {
    let mut held = Held::new();
    if let Some(parent) = object.parent {
        held.insert((true, parent), None);
    }
    let derived = object.object_type.info().derived;
    let configured = object.refs.iter().filter(|(to, _)| derived || !to.info().derived);
    let configured = configured.flat_map(|(to, list)| list.iter().map(move |r| (*to, r)));
    for (to, reference) in configured.chain(overlay.iter().map(|(to, r)| (*to, r))) {
        held.entry((false, (to, reference.uuid))).or_insert_with(|| reference.attr.clone());
    }
    held
}

impl View<'_> {
    /// Calls `found` with the objects of type `from` whose step of this relation leads to `object`.
    fn against(&self, object: &Object, from: ObjectType, relation: Relation, found: &mut dyn FnMut(Key)) {
        let key = (object.object_type, object.uuid);
        match relation {
            Relation::Parent => self.related(key, from, true, found),
            Relation::Target => self.related(key, from, false, found),
            Relation::Child => object.parent.into_iter().filter(|p| p.0 == from).for_each(found),
            Relation::Referrer => {
                let overlay = self.overlay.get(&key).map(|refs| &**refs).unwrap_or(&[]);
                let links = held(object, overlay);
                links.keys().filter(|(parent, other)| !parent && other.0 == from).for_each(|l| found(l.1));
            }
        }
    }

    fn related(&self, key: Key, from: ObjectType, child: bool, found: &mut dyn FnMut(Key)) {
        let index = if from.info().derived { self.derived } else { self.objects };
        if child {
            index.children(key, from).for_each(|uuid| found((from, uuid)));
        } else {
            index.referrers(key, from).for_each(|uuid| found((from, uuid)));
        }
    }
}
