//! Tokens of this installation: 256 random bits, of which only the SHA-256 is kept (ADR 0030).

use crate::credential::{Hash, TOKEN_PREFIX, hash, hex};
use crate::{AuthError, Identity, IdentityKind};
use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Random bytes of a token.
const RANDOM: usize = 32;
/// Longest name, bytes.
const MAX_NAME: usize = 64;
/// Most roles of one token.
const MAX_ROLES: usize = 64;

/// The text of a new token: shown once, never kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] if the system has no random numbers.
    pub(crate) fn random() -> Result<Self, AuthError> {
        let mut bytes = [0; RANDOM];
        rand::fill(&mut bytes).map_err(|_| AuthError::unavailable("no random numbers from the system"))?;
        Ok(Self(format!("{TOKEN_PREFIX}{}", hex(&bytes))))
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> Hash {
        hash(&self.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a new token is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Unique name: 1 to 64 letters, digits and `. _ -`.
    pub name: String,
    /// Role names, at most 64.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Project its requests are made in.
    #[serde(default)]
    pub project_id: Option<Uuid>,
    /// That project's name.
    #[serde(default)]
    pub project_name: Option<String>,
    /// Domain of the project.
    #[serde(default)]
    pub domain_id: Option<Uuid>,
    /// Lifetime, seconds; for ever without.
    #[serde(default)]
    pub expires_in: Option<u64>,
}

impl NewToken {
    /// A token that may do everything.
    pub fn administrator(name: &str) -> Self {
        let roles = vec![crate::DEFAULT_ADMIN_ROLE.to_owned()];
        Self { name: name.to_owned(), roles, ..Self::default() }
    }

    pub(crate) fn check(&self) -> Result<(), AuthError> {
        let invalid = |message: String| Err(AuthError::Invalid(message));
        if !is_name(&self.name) {
            return invalid(format!("name: 1 to {MAX_NAME} letters, digits, '.', '_' and '-' are allowed"));
        }
        if self.roles.len() > MAX_ROLES {
            return invalid(format!("roles: at most {MAX_ROLES} are allowed"));
        }
        if let Some(role) = self.roles.iter().find(|role| !is_name(role)) {
            let role: String = role.chars().take(80).collect();
            return invalid(format!("roles: {role:?} is not a role name"));
        }
        if self.expires_in == Some(0) {
            return invalid("expires_in: must be at least 1 second".to_owned());
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(allowed)
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its identity in listings; tells nothing about the token.
    pub id: Uuid,
    /// Its unique name.
    pub name: String,
    /// Role names.
    pub roles: Vec<String>,
    /// Project its requests are made in.
    pub project_id: Option<Uuid>,
    /// That project's name.
    pub project_name: Option<String>,
    /// Domain of the project.
    pub domain_id: Option<Uuid>,
    /// When it was made, seconds since 1970.
    pub created: u64,
    /// When it ends, seconds since 1970.
    pub expires: Option<u64>,
}

impl TokenRecord {
    pub(crate) fn new(new: NewToken) -> Self {
        let created = now();
        Self {
            id: Uuid::new_v4(),
            name: new.name,
            roles: new.roles,
            project_id: new.project_id,
            project_name: new.project_name,
            domain_id: new.domain_id,
            created,
            expires: new.expires_in.map(|seconds| created.saturating_add(seconds)),
        }
    }

    pub(crate) fn expired(&self) -> bool {
        self.expires.is_some_and(|end| end <= now())
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity {
            user: self.name.clone(),
            user_id: Some(self.id.to_string()),
            project_id: self.project_id,
            project_name: self.project_name.clone(),
            domain_id: self.domain_id,
            roles: self.roles.clone(),
            kind: IdentityKind::Token,
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_random_and_not_printed() {
        let (a, b) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.reveal().len(), TOKEN_PREFIX.len() + 64);
        assert!(!format!("{a:?}").contains(&a.reveal()[5..]));
    }

    #[test]
    fn what_a_token_may_not_be_is_named() {
        let bad = |change: fn(&mut NewToken)| {
            let mut new = NewToken::administrator("a");
            change(&mut new);
            new.check().unwrap_err().to_string()
        };
        assert_eq!(NewToken::administrator("a.b_c-1").check(), Ok(()));
        assert!(bad(|t| t.name.clear()).starts_with("name:"));
        assert!(bad(|t| t.name = "a/b".into()).starts_with("name:"));
        assert!(bad(|t| t.roles = vec!["a b".into()]).contains("a b"));
        assert!(bad(|t| t.roles = vec!["a".into(); 65]).starts_with("roles:"));
        assert!(bad(|t| t.expires_in = Some(0)).starts_with("expires_in:"));
    }
}
