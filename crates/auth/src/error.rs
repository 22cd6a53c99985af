//! Why somebody is not let in, or a token not made.

use thiserror::Error;

/// A refusal or a failure; messages never contain a credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuthError {
    /// The credential is not good (401).
    #[error("{0}")]
    Denied(String),
    /// Who could tell does not answer (503). Nobody is let in meanwhile.
    #[error("{0}")]
    Unavailable(String),
    /// A token as asked for cannot be made (400).
    #[error("{0}")]
    Invalid(String),
    /// There is such a token already (409).
    #[error("{0}")]
    Conflict(String),
    /// The configuration or a key file is wrong.
    #[error("{0}")]
    Config(String),
}

impl AuthError {
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::Denied(message.into())
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable(message.into())
    }
}

impl From<weft_store::StoreError> for AuthError {
    fn from(error: weft_store::StoreError) -> Self {
        Self::Unavailable(format!("tokens cannot be looked up: {error}"))
    }
}
