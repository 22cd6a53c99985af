//! The functions that the programs are made of, compiled for this machine, against the model: parsing, recognising
//! tunnels, judging, following TCP, and the answers. No kernel, many cases.

use std::net::IpAddr;
use std::time::Instant;

use weft_forwarder::dataplane::flow::{FlowKey, FlowKey4, FlowKey6};
use weft_forwarder::dataplane::judge::{self, Entry, Judgement, Link};
use weft_forwarder::dataplane::outer::{self, Ecn, TunnelKind};
use weft_forwarder::dataplane::packet::{ETH_LEN, Packet};
use weft_forwarder::dataplane::parse::META_DF;
use weft_forwarder::dataplane::parse::{self, META_ECHO, META_FRAGMENT, META_ICMP_ERROR, META_LATER, Meta};
use weft_forwarder::dataplane::tables::{INTERFACE_WORKLOAD, NEXT_HOP_INTERFACE};
use weft_forwarder::dataplane::{
    BridgeEntry, BridgeKey, DropReason, NextHop, Pod, Route, RuleList, Verdict, VerdictKey, reply,
};
use weft_forwarder::reference::{
    self, Arrived, Conversation, EntryPoint, Facts, Fate, Fragment, Model, Side, Tables,
};
use weft_forwarder::{Datapath, MemoryDatapath};

use crate::packets::{Packets, Sent};
use crate::rng::{Rng, setting};
use crate::world::{self, Change, Devices};

const DEVICES: Devices = Devices { workloads: [11, 12, 13, 14, 15], fabric: 20, pkt0: 21, stranger: 30 };
const STEPS: usize = 60;

/// The model's tables as `weft-dataplane` asks for them.
struct Lookups<'a> {
    tables: &'a Tables,
    discard: NextHop,
    empty: RuleList,
}

impl judge::Tables for Lookups<'_> {
    fn route4(&self, vrf: u16, addr: [u8; 4]) -> Option<&Route> {
        self.tables.route(vrf, addr.into())
    }

    fn route6(&self, vrf: u16, addr: &[u8; 16]) -> Option<&Route> {
        self.tables.route(vrf, (*addr).into())
    }

    fn bridge(&self, key: &BridgeKey) -> Option<&BridgeEntry> {
        self.tables.bridge.get(&(key.vrf, key.mac))
    }

    fn next_hop(&self, index: u32) -> Option<&NextHop> {
        let known = index < self.tables.next_hop_limit;
        known.then(|| self.tables.next_hops.get(&index).unwrap_or(&self.discard))
    }

    fn verdict(&self, key: &VerdictKey) -> Option<&Verdict> {
        let [near, far] = [key.near, key.far].map(u32::from_be_bytes);
        self.tables.verdict(near, far, key.direction, key.protocol, u16::from_be_bytes(key.port))
    }

    fn rule_list(&self, index: u32) -> Option<&RuleList> {
        let known = index < self.tables.rule_list_limit;
        known.then(|| self.tables.rule_lists.get(&index).unwrap_or(&self.empty))
    }

    fn generation(&self, vrf: u16) -> u32 {
        self.tables.bumps.get(&vrf).copied().unwrap_or(0)
    }
}

/// A parsed packet of either family in the model's terms, with its key for the judge.
enum Parsed {
    V4(Facts, FlowKey4),
    V6(Facts, FlowKey6),
}

fn conversation<K: FlowKey>(key: &K, source: IpAddr, destination: IpAddr) -> Conversation {
    let (sport, dport) = key.ports();
    let ports = (u16::from_be_bytes(sport), u16::from_be_bytes(dport));
    Conversation { source, destination, protocol: key.protocol(), ports }
}

/// `expected` gives what the parser does not tell: an ICMP error's own addresses.
fn facts(meta: &Meta, of_key: Conversation, expected: &Facts) -> Facts {
    let has = |flag| meta.flags & flag != 0;
    let is_error = has(META_ICMP_ERROR);
    let icmp = meta.protocol == if meta.version == 4 { 1 } else { 58 } && !has(META_LATER);
    Facts {
        conversation: if is_error { expected.conversation } else { of_key },
        concerns: is_error.then_some(of_key),
        traffic_class: meta.tos,
        ttl: meta.ttl,
        fragment: has(META_FRAGMENT)
            .then(|| Fragment { id: u32::from_be_bytes(meta.fragment_id), first: !has(META_LATER) }),
        may_fragment: !has(META_DF),
        tcp_flags: (meta.protocol == 6 && !has(META_LATER)).then_some(meta.tcp_flags),
        icmp_type: icmp.then_some(meta.icmp_type),
        transport: usize::from(meta.header_len),
        length: meta.length as usize,
    }
}

/// Parses with both; they must agree.
fn parsed(frame: &[u8], l3: usize, v6: bool, zone: u16) -> Result<Parsed, DropReason> {
    let expected = reference::parse(frame.get(l3..).unwrap_or_default(), v6);
    let got = if v6 {
        parse::ipv6(frame, l3, zone).map(|(meta, key)| {
            let of_key = conversation(&key, key.src.into(), key.dst.into());
            (meta, of_key, None, Some(key))
        })
    } else {
        parse::ipv4(frame, l3, zone).map(|(meta, key)| {
            let of_key = conversation(&key, key.src.into(), key.dst.into());
            (meta, of_key, Some(key), None)
        })
    };
    match (got, expected) {
        (Ok((meta, of_key, key4, key6)), Ok(expected)) => {
            assert_eq!(facts(&meta, of_key, &expected), expected, "facts");
            assert_eq!(meta.flags & META_ECHO != 0, expected.is_echo_request(), "echo");
            key4.map(|key| Parsed::V4(expected, key))
                .or(key6.map(|key| Parsed::V6(expected, key)))
                .ok_or(DropReason::Internal)
        }
        (got, expected) => {
            let (got, expected) = (got.map(|_| ()), expected.map(|_| ()));
            assert_eq!(got, expected, "whether it can be parsed");
            Err(expected.err().unwrap_or(DropReason::Internal))
        }
    }
}

fn judged<K: FlowKey>(tables: &Tables, side: Side, facts: &Facts, key: &K, macs: Option<([u8; 6], [u8; 6])>) {
    let lookups = Lookups { tables, discard: NextHop::zeroed(), empty: RuleList::zeroed() };
    let link = match macs {
        Some((dst, src)) => Link { bridged: true, dst, src },
        None => Link { bridged: false, dst: [0; 6], src: [0; 6] },
    };
    let own = facts.concerns.unwrap_or(facts.conversation);
    for answer in [false, true] {
        let entry = match side {
            Side::Workload { ifindex } => match tables.interfaces.get(&ifindex) {
                Some(interface) => Entry::Workload { ifindex, interface },
                None => return,
            },
            Side::Fabric { next_hop } => Entry::Fabric { ifindex: DEVICES.fabric, next_hop },
        };
        let mut judgement = Judgement::EMPTY;
        let got = judge::judge(&lookups, entry, key, &link, answer, &mut judgement);
        let expected = reference::judge(tables, side, key.zone(), &own, macs, answer);
        let expected = match (got, expected) {
            (Ok(()), Ok(expected)) => expected,
            (got, expected) => {
                assert_eq!(got, expected.map(|_| ()), "whether it can be judged");
                continue;
            }
        };
        assert_eq!(judgement.receive, expected.receive, "receive");
        if expected.receive {
            continue;
        }
        let fate = judgement.denied.map_or(Fate::Forward, Fate::Deny);
        assert_eq!((fate, judgement.rule), (expected.fate, expected.rule), "verdict");
        for (got, expected) in [(judgement.way, expected.way), (judgement.back, expected.back)] {
            let got = (got.next_hop, got.bridged, got.dmac, got.identity);
            assert_eq!(got, (expected.next_hop, expected.bridged, expected.mac, expected.identity), "way");
        }
        let back = (judgement.back_zone, judgement.back_ifindex, judgement.source_identity, judgement.local);
        let ifindex = expected.back_ifindex.unwrap_or(0);
        assert_eq!(back, (expected.back_zone, ifindex, expected.source_identity, expected.local), "back");
    }
}

/// A workload's frame: the answers to ARP and solicitations, or its parse and judgement.
fn workload_frame(model: &Model, ifindex: u32, frame: &[u8]) {
    let Some(interface) = model.tables.interfaces.get(&ifindex).filter(|i| i.kind == INTERFACE_WORKLOAD)
    else {
        return;
    };
    let Some(header) = frame.load::<ETH_LEN>(0) else { return };
    let (to, from): ([u8; 6], [u8; 6]) = (header[..6].try_into().unwrap(), header[6..12].try_into().unwrap());
    let v6 = match [header[12], header[13]] {
        [8, 6] => return arp(&model.tables, ifindex, frame),
        [8, 0] => false,
        [0x86, 0xdd] => true,
        _ => return,
    };
    let macs = (to != interface.gateway_mac).then_some((to, from));
    let side = Side::Workload { ifindex };
    match parsed(frame, ETH_LEN, v6, interface.vrf) {
        Ok(Parsed::V4(facts, key)) => judged(&model.tables, side, &facts, &key, macs),
        Ok(Parsed::V6(facts, key)) => {
            solicitation(&model.tables, ifindex, frame, &facts);
            judged(&model.tables, side, &facts, &key, macs);
        }
        Err(_) => {}
    }
}

fn arp(tables: &Tables, ifindex: u32, frame: &[u8]) {
    let expected = reference::arp_answer(tables, ifindex, frame);
    let bytes = frame.load::<{ reply::ARP_FRAME }>(0);
    let request = bytes.and_then(|bytes| reply::arp_request(&bytes));
    match (bytes, request, expected) {
        (Some(bytes), Some(request), Ok(expected)) => {
            assert!(request.asks);
            let mac = expected[6..12].try_into().unwrap();
            assert_eq!(&reply::arp_reply(&bytes, mac)[..], &expected[..reply::ARP_FRAME], "ARP reply");
        }
        (_, None, expected) => assert_eq!(expected, Err(DropReason::TruncatedArp)),
        (_, Some(request), Err(reason)) => {
            assert_eq!(request.asks, reason != DropReason::NeighbourUnwanted, "{reason:?}");
        }
        (None, Some(_), _) => unreachable!(),
    }
}

fn solicitation(tables: &Tables, ifindex: u32, frame: &[u8], facts: &Facts) {
    if facts.icmp_type != Some(135) || facts.transport != 40 || facts.fragment.is_some() {
        return;
    }
    let Ok(expected) = reference::solicitation_answer(tables, ifindex, frame, facts) else { return };
    let bytes = frame.load::<{ reply::SOLICITATION_FRAME }>(0).expect("an answered solicitation is whole");
    let (mac, is_router) = (expected[6..12].try_into().unwrap(), expected[58] & 0x80 != 0);
    let mut got = reply::advertisement(&bytes, mac, is_router);
    if bytes[22..38] == [0; 16] {
        reply::to_all_nodes(&mut got);
    }
    assert_eq!(&got[..], &expected[..], "advertisement");
}

/// A frame from the underlay: what it is, and the judgement of what it carries.
fn fabric_frame(model: &Model, frame: &[u8]) {
    let config = &model.tables.config;
    let or = |port: u16, default| if port != 0 { port } else { default };
    let (mpls, vxlan) = (or(config.mpls_port, outer::MPLS_PORT), or(config.vxlan_port, outer::VXLAN_PORT));
    let got = outer::classify(frame, config.tunnel_ip, mpls, vxlan).map(|tunnel| {
        let (inner, traffic_class) = (tunnel.inner, tunnel.tos);
        match tunnel.kind {
            TunnelKind::Host => Arrived::Foreign,
            TunnelKind::Mpls => Arrived::Mpls { label: tunnel.id, inner, traffic_class },
            TunnelKind::Vxlan => Arrived::Vxlan { vni: tunnel.id, inner, traffic_class },
        }
    });
    let expected = reference::recognise(config, frame);
    assert_eq!(got, expected, "tunnel");
    let (l3, traffic_class) = match expected {
        Ok(Arrived::Mpls { inner, traffic_class, .. }) => (inner, traffic_class),
        Ok(Arrived::Vxlan { inner, traffic_class, .. }) => (inner + ETH_LEN, traffic_class),
        _ => return,
    };
    let v6 = frame.get(l3).is_some_and(|byte| byte >> 4 == 6);
    for (index, hop) in model.tables.next_hops.iter().filter(|(_, hop)| hop.kind == NEXT_HOP_INTERFACE) {
        let side = Side::Fabric { next_hop: *index };
        let inner_class = match parsed(frame, l3, v6, hop.vrf) {
            Ok(Parsed::V4(facts, key)) => {
                judged(&model.tables, side, &facts, &key, None);
                facts.traffic_class
            }
            Ok(Parsed::V6(facts, key)) => {
                judged(&model.tables, side, &facts, &key, Some((hop.dmac, world::mac(20))));
                facts.traffic_class
            }
            Err(_) => return,
        };
        let got = match outer::ecn(traffic_class, inner_class) {
            Ecn::Keep => Some(inner_class),
            Ecn::Mark => Some(inner_class | 3),
            Ecn::Drop => None,
        };
        assert_eq!(got, reference::congestion(traffic_class, inner_class), "congestion mark");
    }
}

fn case(seed: u64) {
    let mut rng = Rng::new(seed);
    let datapath = MemoryDatapath::new();
    let mut model = Model::default();
    let tell = |model: &mut Model, change: Change| {
        change.write(&datapath);
        change.tell(model);
    };
    for change in world::initial(&mut rng, &DEVICES) {
        tell(&mut model, change);
    }
    let mut packets = Packets::new(DEVICES);
    for step in 0..STEPS {
        if rng.chance(15) {
            let change = world::random(&mut rng, &DEVICES, &model);
            tell(&mut model, change);
        }
        let Sent { at, frame } = packets.next(&mut rng);
        let shown = (seed, step, at);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match at {
            EntryPoint::Workload(ifindex) => workload_frame(&model, ifindex, &frame),
            EntryPoint::Fabric => fabric_frame(&model, &frame),
            EntryPoint::Agent => {}
        }));
        assert!(checked.is_ok(), "WEFT_SEED={} step {} {:?} {frame:02x?}", shown.0, shown.1, shown.2);
        // The whole model too, for its own sake: it must take anything.
        model.process(at, &frame);
    }
    let expected = Tables { next_hop_changes: Default::default(), bumps: Default::default(), ..model.tables };
    assert_eq!(
        Tables::read(&datapath).expect("tables"),
        expected,
        "WEFT_SEED={seed}: tables of the datapath"
    );
    assert!(datapath.flows().expect("flows").is_empty());
}

#[test]
fn functions_agree_with_the_model() {
    let seeded = std::env::var("WEFT_SEED").is_ok();
    let (seed, cases) = (setting("WEFT_SEED", 1), setting("WEFT_CASES", if seeded { 1 } else { 1500 }));
    let start = Instant::now();
    (seed..seed + cases).for_each(case);
    println!(
        "{cases} cases of {STEPS} packets, {:.0} a second",
        cases as f64 / start.elapsed().as_secs_f64()
    );
}

/// Every sequence of flags of three packets, in both directions, as the model follows it.
#[test]
fn tcp_agrees_with_the_model() {
    use reference::TcpBits;
    use weft_forwarder::dataplane::tcp::{self, Step};
    let bits = |b: TcpBits| {
        [
            (b.syn, tcp::STATE_SYN),
            (b.established, tcp::STATE_ESTABLISHED),
            (b.fin, tcp::STATE_FIN),
            (b.peer_fin, tcp::STATE_PEER_FIN),
            (b.reset, tcp::STATE_RST),
        ]
        .iter()
        .map(|(set, bit)| if *set { *bit } else { 0 })
        .sum::<u8>()
    };
    for state in 0..32u8 {
        for flags in 0..32u8 {
            let has = |bit| state & bit != 0;
            let before = TcpBits {
                syn: has(tcp::STATE_SYN),
                established: has(tcp::STATE_ESTABLISHED),
                fin: has(tcp::STATE_FIN),
                peer_fin: has(tcp::STATE_PEER_FIN),
                reset: has(tcp::STATE_RST),
            };
            let expected = before.after(flags).map(|(own, peer)| (bits(own), bits(peer)));
            let got = match tcp::step(state, flags) {
                Step::Stay => Some((state, 0)),
                Step::Change { own, peer } => Some((own, peer)),
                Step::Done => None,
            };
            assert_eq!(got, expected, "state {state:#x} flags {flags:#x}");
        }
    }
}
