//! `/weft/tokens`: the tokens of this installation, for administrators.

use crate::parse::json;
use crate::{ApiError, ApiState};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use weft_auth::{AuthError, DEFAULT_ADMIN_ROLE, Identity, NewToken, Tokens};

fn tokens(state: &ApiState, identity: &Identity) -> Result<Arc<Tokens>, ApiError> {
    if !identity.is_admin(DEFAULT_ADMIN_ROLE) {
        return Err(ApiError::forbidden("Permission Denied: tokens are the administrator's"));
    }
    Ok(match state.access().authenticator() {
        Some(authenticator) => Arc::clone(authenticator.tokens()),
        None => Arc::new(Tokens::new(Arc::clone(state.store()))),
    })
}

fn failed(error: AuthError) -> ApiError {
    match error {
        AuthError::Invalid(message) => ApiError::bad_request(message),
        AuthError::Conflict(message) => ApiError::conflict(message),
        other => ApiError::unavailable(other.to_string()),
    }
}

/// `GET`: `{"tokens": [{id, name, roles, project_id, ...}]}`, never the tokens themselves.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Extension(identity): Extension<Arc<Identity>>,
) -> Result<Json<Value>, ApiError> {
    let list = tokens(&state, &identity)?.list().await.map_err(failed)?;
    Ok(Json(json!({"tokens": list})))
}

/// `POST {"token": {name, roles, project_id, project_name, domain_id, expires_in}}`: the answer is the only place where the
/// token itself is ever shown.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Extension(identity): Extension<Arc<Identity>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let tokens = tokens(&state, &identity)?;
    let mut body = json(&body)?;
    let new: NewToken = serde_json::from_value(body.get_mut("token").map(Value::take).unwrap_or_default())
        .map_err(|e| ApiError::bad_request(format!("token: {e}")))?;
    let (secret, record) = tokens.create(new).await.map_err(failed)?;
    tracing::info!(by = identity.user, name = record.name, roles = ?record.roles, "token made");
    Ok(Json(json!({"token": record, "secret": secret.reveal()})))
}

/// `DELETE /weft/tokens/<id or name>`
pub(crate) async fn revoke(
    State(state): State<ApiState>,
    Extension(identity): Extension<Arc<Identity>>,
    Path(id): Path<String>,
) -> Result<(), ApiError> {
    if !tokens(&state, &identity)?.revoke(&id).await.map_err(failed)? {
        let id: String = id.chars().take(80).collect();
        return Err(ApiError::not_found(format!("No token object found for id {id}")));
    }
    tracing::info!(by = identity.user, token = id, "token revoked");
    Ok(())
}
