//! Random packets: conversations between addresses that exist, and everything that is wrong with packets.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv4Header, Ipv6Header, TcpHeader, UdpHeader};
use weft_forwarder::dataplane::trap::{INJECT_DELIVER, INJECT_FORWARD};
use weft_forwarder::dataplane::{InjectHeader, Pod};
use weft_forwarder::reference::EntryPoint;

use crate::rng::Rng;
use crate::world::{self, Devices, GATEWAY_MAC, LABELS, PORTS, UNDERLAY, VNIS, WORKLOADS};

/// A conversation that packets of a case belong to.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    pub ports: (u16, u16),
}

impl Talk {
    fn random(rng: &mut Rng) -> Self {
        let v6 = rng.chance(40);
        let source = world::any_address(rng, v6);
        let destination = world::any_address(rng, v6);
        if source == destination {
            return Talk::random(rng);
        }
        let icmp = if v6 { 58 } else { 1 };
        let protocol = rng.pick(&[6, 6, 6, 17, 17, icmp, 132, 47]);
        Talk { source, destination, protocol, ports: (rng.pick(&PORTS), rng.pick(&PORTS)) }
    }

    fn reversed(self) -> Self {
        Talk {
            source: self.destination,
            destination: self.source,
            ports: (self.ports.1, self.ports.0),
            ..self
        }
    }

    fn v6(&self) -> bool {
        self.source.is_ipv6()
    }
}

/// A packet and where it comes in.
pub struct Sent {
    pub at: EntryPoint,
    pub frame: Vec<u8>,
}

/// Makes the packets of one case.
pub struct Packets {
    pub devices: Devices,
    talks: Vec<Talk>,
}

impl Packets {
    pub fn new(devices: Devices) -> Self {
        Packets { devices, talks: Vec::new() }
    }

    /// The next packet.
    pub fn next(&mut self, rng: &mut Rng) -> Sent {
        let mut sent = match rng.below(100) {
            0..=5 => self.arp(rng),
            6..=11 => self.neighbour(rng),
            12..=14 => self.injected(rng),
            _ => self.talk(rng),
        };
        if rng.chance(12) {
            mutate(rng, &mut sent.frame);
        }
        sent.frame.resize(sent.frame.len().clamp(14, 1800), 0);
        sent
    }

    /// A packet of a conversation, most often of one that there was before.
    fn talk(&mut self, rng: &mut Rng) -> Sent {
        if self.talks.len() < 3 || rng.chance(15) {
            let talk = Talk::random(rng);
            self.talks.push(talk);
        }
        let mut talk = self.talks[rng.index(self.talks.len())];
        if rng.chance(40) {
            talk = talk.reversed();
        }
        let packet = ip_packet(rng, &talk);
        // The source is where it says, most of the time: on this host if it is a workload's address.
        let own = workload_of(talk.source);
        if own.is_some() && rng.chance(75) || rng.chance(5) {
            let n = own.filter(|_| rng.chance(95)).unwrap_or(rng.index(WORKLOADS));
            let frame = ethernet(rng, n, &talk, &packet);
            return Sent { at: self.entry(rng, n), frame };
        }
        let n = workload_of(talk.destination).unwrap_or(rng.index(WORKLOADS));
        Sent { at: EntryPoint::Fabric, frame: tunnelled(rng, n, &talk, &packet) }
    }

    fn entry(&self, rng: &mut Rng, n: usize) -> EntryPoint {
        let stranger = rng.chance(1);
        EntryPoint::Workload(if stranger { self.devices.stranger } else { self.devices.workloads[n] })
    }

    fn arp(&mut self, rng: &mut Rng) -> Sent {
        let n = rng.index(WORKLOADS);
        let sender = if rng.chance(80) { world::address(false, 11 + n as u64) } else { [0, 0, 0, 0].into() };
        let target = if rng.chance(5) { sender } else { world::any_address(rng, false) };
        let mac = world::mac(11 + n as u64);
        let operation = if rng.chance(85) { 1 } else { rng.below(4) as u8 };
        let mut frame = [&[0xff; 6][..], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation], &mac].concat();
        frame.extend(octets(sender));
        frame.extend(if rng.chance(90) { [0; 6] } else { mac });
        frame.extend(octets(target));
        frame.extend(rng.bytes(if n == 0 { 18 } else { 0 }));
        Sent { at: self.entry(rng, n), frame }
    }

    /// Neighbour discovery.
    fn neighbour(&mut self, rng: &mut Rng) -> Sent {
        let n = rng.index(WORKLOADS);
        let (kind, length) =
            rng.pick(&[(135, 24), (135, 24), (135, 32), (133, 8), (136, 24), (134, 16), (135, 8)]);
        let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        message.extend(octets(world::any_address(rng, true)));
        message.resize(length, 1);
        let own = rng.chance(80);
        let source = if own { world::address(true, 11 + n as u64) } else { IpAddr::from([0u8; 16]) };
        let destination = IpAddr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1]);
        let talk = Talk { source, destination, protocol: 58, ports: (0, 0) };
        let extensions = if rng.chance(10) { 1 } else { 0 };
        let packet = v6_packet(rng, &talk, 58, extensions, 255, 0, None, &message);
        let mac = world::mac(11 + n as u64);
        let frame = [&[0x33, 0x33, 0, 0, 0, 1][..], &mac, &[0x86, 0xdd], &packet].concat();
        Sent { at: self.entry(rng, n), frame }
    }

    fn injected(&mut self, rng: &mut Rng) -> Sent {
        let ifindex = self.devices.workloads[rng.index(WORKLOADS)];
        let ifindex = if rng.chance(95) { ifindex } else { self.devices.stranger };
        let action = rng.pick(&[INJECT_DELIVER, INJECT_FORWARD, 3]);
        let mut header = InjectHeader::new(action, ifindex);
        if rng.chance(5) {
            header.magic[0] ^= 1;
        }
        let talk = Talk::random(rng);
        let packet = ip_packet(rng, &talk);
        let frame = ethernet(rng, 0, &talk, &packet);
        let cut = if rng.chance(10) { rng.index(60) } else { frame.len() };
        Sent { at: EntryPoint::Agent, frame: [header.as_bytes(), &frame[..cut.min(frame.len())]].concat() }
    }
}

/// The workload that has an address.
fn workload_of(address: IpAddr) -> Option<usize> {
    let n = usize::from(*octets(address).last().expect("octets"));
    (11..11 + WORKLOADS).contains(&n).then(|| n - 11)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// A frame as workload `n` sends it.
fn ethernet(rng: &mut Rng, n: usize, talk: &Talk, packet: &[u8]) -> Vec<u8> {
    let last = u64::from(*octets(talk.destination).last().expect("octets"));
    let to = match rng.below(20) {
        0..=12 => GATEWAY_MAC,
        13..=17 => world::mac(last),
        18 => [0xff; 6],
        _ => world::mac(rng.below(256)),
    };
    let from = if rng.chance(93) { world::mac(11 + n as u64) } else { world::mac(rng.below(30)) };
    let kind: [u8; 2] = match (rng.below(50), talk.v6()) {
        (0, _) => [rng.byte(), rng.byte()],
        (_, true) => [0x86, 0xdd],
        (_, false) => [8, 0],
    };
    [&to[..], &from, &kind, packet].concat()
}

/// A frame as the underlay brings it for workload `n`.
fn tunnelled(rng: &mut Rng, n: usize, talk: &Talk, packet: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if talk.v6() { [0x86, 0xdd] } else { [8, 0] };
    let to = if rng.chance(80) {
        world::mac(11 + n as u64)
    } else {
        rng.pick(&[GATEWAY_MAC, [0xff; 6], world::mac(20)])
    };
    let source = u64::from(*octets(talk.source).last().expect("octets"));
    let from = if rng.chance(75) { world::mac(source) } else { GATEWAY_MAC };
    let inner = [&to[..], &from, &kind, packet].concat();
    let (port, carried) = match rng.below(10) {
        0..=4 => {
            let label = if rng.chance(85) { 16 + n as u32 } else { any_label(rng) };
            (rng.pick(&[6635, 6635, 6635, 7000, 51_234]), [label_stack(rng, label), packet.to_vec()].concat())
        }
        5 | 6 => {
            let label = if rng.chance(85) { 32 + n as u32 } else { any_label(rng) };
            (6635, [label_stack(rng, label), inner].concat())
        }
        _ => {
            let vni = if rng.chance(95) { rng.pick(&VNIS) } else { rng.below(1 << 24) as u32 };
            let flags = if rng.chance(96) { 8 } else { rng.byte() };
            let header = [&[flags, 0, 0, 0], &(vni << 8).to_be_bytes()[..]].concat();
            (rng.pick(&[4789, 4789, 4789, 8472]), [header, inner].concat())
        }
    };
    outer(rng, port, &carried)
}

fn any_label(rng: &mut Rng) -> u32 {
    if rng.chance(80) { rng.pick(&LABELS) } else { rng.below(1 << 20) as u32 }
}

fn label_stack(rng: &mut Rng, label: u32) -> Vec<u8> {
    let bottom = u32::from(rng.chance(98)) << 8;
    let mut stack = Vec::new();
    if rng.chance(8) {
        let label = if rng.chance(80) { 0xf_ffff } else { 3 };
        stack.extend((label << 12 | 64u32).to_be_bytes());
    }
    stack.extend((label << 12 | bottom | 64).to_be_bytes());
    stack
}

/// Puts outer headers in front; now and then of the wrong kind.
fn outer(rng: &mut Rng, port: u16, carried: &[u8]) -> Vec<u8> {
    let length = (carried.len() + 8) as u16;
    let udp = UdpHeader { source_port: 50_000, destination_port: port, length, checksum: 0 };
    let destination = if rng.chance(97) { UNDERLAY } else { [192, 0, 2, 77] };
    let protocol = if rng.chance(98) { IpNumber::UDP } else { IpNumber::GRE };
    let mut ip = Ipv4Header::new(length, 60, protocol, [192, 0, 2, 9], destination).expect("length");
    ip.dont_fragment = rng.chance(50);
    ip.more_fragments = rng.chance(2);
    if rng.chance(2) {
        ip.fragment_offset = 5u16.try_into().expect("offset");
    }
    if rng.chance(2) {
        ip.options = [1; 4].into();
        ip.total_len += 4;
    }
    ip.header_checksum = ip.calc_header_checksum();
    let mut header = ip.to_bytes().to_vec();
    header[1] = if rng.chance(80) { 0 } else { rng.byte() };
    [&[2, 0, 0, 0, 0, 0xfa][..], &[2, 0, 0, 0, 0, 0xfb], &[8, 0], &header, &udp.to_bytes(), carried].concat()
}

/// A packet of a conversation: plain, a fragment, or an ICMP error about it.
pub fn ip_packet(rng: &mut Rng, talk: &Talk) -> Vec<u8> {
    if rng.chance(8) {
        return error_about(rng, talk);
    }
    let payload = transport(rng, talk);
    packet_with(rng, talk, &payload)
}

fn packet_with(rng: &mut Rng, talk: &Talk, payload: &[u8]) -> Vec<u8> {
    let ttl = if rng.chance(94) { 64 } else { rng.below(3) as u8 };
    let class = if rng.chance(70) { 0 } else { rng.byte() };
    let fragment = rng.chance(10).then(|| (rng.below(3) as u32, rng.pick(&[0, 0, 1, 100]), rng.chance(70)));
    if talk.v6() {
        let extensions = if rng.chance(12) { rng.index(8) } else { 0 };
        v6_packet(rng, talk, talk.protocol, extensions, ttl, class, fragment, payload)
    } else {
        v4_packet(rng, talk, ttl, class, fragment, payload)
    }
}

fn length_of_data(rng: &mut Rng) -> usize {
    match rng.below(20) {
        0 => 1400 + rng.index(100),
        1 => 540 + rng.index(40),
        2 => 600,
        _ => rng.index(40),
    }
}

fn transport(rng: &mut Rng, talk: &Talk) -> Vec<u8> {
    let length = length_of_data(rng);
    let data = rng.bytes(length);
    let (sport, dport) = talk.ports;
    match talk.protocol {
        6 => {
            let mut header = TcpHeader::new(sport, dport, 1, 1000);
            let flags =
                rng.pick(&[0x02, 0x12, 0x10, 0x10, 0x10, 0x11, 0x11, 0x04, 0x14, 0x01, 0x18, 0x03, 0x00]);
            if rng.chance(20) {
                header.set_options_raw(&[1; 8]).expect("options");
            }
            let mut bytes = header.to_bytes().to_vec();
            bytes[13] = flags;
            [bytes, data].concat()
        }
        1 | 58 => {
            let echo = if talk.v6() { 128 } else { 8 };
            let asks = talk.ports.0 >= talk.ports.1;
            let kind = match (rng.below(12), asks) {
                (0, _) if talk.v6() => 130,
                (0, _) => rng.pick(&[13, 14, 17]),
                (_, true) => echo,
                (_, false) if talk.v6() => 129,
                _ => 0,
            };
            let id = sport.max(dport).to_be_bytes();
            let mut bytes = vec![kind, 0, rng.byte(), rng.byte(), id[0], id[1], 0, 1];
            bytes.extend(data);
            bytes
        }
        17 | 132 => {
            let udp = UdpHeader {
                source_port: sport,
                destination_port: dport,
                length: data.len() as u16 + 8,
                checksum: 0,
            };
            [udp.to_bytes().to_vec(), data].concat()
        }
        _ => data,
    }
}

/// An error that goes to the source of a conversation's packet, from its destination or a router on the way.
fn error_about(rng: &mut Rng, talk: &Talk) -> Vec<u8> {
    let quoted = {
        let payload = transport(rng, talk);
        packet_with(rng, talk, &payload)
    };
    let kept = quoted.len().min(if rng.chance(80) { 68 } else { rng.index(60) });
    let v6 = talk.v6();
    let kind = if v6 { 1 + rng.below(4) as u8 } else { rng.pick(&[3, 3, 4, 5, 11, 12]) };
    let mut message = vec![kind, 1, 0, 0, 0, 0, 5, 0];
    message.extend(&quoted[..kept]);
    let from = if rng.chance(70) { talk.destination } else { world::any_address(rng, v6) };
    let to = if rng.chance(90) { talk.source } else { world::any_address(rng, v6) };
    let error = Talk { source: from, destination: to, protocol: if v6 { 58 } else { 1 }, ports: (0, 0) };
    packet_with(rng, &error, &message)
}

fn v4_packet(
    rng: &mut Rng,
    talk: &Talk,
    ttl: u8,
    class: u8,
    fragment: Option<(u32, u16, bool)>,
    payload: &[u8],
) -> Vec<u8> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (talk.source, talk.destination) else {
        unreachable!()
    };
    let protocol = IpNumber(talk.protocol);
    let mut ip = Ipv4Header::new(payload.len() as u16, ttl, protocol, source.octets(), destination.octets())
        .expect("length");
    ip.dont_fragment = rng.chance(50);
    if let Some((id, offset, more)) = fragment {
        ip.identification = id as u16;
        ip.fragment_offset = offset.try_into().expect("offset");
        ip.more_fragments = more;
        ip.dont_fragment = false;
    }
    if rng.chance(4) {
        ip.options = [1; 8].into();
        ip.total_len = (ip.header_len() + payload.len()) as u16;
    }
    let mut header = ip.to_bytes().to_vec();
    header[1] = class;
    let (parsed, _) = Ipv4Header::from_slice(&header).expect("a header");
    header[10..12].copy_from_slice(&parsed.calc_header_checksum().to_be_bytes());
    [header, payload.to_vec()].concat()
}

#[allow(clippy::too_many_arguments, reason = "each is one field of the header")]
fn v6_packet(
    rng: &mut Rng,
    talk: &Talk,
    protocol: u8,
    extensions: usize,
    ttl: u8,
    class: u8,
    fragment: Option<(u32, u16, bool)>,
    payload: &[u8],
) -> Vec<u8> {
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (talk.source, talk.destination) else {
        unreachable!()
    };
    // Extension headers from the last to the first: each names the one behind it.
    let (mut next, mut body) = (protocol, payload.to_vec());
    if let Some((id, offset, more)) = fragment {
        let field = (offset << 3) | u16::from(more);
        let header = [&[next, 0][..], &field.to_be_bytes(), &id.to_be_bytes()].concat();
        (next, body) = (44, [header, body].concat());
    }
    for _ in 0..extensions {
        let kind = rng.pick(&[0, 43, 60, 60, 51]);
        let units = rng.below(3) as u8;
        let (units, length) = if kind == 51 {
            (units + 1, (units as usize + 3) * 4)
        } else {
            (units, (units as usize + 1) * 8)
        };
        let mut header = vec![next, units];
        header.resize(length, 0);
        (next, body) = (kind, [header, body].concat());
    }
    let header = Ipv6Header {
        payload_length: body.len() as u16,
        next_header: IpNumber(next),
        hop_limit: ttl,
        source: source.octets(),
        destination: destination.octets(),
        ..Ipv6Header::default()
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes[0] = 0x60 | class >> 4;
    bytes[1] = class << 4;
    [bytes, body].concat()
}

/// Damages a frame.
fn mutate(rng: &mut Rng, frame: &mut Vec<u8>) {
    match rng.below(5) {
        0 => frame.truncate(rng.index(frame.len() + 1)),
        1 => {
            let n = rng.index(30);
            let more = rng.bytes(n);
            frame.extend(more);
        }
        _ => {
            for _ in 0..1 + rng.below(3) {
                let reach = if rng.chance(70) { frame.len().min(110) } else { frame.len() };
                let at = rng.index(reach.max(1));
                if let Some(byte) = frame.get_mut(at) {
                    *byte = if rng.chance(50) { rng.byte() } else { *byte ^ 1 << rng.below(8) };
                }
            }
        }
    }
}
