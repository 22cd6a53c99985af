//! Taking received frames apart and putting replies together.

use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use thiserror::Error;

/// Hop limit of frames that the agent makes.
const TTL: u8 = 64;
/// Neighbour discovery and router advertisements must arrive with this hop limit (RFC 4861 section 6.1).
pub const ND_HOP_LIMIT: u8 = 255;

/// Why a frame or its contents could not be used. Each is counted; none ends the service.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PacketError {
    /// The headers are cut short or contradict themselves.
    #[error("malformed {layer}: {detail}")]
    Malformed {
        /// The layer that did not parse.
        layer: &'static str,
        /// What the parser said.
        detail: String,
    },
    /// A well-formed frame that is not what the service handles.
    #[error("unexpected {0}")]
    Unexpected(&'static str),
    /// The reply could not be encoded.
    #[error("cannot encode {layer}: {detail}")]
    Encode {
        /// The layer being written.
        layer: &'static str,
        /// What the encoder said.
        detail: String,
    },
}

impl PacketError {
    /// A malformed `layer`, with the parser's own words.
    pub fn malformed(layer: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Malformed { layer, detail: detail.to_string() }
    }

    /// A reply that could not be encoded.
    pub fn encode(layer: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Encode { layer, detail: detail.to_string() }
    }
}

/// A UDP datagram found in an Ethernet frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// The sender's MAC address.
    pub source_mac: [u8; 6],
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// What follows the UDP header.
    pub payload: &'a [u8],
}

/// Parse `frame` as Ethernet, IPv4 or IPv6, and UDP. Checksums are not looked at: a frame from a local veth may
/// still carry a partial one (the kernel leaves it to hardware that is not there).
///
/// # Errors
/// [`PacketError`] when the frame is cut short, or not UDP, or a fragment.
pub fn parse_udp(frame: &[u8]) -> Result<UdpDatagram<'_>, PacketError> {
    let sliced = SlicedPacket::from_ethernet(frame).map_err(|e| PacketError::malformed("frame", e))?;
    let source_mac = source_mac(frame)?;
    let (source, destination) = addresses(&sliced)?;
    match sliced.transport {
        Some(TransportSlice::Udp(udp)) => Ok(UdpDatagram {
            source_mac,
            source: SocketAddr::new(source, udp.source_port()),
            destination: SocketAddr::new(destination, udp.destination_port()),
            payload: udp.payload(),
        }),
        _ => Err(PacketError::Unexpected("transport protocol")),
    }
}

/// The source MAC address of an Ethernet frame.
///
/// # Errors
/// [`PacketError::Malformed`] when the frame is shorter than its header.
pub fn source_mac(frame: &[u8]) -> Result<[u8; 6], PacketError> {
    frame
        .get(6..12)
        .and_then(|b| b.try_into().ok())
        .ok_or_else(|| PacketError::malformed("ethernet", "shorter than its header"))
}

fn addresses(sliced: &SlicedPacket<'_>) -> Result<(IpAddr, IpAddr), PacketError> {
    match &sliced.net {
        Some(NetSlice::Ipv4(ip)) if ip.is_payload_fragmented() => Err(PacketError::Unexpected("fragment")),
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            Ok((header.source_addr().into(), header.destination_addr().into()))
        }
        Some(NetSlice::Ipv6(ip)) if ip.is_payload_fragmented() => Err(PacketError::Unexpected("fragment")),
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            Ok((header.source_addr().into(), header.destination_addr().into()))
        }
        _ => Err(PacketError::Unexpected("network protocol")),
    }
}

/// An Ethernet frame with a UDP datagram, checksums filled in.
///
/// # Errors
/// [`PacketError::Encode`] when the families differ or the payload is too long.
pub fn udp_frame(
    source_mac: [u8; 6],
    destination_mac: [u8; 6],
    source: SocketAddr,
    destination: SocketAddr,
    payload: &[u8],
) -> Result<Vec<u8>, PacketError> {
    let ethernet = PacketBuilder::ethernet2(source_mac, destination_mac);
    let network = match (source.ip(), destination.ip()) {
        (IpAddr::V4(s), IpAddr::V4(d)) => ethernet.ipv4(s.octets(), d.octets(), TTL),
        (IpAddr::V6(s), IpAddr::V6(d)) => ethernet.ipv6(s.octets(), d.octets(), TTL),
        _ => return Err(PacketError::encode("udp", "mixed address families")),
    };
    let builder = network.udp(source.port(), destination.port());
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).map_err(|e| PacketError::encode("udp", e))?;
    Ok(frame)
}

/// The Internet checksum (RFC 1071) over several slices, each but the last of even length.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            let high = u32::from(pair.first().copied().unwrap_or(0)) << 8;
            sum += high | u32::from(pair.get(1).copied().unwrap_or(0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn udp_round_trip_in_both_families() {
        for (a, b) in [("10.0.0.1:67", "10.0.0.2:68"), ("[fe80::1]:547", "[fe80::2]:546")] {
            let (a, b): (SocketAddr, SocketAddr) = (a.parse().unwrap(), b.parse().unwrap());
            let frame = udp_frame([1; 6], [2; 6], a, b, b"hello").unwrap();
            let got = parse_udp(&frame).unwrap();
            assert_eq!((got.source, got.destination, got.payload), (a, b, &b"hello"[..]));
            assert_eq!(got.source_mac, [1; 6]);
        }
    }

    #[test]
    fn truncations_are_errors_not_panics() {
        let frame =
            udp_frame([1; 6], [2; 6], "10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap(), &[0; 20])
                .unwrap();
        for n in 0..42 {
            assert!(parse_udp(&frame[..n]).is_err(), "{n} bytes");
        }
    }

    #[test]
    fn checksum_of_a_known_header() {
        let header =
            [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(checksum(&[&header]), 0xb861);
    }
}
