//! Every request has an identity before a handler sees it: `Extension<Arc<Identity>>`.
//!
//! Without [`Access::with_authenticator`] nobody is asked. With it, those on a unix socket who run as root or as this
//! process are administrators; everybody else shows a token (`X-Auth-Token`, or `Authorization: Bearer`) or is turned away
//! before the body is read.

use crate::ApiError;
use crate::audit::Audit;
use crate::limits::Buckets;
use crate::tls::Peer;
use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;
use weft_auth::{
    AuthError, Authenticator, DEFAULT_ADMIN_ROLE, Identify, Identifying, Identity, Unidentified,
};

/// The header that names a request (wire-facts 2.3).
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const AUTH_TOKEN: &str = "x-auth-token";
/// Longest request id accepted, bytes.
const MAX_REQUEST_ID: usize = 128;
/// Refused credentials per second and address, and at once: 429 beyond.
const FAILURES: (u32, u32) = (10, 100);
/// Requests per second and at once of somebody who is no administrator: 429 beyond.
const REQUESTS: (u32, u32) = (1000, 2000);
/// Addresses and identities whose rates are kept.
const TABLE: usize = 16 * 1024;
/// What may be read without a token, as in the existing system (wire-facts 2.1).
const OPEN: &[&str] = &["/", "/documentation", "/openapi.json", "/docs"];

/// The name of a request, in its answer and in the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// The credential a request was let in with, for those that last; none where nobody was asked for one.
#[derive(Clone, Default)]
pub(crate) struct Shown(Option<Arc<str>>);

impl Shown {
    pub(crate) fn credential(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Shown {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Who is let in, how often, and where writes are recorded.
pub struct Access {
    authenticator: Option<Authenticator>,
    failures: Buckets<IpAddr>,
    requests: Option<Buckets<String>>,
    audit: Option<Audit>,
    own_uid: u32,
}

impl Access {
    /// Everybody, as administrator.
    pub fn open() -> Self {
        let requests = Buckets::new(REQUESTS.0, REQUESTS.1, TABLE);
        Self {
            authenticator: None,
            failures: Buckets::new(FAILURES.0, FAILURES.1, TABLE),
            requests: Some(requests),
            audit: None,
            own_uid: own_uid(),
        }
    }

    /// Only those it knows.
    #[must_use]
    pub fn with_authenticator(self, authenticator: Authenticator) -> Self {
        Self { authenticator: Some(authenticator), ..self }
    }

    /// Requests per second of somebody who is no administrator; twice as many at once; 0: as many as they like.
    #[must_use]
    pub fn with_rate(self, rate: u32) -> Self {
        let requests = (rate > 0).then(|| Buckets::new(rate, rate.saturating_mul(2), TABLE));
        Self { requests, ..self }
    }

    /// Writes are recorded there.
    #[must_use]
    pub fn with_audit(self, audit: Audit) -> Self {
        Self { audit: Some(audit), ..self }
    }

    pub(crate) fn audit(&self) -> Option<&Audit> {
        self.audit.as_ref()
    }

    pub(crate) fn authenticator(&self) -> Option<&Authenticator> {
        self.authenticator.as_ref()
    }

    /// Whose credential it is; without authentication, an administrator's.
    ///
    /// # Errors
    /// [`AuthError`]
    pub async fn identify(&self, credential: &str) -> Result<Arc<Identity>, AuthError> {
        match &self.authenticator {
            Some(authenticator) => authenticator.identify(credential).await,
            None => Ok(Arc::new(Identity::local("anonymous"))),
        }
    }

    async fn admit(&self, request: &Parts, peer: Peer) -> Result<(Arc<Identity>, Shown), Response> {
        let unasked = |identity| (Arc::new(identity), Shown::default());
        let Some(authenticator) = &self.authenticator else {
            return Ok(unasked(Identity::local("anonymous")));
        };
        if let Peer::Unix { uid: Some(uid) } = peer
            && (uid == 0 || uid == self.own_uid)
        {
            return Ok(unasked(Identity::local(format!("uid {uid}"))));
        }
        let open = is_open(request);
        let credential = credential(&request.headers);
        let identity = match &credential {
            None if open => return Ok(unasked(Identity::anonymous())),
            None => Err(AuthError::Denied("Authentication required: send X-Auth-Token".to_owned())),
            Some(credential) => self.known(authenticator, credential, peer).await?,
        };
        match identity {
            Ok(identity) => Ok((identity, Shown(credential.map(Arc::from)))),
            Err(_) if open => Ok(unasked(Identity::anonymous())),
            Err(error) => Err(refusal(&error, authenticator)),
        }
    }

    /// Asks whose credential it is, unless its address has shown too many bad ones.
    async fn known(
        &self,
        authenticator: &Authenticator,
        credential: &str,
        peer: Peer,
    ) -> Result<Result<Arc<Identity>, AuthError>, Response> {
        if let Some(identity) = authenticator.recent(credential) {
            return Ok(Ok(identity));
        }
        let address = address(peer);
        if !self.failures.has(&address) {
            return Err(too_many(format!("too many bad tokens from {address}")));
        }
        let result = authenticator.identify(credential).await;
        if let Err(AuthError::Denied(why)) = &result {
            self.failures.take(&address);
            tracing::info!(%peer, why, "refused");
        }
        Ok(result)
    }

    fn too_often(&self, identity: &Identity) -> bool {
        let Some(requests) = &self.requests else { return false };
        if identity.is_admin(DEFAULT_ADMIN_ROLE) {
            return false;
        }
        let id = identity.user_id.as_deref().unwrap_or(&identity.user);
        !requests.take(&format!("{}/{id}", identity.kind.as_str()))
    }
}

impl Identify for Access {
    fn whose<'a>(&'a self, credential: &'a str) -> Identifying<'a> {
        Box::pin(async move {
            self.identify(credential).await.map_err(|error| match error {
                AuthError::Denied(reason) => Unidentified::Denied(reason),
                other => Unidentified::Unavailable(other.to_string()),
            })
        })
    }
}

/// `Retry-After` is a second: buckets fill within one.
fn too_many(message: String) -> Response {
    let mut response = ApiError::too_many(message).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn refusal(error: &AuthError, authenticator: &Authenticator) -> Response {
    let mut response = match error {
        AuthError::Denied(message) => ApiError::unauthorized(message).into_response(),
        other => ApiError::unavailable(other.to_string()).into_response(),
    };
    if response.status() == axum::http::StatusCode::UNAUTHORIZED
        && let Ok(challenge) = HeaderValue::from_str(&authenticator.challenge())
    {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn is_open(request: &Parts) -> bool {
    let path = request.uri.path();
    let read = request.method == Method::GET || request.method == Method::HEAD;
    read && (OPEN.contains(&path) || path.starts_with("/documentation/"))
}

/// The address failures are counted under: of IPv6 the /64, which one client has all of.
fn address(peer: Peer) -> IpAddr {
    match peer {
        Peer::Tcp { address, .. } => match address.ip().to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
            v4 => v4,
        },
        _ => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The token of a request, by either header.
fn credential(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let bearer = || {
        let (scheme, token) = text(header::AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    text(AUTH_TOKEN).filter(|t| !t.is_empty()).or_else(bearer).map(str::to_owned)
}

/// The client's name for the request if it is a plain one, else ours.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    given.filter(plain).map_or_else(|| format!("req-{}", Uuid::new_v4()), str::to_owned)
}

/// The user this process runs as; root if that cannot be told.
fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(0, |metadata| metadata.uid())
}

/// Puts the identity of who makes the request into its extensions, or turns it away; names the request and logs it.
pub async fn layer(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (mut parts, body) = request.into_parts();
    let id = request_id(&parts.headers);
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or(Peer::Unknown);
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let mut user = String::new();
    let mut response = match access.admit(&parts, peer).await {
        Ok((identity, shown)) => {
            user.clone_from(&identity.user);
            if access.too_often(&identity) {
                too_many(format!("too many requests of {user}"))
            } else {
                parts.extensions.insert(RequestId(id.clone()));
                parts.extensions.insert(identity);
                parts.extensions.insert(shown);
                next.run(Request::from_parts(parts, body)).await
            }
        }
        Err(refused) => refused,
    };
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let (status, micros) = (response.status().as_u16(), started.elapsed().as_micros());
    tracing::debug!(%peer, user, %method, path, status, micros, request_id = id, "request");
    response
}

/// A router of something else than the configuration, for administrators.
pub fn administrators_only(router: Router, access: &Arc<Access>) -> Router {
    let check = |request: Request, next: Next| async {
        let admin =
            request.extensions().get::<Arc<Identity>>().is_some_and(|i| i.is_admin(DEFAULT_ADMIN_ROLE));
        if admin {
            return next.run(request).await;
        }
        ApiError::forbidden("Permission Denied: this is the administrator's").into_response()
    };
    router.layer(from_fn(check)).layer(from_fn_with_state(Arc::clone(access), layer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn tokens_are_found_in_either_header() {
        let found = |pairs: &[_]| credential(&headers(pairs));
        assert_eq!(found(&[("x-auth-token", "a")]).as_deref(), Some("a"));
        assert_eq!(found(&[("authorization", "bearer  b ")]).as_deref(), Some("b"));
        assert_eq!(found(&[("x-auth-token", ""), ("authorization", "Bearer c")]).as_deref(), Some("c"));
        for none in [&[][..], &[("authorization", "Basic YQ==")], &[("authorization", "Bearer")]] {
            assert_eq!(found(none), None);
        }
    }

    #[test]
    fn request_ids_that_could_forge_a_log_line_are_replaced() {
        assert_eq!(request_id(&headers(&[("x-request-id", "req-1.a:b_c")])), "req-1.a:b_c");
        for bad in ["", "a b", "a\"b", "a\tb"] {
            assert!(request_id(&headers(&[("x-request-id", bad)])).starts_with("req-"), "{bad:?}");
        }
    }

    #[test]
    fn an_ipv6_client_has_one_bucket_however_many_addresses_it_has() {
        let of = |text: &str| address(Peer::Tcp { address: text.parse().unwrap(), tls: false });
        assert_eq!(of("[2001:db8::1]:1"), of("[2001:db8::ffff:2]:9"));
        assert_ne!(of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"));
        assert_eq!(of("[::ffff:192.0.2.1]:1"), of("192.0.2.1:2"));
    }
}
