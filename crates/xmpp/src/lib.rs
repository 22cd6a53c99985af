//! The agent protocol: the XMPP-shaped stream between an agent and a control node.
//!
//! Everything here is without I/O: bytes and instants go in, bytes and typed events come out, so a
//! whole control plane can run in one process under a simulated clock.
//!
//! | module | what it holds |
//! |---|---|
//! | [`element`] | a small owned XML tree |
//! | [`parser`]  | incremental parser: chunks of bytes in, whole stanzas out, with hard limits |
//! | [`writer`]  | XML output with correct escaping |
//! | [`items`]   | route items (unicast and EVPN), their ids and node strings |
//! | [`config`]  | configuration nodes and links, JSON to XML and back by the model's schema |
//! | [`stanza`]  | typed stanzas, encode and decode |
//! | [`fsm`]     | server and client sessions |
//!
//! What always holds: no input makes a decoder panic; every buffer has a named limit; what is sent
//! can be read back to the same value (control characters that XML cannot carry excepted).

pub mod config;
pub mod element;
pub mod error;
pub mod fsm;
pub mod items;
pub mod parser;
pub mod stanza;
pub mod writer;

pub use error::DecodeError;

/// The control node's address, without resource.
pub const CONTROL_JID: &str = "network-control@contrailsystems.com";
/// Resource of route stanzas (subscribe, publish, route messages, end-of-RIB).
pub const RESOURCE_BGP: &str = "bgp-peer";
/// Resource of configuration stanzas.
pub const RESOURCE_CONFIG: &str = "config";
/// Namespace of publish/subscribe payloads.
pub const NS_PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// Default namespace of a stream when no sub-cluster is configured.
pub const NS_CLIENT: &str = "jabber:client";
/// Namespace of the `stream:` prefix.
pub const NS_STREAM: &str = "http://etherx.jabber.org/streams";
/// Namespace of the STARTTLS elements.
pub const NS_TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// The routing instance every agent subscribes to.
pub const MASTER_ROUTING_INSTANCE: &str = "default-domain:default-project:ip-fabric:__default__";
