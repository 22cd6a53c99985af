//! Objects the compiler makes, shown read-only beside the stored ones.

use crate::ApiError;
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType, Reference};
use weft_store::{BoxFuture, Revision};

/// A reference held by somebody: who refers, and with which attribute.
pub type BackReference = (Arc<Object>, Option<Value>);

/// Where derived objects are read from.
pub trait DerivedSource: Send + Sync + 'static {
    /// Resolves when everything committed up to `revision` is compiled.
    ///
    /// # Errors
    /// 503 if that does not happen in time.
    fn wait(&self, revision: Revision) -> BoxFuture<'_, Result<(), ApiError>>;
    /// A derived object.
    fn object(&self, object_type: ObjectType, uuid: Uuid) -> Option<Arc<Object>>;
    /// The identity of a derived object of that name.
    fn by_name(&self, object_type: ObjectType, fq_name: &FqName) -> Option<Uuid>;
    /// All derived objects of a type, by uuid.
    fn list(&self, object_type: ObjectType) -> Vec<Arc<Object>>;
    /// Derived objects under an object, of whatever type.
    fn children(&self, parent: Uuid) -> Vec<Arc<Object>>;
    /// References a stored object holds by derivation.
    fn refs(&self, object_type: ObjectType, uuid: Uuid) -> Vec<(ObjectType, Reference)>;
    /// Derived objects that refer to an object.
    fn derived_referrers(&self, to: Uuid) -> Vec<BackReference>;
    /// Stored objects that refer to a derived object by derivation.
    fn stored_referrers(&self, to: Uuid) -> Vec<(ObjectType, Uuid, Option<Value>)>;
    /// The type of a derived object.
    fn type_of(&self, uuid: Uuid) -> Option<(ObjectType, FqName)>;
}
