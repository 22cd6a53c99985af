//! The agent's own interface: packets that the forwarder cannot answer come up through a TAP, answers go down.
//!
//! [`Handler`] is pure (a trapped packet in, frames to inject and queries to send out); the task owns the TAP and the
//! DNS socket. Every packet ends in a counter.

mod handler;
mod sys;
mod task;

pub use handler::{Handler, Pkt0Counters, Replies};
pub use sys::Tap;
pub use task::{Settings, run};
