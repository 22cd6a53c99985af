//! Parsing of a tenant's IP packet into what the forwarder needs: a flow key and a few facts.
//!
//! ICMP echo uses its identifier as a port, on the asker's side. An ICMP error is keyed by the flow whose packets go
//! where the error goes: the reverse of the packet it quotes.

use crate::flow::{FlowKey4, FlowKey6};
use crate::packet::{IPV4_LEN, IPV6_LEN, Packet, protocol};
use crate::reason::DropReason;

/// `Meta::flags`: the packet is a fragment, first or later.
pub const META_FRAGMENT: u8 = 1;
/// `Meta::flags`: a later fragment: it has no ports of its own.
pub const META_LATER: u8 = 1 << 1;
/// `Meta::flags`: IPv4 with DF, or IPv6: must not be fragmented on the way.
pub const META_DF: u8 = 1 << 2;
/// `Meta::flags`: an ICMP error: `key` is of the flow it concerns.
pub const META_ICMP_ERROR: u8 = 1 << 3;
/// `Meta::flags`: an ICMP or ICMPv6 echo request.
pub const META_ECHO: u8 = 1 << 4;

/// IPv6 extension headers that are walked, at most.
pub const MAX_EXTENSION_HEADERS: usize = 6;

/// Facts of a packet that are not in its flow key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// 4 or 6.
    pub version: u8,
    /// The protocol after all extension headers.
    pub protocol: u8,
    /// Traffic class with ECN.
    pub tos: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// `META_*`.
    pub flags: u8,
    /// TCP flags, zero for others.
    pub tcp_flags: u8,
    /// ICMP type, zero for others.
    pub icmp_type: u8,
    /// Offset of the transport header from the IP header, in bytes.
    pub header_len: u16,
    /// Bytes of IP and transport headers: what every segment of a large send repeats.
    pub segment_header_len: u16,
    /// Bytes of the IP packet.
    pub length: u32,
    /// Identification of the datagram that the fragment belongs to, network order.
    pub fragment_id: [u8; 4],
}

/// The transport's part of a parse.
#[derive(Clone, Copy)]
struct Transport {
    sport: [u8; 2],
    dport: [u8; 2],
    tcp_flags: u8,
    icmp_type: u8,
    length: u16,
    echo: bool,
    error: bool,
}

const NO_PORTS: Transport = Transport {
    sport: [0; 2],
    dport: [0; 2],
    tcp_flags: 0,
    icmp_type: 0,
    length: 0,
    echo: false,
    error: false,
};

#[inline(always)]
fn transport<P: Packet + ?Sized>(
    packet: &P,
    offset: usize,
    proto: u8,
    icmp_proto: u8,
) -> Result<Transport, DropReason> {
    let cut = DropReason::TruncatedTransport;
    match proto {
        protocol::TCP => {
            let b: [u8; 20] = packet.load(offset).ok_or(cut)?;
            let length = u16::from(b[12] >> 4) * 4;
            if length < 20 {
                return Err(cut);
            }
            Ok(Transport { sport: [b[0], b[1]], dport: [b[2], b[3]], tcp_flags: b[13], length, ..NO_PORTS })
        }
        protocol::UDP | protocol::SCTP => {
            let b: [u8; 8] = packet.load(offset).ok_or(cut)?;
            Ok(Transport { sport: [b[0], b[1]], dport: [b[2], b[3]], length: 8, ..NO_PORTS })
        }
        // ICMP in IPv6, or ICMPv6 in IPv4, is a protocol without ports.
        _ if proto == icmp_proto => {
            let b: [u8; 8] = packet.load(offset).ok_or(cut)?;
            Ok(icmp(proto, b))
        }
        _ => Ok(NO_PORTS),
    }
}

#[inline(always)]
fn icmp(proto: u8, b: [u8; 8]) -> Transport {
    let id = [b[4], b[5]];
    let base = Transport { icmp_type: b[0], length: 8, ..NO_PORTS };
    match (proto, b[0]) {
        (protocol::ICMP, 8) | (protocol::ICMPV6, 128) => Transport { sport: id, echo: true, ..base },
        (protocol::ICMP, 13) => Transport { sport: id, ..base },
        (protocol::ICMP, 0 | 14) | (protocol::ICMPV6, 129) => Transport { dport: id, ..base },
        (protocol::ICMP, 3 | 4 | 5 | 11 | 12) | (protocol::ICMPV6, 1..=4) => {
            Transport { error: true, ..base }
        }
        _ => base,
    }
}

/// Parses the IPv4 packet at `l3`; `zone` goes into the key.
///
/// # Errors
/// `TruncatedIp`, `BadIpHeader` or `TruncatedTransport`.
#[inline(always)]
pub fn ipv4<P: Packet + ?Sized>(packet: &P, l3: usize, zone: u16) -> Result<(Meta, FlowKey4), DropReason> {
    let b: [u8; IPV4_LEN] = packet.load(l3).ok_or(DropReason::TruncatedIp)?;
    let header_len = u16::from(b[0] & 0xf) * 4;
    if b[0] >> 4 != 4 || header_len < 20 {
        return Err(DropReason::BadIpHeader);
    }
    let length = u32::from(u16::from_be_bytes([b[2], b[3]]));
    if length < u32::from(header_len) || l3 + length as usize > packet.length() {
        return Err(DropReason::TruncatedIp);
    }
    let mut flags = if b[6] & 0x40 != 0 { META_DF } else { 0 };
    let later = (b[6] & 0x1f) | b[7] != 0;
    if later {
        flags |= META_LATER | META_FRAGMENT;
    } else if b[6] & 0x20 != 0 {
        flags |= META_FRAGMENT;
    }
    let proto = b[9];
    let t =
        if later { NO_PORTS } else { transport(packet, l3 + header_len as usize, proto, protocol::ICMP)? };
    // What is behind the IP packet in the frame is padding, not its transport header.
    if u32::from(header_len) + u32::from(t.length) > length {
        return Err(DropReason::TruncatedTransport);
    }
    let mut key = FlowKey4 {
        src: [b[12], b[13], b[14], b[15]],
        dst: [b[16], b[17], b[18], b[19]],
        sport: t.sport,
        dport: t.dport,
        zone,
        protocol: proto,
        reserved: 0,
    };
    if t.error {
        key = quoted4(packet, l3 + header_len as usize + 8, l3 + length as usize, zone)?;
        flags |= META_ICMP_ERROR;
    }
    let meta = Meta {
        version: 4,
        protocol: proto,
        tos: b[1],
        ttl: b[8],
        flags: flags | if t.echo { META_ECHO } else { 0 },
        tcp_flags: t.tcp_flags,
        icmp_type: t.icmp_type,
        header_len,
        segment_header_len: header_len + t.length,
        length,
        fragment_id: [0, 0, b[4], b[5]],
    };
    Ok((meta, key))
}

/// The key of the flow towards whom an ICMP error is sent: the reverse of the quoted packet's. The error's own packet
/// ends at `end`.
#[inline(always)]
fn quoted4<P: Packet + ?Sized>(packet: &P, at: usize, end: usize, zone: u16) -> Result<FlowKey4, DropReason> {
    let b: [u8; IPV4_LEN] = packet.load(at).ok_or(DropReason::TruncatedTransport)?;
    let header_len = usize::from(b[0] & 0xf) * 4;
    if b[0] >> 4 != 4 || header_len < 20 || at + header_len + 8 > end {
        return Err(DropReason::TruncatedTransport);
    }
    let (sport, dport) = quoted_ports(packet, at + header_len, b[9], protocol::ICMP)?;
    Ok(FlowKey4 {
        src: [b[16], b[17], b[18], b[19]],
        dst: [b[12], b[13], b[14], b[15]],
        sport: dport,
        dport: sport,
        zone,
        protocol: b[9],
        reserved: 0,
    })
}

#[inline(always)]
fn quoted_ports<P: Packet + ?Sized>(
    packet: &P,
    at: usize,
    proto: u8,
    icmp_proto: u8,
) -> Result<([u8; 2], [u8; 2]), DropReason> {
    let b: [u8; 8] = packet.load(at).ok_or(DropReason::TruncatedTransport)?;
    Ok(match proto {
        protocol::TCP | protocol::UDP | protocol::SCTP => ([b[0], b[1]], [b[2], b[3]]),
        _ if proto == icmp_proto => {
            let t = icmp(proto, b);
            (t.sport, t.dport)
        }
        _ => ([0; 2], [0; 2]),
    })
}

/// Where the IPv6 extension headers lead.
#[derive(Clone, Copy)]
struct Chain {
    proto: u8,
    offset: usize,
    flags: u8,
    id: [u8; 4],
}

#[inline(always)]
fn extension_headers<P: Packet + ?Sized>(packet: &P, l3: usize, first: u8) -> Result<Chain, DropReason> {
    let bad = DropReason::BadExtensionHeaders;
    let mut chain = Chain { proto: first, offset: l3 + IPV6_LEN, flags: 0, id: [0; 4] };
    if is_transport(first) {
        return Ok(chain);
    }
    for _ in 0..MAX_EXTENSION_HEADERS {
        if !is_extension(chain.proto) {
            return Ok(chain);
        }
        let b: [u8; 8] = packet.load(chain.offset).ok_or(bad)?;
        if chain.proto == protocol::FRAGMENT {
            chain.id = [b[4], b[5], b[6], b[7]];
            let later = b[2] | (b[3] & 0xf8) != 0;
            if later {
                chain.flags = META_FRAGMENT | META_LATER;
            } else if b[3] & 1 != 0 {
                chain.flags = META_FRAGMENT;
            }
            chain.offset += 8;
            chain.proto = b[0];
            if later {
                return Ok(chain);
            }
        } else {
            let units = usize::from(b[1]);
            chain.offset +=
                if chain.proto == protocol::AUTHENTICATION { (units + 2) * 4 } else { (units + 1) * 8 };
            chain.proto = b[0];
        }
    }
    if is_extension(chain.proto) { Err(bad) } else { Ok(chain) }
}

#[inline(always)]
const fn is_extension(proto: u8) -> bool {
    matches!(
        proto,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::DESTINATION
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
    )
}

#[inline(always)]
const fn is_transport(proto: u8) -> bool {
    matches!(proto, protocol::TCP | protocol::UDP | protocol::ICMPV6)
}

/// Parses the IPv6 packet at `l3`; `zone` goes into the key.
///
/// # Errors
/// `TruncatedIp`, `BadIpHeader`, `BadExtensionHeaders` or `TruncatedTransport`.
#[inline(always)]
pub fn ipv6<P: Packet + ?Sized>(packet: &P, l3: usize, zone: u16) -> Result<(Meta, FlowKey6), DropReason> {
    let b: [u8; IPV6_LEN] = packet.load(l3).ok_or(DropReason::TruncatedIp)?;
    if b[0] >> 4 != 6 {
        return Err(DropReason::BadIpHeader);
    }
    let length = u32::from(u16::from_be_bytes([b[4], b[5]])) + IPV6_LEN as u32;
    if l3 + length as usize > packet.length() {
        return Err(DropReason::TruncatedIp);
    }
    let chain = extension_headers(packet, l3, b[6])?;
    let later = chain.flags & META_LATER != 0;
    let end = l3 + length as usize;
    if chain.offset > end {
        return Err(DropReason::BadExtensionHeaders);
    }
    let t = if later { NO_PORTS } else { transport(packet, chain.offset, chain.proto, protocol::ICMPV6)? };
    if chain.offset + t.length as usize > end {
        return Err(DropReason::TruncatedTransport);
    }
    let (src, dst) = addresses6(&b);
    let mut key =
        FlowKey6 { src, dst, sport: t.sport, dport: t.dport, zone, protocol: chain.proto, reserved: 0 };
    let mut flags = chain.flags | META_DF | if t.echo { META_ECHO } else { 0 };
    if t.error {
        key = quoted6(packet, chain.offset + 8, end, zone)?;
        flags |= META_ICMP_ERROR;
    }
    let header_len = (chain.offset - l3) as u16;
    let meta = Meta {
        version: 6,
        protocol: chain.proto,
        tos: (b[0] << 4) | (b[1] >> 4),
        ttl: b[7],
        flags,
        tcp_flags: t.tcp_flags,
        icmp_type: t.icmp_type,
        header_len,
        segment_header_len: header_len + t.length,
        length,
        fragment_id: chain.id,
    };
    Ok((meta, key))
}

#[inline(always)]
fn addresses6(b: &[u8; IPV6_LEN]) -> ([u8; 16], [u8; 16]) {
    let mut src = [0; 16];
    let mut dst = [0; 16];
    src.copy_from_slice(&b[8..24]);
    dst.copy_from_slice(&b[24..40]);
    (src, dst)
}

/// As [`quoted4`]; a quoted packet with extension headers matches no flow.
#[inline(always)]
fn quoted6<P: Packet + ?Sized>(packet: &P, at: usize, end: usize, zone: u16) -> Result<FlowKey6, DropReason> {
    let b: [u8; IPV6_LEN] = packet.load(at).ok_or(DropReason::TruncatedTransport)?;
    if b[0] >> 4 != 6 || at + IPV6_LEN + 8 > end {
        return Err(DropReason::TruncatedTransport);
    }
    let (sport, dport) = quoted_ports(packet, at + IPV6_LEN, b[6], protocol::ICMPV6)?;
    let (src, dst) = addresses6(&b);
    Ok(FlowKey6 { src: dst, dst: src, sport: dport, dport: sport, zone, protocol: b[6], reserved: 0 })
}
