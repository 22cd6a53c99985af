//! Lets the REST service of the same process show what this node's compiler made: one compiler for both.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;
use weft_api::{ApiError, BackReference, DerivedSource};
use weft_model::{FqName, Object, ObjectType, Reference};
use weft_store::{BoxFuture, Revision};

use crate::compiled::CompiledView;

/// How long a reader waits for the compiler.
const PATIENCE: Duration = Duration::from_secs(10);

impl DerivedSource for CompiledView {
    fn wait(&self, revision: Revision) -> BoxFuture<'_, Result<(), ApiError>> {
        Box::pin(async move {
            match tokio::time::timeout(PATIENCE, self.wait_revision(revision)).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(ApiError::unavailable("the control node is stopped")),
                Err(_) => Err(ApiError::unavailable("derived objects are not up to date yet, try again")),
            }
        })
    }

    fn object(&self, object_type: ObjectType, uuid: Uuid) -> Option<Arc<Object>> {
        self.get(object_type, uuid)
    }

    fn by_name(&self, object_type: ObjectType, fq_name: &FqName) -> Option<Uuid> {
        CompiledView::by_name(self, object_type, fq_name)
    }

    fn list(&self, object_type: ObjectType) -> Vec<Arc<Object>> {
        CompiledView::list(self, object_type)
    }

    fn children(&self, parent: Uuid) -> Vec<Arc<Object>> {
        CompiledView::children(self, parent)
    }

    fn refs(&self, object_type: ObjectType, uuid: Uuid) -> Vec<(ObjectType, Reference)> {
        CompiledView::refs(self, object_type, uuid)
    }

    fn derived_referrers(&self, to: Uuid) -> Vec<BackReference> {
        CompiledView::derived_referrers(self, to)
    }

    fn stored_referrers(&self, to: Uuid) -> Vec<(ObjectType, Uuid, Option<Value>)> {
        CompiledView::stored_referrers(self, to)
    }

    fn type_of(&self, uuid: Uuid) -> Option<(ObjectType, FqName)> {
        CompiledView::type_of(self, uuid)
    }
}
