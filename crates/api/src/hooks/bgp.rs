//! bgp-router, bgp-as-a-service and sub-cluster.

use super::values::{at, at_most_one, first_ref, fixed, flag, in_range, prop, prop_text, text};
use super::{Context, global_system_config, routing};
use crate::ApiError;
use crate::alloc::Pool;
use serde_json::Value;
use std::collections::BTreeMap;
use weft_model::{Object, ObjectType};

const SUB_CLUSTER_ID: &str = "sub_cluster_id";

fn number(value: &Value, name: &str) -> Option<u64> {
    at(value, &[name]).as_u64().filter(|asn| *asn != 0)
}

/// RFC 4271, section 4.2: a hold time is zero or at least three seconds.
fn hold_time(value: &Value, what: &str) -> Result<(), ApiError> {
    match at(value, &["hold_time"]).as_i64() {
        None | Some(0) => Ok(()),
        Some(seconds) => in_range(&format!("{what}.hold_time"), seconds, 3, 65535),
    }
}

pub(super) async fn router(ctx: &mut Context<'_>, new: &Object) -> Result<(), ApiError> {
    const FIELD: &str = "bgp_router_parameters";
    let parameters = prop(new, FIELD);
    hold_time(parameters, FIELD)?;
    for name in ["port", "source_port"] {
        if let Some(port) = at(parameters, &[name]).as_i64() {
            in_range(&format!("{FIELD}.{name}"), port, 0, 65535)?;
        }
    }
    let own = number(parameters, "autonomous_system");
    let asn = |name: &str| (format!("{FIELD}.{name}"), number(parameters, name));
    global_system_config::check_asns(ctx, &[asn("autonomous_system"), asn("local_autonomous_system")])
        .await?;
    at_most_one(new, ObjectType::SubCluster)?;
    if let (Some(cluster), Some(own)) = (first_ref(new, ObjectType::SubCluster), own) {
        let loaded = ctx.state.require(ObjectType::SubCluster, cluster).await?;
        let theirs = prop(&loaded.object, "sub_cluster_asn").as_u64();
        if theirs.is_some_and(|theirs| theirs != own) {
            return Err(ApiError::bad_request(format!(
                "Subcluster asn and bgp asn should be same: {} and {own}",
                theirs.unwrap_or_default()
            )));
        }
    }
    at_most_one(new, ObjectType::ControlNodeZone)?;
    if first_ref(new, ObjectType::ControlNodeZone).is_some()
        && text(parameters, "router_type") != Some("control-node")
    {
        return Err(ApiError::bad_request(format!(
            "BgpRouter {} type should be 'control-node' to refer control-node-zone",
            new.fq_name
        )));
    }
    Ok(())
}

pub(super) async fn service(
    ctx: &mut Context<'_>,
    new: &Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    const SESSION: &str = "bgpaas_session_attributes";
    let session = prop(new, SESSION);
    hold_time(session, SESSION)?;
    let own = ("autonomous_system".to_owned(), prop(new, "autonomous_system").as_u64());
    let local = (format!("{SESSION}.local_autonomous_system"), number(session, "local_autonomous_system"));
    global_system_config::check_asns(ctx, &[own, local]).await?;
    let shared = flag(new, "bgpaas_shared");
    match old {
        None if shared && prop_text(new, "bgpaas_ip_address").is_none() => {
            return Err(ApiError::bad_request(
                "bgpaas_ip_address: BGPaaS IP Address needs to be configured if BGPaaS is shared",
            ));
        }
        Some(old) if flag(old, "bgpaas_shared") != shared => {
            return Err(ApiError::bad_request("bgpaas_shared: BGPaaS sharing cannot be modified"));
        }
        _ => {}
    }
    let mut zones = BTreeMap::new();
    for zone in new.refs_to(ObjectType::ControlNodeZone) {
        let kind = zone.attr.as_ref().and_then(|attr| text(attr, "bgpaas_control_node_zone_type"));
        let Some(kind) = kind else { continue };
        if let Some(other) = zones.insert(kind, &zone.fq_name) {
            return Err(ApiError::bad_request(format!(
                "BGPaaS has configured with more than one {kind} control-node-zones: {other} and {}",
                zone.fq_name
            )));
        }
    }
    Ok(())
}

fn sub_clusters(last: u64) -> Pool {
    Pool::numbers("sub-cluster", 1, last)
}

/// sub-cluster: its number, of as many bytes as an autonomous system leaves.
pub(super) async fn sub_cluster(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    fixed(new, old, &["sub_cluster_asn"])?;
    let given = |object: &Object| prop(object, SUB_CLUSTER_ID).as_u64();
    let (wanted, held) = (given(new), old.and_then(given));
    if let (None, Some(held)) = (wanted, held) {
        new.props.insert(SUB_CLUSTER_ID.into(), held.into());
        return Ok(());
    }
    if wanted.is_some() && wanted == held {
        return Ok(());
    }
    let asn = routing::global_asn(ctx).await?;
    let last = if asn > u16::MAX.into() { u64::from(u16::MAX) } else { u64::from(u32::MAX) };
    let pool = sub_clusters(last);
    if let Some(held) = held {
        ctx.plan.release(pool.key(held.into()));
    }
    let id = match wanted {
        Some(id) => {
            in_range(SUB_CLUSTER_ID, id, 1, last)?;
            if ctx.state.store().get(&pool.key(id.into())).await?.is_some() {
                return Err(ApiError::bad_request(format!(
                    "{SUB_CLUSTER_ID}: Sub-cluster ID '{id}' is already used, choose another one"
                )));
            }
            u128::from(id)
        }
        None => pool
            .free(ctx.state)
            .await?
            .ok_or_else(|| ApiError::bad_request("all sub-cluster ids are in use"))?,
    };
    ctx.plan.claim(pool.key(id), new.uuid.to_string());
    new.props.insert(SUB_CLUSTER_ID.into(), u64::try_from(id).unwrap_or(u64::MAX).into());
    Ok(())
}

pub(super) fn delete_sub_cluster(ctx: &mut Context<'_>, object: &Object) {
    if let Some(id) = prop(object, SUB_CLUSTER_ID).as_u64() {
        ctx.plan.release(sub_clusters(u32::MAX.into()).key(id.into()));
    }
}
