//! Collects what changed rows take from the intent and add to it, and applies that as one delta.

use crate::engine::{Node, Published, RowChange};
use crate::objects::Key;
use crate::{Delta, DerivedRefs, Intent, Problem, RiChange, RoutingInstance};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{Change, FqName, Object, ObjectType};

/// What the rows changed in one step gave up and what they claim. A thing given up by one row may be claimed by another
/// (a network deleted and made again under another uuid), so nothing is applied before all rows are known.
#[derive(Debug, Default)]
pub(crate) struct Output {
    instances_gone: BTreeSet<FqName>,
    instances: BTreeMap<FqName, RoutingInstance>,
    objects_gone: BTreeSet<Key>,
    objects: BTreeMap<Key, Arc<Object>>,
    refs: BTreeMap<Uuid, DerivedRefs>,
    problems_gone: BTreeSet<Problem>,
    problems: BTreeSet<Problem>,
}

impl Output {
    /// Notes what a row stood for before and what it stands for now.
    pub(crate) fn record<N: Node>(&mut self, change: &RowChange<N::Row>) {
        let mut old = Published::default();
        let mut new = Published::default();
        if let Some(row) = &change.old {
            N::publish(row, &mut old);
        }
        if let Some(row) = &change.new {
            N::publish(row, &mut new);
        }
        self.instances_gone.extend(old.instances.into_iter().map(|i| i.fq_name));
        self.instances.extend(new.instances.into_iter().map(|i| (i.fq_name.clone(), i)));
        self.objects_gone.extend(old.objects.iter().map(|o| (o.object_type, o.uuid)));
        self.objects.extend(new.objects.into_iter().map(|o| ((o.object_type, o.uuid), o)));
        if old.refs != new.refs {
            self.refs.insert(change.key, new.refs.unwrap_or_else(|| Arc::from([])));
        }
        self.problems_gone.extend(old.problems);
        self.problems.extend(new.problems);
    }

    /// The references in the intent that are about to be replaced.
    pub(crate) fn refs_before(&self, intent: &Intent) -> BTreeMap<Key, DerivedRefs> {
        let keys = self.refs.keys().map(|uuid| (ObjectType::VirtualMachineInterface, *uuid));
        keys.filter_map(|key| Some((key, intent.derived_refs.get(&key)?.clone()))).collect()
    }

    /// Brings the intent up to date and says what changed. Only true differences are reported.
    pub(crate) fn apply(self, intent: &mut Intent, delta: &mut Delta) {
        for name in self.instances_gone.iter().filter(|name| !self.instances.contains_key(name)) {
            if intent.routing_instances.remove(name).is_some() {
                delta.routing_instances.push(RiChange::Delete(name.clone()));
            }
        }
        for (name, instance) in self.instances {
            if intent.routing_instances.get(&name) != Some(&instance) {
                delta.routing_instances.push(RiChange::Put(instance.clone()));
                intent.routing_instances.insert(name, instance);
            }
        }
        for key in self.objects_gone.iter().filter(|key| !self.objects.contains_key(key)) {
            if let Some(old) = intent.derived.remove(key) {
                let (object_type, uuid) = *key;
                delta.derived.push(Change::Delete { object_type, uuid, fq_name: old.fq_name.clone() });
            }
        }
        for (key, object) in self.objects {
            if intent.derived.get(&key) != Some(&object) {
                delta.derived.push(Change::Put(Arc::clone(&object)));
                intent.derived.insert(key, object);
            }
        }
        for (uuid, refs) in self.refs {
            let key = (ObjectType::VirtualMachineInterface, uuid);
            delta.derived_refs.push((key, refs.clone()));
            if refs.is_empty() {
                intent.derived_refs.remove(&key);
            } else {
                intent.derived_refs.insert(key, refs);
            }
        }
        for problem in &self.problems_gone {
            intent.problems.remove(problem);
        }
        intent.problems.extend(self.problems);
    }
}
