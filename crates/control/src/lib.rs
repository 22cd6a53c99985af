//! The control node: sessions with agents around the compiler and the routing information base.
//!
//! ```text
//!  store ──follow──▶ ┌───────────── control task ─────────────┐ ◀─events─  one task per connection ◀──▶ agent
//!                    │ Node { Compiler, Rib, sessions }        │ ─stanzas─▶ (weft_xmpp::fsm, TLS)
//!  api ◀─CompiledView┴─────────────────────────────────────────┘
//! ```
//! One task owns the compiler and the routing tables, so nothing there is locked. [`node::Node`] is that task's logic without
//! sockets or clock; the rest of the crate moves bytes.
//!
//! What always holds:
//! - Every queue is bounded. A connection may have [`node::WINDOW`] messages on their way; what changes meanwhile is merged
//!   in the routing tables (and bounded in the configuration queue), so a slow agent gets the latest state and costs nobody
//!   else anything.
//! - What one agent sends closes at worst its own session.
//! - A lost session's routes stay in use, marked stale, until the agent has announced them anew or the time for that is over.
//! - End-of-RIB is sent to nobody before everybody expected had the time to announce (see [`config::Timers`]).

mod compiled;
pub mod config;
mod error;
mod introspect;
pub mod node;
mod peer;
pub mod routes;
mod server;

pub use compiled::CompiledView;
pub use config::{ControlConfig, Timers};
pub use error::ControlError;
pub use introspect::introspect_router;
pub use server::{Answer, Control, ControlHandle, run};
