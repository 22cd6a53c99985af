//! The tunnel's outer headers: recognising ours among what arrives, and building them.

use crate::packet::{ETH_LEN, IPV4_LEN, MPLS_LEN, Packet, UDP_LEN, VXLAN_LEN, protocol};
use crate::reason::DropReason;

/// Default UDP port of MPLS.
pub const MPLS_PORT: u16 = 6635;
/// The port that some old hosts send MPLS to; accepted too.
pub const MPLS_PORT_OLD: u16 = 51_234;
/// Default UDP port of VXLAN.
pub const VXLAN_PORT: u16 = 4789;
/// The label that says: ignore me, read the next (explicit fabric label).
pub const LABEL_IGNORE: u32 = 0xF_FFFF;

/// Bytes that MPLS over UDP adds to an IP packet.
pub const OVERHEAD_MPLS_L3: u32 = (IPV4_LEN + UDP_LEN + MPLS_LEN) as u32;
/// Bytes that MPLS over UDP adds to a frame's IP packet (the inner Ethernet header counts).
pub const OVERHEAD_MPLS_L2: u32 = OVERHEAD_MPLS_L3 + ETH_LEN as u32;
/// Bytes that VXLAN adds to a frame's IP packet (the inner Ethernet header counts).
pub const OVERHEAD_VXLAN: u32 = (IPV4_LEN + UDP_LEN + VXLAN_LEN + ETH_LEN) as u32;

/// What kind of packet arrived from the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelKind {
    /// Not ours: the host's stack gets it.
    Host,
    /// MPLS over UDP.
    Mpls,
    /// VXLAN.
    Vxlan,
}

/// What arrived from the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The kind; for `Host` the rest is zero.
    pub kind: TunnelKind,
    /// MPLS label or VXLAN network identifier.
    pub id: u32,
    /// Offset of the inner packet or frame.
    pub inner: usize,
    /// Outer traffic class.
    pub tos: u8,
}

const HOST: Tunnel = Tunnel { kind: TunnelKind::Host, id: 0, inner: 0, tos: 0 };

/// Recognises a tunnelled packet for `own` among frames from the underlay.
///
/// # Errors
/// It is ours, but damaged: `TruncatedTunnel`, `OuterFragment` or `BadTunnelHeader`.
#[inline(always)]
pub fn classify<P: Packet + ?Sized>(
    packet: &P,
    own: [u8; 4],
    mpls_port: u16,
    vxlan_port: u16,
) -> Result<Tunnel, DropReason> {
    let Some(b) = packet.load::<{ ETH_LEN + IPV4_LEN }>(0) else { return Ok(HOST) };
    let plain = b[12] == 0x08 && b[13] == 0 && b[14] == 0x45 && b[23] == protocol::UDP;
    if !plain || [b[30], b[31], b[32], b[33]] != own || (b[20] & 0x1f) | b[21] != 0 {
        return Ok(HOST);
    }
    let at = ETH_LEN + IPV4_LEN;
    let Some(udp) = packet.load::<UDP_LEN>(at) else { return Ok(HOST) };
    let port = u16::from_be_bytes([udp[2], udp[3]]);
    let mpls = port == mpls_port || port == MPLS_PORT_OLD;
    if !mpls && port != vxlan_port {
        return Ok(HOST);
    }
    if b[20] & 0x20 != 0 {
        return Err(DropReason::OuterFragment);
    }
    let (at, tos) = (at + UDP_LEN, b[15]);
    if mpls { mpls_label(packet, at, tos) } else { vxlan(packet, at, tos) }
}

#[inline(always)]
fn mpls_label<P: Packet + ?Sized>(packet: &P, at: usize, tos: u8) -> Result<Tunnel, DropReason> {
    let first: [u8; MPLS_LEN] = packet.load(at).ok_or(DropReason::TruncatedTunnel)?;
    let (label, bottom) = split(first);
    if bottom {
        return Ok(Tunnel { kind: TunnelKind::Mpls, id: label, inner: at + MPLS_LEN, tos });
    }
    if label != LABEL_IGNORE {
        return Err(DropReason::BadTunnelHeader);
    }
    let second: [u8; MPLS_LEN] = packet.load(at + MPLS_LEN).ok_or(DropReason::TruncatedTunnel)?;
    match split(second) {
        (label, true) => Ok(Tunnel { kind: TunnelKind::Mpls, id: label, inner: at + 2 * MPLS_LEN, tos }),
        _ => Err(DropReason::BadTunnelHeader),
    }
}

#[inline(always)]
fn vxlan<P: Packet + ?Sized>(packet: &P, at: usize, tos: u8) -> Result<Tunnel, DropReason> {
    let b: [u8; VXLAN_LEN] = packet.load(at).ok_or(DropReason::TruncatedTunnel)?;
    if b[0] & 0x08 == 0 {
        return Err(DropReason::BadTunnelHeader);
    }
    let vni = u32::from_be_bytes([0, b[4], b[5], b[6]]);
    Ok(Tunnel { kind: TunnelKind::Vxlan, id: vni, inner: at + VXLAN_LEN, tos })
}

/// Label and bottom-of-stack bit of a label stack entry.
#[inline(always)]
const fn split(b: [u8; MPLS_LEN]) -> (u32, bool) {
    (u32::from_be_bytes(b) >> 12, b[2] & 1 != 0)
}

/// A label stack entry with the bottom-of-stack bit and TTL 64.
#[inline(always)]
#[must_use]
pub const fn label_entry(label: u32) -> [u8; MPLS_LEN] {
    ((label << 12) | 0x100 | 64).to_be_bytes()
}

/// A VXLAN header.
#[inline(always)]
#[must_use]
pub const fn vxlan_header(vni: u32) -> [u8; VXLAN_LEN] {
    let v = vni.to_be_bytes();
    [0x08, 0, 0, 0, v[1], v[2], v[3], 0]
}

/// Outer IPv4 and UDP headers: no options, DF, TTL 64, no UDP checksum. `length` is of the whole IP packet.
#[inline(always)]
#[must_use]
pub const fn headers(
    src: [u8; 4],
    dst: [u8; 4],
    sport: [u8; 2],
    dport: u16,
    tos: u8,
    length: u32,
) -> [u8; 28] {
    let len = (length as u16).to_be_bytes();
    let udp_len = (length.wrapping_sub(IPV4_LEN as u32) as u16).to_be_bytes();
    let port = dport.to_be_bytes();
    let sum = header_checksum(src, dst, tos, length).to_be_bytes();
    [
        0x45,
        tos,
        len[0],
        len[1],
        0,
        0,
        0x40,
        0,
        64,
        protocol::UDP,
        sum[0],
        sum[1],
        src[0],
        src[1],
        src[2],
        src[3],
        dst[0],
        dst[1],
        dst[2],
        dst[3],
        sport[0],
        sport[1],
        port[0],
        port[1],
        udp_len[0],
        udp_len[1],
        0,
        0,
    ]
}

#[inline(always)]
const fn header_checksum(src: [u8; 4], dst: [u8; 4], tos: u8, length: u32) -> u16 {
    let (s, d) = (u32::from_be_bytes(src), u32::from_be_bytes(dst));
    let mut sum = 0x4500 + tos as u32 + (length & 0xffff) + 0x4000 + 0x4000 + protocol::UDP as u32;
    sum += (s >> 16) + (s & 0xffff) + (d >> 16) + (d & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum += sum >> 16;
    !(sum as u16)
}

/// What the outer header's congestion mark asks of the inner one (RFC 6040).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecn {
    /// Nothing.
    Keep,
    /// Mark the inner header.
    Mark,
    /// Drop: the inner transport would not see the mark.
    Drop,
}

/// Combines the outer and inner traffic classes.
#[inline(always)]
#[must_use]
pub const fn ecn(outer: u8, inner: u8) -> Ecn {
    match (outer & 3, inner & 3) {
        (3, 0) => Ecn::Drop,
        (3, 1 | 2) => Ecn::Mark,
        _ => Ecn::Keep,
    }
}
