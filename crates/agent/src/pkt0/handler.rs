//! What a trapped packet leads to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use weft_dataplane::trap::{INJECT_DELIVER, INJECT_FORWARD, MAGIC};
use weft_dataplane::{InjectHeader, Pod, TrapHeader, TrapReason};

use crate::services::dns::{Relay, RelayCounters};
use crate::services::icmp::{ERROR_BURST, ERRORS_PER_SECOND, Problem, RateLimit, error_for, fragment};
use crate::services::{PacketError, PortServices, dhcp4, dhcp6, ra};

/// Bytes of a trap header.
const HEADER: usize = size_of::<TrapHeader>();

/// What has come up, by what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pkt0Counters {
    /// DHCPv4 requests.
    pub dhcp4: u64,
    /// DHCPv6 requests.
    pub dhcp6: u64,
    /// Router solicitations.
    pub solicitations: u64,
    /// DNS queries.
    pub dns: u64,
    /// Packets too big for their tunnel.
    pub too_big: u64,
    /// Packets cut into fragments.
    pub fragmented: u64,
    /// Packets whose TTL ran out.
    pub time_exceeded: u64,
    /// Frames injected.
    pub injected: u64,
    /// Advertisements sent unasked.
    pub advertisements: u64,
    /// Packets that could not be understood, or were not for the service they were trapped for.
    pub malformed: u64,
    /// Packets without the forwarder's header (the host's own chatter).
    pub foreign: u64,
    /// Packets from interfaces that are not (or no longer) served.
    pub unknown_interface: u64,
    /// ICMP errors not sent because of their rate limit.
    pub rate_limited: u64,
    /// Frames that could not be written.
    pub write_errors: u64,
    /// The DNS relay.
    pub relay: RelayCounters,
}

/// What to do about a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replies {
    /// Packets for the TAP, header included.
    pub inject: Vec<Vec<u8>>,
    /// DNS queries for the controller.
    pub queries: Vec<Vec<u8>>,
}

/// The services behind the TAP.
#[derive(Debug)]
pub struct Handler {
    ports: Arc<BTreeMap<u32, PortServices>>,
    relay: Relay,
    limit: RateLimit,
    counters: Pkt0Counters,
}

/// A frame behind the header that the forwarder expects.
fn injected(action: u8, ifindex: u32, frame: &[u8]) -> Vec<u8> {
    let header = InjectHeader::new(action, ifindex);
    [header.as_bytes(), frame].concat()
}

impl Handler {
    /// A handler that serves no interface yet.
    pub fn new(now: Instant) -> Self {
        Self {
            ports: Arc::default(),
            relay: Relay::default(),
            limit: RateLimit::new(ERRORS_PER_SECOND, ERROR_BURST, now),
            counters: Pkt0Counters::default(),
        }
    }

    /// The interfaces to serve from now on. Returns advertisements for those that are new or changed.
    pub fn set_ports(&mut self, ports: Arc<BTreeMap<u32, PortServices>>) -> Vec<Vec<u8>> {
        let old = std::mem::replace(&mut self.ports, ports.clone());
        let changed = ports.values().filter(|p| old.get(&p.ifindex).map(|o| &o.lease6) != Some(&p.lease6));
        self.advertise(changed)
    }

    /// Advertisements for every interface.
    pub fn advertise_all(&mut self) -> Vec<Vec<u8>> {
        let ports = self.ports.clone();
        self.advertise(ports.values())
    }

    fn advertise<'a>(&mut self, ports: impl Iterator<Item = &'a PortServices>) -> Vec<Vec<u8>> {
        let frames: Vec<_> = ports
            .filter_map(|p| ra::advertisement(p).map(|frame| injected(INJECT_DELIVER, p.ifindex, &frame)))
            .collect();
        self.counters.advertisements += frames.len() as u64;
        frames
    }

    /// A packet read from the TAP. `random` is for the number of a DNS question.
    pub fn trapped(&mut self, packet: &[u8], now: Instant, random: u16) -> Replies {
        let header = TrapHeader::from_bytes(packet).filter(|h| h.magic == MAGIC);
        let (Some(header), Some(frame)) = (header, packet.get(HEADER..)) else {
            self.counters.foreign += 1;
            return Replies::default();
        };
        let ports = self.ports.clone();
        let Some(port) = ports.get(&header.ifindex) else {
            self.counters.unknown_interface += 1;
            return Replies::default();
        };
        match self.serve(&header, port, frame, now, random) {
            Ok(replies) => replies,
            Err(error) => {
                tracing::debug!(ifindex = header.ifindex, reason = header.reason, %error, "trapped packet");
                self.counters.malformed += 1;
                Replies::default()
            }
        }
    }

    fn serve(
        &mut self,
        header: &TrapHeader,
        port: &PortServices,
        frame: &[u8],
        now: Instant,
        random: u16,
    ) -> Result<Replies, PacketError> {
        let deliver = |reply: Option<Vec<u8>>| Replies {
            inject: reply.iter().map(|f| injected(INJECT_DELIVER, port.ifindex, f)).collect(),
            queries: Vec::new(),
        };
        let reason = TrapReason::from_u8(header.reason).ok_or(PacketError::Unexpected("trap reason"))?;
        let mtu = u16::try_from(header.mtu).unwrap_or(u16::MAX);
        Ok(match reason {
            TrapReason::Dhcp => {
                self.counters.dhcp4 += 1;
                deliver(dhcp4::answer(port, frame)?)
            }
            TrapReason::Dhcp6 => {
                self.counters.dhcp6 += 1;
                deliver(dhcp6::answer(port, frame)?)
            }
            TrapReason::RouterSolicitation => {
                self.counters.solicitations += 1;
                deliver(ra::answer(port, frame)?)
            }
            TrapReason::Dns => {
                self.counters.dns += 1;
                let query = self.relay.query(port, frame, now, random)?;
                Replies { inject: Vec::new(), queries: vec![query] }
            }
            TrapReason::MtuExceeded => {
                self.counters.too_big += 1;
                deliver(self.icmp_error(port, frame, Problem::TooBig { mtu }, now)?)
            }
            TrapReason::TtlExceeded => {
                self.counters.time_exceeded += 1;
                deliver(self.icmp_error(port, frame, Problem::TimeExceeded, now)?)
            }
            TrapReason::Fragment => {
                self.counters.fragmented += 1;
                let pieces = fragment(frame, mtu)?;
                let inject = pieces.iter().map(|f| injected(INJECT_FORWARD, port.ifindex, f)).collect();
                Replies { inject, queries: Vec::new() }
            }
        })
    }

    fn icmp_error(
        &mut self,
        port: &PortServices,
        frame: &[u8],
        problem: Problem,
        now: Instant,
    ) -> Result<Option<Vec<u8>>, PacketError> {
        if !self.limit.allow(now) {
            self.counters.rate_limited += 1;
            return Ok(None);
        }
        error_for(port, frame, problem)
    }

    /// An answer from the controller's DNS service.
    pub fn answered(&mut self, bytes: &[u8], now: Instant) -> Option<Vec<u8>> {
        match self.relay.response(bytes, now) {
            Ok((ifindex, frame)) => Some(injected(INJECT_DELIVER, ifindex, &frame)),
            Err(error) => {
                tracing::debug!(%error, "DNS answer");
                None
            }
        }
    }

    /// Count the outcome of a write to the TAP.
    pub fn wrote(&mut self, ok: bool) {
        self.counters.injected += u64::from(ok);
        self.counters.write_errors += u64::from(!ok);
    }

    /// The counters.
    pub fn counters(&self) -> Pkt0Counters {
        Pkt0Counters { relay: self.relay.counters, ..self.counters }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::view::Lease6;

    fn port() -> PortServices {
        PortServices {
            interface: uuid::Uuid::nil(),
            ifindex: 7,
            mac: [2; 6],
            network: "d:p:red".into(),
            hostname: None,
            mtu: 1450,
            lease4: None,
            lease6: Some(Lease6 {
                address: "fd00::3".parse().unwrap(),
                subnet: "fd00::/64".parse().unwrap(),
                gateway: None,
                dns: vec![],
                domain: None,
            }),
        }
    }

    fn trapped(reason: u8, frame: &[u8]) -> Vec<u8> {
        let header = TrapHeader {
            magic: MAGIC,
            reason,
            reserved: 0,
            vrf: 1,
            ifindex: 7,
            mtu: 700,
            length: frame.len() as u32,
            reserved2: [0; 3],
        };
        [header.as_bytes(), frame].concat()
    }

    #[test]
    fn every_packet_is_counted_and_none_panics() {
        let now = Instant::now();
        let mut handler = Handler::new(now);
        assert_eq!(handler.set_ports(Arc::new([(7, port())].into())).len(), 1);
        for reason in 0..=9 {
            for n in 0..64 {
                handler.trapped(&trapped(reason, &vec![0x45; n]), now, 1);
            }
        }
        handler.trapped(b"WEFT", now, 1);
        handler.trapped(&[0; 100], now, 1);
        let c = handler.counters();
        assert_eq!(c.malformed + c.rate_limited, 640);
        assert_eq!(handler.counters().foreign, 2);
    }

    #[test]
    fn fragments_go_back_as_if_the_workload_had_sent_them() {
        let now = Instant::now();
        let mut handler = Handler::new(now);
        handler.set_ports(Arc::new([(7, port())].into()));
        let (a, b) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let mut frame = crate::services::packet::udp_frame([2; 6], [1; 6], a, b, &[0; 1000]).unwrap();
        frame[20] = 0;
        let replies = handler.trapped(&trapped(TrapReason::Fragment as u8, &frame), now, 1);
        assert_eq!(replies.inject.len(), 2);
        assert_eq!(replies.inject[0][18], INJECT_FORWARD);
        assert_eq!(replies.inject[0][20..24], 7u32.to_ne_bytes());
    }
}
