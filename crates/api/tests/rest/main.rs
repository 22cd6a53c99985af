//! The REST interface over a real listener and an embedded store.
#![allow(clippy::unwrap_used, clippy::panic)]

mod addresses;
mod consistency;
mod derived;
mod harness;
mod lists;
mod objects;
mod round_trip;
mod slow_clients;
mod updates;
mod watch;
mod watchers;
