//! security-group: its rules and its number, the configured one or one of the automatic range.

use super::{Context, fixed_number, property, rules};
use crate::ApiError;
use crate::alloc::Pool;
use serde_json::Value;
use weft_model::{Object, defaults};

const ID: &str = "security_group_id";

fn pool() -> Pool {
    Pool::numbers("security-group-id", defaults::FIRST_SECURITY_GROUP_ID.into(), u32::MAX.into())
}

fn configured(object: &Object) -> Result<Option<u64>, ApiError> {
    Ok(property::<u64>(object, "configured_security_group_id")?.filter(|id| *id != 0))
}

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    rules::put(new, "security_group_entries", rules::Kind::SecurityGroup)?;
    let before = old.map(configured).transpose()?.flatten();
    let wanted = configured(new)?;
    if old.is_some() && before == wanted {
        let id = fixed_number(new, old, ID, &pool())?;
        new.props.insert(ID.into(), id.map_or(Value::Null, Value::from));
        return Ok(());
    }
    if let Some(old) = old {
        delete(ctx, old)?;
    }
    let id = match wanted {
        Some(id) => id,
        None => automatic(ctx, new, old).await?,
    };
    new.props.insert(ID.into(), Value::from(id));
    Ok(())
}

async fn automatic(ctx: &mut Context<'_>, new: &Object, old: Option<&Object>) -> Result<u64, ApiError> {
    let pool = pool();
    let asked = if old.is_none() { fixed_number(new, None, ID, &pool)? } else { None };
    let id = match asked {
        Some(id) => u128::from(id),
        None => pool
            .free(ctx.state)
            .await?
            .ok_or_else(|| ApiError::conflict("all security group ids are in use"))?,
    };
    let key = pool.key(id);
    if asked.is_some() && ctx.state.store().get(&key).await?.is_some() {
        return Err(ApiError::conflict(format!("{ID} {id} is in use")));
    }
    ctx.plan.claim(key, new.uuid.to_string());
    Ok(u64::try_from(id).unwrap_or(u64::MAX))
}

pub(super) fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    if configured(object)?.is_none()
        && let Some(id) = object.props.get(ID).and_then(Value::as_u64)
    {
        ctx.plan.release(pool().key(id.into()));
    }
    Ok(())
}
