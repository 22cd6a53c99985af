//! logical-router: its interfaces are its own and not in the network of its gateway; VXLAN identifier; route targets.

use super::values::{fixed, prop_text};
use super::{Context, routing, virtual_network};
use crate::ApiError;
use std::collections::BTreeSet;
use uuid::Uuid;
use weft_model::{Object, ObjectType};
use weft_store::layout;

const VXLAN_ID: &str = "vxlan_network_identifier";
const LAST_VXLAN_ID: i64 = (1 << 24) - 1;

/// The row that says which router an interface belongs to.
fn interface_key(interface: Uuid) -> String {
    layout::alloc_key("router-interface", interface.as_hyphenated())
}

fn interfaces(object: &Object) -> BTreeSet<Uuid> {
    object.refs_to(ObjectType::VirtualMachineInterface).iter().map(|r| r.uuid).collect()
}

fn routes_vxlan(object: &Object) -> bool {
    prop_text(object, "logical_router_type") == Some("vxlan-routing")
}

/// The identifier of a router that routes VXLAN networks. Clients say "none" in several ways.
fn vxlan_id(object: &Object) -> Result<Option<i64>, ApiError> {
    let Some(text) = prop_text(object, VXLAN_ID).filter(|text| *text != "None") else { return Ok(None) };
    let id = text.trim().parse::<i64>().ok().filter(|id| (1..=LAST_VXLAN_ID).contains(id));
    let id = id.ok_or_else(|| {
        ApiError::bad_request(format!(
            "{VXLAN_ID} {text:?} of logical-router {} is not a number from 1 to {LAST_VXLAN_ID}",
            object.fq_name
        ))
    })?;
    Ok(routes_vxlan(object).then_some(id))
}

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    if old.is_some() {
        let (now, then) = (routes_vxlan(new), old.is_some_and(routes_vxlan));
        if now != then {
            fixed(new, old, &["logical_router_type"])?;
        }
    }
    let wanted = vxlan_id(new)?;
    let held = old.map(vxlan_id).transpose()?.flatten();
    virtual_network::claim_vxlan_id(ctx, new, wanted, held).await?;
    routing::route_targets(ctx, new, old, &["configured_route_target_list"]).await?;
    claim_interfaces(ctx, new, old).await?;
    check_networks(ctx, new).await?;
    routing::router_vpns(ctx, new, old).await
}

/// An interface belongs to one router, and not to a virtual machine as well.
async fn claim_interfaces(ctx: &mut Context<'_>, new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    let (wanted, held) = (interfaces(new), old.map(interfaces).unwrap_or_default());
    for gone in held.difference(&wanted) {
        ctx.plan.release(interface_key(*gone));
    }
    for added in wanted.difference(&held) {
        let loaded = ctx.state.require(ObjectType::VirtualMachineInterface, *added).await?;
        ctx.plan.unchanged((ObjectType::VirtualMachineInterface, *added), loaded.revision);
        let machine = loaded.object.parent.filter(|p| p.0 == ObjectType::VirtualMachine).map(|p| p.1);
        let machine = machine.or(loaded.object.refs_to(ObjectType::VirtualMachine).first().map(|r| r.uuid));
        if let Some(machine) = machine {
            return Err(ApiError::conflict(format!(
                "Port({added}) already in use by virtual-machine({machine})"
            )));
        }
        let key = interface_key(*added);
        if let Some(entry) = ctx.state.store().get(&key).await? {
            let other = String::from_utf8_lossy(&entry.value).into_owned();
            return Err(ApiError::conflict(format!(
                "Port({added}) already in use by logical-router({other})"
            )));
        }
        ctx.plan.claim(key, new.uuid.to_string());
    }
    Ok(())
}

/// The gateway's network is not one that the router has an interface in.
async fn check_networks(ctx: &Context<'_>, new: &Object) -> Result<(), ApiError> {
    let gateways = new.refs_to(ObjectType::VirtualNetwork);
    if gateways.is_empty() {
        return Ok(());
    }
    for interface in interfaces(new) {
        let loaded = ctx.state.load(ObjectType::VirtualMachineInterface, interface).await?;
        let networks = loaded.map(|l| l.object.refs_to(ObjectType::VirtualNetwork).to_vec());
        for network in networks.unwrap_or_default() {
            if gateways.iter().any(|gateway| gateway.uuid == network.uuid) {
                return Err(ApiError::bad_request(format!(
                    "Logical router interface and gateway cannot be in VN({}): {} has interface {interface} there",
                    network.uuid, new.fq_name
                )));
            }
        }
    }
    Ok(())
}

pub(super) async fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    for interface in interfaces(object) {
        ctx.plan.release(interface_key(interface));
    }
    let held = vxlan_id(object)?;
    virtual_network::claim_vxlan_id(ctx, object, None, held).await
}
