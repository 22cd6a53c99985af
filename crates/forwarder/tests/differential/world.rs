//! Random tables, and random changes of them, for a host with a few interfaces in a few networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use weft_forwarder::Datapath;
use weft_forwarder::dataplane::config::CONFIG_TRAP_TTL;
use weft_forwarder::dataplane::tables::*;
use weft_forwarder::dataplane::verdict::{
    ACTION_ALLOW, ACTION_DENY, ACTION_LIST, PortRule, RULE_LIST_ENTRIES,
};
use weft_forwarder::dataplane::*;
use weft_forwarder::reference::Model;

use crate::rng::Rng;

pub const WORKLOADS: usize = 5;
pub const GATEWAY_MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];
pub const UNDERLAY: [u8; 4] = [192, 0, 2, 1];
pub const FABRIC_SLOT: u32 = 30;
pub const PORTS: [u16; 10] = [22, 53, 67, 80, 81, 443, 1024, 1025, 8080, 40_000];
/// Next hops that exist, and one that does not.
pub const NEXT_HOPS: [u32; 14] = [0, 1, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24, 25, 29];
const VRFS: u16 = 3;
const IDENTITIES: u32 = 5;

/// The devices of a host.
#[derive(Clone, Copy, Debug)]
pub struct Devices {
    pub workloads: [u32; WORKLOADS],
    pub fabric: u32,
    pub pkt0: u32,
    /// One that the tables never name.
    pub stranger: u32,
}

/// One write to the tables.
#[derive(Clone, Debug)]
pub enum Change {
    Config(Config),
    Interface(u32, Option<Interface>),
    NextHop(u32, Option<NextHop>),
    Route(u16, IpNet, Option<Route>),
    Bridge(u16, [u8; 6], Option<BridgeEntry>),
    Label(u32, Option<Label>),
    Vni(u32, Option<Vni>),
    Verdict(VerdictKey, Option<Verdict>),
    RuleList(u32, Option<RuleList>),
    Bump(u16),
}

impl Change {
    /// Writes it to a forwarder.
    pub fn write(&self, dp: &dyn Datapath) {
        let done = match self {
            Change::Config(config) => dp.set_config(config),
            Change::Interface(index, Some(v)) => dp.put_interface(*index, v),
            Change::Interface(index, None) => dp.delete_interface(*index),
            Change::NextHop(index, Some(v)) => dp.put_next_hop(*index, v),
            Change::NextHop(index, None) => dp.delete_next_hop(*index),
            Change::Route(vrf, prefix, Some(v)) => dp.put_route(*vrf, *prefix, v),
            Change::Route(vrf, prefix, None) => dp.delete_route(*vrf, *prefix),
            Change::Bridge(vrf, mac, Some(v)) => dp.put_bridge(*vrf, *mac, v),
            Change::Bridge(vrf, mac, None) => dp.delete_bridge(*vrf, *mac),
            Change::Label(label, Some(v)) => dp.put_label(*label, v),
            Change::Label(label, None) => dp.delete_label(*label),
            Change::Vni(vni, Some(v)) => dp.put_vni(*vni, v),
            Change::Vni(vni, None) => dp.delete_vni(*vni),
            Change::Verdict(key, Some(v)) => dp.put_verdict(key, v),
            Change::Verdict(key, None) => dp.delete_verdict(key),
            Change::RuleList(index, Some(v)) => dp.put_rule_list(*index, v),
            Change::RuleList(index, None) => dp.delete_rule_list(*index),
            Change::Bump(vrf) => dp.bump_vrf(*vrf),
        };
        done.unwrap_or_else(|error| panic!("{self:?}: {error}"));
    }

    /// Writes it to the model.
    pub fn tell(&self, model: &mut Model) {
        fn set<K: Ord + Clone, V: Clone>(
            table: &mut std::collections::BTreeMap<K, V>,
            key: &K,
            value: &Option<V>,
        ) {
            match value {
                Some(value) => table.insert(key.clone(), value.clone()),
                None => table.remove(key),
            };
        }
        let tables = &mut model.tables;
        match self {
            Change::Config(config) => tables.config = Config { schema: SCHEMA_VERSION, ..*config },
            Change::Interface(index, value) => set(&mut tables.interfaces, index, value),
            Change::NextHop(index, value) => tables.set_next_hop(*index, *value),
            Change::Route(vrf, prefix, value) => set(&mut tables.routes, &(*vrf, prefix.trunc()), value),
            Change::Bridge(vrf, mac, value) => set(&mut tables.bridge, &(*vrf, *mac), value),
            Change::Label(label, value) => {
                set(&mut tables.labels, label, &value.filter(|label| label.kind != LABEL_NONE));
            }
            Change::Vni(vni, value) => set(&mut tables.vnis, vni, value),
            Change::Verdict(key, value) => set(&mut tables.verdicts, key, value),
            Change::RuleList(index, value) => {
                set(&mut tables.rule_lists, index, &value.filter(|list| list.count != 0));
            }
            Change::Bump(vrf) => tables.bump(*vrf),
        }
    }
}

pub fn mac(n: u64) -> [u8; 6] {
    [2, 0, 0, 0, 0, n as u8]
}

pub fn address(v6: bool, n: u64) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n as u16))
    } else {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, n as u8))
    }
}

/// An address: 1 is the gateway's, 11 to 15 belong to the workloads, others to remote ones or to nobody.
pub fn any_address(rng: &mut Rng, v6: bool) -> IpAddr {
    let n = match rng.below(10) {
        0 => 1,
        1..=6 => 11 + rng.below(WORKLOADS as u64),
        7 | 8 => 20 + rng.below(4),
        _ => rng.below(256),
    };
    address(v6, n)
}

pub fn any_vrf(rng: &mut Rng) -> u16 {
    1 + rng.below(u64::from(VRFS)) as u16
}

fn any_identity(rng: &mut Rng) -> u32 {
    1 + rng.below(u64::from(IDENTITIES)) as u32
}

fn config(rng: &mut Rng, devices: &Devices) -> Config {
    Config {
        schema: SCHEMA_VERSION,
        flags: if rng.chance(50) { CONFIG_TRAP_TTL } else { 0 },
        fabric_ifindex: devices.fabric,
        pkt0_ifindex: if rng.chance(95) { devices.pkt0 } else { 0 },
        tunnel_ip: UNDERLAY,
        fabric_mtu: rng.pick(&[1500, 1500, 1450, 600]),
        hash_seed: rng.next() as u32,
        fabric_slot: FABRIC_SLOT,
        mpls_port: rng.pick(&[0, 0, 6635, 7000]),
        vxlan_port: rng.pick(&[0, 0, 4789, 8472]),
        fabric_mac: [2, 0, 0, 0, 0, 0xfa],
        gateway_mac: GATEWAY_MAC,
        events_per_second: 0,
        reserved2: [0; 3],
    }
}

/// Workload `n`'s interface: slot `n + 1`.
fn interface(rng: &mut Rng, n: usize) -> Interface {
    let mut flags = IF_L3;
    for (flag, percent) in
        [(IF_POLICY, 75), (IF_L2, 85), (IF_RPF, 70), (IF_DHCP, 80), (IF_DNS, 80), (IF_VETH, 50)]
    {
        flags |= if rng.chance(percent) { flag } else { 0 };
    }
    if rng.chance(5) {
        flags &= !IF_L3;
    }
    Interface {
        kind: if rng.chance(98) { INTERFACE_WORKLOAD } else { INTERFACE_FABRIC },
        reserved: 0,
        vrf: if rng.chance(70) { 1 } else { any_vrf(rng) },
        flags,
        identity: any_identity(rng),
        slot: n as u32 + 1,
        mac: mac(11 + n as u64),
        gateway_mac: if rng.chance(90) { GATEWAY_MAC } else { [2, 0, 0, 0, 0, 0xfe] },
        reserved2: 0,
    }
}

fn interface_hop(devices: &Devices, n: usize, interface: &Interface, policy: bool) -> NextHop {
    let flags = if policy { NH_POLICY } else { 0 } | if interface.flags & IF_VETH != 0 { NH_VETH } else { 0 };
    NextHop {
        kind: NEXT_HOP_INTERFACE,
        flags,
        vrf: interface.vrf,
        ifindex: devices.workloads[n],
        slot: interface.slot,
        identity: interface.identity,
        dmac: interface.mac,
        smac: interface.gateway_mac,
        ..NextHop::zeroed()
    }
}

fn tunnel_hop(rng: &mut Rng, devices: &Devices) -> NextHop {
    NextHop {
        kind: rng.pick(&[NEXT_HOP_MPLS_L3, NEXT_HOP_MPLS_L2, NEXT_HOP_VXLAN]),
        flags: if rng.chance(50) { NH_RESOLVED } else { 0 },
        ifindex: devices.fabric,
        label: rng.below(1 << 20) as u32,
        src: UNDERLAY,
        dst: [192, 0, 2, rng.byte()],
        gateway: if rng.chance(20) { [192, 0, 2, 254] } else { [0; 4] },
        dmac: mac(100),
        smac: mac(101),
        mtu: rng.pick(&[0, 0, 0, 1400, 600]),
        ..NextHop::zeroed()
    }
}

fn next_hop(rng: &mut Rng, devices: &Devices, interfaces: &[Interface], index: u32) -> Option<NextHop> {
    match index {
        1 => Some(NextHop { kind: NEXT_HOP_RECEIVE, ..NextHop::zeroed() }),
        10..=14 => {
            let n = index as usize - 10;
            let interface = interfaces[n];
            let policy = (interface.flags & IF_POLICY != 0) != rng.chance(5);
            Some(interface_hop(devices, n, &interface, policy))
        }
        20..=25 => Some(tunnel_hop(rng, devices)),
        _ => None,
    }
}

fn route(rng: &mut Rng, next_hop: u32) -> Route {
    Route {
        next_hop,
        identity: any_identity(rng),
        mac: if rng.chance(60) { mac(11 + rng.below(14)) } else { [0; 6] },
        flags: if rng.chance(70) { ROUTE_PROXY } else { 0 },
    }
}

/// A prefix of any length around an address that is in use.
fn prefix(rng: &mut Rng) -> IpNet {
    match any_address_of_either(rng) {
        IpAddr::V4(a) => {
            IpNet::V4(Ipv4Net::new(a, rng.pick(&[0, 8, 24, 27, 28, 29, 30, 31, 32])).expect("length"))
        }
        IpAddr::V6(a) => {
            IpNet::V6(Ipv6Net::new(a, rng.pick(&[0, 64, 112, 123, 124, 126, 127, 128])).expect("length"))
        }
    }
    .trunc()
}

pub fn any_address_of_either(rng: &mut Rng) -> IpAddr {
    let v6 = rng.chance(40);
    any_address(rng, v6)
}

fn bridge_entry(rng: &mut Rng, next_hop: u32) -> BridgeEntry {
    BridgeEntry { next_hop, identity: any_identity(rng) }
}

/// Labels 16 to 20 (L3) and 32 to 36 (L2) are the workloads'; 48 to 51 anything.
fn label(rng: &mut Rng, interfaces: &[Interface], label: u32) -> Label {
    let n = (label % 16) as usize % WORKLOADS;
    let kind = if label < 32 { LABEL_L3 } else { LABEL_L2 };
    if label < 48 {
        let vrf = if rng.chance(90) { interfaces[n].vrf } else { any_vrf(rng) };
        return Label { next_hop: 10 + n as u32, vrf, kind, reserved: 0 };
    }
    let next_hop = if rng.chance(60) { 0 } else { rng.pick(&NEXT_HOPS) };
    Label { next_hop, vrf: any_vrf(rng), kind: 1 + rng.below(2) as u8, reserved: 0 }
}

pub const LABELS: [u32; 14] = [16, 17, 18, 19, 20, 32, 33, 34, 35, 36, 48, 49, 50, 51];
pub const VNIS: [u32; 4] = [100, 101, 102, 0xff_ffff];

fn verdict_key(rng: &mut Rng) -> VerdictKey {
    let (near, far) = (any_identity(rng), any_identity(rng));
    let direction = if rng.chance(50) { Direction::Egress } else { Direction::Ingress };
    let protocol = rng.pick(&[1, 6, 6, 17, 17, 58, 132, 47]);
    match rng.below(4) {
        0 => VerdictKey::pair(near, far, direction),
        1 => VerdictKey::protocol(near, far, direction, protocol),
        _ => {
            let port = rng.pick(&PORTS);
            VerdictKey::ports(near, far, direction, protocol, port, rng.below(17) as u8)
        }
    }
}

fn verdict(rng: &mut Rng) -> Verdict {
    let action = match rng.below(10) {
        0..=6 => ACTION_ALLOW,
        7 | 8 => ACTION_DENY,
        _ => ACTION_LIST,
    };
    let list = if rng.chance(95) { 1 + rng.below(3) as u32 } else { 1_000_000 };
    Verdict { action, rule: rng.below(100) as u32, list }
}

fn rule_list(rng: &mut Rng) -> RuleList {
    let mut list = RuleList::zeroed();
    list.count = rng.below(RULE_LIST_ENTRIES as u64 + 1) as u32;
    for rule in list.rules.iter_mut().take(list.count as usize) {
        let low = rng.pick(&[0, 22, 80, 1024, 2000]);
        *rule = PortRule {
            source_low: low,
            source_high: low.saturating_add(rng.pick(&[0, 10, 1000, 65_535])),
            action: rng.below(2) as u16,
            reserved: 0,
            rule: rng.below(100) as u32,
        };
    }
    list
}

/// The tables that a case begins with.
pub fn initial(rng: &mut Rng, devices: &Devices) -> Vec<Change> {
    let mut changes = vec![Change::Config(config(rng, devices))];
    let interfaces: Vec<Interface> = (0..WORKLOADS).map(|n| interface(rng, n)).collect();
    for (n, interface) in interfaces.iter().enumerate() {
        changes.push(Change::Interface(devices.workloads[n], Some(*interface)));
        changes.push(Change::Bridge(interface.vrf, interface.mac, Some(bridge_entry(rng, 10 + n as u32))));
    }
    for index in NEXT_HOPS {
        if let Some(hop) = next_hop(rng, devices, &interfaces, index) {
            changes.push(Change::NextHop(index, Some(hop)));
        }
    }
    for vrf in 1..=VRFS {
        for v6 in [false, true] {
            changes.push(Change::Route(vrf, address(v6, 1).into(), Some(route(rng, 1))));
            for (n, interface) in interfaces.iter().enumerate() {
                if interface.vrf == vrf || rng.chance(60) {
                    let own = Route {
                        identity: interface.identity,
                        mac: interface.mac,
                        ..route(rng, 10 + n as u32)
                    };
                    changes.push(Change::Route(vrf, address(v6, 11 + n as u64).into(), Some(own)));
                }
            }
            for n in 20..24 {
                let hop = 20 + rng.below(6) as u32;
                changes.push(Change::Route(vrf, address(v6, n).into(), Some(route(rng, hop))));
            }
        }
        for n in 20..24 {
            let hop = 20 + rng.below(6) as u32;
            changes.push(Change::Bridge(vrf, mac(n), Some(bridge_entry(rng, hop))));
        }
    }
    changes.extend(LABELS.map(|number| Change::Label(number, Some(label(rng, &interfaces, number)))));
    changes
        .extend(VNIS.map(|vni| Change::Vni(vni, Some(Vni { vrf: any_vrf(rng), reserved: 0, reserved2: 0 }))));
    changes.extend((1..4).map(|n| Change::RuleList(n, Some(rule_list(rng)))));
    // Most pairs of ends may talk, or nearly every packet would be dropped for want of a verdict.
    for (near, far) in (1..=IDENTITIES).flat_map(|near| (1..=IDENTITIES).map(move |far| (near, far))) {
        for direction in [Direction::Egress, Direction::Ingress] {
            if rng.chance(60) {
                changes.push(Change::Verdict(VerdictKey::pair(near, far, direction), Some(verdict(rng))));
            }
        }
    }
    changes.extend((0..40).map(|_| Change::Verdict(verdict_key(rng), Some(verdict(rng)))));
    changes.extend((0..6).map(|_| random_route(rng)));
    changes
}

fn random_route(rng: &mut Rng) -> Change {
    let hop = rng.pick(&NEXT_HOPS);
    let value = rng.chance(80).then(|| route(rng, hop));
    Change::Route(any_vrf(rng), prefix(rng), value)
}

/// A change in the middle of a case. Callers bump the VRFs, or not.
pub fn random(rng: &mut Rng, devices: &Devices, model: &Model) -> Change {
    let interfaces: Vec<Interface> = (0..WORKLOADS)
        .map(|n| {
            model.tables.interfaces.get(&devices.workloads[n]).copied().unwrap_or_else(|| interface(rng, n))
        })
        .collect();
    let present = rng.chance(75);
    match rng.below(10) {
        0 => {
            let n = rng.index(WORKLOADS);
            Change::Interface(devices.workloads[n], present.then(|| interface(rng, n)))
        }
        1 | 2 => {
            let index = rng.pick(&NEXT_HOPS[1..]);
            let value = if present { next_hop(rng, devices, &interfaces, index) } else { None };
            Change::NextHop(index, value)
        }
        3 | 4 => random_route(rng),
        5 => {
            let (n, hop) = (11 + rng.below(13), rng.pick(&NEXT_HOPS));
            Change::Bridge(any_vrf(rng), mac(n), present.then(|| bridge_entry(rng, hop)))
        }
        6 => {
            let number = rng.pick(&LABELS);
            Change::Label(number, present.then(|| label(rng, &interfaces, number)))
        }
        7 => Change::RuleList(1 + rng.below(3) as u32, present.then(|| rule_list(rng))),
        8 => {
            let existing: Vec<VerdictKey> = model.tables.verdicts.keys().copied().collect();
            let key = if existing.is_empty() { verdict_key(rng) } else { rng.pick(&existing) };
            Change::Verdict(key, present.then(|| verdict(rng)))
        }
        _ => Change::Verdict(verdict_key(rng), present.then(|| verdict(rng))),
    }
}
