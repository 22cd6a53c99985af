//! The forwarder against its reference model: random tables and packets through both.
//!
//! `kernel` runs the eBPF programs (needs root); `native` runs the functions of `weft-dataplane` that the programs
//! are made of (needs nothing); `named` are cases that once showed a difference.
//!
//! `WEFT_SEED=N` repeats the case of a failure, `WEFT_CASES=N` says how many cases to run.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic, reason = "modules of a test binary")]

#[path = "../common/mod.rs"]
mod common;
mod kernel;
mod named;
mod native;
mod packets;
mod rng;
mod state;
mod world;
