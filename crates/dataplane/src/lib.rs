//! What the eBPF programs and user space share: map keys and values, header parsing, flow and policy decisions.
//!
//! `no_std`, no allocation, no I/O, no panics on any input. Each decision (parse, flow key, hash, verdict, TCP
//! state, judge) is one function compiled for both targets, so that what the tests prove is what the kernel runs.
//! Every `repr(C)` type here is a map format: changing one means raising [`SCHEMA_VERSION`].
#![cfg_attr(not(test), no_std)]

pub mod config;
pub mod event;
pub mod flow;
pub mod hash;
pub mod identity;
pub mod judge;
pub mod outer;
pub mod packet;
pub mod parse;
pub mod raw;
pub mod reason;
pub mod reply;
pub mod tables;
pub mod tcp;
pub mod trap;
pub mod verdict;

pub use config::{Config, Limits};
pub use event::{Event, EventKind};
pub use flow::{Flow, FlowKey4, FlowKey6};
pub use raw::Pod;
pub use reason::DropReason;
pub use tables::{
    BridgeEntry, BridgeKey, Counters, DropKey, Interface, Label, LpmKey4, LpmKey6, NextHop, Route, Vni, Vrf,
};
pub use trap::{InjectHeader, TrapHeader, TrapReason};
pub use verdict::{Direction, PortRule, RuleList, Verdict, VerdictKey};

/// Version of every map format in this crate. A forwarder adopts pinned maps only when it matches its own.
pub const SCHEMA_VERSION: u32 = 1;
