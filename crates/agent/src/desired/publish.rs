//! The routes that this host tells the controllers of.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use weft_xmpp::items::{Encap, EvpnItem, Mobility, NextHop, RouteItem, UnicastItem};

use super::build::Round;
use super::interfaces::Active;
use crate::config::{Encapsulation, ForwardingMode};

/// Local preference of addresses that may be elsewhere as well.
const PREFERENCE_LOW: u32 = 100;

impl Round<'_> {
    pub(super) fn publish(&mut self, active: &Active) {
        let mode = active.network.forwarding_mode;
        for instance in &active.interface.routing_instances {
            if mode != ForwardingMode::L2 {
                self.publish_unicast(active, instance);
            }
            if mode != ForwardingMode::L3 {
                self.publish_evpn(active, instance);
            }
        }
    }

    fn put(&mut self, instance: &str, item: RouteItem) {
        let node = item.node(instance);
        self.out.published.entry((instance.to_owned(), node)).or_insert(item);
    }

    fn publish_unicast(&mut self, active: &Active, instance: &str) {
        let interface = &active.interface;
        let own = interface.addresses.iter().map(|a| (IpNet::from(*a), interface.local_preference));
        let pairs = interface.allowed_addresses.iter().map(|p| (*p, PREFERENCE_LOW));
        for (prefix, preference) in own.chain(pairs) {
            let hop = NextHop {
                label: active.label_l3,
                encaps: BTreeSet::from([Encap::Udp]),
                virtual_network: interface.network.clone(),
                ..NextHop::new(IpAddr::V4(self.underlay.tunnel_ip))
            };
            let item = UnicastItem {
                next_hops: vec![hop],
                virtual_network: interface.network.clone(),
                security_groups: active.groups.clone(),
                local_preference: preference,
                mobility: Some(Mobility::default()),
                sub_protocol: Some("interface".to_owned()),
                ..UnicastItem::new(prefix)
            };
            self.put(instance, RouteItem::Unicast(item));
        }
    }

    fn publish_evpn(&mut self, active: &Active, instance: &str) {
        let interface = &active.interface;
        let vxlan = self.view.global.encapsulations.first() == Some(&Encapsulation::Vxlan);
        let vni = active.network.vxlan_id;
        let (tag, label, encap) =
            if vxlan && vni != 0 { (vni, vni, Encap::Vxlan) } else { (0, active.label_l2, Encap::Udp) };
        let mut addresses: Vec<IpAddr> = interface.addresses.clone();
        if addresses.is_empty() {
            addresses.push(Ipv4Addr::UNSPECIFIED.into());
        }
        for address in addresses {
            let hop = NextHop {
                label,
                encaps: BTreeSet::from([encap]),
                ..NextHop::new(IpAddr::V4(self.underlay.tunnel_ip))
            };
            let item = EvpnItem {
                next_hops: vec![hop],
                virtual_network: interface.network.clone(),
                security_groups: active.groups.clone(),
                local_preference: interface.local_preference,
                mobility: Some(Mobility::default()),
                ..EvpnItem::new(tag, interface.mac, address.into())
            };
            self.put(instance, RouteItem::Evpn(item));
        }
    }
}
