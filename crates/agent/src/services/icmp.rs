//! ICMP errors that the overlay owes a workload (RFC 792, RFC 1191, RFC 4443), and IPv4 fragmentation.
//!
//! The forwarder traps a packet that does not fit the path or whose hop limit ran out; the agent answers its sender
//! in the gateway's name, rate-limited. A packet that may be fragmented is cut and handed back to the forwarder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::packet::{PacketError, checksum, source_mac};
use super::ra::ipv6_icmp_frame;
use super::view::{GATEWAY_LINK_LOCAL, GATEWAY_MAC, PortServices};

/// ICMP errors per second that one agent sends.
pub const ERRORS_PER_SECOND: u32 = 1000;
/// Errors that may be sent at once after a quiet time.
pub const ERROR_BURST: u32 = 100;
/// Bytes of the offending packet quoted in an ICMPv4 error (RFC 1812 section 4.3.2.3: no more than 576 in all).
const QUOTE_V4: usize = 548;
/// Bytes quoted in an ICMPv6 error: the whole stays within the minimum MTU.
const QUOTE_V6: usize = 1232;
const ETHERNET: usize = 14;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// What went wrong with the trapped packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It does not fit; this many bytes of IP packet would.
    TooBig {
        /// The largest packet that fits, in bytes.
        mtu: u16,
    },
    /// Its hop limit ran out.
    TimeExceeded,
}

/// The ICMP error for the packet in `frame`, from `port`'s gateway to the packet's sender. `Ok(None)` when RFC 1122
/// section 3.2.2 or RFC 4443 section 2.4 forbid one (about an ICMP error, a multicast, or a later fragment).
///
/// # Errors
/// [`PacketError`] when the frame is cut short.
pub fn error_for(
    port: &PortServices,
    frame: &[u8],
    problem: Problem,
) -> Result<Option<Vec<u8>>, PacketError> {
    let mac = source_mac(frame)?;
    let short = || PacketError::malformed("ip", "cut short");
    let packet = frame.get(ETHERNET..).ok_or_else(short)?;
    match frame.get(12..14) {
        Some([0x08, 0x00]) => {
            let header = Ipv4Head::parse(packet)?;
            Ok(v4_error(port, mac, packet, &header, problem))
        }
        Some([0x86, 0xdd]) => v6_error(port, mac, packet, problem),
        _ => Err(PacketError::Unexpected("network protocol")),
    }
}

/// The fields of an IPv4 header that are needed here.
struct Ipv4Head {
    header_len: usize,
    total_len: usize,
    flags_offset: u16,
    protocol: u8,
    source: Ipv4Addr,
    destination: Ipv4Addr,
}

impl Ipv4Head {
    fn parse(packet: &[u8]) -> Result<Self, PacketError> {
        let short = || PacketError::malformed("ipv4", "cut short");
        let fixed: &[u8; 20] = packet.first_chunk().ok_or_else(short)?;
        let header_len = usize::from(fixed[0] & 0x0f) * 4;
        let total_len = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if fixed[0] >> 4 != 4 || header_len < 20 || total_len < header_len || packet.len() < header_len {
            return Err(PacketError::malformed("ipv4", "inconsistent lengths"));
        }
        Ok(Self {
            header_len,
            total_len,
            flags_offset: u16::from_be_bytes([fixed[6], fixed[7]]),
            protocol: fixed[9],
            source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
            destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
        })
    }

    fn dont_fragment(&self) -> bool {
        self.flags_offset & 0x4000 != 0
    }
}

fn v4_error(
    port: &PortServices,
    mac: [u8; 6],
    packet: &[u8],
    header: &Ipv4Head,
    problem: Problem,
) -> Option<Vec<u8>> {
    let later_fragment = header.flags_offset & 0x1fff != 0;
    let multicast = header.destination.is_multicast() || header.destination.is_broadcast();
    let about_error =
        header.protocol == ICMP && !matches!(packet.get(header.header_len), Some(0 | 8 | 13..=18));
    if later_fragment || multicast || about_error || header.source.is_unspecified() {
        return None;
    }
    let (kind, code, value) = match problem {
        Problem::TooBig { mtu } => (3, 4, u32::from(mtu)),
        Problem::TimeExceeded => (11, 0, 0),
    };
    let quote = packet.get(..packet.len().min(QUOTE_V4).min(header.total_len))?;
    let mut icmp = vec![kind, code, 0, 0];
    icmp.extend_from_slice(&value.to_be_bytes());
    icmp.extend_from_slice(quote);
    let sum = checksum(&[&icmp]);
    icmp.get_mut(2..4)?.copy_from_slice(&sum.to_be_bytes());
    let source = port.lease4.as_ref().map_or(header.destination, |l| l.gateway.unwrap_or(l.server));
    Some(ipv4_frame(mac, source, header.source, ICMP, &icmp))
}

fn ipv4_frame(mac: [u8; 6], source: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len()) as u16;
    let mut header = vec![0x45, 0];
    header.extend_from_slice(&total.to_be_bytes());
    header.extend_from_slice(&[0, 0, 0, 0, 64, protocol, 0, 0]);
    header.extend_from_slice(&source.octets());
    header.extend_from_slice(&to.octets());
    let sum = checksum(&[&header]);
    if let Some(field) = header.get_mut(10..12) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    [&mac[..], &GATEWAY_MAC, &[0x08, 0x00], &header, payload].concat()
}

fn v6_error(
    port: &PortServices,
    mac: [u8; 6],
    packet: &[u8],
    problem: Problem,
) -> Result<Option<Vec<u8>>, PacketError> {
    let short = || PacketError::malformed("ipv6", "cut short");
    let fixed: &[u8; 40] = packet.first_chunk().ok_or_else(short)?;
    let address = |at: usize| -> Ipv6Addr {
        let octets: [u8; 16] = std::array::from_fn(|i| fixed.get(at + i).copied().unwrap_or(0));
        octets.into()
    };
    let (source, destination) = (address(8), address(24));
    // Informational messages have the top bit of the type set; never answer an error with an error.
    let about_error = fixed[6] == ICMPV6 && packet.get(40).is_none_or(|kind| kind & 0x80 == 0);
    let too_big = matches!(problem, Problem::TooBig { .. });
    if about_error
        || source.is_unspecified()
        || source.is_multicast()
        || (destination.is_multicast() && !too_big)
    {
        return Ok(None);
    }
    let (kind, value) = match problem {
        Problem::TooBig { mtu } => (2, u32::from(mtu)),
        Problem::TimeExceeded => (3, 0),
    };
    let mut icmp = vec![kind, 0, 0, 0];
    icmp.extend_from_slice(&value.to_be_bytes());
    icmp.extend_from_slice(packet.get(..packet.len().min(QUOTE_V6)).ok_or_else(short)?);
    let gateway = port.lease6.as_ref().and_then(|l| l.gateway).unwrap_or(GATEWAY_LINK_LOCAL);
    Ok(Some(ipv6_icmp_frame(mac, gateway, source, 64, icmp)))
}

/// Cut the IPv4 packet in `frame` into frames whose IP packets are at most `mtu` bytes (RFC 791 section 3.2).
///
/// # Errors
/// [`PacketError`] when the frame is cut short, is not IPv4, must not be fragmented, or `mtu` leaves no room.
pub fn fragment(frame: &[u8], mtu: u16) -> Result<Vec<Vec<u8>>, PacketError> {
    let short = || PacketError::malformed("ipv4", "cut short");
    if frame.get(12..14) != Some(&[0x08, 0x00]) {
        return Err(PacketError::Unexpected("network protocol"));
    }
    let ethernet = frame.get(..ETHERNET).ok_or_else(short)?;
    let packet = frame.get(ETHERNET..).ok_or_else(short)?;
    let head = Ipv4Head::parse(packet)?;
    if head.dont_fragment() {
        return Err(PacketError::Unexpected("don't-fragment flag"));
    }
    let header = packet.get(..head.header_len).ok_or_else(short)?;
    let payload = packet.get(head.header_len..head.total_len).ok_or_else(short)?;
    let room = usize::from(mtu).saturating_sub(head.header_len) & !7;
    if room == 0 {
        return Err(PacketError::encode("fragment", "MTU smaller than a header"));
    }
    let pieces = payload.chunks(room).enumerate().map(|(n, piece)| {
        let last = (n + 1) * room >= payload.len();
        fragment_frame(ethernet, header, &head, n * room, piece, last)
    });
    Ok(pieces.collect())
}

fn fragment_frame(
    ethernet: &[u8],
    header: &[u8],
    head: &Ipv4Head,
    offset: usize,
    piece: &[u8],
    last: bool,
) -> Vec<u8> {
    let more = if last { head.flags_offset & 0x2000 } else { 0x2000 };
    let position = (head.flags_offset & 0x1fff).wrapping_add((offset / 8) as u16) & 0x1fff;
    let total = (header.len() + piece.len()) as u16;
    let mut ip = header.to_vec();
    let set = |ip: &mut Vec<u8>, at: usize, value: u16| {
        if let Some(field) = ip.get_mut(at..at + 2) {
            field.copy_from_slice(&value.to_be_bytes());
        }
    };
    set(&mut ip, 2, total);
    set(&mut ip, 6, more | position);
    set(&mut ip, 10, 0);
    let sum = checksum(&[&ip]);
    set(&mut ip, 10, sum);
    [ethernet, &ip, piece].concat()
}

/// A token bucket: `rate` events a second, `burst` at once.
#[derive(Clone, Debug)]
pub struct RateLimit {
    rate: f64,
    burst: f64,
    tokens: f64,
    last: Instant,
    /// Events refused so far.
    pub refused: u64,
}

impl RateLimit {
    /// A full bucket.
    pub fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self { rate: rate.into(), burst: burst.into(), tokens: burst.into(), last: now, refused: 0 }
    }

    /// Whether one more event may happen at `now`.
    pub fn allow(&mut self, now: Instant) -> bool {
        let elapsed = now.checked_duration_since(self.last).unwrap_or(Duration::ZERO);
        self.last = now;
        self.tokens = (self.tokens + elapsed.as_secs_f64() * self.rate).min(self.burst);
        if self.tokens < 1.0 {
            self.refused += 1;
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// The gateway address that errors about a packet of `family_of` come from.
pub fn gateway_of(port: &PortServices, family_of: IpAddr) -> Option<IpAddr> {
    match family_of {
        IpAddr::V4(_) => port.lease4.as_ref().and_then(|l| l.gateway).map(IpAddr::V4),
        IpAddr::V6(_) => port.lease6.as_ref().and_then(|l| l.gateway).map(IpAddr::V6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::packet::udp_frame;
    use etherparse::{NetSlice, SlicedPacket};

    fn port() -> PortServices {
        PortServices {
            interface: uuid::Uuid::nil(),
            ifindex: 1,
            mac: [2; 6],
            network: String::new(),
            hostname: None,
            mtu: 1450,
            lease4: None,
            lease6: None,
        }
    }

    fn big(v6: bool) -> Vec<u8> {
        let (a, b) = if v6 { ("[fd00::1]:5", "[fd00::2]:6") } else { ("10.0.0.1:5", "10.0.0.2:6") };
        udp_frame([2; 6], GATEWAY_MAC, a.parse().unwrap(), b.parse().unwrap(), &[7; 1800]).unwrap()
    }

    #[test]
    fn fragmentation_needed_quotes_and_names_the_mtu() {
        let error = error_for(&port(), &big(false), Problem::TooBig { mtu: 1418 }).unwrap().unwrap();
        assert_eq!(error[..6], [2; 6]);
        assert_eq!(error[34..36], [3, 4]);
        assert_eq!(error[40..42], 1418u16.to_be_bytes());
        assert_eq!(checksum(&[&error[34..]]), 0);
        // An error about the error is not sent.
        let mut about = error;
        about[26..30].copy_from_slice(&[10, 0, 0, 1]);
        assert_eq!(error_for(&port(), &about, Problem::TimeExceeded).unwrap(), None);
    }

    #[test]
    fn too_big_for_ipv6() {
        let error = error_for(&port(), &big(true), Problem::TooBig { mtu: 1400 }).unwrap().unwrap();
        assert_eq!((error[54], error[20]), (2, 58));
        assert_eq!(error[58..62], 1400u32.to_be_bytes());
        assert!(error.len() <= 14 + 1280);
    }

    #[test]
    fn fragments_cover_the_payload() {
        let mut whole = big(false);
        whole[20] = 0; // clear DF
        let frames = fragment(&whole, 700).unwrap();
        assert_eq!(frames.len(), 3);
        let mut seen = Vec::new();
        for (n, frame) in frames.iter().enumerate() {
            let Some(NetSlice::Ipv4(ip)) = SlicedPacket::from_ethernet(frame).unwrap().net else {
                panic!("not IPv4");
            };
            assert!(frame.len() <= 714);
            assert_eq!(usize::from(ip.header().fragments_offset().value()) * 8, seen.len());
            assert_eq!(ip.header().more_fragments(), n < 2);
            assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
            seen.extend_from_slice(ip.payload().payload);
        }
        assert_eq!(seen, whole[34..]);
        for n in 0..40 {
            let _ = fragment(&whole[..n], 700);
            let _ = error_for(&port(), &whole[..n], Problem::TimeExceeded);
        }
    }

    #[test]
    fn bucket_refuses_beyond_its_rate() {
        let start = Instant::now();
        let mut limit = RateLimit::new(10, 2, start);
        assert!(limit.allow(start) && limit.allow(start) && !limit.allow(start));
        assert!(limit.allow(start + Duration::from_millis(150)));
        assert_eq!(limit.refused, 1);
    }
}
