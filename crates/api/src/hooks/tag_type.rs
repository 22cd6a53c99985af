//! tag-type: its number. Predefined types have fixed ones; others get one from 255 up, or choose from 32768 up.

use super::Context;
use super::values::{fixed, prop_text};
use crate::ApiError;
use crate::alloc::Pool;
use weft_model::Object;

/// Types that exist in every installation, with their numbers (wire-facts 7).
pub(crate) const PREDEFINED: &[(&str, u16)] = &[
    ("label", 0),
    ("application", 1),
    ("tier", 2),
    ("deployment", 3),
    ("site", 4),
    ("neutron_fwaas", 5),
    ("neutron_tag", 6),
];
/// Numbers of types that clients choose.
const CHOSEN: std::ops::RangeInclusive<u64> = 32_768..=65_535;

/// Numbers the system gives out.
fn pool() -> Pool {
    Pool::numbers("tag-type", 255, CHOSEN.start() - 1)
}

/// The number of a predefined type.
pub(super) fn predefined(name: &str) -> Option<u64> {
    PREDEFINED.iter().find(|(known, _)| *known == name).map(|(_, id)| u64::from(*id))
}

/// The number of a type that exists.
pub(super) fn number(tag_type: &Object) -> Result<u64, ApiError> {
    let text = prop_text(tag_type, "tag_type_id").unwrap_or_default();
    parse(text)
        .ok_or_else(|| ApiError::internal(format!("tag-type {} has the number {text:?}", tag_type.fq_name)))
}

fn parse(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    u16::from_str_radix(digits, 16).ok().map(u64::from)
}

/// A name that can stand before the `=` of a tag's name.
pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() || name.contains('=') {
        return Err(ApiError::bad_request(format!("tag type name {name:?} is empty or contains '='")));
    }
    Ok(())
}

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    if old.is_some() {
        return fixed(new, old, &["tag_type_id", "display_name"]);
    }
    let name = new.fq_name.last().to_owned();
    check_name(&name)?;
    if name != name.to_lowercase() {
        return Err(ApiError::bad_request(format!("tag type name {name:?} is not in lower case")));
    }
    let id = match (prop_text(new, "tag_type_id"), predefined(&name)) {
        (_, Some(id)) => u128::from(id),
        (Some(text), None) => chosen(ctx, text).await?.into(),
        (None, None) => pool()
            .free(ctx.state)
            .await?
            .ok_or_else(|| ApiError::bad_request("all ids of tag types are in use"))?,
    };
    ctx.plan.claim(pool().key(id), new.uuid.to_string());
    new.props.insert("tag_type_id".into(), format!("{id:#06x}").into());
    new.props.remove("display_name");
    Ok(())
}

async fn chosen(ctx: &Context<'_>, text: &str) -> Result<u64, ApiError> {
    let id = parse(text).filter(|id| CHOSEN.contains(id)).ok_or_else(|| {
        ApiError::bad_request(format!(
            "tag_type_id {text:?} is not a hexadecimal number from {:#x} to {:#x}, which a client may choose from",
            CHOSEN.start(),
            CHOSEN.end()
        ))
    })?;
    if ctx.state.store().get(&pool().key(id.into())).await?.is_some() {
        return Err(ApiError::bad_request(format!("tag_type_id {text} is in use by another tag-type")));
    }
    Ok(id)
}

pub(super) fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    ctx.plan.release(pool().key(number(object)?.into()));
    Ok(())
}
