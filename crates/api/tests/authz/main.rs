//! Who may do what, over HTTP: a service whose clients are who the test says they are.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

mod actions;
mod hidden;
mod hostile;
mod leaks;
mod matrix;
mod modes;
mod people;
mod watching;
