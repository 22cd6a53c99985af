//! `GET /obj-perms`, `POST /chown`, `POST /chmod`, `GET` and `PUT /aaa-mode` (wire-facts 2.1, 2.3).

use super::perms::{Tenant, project_id};
use super::{Access, Caller, Operation, ownership, visibility};
use crate::http::Query;
use crate::parse::{json_object, shorten, uuid};
use crate::{ApiError, ApiState, write};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use weft_auth::{Identity, Unidentified};
use weft_model::Object;

/// The header with the token of the user who is asked about.
const USER_TOKEN: &str = "x-user-token";

/// The mode in force.
pub(crate) async fn aaa_mode(State(state): State<ApiState>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({"aaa-mode": state.aaa_mode().await?.as_str()})))
}

/// Sets the mode, for all services and for good.
pub(crate) async fn set_aaa_mode(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    caller.admin_only()?;
    let body = json_object(&body)?;
    let mode = body.get("aaa-mode").unwrap_or(&Value::Null);
    let text = mode
        .as_str()
        .ok_or_else(|| ApiError::bad_request(format!("aaa-mode {} is not a text", shorten(mode))))?;
    let mode = text.parse().map_err(ApiError::bad_request)?;
    state.policy().set_mode(state.store(), mode).await?;
    tracing::warn!(%mode, user = caller.identity().user, "aaa-mode set");
    Ok(Json(json!({"aaa-mode": mode.as_str()})))
}

/// What a user, by its token in `X-User-Token`, else the caller, may do with an object.
pub(crate) async fn obj_perms(
    State(state): State<ApiState>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let authz = state.authz();
    let user = user(&state, caller, &headers).await?;
    let identity = user.identity();
    let reads = authz.global_read_only_role.as_ref().is_some_and(|role| identity.has_role(role));
    let mut out = json!({
        "token_info": token_info(identity),
        "is_cloud_admin_role": identity.is_admin(&authz.cloud_admin_role),
        "is_global_read_only_role": reads,
    });
    if let Some(text) = query.get("uuid") {
        let id = uuid(&Value::from(text), "uuid")?;
        // What is not there is nobody's, and looks like what may not be seen.
        let letters = match object(&state, id).await? {
            Some(object) => visibility::access(&state, &user, &object).await?.letters(),
            None => String::new(),
        };
        out["permissions"] = letters.into();
    }
    Ok(Json(out))
}

/// Who is asked about: the caller, or whose token it shows beside its own.
async fn user(state: &ApiState, caller: Caller, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let Some(token) = headers.get(USER_TOKEN) else { return Ok(caller) };
    let token = token.to_str().map_err(|_| ApiError::unauthorized("X-User-Token is not text"))?;
    let identity = state.identify().whose(token).await.map_err(|error| match error {
        Unidentified::Denied(reason) => ApiError::unauthorized(format!("X-User-Token: {reason}")),
        Unidentified::Unavailable(reason) => ApiError::unavailable(format!("X-User-Token: {reason}")),
    })?;
    Caller::of(state, &identity).await
}

/// The identity in the form of a Keystone v3 token.
fn token_info(identity: &Identity) -> Value {
    let id = |id: Option<Uuid>| id.map(|id| id.as_simple().to_string());
    let roles: Vec<Value> = identity.roles.iter().map(|role| json!({"name": role})).collect();
    let mut token = json!({"user": {"name": identity.user, "id": identity.user_id}, "roles": roles});
    if let Some(project) = id(identity.project_id) {
        token["project"] = json!({
            "id": project, "name": identity.project_name, "domain": {"id": id(identity.domain_id)},
        });
    }
    json!({"token": token})
}

async fn object(state: &ApiState, id: Uuid) -> Result<Option<std::sync::Arc<Object>>, ApiError> {
    match state.type_of(id).await? {
        Some(object_type) => state.find(object_type, id).await,
        None => Ok(None),
    }
}

/// `{uuid, owner}`: gives an object to another project.
pub(crate) async fn chown(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = json_object(&body)?;
    for name in ["uuid", "owner"] {
        if body.get(name).is_none_or(Value::is_null) {
            return Err(ApiError::bad_request(format!("Bad Request, no {name} provided to chown")));
        }
    }
    let change = Map::from_iter([("owner".to_owned(), owner(&body["owner"])?)]);
    govern(&state, &caller, &body, change).await
}

/// `{uuid, owner, owner_access, share, global_access}`: changes what is given.
pub(crate) async fn chmod(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = json_object(&body)?;
    let mut change = Map::new();
    for (name, value) in body.iter().filter(|(_, value)| !value.is_null()) {
        let checked = match name.as_str() {
            "owner" => owner(value)?,
            "owner_access" | "global_access" => access(value, name)?,
            "share" => share(value)?,
            _ => continue,
        };
        change.insert(name.clone(), checked);
    }
    govern(&state, &caller, &body, change).await
}

/// Changes permissions of an object the caller governs.
async fn govern(
    state: &ApiState,
    caller: &Caller,
    body: &Map<String, Value>,
    change: Map<String, Value>,
) -> Result<Json<Value>, ApiError> {
    let id = uuid(body.get("uuid").unwrap_or(&Value::Null), "uuid")?;
    let missing = || ApiError::not_found(format!("UUID {id} not found"));
    let object_type = state.stored_type_of(id).await?.ok_or_else(missing)?;
    caller.allowed(Operation::Update, object_type.name(), ["perms2"])?;
    write::mutate(state, object_type, id, &|object| apply(caller, object, &change)).await?;
    Ok(Json(json!({})))
}

fn apply(caller: &Caller, object: &mut Object, change: &Map<String, Value>) -> Result<(), ApiError> {
    if !caller.governs(object) {
        return Err(visibility::refusal(object, Access::READ_WRITE));
    }
    let perms = object.props.entry("perms2").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(perms) = perms {
        perms.extend(change.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    if let Some(access) = change.get("global_access").and_then(Value::as_u64) {
        ownership::follow_access(object, access);
    }
    Ok(())
}

fn owner(value: &Value) -> Result<Value, ApiError> {
    let id = value.as_str().and_then(project_id);
    let id =
        id.ok_or_else(|| ApiError::bad_request(format!("Bad Request, invalid owner {}", shorten(value))))?;
    Ok(id.as_simple().to_string().into())
}

fn access(value: &Value, name: &str) -> Result<Value, ApiError> {
    match value.as_u64().filter(|bits| *bits <= 7) {
        Some(bits) => Ok(bits.into()),
        None => Err(ApiError::bad_request(format!("Bad Request, invalid {name} value {}", shorten(value)))),
    }
}

fn share(value: &Value) -> Result<Value, ApiError> {
    let bad = |item: &Value| ApiError::bad_request(format!("Bad Request, invalid share {}", shorten(item)));
    let items = value.as_array().ok_or_else(|| bad(value))?;
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let tenant = item.get("tenant").and_then(Value::as_str).filter(|text| Tenant::parse(text).is_some());
        let tenant = tenant.ok_or_else(|| bad(item))?;
        let bits = access(item.get("tenant_access").unwrap_or(&Value::Null), "tenant_access")?;
        out.push(json!({"tenant": tenant, "tenant_access": bits}));
    }
    Ok(out.into())
}
