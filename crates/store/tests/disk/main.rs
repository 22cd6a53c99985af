//! The embedded store on a disk that is full, or fails: nothing acknowledged is lost, what is refused says why, readers go on.
//!
//! The disk is a small tmpfs; the kernel asks a thread of the test about each call to a file on it (sys.rs), which can fail it.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod failing;
mod full;
mod rows;
mod sys;
