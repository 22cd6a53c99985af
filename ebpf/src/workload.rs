//! Packets from a workload.

use weft_dataplane::config::stage;
use weft_dataplane::flow::FlowKey;
use weft_dataplane::judge::{self, Link};
use weft_dataplane::packet::{ETH_LEN, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Packet};
use weft_dataplane::parse::{META_ICMP_ERROR, Meta};
use weft_dataplane::tables::{IF_L2, IF_L3, IF_POLICY, IF_RPF, INTERFACE_WORKLOAD, NH_POLICY};
use weft_dataplane::tables::{NEXT_HOP_INTERFACE, NEXT_HOP_RECEIVE};
use weft_dataplane::{DropReason, Interface, hash};

use crate::family::{Family, V4};
use crate::gateway;
use crate::maps::{self, Kernel};
use crate::output;
use crate::report::{Failure, OWN_SLOT};
use crate::session::{self, Arrival, Found};
use crate::skb::Skb;

/// The first stage.
#[inline(always)]
pub fn run(skb: &Skb) -> Result<i32, Failure> {
    let interface = sender(skb)?;
    maps::count_received(interface.slot, skb.len());
    skb.pull();
    let eth = ethernet(skb)?;
    match eth.ethertype {
        ETHERTYPE_IPV4 => with_flow::<V4>(skb, interface, &eth),
        ETHERTYPE_IPV6 => Err(skb.enter(stage::WORKLOAD6).into()),
        ETHERTYPE_ARP => Err(skb.enter(stage::NEIGHBOUR).into()),
        _ => Err(DropReason::NotIp.into()),
    }
}

/// The stage for ARP and neighbour solicitations.
#[inline(always)]
pub fn neighbour(skb: &Skb) -> Result<i32, Failure> {
    let interface = sender(skb)?;
    let answer = match ethernet(skb)?.ethertype {
        ETHERTYPE_ARP => gateway::arp(skb, interface),
        _ => gateway::solicitation(skb, interface),
    };
    answer.map_err(Failure::from)
}

/// The stage for packets whose flow may be known.
#[inline(always)]
pub fn known<F: Family>(skb: &Skb) -> Result<i32, Failure> {
    let interface = sender(skb)?;
    let eth = ethernet(skb)?;
    with_flow::<F>(skb, interface, &eth)
}

/// The stage for packets that must be judged.
#[inline(always)]
pub fn judged<F: Family>(skb: &Skb) -> Result<i32, Failure> {
    let interface = sender(skb)?;
    let eth = ethernet(skb)?;
    let (meta, key) = F::parse(skb, ETH_LEN, interface.vrf)?;
    let arrival = arrival::<F>(skb, interface, &eth, meta, session::keep(&key)?)?;
    if interface.flags & IF_POLICY != 0 {
        session::decide::<F>(skb, &arrival)?;
    } else {
        without_policy::<F>(skb, interface, &arrival)?;
    }
    Err(skb.enter(F::WORKLOAD_SEND).into())
}

/// The stage that sends what was judged.
#[inline(always)]
pub fn send<F: Family>(skb: &Skb) -> Result<i32, Failure> {
    let interface = sender(skb)?;
    let eth = ethernet(skb)?;
    let (meta, key) = F::parse(skb, ETH_LEN, interface.vrf)?;
    match session::left()? {
        Some(outcome) => output::send::<F>(skb, interface, &eth, &meta, &outcome).map_err(Failure::from),
        None => gateway::receive(skb, interface, &eth, &meta, key.ports().1).map_err(Failure::from),
    }
}

#[inline(always)]
fn sender(skb: &Skb) -> Result<&'static Interface, DropReason> {
    match maps::interface(skb.ifindex()) {
        Some(interface) if interface.kind == INTERFACE_WORKLOAD => Ok(interface),
        _ => Err(DropReason::UnknownInterface),
    }
}

#[inline(always)]
fn ethernet(skb: &Skb) -> Result<Ethernet, DropReason> {
    let header = skb.load::<ETH_LEN>(0).ok_or(DropReason::TruncatedEthernet)?;
    Ok(Ethernet::from_bytes(&header))
}

#[inline(always)]
fn with_flow<F: Family>(skb: &Skb, interface: &Interface, eth: &Ethernet) -> Result<i32, Failure> {
    let (meta, key) = F::parse(skb, ETH_LEN, interface.vrf)?;
    if let Some(answer) = F::services(skb, interface, &meta, &key) {
        return answer.map_err(Failure::from);
    }
    if interface.flags & IF_POLICY == 0 {
        return Err(skb.enter(F::WORKLOAD_NEW).into());
    }
    let mut key = key;
    let arrival = arrival::<F>(skb, interface, eth, meta, &mut key)?;
    match session::find::<F>(&arrival)? {
        Found::Hit(outcome) => {
            output::send::<F>(skb, interface, eth, &arrival.meta, &outcome).map_err(Failure::from)
        }
        Found::Miss => Err(skb.enter(F::WORKLOAD_NEW).into()),
    }
}

#[inline(always)]
fn arrival<'a, F: Family>(
    skb: &Skb,
    interface: &'a Interface,
    eth: &Ethernet,
    meta: Meta,
    key: &'a mut F::Key,
) -> Result<Arrival<'a, F::Key>, DropReason> {
    let link = link(interface, eth)?;
    let ifindex = skb.ifindex();
    session::fragment_ports(key, &meta, ifindex)?;
    let interface = Some(interface);
    Ok(Arrival { key, meta, link, ifindex, interface, next_hop: 0, slot: OWN_SLOT, l3: ETH_LEN })
}

/// Whether the frame is bridged or routed, if the interface may do so.
#[inline(always)]
fn link(interface: &Interface, eth: &Ethernet) -> Result<Link, DropReason> {
    if eth.is_multicast() {
        return Err(DropReason::Multicast);
    }
    let bridged = eth.dst != interface.gateway_mac;
    if bridged && interface.flags & IF_L2 == 0 {
        return Err(DropReason::UnknownUnicast);
    }
    if !bridged && interface.flags & IF_L3 == 0 {
        return Err(DropReason::NoRoute);
    }
    if bridged && interface.flags & IF_RPF != 0 && eth.src != interface.mac {
        return Err(DropReason::SpoofedMac);
    }
    Ok(Link { bridged, dst: eth.dst, src: eth.src })
}

/// The outcome for an interface without policy: from the tables, unless a local receiver has policy.
#[inline(always)]
fn without_policy<F: Family>(
    skb: &Skb,
    interface: &Interface,
    arrival: &Arrival<'_, F::Key>,
) -> Result<(), Failure> {
    let mut key = arrival.key;
    if arrival.meta.flags & META_ICMP_ERROR != 0 {
        let own = session::keep_second(*key)?;
        F::make_own(skb, ETH_LEN, own);
        key = own;
    }
    judge::check_source(&Kernel, key, arrival.ifindex, interface)?;
    let way = judge::way_out(&Kernel, interface.vrf, key, &arrival.link)?;
    let next_hop = maps::NEXT_HOPS.get(way.next_hop).ok_or(DropReason::Internal)?;
    if next_hop.kind == NEXT_HOP_INTERFACE && next_hop.flags & NH_POLICY != 0 {
        return match session::find::<F>(arrival)? {
            Found::Hit(outcome) => session::leave(
                arrival,
                way.next_hop,
                false,
                outcome.bridged,
                outcome.dmac,
                outcome.source_port,
            ),
            Found::Miss => session::decide::<F>(skb, arrival),
        };
    }
    let receive = next_hop.kind == NEXT_HOP_RECEIVE;
    let seed = maps::config()?.hash_seed;
    let source_port = hash::source_port(key.hash(seed));
    session::leave(arrival, way.next_hop, receive, way.bridged, way.dmac, source_port)
}
