//! The REST interface over a real listener and an embedded store.

mod addresses;
mod consistency;
mod derived;
mod harness;
mod lists;
mod objects;
mod updates;
mod watch;
