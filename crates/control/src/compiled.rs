//! What the compiler made of the configuration, for readers outside the control task: the REST service shows derived objects
//! from here.
//!
//! Kept up to date by the compiler's deltas; always holds that the indexes agree with the objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;
use weft_compiler::{Delta, DerivedRefs};
use weft_model::{Change, FqName, Object, ObjectType, Reference};
use weft_store::Revision;

type Key = (ObjectType, Uuid);

/// A reader's handle; cheap to clone. Locks are held for single look-ups only.
#[derive(Debug, Clone)]
pub struct CompiledView {
    tables: Arc<RwLock<Tables>>,
    revision: watch::Receiver<Revision>,
}

/// The writer's end, of the control task.
#[derive(Debug)]
pub(crate) struct CompiledWriter {
    tables: Arc<RwLock<Tables>>,
    revision: watch::Sender<Revision>,
}

#[derive(Debug, Default)]
struct Tables {
    objects: BTreeMap<Key, Arc<Object>>,
    types: BTreeMap<Uuid, ObjectType>,
    children: BTreeMap<Uuid, BTreeSet<Key>>,
    /// References that stored objects hold by derivation.
    refs: BTreeMap<Key, DerivedRefs>,
    /// Derived objects by what they refer to.
    derived_referrers: BTreeMap<Uuid, BTreeSet<Key>>,
    /// Stored objects by the derived objects they refer to.
    stored_referrers: BTreeMap<Uuid, BTreeSet<Key>>,
}

fn remove_member(index: &mut BTreeMap<Uuid, BTreeSet<Key>>, at: Uuid, key: Key) {
    if let Some(members) = index.get_mut(&at) {
        members.remove(&key);
        if members.is_empty() {
            index.remove(&at);
        }
    }
}

impl Tables {
    fn remove(&mut self, key: Key) {
        let Some(old) = self.objects.remove(&key) else { return };
        self.types.remove(&key.1);
        if let Some((_, parent)) = old.parent {
            remove_member(&mut self.children, parent, key);
        }
        for reference in old.refs.values().flatten() {
            remove_member(&mut self.derived_referrers, reference.uuid, key);
        }
    }

    fn put(&mut self, object: &Arc<Object>) {
        let key = (object.object_type, object.uuid);
        self.remove(key);
        self.types.insert(key.1, key.0);
        if let Some((_, parent)) = object.parent {
            self.children.entry(parent).or_default().insert(key);
        }
        for reference in object.refs.values().flatten() {
            self.derived_referrers.entry(reference.uuid).or_default().insert(key);
        }
        self.objects.insert(key, Arc::clone(object));
    }

    fn set_refs(&mut self, key: Key, refs: &DerivedRefs) {
        for (_, old) in self.refs.remove(&key).iter().flat_map(|refs| refs.iter()) {
            remove_member(&mut self.stored_referrers, old.uuid, key);
        }
        for (_, reference) in refs.iter() {
            self.stored_referrers.entry(reference.uuid).or_default().insert(key);
        }
        if !refs.is_empty() {
            self.refs.insert(key, DerivedRefs::clone(refs));
        }
    }
}

impl CompiledWriter {
    pub(crate) fn new() -> (Self, CompiledView) {
        let tables = Arc::new(RwLock::new(Tables::default()));
        let (sender, receiver) = watch::channel(0);
        let view = CompiledView { tables: Arc::clone(&tables), revision: receiver };
        (CompiledWriter { tables, revision: sender }, view)
    }

    /// Takes in what changed and then says that `revision` is compiled.
    pub(crate) fn publish(&self, revision: Revision, delta: &Delta) {
        if !delta.derived.is_empty() || !delta.derived_refs.is_empty() {
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            for change in &delta.derived {
                match change {
                    Change::Put(object) => tables.put(object),
                    Change::Delete { object_type, uuid, .. } => tables.remove((*object_type, *uuid)),
                }
            }
            for (key, refs) in &delta.derived_refs {
                tables.set_refs(*key, refs);
            }
        }
        self.revision.send_replace(revision);
    }
}

impl CompiledWriter {
    /// Gives back memory after very much came at once.
    pub(crate) fn compact(&self) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.refs = std::mem::take(&mut tables.refs).into_iter().collect();
        for members in tables.stored_referrers.values_mut() {
            *members = std::mem::take(members).into_iter().collect();
        }
    }
}

impl CompiledView {
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        // A panic of the writer cannot leave more than one object half indexed.
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The revision up to which everything is compiled.
    pub fn revision(&self) -> Revision {
        *self.revision.borrow()
    }

    /// Resolves once everything committed up to `revision` is compiled; false if the control node stopped before.
    pub async fn wait_revision(&self, revision: Revision) -> bool {
        self.revision.clone().wait_for(|compiled| *compiled >= revision).await.is_ok()
    }

    /// A derived object.
    pub fn get(&self, object_type: ObjectType, uuid: Uuid) -> Option<Arc<Object>> {
        self.read().objects.get(&(object_type, uuid)).cloned()
    }

    /// The identity of a derived object of that name.
    pub fn by_name(&self, object_type: ObjectType, fq_name: &FqName) -> Option<Uuid> {
        // Identities of derived objects follow from their names.
        let uuid = weft_model::derived_uuid(object_type, fq_name);
        self.read().objects.contains_key(&(object_type, uuid)).then_some(uuid)
    }

    /// All derived objects of a type, by uuid.
    pub fn list(&self, object_type: ObjectType) -> Vec<Arc<Object>> {
        let range = (object_type, Uuid::nil())..=(object_type, Uuid::max());
        self.read().objects.range(range).map(|(_, object)| Arc::clone(object)).collect()
    }

    /// Derived objects under an object.
    pub fn children(&self, parent: Uuid) -> Vec<Arc<Object>> {
        let tables = self.read();
        let keys = tables.children.get(&parent).into_iter().flatten();
        keys.filter_map(|key| tables.objects.get(key).cloned()).collect()
    }

    /// References a stored object holds by derivation.
    pub fn refs(&self, object_type: ObjectType, uuid: Uuid) -> Vec<(ObjectType, Reference)> {
        self.read().refs.get(&(object_type, uuid)).map(|refs| refs.to_vec()).unwrap_or_default()
    }

    /// Derived objects that refer to an object, with the reference's attribute.
    pub fn derived_referrers(&self, to: Uuid) -> Vec<(Arc<Object>, Option<Value>)> {
        let tables = self.read();
        let keys = tables.derived_referrers.get(&to).into_iter().flatten();
        let objects = keys.filter_map(|key| tables.objects.get(key));
        objects
            .flat_map(|object| {
                let refs = object.refs.values().flatten().filter(|reference| reference.uuid == to);
                refs.map(|reference| (Arc::clone(object), reference.attr.clone()))
            })
            .collect()
    }

    /// Stored objects that refer to a derived object by derivation, with the reference's attribute.
    pub fn stored_referrers(&self, to: Uuid) -> Vec<(ObjectType, Uuid, Option<Value>)> {
        let tables = self.read();
        let keys = tables.stored_referrers.get(&to).into_iter().flatten();
        keys.flat_map(|key| {
            let refs =
                tables.refs.get(key).into_iter().flat_map(|refs| refs.iter()).filter(|(_, r)| r.uuid == to);
            refs.map(|(_, reference)| (key.0, key.1, reference.attr.clone()))
        })
        .collect()
    }

    /// The type and name of a derived object.
    pub fn type_of(&self, uuid: Uuid) -> Option<(ObjectType, FqName)> {
        let tables = self.read();
        let object_type = *tables.types.get(&uuid)?;
        tables.objects.get(&(object_type, uuid)).map(|object| (object_type, object.fq_name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(object_type: ObjectType, name: &str, parent: Uuid, to: Option<Uuid>) -> Arc<Object> {
        let fq_name = FqName::new([name]);
        let uuid = weft_model::derived_uuid(object_type, &fq_name);
        let mut object = Object::new(object_type, uuid, fq_name);
        object.parent = Some((ObjectType::VirtualNetwork, parent));
        if let Some(uuid) = to {
            let reference =
                Reference { uuid, fq_name: FqName::new(["target:1:1"]), attr: Some(Value::from(7)) };
            object.refs.insert(ObjectType::RouteTarget, vec![reference]);
        }
        Arc::new(object)
    }

    #[tokio::test]
    async fn follows_deltas() {
        let (writer, view) = CompiledWriter::new();
        let (network, target, port) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let ri = object(ObjectType::RoutingInstance, "ri", network, Some(target));
        let reference = Reference { uuid: ri.uuid, fq_name: ri.fq_name.clone(), attr: None };
        let port_key = (ObjectType::VirtualMachineInterface, port);
        let mut delta = Delta::default();
        delta.derived.push(Change::Put(Arc::clone(&ri)));
        delta.derived_refs.push((port_key, [(ObjectType::RoutingInstance, reference)].into()));
        writer.publish(5, &delta);
        assert!(view.wait_revision(5).await);
        assert_eq!(view.list(ObjectType::RoutingInstance).len(), 1);
        assert_eq!(view.by_name(ObjectType::RoutingInstance, &ri.fq_name), Some(ri.uuid));
        assert_eq!(view.children(network).len(), 1);
        assert_eq!(view.derived_referrers(target), [(Arc::clone(&ri), Some(Value::from(7)))]);
        assert_eq!(view.stored_referrers(ri.uuid), [(port_key.0, port, None)]);
        assert_eq!(view.refs(port_key.0, port).len(), 1);
        assert_eq!(view.type_of(ri.uuid), Some((ObjectType::RoutingInstance, ri.fq_name.clone())));

        let mut delta = Delta::default();
        let (object_type, uuid, fq_name) = (ri.object_type, ri.uuid, ri.fq_name.clone());
        delta.derived.push(Change::Delete { object_type, uuid, fq_name });
        delta.derived_refs.push((port_key, [].into()));
        writer.publish(6, &delta);
        assert!(view.list(ObjectType::RoutingInstance).is_empty() && view.children(network).is_empty());
        assert!(view.derived_referrers(target).is_empty() && view.stored_referrers(ri.uuid).is_empty());
        assert_eq!((view.type_of(ri.uuid), view.revision()), (None, 6));
        drop(writer);
        assert!(!view.wait_revision(7).await);
    }
}
