//! project: limits, draft mode, and its default application-policy-set.

use super::values::prop;
use super::{Context, application_policy_set, companion, draft, quota};
use crate::ApiError;
use serde_json::Value;
use uuid::Uuid;
use weft_model::{Object, ObjectType, Reference};

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    quota::check(new)?;
    let limited = ctx.plan.caller.as_ref().is_some_and(|caller| !caller.is_admin());
    if limited && prop(new, "quota") != old.map_or(&Value::Null, |old| prop(old, "quota")) {
        // Its members may write it; limits that those raise who are limited are none.
        return Err(ApiError::forbidden(format!(
            "Permission denied: quota of project {} is changed by administrators",
            new.fq_name
        )));
    }
    if let Some(old) = old {
        quota::limits_changed(ctx, Some(new), old);
    } else if !ctx.plan.alone {
        default_policy_set(ctx, new)?;
    }
    draft::switched(ctx, new, old).await
}

/// Every project has a set of policies for all of its applications.
fn default_policy_set(ctx: &mut Context<'_>, new: &mut Object) -> Result<(), ApiError> {
    let object_type = ObjectType::ApplicationPolicySet;
    let fq_name = new.fq_name.child(application_policy_set::DEFAULT);
    let mut set = Object::new(object_type, Uuid::new_v4(), fq_name.clone());
    set.parent = Some((ObjectType::Project, new.uuid));
    set.props.insert("all_applications".into(), true.into());
    let reference = Reference { uuid: set.uuid, fq_name, attr: None };
    companion(ctx, set)?;
    new.refs.insert(object_type, vec![reference]);
    Ok(())
}

pub(super) fn delete(ctx: &mut Context<'_>, object: &Object) {
    quota::limits_changed(ctx, None, object);
}
