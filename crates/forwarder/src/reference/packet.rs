//! Reading an IP packet.

use std::net::IpAddr;

use etherparse::err::ipv4::HeaderSliceError as V4Error;
use etherparse::err::ipv6::HeaderSliceError as V6Error;
use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, TcpHeaderSlice, UdpHeaderSlice,
};
use weft_dataplane::DropReason;
use weft_dataplane::parse::MAX_EXTENSION_HEADERS;

use super::flows::Conversation;

/// Part of a fragmented datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Identification.
    pub id: u32,
    /// Whether it is the first, which has the transport header.
    pub first: bool,
}

/// What the forwarder wants to know of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Addresses, protocol and ports; an ICMP echo or timestamp has its identifier as the asker's port.
    pub conversation: Conversation,
    /// Of an ICMP error: the conversation whose packets go where the error goes.
    pub concerns: Option<Conversation>,
    /// Traffic class.
    pub traffic_class: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Part of a datagram.
    pub fragment: Option<Fragment>,
    /// IPv4 without DF: may be fragmented on the way.
    pub may_fragment: bool,
    /// TCP flags: the 14th byte of the header.
    pub tcp_flags: Option<u8>,
    /// ICMP or ICMPv6 type.
    pub icmp_type: Option<u8>,
    /// Offset of the transport header in the IP packet.
    pub transport: usize,
    /// Bytes of the IP packet.
    pub length: usize,
}

impl Facts {
    /// Whether it asks for an echo.
    #[must_use]
    pub fn is_echo_request(&self) -> bool {
        let asks = if self.conversation.source.is_ipv4() { 8 } else { 128 };
        self.icmp_type == Some(asks)
    }
}

/// What a transport header says.
#[derive(Clone, Copy, Default)]
struct Transport {
    ports: (u16, u16),
    tcp_flags: Option<u8>,
    icmp_type: Option<u8>,
    concerns: Option<Conversation>,
}

/// Reads the IP packet at the start of `bytes` (which may go on after its end).
///
/// # Errors
/// Why it cannot be read.
pub fn parse(bytes: &[u8], v6: bool) -> Result<Facts, DropReason> {
    if v6 { parse6(bytes) } else { parse4(bytes) }
}

fn parse4(bytes: &[u8]) -> Result<Facts, DropReason> {
    // A header cut inside its options is no bad header: the packet ends too early.
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|error| match error {
        V4Error::Len(_) => DropReason::TruncatedIp,
        V4Error::Content(_) => DropReason::BadIpHeader,
    })?;
    let transport_at = usize::from(header.ihl()) * 4;
    let length = usize::from(header.total_len());
    let packet = bytes.get(..length).filter(|_| length >= transport_at).ok_or(DropReason::TruncatedIp)?;
    let payload = packet.get(transport_at..).unwrap_or_default();
    let offset = header.fragments_offset().value();
    let fragment = (offset != 0 || header.more_fragments())
        .then(|| Fragment { id: u32::from(header.identification()), first: offset == 0 });
    let protocol = header.protocol().0;
    let transport = match fragment {
        Some(Fragment { first: false, .. }) => Transport::default(),
        _ => transport(payload, protocol, true)?,
    };
    let (source, destination) = (header.source_addr().into(), header.destination_addr().into());
    Ok(Facts {
        conversation: Conversation { source, destination, protocol, ports: transport.ports },
        concerns: transport.concerns,
        traffic_class: header.slice().get(1).copied().unwrap_or(0),
        ttl: header.ttl(),
        fragment,
        may_fragment: !header.dont_fragment(),
        tcp_flags: transport.tcp_flags,
        icmp_type: transport.icmp_type,
        transport: transport_at,
        length,
    })
}

fn parse6(bytes: &[u8]) -> Result<Facts, DropReason> {
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|error| match error {
        V6Error::Len(_) => DropReason::TruncatedIp,
        V6Error::Content(_) => DropReason::BadIpHeader,
    })?;
    let length = 40 + usize::from(header.payload_length());
    let packet = bytes.get(..length).ok_or(DropReason::TruncatedIp)?;
    let chain = extension_headers(packet, header.next_header())?;
    let protocol = chain.protocol.0;
    let transport = match chain.fragment {
        Some(Fragment { first: false, .. }) => Transport::default(),
        _ => transport(packet.get(chain.at..).unwrap_or_default(), protocol, false)?,
    };
    let (source, destination) = (header.source_addr().into(), header.destination_addr().into());
    Ok(Facts {
        conversation: Conversation { source, destination, protocol, ports: transport.ports },
        concerns: transport.concerns,
        traffic_class: header.traffic_class(),
        ttl: header.hop_limit(),
        fragment: chain.fragment,
        may_fragment: false,
        tcp_flags: transport.tcp_flags,
        icmp_type: transport.icmp_type,
        transport: chain.at,
        length,
    })
}

struct Chain {
    protocol: IpNumber,
    at: usize,
    fragment: Option<Fragment>,
}

/// Walks the extension headers; behind the header of a later fragment there are none.
fn extension_headers(packet: &[u8], first: IpNumber) -> Result<Chain, DropReason> {
    let bad = DropReason::BadExtensionHeaders;
    let mut chain = Chain { protocol: first, at: 40, fragment: None };
    for walked in 0.. {
        let rest = packet.get(chain.at..).ok_or(bad)?;
        let is_extension = matches!(
            chain.protocol,
            IpNumber::IPV6_HEADER_HOP_BY_HOP
                | IpNumber::IPV6_ROUTE_HEADER
                | IpNumber::IPV6_DESTINATION_OPTIONS
                | IpNumber::IPV6_FRAGMENTATION_HEADER
                | IpNumber::AUTHENTICATION_HEADER
        );
        if !is_extension {
            return Ok(chain);
        }
        if walked == MAX_EXTENSION_HEADERS {
            return Err(bad);
        }
        match chain.protocol {
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let header = Ipv6FragmentHeaderSlice::from_slice(rest).map_err(|_| bad)?;
                let offset = header.fragment_offset().value();
                chain.at += 8;
                chain.protocol = header.next_header();
                if header.is_fragmenting_payload() {
                    chain.fragment = Some(Fragment { id: header.identification(), first: offset == 0 });
                }
                if offset != 0 {
                    return Ok(chain);
                }
            }
            IpNumber::AUTHENTICATION_HEADER => {
                let header = IpAuthHeaderSlice::from_slice(rest).map_err(|_| bad)?;
                chain.at += header.slice().len();
                chain.protocol = header.next_header();
            }
            _ => {
                let header = Ipv6RawExtHeaderSlice::from_slice(rest).map_err(|_| bad)?;
                chain.at += header.slice().len();
                chain.protocol = header.next_header();
            }
        }
    }
    Err(bad)
}

/// ICMP counts only in IPv4 and ICMPv6 only in IPv6; elsewhere each is a protocol without ports.
fn transport(payload: &[u8], protocol: u8, is_v4: bool) -> Result<Transport, DropReason> {
    let cut = DropReason::TruncatedTransport;
    match IpNumber(protocol) {
        IpNumber::TCP => {
            let header = TcpHeaderSlice::from_slice(payload).map_err(|_| cut)?;
            let ports = (header.source_port(), header.destination_port());
            Ok(Transport { ports, tcp_flags: header.slice().get(13).copied(), ..Transport::default() })
        }
        IpNumber::UDP | IpNumber::SCTP => {
            let header = UdpHeaderSlice::from_slice(payload).map_err(|_| cut)?;
            let ports = (header.source_port(), header.destination_port());
            Ok(Transport { ports, ..Transport::default() })
        }
        IpNumber::ICMP if is_v4 => icmp(payload, true),
        IpNumber::IPV6_ICMP if !is_v4 => icmp(payload, false),
        _ => Ok(Transport::default()),
    }
}

fn icmp(payload: &[u8], is_v4: bool) -> Result<Transport, DropReason> {
    let cut = DropReason::TruncatedTransport;
    let (header, quoted) = payload.split_at_checked(8).ok_or(cut)?;
    let kind = header.first().copied().unwrap_or(0);
    let is_error = if is_v4 { matches!(kind, 3 | 4 | 5 | 11 | 12) } else { (1..=4).contains(&kind) };
    let concerns = if is_error { Some(quoted_conversation(quoted, is_v4)?.reversed()) } else { None };
    Ok(Transport { ports: icmp_ports(header, is_v4), icmp_type: Some(kind), concerns, tcp_flags: None })
}

/// The identifier of an ICMP query, on the asker's side.
fn icmp_ports(header: &[u8], is_v4: bool) -> (u16, u16) {
    let id = header.get(4..6).map_or(0, |b| b.iter().fold(0, |n, byte| n << 8 | u16::from(*byte)));
    match (is_v4, header.first()) {
        (true, Some(8 | 13)) | (false, Some(128)) => (id, 0),
        (true, Some(0 | 14)) | (false, Some(129)) => (0, id),
        _ => (0, 0),
    }
}

/// The packet that an ICMP error quotes: at least its IP header and 8 bytes more. Quoted extension headers are not
/// walked: such a packet has the first of them as its protocol.
fn quoted_conversation(quoted: &[u8], is_v4: bool) -> Result<Conversation, DropReason> {
    let cut = DropReason::TruncatedTransport;
    let (source, destination, protocol, at): (IpAddr, IpAddr, u8, usize) = if is_v4 {
        let header = Ipv4HeaderSlice::from_slice(quoted).map_err(|_| cut)?;
        (
            header.source_addr().into(),
            header.destination_addr().into(),
            header.protocol().0,
            header.slice().len(),
        )
    } else {
        let header = Ipv6HeaderSlice::from_slice(quoted).map_err(|_| cut)?;
        (header.source_addr().into(), header.destination_addr().into(), header.next_header().0, 40)
    };
    let start = quoted.get(at..at + 8).ok_or(cut)?;
    let ports = match IpNumber(protocol) {
        IpNumber::TCP | IpNumber::UDP | IpNumber::SCTP => {
            let header = UdpHeaderSlice::from_slice(start).map_err(|_| cut)?;
            (header.source_port(), header.destination_port())
        }
        IpNumber::ICMP if is_v4 => icmp_ports(start, true),
        IpNumber::IPV6_ICMP if !is_v4 => icmp_ports(start, false),
        _ => (0, 0),
    };
    Ok(Conversation { source, destination, protocol, ports })
}
