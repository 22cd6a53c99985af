//! Packets from the underlay, and those that the agent injects.

use etherparse::{EtherType, Ethernet2HeaderSlice};
use weft_dataplane::tables::{INTERFACE_WORKLOAD, LABEL_L2, LABEL_L3, NH_POLICY};
use weft_dataplane::tables::{NEXT_HOP_INTERFACE, NEXT_HOP_RECEIVE};
use weft_dataplane::trap::{INJECT_DELIVER, INJECT_FORWARD, MAGIC};
use weft_dataplane::{DropReason, InjectHeader, NextHop, Pod};

use super::policy::{Macs, Side};
use super::tunnel::{self, Arrived};
use super::workload::{Arrival, with_ethernet};
use super::{Dropped, FlowKey, Model, Outcome, packet};

/// A packet out of a tunnel.
struct Inner {
    vrf: u16,
    /// The next hop that the label names.
    named: Option<u32>,
    /// Offset of the IP header.
    at: usize,
    v6: bool,
    macs: Macs,
    /// Outer traffic class.
    outer: u8,
}

impl Model {
    pub(crate) fn underlay_packet(&mut self, frame: &[u8]) -> Result<Outcome, Dropped> {
        let arrived = tunnel::recognise(&self.tables.config, frame)?;
        let (vrf, named, inner, is_frame, outer) = match arrived {
            Arrived::Foreign => return Ok(Outcome::Host),
            Arrived::Mpls { label, inner, traffic_class } => {
                let label = self.tables.labels.get(&label).ok_or(DropReason::UnknownLabel)?;
                let named = (label.next_hop != 0).then_some(label.next_hop);
                match label.kind {
                    LABEL_L3 => (label.vrf, named, inner, false, traffic_class),
                    LABEL_L2 => (label.vrf, named, inner, true, traffic_class),
                    _ => return Err(DropReason::UnknownLabel.into()),
                }
            }
            Arrived::Vxlan { vni, inner, traffic_class } => {
                let vni = self.tables.vnis.get(&vni).ok_or(DropReason::UnknownVni)?;
                (vni.vrf, None, inner, true, traffic_class)
            }
        };
        let inner = if is_frame {
            self.bridged(vrf, named, inner, frame, outer)?
        } else {
            let first = frame.get(inner).ok_or(DropReason::TruncatedIp)?;
            let inner = Inner { vrf, named, at: inner, v6: first >> 4 == 6, macs: None, outer };
            if !matches!(first >> 4, 4 | 6) {
                return Err(DropReason::BadIpHeader.into());
            }
            inner
        };
        self.tunnelled(&inner, frame)
    }

    /// An inner frame: to the gateway's MAC it is routed, to others bridged.
    fn bridged(
        &mut self,
        vrf: u16,
        named: Option<u32>,
        at: usize,
        frame: &[u8],
        outer: u8,
    ) -> Result<Inner, Dropped> {
        let header = Ethernet2HeaderSlice::from_slice(frame.get(at..).unwrap_or_default())
            .map_err(|_| DropReason::TruncatedEthernet)?;
        let (to, from) = (header.destination(), header.source());
        if to[0] & 1 == 1 {
            return Err(DropReason::Multicast.into());
        }
        let gateway = self.tables.config.gateway_mac;
        let named = match named {
            None if to != gateway => {
                let entry = self.tables.bridge.get(&(vrf, to)).ok_or(DropReason::UnknownUnicast)?;
                Some(entry.next_hop).filter(|index| *index != 0)
            }
            named => named,
        };
        // What comes from a gateway was routed at the other end, and its answer will be routed too.
        let macs = (to != gateway && from != gateway).then_some((to, from));
        let v6 = match header.ether_type() {
            EtherType::IPV4 => false,
            EtherType::IPV6 => true,
            _ => {
                self.count_received(self.tables.config.fabric_slot, frame.len());
                return Err(DropReason::NotIp.into());
            }
        };
        Ok(Inner { vrf, named, at: at + 14, v6, macs, outer })
    }

    fn tunnelled(&mut self, inner: &Inner, frame: &[u8]) -> Result<Outcome, Dropped> {
        self.count_received(self.tables.config.fabric_slot, frame.len());
        let bytes = frame.get(inner.at..).unwrap_or_default();
        let facts = packet::parse(bytes, inner.v6)?;
        let index = match inner.named {
            Some(index) => index,
            None => {
                let destination = facts.conversation.destination;
                self.tables.route(inner.vrf, destination).ok_or(DropReason::NoRoute)?.next_hop
            }
        };
        let next_hop = self.tables.next_hop(index)?;
        match next_hop.kind {
            NEXT_HOP_INTERFACE => {}
            NEXT_HOP_RECEIVE => return Err(DropReason::GatewayNotServed.into()),
            _ => return Err(DropReason::Discard.into()),
        }
        let slot = Some(next_hop.slot);
        let blame = |reason| Dropped { reason, slot };
        let mut arrival = Arrival {
            key: FlowKey { zone: next_hop.vrf, conversation: facts.conversation },
            facts,
            macs: inner.macs,
            side: Side::Fabric { next_hop: index },
            in_ifindex: self.tables.config.fabric_ifindex,
            slot,
        };
        self.ports_of_fragment(&mut arrival).map_err(blame)?;
        if next_hop.flags & NH_POLICY != 0 {
            self.decide(&arrival)?;
        }
        self.unwrap_tunnel(inner, &next_hop, bytes, facts.traffic_class).map_err(blame)
    }

    fn unwrap_tunnel(
        &mut self,
        inner: &Inner,
        next_hop: &NextHop,
        bytes: &[u8],
        traffic_class: u8,
    ) -> Result<Outcome, DropReason> {
        let marked = tunnel::congestion(inner.outer, traffic_class).ok_or(DropReason::OuterEcn)?;
        let (to, from) = inner.macs.unwrap_or((next_hop.dmac, next_hop.smac));
        let mut frame = with_ethernet(to, from, inner.v6, bytes);
        if marked != traffic_class {
            mark(&mut frame, inner.v6, marked);
        }
        Ok(self.deliver(next_hop.slot, next_hop.ifindex, frame))
    }

    /// A packet that the agent injects: behind a header of ours, which looks like an IPv4 frame. The kernel does not
    /// take the header off when less than 20 bytes would be left behind the frame's Ethernet header.
    pub(crate) fn agent_packet(&mut self, frame: &[u8]) -> Result<Outcome, Dropped> {
        const HEADER: usize = size_of::<InjectHeader>();
        let header =
            InjectHeader::from_bytes(frame).filter(|h| h.magic == MAGIC && frame.len() >= HEADER + 14);
        let Some(header) = header else { return Ok(Outcome::Host) };
        let ifindex = u32::from_ne_bytes(header.ifindex);
        let invalid = DropReason::InjectInvalid;
        let interface = self.tables.interfaces.get(&ifindex).ok_or(invalid)?;
        let frame = frame.get(HEADER..).unwrap_or_default().to_vec();
        if interface.kind != INTERFACE_WORKLOAD || header.fake_type != [8, 0] || frame.len() < 14 + 20 {
            return Err(invalid.into());
        }
        let slot = interface.slot;
        match header.action {
            INJECT_DELIVER => Ok(self.deliver(slot, ifindex, frame)),
            INJECT_FORWARD => Ok(Outcome::Inject { ifindex, frame }),
            _ => Err(invalid.into()),
        }
    }
}

/// Sets the traffic class of the packet behind an Ethernet header.
fn mark(frame: &mut [u8], v6: bool, traffic_class: u8) {
    if v6 {
        if let Some(byte) = frame.get_mut(15) {
            *byte = *byte & 0x0f | traffic_class << 4;
        }
    } else {
        super::answer::set_word_and_sum(frame, 14, 24, |old| old & 0xff00 | u16::from(traffic_class));
    }
}
