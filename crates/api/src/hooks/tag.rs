//! tag: named `<type>=<value>`, numbered `<type id><value id>`. The number of a value is one of its type's; the type is
//! made with its first tag and goes with its last one (wire-facts 7).

use super::values::{fixed, prop_text};
use super::{Context, companion, tag_type};
use crate::ApiError;
use crate::alloc::Pool;
use weft_model::{FqName, Object, ObjectType, Reference};
use weft_store::layout;

/// Last number of a value that the system gives out.
const LAST_AUTOMATIC_VALUE: u64 = 32_766;
/// Numbers of values that clients choose.
const CHOSEN_VALUES: std::ops::RangeInclusive<u64> = 32_768..=65_535;
const WRITTEN_ONCE: &[&str] = &["tag_type_name", "tag_value", "tag_id", "display_name", "tag_predefined"];

/// The numbers of one type's values.
fn values(type_name: &str) -> Pool {
    Pool::numbers(&format!("tag-value/{type_name}"), 0, LAST_AUTOMATIC_VALUE)
}

/// The number of a tag: type in the upper 16 bits, value in the lower ones.
pub(super) fn number(tag: &Object) -> Result<u64, ApiError> {
    let text = prop_text(tag, "tag_id").unwrap_or_default();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16)
        .map_err(|_| ApiError::internal(format!("tag {} has the number {text:?}", tag.fq_name)))
}

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    if let Some(old) = old {
        fixed(new, Some(old), WRITTEN_ONCE)?;
        if new.refs_to(ObjectType::TagType) != old.refs_to(ObjectType::TagType) {
            return Err(ApiError::bad_request(format!(
                "tag_type_refs of tag {} can not be changed",
                new.fq_name
            )));
        }
        return Ok(());
    }
    if !new.refs_to(ObjectType::TagType).is_empty() {
        return Err(ApiError::bad_request(
            "tag_type_refs of a tag follow from tag_type_name, they can not be set",
        ));
    }
    let type_name = name(ctx, new).await?;
    let asked = asked_number(new)?;
    let (reference, type_id) = locate_type(ctx, &type_name, asked.map(|(type_id, _)| type_id)).await?;
    new.refs.insert(ObjectType::TagType, vec![reference]);
    let value_id = claim_value(ctx, new, &type_name, asked.map(|(_, value)| value)).await?;
    new.props.insert("tag_id".into(), format!("0x{type_id:04x}{value_id:04x}").into());
    Ok(())
}

/// Gives the tag the name that follows from its type and value. Returns the type's name.
async fn name(ctx: &Context<'_>, new: &mut Object) -> Result<String, ApiError> {
    let (Some(type_name), Some(value)) = (prop_text(new, "tag_type_name"), prop_text(new, "tag_value"))
    else {
        return Err(ApiError::bad_request("a tag needs tag_type_name and tag_value"));
    };
    let type_name = type_name.to_lowercase();
    tag_type::check_name(&type_name)?;
    let full = FqName(match new.fq_name.parent() {
        Some(parent) => parent.child(format!("{type_name}={value}")).0,
        None => vec![format!("{type_name}={value}")],
    });
    full.check(false)?;
    if full != new.fq_name
        && let Some(holder) = ctx.state.by_name(ObjectType::Tag, &full).await?
    {
        return Err(ApiError::conflict(format!("tag {full} already exists with uuid: {holder}")));
    }
    new.fq_name = full;
    new.props.insert("tag_type_name".into(), type_name.clone().into());
    new.props.remove("display_name");
    Ok(type_name)
}

/// The numbers of type and value that a client asks for.
fn asked_number(new: &Object) -> Result<Option<(u64, u64)>, ApiError> {
    let Some(text) = prop_text(new, "tag_id") else { return Ok(None) };
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let id = u32::from_str_radix(digits, 16).map_err(|_| {
        ApiError::bad_request(format!("tag_id {text:?} is not a hexadecimal number of 32 bits"))
    })?;
    let (type_id, value) = (u64::from(id >> 16), u64::from(id & 0xffff));
    if !CHOSEN_VALUES.contains(&value) {
        return Err(ApiError::bad_request(format!(
            "tag_id {text}: the value's part {value} is not {} to {}, which a client may choose from",
            CHOSEN_VALUES.start(),
            CHOSEN_VALUES.end()
        )));
    }
    Ok(Some((type_id, value)))
}

/// The tag-type of that name, made if there is none; and its number.
async fn locate_type(
    ctx: &mut Context<'_>,
    name: &str,
    asked: Option<u64>,
) -> Result<(Reference, u64), ApiError> {
    let fq_name = FqName::new([name]);
    if let Some(uuid) = ctx.state.by_name(ObjectType::TagType, &fq_name).await?
        && let Some(held) = ctx.state.load(ObjectType::TagType, uuid).await?
    {
        let id = tag_type::number(&held.object)?;
        if asked.is_some_and(|asked| asked != 0 && asked != id) {
            return Err(ApiError::bad_request(format!(
                "tag_id: the type's part is {:#06x}, but tag-type {name} has the id {id:#06x}",
                asked.unwrap_or_default()
            )));
        }
        return Ok((Reference { uuid, fq_name, attr: None }, id));
    }
    let mut made = Object::new(ObjectType::TagType, uuid::Uuid::new_v4(), fq_name.clone());
    made.props.insert("id_perms".into(), serde_json::json!({"user_visible": false}));
    if let Some(asked) = asked.filter(|asked| *asked != 0) {
        made.props.insert("tag_type_id".into(), format!("{asked:#06x}").into());
    }
    tag_type::put(ctx, &mut made, None).await?;
    let id = tag_type::number(&made)?;
    let uuid = made.uuid;
    companion(ctx, made)?;
    Ok((Reference { uuid, fq_name, attr: None }, id))
}

async fn claim_value(
    ctx: &mut Context<'_>,
    new: &Object,
    type_name: &str,
    asked: Option<u64>,
) -> Result<u64, ApiError> {
    let pool = values(type_name);
    let id = match asked {
        Some(id) => {
            if ctx.state.store().get(&pool.key(id.into())).await?.is_some() {
                return Err(ApiError::bad_request(format!(
                    "tag_id: value {id:#06x} of tag-type {type_name} is in use"
                )));
            }
            u128::from(id)
        }
        None => pool
            .free(ctx.state)
            .await?
            .ok_or_else(|| ApiError::bad_request(format!("all values of tag-type {type_name} are in use")))?,
    };
    ctx.plan.claim(pool.key(id), new.uuid.to_string());
    Ok(u64::try_from(id).unwrap_or(u64::MAX))
}

/// Gives the numbers back: the value's, and with the last tag of a type that is not predefined the type's.
pub(super) async fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    let type_name = prop_text(object, "tag_type_name").unwrap_or_default();
    let value = number(object)? & 0xffff;
    ctx.plan.release(values(type_name).key(value.into()));
    let Some(of) = object.refs_to(ObjectType::TagType).first() else { return Ok(()) };
    if tag_type::predefined(type_name).is_some() {
        return Ok(());
    }
    let link = ctx.state.store().get(&layout::link_key(of.uuid)).await?;
    let Some(held) = ctx.state.load(ObjectType::TagType, of.uuid).await? else { return Ok(()) };
    let users = ctx.state.back_refs(ObjectType::TagType, of.uuid).await?;
    if users.iter().any(|user| user.uuid != object.uuid) {
        return Ok(());
    }
    ctx.plan.not_linked_since(of.uuid, link.map(|entry| entry.mod_revision));
    tag_type::delete(ctx, &held.object)?;
    ctx.plan.delete_object(&held.object, held.revision);
    Ok(())
}

/// Types of which an object may have several tags.
pub(crate) const SEVERAL_PER_OBJECT: &[&str] = &["label", "neutron_fwaas", "neutron_tag"];

/// The type of a tag by the tag's name.
pub(crate) fn type_of(tag: &FqName) -> &str {
    tag.last().split_once('=').map_or("", |(type_name, _)| type_name)
}

/// The tags any object refers to: one of each type, several of some; an address-group has labels only.
pub(super) fn references(new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    let tags = new.refs_to(ObjectType::Tag);
    if tags.is_empty() || old.is_some_and(|old| old.refs_to(ObjectType::Tag) == tags) {
        return Ok(());
    }
    let (of, name) = (new.object_type, &new.fq_name);
    let mut seen = std::collections::BTreeMap::new();
    for tag in tags {
        let kind = type_of(&tag.fq_name);
        if of == ObjectType::AddressGroup && kind != "label" {
            return Err(ApiError::bad_request(format!(
                "Invalid tag type {kind} for object type address_group: {} of {name}",
                tag.fq_name
            )));
        }
        // A rule refers to the tags of both of its ends.
        if SEVERAL_PER_OBJECT.contains(&kind) || of == ObjectType::FirewallRule {
            continue;
        }
        if let Some(other) = seen.insert(kind, &tag.fq_name) {
            return Err(ApiError::bad_request(format!(
                "Tag type {kind} cannot be set multiple times on a same object: {other} and {} of {of} {name}",
                tag.fq_name
            )));
        }
    }
    Ok(())
}
