//! physical-router, physical-interface, logical-interface: states, names, VLANs, types of interfaces.

use super::Context;
use super::values::{at, at_most_one, changed, flag, in_range, prop, prop_text};
use crate::ApiError;
use weft_model::{Object, ObjectType};
use weft_store::layout;

/// VLANs that some switches keep for themselves on layer-2 interfaces (wire-facts 9).
const RESERVED_L2_VLANS: &[i64] = &[1, 2, 4094];

pub(super) fn router(new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    let state = prop_text(new, "physical_router_managed_state");
    if old.is_none() && matches!(state, Some("rma" | "activating")) {
        return Err(ApiError::bad_request(format!(
            "physical_router_managed_state: Managed state cannot be {} for router {}",
            state.unwrap_or_default(),
            new.fq_name
        )));
    }
    at_most_one(new, ObjectType::TelemetryProfile)
}

/// What is shown of an interface as its name.
fn shown_name(object: &Object) -> &str {
    prop_text(object, "display_name").unwrap_or_else(|| object.fq_name.last())
}

/// The row that says who has a name (or a VLAN) in a device or on an interface.
fn claimed(object: &Object, kind: &str, what: &str) -> Option<String> {
    let (_, parent) = object.parent?;
    let what: String = what.bytes().map(|byte| format!("{byte:02x}")).collect();
    Some(layout::alloc_key(&format!("{kind}/{}", parent.as_hyphenated()), what))
}

async fn claim(
    ctx: &mut Context<'_>,
    new: &Object,
    key: Option<String>,
    refusal: String,
) -> Result<(), ApiError> {
    let Some(key) = key else { return Ok(()) };
    if let Some(entry) = ctx.state.store().get(&key).await?
        && !ctx.plan.releases(&key)
    {
        let holder = String::from_utf8_lossy(&entry.value).into_owned();
        return Err(ApiError::forbidden(format!("{refusal}: {holder}")));
    }
    ctx.plan.claim(key, new.uuid.to_string());
    Ok(())
}

fn unchangeable(new: &Object, old: &Object, name: &str, what: &str) -> Result<(), ApiError> {
    if changed(new, old, name) {
        return Err(ApiError::forbidden(format!("{name} of {}: Cannot change {what}", new.fq_name)));
    }
    Ok(())
}

pub(super) async fn physical_interface(
    ctx: &mut Context<'_>,
    new: &Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    const TYPE: &str = "physical_interface_type";
    if let Some(esi) = prop_text(new, "ethernet_segment_identifier") {
        let bytes: Vec<&str> = esi.split(':').collect();
        let byte = |text: &&str| text.len() == 2 && u8::from_str_radix(text, 16).is_ok();
        if bytes.len() != 10 || !bytes.iter().all(byte) {
            return Err(ApiError::bad_request(format!(
                "ethernet_segment_identifier {esi:?}: Invalid ESI string format, expected ten bytes in hexadecimal"
            )));
        }
    }
    let mtu = at(prop(new, "physical_interface_port_params"), &["port_mtu"]).as_i64();
    let access = prop_text(new, TYPE) == Some("access");
    if access && (mtu.is_some() || flag(new, "physical_interface_flow_control")) {
        return Err(ApiError::bad_request(format!(
            "{TYPE}: Cannot set mtu or flow_control on access type interfaces: {}",
            new.fq_name
        )));
    }
    if !access && flag(new, "physical_interface_lacp_force_up") {
        return Err(ApiError::bad_request(format!(
            "physical_interface_lacp_force_up: Cannot set LACP Force-Up on an interface that is not of the access type: {}",
            new.fq_name
        )));
    }
    if let Some(old) = old {
        if prop_text(old, TYPE).is_some() && changed(new, old, TYPE) {
            return Err(ApiError::bad_request(format!(
                "{TYPE}: Cannot set physical interface type {} on already existing {} type interface {}",
                prop_text(new, TYPE).unwrap_or("none"),
                prop_text(old, TYPE).unwrap_or_default(),
                new.fq_name
            )));
        }
        return unchangeable(new, old, "display_name", "display name");
    }
    let key = claimed(new, "interface-name", shown_name(new));
    let refusal =
        format!("display_name {:?}: Display name already used in another interface", shown_name(new));
    claim(ctx, new, key, refusal).await
}

pub(super) async fn logical_interface(
    ctx: &mut Context<'_>,
    new: &Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    const VLAN: &str = "logical_interface_vlan_tag";
    let vlan = prop(new, VLAN).as_i64();
    if let Some(vlan) = vlan {
        in_range(VLAN, vlan, 0, 4094)
            .map_err(|e| ApiError::forbidden(format!("Invalid Vlan id: {}", e.message)))?;
        reserved(ctx, new, vlan).await?;
    }
    if let Some(old) = old {
        unchangeable(new, old, "display_name", "display name")?;
        if prop(old, VLAN).is_i64() {
            return unchangeable(new, old, VLAN, "Vlan id");
        }
    }
    if old.is_none() {
        let key = claimed(new, "interface-name", shown_name(new));
        let refusal =
            format!("display_name {:?}: Display name already used in another interface", shown_name(new));
        claim(ctx, new, key, refusal).await?;
    }
    let on_interface = new.parent.is_some_and(|parent| parent.0 == ObjectType::PhysicalInterface);
    let Some(vlan) = vlan.filter(|_| on_interface) else { return Ok(()) };
    let key = claimed(new, "interface-vlan", &vlan.to_string());
    claim(ctx, new, key, format!("{VLAN}: Vlan tag {vlan} already used in another interface")).await
}

/// On layer-2 interfaces of a QFX some VLANs are not to be had.
async fn reserved(ctx: &Context<'_>, new: &Object, vlan: i64) -> Result<(), ApiError> {
    if prop_text(new, "logical_interface_type") != Some("l2") || !RESERVED_L2_VLANS.contains(&vlan) {
        return Ok(());
    }
    let mut above = new.parent;
    if let Some((ObjectType::PhysicalInterface, interface)) = above {
        above = ctx.state.load(ObjectType::PhysicalInterface, interface).await?.and_then(|l| l.object.parent);
    }
    let Some((ObjectType::PhysicalRouter, device)) = above else { return Ok(()) };
    let device = ctx.state.load(ObjectType::PhysicalRouter, device).await?;
    let product =
        device.and_then(|l| prop_text(&l.object, "physical_router_product_name").map(str::to_lowercase));
    if product.is_some_and(|product| product.starts_with("qfx")) {
        return Err(ApiError::bad_request(format!(
            "logical_interface_vlan_tag {vlan}: Vlan ids 1, 2, 4094 are not allowed on QFX logical interface type l2"
        )));
    }
    Ok(())
}

/// Gives back the names and VLANs of an interface.
pub(super) async fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    let vlan = prop(object, "logical_interface_vlan_tag").as_i64();
    let names = [
        claimed(object, "interface-name", shown_name(object)),
        vlan.and_then(|vlan| claimed(object, "interface-vlan", &vlan.to_string())),
    ];
    for key in names.into_iter().flatten() {
        let held = ctx.state.store().get(&key).await?;
        if held.is_some_and(|entry| entry.value == object.uuid.to_string()) {
            ctx.plan.release(key);
        }
    }
    Ok(())
}
