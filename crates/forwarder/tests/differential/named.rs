//! Cases in which the programs and the model once differed, each with what is right.

use std::net::IpAddr;

use etherparse::PacketBuilder;
use weft_forwarder::dataplane::tables::*;
use weft_forwarder::dataplane::verdict::{ACTION_ALLOW, ACTION_DENY, ACTION_LIST, PortRule};
use weft_forwarder::dataplane::*;
use weft_forwarder::reference::{EntryPoint, Fate, Flow, Model, Outcome};

use crate::common::Namespace;
use crate::kernel::Bench;
use crate::packets::Sent;
use crate::world::{self, Change, GATEWAY_MAC, UNDERLAY};

const POLICED: u32 = IF_POLICY | IF_L2 | IF_L3 | IF_RPF;
const SYN: u8 = 2;
const FIN_ACK: u8 = 0x11;
const ACK: u8 = 0x10;
/// Identities: of the workloads 0 and 1, and of what is remote.
const ZERO: u32 = 1;
const ONE: u32 = 2;
const REMOTE: u32 = 3;
/// Workload 1's VRF: its network is not workload 0's.
const OTHER_VRF: u16 = 2;

/// Workload 0 (.11) in VRF 1, workload 1 (.12) in VRF 2, each routed in the other's VRF, and a remote one (.20).
struct Scene {
    bench: Bench,
    model: Model,
}

impl Scene {
    fn new(ns: &Namespace, flags: [u32; 2]) -> Self {
        let mut scene = Scene { bench: Bench::new(ns), model: Bench::model() };
        scene.bench.clear();
        let devices = scene.bench.devices;
        scene.write(Change::Config(Config {
            fabric_ifindex: devices.fabric,
            pkt0_ifindex: devices.pkt0,
            tunnel_ip: UNDERLAY,
            fabric_mtu: 1500,
            gateway_mac: GATEWAY_MAC,
            fabric_slot: world::FABRIC_SLOT,
            ..Config::zeroed()
        }));
        for (n, flags) in flags.into_iter().enumerate() {
            scene.workload(n, flags);
        }
        let tunnel = NextHop {
            kind: NEXT_HOP_MPLS_L3,
            ifindex: devices.fabric,
            label: 77,
            src: UNDERLAY,
            dst: [192, 0, 2, 2],
            ..NextHop::zeroed()
        };
        scene.write(Change::NextHop(20, Some(tunnel)));
        for vrf in [1, OTHER_VRF] {
            scene.route(vrf, 11, 10, ZERO);
            scene.route(vrf, 12, 11, ONE);
            scene.route(vrf, 20, 20, REMOTE);
        }
        scene
    }

    fn workload(&mut self, n: usize, flags: u32) {
        let (vrf, identity) = if n == 0 { (1, ZERO) } else { (OTHER_VRF, ONE) };
        let (slot, ifindex) = (n as u32 + 1, self.bench.devices.workloads[n]);
        let mac = world::mac(11 + n as u64);
        let interface = Interface {
            kind: INTERFACE_WORKLOAD,
            vrf,
            flags,
            identity,
            slot,
            mac,
            gateway_mac: GATEWAY_MAC,
            ..Interface::zeroed()
        };
        let hop = NextHop {
            kind: NEXT_HOP_INTERFACE,
            flags: if flags & IF_POLICY != 0 { NH_POLICY } else { 0 },
            vrf,
            ifindex,
            slot,
            identity,
            dmac: mac,
            smac: GATEWAY_MAC,
            ..NextHop::zeroed()
        };
        self.write(Change::Interface(ifindex, Some(interface)));
        self.write(Change::NextHop(10 + n as u32, Some(hop)));
        let label = Label { next_hop: 10 + n as u32, vrf, kind: LABEL_L3, reserved: 0 };
        self.write(Change::Label(16 + n as u32, Some(label)));
    }

    fn write(&mut self, change: Change) {
        change.write(&self.bench.forwarder);
        change.tell(&mut self.model);
    }

    fn route(&mut self, vrf: u16, n: u64, next_hop: u32, identity: u32) {
        for v6 in [false, true] {
            let route = Route { next_hop, identity, mac: [0; 6], flags: 0 };
            self.write(Change::Route(vrf, world::address(v6, n).into(), Some(route)));
        }
    }

    fn verdict(&mut self, near: u32, far: u32, direction: Direction, action: u32) {
        let verdict = Verdict { action, rule: 9, list: 1 };
        self.write(Change::Verdict(VerdictKey::pair(near, far, direction), Some(verdict)));
    }

    fn bump(&mut self) {
        self.write(Change::Bump(1));
        self.write(Change::Bump(OTHER_VRF));
    }

    fn send(&mut self, at: EntryPoint, frame: Vec<u8>) -> Outcome {
        let step = self.bench.step(&mut self.model, &Sent { at, frame }, true);
        step.unwrap_or_else(|text| panic!("{text}"))
    }

    /// An IP packet from workload `n`, by way of the gateway.
    fn from(&mut self, n: usize, packet: Vec<u8>) -> Outcome {
        let kind = if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
        let frame = [&GATEWAY_MAC[..], &world::mac(11 + n as u64), &kind, &packet].concat();
        let at = EntryPoint::Workload(self.bench.devices.workloads[n]);
        self.send(at, frame)
    }

    /// The one flow from an address to another.
    fn flow(&self, from: u64, to: u64) -> Flow {
        let (from, to) = (world::address(false, from), world::address(false, to));
        let mut flows = self.model.flows.iter();
        let found =
            flows.find(|(key, _)| (key.conversation.source, key.conversation.destination) == (from, to));
        *found.expect("a flow").1
    }
}

fn udp(v6: bool, from: u64, to: u64) -> Vec<u8> {
    let mut packet = Vec::new();
    let written = match (world::address(v6, from), world::address(v6, to)) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            PacketBuilder::ipv4(a.octets(), b.octets(), 64).udp(4000, 80).write(&mut packet, b"weft")
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            PacketBuilder::ipv6(a.octets(), b.octets(), 64).udp(4000, 80).write(&mut packet, b"weft")
        }
        _ => unreachable!(),
    };
    written.expect("a packet");
    packet
}

fn tcp(from: u64, to: u64, ports: (u16, u16), flags: u8) -> Vec<u8> {
    let (IpAddr::V4(a), IpAddr::V4(b)) = (world::address(false, from), world::address(false, to)) else {
        unreachable!()
    };
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv4(a.octets(), b.octets(), 64).tcp(ports.0, ports.1, 1, 1024);
    builder.write(&mut packet, &[]).expect("a packet");
    packet[33] = flags;
    packet
}

/// "Port unreachable" from `from`, quoting a packet that came from `to`.
fn unreachable(from: u64, to: u64, quoted: &[u8]) -> Vec<u8> {
    let (IpAddr::V4(a), IpAddr::V4(b)) = (world::address(false, from), world::address(false, to)) else {
        unreachable!()
    };
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv4(a.octets(), b.octets(), 64).icmpv4_raw(3, 3, [0; 4]);
    builder.write(&mut packet, quoted).expect("a packet");
    packet
}

/// Plain outer headers for our address.
fn plain_outer(port: u16, carried: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 0xfb], [2, 0, 0, 0, 0, 0xfa])
        .ipv4([192, 0, 2, 2], UNDERLAY, 64)
        .udp(50_000, port);
    builder.write(&mut frame, carried).expect("a frame");
    frame
}

fn scene(flags: [u32; 2], story: impl FnOnce(&mut Scene) + Send) {
    let ns = Namespace::new("named");
    ns.enter(|| story(&mut Scene::new(&ns, flags)));
}

fn reason(outcome: &Outcome) -> Option<DropReason> {
    match outcome {
        Outcome::Drop { reason, .. } => Some(*reason),
        _ => None,
    }
}

#[test]
fn an_interface_without_policy_sends_icmp_errors_by_the_tables_alone() {
    scene([IF_L3 | IF_RPF, POLICED], |s| {
        let outcome = s.from(0, unreachable(11, 20, &udp(false, 20, 11)));
        assert!(matches!(outcome, Outcome::Tunnel { .. }), "{outcome:?}");
        let outcome = s.from(0, unreachable(13, 20, &udp(false, 20, 11)));
        assert_eq!(reason(&outcome), Some(DropReason::SpoofedSource));
        // A receiver with policy gets only errors about flows.
        let outcome = s.from(0, unreachable(11, 12, &udp(false, 12, 11)));
        assert_eq!(reason(&outcome), Some(DropReason::IcmpErrorNoFlow));
    });
}

#[test]
fn an_icmp_error_about_a_flow_whose_policy_changed_is_judged() {
    scene([POLICED, POLICED], |s| {
        s.verdict(ZERO, REMOTE, Direction::Egress, ACTION_ALLOW);
        assert!(matches!(s.from(0, udp(false, 11, 20)), Outcome::Tunnel { .. }));
        let error = || {
            let error = unreachable(20, 11, &udp(false, 11, 20));
            let stack = (16u32 << 12 | 0x140).to_be_bytes();
            plain_outer(6635, &[&stack[..], &error].concat())
        };
        assert!(matches!(s.send(EntryPoint::Fabric, error()), Outcome::Deliver { .. }));
        s.bump();
        assert!(matches!(s.send(EntryPoint::Fabric, error()), Outcome::Deliver { .. }), "still allowed");
        s.verdict(ZERO, REMOTE, Direction::Egress, ACTION_DENY);
        s.bump();
        let outcome = s.send(EntryPoint::Fabric, error());
        assert_eq!(reason(&outcome), Some(DropReason::IcmpErrorNoFlow));
    });
}

#[test]
fn a_session_survives_when_its_far_end_comes_to_this_host() {
    scene([POLICED, POLICED], |s| {
        s.verdict(ZERO, ONE, Direction::Egress, ACTION_ALLOW);
        s.verdict(ONE, ZERO, Direction::Ingress, ACTION_ALLOW);
        s.route(1, 12, 20, ONE);
        assert!(matches!(s.from(0, tcp(11, 12, (4000, 80), SYN)), Outcome::Tunnel { .. }));
        s.route(1, 12, 11, ONE);
        s.bump();
        assert!(matches!(s.from(0, tcp(11, 12, (4000, 80), ACK)), Outcome::Deliver { .. }));
        let answer = s.from(1, tcp(12, 11, (80, 4000), ACK));
        assert!(matches!(answer, Outcome::Deliver { .. }), "{answer:?}: an answer, not a session of its own");
        assert_eq!(s.model.flows.len(), 2);
    });
}

#[test]
fn syn_against_a_denied_session_is_a_session_of_its_own() {
    scene([POLICED, POLICED], |s| {
        s.verdict(ZERO, ONE, Direction::Egress, ACTION_ALLOW);
        s.verdict(ONE, ZERO, Direction::Ingress, ACTION_ALLOW);
        s.from(0, tcp(11, 12, (4000, 80), SYN));
        s.verdict(ZERO, ONE, Direction::Egress, ACTION_DENY);
        s.verdict(ONE, ZERO, Direction::Egress, ACTION_ALLOW);
        s.verdict(ZERO, ONE, Direction::Ingress, ACTION_ALLOW);
        s.bump();
        assert_eq!(reason(&s.from(1, tcp(12, 11, (80, 4000), ACK))), Some(DropReason::Policy));
        assert_eq!(s.flow(12, 11).fate, Fate::Deny(DropReason::Policy));
        assert!(matches!(s.from(1, tcp(12, 11, (80, 4000), SYN)), Outcome::Deliver { .. }));
        assert!(!s.flow(12, 11).reverse);
    });
}

#[test]
fn packets_that_are_judged_again_count_and_close_connections() {
    scene([POLICED, POLICED], |s| {
        s.verdict(ZERO, REMOTE, Direction::Egress, ACTION_ALLOW);
        s.from(0, tcp(11, 20, (4000, 80), SYN));
        s.bump();
        s.from(0, tcp(11, 20, (4000, 80), FIN_ACK));
        let flow = s.flow(11, 20);
        assert_eq!((flow.packets, flow.tcp.fin, flow.slot), (2, true, 1));
        assert!(s.flow(20, 11).tcp.peer_fin);
    });
}

#[test]
fn padding_behind_the_ip_packet_is_no_transport_header() {
    scene([POLICED, POLICED], |s| {
        s.verdict(ZERO, REMOTE, Direction::Egress, ACTION_ALLOW);
        let mut packet = udp(false, 11, 20);
        packet[3] = 24;
        assert_eq!(reason(&s.from(0, packet)), Some(DropReason::TruncatedTransport));
    });
}

#[test]
fn the_identifier_of_an_echo_is_no_source_port() {
    scene([POLICED, POLICED], |s| {
        let mut list = RuleList::zeroed();
        list.count = 1;
        list.rules[0] = PortRule { source_low: 500, source_high: 500, action: 1, reserved: 0, rule: 4 };
        s.write(Change::RuleList(1, Some(list)));
        s.verdict(ZERO, REMOTE, Direction::Egress, ACTION_LIST);
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 11], [10, 0, 0, 20], 64).icmpv4_echo_request(500, 1);
        builder.write(&mut packet, b"weft").expect("a packet");
        assert_eq!(reason(&s.from(0, packet)), Some(DropReason::Policy));
    });
}

/// The stages' verdict must be that of the last one, also when a stage grows too large to be inlined.
#[test]
fn the_first_packet_of_a_flow_is_redirected_in_both_families() {
    scene([POLICED, POLICED], |s| {
        s.verdict(ZERO, REMOTE, Direction::Egress, ACTION_ALLOW);
        for v6 in [false, true] {
            assert!(matches!(s.from(0, udp(v6, 11, 20)), Outcome::Tunnel { .. }));
            assert!(matches!(s.from(0, udp(v6, 11, 20)), Outcome::Tunnel { .. }));
        }
    });
}

#[test]
fn a_later_fragment_says_nothing_of_tcp() {
    scene([POLICED, POLICED], |s| {
        s.verdict(ZERO, REMOTE, Direction::Egress, ACTION_ALLOW);
        let mut head = tcp(11, 20, (4000, 80), SYN);
        head[6] = 0x20;
        let mut later = head.clone();
        (later[6], later[7]) = (0, 1);
        s.from(0, head);
        assert!(matches!(s.from(0, later), Outcome::Tunnel { .. }));
        let flow = s.flow(11, 20);
        assert_eq!((flow.packets, flow.tcp.syn, flow.tcp.established), (2, true, false));
    });
}
