//! Flows: finding the entry of a packet, and making, refreshing and ending sessions.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use weft_dataplane::flow::{FLOW_DROP, FLOW_L2, FLOW_LOCAL, FLOW_REVERSE, Flow, FlowKey, FragmentPorts};
use weft_dataplane::judge::{self, Entry, Judgement, Link, Tables, Way};
use weft_dataplane::packet::protocol;
use weft_dataplane::parse::{META_FRAGMENT, META_ICMP_ERROR, META_LATER, Meta};
use weft_dataplane::tcp::{self, Step};
use weft_dataplane::{DropReason, Interface, NextHop, hash};

use crate::family::Family;
use crate::maps::{self, FRAGMENTS, Kernel};
use crate::report::Failure;
use crate::skb::Skb;

/// What a packet's flow (or, without one, the tables) says to do with it.
#[derive(Clone, Copy)]
pub struct Outcome {
    /// Where it goes.
    pub next_hop: &'static NextHop,
    /// Inner destination MAC.
    pub dmac: [u8; 6],
    /// UDP source port of the tunnel.
    pub source_port: [u8; 2],
    /// The destination MAC stays as it is.
    pub bridged: bool,
}

/// A parsed packet and how it came.
pub struct Arrival<'a, K> {
    /// Its flow key.
    pub key: &'a K,
    /// Its facts.
    pub meta: Meta,
    /// Its MACs.
    pub link: Link,
    /// The interface it came from.
    pub ifindex: u32,
    /// The workload that sent it; `None` for the underlay.
    pub interface: Option<&'a Interface>,
    /// From the underlay: the next hop that the label or bridge table named.
    pub next_hop: u32,
    /// Counter slot to blame.
    pub slot: u32,
    /// Offset of the IP header.
    pub l3: usize,
}

impl<'a, K> Arrival<'a, K> {
    #[inline(always)]
    fn entry(&self) -> Entry<'a> {
        match self.interface {
            Some(interface) => Entry::Workload { ifindex: self.ifindex, interface },
            None => Entry::Fabric { ifindex: self.ifindex, next_hop: self.next_hop },
        }
    }

    /// Whether it has a TCP header: later fragments have none, and their TCP flags mean nothing.
    #[inline(always)]
    fn has_tcp(&self) -> bool {
        self.meta.protocol == protocol::TCP && self.meta.flags & META_LATER == 0
    }

    #[inline(always)]
    fn fail(&self, reason: DropReason) -> Failure {
        Failure { reason, slot: self.slot }
    }
}

/// A place for the packet's key that is not on the stack, for stages that need much of that.
#[inline(always)]
pub fn keep<K: Copy>(key: &K) -> Result<&'static mut K, DropReason> {
    let place = maps::part!(arrival_key)?.as_mut_ptr().cast::<K>();
    // SAFETY: the room is as large and as aligned as the larger of the two keys.
    unsafe {
        place.write(*key);
        Ok(&mut *place)
    }
}

/// A place for a second key.
#[inline(always)]
pub fn keep_second<K: Copy>(key: K) -> Result<&'static mut K, DropReason> {
    let place = maps::part!(key)?.as_mut_ptr().cast::<K>();
    // SAFETY: as in `keep`.
    unsafe {
        place.write(key);
        Ok(&mut *place)
    }
}

/// Gives a later fragment its head's ports, and remembers a head's.
#[inline(always)]
pub fn fragment_ports<K: FlowKey>(key: &mut K, meta: &Meta, ifindex: u32) -> Result<(), DropReason> {
    // The fragments of an ICMP error are not followed: its key is of another flow.
    if meta.flags & META_FRAGMENT == 0 || meta.flags & META_ICMP_ERROR != 0 {
        return Ok(());
    }
    let fragment = maps::part!(fragment)?;
    *fragment = key.fragment(meta.fragment_id, ifindex);
    if meta.flags & META_LATER != 0 {
        // SAFETY: a value that is being replaced still is a value.
        let ports = unsafe { FRAGMENTS.get(&*fragment) }.ok_or(DropReason::FragmentWithoutHead)?;
        key.set_ports(ports.sport, ports.dport);
    } else {
        let (sport, dport) = key.ports();
        let _ = FRAGMENTS.insert(&*fragment, &FragmentPorts { sport, dport, reserved: 0 }, 0);
    }
    Ok(())
}

/// What the flow table says of a packet.
pub enum Found {
    /// Its flow's outcome.
    Hit(Outcome),
    /// The slow stage must decide: no flow, an old one, or an ICMP error.
    Miss,
}

/// The outcome for a packet whose flow is known and still right.
#[inline(always)]
pub fn find<F: Family>(arrival: &Arrival<'_, F::Key>) -> Result<Found, Failure> {
    if arrival.meta.flags & META_ICMP_ERROR != 0 {
        return Ok(Found::Miss);
    }
    let Some(flow) = F::flows().get_ptr_mut(arrival.key) else { return Ok(Found::Miss) };
    // SAFETY: the entry may be reused by another session meanwhile: then a few counters are wrong, no more.
    let flow = unsafe { &mut *flow };
    let Some(next_hop) = valid(flow, arrival) else { return Ok(Found::Miss) };
    if reopens(flow, arrival) {
        return Ok(Found::Miss);
    }
    if flow.flags & FLOW_DROP != 0 {
        return Err(denied(flow, arrival));
    }
    let outcome = Outcome {
        next_hop,
        dmac: flow.dmac,
        source_port: flow.source_port,
        bridged: flow.flags & FLOW_L2 != 0,
    };
    follow::<F>(flow, arrival);
    Ok(Found::Hit(outcome))
}

/// Whether the packet opens a new connection on an old session's addresses.
#[inline(always)]
fn reopens<K>(flow: &Flow, arrival: &Arrival<'_, K>) -> bool {
    let reverse = flow.flags & FLOW_REVERSE != 0;
    arrival.has_tcp() && tcp::reopens(flow.tcp, arrival.meta.tcp_flags, reverse)
}

/// The flow's next hop, if everything the flow was judged on still holds.
#[inline(always)]
fn valid<K: FlowKey>(flow: &Flow, arrival: &Arrival<'_, K>) -> Option<&'static NextHop> {
    let link = &arrival.link;
    let same_link = (flow.flags & FLOW_L2 != 0) == link.bridged && (!link.bridged || flow.dmac == link.dst);
    let same_way = arrival.interface.is_some() || flow.next_hop == arrival.next_hop;
    let zone = arrival.key.zone();
    let current = flow.generation == judge::generations(&Kernel, zone, flow.peer_vrf);
    if !(same_link && same_way && current && flow.in_ifindex == arrival.ifindex) {
        return None;
    }
    let next_hop = maps::NEXT_HOPS.get(flow.next_hop)?;
    if next_hop.generation == flow.next_hop_generation { Some(next_hop) } else { None }
}

/// Counts a packet of a flow and follows its TCP state.
#[inline(always)]
fn follow<F: Family>(flow: &mut Flow, arrival: &Arrival<'_, F::Key>) {
    flow.packets += 1;
    flow.bytes += u64::from(arrival.meta.length);
    // SAFETY: plain helper call.
    flow.last_seen = unsafe { bpf_ktime_get_coarse_ns() };
    if arrival.has_tcp() {
        match tcp::step(flow.tcp, arrival.meta.tcp_flags) {
            Step::Stay => {}
            Step::Change { own, peer } => {
                flow.tcp = own;
                if peer != 0 {
                    tell_peer::<F>(flow, arrival.key, peer);
                }
            }
            Step::Done => finish::<F>(flow, arrival.key),
        }
    }
}

/// The key of the other direction's entry, which is not on the stack.
#[inline(always)]
fn other_key<K: FlowKey>(key: &K, zone: u16) -> Option<&'static K> {
    keep_second(key.reversed(zone)).ok().map(|key| &*key)
}

/// Adds TCP state bits to the other direction's entry.
#[inline(always)]
fn tell_peer<F: Family>(flow: &Flow, key: &F::Key, bits: u8) {
    let Some(other) = other_key(key, flow.reverse_zone) else { return };
    if let Some(peer) = F::flows().get_ptr_mut(other) {
        // SAFETY: as in `find`.
        unsafe { (*peer).tcp |= bits };
    }
}

/// Removes a session: one that both ends have closed, or that must be made again.
#[inline(always)]
fn finish<F: Family>(flow: &Flow, key: &F::Key) {
    if let Some(other) = other_key(key, flow.reverse_zone) {
        let _ = F::flows().remove(other);
    }
    let _ = F::flows().remove(key);
}

/// A drop that a flow remembers.
#[inline(always)]
fn denied<K: FlowKey>(flow: &Flow, arrival: &Arrival<'_, K>) -> Failure {
    if let Ok(denial) = maps::part!(denial) {
        denial.rule = flow.rule;
        denial.source = flow.source_identity;
        denial.destination = flow.destination_identity;
    }
    let reason = match DropReason::from_u8(flow.reason) {
        Some(reason) => reason,
        None => DropReason::Policy,
    };
    arrival.fail(reason)
}

/// Decides about a packet with no flow, or with one that must be judged again. The answer is
/// left in the scratch record.
#[inline(always)]
pub fn decide<F: Family>(skb: &Skb, arrival: &Arrival<'_, F::Key>) -> Result<(), Failure> {
    let key = arrival.key;
    let is_error = arrival.meta.flags & META_ICMP_ERROR != 0;
    // SAFETY: as in `find`.
    let mut existing = F::flows().get_ptr_mut(key).map(|flow| unsafe { &mut *flow });
    if is_error {
        let none = arrival.fail(DropReason::IcmpErrorNoFlow);
        let Some(flow) = &existing else { return Err(none) };
        allowed_error::<F>(skb, flow, arrival)?;
        if valid(flow, arrival).is_some() {
            return if flow.flags & FLOW_DROP != 0 { Err(none) } else { leave_flow(arrival, flow) };
        }
    }
    if matches!(&existing, Some(flow) if reopens(flow, arrival)) {
        existing = None;
    }
    let reverse = matches!(&existing, Some(flow) if flow.flags & FLOW_REVERSE != 0);
    let judgement = maps::part!(judgement).map_err(|reason| arrival.fail(reason))?;
    judge::judge(&Kernel, arrival.entry(), key, &arrival.link, reverse, judgement)
        .map_err(|reason| arrival.fail(reason))?;
    if judgement.receive {
        return leave(arrival, 0, true, false, [0; 6], [0; 2]);
    }
    remember(judgement, arrival)?;
    if let Some(flow) = &existing
        && flow.reverse_zone != judgement.back_zone
    {
        // The answers will be seen in another VRF than before: the session is made again.
        finish::<F>(flow, key);
        existing = None;
    }
    if let Some(reason) = judgement.denied {
        if let Some(flow) = existing {
            refresh(flow, judgement, arrival.ifindex);
            flow.flags |= FLOW_DROP;
            flow.reason = reason as u8;
        }
        return Err(arrival.fail(if is_error { DropReason::IcmpErrorNoFlow } else { reason }));
    }
    let Some(flow) = existing else {
        if is_error {
            return Err(arrival.fail(DropReason::IcmpErrorNoFlow));
        }
        let source_port = create::<F>(arrival, judgement, reverse)?;
        let way = &judgement.way;
        return leave(arrival, way.next_hop, false, way.bridged, way.dmac, source_port);
    };
    refresh(flow, judgement, arrival.ifindex);
    flow.flags &= !FLOW_DROP;
    flow.reason = 0;
    leave_flow(arrival, flow)?;
    if !is_error {
        follow::<F>(flow, arrival);
    }
    Ok(())
}

/// Leaves what a flow says for the stage that sends it.
#[inline(always)]
fn leave_flow<K>(arrival: &Arrival<'_, K>, flow: &Flow) -> Result<(), Failure> {
    let bridged = flow.flags & FLOW_L2 != 0;
    leave(arrival, flow.next_hop, false, bridged, flow.dmac, flow.source_port)
}

/// Leaves a packet's way for the stage that sends it.
#[inline(always)]
pub fn leave<K>(
    arrival: &Arrival<'_, K>,
    next_hop: u32,
    receive: bool,
    bridged: bool,
    dmac: [u8; 6],
    source_port: [u8; 2],
) -> Result<(), Failure> {
    let sending = maps::part!(sending).map_err(|reason| arrival.fail(reason))?;
    sending.next_hop = next_hop;
    sending.receive = u32::from(receive);
    sending.bridged = u32::from(bridged);
    sending.dmac = dmac;
    sending.source_port = source_port;
    Ok(())
}

/// What was left by [`leave`]. `None`: the packet is for this vRouter itself.
#[inline(always)]
pub fn left() -> Result<Option<Outcome>, DropReason> {
    let sending = maps::part!(sending)?;
    if sending.receive != 0 {
        return Ok(None);
    }
    let next_hop = maps::NEXT_HOPS.get(sending.next_hop).ok_or(DropReason::Internal)?;
    let (dmac, source_port) = (sending.dmac, sending.source_port);
    Ok(Some(Outcome { next_hop, dmac, source_port, bridged: sending.bridged != 0 }))
}

/// Leaves what policy said for a drop report.
#[inline(always)]
fn remember<K>(judgement: &Judgement, arrival: &Arrival<'_, K>) -> Result<(), Failure> {
    let denial = maps::part!(denial).map_err(|reason| arrival.fail(reason))?;
    denial.rule = judgement.rule;
    denial.source = judgement.source_identity;
    denial.destination = judgement.way.identity;
    Ok(())
}

/// Writes what was judged into an entry; its age, counters and TCP state stay.
#[inline(always)]
fn refresh(flow: &mut Flow, judgement: &Judgement, ifindex: u32) {
    // SAFETY: plain helper call.
    flow.last_seen = unsafe { bpf_ktime_get_coarse_ns() };
    flow.source_identity = judgement.source_identity;
    flow.destination_identity = judgement.way.identity;
    flow.in_ifindex = ifindex;
    flow.rule = judgement.rule;
    flow.reverse_zone = judgement.back_zone;
    flow.peer_vrf = judgement.back_zone;
    direct(flow, &judgement.way);
    flow.flags &= !FLOW_LOCAL;
    if judgement.local {
        flow.flags |= FLOW_LOCAL;
    }
    flow.generation = judgement.generation;
}

/// Writes one direction's way out into its entry.
#[inline(always)]
fn direct(flow: &mut Flow, way: &Way) {
    flow.next_hop = way.next_hop;
    flow.next_hop_generation = match Kernel.next_hop(way.next_hop) {
        Some(next_hop) => next_hop.generation,
        None => 0,
    };
    flow.dmac = way.dmac;
    flow.flags = if way.bridged { flow.flags | FLOW_L2 } else { flow.flags & !FLOW_L2 };
}

/// Makes both entries of a session; returns the tunnel's source port. `reverse`: the packet is an answer.
#[inline(always)]
fn create<F: Family>(
    arrival: &Arrival<'_, F::Key>,
    judgement: &Judgement,
    reverse: bool,
) -> Result<[u8; 2], Failure> {
    let config = maps::config().map_err(|reason| arrival.fail(reason))?;
    let flow = maps::part!(flow).map_err(|reason| arrival.fail(reason))?;
    let key = arrival.key;
    let full = arrival.fail(DropReason::FlowTableFull);
    let source_port = hash::source_port(key.hash(config.hash_seed));
    // SAFETY: plain helper call.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    flow.packets = 1;
    flow.bytes = u64::from(arrival.meta.length);
    flow.created = now;
    flow.slot = match arrival.interface {
        Some(interface) => interface.slot,
        None => arrival.slot,
    };
    flow.source_port = source_port;
    flow.flags = if reverse { FLOW_REVERSE } else { 0 };
    flow.reason = 0;
    flow.reserved = [0; 8];
    let (own, peer) = if arrival.has_tcp() { tcp::first(arrival.meta.tcp_flags) } else { (0, 0) };
    flow.tcp = own;
    refresh(flow, judgement, arrival.ifindex);
    F::flows().insert(key, &*flow, 0).map_err(|_| full)?;
    let zone = key.zone();
    flow.packets = 0;
    flow.bytes = 0;
    flow.tcp = peer;
    flow.flags ^= FLOW_REVERSE;
    flow.reverse_zone = zone;
    flow.peer_vrf = zone;
    flow.in_ifindex =
        if judgement.back_ifindex != 0 { judgement.back_ifindex } else { config.fabric_ifindex };
    flow.source_identity = judgement.way.identity;
    flow.destination_identity = judgement.back.identity;
    direct(flow, &judgement.back);
    let back = other_key(key, judgement.back_zone).ok_or(arrival.fail(DropReason::Internal))?;
    if F::flows().insert(back, &*flow, 0).is_err() {
        let _ = F::flows().remove(key);
        return Err(full);
    }
    Ok(source_port)
}

/// An ICMP error follows the flow it concerns, if it comes from where that flow's packets come from. A workload may
/// send errors only about its own conversations; on the way through the underlay any router may.
#[inline(always)]
fn allowed_error<F: Family>(skb: &Skb, flow: &Flow, arrival: &Arrival<'_, F::Key>) -> Result<(), Failure> {
    let (same_source, same_destination) = F::same_addresses(skb, arrival.l3, arrival.key);
    if flow.in_ifindex != arrival.ifindex || !same_destination {
        return Err(arrival.fail(DropReason::IcmpErrorNoFlow));
    }
    if arrival.interface.is_some() && !same_source {
        return Err(arrival.fail(DropReason::SpoofedSource));
    }
    Ok(())
}
