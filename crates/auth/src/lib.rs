//! Who it is: identities, and the ways a request's credential becomes one. No HTTP server in it.
//!
//! What an identity may do is decided elsewhere (the API's authorisation).

mod identity;

pub use identity::{Identity, IdentityKind};
