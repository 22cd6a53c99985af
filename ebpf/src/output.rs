//! Sending a packet to its next hop.

use weft_dataplane::config::CONFIG_TRAP_TTL;
use weft_dataplane::packet::Ethernet;
use weft_dataplane::parse::{META_DF, Meta};
use weft_dataplane::tables::{NEXT_HOP_DISCARD, NEXT_HOP_INTERFACE, NEXT_HOP_RECEIVE, NH_VETH};
use weft_dataplane::tables::{NEXT_HOP_MPLS_L2, NEXT_HOP_MPLS_L3};
use weft_dataplane::{Config, DropReason, Interface, NextHop, TrapReason};

use crate::family::Family;
use crate::maps;
use crate::session::Outcome;
use crate::skb::{self, Skb};
use crate::trap;
use crate::tunnel::{self, Encapsulation};

/// Hands a packet, complete with its Ethernet header, to a workload.
#[inline(always)]
pub fn deliver(skb: &Skb, next_hop: &NextHop, bytes: u32) -> Result<i32, DropReason> {
    maps::count_delivered(next_hop.slot, bytes);
    if next_hop.flags & NH_VETH != 0 {
        skb.for_us();
        return skb::hand_to_peer(next_hop.ifindex);
    }
    skb::transmit(next_hop.ifindex)
}

/// Sends a workload's packet on.
#[inline(always)]
pub fn send<F: Family>(
    skb: &Skb,
    interface: &Interface,
    eth: &Ethernet,
    meta: &Meta,
    outcome: &Outcome,
) -> Result<i32, DropReason> {
    let next_hop = outcome.next_hop;
    match next_hop.kind {
        NEXT_HOP_DISCARD => return Err(DropReason::Discard),
        NEXT_HOP_RECEIVE => return Err(DropReason::GatewayNotServed),
        _ => {}
    }
    let config = maps::config()?;
    if !outcome.bridged && meta.ttl <= 1 {
        return ttl_exceeded(skb, config, interface);
    }
    if next_hop.kind == NEXT_HOP_INTERFACE {
        if !outcome.bridged {
            F::lower_ttl(skb);
            let routed = Ethernet { dst: next_hop.dmac, src: next_hop.smac, ethertype: F::ETHERTYPE };
            skb.write(0, routed.to_bytes());
        }
        return deliver(skb, next_hop, skb.len());
    }
    into_tunnel::<F>(skb, config, interface, eth, meta, outcome)
}

#[inline(always)]
fn into_tunnel<F: Family>(
    skb: &Skb,
    config: &Config,
    interface: &Interface,
    eth: &Ethernet,
    meta: &Meta,
    outcome: &Outcome,
) -> Result<i32, DropReason> {
    let next_hop = outcome.next_hop;
    let fits = match next_hop.kind {
        NEXT_HOP_MPLS_L3 => !outcome.bridged,
        NEXT_HOP_MPLS_L2 => outcome.bridged,
        _ => true,
    };
    if !fits {
        return Err(DropReason::NoTunnel);
    }
    let room = tunnel_room(config, next_hop);
    if largest_packet(skb, meta) > room {
        let reason = if meta.flags & META_DF != 0 { TrapReason::MtuExceeded } else { TrapReason::Fragment };
        return trap::send(skb, reason, interface, room);
    }
    let inner = if outcome.bridged {
        *eth
    } else {
        F::lower_ttl(skb);
        Ethernet { dst: outcome.dmac, src: interface.gateway_mac, ethertype: F::ETHERTYPE }
    };
    let source_port = outcome.source_port;
    tunnel::send(skb, &Encapsulation { config, next_hop, inner, source_port, tos: meta.tos })
}

/// The largest inner IP packet that the underlay carries to a next hop.
#[inline(always)]
fn tunnel_room(config: &Config, next_hop: &NextHop) -> u32 {
    let mtu = if next_hop.mtu != 0 { u32::from(next_hop.mtu) } else { config.fabric_mtu };
    mtu.saturating_sub(tunnel::overhead(next_hop))
}

/// The largest IP packet that will be on the wire: of a large send, one segment.
#[inline(always)]
fn largest_packet(skb: &Skb, meta: &Meta) -> u32 {
    match skb.gso_size() {
        0 => meta.length,
        size => size + u32::from(meta.segment_header_len),
    }
}

#[inline(never)]
fn ttl_exceeded(skb: &Skb, config: &Config, interface: &Interface) -> Result<i32, DropReason> {
    if config.flags & CONFIG_TRAP_TTL == 0 {
        return Err(DropReason::TtlExceeded);
    }
    trap::send(skb, TrapReason::TtlExceeded, interface, 0)
}
