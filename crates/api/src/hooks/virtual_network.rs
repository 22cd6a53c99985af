//! virtual-network: subnets, network id, VXLAN id, number of the automatic route target, user route targets.

use super::values::{at, changed, flag, items, prop};
use super::{Context, fixed_number, property, reserve, routing};
use crate::ApiError;
use crate::alloc::Pool;
use crate::subnets::Subnet;
use serde_json::Value;
use weft_model::types::{IpamSubnetType, VirtualNetworkType, VnSubnetsType};
use weft_model::{Object, ObjectType, defaults};
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
    let held = old.map(configured_vxlan_id).transpose()?.flatten();
    let wanted = configured_vxlan_id(new)?;
    claim_vxlan_id(ctx, new, wanted, held).await?;
    let lists = ["route_target_list", "import_route_target_list", "export_route_target_list"];
    routing::route_targets(ctx, new, old, &lists).await?;
    provider(ctx, new, old).await?;
    multi_policy_chains(new)?;
    routing::network_vpns(ctx, new, old).await?;
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

/// A configured VXLAN id belongs to one network, or to one router.
pub(super) async fn claim_vxlan_id(
    ctx: &mut Context<'_>,
    new: &Object,
    wanted: Option<i64>,
    held: Option<i64>,
) -> Result<(), ApiError> {
    if wanted == held {
        return Ok(());
    }
    if let Some(held) = held {
        ctx.plan.release(vxlan_key(held));
    }
    if let Some(wanted) = wanted {
        if let Some(entry) = ctx.state.store().get(&vxlan_key(wanted)).await? {
            return Err(ApiError::bad_request(format!(
                "vxlan_network_identifier {wanted} of {} {} is used by another object: {}",
                new.object_type,
                new.fq_name,
                String::from_utf8_lossy(&entry.value)
            )));
        }
        ctx.plan.claim(vxlan_key(wanted), new.uuid.to_string());
    }
    Ok(())
}

/// Networks of the provider: where they are is known from the start, and one network is on one of them.
async fn provider(ctx: &Context<'_>, new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    const FIELD: &str = "provider_properties";
    let details = prop(new, FIELD);
    if old.is_none_or(|old| changed(new, old, FIELD)) && details.is_object() {
        for name in ["segmentation_id", "physical_network"] {
            if at(details, &[name]).is_null() || at(details, &[name]) == "" {
                return Err(ApiError::bad_request(format!("{FIELD}.{name} of {} is missing", new.fq_name)));
            }
        }
        if old.is_some_and(|old| flag(old, "is_provider_network") && prop(old, FIELD).is_object()) {
            return Err(ApiError::conflict(format!(
                "Update {FIELD} of provider VN ({}) is not allowed",
                new.fq_name
            )));
        }
    }
    let linked = new.refs_to(ObjectType::VirtualNetwork);
    if linked.is_empty() || old.is_some_and(|old| old.refs_to(ObjectType::VirtualNetwork) == linked) {
        return Ok(());
    }
    let own = flag(new, "is_provider_network");
    let mut providers = 0;
    for network in linked {
        let loaded = ctx.state.require(ObjectType::VirtualNetwork, network.uuid).await?;
        providers += usize::from(flag(&loaded.object, "is_provider_network"));
    }
    let names: Vec<String> = linked.iter().map(|network| network.fq_name.to_string()).collect();
    match (own, providers, linked.len()) {
        (true, 0, _) | (false, 1, 1) => Ok(()),
        (true, ..) => Err(ApiError::bad_request(format!(
            "Provider VN ({}) can not connect to another provider VN ({})",
            new.fq_name,
            names.join(", ")
        ))),
        (false, ..) => Err(ApiError::bad_request(format!(
            "Non Provider VN ({}) can connect to one provider VN but trying to connect to VN ({})",
            new.fq_name,
            names.join(", ")
        ))),
    }
}

/// With service chains of several policies, no route target is both imported and exported.
fn multi_policy_chains(new: &Object) -> Result<(), ApiError> {
    if !flag(new, "multi_policy_service_chains_enabled") {
        return Ok(());
    }
    let targets = |name: &str| items(prop(new, name), &["route_target"]);
    let exported = targets("export_route_target_list");
    let both = targets("import_route_target_list").iter().find(|target| exported.contains(target));
    match both.or(targets("route_target_list").first()) {
        None => Ok(()),
        Some(target) => Err(ApiError::conflict(format!(
            "Multi policy service chains are not supported, with both import export external route targets: {target} of {}",
            new.fq_name
        ))),
    }
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
