//! Who is let in, what is recorded, and how much one client may ask: over real listeners and an embedded store.
#![allow(clippy::unwrap_used, clippy::panic)]

mod audit;
mod harness;
mod identity;
mod limits;
mod sealed;
mod streams;
mod tls;
