//! What all requests share: the store, the view of derived objects, and hints where to look for free numbers.

use crate::alloc::Cursors;
use crate::authz::{AaaMode, Authz, Caller, Policy};
use crate::identity::Access;
use crate::watch::Hub;
use crate::{ApiError, DerivedSource};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;
use weft_auth::Identify;
use weft_model::{FqName, Object, ObjectType};
use weft_store::{Revision, Store, layout};

/// Most clients that watch at the same time.
const MAX_WATCHERS: usize = 1000;
/// Entries of the first page of a range: most ranges are short, and short ones are read without another thread.
const FIRST_PAGE: usize = 32;
/// Entries read per page of a range.
const PAGE: usize = 1024;

/// State of the REST service; cheap to clone. Holds no truth: everything is in the store.
#[derive(Clone)]
pub struct ApiState {
    inner: Arc<Inner>,
    access: Arc<Access>,
}

struct Inner {
    store: Arc<dyn Store>,
    derived: Arc<dyn DerivedSource>,
    cursors: Cursors,
    last_write: AtomicU64,
    watchers: Arc<Semaphore>,
    hub: Hub,
    policy: Policy,
    identify: OnceLock<Arc<dyn Identify>>,
}

/// An object as read, with the revision that wrote it (0 for a derived one).
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) object: Object,
    pub(crate) revision: Revision,
}

/// A row that names another object, with its value.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) object_type: ObjectType,
    pub(crate) uuid: Uuid,
    pub(crate) relaxed: bool,
}

impl ApiState {
    /// A service over `store` that shows derived objects from `derived`.
    pub fn new(store: Arc<dyn Store>, derived: Arc<dyn DerivedSource>) -> Self {
        let (cursors, last_write) = (Cursors::default(), AtomicU64::new(0));
        let watchers = Arc::new(Semaphore::new(MAX_WATCHERS));
        let hub = Hub::default();
        let (policy, identify) = (Policy::default(), OnceLock::new());
        let inner = Inner { store, derived, cursors, last_write, watchers, hub, policy, identify };
        Self { inner: Arc::new(inner), access: Arc::new(Access::open()) }
    }

    /// The same with other rules for who is let in; without, everybody is, as administrator.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self { access: Arc::new(access), ..self }
    }

    /// Who is let in.
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Creates the objects every installation has; those that exist are left alone.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn bootstrap(&self) -> Result<(), ApiError> {
        // What was written before this start has to be compiled, too, before derived objects are shown.
        self.wrote(self.store().revision().await?);
        crate::singletons::create_all(self).await
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// How authorisation is configured. The mode in force is [`ApiState::aaa_mode`].
    pub fn authz(&self) -> Authz {
        Authz::clone(&self.inner.policy.configured())
    }

    /// Configures authorisation; before the service starts.
    pub fn set_authz(&self, authz: Authz) {
        self.inner.policy.configure(authz);
    }

    /// Says whom to ask, instead of [`ApiState::access`], for the identity behind a second token of a request; the first
    /// one to be set counts.
    pub fn set_identify(&self, identify: Arc<dyn Identify>) {
        if self.inner.identify.set(identify).is_err() {
            tracing::error!("who identifies tokens is set already");
        }
    }

    pub(crate) fn identify(&self) -> &dyn Identify {
        match self.inner.identify.get() {
            Some(identify) => identify.as_ref(),
            None => self.access.as_ref(),
        }
    }

    /// The mode in force: the one last set by `PUT /aaa-mode` on any service over this store, else the configured one.
    ///
    /// # Errors
    /// 503 if the store can not be read for the first time.
    pub async fn aaa_mode(&self) -> Result<AaaMode, ApiError> {
        self.inner.policy.mode(self.store()).await
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    pub(crate) fn derived(&self) -> &dyn DerivedSource {
        self.inner.derived.as_ref()
    }

    /// A place among the watchers, given back when dropped.
    pub(crate) fn watcher(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let permit = Arc::clone(&self.inner.watchers).try_acquire_owned();
        permit.map_err(|_| ApiError::unavailable(format!("there are {MAX_WATCHERS} watchers already")))
    }

    /// What feeds the watchers.
    pub(crate) fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    pub(crate) fn cursors(&self) -> &Cursors {
        &self.inner.cursors
    }

    pub(crate) fn wrote(&self, revision: Revision) {
        self.inner.last_write.fetch_max(revision, Ordering::AcqRel);
    }

    /// Waits until derived objects reflect every write acknowledged by this service.
    pub(crate) async fn derived_current(&self) -> Result<&dyn DerivedSource, ApiError> {
        self.derived().wait(self.inner.last_write.load(Ordering::Acquire)).await?;
        Ok(self.derived())
    }

    /// A stored object.
    pub(crate) async fn load(&self, object_type: ObjectType, uuid: Uuid) -> Result<Option<Loaded>, ApiError> {
        let Some(entry) = self.store().get(&layout::object_key(object_type, uuid)).await? else {
            return Ok(None);
        };
        Ok(Some(Loaded { object: layout::decode(&entry.value)?, revision: entry.mod_revision }))
    }

    /// A stored object that must exist.
    pub(crate) async fn require(&self, object_type: ObjectType, uuid: Uuid) -> Result<Loaded, ApiError> {
        let loaded = self.load(object_type, uuid).await?;
        loaded.ok_or_else(|| ApiError::not_found(format!("No {object_type} object found for id {uuid}")))
    }

    /// A stored or derived object to work with.
    pub(crate) async fn locate(
        &self,
        object_type: ObjectType,
        uuid: Uuid,
    ) -> Result<Option<Loaded>, ApiError> {
        if !object_type.info().derived {
            return self.load(object_type, uuid).await;
        }
        let found = self.find(object_type, uuid).await?;
        Ok(found.map(|object| Loaded { object: Arc::unwrap_or_clone(object), revision: 0 }))
    }

    /// A stored or derived object.
    pub(crate) async fn find(
        &self,
        object_type: ObjectType,
        uuid: Uuid,
    ) -> Result<Option<Arc<Object>>, ApiError> {
        if object_type.info().derived {
            return Ok(self.derived_current().await?.object(object_type, uuid));
        }
        Ok(self.load(object_type, uuid).await?.map(|loaded| Arc::new(loaded.object)))
    }

    /// The identity of a name.
    pub(crate) async fn by_name(
        &self,
        object_type: ObjectType,
        fq_name: &FqName,
    ) -> Result<Option<Uuid>, ApiError> {
        if object_type.info().derived {
            return Ok(self.derived_current().await?.by_name(object_type, fq_name));
        }
        let entry = self.store().get(&layout::fq_key(object_type, fq_name)).await?;
        entry.map(|e| parse_uuid(&e.value)).transpose()
    }

    /// The type of a stored object's identity.
    pub(crate) async fn stored_type_of(&self, uuid: Uuid) -> Result<Option<ObjectType>, ApiError> {
        let Some(entry) = self.store().get(&layout::id_key(uuid)).await? else { return Ok(None) };
        let name = std::str::from_utf8(&entry.value).map_err(|e| ApiError::internal(e.to_string()))?;
        Ok(Some(name.parse()?))
    }

    /// The type of an identity.
    pub(crate) async fn type_of(&self, uuid: Uuid) -> Result<Option<ObjectType>, ApiError> {
        if let Some(object_type) = self.stored_type_of(uuid).await? {
            return Ok(Some(object_type));
        }
        Ok(self.derived_current().await?.type_of(uuid).map(|(object_type, _)| object_type))
    }

    /// The type of what a caller wants to write: what is derived can be guessed, and is only administrators' to know of.
    pub(crate) async fn type_for(&self, caller: &Caller, uuid: Uuid) -> Result<Option<ObjectType>, ApiError> {
        if caller.is_admin() { self.type_of(uuid).await } else { self.stored_type_of(uuid).await }
    }

    /// All entries below a prefix, page by page.
    pub(crate) async fn scan(
        &self,
        prefix: &str,
        mut each: impl FnMut(&weft_store::Entry) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let mut after: Option<String> = None;
        let mut limit = FIRST_PAGE;
        loop {
            let page = self.store().range(prefix, after.as_deref(), limit).await?;
            limit = PAGE;
            for entry in &page.entries {
                each(entry)?;
            }
            after = page.entries.last().map(|entry| entry.key.clone()).or(after);
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn members(&self, prefix: &str) -> Result<Vec<Member>, ApiError> {
        let mut members = Vec::new();
        self.scan(prefix, |entry| {
            if let Some((object_type, uuid)) = layout::parse_member_key(&entry.key) {
                members.push(Member { object_type, uuid, relaxed: !entry.value.is_empty() });
            }
            Ok(())
        })
        .await?;
        Ok(members)
    }

    /// Stored children of an object.
    pub(crate) async fn children(
        &self,
        object_type: ObjectType,
        uuid: Uuid,
    ) -> Result<Vec<Member>, ApiError> {
        self.members(&layout::children_prefix(object_type, uuid)).await
    }

    /// Stored children of one type.
    pub(crate) async fn children_of_type(
        &self,
        parent: (ObjectType, Uuid),
        child: ObjectType,
    ) -> Result<Vec<Member>, ApiError> {
        self.members(&format!("{}{}/", layout::children_prefix(parent.0, parent.1), child.name())).await
    }

    /// Stored objects that refer to an object.
    pub(crate) async fn back_refs(
        &self,
        object_type: ObjectType,
        uuid: Uuid,
    ) -> Result<Vec<Member>, ApiError> {
        self.members(&layout::back_refs_prefix(object_type, uuid)).await
    }

    /// Stored objects of one type that refer to an object.
    pub(crate) async fn back_refs_of_type(
        &self,
        to: (ObjectType, Uuid),
        from: ObjectType,
    ) -> Result<Vec<Member>, ApiError> {
        self.members(&format!("{}{}/", layout::back_refs_prefix(to.0, to.1), from.name())).await
    }
}

fn parse_uuid(value: &[u8]) -> Result<Uuid, ApiError> {
    Uuid::try_parse_ascii(value).map_err(|e| ApiError::internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_store::{EmbeddedStore, Op, Txn};

    #[tokio::test]
    async fn derived_objects_of_what_was_written_before_the_start_are_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(directory.path()).unwrap());
        let view = || crate::DerivedView::start(Arc::clone(&store));
        ApiState::new(Arc::clone(&store), view()).bootstrap().await.unwrap();
        store.txn(Txn::new().then(Op::put("seq/test", "1"))).await.unwrap();
        let written = store.revision().await.unwrap();
        let state = ApiState::new(Arc::clone(&store), view());
        state.bootstrap().await.unwrap();
        assert_eq!(state.inner.last_write.load(Ordering::Acquire), written);
    }
}
