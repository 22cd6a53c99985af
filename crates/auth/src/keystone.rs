//! Keystone v3: `GET /v3/auth/tokens` with a service user's own token.
//!
//! A good token is believed until it expires, but not longer than the configured cache time (60 s): that bounds how long
//! a revoked one works. A bad one is remembered for 5 s. When no endpoint answers, nobody is let in.

use crate::cache::Cache;
use crate::credential::{Hash, hash};
use crate::fetch::{Answer, client, fetch};
use crate::{AuthError, Identity, IdentityKind, KeystoneConfig};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{Mutex, Semaphore};
use uuid::Uuid;

/// How long a bad token is remembered.
const NEGATIVE: Duration = Duration::from_secs(5);
/// Good tokens remembered.
const GOOD: usize = 16 * 1024;
/// Bad tokens remembered; apart, so that they cannot push out good ones.
const BAD: usize = 4 * 1024;
/// Questions under way.
const CONCURRENT: usize = 32;
/// After nobody answered, nobody is asked for this long: requests must not queue up behind time-outs.
const DOWN: Duration = Duration::from_secs(2);
/// Our own token is replaced this long before it ends, seconds.
const RENEW_BEFORE: i64 = 60;

/// A Keystone that is asked about tokens.
pub struct Keystone {
    config: KeystoneConfig,
    password: String,
    client: Client,
    own: Mutex<Option<OwnToken>>,
    good: Cache<Arc<Identity>>,
    bad: Cache<()>,
    places: Semaphore,
    /// When nobody answered last, and why.
    down: std::sync::Mutex<Option<(Instant, AuthError)>>,
    /// The endpoint that answered last: it is asked first.
    first: AtomicUsize,
}

#[derive(Clone)]
struct OwnToken {
    token: String,
    expires: OffsetDateTime,
}

/// What one endpoint says of a token.
enum Verdict {
    Good(Arc<Identity>, Duration),
    Bad(String),
    /// Our own token is not good any more.
    Again,
}

impl Keystone {
    /// A client of that Keystone; asks nothing yet.
    ///
    /// # Errors
    /// [`AuthError::Config`] if the password file or the certificates cannot be read.
    pub fn new(config: KeystoneConfig) -> Result<Self, AuthError> {
        let path = config.password_file.display();
        let password = std::fs::read_to_string(&config.password_file)
            .map_err(|e| AuthError::Config(format!("keystone.password_file {path}: {e}")))?;
        let client = client(Duration::from_secs(config.timeout.max(1)), config.ca.as_deref())?;
        for plain in config.endpoints.iter().filter(|e| crate::config::url(e, false).is_err()) {
            tracing::warn!(endpoint = %plain, "tokens and the service user's password go to Keystone without TLS");
        }
        Ok(Self {
            password: password.trim_end_matches(['\r', '\n']).to_owned(),
            config,
            client,
            own: Mutex::new(None),
            good: Cache::new(GOOD),
            bad: Cache::new(BAD),
            places: Semaphore::new(CONCURRENT),
            down: std::sync::Mutex::new(None),
            first: AtomicUsize::new(0),
        })
    }

    /// Whose token it is, if that was established a moment ago.
    pub(crate) fn recent(&self, token: &str) -> Option<Arc<Identity>> {
        self.good.get(&hash(token))
    }

    /// The first endpoint, for clients that ask where to get a token.
    pub(crate) fn uri(&self) -> &str {
        self.config.endpoints.first().map_or("", String::as_str)
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// [`AuthError::Denied`] if Keystone does not know it, [`AuthError::Unavailable`] if no endpoint answers usefully.
    pub async fn identify(&self, token: &str) -> Result<Arc<Identity>, AuthError> {
        let key = hash(token);
        if let Some(known) = self.remembered(&key) {
            return known;
        }
        let _place = self.places.acquire().await.map_err(|_| AuthError::unavailable("Keystone: ending"))?;
        // Many requests come with the same new token: the first one asked for all.
        if let Some(known) = self.remembered(&key) {
            return known;
        }
        if let Some((at, why)) = self.down().as_ref().filter(|(at, _)| at.elapsed() < DOWN) {
            tracing::debug!(seconds = at.elapsed().as_secs_f32(), "Keystone was down a moment ago");
            return Err(why.clone());
        }
        let mut failures = Vec::new();
        let count = self.config.endpoints.len();
        let first = self.first.load(Ordering::Relaxed);
        for index in (first..first + count).map(|i| i % count) {
            let endpoint = &self.config.endpoints[index];
            match self.ask(endpoint, token).await {
                Ok(Verdict::Good(identity, lifetime)) => {
                    self.first.store(index, Ordering::Relaxed);
                    self.good.insert(key, Arc::clone(&identity), lifetime);
                    return Ok(identity);
                }
                Ok(Verdict::Bad(why)) => {
                    self.bad.insert(key, (), NEGATIVE);
                    return Err(AuthError::Denied(why));
                }
                Ok(Verdict::Again) => failures.push(format!("{endpoint}: refuses our own token")),
                Err(why) => failures.push(format!("{endpoint}: {why}")),
            }
        }
        let message = format!("Keystone cannot be asked about the token: {}", failures.join("; "));
        tracing::warn!("{message}");
        let error = AuthError::Unavailable(message);
        *self.down() = Some((Instant::now(), error.clone()));
        Err(error)
    }

    fn down(&self) -> MutexGuard<'_, Option<(Instant, AuthError)>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self, key: &Hash) -> Option<Result<Arc<Identity>, AuthError>> {
        if let Some(identity) = self.good.get(key) {
            return Some(Ok(identity));
        }
        self.bad.get(key).map(|()| Err(unknown()))
    }

    /// Asks one endpoint, once more with a new token of our own if it does not like ours.
    async fn ask(&self, endpoint: &str, token: &str) -> Result<Verdict, String> {
        let own = self.own_token(endpoint, None).await?;
        match self.validate(endpoint, &own, token).await? {
            Verdict::Again => {
                let own = self.own_token(endpoint, Some(&own)).await?;
                self.validate(endpoint, &own, token).await
            }
            verdict => Ok(verdict),
        }
    }

    async fn validate(&self, endpoint: &str, own: &str, token: &str) -> Result<Verdict, String> {
        let url = format!("{}/auth/tokens?nocatalog", endpoint.trim_end_matches('/'));
        let request = self.client.get(url).header("x-auth-token", own).header("x-subject-token", token);
        let answer = fetch(request).await?;
        match answer.status {
            StatusCode::OK => Ok(self.good(&answer.body)?),
            StatusCode::NOT_FOUND => Ok(Verdict::Bad(unknown().to_string())),
            StatusCode::UNAUTHORIZED => Ok(Verdict::Again),
            StatusCode::FORBIDDEN => {
                Err(format!("the user {} may not validate tokens", self.config.username))
            }
            status => Err(format!("answers {status}")),
        }
    }

    fn good(&self, body: &Value) -> Result<Verdict, String> {
        let (identity, expires) = identity(body).ok_or("answers something that is no token")?;
        let left = expires - OffsetDateTime::now_utc();
        match Duration::try_from(left) {
            Ok(left) if !left.is_zero() => {
                let lifetime = left.min(Duration::from_secs(self.config.cache));
                Ok(Verdict::Good(Arc::new(identity), lifetime))
            }
            _ => Ok(Verdict::Bad("the Keystone token has expired".to_owned())),
        }
    }

    /// Our own token; a new one if it is about to end or is the one that was `refused`.
    async fn own_token(&self, endpoint: &str, refused: Option<&str>) -> Result<String, String> {
        let mut own = self.own.lock().await;
        let soon = OffsetDateTime::now_utc() + time::Duration::seconds(RENEW_BEFORE);
        if let Some(held) = own.as_ref().filter(|t| t.expires > soon && Some(t.token.as_str()) != refused) {
            return Ok(held.token.clone());
        }
        let url = format!("{}/auth/tokens?nocatalog", endpoint.trim_end_matches('/'));
        let answer = fetch(self.client.post(url).json(&self.login())).await?;
        let new = own_from(&answer, &self.config.username)?;
        *own = Some(new.clone());
        Ok(new.token)
    }

    fn login(&self) -> Value {
        let config = &self.config;
        json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": config.username, "domain": {"name": config.user_domain}, "password": self.password,
            }}},
            "scope": {"project": {"name": config.project, "domain": {"name": config.project_domain}}},
        }})
    }
}

fn unknown() -> AuthError {
    AuthError::denied("Keystone does not know the token")
}

fn own_from(answer: &Answer, username: &str) -> Result<OwnToken, String> {
    if answer.status == StatusCode::UNAUTHORIZED {
        return Err(format!("does not accept the password of user {username}"));
    }
    if !answer.status.is_success() {
        return Err(format!("answers {} to the login of user {username}", answer.status));
    }
    let token = answer.headers.get("x-subject-token").and_then(|v| v.to_str().ok());
    let expires = answer.body["token"]["expires_at"].as_str().and_then(time_of);
    match (token, expires) {
        (Some(token), Some(expires)) => Ok(OwnToken { token: token.to_owned(), expires }),
        _ => Err("answers something that is no token".to_owned()),
    }
}

fn time_of(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// What `{"token": {...}}` says, and when it ends.
fn identity(body: &Value) -> Option<(Identity, OffsetDateTime)> {
    let token = body.get("token")?.as_object()?;
    let at = |path: &[&str]| {
        let mut value = token.get(*path.first()?)?;
        for name in &path[1..] {
            value = value.get(*name)?;
        }
        value.as_str()
    };
    let uuid = |path: &[&str]| at(path).and_then(|text| Uuid::parse_str(text).ok());
    let roles = token.get("roles").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let roles = roles.iter().filter_map(|role| Some(role.get("name")?.as_str()?.to_owned())).collect();
    let domain = uuid(&["project", "domain", "id"]);
    let identity = Identity {
        user: at(&["user", "name"])?.to_owned(),
        user_id: at(&["user", "id"]).map(str::to_owned),
        project_id: uuid(&["project", "id"]),
        project_name: at(&["project", "name"]).map(str::to_owned),
        // Keystone's first domain has the id "default", which is no uuid.
        domain_id: domain.or_else(|| uuid(&["domain", "id"])).or_else(|| uuid(&["user", "domain", "id"])),
        roles,
        kind: IdentityKind::Keystone,
    };
    Some((identity, time_of(at(&["expires_at"])?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keystone_says_is_read() {
        let body = json!({"token": {
            "user": {"id": "0123", "name": "alice", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "5a1c9f0e6d5f4f0f8f53a4f2b6a1d3c7", "name": "red",
                        "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "1", "name": "member"}, {"id": "2", "name": "reader"}],
            "expires_at": "2026-11-22T19:00:00.000000Z",
        }});
        let (alice, expires) = identity(&body).unwrap();
        assert_eq!((alice.user.as_str(), alice.user_id.as_deref()), ("alice", Some("0123")));
        assert_eq!(alice.project_id.unwrap().simple().to_string(), "5a1c9f0e6d5f4f0f8f53a4f2b6a1d3c7");
        assert_eq!((alice.domain_id, alice.roles.len()), (None, 2));
        assert_eq!(expires.unix_timestamp(), 1_795_374_000);
        for bad in [json!({}), json!({"token": []}), json!({"token": {"user": {"name": "a"}}})] {
            assert!(identity(&bad).is_none());
        }
    }
}
