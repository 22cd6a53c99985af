//! All the ways there are, in one place.

use crate::credential::{Credential, jwt_issuer};
use crate::{AuthConfig, AuthError, Identity, Keystone, Oidc, Tokens};
use std::sync::Arc;

/// Turns credentials into identities by what is configured.
pub struct Authenticator {
    tokens: Arc<Tokens>,
    keystone: Option<Keystone>,
    oidc: Vec<Oidc>,
}

impl Authenticator {
    /// The tokens of this installation, and what the configuration adds.
    ///
    /// # Errors
    /// [`AuthError::Config`] if a file it names cannot be read.
    pub fn new(tokens: Arc<Tokens>, config: AuthConfig) -> Result<Self, AuthError> {
        let keystone = config.keystone.map(Keystone::new).transpose()?;
        let oidc = config.oidc.into_iter().map(Oidc::new).collect::<Result<_, _>>()?;
        Ok(Self { tokens, keystone, oidc })
    }

    /// The tokens of this installation.
    pub fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// What to tell a client without a credential (`WWW-Authenticate`, RFC 9110 11.6.1).
    pub fn challenge(&self) -> String {
        match &self.keystone {
            Some(keystone) => format!("Keystone uri=\"{}\"", keystone.uri()),
            None => "Bearer".to_owned(),
        }
    }

    /// Whose credential it is, if that was established a moment ago: costs nothing and asks nobody.
    pub fn recent(&self, credential: &str) -> Option<Arc<Identity>> {
        match Credential::parse(credential)? {
            Credential::Token(token) => self.tokens.recent(token),
            Credential::Jwt(token) | Credential::Opaque(token) => self.keystone.as_ref()?.recent(token),
        }
    }

    /// Whose credential it is.
    ///
    /// # Errors
    /// [`AuthError::Denied`] and [`AuthError::Unavailable`].
    pub async fn identify(&self, credential: &str) -> Result<Arc<Identity>, AuthError> {
        match Credential::parse(credential) {
            None => Err(AuthError::denied("the token is empty, too long or not text")),
            Some(Credential::Token(token)) => self.tokens.identify(token).await,
            Some(Credential::Jwt(token)) => {
                let issuer = jwt_issuer(token);
                match self.oidc.iter().find(|oidc| Some(oidc.issuer()) == issuer.as_deref()) {
                    Some(oidc) => oidc.identify(token).await,
                    // Keystone can be told to make its tokens JWTs, too.
                    None => self.ask_keystone(token).await,
                }
            }
            Some(Credential::Opaque(token)) => self.ask_keystone(token).await,
        }
    }

    async fn ask_keystone(&self, token: &str) -> Result<Arc<Identity>, AuthError> {
        match &self.keystone {
            Some(keystone) => keystone.identify(token).await,
            None => Err(AuthError::denied("the token is of nobody who is believed here")),
        }
    }
}
