//! Labs: a controller and several hosts on one machine, each in network namespaces of its own, with the real roles, real
//! packets and real DHCP clients. A lab is described by a file ([`file`]), made and ended by [`Lab`], and tested by [`run`].
//!
//! What always holds: everything a lab makes is written to its [`state::State`] before it is made, so whatever ends the
//! lab (its last step, an error, a signal, a later `weft lab down`) leaves nothing behind. The host's own interfaces,
//! routes and files are never touched.

mod agents;
mod dhcp;
mod error;
mod etcd;
pub mod exec;
pub mod file;
mod ip;
mod lab;
mod netns;
mod probe;
mod process;
pub mod progress;
mod roles;
pub mod run;
pub mod state;
mod sys;
mod teardown;
mod underlay;
mod workloads;

pub use error::LabError;
pub use lab::{Lab, down};
pub use netns::Netns;
pub use progress::Progress;
