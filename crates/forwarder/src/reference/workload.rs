//! Packets from workloads, and the flows of packets from anywhere.

use etherparse::{EtherType, Ethernet2Header, Ethernet2HeaderSlice, IpNumber};
use weft_dataplane::config::CONFIG_TRAP_TTL;
use weft_dataplane::tables::{
    IF_DHCP, IF_DNS, IF_L2, IF_L3, IF_POLICY, IF_RPF, INTERFACE_WORKLOAD, NH_POLICY,
};
use weft_dataplane::tables::{NEXT_HOP_DISCARD, NEXT_HOP_INTERFACE, NEXT_HOP_RECEIVE};
use weft_dataplane::tables::{NEXT_HOP_MPLS_L2, NEXT_HOP_MPLS_L3};
use weft_dataplane::trap::{MAGIC, TRAP_SNAP_BYTES};
use weft_dataplane::{DropReason, Interface, Pod, TrapHeader, TrapReason};

use super::flows::{Fate, Flags};
use super::policy::{self, Macs, Side, Way};
use super::{Dropped, Facts, FlowKey, FragmentKey, Model, Outcome, answer, packet, tunnel};

const DHCP_SERVER: u16 = 67;
const DHCP6_SERVER: u16 = 547;
const DNS: u16 = 53;
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// A packet and how it came.
pub(crate) struct Arrival {
    pub(crate) key: FlowKey,
    pub(crate) facts: Facts,
    pub(crate) macs: Macs,
    pub(crate) side: Side,
    pub(crate) in_ifindex: u32,
    /// The slot to count a drop under; `None`: the sender's.
    pub(crate) slot: Option<u32>,
}

/// What was decided of a packet that is not dropped.
pub(crate) enum Decision {
    Send(Way),
    /// It is for this vRouter itself.
    Receive,
}

/// A packet with a new Ethernet header in front.
pub(crate) fn with_ethernet(to: [u8; 6], from: [u8; 6], v6: bool, packet: &[u8]) -> Vec<u8> {
    let ether_type = if v6 { EtherType::IPV6 } else { EtherType::IPV4 };
    let header = Ethernet2Header { source: from, destination: to, ether_type };
    [&header.to_bytes()[..], packet].concat()
}

impl Model {
    pub(crate) fn workload_packet(&mut self, ifindex: u32, frame: &[u8]) -> Result<Outcome, Dropped> {
        let workload = self.tables.interfaces.get(&ifindex).filter(|i| i.kind == INTERFACE_WORKLOAD);
        let interface = *workload.ok_or(DropReason::UnknownInterface)?;
        self.count_received(interface.slot, frame.len());
        let header = Ethernet2HeaderSlice::from_slice(frame).map_err(|_| DropReason::TruncatedEthernet)?;
        let v6 = match header.ether_type() {
            EtherType::ARP => {
                return Ok(Outcome::Reply { frame: answer::arp_answer(&self.tables, ifindex, frame)? });
            }
            EtherType::IPV4 => false,
            EtherType::IPV6 => true,
            _ => return Err(DropReason::NotIp.into()),
        };
        let facts = packet::parse(frame.get(14..).unwrap_or_default(), v6)?;
        if let Some(outcome) = self.service(ifindex, &interface, frame, &facts)? {
            return Ok(outcome);
        }
        let macs = link(&interface, header.destination(), header.source())?;
        let mut arrival = Arrival {
            key: FlowKey { zone: interface.vrf, conversation: facts.conversation },
            facts,
            macs,
            side: Side::Workload { ifindex },
            in_ifindex: ifindex,
            slot: None,
        };
        self.ports_of_fragment(&mut arrival)?;
        let decision = if interface.flags & IF_POLICY != 0 {
            self.decide(&arrival)?
        } else {
            self.without_policy(ifindex, &interface, &arrival)?
        };
        match decision {
            Decision::Send(way) => self.send(ifindex, &interface, frame, &facts, way),
            Decision::Receive => self.receive(ifindex, &interface, frame, &facts),
        }
    }

    /// What is the vRouter's business whatever the routes say.
    fn service(
        &self,
        ifindex: u32,
        interface: &Interface,
        frame: &[u8],
        facts: &Facts,
    ) -> Result<Option<Outcome>, Dropped> {
        if facts.fragment.is_some() {
            return Ok(None);
        }
        let v6 = facts.conversation.source.is_ipv6();
        let to_udp = (facts.conversation.protocol == IpNumber::UDP.0).then_some(facts.conversation.ports.1);
        let reason = match to_udp {
            Some(DHCP_SERVER) if !v6 && interface.flags & IF_DHCP != 0 => TrapReason::Dhcp,
            Some(DHCP6_SERVER) if v6 && interface.flags & IF_DHCP != 0 => TrapReason::Dhcp6,
            _ if !v6 => return Ok(None),
            _ => match facts.icmp_type {
                Some(ROUTER_SOLICITATION) => TrapReason::RouterSolicitation,
                Some(NEIGHBOUR_SOLICITATION) if facts.transport == 40 => {
                    let frame = answer::solicitation_answer(&self.tables, ifindex, frame, facts)?;
                    return Ok(Some(Outcome::Reply { frame }));
                }
                Some(NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT | ROUTER_ADVERTISEMENT) => {
                    return Err(DropReason::NeighbourUnwanted.into());
                }
                _ => return Ok(None),
            },
        };
        Ok(Some(self.trap(reason, ifindex, interface, frame, 0)?))
    }

    /// Gives a later fragment the ports of its datagram's first, and remembers those of a first. The fragments of an
    /// ICMP error are not followed.
    pub(crate) fn ports_of_fragment(&mut self, arrival: &mut Arrival) -> Result<(), DropReason> {
        let Some(fragment) = arrival.facts.fragment else { return Ok(()) };
        let conversation = &mut arrival.key.conversation;
        let key = FragmentKey {
            zone: arrival.key.zone,
            ifindex: arrival.in_ifindex,
            source: conversation.source,
            destination: conversation.destination,
            protocol: conversation.protocol,
            id: fragment.id,
        };
        if !fragment.first {
            conversation.ports = *self.fragments.get(&key).ok_or(DropReason::FragmentWithoutHead)?;
        } else if arrival.facts.concerns.is_none() {
            self.fragments.insert(key, conversation.ports);
        }
        Ok(())
    }

    /// A packet from an interface without policy goes by the tables alone, unless it is for one on this host that has
    /// policy.
    fn without_policy(
        &mut self,
        ifindex: u32,
        interface: &Interface,
        arrival: &Arrival,
    ) -> Result<Decision, Dropped> {
        let conversation = &arrival.key.conversation;
        policy::check_source(&self.tables, ifindex, conversation)?;
        let way = policy::way_out(&self.tables, interface.vrf, conversation, arrival.macs)?;
        let next_hop = self.tables.next_hop(way.next_hop)?;
        match next_hop.kind {
            NEXT_HOP_INTERFACE if next_hop.flags & NH_POLICY != 0 => self.decide(arrival),
            NEXT_HOP_RECEIVE => Ok(Decision::Receive),
            _ => Ok(Decision::Send(way)),
        }
    }

    /// Lets the packet's flow decide, or judges the packet and writes its flow.
    pub(crate) fn decide(&mut self, arrival: &Arrival) -> Result<Decision, Dropped> {
        let blame = |reason| Dropped { reason, slot: arrival.slot };
        if arrival.facts.concerns.is_some() {
            return self.icmp_error(arrival).map_err(blame);
        }
        let key = arrival.key;
        let opens = arrival.facts.tcp_flags.is_some_and(|byte| Flags::of(byte).opens());
        // SYN on an answer's or a closing flow opens a new connection with the addresses of an old one.
        let existing = self.flows.get(&key).copied().filter(|f| !(opens && (f.reverse || f.tcp.closing())));
        let fate = match existing {
            Some(flow) if self.still_holds(arrival, &key) => flow.fate,
            _ => {
                let answer = existing.is_some_and(|flow| flow.reverse);
                match self.judge_again(arrival, key, existing.is_some(), answer).map_err(blame)? {
                    None => return Ok(Decision::Receive),
                    Some(fate) => fate,
                }
            }
        };
        if let Fate::Deny(reason) = fate {
            return Err(blame(reason));
        }
        let way = self.flows.get(&key).ok_or(blame(DropReason::Internal))?.way;
        // Both directions of a conversation with itself have one key: the entry is the answer's, and counts nothing yet.
        if existing.is_some() || key != key.reversed(key.zone) {
            self.seen(&key, arrival.facts.length, arrival.facts.tcp_flags);
        }
        Ok(Decision::Send(way))
    }

    /// Whether the flow was judged for such a packet, and nothing that it rests on has changed.
    fn still_holds(&self, arrival: &Arrival, key: &FlowKey) -> bool {
        let Some(flow) = self.flows.get(key) else { return false };
        let same_link = match arrival.macs {
            Some((to, _)) => flow.way.bridged && flow.way.mac == to,
            None => !flow.way.bridged,
        };
        let same_way = match arrival.side {
            Side::Fabric { next_hop } => flow.way.next_hop == next_hop,
            Side::Workload { .. } => true,
        };
        same_link && same_way && flow.in_ifindex == arrival.in_ifindex && self.is_current(key, flow)
    }

    /// Judges a packet and writes what was found into its flow, or a new one. `None`: it is for the vRouter itself.
    fn judge_again(
        &mut self,
        arrival: &Arrival,
        key: FlowKey,
        exists: bool,
        answer: bool,
    ) -> Result<Option<Fate>, DropReason> {
        let (side, macs) = (arrival.side, arrival.macs);
        let judgement = policy::judge(&self.tables, side, key.zone, &key.conversation, macs, answer)?;
        if judgement.receive {
            return Ok(None);
        }
        let stamp = self.stamp_of(key.zone, judgement.back_zone, &judgement.way);
        if let Some(flow) = self.flows.get_mut(&key).filter(|_| exists) {
            let other = key.reversed(flow.other_zone);
            if flow.other_zone == judgement.back_zone {
                flow.fate = judgement.fate;
                flow.local = judgement.local;
                flow.way = judgement.way;
                flow.in_ifindex = arrival.in_ifindex;
                flow.source_identity = judgement.source_identity;
                flow.rule = judgement.rule;
                flow.judged = stamp;
                return Ok(Some(judgement.fate));
            }
            // The answers will be seen in another VRF than before: the session is made again.
            self.flows.remove(&other);
            self.flows.remove(&key);
        }
        if judgement.fate == Fate::Forward && arrival.facts.concerns.is_none() {
            let slot = arrival.slot.unwrap_or_else(|| self.slot_of_side(arrival.side));
            self.open_session(key, &judgement, answer, arrival.in_ifindex, slot)?;
        }
        Ok(Some(judgement.fate))
    }

    fn slot_of_side(&self, side: Side) -> u32 {
        match side {
            Side::Workload { ifindex } => self.tables.interfaces.get(&ifindex).map_or(0, |i| i.slot),
            Side::Fabric { next_hop } => self.tables.next_hops.get(&next_hop).map_or(0, |hop| hop.slot),
        }
    }

    /// An ICMP error goes the way of the flow it concerns, if it comes from where that flow's packets come from. A
    /// workload may send errors only about its own conversations; on the way through the underlay any router may.
    fn icmp_error(&mut self, arrival: &Arrival) -> Result<Decision, DropReason> {
        let none = DropReason::IcmpErrorNoFlow;
        let concerned = arrival.facts.concerns.ok_or(none)?;
        let key = FlowKey { zone: arrival.key.zone, conversation: concerned };
        let flow = *self.flows.get(&key).ok_or(none)?;
        let own = &arrival.key.conversation;
        if flow.in_ifindex != arrival.in_ifindex || own.destination != concerned.destination {
            return Err(none);
        }
        if matches!(arrival.side, Side::Workload { .. }) && own.source != concerned.source {
            return Err(DropReason::SpoofedSource);
        }
        let concerning = Arrival { key, ..*arrival };
        let fate = if self.still_holds(&concerning, &key) {
            flow.fate
        } else {
            self.judge_again(&concerning, key, true, flow.reverse)?.ok_or(none)?
        };
        match (fate, self.flows.get(&key)) {
            (Fate::Forward, Some(flow)) => Ok(Decision::Send(flow.way)),
            _ => Err(none),
        }
    }

    /// Sends a workload's packet to its next hop.
    fn send(
        &mut self,
        ifindex: u32,
        interface: &Interface,
        frame: &[u8],
        facts: &Facts,
        way: Way,
    ) -> Result<Outcome, Dropped> {
        let next_hop = self.tables.next_hop(way.next_hop)?;
        let v6 = facts.conversation.source.is_ipv6();
        match next_hop.kind {
            NEXT_HOP_DISCARD => return Err(DropReason::Discard.into()),
            NEXT_HOP_RECEIVE => return Err(DropReason::GatewayNotServed.into()),
            _ => {}
        }
        if !way.bridged && facts.ttl <= 1 {
            if self.tables.config.flags & CONFIG_TRAP_TTL == 0 {
                return Err(DropReason::TtlExceeded.into());
            }
            return Ok(self.trap(TrapReason::TtlExceeded, ifindex, interface, frame, 0)?);
        }
        let routed = |to, from| {
            let mut frame = with_ethernet(to, from, v6, frame.get(14..).unwrap_or_default());
            answer::lower_ttl(&mut frame, v6);
            frame
        };
        if next_hop.kind == NEXT_HOP_INTERFACE {
            let frame = if way.bridged { frame.to_vec() } else { routed(next_hop.dmac, next_hop.smac) };
            return Ok(self.deliver(next_hop.slot, next_hop.ifindex, frame));
        }
        let carries = match next_hop.kind {
            NEXT_HOP_MPLS_L3 => !way.bridged,
            NEXT_HOP_MPLS_L2 => way.bridged,
            _ => true,
        };
        if !carries {
            return Err(DropReason::NoTunnel.into());
        }
        let config = &self.tables.config;
        let mtu = if next_hop.mtu != 0 { u32::from(next_hop.mtu) } else { config.fabric_mtu };
        let room = mtu.saturating_sub(tunnel::overhead(&next_hop));
        if facts.length > room as usize {
            let reason = if facts.may_fragment { TrapReason::Fragment } else { TrapReason::MtuExceeded };
            return Ok(self.trap(reason, ifindex, interface, frame, room)?);
        }
        let inner = if way.bridged { frame.to_vec() } else { routed(way.mac, interface.gateway_mac) };
        let frame = tunnel::encapsulate(config, &next_hop, &inner, facts.traffic_class);
        let slot = config.fabric_slot;
        self.count_delivered(slot, frame.len());
        Ok(Outcome::Tunnel { frame })
    }

    /// A packet to one of the vRouter's own addresses: echo is answered, DNS goes up, all else is refused.
    fn receive(
        &self,
        ifindex: u32,
        interface: &Interface,
        frame: &[u8],
        facts: &Facts,
    ) -> Result<Outcome, Dropped> {
        let refused = DropReason::GatewayNotServed;
        if facts.fragment.is_some() {
            return Err(refused.into());
        }
        if facts.is_echo_request() {
            return Ok(Outcome::Reply { frame: answer::echo_reply(frame, facts) });
        }
        let is_dns = facts.conversation.protocol == IpNumber::UDP.0 && facts.conversation.ports.1 == DNS;
        if is_dns && interface.flags & IF_DNS != 0 {
            return Ok(self.trap(TrapReason::Dns, ifindex, interface, frame, 0)?);
        }
        Err(refused.into())
    }

    fn trap(
        &self,
        reason: TrapReason,
        ifindex: u32,
        interface: &Interface,
        frame: &[u8],
        mtu: u32,
    ) -> Result<Outcome, DropReason> {
        if self.tables.config.pkt0_ifindex == 0 {
            return Err(DropReason::TrapFailed);
        }
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let snap = match reason {
            TrapReason::MtuExceeded | TrapReason::TtlExceeded => frame.len().min(TRAP_SNAP_BYTES as usize),
            _ => frame.len(),
        };
        let header = TrapHeader {
            magic: MAGIC,
            reason: reason as u8,
            vrf: interface.vrf,
            ifindex,
            mtu,
            length,
            ..TrapHeader::zeroed()
        };
        let frame = [header.as_bytes(), frame.get(..snap).unwrap_or_default()].concat();
        Ok(Outcome::Trap { reason, frame })
    }
}

/// Whether the frame is bridged (then with its MACs) or routed, if the interface may do so.
fn link(interface: &Interface, to: [u8; 6], from: [u8; 6]) -> Result<Macs, DropReason> {
    if to[0] & 1 == 1 {
        return Err(DropReason::Multicast);
    }
    if to == interface.gateway_mac {
        return if interface.flags & IF_L3 != 0 { Ok(None) } else { Err(DropReason::NoRoute) };
    }
    if interface.flags & IF_L2 == 0 {
        return Err(DropReason::UnknownUnicast);
    }
    if interface.flags & IF_RPF != 0 && from != interface.mac {
        return Err(DropReason::SpoofedMac);
    }
    Ok(Some((to, from)))
}
