//! The tunnels: putting a packet into one, and seeing what came out of one.

use etherparse::{
    EtherType, Ethernet2Header, Ethernet2HeaderSlice, IpNumber, Ipv4Header, Ipv4HeaderSlice, UdpHeader,
    UdpHeaderSlice,
};
use weft_dataplane::tables::{NEXT_HOP_MPLS_L2, NEXT_HOP_MPLS_L3};
use weft_dataplane::{Config, DropReason, NextHop};

/// The UDP port for MPLS (RFC 7510), and the one that was used before it was assigned.
const MPLS_PORTS: [u16; 2] = [6635, 51_234];
/// The UDP port for VXLAN (RFC 7348).
const VXLAN_PORT: u16 = 4789;
/// A label that says: look at the next one.
const IGNORED_LABEL: u32 = 0xf_ffff;

/// What came from the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// Nothing of ours.
    Foreign,
    /// Behind an MPLS label, at this offset.
    Mpls {
        /// The label.
        label: u32,
        /// Offset of what it carries.
        inner: usize,
        /// The outer header's traffic class.
        traffic_class: u8,
    },
    /// A frame of the network with this identifier, at this offset.
    Vxlan {
        /// The identifier.
        vni: u32,
        /// Offset of the frame.
        inner: usize,
        /// The outer header's traffic class.
        traffic_class: u8,
    },
}

/// Our ports: the configured one for MPLS and VXLAN, if any.
fn ports(config: &Config) -> (u16, u16) {
    let or = |configured: u16, default| if configured != 0 { configured } else { default };
    (or(config.mpls_port, MPLS_PORTS[0]), or(config.vxlan_port, VXLAN_PORT))
}

/// Recognises a tunnelled frame for our address: IPv4 without options, UDP to one of our ports. A later fragment has
/// no port to be known by.
///
/// # Errors
/// It is ours, but damaged.
pub fn recognise(config: &Config, frame: &[u8]) -> Result<Arrived, DropReason> {
    let Some(outer) = plain_udp(frame) else { return Ok(Arrived::Foreign) };
    let Ok(udp) = UdpHeaderSlice::from_slice(frame.get(34..).unwrap_or_default()) else {
        return Ok(Arrived::Foreign);
    };
    let (mpls_port, vxlan_port) = ports(config);
    let port = udp.destination_port();
    let is_mpls = port == mpls_port || port == MPLS_PORTS[1];
    if outer.destination() != config.tunnel_ip || !(is_mpls || port == vxlan_port) {
        return Ok(Arrived::Foreign);
    }
    if outer.more_fragments() {
        return Err(DropReason::OuterFragment);
    }
    let traffic_class = outer.slice().get(1).copied().unwrap_or(0);
    if is_mpls { label_stack(frame, traffic_class) } else { vxlan(frame, traffic_class) }
}

fn plain_udp(frame: &[u8]) -> Option<Ipv4HeaderSlice<'_>> {
    let ethernet = Ethernet2HeaderSlice::from_slice(frame).ok()?;
    if ethernet.ether_type() != EtherType::IPV4 {
        return None;
    }
    let header = Ipv4HeaderSlice::from_slice(frame.get(14..)?).ok()?;
    let plain = header.options().is_empty() && header.protocol() == IpNumber::UDP;
    (plain && header.fragments_offset().value() == 0).then_some(header)
}

/// RFC 3032: label (20 bits), class (3), bottom of stack (1), TTL (8). We are the bottom of the stack, or have one
/// label above us that is to be ignored.
fn label_stack(frame: &[u8], traffic_class: u8) -> Result<Arrived, DropReason> {
    let mut inner = 42;
    for first in [true, false] {
        let entry = number(frame, inner, 4).ok_or(DropReason::TruncatedTunnel)?;
        inner += 4;
        let (label, bottom) = (entry >> 12, entry >> 8 & 1 == 1);
        if bottom {
            return Ok(Arrived::Mpls { label, inner, traffic_class });
        }
        if !first || label != IGNORED_LABEL {
            break;
        }
    }
    Err(DropReason::BadTunnelHeader)
}

fn vxlan(frame: &[u8], traffic_class: u8) -> Result<Arrived, DropReason> {
    let flags = number(frame, 42, 4).ok_or(DropReason::TruncatedTunnel)?;
    let vni = number(frame, 46, 4).ok_or(DropReason::TruncatedTunnel)? >> 8;
    if flags & 0x0800_0000 == 0 {
        return Err(DropReason::BadTunnelHeader);
    }
    Ok(Arrived::Vxlan { vni, inner: 50, traffic_class })
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(bytes.get(at..at + length)?.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
}

/// The inner traffic class when the outer one says congestion (RFC 6040, 4.2); `None` when the inner transport would
/// not understand.
#[must_use]
pub fn congestion(outer: u8, inner: u8) -> Option<u8> {
    const EXPERIENCED: u8 = 3;
    if outer & 3 != EXPERIENCED {
        return Some(inner);
    }
    if inner & 3 == 0 { None } else { Some(inner | EXPERIENCED) }
}

/// Bytes that a tunnel adds to an IP packet, inner Ethernet header included.
pub(crate) fn overhead(next_hop: &NextHop) -> u32 {
    const OUTER: u32 = 20 + 8;
    match next_hop.kind {
        NEXT_HOP_MPLS_L3 => OUTER + 4,
        NEXT_HOP_MPLS_L2 => OUTER + 4 + 14,
        _ => OUTER + 8 + 14,
    }
}

/// Puts an Ethernet frame into a tunnel (MPLS L3: without its Ethernet header). The UDP source port is left zero.
pub(crate) fn encapsulate(config: &Config, next_hop: &NextHop, frame: &[u8], traffic_class: u8) -> Vec<u8> {
    let (mpls_port, vxlan_port) = ports(config);
    let entry = (next_hop.label << 12 | 1 << 8 | 64).to_be_bytes();
    let (port, mut carried) = match next_hop.kind {
        NEXT_HOP_MPLS_L3 => (mpls_port, [&entry, frame.get(14..).unwrap_or_default()].concat()),
        NEXT_HOP_MPLS_L2 => (mpls_port, [&entry, frame].concat()),
        _ => (vxlan_port, [&[8, 0, 0, 0], &(next_hop.label << 8).to_be_bytes()[..], frame].concat()),
    };
    let ethernet =
        Ethernet2Header { source: next_hop.smac, destination: next_hop.dmac, ether_type: EtherType::IPV4 };
    let length = u16::try_from(carried.len() + 8).unwrap_or(u16::MAX);
    let udp = UdpHeader { source_port: 0, destination_port: port, length, checksum: 0 };
    let mut ip = Ipv4Header::new(length, 64, IpNumber::UDP, next_hop.src, next_hop.dst).unwrap_or_default();
    ip.dont_fragment = true;
    let mut header = ip.to_bytes().to_vec();
    if let Some(byte) = header.get_mut(1) {
        *byte = traffic_class;
    }
    // The checksum is of the header with its traffic class, which etherparse has in two fields.
    let ip = Ipv4HeaderSlice::from_slice(&header).map_or(ip, |slice| slice.to_header());
    let header = Ipv4Header { header_checksum: ip.calc_header_checksum(), ..ip };
    let mut outer = ethernet.to_bytes().to_vec();
    outer.extend(header.to_bytes());
    outer.extend(udp.to_bytes());
    outer.append(&mut carried);
    outer
}
