//! Ports and interfaces.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weft_dataplane::Counters;
use weft_dataplane::tables::{IF_DHCP, IF_DNS, IF_L2, IF_L3, IF_POLICY, IF_RPF, IF_VETH};

use super::{Failed, value};
use crate::desired::{FABRIC_SLOT, Names, PKT0_SLOT};
use crate::engine::Engine;

/// The interface that has a counter slot, for people.
pub(super) fn slot_name(names: &Names, slot: u32) -> String {
    match slot {
        0 => "unknown".to_owned(),
        FABRIC_SLOT => "fabric".to_owned(),
        PKT0_SLOT => "pkt0".to_owned(),
        slot => names.slots.get(&slot).map_or_else(|| format!("slot {slot}"), ToString::to_string),
    }
}

fn flags(flags: u32) -> Vec<&'static str> {
    let names = [
        (IF_POLICY, "policy"),
        (IF_L2, "l2"),
        (IF_L3, "l3"),
        (IF_DHCP, "dhcp"),
        (IF_DNS, "dns"),
        (IF_RPF, "rpf"),
        (IF_VETH, "veth"),
    ];
    names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect()
}

fn counters(c: Counters) -> Value {
    json!({"rx_packets": c.rx_packets, "rx_bytes": c.rx_bytes, "tx_packets": c.tx_packets, "tx_bytes": c.tx_bytes})
}

/// Every port: `state` is `active`, `disabled`, `no-interface` (not in the kernel) or `no-configuration`.
pub(super) fn list(engine: &mut Engine) -> Result<Value, Failed> {
    let counted = engine.core.datapath().counters().map_err(Failed::internal)?;
    let counted: BTreeMap<u32, Counters> = counted.into_iter().map(|c| (c.slot, c.counters)).collect();
    let (view, desired) = (engine.core.view().clone(), engine.core.desired().clone());
    let mut list = Vec::new();
    for port in engine.ports.iter() {
        let link = engine.kernel.links.get(&port.system_name);
        let entry = link.and_then(|l| desired.tables.interfaces.get(&l.ifindex));
        let state = match (port.enabled, link, entry) {
            (false, _, _) => "disabled",
            (_, None, _) => "no-interface",
            (_, _, None) => "no-configuration",
            _ => "active",
        };
        let configured = view.interfaces.get(&port.id);
        let services = link.and_then(|l| desired.services.get(&l.ifindex));
        list.push(json!({
            "uuid": port.id,
            "name": configured.map(|c| c.name.as_str()),
            "display_name": port.request.display_name,
            "system_name": port.system_name,
            "state": state,
            "ifindex": link.map(|l| l.ifindex),
            "mac": configured.map(|c| c.mac),
            "virtual_machine": port.instance,
            "hostname": configured.and_then(|c| c.hostname.clone()),
            "virtual_network": configured.map(|c| c.network.as_str()),
            "routing_instances": configured.map(|c| c.routing_instances.clone()),
            "vrf": entry.map(|e| e.vrf),
            "addresses": configured.map(|c| c.addresses.clone()),
            "security_groups": configured.map(|c| c.security_groups.clone()),
            "identity": entry.map(|e| e.identity),
            "flags": entry.map(|e| flags(e.flags)),
            "mtu": services.map(|s| s.mtu),
            "counters": entry.and_then(|e| counted.get(&e.slot)).map(|c| counters(*c)),
        }));
    }
    let fabric = counted.get(&FABRIC_SLOT).map(|c| counters(*c));
    Ok(json!({"interfaces": list, "fabric": value(fabric)?}))
}
