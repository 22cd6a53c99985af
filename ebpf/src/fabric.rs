//! Packets from the underlay.

use weft_dataplane::config::stage;
use weft_dataplane::flow::FlowKey;
use weft_dataplane::judge::{Link, Tables};
use weft_dataplane::outer::{self, Ecn, TunnelKind};
use weft_dataplane::packet::{ETH_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Packet};
use weft_dataplane::parse::{META_ICMP_ERROR, Meta};
use weft_dataplane::tables::{LABEL_L2, LABEL_L3, NEXT_HOP_INTERFACE, NEXT_HOP_RECEIVE, NH_POLICY};
use weft_dataplane::{BridgeKey, Config, DropReason, NextHop};

use crate::family::{Family, V4};
use crate::maps::{self, Kernel, LABELS, VNIS};
use crate::output;
use crate::report::Failure;
use crate::session::{self, Arrival, Found};
use crate::skb::{NEXT, Skb};
use crate::tunnel;

/// The UDP ports of MPLS and VXLAN.
#[inline(always)]
pub fn ports(config: &Config) -> (u16, u16) {
    let mpls = if config.mpls_port != 0 { config.mpls_port } else { outer::MPLS_PORT };
    let vxlan = if config.vxlan_port != 0 { config.vxlan_port } else { outer::VXLAN_PORT };
    (mpls, vxlan)
}

/// A tunnelled packet on its way in.
#[derive(Clone, Copy)]
struct Inner {
    /// The VRF it belongs to.
    vrf: u16,
    /// The inner packet's EtherType.
    ethertype: [u8; 2],
    /// The next hop its label names; zero: look its destination up.
    next_hop: u32,
    /// Offset of the inner IP header.
    l3: usize,
    /// Outer traffic class.
    tos: u8,
    /// The inner frame's MACs; an IP packet without a frame has zeroes.
    link: Link,
}

/// The first stage.
#[inline(always)]
pub fn run(skb: &Skb) -> Result<i32, Failure> {
    skb.pull();
    let Some((config, inner)) = decapsulated(skb)? else { return Ok(NEXT) };
    maps::count_received(config.fabric_slot, skb.len());
    match inner.ethertype {
        ETHERTYPE_IPV4 => with_flow::<V4>(skb, &inner),
        ETHERTYPE_IPV6 => Err(skb.enter(stage::FABRIC6).into()),
        _ => Err(DropReason::NotIp.into()),
    }
}

/// The stage for packets whose flow may be known.
#[inline(always)]
pub fn known<F: Family>(skb: &Skb) -> Result<i32, Failure> {
    match decapsulated(skb)? {
        Some((_, inner)) => with_flow::<F>(skb, &inner),
        None => Ok(NEXT),
    }
}

/// The stage for packets that must be judged.
#[inline(always)]
pub fn judged<F: Family>(skb: &Skb) -> Result<i32, Failure> {
    let Some((_, inner)) = decapsulated(skb)? else { return Ok(NEXT) };
    let (meta, key) = F::parse(skb, inner.l3, inner.vrf)?;
    let (arrival, _) = arrival::<F>(skb, &inner, meta, session::keep(&key)?)?;
    session::decide::<F>(skb, &arrival)?;
    Err(skb.enter(F::FABRIC_SEND).into())
}

/// The stage that delivers what was judged.
#[inline(always)]
pub fn send<F: Family>(skb: &Skb) -> Result<i32, Failure> {
    let Some((_, inner)) = decapsulated(skb)? else { return Ok(NEXT) };
    let outcome = session::left()?.ok_or(DropReason::Internal)?;
    let tos = F::traffic_class(skb, inner.l3).ok_or(DropReason::TruncatedIp)?;
    deliver::<F>(skb, &inner, tos, outcome.next_hop)
}

/// What a tunnel brought. `None`: the packet is not ours.
#[inline(always)]
fn decapsulated(skb: &Skb) -> Result<Option<(&'static Config, Inner)>, Failure> {
    let Ok(config) = maps::config() else { return Ok(None) };
    let (mpls_port, vxlan_port) = ports(config);
    let tunnel = outer::classify(skb, config.tunnel_ip, mpls_port, vxlan_port)?;
    let inner = match tunnel.kind {
        TunnelKind::Host => return Ok(None),
        TunnelKind::Mpls => mpls(skb, config, tunnel.id, tunnel.inner, tunnel.tos)?,
        TunnelKind::Vxlan => {
            // SAFETY: entries are not preallocated.
            let vni = unsafe { VNIS.get(&tunnel.id) }.ok_or(DropReason::UnknownVni)?;
            frame(skb, config, vni.vrf, 0, tunnel.inner, tunnel.tos)?
        }
    };
    Ok(Some((config, inner)))
}

#[inline(always)]
fn mpls(skb: &Skb, config: &Config, label: u32, inner: usize, tos: u8) -> Result<Inner, DropReason> {
    let label = LABELS.get(label).ok_or(DropReason::UnknownLabel)?;
    match label.kind {
        LABEL_L3 => {
            let ethertype = match skb.load::<1>(inner).ok_or(DropReason::TruncatedIp)?[0] >> 4 {
                4 => ETHERTYPE_IPV4,
                6 => ETHERTYPE_IPV6,
                _ => return Err(DropReason::BadIpHeader),
            };
            let link = Link { bridged: false, dst: [0; 6], src: [0; 6] };
            Ok(Inner { vrf: label.vrf, ethertype, next_hop: label.next_hop, l3: inner, tos, link })
        }
        LABEL_L2 => frame(skb, config, label.vrf, label.next_hop, inner, tos),
        _ => Err(DropReason::UnknownLabel),
    }
}

/// An inner Ethernet frame: bridged, unless it is for the gateway.
#[inline(always)]
fn frame(
    skb: &Skb,
    config: &Config,
    vrf: u16,
    next_hop: u32,
    at: usize,
    tos: u8,
) -> Result<Inner, DropReason> {
    let header = skb.load::<ETH_LEN>(at).ok_or(DropReason::TruncatedEthernet)?;
    let eth = Ethernet::from_bytes(&header);
    if eth.is_multicast() {
        return Err(DropReason::Multicast);
    }
    let bridged = eth.dst != config.gateway_mac;
    let mut next_hop = next_hop;
    if bridged && next_hop == 0 {
        let entry = Kernel.bridge(&BridgeKey { vrf, mac: eth.dst }).ok_or(DropReason::UnknownUnicast)?;
        next_hop = entry.next_hop;
    }
    // A frame from the gateway was routed at the other host; its answer will be routed too.
    let link = Link { bridged: bridged && eth.src != config.gateway_mac, dst: eth.dst, src: eth.src };
    Ok(Inner { vrf, ethertype: eth.ethertype, next_hop, l3: at + ETH_LEN, tos, link })
}

#[inline(always)]
fn with_flow<F: Family>(skb: &Skb, inner: &Inner) -> Result<i32, Failure> {
    let (meta, mut key) = F::parse(skb, inner.l3, inner.vrf)?;
    let (arrival, next_hop) = arrival::<F>(skb, inner, meta, &mut key)?;
    if next_hop.flags & NH_POLICY != 0
        && let Found::Miss = session::find::<F>(&arrival)?
    {
        return Err(skb.enter(F::FABRIC_NEW).into());
    }
    deliver::<F>(skb, inner, arrival.meta.tos, next_hop)
}

/// Finds who gets the inner packet.
#[inline(always)]
fn arrival<'a, F: Family>(
    skb: &Skb,
    inner: &Inner,
    meta: Meta,
    key: &'a mut F::Key,
) -> Result<(Arrival<'a, F::Key>, &'static NextHop), Failure> {
    let index = if inner.next_hop != 0 {
        inner.next_hop
    } else {
        let mut own = &*key;
        if meta.flags & META_ICMP_ERROR != 0 {
            let kept = session::keep_second(*key)?;
            F::make_own(skb, inner.l3, kept);
            own = kept;
        }
        own.destination_route(&Kernel, inner.vrf).ok_or(DropReason::NoRoute)?.next_hop
    };
    let next_hop = maps::NEXT_HOPS.get(index).ok_or(DropReason::Internal)?;
    match next_hop.kind {
        NEXT_HOP_INTERFACE => {}
        NEXT_HOP_RECEIVE => return Err(DropReason::GatewayNotServed.into()),
        _ => return Err(DropReason::Discard.into()),
    }
    let slot = next_hop.slot;
    let ifindex = skb.ifindex();
    key.set_zone(next_hop.vrf);
    session::fragment_ports(key, &meta, ifindex).map_err(|reason| Failure { reason, slot })?;
    let (link, l3) = (inner.link, inner.l3);
    Ok((Arrival { key, meta, link, ifindex, interface: None, next_hop: index, slot, l3 }, next_hop))
}

/// Takes the tunnel's headers off and hands the packet to its workload.
#[inline(always)]
fn deliver<F: Family>(skb: &Skb, inner: &Inner, tos: u8, next_hop: &NextHop) -> Result<i32, Failure> {
    let fail = |reason| Failure { reason, slot: next_hop.slot };
    let mark = outer::ecn(inner.tos, tos);
    if mark == Ecn::Drop {
        return Err(fail(DropReason::OuterEcn));
    }
    let (dst, src) =
        if inner.link.bridged { (inner.link.dst, inner.link.src) } else { (next_hop.dmac, next_hop.smac) };
    let eth = Ethernet { dst, src, ethertype: F::ETHERTYPE };
    tunnel::strip(skb, inner.l3, &eth).map_err(fail)?;
    if mark == Ecn::Mark {
        skb.mark_congestion();
    }
    output::deliver(skb, next_hop, skb.len()).map_err(fail)
}
