//! Subnets of a network or of a flat ipam as owners of addresses: gateway and service address are reserved, a subnet in
//! use cannot go.

use super::Context;
use crate::subnets::{Subnet, complete, net_of, pool_name};
use crate::{ApiError, subnets};
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_model::types::IpamSubnetType;
use weft_store::layout;

/// Completes the specifications of all subnets; `old` are the stored ones.
pub(crate) fn complete_all(
    specs: &mut [IpamSubnetType],
    old: &[IpamSubnetType],
) -> Result<Vec<Subnet>, ApiError> {
    let mut out = Vec::new();
    for spec in specs.iter_mut() {
        let net = net_of(spec);
        let before = old.iter().find(|o| net.is_some() && net_of(o) == net);
        out.push(complete(spec, before).map_err(ApiError::bad_request)?);
    }
    if let Some((a, b)) = subnets::overlap(&out) {
        return Err(ApiError::bad_request(format!("Overlapping addresses: subnets {a} and {b}")));
    }
    Ok(out)
}

type Reserved = BTreeMap<String, &'static str>;

fn reserved(subnets: &[Subnet]) -> Reserved {
    let keys = |s: &Subnet| {
        let pool = s.pool();
        s.reserved().map(|(a, usage)| (pool.key(subnets::to_number(a)), usage)).collect::<Vec<_>>()
    };
    subnets.iter().flat_map(keys).collect()
}

/// Claims the addresses of new subnets and gives back those of subnets that go; refuses when addresses of those are in use.
pub(crate) async fn update(ctx: &mut Context<'_>, new: &[Subnet], old: &[Subnet]) -> Result<(), ApiError> {
    let (wanted, held) = (reserved(new), reserved(old));
    for gone in old.iter().filter(|o| !new.iter().any(|n| n.uuid == o.uuid)) {
        unused(ctx, gone.uuid, &held).await?;
    }
    for key in held.keys().filter(|key| !wanted.contains_key(*key)) {
        ctx.plan.release(key.clone());
    }
    let claimed = wanted.into_iter().filter(|(key, _)| !held.contains_key(key));
    let (addresses, usages): (Vec<String>, Vec<_>) = claimed.unzip();
    // The identity of a subnet belongs to one network only.
    let added: Vec<&Subnet> = new.iter().filter(|n| !old.iter().any(|o| o.uuid == n.uuid)).collect();
    let identities: Vec<String> = added.iter().map(|s| layout::alloc_key("subnet", s.uuid)).collect();
    let store = ctx.state.store();
    let (in_use, known) = futures::join!(store.get_many(&addresses), store.get_many(&identities));
    for ((key, usage), held) in addresses.into_iter().zip(usages).zip(in_use?) {
        if held.is_some() {
            return Err(ApiError::conflict(format!("the {usage} address of a subnet is in use: {key}")));
        }
        ctx.plan.claim(key, usage);
    }
    for ((key, subnet), held) in identities.into_iter().zip(added).zip(known?) {
        if held.is_some() {
            return Err(ApiError::bad_request(format!("subnet_uuid {} is in use", subnet.uuid)));
        }
        ctx.plan.claim(key, subnet.net.to_string());
    }
    Ok(())
}

/// Refuses if addresses of the subnet are in use, and gives its identity back.
async fn unused(ctx: &mut Context<'_>, subnet: Uuid, held: &Reserved) -> Result<(), ApiError> {
    let pool = pool_name(subnet);
    let mut in_use = 0usize;
    ctx.state
        .scan(&layout::alloc_prefix(&pool), |entry| {
            in_use += usize::from(!held.contains_key(&entry.key));
            Ok(())
        })
        .await?;
    if in_use > 0 {
        return Err(ApiError::conflict(format!("subnet {subnet} has {in_use} addresses in use")));
    }
    ctx.state.cursors().forget(&pool);
    ctx.plan.release(layout::alloc_key("subnet", subnet));
    Ok(())
}
