//! IPv4 and IPv6 side by side: what differs is named here, the rest is written once.

use aya_ebpf::maps::HashMap;
use weft_dataplane::config::stage;
use weft_dataplane::flow::{Flow, FlowKey, FlowKey4, FlowKey6};
use weft_dataplane::packet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Packet, protocol};
use weft_dataplane::parse::{self, Meta};
use weft_dataplane::reply::checksum_replace;
use weft_dataplane::{DropReason, Interface};

use crate::gateway;
use crate::maps::{FLOWS4, FLOWS6};
use crate::skb::Skb;

/// An address family.
pub trait Family {
    /// Its flow key.
    type Key: FlowKey + 'static;
    /// Its EtherType.
    const ETHERTYPE: [u8; 2];
    /// Parses the packet whose IP header is at `l3`.
    fn parse(skb: &Skb, l3: usize, zone: u16) -> Result<(Meta, Self::Key), DropReason>;
    /// The stages that judge its packets.
    const WORKLOAD_NEW: u32;
    /// The stages that send its judged packets.
    const WORKLOAD_SEND: u32;
    /// The stages that judge its packets.
    const FABRIC_NEW: u32;
    /// The stages that deliver its judged packets from the fabric.
    const FABRIC_SEND: u32;
    /// Handles a workload's packet that is the vRouter's business whatever the routes say. `None`: it is not.
    fn services(
        skb: &Skb,
        interface: &Interface,
        meta: &Meta,
        key: &Self::Key,
    ) -> Option<Result<i32, DropReason>>;
    /// Its flow table.
    fn flows() -> &'static HashMap<Self::Key, Flow>;
    /// The traffic class in the IP header at `l3`.
    fn traffic_class(skb: &Skb, l3: usize) -> Option<u8>;
    /// Lowers the TTL of the packet behind the Ethernet header; it is at least 2.
    fn lower_ttl(skb: &Skb);
    /// Source and destination in the IP header at `l3` are the key's.
    fn same_addresses(skb: &Skb, l3: usize, key: &Self::Key) -> (bool, bool);
    /// Makes the key of the flow that an ICMP error concerns into the error's own, without ports.
    fn make_own(skb: &Skb, l3: usize, key: &mut Self::Key);
}

/// IPv4.
pub struct V4;
/// IPv6.
pub struct V6;

impl Family for V4 {
    type Key = FlowKey4;
    const ETHERTYPE: [u8; 2] = ETHERTYPE_IPV4;
    const WORKLOAD_NEW: u32 = stage::WORKLOAD_NEW4;
    const WORKLOAD_SEND: u32 = stage::WORKLOAD_SEND4;
    const FABRIC_NEW: u32 = stage::FABRIC_NEW4;
    const FABRIC_SEND: u32 = stage::FABRIC_SEND4;

    #[inline(always)]
    fn services(
        skb: &Skb,
        interface: &Interface,
        meta: &Meta,
        key: &FlowKey4,
    ) -> Option<Result<i32, DropReason>> {
        gateway::services4(skb, interface, meta, key)
    }

    #[inline(always)]
    fn parse(skb: &Skb, l3: usize, zone: u16) -> Result<(Meta, FlowKey4), DropReason> {
        parse::ipv4(skb, l3, zone)
    }

    #[inline(always)]
    fn flows() -> &'static HashMap<FlowKey4, Flow> {
        &FLOWS4
    }

    #[inline(always)]
    fn traffic_class(skb: &Skb, l3: usize) -> Option<u8> {
        skb.load::<2>(l3).map(|[_, tos]| tos)
    }

    #[inline(always)]
    fn lower_ttl(skb: &Skb) {
        if let Some([ttl, protocol, s0, s1]) = skb.load::<4>(22) {
            let old = u16::from_be_bytes([ttl, protocol]);
            let sum = checksum_replace([s0, s1], old, old.wrapping_sub(0x100));
            skb.write(22, [ttl.wrapping_sub(1), protocol, sum[0], sum[1]]);
        }
    }

    #[inline(always)]
    fn same_addresses(skb: &Skb, l3: usize, key: &FlowKey4) -> (bool, bool) {
        (skb.load(l3 + 12) == Some(key.src), skb.load(l3 + 16) == Some(key.dst))
    }

    #[inline(always)]
    fn make_own(skb: &Skb, l3: usize, key: &mut FlowKey4) {
        skb.fetch_into(l3 as u32 + 12, &mut key.src);
        skb.fetch_into(l3 as u32 + 16, &mut key.dst);
        (key.sport, key.dport, key.protocol) = ([0; 2], [0; 2], protocol::ICMP);
    }
}

impl Family for V6 {
    type Key = FlowKey6;
    const ETHERTYPE: [u8; 2] = ETHERTYPE_IPV6;
    const WORKLOAD_NEW: u32 = stage::WORKLOAD_NEW6;
    const WORKLOAD_SEND: u32 = stage::WORKLOAD_SEND6;
    const FABRIC_NEW: u32 = stage::FABRIC_NEW6;
    const FABRIC_SEND: u32 = stage::FABRIC_SEND6;

    #[inline(always)]
    fn services(
        skb: &Skb,
        interface: &Interface,
        meta: &Meta,
        key: &FlowKey6,
    ) -> Option<Result<i32, DropReason>> {
        gateway::services6(skb, interface, meta, key)
    }

    #[inline(always)]
    fn parse(skb: &Skb, l3: usize, zone: u16) -> Result<(Meta, FlowKey6), DropReason> {
        parse::ipv6(skb, l3, zone)
    }

    #[inline(always)]
    fn flows() -> &'static HashMap<FlowKey6, Flow> {
        &FLOWS6
    }

    #[inline(always)]
    fn traffic_class(skb: &Skb, l3: usize) -> Option<u8> {
        skb.load::<2>(l3).map(|[first, second]| (first << 4) | (second >> 4))
    }

    #[inline(always)]
    fn lower_ttl(skb: &Skb) {
        if let Some([ttl]) = skb.load::<1>(21) {
            skb.write(21, [ttl.wrapping_sub(1)]);
        }
    }

    #[inline(always)]
    fn same_addresses(skb: &Skb, l3: usize, key: &FlowKey6) -> (bool, bool) {
        (skb.load(l3 + 8) == Some(key.src), skb.load(l3 + 24) == Some(key.dst))
    }

    #[inline(always)]
    fn make_own(skb: &Skb, l3: usize, key: &mut FlowKey6) {
        skb.fetch_into(l3 as u32 + 8, &mut key.src);
        skb.fetch_into(l3 as u32 + 24, &mut key.dst);
        (key.sport, key.dport, key.protocol) = ([0; 2], [0; 2], protocol::ICMPV6);
    }
}
