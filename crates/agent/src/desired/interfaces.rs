//! Local interfaces: their entry, next hop, labels, and the routes and bridge entries that lead to them.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use weft_dataplane::tables::{
    IF_DHCP, IF_DNS, IF_L2, IF_L3, IF_POLICY, IF_RPF, IF_VETH, INTERFACE_WORKLOAD, LABEL_L2, LABEL_L3,
    NEXT_HOP_INTERFACE, NEXT_HOP_RECEIVE, NH_POLICY, NH_VETH, ROUTE_PROXY,
};
use weft_dataplane::{BridgeEntry, Interface as InterfaceEntry, Label, NextHop, Vni};

use super::LocalPort;
use super::build::Round;
use super::numbers::{LabelKey, NextHopKey};
use super::routes::BaseRoute;
use crate::config::{ForwardingMode, Interface, Network};
use crate::policy::{Gates, IdentitySet};
use crate::services::view::{GATEWAY_LINK_LOCAL, GATEWAY_MAC};

/// A local interface that is programmed in this round.
pub(super) struct Active {
    pub interface: Interface,
    pub network: Network,
    pub port: LocalPort,
    /// Numbers of its security groups.
    pub groups: Vec<u32>,
    pub label_l3: u32,
    pub label_l2: u32,
}

/// A next hop with nothing set.
pub(super) fn empty_next_hop(kind: u8) -> NextHop {
    NextHop {
        kind,
        flags: 0,
        vrf: 0,
        ifindex: 0,
        label: 0,
        slot: 0,
        identity: 0,
        generation: 0,
        src: [0; 4],
        dst: [0; 4],
        gateway: [0; 4],
        dmac: [0; 6],
        smac: [0; 6],
        mtu: 0,
        reserved: 0,
        reserved2: 0,
    }
}

/// The address that a Linux workload derives from its MAC (RFC 4291 appendix A).
pub(super) fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.map(u16::from);
    Ipv6Addr::new(0xfe80, 0, 0, 0, ((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f)
}

/// The numbers of one interface.
struct InterfaceNumbers {
    vrf: u16,
    slot: u32,
    next_hop: u32,
    label_l3: u32,
    label_l2: u32,
}

impl Round<'_> {
    /// Program `port`, if its configuration is complete.
    pub(super) fn interface(&mut self, port: &LocalPort) -> Option<Active> {
        let interface = self.view.interfaces.get(&port.interface)?.clone();
        let network = self.view.networks.get(&interface.network)?.clone();
        let groups = self.group_ids(&interface)?;
        let numbers = self.interface_numbers(&interface)?;
        for instance in &interface.routing_instances {
            self.vrf(instance)?;
        }
        let gates = Gates::of(&interface, self.view);
        let identity = self.near_identity(&interface, &groups, &gates, numbers.vrf);
        let active = Active {
            interface,
            network,
            port: port.clone(),
            groups,
            label_l3: numbers.label_l3,
            label_l2: numbers.label_l2,
        };
        self.entry(&active, &numbers, &gates, identity);
        self.addresses(&active, numbers.next_hop);
        Some(active)
    }

    /// The numbers of its security groups; `None` while one of them has not been delivered (its rules are unknown,
    /// and passing or dropping everything would both be wrong).
    fn group_ids(&mut self, interface: &Interface) -> Option<Vec<u32>> {
        if !interface.port_security {
            return Some(Vec::new());
        }
        let mut ids = Vec::with_capacity(interface.security_groups.len());
        for name in &interface.security_groups {
            match self.view.security_groups.get(name) {
                Some(group) => ids.push(group.id),
                None => {
                    self.problem(format_args!(
                        "interface {}: security group {name} is not known yet",
                        interface.name
                    ));
                    return None;
                }
            }
        }
        ids.sort_unstable();
        Some(ids)
    }

    fn interface_numbers(&mut self, interface: &Interface) -> Option<InterfaceNumbers> {
        let uuid = interface.uuid;
        let vrf = self.vrf(interface.routing_instances.first()?)?;
        let slot = self.numbers.slots.get(&uuid);
        let slot = self.take(slot)?;
        let label_l3 = self.numbers.labels.get(&LabelKey::L3(uuid));
        let label_l3 = self.take(label_l3)?;
        let label_l2 = self.numbers.labels.get(&LabelKey::L2(uuid));
        let label_l2 = self.take(label_l2)?;
        let next_hop = self.next_hop_index(NextHopKey::Interface(uuid))?;
        Some(InterfaceNumbers { vrf, slot, next_hop, label_l3, label_l2 })
    }

    /// The VRF of a routing instance, allotted if it is new.
    pub(super) fn vrf(&mut self, instance: &str) -> Option<u16> {
        let number = self.numbers.vrfs.get(&instance.to_owned());
        let vrf = self.take(number)? as u16;
        self.out.subscriptions.insert(instance.to_owned(), vrf);
        self.vrfs.entry(vrf).or_default();
        Some(vrf)
    }

    fn near_identity(&mut self, interface: &Interface, groups: &[u32], gates: &Gates, vrf: u16) -> u32 {
        let mentioned = gates.prefixes();
        let set = IdentitySet::of_interface(
            &interface.network,
            groups.iter().copied(),
            &interface.addresses,
            &mentioned,
        );
        let identity = self.identity(&set);
        let draft = self.vrfs.entry(vrf).or_default();
        draft.mentioned.extend(mentioned);
        if !gates.is_open() {
            draft.near.insert(identity, (set, gates.clone()));
        }
        identity
    }

    fn entry(&mut self, active: &Active, numbers: &InterfaceNumbers, gates: &Gates, identity: u32) {
        let (interface, network, port) = (&active.interface, &active.network, &active.port);
        let policy = !gates.is_open();
        let mut flags = match network.forwarding_mode {
            ForwardingMode::L2L3 => IF_L2 | IF_L3,
            ForwardingMode::L2 => IF_L2,
            ForwardingMode::L3 => IF_L3,
        };
        let dhcp = interface.addresses.iter().any(|a| network.subnet_of(*a).is_some_and(|s| s.dhcp));
        for (wanted, flag) in [
            (policy, IF_POLICY),
            (dhcp, IF_DHCP),
            (true, IF_DNS),
            (network.rpf && interface.port_security, IF_RPF),
            (port.veth, IF_VETH),
        ] {
            flags |= if wanted { flag } else { 0 };
        }
        let tables = &mut self.out.tables;
        tables.interfaces.insert(
            port.ifindex,
            InterfaceEntry {
                kind: INTERFACE_WORKLOAD,
                reserved: 0,
                vrf: numbers.vrf,
                flags,
                identity,
                slot: numbers.slot,
                mac: interface.mac.0,
                gateway_mac: GATEWAY_MAC,
                reserved2: 0,
            },
        );
        let next_hop = NextHop {
            flags: (if policy { NH_POLICY } else { 0 }) | (if port.veth { NH_VETH } else { 0 }),
            vrf: numbers.vrf,
            ifindex: port.ifindex,
            slot: numbers.slot,
            identity,
            dmac: interface.mac.0,
            smac: GATEWAY_MAC,
            ..empty_next_hop(NEXT_HOP_INTERFACE)
        };
        tables.next_hops.insert(numbers.next_hop, next_hop);
        for (label, kind) in [(numbers.label_l3, LABEL_L3), (numbers.label_l2, LABEL_L2)] {
            let value = Label { next_hop: numbers.next_hop, vrf: numbers.vrf, kind, reserved: 0 };
            tables.labels.insert(label, value);
        }
        if network.vxlan_id != 0 {
            let value = Vni { vrf: numbers.vrf, reserved: 0, reserved2: 0 };
            tables.vnis.insert(network.vxlan_id, value);
        }
    }

    /// Routes to the interface and to its subnets' gateways, in each of its VRFs.
    fn addresses(&mut self, active: &Active, next_hop: u32) {
        let (interface, network) = (&active.interface, &active.network);
        let set = IdentitySet {
            network: interface.network.clone(),
            groups: active.groups.iter().copied().collect(),
            ..IdentitySet::default()
        };
        let identity = self.identity(&set);
        let own = interface.addresses.iter().map(|a| IpNet::from(*a));
        let from_mac = IpNet::from(IpAddr::V6(link_local(interface.mac.0)));
        let prefixes: Vec<IpNet> =
            own.chain(interface.allowed_addresses.iter().copied()).chain([from_mac]).collect();
        let receive = self.next_hop_index(NextHopKey::Receive);
        for instance in &interface.routing_instances {
            let Some(vrf) = self.vrf(instance) else { continue };
            let l3_only = network.forwarding_mode == ForwardingMode::L3;
            let mac = if l3_only { [0; 6] } else { interface.mac.0 };
            for prefix in &prefixes {
                let route = BaseRoute {
                    next_hop,
                    network: Some(interface.network.clone()),
                    groups: active.groups.clone(),
                    mac,
                    flags: ROUTE_PROXY,
                };
                // Several interfaces may hold an address: the first keeps it.
                self.draft(vrf).routes.entry(*prefix).or_insert(route);
            }
            let entry = BridgeEntry { next_hop, identity };
            self.out.tables.bridge.insert((vrf, interface.mac.0), entry);
            self.draft(vrf).far.insert(identity, set.clone());
            self.draft(vrf).l3_only |= l3_only;
            if let Some(receive) = receive {
                self.gateways(vrf, network, receive);
            }
        }
    }

    pub(super) fn draft(&mut self, vrf: u16) -> &mut super::build::VrfDraft {
        self.vrfs.entry(vrf).or_default()
    }

    fn gateways(&mut self, vrf: u16, network: &Network, receive: u32) {
        self.out.tables.next_hops.insert(receive, empty_next_hop(NEXT_HOP_RECEIVE));
        let draft = self.draft(vrf);
        let of_subnets = network.subnets.iter().flat_map(|s| [s.gateway, s.dns_server]).flatten();
        for address in of_subnets.chain([IpAddr::V6(GATEWAY_LINK_LOCAL)]) {
            let route = BaseRoute {
                next_hop: receive,
                network: None,
                groups: Vec::new(),
                mac: [0; 6],
                flags: ROUTE_PROXY,
            };
            draft.routes.insert(address.into(), route);
        }
        draft.subnets.extend(network.subnets.iter().map(|s| s.prefix));
    }
}
