//! Routing: route targets that clients choose, VPNs of networks and routers, route tables, aggregates, policies.

use super::values::{at, fixed, items, prop, prop_text, text};
use super::{Context, property};
use crate::ApiError;
use ipnet::IpNet;
use serde_json::Value;
use std::net::IpAddr;
use uuid::Uuid;
use weft_model::types::RouteTargetList;
use weft_model::{Object, ObjectType, Reference, RouteTarget, defaults};

/// The autonomous system of the installation. It may not change while what depends on it is written.
pub(super) async fn global_asn(ctx: &mut Context<'_>) -> Result<u32, ApiError> {
    let object_type = ObjectType::GlobalSystemConfig;
    let Some(uuid) = ctx.state.by_name(object_type, &defaults::global_system_config()).await? else {
        return Ok(defaults::AUTONOMOUS_SYSTEM);
    };
    let Some(loaded) = ctx.state.load(object_type, uuid).await? else {
        return Ok(defaults::AUTONOMOUS_SYSTEM);
    };
    ctx.plan.unchanged((object_type, uuid), loaded.revision);
    Ok(property::<u32>(&loaded.object, "autonomous_system")?.unwrap_or(defaults::AUTONOMOUS_SYSTEM))
}

/// User route targets must be route targets, and not from the range the system gives out.
pub(super) async fn route_targets(
    ctx: &mut Context<'_>,
    new: &Object,
    old: Option<&Object>,
    names: &[&str],
) -> Result<(), ApiError> {
    for name in names {
        if old.is_some_and(|o| o.props.get(*name) == new.props.get(*name)) {
            continue;
        }
        let list = property::<RouteTargetList>(new, name)?.unwrap_or_default();
        if list.route_target.is_empty() {
            continue;
        }
        let asn = global_asn(ctx).await?;
        if let Some(text) = automatic(&list, asn)? {
            return Err(ApiError::bad_request(format!(
                "{name}: route target {text} is in the range the system allots"
            )));
        }
    }
    Ok(())
}

/// The first route target that the system would give out itself under an autonomous system.
pub(super) fn automatic(list: &RouteTargetList, asn: u32) -> Result<Option<String>, ApiError> {
    for text in &list.route_target {
        let target: RouteTarget = text.parse()?;
        if target.is_automatic(asn) {
            return Ok(Some(text.clone()));
        }
    }
    Ok(None)
}

/// The types of the VPNs an object refers to.
async fn vpn_types(ctx: &Context<'_>, object: &Object) -> Result<Vec<(Reference, String)>, ApiError> {
    let mut types = Vec::new();
    for reference in object.refs_to(ObjectType::Bgpvpn) {
        let vpn = ctx.state.load(ObjectType::Bgpvpn, reference.uuid).await?;
        let kind = vpn.and_then(|vpn| prop_text(&vpn.object, "bgpvpn_type").map(str::to_owned));
        types.push((reference.clone(), kind.unwrap_or_else(|| "l3".into())));
    }
    Ok(types)
}

/// A network's VPNs fit how it forwards, and no router of the network has VPNs of its own.
pub(super) async fn network_vpns(
    ctx: &Context<'_>,
    new: &Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    if new.refs_to(ObjectType::Bgpvpn).is_empty() {
        return Ok(());
    }
    let mode = text(prop(new, "virtual_network_properties"), "forwarding_mode").unwrap_or("l2_l3");
    for (vpn, kind) in vpn_types(ctx, new).await? {
        if mode != "l2_l3" && kind != mode {
            return Err(ApiError::bad_request(format!(
                "Cannot associate bgpvpn type '{kind}' with a virtual network in forwarding mode '{mode}': {} of {}",
                vpn.fq_name, new.fq_name
            )));
        }
    }
    if old.is_some_and(|old| old.refs_to(ObjectType::Bgpvpn) == new.refs_to(ObjectType::Bgpvpn)) {
        return Ok(());
    }
    let network = (ObjectType::VirtualNetwork, new.uuid);
    for interface in ctx.state.back_refs_of_type(network, ObjectType::VirtualMachineInterface).await? {
        let interface = (ObjectType::VirtualMachineInterface, interface.uuid);
        for router in ctx.state.back_refs_of_type(interface, ObjectType::LogicalRouter).await? {
            let Some(router) = ctx.state.load(ObjectType::LogicalRouter, router.uuid).await? else {
                continue;
            };
            if !router.object.refs_to(ObjectType::Bgpvpn).is_empty() {
                return Err(ApiError::bad_request(format!(
                    "Network {} is linked to a logical router which is associated to bgpvpn(s): {}",
                    new.fq_name,
                    ctx.called(&router.object)
                )));
            }
        }
    }
    Ok(())
}

/// A router's VPNs are of type l3, and none of its networks has VPNs of its own.
pub(super) async fn router_vpns(
    ctx: &Context<'_>,
    new: &Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    let unchanged = |to| old.is_some_and(|old| old.refs_to(to) == new.refs_to(to));
    let vpns = new.refs_to(ObjectType::Bgpvpn);
    if vpns.is_empty() || (unchanged(ObjectType::Bgpvpn) && unchanged(ObjectType::VirtualMachineInterface)) {
        return Ok(());
    }
    if let Some((vpn, kind)) = vpn_types(ctx, new).await?.into_iter().find(|(_, kind)| kind != "l3") {
        return Err(ApiError::bad_request(format!(
            "Only bgpvpn type 'l3' can be associated to a logical router: {} of {} is {kind}",
            vpn.fq_name, new.fq_name
        )));
    }
    for interface in new.refs_to(ObjectType::VirtualMachineInterface) {
        let loaded = ctx.state.load(ObjectType::VirtualMachineInterface, interface.uuid).await?;
        let networks = loaded.map(|l| l.object.refs_to(ObjectType::VirtualNetwork).to_vec());
        for network in networks.unwrap_or_default() {
            let loaded = ctx.state.load(ObjectType::VirtualNetwork, network.uuid).await?;
            if let Some(network) = loaded.filter(|l| !l.object.refs_to(ObjectType::Bgpvpn).is_empty()) {
                return Err(ApiError::bad_request(format!(
                    "Router {} is linked to virtual network(s) which is/are associated to bgpvpn(s): {}",
                    new.fq_name,
                    ctx.called(&network.object)
                )));
            }
        }
    }
    Ok(())
}

fn prefix(text: &str, what: &str) -> Result<IpNet, ApiError> {
    let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    net.ok_or_else(|| ApiError::bad_request(format!("{what} {text:?} is not a prefix")))
}

/// route-table and interface-route-table: prefixes, and next hops that are addresses where they say so.
pub(super) fn route_table(new: &Object, name: &str) -> Result<(), ApiError> {
    for (index, route) in items(prop(new, name), &["route"]).iter().enumerate() {
        let what = format!("{name}.route[{index}]");
        if let Some(given) = text(route, "prefix") {
            prefix(given, &format!("{what}.prefix"))?;
        }
        if text(route, "next_hop_type") == Some("ip-address") {
            let hop = text(route, "next_hop").unwrap_or_default();
            hop.parse::<IpAddr>().map_err(|_| {
                ApiError::bad_request(format!("{what}.next_hop {hop:?} is not an IP address"))
            })?;
        }
    }
    Ok(())
}

/// route-aggregate: prefixes of one family, of one service instance.
pub(super) fn aggregate(new: &Object) -> Result<(), ApiError> {
    super::values::at_most_one(new, ObjectType::ServiceInstance)?;
    let mut first: Option<IpNet> = None;
    for route in items(prop(new, "aggregate_route_entries"), &["route"]) {
        let net = prefix(route.as_str().unwrap_or_default(), "aggregate_route_entries.route")?;
        let v4 = |net: &IpNet| matches!(net, IpNet::V4(_));
        match first {
            Some(first) if v4(&first) != v4(&net) => {
                return Err(ApiError::bad_request(format!(
                    "aggregate_route_entries: All prefixes in a route aggregate object must be of same ip family, not {first} and {net}"
                )));
            }
            _ => first = Some(net),
        }
    }
    if let Some(hop) = prop_text(new, "aggregate_route_nexthop") {
        hop.parse::<IpAddr>().map_err(|_| {
            ApiError::bad_request(format!("aggregate_route_nexthop {hop:?} is not an IP address"))
        })?;
    }
    Ok(())
}

/// routing-policy: whom its terms are for is decided once; the installation's own system is not prepended.
pub(super) async fn policy(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    if old.is_some_and(|old| prop_text(old, "term_type").is_some()) {
        fixed(new, old, &["term_type"])?;
    }
    let terms = items(prop(new, "routing_policy_entries"), &["term"]).to_vec();
    let mut tables = Vec::new();
    for (index, term) in terms.iter().enumerate() {
        let what = format!("routing_policy_entries.term[{index}]");
        let expanded = at(term, &["term_action_list", "update", "as_path", "expand"]);
        let expanded = items(expanded, &["asn_list"]);
        if !expanded.is_empty() {
            let own = global_asn(ctx).await?;
            if expanded.iter().any(|asn| asn.as_u64() == Some(own.into())) {
                return Err(ApiError::bad_request(format!(
                    "{what}: ASN can't be same as global system config asn {own}"
                )));
            }
        }
        if prop_text(new, "term_type") == Some("network-device") {
            device_term(term, &what)?;
        }
        for list in items(term, &["term_match_condition", "prefix_list"]) {
            for table in items(list, &["interface_route_table_uuid"]) {
                tables.push(crate::parse::uuid(table, &format!("{what}.prefix_list"))?);
            }
        }
    }
    refer_to_tables(ctx, new, &tables).await
}

/// The tables named in prefix lists become references.
async fn refer_to_tables(ctx: &Context<'_>, new: &mut Object, tables: &[Uuid]) -> Result<(), ApiError> {
    for table in tables {
        let list = new.refs_to(ObjectType::InterfaceRouteTable);
        if list.iter().any(|reference| reference.uuid == *table) {
            continue;
        }
        let loaded = ctx.state.require(ObjectType::InterfaceRouteTable, *table).await?;
        let reference = Reference { uuid: *table, fq_name: loaded.object.fq_name, attr: None };
        new.refs.entry(ObjectType::InterfaceRouteTable).or_default().push(reference);
    }
    Ok(())
}

/// What a device can match on and do.
fn device_term(term: &Value, what: &str) -> Result<(), ApiError> {
    const PROTOCOLS: &[&str] = &["bgp", "static", "aggregate", "pim", "direct", "evpn", "ospf", "ospf3"];
    let condition = at(term, &["term_match_condition"]);
    for protocol in items(condition, &["protocol"]) {
        if !protocol.as_str().is_some_and(|protocol| PROTOCOLS.contains(&protocol)) {
            return Err(ApiError::bad_request(format!(
                "{what}: {protocol} protocol value is not valid value for network-device term"
            )));
        }
    }
    for kind in items(condition, &["nlri_route_type"]) {
        super::values::in_range(
            &format!("{what}.nlri_route_type"),
            kind.as_i64().unwrap_or_default(),
            1,
            10,
        )?;
    }
    for filter in items(condition, &["route_filter", "route_filter_properties"]) {
        route_filter(filter, what)?;
    }
    for name in ["as_path_expand", "as_path_prepend"] {
        let Some(path) = text(at(term, &["term_action_list"]), name) else { continue };
        if !path.split(' ').all(|asn| asn.parse::<u32>().is_ok()) {
            return Err(ApiError::bad_request(format!(
                "{what}.{name} has invalid value {path:?}. valid format is AS number(s) separated by spaces"
            )));
        }
    }
    Ok(())
}

fn route_filter(filter: &Value, what: &str) -> Result<(), ApiError> {
    let fail = |message: String| Err(ApiError::bad_request(format!("{what}.route_filter: {message}")));
    let (Some(route), Some(kind)) = (text(filter, "route"), text(filter, "route_type")) else {
        return fail("route and route_type must not be empty".into());
    };
    prefix(route, &format!("{what}.route_filter.route"))?;
    let value = text(filter, "route_type_value").unwrap_or_default();
    let length = |text: &str| {
        let length = text.strip_prefix('/').and_then(|digits| digits.parse::<u8>().ok());
        length.is_some_and(|length| (1..=32).contains(&length))
    };
    match kind {
        "prefix-length-range" if !value.split_once('-').is_some_and(|(a, b)| length(a) && length(b)) => {
            fail(format!("route_type_value {value:?} is not '/minlength-/maxlength'"))
        }
        "upto" if !length(value) => fail(format!("route_type_value {value:?} is not '/number'")),
        "through" if value.is_empty() => fail("route_type_value of 'through' is empty".into()),
        _ => Ok(()),
    }
}
