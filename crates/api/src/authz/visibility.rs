//! What a caller may do with single objects, and which of the objects an answer names it may know of.

use super::{Access, Caller, perms};
use crate::parse::RefInput;
use crate::{ApiError, ApiState, resolve};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType, Reference};

/// Most steps from a derived object to one with permissions; the model has no deeper derivation.
const MAX_CLIMB: usize = 8;

/// What the caller may do with an object. A derived one has the permissions of the stored object it is under; without
/// such a one it is for administrators and those who may read everything.
pub(super) async fn access(state: &ApiState, caller: &Caller, object: &Object) -> Result<Access, ApiError> {
    if caller.is_admin() {
        return Ok(Access::ALL);
    }
    if !object.object_type.info().derived {
        let visible = perms::user_visible(object);
        return Ok(if visible { caller.granted(object) } else { Access::NONE });
    }
    let mut parent = object.parent;
    for _ in 0..MAX_CLIMB {
        let Some((object_type, uuid)) = parent else { break };
        let Some(found) = state.find(object_type, uuid).await? else { break };
        if !object_type.info().derived {
            let visible = perms::user_visible(&found);
            return Ok(if visible { caller.granted(&found) } else { Access::NONE });
        }
        parent = found.parent;
    }
    Ok(if caller.reads_all() { Access::READ } else { Access::NONE })
}

/// Whether the caller may do this with an object.
///
/// # Errors
/// If the store can not be read.
pub(crate) async fn may(
    state: &ApiState,
    caller: &Caller,
    object: &Object,
    wanted: Access,
) -> Result<bool, ApiError> {
    Ok(access(state, caller, object).await?.allows(wanted))
}

/// Whether a stored object may be shown to the caller.
pub(crate) fn sees(caller: &Caller, object: &Object) -> bool {
    caller.is_admin() || perms::user_visible(object) && caller.granted(object).allows(Access::READ)
}

/// Refuses to write a stored object the caller may not write.
///
/// # Errors
/// As [`require`].
pub(crate) fn writes(caller: &Caller, object: &Object) -> Result<(), ApiError> {
    let visible = caller.is_admin() || perms::user_visible(object);
    if visible && caller.granted(object).allows(Access::WRITE) {
        return Ok(());
    }
    Err(refusal(object, Access::WRITE))
}

/// Refuses to delete a stored object: only its owner may, who must be allowed to write it.
///
/// # Errors
/// As [`require`].
pub(crate) fn deletes(caller: &Caller, object: &Object) -> Result<(), ApiError> {
    writes(caller, object)?;
    if caller.owns(object) {
        return Ok(());
    }
    let (object_type, uuid) = (object.object_type, object.uuid);
    Err(ApiError::forbidden(format!("Permission denied to delete {object_type} {uuid} of another project")))
}

/// Refuses what the caller may not do with an object it named by uuid.
///
/// # Errors
/// 404 for objects users are not to know of, 403 for others; the message says what the caller said.
pub(crate) async fn require(
    state: &ApiState,
    caller: &Caller,
    object: &Object,
    wanted: Access,
) -> Result<(), ApiError> {
    let access = access(state, caller, object).await?;
    if access.allows(wanted) {
        return Ok(());
    }
    if is_guessable(object) && !access.allows(Access::READ) {
        return Err(unknown(object));
    }
    Err(refusal(object, wanted))
}

/// Whether an object's identity follows from its name, so that saying that it is there would tell that the name is.
fn is_guessable(object: &Object) -> bool {
    object.object_type.info().derived
}

fn unknown(object: &Object) -> ApiError {
    ApiError::not_found(format!("No {} object found for id {}", object.object_type, object.uuid))
}

/// The answer to somebody who named an object by uuid and may not do this with it.
pub(super) fn refusal(object: &Object, wanted: Access) -> ApiError {
    let (object_type, uuid) = (object.object_type, object.uuid);
    if !perms::user_visible(object) {
        return unknown(object);
    }
    ApiError::forbidden(format!("Permission denied to {} {object_type} {uuid}", wanted.verb()))
}

/// A new reference to an object the caller may link to.
///
/// # Errors
/// 403 if the target was named by uuid, or may be read, and may not be linked to. By name, what the caller may not read
/// does not exist (400 as for any unknown reference), and nothing exists in a project it may not read (403).
pub(crate) async fn target(
    state: &ApiState,
    caller: &Caller,
    to: ObjectType,
    input: &RefInput,
) -> Result<Reference, ApiError> {
    let found = resolve::resolve_one(state, to, input).await;
    if caller.is_admin() {
        return found.map(|(reference, _)| reference);
    }
    let missing = match found {
        Ok((reference, object)) => {
            let object = match object {
                Some(object) => Some(object),
                None => state.find(to, reference.uuid).await?,
            };
            let Some(object) = object else { return Err(resolve::unknown_reference(to, input)) };
            let access = access(state, caller, &object).await?;
            if access.allows(Access::LINK) {
                return Ok(reference);
            }
            if input.uuid.is_some() && !is_guessable(&object) || access.allows(Access::READ) {
                return Err(refusal(&object, Access::LINK));
            }
            resolve::unknown_reference(to, input)
        }
        Err(error) => error,
    };
    match &input.to {
        Some(name) if input.uuid.is_none() => Err(by_name(state, caller, name, missing).await?),
        _ => Err(missing),
    }
}

/// The answer about a name that is unknown, or of an object the caller may not read: the same in both cases.
///
/// # Errors
/// If the store can not be read.
pub(crate) async fn by_name(
    state: &ApiState,
    caller: &Caller,
    name: &FqName,
    missing: ApiError,
) -> Result<ApiError, ApiError> {
    if caller.is_admin() || name.len() < 2 {
        return Ok(missing);
    }
    let project = FqName(name.0.iter().take(2).cloned().collect());
    let readable = match state.by_name(ObjectType::Project, &project).await? {
        Some(uuid) => match state.load(ObjectType::Project, uuid).await? {
            Some(loaded) => may(state, caller, &loaded.object, Access::READ).await?,
            None => false,
        },
        None => false,
    };
    Ok(if readable {
        missing
    } else {
        ApiError::forbidden(format!("Permission denied in project {project}"))
    })
}

impl PartialEq for Sight {
    /// Two answers never share what was found out for one of them.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Sight {}

/// What one answer may name. Remembers what it found out: many objects of a list refer to the same few.
#[derive(Debug)]
pub(crate) struct Sight {
    caller: Caller,
    known: Mutex<HashMap<Uuid, bool>>,
}

impl Sight {
    /// The sight of a caller; `None` if it may see everything.
    pub(crate) fn of(caller: &Caller) -> Option<Arc<Self>> {
        let fresh = || Arc::new(Self { caller: caller.clone(), known: Mutex::default() });
        (!caller.is_admin()).then(fresh)
    }

    /// The same with nothing remembered: for the next of several answers.
    pub(crate) fn fresh(&self) -> Arc<Self> {
        Arc::new(Self { caller: self.caller.clone(), known: Mutex::default() })
    }

    /// Whether an object at hand may be shown.
    ///
    /// # Errors
    /// If the store can not be read.
    pub(crate) async fn sees(&self, state: &ApiState, object: &Object) -> Result<bool, ApiError> {
        if !object.object_type.info().derived {
            return Ok(sees(&self.caller, object));
        }
        match object.parent {
            Some((object_type, uuid)) => Box::pin(self.sees_id(state, object_type, uuid)).await,
            None => Ok(self.caller.reads_all()),
        }
    }

    /// Whether an object may be named, which is read unless it was before.
    ///
    /// # Errors
    /// If the store can not be read.
    pub(crate) async fn sees_id(
        &self,
        state: &ApiState,
        object_type: ObjectType,
        uuid: Uuid,
    ) -> Result<bool, ApiError> {
        if let Some(known) = self.known().get(&uuid) {
            return Ok(*known);
        }
        let sees = match state.find(object_type, uuid).await? {
            Some(object) => self.sees(state, &object).await?,
            None => false,
        };
        self.known().insert(uuid, sees);
        Ok(sees)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, bool>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
