//! What must hold of parsing, headers and keys for any input.

use proptest::prelude::*;
use weft_dataplane::flow::{FlowKey, FlowKey6};
use weft_dataplane::outer::{self, TunnelKind};
use weft_dataplane::packet::Packet;
use weft_dataplane::tcp::{self, Step};
use weft_dataplane::verdict::{Direction, VerdictKey};
use weft_dataplane::{Pod, hash, parse, reply};

#[test]
fn a_connection_goes_through_its_states() {
    use tcp::{ACK, FIN, RST, SYN};
    let (mut client, mut server) = tcp::first(SYN);
    assert_eq!(tcp::step(client, SYN), Step::Stay);
    let packets =
        [(false, SYN | ACK), (true, ACK), (true, ACK), (true, FIN | ACK), (false, ACK), (false, FIN | ACK)];
    for (from_client, flags) in packets {
        let (own, other) = if from_client { (&mut client, &mut server) } else { (&mut server, &mut client) };
        match tcp::step(*own, flags) {
            Step::Change { own: bits, peer } => {
                *own = bits;
                *other |= peer;
            }
            step => assert_eq!(step, Step::Stay),
        }
    }
    assert!(client & tcp::STATE_ESTABLISHED != 0 && tcp::is_closed(client) && tcp::is_closed(server));
    assert_eq!(tcp::step(client, ACK), Step::Done);
    assert!(tcp::reopens(client, SYN, false) && !tcp::reopens(tcp::STATE_SYN, SYN, false));
    assert!(tcp::reopens(tcp::STATE_SYN, SYN, true), "an answer\'s side opens: a new session");
    assert!(matches!(tcp::step(0, RST), Step::Change { peer: tcp::STATE_RST, .. }));
}

/// An IPv4 packet without a right checksum.
fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend_from_slice(&src);
    packet.extend_from_slice(&dst);
    packet.extend_from_slice(payload);
    packet
}

#[test]
fn icmp_errors_are_keyed_by_the_flow_they_concern() {
    let quoted = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &[0x10, 0, 0, 53, 0, 8, 0, 0]);
    let mut icmp = vec![3, 4, 0, 0, 0, 0, 5, 0];
    icmp.extend_from_slice(&quoted);
    let packet = ipv4([10, 0, 0, 254], [10, 0, 0, 1], 1, &icmp);
    let (meta, key) = parse::ipv4(packet.as_slice(), 0, 9).expect("parsed");
    assert_ne!(meta.flags & parse::META_ICMP_ERROR, 0);
    assert_eq!((key.src, key.dst, key.protocol, key.zone), ([10, 0, 0, 2], [10, 0, 0, 1], 17, 9));
    assert_eq!((key.sport, key.dport), ([0, 53], [0x10, 0]));
}

#[test]
fn echo_identifiers_are_the_askers_port() {
    let request = ipv4([1; 4], [2; 4], 1, &[8, 0, 0, 0, 0x12, 0x34, 0, 1]);
    let answer = ipv4([2; 4], [1; 4], 1, &[0, 0, 0, 0, 0x12, 0x34, 0, 1]);
    let (_, asked) = parse::ipv4(request.as_slice(), 0, 3).expect("parsed");
    let (_, answered) = parse::ipv4(answer.as_slice(), 0, 3).expect("parsed");
    assert_eq!(asked.reversed(3), answered);
    assert_eq!(asked.sport, [0x12, 0x34]);
}

fn sum16(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], *c.get(1).unwrap_or(&0)])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

fn bits(key: &VerdictKey) -> u128 {
    let mut bytes = [0; 16];
    bytes[..12].copy_from_slice(&key.as_bytes()[4..]);
    u128::from_be_bytes(bytes)
}

fn covers(entry: &VerdictKey, key: &VerdictKey) -> bool {
    let shift = 128 - entry.prefix_len;
    bits(entry) >> shift == bits(key) >> shift
}

proptest! {
    #[test]
    fn parsers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..64) {
        let packet = bytes.as_slice();
        let _ = parse::ipv4(packet, at, 1);
        let _ = parse::ipv6(packet, at, 1);
        let _ = outer::classify(packet, [1, 2, 3, 4], 6635, 4789);
    }

    #[test]
    fn parsers_never_panic_behind_a_good_start(
        mut bytes in proptest::collection::vec(any::<u8>(), 40..200),
        protocol in prop::sample::select(vec![0u8, 1, 6, 17, 43, 44, 51, 58, 60, 132]),
    ) {
        let length = bytes.len() as u16;
        bytes[0] = 0x45;
        bytes[9] = protocol;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        if let Ok((meta, _)) = parse::ipv4(bytes.as_slice(), 0, 1) {
            prop_assert_eq!(meta.length, u32::from(length));
        }
        bytes[0] = 0x60;
        bytes[6] = protocol;
        bytes[4..6].copy_from_slice(&(length - 40).to_be_bytes());
        if let Ok((meta, _)) = parse::ipv6(bytes.as_slice(), 0, 1) {
            prop_assert_eq!(meta.length, u32::from(length));
            prop_assert!(meta.header_len >= 40);
        }
    }

    #[test]
    fn reversing_twice_is_nothing(src: [u8; 16], dst: [u8; 16], ports: [u8; 4], zone: u16, protocol: u8) {
        let (sport, dport) = ([ports[0], ports[1]], [ports[2], ports[3]]);
        let key = FlowKey6 { src, dst, sport, dport, zone, protocol, reserved: 0 };
        prop_assert_eq!(key.reversed(5).reversed(zone), key);
    }

    #[test]
    fn outer_headers_are_recognised_and_sum_to_zero(
        src: [u8; 4], dst: [u8; 4], tos: u8, id in 0u32..1 << 20, length in 32u32..1400,
    ) {
        let headers = outer::headers(src, dst, [0xc0, 0], 6635, tos, length);
        prop_assert_eq!(sum16(&headers[..20]), 0xffff);
        let mut frame = vec![0; 12];
        frame.extend_from_slice(&[8, 0]);
        frame.extend_from_slice(&headers);
        frame.extend_from_slice(&outer::label_entry(id));
        let tunnel = outer::classify(frame.as_slice(), dst, 6635, 4789).expect("ours");
        prop_assert_eq!((tunnel.kind, tunnel.id, tunnel.inner, tunnel.tos), (TunnelKind::Mpls, id, 46, tos));
    }

    #[test]
    fn source_ports_are_in_range(hash: u32) {
        prop_assert!(u16::from_be_bytes(hash::source_port(hash)) >= 49_152);
    }

    #[test]
    fn checksums_are_replaced_right(mut words in proptest::collection::vec(any::<u16>(), 4..20), new: u16) {
        let bytes = |words: &[u16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
        let sum = !(sum16(&bytes(&words)) as u16);
        let old = std::mem::replace(&mut words[0], new);
        let updated = u16::from_be_bytes(reply::checksum_replace(sum.to_be_bytes(), old, new));
        let mut all = bytes(&words);
        all.extend_from_slice(&updated.to_be_bytes());
        prop_assert!(matches!(sum16(&all), 0xffff | 0));
    }

    #[test]
    fn port_prefixes_match_just_their_ports(port: u16, bits in 0u8..=16, probe: u16) {
        let key = VerdictKey::ports(1, 2, Direction::Egress, 6, port, bits);
        let shift = 16 - u32::from(bits);
        let inside = u32::from(port) >> shift == u32::from(probe) >> shift;
        let asked = VerdictKey::lookup(1, 2, Direction::Egress, 6, probe);
        prop_assert_eq!(covers(&key, &asked), inside);
        prop_assert!(!covers(&key, &VerdictKey::lookup(1, 2, Direction::Egress, 17, probe)));
    }

    #[test]
    fn advertisements_sum_to_zero(
        frame in proptest::collection::vec(any::<u8>(), 78), mac: [u8; 6], router: bool,
    ) {
        let frame: [u8; 78] = frame.try_into().expect("length");
        let mut answer = reply::advertisement(&frame, mac, router);
        for _ in 0..2 {
            let mut covered = answer[22..].to_vec();
            covered.extend_from_slice(&[0, 0, 0, 32, 0, 0, 0, 58]);
            prop_assert_eq!(sum16(&covered), 0xffff);
            reply::to_all_nodes(&mut answer);
        }
    }

    #[test]
    fn pod_values_survive(bytes in proptest::collection::vec(any::<u8>(), 96)) {
        let event = weft_dataplane::Event::from_bytes(&bytes).expect("long enough");
        prop_assert_eq!(event.as_bytes(), bytes.as_slice());
        prop_assert!(weft_dataplane::Event::from_bytes(&bytes[..95]).is_none());
        prop_assert_eq!(bytes.as_slice().load::<2>(94), Some([bytes[94], bytes[95]]));
        prop_assert_eq!(bytes.as_slice().load::<2>(usize::MAX), None);
    }
}
