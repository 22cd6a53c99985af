//! What the vRouter answers itself: ARP, neighbour solicitations, echo to its own addresses; and what it traps.

use weft_dataplane::config::stage;
use weft_dataplane::flow::{FlowKey4, FlowKey6};
use weft_dataplane::judge::Tables;
use weft_dataplane::packet::{ETH_LEN, Ethernet, IPV6_LEN, Packet, protocol};
use weft_dataplane::parse::{META_ECHO, META_FRAGMENT, Meta};
use weft_dataplane::reply::{self, ADVERTISEMENT_FRAME, ARP_FRAME, SOLICITATION_FRAME};
use weft_dataplane::tables::{IF_DHCP, IF_DNS, NEXT_HOP_INTERFACE, NEXT_HOP_RECEIVE, ROUTE_PROXY};
use weft_dataplane::{DropReason, Interface, Route, TrapReason};

use crate::maps::Kernel;
use crate::skb::{self, Skb};
use crate::trap;

const DHCP_SERVER: [u8; 2] = 67u16.to_be_bytes();
const DHCP6_SERVER: [u8; 2] = 547u16.to_be_bytes();
const DNS: [u8; 2] = 53u16.to_be_bytes();

/// Who has an address, for an asker on an interface.
enum Binding {
    /// This MAC does; true for the vRouter itself.
    Mac([u8; 6], bool),
    /// The asker itself.
    Own,
    /// Nobody.
    Nobody,
}

#[inline(always)]
fn binding(route: Option<&Route>, ifindex: u32, interface: &Interface) -> Binding {
    let Some(route) = route else { return Binding::Nobody };
    let Some(next_hop) = Kernel.next_hop(route.next_hop) else { return Binding::Nobody };
    if next_hop.kind == NEXT_HOP_INTERFACE && next_hop.ifindex == ifindex {
        return Binding::Own;
    }
    if next_hop.kind == NEXT_HOP_RECEIVE {
        return Binding::Mac(interface.gateway_mac, true);
    }
    if route.flags & ROUTE_PROXY == 0 {
        return Binding::Nobody;
    }
    let mac = if route.mac == [0; 6] { interface.gateway_mac } else { route.mac };
    Binding::Mac(mac, false)
}

/// Answers an ARP request from the routes.
#[inline(always)]
pub fn arp(skb: &Skb, interface: &Interface) -> Result<i32, DropReason> {
    let frame = skb.load::<ARP_FRAME>(0).ok_or(DropReason::TruncatedArp)?;
    let request = reply::arp_request(&frame).ok_or(DropReason::TruncatedArp)?;
    if !request.asks {
        return Err(DropReason::NeighbourUnwanted);
    }
    let ifindex = skb.ifindex();
    match binding(Kernel.route4(interface.vrf, request.target), ifindex, interface) {
        Binding::Mac(mac, _) => {
            if !skb.write(0, reply::arp_reply(&frame, mac)) {
                return Err(DropReason::TruncatedArp);
            }
            skb::transmit(ifindex)
        }
        Binding::Own => Err(DropReason::ArpOwnAddress),
        Binding::Nobody => Err(DropReason::ArpUnanswered),
    }
}

/// Answers a neighbour solicitation from the routes.
#[inline(always)]
pub fn solicitation(skb: &Skb, interface: &Interface) -> Result<i32, DropReason> {
    let frame = skb.load::<SOLICITATION_FRAME>(0).ok_or(DropReason::TruncatedTransport)?;
    let target = reply::solicitation_target(&frame);
    let unspecified = [0u8; 16];
    let ifindex = skb.ifindex();
    let silent = DropReason::NeighbourUnanswered;
    let Binding::Mac(mac, router) = binding(Kernel.route6(interface.vrf, &target), ifindex, interface) else {
        return Err(silent);
    };
    // A probe for an address in use elsewhere: answered to all nodes, so that the prober does not take it.
    let mut answer = reply::advertisement(&frame, mac, router);
    if frame[22..38] == unspecified {
        reply::to_all_nodes(&mut answer);
    }
    if !skb.resize(ADVERTISEMENT_FRAME as u32) || !skb.store(0, &answer) {
        return Err(silent);
    }
    skb::transmit(ifindex)
}

/// Handles IPv4 that is the vRouter's business whatever the routes say. `None`: it is not.
#[inline(always)]
pub fn services4(
    skb: &Skb,
    interface: &Interface,
    meta: &Meta,
    key: &FlowKey4,
) -> Option<Result<i32, DropReason>> {
    let dhcp = meta.protocol == protocol::UDP && key.dport == DHCP_SERVER && meta.flags & META_FRAGMENT == 0;
    if dhcp && interface.flags & IF_DHCP != 0 {
        return Some(trap::send(skb, TrapReason::Dhcp, interface, 0));
    }
    None
}

/// As [`services4`], for IPv6.
#[inline(always)]
pub fn services6(
    skb: &Skb,
    interface: &Interface,
    meta: &Meta,
    key: &FlowKey6,
) -> Option<Result<i32, DropReason>> {
    if meta.flags & META_FRAGMENT != 0 {
        return None;
    }
    if meta.protocol == protocol::UDP && key.dport == DHCP6_SERVER && interface.flags & IF_DHCP != 0 {
        return Some(trap::send(skb, TrapReason::Dhcp6, interface, 0));
    }
    if meta.protocol != protocol::ICMPV6 {
        return None;
    }
    match meta.icmp_type {
        reply::ROUTER_SOLICITATION => Some(trap::send(skb, TrapReason::RouterSolicitation, interface, 0)),
        reply::NEIGHBOUR_SOLICITATION if meta.header_len == IPV6_LEN as u16 => {
            if meta.length < (SOLICITATION_FRAME - ETH_LEN) as u32 {
                return Some(Err(DropReason::TruncatedTransport));
            }
            Some(Err(skb.enter(stage::NEIGHBOUR)))
        }
        reply::NEIGHBOUR_SOLICITATION | reply::NEIGHBOUR_ADVERTISEMENT | reply::ROUTER_ADVERTISEMENT => {
            Some(Err(DropReason::NeighbourUnwanted))
        }
        _ => None,
    }
}

/// Handles a packet to one of the vRouter's own addresses.
#[inline(always)]
pub fn receive(
    skb: &Skb,
    interface: &Interface,
    eth: &Ethernet,
    meta: &Meta,
    dport: [u8; 2],
) -> Result<i32, DropReason> {
    if meta.flags & META_FRAGMENT != 0 {
        return Err(DropReason::GatewayNotServed);
    }
    if meta.flags & META_ECHO != 0 {
        return echo(skb, eth, meta);
    }
    if meta.protocol == protocol::UDP && dport == DNS && interface.flags & IF_DNS != 0 {
        return trap::send(skb, TrapReason::Dns, interface, 0);
    }
    Err(DropReason::GatewayNotServed)
}

/// Turns an echo request into its reply and sends it back.
#[inline(never)]
fn echo(skb: &Skb, eth: &Ethernet, meta: &Meta) -> Result<i32, DropReason> {
    let cut = DropReason::TruncatedTransport;
    let l4 = ETH_LEN + meta.header_len as usize;
    let [kind, code, s0, s1] = skb.load::<4>(l4).ok_or(cut)?;
    let back = if meta.version == 4 { 0 } else { 129 };
    let old = u16::from_be_bytes([kind, code]);
    let sum = reply::checksum_replace([s0, s1], old, u16::from_be_bytes([back, code]));
    let turned = Ethernet { dst: eth.src, src: eth.dst, ethertype: eth.ethertype };
    let swapped = if meta.version == 4 {
        match (skb.load::<4>(26), skb.load::<4>(30)) {
            (Some(src), Some(dst)) => skb.write(26, dst) && skb.write(30, src),
            _ => false,
        }
    } else {
        match (skb.load::<16>(22), skb.load::<16>(38)) {
            (Some(src), Some(dst)) => skb.write(22, dst) && skb.write(38, src),
            _ => false,
        }
    };
    if !swapped || !skb.write(l4, [back, code, sum[0], sum[1]]) || !skb.write(0, turned.to_bytes()) {
        return Err(cut);
    }
    skb::transmit(skb.ifindex())
}
