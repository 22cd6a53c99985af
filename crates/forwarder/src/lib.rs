//! The forwarder's user-space side: loads the eBPF programs, keeps their tables, reads flows, counters and events.
//!
//! Everything callers need is the [`Datapath`] trait: [`Forwarder`] is the real one, [`MemoryDatapath`] the one for
//! tests of the agent. Nothing here decides about packets: the programs do; [`reference`] is the model they are checked
//! against.

mod ageing;
mod datapath;
mod error;
mod kernel;
mod links;
mod loader;
mod memory;
pub mod reference;
mod sys;
mod table;

pub use datapath::{
    AgeOptions, AgeReport, Datapath, DropCount, FlowFilter, FlowRecord, SlotCounters, TimeoutRule,
    VerdictEntry,
};
pub use error::ForwarderError;
pub use kernel::{Forwarder, Options};
pub use memory::MemoryDatapath;
pub use weft_dataplane as dataplane;
