//! virtual-machine-interface: its MAC address, limits on allowed address pairs, sub-interfaces, bindings.

use super::values::{at, changed, first_ref, in_range, key_value, prop, text};
use super::{Context, property, set, virtual_port_group};
use crate::ApiError;
use uuid::Uuid;
use weft_model::types::{AllowedAddressPairs, MacAddressesType};
use weft_model::{MacAddress, Object, ObjectType};
use weft_store::layout;

const MACS: &str = "virtual_machine_interface_mac_addresses";
/// Shortest prefixes of an active-standby address pair.
const MIN_PAIR_PREFIX_V4: i64 = 24;
const MIN_PAIR_PREFIX_V6: i64 = 120;

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    mac_addresses(new)?;
    address_pairs(new)?;
    sub_interface(ctx, new, old).await?;
    bridge_domains(new)?;
    health_checks(ctx, new).await?;
    bindings(ctx, new, old).await?;
    virtual_port_group::claim_vlans(ctx, Some(new), old).await
}

fn mac_addresses(new: &mut Object) -> Result<(), ApiError> {
    let given = property::<MacAddressesType>(new, MACS)?.unwrap_or_default().mac_address;
    let mut macs = Vec::with_capacity(given.len().max(1));
    for text in given.iter().filter(|t| !t.is_empty()) {
        let mac: MacAddress = text.parse()?;
        if mac.is_multicast() || mac == MacAddress::default() {
            return Err(ApiError::bad_request(format!(
                "MAC address {mac} is not the address of one interface"
            )));
        }
        macs.push(mac.to_string());
    }
    if macs.is_empty() {
        macs.push(MacAddress::from_uuid(new.uuid).to_string());
    }
    set(new, MACS, &MacAddressesType { mac_address: macs })
}

fn address_pairs(new: &Object) -> Result<(), ApiError> {
    let pairs: Option<AllowedAddressPairs> =
        property(new, "virtual_machine_interface_allowed_address_pairs")?;
    let pairs = pairs.unwrap_or_default().allowed_address_pair;
    if !pairs.is_empty() && property(new, "port_security_enabled")? == Some(false) {
        return Err(ApiError::bad_request(format!(
            "port_security_enabled: Allowed address pairs are not allowed when port security is disabled on {}",
            new.fq_name
        )));
    }
    for pair in pairs {
        if let Some(mac) = pair.mac.as_deref().filter(|m| !m.is_empty()) {
            mac.parse::<MacAddress>()?;
        }
        let Some(ip) = pair.ip else { continue };
        let (prefix, length) = (ip.ip_prefix.unwrap_or_default(), ip.ip_prefix_len.unwrap_or(0));
        let least = if prefix.contains(':') { MIN_PAIR_PREFIX_V6 } else { MIN_PAIR_PREFIX_V4 };
        if pair.address_mode.as_deref() == Some("active-standby") && length < least {
            return Err(ApiError::bad_request(format!(
                "IP Prefix length {length} of allowed address pair {prefix} is below {least} (active-standby)"
            )));
        }
    }
    Ok(())
}

fn vlan(object: &Object) -> i64 {
    at(prop(object, "virtual_machine_interface_properties"), &["sub_interface_vlan_tag"])
        .as_i64()
        .unwrap_or(0)
}

/// The row of a sub-interface's VLAN on its primary interface.
fn sub_interface_key(object: &Object) -> Option<String> {
    let primary = first_ref(object, ObjectType::VirtualMachineInterface).filter(|_| vlan(object) > 0)?;
    Some(sub_key(primary, vlan(object)))
}

fn sub_key(primary: Uuid, vlan: i64) -> String {
    layout::alloc_number_key(&format!("sub-interface/{}", primary.as_hyphenated()), vlan.unsigned_abs())
}

/// A sub-interface is of an interface that is none itself, and has a VLAN of its own there.
async fn sub_interface(ctx: &mut Context<'_>, new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    let tag = vlan(new);
    in_range("sub_interface_vlan_tag: Invalid sub-interface VLAN tag ID:", tag, 0, 4094)?;
    let (wanted, held) = (sub_interface_key(new), old.and_then(sub_interface_key));
    if wanted == held {
        return Ok(());
    }
    if let Some(old) = old
        && held.is_some()
        && vlan(old) != tag
    {
        return Err(ApiError::bad_request(format!(
            "sub_interface_vlan_tag: Cannot change sub-interface VLAN tag ID of {} from {} to {tag}",
            new.fq_name,
            vlan(old)
        )));
    }
    if let Some(held) = held {
        ctx.plan.release(held);
    }
    let (Some(key), Some(primary)) = (wanted, first_ref(new, ObjectType::VirtualMachineInterface)) else {
        return Ok(());
    };
    let loaded = ctx.state.require(ObjectType::VirtualMachineInterface, primary).await?;
    if vlan(&loaded.object) > 0 {
        return Err(ApiError::bad_request(format!(
            "virtual_machine_interface_refs: sub interface {} can't have another sub interface as it's primary port: {primary}",
            new.fq_name
        )));
    }
    if let Some(entry) = ctx.state.store().get(&key).await? {
        return Err(ApiError::bad_request(format!(
            "sub_interface_vlan_tag {tag}: Two sub interfaces under same primary port can't have same Vlan tag: {}",
            String::from_utf8_lossy(&entry.value)
        )));
    }
    ctx.plan.claim(key, new.uuid.to_string());
    Ok(())
}

/// Bridge domains are of the interface's network, one per VLAN.
fn bridge_domains(new: &Object) -> Result<(), ApiError> {
    let domains = new.refs_to(ObjectType::BridgeDomain);
    let network = new.refs_to(ObjectType::VirtualNetwork).first().map(|network| &network.fq_name);
    let mut seen = std::collections::BTreeMap::new();
    for domain in domains {
        if domain.fq_name.parent().as_ref() != network {
            return Err(ApiError::bad_request(format!(
                "Virtual machine interface {} can only refer to bridge domain belonging to its virtual network, not {}",
                new.fq_name, domain.fq_name
            )));
        }
        let tag = domain.attr.as_ref().and_then(|attr| at(attr, &["vlan_tag"]).as_i64()).unwrap_or(0);
        if let Some(other) = seen.insert(tag, &domain.fq_name) {
            return Err(ApiError::bad_request(format!(
                "Virtual machine interface {} already refers to bridge domain {other} for vlan tag {tag}",
                new.fq_name
            )));
        }
    }
    Ok(())
}

/// Only interfaces of services are checked beyond their link.
async fn health_checks(ctx: &Context<'_>, new: &Object) -> Result<(), ApiError> {
    if !new.refs_to(ObjectType::PortTuple).is_empty() {
        return Ok(());
    }
    for check in new.refs_to(ObjectType::ServiceHealthCheck) {
        let loaded = ctx.state.load(ObjectType::ServiceHealthCheck, check.uuid).await?;
        let Some(loaded) = loaded else { continue };
        let kind = text(prop(&loaded.object, "service_health_check_properties"), "health_check_type");
        if kind != Some("link-local") {
            return Err(ApiError::bad_request(format!(
                "Virtual machine interface {} of non service vm can only refer link-local type service health check, not {} of {}",
                new.fq_name,
                kind.unwrap_or("none"),
                check.fq_name
            )));
        }
    }
    Ok(())
}

/// A bound interface keeps its kind; a router's interface is no machine's.
async fn bindings(ctx: &Context<'_>, new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    const BINDINGS: &str = "virtual_machine_interface_bindings";
    let Some(old) = old else { return Ok(()) };
    let machines = |object: &Object| !object.refs_to(ObjectType::VirtualMachine).is_empty();
    if changed(new, old, BINDINGS) && machines(old) {
        let kind = |object: &Object| key_value(object, BINDINGS, "vnic_type").unwrap_or("normal").to_owned();
        if kind(new) != kind(old) && kind(new) != "baremetal" {
            return Err(ApiError::conflict(format!(
                "Vnic_type of {} can not be modified from {} to {} when port is linked to Vrouter or VM.",
                new.fq_name,
                kind(old),
                kind(new)
            )));
        }
    }
    if machines(new) && !machines(old) {
        let interface = (ObjectType::VirtualMachineInterface, new.uuid);
        let routers = ctx.state.back_refs_of_type(interface, ObjectType::LogicalRouter).await?;
        if let Some(router) = routers.first() {
            return Err(ApiError::bad_request(format!(
                "Logical router interface cannot be used by VM: {} belongs to {}",
                new.fq_name, router.uuid
            )));
        }
    }
    Ok(())
}

/// Gives back the VLANs an interface has on others.
pub(super) async fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    if let Some(key) = sub_interface_key(object) {
        ctx.plan.release(key);
    }
    virtual_port_group::claim_vlans(ctx, None, Some(object)).await
}
