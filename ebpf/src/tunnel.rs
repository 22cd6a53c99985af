//! Adding tunnel headers, and taking them off, without splitting large sends.

use aya_ebpf::bindings::{
    BPF_F_ADJ_ROOM_DECAP_L3_IPV6, BPF_F_ADJ_ROOM_ENCAP_L2_ETH, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
    BPF_F_ADJ_ROOM_ENCAP_L4_UDP, BPF_F_ADJ_ROOM_FIXED_GSO,
};
use aya_ebpf::bindings::{bpf_redir_neigh, bpf_redir_neigh__bindgen_ty_1};
use aya_ebpf::helpers::generated::bpf_redirect_neigh;
use weft_dataplane::outer::{self, OVERHEAD_MPLS_L2, OVERHEAD_MPLS_L3, OVERHEAD_VXLAN};
use weft_dataplane::packet::{ETH_LEN, ETHERTYPE_IPV4, Ethernet};
use weft_dataplane::tables::{NEXT_HOP_MPLS_L2, NEXT_HOP_MPLS_L3, NH_RESOLVED};
use weft_dataplane::{Config, DropReason, NextHop};

use crate::maps;
use crate::skb::{self, SHOT, Skb};

/// Offset of the first byte after the outer UDP header.
const AFTER_UDP: usize = ETH_LEN + 28;
const GROW: u64 =
    (BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP) as u64;

/// Flag bits that say how long the inner link-layer header is.
const fn inner_l2(bytes: u64) -> u64 {
    bytes << 56
}

/// Bytes that a next hop's tunnel adds before the inner IP packet.
#[inline(always)]
pub fn overhead(next_hop: &NextHop) -> u32 {
    match next_hop.kind {
        NEXT_HOP_MPLS_L3 => OVERHEAD_MPLS_L3,
        NEXT_HOP_MPLS_L2 => OVERHEAD_MPLS_L2,
        _ => OVERHEAD_VXLAN,
    }
}

/// Where a packet enters its tunnel.
pub struct Encapsulation<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The tunnel.
    pub next_hop: &'a NextHop,
    /// The inner Ethernet header, for tunnels that carry one.
    pub inner: Ethernet,
    /// UDP source port.
    pub source_port: [u8; 2],
    /// Inner traffic class.
    pub tos: u8,
}

/// Encapsulates the packet and sends it into the underlay.
#[inline(always)]
pub fn send(skb: &Skb, e: &Encapsulation<'_>) -> Result<i32, DropReason> {
    let failed = DropReason::Encapsulation;
    let extra = overhead(e.next_hop);
    let flags = match e.next_hop.kind {
        NEXT_HOP_MPLS_L3 => GROW | inner_l2(4),
        _ => GROW | inner_l2(14) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH as u64,
    };
    if !skb.adjust(extra as i32, flags) {
        return Err(failed);
    }
    let next_hop = e.next_hop;
    let length = skb.len() - ETH_LEN as u32;
    let eth = Ethernet { dst: next_hop.dmac, src: next_hop.smac, ethertype: ETHERTYPE_IPV4 };
    let (port, vxlan_port) = crate::fabric::ports(e.config);
    let port = if matches!(next_hop.kind, NEXT_HOP_MPLS_L3 | NEXT_HOP_MPLS_L2) { port } else { vxlan_port };
    let ip = outer::headers(next_hop.src, next_hop.dst, e.source_port, port, e.tos, length);
    let written = skb.write(0, eth.to_bytes())
        && skb.write(ETH_LEN, ip)
        && match next_hop.kind {
            NEXT_HOP_MPLS_L3 => skb.write(AFTER_UDP, outer::label_entry(next_hop.label)),
            NEXT_HOP_MPLS_L2 => {
                skb.write(AFTER_UDP, outer::label_entry(next_hop.label))
                    && skb.write(AFTER_UDP + 4, e.inner.to_bytes())
            }
            _ => {
                skb.write(AFTER_UDP, outer::vxlan_header(next_hop.label))
                    && skb.write(AFTER_UDP + 8, e.inner.to_bytes())
            }
        };
    if !written {
        return Err(failed);
    }
    maps::count_delivered(e.config.fabric_slot, skb.len());
    if next_hop.flags & NH_RESOLVED != 0 {
        return skb::transmit(next_hop.ifindex);
    }
    neighbour(next_hop)
}

/// Lets the kernel find the underlay neighbour's MAC (and queue the packet while it asks).
#[inline(always)]
fn neighbour(next_hop: &NextHop) -> Result<i32, DropReason> {
    let gateway = if next_hop.gateway == [0; 4] { next_hop.dst } else { next_hop.gateway };
    let mut params = bpf_redir_neigh {
        nh_family: 2,
        __bindgen_anon_1: bpf_redir_neigh__bindgen_ty_1 { ipv6_nh: [u32::from_ne_bytes(gateway), 0, 0, 0] },
    };
    // SAFETY: the pointer and length describe `params`.
    let action = unsafe {
        bpf_redirect_neigh(next_hop.ifindex, &raw mut params, size_of::<bpf_redir_neigh>() as i32, 0)
    };
    if action as i32 == SHOT { Err(DropReason::Redirect) } else { Ok(action as i32) }
}

/// Takes off everything between the outer Ethernet header and the inner IP header at `l3`, and writes the inner
/// Ethernet header.
#[inline(always)]
pub fn strip(skb: &Skb, l3: usize, inner: &Ethernet) -> Result<(), DropReason> {
    let failed = DropReason::Decapsulation;
    let v6 = inner.ethertype != ETHERTYPE_IPV4;
    let flags = BPF_F_ADJ_ROOM_FIXED_GSO as u64 | if v6 { BPF_F_ADJ_ROOM_DECAP_L3_IPV6 as u64 } else { 0 };
    let bytes = (l3 as i32) - ETH_LEN as i32;
    if !skb.adjust(-bytes, flags) || !skb.write(0, inner.to_bytes()) {
        return Err(failed);
    }
    Ok(())
}
