//! Single frames through the programs by BPF_PROG_TEST_RUN: traps, injections, damaged and foreign packets.

mod common;

use common::*;
use etherparse::PacketBuilder;
use weft_forwarder::Datapath;
use weft_forwarder::dataplane::trap::{INJECT_DELIVER, InjectHeader, MAGIC};
use weft_forwarder::dataplane::{Config, DropReason, Pod, TrapHeader, TrapReason, outer};

/// The kernel runs programs on no shorter IPv4 frame.
const SHORTEST: usize = 34;
const SHOT: i32 = 2;
const REDIRECT: i32 = 7;
const NEXT: i32 = -1;
const W1: [u8; 6] = [2, 0, 0, 0, 0, 11];

fn udp_frame(dst_mac: [u8; 6], src: [u8; 4], dst: [u8; 4], ports: (u16, u16), payload: usize) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(W1, dst_mac).ipv4(src, dst, 64).udp(ports.0, ports.1);
    let mut frame = Vec::new();
    builder.write(&mut frame, &vec![0; payload]).expect("frame");
    frame
}

fn run_on(host: &Host, program: &str, ifindex: u32, frame: &[u8]) -> (i32, Vec<u8>) {
    host.ns.enter(|| host.dp().test_run(program, ifindex, frame)).expect("test run")
}

fn with_pkt0(p: &Pair) {
    let config = Config { pkt0_ifindex: p.a.fabric, ..p.a.config() };
    p.a.dp().set_config(&config).expect("config");
}

/// A frame from the underlay around an inner packet.
fn mpls(label: u32, inner: &[u8]) -> Vec<u8> {
    let mut payload = outer::label_entry(label).to_vec();
    payload.extend_from_slice(inner);
    tunnelled(6635, &payload)
}

fn vxlan(vni: u32, inner: &[u8]) -> Vec<u8> {
    let mut payload = outer::vxlan_header(vni).to_vec();
    payload.extend_from_slice(inner);
    tunnelled(4789, &payload)
}

fn tunnelled(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend_from_slice(&[8, 0]);
    let length = 28 + payload.len() as u32;
    frame.extend_from_slice(&outer::headers([192, 0, 2, 2], [192, 0, 2, 1], [0xc0, 1], port, 0, length));
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn dhcp_dns_and_big_packets_go_up_to_the_agent() {
    let p = pair(Mode::MplsL3);
    with_pkt0(&p);
    let tap = p.a.ns.ifindex("tap11");
    let mut big = udp_frame(GATEWAY_MAC, [10, 0, 0, 11], [10, 0, 0, 12], (5, 6), 1460);
    big[20] |= 0x40; // DF; the checksum is not looked at
    let frames = [
        (udp_frame([255; 6], [0; 4], [255; 4], (68, 67), 300), TrapReason::Dhcp, 0),
        (udp_frame(GATEWAY_MAC, [10, 0, 0, 11], [10, 0, 0, 1], (9999, 53), 30), TrapReason::Dns, 0),
        (big, TrapReason::MtuExceeded, 1500 - 32),
    ];
    for (frame, reason, mtu) in frames {
        let (verdict, out) = run_on(&p.a, "workload", tap, &frame);
        assert_eq!(verdict, REDIRECT, "{reason:?}");
        let header = TrapHeader::from_bytes(&out).expect("header");
        assert_eq!((header.magic, header.reason, header.ifindex), (MAGIC, reason as u8, tap));
        assert_eq!((header.mtu, header.vrf, header.length as usize), (mtu, VRF, frame.len()));
        let whole = out.len() - size_of::<TrapHeader>();
        assert_eq!(out[32..], frame[..whole], "{reason:?}");
        assert!(whole == frame.len() || whole == 590);
    }
    let may_fragment = udp_frame(GATEWAY_MAC, [10, 0, 0, 11], [10, 0, 0, 12], (5, 6), 1460);
    let mut may_fragment = may_fragment;
    may_fragment[20] &= !0x40;
    let (_, out) = run_on(&p.a, "workload", tap, &may_fragment);
    let header = TrapHeader::from_bytes(&out).expect("header");
    assert_eq!((header.reason, out.len()), (TrapReason::Fragment as u8, may_fragment.len() + 32));
}

#[test]
fn injected_frames_lose_their_header() {
    let p = pair(Mode::MplsL3);
    let tap = p.a.ns.ifindex("tap11");
    let mut arp = vec![255; 12];
    arp.extend_from_slice(&[8, 6]);
    arp.extend_from_slice(&[1; 46]);
    for frame in [udp_frame(W1, [10, 0, 0, 1], [10, 0, 0, 11], (53, 9999), 40), arp] {
        let mut packet = InjectHeader::new(INJECT_DELIVER, tap).as_bytes().to_vec();
        packet.extend_from_slice(&frame);
        assert_eq!(run_on(&p.a, "pkt0", p.a.fabric, &packet), (REDIRECT, frame));
    }
    let mut bad = InjectHeader::new(9, tap).as_bytes().to_vec();
    bad.extend_from_slice(&[0; 60]);
    assert_eq!(run_on(&p.a, "pkt0", p.a.fabric, &bad).0, SHOT);
    assert_eq!(p.a.drops(DropReason::InjectInvalid), 1);
}

#[test]
fn unknown_labels_and_identifiers_are_dropped() {
    let p = pair(Mode::MplsL3);
    let frame = udp_frame(W1, [10, 0, 0, 12], [10, 0, 0, 11], (5, 6), 20);
    for (packet, reason) in [
        (mpls(3, &frame[14..]), DropReason::UnknownLabel),
        (mpls(900_000, &frame[14..]), DropReason::UnknownLabel),
        (vxlan(5, &frame), DropReason::UnknownVni),
    ] {
        let before = p.a.drops(reason);
        assert_eq!(run_on(&p.a, "fabric", p.a.fabric, &packet).0, SHOT);
        assert_eq!(p.a.drops(reason), before + 1, "{reason:?}");
    }
    assert_eq!(run_on(&p.a, "fabric", p.a.fabric, &mpls(1011, &frame[14..])).0, REDIRECT);
}

#[test]
fn truncated_packets_are_dropped_with_a_reason() {
    let p = pair(Mode::MplsL3);
    let inner = udp_frame(W1, [10, 0, 0, 12], [10, 0, 0, 11], (5, 6), 20);
    let drops = || p.a.dp().drops().expect("drops").iter().map(|d| d.packets).sum::<u64>();
    for whole in [mpls(1011, &inner[14..]), mpls(2011, &inner), vxlan(VNI, &inner)] {
        let (verdict, out) = run_on(&p.a, "fabric", p.a.fabric, &whole);
        assert_eq!((verdict, &out[12..]), (REDIRECT, &inner[12..]));
        for length in SHORTEST..whole.len() {
            let before = drops();
            let (verdict, _) = run_on(&p.a, "fabric", p.a.fabric, &whole[..length]);
            if length < 42 {
                assert_eq!(verdict, NEXT, "{length}: not recognisable, so the host's");
            } else {
                assert!(verdict == SHOT && drops() > before, "{length}");
            }
        }
    }
    let tap = p.a.ns.ifindex("tap11");
    let frame = udp_frame(GATEWAY_MAC, [10, 0, 0, 11], [10, 0, 0, 12], (5, 6), 20);
    for length in SHORTEST..frame.len() {
        assert_eq!(run_on(&p.a, "workload", tap, &frame[..length]).0, SHOT, "{length}");
    }
    assert_eq!(run_on(&p.a, "workload", tap, &frame).0, REDIRECT);
}

#[test]
fn foreign_packets_go_to_the_host() {
    let p = pair(Mode::MplsL3);
    let inner = udp_frame(W1, [10, 0, 0, 12], [10, 0, 0, 11], (5, 6), 20);
    let mut other_address = mpls(1011, &inner[14..]);
    other_address[33] = 77;
    let other_port = tunnelled(6636, &[0; 60]);
    for packet in [other_address, other_port] {
        assert_eq!(run_on(&p.a, "fabric", p.a.fabric, &packet), (NEXT, packet));
    }
}

#[test]
fn encapsulation_is_exact() {
    let p = pair(Mode::MplsL3);
    let tap = p.a.ns.ifindex("tap11");
    let frame = udp_frame(GATEWAY_MAC, [10, 0, 0, 11], [10, 0, 0, 12], (5, 6), 20);
    let (verdict, out) = run_on(&p.a, "workload", tap, &frame);
    assert_eq!((verdict, out.len()), (REDIRECT, frame.len() + 32));
    let (ip, rest) = etherparse::Ipv4Header::from_slice(&out[14..]).expect("outer header");
    assert_eq!((ip.source, ip.destination, ip.dont_fragment), ([192, 0, 2, 1], [192, 0, 2, 2], true));
    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
    assert!(u16::from_be_bytes([rest[0], rest[1]]) >= 49_152);
    assert_eq!(rest[2..4], 6635u16.to_be_bytes());
    assert_eq!(rest[8..12], outer::label_entry(1012));
    let (inner, _) = etherparse::Ipv4Header::from_slice(&rest[12..]).expect("inner header");
    assert_eq!((inner.time_to_live, inner.header_checksum), (63, inner.calc_header_checksum()));
}
