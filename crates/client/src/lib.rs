//! Client side of the REST API and of the roles' introspection: used by the command line and by the lab.
//!
//! [`http`] speaks HTTP over TCP or a unix socket, [`api`] knows the object operations, [`apply`] brings objects to a wanted
//! state and shows the difference, [`documents`] reads them from YAML or JSON, [`config`] keeps the user's contexts.
//! Invariant: nothing here interprets the contents of an object beyond names, parents and references.

pub mod api;
pub mod apply;
pub mod config;
mod diff;
pub mod documents;
mod error;
pub mod http;

pub use api::Api;
pub use error::ClientError;
pub use http::{Endpoint, HttpClient};
