//! `POST /set-tag`: the tags of one object by type and value (wire-facts 2.1).

use crate::authz::{self, Access, Caller, Operation};
use crate::hooks::{SEVERAL_PER_OBJECT, tag_type_of};
use crate::names::text;
use crate::objects::drafted_status;
use crate::parse::{json_object, shorten, uuid};
use crate::{ApiError, ApiState, hooks, write};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use weft_model::{FqName, Object, ObjectType, Reference};

/// What is to become of the tags of one type.
struct Wanted {
    type_name: String,
    /// Tags the object is to have, by value.
    add: Vec<Reference>,
    /// Values it is not to have.
    delete: BTreeSet<String>,
    /// Whether all others of the type go.
    only: bool,
}

/// `{obj_type, obj_uuid, "<type>": {is_global, value, add_values, delete_values} | null, ..}`.
pub(crate) async fn handle(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let mut body = json_object(&body)?;
    let missing = |_| ApiError::bad_request("Object type and UUID must be specified: obj_type, obj_uuid");
    let object_type: ObjectType = text(&body, "obj_type").map_err(missing)?.parse().map_err(|_| {
        ApiError::bad_request(format!("obj_type {} is not an object type", shorten(&body["obj_type"])))
    })?;
    text(&body, "obj_uuid").map_err(missing)?;
    let id = uuid(&body["obj_uuid"], "obj_uuid")?;
    body.remove("obj_type");
    body.remove("obj_uuid");
    let loaded = state.require(object_type, id).await?;
    let object = &loaded.object;
    caller.allowed(Operation::Update, object_type.name(), ["tag_refs"])?;
    authz::require(&state, &caller, object, Access::WRITE).await?;
    let mut wanted = Vec::new();
    for (type_name, attrs) in &body {
        wanted.push(read(&state, &caller, object, &type_name.to_lowercase(), attrs).await?);
    }
    let changed = write::mutate_as(&state, &caller, loaded, &|object| {
        wanted.iter().for_each(|wanted| apply(object, wanted));
        Ok(())
    })
    .await?;
    Ok((drafted_status(hooks::is_pending(&changed, id)), Json(json!({}))))
}

async fn read(
    state: &ApiState,
    caller: &Caller,
    object: &Object,
    type_name: &str,
    attrs: &Value,
) -> Result<Wanted, ApiError> {
    let mut wanted =
        Wanted { type_name: type_name.to_owned(), add: Vec::new(), delete: BTreeSet::new(), only: true };
    if attrs.is_null() {
        return Ok(wanted);
    }
    let attrs = attrs
        .as_object()
        .ok_or_else(|| ApiError::bad_request(format!("{type_name}: {} is not an object", shorten(attrs))))?;
    let several = SEVERAL_PER_OBJECT.contains(&type_name);
    let (mut add, delete) =
        (values(attrs, type_name, "add_values")?, values(attrs, type_name, "delete_values")?);
    if object.object_type == ObjectType::AddressGroup && type_name != "label" {
        return Err(ApiError::bad_request(format!(
            "Invalid tag type {type_name} for object type address_group"
        )));
    }
    if !(several || add.is_empty() && delete.is_empty()) {
        return Err(ApiError::bad_request(format!(
            "Tag type {type_name} cannot be set multiple times on a same object."
        )));
    }
    match attrs.get("value") {
        Some(Value::String(value)) => {
            add.insert(value.clone());
        }
        None | Some(Value::Null) if several => {}
        other => {
            return Err(ApiError::bad_request(format!(
                "No valid value provided for tag type {type_name}: {}",
                shorten(other.unwrap_or(&Value::Null))
            )));
        }
    }
    let global = matches!(attrs.get("is_global"), Some(Value::Bool(true)));
    for value in &add {
        // A tag the object has already need not be looked for, in whatever scope it is.
        let name = format!("{type_name}={value}");
        let held = object.refs_to(ObjectType::Tag).iter().find(|r| r.fq_name.last() == name);
        wanted.add.push(match held {
            Some(held) => held.clone(),
            None => locate(state, caller, object, &name, global).await?,
        });
    }
    wanted.delete = delete;
    wanted.only = !several;
    Ok(wanted)
}

fn values(attrs: &Map<String, Value>, type_name: &str, field: &str) -> Result<BTreeSet<String>, ApiError> {
    let list = match attrs.get(field) {
        None | Some(Value::Null) => return Ok(BTreeSet::new()),
        Some(list) => list,
    };
    let values =
        list.as_array().and_then(|list| list.iter().map(|v| v.as_str().map(str::to_owned)).collect());
    values.ok_or_else(|| {
        ApiError::bad_request(format!("{type_name}.{field} {} is not a list of texts", shorten(list)))
    })
}

/// The tag of that name: a global one, or one of the object's project.
async fn locate(
    state: &ApiState,
    caller: &Caller,
    object: &Object,
    name: &str,
    global: bool,
) -> Result<Reference, ApiError> {
    let fq_name = if global { FqName::new([name]) } else { project(state, object, name).await?.child(name) };
    let missing = || ApiError::not_found(format!("Tag with FQName {fq_name} not found"));
    let uuid = state.by_name(ObjectType::Tag, &fq_name).await?.ok_or_else(missing)?;
    let tag = state.find(ObjectType::Tag, uuid).await?.ok_or_else(missing)?;
    // A tag the caller may not read does not exist for it.
    if !authz::may(state, caller, &tag, Access::READ).await? {
        return Err(missing());
    }
    authz::require(state, caller, &tag, Access::LINK).await?;
    Ok(Reference { uuid, fq_name, attr: None })
}

/// The project of an object: itself, its parent, or its owner.
async fn project(state: &ApiState, object: &Object, name: &str) -> Result<FqName, ApiError> {
    if object.object_type == ObjectType::Project {
        return Ok(object.fq_name.clone());
    }
    if let (Some((ObjectType::Project, _)), Some(parent)) = (object.parent, object.fq_name.parent()) {
        return Ok(parent);
    }
    let owner = object.props.get("perms2").and_then(|perms| perms.get("owner")).and_then(Value::as_str);
    let Some(owner) = owner.and_then(|owner| uuid::Uuid::parse_str(owner).ok()) else {
        return Err(ApiError::not_found(format!("Not able to determine the scope of the tag '{name}'")));
    };
    let loaded = state.load(ObjectType::Project, owner).await?;
    loaded.map(|project| project.object.fq_name).ok_or_else(|| {
        ApiError::not_found(format!("Cannot find {} {} owner {owner}", object.object_type, object.uuid))
    })
}

fn apply(object: &mut Object, wanted: &Wanted) {
    let list = object.refs.entry(ObjectType::Tag).or_default();
    let stays = |held: &Reference| {
        if tag_type_of(&held.fq_name) != wanted.type_name {
            return true;
        }
        let value = held.fq_name.last().split_once('=').map_or("", |(_, value)| value);
        let kept = wanted.add.iter().any(|tag| tag.uuid == held.uuid);
        kept || (!wanted.only && !wanted.delete.contains(value))
    };
    list.retain(stays);
    for tag in &wanted.add {
        if !list.iter().any(|held| held.uuid == tag.uuid) {
            list.push(tag.clone());
        }
    }
}
