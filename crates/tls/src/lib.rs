//! Certificates of controllers and agents, and the TLS configurations built from them.
//!
//! A node's directory holds `ca.pem` (whom to trust), `cert.pem` and `key.pem` (who it is). Both sides of every session
//! show a certificate of the same certificate authority; a controller further requires that an agent's certificate carries
//! the name the agent calls itself ([`peer_names`]).
//!
//! Whoever listens or connects uses [`ServerTls`] or [`ClientTls`], which notice renewed files.
//!
//! What always holds: private keys are written with mode 0600, and a file appears whole or not at all.

mod config;
mod error;
mod files;
mod issue;
mod names;
mod reload;

pub use config::{client_config, http_config, server_config};
pub use error::TlsError;
pub use files::{CA_CERTIFICATE, CA_KEY, CERTIFICATE, KEY};
pub use issue::{make_ca, make_node_cert};
pub use names::peer_names;
pub use reload::{ClientTls, INTERVAL, Reloading, ServerTls};
