//! `POST /<type>s`, `GET`, `PUT` and `DELETE /<type>/<uuid>`.

use crate::authz::{self, Access, Caller, Sight};
use crate::http::{Base, Query, collection_of, json_text, object_view, path_uuid, type_of, wrapped};
use crate::members::Members;
use crate::render::{self, View};
use crate::{ApiError, ApiState, hooks, parse, write};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Map;

/// Creates an object.
pub(crate) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    base: Base,
    Path(collection): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let object_type = collection_of(&collection)?;
    write::writable(object_type)?;
    let input = parse::object(object_type, &body)?;
    let object = write::create(&state, &caller, object_type, &input).await?;
    let view = View { base: base.0, hrefs: true, ..View::default() };
    let drafted = hooks::became_draft(&object, input.fq_name.as_ref());
    let mut out = Vec::new();
    let mut outer = Members::new(&mut out);
    view.head(&object, outer.name(object_type.name())).end();
    outer.end();
    Ok((drafted_status(drafted), json_text(out)).into_response())
}

/// Reads an object.
pub(crate) async fn read(
    State(state): State<ApiState>,
    caller: Caller,
    base: Base,
    Path((object_type, id)): Path<(String, String)>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let object_type = type_of(&object_type)?;
    let uuid = path_uuid(object_type, &id)?;
    let object = state.find(object_type, uuid).await?;
    let object =
        object.ok_or_else(|| ApiError::not_found(format!("No {object_type} object found for id {uuid}")))?;
    authz::require(&state, &caller, &object, Access::READ).await?;
    let tag = HeaderValue::from_str(&format!("\"{}\"", render::last_modified(&object))).ok();
    let tag = tag.filter(|_| !render::last_modified(&object).is_empty());
    if let (Some(tag), Some(known)) = (&tag, headers.get(header::IF_NONE_MATCH))
        && known.to_str().is_ok_and(|k| k.split(',').any(|k| k.trim().trim_start_matches("W/") == tag))
    {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag.clone())]).into_response());
    }
    let mut shown = Vec::with_capacity(4096);
    object_view(base, &query, &caller).wrapped(&state, &object, &mut shown).await?;
    let mut response = json_text(shown);
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Changes an object.
pub(crate) async fn update(
    State(state): State<ApiState>,
    caller: Caller,
    base: Base,
    Path((object_type, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let object_type = type_of(&object_type)?;
    let uuid = path_uuid(object_type, &id)?;
    write::writable(object_type)?;
    let mut drafted = false;
    if body.iter().all(u8::is_ascii_whitespace) {
        let loaded = state.require(object_type, uuid).await?;
        authz::require(&state, &caller, &loaded.object, Access::WRITE).await?;
    } else {
        let input = parse::object(object_type, &body)?;
        let object = write::update(&state, &caller, object_type, uuid, &input).await?;
        drafted = hooks::is_pending(&object, uuid);
    }
    let view = View { base: base.0, hrefs: true, ..View::default() };
    let mut out = Map::new();
    out.insert("uuid".into(), uuid.to_string().into());
    out.insert("href".into(), view.href(object_type, uuid).into());
    Ok((drafted_status(drafted), wrapped(object_type.name(), out)).into_response())
}

/// 202 for what is only drafted yet (wire-facts 7).
pub(crate) fn drafted_status(drafted: bool) -> StatusCode {
    if drafted { StatusCode::ACCEPTED } else { StatusCode::OK }
}

/// Deletes an object.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    base: Base,
    Path((object_type, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let object_type = type_of(&object_type)?;
    let uuid = path_uuid(object_type, &id)?;
    let view = View { base: base.0, hrefs: true, sight: Sight::of(&caller), ..View::default() };
    let drafted = write::delete(&state, &caller, object_type, uuid, &view).await?;
    Ok(drafted_status(drafted).into_response())
}
