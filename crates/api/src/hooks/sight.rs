//! What a write may know of objects that are named in properties, and not by references: a name there must not find out
//! what a reference could not.

use super::Context;
use crate::ApiError;
use crate::authz::{self, Access};
use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType};

impl Context<'_> {
    /// The object of that name, if the caller may do this with it; `None` as if there were none otherwise.
    pub(super) async fn named(
        &self,
        object_type: ObjectType,
        name: &FqName,
        wanted: Access,
    ) -> Result<Option<Uuid>, ApiError> {
        let Some(uuid) = self.state.by_name(object_type, name).await? else { return Ok(None) };
        let Some(caller) = self.plan.caller.as_ref().filter(|caller| !caller.is_admin()) else {
            return Ok(Some(uuid));
        };
        let Some(object) = self.state.find(object_type, uuid).await? else { return Ok(None) };
        Ok(authz::may(self.state, caller, &object, wanted).await?.then_some(uuid))
    }

    /// The target of a reference that follows from a name in a property: one that is held already stays.
    pub(super) async fn target(
        &self,
        object_type: ObjectType,
        name: &FqName,
        old: Option<&Object>,
    ) -> Result<Option<Uuid>, ApiError> {
        let held = old.and_then(|old| old.refs_to(object_type).iter().find(|held| held.fq_name == *name));
        match held {
            Some(held) => Ok(Some(held.uuid)),
            None => self.named(object_type, name, Access::LINK).await,
        }
    }

    /// How an object that is in the way is called in a message to the caller.
    pub(super) fn called(&self, object: &Object) -> String {
        let (object_type, name, uuid) = (object.object_type, &object.fq_name, object.uuid);
        match &self.plan.caller {
            Some(caller) if !authz::sees(caller, object) => format!("a {object_type} of another project"),
            _ => format!("{object_type} {name} ({uuid})"),
        }
    }
}
