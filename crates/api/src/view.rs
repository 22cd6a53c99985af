//! The view of derived objects: a compiler that follows the store.

use crate::ApiError;
use crate::derived::{BackReference, DerivedSource};
use futures::StreamExt;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;
use weft_compiler::Compiler;
use weft_model::{Change, FqName, Object, ObjectType, Reference};
use weft_store::{BoxFuture, Revision, Store, config};

/// How long a reader waits for the compiler.
const PATIENCE: Duration = Duration::from_secs(10);

/// Derived objects as of a revision of the store. The task that follows the store ends with the view.
pub struct DerivedView {
    shared: Arc<Shared>,
    revision: watch::Receiver<Revision>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    tables: RwLock<Tables>,
}

#[derive(Default)]
struct Tables {
    compiler: Compiler,
    by_uuid: HashMap<Uuid, Arc<Object>>,
    by_name: BTreeMap<(ObjectType, FqName), Uuid>,
    by_type: BTreeMap<ObjectType, BTreeSet<Uuid>>,
    by_parent: HashMap<Uuid, BTreeSet<Uuid>>,
}

impl Tables {
    fn apply(&mut self, changes: &[Change]) {
        let delta = self.compiler.apply(changes);
        for change in &delta.derived {
            self.index(change);
        }
    }

    fn index(&mut self, change: &Change) {
        match change {
            Change::Put(object) => {
                self.remove(object.uuid);
                self.by_name.insert((object.object_type, object.fq_name.clone()), object.uuid);
                self.by_type.entry(object.object_type).or_default().insert(object.uuid);
                if let Some((_, parent)) = object.parent {
                    self.by_parent.entry(parent).or_default().insert(object.uuid);
                }
                self.by_uuid.insert(object.uuid, Arc::clone(object));
            }
            Change::Delete { uuid, .. } => self.remove(*uuid),
        }
    }

    fn remove(&mut self, uuid: Uuid) {
        let Some(object) = self.by_uuid.remove(&uuid) else { return };
        self.by_name.remove(&(object.object_type, object.fq_name.clone()));
        if let Some(set) = self.by_type.get_mut(&object.object_type) {
            set.remove(&uuid);
        }
        if let Some((_, parent)) = object.parent
            && let Some(set) = self.by_parent.get_mut(&parent)
        {
            set.remove(&uuid);
            if set.is_empty() {
                self.by_parent.remove(&parent);
            }
        }
    }

    fn objects<'a>(&'a self, uuids: Option<&'a BTreeSet<Uuid>>) -> impl Iterator<Item = Arc<Object>> + 'a {
        uuids.into_iter().flatten().filter_map(|uuid| self.by_uuid.get(uuid).cloned())
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DerivedView {
    /// Starts following the store. Must be called inside a runtime.
    pub fn start(store: Arc<dyn Store>) -> Arc<Self> {
        let (sender, revision) = watch::channel(0);
        let shared = Arc::new(Shared { tables: RwLock::new(Tables::default()) });
        let task = tokio::spawn(follow(Arc::clone(&shared), store, sender));
        Arc::new(Self { shared, revision, task })
    }
}

impl Drop for DerivedView {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(shared: Arc<Shared>, store: Arc<dyn Store>, sender: watch::Sender<Revision>) {
    let mut updates = config::follow(store);
    while let Some(update) = updates.next().await {
        let revision = match update {
            config::Update::Snapshot { revision, objects } => {
                let changes: Vec<Change> = objects.into_iter().map(Change::Put).collect();
                let mut tables = Tables::default();
                // The intent of no configuration is not announced as a change.
                let standing: Vec<Change> =
                    tables.compiler.intent().derived.values().cloned().map(Change::Put).collect();
                for change in &standing {
                    tables.index(change);
                }
                tables.apply(&changes);
                *shared.tables.write().unwrap_or_else(PoisonError::into_inner) = tables;
                revision
            }
            config::Update::Changes { revision, changes } => {
                if !changes.is_empty() {
                    shared.tables.write().unwrap_or_else(PoisonError::into_inner).apply(&changes);
                }
                revision
            }
        };
        sender.send_replace(revision);
    }
}

/// Attribute of the reference of an object to `to`.
fn reference_to(object: &Object, to: Uuid) -> Option<&Reference> {
    object.refs.values().flatten().find(|r| r.uuid == to)
}

impl DerivedSource for DerivedView {
    fn wait(&self, revision: Revision) -> BoxFuture<'_, Result<(), ApiError>> {
        Box::pin(async move {
            let mut current = self.revision.clone();
            match tokio::time::timeout(PATIENCE, current.wait_for(|r| *r >= revision)).await {
                Ok(Ok(_)) => Ok(()),
                _ => Err(ApiError::unavailable("derived objects are not up to date yet, try again")),
            }
        })
    }

    fn object(&self, object_type: ObjectType, uuid: Uuid) -> Option<Arc<Object>> {
        self.shared.read().by_uuid.get(&uuid).filter(|o| o.object_type == object_type).cloned()
    }

    fn by_name(&self, object_type: ObjectType, fq_name: &FqName) -> Option<Uuid> {
        self.shared.read().by_name.get(&(object_type, fq_name.clone())).copied()
    }

    fn list(&self, object_type: ObjectType) -> Vec<Arc<Object>> {
        let tables = self.shared.read();
        tables.objects(tables.by_type.get(&object_type)).collect()
    }

    fn children(&self, parent: Uuid) -> Vec<Arc<Object>> {
        let tables = self.shared.read();
        tables.objects(tables.by_parent.get(&parent)).collect()
    }

    fn refs(&self, object_type: ObjectType, uuid: Uuid) -> Vec<(ObjectType, Reference)> {
        self.shared
            .read()
            .compiler
            .intent()
            .derived_refs
            .get(&(object_type, uuid))
            .map(|refs| refs.to_vec())
            .unwrap_or_default()
    }

    fn derived_referrers(&self, to: Uuid) -> Vec<BackReference> {
        let tables = self.shared.read();
        let all = tables.by_uuid.values();
        let referring = all.filter_map(|o| reference_to(o, to).map(|r| (Arc::clone(o), r.attr.clone())));
        referring.collect()
    }

    fn stored_referrers(&self, to: Uuid) -> Vec<(ObjectType, Uuid, Option<Value>)> {
        let tables = self.shared.read();
        let all = tables.compiler.intent().derived_refs.iter();
        let referring = all.filter_map(|((object_type, uuid), list)| {
            let reference = list.iter().map(|(_, r)| r).find(|r| r.uuid == to)?;
            Some((*object_type, *uuid, reference.attr.clone()))
        });
        referring.collect()
    }

    fn type_of(&self, uuid: Uuid) -> Option<(ObjectType, FqName)> {
        self.shared.read().by_uuid.get(&uuid).map(|o| (o.object_type, o.fq_name.clone()))
    }
}
