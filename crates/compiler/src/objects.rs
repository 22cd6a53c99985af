//! The objects as configured, and the indexes over them: by name, children, referrers.
//!
//! Names are unique per type in here: should two objects claim one name (the store does not allow it), the smaller uuid
//! has it and the other waits aside, so that the outcome does not depend on who came first.

use crate::packed::{Links, Packed};
use crate::{Problem, ProblemKind, Stage};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{Change, FqName, Object, ObjectType};

/// An object's identity.
pub(crate) type Key = (ObjectType, Uuid);
/// A hash of a name; bytes, so that they pack closely.
type Hash = [u8; 8];

/// How an object hangs on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Relation {
    Child,
    Referrer,
}

/// Objects with unique names and their relations.
#[derive(Debug, Default)]
pub(crate) struct ObjectIndex {
    objects: BTreeMap<Key, Packed>,
    /// Hashes of type and name: the names themselves are in the objects.
    names: BTreeSet<(Hash, Key)>,
    hasher: RandomState,
    incoming: BTreeSet<(Key, Relation, ObjectType, Uuid)>,
}

impl ObjectIndex {
    /// An object, unpacked.
    pub(crate) fn get(&self, key: Key) -> Option<Arc<Object>> {
        self.objects.get(&key)?.object(key).map(Arc::new)
    }

    pub(crate) fn contains(&self, key: Key) -> bool {
        self.objects.contains_key(&key)
    }

    /// Parent and references of an object.
    pub(crate) fn links(&self, key: Key) -> Option<Links> {
        self.objects.get(&key).map(Packed::links)
    }

    /// The name of an object.
    pub(crate) fn name(&self, key: Key) -> Option<FqName> {
        self.objects.get(&key).map(Packed::fq_name)
    }

    /// Whether exactly this object is there.
    fn holds(&self, key: Key, packed: &Packed) -> bool {
        self.objects.get(&key) == Some(packed)
    }

    pub(crate) fn lookup(&self, object_type: ObjectType, fq_name: &FqName) -> Option<Uuid> {
        let hash = self.hash(object_type, fq_name);
        let range = (hash, (object_type, Uuid::nil()))..=(hash, (object_type, Uuid::max()));
        let mut candidates = self.names.range(range).map(|entry| entry.1);
        candidates.find(|key| self.name(*key).as_ref() == Some(fq_name)).map(|key| key.1)
    }

    pub(crate) fn named(&self, object_type: ObjectType, fq_name: &FqName) -> Option<Arc<Object>> {
        self.get((object_type, self.lookup(object_type, fq_name)?))
    }

    /// All objects of a type.
    pub(crate) fn of_type(&self, object_type: ObjectType) -> impl Iterator<Item = Uuid> + '_ {
        let range = (object_type, Uuid::nil())..=(object_type, Uuid::max());
        self.objects.range(range).map(|(key, _)| key.1)
    }

    /// All objects and their names.
    fn all(&self) -> impl Iterator<Item = (Key, FqName)> + '_ {
        self.objects.iter().map(|(key, packed)| (*key, packed.fq_name()))
    }

    /// Packs the indexes closely: after many objects came in order, their pages are half empty.
    pub(crate) fn compact(&mut self) {
        self.objects = std::mem::take(&mut self.objects).into_iter().collect();
        self.names = std::mem::take(&mut self.names).into_iter().collect();
        self.incoming = std::mem::take(&mut self.incoming).into_iter().collect();
    }

    /// Number of objects and bytes of their packed forms.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.objects.len(), self.objects.values().map(Packed::bytes).sum())
    }

    fn hash(&self, object_type: ObjectType, fq_name: &FqName) -> Hash {
        self.hasher.hash_one((object_type, fq_name)).to_ne_bytes()
    }

    pub(crate) fn children(&self, of: Key, child: ObjectType) -> impl Iterator<Item = Uuid> + '_ {
        self.related(of, Relation::Child, child)
    }

    pub(crate) fn referrers(&self, of: Key, from: ObjectType) -> impl Iterator<Item = Uuid> + '_ {
        self.related(of, Relation::Referrer, from)
    }

    fn related(&self, of: Key, relation: Relation, other: ObjectType) -> impl Iterator<Item = Uuid> + '_ {
        let range = (of, relation, other, Uuid::nil())..=(of, relation, other, Uuid::max());
        self.incoming.range(range).map(|entry| entry.3)
    }

    /// Adds or replaces; the name must be free or the object's own, and must not change.
    pub(crate) fn insert(&mut self, object: &Object) -> Option<Arc<Object>> {
        self.insert_packed(object, Packed::new(object))
    }

    fn insert_packed(&mut self, object: &Object, packed: Packed) -> Option<Arc<Object>> {
        let key = (object.object_type, object.uuid);
        let old = self.objects.insert(key, packed).and_then(|old| old.object(key)).map(Arc::new);
        if let Some(old) = &old {
            self.unlink(old);
        }
        self.names.insert((self.hash(key.0, &object.fq_name), key));
        self.incoming.extend(links(object));
        old
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Arc<Object>> {
        let old = self.objects.remove(&key)?.object(key).map(Arc::new)?;
        self.unlink(&old);
        self.names.remove(&(self.hash(key.0, &old.fq_name), key));
        Some(old)
    }

    fn unlink(&mut self, object: &Object) {
        for entry in links(object) {
            self.incoming.remove(&entry);
        }
    }
}

fn links(object: &Object) -> impl Iterator<Item = (Key, Relation, ObjectType, Uuid)> + '_ {
    let parent = object.parent.map(|parent| (parent, Relation::Child, object.object_type, object.uuid));
    let refs = object.refs.iter().flat_map(move |(to, list)| {
        list.iter().map(move |r| ((*to, r.uuid), Relation::Referrer, object.object_type, object.uuid))
    });
    parent.into_iter().chain(refs)
}

/// One object's state before and after.
#[derive(Debug)]
pub(crate) struct ObjectChange {
    pub(crate) key: Key,
    pub(crate) old: Option<Arc<Object>>,
    pub(crate) new: Option<Arc<Object>>,
}

/// The configured objects: the engine's input node.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    index: ObjectIndex,
    /// Objects whose name another one has.
    aside: BTreeMap<(ObjectType, FqName), BTreeMap<Uuid, Arc<Object>>>,
    aside_names: HashMap<Key, FqName>,
    problems: BTreeMap<Key, Problem>,
}

impl std::ops::Deref for Objects {
    type Target = ObjectIndex;

    fn deref(&self) -> &ObjectIndex {
        &self.index
    }
}

impl Objects {
    /// See [`ObjectIndex::compact`].
    pub(crate) fn compact(&mut self) {
        self.index.compact();
    }

    /// Objects that were not taken.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.values()
    }

    /// Everything that was put and not deleted, taken or not.
    pub(crate) fn known(&self) -> BTreeMap<Key, FqName> {
        let refused = self.problems.iter().map(|(key, problem)| (*key, problem.fq_name.clone()));
        let aside = self.aside_names.iter().map(|(key, name)| (*key, name.clone()));
        refused.chain(aside).chain(self.index.all()).collect()
    }

    /// Takes one change in; returns what became visible or vanished by it.
    pub(crate) fn apply(&mut self, change: &Change) -> Vec<ObjectChange> {
        let mut out = Vec::new();
        match change {
            Change::Put(object) if object.object_type.info().derived => {
                self.complain(object, ProblemKind::Derived);
            }
            Change::Put(object) => self.put(object, &mut out),
            Change::Delete { object_type, uuid, .. } => self.delete((*object_type, *uuid), &mut out),
        }
        out
    }

    fn put(&mut self, object: &Arc<Object>, out: &mut Vec<ObjectChange>) {
        let key = (object.object_type, object.uuid);
        let packed = Packed::new(object);
        if self.index.holds(key, &packed) {
            return;
        }
        self.forget_aside(key);
        if self.index.name(key).is_some_and(|old| old != object.fq_name) {
            self.delete(key, out);
        }
        match self.index.lookup(object.object_type, &object.fq_name) {
            Some(holder) if holder < object.uuid => self.set_aside(Arc::clone(object), holder),
            Some(holder) if holder > object.uuid => {
                let loser = (object.object_type, holder);
                if let Some(old) = self.index.remove(loser) {
                    out.push(ObjectChange { key: loser, old: Some(Arc::clone(&old)), new: None });
                    self.set_aside(old, object.uuid);
                }
                self.insert(object, packed, out);
            }
            _ => self.insert(object, packed, out),
        }
    }

    fn insert(&mut self, object: &Arc<Object>, packed: Packed, out: &mut Vec<ObjectChange>) {
        let old = self.index.insert_packed(object, packed);
        let key = (object.object_type, object.uuid);
        out.push(ObjectChange { key, old, new: Some(Arc::clone(object)) });
        // Those who wait for the name wait for this one now.
        let waiting = self.aside.get(&(object.object_type, object.fq_name.clone())).cloned();
        for other in waiting.into_iter().flat_map(BTreeMap::into_values) {
            self.complain(&other, ProblemKind::DuplicateName(object.uuid));
        }
    }

    fn delete(&mut self, key: Key, out: &mut Vec<ObjectChange>) {
        self.problems.remove(&key);
        if self.forget_aside(key) {
            return;
        }
        let Some(old) = self.index.remove(key) else { return };
        let heir = self.aside.get(&(key.0, old.fq_name.clone())).and_then(|w| w.values().next().cloned());
        out.push(ObjectChange { key, old: Some(old), new: None });
        if let Some(heir) = heir {
            self.forget_aside((heir.object_type, heir.uuid));
            let packed = Packed::new(&heir);
            self.insert(&heir, packed, out);
        }
    }

    fn set_aside(&mut self, object: Arc<Object>, holder: Uuid) {
        self.complain(&object, ProblemKind::DuplicateName(holder));
        self.aside_names.insert((object.object_type, object.uuid), object.fq_name.clone());
        let waiting = self.aside.entry((object.object_type, object.fq_name.clone())).or_default();
        waiting.insert(object.uuid, object);
    }

    fn forget_aside(&mut self, key: Key) -> bool {
        let Some(name) = self.aside_names.remove(&key) else { return false };
        self.problems.remove(&key);
        let slot = (key.0, name);
        if let Some(waiting) = self.aside.get_mut(&slot) {
            waiting.remove(&key.1);
            if waiting.is_empty() {
                self.aside.remove(&slot);
            }
        }
        true
    }

    fn complain(&mut self, object: &Object, kind: ProblemKind) {
        let problem = Problem {
            object_type: object.object_type,
            uuid: object.uuid,
            fq_name: object.fq_name.clone(),
            stage: Stage::Objects,
            rule: None,
            kind,
        };
        self.problems.insert((object.object_type, object.uuid), problem);
    }
}
