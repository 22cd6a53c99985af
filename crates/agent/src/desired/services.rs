//! What the services answer on each interface.

use std::net::IpAddr;

use ipnet::IpNet;

use super::build::Round;
use super::interfaces::Active;
use crate::config::Subnet;
use crate::services::view::FALLBACK_SERVER;
use crate::services::{Lease4, Lease6, PortServices};

/// What the largest of our encapsulations adds to a workload's IP packet: VXLAN, 20 + 8 + 8 + 14 bytes.
const TUNNEL_OVERHEAD: u16 = 50;
/// Least MTU given to workloads (that of IPv6).
const LEAST_MTU: u16 = 1280;

impl Round<'_> {
    pub(super) fn services_of(&mut self, active: &Active) {
        let (interface, network) = (&active.interface, &active.network);
        let fits = self.underlay.fabric_mtu.saturating_sub(TUNNEL_OVERHEAD).max(LEAST_MTU);
        let placed = |v6: bool| {
            let mut own = interface.addresses.iter().filter(move |a| a.is_ipv6() == v6);
            own.find_map(|a| network.subnet_of(*a).filter(|s| s.dhcp).map(|s| (*a, s)))
        };
        let services = PortServices {
            interface: interface.uuid,
            ifindex: active.port.ifindex,
            mac: interface.mac.0,
            network: network.name.clone(),
            hostname: interface.hostname.clone(),
            mtu: network.mtu.unwrap_or(fits),
            lease4: placed(false).and_then(|(address, subnet)| lease4(address, subnet)),
            lease6: placed(true).and_then(|(address, subnet)| lease6(address, subnet)),
        };
        self.out.services.insert(active.port.ifindex, services);
    }
}

fn lease4(address: IpAddr, subnet: &Subnet) -> Option<Lease4> {
    let v4 = |address: IpAddr| match address {
        IpAddr::V4(a) => Some(a),
        IpAddr::V6(_) => None,
    };
    let gateway = subnet.gateway.and_then(v4);
    let routes = subnet.host_routes.iter().filter_map(|(net, hop)| match (net, hop) {
        (IpNet::V4(net), IpAddr::V4(hop)) => Some((*net, *hop)),
        _ => None,
    });
    Some(Lease4 {
        address: v4(address)?,
        prefix_len: subnet.prefix.prefix_len(),
        gateway,
        server: gateway.or(subnet.dns_server.and_then(v4)).unwrap_or(FALLBACK_SERVER),
        dns: subnet.servers_for_workloads().into_iter().filter_map(v4).collect(),
        domain: subnet.ipam.domain.clone(),
        host_routes: routes.collect(),
        options: subnet.options_for_workloads(),
    })
}

fn lease6(address: IpAddr, subnet: &Subnet) -> Option<Lease6> {
    let v6 = |address: IpAddr| match address {
        IpAddr::V6(a) => Some(a),
        IpAddr::V4(_) => None,
    };
    let IpNet::V6(prefix) = subnet.prefix else { return None };
    Some(Lease6 {
        address: v6(address)?,
        subnet: prefix,
        gateway: subnet.gateway.and_then(v6),
        dns: subnet.servers_for_workloads().into_iter().filter_map(v6).collect(),
        domain: subnet.ipam.domain.clone(),
    })
}
