//! JWTs of an OpenID Connect issuer, checked with the keys it publishes.
//!
//! Only signatures with RS256, ES256 and EdDSA count; `iss`, `aud` and `exp` must be there and right, `nbf` if there is
//! one. Keys are fetched when first needed, every 10 minutes, and when a token names one that is not known (at most every
//! 10 s, so that invented key ids cause no flood).

use crate::fetch::{client, fetch};
use crate::{AuthError, Identity, IdentityKind, OidcConfig};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use reqwest::Client;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use uuid::Uuid;

/// Age at which keys are fetched again.
const REFRESH: Duration = Duration::from_secs(600);
/// Least time between two fetches.
const PAUSE: Duration = Duration::from_secs(10);
/// How far clocks may differ, seconds.
const LEEWAY: u64 = 30;

/// An issuer.
pub struct Oidc {
    config: OidcConfig,
    client: Client,
    keys: Mutex<Keys>,
    pause: Duration,
}

#[derive(Default)]
struct Keys {
    set: Option<Arc<JwkSet>>,
    /// The last fetch that worked.
    fetched: Option<Instant>,
    /// The last attempt, and why it failed.
    tried: Option<(Instant, Option<String>)>,
}

impl Oidc {
    /// A client of that issuer; asks nothing yet.
    ///
    /// # Errors
    /// [`AuthError::Config`] if the certificates cannot be read.
    pub fn new(config: OidcConfig) -> Result<Self, AuthError> {
        let client = client(Duration::from_secs(config.timeout.max(1)), config.ca.as_deref())?;
        Ok(Self { config, client, keys: Mutex::new(Keys::default()), pause: PAUSE })
    }

    /// The same with another least time between two fetches of keys.
    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// The issuer as its tokens name it.
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// [`AuthError::Denied`] saying what is wrong with it, [`AuthError::Unavailable`] if there are no keys to check it with.
    pub async fn identify(&self, token: &str) -> Result<Arc<Identity>, AuthError> {
        let header =
            decode_header(token).map_err(|_| AuthError::denied("the JWT's header is not readable"))?;
        let algorithm = header.alg;
        if !matches!(algorithm, Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA) {
            return Err(AuthError::denied(format!(
                "the JWT is signed with {algorithm:?}, which is not accepted"
            )));
        }
        let jwk = self.key(header.kid.as_deref(), algorithm).await?;
        let unusable = |_| AuthError::denied("the issuer's key cannot be used");
        let key = DecodingKey::from_jwk(&jwk).map_err(unusable)?;
        let claims =
            decode::<Value>(token, &key, &self.validation(algorithm)).map_err(|e| refusal(&e))?.claims;
        self.identity(&claims).map(Arc::new)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_audience(&[&self.config.audience]);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation
    }

    /// The key of that id, from the issuer if need be.
    async fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Jwk, AuthError> {
        let mut keys = self.keys.lock().await;
        let fresh = keys.fetched.is_some_and(|at| at.elapsed() < REFRESH);
        if fresh && let Some(key) = keys.set.as_deref().and_then(|set| pick(set, kid, algorithm)) {
            return Ok(key.clone());
        }
        if keys.tried.as_ref().is_none_or(|(at, _)| at.elapsed() >= self.pause) {
            self.refresh(&mut keys).await;
        }
        match keys.set.as_deref() {
            Some(set) => pick(set, kid, algorithm).cloned().ok_or_else(|| {
                AuthError::denied("the issuer has no such key, or it is not for this algorithm")
            }),
            None => {
                let why = keys.tried.as_ref().and_then(|(_, why)| why.clone()).unwrap_or_default();
                let issuer = &self.config.issuer;
                Err(AuthError::unavailable(format!("the keys of {issuer} cannot be fetched: {why}")))
            }
        }
    }

    /// Fetches the keys; those there are stay if that fails.
    async fn refresh(&self, keys: &mut Keys) {
        match self.fetch().await {
            Ok(set) => {
                keys.set = Some(Arc::new(set));
                keys.fetched = Some(Instant::now());
                keys.tried = Some((Instant::now(), None));
            }
            Err(why) => {
                tracing::warn!(issuer = %self.config.issuer, %why, "keys cannot be fetched");
                keys.tried = Some((Instant::now(), Some(why)));
            }
        }
    }

    async fn fetch(&self) -> Result<JwkSet, String> {
        let issuer = &self.config.issuer;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document = self.get(&url).await?;
        if document["issuer"].as_str() != Some(issuer) {
            return Err(format!("{url} is of another issuer"));
        }
        let jwks = document["jwks_uri"].as_str().ok_or_else(|| format!("{url} has no jwks_uri"))?;
        crate::config::url(jwks, false).map_err(|e| format!("jwks_uri {e}"))?;
        let body = self.get(jwks).await?;
        // One key of a kind we do not know must not make the others useless.
        let list = body["keys"].as_array().ok_or_else(|| format!("{jwks} holds no keys"))?;
        let keys = list.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).collect();
        Ok(JwkSet { keys })
    }

    async fn get(&self, url: &str) -> Result<Value, String> {
        let answer = fetch(self.client.get(url)).await.map_err(|e| format!("{url}: {e}"))?;
        if answer.status.is_success() {
            Ok(answer.body)
        } else {
            Err(format!("{url} answers {}", answer.status))
        }
    }

    fn identity(&self, claims: &Value) -> Result<Identity, AuthError> {
        let config = &self.config;
        let text = |path: &str| claim(claims, path).and_then(Value::as_str);
        let subject = text("sub");
        let user = text(&config.user_claim).or(subject);
        let user = user.ok_or_else(|| AuthError::denied("the JWT names no user"))?.to_owned();
        let uuid = |path: &str| match text(path) {
            None => Ok(None),
            Some(text) => Uuid::parse_str(text)
                .map(Some)
                .map_err(|_| AuthError::denied(format!("the JWT's claim {path} is no uuid"))),
        };
        Ok(Identity {
            user,
            user_id: subject.map(str::to_owned),
            project_id: uuid(&config.project_claim)?,
            project_name: text(&config.project_name_claim).map(str::to_owned),
            domain_id: uuid(&config.domain_claim)?,
            roles: self.roles(claims),
            kind: IdentityKind::Oidc,
        })
    }

    fn roles(&self, claims: &Value) -> Vec<String> {
        let given: Vec<&str> = match claim(claims, &self.config.roles_claim) {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
            _ => Vec::new(),
        };
        let map = &self.config.role_map;
        if map.is_empty() {
            return given.into_iter().map(str::to_owned).collect();
        }
        given.into_iter().filter_map(|role| map.get(role).cloned()).collect()
    }
}

/// A claim by its name, else by a path of names with dots between.
fn claim<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| path.split('.').try_fold(claims, |value, name| value.get(name)))
}

/// The key a token is to be checked with. Without an id, only if there is just one that fits.
fn pick<'a>(set: &'a JwkSet, kid: Option<&str>, algorithm: Algorithm) -> Option<&'a Jwk> {
    let mut fitting = set.keys.iter().filter(|key| fits(key, algorithm));
    match kid {
        Some(kid) => fitting.find(|key| key.common.key_id.as_deref() == Some(kid)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }
}

fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    use jsonwebtoken::jwk::{AlgorithmParameters as Kind, EllipticCurve};
    let signs = key.common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
    let declared = matches!(
        (&key.common.key_algorithm, algorithm),
        (None, _)
            | (Some(KeyAlgorithm::RS256), Algorithm::RS256)
            | (Some(KeyAlgorithm::ES256), Algorithm::ES256)
            | (Some(KeyAlgorithm::EdDSA), Algorithm::EdDSA)
    );
    let kind = match (&key.algorithm, algorithm) {
        (Kind::RSA(_), Algorithm::RS256) => true,
        (Kind::EllipticCurve(p), Algorithm::ES256) => p.curve == EllipticCurve::P256,
        (Kind::OctetKeyPair(p), Algorithm::EdDSA) => p.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    signs && declared && kind
}

fn refusal(error: &jsonwebtoken::errors::Error) -> AuthError {
    AuthError::denied(match error.kind() {
        ErrorKind::ExpiredSignature => "the JWT has expired",
        ErrorKind::ImmatureSignature => "the JWT is not valid yet",
        ErrorKind::InvalidAudience => "the JWT is for another audience",
        ErrorKind::InvalidIssuer => "the JWT is of another issuer",
        ErrorKind::InvalidSignature => "the JWT's signature is wrong",
        ErrorKind::MissingRequiredClaim(_) => "the JWT lacks iss, aud or exp",
        _ => "the JWT is not valid",
    })
}
