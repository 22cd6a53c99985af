//! `perms2` of objects as they are written: who owns a new one, who may change it, and that sharing of networks says the
//! same in both of its forms (`is_shared`, `router_external` and `global_access`).

use super::perms::{self, project_id};
use super::{Access, Caller, visibility};
use crate::ApiError;
use crate::parse::Input;
use serde_json::{Map, Value};
use weft_model::{Object, ObjectType};

/// Access of all to a network that is shared, and to one that is external.
const SHARED: u64 = 7;
const EXTERNAL: u64 = 5;

const HIDDEN: &str = "id_perms.user_visible: only administrators may hide objects";

/// Completes the permissions of a new object under `parent`. Its owner is the project of who makes it; an administrator
/// makes it for the owner of the parent, or for whom it says.
///
/// # Errors
/// 400 if users are not to see it, 403 if it is given to another project, unless an administrator does so.
pub(crate) fn complete(
    caller: &Caller,
    object: &mut Object,
    parent: Option<&Object>,
    input: &Input,
) -> Result<(), ApiError> {
    if !caller.is_admin() && !perms::user_visible(object) {
        return Err(ApiError::bad_request(HIDDEN));
    }
    let mut stored = given(input).cloned().unwrap_or_default();
    normalize(&mut stored);
    let chosen = stored.get("owner").and_then(Value::as_str);
    match chosen {
        Some(owner) if !may_give(caller, object, owner) => {
            return Err(ApiError::forbidden(format!(
                "perms2.owner: {owner} is not the project of the request"
            )));
        }
        Some(_) => {}
        None => {
            if let Some(owner) = default_owner(caller, object, parent) {
                stored.insert("owner".into(), owner);
            }
        }
    }
    put(object, stored);
    share_new_network(object, input);
    Ok(())
}

/// Whether the caller may make an object that belongs to `owner`.
fn may_give(caller: &Caller, object: &Object, owner: &str) -> bool {
    let owner = project_id(owner);
    let own = owner.is_some() && owner == caller.scope().project;
    let itself = object.object_type == ObjectType::Project && owner == Some(object.uuid);
    caller.is_admin() || own || itself
}

/// The owner of a new object; `None` for what its type has by itself.
fn default_owner(caller: &Caller, object: &Object, parent: Option<&Object>) -> Option<Value> {
    if object.object_type == ObjectType::Project {
        return None;
    }
    let project = caller.scope().project.map(|project| project.as_simple().to_string().into());
    let parent = parent.filter(|p| caller.is_admin() && p.object_type != ObjectType::Domain);
    match parent {
        Some(parent) => {
            let owner = perms::rendered(parent).get("owner").cloned();
            owner.filter(|owner| *owner != perms::rendered(object)["owner"])
        }
        None => project,
    }
}

/// Applies what an update says of permissions to `new`, which has the other properties already; `old` is as stored.
///
/// # Errors
/// 400 without an owner or with contradictions, 403 unless the caller governs the object.
pub(crate) fn update(caller: &Caller, old: &Object, new: &mut Object, input: &Input) -> Result<(), ApiError> {
    if let Some(given) = given(input) {
        if given.get("owner").is_none_or(Value::is_null) {
            return Err(ApiError::bad_request("perms2 must have an owner"));
        }
        let mut given = given.clone();
        normalize(&mut given);
        let stored = old.props.get("perms2").and_then(Value::as_object).cloned();
        let mut stored = stored.unwrap_or_default();
        stored.extend(given);
        put(new, stored);
    }
    if !caller.is_admin() && perms::user_visible(old) != perms::user_visible(new) {
        return Err(ApiError::bad_request(HIDDEN));
    }
    share_changed_network(old, new, input)?;
    governed(caller, old, new)
}

/// Refuses a change of who may do what to those who do not govern the object.
pub(super) fn governed(caller: &Caller, old: &Object, new: &Object) -> Result<(), ApiError> {
    let flags = |object: &Object| ["is_shared", "router_external"].map(|name| flag(object, name));
    let same = flags(old) == flags(new) && perms::rendered(old) == perms::rendered(new);
    if same || caller.governs(old) {
        return Ok(());
    }
    Err(visibility::refusal(old, Access::READ_WRITE))
}

fn flag(object: &Object, name: &str) -> bool {
    object.props.get(name) == Some(&Value::Bool(true))
}

fn given(input: &Input) -> Option<&Map<String, Value>> {
    input.props.get("perms2")?.as_ref()?.as_object()
}

/// Project ids are kept without dashes; other owners, of administrators, as they are.
fn normalize(perms: &mut Map<String, Value>) {
    perms.retain(|_, value| !value.is_null());
    if let Some(id) = perms.get("owner").and_then(Value::as_str).and_then(project_id) {
        perms.insert("owner".into(), id.as_simple().to_string().into());
    }
}

fn put(object: &mut Object, stored: Map<String, Value>) {
    if stored.is_empty() {
        object.props.remove("perms2");
    } else {
        object.props.insert("perms2".into(), Value::Object(stored));
    }
}

fn global_access(perms: &Map<String, Value>) -> Option<u64> {
    perms.get("global_access").and_then(Value::as_u64)
}

fn set_global_access(object: &mut Object, access: u64) {
    let perms = object.props.entry("perms2").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(perms) = perms {
        perms.insert("global_access".into(), access.into());
    }
}

/// A new network that is shared is open to all, and one that is open to all is shared. An external one may be seen and
/// linked to unless more or less is said.
fn share_new_network(object: &mut Object, input: &Input) {
    if object.object_type != ObjectType::VirtualNetwork {
        return;
    }
    let access = given(input).and_then(global_access);
    if access == Some(SHARED) || flag(object, "is_shared") {
        object.props.insert("is_shared".into(), true.into());
        set_global_access(object, SHARED);
    } else if access.is_none() && flag(object, "router_external") {
        set_global_access(object, EXTERNAL);
    }
}

/// Keeps both forms in step when one of them changes.
fn share_changed_network(old: &Object, new: &mut Object, input: &Input) -> Result<(), ApiError> {
    if new.object_type != ObjectType::VirtualNetwork {
        return Ok(());
    }
    let boolean = |name: &str| input.props.get(name).and_then(|v| v.as_ref()).and_then(Value::as_bool);
    let (shared, external) = (boolean("is_shared"), boolean("router_external"));
    if let Some(access) = given(input).and_then(global_access) {
        consistent(access, shared, external)?;
        if shared.is_none() {
            follow_access(new, access);
        }
        return Ok(());
    }
    let changed = |name: &str| flag(old, name) != flag(new, name);
    if changed("is_shared") || changed("router_external") {
        let access = match (flag(new, "is_shared"), flag(new, "router_external")) {
            (true, _) => SHARED,
            (false, true) => EXTERNAL,
            (false, false) => 0,
        };
        set_global_access(new, access);
    }
    Ok(())
}

/// Sets whether a network is shared as its access for all says.
pub(super) fn follow_access(network: &mut Object, access: u64) {
    if network.object_type == ObjectType::VirtualNetwork && flag(network, "is_shared") != (access == SHARED) {
        network.props.insert("is_shared".into(), (access == SHARED).into());
    }
}

/// One request must not say two things (as the existing system's hook for networks).
fn consistent(access: u64, shared: Option<bool>, external: Option<bool>) -> Result<(), ApiError> {
    let bad = |name: &str, value: bool| {
        let message = format!("Inconsistent {name} ({value}) and perms2.global_access ({access})");
        Err(ApiError::bad_request(message))
    };
    match (shared, external) {
        (Some(shared), external) if shared != (access == SHARED) && external != Some(true) => {
            bad("is_shared", shared)
        }
        (shared, Some(external)) if external != (access == EXTERNAL) && shared != Some(true) => {
            bad("router_external", external)
        }
        _ => Ok(()),
    }
}
