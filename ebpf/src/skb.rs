//! The socket buffer: reading, writing, growing and sending it.

use aya_ebpf::bindings::{__sk_buff, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC};
use aya_ebpf::helpers::generated as helpers;
use aya_ebpf::programs::TcContext;
use weft_dataplane::DropReason;
use weft_dataplane::packet::Packet;

use crate::maps::STAGES;

/// The packet is dropped.
pub const SHOT: i32 = 2;
/// The packet goes on to whatever comes after us: other programs, the host's stack.
pub const NEXT: i32 = -1;

/// Headers are made contiguous up to here: Ethernet, outer IP, UDP, VXLAN, Ethernet, IPv6 with a few extension
/// headers, TCP. Deeper ones are read only if the driver left them in place.
const LINEAR_BYTES: u32 = 192;
/// No header of interest starts beyond this (and the verifier wants a bound).
const OFFSET_MASK: usize = 0x7ff;

/// The packet that a program runs on.
pub struct Skb {
    ctx: *mut __sk_buff,
}

impl Packet for Skb {
    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset > OFFSET_MASK {
            return None;
        }
        let at = self.data() + (offset & OFFSET_MASK);
        if at + N > self.data_end() {
            return None;
        }
        // SAFETY: the verifier has seen the bound checked just above.
        Some(unsafe { words::read(at) })
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.len() as usize
    }
}

macro_rules! field {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(&self) -> u32 {
            // SAFETY: the context is valid while the program runs.
            unsafe { (*self.ctx).$name }
        }
    };
}

impl Skb {
    #[inline(always)]
    pub fn new(ctx: *mut __sk_buff) -> Self {
        Skb { ctx }
    }

    field!(
        /// Bytes in the whole packet.
        len
    );
    field!(
        /// The interface whose program runs.
        ifindex
    );
    field!(
        /// Zero: for this host.
        pkt_type
    );
    field!(
        /// Payload bytes of each segment of a large send; zero for a single packet.
        gso_size
    );

    /// Goes on in another program, with a stack of its own; returns only if it is missing.
    #[inline(always)]
    pub fn enter(&self, stage: u32) -> DropReason {
        // SAFETY: the stages are programs of this same type.
        let _ = unsafe { STAGES.tail_call(&TcContext::new(self.ctx), stage) };
        DropReason::Internal
    }

    #[inline(always)]
    fn data(&self) -> usize {
        // SAFETY: as in `field!`.
        unsafe { (*self.ctx).data as usize }
    }

    #[inline(always)]
    fn data_end(&self) -> usize {
        // SAFETY: as in `field!`.
        unsafe { (*self.ctx).data_end as usize }
    }

    /// Makes the headers contiguous.
    #[inline(always)]
    pub fn pull(&self) {
        let wanted = if self.len() < LINEAR_BYTES { self.len() } else { LINEAR_BYTES };
        if self.data() + wanted as usize > self.data_end() {
            // SAFETY: plain helper call. Failure shows as a load that finds nothing.
            unsafe { helpers::bpf_skb_pull_data(self.ctx, wanted) };
        }
    }

    /// Writes bytes in place; false when the packet ends before them.
    #[inline(always)]
    pub fn write<const N: usize>(&self, offset: usize, bytes: [u8; N]) -> bool {
        let at = self.data() + (offset & OFFSET_MASK);
        if at + N > self.data_end() {
            return false;
        }
        // SAFETY: the verifier has seen the bound checked just above.
        unsafe { words::write(at, bytes) };
        true
    }

    /// Writes bytes through the helper: for bytes that may not be contiguous.
    #[inline(always)]
    pub fn store<const N: usize>(&self, offset: u32, bytes: &[u8; N]) -> bool {
        // SAFETY: the pointer and length describe `bytes`.
        unsafe { helpers::bpf_skb_store_bytes(self.ctx, offset, bytes.as_ptr().cast(), N as u32, 0) == 0 }
    }

    /// Reads bytes through the helper.
    #[inline(always)]
    pub fn fetch<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let mut bytes = [0u8; N];
        // SAFETY: the pointer and length describe `bytes`.
        let result = unsafe {
            helpers::bpf_skb_load_bytes(self.ctx.cast(), offset, bytes.as_mut_ptr().cast(), N as u32)
        };
        if result == 0 { Some(bytes) } else { None }
    }

    /// Reads bytes through the helper into a place that is not on the stack; zeroes it when the packet ends before.
    #[inline(always)]
    pub fn fetch_into<const N: usize>(&self, offset: u32, bytes: &mut [u8; N]) {
        // SAFETY: the pointer and length describe `bytes`.
        unsafe {
            helpers::bpf_skb_load_bytes(self.ctx.cast(), offset, bytes.as_mut_ptr().cast(), N as u32);
        }
    }

    /// Grows (or shrinks, when negative) the packet after its Ethernet header.
    #[inline(always)]
    pub fn adjust(&self, bytes: i32, flags: u64) -> bool {
        // SAFETY: plain helper call.
        unsafe { helpers::bpf_skb_adjust_room(self.ctx, bytes, BPF_ADJ_ROOM_MAC, flags) == 0 }
    }

    /// Adds room before the Ethernet header.
    #[inline(always)]
    pub fn push(&self, bytes: u32) -> bool {
        // SAFETY: plain helper call.
        unsafe { helpers::bpf_skb_change_head(self.ctx, bytes, 0) == 0 }
    }

    /// Sets the packet's length.
    #[inline(always)]
    pub fn resize(&self, bytes: u32) -> bool {
        // SAFETY: plain helper call.
        unsafe { helpers::bpf_skb_change_tail(self.ctx, bytes, 0) == 0 }
    }

    /// Marks the inner transport's congestion bit.
    #[inline(always)]
    pub fn mark_congestion(&self) {
        // SAFETY: plain helper call.
        unsafe { helpers::bpf_skb_ecn_set_ce(self.ctx) };
    }

    /// Makes the packet one for the receiving namespace itself, whatever MAC it had when it came.
    #[inline(always)]
    pub fn for_us(&self) {
        if self.pkt_type() != 0 {
            // SAFETY: plain helper call; type 0 is PACKET_HOST.
            unsafe { helpers::bpf_skb_change_type(self.ctx, 0) };
        }
    }
}

/// Sends the packet out of an interface.
#[inline(always)]
pub fn transmit(ifindex: u32) -> Result<i32, DropReason> {
    // SAFETY: plain helper call.
    redirected(unsafe { helpers::bpf_redirect(ifindex, 0) })
}

/// Lets the packet arrive at an interface, as if its peer had sent it.
#[inline(always)]
pub fn receive_on(ifindex: u32) -> Result<i32, DropReason> {
    // SAFETY: plain helper call; flag 1 is BPF_F_INGRESS.
    redirected(unsafe { helpers::bpf_redirect(ifindex, 1) })
}

/// Hands the packet to the other end of a veth, in whichever namespace it is.
#[inline(always)]
pub fn hand_to_peer(ifindex: u32) -> Result<i32, DropReason> {
    // SAFETY: plain helper call.
    redirected(unsafe { helpers::bpf_redirect_peer(ifindex, 0) })
}

#[inline(always)]
fn redirected(action: i64) -> Result<i32, DropReason> {
    let action = action as i32;
    if action == SHOT { Err(DropReason::Redirect) } else { Ok(action) }
}

/// Copies between packet and registers by words. Bytes in Rust arrays have no alignment, and for such the compiler
/// moves one at a time, which costs a quarter of a program's instructions. Headers behind an Ethernet header are aligned to
/// two bytes only, but the kernel takes any packet access where the processor does, and this target has no other trap.
mod words {
    /// # Safety
    /// `at..at + N` is in the packet, and the verifier knows it.
    #[inline(always)]
    pub unsafe fn read<const N: usize>(at: usize) -> [u8; N] {
        let mut bytes = [0u8; N];
        let to = bytes.as_mut_ptr();
        let mut i = 0;
        // SAFETY: within both, by the loop bounds.
        unsafe {
            while i + 4 <= N {
                to.add(i).cast::<u32>().write_unaligned(*((at + i) as *const u32));
                i += 4;
            }
            if i + 2 <= N {
                to.add(i).cast::<u16>().write_unaligned(*((at + i) as *const u16));
                i += 2;
            }
            if i < N {
                *to.add(i) = *((at + i) as *const u8);
            }
        }
        bytes
    }

    /// # Safety
    /// As in [`read`].
    #[inline(always)]
    pub unsafe fn write<const N: usize>(at: usize, bytes: [u8; N]) {
        let from = bytes.as_ptr();
        let mut i = 0;
        // SAFETY: within both, by the loop bounds.
        unsafe {
            while i + 4 <= N {
                *((at + i) as *mut u32) = from.add(i).cast::<u32>().read_unaligned();
                i += 4;
            }
            if i + 2 <= N {
                *((at + i) as *mut u16) = from.add(i).cast::<u16>().read_unaligned();
                i += 2;
            }
            if i < N {
                *((at + i) as *mut u8) = *from.add(i);
            }
        }
    }
}
