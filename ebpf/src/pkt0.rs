//! Packets that the agent injects through its TAP.

use weft_dataplane::packet::ETH_LEN;
use weft_dataplane::tables::INTERFACE_WORKLOAD;
use weft_dataplane::trap::{self, INJECT_DELIVER, INJECT_FORWARD, InjectHeader};
use weft_dataplane::{DropReason, Pod};

use crate::maps;
use crate::report::Failure;
use crate::skb::{self, NEXT, Skb};

const HEADER: usize = size_of::<InjectHeader>();

/// The whole program. What does not start with our header is left to the host's stack.
#[inline(always)]
pub fn run(skb: &Skb) -> Result<i32, Failure> {
    let Some(bytes) = skb.fetch::<{ HEADER + ETH_LEN }>(0) else { return Ok(NEXT) };
    let Some(header) = InjectHeader::from_bytes(&bytes) else { return Ok(NEXT) };
    if header.magic != trap::MAGIC {
        return Ok(NEXT);
    }
    let mut eth = [0; ETH_LEN];
    eth.copy_from_slice(&bytes[HEADER..]);
    let ifindex = u32::from_ne_bytes(header.ifindex);
    let invalid = DropReason::InjectInvalid;
    let interface = maps::interface(ifindex).ok_or(invalid)?;
    if interface.kind != INTERFACE_WORKLOAD || !skb.adjust(-(HEADER as i32), 0) || !skb.store(0, &eth) {
        return Err(invalid.into());
    }
    match header.action {
        INJECT_DELIVER => {
            maps::count_delivered(interface.slot, skb.len());
            skb::transmit(ifindex).map_err(Failure::from)
        }
        INJECT_FORWARD => skb::receive_on(ifindex).map_err(Failure::from),
        _ => Err(invalid.into()),
    }
}
