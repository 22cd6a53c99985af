//! Routes, next hops, labels and verdicts, from what the agent knows the forwarder holds.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use weft_dataplane::tables::{
    LABEL_L3, NEXT_HOP_DISCARD, NEXT_HOP_INTERFACE, NEXT_HOP_MPLS_L2, NEXT_HOP_MPLS_L3, NEXT_HOP_RECEIVE,
    NEXT_HOP_VXLAN, NH_RESOLVED,
};
use weft_dataplane::verdict::{ACTION_ALLOW, ACTION_LIST, VERDICT_BITS_PAIR, VERDICT_BITS_PROTOCOL};
use weft_dataplane::{NextHop, VerdictKey};
use weft_model::MacAddress;

use super::{Failed, interfaces, value};
use crate::desired::{Names, Tables};
use crate::engine::Engine;

fn next_hop(hop: &NextHop, names: &Names) -> Value {
    let kind = match hop.kind {
        NEXT_HOP_DISCARD => "discard",
        NEXT_HOP_INTERFACE => "interface",
        NEXT_HOP_MPLS_L3 => "mpls-over-udp",
        NEXT_HOP_MPLS_L2 => "mpls-over-udp-l2",
        NEXT_HOP_VXLAN => "vxlan",
        NEXT_HOP_RECEIVE => "receive",
        _ => "unknown",
    };
    let mut out = json!({"kind": kind});
    let Some(fields) = out.as_object_mut() else { return out };
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    if hop.kind == NEXT_HOP_INTERFACE {
        add("interface", interfaces::slot_name(names, hop.slot).into());
        add("ifindex", hop.ifindex.into());
        add("mac", MacAddress(hop.dmac).to_string().into());
    } else if hop.is_tunnel() {
        add("destination", Ipv4Addr::from(hop.dst).to_string().into());
        add("source", Ipv4Addr::from(hop.src).to_string().into());
        add(if hop.kind == NEXT_HOP_VXLAN { "vni" } else { "label" }, hop.label.into());
        add("resolved", (hop.flags & NH_RESOLVED != 0).into());
    }
    out
}

fn hop_at(tables: &Tables, names: &Names, index: u32) -> Value {
    tables.next_hops.get(&index).map_or(json!({"kind": "discard"}), |hop| next_hop(hop, names))
}

pub(super) fn routes(engine: &mut Engine, vrf: Option<&str>, limit: usize) -> Result<Value, Failed> {
    let desired = engine.core.desired().clone();
    let (tables, names) = (engine.core.reconciler().shadow(), &desired.names);
    let name = |id: u16| names.vrfs.get(&id).cloned().unwrap_or_else(|| format!("vrf {id}"));
    let wanted = |id: u16| vrf.is_none_or(|v| name(id) == v || v.parse() == Ok(id));
    let network = |n: u32| names.identities.get(&n).map(|i| i.network.as_str());
    let routes = tables.routes.iter().filter(|((id, _), _)| wanted(*id)).take(limit);
    let routes: Vec<Value> = routes
        .map(|((id, prefix), route)| {
            json!({
                "vrf": name(*id), "vrf_id": id, "prefix": prefix, "mac": MacAddress(route.mac),
                "next_hop": hop_at(tables, names, route.next_hop), "next_hop_index": route.next_hop,
                "identity": route.identity, "virtual_network": network(route.identity),
                "proxy": route.flags & weft_dataplane::tables::ROUTE_PROXY != 0,
            })
        })
        .collect();
    let bridge = tables.bridge.iter().filter(|((id, _), _)| wanted(*id)).take(limit);
    let bridge: Vec<Value> = bridge
        .map(|((id, mac), entry)| {
            json!({
                "vrf": name(*id), "vrf_id": id, "mac": MacAddress(*mac), "next_hop_index": entry.next_hop,
                "next_hop": hop_at(tables, names, entry.next_hop), "identity": entry.identity,
            })
        })
        .collect();
    Ok(json!({"routes": routes, "bridge": bridge}))
}

pub(super) fn tables(engine: &mut Engine, limit: usize) -> Result<Value, Failed> {
    let desired = engine.core.desired().clone();
    let (tables, names) = (engine.core.reconciler().shadow(), &desired.names);
    let labels = tables.labels.iter().take(limit).map(|(label, l)| {
        let kind = if l.kind == LABEL_L3 { "l3" } else { "l2" };
        json!({"label": label, "kind": kind, "vrf": l.vrf, "next_hop": hop_at(tables, names, l.next_hop)})
    });
    let hops = tables.next_hops.iter().take(limit).map(|(index, hop)| {
        let mut shown = next_hop(hop, names);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("index".into(), (*index).into());
        }
        shown
    });
    let identities = names.identities.iter().take(limit);
    let identities: Vec<Value> = identities.map(|(n, set)| json!({"identity": n, "is": set})).collect();
    Ok(json!({
        "sizes": {
            "interfaces": tables.interfaces.len(), "next_hops": tables.next_hops.len(),
            "routes": tables.routes.len(), "bridge": tables.bridge.len(), "labels": tables.labels.len(),
            "vnis": tables.vnis.len(), "verdicts": tables.verdicts.len(), "rule_lists": tables.rule_lists.len(),
        },
        "vrfs": value(&names.vrfs)?,
        "labels": labels.collect::<Vec<_>>(),
        "vnis": tables.vnis.iter().map(|(vni, v)| json!({"vni": vni, "vrf": v.vrf})).collect::<Vec<_>>(),
        "next_hops": hops.collect::<Vec<_>>(),
        "identities": identities,
    }))
}

fn slot_text(key: &VerdictKey) -> Value {
    let protocol = (key.prefix_len >= VERDICT_BITS_PROTOCOL).then_some(key.protocol);
    let bits = key.prefix_len.saturating_sub(VERDICT_BITS_PROTOCOL);
    let first = u16::from_be_bytes(key.port);
    let last = u32::from(first) + (1u32 << (16 - bits.min(16))) - 1;
    let ports = (key.prefix_len > VERDICT_BITS_PROTOCOL).then(|| json!([first, last]));
    json!({"protocol": protocol, "ports": ports, "any": key.prefix_len == VERDICT_BITS_PAIR})
}

pub(super) fn policy(
    engine: &mut Engine,
    near: Option<u32>,
    far: Option<u32>,
    limit: usize,
) -> Result<Value, Failed> {
    let desired = engine.core.desired().clone();
    let (tables, names) = (engine.core.reconciler().shadow(), &desired.names);
    let matches = |key: &VerdictKey| {
        near.is_none_or(|n| n == u32::from_be_bytes(key.near))
            && far.is_none_or(|f| f == u32::from_be_bytes(key.far))
    };
    let list = tables.verdicts.iter().filter(|(key, _)| matches(key)).take(limit);
    let list: Vec<Value> = list
        .map(|(key, verdict)| {
            let action = match verdict.action {
                ACTION_ALLOW => "allow",
                ACTION_LIST => "by-source-port",
                _ => "deny",
            };
            json!({
                "near": u32::from_be_bytes(key.near), "far": u32::from_be_bytes(key.far),
                "direction": if key.direction == 0 { "egress" } else { "ingress" },
                "matches": slot_text(key), "action": action, "rule": names.rules.get(&verdict.rule),
            })
        })
        .collect();
    Ok(json!({ "verdicts": list }))
}
