//! application-policy-set: the flag `all_applications` belongs to the system; the default set of everything refers to the
//! vRouters' global configuration.

use super::values::flag;
use super::{Context, draft};
use crate::ApiError;
use weft_model::{FqName, Object, ObjectType, Reference, defaults};

/// Name of a scope's default set.
pub(crate) const DEFAULT: &str = "default-application-policy-set";

/// `default-policy-management:default-application-policy-set`.
pub(crate) fn global_default() -> FqName {
    FqName::new([draft::DEFAULT_MANAGEMENT, DEFAULT])
}

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    draft::read_only(ctx, new, old, "all_applications")?;
    draft::same_scope(new, &[ObjectType::FirewallPolicy])?;
    super::firewall_policy::sequences(new, ObjectType::FirewallPolicy)?;
    if new.fq_name == global_default() && new.refs_to(ObjectType::GlobalVrouterConfig).is_empty() {
        let fq_name = defaults::global_vrouter_config();
        if let Some(uuid) = ctx.state.by_name(ObjectType::GlobalVrouterConfig, &fq_name).await? {
            new.refs.insert(ObjectType::GlobalVrouterConfig, vec![Reference { uuid, fq_name, attr: None }]);
        }
    }
    Ok(())
}

/// The set of all applications stays as long as its scope.
pub(super) fn delete(ctx: &Context<'_>, object: &Object) -> Result<(), ApiError> {
    if object.object_type != ObjectType::ApplicationPolicySet || !flag(object, "all_applications") {
        return Ok(());
    }
    let scope_goes = object.parent.is_some_and(|parent| ctx.plan.deletes(parent));
    if ctx.plan.system || scope_goes || draft::is_draft(object) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "Application Policy Set {} is defined on all applications and cannot be deleted",
        object.fq_name
    )))
}
