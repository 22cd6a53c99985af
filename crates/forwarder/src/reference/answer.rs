//! What the forwarder answers itself.

use std::net::IpAddr;

use etherparse::{ArpEthIpv4Packet, ArpOperation, ArpPacketSlice, EtherType, Ethernet2Header, PacketBuilder};
use weft_dataplane::tables::{NEXT_HOP_INTERFACE, NEXT_HOP_RECEIVE, ROUTE_PROXY};
use weft_dataplane::{DropReason, Interface};

use super::{Facts, Tables};

/// Who has an address, for an asker on an interface.
enum Binding {
    /// This MAC; `router` when it is the vRouter itself.
    Mac { mac: [u8; 6], router: bool },
    /// The asker.
    Own,
    /// Nobody that we answer for.
    Nobody,
}

fn binding(tables: &Tables, ifindex: u32, interface: &Interface, address: IpAddr) -> Binding {
    let Some(route) = tables.route(interface.vrf, address) else { return Binding::Nobody };
    let Ok(next_hop) = tables.next_hop(route.next_hop) else { return Binding::Nobody };
    match next_hop.kind {
        NEXT_HOP_INTERFACE if next_hop.ifindex == ifindex => Binding::Own,
        NEXT_HOP_RECEIVE => Binding::Mac { mac: interface.gateway_mac, router: true },
        _ if route.flags & ROUTE_PROXY == 0 => Binding::Nobody,
        _ if route.mac == [0; 6] => Binding::Mac { mac: interface.gateway_mac, router: false },
        _ => Binding::Mac { mac: route.mac, router: false },
    }
}

/// The reply to an ARP frame.
///
/// # Errors
/// Why it gets none.
pub fn arp_answer(tables: &Tables, ifindex: u32, frame: &[u8]) -> Result<Vec<u8>, DropReason> {
    let interface = tables.interfaces.get(&ifindex).ok_or(DropReason::UnknownInterface)?;
    let bytes = frame.get(14..).unwrap_or_default();
    let request = ArpPacketSlice::from_slice(bytes).map_err(|_| DropReason::TruncatedArp)?.to_packet();
    let request: ArpEthIpv4Packet = request.try_eth_ipv4().map_err(|_| DropReason::TruncatedArp)?;
    let asks = request.operation == ArpOperation::REQUEST && request.sender_ipv4 != request.target_ipv4;
    if !asks {
        return Err(DropReason::NeighbourUnwanted);
    }
    let mac = match binding(tables, ifindex, interface, request.target_ipv4.into()) {
        Binding::Mac { mac, .. } => mac,
        Binding::Own => return Err(DropReason::ArpOwnAddress),
        Binding::Nobody => return Err(DropReason::ArpUnanswered),
    };
    let header = Ethernet2Header { source: mac, destination: request.sender_mac, ether_type: EtherType::ARP };
    let reply = ArpEthIpv4Packet {
        operation: ArpOperation::REPLY,
        sender_mac: mac,
        sender_ipv4: request.target_ipv4,
        target_mac: request.sender_mac,
        target_ipv4: request.sender_ipv4,
    };
    let mut answer = header.to_bytes().to_vec();
    answer.extend(reply.to_bytes());
    answer.extend(frame.get(answer.len()..).unwrap_or_default());
    Ok(answer)
}

/// The advertisement that answers the neighbour solicitation in a frame, whose ICMPv6 header follows the IPv6 header.
///
/// # Errors
/// Why it gets none.
pub fn solicitation_answer(
    tables: &Tables,
    ifindex: u32,
    frame: &[u8],
    facts: &Facts,
) -> Result<Vec<u8>, DropReason> {
    let interface = tables.interfaces.get(&ifindex).ok_or(DropReason::UnknownInterface)?;
    let packet = frame.get(14..14 + facts.length).unwrap_or_default();
    let target = packet.get(48..64).ok_or(DropReason::TruncatedTransport)?;
    let target: [u8; 16] = target.try_into().map_err(|_| DropReason::TruncatedTransport)?;
    let Binding::Mac { mac, router } = binding(tables, ifindex, interface, IpAddr::from(target)) else {
        return Err(DropReason::NeighbourUnanswered);
    };
    let IpAddr::V6(asker) = facts.conversation.source else { return Err(DropReason::NeighbourUnanswered) };
    let asker_mac = frame.get(6..12).and_then(|b| b.try_into().ok()).unwrap_or_default();
    // Without an address the asker is looking for a duplicate: everyone is told.
    let probing = asker.is_unspecified();
    let (to_mac, to) = if probing {
        ([0x33, 0x33, 0, 0, 0, 1], [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    } else {
        (asker_mac, asker.octets())
    };
    const ROUTER: u8 = 0x80;
    const SOLICITED: u8 = 0x40;
    const OVERRIDE: u8 = 0x20;
    let flags = OVERRIDE | if router { ROUTER } else { 0 } | if probing { 0 } else { SOLICITED };
    let mut body = target.to_vec();
    body.extend([2, 1]);
    body.extend(mac);
    let builder =
        PacketBuilder::ethernet2(mac, to_mac).ipv6(target, to, 255).icmpv6_raw(136, 0, [flags, 0, 0, 0]);
    let mut answer = Vec::with_capacity(builder.size(body.len()));
    builder.write(&mut answer, &body).map_err(|_| DropReason::NeighbourUnanswered)?;
    Ok(answer)
}

/// An echo request's reply: the same packet with the ends exchanged. The checksum is adjusted, not computed, so that
/// a damaged request gets a damaged reply.
pub(crate) fn echo_reply(frame: &[u8], facts: &Facts) -> Vec<u8> {
    let mut reply = frame.to_vec();
    exchange(&mut reply, 0, 6, 6);
    let kind = if facts.conversation.source.is_ipv4() {
        exchange(&mut reply, 26, 30, 4);
        0
    } else {
        exchange(&mut reply, 22, 38, 16);
        129
    };
    let at = 14 + facts.transport;
    set_word_and_sum(&mut reply, at, at + 2, |old| u16::from_be_bytes([kind, old.to_be_bytes()[1]]));
    reply
}

fn exchange(bytes: &mut [u8], a: usize, b: usize, length: usize) {
    for i in 0..length {
        bytes.swap(a + i, b + i);
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| b.iter().fold(0, |n, byte| n << 8 | u16::from(*byte)))
}

/// Changes the 16-bit word at `at` and the checksum at `sum_at` that covers it (RFC 1624, equation 3).
pub(crate) fn set_word_and_sum(bytes: &mut [u8], at: usize, sum_at: usize, change: impl Fn(u16) -> u16) {
    let (old, sum) = (word(bytes, at), word(bytes, sum_at));
    let new = change(old);
    let mut total = u32::from(!sum) + u32::from(!old) + u32::from(new);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    let sum = !(total as u16);
    for (at, value) in [(at, new), (sum_at, sum)] {
        if let Some(place) = bytes.get_mut(at..at + 2) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }
}

/// Lowers the TTL or hop limit of the packet behind an Ethernet header.
pub(crate) fn lower_ttl(frame: &mut [u8], v6: bool) {
    if !v6 {
        set_word_and_sum(frame, 22, 24, |old| old.wrapping_sub(0x100));
    } else if let Some(hop_limit) = frame.get_mut(21) {
        *hop_limit = hop_limit.wrapping_sub(1);
    }
}
