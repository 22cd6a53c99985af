//! The vRouter agent: one per host. Keeps a desired picture (from configuration, routes and local ports) and brings
//! the forwarder to it; answers DHCP, router solicitations and DNS itself; survives its own restart and the absence
//! of every controller without a packet lost.
//!
//! | module | what it holds |
//! |---|---|
//! | [`core`] | the agent without sockets: what follows from what happened |
//! | [`config`] | configuration as delivered, and the typed picture of this host |
//! | [`learned`] | routes from the controllers |
//! | [`policy`] | access lists as verdict tables |
//! | [`desired`] | what tables, published routes and services should be |
//! | [`reconcile`] | bringing the forwarder there; the auditor |
//! | [`alloc`], [`state`], [`ports`] | numbers, state files and port files that outlive a restart |
//! | [`services`] | DHCP, router advertisements, DNS relay, ICMP errors |
//! | [`engine`] | the task that owns the state |
//! | [`controller`], [`kernel`], [`pkt0`] | sessions, netlink, the TAP |
//! | [`portipc`], [`introspect`] | REST: ports, and what the agent knows |

pub mod alloc;
pub mod config;
pub mod controller;
pub mod core;
pub mod desired;
pub mod engine;
pub mod introspect;
pub mod kernel;
pub mod learned;
pub mod pkt0;
pub mod policy;
pub mod portipc;
pub mod ports;
pub mod reconcile;
mod run;
pub mod services;
mod settings;
pub mod state;

pub use run::{Interfaces, run, run_over};
pub use settings::{AgentConfig, AgentError, MAX_CONTROLLERS};
