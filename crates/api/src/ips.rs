//! `POST /virtual-network/<uuid>/ip-alloc`, `ip-free` and `subnet-ip-count`: addresses without an instance-ip.

use crate::authz::{self, Access, Caller};
use crate::hooks::{Context, Request, find_subnets, pick_address};
use crate::http::path_uuid;
use crate::parse::{json_object, optional, shorten, uuid};
use crate::plan::Plan;
use crate::subnets::{Subnet, to_number};
use crate::write::{Outcome, commit, pause};
use crate::{ApiError, ApiState};
use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use uuid::Uuid;
use weft_model::ObjectType;
use weft_store::layout;

/// Owner of addresses taken here by administrators; by others `ip-alloc:<project>`.
const OWNER: &str = "ip-alloc";
/// Most addresses taken by one request.
const MAX_COUNT: u64 = 256;
/// Attempts per address.
const ATTEMPTS: usize = 64;

/// `{subnet, count, family}` to `{ip_addr: [..]}`.
pub(crate) async fn alloc(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let network = permitted(&state, &caller, &id, Access::LINK).await?;
    let owner = owner(&caller)?;
    let body = json_object(&body)?;
    let get = |name: &str| body.get(name).unwrap_or(&Value::Null);
    let count = match get("count") {
        Value::Null => 1,
        value => value.as_u64().filter(|n| (1..=MAX_COUNT).contains(n)).ok_or_else(|| {
            ApiError::bad_request(format!("count {} is not 1 to {MAX_COUNT}", shorten(value)))
        })?,
    };
    let request = Request {
        address: None,
        v6: family(get("family"))?,
        subnet: optional(get("subnet"), |v| uuid(v, "subnet"))?,
        ..Request::default()
    };
    let mut taken = Vec::new();
    for _ in 0..count {
        match alloc_one(&state, network, &request, &owner).await {
            Ok(address) => taken.push(address),
            Err(error) => {
                // All or nothing.
                release(&state, network, &taken, &|held| held == owner).await?;
                return Err(error);
            }
        }
    }
    Ok(Json(json!({"ip_addr": taken})))
}

/// The network in a URL, which the caller must be allowed to use in this way.
async fn permitted(state: &ApiState, caller: &Caller, id: &str, wanted: Access) -> Result<Uuid, ApiError> {
    let network = path_uuid(ObjectType::VirtualNetwork, id)?;
    let loaded = state.require(ObjectType::VirtualNetwork, network).await?;
    authz::require(state, caller, &loaded.object, wanted).await?;
    Ok(network)
}

/// Whom addresses the caller takes belong to.
fn owner(caller: &Caller) -> Result<String, ApiError> {
    match caller.scope().project {
        _ if caller.is_admin() => Ok(OWNER.to_owned()),
        Some(project) => Ok(format!("{OWNER}:{project}")),
        None => Err(ApiError::forbidden("Permission denied: addresses for a request without a project")),
    }
}

fn family(value: &Value) -> Result<Option<bool>, ApiError> {
    match value.as_str() {
        None if value.is_null() => Ok(None),
        Some("v4") => Ok(Some(false)),
        Some("v6") => Ok(Some(true)),
        _ => Err(ApiError::bad_request(format!("family {} is not v4 or v6", shorten(value)))),
    }
}

async fn alloc_one(
    state: &ApiState,
    network: Uuid,
    request: &Request,
    owner: &str,
) -> Result<IpAddr, ApiError> {
    for attempt in 0..ATTEMPTS {
        pause(attempt, network).await;
        let mut plan = Plan::default();
        let mut ctx = Context { state, plan: &mut plan };
        let subnets = subnets(&mut ctx, network).await?;
        let (_, address) = pick_address(&mut ctx, &subnets, request, owner.to_owned()).await?;
        if let Outcome::Done = commit(state, plan, Some(network)).await? {
            return Ok(address);
        }
    }
    Err(ApiError::unavailable("too many concurrent allocations, try again"))
}

async fn subnets(ctx: &mut Context<'_>, network: Uuid) -> Result<Vec<Subnet>, ApiError> {
    let found = find_subnets(ctx, network).await?;
    found.ok_or_else(|| ApiError::not_found("the network has no defined subnet(s)"))
}

/// `{ip_addr: [..]}`: gives addresses back that were taken by `ip-alloc`.
pub(crate) async fn free(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let network = permitted(&state, &caller, &id, Access::LINK).await?;
    let owner = owner(&caller)?;
    let body = json_object(&body)?;
    let list = body.get("ip_addr").and_then(Value::as_array);
    let list = list.ok_or_else(|| ApiError::bad_request("Bad Request, no 'ip_addr' list in POST body"))?;
    let parse = |value: &Value| {
        let address = value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
        address
            .ok_or_else(|| ApiError::bad_request(format!("ip_addr {} is not an IP address", shorten(value))))
    };
    let addresses: Vec<IpAddr> = list.iter().map(parse).collect::<Result<_, _>>()?;
    let taken_here = |held: &str| held == OWNER || held.starts_with("ip-alloc:");
    let may_free = |held: &str| held == owner || caller.is_admin() && taken_here(held);
    release(&state, network, &addresses, &may_free).await?;
    Ok(Json(json!({})))
}

/// Gives addresses back, a transaction's worth at a time: not every store compares many keys at once.
async fn release(
    state: &ApiState,
    network: Uuid,
    addresses: &[IpAddr],
    may_free: &(dyn Fn(&str) -> bool + Sync),
) -> Result<(), ApiError> {
    const AT_ONCE: usize = 64;
    for part in addresses.chunks(AT_ONCE) {
        release_part(state, network, part, may_free).await?;
    }
    Ok(())
}

async fn release_part(
    state: &ApiState,
    network: Uuid,
    addresses: &[IpAddr],
    may_free: &(dyn Fn(&str) -> bool + Sync),
) -> Result<(), ApiError> {
    for attempt in 0..ATTEMPTS {
        pause(attempt, network).await;
        let mut plan = Plan::default();
        let subnets = subnets(&mut Context { state, plan: &mut plan }, network).await?;
        for address in addresses {
            let Some(subnet) = subnets.iter().find(|s| s.net.contains(address)) else { continue };
            let key = subnet.pool().key(to_number(*address));
            match state.store().get(&key).await? {
                Some(entry) if std::str::from_utf8(&entry.value).is_ok_and(may_free) => {
                    plan.require(weft_store::Compare::unchanged(key.clone(), entry.mod_revision));
                    plan.release(key);
                }
                Some(_) => {
                    return Err(ApiError::conflict(format!(
                        "Ip address {address} belongs to another object"
                    )));
                }
                None => {}
            }
        }
        if let Outcome::Done = commit(state, plan, Some(network)).await? {
            return Ok(());
        }
    }
    Err(ApiError::unavailable("too many concurrent allocations, try again"))
}

/// `{subnet_list: [..]}` to `{ip_count_list: [..]}`: addresses in use, without those the subnet itself takes.
pub(crate) async fn count(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let network = permitted(&state, &caller, &id, Access::READ).await?;
    let body: Map<String, Value> = json_object(&body)?;
    let list = body.get("subnet_list").and_then(Value::as_array);
    let list = list.ok_or_else(|| ApiError::bad_request("Bad Request, no 'subnet_list' in POST body"))?;
    let mut plan = Plan::default();
    let subnets = subnets(&mut Context { state: &state, plan: &mut plan }, network).await?;
    let mut counts = Vec::with_capacity(list.len());
    for value in list {
        let wanted = uuid(value, "subnet_list")?;
        let subnet = subnets.iter().find(|s| s.uuid == wanted);
        let subnet =
            subnet.ok_or_else(|| ApiError::not_found(format!("no subnet {wanted} in the network")))?;
        let mut used = 0usize;
        state
            .scan(&layout::alloc_prefix(&subnet.pool().name), |_| {
                used += 1;
                Ok(())
            })
            .await?;
        counts.push(used.saturating_sub(subnet.reserved().count()));
    }
    Ok(Json(json!({"ip_count_list": counts})))
}
