//! Routes learned from controllers, and the final form of each VRF's routes with identities.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use weft_dataplane::tables::{
    LABEL_L3, NEXT_HOP_MPLS_L2, NEXT_HOP_MPLS_L3, NEXT_HOP_VXLAN, NH_RESOLVED, ROUTE_PROXY,
};
use weft_dataplane::{BridgeEntry, NextHop, Route, identity};
use weft_xmpp::items::{Encap, EvpnItem, NextHop as ItemHop, UnicastItem};

use super::build::Round;
use super::interfaces::empty_next_hop;
use super::numbers::NextHopKey;
use crate::config::Encapsulation;
use crate::policy::IdentitySet;

/// A route before its identity is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseRoute {
    pub next_hop: u32,
    /// The network of what is behind it; `None` for the vRouter itself, which policy does not concern.
    pub network: Option<String>,
    pub groups: Vec<u32>,
    pub mac: [u8; 6],
    pub flags: u16,
}

impl Round<'_> {
    /// Enter the learned routes of every subscribed VRF. What is local stays local.
    pub(super) fn learned_routes(&mut self) {
        let learned = self.learned;
        for (instance, vrf) in self.out.subscriptions.clone() {
            let Some(routes) = learned.instances.get(&instance) else { continue };
            let mut bound = BTreeMap::new();
            for item in routes.evpn.values() {
                self.learned_mac(vrf, item, &mut bound);
            }
            for item in routes.unicast.values() {
                self.learned_prefix(vrf, item, &bound);
            }
        }
    }

    fn learned_prefix(&mut self, vrf: u16, item: &UnicastItem, bound: &BTreeMap<IpAddr, [u8; 6]>) {
        if self.draft(vrf).routes.contains_key(&item.prefix) {
            return;
        }
        let local = item.next_hops.iter().find_map(|h| self.own_label(h).map(|index| (h, index)));
        let found = local.or_else(|| {
            let (hop, key) = item.next_hops.iter().find_map(|h| self.l3_tunnel(h).map(|k| (h, k)))?;
            self.tunnel(key).map(|index| (hop, index))
        });
        let Some((hop, next_hop)) = found else { return };
        let network =
            if item.virtual_network.is_empty() { &hop.virtual_network } else { &item.virtual_network };
        let host = item.prefix.prefix_len() == item.prefix.max_prefix_len();
        let draft = self.draft(vrf);
        let mac = bound.get(&item.prefix.addr()).filter(|_| host && !draft.l3_only);
        let in_subnet = draft.subnets.iter().any(|s| s.contains(&item.prefix));
        let route = BaseRoute {
            next_hop,
            network: Some(network.clone()),
            groups: sorted(&item.security_groups),
            mac: mac.copied().unwrap_or_default(),
            flags: if host || in_subnet { ROUTE_PROXY } else { 0 },
        };
        draft.routes.insert(item.prefix, route);
    }

    fn learned_mac(&mut self, vrf: u16, item: &EvpnItem, bound: &mut BTreeMap<IpAddr, [u8; 6]>) {
        // Broadcast trees and prefix routes are not for the bridge table.
        if item.mac.is_multicast() || item.mac.0 == [0; 6] {
            return;
        }
        let Some(key) = item.next_hops.iter().find_map(|h| self.l2_tunnel(h)) else { return };
        if !item.address.addr().is_unspecified() {
            bound.insert(item.address.addr(), item.mac.0);
        }
        if self.out.tables.bridge.contains_key(&(vrf, item.mac.0)) {
            return;
        }
        let Some(next_hop) = self.tunnel(key) else { return };
        let set = IdentitySet {
            network: item.virtual_network.clone(),
            groups: item.security_groups.iter().copied().collect(),
            ..IdentitySet::default()
        };
        let identity = self.identity(&set);
        self.draft(vrf).far.insert(identity, set);
        self.out.tables.bridge.insert((vrf, item.mac.0), BridgeEntry { next_hop, identity });
    }

    /// The next hop behind one of our own labels: a local interface of another network, which a policy lets in.
    fn own_label(&self, hop: &ItemHop) -> Option<u32> {
        let ours = hop.address == IpAddr::V4(self.underlay.tunnel_ip);
        let label = self.out.tables.labels.get(&hop.label).filter(|l| ours && l.kind == LABEL_L3)?;
        Some(label.next_hop)
    }

    fn remote(&self, hop: &ItemHop) -> Option<Ipv4Addr> {
        match hop.address {
            IpAddr::V4(address) if address != self.underlay.tunnel_ip && !address.is_unspecified() => {
                Some(address)
            }
            _ => None,
        }
    }

    /// Routed traffic goes by MPLS over UDP, whose label says where to; VXLAN routing needs a VNI for every hop.
    fn l3_tunnel(&self, hop: &ItemHop) -> Option<NextHopKey> {
        let address = self.remote(hop)?;
        (hop.encaps.contains(&Encap::Udp) && hop.label != 0).then_some(NextHopKey::MplsL3(address, hop.label))
    }

    fn l2_tunnel(&self, hop: &ItemHop) -> Option<NextHopKey> {
        let address = self.remote(hop)?;
        let supported =
            self.view.global.encapsulations.iter().chain(&[Encapsulation::MplsOverUdp, Encapsulation::Vxlan]);
        supported.copied().find_map(|encapsulation| match encapsulation {
            _ if hop.label == 0 => None,
            Encapsulation::MplsOverUdp if hop.encaps.contains(&Encap::Udp) => {
                Some(NextHopKey::MplsL2(address, hop.label))
            }
            Encapsulation::Vxlan if hop.encaps.contains(&Encap::Vxlan) => {
                Some(NextHopKey::Vxlan(address, hop.label))
            }
            _ => None,
        })
    }

    /// The index of a tunnel next hop, entered in the table.
    fn tunnel(&mut self, key: NextHopKey) -> Option<u32> {
        let (kind, remote, label) = match key {
            NextHopKey::MplsL3(remote, label) => (NEXT_HOP_MPLS_L3, remote, label),
            NextHopKey::MplsL2(remote, label) => (NEXT_HOP_MPLS_L2, remote, label),
            NextHopKey::Vxlan(remote, label) => (NEXT_HOP_VXLAN, remote, label),
            NextHopKey::Receive | NextHopKey::Interface(_) => return None,
        };
        let index = self.next_hop_index(key)?;
        self.out.remotes.insert(remote);
        let underlay = self.underlay;
        let way = underlay.ways.get(&remote);
        let gateway = way.and_then(|w| w.gateway).unwrap_or(Ipv4Addr::UNSPECIFIED);
        let mac = way.and_then(|w| w.mac);
        let next_hop = NextHop {
            flags: if mac.is_some() { NH_RESOLVED } else { 0 },
            ifindex: underlay.fabric_ifindex,
            label,
            src: underlay.tunnel_ip.octets(),
            dst: remote.octets(),
            gateway: gateway.octets(),
            dmac: mac.unwrap_or_default(),
            smac: if mac.is_some() { underlay.fabric_mac } else { [0; 6] },
            ..empty_next_hop(kind)
        };
        self.out.tables.next_hops.insert(index, next_hop);
        Some(index)
    }

    /// Split routes where rules distinguish addresses under them, and give each its identity.
    pub(super) fn finish_vrfs(&mut self) {
        let vrfs: Vec<u16> = self.vrfs.keys().copied().collect();
        for vrf in vrfs {
            let mut routes = std::mem::take(&mut self.draft(vrf).routes);
            let mentioned = self.draft(vrf).mentioned.clone();
            for prefix in &mentioned {
                if !routes.contains_key(prefix)
                    && let Some(covering) = covering(&routes, *prefix)
                {
                    let under = BaseRoute { mac: [0; 6], ..covering.clone() };
                    routes.insert(*prefix, under);
                }
            }
            for (prefix, base) in routes {
                let identity = match &base.network {
                    None => identity::UNKNOWN,
                    Some(network) => {
                        let set =
                            IdentitySet::of_prefix(network, base.groups.iter().copied(), prefix, &mentioned);
                        let number = self.identity(&set);
                        self.draft(vrf).far.insert(number, set);
                        number
                    }
                };
                let route = Route { next_hop: base.next_hop, identity, mac: base.mac, flags: base.flags };
                self.out.tables.routes.insert((vrf, prefix), route);
            }
        }
    }
}

/// The longest route that contains `prefix`.
fn covering(routes: &BTreeMap<IpNet, BaseRoute>, prefix: IpNet) -> Option<&BaseRoute> {
    (0..prefix.prefix_len()).rev().find_map(|len| {
        let wider = IpNet::new(prefix.addr(), len).ok()?.trunc();
        routes.get(&wider)
    })
}

fn sorted(groups: &[u32]) -> Vec<u32> {
    let mut groups = groups.to_vec();
    groups.sort_unstable();
    groups
}
