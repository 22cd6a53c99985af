//! global-system-config and other objects there is one of: the autonomous system, ports of BGP as a service, draft mode.

use super::values::{at, changed, flag, items, prop, text};
use super::{Context, draft, property, routing};
use crate::ApiError;
use weft_model::types::RouteTargetList;
use weft_model::{FqName, Object, ObjectType, defaults};

/// Ports of BGP as a service unless configured (wire-facts 1.3).
const BGPAAS_PORTS: (i64, i64) = (50000, 50512);
const ROUTE_TARGETS: &[(ObjectType, &[&str])] = &[
    (
        ObjectType::VirtualNetwork,
        &["route_target_list", "import_route_target_list", "export_route_target_list"],
    ),
    (ObjectType::LogicalRouter, &["configured_route_target_list"]),
];

/// Refuses a second object of a type there is one of.
pub(super) fn only_one(new: &Object, name: FqName) -> Result<(), ApiError> {
    if new.fq_name == name {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "{} already exists with name {name}: {} would be a second one",
        new.object_type, new.fq_name
    )))
}

pub(super) async fn put(ctx: &mut Context<'_>, new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    only_one(new, defaults::global_system_config())?;
    let asn = property::<u64>(new, "autonomous_system")?;
    if let Some(asn) = asn {
        in_range(asn, flag(new, "enable_4byte_as"), "autonomous_system")?;
    }
    if let (Some(asn), Some(old)) = (asn, old)
        && changed(new, old, "autonomous_system")
    {
        no_route_target_in_range(ctx, u32::try_from(asn).unwrap_or(u32::MAX)).await?;
    }
    bgpaas_ports(ctx, new, old).await?;
    statistics(new)?;
    draft::switched(ctx, new, old).await
}

/// Autonomous systems above 65535 need to be enabled.
fn in_range(asn: u64, four_bytes: bool, what: &str) -> Result<(), ApiError> {
    let last = if four_bytes { u64::from(u32::MAX) } else { u64::from(u16::MAX) };
    if (1..=last).contains(&asn) {
        return Ok(());
    }
    let last = if four_bytes { "0xFFFFFFFF" } else { "0xFFFF, unless enable_4byte_as is set" };
    Err(ApiError::bad_request(format!("{what}: ASN {asn} out of range, should be between 1-{last}")))
}

/// Checks autonomous systems of other objects.
pub(super) async fn check_asns(
    ctx: &mut Context<'_>,
    asns: &[(String, Option<u64>)],
) -> Result<(), ApiError> {
    if asns.iter().all(|(_, asn)| asn.is_none_or(|asn| (1..=u64::from(u16::MAX)).contains(&asn))) {
        return Ok(());
    }
    let object_type = ObjectType::GlobalSystemConfig;
    let uuid = ctx.state.by_name(object_type, &defaults::global_system_config()).await?;
    let loaded = match uuid {
        Some(uuid) => ctx.state.load(object_type, uuid).await?,
        None => None,
    };
    let four_bytes = loaded.as_ref().is_some_and(|l| flag(&l.object, "enable_4byte_as"));
    if let Some(loaded) = loaded {
        ctx.plan.unchanged((object_type, loaded.object.uuid), loaded.revision);
    }
    asns.iter().try_for_each(|(what, asn)| asn.map_or(Ok(()), |asn| in_range(asn, four_bytes, what)))
}

/// Under the new autonomous system, no route target of a client may be one the system gives out.
async fn no_route_target_in_range(ctx: &Context<'_>, asn: u32) -> Result<(), ApiError> {
    for (object_type, names) in ROUTE_TARGETS {
        let mut found = None;
        let prefix = weft_store::layout::object_prefix(*object_type);
        ctx.state
            .scan(&prefix, |entry| {
                let object = weft_store::layout::decode(&entry.value)?;
                for name in *names {
                    let list = property::<RouteTargetList>(&object, name)?.unwrap_or_default();
                    if let Some(target) = routing::automatic(&list, asn)? {
                        found = Some((object.fq_name.clone(), *name, target));
                    }
                }
                Ok(())
            })
            .await?;
        if let Some((name, field, target)) = found {
            return Err(ApiError::bad_request(format!(
                "autonomous_system {asn}: {object_type} {name} has route target {target} in {field}, in the range used by automatically allocated route targets"
            )));
        }
    }
    Ok(())
}

async fn bgpaas_ports(ctx: &Context<'_>, new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    let ports = |object: &Object| {
        let range = prop(object, "bgpaas_parameters");
        let port = |name: &str, other: i64| at(range, &[name]).as_i64().unwrap_or(other);
        (port("port_start", BGPAAS_PORTS.0), port("port_end", BGPAAS_PORTS.1))
    };
    let (start, end) = ports(new);
    if start > end {
        return Err(ApiError::bad_request(format!(
            "bgpaas_parameters: Invalid Port range specified: port_start {start} is above port_end {end}"
        )));
    }
    let Some(held) = old.map(ports).filter(|held| start > held.0 || end < held.1) else { return Ok(()) };
    let page = weft_store::layout::object_prefix(ObjectType::BgpAsAService);
    if ctx.state.store().range(&page, None, 1).await?.entries.is_empty() {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "bgpaas_parameters: BGP Port range cannot be shrunk from {}-{} to {start}-{end} while there are bgp-as-a-service objects",
        held.0, held.1
    )))
}

/// Statistics of a client's own have a name and something to look for.
fn statistics(new: &Object) -> Result<(), ApiError> {
    for entry in items(prop(new, "user_defined_log_statistics"), &["statlist"]) {
        if text(entry, "pattern").is_none() {
            return Err(ApiError::bad_request(format!(
                "user_defined_log_statistics: {} has no pattern",
                at(entry, &["name"])
            )));
        }
    }
    Ok(())
}
