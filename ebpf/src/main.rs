//! The forwarder in the kernel: three programs at tc ingress, each with further stages reached by tail calls (a stage
//! has a stack of its own, and the first ones stay short).
//!
//! `workload` runs on the host side of every workload's interface, `fabric` on the underlay interface, `pkt0` on the
//! agent's TAP. What they decide is in `weft-dataplane`; here is what only the kernel can do: map lookups, changing
//! and redirecting the packet. A packet that is ours either leaves, goes up to the agent, or is dropped with a
//! counted reason; a packet from the underlay that is not ours goes to the host's stack untouched.
//!
//! Every entry function is inlined into the symbol that the kernel runs: a tail call made in a subprogram would return
//! to its caller, and that one's verdict (drop) would count.
#![no_std]
#![no_main]
#![allow(clippy::missing_safety_doc)]

mod fabric;
mod family;
mod gateway;
mod maps;
mod output;
mod pkt0;
mod report;
mod session;
mod skb;
mod trap;
mod tunnel;
mod workload;

use aya_ebpf::{macros::classifier, programs::TcContext};

use crate::family::{V4, V6};
use crate::report::Failure;
use crate::skb::Skb;

/// Ingress of a workload's host-side interface: ARP, and IPv4 with a flow.
#[classifier]
#[inline(always)]
pub fn workload(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, workload::run(&skb))
}

/// Second stage of `workload`: IPv6 with a flow.
#[classifier]
#[inline(always)]
pub fn workload6(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, workload::known::<V6>(&skb))
}

/// Third stage of `workload`: IPv4 that must be judged.
#[classifier]
#[inline(always)]
pub fn workload_new4(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, workload::judged::<V4>(&skb))
}

/// Third stage of `workload`: IPv6 that must be judged.
#[classifier]
#[inline(always)]
pub fn workload_new6(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, workload::judged::<V6>(&skb))
}

/// Last stage of `workload`: judged IPv4 leaves.
#[classifier]
#[inline(always)]
pub fn workload_send4(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, workload::send::<V4>(&skb))
}

/// Last stage of `workload`: judged IPv6 leaves.
#[classifier]
#[inline(always)]
pub fn workload_send6(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, workload::send::<V6>(&skb))
}

/// Last stage of `workload`: ARP and neighbour solicitations.
#[classifier]
#[inline(always)]
pub fn neighbour(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, workload::neighbour(&skb))
}

/// Ingress of the underlay interface: IPv4 with a flow.
#[classifier]
#[inline(always)]
pub fn fabric(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, fabric::run(&skb))
}

/// Second stage of `fabric`: IPv6 with a flow.
#[classifier]
#[inline(always)]
pub fn fabric6(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, fabric::known::<V6>(&skb))
}

/// Third stage of `fabric`: IPv4 that must be judged.
#[classifier]
#[inline(always)]
pub fn fabric_new4(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, fabric::judged::<V4>(&skb))
}

/// Last stage of `fabric`: judged IPv4 is delivered.
#[classifier]
#[inline(always)]
pub fn fabric_send4(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, fabric::send::<V4>(&skb))
}

/// Third stage of `fabric`: IPv6 that must be judged.
#[classifier]
#[inline(always)]
pub fn fabric_new6(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, fabric::judged::<V6>(&skb))
}

/// Last stage of `fabric`: judged IPv6 is delivered.
#[classifier]
#[inline(always)]
pub fn fabric_send6(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, fabric::send::<V6>(&skb))
}

/// Ingress of the agent's TAP: packets that the agent injects.
#[classifier]
#[inline(always)]
pub fn pkt0(ctx: TcContext) -> i32 {
    let skb = Skb::new(ctx.skb.skb);
    finish(&skb, pkt0::run(&skb))
}

/// Last stage of all of them: the packet is dropped, counted and reported.
#[classifier]
#[inline(always)]
pub fn dropped(ctx: TcContext) -> i32 {
    report::run(&Skb::new(ctx.skb.skb))
}

#[inline(always)]
fn finish(skb: &Skb, result: Result<i32, Failure>) -> i32 {
    match result {
        Ok(action) => action,
        Err(failure) => report::dropped(skb, failure),
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
