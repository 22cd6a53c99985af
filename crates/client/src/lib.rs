//! Client side of the REST API and of the roles' introspection: used by the command line and by the lab.
//!
//! [`http`] speaks HTTP over TCP or a unix socket, [`api`] knows the object operations, [`documents`] reads objects from YAML
//! or JSON and checks them against the model, [`plan`] compares them with what a server has, [`apply`] carries a plan out,
//! [`watch`] follows changes, [`config`] keeps the user's contexts and [`login`] fills them.
//! Invariant: nothing here interprets the contents of an object beyond names, parents, references, the annotation that
//! says which set of files made it, and the declarations of the model.

pub mod api;
pub mod apply;
mod check;
pub mod config;
mod diff;
pub mod documents;
pub mod edit;
mod error;
pub mod http;
pub mod login;
pub mod order;
pub mod plan;
mod prune;
pub mod source;
pub mod suggest;
pub mod unified;
pub mod watch;

pub use api::Api;
pub use error::ClientError;
pub use http::{Access, Endpoint, HttpClient};
pub use source::Mistake;
