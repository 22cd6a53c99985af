//! virtual-network: subnets, network id, VXLAN id, number of the automatic route target, user route targets.

use super::{Context, fixed_number, property, reserve};
use crate::ApiError;
use crate::alloc::Pool;
use crate::subnets::Subnet;
use serde_json::Value;
use weft_model::types::{IpamSubnetType, RouteTargetList, VirtualNetworkType, VnSubnetsType};
use weft_model::{Object, ObjectType, RouteTarget, defaults};
use weft_store::layout;

const NETWORK_ID: &str = "virtual_network_network_id";

fn network_ids() -> Pool {
    Pool::numbers("network-id", defaults::FIRST_NETWORK_ID.into(), defaults::LAST_NETWORK_ID.into())
}

fn route_target_numbers() -> Pool {
    Pool::numbers("route-target", defaults::FIRST_ROUTE_TARGET_NUMBER.into(), u32::MAX.into())
}

fn vxlan_key(id: i64) -> String {
    layout::alloc_number_key("vxlan-id", id.unsigned_abs())
}

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    for (name, pool) in
        [(NETWORK_ID, network_ids()), (defaults::ROUTE_TARGET_NUMBER_PROPERTY, route_target_numbers())]
    {
        number(ctx, new, old, name, &pool).await?;
    }
    vxlan_id(ctx, new, old).await?;
    for name in ["route_target_list", "import_route_target_list", "export_route_target_list"] {
        route_targets(ctx, new, old, name).await?;
    }
    put_subnets(ctx, new, old).await
}

/// Gives the network a number of the pool, once and for all.
async fn number(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
    name: &str,
    pool: &Pool,
) -> Result<(), ApiError> {
    let chosen = fixed_number(new, old, name, pool)?;
    let claimed = old.is_some_and(|o| o.props.contains_key(name));
    let id = match chosen {
        Some(id) => u128::from(id),
        None => pool
            .free(ctx.state)
            .await?
            .ok_or_else(|| ApiError::conflict(format!("{name}: all are in use")))?,
    };
    if !claimed {
        let key = pool.key(id);
        if chosen.is_some() && ctx.state.store().get(&key).await?.is_some() {
            return Err(ApiError::conflict(format!("{name} {id} is in use")));
        }
        ctx.plan.claim(key, new.uuid.to_string());
    }
    new.props.insert(name.to_owned(), Value::from(u64::try_from(id).unwrap_or(u64::MAX)));
    Ok(())
}

fn configured_vxlan_id(object: &Object) -> Result<Option<i64>, ApiError> {
    let properties: Option<VirtualNetworkType> = property(object, "virtual_network_properties")?;
    Ok(properties.and_then(|p| p.vxlan_network_identifier))
}

/// A configured VXLAN id belongs to one network.
async fn vxlan_id(ctx: &mut Context<'_>, new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    let (wanted, held) = (configured_vxlan_id(new)?, old.map(configured_vxlan_id).transpose()?.flatten());
    if wanted == held {
        return Ok(());
    }
    if let Some(held) = held {
        ctx.plan.release(vxlan_key(held));
    }
    if let Some(wanted) = wanted {
        if ctx.state.store().get(&vxlan_key(wanted)).await?.is_some() {
            let message = format!("vxlan_network_identifier {wanted} is used by another virtual-network");
            return Err(ApiError::bad_request(message));
        }
        ctx.plan.claim(vxlan_key(wanted), new.uuid.to_string());
    }
    Ok(())
}

/// User route targets must be route targets, and not from the range the system gives out.
async fn route_targets(
    ctx: &Context<'_>,
    new: &Object,
    old: Option<&Object>,
    name: &str,
) -> Result<(), ApiError> {
    if old.is_some_and(|o| o.props.get(name) == new.props.get(name)) {
        return Ok(());
    }
    let Some(list) = property::<RouteTargetList>(new, name)? else { return Ok(()) };
    if list.route_target.is_empty() {
        return Ok(());
    }
    let asn = global_asn(ctx).await?;
    for text in &list.route_target {
        let target: RouteTarget = text.parse()?;
        if target.is_automatic(asn) {
            return Err(ApiError::bad_request(format!(
                "{name}: route target {text} is in the range the system allots"
            )));
        }
    }
    Ok(())
}

async fn global_asn(ctx: &Context<'_>) -> Result<u32, ApiError> {
    let object_type = ObjectType::GlobalSystemConfig;
    let Some(uuid) = ctx.state.by_name(object_type, &defaults::global_system_config()).await? else {
        return Ok(defaults::AUTONOMOUS_SYSTEM);
    };
    let loaded = ctx.state.load(object_type, uuid).await?;
    let asn = loaded.map(|l| property::<u32>(&l.object, "autonomous_system")).transpose()?.flatten();
    Ok(asn.unwrap_or(defaults::AUTONOMOUS_SYSTEM))
}

async fn put_subnets(ctx: &mut Context<'_>, new: &mut Object, old: Option<&Object>) -> Result<(), ApiError> {
    let before = old.map(specs).transpose()?.unwrap_or_default();
    let held: Vec<Subnet> = before.iter().filter_map(Subnet::read).collect();
    if old.is_some_and(|o| o.refs_to(ObjectType::NetworkIpam) == new.refs_to(ObjectType::NetworkIpam)) {
        return Ok(());
    }
    let mut wanted = Vec::new();
    for index in 0..new.refs_to(ObjectType::NetworkIpam).len() {
        wanted.extend(complete_reference(ctx, new, index, &before).await?);
    }
    if let Some((a, b)) = crate::subnets::overlap(&wanted) {
        return Err(ApiError::bad_request(format!("Overlapping addresses: subnets {a} and {b}")));
    }
    if let Some(twice) = duplicate(&wanted) {
        return Err(ApiError::bad_request(format!("subnet_uuid {twice} occurs twice")));
    }
    if held.iter().any(|h| !wanted.iter().any(|w| w.uuid == h.uuid)) {
        // Nobody may take an address of a subnet that is going.
        let link = ctx.state.store().get(&layout::link_key(new.uuid)).await?;
        ctx.plan.not_linked_since(new.uuid, link.map(|entry| entry.mod_revision));
    }
    reserve::update(ctx, &wanted, &held).await
}

fn duplicate(subnets: &[Subnet]) -> Option<uuid::Uuid> {
    let mut seen = std::collections::BTreeSet::new();
    subnets.iter().map(|s| s.uuid).find(|uuid| !seen.insert(*uuid))
}

/// Completes the attribute of one reference to an ipam.
async fn complete_reference(
    ctx: &Context<'_>,
    new: &mut Object,
    index: usize,
    before: &[IpamSubnetType],
) -> Result<Vec<Subnet>, ApiError> {
    let list = new.refs.get_mut(&ObjectType::NetworkIpam);
    let Some(reference) = list.and_then(|list| list.get_mut(index)) else { return Ok(Vec::new()) };
    let mut attr: VnSubnetsType = reference.attribute()?;
    if attr.ipam_subnets.iter().any(|s| s.subnet.is_none()) {
        let ipam = ctx.state.require(ObjectType::NetworkIpam, reference.uuid).await?;
        let method: Option<String> = property(&ipam.object, "ipam_subnet_method")?;
        if method.as_deref() != Some("flat-subnet") {
            let message = format!("a subnet of ipam {} has no ip_prefix", reference.fq_name);
            return Err(ApiError::bad_request(message));
        }
        // The subnets are the ipam's own; the network only refers to them.
        return Ok(Vec::new());
    }
    let subnets = reserve::complete_all(&mut attr.ipam_subnets, before)?;
    reference.attr = Some(serde_json::to_value(&attr).map_err(|e| ApiError::internal(e.to_string()))?);
    Ok(subnets)
}

/// The subnet specifications of a network.
pub(super) fn specs(object: &Object) -> Result<Vec<IpamSubnetType>, ApiError> {
    let mut out = Vec::new();
    for reference in object.refs_to(ObjectType::NetworkIpam) {
        let attr: VnSubnetsType = reference.attribute()?;
        out.extend(attr.ipam_subnets);
    }
    Ok(out)
}

pub(super) async fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    for (name, pool) in
        [(NETWORK_ID, network_ids()), (defaults::ROUTE_TARGET_NUMBER_PROPERTY, route_target_numbers())]
    {
        if let Some(id) = object.props.get(name).and_then(Value::as_u64) {
            ctx.plan.release(pool.key(id.into()));
        }
    }
    if let Some(id) = configured_vxlan_id(object)? {
        ctx.plan.release(vxlan_key(id));
    }
    let held: Vec<Subnet> = specs(object)?.iter().filter_map(Subnet::read).collect();
    reserve::update(ctx, &[], &held).await
}
