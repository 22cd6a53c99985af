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
use crate::session::{self, Arrival, Found, Outcome};
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
        ETHERTYPE_ARP => gateway::arp(skb, interface).map_err(Failure::from),
        _ => Err(DropReason::NotIp.into()),
    }
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
    let arrival = arrival::<F>(skb, interface, &eth, meta, key)?;
    let outcome = if interface.flags & IF_POLICY != 0 || meta.flags & META_ICMP_ERROR != 0 {
        session::decide::<F>(skb, &arrival)?
    } else {
        without_policy::<F>(skb, interface, &arrival)?
    };
    match outcome {
        Some(outcome) => output::send::<F>(skb, interface, &eth, &arrival.meta, &outcome).map_err(Failure::from),
        None => {
            let dport = arrival.key.ports().1;
            gateway::receive(skb, interface, &eth, &arrival.meta, dport).map_err(Failure::from)
        }
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
    let arrival = arrival::<F>(skb, interface, eth, meta, key)?;
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
    key: F::Key,
) -> Result<Arrival<'a, F::Key>, DropReason> {
    let link = link(interface, eth)?;
    let ifindex = skb.ifindex();
    let mut key = key;
    session::fragment_ports(&mut key, &meta, ifindex)?;
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
) -> Result<Option<Outcome>, Failure> {
    let key = &arrival.key;
    let way = judge::way_out(&Kernel, interface.vrf, key, &arrival.link)?;
    let next_hop = maps::NEXT_HOPS.get(way.next_hop).ok_or(DropReason::Internal)?;
    if next_hop.kind == NEXT_HOP_INTERFACE && next_hop.flags & NH_POLICY != 0 {
        return match session::find::<F>(arrival)? {
            Found::Hit(outcome) => Ok(Some(outcome)),
            Found::Miss => session::decide::<F>(skb, arrival),
        };
    }
    judge::check_source(&Kernel, key, arrival.ifindex, interface)?;
    if next_hop.kind == NEXT_HOP_RECEIVE {
        return Ok(None);
    }
    let seed = maps::config()?.hash_seed;
    let source_port = hash::source_port(key.hash(seed));
    Ok(Some(Outcome { next_hop, dmac: way.dmac, source_port, bridged: way.bridged }))
}
