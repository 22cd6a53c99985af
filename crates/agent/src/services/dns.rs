//! DNS relay: queries that workloads send to their network's DNS address go to the controller's DNS service, marked
//! with the network they come from; answers go back to the workload that asked.
//!
//! Always holds: at most [`MAX_PENDING`] questions are open, each for at most [`TIMEOUT`]; an answer is passed on only
//! if it comes from a configured server, carries the number of an open question, and repeats its question.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;
use weft_dns::edns::{tag_query, untag_response};

use super::packet::{PacketError, parse_udp, udp_frame};
use super::view::{GATEWAY_MAC, PortServices};

/// The UDP port of DNS.
pub const DNS_PORT: u16 = 53;
/// Questions open at one time.
pub const MAX_PENDING: usize = 4096;
/// Questions open at one time for one interface: a workload cannot use up the table.
pub const MAX_PENDING_PER_PORT: usize = 512;
/// How long an answer is waited for.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A question that has been passed on.
#[derive(Clone, Debug)]
struct Pending {
    /// As the workload sent it.
    query: Vec<u8>,
    ifindex: u32,
    client: SocketAddr,
    client_mac: [u8; 6],
    /// The address the workload asked.
    server: SocketAddr,
    deadline: Instant,
}

/// What the relay has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RelayCounters {
    /// Questions passed on.
    pub queries: u64,
    /// Answers passed back.
    pub answers: u64,
    /// Questions without an answer in time.
    pub timeouts: u64,
    /// Questions refused because too many were open.
    pub overflow: u64,
    /// Answers that nobody waits for, or that do not fit their question.
    pub unexpected: u64,
}

/// The open questions.
#[derive(Debug, Default)]
pub struct Relay {
    pending: BTreeMap<u16, Pending>,
    /// Deadlines in order of time.
    order: VecDeque<(Instant, u16)>,
    next: u16,
    /// Counts.
    pub counters: RelayCounters,
}

impl Relay {
    /// Take the query in `frame` from `port`; the result is what to send to the controller. `random` makes the number
    /// of the question hard to guess.
    ///
    /// # Errors
    /// [`PacketError`] when the frame is no DNS query, or too many are open.
    pub fn query(
        &mut self,
        port: &PortServices,
        frame: &[u8],
        now: Instant,
        random: u16,
    ) -> Result<Vec<u8>, PacketError> {
        let datagram = parse_udp(frame)?;
        if datagram.destination.port() != DNS_PORT {
            return Err(PacketError::Unexpected("DNS port"));
        }
        self.expire(now);
        let of_port = self.pending.values().filter(|p| p.ifindex == port.ifindex).count();
        if self.pending.len() >= MAX_PENDING || of_port >= MAX_PENDING_PER_PORT {
            self.counters.overflow += 1;
            return Err(PacketError::Unexpected("number of open DNS questions"));
        }
        let mut upstream =
            tag_query(datagram.payload, &port.network).map_err(|e| PacketError::malformed("dns", e))?;
        let number = self.free_number(random);
        set_id(&mut upstream, number);
        let deadline = now + TIMEOUT;
        self.order.push_back((deadline, number));
        self.pending.insert(
            number,
            Pending {
                query: datagram.payload.to_vec(),
                ifindex: port.ifindex,
                client: datagram.source,
                client_mac: datagram.source_mac,
                server: datagram.destination,
                deadline,
            },
        );
        self.counters.queries += 1;
        Ok(upstream)
    }

    /// A number that no open question has, from `random` on.
    fn free_number(&mut self, random: u16) -> u16 {
        self.next = self.next.wrapping_add(random | 1);
        while self.pending.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        self.next
    }

    /// Take an answer from the controller; the result is the frame for the workload and its interface.
    ///
    /// # Errors
    /// [`PacketError`] when nobody waits for it or it does not fit the question.
    pub fn response(&mut self, bytes: &[u8], now: Instant) -> Result<(u32, Vec<u8>), PacketError> {
        self.expire(now);
        let number = id_of(bytes).ok_or_else(|| PacketError::malformed("dns", "cut short"))?;
        let Some(pending) = self.pending.get(&number) else {
            self.counters.unexpected += 1;
            return Err(PacketError::Unexpected("DNS answer"));
        };
        let answer = untag_response(bytes, &pending.query).map_err(|e| PacketError::malformed("dns", e));
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.counters.unexpected += 1;
                return Err(error);
            }
        };
        set_id(&mut answer, id_of(&pending.query).unwrap_or_default());
        let frame = udp_frame(GATEWAY_MAC, pending.client_mac, pending.server, pending.client, &answer)?;
        let ifindex = pending.ifindex;
        self.pending.remove(&number);
        self.counters.answers += 1;
        Ok((ifindex, frame))
    }

    /// Give up questions whose time is over.
    pub fn expire(&mut self, now: Instant) {
        while let Some((deadline, number)) = self.order.front().copied() {
            if deadline > now {
                break;
            }
            self.order.pop_front();
            // The number may be in use again for a later question.
            if self.pending.get(&number).is_some_and(|p| p.deadline <= now) {
                self.pending.remove(&number);
                self.counters.timeouts += 1;
            }
        }
    }

    /// Questions open now.
    pub fn open(&self) -> usize {
        self.pending.len()
    }
}

fn id_of(message: &[u8]) -> Option<u16> {
    message.first_chunk().map(|b| u16::from_be_bytes(*b))
}

fn set_id(message: &mut [u8], id: u16) {
    if let Some(field) = message.first_chunk_mut() {
        *field = id.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port() -> PortServices {
        PortServices {
            interface: uuid::Uuid::nil(),
            ifindex: 7,
            mac: [2; 6],
            network: "d:p:red".into(),
            hostname: None,
            mtu: 1450,
            lease4: None,
            lease6: None,
        }
    }

    /// A query for `a.` type A with id 0x1234.
    const QUERY: [u8; 19] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];

    fn frame() -> Vec<u8> {
        udp_frame(
            [2; 6],
            GATEWAY_MAC,
            "10.0.0.3:5555".parse().unwrap(),
            "10.0.0.2:53".parse().unwrap(),
            &QUERY,
        )
        .unwrap()
    }

    #[test]
    fn a_question_goes_up_marked_and_its_answer_comes_down_unmarked() {
        let (mut relay, now) = (Relay::default(), Instant::now());
        let mut upstream = relay.query(&port(), &frame(), now, 41).unwrap();
        let has = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|w| w == what);
        assert!(has(&upstream, b"d:p:red"));
        assert_ne!(upstream[..2], [0x12, 0x34]);
        upstream[2] |= 0x80; // a response
        let (ifindex, down) = relay.response(&upstream, now).unwrap();
        let datagram = parse_udp(&down).unwrap();
        assert_eq!((ifindex, datagram.payload[..2].to_vec()), (7, vec![0x12, 0x34]));
        assert_eq!(datagram.source, "10.0.0.2:53".parse().unwrap());
        assert!(!has(datagram.payload, b"d:p:red"));
        assert!(relay.response(&upstream, now).is_err(), "answered once");
        assert_eq!(relay.open(), 0);
    }

    #[test]
    fn open_questions_are_bounded_and_expire() {
        let (mut relay, now) = (Relay::default(), Instant::now());
        for n in 0..MAX_PENDING_PER_PORT {
            relay.query(&port(), &frame(), now, n as u16).unwrap();
        }
        assert!(relay.query(&port(), &frame(), now, 1).is_err());
        assert!(relay.query(&port(), &frame(), now + TIMEOUT, 1).is_ok());
        assert_eq!((relay.counters.overflow, relay.counters.timeouts), (1, MAX_PENDING_PER_PORT as u64));
        for n in 0..frame().len() {
            let _ = relay.query(&port(), &frame()[..n], now, 1);
        }
    }
}
