//! Who it is: identities, and the ways a request's credential becomes one. No HTTP server in it.
//!
//! [`Authenticator`] tries what is configured: tokens of this installation ([`Tokens`], ADR 0030), Keystone's
//! ([`Keystone`]), and JWTs of OpenID Connect issuers ([`Oidc`]). What an identity may do is decided elsewhere (the API's
//! authorisation).
//!
//! What always holds: nobody is let in because something could not be asked; waits and caches are bounded; no credential
//! is stored, logged or put into an error, only its SHA-256.

mod authenticator;
mod cache;
mod config;
mod credential;
mod error;
mod fetch;
mod identify;
mod identity;
mod keystone;
mod oidc;
mod seal;
mod token;
mod tokens;

pub use authenticator::Authenticator;
pub use config::{AuthConfig, KeystoneConfig, OidcConfig};
pub use credential::{Credential, jwt_issuer};
pub use error::AuthError;
pub use identify::{Identify, Identifying, Unidentified};
pub use identity::{DEFAULT_ADMIN_ROLE, Identity, IdentityKind};
pub use keystone::Keystone;
pub use oidc::Oidc;
pub use seal::{SealKey, SealedStore, has_plain_secrets, plain_secrets};
pub use token::{NewToken, Secret, TokenRecord};
pub use tokens::{PREFIX, Tokens};
