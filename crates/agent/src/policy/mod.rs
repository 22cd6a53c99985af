//! Policy: from access lists to the verdict table of the forwarder.
//!
//! What an address *is* ([`IdentitySet`]) decides which rules can concern it; between two identities a list of rules
//! becomes a function of protocol and ports, and that function becomes disjoint table entries. [`evaluate`] says the
//! same thing rule by rule: it is what the tables are tested against.

pub mod compile;
pub mod evaluate;
pub mod gates;
pub mod identity;

pub use compile::{Compiled, Outcome, SourceList, compile};
pub use gates::{Gate, Gates};
pub use identity::IdentitySet;
