//! floating-ip and alias-ip: take an address of their pool's network; floating-ip-pool: its subnets are the network's.

use super::values::{fixed, items, prop, prop_text, text};
use super::{Context, Request, find_subnets, instance_ip, pick_address, virtual_network};
use crate::ApiError;
use std::collections::BTreeSet;
use std::net::IpAddr;
use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType, Reference};

/// Names of the properties of the two kinds.
struct Names {
    address: &'static str,
    family: &'static str,
    pool: ObjectType,
}

fn names(object: &Object) -> Names {
    match object.object_type {
        ObjectType::AliasIp => Names {
            address: "alias_ip_address",
            family: "alias_ip_address_family",
            pool: ObjectType::AliasIpPool,
        },
        _ => Names {
            address: "floating_ip_address",
            family: "floating_ip_address_family",
            pool: ObjectType::FloatingIpPool,
        },
    }
}

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    port_mappings(new)?;
    let names = names(new);
    let Some(pool) = new.parent.filter(|parent| parent.0 == names.pool) else {
        // Under an instance-ip the address is whatever the client says.
        return Ok(());
    };
    if old.is_some() {
        return fixed(new, old, &[names.address, names.family]);
    }
    default_project(ctx, new).await?;
    let request = request(ctx, new, &names, pool.1).await?;
    let Some(network) = network(ctx, pool).await? else { return Ok(()) };
    let Some(subnets) = find_subnets(ctx, network).await? else {
        return match request.address {
            Some(_) => Ok(()),
            None => Err(ApiError::bad_request(format!(
                "{}: the pool's network has no subnets to take an address of",
                names.address
            ))),
        };
    };
    let (_, address) = pick_address(ctx, &subnets, &request, new.uuid.to_string()).await?;
    new.props.insert(names.address.into(), address.to_string().into());
    new.props.insert(names.family.into(), if address.is_ipv6() { "v6" } else { "v4" }.into());
    Ok(())
}

/// What is asked for. Without a word an IPv4 address, as in the existing system.
async fn request(
    ctx: &mut Context<'_>,
    new: &Object,
    names: &Names,
    pool: Uuid,
) -> Result<Request, ApiError> {
    let address = prop_text(new, names.address).and_then(|text| text.parse::<IpAddr>().ok());
    let family = prop_text(new, names.family).map(|family| family == "v6");
    if let (Some(address), Some(v6)) = (address, family)
        && address.is_ipv6() != v6
    {
        return Err(ApiError::bad_request(format!("{} {address} is not of {}", names.address, names.family)));
    }
    let loaded = ctx.state.require(names.pool, pool).await?;
    ctx.plan.unchanged((names.pool, pool), loaded.revision);
    let v6 = address.map(|address| address.is_ipv6()).or(family);
    let subnets = pool_subnets(&loaded.object)?;
    // Of a network with IPv6 subnets only there is no IPv4 address to give.
    let v6 = if v6.is_none() && has_v4(ctx, loaded.object.parent).await? { Some(false) } else { v6 };
    Ok(Request { address, v6, subnet: None, subnets, field: names.address })
}

async fn has_v4(ctx: &mut Context<'_>, network: Option<(ObjectType, Uuid)>) -> Result<bool, ApiError> {
    let Some((_, network)) = network else { return Ok(false) };
    let subnets = find_subnets(ctx, network).await?;
    Ok(subnets.is_some_and(|subnets| subnets.iter().any(|subnet| !subnet.is_v6())))
}

/// The project that uses the address: unless said, the pool's own.
async fn default_project(ctx: &Context<'_>, new: &mut Object) -> Result<(), ApiError> {
    if !new.refs_to(ObjectType::Project).is_empty() {
        return Ok(());
    }
    let fq_name = FqName(new.fq_name.0.iter().take(2).cloned().collect());
    if let Some(uuid) = ctx.state.by_name(ObjectType::Project, &fq_name).await? {
        new.refs.insert(ObjectType::Project, vec![Reference { uuid, fq_name, attr: None }]);
    }
    Ok(())
}

async fn network(ctx: &Context<'_>, pool: (ObjectType, Uuid)) -> Result<Option<Uuid>, ApiError> {
    let loaded = ctx.state.load(pool.0, pool.1).await?;
    let parent = loaded.and_then(|pool| pool.object.parent);
    Ok(parent.filter(|parent| parent.0 == ObjectType::VirtualNetwork).map(|parent| parent.1))
}

/// Mappings of ports: of a protocol, each port once.
fn port_mappings(new: &Object) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    let mappings = items(prop(new, "floating_ip_port_mappings"), &["port_mappings"]);
    for (index, mapping) in mappings.iter().enumerate() {
        let what = format!("floating_ip_port_mappings.port_mappings[{index}]");
        let protocol = text(mapping, "protocol").unwrap_or_default().to_lowercase();
        if !matches!(protocol.as_str(), "tcp" | "udp") {
            return Err(ApiError::bad_request(format!("{what}.protocol {protocol:?} is not TCP or UDP")));
        }
        let port = |name: &str| {
            let port = mapping.get(name).and_then(serde_json::Value::as_i64).unwrap_or_default();
            super::values::in_range(&format!("{what}.{name}"), port, 1, 65535).map(|()| port)
        };
        port("dst_port")?;
        let source = port("src_port")?;
        if !seen.insert((protocol.clone(), source)) {
            return Err(ApiError::bad_request(format!(
                "{what}: {protocol} src_port {source} is mapped twice"
            )));
        }
    }
    Ok(())
}

pub(super) async fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    let names = names(object);
    let Some(pool) = object.parent.filter(|parent| parent.0 == names.pool) else { return Ok(()) };
    let address = prop_text(object, names.address).and_then(|text| text.parse().ok());
    let (Some(address), Some(network)) = (address, network(ctx, pool).await?) else { return Ok(()) };
    instance_ip::release_address(ctx, network, address, object.uuid).await
}

fn pool_subnets(pool: &Object) -> Result<Vec<Uuid>, ApiError> {
    let given = items(prop(pool, "floating_ip_pool_subnets"), &["subnet_uuid"]);
    let parse = |value: &serde_json::Value| crate::parse::uuid(value, "floating_ip_pool_subnets.subnet_uuid");
    given.iter().map(parse).collect()
}

pub(super) async fn put_pool(ctx: &mut Context<'_>, new: &Object) -> Result<(), ApiError> {
    let wanted = pool_subnets(new)?;
    let Some((_, network)) = new.parent.filter(|_| !wanted.is_empty()) else { return Ok(()) };
    let loaded = ctx.state.require(ObjectType::VirtualNetwork, network).await?;
    ctx.plan.unchanged((ObjectType::VirtualNetwork, network), loaded.revision);
    let held = virtual_network::specs(&loaded.object)?;
    let known = |uuid: &Uuid| held.iter().any(|s| s.subnet_uuid.as_deref() == Some(&uuid.to_string()));
    match wanted.iter().find(|uuid| !known(uuid)) {
        None => Ok(()),
        Some(uuid) => Err(ApiError::bad_request(format!(
            "floating_ip_pool_subnets: Subnet {uuid} was not found in virtual-network {}",
            loaded.object.fq_name
        ))),
    }
}
