//! forwarding-class: its number is its own; qos-config: what it maps from.

use super::Context;
use super::values::{at, in_range, items, prop};
use crate::ApiError;
use weft_model::{Object, ObjectType, Reference, defaults};
use weft_store::layout;

const ID: &str = "forwarding_class_id";

fn key(object: &Object) -> String {
    layout::alloc_number_key("forwarding-class", prop(object, ID).as_u64().unwrap_or(0))
}

/// Numbers of forwarding classes are used once; the number is 0 unless given.
pub(super) async fn forwarding_class(
    ctx: &mut Context<'_>,
    new: &Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    let wanted = key(new);
    if let Some(old) = old {
        if key(old) == wanted {
            return Ok(());
        }
        ctx.plan.release(key(old));
    }
    if let Some(entry) = ctx.state.store().get(&wanted).await? {
        return Err(ApiError::bad_request(format!(
            "{ID}: Forwarding class {} is configured with a id {}",
            String::from_utf8_lossy(&entry.value),
            prop(new, ID).as_u64().unwrap_or(0)
        )));
    }
    ctx.plan.claim(wanted, new.uuid.to_string());
    Ok(())
}

pub(super) fn delete_forwarding_class(ctx: &mut Context<'_>, object: &Object) {
    ctx.plan.release(key(object));
}

pub(super) async fn config(ctx: &Context<'_>, new: &mut Object) -> Result<(), ApiError> {
    for (name, what, last) in [
        ("dscp_entries", "DSCP value", 63),
        ("vlan_priority_entries", "802.1p value", 7),
        ("mpls_exp_entries", "MPLS EXP value", 7),
    ] {
        for pair in items(prop(new, name), &["qos_id_forwarding_class_pair"]) {
            let Some(value) = at(pair, &["key"]).as_i64() else { continue };
            in_range(&format!("{name}: Invalid {what}:"), value, 0, last)?;
        }
    }
    if new.refs_to(ObjectType::GlobalSystemConfig).is_empty() {
        let fq_name = defaults::global_system_config();
        if let Some(uuid) = ctx.state.by_name(ObjectType::GlobalSystemConfig, &fq_name).await? {
            let reference = Reference { uuid, fq_name, attr: None };
            new.refs.insert(ObjectType::GlobalSystemConfig, vec![reference]);
        }
    }
    Ok(())
}
