//! Small things all handlers use: URLs, queries, bodies, answers.

use crate::ApiError;
use crate::authz::{Caller, Sight};
use crate::render::View;
use crate::tls::Peer;
use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, HeaderValue, header, request::Parts};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use uuid::Uuid;
use weft_model::ObjectType;

/// The URL of the service as the client reaches it, without trailing `/`.
#[derive(Debug, Clone)]
pub(crate) struct Base(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let tls = parts.extensions.get::<Peer>().is_some_and(Peer::tls);
        Ok(Self(base(&parts.headers, tls)))
    }
}

fn base(headers: &HeaderMap, tls: bool) -> String {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let host = text(header::HOST.as_str()).filter(|h| !h.is_empty()).unwrap_or("localhost");
    let scheme = if tls || text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    format!("{scheme}://{host}")
}

/// The query of a request, in order, keys possibly repeated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(pub(crate) Vec<(String, String)>);

impl Query {
    /// The first value of a key; empty values count as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, v)| k == key && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Whether the key is there at all, with whatever value.
    pub(crate) fn present(&self, key: &str) -> bool {
        self.0.iter().any(|(k, _)| k == key)
    }

    /// Whether the value contains "true".
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|v| v.to_ascii_lowercase().contains("true"))
    }

    /// The values of a comma-separated list, trimmed, empty ones left out.
    pub(crate) fn list(&self, key: &str) -> Option<Vec<String>> {
        let items = self.get(key)?.split(',').map(str::trim).filter(|i| !i.is_empty());
        Some(items.map(str::to_owned).collect())
    }

    /// Fields asked for.
    pub(crate) fn fields(&self) -> Option<BTreeSet<String>> {
        self.list("fields").map(|list| list.into_iter().collect())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let axum::extract::Query(pairs) =
            query.map_err(|e| ApiError::bad_request(format!("Invalid query: {e}")))?;
        Ok(Self(pairs))
    }
}

/// A type named in a URL.
pub(crate) fn type_of(name: &str) -> Result<ObjectType, ApiError> {
    let found = name.parse().ok().filter(|t: &ObjectType| t.name() == name);
    found.ok_or_else(|| {
        ApiError::not_found(format!("Not found: /{}", name.chars().take(80).collect::<String>()))
    })
}

/// A collection named in a URL.
pub(crate) fn collection_of(name: &str) -> Result<ObjectType, ApiError> {
    ObjectType::from_collection(name).ok_or_else(|| {
        ApiError::not_found(format!("Not found: /{}", name.chars().take(80).collect::<String>()))
    })
}

/// An identity in a URL: what is not a uuid names nothing.
pub(crate) fn path_uuid(object_type: ObjectType, text: &str) -> Result<Uuid, ApiError> {
    Uuid::parse_str(text).map_err(|_| {
        let text: String = text.chars().take(80).collect();
        ApiError::not_found(format!("No {object_type} object found for id {text}"))
    })
}

/// `{"<key>": {...}}`, status 200.
pub(crate) fn wrapped(key: &str, inner: Map<String, Value>) -> Response {
    let mut out = Map::new();
    out.insert(key.to_owned(), Value::Object(inner));
    Json(Value::Object(out)).into_response()
}

/// JSON text, status 200.
pub(crate) fn json_text(text: Vec<u8>) -> Response {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, JSON)], text).into_response()
}

/// The view of one object that a query asks for.
pub(crate) fn object_view(base: Base, query: &Query, caller: &Caller) -> View {
    View {
        base: base.0,
        hrefs: !query.present("exclude_hrefs"),
        fields: query.fields(),
        children: !query.present("exclude_children"),
        back_refs: !query.present("exclude_back_refs"),
        sight: Sight::of(caller),
    }
}
