//! Drops: counted by interface and reason, and told to the agent as events, at a limited rate.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use weft_dataplane::config::stage;
use weft_dataplane::event::EventKind;
use weft_dataplane::flow::{FlowKey4, FlowKey6};
use weft_dataplane::outer::{self, TunnelKind};
use weft_dataplane::packet::{ETH_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Packet};
use weft_dataplane::parse;
use weft_dataplane::{DropKey, DropReason, Event};

use crate::maps::{self, DROPS, EVENTS, Reporting};
use crate::skb::{SHOT, Skb};

/// `Failure::slot`: the interface that the packet came from.
pub const OWN_SLOT: u32 = u32::MAX;

/// Why a packet could not be handled, and under which slot to count that.
#[derive(Clone, Copy)]
pub struct Failure {
    /// The reason.
    pub reason: DropReason,
    /// Counter slot.
    pub slot: u32,
}

impl From<DropReason> for Failure {
    #[inline(always)]
    fn from(reason: DropReason) -> Self {
        Failure { reason, slot: OWN_SLOT }
    }
}

/// Leaves the packet to the stage that counts and reports drops.
#[inline(always)]
pub fn dropped(skb: &Skb, failure: Failure) -> i32 {
    if let Ok(reporting) = maps::part!(reporting) {
        reporting.reason = failure.reason as u32;
        reporting.slot = failure.slot;
        skb.enter(stage::DROPPED);
    }
    SHOT
}

/// Counts and reports a drop.
#[inline(always)]
pub fn run(skb: &Skb) -> i32 {
    let Ok(reporting) = maps::part!(reporting) else { return SHOT };
    let (reason, slot) = (reporting.reason, reporting.slot);
    let ifindex = skb.ifindex();
    let (vrf, own_slot) = match maps::interface(ifindex) {
        Some(interface) => (interface.vrf, interface.slot),
        None => (0, fabric_slot(ifindex)),
    };
    let slot = if slot == OWN_SLOT { own_slot } else { slot };
    let key = DropKey { slot, reason };
    match DROPS.get_ptr_mut(&key) {
        // SAFETY: this CPU's own copy.
        Some(count) => unsafe { *count += 1 },
        None => {
            let _ = DROPS.insert(&key, &1, 0);
        }
    }
    tell(skb, reason, slot, vrf);
    SHOT
}

#[inline(always)]
fn fabric_slot(ifindex: u32) -> u32 {
    match maps::config() {
        Ok(config) if config.fabric_ifindex == ifindex => config.fabric_slot,
        _ => 0,
    }
}

/// Takes one event out of this second's budget; counts it as suppressed when there is none left.
#[inline(always)]
fn admitted(reporting: &mut Reporting, now: u64) -> bool {
    let budget = match maps::config() {
        Ok(config) => config.events_per_second,
        Err(_) => 0,
    };
    let second = now >> 30;
    if reporting.event_second != second {
        reporting.event_second = second;
        reporting.events = 0;
    }
    if reporting.events >= budget {
        reporting.suppressed += 1;
        return false;
    }
    reporting.events += 1;
    true
}

#[inline(always)]
fn tell(skb: &Skb, reason: u32, slot: u32, vrf: u16) {
    // SAFETY: plain helper call.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    let (Ok(reporting), Ok(denial)) = (maps::part!(reporting), maps::part!(denial)) else { return };
    if !admitted(reporting, now) {
        return;
    }
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else {
        reporting.suppressed += 1;
        return;
    };
    let judged = reason == DropReason::Policy as u32 || reason == DropReason::NoVerdict as u32;
    let at = entry.as_mut_ptr();
    // SAFETY: the reserved record is written whole before it is submitted.
    unsafe {
        at.write(Event {
            time: now,
            kind: EventKind::Drop as u8,
            reason: reason as u8,
            family: 0,
            protocol: 0,
            slot,
            ifindex: skb.ifindex(),
            rule: if judged { denial.rule } else { 0 },
            source_identity: if judged { denial.source } else { 0 },
            destination_identity: if judged { denial.destination } else { 0 },
            src: [0; 16],
            dst: [0; 16],
            sport: [0; 2],
            dport: [0; 2],
            vrf,
            reserved: 0,
            length: skb.len(),
            suppressed: reporting.suppressed,
            label: 0,
            reserved2: 0,
            reserved3: 0,
        });
        describe(skb, &mut *at);
    }
    reporting.suppressed = 0;
    entry.submit(0);
}

/// Adds what can be read of the packet: its inner addresses when it came through a tunnel.
#[inline(always)]
fn describe(skb: &Skb, event: &mut Event) {
    let Some(header) = skb.load::<ETH_LEN>(0) else { return };
    let mut l3 = ETH_LEN;
    let mut ethertype = [header[12], header[13]];
    if let Ok(config) = maps::config()
        && config.fabric_ifindex == event.ifindex
    {
        let ports = crate::fabric::ports(config);
        if let Ok(tunnel) = outer::classify(skb, config.tunnel_ip, ports.0, ports.1)
            && tunnel.kind != TunnelKind::Host
        {
            event.label = tunnel.id;
            let first = skb.load::<1>(tunnel.inner).unwrap_or([0])[0] >> 4;
            (l3, ethertype) = match (tunnel.kind, first) {
                (TunnelKind::Mpls, 4) => (tunnel.inner, ETHERTYPE_IPV4),
                (TunnelKind::Mpls, 6) => (tunnel.inner, ETHERTYPE_IPV6),
                _ => (tunnel.inner + ETH_LEN, skb.load::<2>(tunnel.inner + 12).unwrap_or([0, 0])),
            };
        }
    }
    match ethertype {
        ETHERTYPE_IPV4 => describe4(skb, l3, event),
        ETHERTYPE_IPV6 => describe6(skb, l3, event),
        _ => {}
    }
}

#[inline(always)]
fn describe4(skb: &Skb, l3: usize, event: &mut Event) {
    if let Ok((_, FlowKey4 { src, dst, sport, dport, protocol, .. })) = parse::ipv4(skb, l3, 0) {
        event.family = 4;
        event.protocol = protocol;
        event.src[..4].copy_from_slice(&src);
        event.dst[..4].copy_from_slice(&dst);
        (event.sport, event.dport) = (sport, dport);
    }
}

#[inline(always)]
fn describe6(skb: &Skb, l3: usize, event: &mut Event) {
    if let Ok((_, FlowKey6 { src, dst, sport, dport, protocol, .. })) = parse::ipv6(skb, l3, 0) {
        event.family = 6;
        event.protocol = protocol;
        (event.src, event.dst) = (src, dst);
        (event.sport, event.dport) = (sport, dport);
    }
}
