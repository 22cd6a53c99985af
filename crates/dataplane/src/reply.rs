//! Answers that the forwarder makes itself: ARP, neighbour advertisements, echo.

use crate::packet::{ETH_LEN, ETHERTYPE_ARP, IPV6_LEN, protocol};

/// Bytes of an Ethernet frame with ARP for IPv4.
pub const ARP_FRAME: usize = ETH_LEN + 28;
/// Bytes of an Ethernet frame with a neighbour solicitation without options.
pub const SOLICITATION_FRAME: usize = ETH_LEN + IPV6_LEN + 24;
/// Bytes of an Ethernet frame with a neighbour advertisement with its target link-layer address.
pub const ADVERTISEMENT_FRAME: usize = SOLICITATION_FRAME + 8;

/// ICMPv6 type of a router solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// ICMPv6 type of a router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
/// ICMPv6 type of a neighbour solicitation.
pub const NEIGHBOUR_SOLICITATION: u8 = 135;
/// ICMPv6 type of a neighbour advertisement.
pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// An ARP packet's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpRequest {
    /// The asker's address; zero when it probes.
    pub sender: [u8; 4],
    /// The address asked for.
    pub target: [u8; 4],
    /// Whether it asks at all (otherwise a reply, or gratuitous).
    pub asks: bool,
}

/// Reads an ARP frame; `None` when it is not ARP for IPv4 over Ethernet.
#[inline(always)]
#[must_use]
pub fn arp_request(frame: &[u8; ARP_FRAME]) -> Option<ArpRequest> {
    let header = [frame[14], frame[15], frame[16], frame[17], frame[18], frame[19]];
    if header != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let sender = [frame[28], frame[29], frame[30], frame[31]];
    let target = [frame[38], frame[39], frame[40], frame[41]];
    Some(ArpRequest { sender, target, asks: frame[20] == 0 && frame[21] == 1 && sender != target })
}

/// The reply to an ARP request: `mac` has the address asked for.
#[inline(always)]
#[must_use]
pub fn arp_reply(frame: &[u8; ARP_FRAME], mac: [u8; 6]) -> [u8; ARP_FRAME] {
    let mut reply = [0; ARP_FRAME];
    reply[0..6].copy_from_slice(&frame[22..28]);
    reply[6..12].copy_from_slice(&mac);
    reply[12..14].copy_from_slice(&ETHERTYPE_ARP);
    reply[14..20].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
    reply[20..22].copy_from_slice(&[0, 2]);
    reply[22..28].copy_from_slice(&mac);
    reply[28..32].copy_from_slice(&frame[38..42]);
    reply[32..38].copy_from_slice(&frame[22..28]);
    reply[38..42].copy_from_slice(&frame[28..32]);
    reply
}

/// The target of a neighbour solicitation (RFC 4861, 4.3).
#[inline(always)]
#[must_use]
pub fn solicitation_target(frame: &[u8; SOLICITATION_FRAME]) -> [u8; 16] {
    let mut target = [0; 16];
    target.copy_from_slice(&frame[62..78]);
    target
}

/// The advertisement that answers a solicitation (whose source is not unspecified): `mac` has the target.
#[inline(always)]
#[must_use]
pub fn advertisement(
    frame: &[u8; SOLICITATION_FRAME],
    mac: [u8; 6],
    router: bool,
) -> [u8; ADVERTISEMENT_FRAME] {
    let mut reply = [0; ADVERTISEMENT_FRAME];
    reply[0..6].copy_from_slice(&frame[6..12]);
    reply[6..12].copy_from_slice(&mac);
    reply[12..22].copy_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, protocol::ICMPV6, 255]);
    reply[22..38].copy_from_slice(&frame[62..78]);
    reply[38..54].copy_from_slice(&frame[22..38]);
    reply[54] = NEIGHBOUR_ADVERTISEMENT;
    reply[58] = if router { 0xe0 } else { 0x60 };
    reply[62..78].copy_from_slice(&frame[62..78]);
    reply[78..80].copy_from_slice(&[2, 1]);
    reply[80..86].copy_from_slice(&mac);
    let sum = advertisement_checksum(&reply).to_be_bytes();
    reply[56] = sum[0];
    reply[57] = sum[1];
    reply
}

/// Turns an advertisement into one to all nodes, for an asker without an address (RFC 4861, 7.2.4).
#[inline(always)]
pub fn to_all_nodes(reply: &mut [u8; ADVERTISEMENT_FRAME]) {
    reply[0..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
    reply[38..54].copy_from_slice(&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    reply[58] &= !0x40;
    reply[56] = 0;
    reply[57] = 0;
    let sum = advertisement_checksum(reply).to_be_bytes();
    reply[56] = sum[0];
    reply[57] = sum[1];
}

/// Sums the pseudo header (addresses, length 32, protocol) and the message of an advertisement with checksum zero.
#[inline(always)]
fn advertisement_checksum(reply: &[u8; ADVERTISEMENT_FRAME]) -> u16 {
    let mut sum = 32 + u32::from(protocol::ICMPV6);
    let mut i = 22;
    while i < ADVERTISEMENT_FRAME {
        sum += u32::from(u16::from_be_bytes([reply[i], reply[i + 1]]));
        i += 2;
    }
    sum = (sum >> 16) + (sum & 0xffff);
    sum += sum >> 16;
    !(sum as u16)
}

/// A checksum after one 16-bit word under it changed (RFC 1624, equation 3).
#[inline(always)]
#[must_use]
pub const fn checksum_replace(sum: [u8; 2], old: u16, new: u16) -> [u8; 2] {
    let mut total = (!u16::from_be_bytes(sum)) as u32 + (!old) as u32 + new as u32;
    total = (total >> 16) + (total & 0xffff);
    total += total >> 16;
    (!(total as u16)).to_be_bytes()
}
