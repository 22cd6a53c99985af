//! instance-ip: takes an address of its network, a free one or the one asked for.

use super::{Context, network_ipam, property, virtual_network};
use crate::ApiError;
use crate::subnets::{Subnet, to_number};
use std::net::IpAddr;
use uuid::Uuid;
use weft_model::{Object, ObjectType, defaults};
use weft_store::layout;

/// Which address is wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Request {
    /// This very address.
    pub(crate) address: Option<IpAddr>,
    /// An IPv6 address (`Some(true)`), an IPv4 address, or any.
    pub(crate) v6: Option<bool>,
    /// An address of this subnet.
    pub(crate) subnet: Option<Uuid>,
    /// An address of one of these subnets, unless empty.
    pub(crate) subnets: Vec<Uuid>,
    /// The property that asks, for messages.
    pub(crate) field: &'static str,
}

impl Request {
    fn allows(&self, subnet: &Subnet) -> bool {
        self.subnet.is_none_or(|uuid| uuid == subnet.uuid)
            && (self.subnets.is_empty() || self.subnets.contains(&subnet.uuid))
            && self.v6.is_none_or(|v6| v6 == subnet.is_v6())
            && self.address.is_none_or(|address| subnet.net.contains(&address))
    }
}

/// What determines the address: changing any of these means another address.
fn placement(object: &Object) -> Result<(Option<Uuid>, Option<Uuid>, Request), ApiError> {
    let first = |to| object.refs_to(to).first().map(|r| r.uuid);
    Ok((first(ObjectType::VirtualNetwork), first(ObjectType::NetworkIpam), request(object)?))
}

fn request(object: &Object) -> Result<Request, ApiError> {
    let text: Option<String> = property(object, "instance_ip_address")?;
    let address = text.filter(|t| !t.is_empty()).and_then(|t| t.parse::<IpAddr>().ok());
    let family: Option<String> = property(object, "instance_ip_family")?;
    let v6 = family.map(|f| f == "v6");
    if let (Some(address), Some(v6)) = (address, v6)
        && address.is_ipv6() != v6
    {
        return Err(ApiError::bad_request(format!(
            "instance_ip_address {address} is not of instance_ip_family"
        )));
    }
    let subnet: Option<String> = property(object, "subnet_uuid")?;
    let subnet = subnet.filter(|s| !s.is_empty());
    let subnet = subnet.map(|s| Uuid::parse_str(&s)).transpose();
    let subnet = subnet.map_err(|_| ApiError::bad_request("subnet_uuid is not a uuid"))?;
    Ok(Request { address, v6, subnet, subnets: Vec::new(), field: "instance_ip_address" })
}

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    one_source(new)?;
    let wanted = placement(new)?;
    if let Some(old) = old {
        if placement(old)? == wanted {
            return Ok(());
        }
        delete(ctx, old).await?;
    }
    let (network, ipam, mut request) = wanted;
    if let Some(old) = old
        && placement(old)?.0 != network
        && old.props.get("instance_ip_address") == new.props.get("instance_ip_address")
    {
        // Moved to another network: the old address means nothing there.
        (request.address, request.subnet) = (None, None);
    }
    let subnets = match (network, ipam) {
        (Some(network), _) => find_subnets(ctx, network).await?,
        (None, Some(ipam)) => ipam_subnets(ctx, ipam).await?,
        (None, None) => return Ok(()),
    };
    let Some(subnets) = subnets else { return Ok(()) };
    let (subnet, address) = pick_address(ctx, &subnets, &request, new.uuid.to_string()).await?;
    new.props.insert("instance_ip_address".into(), address.to_string().into());
    new.props.insert("instance_ip_family".into(), if address.is_ipv6() { "v6" } else { "v4" }.into());
    new.props.insert("subnet_uuid".into(), subnet.to_string().into());
    Ok(())
}

/// An address is of a network, of an ipam, or of a vRouter.
fn one_source(new: &Object) -> Result<(), ApiError> {
    let routers = new.refs_to(ObjectType::VirtualRouter);
    if routers.is_empty() {
        return Ok(());
    }
    for other in [ObjectType::NetworkIpam, ObjectType::VirtualNetwork] {
        if !new.refs_to(other).is_empty() {
            return Err(ApiError::bad_request(format!(
                "virtual_router_refs and {} are not allowed together on instance-ip {}",
                other.refs_field(),
                new.fq_name
            )));
        }
    }
    if super::values::prop_text(new, "subnet_uuid").is_some() {
        return Err(ApiError::bad_request(format!(
            "subnet_uuid: subnet uuid based allocation not supported with vrouter, instance-ip {}",
            new.fq_name
        )));
    }
    super::values::at_most_one(new, ObjectType::VirtualRouter)
}

/// The subnets of a network, its flat ipams' included; `None` for networks that have no addresses of their own.
pub(crate) async fn find_subnets(
    ctx: &mut Context<'_>,
    network: Uuid,
) -> Result<Option<Vec<Subnet>>, ApiError> {
    let loaded = ctx.state.load(ObjectType::VirtualNetwork, network).await?;
    let loaded =
        loaded.ok_or_else(|| ApiError::not_found(format!("Virtual Network not found: {network}")))?;
    ctx.plan.unchanged((ObjectType::VirtualNetwork, network), loaded.revision);
    ctx.plan.touch(network);
    let name = &loaded.object.fq_name;
    if *name == defaults::in_default_project(defaults::IP_FABRIC)
        || *name == defaults::in_default_project(defaults::LINK_LOCAL)
    {
        return Ok(None);
    }
    let mut subnets: Vec<Subnet> =
        virtual_network::specs(&loaded.object)?.iter().filter_map(Subnet::read).collect();
    if subnets.is_empty() {
        for reference in loaded.object.refs_to(ObjectType::NetworkIpam) {
            subnets.extend(ipam_subnets(ctx, reference.uuid).await?.unwrap_or_default());
        }
    }
    if subnets.is_empty() {
        return Err(ApiError::not_found(format!("Virtual-Network({name}) has no defined subnet(s)")));
    }
    Ok(Some(subnets))
}

async fn ipam_subnets(ctx: &mut Context<'_>, ipam: Uuid) -> Result<Option<Vec<Subnet>>, ApiError> {
    let Some(loaded) = ctx.state.load(ObjectType::NetworkIpam, ipam).await? else { return Ok(None) };
    ctx.plan.unchanged((ObjectType::NetworkIpam, ipam), loaded.revision);
    ctx.plan.touch(ipam);
    Ok(Some(network_ipam::specs(&loaded.object)?.iter().filter_map(Subnet::read).collect()))
}

/// Claims an address for `owner`: the one asked for, or a free one of the first subnet that has one.
pub(crate) async fn pick_address(
    ctx: &mut Context<'_>,
    subnets: &[Subnet],
    request: &Request,
    owner: String,
) -> Result<(Uuid, IpAddr), ApiError> {
    let fitting: Vec<&Subnet> = subnets.iter().filter(|s| request.allows(s)).collect();
    if let Some(address) = request.address {
        let subnet = fitting.first().filter(|s| s.may_request(address));
        let subnet = subnet.ok_or_else(|| {
            ApiError::bad_request(format!("{} {address} is in no subnet of the network", request.field))
        })?;
        let key = subnet.pool().key(to_number(address));
        let in_use = ctx.state.store().get(&key).await?.is_some();
        if in_use && !ctx.plan.releases(&key) {
            return Err(ApiError::conflict(format!("Ip address {address} already in use")));
        }
        ctx.plan.claim(key, owner);
        return Ok((subnet.uuid, address));
    }
    if fitting.is_empty() {
        return Err(ApiError::not_found("the network has no defined subnet of that family or subnet_uuid"));
    }
    for subnet in fitting {
        let pool = subnet.pool();
        if let Some(id) = pool.free(ctx.state).await? {
            ctx.plan.claim(pool.key(id), owner);
            return Ok((subnet.uuid, subnet.address(id)));
        }
    }
    Err(ApiError::conflict("the network has exhausted its subnets"))
}

/// Gives an address of a network back, if it was `owner` that took it.
pub(super) async fn release_address(
    ctx: &mut Context<'_>,
    network: Uuid,
    address: IpAddr,
    owner: Uuid,
) -> Result<(), ApiError> {
    let Some(loaded) = ctx.state.load(ObjectType::VirtualNetwork, network).await? else { return Ok(()) };
    let mut subnets: Vec<Subnet> =
        virtual_network::specs(&loaded.object)?.iter().filter_map(Subnet::read).collect();
    for reference in loaded.object.refs_to(ObjectType::NetworkIpam) {
        subnets.extend(ipam_subnets(ctx, reference.uuid).await?.unwrap_or_default());
    }
    for subnet in subnets.iter().filter(|subnet| subnet.net.contains(&address)) {
        let key = subnet.pool().key(to_number(address));
        let held = ctx.state.store().get(&key).await?;
        if held.is_some_and(|entry| entry.value == owner.to_string()) {
            ctx.plan.release(key);
        }
    }
    Ok(())
}

/// Gives the address back, if it was this object that took it: in networks without subnets of their own a client may
/// write any address and subnet.
pub(super) async fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    let request = request(object)?;
    let (Some(address), Some(subnet)) = (request.address, request.subnet) else { return Ok(()) };
    let pool = crate::subnets::pool_name(subnet);
    let key = layout::alloc_key(&pool, format!("{:032x}", to_number(address)));
    let held = ctx.state.store().get(&key).await?;
    if held.is_some_and(|entry| entry.value == object.uuid.to_string()) {
        ctx.plan.release(key);
    }
    Ok(())
}
