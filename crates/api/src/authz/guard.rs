//! The door: what mode and rules say of a request before its handler runs.

use super::{Caller, Operation};
use crate::{ApiError, ApiState, MAX_BODY_BYTES, parse};
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use std::sync::Arc;
use weft_auth::Identity;
use weft_model::ObjectType;

/// Paths that tell nothing about anybody's objects.
const OPEN: &[&str] = &["", "documentation", "openapi.json", "aaa-mode", "obj-perms"];
/// Actions whose handlers ask about the types and objects they touch.
const CHECKED: &[&str] = &[
    "ref-update",
    "ref-relax-for-delete",
    "prop-collection-update",
    "prop-collection-get",
    "list-bulk-collection",
    "watch",
    "chown",
    "chmod",
    "set-tag",
];
/// Actions that have rules of their own, by name (`_create_default_rbac_rule` of the existing system).
const NAMED: &[&str] = &["fqname-to-id", "id-to-fqname", "useragent-kv"];

/// Gives the request its [`Caller`], or refuses it.
///
/// # Errors
/// 401 if nobody said who makes it, 403 if mode or rules do not allow it.
pub(crate) async fn admit(state: &ApiState, mut request: Request) -> Result<Request, ApiError> {
    let identity = request.extensions().get::<Arc<Identity>>().cloned();
    let identity = identity.ok_or_else(|| ApiError::unauthorized("nobody said who makes this request"))?;
    let caller = Caller::of(state, &identity).await?;
    request.extensions_mut().insert(caller.clone());
    if caller.is_admin() {
        return Ok(request);
    }
    let (first, last) = path_ends(request.uri().path());
    if OPEN.contains(&first.as_str()) || CHECKED.contains(&first.as_str()) {
        return Ok(request);
    }
    if NAMED.contains(&first.as_str()) {
        caller.allowed(operation(request.method(), ""), &first, [])?;
        return Ok(request);
    }
    let Some(object_type) = type_in_path(&first) else {
        caller.admin_only()?;
        return Ok(request);
    };
    type_rules(&caller, object_type, operation(request.method(), &last), request).await
}

/// First segment of a path, and the third.
fn path_ends(path: &str) -> (String, String) {
    let mut segments = path.trim_start_matches('/').split('/');
    let first = segments.next().unwrap_or_default().to_owned();
    (first, segments.nth(1).unwrap_or_default().to_owned())
}

fn type_in_path(segment: &str) -> Option<ObjectType> {
    ObjectType::ALL.iter().copied().find(|t| t.name() == segment || t.collection() == segment)
}

/// What a method does, with an object's action (`ip-alloc` and the like) as the third segment of the path.
fn operation(method: &Method, action: &str) -> Operation {
    match (method, action) {
        (&Method::POST, "") => Operation::Create,
        (&Method::POST, "subnet-ip-count") | (&Method::GET | &Method::HEAD | &Method::OPTIONS, _) => {
            Operation::Read
        }
        (&Method::DELETE, _) => Operation::Delete,
        _ => Operation::Update,
    }
}

/// The rules for a type; those for fields need the body.
async fn type_rules(
    caller: &Caller,
    object_type: ObjectType,
    operation: Operation,
    request: Request,
) -> Result<Request, ApiError> {
    let writes = matches!(operation, Operation::Create | Operation::Update);
    let name = object_type.name();
    if !writes || !caller.has_field_rules(name) {
        caller.allowed(operation, name, [])?;
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, MAX_BODY_BYTES).await;
    let bytes =
        bytes.map_err(|_| ApiError::too_large(format!("the body has more than {MAX_BODY_BYTES} bytes")))?;
    // What is no JSON object has no fields, and is refused by the handler.
    let body = parse::json_object(&bytes).unwrap_or_default();
    let inner = body.get(name).or_else(|| body.get(object_type.json_name()));
    let fields = inner.and_then(serde_json::Value::as_object).unwrap_or(&body);
    caller.allowed(operation, name, fields.keys().map(String::as_str))?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}
