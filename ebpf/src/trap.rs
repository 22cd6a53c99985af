//! Packets that go up to the agent.

use weft_dataplane::trap::{self, TRAP_SNAP_BYTES, TrapHeader};
use weft_dataplane::{DropReason, Interface, TrapReason};

use crate::maps;
use crate::skb::{self, Skb};

const HEADER: usize = size_of::<TrapHeader>();

/// Sends the frame to the agent's TAP behind a header.
#[inline(never)]
pub fn send(skb: &Skb, reason: TrapReason, interface: &Interface, mtu: u32) -> Result<i32, DropReason> {
    let config = maps::config()?;
    let failed = DropReason::TrapFailed;
    if config.pkt0_ifindex == 0 {
        return Err(failed);
    }
    let length = skb.len();
    let header = maps::part!(trap)?;
    *header = TrapHeader {
        magic: trap::MAGIC,
        reason: reason as u8,
        reserved: 0,
        vrf: interface.vrf,
        ifindex: skb.ifindex(),
        mtu,
        length,
        reserved2: [0; 3],
    };
    let cut = matches!(reason, TrapReason::MtuExceeded | TrapReason::TtlExceeded);
    if cut && length > TRAP_SNAP_BYTES && !skb.resize(TRAP_SNAP_BYTES) {
        return Err(failed);
    }
    // SAFETY: the header is plain bytes of exactly this size.
    let bytes = unsafe { &*(&raw const *header).cast::<[u8; HEADER]>() };
    if !skb.push(HEADER as u32) || !skb.store(0, bytes) {
        return Err(failed);
    }
    skb::transmit(config.pkt0_ifindex)
}
