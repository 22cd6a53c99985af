//! `POST /security-policy-draft`: commits or discards the drafts of a scope.

use crate::hooks::{Context, commit};
use crate::names::text;
use crate::parse::{json_object, uuid};
use crate::plan::Plan;
use crate::write::{ATTEMPTS, Outcome, commit as commit_plan, pause, too_busy};
use crate::{ApiError, ApiState};
use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use serde_json::{Value, json};
use weft_model::ObjectType;

/// `{scope_uuid, action: commit|discard}`.
pub(crate) async fn handle(State(state): State<ApiState>, body: Bytes) -> Result<Json<Value>, ApiError> {
    let body = json_object(&body)?;
    let id = uuid(body.get("scope_uuid").unwrap_or(&Value::Null), "scope_uuid")?;
    let action = text(&body, "action")?;
    if !matches!(action, "commit" | "discard") {
        return Err(ApiError::bad_request(format!(
            "action {action:?}: Only 'commit' or 'discard' actions are supported"
        )));
    }
    let missing =
        || ApiError::not_found(format!("Cannot find scope where pending security resource are own: {id}"));
    let object_type = state.stored_type_of(id).await?.ok_or_else(missing)?;
    if !matches!(object_type, ObjectType::GlobalSystemConfig | ObjectType::Project) {
        return Err(ApiError::bad_request(format!(
            "scope_uuid {id} is a {object_type}, not a global-system-config or a project"
        )));
    }
    for attempt in 0..ATTEMPTS {
        pause(attempt, id).await;
        let mut plan = Plan::new(true);
        let mut ctx = Context { state: &state, plan: &mut plan };
        let scope = state.require(object_type, id).await?;
        ctx.plan.unchanged((object_type, id), scope.revision);
        let drafts = commit::read(&mut ctx, &scope).await?;
        match action {
            "commit" => commit::commit(&mut ctx, &drafts).await?,
            _ => commit::discard(&mut ctx, &drafts).await?,
        }
        if let Outcome::Done = commit_plan(&state, plan, Some(id)).await? {
            return Ok(Json(json!({})));
        }
    }
    Err(too_busy())
}
