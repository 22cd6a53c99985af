//! The tokens of this installation in the store.
//!
//! `auth/token/<sha256>` holds the record, `auth/token-name/<name>` the hash, `auth/first-token` says that the first one
//! was made. Nothing under `auth/` belongs to the configuration: it is not watched, listed or exported with it.

use crate::cache::Cache;
use crate::credential::{Hash, hash, hex};
use crate::token::Secret;
use crate::{AuthError, Identity, NewToken, TokenRecord};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use weft_store::{Compare, Op, Store, Txn, TxnResult};

/// Prefix of everything kept here. Not part of the configuration.
pub const PREFIX: &str = "auth/";
const RECORDS: &str = "auth/token/";
const NAMES: &str = "auth/token-name/";
const FIRST: &str = "auth/first-token";

/// How long a token that was looked up is believed: a revocation elsewhere takes effect within this time (here, at once).
const LIFETIME: Duration = Duration::from_secs(5);
/// Tokens kept in memory.
const CAPACITY: usize = 16 * 1024;
/// Records read per page.
const PAGE: usize = 256;

/// Makes, lists, revokes and checks tokens.
pub struct Tokens {
    store: Arc<dyn Store>,
    known: Cache<Arc<Known>>,
}

struct Known {
    record: TokenRecord,
    identity: Arc<Identity>,
}

impl Tokens {
    /// The tokens in that store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: Cache::new(CAPACITY) }
    }

    /// Makes the administrator's token of a new installation; `None` if that was ever done.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] if the store fails.
    pub async fn first(&self) -> Result<Option<Secret>, AuthError> {
        if self.store.get(FIRST).await?.is_some() {
            return Ok(None);
        }
        let txn = Txn::new().when(Compare::absent(FIRST)).then(Op::put(FIRST, "made"));
        match self.add(txn, NewToken::administrator("administrator")).await {
            Ok((secret, _)) => Ok(Some(secret)),
            // Another controller over the same store was faster.
            Err(AuthError::Conflict(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Makes a token. The secret is nowhere else.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] naming the field, [`AuthError::Conflict`] for a name in use, [`AuthError::Unavailable`].
    pub async fn create(&self, new: NewToken) -> Result<(Secret, TokenRecord), AuthError> {
        self.add(Txn::new(), new).await
    }

    async fn add(&self, txn: Txn, new: NewToken) -> Result<(Secret, TokenRecord), AuthError> {
        new.check()?;
        let (secret, record) = (Secret::random()?, TokenRecord::new(new));
        let key = hex(&secret.hash());
        let name = format!("{NAMES}{}", record.name);
        let value = serde_json::to_vec(&record).map_err(|e| AuthError::Invalid(e.to_string()))?;
        let txn = txn
            .when(Compare::absent(name.clone()))
            .then(Op::put(format!("{RECORDS}{key}"), value))
            .then(Op::put(name, key));
        match self.store.txn(txn).await? {
            TxnResult::Committed(_) => Ok((secret, record)),
            TxnResult::Conflict { .. } => {
                Err(AuthError::Conflict(format!("there is a token named {} already", record.name)))
            }
        }
    }

    /// All tokens, expired ones too, by name.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] if the store fails.
    pub async fn list(&self) -> Result<Vec<TokenRecord>, AuthError> {
        let mut records: Vec<_> = self.records().await?.into_iter().map(|(_, record)| record).collect();
        records.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(records)
    }

    async fn records(&self) -> Result<Vec<(String, TokenRecord)>, AuthError> {
        let (mut out, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self.store.range(RECORDS, after.as_deref(), PAGE).await?;
            for entry in &page.entries {
                out.push((entry.key.clone(), decode(&entry.value)?));
            }
            after = page.entries.last().map(|entry| entry.key.clone()).or(after);
            if !page.more {
                return Ok(out);
            }
        }
    }

    /// Revokes a token by identity or name; whether there was one. Here it ends at once, elsewhere within 5 s.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] if the store fails.
    pub async fn revoke(&self, id_or_name: &str) -> Result<bool, AuthError> {
        let id = Uuid::parse_str(id_or_name).ok();
        let records = self.records().await?;
        let found = records.into_iter().find(|(_, r)| Some(r.id) == id || r.name == id_or_name);
        let Some((key, record)) = found else { return Ok(false) };
        let name = format!("{NAMES}{}", record.name);
        self.store.txn(Txn::new().then(Op::delete(key.clone())).then(Op::delete(name))).await?;
        if let Some(hash) = key.strip_prefix(RECORDS).and_then(unhex) {
            self.known.remove(&hash);
        }
        Ok(true)
    }

    /// Whose token it is, if that was established a moment ago.
    pub(crate) fn recent(&self, token: &str) -> Option<Arc<Identity>> {
        let known = self.known.get(&hash(token))?;
        (!known.record.expired()).then(|| Arc::clone(&known.identity))
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// [`AuthError::Denied`] for an unknown, revoked or expired one, [`AuthError::Unavailable`] if the store fails.
    pub async fn identify(&self, token: &str) -> Result<Arc<Identity>, AuthError> {
        let hash = hash(token);
        let known = match self.known.get(&hash) {
            Some(known) => known,
            None => {
                let entry = self.store.get(&format!("{RECORDS}{}", hex(&hash))).await?;
                let entry = entry.ok_or_else(|| AuthError::denied("the token is unknown or revoked"))?;
                let record = decode(&entry.value)?;
                let known = Arc::new(Known { identity: Arc::new(record.identity()), record });
                self.known.insert(hash, Arc::clone(&known), LIFETIME);
                known
            }
        };
        if known.record.expired() {
            return Err(AuthError::denied("the token has expired"));
        }
        Ok(Arc::clone(&known.identity))
    }
}

fn decode(value: &[u8]) -> Result<TokenRecord, AuthError> {
    serde_json::from_slice(value)
        .map_err(|e| AuthError::unavailable(format!("a token's record in the store is not readable: {e}")))
}

fn unhex(text: &str) -> Option<Hash> {
    let mut out = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (place, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *place = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_store::EmbeddedStore;

    fn tokens() -> (Tokens, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(directory.path()).unwrap());
        (Tokens::new(store), directory)
    }

    #[tokio::test]
    async fn the_first_token_is_made_once() {
        let (tokens, _directory) = tokens();
        let secret = tokens.first().await.unwrap().unwrap();
        assert!(tokens.identify(secret.reveal()).await.unwrap().is_admin("admin"));
        assert_eq!(tokens.first().await.unwrap(), None);
        // Not even when it was revoked: otherwise revoking it would make another one at the next start.
        assert!(tokens.revoke("administrator").await.unwrap());
        assert_eq!(tokens.first().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_revoked_token_is_refused_at_once() {
        let (tokens, _directory) = tokens();
        let project = Uuid::new_v4();
        let new = NewToken {
            roles: vec!["member".into()],
            project_id: Some(project),
            ..NewToken::administrator("ci")
        };
        let (secret, record) = tokens.create(new.clone()).await.unwrap();
        let identity = tokens.identify(secret.reveal()).await.unwrap();
        assert_eq!((identity.user.as_str(), identity.project_id), ("ci", Some(project)));
        assert!(!identity.is_admin("admin") && tokens.recent(secret.reveal()).is_some());
        assert!(matches!(tokens.create(new.clone()).await, Err(AuthError::Conflict(_))));
        assert!(tokens.revoke(&record.id.to_string()).await.unwrap());
        assert!(matches!(tokens.identify(secret.reveal()).await, Err(AuthError::Denied(_))));
        assert!(!tokens.revoke("ci").await.unwrap());
        // The name is free again.
        assert!(tokens.create(new).await.is_ok());
    }

    #[tokio::test]
    async fn an_expired_token_is_refused_even_if_it_was_just_used() {
        let (tokens, _directory) = tokens();
        let (secret, _) = tokens
            .create(NewToken { expires_in: Some(1), ..NewToken::administrator("short") })
            .await
            .unwrap();
        assert!(tokens.identify(secret.reveal()).await.is_ok());
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let refused = tokens.identify(secret.reveal()).await.unwrap_err();
        assert_eq!(refused, AuthError::denied("the token has expired"));
        assert_eq!(tokens.recent(secret.reveal()), None);
    }

    #[tokio::test]
    async fn neither_the_token_nor_anything_that_gives_it_away_is_stored() {
        let (tokens, _directory) = tokens();
        let (secret, _) = tokens.create(NewToken::administrator("a")).await.unwrap();
        let range = tokens.store.range("", None, 100).await.unwrap();
        assert_eq!(range.entries.len(), 2);
        for entry in range.entries {
            let text = format!("{} {}", entry.key, String::from_utf8_lossy(&entry.value));
            assert!(entry.key.starts_with(PREFIX) && !text.contains(&secret.reveal()[5..]), "{text}");
        }
    }
}
