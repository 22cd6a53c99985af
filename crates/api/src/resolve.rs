//! From what a request names to what there is: the parent and the targets of references, as the caller may know of them.

use crate::authz::{self, Access, Caller};
use crate::parse::{Input, RefInput};
use crate::state::Loaded;
use crate::{ApiError, ApiState};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType, Reference};

/// The parent under which it is enough to be allowed to link to it (the existing system's `http_resource_create`).
const FABRIC: &str = "fabric";

/// Targets of one list looked up at a time.
const AT_ONCE: usize = 30;

/// Refuses a name or uuid that another object has; of one the caller may not read nothing else is said.
/// A uuid of our own making nobody has.
pub(crate) async fn unused(
    state: &ApiState,
    caller: &Caller,
    object: &Object,
    given: Option<Uuid>,
) -> Result<(), ApiError> {
    let (object_type, uuid) = (object.object_type, object.uuid);
    if let Some(holder) = state.by_name(object_type, &object.fq_name).await? {
        let shown = match state.find(object_type, holder).await? {
            Some(held) => authz::may(state, caller, &held, Access::READ).await?,
            None => caller.is_admin(),
        };
        let holder = if shown { format!(" with uuid: {holder}") } else { String::new() };
        return Err(ApiError::conflict(format!("{object_type} {} already exists{holder}", object.fq_name)));
    }
    if given.is_some()
        && let Some(holder) = state.stored_type_of(uuid).await?
    {
        let holder = if caller.is_admin() { format!(", of a {holder}") } else { String::new() };
        return Err(ApiError::conflict(format!("uuid {uuid} already exists{holder}")));
    }
    Ok(())
}

/// The parent by type and name, checked against what the client says of it.
pub(crate) async fn parent(
    state: &ApiState,
    caller: &Caller,
    object: &Object,
    input: &Input,
) -> Result<Option<Loaded>, ApiError> {
    let object_type = object.object_type;
    let parents = object_type.info().parents;
    let given = input.parent_type;
    if given.is_some_and(|p| p != ObjectType::ConfigRoot && !parents.contains(&p)) {
        let given = given.map_or("", ObjectType::name);
        return Err(ApiError::bad_request(format!("Invalid parent type: {given} for {object_type}")));
    }
    let parent_type = match (given, parents) {
        (Some(ObjectType::ConfigRoot), _) | (None, []) => None,
        (Some(parent_type), _) => Some(parent_type),
        (None, [ObjectType::ConfigRoot]) => None,
        // A name of one part is at the root, where that is allowed.
        (None, several) if several.contains(&ObjectType::ConfigRoot) && object.fq_name.len() == 1 => None,
        (None, [only]) => Some(*only),
        (None, _) => {
            let names: Vec<_> = parents.iter().map(|p| p.name()).collect();
            let message = format!("parent_type is missing, {object_type} may be under {}", names.join(", "));
            return Err(ApiError::bad_request(message));
        }
    };
    let Some(parent_type) = parent_type else {
        if !parents.is_empty() && object.fq_name.len() != 1 {
            let message =
                format!("fq_name {} must have one part, {object_type} is at the root", object.fq_name);
            return Err(ApiError::bad_request(message));
        }
        return Ok(None);
    };
    let parent = existing_parent(state, caller, object, parent_type).await?;
    let (uuid, fq_name) = (parent.object.uuid, &parent.object.fq_name);
    if input.parent_uuid.is_some_and(|given| given != uuid) {
        let message = format!("parent_uuid is not {uuid} of {parent_type} {fq_name}");
        return Err(ApiError::bad_request(message));
    }
    Ok(Some(parent))
}

/// The parent by name, which the caller may write; under a fabric it is enough that it may link to it (wire-facts 2.2).
async fn existing_parent(
    state: &ApiState,
    caller: &Caller,
    object: &Object,
    parent_type: ObjectType,
) -> Result<Loaded, ApiError> {
    let missing =
        || ApiError::bad_request(format!("fq_name {}: parent {parent_type} does not exist", object.fq_name));
    let name = object.fq_name.parent().ok_or_else(missing)?;
    let uuid = state.by_name(parent_type, &name).await?;
    let found = match uuid {
        Some(uuid) => state.locate(parent_type, uuid).await?,
        None => None,
    };
    let mut known = caller.is_admin();
    if let Some(found) = found {
        let wanted = if parent_type.name() == FABRIC { Access::LINK } else { Access::WRITE };
        if authz::may(state, caller, &found.object, wanted).await? {
            return Ok(found);
        }
        known = authz::may(state, caller, &found.object, Access::READ).await?;
        if known || name.len() < 2 {
            return Err(forbidden_parent(object, parent_type, &name));
        }
    }
    match known || name.len() > 1 {
        // What the caller may not know of is answered as if it were not there.
        true => Err(authz::by_name(state, caller, &name, missing()).await?),
        false => Err(forbidden_parent(object, parent_type, &name)),
    }
}

fn forbidden_parent(object: &Object, parent_type: ObjectType, name: &FqName) -> ApiError {
    let object_type = object.object_type;
    ApiError::forbidden(format!("Permission denied to create {object_type} under {parent_type} {name}"))
}

/// Names become identities and the other way round. References the system writes are taken out. All are looked up at
/// once; of several errors the first in the order of types and lists is told.
pub(crate) async fn resolve(
    state: &ApiState,
    caller: &Caller,
    from: ObjectType,
    inputs: &BTreeMap<ObjectType, Vec<RefInput>>,
    old: Option<&Object>,
) -> Result<BTreeMap<ObjectType, Vec<Reference>>, ApiError> {
    let ours = inputs.iter().filter(|(to, _)| !from.info().reference(**to).is_some_and(|r| r.system));
    let lists = ours.map(async |(to, list)| Ok((*to, resolve_list(state, caller, *to, list, old).await?)));
    join_all(lists).await.into_iter().collect()
}

/// The references of a list. Of several to one object the last counts, and the object is looked up once.
async fn resolve_list(
    state: &ApiState,
    caller: &Caller,
    to: ObjectType,
    list: &[RefInput],
    old: Option<&Object>,
) -> Result<Vec<Reference>, ApiError> {
    type Target<'a> = (Option<Uuid>, Option<&'a FqName>);
    fn target(input: &RefInput) -> Target<'_> {
        (input.uuid, input.to.as_ref())
    }
    let mut seen = BTreeSet::new();
    let distinct: Vec<&RefInput> = list.iter().filter(|input| seen.insert(target(input))).collect();
    let mut known: BTreeMap<Target<'_>, Reference> = BTreeMap::new();
    for part in distinct.chunks(AT_ONCE) {
        let found = join_all(part.iter().map(|input| resolve_input(state, caller, old, to, input))).await;
        for (input, found) in part.iter().zip(found) {
            known.insert(target(input), found?);
        }
    }
    let mut places: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut resolved: Vec<Option<Reference>> = Vec::with_capacity(list.len());
    for input in list {
        let Some(Reference { uuid, fq_name, .. }) = known.get(&target(input)) else { continue };
        let reference = Reference { uuid: *uuid, fq_name: fq_name.clone(), attr: input.attr.clone() };
        if let Some(earlier) = places.insert(reference.uuid, resolved.len()) {
            resolved[earlier] = None;
        }
        resolved.push(Some(reference));
    }
    Ok(resolved.into_iter().flatten().collect())
}

async fn resolve_input(
    state: &ApiState,
    caller: &Caller,
    old: Option<&Object>,
    to: ObjectType,
    input: &RefInput,
) -> Result<Reference, ApiError> {
    match old {
        Some(old) => resolve_new(state, caller, old, to, input).await,
        None => authz::target(state, caller, to, input).await,
    }
}

/// A reference of an object that exists: one it has already, or a new one to what the caller may link to.
pub(crate) async fn resolve_new(
    state: &ApiState,
    caller: &Caller,
    old: &Object,
    to: ObjectType,
    input: &RefInput,
) -> Result<Reference, ApiError> {
    match held(old, to, input) {
        Some(held) => Ok(held),
        None => authz::target(state, caller, to, input).await,
    }
}

/// A reference that the object has already, with the attribute it gets now.
fn held(old: &Object, to: ObjectType, input: &RefInput) -> Option<Reference> {
    let same = |r: &&Reference| match (input.uuid, &input.to) {
        (Some(uuid), _) => r.uuid == uuid,
        (None, name) => Some(&r.fq_name) == name.as_ref(),
    };
    let found = old.refs_to(to).iter().find(same)?;
    Some(Reference { attr: input.attr.clone(), ..found.clone() })
}

/// The answer about a reference to nothing.
pub(crate) fn unknown_reference(to: ObjectType, input: &RefInput) -> ApiError {
    let shown = match (&input.to, input.uuid) {
        (Some(name), _) => name.to_string(),
        (None, uuid) => uuid.unwrap_or_default().to_string(),
    };
    ApiError::bad_request(format!("{} does not exist: {shown}", to.refs_field()))
}

/// One reference, with its target if that was looked at; 400 if there is no such object.
pub(crate) async fn resolve_one(
    state: &ApiState,
    to: ObjectType,
    input: &RefInput,
) -> Result<(Reference, Option<Arc<Object>>), ApiError> {
    let attr = input.attr.clone();
    let missing = || unknown_reference(to, input);
    if let Some(uuid) = input.uuid {
        let object = state.find(to, uuid).await?.ok_or_else(missing)?;
        return Ok((Reference { uuid, fq_name: object.fq_name.clone(), attr }, Some(object)));
    }
    let fq_name = input.to.clone().ok_or_else(missing)?;
    let uuid = state.by_name(to, &fq_name).await?.ok_or_else(missing)?;
    Ok((Reference { uuid, fq_name, attr }, None))
}

/// A client may send back references the system wrote, as they are; it may not change them.
pub(crate) async fn system_refs_unchanged(
    state: &ApiState,
    object: &Object,
    input: &Input,
) -> Result<(), ApiError> {
    for (to, list) in &input.refs {
        let system = object.object_type.info().reference(*to).is_some_and(|r| r.system);
        if !system || list.is_empty() {
            continue;
        }
        let derived = state.derived_current().await?.refs(object.object_type, object.uuid);
        let derived = derived.iter().filter(|(t, _)| t == to).map(|(_, reference)| reference);
        let held: Vec<&Reference> = derived.chain(object.refs_to(*to)).collect();
        let known = |input: &RefInput| {
            held.iter().any(|r| input.uuid == Some(r.uuid) || input.to.as_ref() == Some(&r.fq_name))
        };
        if !list.iter().all(known) {
            let message = format!("{} are written by the system", to.refs_field());
            return Err(ApiError::bad_request(message));
        }
    }
    Ok(())
}
