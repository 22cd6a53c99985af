//! What the service asks when a request carries a second credential beside its own.

use crate::Identity;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Why a credential became no identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unidentified {
    /// It is not believed.
    Denied(String),
    /// Who could tell does not answer.
    Unavailable(String),
}

/// The answer to whose credential it is.
pub type Identifying<'a> = Pin<Box<dyn Future<Output = Result<Arc<Identity>, Unidentified>> + Send + 'a>>;

/// Whose credential it is: for actions that ask on behalf of somebody else (`obj-perms` with `X-User-Token`).
pub trait Identify: Send + Sync + 'static {
    /// Turns a credential into an identity.
    fn whose<'a>(&'a self, credential: &'a str) -> Identifying<'a>;
}
