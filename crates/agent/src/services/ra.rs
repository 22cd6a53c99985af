//! Router advertisements (RFC 4861, RFC 8106): sent every [`INTERVAL`] and in answer to a solicitation.
//!
//! Addresses are managed (DHCPv6), so the prefix is announced on-link without autonomous configuration.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::packet::{ND_HOP_LIMIT, PacketError, checksum, source_mac};
use super::view::{GATEWAY_LINK_LOCAL, GATEWAY_MAC, Lease6, PortServices};

/// Time between unsolicited advertisements.
pub const INTERVAL: Duration = Duration::from_secs(30);
/// How long a workload may use the gateway after the last advertisement, in seconds.
const ROUTER_LIFETIME: u16 = 9000;
/// Lifetime of the announced prefix and of the DNS servers, in seconds.
const PREFIX_LIFETIME: u32 = 86_400;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ICMPV6: u8 = 58;
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const TYPE_SOLICITATION: u8 = 133;
const TYPE_ADVERTISEMENT: u8 = 134;
/// Managed addresses and other configuration: both by DHCPv6.
const FLAGS_MANAGED_OTHER: u8 = 0xc0;
const PREFIX_ON_LINK: u8 = 0x80;

/// An advertisement to all nodes on `port`'s link. `None` if the interface has no IPv6.
pub fn advertisement(port: &PortServices) -> Option<Vec<u8>> {
    let lease = port.lease6.as_ref()?;
    Some(frame(port, lease, ALL_NODES, ALL_NODES_MAC))
}

/// Answer the router solicitation in `frame`, to its sender.
///
/// # Errors
/// [`PacketError`] when `frame` is not a valid solicitation (RFC 4861 section 6.1.1).
pub fn answer(port: &PortServices, frame_in: &[u8]) -> Result<Option<Vec<u8>>, PacketError> {
    let source = parse_solicitation(frame_in)?;
    let Some(lease) = &port.lease6 else {
        return Ok(None);
    };
    if source.is_unspecified() {
        return Ok(Some(frame(port, lease, ALL_NODES, ALL_NODES_MAC)));
    }
    Ok(Some(frame(port, lease, source, source_mac(frame_in)?)))
}

/// The sender of a router solicitation.
///
/// # Errors
/// [`PacketError`] when the frame is cut short, is something else, or comes from beyond the link.
pub fn parse_solicitation(frame: &[u8]) -> Result<Ipv6Addr, PacketError> {
    let short = || PacketError::malformed("router solicitation", "cut short");
    if frame.get(12..14).ok_or_else(short)? != ETHERTYPE_IPV6 {
        return Err(PacketError::Unexpected("network protocol"));
    }
    let header = frame.get(14..54).ok_or_else(short)?;
    let icmp = frame.get(54..62).ok_or_else(short)?;
    if header[6] != ICMPV6 || icmp[0] != TYPE_SOLICITATION || icmp[1] != 0 {
        return Err(PacketError::Unexpected("ICMPv6 type"));
    }
    if header[7] != ND_HOP_LIMIT {
        return Err(PacketError::Unexpected("hop limit"));
    }
    let octets: [u8; 16] = header[8..24].try_into().map_err(|_| short())?;
    Ok(octets.into())
}

fn frame(port: &PortServices, lease: &Lease6, to: Ipv6Addr, mac: [u8; 6]) -> Vec<u8> {
    let body = body(port, lease);
    ipv6_icmp_frame(mac, GATEWAY_LINK_LOCAL, to, ND_HOP_LIMIT, body)
}

fn body(port: &PortServices, lease: &Lease6) -> Vec<u8> {
    let lifetime = if lease.gateway.is_some() { ROUTER_LIFETIME } else { 0 };
    let mut b = vec![TYPE_ADVERTISEMENT, 0, 0, 0, 64, FLAGS_MANAGED_OTHER];
    b.extend_from_slice(&lifetime.to_be_bytes());
    b.extend_from_slice(&[0; 8]); // reachable and retransmission time: unspecified
    b.extend_from_slice(&[1, 1]); // source link-layer address
    b.extend_from_slice(&GATEWAY_MAC);
    b.extend_from_slice(&[5, 1, 0, 0]); // MTU
    b.extend_from_slice(&u32::from(port.mtu).to_be_bytes());
    b.extend_from_slice(&[3, 4, lease.subnet.prefix_len(), PREFIX_ON_LINK]);
    b.extend_from_slice(&PREFIX_LIFETIME.to_be_bytes());
    b.extend_from_slice(&PREFIX_LIFETIME.to_be_bytes());
    b.extend_from_slice(&[0; 4]);
    b.extend_from_slice(&lease.subnet.network().octets());
    let dns: Vec<_> = lease.dns.iter().take(3).collect();
    if !dns.is_empty() {
        b.extend_from_slice(&[25, 1 + 2 * dns.len() as u8, 0, 0]);
        b.extend_from_slice(&PREFIX_LIFETIME.to_be_bytes());
        dns.iter().for_each(|a| b.extend_from_slice(&a.octets()));
    }
    b
}

/// An Ethernet frame from the gateway's MAC with an ICMPv6 message whose checksum (bytes 2 and 3) is filled in.
pub fn ipv6_icmp_frame(
    mac: [u8; 6],
    source: Ipv6Addr,
    to: Ipv6Addr,
    hop_limit: u8,
    mut icmp: Vec<u8>,
) -> Vec<u8> {
    let length = icmp.len() as u32;
    let pseudo_tail = [length.to_be_bytes(), [0, 0, 0, ICMPV6]].concat();
    let sum = checksum(&[&source.octets(), &to.octets(), &pseudo_tail, &icmp]);
    if let Some(field) = icmp.get_mut(2..4) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    let mut frame = Vec::with_capacity(54 + icmp.len());
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&GATEWAY_MAC);
    frame.extend_from_slice(&ETHERTYPE_IPV6);
    frame.extend_from_slice(&[0x60, 0, 0, 0]);
    frame.extend_from_slice(&(length as u16).to_be_bytes());
    frame.extend_from_slice(&[ICMPV6, hop_limit]);
    frame.extend_from_slice(&source.octets());
    frame.extend_from_slice(&to.octets());
    frame.extend_from_slice(&icmp);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{SlicedPacket, TransportSlice};

    fn port() -> PortServices {
        PortServices {
            interface: uuid::Uuid::nil(),
            ifindex: 7,
            mac: [2, 0, 0, 0, 0, 9],
            network: "d:p:red".into(),
            hostname: None,
            mtu: 1450,
            lease4: None,
            lease6: Some(Lease6 {
                address: "fd00:1::3".parse().unwrap(),
                subnet: "fd00:1::/64".parse().unwrap(),
                gateway: Some("fd00:1::1".parse().unwrap()),
                dns: vec!["fd00:1::2".parse().unwrap()],
                domain: None,
            }),
        }
    }

    #[test]
    fn advertisement_is_well_formed() {
        let frame = advertisement(&port()).unwrap();
        let parsed = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(TransportSlice::Icmpv6(icmp)) = parsed.transport else {
            panic!("not ICMPv6");
        };
        assert!(icmp.is_checksum_valid(GATEWAY_LINK_LOCAL.octets(), ALL_NODES.octets()));
        assert_eq!(frame[54], TYPE_ADVERTISEMENT);
        assert_eq!(frame[59], 0xc0);
        // Prefix: on-link, not autonomous.
        assert_eq!(frame[86..90], [3, 4, 64, 0x80]);
    }

    #[test]
    fn solicitation_is_answered_to_its_sender() {
        let from: Ipv6Addr = "fe80::9".parse().unwrap();
        let mut ask = ipv6_icmp_frame([0x33; 6], from, ALL_NODES, 255, vec![133, 0, 0, 0, 0, 0, 0, 0]);
        let reply = answer(&port(), &ask).unwrap().unwrap();
        assert_eq!(reply[38..54], from.octets());
        ask[21] = 64; // came through a router
        assert!(answer(&port(), &ask).is_err());
        for n in 0..62 {
            assert!(answer(&port(), &ask[..n]).is_err());
        }
    }
}
