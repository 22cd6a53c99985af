//! policy-management: the one that holds drafts stays while its scope is in draft mode.

use super::values::flag;
use super::{Context, draft};
use crate::ApiError;
use weft_model::{Object, ObjectType, defaults};

pub(super) async fn delete(ctx: &Context<'_>, object: &Object) -> Result<(), ApiError> {
    if object.fq_name.last() != draft::MANAGEMENT || ctx.plan.system {
        return Ok(());
    }
    let global = ctx.state.by_name(ObjectType::GlobalSystemConfig, &defaults::global_system_config()).await?;
    let scope = object.parent.or(global.map(|uuid| (ObjectType::GlobalSystemConfig, uuid)));
    let Some(scope) = scope.filter(|scope| !ctx.plan.deletes(*scope)) else { return Ok(()) };
    let loaded = ctx.state.load(scope.0, scope.1).await?;
    if loaded.is_some_and(|scope| flag(&scope.object, draft::SWITCH)) {
        return Err(ApiError::conflict(format!(
            "policy-management {} holds drafts as long as {} is set",
            object.fq_name,
            draft::SWITCH
        )));
    }
    Ok(())
}
