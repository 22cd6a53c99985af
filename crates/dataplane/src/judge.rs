//! Where a packet goes and whether it may: what is decided once per flow (and again when its generation is old).
//!
//! Precedence: the sending interface's egress verdict, then the receiving interface's ingress verdict when it is on
//! this host; either denies. A session's answers follow the verdict of its opener's direction.

use crate::flow::FlowKey;
use crate::identity;
use crate::packet::protocol;
use crate::reason::DropReason;
use crate::tables::{BridgeEntry, BridgeKey, IF_POLICY, IF_RPF, Interface, NextHop, Route};
use crate::tables::{NEXT_HOP_DISCARD, NEXT_HOP_INTERFACE, NEXT_HOP_RECEIVE, NH_POLICY};
use crate::verdict::{
    ACTION_ALLOW, ACTION_DENY, Decision, Direction, RULE_LIST_ENTRIES, RuleList, Verdict, VerdictKey,
};

/// The tables that decisions read.
pub trait Tables {
    /// Longest match of an IPv4 address.
    fn route4(&self, vrf: u16, addr: [u8; 4]) -> Option<&Route>;
    /// Longest match of an IPv6 address.
    fn route6(&self, vrf: u16, addr: &[u8; 16]) -> Option<&Route>;
    /// The bridge table's entry.
    fn bridge(&self, key: &BridgeKey) -> Option<&BridgeEntry>;
    /// The next hop at an index; index 0 is discard.
    fn next_hop(&self, index: u32) -> Option<&NextHop>;
    /// Longest match of a verdict key.
    fn verdict(&self, key: &VerdictKey) -> Option<&Verdict>;
    /// The rule list at an index.
    fn rule_list(&self, index: u32) -> Option<&RuleList>;
    /// The generation of a VRF.
    fn generation(&self, vrf: u16) -> u32;
}

/// Policy's answer to one direction of one pair of ends.
#[inline(always)]
pub fn decide<T: Tables>(tables: &T, key: &VerdictKey, sport: u16) -> Result<Decision, DropReason> {
    let Some(verdict) = tables.verdict(key) else {
        return Ok(Decision { allow: false, found: false, rule: 0 });
    };
    match verdict.action {
        ACTION_ALLOW => Ok(Decision { allow: true, found: true, rule: verdict.rule }),
        ACTION_DENY => Ok(Decision { allow: false, found: true, rule: verdict.rule }),
        _ => {
            let list = tables.rule_list(verdict.list).ok_or(DropReason::RuleListMissing)?;
            Ok(first_match(list, sport, verdict.rule))
        }
    }
}

/// The first entry of a list that the source port falls in; none: deny by `otherwise`.
#[inline(always)]
#[must_use]
pub fn first_match(list: &RuleList, sport: u16, otherwise: u32) -> Decision {
    let mut i = 0;
    while i < RULE_LIST_ENTRIES {
        if i as u32 >= list.count {
            break;
        }
        let rule = &list.rules[i];
        if sport >= rule.source_low && sport <= rule.source_high {
            return Decision { allow: u32::from(rule.action) == ACTION_ALLOW, found: true, rule: rule.rule };
        }
        i += 1;
    }
    Decision { allow: false, found: true, rule: otherwise }
}

/// Which way a packet entered the forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// From a workload's interface.
    Workload {
        /// Its ifindex.
        ifindex: u32,
        /// Its record.
        interface: &'a Interface,
    },
    /// From the underlay, for the interface next hop with this index.
    Fabric {
        /// The underlay interface.
        ifindex: u32,
        /// Index of the next hop that the label or the bridge table named.
        next_hop: u32,
    },
}

/// Whether a packet is bridged, and with which MACs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Bridged: the destination MAC is not the gateway's.
    pub bridged: bool,
    /// Destination MAC.
    pub dst: [u8; 6],
    /// Source MAC.
    pub src: [u8; 6],
}

/// One direction's way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Index of the next hop.
    pub next_hop: u32,
    /// Identity of the destination.
    pub identity: u32,
    /// Inner destination MAC: the frame's own when bridged, the route's when routed.
    pub dmac: [u8; 6],
    /// Whether it is bridged.
    pub bridged: bool,
}

/// The way out of `vrf` for a packet's destination.
///
/// # Errors
/// `NoRoute` or `UnknownUnicast`.
#[inline(always)]
pub fn way_out<K: FlowKey, T: Tables>(tables: &T, vrf: u16, key: &K, link: &Link) -> Result<Way, DropReason> {
    let route = key.destination_route(tables, vrf);
    if link.bridged {
        let entry = tables.bridge(&BridgeKey { vrf, mac: link.dst }).ok_or(DropReason::UnknownUnicast)?;
        let identity = match route {
            Some(route) => route.identity,
            None => entry.identity,
        };
        return Ok(Way { next_hop: entry.next_hop, identity, dmac: link.dst, bridged: true });
    }
    let route = route.ok_or(DropReason::NoRoute)?;
    Ok(Way { next_hop: route.next_hop, identity: route.identity, dmac: route.mac, bridged: false })
}

/// The reverse-path check: the source must be routed to the interface the packet came from.
///
/// # Errors
/// `SpoofedSource`.
#[inline(always)]
pub fn check_source<K: FlowKey, T: Tables>(
    tables: &T,
    key: &K,
    ifindex: u32,
    interface: &Interface,
) -> Result<(), DropReason> {
    if interface.flags & IF_RPF == 0 {
        return Ok(());
    }
    let spoofed = DropReason::SpoofedSource;
    let route = key.source_route(tables, interface.vrf).ok_or(spoofed)?;
    let next_hop = tables.next_hop(route.next_hop).ok_or(spoofed)?;
    if next_hop.kind == NEXT_HOP_INTERFACE && next_hop.ifindex == ifindex { Ok(()) } else { Err(spoofed) }
}

impl Judgement {
    /// A judgement to be filled in.
    pub const EMPTY: Judgement = Judgement {
        way: NO_WAY,
        back: NO_WAY,
        back_zone: 0,
        back_ifindex: 0,
        source_identity: 0,
        rule: 0,
        denied: None,
        local: false,
        receive: false,
        generation: 0,
    };
}

const NO_WAY: Way = Way { next_hop: 0, identity: identity::UNKNOWN, dmac: [0; 6], bridged: false };

/// What judging a packet found: everything its flow entries need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// This direction's way out.
    pub way: Way,
    /// The other direction's way out.
    pub back: Way,
    /// The VRF in which the other direction's packets are seen.
    pub back_zone: u16,
    /// The interface the other direction's packets come from; zero: the underlay.
    pub back_ifindex: u32,
    /// Identity of this direction's source.
    pub source_identity: u32,
    /// Number of the rule that decided.
    pub rule: u32,
    /// `None`: forward.
    pub denied: Option<DropReason>,
    /// Whether both ends are here.
    pub local: bool,
    /// The destination is this vRouter itself: no flow is kept.
    pub receive: bool,
    /// Sum of the generations the judgement rests on.
    pub generation: u32,
}

/// One end of a session on this host: what its policy is asked with.
#[derive(Clone, Copy)]
struct End {
    policy: bool,
    identity: u32,
    /// Identity of the other end, in this end's VRF.
    sees: u32,
}

const REMOTE: End = End { policy: false, identity: identity::UNKNOWN, sees: identity::UNKNOWN };

/// Judges a packet: its way out, its opposite's, and the policy of the session it belongs to. `reverse` says that it
/// is an answer, so that policy is asked about the opener's direction.
///
/// # Errors
/// The reason why the packet cannot be sent at all (the judgement is then not complete); policy's own denial is in
/// the judgement.
#[inline(always)]
pub fn judge<K: FlowKey, T: Tables>(
    tables: &T,
    entry: Entry<'_>,
    key: &K,
    link: &Link,
    reverse: bool,
    judgement: &mut Judgement,
) -> Result<(), DropReason> {
    match entry {
        Entry::Workload { ifindex, interface } => {
            from_workload(tables, ifindex, interface, key, link, reverse, judgement)
        }
        Entry::Fabric { next_hop, .. } => from_fabric(tables, next_hop, key, link, reverse, judgement),
    }
}

#[inline(always)]
fn from_workload<K: FlowKey, T: Tables>(
    tables: &T,
    ifindex: u32,
    interface: &Interface,
    key: &K,
    link: &Link,
    reverse: bool,
    judgement: &mut Judgement,
) -> Result<(), DropReason> {
    let vrf = interface.vrf;
    check_source(tables, key, ifindex, interface)?;
    let way = way_out(tables, vrf, key, link)?;
    let next_hop = tables.next_hop(way.next_hop).ok_or(DropReason::Internal)?;
    if next_hop.kind == NEXT_HOP_DISCARD {
        return Err(DropReason::Discard);
    }
    let receive = next_hop.kind == NEXT_HOP_RECEIVE;
    let local = next_hop.kind == NEXT_HOP_INTERFACE;
    let back_zone = if local { next_hop.vrf } else { vrf };
    let near =
        End { policy: interface.flags & IF_POLICY != 0, identity: interface.identity, sees: way.identity };
    judgement.way = way;
    judgement.back_zone = back_zone;
    judgement.back_ifindex = if local { next_hop.ifindex } else { 0 };
    judgement.source_identity = near.identity;
    judgement.rule = 0;
    judgement.denied = None;
    judgement.local = local;
    judgement.receive = receive;
    judgement.generation = generations(tables, vrf, back_zone);
    if receive {
        judgement.back = way;
        return Ok(());
    }
    let back = way_back(tables, back_zone, key, link)?;
    let far = if local {
        End { policy: next_hop.flags & NH_POLICY != 0, identity: next_hop.identity, sees: back.identity }
    } else {
        REMOTE
    };
    judgement.back = back;
    policy(tables, key, near, far, reverse, judgement)
}

#[inline(always)]
fn from_fabric<K: FlowKey, T: Tables>(
    tables: &T,
    index: u32,
    key: &K,
    link: &Link,
    reverse: bool,
    judgement: &mut Judgement,
) -> Result<(), DropReason> {
    let next_hop = tables.next_hop(index).ok_or(DropReason::Internal)?;
    let vrf = next_hop.vrf;
    let back = way_back(tables, vrf, key, link)?;
    let near =
        End { policy: next_hop.flags & NH_POLICY != 0, identity: next_hop.identity, sees: back.identity };
    judgement.way =
        Way { next_hop: index, identity: next_hop.identity, dmac: next_hop.dmac, bridged: link.bridged };
    judgement.back = back;
    judgement.back_zone = vrf;
    judgement.back_ifindex = next_hop.ifindex;
    judgement.source_identity = back.identity;
    judgement.rule = 0;
    judgement.denied = None;
    judgement.local = false;
    judgement.receive = false;
    judgement.generation = generations(tables, vrf, vrf);
    policy(tables, key, REMOTE, near, reverse, judgement)
}

/// The generation that flows between two VRFs rest on.
#[inline(always)]
pub fn generations<T: Tables>(tables: &T, zone: u16, peer: u16) -> u32 {
    let own = tables.generation(zone);
    if zone == peer { own } else { own.wrapping_add(tables.generation(peer)) }
}

/// The way back to a packet's source in the VRF where the answer will be seen: bridged when the packet was.
#[inline(always)]
fn way_back<K: FlowKey, T: Tables>(tables: &T, vrf: u16, key: &K, link: &Link) -> Result<Way, DropReason> {
    let route = key.source_route(tables, vrf);
    if link.bridged
        && let Some(entry) = tables.bridge(&BridgeKey { vrf, mac: link.src })
    {
        let identity = match route {
            Some(route) => route.identity,
            None => entry.identity,
        };
        return Ok(Way { next_hop: entry.next_hop, identity, dmac: link.src, bridged: true });
    }
    let route = route.ok_or(DropReason::NoSourceRoute)?;
    Ok(Way { next_hop: route.next_hop, identity: route.identity, dmac: route.mac, bridged: false })
}

/// Asks the policy of both ends: `source` is the packet's source, `destination` its destination.
#[inline(always)]
fn policy<K: FlowKey, T: Tables>(
    tables: &T,
    key: &K,
    source: End,
    destination: End,
    reverse: bool,
    judgement: &mut Judgement,
) -> Result<(), DropReason> {
    let (opener, answerer) = if reverse { (destination, source) } else { (source, destination) };
    let opening = Opening::of(key, reverse);
    if opener.policy {
        ask(tables, &opening, opener, Direction::Egress, judgement)?;
    }
    if answerer.policy && judgement.denied.is_none() {
        ask(tables, &opening, answerer, Direction::Ingress, judgement)?;
    }
    Ok(())
}

/// What policy looks at of the packet that opened a session.
#[derive(Clone, Copy)]
struct Opening {
    protocol: u8,
    sport: u16,
    dport: u16,
}

impl Opening {
    #[inline(always)]
    fn of<K: FlowKey>(key: &K, reverse: bool) -> Self {
        let (source, destination) = key.ports();
        let (sport, dport) = if reverse { (destination, source) } else { (source, destination) };
        let protocol = key.protocol();
        let ports = matches!(protocol, protocol::TCP | protocol::UDP | protocol::SCTP);
        let port = |bytes| if ports { u16::from_be_bytes(bytes) } else { 0 };
        Opening { protocol, sport: port(sport), dport: port(dport) }
    }
}

#[inline(always)]
fn ask<T: Tables>(
    tables: &T,
    opening: &Opening,
    end: End,
    direction: Direction,
    judgement: &mut Judgement,
) -> Result<(), DropReason> {
    let key = VerdictKey::lookup(end.identity, end.sees, direction, opening.protocol, opening.dport);
    let decision = decide(tables, &key, opening.sport)?;
    if decision.rule != 0 {
        judgement.rule = decision.rule;
    }
    if !decision.allow {
        judgement.denied = Some(if decision.found { DropReason::Policy } else { DropReason::NoVerdict });
    }
    Ok(())
}
