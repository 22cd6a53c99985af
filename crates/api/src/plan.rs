//! One write in the making: comparisons and operations of the transaction, each key once.

use crate::ApiError;
use crate::audit::{self, Change};
use crate::authz::Caller;
use crate::state::Loaded;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{Object, ObjectType};
use weft_store::{Compare, Condition, Op, Revision, Txn, layout};

/// Comparisons and operations collected so far.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    compare: BTreeMap<String, Condition>,
    ops: BTreeMap<String, Op>,
    /// For the audit log, if the write is recorded.
    changes: Vec<Change>,
    /// Whether the system itself writes, and not a client: what only the system sets may be set.
    pub(crate) system: bool,
    /// Whether the objects that come with a new one are written by themselves (an import has them, too).
    pub(crate) alone: bool,
    /// Whose write it is, where names in properties are to be resolved as this caller may know of them.
    pub(crate) caller: Option<Caller>,
    /// The parent of the object to be made, as it was just read.
    pub(crate) parent: Option<Arc<Loaded>>,
}

impl Plan {
    /// A plan of a client, or of the system itself.
    pub(crate) fn new(system: bool) -> Self {
        Self { system, ..Self::default() }
    }

    /// A plan of somebody.
    pub(crate) fn of(caller: Option<&Caller>) -> Self {
        Self { caller: caller.cloned(), ..Self::default() }
    }

    /// Adds a comparison; of two for the same key the stricter one counts.
    pub(crate) fn require(&mut self, compare: Compare) {
        let weaker = compare.condition == Condition::Present;
        match self.compare.entry(compare.key) {
            std::collections::btree_map::Entry::Occupied(mut held) => {
                if !weaker {
                    held.insert(compare.condition);
                }
            }
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(compare.condition);
            }
        }
    }

    /// Adds an operation; a later one replaces an earlier one of the same key.
    pub(crate) fn op(&mut self, op: Op) {
        self.ops.insert(op.key().to_owned(), op);
    }

    /// Takes a key nobody may hold.
    pub(crate) fn claim(&mut self, key: String, owner: impl Into<Bytes>) {
        // A key given back earlier in this plan is ours to take again.
        if !self.releases(&key) {
            self.require(Compare::absent(key.clone()));
        }
        self.op(Op::put(key, owner));
    }

    /// Gives a key back.
    pub(crate) fn release(&mut self, key: String) {
        self.op(Op::delete(key));
    }

    /// Whether this plan gives the key back.
    pub(crate) fn releases(&self, key: &str) -> bool {
        matches!(self.ops.get(key), Some(Op::Delete { .. }))
    }

    /// What this plan writes to a key; `None` if it leaves it alone, `Some(None)` if it deletes it.
    pub(crate) fn pending(&self, key: &str) -> Option<Option<&Bytes>> {
        self.ops.get(key).map(|op| match op {
            Op::Put { value, .. } => Some(value),
            Op::Delete { .. } => None,
        })
    }

    /// The object must be as it was read.
    pub(crate) fn unchanged(&mut self, target: (ObjectType, Uuid), revision: Revision) {
        self.require(Compare::unchanged(layout::object_key(target.0, target.1), revision));
    }

    /// Writes an object and its rows. New targets and a new parent must exist, and learn that they are linked to, so that
    /// their deletion at the same time conflicts with this write.
    pub(crate) fn put_object(&mut self, new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
        for op in layout::put_ops(new, old)? {
            self.op(op);
        }
        self.changed(old, Some(new));
        if old.is_none() {
            self.require(Compare::absent(layout::fq_key(new.object_type, &new.fq_name)));
            self.require(Compare::absent(layout::id_key(new.uuid)));
            if let Some(parent) = new.parent {
                self.link(parent);
            }
        }
        for (to, list) in &new.refs {
            for reference in list {
                let known = old.is_some_and(|o| o.refs_to(*to).iter().any(|r| r.uuid == reference.uuid));
                if !known {
                    self.link((*to, reference.uuid));
                }
            }
        }
        Ok(())
    }

    /// A derived object has no row of its own: what it is derived from looks for its users when it is deleted.
    fn link(&mut self, target: (ObjectType, Uuid)) {
        // What this plan makes itself need not exist before it.
        if !target.0.info().derived && !self.creates(target.1) {
            self.require(Compare::present(layout::object_key(target.0, target.1)));
        }
        self.touch(target.1);
    }

    /// Whether this plan deletes an object.
    pub(crate) fn deletes(&self, object: (ObjectType, Uuid)) -> bool {
        self.releases(&layout::object_key(object.0, object.1))
    }

    fn creates(&self, uuid: Uuid) -> bool {
        self.compare.get(&layout::id_key(uuid)) == Some(&Condition::Absent)
    }

    /// Says that the object is made by this plan, though its own rows are not written yet.
    pub(crate) fn will_create(&mut self, uuid: Uuid) {
        self.require(Compare::absent(layout::id_key(uuid)));
    }

    /// Makes a deletion of the object, or of what its users rely on, at the same time conflict with this write.
    pub(crate) fn touch(&mut self, uuid: Uuid) {
        self.op(Op::put(layout::link_key(uuid), Bytes::new()));
    }

    /// Removes an object and its rows.
    pub(crate) fn delete_object(&mut self, object: &Object, revision: Revision) {
        self.unchanged((object.object_type, object.uuid), revision);
        self.changed(Some(object), None);
        for op in layout::delete_ops(object) {
            self.op(op);
        }
        self.op(Op::delete(layout::link_key(object.uuid)));
    }

    /// Nobody may have linked to the object since its link row was read.
    pub(crate) fn not_linked_since(&mut self, uuid: Uuid, revision: Option<Revision>) {
        let key = layout::link_key(uuid);
        self.require(match revision {
            Some(revision) => Compare::unchanged(key, revision),
            None => Compare::absent(key),
        });
    }

    fn changed(&mut self, before: Option<&Object>, after: Option<&Object>) {
        if audit::active() {
            self.changes.push(Change { before: before.cloned(), after: after.cloned() });
        }
    }

    /// What [`audit::committed`] is to be told.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Whether it writes a key of a kind.
    pub(crate) fn writes(&self, kind: impl Fn(&str) -> bool) -> bool {
        self.ops.keys().any(|key| kind(key))
    }

    /// The transaction.
    pub(crate) fn into_txn(self) -> Txn {
        let compare = self.compare.into_iter().map(|(key, condition)| Compare { key, condition }).collect();
        Txn { compare, ops: self.ops.into_values().collect() }
    }
}
