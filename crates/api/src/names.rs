//! `POST /fqname-to-id`, `POST /id-to-fqname` and the small key-value store of clients, `POST /useragent-kv`.

use crate::authz::{self, Access, Caller};
use crate::parse::{fq_name, json_object, uuid};
use crate::{ApiError, ApiState};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use weft_model::ObjectType;
use weft_store::{Op, Txn};

/// Prefix of the rows of the key-value store.
const KEY_VALUES: &str = "kv/useragent/";
/// Prefix of the rows of the key-value stores of single projects.
const PROJECT_KEY_VALUES: &str = "kv/useragent-of/";

/// A text field of a body.
pub(crate) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, ApiError> {
    let value = body.get(name).and_then(Value::as_str);
    value.ok_or_else(|| ApiError::bad_request(format!("Bad Request, no '{name}' in POST body")))
}

/// The type a body names.
pub(crate) fn type_field(body: &Map<String, Value>, name: &str) -> Result<ObjectType, ApiError> {
    Ok(text(body, name)?.parse()?)
}

/// `{type, fq_name}` to `{uuid}`.
pub(crate) async fn to_id(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = json_object(&body)?;
    let object_type = type_field(&body, "type")?;
    let name = fq_name(body.get("fq_name").unwrap_or(&Value::Null))?;
    let missing = || ApiError::not_found(format!("Name {name} not found, {object_type}"));
    let found = state.by_name(object_type, &name).await?.ok_or_else(missing)?;
    if !caller.is_admin() {
        let object = state.find(object_type, found).await?.ok_or_else(missing)?;
        if !authz::may(&state, &caller, &object, Access::READ).await? {
            return Err(missing());
        }
    }
    Ok(Json(json!({"uuid": found})))
}

/// `{uuid}` to `{fq_name, type}`.
pub(crate) async fn to_name(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = json_object(&body)?;
    let uuid = uuid(body.get("uuid").unwrap_or(&Value::Null), "uuid")?;
    let missing = || ApiError::not_found(format!("UUID {uuid} not found"));
    let object_type = state.type_of(uuid).await?.ok_or_else(missing)?;
    let object = state.find(object_type, uuid).await?.ok_or_else(missing)?;
    if !authz::may(&state, &caller, &object, Access::READ).await? {
        return Err(missing());
    }
    Ok(Json(json!({"fq_name": object.fq_name, "type": object_type.name()})))
}

/// Where the caller's keys are: those of administrators are the existing system's, every other project has its own.
fn key_values(caller: &Caller) -> Result<String, ApiError> {
    match caller.scope().project {
        _ if caller.is_admin() => Ok(KEY_VALUES.to_owned()),
        Some(project) => Ok(format!("{PROJECT_KEY_VALUES}{project}/")),
        None => Err(ApiError::forbidden("Permission denied: useragent-kv of a request without a project")),
    }
}

/// Stores, retrieves or deletes a text under a key of the client's choice.
pub(crate) async fn key_value(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, ApiError> {
    let body = json_object(&body)?;
    let prefix = key_values(&caller)?;
    let key = body.get("key").and_then(Value::as_str);
    let row = || {
        let key = key.filter(|k| !k.is_empty());
        key.map(|k| format!("{prefix}{k}")).ok_or_else(|| ApiError::bad_request("useragent-kv: no key"))
    };
    match text(&body, "operation")? {
        "STORE" => {
            let value = body.get("value").unwrap_or(&Value::Null).to_string();
            state.store().txn(Txn::new().then(Op::put(row()?, value))).await?;
            Ok(Json(json!({})).into_response())
        }
        "DELETE" => {
            state.store().txn(Txn::new().then(Op::delete(row()?))).await?;
            Ok(Json(json!({})).into_response())
        }
        "RETRIEVE" if key.is_some_and(|k| !k.is_empty()) => {
            let entry = state.store().get(&row()?).await?;
            let entry = entry.ok_or_else(|| ApiError::not_found("Unknown User-Agent key"))?;
            Ok(Json(json!({"value": crate::parse::json(&entry.value)?})).into_response())
        }
        "RETRIEVE" => {
            let mut all = Vec::new();
            state
                .scan(&prefix, |entry| {
                    let key = entry.key.strip_prefix(&prefix).unwrap_or_default();
                    all.push(json!({"key": key, "value": crate::parse::json(&entry.value)?}));
                    Ok(())
                })
                .await?;
            Ok(Json(json!({"value": all})).into_response())
        }
        other => Err(ApiError::bad_request(format!("useragent-kv: unknown operation {other:?}"))),
    }
}
