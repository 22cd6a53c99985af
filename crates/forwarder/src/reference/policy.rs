//! Where a packet goes, and whether it may.

use weft_dataplane::tables::{IF_POLICY, IF_RPF, NH_POLICY};
use weft_dataplane::tables::{NEXT_HOP_DISCARD, NEXT_HOP_INTERFACE, NEXT_HOP_RECEIVE};
use weft_dataplane::verdict::{ACTION_ALLOW, ACTION_DENY};
use weft_dataplane::{Direction, DropReason};

use super::Tables;
use super::flows::{Conversation, Fate};

/// One direction's way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Index of the next hop.
    pub next_hop: u32,
    /// Bridged: the destination MAC stays.
    pub bridged: bool,
    /// Bridged: the frame's destination MAC. Routed: the route's MAC.
    pub mac: [u8; 6],
    /// Identity of the destination.
    pub identity: u32,
}

/// The side a packet came from, with the frame's MACs if it is bridged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A workload's interface.
    Workload {
        /// Its ifindex.
        ifindex: u32,
    },
    /// The underlay, for the workload behind this next hop.
    Fabric {
        /// Index of the next hop.
        next_hop: u32,
    },
}

/// MACs of a bridged frame: destination and source.
pub(crate) type Macs = Option<([u8; 6], [u8; 6])>;

/// What is decided once for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// This direction's way.
    pub way: Way,
    /// The other direction's way.
    pub back: Way,
    /// The VRF in which the other direction's packets are seen.
    pub back_zone: u16,
    /// The interface the other direction's packets come from; `None`: the underlay.
    pub back_ifindex: Option<u32>,
    /// Both ends are on this host.
    pub local: bool,
    /// It is for this vRouter itself: no policy, no flow.
    pub receive: bool,
    /// Identity of this direction's source.
    pub source_identity: u32,
    /// Whether it may.
    pub fate: Fate,
    /// The rule that said so.
    pub rule: u32,
}

/// An end of a session that is on this host and has policy.
#[derive(Clone, Copy)]
struct End {
    identity: u32,
    /// Identity of the other end, as this end's VRF knows it.
    other: u32,
}

/// Judges a packet. `answer`: it is not of the direction that opened its session, whose policy counts.
///
/// # Errors
/// It cannot be sent at all.
pub fn judge(
    tables: &Tables,
    side: Side,
    zone: u16,
    conversation: &Conversation,
    macs: Option<([u8; 6], [u8; 6])>,
    answer: bool,
) -> Result<Judgement, DropReason> {
    match side {
        Side::Workload { ifindex } => from_workload(tables, ifindex, zone, conversation, macs, answer),
        Side::Fabric { next_hop } => from_fabric(tables, next_hop, conversation, macs, answer),
    }
}

fn from_workload(
    tables: &Tables,
    ifindex: u32,
    vrf: u16,
    conversation: &Conversation,
    macs: Macs,
    answer: bool,
) -> Result<Judgement, DropReason> {
    let interface = tables.interfaces.get(&ifindex).ok_or(DropReason::UnknownInterface)?;
    check_source(tables, ifindex, conversation)?;
    let way = way_out(tables, vrf, conversation, macs)?;
    let next_hop = tables.next_hop(way.next_hop)?;
    let source = (interface.flags & IF_POLICY != 0)
        .then_some(End { identity: interface.identity, other: way.identity });
    let mut judgement = Judgement {
        way,
        back: way,
        back_zone: vrf,
        back_ifindex: None,
        local: false,
        receive: false,
        source_identity: interface.identity,
        fate: Fate::Forward,
        rule: 0,
    };
    match next_hop.kind {
        NEXT_HOP_DISCARD => return Err(DropReason::Discard),
        NEXT_HOP_RECEIVE => return Ok(Judgement { receive: true, ..judgement }),
        NEXT_HOP_INTERFACE => {
            judgement.local = true;
            judgement.back_zone = next_hop.vrf;
            judgement.back_ifindex = Some(next_hop.ifindex);
        }
        _ => {}
    }
    judgement.back = way_back(tables, judgement.back_zone, conversation, macs)?;
    let policed = judgement.local && next_hop.flags & NH_POLICY != 0;
    let destination = policed.then_some(End { identity: next_hop.identity, other: judgement.back.identity });
    ask_both(tables, conversation, source, destination, answer, &mut judgement)?;
    Ok(judgement)
}

fn from_fabric(
    tables: &Tables,
    index: u32,
    conversation: &Conversation,
    macs: Macs,
    answer: bool,
) -> Result<Judgement, DropReason> {
    let next_hop = tables.next_hop(index)?;
    let back = way_back(tables, next_hop.vrf, conversation, macs)?;
    let policed = next_hop.flags & NH_POLICY != 0;
    let destination = policed.then_some(End { identity: next_hop.identity, other: back.identity });
    let way =
        Way { next_hop: index, bridged: macs.is_some(), mac: next_hop.dmac, identity: next_hop.identity };
    let mut judgement = Judgement {
        way,
        back,
        back_zone: next_hop.vrf,
        back_ifindex: Some(next_hop.ifindex),
        local: false,
        receive: false,
        source_identity: back.identity,
        fate: Fate::Forward,
        rule: 0,
    };
    ask_both(tables, conversation, None, destination, answer, &mut judgement)?;
    Ok(judgement)
}

/// The reverse-path check: the source address must be routed to the interface that sent the packet.
pub(crate) fn check_source(
    tables: &Tables,
    ifindex: u32,
    conversation: &Conversation,
) -> Result<(), DropReason> {
    let interface = tables.interfaces.get(&ifindex).ok_or(DropReason::UnknownInterface)?;
    if interface.flags & IF_RPF == 0 {
        return Ok(());
    }
    let spoofed = DropReason::SpoofedSource;
    let route = tables.route(interface.vrf, conversation.source).ok_or(spoofed)?;
    let next_hop = tables.next_hop(route.next_hop).map_err(|_| spoofed)?;
    let own = next_hop.kind == NEXT_HOP_INTERFACE && next_hop.ifindex == ifindex;
    if own { Ok(()) } else { Err(spoofed) }
}

/// Bridged frames go where the bridge table says, others where the routes say. A route tells the identity of an
/// address also when the frame is bridged.
pub(crate) fn way_out(
    tables: &Tables,
    vrf: u16,
    conversation: &Conversation,
    macs: Macs,
) -> Result<Way, DropReason> {
    let route = tables.route(vrf, conversation.destination);
    if let Some((mac, _)) = macs {
        let entry = tables.bridge.get(&(vrf, mac)).ok_or(DropReason::UnknownUnicast)?;
        let identity = route.map_or(entry.identity, |route| route.identity);
        return Ok(Way { next_hop: entry.next_hop, bridged: true, mac, identity });
    }
    let route = route.ok_or(DropReason::NoRoute)?;
    Ok(Way { next_hop: route.next_hop, bridged: false, mac: route.mac, identity: route.identity })
}

/// The answer's way: bridged if the packet was and its source MAC is known, else routed.
fn way_back(tables: &Tables, vrf: u16, conversation: &Conversation, macs: Macs) -> Result<Way, DropReason> {
    let known =
        macs.map(|(_, source)| (source, source)).filter(|(mac, _)| tables.bridge.contains_key(&(vrf, *mac)));
    way_out(tables, vrf, &conversation.reversed(), known).map_err(|_| DropReason::NoSourceRoute)
}

/// The opener's egress policy, then the answerer's ingress policy; either denies.
fn ask_both(
    tables: &Tables,
    conversation: &Conversation,
    source: Option<End>,
    destination: Option<End>,
    answer: bool,
    judgement: &mut Judgement,
) -> Result<(), DropReason> {
    let opening = if answer { conversation.reversed() } else { *conversation };
    let (opener, answerer) = if answer { (destination, source) } else { (source, destination) };
    for (end, direction) in [(opener, Direction::Egress), (answerer, Direction::Ingress)] {
        let Some(end) = end else { continue };
        let (fate, rule) = ask(tables, end, direction, &opening)?;
        if rule != 0 {
            judgement.rule = rule;
        }
        if fate != Fate::Forward {
            judgement.fate = fate;
            return Ok(());
        }
    }
    Ok(())
}

/// Only TCP, UDP and SCTP have ports; for all else both are zero.
fn ask(
    tables: &Tables,
    end: End,
    direction: Direction,
    opening: &Conversation,
) -> Result<(Fate, u32), DropReason> {
    let (sport, dport) = if matches!(opening.protocol, 6 | 17 | 132) { opening.ports } else { (0, 0) };
    let Some(verdict) = tables.verdict(end.identity, end.other, direction as u8, opening.protocol, dport)
    else {
        return Ok((Fate::Deny(DropReason::NoVerdict), 0));
    };
    let fate = |action: u32| {
        if action == ACTION_ALLOW { Fate::Forward } else { Fate::Deny(DropReason::Policy) }
    };
    if matches!(verdict.action, ACTION_ALLOW | ACTION_DENY) {
        return Ok((fate(verdict.action), verdict.rule));
    }
    if verdict.list >= tables.rule_list_limit {
        return Err(DropReason::RuleListMissing);
    }
    let list = tables.rule_lists.get(&verdict.list);
    let rules = list.iter().flat_map(|list| list.rules.iter().take(list.count as usize));
    let found = rules.into_iter().find(|rule| (rule.source_low..=rule.source_high).contains(&sport));
    Ok(match found {
        Some(rule) => (fate(u32::from(rule.action)), rule.rule),
        None => (Fate::Deny(DropReason::Policy), verdict.rule),
    })
}
