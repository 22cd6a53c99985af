//! network-ipam: subnets of a flat ipam; the virtual DNS server named in it becomes a reference.

use super::{Context, property, reserve, set};
use crate::ApiError;
use crate::subnets::Subnet;
use weft_model::types::{IpamSubnetType, IpamSubnets, IpamType};
use weft_model::{FqName, Object, ObjectType, Reference};
use weft_store::layout;

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    dns_server(ctx, new, old).await?;
    let before = old.map(specs).transpose()?.unwrap_or_default();
    let mut wanted = specs(new)?;
    let method: Option<String> = property(new, "ipam_subnet_method")?;
    if !wanted.is_empty() && method.as_deref() != Some("flat-subnet") {
        return Err(ApiError::bad_request(
            "ipam_subnets are allowed with ipam_subnet_method flat-subnet only",
        ));
    }
    if let Some(old) = old
        && property::<String>(old, "ipam_subnet_method")? != method
        && !(before.is_empty() && wanted.is_empty())
    {
        return Err(ApiError::bad_request("ipam_subnet_method can not be changed while there are subnets"));
    }
    if wanted == before {
        return Ok(());
    }
    let subnets = reserve::complete_all(&mut wanted, &before)?;
    set(new, "ipam_subnets", &IpamSubnets { subnets: wanted })?;
    let held: Vec<Subnet> = before.iter().filter_map(Subnet::read).collect();
    if !held.is_empty() {
        let link = ctx.state.store().get(&layout::link_key(new.uuid)).await?;
        ctx.plan.not_linked_since(new.uuid, link.map(|entry| entry.mod_revision));
    }
    reserve::update(ctx, &subnets, &held).await
}

/// The subnet specifications of a flat ipam.
pub(super) fn specs(object: &Object) -> Result<Vec<IpamSubnetType>, ApiError> {
    Ok(property::<IpamSubnets>(object, "ipam_subnets")?.unwrap_or_default().subnets)
}

/// A virtual DNS server is named in the management property; readers follow the reference.
async fn dns_server(ctx: &mut Context<'_>, new: &mut Object, old: Option<&Object>) -> Result<(), ApiError> {
    let management: Option<IpamType> = property(new, "network_ipam_mgmt")?;
    let Some(management) = management else { return Ok(()) };
    if management.ipam_dns_method.as_deref() != Some("virtual-dns-server") {
        return Ok(());
    }
    let name = management.ipam_dns_server.and_then(|s| s.virtual_dns_server_name).unwrap_or_default();
    let fq_name = FqName::from(name.as_str());
    let Some(uuid) = ctx.target(ObjectType::VirtualDns, &fq_name, old).await? else {
        return Err(ApiError::bad_request(format!("virtual_dns_server_name {name:?} does not exist")));
    };
    new.refs.insert(ObjectType::VirtualDns, vec![Reference { uuid, fq_name, attr: None }]);
    Ok(())
}

pub(super) async fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    let held: Vec<Subnet> = specs(object)?.iter().filter_map(Subnet::read).collect();
    reserve::update(ctx, &[], &held).await
}
